package iproute

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/sim"
	"ringside/vxlan"
)

// What iproute2 6.1 printed on Linux 6.18 of a vxlan0 with these entries, but for the
// order, and for "used", which is not known here.
const (
	vtepText = `02:00:00:00:aa:03 dst 10.9.0.2 self extern_learn 
02:00:00:00:aa:02 dst 10.9.0.2 self 
02:00:00:00:aa:01 dst 10.9.0.2 port 4790 vni 77 self static
00:00:00:00:00:00 dst 10.9.0.2 self permanent
00:00:00:00:00:00 dst 10.9.0.3 self permanent`
	vtepJSON = `[{"mac":"02:00:00:00:aa:03","dst":"10.9.0.2","flags":["self","extern_learn"],"state":""},{"mac":"02:00:00:00:aa:02","dst":"10.9.0.2","flags":["self"],"state":""},{"mac":"02:00:00:00:aa:01","dst":"10.9.0.2","port":4790,"vni":77,"flags":["self"],"state":"static"},{"mac":"00:00:00:00:00:00","dst":"10.9.0.2","flags":["self"],"state":"permanent"},{"mac":"00:00:00:00:00:00","dst":"10.9.0.3","flags":["self"],"state":"permanent"}]`
)

func vtepBridge(t *testing.T) *Bridge {
	t.Helper()
	br, err := bridge.New(bridge.Config{Name: "br0", MAC: bridge.MAC{2, 0, 0, 0, 0, 1}})
	require.NoError(t, err)
	_, err = br.AddPort(bridge.PortConfig{Name: "vxlan0"})
	require.NoError(t, err)
	two := vxlan.Remote{Addr: netip.MustParseAddr("10.9.0.2")}
	v, err := vxlan.New(vxlan.Config{
		Name: "vxlan0", VNI: 5, Remotes: []netip.Addr{two.Addr, netip.MustParseAddr("10.9.0.3")},
		FDB: []vxlan.Entry{
			{MAC: vxlan.MAC{2, 0, 0, 0, 0xaa, 1}, Kind: vxlan.Static, Remotes: []vxlan.Remote{{Addr: two.Addr, Port: 4790, VNI: 77}}},
			{MAC: vxlan.MAC{2, 0, 0, 0, 0xaa, 2}, Remotes: []vxlan.Remote{two}},
			{MAC: vxlan.MAC{2, 0, 0, 0, 0xaa, 3}, ExternLearned: true, Remotes: []vxlan.Remote{two}},
		},
	})
	require.NoError(t, err)
	b := New(br, nil, 7*sim.Second)
	b.AddVTEP(v)
	return b
}

func TestRemotesAreShownAsIproute2ShowsThem(t *testing.T) {
	rows := vtepBridge(t).FDBs(Options{Dev: "vxlan0"})
	var text bytes.Buffer
	require.NoError(t, WriteFDB(&text, rows))
	assert.ElementsMatch(t, strings.Split(vtepText, "\n"), strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n"))

	var want []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(vtepJSON), &want))
	b, err := json.Marshal(rows)
	require.NoError(t, err)
	var got []json.RawMessage
	require.NoError(t, json.Unmarshal(b, &got))
	lines := func(list []json.RawMessage) (s []string) {
		for _, m := range list {
			s = append(s, string(m))
		}
		slices.Sort(s)
		return s
	}
	assert.Equal(t, lines(want), lines(got))
}

func TestRemotesAreFiltered(t *testing.T) {
	b := vtepBridge(t)
	selves := func(o Options) (n int) {
		for _, r := range b.FDBs(o) {
			if r.self() {
				n++
			}
		}
		return n
	}
	assert.Equal(t, 5, selves(Options{}))
	assert.Equal(t, 0, selves(Options{Dev: "br0"}))
	assert.Equal(t, 0, selves(Options{VLAN: 1}))
	assert.Equal(t, 1, selves(Options{State: "static"}))
	assert.Equal(t, 2, selves(Options{State: "dynamic"}))
	row := b.FDBs(Options{Stats: true, State: "static"})[0]
	assert.Equal(t, "02:00:00:00:aa:01 dev vxlan0 dst 10.9.0.2 port 4790 vni 77 updated 7 self static", row.String())
}
