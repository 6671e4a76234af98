package differential

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/bridge"
)

// station is an address that can be a station's; now and then one of the
// bridge's own.
func (g *generator) station() bridge.MAC {
	if g.percent(8) {
		return g.s.MAC(g.IntN(len(g.s.Ports) + 1))
	}
	return pick(g, g.stations)
}

func (g *generator) source() bridge.MAC {
	switch n := g.IntN(100); {
	case n < 2:
		return bridge.MAC{}
	case n < 4:
		return bridge.MAC{1, 0, 0x5e, 0, 0, 1}
	}
	return g.station()
}

func (g *generator) destination() bridge.MAC {
	switch n := g.IntN(100); {
	case n < 12:
		return broadcast
	case n < 20:
		return Reserved(uint8(g.IntN(17)))
	case n < 30:
		return GroupMAC(pick(g, append(groups, groups6...)))
	case n < 31:
		return bridge.MAC{}
	}
	return g.station()
}

func (g *generator) frame() { g.frameOn(g.anyPort(10)) }

// frameOn makes a frame that comes in by the port p.
func (g *generator) frameOn(p int) {
	var f []byte
	switch n := g.IntN(100); {
	case n < 60:
		f = Ethernet(g.destination(), g.source(), g.etherType(), g.payload()...)
	case n < 72:
		f = g.multicast()
	case n < 86:
		f = g.membership()
	case n < 96:
		f = g.neighbour(p)
	default:
		f = g.bpdu()
	}
	if g.percent(2) {
		f = g.spoil(f)
	}
	for g.percent(g.tagged) && len(f) <= 1510 {
		tpid := pick(g, []uint16{EtherVLAN, EtherVLAN, EtherVLAN, EtherSVLAN})
		f = insertTag(f, tpid, pick(g, g.vids)|uint16(g.IntN(16))<<12)
	}
	if short := headerLen + g.IntN(6); g.percent(g.tagged/20) && !twice(f) {
		f = f[:min(len(f), short)]
	}
	if p == Host {
		f = f[:min(len(f), 1500)]
	}
	g.add(Step{Kind: Frame, Port: p, Bytes: slices.Clip(f)})
}

// twice says that a frame has two tags. Such a frame is not made shorter than
// they are: br_netfilter, where it is built in, throws it away.
func twice(f []byte) bool {
	_, rest, ok := untag(f)
	return ok && isTag(rest)
}

func (g *generator) etherType() uint16 {
	if g.percent(75) {
		return EtherTest
	}
	return pick(g, []uint16{EtherIPv4, EtherIPv6, EtherARP, EtherLLDP, EtherPause, EtherEAPOL, 46, 1500, 0, 0x5ff})
}

// payload is mostly what fills a frame to the least or the greatest length, and
// sometimes odd: none at all, a byte, a byte more than fits. A serial number
// tells frames apart. No byte is zero, since an LLC header of zeros would be
// answered by the kernel.
func (g *generator) payload() []byte {
	n := 46
	switch x := g.IntN(100); {
	case x < 10:
		n = g.IntN(8)
	case x < 13:
		n = 1500
	case x < 15 && g.has("mtu"):
		n = pick(g, []int{1497, 1499, 1501, 1502, 1504, 1505, 1508, 2000})
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xaa
	}
	g.serial++
	if n >= 8 {
		copy(b[4:], fmt.Sprintf("%04x", g.serial&0xffff))
	}
	return b
}

// multicast is data to an IP group, its Ethernet address sometimes another's.
func (g *generator) multicast() []byte {
	src := g.station()
	g.serial++
	data := UDP(fmt.Appendf(nil, "%08x", g.serial)...)
	if g.percent(50) {
		group := pick(g, groups)
		f := Ethernet(GroupMAC(group), src, EtherIPv4, IPv4(pick(g, hosts), group, protoUDP, data)...)
		if g.percent(4) {
			other := GroupMAC(pick(g, groups))
			copy(f, other[:])
		}
		return f
	}
	group := pick(g, groups6)
	return Ethernet(GroupMAC(group), src, EtherIPv6, IPv6(pick(g, hosts6), group, protoUDP, 64, data)...)
}

// membership is a message of IGMP or MLD.
func (g *generator) membership() []byte {
	if g.percent(50) {
		return g.igmp()
	}
	return g.mld()
}

func (g *generator) records(groups, hosts []netip.Addr) (list []Record) {
	for range 1 + g.IntN(3) {
		r := Record{Type: uint8(1 + g.IntN(6)), Group: pick(g, groups)}
		if g.percent(3) {
			r.Type = pick(g, []uint8{0, 7, 200})
		}
		for _, h := range hosts {
			if g.percent(30) {
				r.Sources = append(r.Sources, h)
			}
		}
		list = append(list, r)
	}
	return list
}

// code is the response time of a query, so long that it is not over within a
// run, or 0.
func (g *generator) code() uint8 {
	if g.percent(15) {
		return 0
	}
	return uint8(100 + g.IntN(156))
}

// delay is the same of MLD, in milliseconds.
func (g *generator) delay() uint16 {
	if g.percent(15) {
		return 0
	}
	return uint16(20000 + g.IntN(1<<16-20000))
}

func (g *generator) igmp() []byte {
	group, src := pick(g, groups), pick(g, hosts)
	if g.percent(10) {
		src = zero4
	}
	dst, m := group, []byte(nil)
	switch n := g.IntN(100); {
	case n < 5:
		m = IGMP(IGMPv1Report, 0, group)
	case n < 35:
		m = IGMP(IGMPv2Report, 0, group)
	case n < 50:
		dst, m = netip.MustParseAddr("224.0.0.2"), IGMP(IGMPLeave, 0, group)
	case n < 75:
		dst, m = netip.MustParseAddr("224.0.0.22"), IGMPv3(g.records(groups, hosts)...)
	case n < 82:
		dst, m = netip.MustParseAddr("224.0.0.1"), IGMP(IGMPQuery, g.code(), zero4)
	case n < 87:
		m = IGMP(IGMPQuery, g.code(), group)
	case n < 92:
		m = IGMPv3Query(g.code()|100, group, g.percent(50), hosts[:g.IntN(3)]...)
	case n < 96:
		dst, m = netip.MustParseAddr("224.0.0.1"), IGMPv3Query(g.code()|100, zero4, false)
	default:
		m = IGMP(pick(g, []uint8{0, 0x13, 0x14, 0x1f, 0x24, 0x30, 0xff}), 0, group)
	}
	return Ethernet(GroupMAC(dst), g.station(), EtherIPv4, IPv4(src, dst, protoIGMP, m)...)
}

func (g *generator) mld() []byte {
	group, src := pick(g, groups6), pick(g, hosts6)
	if g.percent(8) {
		src = zero6
	}
	all := netip.MustParseAddr("ff02::1")
	var p []byte
	switch n := g.IntN(100); {
	case n < 35:
		p = MLD(src, group, MLDv1Report, 0, group)
	case n < 50:
		p = MLD(src, netip.MustParseAddr("ff02::2"), MLDDone, 0, group)
	case n < 75:
		p = MLDv2(src, g.records(groups6, hosts6)...)
	case n < 83:
		p = MLD(src, all, MLDQuery, g.delay(), zero6)
	case n < 90:
		p = MLD(src, group, MLDQuery, g.delay()|20000, group)
	case n < 97:
		p = MLDv2Query(src, group, g.delay()|20000, group, g.percent(50), hosts6[:g.IntN(3)]...)
	default:
		p = MLDv2Query(src, all, g.delay()|20000, zero6, false)
	}
	dst, _ := netip.AddrFromSlice(p[24:40])
	return Ethernet(GroupMAC(dst), g.station(), EtherIPv6, p...)
}

// neighbour is a message of ARP or of neighbour discovery. The host's are from
// its own address: an answer to another, which Linux would put into the bridge
// as a frame of the host's, is not modelled.
func (g *generator) neighbour(p int) []byte {
	i, j := g.IntN(len(hosts)), g.IntN(len(hosts))
	mac, to := g.stations[i], g.stations[j]
	if p == Host {
		mac = g.s.MAC(Host)
	}
	if g.percent(50) {
		return g.arp(mac, to, hosts[i], hosts[j])
	}
	target := hosts6[j]
	switch n := g.IntN(100); {
	case n < 60:
		a := target.As16()
		dst := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
		return Ethernet(GroupMAC(dst), mac, EtherIPv6, ND(hosts6[i], dst, NDSolicit, 0, target, mac)...)
	case n < 70 && g.has(keepsProbes): // duplicate address detection
		a := target.As16()
		dst := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
		return Ethernet(GroupMAC(dst), mac, EtherIPv6, IPv6(zero6, dst, protoICMPv6, 255, icmpv6(zero6, dst, append([]byte{NDSolicit, 0, 0, 0, 0, 0, 0, 0}, a[:]...)))...)
	case n < 80 && g.has(keepsProbes):
		return Ethernet(to, mac, EtherIPv6, ND(hosts6[i], target, NDSolicit, 0, target, mac)...)
	case n < 90:
		return Ethernet(to, mac, EtherIPv6, ND(hosts6[i], target, NDAdvert, 0x60, hosts6[i], mac)...)
	}
	all := netip.MustParseAddr("ff02::1")
	return Ethernet(GroupMAC(all), mac, EtherIPv6, ND(hosts6[i], all, NDAdvert, 0x20, hosts6[i], mac)...)
}

func (g *generator) arp(mac, to bridge.MAC, from, target netip.Addr) []byte {
	switch n := g.IntN(100); {
	case n < 60:
		return Pad(Ethernet(broadcast, mac, EtherARP, ARP(1, mac, from, bridge.MAC{}, target)...), 60)
	case n < 75:
		return Pad(Ethernet(to, mac, EtherARP, ARP(2, mac, from, to, target)...), 60)
	case n < 82 && g.has(keepsProbes): // gratuitous
		return Pad(Ethernet(broadcast, mac, EtherARP, ARP(uint16(1+g.IntN(2)), mac, from, bridge.MAC{}, from)...), 60)
	case n < 88 && g.has(keepsProbes):
		return Pad(Ethernet(broadcast, mac, EtherARP, ARP(1, mac, zero4, bridge.MAC{}, target)...), 60)
	case n < 94 && g.has(keepsProbes):
		return Pad(Ethernet(to, mac, EtherARP, ARP(1, mac, from, to, target)...), 60)
	}
	return Ethernet(broadcast, mac, EtherARP, ARP(uint16(g.IntN(12)), mac, from, to, target)...)
}

func (g *generator) bpdu() []byte {
	src := g.station()
	if g.percent(30) {
		return TCN(src)
	}
	id := [8]byte{byte(g.IntN(2) * 0x80), byte(g.IntN(3)), 2, 0, 0, 0, 0, byte(g.IntN(200))}
	return BPDU{
		Flags: pick(g, []uint8{0, 0, 0, 1, 0x80, 0x81}), Root: id, Cost: uint32(g.IntN(200)), Bridge: id, Port: 0x8000 | uint16(g.IntN(10)),
		Age: uint16(g.IntN(0x300)), MaxAge: 20 << 8, Hello: 2 << 8, ForwardDelay: 15 << 8,
	}.Frame(src)
}

// spoil breaks a frame behind its addresses: a bit, the end, or more behind it.
func (g *generator) spoil(f []byte) []byte {
	switch g.IntN(3) {
	case 0:
		if len(f) > headerLen {
			f[headerLen+g.IntN(len(f)-headerLen)] ^= 1 << g.IntN(8)
		}
	case 1:
		f = f[:headerLen+g.IntN(len(f)-headerLen+1)]
	default:
		if len(f) < 1480 {
			f = append(f, make([]byte, 1+g.IntN(20))...)
		}
	}
	return f
}
