package guest

import (
	"encoding/binary"

	"ringside/netstack"
)

// headers is what charging needs to know of a packet. It is small, so that it is
// handed on in registers.
type headers struct {
	addrs, size int // where IP's source address begins, and the bytes of each of the two; 0 without
	transport   int // where TCP, UDP or ICMP begins; 0 if the packet has none of them
}

func (h headers) src(b []byte) []byte { return b[h.addrs : h.addrs+h.size] }
func (h headers) dst(b []byte) []byte { return b[h.addrs+h.size : h.addrs+2*h.size] }

// Protocol numbers of IP.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// headerRoom holds an Ethernet header with a tag, and an IPv6 header or the
// longest of IPv4.
const headerRoom = 18 + 60

// look reads the headers of a packet, and says where they lie: nearly always in its
// first part.
func (k *Kernel) look(p *netstack.Packet) ([]byte, headers) {
	if len(p.Parts) > 0 {
		if h := parse(p.Parts[0]); h.transport > 0 {
			return p.Parts[0], h
		}
	}
	b := k.head(p)
	return b, parse(b)
}

// head is the beginning of a packet, as much as headers need.
func (k *Kernel) head(p *netstack.Packet) []byte {
	if len(p.Parts) == 0 {
		return nil
	}
	b := p.Parts[0]
	if len(b) < headerRoom && len(p.Parts) > 1 {
		n := 0
		for _, part := range p.Parts {
			n += copy(k.scratch[n:], part)
		}
		b = k.scratch[:n]
	}
	return b
}

// parse reads the headers at the beginning of a frame.
func parse(b []byte) (h headers) {
	if len(b) < 14 {
		return
	}
	kind, at := binary.BigEndian.Uint16(b[12:]), 14
	switch {
	case kind == 0x0800 && len(b) >= at+20:
		h.addrs, h.size = at+12, 4
		first, n := binary.BigEndian.Uint16(b[at+6:])&0x1fff == 0, int(b[at]&15)*4
		if first && transported(b[at+9]) && n >= 20 && at+n <= len(b) {
			h.transport = at + n
		}
	case kind == 0x86dd && len(b) >= at+40:
		h.addrs, h.size = at+8, 16
		if transported(b[at+6]) {
			h.transport = at + 40
		}
	}
	return
}

// multicast says whether an address, as a packet has it, is a group's.
func multicast(a []byte) bool { return len(a) == 4 && a[0]>>4 == 0xe || len(a) == 16 && a[0] == 0xff }

// transported says that the protocol is one that the stack's transport layer takes.
func transported(proto byte) bool {
	return proto == protoTCP || proto == protoUDP || proto == protoICMP || proto == protoICMPv6
}
