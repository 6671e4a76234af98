package stp

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

const sec = sim.Second

func TestStates(t *testing.T) {
	for s, want := range map[State]string{0: "disabled", 1: "listening", 2: "learning", 3: "forwarding", 4: "blocking", 9: "state 9"} {
		require.Equal(t, want, s.String())
	}
}

func TestCostOfSpeed(t *testing.T) {
	for mbps, want := range map[int]uint32{-1: 100, 0: 100, 10: 100, 100: 19, 1000: 5, 2500: 4, 5000: 3, 10_000: 2, 25_000: 1, 77: 100} {
		require.Equal(t, want, CostOf(mbps), "%d Mbit/s", mbps)
	}
}

// What a port goes through, to the picosecond.
func TestPortTimesAreExact(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(*network)
		log  []string
	}{
		{"alone", func(net *network) {
			net.join(0, 0, 1, 1).cut = true
			net.must(net.nodes[0].RemovePort(2, 0))
			net.run(100 * sec)
		}, []string{
			"0ps b0 port 1 listening", "15.000s b0 port 1 learning", "30.000s b0 port 1 forwarding",
			"30.000s b0 topology change true", "65.000s b0 topology change false"}},
		{"forward delay 4 s, max age 6 s", func(net *network) {
			net.must(net.nodes[0].SetForwardDelay(4 * sec))
			net.must(net.nodes[0].SetMaxAge(6 * sec))
			net.join(0, 0, 1, 1).cut = true
			net.must(net.nodes[0].RemovePort(2, 0))
			net.run(100 * sec)
		}, []string{
			"0ps b0 port 1 listening", "4.000s b0 port 1 learning", "8.000s b0 port 1 forwarding",
			"8.000s b0 topology change true", "18.000s b0 topology change false"}},
		{"carrier lost while learning", func(net *network) {
			net.join(0, 0, 1, 1).cut = true
			net.must(net.nodes[0].RemovePort(2, 0))
			net.run(20 * sec)
			net.must(net.nodes[0].Disable(1, net.now))
			net.run(20 * sec)
		}, []string{
			"0ps b0 port 1 listening", "15.000s b0 port 1 learning", "20.000s b0 port 1 disabled", "20.000s b0 flush 1"}},
		{"protocol off", func(net *network) {
			net.nodes[0].SetSTP(false, 0)
			net.join(0, 0, 1, 1).cut = true
			net.must(net.nodes[0].RemovePort(2, 0))
			net.run(100 * sec)
		}, []string{"0ps b0 port 1 forwarding"}},
		{"forward delay 0 is set with the protocol off, and is 2 s when it is turned on", func(net *network) {
			n := net.nodes[0]
			n.SetSTP(false, 0)
			net.must(n.SetForwardDelay(0))
			n.SetSTP(true, 0)
			net.join(0, 0, 1, 1).cut = true
			net.must(n.RemovePort(2, 0))
			net.run(10 * sec)
		}, []string{
			"0ps b0 port 1 listening", "2.000s b0 port 1 learning", "4.000s b0 port 1 forwarding", "4.000s b0 topology change true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			net := newNetwork(t, 0)
			tt.run(net)
			log := slices.DeleteFunc(net.log, func(s string) bool {
				return strings.Contains(s, " 2 ") || strings.HasSuffix(s, "flush 2") || strings.HasSuffix(s, "blocking") ||
					strings.HasPrefix(s, "0ps") && strings.HasSuffix(s, "disabled")
			})
			require.Equal(t, tt.log, log)
		})
	}
}

// A root says hello at whole seconds; the hold timer runs to one.
func TestHelloTimes(t *testing.T) {
	const ms = sim.Millisecond
	for _, tt := range []struct {
		name      string
		up, hello sim.Time
		want      []sim.Time
	}{
		{"up on the second", 0, 2 * sec, []sim.Time{2000 * ms, 4000 * ms, 6000 * ms}},
		{"a quarter is cut off", 240 * ms, 2 * sec, []sim.Time{2240 * ms, 4000 * ms, 6000 * ms}},
		{"more is rounded up", 250 * ms, 2 * sec, []sim.Time{2250 * ms, 5000 * ms, 7000 * ms}},
		{"hello time 1 s", 100 * ms, 1 * sec, []sim.Time{1100 * ms, 2000 * ms, 3000 * ms}},
		{"hello time 1.5 s", 0, 1500 * ms, []sim.Time{1500 * ms, 3000 * ms, 5000 * ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			net := newNetwork(t, 0)
			n := net.nodes[0]
			n.Down(0)
			net.must(n.SetHelloTime(tt.hello))
			net.must(n.AddPort(1, PortConfig{}))
			net.must(n.Enable(1, 0))
			n.Up(tt.up)
			net.now = tt.up
			net.run(7500 * ms)
			var got []sim.Time
			for _, s := range n.sent {
				got = append(got, s.at)
			}
			require.Equal(t, tt.want, got[:3])
		})
	}
}

// What a port may not send yet it sends when the hold timer ends, once.
func TestHoldTimerJoinsMessages(t *testing.T) {
	net := newNetwork(t, 0)
	n := net.nodes[0]
	net.must(n.AddPort(1, PortConfig{}))
	net.must(n.Enable(1, 0))
	worse := BPDU{Root: MakeBridgeID(0xffff, mac(9)), Bridge: MakeBridgeID(0xffff, mac(9)), Port: 0x8001, MaxAge: 20 * sec}
	for _, at := range []sim.Time{300, 400, 500, 1700} {
		net.now = at * sim.Millisecond
		require.NoError(t, n.Receive(1, worse.Append(nil), net.now))
		info, err := n.ShowPort(1, net.now)
		require.NoError(t, err)
		require.Equal(t, at != 300, info.ConfigPending)
		require.Equal(t, 2*sec-net.now, info.HoldTimer, "300 ms and a second, up to the second")
	}
	net.run(500 * sim.Millisecond)
	require.Len(t, n.sent, 2)
	require.Equal(t, 300*sim.Millisecond, n.sent[0].at)
	require.Equal(t, 2*sec, n.sent[1].at)
}

func TestTwoBridgesWithTwoLinks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*network)
		blocked *[2]int // bridge and port
	}{
		{"equal costs: the port whose neighbour has the higher port id", func(*network) {}, &[2]int{1, 2}},
		{"costs decide before ids", func(net *network) { net.must(net.nodes[1].SetPathCost(1, 101, net.now)) }, &[2]int{1, 1}},
		{"the neighbour's port priority decides", func(net *network) { net.must(net.nodes[0].SetPortPriority(2, 0, net.now)) }, &[2]int{1, 1}},
		{"the own port priority does not", func(net *network) { net.must(net.nodes[1].SetPortPriority(2, 0, net.now)) }, &[2]int{1, 2}},
		{"bridge priority moves the root", func(net *network) { net.nodes[1].SetPriority(0, net.now) }, &[2]int{0, 2}},
		{"address moves the root", func(net *network) { net.nodes[1].SetMAC([6]byte{}, net.now) }, &[2]int{0, 2}},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(tt.name+", set "+when, func(t *testing.T) {
				net := newNetwork(t, 0, 0)
				net.join(0, 1, 100, 100)
				net.join(0, 1, 100, 100)
				if when == "after" {
					net.run(60 * sec)
					net.agree()
				}
				tt.change(net)
				for _, n := range net.nodes { // the oracle reads costs where the network keeps them
					for p, e := range n.ends {
						e.cost = n.find(p).cost
					}
				}
				net.run(60 * sec)
				net.agree()
				for b, n := range net.nodes {
					for _, p := range n.Ports() {
						require.Equal(t, *tt.blocked == [2]int{b, int(p)}, n.State(p) == Blocking, "b%d port %d\n%s", b, p, net)
					}
				}
			})
		}
	}
}

// Two ends of one bridge on the same wire: the lower port talks, the other blocks.
func TestEqualPathsAreBrokenByOwnPort(t *testing.T) {
	net := newNetwork(t, 0)
	net.join(0, 0, 7, 7)
	net.run(60 * sec)
	net.agree()
	require.Equal(t, Forwarding, net.nodes[0].State(1))
	require.Equal(t, Blocking, net.nodes[0].State(2))
}

func TestRingAndMesh(t *testing.T) {
	for _, n := range []int{3, 4, 5, 8} {
		ring := newNetwork(t, make([]uint16, n)...)
		mesh := newNetwork(t, make([]uint16, n)...)
		for i := range n {
			ring.join(i, (i+1)%n, 4, 4)
			for j := range i {
				mesh.join(j, i, 4, 4)
			}
		}
		for name, net := range map[string]*network{"ring": ring, "mesh": mesh} {
			net.run(60 * sec)
			net.agree()
			blocked := 0
			for _, l := range net.links {
				for _, e := range l.ends {
					if e.state() == Blocking {
						blocked++
					}
				}
			}
			require.Equal(t, len(net.links)-(n-1), blocked, "%s of %d: one port blocks for each link that is too many", name, n)
		}
	}
}

// When the root dies without a word, the tree heals within max age and two forward
// delays; a second is for messages that hold timers delay.
func TestRootDies(t *testing.T) {
	for _, n := range []int{3, 6} {
		net := newNetwork(t, make([]uint16, n)...)
		for i := range n {
			net.join(i, (i+1)%n, 4, 4)
		}
		net.run(61 * sec)
		net.agree()
		net.kill(0)
		took := net.runUntil(51*sec, func() bool { return net.wrong() == "" })
		require.Greater(t, took, 30*sec, "a blocked port has to listen and learn")
		net.run(100 * sec)
		net.agree()
	}
}

// A bridge that loses the carrier of its root port and has a blocked one need not
// wait for an age; one that only hears of it must.
func TestRootPortLosesItsCarrier(t *testing.T) {
	net := newNetwork(t, 0, 0, 0)
	net.join(0, 1, 4, 4)
	net.join(0, 2, 4, 4)
	net.join(1, 2, 4, 4)
	net.run(60 * sec)
	net.unplug(net.links[1])
	took := net.runUntil(30*sec, func() bool { return net.wrong() == "" })
	require.Equal(t, 30*sec, took)
	net.plug(net.links[1])
	net.run(60 * sec)
	net.agree()
	net.unplug(net.links[0])
	took = net.runUntil(51*sec, func() bool { return net.wrong() == "" })
	require.Greater(t, took, 45*sec)
}

func TestTopologyChangeIsNotedAndAcknowledged(t *testing.T) {
	net := newNetwork(t, 0, 0, 0)
	net.join(0, 1, 4, 4) // a line: root, middle, leaf
	net.join(1, 2, 4, 4)
	net.run(120 * sec)
	for _, n := range net.nodes {
		require.False(t, n.Show(net.now).TopologyChange, "quiet after a while")
		require.Equal(t, 300*sec, n.Ageing(300*sec))
		n.sent, net.log = nil, nil
	}
	leaf := net.nodes[2]
	net.must(leaf.AddPort(9, PortConfig{}))
	net.must(leaf.Enable(9, net.now))
	net.run(30*sec + 20*sim.Microsecond)

	tcn := func(n *node) (at []sim.Time) {
		for _, s := range n.sent {
			if s.Type == TypeTCN {
				at = append(at, s.at)
			}
		}
		return at
	}
	require.Equal(t, []sim.Time{150 * sec}, tcn(leaf), "the leaf tells when its port forwards")
	require.Equal(t, []sim.Time{150*sec + flight}, tcn(net.nodes[1]), "the middle passes it on")
	net.run(3 * sec)
	for i, n := range net.nodes {
		info := n.Show(net.now)
		require.True(t, info.TopologyChange, "b%d knows of it from the root", i)
		require.Equal(t, i == 0, info.TopologyChangeDetected, "the others are acknowledged")
		require.Equal(t, sim.Time(0), info.TCNTimer)
		require.Equal(t, 15*sec, n.Ageing(300*sec))
	}
	require.Len(t, tcn(leaf), 1, "one notice was enough")
	acks := 0
	for _, s := range net.nodes[0].sent {
		if s.TopologyChangeAck {
			acks++
		}
	}
	require.Equal(t, 1, acks, "and so was one acknowledgement")
	net.run(40 * sec)
	for _, n := range net.nodes {
		info := n.Show(net.now)
		require.False(t, info.TopologyChange || info.TopologyChangeDetected, "over after max age and forward delay")
	}
}

// A notice that nobody answers is sent again each hello time.
func TestNoticeIsRepeated(t *testing.T) {
	net := newNetwork(t, 0, 0)
	l := net.join(0, 1, 4, 4)
	net.run(120 * sec)
	l.cut = true
	n := net.nodes[1]
	n.sent = nil
	net.must(n.AddPort(5, PortConfig{}))
	n.Tick(net.now)
	n.detectTopologyChange()
	net.run(5 * sec)
	var at []sim.Time
	for _, s := range n.sent {
		if s.Type == TypeTCN {
			at = append(at, s.at-120*sec)
		}
	}
	require.Equal(t, []sim.Time{0, 2 * sec, 4 * sec}, at)
}

func TestRootBlock(t *testing.T) {
	net := newNetwork(t, 0x8000, 0x8000)
	net.join(0, 1, 4, 4)
	net.must(net.nodes[0].SetRootBlock(1, true))
	net.run(60 * sec)
	require.Equal(t, Forwarding, net.nodes[0].State(1), "it is the root: nothing to block")

	net.nodes[1].SetPriority(0, net.now) // claims to be a better root
	net.run(60 * sec)
	require.True(t, net.nodes[0].IsRoot(), "b0 does not follow it")
	require.Equal(t, Listening, net.nodes[0].State(1), "and lets nothing through")
	require.Equal(t, Forwarding, net.nodes[1].State(1))

	net.nodes[1].SetPriority(0x9000, net.now)
	net.run(60 * sec)
	require.Equal(t, Forwarding, net.nodes[0].State(1), "over when the claim is")
}

func TestRootBlockLeavesAnotherWay(t *testing.T) {
	net := newNetwork(t, 0x1000, 0x8000)
	net.join(0, 1, 4, 1)
	net.join(0, 1, 4, 9)
	net.must(net.nodes[1].SetRootBlock(1, true))
	net.run(60 * sec)
	require.EqualValues(t, 2, net.nodes[1].Show(net.now).RootPort, "the dearer way, since the other is blocked")
	require.NotEqual(t, Forwarding, net.nodes[1].State(1))
	require.Equal(t, "", net.loop())
}

func TestGuardDisablesThePort(t *testing.T) {
	net := newNetwork(t, 0, 0)
	net.join(0, 1, 4, 4)
	net.must(net.nodes[1].SetGuard(1, true))
	b := BPDU{Root: 1, Bridge: 1, MaxAge: 20 * sec}
	require.ErrorIs(t, net.nodes[1].Receive(1, b.Append(nil), net.now), ErrGuard)
	require.Equal(t, Disabled, net.nodes[1].State(1))
	require.ErrorIs(t, net.nodes[1].Receive(1, b.Append(nil), net.now), ErrOff)
	net.must(net.nodes[1].Disable(1, net.now))
	net.must(net.nodes[1].Enable(1, net.now))
	require.Equal(t, Listening, net.nodes[1].State(1), "a new carrier is a new beginning")
}

func TestSetState(t *testing.T) {
	net := newNetwork(t, 0)
	n := net.nodes[0]
	net.must(n.AddPort(1, PortConfig{}))
	require.ErrorIs(t, n.Tree.SetState(1, Blocking, 0), ErrBusy)
	n.SetSTP(false, 0)
	require.ErrorIs(t, n.Tree.SetState(1, Forwarding, 0), ErrDown)
	require.NoError(t, n.Tree.SetState(1, Disabled, 0))
	net.must(n.Enable(1, 0))
	for _, tt := range []struct{ set, want State }{
		{Disabled, Disabled}, {Forwarding, Forwarding}, {Listening, Listening}, {Learning, Learning},
		{Blocking, Forwarding}, // what is blocked and designated is due to forward
	} {
		require.NoError(t, n.Tree.SetState(1, tt.set, 0))
		require.Equal(t, tt.want, n.State(1), "set to %v", tt.set)
	}
	require.ErrorIs(t, n.Tree.SetState(1, 5, 0), ErrRange)
	require.ErrorIs(t, n.Tree.SetState(2, Disabled, 0), ErrPort)
}

// A port that is disabled by hand keeps its timers, and they do nothing.
func TestDisabledByHandIsLeftAlone(t *testing.T) {
	net := newNetwork(t, 0, 0)
	net.join(0, 1, 4, 4)
	net.run(61 * sec)
	n := net.nodes[1]
	n.SetSTP(false, net.now)
	require.NoError(t, n.Tree.SetState(1, Disabled, net.now))
	n.Tick(net.now + 100*sec)
	require.Equal(t, Disabled, n.State(1))
	require.False(t, n.IsRoot(), "nothing made it look again")
}

// Turning the protocol off leaves a blocked port as it is until its message ages.
func TestTurnedOffAtRunTime(t *testing.T) {
	net := newNetwork(t, 0, 0)
	net.join(0, 1, 4, 4)
	net.join(0, 1, 4, 4)
	net.run(61 * sec)
	n := net.nodes[1]
	n.SetSTP(false, net.now)
	net.now += 10 * sec
	n.Tick(net.now)
	require.Equal(t, Blocking, n.State(2))
	n.Tick(net.now + 11*sec)
	require.Equal(t, Forwarding, n.State(2))
	require.True(t, n.IsRoot())
	n.SetSTP(true, net.now+12*sec)
	require.Equal(t, Forwarding, n.State(2), "turned on again, until it hears better")
}

func TestBounds(t *testing.T) {
	n := newNetwork(t, 0).nodes[0]
	ms := sim.Millisecond
	for _, tt := range []struct {
		name string
		set  func(sim.Time) error
		good []sim.Time
		bad  []sim.Time
	}{
		{"hello time", n.SetHelloTime, []sim.Time{sec, 10 * sec}, []sim.Time{-1, 0, sec - ms, 10*sec + ms, sim.Never}},
		{"max age", n.SetMaxAge, []sim.Time{6 * sec, 40 * sec}, []sim.Time{0, 6*sec - ms, 40*sec + ms}},
		{"forward delay", n.SetForwardDelay, []sim.Time{2 * sec, 30 * sec}, []sim.Time{0, 2*sec - ms, 30*sec + ms}},
	} {
		for _, d := range tt.good {
			require.NoError(t, tt.set(d), "%s %v", tt.name, d)
		}
		for _, d := range tt.bad {
			require.ErrorIs(t, tt.set(d), ErrRange, "%s %v", tt.name, d)
		}
	}
	for _, cfg := range []Config{{HelloTime: 1}, {MaxAge: 41 * sec}, {STP: true, ForwardDelay: sec}, {ForwardDelay: -1}} {
		_, err := New(cfg, nil)
		require.ErrorIs(t, err, ErrRange, "%+v", cfg)
	}
	_, err := New(Config{ForwardDelay: sec}, nil)
	require.NoError(t, err, "any forward delay goes with the protocol off")
	for _, tt := range []struct {
		n   uint16
		cfg PortConfig
	}{{0, PortConfig{}}, {1024, PortConfig{}}, {1, PortConfig{Cost: 65536}}, {1, PortConfig{Priority: 64}}} {
		require.ErrorIs(t, n.AddPort(tt.n, tt.cfg), ErrRange, "%+v", tt)
	}
	require.NoError(t, n.AddPort(1023, PortConfig{Cost: 65535, Priority: 63}))
	require.ErrorIs(t, n.AddPort(1023, PortConfig{}), ErrRange)
	require.ErrorIs(t, n.SetPathCost(1023, 0, 0), ErrRange)
	require.ErrorIs(t, n.SetPathCost(1023, 65536, 0), ErrRange)
	require.ErrorIs(t, n.SetPortPriority(1023, 64, 0), ErrRange)
	for _, err := range []error{n.RemovePort(7, 0), n.Enable(7, 0), n.Disable(7, 0), n.SetPathCost(7, 1, 0),
		n.SetPortPriority(7, 1, 0), n.LinkCost(7, 1), n.SetRootBlock(7, true), n.SetGuard(7, true), n.SetPortMAC(7, mac(1))} {
		require.ErrorIs(t, err, ErrPort)
	}
	_, err = n.ShowPort(7, 0)
	require.True(t, errors.Is(err, ErrPort))
}

func TestLinkCostYieldsToTheHand(t *testing.T) {
	n := newNetwork(t, 0).nodes[0]
	require.NoError(t, n.AddPort(1, PortConfig{}))
	cost := func() uint32 { i, _ := n.ShowPort(1, 0); return i.Cost }
	require.EqualValues(t, 100, cost())
	require.NoError(t, n.LinkCost(1, CostOf(10_000)))
	require.EqualValues(t, 2, cost())
	require.NoError(t, n.SetPathCost(1, 77, 0))
	require.NoError(t, n.LinkCost(1, CostOf(10)))
	require.EqualValues(t, 77, cost())
}

func TestShow(t *testing.T) {
	net := newNetwork(t, 0x1000, 0)
	net.join(0, 1, 4, 19)
	net.run(61*sec + 500*sim.Millisecond)
	info := net.nodes[1].Show(net.now)
	require.Equal(t, Info{
		STP: true, RootID: MakeBridgeID(0x1000, mac(1)), BridgeID: MakeBridgeID(0x8000, mac(2)),
		RootPort: 1, RootPathCost: 19, HelloTime: 2 * sec, MaxAge: 20 * sec, ForwardDelay: 15 * sec,
		BridgeHelloTime: 2 * sec, BridgeMaxAge: 20 * sec, BridgeForwardDelay: 15 * sec,
		TopologyChange: true,
	}, info)
	require.Equal(t, "1000.020000000001", info.RootID.String())
	p, err := net.nodes[1].ShowPort(1, net.now)
	require.NoError(t, err)
	require.Equal(t, 20*sec-(1500*sim.Millisecond-flight), p.MessageAgeTimer)
	p.MessageAgeTimer, p.Stats = 0, Stats{}
	require.Equal(t, PortInfo{Number: 1, ID: 0x8001, State: Forwarding, Cost: 19, Priority: 32,
		DesignatedRoot: info.RootID, DesignatedBridge: info.RootID, DesignatedPort: 0x8001}, p)
}

// Random connected networks come to what the definition says, without a loop at
// any moment, and come to it again after links fail, with and without a word.
func TestRandomNetworksAgreeWithTheDefinition(t *testing.T) {
	runs := 300
	if testing.Short() {
		runs = 40
	}
	for seed := range uint64(runs) {
		r := rand.New(rand.NewPCG(seed, 8))
		n := 2 + r.IntN(7)
		priorities := make([]uint16, n)
		for i := range priorities {
			priorities[i] = uint16(1+r.IntN(3)) << 12
		}
		net := newNetwork(t, priorities...)
		net.mute = true
		cost := func() uint32 { return uint32(1 + r.IntN(5)) }
		for i := 1; i < n; i++ {
			net.join(i, r.IntN(i), cost(), cost())
		}
		for range r.IntN(2 * n) {
			net.join(r.IntN(n), r.IntN(n), cost(), cost()) // a second link, or one to itself, too
		}
		for range r.IntN(4) {
			e := net.links[r.IntN(len(net.links))].ends[0]
			net.must(e.node.SetPortPriority(e.port, uint8(r.IntN(64)), net.now))
		}
		net.run(90 * sec)
		net.agree()
		for range 2 {
			net.run(sim.Time(r.Int64N(int64(3 * sec))))
			for range 1 + r.IntN(2) {
				l := net.links[r.IntN(len(net.links))]
				if r.IntN(2) == 0 {
					l.cut = true
				} else {
					net.unplug(l)
				}
			}
			net.run(sim.Time(r.Int64N(int64(3 * sec))))
			for _, l := range net.links {
				if l.down && r.IntN(2) == 0 {
					net.plug(l)
				}
			}
			net.run(110 * sec)
			net.agree()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The bridge has a carrier while a port forwards.
func TestCarrier(t *testing.T) {
	net := newNetwork(t, 0)
	n := net.nodes[0]
	net.must(n.AddPort(1, PortConfig{}))
	net.must(n.Enable(1, 0))
	require.True(t, n.STP())
	for _, tt := range []struct {
		at   sim.Time
		want bool
	}{{0, false}, {30*sec - 1, false}, {30 * sec, true}} {
		n.Tick(tt.at)
		require.Equal(t, tt.want, n.Carrier(), "at %v", tt.at)
	}
	n.Down(31 * sec)
	require.False(t, n.Carrier())
	require.Equal(t, sim.Never, n.Due(), "nothing runs on a bridge that is down")
	n.Down(32 * sec)
	n.Up(33 * sec)
	n.Up(34 * sec)
	require.Equal(t, Listening, n.Tree.State(1))
	require.Equal(t, Disabled, n.Tree.State(7), "a port that is not there")
}

// A change that is over while the protocol is off leaves the short ageing time.
func TestAgeingAfterAChange(t *testing.T) {
	net := newNetwork(t, 0)
	n := net.nodes[0]
	net.must(n.AddPort(1, PortConfig{}))
	net.must(n.Enable(1, 0))
	age := func() sim.Time { return n.Ageing(300 * sec) }
	require.Equal(t, 300*sec, age())
	n.Tick(30 * sec)
	require.Equal(t, 15*sec, age())
	n.SetSTP(false, 40*sec)
	require.Equal(t, 15*sec, age())
	n.Tick(65 * sec)
	require.Equal(t, 30*sec, age())
	n.AgeingConfigured()
	require.Equal(t, 300*sec, age())
}

// Only the designated port of a link acknowledges a notice.
func TestNoticeOnTheRootPortIsIgnored(t *testing.T) {
	net := newNetwork(t, 0x1000, 0x8000)
	net.join(0, 1, 4, 4)
	net.run(120 * sec)
	n := net.nodes[1]
	tcn := BPDU{Type: TypeTCN}
	require.NoError(t, n.Receive(1, tcn.Append(nil), net.now))
	require.False(t, n.Show(net.now).TopologyChangeDetected)
	require.NoError(t, net.nodes[0].Receive(1, tcn.Append(nil), net.now))
	require.True(t, net.nodes[0].Show(net.now).TopologyChange)
	p, err := net.nodes[0].ShowPort(1, net.now)
	require.NoError(t, err)
	require.True(t, p.TopologyChangeAck && p.ConfigPending, "when the hold timer ends")
}

// A lower identifier of a port makes it speak for a link on which the bridge spoke
// by another.
func TestPortPriorityTakesTheLink(t *testing.T) {
	net := newNetwork(t, 0)
	net.join(0, 0, 7, 7)
	net.run(60 * sec)
	n := net.nodes[0]
	require.Equal(t, Blocking, n.Tree.State(2))
	net.must(n.SetPortMAC(2, mac(9)))
	net.must(n.SetPortPriority(2, 1, net.now))
	net.run(60 * sec)
	net.agree()
	require.Equal(t, Forwarding, n.Tree.State(2))
	require.Equal(t, Blocking, n.Tree.State(1))
}
