package ringside_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/netstack"
	"ringside/sim"
	"ringside/wire"
)

// The stations on both sides of a host that routes.
var near, far = net.HardwareAddr{2, 0, 0, 0, 1, 1}, net.HardwareAddr{2, 0, 0, 0, 2, 2}

func packet(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...))
	f := bytes.Clone(b.Bytes())
	for len(f) < 60 {
		f = append(f, 0)
	}
	return f
}

// whoHas is an ARP question of a station's.
func whoHas(t testing.TB, mac net.HardwareAddr, from, target string) []byte {
	s, d := netip.MustParseAddr(from).As4(), netip.MustParseAddr(target).As4()
	return packet(t, &layers.Ethernet{SrcMAC: mac, DstMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPRequest, SourceHwAddress: mac, SourceProtAddress: s[:], DstHwAddress: make([]byte, 6), DstProtAddress: d[:]})
}

// datagram is a UDP packet of a station's to the host's address there.
func datagram(t testing.TB, mac net.HardwareAddr, to bridge.MAC, from, target string, ports [2]layers.UDPPort, payload string) []byte {
	s, d := netip.MustParseAddr(from).As4(), netip.MustParseAddr(target).As4()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: s[:], DstIP: d[:]}
	udp := &layers.UDP{SrcPort: ports[0], DstPort: ports[1]}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	return packet(t, &layers.Ethernet{SrcMAC: mac, DstMAC: to[:], EthernetType: layers.EthernetTypeIPv4}, ip, udp, gopacket.Payload(payload))
}

var (
	nearMAC = bridge.MAC{2, 0, 0, 0, 0, 0xfe} // of the host on br0
	farMAC  = bridge.MAC{2, 0, 0, 0, 9, 0xfe} // and on the other side
)

// router is a host with a bridge on one side and, on the other, a second bridge or a
// NIC that is a port of none.
func router(alone bool, a, b *line) ringside.Config {
	c := ringside.Config{
		Forward: true,
		Host:    ringside.HostStack{MAC: nearMAC, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.254/24")}},
		NICs:    []ringside.NIC{{Wire: a}, {Wire: b, Bridge: "br1"}},
		Bridges: make([]ringside.Bridge, 1, 2),
	}
	side := ringside.HostStack{MAC: farMAC, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.254/24")}}
	if alone {
		c.NICs[1].Bridge, c.NICs[1].Host = ringside.NoBridge, side
	} else {
		c.Bridges = append(c.Bridges, ringside.Bridge{Host: side})
	}
	return c
}

// routed runs a machine for a second.
func routed(t *testing.T, c ringside.Config) *ringside.Host {
	t.Helper()
	h, err := ringside.New(c)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	require.NoError(t, h.RunUntil(sim.Second))
	require.NoError(t, h.Check())
	return h
}

// udpOf is the one UDP packet among frames.
func udpOf(t testing.TB, frames [][]byte) (eth *layers.Ethernet, ip *layers.IPv4, udp *layers.UDP) {
	t.Helper()
	for _, f := range frames {
		p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
		if u, ok := p.TransportLayer().(*layers.UDP); ok {
			require.Nil(t, udp, "a second one")
			eth, ip, udp = p.LinkLayer().(*layers.Ethernet), p.NetworkLayer().(*layers.IPv4), u
		}
	}
	require.NotNil(t, udp)
	return eth, ip, udp
}

func TestTheHostRoutesBetweenItsInterfaces(t *testing.T) {
	for _, alone := range []bool{false, true} {
		a, b := &line{}, &line{}
		a.play(0, whoHas(t, near, "10.0.0.1", "10.0.0.254"),
			datagram(t, near, nearMAC, "10.0.0.1", "10.1.0.2", [2]layers.UDPPort{1111, 2222}, "question"))
		b.play(10*sim.Microsecond, whoHas(t, far, "10.1.0.2", "10.1.0.254"),
			datagram(t, far, farMAC, "10.1.0.2", "10.0.0.1", [2]layers.UDPPort{2222, 1111}, "answer"))
		for i := range b.frames {
			b.frames[i].ID += 100
		}
		h := routed(t, router(alone, a, b))
		eth, ip, udp := udpOf(t, b.sent)
		assert.Equal(t, []string{farMAC.String(), far.String()}, []string{eth.SrcMAC.String(), eth.DstMAC.String()})
		assert.EqualValues(t, 63, ip.TTL)
		assert.Equal(t, "question", string(udp.Payload))
		_, ip, udp = udpOf(t, a.sent)
		assert.EqualValues(t, 63, ip.TTL)
		assert.Equal(t, "answer", string(udp.Payload))

		r := h.Report()
		assert.True(t, r.Conservation.Balanced)
		assert.EqualValues(t, 2, r.Stack.IPForwarded)
		forwarded := uint64(0)
		for _, account := range h.Kernel.Accounts() {
			forwarded += account.Count(cost.IPForward)
		}
		assert.EqualValues(t, 2, forwarded, "charged where it is done")
		assert.Len(t, r.Neighbours, 2)
		assert.Equal(t, "10.0.0.1", r.Neighbours[0].Addr)
		assert.Equal(t, near.String(), r.Neighbours[0].MAC)
	}
}

func TestAHostThatDoesNotForwardDoesNot(t *testing.T) {
	a, b := &line{}, &line{}
	a.play(0, datagram(t, near, nearMAC, "10.0.0.1", "10.1.0.2", [2]layers.UDPPort{1111, 2222}, "question"))
	c := router(false, a, b)
	c.Forward = false
	h := routed(t, c)
	assert.Empty(t, b.sent)
	assert.EqualValues(t, 1, h.Report().Stack.Dropped["IP_INADDRERRORS"])
}

func TestTheHostMasquerades(t *testing.T) {
	a, b := &line{}, &line{}
	a.play(0, whoHas(t, near, "10.0.0.1", "10.0.0.254"),
		datagram(t, near, nearMAC, "10.0.0.1", "10.1.0.2", [2]layers.UDPPort{1111, 2222}, "question"))
	b.play(0, whoHas(t, far, "10.1.0.2", "10.1.0.254"))
	b.play(100*sim.Microsecond, datagram(t, far, farMAC, "10.1.0.2", "10.1.0.254", [2]layers.UDPPort{2222, 1111}, "answer"))
	for i := range b.frames {
		b.frames[i].ID += 100
	}
	c := router(true, a, b)
	c.NAT = []ringside.Masquerade{{Out: "eth1", From: netip.MustParsePrefix("10.0.0.0/24")}}
	routed(t, c)
	_, ip, udp := udpOf(t, b.sent)
	assert.Equal(t, "10.1.0.254", ip.SrcIP.String())
	assert.EqualValues(t, 1111, udp.SrcPort)
	_, ip, udp = udpOf(t, a.sent)
	assert.Equal(t, []string{"10.1.0.2", "10.0.0.1"}, []string{ip.SrcIP.String(), ip.DstIP.String()})
	assert.Equal(t, "answer", string(udp.Payload))
}

func TestRoutesThatCannotBeAreRefusedAtOnce(t *testing.T) {
	for want, change := range map[string]func(*ringside.Config){
		`no interface "eth9"`: func(c *ringside.Config) {
			c.Routes = []netstack.Route{{Dst: netip.MustParsePrefix("192.0.2.0/24"), Interface: "eth9"}}
		},
		`the network of the router`: func(c *ringside.Config) {
			c.Routes = []netstack.Route{{Dst: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.9.0.1")}}
		},
		`no interface "x"`: func(c *ringside.Config) {
			c.NAT = []ringside.Masquerade{{Out: "x", From: netip.MustParsePrefix("10.0.0.0/24")}}
		},
		`the host is to route and has no address`: func(c *ringside.Config) {
			c.Host.Addresses, c.Bridges[1].Host.Addresses = nil, nil
		},
		`10.0.0.254 is an address of br0 already`: func(c *ringside.Config) {
			c.Bridges[1].Host.Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.254/24")}
		},
	} {
		c := router(false, &line{}, &line{})
		change(&c)
		_, err := ringside.New(c)
		assert.ErrorContains(t, err, want)
	}
}

// Two hosts with the same seed route the same frames at the same times, loss and all.
func TestRoutingIsAFunctionOfTheSeed(t *testing.T) {
	run := func(seed uint64) string {
		a, b := &line{}, &line{}
		for n := range 200 {
			from := netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + n%50)}).String()
			a.play(0, datagram(t, near, nearMAC, from, netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + n)}).String(), [2]layers.UDPPort{5, 6}, "scan"))
		}
		c := router(false, a, b)
		spec, err := wire.Parse("loss 10%")
		require.NoError(t, err)
		c.Seed, c.Link = seed, spec
		return routed(t, c).Report().TraceHash
	}
	require.Equal(t, run(1), run(1))
	require.NotEqual(t, run(1), run(2))
}
