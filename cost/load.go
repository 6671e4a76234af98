package cost

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// BookSchema is the first line of every book.
const BookSchema = "ringside.book/1"

// The bounds of a book. The longest price is far above anything on the path and
// is there to catch microseconds written as nanoseconds; with it, a ledger's 64
// bits last as long as virtual time does.
const (
	maxBookBytes  = 256 << 10
	minHz, maxHz  = 1_000_000, 10_000_000_000
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
	slices.Sort(names)
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
	if !IsFile(nameOrPath) {
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

// IsFile says whether Open takes the words for a file, and not for the name of a book.
func IsFile(nameOrPath string) bool {
	ext := strings.ToLower(filepath.Ext(nameOrPath))
	return ext == ".yaml" || ext == ".yml" || strings.ContainsAny(nameOrPath, `/\`)
}

func noBook(name string) error {
	hint := ""
	if near := nearest(name, Books()); near != "" {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	return fmt.Errorf("no cost book is called %s: %sbuilt in are %s; a file of your own needs .yaml at its end or a / in its path",
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
	slices.SortStableFunc(r.errs, func(a, b lineError) int { return a.line - b.line })
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
	r := &reader{file: file, book: &Book{}}
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
	if line := notText(text); line != 0 {
		r.fail(line, "not text: a book is YAML in UTF-8, without control characters")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.fail(1, "the file is empty: a book begins with schema: %s", BookSchema)
		return nil
	case err != nil:
		line, what := yamlError(err, text)
		r.fail(line, "not YAML: %s", what)
		return nil
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		r.fail(more.Line, "a second document: one file holds one book")
		return nil
	case !errors.Is(err, io.EOF):
		line, what := yamlError(err, text)
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

// notText is the first line that has bytes no text has, 0 if there is none.
func notText(text []byte) int {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) || bytes.ContainsFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' && c != '\r' }) {
			return i + 1
		}
	}
	return 0
}

// countedFrom0 are the errors for which the YAML library counts lines from 0:
// those of its parser, while its scanner counts from 1.
var countedFrom0 = []string{"did not find expected key", "did not find expected node content", "did not find expected '-' indicator",
	"did not find expected ',' or ']'", "did not find expected ',' or '}'", "did not find expected <document start>"}

// yamlError takes "yaml: line 3: what" apart. An unknown anchor comes without
// its line.
func yamlError(err error, text []byte) (line int, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if n, tail, ok := strings.Cut(rest, ": "); ok {
			if l, err := strconv.Atoi(n); err == nil {
				line, what = l, tail
			}
		}
	}
	if slices.Contains(countedFrom0, what) {
		line++
		what += " in what begins on this line"
	}
	if rest, ok := strings.CutPrefix(what, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		before, _, _ := bytes.Cut(text, []byte("*"+name))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	return max(line, 1), what
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
	name  string
	line  int
	value *yaml.Node
}

// find is the field of that name.
func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

const noMixing = "a book cannot build on another: it prices every operation itself, so that no bill mixes two machines; copy the prices you want into this file"

// mixers are keys that ask for another book's prices.
var mixers = []string{"extends", "include", "import", "base", "parent", "inherit", "from"}

// fields takes a mapping apart. What begins every error; known are the keys it
// may have, nil if any will do. A key that is there twice, that is unknown or
// that would mix books is an error.
func (r *reader) fields(n *yaml.Node, what string, known []string) []field {
	var out []field
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			r.fail(k.Line, "%sa key must be a word, but this is %s", what, kind(k))
			continue
		}
		name := k.Value
		if line, ok := first[name]; ok {
			r.fail(k.Line, "%s%s is there twice, first on line %d: leave one out", what, quote(name), line)
			continue
		}
		first[name] = k.Line
		switch {
		case name == "<<":
			r.fail(k.Line, "%s%q: %s", what, name, noMixing)
		case known == nil || slices.Contains(known, name):
			out = append(out, field{name, k.Line, v})
		case slices.Contains(mixers, name):
			r.fail(k.Line, "%s%q: %s", what, name, noMixing)
		default:
			r.fail(k.Line, "%sunknown key %s: %s", what, quote(name), r.hint(name, "the keys are ", known))
		}
	}
	return out
}

// hint says which name was probably meant. Of a file that is wrong throughout
// only the first errors are shown, and only they are worth a search.
func (r *reader) hint(name, list string, names []string) string {
	if len(r.errs) <= maxErrors {
		if near := nearest(name, names); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	return list + strings.Join(names, ", ")
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
		r.fail(f.line, "%s: a control character in %s: take it out", what, quote(s[i:]))
		return "", false
	}
	if s == "" {
		r.fail(f.line, "%s: empty: fill it in", what)
		return "", false
	}
	return s, true
}

var topKeys = []string{"schema", "name", "title", "clock_hz", "sources", "prices"}

// knownKeys are those and the ones that may be left out.
var knownKeys = append(slices.Clone(topKeys), "machines")

// top reads the whole book.
func (r *reader) top(root *yaml.Node, builtin bool) {
	// Another schema may have other keys, so nothing else is looked at then.
	for i := 0; i+1 < len(root.Content); i += 2 {
		if k, v := root.Content[i], root.Content[i+1]; k.Value == "schema" && (v.Kind != yaml.ScalarNode || v.Value != BookSchema) {
			r.fail(k.Line, "schema: %s is not one this program reads: it reads %s", kind(v), BookSchema)
			return
		}
	}
	top := r.fields(root, "", knownKeys)
	for _, k := range topKeys {
		f, ok := find(top, k)
		if !ok {
			r.fail(1, "%s: missing: a book has the keys %s", k, strings.Join(topKeys, ", "))
			continue
		}
		switch k {
		case "name":
			r.name(f, builtin)
		case "title":
			r.book.Title, _ = r.text(f, "title")
		case "clock_hz":
			r.clock(f)
		case "sources":
			r.sources(f)
		case "prices":
			r.prices(f)
		}
	}
	if f, ok := find(top, "machines"); ok {
		r.machines(f)
	}
}

// machines reads on which machine a source has measured.
func (r *reader) machines(f field) {
	if f.value.Kind != yaml.MappingNode {
		r.fail(f.line, "machines: must list ids of sources with names of machines, like S1: e5-1650v4; but this is %s", kind(f.value))
		return
	}
	r.book.Machines = map[string]string{}
	for _, f := range r.fields(f.value, "machines: ", nil) {
		s, ok := r.text(f, "machines: "+quote(f.name))
		_, known := r.book.Sources[f.name]
		switch {
		case !ok:
		case !known && r.book.Sources != nil:
			r.fail(f.line, "machines: source %s is not in this book's list of sources: add it there", quote(f.name))
		case !isID(s):
			r.fail(f.line, "machines: %s: %s is no name: use letters, digits, dots, dashes and underscores", f.name, quote(s))
		default:
			r.book.Machines[f.name] = s
		}
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
		r.fail(f.line, "clock_hz: %s is out of range: from 1 MHz (1000000) to 10 GHz (10000000000)", quote(s))
		return
	}
	r.book.Hz = hz
}

func (r *reader) sources(f field) {
	if f.value.Kind != yaml.MappingNode {
		r.fail(f.line, "sources: must list ids with their references, like S1: author, title, year; but this is %s", kind(f.value))
		return
	}
	r.book.Sources = map[string]string{}
	for _, f := range r.fields(f.value, "sources: ", nil) {
		s, ok := r.text(f, "sources: "+quote(f.name))
		switch {
		case !ok:
		case !isID(f.name) || f.name == noSource:
			r.fail(f.line, "sources: %s is no id: use letters, digits, dots, dashes and underscores, and not %q", quote(f.name), noSource)
		default:
			r.book.Sources[f.name] = s
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
	var given [NumOps]bool
	for _, f := range r.fields(f.value, "prices: ", nil) {
		o, ok := OpByName(f.name)
		if !ok {
			r.fail(f.line, "%s: unknown operation: %s", quote(f.name), r.hint(f.name, "the operations are ", names))
			continue
		}
		given[o] = true
		r.entry(o, f)
	}
	var missing []string
	for o, name := range names {
		if !given[o] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		r.fail(f.line, "no price for %s: a book prices every operation itself, so add %s",
			strings.Join(missing, ", "), plural(len(missing), "this entry", "these entries"))
	}
	r.oneKind(f.line)
}

// oneKind refuses a book that has prices for some operations and counts others:
// the sum would mean nothing.
func (r *reader) oneKind(line int) {
	counts, priced := -1, -1
	for o, e := range r.book.Entries {
		switch {
		case e.Status == Counting && counts < 0:
			counts = o
		case e.Status != Counting && e.Status != "" && priced < 0:
			priced = o
		}
	}
	if counts >= 0 && priced >= 0 {
		r.fail(line, "%s has a price and %s is %s: a book prices every operation or counts every operation", Op(priced), Op(counts), Counting)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
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
