package kernel

import (
	"ringside/cost"
	"ringside/nic"
	"ringside/sim"
)

// An itrClass is what igb takes the traffic of a vector for.
type itrClass uint8

const (
	itrLowest itrClass = iota // few small frames: tell of them at once
	itrLow
	itrBulk
)

// itrGaps is the least gap between interrupts of each class: 70,000, 20,000 and
// 4,000 interrupts a second, in the microseconds that EITR has.
var itrGaps = [...]sim.Time{itrLowest: 14 * sim.Microsecond, itrLow: 50 * sim.Microsecond, itrBulk: 250 * sim.Microsecond}

// An adaptive is the choice of one vector's gap by what it brought since it was
// last unmasked (Batching.AdaptiveITR).
type adaptive struct {
	class          itrClass
	packets, bytes uint64
	gap            sim.Time // that the driver wants; written by the next interrupt
	written        sim.Time
}

// next is the class for so many packets and bytes after one of class c: the
// thresholds of igb_update_itr.
func (c itrClass) next(packets, bytes uint64) itrClass {
	if packets == 0 {
		return c
	}
	mean := bytes / packets
	switch c {
	case itrLowest:
		switch {
		case mean > 8000:
			return itrBulk
		case packets < 5 && bytes > 512:
			return itrLow
		}
	case itrLow:
		switch {
		case bytes > 10000 && (mean > 8000 || packets < 10 || mean > 1200):
			return itrBulk
		case bytes > 10000 && packets > 35:
			return itrLowest
		case bytes <= 10000 && mean > 2000:
			return itrBulk
		case packets <= 2 && bytes < 512:
			return itrLowest
		}
	case itrBulk:
		switch {
		case bytes > 25000 && packets > 35:
			return itrLow
		case bytes <= 25000 && bytes < 1500:
			return itrLow
		}
	}
	return c
}

// saw counts what a poll took.
func (a *adaptive) saw(list []*skb) {
	a.packets += uint64(len(list))
	for _, s := range list {
		a.bytes += uint64(s.length)
	}
}

// choose is igb_set_itr, before the vector is unmasked.
func (a *adaptive) choose() {
	a.class = a.class.next(a.packets, a.bytes)
	a.packets, a.bytes = 0, 0
	a.gap = itrGaps[a.class]
}

// writeITR is igb_write_itr: the handler of an interrupt writes the gap that was
// chosen after the last one.
func (d *driver) writeITR(c *CPU, n *napi) {
	a := n.adaptive
	if a == nil || a.gap == a.written {
		return
	}
	a.written = a.gap
	c.shared(cost.IgbWriteItr, 1, a.gap.String())
	d.write(c, nic.EITR(n.index), uint32(a.gap/sim.Microsecond)<<nic.EitrIntervalShift|uint32(nic.EitrCntIgnr))
}
