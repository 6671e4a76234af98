package kernel

import "ringside/cost"

// What lies on another node costs more: a line that is dirty in a cache there, bytes
// that are copied from or to there. Where what lies is known by who put it there: a
// frame that DMA wrote is in the cache of the NIC's node, one on a tap is in that of the
// CPU that put it on the ring, and a guest's memory is where the guest began, or where
// it was put.

// farTouch charges the first touch of frames that the NIC of another node has written.
func (c *CPU) farTouch(d *driver, list []*skb) {
	if c.node != d.node {
		c.all(list, cost.NumaFirstTouch)
	}
}

// farRead charges what a frame that was taken off a tap's ring and copied cost more than
// it would have on one node: the ring's line and the n bytes, if another node put it
// there, and the bytes once more if they went to memory on another node.
func (c *CPU) farRead(s *skb, n int, memory int, ring, bytes cost.Step) {
	if c.k.cpus[s.putBy].node != c.node {
		c.one(ring, s)
		c.many(bytes, s, 1, uint64(n))
	}
	c.farMemory(s, n, memory, bytes)
}

// farMemory charges a copy from or to a guest's memory, if that is on another node.
func (c *CPU) farMemory(s *skb, n int, memory int, bytes cost.Step) {
	if memory != c.node {
		c.many(bytes, s, 1, uint64(n))
	}
}
