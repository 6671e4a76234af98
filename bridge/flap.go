package bridge

import "ringside/sim"

// A station that moves FlapMoves times within FlapTime flaps: there is a loop, or
// two stations have one address.
const (
	FlapMoves = 5
	FlapTime  = 10 * sim.Second
)

// A Flap is a station that flaps, for display.
type Flap struct {
	MAC         MAC
	VLAN        uint16
	Ports       [2]Port // between which it moved last
	Moves       int     // since First
	First, Last sim.Time
}

// flaps watches the stations that moved of late, one in each place of a small
// table: whoever moves seldom gives way.
type flaps [64]flap

type flap struct {
	key         addr
	ports       [2]Port
	moves       int
	first, last sim.Time
}

// note counts a move.
func (t *flaps) note(key addr, from, to Port, now sim.Time, stats *Stats) {
	f := &t[uint64(key)*golden>>58]
	switch {
	case f.key == key && now-f.first <= FlapTime:
	case f.key == key || f.moves < FlapMoves || now-f.last > FlapTime:
		*f = flap{key: key, first: now}
	default:
		return // a place where somebody flaps right now
	}
	f.ports, f.last = [2]Port{from, to}, now
	if f.moves++; f.moves == FlapMoves {
		stats.Flaps++
	}
}

// Flaps is the stations that flapped within FlapTime before now, at most 64.
func (b *Bridge) Flaps(now sim.Time) (list []Flap) {
	for _, f := range b.flaps {
		if f.moves >= FlapMoves && now-f.last <= FlapTime {
			list = append(list, Flap{f.key.mac(), f.key.vlan(), f.ports, f.moves, f.first, f.last})
		}
	}
	return list
}
