package load

import (
	"encoding/binary"
	"math/bits"

	"ringside/sim"
)

// Where things are in a frame.
const (
	fcs       = 4
	overhead  = 20 // preamble, start delimiter and gap on a line [IEEE 802.3, 4.2]
	atIP      = 14
	atIPSum   = atIP + 10
	atSrc     = atIP + 12
	atDst     = atIP + 16
	atUDP     = atIP + 20
	atUDPSum  = atUDP + 6
	atPayload = atUDP + 8
	atSeq     = atPayload + 2
	atTime    = atSeq + 8
	minLen    = atTime + 8
)

const (
	protoUDP  = 17
	magic     = 0x5253 // "RS"
	sources   = 198<<24 | 18<<16 | 1
	targets   = 198<<24 | 19<<16 | 1
	firstPort = 49152
	portBits  = 14 // flows of one source address
	discard   = 9  // the port of the service that throws everything away [RFC 863]
)

// A MAC is an Ethernet address.
type MAC = [6]byte

// Source is where the frames of a load come from.
var Source = MAC{0x02, 0, 0, 0, 0xfe, 0x01}

// A template is a frame of one size with everything in it that frames have in
// common, and the sums over that.
type template struct {
	data   []byte
	ipSum  uint64 // of the header without addresses and sum
	udpSum uint64 // of pseudo-header, header and payload, likewise without ports' and payload's changing parts
	flow   uint32 // that it is filled for, and one more; 0 for none yet
	sum    uint64 // udpSum with what that flow adds
}

func newTemplate(size int) template {
	b := make([]byte, size-fcs)
	copy(b[6:], Source[:])
	copy(b[12:], []byte{0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protoUDP})
	binary.BigEndian.PutUint16(b[atIP+2:], uint16(len(b)-atIP))
	binary.BigEndian.PutUint16(b[atUDP+2:], discard)
	binary.BigEndian.PutUint16(b[atUDP+4:], uint16(len(b)-atUDP))
	binary.BigEndian.PutUint16(b[atPayload:], magic)
	return template{data: b, ipSum: words(b[atIP:atUDP]), udpSum: words(b[atUDP:]) + protoUDP + uint64(len(b)-atUDP)}
}

// words is the sum of the 16-bit words of b.
func words(b []byte) (sum uint64) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// halves is a number whose folded sum is that of the 16-bit words of v.
func halves(v uint64) uint64 { return v>>32 + v&0xffffffff }

// checksum is the Internet checksum of a sum of words below 2^40 [RFC 1071].
func checksum(sum uint64) uint16 {
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum)
}

// fill makes t the next frame of a flow.
func (t *template) fill(to *dest, flow uint32, seq uint64, at sim.Time) {
	if t.flow != flow+1 {
		t.turn(to, flow)
	}
	b := (*[minLen]byte)(t.data)
	sum := checksum(t.sum + halves(seq) + halves(uint64(at)))
	if sum == 0 {
		sum = 0xffff // 0 would say that there is none [RFC 768]
	}
	binary.BigEndian.PutUint16(b[atUDPSum:], sum)
	binary.BigEndian.PutUint64(b[atSeq:], seq)
	binary.BigEndian.PutUint64(b[atTime:], uint64(at))
}

// turn makes t a frame of another flow.
func (t *template) turn(to *dest, flow uint32) {
	b := (*[minLen]byte)(t.data)
	binary.BigEndian.PutUint32(b[:], to.high)
	binary.BigEndian.PutUint16(b[4:], to.low)
	src, port := uint32(sources)+flow>>portBits, uint16(firstPort+flow&(1<<portBits-1))
	addrs := uint64(src) + uint64(to.ip)
	binary.BigEndian.PutUint16(b[atIPSum:], checksum(t.ipSum+addrs))
	binary.BigEndian.PutUint32(b[atSrc:], src)
	binary.BigEndian.PutUint32(b[atDst:], to.ip)
	binary.BigEndian.PutUint16(b[atUDP:], port)
	t.flow, t.sum = flow+1, t.udpSum+addrs+uint64(port)
}

// A dest is where flows go.
type dest struct {
	high uint32 // of the MAC
	ip   uint32
	low  uint16
}

func newDest(m MAC, i int) dest {
	return dest{binary.BigEndian.Uint32(m[:]), uint32(targets + i), binary.BigEndian.Uint16(m[4:])}
}

// A Stamp is what a frame of a load says of itself.
type Stamp struct {
	Seq  uint64 // 0, 1, 2, … in the order in which the load sent them
	At   sim.Time
	Flow uint32
}

// ReadStamp reads the stamp of a frame without its FCS; ok is false if it is of no
// load, or not whole.
func ReadStamp(b []byte) (s Stamp, ok bool) {
	if len(b) < minLen || binary.BigEndian.Uint32(b[12:]) != 0x08004500 || b[atIP+9] != protoUDP ||
		binary.BigEndian.Uint16(b[atPayload:]) != magic || binary.BigEndian.Uint16(b[atUDP+2:]) != discard {
		return Stamp{}, false
	}
	src, port := binary.BigEndian.Uint32(b[atSrc:]), binary.BigEndian.Uint16(b[atUDP:])
	if port < firstPort || bits.Len32(src-sources) > 32-portBits {
		return Stamp{}, false
	}
	return Stamp{
		Seq: binary.BigEndian.Uint64(b[atSeq:]), At: sim.Time(binary.BigEndian.Uint64(b[atTime:])),
		Flow: (src-sources)<<portBits | uint32(port-firstPort),
	}, true
}
