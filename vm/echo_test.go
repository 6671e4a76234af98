package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/syscall/syscalltest"
	"ringside/vm"
)

// The guest of these tests, and who talks to it.
var (
	mac          = vm.MAC{2, 0, 0, 0, 1, 0}
	guestMAC     = net.HardwareAddr(mac[:])
	peerMAC      = net.HardwareAddr{2, 0, 0, 0, 2, 9}
	allMAC       = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	addr4, peer4 = net.IP{192, 0, 2, 7}, net.IP{192, 0, 2, 9}
	addr6, peer6 = net.ParseIP("2001:db8::7:8"), net.ParseIP("2001:db8::9")
)

// run runs a guest on frames that are there from the start and returns what it
// sends.
func run(t testing.TB, c vm.Config, frames ...[]byte) [][]byte {
	t.Helper()
	h := syscalltest.Host{Frames: frames, Memory: mem.New(c.MemorySize())}
	require.NoError(t, h.Run(c.Main))
	return h.Written
}

func echo4(t testing.TB, frames ...[]byte) [][]byte {
	return run(t, vm.Config{Program: vm.Echo, MAC: mac, Addr: netip.MustParseAddr("192.0.2.7")}, frames...)
}

func echo6(t testing.TB, frames ...[]byte) [][]byte {
	return run(t, vm.Config{Program: vm.Echo, MAC: mac, Addr: netip.MustParseAddr("2001:db8::7:8")}, frames...)
}

// build makes a frame of layers, lengths and checksums put right. It takes off
// what gopacket pads with.
func build(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...))
	f := bytes.Clone(b.Bytes())
	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x0806:
		f = f[:42]
	case 0x0800:
		f = f[:14+int(binary.BigEndian.Uint16(f[16:]))]
	}
	return f
}

// decode takes a frame apart and adds its checksums up: all ones, if right.
func decode(t testing.TB, frame []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	require.Nil(t, p.ErrorLayer(), "%x", frame)
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		require.EqualValues(t, 0xffff, onesSum(ip.Contents), "IPv4 header of %v", p)
		require.EqualValues(t, 0xffff, onesSum(ip.Payload), "ICMP of %v", p)
	case *layers.IPv6:
		require.EqualValues(t, 0xffff, onesSum(ip.SrcIP, ip.DstIP, []byte{0, byte(ip.NextHeader), byte(len(ip.Payload) >> 8), byte(len(ip.Payload))}, ip.Payload), "ICMPv6 of %v", p)
	}
	return p
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

func ether(dst net.HardwareAddr, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: peerMAC, DstMAC: dst, EthernetType: kind}
}

func request(target net.IP) *layers.ARP {
	return &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: peerMAC, SourceProtAddress: peer4,
		DstHwAddress: make([]byte, 6), DstProtAddress: target,
	}
}

func arp(t testing.TB, l *layers.ARP) []byte {
	return build(t, ether(allMAC, layers.EthernetTypeARP), l)
}

func ip4() *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 17, Id: 5, Protocol: layers.IPProtocolICMPv4, SrcIP: peer4, DstIP: addr4}
}

func echo() *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 77, Seq: 3}
}

func ping(t testing.TB, ip *layers.IPv4, icmp *layers.ICMPv4, payload []byte) []byte {
	return build(t, ether(guestMAC, layers.EthernetTypeIPv4), ip, icmp, gopacket.Payload(payload))
}

func ip6(hops uint8) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: hops, NextHeader: layers.IPProtocolICMPv6, SrcIP: peer6, DstIP: addr6}
}

func icmp6(ip *layers.IPv6, kind, code uint8) *layers.ICMPv6 {
	l := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, code)}
	l.SetNetworkLayerForChecksum(ip)
	return l
}

func ping6(t testing.TB, ip *layers.IPv6, payload []byte) []byte {
	return build(t, ether(guestMAC, layers.EthernetTypeIPv6), ip, icmp6(ip, layers.ICMPv6TypeEchoRequest, 0),
		&layers.ICMPv6Echo{Identifier: 77, SeqNumber: 3}, gopacket.Payload(payload))
}

var nodes = net.ParseIP("ff02::1:ff07:8") // the solicited-node address of the guest

// solicitation asks for target, from ip, with the options.
func solicitation(t testing.TB, ip *layers.IPv6, target net.IP, options ...layers.ICMPv6Option) []byte {
	return build(t, ether(net.HardwareAddr{0x33, 0x33, 0xff, 7, 0, 8}, layers.EthernetTypeIPv6), ip,
		icmp6(ip, layers.ICMPv6TypeNeighborSolicitation, 0), &layers.ICMPv6NeighborSolicitation{TargetAddress: target, Options: options})
}

var source = layers.ICMPv6Option{Type: layers.ICMPv6OptSourceAddress, Data: peerMAC}

func toNodes(ip *layers.IPv6) *layers.IPv6 {
	ip.DstIP = nodes
	return ip
}

func TestEchoAnswersARP(t *testing.T) {
	for name, row := range map[string]struct {
		dst  net.HardwareAddr
		pad  int
		from net.IP
	}{
		"broadcast":      {allMAC, 0, peer4},
		"unicast":        {guestMAC, 0, peer4},
		"padded":         {allMAC, 18, peer4},
		"a probe for it": {allMAC, 0, net.IP{0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			l := request(addr4)
			l.SourceProtAddress = row.from
			f := append(build(t, ether(row.dst, layers.EthernetTypeARP), l), make([]byte, row.pad)...)
			sent := echo4(t, f)
			require.Len(t, sent, 1)
			p := decode(t, sent[0])
			eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			assert.Equal(t, guestMAC, eth.SrcMAC)
			assert.Equal(t, peerMAC, eth.DstMAC)
			a := p.Layer(layers.LayerTypeARP).(*layers.ARP)
			assert.EqualValues(t, layers.ARPReply, a.Operation)
			assert.Equal(t, []byte(guestMAC), a.SourceHwAddress)
			assert.Equal(t, []byte(addr4), a.SourceProtAddress)
			assert.Equal(t, []byte(peerMAC), a.DstHwAddress)
			assert.Equal(t, []byte(row.from), a.DstProtAddress)
		})
	}
}

func TestEchoAnswersPing(t *testing.T) {
	for _, n := range []int{0, 1, 2, 55, 56, 1472, 8972} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		for _, pad := range []int{0, 9} {
			sent := echo4(t, append(ping(t, ip4(), echo(), payload), make([]byte, pad)...))
			require.Len(t, sent, 1)
			p := decode(t, sent[0])
			eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			assert.Equal(t, guestMAC, eth.SrcMAC)
			assert.Equal(t, peerMAC, eth.DstMAC)
			ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			assert.True(t, ip.SrcIP.Equal(addr4) && ip.DstIP.Equal(peer4))
			assert.EqualValues(t, 64, ip.TTL, "its own, not what was left of the request's")
			icmp := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			assert.Equal(t, layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, 0), icmp.TypeCode)
			assert.EqualValues(t, 77, icmp.Id)
			assert.EqualValues(t, 3, icmp.Seq)
			assert.True(t, bytes.Equal(payload, icmp.Payload))
		}
	}
}

func TestEchoAnswersPingWithOptions(t *testing.T) {
	ip := ip4()
	ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 1}}
	sent := echo4(t, ping(t, ip, echo(), []byte("hello")))
	require.Len(t, sent, 1)
	assert.Equal(t, []byte("hello"), decode(t, sent[0]).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).Payload)
}

func TestEchoAnswersNeighbourSolicitations(t *testing.T) {
	for name, f := range map[string][]byte{
		"to the solicited-node group": solicitation(t, toNodes(ip6(255)), addr6, source),
		"to itself":                   solicitation(t, ip6(255), addr6, source),
		"with a nonce behind":         solicitation(t, toNodes(ip6(255)), addr6, layers.ICMPv6Option{Type: 14, Data: []byte("nonce!")}, source), // gopacket writes them backwards
	} {
		t.Run(name, func(t *testing.T) {
			sent := echo6(t, f)
			require.Len(t, sent, 1)
			p := decode(t, sent[0])
			eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			assert.Equal(t, guestMAC, eth.SrcMAC)
			assert.Equal(t, peerMAC, eth.DstMAC)
			ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
			assert.True(t, ip.SrcIP.Equal(addr6) && ip.DstIP.Equal(peer6))
			assert.EqualValues(t, 255, ip.HopLimit)
			adv := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
			assert.True(t, adv.TargetAddress.Equal(addr6))
			assert.True(t, adv.Solicited() && adv.Override() && !adv.Router())
			require.NotEmpty(t, adv.Options)
			assert.Equal(t, layers.ICMPv6Option{Type: layers.ICMPv6OptTargetAddress, Data: guestMAC}, adv.Options[0])
		})
	}
}

func TestEchoAnswersPing6(t *testing.T) {
	for _, n := range []int{0, 1, 2, 56, 1452, 8952} {
		payload := bytes.Repeat([]byte{0xa5}, n)
		sent := echo6(t, ping6(t, ip6(9), payload))
		require.Len(t, sent, 1)
		p := decode(t, sent[0])
		ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		assert.True(t, ip.SrcIP.Equal(addr6) && ip.DstIP.Equal(peer6))
		assert.EqualValues(t, 64, ip.HopLimit)
		e := p.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo)
		assert.EqualValues(t, 77, e.Identifier)
		assert.EqualValues(t, 3, e.SeqNumber)
		assert.True(t, bytes.HasSuffix(sent[0], payload))
		assert.EqualValues(t, layers.ICMPv6TypeEchoReply, p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6).TypeCode.Type())
	}
}

// patched is f with bytes from at on replaced, and nothing put right after it.
func patched(f []byte, at int, with ...byte) []byte {
	f = bytes.Clone(f)
	copy(f[at:], with)
	return f
}

// resummed is f, an IPv4 frame without options, with its header's checksum put
// right.
func resummed(f []byte) []byte {
	f[24], f[25] = 0, 0
	binary.BigEndian.PutUint16(f[24:], ^onesSum(f[14:34]))
	return f
}

func TestEchoTakesEverythingElseAndSaysNothing(t *testing.T) {
	group4, group6 := net.IP{224, 0, 0, 1}, net.ParseIP("ff02::1")
	from := func(src net.IP) *layers.IPv4 {
		ip := ip4()
		ip.SrcIP = src
		return ip
	}
	from6 := func(src net.IP) *layers.IPv6 {
		ip := ip6(64)
		ip.SrcIP = src
		return ip
	}
	to := func(dst net.IP) *layers.IPv4 {
		ip := ip4()
		ip.DstIP = dst
		return ip
	}
	to6 := func(dst net.IP, hops uint8) *layers.IPv6 {
		ip := ip6(hops)
		ip.DstIP = dst
		return ip
	}
	reply := request(addr4)
	reply.Operation = layers.ARPReply
	pong := echo()
	pong.TypeCode = layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, 0)
	whole, whole6, sol := ping(t, ip4(), echo(), []byte("payload")), ping6(t, ip6(64), []byte("payload")), solicitation(t, toNodes(ip6(255)), addr6, source)
	unspecified := toNodes(ip6(255))
	unspecified.SrcIP = net.IPv6unspecified
	coded := toNodes(ip6(255))

	for name, f := range map[string][]byte{
		"nothing but a header":             whole[:14],
		"another EtherType":                patched(whole, 12, 0x88, 0xb5),
		"a VLAN tag":                       patched(whole, 12, 0x81, 0x00),
		"ARP for somebody else":            arp(t, request(net.IP{192, 0, 2, 8})),
		"an ARP reply":                     arp(t, reply),
		"ARP of another hardware":          patched(arp(t, request(addr4)), 14, 0, 6),
		"ARP of another protocol":          patched(arp(t, request(addr4)), 16, 0x86, 0xdd),
		"ARP with long addresses":          patched(arp(t, request(addr4)), 18, 8),
		"ping for somebody else":           ping(t, to(net.IP{192, 0, 2, 8}), echo(), nil),
		"ping for a group":                 ping(t, to(group4), echo(), nil),
		"ping for all":                     ping(t, to(net.IP{255, 255, 255, 255}), echo(), nil),
		"ping from a group":                ping(t, from(group4), echo(), nil),
		"ping from all":                    ping(t, from(net.IP{255, 255, 255, 255}), echo(), nil),
		"ping from nobody":                 ping(t, from(net.IP{0, 0, 0, 0}), echo(), nil),
		"ping from itself":                 ping(t, from(addr4), echo(), nil),
		"an echo reply":                    ping(t, ip4(), pong, nil),
		"ping, a bit wrong":                patched(whole, len(whole)-1, whole[len(whole)-1]^1),
		"ping, a header's bit wrong":       patched(whole, 23-1, 18),
		"ping, a fragment":                 resummed(patched(whole, 20, 0x00, 0x01)),
		"ping, a first fragment":           resummed(patched(whole, 20, 0x20, 0x00)),
		"ping of IP version 5":             resummed(patched(whole, 14, 0x55)),
		"ping, a short header":             resummed(patched(whole, 14, 0x44)),
		"ping, header longer than it":      resummed(patched(whole, 14, 0x4f)),
		"ping, longer than the frame":      resummed(patched(whole, 16, 0x40, 0x00)),
		"ping, shorter than ICMP":          resummed(patched(whole, 16, 0x00, 27)),
		"UDP":                              resummed(patched(whole, 23, 17)),
		"IPv6 for an IPv4 guest":           whole6,
		"a solicitation for an IPv4 guest": sol,

		"6 ARP":                       arp(t, request(addr4)),
		"6 ping":                      whole,
		"6 ping for somebody else":    ping6(t, to6(net.ParseIP("2001:db8::8"), 64), nil),
		"6 ping for a group":          ping6(t, to6(group6, 64), nil),
		"6 ping from a group":         ping6(t, from6(group6), nil),
		"6 ping from nobody":          ping6(t, from6(net.IPv6unspecified), nil),
		"6 ping from itself":          ping6(t, from6(addr6), nil),
		"6 ping, a bit wrong":         patched(whole6, len(whole6)-1, whole6[len(whole6)-1]^1),
		"6 ping of IP version 4":      patched(whole6, 14, 0x40),
		"6 ping, longer than it":      patched(whole6, 18, 0x40, 0),
		"6 ping, shorter than ICMP":   patched(whole6, 18, 0, 7),
		"6 another next header":       patched(whole6, 20, 17),
		"6 an extension header":       patched(whole6, 20, 0),
		"6 NS for somebody else":      solicitation(t, toNodes(ip6(255)), net.ParseIP("2001:db8::8"), source),
		"6 NS from another link":      solicitation(t, toNodes(ip6(254)), addr6, source),
		"6 NS to somebody else":       solicitation(t, to6(net.ParseIP("2001:db8::8"), 255), addr6, source),
		"6 NS from nobody":            solicitation(t, unspecified, addr6),
		"6 NS without a link address": solicitation(t, toNodes(ip6(255)), addr6),
		"6 NS with a code": build(t, ether(guestMAC, layers.EthernetTypeIPv6), coded,
			icmp6(coded, layers.ICMPv6TypeNeighborSolicitation, 1), &layers.ICMPv6NeighborSolicitation{TargetAddress: addr6, Options: layers.ICMPv6Options{source}}),
	} {
		t.Run(name, func(t *testing.T) {
			echoes := echo4
			if name[0] == '6' {
				echoes = echo6
			}
			assert.Empty(t, echoes(t, f))
			assert.Empty(t, run(t, vm.Config{Program: vm.Echo, MAC: mac}, f), "a guest without an address")
		})
	}
}

// requests is one of each kind that Echo answers, with the fewest bytes that make
// it whole.
func requests(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"ARP":   arp(t, request(addr4)),
		"ping":  ping(t, ip4(), echo(), []byte("abc")),
		"NS":    solicitation(t, toNodes(ip6(255)), addr6, source),
		"ping6": ping6(t, ip6(64), []byte("abc")),
	}
}

// A request that is cut anywhere, or cut and filled up with zeros as a wire would,
// is not answered; whole, it is.
func TestEchoDoesNotAnswerHalfARequest(t *testing.T) {
	for name, f := range requests(t) {
		for n := 0; n <= len(f); n++ {
			cut := f[:n:n]
			sent := len(echo4(t, cut)) + len(echo6(t, cut))
			if n == len(f) {
				require.Equal(t, 1, sent, name)
			} else {
				require.Zero(t, sent, "%s cut to %d of %d bytes", name, n, len(f))
			}
		}
		for n := 14; n < len(f)-3; n++ {
			padded := append(bytes.Clone(f[:n]), make([]byte, 80)...)
			for _, sent := range append(echo4(t, padded), echo6(t, padded)...) {
				decode(t, sent) // what is answered is whole all the same
			}
		}
	}
}

// Whatever bits of a request are flipped: no panic, at most one answer, and that
// one is right in itself and goes from the guest to whoever asked.
func TestEchoOnNoise(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for name, f := range requests(t) {
		answers := 0
		for range 3000 {
			g := append(bytes.Clone(f), make([]byte, rnd.IntN(20))...)
			for range 1 + rnd.IntN(3) {
				g[rnd.IntN(len(g))] ^= 1 << rnd.IntN(8)
			}
			checkAnswers(t, name, g, append(echo4(t, bytes.Clone(g)), echo6(t, bytes.Clone(g))...), &answers)
		}
		t.Logf("%s: %d of 3000 answered", name, answers)
	}
	for range 3000 {
		g := make([]byte, rnd.IntN(120))
		for i := range g {
			g[i] = byte(rnd.Uint32())
		}
		if len(g) > 14 {
			copy(g[12:], [][]byte{{8, 0}, {8, 6}, {0x86, 0xdd}}[rnd.IntN(3)])
		}
		require.Empty(t, echo4(t, bytes.Clone(g)))
		require.Empty(t, echo6(t, bytes.Clone(g)))
	}
}

// checkAnswers checks what two guests, one for each family, said to the frame g.
func checkAnswers(t *testing.T, name string, g []byte, sent [][]byte, answers *int) {
	t.Helper()
	require.LessOrEqual(t, len(sent), 1, name)
	for _, s := range sent {
		*answers++
		require.Equal(t, g[6:12], s[0:6], "%s: it goes to whoever asked", name)
		require.Equal(t, []byte(guestMAC), s[6:12])
		require.Len(t, s, len(g))
		require.NotEqual(t, fmt.Sprintf("%x", g), fmt.Sprintf("%x", s))
		if s[12] == 0x08 && s[13] == 0x00 || s[12] == 0x86 {
			decode(t, s)
		}
	}
}
