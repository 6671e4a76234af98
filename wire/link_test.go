package wire

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

func parsed(t testing.TB, text string) Way {
	t.Helper()
	s, err := Parse(text)
	require.NoError(t, err)
	return s.Rx
}

const us = sim.Microsecond

// at are the times of frames.
func at(frames []nic.WireFrame) (list []sim.Time) {
	for _, f := range frames {
		list = append(list, f.At)
	}
	return list
}

func ids(frames []nic.WireFrame) (list []uint64) {
	for _, f := range frames {
		list = append(list, f.ID)
	}
	return list
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	e := sim.NewEngine(1)
	for _, tt := range []struct {
		c    Config
		far  nic.Wire
		want string
	}{
		{Config{}, &script{}, "wire: Config.Engine is required"},
		{Config{Engine: e}, nil, "wire: a link needs a wire at its far end"},
		{Config{Engine: e, BPS: 999}, &script{}, "wire: Config.BPS is 999; 1000 to 1000000000000 are possible, and 0"},
		{Config{Engine: e, Spec: Spec{Tx: Way{Limit: -1}}}, &script{}, "wire: Config.Spec: tx: limit -1; up to 1048576 frames are possible"},
	} {
		_, err := New(tt.c, tt.far)
		require.EqualError(t, err, tt.want)
	}
}

func TestDelayIsFixed(t *testing.T) {
	frames := steady(3, 60, 10*us)
	got, c := through(t, 1, 0, parsed(t, "delay 2ms"), frames)
	require.Equal(t, []sim.Time{2 * ms, 2*ms + 10*us, 2*ms + 20*us}, at(got))
	require.Equal(t, [3]sim.Time{2 * ms, 2 * ms, 2 * ms}, [3]sim.Time{c.Min, c.Mean(), c.Max})
	got, _ = back(t, 1, parsed(t, "delay 2ms"), frames, false)
	require.Equal(t, []sim.Time{2 * ms, 2*ms + 10*us, 2*ms + 20*us}, at(got))
}

// Frames of 1514 bytes take 1538 of a line: at 100 Mbit/s 123.04 us each, of which
// the last 0.96 are the gap.
func TestRateCountsWhatEthernetAdds(t *testing.T) {
	got, _ := through(t, 1, 0, parsed(t, "rate 100mbit"), steady(3, 1514, us))
	require.Equal(t, []sim.Time{122_080_000, 245_120_000, 368_160_000}, at(got))
	got, _ = through(t, 1, 0, parsed(t, "rate 100mbit"), steady(2, 20, us)) // padded to 60
	require.Equal(t, []sim.Time{5_760_000, 12_480_000}, at(got))
	got, _ = through(t, 1, 0, parsed(t, "rate 100mbit"), steady(2, 60, ms)) // each finds it idle
	require.Equal(t, []sim.Time{5_760_000, ms + 5_760_000}, at(got))
}

// A queue of N has room for N beside the one that is being sent.
func TestQueueDropsAtItsTail(t *testing.T) {
	at0 := func(n, size int) []nic.WireFrame { return steady(n, size, 0) }
	got, c := through(t, 1, 0, parsed(t, "rate 1mbit queue 3"), at0(10, 60))
	require.Equal(t, []uint64{1, 2, 3, 4}, ids(got))
	require.Equal(t, uint64(6), c.Lost[LinkQueue])
	got, _ = through(t, 1, 0, parsed(t, "rate 1mbit queue 150b"), at0(10, 60))
	require.Equal(t, []uint64{1, 2, 3}, ids(got), "two of 60 wait")
	frames := at0(4, 100)
	frames[3].Data = frames[3].Data[:50]
	got, _ = through(t, 1, 0, parsed(t, "rate 1mbit queue 150b"), frames)
	require.Equal(t, []uint64{1, 2, 4}, ids(got), "a small one fits where a large one did not")
	_, c = through(t, 1, 0, parsed(t, "rate 1mbit"), at0(2000, 60))
	require.Equal(t, uint64(999), c.Lost[LinkQueue], "the default")
	frames = steady(3, 60, 672*us) // each sets off when the one in front has gone
	_, c = through(t, 1, 0, parsed(t, "rate 1mbit queue 10b"), frames)
	require.Zero(t, c.AllLost(), "what need not wait needs no room")
	// 672 us a frame: one leaves the queue when the one in front of it has gone.
	frames = at0(4, 60)
	frames[3].At = 672*us - 1
	_, c = through(t, 1, 0, parsed(t, "rate 1mbit queue 2"), frames)
	require.Equal(t, uint64(1), c.Lost[LinkQueue])
	frames[3].At++
	_, c = through(t, 1, 0, parsed(t, "rate 1mbit queue 2"), frames)
	require.Zero(t, c.Lost[LinkQueue])
}

// A limit counts all that are on the link, those under way too.
func TestLimitCountsFramesOnTheLink(t *testing.T) {
	got, c := through(t, 1, 0, parsed(t, "delay 10us limit 4"), steady(25, 60, us))
	require.Equal(t, uint64(13), c.Lost[LinkLimit])
	require.Equal(t, []uint64{1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24}, ids(got))
	_, c = through(t, 1, 0, parsed(t, "delay 10us limit 10"), steady(25, 60, us))
	require.Zero(t, c.AllLost())
	_, c = through(t, 1, 0, parsed(t, "delay 3600s 1ps overtake"), steady(DefaultLimit+5, 14, 0))
	require.Equal(t, uint64(5), c.Lost[LinkLimit], "where frames are held there is always one")
}

// The line that frames come in by spaces them out before anything else looks.
func TestLineComesFirst(t *testing.T) {
	got, _ := through(t, 1, 10e9, parsed(t, "delay 1us"), steady(3, 60, 0))
	require.Equal(t, []sim.Time{us, us + 67_200, us + 134_400}, at(got))
	_, c := through(t, 1, 10e9, parsed(t, "rate 5gbit queue 1"), steady(1000, 60, 0))
	require.InDelta(t, 500, float64(c.Out), 2, "half of what comes in fits")
}

// The order of effects is that of the package comment, not that of the words.
func TestOrderOfEffects(t *testing.T) {
	frames := steady(100, 60, us)
	// Duplicate before loss: of two copies one may be lost.
	_, c := through(t, 1, 0, parsed(t, "loss 50% duplicate 100%"), frames)
	require.Equal(t, uint64(200), c.In+c.Duplicated)
	require.InDelta(t, 100, float64(c.Lost[LinkLoss]), 30)
	// Loss before corrupt: what is lost is not corrupted.
	_, c = through(t, 1, 0, parsed(t, "corrupt 100% loss 100%"), frames)
	require.Zero(t, c.Corrupted)
	// Corrupt before limit.
	_, c = through(t, 1, 0, parsed(t, "delay 1s limit 1 corrupt 100%"), frames)
	require.Equal(t, []uint64{100, 99}, []uint64{c.Corrupted, c.Lost[LinkLimit]})
	// Limit before the queue.
	_, c = through(t, 1, 0, parsed(t, "rate 1kbit queue 1 limit 1"), frames)
	require.Equal(t, []uint64{99, 0}, []uint64{c.Lost[LinkLimit], c.Lost[LinkQueue]})
	// What is lost takes no time on the line behind, and a queue is not kept full by a
	// delay that comes later.
	_, c = through(t, 1, 0, parsed(t, "delay 1s rate 1gbit queue 1"), frames)
	require.Zero(t, c.AllLost())
	// Rate before delay: a frame that goes at once has been through the rate.
	got, _ := through(t, 1, 0, parsed(t, "delay 1ms reorder 100% gap 2 rate 100mbit"), steady(2, 60, 0))
	require.Equal(t, []sim.Time{12_480_000, ms + 5_760_000}, at(got))
	require.Equal(t, []uint64{2, 1}, ids(got))
}

// Two links around each other are the effects of both, the far one's first.
func TestLinksStack(t *testing.T) {
	e := sim.NewEngine(1)
	far := &script{frames: steady(200, 60, us)}
	outer, err := New(Config{Name: "far", Engine: e, Spec: Spec{Rx: parsed(t, "delay 50us reorder 30%")}}, far)
	require.NoError(t, err)
	inner, err := New(Config{Name: "near", Engine: e, Spec: Spec{Rx: parsed(t, "rate 50mbit queue 5"), Tx: parsed(t, "duplicate 100%")}}, outer)
	require.NoError(t, err)
	n := &near{link: inner}
	outer.Plug(n)
	inner.Plug(n)
	n.Arrive()
	require.NoError(t, e.RunToIdle())
	o, i := outer.Rx(), inner.Rx()
	require.Equal(t, uint64(200), o.Out)
	require.Equal(t, o.Out, i.In)
	require.NotZero(t, o.Reordered)
	require.NotZero(t, i.Lost[LinkQueue])
	require.True(t, slices.IsSorted(at(n.got)))
	require.False(t, slices.IsSorted(ids(n.got)))
	f := nic.WireFrame{ID: 7, At: e.Now(), Data: make([]byte, 60)}
	inner.Transmit(&f)
	require.Equal(t, []uint64{7, 7 | Copy}, ids(far.sent))
}

// Without reorder and overtake, frames keep their order; with either, the NIC still
// sees times that never go back.
func TestFramesComeInTheOrderOfTime(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		w := anyWay(r)
		got, c := through(t, r.Uint64(), 10e9, w, anyFrames(r, 100))
		require.True(t, slices.IsSorted(at(got)), "%v", w)
		original := func(f nic.WireFrame) uint64 { return f.ID &^ Copy }
		inOrder := slices.IsSortedFunc(got, func(a, b nic.WireFrame) int { return int(original(a)) - int(original(b)) })
		require.True(t, inOrder || w.overtakes(), "%v", w)
		if !w.overtakes() {
			require.Zero(t, c.Reordered)
		} else if !inOrder {
			require.NotZero(t, c.Reordered)
		}
	}
}

// RFC 4737 counts those that come too late, not those that overtook them.
func TestReorderedAreThoseThatComeLate(t *testing.T) {
	got, c := through(t, 1, 0, parsed(t, "delay 10us reorder 100% gap 4"), steady(8, 60, us))
	require.Equal(t, []uint64{4, 8, 1, 2, 3, 5, 6, 7}, ids(got))
	require.Equal(t, uint64(6), c.Reordered)
}

// A link that ends in the middle says what it holds.
func TestHeldFramesAreCounted(t *testing.T) {
	l, far, n, e := newLink(t, 1, 0, both(parsed(t, "delay 10us 1ps overtake")), steady(5, 60, us))
	n.Arrive()
	for i := range 3 {
		l.Transmit(&nic.WireFrame{ID: uint64(i), At: sim.Time(i) * us, Data: make([]byte, 60)})
	}
	for _, until := range []sim.Time{9 * us, 11*us + 10, ms} {
		require.NoError(t, e.RunUntil(until))
		rx, tx := l.Rx(), l.Tx()
		require.NoError(t, rx.Check())
		require.NoError(t, tx.Check())
		require.Equal(t, len(n.got), int(rx.Out))
		require.Equal(t, len(far.sent), int(tx.Out))
	}
	require.Equal(t, []int{5, 3}, []int{len(n.got), len(far.sent)})
	require.NoError(t, new(Counts).Check())
	require.Error(t, (&Counts{In: 1}).Check())
	require.Error(t, (&Counts{Out: 1}).Check())
}

// At every moment, in the middle of a copy and of a frame that waits for others too.
func TestAccountBalancesAtEveryMoment(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 200 {
		w := anyWay(r)
		l, _, _, e := newLink(t, r.Uint64(), 1e9, both(w), anyFrames(r, 60))
		var f nic.WireFrame
		for n := 0; ; {
			for l.Receive(&f) {
				n++
				c := l.Rx()
				require.NoError(t, c.Check(), "%v", w)
				require.Equal(t, n, int(c.Out))
			}
			if !e.Step() {
				break
			}
		}
		require.Zero(t, l.Rx().Held)
	}
}

// A far end whose times go back breaks its contract. It is held to the latest of them.
func TestFarEndThatGoesBackInTime(t *testing.T) {
	frames := steady(3, 60, 0)
	frames[0].At, frames[1].At, frames[2].At = 100*us, 50*us, 101*us
	for _, text := range []string{"delay 10us reorder 0.00000003%", "delay 10us", ""} {
		got, _ := through(t, 1, 0, parsed(t, text), frames)
		require.Equal(t, []uint64{1, 2, 3}, ids(got), text)
		require.True(t, slices.IsSorted(at(got)))
	}
	got, _ := through(t, 1, 0, parsed(t, "delay 10us reorder 100% gap 2"), frames)
	require.Equal(t, []sim.Time{100 * us, 110 * us, 111 * us}, at(got), "the second goes at once, and not before the first set off")
}

// A timer for frames that came out early is not left behind.
func TestNoTimerIsLeftBehind(t *testing.T) {
	frames := steady(2, 60, 20*us)
	l, far, n, e := newLink(t, 1, 0, Spec{Rx: parsed(t, "delay 10us 1ps overtake loss gemodel 100% 0%")}, frames[:1])
	n.Arrive()
	require.Empty(t, n.got)
	require.InDelta(t, int64(10*us), int64(e.Next()), 1)
	far.frames = frames // the second is known before it sets off, and will be lost
	n.Arrive()
	require.Equal(t, []uint64{1}, ids(n.got))
	require.Equal(t, uint64(1), l.Rx().Lost[LinkBurst])
	require.Equal(t, sim.Never, e.Next())
}

func TestMeanOfLongDelays(t *testing.T) {
	var c Counts
	for range 9 {
		c.left(far)
	}
	require.Equal(t, [3]sim.Time{far, far, far}, [3]sim.Time{c.Min, c.Mean(), c.Max})
}

func TestLostFramesAreTold(t *testing.T) {
	e := sim.NewEngine(1)
	var told []Lost
	l, err := New(Config{Engine: e, Spec: both(parsed(t, "rate 1mbit queue 1")), Lost: func(l Lost) {
		require.Len(t, l.Data, 60)
		l.Data = nil
		told = append(told, l)
	}}, &script{frames: steady(3, 60, 0)})
	require.NoError(t, err)
	(&near{link: l}).Arrive()
	for range 3 {
		l.Transmit(&nic.WireFrame{ID: 9, At: 5, Data: make([]byte, 60)})
	}
	require.Equal(t, []Lost{{ID: 3, Why: LinkQueue}, {ID: 9, At: 5, Tx: true, Why: LinkQueue}}, told)
}

// A NIC sees no difference between a wire and an empty link around it: the line of the
// link carries frames as the NIC's own does.
func TestEmptyLinkIsNotThere(t *testing.T) {
	frames := anyFrames(rand.New(rand.NewPCG(4, 4)), 300)
	for _, bps := range []uint64{1e9, 10e9, 3e9 + 7, 100e9} {
		run := func(w func(*sim.Engine, nic.Wire) nic.Wire) []nictest.Frame {
			e := sim.NewEngine(1)
			n := nic.Config{Engine: e, Wire: w(e, &script{frames: frames}), LinkBPS: bps}
			rig, err := nictest.NewRig(n)
			require.NoError(t, err)
			d, err := nictest.Up(rig, 1, nictest.Options{Descs: 512, Polling: true, Rctl: nic.RctlUPE | nic.RctlMPE})
			require.NoError(t, err)
			d.Now = sim.Second
			return d.Harvest(0)
		}
		bare := run(func(_ *sim.Engine, w nic.Wire) nic.Wire { return w })
		require.Greater(t, len(bare), 200)
		linked := run(func(e *sim.Engine, w nic.Wire) nic.Wire {
			l, err := New(Config{Engine: e, BPS: bps}, w)
			require.NoError(t, err)
			return l
		})
		require.Equal(t, bare, linked)
	}
}

// A real NIC is woken for frames that come out while nothing follows.
func TestNICIsWokenForHeldFrames(t *testing.T) {
	e := sim.NewEngine(1)
	l, err := New(Config{Engine: e, BPS: 10e9, Spec: both(parsed(t, "delay 5ms reorder 50%"))}, &script{frames: steady(40, 60, us)})
	require.NoError(t, err)
	rig, err := nictest.NewRig(nic.Config{Engine: e, Wire: l})
	require.NoError(t, err)
	l.Plug(rig.NIC)
	d, err := nictest.Up(rig, 1, nictest.Options{})
	require.NoError(t, err)
	rig.IRQ.Then = func(_ int, now sim.Time) { d.Now = now }
	require.NoError(t, e.RunToIdle())
	require.GreaterOrEqual(t, e.Now(), 5*ms)
	d.Now = e.Now()
	d.NIC.CatchUp(d.Now)
	require.Equal(t, uint64(40), rig.NIC.Counts().In)
	require.Zero(t, l.Rx().Held)
}

// endless is a far end that never runs out, of one buffer.
type endless struct {
	data []byte
	at   sim.Time
	step sim.Time
	id   uint64
}

func (e *endless) Receive(f *nic.WireFrame) bool {
	e.id++
	e.at += e.step
	*f = nic.WireFrame{ID: e.id, At: e.at, Data: e.data}
	return true
}
func (e *endless) Transmit(*nic.WireFrame) {}

const everything = "delay 100us 20us distribution normal overtake reorder 25% gap 5 loss 1% loss gemodel 0.1% 10% " +
	"duplicate 0.1% corrupt 0.1% rate 9gbit queue 1000 limit 100000"

func TestNoAllocationForAFrame(t *testing.T) {
	for _, text := range []string{"", "delay 1ms", "corrupt 10%", "duplicate 10% loss 1%", "rate 5gbit queue 64kb", "delay 1ms 1us overtake", everything} {
		e := sim.NewEngine(1)
		l, err := New(Config{Engine: e, BPS: 10e9, Spec: both(parsed(t, text))}, &endless{data: make([]byte, 1000), step: 900 * sim.Nanosecond})
		require.NoError(t, err)
		var f nic.WireFrame
		var sent nic.WireFrame
		work := func() {
			for range 1000 {
				l.Receive(&f)
				sent.At += us
				sent.Data = f.Data
				l.Transmit(&sent)
				for e.Next() <= sent.At {
					e.Step()
				}
			}
		}
		for range 20 {
			work()
		}
		require.Zero(t, testing.AllocsPerRun(20, work), text)
	}
}
