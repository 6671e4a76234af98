package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ringside"
	"ringside/kernel"
)

// sched is what it cost that tasks moved and that CPUs are not alike.
func (p *page) sched(r *ringside.Report) {
	s := r.Sched
	if s == nil {
		return
	}
	p.title("SCHEDULER")
	p.para("  CPUs    ", topology(s, r.Machine.CPUs))
	if s.Nodes > 1 {
		p.para("  NICs    ", "on node "+join(s.NICNodes))
	}
	p.para("  moved   ", fmt.Sprintf("%s, %s fetched again from other caches", Count(s.Migrations, "move", "moves"), Count(s.ColdLines, "line", "lines")))
	if s.Nodes > 1 {
		p.para("  far     ", fmt.Sprintf("%s and %s copied came from or went to another node", Count(s.FarLines, "line", "lines"), Count(s.FarBytes, "byte", "bytes")))
	}
	if s.Threads > 1 {
		p.para("  shared  ", fmt.Sprintf("%s of work, %s of all, beside a busy thread of the same core", Count(s.Shared, "cycle", "cycles"), percent(s.Shared, r.Totals.Cycles)))
	}
	p.tasks(s.Tasks)
}

// tasks is those that moved, the most restless first.
func (p *page) tasks(list []kernel.TaskStat) {
	moved := slices.DeleteFunc(slices.Clone(list), func(t kernel.TaskStat) bool { return t.Migrations == 0 })
	slices.SortStableFunc(moved, func(a, b kernel.TaskStat) int { return cmp.Compare(b.Migrations, a.Migrations) })
	if len(moved) == 0 {
		return
	}
	p.blank()
	var rows [][]string
	for _, t := range moved[:min(len(moved), fewRows)] {
		rows = append(rows, []string{t.Name, fmt.Sprintf("cpu%d", t.CPU), t.Allowed.String(), Comma(t.Migrations)})
	}
	p.table([]column{{"task", false, 0}, {"is on", false, 0}, {"may run on", false, 1}, {"moves", true, 0}}, rows)
	if more := len(moved) - len(rows); more > 0 {
		p.line(fmt.Sprintf("  … and %d more", more))
	}
}

func topology(s *ringside.SchedReport, cpus int) string {
	nodes, threads := "one node", "one thread a core"
	if s.Nodes > 1 {
		nodes = fmt.Sprintf("%d nodes", s.Nodes)
	}
	if s.Threads > 1 {
		threads = fmt.Sprintf("%d threads a core", s.Threads)
	}
	return fmt.Sprintf("%d on %s, %s", cpus, nodes, threads)
}

func join(list []int) string {
	var words []string
	for _, n := range list {
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, ", ")
}
