package report

import (
	"fmt"

	"ringside"
)

// vfs is the virtual functions, and what the IOMMU has refused them.
func (p *page) vfs(list []ringside.VFReport, u *ringside.IOMMUReport) {
	if len(list) > 0 {
		p.title("VIRTUAL FUNCTIONS")
		var rows [][]string
		for i := range list {
			v := &list[i]
			rows = append(rows, []string{
				fmt.Sprintf("%s vf %d", v.NIC, v.VF), v.VM, v.MAC, Comma(v.RxFrames), Comma(v.TxFrames),
				Comma(v.RxLooped), Comma(v.Faults), Comma(v.Misuses),
			})
		}
		p.table([]column{
			{"function", false, 0}, {"guest", false, 0}, {"address", false, 2}, {"rx", true, 0}, {"tx", true, 0},
			{"switched", true, 1}, {"faults", true, 0}, {"misuses", true, 2},
		}, rows)
	}
	if u == nil || u.Faults == 0 {
		return
	}
	p.title("IOMMU FAULTS")
	for i, f := range u.First {
		if i == fewRows {
			break
		}
		who := f.Domain
		if who == "" {
			who = "nobody"
		}
		p.para("  ", fmt.Sprintf("%v %v (of %s)", f.At, f, who))
	}
	if more := u.Faults - uint64(min(len(u.First), fewRows)); more > 0 {
		p.para("  ", fmt.Sprintf("… and %s more", Comma(more)))
	}
}
