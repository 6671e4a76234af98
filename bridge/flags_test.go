package bridge

import (
	"encoding/binary"
	"slices"
	"testing"

	"ringside/bridge/stp"
	"ringside/cost"
	"ringside/sim"
)

// A scene is a bridge with the ports 1 to 4, what happened before, and one frame at
// the time 1 s.
type scene struct {
	claim  string
	cfg    Config
	ports  [4]PortConfig
	before func(t *testing.T, b *Bridge)
	in     Port
	frame  []byte
	out    []Copy // with Reason 0
	action Action
	reason cost.DropReason
	does   Work // that it has these steps
}

// plain is a frame without a tag.
func plain(dst, src MAC) []byte { h := header(dst, src); return h[:] }

// tagged is a frame with a tag of 802.1Q.
func tagged(vid uint16, dst, src MAC) []byte { return taggedAs(Dot1Q, vid, dst, src) }

func taggedAs(tpid, tci uint16, dst, src MAC) []byte {
	f := plain(dst, src)
	tag := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, tpid), tci)
	return slices.Insert(f, 12, tag...)
}

func (s *scene) run(t *testing.T) {
	b, err := New(s.cfg)
	must(t, err)
	for i, p := range s.ports {
		p.Name = []string{"a", "b", "c", "d"}[i]
		mustAdd(t, b, p)
	}
	if s.before != nil {
		s.before(t, b)
	}
	e := b.Explain(s.in, s.frame, sim.Second)
	v := b.Handle(s.in, s.frame, sim.Second)
	if v.Action != s.action || v.Reason != s.reason || !slices.Equal(v.Out, s.out) || !v.Work.Has(s.does) {
		t.Errorf("%v %v %v work %b, want %v %v %v with %b\n%v", v.Action, v.Reason, v.Out, v.Work, s.action, s.reason, s.out, s.does, &e)
	}
	if diff := verdictDiffers(e.Verdict, v); diff != "" {
		t.Errorf("Explain's %s", diff)
	}
	must(t, b.Check())
}

// heard has the bridge hear a station.
func heard(mac MAC, on Port) func(*testing.T, *Bridge) {
	return func(_ *testing.T, b *Bridge) { b.Handle(on, plain(all, mac), 0) }
}

// both is one after the other.
func both(list ...func(*testing.T, *Bridge)) func(*testing.T, *Bridge) {
	return func(t *testing.T, b *Bridge) {
		for _, f := range list {
			f(t, b)
		}
	}
}

func add(e Entry) func(*testing.T, *Bridge) {
	return func(t *testing.T, b *Bridge) { t.Helper(); must(t, b.Add(e)) }
}

func TestPortFlags(t *testing.T) {
	toGroup := plain(MAC{0x33, 0x33, 0, 0, 0, 9}, alice) // of no IP
	for _, s := range []scene{
		{claim: "NoFlood keeps unknown unicast from the port",
			ports: [4]PortConfig{2: {NoFlood: true}}, in: 1, frame: plain(bob, alice), out: to(2, 4), action: Flood},
		{claim: "NoFlood does not keep a broadcast",
			ports: [4]PortConfig{2: {NoFlood: true}}, in: 1, frame: plain(all, alice), out: to(2, 3, 4, Local), action: Flood},
		{claim: "NoFlood does not keep known unicast", before: heard(bob, 3),
			ports: [4]PortConfig{2: {NoFlood: true}}, in: 1, frame: plain(bob, alice), out: to(3), action: Forward},
		{claim: "NoFlood holds for the host's unknown unicast, too",
			ports: [4]PortConfig{2: {NoFlood: true}}, in: Local, frame: plain(bob, own), out: to(1, 2, 4), action: Flood},
		{claim: "NoBcastFlood keeps broadcasts from the port",
			ports: [4]PortConfig{2: {NoBcastFlood: true}}, in: 1, frame: plain(all, alice), out: to(2, 4, Local), action: Flood},
		{claim: "NoBcastFlood does not hold for what the host sends",
			ports: [4]PortConfig{2: {NoBcastFlood: true}}, in: Local, frame: plain(all, own), out: to(1, 2, 3, 4), action: Flood},
		{claim: "NoMcastFlood keeps unknown groups from the port",
			ports: [4]PortConfig{2: {NoMcastFlood: true}}, in: 1, frame: toGroup, out: to(2, 4, Local), action: Flood},
		{claim: "NoMcastFlood does not keep a broadcast",
			ports: [4]PortConfig{2: {NoMcastFlood: true}}, in: 1, frame: plain(all, alice), out: to(2, 3, 4, Local), action: Flood},
		{claim: "nowhere to flood to is a drop",
			ports: [4]PortConfig{1: {NoFlood: true}, 2: {NoFlood: true}, 3: {NoFlood: true}}, in: 1, frame: plain(bob, alice),
			reason: cost.NoTxTarget, does: Flooded},

		{claim: "hairpin sends a frame back", before: heard(bob, 1),
			ports: [4]PortConfig{0: {Hairpin: true}}, in: 1, frame: plain(bob, alice), out: to(1), action: Forward},
		{claim: "hairpin floods back, too",
			ports: [4]PortConfig{0: {Hairpin: true}}, in: 1, frame: plain(all, alice), out: to(1, 2, 3, 4, Local), action: Flood},
		{claim: "hairpin of another port is nothing to this one",
			ports: [4]PortConfig{1: {Hairpin: true}}, in: 1, frame: plain(all, alice), out: to(2, 3, 4, Local), action: Flood},

		{claim: "isolated ports do not hear each other's floods",
			ports: [4]PortConfig{0: {Isolated: true}, 1: {Isolated: true}}, in: 1, frame: plain(all, alice), out: to(3, 4, Local), action: Flood},
		{claim: "isolated ports do not reach each other", before: both(heard(bob, 2), heard(alice, 1)),
			ports: [4]PortConfig{0: {Isolated: true}, 1: {Isolated: true}}, in: 1, frame: plain(bob, alice), reason: cost.RSIsolated},
		{claim: "an isolated port reaches one that is not", before: both(heard(bob, 3), heard(alice, 1)),
			ports: [4]PortConfig{0: {Isolated: true}, 1: {Isolated: true}}, in: 1, frame: plain(bob, alice), out: to(3), action: Forward},
		{claim: "and is reached by it", before: both(heard(bob, 3), heard(alice, 1)),
			ports: [4]PortConfig{0: {Isolated: true}, 1: {Isolated: true}}, in: 3, frame: plain(alice, bob), out: to(1), action: Forward},
		{claim: "the host reaches isolated ports",
			ports: [4]PortConfig{0: {Isolated: true}, 1: {Isolated: true}}, in: Local, frame: plain(all, own), out: to(1, 2, 3, 4), action: Flood},

		{claim: "a locked port takes nothing from a stranger",
			ports: [4]PortConfig{0: {Locked: true}}, in: 1, frame: plain(bob, alice), reason: cost.RSPortLocked, does: Looked2 | Finished},
		{claim: "a locked port lets its own station in", before: add(Entry{MAC: alice, Port: 1, Kind: Static}),
			ports: [4]PortConfig{0: {Locked: true}}, in: 1, frame: plain(all, alice), out: to(2, 3, 4, Local), action: Flood, does: Looked2},
		{claim: "a locked port lets no station roam to it", before: heard(alice, 2),
			ports: [4]PortConfig{0: {Locked: true}}, in: 1, frame: plain(all, alice), reason: cost.RSPortLocked},
		{claim: "a locked port does not take a local address for a station's",
			ports: [4]PortConfig{0: {Locked: true, MAC: portOwn}}, in: 1, frame: plain(all, portOwn), reason: cost.RSPortLocked},
		{claim: "a locked port still gets frames", before: heard(bob, 2),
			ports: [4]PortConfig{0: {Locked: true}}, in: 2, frame: plain(all, bob), out: to(1, 3, 4, Local), action: Flood},
		{claim: "MAB enters the stranger as locked", ports: [4]PortConfig{0: {Locked: true, MAB: true}},
			in: 1, frame: plain(bob, alice), reason: cost.RSPortLocked, does: Work(Created) | Looked2},
		{claim: "a locked station is not let in", before: heard(alice, 1), ports: [4]PortConfig{0: {Locked: true, MAB: true}},
			in: 1, frame: plain(bob, alice), reason: cost.RSPortLocked, does: Work(Refreshed) | Looked2},
		{claim: "a locked station is sent to", before: heard(alice, 1), ports: [4]PortConfig{0: {Locked: true, MAB: true}},
			in: 2, frame: plain(alice, bob), out: to(1), action: Forward},
		{claim: "a locked station is free where it roams to an unlocked port", ports: [4]PortConfig{0: {Locked: true, MAB: true}},
			before: both(heard(alice, 1), heard(alice, 2), func(t *testing.T, b *Bridge) {
				if e, _ := b.Lookup(alice, 0, 0); e.Locked || e.Port != 2 {
					t.Errorf("%+v", e)
				}
			}), in: 2, frame: plain(all, alice), out: to(1, 3, 4, Local), action: Flood},
		{claim: "a station set by hand is no longer locked", ports: [4]PortConfig{0: {Locked: true, MAB: true}},
			before: both(heard(alice, 1), add(Entry{MAC: alice, Port: 1, Kind: Dynamic})),
			in:     1, frame: plain(all, alice), out: to(2, 3, 4, Local), action: Flood},

		{claim: "a port without carrier gets nothing", ports: [4]PortConfig{1: {LinkDown: true}},
			in: 1, frame: plain(all, alice), out: to(3, 4, Local), action: Flood},
		{claim: "a port without carrier hands in nothing", ports: [4]PortConfig{1: {LinkDown: true}},
			in: 2, frame: plain(all, alice), reason: cost.BridgeIngressSTPState},
		{claim: "a station goes with its port's carrier", before: both(heard(bob, 2), func(t *testing.T, b *Bridge) { must(t, b.SetLink(2, false)) }),
			in: 1, frame: plain(bob, alice), out: to(3, 4), action: Flood},
		{claim: "a static station stays without carrier, and is not reached",
			before: both(add(Entry{MAC: bob, Port: 2, Kind: Static}), func(t *testing.T, b *Bridge) { must(t, b.SetLink(2, false)) }),
			in:     1, frame: plain(bob, alice), reason: cost.RSPortState},
		{claim: "the backup port gets the frames of one without carrier", ports: [4]PortConfig{1: {BackupPort: "a"}},
			before: both(heard(bob, 2), func(t *testing.T, b *Bridge) { must(t, b.SetLink(2, false)) }),
			in:     3, frame: plain(bob, alice), out: to(1), action: Forward, does: Redirected},
		{claim: "with a carrier the backup port gets nothing", ports: [4]PortConfig{1: {BackupPort: "a"}},
			before: heard(bob, 2), in: 3, frame: plain(bob, alice), out: to(2), action: Forward},
		{claim: "the backup is not flooded in the port's place", ports: [4]PortConfig{1: {BackupPort: "a", LinkDown: true}, 0: {NoFlood: true}},
			in: 3, frame: plain(bob, alice), out: to(4), action: Flood},

		{claim: "a blocking port hands in nothing", cfg: Config{STP: true, ForwardDelay: 2 * sim.Second},
			in: 1, frame: plain(all, alice), reason: cost.BridgeIngressSTPState},
		{claim: "a disabled state set by hand holds", before: func(t *testing.T, b *Bridge) { must(t, b.SetState(2, stp.Disabled)) },
			in: 1, frame: plain(all, alice), out: to(3, 4, Local), action: Flood},
		{claim: "a learning port learns and does not forward", before: func(t *testing.T, b *Bridge) { must(t, b.SetState(1, stp.Learning)) },
			in: 1, frame: plain(all, alice), reason: cost.BridgeIngressSTPState, does: Work(Created) | Finished},
		{claim: "a listening port does not learn", before: func(t *testing.T, b *Bridge) { must(t, b.SetState(1, stp.Listening)) },
			in: 1, frame: plain(all, alice), reason: cost.BridgeIngressSTPState},

		{claim: "group_fwd_mask of a port has its LACP forwarded", ports: [4]PortConfig{0: {GroupFwdMask: 1 << 2}},
			in: 1, frame: plain(linkLocal(2), alice), out: to(2, 3, 4, Local), action: Flood},
		{claim: "group_fwd_mask of a port is for what comes in by it", ports: [4]PortConfig{0: {GroupFwdMask: 1 << 2}},
			in: 2, frame: plain(linkLocal(2), alice), action: PassPort, reason: cost.RSLinkLocal, does: Work(Created)},
		{claim: "group_fwd_mask of a port has BPDUs forwarded past the spanning tree",
			cfg: Config{STP: true, ForwardDelay: 2 * sim.Second}, ports: [4]PortConfig{0: {GroupFwdMask: 1}},
			before: func(_ *testing.T, b *Bridge) { b.Tick(10 * sim.Second) },
			in:     1, frame: plain(linkLocal(0), alice), out: to(2, 3, 4, Local), action: Flood},
		{claim: "no_linklocal_learn learns nothing of reserved frames", cfg: Config{NoLinkLocalLearn: true},
			in: 1, frame: plain(linkLocal(3), alice), action: PassPort, reason: cost.RSLinkLocal},
		{claim: "an externally learned station moves as any", before: add(Entry{MAC: alice, Port: 2, ExternLearned: true}),
			in: 1, frame: plain(all, alice), out: to(2, 3, 4, Local), action: Flood, does: Work(Moved)},
	} {
		t.Run(s.claim, s.run)
	}
}

func TestExternallyLearnedStationsDoNotAge(t *testing.T) {
	b := mustNew(t, Config{})
	mustAdd(t, b, PortConfig{})
	mustAdd(t, b, PortConfig{})
	must(t, b.Add(Entry{MAC: alice, Port: 1, ExternLearned: true}))
	b.Tick(1000 * sim.Second)
	if e, ok := b.Lookup(alice, 0, 1000*sim.Second); !ok || e.Stale || !e.ExternLearned {
		t.Errorf("%+v %v", e, ok)
	}
	b.send(2, all, alice, 1000*sim.Second) // taken over: learned from now on
	if e, _ := b.Lookup(alice, 0, 1000*sim.Second); e.ExternLearned || e.Port != 2 {
		t.Errorf("%+v", e)
	}
	b.Tick(1300 * sim.Second)
	if _, ok := b.Lookup(alice, 0, 1300*sim.Second); ok {
		t.Error("it does not age after it moved")
	}
}

func TestUnsettingMABFreesNobody(t *testing.T) {
	b := mustNew(t, Config{})
	p := mustAdd(t, b, PortConfig{Locked: true, MAB: true})
	b.send(p, all, alice, 0)
	must(t, b.SetPort(p, PortConfig{Locked: true}))
	if _, ok := b.Lookup(alice, 0, 0); ok {
		t.Error("a locked entry is left")
	}
	if v := b.send(p, all, alice, 0); v.Reason != cost.RSPortLocked {
		t.Errorf("%+v", v)
	}
}

func TestFlush(t *testing.T) {
	setup := func(t *testing.T) *Bridge {
		b := mustNew(t, Config{MAC: own})
		mustAdd(t, b, PortConfig{VLANs: []VLAN{{VID: 7}}})
		mustAdd(t, b, PortConfig{MAC: portOwn})
		b.send(1, all, alice, 0)
		b.send(2, all, bob, 0)
		must(t, b.Add(Entry{MAC: carol, VLAN: 7, Port: 1, Kind: Static, Sticky: true}))
		must(t, b.Add(Entry{MAC: stationMAC(9), Port: 2, ExternLearned: true}))
		return b
	}
	for _, c := range []struct {
		claim string
		f     Filter
		left  []MAC
	}{
		{"everything", Filter{}, nil},
		{"of a port", Filter{Port: 1}, []MAC{stationMAC(9), bob, own, portOwn}},
		{"of the bridge itself", Filter{Self: true}, []MAC{stationMAC(9), alice, bob, carol, portOwn}},
		{"of a VLAN", Filter{VLAN: 7}, []MAC{stationMAC(9), alice, bob, own, portOwn}},
		{"what is not static", Filter{Static: No}, []MAC{carol, own, portOwn}},
		{"stations that are static", Filter{Static: Yes, Permanent: No}, []MAC{stationMAC(9), alice, bob, own, portOwn}},
		{"what a control plane set", Filter{Extern: Yes}, []MAC{alice, bob, carol, own, portOwn}},
		{"what is sticky", Filter{Sticky: Yes}, []MAC{stationMAC(9), alice, bob, own, portOwn}},
		{"what was set by hand", Filter{ByUser: Yes}, []MAC{alice, bob, own, portOwn}},
		{"learned on a port", Filter{Port: 2, ByUser: No, Static: No}, []MAC{stationMAC(9), alice, carol, own, portOwn}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			b := setup(t)
			before := b.Len()
			n := b.Flush(c.f)
			var left []MAC
			for _, e := range b.Entries(0) {
				left = append(left, e.MAC)
			}
			slices.SortFunc(c.left, func(x, y MAC) int { return slices.Compare(x[:], y[:]) })
			if !slices.Equal(left, c.left) || n != before-len(left) {
				t.Errorf("%d taken out, left %v, want %v", n, left, c.left)
			}
			must(t, b.Check())
		})
	}
}

func TestFlaps(t *testing.T) {
	b := mustNew(t, Config{})
	for range 3 {
		mustAdd(t, b, PortConfig{})
	}
	at := func(i int) sim.Time { return sim.Time(i) * sim.Second }
	for i := range FlapMoves + 1 { // the first one is no move
		if b.Stats().Flaps != 0 || len(b.Flaps(at(i))) != 0 {
			t.Fatalf("flap after %d moves", i-1)
		}
		b.send(Port(1+i%2), all, alice, at(i))
	}
	got := b.Flaps(at(FlapMoves))
	if b.Stats().Flaps != 1 || len(got) != 1 || got[0].MAC != alice || got[0].Moves != FlapMoves || got[0].Ports != [2]Port{1, 2} {
		t.Errorf("%d flaps, %+v", b.Stats().Flaps, got)
	}
	if len(b.Flaps(at(FlapMoves)+FlapTime+1)) != 0 {
		t.Error("a flap is still told when it is long over")
	}
	for i := range 2 * FlapMoves {
		b.send(Port(1+i%2), all, bob, at(20+i*5))
	}
	if b.Stats().Flaps != 1 {
		t.Error("moves that are far apart count as a flap")
	}
}
