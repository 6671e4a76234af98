package kernel

import (
	"ringside/cost"
	"ringside/sim"
)

// busyPollBudget is BUSY_POLL_BUDGET: frames of one poll by a reader.
const busyPollBudget = 8

// busyPoll is napi_busy_loop: the reader of a tap polls the queue that its last
// frame came by, itself and on its own CPU, until there is something for it, its
// time is over, or somebody else wants the CPU. It says whether there is something.
// While it polls, an interrupt of the queue finds that and does nothing more.
func (t *tap) busyPoll(w *task) bool {
	n := t.busy
	if n == nil || w.killed {
		return false
	}
	c, s := w.cpu, (*scheduler)(w)
	w.fixed = true // as with softirqs off: it polls for its CPU
	defer func() { w.fixed = false }()
	owned := false
	for until := c.clock.Now() + t.k.batching.BusyPoll; ; {
		s.CatchUp(w.Task)
		if t.hasFrame(c.clock.Now()) {
			break
		}
		if now := c.clock.Now(); now >= until || len(c.runq) > 0 && c.runq[0].at <= now {
			break
		}
		if !owned && n.state == napiIdle {
			owned = true
			n.state, n.work = napiPolling, 0
		}
		if owned {
			n.busyPiece(c)
		} else {
			c.shared(cost.BusyLoop, 1, "")
		}
	}
	if owned {
		n.busyStop(c)
	}
	return t.hasFrame(c.clock.Now())
}

// napiOf is the instance that a frame of a tap came by; nil if none on its bridge
// did. A frame does not say by which NIC it came, so with several on the bridge the
// first is taken.
func (k *Kernel) napiOf(to *netdev, s *skb) *napi {
	for _, d := range k.drivers {
		if d.net.br == to.br && s.queue >= 0 && int(s.queue) < len(d.napi) {
			return d.napi[s.queue]
		}
	}
	return nil
}

// hasFrame says that a frame is on the ring by the time now.
func (t *tap) hasFrame(now sim.Time) bool {
	if t.ring == nil {
		return false
	}
	sl := &t.ring[t.head]
	return sl.s != nil && sl.at <= now
}

// busyPiece is one poll of a reader.
func (n *napi) busyPiece(c *CPU) {
	n.polls++
	c.shared(cost.IgbPoll, 1, fmt1(c, "busy, queue %d", n.index))
	n.drv.cleanTx(c, n.drv.tx[n.index])
	got, done := n.drv.harvest(c, n.drv.rx[n.index], c.list[:min(busyPollBudget, len(c.list))])
	if got > 0 {
		n.up(c, c.list[:got])
	}
	if n.drv.xdp != nil {
		c.flushXDP()
	}
	if n.gro != nil {
		n.gro.flush(c, false)
	}
	n.work = done
	c.sendIPIs()
}

// busyStop is busy_poll_stop: interrupts are wanted again, unless they are deferred.
func (n *napi) busyStop(c *CPU) {
	if q := n.drv.rx[n.index]; q.cleaned > 0 {
		n.drv.refill(c, q)
	}
	n.missed = false
	c.shared(cost.NapiCompleteDone, 1, "")
	n.state = napiIdle
	if n.timer != nil && n.deferred(c) {
		return
	}
	n.drv.unmask(c, n)
}
