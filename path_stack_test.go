package ringside_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/virtio"
)

// Guests with stacks of their own pass a megabyte behind a VMM's thread as they do
// behind vhost: with and without offloads, over one pair of queues and over four, and on
// rings that a frame of 64 KiB fills.
func TestGuestsWithStacksTalkBehindAVMM(t *testing.T) {
	for name, v := range map[string]ringside.VirtioConfig{
		"all there is":         {},
		"no offloads":          {Off: virtio.FCSUM | virtio.FGuestCSUM | virtio.FHostTSO4 | virtio.FGuestTSO4 | virtio.FHostTSO6 | virtio.FGuestTSO6},
		"no event indices":     {Off: virtio.FRingEventIdx},
		"no mergeable buffers": {Off: virtio.FMrgRxbuf},
		"four pairs":           {Queues: 4},
		"small rings":          {Size: 16},
		"rings that fill":      {Size: 64},
	} {
		for _, p := range []ringside.Path{ringside.Vhost, ringside.Virtio} {
			t.Run(name+"/"+p.String(), func(t *testing.T) {
				h, err := ringside.New(ringside.Config{Path: p, VMs: []ringside.VM{
					{Processes: process("server", bulkServer), Addresses: []netip.Prefix{addr(1)}, Virtio: v},
					{Processes: process("client", bulkClient("192.0.2.1", 1<<20)), Addresses: []netip.Prefix{addr(2)}, Virtio: v},
				}})
				require.NoError(t, err)
				defer h.Close()
				require.NoError(t, h.Run())
				r := h.Report()
				assert.Zero(t, r.Conservation.InFlight)
				vm := r.VMs[0]
				require.NotEmpty(t, vm.Results)
				assert.EqualValues(t, 1<<20, vm.Results[0].Value, "%+v", vm.Results)
			})
		}
	}
}
