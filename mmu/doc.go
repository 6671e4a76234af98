// Package mmu is how addresses become addresses: page tables with pages of 4 KiB, 2 MiB
// and 1 GiB, the buffers of a processor that remember what a walk has found (TLB), the
// walk through two tables that a guest's addresses take, and the IOMMU that stands
// between devices and memory.
//
//	processor ─► L1 TLB ─► STLB ─► walk, from where a walk cache allows on
//	device    ─► IOTLB  ─► walk of its domain's table, or a fault
//
// A Space and a Domain translate; a TLB only counts. Nothing here has a price or knows
// who touches memory, and nothing allocates while it translates.
//
// It is a model of reach, not of caches: a walk is so many references, and where in the
// cache hierarchy an entry of a table lies is left to their price. Instruction TLBs,
// prefetch of translations, accesses out of order and pages that change their size while
// they are mapped are not modelled.
package mmu
