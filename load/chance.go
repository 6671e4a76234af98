package load

import (
	"math/bits"
	"math/rand/v2"

	"ringside/sim"
)

// log2s[i] is the logarithm to base 2 of 1 + i/1024, in parts per 2^32, reckoned
// bit by bit in whole numbers.
var log2s = func() (t [1025]uint64) {
	const one = 1 << 62
	for i := range t {
		x := uint64(one + i<<52)
		if i == 1024 {
			t[i] = 1 << 32
			continue
		}
		for range 32 {
			hi, lo := bits.Mul64(x, x)
			x = hi<<2 | lo>>62
			t[i] <<= 1
			if x >= 2*one {
				t[i] |= 1
				x >>= 1
			}
		}
	}
	return t
}()

const ln2 = 2977044472 // in parts per 2^32

// exponential makes of 64 random bits a number of the exponential distribution
// with the mean 1, in parts per 2^32. It is the negative logarithm of the bits as a
// number below 1, by table and line between.
func exponential(u uint64) uint64 {
	u |= 1
	zeros := uint(bits.LeadingZeros64(u))
	m := u << zeros << 1
	i, rest := m>>54, m<<10>>32
	log := log2s[i] + (log2s[i+1]-log2s[i])*rest>>32
	hi, lo := bits.Mul64(uint64(zeros+1)<<32-log, ln2)
	return hi<<32 | lo>>32
}

// stretched is a span times parts per 2^32.
func stretched(t sim.Time, by uint64) sim.Time {
	hi, lo := bits.Mul64(uint64(t), by)
	return sim.Time(hi<<32 | lo>>32)
}

// below is a number from 0 to n-1, all as likely but for one part in 2^32/n.
func below(u uint64, n uint32) uint32 { return uint32(u >> 32 * uint64(n) >> 32) }

// An alias is Walker's table of a distribution over 0 … n-1: a place is drawn, and
// then who of the two that share it.
type alias struct {
	keep  []uint32 // of 2^32
	other []uint32
}

// newZipf is the distribution in which i has a share that goes with 1/(i+1).
func newZipf(n int) *alias {
	share, total := make([]uint64, n), uint64(0)
	for i := range share {
		share[i] = 1 << 43 / uint64(i+1)
		total += share[i]
	}
	a := &alias{make([]uint32, n), make([]uint32, n)}
	var small, large []int
	for i := range share {
		share[i] *= uint64(n) // the mean is total
		if share[i] < total {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		keep, _ := bits.Div64(share[s]>>32, share[s]<<32, total)
		a.keep[s], a.other[s] = uint32(keep), uint32(l)
		if share[l] -= total - share[s]; share[l] < total {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		a.keep[i], a.other[i] = 1<<32-1, uint32(i)
	}
	return a
}

func (a *alias) draw(r *rand.PCG) uint32 {
	u := r.Uint64()
	i := below(u, uint32(len(a.keep)))
	if uint32(u) < a.keep[i] {
		return i
	}
	return a.other[i]
}
