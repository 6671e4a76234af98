package dpdk_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/dpdk"
	"ringside/mem"
	"ringside/sim"
	"ringside/vswitch"
)

// cycles is what a frame costs the core that forwards more than it can: all that it was
// charged while it was busy, over the frames that it sent.
func (r *rig) cycles(sent int) float64 {
	busy := r.k.Accounts()[1]
	idle := busy.Price(cost.RteEthRxIdle, busy.Count(cost.RteEthRxIdle), 0)
	return float64(busy.Ticks()-idle) / 1000 / float64(sent)
}

// What a forwarder costs is what was published: 61 cycles with vector code and 91
// without; ixy's fit of 98 + 340/batch, whose driver is plain code with a doorbell for
// every batch. None of these prices was chosen for this.
func TestForwardingCostsWhatWasPublished(t *testing.T) {
	for _, tc := range []struct {
		name      string
		drv       dpdk.Config
		burst     int
		published float64
		within    float64
	}{
		{"DPDK with vector code", dpdk.Config{}, 32, 61, 0.05},
		{"DPDK without", dpdk.Config{Scalar: true}, 32, 91, 0.05},
		{"ixy, batch 1", dpdk.Config{Scalar: true, FreeThresh: 1}, 1, 98 + 340, 0.15},
		{"ixy, batch 2", dpdk.Config{Scalar: true, FreeThresh: 1}, 2, 98 + 170, 0.15},
		{"ixy, batch 4", dpdk.Config{Scalar: true, FreeThresh: 1}, 4, 98 + 85, 0.15},
		{"ixy, batch 8", dpdk.Config{Scalar: true, FreeThresh: 1}, 8, 98 + 42.5, 0.15},
		{"ixy, batch 32", dpdk.Config{Scalar: true, FreeThresh: 1}, 32, 98 + 10.6, 0.16},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := make([]sim.Time, 20000) // by two devices, since one is slower than the core
			wires := []*wire{{at: at}, {}, {at: at}, {}}
			r := newRig(t, config{drv: tc.drv, burst: tc.burst, bps: 100e9, wires: wires})
			r.run()
			got := r.cycles(wires[1].sent + wires[3].sent)
			t.Logf("%.1f cycles a frame, published %.1f", got, tc.published)
			assert.InDelta(t, 0, math.Log(got/tc.published), tc.within)
		})
	}
}

// Rounds that find nothing are no events, and nobody can tell: frames leave at the same
// times, and the account is the same, as if each had been run.
func TestIdleRoundsAreExact(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var at []sim.Time
		now := sim.Time(0)
		for range 200 {
			now += sim.Time(rnd.ExpFloat64() * float64(sim.Time(1+rnd.IntN(3000))*sim.Nanosecond))
			at = append(at, now)
		}
		size := func(i int) int { return 60 + i*37%1400 }
		var outs [2]*wire
		var rigs [2]*rig
		for i := range rigs {
			in := &wire{at: at, size: size}
			outs[i] = &wire{keep: true}
			rigs[i] = newRig(t, config{every: i == 1, bridge: seed%2 == 1, wires: []*wire{in, outs[i]}})
			rigs[i].run()
			require.Equal(t, len(at), outs[i].sent)
		}
		require.Equal(t, outs[0].out, outs[1].out, "seed %d", seed)
		end := max(rigs[0].k.Now(), rigs[1].k.Now())
		for _, r := range rigs {
			require.NoError(t, r.eng.RunUntil(end))
		}
		a, b := rigs[0].k.Accounts()[1], rigs[1].k.Accounts()[1]
		for s := range cost.NumSteps {
			require.Equal(t, b.Line(s), a.Line(s), "seed %d: %v", seed, s)
		}
		require.Less(t, rigs[0].polls*3, rigs[1].polls, "idle rounds are run")
	}
}

// The core is busy all the time, to within a round, however little there is to do.
func TestTheCoreIsAlwaysBusy(t *testing.T) {
	r := newRig(t, config{wires: []*wire{{at: everyGap(10, 100*sim.Microsecond)}, {}}})
	r.run()
	for _, end := range []sim.Time{2 * sim.Millisecond, 3*sim.Millisecond + 1, sim.Second} {
		require.NoError(t, r.eng.RunUntil(end))
		acct := r.k.Accounts()[1]
		round := sim.Span(acct.Price(cost.RteEthRxIdle, 2, 0), sim.Scale(3.6e9))
		busy := sim.Span(acct.Ticks(), sim.Scale(3.6e9))
		assert.LessOrEqual(t, busy, end)
		assert.Greater(t, busy+round+sim.Nanosecond, end)
		again := r.k.Accounts()[1]
		assert.Equal(t, acct.Ticks(), again.Ticks(), "to look twice changes nothing")
	}
}

// Bursts of any size, rings of any size: every frame leaves once and in order, or is
// counted as dropped, and no mbuf is lost.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		drv := dpdk.Config{
			RxRing: 8 * (1 + rnd.IntN(64)), TxRing: 8 * (1 + rnd.IntN(64)), Scalar: rnd.IntN(2) == 0, DropEn: rnd.IntN(2) == 0,
		}
		drv.FreeThresh = 1 + rnd.IntN(drv.RxRing-1)
		gap := sim.Time(rnd.IntN(100)) * sim.Nanosecond
		in, back := &wire{at: everyGap(3000, gap), keep: true}, &wire{at: everyGap(1000, 3*gap), keep: true}
		in.size = func(i int) int { return 60 + i%1900 }
		r := newRig(t, config{drv: drv, burst: 1 + rnd.IntN(64), bridge: rnd.IntN(2) == 0, bps: 100e9, wires: []*wire{in, back}})
		r.run()
		for _, w := range []*wire{in, back} {
			last := -1
			for _, f := range w.out {
				n := int(f.Data[14])<<8 | int(f.Data[15])
				require.Greater(t, n, last, "seed %d: out of order", seed)
				last = n
			}
		}
	}
}

// What longer frames than an mbuf holds become is the device's to count.
func TestLongFramesAreDroppedByTheDevice(t *testing.T) {
	in, out := &wire{at: everyGap(4, sim.Microsecond), size: func(i int) int { return 2042 + i }}, &wire{}
	r := newRig(t, config{wires: []*wire{in, out}})
	r.run()
	assert.Equal(t, 3, out.sent)
	assert.EqualValues(t, 1, r.drops.ByReason()[cost.NICRxOversize])
}

// A frame in the steady state allocates nothing.
func TestNoAllocations(t *testing.T) {
	in, out := &wire{at: everyGap(200000, 50*sim.Nanosecond)}, &wire{}
	r := newRig(t, config{bridge: true, wires: []*wire{in, out}})
	require.NoError(t, r.eng.RunUntil(sim.Millisecond))
	end := sim.Millisecond
	assert.Zero(t, testing.AllocsPerRun(5, func() {
		end += sim.Millisecond
		if err := r.eng.RunUntil(end); err != nil {
			t.Fatal(err)
		}
	}))
	assert.Greater(t, out.sent, 100000)
}

func TestOpenRefuses(t *testing.T) {
	r := newRig(t, config{wires: []*wire{{}}})
	ram := mem.New(1 << 20)
	pool, err := vswitch.NewPool(ram, 16)
	require.NoError(t, err)
	for _, tc := range []struct {
		c    dpdk.Config
		says string
	}{
		{dpdk.Config{}, "NIC, Memory and Pool are required"},
		{dpdk.Config{Queues: 17}, "17 queues"},
		{dpdk.Config{RxRing: 12}, "rings of 12 and 512"},
		{dpdk.Config{TxRing: 8192}, "rings of 512 and 8192"},
		{dpdk.Config{FreeThresh: 512}, "FreeThresh of 512"},
		{dpdk.Config{}, "no pool of packet buffers"},
	} {
		if tc.says != "NIC, Memory and Pool are required" {
			tc.c.NIC, tc.c.Memory, tc.c.Pool = r.nics[0], ram, pool
		}
		_, err := dpdk.Open(tc.c)
		assert.ErrorContains(t, err, tc.says)
	}
}
