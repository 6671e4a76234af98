package offload

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrSegment says that a frame cannot be cut as its Meta says.
var ErrSegment = errors.New("offload: frame cannot be segmented as it says")

// A Segmenter cuts GSO frames, one after the other; its memory is used again. The
// zero value is ready.
//
// A segment has the frame's headers with these put right: the length of IP, the
// sum and the identification of IPv4 (which counts up), the sequence number, FIN
// and PSH (on the last alone) and CWR (on the first alone) of TCP, the length of
// UDP, and the checksum.
type Segmenter struct {
	// Partial leaves the checksums of segments half done, for a device that sums.
	Partial bool

	frame [][]byte
	m     Meta
	h     headers
	size  int // payload bytes of a segment
	left  int // payload bytes to come
	n     int // segments so far
	part  int // where the payload goes on: which part,
	off   int // and where in it
	head  [MaxHeader]byte
	hdr   [MaxHeader]byte
	out   [][]byte
}

// Start takes a frame whose Meta has a GSO. Its parts must stay as they are until
// the last segment was taken. What its IP header says of its length is not asked:
// the frame is as long as its parts. Errors wrap ErrSegment.
func (s *Segmenter) Start(frame [][]byte, m Meta) error {
	n := length(frame)
	head := gather(s.head[:], frame)
	s.frame, s.m, s.h, s.n, s.left = frame, m, headers{}, 0, 0
	h, err := cut(head, n, m)
	if err != nil {
		return err
	}
	if longest := h.payload - h.l3 + min(int(m.GSOSize), n-h.payload); longest > 0xFFFF {
		return fmt.Errorf("%w: segments of %d bytes; IP has 65535", ErrSegment, longest)
	}
	s.h, s.size, s.left = h, int(m.GSOSize), n-h.payload
	s.part, s.off = 0, h.payload
	return nil
}

// cut finds the headers of a frame that is to be cut as m says.
func cut(head []byte, n int, m Meta) (h headers, err error) {
	want := headers{proto: protoTCP, v6: m.GSO == GSOTCPv6}
	switch {
	case m.GSO == GSONone || m.GSO > GSOUDPL4:
		return h, fmt.Errorf("%w: no GSO", ErrSegment)
	case m.GSOSize == 0:
		return h, fmt.Errorf("%w: segments of no bytes", ErrSegment)
	case n > 1<<16+MaxHeader:
		return h, fmt.Errorf("%w: %d bytes; 64 KiB and headers are possible", ErrSegment, n)
	}
	if h, err = longHeaders(head, n); err != nil {
		return h, err
	}
	if m.GSO == GSOUDPL4 {
		want.proto, want.v6 = protoUDP, h.v6
	}
	if h.proto != want.proto || h.v6 != want.v6 || h.frag {
		return h, fmt.Errorf("%w: it is not %v", ErrSegment, m.GSO)
	}
	return h, nil
}

// HeaderLen is the length of the headers of a frame that is to be cut as m says, from
// Ethernet to TCP or UDP. What m itself says of it is a hint. Errors wrap ErrSegment.
func HeaderLen(frame [][]byte, m Meta) (int, error) {
	var room [MaxHeader]byte
	h, err := cut(gather(room[:], frame), length(frame), m)
	return h.payload, err
}

// longHeaders is parse for a frame whose IP length may be that of a segment, of
// the whole frame, or none.
func longHeaders(head []byte, n int) (h headers, err error) {
	l3 := ethHeader
	for range maxTags {
		if len(head) < l3 {
			break
		}
		if kind := binary.BigEndian.Uint16(head[l3-2:]); kind != typeCTag && kind != typeSTag {
			break
		}
		l3 += tagLen
	}
	if len(head) < l3+ip4Header {
		return h, fmt.Errorf("%w: %d bytes are no IP packet", ErrSegment, n)
	}
	length := head[l3+2 : l3+4]
	if head[l3]>>4 == 6 {
		length = head[l3+4 : l3+6]
	}
	was := [2]byte(length)
	binary.BigEndian.PutUint16(length, uint16(min(n-l3, 0xFFFF)))
	if head[l3]>>4 == 6 {
		binary.BigEndian.PutUint16(length, uint16(min(max(n-l3-ip6Header, 0), 0xFFFF)))
	}
	h, ok := parse(head, n)
	copy(length, was[:])
	if !ok {
		return h, fmt.Errorf("%w: its headers are not whole in its first %d bytes", ErrSegment, len(head))
	}
	return h, nil
}

// Layout is where the headers of the frame that was started stand: the offset of
// IP, and that of TCP or UDP.
func (s *Segmenter) Layout() (l3, l4 int) { return s.h.l3, s.h.l4 }

// HeaderLen is the length of the headers of the frame that was started, from
// Ethernet to TCP or UDP.
func (s *Segmenter) HeaderLen() int { return s.h.payload }

// Segments is how many segments the frame that was started has in all.
func (s *Segmenter) Segments() int {
	return s.n + max((s.left+s.size-1)/max(s.size, 1), btoi(s.n == 0))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Next is the next segment; ok is false after the last one. The headers and the
// list of parts are good until the next call. The Meta has no GSO: its sums are
// done, or half done if that was wanted.
func (s *Segmenter) Next() (hdr []byte, payload [][]byte, m Meta, ok bool) {
	if s.left == 0 && s.n > 0 || s.h.payload == 0 {
		return nil, nil, Meta{}, false
	}
	n := min(s.size, s.left)
	s.left -= n
	hdr = s.hdr[:copy(s.hdr[:], s.head[:s.h.payload])]
	payload = s.take(n)
	if s.h.proto == protoTCP {
		s.tcp(hdr[s.h.l4:])
	} else {
		binary.BigEndian.PutUint16(hdr[s.h.l4+4:], uint16(udpHeader+n))
	}
	if !s.h.v6 && !s.m.FixedID {
		id := hdr[s.h.l3+4:]
		binary.BigEndian.PutUint16(id, binary.BigEndian.Uint16(id)+uint16(s.n))
	}
	s.h.setLength(hdr, s.h.payload+n)
	m = s.sum(hdr, payload, n)
	s.n++
	return hdr, payload, m, true
}

// take is the next n bytes of the payload.
func (s *Segmenter) take(n int) [][]byte {
	s.out = s.out[:0]
	for n > 0 {
		p := s.frame[s.part]
		if s.off >= len(p) {
			s.off -= len(p)
			s.part++
			continue
		}
		p = p[s.off:min(len(p), s.off+n)]
		s.out = append(s.out, p)
		s.off += len(p)
		n -= len(p)
	}
	return s.out
}

// tcp puts the TCP header of the next segment right, but for its sum.
func (s *Segmenter) tcp(b []byte) {
	binary.BigEndian.PutUint32(b[4:], binary.BigEndian.Uint32(b[4:])+uint32(s.n)*uint32(s.size))
	if s.left > 0 {
		b[13] &^= flagFIN | flagPSH
	}
	if s.n > 0 {
		b[13] &^= flagCWR
	}
}

// sum writes the checksum of a segment with n bytes of payload.
func (s *Segmenter) sum(hdr []byte, payload [][]byte, n int) Meta {
	offset := tcpSum
	if s.h.proto == protoUDP {
		offset = udpSum
	}
	at := s.h.l4 + offset
	if none := s.h.proto == protoUDP && hdr[at]|hdr[at+1] == 0 && !s.m.NeedsCsum; none {
		return Meta{}
	}
	sum := s.h.pseudo(hdr, s.h.payload-s.h.l4+n)
	if s.Partial {
		binary.BigEndian.PutUint16(hdr[at:], sum)
		return Meta{NeedsCsum: true, CsumStart: uint16(s.h.l4), CsumOffset: uint16(offset)}
	}
	hdr[at], hdr[at+1] = 0, 0
	sum = Sum(hdr[s.h.l4:], sum) // headers come in words: what follows stands at an even offset
	sum, _ = sumParts(payload, 0, n, sum)
	if sum = ^sum; sum == 0 && s.h.proto == protoUDP {
		sum = 0xFFFF
	}
	binary.BigEndian.PutUint16(hdr[at:], sum)
	return Meta{Valid: true}
}

// Segment cuts a GSO frame and calls emit for each segment, in order. The headers
// of one are put right and stand in hdr; payload is parts of the frame. Both are
// good until emit returns. The Meta of a segment has no GSO. Whoever cuts many
// frames has a Segmenter, which allocates nothing.
func Segment(frame [][]byte, m Meta, emit func(hdr []byte, payload [][]byte, m Meta)) error {
	var s Segmenter
	if err := s.Start(frame, m); err != nil {
		return err
	}
	for {
		hdr, payload, m, ok := s.Next()
		if !ok {
			return nil
		}
		emit(hdr, payload, m)
	}
}
