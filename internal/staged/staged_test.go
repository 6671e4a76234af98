package staged_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/internal/capture"
	"ringside/internal/staged"
	"ringside/sim"
	"ringside/trace"
	"ringside/vm"
)

var base = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func stage(t *testing.T, r ringside.Replay, cfg ringside.Config) ([]byte, *ringside.Report, *staged.Writer) {
	t.Helper()
	var out bytes.Buffer
	w := staged.New(&out, staged.Options{Application: "test", Base: base, LinkBPS: 10e9})
	cfg.Sink = w
	rep, err := r.Run(cfg, func(h *ringside.Host) error { return w.Finish(h.Engine.Now()) })
	require.NoError(t, err)
	return out.Bytes(), rep, w
}

// A seen is one packet of the file, as tshark reads it.
type seen struct {
	at                   string
	iface, id, dir, fate string
	queue                string
	length               int
}

func tshark(t *testing.T, file []byte) []seen {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	name := filepath.Join(t.TempDir(), "stages.pcapng")
	require.NoError(t, os.WriteFile(name, file, 0o666))
	args := []string{"-n", "-r", name, "-T", "fields", "-E", "separator=,", "-E", "quote=d", "-E", "aggregator= "}
	for _, f := range []string{"frame.time_epoch", "frame.interface_name", "frame.packet_id", "frame.packet_flags_direction", "frame.comment", "frame.interface_queue", "frame.len"} {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	require.NoError(t, err)
	var list []seen
	for _, r := range rows {
		n, _ := strconv.Atoi(r[6])
		list = append(list, seen{r[0], r[1], r[2], r[3], r[4], r[5], n})
	}
	return list
}

func TestOneFramesWayHasOneID(t *testing.T) {
	file, _, w := stage(t, ringside.Replay{Files: []string{"../../testdata/udp-flood.pcap"}, Limit: 5, VMs: 1}, ringside.Config{})
	list := tshark(t, file)
	require.Len(t, list, int(w.Packets()))
	var way, fates []string
	for _, p := range list {
		if p.id == "3" {
			way, fates = append(way, p.iface), append(fates, p.fate)
			assert.Equal(t, 60, p.length)
			assert.Equal(t, "0x00000001", p.dir, "inbound")
		}
	}
	assert.Equal(t, []string{"wire", "nic", "driver", "bridge", "tap", "vm"}, way)
	assert.Equal(t, "verdict=deliver vm=vm0", fates[5])
}

func TestWireHasTheCapturesOwnTimes(t *testing.T) {
	const name = "../../testdata/ipv6-nd.pcap" // nowhere faster than the link
	file, _, _ := stage(t, ringside.Replay{Files: []string{name}}, ringside.Config{})
	rd, err := capture.Open(name)
	require.NoError(t, err)
	defer rd.Close()
	var first int64
	for _, p := range tshark(t, file) {
		if p.iface != "wire" {
			continue
		}
		rec, err := rd.Next()
		require.NoError(t, err)
		if first == 0 {
			first = rec.Time
		}
		want := base.UnixNano() + rec.Time - first
		assert.Equal(t, strconv.FormatInt(want, 10), strings.Replace(p.at, ".", "", 1), "packet %d", rec.Number)
	}
}

func TestDropsFloodsAndAnswersAreToldApart(t *testing.T) {
	file, rep, _ := stage(t, ringside.Replay{
		Files: []string{"../../testdata/udp-flood.pcap"}, Limit: 300, VMs: 2, Speed: ringside.TopSpeed, Program: vm.Slow(sim.Millisecond),
	}, ringside.Config{TapQueue: 8})
	drops := 0
	for _, p := range tshark(t, file) {
		if strings.Contains(p.fate, "reason=FULL_RING") {
			drops++
			assert.Equal(t, "tap", p.iface)
			assert.Contains(t, p.fate, "verdict=drop")
		}
	}
	assert.Equal(t, int(rep.Conservation.Dropped["FULL_RING"]), drops)

	file, _, _ = stage(t, ringside.Replay{Files: []string{"../../testdata/arp.pcap"}, VMs: 1, Program: vm.Reflect}, ringside.Config{})
	var flooded, out int
	for _, p := range tshark(t, file) {
		if strings.Contains(p.fate, "verdict=flood") {
			flooded++
		}
		if p.iface == "wire" && p.dir == "0x00000002" {
			out++
			assert.Contains(t, p.fate, "verdict=deliver")
		}
	}
	assert.NotZero(t, flooded)
}

func TestJumboFramesAreWhole(t *testing.T) {
	const name = "../../testdata/jumbo.pcap"
	file, _, _ := stage(t, ringside.Replay{Files: []string{name}}, ringside.Config{})
	var originals [][]byte
	rd, err := capture.Open(name)
	require.NoError(t, err)
	defer rd.Close()
	for {
		rec, err := rd.Next()
		if err != nil {
			break
		}
		originals = append(originals, bytes.Clone(rec.Data))
	}
	// Read by a reader that has nothing to do with the writer.
	ng, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{})
	require.NoError(t, err)
	at := map[int]int{}
	for {
		data, ci, err := ng.ReadPacketData()
		if err != nil {
			break
		}
		if ci.InterfaceIndex == int(trace.Driver) { // frames over several buffers, in the order of the ring
			want := originals[at[ci.InterfaceIndex]]
			at[ci.InterfaceIndex]++
			assert.True(t, bytes.HasPrefix(data, want), "frame %d: %d bytes of %d", at[ci.InterfaceIndex], len(data), len(want))
		}
	}
	assert.Equal(t, len(originals), at[int(trace.Driver)])
}

func TestWatchingAFrameCostsNoMemory(t *testing.T) {
	w := staged.New(discard{}, staged.Options{LinkBPS: 10e9})
	part := make([]byte, 3000)
	f := trace.Frame{ID: 1, Point: trace.Tap, Queue: 1, Port: 2, VM: 3, Len: 6000, Data: part, Frags: [][]byte{part}, Verdict: trace.Drop, Reason: cost.FullRing}
	w.Frame(&f)
	assert.Zero(t, testing.AllocsPerRun(100, func() { w.Frame(&f) }))
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestErrorsWaitForTheEnd(t *testing.T) {
	w := staged.New(broken{}, staged.Options{})
	f := trace.Frame{Point: trace.Wire, Queue: -1, Port: -1, VM: -1, Data: make([]byte, 60)}
	for range 5000 {
		w.Frame(&f)
	}
	assert.ErrorContains(t, w.Finish(0), "disk on fire")
}

func TestFramesWithoutBytesAreCounted(t *testing.T) {
	var out bytes.Buffer
	w := staged.New(&out, staged.Options{})
	w.Frame(&trace.Frame{Point: trace.NIC, Tx: true, Verdict: trace.Drop, Reason: cost.NICTxBad, Queue: 0, Port: -1, VM: -1})
	require.NoError(t, w.Finish(sim.Second))
	assert.Zero(t, w.Packets())
	assert.Contains(t, out.String(), "1 dropped without bytes to show")
}
