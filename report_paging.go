package ringside

import "ringside/mmu"

// A PagingReport is what the TLBs of all CPUs did not know.
type PagingReport struct {
	Kernel string `json:"kernel"` // size of the pages of the host's direct map
	User   string `json:"user"`   // of processes and guests' memory
	Guest  string `json:"guest"`  // of guests' direct maps

	STLBHits uint64 `json:"stlb_hits"` // misses of a first level that the second knew
	Walks    uint64 `json:"walks"`     // that nobody knew
	WalkRefs uint64 `json:"walk_refs"` // entries of page tables read for them

	MissesPerFrame float64 `json:"misses_per_frame"` // of the first level
	WalksPerFrame  float64 `json:"walks_per_frame"`
}

func (h *Host) pagingReport() *PagingReport {
	p := h.Kernel.Paging()
	if !p.Model {
		return nil
	}
	var sum mmu.TLBStat
	for _, s := range h.Kernel.TLBStats() {
		sum.Add(s)
	}
	return &PagingReport{
		Kernel: p.Kernel.String(), User: p.User.String(), Guest: p.Guest.String(),
		STLBHits: sum.STLBHits, Walks: sum.Walks, WalkRefs: sum.Refs,
	}
}
