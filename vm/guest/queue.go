package guest

import (
	"ringside/netstack"
	"ringside/offload"
)

// A frameQueue is copies of frames that wait, in buffers that are used again. The
// zero value is empty and holds no memory.
type frameQueue struct {
	ring  []queued // a power of two of them
	begin int
	n     int

	head  netstack.Packet // what first returns
	parts [1][]byte
}

type queued struct {
	data []byte
	meta offload.Meta
}

// push copies a packet to the end, unless there are limit of them already.
func (q *frameQueue) push(p *netstack.Packet, limit int) bool {
	if q.n >= limit {
		return false
	}
	if q.n == len(q.ring) {
		q.grow()
	}
	e := &q.ring[(q.begin+q.n)&(len(q.ring)-1)]
	e.data, e.meta = e.data[:0], p.Meta
	for _, part := range p.Parts {
		e.data = append(e.data, part...)
	}
	q.n++
	return true
}

func (q *frameQueue) grow() {
	ring := make([]queued, max(16, 2*q.n))
	copy(ring[copy(ring, q.ring[q.begin:]):], q.ring[:q.begin])
	q.ring, q.begin = ring, 0
}

// first is the packet at the head, good until pop.
func (q *frameQueue) first() *netstack.Packet {
	e := &q.ring[q.begin]
	q.parts[0] = e.data
	q.head = netstack.Packet{Parts: q.parts[:], Len: len(e.data), Meta: e.meta}
	return &q.head
}

// pop drops the packet at the head.
func (q *frameQueue) pop() {
	q.begin = (q.begin + 1) & (len(q.ring) - 1)
	q.n--
}
