package nic_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// virtual is a NIC with so many VFs, each with a guest.
func virtual(t testing.TB, vfs int) *nictest.Virtual {
	t.Helper()
	v, err := nictest.UpVirtual(nic.Config{VFs: vfs})
	require.NoError(t, err)
	return v
}

// ethernet is a frame with an id behind its header.
func ethernet(dst, src [6]byte, size int, id byte) []byte {
	f := make([]byte, size)
	copy(f, dst[:])
	copy(f[6:], src[:])
	f[12], f[13] = 0x88, 0xb5 // for experiments
	f[14] = id
	return f
}

var (
	everybody = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	stranger  = [6]byte{0x02, 0xee, 0, 0, 0, 9}
)

// conserved says that each frame of a NIC with VFs is somewhere.
func conserved(t testing.TB, v *nictest.Virtual, own, took uint64) {
	t.Helper()
	require.NoError(t, v.NIC.Check())
	c := v.NIC.Counts()
	in := c.In + v.NIC.UnderWay() + own + c.FromVFs + c.Cloned
	out := took + c.Sent + v.Drops.Total() + v.NIC.InFlight()
	require.Equal(t, in, out, "counts %+v, drops %v", c, v.Drops.ByReason())
}

func TestFramesFromTheWireGoToTheirPools(t *testing.T) {
	v := virtual(t, 3)
	frames := []struct {
		what string
		dst  [6]byte
		vfs  []int
		pf   bool
	}{
		{"the address of a VF", nictest.MACOf(1), []int{1}, false},
		{"of the PF", nictest.PFMAC, nil, true},
		{"of nobody: the default pool, whose PF is promiscuous", stranger, nil, true},
		{"broadcast", everybody, []int{0, 1, 2}, true},
		{"a group that nobody is in: the default pool", [6]byte{0x33, 0x33, 0, 0, 0, 1}, nil, true},
	}
	for i, f := range frames {
		v.Wire.Play(nic.WireFrame{ID: uint64(i + 1), Data: ethernet(f.dst, stranger, 60, byte(i))})
	}
	var took uint64
	for g := range 4 {
		var want, got []uint64
		for i, f := range frames {
			for _, p := range f.vfs {
				if p == g {
					want = append(want, uint64(i+1))
				}
			}
			if g == 3 && f.pf {
				want = append(want, uint64(i+1))
			}
		}
		if g == 3 {
			got = ids(v.HarvestPF(sim.Millisecond))
		} else {
			v.Guests[g].Now = sim.Millisecond
			list, err := v.Guests[g].Harvest()
			require.NoError(t, err)
			got = ids(list)
		}
		assert.Equal(t, want, got, "pool %d", g)
		took += uint64(len(got))
	}
	conserved(t, v, 0, took)
	assert.Equal(t, uint64(3), v.NIC.Counts().Cloned)
}

func TestVFsReachEachOtherThroughTheSwitch(t *testing.T) {
	v := virtual(t, 3)
	a, b := v.Guests[0], v.Guests[1]
	require.NoError(t, a.Send(nic.Tag{ID: 1}, ethernet(nictest.MACOf(1), nictest.MACOf(0), 60, 1)))
	require.NoError(t, a.Send(nic.Tag{ID: 2}, ethernet(everybody, nictest.MACOf(0), 60, 2)))
	require.NoError(t, a.Send(nic.Tag{ID: 3}, ethernet(stranger, nictest.MACOf(0), 60, 3)))
	require.NoError(t, a.Send(nic.Tag{ID: 4}, ethernet(nictest.MACOf(0), nictest.MACOf(0), 60, 4)))
	b.Now = sim.Millisecond
	got, err := b.Harvest()
	require.NoError(t, err)
	assert.Equal(t, []uint64{1, 2}, ids(got))
	pf := v.HarvestPF(sim.Millisecond)
	assert.Equal(t, []uint64{2}, ids(pf), "an address that nobody has leaves, and is not the PF's")
	var out []uint64
	for _, f := range v.Wire.Sent {
		out = append(out, f.ID)
	}
	assert.Equal(t, []uint64{2, 3}, out, "what is for another VF does not leave")
	assert.Equal(t, uint64(1), v.Drops[cost.NIC][cost.RSSamePort], "to itself")
	conserved(t, v, 0, uint64(len(got)+len(pf)))
}

func TestSpoofedFramesAreDropped(t *testing.T) {
	v := virtual(t, 2)
	a := v.Guests[0]
	tagged := func(vid byte) []byte {
		f := ethernet(stranger, nictest.MACOf(0), 64, 0)
		f[12], f[13], f[14], f[15] = 0x81, 0, 0, vid
		return f
	}
	require.NoError(t, v.NIC.Write(nic.VLVF(0), nic.VlvfEN|5|1<<nic.VlvfPoolShift, 0))
	require.NoError(t, a.Send(nic.Tag{ID: 1}, ethernet(stranger, nictest.MACOf(1), 60, 0)))
	require.NoError(t, a.Send(nic.Tag{ID: 2}, tagged(6)))
	require.NoError(t, a.Send(nic.Tag{ID: 3}, tagged(5)))
	assert.Equal(t, uint64(1), v.Drops[cost.NIC][cost.NICTxSpoofMAC])
	assert.Equal(t, uint64(1), v.Drops[cost.NIC][cost.NICTxSpoofVLAN])
	require.Len(t, v.Wire.Sent, 1)
	wvbr, err := v.NIC.Read(nic.WVBR, 0)
	require.NoError(t, err)
	assert.Equal(t, uint32(1), wvbr)
	conserved(t, v, 0, 0)
}

func TestAVFWithAVLANOfItsOwnSeesNoTag(t *testing.T) {
	v := virtual(t, 2)
	w := func(reg, val uint32) { require.NoError(t, v.NIC.Write(reg, val, 0)) }
	w(nic.VMVIR(0), nic.VmvirDefault|7)
	w(nic.VLVF(0), nic.VlvfEN|7|1<<nic.VlvfPoolShift)
	w(nic.VFTA(0), 1<<7)
	w(nic.VMOLR(0), uint32(nic.VmolrBAM|nic.VmolrSTRVLAN))
	a := v.Guests[0]
	require.NoError(t, a.Send(nic.Tag{ID: 1}, ethernet(stranger, nictest.MACOf(0), 60, 9)))
	require.Len(t, v.Wire.Sent, 1)
	out := v.Wire.Sent[0].Data
	assert.Equal(t, []byte{0x81, 0, 0, 7, 0x88, 0xb5, 9}, out[12:19])
	back := append([]byte(nil), out...)
	mac := nictest.MACOf(0)
	copy(back, mac[:])
	bare := ethernet(mac, stranger, 60, 1)
	other := append([]byte(nil), back...)
	other[15] = 8
	v.Wire.Play(nic.WireFrame{ID: 2, Data: back}, nic.WireFrame{ID: 3, Data: bare}, nic.WireFrame{ID: 4, Data: other})
	a.Now = sim.Millisecond
	got, err := a.Harvest()
	require.NoError(t, err)
	require.Len(t, got, 1, "an untagged frame, and one of another VLAN, are not the VF's")
	assert.Equal(t, ethernet(mac, nictest.MACOf(0), 60, 9), got[0].Data)
	assert.Equal(t, uint16(7), got[0].VLAN)
	assert.NotZero(t, got[0].Status&nic.RxVP)
	assert.Equal(t, uint64(1), v.Drops[cost.NIC][cost.NICRxVLAN])
	conserved(t, v, 0, 1+uint64(len(v.HarvestPF(sim.Millisecond))))
}

func TestAVectorOfAVFInterruptsItsGuestAlone(t *testing.T) {
	v := virtual(t, 7)
	v.Wire.Play(nic.WireFrame{ID: 1, Data: ethernet(nictest.MACOf(6), stranger, 60, 0)})
	require.NoError(t, v.Engine.RunToIdle())
	for i, g := range v.Guests {
		if i == 6 {
			require.Len(t, g.IRQ.Log, 1)
			assert.Equal(t, 0, g.IRQ.Log[0].Vector)
		} else {
			assert.Empty(t, g.IRQ.Log, "vf%d", i)
		}
	}
	assert.Empty(t, v.IRQ.Log)
	require.NoError(t, v.Guests[0].Write(nic.EICS, 7, v.Engine.Now()))
	require.NoError(t, v.Engine.RunToIdle())
	assert.Len(t, v.Guests[0].IRQ.Log, 3)
	assert.Len(t, v.Guests[6].IRQ.Log, 1)
}

func TestAVFThatPollsIsNoReasonToLookForEachFrame(t *testing.T) {
	v := virtual(t, 2)
	require.NoError(t, v.Guests[0].Write(nic.EIMC, 7, 0))
	for i := range 20 {
		v.Wire.Play(nic.WireFrame{ID: uint64(i + 1), Data: ethernet(nictest.MACOf(0), stranger, 60, 0)})
	}
	v.Wire.Play(nic.WireFrame{ID: 99, Data: ethernet(nictest.MACOf(1), stranger, 60, 0)})
	require.NoError(t, v.Engine.RunToIdle())
	require.Len(t, v.Guests[1].IRQ.Log, 1)
	assert.LessOrEqual(t, v.Engine.Fired(), uint64(4))
	assert.Equal(t, uint64(20), v.Guests[0].Unread())
	conserved(t, v, 0, 0)
}

func TestAResetInMidTrafficLosesWhatTheVFHasAndNothingElse(t *testing.T) {
	v := virtual(t, 2)
	for i := range 10 {
		v.Wire.Play(nic.WireFrame{ID: uint64(i + 1), Data: ethernet(nictest.MACOf(i&1), stranger, 60, 0)})
	}
	a, b := v.Guests[0], v.Guests[1]
	a.CatchUp(400 * sim.Nanosecond) // some are there, some are not
	require.NotZero(t, a.Unread())
	lost := a.Unread()
	a.FLR(400 * sim.Nanosecond)
	assert.Equal(t, lost, v.Drops[cost.NIC][cost.NICVFReset])
	vflre, err := v.NIC.Read(nic.VFLRE, 400*sim.Nanosecond)
	require.NoError(t, err)
	assert.Equal(t, uint32(1), vflre)
	b.Now = sim.Millisecond
	got, err := b.Harvest()
	require.NoError(t, err)
	assert.Len(t, got, 5)
	assert.Equal(t, 5-lost, v.Drops[cost.NIC][cost.NICRxDisabled])
	conserved(t, v, 0, 5)

	a.Now = sim.Millisecond
	require.NoError(t, a.Up())
	require.NoError(t, v.NIC.Write(nic.VFRE, 3, a.Now))
	v.Wire.Play(nic.WireFrame{ID: 11, Data: ethernet(nictest.MACOf(0), stranger, 60, 0)})
	a.Now = 2 * sim.Millisecond
	got, err = a.Harvest()
	require.NoError(t, err)
	assert.Equal(t, []uint64{11}, ids(got))
}

func TestWhatAVFMayNotReachIsAFaultAndNotTheMemory(t *testing.T) {
	v := virtual(t, 2)
	a := v.Guests[0]
	a.Rx.Rx(0).Give(0x1000) // where nothing is mapped
	v.Wire.Play(
		nic.WireFrame{ID: 1, Data: ethernet(nictest.MACOf(0), stranger, 60, 1)},
		nic.WireFrame{ID: 2, Data: ethernet(nictest.MACOf(0), stranger, 60, 2)},
		nic.WireFrame{ID: 3, Data: ethernet(nictest.MACOf(1), stranger, 60, 3)})
	v.NIC.CatchUp(sim.Millisecond)
	assert.Equal(t, uint64(1), v.Drops[cost.NIC][cost.NICIOMMUFault])
	assert.Equal(t, uint64(1), a.Unread(), "the next descriptor is good")
	assert.Equal(t, uint64(1), v.Guests[1].Unread(), "nobody waits for a VF that is wrong")
	a.Now = sim.Millisecond
	require.NoError(t, a.Send(nic.Tag{ID: 4}, ethernet(stranger, nictest.MACOf(0), 60, 4)))
	a.Tx.Tx(a.Tx.Use).Give(uint64(nictest.IOVA)+1<<20-8, 60, nic.TxIFCS|nic.TxEOP, 60) // ends behind its memory
	require.NoError(t, a.Write(nic.TDT(0), a.Tx.Use+1, a.Now))
	require.Len(t, v.Wire.Sent, 1)
	assert.Equal(t, uint64(2), v.Drops[cost.NIC][cost.NICIOMMUFault])
	require.Len(t, v.IOMMU.Faults(), 2)
	assert.Equal(t, "DMA write at 0x1000 by 02:10.0: not present", v.IOMMU.Faults()[0].String())
	assert.Equal(t, uint64(2), a.Stat().Faults)
	_, misuses := v.NIC.Misuses()
	assert.Zero(t, misuses, "a guest's faults are not the host's")
	conserved(t, v, 0, 0)
}
