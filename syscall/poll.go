package syscall

import (
	"ringside/cost"
	"ringside/sim"
)

// A PollFD is what Ppoll asks of one descriptor, and what it found.
type PollFD struct {
	FD   int
	Want Events
	Have Events
}

// Ppoll waits until one of the descriptors has an event that is wanted of it, for at
// most timeout; 0 asks and returns, a negative timeout waits for ever. It fills in
// what each has and returns how many have something; PollErr, PollHup and PollNval
// count whether they are wanted or not. A descriptor with Want 0 is left out.
func (t *Task) Ppoll(fds []PollFD, timeout Time) int {
	t.enter()
	defer t.exit()
	deadline := sim.Never
	if timeout >= 0 {
		deadline = t.after(timeout)
	}
	for {
		n := t.ready(fds)
		if n == 0 && t.CatchUp() {
			n = t.ready(fds) // what was not there may be there now
		}
		if n > 0 || t.Now() >= deadline {
			return n
		}
		t.waitAll(fds)
		t.host.Scheduler.WakeAt(t, deadline)
		t.host.Scheduler.Block(t)
		t.forgetAll(fds)
	}
}

// ready asks each descriptor once.
func (t *Task) ready(fds []PollFD) (n int) {
	for i := range fds {
		p := &fds[i]
		p.Have = 0
		if p.Want == 0 {
			continue
		}
		t.host.Account.Charge(cost.SysPoll, 1)
		if d := t.descriptor(p.FD); d == nil {
			p.Have = PollNval
		} else {
			p.Have = d.file.Ready(t, p.Want|PollErr|PollHup)
		}
		if p.Have != 0 {
			n++
		}
	}
	return n
}

func (t *Task) waitAll(fds []PollFD) {
	for i := range fds {
		if p := &fds[i]; p.Want != 0 {
			t.descriptor(p.FD).file.Wait(t, p.Want)
		}
	}
}

func (t *Task) forgetAll(fds []PollFD) {
	for i := range fds {
		if d := t.descriptor(fds[i].FD); d != nil && fds[i].Want != 0 {
			d.file.Forget(t)
		}
	}
}
