package labfile

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/netstack"
)

func TestTheHostsRoutesAndNAT(t *testing.T) {
	l, err := Load(strings.NewReader(`schema: ringside.lab/1
forward: true
routes: [{to: 10.9.0.0/16, via: 10.0.0.2}, {to: 10.8.1.2/16, dev: br0}]
masquerade: {from: 10.1.0.5/24, out: br0}
bridges:
  br0: {addr: 10.0.0.1/24}
  br1: {addr: 10.1.0.1/24}
`), "lab.yaml")
	require.NoError(t, err)
	assert.True(t, l.Config.Forward)
	assert.Equal(t, []netstack.Route{
		{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: netip.MustParseAddr("10.0.0.2")},
		{Dst: netip.MustParsePrefix("10.8.0.0/16"), Interface: "br0"},
	}, l.Config.Routes)
	assert.Equal(t, []ringside.Masquerade{{Out: "br0", From: netip.MustParsePrefix("10.1.0.0/24")}}, l.Config.NAT)
	h, err := ringside.New(l.Config)
	require.NoError(t, err)
	h.Close()
}

func TestRoutesThatAreWrongAreToldWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"routes: [{to: 10.0.0.0/8}]\n":            `lab.yaml:2:10: routes[0]: a route needs its to, and via or dev`,
		"masquerade: {from: 10.0.0.0/8}\n":        `to masquerade needs from and out`,
		"masquerade: [{from: x, out: br0}]\n":     `lab.yaml:2:21`,
		"forward: 7\n":                            `lab.yaml:2:10`,
		"masquerade: [{form: 10.0.0.0/8}]\n":      `did you mean "from"?`,
		"routes: [{to: 10.0.0.0/8, via: nobody}]": `lab.yaml:2:32`,
	} {
		_, err := Load(strings.NewReader("schema: ringside.lab/1\n"+text), "lab.yaml")
		assert.ErrorContains(t, err, want, text)
	}
}
