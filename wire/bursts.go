package wire

import (
	"math/rand/v2"

	"ringside/nic"
)

// bursts loses frames by the state of the link, which is good or bad.
type bursts struct {
	Bursts
	rnd *rand.ChaCha8
	bad bool
}

// pass draws once: half of the number decides about the frame, half about the state.
func (b *bursts) pass(*nic.WireFrame) Reason {
	lose, turn := b.Good, b.ToBad
	if b.bad {
		lose, turn = b.Bad, b.ToGood
	}
	draw := b.rnd.Uint64()
	if Prob(uint32(draw)) < turn {
		b.bad = !b.bad
	}
	if Prob(draw>>32) < lose {
		return LinkBurst
	}
	return NotLost
}
