package programs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"ringside/internal/form"
	"ringside/vm/app"
)

// read reads a list of programs that begins in the first line.
func readText(t *testing.T, text string) ([]Entry, error) {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	r := &form.Reader{File: "p.yaml", Noun: "lab", Schema: "x"}
	list := Read(r, form.Field{Path: "run", Name: "run", Key: form.At(doc.Content[0]), Node: doc.Content[0]})
	return list, r.Err()
}

func TestProgramsAreReadInTheirOrder(t *testing.T) {
	list, err := readText(t, `[http, {ping: {to: 10.0.0.1, count: 3}, as: probe, start: 5ms}, {firewall: {rules: [pass in tcp port 80, drop], pass: on}}, {dns: {hosts: [a=10.0.0.1, b=10.0.0.2]}}, router]`)
	require.NoError(t, err)
	var names, programs []string
	for _, e := range list {
		names, programs = append(names, e.Name), append(programs, e.Program)
		assert.NotNil(t, e.Main)
	}
	assert.Equal(t, []string{"http", "probe", "firewall", "dns", "router"}, names)
	assert.Equal(t, []string{"http", "ping", "firewall", "dns", "router"}, programs)
	assert.True(t, Forward(list))
	assert.False(t, Forward(list[:4]))
	require.Len(t, Processes(list), 5)
	assert.Equal(t, "probe", Processes(list)[1].Name)
	var rules []string
	for _, r := range list[2].Results() {
		rules = append(rules, r.Name)
	}
	assert.Subset(t, rules, []string{"rule-1", "rule-2", "default"})
	assert.NotContains(t, rules, "rule-3")
}

func TestOneProgramIsAListOfOne(t *testing.T) {
	list, err := readText(t, "http")
	require.NoError(t, err)
	assert.Len(t, list, 1)
	assert.Nil(t, Processes(nil))
}

func TestWhatIsWrongWithAProgramIsToldWithItsPlace(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"[htp]", `p.yaml:1:2: run[0]: there is no program "htp": did you mean "http"?`},
		{"[{htp: {}}]", `p.yaml:1:3: run[0]: there is no program "htp": did you mean "http"?`},
		{"[{as: x}]", "p.yaml:1:2: run[0]: which program? There are bulk-recv"},
		{"[{http: , echo: }]", `p.yaml:1:11: run[0]: a second program, "echo", in one entry`},
		{"[http, http]", "p.yaml:1:8: run[1]: a second process named http, the first is on line 1: give it another name, as in {http: {…}, as: http2}"},
		{"[http, {echo: , as: http}]", "p.yaml:1:9: run[1]: a second process named http"},
		{"[{http: {prot: 80}}]", `p.yaml:1:10: run[0].http: unknown key "prot": did you mean "port"?`},
		{"[{http: {port: 0}}]", `p.yaml:1:16: run[0].http.port: "0" is not a port, 1 to 65535`},
		{"[{http: {port: {}}}]", "p.yaml:1:16: run[0].http.port: must be one value, but this is a list of keys"},
		{"[{http: {port: [[1]]}}]", "must be one value, but this is a list"},
		{"[{http: 80}]", `p.yaml:1:9: run[0].http: must be the arguments of http, but this is "80"`},
		{"[{ping: {count: 3}}]", "p.yaml:1:3: run[0]: ping needs to: whom to ask, a host's name or address"},
		{"[ping]", "p.yaml:1:2: run[0]: ping needs to"},
		{"[{ping: {to: a}, start: soon}]", `run[0].start: "soon" is not a span with its unit`},
		{"[{firewall: {rules: [let it be]}}]", "p.yaml:1:21: run[0].firewall.rules: "},
		{"[{dns: {hosts: [a]}}]", "p.yaml:1:16: run[0].dns.hosts: "},
		{"[[http]]", "p.yaml:1:2: run[0]: must be a program, as http or {http: {port: 80}}, but this is a list"},
	} {
		_, err := readText(t, c.text)
		if assert.Error(t, err, c.text) {
			assert.Contains(t, err.Error(), c.says, c.text)
		}
	}
}

// The table of results has every program that there is, and no other.
func TestEveryProgramHasItsResults(t *testing.T) {
	for _, name := range app.Names() {
		assert.NotEmpty(t, Results(name), name)
	}
	for name := range results {
		_, ok := app.Lookup(name)
		assert.True(t, ok, name)
	}
}

// What a program's text of results says in its comment are those of the table; names
// are words that expectations can have.
func TestResultsHaveNamesThatExpectationsCanHave(t *testing.T) {
	for program, list := range results {
		seen := map[string]bool{}
		for _, r := range list {
			assert.False(t, seen[r.Name], "%s: %s twice", program, r.Name)
			seen[r.Name] = true
			assert.Empty(t, strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789-"), r.Name)
		}
	}
}
