package ringside_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside"
	"ringside/cost"
	"ringside/mmu"
)

// Huge pages cut misses, whatever the load; which ones there are is found out, not said.
func TestHugePagesCutMisses(t *testing.T) {
	misses := map[mmu.PageSize]*ringside.PagingReport{}
	for size := range mmu.NumPageSizes {
		tr := try{load: "64@1mpps", cfg: ringside.Config{Paging: ringside.PagesOf(size)}}.run(t)
		misses[size] = tr.Report.Paging
		t.Logf("%v: %+v", size, *tr.Report.Paging)
	}
	assert.Greater(t, misses[mmu.Page4K].MissesPerFrame, 10*misses[mmu.Page2M].MissesPerFrame)
	assert.GreaterOrEqual(t, misses[mmu.Page2M].STLBHits+misses[mmu.Page2M].Walks, misses[mmu.Page1G].STLBHits+misses[mmu.Page1G].Walks)
}

// A pool of a user-space driver that is larger than the reach of 4 KiB pages misses; in
// huge pages it does not.
func TestPoolsOfUserSpaceDriversHavePages(t *testing.T) {
	misses := func(size mmu.PageSize) *ringside.PagingReport {
		cfg := ringside.Config{Path: ringside.DPDK, Paging: ringside.PagesOf(size), Ring: 4096}
		return try{load: "64@1mpps", cfg: cfg}.run(t).Report.Paging
	}
	small, large := misses(mmu.Page4K), misses(mmu.Page2M)
	assert.Greater(t, small.WalksPerFrame, 0.3)
	assert.Less(t, large.WalksPerFrame, 0.02)
}

// A larger ring of the kernel's driver passes the reach of the TLB, too; a CPU without
// PCIDs forgets its processes at every switch.
func TestWhatMakesTheKernelsDriverMiss(t *testing.T) {
	walks := func(ring int, p ringside.Paging) float64 {
		return try{load: "64@1mpps", cfg: ringside.Config{Ring: ring, Paging: p}}.run(t).Report.Paging.WalksPerFrame
	}
	near, far := walks(256, ringside.PagesOf(mmu.Page4K)), walks(4096, ringside.PagesOf(mmu.Page4K))
	assert.Less(t, near, 0.2)
	assert.Greater(t, far, 0.9)
	untagged := ringside.PagesOf(mmu.Page4K)
	untagged.NoPCID = true
	try{load: "64@1mpps", cfg: ringside.Config{CPUs: 1, Paging: untagged}}.run(t)
}

// The model is part of a run: the same again gives the same bytes, and another page size
// other ones.
func TestPagingIsDeterministic(t *testing.T) {
	hash := func(size mmu.PageSize) string {
		return try{load: "imix@500kpps,flows=9", cfg: ringside.Config{Paging: ringside.PagesOf(size)}}.run(t).Report.TraceHash
	}
	assert.Equal(t, hash(mmu.Page4K), hash(mmu.Page4K))
	assert.NotEqual(t, hash(mmu.Page4K), hash(mmu.Page2M))
}

// Behind vhost the copies are the worker's, and the guest walks two tables: with small
// pages both miss, with large ones neither.
func TestGuestsWalkTwoTables(t *testing.T) {
	walks := func(size mmu.PageSize) (steps, guests uint64) {
		tr := try{load: "imix@200kpps,flows=20", cfg: ringside.Config{Path: ringside.Vhost, Paging: ringside.PagesOf(size)}}.run(t)
		b := tr.Report.Bill
		return b.Count(cost.PageWalkStep), b.Frames[cost.Guest]
	}
	small, frames := walks(mmu.Page4K)
	large, _ := walks(mmu.Page2M)
	assert.Positive(t, frames)
	assert.Greater(t, small, 20*large)
	assert.Positive(t, large, "the first touch of each page")
}

// The pages that a guest has are those that its virtual function is translated by: small
// ones pass what the IOTLB and the guest's TLB hold.
func TestHugePagesSpareVirtualFunctionsWalks(t *testing.T) {
	run := func(size mmu.PageSize) *ringside.Report {
		return try{load: "64@1mpps", cfg: ringside.Config{Path: ringside.SRIOV, Paging: ringside.PagesOf(size)}}.run(t).Report
	}
	small, large := run(mmu.Page4K), run(mmu.Page2M)
	assert.Greater(t, small.IOMMU.Walks, 100*large.IOMMU.Walks)
	assert.Greater(t, small.Paging.STLBHits, uint64(0))
	assert.Zero(t, large.Paging.STLBHits)
}
