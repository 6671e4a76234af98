package wire

import "ringside/sim"

// A moment is when a frame leaves a queue, and how long it is.
type moment struct {
	at   sim.Time
	size int
}

// A fifo is a ring of moments that grows.
type fifo struct {
	ring  []moment // a power of two of them
	begin int
	n     int
}

func (q *fifo) first() *moment { return &q.ring[q.begin] }

func (q *fifo) pop() {
	q.begin = (q.begin + 1) & (len(q.ring) - 1)
	q.n--
}

func (q *fifo) push(m moment) {
	if q.n == len(q.ring) {
		ring := make([]moment, max(16, 2*q.n))
		copy(ring[copy(ring, q.ring[q.begin:]):], q.ring[:q.begin])
		q.ring, q.begin = ring, 0
	}
	q.ring[(q.begin+q.n)&(len(q.ring)-1)] = m
	q.n++
}
