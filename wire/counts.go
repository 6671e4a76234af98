package wire

import (
	"fmt"
	"math/bits"

	"ringside/sim"
)

// Counts are what a link did to frames that went one way: In + Duplicated = Out +
// lost + Held.
type Counts struct {
	In         uint64 // taken in
	Duplicated uint64 // made
	Corrupted  uint64 // of those, with a bit turned over
	Lost       [NumReasons]uint64
	Out        uint64 // handed out
	Reordered  uint64 // of those, out after one that went in later, as RFC 4737 counts
	Held       uint64 // still on the link

	// Min and Max are how long frames that came out were on the link; 0 if none did.
	Min, Max sim.Time

	sum    [2]uint64 // of those times, 128 bits
	passed uint64    // frames that were not lost
}

// left counts a frame that comes out after so long.
func (c *Counts) left(after sim.Time) {
	if c.Out == 0 || after < c.Min {
		c.Min = after
	}
	c.Max = max(c.Max, after)
	c.Out++
	var carry uint64
	c.sum[0], carry = bits.Add64(c.sum[0], uint64(after), 0)
	c.sum[1] += carry
}

// Mean is how long frames that came out were on the link on average, rounded down; 0
// if none did.
func (c *Counts) Mean() sim.Time {
	if c.Out == 0 {
		return 0
	}
	q, _ := bits.Div64(c.sum[1], c.sum[0], c.Out)
	return sim.Time(q)
}

// AllLost is how many were lost for any reason.
func (c *Counts) AllLost() (n uint64) {
	for _, lost := range c.Lost {
		n += lost
	}
	return n
}

// Check says that frames were lost, or made, that no effect lost or made. It never
// should.
func (c *Counts) Check() error {
	if c.In+c.Duplicated != c.Out+c.AllLost()+c.Held {
		return fmt.Errorf("in %d + duplicated %d is not out %d + lost %d + held %d", c.In, c.Duplicated, c.Out, c.AllLost(), c.Held)
	}
	return nil
}
