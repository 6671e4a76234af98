package kernel

import (
	"fmt"

	"ringside/cost"
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
	index  int
	cpu    *CPU
	state  napiState
	work   int // frames of the present poll
	missed bool
	polls  uint64
	gro    *gro // nil: frames go up one by one
}

// schedule is napi_schedule: the hard interrupt's only act. The vector masked
// itself (EIAM).
func (n *napi) schedule(c *CPU) {
	if n.state != napiIdle {
		n.missed = true // NAPIF_STATE_MISSED: poll once more before completing
		return
	}
	n.state = napiScheduled
	c.softirq.raise(c, n)
}

// begin is the start of a poll: transmit clean-up comes first.
func (n *napi) begin(c *CPU) {
	if n.state != napiScheduled {
		n.violation(c, "polled while %v", n.state)
	}
	n.state, n.work = napiPolling, 0
	n.polls++
	if n.drv == nil {
		return
	}
	c.shared(cost.IgbPoll, 1, fmt1(c, "queue %d", n.index))
	n.drv.cleanTx(c, n.drv.tx[n.index])
}

// piece polls one list of frames and says whether the poll goes on.
func (n *napi) piece(c *CPU) bool {
	want := min(groNormalBatch, napiWeight-n.work)
	if n.drv == nil {
		return n.processBacklog(c, want)
	}
	got := n.drv.cleanRx(c, n.drv.rx[n.index], c.list[:want])
	n.work += got
	if n.work > napiWeight {
		n.violation(c, "poll returned %d, its budget is %d", n.work, napiWeight)
	}
	switch {
	case got == 0:
	case n.gro != nil:
		n.gro.receive(c, c.list[:got])
	default:
		c.k.receive(c, n.drv.net, c.list[:got])
	}
	return got == want && n.work < napiWeight
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
	c.k.receive(c, dev, c.list[:got])
	return n.work < napiWeight
}

// finish ends a poll and says whether the instance wants another one.
func (n *napi) finish(c *CPU) bool {
	if n.drv == nil {
		return n.finishBacklog(c)
	}
	if q := n.drv.rx[n.index]; q.cleaned > 0 {
		n.drv.refill(c, q)
	}
	if n.gro != nil {
		n.gro.flush(c, n.work == napiWeight)
	}
	if n.work == napiWeight || n.missed {
		n.missed = false
		n.state = napiScheduled
		return true
	}
	c.shared(cost.NapiCompleteDone, 1, "")
	n.state = napiIdle
	n.drv.unmask(c, n)
	return false
}

// finishBacklog ends a poll of the backlog. Frames that go round for ever keep it
// from becoming empty: the event loop has to see the time, or a run up to some time
// would not end.
func (n *napi) finishBacklog(c *CPU) bool {
	if len(c.backlog.queue) > 0 {
		n.state, c.tick = napiScheduled, true
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
