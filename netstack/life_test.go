package netstack

import (
	"io"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"ringside/sim"
	"ringside/syscall"
)

// goroutines counts those that run gVisor.
func goroutines() int {
	buf := make([]byte, 4<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "tcp.(*processor).start(")
}

// none waits until no goroutine of gVisor's is left; one that ends may need a moment.
func none(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return goroutines() == 0 }, 5*time.Second, time.Millisecond)
}

func TestAStackHasOneGoroutineAndNoneAfterClose(t *testing.T) {
	none(t)
	for _, procs := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(procs)
		w := newWorld(t, 1)
		a, b, _, _ := w.two(10 * sim.Microsecond)
		assert.Equal(t, 2, goroutines(), "with %d processors", procs)
		w.transfer(a, b, "10.0.0.2:80", 300_000)
		w.run(sim.Millisecond) // in the middle of it
		a.Close()
		b.Close()
		a.Close()
		none(t)
		runtime.GOMAXPROCS(before)
	}
}

// In every state that a connection can be in, Close ends it and says nothing.
func TestCloseInTheMiddleOfAnythingIsSilent(t *testing.T) {
	for _, after := range []sim.Time{0, 5 * sim.Microsecond, 25 * sim.Microsecond, 45 * sim.Microsecond, 500 * sim.Microsecond, 5 * sim.Millisecond, 10 * sim.Second} {
		w := newWorld(t, 1)
		a, b, pa, pb := w.two(10 * sim.Microsecond)
		for n := range 6 {
			w.transfer(a, b, []string{"10.0.0.2:1", "[fd00::2]:2", "10.0.0.2:3", "[fd00::2]:4", "10.0.0.2:5", "10.0.0.2:6"}[n], 100_000)
		}
		w.open(a, "udp4", "0.0.0.0:53")
		ping := w.open(a, "icmp4", "")
		ping.WriteTo([]byte{8, 0, 0, 0, 0, 0, 0, 0}, netip.MustParseAddrPort("10.0.0.77:0")) // waits for its neighbour
		w.run(after)
		sent := w.sent
		a.Close()
		b.Close()
		assert.Equal(t, sent, w.sent, "after %v", after)
		assert.Zero(t, len(a.timers.heap))
		pa.deliver(arpFor("10.0.0.1"))
		pb.deliver(make([]byte, 60))
		assert.Equal(t, sent, w.sent)
	}
	none(t)
}

// A machine that is connected to itself is closed like any other: its processor is
// not put to sleep once more.
func TestCloseWithAConnectionToItself(t *testing.T) {
	for _, after := range []sim.Time{0, sim.Microsecond, sim.Second} {
		w := newWorld(t, 1)
		s := w.stack("a")
		w.iface(s, 1, 0, "10.0.0.1/24")
		w.transfer(s, s, "10.0.0.1:80", 100_000)
		w.run(after)
		s.Close()
	}
	none(t)
}

func TestAClosedStackRefuses(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	p := w.iface(s, 1, 0, "10.0.0.1/24")
	k := w.open(s, "udp4", "")
	s.Close()
	_, errno := s.Socket("tcp4")
	assert.Equal(t, syscall.ENETDOWN, errno)
	_, errno = k.WriteTo([]byte("x"), netip.MustParseAddrPort("10.0.0.2:1"))
	assert.Equal(t, syscall.EBADF, errno)
	assert.Equal(t, syscall.ENETDOWN, s.SendUDP(netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:1"), 0, 64, true, false, nil))
	_, err := s.AddInterface(InterfaceConfig{Name: "x", MAC: p.i.cfg.MAC, Link: p})
	assert.Error(t, err)
	k.Close()
	s.Poll()
}

func TestTwoStacksMadeAtOnceLeaveTheProcessorsAlone(t *testing.T) {
	for _, procs := range []int{2, 3, 7} {
		before := runtime.GOMAXPROCS(procs)
		var made sync.WaitGroup
		for range 2 {
			made.Go(func() {
				for range 20 {
					eng := sim.NewEngine(1)
					s, err := New(Config{Clock: simClock{eng}, Chance: eng.Source})
					if assert.NoError(t, err) {
						s.Close()
					}
				}
			})
		}
		made.Wait()
		assert.Equal(t, procs, runtime.GOMAXPROCS(0))
		runtime.GOMAXPROCS(before)
	}
	runtime.SetDefaultGOMAXPROCS()
	n := runtime.GOMAXPROCS(0)
	eng := sim.NewEngine(1)
	s, err := New(Config{Clock: simClock{eng}, Chance: eng.Source})
	require.NoError(t, err)
	s.Close()
	assert.Equal(t, n, runtime.GOMAXPROCS(0))
	none(t)
}

// bareStack is gVisor's stack as anybody makes it, with an interface that asks for
// no neighbours.
func bareStack() *stack.Stack {
	s := build(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	s.CreateNIC(1, channel.New(0, 1500, "\x02\x00\x00\x00\x00\x01"))
	s.AddProtocolAddress(1, tcpip.ProtocolAddress{
		Protocol: header.IPv4ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}).WithPrefix(),
	}, stack.AddressProperties{})
	return s
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAStackTakesNoMoreThanABareOne(t *testing.T) {
	const n = 100
	w := newWorld(t, 1)
	ours := make([]*Stack, n)
	before := heap()
	for i := range ours {
		ours[i] = w.stack("m")
		w.iface(ours[i], 1, 0, "10.0.0.1/24")
	}
	took := (heap() - before) / n
	bare := make([]*stack.Stack, n)
	before = heap()
	for i := range bare {
		bare[i] = bareStack()
	}
	reference := (heap() - before) / n
	for _, s := range bare {
		s.Destroy()
	}
	runtime.KeepAlive(ours)
	t.Logf("%d bytes, a bare one %d", took, reference)
	assert.LessOrEqual(t, took, reference)
}

func BenchmarkNew(b *testing.B) {
	eng := sim.NewEngine(1)
	for b.Loop() {
		s, err := New(Config{Clock: simClock{eng}, Chance: eng.Source})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

func TestGVisorPrintsNothing(t *testing.T) {
	eng := sim.NewEngine(1)
	s, err := New(Config{Clock: simClock{eng}, Chance: eng.Source})
	require.NoError(t, err)
	defer s.Close()
	w, ok := log.Log().Emitter.(*log.Writer)
	require.True(t, ok)
	require.Equal(t, io.Discard, w.Next)
}
