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

// steps is what was charged, by step.
type steps map[cost.Step]cost.Line

func n(count uint64) cost.Line            { return cost.Line{Count: count} }
func moved(count, bytes uint64) cost.Line { return cost.Line{Count: count, Bytes: bytes} }

// with is a and b together.
func with(a, b steps) steps {
	sum := steps{}
	for _, m := range []steps{a, b} {
		for s, l := range m {
			sum[s] = cost.Line{Count: sum[s].Count + l.Count, Bytes: sum[s].Bytes + l.Bytes, Extra: sum[s].Extra + l.Extra}
		}
	}
	return sum
}

// snapshot is all that an account has been charged.
func snapshot(a *cost.Account) steps {
	all := steps{}
	for s := range cost.NumSteps {
		if l := a.Line(s); l != (cost.Line{}) {
			all[s] = l
		}
	}
	return all
}

// since is what was charged after before.
func since(before steps, a *cost.Account) steps {
	all := snapshot(a)
	for s, l := range before {
		d := cost.Line{Count: all[s].Count - l.Count, Bytes: all[s].Bytes - l.Bytes, Extra: all[s].Extra - l.Extra}
		if all[s] = d; d == (cost.Line{}) {
			delete(all, s)
		}
	}
	return all
}

// What every call is charged on the CPU of a task that runs there alone, with
// three frames of 60, 100 and 9014 bytes waiting.
func TestEveryCallIsCharged(t *testing.T) {
	var (
		bare  = steps{cost.SysEnter: n(1), cost.SysExit: n(1)}
		read  = with(bare, steps{cost.TunChrReadIter: n(1)})
		write = with(bare, steps{cost.TunChrWriteIter: n(1)})
		frame = func(pieces, bytes uint64) steps {
			return steps{cost.TunRingRecv: n(1), cost.TunPutUser: moved(pieces, bytes), cost.ConsumeSkb: n(1)}
		}
		sleep = steps{cost.Schedule: n(1)} // back on the CPU after idling
		// A written frame for a station on the same port: looked up, and dropped.
		bridged = steps{
			cost.TunGetUser: n(1), cost.TunBuildSkb: n(1), cost.NetifReceiveSkbCore: n(1), cost.BrHandleFrame: n(1),
			cost.BrHandleFrameFinish: n(1), cost.BrFdbUpdate: n(1), cost.BrFdbFind: n(1), cost.KfreeSkb: n(1),
		}
	)
	skip := func(t *syscall.Task, frames int) {
		for range frames {
			t.Read(0, 0, 9100)
		}
	}
	for name, row := range map[string]struct {
		before func(*syscall.Task)
		call   func(*syscall.Task)
		want   steps
	}{
		"read":              {nil, func(t *syscall.Task) { t.Read(0, 0, 100) }, with(read, frame(1, 60))},
		"read, truncated":   {nil, func(t *syscall.Task) { t.Read(0, 0, 33) }, with(read, frame(1, 33))},
		"read into no room": {nil, func(t *syscall.Task) { t.Read(0, 0, 0) }, read},
		"read, bad length":  {nil, func(t *syscall.Task) { t.Read(0, 0, -1) }, read},
		"read, not open":    {nil, func(t *syscall.Task) { t.Read(1, 0, 60) }, bare},
		"read at a bad address": {nil, func(t *syscall.Task) { t.Read(0, memorySize, 60) },
			with(read, steps{cost.TunRingRecv: n(1), cost.TunPutUser: n(1), cost.KfreeSkb: n(1)})},
		"read of a jumbo frame: a copy for every buffer": {func(t *syscall.Task) { skip(t, 2) },
			func(t *syscall.Task) { t.Read(0, 0, 9100) }, with(read, frame(3, 9014))},
		"read, nothing there, does not block": {func(t *syscall.Task) { t.Close(0); t.Open("/dev/tap0", nonBlock) },
			func(t *syscall.Task) { t.Read(0, 0, 60) }, read},
		"readv": {nil, func(t *syscall.Task) { t.Readv(0, []syscall.Segment{seg(0, 14), seg(20, 40), seg(100, 100)}) },
			with(read, frame(1, 60))},
		"batch of two": {nil, func(t *syscall.Task) {
			t.ReadBatch(0, []syscall.Message{{Segment: seg(0, 100)}, {Segment: seg(100, 100)}})
		}, with(with(read, frame(1, 60)), with(steps{cost.TunChrReadIter: n(1)}, frame(1, 100)))},
		"batch of two, one there": {func(t *syscall.Task) { skip(t, 2) }, func(t *syscall.Task) {
			t.ReadBatch(0, []syscall.Message{{Segment: seg(0, 9100)}, {Segment: seg(9100, 9100)}})
		}, with(with(read, frame(3, 9014)), steps{cost.TunChrReadIter: n(1)})},
		"batch of none":      {nil, func(t *syscall.Task) { t.ReadBatch(0, nil) }, bare},
		"batch, not open":    {nil, func(t *syscall.Task) { t.ReadBatch(4, nil) }, bare},
		"write":              {func(t *syscall.Task) { skip(t, 1) }, func(t *syscall.Task) { own(t); t.Write(0, 0, 60) }, with(write, with(bridged, steps{cost.CopyIn: moved(1, 60)}))},
		"write of two pages": {func(t *syscall.Task) { skip(t, 1) }, func(t *syscall.Task) { own(t); t.Write(0, 0, 5000) }, with(write, with(bridged, steps{cost.CopyIn: moved(2, 5000)}))},
		"writev":             {func(t *syscall.Task) { skip(t, 1) }, func(t *syscall.Task) { own(t); t.Writev(0, []syscall.Segment{seg(0, 14), seg(14, 46)}) }, with(write, with(bridged, steps{cost.CopyIn: moved(1, 60)}))},
		"write, too short":   {nil, func(t *syscall.Task) { t.Write(0, 0, 13) }, write},
		"write, too long":    {nil, func(t *syscall.Task) { t.Write(0, 0, 1<<20) }, write},
		"write, not open":    {nil, func(t *syscall.Task) { t.Write(1, 0, 60) }, bare},
		"write from a bad address": {nil, func(t *syscall.Task) { t.Write(0, memorySize, 60) },
			with(write, steps{cost.TunGetUser: n(1), cost.TunBuildSkb: n(1), cost.CopyIn: n(1), cost.KfreeSkb: n(1)})},
		"poll, ready":          {nil, func(t *syscall.Task) { t.Poll(0, syscall.PollIn, -1) }, with(bare, steps{cost.SysPoll: n(1)})},
		"poll, asking only":    {nil, func(t *syscall.Task) { t.Poll(0, syscall.PollErr, 0) }, with(bare, steps{cost.SysPoll: n(1)})},
		"poll, not open":       {nil, func(t *syscall.Task) { t.Poll(1, syscall.PollIn, 0) }, bare},
		"poll until a timeout": {nil, func(t *syscall.Task) { t.Poll(0, syscall.PollErr, sim.Microsecond) }, with(with(bare, sleep), steps{cost.SysPoll: n(2)})},
		"nanosleep":            {nil, func(t *syscall.Task) { t.Nanosleep(sim.Millisecond) }, with(bare, sleep)},
		"nanosleep, no time":   {nil, func(t *syscall.Task) { t.Nanosleep(0) }, bare},
		"open":                 {func(t *syscall.Task) { t.Close(0) }, func(t *syscall.Task) { t.Open("/dev/tap0", nonBlock) }, bare},
		"open, refused":        {nil, func(t *syscall.Task) { t.Open("/dev/tap0", nonBlock) }, bare},
		"close, three waiting": {nil, func(t *syscall.Task) { t.Close(0) }, with(bare, steps{cost.KfreeSkb: n(3)})},
		"close, not open":      {nil, func(t *syscall.Task) { t.Close(1) }, bare},
		"compute":              {nil, func(t *syscall.Task) { t.Compute(3 * sim.Nanosecond) }, steps{cost.GuestRun: {Count: 1, Extra: 3000}}},
		"compute, no time":     {nil, func(t *syscall.Task) { t.Compute(0) }, steps{cost.GuestRun: n(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			var have steps
			alone(t, [][]byte{frame60(), frame100(), frame9014()}, func(task *syscall.Task) {
				if row.before != nil {
					row.before(task)
				}
				before := snapshot(task.Account())
				row.call(task)
				have = since(before, task.Account())
			})
			assert.Equal(t, row.want, have)
		})
	}
}

func frame60() []byte   { return frame(60, 1) }
func frame100() []byte  { return frame(100, 2) }
func frame9014() []byte { return frame(9014, 3) }

// own makes the frame at address 0, one that was read, one from the task's own
// station, which the bridge knows.
func own(t *syscall.Task) {
	m := t.Memory().Bytes(0, 14)
	station := kerneltest.Station(0)
	copy(m[6:], station[:])
}

// Whoever finds the reader asleep pays for waking it; the reader pays for its own
// way back to the CPU.
func TestTheWriterPaysForTheWakeUp(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	var have steps
	start(t, r, func(task *syscall.Task) {
		before := snapshot(task.Account())
		task.Read(0, 0, 100)
		have = since(before, task.Account())
	})
	r.Play(2*sim.Millisecond, frame60())
	require.NoError(t, r.Run())
	assert.Equal(t, steps{
		cost.SysEnter: n(1), cost.TunChrReadIter: n(1), cost.Schedule: n(1), cost.TunRingRecv: n(1),
		cost.TunPutUser: moved(1, 60), cost.ConsumeSkb: n(1), cost.SysExit: n(1),
	}, have)
	assert.EqualValues(t, 1, r.Accounts()[0].Line(cost.SockDefReadable).Count)
	assert.Zero(t, r.Accounts()[1].Line(cost.SockDefReadable).Count)
}

// The saving of a batch is its ways in and out, nothing else.
func TestABatchSavesEntersAndExits(t *testing.T) {
	bill := func(program func(*syscall.Task)) steps {
		var have steps
		alone(t, frames(8, 60), func(task *syscall.Task) {
			before := snapshot(task.Account())
			program(task)
			have = since(before, task.Account())
		})
		return have
	}
	one := bill(func(task *syscall.Task) {
		for range 8 {
			task.Read(0, 0, 100)
		}
	})
	batch := bill(func(task *syscall.Task) {
		msgs := make([]syscall.Message, 8)
		for i := range msgs {
			msgs[i].Segment = seg(0, 100)
		}
		task.ReadBatch(0, msgs)
	})
	assert.Equal(t, one, with(batch, steps{cost.SysEnter: n(7), cost.SysExit: n(7)}))
}
