package kernel_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// watch is a sink made of functions; nil ones do not look.
type watch struct {
	frame func(*trace.Frame)
	step  func(trace.Step)
}

func (w watch) Frame(f *trace.Frame) {
	if w.frame != nil {
		w.frame(f)
	}
}

func (w watch) Step(s trace.Step) {
	if w.step != nil {
		w.step(s)
	}
}

func (w watch) Watching(uint64) bool { return false }

// backlog is a host on whose one ring n frames wait when its CPU first has time:
// until then a task computes there. The guest with the frames runs on CPU 1.
func backlog(t *testing.T, n int, c kerneltest.Config) *kerneltest.Rig {
	t.Helper()
	c.CPUs, c.Taps, c.TapQueue, c.LinkBPS = 2, 2, 1<<14, 100e9
	if c.NIC.Ring == 0 {
		c.NIC.Ring = 2048
	}
	c.RAM = 4<<20 + 3*max(c.NIC.Queues, 1)*c.NIC.Ring*mem.PageSize
	r := kerneltest.New(t, c)
	start(t, r, 0, func(t *syscall.Task) error {
		t.Compute(sim.Millisecond)
		return nil
	}, "tap1")
	start(t, r, 1, sink, "tap0")
	r.Play(0, to(0, n, 60)...)
	return r
}

func counts(r *kerneltest.Rig, s cost.Step) uint64 { return r.Bill().Steps[s].Count }

// A poll takes 64 frames at most. One that took exactly 64 is not complete,
// whether there are more or not.
//
// Frames that come behind the one that interrupted set the cause again, and the
// device tells of that when it is unmasked: one more interrupt, and a poll that
// finds nothing, as with real hardware.
func TestAPollTakesItsBudgetAtMost(t *testing.T) {
	for _, row := range []struct{ frames, polls int }{
		{1, 1}, {8, 1}, {63, 1}, {64, 2}, {65, 2}, {127, 2}, {128, 3}, {129, 3},
	} {
		r := backlog(t, row.frames, kerneltest.Config{})
		require.NoError(t, r.Run())
		again := min(row.frames-1, 1)
		assert.EqualValues(t, row.polls+again, counts(r, cost.IgbPoll), "%d frames", row.frames)
		assert.EqualValues(t, 1+again, counts(r, cost.NapiCompleteDone), "%d frames", row.frames)
		assert.EqualValues(t, 1+again, counts(r, cost.IgbMsixRing), "%d frames", row.frames)
		assert.EqualValues(t, row.frames, r.SoftnetStats()[0].Processed)
	}
}

// Frames go up the stack in lists of eight: the driver has all of a list before
// the bridge sees its first.
func TestFramesGoUpInListsOfEight(t *testing.T) {
	order := ""
	r := backlog(t, 21, kerneltest.Config{Sink: watch{frame: func(f *trace.Frame) {
		switch f.Point {
		case trace.Driver:
			order += "d"
		case trace.Bridge:
			order += "b"
		}
	}}})
	require.NoError(t, r.Run())
	assert.Equal(t, "ddddddddbbbbbbbbddddddddbbbbbbbbdddddbbbbb", order)
}

// The vector is masked from the interrupt until the poll is complete, and open
// before and after.
func TestTheVectorIsMaskedWhileItIsPolled(t *testing.T) {
	var r *kerneltest.Rig
	open := func() bool {
		v, err := r.NIC.Read(nic.EIMS, r.Engine.Now())
		require.NoError(t, err)
		return v&1 != 0
	}
	polled := 0
	r = backlog(t, 100, kerneltest.Config{Sink: watch{frame: func(f *trace.Frame) {
		if f.Point == trace.Driver {
			polled++
			assert.False(t, open())
			assert.Equal(t, "polling", r.Napi(0).State())
		}
	}}})
	assert.True(t, open())
	require.NoError(t, r.Run())
	assert.Equal(t, 100, polled)
	assert.True(t, open())
	assert.Equal(t, "idle", r.Napi(0).State())
	assert.Equal(t, counts(r, cost.NapiCompleteDone), counts(r, cost.IgbRingIrqEnable))
}

// An interrupt that comes while the instance is scheduled or polled must not be
// lost: it is polled once more, however few frames it had.
func TestAnInterruptDuringThePollIsNotMissed(t *testing.T) {
	for _, when := range []string{"scheduled", "polling"} {
		t.Run(when, func(t *testing.T) {
			var r *kerneltest.Rig
			done := false
			again := func() {
				if !done && r.Napi(0).State() == when {
					done = true
					r.Napi(0).Schedule()
				}
			}
			r = backlog(t, 1, kerneltest.Config{Sink: watch{
				frame: func(*trace.Frame) { again() },
				step:  func(trace.Step) { again() },
			}})
			require.NoError(t, r.Run())
			require.True(t, done)
			assert.EqualValues(t, 2, counts(r, cost.IgbPoll))
			assert.EqualValues(t, 1, counts(r, cost.NapiCompleteDone))
			assert.Equal(t, "idle", r.Napi(0).State())
		})
	}
}

// Whoever breaks the contract fails the run, by name.
func TestBreachesOfTheNAPIContractFailTheRun(t *testing.T) {
	for name, row := range map[string]struct {
		breach func(kernel.Napi)
		says   string
	}{
		"polled without being scheduled": {func(n kernel.Napi) { n.Begin() }, "polled while idle"},
		"polled twice at once": {func(n kernel.Napi) {
			n.Schedule()
			n.Begin()
			n.Begin()
		}, "polled while polling"},
	} {
		t.Run(name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 3, NIC: kernel.NICConfig{Queues: 2, FirstCPU: 1}})
			row.breach(r.Napi(1))
			err := r.Run()
			require.ErrorContains(t, err, "NAPI contract: eth0 queue 1 on cpu2: "+row.says)
		})
	}
}

// One that took its weight is polled again, but not by the same net_rx_action.
func TestNetRxActionPollsEachInstanceOnce(t *testing.T) {
	for _, row := range []struct{ frames, actions int }{{1, 1}, {63, 1}, {64, 2}, {300, 5}, {320, 6}, {1000, 16}} {
		r := backlog(t, row.frames, kerneltest.Config{})
		require.NoError(t, r.Run())
		again := min(row.frames-1, 1) // for the interrupt that finds nothing
		assert.EqualValues(t, row.actions+again, counts(r, cost.NetRxAction), "%d frames", row.frames)
		assert.Zero(t, r.SoftnetStats()[0].TimeSqueeze, "%d frames", row.frames)
		assert.EqualValues(t, row.frames, r.SoftnetStats()[0].Processed)
	}
}

// queued is backlog on one CPU with several queues, and flows that spread over
// them. The guest does not read.
func queued(t *testing.T, queues, frames int, book *cost.Book, step func(trace.Step)) *kerneltest.Rig {
	t.Helper()
	r := kerneltest.New(t, kerneltest.Config{
		Book: book, Taps: 2, TapQueue: 1 << 14, LinkBPS: 100e9, RAM: 64 << 20, FIFO: 1 << 20,
		NIC: kernel.NICConfig{Queues: queues, Ring: 4096 / queues &^ 7}, Sink: watch{step: step},
	})
	start(t, r, 0, deaf, "tap0")
	start(t, r, 0, func(t *syscall.Task) error {
		t.Compute(sim.Millisecond)
		return nil
	}, "tap1")
	for i := range frames {
		r.Play(0, kerneltest.UDP(kerneltest.Station(0), kerneltest.Remote(0), uint16(i%64), 60, byte(i)))
	}
	return r
}

// net_rx_action gives up after 300 frames, to the next whole poll: with five
// instances that have more than their weight, after each had one.
func TestNetRxActionKeepsItsBudget(t *testing.T) {
	for queues, squeezes := range map[int]bool{2: false, 4: false, 5: true, 8: true, 16: true} {
		polls, most := 0, 0
		r := queued(t, queues, 3000, nil, func(s trace.Step) {
			switch s.Step {
			case cost.NetRxAction:
				polls = 0
			case cost.IgbPoll:
				polls++
				most = max(most, polls)
			}
		})
		require.NoError(t, r.Run())
		st := r.SoftnetStats()[0]
		assert.Equal(t, squeezes, st.TimeSqueeze > 0, "%d queues: %d", queues, st.TimeSqueeze)
		assert.EqualValues(t, 3000, st.Processed)
		assert.GreaterOrEqual(t, most, min(queues, 5), "%d queues", queues)
	}
}

// slowBook counts like cost.Unit, but a cycle lasts a microsecond.
func slowBook(t *testing.T) *cost.Book {
	t.Helper()
	text, err := os.ReadFile("../cost/books/unit.yaml")
	require.NoError(t, err)
	slow := strings.NewReplacer("name: unit", "name: slow", "1_000_000_000", "1_000_000").Replace(string(text))
	b, err := cost.Load(strings.NewReader(slow), "slow")
	require.NoError(t, err)
	return b
}

// net_rx_action gives up after 2 ms, however few frames that were.
func TestNetRxActionKeepsItsTime(t *testing.T) {
	var began, longest sim.Time
	r := queued(t, 4, 1000, slowBook(t), func(s trace.Step) {
		switch s.Step {
		case cost.NetRxAction:
			began = s.At
		case cost.IgbPoll:
			longest = max(longest, s.At-began)
		}
	})
	require.NoError(t, r.Run())
	assert.Greater(t, longest, sim.Millisecond)
	assert.Less(t, longest, 2*sim.Millisecond, "no poll begins later than that")
	assert.Positive(t, r.SoftnetStats()[0].TimeSqueeze)
}

// ksoftirqds counts how often ksoftirqd got the CPU.
func ksoftirqds(n *int) trace.Sink {
	return watch{step: func(s trace.Step) {
		if s.Step == cost.Schedule && s.Note == "ksoftirqd" {
			*n++
		}
	}}
}

// After ten rounds of net_rx_action the rest is ksoftirqd's.
func TestTenRoundsAndThenKsoftirqd(t *testing.T) {
	for _, row := range []struct{ frames, threads int }{
		{320, 0}, {639, 0}, {640, 1}, {2000, 1},
	} {
		n := 0
		r := backlog(t, row.frames, kerneltest.Config{Sink: ksoftirqds(&n)})
		require.NoError(t, r.Run())
		assert.Equal(t, row.threads, n, "%d frames", row.frames)
		assert.EqualValues(t, row.frames, r.Flow().ToVMs)
	}
}

// And after 2 ms.
func TestTwoMillisecondsAndThenKsoftirqd(t *testing.T) {
	n := 0
	r := backlog(t, 500, kerneltest.Config{Book: slowBook(t), Sink: ksoftirqds(&n)})
	require.NoError(t, r.Run())
	assert.Positive(t, n)
	assert.EqualValues(t, 500, r.Flow().ToVMs)
}

// And at once, when a task waits for the CPU.
func TestATaskThatWaitsSendsSoftirqsToKsoftirqd(t *testing.T) {
	n := 0
	r := backlog(t, 700, kerneltest.Config{Sink: ksoftirqds(&n)})
	_, err := r.AddTap("other", 9)
	require.NoError(t, err)
	start(t, r, 0, func(t *syscall.Task) error {
		t.Compute(sim.Millisecond)
		return nil
	}, "other")
	require.NoError(t, r.Run())
	assert.Positive(t, n)
}

func TestVectorsInterruptTheirCPUs(t *testing.T) {
	for _, row := range []struct{ cpus, queues, first int }{{1, 1, 0}, {4, 4, 0}, {4, 2, 1}, {3, 4, 2}, {2, 1, 7}, {2, 16, 0}} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: row.cpus, NIC: kernel.NICConfig{Queues: row.queues, FirstCPU: row.first, Ring: 8}})
		for q := range row.queues {
			assert.Equal(t, (row.first+q)%row.cpus, r.Napi(q).CPU(), "queue %d of %+v", q, row)
		}
	}
}

// A flow stays on the queue that its hash chooses, and so in order; many flows
// reach every queue, and each queue's CPU has its share of the work.
func TestFlowsSpreadOverQueuesAndKeepTheirOrder(t *testing.T) {
	const queues, flows, each = 4, 64, 20
	s := &kerneltest.Fates{}
	r := kerneltest.New(t, kerneltest.Config{CPUs: 5, Taps: 1, RAM: 32 << 20, NIC: kernel.NICConfig{Queues: queues}, Sink: s})
	start(t, r, 4, sink, "tap0")
	for k := range each {
		for f := range flows {
			r.Play(0, kerneltest.UDP(kerneltest.Station(0), kerneltest.Remote(0), uint16(f), 60, byte(k)))
		}
	}
	require.NoError(t, r.Run())
	require.Len(t, s.Order, flows*each)
	queue, next, used := map[uint16]int32{}, map[uint16]byte{}, map[int32]int{}
	for _, a := range s.Order {
		flow := uint16(a.Data[34])<<8 | uint16(a.Data[35])
		if q, ok := queue[flow]; ok {
			require.Equal(t, q, a.Queue, "flow %d", flow)
		}
		queue[flow] = a.Queue
		require.Equal(t, next[flow], a.Data[42], "flow %d is in order", flow)
		next[flow]++
		used[a.Queue]++
	}
	for q := range int32(queues) {
		assert.Greater(t, used[q], each, "queue %d", q)
		assert.EqualValues(t, used[q], r.SoftnetStats()[q].Processed, fmt.Sprint("CPU ", q))
	}
}
