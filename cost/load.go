package cost

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// BookSchema is the first line of every book.
const BookSchema = "ringside.book/1"

// The bounds of a book. The longest price is far above anything on the path and
// is there to catch microseconds written as nanoseconds; with it, a ledger's 64
// bits last as long as virtual time does.
const (
	maxBookBytes  = 1 << 20
	minHz, maxHz  = 1_000_000, 100_000_000_000
	maxValueChars = 32
	maxEachPs     = 1_000_000_000 // 1 ms
	maxPerBytePs  = 1_000_000     // 1 us
	maxErrors     = 12
)

//go:embed books/*.yaml
var bookFiles embed.FS

// Books lists the names of the built-in books.
func Books() []string {
	entries, err := bookFiles.ReadDir("books")
	if err != nil {
		panic(err) // embedded: it is there
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// BookText is the file of a built-in book, to read or to begin one's own with.
func BookText(name string) ([]byte, error) {
	if !slices.Contains(Books(), name) {
		return nil, noBook(name)
	}
	return bookFiles.ReadFile("books/" + name + ".yaml")
}

// Open loads a book by name or from a file: whatever has a path separator in it
// or ends in .yaml or .yml is a file, anything else is the name of a built-in
// book.
func Open(nameOrPath string) (*Book, error) {
	if !isPath(nameOrPath) {
		text, err := BookText(nameOrPath)
		if err != nil {
			return nil, err
		}
		return parseBook(text, nameOrPath+".yaml", true)
	}
	f, err := os.Open(nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("cost book: %w", err)
	}
	defer f.Close()
	return Load(f, nameOrPath)
}

func isPath(s string) bool {
	ext := strings.ToLower(filepath.Ext(s))
	return ext == ".yaml" || ext == ".yml" || strings.ContainsAny(s, `/\`)
}

func noBook(name string) error {
	hint := ""
	if near := nearest(name, Books()); near != "" {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	return fmt.Errorf("no cost book is called %s: %sthere are %s; a file of your own needs .yaml at its end or a / in its path",
		quote(name), hint, strings.Join(Books(), ", "))
}

// Load reads a book of the user's. File is what errors call it. The error names
// everything that is wrong with the book, a line each: file and line, entry,
// what is wrong and what to do.
//
// Values are decimal text and are taken exactly, then rounded once, to the
// nearest thousandth of a cycle for a CPU's work and to the nearest picosecond
// for a device's.
func Load(r io.Reader, file string) (*Book, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBookBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cost book %s: %w", file, err)
	}
	if len(text) > maxBookBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes, so this is no cost book", file, maxBookBytes)
	}
	return parseBook(text, file, false)
}

// Unit returns the counting book: every operation costs one cycle, of 1 ns.
func Unit() *Book { return unit() }

var unit = sync.OnceValue(func() *Book {
	b, err := Open("unit")
	if err != nil {
		panic(err) // embedded, and a test loads it
	}
	return b
})

// A reader takes a book's file apart and collects what is wrong with it.
type reader struct {
	file string
	errs []lineError
	book *Book
}

type lineError struct {
	line int
	text string
}

func (r *reader) fail(line int, format string, args ...any) {
	r.errs = append(r.errs, lineError{line, fmt.Sprintf(format, args...)})
}

// err is everything that was found, in the order of the file.
func (r *reader) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b lineError) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.text, b.text))
	})
	var list []error
	for i, e := range r.errs {
		if i == maxErrors && len(r.errs) > maxErrors+1 {
			list = append(list, fmt.Errorf("%s: and %d more", r.file, len(r.errs)-i))
			break
		}
		list = append(list, fmt.Errorf("%s:%d: %s", r.file, e.line, e.text))
	}
	return errors.Join(list...)
}

func parseBook(text []byte, file string, builtin bool) (*Book, error) {
	r := &reader{file: file, book: &Book{Sources: map[string]string{}}}
	if root := r.document(text); root != nil {
		r.top(root, builtin)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return r.book, nil
}

// document is the one mapping that the file must be.
func (r *reader) document(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.fail(1, "the file is empty: a book begins with schema: %s", BookSchema)
		return nil
	case err != nil:
		line, what := yamlError(err)
		r.fail(line, "not YAML: %s", what)
		return nil
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		r.fail(more.Line, "a second document: one file holds one book")
		return nil
	case !errors.Is(err, io.EOF):
		line, what := yamlError(err)
		r.fail(line, "not YAML: %s", what)
		return nil
	}
	if len(doc.Content) == 0 {
		r.fail(1, "the file is empty: a book begins with schema: %s", BookSchema)
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.fail(root.Line, "a book is a list of keys, beginning with schema: %s, but this is %s", BookSchema, kind(root))
		return nil
	}
	return root
}

// yamlError takes "yaml: line 3: what" apart.
func yamlError(err error) (line int, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if n, tail, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(n); err == nil {
				return max(line, 1), tail
			}
		}
	}
	return 1, what
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a list of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if n.Value == "" {
		return "empty"
	}
	return quote(n.Value)
}

// A field is one key of a mapping and what it holds.
type field struct {
	line  int
	value *yaml.Node
}

const noMixing = "a book cannot build on another: it prices every operation itself, so that no bill mixes two machines; copy the prices you want into this file"

// fields takes a mapping apart. What is the name of the thing in errors, known
// its keys, or nil if any will do. Keys that are there twice, that are unknown or
// that would mix books are errors.
func (r *reader) fields(n *yaml.Node, what string, known []string) map[string]field {
	out := make(map[string]field, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			r.fail(k.Line, "%sa key must be a word, but this is %s", what, kind(k))
			continue
		}
		name := k.Value
		if first, ok := out[name]; ok {
			r.fail(k.Line, "%s%s is there twice, first on line %d: leave one out", what, quote(name), first.line)
			continue
		}
		switch {
		case name == "<<":
			r.fail(k.Line, "%s%q: %s", what, name, noMixing)
		case known == nil || slices.Contains(known, name):
			out[name] = field{k.Line, v}
		case slices.Contains([]string{"extends", "include", "import", "base", "parent", "inherit", "from"}, name):
			r.fail(k.Line, "%s%q: %s", what, name, noMixing)
		default:
			hint := "the keys are " + strings.Join(known, ", ")
			if near := nearest(name, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			r.fail(k.Line, "%sunknown key %s: %s", what, quote(name), hint)
		}
	}
	return out
}

// text is the text of a field, on one line, without what could confuse a
// terminal.
func (r *reader) text(f field, what string) (string, bool) {
	switch f.value.Kind {
	case yaml.ScalarNode:
	case yaml.AliasNode:
		r.fail(f.line, "%s: an alias: write the value out, so that every entry can be read by itself", what)
		return "", false
	default:
		r.fail(f.line, "%s: must be plain text, but this is %s", what, kind(f.value))
		return "", false
	}
	s := strings.Join(strings.Fields(f.value.Value), " ")
	if i := strings.IndexFunc(s, func(c rune) bool { return !unicode.IsGraphic(c) }); i >= 0 {
		r.fail(f.line, "%s: has a control character in %s: take it out", what, quote(s[i:]))
		return "", false
	}
	if s == "" {
		r.fail(f.line, "%s: is empty: fill it in", what)
		return "", false
	}
	return s, true
}

var topKeys = []string{"schema", "name", "title", "clock_hz", "sources", "prices"}

// top reads the whole book.
func (r *reader) top(root *yaml.Node, builtin bool) {
	// Another schema may have other keys, so nothing else is looked at then.
	for i := 0; i+1 < len(root.Content); i += 2 {
		if k, v := root.Content[i], root.Content[i+1]; k.Value == "schema" && (v.Kind != yaml.ScalarNode || v.Value != BookSchema) {
			r.fail(k.Line, "schema: %s is not one this program reads: it reads %s", kind(v), BookSchema)
			return
		}
	}
	top := r.fields(root, "", topKeys)
	for _, k := range topKeys {
		if _, ok := top[k]; !ok {
			r.fail(1, "%s: missing: a book has the keys %s", k, strings.Join(topKeys, ", "))
		}
	}
	if f, ok := top["name"]; ok {
		r.name(f, builtin)
	}
	if f, ok := top["title"]; ok {
		r.book.Title, _ = r.text(f, "title")
	}
	if f, ok := top["clock_hz"]; ok {
		r.clock(f)
	}
	if f, ok := top["sources"]; ok {
		r.sources(f)
	}
	if f, ok := top["prices"]; ok {
		r.prices(f)
	}
}

func (r *reader) name(f field, builtin bool) {
	s, ok := r.text(f, "name")
	switch {
	case !ok:
	case !isID(s):
		r.fail(f.line, "name: %s: use up to 64 letters, digits, dots, dashes and underscores, so that it can stand in reports", quote(s))
	case !builtin && slices.Contains(Books(), s):
		r.fail(f.line, "name: %q is a built-in book's: give this one a name of its own, so that a bill says whose prices it used", s)
	default:
		r.book.Name = s
	}
}

func (r *reader) clock(f field) {
	s, ok := r.text(f, "clock_hz")
	if !ok {
		return
	}
	digits := strings.ReplaceAll(s, "_", "")
	if strings.Trim(digits, "0123456789") != "" || digits == "" {
		r.fail(f.line, "clock_hz: %s is not a whole number of cycles a second: write 3600000000 for 3.6 GHz", quote(s))
		return
	}
	hz, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || hz < minHz || hz > maxHz {
		r.fail(f.line, "clock_hz: %s is out of range: from 1 MHz (1000000) to 100 GHz (100000000000)", quote(s))
		return
	}
	r.book.Hz = hz
}

func (r *reader) sources(f field) {
	if f.value.Kind != yaml.MappingNode {
		r.fail(f.line, "sources: must list ids with their references, like S1: author, title, year; but this is %s", kind(f.value))
		return
	}
	for id, f := range r.fields(f.value, "sources: ", nil) {
		s, ok := r.text(f, "sources: "+quote(id))
		switch {
		case !ok:
		case !isID(id) || id == noSource:
			r.fail(f.line, "sources: %s is no id: use letters, digits, dots, dashes and underscores, and not %q", quote(id), noSource)
		default:
			r.book.Sources[id] = s
		}
	}
}

// noSource stands where an entry has no source to name, and says so.
const noSource = "none"

func isID(s string) bool {
	return len(s) <= 64 && s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == "" &&
		strings.Trim(s[:1], "._-") != ""
}

func (r *reader) prices(f field) {
	if f.value.Kind != yaml.MappingNode {
		r.fail(f.line, "prices: must list operations with their prices, but this is %s", kind(f.value))
		return
	}
	names := make([]string, NumOps)
	for o := range names {
		names[o] = Op(o).String()
	}
	given := r.fields(f.value, "prices: ", nil)
	for name, f := range given {
		if o, ok := OpByName(name); ok {
			r.entry(o, f)
			continue
		}
		hint := "the operations are " + strings.Join(names, ", ")
		if near := nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		r.fail(f.line, "%s: unknown operation: %s", quote(name), hint)
	}
	var missing []string
	for _, name := range names {
		if _, ok := given[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		r.fail(f.line, "no price for %s: a book prices every operation itself, so add %s",
			strings.Join(missing, ", "), plural(len(missing), "this entry", "these entries"))
	}
	var counts, priced []string
	for o, e := range r.book.Entries {
		switch {
		case e.Status == Counting:
			counts = append(counts, names[o])
		case e.Status != "":
			priced = append(priced, names[o])
		}
	}
	if len(counts) > 0 && len(priced) > 0 {
		r.fail(f.line, "%s only %s while %s has a price: a book counts throughout or prices throughout",
			counts[0], plural(len(counts), "counts", fmt.Sprintf("(and %d more) counts", len(counts)-1)), priced[0])
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

var entryKeys = []string{"value", "unit", "source", "status", "note"}

// entry reads the price of one operation.
func (r *reader) entry(o Op, f field) {
	name := o.String()
	if f.value.Kind != yaml.MappingNode {
		hint := "write {value: 350, unit: ns, source: S1, status: READ}"
		if f.value.Kind == yaml.AliasNode {
			hint = noMixing
		}
		r.fail(f.line, "%s: the price is %s: %s", name, kind(f.value), hint)
		return
	}
	fields := r.fields(f.value, name+": ", entryKeys)
	at := func(key string) field { return fields[key] }
	get := func(key, hint string) (string, bool) {
		g, ok := fields[key]
		if !ok {
			r.fail(f.line, "%s: no %s: %s", name, key, hint)
			return "", false
		}
		return r.text(g, name+": "+key)
	}
	e := Entry{Op: o}
	var okValue, okUnit, okSource, okStatus bool
	e.Value, okValue = get("value", "give the price as decimal text above zero")
	e.Unit, okUnit = get("unit", "one of "+unitsFor(o))
	e.Source, okSource = get("source", "name one of the book's sources, or none for a guess")
	var status string
	status, okStatus = get("status", "one of "+statusNames())
	e.Status = Status(status)
	if g, ok := fields["note"]; ok {
		e.Note, _ = r.text(g, name+": note")
	}

	var st statusInfo
	if okStatus {
		i := slices.IndexFunc(statuses[:], func(s statusInfo) bool { return s.status == e.Status })
		if i < 0 {
			r.fail(at("status").line, "%s: unknown status %s: one of %s", name, quote(status), statusNames())
			okStatus, e.Status = false, ""
		} else {
			st = statuses[i]
		}
	}
	if okStatus && st.note != "" && e.Note == "" {
		r.fail(f.line, "%s: no note: a price that is %s needs one that gives %s", name, st.status, st.note)
	}
	if okSource {
		_, known := r.book.Sources[e.Source]
		switch {
		case e.Source == noSource && okStatus && st.status.Calibrated():
			r.fail(at("source").line, "%s: source none: a price that is %s has one; name it, or call the price %s", name, st.status, Assumed)
		case e.Source != noSource && !known:
			r.fail(at("source").line, "%s: source %s is not in this book's list of sources: add it there", name, quote(e.Source))
		}
	}
	var value *big.Rat
	if okValue {
		value = r.value(at("value").line, name, e.Value)
	}
	if okUnit && okStatus && value != nil && r.book.Hz != 0 {
		r.book.prices[o] = r.price(o, e, value, at("value").line, at("unit").line)
	}
	r.book.Entries[o] = e
}

// value is the number that a price's text says, exactly.
func (r *reader) value(line int, name, s string) *big.Rat {
	abs := strings.TrimPrefix(s, "-")
	whole, frac, point := strings.Cut(abs, ".")
	isNumber := len(s) <= maxValueChars && whole != "" && (frac != "") == point &&
		strings.Trim(whole+frac, "0123456789") == ""
	v, ok := new(big.Rat), false
	if isNumber {
		v, ok = v.SetString(s)
	}
	switch {
	case !ok:
		r.fail(line, "%s: value %s is not a number: write decimal text of at most %d characters, like 350 or 0.026", name, quote(s), maxValueChars)
	case v.Sign() < 0:
		r.fail(line, "%s: value %s is negative: a price is above zero", name, s)
	case v.Sign() == 0:
		r.fail(line, "%s: value %s: nothing is free; give a price above zero, and status %s if it is a guess", name, s, Assumed)
	default:
		return v
	}
	return nil
}

// A priceUnit is one of the units that a price can have.
type priceUnit struct {
	name    string
	time    bool // in ns, else in cycles
	perByte bool
}

var priceUnits = [...]priceUnit{
	{"cyc", false, false},
	{"ns", true, false},
	{"cyc/B", false, true},
	{"ns/B", true, true},
}

// unitsFor lists the units that a price of o can have.
func unitsFor(o Op) string {
	switch {
	case o.Device() && o.Bytes():
		return "ns/B"
	case o.Device():
		return "ns"
	case o.Bytes():
		return "cyc/B, ns/B"
	}
	return "cyc, ns"
}

func statusNames() string {
	var names []string
	for _, s := range statuses {
		names = append(names, string(s.status))
	}
	return strings.Join(names, ", ")
}

// price turns an entry into the coins of the two kinds of accounts.
func (r *reader) price(o Op, e Entry, value *big.Rat, valueLine, unitLine int) price {
	i := slices.IndexFunc(priceUnits[:], func(u priceUnit) bool { return u.name == e.Unit })
	if i < 0 {
		r.fail(unitLine, "%s: unknown unit %s: one of %s", o, quote(e.Unit), unitsFor(o))
		return price{}
	}
	u := priceUnits[i]
	switch {
	case e.Status == Counting:
		if e.Unit != "cyc" || value.Cmp(big.NewRat(1, 1)) != 0 {
			r.fail(valueLine, "%s: %s %s: an entry that is %s has the value 1 and the unit cyc", o, e.Value, e.Unit, Counting)
			return price{}
		}
		p := price{milliEach: 1000}
		if o.Device() {
			p.psEach = round(big.NewRat(1e12, int64(r.book.Hz)))
		}
		return p
	case o.Device() && !u.time:
		r.fail(unitLine, "%s: unit %s: the device does this, not the CPU, so it is priced in time: %s", o, e.Unit, unitsFor(o))
		return price{}
	case u.perByte && !o.Bytes():
		r.fail(unitLine, "%s: unit %s: this operation moves no bytes: one of %s", o, e.Unit, unitsFor(o))
		return price{}
	case !u.perByte && o.Bytes():
		r.fail(unitLine, "%s: unit %s: this operation moves bytes and is priced by the byte: one of %s", o, e.Unit, unitsFor(o))
		return price{}
	}

	// One unit in ps, and the price in the payer's ticks.
	ps := big.NewRat(1000, 1)
	if !u.time {
		ps = big.NewRat(1e12, int64(r.book.Hz))
	}
	ps.Mul(ps, value)
	ticks, coin := new(big.Rat).Set(ps), "picosecond"
	if !o.Device() {
		ticks.Mul(ticks, big.NewRat(int64(r.book.Hz), 1e9))
		coin = "thousandth of a cycle"
	}
	most, limit := int64(maxEachPs), "1 ms"
	if u.perByte {
		most, limit = maxPerBytePs, "1 us a byte"
	}
	n := uint64(0)
	switch {
	case ps.Cmp(big.NewRat(most, 1)) > 0:
		r.fail(valueLine, "%s: value %s %s is more than %s, and no operation takes so long: check the unit", o, e.Value, e.Unit, limit)
		return price{}
	default:
		n = round(ticks)
	}
	if n == 0 {
		r.fail(valueLine, "%s: value %s %s rounds to zero: prices are kept to the nearest %s", o, e.Value, e.Unit, coin)
		return price{}
	}
	switch {
	case o.Device() && u.perByte:
		return price{psPerByte: n}
	case o.Device():
		return price{psEach: n}
	case u.perByte:
		return price{milliPerByte: n}
	}
	return price{milliEach: n}
}

// round is x to the nearest whole number, halves up. x is not negative and small.
func round(x *big.Rat) uint64 {
	twice := new(big.Int).Lsh(x.Num(), 1)
	twice.Add(twice, x.Denom())
	return twice.Quo(twice, new(big.Int).Lsh(x.Denom(), 1)).Uint64()
}

// quote is s for an error message, cut short.
func quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// nearest is the candidate that looks most like s, or "" if none does.
func nearest(s string, candidates []string) string {
	if len(s) > 64 {
		return ""
	}
	best, least := "", len(s)/2+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), c); d < least {
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
