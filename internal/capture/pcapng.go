package capture

import (
	"fmt"
	"io"
)

// Block types and their bodies up to the options or data [pcapng 4, A]. Around
// each body stand type and total length before it, total length after it.
//
//	section header         byte-order magic, major, minor, section length
//	interface description  link type, reserved, snap length
//	packet (obsolete)      interface (16 bits), drops, time high and low, captured, wire
//	simple packet          wire
//	enhanced packet        interface (32 bits), time high and low, captured, wire
const (
	blockSection   = 0x0a0d0d0a // the same in both byte orders
	blockInterface = 1
	blockPacket    = 2
	blockSimple    = 3
	blockEnhanced  = 6

	blockFrame  = 12 // the smallest block: type and both lengths
	blockTail   = 4  // the second length
	sectionHead = 24
	ifaceHead   = 16
	packetHead  = 28
	simpleHead  = 12

	orderMagic = 0x1a2b3c4d
)

const (
	// maxBlock bounds a packet or interface block with its options: the
	// longest frame and 768 KiB of comments. Blocks that are passed over
	// may have any length.
	maxBlock = 1 << 20

	// maxIfaces bounds the interfaces of one section. The obsolete packet
	// block could not name more.
	maxIfaces = 1 << 16
)

// Options that matter to a replay [pcapng 4.1, 4.2, 4.3].
const (
	optEnd       = 0
	optTsResol   = 9  // interface: a byte, see clock
	optFCSLen    = 13 // interface: a byte, the bits of the FCS
	optTsOffset  = 14 // interface: seconds to add, signed
	optFlags     = 2  // packet: a word, its bits 5 to 8 the octets of the FCS, 0 if unknown
	flagFCSShift = 5
	flagFCSMask  = 0xf
)

// An iface is an interface of the current section.
type iface struct {
	clock
	snap uint32 // snap length, 0 if there is none
	fcs  int    // octets of FCS at the end of each frame
	skip string // why its packets cannot be replayed; empty if they can
}

func (r *Reader) openPcapng() error {
	if err := r.section(); err != nil {
		return err
	}
	r.format += fmt.Sprintf("pcapng (%s)", r.order)
	r.next = (*Reader).nextPcapng
	return nil
}

// nextPcapng reads blocks until one of them is a packet. Each takes at least
// twelve bytes from the input, so it ends with the input at the latest.
func (r *Reader) nextPcapng() (*Record, error) {
	for {
		r.at = r.in.offset()
		b := r.in.peek(blockFrame)
		if len(b) < blockFrame {
			return nil, r.endPcapng(len(b))
		}
		var err error
		switch kind, size := r.order.u32(b), r.order.u32(b[4:]); kind {
		case blockEnhanced, blockPacket, blockSimple:
			return r.packet(kind, size)
		case blockInterface:
			err = r.iface(size)
		case blockSection:
			err = r.section()
		default:
			r.part = partBlock
			err = r.pass(size, blockFrame)
		}
		if err != nil {
			return nil, err
		}
	}
}

// endPcapng is what Next returns where no further block begins.
func (r *Reader) endPcapng(have int) error {
	r.part = partBlock
	switch {
	case have > 0 || r.in.err != io.EOF:
		return r.cut(int64(have), blockFrame, "block header")
	case r.described && !r.ethernet:
		r.err = &fault{fmt.Sprintf("capture: %s has no Ethernet interface, its first has %s, and only Ethernet (1) can be replayed; capture on an Ethernet interface", r.name, linkType(r.firstLink)), ErrLinkType}
	default:
		r.err = io.EOF
	}
	return r.err
}

// section reads a section header block: a byte order, and no interface yet.
func (r *Reader) section() error {
	r.part = partSection
	b := r.in.peek(sectionHead)
	if len(b) < sectionHead {
		return r.cut(int64(len(b)), sectionHead, "section header")
	}
	switch uint32(orderMagic) {
	case order(false).u32(b[8:]):
		r.order = false
	case order(true).u32(b[8:]):
		r.order = true
	default:
		return r.fail(ErrCorrupt, "its byte-order magic is %x, neither %x nor 4d3c2b1a", b[8:12], orderMagic)
	}
	size := r.order.u32(b[4:])
	if !sound(size, sectionHead+blockTail) {
		return r.badSize(size, sectionHead+blockTail)
	}
	// 1.2 is a mistake of some writers that the draft allows for; it is 1.0.
	if major, minor := r.order.u16(b[12:]), r.order.u16(b[14:]); major != 1 || (minor != 0 && minor != 2) {
		r.err = &fault{fmt.Sprintf("capture: %s has a pcapng section of version %d.%d at byte %d, and only 1.0 is known here; have it written as 1.0", r.name, major, minor, r.at), ErrFormat}
		return r.err
	}
	r.ifaces = r.ifaces[:0]
	return r.pass(size, sectionHead+blockTail)
}

// iface reads an interface description block.
func (r *Reader) iface(size uint32) error {
	r.part = partInterface
	b, err := r.block(size, ifaceHead+blockTail)
	if err != nil {
		return err
	}
	if len(r.ifaces) == maxIfaces {
		return r.fail(ErrCorrupt, "its section has described %d interfaces already, as many as are taken here", maxIfaces)
	}
	resol, offset, fcs := byte(6), int64(0), 0
	opts := options{order: r.order, rest: b[ifaceHead : len(b)-blockTail]}
	for opts.next() {
		v := opts.value
		switch opts.code {
		case optTsResol:
			if len(v) != 1 {
				return r.fail(ErrCorrupt, "its option if_tsresol has %d bytes, not 1", len(v))
			}
			resol = v[0]
		case optTsOffset:
			if len(v) != 8 {
				return r.fail(ErrCorrupt, "its option if_tsoffset has %d bytes, not 8", len(v))
			}
			offset = int64(r.order.u64(v))
		case optFCSLen:
			if len(v) != 1 {
				return r.fail(ErrCorrupt, "its option if_fcslen has %d bytes, not 1", len(v))
			}
			// The draft counts bits, and gives 4 as its example. Nothing
			// has an FCS of less than 8 bits: small numbers are octets.
			switch n := int(v[0]); {
			case n < 8:
				fcs = n
			case n%8 == 0:
				fcs = n / 8
			default:
				return r.fail(ErrCorrupt, "its option if_fcslen says %d bits, which are no octets", n)
			}
		}
	}
	if opts.bad != "" {
		return r.fail(ErrCorrupt, "%s", opts.bad)
	}

	link := r.order.u16(b[8:])
	f := iface{clock: newClock(resol, offset), snap: r.order.u32(b[12:]), fcs: fcs}
	if link == linkEthernet {
		r.ethernet = true
	} else {
		f.skip = linkType(link)
	}
	if !r.described {
		r.described, r.firstLink = true, link
	}
	r.ifaces = append(r.ifaces, f)
	r.in.pos += int(size)
	return nil
}

// packet reads a packet block of any of the three kinds.
func (r *Reader) packet(kind, size uint32) (*Record, error) {
	head := packetHead
	switch kind {
	case blockEnhanced:
		r.part = partEnhanced
	case blockPacket:
		r.part = partPacket
	case blockSimple:
		r.part = partSimple
		head = simpleHead
	}
	if !sound(size, head+blockTail) {
		return nil, r.badSize(size, head+blockTail)
	}
	b := r.in.peek(head)
	if len(b) < head {
		return nil, r.cut(int64(len(b)), int64(size), "block")
	}

	var id, captured, wire uint32
	switch kind {
	case blockEnhanced:
		id, captured, wire = r.order.u32(b[8:]), r.order.u32(b[20:]), r.order.u32(b[24:])
	case blockPacket:
		id, captured, wire = uint32(r.order.u16(b[8:])), r.order.u32(b[20:]), r.order.u32(b[24:])
	case blockSimple:
		wire = r.order.u32(b[8:])
		captured = wire
	}
	if int64(id) >= int64(len(r.ifaces)) {
		return nil, r.fail(ErrCorrupt, "it is of interface %d, and its section has described %d", id, len(r.ifaces))
	}
	from := &r.ifaces[id]
	if kind == blockSimple && from.snap != 0 {
		captured = min(captured, from.snap)
	}
	if room := int64(size) - int64(head) - blockTail; int64(captured) > room {
		return nil, r.fail(ErrCorrupt, "its captured length is %d, and its block of %d bytes has room for %d", captured, size, room)
	}

	when := r.rec.Time
	if kind != blockSimple {
		units := uint64(r.order.u32(b[12:]))<<32 | uint64(r.order.u32(b[16:]))
		var ok bool
		if when, ok = from.nanos(units); !ok {
			return nil, r.badTime(from, units)
		}
	}

	var data []byte
	fcs := from.fcs
	if from.skip == "" {
		if captured > MaxFrame || captured > wire {
			return nil, r.badLength(captured, wire)
		}
		b, err := r.block(size, head+blockTail)
		if err != nil {
			return nil, err
		}
		end := head + int(captured)
		data = b[head:end:end]
		if rest := b[(end+3)&^3 : len(b)-blockTail]; len(rest) > 0 && kind != blockSimple {
			if fcs, err = r.packetFCS(rest, fcs); err != nil {
				return nil, err
			}
		}
		r.in.pos += int(size)
	} else if err := r.pass(size, head+blockTail); err != nil {
		return nil, err
	}

	r.count++
	rec := &r.rec
	rec.Time = when
	rec.Data = data
	rec.OrigLen = int(wire)
	rec.Interface = int(id)
	rec.Number = r.count
	rec.Offset = r.at
	rec.Untimed = kind == blockSimple
	rec.Skip = from.skip
	if fcs > 0 {
		rec.trimFCS(fcs)
	}
	return rec, nil
}

func (r *Reader) badTime(from *iface, units uint64) error {
	return r.fail(ErrCorrupt, "its time, %d units of %s after %d s, is not between the years 1678 and 2262", units, from.unit(), from.offset)
}

// packetFCS returns the FCS length that the options of a packet give, fcs if
// they give none.
func (r *Reader) packetFCS(rest []byte, fcs int) (int, error) {
	opts := options{order: r.order, rest: rest}
	for opts.next() {
		if opts.code != optFlags {
			continue
		}
		if len(opts.value) != 4 {
			return 0, r.fail(ErrCorrupt, "its option flags has %d bytes, not 4", len(opts.value))
		}
		if n := r.order.u32(opts.value) >> flagFCSShift & flagFCSMask; n != 0 {
			fcs = int(n)
		}
	}
	if opts.bad != "" {
		return 0, r.fail(ErrCorrupt, "%s", opts.bad)
	}
	return fcs, nil
}

// block brings a whole block within reach and checks both of its lengths.
func (r *Reader) block(size uint32, least int) ([]byte, error) {
	if !sound(size, least) {
		return nil, r.badSize(size, least)
	}
	if size > maxBlock {
		return nil, r.fail(ErrCorrupt, "its length is %d bytes, more than the %d that are taken here", size, maxBlock)
	}
	b := r.in.peek(int(size))
	if len(b) < int(size) {
		return nil, r.cut(int64(len(b)), int64(size), "block")
	}
	b = b[:size]
	if again := r.order.u32(b[size-blockTail:]); again != size {
		return nil, r.badTail(size, again)
	}
	return b, nil
}

// pass passes over a block of any length, and checks both of its lengths.
func (r *Reader) pass(size uint32, least int) error {
	if !sound(size, least) {
		return r.badSize(size, least)
	}
	body := int64(size) - blockTail
	if n := r.in.skip(body); n < body {
		return r.cut(n, int64(size), "block")
	}
	b := r.in.peek(blockTail)
	if len(b) < blockTail {
		return r.cut(body+int64(len(b)), int64(size), "block")
	}
	if again := r.order.u32(b); again != size {
		return r.badTail(size, again)
	}
	r.in.pos += blockTail
	return nil
}

// sound says whether a block's total length can be, and is at least the least
// for its type.
func sound(size uint32, least int) bool { return int64(size) >= int64(least) && size%4 == 0 }

func (r *Reader) badSize(size uint32, least int) error {
	return r.fail(ErrCorrupt, "its length is %d bytes; it must be a multiple of 4 and at least %d", size, least)
}

func (r *Reader) badTail(size, again uint32) error {
	return r.fail(ErrCorrupt, "its length is %d bytes at its begin and %d at its end", size, again)
}

// options walks the options of a block: code and length of 16 bits each, a
// value, padding to four bytes [pcapng 3.5].
type options struct {
	order order
	rest  []byte // a multiple of four bytes, as blocks and what precedes options are
	code  uint16
	value []byte
	bad   string // why next stopped before the end; empty if it did not
}

func (o *options) next() bool {
	if len(o.rest) < 4 {
		return false
	}
	code, n := o.order.u16(o.rest), int(o.order.u16(o.rest[2:]))
	if padded := 4 + (n+3)&^3; padded > len(o.rest) {
		o.bad = fmt.Sprintf("its option %d says %d bytes, and %d are left in the block", code, n, len(o.rest)-4)
		return false
	}
	if code == optEnd {
		if n != 0 {
			o.bad = fmt.Sprintf("its end of options says %d bytes, not 0", n)
		}
		return false
	}
	o.code, o.value = code, o.rest[4:4+n]
	o.rest = o.rest[4+(n+3)&^3:]
	return true
}
