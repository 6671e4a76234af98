package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// The numbers below belong to a seed. They are the same on every machine, and stay
// so: a run with a link is as repeatable as one without.
func TestSameSeedSameBytes(t *testing.T) {
	spec, err := Parse("delay 3ms 1ms distribution normal overtake reorder 5% gap 3 loss 1% loss gemodel 0.5% 20% " +
		"duplicate 2% corrupt 1% rate 400mbit queue 8 limit 440")
	require.NoError(t, err)
	frames := steady(20_000, 300, 7*sim.Microsecond)
	digest := func(seed uint64) (string, Counts) {
		got, c := through(t, seed, 10e9, spec.Rx, frames)
		h := sha256.New()
		var b [16]byte
		for _, f := range got {
			binary.LittleEndian.PutUint64(b[:], f.ID)
			binary.LittleEndian.PutUint64(b[8:], uint64(f.At))
			h.Write(b[:])
			h.Write(f.Data)
		}
		return fmt.Sprintf("%x", h.Sum(nil)[:8]), c
	}
	got, c := digest(1)
	require.Equal(t, goldenDigest, got)
	require.Equal(t, goldenCounts, fmt.Sprintf("in %d dup %d corrupt %d lost %v out %d late %d, %d %d %d",
		c.In, c.Duplicated, c.Corrupted, c.Lost, c.Out, c.Reordered, c.Min, c.Mean(), c.Max))
	again, _ := digest(1)
	require.Equal(t, got, again)
	other, _ := digest(2)
	require.NotEqual(t, got, other)
}

// An effect that is added leaves the draws of the others as they were.
func TestEffectsDrawApart(t *testing.T) {
	frames := steady(3000, 100, sim.Microsecond)
	lost := func(w Way) map[uint64]bool {
		gone := map[uint64]bool{}
		for _, f := range frames {
			gone[f.ID] = true
		}
		got, _ := through(t, 5, 0, w, frames)
		for _, f := range got {
			delete(gone, f.ID)
		}
		return gone
	}
	w := Way{Loss: Share(5, 100)}
	alone := lost(w)
	w.Delay, w.Corrupt, w.Reorder = Delay{Fixed: ms, Jitter: ms}, Always/10, Reorder{P: Always / 4}
	require.Equal(t, alone, lost(w))
	require.Len(t, alone, 142)
	other := map[uint64]bool{}
	for _, f := range frames {
		other[f.ID] = true
	}
	sent, _ := back(t, 5, Way{Loss: Share(5, 100)}, frames, false)
	for _, f := range sent {
		delete(other, f.ID)
	}
	require.NotEqual(t, alone, other, "the other direction has chance of its own")
}

// within says that a count of n independent cases is what is likely: five standard
// deviations are exceeded once in 1.7 million.
func within(t *testing.T, n uint64, p Prob, got uint64, what string) {
	t.Helper()
	share := float64(p) / float64(Always)
	mean, dev := float64(n)*share, math.Sqrt(float64(n)*share*(1-share))
	if math.Abs(float64(got)-mean) > 5*dev+1 {
		t.Errorf("%s: %d of %d, and %.1f are likely, give or take %.1f", what, got, n, mean, dev)
	}
}

// chi2 is the statistic of counts that should be equal.
func chi2(counts []int) float64 {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	mean, x := float64(sum)/float64(len(counts)), 0.0
	for _, n := range counts {
		x += (float64(n) - mean) * (float64(n) - mean) / mean
	}
	return x
}

// chiBound is exceeded about once in a million: the approximation of Wilson and
// Hilferty.
func chiBound(degrees int) float64 {
	k := float64(degrees)
	return k * math.Pow(1-2/(9*k)+4.75*math.Sqrt(2/(9*k)), 3)
}

const many = 50_000

func TestSharesAreWhatTheySay(t *testing.T) {
	frames := steady(many, 60, sim.Microsecond)
	for seed := uint64(1); seed <= 6; seed++ {
		for _, p := range []Prob{1, Share(1, 1000), Share(1, 100), Share(1, 3), Share(99, 100), Always - 1, Always} {
			_, c := through(t, seed, 0, Way{Loss: p}, frames)
			within(t, many, p, c.Lost[LinkLoss], fmt.Sprintf("seed %d, loss %v", seed, p))
			_, c = through(t, seed, 0, Way{Duplicate: p}, frames)
			within(t, many, p, c.Duplicated, fmt.Sprintf("seed %d, duplicate %v", seed, p))
			_, c = through(t, seed, 0, Way{Corrupt: p}, frames)
			within(t, many, p, c.Corrupted, fmt.Sprintf("seed %d, corrupt %v", seed, p))
		}
		_, c := through(t, seed, 0, Way{Loss: Always}, frames)
		require.Equal(t, uint64(many), c.Lost[LinkLoss])
		got, _ := through(t, seed, 0, Way{Duplicate: Always}, frames)
		require.Len(t, got, 2*many)
	}
}

// Losses are independent: the frames between two of them are as many as a coin has
// it, and a loss does not make the next likelier.
func TestLossHasNoMemory(t *testing.T) {
	got, c := through(t, 3, 0, Way{Loss: Always / 4}, steady(many, 60, sim.Microsecond))
	gone := make([]bool, many+1)
	for i := range gone {
		gone[i] = true
	}
	for _, f := range got {
		gone[f.ID-1] = false
	}
	var pairs uint64
	for i := range many - 1 {
		if gone[i] && gone[i+1] {
			pairs++
		}
	}
	within(t, c.Lost[LinkLoss], Always/4, pairs, "a loss behind a loss")
}

// The chain of Gilbert and Elliott is bad for ToBad/(ToBad+ToGood) of the time, and
// for 1/ToGood frames on average.
func TestBurstsAreAsLongAsTheyShould(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		got, c := through(t, seed, 0, Way{Bursts: Bursts{Share(1, 100), Share(1, 10), Always, 0}}, steady(8*many, 60, sim.Microsecond))
		lost := c.Lost[LinkBurst]
		share := float64(lost) / (8 * many)
		require.InDelta(t, 1.0/11, share, 0.006)
		bursts, next := uint64(0), uint64(1)
		for _, f := range got {
			if f.ID != next {
				bursts++
			}
			next = f.ID + 1
		}
		require.InDelta(t, 10, float64(lost)/float64(bursts), 0.6)
		within(t, 8*many-lost, Share(1, 100), bursts, "bursts begin in the good state")
	}
	// Loss inside a burst, and outside.
	_, c := through(t, 1, 0, Way{Bursts: Bursts{Always, 0, Share(1, 5), 0}}, steady(many, 60, sim.Microsecond))
	within(t, many, Share(1, 5), c.Lost[LinkBurst], "a link that is bad for good")
	_, c = through(t, 1, 0, Way{Bursts: Bursts{0, 0, 0, Share(1, 5)}}, steady(many, 60, sim.Microsecond))
	within(t, many, Share(1, 5), c.Lost[LinkBurst], "a link that stays good")
}

func TestJitterIsUniform(t *testing.T) {
	const bins = 32
	for seed := uint64(1); seed <= 4; seed++ {
		frames := steady(many, 60, sim.Second) // far apart: nobody waits for another
		got, c := through(t, seed, 0, Way{Delay: Delay{Fixed: 10 * ms, Jitter: 2 * ms}}, frames)
		counts := make([]int, bins)
		for i, f := range got {
			off := f.At - frames[i].At - 8*ms
			require.True(t, off >= 0 && off <= 4*ms)
			counts[min(int(off*bins/(4*ms)), bins-1)]++
		}
		require.Less(t, chi2(counts), chiBound(bins-1), "seed %d: %v", seed, counts)
		require.InDelta(t, float64(10*ms), float64(c.Mean()), float64(ms)/50)
	}
	counts := [5]int{} // the ends are as likely as the middle
	got, _ := through(t, 1, 0, Way{Delay: Delay{Fixed: 10, Jitter: 2}}, steady(many, 60, sim.Second))
	for i, f := range got {
		counts[f.At-sim.Time(i)*sim.Second-8]++
	}
	require.Less(t, chi2(counts[:]), chiBound(4), "%v", counts)
}

func TestJitterIsNormal(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		frames := steady(many, 60, sim.Second)
		got, _ := through(t, seed, 0, Way{Delay: Delay{Fixed: 100 * ms, Jitter: 2 * ms, Normal: true}}, frames)
		var inside [4]uint64 // so many deviations
		var sum, square float64
		for i, f := range got {
			z := float64(f.At-frames[i].At-100*ms) / float64(2*ms)
			sum += z
			square += z * z
			for k := 1; k < 4; k++ {
				if math.Abs(z) < float64(k) {
					inside[k]++
				}
			}
		}
		require.InDelta(t, 0, sum/many, 0.025)
		require.InDelta(t, 1, square/many, 0.035)
		for k, share := range []float64{1: 0.6827, 2: 0.9545, 3: 0.9973} {
			if k > 0 {
				require.InDelta(t, share, float64(inside[k])/many, 0.01, "within %d deviations", k)
			}
		}
	}
}

// A frame never comes out before it went in, whatever the jitter.
func TestJitterIsNeverNegative(t *testing.T) {
	for _, normal := range []bool{false, true} {
		frames := steady(many/10, 60, sim.Microsecond)
		got, c := through(t, 1, 0, Way{Delay: Delay{Fixed: sim.Microsecond, Jitter: ms, Normal: normal, Overtake: true}}, frames)
		for _, f := range got {
			require.GreaterOrEqual(t, f.At, frames[f.ID-1].At)
		}
		require.Zero(t, c.Min)
	}
}

// One bit of a corrupted frame is turned over, all of them equally likely.
func TestCorruptTurnsOneBitOver(t *testing.T) {
	const size = 60
	frames := steady(many, size, sim.Microsecond)
	got, c := through(t, 1, 0, Way{Corrupt: Always}, frames)
	require.Equal(t, uint64(many), c.Corrupted)
	counts := make([]int, size*8)
	for i, f := range got {
		n := 0
		for j := range f.Data {
			if x := f.Data[j] ^ frames[i].Data[j]; x != 0 {
				n += bits.OnesCount8(x)
				counts[8*j+bits.TrailingZeros8(x)]++
			}
		}
		require.Equal(t, 1, n)
		require.Equal(t, byte(i), frames[i].Data[0], "what was given is not written to")
	}
	require.Less(t, chi2(counts), chiBound(len(counts)-1))
}

// With a gap, that many frames less one are delayed after each that goes at once.
func TestReorderKeepsItsGap(t *testing.T) {
	for _, tt := range []struct {
		p    Prob
		gap  int
		want []int // frames between two that go at once, if that is certain
	}{{Always, 5, []int{4}}, {Always, 1, []int{0}}, {Always, 0, []int{0}}, {Always / 4, 5, nil}, {Always / 4, 0, nil}} {
		frames := steady(many, 60, sim.Microsecond)
		got, _ := through(t, 2, 0, Way{Delay: Delay{Fixed: 100 * sim.Microsecond}, Reorder: Reorder{tt.p, tt.gap}}, frames)
		at := map[uint64]sim.Time{}
		for _, f := range got {
			at[f.ID] = f.At - frames[f.ID-1].At
		}
		between, candidates, hits := 0, uint64(0), uint64(0)
		for i := range frames {
			if between >= max(tt.gap, 1)-1 {
				candidates++
			}
			if at[frames[i].ID] != 0 {
				require.Equal(t, 100*sim.Microsecond, at[frames[i].ID])
				between++
				continue
			}
			hits++
			require.GreaterOrEqual(t, between, max(tt.gap, 1)-1)
			if tt.want != nil {
				require.Contains(t, tt.want, between)
			}
			between = 0
		}
		within(t, candidates, tt.p, hits, fmt.Sprint(tt))
	}
}

const (
	goldenDigest = "0e6a45922afb5aa3"
	goldenCounts = "in 20000 dup 391 corrupt 192 lost [0 207 385 0 0] out 19799 late 18903, 6240000 2868713812 6587659422"
)
