package kernel_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/syscall"
)

// sender is a program that sends n numbered frames of the length size to a
// station behind the wire, with a pause after each.
func sender(n, size int, pause sim.Time) func(*syscall.Task) error {
	return func(t *syscall.Task) error {
		m := t.Memory().Bytes(0, size)
		copy(m, kerneltest.Frame(kerneltest.Remote(1), kerneltest.Station(0), size, 0))
		for i := range n {
			binary.BigEndian.PutUint32(m[14:], uint32(i))
			if _, errno := t.Write(0, 0, size); errno != syscall.OK {
				return errno
			}
			t.Nanosleep(pause)
		}
		return nil
	}
}

// hear makes the bridge know the station behind the wire.
func hear(t *testing.T, r *kerneltest.Rig) {
	t.Helper()
	require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Remote(1), Port: r.Port, Kind: bridge.Static}))
}

// numbers is what stands in the frames that left.
func numbers(r *kerneltest.Rig) (list []int) {
	for _, f := range r.Wire.Sent {
		list = append(list, int(binary.BigEndian.Uint32(f.Data[14:])))
	}
	return list
}

func TestEverySentFrameRingsItsDoorbellAndIsFreed(t *testing.T) {
	for _, row := range []struct{ size, descs int }{{60, 1}, {1514, 1}, {4096, 1}, {4097, 2}, {9000, 3}} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
		hear(t, r)
		before := r.Memory.InUse()
		start(t, r, 1, sender(300, row.size, 20*sim.Microsecond), "tap0") // once round the ring
		require.NoError(t, r.Run())
		require.Len(t, r.Wire.Sent, 300)
		for i, n := range numbers(r) {
			require.Equal(t, i, n)
		}
		assert.EqualValues(t, 300, counts(r, cost.IgbTxDoorbell))
		assert.EqualValues(t, 300*row.descs, counts(r, cost.IgbXmitFrame))
		assert.EqualValues(t, 300, counts(r, cost.IgbCleanTxIrq))
		assert.Equal(t, before, r.Memory.InUse())
	}
}

// A guest that sends faster than the link fills the ring, then the queue before
// it, and then loses frames with a reason; what is sent is in order.
func TestAFullTransmitRingQueuesAndThenDrops(t *testing.T) {
	const frames = 3000
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, LinkBPS: 1e9, RAM: 32 << 20})
	hear(t, r)
	before := r.Memory.InUse()
	start(t, r, 1, sender(frames, 1514, 0), "tap0")
	checkEveryEvent(t, r)
	dropped := int(r.Drops[cost.NAPI][cost.QdiscDrop])
	assert.Equal(t, frames, len(r.Wire.Sent)+dropped)
	assert.Greater(t, dropped, 1000)
	assert.GreaterOrEqual(t, len(r.Wire.Sent), 255+1000, "ring and queue are sent in the end")
	sent := numbers(r)
	for i := range sent[1:] {
		require.Less(t, sent[i], sent[i+1])
	}
	assert.Equal(t, before, r.Memory.InUse())
}

// Up to as many frames as ring and queue have room for, nothing is lost.
func TestRingAndQueueLoseNothingUpToTheirSize(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, LinkBPS: 1e6, RAM: 32 << 20})
	hear(t, r)
	start(t, r, 1, sender(255+1000, 60, 0), "tap0")
	require.NoError(t, r.Run())
	assert.Len(t, r.Wire.Sent, 255+1000)
	assert.Zero(t, r.Drops.Total())
}

// Two guests that send at a time use the transmit queues of their CPUs.
func TestEveryCPUHasItsTransmitQueue(t *testing.T) {
	s := &kerneltest.Fates{}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 4, Taps: 2, NIC: kernel.NICConfig{Queues: 2}, Sink: s})
	hear(t, r)
	start(t, r, 2, sender(50, 60, sim.Microsecond), "tap0")
	start(t, r, 3, sender(50, 60, sim.Microsecond), "tap1")
	require.NoError(t, r.Run())
	assert.Len(t, r.Wire.Sent, 100)
	for q := range 2 {
		assert.Positive(t, r.SoftnetStats()[q].Processed+counts(r, cost.IgbCleanTxIrq))
	}
	assert.Equal(t, counts(r, cost.IgbCleanTxIrq), uint64(100))
}

// A frame that is longer than the device can send dies in the bridge, whole or as
// one copy of a flood; shorter ones do not.
func TestFramesTooLongForTheDeviceAreDropped(t *testing.T) {
	for _, row := range []struct{ size, sent int }{{9724, 1}, {9725, 0}, {65557, 0}} {
		for name, flood := range map[string]bool{"known station": false, "flooded": true} {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 2})
			if !flood {
				hear(t, r)
			}
			_, err := r.Start(1, func(t *syscall.Task) error {
				return sender(1, min(row.size, 60<<10), 0)(t)
			}, "tap0")
			require.NoError(t, err)
			start(t, r, 1, sink, "tap1")
			require.NoError(t, r.Run(), name)
			assert.Len(t, r.Wire.Sent, row.sent, "%d bytes, %s", row.size, name)
			assert.EqualValues(t, 1-row.sent, r.Drops[cost.Bridge][cost.PktTooBig], "%d bytes, %s", row.size, name)
			if flood {
				assert.EqualValues(t, 1, r.TapStats()[1].RxFrames, "a guest may get it all the same")
			}
		}
	}
}
