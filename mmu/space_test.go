package mmu_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/mmu"
)

// How many entries of tables a translation reads, with nothing remembered: one for each
// level, and of a guest (g+1)(h+1)-1 for g levels of its own and h below.
func TestWalkReadsAnEntryForEachLevel(t *testing.T) {
	const tables = 1 << 40
	for _, tt := range []struct {
		guest, host mmu.PageSize
		native      int // of the guest's page size, without a table below
		want        int
	}{
		{mmu.Page4K, mmu.Page4K, 4, 24},
		{mmu.Page4K, mmu.Page2M, 4, 19},
		{mmu.Page4K, mmu.Page1G, 4, 14},
		{mmu.Page2M, mmu.Page4K, 3, 19},
		{mmu.Page2M, mmu.Page2M, 3, 15},
		{mmu.Page2M, mmu.Page1G, 3, 11},
		{mmu.Page1G, mmu.Page4K, 2, 14},
		{mmu.Page1G, mmu.Page2M, 2, 11},
		{mmu.Page1G, mmu.Page1G, 2, 8},
	} {
		host := mmu.NewSpace(1)
		require.NoError(t, host.Map(0, 1<<40, 1<<30, tt.host, mmu.ReadWrite))
		require.NoError(t, host.Map(tables, 1<<41, 1<<30, tt.host, mmu.ReadWrite))
		guest := mmu.NewGuestSpace(2, host, tables)
		require.NoError(t, guest.Map(0, 0, 1<<30, tt.guest, mmu.ReadWrite))
		got, ok := guest.Walk(12345)
		require.True(t, ok)
		require.Equal(t, tt.want, got.Refs, "guest %v on host %v", tt.guest, tt.host)
		require.Equal(t, mem.Addr(1<<40+12345), got.Addr)
		require.Equal(t, min(tt.guest, tt.host), got.Size)

		alone := mmu.NewSpace(3)
		require.NoError(t, alone.Map(0, 0, 1<<30, tt.guest, mmu.Read))
		got, ok = alone.Walk(12345)
		require.True(t, ok)
		require.Equal(t, tt.native, got.Refs)
	}
}
