package kernel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
)

// sink is a program that takes every frame and does nothing with it.
var sink = kerneltest.Read(func(*syscall.Task, []byte) {})

// deaf is one that never reads.
func deaf(t *syscall.Task) error {
	t.Nanosleep(sim.Never)
	return nil
}

// start starts a program on a CPU with a tap, as no test can go on without it.
func start(t testing.TB, r *kerneltest.Rig, cpu int, program func(*syscall.Task) error, taps ...string) {
	t.Helper()
	_, err := r.Start(cpu, program, taps...)
	require.NoError(t, err)
}

// to is n frames of the length size for station i, all different.
func to(i, n, size int) (list [][]byte) {
	for k := range n {
		f := kerneltest.Frame(kerneltest.Station(i), kerneltest.Remote(0), size, byte(k))
		if size > 16 {
			f[14], f[15] = byte(k>>8), byte(k)
		}
		list = append(list, f)
	}
	return list
}

func TestRingsOfEverySizeGoRound(t *testing.T) {
	for _, ring := range []int{8, 16, 24, 32, 40, 64, 256} {
		for _, frames := range []int{1, ring - 2, ring - 1, ring, ring + 1, 5*ring + 3} {
			t.Run(fmt.Sprintf("%d descriptors, %d frames", ring, frames), func(t *testing.T) {
				s := &kerneltest.Fates{}
				r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: ring}, Sink: s})
				start(t, r, 1, sink, "tap0")
				wire := to(0, frames, 60)
				r.Play(0, wire...)
				require.NoError(t, r.Run())
				require.Len(t, s.Order, frames)
				for i, a := range s.Order {
					require.Equal(t, wire[i], a.Data)
				}
			})
		}
	}
}

// Frames over several descriptors end whole in the guest, wherever on the ring
// they lie, the ring's end included.
func TestJumboFramesAreWhole(t *testing.T) {
	for _, ring := range []int{8, 16, 64} {
		s := &kerneltest.Fates{}
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: ring}, Sink: s})
		start(t, r, 1, sink, "tap0")
		var wire [][]byte
		for i, size := range []int{9014, 3072, 3073, 60, 6144, 6145, 3071, 9216, 9724, 1514} {
			for range 3 {
				wire = append(wire, kerneltest.Frame(kerneltest.Station(0), kerneltest.Remote(0), size, byte(i)))
			}
		}
		r.Play(0, wire...)
		require.NoError(t, r.Run())
		require.Len(t, s.Order, len(wire))
		for i, a := range s.Order {
			require.Equal(t, wire[i], a.Data, "frame %d of %d bytes", i, len(wire[i]))
		}
		frags := r.Bill().Steps[cost.IgbAddRxFrag].Count
		assert.EqualValues(t, 3*(2+0+1+0+1+2+0+2+3+0), frags, "a frame of n buffers has n-1 further ones")
	}
}

// One doorbell tells of a bundle of 16 descriptors, and one more of what is left
// when the poll is over.
func TestRefillRingsOneDoorbellForABundle(t *testing.T) {
	for frames, doorbells := range map[int]uint64{1: 1, 8: 1, 15: 1, 16: 1, 17: 2, 31: 2, 32: 2, 63: 4, 64: 4, 65: 5, 128: 8} {
		r := backlog(t, frames, kerneltest.Config{})
		require.NoError(t, r.Run())
		assert.Equal(t, doorbells, counts(r, cost.IgbAllocRxBuffers), "%d frames at once", frames)
	}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	start(t, r, 1, sink, "tap0")
	for i, f := range to(0, 20, 60) {
		r.Play(sim.Time(i)*sim.Millisecond, f)
	}
	require.NoError(t, r.Run())
	assert.EqualValues(t, 20, counts(r, cost.IgbAllocRxBuffers), "one for each poll")
}

// A page is turned over and posted again as long as the frame in its other half
// is gone by then; nothing is allocated for that.
func TestPagesAreRecycledWhenTheirOtherHalfIsFree(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: 32}})
	start(t, r, 1, sink, "tap0")
	before := r.Memory.InUse()
	for i, f := range to(0, 500, 60) {
		r.Play(sim.Time(i)*10*sim.Microsecond, f)
	}
	require.NoError(t, r.Run())
	steps := r.Bill().Steps
	assert.EqualValues(t, 500, steps[cost.IgbPutRxBuffer].Count)
	assert.LessOrEqual(t, steps[cost.IgbAllocMappedPage].Count, uint64(1), "the descriptor that stayed empty while probing")
	assert.LessOrEqual(t, r.Memory.InUse(), before+2)
}

// While a guest holds the frames, both halves of a page are soon taken: then its
// hold goes to the frame and the ring gets a new page, once for every two frames.
func TestPagesAreReplacedWhenBothHalvesAreTaken(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: 32}})
	start(t, r, 1, deaf, "tap0")
	for i, f := range to(0, 320, 60) {
		r.Play(sim.Time(i)*10*sim.Microsecond, f)
	}
	require.NoError(t, r.Run())
	steps := r.Bill().Steps
	assert.InDelta(t, 160, float64(steps[cost.IgbPutRxBuffer].Count), 16)
	assert.InDelta(t, 160, float64(steps[cost.IgbAllocMappedPage].Count), 16)
	assert.EqualValues(t, 320, r.TapStats()[0].RxFrames+r.InFlight())
}

// Frames in both halves of one page keep their own bytes.
func TestTheTwoHalvesOfAPageDoNotMix(t *testing.T) {
	s := &kerneltest.Fates{}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: 8}, Sink: s})
	start(t, r, 1, func(task *syscall.Task) error {
		task.Nanosleep(sim.Second)
		return sink(task)
	}, "tap0")
	wire := to(0, 200, 3000)
	r.Play(0, wire...)
	require.NoError(t, r.Run())
	require.Len(t, s.Order, len(wire))
	for i, a := range s.Order {
		require.Equal(t, wire[i], a.Data)
	}
}

// fill takes pages until only leave blocks of a receive buffer's kind are left.
func fill(t *testing.T, m *mem.Memory, leave int) {
	t.Helper()
	var blocks []mem.Addr
	for {
		a, err := m.Alloc(1)
		if err != nil {
			break
		}
		blocks = append(blocks, a)
	}
	for _, a := range blocks[:leave] {
		m.Release(a)
	}
}

// A host without memory drops in the device, goes on when memory comes back, and
// gives every buffer back.
func TestAHostWithoutMemoryGoesOn(t *testing.T) {
	for _, dropEn := range []bool{false, true} {
		t.Run(fmt.Sprintf("DROP_EN %v", dropEn), func(t *testing.T) {
			s := &kerneltest.Fates{}
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, FIFO: 4096, NIC: kernel.NICConfig{Ring: 16, DropEn: dropEn}, Sink: s})
			fill(t, r.Memory, 2)
			before := r.Memory.InUse()
			start(t, r, 1, func(task *syscall.Task) error {
				task.Nanosleep(sim.Millisecond)
				return sink(task)
			}, "tap0")
			r.Play(0, to(0, 200, 60)...)              // more than there is memory for
			r.Play(5*sim.Second, to(0, 100, 1514)...) // when the guest has long read all
			require.NoError(t, r.Run())
			b := r.Balance()
			assert.EqualValues(t, 300, b.In)
			assert.Zero(t, b.InFlight)
			assert.Positive(t, b.Dropped)
			for reason, n := range r.Drops[cost.NIC] {
				if n > 0 {
					assert.Contains(t, []cost.DropReason{cost.NICRxFIFO, cost.NICRxNoDesc}, cost.DropReason(reason))
				}
			}
			for id := uint64(201); id <= 300; id++ {
				require.Equal(t, "vm0:1", s.Of(id).String(), "the host has recovered by then")
			}
			assert.LessOrEqual(t, r.Memory.InUse(), before+2*2, "all but what is on the ring")
		})
	}
}

// A ring that nobody can fill any more is told, with what to do about it.
func TestAHostWhoseMemoryNeverComesBackSaysSo(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: 16}})
	fill(t, r.Memory, 2)
	start(t, r, 1, deaf, "tap0")
	r.Play(0, to(0, 100, 60)...)
	err := r.Run()
	require.ErrorContains(t, err, "no memory")
	assert.NoError(t, r.Check(), "but nothing is lost")
}

func TestAHostTooSmallForItsRingsDoesNotBoot(t *testing.T) {
	for _, ram := range []int{mem.PageSize, 2 * mem.PageSize, 3 * mem.PageSize} {
		_, err := kerneltest.Boot(kerneltest.Config{RAM: ram})
		require.Error(t, err, "%d bytes", ram)
		assert.ErrorIs(t, err, mem.ErrNoMemory)
		assert.ErrorContains(t, err, "eth0")
	}
}

func TestNICConfigsThatCannotBe(t *testing.T) {
	for name, row := range map[string]struct {
		c    kernel.NICConfig
		says string
	}{
		"negative gap":             {kernel.NICConfig{ITR: -1}, "EITR"},
		"a gap of half a us":       {kernel.NICConfig{ITR: 500 * sim.Nanosecond}, "whole microseconds"},
		"a gap too long":           {kernel.NICConfig{ITR: 8192 * sim.Microsecond}, "EITR"},
		"negative queues":          {kernel.NICConfig{Queues: -1}, "queues"},
		"17 queues":                {kernel.NICConfig{Queues: 17}, "queues"},
		"a negative ring":          {kernel.NICConfig{Ring: -8}, "descriptors"},
		"a ring of 7":              {kernel.NICConfig{Ring: 7}, "descriptors"},
		"a ring of 12":             {kernel.NICConfig{Ring: 12}, "multiple of 8"},
		"a ring longer than RDLEN": {kernel.NICConfig{Ring: 1 << 20}, "descriptors"},
		"interrupts to no CPU":     {kernel.NICConfig{FirstCPU: -1}, "CPU"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kerneltest.Boot(kerneltest.Config{NIC: row.c})
			require.Error(t, err)
			assert.True(t, strings.Contains(err.Error(), row.says), "%q does not say %q", err, row.says)
		})
	}
}
