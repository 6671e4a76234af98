package sim

import "math/bits"

// A Clock is the time of one emulated CPU. A CPU is busy for as long as the
// work that is charged to it takes: the clock watches the CPU's meter, which
// counts thousandths of a cycle, and reads as the moment the CPU took up its
// present work plus what has been charged since. Reading it costs one multiply.
type Clock struct {
	meter *uint64 // thousandths of a cycle charged so far; the ledger moves it
	scale uint64  // picoseconds in a thousandth of a cycle, times 2^32
	start Time    // when the present stretch of work began, without a pause since
	mark  uint64  // the meter at that moment
}

// NewClock returns the clock of a CPU of hz cycles a second that is charged on
// meter. hz must be at least 1 MHz and meter not nil.
func NewClock(hz uint64, meter *uint64) Clock {
	return Clock{meter: meter, scale: Scale(hz), mark: *meter}
}

// Scale is the length of a thousandth of a cycle at hz cycles a second, in
// units of 2^-32 ps, rounded down: at 3.6 GHz a CPU is fast by 0.1 ns a second.
// It panics below 1 MHz, where spans of some days would not fit.
func Scale(hz uint64) uint64 {
	if hz < 1e6 {
		panic("sim: a CPU clock below 1 MHz")
	}
	return 1e9 << 32 / hz
}

// Span is how long n thousandths of a cycle last at that scale, rounded down to a
// picosecond. It must be less than Never.
func Span(n, scale uint64) Time {
	hi, lo := bits.Mul64(n, scale)
	return Time(hi<<32 | lo>>32)
}

// Now is the CPU's own time: the end of everything charged to it so far.
func (c *Clock) Now() Time { return c.start + Span(*c.meter-c.mark, c.scale) }

// Begin says that the CPU takes up work at the time at, or as soon as it is
// done with what it has, and returns that moment. A CPU that goes on without a
// pause keeps its beginning, so that rounding to picoseconds does not add up.
func (c *Clock) Begin(at Time) Time {
	if now := c.Now(); now >= at {
		return now
	}
	c.start, c.mark = at, *c.meter
	return at
}

// Fits is how often a piece of n thousandths of a cycle more ends by the time at.
// n is not 0.
func (c *Clock) Fits(n uint64, at Time) uint64 {
	if at < c.Now() {
		return 0
	}
	d := at - c.start + 1 // the first span that is too long
	hi, lo := uint64(d)>>32, uint64(d)<<32
	if hi >= c.scale {
		return (1<<64 - 1) / n
	}
	quo, rem := bits.Div64(hi, lo, c.scale)
	if rem == 0 {
		quo--
	}
	return (quo - (*c.meter - c.mark)) / n
}

// Cycles is how many thousandths of a cycle the span d lasts, rounded up.
func (c *Clock) Cycles(d Time) uint64 {
	if d <= 0 {
		return 0
	}
	hi, lo := uint64(d)>>32, uint64(d)<<32
	if hi >= c.scale {
		return 1<<64 - 1
	}
	quo, rem := bits.Div64(hi, lo, c.scale)
	if rem != 0 {
		quo++
	}
	return quo
}
