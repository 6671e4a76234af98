package kernel_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
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
	"ringside/vm"
)

// A scenario is a small host and what its wire brings, drawn from a seed.
type scenario struct {
	config kerneltest.Config
	guests []string // what each runs
	works  []sim.Time
	cpus   []int
	frames [][]byte
	at     []sim.Time
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// draw makes the scenario of a seed.
func draw(seed uint64) *scenario {
	r := rand.New(rand.NewPCG(seed, 7))
	s := &scenario{}
	c := &s.config
	c.Seed = seed
	c.CPUs, c.Taps, c.TapQueue = 1+r.IntN(4), 1+r.IntN(4), 1+r.IntN(16)
	c.NIC = kernel.NICConfig{
		Queues: 1 + r.IntN(4), Ring: pick(r, 8, 16, 24, 64), DropEn: r.IntN(2) == 0,
		ITR: pick(r, 0, 10*sim.Microsecond, 50*sim.Microsecond), FirstCPU: r.IntN(3),
	}
	c.LinkBPS, c.FIFO = pick[uint64](r, 1e9, 10e9, 100e9), pick(r, 10<<10, 16<<10, 64<<10)
	c.RAM = 16 << 20
	if r.IntN(2) == 0 {
		c.Book, _ = cost.Open("linux-xeon")
	}
	if r.IntN(2) == 0 {
		c.Host.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
	}
	reflects := false
	for range c.Taps {
		kind := pick(r, "sink", "slow", "echo", "batch", "reflect", "deaf")
		reflects = reflects || kind == "reflect"
		s.guests = append(s.guests, kind)
		s.works = append(s.works, sim.Time(r.IntN(20))*sim.Microsecond)
		s.cpus = append(s.cpus, r.IntN(c.CPUs))
	}
	var at sim.Time
	for i := range 1 + r.IntN(300) {
		if r.IntN(3) == 0 { // else in a burst
			at += sim.Time(r.IntN(30000)) * sim.Nanosecond
		}
		src := kerneltest.Remote(r.IntN(4))
		if !reflects && r.IntN(20) == 0 {
			src = kerneltest.Station(r.IntN(5)) // a guest's address from the wire; two reflectors would play for ever
		}
		dst := pick(r, kerneltest.Station(r.IntN(c.Taps)), kerneltest.Station(r.IntN(c.Taps)), kerneltest.Station(r.IntN(c.Taps)),
			kerneltest.HostMAC, everybody, kerneltest.Remote(r.IntN(4)), bridge.MAC{2, 9, 9, 9, 9, byte(r.IntN(3))}, bridge.MAC{1, 0x80, 0xc2, 0, 0, byte(r.IntN(4))})
		size := pick(r, 60, 60, 64, 1514, 9014, 43+r.IntN(200))
		f := kerneltest.UDP(dst, src, uint16(r.IntN(8)), size, byte(i))
		switch r.IntN(12) {
		case 0:
			f = kerneltest.Frame(dst, src, size, byte(i))
		case 1:
			f = kerneltest.Frame(dst, src, 14, byte(i))
		case 2:
			f = f[:r.IntN(14)] // a runt
		}
		s.frames, s.at = append(s.frames, f), append(s.at, at)
	}
	return s
}

// run plays the scenario to its rest.
func (s *scenario) run(t testing.TB, sink *kerneltest.Fates) *kerneltest.Rig {
	t.Helper()
	c := s.config
	if sink != nil {
		c.Sink = sink
	}
	r := kerneltest.New(t, c)
	for i, kind := range s.guests {
		g := vm.Config{Name: fmt.Sprint(kind, i), MAC: kerneltest.Station(i), Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)})}
		switch kind {
		case "sink":
			g.Program = vm.Sink
		case "slow":
			g.Program = vm.Slow(s.works[i])
		case "echo":
			g.Program = vm.Echo
		case "reflect":
			g.Program = vm.Reflect
		case "batch":
			g.Program, g.Batch = vm.Slow(s.works[i]), 5
		}
		program := g.Main
		if kind == "deaf" {
			program = deaf
		}
		require.NoError(t, r.Spawn(kernel.Process{
			Name: g.Name, ID: int32(i), CPU: s.cpus[i], Memory: mem.New(g.MemorySize()),
			Inherit: []string{fmt.Sprint("/dev/tap", i)}, Program: program,
		}))
	}
	for i, f := range s.frames {
		r.Play(s.at[i], f)
	}
	require.NoError(t, r.Run())
	return r
}

// For random small hosts and whatever comes in: every frame has one fate for
// every copy of it, guests get the bytes that were sent and each flow in order,
// and a run that is watched is the run that is not.
func TestEveryFrameHasItsFate(t *testing.T) {
	n := uint64(150)
	if testing.Short() {
		n = 30
	}
	var total kerneltest.Balance
	for seed := range n {
		s := draw(seed)
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			b := s.check(t)
			total.In += b.In
			total.ToVMs += b.ToVMs
			total.ToHost += b.ToHost
			total.Sent += b.Sent
			total.Dropped += b.Dropped
			total.InFlight += b.InFlight
		}) {
			t.Logf("%+v", s)
			return
		}
	}
	t.Logf("%+v", total)
}

func (s *scenario) check(t *testing.T) kerneltest.Balance {
	fates := &kerneltest.Fates{All: true}
	r := s.run(t, fates)
	b := r.Balance()
	require.EqualValues(t, len(s.frames), b.In)
	require.Empty(t, fates.Early)

	ends := uint64(0)
	for _, f := range fates.Frames {
		ends += uint64(f.Ends())
	}
	require.Equal(t, b.ToVMs+b.ToHost+b.Sent+b.Dropped, ends, "sights and counters agree")
	resting := int(b.InFlight) // on the taps of the deaf
	for i, frame := range s.frames {
		f := fates.Of(uint64(i + 1))
		missing := s.copies(frame, f) - f.Ends()
		require.True(t, missing == 0 || missing > 0 && resting > 0, "frame %d, %x, of %d copies: %v", i+1, frame[:min(14, len(frame))], s.copies(frame, f), f)
		if missing > 0 && [5]byte(frame[:5]) == [5]byte{2, 0, 0, 0, 1} {
			require.Equal(t, "deaf", s.guests[frame[5]], "frame %d: %v", i+1, f)
		}
		for vm, times := range f.VMs {
			require.Equal(t, 1, times, "frame %d at vm%d", i+1, vm)
		}
	}

	type way struct{ vm, queue int32 }
	last := map[way]uint64{}
	for _, a := range fates.Order {
		if a.Queue < 0 { // from another guest
			continue
		}
		w := way{a.VM, a.Queue}
		require.Less(t, last[w], a.ID, "order at vm%d from queue %d", a.VM, a.Queue)
		last[w] = a.ID
		require.Equal(t, s.frames[a.ID-1], a.Data)
	}

	alone := s.run(t, nil)
	require.Equal(t, alone.Hash.String(), r.Hash.String(), "the trace with a sink and without")
	require.Equal(t, alone.Bill(), r.Bill(), "the bill with a sink and without")
	require.Equal(t, alone.Drops, r.Drops)
	return b
}

// copies is how many a frame from the wire becomes, where its header tells: one
// for a station that the bridge is sure to know, one for every guest and the host
// for everybody. Of others, what became of them is believed.
func (s *scenario) copies(frame []byte, f *kerneltest.Fate) int {
	died := len(f.Dropped) > 0 && f.Ends() == 1
	switch {
	case len(frame) < 14 || died && f.Dropped["tap/FULL_RING"] == 0:
		return 1
	case [6]byte(frame[:6]) == [6]byte(everybody):
		return len(s.guests) + 1
	case [5]byte(frame[:5]) == [5]byte{2, 0, 0, 0, 1}:
		return 1
	case [6]byte(frame[:6]) == [6]byte(kerneltest.HostMAC):
		return 1
	}
	return max(f.Ends(), 1)
}

// The same seed gives the same bytes: fates, bill and trace, to the last record.
func TestAScenarioRunsTwiceTheSame(t *testing.T) {
	for seed := range uint64(20) {
		s := draw(1000 + seed)
		a, b := s.run(t, nil), s.run(t, nil)
		require.Equal(t, a.Hash.String(), b.Hash.String())
		require.Equal(t, a.Bill(), b.Bill())
		require.Equal(t, a.Balance(), b.Balance())
		require.Equal(t, a.Wire.Sent, b.Wire.Sent)
	}
}

// And between any two events the books are balanced.
func TestScenariosBalanceAtEveryEvent(t *testing.T) {
	for seed := range uint64(25) {
		s := draw(2000 + seed)
		s.frames, s.at = s.frames[:min(len(s.frames), 60)], s.at[:min(len(s.at), 60)]
		c := s.config
		r := kerneltest.New(t, c)
		for i := range c.Taps {
			start(t, r, s.cpus[i], kerneltest.Read(func(t *syscall.Task, _ []byte) { t.Compute(s.works[i]) }), fmt.Sprint("tap", i))
		}
		for i, f := range s.frames {
			r.Play(s.at[i], f)
		}
		checkEveryEvent(t, r)
		assert.Zero(t, r.Balance().InFlight)
	}
}

// Hosts with hardly any memory: rings starve, guests are refused, and still every
// frame has its fate and the run comes to its rest. One queue: several could take
// the last page from each other for good.
func TestScenariosWithLittleMemory(t *testing.T) {
	starved, tried := 0, 0
	for seed := range uint64(300) {
		s := draw(3000 + seed)
		c := &s.config
		for i := range s.guests {
			if s.guests[i] == "deaf" {
				s.guests[i] = "slow"
			}
		}
		blocks := 1 + int(seed)%40
		c.NIC.Queues = 1
		c.RAM = (4*c.NIC.Queues + 2*blocks) * mem.PageSize
		r, err := kerneltest.Boot(*c)
		if err != nil {
			require.ErrorIs(t, err, mem.ErrNoMemory)
			continue
		}
		r.Close()
		r = s.run(t, nil)
		b := r.Balance()
		require.EqualValues(t, len(s.frames), b.In, "seed %d", seed)
		require.Zero(t, b.InFlight, "seed %d", seed)
		tried++
		if counts(r, cost.IgbWatchdogTask) > 0 {
			starved++
		}
	}
	t.Logf("%d hosts, %d starved", tried, starved)
	assert.Positive(t, starved)
}
