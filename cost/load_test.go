package cost

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden parts again")

func TestEveryBuiltInBookLoads(t *testing.T) {
	for _, name := range Books() {
		b, err := Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b.Name != name {
			t.Errorf("book %s calls itself %s", name, b.Name)
		}
		requirePriced(t, b)
	}
}

// requirePriced checks what every accepted book promises: each operation costs
// its payer something, once and in one way.
func requirePriced(t *testing.T, b *Book) {
	t.Helper()
	for o := range NumOps {
		milli, milliB := b.Cycles(o)
		ps, psB := b.Picoseconds(o)
		e := b.Entries[o]
		if e.Op != o || e.Value == "" || e.Unit == "" || e.Source == "" || e.Status == "" {
			t.Errorf("%s: %v: entry is not complete: %+v", b.Name, o, e)
		}
		if b.Counts() {
			if milli != 1000 || milliB != 0 || psB != 0 || (ps != 0) != o.Device() {
				t.Errorf("%s: %v does not count one cycle: %d, %d mcyc, %d, %d ps", b.Name, o, milli, milliB, ps, psB)
			}
			continue
		}
		each, perByte, other := milli, milliB, ps+psB
		if o.Device() {
			each, perByte, other = ps, psB, milli+milliB
		}
		if (perByte != 0) != o.Bytes() || (each != 0) == o.Bytes() || other != 0 {
			t.Errorf("%s: %v costs %d, %d mcyc, %d, %d ps", b.Name, o, milli, milliB, ps, psB)
		}
	}
}

// A small book in which every line can be found: schema is line 1, each price a
// line of its own.
func sampleBook() []string {
	lines := []string{
		"schema: ringside.book/1",
		"name: mine",
		"title: a book of my own",
		"clock_hz: 2_000_000_000",
		"sources:",
		"  S1: somebody, something, 2026",
		"prices:",
	}
	for o := range NumOps {
		unit, _, _ := strings.Cut(unitsFor(o), " ")
		lines = append(lines, fmt.Sprintf("  %v: {value: 3, unit: %s, source: S1, status: READ}", o, unit))
	}
	return lines
}

func sampleText() string { return strings.Join(sampleBook(), "\n") + "\n" }

// entryLine is the line of an operation in sampleBook, counted from 1.
func entryLine(o Op) int { return 8 + int(o) }

func loadText(text string) (*Book, error) { return Load(strings.NewReader(text), "mine.yaml") }

func TestBookSaysWhatItsFileSays(t *testing.T) {
	b, err := loadText(sampleText())
	require.NoError(t, err)
	requirePriced(t, b)
	require.Equal(t, "mine", b.Name)
	require.Equal(t, "a book of my own", b.Title)
	require.Equal(t, uint64(2e9), b.Hz)
	require.Equal(t, map[string]string{"S1": "somebody, something, 2026"}, b.Sources)
	require.Equal(t, Entry{Op: HardIRQ, Value: "3", Unit: "cyc", Source: "S1", Status: Read}, b.Entries[HardIRQ])
	require.False(t, b.Counts())
}

// edit replaces old by new in the one line of the sample that begins with key.
func edit(t testing.TB, key, old, new string) string {
	lines := sampleBook()
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), key+":") {
			if !strings.Contains(l, old) {
				t.Fatalf("line %q does not contain %q", l, old)
			}
			lines[i] = strings.Replace(l, old, new, 1)
			return strings.Join(lines, "\n") + "\n"
		}
	}
	t.Fatalf("no line begins with %s", key)
	return ""
}

func without(key string) string {
	return strings.Join(slices.DeleteFunc(sampleBook(), func(l string) bool {
		return strings.HasPrefix(strings.TrimSpace(l), key+":")
	}), "\n") + "\n"
}

// A refusal is a book that is wrong in one way, the line that an error must name,
// and what it must say there. docs/books.md has the whole of every error.
type refusal struct {
	claim string
	text  string
	line  int
	says  string
}

func refusals(t testing.TB) []refusal {
	entry := func(o Op, old, new string) string { return edit(t, o.String(), old, new) }
	lines := sampleBook()
	whole := strings.Join(lines[7:], "\n") + "\n"
	return []refusal{
		{"empty file", "", 1, "schema: ringside.book/1"},
		{"only a comment", "# prices\n", 1, "schema: ringside.book/1"},
		{"not YAML", strings.Replace(sampleText(), "title: a", "title: [a", 1), 3, "not YAML"},
		{"a bracket too many", edit(t, "hard_irq", "READ}", "READ}}"), 8, "not YAML"},
		{"a quotation without end", edit(t, "title", "a book", "'a book"), 3, "not YAML"},
		{"a tab for indentation", strings.Replace(sampleText(), "  S1", "\tS1", 1), 6, "not YAML"},
		{"an alias of nothing", edit(t, "title", "a book of my own", "*other"), 3, "not YAML"},
		{"not text", "schema: ringside.book/1\nname: \xff\xfe\n", 2, "UTF-8"},
		{"not a book at all", "just a line\n", 1, "\"just a line\""},
		{"a list", "- schema\n", 1, "a list"},
		{"two documents", sampleText() + "---\nmore: 1\n", entryLine(NumOps), "one file holds one book"},
		{"wrong schema", edit(t, "schema", "book/1", "book/2"), 1, "ringside.book/1"},
		{"no schema", without("schema"), 1, "schema: missing"},
		{"no name", without("name"), 1, "name: missing"},
		{"a name that cannot stand in a report", edit(t, "name", "mine", "my book"), 2, "\"my book\""},
		{"a built-in book's name", edit(t, "name", "mine", "linux-xeon"), 2, "\"linux-xeon\""},
		{"no title", without("title"), 1, "title: missing"},
		{"an empty title", edit(t, "title", "a book of my own", ""), 3, "title: empty"},
		{"a title in pieces", edit(t, "title", "a book of my own", "[a, b]"), 3, "a list"},
		{"a title that moves the cursor", edit(t, "title", "a book of my own", `"a\e[2Jb"`), 3, "control character"},
		{"no clock", without("clock_hz"), 1, "clock_hz: missing"},
		{"a clock with a unit", edit(t, "clock_hz", "2_000_000_000", "2 GHz"), 4, "\"2 GHz\""},
		{"a clock below 1 MHz", edit(t, "clock_hz", "2_000_000_000", "999_999"), 4, "1 MHz"},
		{"a clock above 10 GHz", edit(t, "clock_hz", "2_000_000_000", "10_000_000_001"), 4, "10 GHz"},
		{"a clock beyond 64 bits", edit(t, "clock_hz", "2_000_000_000", "99999999999999999999"), 4, "10 GHz"},
		{"unknown key", edit(t, "title", "title", "titel"), 3, "did you mean \"title\""},
		{"duplicate key", sampleText() + "name: again\n", entryLine(NumOps), "line 2"},
		{"a key that is no word", sampleText() + "[a]: b\n", entryLine(NumOps), "a list"},
		{"no sources", strings.Replace(sampleText(), lines[4]+"\n"+lines[5]+"\n", "", 1), 1, "sources: missing"},
		{"sources that are no list of ids", strings.Replace(sampleText(), lines[4]+"\n"+lines[5]+"\n", "sources: S1\n", 1), 5, "\"S1\""},
		{"a source called none", edit(t, "S1", "S1: ", "S1: a\n  none: "), 7, "\"none\""},
		{"no prices", strings.Replace(sampleText(), lines[6]+"\n"+whole, "", 1), 1, "prices: missing"},
		{"prices that are no list of operations", strings.Replace(sampleText(), lines[6]+"\n"+whole, "prices: cheap\n", 1), 7, "\"cheap\""},

		{"extends another book", "extends: linux-xeon\n" + sampleText(), 1, "cannot build on another"},
		{"merges another entry", entry(Lock, "{value: 3, unit: cyc,", "{<<: {value: 3, unit: cyc},"), entryLine(Lock), "cannot build on another"},
		{"one entry is an alias of another", strings.Replace(entry(HardIRQ, "{", "&irq {"), lines[entryLine(Lock)-1], "  lock: *irq", 1), entryLine(Lock), "cannot build on another"},
		{"one value is an alias of another", strings.Replace(entry(HardIRQ, "3", "&irq 3"), lines[entryLine(Lock)-1], strings.Replace(lines[entryLine(Lock)-1], "3", "*irq", 1), 1), entryLine(Lock), "write the value out"},

		{"one price missing", without("lock"), 7, "no price for lock:"},
		{"several prices missing", strings.Join(slices.Concat(lines[:entryLine(Call)-1], lines[entryLine(Lock):]), "\n") + "\n", 7, "no price for call, indirect_call, lock:"},
		{"unknown operation", entry(HardIRQ, "hard_irq", "hard_irg"), entryLine(HardIRQ), "did you mean \"hard_irq\""},
		{"an operation like no other", sampleText() + "  quantum_tunnelling: {value: 3, unit: cyc, source: S1, status: READ}\n", entryLine(NumOps), "the operations are desc_fetch, "},
		{"priced twice", sampleText() + lines[entryLine(Lock)-1] + "\n", entryLine(NumOps), "\"lock\" is there twice, first on line 28"},
		{"a bare number for a price", entry(HardIRQ, lines[entryLine(HardIRQ)-1], "  hard_irq: 350"), entryLine(HardIRQ), "{value: 350, "},
		{"unknown key in an entry", entry(HardIRQ, "value", "price"), entryLine(HardIRQ), "\"price\""},
		{"duplicate key in an entry", entry(HardIRQ, "unit", "value: 4, unit"), entryLine(HardIRQ), "\"value\" is there twice"},

		{"no value", entry(HardIRQ, "value: 3, ", ""), entryLine(HardIRQ), "no value"},
		{"zero", entry(HardIRQ, "3", "0"), entryLine(HardIRQ), "value 0:"},
		{"zero to many places", entry(HardIRQ, "3", "0.000"), entryLine(HardIRQ), "value 0.000:"},
		{"negative", entry(HardIRQ, "3", "-3"), entryLine(HardIRQ), "value -3 is negative"},
		{"not a number", entry(HardIRQ, "3", "cheap"), entryLine(HardIRQ), "\"cheap\" is not a number"},
		{"infinite", entry(HardIRQ, "3", ".inf"), entryLine(HardIRQ), "\".inf\" is not a number"},
		{"with an exponent", entry(HardIRQ, "3", "1e3"), entryLine(HardIRQ), "\"1e3\" is not a number"},
		{"hexadecimal", entry(HardIRQ, "3", "0x10"), entryLine(HardIRQ), "\"0x10\" is not a number"},
		{"a fraction", entry(HardIRQ, "3", "1/3"), entryLine(HardIRQ), "\"1/3\" is not a number"},
		{"digits without end", entry(HardIRQ, "3", strings.Repeat("1", 33)), entryLine(HardIRQ), "at most 32 characters"},
		{"rounds to zero", entry(HardIRQ, "3", "0.000499"), entryLine(HardIRQ), "nearest thousandth of a cycle"},
		{"rounds to zero for a device", entry(TLP, "3", "0.000499"), entryLine(TLP), "nearest picosecond"},
		{"longer than a millisecond", entry(HardIRQ, "3, unit: cyc", "1000001, unit: ns"), entryLine(HardIRQ), "more than 1 ms"},
		{"longer than a microsecond a byte", entry(CopyToUser, "3", "2001"), entryLine(CopyToUser), "more than 1 us a byte"},

		{"no unit", entry(HardIRQ, "unit: cyc, ", ""), entryLine(HardIRQ), "no unit: use cyc or ns"},
		{"unknown unit", entry(HardIRQ, "cyc", "us"), entryLine(HardIRQ), "unknown unit \"us\": use cyc or ns"},
		{"by the byte, but it moves none", entry(HardIRQ, "cyc", "ns/B"), entryLine(HardIRQ), "moves no bytes: use cyc or ns"},
		{"moves bytes, but not priced by them", entry(CopyToUser, "cyc/B", "cyc"), entryLine(CopyToUser), "use cyc/B or ns/B"},
		{"a device's work in cycles", entry(TLP, "ns", "cyc"), entryLine(TLP), "use ns"},
		{"a device's bytes in cycles", entry(DMAWrite, "ns/B", "cyc/B"), entryLine(DMAWrite), "use ns/B"},

		{"no status", entry(HardIRQ, ", status: READ", ""), entryLine(HardIRQ), "no status: one of READ, "},
		{"unknown status", entry(HardIRQ, "READ", "UNVERIFIED"), entryLine(HardIRQ), "unknown status \"UNVERIFIED\": one of READ, "},
		{"derived without the formula", entry(HardIRQ, "READ", "DERIVED"), entryLine(HardIRQ), "the formula"},
		{"assumed without the argument", entry(HardIRQ, "READ", "ASSUMED"), entryLine(HardIRQ), "the argument"},
		{"an empty note", entry(HardIRQ, "READ", "READ, note: ''"), entryLine(HardIRQ), "note: empty"},
		{"no source", entry(HardIRQ, "source: S1, ", ""), entryLine(HardIRQ), "no source"},
		{"a source that is not listed", entry(HardIRQ, "S1", "S2"), entryLine(HardIRQ), "source \"S2\""},
		{"read, but nowhere", entry(HardIRQ, "S1", "none"), entryLine(HardIRQ), "source none"},
		{"counts among prices", entry(HardIRQ, "3, unit: cyc, source: S1, status: READ", "1, unit: cyc, source: none, status: COUNTING"), 7, "desc_fetch has a price and hard_irq is COUNTING"},
		{"counts by twos", entry(HardIRQ, "3, unit: cyc, source: S1, status: READ", "2, unit: cyc, source: none, status: COUNTING"), entryLine(HardIRQ), "value 1 and the unit cyc"},
	}
}

func TestRefusalsNameLineEntryAndCure(t *testing.T) {
	for _, r := range refusals(t) {
		t.Run(r.claim, func(t *testing.T) {
			b, err := loadText(r.text)
			require.Error(t, err)
			require.Nil(t, b)
			prefix := fmt.Sprintf("mine.yaml:%d: ", r.line)
			found := slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(l string) bool {
				what, ok := strings.CutPrefix(l, prefix)
				return ok && strings.Contains(what, r.says)
			})
			if !found {
				t.Errorf("no error on line %d says %q:\n%v", r.line, r.says, err)
			}
		})
	}
}

func TestEveryEntryIsNamedInItsOwnErrors(t *testing.T) {
	for o := range NumOps {
		name := o.String()
		for _, tt := range []struct{ what, text, want string }{
			{"zero", edit(t, name, "value: 3", "value: 0"), fmt.Sprintf("mine.yaml:%d: %s: value 0: ", entryLine(o), name)},
			{"missing", without(name), fmt.Sprintf("mine.yaml:7: no price for %s: ", name)},
			{"no source", edit(t, name, "source: S1, ", ""), fmt.Sprintf("mine.yaml:%d: %s: no source: ", entryLine(o), name)},
		} {
			_, err := loadText(tt.text)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %s: got %v, want one line that begins %q", tt.what, name, err, tt.want)
			}
		}
	}
}

func TestErrorsComeInTheFilesOrderAndEnd(t *testing.T) {
	text := strings.ReplaceAll(sampleText(), "value: 3", "value: 0")
	_, err := loadText(text)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, maxErrors+1)
	for i, l := range lines[:maxErrors] {
		require.True(t, strings.HasPrefix(l, fmt.Sprintf("mine.yaml:%d: %v: value 0", entryLine(Op(i)), Op(i))), l)
	}
	require.Equal(t, fmt.Sprintf("mine.yaml: and %d more", int(NumOps)-maxErrors), lines[maxErrors])
}

func TestTooLargeAFileIsNoBook(t *testing.T) {
	pad := func(size int) string {
		s := sampleText() + "#"
		return s + strings.Repeat("x", size-len(s))
	}
	_, err := loadText(pad(maxBookBytes))
	require.NoError(t, err)
	_, err = loadText(pad(maxBookBytes + 1))
	require.EqualError(t, err, "mine.yaml: larger than 262144 bytes, so this is no cost book")
}

func TestReadErrorsAreKept(t *testing.T) {
	_, err := Load(iotest.ErrReader(errors.New("disk on fire")), "mine.yaml")
	require.EqualError(t, err, "cost book mine.yaml: disk on fire")
}

func TestValuesAreExactAndRoundedOnce(t *testing.T) {
	for _, tt := range []struct {
		op          Op
		value, unit string
		hz          string
		milli, ps   uint64
		milliB, psB uint64
		why         string
	}{
		{HardIRQ, "350", "ns", "3_600_000_000", 1_260_000, 0, 0, 0, "350 x 3.6 cycles"},
		{HardIRQ, "1.3", "ns", "3_600_000_000", 4_680, 0, 0, 0, "no binary fraction is near enough to go wrong"},
		{HardIRQ, "007.50", "cyc", "3_600_000_000", 7_500, 0, 0, 0, "zeros in front and behind"},
		{HardIRQ, "0.0005", "cyc", "1_000_000_000", 1, 0, 0, 0, "halves go up"},
		{HardIRQ, "0.00149999999999999999999999999", "cyc", "1_000_000_000", 1, 0, 0, 0, "a float64 would say 0.0015 and 2"},
		{HardIRQ, "0.0015", "cyc", "1_000_000_000", 2, 0, 0, 0, "halves go up"},
		{HardIRQ, "1", "ns", "1_000_000", 1, 0, 0, 0, "the slowest clock"},
		{HardIRQ, "1000000", "ns", "10_000_000_000", 10_000_000_000, 0, 0, 0, "the longest price at the fastest clock"},
		{CopyToUser, "0.026", "ns/B", "3_600_000_000", 0, 0, 94, 0, "93.6"},
		{CopyFromUser, "0.0336", "cyc/B", "3_600_000_000", 0, 0, 34, 0, "33.6"},
		{TLP, "3.3", "ns", "3_600_000_000", 0, 3300, 0, 0, "the clock does not matter to a device"},
		{TLP, "0.0005", "ns", "3_600_000_000", 0, 1, 0, 0, "halves go up"},
		{DMAWrite, "0.138", "ns/B", "1_000_000", 0, 0, 0, 138, "the clock does not matter to a device"},
	} {
		lines := sampleBook()
		lines[3] = "clock_hz: " + tt.hz
		lines[entryLine(tt.op)-1] = fmt.Sprintf("  %v: {value: %s, unit: %s, source: S1, status: READ}", tt.op, tt.value, tt.unit)
		b, err := loadText(strings.ReplaceAll(strings.Join(lines, "\n"), "value: 3,", "value: 1,"))
		if err != nil {
			t.Errorf("%s %s at %s: %v", tt.value, tt.unit, tt.hz, err)
			continue
		}
		milli, milliB := b.Cycles(tt.op)
		ps, psB := b.Picoseconds(tt.op)
		got, want := [4]uint64{milli, ps, milliB, psB}, [4]uint64{tt.milli, tt.ps, tt.milliB, tt.psB}
		if got != want {
			t.Errorf("%s %s at %s: got %v, want %v (%s)", tt.value, tt.unit, tt.hz, got, want, tt.why)
		}
	}
}

func TestXeonBooksDifferOnlyWhereMitigationsWereMeasured(t *testing.T) {
	off, err := Open("linux-xeon")
	require.NoError(t, err)
	on, err := Open("linux-xeon-mitigations")
	require.NoError(t, err)
	require.Equal(t, off.Hz, on.Hz)
	require.Equal(t, off.Sources, on.Sources)
	var differ []string
	for o := range NumOps {
		if off.Entries[o] == on.Entries[o] {
			continue
		}
		differ = append(differ, o.String())
		a, _ := off.Cycles(o)
		b, _ := on.Cycles(o)
		if b <= a {
			t.Errorf("%v costs %d mcyc with mitigations off and %d with them on", o, a, b)
		}
	}
	require.Equal(t, []string{"indirect_call", "context_switch", "syscall_enter", "syscall_exit"}, differ)
}

func TestSystemCallsAddUpToTheirMeasurement(t *testing.T) {
	for name, ns := range map[string]uint64{"linux-xeon": 78, "linux-xeon-mitigations": 239} {
		b, err := Open(name)
		require.NoError(t, err)
		enter, _ := b.Cycles(SyscallEnter)
		exit, _ := b.Cycles(SyscallExit)
		require.Equal(t, ns*3600, enter+exit, "%s: %d ns at 3.6 GHz in thousandths of a cycle", name, ns)
	}
}

func TestBuiltInSourcesAreUsedAndEveryNoteNamesKnownOnes(t *testing.T) {
	for _, name := range Books() {
		b, err := Open(name)
		require.NoError(t, err)
		var text strings.Builder
		for _, e := range b.Entries {
			fmt.Fprintf(&text, "%s %s\n", e.Source, e.Note)
		}
		for id := range b.Sources {
			require.Contains(t, text.String(), id, "%s lists %s and never names it", name, id)
		}
		for _, word := range strings.FieldsFunc(text.String(), func(c rune) bool { return !strings.ContainsRune("S0123456789", c) }) {
			if len(word) > 1 && word[0] == 'S' {
				require.Contains(t, b.Sources, word, name)
			}
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.yaml")
	require.NoError(t, os.WriteFile(path, []byte(sampleText()), 0o666))
	b, err := Open(path)
	require.NoError(t, err)
	require.Equal(t, "mine", b.Name)

	_, err = Open(filepath.Join(dir, "other.yaml"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Open(filepath.Join(dir, "other"))
	require.ErrorIs(t, err, fs.ErrNotExist, "a separator makes it a path")
	_, err = Open("no-such-book.yml")
	require.ErrorIs(t, err, fs.ErrNotExist, "the ending makes it a path")
	_, err = Open(dir + "/")
	require.Error(t, err, "a folder")
	_, err = Open("linux-xeno")
	require.EqualError(t, err, `no cost book is called "linux-xeno": did you mean "linux-xeon"? built in are linux-xeon, linux-xeon-mitigations, unit; a file of your own needs .yaml at its end or a / in its path`)
	_, err = Open("")
	require.ErrorContains(t, err, `no cost book is called ""`)
}

func TestBookTextIsABookToBeginWith(t *testing.T) {
	for _, name := range Books() {
		text, err := BookText(name)
		require.NoError(t, err)
		_, err = loadText(string(text))
		require.ErrorContains(t, err, "give this one a name of its own")
		mine, err := loadText(strings.Replace(string(text), "name: "+name, "name: mine", 1))
		require.NoError(t, err)
		original, err := Open(name)
		require.NoError(t, err)
		mine.Name = name
		require.Equal(t, original, mine)
	}
	_, err := BookText("../load")
	require.Error(t, err)
}

func TestStatusesSayWhatTheyAre(t *testing.T) {
	for _, s := range statuses {
		require.NotEmpty(t, s.status.Says(), s.status)
		require.Equal(t, s.status != Assumed && s.status != Counting, s.status.Calibrated(), s.status)
	}
	require.False(t, Status("UNVERIFIED").Calibrated())
	require.Empty(t, Status("UNVERIFIED").Says())
}

func FuzzBook(f *testing.F) {
	for _, name := range Books() {
		text, err := BookText(name)
		require.NoError(f, err)
		f.Add(bytes.Replace(text, []byte("name: "+name), []byte("name: mine"), 1))
	}
	f.Add([]byte(sampleText()))
	for _, r := range refusals(f) {
		f.Add([]byte(r.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Load(bytes.NewReader(text), "mine.yaml")
		again, errAgain := Load(bytes.NewReader(text), "mine.yaml")
		if err != nil {
			if b != nil {
				t.Fatalf("a book and an error: %v", err)
			}
			if errAgain == nil || errAgain.Error() != err.Error() {
				t.Fatalf("two readings, two errors:\n%v\n%v", err, errAgain)
			}
			for _, l := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(l, "mine.yaml:") {
					t.Fatalf("an error without its file: %q", l)
				}
			}
			return
		}
		if !reflect.DeepEqual(b, again) {
			t.Fatal("two readings, two books")
		}
		requirePriced(t, b)
		if b.Name == "" || b.Title == "" || b.Hz < minHz || b.Hz > maxHz {
			t.Fatalf("accepted with name %q, title %q, clock %d", b.Name, b.Title, b.Hz)
		}
		for _, e := range b.Entries {
			if _, ok := b.Sources[e.Source]; !ok && (e.Source != noSource || e.Status.Calibrated()) {
				t.Fatalf("%v: source %q is not listed", e.Op, e.Source)
			}
		}
	})
}
