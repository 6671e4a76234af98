package offload

import "encoding/binary"

// Bounds of a merged frame, as Linux has them.
const (
	MaxMerged = 65536 // bytes that a merged frame stays below (GRO_LEGACY_MAX_SIZE)
	MaxFrags  = 17    // further buffers (MAX_SKB_FRAGS)
)

// A Packet is a TCP segment as one sees it who merges. See Look.
type Packet struct {
	head  []byte
	h     headers
	size  int // payload bytes
	seq   uint32
	id    uint16 // of IPv4
	df    bool
	flags byte

	Hash   uint32 // of its flow, to spread flows over buckets; of no other use
	Padded bool   // bytes lie behind it that are not its own: it joins nothing, whatever its sum
}

// Look reads a frame of n bytes whose headers lie in head, and says whether it is
// of a kind that can be merged: TCP over IPv4 without options or over IPv6 without
// extension headers, no fragment. Sums are not looked at but IPv4's: the caller knows
// whether TCP's is right, and does not ask if it is not.
//
// A Packet refers to head.
func Look(head []byte, n int) (p Packet, ok bool) {
	h, ok := parse(head, n)
	if !ok || h.proto != protoTCP || h.frag || h.payload > MaxHeader {
		return p, false
	}
	ip := head[h.l3:h.l4]
	p = Packet{head: head[:h.payload], h: h, size: h.end - h.payload, Padded: h.end != n}
	if h.v6 {
		if len(ip) != ip6Header {
			return p, false
		}
		p.Hash = mix(ip[8:40])
	} else {
		if len(ip) != ip4Header || Sum(ip, 0) != 0xFFFF {
			return p, false
		}
		p.Hash = mix(ip[12:20])
		p.id, p.df = binary.BigEndian.Uint16(ip[4:]), ip[6]&0x40 != 0
	}
	tcp := head[h.l4:]
	p.Hash = (p.Hash ^ binary.BigEndian.Uint32(tcp)) * 0x9E3779B1 >> 7
	p.seq, p.flags = binary.BigEndian.Uint32(tcp[4:]), tcp[13]
	return p, true
}

// mix is a hash of addresses.
func mix(b []byte) (h uint32) {
	for ; len(b) >= 4; b = b[4:] {
		h = (h ^ binary.BigEndian.Uint32(b)) * 0x85EBCA6B
		h ^= h >> 13
	}
	return h
}

// Steady says that a segment is one of a steady stream, all that a device merges: no
// flag but ACK and PSH, and no option but a timestamp laid out as everybody does
// [RFC 7323, appendix A].
func (p *Packet) Steady() bool {
	tcp := p.head[p.h.l4:]
	if p.flags|flagPSH != flagACK|flagPSH {
		return false
	}
	return len(tcp) == tcpHeader || len(tcp) == tcpHeader+12 && binary.BigEndian.Uint32(tcp[tcpHeader:]) == 0x0101080A
}

// alone says that a segment is never merged with what follows it: it has no
// payload, or padding, or flags that the receiver has to see now. One sum that no sender
// makes and a receiver takes, 0xffff, would not come back when it is cut again.
func (p *Packet) alone() bool {
	sum := binary.BigEndian.Uint16(p.head[p.h.l4+tcpSum:])
	return p.size == 0 || p.Padded || p.flags&(flagFIN|flagSYN|flagRST|flagPSH|flagURG) != 0 || sum == 0xFFFF
}

// A Held is a segment that waits for those that follow it in its flow, and what
// has joined it.
type Held struct {
	first Packet
	size  int // payload bytes in all
	flags byte
	mode  idMode
	ended bool
	Count int // segments
}

// idMode is how the identifications of a flow's packets go on. Those of packets
// with DF mean nothing [RFC 6864, 4.1], and stay the same or count up: the second
// packet says which.
type idMode uint8

const (
	idUnknown idMode = iota
	idCounts
	idFixed
)

// Hold begins with p, and says whether anything can join it: if not, the frame
// goes its way at once.
func Hold(p Packet) (Held, bool) {
	return Held{first: p, size: p.size, flags: p.flags, Count: 1}, !p.alone()
}

// Same says that p is of the flow of h, so that h must not stay behind it.
func (h *Held) Same(p *Packet) bool {
	a, b := &h.first, p
	if a.h.l3 != b.h.l3 || a.h.v6 != b.h.v6 || string(a.head[:a.h.l3]) != string(b.head[:b.h.l3]) {
		return false
	}
	from, to := a.h.l3+12, a.h.l3+ip4Header
	if a.h.v6 {
		const label = 0xF00FFFFF // version and flow label, without the traffic class
		x, y := binary.BigEndian.Uint32(a.head[a.h.l3:]), binary.BigEndian.Uint32(b.head[b.h.l3:])
		if (x^y)&label != 0 {
			return false
		}
		from, to = a.h.l3+8, a.h.l3+ip6Header
	}
	return string(a.head[from:to]) == string(b.head[from:to]) &&
		string(a.head[a.h.l4:a.h.l4+4]) == string(b.head[b.h.l4:b.h.l4+4])
}

// Join takes p in if it continues h, a flow that it is Same of, and says whether
// it did: the next bytes of it, no more than a segment of h has, with the same
// acknowledgement, window, options, hop limit and traffic class, and an
// identification that goes on as the others.
//
// If it did not, h is over, and p begins anew.
func (h *Held) Join(p *Packet) bool {
	if h.ended || !h.continues(p) {
		return false
	}
	if !h.first.h.v6 {
		mode, ok := h.identifies(p)
		if !ok {
			return false
		}
		h.mode = mode
	}
	h.size += p.size
	h.Count++
	h.flags |= p.flags & (flagFIN | flagPSH)
	h.ended = p.size < h.first.size || p.flags&(flagFIN|flagPSH) != 0
	return true
}

// continues is Join but for the identification.
func (h *Held) continues(p *Packet) bool {
	a := &h.first
	x, y := a.head[a.h.l4:], p.head[p.h.l4:]
	switch {
	case p.size == 0 || p.Padded || p.size > a.size || p.seq != a.seq+uint32(h.size):
	case len(x) != len(y) || string(x[20:]) != string(y[20:]): // options
	case string(x[8:13]) != string(y[8:13]): // acknowledgement, data offset, reserved
	case (x[13]^y[13])&^(flagCWR|flagFIN|flagPSH) != 0 || y[13]&(flagCWR|flagSYN|flagRST|flagURG) != 0:
	case string(x[14:16]) != string(y[14:16]) || string(x[18:20]) != string(y[18:20]): // window, urgent pointer
	case binary.BigEndian.Uint16(y[tcpSum:]) == 0xFFFF:
	case a.h.v6 && (a.head[a.h.l3]^p.head[p.h.l3])|(a.head[a.h.l3+1]^p.head[p.h.l3+1])|(a.head[a.h.l3+7]^p.head[p.h.l3+7]) != 0:
	case !a.h.v6 && (a.head[a.h.l3+1] != p.head[p.h.l3+1] || a.head[a.h.l3+8] != p.head[p.h.l3+8] || a.head[a.h.l3+6]&0xC0 != p.head[p.h.l3+6]&0xC0):
	case a.h.payload+h.size+p.size >= MaxMerged || a.h.payload-a.h.l3+h.size+p.size > 0xFFFF:
	default:
		return true
	}
	return false
}

// identifies says how the identification of p continues those of h.
func (h *Held) identifies(p *Packet) (idMode, bool) {
	counts := p.id == h.first.id+uint16(h.Count)
	fixed := p.df && p.id == h.first.id
	switch {
	case counts && h.mode != idFixed:
		return idCounts, true
	case fixed && h.mode != idCounts:
		return idFixed, true
	}
	return h.mode, false
}

// Ended says that nothing can join any more: the last segment was short, or told
// the receiver to look.
func (h *Held) Ended() bool { return h.ended }

// Bytes is the length of the merged frame.
func (h *Held) Bytes() int { return h.first.h.payload + h.size }

// Header is where the payload of a frame that joins begins.
func (p *Packet) Header() int { return p.h.payload }

// Merged is the Meta of a frame of n bytes that somebody else has merged out of that
// many segments, of which the first had the given number of bytes, headers included.
// Headers are in head; the frame is as Finish leaves it. It is not known any more
// whether all had the same identification. False says that it is no such frame.
func Merged(head []byte, n, first, segs int) (Meta, bool) {
	h, ok := parse(head[:min(len(head), MaxHeader)], n)
	size := first - h.payload
	if !ok || h.proto != protoTCP || h.frag || size <= 0 || segs < 2 {
		return Meta{}, false
	}
	return h.merged(size, segs), true
}

// merged is the Meta of a merged frame.
func (h *headers) merged(size, segs int) Meta {
	m := Meta{
		NeedsCsum: true, GSO: GSOTCPv4, GSOSize: uint16(size),
		HdrLen: uint16(h.payload), CsumStart: uint16(h.l4), CsumOffset: tcpSum, Segs: uint16(segs),
	}
	if h.v6 {
		m.GSO = GSOTCPv6
	}
	return m
}

// Finish puts the headers of the first frame right so that it is the whole: what
// Look was given is written to. The Meta says how to cut it again; of a frame that
// nothing joined it is that of a verified frame, and nothing is written.
//
// A merged frame's checksum is half done: every part of it was verified.
func (h *Held) Finish() Meta {
	if h.Count == 1 {
		return Meta{Valid: true}
	}
	p := &h.first
	p.h.setLength(p.head, h.Bytes())
	tcp := p.head[p.h.l4:]
	tcp[13] = h.flags
	binary.BigEndian.PutUint16(tcp[tcpSum:], p.h.pseudo(p.head, h.Bytes()-p.h.l4))
	m := p.h.merged(p.size, h.Count)
	m.FixedID = h.mode == idFixed
	return m
}
