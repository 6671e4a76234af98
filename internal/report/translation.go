package report

import (
	"fmt"

	"ringside"
	"ringside/cost"
	"ringside/sim"
)

// translation is what TLBs and the IOMMU did not know.
func (p *page) translation(r *ringside.Report) {
	if r.Paging == nil && r.IOMMU == nil {
		return
	}
	p.title("ADDRESSES TRANSLATED")
	if t := r.Paging; t != nil {
		p.para("  pages   ", fmt.Sprintf("%s for the kernel, %s for processes, %s in guests", t.Kernel, t.User, t.Guest))
		p.para("  TLBs    ", fmt.Sprintf("%.2f misses of the first level a frame, %.2f walks a frame; %s, which read %s",
			t.MissesPerFrame, t.WalksPerFrame, Count(t.Walks, "walk", "walks"), Count(t.WalkRefs, "entry", "entries")))
	}
	if u := r.IOMMU; u != nil {
		p.para("  IOMMU   ", fmt.Sprintf("%s known to the IOTLB, %s, which read %s and took devices %s; %s",
			Comma(u.Hits), Count(u.Walks, "walk", "walks"), Count(u.Refs, "entry", "entries"),
			Span(sim.Time(r.Bill.Ops[cost.NIC][cost.IOTLBWalk].Picoseconds)), Count(u.Faults, "fault", "faults")))
	}
}
