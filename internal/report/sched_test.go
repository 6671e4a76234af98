package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside"
	"ringside/cost"
	"ringside/kernel"
)

func sectionsOf(w int, write func(*page)) string {
	p := &page{w: w}
	write(p)
	return strings.Join(p.lines, "\n")
}

func TestAMachineWithoutTopologyHasNothingToSayOfItsScheduler(t *testing.T) {
	r := &ringside.Report{Bill: &cost.Bill{}}
	assert.Empty(t, sectionsOf(80, func(p *page) { p.sched(r); p.translation(r); p.xdp(r.XDP) }))
}

func TestTheSchedulerIsToldByWhatMoved(t *testing.T) {
	s := &ringside.SchedReport{Nodes: 2, Threads: 2, NICNodes: []int{0, 1}, Migrations: 1234, ColdLines: 5678, FarLines: 90, FarBytes: 1, Shared: 250}
	for i := range fewRows + 3 {
		s.Tasks = append(s.Tasks, kernel.TaskStat{Name: fmt.Sprintf("vm%d", i), CPU: i, Migrations: uint64(i)})
	}
	r := &ringside.Report{Sched: s}
	r.Machine.CPUs, r.Totals.Cycles = 8, 1000
	text := sectionsOf(80, func(p *page) { p.sched(r) })
	for _, want := range []string{
		"8 on 2 nodes, 2 threads a core", "on node 0, 1", "1,234 moves, 5,678 lines", "90 lines and 1 byte copied", "250 cycles of work, 25.0 % of all", "… and 2 more",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "vm0 ", "a task that stayed where it was")
	assert.Less(t, strings.Index(text, "vm12"), strings.Index(text, "vm11"), "the most restless first")
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, width(strings.TrimSuffix(line, "\n")), 80)
	}
}

func TestOneNodeAndOneThreadHaveNoFarLines(t *testing.T) {
	r := &ringside.Report{Sched: &ringside.SchedReport{Nodes: 1, Threads: 1, NICNodes: []int{0}}}
	r.Machine.CPUs = 2
	text := sectionsOf(80, func(p *page) { p.sched(r) })
	assert.Contains(t, text, "2 on one node, one thread a core")
	assert.NotContains(t, text, "far")
	assert.NotContains(t, text, "shared")
	assert.NotContains(t, text, "NICs")
}

func TestTranslationIsToldOfTLBsAndIOMMU(t *testing.T) {
	b := &cost.Bill{}
	b.Ops[cost.NIC][cost.IOTLBWalk].Picoseconds = 2_000_000
	r := &ringside.Report{
		Bill:   b,
		Paging: &ringside.PagingReport{Kernel: "4k", User: "2m", Guest: "1g", Walks: 7, WalkRefs: 21, MissesPerFrame: 1.5, WalksPerFrame: 0.25},
		IOMMU:  &ringside.IOMMUReport{Hits: 1000, Walks: 50, Refs: 200, Faults: 1},
	}
	text := sectionsOf(100, func(p *page) { p.translation(r) })
	for _, want := range []string{"4k for the kernel, 2m for processes, 1g in guests", "1.50 misses", "7 walks, which read 21 entries", "1,000 known to the IOTLB, 50 walks", "took devices 2 us; 1 fault"} {
		assert.Contains(t, strings.Join(strings.Fields(text), " "), want)
	}
}

func TestProgramsAreATable(t *testing.T) {
	text := sectionsOf(80, func(p *page) {
		p.xdp([]ringside.XDPStat{{Interface: "eth0", Program: "fdb", Mode: "xdpdrv", Pass: 2, Redirect: 21998, Errors: 3}})
	})
	assert.Contains(t, text, "eth0  fdb      xdpdrv     2     0   0    21,998        0         3")
}

func TestEveryStageHasWords(t *testing.T) {
	for s := range cost.NumStages {
		assert.NotEmpty(t, stageWords[s], s.String())
		assert.NotEmpty(t, dearWords[s], s.String())
	}
}
