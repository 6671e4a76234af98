package snoop

import (
	"encoding/binary"
	"net/netip"

	"ringside/sim"
)

// Messages as hosts and routers send them, built by hand.

func mac(n byte) MAC { return MAC{0x02, 0, 0, 0, 0, n} }

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// ethernet frames an IP packet to a group.
func ethernet(from MAC, dst netip.Addr, packet []byte) []byte {
	a := dst.AsSlice()
	frame := make([]byte, 14, 14+len(packet))
	if dst.Is4() {
		copy(frame, []byte{1, 0, 0x5e, a[1] & 0x7f, a[2], a[3]})
		binary.BigEndian.PutUint16(frame[12:], typeIPv4)
	} else {
		copy(frame, []byte{0x33, 0x33, a[12], a[13], a[14], a[15]})
		binary.BigEndian.PutUint16(frame[12:], typeIPv6)
	}
	copy(frame[6:], from[:])
	return append(frame, packet...)
}

// packet4 is an IPv4 packet with the Router Alert option.
func packet4(src, dst netip.Addr, protocol byte, body []byte) []byte {
	p := make([]byte, 24, 24+len(body))
	copy(p, []byte{0x46, 0xc0, 0, 0, 0, 0, 0x40, 0, 1, protocol})
	binary.BigEndian.PutUint16(p[2:], uint16(24+len(body)))
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	copy(p[20:], []byte{0x94, 4, 0, 0})
	binary.BigEndian.PutUint16(p[10:], ^sum(0, p))
	return append(p, body...)
}

// packet6 is an IPv6 packet with hop-by-hop options that hold a Router Alert.
func packet6(src, dst netip.Addr, body []byte) []byte {
	p := make([]byte, 48, 48+len(body))
	p[0], p[7] = 0x60, 1
	binary.BigEndian.PutUint16(p[4:], uint16(8+len(body)))
	copy(p[8:], src.AsSlice())
	copy(p[24:], dst.AsSlice())
	copy(p[40:], []byte{protoICMPv6, 0, 5, 2, 0, 0, 1, 0})
	return append(p, body...)
}

func sum4(body []byte) []byte {
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], ^sum(0, body))
	return body
}

func sum6(src, dst netip.Addr, body []byte) []byte {
	body[2], body[3] = 0, 0
	pseudo := uint32(len(body)) + protoICMPv6 + uint32(sum(0, src.AsSlice())) + uint32(sum(0, dst.AsSlice()))
	binary.BigEndian.PutUint16(body[2:], ^sum(pseudo, body))
	return body
}

func igmp(host byte, typ, code byte, dst, group string) []byte {
	body := append([]byte{typ, code, 0, 0}, ip(group).AsSlice()...)
	return ethernet(mac(host), ip(dst), packet4(host4(host), ip(dst), protoIGMP, sum4(body)))
}

func host4(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
func host6(n byte) netip.Addr { return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: n}) }

func join2(host byte, group string) []byte  { return igmp(host, igmpV2Report, 0, group, group) }
func join1(host byte, group string) []byte  { return igmp(host, igmpV1Report, 0, group, group) }
func leave2(host byte, group string) []byte { return igmp(host, igmpLeave, 0, "224.0.0.2", group) }

// query2 is an IGMPv2 query with a response time in tenths of a second.
func query2(host byte, code byte, group string) []byte {
	if group == "" {
		return igmp(host, igmpQuery, code, "224.0.0.1", "0.0.0.0")
	}
	return igmp(host, igmpQuery, code, group, group)
}

func query3(host byte, code byte, group string, suppress bool, sources ...string) []byte {
	dst := group
	if group == "0.0.0.0" {
		dst = "224.0.0.1"
	}
	body := append([]byte{igmpQuery, code, 0, 0}, ip(group).AsSlice()...)
	flags := byte(2)
	if suppress {
		flags |= 8
	}
	body = append(body, flags, 125, 0, byte(len(sources)))
	for _, a := range sources {
		body = append(body, ip(a).AsSlice()...)
	}
	return ethernet(mac(host), ip(dst), packet4(host4(host), ip(dst), protoIGMP, sum4(body)))
}

func mldQ(host byte, ms uint16, group string) []byte {
	dst := group
	if group == "::" {
		dst = "ff02::1"
	}
	body := binary.BigEndian.AppendUint16([]byte{mldQuery, 0, 0, 0}, ms)
	body = append(append(body, 0, 0), ip(group).AsSlice()...)
	return mldFrame(host, dst, body)
}

func mldQ2(host byte, code uint16, group string, suppress bool, sources ...string) []byte {
	f := mldQ(host, code, group)
	body := append([]byte(nil), f[14+48:]...)
	flags := byte(2)
	if suppress {
		flags |= 8
	}
	body = append(body, flags, 125, 0, byte(len(sources)))
	for _, a := range sources {
		body = append(body, ip(a).AsSlice()...)
	}
	return mldFrame(host, netip.AddrFrom16([16]byte(f[14+24:14+40])).String(), body)
}

func mldFrame(host byte, dst string, body []byte) []byte {
	return ethernet(mac(host), ip(dst), packet6(host6(host), ip(dst), sum6(host6(host), ip(dst), body)))
}

func mld(host byte, typ byte, dst, group string) []byte {
	return mldFrame(host, dst, append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, ip(group).AsSlice()...))
}

func join6(host byte, group string) []byte { return mld(host, mldReport, group, group) }
func done6(host byte, group string) []byte { return mld(host, mldDone, "ff02::2", group) }

// A rec is a group record.
type rec struct {
	typ     byte
	group   string
	sources []string
}

func report3(host byte, records ...rec) []byte {
	body := []byte{igmpV3Report, 0, 0, 0, 0, 0, 0, byte(len(records))}
	return ethernet(mac(host), ip("224.0.0.22"),
		packet4(host4(host), ip("224.0.0.22"), protoIGMP, sum4(appendRecords(body, records))))
}

func mldReport2(host byte, records ...rec) []byte {
	body := []byte{mldV2Report, 0, 0, 0, 0, 0, 0, byte(len(records))}
	return mldFrame(host, "ff02::16", appendRecords(body, records))
}

func appendRecords(body []byte, records []rec) []byte {
	for _, r := range records {
		body = append(body, r.typ, 0, byte(len(r.sources)>>8), byte(len(r.sources)))
		body = append(body, ip(r.group).AsSlice()...)
		for _, a := range r.sources {
			body = append(body, ip(a).AsSlice()...)
		}
	}
	return body
}

// udp is a data frame.
func udp(src, dst string) []byte {
	payload := []byte{0, 9, 0, 9, 0, 8, 0, 0}
	if ip(dst).Is4() {
		return ethernet(mac(99), ip(dst), packet4(ip(src), ip(dst), 17, payload))
	}
	p := make([]byte, 40, 48)
	p[0], p[5], p[6], p[7] = 0x60, 8, 17, 1
	copy(p[8:], ip(src).AsSlice())
	copy(p[24:], ip(dst).AsSlice())
	return ethernet(mac(99), ip(dst), append(p, payload...))
}

const sec = sim.Second
