package vm_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall/syscalltest"
	"ringside/vm"
)

// numbered is n frames of the length size for the guest, all different.
func numbered(n, size int) (list [][]byte) {
	for i := range n {
		f := kerneltest.Frame(mac, kerneltest.Remote(i%3), size, byte(i))
		f[14] = byte(i >> 8)
		list = append(list, f)
	}
	return list
}

func TestReflectTurnsFramesRound(t *testing.T) {
	for _, n := range []int{14, 60, 1514, 9014} {
		f := numbered(1, max(n, 15))[0][:n]
		sent := run(t, vm.Config{Program: vm.Reflect, MAC: mac}, f)
		require.Len(t, sent, 1)
		assert.Equal(t, f[6:12], sent[0][:6])
		assert.Equal(t, mac[:], sent[0][6:12])
		assert.Equal(t, f[12:], sent[0][12:])
	}
}

func TestReflectDoesNotSendBack(t *testing.T) {
	own := kerneltest.Frame(kerneltest.Remote(0), mac, 60, 0)
	group := kerneltest.Frame([6]byte{0x33, 0x33, 0, 0, 0, 1}, kerneltest.Remote(0), 60, 0)
	all := kerneltest.Frame([6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, kerneltest.Remote(0), 60, 0)
	assert.Empty(t, run(t, vm.Config{Program: vm.Reflect, MAC: mac}, own, group, all, own[:13], own[:0]))
}

func TestSinkTakesEverything(t *testing.T) {
	h := syscalltest.Host{Frames: numbered(100, 60), Memory: mem.New(vm.Config{}.MemorySize())}
	require.NoError(t, h.Run(vm.Config{Program: vm.Sink}.Main))
	assert.Empty(t, h.Frames)
	assert.Empty(t, h.Written)
	assert.EqualValues(t, 100, h.Account.Line(cost.GuestRun).Count)
}

// The service time of a slow guest shows to the picosecond: between two frames
// that wait lie the time and the price of one read, which a sink shows alone.
func TestSlowTakesItsTimeExactly(t *testing.T) {
	took := func(p vm.Program) sim.Time {
		h := syscalltest.Host{Frames: numbered(100, 60), Memory: mem.New(vm.Config{}.MemorySize())}
		require.NoError(t, h.Run(vm.Config{Program: p}.Main))
		return h.Now()
	}
	base := took(vm.Sink)
	for _, d := range []sim.Time{0, sim.Nanosecond, 700 * sim.Nanosecond, sim.Millisecond, 1000*sim.Second + sim.Nanosecond} {
		assert.Equal(t, base+100*d, took(vm.Slow(d)), "%v", d)
	}
}

// The longest frame that a NIC takes fits, alone and in every place of a batch.
func TestBuffersHoldTheLongestFrame(t *testing.T) {
	for _, batch := range []int{0, 1, 2, 7} {
		h := syscalltest.Host{Frames: numbered(20, 9728+4), Memory: mem.New(vm.Config{Batch: batch}.MemorySize())}
		require.NoError(t, h.Run(vm.Config{Program: vm.Sink, Batch: batch}.Main))
		assert.Zero(t, h.Truncated)
		assert.Empty(t, h.Frames)
	}
}

// collect is a program that keeps a copy of every frame.
func collect(into *[][]byte) vm.Program {
	return func(g *vm.Guest) error {
		for {
			f, err := g.Receive()
			if err != nil {
				return err
			}
			*into = append(*into, append([]byte(nil), f...))
			g.Work(0)
		}
	}
}

// A guest with a batch gets the same frames in the same order, with fewer ways
// into the kernel and everything else the same.
func TestABatchGetsTheSameFramesWithFewerEnters(t *testing.T) {
	bill := func(batch int) (frames [][]byte, a *cost.Account) {
		c := vm.Config{Program: collect(&frames), Batch: batch}
		h := syscalltest.Host{Frames: numbered(100, 300), Memory: mem.New(c.MemorySize())}
		require.NoError(t, h.Run(c.Main))
		return frames, h.Account
	}
	want, alone := bill(1)
	require.Equal(t, numbered(100, 300), want)
	for batch, enters := range map[int]uint64{2: 51, 3: 35, 10: 11, 64: 3, 100: 2, 1000: 2} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			have, a := bill(batch)
			assert.Equal(t, want, have)
			assert.EqualValues(t, enters, a.Line(cost.SysEnter).Count, "the last one waits for ever")
			assert.Equal(t, alone.Line(cost.TunPutUser), a.Line(cost.TunPutUser))
			assert.Equal(t, alone.Line(cost.GuestRun), a.Line(cost.GuestRun))
		})
	}
}

// On a whole host, too: a guest that is slow finds more than one frame waiting,
// and takes them in one call.
func TestABatchSavesEntersOnAHost(t *testing.T) {
	enters := func(batch int) (frames [][]byte, n uint64) {
		c := vm.Config{Batch: batch, Program: func(g *vm.Guest) error {
			for {
				f, err := g.Receive()
				if err != nil {
					return err
				}
				frames = append(frames, append([]byte(nil), f...))
				g.Work(10 * sim.Microsecond)
			}
		}}
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
		require.NoError(t, r.Spawn(kernel.Process{
			Name: "guest", CPU: 1, Memory: mem.New(c.MemorySize()), Inherit: []string{"/dev/tap0"}, Program: c.Main,
		}))
		r.Play(0, numbered(200, 60)...)
		require.NoError(t, r.Run())
		return frames, r.Accounts()[1].Line(cost.SysEnter).Count
	}
	want, alone := enters(1)
	have, batched := enters(16)
	assert.Equal(t, want, have)
	assert.EqualValues(t, 201, alone)
	assert.Less(t, batched, uint64(20))
}

func TestSendTakesTheGuestsOwnMemoryOnly(t *testing.T) {
	h := syscalltest.Host{Frames: numbered(1, 60), Memory: mem.New(vm.Config{}.MemorySize())}
	err := h.Run(vm.Config{Program: func(g *vm.Guest) error {
		f, err := g.Receive()
		if err != nil {
			return err
		}
		require.NoError(t, g.Send(f))
		require.NoError(t, g.Send(f[:14]))
		require.NoError(t, g.Send(g.Memory()[100:200]), "any part of its memory")
		assert.ErrorIs(t, g.Send(make([]byte, 60)), vm.ErrNotMine)
		assert.ErrorIs(t, g.Send(append([]byte(nil), f...)), vm.ErrNotMine)
		assert.ErrorIs(t, g.Send(nil), vm.ErrNotMine)
		assert.Error(t, g.Send(f[:13]), "EINVAL")
		return nil
	}}.Main)
	require.NoError(t, err)
	assert.Len(t, h.Written, 3)
}

func TestAProgramsErrorIsItsOwn(t *testing.T) {
	failure := errors.New("enough")
	h := syscalltest.Host{Memory: mem.New(vm.Config{}.MemorySize())}
	require.ErrorIs(t, h.Run(vm.Config{Program: func(*vm.Guest) error { return failure }}.Main), failure)
}

// Sleep gives the time away, Work takes it.
func TestSleepAndWork(t *testing.T) {
	h := syscalltest.Host{Memory: mem.New(vm.Config{}.MemorySize())}
	require.NoError(t, h.Run(vm.Config{Program: func(g *vm.Guest) error {
		g.Sleep(sim.Second)
		g.Work(sim.Millisecond)
		return nil
	}}.Main))
	assert.GreaterOrEqual(t, h.Now(), sim.Second+sim.Millisecond)
	assert.EqualValues(t, sim.Millisecond/sim.Nanosecond*1000, h.Account.Line(cost.GuestRun).Extra, "thousandths of a cycle of a nanosecond")
}

// A host that is short of memory refuses a frame; the guest goes on.
func TestAGuestSurvivesAHostWithoutMemory(t *testing.T) {
	c := vm.Config{Program: vm.Reflect, MAC: kerneltest.Station(0)}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: 16}})
	require.NoError(t, r.Spawn(kernel.Process{
		Name: "guest", CPU: 1, Memory: mem.New(c.MemorySize()), Inherit: []string{"/dev/tap0"}, Program: c.Main,
	}))
	var taken []mem.Addr
	for {
		a, err := r.Memory.Alloc(0)
		if err != nil {
			break
		}
		taken = append(taken, a)
	}
	r.Play(0, numbered(5, 60)...)
	r.Play(sim.Second, numbered(5, 60)...)
	r.Engine.Arm(r.Engine.NewTimer("memory", sim.HandlerFunc(func(sim.Time) {
		for _, a := range taken {
			r.Memory.Release(a)
		}
	})), 500*sim.Millisecond)
	require.NoError(t, r.Run())
	assert.EqualValues(t, 10, r.TapStats()[0].RxFrames)
	assert.Len(t, r.Wire.Sent, 5)
}
