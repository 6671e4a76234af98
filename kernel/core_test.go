package kernel_test

import (
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

// computes has a task on each of the CPUs compute for 50 ms, and says when the first
// and the last ended.
func computes(t *testing.T, c kerneltest.Config, cpus ...int) (first, last sim.Time) {
	t.Helper()
	c.Book, c.Taps = xeon, len(cpus)
	r := kerneltest.New(t, c)
	first = sim.Never
	for i, cpu := range cpus {
		start(t, r, cpu, func(t *syscall.Task) error {
			t.Compute(50 * sim.Millisecond)
			first, last = min(first, t.Now()), max(last, t.Now())
			return nil
		}, "tap"+string(rune('0'+i)))
	}
	require.NoError(t, r.Run())
	return first, last
}

// Threads of one core slow each other by the book's factor, those of two cores do not.
func TestThreadsOfACoreSlowEachOther(t *testing.T) {
	smt := kerneltest.Config{CPUs: 4, Topology: kernel.Topology{Threads: 2}}
	_, alone := computes(t, smt, 0)
	_, apart := computes(t, smt, 0, 1)
	first, together := computes(t, smt, 0, 2)
	_, off := computes(t, kerneltest.Config{CPUs: 4}, 0, 2)
	assert.InDelta(t, 1, float64(apart)/float64(alone), 0.001)
	assert.InDelta(t, 1, float64(off)/float64(alone), 0.001)
	assert.InDelta(t, 1.563, float64(together)/float64(alone), 0.08, "2 x 21.1 / 27.0")
	assert.InDelta(t, 1.563, float64(first)/float64(alone), 0.08, "both of them")
}

// A task that works beside one that has ended pays for the time that they shared alone.
func TestAThreadIsChargedForSharedTimeOnly(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 2, Book: xeon, Topology: kernel.Topology{Threads: 2}})
	start(t, r, 0, func(t *syscall.Task) error { t.Compute(60 * sim.Millisecond); return nil }, "tap0")
	start(t, r, 1, func(t *syscall.Task) error {
		t.Nanosleep(20 * sim.Millisecond)
		t.Compute(10 * sim.Millisecond)
		return nil
	}, "tap1")
	require.NoError(t, r.Run())
	shared := counts(r, cost.SmtShare)
	ms := uint64(3_600_000)
	assert.InDelta(t, float64(2*10*ms), float64(shared), float64(8*ms), "ten milliseconds of work on either side")
}

// remote plays frames to a reader on a CPU of the same node as the NIC or of the other.
func remote(t *testing.T, nicNode, reader int, n, size int) *kerneltest.Rig {
	t.Helper()
	r := kerneltest.New(t, kerneltest.Config{
		CPUs: 4, Taps: 1, Book: xeon, Topology: kernel.Topology{Nodes: 2}, NIC: kernel.NICConfig{Node: nicNode},
	})
	start(t, r, reader, kerneltest.Read(func(*syscall.Task, []byte) {}), "tap0")
	r.Play(0, to(0, n, size)...)
	require.NoError(t, r.Run())
	require.EqualValues(t, n, r.Flow().ToVMs)
	return r
}

// What lies on another node costs as often as the path crosses, and what the book says.
func TestAnotherNodeCostsWhatTheBookSays(t *testing.T) {
	const n, size = 200, 1000
	for name, row := range map[string]struct {
		nicNode, reader           int
		touches, rings, copyBytes uint64
	}{
		"all near":   {0, 1, 0, 0, 0},
		"reader far": {0, 2, 0, n, n * size},
		"NIC far":    {1, 1, n, 0, 0},
		"both far":   {1, 3, n, n, n * size},
	} {
		t.Run(name, func(t *testing.T) {
			r := remote(t, row.nicNode, row.reader, n, size)
			b := r.Bill()
			assert.Equal(t, row.touches, b.Steps[cost.NumaFirstTouch].Count)
			assert.Equal(t, row.rings, b.Steps[cost.NumaRing].Count)
			assert.Equal(t, row.copyBytes, b.Steps[cost.NumaCopyUser].Bytes)
			lines, bytes := uint64(0), uint64(0)
			for s := range cost.NumStages {
				lines += b.Ops[s][cost.NUMALine].Count
				bytes += b.Ops[s][cost.NUMACopy].Bytes
			}
			assert.Equal(t, row.touches+row.rings, lines, "60 ns each in this book")
			assert.Equal(t, row.copyBytes, bytes)
			each, _ := r.Book.Cycles(cost.NUMALine)
			assert.EqualValues(t, 60*3600, each)
		})
	}
}

// A guest's memory on another node is paid for on the way to it.
func TestMemoryOnAnotherNodeIsFarAway(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 4, Taps: 1, Topology: kernel.Topology{Nodes: 2}})
	far := 1
	require.NoError(t, r.Spawn(kernel.Process{
		Name: "guest", CPU: 1, Node: &far, Memory: mem.New(64 << 10), Inherit: []string{"/dev/tap0"},
		Program: kerneltest.Read(func(*syscall.Task, []byte) {}),
	}))
	r.Play(0, to(0, 10, 500)...)
	require.NoError(t, r.Run())
	assert.EqualValues(t, 5000, r.Bill().Steps[cost.NumaCopyUser].Bytes)
	assert.Zero(t, counts(r, cost.NumaRing))
}

// With RFS a flow's protocol work is where it is read, from the second frame on.
func TestFramesFollowTheirReader(t *testing.T) {
	var order []byte
	r := kerneltest.New(t, kerneltest.Config{
		CPUs: 4, Taps: 1, Batching: kernel.Batching{RFS: 256},
	})
	start(t, r, 2, kerneltest.Read(func(_ *syscall.Task, f []byte) { order = append(order, f[15]) }), "tap0")
	for i := range 40 {
		r.Play(sim.Time(i)*100*sim.Microsecond, to(0, 40, 60)[i:i+1]...)
	}
	require.NoError(t, r.Run())
	var on []uint64
	for _, a := range r.Accounts() {
		on = append(on, a.Count(cost.BrHandleFrame))
	}
	assert.Equal(t, []uint64{1, 0, 39, 0}, on)
	require.Len(t, order, 40)
	for i, k := range order {
		assert.EqualValues(t, i, k, "in order")
	}
	assert.EqualValues(t, 1, counts(r, cost.SetRpsCpu))
	assert.EqualValues(t, 40, counts(r, cost.SockRpsRecordFlow))
}

// Under RFS a flow whose reader goes to and fro comes in order all the same, by RPS or
// without.
func TestAFlowThatMovesKeepsItsOrder(t *testing.T) {
	for _, rps := range []uint64{0, 0b1110} {
		var order []int
		r := kerneltest.New(t, kerneltest.Config{
			CPUs: 4, Taps: 3, TapQueue: 4096, RAM: 64 << 20, Book: xeon, Batching: kernel.Batching{RFS: 64, RPS: rps}, Sched: kernel.Sched{Balance: true, WorkingSet: 4096},
			NIC: kernel.NICConfig{Ring: 2048},
		})
		start(t, r, 1, kerneltest.Read(func(t *syscall.Task, f []byte) {
			order = append(order, int(f[14])<<8|int(f[15]))
			t.Compute(300 * sim.Nanosecond)
			if len(order)%50 == 0 {
				t.Nanosleep(30 * sim.Microsecond)
			}
		}), "tap0")
		for i := range 2 { // those that take its CPU
			start(t, r, 1+i, func(t *syscall.Task) error {
				for range 20 {
					t.Compute(200 * sim.Microsecond)
					t.Nanosleep(50 * sim.Microsecond)
				}
				return nil
			}, "tap"+string(rune('1'+i)))
		}
		r.Play(0, to(0, 2000, 60)...)
		require.NoError(t, r.Run())
		require.NotEmpty(t, order)
		for i := 1; i < len(order); i++ {
			require.Greater(t, order[i], order[i-1])
		}
		assert.Positive(t, r.Migrations())
	}
}

// A task that moves fetches what it has touched again, no more, and pays for the move.
func TestAMoveIsPaidByLines(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		r, _ := crowd(t, 2, kerneltest.Config{CPUs: 2, Topology: kernel.Topology{Nodes: nodes}, Sched: kernel.Sched{Balance: true, WorkingSet: 6400}})
		moves := r.Migrations()
		require.Positive(t, moves)
		near, far := counts(r, cost.ColdLines), counts(r, cost.ColdLinesFar)
		assert.Equal(t, moves, counts(r, cost.MigrateTask))
		assert.LessOrEqual(t, near+far, 100*moves)
		if nodes == 1 {
			assert.Zero(t, far)
		} else {
			assert.Zero(t, near)
		}
	}
}

// noisy is a reader and so many tasks that compute, on three CPUs beside the interrupt's.
// It says what the machine was charged beside guests' own work, and the latencies.
func noisy(t *testing.T, tasks int, pinned bool) (overhead uint64, p99, worst sim.Time) {
	t.Helper()
	c := kerneltest.Config{CPUs: 4, Taps: 7, TapQueue: 4096, Book: xeon}
	if !pinned {
		c.Sched = kernel.Sched{Balance: true}
	}
	r := kerneltest.New(t, c)
	start(t, r, 1, kerneltest.Read(func(t *syscall.Task, _ []byte) { t.Compute(sim.Microsecond) }), "tap0")
	for i := range tasks {
		start(t, r, 2+i%2, func(t *syscall.Task) error {
			for range 40 {
				t.Compute(sim.Millisecond)
				t.Nanosleep(100 * sim.Microsecond)
			}
			return nil
		}, "tap"+string(rune('1'+i)))
	}
	for i := range 1000 {
		r.Play(sim.Time(i)*30*sim.Microsecond, to(0, 1, 60)...)
	}
	require.NoError(t, r.Run())
	require.EqualValues(t, 1000, r.Flow().ToVMs)
	b := r.Bill()
	return b.Cycles() - b.StageCycles(cost.VM), r.Latency.Quantile(990), r.Latency.Max()
}

// Beside neighbours that come and go, a reader with a CPU of its own costs fewer cycles
// and waits less than one that may be moved.
func TestPinnedBeatsUnpinned(t *testing.T) {
	pinned, p99, worst := noisy(t, 3, true)
	moved, movedP99, movedWorst := noisy(t, 3, false)
	t.Logf("cycles beside guests' work %d pinned, %d not; latency p99 %v and %v, at worst %v and %v", pinned, moved, p99, movedP99, worst, movedWorst)
	assert.Less(t, pinned, moved)
	assert.Less(t, p99, movedP99)
	assert.Less(t, worst, movedWorst)
}

// Where more tasks compute than there are CPUs, one that may be moved waits for their
// slices. It finds many frames then, and so needs fewer wake-ups: what it loses is time.
func TestUnpinnedReadersWaitForSlices(t *testing.T) {
	_, p99, worst := noisy(t, 6, true)
	_, movedP99, movedWorst := noisy(t, 6, false)
	t.Logf("latency p99 %v pinned and %v not, at worst %v and %v", p99, movedP99, worst, movedWorst)
	assert.Less(t, 10*p99, movedP99)
	assert.Less(t, sim.Millisecond, movedWorst)
	assert.Less(t, worst, 20*sim.Microsecond)
}
