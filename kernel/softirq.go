package kernel

import (
	"ringside/cost"
	"ringside/sim"
)

// The limits of Linux's softirq and net_rx_action, at their defaults.
const (
	napiWeight     = 64                  // frames one poll may take
	groNormalBatch = 8                   // frames that go up the stack as one list
	netdevBudget   = 300                 // frames one net_rx_action may take
	netdevBudgetT  = 2 * sim.Millisecond // time one may take (netdev_budget_usecs)
	softirqTime    = 2 * sim.Millisecond // time softirqs may take from what they interrupted
	softirqRounds  = 10                  // rounds likewise (MAX_SOFTIRQ_RESTART)
)

// A SoftnetStat is one CPU's line of /proc/net/softnet_stat.
type SoftnetStat struct {
	CPU         int    `json:"cpu"`
	Processed   uint64 `json:"processed"`    // frames
	TimeSqueeze uint64 `json:"time_squeeze"` // times net_rx_action was out of budget or time
}

// softirq is one CPU's softnet_data and where it stands in its work: in
// __do_softirq (inline or as ksoftirqd), in net_rx_action, in a poll.
type softirq struct {
	inline    bool // running, in front of every task
	thread    bool // as ksoftirqd, which has the CPU for a slice
	ksoftirqd bool // handed to the thread: interrupts only add to the poll list
	began     sim.Time
	had       sim.Time // of the CPU, as ksoftirqd; see mobility
	rounds    int

	action   bool // in net_rx_action
	budget   int
	deadline sim.Time

	polling  *napi
	pollList []*napi // scheduled: for the next net_rx_action
	list     []*napi // of the present one
	repoll   []*napi // had more than their weight: for the next one, at its end
	stat     SoftnetStat
}

// raise puts n on the poll list, and softirq work in front of what the CPU does
// unless ksoftirqd has it in hand.
func (s *softirq) raise(c *CPU, n *napi) {
	n.listed = true
	s.pollList = append(s.pollList, n)
	if !s.inline && !s.ksoftirqd {
		s.beginInline(c)
	}
	c.kick(c.clock.Now())
}

// beginInline enters __do_softirq.
func (s *softirq) beginInline(c *CPU) {
	s.inline, s.thread, s.ksoftirqd = true, false, false
	s.began, s.rounds = c.clock.Now(), 0
}

// softirqPiece is one list of frames, or one step between polls.
func (c *CPU) softirqPiece() {
	s := &c.softirq
	if !s.action {
		c.shared(cost.NetRxAction, 1, "")
		s.action, s.budget, s.deadline = true, c.k.batching.Budget, c.clock.Now()+c.k.batching.BudgetTime
	}
	if s.polling == nil {
		if len(s.list) == 0 && len(s.repoll) == 0 {
			s.list, s.pollList = s.pollList, s.list
		}
		if len(s.list) == 0 {
			s.endAction(c)
			return
		}
		s.polling = s.list[0]
		s.list = s.list[:copy(s.list, s.list[1:])]
		s.polling.begin(c)
	}
	n := s.polling
	more := n.piece(c)
	if more {
		return
	}
	s.polling = nil
	s.budget -= n.work
	s.stat.Processed += uint64(n.work)
	if n.finish(c) {
		s.repoll = append(s.repoll, n)
	}
	if s.budget <= 0 || c.clock.Now() >= s.deadline {
		s.stat.TimeSqueeze++
		s.endAction(c)
	}
}

// endAction leaves net_rx_action. With work left, softirqs go on for a while,
// but not for ever and not when a task waits: then ksoftirqd must compete for
// the CPU like everybody else. It has the CPU in slices like everybody else, too.
func (s *softirq) endAction(c *CPU) {
	s.action = false
	c.sendIPIs()
	s.list = append(append(s.list, s.pollList...), s.repoll...)
	s.pollList, s.list, s.repoll = s.list, s.pollList[:0], s.repoll[:0]
	if len(s.pollList) == 0 {
		s.inline = false
		return
	}
	s.rounds++
	now := c.clock.Now()
	taskWaits := len(c.runq) > 0 && c.runq[0].at <= now
	if s.thread {
		s.had += now - s.began
		s.began = now
		if !taskWaits || now < c.sliceEnd {
			return
		}
	} else if s.rounds < softirqRounds && now < s.began+softirqTime && !taskWaits {
		return
	}
	s.inline, s.ksoftirqd = false, true
	if c.current != nil { // the interrupted task goes on first
		t := c.current
		c.current = nil
		c.enqueue(t, now)
	}
	c.enqueue(nil, now)
}
