package bridge

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ringside/cost"
	"ringside/sim"
)

var (
	all     = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	group   = MAC{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}
	own     = MAC{0x02, 0, 0, 0, 0xbb, 0x00} // the bridge's
	portOwn = MAC{0x02, 0, 0, 0, 0xbb, 0x03} // port 3's
	alice   = MAC{0x02, 0, 0, 0, 0, 0x0a}
	bob     = MAC{0x02, 0, 0, 0, 0, 0x0b}
	carol   = MAC{0x02, 0, 0, 0, 0, 0x0c}
)

func linkLocal(last byte) MAC { return MAC{0x01, 0x80, 0xc2, 0x00, 0x00, last} }

func mustNew(t testing.TB, cfg Config) *Bridge {
	t.Helper()
	if cfg.DefaultPVID == 0 {
		cfg.DefaultPVID = NoPVID // one entry for an address, so that they can be counted
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustAdd(t testing.TB, b *Bridge, cfg PortConfig) Port {
	t.Helper()
	p, err := b.AddPort(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// to is copies that leave as the frame came.
func to(ports ...Port) (out []Copy) {
	for _, p := range ports {
		out = append(out, Copy{Port: p})
	}
	return out
}

// age walks over the table, even if nothing can have aged.
func age(b *Bridge, now sim.Time) (walked, aged int, next sim.Time) {
	if b.hold != sim.Never && b.hold != 0 {
		b.walk = min(b.walk, now)
	}
	did := b.Tick(now)
	return did.Walked, did.Aged, b.walk
}

// send has a frame from src to dst come in by the port in.
func (b *Bridge) send(in Port, dst, src MAC, now sim.Time) Verdict {
	sending = header(dst, src)
	return b.Handle(in, sending[:], now)
}

var sending [20]byte

// Each row is a bridge with ports 1, 2 and 3, what happened to it before, and
// one frame at the time 1 s. Port 3 has an address of its own.
func TestOneFrame(t *testing.T) {
	const now = sim.Second
	heard := func(mac MAC, on Port) func(*testing.T, *Bridge) {
		return func(_ *testing.T, b *Bridge) { b.send(on, all, mac, 0) }
	}
	type before = func(*testing.T, *Bridge)
	promisc := Config{MAC: own, Promisc: true}
	for _, c := range []struct {
		claim    string
		cfg      Config
		before   []before
		in       Port
		dst, src MAC
		want     Verdict
	}{
		{claim: "unknown unicast goes to all other ports and not up",
			in: 2, dst: bob, src: alice,
			want: Verdict{Out: to(1, 3), Action: Flood, Work: Finished | Flooded | Work(Created) | Looked}},
		{claim: "known unicast goes to its port",
			before: []before{heard(bob, 3)}, in: 2, dst: bob, src: alice,
			want: Verdict{Out: to(3), Action: Forward, Work: Finished | Work(Created) | Looked}},
		{claim: "both known is the short way",
			before: []before{heard(bob, 3), heard(alice, 2)}, in: 2, dst: bob, src: alice,
			want: Verdict{Out: to(3), Action: Forward, Work: Finished | Work(Refreshed) | Looked}},
		{claim: "a frame does not go back by the port it came from",
			before: []before{heard(bob, 2)}, in: 2, dst: bob, src: alice,
			want: Verdict{Reason: cost.RSSamePort, Work: Finished | Work(Created) | Looked}},
		{claim: "a frame to its own sender is learned and filtered",
			in: 2, dst: alice, src: alice,
			want: Verdict{Reason: cost.RSSamePort, Work: Finished | Work(Created) | Looked}},
		{claim: "broadcast goes to all other ports and up, with no lookup",
			in: 1, dst: all, src: alice,
			want: Verdict{Out: to(2, 3, Local), Action: Flood, Work: Finished | Flooded | Work(Created) | PassedUp}},
		{claim: "multicast goes to all other ports and up, as long as nobody asks for groups",
			in: 1, dst: group, src: alice,
			want: Verdict{Out: to(2, 3, Local), Action: Flood, Work: Finished | Flooded | MDBLooked | Work(Created) | PassedUp}},
		{claim: "the bridge's own address goes up only",
			cfg: Config{MAC: own}, in: 1, dst: own, src: alice,
			want: Verdict{Out: to(Local), Action: Up, Work: Finished | Work(Created) | Looked | PassedUp}},
		{claim: "a port's own address goes up only",
			in: 1, dst: portOwn, src: alice,
			want: Verdict{Out: to(Local), Action: Up, Work: Finished | Work(Created) | Looked | PassedUp}},
		{claim: "a port's own address goes up by that port, too",
			in: 3, dst: portOwn, src: alice,
			want: Verdict{Out: to(Local), Action: Up, Work: Finished | Work(Created) | Looked | PassedUp}},
		{claim: "destination zero is an unknown unicast",
			in: 1, dst: MAC{}, src: alice,
			want: Verdict{Out: to(2, 3), Action: Flood, Work: Finished | Flooded | Work(Created) | Looked}},

		{claim: "source zero is dropped before it is learned",
			in: 1, dst: all, src: MAC{}, want: Verdict{Reason: cost.MACInvalidSource}},
		{claim: "a group as source is dropped before it is learned",
			in: 1, dst: bob, src: group, want: Verdict{Reason: cost.MACInvalidSource}},
		{claim: "broadcast as source is dropped before it is learned",
			in: 1, dst: bob, src: all, want: Verdict{Reason: cost.MACInvalidSource}},
		{claim: "an invalid source counts before a reserved destination",
			in: 1, dst: linkLocal(1), src: group, want: Verdict{Reason: cost.MACInvalidSource}},
		{claim: "a local source is not learned and the frame goes on",
			cfg: Config{MAC: own}, in: 1, dst: bob, src: own,
			want: Verdict{Out: to(2, 3), Action: Flood, Work: Finished | Flooded | Work(OwnAddress) | Looked}},
		{claim: "a port's own address as source is not learned, on that port either",
			before: []before{heard(bob, 2)}, in: 3, dst: bob, src: portOwn,
			want: Verdict{Out: to(2), Action: Forward, Work: Finished | Work(OwnAddress) | Looked}},

		{claim: "01:80:c2:00:00:00 is flooded without spanning tree",
			in: 1, dst: linkLocal(0), src: alice,
			want: Verdict{Out: to(2, 3, Local), Action: Flood, Work: Finished | Flooded | MDBLooked | Work(Created) | PassedUp}},
		{claim: "pause frames are dropped and not learned from",
			in: 1, dst: linkLocal(1), src: alice, want: Verdict{Reason: cost.MACIEEEMACControl}},
		{claim: "LACP goes to the port's own stack and is learned from",
			in: 1, dst: linkLocal(2), src: alice,
			want: Verdict{Action: PassPort, Reason: cost.RSLinkLocal, Work: Work(Created)}},
		{claim: "LLDP goes to the port's own stack and is learned from",
			in: 1, dst: linkLocal(0x0e), src: alice,
			want: Verdict{Action: PassPort, Reason: cost.RSLinkLocal, Work: Work(Created)}},
		{claim: "group_fwd_mask has LLDP forwarded",
			cfg: Config{GroupFwdMask: 1 << 0x0e}, in: 1, dst: linkLocal(0x0e), src: alice,
			want: Verdict{Out: to(2, 3, Local), Action: Flood, Work: Finished | Flooded | MDBLooked | Work(Created) | PassedUp}},
		{claim: "group_fwd_mask leaves other reserved addresses alone",
			cfg: Config{GroupFwdMask: 1 << 0x0e}, in: 1, dst: linkLocal(0x0f), src: alice,
			want: Verdict{Action: PassPort, Reason: cost.RSLinkLocal, Work: Work(Created)}},
		{claim: "01:80:c2:00:00:10 is not reserved",
			in: 1, dst: linkLocal(0x10), src: alice,
			want: Verdict{Out: to(2, 3, Local), Action: Flood, Work: Finished | Flooded | MDBLooked | Work(Created) | PassedUp}},
		{claim: "01:80:c2:00:01:0e is not reserved",
			in: 1, dst: MAC{0x01, 0x80, 0xc2, 0x00, 0x01, 0x0e}, src: alice,
			want: Verdict{Out: to(2, 3, Local), Action: Flood, Work: Finished | Flooded | MDBLooked | Work(Created) | PassedUp}},

		{claim: "a station moves at once",
			before: []before{heard(alice, 1)}, in: 2, dst: all, src: alice,
			want: Verdict{Out: to(1, 3, Local), Action: Flood, Work: Finished | Flooded | Work(Moved) | PassedUp}},
		{claim: "a static entry that is not sticky moves, too",
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.Add(Entry{MAC: alice, Port: 1, Kind: Static})) }},
			in:     2, dst: all, src: alice,
			want: Verdict{Out: to(1, 3, Local), Action: Flood, Work: Finished | Flooded | Work(Moved) | PassedUp}},
		{claim: "a sticky entry stays, and its frame is forwarded",
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.Add(Entry{MAC: alice, Port: 1, Kind: Static, Sticky: true})) }},
			in:     2, dst: all, src: alice,
			want: Verdict{Out: to(1, 3, Local), Action: Flood, Work: Finished | Flooded | Work(Refreshed) | PassedUp}},
		{claim: "a sticky entry on this port is refreshed",
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.Add(Entry{MAC: alice, Port: 2, Kind: Static, Sticky: true})) }, heard(bob, 1)},
			in:     2, dst: bob, src: alice,
			want: Verdict{Out: to(1), Action: Forward, Work: Finished | Work(Refreshed) | Looked}},
		{claim: "a static entry is forwarded to",
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.Add(Entry{MAC: bob, Port: 3, Kind: Static})) }},
			in:     2, dst: bob, src: alice,
			want: Verdict{Out: to(3), Action: Forward, Work: Finished | Work(Created) | Looked}},
		{claim: "a port without learning learns nothing and forwards",
			before: []before{func(t *testing.T, b *Bridge) { mustAdd(t, b, PortConfig{NoLearning: true}) }, heard(bob, 3)},
			in:     4, dst: bob, src: alice,
			want: Verdict{Out: to(3), Action: Forward, Work: Finished | Looked}},
		{claim: "a port without learning does not move a station",
			before: []before{func(t *testing.T, b *Bridge) { mustAdd(t, b, PortConfig{NoLearning: true}) }, heard(alice, 1)},
			in:     4, dst: alice, src: alice,
			want: Verdict{Out: to(1), Action: Forward, Work: Finished | Looked}},
		{claim: "a hub learns nothing and floods",
			cfg: Config{Ageing: Hub}, before: []before{heard(bob, 3)}, in: 1, dst: bob, src: alice,
			want: Verdict{Out: to(2, 3), Action: Flood, Work: Finished | Flooded | Looked}},
		{claim: "a full table refuses a new station and forwards its frame",
			cfg: Config{MaxLearned: 1}, before: []before{heard(bob, 3)}, in: 1, dst: bob, src: alice,
			want: Verdict{Out: to(3), Action: Forward, Work: Finished | Work(Refused) | Looked}},
		{claim: "a full table still moves the stations it knows",
			cfg: Config{MaxLearned: 1}, before: []before{heard(alice, 3)}, in: 1, dst: bob, src: alice,
			want: Verdict{Out: to(2, 3), Action: Flood, Work: Finished | Flooded | Work(Moved) | Looked}},
		{claim: "static entries take no room of learned ones",
			cfg: Config{MaxLearned: 1}, in: 1, dst: bob, src: alice,
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.Add(Entry{MAC: carol, Port: 2, Kind: Static})) }},
			want:   Verdict{Out: to(2, 3), Action: Flood, Work: Finished | Flooded | Work(Created) | Looked}},
		{claim: "a learned entry that is made static gives its room back",
			cfg: Config{MaxLearned: 1}, in: 1, dst: bob, src: alice,
			before: []before{heard(carol, 1), func(t *testing.T, b *Bridge) { must(t, b.Add(Entry{MAC: carol, Port: 2, Kind: Static})) }},
			want:   Verdict{Out: to(2, 3), Action: Flood, Work: Finished | Flooded | Work(Created) | Looked}},

		{claim: "the host's unicast goes to its port, its source is not learned",
			cfg: Config{MAC: own}, before: []before{heard(bob, 2)}, in: Local, dst: bob, src: alice,
			want: Verdict{Out: to(2), Action: Forward, Work: Looked}},
		{claim: "the host's unknown unicast goes to all ports and not back up",
			in: Local, dst: bob, src: own,
			want: Verdict{Out: to(1, 2, 3), Action: Flood, Work: Flooded | Looked}},
		{claim: "the host's broadcast goes to all ports and not back up",
			in: Local, dst: all, src: own,
			want: Verdict{Out: to(1, 2, 3), Action: Flood, Work: Flooded}},
		{claim: "the host may send pause frames",
			in: Local, dst: linkLocal(1), src: own,
			want: Verdict{Out: to(1, 2, 3), Action: Flood, Work: Flooded | MDBLooked}},
		{claim: "the host's source is not checked",
			in: Local, dst: all, src: MAC{},
			want: Verdict{Out: to(1, 2, 3), Action: Flood, Work: Flooded}},
		{claim: "the host's frame to the bridge's own address dies",
			cfg: Config{MAC: own}, in: Local, dst: own, src: own,
			want: Verdict{Reason: cost.RSSamePort, Work: Looked}},
		{claim: "the host's frame to a port's own address leaves by that port",
			in: Local, dst: portOwn, src: own,
			want: Verdict{Out: to(3), Action: Forward, Work: Looked}},

		{claim: "promiscuous: known unicast goes up, too",
			cfg: promisc, before: []before{heard(bob, 3)}, in: 2, dst: bob, src: alice,
			want: Verdict{Out: to(3, Local), Action: Forward, Work: Finished | Work(Created) | Looked | PassedUp}},
		{claim: "promiscuous: a frame for its own port goes up instead of dying",
			cfg: promisc, before: []before{heard(bob, 2)}, in: 2, dst: bob, src: alice,
			want: Verdict{Out: to(Local), Action: Up, Work: Finished | Work(Created) | Looked | PassedUp}},
		{claim: "promiscuous: unknown unicast goes up, too",
			cfg: promisc, in: 2, dst: bob, src: alice,
			want: Verdict{Out: to(1, 3, Local), Action: Flood, Work: Finished | Flooded | Work(Created) | Looked | PassedUp}},
		{claim: "promiscuous: what the host sends does not come back",
			cfg: promisc, in: Local, dst: bob, src: own,
			want: Verdict{Out: to(1, 2, 3), Action: Flood, Work: Flooded | Looked}},

		{claim: "a port that was removed hands in nothing",
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.RemovePort(2)) }},
			in:     2, dst: all, src: alice, want: Verdict{Reason: cost.NotSpecified}},
		{claim: "a port that never was hands in nothing",
			in: 99, dst: all, src: alice, want: Verdict{Reason: cost.NotSpecified}},
		{claim: "a negative port hands in nothing",
			in: -1, dst: all, src: alice, want: Verdict{Reason: cost.NotSpecified}},
		{claim: "nothing is flooded to a removed port",
			before: []before{func(t *testing.T, b *Bridge) { must(t, b.RemovePort(2)) }},
			in:     1, dst: all, src: alice,
			want: Verdict{Out: to(3, Local), Action: Flood, Work: Finished | Flooded | Work(Created) | PassedUp}},
		{claim: "a station goes with its port",
			before: []before{heard(bob, 2), func(t *testing.T, b *Bridge) { must(t, b.RemovePort(2)) }},
			in:     1, dst: bob, src: alice,
			want: Verdict{Out: to(3), Action: Flood, Work: Finished | Flooded | Work(Created) | Looked}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			b := mustNew(t, c.cfg)
			mustAdd(t, b, PortConfig{Name: "wire"})
			mustAdd(t, b, PortConfig{Name: "tap0"})
			mustAdd(t, b, PortConfig{Name: "tap1", MAC: portOwn})
			for _, f := range c.before {
				f(t, b)
			}
			if diff := verdictDiffers(b.send(c.in, c.dst, c.src, now), c.want); diff != "" {
				t.Error(diff)
			}
			must(t, b.Check())
		})
	}
}

func TestFrameWithoutHeaderIsDropped(t *testing.T) {
	b := mustNew(t, Config{})
	p := mustAdd(t, b, PortConfig{})
	mustAdd(t, b, PortConfig{})
	h := header(all, alice)
	for n := range 14 {
		if v := b.Handle(p, h[:n], 0); v.Action != Drop || v.Reason != cost.PktTooSmall || v.Work != 0 {
			t.Errorf("%d bytes from a port: %+v", n, v)
		}
		if v := b.Handle(Local, h[:n:n], 0); v.Action != Drop || v.Reason != cost.PktTooSmall {
			t.Errorf("%d bytes from the host: %+v", n, v)
		}
	}
	if b.Len() != 0 {
		t.Error("a source without a whole header was learned")
	}
	if v := b.Handle(p, h[:14], 0); v.Action != Flood {
		t.Errorf("14 bytes: %+v", v)
	}
}

func TestFloodWithoutOtherPorts(t *testing.T) {
	b := mustNew(t, Config{})
	if v := b.send(Local, all, own, 0); v.Action != Drop || v.Reason != cost.NoTxTarget || !v.Work.Has(Flooded) {
		t.Errorf("host's broadcast without any port: %+v", v)
	}
	p := mustAdd(t, b, PortConfig{})
	if v := b.send(p, bob, alice, 0); v.Action != Drop || v.Reason != cost.NoTxTarget || !v.Work.Has(Flooded) {
		t.Errorf("unknown unicast on the only port: %+v", v)
	}
	if v := b.send(p, all, alice, 0); v.Action != Flood || !slices.Equal(v.Out, to(Local)) || v.Copies() != 1 || v.Clones() != 0 {
		t.Errorf("broadcast on the only port goes up alone: %+v", v)
	}
	if got := b.PortStats(p); got != (PortStats{Rx: 2, Drops: 1}) {
		t.Errorf("port counts %+v", got)
	}
	if got := b.PortStats(Local); got != (PortStats{Rx: 1, Tx: 1, Drops: 1}) {
		t.Errorf("host counts %+v", got)
	}
}

// Between known stations the copy is the port's own, which nothing was put into.
func TestKnownStationsGoTheShortWay(t *testing.T) {
	b := mustNew(t, Config{MAC: own})
	for range 3 {
		mustAdd(t, b, PortConfig{Isolated: true})
	}
	must(t, b.SetPort(3, PortConfig{}))
	b.send(1, all, alice, 0)
	b.send(3, all, bob, 0)
	if v := b.send(1, bob, alice, 0); v.Work != Usual || &v.Out[0] != &b.ports[3].self[0] {
		t.Errorf("%+v", v)
	}
}

func TestClones(t *testing.T) {
	b := mustNew(t, Config{MAC: own})
	for range 4 {
		mustAdd(t, b, PortConfig{})
	}
	for _, c := range []struct {
		claim          string
		v              Verdict
		copies, clones int
	}{
		{"a broadcast: three ports and up", b.send(1, all, alice, 0), 4, 3},
		{"an unknown unicast: three ports", b.send(1, bob, alice, 0), 3, 2},
		{"to the host", b.send(1, own, alice, 0), 1, 0},
		{"filtered", b.send(1, alice, alice, 0), 0, 0},
		{"reserved, for the port", b.send(1, linkLocal(2), alice, 0), 1, 0},
	} {
		if c.v.Copies() != c.copies || c.v.Clones() != c.clones {
			t.Errorf("%s: %d copies, %d clones, want %d and %d", c.claim, c.v.Copies(), c.v.Clones(), c.copies, c.clones)
		}
	}
}

func TestOnlyFinishedFramesReachTheBridge(t *testing.T) {
	b := mustNew(t, Config{MAC: own})
	mustAdd(t, b, PortConfig{})
	mustAdd(t, b, PortConfig{})
	for _, c := range []struct {
		dst, src MAC
		want     bool
	}{
		{all, alice, true}, {own, alice, true}, {alice, alice, true}, {bob, alice, true},
		{all, group, false}, {linkLocal(1), alice, false}, {linkLocal(3), alice, false},
	} {
		if v := b.send(1, c.dst, c.src, 0); v.Work.Has(Finished) != c.want {
			t.Errorf("%v from %v: finished is %v", c.dst, c.src, !c.want)
		}
	}
}

func TestSetupThatCannotBe(t *testing.T) {
	b := mustNew(t, Config{})
	p := mustAdd(t, b, PortConfig{})
	_, negative := New(Config{Ageing: -2})
	_, badMAC := New(Config{MAC: group})
	_, tooMany := New(Config{MaxLearned: maxEntries + 1})
	_, fewer := New(Config{MaxLearned: -2})
	_, mask := New(Config{GroupFwdMask: 1 << 2})
	_, portMAC := b.AddPort(PortConfig{Name: "tap7", MAC: group})
	_, parse := ParseMAC("02:00:00:00:00")
	_, long := ParseMAC("02:00:00:00:00:00:00:01")
	for _, c := range []struct {
		claim string
		err   error
		is    error
	}{
		{"negative ageing", negative, ErrConfig},
		{"group address of the bridge", badMAC, ErrAddress},
		{"bound too large", tooMany, ErrConfig},
		{"negative bound", fewer, ErrConfig},
		{"group_fwd_mask with LACP", mask, ErrConfig},
		{"group address of a port", portMAC, ErrAddress},
		{"static group", b.Add(Entry{MAC: group, Port: p, Kind: Static}), ErrAddress},
		{"static zero", b.Add(Entry{MAC: MAC{}, Port: p, Kind: Static}), ErrAddress},
		{"static on no port", b.Add(Entry{MAC: alice, Port: 9, Kind: Static}), ErrNoPort},
		{"static on the host", b.Add(Entry{MAC: alice, Port: Local, Kind: Static}), ErrNoPort},
		{"local group", b.Add(Entry{MAC: group, Port: Local, Kind: Permanent}), ErrAddress},
		{"local on no port", b.Add(Entry{MAC: alice, Port: 9, Kind: Permanent}), ErrNoPort},
		{"local on a negative port", b.Add(Entry{MAC: alice, Port: -1, Kind: Permanent}), ErrNoPort},
		{"removing the host", b.RemovePort(Local), ErrNoPort},
		{"removing no port", b.RemovePort(9), ErrNoPort},
		{"short address", parse, nil},
		{"long address", long, nil},
	} {
		if c.err == nil || c.is != nil && !errors.Is(c.err, c.is) || !strings.HasPrefix(c.err.Error(), "bridge: ") {
			t.Errorf("%s: %v", c.claim, c.err)
		}
	}
	if b.Len() != 0 || len(b.Ports()) != 1 {
		t.Error("a refused call left something behind")
	}
}

func TestPortNumbersAreGivenOutAgainLowestFirst(t *testing.T) {
	b := mustNew(t, Config{})
	for want := Port(1); want <= 5; want++ {
		if p := mustAdd(t, b, PortConfig{}); p != want {
			t.Fatalf("port %d, want %d", p, want)
		}
	}
	must(t, b.RemovePort(4))
	must(t, b.RemovePort(2))
	if p := mustAdd(t, b, PortConfig{Name: "again"}); p != 2 || b.PortConfig(2).Name != "again" || b.PortStats(2) != (PortStats{}) {
		t.Errorf("port %d %+v %+v", p, b.PortConfig(p), b.PortStats(p))
	}
	if got := b.Ports(); !slices.Equal(got, []Port{1, 2, 3, 5}) {
		t.Errorf("ports %v", got)
	}
	if v := b.send(3, all, alice, 0); !slices.Equal(v.Out, to(1, 2, 5, Local)) {
		t.Errorf("flooded to %v", v.Out)
	}
	must(t, b.Check())
}

func TestPortsHaveABound(t *testing.T) {
	b := mustNew(t, Config{})
	for range MaxPorts {
		mustAdd(t, b, PortConfig{})
	}
	if _, err := b.AddPort(PortConfig{}); !errors.Is(err, ErrFull) {
		t.Errorf("port %d: %v", MaxPorts+1, err)
	}
	b.send(MaxPorts, all, alice, 0)
	if v := b.send(1, alice, bob, 0); !slices.Equal(v.Out, to(MaxPorts)) {
		t.Errorf("to the last port: %+v", v)
	}
	if v := b.send(1, all, bob, 0); len(v.Out) != MaxPorts {
		t.Errorf("%d copies", len(v.Out))
	}
	must(t, b.Check())
}

func TestLocalAddresses(t *testing.T) {
	t.Run("the first interface keeps a shared address", func(t *testing.T) {
		b := mustNew(t, Config{MAC: own})
		p := mustAdd(t, b, PortConfig{MAC: own})
		if e, _ := b.Lookup(own, 0, 0); e.Port != Local || e.Kind != Permanent {
			t.Errorf("%+v", e)
		}
		must(t, b.RemovePort(p))
		if e, ok := b.Lookup(own, 0, 0); !ok || e.Port != Local {
			t.Errorf("after the other one went: %+v %v", e, ok)
		}
	})
	t.Run("a shared address passes on when its interface goes", func(t *testing.T) {
		b := mustNew(t, Config{})
		first := mustAdd(t, b, PortConfig{MAC: portOwn})
		second := mustAdd(t, b, PortConfig{MAC: portOwn})
		must(t, b.RemovePort(first))
		if e, ok := b.Lookup(portOwn, 0, 0); !ok || e.Port != second || e.Kind != Permanent {
			t.Errorf("%+v %v", e, ok)
		}
		must(t, b.RemovePort(second))
		if _, ok := b.Lookup(portOwn, 0, 0); ok {
			t.Error("address is still there when all its interfaces are gone")
		}
	})
	t.Run("it takes the place of what was learned", func(t *testing.T) {
		b := mustNew(t, Config{MaxLearned: 1})
		mustAdd(t, b, PortConfig{})
		b.send(1, all, portOwn, 5)
		p := mustAdd(t, b, PortConfig{MAC: portOwn})
		if e, _ := b.Lookup(portOwn, 0, 5); e.Port != p || e.Kind != Permanent || b.Learned() != 0 {
			t.Errorf("%+v, %d learned", e, b.Learned())
		}
		must(t, b.Check())
	})
	t.Run("a static entry may take its place", func(t *testing.T) {
		b := mustNew(t, Config{MAC: own})
		p := mustAdd(t, b, PortConfig{})
		must(t, b.Add(Entry{MAC: own, Port: p, Kind: Static}))
		if e, _ := b.Lookup(own, 0, 0); e.Port != p || e.Kind != Static {
			t.Errorf("%+v", e)
		}
	})
}

func TestDelete(t *testing.T) {
	b := mustNew(t, Config{MAC: own})
	p := mustAdd(t, b, PortConfig{})
	mustAdd(t, b, PortConfig{})
	b.send(p, all, alice, 0)
	must(t, b.Add(Entry{MAC: bob, Port: p, Kind: Static, Sticky: true}))
	for _, mac := range []MAC{alice, bob, own} {
		if !b.Delete(mac, 0) {
			t.Errorf("%v was not there", mac)
		}
		if b.Delete(mac, 0) {
			t.Errorf("%v was there twice", mac)
		}
	}
	if b.Len() != 0 || b.Learned() != 0 {
		t.Errorf("%d entries, %d learned", b.Len(), b.Learned())
	}
	if v := b.send(2, alice, carol, 0); v.Action != Flood {
		t.Errorf("to a deleted station: %+v", v)
	}
	must(t, b.Check())
}

func TestAgeing(t *testing.T) {
	const s = sim.Second
	setup := func(t *testing.T, cfg Config) *Bridge {
		b := mustNew(t, cfg)
		mustAdd(t, b, PortConfig{})
		mustAdd(t, b, PortConfig{})
		mustAdd(t, b, PortConfig{})
		return b
	}
	t.Run("an entry lasts 300 s from its station's last frame", func(t *testing.T) {
		b := setup(t, Config{})
		b.send(2, all, bob, 0)
		b.send(2, all, bob, 100*s)
		if _, removed, next := age(b, 400*s-1); removed != 0 || next < 400*s {
			t.Errorf("a moment before: %d removed, next %v", removed, next)
		}
		if v := b.send(1, bob, alice, 400*s-1); v.Action != Forward {
			t.Errorf("a moment before: %+v", v)
		}
		if looked, removed, _ := age(b, 400*s); looked != 2 || removed != 1 {
			t.Errorf("%d looked at, %d removed", looked, removed)
		}
		if v := b.send(1, bob, alice, 400*s); v.Action != Flood {
			t.Errorf("after: %+v", v)
		}
		if b.Stats().Aged != 1 {
			t.Errorf("%+v", b.Stats())
		}
	})
	t.Run("being sent to does not keep an entry young", func(t *testing.T) {
		b := setup(t, Config{})
		b.send(2, all, bob, 0)
		b.send(1, bob, alice, 299*s)
		if _, removed, _ := age(b, 300*s); removed != 1 {
			t.Errorf("%d removed", removed)
		}
	})
	t.Run("only the walk ends an entry, as in Linux", func(t *testing.T) {
		b := setup(t, Config{})
		b.send(2, all, bob, 0)
		if e, ok := b.Lookup(bob, 0, 1000*s); !ok || !e.Stale {
			t.Errorf("%+v %v", e, ok)
		}
		if v := b.send(1, bob, alice, 1000*s); v.Action != Forward {
			t.Errorf("%+v", v)
		}
		if v := b.send(2, alice, bob, 1000*s); v.Work.Learned() != Refreshed {
			t.Errorf("%+v", v)
		}
		if _, removed, _ := age(b, 1000*s); removed != 0 {
			t.Errorf("%d removed", removed)
		}
	})
	t.Run("static and local entries do not age", func(t *testing.T) {
		b := setup(t, Config{MAC: own})
		must(t, b.Add(Entry{MAC: bob, Port: 2, Kind: Static}))
		if looked, removed, next := age(b, 1000000*s); looked != 2 || removed != 0 || next != sim.Never {
			t.Errorf("%d looked at, %d removed, next %v", looked, removed, next)
		}
	})
	t.Run("a static entry that moved does not age either", func(t *testing.T) {
		b := setup(t, Config{})
		must(t, b.Add(Entry{MAC: bob, Port: 2, Kind: Static}))
		b.send(1, all, bob, 0)
		if _, removed, _ := age(b, 1000*s); removed != 0 {
			t.Errorf("%d removed", removed)
		}
	})
	t.Run("the next walk is when the next entry ages", func(t *testing.T) {
		b := setup(t, Config{})
		b.send(2, all, bob, 50*s)
		b.send(1, all, alice, 70*s)
		if _, _, next := age(b, 100*s); next != 350*s || b.Due() != next {
			t.Errorf("next %v, due %v", next, b.Due())
		}
		if _, removed, next := age(b, 350*s); removed != 1 || next != 370*s {
			t.Errorf("%d removed, next %v", removed, next)
		}
	})
	t.Run("two walks are 10 ms apart at the least", func(t *testing.T) {
		b := setup(t, Config{})
		b.send(2, all, bob, 0)
		if _, _, next := age(b, 300*s-sim.Microsecond); next != 300*s-sim.Microsecond+10*sim.Millisecond {
			t.Errorf("next %v", next)
		}
	})
	t.Run("an empty table is not walked until it learns again", func(t *testing.T) {
		b := setup(t, Config{})
		if b.Due() != sim.Never {
			t.Errorf("due %v at the start", b.Due())
		}
		b.send(2, all, bob, 7*s)
		b.send(2, all, bob, 8*s)
		b.send(2, all, alice, 9*s)
		if b.Due() != 307*s {
			t.Errorf("due %v after the first station", b.Due())
		}
		if looked, removed, next := age(b, 309*s); looked != 2 || removed != 2 || next != sim.Never {
			t.Errorf("%d looked at, %d removed, next %v", looked, removed, next)
		}
		b.send(2, all, bob, 400*s)
		if b.Due() != 700*s {
			t.Errorf("due %v when it learns again", b.Due())
		}
	})
	t.Run("with ageing Never nothing ages", func(t *testing.T) {
		b := setup(t, Config{Ageing: sim.Never})
		b.send(2, all, bob, 1)
		if _, removed, next := age(b, sim.Never-1); removed != 0 || next != sim.Never || b.Due() != sim.Never {
			t.Errorf("%d removed, next %v, due %v", removed, next, b.Due())
		}
		if e, _ := b.Lookup(bob, 0, sim.Never-1); e.Stale {
			t.Errorf("%+v", e)
		}
	})
	t.Run("a hub has nothing to walk for", func(t *testing.T) {
		b := setup(t, Config{Ageing: Hub, MAC: own})
		b.send(2, all, bob, 0)
		if looked, removed, next := age(b, s); looked != 0 || removed != 0 || next != sim.Never {
			t.Errorf("%d looked at, %d removed, next %v", looked, removed, next)
		}
	})
	t.Run("the end of time does not wrap", func(t *testing.T) {
		b := setup(t, Config{})
		b.send(2, all, bob, sim.Never-s)
		if _, removed, next := age(b, sim.Never-1); removed != 0 || next != sim.Never {
			t.Errorf("%d removed, next %v", removed, next)
		}
	})
	t.Run("a full table learns again when entries have aged", func(t *testing.T) {
		b := setup(t, Config{MaxLearned: 1})
		b.send(2, all, bob, 0)
		if v := b.send(1, bob, alice, 300*s); v.Work.Learned() != Refused {
			t.Errorf("before the walk: %+v", v)
		}
		age(b, 300*s)
		if v := b.send(1, bob, alice, 300*s); v.Work.Learned() != Created {
			t.Errorf("after the walk: %+v", v)
		}
		if b.Stats().Refused != 1 {
			t.Errorf("%+v", b.Stats())
		}
	})
}

func TestEntriesAreSortedByAddress(t *testing.T) {
	b := mustNew(t, Config{})
	p := mustAdd(t, b, PortConfig{})
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		b.send(p, all, stationMAC(r.IntN(1<<30)), 0)
	}
	entries := b.Entries(0)
	if len(entries) != b.Len() || !slices.IsSortedFunc(entries, func(x, y Entry) int {
		return strings.Compare(x.MAC.String(), y.MAC.String())
	}) {
		t.Error("not all, or not sorted")
	}
}

func TestNames(t *testing.T) {
	mac, err := ParseMAC("02:00:5e:00:53:ff")
	must(t, err)
	for _, c := range []struct{ got, want string }{
		{mac.String(), "02:00:5e:00:53:ff"},
		{mac.addr().mac().String(), "02:00:5e:00:53:ff"},
		{Drop.String(), "drop"}, {PassPort.String(), "pass port"}, {Action(99).String(), "?"},
		{OwnAddress.String(), "own address"}, {Learned(99).String(), "?"},
		{Permanent.String(), "permanent"}, {Kind(99).String(), "?"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	b := mustNew(t, Config{MAC: own})
	for range 100 {
		mustAdd(t, b, PortConfig{})
	}
	b.send(1, all, alice, 0)
	b.send(2, all, bob, 0)
	frames := []struct {
		name string
		send func(now sim.Time)
	}{
		{"unicast, known to known", func(now sim.Time) { b.send(1, bob, alice, now) }},
		{"flood", func(now sim.Time) { b.send(1, all, alice, now) }},
		{"move", func(now sim.Time) { b.send(3+Port(now)%2, all, carol, now) }},
		{"from the host", func(now sim.Time) { b.send(Local, bob, own, now) }},
		{"to the host", func(now sim.Time) { b.send(1, own, alice, now) }},
		{"drop", func(now sim.Time) { b.send(1, all, group, now) }},
		{"learn and age", func(now sim.Time) {
			at := now * 1000 * sim.Second
			b.send(1, bob, stationMAC(int(now)), at)
			age(b, at)
		}},
	}
	office, err := New(Config{MAC: own, VLANFiltering: true, VLANStats: true})
	must(t, err)
	for range 100 {
		mustAdd(t, office, PortConfig{VLANs: []VLAN{{VID: 7}}})
	}
	group, ask, tag := igmpFrame(2, 1, alice), igmpFrame(1, 0, carol), tagged(7, all, alice)
	b.Handle(4, ask, 0)
	b.Tick(20 * sim.Second)
	b.Handle(5, report(1, bob), 20*sim.Second)
	untagged, untaggedOne := plain(all, alice), plain(bob, alice)
	office.Handle(2, plain(all, bob), 0)
	frames = append(frames, []struct {
		name string
		send func(now sim.Time)
	}{
		{"to a known group", func(sim.Time) { b.Handle(1, group, 20*sim.Second) }},
		{"a tagged flood", func(now sim.Time) { office.Handle(1, tag, now) }},
		{"an untagged flood with VLANs", func(now sim.Time) { office.Handle(1, untagged, now) }},
		{"unicast with VLANs", func(now sim.Time) { office.Handle(1, untaggedOne, now) }},
	}...)
	now := sim.Time(0)
	for _, f := range frames {
		if n := testing.AllocsPerRun(1000, func() { now++; f.send(now) }); n != 0 {
			t.Errorf("%s: %v allocations", f.name, n)
		}
	}
}
