package kernel_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/syscall"
)

// noGoroutineLeft runs f and fails if more goroutines are there after it than
// before, when they have had time to end.
func noGoroutineLeft(t *testing.T, f func()) {
	t.Helper()
	before := runtime.NumGoroutine()
	f()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}

// Whatever the programs are at when the machine is switched off, it unwinds them
// all, their deferred calls included.
func TestCloseUnwindsEveryProgram(t *testing.T) {
	unwound := 0
	programs := map[string]func(*syscall.Task) error{
		"never begun":  sink,
		"reading":      sink,
		"asleep":       deaf,
		"polling":      func(t *syscall.Task) error { t.Poll(0, syscall.PollIn, -1); return nil },
		"with a timer": func(t *syscall.Task) error { t.Poll(0, syscall.PollIn, sim.Second); return nil },
		"ended":        func(*syscall.Task) error { return nil },
		"computing":    func(t *syscall.Task) error { t.Compute(sim.Second); return nil },
		"spinning": func(t *syscall.Task) error {
			for {
				t.Poll(0, syscall.PollOut, 0)
			}
		},
		"in deferred calls": func(t *syscall.Task) error {
			defer func() {
				t.Write(0, 0, 60)
				t.Read(0, 0, 60)
				t.Close(0)
			}()
			return sink(t)
		},
		"refusing to die": func(t *syscall.Task) error {
			for range 3 {
				func() {
					defer func() { recover() }()
					sink(t)
				}()
			}
			return nil
		},
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			noGoroutineLeft(t, func() {
				unwound = 0
				r, err := kerneltest.Boot(kerneltest.Config{CPUs: 2, Taps: 1})
				require.NoError(t, err)
				_, err = r.Start(1, func(task *syscall.Task) error {
					defer func() { unwound++ }()
					return program(task)
				}, "tap0")
				require.NoError(t, err)
				r.Play(0, to(0, 3, 60)...)
				if name != "never begun" {
					require.NoError(t, r.Engine.RunUntil(sim.Millisecond))
				}
				r.Close()
				if name != "never begun" {
					assert.Equal(t, 1, unwound)
				}
				r.Close() // again does nothing
				r.Bill()  // a closed host can still report
				assert.NoError(t, r.Check())
			})
		})
	}
}

// A program that recovers from its own end again and again is left where it is,
// and named.
func TestCloseLeavesAProgramThatDoesNotEnd(t *testing.T) {
	r, err := kerneltest.Boot(kerneltest.Config{CPUs: 2, Taps: 1})
	require.NoError(t, err)
	start(t, r, 1, func(t *syscall.Task) error {
		for {
			func() {
				defer func() { recover() }()
				sink(t)
			}()
		}
	}, "tap0")
	r.Play(0, to(0, 3, 60)...)
	require.NoError(t, r.Run())
	before := r.Balance()
	r.Close()
	assert.ErrorContains(t, r.Engine.Err(), "guest on cpu1: program does not end")
	assert.Equal(t, before, r.Balance())
	assert.NoError(t, r.Check())
}

// What a program does on its way out when its machine is off touches nothing.
func TestAProgramOnItsWayOutTouchesNothing(t *testing.T) {
	r, err := kerneltest.Boot(kerneltest.Config{CPUs: 2, Taps: 1})
	require.NoError(t, err)
	start(t, r, 1, func(t *syscall.Task) error {
		defer func() {
			t.Write(0, 0, 60)
			t.Close(0)
			t.Compute(sim.Second)
		}()
		return deaf(t)
	}, "tap0")
	r.Play(0, to(0, 3, 60)...)
	require.NoError(t, r.Run())
	before, bill, hash := r.Balance(), r.Bill(), r.Hash.String()
	r.Close()
	assert.Equal(t, before, r.Balance(), "the three still wait")
	assert.Equal(t, bill, r.Bill())
	assert.Equal(t, hash, r.Hash.String())
}

func TestCloseAfterAFailureLeavesNoGoroutine(t *testing.T) {
	noGoroutineLeft(t, func() {
		r, err := kerneltest.Boot(kerneltest.Config{CPUs: 3, Taps: 3})
		require.NoError(t, err)
		start(t, r, 0, sink, "tap0")
		start(t, r, 1, func(*syscall.Task) error { panic("oh") }, "tap1")
		start(t, r, 2, deaf, "tap2")
		r.Play(0, to(0, 3, 60)...)
		require.Error(t, r.Run())
		r.Close()
	})
}

func TestCloseEndsTheHostStack(t *testing.T) {
	noGoroutineLeft(t, func() {
		for range 5 {
			r, err := kerneltest.Boot(kerneltest.Config{CPUs: 1, Host: kernel.HostStack{
				Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")},
			}})
			require.NoError(t, err)
			r.Play(0, kerneltest.Frame(kerneltest.HostMAC, kerneltest.Remote(0), 60, 0))
			require.NoError(t, r.Run())
			assert.EqualValues(t, 1, r.Flow().ToHost)
			r.Close()
		}
	})
}

func TestBootRefuses(t *testing.T) {
	_, err := kernel.Boot(kernel.Config{})
	require.ErrorContains(t, err, "required")
	for _, cpus := range []int{-1, 1025} {
		_, err := kerneltest.Boot(kerneltest.Config{CPUs: cpus})
		require.ErrorContains(t, err, "CPUs")
	}
	for _, queue := range []int{-1, 1<<20 + 1} {
		_, err := kerneltest.Boot(kerneltest.Config{TapQueue: queue})
		require.ErrorContains(t, err, "tap queue")
	}
	r := kerneltest.New(t, kerneltest.Config{Taps: 1})
	_, err = r.AddTap("tap0", 0)
	require.ErrorContains(t, err, "tap0")
}
