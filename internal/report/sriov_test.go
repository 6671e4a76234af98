package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside"
	"ringside/mmu"
)

func TestVirtualFunctionsAreATableAndFaultsAreTold(t *testing.T) {
	p := &page{w: 100}
	p.vfs(nil, nil)
	p.vfs(nil, &ringside.IOMMUReport{Hits: 7})
	assert.Empty(t, p.lines)
	p.vfs([]ringside.VFReport{{NIC: "eth0", VF: 2, VM: "vm2", MAC: "02:00:00:00:01:02", RxFrames: 1234, TxFrames: 5, RxLooped: 4, Faults: 3, Misuses: 1}},
		&ringside.IOMMUReport{Faults: 3, First: []mmu.Fault{{Source: 0x0184, Domain: "tap2", Addr: 0x5000, Write: true, Reason: mmu.NotPresent}}})
	text := strings.Join(p.lines, "\n")
	for _, want := range []string{
		"VIRTUAL FUNCTIONS", "eth0 vf 2", "1,234", "IOMMU FAULTS",
		"DMA write at 0x5000 by 01:10.4: not present (of tap2)", "… and 2 more",
	} {
		assert.Contains(t, text, want)
	}
}
