package sim

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimePrintsInTheLargestUnitWithAWholePart(t *testing.T) {
	for _, tt := range []struct {
		t    Time
		want string
	}{
		{0, "0ps"},
		{1, "1ps"},
		{999, "999ps"},
		{Nanosecond, "1.000ns"},
		{12_345, "12.345ns"},
		{999_999, "999.999ns"},
		{Microsecond, "1.000us"},
		{1_999_999, "1.999us"}, // cut, not rounded: never a time that has not come
		{12_345 * Nanosecond, "12.345us"},
		{Millisecond - 1, "999.999us"},
		{Millisecond, "1.000ms"},
		{Second - 1, "999.999ms"},
		{Second, "1.000s"},
		{90 * Second, "90.000s"},
		{Never - 1, "9223372.036s"},
		{Never, "never"},
		{-1, "-1ps"},
		{-1500, "-1.500ns"},
		{-Never + 1, "-9223372.036s"},
		{-Never, "-never"},
		{math.MinInt64, "-never"}, // it has no opposite
	} {
		if got := tt.t.String(); got != tt.want {
			t.Errorf("Time(%d) = %q, want %q", int64(tt.t), got, tt.want)
		}
	}
}

func TestNanosecondsRoundDown(t *testing.T) {
	for _, tt := range []struct {
		t    Time
		want int64
	}{
		{0, 0}, {1, 0}, {999, 0}, {1000, 1}, {1999, 1}, {-1, -1}, {-1000, -1}, {-1001, -2},
		{math.MaxInt64, 9223372036854775}, {math.MinInt64, -9223372036854776},
	} {
		if got := tt.t.Nanoseconds(); got != tt.want {
			t.Errorf("Time(%d) is %d ns, want %d", int64(tt.t), got, tt.want)
		}
	}
}

func TestFromDuration(t *testing.T) {
	const most = 9223372036854775 * time.Nanosecond
	for _, tt := range []struct {
		d    time.Duration
		want Time
	}{
		{0, 0},
		{time.Second, Second},
		{-time.Millisecond, -Millisecond},
		{most, 9223372036854775 * Nanosecond},
		{most + 1, Never},
		{math.MaxInt64, Never},
		{-most, -9223372036854775 * Nanosecond},
		{-most - 1, -Never},
		{math.MinInt64, -Never},
	} {
		if got := FromDuration(tt.d); got != tt.want {
			t.Errorf("FromDuration(%d) = %d, want %d", tt.d, got, tt.want)
		}
	}
}

func TestPicosecondsAreFineEnough(t *testing.T) {
	const bitsASecond = 100_000_000_000
	require.Equal(t, 10*Picosecond, Second/bitsASecond, "one bit at 100 Gbit/s")
	require.Equal(t, 106, int(Never/Second/86400), "days")
}
