package kernel_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/syscall"
)

// The host of these tests, and the one behind the wire that talks to it.
var (
	host4, peer4 = net.IP{192, 0, 2, 1}, net.IP{192, 0, 2, 9}
	host6, peer6 = net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8::9")
	hostMAC      = net.HardwareAddr(kerneltest.HostMAC[:])
	peerMAC      = net.HardwareAddr{0x02, 0, 0, 0, 2, 0} // kerneltest.Remote(0)
	allMAC       = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// build makes a frame of layers, lengths and checksums put right, padded to the
// 60 bytes that a wire carries at least.
func build(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...))
	f := bytes.Clone(b.Bytes())
	for len(f) < 60 {
		f = append(f, 0)
	}
	return f
}

func ether(dst net.HardwareAddr, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: peerMAC, DstMAC: dst, EthernetType: kind}
}

func arpRequest(t testing.TB, target net.IP) []byte {
	return build(t, ether(allMAC, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: peerMAC, SourceProtAddress: peer4,
		DstHwAddress: make([]byte, 6), DstProtAddress: target,
	})
}

func ip4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: peer4, DstIP: host4}
}

func ping(t testing.TB, payload []byte) []byte {
	return build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip4(layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 77, Seq: 3}, gopacket.Payload(payload))
}

func ip6() *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: peer6, DstIP: host6}
}

func icmp6(ip *layers.IPv6, kind uint8) *layers.ICMPv6 {
	l := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)}
	l.SetNetworkLayerForChecksum(ip)
	return l
}

func ping6(t testing.TB, payload []byte) []byte {
	ip := ip6()
	return build(t, ether(hostMAC, layers.EthernetTypeIPv6), ip, icmp6(ip, layers.ICMPv6TypeEchoRequest),
		&layers.ICMPv6Echo{Identifier: 77, SeqNumber: 3}, gopacket.Payload(payload))
}

// solicit asks for the link address of target, as the neighbour's kernel does.
func solicit(t testing.TB, target net.IP) []byte {
	ip := ip6()
	ip.DstIP = net.ParseIP("ff02::1:ff00:0")
	copy(ip.DstIP[13:], target[13:])
	eth := ether(net.HardwareAddr{0x33, 0x33, 0xff, target[13], target[14], target[15]}, layers.EthernetTypeIPv6)
	return build(t, eth, ip, icmp6(ip, layers.ICMPv6TypeNeighborSolicitation), &layers.ICMPv6NeighborSolicitation{
		TargetAddress: target, Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: peerMAC}},
	})
}

// talk plays frames to a host, a millisecond apart, and returns what it sends.
func talk(t *testing.T, frames ...[]byte) (*kerneltest.Rig, []gopacket.Packet) {
	t.Helper()
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, Host: kernel.HostStack{
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")},
	}})
	start(t, r, 1, sink, "tap0")
	for i, f := range frames {
		r.Play(sim.Time(i)*sim.Millisecond, f)
	}
	require.NoError(t, r.Run())
	var out []gopacket.Packet
	for _, f := range r.Wire.Sent {
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default)
		require.Nil(t, p.ErrorLayer())
		checkSums(t, p)
		out = append(out, p)
	}
	return r, out
}

// checkSums adds up what every checksum of p covers: all ones, if it is right.
func checkSums(t *testing.T, p gopacket.Packet) {
	t.Helper()
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		require.EqualValues(t, 0xffff, onesSum(ip.Contents), "header of %v", p)
		switch {
		case ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0: // it is the whole packet's
		case ip.Protocol == layers.IPProtocolICMPv4:
			require.EqualValues(t, 0xffff, onesSum(ip.Payload), "%v", p)
		default:
			require.EqualValues(t, 0xffff, onesSum(ip.SrcIP, ip.DstIP, []byte{0, byte(ip.Protocol), byte(len(ip.Payload) >> 8), byte(len(ip.Payload))}, ip.Payload), "%v", p)
		}
	case *layers.IPv6:
		require.EqualValues(t, 0xffff, onesSum(ip.SrcIP, ip.DstIP, []byte{0, byte(ip.NextHeader), byte(len(ip.Payload) >> 8), byte(len(ip.Payload))}, ip.Payload), "%v", p)
	}
}

// onesSum is the ones' complement sum of all parts, each of an even length but
// the last.
func onesSum(parts ...[]byte) uint16 {
	sum := 0
	for _, b := range parts {
		for i, c := range b {
			sum += int(c) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func TestTheHostAnswersARPForItsAddressOnly(t *testing.T) {
	_, out := talk(t, arpRequest(t, host4))
	require.Len(t, out, 1)
	eth := out[0].Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	assert.Equal(t, hostMAC, eth.SrcMAC)
	assert.Equal(t, peerMAC, eth.DstMAC)
	arp := out[0].Layer(layers.LayerTypeARP).(*layers.ARP)
	assert.EqualValues(t, layers.ARPReply, arp.Operation)
	assert.Equal(t, []byte(host4), arp.SourceProtAddress)
	assert.Equal(t, []byte(hostMAC), arp.SourceHwAddress)
	assert.Equal(t, []byte(peerMAC), arp.DstHwAddress)

	_, out = talk(t, arpRequest(t, net.IP{192, 0, 2, 2}))
	assert.Empty(t, out)
}

func TestTheHostAnswersPing(t *testing.T) {
	for _, size := range []int{0, 1, 56, 1472} {
		payload := kerneltest.Frame(kerneltest.HostMAC, kerneltest.HostMAC, 14+size, 5)[14:]
		_, out := talk(t, arpRequest(t, host4), ping(t, payload))
		require.Len(t, out, 2)
		ip := out[1].Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		assert.True(t, ip.SrcIP.Equal(host4) && ip.DstIP.Equal(peer4))
		icmp := out[1].Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		assert.EqualValues(t, layers.ICMPv4TypeEchoReply, icmp.TypeCode.Type())
		assert.EqualValues(t, 77, icmp.Id)
		assert.EqualValues(t, 3, icmp.Seq)
		assert.True(t, bytes.HasPrefix(icmp.Payload, payload))
	}
}

func TestTheHostAnswersNeighboursAndPing6(t *testing.T) {
	_, out := talk(t, solicit(t, host6), ping6(t, []byte("sixty")))
	require.Len(t, out, 2)
	adv := out[0].Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	assert.True(t, adv.TargetAddress.Equal(host6))
	assert.True(t, adv.Solicited())
	require.Len(t, adv.Options, 1)
	assert.Equal(t, []byte(hostMAC), adv.Options[0].Data)
	echo := out[1].Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo)
	assert.EqualValues(t, 77, echo.Identifier)
	assert.True(t, bytes.HasSuffix(out[1].Data(), []byte("sixty")), "%x", out[1].Data())
	assert.EqualValues(t, layers.ICMPv6TypeEchoReply, out[1].Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6).TypeCode.Type())

	_, out = talk(t, solicit(t, net.ParseIP("2001:db8::2")))
	assert.Empty(t, out)
}

// A host asks who it is that pinged before it answers; until then the answer
// waits.
func TestTheHostAsksWhomItDoesNotKnow(t *testing.T) {
	_, out := talk(t, ping(t, nil))
	require.NotEmpty(t, out)
	arp := out[0].Layer(layers.LayerTypeARP).(*layers.ARP)
	assert.EqualValues(t, layers.ARPRequest, arp.Operation)
	assert.Equal(t, []byte(peer4), arp.DstProtAddress)

	reply := build(t, ether(hostMAC, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPReply, SourceHwAddress: peerMAC, SourceProtAddress: peer4, DstHwAddress: hostMAC, DstProtAddress: host4,
	})
	_, out = talk(t, ping(t, nil), reply)
	require.Len(t, out, 2)
	assert.EqualValues(t, layers.ICMPv4TypeEchoReply, out[1].Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).TypeCode.Type())
}

func TestClosedPortsSaySo(t *testing.T) {
	ip := ip4(layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 4000, DstPort: 9}
	udp.SetNetworkLayerForChecksum(ip)
	datagram := build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload("nobody there?"))
	_, out := talk(t, arpRequest(t, host4), datagram)
	require.Len(t, out, 2)
	icmp := out[1].Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	assert.Equal(t, layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort), icmp.TypeCode)
	assert.True(t, bytes.HasPrefix(icmp.Payload, datagram[14:42]), "it quotes the datagram")

	ip = ip4(layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 1000, SYN: true, Window: 1000}
	tcp.SetNetworkLayerForChecksum(ip)
	_, out = talk(t, arpRequest(t, host4), build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip, tcp))
	require.Len(t, out, 2)
	rst := out[1].Layer(layers.LayerTypeTCP).(*layers.TCP)
	assert.True(t, rst.RST && rst.ACK)
	assert.EqualValues(t, 1001, rst.Ack)
}

// fragments cuts an IPv4 frame into frames of at most n bytes of payload, a
// multiple of 8.
func fragments(t testing.TB, frame []byte, n int) (list [][]byte) {
	t.Helper()
	payload := frame[34:]
	for at := 0; at < len(payload); at += n {
		part := payload[at:min(at+n, len(payload))]
		ip := ip4(layers.IPProtocolICMPv4)
		ip.Id, ip.FragOffset = 4711, uint16(at/8)
		if at+n < len(payload) {
			ip.Flags = layers.IPv4MoreFragments
		}
		list = append(list, build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip, gopacket.Payload(part)))
	}
	return list
}

// reassemble puts the payload of fragments together.
func reassemble(t *testing.T, out []gopacket.Packet) []byte {
	t.Helper()
	var whole []byte
	for _, p := range out {
		ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		require.EqualValues(t, len(whole)/8, ip.FragOffset)
		whole = append(whole, p.Data()[34:14+int(ip.Length)]...)
	}
	return whole
}

func TestFragmentsArePutTogether(t *testing.T) {
	payload := kerneltest.Frame(kerneltest.HostMAC, kerneltest.HostMAC, 14+3000, 5)[14:]
	parts := fragments(t, ping(t, payload), 1480)
	require.Len(t, parts, 3)
	for name, order := range map[string][]int{"in order": {0, 1, 2}, "backwards": {2, 1, 0}, "one twice": {0, 0, 2, 1}} {
		t.Run(name, func(t *testing.T) {
			frames := [][]byte{arpRequest(t, host4)}
			for _, i := range order {
				frames = append(frames, parts[i])
			}
			_, out := talk(t, frames...)
			require.Len(t, out, 4)
			whole := reassemble(t, out[1:])
			require.Len(t, whole, 8+3000)
			assert.EqualValues(t, 0, whole[0], "an echo reply")
			assert.Equal(t, payload, whole[8:])
		})
	}
	_, out := talk(t, arpRequest(t, host4), parts[0], parts[2])
	assert.Len(t, out, 1, "with a hole there is no answer")
}

func TestFramesForOthersDoNotComeUp(t *testing.T) {
	for name, row := range map[string]struct {
		dst net.HardwareAddr
		up  uint64
	}{
		"the host's address":       {hostMAC, 1},
		"broadcast":                {allMAC, 1},
		"multicast":                {net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, 1},
		"an address nobody has":    {net.HardwareAddr{2, 9, 9, 9, 9, 9}, 0},
		"a guest's":                {net.HardwareAddr{2, 0, 0, 0, 1, 0}, 0},
		"spanning tree's group":    {net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0}, 1},
		"link layer discovery's":   {net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0x0e}, 0},
		"the host's but for a bit": {net.HardwareAddr{2, 0, 0, 0, 0, 0xff}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := ping(t, nil)
			copy(f, row.dst)
			r, _ := talk(t, arpRequest(t, host4), f)
			assert.Equal(t, 1+row.up, r.Flow().ToHost)
		})
	}
}

// A host without addresses takes what comes up and says nothing.
func TestAHostWithoutAddressesIsSilent(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	r.Play(0, arpRequest(t, host4), ping(t, nil), solicit(t, host6))
	require.NoError(t, r.Run())
	assert.EqualValues(t, 3, r.Flow().ToHost)
	assert.Empty(t, r.Wire.Sent)
}

// conversation is frames of every kind that the host answers.
func conversation(t testing.TB) [][]byte {
	ip := ip4(layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 1000, SYN: true, Window: 1000}
	tcp.SetNetworkLayerForChecksum(ip)
	uip := ip4(layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 4000, DstPort: 9}
	udp.SetNetworkLayerForChecksum(uip)
	frames := [][]byte{
		ping(t, []byte("before")), arpRequest(t, host4), ping(t, []byte("after")), solicit(t, host6), ping6(t, nil),
		build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip, tcp), build(t, ether(hostMAC, layers.EthernetTypeIPv4), uip, udp),
	}
	return append(frames, fragments(t, ping(t, make([]byte, 3000)), 1480)...)
}

func TestTheHostsStackIsAFunction(t *testing.T) {
	first, a := talk(t, conversation(t)...)
	require.Greater(t, len(a), 8)
	for range 3 {
		r, b := talk(t, conversation(t)...)
		require.Equal(t, first.Hash.String(), r.Hash.String())
		require.Equal(t, first.Bill(), r.Bill())
		require.Equal(t, len(a), len(b))
		for i := range a {
			require.Equal(t, a[i].Data(), b[i].Data())
		}
	}
}

// Every cut of every frame it answers, every frame with bits flipped, and noise:
// nothing panics, nothing is lost, and every answer can be decoded.
func TestGarbageForTheHost(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	frames := [][]byte{arpRequest(t, host4)}
	for _, f := range conversation(t) {
		for n := 14; n < min(len(f), 120); n++ {
			frames = append(frames, f[:n])
		}
		for range 60 {
			g := bytes.Clone(f)
			for range 1 + rnd.IntN(4) {
				g[12+rnd.IntN(min(len(g), 100)-12)] ^= 1 << rnd.IntN(8)
			}
			frames = append(frames, g)
		}
	}
	for range 300 {
		g := make([]byte, 14+rnd.IntN(200))
		for i := range g {
			g[i] = byte(rnd.Uint32())
		}
		copy(g, hostMAC)
		copy(g[6:], peerMAC)
		copy(g[12:], [][]byte{{8, 0}, {8, 6}, {0x86, 0xdd}, {0x81, 0}}[rnd.IntN(4)])
		frames = append(frames, g)
	}
	r, _ := talk(t, frames...)
	assert.NoError(t, r.Check())
	assert.Greater(t, r.Flow().ToHost, uint64(len(frames)*9/10))
}

// What a host's own frame begins in the bridge, here its membership of a group, ends
// when it is due, and not with the next frame that comes in.
func TestTheHostsFramesArmTheBridgesTimer(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{Taps: 1})
	start(t, r, 0, sink, "tap0")
	ip := ip4(layers.IPProtocolIGMP)
	ip.SrcIP, ip.DstIP, ip.TTL = host4, net.IP{239, 1, 2, 3}, 1
	report := build(t, ether(net.HardwareAddr{1, 0, 0x5e, 1, 2, 3}, layers.EthernetTypeIPv4), ip,
		gopacket.Payload{0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3})
	asked := false
	r.HostSends(report, func(at, due sim.Time) {
		asked = true
		assert.NotEqual(t, sim.Never, due, "the report starts a timer")
		assert.Equal(t, due, at)
	})
	require.NoError(t, r.Run())
	assert.True(t, asked)
}

var hostAddrs = kernel.HostStack{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}}

// A part of the kernel that listens to a UDP port gets what comes to it, put together
// if it came in pieces, with the address that it was sent to.
func TestAPartOfTheKernelListensToAPort(t *testing.T) {
	datagram := func(payload string) []byte {
		ip, udp := ip4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 1000, DstPort: 4789}
		require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
		return build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(payload))
	}
	whole := datagram("in one piece of a length that a wire need not pad")
	long := datagram("in two pieces, the first of them forty bytes long with the header of UDP")
	piece := func(from, to int, more layers.IPv4Flag) []byte {
		ip := ip4(layers.IPProtocolUDP)
		ip.Id, ip.Flags, ip.FragOffset = 5, more, uint16(from/8)
		return build(t, ether(hostMAC, layers.EthernetTypeIPv4), ip, gopacket.Payload(long[34+from:34+to]))
	}
	spoilt := datagram("spoilt, and so nobody's: the sum is of another one")
	spoilt[50] ^= 1
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, Host: hostAddrs})
	var got []string
	require.NoError(t, r.ListenUDP(netip.MustParseAddrPort("0.0.0.0:4789"), func(from, to netip.AddrPort, payload []byte) {
		got = append(got, from.String()+" "+to.String()+" "+string(payload))
	}))
	for i, f := range [][]byte{whole, piece(0, 40, layers.IPv4MoreFragments), spoilt, piece(40, len(long)-34, 0)} {
		r.Play(sim.Time(i)*sim.Millisecond, f)
	}
	require.NoError(t, r.Run())
	assert.Equal(t, []string{
		"192.0.2.9:1000 192.0.2.1:4789 in one piece of a length that a wire need not pad",
		"192.0.2.9:1000 192.0.2.1:4789 in two pieces, the first of them forty bytes long with the header of UDP",
	}, got)
	assert.EqualValues(t, 4, r.Flow().ToHost, "whatever the stack made of them")
	assert.Error(t, r.ListenUDP(netip.MustParseAddrPort("0.0.0.0:4789"), nil), "somebody listens already")
	assert.Error(t, kerneltest.New(t, kerneltest.Config{CPUs: 1}).ListenUDP(netip.MustParseAddrPort("0.0.0.0:4789"), nil), "no address")
}

// A tunnel's datagram waits for its neighbour and leaves; one that goes round in
// tunnels does not leave for ever.
func TestATunnelSendsOnACPU(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, Host: hostAddrs})
	from, to := netip.MustParseAddrPort("192.0.2.1:50000"), netip.MustParseAddrPort("192.0.2.9:4789")
	var told []syscall.Errno
	note := func(errno syscall.Errno) { told = append(told, errno) }
	r.SendUDP(0, from, to, []byte("first"), note)
	r.SendUDP(7, from, to, []byte("seven deep"), note)
	r.SendUDP(8, from, to, []byte("eight deep"), note)
	r.SendUDP(0, from, to, make([]byte, 1473), note)
	r.SendUDP(0, from, netip.MustParseAddrPort("198.51.100.1:1"), nil, note)
	answer := arpRequest(t, host4) // the neighbour asks, and so says where it is
	r.Play(sim.Millisecond, answer)
	require.NoError(t, r.Run())
	assert.Equal(t, []syscall.Errno{0, 0, syscall.ENETDOWN, syscall.EMSGSIZE, syscall.ENETUNREACH}, told)
	var sent []string
	for _, f := range r.Wire.Sent {
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default)
		if u, ok := p.TransportLayer().(*layers.UDP); ok {
			sent = append(sent, string(u.Payload))
			assert.Equal(t, peerMAC, p.LinkLayer().(*layers.Ethernet).DstMAC)
		}
	}
	assert.Equal(t, []string{"first", "seven deep"}, sent)
	output := uint64(0)
	for _, a := range r.Accounts() {
		output += a.Count(cost.IPOutput)
	}
	assert.EqualValues(t, 4, output, "a question, two datagrams, an answer: each charged")
}
