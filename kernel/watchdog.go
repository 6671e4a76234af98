package kernel

import (
	"ringside/cost"
	"ringside/nic"
	"ringside/sim"
)

// watchdogPeriod is how often igb_watchdog_task runs.
const watchdogPeriod = 2 * sim.Second

// A starving is a receive queue of which the device has no descriptor, because
// there was no memory for a buffer. No frame comes by it, so no interrupt will
// bring the poll that tries again: the watchdog must.
type starving struct {
	d *driver
	q *rxQueue
}

// starve puts a queue on the watchdog's list.
func (k *Kernel) starve(d *driver, q *rxQueue) {
	if !q.starved {
		q.starved = true
		k.starved = append(k.starved, starving{d, q})
	}
}

// fed says that memory came back while queues starve. Linux looks every two
// seconds whether there is something to do or not; here, only when there is.
func (k *Kernel) fed() {
	if k.watchdog == nil {
		k.watchdog = k.eng.NewTimer("igb_watchdog_task", sim.HandlerFunc(k.watch))
	}
	if !k.watchdog.Armed() {
		k.eng.Arm(k.watchdog, (k.eng.Now()/watchdogPeriod+1)*watchdogPeriod)
	}
}

// watch is igb_watchdog_task: it sets the causes of starving queues in EICS, so
// that the device interrupts and they are polled.
func (k *Kernel) watch(sim.Time) {
	list := k.starved
	k.starved = nil
	for _, s := range list {
		s.q.starved = false
		s.d.napi[s.q.index].cpu.later(func(c *CPU) {
			c.shared(cost.IgbWatchdogTask, 1, fmt1(c, "EICS = %#x", 1<<s.q.index))
			s.d.write(c, nic.EICS, 1<<s.q.index)
		})
	}
}
