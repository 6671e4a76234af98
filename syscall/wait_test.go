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

type polled struct {
	have  syscall.Events
	errno syscall.Errno
}

func poll(have syscall.Events, errno syscall.Errno) polled { return polled{have, errno} }

func TestPollSaysWhatIsReady(t *testing.T) {
	const both = syscall.PollIn | syscall.PollOut
	for name, row := range map[string]struct {
		frames int
		fd     int
		want   syscall.Events
		have   syscall.Events
	}{
		"a frame is there":            {1, 0, syscall.PollIn, syscall.PollIn},
		"no frame is there":           {0, 0, syscall.PollIn, 0},
		"a tap can always be written": {0, 0, syscall.PollOut, syscall.PollOut},
		"one of two":                  {0, 0, both, syscall.PollOut},
		"both":                        {1, 0, both, both},
		"nothing asked":               {1, 0, 0, 0},
		"not open":                    {1, 1, both, syscall.PollNval},
		"no descriptor":               {1, -1, both, syscall.PollNval},
		"not open, nothing asked":     {1, 15, 0, syscall.PollNval},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, frames(row.frames, 60), func(task *syscall.Task) {
				assert.Equal(t, polled{row.have, 0}, poll(task.Poll(row.fd, row.want, 0)))
				assert.Equal(t, polled{row.have, 0}, poll(task.Poll(row.fd, row.want, 5*sim.Microsecond)))
			})
		})
	}
}

// A poll asks once, and once more when it was woken, however the event loop
// happens to stand.
func TestPollAsksOnce(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 2})
	start(t, r, func(task *syscall.Task) {
		before := task.Account().Line(cost.SysPoll).Count
		task.Compute(5 * sim.Microsecond) // ahead of the others
		task.Poll(0, syscall.PollIn, 0)
		assert.EqualValues(t, 1, task.Account().Line(cost.SysPoll).Count-before)
	})
	_, err := r.Start(0, func(task *syscall.Task) error { // others have something to do at that time
		for range 2000 {
			task.Nanosleep(sim.Microsecond)
		}
		return nil
	}, "tap1")
	require.NoError(t, err)
	require.NoError(t, r.Run())
}

func TestPollTimesOutExactly(t *testing.T) {
	const overhead = 100 * sim.Nanosecond // of the call itself, in a book where all costs a nanosecond
	for _, timeout := range []sim.Time{0, sim.Picosecond, sim.Nanosecond, 3*sim.Microsecond + 1, sim.Second} {
		var took sim.Time
		alone(t, nil, func(task *syscall.Task) {
			from := task.Now()
			assert.Equal(t, polled{0, 0}, poll(task.Poll(0, syscall.PollIn, timeout)))
			took = task.Now() - from
		})
		assert.GreaterOrEqual(t, took, timeout)
		assert.Less(t, took, timeout+overhead)
	}
}

func TestPollWithoutTimeoutWaitsForAFrame(t *testing.T) {
	for _, timeout := range []sim.Time{-1, -sim.Never, sim.Never, sim.Never - 1} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
		var have polled
		var at sim.Time
		start(t, r, func(task *syscall.Task) {
			have, at = poll(task.Poll(0, syscall.PollIn, timeout)), task.Now()
		})
		r.Play(sim.Second, frame(60, 1))
		require.NoError(t, r.Run())
		assert.Equal(t, polled{syscall.PollIn, 0}, have)
		assert.Less(t, at, sim.Second+2*sim.Microsecond)
	}
}

func TestPollWakesForAFrameBeforeItsTimeout(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	start(t, r, func(task *syscall.Task) {
		assert.Equal(t, polled{syscall.PollIn, 0}, poll(task.Poll(0, syscall.PollIn, 10*sim.Millisecond)))
		assert.Less(t, task.Now(), 5*sim.Millisecond+2*sim.Microsecond)
		from := task.Now()
		assert.Equal(t, call{60, 0}, got(task.Read(0, 0, 100)))
		assert.Equal(t, polled{0, 0}, poll(task.Poll(0, syscall.PollIn, 10*sim.Millisecond)), "the alarm of the first poll is off")
		assert.GreaterOrEqual(t, task.Now()-from, 10*sim.Millisecond)
	})
	r.Play(5*sim.Millisecond, frame(60, 1))
	require.NoError(t, r.Run())
	assert.Less(t, r.Engine.Now(), 16*sim.Millisecond)
}

// One that waits to write does not wake for a frame.
func TestPollForNothingSleepsThroughFrames(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	start(t, r, func(task *syscall.Task) {
		assert.Equal(t, polled{0, 0}, poll(task.Poll(0, syscall.PollErr, 2*sim.Millisecond)))
		assert.GreaterOrEqual(t, task.Now(), 3*sim.Millisecond)
	})
	r.Play(2*sim.Millisecond, frames(5, 60)...)
	require.NoError(t, r.Run())
	assert.Zero(t, r.Bill().Steps[cost.SockDefReadable].Count)
}

func TestNanosleepSleeps(t *testing.T) {
	for _, d := range []sim.Time{1, sim.Nanosecond, sim.Microsecond + 7, 2 * sim.Second} {
		alone(t, nil, func(task *syscall.Task) {
			from := task.Now()
			assert.Equal(t, syscall.OK, task.Nanosleep(d))
			assert.GreaterOrEqual(t, task.Now()-from, d)
			assert.Less(t, task.Now()-from, d+100*sim.Nanosecond)
		})
	}
}

func TestNanosleepForEverIsForEver(t *testing.T) {
	for _, d := range []sim.Time{sim.Never, sim.Never - 1, sim.Never - sim.Millisecond} {
		r := alone(t, nil, func(task *syscall.Task) {
			task.Nanosleep(d)
			t.Error("woke up")
		})
		assert.Less(t, r.Engine.Now(), sim.Second)
	}
}

// A sleeping task leaves its CPU to others.
func TestNanosleepGivesTheCPUAway(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 2})
	start(t, r, func(task *syscall.Task) { task.Nanosleep(10 * sim.Millisecond) })
	var at sim.Time
	_, err := r.Start(1, func(task *syscall.Task) error {
		task.Nanosleep(2 * sim.Millisecond)
		task.Compute(sim.Millisecond)
		at = task.Now()
		return nil
	}, "tap1")
	require.NoError(t, err)
	require.NoError(t, r.Run())
	assert.Less(t, at, 3*sim.Millisecond+sim.Microsecond)
}

func TestComputeTakesItsTime(t *testing.T) {
	for _, d := range []sim.Time{0, 1, sim.Nanosecond, sim.Millisecond, 3600 * sim.Second} {
		alone(t, nil, func(task *syscall.Task) {
			from, line := task.Now(), task.Account().Line(cost.GuestRun)
			task.Compute(d)
			took := task.Now() - from
			assert.GreaterOrEqual(t, took, d)
			assert.LessOrEqual(t, took, d+2*sim.Nanosecond, "its own price, and rounding up")
			assert.EqualValues(t, 1, task.Account().Line(cost.GuestRun).Count-line.Count)
		})
	}
}

// Nobody can work until the end of time: however long the spans, the clock goes
// forwards and the run ends with a word.
func TestComputeDoesNotWrapTheClock(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	start(t, r, func(task *syscall.Task) {
		task.Compute(-sim.Never)
		for range 1000 {
			from := task.Now()
			task.Compute(sim.Never)
			if !assert.Greater(t, task.Now(), from) {
				return
			}
			task.Nanosleep(0)
		}
	})
	err := r.Run()
	require.ErrorContains(t, err, "end of virtual time")
	assert.Positive(t, r.Engine.Now())
}
