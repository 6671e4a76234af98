package guest_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
	"ringside/vm/guest"
)

// A flooded machine is a CPU whose every step takes 100 ns, and a NIC that always has
// packets.
type flooded struct {
	now, wake sim.Time
	feat      guest.Features
	sent      [][]byte
	err       error
}

func (f *flooded) Now() sim.Time                        { return f.now }
func (f *flooded) Charge(_ cost.Step, n uint64)         { f.now += sim.Time(n) * 100 * sim.Nanosecond }
func (f *flooded) ChargeBytes(s cost.Step, n, _ uint64) { f.Charge(s, n) }
func (f *flooded) Work(d sim.Time) sim.Time             { f.now += d; return 0 }
func (f *flooded) WakeAt(at sim.Time)                   { f.wake = at }
func (f *flooded) Fail(err error)                       { f.err = err }
func (f *flooded) Features() guest.Features             { return f.feat }
func (f *flooded) Interrupt(int) bool                   { return true }
func (f *flooded) Poll(n int, _ func(*netstack.Packet)) (int, bool) {
	f.Charge(cost.VirtnetPoll, uint64(n))
	return n, true
}

// Transmit writes to the frame, as a link may.
func (f *flooded) Transmit(p *netstack.Packet) bool {
	m := p.Meta
	offload.Complete(p.Parts, &m)
	f.sent = append(f.sent, bytes.Join(p.Parts, nil))
	return true
}

func (f *flooded) machine(t *testing.T, main guest.Program) *guest.Kernel {
	f.wake = sim.Never
	k, err := guest.New(guest.Config{
		Name: "m", CPU: f, Chance: func(string) netstack.Source { return rand.NewChaCha8([32]byte{}) },
		Interfaces: []guest.Interface{{NIC: f, MAC: [6]byte{2, 0, 0, 0, 0, 1}, Addresses: prefixes("10.0.0.1/24")}},
		Processes:  []guest.Process{{Name: "p", Main: main}},
	})
	require.NoError(t, err)
	t.Cleanup(k.Close)
	return k
}

// A NIC that never runs dry does not keep timers from running: with no process that
// wants the CPU there is nothing else that would end the polls' turn.
func TestTimersRunWhilePacketsFlood(t *testing.T) {
	f := &flooded{}
	var woken sim.Time
	k := f.machine(t, func(p *guest.Proc) error {
		p.Sleep(time.Millisecond)
		woken = p.Time()
		return nil
	})
	for k.Run() { // the process goes to sleep
	}
	k.Interrupt(0)
	for woken == 0 && f.now < sim.Second {
		k.Run()
	}
	require.NoError(t, f.err)
	require.NotZero(t, woken, "it sleeps still at %v", f.now)
	require.Less(t, woken, 4*sim.Millisecond)
}

// A program's buffer is its own: what is to be done to a frame before it leaves is done
// to the kernel's copy.
func TestARawSocketDoesNotWriteToAProgramsFrame(t *testing.T) {
	for _, feat := range []guest.Features{{}, {TxChecksum: true}} {
		f := &flooded{feat: feat}
		frame := make([]byte, 64)
		for i := range frame {
			frame[i] = byte(i)
		}
		was := bytes.Clone(frame)
		k := f.machine(t, func(p *guest.Proc) error {
			c, err := p.Packets("eth0", guest.RawOptions{})
			if err != nil {
				return err
			}
			m := offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 6}
			for range 2 {
				if err := c.WriteFrame(frame, m); err != nil {
					return err
				}
			}
			return nil
		})
		for k.Run() {
		}
		require.NoError(t, f.err)
		require.Equal(t, was, frame)
		require.Len(t, f.sent, 2)
		require.Equal(t, f.sent[0], f.sent[1], "the same frame twice")
	}
}
