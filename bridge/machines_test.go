package bridge

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/cost"
	"ringside/sim"
)

// The glue between the table and the machines beside it: spanning tree, snooping,
// neighbours, and the events of all.

const second = sim.Second

// ports adds n ports.
func ports(t testing.TB, b *Bridge, n int) {
	for range n {
		mustAdd(t, b, PortConfig{})
	}
}

// bpdu is a whole frame with a configuration message of another bridge.
func bpdu(root, bridge stp.BridgeID, flags stp.BPDU) []byte {
	flags.Root, flags.Bridge, flags.Port = root, bridge, 0x8001
	flags.MaxAge, flags.HelloTime, flags.ForwardDelay = 20*second, 2*second, 2*second
	f := plain(stp.Group, alice)[:12]
	return flags.Append(append(f, 0, 38, 0x42, 0x42, 3))
}

func states(b *Bridge) (list []stp.State) {
	for _, p := range b.Ports() {
		list = append(list, b.State(p))
	}
	return list
}

func TestSpanningTree(t *testing.T) {
	setup := func(t *testing.T) *Bridge {
		b := mustNew(t, Config{MAC: own, STP: true, ForwardDelay: 2 * second})
		ports(t, b, 2)
		return b
	}
	// settled is a bridge whose ports forward, at 5 s.
	settled := func(t *testing.T) *Bridge {
		b := setup(t)
		for b.Due() <= 5*second {
			b.Tick(b.Due())
		}
		return b
	}
	t.Run("ports listen and learn before they forward, each for the forward delay", func(t *testing.T) {
		b := setup(t)
		for at, want := range map[sim.Time]stp.State{0: stp.Listening, 2*second - 1: stp.Listening, 2 * second: stp.Learning, 4*second - 1: stp.Learning, 4 * second: stp.Forwarding} {
			b := setup(t)
			b.Tick(at)
			if got := b.State(1); got != want {
				t.Errorf("at %v %v, want %v", at, got, want)
			}
		}
		if v := b.send(1, all, alice, 0); v.Reason != cost.BridgeIngressSTPState {
			t.Errorf("while listening: %+v", v)
		}
	})
	t.Run("BPDUs go out of every port", func(t *testing.T) {
		b := setup(t)
		did := b.Tick(b.Due())
		sent := b.Sent()
		if !did.Sent || len(sent) < 2 || MAC(sent[0].Frame[:6]) != MAC(stp.Group) {
			t.Fatalf("%+v, %d sent", did, len(sent))
		}
		if _, err := stp.Decode(sent[0].Frame[17:]); err != nil {
			t.Error(err)
		}
		if b.Sent() != nil {
			t.Error("they are there twice")
		}
	})
	t.Run("a better root is followed and its second way is blocked", func(t *testing.T) {
		b := settled(t)
		better := bpdu(1, 1, stp.BPDU{})
		v := b.Handle(1, better, 5*second)
		if v.Action != PassPort || v.Reason != cost.RSBPDU || v.Work.Learned() != Created || !v.Work.Has(Emitted) {
			t.Errorf("%+v", v)
		}
		b.Handle(2, better, 5*second)
		if b.STP(5*second).RootPort != 1 || !slices.Equal(states(b), []stp.State{stp.Forwarding, stp.Blocking}) {
			t.Errorf("root port %d, %v", b.STP(5*second).RootPort, states(b))
		}
		if v := b.send(2, all, bob, 6*second); v.Reason != cost.BridgeIngressSTPState {
			t.Errorf("into a blocked port: %+v", v)
		}
		if v := b.send(1, all, bob, 6*second); !slices.Equal(v.Out, to(Local)) {
			t.Errorf("out of a blocked port: %+v", v)
		}
		must(t, b.Check())
	})
	t.Run("a change of topology ages quickly", func(t *testing.T) {
		b := settled(t)
		b.send(1, all, bob, 6*second)
		tcn := (&stp.BPDU{Type: stp.TypeTCN}).Append(append(plain(stp.Group, alice)[:12], 0, 7, 0x42, 0x42, 3))
		b.Handle(2, tcn, 7*second)
		if e, _ := b.Lookup(bob, 0, 9*second); !e.Stale {
			t.Errorf("%+v", e)
		}
		if e, _ := b.Lookup(bob, 0, 8*second-1); e.Stale {
			t.Errorf("too early: %+v", e)
		}
	})
	t.Run("bpdu_guard disables the port", func(t *testing.T) {
		var told []sim.Time
		b := settled(t)
		cfg := b.Config()
		cfg.Notify = func(e Event) {
			if e.Kind == LinkChange && e.Link.State == stp.Disabled {
				told = append(told, e.At)
			}
		}
		must(t, b.SetConfig(cfg))
		must(t, b.SetPort(2, PortConfig{Guard: true}))
		b.send(2, all, bob, 5*second)
		e := b.Explain(2, bpdu(1, 1, stp.BPDU{}), 6*second)
		if c := e.Checks[len(e.Checks)-1]; c.Says != "the port has guard on: the BPDU disables it" || !c.Decisive {
			t.Errorf("%v", &e)
		}
		b.Handle(2, bpdu(1, 1, stp.BPDU{}), 6*second)
		if !slices.Equal(told, []sim.Time{6 * second}) {
			t.Errorf("told at %v, not when it happens", told)
		}
		if _, ok := b.Lookup(bob, 0, 6*second); ok || b.State(2) != stp.Disabled {
			t.Errorf("%v, its station is there: %v", b.State(2), ok)
		}
	})
	t.Run("with the protocol off BPDUs are flooded and no port waits", func(t *testing.T) {
		b := mustNew(t, Config{})
		ports(t, b, 2)
		if v := b.Handle(1, bpdu(1, 1, stp.BPDU{}), 0); v.Action != Flood || b.Due() != 300*second {
			t.Errorf("%+v, due %v", v, b.Due())
		}
	})
	t.Run("turned on at run time it takes over, and off it lets go", func(t *testing.T) {
		b := mustNew(t, Config{ForwardDelay: 2 * second})
		ports(t, b, 2)
		must(t, b.SetConfig(Config{STP: true, ForwardDelay: 2 * second}))
		b.Handle(1, bpdu(1, 1, stp.BPDU{}), second)
		b.Handle(2, bpdu(1, 1, stp.BPDU{}), second)
		if b.State(2) != stp.Blocking {
			t.Errorf("%v", states(b))
		}
		must(t, b.SetConfig(Config{}))
		b.Tick(60 * second)
		if !slices.Equal(states(b), []stp.State{stp.Forwarding, stp.Forwarding}) {
			t.Errorf("%v", states(b))
		}
	})
	t.Run("a port beyond the identifier's numbers is refused", func(t *testing.T) {
		b := mustNew(t, Config{STP: true})
		ports(t, b, stp.MaxPort)
		if _, err := b.AddPort(PortConfig{}); err == nil {
			t.Error("it was taken")
		}
	})
}

// report is a frame with an IGMP version 2 report for 224.1.2.x.
func report(x byte, src MAC) []byte { return igmpFrame(0, x, src) }

func igmpFrame(kind, x byte, src MAC) []byte {
	dst := MAC{0x01, 0, 0x5e, 1, 2, x}
	if kind == 1 {
		dst = MAC{0x01, 0, 0x5e, 0, 0, 1}
	}
	f := plain(dst, src)[:12]
	return append(f, igmpReport(kind, x)...)
}

func TestSnooping(t *testing.T) {
	// asked is a bridge with a querier behind port 4 since long, and bob on port 2 in
	// 224.1.2.1.
	asked := func(t *testing.T, cfg Config, p PortConfig) *Bridge {
		b := mustNew(t, cfg)
		ports(t, b, 1)
		mustAdd(t, b, p)
		ports(t, b, 2)
		b.Handle(4, igmpFrame(1, 0, carol), 0)
		b.Tick(20 * second)
		if v := b.Handle(2, report(1, bob), 20*second); !v.Work.Has(Snooped|MDBLooked) || !slices.Equal(v.Out, to(4)) {
			t.Fatalf("the report goes to the router alone: %+v", v)
		}
		return b
	}
	t.Run("a known group goes to its members and to routers, and not up", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		if v := b.Handle(1, igmpFrame(2, 1, alice), 21*second); v.Action != Flood || !slices.Equal(v.Out, to(2, 4)) {
			t.Errorf("%+v", v)
		}
		if v := b.Handle(2, igmpFrame(2, 1, alice), 21*second); !slices.Equal(v.Out, to(4)) {
			t.Errorf("from a member: %+v", v)
		}
	})
	t.Run("an unknown group goes to routers alone", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		if v := b.Handle(1, igmpFrame(2, 2, alice), 21*second); !slices.Equal(v.Out, to(4)) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("the host's frames go to members, too", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		if v := b.Handle(Local, igmpFrame(2, 1, own), 21*second); !slices.Equal(v.Out, to(2, 4)) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("a group that the host is in goes up, last", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		b.Handle(Local, report(1, own), 21*second)
		if v := b.Handle(1, igmpFrame(2, 1, alice), 21*second); !slices.Equal(v.Out, to(2, 4, Local)) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("mcast_to_unicast gives each member a frame of its own", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{McastToUnicast: true})
		b.Handle(2, report(1, carol), 20*second)
		v := b.Handle(1, igmpFrame(2, 1, alice), 21*second)
		want := []Copy{{Port: 2, To: carol}, {Port: 2, To: bob}, {Port: 4}}
		slices.SortFunc(v.Out, func(x, y Copy) int { return strings.Compare(x.String(), y.String()) })
		slices.SortFunc(want, func(x, y Copy) int { return strings.Compare(x.String(), y.String()) })
		if !slices.Equal(v.Out, want) {
			t.Errorf("%v, want %v", v.Out, want)
		}
		must(t, b.SetPort(2, PortConfig{McastToUnicast: true, Hairpin: true}))
		if v := b.Handle(2, igmpFrame(2, 1, bob), 21*second); slices.Contains(v.Out, Copy{Port: 2, To: bob}) {
			t.Errorf("a hairpin soliloquy: %v", v.Out)
		}
	})
	t.Run("isolation and carrier hold for members", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{Isolated: true})
		must(t, b.SetPort(1, PortConfig{Isolated: true}))
		if v := b.Handle(1, igmpFrame(2, 1, alice), 21*second); !slices.Equal(v.Out, to(4)) {
			t.Errorf("%+v", v)
		}
		must(t, b.SetLink(4, false))
		if v := b.Handle(1, igmpFrame(2, 1, alice), 21*second); v.Reason == 0 {
			t.Errorf("%+v", v)
		}
	})
	t.Run("without snooping groups are flooded", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		must(t, b.SetConfig(Config{NoSnooping: true}))
		if v := b.Handle(1, igmpFrame(2, 1, alice), 21*second); !slices.Equal(v.Out, to(2, 3, 4, Local)) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("a broken message is dropped, and learned from as a frame", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		f := report(1, alice)
		f[len(f)-1]++
		if v := b.Handle(1, f, 21*second); v.Reason != cost.RSMcastBad || v.Work.Learned() != Created {
			t.Errorf("%+v", v)
		}
	})
	t.Run("a report beyond mcast_max_groups is dropped", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{McastMaxGroups: 1})
		if v := b.Handle(2, report(2, bob), 21*second); v.Reason != cost.RSMcastFull {
			t.Errorf("%+v", v)
		}
	})
	t.Run("members are those of their VLAN", func(t *testing.T) {
		b, err := New(Config{VLANFiltering: true})
		must(t, err)
		for range 3 {
			mustAdd(t, b, PortConfig{VLANs: []VLAN{{VID: 7}}})
		}
		inVLAN := func(f []byte) []byte { return slices.Insert(f, 12, 0x81, 0, 0, 7) }
		b.Handle(3, inVLAN(igmpFrame(1, 0, carol)), 0)
		b.Tick(20 * second)
		b.Handle(2, inVLAN(report(1, bob)), 20*second)
		if v := b.Handle(1, inVLAN(igmpFrame(2, 1, alice)), 21*second); !slices.Equal(v.Out, to(2, 3)) {
			t.Errorf("%+v", v)
		}
		if v := b.Handle(1, igmpFrame(2, 1, alice), 21*second); !slices.Equal(v.Out, to(3)) {
			t.Errorf("in VLAN 1: %+v", v)
		}
		if got := b.MDB(21 * second); len(got) != 1 || got[0].VID != 7 || got[0].Port != 2 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a querier sends its questions by every port", func(t *testing.T) {
		b := mustNew(t, Config{MAC: own, Multicast: snoop.Config{Querier: true}})
		ports(t, b, 2)
		b.Tick(second)
		var by []Port
		for _, s := range b.Sent() {
			by = append(by, s.Port)
		}
		if !slices.Contains(by, 1) || !slices.Contains(by, 2) {
			t.Errorf("sent by %v", by)
		}
		if b.Due() == sim.Never {
			t.Error("nothing is due any more")
		}
	})
	t.Run("a bridge that asks nobody has nothing to do", func(t *testing.T) {
		b := mustNew(t, Config{MAC: own})
		ports(t, b, 2)
		if b.Due() != sim.Never || b.Sent() != nil {
			t.Errorf("due %v", b.Due())
		}
	})
	t.Run("a group set by hand is there", func(t *testing.T) {
		b := asked(t, Config{}, PortConfig{})
		g := snoop.Group{IP: netip.MustParseAddr("224.1.2.2")}
		must(t, b.AddMDB(snoop.Static{Port: 3, Group: g, Permanent: true}))
		if v := b.Handle(1, igmpFrame(2, 2, alice), 21*second); !slices.Equal(v.Out, to(3, 4)) {
			t.Errorf("%+v", v)
		}
		must(t, b.DeleteMDB(3, g, netip.Addr{}, 0))
		if v := b.Handle(1, igmpFrame(2, 2, alice), 21*second); !slices.Equal(v.Out, to(4)) {
			t.Errorf("%+v", v)
		}
	})
	must(t, nil)
}

// arp is a broadcast question of alice for 10.0.0.x.
func arp(x byte) []byte {
	f := append(plain(all, alice)[:12], 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(append(f, alice[:]...), 10, 0, 0, 9)
	return append(f, 0, 0, 0, 0, 0, 0, 10, 0, 0, x)
}

func TestNeighbours(t *testing.T) {
	setup := func(t *testing.T) *Bridge {
		table := neigh.NewTable()
		must(t, table.Set(neigh.Bridge, netip.MustParseAddr("10.0.0.1"), neigh.Neighbour{MAC: bob, State: neigh.Reachable}))
		b := mustNew(t, Config{MAC: own, Neighbours: table})
		ports(t, b, 1)
		mustAdd(t, b, PortConfig{NeighSuppress: true})
		ports(t, b, 1)
		b.send(2, all, bob, 0)
		return b
	}
	t.Run("a known neighbour is answered for, and not asked", func(t *testing.T) {
		b := setup(t)
		v := b.Handle(1, arp(1), second)
		if !slices.Equal(v.Out, to(3, Local)) || !v.Work.Has(Suppressed|Emitted) {
			t.Errorf("%+v", v)
		}
		sent := b.Sent()
		if len(sent) != 1 || sent[0].Port != 1 || MAC(sent[0].Frame[:6]) != alice || MAC(sent[0].Frame[6:12]) != bob ||
			binary.BigEndian.Uint16(sent[0].Frame[20:]) != 2 {
			t.Errorf("%+v", sent)
		}
	})
	t.Run("one that is not known is asked", func(t *testing.T) {
		b := setup(t)
		if v := b.Handle(1, arp(2), second); !slices.Equal(v.Out, to(2, 3, Local)) || v.Work.Has(Emitted) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("without the option nobody looks", func(t *testing.T) {
		b := setup(t)
		must(t, b.SetPort(2, PortConfig{}))
		if v := b.Handle(1, arp(1), second); !slices.Equal(v.Out, to(2, 3, Local)) || v.Work.Has(Suppressed) {
			t.Errorf("%+v", v)
		}
	})
}

func TestEvents(t *testing.T) {
	var got []string
	note := func(e Event) {
		sign := "+"
		if e.Deleted {
			sign = "-"
		}
		says := ""
		switch e.Kind {
		case FDBChange:
			says = e.Entry.words()
		case LinkChange:
			says = fmt.Sprintf("port %d %v", e.Link.Port, e.Link.State)
		case VLANChange:
			says = fmt.Sprintf("port %d vlan %d", e.Port, e.VLAN.VID)
		case MDBChange:
			says = fmt.Sprintf("port %d %v", e.Port, e.MDB.Group)
		case RouterChange:
			says = fmt.Sprintf("port %d", e.Port)
		}
		got = append(got, fmt.Sprintf("%v %s%v %s", e.At, sign, e.Kind, says))
	}
	b := mustNew(t, Config{Notify: note})
	for _, c := range []struct {
		claim string
		do    func()
		want  []string
	}{
		{"a port", func() { ports(t, b, 2) }, []string{"0ps +LINK port 1 forwarding", "0ps +LINK port 2 forwarding"}},
		{"a new station", func() { b.send(1, all, alice, second) }, []string{"1.000s +NEIGH 02:00:00:00:00:0a on port 1 dynamic"}},
		{"a station that stays", func() { b.send(1, all, alice, 2*second) }, nil},
		{"a station that moves", func() { b.send(2, all, alice, 3*second) }, []string{"3.000s +NEIGH 02:00:00:00:00:0a on port 2 dynamic"}},
		{"a static entry", func() { must(t, b.Add(Entry{MAC: bob, Port: 1, Kind: Static})) }, []string{"3.000s +NEIGH 02:00:00:00:00:0b on port 1 static"}},
		{"the same again", func() { must(t, b.Add(Entry{MAC: bob, Port: 1, Kind: Static})) }, nil},
		{"a VLAN", func() { must(t, b.AddVLAN(1, VLAN{VID: 7})) }, []string{"3.000s +VLAN port 1 vlan 7"}},
		{"the same VLAN again", func() { must(t, b.AddVLAN(1, VLAN{VID: 7})) }, nil},
		{"a VLAN that goes", func() { must(t, b.DeleteVLAN(1, VLAN{VID: 7})) }, []string{"3.000s -VLAN port 1 vlan 7"}},
		{"a query", func() { b.Handle(2, igmpFrame(1, 0, alice), 4*second) }, []string{"4.000s +ROUTER port 2"}},
		{"a report", func() { b.Handle(1, report(1, bob), 5*second) }, []string{"5.000s +MDB port 1 224.1.2.1"}},
		{"ageing", func() { b.Tick(250 * second); b.Tick(304 * second) }, []string{
			"304.000s -MDB port 1 224.1.2.1", "304.000s -ROUTER port 2", "304.000s -NEIGH 02:00:00:00:00:0a on port 2 dynamic stale"}},
		{"a port that goes", func() { must(t, b.RemovePort(1)) }, []string{
			"304.000s -LINK port 1 disabled", "304.000s -NEIGH 02:00:00:00:00:0b on port 1 static"}},
	} {
		got = nil
		c.do()
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.claim, got, c.want)
		}
	}
}

// Every group that a port comes to want is told once, however many are there.
func TestEachOfManyGroupsIsToldOnce(t *testing.T) {
	const groups = 500
	told := 0
	b := mustNew(t, Config{Notify: func(e Event) {
		if e.Kind == MDBChange && !e.Deleted {
			told++
		}
	}})
	ports(t, b, 1)
	for i := range groups {
		g := snoop.Group{IP: netip.AddrFrom4([4]byte{239, 1, byte(i >> 8), byte(i)})}
		must(t, b.AddMDB(snoop.Static{Group: g, Port: 1, Permanent: true}))
	}
	if told != groups {
		t.Errorf("told of %d groups, want %d", told, groups)
	}
}
