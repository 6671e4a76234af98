package ringside_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
)

// Guests with stacks of their own talk TCP through the switch: the host's kernel has no
// part in it.
func TestStacksTalkThroughTheSwitch(t *testing.T) {
	h, err := ringside.New(ringside.Config{Path: ringside.SRIOV, VMs: []ringside.VM{
		{Processes: process("server", bulkServer), Addresses: []netip.Prefix{addr(1)}},
		{Processes: process("client", bulkClient("192.0.2.1", 1<<20)), Addresses: []netip.Prefix{addr(2)}},
	}})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	r := h.Report()
	text := map[string]string{}
	for _, v := range r.VMs {
		for _, x := range v.Results {
			text[v.Name+x.Name] = x.Text
		}
	}
	assert.NotEmpty(t, text["vm0sha256"])
	assert.Equal(t, text["vm0sha256"], text["vm1sha256"])
	assert.Equal(t, r.VFs[1].TxFrames, r.VFs[0].RxLooped)
	assert.Zero(t, r.IOMMU.Faults)
	assert.NotZero(t, r.IOMMU.Walks)
}
