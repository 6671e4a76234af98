package vmm

import (
	"encoding/binary"
	"fmt"

	"ringside/mem"
	"ringside/syscall"
	"ringside/virtio"
)

// buffers are the chains for receiving that were taken off the ring and are not filled
// yet, in order.
type buffers struct {
	heads    []head
	segs     []syscall.Segment // of all of them, one chain after the other
	allHeads []head            // all of what was allocated for them
	allSegs  []syscall.Segment // likewise
	room     int               // bytes
	descs    int               // descriptors
	mem      *mem.Memory
}

// A head is one chain.
type head struct {
	head  uint16
	segs  int32 // pieces
	descs int32
	room  int // bytes
	got   int // of them, filled
}

// hold says whether a frame of n bytes has room. Without mergeable buffers it gets one
// chain, whatever that holds.
func (b *buffers) hold(n int, mergeable bool) bool {
	return b.room >= n && n > 0 || !mergeable && len(b.heads) > 0 || len(b.segs) > maxPieces-2
}

// left is how many descriptors of a ring of that size are not among those taken.
func (b *buffers) left(size int) int { return max(size-b.descs, 0) }

// add appends a chain that the guest has published for receiving.
func (b *buffers) add(c *virtio.Chain, m *mem.Memory) error {
	if len(c.Out) > 0 {
		return fmt.Errorf("%w: a readable buffer for receiving", virtio.ErrOrder)
	}
	b.makeRoom(len(c.In))
	was := len(b.segs)
	segs, err := segments(b.segs, c.In, m)
	b.mem = m
	switch {
	case err != nil:
		return err
	case c.InLen < virtio.HdrLen:
		return fmt.Errorf("%w: %d bytes for receiving, less than a header", virtio.ErrOrder, c.InLen)
	}
	b.segs = segs
	b.heads = append(b.heads, head{head: c.Head, segs: int32(len(segs) - was), descs: int32(len(c.In)), room: int(c.InLen)})
	b.room += int(c.InLen)
	b.descs += len(c.In)
	return nil
}

// makeRoom sees to it that one more chain, of so many pieces, fits behind what is there.
func (b *buffers) makeRoom(pieces int) {
	if len(b.heads) == cap(b.heads) {
		b.heads = toFront(&b.allHeads, b.heads, 1)
	}
	if cap(b.segs)-len(b.segs) < pieces {
		b.segs = toFront(&b.allSegs, b.segs, pieces)
	}
}

// toFront moves a list to the front of all that was allocated for it, and allocates more
// if less than three quarters of that would be free: then moving costs little for each
// that is added.
func toFront[T any](all *[]T, list []T, more int) []T {
	if need := 4 * (len(list) + more); cap(*all) < need {
		*all = make([]T, 0, max(2*need, leastRoom))
	}
	return append((*all)[:0], list...)
}

// leastRoom is how much of a list is allocated at least.
const leastRoom = 256

// space is where the next frame may go.
func (b *buffers) space(mergeable bool) []syscall.Segment {
	if mergeable {
		return b.segs[:min(len(b.segs), maxPieces)]
	}
	return b.segs[:b.heads[0].segs]
}

// fill says which chains hold the n bytes that were read, and writes into the header
// how many there are.
func (b *buffers) fill(n int, mergeable bool) []head {
	k := 0
	for left := n; k == 0 || left > 0 && k < len(b.heads); k++ {
		h := &b.heads[k]
		h.got = min(left, h.room)
		left -= h.got
	}
	if mergeable && k > 1 {
		b.setBuffers(uint16(k))
	}
	return b.heads[:k]
}

// setBuffers writes num_buffers of the header, whose bytes may lie in several pieces.
func (b *buffers) setBuffers(k uint16) {
	var v [2]byte
	binary.LittleEndian.PutUint16(v[:], k)
	from := 0 // bytes of the chain in front of the piece
	for _, s := range b.segs[:b.heads[0].segs] {
		for at := max(from, numBuffersAt); at < min(from+s.Len, virtio.HdrLen); at++ {
			b.mem.Bytes(s.Addr, s.Len)[at-from] = v[at-numBuffersAt]
		}
		from += s.Len
	}
}

// numBuffersAt is where num_buffers stands in a header.
const numBuffersAt = 10

// dropFirst is drop of one.
func (b *buffers) dropFirst() {
	h := &b.heads[0]
	b.room -= h.room
	b.descs -= int(h.descs)
	b.heads, b.segs = b.heads[1:], b.segs[h.segs:]
}

// drop forgets the first k chains.
func (b *buffers) drop(k int) {
	segs := 0
	for _, h := range b.heads[:k] {
		segs += int(h.segs)
		b.room -= h.room
		b.descs -= int(h.descs)
	}
	b.heads, b.segs = b.heads[k:], b.segs[segs:]
}
