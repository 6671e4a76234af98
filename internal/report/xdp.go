package report

import "ringside"

// xdp is what the programs at drivers have said of frames.
func (p *page) xdp(list []ringside.XDPStat) {
	if len(list) == 0 {
		return
	}
	p.title("PROGRAMS AT DRIVERS")
	var rows [][]string
	for i := range list {
		x := &list[i]
		rows = append(rows, []string{x.Interface, x.Program, x.Mode, Comma(x.Pass), Comma(x.Drop), Comma(x.Tx), Comma(x.Redirect), Comma(x.Aborted), Comma(x.Errors)})
	}
	p.table([]column{{"NIC", false, 0}, {"program", false, 0}, {"mode", false, 2}, {"pass", true, 0}, {"drop", true, 0}, {"tx", true, 0},
		{"redirect", true, 0}, {"aborted", true, 1}, {"not sent", true, 1}}, rows)
}
