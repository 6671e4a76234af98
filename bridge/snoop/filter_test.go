package snoop

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Sources by a letter, A to F.
func src4(letters string) []string {
	var list []string
	for _, c := range letters {
		list = append(list, fmt.Sprintf("198.51.100.%d", c-'A'+1))
	}
	return list
}

// The tables of RFC 3376 6.4.1 and 6.4.2: state, record, state after it. A list in
// exclude mode has the sources that are wanted, with their time, and those that
// are not, with 0.
func TestRecordsOfVersion3(t *testing.T) {
	ab, bc := src4("AB"), src4("BC")
	inAB := []rec{{allowNewSources, g1, ab}}
	exAB := []rec{{modeIsExclude, g1, ab}}                                // X none, Y A and B
	exXY := []rec{{modeIsExclude, g1, ab}, {allowNewSources, g1, ab[:1]}} // X A, Y B
	for _, tt := range []struct {
		name         string
		before       []rec
		record       rec
		after, later string // the (*,G) then, and after the last member time
	}{
		{"INCLUDE ALLOW", inAB, rec{allowNewSources, g1, bc}, "include A/160 B/260 C/260", "include A/158 B/258 C/258"},
		{"INCLUDE IS_IN", inAB, rec{modeIsInclude, g1, bc}, "include A/160 B/260 C/260", ""},
		{"INCLUDE IS_EX", inAB, rec{modeIsExclude, g1, bc}, "exclude B/160 C/0", ""},
		{"INCLUDE TO_IN", inAB, rec{changeToInclude, g1, bc}, "include A/2 B/260 C/260", "include B/258 C/258"},
		{"INCLUDE TO_EX", inAB, rec{changeToExclude, g1, bc}, "exclude B/2 C/0", "exclude B/0 C/0"},
		{"INCLUDE BLOCK", inAB, rec{blockOldSources, g1, bc}, "include A/160 B/2", "include A/158"},
		{"EXCLUDE ALLOW", exAB, rec{allowNewSources, g1, bc}, "exclude A/0 B/260 C/260", ""},
		{"EXCLUDE IS_IN", exXY, rec{modeIsInclude, g1, bc}, "exclude A/160 B/260 C/260", ""},
		{"EXCLUDE IS_EX", exXY, rec{modeIsExclude, g1, bc}, "exclude B/0 C/260", ""},
		{"EXCLUDE TO_IN", exXY, rec{changeToInclude, g1, bc}, "exclude A/2 B/260 C/260", "include B/258 C/258"},
		{"EXCLUDE TO_EX", exXY, rec{changeToExclude, g1, bc}, "exclude B/0 C/2", "exclude B/0 C/0"},
		{"EXCLUDE BLOCK", exXY, rec{blockOldSources, g1, bc}, "exclude A/160 B/0 C/2", "exclude A/158 B/0 C/0"},
		{"EXCLUDE BLOCK of one wanted", exXY, rec{blockOldSources, g1, ab[:1]}, "exclude A/2 B/0", "exclude A/0 B/0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true, IGMPVersion: 3})
			l.at(15 * sec)
			for _, r := range tt.before {
				l.good(2, report3(2, r))
			}
			l.at(l.now + 100*sec)
			l.good(2, report3(2, tt.record))
			require.Contains(t, l.star(), tt.after)
			if tt.later != "" {
				l.at(l.now + 2*sec)
				require.Contains(t, l.star(), tt.later)
			}
		})
	}
}

// star is the (*,G) of the group, with letters for sources.
func (l *lab) star() string {
	var out string
	for _, e := range l.Entries(l.now) {
		if e.Source.IsValid() || e.Port == Local {
			continue
		}
		out = map[bool]string{true: "include", false: "exclude"}[e.Include]
		for _, s := range e.Sources {
			out += " " + string(rune('A'+s.Addr.AsSlice()[3]-1)) + fmt.Sprintf("/%d", s.Timer/sec)
		}
	}
	return out
}
