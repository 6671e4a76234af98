package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func labOf(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.yaml")
	require.NoError(t, os.WriteFile(name, []byte("schema: ringside.lab/1\n"+text), 0o600))
	return name
}

// A lab may have given away the name of a tap that --vms, or its default, makes.
func TestTheNameOfAnExtraTapIsToldWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		lab  string
		args []string
		says string
	}{
		{"vms: {a: {tap: tap2}}\n", []string{"--vms", "3"}, `x.yaml:2:11: the name "tap2" is that of the tap of guest 3, which there is by --vms 3`},
		{"nics: {tap1: {}}\n", nil, `x.yaml:2:8: the name "tap1" is that of the tap of guest 2, which there is by --vms 4`},
		{"bridges: {tap0: {}}\n", nil, `x.yaml:2:11: the name "tap0" is that of the tap`},
	} {
		lab := labOf(t, c.lab)
		code, _, errs := call(t, append([]string{"replay", arpCapture, "--config", lab}, c.args...)...)
		assert.Equal(t, exitUsage, code, errs)
		assert.Contains(t, errs, c.says)
	}
	code, _, errs := call(t, "replay", arpCapture, "--config", labOf(t, "vms: {a: {tap: tap2}}\n"))
	assert.Equal(t, exitOK, code, errs)
}

// The MTU that is shown is the bound that holds.
func TestTheMTUOfALinkIsItsBound(t *testing.T) {
	lab := labOf(t, "nics: {eth0: {}, eth1: {mtu: 65535}, eth2: {mtu: 1500}}\nvms: {a: {}, b: {mtu: 9000}}\n")
	code, out, errs := call(t, "bridge", "link", "show", arpCapture, "--config", lab, "--vms", "3")
	require.Equal(t, exitOK, code, errs)
	for name, mtu := range map[string]string{"eth0": "9710", "eth1": "9710", "eth2": "1500", "tap0": "65535", "tap1": "9000", "tap2": "65535"} {
		assert.Contains(t, out, ": "+name+": <BROADCAST,MULTICAST,UP,LOWER_UP> mtu "+mtu+" master br0 ")
	}
	code, out, errs = call(t, "bridge", "link", "show", arpCapture)
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9710 ")
}
