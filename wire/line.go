package wire

import (
	"math/bits"

	"ringside/sim"
)

// Bytes that a frame takes on a line beside its own [IEEE 802.3, 4.2].
const (
	preamble = 8  // preamble and start delimiter
	fcs      = 4  // frame check sequence
	gap      = 12 // inter-packet gap
	minFrame = 60 // shorter frames are padded by the sender
)

// A line carries frames one after another at a constant rate.
type line struct {
	bps  uint64
	each uint64   // picoseconds for a byte, when that is whole; else 0
	gap  sim.Time // between two frames
	free sim.Time // when the next frame may begin
}

func newLine(bps uint64) line {
	l := line{bps: bps}
	if bps == 0 {
		return l
	}
	if 8e12%bps == 0 {
		l.each = 8e12 / bps
	}
	l.gap = l.span(gap)
	return l
}

// span is how long n bytes take, in picoseconds rounded up.
func (l *line) span(n uint64) sim.Time {
	if l.each != 0 {
		return sim.Time(n * l.each)
	}
	hi, lo := bits.Mul64(n, 8e12)
	lo, carry := bits.Add64(lo, l.bps-1, 0)
	q, _ := bits.Div64(hi+carry, lo, l.bps)
	return sim.Time(q)
}

// carry sends a frame of size bytes that is there at the time at: first is when its
// first bit goes out, last when its last one is.
func (l *line) carry(at sim.Time, size int) (first, last sim.Time) {
	first = max(at, l.free)
	last = first + l.span(preamble+uint64(max(size, minFrame))+fcs)
	l.free = last + l.gap
	return first, last
}
