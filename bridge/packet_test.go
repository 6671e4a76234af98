package bridge_test

import (
	"encoding/binary"
	"net/netip"

	"ringside/bridge"
)

// Frames as hosts and routers send them, built by hand.

var (
	broadcast = bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	bridgeMAC = bridge.MAC{2, 0, 0, 0, 0xbb, 0}
)

// host is the address of a station.
func host(n byte) bridge.MAC { return bridge.MAC{2, 0, 0, 0, 0, n} }

// portMAC is the address of a port's interface.
func portMAC(n byte) bridge.MAC { return bridge.MAC{2, 0, 0, 0, 0xbb, n} }

// linkLocal is 01:80:c2:00:00:0n.
func linkLocal(n byte) bridge.MAC { return bridge.MAC{1, 0x80, 0xc2, 0, 0, n} }

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }
func ip4(n byte) netip.Addr  { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
func ip6(n byte) netip.Addr  { return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: n}) }

// groupMAC is where frames to a group go.
func groupMAC(a netip.Addr) bridge.MAC {
	b := a.AsSlice()
	if a.Is4() {
		return bridge.MAC{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	return bridge.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// ethernet is a frame of an EtherType with what follows it.
func ethernet(dst, src bridge.MAC, etherType uint16, payload ...byte) []byte {
	f := append(append([]byte{}, dst[:]...), src[:]...)
	return append(binary.BigEndian.AppendUint16(f, etherType), payload...)
}

// data is a frame of a type that nobody looks into.
func data(dst, src bridge.MAC) []byte { return ethernet(dst, src, 0x88b5, 'd', 'a', 't', 'a') }

// tagged puts a tag in front of the EtherType.
func tagged(tpid, tci uint16, frame []byte) []byte {
	f := append([]byte{}, frame[:12]...)
	f = binary.BigEndian.AppendUint16(f, tpid)
	f = binary.BigEndian.AppendUint16(f, tci)
	return append(f, frame[12:]...)
}

// vlan puts an 802.1Q tag in front.
func vlan(vid uint16, frame []byte) []byte { return tagged(0x8100, vid, frame) }

// svlan puts an 802.1ad tag in front.
func svlan(vid uint16, frame []byte) []byte { return tagged(0x88a8, vid, frame) }

// sum is the Internet checksum with a sum to begin with.
func sum(n uint32, p []byte) uint16 {
	for i := 0; i+1 < len(p); i += 2 {
		n += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	if len(p)%2 == 1 {
		n += uint32(p[len(p)-1]) << 8
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return ^uint16(n)
}

// packet4 is an IPv4 packet, with the Router Alert option if it is IGMP.
func packet4(src, dst netip.Addr, protocol byte, body []byte) []byte {
	p := make([]byte, 20, 24+len(body))
	p[0], p[8], p[9] = 0x45, 1, protocol
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	if protocol == 2 {
		p = append(p, 0x94, 4, 0, 0)
		p[0] = 0x46
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+len(body)))
	binary.BigEndian.PutUint16(p[10:], sum(0, p))
	return append(p, body...)
}

// packet6 is an IPv6 packet, behind hop-by-hop options with a Router Alert if alert.
func packet6(src, dst netip.Addr, next byte, alert bool, body []byte) []byte {
	p := make([]byte, 40, 48+len(body))
	p[0], p[6], p[7] = 0x60, next, 1
	copy(p[8:], src.AsSlice())
	copy(p[24:], dst.AsSlice())
	if alert {
		p[6] = 0
		p = append(p, next, 0, 5, 2, 0, 0, 1, 0)
	}
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40+len(body)))
	return append(p, body...)
}

// udp4 and udp6 are data for a group from a host.
func udp4(n byte, group string) []byte {
	return ethernet(groupMAC(ip(group)), host(n), 0x0800, packet4(ip4(n), ip(group), 17, make([]byte, 12))...)
}

func udp6(n byte, group string) []byte {
	return ethernet(groupMAC(ip(group)), host(n), 0x86dd, packet6(ip6(n), ip(group), 17, false, make([]byte, 12))...)
}

// igmp is an IGMP message of a host, whose checksum is put in.
func igmp(n byte, dst netip.Addr, body ...byte) []byte {
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], sum(0, body))
	return ethernet(groupMAC(dst), host(n), 0x0800, packet4(ip4(n), dst, 2, body)...)
}

// mld is an MLD message of a host, whose checksum is put in.
func mld(n byte, dst netip.Addr, body ...byte) []byte {
	pseudo := append(append([]byte{}, ip6(n).AsSlice()...), dst.AsSlice()...)
	pseudo = append(pseudo, 0, byte(len(body)), 0, 58)
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], sum(uint32(^sum(0, pseudo)), body))
	return ethernet(groupMAC(dst), host(n), 0x86dd, packet6(ip6(n), dst, 58, true, body)...)
}

func with(body []byte, a netip.Addr) []byte { return append(body, a.AsSlice()...) }

func igmpJoin(n byte, group string) []byte {
	return igmp(n, ip(group), with([]byte{0x16, 0, 0, 0}, ip(group))...)
}

func igmpLeave(n byte, group string) []byte {
	return igmp(n, ip("224.0.0.2"), with([]byte{0x17, 0, 0, 0}, ip(group))...)
}

// igmpQuery is an IGMPv2 query; tenths is the response time.
func igmpQuery(n, tenths byte, group string) []byte {
	dst := ip(group)
	if dst.IsUnspecified() {
		dst = ip("224.0.0.1")
	}
	return igmp(n, dst, with([]byte{0x11, tenths, 0, 0}, ip(group))...)
}

// igmp3 is an IGMPv3 report of one record.
func igmp3(n, kind byte, group string, sources ...netip.Addr) []byte {
	body := with([]byte{0x22, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, byte(len(sources))}, ip(group))
	for _, a := range sources {
		body = with(body, a)
	}
	return igmp(n, ip("224.0.0.22"), body...)
}

func mldJoin(n byte, group string) []byte {
	return mld(n, ip(group), with([]byte{131, 0, 0, 0, 0, 0, 0, 0}, ip(group))...)
}

func mldDone(n byte, group string) []byte {
	return mld(n, ip("ff02::2"), with([]byte{132, 0, 0, 0, 0, 0, 0, 0}, ip(group))...)
}

func mldQuery(n, quarter byte, group string) []byte {
	dst := ip(group)
	if dst.IsUnspecified() {
		dst = ip("ff02::1")
	}
	return mld(n, dst, with([]byte{130, 0, 0, 0, quarter, 0, 0, 0}, ip(group))...)
}

// mld2 is an MLDv2 report of one record.
func mld2(n, kind byte, group string, sources ...netip.Addr) []byte {
	body := with([]byte{143, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, byte(len(sources))}, ip(group))
	for _, a := range sources {
		body = with(body, a)
	}
	return mld(n, ip("ff02::16"), body...)
}

// arp is an ARP message; op 1 is a request, 2 an answer.
func arp(dst, src bridge.MAC, op byte, sender, target netip.Addr) []byte {
	p := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, src[:]...)
	p = append(with(p, sender), make([]byte, 6)...)
	return ethernet(dst, src, 0x0806, with(p, target)...)
}

// nd is a neighbour solicitation (135) or advertisement (136).
func nd(dst, src bridge.MAC, typ, flags byte, from, to, target netip.Addr) []byte {
	body := with([]byte{typ, 0, 0, 0, flags, 0, 0, 0}, target)
	return ethernet(dst, src, 0x86dd, packet6(from, to, 58, false, body)...)
}
