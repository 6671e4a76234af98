package wire

import (
	"math/bits"
	"math/rand/v2"

	"ringside/nic"
)

// corrupt turns over one bit of a frame, any of them. It is as if the sender had
// done it: the FCS is right, and only who checks more notices.
type corrupt struct {
	p   Prob
	rnd *rand.ChaCha8
	buf []byte // of the last one
	n   uint64
}

func (c *corrupt) pass(f *nic.WireFrame) Reason {
	if !c.p.hits(c.rnd) || len(f.Data) == 0 {
		return NotLost
	}
	c.n++
	c.buf = append(c.buf[:0], f.Data...)
	bit, _ := bits.Mul64(c.rnd.Uint64(), 8*uint64(len(c.buf)))
	c.buf[bit/8] ^= 1 << (bit % 8)
	f.Data = c.buf
	return NotLost
}
