package bridge

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/cost"
	"ringside/sim"
)

// What Explain says names the entry, or the flag, that the fate of a frame hung on.
func TestExplainNamesWhatDecided(t *testing.T) {
	group := func(x byte) snoop.Group { return snoop.Group{IP: netip.AddrFrom4([4]byte{224, 1, 2, x})} }
	for _, s := range []struct {
		claim string
		cfg   Config
		ports [4]PortConfig
		do    func(*testing.T, *Bridge)
		in    Port
		frame []byte
		want  []Check
	}{
		{claim: "a locked port that lets a station in names its entry", ports: [4]PortConfig{{Locked: true}},
			do: add(Entry{MAC: alice, Port: 1, Kind: Static}), in: 1, frame: plain(all, alice),
			want: []Check{{"br_handle_frame_finish", NoPort, "the port is locked and lets its source in: " + alice.String() + " on port 1 static", false}}},
		{claim: "one that does not because it is known elsewhere, too", ports: [4]PortConfig{{Locked: true}},
			do: add(Entry{MAC: alice, Port: 2, Kind: Static}), in: 1, frame: plain(all, alice),
			want: []Check{{"br_handle_frame_finish", NoPort, "the port is locked and the source is known elsewhere: " + alice.String() + " on port 2 static", true}}},
		{claim: "learning off is named", ports: [4]PortConfig{{NoLearning: true}}, in: 1, frame: plain(all, alice),
			want: []Check{{"br_fdb_update", NoPort, alice.String() + ": learning is off on the port", false}}},
		{claim: "a hub is named", cfg: Config{Ageing: Hub}, in: 1, frame: plain(all, alice),
			want: []Check{{"br_fdb_update", NoPort, alice.String() + ": ageing_time is 0, nothing is learned", false}}},
		{claim: "learning off is named for reserved addresses", ports: [4]PortConfig{{NoLearning: true}}, in: 1, frame: plain(linkLocal(14), alice),
			want: []Check{{"br_fdb_update", NoPort, "learning is off on the port: its source is not learned", true}}},
		{claim: "no_linklocal_learn is named", cfg: Config{NoLinkLocalLearn: true}, in: 1, frame: plain(linkLocal(14), alice),
			want: []Check{{"br_fdb_update", NoPort, "no_linklocal_learn is on: its source is not learned", true}}},
		{claim: "hairpin is named", ports: [4]PortConfig{{Hairpin: true}}, do: heard(bob, 1), in: 1, frame: plain(bob, alice),
			want: []Check{{"should_deliver", 1, "yes: hairpin is on, it may go back", false}}},
		{claim: "isolation is named", ports: [4]PortConfig{{Isolated: true}, {Isolated: true}}, in: 1, frame: plain(bob, alice),
			want: []Check{{"should_deliver", 2, "no: from an isolated port to an isolated port", false}}},
		{claim: "the backup port is named", ports: [4]PortConfig{{}, {BackupPort: "a"}},
			do: both(heard(bob, 2), func(t *testing.T, b *Bridge) { must(t, b.SetLink(2, false)) }), in: 3, frame: plain(bob, alice),
			want: []Check{{"br_forward", NoPort, "port 2 has no carrier: its backup_port is port 1", false}}},
		{claim: "a port's state is named", ports: [4]PortConfig{{}, {LinkDown: true}}, do: add(Entry{MAC: bob, Port: 2, Kind: Static}), in: 1, frame: plain(bob, alice),
			want: []Check{{"should_deliver", 2, "no: the port is disabled", true}}},
		{claim: "a group's entry, its members and the routers are named", in: 1, frame: igmpFrame(2, 1, alice),
			do: both(asks4, hears(2, report(1, bob))),
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "the entry of 224.1.2.1", true},
				{"br_multicast_flood", 2, "a member port", false}, {"br_multicast_flood", 4, "a router port", false}}},
		{claim: "a port can be both", in: 1, frame: igmpFrame(2, 1, alice), do: both(asks4, hears(4, report(1, bob))),
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "the entry of 224.1.2.1", true},
				{"br_multicast_flood", 4, "a member port, and a router port", false}}},
		{claim: "the source of an entry is named", cfg: Config{Multicast: snoop.Config{IGMPVersion: 3}}, in: 1, frame: igmpFrame(2, 1, alice),
			do: both(asks4, func(t *testing.T, b *Bridge) {
				must(t, b.AddMDB(snoop.Static{Port: 3, Group: group(1), Source: netip.MustParseAddr("10.0.0.9"), Permanent: true}))
			}),
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "the entry of 224.1.2.1 src 10.0.0.9", true},
				{"br_multicast_flood", 3, "a member port, permanent", false}, {"br_multicast_flood", 4, "a router port", false}}},
		{claim: "an unregistered group goes to routers alone", in: 1, frame: igmpFrame(2, 1, alice), do: asks4,
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "224.1.2.1 has no entry: to routers alone", true},
				{"br_multicast_flood", 4, "a router port", false}}},
		{claim: "without a querier it is flooded", in: 1, frame: igmpFrame(2, 1, alice), do: hears(2, report(1, bob)),
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "the entry of 224.1.2.1, but there is no querier: flooded", true}}},
		{claim: "without snooping it is flooded", cfg: Config{NoSnooping: true}, in: 1, frame: igmpFrame(2, 1, alice),
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "mcast_snooping is off: flooded", true}}},
		{claim: "a group of Ethernet is named by its address", in: 1, frame: plain(MAC{0x33, 0x33, 0, 0, 0, 9}, alice),
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "33:33:00:00:00:09 has no entry: flooded", true}}},
		{claim: "a report is not looked up", in: 2, frame: report(1, bob), do: asks4,
			want: []Check{{"br_mdb_entry_skb_get", NoPort, "a membership message is not looked up: to routers alone", true},
				{"br_multicast_flood", 4, "a router port", false}}},
	} {
		t.Run(s.claim, func(t *testing.T) {
			b, err := New(s.cfg)
			must(t, err)
			for i, p := range s.ports {
				p.Name = []string{"a", "b", "c", "d"}[i]
				mustAdd(t, b, p)
			}
			if s.do != nil {
				s.do(t, b)
			}
			e := b.Explain(s.in, s.frame, 21*sim.Second)
			for _, c := range s.want {
				if !slices.Contains(e.Checks, c) {
					t.Errorf("no %+v in\n%v", c, &e)
				}
			}
		})
	}
}

// asks4 is a querier that was heard by port 4.
func asks4(t *testing.T, b *Bridge) {
	b.Handle(4, igmpFrame(1, 0, carol), 0)
	b.Tick(20 * sim.Second)
}

// hears has a frame come in after that.
func hears(p Port, frame []byte) func(*testing.T, *Bridge) {
	return func(_ *testing.T, b *Bridge) { b.Handle(p, frame, 20*sim.Second) }
}

func TestNoTargetIsNotCalledAFlood(t *testing.T) {
	b := mustNew(t, Config{})
	ports(t, b, 4)
	asks4(t, b)
	if e := b.Explain(4, igmpFrame(2, 1, carol), 21*sim.Second); e.Verdict.Reason != cost.NoTxTarget {
		t.Errorf("%v", &e)
	}
	if says := cost.NoTxTarget.Says(); says != "no port to send it to" {
		t.Errorf("NO_TX_TARGET: %s", says)
	}
}

func TestExplainNamesTheNeighbourThatIsAnsweredFor(t *testing.T) {
	table := neigh.NewTable()
	require.NoError(t, table.Set(neigh.Bridge, netip.MustParseAddr("10.0.0.2"), neigh.Neighbour{MAC: [6]byte{2, 0, 0, 0, 0, 2}, State: neigh.Permanent}))
	b, err := New(Config{MAC: MAC{2, 0, 0, 0, 0, 0xbb}, Neighbours: table})
	require.NoError(t, err)
	for _, c := range []PortConfig{{Name: "a"}, {Name: "b", NeighSuppress: true}} {
		_, err := b.AddPort(c)
		require.NoError(t, err)
	}
	require.NoError(t, b.Add(Entry{MAC: MAC{2, 0, 0, 0, 0, 2}, Port: 2, Kind: Static}))
	ask := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6}, 0, 1, 8, 0, 6, 4, 0, 1,
		2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2)
	var said string
	for _, c := range b.Explain(1, append(ask, make([]byte, 18)...), 0).Checks {
		if c.Step == "br_do_suppress" {
			said = c.Says
		}
	}
	require.Contains(t, said, "02:00:00:00:00:02")
}
