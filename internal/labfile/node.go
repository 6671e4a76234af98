package labfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"ringside/internal/spell"
)

// The bounds of a file, and of what is told about one that is wrong.
const (
	maxBytes  = 1 << 20
	maxErrors = 12
)

// A place is where something stands in the file, from 1.
type place struct{ line, column int }

func at(n *yaml.Node) place { return place{n.Line, n.Column} }

func (p place) before(q place) bool {
	return p.line < q.line || p.line == q.line && p.column < q.column
}

// A problem is one thing that is wrong.
type problem struct {
	place
	text string
}

// A reader takes a file apart and collects what is wrong with it.
type reader struct {
	file     string
	problems []problem
}

func (r *reader) fail(p place, format string, args ...any) {
	p.line, p.column = max(p.line, 1), max(p.column, 1)
	r.problems = append(r.problems, problem{p, fmt.Sprintf(format, args...)})
}

// err is everything that was found, in the order of the file.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int {
		switch {
		case a.before(b.place):
			return -1
		case b.before(a.place):
			return 1
		}
		return 0
	})
	var list []error
	for i, p := range r.problems {
		if i == maxErrors && len(r.problems) > maxErrors+1 {
			list = append(list, fmt.Errorf("%s:%d:%d: and %d more from here on", r.file, p.line, p.column, len(r.problems)-i))
			break
		}
		list = append(list, fmt.Errorf("%s:%d:%d: %s", r.file, p.line, p.column, p.text))
	}
	return errors.Join(list...)
}

// document is the one mapping that the file must be; nil if it is not.
func (r *reader) document(text []byte) *yaml.Node {
	if p, ok := notText(text); ok {
		r.fail(p, "not text: a lab is YAML in UTF-8, without control characters")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.fail(place{1, 1}, "the file is empty: a lab begins with schema: %s", Schema)
		return nil
	case err != nil:
		p, what := yamlError(err, text)
		r.fail(p, "not YAML: %s", what)
		return nil
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		r.fail(at(&more), "a second document: one file holds one lab")
		return nil
	case !errors.Is(err, io.EOF):
		p, what := yamlError(err, text)
		r.fail(p, "not YAML: %s", what)
		return nil
	}
	if len(doc.Content) == 0 {
		r.fail(place{1, 1}, "the file is empty: a lab begins with schema: %s", Schema)
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.fail(at(root), "a lab is a list of keys, beginning with schema: %s, but this is %s", Schema, kind(root))
		return nil
	}
	return root
}

// notText is the first place that has bytes no text has.
func notText(text []byte) (place, bool) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			return place{i + 1, 1}, true
		}
		if j := bytes.IndexFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' && c != '\r' }); j >= 0 {
			return place{i + 1, 1 + utf8.RuneCount(line[:j])}, true
		}
	}
	return place{}, false
}

// countedFrom0 are the errors for which the YAML library counts lines from 0:
// those of its parser, while its scanner counts from 1.
var countedFrom0 = []string{"did not find expected key", "did not find expected node content", "did not find expected '-' indicator",
	"did not find expected ',' or ']'", "did not find expected ',' or '}'", "did not find expected <document start>"}

// yamlError takes "yaml: line 3: what" apart. The library tells no column, and of
// an unknown anchor no line either.
func yamlError(err error, text []byte) (p place, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if n, tail, ok := strings.Cut(rest, ": "); ok {
			if l, err := strconv.Atoi(n); err == nil {
				p.line, what = l, tail
			}
		}
	}
	if slices.Contains(countedFrom0, what) {
		p.line++
		what += " in what begins on this line"
	}
	if rest, ok := strings.CutPrefix(what, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		before, _, _ := bytes.Cut(text, []byte("*"+name))
		p.line = 1 + bytes.Count(before, []byte("\n"))
	}
	p.line = min(max(p.line, 1), 1+bytes.Count(text, []byte("\n")))
	return p, what
}

// kind is what a node is, for a message.
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

// quote is s for a message, cut short.
func quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// A field is a value, and how it is called: "bridges.br0.ports.tap0.learning".
type field struct {
	path string
	name string // the last part of the path, as it stands in the file
	key  place  // of its name, or of the value itself in a list
	node *yaml.Node
}

func (r *reader) wrong(f field, format string, args ...any) {
	p := at(f.node)
	if p.line == 0 || f.node.Kind == yaml.ScalarNode && f.node.Value == "" {
		p = f.key
	}
	r.fail(p, "%s: %s", f.path, fmt.Sprintf(format, args...))
}

// A known is a key that a mapping may have, and what reads its value.
type known struct {
	name string
	read func(field)
}

// fields takes a mapping apart: its keys in the order of the file, each once.
// What says what the mapping is to hold.
func (r *reader) fields(f field, what string) []field {
	if f.node.Kind == yaml.ScalarNode && f.node.Tag == "!!null" {
		return nil // "ports:" with nothing behind it
	}
	if f.node.Kind != yaml.MappingNode {
		r.wrong(f, "must be %s, but this is %s", what, kind(f.node))
		return nil
	}
	var out []field
	first := map[string]int{}
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		k, v := f.node.Content[i], f.node.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			r.fail(at(k), "%sa key must be a word, but this is %s", prefix(f.path), kind(k))
			continue
		}
		if line, ok := first[k.Value]; ok {
			r.fail(at(k), "%s%s is there twice, first on line %d: leave one out", prefix(f.path), quote(k.Value), line)
			continue
		}
		first[k.Value] = k.Line
		if v.Kind == yaml.AliasNode || k.Value == "<<" {
			r.fail(at(k), "%s%s: an alias: write the value out, so that every place can be read by itself", prefix(f.path), quote(k.Value))
			continue
		}
		out = append(out, field{join(f.path, k.Value), k.Value, at(k), v})
	}
	return out
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// join is the path of a key below path, without what could confuse a terminal.
func join(path, key string) string {
	if len(key) > maxName*2 || strings.ContainsFunc(key, func(c rune) bool { return !unicode.IsGraphic(c) }) {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// mapping reads a mapping that may have those keys and no others.
func (r *reader) mapping(f field, what string, keys []known) {
	for _, k := range r.fields(f, what) {
		i := slices.IndexFunc(keys, func(w known) bool { return w.name == k.name })
		if i < 0 {
			r.fail(k.key, "%sunknown key %s: %s", prefix(f.path), quote(k.name), r.hint(k.name, "the keys are ", names(keys)))
			continue
		}
		keys[i].read(k)
	}
}

func names(keys []known) []string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.name
	}
	return list
}

// hint says which name was probably meant. Of a file that is wrong throughout
// only the first problems are shown, and only they are worth a search.
func (r *reader) hint(name, list string, names []string) string {
	if len(r.problems) <= maxErrors {
		if near := spell.Nearest(name, names); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	if len(names) == 0 {
		return "there is none"
	}
	return list + strings.Join(names, ", ")
}

// list takes a list apart. A value that is no list is a list of one.
func (r *reader) list(f field) []field {
	switch {
	case f.node.Kind == yaml.ScalarNode && f.node.Tag == "!!null":
		return nil
	case f.node.Kind != yaml.SequenceNode:
		return []field{f}
	}
	var out []field
	for i, n := range f.node.Content {
		e := field{fmt.Sprintf("%s[%d]", f.path, i), f.name, at(n), n}
		if n.Kind == yaml.AliasNode {
			r.wrong(e, "an alias: write the value out, so that every place can be read by itself")
			continue
		}
		out = append(out, e)
	}
	return out
}

// text is a value that is one word or line.
func (r *reader) text(f field) (string, bool) {
	switch {
	case f.node.Kind != yaml.ScalarNode:
		r.wrong(f, "must be one value, but this is %s", kind(f.node))
		return "", false
	case f.node.Value == "":
		r.wrong(f, "empty: fill it in, or leave %s out", quote(f.name))
		return "", false
	case strings.ContainsFunc(f.node.Value, func(c rune) bool { return !unicode.IsGraphic(c) }):
		r.wrong(f, "a control character in %s: take it out", quote(f.node.Value))
		return "", false
	}
	return f.node.Value, true
}
