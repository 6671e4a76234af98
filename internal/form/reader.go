package form

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
)

// The bounds of a file, and of what is told about one that is wrong.
const (
	MaxBytes  = 1 << 20
	MaxErrors = 12
)

// A Place is where something stands in a file, both counted from 1. The zero value is
// nowhere.
type Place struct{ Line, Column int }

// At is where a node begins.
func At(n *yaml.Node) Place { return Place{n.Line, n.Column} }

// Before says that p comes first in the file.
func (p Place) Before(q Place) bool {
	return p.Line < q.Line || p.Line == q.Line && p.Column < q.Column
}

// A Problem is one thing that is wrong.
type Problem struct {
	Place
	Text string
}

// A Reader takes one file apart and collects what is wrong with it. File and Schema
// are required.
type Reader struct {
	File   string // what errors call it
	Noun   string // what the file is, as "lab" in "a lab begins with"
	Schema string // what its first key says

	problems []Problem
}

// Problems are those that were found so far, in the order in which they were.
func (r *Reader) Problems() []Problem { return r.problems }

// Fail is one more problem.
func (r *Reader) Fail(p Place, format string, args ...any) {
	p.Line, p.Column = max(p.Line, 1), max(p.Column, 1)
	r.problems = append(r.problems, Problem{p, fmt.Sprintf(format, args...)})
}

// Err is everything that was found, in the order of the file.
func (r *Reader) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		switch {
		case a.Before(b.Place):
			return -1
		case b.Before(a.Place):
			return 1
		}
		return 0
	})
	var list []error
	for i, p := range r.problems {
		if i == MaxErrors && len(r.problems) > MaxErrors+1 {
			list = append(list, fmt.Errorf("%s:%d:%d: and %d more from here on", r.File, p.Line, p.Column, len(r.problems)-i))
			break
		}
		list = append(list, fmt.Errorf("%s:%d:%d: %s", r.File, p.Line, p.Column, p.Text))
	}
	return errors.Join(list...)
}

// Document is the one mapping that the file must be; nil if it is not.
func (r *Reader) Document(text []byte) *yaml.Node {
	if len(text) > MaxBytes {
		r.Fail(Place{1, 1}, "larger than %d bytes, so this is no %s", MaxBytes, r.Noun)
		return nil
	}
	if p, ok := notText(text); ok {
		r.Fail(p, "not text: a %s is YAML in UTF-8, without control characters", r.Noun)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.Fail(Place{1, 1}, "the file is empty: a %s begins with schema: %s", r.Noun, r.Schema)
		return nil
	case err != nil:
		p, what := yamlError(err, text)
		r.Fail(p, "not YAML: %s", what)
		return nil
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		r.Fail(At(&more), "a second document: one file holds one %s", r.Noun)
		return nil
	case !errors.Is(err, io.EOF):
		p, what := yamlError(err, text)
		r.Fail(p, "not YAML: %s", what)
		return nil
	}
	if len(doc.Content) == 0 {
		r.Fail(Place{1, 1}, "the file is empty: a %s begins with schema: %s", r.Noun, r.Schema)
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.Fail(At(root), "a %s is a list of keys, beginning with schema: %s, but this is %s", r.Noun, r.Schema, Kind(root))
		return nil
	}
	return root
}

// notText is the first place that has bytes no text has.
func notText(text []byte) (Place, bool) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			return Place{i + 1, 1}, true
		}
		if j := bytes.IndexFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' && c != '\r' }); j >= 0 {
			return Place{i + 1, 1 + utf8.RuneCount(line[:j])}, true
		}
	}
	return Place{}, false
}

// countedFrom0 are the errors for which the YAML library counts lines from 0:
// those of its parser, while its scanner counts from 1.
var countedFrom0 = []string{"did not find expected key", "did not find expected node content", "did not find expected '-' indicator",
	"did not find expected ',' or ']'", "did not find expected ',' or '}'", "did not find expected <document start>"}

// yamlError takes "yaml: line 3: what" apart. The library tells no column, and of
// an unknown anchor no line either.
func yamlError(err error, text []byte) (p Place, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if n, tail, ok := strings.Cut(rest, ": "); ok {
			if l, err := strconv.Atoi(n); err == nil {
				p.Line, what = l, tail
			}
		}
	}
	if slices.Contains(countedFrom0, what) {
		p.Line++
		what += " in what begins on this line"
	}
	if rest, ok := strings.CutPrefix(what, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		before, _, _ := bytes.Cut(text, []byte("*"+name))
		p.Line = 1 + bytes.Count(before, []byte("\n"))
	}
	p.Line = min(max(p.Line, 1), 1+bytes.Count(text, []byte("\n")))
	return p, what
}

// Kind is what a node is, for a message.
func Kind(n *yaml.Node) string {
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
	return Quote(n.Value)
}

// Quote is s for a message, cut short.
func Quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// HasSchema looks at the first key of a file. Another schema may have other keys, so
// nothing else is worth a look if it is not there.
func (r *Reader) HasSchema(root *yaml.Node) bool {
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if k.Value != "schema" {
			continue
		}
		if v.Kind != yaml.ScalarNode || v.Value != r.Schema {
			r.Fail(At(v), "schema: %s is not one this program reads: it reads %s", Kind(v), r.Schema)
			return false
		}
		return true
	}
	r.Fail(At(root), "schema: missing: a %s begins with schema: %s", r.Noun, r.Schema)
	return false
}
