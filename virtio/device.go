package virtio

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/sim"
)

// The flags of a descriptor [2.7.5].
const (
	descNext     = 1
	descWrite    = 2
	descIndirect = 4
)

// A desc is a descriptor [2.7.5].
type desc struct {
	addr  mem.Addr
	len   uint32
	flags uint16
	next  uint16
}

// getDesc reads descriptor i of a table, which must have it.
func getDesc(table []byte, i uint16) desc {
	b := (*[descLen]byte)(table[descLen*int(i):])
	return desc{
		mem.Addr(binary.LittleEndian.Uint64(b[:])), binary.LittleEndian.Uint32(b[8:]),
		binary.LittleEndian.Uint16(b[12:]), binary.LittleEndian.Uint16(b[14:]),
	}
}

func putDesc(table []byte, i uint16, d desc) {
	b := (*[descLen]byte)(table[descLen*int(i):])
	binary.LittleEndian.PutUint64(b[:], uint64(d.addr))
	binary.LittleEndian.PutUint32(b[8:], d.len)
	binary.LittleEndian.PutUint16(b[12:], d.flags)
	binary.LittleEndian.PutUint16(b[14:], d.next)
}

// What a driver can do wrong, one error each. All of them break the device's side.
var (
	ErrAvail    = errors.New("virtio: avail index jumped")
	ErrHead     = errors.New("virtio: head outside of the descriptor table")
	ErrNext     = errors.New("virtio: next descriptor outside of its table")
	ErrLoop     = errors.New("virtio: chain longer than the ring")
	ErrAddress  = errors.New("virtio: buffer outside of guest memory")
	ErrLength   = errors.New("virtio: chain of 4 GiB or more")
	ErrOrder    = errors.New("virtio: readable buffer behind a writable one")
	ErrIndirect = errors.New("virtio: bad indirect descriptor")
)

// A Chain is what Device.Next found: pieces of guest memory, not yet copied.
type Chain struct {
	Head   uint16
	Out    [][]byte // the device may read
	In     [][]byte // the device may write
	OutLen uint64   // bytes of Out
	InLen  uint64   // of In
}

// Reset empties the chain and keeps its slices for use.
func (c *Chain) Reset() {
	c.Head, c.OutLen, c.InLen = 0, 0, 0
	c.Out, c.In = c.Out[:0], c.In[:0]
}

// A Device is the host's side of a ring.
type Device struct {
	r      *Ring
	last   uint16 // avail entries taken
	used   uint16 // used entries written
	called uint16 // of them, when CallNeeded was last asked
	silent bool   // asks not to be kicked
	asked  uint16 // the avail index behind which it asked to be kicked, while not silent
	err    error
}

// Err is what broke the device's side; nil while it is sound.
func (d *Device) Err() error { return d.err }

// Next takes the next chain that was published by the time now and adds its pieces
// to what c has; Head is the new one's. ok is false if there is none. What breaks
// the format is an error, the same one for ever.
func (d *Device) Next(now sim.Time, c *Chain) (ok bool, err error) {
	if d.err != nil {
		return false, d.err
	}
	r := d.r
	ahead := r.availIdx() - d.last
	if ahead == 0 {
		return false, nil
	}
	if ahead > r.size {
		d.err = fmt.Errorf("%w: %d entries on a ring of %d", ErrAvail, ahead, r.size)
		return false, d.err
	}
	slot := d.last & r.mask
	if r.availAt[slot] > now {
		return false, nil
	}
	head := binary.LittleEndian.Uint16(r.avail[ringHead+availLen*int(slot):])
	if head >= r.size {
		d.err = fmt.Errorf("%w: %d of %d", ErrHead, head, r.size)
		return false, d.err
	}
	c.Head = head
	if !d.single(c, head) {
		if err := d.walk(c, r.desc, head, r.size, false); err != nil {
			d.err = err
			return false, err
		}
	}
	d.last++
	return true, nil
}

// single is walk of a chain of one buffer that the device may write, as nearly all for
// receiving are. False says that it is another, or breaks the format.
func (d *Device) single(c *Chain, head uint16) bool {
	e := getDesc(d.r.desc, head)
	if e.flags&(descWrite|descNext|descIndirect) != descWrite {
		return false
	}
	b := d.r.mem.Bytes(e.addr, int(e.len))
	if b == nil || c.OutLen+c.InLen+uint64(e.len) >= 1<<32 {
		return false
	}
	c.In, c.InLen = append(c.In, b), c.InLen+uint64(e.len)
	return true
}

// walk follows a chain from descriptor i of a table on. A chain has at most as many
// descriptors as the ring, those of a table of its own among them [2.7.5.3.1], so a
// loop ends.
func (d *Device) walk(c *Chain, table []byte, i, left uint16, inner bool) error {
	r := d.r
	for {
		if left == 0 {
			return ErrLoop
		}
		left--
		e := getDesc(table, i)
		if e.flags&descIndirect != 0 {
			return d.walkIndirect(c, e, left+1, inner)
		}
		b := r.mem.Bytes(e.addr, int(e.len))
		if b == nil {
			return fmt.Errorf("%w: %d bytes at %#x", ErrAddress, e.len, uint64(e.addr))
		}
		switch {
		case e.flags&descWrite != 0:
			c.In, c.InLen = append(c.In, b), c.InLen+uint64(e.len)
		case len(c.In) > 0:
			return ErrOrder
		default:
			c.Out, c.OutLen = append(c.Out, b), c.OutLen+uint64(e.len)
		}
		if c.OutLen+c.InLen >= 1<<32 {
			return ErrLength
		}
		if e.flags&descNext == 0 {
			return nil
		}
		if i = e.next; int(i)*descLen >= len(table) {
			return fmt.Errorf("%w: %d of %d", ErrNext, i, len(table)/descLen)
		}
	}
}

// walkIndirect follows a table that a descriptor points to. It ends its chain, and
// there is none inside of another [2.7.5.3.1].
func (d *Device) walkIndirect(c *Chain, e desc, left uint16, inner bool) error {
	switch {
	case !d.r.indirect:
		return fmt.Errorf("%w: not negotiated", ErrIndirect)
	case inner:
		return fmt.Errorf("%w: inside of another", ErrIndirect)
	case e.flags&descNext != 0:
		return fmt.Errorf("%w: with a next one", ErrIndirect)
	case e.len == 0 || e.len%descLen != 0 || e.len/descLen > MaxSize:
		return fmt.Errorf("%w: a table of %d bytes", ErrIndirect, e.len)
	}
	table := d.r.mem.Bytes(e.addr, int(e.len))
	if table == nil {
		return fmt.Errorf("%w: a table of %d bytes at %#x", ErrAddress, e.len, uint64(e.addr))
	}
	return d.walk(c, table[:e.len:e.len], 0, left, true)
}

// Taken is how many avail entries were taken, modulo 2^16.
func (d *Device) Taken() uint16 { return d.last }

// Await has f called once, with the time at which it is published, for the next chain
// that the driver adds. It is for a device that polls: nothing of it is in the ring, and
// the driver sees none of it.
func (d *Device) Await(f func(at sim.Time)) { d.r.await = f }

// Undo puts back the n chains that Next gave out last.
func (d *Device) Undo(n int) { d.last -= uint16(n) }

// Push gives a chain back at the time at: n bytes were written into it [2.7.8].
func (d *Device) Push(at sim.Time, head uint16, n uint32) {
	r := d.r
	slot := d.used & r.mask
	e := r.used[ringHead+usedLen*int(slot):]
	binary.LittleEndian.PutUint32(e, uint32(head))
	binary.LittleEndian.PutUint32(e[4:], n)
	r.usedAt[slot] = at
	d.used++
	r.setUsedIdx(d.used)
}

// CallNeeded says whether the driver wants to be called for what was pushed since
// it was last asked [2.7.7.2].
func (d *Device) CallNeeded() bool {
	old := d.called
	d.called = d.used
	switch {
	case d.used == old:
		return false
	case d.r.eventIdx:
		return needEvent(binary.LittleEndian.Uint16(d.r.usedEventAt()), d.used, old)
	}
	return d.r.availFlags()&availNoInterrupt == 0
}

// DisableKicks asks the driver not to kick [2.7.10]. With event indices that needs
// no writing: the driver has passed the one that stands there.
func (d *Device) DisableKicks() {
	d.silent = true
	if !d.r.eventIdx {
		d.r.setUsedFlags(usedNoNotify)
	}
}

// EnableKicks asks the driver to kick for the next chain beyond those that are
// known, that is seen by Next and put back by Undo. For what is on the ring already
// it will not kick; the results are those of Pending. Where at is not Never the
// driver has asked too early and must be taken as having kicked then.
func (d *Device) EnableKicks(now sim.Time, known int) (more bool, at sim.Time) {
	d.silent, d.asked = false, d.last+uint16(known)
	if d.r.eventIdx {
		binary.LittleEndian.PutUint16(d.r.availEventAt(), d.last+uint16(known))
	} else {
		d.r.setUsedFlags(0)
	}
	return d.Pending(now, known)
}

// Pending says whether there is a chain beyond the known ones at the time now, and
// if there is a later one only, when; else at is Never. A ring that is broken has
// none.
func (d *Device) Pending(now sim.Time, known int) (more bool, at sim.Time) {
	if ahead := d.r.availIdx() - d.last; int(ahead) <= known || d.err != nil {
		return false, sim.Never
	}
	if t := d.r.availAt[(d.last+uint16(known))&d.r.mask]; t > now {
		return false, t
	}
	return true, sim.Never
}

// Overdue says whether the device waits for a kick that it should have had. It is an
// oracle for a ring at rest, as Driver.Overdue is.
func (d *Device) Overdue() bool {
	ahead := d.r.availIdx() - d.asked
	return !d.silent && d.err == nil && ahead != 0 && ahead < 1<<15
}

// Silent says whether the device asks not to be kicked.
func (d *Device) Silent() bool { return d.silent }
