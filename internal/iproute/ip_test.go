package iproute

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/netstack"
)

var hostLinks = []HostLink{
	{2, "br0", [6]byte{2, 0, 0, 0, 0, 0xfe}, 1500, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}},
	{3, "eth1", [6]byte{2, 0, 0, 0, 1, 0xfe}, 9000, []netip.Prefix{netip.MustParsePrefix("10.0.0.1/31"), netip.MustParsePrefix("fe80::1/64")}},
	{4, "br1", [6]byte{2, 0, 0, 0, 2, 0xfe}, 1500, nil},
}

// What ip(8) of iproute2 6.1 prints, but for the qdisc, the group and the length of
// the transmit queue, which are not there.
func TestIPPrintsAsIproute2Does(t *testing.T) {
	routes := []netstack.Route{
		{Dst: netip.MustParsePrefix("10.0.0.0/31"), Interface: "eth1"},
		{Dst: netip.MustParsePrefix("192.0.2.0/24"), Interface: "br0"},
		{Dst: netip.MustParsePrefix("10.1.0.0/16"), Via: netip.MustParseAddr("10.0.0.0"), Interface: "eth1"},
		{Dst: netip.MustParsePrefix("10.2.0.0/16"), Interface: "eth1"},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.254"), Interface: "br0"},
		{Dst: netip.MustParsePrefix("2001:db8::/64"), Interface: "br0"},
		{Dst: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("fe80::2"), Interface: "eth1"},
	}
	table := []netstack.Neighbour{
		{Interface: "br0", Addr: netip.MustParseAddr("192.0.2.9"), MAC: [6]byte{2, 0, 0, 0, 2}, State: "REACHABLE"},
		{Interface: "br0", Addr: netip.MustParseAddr("192.0.2.10"), State: "FAILED", MAC: [6]byte{2, 0, 0, 0, 3}},
		{Interface: "eth1", Addr: netip.MustParseAddr("fe80::2"), MAC: [6]byte{2, 0, 0, 0, 4}, State: "STALE", Router: true},
	}
	for _, row := range []struct {
		name string
		o    Options
		text func(*bytes.Buffer, Options) error
		want string
	}{
		{"addr", Options{}, func(b *bytes.Buffer, o Options) error { return WriteAddrs(b, Addrs(hostLinks, o)) },
			`2: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP
    link/ether 02:00:00:00:00:fe brd ff:ff:ff:ff:ff:ff
    inet 192.0.2.1/24 brd 192.0.2.255 scope global br0
       valid_lft forever preferred_lft forever
    inet6 2001:db8::1/64 scope global
       valid_lft forever preferred_lft forever
3: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 state UP
    link/ether 02:00:00:00:01:fe brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.1/31 scope global eth1
       valid_lft forever preferred_lft forever
    inet6 fe80::1/64 scope link
       valid_lft forever preferred_lft forever
4: br1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP
    link/ether 02:00:00:00:02:fe brd ff:ff:ff:ff:ff:ff
`},
		{"addr of one family", Options{Dev: "eth1", Family: 6}, func(b *bytes.Buffer, o Options) error { return WriteAddrs(b, Addrs(hostLinks, o)) },
			`3: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 state UP
    link/ether 02:00:00:00:01:fe brd ff:ff:ff:ff:ff:ff
    inet6 fe80::1/64 scope link
       valid_lft forever preferred_lft forever
`},
		{"route", Options{}, func(b *bytes.Buffer, o Options) error { return WriteRoutes(b, Routes(routes, hostLinks, o)) },
			`10.0.0.0/31 dev eth1 proto kernel scope link src 10.0.0.1
192.0.2.0/24 dev br0 proto kernel scope link src 192.0.2.1
10.1.0.0/16 via 10.0.0.0 dev eth1
10.2.0.0/16 dev eth1 scope link
default via 192.0.2.254 dev br0
2001:db8::/64 dev br0 proto kernel
default via fe80::2 dev eth1
`},
		{"route of one interface and family", Options{Dev: "br0", Family: 4}, func(b *bytes.Buffer, o Options) error { return WriteRoutes(b, Routes(routes, hostLinks, o)) },
			`192.0.2.0/24 dev br0 proto kernel scope link src 192.0.2.1
default via 192.0.2.254 dev br0
`},
		{"neigh", Options{}, func(b *bytes.Buffer, o Options) error { return WriteNeighs(b, Neighs(table, o)) },
			`192.0.2.9 dev br0 lladdr 02:00:00:00:02:00 REACHABLE
192.0.2.10 dev br0 FAILED
fe80::2 dev eth1 lladdr 02:00:00:00:04:00 router STALE
`},
		{"neigh of nobody", Options{Dev: "br1"}, func(b *bytes.Buffer, o Options) error { return WriteNeighs(b, Neighs(table, o)) }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, row.text(&b, row.o))
			assert.Equal(t, row.want, b.String())
		})
	}
}

func TestIPAsJSON(t *testing.T) {
	b, err := json.Marshal(Addrs(hostLinks[:1], Options{Family: 4}))
	require.NoError(t, err)
	assert.JSONEq(t, `[{"ifindex":2,"ifname":"br0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"operstate":"UP","link_type":"ether",
		"address":"02:00:00:00:00:fe","broadcast":"ff:ff:ff:ff:ff:ff","addr_info":[{"family":"inet","local":"192.0.2.1","prefixlen":24,
		"broadcast":"192.0.2.255","scope":"global","label":"br0","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]`, string(b))
	b, err = json.Marshal(Neighs(nil, Options{}))
	require.NoError(t, err)
	assert.Equal(t, "[]", string(b))
}
