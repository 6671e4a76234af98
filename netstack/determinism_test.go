package netstack

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"ringside/sim"
)

// lossy runs several connections at once over a wire that loses frames and hands
// them over in batches, and returns the hash of every frame with its time.
func lossy(t testing.TB, seed uint64) string {
	w := newWorld(t, seed)
	a, b, pa, pb := w.two(10 * sim.Microsecond)
	r := w.eng.Rand("loss")
	for _, p := range []*port{pa, pb} {
		p.batch = 20 * sim.Microsecond
		p.lost = func(int, []byte) bool { return r.IntN(60) == 0 }
	}
	var all []*transfer
	for n := range 8 {
		from, to, addr := a, b, "10.0.0.2"
		if n%2 == 1 {
			from, to, addr = b, a, "[fd00::1]"
		}
		all = append(all, w.transfer(from, to, fmt.Sprintf("%s:%d", addr, 80+n), 100_000+n))
	}
	w.run(60 * sim.Second)
	for _, x := range all {
		x.check()
	}
	require.NotZero(t, a.Stats().TCPRetransmits+b.Stats().TCPRetransmits)
	return w.sum()
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	want := lossy(t, 1)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		for range 2 {
			require.Equal(t, want, lossy(t, 1), "with %d processors", procs)
		}
	}
	require.NotEqual(t, want, lossy(t, 2), "another seed")
}

func TestTheSameBytesInABusyProcess(t *testing.T) {
	want := lossy(t, 3)
	stop := make(chan struct{})
	var spinning sync.WaitGroup
	for range 3 {
		spinning.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
					runtime.Gosched()
				}
			}
		})
	}
	for range 4 {
		assert.Equal(t, want, lossy(t, 3))
	}
	close(stop)
	spinning.Wait()
}

// Many stacks, built in the order of the machines' numbers or the other way round,
// say the same: chance goes by name.
func TestChanceGoesByNameAndNotByTheOrderOfBuilding(t *testing.T) {
	ports := func(names []string) map[string]uint16 {
		w := newWorld(t, 7)
		got := map[string]uint16{}
		for _, name := range names {
			s := w.stack(name)
			w.iface(s, 1, 0, "10.0.0.1/24")
			k := w.open(s, "udp4", "10.0.0.1:0")
			got[name] = k.Local().Port()
		}
		return got
	}
	names := []string{"a", "b", "c", "d"}
	forth := ports(names)
	slices.Reverse(names)
	require.Equal(t, forth, ports(names))
	require.NotEqual(t, forth["a"], forth["b"])
}

// The trap of RACK: where a round trip takes next to no time it retransmits what
// was acknowledged. It is off, and without loss nothing is retransmitted here.
func TestNothingIsRetransmittedWhereNothingIsLost(t *testing.T) {
	send := func(delay, space sim.Time, rack bool) uint64 {
		w := newWorld(t, 1)
		a, b, pa, pb := w.two(delay)
		pa.space, pb.space = space, space
		if rack {
			on := tcpip.TCPRACKLossDetection
			require.Nil(t, a.gv.SetTransportProtocolOption(tcp.ProtocolNumber, &on))
		}
		x := w.transfer(a, b, "10.0.0.2:80", 1_000_000)
		w.run(20 * sim.Second)
		x.check()
		return a.Stats().TCPRetransmits
	}
	for _, delay := range []sim.Time{0, sim.Microsecond, sim.Millisecond} {
		for _, space := range []sim.Time{0, 100 * sim.Nanosecond, 1200 * sim.Nanosecond} {
			assert.Zero(t, send(delay, space, false), "delay %v, a frame every %v", delay, space)
		}
	}
	assert.NotZero(t, send(0, 100*sim.Nanosecond, true), "with RACK: if it is right now, it can be on")
}

// Virtual throughput is what the wire's arithmetic says: a stream takes as long as
// its frames take on the wire, and the round trip of the handshake and of slow start.
func TestABusyWireSetsThePace(t *testing.T) {
	for _, space := range []sim.Time{300 * sim.Nanosecond, 1200 * sim.Nanosecond} {
		w := newWorld(t, 1)
		a, b, pa, pb := w.two(sim.Microsecond)
		pa.space, pb.space = space, space
		x := w.transfer(a, b, "10.0.0.2:80", 2_000_000)
		w.run(sim.Second)
		x.check()
		floor := sim.Time(pa.n-3) * space // but ARP and what follows the last byte
		took := x.done - x.started
		assert.GreaterOrEqual(t, took, floor)
		assert.Less(t, took, floor*102/100+20*sim.Microsecond)
	}
}

// What gVisor would do in the order of a Go map, it is not to do at all.
func TestNoGroupIsReportedAndNoAddressIsTried(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	p := w.iface(s, 1, 0, "10.0.0.1/24", "10.0.1.1/24", "fd00::1/64", "fd00:1::1/64", "fd00:2::2/64")
	w.run(100 * sim.Second)
	require.Zero(t, p.n)
	require.NoError(t, p.i.RemoveAddress(p.i.Addresses()[3].Addr()))
	w.run(100 * sim.Second)
	require.Zero(t, p.n)
}
