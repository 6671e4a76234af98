package wire

import (
	"math/bits"
	"math/rand/v2"

	"ringside/sim"
)

// jitter is by how much a delay differs from its mean.
type jitter struct {
	span   uint64 // picoseconds
	normal bool
	rnd    *rand.ChaCha8
}

// draw is from -span to span, all equally likely, or normal with the standard
// deviation span.
func (j *jitter) draw() sim.Time {
	if j.normal {
		return j.drawNormal()
	}
	off, _ := bits.Mul64(j.rnd.Uint64(), 2*j.span+1)
	return sim.Time(off) - sim.Time(j.span)
}

// drawNormal is the sum of twelve uniform numbers less its mean, which has the
// variance 1 and never goes beyond 6: the distribution of Irwin and Hall.
func (j *jitter) drawNormal() sim.Time {
	var sum uint64 // parts per 2^32
	for range 6 {
		draw := j.rnd.Uint64()
		sum += draw>>32 + draw&0xFFFFFFFF
	}
	const mean = 6 * (1<<32 - 1)
	if sum < mean {
		return -mulShift(mean-sum, j.span)
	}
	return mulShift(sum-mean, j.span)
}

// mulShift is a*b/2^32.
func mulShift(a, b uint64) sim.Time {
	hi, lo := bits.Mul64(a, b)
	return sim.Time(hi<<32 | lo>>32)
}
