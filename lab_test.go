package ringside_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/sim"
	"ringside/vm"
	"ringside/wire"
)

// newLab is a lab that is closed when the test is over.
func newLab(t testing.TB, cfg ringside.LabConfig) *ringside.Lab {
	t.Helper()
	l, err := ringside.NewLab(cfg)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

// pair is two hosts with one guest each, joined by a cable.
func pair(a, b vm.Program, link string) ringside.LabConfig {
	spec, err := wire.Parse(link)
	if err != nil {
		panic(err)
	}
	return ringside.LabConfig{
		Hosts: []ringside.LabHost{
			{Name: "a", Config: ringside.Config{VMs: []ringside.VM{{Program: a}}}},
			{Name: "b", Config: ringside.Config{VMs: []ringside.VM{{Program: b}}}},
		},
		Cables: []ringside.Cable{{A: ringside.End{Host: "a"}, B: ringside.End{Host: "b"}, Link: spec}},
	}
}

func TestAFrameGoesFromGuestToGuestByACable(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, pair(once(&a, frame(7, 1)), once(&b, frame(1, 7)), ""))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(1, 7)}, a)
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
	r := l.Report()
	assert.Equal(t, ringside.LabConservation{Sent: 2, Arrived: 2, Balanced: true}, r.Conservation)
	assert.Equal(t, "b:eth0", r.Cables[0].B)
	assert.Equal(t, ringside.CableWayReport{In: 1, Out: 1}, r.Cables[0].ToB)
	for _, h := range r.Hosts {
		assert.EqualValues(t, 2, h.Report.Conservation.In, "one of its own and one from the cable")
		assert.Equal(t, r.TraceHash, h.Report.TraceHash)
	}
}

// A lab of one host is that host, to the last record of its trace.
func TestALabOfOneHostIsTheHost(t *testing.T) {
	cfg := func() ringside.Config {
		return ringside.Config{Seed: 3, Wire: (&line{}).play(sim.Millisecond, frame(0xff, 1), frame(7, 1)), VMs: []ringside.VM{{Program: vm.Reflect}}}
	}
	h, err := ringside.New(cfg())
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	l := newLab(t, ringside.LabConfig{Seed: 3, Hosts: []ringside.LabHost{{Config: cfg()}}})
	require.NoError(t, l.Run())
	want, err := json.Marshal(h.Report())
	require.NoError(t, err)
	got, err := json.Marshal(l.Report().Hosts[0].Report)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}

// Hosts that are built alike are not alike in what chance gives them.
func TestHostsHaveNamesAndChanceOfTheirOwn(t *testing.T) {
	l := newLab(t, pair(vm.Sink, vm.Sink, ""))
	a, b := l.Host("a"), l.Host("b")
	require.NotEqual(t, a.Bridge.Config().Seed, b.Bridge.Config().Seed)
	require.NoError(t, l.Run())
	require.Nil(t, l.Host("c"))
}

// While a cable is pulled nothing comes through; the bridges know of it, and forget
// who was behind it.
func TestAPulledCableLosesFramesAndCarriers(t *testing.T) {
	var got [][]byte
	every := func(g *vm.Guest) error {
		for i := range 30 {
			f := g.Task.Memory().Bytes(4096, 60)
			copy(f, frame(7, 1, byte(i)))
			if err := g.Send(f); err != nil {
				return err
			}
			g.Sleep(sim.Millisecond)
		}
		return nil
	}
	l := newLab(t, pair(every, once(&got, frame(1, 7)), ""))
	state := func(h string) bool {
		_, p, _ := l.Host(h).Kernel.Port("eth0")
		return l.Host(h).Bridge.State(p).String() == "forwarding"
	}
	l.At(10*sim.Millisecond+sim.Microsecond, func() error {
		require.True(t, state("a") && state("b"))
		err := l.SetCable("cable0", false)
		require.False(t, state("a") || state("b"))
		_, ok := l.Host("a").Bridge.Lookup(bridge.MAC{2, 0, 0, 0, 9, 7}, 0, l.Engine.Now())
		require.False(t, ok)
		return err
	})
	l.At(20*sim.Millisecond+sim.Microsecond, func() error { return l.SetCable("cable0", true) })
	require.NoError(t, l.Run())
	assert.True(t, state("a") && state("b"))
	assert.InDelta(t, 20, len(got), 2)
	r := l.Report()
	assert.True(t, r.Conservation.Balanced)
	dropped := r.Hosts[0].Report.Conservation.Dropped
	assert.EqualValues(t, 30-len(got), dropped["NO_TX_TARGET"]+r.Conservation.Lost, "%v", dropped)
	require.ErrorIs(t, l.SetCable("cable1", true), ringside.ErrNoSuch)
}

// What a cable's link loses and doubles is on the lab's account, and is the same in
// every run.
func TestALossyCableIsConserved(t *testing.T) {
	run := func() *ringside.LabReport {
		many := func(g *vm.Guest) error {
			for i := range 500 {
				f := g.Task.Memory().Bytes(4096, 60)
				copy(f, frame(7, 1, byte(i)))
				if err := g.Send(f); err != nil {
					return err
				}
				g.Sleep(10 * sim.Microsecond)
			}
			return vm.Sink(g)
		}
		l := newLab(t, pair(many, vm.Reflect, "delay 1ms 300us overtake loss 10% duplicate 10%"))
		require.NoError(t, l.RunUntil(3*sim.Millisecond))
		require.NotZero(t, l.Report().Conservation.UnderWay)
		require.NoError(t, l.Run())
		return l.Report()
	}
	r := run()
	c := r.Conservation
	assert.NotZero(t, c.Lost)
	assert.NotZero(t, c.Duplicated)
	assert.Zero(t, c.UnderWay)
	assert.True(t, c.Balanced)
	assert.Equal(t, r.TraceHash, run().TraceHash)
}

// Three hosts in a ring without a spanning tree: the run ends and says why.
func TestACircleOfCablesEndsTheRun(t *testing.T) {
	var none [][]byte
	cfg := ringside.LabConfig{Hosts: make([]ringside.LabHost, 3)}
	for i := range cfg.Hosts {
		cfg.Hosts[i].NICs = make([]ringside.NIC, 2)
		cfg.Cables = append(cfg.Cables, ringside.Cable{
			A: ringside.End{Host: "h" + string(rune('0'+i)), NIC: "eth1"}, B: ringside.End{Host: "h" + string(rune('0'+(i+1)%3)), NIC: "eth0"},
		})
	}
	cfg.Hosts[0].VMs = []ringside.VM{{Program: once(&none, frame(0xff, 1))}}
	l := newLab(t, cfg)
	require.ErrorIs(t, l.Run(), wire.ErrCircle)

	cfg.Hosts[0].VMs = []ringside.VM{{Program: func(g *vm.Guest) error {
		g.Sleep(60 * sim.Second)
		return once(&none, frame(0xff, 1))(g)
	}}}
	for i := range cfg.Hosts {
		cfg.Hosts[i].Bridges = []ringside.Bridge{{Config: bridge.Config{STP: true}}}
	}
	l = newLab(t, cfg)
	require.NoError(t, l.Run(), "a spanning tree opens it")
}

func TestBadLabsAreRefused(t *testing.T) {
	hosts := []ringside.LabHost{{Name: "a"}, {Name: "b", Config: ringside.Config{LinkBPS: 25e9}}, {Name: "c"}}
	end := func(h string) ringside.End { return ringside.End{Host: h} }
	lossy, err := wire.Parse("loss 1%")
	require.NoError(t, err)
	for _, row := range []struct {
		cfg  ringside.LabConfig
		says string
	}{
		{ringside.LabConfig{Hosts: []ringside.LabHost{{Name: "x"}, {Name: "x"}}}, `two hosts are named "x"`},
		{ringside.LabConfig{Hosts: hosts, Cables: []ringside.Cable{{A: end("a"), B: end("z")}}}, `cable0: host "z": the lab has none of that name`},
		{ringside.LabConfig{Hosts: hosts, Cables: []ringside.Cable{{A: end("a"), B: ringside.End{Host: "c", NIC: "eth7"}}}}, `cable0: NIC c:eth7: the lab has none of that name`},
		{ringside.LabConfig{Hosts: hosts, Cables: []ringside.Cable{{A: end("a"), B: end("b")}}}, "a:eth0 has 10000000000 bit/s and b:eth0 has 25000000000: no link comes up between them"},
		{ringside.LabConfig{Hosts: hosts, Cables: []ringside.Cable{{A: end("a"), B: end("a")}}}, "both of its ends are a:eth0"},
		{ringside.LabConfig{Hosts: hosts, Cables: []ringside.Cable{{A: end("a"), B: end("c")}, {A: end("c"), B: end("a")}}}, "cable1: c:eth0 is plugged into something else already"},
		{ringside.LabConfig{Hosts: hosts, Cables: []ringside.Cable{{Name: "x", A: end("a"), B: end("c")}, {Name: "x", A: end("c"), B: end("a")}}}, `two cables are named "x"`},
		{ringside.LabConfig{Hosts: []ringside.LabHost{{Config: ringside.Config{NICs: []ringside.NIC{{Link: lossy}, {}}}}}, Cables: []ringside.Cable{{B: ringside.End{NIC: "eth1"}, Link: lossy}}}, "has a link of its own"},
		{ringside.LabConfig{Hosts: []ringside.LabHost{{Name: "bad", Config: ringside.Config{Ring: 7}}}}, "ringside: bad: Config.Ring is 7"},
	} {
		_, err := ringside.NewLab(row.cfg)
		require.ErrorContains(t, err, row.says)
	}
}
