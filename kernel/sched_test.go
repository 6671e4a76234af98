package kernel_test

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
	"ringside/syscall"
	"ringside/trace"
)

// busy is a program that works for the span d in pieces, with a system call
// between any two.
func busy(d, piece sim.Time) func(*syscall.Task) error {
	return func(t *syscall.Task) error {
		for done := sim.Time(0); done < d; done += piece {
			t.Compute(piece)
			t.Poll(0, syscall.PollOut, 0)
		}
		return nil
	}
}

// Two tasks that want one CPU have it in turn, 3 ms each.
func TestTasksShareACPUBySlices(t *testing.T) {
	type turn struct {
		who string
		at  sim.Time
	}
	var turns []turn
	r := kerneltest.New(t, kerneltest.Config{Taps: 2, Sink: watch{step: func(s trace.Step) {
		if s.Step == cost.Schedule {
			turns = append(turns, turn{s.Note, s.At})
		}
	}}})
	for i := range 2 {
		require.NoError(t, r.Spawn(kernel.Process{
			Name: fmt.Sprint("task", i), Memory: mem.New(64), Inherit: []string{fmt.Sprint("/dev/tap", i)}, Program: busy(9*sim.Millisecond, 100*sim.Microsecond),
		}))
	}
	require.NoError(t, r.Run())
	require.Len(t, turns, 8, "six whole ones, and what the system calls between took")
	for i, turn := range turns {
		assert.Equal(t, fmt.Sprint("task", i%2), turn.who)
		assert.InDelta(t, float64(min(3*i, 18)*int(sim.Millisecond)), float64(turn.at), float64(150*sim.Microsecond))
	}
}

// Slices end in the middle of a computation, too.
func TestASliceEndsAComputation(t *testing.T) {
	var other sim.Time
	r := kerneltest.New(t, kerneltest.Config{Taps: 2})
	start(t, r, 0, func(t *syscall.Task) error {
		t.Compute(100 * sim.Millisecond)
		return nil
	}, "tap0")
	start(t, r, 0, func(t *syscall.Task) error {
		other = t.Now()
		return nil
	}, "tap1")
	require.NoError(t, r.Run())
	assert.InDelta(t, float64(3*sim.Millisecond), float64(other), float64(sim.Microsecond))
}

// A task that is alone on its CPU is not switched away, however long it works.
func TestATaskAloneIsNotSwitched(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	start(t, r, 1, busy(50*sim.Millisecond, 100*sim.Microsecond), "tap0")
	require.NoError(t, r.Run())
	assert.EqualValues(t, 1, counts(r, cost.Schedule))
}

// An interrupt takes the CPU from a task at once, in the middle of a computation,
// and the task has its time later.
func TestAnInterruptPreemptsATask(t *testing.T) {
	for name, program := range map[string]func(*syscall.Task) error{
		"one long computation": func(t *syscall.Task) error {
			t.Compute(10 * sim.Millisecond)
			return nil
		},
		"many short ones": busy(10*sim.Millisecond, 200*sim.Nanosecond),
		"without a system call": func(t *syscall.Task) error {
			for range 10000 {
				t.Compute(sim.Microsecond)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var done, got []sim.Time
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 2})
			start(t, r, 0, func(t *syscall.Task) error {
				err := program(t)
				done = append(done, t.Now())
				return err
			}, "tap0")
			start(t, r, 1, kerneltest.Read(func(t *syscall.Task, _ []byte) { got = append(got, t.Now()) }), "tap1")
			r.Play(3*sim.Millisecond, kerneltest.Frame(kerneltest.Station(1), kerneltest.Remote(0), 60, 0))
			require.NoError(t, r.Run())
			require.Len(t, got, 1)
			assert.Less(t, got[0], 3*sim.Millisecond+3*sim.Microsecond)
			stolen := counts(r, cost.NapiGroReceive)
			require.Positive(t, stolen)
			assert.Greater(t, done[0], 10*sim.Millisecond)
		})
	}
}

// Under a flood that is more than the CPU can take, a task on that CPU still gets
// on, and the flood still moves.
func TestAFloodDoesNotStarveATask(t *testing.T) {
	book, err := cost.Open("linux-xeon")
	require.NoError(t, err)
	var worked, ended sim.Time
	r := kerneltest.New(t, kerneltest.Config{Taps: 1, Book: book, TapQueue: 64})
	start(t, r, 0, func(t *syscall.Task) error {
		for t.Now() < 30*sim.Millisecond {
			t.Compute(10 * sim.Microsecond)
			worked += 10 * sim.Microsecond
			t.Poll(0, syscall.PollOut, 0)
		}
		ended = t.Now()
		return nil
	}, "tap0")
	flood := to(0, 1, 60)[0]
	for range 450_000 { // 30 ms at line rate
		r.Play(0, flood)
	}
	require.NoError(t, r.Run())
	share := float64(worked) / float64(ended)
	t.Logf("the task had %.0f %% of its CPU, %d of %d frames were processed", 100*share, r.SoftnetStats()[0].Processed, r.Balance().In)
	assert.Greater(t, share, 0.4)
	assert.Less(t, share, 0.6)
	assert.Greater(t, r.SoftnetStats()[0].Processed, uint64(20000), "a quarter of what the CPU could do alone")
}

// Two tasks that let each other go first at one and the same time do not do so
// for ever.
func TestTwoTasksAtTheSameTimeDoNotLivelock(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3, Taps: 3})
	for i := range 3 {
		start(t, r, i, func(t *syscall.Task) error {
			t.Close(0)
			fd, _ := t.Open(fmt.Sprint("/dev/tap", i), syscall.ReadWrite|syscall.NonBlock)
			for range 200 { // in step with each other: every CPU is charged the same
				t.Read(fd, 0, 60)
			}
			return nil
		}, fmt.Sprint("tap", i))
	}
	require.NoError(t, r.Run())
	assert.Less(t, r.Engine.Now(), 10*sim.Microsecond)
}

// A program that never waits, a poll-mode driver for instance, does not stop the
// event loop: it comes back at the end of a slice at the latest.
func TestAProgramThatNeverWaitsCanBeStopped(t *testing.T) {
	for name, program := range map[string]func(*syscall.Task) error{
		"polls": func(t *syscall.Task) error {
			t.Close(0)
			fd, _ := t.Open("/dev/tap0", syscall.ReadWrite|syscall.NonBlock)
			for {
				t.Read(fd, 0, 60)
			}
		},
		"asks": func(t *syscall.Task) error {
			for {
				t.Poll(0, syscall.PollOut, 0)
			}
		},
		"computes": func(t *syscall.Task) error {
			for {
				t.Compute(sim.Microsecond)
			}
		},
		"computes nothing": func(t *syscall.Task) error {
			for {
				t.Compute(0)
			}
		},
		"sleeps for no time": func(t *syscall.Task) error {
			for {
				t.Nanosleep(0)
			}
		},
		"reads what is not open": func(t *syscall.Task) error {
			for {
				t.Read(9, 0, 60)
			}
		},
		"opens and closes": func(t *syscall.Task) error {
			for {
				t.Close(0)
				t.Open("/dev/tap0", syscall.ReadWrite)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
			start(t, r, 1, program, "tap0")
			r.Play(10*sim.Millisecond, to(0, 3, 60)...)
			require.NoError(t, r.Engine.RunUntil(20*sim.Millisecond))
			require.NoError(t, r.Check())
			assert.EqualValues(t, 20*sim.Millisecond, r.Engine.Now())
		})
	}
}

func TestSpawnRefuses(t *testing.T) {
	program := func(*syscall.Task) error { return nil }
	for name, row := range map[string]struct {
		p    kernel.Process
		says string
	}{
		"a CPU that is not there": {kernel.Process{CPU: 2, Memory: mem.New(64), Program: program}, "CPU 2"},
		"a negative CPU":          {kernel.Process{CPU: -1, Memory: mem.New(64), Program: program}, "CPU -1"},
		"no program":              {kernel.Process{Memory: mem.New(64)}, "program"},
		"no memory":               {kernel.Process{Program: program}, "memory"},
		"a device that is not there": {kernel.Process{Memory: mem.New(64), Program: program,
			Inherit: []string{"/dev/tap0", "/dev/none"}}, "ENOENT"},
		"a device that is taken": {kernel.Process{Memory: mem.New(64), Program: program,
			Inherit: []string{"/dev/tap0", "/dev/tap0"}}, "EBUSY"},
		"more devices than descriptors": {kernel.Process{Memory: mem.New(64), Program: program, Inherit: func() (all []string) {
			for i := range 17 {
				all = append(all, fmt.Sprint("/dev/tap", 16-i))
			}
			return all
		}()}, "EMFILE"},
	} {
		t.Run(name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 17})
			row.p.Name = "guest"
			err := r.Spawn(row.p)
			require.ErrorContains(t, err, row.says)
			require.ErrorContains(t, err, "guest")
			start(t, r, 1, program, "tap0", "tap16") // nothing is left behind
			require.NoError(t, r.Run())
		})
	}
}

// How a program ends: whatever it does, the run says so or goes on, and nothing
// is lost.
func TestProgramsEnd(t *testing.T) {
	failure := errors.New("no more ideas")
	for name, row := range map[string]struct {
		program func(*syscall.Task) error
		err     string // of the run; "" for none
	}{
		"at once":        {func(*syscall.Task) error { return nil }, ""},
		"never, asleep":  {deaf, ""},
		"never, reading": {sink, ""},
		"with an error":  {func(*syscall.Task) error { return failure }, "no more ideas"},
		"with an error after a frame": {func(t *syscall.Task) error {
			t.Read(0, 0, 60)
			return failure
		}, "no more ideas"},
		"with an errno":  {func(t *syscall.Task) error { return syscall.EIO }, "EIO"},
		"in a panic":     {func(*syscall.Task) error { panic("oh") }, "program panicked: oh"},
		"in a nil write": {func(*syscall.Task) error { var p *int; *p = 1; return nil }, "program panicked"},
		"having closed": {func(t *syscall.Task) error {
			t.Close(0)
			return nil
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
			start(t, r, 1, row.program, "tap0")
			r.Play(0, to(0, 5, 60)...)
			err := r.Run()
			if row.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.err)
				require.ErrorContains(t, err, "guest on cpu1", "it says whose program it was")
			}
			require.NoError(t, r.Check())
		})
	}
}

func TestAnErrorKeepsItsIdentity(t *testing.T) {
	failure := errors.New("mine")
	r := kerneltest.New(t, kerneltest.Config{Taps: 1})
	start(t, r, 0, func(*syscall.Task) error { return failure }, "tap0")
	require.ErrorIs(t, r.Run(), failure)
}
