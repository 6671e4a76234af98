package ringside_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/load"
	"ringside/sim"
	"ringside/vm"
	"ringside/vm/app"
	"ringside/vm/guest"
)

// What a switch in user space has not got is refused, with the path's name.
func TestDPDKRefusesWhatItHasNotGot(t *testing.T) {
	reflects := []ringside.VM{{Program: vm.Reflect}}
	for _, tc := range []struct {
		cfg  ringside.Config
		says string
	}{
		{ringside.Config{Bridges: []ringside.Bridge{{Config: bridge.Config{VLANFiltering: true}}}}, "VLAN filtering"},
		{ringside.Config{Bridges: []ringside.Bridge{{Config: bridge.Config{STP: true}}}}, "spanning tree"},
		{ringside.Config{Bridges: make([]ringside.Bridge, 2)}, "2 bridges"},
		{ringside.Config{Host: ringside.HostStack{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}, "a host's stack"},
		{ringside.Config{Queues: 2}, "2 queues"},
		{ringside.Config{NICs: []ringside.NIC{{Bridge: ringside.NoBridge}}}, "a NIC on no bridge"},
		{ringside.Config{NICs: []ringside.NIC{{MirrorIn: "tap0"}}, VMs: reflects}, "a mirror"},
		{ringside.Config{VMs: []ringside.VM{{Program: vm.Reflect, Port: bridge.PortConfig{NeighSuppress: true}}}}, "NeighSuppress"},
		{ringside.Config{VMs: []ringside.VM{{Program: vm.Reflect, Batch: 8}}}, "Batch"},
	} {
		tc.cfg.Path = ringside.DPDK
		_, err := ringside.New(tc.cfg)
		require.ErrorIs(t, err, ringside.ErrNoPath, tc.says)
		assert.ErrorContains(t, err, "path dpdk")
		assert.ErrorContains(t, err, tc.says)
	}
}

// Frames go from NIC to NIC by the bridge, and no interrupt, system call or copy is on
// the bill.
func TestDPDKForwardsBetweenNICs(t *testing.T) {
	in, out := &offered{gap: 100 * sim.Nanosecond}, &offered{}
	for range 5000 {
		in.frames = append(in.frames, append([]byte{2, 5, 5, 5, 5, 5, 2, 9, 9, 9, 9, 9, 0x88, 0xb5}, make([]byte, 46)...))
	}
	h, err := ringside.New(ringside.Config{Path: ringside.DPDK, NICs: []ringside.NIC{{Wire: in}, {Wire: out}}})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	r := h.Report()
	assert.Len(t, out.back, len(in.frames))
	assert.True(t, r.Conservation.Balanced)
	assert.Zero(t, r.Totals.Interrupts+r.Totals.Syscalls+r.Totals.Copies+r.Totals.ContextSwitches)
	busy := r.CPUs[len(r.CPUs)-1]
	assert.InDelta(t, r.VirtualNs, busy.BusyNs, 100, "the core is never idle")
	assert.Positive(t, r.Bill.Count(cost.PMDIdle))
}

// Pairs of ports may have several cores: each has a queue of every NIC and work to do, and
// every frame leaves once.
func TestDPDKPairsRunOnSeveralCores(t *testing.T) {
	for _, drop := range []bool{false, true} {
		in, err := load.New(load.Config{Spec: load.Spec{Flows: 64}, Dests: []load.MAC{{2, 5, 5, 5, 5, 5}}, LinkBPS: 100e9, Frames: 20000})
		require.NoError(t, err)
		out := &offered{}
		h, err := ringside.New(ringside.Config{
			Path: ringside.DPDK, Queues: 3, Ring: 64, LinkBPS: 100e9, DropEn: drop, UserSwitch: ringside.UserSwitch{Pairs: true},
			NICs: []ringside.NIC{{Wire: in}, {Wire: out}},
		})
		require.NoError(t, err)
		require.NoError(t, h.Run())
		require.NoError(t, h.Check())
		r := h.Report()
		assert.True(t, r.Conservation.Balanced)
		assert.Positive(t, len(out.back))
		assert.Zero(t, r.Conservation.InFlight)
		for _, cpu := range r.CPUs[len(r.CPUs)-3:] {
			assert.Positive(t, cpu.BusyNs, cpu.Name)
		}
		h.Close()
	}
}

// Guests with stacks talk over vhost-user rings, and the host's kernel does nothing but
// tell them when they sleep.
func TestDPDKCarriesTCP(t *testing.T) {
	addr := func(i byte) []netip.Prefix {
		return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), 24)}
	}
	var hash [2]string
	for i := range hash {
		h, err := ringside.New(ringside.Config{Path: ringside.DPDK, VMs: []ringside.VM{
			{Addresses: addr(1), Processes: []guest.Process{{Name: "recv", Main: app.BulkRecv(app.BulkRecvConfig{})}}},
			{Addresses: addr(2), Processes: []guest.Process{{Name: "send", Main: app.BulkSend(app.BulkSendConfig{To: "192.0.2.1:5001"})}}},
		}})
		require.NoError(t, err)
		require.NoError(t, h.RunUntil(2*sim.Second))
		r := h.Report()
		assert.True(t, r.Conservation.Balanced)
		assert.Greater(t, r.VMs[0].Bytes, uint64(1<<20))
		hash[i] = r.TraceHash
		h.Close()
	}
	assert.Equal(t, hash[0], hash[1])
}
