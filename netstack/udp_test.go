package netstack

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/syscall"
)

func TestDatagramsOfEveryLengthArrive(t *testing.T) {
	for _, offload := range []bool{false, true} {
		w := newWorld(t, 1)
		a, b, pa, _ := w.two(sim.Microsecond, func(c *InterfaceConfig) { c.TxChecksum, c.RxChecksum = offload, offload })
		for network, to := range map[string]string{"udp4": "10.0.0.2:7778", "udp6": "[fd00::2]:7778"} {
			from, sink := w.open(a, network, ""), w.open(b, network, to)
			pa.keep = true
			for _, n := range []int{0, 1, 1451, 1452, 1453, 1471, 1472, 1473, 3000, 65507} {
				if network == "udp6" && n > 60000 {
					n = 65527
				}
				p := bytes.Repeat([]byte{byte(n), 1, 2}, n/3+1)[:n]
				pa.gone = nil
				sent, errno := from.WriteTo(p, netip.MustParseAddrPort(to))
				require.Equal(t, syscall.OK, errno)
				require.Equal(t, n, sent)
				w.run(sim.Millisecond)
				got := make([]byte, 70000)
				m, who, errno := sink.ReadFrom(got)
				require.Equal(t, syscall.OK, errno, "%s, %d bytes, offload %v", network, n, offload)
				require.True(t, bytes.Equal(p, got[:m]))
				require.Equal(t, from.Local().Port(), who.Port())
				if !offload {
					for _, f := range pa.gone {
						decode(t, f)
					}
				}
			}
			_, errno := from.WriteTo(make([]byte, 65528), netip.MustParseAddrPort(to))
			require.Equal(t, syscall.EMSGSIZE, errno)
		}
	}
}

func TestADatagramIsCutToTheBuffer(t *testing.T) {
	w := newWorld(t, 1)
	a, b, _, _ := w.two(0)
	from, sink := w.open(a, "udp4", ""), w.open(b, "udp4", "10.0.0.2:7778")
	for _, s := range []string{"longer", "next", ""} {
		from.WriteTo([]byte(s), netip.MustParseAddrPort("10.0.0.2:7778"))
	}
	w.run(sim.Second)
	p := make([]byte, 4)
	n, errno := sink.Peek(p)
	assert.Equal(t, "long", string(p[:n]))
	assert.Equal(t, syscall.OK, errno)
	n, _, _ = sink.ReadFrom(p)
	assert.Equal(t, "long", string(p[:n]))
	n, _, errno = sink.ReadFrom(nil)
	assert.Zero(t, n)
	assert.Equal(t, syscall.OK, errno)
	n, _, errno = sink.ReadFrom(p)
	assert.Zero(t, n, "an empty datagram")
	assert.Equal(t, syscall.OK, errno)
	_, _, errno = sink.ReadFrom(p)
	assert.Equal(t, syscall.EAGAIN, errno)
}

func TestAnUnreachablePortIsRefused(t *testing.T) {
	w := newWorld(t, 1)
	a, _, _, _ := w.two(0)
	for network, to := range map[string]string{"udp4": "10.0.0.2:7778", "udp6": "[fd00::2]:7778"} {
		k := w.open(a, network, "")
		require.Equal(t, syscall.OK, k.Connect(netip.MustParseAddrPort(to)))
		k.Write([]byte("anybody?"))
		w.run(sim.Second)
		assert.NotZero(t, k.Ready()&syscall.PollErr)
		assert.Equal(t, syscall.ECONNREFUSED, k.Err())
	}
}

func TestPingSockets(t *testing.T) {
	w := newWorld(t, 1)
	a, _, _, _ := w.two(0)
	for network, row := range map[string]struct {
		to   string
		kind byte
	}{"icmp4": {"10.0.0.2:0", 8}, "icmp6": {"[fd00::2]:0", 128}} {
		k := w.open(a, network, "")
		_, errno := k.WriteTo([]byte{row.kind, 0, 0, 0, 0, 0, 0, 5, 'h', 'i'}, netip.MustParseAddrPort(row.to))
		require.Equal(t, syscall.OK, errno)
		w.run(sim.Second)
		p := make([]byte, 100)
		n, from, errno := k.ReadFrom(p)
		require.Equal(t, syscall.OK, errno)
		assert.Equal(t, netip.MustParseAddrPort(row.to).Addr(), from.Addr())
		assert.Equal(t, []byte{0, 5, 'h', 'i'}, p[6:n], "sequence number and payload")
	}
}

// A tunnel's datagrams need no socket; what their headers say is the caller's.
func TestSendUDP(t *testing.T) {
	w := newWorld(t, 1)
	a, b, pa, _ := w.two(sim.Microsecond)
	pa.keep = true
	for _, row := range []struct {
		network, from, to string
		sum               bool
	}{
		{"udp4", "10.0.0.1:49152", "10.0.0.2:7777", true},
		{"udp4", "10.0.0.1:49152", "10.0.0.2:7777", false},
		{"udp4", "0.0.0.0:49152", "10.0.0.2:7777", false},
		{"udp6", "[fd00::1]:49152", "[fd00::2]:7777", true},
	} {
		sink := w.open(b, row.network, row.to)
		from, to := netip.MustParseAddrPort(row.from), netip.MustParseAddrPort(row.to)
		pa.gone = nil
		for range 2 { // the first waits for the neighbour
			require.Equal(t, syscall.OK, a.SendUDP(from, to, 0xb8, 77, true, row.sum, [][]byte{[]byte("head"), []byte("er and more")}))
		}
		w.run(sim.Second)
		for range 2 {
			p := make([]byte, 100)
			n, who, errno := sink.ReadFrom(p)
			require.Equal(t, syscall.OK, errno)
			assert.Equal(t, "header and more", string(p[:n]))
			assert.Equal(t, uint16(49152), who.Port())
		}
		sink.Close()
		last := decode(t, pa.gone[len(pa.gone)-1])
		u := last.Layer(layers.LayerTypeUDP).(*layers.UDP)
		assert.Equal(t, row.sum, u.Checksum != 0)
		if ip, ok := last.NetworkLayer().(*layers.IPv4); ok {
			assert.Equal(t, []any{uint8(0xb8), uint8(77), layers.IPv4DontFragment, "10.0.0.1"}, []any{ip.TOS, ip.TTL, ip.Flags, ip.SrcIP.String()})
		} else {
			ip := last.NetworkLayer().(*layers.IPv6)
			assert.Equal(t, []any{uint8(0xb8), uint8(77)}, []any{ip.TrafficClass, ip.HopLimit})
		}
	}
	assert.Len(t, a.tunnel.routes, 3)
}

func TestSendUDPSaysWhyItDoesNot(t *testing.T) {
	w := newWorld(t, 1)
	a, _, _, _ := w.two(0)
	from, to := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:7777")
	for n, want := range map[int]syscall.Errno{1472: syscall.OK, 1473: syscall.EMSGSIZE, 65508: syscall.EMSGSIZE} {
		assert.Equal(t, want, a.SendUDP(from, to, 0, 64, true, false, [][]byte{make([]byte, n)}), "%d bytes", n)
	}
	assert.Equal(t, syscall.ENETUNREACH, a.SendUDP(from, netip.MustParseAddrPort("192.0.2.1:1"), 0, 64, true, false, nil))
	assert.Equal(t, syscall.EDESTADDRREQ, a.SendUDP(from, netip.AddrPort{}, 0, 64, true, false, nil))
	assert.NotEqual(t, syscall.OK, a.SendUDP(netip.MustParseAddrPort("10.9.9.9:1"), to, 0, 64, true, false, nil), "an address of somebody else")
	assert.NotEqual(t, syscall.OK, a.SendUDP(netip.MustParseAddrPort("[fd00::1]:1"), to, 0, 64, true, false, nil), "of the other family")
}

// Without Don't Fragment a datagram leaves in pieces, with a sum over all of it.
func TestSendUDPInFragments(t *testing.T) {
	w := newWorld(t, 1)
	a, b, pa, _ := w.two(0)
	pa.keep = true
	sink := w.open(b, "udp4", "10.0.0.2:7777")
	long := strings.Repeat("abcdefg", 500)
	for _, sum := range []bool{true, false} {
		pa.gone = nil
		require.Equal(t, syscall.OK, a.SendUDP(netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:7777"), 0, 64, false, sum, [][]byte{[]byte(long)}))
		w.run(sim.Second)
		p := make([]byte, 5000)
		n, _, errno := sink.ReadFrom(p)
		require.Equal(t, syscall.OK, errno)
		assert.Equal(t, long, string(p[:n]))
		first := pa.gone[len(pa.gone)-3]
		assert.Equal(t, sum, first[14+20+6] != 0 || first[14+20+7] != 0)
	}
}

func TestATunnelFollowsTheRoutes(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	p, q := w.iface(s, 1, 0, "10.0.0.1/24"), w.iface(s, 2, 0, "10.0.1.1/24")
	to := netip.MustParseAddrPort("192.0.2.1:1")
	send := func() syscall.Errno {
		return s.SendUDP(netip.MustParseAddrPort("0.0.0.0:1"), to, 0, 64, true, false, nil)
	}
	assert.Equal(t, syscall.ENETUNREACH, send())
	require.NoError(t, s.SetRoutes([]Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.0.0.2")}}))
	assert.Equal(t, syscall.OK, send())
	assert.Equal(t, []int{1, 0}, []int{p.n, q.n}, "asked for the router")
	require.NoError(t, s.SetRoutes([]Route{{Dst: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.0.1.2")}}))
	assert.Equal(t, syscall.OK, send())
	assert.Equal(t, []int{1, 1}, []int{p.n, q.n})
	require.NoError(t, q.i.RemoveAddress(netip.MustParseAddr("10.0.1.1")))
	assert.Equal(t, syscall.ENETUNREACH, send())
}

// A relay is a link that sends what it gets in a datagram of the same stack, as a
// tunnel does that is a port of a bridge.
type relay struct {
	s        *Stack
	from, to netip.AddrPort
	errno    []syscall.Errno
}

func (r *relay) Send(p *Packet) bool {
	payload := bytes.Join(p.Parts, nil)
	r.errno = append(r.errno, r.s.SendUDP(r.from, r.to, 0, 64, true, false, [][]byte{payload}))
	return true
}

// A link may send by SendUDP while the stack sends by it, whatever it sends: ARP, a
// datagram of a socket's, a segment of the processor's.
func TestALinkMaySendByATunnel(t *testing.T) {
	w := newWorld(t, 1)
	a, b, _, _ := w.two(sim.Microsecond)
	r := &relay{s: a, from: netip.MustParseAddrPort("10.0.0.1:9999"), to: netip.MustParseAddrPort("10.0.0.2:7777")}
	inner, err := a.AddInterface(InterfaceConfig{Name: "inner", MAC: [6]byte{2, 0, 0, 0, 0, 7}, Link: r})
	require.NoError(t, err)
	require.NoError(t, inner.AddAddress(netip.MustParsePrefix("192.168.0.1/24")))
	inner.AddNeighbour(netip.MustParseAddr("192.168.0.2"), peerMAC)
	sink := w.open(b, "udp4", "10.0.0.2:7777")
	w.open(a, "udp4", "").WriteTo([]byte("datagram"), netip.MustParseAddrPort("192.168.0.2:1"))
	w.open(a, "udp4", "").WriteTo([]byte("asks"), netip.MustParseAddrPort("192.168.0.3:1"))
	w.open(a, "tcp4", "").Connect(netip.MustParseAddrPort("192.168.0.2:80"))
	w.run(500 * sim.Millisecond)
	assert.Equal(t, []syscall.Errno{0, 0, 0}, r.errno)
	for _, kind := range []byte{17, 0, 6} {
		p := make([]byte, 2000)
		n, _, errno := sink.ReadFrom(p)
		require.Equal(t, syscall.OK, errno)
		decode(t, p[:n])
		if kind != 0 {
			assert.Equal(t, kind, p[23])
		} else {
			assert.Equal(t, []byte{8, 6}, p[12:14])
		}
	}
}

// The fragments of one datagram have one identification, which is not the next one's,
// and may be cut again [RFC 6864, 4].
func TestFragmentsOfTwoDatagramsCanBeToldApart(t *testing.T) {
	w := newWorld(t, 1)
	a, b, pa, _ := w.two(sim.Microsecond)
	from := w.open(a, "udp4", "")
	w.open(b, "udp4", "10.0.0.2:7778")
	pa.keep = true
	ids := map[uint16]int{}
	for range 3 {
		pa.gone = nil
		_, errno := from.WriteTo(make([]byte, 4000), netip.MustParseAddrPort("10.0.0.2:7778"))
		require.Equal(t, syscall.OK, errno)
		w.run(sim.Millisecond)
		for _, f := range pa.gone {
			ip, ok := decode(t, f).Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			if !ok {
				continue // ARP
			}
			require.Zero(t, ip.Flags&layers.IPv4DontFragment)
			require.NotZero(t, ip.Id)
			ids[ip.Id]++
		}
	}
	require.Len(t, ids, 3)
	for _, n := range ids {
		require.Equal(t, 3, n)
	}
}
