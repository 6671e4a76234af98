// Package syscalltest is the kernel's side of the border, for tests of guest
// programs: a device that hands out a list of frames and keeps what is written,
// and a clock that jumps when the program waits. There is no bridge and no other
// task, so a program's test is its frames in and its frames out.
//
//	h := syscalltest.Host{Frames: [][]byte{request}}
//	err := h.Run(program)
//	// h.Written has the answers
package syscalltest

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
)

// A Host runs one program. The zero value has no frames, 64 KiB of memory for the
// program and counts instead of pricing; a cycle is a nanosecond.
type Host struct {
	Frames    [][]byte    // for the program to read, all there from the start
	Memory    *mem.Memory // the program's own; nil means 64 KiB
	Written   [][]byte    // what it wrote
	Account   *cost.Account
	Truncated int // frames of which the program had room for a part only

	clock sim.Clock
	wake  sim.Time
	ticks int
}

// over unwinds a program that waits for what never comes.
type over struct{ err error }

// Run runs program with the device open as descriptor 0. A program that waits
// with nothing left to come is ended, as by a machine that is switched off; that
// is no error.
func (h *Host) Run(program func(*syscall.Task) error) (err error) {
	if h.Memory == nil {
		h.Memory = mem.New(64 << 10)
	}
	if h.Account == nil {
		h.Account = cost.NewAccount("cpu0", cost.Unit(), false)
	}
	h.clock = sim.NewClock(cost.Unit().Hz, h.Account.Meter())
	t := syscall.NewTask("guest", 0, h.Memory, syscall.Host{
		Devices: (*devices)(h), Scheduler: (*scheduler)(h), Account: h.Account, Clock: &h.clock, Contended: new(bool),
	})
	if _, errno := t.Inherit("/dev/tap0", syscall.ReadWrite); errno != syscall.OK {
		return fmt.Errorf("syscalltest: open: %w", errno)
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case over:
			err = r.err
		default:
			panic(r)
		}
	}()
	return program(t)
}

// Now is the program's time.
func (h *Host) Now() sim.Time { return h.clock.Now() }

type devices Host

func (d *devices) Open(*syscall.Task, string) (syscall.File, syscall.Errno) {
	return (*file)(d), syscall.OK
}

// file is the device: Linux's tap, without what lies below it.
type file Host

func (f *file) Read(t *syscall.Task, segs []syscall.Segment) (int, syscall.Errno) {
	if len(f.Frames) == 0 {
		return 0, syscall.EAGAIN
	}
	frame := f.Frames[0]
	f.Frames = f.Frames[1:]
	n, errno := t.CopyOut(&syscall.Cursor{Segs: segs}, frame)
	if n < len(frame) {
		f.Truncated++
	}
	if errno != syscall.OK {
		n = 0
	}
	return n, errno
}

func (f *file) Write(t *syscall.Task, segs []syscall.Segment) (int, syscall.Errno) {
	c := syscall.Cursor{Segs: segs}
	n := c.Left()
	switch {
	case n < 14:
		return 0, syscall.EINVAL
	case n > 65535+22:
		return 0, syscall.EMSGSIZE
	}
	frame := make([]byte, n)
	if _, errno := t.CopyIn(&c, frame); errno != syscall.OK {
		return 0, errno
	}
	f.Written = append(f.Written, frame)
	return n, syscall.OK
}

func (f *file) Ready(_ *syscall.Task, want syscall.Events) syscall.Events {
	have := syscall.PollOut
	if len(f.Frames) > 0 {
		have |= syscall.PollIn
	}
	return have & want
}

func (f *file) Wait(*syscall.Task, syscall.Events) {}
func (f *file) Forget(*syscall.Task)               {}
func (f *file) Release(*syscall.Task)              {}

type scheduler Host

func (s *scheduler) Preempt(*syscall.Task)       {}
func (s *scheduler) Turn(*syscall.Task) sim.Time { return sim.Never }

func (s *scheduler) Tick(*syscall.Task) {
	if s.ticks++; s.ticks > 100 {
		panic(over{errors.New("syscalltest: the program never waits")})
	}
}

func (s *scheduler) CatchUp(*syscall.Task) bool {
	if s.clock.Now() > syscall.EndOfTime {
		panic(over{errors.New("syscalltest: the program works beyond the end of virtual time")})
	}
	return false
}

func (s *scheduler) WakeAt(_ *syscall.Task, at sim.Time) { s.wake = at }

func (s *scheduler) Block(*syscall.Task) {
	at := s.wake
	s.wake = 0
	if at == 0 || at == sim.Never {
		panic(over{})
	}
	s.clock.Begin(at)
}

var (
	_ syscall.File      = (*file)(nil)
	_ syscall.Devices   = (*devices)(nil)
	_ syscall.Scheduler = (*scheduler)(nil)
)
