package nic

import (
	"ringside/mem"
	"ringside/sim"
)

// A Tag is what an observer knows of the frame in a descriptor. Hardware has no
// such thing: it rides beside the ring, so that a frame keeps its number and its
// arrival through the driver.
type Tag struct {
	ID      uint64
	Arrived sim.Time // the last bit came in, for a received frame
	Done    sim.Time // the descriptor was written back; every descriptor of a frame has it
}

// A ring is a descriptor ring in host memory with the registers that place it
// [7.1], [7.2]. The device owns the descriptors from head up to tail,
// which is none when they are equal, so a ring of n holds n-1.
//
//	          head (the device moves it)      tail (the driver moves it)
//	            v                               v
//	| done | done | given | given | given | ... | done | done |
type ring struct {
	mem   []byte // the descriptors, of the PF; nil while the queue is off
	vf    *VF    // whose ring it is; nil for the PF
	head  uint32 // next descriptor that the device uses
	tail  uint32 // one past the last that the driver gave
	n     uint32 // descriptors, 0 while the queue is off
	base  uint64 // RDBAL and RDBAH
	bytes uint32 // RDLEN
	dctl  Dctl
	dca   uint32
	tags  []Tag
}

// given is how many descriptors the device owns.
func (r *ring) given() uint32 {
	if r.tail >= r.head {
		return r.tail - r.head
	}
	return r.tail + r.n - r.head
}

// next is the index after i.
func (r *ring) next(i uint32) uint32 {
	if i++; i == r.n {
		return 0
	}
	return i
}

// before is the index before i.
func (r *ring) before(i uint32) uint32 {
	if i == 0 {
		i = r.n
	}
	return i - 1
}

// desc is descriptor i.
func (r *ring) desc(i uint32) *[DescSize]byte { return (*[DescSize]byte)(r.mem[i*DescSize:]) }

// enable takes the ring's memory; it returns what is wrong with it, "" if it is
// on now.
func (r *ring) enable(m *mem.Memory) string {
	if r.bytes == 0 {
		return "queue enabled with ring length 0"
	}
	var b []byte
	if r.vf == nil { // of a VF each access shows that
		if b = m.Bytes(mem.Addr(r.base), int(r.bytes)); b == nil {
			return "queue enabled with its ring outside memory"
		}
	}
	n := r.bytes / DescSize
	if r.head >= n || r.tail >= n {
		return "queue enabled with head or tail beyond its ring"
	}
	r.mem, r.n = b, n
	if uint32(len(r.tags)) != n {
		r.tags = make([]Tag, n)
	}
	clear(r.tags)
	r.dctl |= DctlENABLE
	return ""
}

// disable gives the memory back; the registers stay as they are.
func (r *ring) disable() {
	r.mem, r.n = nil, 0
	r.dctl &^= DctlENABLE
}

// on says that the queue is enabled.
func (r *ring) on() bool { return r.n != 0 }

// read answers for the registers that both directions have.
func (r *ring) read(off uint32) (uint32, bool) {
	switch off {
	case offBAL:
		return uint32(r.base), true
	case offBAH:
		return uint32(r.base >> 32), true
	case offLEN:
		return r.bytes, true
	case offDH:
		return r.head, true
	case offDT:
		return r.tail, true
	case offDCTL:
		return uint32(r.dctl), true
	case offDCA:
		return r.dca, true
	}
	return 0, false
}

// place writes RDBAL, RDBAH, RDLEN, RDH and their like. It returns what is wrong
// with that, "" if nothing, and false if off is none of them.
func (r *ring) place(off, v uint32) (string, bool) {
	switch off {
	case offBAL, offBAH, offLEN, offDH:
		if r.on() {
			return "written while the queue is enabled; ignored", true
		}
	}
	switch off {
	case offBAL:
		r.base = r.base&^0xFFFFFFFF | uint64(v&^127)
		if v&127 != 0 {
			return "ring base not a multiple of 128; low bits ignored", true
		}
	case offBAH:
		r.base = r.base&0xFFFFFFFF | uint64(v)<<32
	case offLEN:
		r.bytes = v & 0xFFF80
		if v != r.bytes {
			return "ring length not a multiple of 128, or above 1 MiB; other bits ignored", true
		}
	case offDH:
		r.head = v & 0xFFFF
	default:
		return "", false
	}
	return "", true
}

// doorbell is a write of the tail. It returns what is wrong with that, and
// whether the tail has moved.
func (r *ring) doorbell(v uint32) (wrong string, moved bool) {
	if !r.on() {
		if v == r.head {
			r.tail = v
			return "", false
		}
		return "tail moved while the queue is disabled; ignored", false
	}
	if v >= r.n {
		return "tail beyond the ring's last descriptor; ignored", false
	}
	step := v - r.tail
	if v < r.tail {
		step += r.n
	}
	if r.given()+step >= r.n {
		wrong = "tail passes head: more descriptors given than the ring has room for"
	}
	r.tail = v
	return wrong, true
}
