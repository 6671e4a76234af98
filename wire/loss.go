package wire

import (
	"math/rand/v2"

	"ringside/nic"
)

// loss loses each frame by itself.
type loss struct {
	p   Prob
	rnd *rand.ChaCha8
}

func (l *loss) pass(*nic.WireFrame) Reason {
	if l.p.hits(l.rnd) {
		return LinkLoss
	}
	return NotLost
}
