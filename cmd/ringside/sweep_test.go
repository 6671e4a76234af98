package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/internal/sweep"
	"ringside/load"
)

func TestLoadSaysWhatIsDelivered(t *testing.T) {
	code, out, errs := call(t, "load", "64@1mpps", "--for", "5ms")
	require.Zero(t, code, errs)
	for _, want := range []string{"offered       1000000 frames a second", "of 7000 frames in all 7000 arrived, 0 lost, 0 doubled, 0 out of order", "100 interrupts"} {
		assert.Contains(t, out, want)
	}
	code, out, errs = call(t, "load", "imix@1gbps,poisson", "--for", "5ms", "--vms", "3", "--json", "--interrupts", "per-frame")
	require.Zero(t, code, errs)
	var got struct {
		Schema string
		ringside.Trial
		Report ringside.Report
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	assert.Equal(t, "ringside.load/1", got.Schema)
	assert.Equal(t, "imix@1gbps,poisson", got.Load)
	assert.Equal(t, got.Frames.Sent, got.Report.Conservation.FromWire)
	assert.Equal(t, 3, got.Report.Machine.VMs)
}

func TestSearchFindsAThroughputThatHolds(t *testing.T) {
	args := []string{"--cpus", "1", "--for", "5ms"}
	code, out, errs := call(t, append([]string{"load", "64", "--search", "--json"}, args...)...)
	require.Zero(t, code, errs)
	var got struct {
		Schema string
		load.Found
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	assert.Equal(t, "ringside.throughput/1", got.Schema)
	require.Positive(t, got.PPS)
	again := func(pps uint64) string {
		code, out, errs := call(t, append([]string{"load", "64@" + load.Rate{PPS: pps}.String()}, args...)...)
		require.Zero(t, code, errs)
		return out
	}
	assert.Contains(t, again(got.PPS), " 0 lost")
	assert.NotContains(t, again(got.PPS+2*got.Resolution), " 0 lost")
	code, out, _ = call(t, append([]string{"load", "64", "--search"}, args...)...)
	assert.Zero(t, code)
	assert.Contains(t, out, "throughput ")
}

func TestLoadAndSweepToldWhatIsRight(t *testing.T) {
	inTestdata(t)
	for args, says := range map[string]string{
		"load":                                  "say what is offered, as in ringside load 64@1mpps",
		"load 32":                               `size "32": give bytes with FCS from 64`,
		"load 64@20mpps":                        "a line of 10gbps carries 14880952 of these",
		"load 64 --speed top":                   "--speed is for captures",
		"load 64 --loss 5":                      "are for --search",
		"load 64 --for 0s":                      "give a span of virtual time up to 100s",
		"load 64@1mpps --defer-hard-irqs 2":     "go together",
		"load 64@1mpps --interrupts never":      "give napi or per-frame",
		"load 64@1mpps --rps 64":                "give CPUs from 0 to 63",
		"load 64,gap=1us --search":              "a gap between bursts leaves it nothing to set",
		"sweep":                                 "name a knob and its range",
		"sweep itr":                             "name a knob and its range",
		"sweep itr 1..5":                        "say how many steps there are",
		"sweep itr 0..100us/3 --load 64":        "itr 33.333333us: give a span of 1us to 8191us in whole microseconds",
		"sweep knob 1,2 --load 64":              `there is no knob "knob"`,
		"sweep json 1,2 --load 64":              `there is no knob "json"`,
		"sweep itr off,5us":                     "what comes on the wire?",
		"sweep itr off mix.pcap --load 64":      "a load and captures",
		"sweep rate 1pps mix.pcap":              "captures have none",
		"sweep itr 5us -":                       "standard input can be read once",
		"sweep itr 5us none.pcap":               "none.pcap: no such file",
		"sweep size 64,20 --load 64":            `size 20: load "20"`,
		"sweep rate 1mpps,x --load 64":          `rate x: rate "x"`,
		"sweep itr 5us --load 64 --by itr=1us":  "give another knob",
		"sweep itr 5us --load 64 --by batch":    "give another knob and its values",
		"sweep itr 5us --load 64 --shard 3/3":   "--shard 3/3: give a part and how many",
		"sweep itr 5us --load 64 --shard job/3": "JOB_COMPLETION_INDEX",
		"sweep --merge":                         "name the parts",
		"sweep --merge mix.pcap":                "not a ringside.sweep/1",
		"sweep --merge none.json":               "none.json",
	} {
		code, out, errs := call(t, strings.Fields(args)...)
		assert.Equal(t, exitUsage, code, args)
		assert.Contains(t, errs, says, args)
		assert.Empty(t, out, args)
	}
}

// The same rows by one worker and by many, in parts and in one piece, begun and gone
// on with: byte for byte.
func TestASweepIsTheSameHoweverItIsDone(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	args := func(more ...string) []string {
		return append(strings.Fields("sweep itr 0..100us/5 --load 64@500kpps,flows=9 --vms 2 --for 2ms --by batch=1,8"), more...)
	}
	ok := func(args []string) string {
		t.Helper()
		code, out, errs := call(t, args...)
		require.Zero(t, code, errs)
		return out
	}
	want := ok(args("--jobs", "1", "--json"))
	assert.Equal(t, want, ok(args("--jobs", "7", "--json")))

	t.Setenv("JOB_COMPLETION_INDEX", "2")
	ok(args("--shard", "job/3", "--out", in("2")))
	ok(args("--shard", "0/3", "--out", in("0")))
	ok(args("--shard", "1/3", "--out", in("1")))
	assert.Equal(t, want, ok([]string{"sweep", "--merge", in("0"), in("2"), in("1"), "--json"}))

	ok(args("--state", in("state")))
	state, err := os.ReadFile(in("state"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(in("state"), state[:len(state)/2], 0o666))
	assert.Equal(t, want, ok(args("--state", in("state"), "--json", "--csv", in("csv"), "--svg", in("svg"))))
	csv, err := os.ReadFile(in("csv"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(csv)), "\n")
	assert.Len(t, lines, 13)
	assert.True(t, strings.HasPrefix(lines[0], "batch,itr,offered_pps,delivered_pps,"), lines[0])
	svg, err := os.ReadFile(in("svg"))
	require.NoError(t, err)
	assert.Contains(t, string(svg), "</svg>")

	code, _, errs := call(t, args("--state", in("state"), "--seed", "2")...)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "it belongs to another sweep; give another file, or remove that one")
}

// A row is what the run of its point alone says.
func TestARowIsThePointsOwnRun(t *testing.T) {
	inTestdata(t)
	code, out, errs := call(t, "sweep", "ring", "64,256", "udp-flood.pcap", "--speed", "top", "--vms", "2", "--json")
	require.Zero(t, code, errs)
	r, err := sweep.ReadJSON(strings.NewReader(out))
	require.NoError(t, err)
	require.Len(t, r.Rows, 2)
	for _, row := range r.Rows {
		code, out, errs := call(t, "replay", "udp-flood.pcap", "--speed", "top", "--vms", "2", "--ring", row.Value, "--json")
		require.Zero(t, code, errs)
		var rep ringside.Report
		require.NoError(t, json.Unmarshal([]byte(out), &rep))
		assert.Equal(t, rep.TraceHash, row.TraceHash)
		assert.Equal(t, rep.Totals.Interrupts, row.Interrupts)
	}
	code, out, errs = call(t, "load", "64@700kpps", "--batch", "8", "--for", "3ms", "--json")
	require.Zero(t, code, errs)
	var one struct{ Report ringside.Report }
	require.NoError(t, json.Unmarshal([]byte(out), &one))
	code, out, errs = call(t, "sweep", "batch", "8", "--load", "64@700kpps", "--for", "3ms", "--json")
	require.Zero(t, code, errs)
	r, err = sweep.ReadJSON(strings.NewReader(out))
	require.NoError(t, err)
	assert.Equal(t, one.Report.TraceHash, r.Rows[0].TraceHash)
}

// Every knob that help names can be turned.
func TestKnobsCanBeTurned(t *testing.T) {
	for knob, values := range map[string]string{
		"itr": "off,20us", "queues": "1,2", "batch": "1,8", "link": "10G,25G", "cpus": "1,3", "vms": "1,3",
		"guest": "sink,slow=1us", "book": "linux-xeon,unit", "mitigations": "off,on", "interrupts": "napi,per-frame", "napi-weight": "1,64",
		"gro-normal-batch": "1,8", "threaded": "false,true",
		"busy-poll": "0,20us", "adaptive-itr": "false,true", "rps": "off,0-1", "rate": "10%,100kpps", "size": "64,imix", "flows": "1..10/1", "burst": "1,32",
		"warmup": "1ms,2ms",
	} {
		turn(t, "64@200kpps", knob, values)
	}
	for knob, values := range map[string]string{ // only seen when there is too much to do
		"ring": "64,128", "tap-queue": "10,100", "drop-en": "false,true",
	} {
		turn(t, "64@5mpps", knob, values)
	}
	turn(t, "64@8mpps,flows=64", "netdev-budget", "10,300", "--queues", "4", "--cpus", "1")
	turn(t, "64@8mpps,flows=64", "netdev-budget-time", "0,1us", "--queues", "4", "--cpus", "1")
	turn(t, "64@5mpps", "max-backlog", "10,1000", "--interrupts", "per-frame")
}

func turn(t *testing.T, load, knob, values string, more ...string) {
	t.Helper()
	code, out, errs := call(t, append([]string{"sweep", knob, values, "--load", load, "--for", "1ms", "--json"}, more...)...)
	require.Zero(t, code, "%s: %s", knob, errs)
	r, err := sweep.ReadJSON(strings.NewReader(out))
	require.NoError(t, err)
	assert.NotEqual(t, r.Rows[0].TraceHash, r.Rows[1].TraceHash, "%s changes nothing", knob)
}

func TestAnInterruptedSweepWritesNoFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code, _, errs := callWith(t, ctx, nil, "sweep", "itr", "off", "--load", "64@1mpps", "--out", out)
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, errs, "interrupted")
	assert.NoFileExists(t, out)
}
