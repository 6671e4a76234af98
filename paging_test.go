package ringside_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside"
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
