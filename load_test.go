package ringside_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/kernel"
	"ringside/load"
	"ringside/sim"
	"ringside/vm"
)

// A try is one trial of a table.
type try struct {
	load string
	cfg  ringside.Config
	l    ringside.Load
}

func (tr try) run(t testing.TB) *ringside.Trial {
	t.Helper()
	var err error
	tr.l.Spec, err = load.Parse(tr.load)
	require.NoError(t, err)
	got, err := tr.l.Run(tr.cfg, nil)
	require.NoError(t, err)
	return got
}

// with is a trial with knobs turned, on a machine where the NIC and the guest have a
// CPU each.
func with(t testing.TB, text string, b kernel.Batching) *ringside.Trial {
	t.Helper()
	return try{load: text, cfg: ringside.Config{Batching: b}}.run(t)
}

func TestATrialCountsWhatItOffers(t *testing.T) {
	tr := with(t, "64@1mpps", kernel.Batching{})
	assert.EqualValues(t, 20_000, tr.Offered)
	assert.EqualValues(t, 1_000_000, tr.OfferedPPS())
	assert.InDelta(t, 20_000, tr.Delivered, 100, "those of one interrupt more or less")
	assert.Equal(t, ringside.TrialFrames{Sent: 22_000, Arrived: 22_000}, tr.Frames)
	assert.EqualValues(t, 22_000, tr.Report.Conservation.FromWire)
	assert.EqualValues(t, 400, tr.Interrupts, "one in 50 us")
	assert.Less(t, tr.BusyNs, 2*tr.ForNs, "two CPUs")
}

func TestATrialIsTheSameEveryTime(t *testing.T) {
	a := with(t, "imix@2mpps,flows=100,pick=zipf,poisson", kernel.Batching{})
	b := with(t, "imix@2mpps,flows=100,pick=zipf,poisson", kernel.Batching{})
	assert.Equal(t, a.Report.TraceHash, b.Report.TraceHash)
	a.Report, b.Report = nil, nil
	assert.Equal(t, a, b)
}

func TestFlowsGoToTheGuestsInTurn(t *testing.T) {
	tr := try{load: "64@1mpps", l: ringside.Load{VMs: 4}}.run(t)
	for _, v := range tr.Report.VMs {
		assert.EqualValues(t, 5500, v.Frames, v.Name)
	}
}

func TestFramesThatComeBackAreKnown(t *testing.T) {
	tr := try{load: "64@100kpps", l: ringside.Load{Program: vm.Reflect}}.run(t)
	assert.EqualValues(t, 2200, tr.Frames.Returned)
	assert.EqualValues(t, 2200, tr.Report.Conservation.ToWire)
}

func TestATrialThatCannotBe(t *testing.T) {
	for want, l := range map[string]ringside.Load{
		"the line does not carry it": {Spec: load.Spec{Rate: load.Rate{PPS: 15e6}}},
		`there is no NIC "eth7"`:     {NIC: "eth7"},
		"a trial of 1ps":             {For: 1},
		"-1 VMs":                     {VMs: -1},
		"less than no time":          {Work: -1},
	} {
		_, err := l.Run(ringside.Config{}, nil)
		assert.ErrorContains(t, err, want)
	}
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	_, err := ringside.Load{Context: ctx}.Run(ringside.Config{}, nil)
	assert.ErrorIs(t, err, stop)
}

// Receive livelock, after Mogul and Ramakrishnan, "Eliminating Receive Livelock in
// an Interrupt-Driven Kernel", 1996: with an interrupt for every frame what is
// delivered rises with what is offered, peaks, and falls until nothing is left;
// with polling it stays. Interrupts and guest share a CPU. The guest's queue is long
// enough for the 3 ms in which the poll has the CPU.
func TestReceiveLivelock(t *testing.T) {
	offered := []uint64{250e3, 500e3, 1e6, 1.25e6, 1.5e6, 2e6, 2.5e6, 3e6, 5e6, 10e6, 14.8e6}
	curve := func(i kernel.Interrupts) (delivered []uint64, peak uint64) {
		for _, pps := range offered {
			tr := try{
				load: fmt.Sprintf("64@%dpps", pps),
				cfg:  ringside.Config{CPUs: 1, TapQueue: 16384, Batching: kernel.Batching{Interrupts: i}},
				l:    ringside.Load{Warmup: 10 * sim.Millisecond, For: 30 * sim.Millisecond},
			}.run(t)
			delivered, peak = append(delivered, tr.DeliveredPPS()), max(peak, tr.DeliveredPPS())
			require.Zero(t, tr.Frames.Reordered+tr.Frames.Doubled)
		}
		t.Log(i, delivered)
		return delivered, peak
	}

	interrupts, peak := curve(kernel.PerFrame)
	assert.InDelta(t, 1e6, interrupts[2], 1e4, "what is offered is delivered as long as there is time")
	assert.Greater(t, peak, uint64(1.1e6))
	assert.Less(t, peak, uint64(2e6))
	falling := false
	for i := 1; i < len(offered); i++ {
		falling = falling || interrupts[i] < interrupts[i-1]
		assert.False(t, falling && interrupts[i] > interrupts[i-1], "it does not recover: %v", interrupts)
	}
	for i, pps := range offered {
		if pps >= 2*peak {
			assert.Less(t, interrupts[i], peak/100, "at %d offered all time goes to interrupts", pps)
		}
	}

	polls, best := curve(kernel.ByNAPI)
	assert.Greater(t, best, peak, "and one interrupt for many frames leaves more time")
	last := polls[len(polls)-1]
	assert.Greater(t, last, best*9/10, "when the ring is never empty ksoftirqd and the guest share the CPU")
	assert.Equal(t, last, polls[len(polls)-2], "what comes beyond that dies on the ring and costs nothing")
	for i, pps := range offered {
		if pps > best {
			assert.Greater(t, polls[i], best/2, "at %d offered", pps)
		}
	}
}

// In livelock the CPU does nothing but hard interrupts, so their price says how many
// there are.
func TestInLivelockAllTimeGoesToInterrupts(t *testing.T) {
	tr := try{load: "64@max", cfg: ringside.Config{CPUs: 1, Batching: kernel.Batching{Interrupts: kernel.PerFrame}}}.run(t)
	assert.Zero(t, tr.Delivered)
	assert.Zero(t, tr.Polls)
	assert.InDelta(t, tr.ForNs, tr.BusyNs, 1000)
	assert.Positive(t, tr.Report.Conservation.Dropped["CPU_BACKLOG"], "frames that cost an interrupt and came no further")
	assert.EqualValues(t, 1000, tr.Frames.Arrived, "the backlog, when all was over")
}

// Below what the machine can do every frame has an interrupt of its own.
func TestPerFrameIsOneInterruptForEveryFrame(t *testing.T) {
	tr := with(t, "64@300kpps,poisson", kernel.Batching{Interrupts: kernel.PerFrame})
	assert.InDelta(t, float64(tr.Frames.Sent), float64(tr.Report.Totals.Interrupts), float64(tr.Frames.Sent)/100)
	assert.Zero(t, tr.Frames.Lost)
}

func TestDefaultsSpeltOutAreTheDefaults(t *testing.T) {
	want := with(t, "imix@1.5mpps,flows=50", kernel.Batching{})
	have := with(t, "imix@1.5mpps,flows=50", kernel.Batching{
		Weight: 64, List: 8, Budget: 300, BudgetTime: 2 * sim.Millisecond, Backlog: 1000,
	})
	assert.Equal(t, want.Report.TraceHash, have.Report.TraceHash)
	assert.Nil(t, want.Report.Machine.Batching)
	assert.NotNil(t, have.Report.Machine.Batching)
}

func TestASmallWeightTakesMorePolls(t *testing.T) {
	polls := func(weight int) uint64 { return with(t, "64@2mpps", kernel.Batching{Weight: weight}).Polls }
	at64, at16, at4 := polls(64), polls(16), polls(4)
	assert.Greater(t, at16, 2*at64)
	assert.Greater(t, at4, 2*at16)
}

// A budget that is used up is a squeeze, and so is one of time.
func TestASmallBudgetIsSqueezed(t *testing.T) {
	squeezes := func(b kernel.Batching) uint64 {
		return with(t, "64@3mpps", b).Report.Softnet[0].TimeSqueeze
	}
	assert.Zero(t, squeezes(kernel.Batching{}))
	assert.Greater(t, squeezes(kernel.Batching{Budget: 64}), uint64(100))
	assert.Greater(t, squeezes(kernel.Batching{BudgetTime: 10 * sim.Microsecond}), uint64(100))
}

// With a deferral and a timer, interrupts of the device end once traffic flows; the
// timer's are as many as its span allows.
func TestDeferralLeavesPollingToTheTimer(t *testing.T) {
	tr := with(t, "64@1mpps", kernel.Batching{DeferHardIRQs: 2, FlushTimeout: 20 * sim.Microsecond})
	assert.Zero(t, tr.Frames.Lost)
	count := func(name string) uint64 { return stepCount(tr, name) }
	assert.LessOrEqual(t, count("igb_msix_ring"), uint64(2))
	assert.InDelta(t, 22_000/27, count("napi_watchdog"), 80, "20 us, and the 7 us of handler and poll")
	assert.Less(t, tr.Latency.Max, int64(50_000))
}

func stepCount(tr *ringside.Trial, name string) (n uint64) {
	for s, l := range tr.Report.Bill.Steps {
		if stepName(s) == name {
			n += l.Count
		}
	}
	return n
}

// Without traffic the vector is unmasked again, and the machine comes to rest.
func TestDeferralEndsWithTheTraffic(t *testing.T) {
	tr := with(t, "64@1kpps", kernel.Batching{DeferHardIRQs: 3, FlushTimeout: 20 * sim.Microsecond})
	assert.EqualValues(t, tr.Frames.Sent, stepCount(tr, "igb_msix_ring"))
	assert.EqualValues(t, 3*tr.Frames.Sent, stepCount(tr, "napi_watchdog"))
}

// A reader that polls has its frame without interrupt, wake-up and context switch,
// and burns its CPU.
func TestBusyPollingTradesACPUForLatency(t *testing.T) {
	const text = "64@50kpps"
	sleep, spin := with(t, text, kernel.Batching{}), with(t, text, kernel.Batching{BusyPoll: 100 * sim.Microsecond})
	assert.Zero(t, spin.Frames.Lost)
	assert.Less(t, spin.Latency.P50*4, sleep.Latency.P50)
	assert.Less(t, spin.Report.Totals.ContextSwitches, uint64(10))
	assert.InDelta(t, sleep.Interrupts, spin.Interrupts, 10, "each time the reader has a frame and stops, interrupts are wanted again")
	deferred := with(t, text, kernel.Batching{BusyPoll: 100 * sim.Microsecond, DeferHardIRQs: 2, FlushTimeout: 200 * sim.Microsecond})
	assert.LessOrEqual(t, stepCount(deferred, "igb_msix_ring"), uint64(2), "with a deferral they are not")
	assert.Greater(t, spin.BusyNs, spin.ForNs*9/10, "the guest's CPU has no rest")
	assert.Less(t, sleep.BusyNs, sleep.ForNs/2)
}

// A thread must be woken and switched to.
func TestThreadedNAPIPaysForItsThread(t *testing.T) {
	softirq, thread := with(t, "64@500kpps", kernel.Batching{}), with(t, "64@500kpps", kernel.Batching{Threaded: true})
	assert.Zero(t, thread.Frames.Lost)
	assert.EqualValues(t, thread.Report.Totals.Interrupts, stepCount(thread, "____napi_schedule"))
	assert.Greater(t, thread.Report.Totals.ContextSwitches, softirq.Report.Totals.ContextSwitches+thread.Report.Totals.Interrupts*9/10)
	alone := func(b kernel.Batching) int64 {
		return try{load: "64@10kpps", cfg: ringside.Config{ITR: ringside.NoITR, Batching: b}}.run(t).Latency.P50
	}
	assert.Greater(t, alone(kernel.Batching{Threaded: true}), alone(kernel.Batching{})+2000)
	assert.Zero(t, stepCount(thread, "net_rx_action"))
}

// Few small frames are told of at once, much traffic in large steps.
func TestAdaptiveITRFollowsTheTraffic(t *testing.T) {
	perSecond := func(tr *ringside.Trial) uint64 { return tr.Interrupts * 1e9 / uint64(tr.ForNs) }
	on := kernel.Batching{AdaptiveITR: true}
	fixed, few := with(t, "64@40kpps", kernel.Batching{}), with(t, "64@40kpps", on)
	assert.Less(t, few.Latency.P50, fixed.Latency.P50, "lowest latency: 14 us in place of 50")
	assert.Greater(t, perSecond(few), uint64(35_000))
	bulk := with(t, "9018@30kpps", on)
	assert.InDelta(t, 4000, perSecond(bulk), 300)
	assert.Zero(t, bulk.Frames.Lost)
}

// RPS takes the way up off the NIC's CPU: with one queue, and more CPUs than one can
// fill, more is delivered.
func TestRPSSpreadsFlowsOverCPUs(t *testing.T) {
	run := func(mask uint64) *ringside.Trial {
		return try{
			load: "64@5mpps,flows=64",
			cfg:  ringside.Config{CPUs: 8, Batching: kernel.Batching{RPS: mask}},
			l:    ringside.Load{VMs: 4},
		}.run(t)
	}
	one, three := run(0), run(0b1110)
	assert.Greater(t, three.Delivered, one.Delivered)
	assert.Positive(t, stepCount(three, "rps_trigger_softirq"))
	assert.Zero(t, three.Frames.Reordered, "a flow stays on its CPU")
	for _, cpu := range three.Report.CPUs[1:4] {
		assert.Positive(t, cpu.BusyNs, cpu.Name)
	}
}

func TestKnobsThatDoNotGoTogether(t *testing.T) {
	for want, b := range map[string]kernel.Batching{
		"nothing to poll":               {Interrupts: kernel.PerFrame, Threaded: true},
		"go together":                   {DeferHardIRQs: 1},
		"Weight is -1":                  {Weight: -1},
		"List is 9":                     {List: 9},
		"BusyPoll is 2.000s":            {BusyPoll: 2 * sim.Second},
		"there are ByNAPI and PerFrame": {Interrupts: 9},
		"RPS 0x100 names CPU 8":         {RPS: 1 << 8},
	} {
		_, err := ringside.New(ringside.Config{Batching: b})
		assert.ErrorContains(t, err, want)
	}
}

// Whatever the knobs: every frame arrives once or is dropped with a reason, flows
// keep their order, the machine comes to rest, and a second run is the same.
func TestNoKnobLosesAFrame(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 5))
		tr := randomTry(r, seed)
		name := fmt.Sprintf("seed %d: %s, %d CPUs, %+v", seed, tr.load, tr.cfg.CPUs, tr.cfg.Batching)
		spec, err := load.Parse(tr.load)
		require.NoError(t, err, name)
		tr.l.Spec = spec
		run := func() *ringside.Trial {
			got, err := tr.l.Run(tr.cfg, nil)
			require.NoError(t, err, name)
			return got
		}
		a := run()
		dropped := uint64(0)
		for _, n := range a.Report.Conservation.Dropped {
			dropped += n
		}
		require.Equal(t, a.Frames.Lost, dropped, name)
		require.Zero(t, a.Frames.Doubled+a.Frames.Reordered, name)
		require.Equal(t, a.Report.TraceHash, run().Report.TraceHash, name)
	}
}

func randomTry(r *rand.Rand, seed uint64) try {
	pick := func(n ...int) int { return n[r.IntN(len(n))] }
	span := func(n ...int) sim.Time { return sim.Time(pick(n...)) * sim.Microsecond }
	cfg := ringside.Config{
		Seed: seed, CPUs: 1 + r.IntN(4), Ring: pick(8, 64, 256), Queues: pick(1, 1, 2, 4), TapQueue: pick(0, 10),
		ITR: span(0, 10, 200), Offloads: ringside.Offloads{GRO: r.IntN(3) == 0},
		Batching: kernel.Batching{List: pick(0, 1, 3), Budget: pick(0, 10, 64), BudgetTime: span(0, 1), Backlog: pick(0, 5)},
	}
	b := &cfg.Batching
	if r.IntN(5) == 0 {
		b.Interrupts = kernel.PerFrame
	} else {
		b.Weight, b.Threaded, b.AdaptiveITR = pick(0, 1, 5, 100), r.IntN(3) == 0, r.IntN(3) == 0
		b.BusyPoll = span(0, 0, 5, 60)
		b.RPS = r.Uint64() & (1<<cfg.CPUs - 1) * uint64(r.IntN(2))
		if r.IntN(3) == 0 {
			b.DeferHardIRQs, b.FlushTimeout = pick(1, 2, 10), span(1, 20, 100)
		}
	}
	return try{
		load: fmt.Sprintf("%s@%dkpps,flows=%d,burst=%d,poisson", []string{"64", "imix", "9000"}[r.IntN(3)], pick(20, 120), pick(1, 3, 40), pick(1, 30)),
		cfg:  cfg,
		l:    ringside.Load{VMs: 1 + r.IntN(3), Batch: pick(0, 8), For: 2 * sim.Millisecond, Work: span(0, 0, 5)},
	}
}

func stepName(i int) string { return cost.Step(i).String() }

func TestAReportNamesTheKnobsThatAreTurned(t *testing.T) {
	b := kernel.Batching{
		Weight: 16, List: 4, Budget: 100, BudgetTime: sim.Millisecond, Backlog: 9, Threaded: true, DeferHardIRQs: 2,
		FlushTimeout: 20 * sim.Microsecond, BusyPoll: 5 * sim.Microsecond, AdaptiveITR: true, RPS: 1,
	}
	tr := with(t, "64@100kpps", b)
	assert.Equal(t, b, *tr.Report.Machine.Batching)
	assert.Equal(t, "napi_weight 16, gro_normal_batch 4, netdev_budget 100, netdev_max_backlog 9, napi_defer_hard_irqs 2, "+
		"netdev_budget_time 1.000ms, gro_flush_timeout 20.000us, busy_poll 5.000us, threaded, adaptive_itr, rps_cpus 0x1", tr.Report.Machine.Batching.String())
	assert.Equal(t, "interrupts per-frame", kernel.Batching{Interrupts: kernel.PerFrame}.String())
	assert.Empty(t, kernel.Batching{}.String())
	assert.Equal(t, b, kernel.Batching{}.Or(b))
	assert.Equal(t, 16, b.Or(kernel.Batching{Weight: 3}).Weight, "what is said stays")
	assert.Equal(t, tr.Frames.Sent, tr.Report.Input.Frames)
}

// What guests send back leaves, whoever cleans the transmit ring.
func TestFramesComeBackWithAnyKnob(t *testing.T) {
	for _, b := range []kernel.Batching{
		{Interrupts: kernel.PerFrame}, {Threaded: true}, {BusyPoll: 30 * sim.Microsecond}, {RPS: 0b11},
		{DeferHardIRQs: 2, FlushTimeout: 20 * sim.Microsecond},
	} {
		tr := try{load: "imix@60kpps,poisson", cfg: ringside.Config{Batching: b}, l: ringside.Load{Program: vm.Reflect}}.run(t)
		assert.Equal(t, tr.Frames.Sent, tr.Frames.Returned, "%v", b)
	}
}
