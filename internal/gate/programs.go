package gate

import (
	"fmt"
	"math/rand/v2"

	"ringside"
	"ringside/bridge"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/vm"
)

// programs are guests that use every system call: one that polls with timeouts,
// one that sleeps, one that gives its tap back and opens it again, one that
// returns, and two that talk to each other.
func programs() Scenario {
	return Scenario{Name: "programs", Start: plug, Until: 20 * sim.Millisecond, Machine: func() ringside.Config {
		var s script
		for i := range 400 {
			s.after(sim.Time(i%11)*3*sim.Microsecond).udp(far(i%9), guest(i%7), uint16(i), 20+i%900)
		}
		c := ringside.Config{Seed: 1, Wire: &s.wire, Queues: 2, CPUs: 3, TapQueue: 8}
		for i, p := range []vm.Program{poller, sleeper, reopener, leaver, caller(guest(5).mac, 100), caller(guest(4).mac, 100), babbler(1)} {
			g := guest(i)
			c.VMs = append(c.VMs, ringside.VM{MAC: g.mac, Program: p, Addr: g.ip4, Known: []bridge.MAC{g.mac}, Batch: 1 + i%3})
		}
		return c
	}}
}

// fatal is an error for what a program did not expect.
func fatal(what string, errno syscall.Errno) error {
	if errno == syscall.OK {
		return nil
	}
	return fmt.Errorf("%s: %w", what, errno)
}

// poller waits for at most 50 us at a time, then reads all that is there into
// two segments.
func poller(g *vm.Guest) error {
	fd, errno := reopen(g, syscall.NonBlock|syscall.ReadWrite)
	if errno != syscall.OK {
		return fatal("open", errno)
	}
	for {
		if _, errno := g.Task.Poll(fd, syscall.PollIn, 50*sim.Microsecond); errno != syscall.OK {
			return fatal("poll", errno)
		}
		for {
			_, errno := g.Task.Readv(fd, []syscall.Segment{{Addr: 0, Len: 14}, {Addr: 64, Len: 600}})
			if errno == syscall.EAGAIN {
				break
			}
			if errno != syscall.OK {
				return fatal("readv", errno)
			}
		}
	}
}

// reopen closes the guest's tap and opens it with other flags.
func reopen(g *vm.Guest, flags syscall.Flags) (int, syscall.Errno) {
	if errno := g.Task.Close(g.FD); errno != syscall.OK {
		return -1, errno
	}
	// The tap has the guest's number.
	return g.Task.Open(fmt.Sprintf("/dev/tap%d", g.Task.ID), flags)
}

// sleeper takes a frame, sleeps as long as the frame says, and works a little.
func sleeper(g *vm.Guest) error {
	for {
		f, err := g.Receive()
		if err != nil {
			return err
		}
		g.Sleep(sim.Time(len(f)) * 200 * sim.Nanosecond)
		g.Work(sim.Microsecond)
	}
}

// reopener gives its tap back after every tenth frame; what comes meanwhile is
// lost.
func reopener(g *vm.Guest) error {
	fd := g.FD
	for n := 1; ; n++ {
		if _, errno := g.Task.Read(fd, 0, 2048); errno != syscall.OK {
			return fatal("read", errno)
		}
		if n%10 != 0 {
			continue
		}
		g.FD = fd
		if errno := g.Task.Close(fd); errno != syscall.OK {
			return fatal("close", errno)
		}
		g.Sleep(30 * sim.Microsecond)
		var errno syscall.Errno
		if fd, errno = g.Task.Open(fmt.Sprintf("/dev/tap%d", g.Task.ID), syscall.ReadWrite); errno != syscall.OK {
			return fatal("open", errno)
		}
	}
}

// leaver ends after five frames.
func leaver(g *vm.Guest) error {
	for range 5 {
		if _, err := g.Receive(); err != nil {
			return err
		}
	}
	return nil
}

// caller sends n frames to another guest and takes what it gets.
func caller(to [6]byte, n int) vm.Program {
	return calling(to, n, func(g *vm.Guest, i int) (err error) {
		if i%4 == 3 {
			_, err = g.Receive()
		}
		return err
	})
}

// calling sends n frames to another guest, does something after each, and then takes
// what came.
func calling(to [6]byte, n int, after func(g *vm.Guest, i int) error) vm.Program {
	return func(g *vm.Guest) error {
		frame := g.Task.Memory().Bytes(4096, 200)
		copy(frame, to[:])
		copy(frame[6:], g.MAC[:])
		for i := range n {
			frame[12], frame[20] = 0x88, byte(i)
			if err := g.Send(frame[:60+i]); err != nil {
				return err
			}
			if err := after(g, i); err != nil {
				return err
			}
		}
		return vm.Sink(g)
	}
}

// babbler takes frames and sends ones that make no sense, and gives the kernel
// addresses that it does not have.
func babbler(seed uint64) vm.Program {
	return func(g *vm.Guest) error {
		r := rand.New(rand.NewPCG(seed, 2))
		size := g.Task.Memory().Size()
		for {
			f, err := g.Receive()
			if err != nil {
				return err
			}
			g.Work(sim.Time(r.IntN(2000)) * sim.Nanosecond)
			for range r.IntN(3) {
				for i := range f[:min(len(f), 16)] {
					if r.IntN(3) == 0 {
						f[i] = byte(r.Uint32())
					}
				}
				// Whatever the answer is, the run goes on.
				g.Task.Write(r.IntN(3), mem.Addr(r.IntN(2*size)), r.IntN(3000))
				g.Task.Writev(g.FD, []syscall.Segment{{Addr: mem.Addr(r.IntN(size)), Len: r.IntN(100)}, {Addr: 0, Len: r.IntN(200)}})
			}
		}
	}
}
