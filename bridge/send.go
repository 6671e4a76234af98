package bridge

import "slices"

// Sent is a frame that the bridge sends itself: a BPDU, a query, an answer for a
// neighbour.
type Sent struct {
	Port  Port   // by which it leaves; Local is up into the bridge's own interface
	Frame []byte // the whole frame, unpadded
}

// An outbox is the frames that nobody fetched yet.
type outbox struct {
	list  []Sent
	taken bool
	total int // frames ever
}

// emit puts a frame of the bridge's own into the outbox. The frame may be used
// again when it returns.
func (b *Bridge) emit(p Port, frame []byte) {
	if b.sent.taken {
		b.sent.list, b.sent.taken = b.sent.list[:0], false
	}
	b.sent.list = append(b.sent.list, Sent{p, slices.Clone(frame)})
	b.sent.total++
}

// emitted is the bit for the work of a frame because of which the bridge sends some
// of its own.
func (b *Bridge) emitted(f *pass) Work {
	if b.sent.total == f.sent {
		return 0
	}
	return Emitted
}

// Sent is the frames that the bridge sends itself since the last call, in their
// order. The list is good until the next call of anything.
func (b *Bridge) Sent() []Sent {
	if b.sent.taken {
		return nil
	}
	b.sent.taken = true
	return b.sent.list
}
