package form

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"ringside/internal/spell"
)

// A Field is a value, and how it is called: "bridges.br0.ports.tap0.learning".
type Field struct {
	Path string
	Name string // the last part of the path, as it stands in the file
	Key  Place  // of its name, or of the value itself in a list
	Node *yaml.Node
}

// Wrong is a problem of a value: where it stands, how it is called, and what is wrong.
func (r *Reader) Wrong(f Field, format string, args ...any) {
	p := At(f.Node)
	if p.Line == 0 || f.Node.Kind == yaml.ScalarNode && f.Node.Value == "" {
		p = f.Key
	}
	r.Fail(p, "%s: %s", f.Path, fmt.Sprintf(format, args...))
}

// Need is the error for what is missing, unless there is one of that place: what is
// there and wrong is not missing.
func (r *Reader) Need(f Field, what string) {
	for _, p := range r.problems {
		if !p.Before(At(f.Node)) {
			return
		}
	}
	r.Wrong(f, "%s", what)
}

// A Known is a key that a mapping may have, and what reads its value.
type Known struct {
	Name string
	Read func(Field)
}

// Fields takes a mapping apart: its keys in the order of the file, each once.
// What says what the mapping is to hold.
func (r *Reader) Fields(f Field, what string) []Field {
	if f.Node.Kind == yaml.ScalarNode && f.Node.Tag == "!!null" {
		return nil // "ports:" with nothing behind it
	}
	if f.Node.Kind != yaml.MappingNode {
		r.Wrong(f, "must be %s, but this is %s", what, Kind(f.Node))
		return nil
	}
	var out []Field
	first := map[string]int{}
	for i := 0; i+1 < len(f.Node.Content); i += 2 {
		k, v := f.Node.Content[i], f.Node.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			r.Fail(At(k), "%sa key must be a word, but this is %s", prefix(f.Path), Kind(k))
			continue
		}
		if line, ok := first[k.Value]; ok {
			r.Fail(At(k), "%s%s is there twice, first on line %d: leave one out", prefix(f.Path), Quote(k.Value), line)
			continue
		}
		first[k.Value] = k.Line
		if v.Kind == yaml.AliasNode || k.Value == "<<" {
			r.Fail(At(k), "%s%s: an alias: write the value out, so that every place can be read by itself", prefix(f.Path), Quote(k.Value))
			continue
		}
		out = append(out, Field{join(f.Path, k.Value), k.Value, At(k), v})
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
	if len(key) > MaxName*2 || strings.ContainsFunc(key, func(c rune) bool { return !unicode.IsGraphic(c) }) {
		key = Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Mapping reads a mapping that may have those keys and no others.
func (r *Reader) Mapping(f Field, what string, keys []Known) {
	for _, k := range r.Fields(f, what) {
		i := slices.IndexFunc(keys, func(w Known) bool { return w.Name == k.Name })
		if i < 0 {
			r.Fail(k.Key, "%sunknown key %s: %s", prefix(f.Path), Quote(k.Name), r.Hint(k.Name, "the keys are ", names(keys)))
			continue
		}
		keys[i].Read(k)
	}
}

func names(keys []Known) []string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.Name
	}
	return list
}

// Hint says which name was probably meant. Of a file that is wrong throughout
// only the first problems are shown, and only they are worth a search.
func (r *Reader) Hint(name, list string, names []string) string {
	if len(r.problems) <= MaxErrors {
		if near := spell.Nearest(name, names); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	if len(names) == 0 {
		return "there is none"
	}
	return list + strings.Join(names, ", ")
}

// List takes a list apart. A value that is no list is a list of one.
func (r *Reader) List(f Field) []Field {
	switch {
	case f.Node.Kind == yaml.ScalarNode && f.Node.Tag == "!!null":
		return nil
	case f.Node.Kind != yaml.SequenceNode:
		return []Field{f}
	}
	var out []Field
	for i, n := range f.Node.Content {
		e := Field{fmt.Sprintf("%s[%d]", f.Path, i), f.Name, At(n), n}
		if n.Kind == yaml.AliasNode {
			r.Wrong(e, "an alias: write the value out, so that every place can be read by itself")
			continue
		}
		out = append(out, e)
	}
	return out
}

// Text is a value that is one word or line.
func (r *Reader) Text(f Field) (string, bool) {
	switch {
	case f.Node.Kind != yaml.ScalarNode:
		r.Wrong(f, "must be one value, but this is %s", Kind(f.Node))
		return "", false
	case f.Node.Value == "":
		r.Wrong(f, "empty: fill it in, or leave %s out", Quote(f.Name))
		return "", false
	case strings.ContainsFunc(f.Node.Value, func(c rune) bool { return !unicode.IsGraphic(c) }):
		r.Wrong(f, "a control character in %s: take it out", Quote(f.Node.Value))
		return "", false
	}
	return f.Node.Value, true
}
