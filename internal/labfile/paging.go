package labfile

import (
	"ringside"
	"ringside/mmu"
)

// readPaging reads page sizes, of which those that are not there are 4k. With them the
// model of TLBs is on.
func (l *lab) readPaging(f field) {
	p := ringside.Paging{Model: true}
	size := func(into *mmu.PageSize) func(field) {
		return func(f field) {
			if i, ok := l.Word(f, "4k", "2m", "1g"); ok {
				*into = mmu.PageSize(i)
			}
		}
	}
	l.Mapping(f, "page sizes, as {kernel: 2m, user: 1g}", []known{
		{Name: "kernel", Read: size(&p.Kernel)},
		{Name: "user", Read: size(&p.User)},
		{Name: "guest", Read: size(&p.Guest)},
		{Name: "pcid", Read: func(f field) {
			on := true
			l.On(&on)(f)
			p.NoPCID = !on
		}},
	})
	l.cfg.Paging = p
}

// iommu reads what the NICs reach memory through.
func (l *lab) iommu(f field) {
	if i, ok := l.Word(f, "off", "on", "lazy", "strict"); ok {
		l.cfg.IOMMU = ringside.IOMMU(i)
	}
}
