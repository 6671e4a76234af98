package guest_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/netstack"
	"ringside/sim"
	"ringside/vm/guest"
)

// idleCPU is a CPU without an account, and idleNIC a device without a wire: what is
// measured is the guest alone.
type idleCPU struct{ e *sim.Engine }

func (c idleCPU) Now() sim.Time                              { return c.e.Now() }
func (idleCPU) Charge(cost.Step, uint64)                     {}
func (idleCPU) ChargeBytes(cost.Step, uint64, uint64)        {}
func (idleCPU) Work(sim.Time) sim.Time                       { return 0 }
func (idleCPU) WakeAt(sim.Time)                              {}
func (idleCPU) Fail(err error)                               { panic(err) }
func (idleCPU) NewTimer(string, func()) netstack.Timer       { return idleTimer{} }
func (idleCPU) Features() guest.Features                     { return guest.Features{} }
func (idleCPU) Interrupt(int) bool                           { return false }
func (idleCPU) Transmit(*netstack.Packet) bool               { return true }
func (idleCPU) Send(*netstack.Packet) bool                   { return true }
func (idleCPU) Poll(int, func(*netstack.Packet)) (int, bool) { return 0, false }

type idleTimer struct{}

func (idleTimer) Arm(sim.Time) {}
func (idleTimer) Disarm() bool { return false }

// used is what the process holds: heap and stacks.
func used() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// each is what one of a thousand things takes, and how long the thousand took.
func each(f func() func()) (bytes uint64, took time.Duration) {
	const n = 1000
	before := used()
	closers := make([]func(), n)
	begin := time.Now()
	for i := range closers {
		closers[i] = f()
	}
	took = time.Since(begin)
	bytes = (used() - before) / n
	for _, c := range closers {
		c()
	}
	return bytes, took
}

// bareStack is a stack with an interface, and with a socket that listens if there is to
// be one.
func bareStack(t testing.TB, cpu idleCPU, listens bool) func() {
	s, err := netstack.New(netstack.Config{Name: "bare", Clock: cpu, Chance: func(what string) netstack.Source { return cpu.e.Source(what) }})
	require.NoError(t, err)
	i, err := s.AddInterface(netstack.InterfaceConfig{Name: "eth0", MAC: [6]byte{2, 1}, Link: cpu})
	require.NoError(t, err)
	require.NoError(t, i.AddAddress(prefix("10.0.0.1/24")))
	if listens {
		l, errno := s.Socket("tcp")
		require.NoError(t, errno.Err())
		require.NoError(t, l.Bind(netip.AddrPortFrom(netip.Addr{}, 7)).Err())
		require.NoError(t, l.Listen(4096).Err())
	}
	return s.Close
}

func wholeGuest(t testing.TB, cpu idleCPU, procs ...guest.Process) func() {
	k, err := guest.New(guest.Config{
		Name: "guest", CPU: cpu, Chance: func(what string) netstack.Source { return cpu.e.Source(what) }, Processes: procs,
		Interfaces: []guest.Interface{{NIC: cpu, MAC: [6]byte{2, 1}, Addresses: prefixes("10.0.0.1/24")}},
	})
	require.NoError(t, err)
	for k.Run() {
	}
	return k.Close
}

// The rest of what 1.3 times a bare stack allows is for the device and its rings.
func TestGuestTakesLittleMoreThanItsStack(t *testing.T) {
	cpu := idleCPU{sim.NewEngine(1)}
	for _, row := range []struct {
		name  string
		procs []guest.Process
	}{{"idle", nil}, {"listening", process("echo", echoTCP)}} {
		bare, bareTook := each(func() func() { return bareStack(t, cpu, row.procs != nil) })
		bytes, took := each(func() func() { return wholeGuest(t, cpu, row.procs...) })
		t.Logf("%s: %d bytes, a thousand in %v; bare %d in %v: %.2f times", row.name, bytes, took, bare, bareTook, float64(bytes)/float64(bare))
		require.Less(t, float64(bytes), 1.15*float64(bare), row.name)
	}
}
