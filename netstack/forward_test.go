package netstack

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
)

// routed are two machines in two networks and a router between them.
func (w *world) routed(delay sim.Time, change ...func(*InterfaceConfig)) (a, r, b *Stack, ra, rb *port) {
	a, b = w.stack("a"), w.stack("b")
	r = w.stack("router", func(c *Config) { c.Forward = true })
	cfg := func(mac byte) InterfaceConfig {
		c := InterfaceConfig{MAC: [6]byte{2, 0, 0, 0, 0, mac}}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	pa, pb := w.ifaceWith(a, cfg(1), delay, "10.0.0.1/24", "fd00::1/64"), w.ifaceWith(b, cfg(2), delay, "10.0.1.1/24", "fd01::1/64")
	ra, rb = w.ifaceWith(r, cfg(3), delay, "10.0.0.254/24", "fd00::fe/64"), w.ifaceWith(r, cfg(4), delay, "10.0.1.254/24", "fd01::fe/64")
	join(pa, ra)
	join(pb, rb)
	for s, via := range map[*Stack][2]string{a: {"10.0.0.254", "fd00::fe"}, b: {"10.0.1.254", "fd01::fe"}} {
		require.NoError(w.t, s.SetRoutes([]Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr(via[0])},
			{Dst: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr(via[1])},
		}))
	}
	return a, r, b, ra, rb
}

func TestARouterForwards(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		for _, to := range []string{"10.0.1.1:80", "[fd01::1]:80"} {
			w := newWorld(t, 1)
			a, r, b, _, rb := w.routed(10*sim.Microsecond, func(c *InterfaceConfig) {
				if offloads {
					c.TxChecksum, c.RxChecksum, c.GSOMax = true, true, 65535
				}
			})
			rb.keep = true
			x := w.transfer(a, b, to, 300_000)
			w.run(10 * sim.Second)
			x.check()
			assert.NotZero(t, r.Stats().IPForwarded)
			longest := 0
			for n, f := range rb.gone {
				longest = max(longest, len(f))
				for _, s := range finish(t, f, rb.metas[n]) {
					decode(t, s)
				}
			}
			assert.Equal(t, offloads, longest > 1514, "merged packets are passed on whole")
		}
	}
}

// A packet that was merged is cut where the next link does not cut.
func TestARouterCutsForALinkThatDoesNot(t *testing.T) {
	w := newWorld(t, 1)
	a, _, b, _, rb := w.routed(10*sim.Microsecond, func(c *InterfaceConfig) { c.TxChecksum, c.RxChecksum, c.GSOMax = true, true, 65535 })
	rb.i.cfg.GSOMax, rb.i.cfg.TxChecksum, rb.keep = 0, false, true
	x := w.transfer(a, b, "10.0.1.1:80", 300_000)
	w.run(10 * sim.Second)
	x.check()
	for _, f := range rb.gone {
		require.LessOrEqual(t, len(f), 1514)
		decode(t, f)
	}
}

// station puts the neighbour of frames_test.go on both sides of a router, and
// returns what leaves by the far side.
func station(t *testing.T, change ...func(*Config)) (w *world, r *Stack, in, out *port) {
	w = newWorld(t, 1)
	r = w.stack("router", append(change, func(c *Config) { c.Forward = true })...)
	in, out = w.iface(r, 3, 0, "10.0.0.254/24", "fd00::fe/64"), w.iface(r, 4, 0, "10.0.1.254/24", "fd01::fe/64")
	in.keep, out.keep = true, true
	for _, a := range []string{"10.0.1.9", "fd01::9"} {
		out.i.AddNeighbour(netip.MustParseAddr(a), peerMAC)
	}
	for _, a := range []string{"10.0.0.9", "fd00::9"} {
		in.i.AddNeighbour(netip.MustParseAddr(a), peerMAC)
	}
	return w, r, in, out
}

// The trap of sums: what a router passes on has the sums that it came with. gVisor
// would make them anew, and so repair what is broken, and break fragments.
func TestARouterLeavesSumsAlone(t *testing.T) {
	good4 := udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip4("10.0.0.9", "10.0.1.9", 17), 1, 2, "some payload of a datagram")
	good6 := udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip6("fd00::9", "fd01::9", 17), 1, 2, "some payload of a datagram")
	spoiled := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }
	none := bytes.Clone(good4)
	none[40], none[41] = 0, 0
	fragment := func(flags layers.IPv4Flag, offset uint16, proto layers.IPProtocol) []byte {
		ip := ip4("10.0.0.9", "10.0.1.9", proto)
		ip.Flags, ip.FragOffset, ip.Id = flags, offset, 7
		return frameOf(ether([6]byte{2, 0, 0, 0, 0, 3}, layers.EthernetTypeIPv4), ip, payload(strings.Repeat("fragment", 5)))
	}
	for name, f := range map[string][]byte{
		"IPv4":             good4,
		"IPv6":             good6,
		"IPv4, spoiled":    spoiled(good4),
		"IPv6, spoiled":    spoiled(good6),
		"UDP without sum":  none,
		"first fragment":   fragment(layers.IPv4MoreFragments, 0, 17),
		"next fragment":    fragment(layers.IPv4MoreFragments, 5, 6),
		"last fragment":    fragment(0, 10, 17),
		"unknown protocol": fragment(0, 0, 253),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, in, out := station(t)
			in.deliver(f)
			require.Len(t, out.gone, 1)
			got := out.gone[0]
			want := bytes.Clone(f)
			copy(want, peerMAC[:])
			copy(want[6:], []byte{2, 0, 0, 0, 0, 4})
			if f[12] == 8 {
				want[14+8]--
				copy(want[14+10:], got[14+10:14+12]) // the header's own
				assert.EqualValues(t, 0xffff, onesSum(got[14:34]))
			} else {
				want[14+7]--
			}
			assert.Equal(t, want, got)
		})
	}
}

type payload = gopacket.Payload

// What a router does with packets that it does not pass on.
func TestARouterSaysWhyItDoesNot(t *testing.T) {
	us := [6]byte{2, 0, 0, 0, 0, 3}
	ttl := func(n uint8) []byte {
		ip := ip4("10.0.0.9", "10.0.1.9", 17)
		ip.TTL = n
		return udpTo(us, ip, 1, 2, "x")
	}
	long := func(flags layers.IPv4Flag) []byte {
		ip := ip4("10.0.0.9", "10.0.1.9", 17)
		ip.Flags = flags
		return udpTo(us, ip, 1, 2, strings.Repeat("x", 1472))
	}
	for _, row := range []struct {
		name    string
		frame   []byte
		type4   layers.ICMPv4TypeCode // of the answer; 0 none
		passed  int
		dropped string
	}{
		{"time to live", ttl(1), layers.CreateICMPv4TypeCode(11, 0), 0, "IP_TTL"},
		{"no route", udpTo(us, ip4("10.0.0.9", "192.0.2.1", 17), 1, 2, "x"), layers.CreateICMPv4TypeCode(3, 0), 0, "IP_INNOROUTES"},
		{"too long, may not be cut", long(layers.IPv4DontFragment), layers.CreateICMPv4TypeCode(3, 4), 0, "PKT_TOO_BIG"},
		{"too long, may be cut", long(0), 0, 2, ""},
		{"for another station", udpTo([6]byte{2, 0, 0, 0, 0, 99}, ip4("10.0.0.9", "10.0.1.9", 17), 1, 2, "x"), 0, 0, "OTHERHOST"},
		{"from nowhere", udpTo(us, ip4("0.0.0.0", "10.0.1.9", 17), 1, 2, "x"), 0, 0, "IP_INADDRERRORS"},
		{"from our own address", udpTo(us, ip4("10.0.1.254", "10.0.1.9", 17), 1, 2, "x"), 0, 0, "IP_INADDRERRORS"},
		{"passes", udpTo(us, ip4("10.0.0.9", "10.0.1.9", 17), 1, 2, "x"), 0, 1, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, r, in, out := station(t)
			out.i.cfg.MTU = 1400
			in.deliver(row.frame)
			assert.Len(t, out.gone, row.passed)
			if row.type4 == 0 {
				assert.Empty(t, in.gone)
			} else {
				require.Len(t, in.gone, 1)
				icmp := decode(t, in.gone[0]).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
				assert.Equal(t, row.type4, icmp.TypeCode)
			}
			if row.dropped == "" {
				assert.Empty(t, r.Stats().Drops)
			} else {
				assert.Equal(t, []Drop{{row.dropped, 1}}, r.Stats().Drops)
			}
		})
	}
}

// A neighbour that does not answer costs its sender an ICMP error, and a scan of a
// whole network neither a goroutine nor more answers than the rate limit allows.
func TestARouterSaysThatAHostIsUnreachable(t *testing.T) {
	w, _, in, out := station(t)
	in.deliver(udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip4("10.0.0.9", "10.0.1.77", 17), 1, 2, "x"))
	in.deliver(udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip6("fd00::9", "fd01::77", 17), 1, 2, "x"))
	w.run(10 * sim.Second)
	assert.Len(t, out.gone, 2*solicits)
	require.Len(t, in.gone, 2)
	assert.Equal(t, layers.CreateICMPv4TypeCode(3, 1), decode(t, in.gone[0]).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).TypeCode)
	assert.Equal(t, layers.CreateICMPv6TypeCode(1, 3), decode(t, in.gone[1]).Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6).TypeCode)
	in.gone = nil
	for n := range 250 {
		in.deliver(udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip4(fmt.Sprintf("10.0.0.%d", 1+n), fmt.Sprintf("10.0.1.%d", 1+n), 17), 1, 2, "x"))
	}
	w.run(10 * sim.Second)
	assert.NotEmpty(t, in.gone)
	assert.Less(t, len(in.gone), 800)
}

func TestMasquerade(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		w := newWorld(t, 1)
		a, r, b, ra, rb := w.routed(10*sim.Microsecond, func(c *InterfaceConfig) {
			if offloads {
				c.TxChecksum, c.RxChecksum, c.GSOMax = true, true, 65535
			}
		})
		before := goroutines()
		require.NoError(t, r.Masquerade("eth1", netip.MustParsePrefix("10.0.0.0/24")))
		require.NoError(t, b.SetRoutes(nil)) // b could not answer 10.0.0.1
		rb.keep, ra.keep = true, true
		x := w.transfer(a, b, "10.0.1.1:80", 200_000)
		ping := w.open(a, "icmp4", "")
		ping.WriteTo([]byte{8, 0, 0, 0, 0, 0, 0, 5, 'h', 'i'}, netip.MustParseAddrPort("10.0.1.1:0"))
		sink, from := w.open(b, "udp4", "10.0.1.1:7777"), w.open(a, "udp4", "")
		from.WriteTo([]byte("hello"), netip.MustParseAddrPort("10.0.1.1:7777"))
		w.run(10 * sim.Second)
		x.check()
		p := make([]byte, 100)
		n, _, errno := ping.ReadFrom(p)
		assert.Equal(t, syscall.OK, errno)
		assert.Equal(t, "hi", string(p[8:n]))
		n, who, _ := sink.ReadFrom(p)
		assert.Equal(t, "hello", string(p[:n]))
		assert.Equal(t, "10.0.1.254", who.Addr().String())
		_, errno = sink.WriteTo([]byte("back"), who)
		assert.Equal(t, syscall.OK, errno)
		w.run(sim.Second)
		n, _, _ = from.ReadFrom(p)
		assert.Equal(t, "back", string(p[:n]))
		for _, side := range []*port{ra, rb} {
			for n, f := range side.gone {
				for _, s := range finish(t, f, side.metas[n]) {
					if ip, ok := decode(t, s).NetworkLayer().(*layers.IPv4); ok && side == rb {
						assert.NotEqual(t, "10.0.0.1", ip.SrcIP.String())
					}
				}
			}
		}
		assert.Equal(t, before, goroutines(), "connections are forgotten by a timer")
	}
}

// NAT from a seed is the same twice, and a datagram without a sum stays without.
func TestMasqueradeIsAFunction(t *testing.T) {
	run := func() string {
		w, r, in, out := station(t)
		require.NoError(t, r.Masquerade("eth1", netip.MustParsePrefix("10.0.0.0/24")))
		for n := range 60 {
			f := udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip4(fmt.Sprintf("10.0.0.%d", 10+n%7), "10.0.1.9", 17), uint16(500+n%3), 53, "query")
			if n%5 == 0 {
				f[40], f[41] = 0, 0
			}
			in.deliver(f)
			w.run(7 * sim.Second) // longer than the reaper's delay
		}
		require.Len(t, out.gone, 60)
		for n, f := range out.gone {
			require.Equal(t, n%5 == 0, f[40] == 0 && f[41] == 0)
			require.Equal(t, []byte{10, 0, 1, 254}, f[26:30])
			f[38], f[39] = 0, 8 // UDP's length says nothing of DNS
		}
		return w.sum()
	}
	require.Equal(t, run(), run())
}

// What has no ports is not sent under its own address; gVisor would panic for want
// of them.
func TestWhatHasNoPortsIsNotMasqueraded(t *testing.T) {
	us := [6]byte{2, 0, 0, 0, 0, 3}
	fragment := func(offset uint16) []byte {
		ip := ip4("10.0.0.9", "10.0.1.9", 17)
		ip.Flags, ip.FragOffset = layers.IPv4MoreFragments, offset
		return frameOf(ether(us, layers.EthernetTypeIPv4), ip, payload(make([]byte, 64)))
	}
	cut := func(proto layers.IPProtocol, n int) []byte {
		return frameOf(ether(us, layers.EthernetTypeIPv4), ip4("10.0.0.9", "10.0.1.9", proto), payload(make([]byte, n)))
	}
	for name, f := range map[string][]byte{
		"first fragment": fragment(0), "next fragment": fragment(8),
		"half a UDP header": cut(17, 7), "half a TCP header": cut(6, 19), "none": cut(17, 0),
	} {
		_, r, in, out := station(t)
		require.NoError(t, r.Masquerade("eth1", netip.MustParsePrefix("10.0.0.0/24")))
		in.deliver(f)
		assert.Empty(t, out.gone, name)
		assert.Equal(t, []Drop{{"NETFILTER_DROP", 1}}, r.Stats().Drops, name)
	}
}

func TestMasqueradeRefuses(t *testing.T) {
	_, r, _, _ := station(t)
	assert.ErrorContains(t, r.Masquerade("eth7", netip.MustParsePrefix("10.0.0.0/24")), `no interface "eth7"`)
	assert.ErrorContains(t, r.Masquerade("eth1", netip.Prefix{}), "is not a network")
}

// A merged packet whose segments do not fit is refused as they would be.
func TestAMergedPacketMeetsASmallerMTU(t *testing.T) {
	for mtu, passed := range map[int]int{1400: 0, 1500: 1} {
		_, r, in, out := station(t)
		in.i.cfg.RxChecksum, out.i.cfg.GSOMax = true, 65535
		out.i.cfg.MTU = mtu
		ip := ip4("10.0.0.9", "10.0.1.9", layers.IPProtocolTCP)
		ip.Flags = layers.IPv4DontFragment
		tcp := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 1, ACK: true, Window: 100}
		require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
		b := frameOf(ether([6]byte{2, 0, 0, 0, 0, 3}, layers.EthernetTypeIPv4), ip, tcp, payload(make([]byte, 5*1448)))
		m := offload.Meta{NeedsCsum: true, GSO: offload.GSOTCPv4, GSOSize: 1448, HdrLen: 54, CsumStart: 34, CsumOffset: 16, Segs: 5}
		in.i.Deliver(&Packet{Parts: [][]byte{b}, Len: len(b), Meta: m})
		require.Len(t, out.gone, passed)
		if passed == 1 {
			assert.Equal(t, m, out.metas[0])
			continue
		}
		require.Len(t, in.gone, 1)
		icmp := decode(t, in.gone[0]).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		assert.Equal(t, layers.CreateICMPv4TypeCode(3, 4), icmp.TypeCode)
		assert.EqualValues(t, 1400, icmp.Seq, "the next hop's MTU")
		assert.Equal(t, []Drop{{"PKT_TOO_BIG", 1}}, r.Stats().Drops)
	}
}

func TestForwardedPacketsKeepWhatTravelsBesideThem(t *testing.T) {
	_, _, in, out := station(t)
	in.i.cfg.RxChecksum, out.i.cfg.TxChecksum = true, true
	b := udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip4("10.0.0.9", "10.0.1.9", 17), 1, 2, "half done")
	m := offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 6}
	in.i.Deliver(&Packet{Parts: [][]byte{b}, Len: len(b), Meta: m})
	require.Len(t, out.gone, 1)
	assert.Equal(t, m, out.metas[0])
}
