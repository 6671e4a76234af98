package bridge

import (
	"errors"
	"slices"
	"testing"

	"ringside/bridge/stp"
	"ringside/cost"
	"ringside/sim"
)

// strip, put and retag are copies that leave edited.
func strip(p Port) Copy               { return Copy{Port: p, Strip: true} }
func put(p Port, tci uint16) Copy     { return Copy{Port: p, Tag: Dot1Q<<16 | uint32(tci)} }
func retag(p Port, tci uint16) Copy   { return Copy{Port: p, Strip: true, Tag: Dot1Q<<16 | uint32(tci)} }
func provide(p Port, vid uint16) Copy { return Copy{Port: p, Tag: Dot1AD<<16 | uint32(vid)} }

// Port 1 is an access port of VLAN 7, 2 a trunk of 7 and 8, 3 an access port of 8,
// and 4 has VLAN 1 alone, as the bridge's own interface has.
var office = [4]PortConfig{
	{NoPVID: true, VLANs: []VLAN{{VID: 7, PVID: true, Untagged: true}}},
	{NoPVID: true, VLANs: []VLAN{{VID: 7, End: 8}}},
	{NoPVID: true, VLANs: []VLAN{{VID: 8, PVID: true, Untagged: true}}},
	{},
}

func TestVLANs(t *testing.T) {
	on := Config{MAC: own, VLANFiltering: true}
	for _, s := range []scene{
		{claim: "without filtering a tag is not looked at", ports: office, in: 1, frame: tagged(9, all, alice),
			out: to(2, 3, 4, Local), action: Flood},
		{claim: "without filtering a station is one whatever the tag", ports: office,
			before: func(_ *testing.T, b *Bridge) { b.Handle(2, tagged(7, all, bob), 0) },
			in:     1, frame: tagged(8, bob, alice), out: to(2), action: Forward},
		{claim: "an untagged frame is of the PVID, and tagged on a trunk", cfg: on, ports: office,
			in: 1, frame: plain(all, alice), out: []Copy{put(2, 7)}, action: Flood, does: VLANIngress | VLANEgress},
		{claim: "a tagged frame leaves an access port without its tag", cfg: on, ports: office,
			in: 2, frame: tagged(7, all, alice), out: []Copy{strip(1)}, action: Flood},
		{claim: "a tagged frame keeps its tag on a trunk", cfg: on, ports: [4]PortConfig{1: {VLANs: []VLAN{{VID: 8}}}, 2: {VLANs: []VLAN{{VID: 8}}}},
			in: 2, frame: tagged(8, all, alice), out: to(3), action: Flood},
		{claim: "a frame of a VLAN that the port is not in is dropped and not learned", cfg: on, ports: office,
			in: 1, frame: tagged(8, all, alice), reason: cost.RSVLANFiltered, does: VLANIngress | Finished},
		{claim: "an untagged frame needs a PVID", cfg: on, ports: office, in: 2, frame: plain(all, alice), reason: cost.RSVLANFiltered},
		{claim: "an access port takes frames tagged with its VLAN, too", cfg: on, ports: office,
			in: 1, frame: tagged(7, all, alice), out: to(2), action: Flood},
		{claim: "a priority tag is of the PVID and keeps its priority on a trunk", cfg: on, ports: office,
			in: 1, frame: taggedAs(Dot1Q, 0xa000, all, alice), out: []Copy{retag(2, 0xa007)}, action: Flood},
		{claim: "a priority tag is taken off on an access port", cfg: on,
			ports: [4]PortConfig{0: {}, 1: {}}, in: 1, frame: taggedAs(Dot1Q, 0xa000, bob, alice), before: heard(bob, 2),
			out: []Copy{strip(2)}, action: Forward},
		{claim: "VLAN 4095 is nobody's", cfg: on, ports: office, in: 2, frame: tagged(4095, all, alice), reason: cost.RSVLANFiltered},
		{claim: "a station is known in its VLAN alone", cfg: on, ports: office,
			before: func(_ *testing.T, b *Bridge) { b.Handle(2, tagged(8, all, bob), 0) },
			in:     1, frame: plain(bob, alice), out: []Copy{put(2, 7)}, action: Flood, does: Looked | Flooded},
		{claim: "a known station is reached in its VLAN", cfg: on, ports: office,
			before: func(_ *testing.T, b *Bridge) { b.Handle(2, tagged(7, all, bob), 0) },
			in:     1, frame: plain(bob, alice), out: []Copy{put(2, 7)}, action: Forward},
		{claim: "a port that has left the VLAN of its station is not reached", cfg: on, ports: office,
			before: both(add(Entry{MAC: bob, VLAN: 7, Port: 2, Kind: Static}), func(t *testing.T, b *Bridge) { must(t, b.DeleteVLAN(2, VLAN{VID: 7})) }),
			in:     1, frame: plain(bob, alice), reason: cost.RSVLANFiltered},
		{claim: "a broadcast goes up in a VLAN of the bridge's own interface", cfg: on, ports: office,
			in: 4, frame: plain(all, alice), out: to(Local), action: Flood, does: PassedUp},
		{claim: "a frame goes up with its tag where the bridge's VLAN is tagged",
			cfg: Config{MAC: own, VLANFiltering: true, VLANs: []VLAN{{VID: 7}}}, ports: office,
			in: 1, frame: plain(own, alice), out: []Copy{put(Local, 7)}, action: Up},
		{claim: "the bridge's own address is not one in a VLAN that its interface is not in", cfg: on, ports: office,
			in: 1, frame: plain(own, alice), out: []Copy{put(2, 7)}, action: Flood},
		{claim: "a port's own address in a VLAN that the bridge is not in goes nowhere", cfg: on,
			ports: [4]PortConfig{{NoPVID: true, MAC: portOwn, VLANs: []VLAN{{VID: 7, PVID: true, Untagged: true}}}},
			in:    1, frame: plain(portOwn, alice), reason: cost.RSVLANFiltered},
		{claim: "promiscuous: everything goes up, tagged if the bridge is not in the VLAN",
			cfg: Config{MAC: own, VLANFiltering: true, Promisc: true}, ports: office,
			in: 1, frame: plain(bob, alice), out: []Copy{put(2, 7), put(Local, 7)}, action: Flood},
		{claim: "the host's untagged frames are of its PVID", cfg: on, ports: office,
			in: Local, frame: plain(all, own), out: to(4), action: Flood, does: VLANIngress},
		{claim: "the host is kept out of VLANs that it is not in", cfg: on, ports: office,
			in: Local, frame: tagged(7, all, own), reason: cost.RSVLANFiltered},
		{claim: "the host's tagged frames are of their VLAN",
			cfg: Config{MAC: own, VLANFiltering: true, VLANs: []VLAN{{VID: 7}}}, ports: office,
			in: Local, frame: tagged(7, all, own), out: []Copy{strip(1), {Port: 2}}, action: Flood},
		{claim: "a VLAN that is blocking on a port does not leave by it", cfg: on, ports: office,
			before: func(t *testing.T, b *Bridge) { must(t, b.SetVLANState(2, 7, stp.Blocking)) },
			in:     1, frame: plain(all, alice), reason: cost.NoTxTarget},
		{claim: "a VLAN that is blocking on a port does not come in by it", cfg: on, ports: office,
			before: func(t *testing.T, b *Bridge) { must(t, b.SetVLANState(2, 7, stp.Blocking)) },
			in:     2, frame: tagged(7, all, alice), reason: cost.RSVLANFiltered},
		{claim: "a VLAN that is learning on a port is learned from", cfg: on, ports: office,
			before: func(t *testing.T, b *Bridge) { must(t, b.SetVLANState(2, 7, stp.Learning)) },
			in:     2, frame: tagged(7, all, alice), reason: cost.BridgeIngressSTPState, does: Work(Created)},

		{claim: "802.1ad: a customer's tag is payload",
			cfg: Config{VLANFiltering: true, VLANProtocol: Dot1AD}, ports: [4]PortConfig{1: {VLANs: []VLAN{{VID: 1}}}},
			before: func(_ *testing.T, b *Bridge) { b.Handle(2, taggedAs(Dot1AD, 1, all, bob), 0) },
			in:     1, frame: tagged(7, bob, alice), out: []Copy{provide(2, 1)}, action: Forward},
		{claim: "802.1ad: a provider's tag is the VLAN",
			cfg: Config{VLANFiltering: true, VLANProtocol: Dot1AD}, ports: office,
			in: 2, frame: taggedAs(Dot1AD, 7, all, alice), out: []Copy{strip(1)}, action: Flood},
		{claim: "802.1Q: a provider's tag is payload", cfg: on, ports: office,
			in: 1, frame: taggedAs(Dot1AD, 8, all, alice), out: []Copy{put(2, 7)}, action: Flood},
		{claim: "802.1ad: customers' BPDUs are forwarded, even with a spanning tree",
			cfg:    Config{VLANFiltering: true, VLANProtocol: Dot1AD, STP: true, ForwardDelay: 2 * sim.Second},
			before: func(_ *testing.T, b *Bridge) { b.Tick(10 * sim.Second) },
			in:     1, frame: plain(linkLocal(0), alice), out: to(2, 3, 4, Local), action: Flood},
		{claim: "802.1ad: :08 is the provider's own", cfg: Config{VLANFiltering: true, VLANProtocol: Dot1AD},
			in: 1, frame: plain(linkLocal(8), alice), action: PassPort, reason: cost.RSLinkLocal, does: Work(Created)},

		{claim: "a tag that is not whole ends the frame", ports: office, in: 1, frame: tagged(7, all, alice)[:19], reason: cost.HdrTrunc},
		{claim: "the host's is not looked at without filtering", ports: office,
			in: Local, frame: tagged(7, all, alice)[:16], out: to(1, 2, 3, 4), action: Flood},
		{claim: "isolated ports stay so in a VLAN", cfg: on, ports: [4]PortConfig{0: {Isolated: true}, 1: {Isolated: true}},
			in: 1, frame: plain(all, alice), out: to(3, 4, Local), action: Flood},
		{claim: "a locked port looks for the station in the VLAN", cfg: on, before: add(Entry{MAC: alice, VLAN: 1, Port: 1, Kind: Static}),
			ports: [4]PortConfig{0: {Locked: true, VLANs: []VLAN{{VID: 7}}}}, in: 1, frame: tagged(7, all, alice), reason: cost.RSPortLocked},
		{claim: "a reserved frame is learned from in its VLAN", cfg: on, ports: office,
			in: 1, frame: plain(linkLocal(3), alice), action: PassPort, reason: cost.RSLinkLocal, does: Work(Created)},
		{claim: "a reserved frame of a VLAN that the port is not in is not learned from", cfg: on, ports: office,
			in: 1, frame: tagged(8, linkLocal(3), alice), action: PassPort, reason: cost.RSLinkLocal},
	} {
		t.Run(s.claim, s.run)
	}
}

func TestVLANTable(t *testing.T) {
	vids := func(b *Bridge, mac MAC) (list []uint16) {
		for _, e := range b.Entries(0) {
			if e.MAC == mac {
				list = append(list, e.VLAN)
			}
		}
		return list
	}
	t.Run("an interface's address is local in all its VLANs", func(t *testing.T) {
		b, _ := New(Config{MAC: own})
		p := mustAdd(t, b, PortConfig{MAC: portOwn, VLANs: []VLAN{{VID: 7, End: 9}}})
		if got := vids(b, own); !slices.Equal(got, []uint16{0, 1}) {
			t.Errorf("the bridge's in %v", got)
		}
		if got := vids(b, portOwn); !slices.Equal(got, []uint16{0, 1, 7, 8, 9}) {
			t.Errorf("the port's in %v", got)
		}
		must(t, b.DeleteVLAN(p, VLAN{VID: 8, End: 9}))
		if got := vids(b, portOwn); !slices.Equal(got, []uint16{0, 1, 7}) {
			t.Errorf("the port's in %v", got)
		}
		must(t, b.SetPort(p, PortConfig{MAC: alice}))
		if got := vids(b, portOwn); got != nil {
			t.Errorf("the old one is left in %v", got)
		}
		if got := vids(b, alice); !slices.Equal(got, []uint16{0, 1, 7}) {
			t.Errorf("the new one in %v", got)
		}
	})
	t.Run("an entry of VLAN 0 is made in all VLANs of the port", func(t *testing.T) {
		b, _ := New(Config{})
		mustAdd(t, b, PortConfig{VLANs: []VLAN{{VID: 7}}})
		must(t, b.Add(Entry{MAC: alice, Port: 1, Kind: Static}))
		if got := vids(b, alice); !slices.Equal(got, []uint16{0, 1, 7}) {
			t.Errorf("in %v", got)
		}
		if !b.Delete(alice, 0) || vids(b, alice) != nil {
			t.Errorf("left in %v", vids(b, alice))
		}
	})
	t.Run("a VLAN that goes takes what was learned in it", func(t *testing.T) {
		b, _ := New(Config{VLANFiltering: true})
		mustAdd(t, b, PortConfig{VLANs: []VLAN{{VID: 7}, {VID: 8}}})
		for _, vid := range []uint16{1, 7, 8} {
			b.Handle(1, tagged(vid, all, alice), 0)
		}
		must(t, b.Add(Entry{MAC: bob, VLAN: 7, Port: 1, Kind: Static}))
		must(t, b.DeleteVLAN(1, VLAN{VID: 7}))
		if got := vids(b, alice); !slices.Equal(got, []uint16{1, 8}) {
			t.Errorf("in %v", got)
		}
		if got := vids(b, bob); !slices.Equal(got, []uint16{7}) {
			t.Errorf("the static one in %v", got)
		}
	})
	t.Run("flags change by adding again", func(t *testing.T) {
		b, _ := New(Config{})
		mustAdd(t, b, PortConfig{})
		must(t, b.AddVLAN(1, VLAN{VID: 5, PVID: true, Untagged: true}))
		want := []VLANState{{VID: 1, Untagged: true, State: stp.Forwarding}, {VID: 5, PVID: true, Untagged: true, State: stp.Forwarding}}
		if got := b.VLANs(1); !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
		must(t, b.AddVLAN(1, VLAN{VID: 5}))
		want[1].PVID, want[1].Untagged = false, false
		if got := b.VLANs(1); !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the default PVID changes where it is what was given", func(t *testing.T) {
		b, _ := New(Config{})
		mustAdd(t, b, PortConfig{})
		mustAdd(t, b, PortConfig{})
		must(t, b.AddVLAN(2, VLAN{VID: 1}))
		must(t, b.SetConfig(Config{DefaultPVID: 9}))
		if got := b.VLANs(1); len(got) != 1 || got[0].VID != 9 || !got[0].PVID {
			t.Errorf("%+v", got)
		}
		if got := b.VLANs(2); len(got) != 1 || got[0].VID != 1 {
			t.Errorf("a port that was set by hand: %+v", got)
		}
		must(t, b.SetConfig(Config{DefaultPVID: NoPVID}))
		if got := b.VLANs(1); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("frames are counted by VLAN, or by port and VLAN", func(t *testing.T) {
		for _, each := range []bool{false, true} {
			b, _ := New(Config{VLANFiltering: true, VLANStats: true, VLANStatsPerPort: each})
			mustAdd(t, b, PortConfig{})
			mustAdd(t, b, PortConfig{})
			b.Handle(1, plain(all, alice), 0)
			b.Handle(1, tagged(1, alice, bob), 0)
			want := VLANStats{RxFrames: 2, RxBytes: 12, TxFrames: 2, TxBytes: 12} // up, and to port 2
			if each {
				want = VLANStats{RxFrames: 2, RxBytes: 12}
			}
			if got := b.VLANs(1)[0].Stats; got != want {
				t.Errorf("for each port is %v: %+v, want %+v", each, got, want)
			}
		}
	})
	t.Run("what cannot be", func(t *testing.T) {
		b, _ := New(Config{VLANFiltering: true})
		mustAdd(t, b, PortConfig{})
		_, pvid := New(Config{DefaultPVID: 4095})
		_, proto := New(Config{VLANProtocol: 0x9100})
		for _, err := range []error{
			b.AddVLAN(1, VLAN{}), b.AddVLAN(1, VLAN{VID: 4095}), b.AddVLAN(1, VLAN{VID: 9, End: 8}),
			b.AddVLAN(1, VLAN{VID: 2, End: 3, PVID: true}), b.DeleteVLAN(1, VLAN{VID: 2}), b.SetVLANState(1, 2, stp.Blocking),
			b.Add(Entry{MAC: alice, VLAN: 2, Port: 1, Kind: Static}), pvid,
		} {
			if !errors.Is(err, ErrVLAN) {
				t.Error(err)
			}
		}
		if !errors.Is(proto, ErrConfig) {
			t.Error(proto)
		}
		if err := b.AddVLAN(9, VLAN{VID: 2}); !errors.Is(err, ErrNoPort) {
			t.Error(err)
		}
	})
}
