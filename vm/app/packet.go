package app

import (
	"encoding/binary"
	"net/netip"
)

// A packet is what a firewall looks at in a frame.
type packet struct {
	ip        bool // IPv4 or IPv6, whose headers are whole
	proto     uint8
	src, dst  netip.Addr
	ports     bool // TCP or UDP, the first fragment if it is one
	srcPort   uint16
	dstPort   uint16
	neighbour bool // ARP, or neighbour discovery of ICMPv6
}

// EtherTypes.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100
	typeIPv6 = 0x86dd
)

// dissect takes a frame apart, with one VLAN tag or none.
func dissect(b []byte) (p packet) {
	if len(b) < 14 {
		return p
	}
	kind, at := binary.BigEndian.Uint16(b[12:]), 14
	if kind == typeVLAN && len(b) >= 18 {
		kind, at = binary.BigEndian.Uint16(b[16:]), 18
	}
	switch b = b[at:]; kind {
	case typeARP:
		p.neighbour = true
	case typeIPv4:
		p.ipv4(b)
	case typeIPv6:
		p.ipv6(b)
	}
	return p
}

func (p *packet) ipv4(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 || len(b) < int(b[0]&15)*4 {
		return
	}
	p.ip, p.proto = true, b[9]
	p.src, p.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	if binary.BigEndian.Uint16(b[6:])&0x1fff == 0 {
		p.transport(b[int(b[0]&15)*4:])
	}
}

// Headers that can stand between those of IPv6 and the transport's [RFC 8200, 4].
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	destination = 60
	maxHeaders  = 8 // of them that are looked at
)

func (p *packet) ipv6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	p.ip, p.proto = true, b[6]
	p.src, p.dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	b = b[40:]
	for range maxHeaders {
		n := 8
		switch p.proto {
		case hopByHop, routing, destination:
			if len(b) < 2 {
				return
			}
			n = 8 + int(b[1])*8
		case fragment:
			if len(b) < 8 {
				return
			}
			if binary.BigEndian.Uint16(b[2:])>>3 != 0 { // not the first: what follows is no header
				p.proto = b[0]
				return
			}
		default:
			p.transport(b)
			return
		}
		if len(b) < n {
			return
		}
		p.proto, b = b[0], b[n:]
	}
}

// transport looks at what IP carries.
func (p *packet) transport(b []byte) {
	switch {
	case (p.proto == 6 || p.proto == 17) && len(b) >= 4:
		p.ports, p.srcPort, p.dstPort = true, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	case p.proto == 58 && len(b) > 0:
		p.neighbour = b[0] >= 133 && b[0] <= 137
	}
}
