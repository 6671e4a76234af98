package report

import (
	"fmt"
	"strings"

	"ringside"
	"ringside/kernel"
	"ringside/sim"
)

// storm says that frames go in circles.
func (p *page) storm(s *kernel.Storm) {
	if s == nil {
		return
	}
	p.title("FRAMES GO IN CIRCLES")
	p.para("  ", fmt.Sprintf("From %s on they passed a patch %s after they had been everywhere, in a circle of %s: %s. Turn on stp_state in these bridges, or take a patch away.",
		Span(sim.Time(s.SinceNs)*sim.Nanosecond), Count(s.Frames, "time", "times"), strings.Join(s.Bridges, ", "), strings.Join(s.Ends, ", ")))
}

// bridges is the tables of the bridges and what went through their ports, where all
// is asked for, or there is something to say: more bridges than one, or stations
// that moved or found no room.
func (p *page) bridges(list []ringside.BridgeReport, all bool) {
	all = all || len(list) > 1
	for _, b := range list {
		all = all || b.FDB.Moved+b.FDB.Refused > 0
	}
	if !all || len(list) == 0 {
		return
	}
	p.title("BRIDGES")
	for i := range list {
		if i >= fewRows && len(list) > fewRows+1 {
			p.line(fmt.Sprintf("  … and %d more", len(list)-i))
			break
		}
		p.bridge(&list[i])
	}
}

func (p *page) bridge(b *ringside.BridgeReport) {
	text := fmt.Sprintf("%s, %s, %s refused", Count(uint64(b.FDB.Entries), "entry", "entries"), Count(b.FDB.Moved, "move", "moves"), Comma(b.FDB.Refused))
	if t := b.STP; t != nil && t.RootPort == "" {
		text += "; root of the spanning tree"
	} else if t != nil {
		text += fmt.Sprintf("; root %s by %s, cost %d", t.Root, t.RootPort, t.RootCost)
	}
	p.para("  "+b.Name+": ", text)
	var rows [][]string
	var rest ringside.PortReport
	for i, q := range b.Ports {
		if i >= fewRows && len(b.Ports) > fewRows+1 {
			rest.Rx, rest.Tx, rest.Drops = rest.Rx+q.Rx, rest.Tx+q.Tx, rest.Drops+q.Drops
			continue
		}
		rows = append(rows, portRow("  "+q.Name, q))
	}
	if more := len(b.Ports) - len(rows); more > 0 {
		rows = append(rows, portRow(fmt.Sprintf("  … and %d more", more), rest))
	}
	p.table([]column{{"  port", false, 0}, {"rx", true, 0}, {"tx", true, 0}, {"drops", true, 0}, {"state", false, 1}}, rows)
}

func portRow(name string, q ringside.PortReport) []string {
	return []string{name, Comma(q.Rx), Comma(q.Tx), Comma(q.Drops), q.State}
}
