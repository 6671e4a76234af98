package raw_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm"
	"ringside/vm/raw"
)

// A machine is a CPU and a device in one, and a list of what the kernel did to them.
type machine struct {
	now     sim.Time
	wake    sim.Time
	failed  error
	came    [][]byte // for the guest
	room    int      // for frames of the guest
	sent    [][]byte
	flushes int
	polls   int
	stopped bool
	took    []uint64
	steps   map[cost.Step]uint64
	cut     bool // Work is cut in half
}

func (m *machine) Now() sim.Time                { return m.now }
func (m *machine) Charge(s cost.Step, n uint64) { m.steps[s] += n }
func (m *machine) Work(d sim.Time) sim.Time {
	if m.cut && d > sim.Nanosecond {
		m.now += d / 2
		return d - d/2
	}
	m.now += d
	return 0
}
func (m *machine) WakeAt(at sim.Time) { m.wake = at }
func (m *machine) Took(t virtio.Tag)  { m.took = append(m.took, t.ID) }
func (m *machine) Fail(err error)     { m.failed = err }
func (m *machine) Interrupt(int) bool { return true }
func (m *machine) Receive(budget int, to []raw.Frame) []raw.Frame {
	m.polls++
	for ; budget > 0 && len(m.came) > 0; budget-- {
		to = append(to, raw.Frame{Data: m.came[0], Tag: virtio.Tag{ID: uint64(m.came[0][0])}})
		m.came = m.came[1:]
	}
	return to
}
func (m *machine) Complete() bool { return len(m.came) == 0 }
func (m *machine) Transmit(f []byte) bool {
	if m.room == 0 {
		return false
	}
	m.room--
	m.sent = append(m.sent, append([]byte(nil), f...))
	return true
}
func (m *machine) Flush() { m.flushes++ }
func (m *machine) Stop()  { m.stopped = true }

// boot makes a guest and runs it until it halts.
func boot(t *testing.T, m *machine, p vm.Program) *raw.Kernel {
	t.Helper()
	m.steps = map[cost.Step]uint64{}
	k, err := raw.New(raw.Config{CPU: m, NIC: m, Guest: vm.Config{Name: "guest", Program: p, MAC: vm.MAC{2}}})
	require.NoError(t, err)
	t.Cleanup(k.Close)
	halt(k)
	return k
}

func halt(k *raw.Kernel) {
	for k.Run() {
	}
}

func frames(n int) (list [][]byte) {
	for i := range n {
		f := make([]byte, 60)
		f[0], f[6] = byte(i)&^1, 4
		list = append(list, f)
	}
	return list
}

func TestOnePollBringsUpTo64FramesInOrder(t *testing.T) {
	m := &machine{}
	k := boot(t, m, vm.Sink)
	assert.Zero(t, m.polls, "nobody has interrupted")
	m.came = frames(200)
	k.Interrupt(0)
	halt(k)
	assert.Equal(t, 4, m.polls)
	require.Len(t, m.took, 200)
	for i, id := range m.took {
		assert.EqualValues(t, byte(i)&^1, id)
	}
	assert.EqualValues(t, 200, m.steps[cost.GuestRun])
}

func TestAProgramThatFindsNoRoomGoesOnWhenThereIs(t *testing.T) {
	m := &machine{room: 3}
	k := boot(t, m, vm.Reflect)
	m.came = frames(10)
	k.Interrupt(0)
	halt(k)
	assert.Len(t, m.sent, 3)
	assert.NotZero(t, m.flushes, "the device knows of what there is before the program waits")
	for len(m.sent) < 10 {
		m.room = 2
		k.Interrupt(1)
		halt(k)
	}
	assert.Len(t, m.took, 10, "each frame once")
}

func TestSleepHoldsThePollUpAndEndsInTime(t *testing.T) {
	m := &machine{}
	var woke sim.Time
	k := boot(t, m, func(g *vm.Guest) error {
		g.Sleep(sim.Millisecond)
		woke = m.now
		return vm.Sink(g)
	})
	require.Equal(t, sim.Millisecond, m.wake)
	m.came = frames(1)
	k.Interrupt(0)
	halt(k)
	assert.Zero(t, m.polls)
	m.now = m.wake
	k.Timer()
	halt(k)
	assert.Equal(t, sim.Millisecond, woke)
	assert.Len(t, m.took, 1)
}

func TestWorkThatIsCutIsDoneInTheEnd(t *testing.T) {
	m := &machine{cut: true}
	k := boot(t, m, vm.Slow(sim.Microsecond))
	m.came = frames(3)
	k.Interrupt(0)
	halt(k)
	assert.Equal(t, 3*sim.Microsecond, m.now)
	assert.EqualValues(t, 3, m.steps[cost.GuestRun])
}

func TestSendTakesTheLastFrameAndTheProgramsMemoryOnly(t *testing.T) {
	m := &machine{room: 100}
	var last []byte
	k := boot(t, m, func(g *vm.Guest) error {
		for {
			f, err := g.Receive()
			if err != nil {
				return err
			}
			assert.NoError(t, g.Send(f[:14]))
			assert.NoError(t, g.Send(f[20:60]))
			assert.NoError(t, g.Send(g.Memory()[100:200]))
			assert.ErrorIs(t, g.Send(make([]byte, 60)), vm.ErrNotMine)
			assert.ErrorIs(t, g.Send(nil), vm.ErrNotMine)
			if last != nil {
				assert.ErrorIs(t, g.Send(last), vm.ErrNotMine)
			}
			last = f
		}
	})
	m.came = frames(2)
	k.Interrupt(0)
	halt(k)
	assert.Len(t, m.sent, 6)
}

func TestAProgramsEndStopsItsDevice(t *testing.T) {
	for name, row := range map[string]struct {
		p    vm.Program
		says string
	}{
		"without an error": {func(*vm.Guest) error { return nil }, ""},
		"with one":         {func(*vm.Guest) error { return errors.New("enough") }, "enough"},
		"by a panic":       {func(*vm.Guest) error { panic("oh") }, "program panicked: oh"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{}
			k := boot(t, m, row.p)
			assert.True(t, m.stopped)
			if row.says == "" {
				assert.NoError(t, m.failed)
			} else {
				assert.EqualError(t, m.failed, row.says)
			}
			k.Interrupt(0)
			halt(k)
			assert.Zero(t, m.polls)
		})
	}
}

func TestCloseUnwindsAProgramWhereverItIs(t *testing.T) {
	for name, p := range map[string]vm.Program{
		"that waits":  vm.Sink,
		"that sleeps": func(g *vm.Guest) error { g.Sleep(sim.Second); return nil },
		"that recovers for ever": func(g *vm.Guest) error {
			for {
				func() {
					defer func() { recover() }()
					g.Receive()
				}()
			}
		},
		"that sends on its way out": func(g *vm.Guest) error {
			defer func() { g.Send(g.Memory()[:60]) }()
			_, err := g.Receive()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{room: 1}
			k := boot(t, m, p)
			k.Close()
			k.Close()
			assert.Empty(t, m.sent, "the machine is off")
			assert.False(t, k.Run())
		})
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	_, err := raw.New(raw.Config{})
	assert.EqualError(t, err, "raw: CPU and NIC are required")
	m := &machine{}
	_, err = raw.New(raw.Config{CPU: m, NIC: m, Guest: vm.Config{Name: "x"}})
	assert.EqualError(t, err, "raw: x has no program")
}
