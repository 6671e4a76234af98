package syscall

import (
	"math"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
)

// Time is virtual time.
type Time = sim.Time

// EndOfTime is 13 days: a task that wants to sleep until a later moment sleeps for
// ever, and one that works beyond it fails the run. So no clock overflows, not
// even that of a CPU of 10 GHz, the fastest that a price book may have.
const EndOfTime = sim.Never / 8

// maxFiles is how many descriptors a task can have open.
const maxFiles = 16

// Host is what a kernel gives a task to run with.
type Host struct {
	Devices   Devices
	Scheduler Scheduler
	Account   *cost.Account // of the CPU the task runs on
	Clock     *sim.Clock    // likewise
	Contended *bool         // somebody else wants that CPU
}

// A Task is a process as the border sees it: its descriptors, its memory, and
// the CPU it is charged on. Its methods up to Close are the system calls; only
// the task's own program may call them, and only while it runs. It is made by
// NewTask.
type Task struct {
	Name   string
	ID     int32 // of the guest, for traces
	memory *mem.Memory
	host   Host
	files  [maxFiles]descriptor
	one    [1]Segment // the segment of read and write, so that they need no heap
}

type descriptor struct {
	file  File
	flags Flags
}

// NewTask makes a task with the private memory m.
func NewTask(name string, id int32, m *mem.Memory, h Host) *Task {
	return &Task{Name: name, ID: id, memory: m, host: h}
}

// Memory is the task's private memory. The guest reads and writes it as it
// likes; the kernel reaches it by CopyOut and CopyIn alone.
func (t *Task) Memory() *mem.Memory { return t.memory }

// Scheduler is the kernel's side of the task.
func (t *Task) Scheduler() Scheduler { return t.host.Scheduler }

// Now is the task's time: that of its CPU.
func (t *Task) Now() Time { return t.host.Clock.Now() }

// Account is where the task's work is charged.
func (t *Task) Account() *cost.Account { return t.host.Account }

// Inherit gives a task an open device before it runs, as a VMM hands its guest
// the tap that it opened itself, and returns the descriptor. It is not a system
// call and costs nothing.
func (t *Task) Inherit(name string, flags Flags) (int, Errno) {
	f, errno := t.host.Devices.Open(t, name)
	if errno != OK {
		return -1, errno
	}
	fd, errno := t.install(f, flags)
	if errno != OK {
		f.Release(t)
	}
	return fd, errno
}

// Move has the task's work charged to another CPU from now on: it has been moved there.
func (t *Task) Move(a *cost.Account, c *sim.Clock, contended *bool) {
	t.host.Account, t.host.Clock, t.host.Contended = a, c, contended
}

// Disconnect takes the task off its machine: its descriptors are gone, its calls
// charge nobody, find nothing, and end in the scheduler's Preempt. It is for a
// program that is unwound after its machine was switched off.
func (t *Task) Disconnect() {
	t.files = [maxFiles]descriptor{}
	t.host.Account = t.host.Account.Blank()
	t.host.Contended = new(bool)
	*t.host.Contended = true
}

// install finds a free descriptor for f.
func (t *Task) install(f File, flags Flags) (int, Errno) {
	for fd := range t.files {
		if t.files[fd].file == nil {
			t.files[fd] = descriptor{f, flags}
			return fd, OK
		}
	}
	return -1, EMFILE
}

// Open opens a device by name. Errors: ENOENT, EBUSY, EMFILE.
func (t *Task) Open(name string, flags Flags) (int, Errno) {
	t.enter()
	defer t.exit()
	t.CatchUp()
	f, errno := t.host.Devices.Open(t, name)
	if errno != OK {
		return -1, errno
	}
	fd, errno := t.install(f, flags)
	if errno != OK {
		f.Release(t)
	}
	return fd, errno
}

// Read takes one frame into the n bytes at addr and returns its length; of a
// longer frame the rest is lost, as Linux's tap does it. With n = 0 it takes
// none, and does not wait for one. Errors: EBADF, EFAULT, EINVAL, and EAGAIN on a
// descriptor that does not block.
//
// A call stays a call, so that a compile profile has its parts inlined in it.
//
//go:noinline
func (t *Task) Read(fd int, addr mem.Addr, n int) (int, Errno) {
	t.enter()
	d, errno := t.reader(fd, n)
	got := 0
	if d != nil { // read, spelled out: this is the call that is made for every frame
		t.one[0] = Segment{addr, n}
		if got, errno = d.file.Read(t, t.one[:]); errno == EAGAIN {
			got, errno = t.await(d, t.one[:], d.flags&NonBlock != 0)
		}
	}
	if t.left() {
		t.lookUp()
	}
	return got, errno
}

// Readv is Read into several segments, filled in order.
func (t *Task) Readv(fd int, segs []Segment) (int, Errno) {
	t.enter()
	n, errno := t.read(fd, segs, room(segs), false)
	t.exit()
	return n, errno
}

// A Message is one frame of a batch read: where it may go, and how long it was.
type Message struct {
	Segment
	Got int
}

// ReadBatch takes as many frames as are there, at most one for each message, in
// one system call, as recvmmsg does for sockets: one way in, one way out, a copy
// each. It blocks for the first frame only, and a message without room ends it.
// It returns how many messages it filled; an error only if that is none.
func (t *Task) ReadBatch(fd int, msgs []Message) (int, Errno) {
	t.enter()
	got, errno := 0, OK
	if t.descriptor(fd) == nil {
		errno = EBADF
	}
	for got < len(msgs) {
		t.one[0] = msgs[got].Segment
		var n int
		if n, errno = t.read(fd, t.one[:], msgs[got].Len, got > 0); errno != OK || msgs[got].Len == 0 {
			break
		}
		msgs[got].Got = n
		got++
	}
	t.exit()
	if got > 0 {
		errno = OK
	}
	return got, errno
}

// read is the body of a reading call; the segments have that much room.
func (t *Task) read(fd int, segs []Segment, room int, noWait bool) (int, Errno) {
	d, errno := t.reader(fd, room)
	if d == nil {
		return 0, errno
	}
	n, errno := d.file.Read(t, segs)
	if errno == EAGAIN {
		return t.await(d, segs, noWait || d.flags&NonBlock != 0)
	}
	return n, errno
}

// reader is the descriptor to read from into so much room, nil if there is
// nothing to do or something wrong.
func (t *Task) reader(fd, room int) (*descriptor, Errno) {
	d := t.descriptor(fd)
	if d == nil {
		return nil, EBADF
	}
	t.host.Account.Once(cost.TunChrReadIter)
	if room < 0 {
		return nil, EINVAL
	}
	if room == 0 {
		return nil, OK
	}
	return d, OK
}

// await goes on with a read that found nothing.
func (t *Task) await(d *descriptor, segs []Segment, noWait bool) (int, Errno) {
	for {
		if !t.CatchUp() { // else what was not there may be there now
			if noWait {
				return 0, EAGAIN
			}
			d.file.Wait(t, PollIn)
			t.host.Scheduler.Block(t)
			d.file.Forget(t)
		}
		if n, errno := d.file.Read(t, segs); errno != EAGAIN {
			return n, errno
		}
	}
}

// Write sends the n bytes at addr as one frame and returns n. Errors: EBADF,
// EFAULT, EINVAL for less than an Ethernet header, EMSGSIZE, ENOMEM, EIO.
func (t *Task) Write(fd int, addr mem.Addr, n int) (int, Errno) {
	t.one[0] = Segment{addr, n}
	return t.Writev(fd, t.one[:])
}

// Writev is Write from several segments, which make one frame.
func (t *Task) Writev(fd int, segs []Segment) (int, Errno) {
	t.enter()
	defer t.exit()
	d := t.descriptor(fd)
	if d == nil {
		return 0, EBADF
	}
	t.host.Account.Charge(cost.TunChrWriteIter, 1)
	if room(segs) < 0 {
		return 0, EINVAL
	}
	t.CatchUp() // others will see this frame
	return d.file.Write(t, segs)
}

// Poll waits until the descriptor has one of the events, for at most timeout; 0
// asks and returns, a negative timeout waits for ever. It returns the events
// that hold, none on a timeout. A descriptor that is not open has PollNval.
func (t *Task) Poll(fd int, want Events, timeout Time) (Events, Errno) {
	t.enter()
	defer t.exit()
	d := t.descriptor(fd)
	if d == nil {
		return PollNval, OK
	}
	deadline := sim.Never
	if timeout >= 0 {
		deadline = t.after(timeout)
	}
	for {
		t.host.Account.Charge(cost.SysPoll, 1)
		have := d.file.Ready(t, want)
		if have == 0 && t.CatchUp() {
			have = d.file.Ready(t, want) // what was not there may be there now
		}
		if have != 0 || t.Now() >= deadline {
			return have, OK
		}
		d.file.Wait(t, want)
		t.host.Scheduler.WakeAt(t, deadline)
		t.host.Scheduler.Block(t)
		d.file.Forget(t)
	}
}

// Nanosleep gives the CPU away for the span d.
func (t *Task) Nanosleep(d Time) Errno {
	t.enter()
	defer t.exit()
	if d < 0 {
		return EINVAL
	}
	for until := t.after(d); t.Now() < until; {
		t.host.Scheduler.WakeAt(t, until)
		t.host.Scheduler.Block(t)
	}
	return OK
}

// Close gives the descriptor back. Error: EBADF.
func (t *Task) Close(fd int) Errno {
	t.enter()
	defer t.exit()
	d := t.descriptor(fd)
	if d == nil {
		return EBADF
	}
	t.CatchUp()
	d.file.Release(t)
	*d = descriptor{}
	return OK
}

// Exit closes what is still open, as the kernel does for a process that ends.
func (t *Task) Exit() {
	for fd := range t.files {
		if t.files[fd].file != nil {
			t.CatchUp()
			t.files[fd].file.Release(t)
			t.files[fd] = descriptor{}
		}
	}
}

// after is the moment d after the task's time.
func (t *Task) after(d Time) Time {
	if now := t.Now(); d <= EndOfTime-now {
		return now + d
	}
	return sim.Never
}

// Compute is not a system call: the program works for the span d on its CPU,
// 0 for work too short to count beyond its beginning. Interrupts and other tasks
// may take the CPU away meanwhile; d is what the program has of it.
func (t *Task) Compute(d Time) {
	// Work too short to count lets nobody in, as long as calls come between.
	a := t.host.Account
	a.Once(cost.GuestRun)
	if d > 0 || a.Count(cost.GuestRun)%4096 == 0 {
		t.compute(d)
	}
}

// compute is a program's work, and where none is to be done it gives the CPU to
// whoever has waited for it.
func (t *Task) compute(d Time) {
	if d > 0 {
		t.work(t.host.Clock.Cycles(min(d, EndOfTime)))
		return
	}
	if *t.host.Contended {
		t.preempt()
	}
	t.host.Scheduler.Tick(t)
}

func (t *Task) work(ticks uint64) {
	for ticks > 0 {
		n := min(ticks, t.host.Clock.Cycles(t.host.Scheduler.Turn(t)))
		t.host.Account.Prolong(cost.GuestRun, n)
		ticks -= n
	}
	if t.Now() > EndOfTime {
		t.CatchUp() // the kernel does not let it come back
	}
}

// CatchUp lets the event loop come up to the task's time and says whether it had
// to wait for that: if so, the world may have changed.
func (t *Task) CatchUp() bool { return t.host.Scheduler.CatchUp(t) }

func (t *Task) enter() { t.host.Account.Once(cost.SysEnter) }

func (t *Task) exit() {
	if t.left() {
		t.lookUp()
	}
}

// left charges the way back and says whether somebody may want the CPU.
func (t *Task) left() bool {
	a := t.host.Account
	a.Once(cost.SysExit)
	return *t.host.Contended || a.Count(cost.SysExit)%4096 == 0
}

// lookUp is the end of a system call at which somebody may get the CPU.
func (t *Task) lookUp() {
	if *t.host.Contended {
		t.preempt()
	}
	if t.host.Account.Count(cost.SysExit)%4096 == 0 {
		t.host.Scheduler.Tick(t)
	}
}

func (t *Task) preempt() { t.host.Scheduler.Preempt(t) }

func (t *Task) descriptor(fd int) *descriptor {
	if uint(fd) >= maxFiles || t.files[fd].file == nil {
		return nil
	}
	return &t.files[fd]
}

// room is how many bytes the segments have room for, negative if no memory could
// hold them. Whether the addresses are the task's own is found out by the copy, as
// in Linux.
func room(segs []Segment) int {
	if len(segs) > 1024 { // UIO_MAXIOV
		return -1
	}
	n := 0
	for _, s := range segs {
		if s.Len < 0 || s.Len > math.MaxInt-n {
			return -1
		}
		n += s.Len
	}
	return n
}
