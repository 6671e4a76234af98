package capture

import (
	"fmt"
	"io"
)

// The two headers of a pcap [pcap 4, 5].
//
//	file    magic, major, minor, zone, figures, snap length, link type and FCS: 24 bytes
//	record  seconds, micro- or nanoseconds, captured length, length on the wire: 16 bytes
const (
	pcapFileHeader   = 24
	pcapRecordHeader = 16

	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d

	// The word of the link type: 16 bits of it, and above them whether an FCS
	// length is said at all and how long the FCS is, in units of 2 octets.
	pcapLinkMask = 0xffff
	pcapFCSKnown = 1 << 26
	pcapFCSShift = 28
)

func (r *Reader) openPcap(head []byte) error {
	little, big := order(false).u32(head), order(true).u32(head)
	switch {
	case little == magicMicro || little == magicNano:
		r.order = false
	case big == magicMicro || big == magicNano:
		r.order = true
	default:
		return r.stranger(head[:4])
	}
	unit := "µs"
	r.tick = 1000
	if little == magicNano || big == magicNano {
		unit = "ns"
		r.tick = 1
	}
	r.format += fmt.Sprintf("pcap (%s, %s)", unit, r.order)

	b := r.in.peek(pcapFileHeader)
	if len(b) < pcapFileHeader {
		return r.cut(int64(len(b)), pcapFileHeader, "file header")
	}
	if major, minor := r.order.u16(b[4:]), r.order.u16(b[6:]); major != 2 || minor != 4 {
		return &fault{fmt.Sprintf("capture: %s is a pcap file of version %d.%d, and only 2.4 is known here; convert it with editcap -F pcapng", r.name, major, minor), ErrFormat}
	}
	network := r.order.u32(b[20:])
	if link := uint16(network & pcapLinkMask); link != linkEthernet {
		return &fault{fmt.Sprintf("capture: %s has %s, and only Ethernet (1) can be replayed; capture on an Ethernet interface", r.name, linkType(link)), ErrLinkType}
	}
	if network&pcapFCSKnown != 0 {
		r.fcs = int(network>>pcapFCSShift) * 2
	}
	r.in.pos += pcapFileHeader
	r.part = partRecord
	r.next = (*Reader).nextPcap
	return nil
}

func (r *Reader) nextPcap() (*Record, error) {
	r.at = r.in.offset()
	b := r.in.peek(pcapRecordHeader)
	if len(b) < pcapRecordHeader {
		if len(b) == 0 && r.in.err == io.EOF {
			r.err = io.EOF
			return nil, r.err
		}
		return nil, r.cut(int64(len(b)), pcapRecordHeader, "record header")
	}
	captured, wire := r.order.u32(b[8:]), r.order.u32(b[12:])
	if captured > MaxFrame || captured > wire {
		return nil, r.badLength(captured, wire)
	}
	size := pcapRecordHeader + int(captured)
	if len(b) < size {
		if b = r.in.peek(size); len(b) < size {
			return nil, r.cut(int64(len(b)), int64(size), "record")
		}
	}

	r.count++
	rec := &r.rec
	// Fractions of a second or more are carried: there are writers that fail
	// to. Neither product can overflow.
	rec.Time = int64(r.order.u32(b))*1e9 + int64(r.order.u32(b[4:]))*r.tick
	rec.Data = b[pcapRecordHeader:size:size]
	rec.OrigLen = int(wire)
	rec.Number = r.count
	rec.Offset = r.at
	if r.fcs > 0 {
		rec.trimFCS(r.fcs)
	}
	r.in.pos += size
	return rec, nil
}

// badLength is the error for a captured length that cannot be.
func (r *Reader) badLength(captured, wire uint32) error {
	if captured > MaxFrame {
		return r.fail(ErrCorrupt, "its captured length is %d, more than the %d bytes that a frame can have here", captured, MaxFrame)
	}
	return r.fail(ErrCorrupt, "its captured length is %d, more than its length of %d on the wire", captured, wire)
}
