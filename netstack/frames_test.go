package netstack

import (
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// Frames of a neighbour with the address 02:00:00:00:00:09.

var peerMAC = [6]byte{2, 0, 0, 0, 0, 9}

func frameOf(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func ether(dst [6]byte, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: peerMAC[:], DstMAC: dst[:], EthernetType: kind}
}

// arpFrom is an ARP packet of the neighbour's.
func arpFrom(op uint16, dst [6]byte, sender, target string) []byte {
	s, t := netip.MustParseAddr(sender).As4(), netip.MustParseAddr(target).As4()
	return frameOf(ether(dst, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: op, SourceHwAddress: peerMAC[:], SourceProtAddress: s[:], DstHwAddress: make([]byte, 6), DstProtAddress: t[:],
	})
}

// arpFor asks for an address.
func arpFor(target string) []byte { return arpFrom(layers.ARPRequest, allStations, "10.0.0.9", target) }

func ip4(src, dst string, proto layers.IPProtocol) *layers.IPv4 {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: s[:], DstIP: d[:]}
}

func ip6(src, dst string, proto layers.IPProtocol) *layers.IPv6 {
	s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: s[:], DstIP: d[:]}
}

// udpTo is a datagram of the neighbour's to a station.
func udpTo(dst [6]byte, ip gopacket.NetworkLayer, sport, dport uint16, payload string) []byte {
	u := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	kind := layers.EthernetTypeIPv6
	if _, ok := ip.(*layers.IPv4); ok {
		kind = layers.EthernetTypeIPv4
	}
	return frameOf(ether(dst, kind), ip.(gopacket.SerializableLayer), u, gopacket.Payload(payload))
}

// decode reads a frame that was sent, and finds wrong checksums.
func decode(t testing.TB, b []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	require.Nil(t, p.ErrorLayer(), "%x", b)
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		require.EqualValues(t, 0xffff, onesSum(ip.Contents), "%v", p)
		switch {
		case ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0:
		case ip.Protocol == layers.IPProtocolICMPv4:
			require.EqualValues(t, 0xffff, onesSum(ip.Payload), "%v", p)
		case ip.Protocol == layers.IPProtocolUDP && ip.Payload[6] == 0 && ip.Payload[7] == 0:
		default:
			require.EqualValues(t, 0xffff, onesSum(ip.SrcIP, ip.DstIP, []byte{0, byte(ip.Protocol), byte(len(ip.Payload) >> 8), byte(len(ip.Payload))}, ip.Payload), "%v", p)
		}
	case *layers.IPv6:
		if ip.NextHeader != layers.IPProtocolIPv6Fragment && !(ip.NextHeader == layers.IPProtocolUDP && ip.Payload[6] == 0 && ip.Payload[7] == 0) {
			require.EqualValues(t, 0xffff, onesSum(ip.SrcIP, ip.DstIP, []byte{0, byte(ip.NextHeader), byte(len(ip.Payload) >> 8), byte(len(ip.Payload))}, ip.Payload), "%v", p)
		}
	}
	return p
}

// onesSum is the ones' complement sum of all parts, each of an even length but the
// last.
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
