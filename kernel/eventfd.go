package kernel

import (
	"ringside/cost"
	"ringside/sim"
	"ringside/syscall"
)

// An ioeventfd is a guest's doorbell as a file: the kernel takes the exit and counts,
// a process polls and reads. The count is seen from the time on at which it began.
type ioeventfd struct {
	count   uint64
	at      sim.Time
	hup     bool // the device is gone
	waiting *task
}

var _ syscall.Counter = (*ioeventfd)(nil)

// signal is a kick at the time at, which may be after the reader's. What it costs has
// been charged as that of the guest's doorbell.
func (f *ioeventfd) signal(by *CPU, at sim.Time) {
	if f.count++; f.count == 1 || at < f.at {
		f.at = at
	}
	if f.waiting != nil {
		f.waiting.wake(by, at)
	}
}

// hangUp wakes whoever waits: nobody will kick any more.
func (f *ioeventfd) hangUp(by *CPU, at sim.Time) {
	f.hup = true
	if f.waiting != nil {
		f.waiting.wake(by, at)
	}
}

// Take is eventfd_read.
func (f *ioeventfd) Take(t *syscall.Task) (uint64, syscall.Errno) {
	t.Account().Charge(cost.EventfdRead, 1)
	if f.count == 0 || f.at > t.Now() {
		return 0, syscall.EAGAIN
	}
	n := f.count
	f.count = 0
	return n, syscall.OK
}

// Add is not for the reader's side.
func (f *ioeventfd) Add(*syscall.Task, uint64) syscall.Errno { return syscall.EINVAL }

// Read and Write with memory are not what this file is for; see Take.
func (f *ioeventfd) Read(*syscall.Task, []syscall.Segment) (int, syscall.Errno) {
	return 0, syscall.EINVAL
}
func (f *ioeventfd) Write(*syscall.Task, []syscall.Segment) (int, syscall.Errno) {
	return 0, syscall.EINVAL
}

// Ready says whether there is a kick, or nobody left who could.
func (f *ioeventfd) Ready(t *syscall.Task, want syscall.Events) (have syscall.Events) {
	if f.count > 0 && f.at <= t.Now() {
		have = syscall.PollIn
	}
	if f.hup {
		have |= syscall.PollHup
	}
	return have & want
}

// Wait has the task woken by a kick, one of a later time among them.
func (f *ioeventfd) Wait(t *syscall.Task, want syscall.Events) {
	f.waiting = taskOf(t)
	if f.count > 0 && want&syscall.PollIn != 0 {
		f.waiting.wakeLater(nil, f.at)
	}
}

// Forget takes Wait back.
func (f *ioeventfd) Forget(*syscall.Task) { f.waiting = nil }

// Release has nothing to give back.
func (f *ioeventfd) Release(*syscall.Task) {}

// An irqfd is an interrupt of a guest as a file: whoever writes to it puts the
// interrupt into the guest.
type irqfd struct {
	v      *VCPU
	vector int
}

var _ syscall.Counter = (*irqfd)(nil)

// Add is eventfd_write with irqfd_wakeup behind it.
func (f *irqfd) Add(t *syscall.Task, _ uint64) syscall.Errno {
	c := taskOf(t).cpu
	c.shared(cost.EventfdWrite, 1, t.Name)
	f.v.inject(c, f.vector)
	return syscall.OK
}

// Take is not for the writer's side.
func (f *irqfd) Take(*syscall.Task) (uint64, syscall.Errno) { return 0, syscall.EINVAL }

// Read and Write with memory are not what this file is for; see Add.
func (f *irqfd) Read(*syscall.Task, []syscall.Segment) (int, syscall.Errno) {
	return 0, syscall.EINVAL
}
func (f *irqfd) Write(*syscall.Task, []syscall.Segment) (int, syscall.Errno) {
	return 0, syscall.EINVAL
}

// Ready says that it can be written to at any time.
func (f *irqfd) Ready(_ *syscall.Task, want syscall.Events) syscall.Events {
	return syscall.PollOut & want
}

// Wait, Forget and Release have nothing to do.
func (f *irqfd) Wait(*syscall.Task, syscall.Events) {}
func (f *irqfd) Forget(*syscall.Task)               {}
func (f *irqfd) Release(*syscall.Task)              {}
