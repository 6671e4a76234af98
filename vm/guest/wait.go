package guest

import (
	"ringside/sim"
	"ringside/syscall"
)

// waiters are the processes that wait for one thing, in order.
type waiters struct{ first *Proc }

// sleep has p wait until one of the events may hold, or the time by; 0 is never. It
// is what an attempt does when it got EAGAIN.
func (w *waiters) sleep(p *Proc, want syscall.Events, by sim.Time) progress {
	at := &w.first
	for *at != nil {
		at = &(*at).nextWaiter
	}
	*at = p
	p.want, p.on = want, w
	if by == 0 {
		by = sim.Never
	}
	p.wait(by)
	return waits
}

// wakeAll has every waiter look again.
func (w *waiters) wakeAll() { w.wake(^syscall.Events(0)) }

// wake wakes those who wait for one of the events.
func (w *waiters) wake(ready syscall.Events) {
	for at := &w.first; *at != nil; {
		p := *at
		if p.want&ready == 0 {
			at = &p.nextWaiter
			continue
		}
		*at = p.nextWaiter
		p.on, p.nextWaiter = nil, nil
		p.wake()
	}
}

// forget takes p off.
func (w *waiters) forget(p *Proc) {
	at := &w.first
	for *at != p {
		at = &(*at).nextWaiter
	}
	*at = p.nextWaiter
	p.on, p.nextWaiter = nil, nil
}
