package guest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/internal/leaktest"
	"ringside/sim"
	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

func TestProcessesRunInTurn(t *testing.T) {
	var order []string
	loop := func(name string) guest.Process {
		return guest.Process{Name: name, Main: func(p *guest.Proc) error {
			for i := range 3 {
				order = append(order, fmt.Sprint(name, i))
				p.Sleep(time.Millisecond)
			}
			return nil
		}}
	}
	lab := guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{loop("a"), loop("b"), loop("c")}})
	lab.Run()
	require.Equal(t, "a0 b0 c0 a1 b1 c1 a2 b2 c2", strings.Join(order, " "))
}

func TestProcessesBeginWhenTheyAreToldTo(t *testing.T) {
	var order []string
	at := func(start sim.Time, name string) guest.Process {
		return guest.Process{Name: name, Start: start, Main: func(p *guest.Proc) error {
			order = append(order, fmt.Sprint(name, " at ", p.Time().Nanoseconds()/1e6))
			p.Go(name+"'s", func(p *guest.Proc) error {
				order = append(order, p.Name())
				return nil
			})
			return nil
		}}
	}
	lab := guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{at(2*sim.Second, "late"), at(sim.Second, "early"), at(0, "first")}})
	lab.Run()
	require.Equal(t, []string{"first at 0", "first's", "early at 1000", "early's", "late at 2000", "late's"}, order)
}

// Two processes that never wait share the CPU in slices of 3 ms.
func TestWorkIsSharedInSlices(t *testing.T) {
	var ended [2]sim.Time
	work := func(i int) guest.Process {
		return guest.Process{Name: fmt.Sprint("w", i), Main: func(p *guest.Proc) error {
			p.Work(29 * time.Millisecond)
			ended[i] = p.Time()
			return nil
		}}
	}
	lab := guesttest.New(t, 1)
	m := lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{work(0), work(1)}})
	lab.Run()
	require.InDelta(t, int64(56*sim.Millisecond), int64(ended[0]), float64(20*sim.Microsecond), "two of its tenth slice, when the other has had nine")
	require.InDelta(t, int64(58*sim.Millisecond), int64(ended[1]), float64(20*sim.Microsecond))
	require.EqualValues(t, 2, m.Account.Count(cost.GuestRun))
	require.EqualValues(t, 0, m.Account.Count(cost.GuestSysEnter), "work is no system call")
}

func TestTimersComeWhileAProgramWorks(t *testing.T) {
	var woken sim.Time
	lab := guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{
		{Name: "sleeps", Main: func(p *guest.Proc) error {
			p.Sleep(500 * time.Microsecond)
			woken = p.Time()
			return nil
		}},
		{Name: "works", Main: func(p *guest.Proc) error { p.Work(20 * time.Millisecond); return nil }},
	}})
	lab.Run()
	require.Less(t, woken, 4*sim.Millisecond, "at the end of the slice in which its timer went off")
}

func TestEverySystemCallIsCharged(t *testing.T) {
	lab, _, m := two(t, guesttest.Cable{}, nil, process("p", func(p *guest.Proc) error {
		c, err := p.ListenPacket("udp", ":9") // socket, bind
		if err != nil {
			return err
		}
		if _, err := c.WriteTo(make([]byte, 100), c.LocalAddr()); err == nil {
			return errors.New("sent to no address")
		}
		p.Sleep(time.Millisecond)
		return c.Close()
	}))
	lab.Run()
	require.EqualValues(t, 5, m.Account.Count(cost.GuestSysEnter))
	require.EqualValues(t, 5, m.Account.Count(cost.GuestSysExit))
	require.EqualValues(t, 1, m.Account.Count(cost.GuestWakeUp), "of the sleep")
	require.EqualValues(t, 2, m.Account.Count(cost.GuestSchedule), "to it at first, and after the sleep")
	require.EqualValues(t, 1, m.Account.Count(cost.GuestTimer))
}

// aDatagram is two machines after the second has sent 1,000 bytes to a program of the
// first.
func aDatagram(t *testing.T, c guesttest.Cable) (to, from *guesttest.Machine) {
	lab, to, from := two(t, c, process("sink", func(p *guest.Proc) error {
		c, err := p.ListenPacket("udp4", ":9")
		if err != nil {
			return err
		}
		_, _, err = c.ReadFrom(make([]byte, 2000))
		return err
	}), process("source", func(p *guest.Proc) error {
		c, err := p.Dial("udp4", "10.0.0.1:9")
		if err != nil {
			return err
		}
		_, err = c.Write(make([]byte, 1000))
		return err
	}))
	lab.Run()
	return to, from
}

// Every step of a datagram's way through two machines, once.
func TestADatagramIsChargedOnItsWay(t *testing.T) {
	s, m := aDatagram(t, guesttest.Cable{Offloads: true})
	type bill map[cost.Step]uint64
	for step, want := range (bill{cost.GuestCopyIn: 1, cost.GuestTransportXmit: 1, cost.GuestIPOutput: 2, cost.GuestIPRcv: 1, cost.GuestChecksum: 0}) { // with the ARP that asks
		require.Equal(t, want, m.Account.Count(step), "%v at the sender", step)
	}
	for step, want := range (bill{cost.GuestIPRcv: 2, cost.GuestTransportRcv: 1, cost.GuestCopyOut: 1, cost.GuestWakeUp: 1, cost.GuestIPOutput: 1, cost.GuestChecksum: 0}) {
		require.Equal(t, want, s.Account.Count(step), "%v at the receiver", step)
	}
	require.EqualValues(t, 1000, m.Account.Line(cost.GuestCopyIn).Bytes)
	require.EqualValues(t, 1000, s.Account.Line(cost.GuestCopyOut).Bytes)
}

// Where the device does not sum, the guest pays for it, a byte at a time.
func TestSumsAreChargedWhereTheDeviceMakesNone(t *testing.T) {
	s, m := aDatagram(t, guesttest.Cable{})
	require.Equal(t, cost.Line{Count: 1, Bytes: 1008}, m.Account.Line(cost.GuestChecksum))
	require.Equal(t, cost.Line{Count: 1, Bytes: 1008}, s.Account.Line(cost.GuestChecksum))
}

// A machine that gets more than it can take still gives its processes a turn: no
// receive livelock.
func TestProcessesHaveATurnUnderAFlood(t *testing.T) {
	lab := guesttest.New(t, 1)
	ticks := 0
	m := lab.Machine(guest.Config{Name: "m", Processes: process("ticks", func(p *guest.Proc) error {
		for {
			p.Work(100 * time.Microsecond)
			ticks++
		}
	})}, "10.0.0.1/24")
	lab.Begin()
	frame := make([]byte, 60)
	copy(frame, []byte{2, 0, 0, 0, 0, 1, 2, 9, 9, 9, 9, 9, 0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 253})
	for i := range 60_000 { // an IP protocol that nobody knows, far faster than the machine takes it
		m.NIC(0).Inject(sim.Time(i)*sim.Nanosecond, frame)
	}
	lab.RunUntil(40 * sim.Millisecond)
	require.Greater(t, ticks, 100, "half of the time, or more")
}

func TestWhatAProgramFailsWithEndsTheRun(t *testing.T) {
	for name, row := range map[string]struct {
		main guest.Program
		want string
	}{
		"error": {func(*guest.Proc) error { return errors.New("no luck") }, "m: p: no luck"},
		"panic": {func(*guest.Proc) error { panic("oh") }, "m: p: program panicked: oh"},
		"panic in a child": {func(p *guest.Proc) error {
			p.Go("child", func(*guest.Proc) error { var a []int; _ = a[3]; return nil })
			return nil
		}, "m: child: program panicked: runtime error: index out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			lab := guesttest.New(t, 1)
			lab.Machine(guest.Config{Name: "m", Processes: process("p", row.main)})
			require.ErrorContains(t, lab.TryRun(sim.Never), row.want)
		})
	}
}

// Switched off, every program is unwound whatever it does about it, and no goroutine
// is left.
func TestCloseUnwindsEveryProgram(t *testing.T) {
	before := leaktest.Goroutines()
	var ended []string
	note := func(s string) { ended = append(ended, s) }
	lab := guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{
		{Name: "never begun", Start: sim.Second * 100, Main: func(*guest.Proc) error { note("begun"); return nil }},
		{Name: "accepts", Main: func(p *guest.Proc) error {
			defer note("accepts")
			l, _ := p.Listen("tcp", ":80")
			defer l.Close()
			_, err := l.Accept()
			note("accepted")
			return err
		}},
		{Name: "sleeps", Main: func(p *guest.Proc) error {
			defer note("sleeps")
			defer p.Sleep(time.Second)
			p.Sleep(time.Hour)
			return nil
		}},
		{Name: "recovers", Main: func(p *guest.Proc) error {
			defer note("recovers")
			for {
				func() {
					defer func() { recover() }()
					p.Sleep(time.Hour)
				}()
			}
		}},
		{Name: "ends well after all", Main: func(p *guest.Proc) (err error) {
			defer func() { recover(); note("ends well") }()
			p.Sleep(time.Hour)
			return nil
		}},
		{Name: "panics on its way", Main: func(p *guest.Proc) error {
			defer func() { note("panics"); panic("even so") }()
			p.Sleep(time.Hour)
			return nil
		}},
		{Name: "gives birth", Main: func(p *guest.Proc) error {
			defer func() { p.Go("child", func(*guest.Proc) error { note("child"); return nil }) }()
			p.Sleep(time.Hour)
			return nil
		}},
	}}, "10.0.0.1/24")
	lab.RunUntil(sim.Second)
	lab.Close()
	require.Equal(t, []string{"accepts", "sleeps", "recovers", "ends well", "panics"}, ended)
	require.Equal(t, before, leaktest.Goroutines())
	require.NoError(t, lab.Engine.Err(), "the end of a machine is no failure")
}

func TestSleepingForEverEndsTheRunQuietly(t *testing.T) {
	lab := guesttest.New(t, 1)
	m := lab.Machine(guest.Config{Name: "m", Processes: process("p", func(p *guest.Proc) error {
		p.Sleep(1<<63 - 1)
		return nil
	})})
	lab.Run()
	require.Equal(t, 1, m.Running())
}

func TestRandIsAsTheNamesAre(t *testing.T) {
	draw := func(machine, proc string) (v uint64) {
		lab := guesttest.New(t, 1)
		lab.Machine(guest.Config{Name: machine, Processes: process(proc, func(p *guest.Proc) error { v = p.Rand().Uint64(); return nil })})
		lab.Run()
		return v
	}
	require.Equal(t, draw("m", "p"), draw("m", "p"))
	require.NotEqual(t, draw("m", "p"), draw("m", "q"))
	require.NotEqual(t, draw("m", "p"), draw("n", "p"))
}

func TestTheLastResultOfANameStands(t *testing.T) {
	lab := guesttest.New(t, 1)
	n := int64(0)
	m := lab.Machine(guest.Config{Name: "m", Processes: process("p", func(p *guest.Proc) error {
		p.Record("a", 1, "B")
		p.RecordText("b", "text")
		p.Record("a", 2, "B")
		p.RecordFunc("c", "ns", func() int64 { return n })
		return nil
	})})
	lab.Run()
	n = 7
	require.Equal(t, []guest.Result{{"p", "a", 2, "B", ""}, {"p", "b", 0, "", "text"}, {"p", "c", 7, "ns", ""}}, m.Results())
}
