package wire

import "math/rand/v2"

// reorder picks the frames that go at once.
type reorder struct {
	p       Prob
	gap     int
	delayed int // frames since the last one that went at once
	rnd     *rand.ChaCha8
}

// hits says whether the next frame goes at once. It draws for every frame.
func (r *reorder) hits() bool {
	if hit := r.p.hits(r.rnd); r.delayed < r.gap-1 || !hit {
		r.delayed++
		return false
	}
	r.delayed = 0
	return true
}
