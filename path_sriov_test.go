package ringside_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

func TestWhatVirtualFunctionsCannotDoIsRefused(t *testing.T) {
	many := func(n int) (list []ringside.VM) {
		for range n {
			list = append(list, ringside.VM{Program: vm.Sink})
		}
		return list
	}
	var known []bridge.MAC
	for i := range 24 {
		known = append(known, bridge.MAC{2, 1, 1, 1, 1, byte(i)})
	}
	for _, tt := range []struct {
		what string
		cfg  ringside.Config
		says string
	}{
		{"more guests than functions", ringside.Config{VMs: many(8)}, "8 functions of eth0; it has 7"},
		{"more addresses than filters", ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, Known: known}}}, "26 addresses at eth0; it has 24"},
		{"batches", ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, Batch: 8}}}, "Batch is of a guest that reads its tap"},
		{"queues", ringside.Config{Queues: 2, VMs: many(1)}, "2 queues of eth0"},
		{"offloads", ringside.Config{Offloads: ringside.Offloads{GRO: true}, VMs: many(1)}, "offloads of eth0"},
		{"an isolated port", ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, Port: bridge.PortConfig{Isolated: true}}}}, "options of the bridge's port tap0"},
		{"a mirror", ringside.Config{VMs: []ringside.VM{{Program: vm.Sink, MirrorIn: "eth0"}}}, "a mirror of tap0"},
		{"VLAN filtering", ringside.Config{Bridges: []ringside.Bridge{{Config: bridge.Config{VLANFiltering: true}}}, VMs: many(1)}, "VLAN filtering of bridge br0"},
		{"a spanning tree", ringside.Config{Bridges: []ringside.Bridge{{Config: bridge.Config{STP: true}}}, VMs: many(1)}, "the spanning tree of bridge br0"},
	} {
		tt.cfg.Path = ringside.SRIOV
		_, err := ringside.New(tt.cfg)
		require.ErrorIs(t, err, ringside.ErrNoPath, tt.what)
		assert.ErrorContains(t, err, "path sriov", tt.what)
		assert.ErrorContains(t, err, tt.says, tt.what)
	}
	assert.NotEmpty(t, ringside.SRIOV.GivesUp())
}

// A posted interrupt needs no exit for its end and no work of the host's while the guest
// runs; an injected one needs both.
func TestPostedInterruptsSpareExits(t *testing.T) {
	run := func(inject bool) *ringside.Report {
		w := &offered{gap: 16 * sim.Microsecond}
		for i := range 400 {
			w.frames = append(w.frames, vmFrame(0, i))
		}
		h, err := ringside.New(ringside.Config{
			Path: ringside.SRIOV, SRIOV: ringside.SRIOVConfig{Inject: inject}, Wire: w, ITR: ringside.NoITR,
			VMs: []ringside.VM{{Program: vm.Slow(15 * sim.Microsecond)}},
		})
		require.NoError(t, err)
		defer h.Close()
		require.NoError(t, h.Run())
		r := h.Report()
		assert.EqualValues(t, 400, r.Conservation.ToVMs)
		return r
	}
	posted, injected := run(false), run(true)
	assert.Zero(t, posted.Bill.Count(cost.VirqEOI))
	assert.Zero(t, posted.Bill.Count(cost.IRQInject))
	assert.NotZero(t, posted.Bill.Count(cost.PostedIRQ))
	assert.NotZero(t, injected.Bill.Count(cost.VirqEOI))
	assert.Equal(t, injected.Bill.Count(cost.IRQInject), injected.Bill.Count(cost.Eventfd))
	assert.Zero(t, injected.Bill.Count(cost.PostedIRQ))
	assert.Less(t, posted.Totals.Cycles, injected.Totals.Cycles)
	assert.Equal(t, "posted", posted.VFs[0].Interrupt)
	assert.Zero(t, posted.Totals.Syscalls)
	assert.Zero(t, posted.Totals.Copies)
}

// vmFrame is one of 60 bytes for VM i.
func vmFrame(i, n int) []byte {
	f := make([]byte, 60)
	copy(f, []byte{2, 0, 0, 0, 1, byte(i), 2, 9, 9, 9, 9, 9, 0x88, 0xb5, byte(n >> 8), byte(n)})
	return f
}

// Guests get what they get on the native path, in the same order, of frames that the
// path can carry: to their addresses, and to groups.
func TestVirtualFunctionsDeliverWhatTapsDo(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 3))
		vms := 1 + rng.IntN(5)
		var frames [][]byte
		for n := range 500 {
			f := append(vmFrame(rng.IntN(vms), n), make([]byte, rng.IntN(3000))...)
			switch rng.IntN(8) {
			case 0:
				copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			case 1:
				copy(f, []byte{0x33, 0x33, 0, 0, 0, byte(rng.IntN(9))})
			case 2:
				copy(f[12:], []byte{0x81, 0, 0, byte(1 + rng.IntN(9))})
			}
			frames = append(frames, f)
		}
		got := func(p ringside.Path) [][]string {
			list := make([][]string, vms)
			cfg := ringside.Config{Path: p, Wire: &offered{frames: frames, gap: 20 * sim.Microsecond}}
			for i := range vms {
				cfg.VMs = append(cfg.VMs, ringside.VM{Known: []bridge.MAC{{2, 0, 0, 0, 1, byte(i)}}, Program: func(g *vm.Guest) error {
					for {
						b, err := g.Receive()
						if err != nil {
							return err
						}
						list[i] = append(list[i], fmt.Sprintf("%x", b))
					}
				}})
			}
			h, err := ringside.New(cfg)
			require.NoError(t, err)
			defer h.Close()
			require.NoError(t, h.Run())
			require.True(t, h.Report().Conservation.Balanced)
			return list
		}
		native, sriov := got(ringside.Native), got(ringside.SRIOV)
		for i := range vms {
			require.NotEmpty(t, native[i])
			require.Equal(t, native[i], sriov[i], "seed %d vm%d", seed, i)
		}
	}
}

// A guest that stops leaves nothing behind: its VF is reset, what was in its memory or
// comes later is dropped, and the host goes on.
func TestAGuestThatEndsGivesItsFunctionBack(t *testing.T) {
	w := &offered{gap: sim.Microsecond}
	for i := range 200 {
		w.frames = append(w.frames, vmFrame(i&1, i))
	}
	first := func(g *vm.Guest) error {
		for range 10 {
			if _, err := g.Receive(); err != nil {
				return err
			}
		}
		return nil
	}
	h, err := ringside.New(ringside.Config{Path: ringside.SRIOV, Wire: w, VMs: []ringside.VM{{Program: first}, {Program: vm.Sink}}})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	r := h.Report()
	assert.EqualValues(t, 100, r.VMs[1].Frames)
	assert.EqualValues(t, 2, r.VFs[0].Resets, "by its driver when it began and when it ended")
	dropped := r.Conservation.Dropped
	assert.EqualValues(t, 100, r.VMs[0].Frames+dropped["NIC_VF_RESET"]+dropped["NIC_RX_DISABLED"])
	assert.NotZero(t, dropped["NIC_RX_DISABLED"])
}

// A guest that names memory that is not its own gets a fault in the report, and nothing
// of what lies there.
func TestAGuestThatNamesForeignMemoryIsReported(t *testing.T) {
	w := &offered{gap: 10 * sim.Microsecond}
	for i := range 20 {
		w.frames = append(w.frames, vmFrame(i&1, i))
	}
	h, err := ringside.New(ringside.Config{Path: ringside.SRIOV, Wire: w, VMs: []ringside.VM{{Program: vm.Sink}, {Program: vm.Sink}}})
	require.NoError(t, err)
	defer h.Close()
	vf := h.NIC.VF(0)
	for _, x := range [...][2]uint32{{nic.RXDCTL(0), 0}, {nic.RDBAH(0), 1}, {nic.RXDCTL(0), uint32(nic.DctlENABLE)}, {nic.RDT(0), 9}} {
		require.NoError(t, vf.Write(x[0], x[1], 0))
	}
	require.NoError(t, h.RunUntil(sim.Millisecond))
	r := h.Report()
	assert.EqualValues(t, 10, r.VMs[1].Frames)
	assert.NotZero(t, r.Conservation.Dropped["NIC_IOMMU_FAULT"])
	require.NotEmpty(t, r.IOMMU.First)
	assert.Equal(t, "tap0", r.IOMMU.First[0].Domain)
	assert.EqualValues(t, 1<<32, r.IOMMU.First[0].Addr&(1<<32))
	assert.Equal(t, r.IOMMU.Faults, r.VFs[0].Faults)
	assert.Zero(t, r.VFs[1].Faults)
}
