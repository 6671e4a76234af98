package capture

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	const two = 0x80
	rows := []struct {
		name   string
		resol  byte
		offset int64
		units  uint64
		want   int64
		ok     bool
	}{
		{"microseconds", 6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000, true},
		{"nanoseconds", 9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789, true},
		{"seconds", 0, 0, 1_700_000_000, 1_700_000_000_000_000_000, true},
		{"picoseconds are cut", 12, 0, 1_999, 1, true},
		{"2^-10 s", two | 10, 0, 1536, 1_500_000_000, true},
		{"2^-32 s, as NTP", two | 32, 0, 3 << 31, 1_500_000_000, true},
		{"2^-63 s", two | 63, 0, 1 << 62, 500_000_000, true},
		{"2^-64 s", two | 64, 0, 1 << 63, 500_000_000, true},
		{"2^-93 s", two | 93, 0, math.MaxUint64, 1, true},
		{"2^-127 s", two | 127, 0, math.MaxUint64, 0, true},
		{"10^-19 s", 19, 0, 15e18, 1_500_000_000, true},
		{"10^-20 s", 20, 0, 15e18, 150_000_000, true},
		{"10^-28 s", 28, 0, math.MaxUint64, 1, true},
		{"10^-127 s", 127, 0, math.MaxUint64, 0, true},
		{"later by an hour", 6, 3600, 1, 3_600_000_001_000, true},
		{"before 1970", 9, -2, 1, -1_999_999_999, true},
		{"an offset of 250 years", 6, 7_900_000_000, 1, 7_900_000_000_000_001_000, true},
		{"an offset back from afar", 0, -9_000_000_000, 9_000_000_001, 1_000_000_000, true},
		{"2262", 9, 0, 9_223_372_034_999_999_999, 9_223_372_034_999_999_999, true},
		{"after 2262", 9, 0, math.MaxUint64, 0, false},
		{"after 2262 in seconds", 0, 0, math.MaxUint64, 0, false},
		{"an offset after 2262", 6, math.MaxInt64, 0, 0, false},
		{"an offset that overflows", 0, math.MaxInt64, math.MaxInt64, 0, false},
		{"an offset before 1678", 6, math.MinInt64, 0, 0, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := newClock(row.resol, row.offset)
			got, ok := c.nanos(row.units)
			assert.Equal(t, row.ok, ok)
			assert.Equal(t, row.want, got)
		})
	}
}

// slowNanos is what a clock should say, in a line of school arithmetic.
func slowNanos(resol byte, offset int64, units uint64) (int64, bool) {
	base := big.NewInt(10)
	if resol&0x80 != 0 {
		base = big.NewInt(2)
	}
	perSec := new(big.Int).Exp(base, big.NewInt(int64(resol&0x7f)), nil)
	ns := new(big.Int).Mul(new(big.Int).SetUint64(units), big.NewInt(1e9))
	ns.Quo(ns, perSec)
	ns.Add(ns, new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9)))
	return ns.Int64(), ns.IsInt64()
}

func TestClockAgainstBigIntegers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		resol := byte(rnd.Uint32())
		if rnd.IntN(2) == 0 {
			resol = byte(rnd.IntN(13))
		}
		offset := int64(rnd.Uint64()) >> rnd.IntN(64)
		units := rnd.Uint64() >> rnd.IntN(64)
		want, fits := slowNanos(resol, offset, units)
		c := newClock(resol, offset)
		got, ok := c.nanos(units)
		if !ok {
			// The last two seconds at both ends are given up for simplicity.
			const edge = math.MaxInt64 - 2_000_000_000
			require.False(t, fits && want < edge && want > -edge, "%#x, %d s, %d units: want %d", resol, offset, units, want)
			continue
		}
		require.True(t, fits, "%#x, %d s, %d units: got %d, and it does not fit", resol, offset, units, got)
		require.Equal(t, want, got, "%#x, %d s, %d units", resol, offset, units)
	}
}
