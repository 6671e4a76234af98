package offload

import "encoding/binary"

// MaxHeader is as long as the headers of a frame may be, from Ethernet to TCP or
// UDP, for it to be cut or merged. Longer ones are left alone.
const MaxHeader = 256

// What headers are told apart by.
const (
	ethHeader = 14
	tagLen    = 4
	maxTags   = 2

	typeIPv4 = 0x0800
	typeIPv6 = 0x86DD
	typeCTag = 0x8100
	typeSTag = 0x88A8

	ip4Header = 20
	ip6Header = 40
	tcpHeader = 20
	udpHeader = 8

	protoHopByHop = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMPv6   = 58
	protoDstOpts  = 60
)

// The flags of TCP [RFC 9293, 3.1; RFC 3168].
const (
	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagPSH = 1 << 3
	flagACK = 1 << 4
	flagURG = 1 << 5
	flagCWR = 1 << 7
)

// headers are where the headers of a frame stand, by offsets from its first byte.
type headers struct {
	l3, l4  int
	payload int // behind TCP or UDP; l4 of other protocols
	end     int // of the packet as IP says, padding apart
	proto   uint8
	v6      bool
	frag    bool // a fragment: l4 is none, or not the whole of it
}

// parse finds the headers of a frame of n bytes that begins with head. It says no
// if it is not an IP packet, or not a whole one as far as head goes: an IP header
// must lie in head, and so must those of TCP and UDP.
func parse(head []byte, n int) (h headers, ok bool) {
	at := ethHeader - 2
	for range maxTags + 1 {
		if at+2 > len(head) {
			return h, false
		}
		kind := binary.BigEndian.Uint16(head[at:])
		h.l3 = at + 2
		switch kind {
		case typeCTag, typeSTag:
			at += tagLen
			continue
		case typeIPv4:
			ok = h.ip4(head, n)
		case typeIPv6:
			ok = h.ip6(head, n)
		}
		return h, ok && h.transport(head)
	}
	return h, false
}

// ip4 reads an IPv4 header [RFC 791, 3.1].
func (h *headers) ip4(head []byte, n int) bool {
	if len(head) < h.l3+ip4Header {
		return false
	}
	b := head[h.l3:]
	ihl, total := int(b[0]&0xF)*4, int(binary.BigEndian.Uint16(b[2:]))
	h.l4, h.end, h.proto = h.l3+ihl, h.l3+total, b[9]
	h.frag = binary.BigEndian.Uint16(b[6:])&0x3FFF != 0 // MF or an offset
	return b[0]>>4 == 4 && ihl >= ip4Header && h.l4 <= len(head) && total >= ihl && h.end <= n
}

// ip6 reads an IPv6 header and the extension headers that lie before TCP and UDP
// [RFC 8200, 3 and 4]. A routing header ends the search: behind it the addresses
// are not those that the pseudo-header is made of.
func (h *headers) ip6(head []byte, n int) bool {
	if len(head) < h.l3+ip6Header {
		return false
	}
	b := head[h.l3:]
	h.v6, h.proto, h.l4 = true, b[6], h.l3+ip6Header
	h.end = h.l4 + int(binary.BigEndian.Uint16(b[4:]))
	if b[0]>>4 != 6 || h.end > n {
		return false
	}
	for h.proto == protoHopByHop || h.proto == protoDstOpts || h.proto == protoFragment {
		if h.l4+8 > min(len(head), h.end) {
			return false
		}
		e := head[h.l4:]
		if h.proto == protoFragment {
			h.frag = true
			return true
		}
		h.proto, h.l4 = e[0], h.l4+8+int(e[1])*8
	}
	return h.l4 <= min(len(head), h.end)
}

// transport finds the payload of TCP and UDP.
func (h *headers) transport(head []byte) bool {
	h.payload = h.l4
	if h.frag {
		return true
	}
	switch h.proto {
	case protoTCP:
		if h.l4+tcpHeader > min(len(head), h.end) {
			return false
		}
		off := int(head[h.l4+12]>>4) * 4
		h.payload += off
		return off >= tcpHeader && h.payload <= min(len(head), h.end)
	case protoUDP:
		h.payload += udpHeader
		return h.payload <= min(len(head), h.end)
	}
	return true
}

// pseudo is the sum of the pseudo-header of n bytes of TCP, UDP or ICMPv6
// [RFC 9293, 3.1; RFC 8200, 8.1].
func (h *headers) pseudo(head []byte, n int) uint16 {
	var sum uint16
	if h.v6 {
		sum = Sum(head[h.l3+8:h.l3+ip6Header], 0)
	} else {
		sum = Sum(head[h.l3+12:h.l3+ip4Header], 0)
	}
	var rest [6]byte
	binary.BigEndian.PutUint32(rest[:], uint32(n))
	rest[5] = h.proto
	return Sum(rest[:], sum)
}

// setLength writes the length of an IP packet that ends at end, and the sum of an
// IPv4 header.
func (h *headers) setLength(head []byte, end int) {
	if h.v6 {
		binary.BigEndian.PutUint16(head[h.l3+4:], uint16(end-h.l3-ip6Header))
		return
	}
	binary.BigEndian.PutUint16(head[h.l3+2:], uint16(end-h.l3))
	h.sumIP(head)
}

// sumIP writes the checksum of an IPv4 header.
func (h *headers) sumIP(head []byte) {
	ip := h.ipHeader(head)
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^Sum(ip, 0))
}

// ipHeader is an IPv4 header with its options.
func (h *headers) ipHeader(head []byte) []byte {
	return head[h.l3 : h.l3+int(head[h.l3]&0xF)*4]
}

// gather copies the first bytes of a frame.
func gather(to []byte, parts [][]byte) []byte {
	n := 0
	for _, p := range parts {
		if n == len(to) {
			break
		}
		n += copy(to[n:], p)
	}
	return to[:n]
}
