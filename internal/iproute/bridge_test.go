package iproute

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/sim"
)

// likeRecorded is a bridge that is set up as the one that iproute2 was asked about.
// Notify is told of it as it is made.
func likeRecorded(t *testing.T, notify func(bridge.Event)) *Bridge {
	t.Helper()
	b, err := bridge.New(bridge.Config{
		Name: "br0", MAC: bridge.MAC{2, 0, 0, 0, 0, 0xfe}, VLANFiltering: true, VLANs: []bridge.VLAN{{VID: 10}},
		Multicast: snoop.Config{IGMPVersion: 3}, Notify: notify,
	})
	require.NoError(t, err)
	var ports []bridge.Port
	links := map[string]Interface{"br0": {Index: 2}}
	for i, c := range []bridge.PortConfig{
		{Name: "t0", VLANs: []bridge.VLAN{{VID: 10, End: 20}, {VID: 22}}},
		{Name: "t1", NoPVID: true, VLANs: []bridge.VLAN{{VID: 10, PVID: true, Untagged: true}}},
		{Name: "t2"},
	} {
		c.MAC = bridge.MAC{2, 0, 0, 0, 0x0a, byte(i)}
		c.LinkDown = true
		p, err := b.AddPort(c)
		require.NoError(t, err)
		ports = append(ports, p)
		links[c.Name] = Interface{Index: 3 + i}
	}
	station := func(i byte) bridge.MAC { return bridge.MAC{2, 0, 0, 0, 0, i} }
	for _, e := range []bridge.Entry{
		{MAC: station(0x11), Port: ports[0], VLAN: 10, Kind: bridge.Static},
		{MAC: station(0x12), Port: ports[1], Kind: bridge.Static, Sticky: true},
		{MAC: station(0x14), Port: ports[1], Kind: bridge.Permanent},
		{MAC: station(0x15), Port: ports[1], VLAN: 10, ExternLearned: true},
		{MAC: station(0x16), Port: bridge.Local, Kind: bridge.Permanent},
		{MAC: station(0x11), Port: ports[1], VLAN: 10, Kind: bridge.Static},
	} {
		require.NoError(t, b.Add(e))
	}
	ip := func(s string) snoop.Group { return snoop.Group{IP: netip.MustParseAddr(s)} }
	for _, e := range []snoop.Static{
		{Port: snoop.Port(ports[0]), Group: ip("239.1.1.1"), VID: 10, Permanent: true},
		{Port: snoop.Port(ports[1]), Group: ip("239.1.1.2"), Source: netip.MustParseAddr("10.0.0.1"), VID: 10, Permanent: true},
		{Port: snoop.Port(ports[1]), Group: ip("ff1e::5"), VID: 10, Permanent: true},
		{Port: snoop.Port(ports[2]), Group: snoop.Group{MAC: snoop.MAC{1, 2, 3, 4, 5, 6}}, VID: 1, Permanent: true},
		{Port: snoop.Local, Group: ip("239.1.1.3"), VID: 10},
	} {
		require.NoError(t, b.AddMDB(e))
	}
	for p, change := range map[bridge.Port]func(*bridge.PortConfig){
		ports[1]: func(c *bridge.PortConfig) {
			c.McastRouter, c.Isolated, c.NeighSuppress, c.NoLearning, c.BackupPort = snoop.RouterTemp, true, true, true, "t2"
		},
		ports[2]: func(c *bridge.PortConfig) { c.McastRouter = snoop.RouterAlways },
	} {
		c := b.PortConfig(p)
		change(&c)
		require.NoError(t, b.SetPort(p, c))
	}
	return New(b, links, 0)
}

func printed(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b))
	return strings.NewReplacer(" neigh_vlan_suppress off", "", " mab off", "").Replace(strings.TrimRight(b.String(), "\n"))
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A bridge that is set up by the same commands shows the same tables, in another
// order where the kernel's is that of its hash.
func TestABridgeSetUpAlikeShowsTheSame(t *testing.T) {
	b, rec := likeRecorded(t, nil), recorded(t)
	for name, o := range map[string]Options{"vlan show": {}, "-d vlan show": {Details: true}, "-d -s vlan show": {Details: true, Stats: true}} {
		assert.Equal(t, rec["bridge "+name], printed(t, func(w *bytes.Buffer) error { return WriteVLAN(w, b.VLANPorts(o)) }), name)
	}
	for name, o := range map[string]Options{"link show": {}, "-d link show": {Details: true}} {
		assert.Equal(t, rec["bridge "+name], printed(t, func(w *bytes.Buffer) error { return WriteLinks(w, b.LinkRows(o)) }), name)
	}
	for name, o := range map[string]Options{"fdb show": {}, "fdb show dev t1": {Dev: "t1"}} {
		got := printed(t, func(w *bytes.Buffer) error { return WriteFDB(w, b.FDBs(o)) })
		assert.Equal(t, sorted(rec["bridge "+name]), sorted(got), name)
	}
	for name, o := range map[string]Options{"mdb show": {}, "-d mdb show": {Details: true}} {
		got := printed(t, func(w *bytes.Buffer) error { return WriteMDB(w, MDBs([]*Bridge{b}, o)) })
		assert.Equal(t, sorted(rec["bridge "+name]), sorted(got), name)
	}
}

func TestWhatIsAskedForIsShownAlone(t *testing.T) {
	b := likeRecorded(t, nil)
	assert.Len(t, b.FDBs(Options{Dev: "t1", VLAN: 10, State: "static"}), 2)
	for _, r := range b.FDBs(Options{Dev: "t1"}) {
		assert.Empty(t, r.IfName, "the interface is known")
	}
	assert.Len(t, b.VLANPorts(Options{VLAN: 22}), 1)
	assert.Len(t, b.VLANPorts(Options{Dev: "t2"}), 1)
	assert.Len(t, MDBs([]*Bridge{b}, Options{VLAN: 1}).Entries, 1)
	assert.Len(t, MDBs([]*Bridge{b}, Options{Dev: "t1"}).Entries, 2)
	assert.Len(t, MDBs([]*Bridge{b}, Options{Dev: "br0"}).Entries, 5)
	assert.Empty(t, MDBs([]*Bridge{b}, Options{Dev: "t1", Details: true}).Routers)
	assert.Len(t, MDBs([]*Bridge{b}, Options{Dev: "t2", Details: true}).Routers["br0"], 1)
	assert.Len(t, b.LinkRows(Options{Dev: "t1"}), 1)
	assert.Equal(t, []FDB{}, b.FDBs(Options{Dev: "t7"}), "an empty list in JSON, not null")
	assert.Equal(t, []VLANPort{}, b.VLANPorts(Options{Dev: "t7"}))
	assert.Equal(t, []Link{}, b.LinkRows(Options{Dev: "t7"}))
}

func TestStatsTellHowOldAnEntryIs(t *testing.T) {
	b := likeRecorded(t, nil)
	b.at = 7500 * sim.Millisecond
	for _, r := range b.FDBs(Options{Stats: true}) {
		require.NotNil(t, r.Updated)
		assert.EqualValues(t, 7, *r.Updated)
		assert.Contains(t, r.String(), " updated 7 ")
	}
}

// What a bridge says as it is set up is what bridge monitor printed of the kernel's,
// but for the links, of which the kernel says more, and for ranges of VLANs, of which
// it speaks at once.
func TestEventsOfABridgeSetUpAlikeAreTheSame(t *testing.T) {
	var events []bridge.Event
	b := likeRecorded(t, func(e bridge.Event) { events = append(events, e) })
	monitor := recorded(t)["bridge monitor all"]
	seen := map[string]int{}
	for _, e := range events {
		row := b.Event(e)
		seen[row.Label]++
		if row.Label == "LINK" || strings.Contains(row.Text(false, false), "dev br0") || row.Dev() == "br0" {
			continue
		}
		text := strings.Replace(row.Text(true, false), "t0                10\n", "t0                10-20\n", 1)
		if e.Kind == bridge.VLANChange && e.VLAN.VID > 10 && e.VLAN.VID <= 20 {
			continue
		}
		assert.True(t, strings.Contains("\n"+monitor+"\n", "\n"+text+"\n"), text)
	}
	for _, label := range []string{"NEIGH", "VLAN", "MDB"} {
		assert.NotZero(t, seen[label], label)
	}
}

func TestAStationThatMovesToAndFroIsShown(t *testing.T) {
	b, err := bridge.New(bridge.Config{Name: "br0"})
	require.NoError(t, err)
	p, err := b.AddPort(bridge.PortConfig{Name: "a"})
	require.NoError(t, err)
	q, err := b.AddPort(bridge.PortConfig{Name: "b"})
	require.NoError(t, err)
	frame := append(append([]byte{2, 0, 0, 0, 0, 9}, 2, 0, 0, 0, 0, 1), make([]byte, 48)...)
	for i := range bridge.FlapMoves + 1 {
		b.Handle([]bridge.Port{p, q}[i%2], frame, sim.Time(i+1)*sim.Second)
	}
	now := sim.Time(bridge.FlapMoves+1) * sim.Second
	rows := New(b, nil, now).Flaps(Options{})
	require.Len(t, rows, 1)
	assert.Equal(t, "02:00:00:00:00:01 between a and b moves 5 first 2.000000000 last 6.000000000 master br0", rows[0].String())
	assert.Len(t, New(b, nil, now).Flaps(Options{Dev: "a"}), 1)
	assert.Equal(t, []Flap{}, New(b, nil, now).Flaps(Options{Dev: "c"}))
}

func TestVLANsThatDifferInSuppressionAreNoRange(t *testing.T) {
	b, err := bridge.New(bridge.Config{DefaultPVID: bridge.NoPVID, VLANFiltering: true})
	require.NoError(t, err)
	p, err := b.AddPort(bridge.PortConfig{Name: "t1", NeighVLANSuppress: true, VLANs: []bridge.VLAN{{VID: 5, End: 8}, {VID: 7, NeighSuppress: true}}})
	require.NoError(t, err)
	require.Equal(t, bridge.Port(1), p)
	rows := New(b, nil, 0).VLANPorts(Options{Details: true})
	require.Len(t, rows, 1)
	require.Equal(t, "t1                5-6\n                    state forwarding mcast_router 1 \n"+
		"                  7\n                    state forwarding mcast_router 1 neigh_suppress on \n"+
		"                  8\n                    state forwarding mcast_router 1 ", rows[0].String())
}
