package netstack

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/syscall"
)

// states is the neighbour table as lines.
func states(s *Stack) (lines []string) {
	for _, n := range s.Neighbours() {
		lines = append(lines, fmt.Sprintf("%v %s %d %s", n.Addr, n.Interface, n.MAC[5], n.State))
	}
	return lines
}

// An entry goes through all states that RFC 4861 has, for ARP as for ND.
func TestTheLifeOfANeighbour(t *testing.T) {
	for _, row := range []struct{ network, to, addr string }{{"udp4", "10.0.0.2:9", "10.0.0.2"}, {"udp6", "[fd00::2]:9", "fd00::2"}} {
		w := newWorld(t, 1)
		a, _, pa, pb := w.two(sim.Microsecond)
		for _, addr := range pa.i.Addresses() {
			pb.i.AddNeighbour(addr.Addr(), pa.i.MAC()) // so that only one asks
		}
		k := w.open(a, row.network, "")
		state := func() string {
			for _, n := range a.Neighbours() {
				if n.Addr.String() == row.addr {
					return n.State
				}
			}
			return ""
		}
		say := func() { k.WriteTo([]byte("x"), netip.MustParseAddrPort(row.to)); k.Err() }
		say()
		assert.Equal(t, "INCOMPLETE", state())
		assert.Equal(t, 1, pa.n, "it was asked at once")
		w.run(sim.Millisecond)
		assert.Equal(t, "REACHABLE", state())
		assert.Equal(t, 2, pa.n, "and what waited has left")
		w.run(46 * sim.Second)
		assert.Equal(t, "STALE", state())
		say()
		assert.Equal(t, "DELAY", state())
		n := pa.n
		w.run(4 * sim.Second)
		assert.Equal(t, n, pa.n)
		w.run(1100 * sim.Millisecond)
		assert.Equal(t, n+1, pa.n, "asked, and by its own address")
		assert.Equal(t, "REACHABLE", state())
		pb.lost = func(int, []byte) bool { return true }
		w.run(46 * sim.Second)
		say()
		w.run(6500 * sim.Millisecond)
		assert.Equal(t, "PROBE", state())
		w.run(3 * sim.Second)
		assert.Equal(t, "FAILED", state())
		say()
		assert.Equal(t, "INCOMPLETE", state())
		w.run(sim.Second * 4)
		assert.Equal(t, "FAILED", state())
		pb.lost = nil
		say()
		w.run(sim.Millisecond)
		assert.Equal(t, "REACHABLE", state())
	}
}

func TestASocketHearsThatTheNeighbourDoesNotAnswer(t *testing.T) {
	for _, row := range []struct{ network, to string }{{"tcp4", "10.0.0.77:9"}, {"tcp6", "[fd00::77]:9"}} {
		w := newWorld(t, 1)
		a, _, pa, _ := w.two(0)
		c := w.open(a, row.network, "")
		require.Equal(t, syscall.EINPROGRESS, c.Connect(netip.MustParseAddrPort(row.to)))
		w.run(10 * sim.Second)
		assert.Equal(t, syscall.EHOSTUNREACH, c.Err())
		assert.Equal(t, solicits, pa.n)
		assert.NotZero(t, pa.i.Stats().NeighbourDropped)
	}
}

func TestWhatWaitsForANeighbourIsBounded(t *testing.T) {
	w := newWorld(t, 1)
	a, _, pa, _ := w.two(0)
	k := w.open(a, "udp4", "")
	for range 300 {
		k.WriteTo(make([]byte, 1400), netip.MustParseAddrPort("10.0.0.77:9"))
	}
	const held = maxHeld / 1442
	assert.EqualValues(t, 300-held, pa.i.Stats().NeighbourDropped)
	pa.deliver(arpReplyOf("10.0.0.77"))
	assert.Equal(t, 1+held, pa.n)
}

func arpReplyOf(addr string) []byte {
	return arpFrom(layers.ARPReply, [6]byte{2, 0, 0, 0, 0, 1}, addr, "10.0.0.1")
}

// ARP as arp_process has it: who asks for us is learned, who is not asked for is
// not, who we ask for is believed, and nobody is believed to be us.
func TestARP(t *testing.T) {
	us := [6]byte{2, 0, 0, 0, 0, 1}
	for _, row := range []struct {
		what    string
		frame   []byte
		answers int
		table   []string
	}{
		{"a question for us", arpFor("10.0.0.1"), 1, []string{"10.0.0.9 eth0 9 STALE"}},
		{"a question for somebody else", arpFor("10.0.0.5"), 0, nil},
		{"a question for the address of our other interface", arpFor("10.0.1.1"), 1, []string{"10.0.0.9 eth0 9 STALE"}},
		{"a probe for our address", arpFrom(layers.ARPRequest, allStations, "0.0.0.0", "10.0.0.1"), 1, nil},
		{"an answer that nobody has asked for", arpFrom(layers.ARPReply, us, "10.0.0.9", "10.0.0.1"), 0, nil},
		{"a gratuitous one", arpFrom(layers.ARPReply, allStations, "10.0.0.9", "10.0.0.9"), 0, nil},
		{"somebody with our address", arpFrom(layers.ARPRequest, allStations, "10.0.0.1", "10.0.0.1"), 0, nil},
		{"from all stations of the network", arpFrom(layers.ARPRequest, allStations, "10.0.0.255", "10.0.0.1"), 1, nil},
		{"cut off", arpFor("10.0.0.1")[:14+27], 0, nil},
		{"of another network", append(append(arpFor("10.0.0.1")[:16:16], 0x86, 0xdd), arpFor("10.0.0.1")[18:]...), 0, nil},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t, 1)
			s := w.stack("a")
			p := w.iface(s, 1, 0, "10.0.0.1/24")
			w.iface(s, 2, 0, "10.0.1.1/24")
			p.keep = true
			p.deliver(row.frame)
			require.Len(t, p.gone, row.answers)
			assert.Equal(t, row.table, states(s))
			for _, b := range p.gone {
				arp := decode(t, b).Layer(layers.LayerTypeARP).(*layers.ARP)
				assert.EqualValues(t, layers.ARPReply, arp.Operation)
				assert.Equal(t, peerMAC[:], arp.DstHwAddress)
				assert.Equal(t, peerMAC[:], b[:6])
			}
		})
	}
}

// A second answer within a second does not move an entry (locktime), a later one
// does.
func TestAnEntryMoves(t *testing.T) {
	w := newWorld(t, 1)
	a, _, pa, _ := w.two(0)
	k := w.open(a, "udp4", "")
	k.WriteTo([]byte("x"), netip.MustParseAddrPort("10.0.0.9:9"))
	pa.deliver(arpReplyOf("10.0.0.9"))
	other := arpReplyOf("10.0.0.9")
	other[11], other[14+13] = 8, 8
	pa.deliver(other)
	assert.Equal(t, []string{"10.0.0.9 eth0 9 REACHABLE"}, states(a))
	w.run(2 * sim.Second)
	pa.deliver(other)
	assert.Equal(t, []string{"10.0.0.9 eth0 8 REACHABLE"}, states(a))
	copy(other, allStations[:]) // gratuitous: it may be right
	other[14+13] = 7
	w.run(2 * sim.Second)
	pa.deliver(other)
	assert.Equal(t, []string{"10.0.0.9 eth0 7 STALE"}, states(a))
}

// Rows of RFC 4861, 7.2.5: what an advertisement does to an entry.
func TestAdvertisements(t *testing.T) {
	const R, S, O = naRouter, naSolicited, naOverride
	for _, row := range []struct {
		state string // before
		flags byte
		mac   byte // 0: no option
		want  string
	}{
		{"INCOMPLETE", S | O, 9, "9 REACHABLE"},
		{"INCOMPLETE", O, 9, "9 DELAY"}, // STALE, and what waited is sent,
		{"INCOMPLETE", S | O, 0, "0 INCOMPLETE"},
		{"REACHABLE", S, 9, "9 REACHABLE"},
		{"REACHABLE", 0, 8, "9 STALE"},
		{"REACHABLE", S, 8, "9 STALE"},
		{"REACHABLE", O, 8, "8 STALE"},
		{"REACHABLE", S | O, 8, "8 REACHABLE"},
		{"REACHABLE", O, 9, "9 REACHABLE"},
		{"STALE", 0, 8, "9 STALE"},
		{"STALE", S, 8, "9 STALE"},
		{"STALE", S, 0, "9 REACHABLE"},
		{"STALE", S | R, 9, "9 REACHABLE"},
		{"STALE", O, 8, "8 STALE"},
		{"FAILED", S | O, 9, "0 FAILED"},
		{"", S | O, 9, ""},
	} {
		w := newWorld(t, 1)
		s := w.stack("a")
		p := w.iface(s, 1, 0, "fd00::1/64")
		target := addressOf(netip.MustParseAddr("fd00::9"))
		s.enter()
		switch row.state {
		case "INCOMPLETE", "FAILED":
			n := p.i.newNeighbour(target)
			n.hold(held{frame: make([]byte, 60)})
			if row.state == "FAILED" {
				n.waiting = nil
				n.set(nudFailed, 0)
			}
		case "REACHABLE", "STALE":
			n := p.i.newNeighbour(target)
			n.answered([6]byte{2, 0, 0, 0, 0, 9}, row.state == "REACHABLE")
		}
		p.i.advertised(target, row.flags, [6]byte{2, 0, 0, 0, 0, row.mac}, row.mac != 0, false)
		s.leave()
		got := ""
		for _, n := range s.Neighbours() {
			got = fmt.Sprintf("%d %s", n.MAC[5], n.State)
			assert.Equal(t, row.flags&R != 0, n.Router)
		}
		assert.Equal(t, row.want, got, "%+v", row)
	}
}

// A table that is full gives up what has not changed for longest, but not what was
// set; and however many are asked for, no goroutine of gVisor's gives one up.
func TestTheTableIsBounded(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	p := w.iface(s, 1, 0, "10.0.0.1/16")
	p.i.AddNeighbour(netip.MustParseAddr("10.0.255.1"), [6]byte{2, 0, 0, 0, 0, 5})
	k := w.open(s, "udp4", "")
	for n := range 3000 {
		k.WriteTo([]byte("x"), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(1 + n>>8), byte(n)}), 9))
		k.Err()
	}
	assert.Len(t, p.i.neighbours, maxNeighbours)
	assert.Len(t, p.i.byAddr, maxNeighbours)
	assert.Contains(t, states(s), "10.0.255.1 eth0 5 PERMANENT")
	assert.Equal(t, 3000, p.n)
	assert.EqualValues(t, 3000-maxNeighbours+1, p.i.Stats().NeighbourDropped)
	w.run(10 * sim.Second)
	for _, n := range s.Neighbours() {
		require.Contains(t, []string{"FAILED", "PERMANENT"}, n.State)
	}
}
