package gate

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ringside"
	"ringside/nic"
	"ringside/sim"
)

// A Wire plays frames at their times and counts what comes out. It is a peer
// as well, if it has a host: it answers the ARP requests and neighbour
// solicitations that come out, a little later.
type Wire struct {
	Frames []nic.WireFrame // by At
	Sent   int

	next    int
	host    *ringside.Host
	timer   *sim.Timer
	answers []nic.WireFrame // by At
}

// latency is how long the peer takes.
const latency = 7 * sim.Microsecond

// Plug makes the wire a peer of the machine.
func (w *Wire) Plug(h *ringside.Host) {
	w.host = h
	w.timer = h.Engine.NewTimer("peer", sim.HandlerFunc(func(sim.Time) { h.NIC.Arrive() }))
}

// Receive hands out the earliest of the script and the answers that are due.
func (w *Wire) Receive(f *nic.WireFrame) bool {
	script := w.next < len(w.Frames)
	if len(w.answers) > 0 && w.answers[0].At <= w.host.Engine.Now() && (!script || w.answers[0].At <= w.Frames[w.next].At) {
		*f = w.answers[0]
		w.answers = w.answers[1:]
		w.rearm()
		return true
	}
	if !script {
		return false
	}
	*f = w.Frames[w.next]
	w.next++
	return true
}

func (w *Wire) rearm() {
	if len(w.answers) > 0 {
		w.host.Engine.Arm(w.timer, w.answers[0].At)
	}
}

// Transmit counts, and answers.
func (w *Wire) Transmit(f *nic.WireFrame) {
	w.Sent++
	if w.host == nil {
		return
	}
	reply := answer(f.Data)
	if reply == nil {
		return
	}
	a := nic.WireFrame{ID: 1<<32 + uint64(w.Sent), At: f.At + latency, Data: reply}
	i, _ := slices.BinarySearchFunc(w.answers, a.At, func(x nic.WireFrame, at sim.Time) int {
		if x.At <= at {
			return -1
		}
		return 1
	})
	w.answers = slices.Insert(w.answers, i, a)
	w.rearm()
}

// A script makes a Wire's frames.
type script struct {
	wire Wire
	at   sim.Time
}

// after lets time pass.
func (s *script) after(d sim.Time) *script {
	s.at += d
	return s
}

// raw adds a frame as it is.
func (s *script) raw(data []byte) *script {
	s.wire.Frames = append(s.wire.Frames, nic.WireFrame{ID: uint64(len(s.wire.Frames) + 1), At: s.at, Data: data})
	return s
}

// layers adds a frame of layers, padded to 60 bytes.
func (s *script) layers(l ...gopacket.SerializableLayer) *script {
	return s.raw(frame(l...))
}

func frame(l ...gopacket.SerializableLayer) []byte {
	var network gopacket.NetworkLayer
	for _, x := range l {
		if n, ok := x.(gopacket.NetworkLayer); ok {
			network = n
		}
		if c, ok := x.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok && network != nil {
			if err := c.SetNetworkLayerForChecksum(network); err != nil {
				panic(err)
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	b := slices.Clone(buf.Bytes())
	for len(b) < 60 {
		b = append(b, 0)
	}
	return b
}

// A station is one end: its address at layer 2 and at layer 3.
type station struct {
	mac [6]byte
	ip4 netip.Addr
	ip6 netip.Addr
}

// far is station i on the other side of the wire, guest one inside, router the
// host itself.
func far(i int) station {
	return station{[6]byte{0x02, 0xfa, 0, 0, 0, byte(i)}, netip.AddrFrom4([4]byte{192, 0, 2, byte(200 + i)}), ip6(0x200 + i)}
}

func guest(i int) station {
	return station{[6]byte{0x02, 0, 0, 0, 1, byte(i)}, netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), ip6(0x10 + i)}
}

var router = station{[6]byte{0x02, 0, 0, 0, 0, 0xfe}, netip.MustParseAddr("192.0.2.1"), ip6(1)}

func ip6(i int) netip.Addr {
	a := netip.MustParseAddr("2001:db8::").As16()
	binary.BigEndian.PutUint16(a[14:], uint16(i))
	return netip.AddrFrom16(a)
}

func ether(from station, to [6]byte, t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: from.mac[:], DstMAC: to[:], EthernetType: t}
}

var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// arp asks for a station's address.
func (s *script) arp(from, who station) *script {
	return s.layers(ether(from, broadcast, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: from.mac[:], SourceProtAddress: from.ip4.AsSlice(),
		DstHwAddress: make([]byte, 6), DstProtAddress: who.ip4.AsSlice(),
	})
}

// ping sends an echo request of n bytes.
func (s *script) ping(from, to station, seq, n int) *script {
	return s.layers(ether(from, to.mac, layers.EthernetTypeIPv4), ip4(from, to, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: uint16(seq)}, payload(n))
}

func ip4(from, to station, proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 1, Protocol: proto, SrcIP: from.ip4.AsSlice(), DstIP: to.ip4.AsSlice()}
}

func ipv6(from, to station, proto layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: proto, SrcIP: from.ip6.AsSlice(), DstIP: to.ip6.AsSlice()}
}

// ping6 is ping over IPv6.
func (s *script) ping6(from, to station, seq, n int) *script {
	return s.layers(ether(from, to.mac, layers.EthernetTypeIPv6), ipv6(from, to, layers.IPProtocolICMPv6),
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)},
		&layers.ICMPv6Echo{Identifier: 7, SeqNumber: uint16(seq)}, payload(n))
}

// solicit asks for a station's address over IPv6.
func (s *script) solicit(from, who station) *script {
	last := who.ip6.As16()
	group := station{ip6: netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: last[13], 14: last[14], 15: last[15]})}
	group.mac = [6]byte{0x33, 0x33, 0xff, last[13], last[14], last[15]}
	return s.layers(ether(from, group.mac, layers.EthernetTypeIPv6), ipv6(from, group, layers.IPProtocolICMPv6),
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(135, 0)},
		&layers.ICMPv6NeighborSolicitation{TargetAddress: who.ip6.AsSlice(),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: from.mac[:]}}})
}

// udp sends a datagram of n bytes.
func (s *script) udp(from, to station, port uint16, n int) *script {
	return s.layers(ether(from, to.mac, layers.EthernetTypeIPv4), ip4(from, to, layers.IPProtocolUDP),
		&layers.UDP{SrcPort: layers.UDPPort(port), DstPort: 9}, payload(n))
}

// syn knocks at a TCP port.
func (s *script) syn(from, to station, port uint16) *script {
	return s.layers(ether(from, to.mac, layers.EthernetTypeIPv4), ip4(from, to, layers.IPProtocolTCP),
		&layers.TCP{SrcPort: layers.TCPPort(port), DstPort: 80, SYN: true, Seq: 1000, Window: 65535})
}

// fragments is a ping of n bytes in IPv4 fragments of 1,480.
func (s *script) fragments(from, to station, seq, n int) *script {
	whole := frame(&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: uint16(seq)}, payload(n))
	const most = 1480
	for off := 0; off < len(whole); off += most {
		ip := ip4(from, to, layers.IPProtocolICMPv4)
		ip.Id, ip.FragOffset = uint16(seq), uint16(off/8)
		end := min(off+most, len(whole))
		if end < len(whole) {
			ip.Flags = layers.IPv4MoreFragments
		}
		s.layers(ether(from, to.mac, layers.EthernetTypeIPv4), ip, gopacket.Payload(whole[off:end]))
	}
	return s
}

func payload(n int) gopacket.Payload {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7)
	}
	return p
}

// noise adds n frames of every kind of size, address and content, many of them
// wrong, at random times.
func (s *script) noise(seed uint64, n, guests int) *script {
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		s.after(sim.Time(r.IntN(2_000_000)) * sim.Time(r.IntN(2)))
		size := 14 + r.IntN(120)
		switch r.IntN(12) {
		case 0:
			size = 14 + r.IntN(1500)
		case 1:
			size = 1500 + r.IntN(8500) // some longer than the NIC takes
		}
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		src, dst := far(r.IntN(20)), guest(r.IntN(guests))
		switch r.IntN(16) {
		case 0:
			dst.mac = broadcast
		case 1:
			dst.mac = [6]byte{0x01, 0x00, 0x5e, 0, 0, byte(r.IntN(4))}
		case 2:
			dst.mac = [6]byte{0x01, 0x80, 0xc2, 0, 0, byte(r.IntN(32))} // reserved, and pause
		case 3:
			dst = router
		case 4:
			dst = far(r.IntN(20)) // behind the port it comes from
		case 5:
			src.mac[0] |= 1
		case 6:
			src.mac = guest(r.IntN(guests)).mac // a guest's own address, outside
		case 7:
			src.mac = [6]byte{0x02, byte(r.Uint32()), byte(r.Uint32()), 0, 0, 1}
		case 8:
			src = router
		}
		copy(b, dst.mac[:])
		copy(b[6:], src.mac[:])
		if r.IntN(2) == 0 {
			types := []uint16{0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x8808}
			binary.BigEndian.PutUint16(b[12:], types[r.IntN(len(types))])
		}
		s.raw(b)
	}
	return s
}

// answer is the peer's answer to a frame that came out, nil for none.
func answer(data []byte) []byte {
	if len(data) < 42 {
		return nil
	}
	switch binary.BigEndian.Uint16(data[12:]) {
	case 0x0806:
		p := data[14:]
		if binary.BigEndian.Uint16(p[6:]) != 1 || p[14] != 192 || p[24] != 192 || p[27] < 200 || p[27] >= 220 {
			return nil
		}
		who := far(int(p[27]) - 200)
		return frame(ether(who, [6]byte(p[8:14]), layers.EthernetTypeARP), &layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPReply, SourceHwAddress: who.mac[:], SourceProtAddress: who.ip4.AsSlice(),
			DstHwAddress: p[8:14], DstProtAddress: p[14:18],
		})
	case 0x86dd:
		if len(data) < 78 || data[20] != 58 || data[54] != 135 || data[76] != 2 || data[77] >= 20 {
			return nil
		}
		who, asks := far(int(data[77])), station{mac: [6]byte(data[6:12]), ip6: netip.AddrFrom16([16]byte(data[22:38]))}
		return frame(ether(who, asks.mac, layers.EthernetTypeIPv6), ipv6(who, asks, layers.IPProtocolICMPv6),
			&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(136, 0)},
			&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: who.ip6.AsSlice(),
				Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: who.mac[:]}}})
	}
	return nil
}
