package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// circle is a lab of two bridges with two cables and no spanning tree.
func circle(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "circle.yaml")
	require.NoError(t, os.WriteFile(name, []byte(`schema: ringside.lab/1
bridges: {br0: {}, br1: {}}
patches:
  - {a: {name: p0, bridge: br0}, b: {name: p1, bridge: br1}}
  - {a: {name: q0, bridge: br0}, b: {name: q1, bridge: br1}}
`), 0o600))
	return name
}

const arpCapture = "../../testdata/arp.pcap"

// A storm ends a run that has no other end, with what to do; up to a time it may
// rage, and the report says so.
func TestAStormIsToldWithWhatHelps(t *testing.T) {
	lab := circle(t)
	for _, args := range [][]string{
		{"replay", arpCapture}, {"bridge", "fdb", "show", arpCapture}, {"bridge", "monitor", arpCapture},
		{"explain", "--port", "eth0", "--src", "02:00:00:00:00:11", "--dst", "02:00:00:00:00:12", "--after", arpCapture},
	} {
		code, _, errs := call(t, append(args, "--config", lab)...)
		assert.NotEqual(t, exitOK, code, args)
		assert.Contains(t, errs, "in a circle of br0, br1", args)
		assert.Contains(t, errs, "--until 5ms", args)
	}
	code, out, errs := call(t, "replay", arpCapture, "--config", lab, "--until", "5ms")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "FRAMES GO IN CIRCLES\n")
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "in a circle of br0, br1: p0 ")
	code, out, errs = call(t, "replay", arpCapture, "--config", lab, "--until", "5ms", "--json")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, `"storm": {`)
}

// The report has the bridges where a lab describes them, and they fit on the page.
func TestAReportHasTheBridgesOfALab(t *testing.T) {
	code, plain, errs := call(t, "replay", arpCapture)
	require.Equal(t, exitOK, code, errs)
	assert.NotContains(t, plain, "\nBRIDGES\n")
	for _, columns := range []int{60, 100} {
		code, out, errs := call(t, "replay", "../../testdata/mix.pcap", "--config", "../../testdata/labs/stp.yaml", "--width", strconv.Itoa(columns))
		require.Equal(t, exitOK, code, errs)
		_, rest, ok := strings.Cut(out, "\nBRIDGES\n")
		require.True(t, ok)
		section, _, _ := strings.Cut(rest, "\n\n")
		assert.Contains(t, strings.Join(strings.Fields(section), " "), "root of the spanning tree")
		assert.Regexp(t, `(?m)^ +port +rx +tx +drops +state$`, section)
		assert.Contains(t, section, "blocking")
		for _, l := range strings.Split(section, "\n") {
			assert.LessOrEqual(t, utf8.RuneCountInString(l), columns, l)
		}
	}
}
