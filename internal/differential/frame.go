package differential

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"ringside/bridge"
)

// Ethernet types that frames here have.
const (
	EtherIPv4  = 0x0800
	EtherARP   = 0x0806
	EtherVLAN  = 0x8100
	EtherSVLAN = 0x88a8
	EtherIPv6  = 0x86dd
	EtherPause = 0x8808
	EtherEAPOL = 0x888e
	EtherTest  = 0x88b5 // IEEE 802, local experiments
	EtherLLDP  = 0x88cc
)

const headerLen = 14

var broadcast = bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Ethernet is a frame of a header and its payload.
func Ethernet(dst, src bridge.MAC, typ uint16, payload ...byte) []byte {
	b := append(append(make([]byte, 0, headerLen+len(payload)), dst[:]...), src[:]...)
	return append(binary.BigEndian.AppendUint16(b, typ), payload...)
}

// Pad makes a frame at least n bytes long.
func Pad(frame []byte, n int) []byte {
	return append(frame, make([]byte, max(0, n-len(frame)))...)
}

// Reserved is 01:80:c2:00:00:0n.
func Reserved(n uint8) bridge.MAC { return bridge.MAC{1, 0x80, 0xc2, 0, 0, n} }

// insertTag puts a VLAN tag behind the addresses.
func insertTag(frame []byte, tpid, tci uint16) []byte {
	if len(frame) < 12 {
		return frame
	}
	b := append(make([]byte, 0, len(frame)+4), frame[:12]...)
	b = binary.BigEndian.AppendUint16(b, tpid)
	b = binary.BigEndian.AppendUint16(b, tci)
	return append(b, frame[12:]...)
}

// Tagged is a frame with a tag of 802.1Q.
func Tagged(vid uint16, frame []byte) []byte { return insertTag(frame, EtherVLAN, vid) }

// untag is the first tag of a frame, if it has one, and the frame without it.
func untag(frame []byte) (tci uint16, rest []byte, ok bool) {
	if len(frame) < headerLen+4 {
		return 0, frame, false
	}
	if !isTag(frame) {
		return 0, frame, false
	}
	rest = append(append(make([]byte, 0, len(frame)), frame[:12]...), frame[16:]...)
	return binary.BigEndian.Uint16(frame[14:]), rest, true
}

// isTag says that a frame has a tag, or at least the type of one.
func isTag(frame []byte) bool {
	t := binary.BigEndian.Uint16(frame[12:])
	return t == EtherVLAN || t == EtherSVLAN
}

// bare is a frame as a socket for its protocol gets it on a port's own
// interface: the kernel has taken its tag off, and has gone on to the next one
// if that was a priority tag.
func bare(frame []byte) []byte {
	for {
		tci, rest, ok := untag(frame)
		if !ok {
			return frame
		}
		frame = rest
		if tci&0xfff != 0 {
			return frame
		}
	}
}

// checksum is the Internet checksum, RFC 1071.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// GroupMAC is the Ethernet address of an IP multicast group.
func GroupMAC(g netip.Addr) bridge.MAC {
	if g.Is4() {
		a := g.As4()
		return bridge.MAC{1, 0, 0x5e, a[1] & 0x7f, a[2], a[3]}
	}
	a := g.As16()
	return bridge.MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// IPv4 is a packet. With a TTL of 1 it carries the router alert option, as IGMP
// wants it.
func IPv4(src, dst netip.Addr, proto uint8, payload []byte) []byte {
	ttl, options := uint8(64), []byte(nil)
	if proto == protoIGMP {
		ttl, options = 1, []byte{0x94, 4, 0, 0}
	}
	n := 20 + len(options)
	b := make([]byte, n, n+len(payload))
	b[0] = 0x40 | uint8(n/4)
	binary.BigEndian.PutUint16(b[2:], uint16(n+len(payload)))
	b[8], b[9] = ttl, proto
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	copy(b[20:], options)
	binary.BigEndian.PutUint16(b[10:], checksum(b[:n], 0))
	return append(b, payload...)
}

const (
	protoIGMP   = 2
	protoUDP    = 17
	protoICMPv6 = 58
)

// UDP is a datagram without a checksum of its own.
func UDP(payload ...byte) []byte {
	b := []byte{0x13, 0x88, 0x13, 0x89}
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// IGMP is a message of eight bytes, RFC 2236.
func IGMP(typ, code uint8, group netip.Addr) []byte {
	b := append([]byte{typ, code, 0, 0}, group.AsSlice()...)
	binary.BigEndian.PutUint16(b[2:], checksum(b, 0))
	return b
}

// The types of IGMP messages.
const (
	IGMPQuery    = 0x11
	IGMPv1Report = 0x12
	IGMPv2Report = 0x16
	IGMPLeave    = 0x17
	IGMPv3Report = 0x22
)

// IGMPv3Query is a query with sources, RFC 3376 section 4.1.
func IGMPv3Query(code uint8, group netip.Addr, suppress bool, sources ...netip.Addr) []byte {
	b := append([]byte{IGMPQuery, code, 0, 0}, group.AsSlice()...)
	flags := uint8(2) // robustness
	if suppress {
		flags |= 8
	}
	b = append(b, flags, 125)
	b = binary.BigEndian.AppendUint16(b, uint16(len(sources)))
	for _, s := range sources {
		b = append(b, s.AsSlice()...)
	}
	binary.BigEndian.PutUint16(b[2:], checksum(b, 0))
	return b
}

// A Record is a group record of a version 3 report of IGMP or a version 2
// report of MLD.
type Record struct {
	Type    uint8 // 1 is include, 2 exclude, 3 to include, 4 to exclude, 5 allow, 6 block
	Group   netip.Addr
	Sources []netip.Addr
}

func records(b []byte, list []Record) []byte {
	for _, r := range list {
		b = append(b, r.Type, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.Sources)))
		b = append(b, r.Group.AsSlice()...)
		for _, s := range r.Sources {
			b = append(b, s.AsSlice()...)
		}
	}
	return b
}

// IGMPv3 is a report, RFC 3376 section 4.2.
func IGMPv3(list ...Record) []byte {
	b := []byte{IGMPv3Report, 0, 0, 0, 0, 0, 0, uint8(len(list))}
	b = records(b, list)
	binary.BigEndian.PutUint16(b[2:], checksum(b, 0))
	return b
}

// IPv6 is a packet.
func IPv6(src, dst netip.Addr, next, hops uint8, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, next, hops)
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(b, payload...)
}

// icmpv6 sets the checksum of a message, RFC 4443 section 2.3.
func icmpv6(src, dst netip.Addr, m []byte) []byte {
	pseudo := append(append(src.AsSlice(), dst.AsSlice()...), 0, 0)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(m)))
	pseudo = append(pseudo, 0, 0, 0, protoICMPv6)
	binary.BigEndian.PutUint16(m[2:], 0)
	binary.BigEndian.PutUint16(m[2:], checksum(append(pseudo, m...), 0))
	return m
}

// The types of MLD and of neighbour discovery.
const (
	MLDQuery    = 130
	MLDv1Report = 131
	MLDDone     = 132
	NDSolicit   = 135
	NDAdvert    = 136
	MLDv2Report = 143
)

// MLD is a packet with a version 1 message: hop-by-hop options with a router
// alert, and the message, RFC 2710.
func MLD(src, dst netip.Addr, typ uint8, delay uint16, group netip.Addr) []byte {
	m := []byte{typ, 0, 0, 0}
	m = append(binary.BigEndian.AppendUint16(m, delay), 0, 0)
	return hopByHop(src, dst, append(m, group.AsSlice()...))
}

// MLDv2Query is a query with sources, RFC 3810 section 5.1.
func MLDv2Query(src, dst netip.Addr, delay uint16, group netip.Addr, suppress bool, sources ...netip.Addr) []byte {
	m := []byte{MLDQuery, 0, 0, 0}
	m = append(binary.BigEndian.AppendUint16(m, delay), 0, 0)
	flags := uint8(2)
	if suppress {
		flags |= 8
	}
	m = append(append(m, group.AsSlice()...), flags, 125)
	m = binary.BigEndian.AppendUint16(m, uint16(len(sources)))
	for _, s := range sources {
		m = append(m, s.AsSlice()...)
	}
	return hopByHop(src, dst, m)
}

// MLDv2 is a packet with a version 2 report, RFC 3810 section 5.2.
func MLDv2(src netip.Addr, list ...Record) []byte {
	m := []byte{MLDv2Report, 0, 0, 0, 0, 0, 0, uint8(len(list))}
	return hopByHop(src, netip.MustParseAddr("ff02::16"), records(m, list))
}

func hopByHop(src, dst netip.Addr, message []byte) []byte {
	options := []byte{protoICMPv6, 0, 5, 2, 0, 0, 1, 0} // router alert, pad
	return IPv6(src, dst, 0, 1, append(options, icmpv6(src, dst, message)...))
}

// ND is a packet with a neighbour solicitation or advertisement and one option
// with a link-layer address, RFC 4861.
func ND(src, dst netip.Addr, typ, flags uint8, target netip.Addr, mac bridge.MAC) []byte {
	m := append([]byte{typ, 0, 0, 0, flags, 0, 0, 0}, target.AsSlice()...)
	option := uint8(1)
	if typ == NDAdvert {
		option = 2
	}
	m = append(append(m, option, 1), mac[:]...)
	return IPv6(src, dst, protoICMPv6, 255, icmpv6(src, dst, m))
}

// ARP is a packet: op 1 asks, 2 answers.
func ARP(op uint16, sha bridge.MAC, spa netip.Addr, tha bridge.MAC, tpa netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, sha[:]...), spa.AsSlice()...)
	return append(append(b, tha[:]...), tpa.AsSlice()...)
}

// llc is a frame of 802.3: a length, and a payload that begins with DSAP, SSAP
// and control.
func llc(dst, src bridge.MAC, payload []byte) []byte {
	return Pad(Ethernet(dst, src, uint16(len(payload)), payload...), 60)
}

// A BPDU holds the fields of a configuration message, IEEE 802.1D-1998 section
// 9.3.1. Times are in 1/256 of a second.
type BPDU struct {
	Flags                            uint8
	Root                             [8]byte
	Cost                             uint32
	Bridge                           [8]byte
	Port                             uint16
	Age, MaxAge, Hello, ForwardDelay uint16
}

// Frame is the message in a frame from src.
func (m BPDU) Frame(src bridge.MAC) []byte {
	b := []byte{0x42, 0x42, 3, 0, 0, 0, 0, m.Flags}
	b = append(b, m.Root[:]...)
	b = binary.BigEndian.AppendUint32(b, m.Cost)
	b = append(b, m.Bridge[:]...)
	for _, v := range []uint16{m.Port, m.Age, m.MaxAge, m.Hello, m.ForwardDelay} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return llc(Reserved(0), src, b)
}

// TCN is a topology change notification in a frame, IEEE 802.1D-1998 section
// 9.3.2.
func TCN(src bridge.MAC) []byte { return llc(Reserved(0), src, []byte{0x42, 0x42, 3, 0, 0, 0, 0x80}) }

// Describe is a frame in words and hex.
func Describe(frame []byte) string {
	if len(frame) < headerLen {
		return fmt.Sprintf("%d bytes %x", len(frame), frame)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v > %v", bridge.MAC(frame[6:12]), bridge.MAC(frame[:6]))
	rest := frame[12:]
	for len(rest) >= 6 {
		t := binary.BigEndian.Uint16(rest)
		if t != EtherVLAN && t != EtherSVLAN {
			break
		}
		tci := binary.BigEndian.Uint16(rest[2:])
		fmt.Fprintf(&b, " %04x:%d/%d", t, tci&0xfff, tci>>12)
		rest = rest[4:]
	}
	fmt.Fprintf(&b, " type %04x, %d bytes", binary.BigEndian.Uint16(rest), len(frame))
	if rest = rest[2:]; len(rest) > 0 {
		fmt.Fprintf(&b, ": %x", rest[:min(len(rest), 72)])
		if len(rest) > 72 {
			b.WriteString("...")
		}
	}
	return b.String()
}
