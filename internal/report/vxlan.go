package report

import (
	"fmt"

	"ringside"
)

// vteps is the tunnels: where they lead, and what went through them.
func (p *page) vteps(list []ringside.VTEPReport) {
	if len(list) == 0 {
		return
	}
	p.title("TUNNELS")
	var rows [][]string
	for i := range list {
		if i >= fewRows && len(list) > fewRows+1 {
			rows = append(rows, append([]string{fmt.Sprintf("… and %d more", len(list)-i)}, make([]string, 8)...))
			break
		}
		v := &list[i]
		rows = append(rows, []string{
			v.Name, fmt.Sprint(v.VNI), fmt.Sprint(len(v.Remotes)), Comma(uint64(v.Entries)),
			Comma(v.TxFrames), Comma(v.RxFrames), Comma(v.TxDropped + v.RxDropped + v.RxErrors), Comma(v.Moved), fmt.Sprint(v.MTU),
		})
	}
	p.table([]column{
		{"VTEP", false, 0}, {"VNI", true, 0}, {"remotes", true, 1}, {"entries", true, 1},
		{"tx", true, 0}, {"rx", true, 0}, {"drops", true, 0}, {"moves", true, 2}, {"MTU", true, 2},
	}, rows)
}
