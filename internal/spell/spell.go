// Package spell finds the name that was probably meant.
package spell

import "strings"

// longest is the longest word that is worth a search, in bytes.
const longest = 64

// Nearest is the candidate that s was probably meant to be, "" if none is close.
// Candidates are in lower case; of equals the first is taken. A candidate that s
// is the beginning of, with three letters or more, is always close.
func Nearest(s string, candidates []string) string {
	if len(s) > longest {
		return ""
	}
	s = strings.ToLower(s)
	best, least := "", len(s)/3+2
	for _, c := range candidates {
		if len(s) >= 3 && strings.HasPrefix(c, s) {
			return c
		}
		if d := distance(s, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of single-byte edits from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			edit := diagonal
			if a[i] != b[j] {
				edit++
			}
			diagonal = row[j+1]
			row[j+1] = min(edit, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
