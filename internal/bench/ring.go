package bench

import "sync/atomic"

// A ring is the yardstick: a bare single-producer single-consumer ring of
// preallocated buffers, driven from one goroutine, that copies a frame in and
// copies it out, in batches of 32. It has no addresses, no time and no bill; it
// is what a Go program cannot easily be faster than.
type ring struct {
	slots [ringSize][2048]byte
	lens  [ringSize]uint16
	_     [64]byte
	head  atomic.Uint64 // the consumer's
	_     [64]byte
	tail  atomic.Uint64 // the producer's
}

const (
	ringSize  = 256
	ringBatch = 32
)

func (r *ring) put(frame []byte, n int) {
	tail := r.tail.Load()
	if tail+uint64(n)-r.head.Load() > ringSize {
		panic("bench: the yardstick's ring is full")
	}
	for i := range uint64(n) {
		s := &r.slots[(tail+i)%ringSize]
		r.lens[(tail+i)%ringSize] = uint16(copy(s[:], frame))
	}
	r.tail.Store(tail + uint64(n))
}

func (r *ring) take(into []byte, n int) (bytes int) {
	head := r.head.Load()
	if head+uint64(n) > r.tail.Load() {
		panic("bench: the yardstick's ring is empty")
	}
	for i := range uint64(n) {
		at := (head + i) % ringSize
		bytes += copy(into, r.slots[at][:r.lens[at]])
	}
	r.head.Store(head + uint64(n))
	return bytes
}

// run moves at least n frames and returns how many.
func (r *ring) run(frame, into []byte, n int) (moved int) {
	for moved < n {
		r.put(frame, ringBatch)
		r.take(into, ringBatch)
		moved += ringBatch
	}
	return moved
}
