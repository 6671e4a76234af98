package kernel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/syscall"
)

var everybody = bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// checkEveryEvent runs the host to its rest and asks the oracles between any two
// events.
func checkEveryEvent(t *testing.T, r *kerneltest.Rig) {
	t.Helper()
	for r.Engine.Now() < sim.Second && r.Engine.Step() {
		require.NoError(t, r.Check(), "at %v", r.Engine.Now())
	}
	require.NoError(t, r.Run())
}

// A guest that broadcasts: the same frame is on a tap and on the transmit ring.
func TestAFloodedFrameIsAllocatedOnce(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3, Taps: 3})
	_, err := r.Start(1, func(task *syscall.Task) error {
		for i := range 20 {
			f := task.Memory().Bytes(0, 60)
			copy(f, kerneltest.Frame(everybody, kerneltest.Station(0), 60, byte(i)))
			task.Write(0, 0, 60)
			task.Compute(sim.Microsecond)
		}
		return nil
	}, "tap0")
	require.NoError(t, err)
	_, err = r.Start(2, kerneltest.Read(func(task *syscall.Task, _ []byte) { task.Compute(3 * sim.Microsecond) }), "tap1")
	require.NoError(t, err)
	checkEveryEvent(t, r)
	assert.Len(t, r.Wire.Sent, 20)
}

// A jumbo frame that waits for descriptors is in the device and on the ring at
// once, and is one frame.
func TestAFrameInTwoPlacesIsInFlightOnce(t *testing.T) {
	for _, dropEn := range []bool{false, true} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: kernel.NICConfig{Ring: 8, DropEn: dropEn}, LinkBPS: 100e9})
		_, err := r.Start(1, kerneltest.Read(func(*syscall.Task, []byte) {}), "tap0")
		require.NoError(t, err)
		for i := range 30 {
			r.Play(0, kerneltest.Frame(kerneltest.Station(0), kerneltest.Remote(0), 9000+i, byte(i)))
		}
		checkEveryEvent(t, r)
		b := r.Balance()
		assert.EqualValues(t, 30, b.In)
		assert.Zero(t, b.InFlight)
	}
}
