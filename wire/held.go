package wire

import (
	"ringside/nic"
	"ringside/sim"
)

// held are frames on a link on which frames can overtake each other, in buffers of
// their own: a heap by the time they come out, then by the order in which they came
// in.
type held struct {
	heap []sighted
	bufs [][]byte
	idle []int32 // buffers without a frame
	lent int32   // the buffer of the frame that was taken last, plus one
}

// A sighted is a frame that is held, its bytes beside it.
type sighted struct {
	at    sim.Time
	seq   uint64
	began sim.Time
	id    uint64
	buf   int32
}

func (a *sighted) before(b *sighted) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// put keeps a copy of f.
func (h *held) put(f *nic.WireFrame, seq uint64, began sim.Time) {
	var buf int32
	if n := len(h.idle); n > 0 {
		buf, h.idle = h.idle[n-1], h.idle[:n-1]
	} else {
		buf = int32(len(h.bufs))
		h.bufs = append(h.bufs, nil)
	}
	h.bufs[buf] = append(h.bufs[buf][:0], f.Data...)
	h.heap = append(h.heap, sighted{})
	h.up(len(h.heap)-1, sighted{f.At, seq, began, f.ID, buf})
}

// next is the earliest, which take takes.
func (h *held) next() *sighted { return &h.heap[0] }

// take puts the earliest into f. Its bytes stay good until the next take.
func (h *held) take(f *nic.WireFrame) {
	if h.lent > 0 {
		h.idle = append(h.idle, h.lent-1)
	}
	first := h.heap[0]
	*f = nic.WireFrame{ID: first.id, At: first.at, Data: h.bufs[first.buf]}
	h.lent = first.buf + 1
	n := len(h.heap) - 1
	last := h.heap[n]
	h.heap = h.heap[:n]
	if n > 0 {
		h.down(last)
	}
}

func (h *held) up(i int, x sighted) {
	for i > 0 && x.before(&h.heap[(i-1)/2]) {
		h.heap[i] = h.heap[(i-1)/2]
		i = (i - 1) / 2
	}
	h.heap[i] = x
}

func (h *held) down(x sighted) {
	i, n := 0, len(h.heap)
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h.heap[c+1].before(&h.heap[c]) {
			c++
		}
		if !h.heap[c].before(&x) {
			break
		}
		h.heap[i] = h.heap[c]
		i = c
	}
	h.heap[i] = x
}
