package cost

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/books.md is half written and half made: the parts between
// "<!-- made: NAME -->" and "<!-- end -->" come from the code. -update writes
// them again.
func TestTheDocumentationOfBooksIsThatOfTheCode(t *testing.T) {
	const file = "../docs/books.md"
	old, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(old)
	for _, part := range []struct {
		name string
		make func(*testing.T) string
	}{
		{"operations", docOperations},
		{"statuses", docStatuses},
		{"refusals", docRefusals},
		{"linux-xeon", docPrices},
		{"differences", docDifferences},
		{"sources", docSources},
	} {
		before, rest, ok := strings.Cut(text, "<!-- made: "+part.name+" -->\n")
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		require.True(t, ok && ended, "%s has no part called %s", file, part.name)
		text = before + "<!-- made: " + part.name + " -->\n\n" + part.make(t) + "\n<!-- end -->" + after
	}
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
		return
	}
	if !bytes.Equal(old, []byte(text)) {
		require.Equal(t, text, string(old), "go test ./cost -run Documentation -update writes it again")
	}
}

// cell is text that stands in a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(s)
}

func docOperations(*testing.T) string {
	var b strings.Builder
	b.WriteString("| Operation | Is | Units |\n|---|---|---|\n")
	for o := range NumOps {
		fmt.Fprintf(&b, "| `%v` | %s | %s |\n", o, cell(o.Does()), unitsFor(o))
	}
	return b.String()
}

func docStatuses(*testing.T) string {
	var b strings.Builder
	b.WriteString("| Status | Means | The note must give |\n|---|---|---|\n")
	for _, s := range statuses {
		note := s.note
		if note == "" {
			note = "nothing"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.status, s.says, note)
	}
	return b.String()
}

func docRefusals(t *testing.T) string {
	var b strings.Builder
	b.WriteString("```\n")
	for _, r := range refusals(t) {
		_, err := loadText(r.text)
		require.Error(t, err, r.claim)
		fmt.Fprintf(&b, "%s\n", r.claim)
		lines := strings.Split(err.Error(), "\n")
		for i, l := range lines {
			if i == 2 && len(lines) > 4 {
				fmt.Fprintf(&b, "    (and %d more)\n", len(lines)-i)
				break
			}
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// cycles is a price at the book's clock, as the bill reckons it.
func cycles(b *Book, o Op) string {
	milli, perByte := b.Cycles(o)
	switch {
	case o.Device():
		return "none"
	case perByte != 0:
		return thousandths(perByte) + " a byte"
	}
	return thousandths(milli)
}

func thousandths(n uint64) string {
	s := fmt.Sprintf("%d.%03d", n/1000, n%1000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func priceRow(b *Book, o Op) string {
	e := b.Entries[o]
	return fmt.Sprintf("| `%v` | %s %s | %s | %s | %s | %s |\n", o, e.Value, e.Unit, cycles(b, o), e.Source, e.Status, cell(e.Note))
}

const priceHead = "| Operation | Price | Cycles | Source | Status | Note |\n|---|---|---|---|---|---|\n"

func docPrices(t *testing.T) string {
	b, err := Open("linux-xeon")
	require.NoError(t, err)
	var s strings.Builder
	s.WriteString(priceHead)
	for o := range NumOps {
		s.WriteString(priceRow(b, o))
	}
	return s.String()
}

func docDifferences(t *testing.T) string {
	off, err := Open("linux-xeon")
	require.NoError(t, err)
	on, err := Open("linux-xeon-mitigations")
	require.NoError(t, err)
	var s strings.Builder
	s.WriteString(priceHead)
	for o := range NumOps {
		if off.Entries[o] != on.Entries[o] {
			s.WriteString(priceRow(on, o))
		}
	}
	return s.String()
}

func docSources(t *testing.T) string {
	b, err := Open("linux-xeon")
	require.NoError(t, err)
	var s strings.Builder
	s.WriteString("| Id | Source |\n|---|---|\n")
	for i := range 100 {
		if id := fmt.Sprintf("S%d", i); b.Sources[id] != "" {
			fmt.Fprintf(&s, "| %s | %s |\n", id, cell(b.Sources[id]))
		}
	}
	return s.String()
}
