package kernel_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/xdp"
)

// withXDP is a host whose NIC has a program, with n taps and a program that reads each.
func withXDP(t testing.TB, n int, cfg kernel.XDPConfig, s *kerneltest.Fates) *kerneltest.Rig {
	t.Helper()
	c := kerneltest.Config{CPUs: 1 + n, Taps: n, NIC: kernel.NICConfig{XDP: cfg, ITR: 50 * sim.Microsecond}}
	if s != nil {
		c.Sink = s
	}
	r := kerneltest.New(t, c)
	for i := range n {
		start(t, r, 1+i, sink, fmt.Sprint("tap", i))
	}
	return r
}

// known has the bridge know the station at the far end of the wire.
func known(t testing.TB, r *kerneltest.Rig) {
	t.Helper()
	require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Remote(0), Port: r.Port, Kind: bridge.Static}))
}

// What each verdict does with a hundred frames, in both modes.
func TestVerdicts(t *testing.T) {
	panics := func(*xdp.Context) xdp.Action { panic("a program's own") }
	nonsense := func(*xdp.Context) xdp.Action { return 77 }
	toNobody := func(x *xdp.Context) xdp.Action { return x.Redirect(1 << 20) }
	toHost := func(x *xdp.Context) xdp.Action { return x.Redirect(0) } // the bridge's own interface
	empty := func(x *xdp.Context) xdp.Action { return x.RedirectMap(5, xdp.Drop) }
	for _, tt := range []struct {
		name             string
		program          xdp.Program
		vms, wire        uint64
		why              cost.DropReason
		aborted, dropped uint64
		errors           uint64
	}{
		{name: "drop", program: xdp.DropAll, why: cost.XDPDropped, dropped: 100},
		{name: "drop after reading", program: xdp.DropTouch, why: cost.XDPDropped, dropped: 100},
		{name: "pass", program: xdp.PassAll, vms: 100},
		{name: "tx", program: xdp.SwapTx, wire: 100},
		{name: "the bridge's table", program: xdp.FDB, vms: 100},
		{name: "a panic aborts", program: panics, why: cost.RSXDPAborted, aborted: 100},
		{name: "an answer that is none aborts", program: nonsense, why: cost.RSXDPAborted, aborted: 100},
		{name: "redirect to no interface", program: toNobody, why: cost.RSXDPNoTarget, errors: 100},
		{name: "redirect to a bridge's own", program: toHost, why: cost.RSXDPNoTarget, errors: 100},
		{name: "an empty entry of the map", program: empty, why: cost.XDPDropped, dropped: 100},
		{name: "redirect by the map", program: xdp.RedirectByMap, vms: 100},
	} {
		for _, generic := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, generic %v", tt.name, generic), func(t *testing.T) {
				r := withXDP(t, 1, kernel.XDPConfig{Program: tt.program, Generic: generic, Devices: []string{"tap0"}}, nil)
				known(t, r)
				before := r.Memory.InUse()
				r.Play(0, to(0, 100, 60)...)
				require.NoError(t, r.Run())
				b := r.Balance()
				assert.Equal(t, tt.vms, b.ToVMs)
				assert.Equal(t, tt.wire, b.Sent)
				assert.Equal(t, 100-tt.vms-tt.wire, r.Drops.ByReason()[tt.why], "%v", r.Drops.ByReason())
				s := r.XDPStats()[0]
				assert.Equal(t, "eth0", s.Interface)
				assert.EqualValues(t, 100, s.Runs())
				assert.Equal(t, tt.aborted, s.Aborted)
				assert.Equal(t, tt.dropped, s.Drop)
				assert.Equal(t, tt.errors, s.Errors)
				assert.LessOrEqual(t, r.Memory.InUse(), before+2, "buffers are back; one descriptor was empty while probing")
			})
		}
	}
}

// A frame that a program drops costs what was published, and nothing is built for it.
func TestADropCostsWhatWasPublished(t *testing.T) {
	book, err := cost.Open("linux-xeon")
	require.NoError(t, err)
	acct := cost.NewAccount("cpu0", book, false)
	ns := func(steps ...cost.Step) (sum float64) {
		for _, s := range steps {
			sum += float64(acct.Price(s, 1, 0)) / 1000 / 3.6
		}
		return sum
	}
	assert.InDelta(t, 41.6, ns(cost.IgbCleanRxXdp, cost.IgbRunXdp), 0.1, "S1: 24 Mpps")
	assert.InDelta(t, 13.3, ns(cost.IgbRunXdp), 0.1, "S1: what a program costs that passes")

	r := withXDP(t, 1, kernel.XDPConfig{Program: xdp.DropAll}, nil)
	r.Play(0, to(0, 50, 60)...)
	require.NoError(t, r.Run())
	for _, s := range []cost.Step{cost.IgbBuildSkb, cost.IgbPutRxBuffer, cost.IgbCleanRxIrq, cost.NapiGroReceive, cost.KfreeSkb, cost.XdpTouch} {
		assert.Zero(t, counts(r, s), "%v", s)
	}
	assert.EqualValues(t, 50, counts(r, cost.IgbRunXdp))
}

// A program that reads the frame pays for the first touch; of one that passes it is
// paid once, where it always was.
func TestTheFirstTouchIsPaidOnce(t *testing.T) {
	for _, tt := range []struct {
		program xdp.Program
		xdp     uint64
		driver  uint64
	}{
		{xdp.DropAll, 0, 0},
		{xdp.DropTouch, 20, 0},
		{xdp.PassAll, 0, 20},
		{func(x *xdp.Context) xdp.Action { x.Data(); return xdp.Pass }, 0, 20},
		{xdp.SwapTx, 20, 0},
	} {
		r := withXDP(t, 1, kernel.XDPConfig{Program: tt.program}, nil)
		r.Play(0, to(0, 20, 60)...)
		require.NoError(t, r.Run())
		assert.Equal(t, tt.xdp, counts(r, cost.XdpTouch))
		assert.Equal(t, tt.driver, counts(r, cost.IgbGetRxBuffer))
	}
}

// With a program that passes everything guests get what they get without one, byte for
// byte, and as many; in generic mode jumbo frames too.
func TestPassChangesNothing(t *testing.T) {
	for seed := range uint64(60) {
		for _, generic := range []bool{false, true} {
			s := draw(5000 + seed)
			for i, f := range s.frames {
				if !generic && len(f) > 3072 {
					s.frames[i] = f[:3072]
				}
			}
			without := &kerneltest.Fates{}
			s.run(t, without)
			s.config.NIC.XDP = kernel.XDPConfig{Program: xdp.PassAll, Generic: generic}
			with := &kerneltest.Fates{}
			r := s.run(t, with)
			require.Empty(t, with.Early)
			require.EqualValues(t, r.XDPStats()[0].Pass, r.XDPStats()[0].Runs())
			if dropped(without) || dropped(with) {
				continue // which frames a full ring loses is a matter of time
			}
			require.Equal(t, perGuest(without), perGuest(with), "seed %d, generic %v", seed, generic)
		}
	}
}

// dropped says that frames died where it depends on time.
func dropped(f *kerneltest.Fates) bool {
	for _, fate := range f.Frames {
		if fate.Dropped["tap/FULL_RING"]+fate.Dropped["nic/NIC_RX_NO_DESC"]+fate.Dropped["nic/NIC_RX_FIFO"] > 0 {
			return true
		}
	}
	return false
}

// perGuest is what each guest got of each queue, in order.
func perGuest(f *kerneltest.Fates) map[string][]string {
	m := map[string][]string{}
	for _, a := range f.Order {
		if a.Queue < 0 {
			continue
		}
		key := fmt.Sprintf("vm%d queue %d", a.VM, a.Queue)
		m[key] = append(m[key], fmt.Sprintf("%d %x", a.ID, a.Data))
	}
	return m
}

// Frames that are longer than a buffer never come so far with a program at the driver;
// a generic program has them put into one buffer.
func TestJumboFramesAndPrograms(t *testing.T) {
	long := to(0, 1, 3073)
	r := withXDP(t, 1, kernel.XDPConfig{Program: xdp.PassAll}, nil)
	r.Play(0, append(to(0, 1, 3072), long...)...)
	require.NoError(t, r.Run())
	assert.EqualValues(t, 1, r.Balance().ToVMs)
	assert.EqualValues(t, 1, r.Drops.ByReason()[cost.NICRxOversize])

	s := &kerneltest.Fates{}
	r = withXDP(t, 1, kernel.XDPConfig{Program: func(x *xdp.Context) xdp.Action {
		x.Data()[len(x.Data())-1] = 0xaa
		return xdp.Pass
	}, Generic: true}, s)
	wire := append(long, to(0, 1, 9014)...)
	r.Play(0, wire...)
	require.NoError(t, r.Run())
	require.Len(t, s.Order, 2)
	for i, a := range s.Order {
		assert.Equal(t, wire[i][:len(wire[i])-1], a.Data[:len(a.Data)-1])
		assert.EqualValues(t, 0xaa, a.Data[len(a.Data)-1])
	}
	assert.EqualValues(t, 2, counts(r, cost.SkbLinearize))
}

func TestWhatCannotBeHadWithAProgram(t *testing.T) {
	for says, c := range map[string]kernel.NICConfig{
		"MTU of 9000":   {XDP: kernel.XDPConfig{Program: xdp.PassAll}, At: kernel.Interface{MTU: 9000}},
		"turn LRO off":  {XDP: kernel.XDPConfig{Program: xdp.PassAll}, Offloads: kernel.Offloads{LRO: true, RxCsum: true}},
		"turn LRO off ": {XDP: kernel.XDPConfig{Program: xdp.PassAll, Generic: true}, Offloads: kernel.Offloads{LRO: true, RxCsum: true}},
	} {
		_, err := kerneltest.Boot(kerneltest.Config{NIC: c})
		require.Error(t, err)
		assert.Contains(t, err.Error()+" ", says)
	}
	_, err := kerneltest.Boot(kerneltest.Config{NIC: kernel.NICConfig{XDP: kernel.XDPConfig{Program: xdp.PassAll, Generic: true}, At: kernel.Interface{MTU: 9000}}})
	require.NoError(t, err)
}

// Frames that are redirected go out sixteen at a time, and the rest when the poll ends;
// a reader that sleeps is woken once for each.
func TestRedirectedFramesGoInBulk(t *testing.T) {
	for frames, bulks := range map[int]uint64{1: 1, 15: 1, 16: 1, 17: 2, 32: 2, 50: 4, 64: 4} {
		c := kerneltest.Config{NIC: kernel.NICConfig{XDP: kernel.XDPConfig{Program: xdp.FDB}}}
		r := backlog(t, frames, c)
		known(t, r)
		require.NoError(t, r.Run())
		assert.Equal(t, bulks, counts(r, cost.TunXdpXmit), "%d frames at once", frames)
		assert.EqualValues(t, frames, counts(r, cost.TunXdpProduce))
		assert.EqualValues(t, frames, counts(r, cost.XdpReturnFrame))
		assert.Zero(t, counts(r, cost.ConsumeSkb))
	}
}

// The first frame of a station is the bridge's: it learns from it. The rest go straight
// to the guest, and nobody is overtaken, whatever the frames in between do.
func TestFramesOfAFlowKeepTheirOrder(t *testing.T) {
	for _, gap := range []sim.Time{0, 700 * sim.Nanosecond, 20 * sim.Microsecond} {
		s := &kerneltest.Fates{}
		r := withXDP(t, 2, kernel.XDPConfig{Program: xdp.FDB}, s)
		var at sim.Time
		for i := range 300 {
			dst, src := kerneltest.Station(i%2), kerneltest.Remote(i/40) // a new source now and then
			if i%7 == 3 {
				dst = everybody
			}
			r.Play(at, kerneltest.Frame(dst, src, 60, byte(i)))
			at += gap
		}
		require.NoError(t, r.Run())
		last := map[string]uint64{}
		for _, a := range s.Order {
			flow := fmt.Sprintf("vm%d %x", a.VM, a.Data[:12])
			assert.Less(t, last[flow], a.ID, "flow %s", flow)
			last[flow] = a.ID
		}
		st := r.XDPStats()[0]
		assert.Positive(t, st.Redirect)
		assert.Positive(t, st.Pass)
		assert.EqualValues(t, 300, st.Runs())
	}
}

// The bridge is after a run with the program as it is after one without: ages, counters
// of ports, entries.
func TestTheBridgeIsTheSameWithTheProgram(t *testing.T) {
	state := func(p xdp.Program) (string, map[string][]string) {
		s := &kerneltest.Fates{}
		r := withXDP(t, 3, kernel.XDPConfig{Program: p}, s)
		for i := range 400 {
			dst, src := kerneltest.Station(i*7%4), kerneltest.Remote(i%5)
			if i%50 == 49 {
				dst = everybody
			}
			r.Play(sim.Time(i)*40*sim.Microsecond, kerneltest.Frame(dst, src, 60, byte(i)))
		}
		require.NoError(t, r.Run())
		var text string
		for _, e := range r.Bridge.Entries(r.Now()) {
			e.Updated = 0
			text += fmt.Sprintf("%+v\n", e)
		}
		for _, p := range r.Bridge.Ports() {
			text += fmt.Sprintf("%d %+v\n", p, r.Bridge.PortStats(p))
		}
		flows := map[string][]string{}
		for _, a := range s.Order {
			flow := fmt.Sprintf("vm%d %x", a.VM, a.Data[:12])
			flows[flow] = append(flows[flow], fmt.Sprint(a.ID))
		}
		return text, flows
	}
	without, got := state(xdp.PassAll)
	with, got2 := state(xdp.FDB)
	assert.Equal(t, without, with)
	assert.Equal(t, got, got2)
}
