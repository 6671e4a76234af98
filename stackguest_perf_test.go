package ringside_test

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/netstack"
	"ringside/sim"
	"ringside/vm/guest"
)

// bareClock is the clock of a stack that stands alone.
type bareClock struct{}

func (bareClock) Now() sim.Time                          { return 0 }
func (bareClock) NewTimer(string, func()) netstack.Timer { return bareTimer{} }

type bareTimer struct{}

func (bareTimer) Arm(sim.Time) {}
func (bareTimer) Disarm() bool { return false }

type bareLink struct{}

func (bareLink) Send(*netstack.Packet) bool { return true }

// waiting is a guest's address and a program that waits for a connection.
func waiting(i int) (netip.Prefix, []guest.Process) {
	a := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 16)
	return a, []guest.Process{{Name: "wait", Main: func(p *guest.Proc) error {
		l, err := p.Listen("tcp4", ":80")
		if err != nil {
			return err
		}
		_, err = l.Accept()
		return err
	}}}
}

// held is how much memory there is more after f than before.
func held(f func()) int64 {
	size := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := size()
	f()
	return size() - before
}

func TestAThousandGuestsStartAndAreSmall(t *testing.T) {
	const guests = 1000
	var stacks []*netstack.Stack
	bare := held(func() {
		for i := range guests {
			s, err := netstack.New(netstack.Config{Clock: bareClock{}, Chance: func(what string) netstack.Source { return rand.NewChaCha8([32]byte{}) }})
			require.NoError(t, err)
			in, err := s.AddInterface(netstack.InterfaceConfig{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Link: bareLink{}})
			require.NoError(t, err)
			a, _ := waiting(i)
			require.NoError(t, in.AddAddress(a))
			l, errno := s.Socket("tcp4")
			require.Zero(t, errno)
			require.Zero(t, l.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), 80)))
			require.Zero(t, l.Listen(128))
			stacks = append(stacks, s)
		}
	})
	for _, s := range stacks {
		s.Close()
	}
	stacks = nil
	vms := make([]ringside.VM, guests)
	for i := range vms {
		a, p := waiting(i)
		vms[i] = ringside.VM{Addresses: []netip.Prefix{a}, Processes: p}
	}
	var took time.Duration
	host := func(vms []ringside.VM) (h *ringside.Host) {
		began, cpu := time.Now(), cpuTime()
		h, err := ringside.New(ringside.Config{VMs: vms, CPUs: 9})
		require.NoError(t, err)
		require.NoError(t, h.Run())
		took = time.Since(began)
		if c := cpuTime() - cpu; c > 0 { // a busy machine takes none of that
			took = min(took, c)
		}
		return h
	}
	var h, empty *ringside.Host
	alone := held(func() { empty = host(nil) })
	whole := held(func() { h = host(vms) }) - alone
	t.Logf("%d guests run to their first wait in %v; each takes %d bytes, and a bare stack %d: %.2f times that",
		guests, took, whole/guests, bare/guests, float64(whole)/float64(bare))
	h.Close()
	empty.Close()
	runtime.KeepAlive(vms)
	require.Less(t, float64(whole), 1.3*float64(bare))
	if timed() {
		require.Less(t, took, 500*time.Millisecond)
	}
}
