package nic

import (
	"encoding/binary"

	"ringside/mem"
	"ringside/sim"
)

// A remapper is an IOMMU between the physical function and memory. Its domain maps
// addresses to themselves where it maps them, so what is asked is only whether, and how
// many entries of tables that takes.
type remapper struct {
	by   DMA // nil: there is none
	refs int // entries read since they were last taken
}

// reach says whether the physical function may reach n bytes at a.
func (n *NIC) reach(a mem.Addr, size int, write bool, now sim.Time) bool {
	b, refs := n.remap.by.Bytes(n.source, a, size, write, now)
	n.remap.refs += refs
	if b == nil {
		return false
	}
	at, ok := n.memory.AddrOf(b)
	return ok && at == a
}

// take is how many entries were read since it was last called.
func (r *remapper) take() int {
	refs := r.refs
	r.refs = 0
	return refs
}

// reachRx says whether descriptor i of a receive ring and the first n bytes of its buffer
// can be reached.
func (n *NIC) reachRx(q *rxQueue, i uint32, size int, now sim.Time) bool {
	buf := mem.Addr(binary.LittleEndian.Uint64(q.desc(i)[:]))
	return n.reach(mem.Addr(q.base)+mem.Addr(i)*DescSize, DescSize, true, now) && n.reach(buf, size, true, now)
}
