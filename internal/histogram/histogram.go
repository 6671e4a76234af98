// Package histogram counts spans of virtual time in buckets that are exact to
// one part in 64, for percentiles over any number of frames in fixed memory.
package histogram

import (
	"math/bits"

	"ringside/sim"
)

// sub is how many buckets each power of two is split into.
const (
	subBits = 6
	sub     = 1 << subBits
)

// A Histogram counts non-negative spans. The zero value is empty.
type Histogram struct {
	counts [buckets]uint64
	max    sim.Time
	short  sim.Time // how much shorter than sim.Never the shortest was
}

// buckets is a power of two, of which (64-subBits)*sub are used, so that a masked
// index needs no check.
const buckets = 1 << 12

// Reset forgets everything.
func (h *Histogram) Reset() { *h = Histogram{} }

// Record counts d; a negative span counts as 0.
func (h *Histogram) Record(d sim.Time) {
	d = max(d, 0)
	h.max = max(h.max, d)
	h.short = max(h.short, sim.Never-d)
	h.counts[bucket(uint64(d))&(buckets-1)]++
}

// bucket: the first 64 spans have one each; from there on the top seven bits of
// a span choose it.
func bucket(v uint64) int {
	shift := bits.Len64(v>>subBits | 1)
	if v < sub {
		return int(v)
	}
	return shift<<subBits + int(v>>(shift-1)) - sub
}

// floor is the least span of bucket i.
func floor(i int) uint64 {
	if i < sub {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return uint64(i&(sub-1)+sub) << shift
}

// Count is the number of spans.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Min is the shortest span, exactly; 0 if there are none.
func (h *Histogram) Min() sim.Time {
	if h.short == 0 {
		return 0
	}
	return sim.Never - h.short
}

// Max is the longest span, exactly; 0 if there are none.
func (h *Histogram) Max() sim.Time { return h.max }

// Quantile is the span that the share q of all spans does not exceed, q in
// thousandths (999 is p99.9): the lower end of its bucket, never outside Min
// and Max, and 0 if there are none.
func (h *Histogram) Quantile(q uint64) sim.Time {
	rank := max((h.Count()*q+999)/1000, 1)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return min(max(sim.Time(floor(i)), h.Min()), h.max)
		}
	}
	return h.max
}
