package nic

import "ringside/sim"

// A WireFrame is a frame on the wire: the bytes from the destination address to
// the end of the payload, without preamble and FCS.
type WireFrame struct {
	ID   uint64
	At   sim.Time
	Data []byte
}

// A Wire is what the NIC is plugged into.
type Wire interface {
	// Receive fills f with the next frame for the NIC, in order: At is the
	// earliest moment at which its first bit can be on the wire. False says that
	// nothing is under way now; whoever gets something later calls NIC.Arrive.
	// f.Data must stay good until the next Receive.
	Receive(f *WireFrame) bool
	// Transmit takes a frame that the NIC sent; At is when its last bit is out,
	// which may lie ahead of the engine's time. f.Data is good during the call.
	Transmit(f *WireFrame)
}

// Bytes that a frame takes on a wire beside its own [IEEE 802.3, 4.2].
const (
	preamble = 8  // preamble and start delimiter
	fcs      = 4  // frame check sequence
	gap      = 12 // inter-packet gap
	minFrame = 60 // shorter frames are padded by the sender
)

// A link turns bytes into time.
type link struct {
	bps   uint64
	each  uint64   // picoseconds for a byte, when that is whole; else 0
	gap   sim.Time // between two frames
	free  sim.Time // when the next frame from the wire may begin
	txOut sim.Time // when the next frame to the wire may begin
}

func newLink(bps uint64) link {
	l := link{bps: bps}
	if 8e12%bps == 0 {
		l.each = 8e12 / bps
	}
	l.gap = l.span(gap)
	return l
}

// span is how long n bytes take, in picoseconds rounded up.
func (l *link) span(n uint64) sim.Time {
	if l.each != 0 {
		return sim.Time(n * l.each)
	}
	return sim.Time((n*8e12 + l.bps - 1) / l.bps)
}

// onWire is the length of a frame from preamble to FCS.
func onWire(n int) uint64 {
	return uint64(max(n, minFrame)) + fcs + preamble
}

// arrival is when the last bit of the next frame, size bytes that can begin at
// the time at, is in. The link is busy until then and the gap after it.
func (l *link) arrival(at sim.Time, size int) sim.Time {
	t := max(at, l.free) + l.span(onWire(size))
	l.free = t + l.gap
	return t
}

// pull takes the next frame from the wire into n.held, when none is held: its
// last bit is in at n.arrives.
func (n *NIC) pull() bool {
	if n.idle || !n.wire.Receive(&n.held) {
		n.idle = true
		return false
	}
	n.arrives = n.link.arrival(n.held.At, len(n.held.Data))
	n.have = true
	return true
}

// Arrive says that the wire has something again after Receive said no.
func (n *NIC) Arrive() {
	n.idle = false
	if !n.busy {
		n.rearm()
	}
	for _, f := range n.watch {
		f()
	}
}

// Next is a moment before which no further receive descriptor is written, as the device
// sees it after it has caught up: what a driver that polls need not ask before. It is
// sim.Never while nothing is under way, or while the driver has to do something first;
// if it is the wire that has to, Watch tells when it has.
func (n *NIC) Next() sim.Time {
	if n.busy {
		return 0
	}
	return n.nextDone()
}

// Watch has f called whenever the wire has something again after it had nothing.
func (n *NIC) Watch(f func()) { n.watch = append(n.watch, f) }
