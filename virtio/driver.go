package virtio

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/sim"
)

// A Buffer is a piece of guest memory.
type Buffer struct {
	Addr mem.Addr
	Len  uint32
}

// A Driver is the guest's side of a ring. What it must know of a chain it keeps
// for itself, since the device could write to the tables.
type Driver struct {
	r      *Ring
	free   uint16 // first of the free descriptors, linked by next
	left   uint16 // how many there are
	idx    uint16 // avail entries published
	kicked uint16 // of them, when KickNeeded was last asked
	seen   uint16 // used entries taken
	calls  bool   // wants to be called
	err    error
	links  []link // by descriptor
}

// A link is what the driver remembers of a descriptor.
type link struct {
	next   uint16 // in its chain or among the free ones
	chain  uint16 // of a head: descriptors in flight; 0 if it is none
	posted uint32 // of a head: bytes that the device may write
}

func (d *Driver) init(r *Ring) {
	*d = Driver{r: r, left: r.size, links: make([]link, r.size), calls: true}
	for i := range d.links {
		d.links[i].next = uint16(i+1) & r.mask
	}
}

// ErrUsed says that the device has put on the used ring what the driver never gave
// it.
var ErrUsed = errors.New("virtio: bad used ring")

// Free is how many descriptors are free.
func (d *Driver) Free() int { return int(d.left) }

// InFlight is how many chains the device has, those among them that it is done
// with and that Get has not taken yet.
func (d *Driver) InFlight() int { return int(d.idx - d.seen) }

// Err is what broke the driver's side; nil while it is sound.
func (d *Driver) Err() error { return d.err }

// NextHead is the head that the next chain will have, if a descriptor is free.
func (d *Driver) NextHead() uint16 { return d.free }

// Ahead appends the descriptors that the next chain will have, the first n of the free
// ones, which there must be.
func (d *Driver) Ahead(to []uint16, n int) []uint16 {
	for i := d.free; n > 0; i, n = d.links[i].next, n-1 {
		to = append(to, i)
	}
	return to
}

// Add publishes a chain at the time at: the buffers that the device may read, then
// those that it may write [2.7.13]. It returns the chain's head; ok is false, and
// nothing is done, if there are too few free descriptors or no buffers.
func (d *Driver) Add(at sim.Time, out, in []Buffer) (head uint16, ok bool) {
	n := len(out) + len(in)
	if n == 0 || n > int(d.left) || d.err != nil {
		return 0, false
	}
	r := d.r
	head = d.free
	i, last := head, head
	var posted uint32
	for k := range n {
		var b Buffer
		var flags uint16
		if k < len(out) {
			b = out[k]
		} else {
			b, flags = in[k-len(out)], descWrite
			posted += b.Len
		}
		if k < n-1 {
			flags |= descNext
		}
		next := d.links[i].next
		putDesc(r.desc, i, desc{b.Addr, b.Len, flags, next})
		last, i = i, next
	}
	d.links[head].chain, d.links[head].posted = uint16(n), posted
	d.free, d.left = d.links[last].next, d.left-uint16(n)
	d.publish(at, head)
	return head, true
}

// AddOwn publishes at the time at every free descriptor as a chain by itself: of number
// i the device may write the size bytes at base+i*size. It returns how many there were.
func (d *Driver) AddOwn(at sim.Time, base mem.Addr, size uint32) (n int) {
	r := d.r
	if d.err != nil {
		return 0
	}
	for ; d.left > 0; n++ {
		i := d.free
		l := &d.links[i]
		putDesc(r.desc, i, desc{base + mem.Addr(i)*mem.Addr(size), size, descWrite, l.next})
		l.chain, l.posted = 1, size
		d.free, d.left = l.next, d.left-1
		d.publish(at, i)
	}
	return n
}

// publish puts a chain on the avail ring.
func (d *Driver) publish(at sim.Time, head uint16) {
	r := d.r
	slot := d.idx & r.mask
	binary.LittleEndian.PutUint16(r.avail[ringHead+availLen*int(slot):], head)
	r.availAt[slot] = at
	d.idx++
	r.setAvailIdx(d.idx)
	if f := r.await; f != nil {
		r.await = nil
		f(at)
	}
}

// KickNeeded says whether the device wants to be told of the chains that were
// added since it was last asked [2.7.13.4].
func (d *Driver) KickNeeded() bool {
	old := d.kicked
	d.kicked = d.idx
	switch {
	case d.idx == old || d.err != nil:
		return false
	case d.r.eventIdx:
		return needEvent(binary.LittleEndian.Uint16(d.r.availEventAt()), d.idx, old)
	}
	return d.r.usedFlags()&usedNoNotify == 0
}

// Get takes the next chain that the device is done with by the time now: its head
// and how many bytes were written into it. The descriptors are free again. A used
// entry that cannot be is an error, which breaks the driver's side.
func (d *Driver) Get(now sim.Time) (head uint16, n uint32, ok bool) {
	r := d.r
	idx := r.usedIdx()
	if idx == d.seen || d.err != nil {
		return 0, 0, false
	}
	if int(idx-d.seen) > d.InFlight() {
		d.err = fmt.Errorf("%w: %d entries, and %d chains are in flight", ErrUsed, idx-d.seen, d.InFlight())
		return 0, 0, false
	}
	slot := d.seen & r.mask
	if r.usedAt[slot] > now {
		return 0, 0, false
	}
	e := r.used[ringHead+usedLen*int(slot):]
	id, n := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
	if id >= uint32(r.size) || d.links[id].chain == 0 {
		d.err = fmt.Errorf("%w: chain %d is not in flight", ErrUsed, id)
		return 0, 0, false
	}
	if n > d.links[id].posted {
		d.err = fmt.Errorf("%w: %d bytes in the %d of chain %d", ErrUsed, n, d.links[id].posted, id)
		return 0, 0, false
	}
	head = uint16(id)
	d.release(head)
	d.seen++
	if d.calls && r.eventIdx {
		binary.LittleEndian.PutUint16(r.usedEventAt(), d.seen)
	}
	return head, n, true
}

// release puts the descriptors of a chain on the free list.
func (d *Driver) release(head uint16) {
	last := head
	for range d.links[head].chain - 1 {
		last = d.links[last].next
	}
	d.left += d.links[head].chain
	d.links[last].next, d.free = d.free, head
	d.links[head].chain = 0
}

// DisableCalls asks the device not to call. It may do so nevertheless [2.7.7.1].
func (d *Driver) DisableCalls() {
	d.calls = false
	if d.r.eventIdx {
		binary.LittleEndian.PutUint16(d.r.usedEventAt(), d.seen-1) // behind: passed after 2^16 more
		return
	}
	d.r.setAvailFlags(availNoInterrupt)
}

// EnableCalls asks the device to call for the next used entry. What is on the ring
// already it will not call for: more says that there are entries at the time now.
// If there is one of a later time only, at is that time, and the device, which has
// asked too early, must be taken as having called then; else at is Never.
func (d *Driver) EnableCalls(now sim.Time) (more bool, at sim.Time) { return d.enable(now, 0) }

// EnableCallsDelayed is EnableCalls for a driver that is in no hurry: the call
// comes when three quarters of what is in flight were used.
func (d *Driver) EnableCallsDelayed(now sim.Time) (more bool, at sim.Time) {
	return d.enable(now, uint16(d.InFlight()*3/4))
}

// enable asks for a call after so many entries beside the next one. Without event
// indices it comes for the next one.
func (d *Driver) enable(now sim.Time, after uint16) (more bool, at sim.Time) {
	d.calls = true
	r := d.r
	if r.eventIdx {
		binary.LittleEndian.PutUint16(r.usedEventAt(), d.seen+after)
	} else {
		r.setAvailFlags(0)
		after = 0
	}
	if r.usedIdx()-d.seen <= after || d.err != nil {
		return false, sim.Never
	}
	if t := r.usedAt[(d.seen+after)&r.mask]; t > now {
		return false, t
	}
	return true, sim.Never
}

// Pending says whether there is a used entry at the time now.
func (d *Driver) Pending(now sim.Time) bool {
	return d.r.usedIdx() != d.seen && d.err == nil && d.r.usedAt[d.seen&d.r.mask] <= now
}

// Overdue says whether the driver waits for a call that it should have had: there
// is a used entry that it asked to be called for. It is an oracle for a ring at rest.
func (d *Driver) Overdue() bool {
	idx := d.r.usedIdx()
	if !d.calls || idx == d.seen || d.err != nil || d.InFlight() == 0 {
		return false
	}
	return !d.r.eventIdx || needEvent(binary.LittleEndian.Uint16(d.r.usedEventAt()), idx, d.seen)
}
