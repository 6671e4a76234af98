package ringside_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/vm"
)

// The host's own NIC behind an IOMMU, frames both ways: what is delivered is the same in
// every mode, each costs the CPU as much as the one before or more, and nothing faults.
func TestHostBehindAnIOMMU(t *testing.T) {
	var before *ringside.Trial
	for _, mode := range []ringside.IOMMU{ringside.IOMMUOff, ringside.IOMMUOn, ringside.IOMMULazy, ringside.IOMMUStrict} {
		tr := try{load: "imix@200kpps,flows=20", cfg: ringside.Config{IOMMU: mode}, l: ringside.Load{Program: vm.Reflect}}.run(t)
		r := tr.Report
		maps, flushes := r.Bill.Count(cost.DMAMap), r.Bill.Count(cost.IOTLBFlush)
		if mode == ringside.IOMMUOff {
			require.Nil(t, r.IOMMU)
			before = tr
			continue
		}
		assert.Zero(t, r.IOMMU.Faults)
		assert.Positive(t, r.IOMMU.Hits)
		assert.Equal(t, r.Bill.Count(cost.IOTLBWalk), r.IOMMU.Refs, "%v: every entry that was read is on the bill", mode)
		assert.Equal(t, before.Report.Conservation.Delivered, r.Conservation.Delivered, mode)
		switch mode {
		case ringside.IOMMUOn:
			assert.Zero(t, maps+flushes)
		case ringside.IOMMULazy:
			assert.Greater(t, maps, r.Conservation.In-300, "a mapping for each frame in and each one out, less what the ring holds")
			assert.Zero(t, flushes)
			assert.Greater(t, r.Totals.Cycles, before.Report.Totals.Cycles)
		default:
			assert.Greater(t, flushes, r.Conservation.In-300)
			assert.Greater(t, r.Totals.Cycles, before.Report.Totals.Cycles)
		}
		before = tr
	}
}

// Small pages in the IOMMU's table need more of its TLB than it has, for a ring of 256
// buffers; two large ones do not.
func TestLargePagesSpareTheIOTLB(t *testing.T) {
	walks := func(p ringside.Paging) uint64 {
		tr := try{load: "64@500kpps", cfg: ringside.Config{IOMMU: ringside.IOMMUOn, Paging: p}}.run(t)
		return tr.Report.IOMMU.Walks * 100 / tr.Report.Conservation.In
	}
	assert.Greater(t, walks(ringside.PagesOf(0)), uint64(90), "of 100 frames")
	assert.Less(t, walks(ringside.PagesOf(1)), uint64(5))
}

func TestIOMMUIsNotForPathsThatMapNothing(t *testing.T) {
	_, err := ringside.New(ringside.Config{Path: ringside.DPDK, IOMMU: ringside.IOMMUOn, VMs: []ringside.VM{{Program: vm.Sink}}})
	require.ErrorIs(t, err, ringside.ErrNoPath)
}
