package kernel_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// A flow makes segments of TCP over IPv4 or IPv6 between two stations.
type flow struct {
	dst, src bridge.MAC
	v6       bool
	tag      uint16 // of a VLAN, 0 for none
	port     uint16
	seq      uint32
	id       uint16
	flags    byte
}

func flowTo(dst bridge.MAC) *flow {
	return &flow{dst: dst, src: kerneltest.Remote(0), port: 4000, seq: 1, flags: 0x10}
}

// next is the next segment, n bytes long, sums right.
func (f *flow) next(n int) []byte {
	b := append(append([]byte(nil), f.dst[:]...), f.src[:]...)
	if f.tag != 0 {
		b = append(b, 0x81, 0, byte(f.tag>>8), byte(f.tag))
	}
	l3 := len(b) + 2
	if f.v6 {
		b = append(b, 0x86, 0xDD, 0x60, 0, 0, 0, byte((20+n)>>8), byte(20+n), 6, 64)
		b = append(append(b, 0xFD), append(make([]byte, 14), 1)...)
		b = append(append(b, 0xFD), append(make([]byte, 14), 2)...)
	} else {
		b = append(b, 8, 0, 0x45, 0, byte((40+n)>>8), byte(40+n), byte(f.id>>8), byte(f.id), 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9)
		binary.BigEndian.PutUint16(b[l3+10:], ^offload.Sum(b[l3:], 0))
	}
	b = binary.BigEndian.AppendUint16(b, f.port)
	b = append(b, 0, 80, 0, 0, 0, 0, 0, 0, 0, 7, 0x50, f.flags, 1, 0xF5, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[len(b)-16:], f.seq)
	for i := range n {
		at := f.seq + uint32(i)
		b = append(b, byte(at)^byte(at>>8)*3)
	}
	m := f.half(b)
	offload.Complete([][]byte{b}, &m)
	f.seq, f.id = f.seq+uint32(n), f.id+1
	return b
}

// half leaves a segment's checksum half done.
func (f *flow) half(b []byte) offload.Meta {
	l3 := 14
	if f.tag != 0 {
		l3 += 4
	}
	l4, from := l3+20, l3+12
	if f.v6 {
		l4, from = l3+40, l3+8
	}
	n := len(b) - l4
	binary.BigEndian.PutUint16(b[l4+16:], offload.Sum(b[from:l4], offload.Sum([]byte{0, 6, byte(n >> 8), byte(n)}, 0)))
	return offload.Meta{NeedsCsum: true, CsumStart: uint16(l4), CsumOffset: 16}
}

// long is a frame of n bytes of payload to be cut into segments of mss, and those
// segments.
func (f *flow) long(n, mss int) (frame []byte, m offload.Meta, want [][]byte) {
	was := *f
	frame = f.next(n)
	m = f.half(frame)
	m.GSO, m.GSOSize, m.HdrLen = offload.GSOTCPv4, uint16(mss), m.CsumStart+20
	if f.v6 {
		m.GSO = offload.GSOTCPv6
	}
	for n > 0 {
		want = append(want, was.next(min(n, mss)))
		n -= mss
	}
	f.id = was.id
	return frame, m, want
}

// got is what a guest was given, in order.
func got(s *kerneltest.Fates, vm int32) (list [][]byte) {
	for _, a := range s.Order {
		if a.VM == vm {
			list = append(list, a.Data)
		}
	}
	return list
}

// wired is what left by the wire.
func wired(r *kerneltest.Rig) (list [][]byte) {
	for _, f := range r.Wire.Sent {
		list = append(list, f.Data)
	}
	return list
}

// alike fails the test where two lists of frames differ, and says no more.
func alike(t testing.TB, want, have [][]byte, what string) {
	t.Helper()
	require.Equal(t, len(want), len(have), "%s: number of frames", what)
	for i := range want {
		if !bytes.Equal(want[i], have[i]) {
			at := 0
			for at < min(len(want[i]), len(have[i])) && want[i][at] == have[i][at] {
				at++
			}
			t.Fatalf("%s: frame %d of %d bytes, and of %d, differs from byte %d on", what, i, len(want[i]), len(have[i]), at)
		}
	}
}

// offloadRig is a host with two bare guests, on CPUs of their own, that are awake.
func offloadRig(t testing.TB, o kernel.Offloads, watch trace.Sink) *kerneltest.Rig {
	book, err := cost.Open("linux-xeon") // in which a byte that is summed costs something
	require.NoError(t, err)
	itr := sim.Time(0)
	if o.LRO { // which takes its time from it
		itr = 50 * sim.Microsecond
	}
	r := kerneltest.New(t, kerneltest.Config{
		Book: book, CPUs: 3, Taps: 2, Sink: watch, RAM: 32 << 20, NIC: kernel.NICConfig{Offloads: o, ITR: itr},
	})
	for i := range 2 {
		start(t, r, 1+i, sink, fmt.Sprintf("tap%d", i))
	}
	require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Remote(0), Port: r.Port, Kind: bridge.Static, Sticky: true}))
	return r
}

// The half-done checksum trap, a test for each place where it is sprung.

func TestAHalfDoneChecksumIsCompletedForABareGuest(t *testing.T) {
	s := &kerneltest.Fates{All: true}
	r := offloadRig(t, kernel.Offloads{}, s)
	f := flowTo(kerneltest.Station(1))
	want := f.next(1000)
	frame := bytes.Clone(want)
	r.Arrive("tap0", frame, f.half(frame))
	require.NoError(t, r.Run())
	alike(t, [][]byte{want}, got(s, 1), "guest")
	assert.EqualValues(t, 1, s.Steps[cost.SkbChecksumHelp])
	assert.EqualValues(t, 1020, r.Bill().Steps[cost.SkbChecksumHelp].Bytes, "what is summed is on the bill")
}

func TestAHalfDoneChecksumIsCompletedForEveryGuestOfAFlood(t *testing.T) {
	s := &kerneltest.Fates{}
	r := offloadRig(t, kernel.Offloads{TxCsum: true}, s)
	f := flowTo(bridge.MAC{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	want := f.next(1000)
	frame := bytes.Clone(want)
	r.Arrive("tap0", frame, f.half(frame))
	require.NoError(t, r.Run())
	alike(t, [][]byte{want}, got(s, 1), "guest")
	alike(t, [][]byte{want}, wired(r), "wire")
	assert.EqualValues(t, 1, r.Bill().Steps[cost.IgbTxCsum].Count, "the device sums its copy itself")
	assert.EqualValues(t, 1, r.Bill().Steps[cost.PskbExpandHead].Count, "the guest's has a head of its own")
}

func TestAHalfDoneChecksumIsGoodEnoughForTheHostsStack(t *testing.T) {
	for _, spoilt := range []bool{false, true} {
		r := kerneltest.New(t, kerneltest.Config{Taps: 1, Host: kernel.HostStack{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/24")}}})
		f := flowTo(kerneltest.HostMAC)
		f.flags = 2 // SYN, to a port where nobody listens
		f.src = kerneltest.Station(0)
		frame := f.next(0)
		m := f.half(frame)
		if spoilt { // the same bytes without the word of whoever sent them
			m = offload.Meta{}
		}
		r.Arrive("tap0", frame, m)
		require.NoError(t, r.Run())
		assert.Equal(t, !spoilt, r.Flow().Own > 1, "an answer, ARP first")
	}
}

func TestAHalfDoneChecksumIsCompletedOnAMirror(t *testing.T) {
	for _, way := range []string{"in", "out"} {
		s := &kerneltest.Fates{}
		r := offloadRig(t, kernel.Offloads{TxCsum: true}, s)
		if way == "in" {
			require.NoError(t, r.Mirror("tap0", "tap1", ""))
		} else {
			require.NoError(t, r.Mirror("eth0", "", "tap1"))
		}
		f := flowTo(kerneltest.Remote(0))
		want := f.next(700)
		frame := bytes.Clone(want)
		r.Arrive("tap0", frame, f.half(frame))
		require.NoError(t, r.Run())
		alike(t, [][]byte{want}, got(s, 1), "mirror "+way)
		alike(t, [][]byte{want}, wired(r), "wire "+way)
	}
}

// A camera keeps what is seen at a point.
type camera struct {
	kerneltest.Fates
	point trace.Point
	seen  [][]byte
}

func (c *camera) Frame(f *trace.Frame) {
	c.Fates.Frame(f)
	if f.Point == c.point {
		c.seen = append(c.seen, bytes.Join(append([][]byte{f.Data}, f.Frags...), nil))
	}
}

func TestAHalfDoneChecksumIsCompletedInACapture(t *testing.T) {
	c := &camera{point: trace.Bridge}
	r := offloadRig(t, kernel.Offloads{TxCsum: true}, c)
	f := flowTo(kerneltest.Remote(0))
	want := f.next(6000) // several buffers
	frame := bytes.Clone(want)
	m := f.half(frame)
	m.GSO, m.GSOSize, m.HdrLen = offload.GSOTCPv4, 1448, 54
	r.Arrive("tap0", frame, m)
	require.NoError(t, r.Run())
	alike(t, [][]byte{want}, c.seen, "capture")
}

func TestAHalfDoneChecksumIsCompletedByTheNICOrBeforeIt(t *testing.T) {
	for _, csum := range []bool{false, true} {
		r := offloadRig(t, kernel.Offloads{TxCsum: csum}, nil)
		f := flowTo(kerneltest.Remote(0))
		want := f.next(1400)
		frame := bytes.Clone(want)
		r.Arrive("tap0", frame, f.half(frame))
		require.NoError(t, r.Run())
		alike(t, [][]byte{want}, wired(r), "wire")
		bill := r.Bill()
		assert.Equal(t, csum, bill.Steps[cost.IgbTxCsum].Count == 1)
		assert.Equal(t, !csum, bill.Steps[cost.SkbChecksumHelp].Count == 1)
	}
}

// The device sums TCP and UDP. Where another protocol has its sum elsewhere, the
// driver does it.
func TestASumThatTheNICDoesNotKnowIsTheDrivers(t *testing.T) {
	r := offloadRig(t, kernel.Offloads{TxCsum: true}, nil)
	f := flowTo(kerneltest.Remote(0))
	frame := f.next(100)
	m := offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 2}
	want := bytes.Clone(frame)
	whole := m
	require.True(t, offload.Complete([][]byte{want}, &whole))
	r.Arrive("tap0", frame, m)
	require.NoError(t, r.Run())
	alike(t, [][]byte{want}, wired(r), "wire")
	assert.EqualValues(t, 1, r.Bill().Steps[cost.SkbChecksumHelp].Count)
}

func TestAHalfDoneChecksumGoesOverAPatch(t *testing.T) {
	s := &kerneltest.Fates{}
	r := offloadRig(t, kernel.Offloads{}, s)
	other, err := bridge.New(bridge.Config{Name: "br1", MAC: bridge.MAC{2, 9}})
	require.NoError(t, err)
	require.NoError(t, r.AddBridge(other, kernel.HostStack{}))
	near, _, err := r.AddPatch(kernel.Interface{Port: bridge.PortConfig{Name: "a"}}, kernel.Interface{Bridge: other, Port: bridge.PortConfig{Name: "b"}})
	require.NoError(t, err)
	_, err = r.AddTapAt(2, kernel.Interface{Bridge: other, Port: bridge.PortConfig{Name: "tap2"}})
	require.NoError(t, err)
	start(t, r, 0, sink, "tap2")
	f := flowTo(bridge.MAC{2, 7, 7})
	require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: f.dst, Port: near, Kind: bridge.Static, Sticky: true}))
	frame, m, want := f.long(10_000, 1448)
	r.Arrive("tap0", frame, m)
	require.NoError(t, r.Run())
	alike(t, want, got(s, 2), "behind the patch")
	assert.EqualValues(t, 1, r.Bill().Steps[cost.VethXmit].Count, "it crossed in one piece")
	assert.EqualValues(t, len(want)-1, r.Flow().Segmented)
}

// A tag that a bridge puts on or takes off moves what the offsets count from.
func TestTagsMoveTheHalfDoneChecksum(t *testing.T) {
	for _, o := range []kernel.Offloads{{}, {TxCsum: true}, {TxCsum: true, TSO: true}, kernel.AllOffloads()} {
		for _, long := range []bool{false, true} {
			s := &kerneltest.Fates{}
			r := vlanRig(t, o, s)
			f := flowTo(kerneltest.Remote(0))
			f.tag = 5
			n := 1000
			if long {
				n = 5000
			}
			frame, m, want := f.long(n, 1448)
			if !long {
				m.GSO, m.GSOSize, m.HdrLen = 0, 0, 0
			}
			// Untagged from the access port: the trunk has the tag.
			bare := append(bytes.Clone(frame[:12]), frame[16:]...)
			m.Shift(-4)
			r.Arrive("tap0", bare, m)
			require.NoError(t, r.Run())
			alike(t, want, wired(r), fmt.Sprintf("trunk with %v", o))

			// And back: tagged from the wire's side, untagged at the access port.
			back := flowTo(kerneltest.Station(1))
			back.tag = 5
			frame, m, want = back.long(n, 1448)
			if !long {
				m.GSO, m.GSOSize, m.HdrLen = 0, 0, 0
			}
			for i := range want {
				want[i] = append(want[i][:12], want[i][16:]...)
			}
			r.Arrive("eth0", frame, m)
			require.NoError(t, r.Run())
			alike(t, want, got(s, 1), fmt.Sprintf("access with %v", o))
		}
	}
}

// vlanRig is an offloadRig whose bridge filters: taps are access ports of VLAN 5 and
// the NIC is its trunk.
func vlanRig(t *testing.T, o kernel.Offloads, watch trace.Sink) *kerneltest.Rig {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3, Sink: watch, RAM: 32 << 20, NIC: kernel.NICConfig{Offloads: o}, VLANs: true})
	require.NoError(t, r.Bridge.AddVLAN(r.Port, bridge.VLAN{VID: 5}))
	for i := range 2 {
		name := fmt.Sprintf("tap%d", i)
		p, err := r.AddTapAt(int32(i), kernel.Interface{Port: bridge.PortConfig{Name: name, VLANs: []bridge.VLAN{{VID: 5, PVID: true, Untagged: true}}}})
		require.NoError(t, err)
		require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Station(i), VLAN: 5, Port: p, Kind: bridge.Static, Sticky: true}))
		start(t, r, 1+i, sink, name)
	}
	require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Remote(0), VLAN: 5, Port: r.Port, Kind: bridge.Static, Sticky: true}))
	return r
}

func TestASumOutsideOfItsFrameIsDropped(t *testing.T) {
	for _, o := range []kernel.Offloads{{}, {TxCsum: true}} {
		for _, m := range []offload.Meta{
			{NeedsCsum: true, CsumStart: 34, CsumOffset: 5000},
			{NeedsCsum: true, CsumStart: 65535, CsumOffset: 16},
			{NeedsCsum: true, CsumStart: 140, CsumOffset: 16},
		} {
			r := offloadRig(t, o, nil)
			f := flowTo(kerneltest.Remote(0))
			r.Arrive("tap0", f.next(100), m)
			require.NoError(t, r.Run())
			assert.EqualValues(t, 1, r.Drops[cost.Stack][cost.SKBCsum], "%+v", m)
		}
	}
}

// Frames that are to be cut.

func TestALongFrameIsCutForWhomCannotTakeIt(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		s := &kerneltest.Fates{}
		r := offloadRig(t, kernel.Offloads{}, s)
		f := flowTo(kerneltest.Station(1))
		f.v6 = v6
		frame, m, want := f.long(20_000, 1400)
		r.Arrive("tap0", frame, m)
		require.NoError(t, r.Run())
		alike(t, want, got(s, 1), "guest")
		assert.EqualValues(t, len(want)-1, r.Flow().Segmented)
		bill := r.Bill()
		assert.EqualValues(t, len(want), bill.Steps[cost.SkbSegment].Count)
		assert.EqualValues(t, 1, bill.Steps[cost.BrForward].Count, "the bridge saw it whole")
	}
}

func TestALongFrameGoesWholeToWhomTakesIt(t *testing.T) {
	s := &kerneltest.Fates{}
	r := offloadRig(t, kernel.Offloads{}, s)
	r.Does("tap1", true, true)
	f := flowTo(kerneltest.Station(1))
	frame, m, _ := f.long(20_000, 1400)
	want := flowTo(kerneltest.Station(1)).next(20_000)
	r.Arrive("tap0", frame, m)
	require.NoError(t, r.Run())
	alike(t, [][]byte{want}, got(s, 1), "guest, as a capture shows it")
	assert.Zero(t, r.Flow().Segmented)
}

func TestALongFrameIsCutByTheNICOrBeforeIt(t *testing.T) {
	steps := map[string]uint64{}
	for _, o := range []kernel.Offloads{{}, {TxCsum: true}, {TxCsum: true, TSO: true}} {
		for _, v6 := range []bool{false, true} {
			r := offloadRig(t, o, nil)
			f := flowTo(kerneltest.Remote(0))
			f.v6 = v6
			frame, m, want := f.long(30_000, 1440)
			r.Arrive("tap0", frame, m)
			require.NoError(t, r.Run())
			alike(t, want, wired(r), o.String())
			for _, w := range r.Wire.Sent {
				assert.LessOrEqual(t, len(w.Data), 1514)
			}
			bill := r.Bill()
			assert.EqualValues(t, len(want)-1, r.Balance().Segmented)
			assert.Equal(t, o.TSO, bill.Steps[cost.IgbTso].Count == 1)
			assert.Equal(t, !o.TSO, bill.Steps[cost.SkbSegment].Count == uint64(len(want)))
			assert.Equal(t, o.TxCsum, bill.Steps[cost.SkbChecksumHelp].Count == 0)
			steps[o.String()] = bill.Cycles()
		}
	}
	assert.Less(t, 3*steps["tso,tx"], 2*steps["tx"], "cutting in the device is visible on the bill")
	assert.Less(t, steps["tx"], steps["none"])
}

// Whatever a guest says of a frame that is to be cut, the device is not misused:
// the kernel looks first.
func TestLongFramesThatLieAreDropped(t *testing.T) {
	for _, o := range []kernel.Offloads{{}, {TxCsum: true, TSO: true}} {
		for name, spoil := range map[string]func(*offload.Meta, []byte){
			"IPv6 in its header":    func(m *offload.Meta, _ []byte) { m.GSO = offload.GSOTCPv6 },
			"UDP":                   func(m *offload.Meta, _ []byte) { m.GSO = offload.GSOUDPL4 },
			"no size":               func(m *offload.Meta, _ []byte) { m.GSOSize = 0 },
			"a TCP header too long": func(_ *offload.Meta, b []byte) { b[46] = 0xF0; b[17] = 0; b[16] = 0 },
			"not IP":                func(_ *offload.Meta, b []byte) { b[12] = 0x99 },
			"a fragment":            func(_ *offload.Meta, b []byte) { b[20] = 0x20 },
		} {
			r := offloadRig(t, o, nil)
			f := flowTo(kerneltest.Remote(0))
			frame, m, _ := f.long(30, 10)
			spoil(&m, frame)
			r.Arrive("tap0", frame, m)
			require.NoError(t, r.Run(), name)
			assert.EqualValues(t, 1, r.Drops[cost.Stack][cost.SKBGSOSeg], "%s with %v", name, o)
		}
		// A wrong place of the checksum is put right when it is cut in software.
		r := offloadRig(t, o, nil)
		f := flowTo(kerneltest.Remote(0))
		frame, m, want := f.long(4000, 1000)
		m.CsumStart, m.HdrLen = 20, 7
		r.Arrive("tap0", frame, m)
		require.NoError(t, r.Run())
		alike(t, want, wired(r), "wire")
	}
}

func TestAFloodedLongFrameIsCutForEachPortThatNeedsIt(t *testing.T) {
	s := &kerneltest.Fates{}
	r := offloadRig(t, kernel.Offloads{TxCsum: true, TSO: true}, s)
	f := flowTo(bridge.MAC{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	frame, m, want := f.long(20_000, 1448)
	used := r.Memory.InUse()
	r.Arrive("eth0", bytes.Clone(frame), m)
	r.Arrive("tap0", frame, m)
	require.NoError(t, r.Run())
	alike(t, want, got(s, 0), "guest 0")
	alike(t, append(want, want...), got(s, 1), "guest 1")
	alike(t, want, wired(r), "wire")
	assert.EqualValues(t, 3*(len(want)-1)+len(want)-1, r.Balance().Segmented)
	assert.Equal(t, used, r.Memory.InUse(), "the payload was shared and is free")
}

// is_skb_forwardable lets a frame pass that will be cut, whatever the MTU.
func TestALongFrameIsNotTooBig(t *testing.T) {
	s := &kerneltest.Fates{}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Sink: s})
	p, err := r.AddTapAt(3, kernel.Interface{MTU: 1500, Port: bridge.PortConfig{Name: "small"}})
	require.NoError(t, err)
	start(t, r, 1, sink, "small")
	f := flowTo(kerneltest.Station(1))
	require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: f.dst, Port: p, Kind: bridge.Static, Sticky: true}))
	frame, m, want := f.long(9000, 1460)
	r.Arrive("eth0", frame, m)
	r.Arrive("eth0", frame, offload.Meta{})
	require.NoError(t, r.Run())
	alike(t, want, got(s, 3), "guest")
	assert.EqualValues(t, 1, r.Drops[cost.Bridge][cost.PktTooBig], "the same bytes as one frame")
}

// Memory that runs out in the middle of a frame costs the frame, and nothing leaks.
func TestWithoutMemoryALongFrameIsDroppedWhole(t *testing.T) {
	r := offloadRig(t, kernel.Offloads{}, nil)
	f := flowTo(kerneltest.Station(1))
	frame, m, want := f.long(20_000, 1400)
	var all []mem.Addr
	for {
		a, err := r.Memory.Alloc(0)
		if err != nil {
			break
		}
		all = append(all, a)
	}
	for _, a := range all[:5+len(want)/2] {
		r.Memory.Release(a)
	}
	r.Arrive("tap0", frame, m)
	require.NoError(t, r.Run())
	assert.EqualValues(t, 1, r.Drops[cost.Stack][cost.NoMem])
	assert.Zero(t, r.Flow().ToVMs)
}

// GRO.

// Merged and cut again, guests have the same bytes as without: of each flow in its
// order.
func TestWithGROGuestsGetTheSameBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var wire [][]byte
	flows := map[string][][]byte{}
	var fs []*flow
	for i := range 12 {
		f := flowTo(kerneltest.Station(i % 2))
		f.port, f.v6 = uint16(5000+i), i%3 == 0
		if i%4 == 1 {
			f.tag = 9
		}
		fs = append(fs, f)
	}
	for range 600 {
		f := fs[rng.IntN(len(fs))]
		for range 1 + rng.IntN(6) {
			n := 1200
			f.flags = 0x10
			switch rng.IntN(12) {
			case 0:
				n = rng.IntN(1200)
			case 1:
				f.flags = 0x18
			case 2:
				f.seq += 100 // a hole
			case 3:
				f.id += 3
			}
			b := f.next(n)
			if rng.IntN(40) == 0 {
				b[len(b)-1] ^= 1 // spoilt on the way
			}
			wire = append(wire, b)
		}
	}
	key := func(b []byte) string {
		at := 34
		if b[12] == 0x81 {
			at += 4
		}
		if b[at-22] == 0x86 {
			at += 20
		}
		return string(b[:6]) + string(b[at:at+2])
	}
	for _, b := range wire {
		flows[key(b)] = append(flows[key(b)], b)
	}
	for _, o := range []kernel.Offloads{{}, {GRO: true}, {GRO: true, RxCsum: true}, kernel.AllOffloads()} {
		s := &kerneltest.Fates{}
		r := kerneltest.New(t, kerneltest.Config{CPUs: 3, Taps: 2, Sink: s, RAM: 64 << 20, TapQueue: 4000,
			NIC: kernel.NICConfig{Offloads: o, Ring: 4096, ITR: 50 * sim.Microsecond}, FIFO: 4 << 20})
		for i := range 2 {
			start(t, r, 1+i, sink, fmt.Sprintf("tap%d", i))
		}
		r.Play(0, wire...)
		require.NoError(t, r.Run(), o.String())
		have := map[string][][]byte{}
		for _, a := range s.Order {
			have[key(a.Data)] = append(have[key(a.Data)], a.Data)
		}
		for k, want := range flows {
			alike(t, want, have[k], fmt.Sprintf("with %v", o))
		}
		flow := r.Flow()
		assert.Equal(t, flow.Merged, flow.Segmented, "what was merged is cut again")
		if o.GRO {
			assert.Greater(t, flow.Merged, uint64(len(wire)/3))
			assert.EqualValues(t, flow.Merged, r.Bill().Steps[cost.SkbGroReceive].Count)
		}
	}
}

// streamed is a host with one guest that takes merged frames whole and has got n
// segments of one flow, every byte.
func streamed(t *testing.T, n int, o kernel.Offloads) *kerneltest.Rig {
	s := &kerneltest.Fates{}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, Sink: s, NIC: kernel.NICConfig{Offloads: o, ITR: 100 * sim.Microsecond}})
	r.Does("tap0", true, true)
	start(t, r, 1, sink, "tap0")
	f := flowTo(kerneltest.Station(0))
	var data []byte
	for range n {
		b := f.next(1448)
		data = append(data, b[54:]...)
		r.Play(0, b)
	}
	require.NoError(t, r.Run())
	var have []byte
	for _, b := range got(s, 0) {
		have = append(have, b[54:]...)
	}
	require.True(t, bytes.Equal(data, have), "the same stream")
	return r
}

// A merged frame crosses the bridge once, and a guest that takes it whole takes it
// in one call: what GRO is for, on the bill.
func TestGROIsVisibleOnTheBill(t *testing.T) {
	bills := map[bool]*cost.Bill{}
	for _, on := range []bool{false, true} {
		r := streamed(t, 72, kernel.Offloads{GRO: on, RxCsum: on})
		bills[on] = r.Bill()
		if on {
			flow := r.Flow()
			assert.EqualValues(t, 72-flow.ToVMs, flow.Merged)
			assert.LessOrEqual(t, flow.ToVMs, uint64(4), "up to 45 to a frame")
			assert.NotZero(t, bills[on].Steps[cost.NapiGroComplete].Count)
		}
	}
	for _, step := range []cost.Step{cost.BrFdbFind, cost.NetifReceiveSkbCore, cost.TunNetXmit, cost.SysEnter} {
		assert.Less(t, 6*bills[true].Steps[step].Count, bills[false].Steps[step].Count, step.String())
	}
	assert.Less(t, bills[true].Cycles(), bills[false].Cycles())
}

// LRO saves what GRO does not: the driver sees one frame where there were up to
// sixteen, takes it to the stack once, and nobody joins anything. The device does the
// same work, and no message goes out later for it.
func TestLROIsVisibleOnTheBill(t *testing.T) {
	bills, messages := map[bool]*cost.Bill{}, map[bool]uint64{}
	for _, on := range []bool{false, true} {
		r := streamed(t, 73, kernel.Offloads{LRO: on, RxCsum: true})
		bills[on], messages[on] = r.Bill(), r.NIC.Counts().Messages
		if on {
			n := r.NIC.Counts()
			assert.EqualValues(t, 73, n.Written+n.Merged)
			assert.EqualValues(t, n.Written, r.Flow().ToVMs)
			assert.LessOrEqual(t, n.Written, uint64(1+5+1), "the first is told of at once, then 16 to a frame")
			assert.Zero(t, r.Flow().Merged, "by the kernel")
		}
	}
	for _, step := range []cost.Step{cost.IgbBuildSkb, cost.NapiGroReceive, cost.BrFdbFind, cost.NetifReceiveSkbCore, cost.TunNetXmit, cost.SysEnter} {
		assert.Less(t, 6*bills[true].Steps[step].Count, bills[false].Steps[step].Count, step.String())
	}
	for _, step := range []cost.Step{cost.DevRxDMA, cost.DevRxWriteback, cost.DevTLP} {
		assert.Equal(t, bills[false].Steps[step], bills[true].Steps[step], step.String())
	}
	assert.LessOrEqual(t, messages[true], messages[false])
	assert.Less(t, 2*bills[true].Cycles(), bills[false].Cycles())
}

// Guests that take one frame after the other get what came in, byte for byte, whoever
// merged it; so does the wire. GRO leaves alone what the device has merged.
func TestWhatTheDeviceMergesIsCutAgain(t *testing.T) {
	for _, o := range []kernel.Offloads{{LRO: true, RxCsum: true}, {LRO: true, RxCsum: true, GRO: true}, {LRO: true, RxCsum: true, GRO: true, TxCsum: true, TSO: true, VLANStrip: true}} {
		for _, v6 := range []bool{false, true} {
			s := &kerneltest.Fates{}
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, Sink: s, NIC: kernel.NICConfig{Offloads: o, ITR: 100 * sim.Microsecond}, RAM: 32 << 20})
			start(t, r, 1, sink, "tap0")
			require.NoError(t, r.Bridge.SetPort(r.Port, bridge.PortConfig{Name: "eth0", Hairpin: true}))
			in, out := flowTo(kerneltest.Station(0)), flowTo(kerneltest.Remote(1))
			in.v6, out.v6, in.tag, out.tag = v6, v6, 7, 7
			require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: out.dst, Port: r.Port, Kind: bridge.Static, Sticky: true}))
			var guest, wire [][]byte
			for range 40 {
				guest, wire = append(guest, in.next(1448)), append(wire, out.next(1448))
			}
			guest, wire = append(guest, in.next(99)), append(wire, out.next(77))
			r.Play(0, guest...)
			r.Play(0, wire...)
			require.NoError(t, r.Run())
			alike(t, guest, got(s, 0), o.String())
			alike(t, wire, wired(r), o.String())
			assert.Greater(t, r.NIC.Counts().Merged, uint64(40))
			assert.Zero(t, r.Bill().Steps[cost.SkbGroChecksum].Count)
			require.NoError(t, r.Check())
			assert.Zero(t, r.Balance().InFlight)
		}
	}
}

// At every moment of a run every frame is somewhere, those that the device holds too.
func TestFramesThatTheDeviceHoldsAreInFlight(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Queues: 2, Offloads: kernel.Offloads{LRO: true, RxCsum: true}, ITR: 20 * sim.Microsecond}})
	start(t, r, 1, sink, "tap0")
	a, b := flowTo(kerneltest.Station(0)), flowTo(kerneltest.Station(0))
	b.port = 4001
	for i := range 400 {
		r.Play(0, []*flow{a, b}[i/7%2].next(100))
	}
	for at := sim.Microsecond; at < 200*sim.Microsecond; at += 700 * sim.Nanosecond {
		require.NoError(t, r.Engine.RunUntil(at))
		require.NoError(t, r.Check())
	}
	require.NoError(t, r.Run())
	require.NoError(t, r.Check())
	assert.NotZero(t, r.NIC.Counts().Merged)
	assert.Zero(t, r.Balance().InFlight)
}

func TestLROIsAskedForByItsName(t *testing.T) {
	o, err := kernel.ParseOffloads("lro")
	require.NoError(t, err)
	assert.Equal(t, kernel.Offloads{LRO: true, RxCsum: true}, o)
	assert.Equal(t, "lro,rx", o.String())
	o, err = kernel.ParseOffloads("all")
	require.NoError(t, err)
	assert.False(t, o.LRO)
	_, err = kerneltest.Boot(kerneltest.Config{NIC: kernel.NICConfig{Offloads: kernel.Offloads{LRO: true}}})
	assert.ErrorContains(t, err, "RxCsum")
}

// What is merged on its way in is cut again on its way out, by the device or before it.
func TestAStreamThatIsForwardedStaysTheSame(t *testing.T) {
	for _, n := range []int{10, 90} { // few enough for the device, and too many buffers
		for _, o := range []kernel.Offloads{{GRO: true}, {GRO: true, TxCsum: true}, kernel.AllOffloads()} {
			r := kerneltest.New(t, kerneltest.Config{NIC: kernel.NICConfig{Offloads: o, ITR: 100 * sim.Microsecond}, RAM: 32 << 20})
			require.NoError(t, r.Bridge.SetPort(r.Port, bridge.PortConfig{Name: "eth0", Hairpin: true}))
			f := flowTo(kerneltest.Remote(1))
			require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: f.dst, Port: r.Port, Kind: bridge.Static, Sticky: true}))
			var want [][]byte
			for range n {
				want = append(want, f.next(1448))
			}
			r.Play(0, want...)
			require.NoError(t, r.Run())
			alike(t, want, wired(r), o.String())
			assert.NotZero(t, r.Flow().Merged)
			if o.TSO {
				assert.Equal(t, n == 90, r.Bill().Steps[cost.SkbSegment].Count > 0)
			}
		}
	}
}

// The CPU sums what the device has not verified, before it merges.
func TestGROSumsWhatTheDeviceHasNot(t *testing.T) {
	for _, rx := range []bool{false, true} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Offloads: kernel.Offloads{GRO: true, RxCsum: rx}}})
		start(t, r, 1, sink, "tap0")
		f := flowTo(kerneltest.Station(0))
		for range 10 {
			r.Play(0, f.next(500))
		}
		require.NoError(t, r.Run())
		want := uint64(10)
		if rx {
			want = 0
		}
		assert.Equal(t, want, r.Bill().Steps[cost.SkbGroChecksum].Count)
	}
}

// Frames that GRO holds are in flight, and no longer held when the poll is over.
func TestHeldFramesAreAccountedFor(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Offloads: kernel.Offloads{GRO: true}, ITR: 20 * sim.Microsecond}})
	start(t, r, 1, sink, "tap0")
	f := flowTo(kerneltest.Station(0))
	for range 400 {
		r.Play(0, f.next(100))
	}
	for at := sim.Microsecond; at < 200*sim.Microsecond; at += 700 * sim.Nanosecond {
		require.NoError(t, r.Engine.RunUntil(at))
		require.NoError(t, r.Check())
	}
	require.NoError(t, r.Run())
	assert.Zero(t, r.Balance().InFlight)
}

// VLAN tags by the device.

func TestTagsOfTheDeviceAreTheSameTags(t *testing.T) {
	expand := map[bool]uint64{}
	for _, o := range []kernel.Offloads{{}, {VLANInsert: true, VLANStrip: true}} {
		s := &kerneltest.Fates{}
		r := vlanRig(t, o, s)
		in, out := flowTo(kerneltest.Station(1)), flowTo(kerneltest.Remote(0))
		in.tag, out.tag = 0xA005, 5
		a, b := in.next(300), out.next(300)
		r.Play(0, a)
		plain := append(bytes.Clone(b[:12]), b[16:]...)
		r.Arrive("tap0", plain, offload.Meta{})
		flood := flowTo(bridge.MAC{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
		flood.tag = 5
		c := flood.next(200)
		r.Arrive("tap0", append(bytes.Clone(c[:12]), c[16:]...), offload.Meta{})
		require.NoError(t, r.Run())
		alike(t, [][]byte{b, c}, wired(r), "wire")
		alike(t, [][]byte{append(bytes.Clone(a[:12]), a[16:]...)}, got(s, 1)[len(got(s, 1))-1:], "guest")
		expand[o.VLANInsert] = r.Bill().Steps[cost.VlanPushInside].Count
	}
	assert.Equal(t, map[bool]uint64{false: 2, true: 0}, expand, "the device puts the tag on: no head for it")
}

func TestTSONeedsChecksums(t *testing.T) {
	_, err := kerneltest.Boot(kerneltest.Config{NIC: kernel.NICConfig{Offloads: kernel.Offloads{TSO: true}}})
	assert.ErrorContains(t, err, "eth0: TSO without TxCsum")
}

func TestOffloadsInWords(t *testing.T) {
	for words, want := range map[string]string{
		"": "none", "none": "none", "gro": "gro", "tso": "tso,tx", "csum": "tx,rx", "gro, csum ,txvlan": "gro,tx,rx,txvlan", "all": "gro,tso,tx,rx,txvlan,rxvlan",
	} {
		o, err := kernel.ParseOffloads(words)
		require.NoError(t, err, words)
		assert.Equal(t, want, o.String(), words)
	}
	for _, words := range []string{"lro2", "gro,,tso", "gro all", "GRO"} {
		_, err := kernel.ParseOffloads(words)
		assert.ErrorContains(t, err, "is no offload: gro, lro, tso, tx, rx, txvlan, rxvlan, csum, all, none are", words)
	}
}

// A short segment that Ethernet has padded joins nothing, and does not pass those that
// are held.
func TestAPaddedSegmentDoesNotPassItsFlow(t *testing.T) {
	fates := &kerneltest.Fates{}
	r := kerneltest.New(t, kerneltest.Config{
		CPUs: 2, Taps: 1, Sink: fates, NIC: kernel.NICConfig{Offloads: kernel.Offloads{GRO: true}, ITR: 50 * sim.Microsecond},
	})
	start(t, r, 1, sink, "tap0")
	f := flowTo(kerneltest.Station(0))
	want := [][]byte{f.next(1000), f.next(1000), append(f.next(3), 0, 0, 0), f.next(1000)}
	r.Play(0, want...)
	require.NoError(t, r.Run())
	alike(t, want, got(fates, 0), "a flow with a padded segment")
}
