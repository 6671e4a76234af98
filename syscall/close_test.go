package syscall_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/syscall"
)

func TestCloseDropsWhatWaits(t *testing.T) {
	r := alone(t, frames(5, 60), func(task *syscall.Task) {
		assert.Equal(t, call{60, 0}, got(task.Read(0, 0, 100)))
		assert.Equal(t, syscall.OK, task.Close(0))
	})
	assert.EqualValues(t, 4, r.Drops[cost.Tap][cost.RSClosed])
	assert.EqualValues(t, 1, r.Flow().ToVMs)
	assert.EqualValues(t, 4, r.Bill().Steps[cost.KfreeSkb].Count)
}

func TestFramesForAClosedTapAreNotReady(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	start(t, r, func(task *syscall.Task) {
		task.Close(0)
		task.Nanosleep(2 * sim.Millisecond)
		fd, _ := task.Open("/dev/tap0", syscall.ReadWrite)
		assert.Equal(t, call{60, 0}, got(task.Read(fd, 0, 100)), "opened again, it has what came since")
		assert.Equal(t, frame(60, 9), task.Memory().Bytes(0, 60))
	})
	r.Play(0, frames(2, 60)...)                 // there before it is closed
	r.Play(2*sim.Millisecond, frames(3, 60)...) // closed
	r.Play(4*sim.Millisecond, frame(60, 9))     // open again
	require.NoError(t, r.Run())
	assert.EqualValues(t, 2, r.Drops[cost.Tap][cost.RSClosed])
	assert.EqualValues(t, 3, r.Drops[cost.Tap][cost.DevReady])
}

func TestFramesForATapNobodyOpenedAreNotReady(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{Taps: 1})
	r.Play(0, frames(3, 60)...)
	require.NoError(t, r.Run())
	assert.EqualValues(t, 3, r.Drops[cost.Tap][cost.DevReady])
}

func TestExitCloses(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 3})
	_, err := r.Start(1, func(task *syscall.Task) error {
		task.Nanosleep(sim.Millisecond)
		return nil
	}, "tap0", "tap1", "tap2")
	require.NoError(t, err)
	r.Play(0, frames(3, 60)...)
	require.NoError(t, r.Run())
	assert.EqualValues(t, 3, r.Drops[cost.Tap][cost.RSClosed])
	_, err = r.Start(1, func(*syscall.Task) error { return nil }, "tap0", "tap1", "tap2")
	assert.NoError(t, err, "all three are free again")
	require.NoError(t, r.Run())
}

// Descriptors are given out lowest first, so inheriting three makes 0, 1 and 2.
func TestInheritedDescriptorsCountUp(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 3})
	_, err := r.Start(1, func(task *syscall.Task) error {
		task.Nanosleep(sim.Millisecond)
		assert.Equal(t, polled{0, 0}, poll(task.Poll(0, syscall.PollIn, 0)))
		assert.Equal(t, polled{syscall.PollIn, 0}, poll(task.Poll(1, syscall.PollIn, 0)))
		assert.Equal(t, polled{0, 0}, poll(task.Poll(2, syscall.PollIn, 0)))
		assert.Equal(t, polled{syscall.PollNval, 0}, poll(task.Poll(3, syscall.PollIn, 0)))
		return nil
	}, "tap2", "tap0", "tap1")
	require.NoError(t, err)
	r.Play(0, frame(60, 1))
	require.NoError(t, r.Run())
}
