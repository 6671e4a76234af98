package ringside_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/sim"
	"ringside/vm"
)

// reflected runs a machine whose guest reflects n frames that come with a gap.
func reflected(t *testing.T, cfg ringside.Config, n int, gap sim.Time) (*ringside.Report, *offered) {
	t.Helper()
	w := &offered{gap: gap}
	for i := range n {
		size := 60 + i*7%1400
		if gap < 500*sim.Nanosecond {
			size = 60
		}
		f := make([]byte, size)
		copy(f, []byte{2, 0, 0, 0, 1, 0, 2, 9, 9, 9, 9, byte(i % 3), 0x88, 0xb5, byte(i >> 8), byte(i)})
		w.frames = append(w.frames, f)
	}
	cfg.Wire, cfg.VMs = w, []ringside.VM{{Program: vm.Reflect}}
	h, err := ringside.New(cfg)
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	return h.Report(), w
}

// steps counts how often a step was done.
func steps(r *ringside.Report, s cost.Step) uint64 { return r.Bill.Steps[s].Count }

// In copy mode every frame is copied twice more than in zero-copy mode, which has none but
// those of the guest's ring; what the guest sends back is the same.
func TestSocketsCopyOrDoNot(t *testing.T) {
	zero, a := reflected(t, ringside.Config{Path: ringside.AFXDP}, 3000, sim.Microsecond)
	copied, b := reflected(t, ringside.Config{Path: ringside.AFXDP, XSKCopy: true}, 3000, sim.Microsecond)
	assert.Len(t, a.back, 3000)
	assert.Equal(t, a.back, b.back)
	assert.EqualValues(t, 3000, steps(zero, cost.XskRcvZC))
	assert.EqualValues(t, 3000, steps(zero, cost.XskTxPeekDesc))
	assert.Zero(t, steps(zero, cost.XskRcv)+steps(zero, cost.XskGenericXmit))
	assert.EqualValues(t, 3000, steps(copied, cost.XskRcv))
	assert.EqualValues(t, 3000, steps(copied, cost.XskGenericXmit))
	assert.Zero(t, steps(copied, cost.XskRcvZC)+steps(copied, cost.XskTxPeekDesc))
}

// At a load that is too high frames are dropped with a reason, and none is lost, whatever
// the mode.
func TestSocketsUnderLoad(t *testing.T) {
	for _, gap := range []sim.Time{20 * sim.Nanosecond, 150 * sim.Nanosecond, 600 * sim.Nanosecond} {
		for _, copies := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, copy %v", gap, copies), func(t *testing.T) {
				r, w := reflected(t, ringside.Config{Path: ringside.AFXDP, XSKCopy: copies, LinkBPS: 100e9}, 20_000, gap)
				assert.True(t, r.Conservation.Balanced)
				assert.Zero(t, r.Conservation.InFlight)
				assert.NotEmpty(t, w.back)
				assert.Equal(t, gap < 600*sim.Nanosecond, len(w.back) < 20_000, "%d came back, %v", len(w.back), r.Drops)
			})
		}
	}
}

// Behind an IOMMU the NIC reaches the sockets' memory, and the guest gets what it got
// without one.
func TestSocketsBehindAnIOMMU(t *testing.T) {
	for _, copies := range []bool{false, true} {
		without, a := reflected(t, ringside.Config{Path: ringside.AFXDP, XSKCopy: copies}, 300, sim.Microsecond)
		behind, b := reflected(t, ringside.Config{Path: ringside.AFXDP, XSKCopy: copies, IOMMU: ringside.IOMMUOn}, 300, sim.Microsecond)
		assert.Len(t, b.back, 300)
		assert.Equal(t, a.back, b.back)
		require.NotNil(t, behind.IOMMU)
		assert.NotZero(t, behind.IOMMU.Hits+behind.IOMMU.Walks)
		assert.Zero(t, behind.IOMMU.Faults)
		assert.Nil(t, without.IOMMU)
	}
}

// A flooded frame has one packet buffer that several ports hold at once, and comes out of
// each of them.
func TestAFrameIsFloodedToSeveralNICs(t *testing.T) {
	for _, p := range []ringside.Path{ringside.DPDK, ringside.AFXDP} {
		t.Run(p.String(), func(t *testing.T) {
			in, out := &offered{gap: sim.Microsecond}, []*offered{{}, {}}
			for i := range 100 {
				in.frames = append(in.frames, append([]byte{255, 255, 255, 255, 255, 255, 2, 9, 9, 9, 9, 9, 0x88, 0xb5, byte(i)}, make([]byte, 45)...))
			}
			h, err := ringside.New(ringside.Config{Path: p, NICs: []ringside.NIC{{Wire: in}, {Wire: out[0]}, {Wire: out[1]}}})
			require.NoError(t, err)
			defer h.Close()
			require.NoError(t, h.RunUntil(50*sim.Microsecond), "both rings hold some")
			require.NoError(t, h.Run())
			assert.Equal(t, in.frames, out[0].back)
			assert.Equal(t, in.frames, out[1].back)
		})
	}
}

func TestWhatThePathAFXDPCannotHave(t *testing.T) {
	drop, err := ringside.OpenXDP("drop")
	require.NoError(t, err)
	_, err = ringside.New(ringside.Config{Path: ringside.AFXDP, XDP: drop})
	assert.ErrorIs(t, err, ringside.ErrNoPath)
	_, err = ringside.New(ringside.Config{Path: ringside.AFXDP, Queues: 2})
	assert.ErrorIs(t, err, ringside.ErrNoPath)
}

// On the path xdp guests get what they get on the native path, each flow in order.
func TestThePathXDPDeliversWhatTheNativeOneDoes(t *testing.T) {
	native, a := reflected(t, ringside.Config{}, 3000, sim.Microsecond)
	short, b := reflected(t, ringside.Config{Path: ringside.XDP}, 3000, sim.Microsecond)
	flows := func(w *offered) (list [3][][]byte) {
		for _, f := range w.back {
			list[f[5]] = append(list[f[5]], f) // reflected: the source is the destination now
		}
		return list
	}
	assert.Equal(t, flows(a), flows(b))
	assert.Len(t, b.back, 3000)
	assert.Greater(t, short.XDP[0].Redirect, uint64(2500), "%+v", short.XDP)
	assert.Less(t, short.Totals.Cycles, native.Totals.Cycles)
}
