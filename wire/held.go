package wire

import (
	"ringside/nic"
	"ringside/sim"
)

// held are frames on a link on which frames can overtake each other, in buffers of
// their own: a 4-ary heap by the time they come out, then by the order in which they
// came in.
type held struct {
	heap  []turn
	slots []slot
	idle  []int32 // slots without a frame
}

// A turn is when a frame comes out, and where it is.
type turn struct {
	at   sim.Time
	seq  uint64
	slot int32
}

// A slot keeps one frame.
type slot struct {
	id    uint64
	began sim.Time
	data  []byte
}

func (a *turn) before(b *turn) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// put keeps a copy of f.
func (h *held) put(f *nic.WireFrame, seq uint64, began sim.Time) {
	var i int32
	if n := len(h.idle); n > 0 {
		i, h.idle = h.idle[n-1], h.idle[:n-1]
	} else {
		i = int32(len(h.slots))
		h.slots = append(h.slots, slot{})
	}
	s := &h.slots[i]
	s.id, s.began, s.data = f.ID, began, append(s.data[:0], f.Data...)
	h.heap = append(h.heap, turn{})
	h.up(turn{f.At, seq, i})
}

// next is the earliest, which take takes.
func (h *held) next() *turn { return &h.heap[0] }

// take puts the earliest into f and says when it set off. Its bytes stay good until
// the next put.
func (h *held) take(f *nic.WireFrame) (began sim.Time) {
	first := h.heap[0]
	s := &h.slots[first.slot]
	*f = nic.WireFrame{ID: s.id, At: first.at, Data: s.data}
	h.idle = append(h.idle, first.slot)
	n := len(h.heap) - 1
	last := h.heap[n]
	if h.heap = h.heap[:n]; n > 0 {
		h.down(last)
	}
	return s.began
}

// up puts t where there is room at the end.
func (h *held) up(t turn) {
	i := len(h.heap) - 1
	for i > 0 && t.before(&h.heap[(i-1)/4]) {
		h.heap[i] = h.heap[(i-1)/4]
		i = (i - 1) / 4
	}
	h.heap[i] = t
}

// down puts t where there is room at the top.
func (h *held) down(t turn) {
	i, n := 0, len(h.heap)
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		c := first
		for j := first + 1; j < min(first+4, n); j++ {
			if h.heap[j].before(&h.heap[c]) {
				c = j
			}
		}
		if !h.heap[c].before(&t) {
			break
		}
		h.heap[i] = h.heap[c]
		i = c
	}
	h.heap[i] = t
}
