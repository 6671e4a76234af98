package iproute

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded is what iproute2 printed, by its command line.
func recorded(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/iproute2.txt")
	require.NoError(t, err)
	sections := map[string]string{}
	for _, s := range strings.Split(string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		sections[name] = strings.TrimRight(body, "\n")
	}
	return sections
}

// decode reads what iproute2 printed as JSON: a field that it has and we do not is
// an error.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(into))
}

// What iproute2 prints as JSON, read into our rows, prints as iproute2's text: so
// the rows have its fields, and the text its words and order.
func TestTextIsWhatIproute2Prints(t *testing.T) {
	rec := recorded(t)
	same := func(name string, write func(*bytes.Buffer) error) {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		want := rec["bridge "+name]
		require.NotEmpty(t, want, name)
		assert.Equal(t, want, strings.TrimRight(b.String(), "\n"), name)
	}
	for _, name := range []string{"fdb show", "fdb show dev t1"} {
		var rows []FDB
		decode(t, rec["bridge -j "+name], &rows)
		same(name, func(b *bytes.Buffer) error { return WriteFDB(b, rows) })
	}
	for _, name := range []string{"vlan show", "-d vlan show", "-d -s vlan show"} {
		var rows []VLANPort
		decode(t, rec["bridge -j "+name], &rows)
		same(name, func(b *bytes.Buffer) error { return WriteVLAN(b, rows) })
	}
	for _, name := range []string{"mdb show", "-d mdb show"} {
		var m []MDB
		decode(t, rec["bridge -j "+name], &m)
		require.Len(t, m, 1)
		for br := range m[0].Routers {
			m[0].bridges = append(m[0].bridges, br)
		}
		same(name, func(b *bytes.Buffer) error { return WriteMDB(b, m[0]) })
	}
	for _, name := range []string{"link show", "-d link show"} {
		var rows []Link
		decode(t, rec["bridge -j "+name], &rows)
		var b bytes.Buffer
		require.NoError(t, WriteLinks(&b, rows))
		text := strings.NewReplacer(" neigh_vlan_suppress off", "", " mab off", "").Replace(b.String()) // younger than 6.1
		assert.Equal(t, rec["bridge "+name], strings.TrimRight(text, "\n"), name)
	}
}

// What we print as JSON has the fields of iproute2 in its order.
func TestJSONIsWhatIproute2Prints(t *testing.T) {
	rec := recorded(t)
	for name, rows := range map[string]any{
		"fdb show": &[]FDB{}, "fdb show dev t1": &[]FDB{}, "vlan show": &[]VLANPort{}, "-d vlan show": &[]VLANPort{}, "-d -s vlan show": &[]VLANPort{},
		"mdb show": &[]MDB{}, "-d mdb show": &[]MDB{}, "-d -s mdb show": &[]MDB{}, "link show": &[]Link{}, "-d link show": &[]Link{},
	} {
		want := rec["bridge -j "+name]
		decode(t, want, rows)
		got, err := json.Marshal(rows)
		require.NoError(t, err)
		text := strings.NewReplacer(`,"neigh_vlan_suppress":false`, "", `,"mab":false`, "").Replace(string(got))
		assert.Equal(t, want, text, name)
	}
}

func TestTimersOfRoutersAndGroupsAreShown(t *testing.T) {
	rec := recorded(t)
	var m []MDB
	decode(t, rec["bridge -j -d -s mdb show"], &m)
	m[0].bridges, m[0].stats = []string{"br0"}, true
	var b bytes.Buffer
	require.NoError(t, WriteMDB(&b, m[0]))
	got, want := strings.Split(strings.TrimRight(b.String(), "\n"), "\n"), strings.Split(rec["bridge -d -s mdb show"], "\n")
	require.Len(t, got, len(want))
	for i := 1; i < len(want); i++ { // the first is of a group that times out
		assert.Equal(t, want[i], got[i])
	}
	assert.Regexp(t, `^dev br0 port br0 grp 239\.1\.1\.3 temp vid 10  25\d\.\d\d$`, got[0])
	assert.Equal(t, "   0.00", timer(0))
	assert.Equal(t, " 259.99", timer(259_999_999_999_999))
	assert.Equal(t, "12345.00", timer(12345*1e12))
}

func TestEventsAreWhatBridgeMonitorPrints(t *testing.T) {
	monitor := recorded(t)["bridge monitor all"]
	for _, e := range []Event{
		{Label: "NEIGH", FDB: &FDB{MAC: "02:00:00:00:00:11", IfName: "t0", VLAN: 10, Master: "br0", State: "static"}},
		{Label: "NEIGH", FDB: &FDB{MAC: "02:00:00:00:00:12", IfName: "t1", VLAN: 10, Flags: []string{"sticky"}, Master: "br0", State: "static"}},
		{Label: "NEIGH", FDB: &FDB{MAC: "02:00:00:00:00:15", IfName: "t1", VLAN: 10, Flags: []string{"extern_learn"}, Master: "br0"}},
		{Label: "NEIGH", Deleted: true, FDB: &FDB{MAC: "02:00:00:00:00:11", IfName: "t1", VLAN: 10, Master: "br0", State: "static"}},
		{Label: "VLAN", VLAN: &VLANPort{"t0", []VLAN{{VID: 22, VLANDetails: &VLANDetails{"forwarding", 1, false}}}}},
		{Label: "VLAN", VLAN: &VLANPort{"t1", []VLAN{{VID: 10, Flags: []string{"PVID", "Egress Untagged"}, VLANDetails: &VLANDetails{"forwarding", 1, false}}}}},
		{Label: "MDB", MDB: &MDBEntry{Dev: "br0", Port: "t0", Group: "239.1.1.1", State: "permanent", VID: 10}},
		{Label: "MDB", Deleted: true, MDB: &MDBEntry{Dev: "br0", Port: "t0", Group: "239.1.1.1", State: "permanent", VID: 10}},
		{Label: "MDB", Router: &RouterEvent{"t2", "br0"}},
		{Label: "LINK", Link: &Link{IfIndex: 5, IfName: "t2", Flags: []string{"NO-CARRIER", "BROADCAST", "MULTICAST", "UP"}, MTU: 1500, Master: "br0", State: "disabled", Priority: 32, Cost: 100}},
	} {
		assert.Contains(t, "\n"+monitor+"\n", "\n"+e.Text(true, false)+"\n")
	}
	e := Event{TimePs: 1_500_000_007_000, Label: "MDB", Router: &RouterEvent{"t2", "br0"}}
	assert.Equal(t, "[1.500000007] [MDB]router port dev t2 master br0", e.Text(true, true))
	assert.Equal(t, "router port dev t2 master br0", e.Text(false, false))
}
