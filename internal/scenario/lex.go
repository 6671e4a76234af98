package scenario

import (
	"fmt"
	"math/big"
	"strings"

	"ringside/internal/spell"
)

// maxExpr is the longest expectation, in bytes: nobody reads a longer one.
const maxExpr = 200

// A syntaxError is what is wrong at a column of an expectation, from 0.
type syntaxError struct {
	column int
	text   string
}

func (e *syntaxError) Error() string { return e.text }

func wrongAt(column int, format string, args ...any) error {
	return &syntaxError{column, fmt.Sprintf(format, args...)}
}

// A token is a name, a number with its unit, an operator, or the end, which is "".
type token struct {
	text   string
	column int
	name   bool
	number *quantity
	unit   string // of the number, as written
}

const nameStart = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
const digits = "0123456789"

// nameRest are what a name has behind its first letter. There is a - in it, so a
// minus wants blanks.
const nameRest = nameStart + digits + ".-:@#~"

// operators, the longer ones first.
var operators = []string{"==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")"}

// lex takes an expectation apart.
func lex(s string) ([]token, error) {
	if len(s) > maxExpr {
		return nil, wrongAt(0, "longer than %d bytes: make two expectations of it", maxExpr)
	}
	var list []token
	for i := 0; ; {
		i += len(s[i:]) - len(strings.TrimLeft(s[i:], " "))
		if i == len(s) {
			return append(list, token{column: i}), nil
		}
		t, n, err := next(s[i:], i)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
		i += n
	}
}

// next is the token that s begins with, and its length.
func next(s string, column int) (token, int, error) {
	switch {
	case strings.ContainsRune(nameStart, rune(s[0])):
		n := len(s) - len(strings.TrimLeft(s, nameRest))
		return token{text: s[:n], column: column, name: true}, n, nil
	case strings.ContainsRune(digits, rune(s[0])):
		return lexNumber(s, column)
	}
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return token{text: op, column: column}, len(op), nil
		}
	}
	if s[0] == '=' {
		return token{}, 0, wrongAt(column, "= sets nothing here: to compare write ==")
	}
	r := []rune(s)[0]
	return token{}, 0, wrongAt(column, "%q is no part of an expectation: it is made of names, numbers with units, + - * / ( ) and == != < <= > >=", r)
}

// lexNumber reads a number and its unit, which may stand behind a blank.
func lexNumber(s string, column int) (token, int, error) {
	n := len(s) - len(strings.TrimLeft(s, digits+"_."))
	q := quantity{n: new(big.Rat)}
	digits := strings.ReplaceAll(s[:n], "_", "")
	if _, ok := q.n.SetString(digits); !ok {
		return token{}, 0, wrongAt(column, "%q is not a number like 1_000 or 2.5", s[:n])
	}
	t := token{column: column, number: &q}
	word, at := unitWord(s, n)
	if word == "" {
		t.text = digits
		return t, n, nil
	}
	u, ok := unitNamed(word)
	if !ok {
		return token{}, 0, wrongAt(column+at, "there is no unit %q: %s", word, nearest(word, unitNames(), "the units are "))
	}
	q.n.Mul(q.n, u.n)
	q.dim = u.dim
	t.unit, t.text = u.name, digits+" "+u.name
	if u.name == "%" || u.name == "/s" {
		t.text = digits + u.name
	}
	return t, at + len(word), nil
}

// unitWord is the word behind a number that ends at n, if one stands there: it
// begins with a letter, % or /s.
func unitWord(s string, n int) (word string, at int) {
	at = n + len(s[n:]) - len(strings.TrimLeft(s[n:], " "))
	rest := s[at:]
	if strings.HasPrefix(rest, "%") {
		return "%", at
	}
	word = rest[:len(rest)-len(strings.TrimLeft(rest, nameStart+"µ"))]
	after := rest[len(word):]
	if strings.HasPrefix(after, "/s") && strings.TrimLeft(after[2:], nameRest) == after[2:] && (word != "" || at == n) {
		word += "/s"
	}
	return word, at
}

// nearest is a hint: the name that was probably meant, or all if they are few.
func nearest(name string, names []string, all string) string {
	lower := make([]string, len(names))
	for i, n := range names {
		lower[i] = strings.ToLower(n)
	}
	if near := spell.Nearest(name, lower); near != "" {
		for i, l := range lower {
			if l == near {
				return fmt.Sprintf("did you mean %q?", names[i])
			}
		}
	}
	if len(names) == 0 {
		return "there is none"
	}
	const few = 12
	if len(names) > few {
		names = append(append([]string{}, names[:few]...), fmt.Sprintf("and %d more", len(names)-few))
	}
	return all + strings.Join(names, ", ")
}
