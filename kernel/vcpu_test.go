package kernel_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/virtio"
)

// A workload is a guest that works for some spans, one after the other, and writes down
// what it is told and when.
type workload struct {
	*kernel.VCPU
	work   []sim.Time
	left   sim.Time
	log    []string
	ended  sim.Time
	wake   []sim.Time // one WakeAt each time it has nothing to do
	closed int
}

func (s *workload) say(what string) { s.log = append(s.log, fmt.Sprintf("%v %s", s.Now(), what)) }

func (s *workload) Run() bool {
	if s.left == 0 && len(s.work) > 0 {
		s.left, s.work = s.work[0], s.work[1:]
	}
	if s.left > 0 {
		if s.left = s.Work(s.left); s.left == 0 {
			s.ended = s.Now()
		}
		return true
	}
	if len(s.wake) > 0 {
		s.WakeAt(s.wake[0])
		s.WakeAt(s.wake[0])
		s.wake = s.wake[1:]
	}
	return false
}

func (s *workload) Interrupt(v int) { s.say(fmt.Sprint("interrupt ", v)) }
func (s *workload) Timer()          { s.say("timer") }
func (s *workload) Close()          { s.closed++ }

// guest starts a workload on a CPU.
func guest(t testing.TB, r *kerneltest.Rig, name string, cpu int, s *workload) *workload {
	t.Helper()
	var err error
	s.VCPU, err = r.AddVCPU(kernel.VCPUConfig{Name: name, CPU: cpu})
	require.NoError(t, err)
	require.NoError(t, s.Start(s))
	return s
}

// A guest that has nothing to do costs its entry and its exit.
func TestIdleVCPU(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	s := guest(t, r, "vm", 0, &workload{})
	require.NoError(t, r.Run())
	assert.True(t, s.Halted())
	for step, n := range map[cost.Step]uint64{cost.Schedule: 1, cost.KvmEntry: 1, cost.KvmHalt: 1, cost.KvmTimer: 0, cost.KvmInterrupted: 0, cost.KvmEOI: 0} {
		assert.Equal(t, n, counts(r, step), step)
	}
	assert.ErrorContains(t, s.Start(s), "vm has a guest already")
	r.Close()
	assert.Equal(t, 1, s.closed)
}

// The timer goes off at its time, or at once if that has passed; a later setting replaces
// an earlier one, and setting it to what it is costs no exit.
func TestVCPUTimer(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	s := guest(t, r, "vm", 0, &workload{wake: []sim.Time{5 * sim.Microsecond, 3 * sim.Microsecond, sim.Never}})
	require.NoError(t, r.Run())
	assert.Equal(t, []string{"5.005us timer", "5.006us timer"}, s.log, "a switch, an entry; then an exit to set it")
	assert.EqualValues(t, 2, counts(r, cost.KvmTimer))
}

// Guests that compute share a CPU in slices, as tasks do, and each leaves the guest mode
// for the other; alone, one is left in peace.
func TestVCPUsShareACPU(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	a := guest(t, r, "a", 0, &workload{work: []sim.Time{30 * sim.Millisecond}})
	b := guest(t, r, "b", 0, &workload{work: []sim.Time{30 * sim.Millisecond}})
	require.NoError(t, r.Run())
	assert.InDelta(t, float64(60*sim.Millisecond), float64(max(a.ended, b.ended)), float64(sim.Millisecond))
	assert.Less(t, max(a.ended, b.ended)-min(a.ended, b.ended), 4*sim.Millisecond)
	assert.InDelta(t, 20, counts(r, cost.KvmInterrupted), 3)

	alone := kerneltest.New(t, kerneltest.Config{})
	guest(t, alone, "a", 0, &workload{work: []sim.Time{30 * sim.Millisecond}})
	require.NoError(t, alone.Run())
	assert.Zero(t, counts(alone, cost.KvmInterrupted))
	assert.EqualValues(t, 1, counts(alone, cost.KvmEntry))
}

// A guest that never waits lets the event loop see that the time is over.
func TestAGuestThatNeverWaits(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	g := &endless{}
	var err error
	g.VCPU, err = r.AddVCPU(kernel.VCPUConfig{Name: "vm"})
	require.NoError(t, err)
	require.NoError(t, g.Start(g))
	require.NoError(t, r.Engine.RunUntil(20*sim.Millisecond))
	assert.InDelta(t, int64(20*sim.Millisecond), int64(g.Now()), float64(3*sim.Millisecond))
}

// An endless guest works and works.
type endless struct{ workload }

func (g *endless) Run() bool {
	g.Work(sim.Microsecond)
	return true
}

// A vCPU and a process share a CPU, too.
func TestVCPUAndTaskShareACPU(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	a := guest(t, r, "a", 0, &workload{work: []sim.Time{30 * sim.Millisecond}})
	var ended sim.Time
	require.NoError(t, r.Spawn(kernel.Process{Name: "task", Memory: mem.New(mem.PageSize), Program: func(t *syscall.Task) error {
		t.Compute(30 * sim.Millisecond)
		ended = t.Now()
		return nil
	}}))
	require.NoError(t, r.Run())
	assert.InDelta(t, float64(60*sim.Millisecond), float64(max(a.ended, ended)), float64(sim.Millisecond))
	assert.Less(t, max(a.ended, ended)-min(a.ended, ended), 7*sim.Millisecond)
}

// An interrupt of the host takes the CPU from the guest that computes on it: an exit for
// each, and the guest ends that much later.
func TestHostInterruptsExitTheGuest(t *testing.T) {
	run := func(frames int) (*kerneltest.Rig, *workload) {
		r := kerneltest.New(t, kerneltest.Config{})
		s := guest(t, r, "vm", 0, &workload{work: []sim.Time{10 * sim.Millisecond}})
		for i := range frames {
			r.Play(sim.Time(1+i)*sim.Millisecond, kerneltest.Frame(kerneltest.HostMAC, kerneltest.Remote(0), 60, 1))
		}
		require.NoError(t, r.Run())
		return r, s
	}
	quiet, a := run(0)
	busy, b := run(5)
	assert.Zero(t, counts(quiet, cost.KvmInterrupted))
	assert.EqualValues(t, 5, counts(busy, cost.KvmInterrupted))
	assert.EqualValues(t, 6, counts(busy, cost.KvmEntry))
	assert.Greater(t, b.ended, a.ended)
}

// The frame that a computing guest is sent interrupts it within a microsecond of the
// time at which it is told.
func TestInterruptReachesAComputingGuest(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
	s := guest(t, r, "vm", 2, &workload{work: []sim.Time{10 * sim.Millisecond}})
	dev, err := r.AddVirtio(s.VCPU, kernel.VirtioConfig{At: kernel.Interface{Port: bridge.PortConfig{Name: "vnet0"}}, CPU: 1, Vector: 64})
	require.NoError(t, err)
	var l virtio.Pair
	var at mem.Addr
	l.Rx, at = virtio.Place(0, 4)
	l.Tx, at = virtio.Place(at, 4)
	require.NoError(t, dev.Activate(mem.New(64<<10), virtio.FVersion1, []virtio.Pair{l}))
	for range 4 {
		dev.Ring(0, false).Driver.Add(0, nil, []virtio.Buffer{{Addr: at, Len: 1024}})
	}
	r.Play(sim.Millisecond, kerneltest.Frame(everybody, kerneltest.Remote(0), 60, 1))
	for len(s.log) == 0 && r.Engine.Step() {
	}
	require.Len(t, s.log, 1)
	assert.Regexp(t, `^1\.00[01].*ms interrupt 64$`, s.log[0])
	assert.Zero(t, counts(r, cost.KvmWakeUp), "it is awake")
}

// An error of the guest is the run's, with the guest's name.
func TestVCPUFails(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	s := guest(t, r, "vm7", 0, &workload{})
	s.Fail(errors.New("no more"))
	assert.EqualError(t, r.Run(), "vm7: no more")

	r = kerneltest.New(t, kerneltest.Config{})
	guest(t, r, "vm8", 0, &workload{work: []sim.Time{sim.Never, sim.Never, sim.Never}})
	assert.ErrorContains(t, r.Run(), "vm8: works beyond the end of virtual time")
}
