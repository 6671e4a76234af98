package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/sim"
)

// A script is a far end that plays frames, and keeps what comes to it. A live one
// has a frame only when its time has come. What it hands out is overwritten when the
// next frame is asked for, as the contract allows.
type script struct {
	frames []nic.WireFrame
	sent   []nic.WireFrame
	next   int
	live   *sim.Engine
	buf    []byte
}

func (s *script) Receive(f *nic.WireFrame) bool {
	for i := range s.buf {
		s.buf[i] = 0xEE
	}
	if s.next == len(s.frames) || s.live != nil && s.frames[s.next].At > s.live.Now() {
		return false
	}
	*f = s.frames[s.next]
	s.buf = append(s.buf[:0], f.Data...)
	f.Data = s.buf
	s.next++
	return true
}

func (s *script) Transmit(f *nic.WireFrame) { s.sent = append(s.sent, clone(f)) }

func clone(f *nic.WireFrame) nic.WireFrame {
	return nic.WireFrame{ID: f.ID, At: f.At, Data: bytes.Clone(f.Data)}
}

// A near is the NIC's end: it takes what it can get.
type near struct {
	link *Link
	got  []nic.WireFrame
	held nic.WireFrame
}

func (n *near) Arrive() {
	before := n.held
	for n.link.Receive(&n.held) {
		n.got = append(n.got, clone(&n.held))
		before = n.held
	}
	n.held = before
}

// newLink is a link with the script at its far end.
func newLink(t testing.TB, seed uint64, bps uint64, spec Spec, frames []nic.WireFrame) (*Link, *script, *near, *sim.Engine) {
	t.Helper()
	e := sim.NewEngine(seed)
	far := &script{frames: frames}
	l, err := New(Config{Name: "eth0", Engine: e, Spec: spec, BPS: bps}, far)
	require.NoError(t, err)
	n := &near{link: l}
	l.Plug(n)
	return l, far, n, e
}

// through is what comes out of a link at the NIC's end.
func through(t testing.TB, seed, bps uint64, w Way, frames []nic.WireFrame) ([]nic.WireFrame, Counts) {
	t.Helper()
	l, _, n, e := newLink(t, seed, bps, Spec{Rx: w}, frames)
	n.Arrive()
	require.NoError(t, e.RunToIdle())
	c := l.Rx()
	require.NoError(t, c.Check())
	require.Zero(t, c.Held)
	require.Equal(t, uint64(len(n.got)), c.Out)
	return n.got, c
}

// back is what comes out at the far end, of frames that the NIC sends at their times,
// or ahead of them, all at once.
func back(t testing.TB, seed uint64, w Way, frames []nic.WireFrame, ahead bool) ([]nic.WireFrame, Counts) {
	t.Helper()
	l, far, _, e := newLink(t, seed, 0, Spec{Tx: w}, nil)
	for i := range frames {
		if !ahead {
			require.NoError(t, e.RunUntil(frames[i].At))
		}
		f := clone(&frames[i])
		l.Transmit(&f)
		for j := range f.Data {
			f.Data[j] = 0xEE // good during the call only
		}
	}
	require.NoError(t, e.RunToIdle())
	c := l.Tx()
	require.NoError(t, c.Check())
	require.Zero(t, c.Held)
	require.Equal(t, uint64(len(far.sent)), c.Out)
	return far.sent, c
}

// steady is n frames of size bytes, one every so often.
func steady(n, size int, every sim.Time) []nic.WireFrame {
	list := make([]nic.WireFrame, n)
	for i := range list {
		data := bytes.Repeat([]byte{byte(i)}, size)
		list[i] = nic.WireFrame{ID: uint64(i + 1), At: sim.Time(i) * every, Data: data}
	}
	return list
}

// anyFrames are n frames at random, many of them at once.
func anyFrames(r *rand.Rand, n int) []nic.WireFrame {
	var list []nic.WireFrame
	at := sim.Time(0)
	for i := range n {
		if r.IntN(3) > 0 {
			at += sim.Time(r.Int64N(int64(30 * sim.Microsecond)))
		}
		data := make([]byte, 14+r.IntN(200))
		if r.IntN(8) == 0 {
			data = make([]byte, 1514)
		}
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		list = append(list, nic.WireFrame{ID: uint64(i + 1), At: at, Data: data})
	}
	return list
}

// anyWay is a description at random, on a scale at which effects meet.
func anyWay(r *rand.Rand) Way {
	var w Way
	some := func() bool { return r.IntN(2) == 0 }
	share := func() Prob { return Share(r.Uint64N(60), 100) }
	if some() {
		w.Duplicate = share()
	}
	if some() {
		w.Loss = share()
	}
	if some() {
		w.Bursts = Bursts{share(), share(), share() + Always/3, share() / 8}
	}
	if some() {
		w.Corrupt = share()
	}
	if some() {
		w.Limit = 1 + r.IntN(20)
	}
	if some() {
		w.Rate.BPS = 1 + uint64(r.Int64N(200e6)) + 5e6
		switch r.IntN(3) {
		case 0:
			w.Rate.Queue.Frames = 1 + r.IntN(10)
		case 1:
			w.Rate.Queue.Bytes = 1 + r.IntN(5000)
		}
	}
	if some() {
		w.Delay.Fixed = sim.Time(1 + r.Int64N(int64(200*sim.Microsecond)))
	}
	if some() {
		w.Delay.Jitter = sim.Time(1 + r.Int64N(int64(200*sim.Microsecond)))
		w.Delay.Normal, w.Delay.Overtake = some(), some()
	}
	if w.Delay != (Delay{}) && some() {
		w.Reorder = Reorder{share() + 1, r.IntN(6)}
	}
	return w
}
