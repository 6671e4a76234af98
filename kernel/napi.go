package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/sim"
)

// napiState is where a NAPI instance stands in its contract.
type napiState uint8

const (
	napiIdle      napiState = iota // unmasked: an interrupt will come
	napiScheduled                  // masked, on a poll list
	napiPolling                    // masked, in poll
)

func (s napiState) String() string {
	return [...]string{"idle", "scheduled", "polling"}[s]
}

// A napi is one instance of NAPI: one vector, one receive queue, one transmit
// queue. Its contract is: mask, schedule, poll at most the weight, complete only
// when a poll came out below the weight, unmask only after that.
type napi struct {
	drv    *driver // nil for the backlog of the CPU
	weight int     // frames of one poll
	index  int
	cpu    *CPU
	state  napiState
	work   int // frames of the present poll
	missed bool
	listed bool // on a poll list, or about to be
	polls  uint64
	gro    *gro // nil: frames go up one by one

	thread   *napiThread // polls it in place of softirq; nil without
	adaptive *adaptive   // chooses the gap between interrupts; nil without
	empty    int         // more polls that may come out empty before the vector is unmasked
	timer    *sim.Timer  // polls while it is masked; nil without
}

// schedule is napi_schedule: the hard interrupt's only act. The vector masked
// itself (EIAM).
func (n *napi) schedule(c *CPU) {
	if n.state != napiIdle {
		n.missed = true // NAPIF_STATE_MISSED: poll once more before completing
		return
	}
	n.state = napiScheduled
	if n.thread != nil {
		n.thread.wake(c)
		return
	}
	c.softirq.raise(c, n)
}

// begin is the start of a poll: transmit clean-up comes first.
func (n *napi) begin(c *CPU) {
	if n.state != napiScheduled {
		n.violation(c, "polled while %v", n.state)
	}
	n.state, n.work, n.listed = napiPolling, 0, false
	n.polls++
	if n.drv == nil {
		return
	}
	c.shared(cost.IgbPoll, 1, fmt1(c, "queue %d", n.index))
	n.drv.cleanTx(c, n.drv.tx[n.index])
	if x := n.drv.rx[n.index].xsk; x != nil {
		x.Tx.SetNeedWakeup(false)
		x.xmit(c)
	}
}

// piece polls one list of frames and says whether the poll goes on.
func (n *napi) piece(c *CPU) bool {
	want := min(c.k.batching.List, n.weight-n.work)
	if n.drv == nil {
		return n.processBacklog(c, want)
	}
	got, done := n.drv.harvest(c, n.drv.rx[n.index], c.list[:want])
	n.work += done
	if n.work > n.weight {
		n.violation(c, "poll returned %d, its budget is %d", n.work, n.weight)
	}
	if got > 0 {
		n.up(c, c.list[:got])
	}
	return done == want && n.work < n.weight
}

// up takes frames of a NIC further.
func (n *napi) up(c *CPU, list []*skb) {
	if n.adaptive != nil {
		n.adaptive.saw(list)
	}
	if n.gro != nil {
		n.gro.receive(c, list)
		return
	}
	c.goUp(n.drv.net, list)
}

// goUp is netif_receive_skb_list_internal.
func (c *CPU) goUp(dev *netdev, list []*skb) {
	switch {
	case c.k.rfs != nil:
		c.steerByReader(dev, list)
	case c.k.rps != nil:
		c.steer(dev, list)
	default:
		c.k.receive(c, dev, list)
	}
}

// processBacklog is a piece of process_backlog: frames of one interface in a row.
func (n *napi) processBacklog(c *CPU, want int) bool {
	got, dev := c.backlog.take(c.list[:want])
	if got == 0 {
		return false
	}
	n.work += got
	if dev.vxlan != nil {
		c.all(c.list[:got], cost.GroCellPoll)
	} else {
		c.all(c.list[:got], cost.ProcessBacklog)
	}
	if far := c.backlog.far; far > 0 {
		c.shared(cost.FarSkb, far, "")
	}
	if far := c.backlog.farther; far > 0 { // the same two lines
		c.shared(cost.NumaBacklog, 2*far, "")
	}
	c.k.receive(c, dev, c.list[:got])
	return n.work < n.weight
}

// finish ends a poll and says whether the instance wants another one.
func (n *napi) finish(c *CPU) bool {
	if n.drv == nil {
		return n.finishBacklog(c)
	}
	if q := n.drv.rx[n.index]; q.cleaned > 0 {
		n.drv.refill(c, q)
	}
	settled := true
	if n.drv.xdp != nil {
		c.flushXDP()
		if x := n.drv.rx[n.index].xsk; x != nil {
			settled = x.xmit(c)
			x.Tx.SetNeedWakeup(settled)
		}
	}
	if n.gro != nil {
		n.gro.flush(c, n.work == n.weight || n.timer != nil && n.work+n.empty > 0)
	}
	if n.work == n.weight || n.missed || !settled {
		n.missed, n.listed = false, true
		n.state = napiScheduled
		return true
	}
	c.shared(cost.NapiCompleteDone, 1, "")
	n.state = napiIdle
	if n.timer != nil && n.deferred(c) {
		return false
	}
	if n.adaptive != nil {
		n.adaptive.choose()
	}
	n.drv.unmask(c, n)
	return false
}

// deferred says whether interrupts stay masked after a poll, as napi_complete_done
// has it with napi_defer_hard_irqs: a timer will poll.
func (n *napi) deferred(c *CPU) bool {
	if n.work > 0 {
		n.empty = c.k.batching.DeferHardIRQs
	}
	if n.empty == 0 {
		return false
	}
	n.empty--
	c.k.eng.Arm(n.timer, c.clock.Now()+c.k.batching.FlushTimeout)
	return true
}

// Fire is the timer's: its hard interrupt waits for the CPU.
func (n *napi) Fire(now sim.Time) {
	n.cpu.irqs = append(n.cpu.irqs, irq{d: n.drv, vector: n.index, kind: irqTimer})
	n.cpu.kick(now)
}

// watchdog is napi_watchdog, the handler of that interrupt.
func (n *napi) watchdog(c *CPU) {
	c.shared(cost.NapiWatchdog, 1, fmt1(c, "queue %d", n.index))
	if n.state == napiIdle {
		n.schedule(c)
	}
}

// finishBacklog ends a poll of the backlog. Frames that go round for ever keep it
// from becoming empty: the event loop has to see the time, or a run up to some time
// would not end.
func (n *napi) finishBacklog(c *CPU) bool {
	if q := c.backlog.queue; len(q) > 0 {
		n.state = napiScheduled
		if q[0].at > c.clock.Now() {
			c.backlog.unseen()
			return false
		}
		c.tick, n.listed = true, true
		return true
	}
	n.state = napiIdle
	return false
}

// violation stops the run: the contract is an oracle, not a hope.
func (n *napi) violation(c *CPU, format string, args ...any) {
	c.k.eng.Fail(fmt.Errorf("NAPI contract: %s queue %d on %s: "+format,
		append([]any{n.drv.name, n.index, c.name}, args...)...))
}

// fmt1 formats a note only when somebody will read it.
func fmt1(c *CPU, format string, arg int) string {
	if !c.watched {
		return ""
	}
	return fmt.Sprintf(format, arg)
}
