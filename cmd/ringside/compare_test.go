package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/internal/compare"
	"ringside/internal/workload"
)

func TestCompareSetsEveryPathBesideTheOthers(t *testing.T) {
	dir := t.TempDir()
	svg, csv, out := filepath.Join(dir, "a.svg"), filepath.Join(dir, "a.csv"), filepath.Join(dir, "a.json")
	args := []string{"compare", "--load", "64@1mpps", "--for", "2ms", "--svg", svg, "--csv", csv, "--out", out}
	code, page, errs := call(t, args...)
	require.Zero(t, code, errs)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	var r compare.Result
	require.NoError(t, json.Unmarshal(text, &r))
	assert.Equal(t, compare.Schema, r.Schema)
	require.Len(t, r.Rows, 4*len(ringside.Paths()))
	for i := range r.Rows {
		row := &r.Rows[i]
		assert.Empty(t, row.Cannot, row.Point)
		assert.Positive(t, row.CyclesPerFrame, row.Point)
		assert.NotEmpty(t, row.TraceHash, row.Point)
		assert.Contains(t, page, "\n"+row.Path, "a row of the page")
		if row.Path != "native" {
			assert.NotEmpty(t, row.GivesUp, row.Point)
		}
	}
	for _, name := range []string{svg, csv} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Contains(t, string(b), "sriov", name)
	}
	// The same bytes whoever runs how many at once.
	code, again, _ := call(t, append(args, "--jobs", "1", "--json")...)
	require.Zero(t, code)
	assert.Equal(t, string(text), again)
}

func TestCompareOfACapture(t *testing.T) {
	code, out, errs := call(t, "compare", "../../testdata/mix.pcap", "--path", "native,vhost", "--pinning", "on", "--pages", "1g", "--width", "60")
	require.Zero(t, code, errs)
	assert.Contains(t, out, "vhost        on     1g")
	assert.NotContains(t, out, "sriov")
}

func TestCompareRefusesWhatMeansNothing(t *testing.T) {
	for _, row := range []struct {
		args string
		says string
	}{
		{"", "what comes on the wire"},
		{"x.pcap", "no such file"},
		{"../../testdata/mix.pcap --load 64", "give one of them"},
		{"--load 64 --path nativ", "there is no path"},
		{"--load 64 --path native,native", "twice"},
		{"--load 64 --pages 3m", "4k"},
		{"--load 64 --pinning maybe", "on"},
		{"--load 64 --speed top", "for captures"},
		{"--workload l2fw", "did you mean"},
		{"--workload l2fwd --load 64", "does not go with --workload"},
		{"--workload l2fwd x.pcap", "load of its own"},
		{"--workload l2fwd --machine nothing", "no machine"},
	} {
		code, _, errs := call(t, append([]string{"compare"}, strings.Fields(row.args)...)...)
		assert.Equal(t, 2, code, row.args)
		assert.Contains(t, errs, row.says, row.args)
	}
}

func TestWorkloadsAreRunOnAnyMachine(t *testing.T) {
	machine := filepath.Join(t.TempDir(), "new.yaml")
	require.NoError(t, os.WriteFile(machine, []byte("schema: ringside.machine/1\nname: new\nclock_hz: 5_000_000_000\n"), 0o600))
	rate := func(args ...string) map[string]float64 {
		code, out, errs := call(t, append([]string{"compare", "--workload", "all", "--json"}, args...)...)
		require.Zero(t, code, errs)
		var w workloads
		require.NoError(t, json.Unmarshal([]byte(out), &w))
		require.Len(t, w.Rows, len(workload.Cases()))
		m := map[string]float64{}
		for _, r := range w.Rows {
			m[r.Workload] = r.CorePPS
		}
		return m
	}
	slow, fast := rate("--machine", "e5-2620v3-1.2"), rate("--machine", machine)
	for name, pps := range slow {
		assert.Greater(t, fast[name], pps, "%s on a core of four times the clock", name)
	}
}
