package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/sim"
)

// The layout of a ring as it is mapped into the process (struct xdp_mmap_offsets on
// x86): each index has lines of its own.
//
//	0 producer   128 consumer   196 flags   320 entries: 8 bytes of an address,
//	                                            or a descriptor of 16
const (
	offProducer = 0
	offConsumer = 128
	offFlags    = 196
	offEntries  = 320

	addrLen = 8
	descLen = 16
)

// NeedWakeup is the flag of a fill or send ring that asks to be told of what is put
// there (XDP_RING_NEED_WAKEUP).
const NeedWakeup = 1

// A Desc is an entry of a receive or send ring: a frame in the UMEM (struct xdp_desc).
type Desc struct {
	Addr    uint64
	Len     uint32
	Options uint32
}

// A Tag is who a frame is, kept beside the ring for traces.
type Tag struct {
	ID      uint64
	Arrived sim.Time
}

// A Ring is one of the four rings of an AF_XDP socket, in memory that a process shares
// with the kernel. One side produces and one consumes. Each keeps its own index; what it
// reads of the other's may be anything, and decides nothing but how many entries are
// looked at: at most all.
//
// Beside the memory stands when each entry was written, and who the frame in it is.
type Ring struct {
	mem  []byte
	size uint32
	len  uint32 // of an entry
	prod uint32 // the producing side's index
	cons uint32 // the consuming side's
	at   []sim.Time
	tags []Tag
}

// ErrRing says that a ring cannot be made.
var ErrRing = errors.New("xdp: no such ring")

// MaxRing is the most entries of a ring.
const MaxRing = 1 << 16

// RingBytes is how much memory a ring of n entries takes, descriptors or addresses.
func RingBytes(n int, descs bool) int {
	if descs {
		return offEntries + descLen*n
	}
	return offEntries + addrLen*n
}

// NewRing makes a ring of n entries, a power of two, in memory that is zeroed.
func NewRing(memory []byte, n int, descs bool) (*Ring, error) {
	switch {
	case n < 1 || n > MaxRing || n&(n-1) != 0:
		return nil, fmt.Errorf("%w: %d entries; a power of two up to %d is possible", ErrRing, n, MaxRing)
	case len(memory) < RingBytes(n, descs):
		return nil, fmt.Errorf("%w: %d bytes of memory for %d entries", ErrRing, len(memory), n)
	}
	clear(memory)
	r := &Ring{mem: memory, size: uint32(n), len: addrLen, at: make([]sim.Time, n), tags: make([]Tag, n)}
	if descs {
		r.len = descLen
	}
	return r, nil
}

// Bytes is the ring's memory, of which the process can write all.
func (r *Ring) Bytes() []byte { return r.mem }

// Size is the number of entries.
func (r *Ring) Size() int { return int(r.size) }

func (r *Ring) word(off int) uint32       { return binary.LittleEndian.Uint32(r.mem[off:]) }
func (r *Ring) setWord(off int, v uint32) { binary.LittleEndian.PutUint32(r.mem[off:], v) }

// NeedsWakeup says that the kernel wants to be told.
func (r *Ring) NeedsWakeup() bool { return r.word(offFlags)&NeedWakeup != 0 }

// SetNeedWakeup says so, or not.
func (r *Ring) SetNeedWakeup(on bool) {
	v := uint32(0)
	if on {
		v = NeedWakeup
	}
	r.setWord(offFlags, v)
}

// Free is how many entries the producing side may still fill.
func (r *Ring) Free() int {
	used := r.prod - r.word(offConsumer)
	return int(r.size - min(used, r.size))
}

// entry is the memory of the entry with an index.
func (r *Ring) entry(i uint32) []byte {
	off := offEntries + (i&(r.size-1))*r.len
	return r.mem[off : off+r.len]
}

// PutAddr writes an address into the next entry; there must be a free one. Publish shows
// it to the other side.
func (r *Ring) PutAddr(addr uint64, now sim.Time) {
	binary.LittleEndian.PutUint64(r.entry(r.prod), addr)
	r.at[r.prod&(r.size-1)] = now
	r.prod++
}

// PutDesc is PutAddr of a descriptor and whose frame it is.
func (r *Ring) PutDesc(d Desc, t Tag, now sim.Time) {
	e := r.entry(r.prod)
	binary.LittleEndian.PutUint64(e, d.Addr)
	binary.LittleEndian.PutUint32(e[8:], d.Len)
	binary.LittleEndian.PutUint32(e[12:], d.Options)
	r.at[r.prod&(r.size-1)], r.tags[r.prod&(r.size-1)] = now, t
	r.prod++
}

// Publish writes the producer index.
func (r *Ring) Publish() { r.setWord(offProducer, r.prod) }

// Ready is how many entries the consuming side can take by what the producer index says.
func (r *Ring) Ready() int { return int(min(r.word(offProducer)-r.cons, r.size)) }

// Caught says that the producer index is one that there can be. One that is further ahead
// than the ring has entries is caught up with, and nothing of what it tells is there:
// else who writes nonsense would have the other side read for as long as there are
// numbers.
func (r *Ring) Caught() bool {
	if r.word(offProducer)-r.cons <= r.size {
		return true
	}
	r.cons = r.word(offProducer)
	r.Release()
	return false
}

// Due is when the next entry was written; ok is false if there is none.
func (r *Ring) Due() (at sim.Time, ok bool) {
	return r.at[r.cons&(r.size-1)], r.Ready() > 0
}

// TakeAddr takes the next address that was written by the time now.
func (r *Ring) TakeAddr(now sim.Time) (addr uint64, ok bool) {
	if at, some := r.Due(); !some || at > now {
		return 0, false
	}
	addr = binary.LittleEndian.Uint64(r.entry(r.cons))
	r.cons++
	return addr, true
}

// TakeDesc is TakeAddr of a descriptor, and who the frame in it is.
func (r *Ring) TakeDesc(now sim.Time) (d Desc, t Tag, ok bool) {
	if at, some := r.Due(); !some || at > now {
		return d, t, false
	}
	e := r.entry(r.cons)
	d = Desc{binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:])}
	t = r.tags[r.cons&(r.size-1)]
	r.cons++
	return d, t, true
}

// Release writes the consumer index: the other side may fill what was taken.
func (r *Ring) Release() { r.setWord(offConsumer, r.cons) }

// A Socket is the rings of an AF_XDP socket.
type Socket struct {
	Fill *Ring // addresses: buffers for the kernel to fill
	Comp *Ring // addresses: buffers that were sent
	Rx   *Ring // descriptors: frames for the process
	Tx   *Ring // descriptors: frames from it
}
