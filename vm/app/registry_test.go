package app_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/vm/app"
)

var update = flag.Bool("update", false, "write the list of programs in docs/guests.md anew")

func TestWrongArgumentsAreNamed(t *testing.T) {
	for name, row := range map[string]struct {
		program string
		args    map[string]string
		says    []string
	}{
		"program":    {"htpt", nil, []string{"no such program", "htpt", "bulk-recv", "udp-sink"}},
		"argument":   {"http", map[string]string{"prot": "80"}, []string{"http: no such argument", "prot", "port, work"}},
		"takes none": {"router", map[string]string{"x": ""}, []string{"router", "it takes none"}},
		"port":       {"http", map[string]string{"port": "0"}, []string{"argument port", `"0"`, "a port, 1 to 65535"}},
		"count":      {"ping", map[string]string{"to": "x", "count": "many"}, []string{"argument count", "a number, 1 to 1000000"}},
		"size":       {"ping", map[string]string{"to": "x", "size": "1t"}, []string{"argument size", "64k"}},
		"span":       {"http", map[string]string{"work": "-1s"}, []string{"argument work", "10ms"}},
		"rate":       {"udp-blast", map[string]string{"to": "x:1", "rate": "fast"}, []string{"argument rate", "mbit"}},
		"flag":       {"firewall", map[string]string{"pass": "maybe"}, []string{"argument pass", "on or off"}},
		"end":        {"bulk-send", map[string]string{"to": "10.0.0.1"}, []string{"argument to", "HOST:PORT"}},
		"required":   {"bulk-send", nil, []string{"argument to is required", "where a bulk-recv listens"}},
		"url":        {"http-get", map[string]string{"url": "ftp://x/"}, []string{"argument url", "http://HOST"}},
		"url's port": {"http-get", map[string]string{"url": "http://x:65536/"}, []string{"argument url", "http://HOST"}},
		"address":    {"dhcp-server", map[string]string{"range": "10.0.0.1-10.0.0.9", "dns": "::1"}, []string{"argument dns", "an IPv4 address"}},
		"range":      {"dhcp-server", map[string]string{"range": "10.0.0.9-10.0.0.1"}, []string{"argument range", "FIRST-LAST"}},
		"long range": {"dhcp-server", map[string]string{"range": "10.0.0.1-10.1.0.1"}, []string{"argument range", "up to 65536"}},
		"hosts":      {"dns", map[string]string{"hosts": "a=b"}, []string{"argument hosts", "NAME=ADDRESS"}},
		"rules":      {"firewall", map[string]string{"rules": "let tcp"}, []string{"argument rules"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := app.New(row.program, row.args)
			for _, s := range row.says {
				require.ErrorContains(t, err, s)
			}
		})
	}
}

func TestRulesThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"let tcp":             `"let" is not pass or drop`,
		"pass warp":           `"warp" is not a word of rules`,
		"pass from":           "nothing behind from",
		"pass from nowhere":   "not a network or an address",
		"pass port 80":        "ports are of tcp or udp",
		"pass tcp port 90-80": "not a port or a range",
		"pass tcp port 0":     "not a port or a range",
		"pass; drop 256":      `rule "drop 256"`,
	} {
		_, err := app.ParseRules(text)
		require.ErrorContains(t, err, says, text)
	}
	rules, err := app.ParseRules("pass in tcp from 10.0.0.7/24 to 2001:db8::1 port 80-90 ;; drop 89;")
	require.NoError(t, err)
	require.Len(t, rules, 2)
	require.Equal(t, "10.0.0.0/24", rules[0].From.String())
	require.Equal(t, "2001:db8::1/128", rules[0].To.String())
	require.Equal(t, app.Ports{First: 80, Last: 90}, rules[0].ToPorts)
	require.EqualValues(t, 89, rules[1].Proto)
}

func TestRatesAndSizesAreReadAsWritten(t *testing.T) {
	spec, _ := app.Lookup("udp-blast")
	for _, a := range spec.Args {
		for text, ok := range map[string]bool{
			"100mbit": a.Name == "rate", "2.5gbit": a.Name == "rate", "1.2345kbit": false, "0bit": false, "9999gbit": false, "1k": a.Name == "size", "65507": a.Name == "size" || a.Name == "count", "64k": false,
		} {
			if a.Name == "rate" || a.Name == "size" {
				require.Equal(t, ok, a.Check(text) == nil, "%s=%s", a.Name, text)
			}
		}
	}
}

// Defaults are values that can stand there.
func TestDefaultsAreGood(t *testing.T) {
	for _, name := range app.Names() {
		spec, ok := app.Lookup(name)
		require.True(t, ok)
		require.NotEmpty(t, spec.Does)
		for _, a := range spec.Args {
			require.NotEmpty(t, a.Does, "%s %s", name, a.Name)
			if !a.Required {
				require.NoError(t, a.Check(a.Default), "%s %s", name, a.Name)
			}
		}
	}
}

// table is the list of programs as docs/guests.md has it.
func table() string {
	var b strings.Builder
	for _, name := range app.Names() {
		spec, _ := app.Lookup(name)
		fmt.Fprintf(&b, "### %s\n\n%s.\n", name, upper(spec.Does))
		if spec.Forward {
			b.WriteString("The machine must forward packets.\n")
		}
		if len(spec.Args) > 0 {
			b.WriteString("\n| argument | is | if it is not given | does |\n|---|---|---|---|\n")
		}
		for _, a := range spec.Args {
			byDefault := a.Default
			if a.Required {
				byDefault = "(required)"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", a.Name, strings.ReplaceAll(a.Kind, "|", `\|`), byDefault, a.Does)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// The list in the documentation is the registry's. -update writes it anew.
func TestTheDocumentedProgramsAreThoseOfTheRegistry(t *testing.T) {
	const file, begin, end = "../../docs/guests.md", "<!-- programs -->\n\n", "<!-- end of programs -->"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	got, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+table()+end+after), 0o666))
		return
	}
	require.Equal(t, table(), got, "run the test with -update")
}
