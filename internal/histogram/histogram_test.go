package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

func TestBucketsCoverEverySpanWithoutGapOrOverlap(t *testing.T) {
	last := (64-subBits)*sub - 1
	require.Equal(t, last, bucket(math.MaxInt64))
	for i := range last {
		require.Equal(t, i, bucket(floor(i)), "bucket %d begins with its floor", i)
		require.Equal(t, i, bucket(floor(i+1)-1), "bucket %d ends below the next", i)
	}
}

func TestQuantilesAgreeWithSortingToOnePartIn64(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h Histogram
		spans := make([]sim.Time, 1+r.IntN(2000))
		for i := range spans {
			spans[i] = sim.Time(r.Int64N(1 << (1 + r.IntN(40))))
			h.Record(spans[i])
		}
		slices.Sort(spans)
		require.Equal(t, spans[0], h.Min())
		require.Equal(t, spans[len(spans)-1], h.Max())
		for _, q := range []uint64{1, 500, 900, 990, 999, 1000} {
			rank := (len(spans)*int(q) + 999) / 1000
			exact := spans[max(rank, 1)-1]
			got := h.Quantile(q)
			require.LessOrEqual(t, got, exact)
			require.GreaterOrEqual(t, got+got/64+1, exact, "q=%d of %d", q, len(spans))
		}
	}
}

func TestEmptyHistogramIsAllZero(t *testing.T) {
	var h Histogram
	require.Zero(t, h.Quantile(500))
	require.Zero(t, h.Max())
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Record(sim.Time(i) * 1000)
	}
}
