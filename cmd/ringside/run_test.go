package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/internal/scenario"
)

// story writes a scenario of two hosts to a file, with those expectations.
func story(t *testing.T, name, expect string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(`schema: ringside.scenario/1
about: two bridges with spanning trees say hello
duration: 5s
hosts:
  a: {bridges: {br0: {stp_state: on}}}
  b: {bridges: {br0: {stp_state: on, priority: 0}}}
cables: [{name: trunk, a: a/eth0, b: b/eth0}]
faults: [{at: 3s, pull: trunk}]
expect: [`+expect+`]
`), 0o600))
	return file
}

func TestRunTellsWhatCameOfExpectations(t *testing.T) {
	code, out, errs := call(t, "run", story(t, "x.yaml", "cables.trunk.to_a.out >= 1, time >= 5s"), "--width", "80")
	require.Equal(t, exitOK, code, errs)
	for _, s := range []string{"two bridges with spanning trees say hello", "at       3 s: pull trunk", "trunk to a:eth0", "yes  cables.trunk.to_a.out >= 1", "yes  time >= 5 s"} {
		assert.Contains(t, out, s)
	}
	for _, line := range strings.Split(out, "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 80, line)
	}
}

func TestRunFailsForAnExpectationThatIsNotMet(t *testing.T) {
	file := story(t, "x.yaml", `{that: cables.trunk.to_a.out == 9, why: the root says hello every 2 s}`)
	code, out, errs := call(t, "run", file)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "NO   cables.trunk.to_a.out == 9")
	assert.Contains(t, out, "the root says hello every 2 s")
	assert.Contains(t, errs, "ringside: not as expected: "+file)
}

func TestRunRefusesWhatIsNotRight(t *testing.T) {
	bad := story(t, "bad.yaml", "cables.trunc.to_a.out == 1")
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "run: name a scenario"},
		{[]string{"none.yaml"}, "none.yaml"},
		{[]string{bad}, `bad.yaml:9:10: expect[0]: there is no "trunc" in cables: did you mean "trunk"?`},
		{[]string{bad, bad, "--out", "x"}, "one file has room for one run"},
		{[]string{bad, "--book", "nosuch"}, "nosuch"},
		{[]string{bad, "--seed", "x"}, "--seed"},
		{[]string{bad, "--until", "x"}, "--until"},
	} {
		code, _, errs := call(t, append([]string{"run"}, c.args...)...)
		assert.Equal(t, exitUsage, code, errs)
		assert.Contains(t, errs, c.says)
	}
}

func TestRunOfSeveralFilesIsALineEach(t *testing.T) {
	good, bad := story(t, "good.yaml", "time >= 5s"), story(t, "bad.yaml", "time == 4s")
	code, out, errs := call(t, "run", good, bad)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "ok   good ")
	assert.Contains(t, out, "NOT  bad ")
	assert.Contains(t, out, "found 5 s")
	assert.True(t, strings.HasSuffix(out, "1 of 2 scenarios as expected\n"), out)
	assert.Contains(t, errs, bad)
	assert.NotContains(t, errs, good)
}

func TestRunAsJSON(t *testing.T) {
	file := story(t, "x.yaml", "cables.trunk.to_a.out >= 1")
	code, out, errs := call(t, "run", file, "--json", "--seed", "0x7")
	require.Equal(t, exitOK, code, errs)
	var r scenario.Result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Equal(t, "ringside.run/1", r.Schema)
	assert.Equal(t, uint64(7), r.Seed)
	assert.True(t, r.Met)
	require.Len(t, r.Expectations, 1)
	assert.Equal(t, 9, r.Expectations[0].Line)
	assert.Equal(t, int64(3e9), r.Faults[0].AtNs)
	_, again, _ := call(t, "run", file, "--json", "--seed", "0x7")
	assert.Equal(t, out, again)
}

func TestRunChecksFilesWithoutRunningThem(t *testing.T) {
	code, out, errs := call(t, "run", story(t, "x.yaml", "time == 4s"), "--check")
	assert.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "2 hosts, 0 peers, 1 expectation\n")
}

func TestRunListsWhatCanBeExpected(t *testing.T) {
	code, out, errs := call(t, "run", story(t, "x.yaml", "time >= 5s"), "--facts")
	require.Equal(t, exitOK, code, errs)
	for _, s := range []string{"  a.bill.cycles ", "  drops.FULL_RING ", "  cables.trunk.to_b.lost ", "  time "} {
		assert.Contains(t, out, s)
	}
}

func TestRunListsPrograms(t *testing.T) {
	code, _, errs := call(t, "run", "--list-programs")
	assert.Equal(t, exitOK, code, errs)
}

func TestRunEndsEarlierIfToldTo(t *testing.T) {
	code, out, _ := call(t, "run", story(t, "x.yaml", "time < 2s"), "--until", "1s")
	assert.Equal(t, exitOK, code, out)
}

// A capture of several hosts has the interfaces of each.
func TestRunWritesACaptureOfAllHosts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcapng")
	code, _, errs := call(t, "run", story(t, "x.yaml", "time >= 5s"), "--out", file)
	require.Equal(t, exitOK, code, errs)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, name := range []string{"a/wire", "a/bridge", "b/wire", "b/vm"} {
		assert.Contains(t, string(text), name)
	}
	code, _, _ = call(t, "run", file, "--out", file)
	assert.Equal(t, exitUsage, code)
}

func TestRunPrintsTheBillOfEachHost(t *testing.T) {
	code, out, errs := call(t, "run", story(t, "x.yaml", "time >= 5s"), "--bill")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "THE BILL OF A\n")
	assert.Contains(t, out, "THE BILL OF B\n")
}

// What a program logs is shown to who asks for it.
func TestRunShowsWhatProgramsLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`schema: ringside.scenario/1
duration: 100ms
hosts: {a: {vms: {web: {addresses: 10.0.0.2/24}}}}
peers: {client: {at: a/eth0, addresses: 10.0.0.1/24, run: [{http-get: {url: "http://10.0.0.2/"}}]}}
expect: [peers.client.http-get.failed == 1]
`), 0o600))
	code, _, errs := call(t, "run", file, "-v")
	require.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `us client: http-get/0: request 0: .*refused`, errs)
	_, _, errs = call(t, "run", file)
	assert.Empty(t, errs)
}
