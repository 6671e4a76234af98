package guest

import (
	"encoding/binary"

	"ringside/netstack"
)

// headers is what charging needs to know of a packet.
type headers struct {
	src, dst  []byte // addresses, in the packet; nil where they are not IP's
	transport int    // where TCP, UDP or ICMP begins; 0 if the packet has none of them
}

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

// look reads the headers of a packet, which nearly always lie in its first part.
func (k *Kernel) look(p *netstack.Packet) headers {
	if len(p.Parts) > 0 {
		if h := parse(p.Parts[0]); h.transport > 0 {
			return h
		}
	}
	return parse(k.head(p))
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
		h.src, h.dst = b[at+12:at+16], b[at+16:at+20]
		first, n := binary.BigEndian.Uint16(b[at+6:])&0x1fff == 0, int(b[at]&15)*4
		if first && transported(b[at+9]) && n >= 20 && at+n <= len(b) {
			h.transport = at + n
		}
	case kind == 0x86dd && len(b) >= at+40:
		h.src, h.dst = b[at+8:at+24], b[at+24:at+40]
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
