package syscall_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
)

func TestEveryReadIsOneFrame(t *testing.T) {
	wire := [][]byte{frame(60, 1), frame(1514, 2), frame(64, 3), frame(9014, 4), frame(60, 5)}
	r := alone(t, wire, func(task *syscall.Task) {
		for _, want := range wire {
			n, errno := task.Read(0, 4096, 10000)
			assert.Equal(t, call{len(want), syscall.OK}, call{n, errno})
			assert.Equal(t, want, task.Memory().Bytes(4096, n))
		}
	})
	assert.EqualValues(t, len(wire), r.TapStats()[0].RxFrames)
	assert.Zero(t, r.TapStats()[0].Truncated)
}

func TestWhatDoesNotFitIsLostAndCounted(t *testing.T) {
	r := alone(t, [][]byte{frame(60, 1), frame(9014, 2), frame(60, 3)}, func(task *syscall.Task) {
		m := task.Memory().Bytes(0, 60)
		assert.Equal(t, call{59, syscall.OK}, got(task.Read(0, 0, 59)))
		assert.Equal(t, append(frame(60, 1)[:59], 0), m, "and nothing behind the buffer is touched")
		assert.Equal(t, call{5000, syscall.OK}, got(task.Read(0, 0, 5000)), "the end lies in the frame's second buffer")
		assert.Equal(t, frame(9014, 2)[:5000], task.Memory().Bytes(0, 5000))
		assert.Equal(t, call{60, syscall.OK}, got(task.Read(0, 0, 5000)), "the next read is the next frame")
		assert.Equal(t, frame(60, 3), m)
	})
	st := r.TapStats()[0]
	assert.EqualValues(t, 2, st.Truncated)
	assert.EqualValues(t, 3, st.RxFrames)
	assert.EqualValues(t, 59+5000+60, st.RxBytes)
}

// Wherever the borders of the segments lie, the segments together hold the frame,
// and no byte beside them changes.
func TestReadvFillsSegmentsInOrder(t *testing.T) {
	for name, lens := range map[string][]int{
		"one byte each":                   {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8986},
		"header and payload":              {14, 9000},
		"odd sizes":                       {13, 1, 1487, 3, 7510},
		"empty ones between":              {0, 14, 0, 0, 1000, 0, 8000, 0},
		"border where the frame's own is": {3072, 3072, 2870},
		"border one before":               {3071, 3072, 2871},
		"border one behind":               {3073, 3072, 2869},
		"more room than frame":            {5000, 5000, 5000},
		"last segment untouched":          {9014, 100},
		"too small":                       {100, 100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			want := frame(9014, 1)
			alone(t, [][]byte{want}, func(task *syscall.Task) {
				m := task.Memory().Bytes(0, memorySize)
				for i := range m {
					m[i] = 0xee
				}
				// Segments lie in memory in reverse, one byte apart.
				var segs []syscall.Segment
				at := memorySize - 100
				for _, n := range lens {
					at -= n + 1
					segs = append(segs, seg(mem.Addr(at), n))
				}
				n, errno := task.Readv(0, segs)
				require.Equal(t, syscall.OK, errno)
				var have []byte
				for _, s := range segs {
					have = append(have, task.Memory().Bytes(s.Addr, s.Len)...)
					for i := range task.Memory().Bytes(s.Addr, s.Len) {
						m[int(s.Addr)+i] = 0xee
					}
				}
				require.Equal(t, min(len(want), len(have)), n)
				assert.Equal(t, want[:n], have[:n])
				for i, b := range m {
					require.EqualValues(t, 0xee, b, "byte %d is in no segment", i)
				}
			})
		})
	}
}

func TestWritevMakesOneFrame(t *testing.T) {
	want := frame(300, 9)
	r := alone(t, nil, func(task *syscall.Task) {
		m := task.Memory()
		copy(m.Bytes(1000, 13), want)
		copy(m.Bytes(501, 1), want[13:])
		copy(m.Bytes(memorySize-286, 286), want[14:])
		assert.Equal(t, call{300, syscall.OK}, got(task.Writev(0, []syscall.Segment{
			seg(1000, 13), seg(0, 0), seg(501, 1), seg(memorySize-286, 286),
		})))
		clear(m.Bytes(0, memorySize)) // the kernel has a copy
	})
	// Its destination is the writer's own station, so the bridge drops it; what
	// the wire would have seen is for the next test.
	assert.EqualValues(t, 1, r.Drops[cost.Bridge][cost.RSSamePort])
	assert.EqualValues(t, 300, r.TapStats()[0].TxBytes)
}

func TestAWrittenFrameLeavesByTheWire(t *testing.T) {
	for _, n := range []int{60, 1514, 4096, 4097, 8192, 9000} {
		want := kerneltest.Frame(kerneltest.Remote(0), kerneltest.Station(0), n, byte(n))
		r := alone(t, nil, func(task *syscall.Task) {
			copy(task.Memory().Bytes(100, n), want)
			assert.Equal(t, call{n, syscall.OK}, got(task.Write(0, 100, n)))
			clear(task.Memory().Bytes(0, memorySize))
		})
		require.Len(t, r.Wire.Sent, 1)
		assert.Equal(t, want, r.Wire.Sent[0].Data)
	}
}

func TestABatchTakesWhatIsThere(t *testing.T) {
	wire := [][]byte{frame(60, 1), frame(100, 2), frame(9014, 3), frame(64, 4), frame(64, 5)}
	alone(t, wire, func(task *syscall.Task) {
		msgs := make([]syscall.Message, 3)
		for i := range msgs {
			msgs[i].Segment = seg(mem.Addr(i*9100), 9100)
		}
		for _, part := range [][][]byte{wire[:3], wire[3:]} {
			assert.Equal(t, call{len(part), syscall.OK}, got(task.ReadBatch(0, msgs)))
			for i, want := range part {
				assert.Equal(t, len(want), msgs[i].Got)
				assert.Equal(t, want, task.Memory().Bytes(msgs[i].Addr, msgs[i].Got))
			}
		}
	})
}

// A batch of three that finds nothing sleeps until the first frame comes and does
// not wait for the second.
func TestABatchBlocksForItsFirstFrameOnly(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: noITR})
	var at []sim.Time
	var counts []int
	_, err := r.Start(1, func(task *syscall.Task) error {
		for {
			n, errno := task.ReadBatch(0, []syscall.Message{{Segment: seg(0, 100)}, {Segment: seg(100, 100)}, {Segment: seg(200, 100)}})
			if errno != syscall.OK {
				return errno
			}
			at, counts = append(at, task.Now()), append(counts, n)
		}
	}, "tap0")
	require.NoError(t, err)
	r.Play(10*sim.Microsecond, frame(60, 1))
	r.Play(50*sim.Microsecond, frame(60, 2))
	require.NoError(t, r.Run())
	require.Equal(t, []int{1, 1}, counts)
	assert.Less(t, at[0], 20*sim.Microsecond)
	assert.Greater(t, at[1], 50*sim.Microsecond)
}

func TestABlockedReadWakesWhenItsFrameIsThere(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, NIC: noITR})
	var at sim.Time
	_, err := r.Start(1, kerneltest.Read(func(task *syscall.Task, _ []byte) { at = task.Now() }), "tap0")
	require.NoError(t, err)
	r.Play(sim.Second, frame(60, 1))
	require.NoError(t, r.Run())
	assert.Greater(t, at, sim.Second)
	assert.Less(t, at, sim.Second+2*sim.Microsecond)
	assert.EqualValues(t, 1, r.Bill().Steps[cost.SockDefReadable].Count)
}
