package ringside_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/internal/capture"
	"ringside/sim"
	"ringside/trace"
	"ringside/vm"
)

// A record is one frame of a capture that a test makes.
type record struct {
	us   int64 // since the beginning
	data []byte
	orig int // length the frame had; 0 means all of data
}

// pcap is a capture of the records.
func pcap(records ...record) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint32(b, 4<<16|2)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 262144)
	b = binary.LittleEndian.AppendUint32(b, 1)
	for _, r := range records {
		us := 1_700_000_000_000_000 + r.us
		b = binary.LittleEndian.AppendUint32(b, uint32(us/1e6))
		b = binary.LittleEndian.AppendUint32(b, uint32(us%1e6))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r.data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(max(r.orig, len(r.data))))
		b = append(b, r.data...)
	}
	return b
}

// to is a frame of n bytes for station i.
func to(i byte, n int) []byte {
	f := bytes.Repeat([]byte{0x5a}, n)
	copy(f, []byte{2, 0, 0, 0, 0, i, 2, 0xfa, 0, 0, 0, 1, 0x08, 0x00})
	return f
}

func mac(i byte) bridge.MAC { return bridge.MAC{2, 0, 0, 0, 0, i} }

// file writes a capture.
func file(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "made.pcap")
	require.NoError(t, os.WriteFile(name, content, 0o666))
	return name
}

// A wireSink keeps when the last bit of each frame from the wire was in.
type wireSink struct {
	ids []uint64
	at  []sim.Time
}

func (s *wireSink) Frame(f *trace.Frame) {
	if f.Point == trace.Wire && !f.Tx {
		s.ids, s.at = append(s.ids, f.ID), append(s.at, f.At)
	}
}
func (s *wireSink) Step(trace.Step)      {}
func (s *wireSink) Watching(uint64) bool { return false }

// Every frame of a capture is on the wire when its stamp says, to the picosecond
// and however far from the beginning, or when the link has carried those before
// it. Reckoned here in fractions, from the beginning for each frame.
func TestFramesGoOutAtTheirTimes(t *testing.T) {
	second := big.NewRat(int64(sim.Second), 1)
	speeds := map[string]func(frames, bits int64, since *big.Rat) *big.Rat{
		"original":    func(_, _ int64, since *big.Rat) *big.Rat { return since },
		"x3":          func(_, _ int64, since *big.Rat) *big.Rat { return new(big.Rat).Quo(since, big.NewRat(3, 1)) },
		"x0.5":        func(_, _ int64, since *big.Rat) *big.Rat { return new(big.Rat).Quo(since, big.NewRat(1, 2)) },
		"top":         func(_, _ int64, _ *big.Rat) *big.Rat { return new(big.Rat) },
		"pps=77777":   func(n, _ int64, _ *big.Rat) *big.Rat { return new(big.Rat).Mul(big.NewRat(n, 77777), second) },
		"mbps=123.45": func(_, b int64, _ *big.Rat) *big.Rat { return new(big.Rat).Mul(big.NewRat(b, 123_450_000), second) },
	}
	for _, name := range []string{"mix.pcap", "ping-ns.pcap", "http.pcapng", "jumbo.pcap", "udp-flood.pcap.gz"} {
		for speed, due := range speeds {
			for _, bps := range []int64{1e9, 10e9, 100e9} {
				s, err := ringside.ParseSpeed(speed)
				require.NoError(t, err)
				var sink wireSink
				name := filepath.Join("testdata", name)
				_, err = ringside.Replay{Files: []string{name}, Speed: s}.Run(ringside.Config{LinkBPS: uint64(bps), Sink: &sink, FIFO: 1 << 20}, nil)
				require.NoError(t, err)

				r, err := capture.Open(name)
				require.NoError(t, err)
				var first, n, bits int64
				var latest, free sim.Time
				for {
					rec, err := r.Next()
					if err == io.EOF {
						break
					}
					require.NoError(t, err)
					if n == 0 {
						first = rec.Time
					}
					size := int64(max(len(rec.Data), 60))
					x := due(n, bits, big.NewRat((rec.Time-first)*int64(sim.Nanosecond), 1))
					at := sim.Time(new(big.Int).Quo(x.Num(), x.Denom()).Int64()) // a part of a picosecond is none
					latest = max(latest, at)
					if speed == "top" {
						latest = 0
					}
					octet := 8 * sim.Second / sim.Time(bps)
					in := max(latest, free) + sim.Time(size+8+4)*octet
					free = in + 12*octet
					if require.Less(t, int(n), len(sink.at), "frames on the wire"); sink.at[n] != in || sink.ids[n] != uint64(rec.Number) {
						t.Fatalf("%s, %s, %d bit/s: frame %d (%d) is in at %v, want frame %d at %v", name, speed, bps, n, sink.ids[n], sink.at[n], rec.Number, in)
					}
					n, bits = n+1, bits+size*8
				}
				r.Close()
				require.Len(t, sink.at, int(n))
			}
		}
	}
}

// What cannot go on a wire as it stands is left out or changed, and counted.
func TestPolicies(t *testing.T) {
	whole := pcap(
		record{0, to(1, 60), 0},
		record{10, to(1, 100), 0},
		record{20, to(1, 42), 0},     // padded
		record{30, to(1, 60), 1000},  // cut by the capture
		record{15, to(1, 60), 0},     // back in time, before the one in front of it
		record{40, to(1, 13), 0},     // no Ethernet header
		record{50, to(2, 9725), 0},   // longer than 9.5 KiB with its FCS
		record{60, to(1, 10), 1500},  // cut inside the header
		record{70, to(0xff, 60), 0},  // nobody's
		record{80, broadcast(60), 0}, // everybody's
		record{90, to(1, 200), 0},    // cut off by the end of the file
	)
	name := file(t, whole[:len(whole)-100])
	for _, pad := range []bool{false, true} {
		rep, err := ringside.Replay{
			Files: []string{name}, VMs: 2, PadTruncated: pad, Map: []ringside.Mapping{{MAC: mac(1), VM: 0}, {MAC: mac(2), VM: 1}},
		}.Run(ringside.Config{Seed: 1}, nil)
		require.NoError(t, err)
		in := rep.Input
		skipped := map[string]uint64{ringside.SkipTruncated: 2, ringside.SkipTooShort: 1, ringside.SkipFileCut: 1}
		adjusted := map[string]uint64{ringside.AdjustPadded: 1, ringside.AdjustTime: 1}
		frames := uint64(7)
		if pad {
			skipped[ringside.SkipTruncated] = 1
			adjusted[ringside.AdjustFilled] = 1
			frames++
		}
		require.Equal(t, skipped, in.Skipped, "pad %v", pad)
		require.Equal(t, adjusted, in.Adjusted, "pad %v", pad)
		require.Equal(t, frames, in.Frames)
		require.Equal(t, uint64(1), in.Unmapped)
		require.Equal(t, uint64(1), in.Groups)
		require.Equal(t, map[string]uint64{"NIC_RX_OVERSIZE": 1}, rep.Conservation.Dropped)
		require.Equal(t, frames-3, in.Mapping[0].Frames)
		require.Equal(t, uint64(1), in.Mapping[1].Frames)
		// Both get the stranger's frame and the broadcast, vm0 its own beside them.
		require.Equal(t, frames-3+2, rep.VMs[0].Frames)
		require.Equal(t, uint64(2), rep.VMs[1].Frames)
	}
}

func broadcast(n int) []byte {
	f := to(1, n)
	copy(f, "\xff\xff\xff\xff\xff\xff")
	return f
}

// The most talkative stations get a guest each, the lower address among equals;
// groups, the address that is none, and the host's own never do.
func TestTalkativeStationsGetGuests(t *testing.T) {
	var rs []record
	add := func(n int, f []byte) {
		for range n {
			rs = append(rs, record{int64(len(rs)) * 100, f, 0})
		}
	}
	add(3, to(3, 60))
	add(9, broadcast(60))
	add(5, to(9, 60))
	add(5, to(4, 60))
	add(1, to(1, 60))
	add(7, append(make([]byte, 6), to(1, 60)[6:]...)) // to 00:00:00:00:00:00
	host := to(1, 60)
	copy(host, []byte{2, 0, 0, 0, 0, 0xfe})
	add(8, host)
	rep, err := ringside.Replay{Files: []string{file(t, pcap(rs...))}, VMs: 3}.Run(ringside.Config{Seed: 1}, nil)
	require.NoError(t, err)
	require.Equal(t, []ringside.Mapped{
		{MAC: mac(4).String(), VM: "vm0", Frames: 5}, {MAC: mac(9).String(), VM: "vm1", Frames: 5}, {MAC: mac(3).String(), VM: "vm2", Frames: 3},
	}, rep.Input.Mapping)
	require.Equal(t, uint64(9), rep.Input.Groups)
	require.Equal(t, uint64(8+9), rep.Conservation.ToHost, "its own, and the broadcasts")
}

// Files are played one after another and again, with an id of its own for every
// frame, and a limit counts over all of them.
func TestFilesLoopsAndLimit(t *testing.T) {
	a := file(t, pcap(record{0, to(1, 60), 0}, record{100, to(1, 61), 0}, record{200, to(1, 5), 0}))
	b := file(t, pcap(record{900, to(1, 62), 0}))
	play := func(limit uint64, loop int) (*ringside.Report, wireSink) {
		var sink wireSink
		rep, err := ringside.Replay{Files: []string{a, b}, Loop: loop, Limit: limit}.Run(ringside.Config{Sink: &sink}, nil)
		require.NoError(t, err)
		return rep, sink
	}
	rep, sink := play(0, 2)
	require.Equal(t, []uint64{1, 2, 4, 5, 6, 8}, sink.ids, "ids count the records, those that are left out as well")
	require.Equal(t, uint64(6), rep.Input.Frames)
	require.Equal(t, map[string]uint64{ringside.SkipTooShort: 2}, rep.Input.Skipped)
	// A file begins a microsecond after the last frame of the one before.
	for i, want := range []sim.Time{0, 100, 101, 102, 202, 203} {
		first := sink.at[i] - sim.Time([]int{60, 61, 62, 60, 61, 62}[i]+12)*800
		require.Equal(t, want*sim.Microsecond, first, "frame %d", i)
	}
	rep, sink = play(4, 3)
	require.Equal(t, uint64(4), rep.Input.Frames)
	require.Len(t, sink.ids, 4)
}

func TestReplayRefuses(t *testing.T) {
	good := file(t, pcap(record{0, to(1, 60), 0}))
	for _, tt := range []struct {
		what  string
		r     ringside.Replay
		c     ringside.Config
		says  string
		input bool
	}{
		{"no file", ringside.Replay{}, ringside.Config{}, "no capture file", false},
		{"a file that is not there", ringside.Replay{Files: []string{"nosuch.pcap"}}, ringside.Config{}, "nosuch.pcap", true},
		{"a file that is no capture", ringside.Replay{Files: []string{"go.mod"}}, ringside.Config{}, "go.mod", true},
		{"an empty capture", ringside.Replay{Files: []string{file(t, pcap())}}, ringside.Config{}, "the capture is empty", true},
		{"only cut frames", ringside.Replay{Files: []string{file(t, pcap(record{0, to(1, 20), 60}))}}, ringside.Config{}, "1 TRUNCATED", true},
		{"the second file is bad", ringside.Replay{Files: []string{good, "go.mod"}}, ringside.Config{}, "go.mod", true},
		{"fewer than no guests", ringside.Replay{Files: []string{good}, VMs: -1}, ringside.Config{}, "-1 VMs", false},
		{"too many guests", ringside.Replay{Files: []string{good}, VMs: 1 << 16}, ringside.Config{}, "65536 VMs", false},
		{"played less than never", ringside.Replay{Files: []string{good}, Loop: -2}, ringside.Config{}, "-2 times", false},
		{"no such guest", ringside.Replay{Files: []string{good}, Map: []ringside.Mapping{{MAC: mac(1), VM: 4}}}, ringside.Config{}, "vm4, and there are vm0 to vm3", false},
		{"a group as a guest", ringside.Replay{Files: []string{good}, Map: []ringside.Mapping{{MAC: bridge.MAC{1}, VM: 0}}}, ringside.Config{}, "not a station's", false},
		{"one address, two guests", ringside.Replay{Files: []string{good}, Map: []ringside.Mapping{{MAC: mac(1), VM: 0}, {MAC: mac(1), VM: 1}}}, ringside.Config{}, "vm0 and to vm1", false},
		{"a rate of none", ringside.Replay{Files: []string{good}, Speed: ringside.PPS(0)}, ringside.Config{}, "above zero", false},
		{"too slow", ringside.Replay{Files: []string{file(t, pcap(record{0, to(1, 60), 0}, record{1e9, to(1, 60), 0}))}, Speed: must(ringside.ParseSpeed("x0.001"))}, ringside.Config{}, "too long", true},
		{"a bad machine", ringside.Replay{Files: []string{good}}, ringside.Config{Queues: 17}, "Config.Queues is 17", false},
	} {
		_, err := tt.r.Run(tt.c, nil)
		require.ErrorContains(t, err, tt.says, tt.what)
		var input *ringside.InputError
		require.Equal(t, tt.input, errors.As(err, &input), "%s: the input's fault: %v", tt.what, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestReplayCanBeStopped(t *testing.T) {
	var rs []record
	for i := range 20_000 {
		rs = append(rs, record{int64(i), to(1, 60), 0})
	}
	name := file(t, pcap(rs...))
	why := errors.New("that is enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := ringside.Replay{Files: []string{name}, Context: ctx}
	rep, err := r.Run(ringside.Config{}, nil)
	require.NoError(t, err)
	free, err := ringside.Replay{Files: []string{name}}.Run(ringside.Config{}, nil)
	require.NoError(t, err)
	require.Equal(t, free.TraceHash, rep.TraceHash, "a run that could be stopped is the same as one that could not")

	r.Start = func(*ringside.Host) { cancel(why) }
	_, err = r.Run(ringside.Config{}, nil)
	require.ErrorIs(t, err, why)
	_, err = r.Run(ringside.Config{}, nil)
	require.ErrorIs(t, err, why, "already while the file is surveyed")
}

// A file may come from anywhere, is read twice, and is closed as often.
func TestFilesFromElsewhere(t *testing.T) {
	content := pcap(record{0, to(1, 60), 0}, record{1, to(1, 60), 0})
	opened, closed := 0, 0
	r := ringside.Replay{Files: []string{"memory"}, Open: func(name string) (io.ReadCloser, error) {
		require.Equal(t, "memory", name)
		opened++
		return closer{bytes.NewReader(content), &closed}, nil
	}}
	looked := false
	rep, err := r.Run(ringside.Config{}, func(h *ringside.Host) error {
		looked = true
		require.Zero(t, h.NIC.InFlight())
		return nil
	})
	require.NoError(t, err)
	require.True(t, looked)
	require.Equal(t, uint64(2), rep.Input.Frames)
	require.Equal(t, []int{2, 2}, []int{opened, closed})

	found, err := r.Find(2)
	require.NoError(t, err)
	require.Equal(t, uint64(2), found.Number)
	require.Equal(t, content[len(content)-60:], found.Frame)
	_, err = r.Find(3)
	require.ErrorIs(t, err, ringside.ErrNoFrame)
	require.Equal(t, opened, closed)

	no := errors.New("no")
	_, err = r.Run(ringside.Config{}, func(*ringside.Host) error { return no })
	require.ErrorIs(t, err, no)
	require.Equal(t, opened, closed)
	r.Open = func(string) (io.ReadCloser, error) { return nil, no }
	_, err = r.Run(ringside.Config{}, nil)
	require.ErrorIs(t, err, no)
}

type closer struct {
	io.Reader
	n *int
}

func (c closer) Close() error { *c.n++; return nil }

func TestSpeeds(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"", "original"}, {"original", "original"}, {"top", "top"},
		{"x1", "x1"}, {"x0.001", "x0.001"}, {"x10", "x10"}, {"x1.50", "x1.5"}, {"x1000000", "x1000000"},
		{"pps=1", "pps=1"}, {"pps=14880952", "pps=14880952"}, {"mbps=2.5", "mbps=2.5"}, {"mbps=100000", "mbps=100000"}, {"mbps=0.000001", "mbps=0.000001"},
	} {
		s, err := ringside.ParseSpeed(tt.in)
		require.NoError(t, err, tt.in)
		require.Equal(t, tt.out, s.String())
		again, err := ringside.ParseSpeed(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	}
	require.Equal(t, must(ringside.ParseSpeed("pps=5")), ringside.PPS(5))
	for _, bad := range []string{
		"fast", "x", "x0", "x-1", "x0.0001", "xNaN", "xInf", "x1e3", "x1/2", "x0x10", "pps=0", "pps=-3", "pps=0.5", "pps=", "mbps=0", "mbps=1_000", "mbps=+",
		"x9999999999999999", "pps=" + strings.Repeat("9", 30), "TOP",
	} {
		_, err := ringside.ParseSpeed(bad)
		require.ErrorContains(t, err, fmt.Sprintf("%q", bad), bad)
	}
}

func TestMachinesThatCannotBe(t *testing.T) {
	cpu := 3
	for _, tt := range []struct {
		c    ringside.Config
		says string
	}{
		{ringside.Config{Queues: -1}, "Queues is -1"},
		{ringside.Config{Ring: 100}, "multiple of 8"},
		{ringside.Config{RAM: -1}, "RAM is -1"},
		{ringside.Config{RAM: 4096}, "memory"},
		{ringside.Config{CPUs: -1}, "-1 CPUs"},
		{ringside.Config{CPUs: 1025}, "1025 CPUs"},
		{ringside.Config{TapQueue: -1}, "tap queue"},
		{ringside.Config{LinkBPS: 5}, "LinkBPS is 5"},
		{ringside.Config{FIFO: 5}, "FIFO is 5"},
		{ringside.Config{ITR: 1500 * sim.Nanosecond}, "interrupt gap"},
		{ringside.Config{ITR: sim.Second}, "interrupt gap"},
		{ringside.Config{Host: ringside.HostStack{MTU: 100}}, "MTU is 100"},
		{ringside.Config{Host: ringside.HostStack{MAC: bridge.MAC{1}}}, "not the address of a station"},
		{ringside.Config{Host: ringside.HostStack{Addresses: []netip.Prefix{{}}}}, "no host's address"},
		{ringside.Config{Ageing: -5}, "bridge"},
		{ringside.Config{MaxLearned: -2}, "bridge"},
		{ringside.Config{VMs: []ringside.VM{{}}}, "VM 0 has no program"},
		{ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, Batch: 1025}}}, "1025 frames at once"},
		{ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, Name: "web", CPU: &cpu}}}, "web is to run on CPU 3, and there are 2"},
		{ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, Known: []bridge.MAC{{1}}}}}, "vm0: bridge"},
		{ringside.Config{VMs: make([]ringside.VM, 1<<16)}, "65536 VMs"},
	} {
		h, err := ringside.New(tt.c)
		require.ErrorContains(t, err, tt.says)
		require.True(t, strings.HasPrefix(err.Error(), "ringside: "), "%v", err)
		require.Nil(t, h)
	}
}

// A machine that is plugged into nothing comes to rest at once.
func TestNothingHappens(t *testing.T) {
	h, err := ringside.New(ringside.Config{})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	rep := h.Report()
	require.Zero(t, rep.Conservation.In)
	require.Zero(t, rep.Totals.Cycles)
	require.Zero(t, rep.VirtualNs)
	require.Equal(t, "0 in, 0 delivered, 0 cycles, "+rep.TraceHash, rep.String())
	require.NoError(t, h.RunUntil(sim.Second))
	require.Equal(t, int64(1e9), h.Report().VirtualNs)
}
