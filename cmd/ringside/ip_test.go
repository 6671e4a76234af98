package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIPShowsTheHostsTables(t *testing.T) {
	inTestdata(t)
	const host = " arp.pcap --host-addr 192.0.2.12/24"
	for args, want := range map[string]string{
		"ip neigh show" + host:                "192.0.2.11 dev br0 lladdr 02:00:00:00:00:11 STALE\n",
		"ip neigh" + host + " --dev br0":      "192.0.2.11 dev br0 lladdr 02:00:00:00:00:11 STALE\n",
		"ip neigh list" + host + " --json":    "[\n  {\n    \"dst\": \"192.0.2.11\",\n    \"dev\": \"br0\",\n    \"lladdr\": \"02:00:00:00:00:11\",\n    \"state\": [\n      \"STALE\"\n    ]\n  }\n]\n",
		"ip neigh" + host + " --family inet6": "",
		"ip route show" + host:                "192.0.2.0/24 dev br0 proto kernel scope link src 192.0.2.12\n",
		"ip route arp.pcap":                   "",
		"ip addr show" + host: `2: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP
    link/ether 02:00:00:00:00:fe brd ff:ff:ff:ff:ff:ff
    inet 192.0.2.12/24 brd 192.0.2.255 scope global br0
       valid_lft forever preferred_lft forever
`,
	} {
		code, out, errs := call(t, strings.Fields(args)...)
		require.Equal(t, exitOK, code, errs)
		assert.Equal(t, want, out, args)
	}
}

func TestWrongUsageOfIPIsToldWhatIsRight(t *testing.T) {
	inTestdata(t)
	for args, says := range map[string]string{
		"ip neihg show arp.pcap":        `ip has no object neihg; did you mean "neigh"?`,
		"ip xyzzy":                      "ip has no object xyzzy; the objects are addr, neigh, route",
		"ip neigh":                      "ip neigh show: name a capture to play",
		"ip addr arp.pcap --dev br7":    `did you mean br0?`,
		"ip addr arp.pcap --family ipx": "give inet or inet6",
		"ip route none.pcap":            "no such file",
	} {
		code, out, errs := call(t, strings.Fields(args)...)
		assert.Equal(t, exitUsage, code, args)
		assert.Empty(t, out)
		assert.Contains(t, errs, says)
	}
}
