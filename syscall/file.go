package syscall

import "ringside/mem"

// A Segment is a stretch of a guest's memory, as readv and writev take them.
type Segment struct {
	Addr mem.Addr
	Len  int
}

// Events are the conditions that Poll waits for and reports.
type Events uint16

// The conditions, with Linux's values.
const (
	PollIn    Events = 0x001  // a frame can be read
	PollOut   Events = 0x004  // a frame can be written
	PollErr   Events = 0x008  // the device is gone, or an error waits on the socket
	PollHup   Events = 0x010  // both directions of a connection are closed
	PollNval  Events = 0x020  // the descriptor is not open
	PollRdHup Events = 0x2000 // the other side of a connection sends no more
)

// Flags of Open.
type Flags uint32

// The flags, with Linux's values.
const (
	ReadWrite Flags = 0x002 // O_RDWR
	NonBlock  Flags = 0x800 // O_NONBLOCK
)

// A File is what a descriptor stands for: the kernel's side of the border. Its
// calls run on the calling task's CPU, charge its account, and move bytes only
// by the task's CopyOut and CopyIn.
type File interface {
	// Read hands over one unit, a frame, into the segments and returns the bytes
	// that arrived. EAGAIN means nothing to read at the task's time.
	Read(t *Task, segs []Segment) (int, Errno)
	// Write takes one unit out of the segments.
	Write(t *Task, segs []Segment) (int, Errno)
	// Ready says which of the events hold at the task's time.
	Ready(t *Task, want Events) Events
	// Wait has t woken when one of the events may hold; Forget takes that back.
	Wait(t *Task, want Events)
	Forget(t *Task)
	// Release is the last close.
	Release(t *Task)
}

// Devices is the kernel's table of what can be opened by name.
type Devices interface {
	Open(t *Task, name string) (File, Errno)
}

// A Scheduler is the kernel's side of a task that must wait. Each call returns
// when the task runs again.
type Scheduler interface {
	// CatchUp returns when no event before or at the task's time is left, and
	// says whether there was one. It does not return after EndOfTime.
	CatchUp(t *Task) bool
	// Block returns when the task was woken.
	Block(t *Task)
	// Turn lets those have the CPU who are to have it before the task, and returns
	// for how long the task may work then.
	Turn(t *Task) Time
	// Tick is called now and then, so that a task that never waits can be stopped.
	Tick(t *Task)
	// Preempt is called at the end of a system call on a CPU that others want,
	// and returns when the task has the CPU again.
	Preempt(t *Task)
	// WakeAt has the task woken at the time at, if it still sleeps then.
	WakeAt(t *Task, at Time)
}
