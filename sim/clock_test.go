package sim

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var clockRates = []uint64{1e6, 1e6 + 1, 2_400_000_000, 3_600_000_000, 1e9, 999_999_999, 3_333_333_333, 1e11}

// exactSpan is how long n thousandths of a cycle last at hz, in picoseconds.
func exactSpan(n, hz uint64) *big.Rat {
	a := new(big.Int).Mul(new(big.Int).SetUint64(n), big.NewInt(1e9))
	return new(big.Rat).SetFrac(a, new(big.Int).SetUint64(hz))
}

func TestSpanIsTheProductRoundedDown(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		hz := clockRates[r.IntN(len(clockRates))]
		scale := Scale(hz)
		n := r.Uint64() >> r.IntN(64)
		want := new(big.Int).Mul(new(big.Int).SetUint64(n), new(big.Int).SetUint64(scale))
		want.Rsh(want, 32)
		if !want.IsInt64() {
			continue // beyond Never
		}
		if got := Span(n, scale); int64(got) != want.Int64() {
			t.Fatalf("Span(%d, %d) = %d, want %d", n, scale, got, want)
		}
	}
}

// Rounding the scale down loses at most 2^-32 ps for each thousandth of a cycle:
// under one part in a thousand million up to 4.2 GHz.
func TestSpanIsNeverLongerThanTheTruthAndShorterByNextToNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range 20000 {
		hz := clockRates[r.IntN(len(clockRates))]
		n := r.Uint64() >> (20 + r.IntN(44))
		exact := exactSpan(n, hz)
		if limit := new(big.Rat).SetInt64(math.MaxInt64); exact.Cmp(limit) >= 0 {
			continue
		}
		got := new(big.Rat).SetInt64(int64(Span(n, Scale(hz))))
		lost := new(big.Rat).Sub(exact, got)
		most := new(big.Rat).SetFrac(new(big.Int).SetUint64(n), big.NewInt(1<<32))
		most.Add(most, big.NewRat(1, 1))
		if lost.Sign() < 0 || lost.Cmp(most) > 0 {
			t.Fatalf("%d at %d Hz: lost %s ps, at most %s are allowed", n, hz, lost.FloatString(3), most.FloatString(3))
		}
	}
}

func TestScaleOfRoundClocksIsExact(t *testing.T) {
	for _, hz := range []uint64{1e6, 1e9, 2e9, 4e9, 500e6} {
		if got := Span(hz*1000, Scale(hz)); got != Second {
			t.Errorf("a second of cycles at %d Hz lasts %v", hz, got)
		}
	}
	require.LessOrEqual(t, Second-Span(3_600_000_000_000, Scale(3_600_000_000)), 100*Picosecond, "as Scale's comment says")
}

func TestClocksBelowOneMegahertzPanic(t *testing.T) {
	for _, hz := range []uint64{0, 1, 999_999} {
		require.Panics(t, func() { Scale(hz) }, hz)
	}
	require.NotPanics(t, func() { Scale(1_000_000) })
}

func TestCyclesAreTheFewestThatLastSoLong(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	var meter uint64
	for range 20000 {
		hz := clockRates[r.IntN(len(clockRates))]
		c := NewClock(hz, &meter)
		d := Time(r.Int64() >> r.IntN(62))
		n := c.Cycles(d)
		if n == math.MaxUint64 {
			require.Greater(t, d, Time(1)<<57, "%d Hz", hz)
			continue
		}
		if got := Span(n, c.scale); got < d {
			t.Fatalf("%v at %d Hz: %d thousandths last %v", d, hz, n, got)
		}
		if n > 0 && Span(n-1, c.scale) >= d {
			t.Fatalf("%v at %d Hz: one less than %d is enough", d, hz, n)
		}
	}
}

func TestCyclesOfNoTimeAndOfTooMuch(t *testing.T) {
	var meter uint64
	fast, slow := NewClock(1e11, &meter), NewClock(1e6, &meter)
	require.Equal(t, uint64(0), slow.Cycles(0))
	require.Equal(t, uint64(0), slow.Cycles(-Second))
	require.Equal(t, uint64(1), slow.Cycles(1))
	require.Equal(t, uint64(math.MaxUint64), fast.Cycles(Never), "more than 64 bits hold")
	require.Less(t, slow.Cycles(Never), uint64(math.MaxUint64))
}

func TestClockFollowsItsMeter(t *testing.T) {
	meter := uint64(123_456) // charged before the clock was made
	c := NewClock(1e9, &meter)
	require.Equal(t, Time(0), c.Now())
	meter += 2000 // two cycles
	require.Equal(t, 2*Nanosecond, c.Now())

	require.Equal(t, 10*Nanosecond, c.Begin(10*Nanosecond), "idle until then")
	require.Equal(t, 10*Nanosecond, c.Now())
	meter += 5000
	require.Equal(t, 15*Nanosecond, c.Begin(12*Nanosecond), "busy until then")
	require.Equal(t, 15*Nanosecond, c.Begin(15*Nanosecond))
	require.Equal(t, 15*Nanosecond, c.Now())
}

// A CPU that takes up its next work the moment it is done is as far on as its
// work is long, whatever the number of pieces. Rounding each piece to picoseconds
// would lose half a picosecond a piece.
func TestBusyClockDoesNotDrift(t *testing.T) {
	for _, hz := range clockRates {
		var meter uint64
		c := NewClock(hz, &meter)
		start := c.Begin(Microsecond)
		r := rand.New(rand.NewPCG(4, hz))
		for range 100_000 {
			meter += r.Uint64N(3000)
			c.Begin(c.Now() - Time(r.IntN(3)))
		}
		if got, want := c.Now()-start, Span(meter, Scale(hz)); got != want {
			t.Errorf("%d Hz: after 100,000 pieces %v, in one piece %v", hz, got, want)
		}
	}
}

// Against a clock that counts exactly, over stretches of work and idleness.
func TestClockAgainstAnExactOne(t *testing.T) {
	for _, hz := range clockRates {
		var meter uint64
		c := NewClock(hz, &meter)
		now := new(big.Rat) // the exact clock
		r := rand.New(rand.NewPCG(5, hz))
		pauses := int64(0)
		for range 5000 {
			at := c.Now() + Time(r.IntN(2000)-1000)
			if c.Begin(at) == at && at > 0 {
				pauses++
			}
			if t := new(big.Rat).SetInt64(int64(at)); t.Cmp(now) > 0 {
				now.Set(t)
			}
			n := r.Uint64N(5000)
			meter += n
			now.Add(now, exactSpan(n, hz))
		}
		// A picosecond may be lost at each pause, and 2^-32 ps a thousandth.
		off := new(big.Rat).Sub(now, new(big.Rat).SetInt64(int64(c.Now())))
		if most := big.NewRat(pauses+2, 1); off.Sign() < 0 || off.Cmp(most) > 0 {
			t.Errorf("%d Hz: %s ps behind after %d pauses", hz, off.FloatString(3), pauses)
		}
	}
}

func TestClockDoesNotAllocate(t *testing.T) {
	var meter uint64
	c := NewClock(3_600_000_000, &meter)
	if n := testing.AllocsPerRun(1000, func() {
		meter += 100
		c.Begin(c.Now())
		c.Cycles(Microsecond)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var sinkTime Time

func BenchmarkClockNow(b *testing.B) {
	var meter uint64
	c := NewClock(3_600_000_000, &meter)
	for b.Loop() {
		meter += 360
		sinkTime = c.Now()
	}
}
