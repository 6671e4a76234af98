package kernel

import "ringside/sim"

// Tasks that wait are moved in two ways, as in Linux: a CPU that has nothing to do
// pulls one (new-idle balancing), and as long as some wait a timer evens out what they
// wait for. A task that ran a moment ago is hot, its lines are in that CPU's caches:
// it is passed over, by the timer not more than once in a row.

// balanceEvery is a tick: the interval of the timer.
const balanceEvery = 4 * sim.Millisecond

// watch has the timer armed while tasks wait on c.
func (s *scheduling) watch(c *CPU) {
	if s.balancer != nil && s.balancer.Armed() || c.load(c.clock.Now()) < 2 {
		return
	}
	k := c.k
	if s.balancer == nil {
		s.balancer = k.eng.NewTimer("sched_balance", sim.HandlerFunc(k.balance))
	}
	k.eng.Arm(s.balancer, max(c.clock.Now(), k.eng.Now())+balanceEvery)
}

// balance is sched_balance_softirq of all CPUs, the first first.
func (k *Kernel) balance(now sim.Time) {
	waits := false
	for _, c := range k.cpus {
		if !c.even(now, c.llc) && k.sched.far {
			c.even(now, k.cpus)
		}
	}
	for _, c := range k.cpus {
		waits = waits || c.load(now) > 1
	}
	if waits {
		k.eng.Arm(k.sched.balancer, now+balanceEvery)
	}
}

// even takes a task for c from the busiest of the CPUs, if that has two more than c,
// and says whether there was such a CPU.
func (c *CPU) even(now sim.Time, cpus []*CPU) bool {
	var busiest *CPU
	for _, o := range cpus {
		if o.load(now) >= c.load(now)+2 && (busiest == nil || o.load(now) > busiest.load(now)) && o.waiting(c, now, true) >= 0 {
			busiest = o
		}
	}
	if busiest == nil {
		return false
	}
	i := busiest.waiting(c, now, c.passed > 0)
	if i < 0 {
		c.passed++
		return true
	}
	c.passed = 0
	c.take(busiest, i)
	return true
}

// pull takes a task that waits elsewhere for a CPU that has nothing to do, and says
// whether there was one.
func (c *CPU) pull() bool {
	now := c.clock.Now()
	if c.load(now) > 0 {
		return false
	}
	for _, cpus := range [...][]*CPU{c.llc, c.k.cpus} {
		var busiest *CPU
		for _, o := range cpus {
			if o.load(now) >= 2 && (busiest == nil || o.load(now) > busiest.load(now)) && o.waiting(c, now, false) >= 0 {
				busiest = o
			}
		}
		if busiest != nil {
			c.take(busiest, busiest.waiting(c, now, false))
			return true
		}
	}
	return false
}

// waiting is the first on the run queue of o that waits by the time now and may go to c,
// -1 if there is none.
func (o *CPU) waiting(c *CPU, now sim.Time, hot bool) int {
	for i, r := range o.runq {
		t := r.task
		if o != c && t != nil && r.at <= now && t.ran <= now && t.movable() && t.allowed.Has(c.id) && (hot || now-t.ran >= migrationCost) {
			return i
		}
	}
	return -1
}

// take moves the task at index i of another CPU's run queue to c.
func (c *CPU) take(from *CPU, i int) {
	r := from.dequeue(i)
	from.setContended()
	r.task.move(c)
	c.enqueue(r.task, r.task.notBefore(r.at))
}
