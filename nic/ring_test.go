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

// TestRing has the cases of a descriptor ring, on one of eight descriptors
// unless a row says otherwise.
func TestRing(t *testing.T) {
	eight := nictest.Options{Descs: 8, Polling: true}
	given := func(n int) nictest.Options {
		o := eight
		o.Given = n
		return o
	}
	t.Run("empty: the device owns nothing and the frame waits", func(t *testing.T) {
		d := up(t, nic.Config{}, given(-1))
		d.Wire.Play(frame(1, hostMAC, 60))
		d.Now = us
		assert.Empty(t, d.Harvest(0))
		assert.EqualValues(t, 1, d.NIC.InFlight())
		d.Post(0, 1)
		d.Now += us
		assert.Equal(t, count(1, 1), ids(d.Harvest(0)))
		clean(t, d)
	})
	t.Run("full: seven frames and no more", func(t *testing.T) {
		d := up(t, nic.Config{}, given(7))
		d.Wire.Play(frames(8, 60)...)
		d.Now = us
		assert.Equal(t, count(1, 7), ids(d.Harvest(0)))
		assert.EqualValues(t, 1, d.NIC.InFlight())
		assert.Equal(t, d.Read(nic.RDT(0)), d.Read(nic.RDH(0)))
		clean(t, d)
	})
	t.Run("one free", func(t *testing.T) {
		d := up(t, nic.Config{}, given(1))
		d.Wire.Play(frames(2, 60)...)
		d.Now = us
		assert.Equal(t, count(1, 1), ids(d.Harvest(0)))
		assert.EqualValues(t, 1, d.NIC.InFlight())
		clean(t, d)
	})
	t.Run("wrap: many times round, in order, whatever is given at once", func(t *testing.T) {
		for give := 1; give <= 7; give++ {
			d := up(t, nic.Config{}, given(give))
			d.Wire.Play(frames(100, 60)...)
			var got []nictest.Frame
			for len(got) < 100 {
				d.Now += us
				had := len(got)
				got = append(got, d.Harvest(0)...)
				require.Greater(t, len(got), had)
				d.Post(0, len(got)-had)
			}
			require.Equal(t, count(1, 100), ids(got))
			for i, f := range got {
				require.Equal(t, frame(uint64(i+1), hostMAC, 60).Data, f.Data)
			}
			clean(t, d)
		}
	})
	t.Run("chain over the ring's end", func(t *testing.T) {
		o := nictest.Options{Descs: 8, Polling: true, Buffer: 1024, Rctl: nic.RctlLPE}
		d := up(t, nic.Config{}, o)
		d.Wire.Play(append(frames(6, 60), frame(7, hostMAC, 3000), frame(8, hostMAC, 60))...)
		d.Now = us
		require.Equal(t, count(1, 6), ids(d.Harvest(0)))
		d.Post(0, 6)
		d.Now = 10 * us
		got := d.Harvest(0)
		require.Equal(t, count(7, 8), ids(got))
		assert.Equal(t, 3, got[0].Descs)
		assert.Equal(t, frame(7, hostMAC, 3000).Data, got[0].Data)
		assert.EqualValues(t, 2, d.Read(nic.RDH(0)), "6, 7, 0 and then 1")
		clean(t, d)
	})
	t.Run("the longest ring goes round at its own end", func(t *testing.T) {
		const n = 0xFFF80 / nic.DescSize // 32760 descriptors
		d := up(t, nic.Config{}, given(-1))
		d.Write(nic.RXDCTL(0), 0)
		base := uint64(4 << 20)
		d.Write(nic.RDBAL(0), uint32(base))
		d.Write(nic.RDLEN(0), n*nic.DescSize)
		d.Write(nic.RXDCTL(0), uint32(nic.DctlENABLE))
		ring := d.Memory.Bytes(4<<20, n*nic.DescSize)
		give := func(from, to int) {
			for i := from; i < to; i++ {
				nic.RxDesc(ring[i*16 : i*16+16]).Give(8 << 20)
			}
		}
		give(0, n)
		d.Write(nic.RDT(0), n-1)
		w := frames(1, 60)[0]
		for i := range n + 9 {
			w.ID = uint64(i)
			d.Wire.Frames = append(d.Wire.Frames, w)
		}
		d.NIC.Arrive()
		d.Now = n * slot60
		d.NIC.CatchUp(d.Now)
		assert.EqualValues(t, n-1, d.Read(nic.RDH(0)))
		give(0, 5)
		d.Write(nic.RDT(0), 5)
		d.Now += 10 * slot60
		assert.EqualValues(t, 5, d.Read(nic.RDH(0)))
		assert.EqualValues(t, n-1, d.NIC.RxTag(0, n-1).ID)
		assert.EqualValues(t, n+4, d.NIC.RxTag(0, 4).ID)
		clean(t, d)
	})
	t.Run("stale tail", func(t *testing.T) {
		d := up(t, nic.Config{}, given(5))
		d.Write(nic.RDT(0), 3)
		list, _ := d.NIC.Misuses()
		require.Len(t, list, 1)
		assert.Contains(t, list[0].What, "tail passes head")
	})
	t.Run("tail equals head after full", func(t *testing.T) {
		d := up(t, nic.Config{}, given(7))
		d.Write(nic.RDT(0), 0) // the eighth of eight
		list, _ := d.NIC.Misuses()
		require.Len(t, list, 1)
		assert.Contains(t, list[0].What, "tail passes head")
		d.Wire.Play(frame(1, hostMAC, 60))
		d.Now = us
		assert.Empty(t, d.Harvest(0), "head equals tail: the device owns none")
	})
	t.Run("tail written again, unchanged", func(t *testing.T) {
		d := up(t, nic.Config{}, given(5))
		d.Write(nic.RDT(0), 5)
		clean(t, d)
	})
	t.Run("disabled, moved and enabled again", func(t *testing.T) {
		d := up(t, nic.Config{}, given(7))
		d.Wire.Play(frames(3, 60)...)
		d.Now = us
		require.Len(t, d.Harvest(0), 3)
		d.Write(nic.RXDCTL(0), 0)
		d.Wire.Play(frame(4, hostMAC, 60))
		d.Now += us
		d.NIC.CatchUp(d.Now)
		assert.Equal(t, 1, drops(d, cost.NICRxDisabled))
		d.Write(nic.RDH(0), 0)
		d.Write(nic.RDT(0), 0)
		d.Write(nic.RXDCTL(0), uint32(nic.DctlENABLE))
		d.Rx[0].Use, d.Rx[0].Clean = 0, 0
		d.Post(0, 4)
		d.Wire.Play(frame(5, hostMAC, 60))
		d.Now += us
		assert.Equal(t, count(5, 5), ids(d.Harvest(0)))
		clean(t, d)
	})
}

func TestDropENDropsAtOnce(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Given: 4, DropEN: true, Polling: true})
	d.Wire.Play(frames(10, 60)...)
	d.Now = 10 * us
	assert.Equal(t, count(1, 4), ids(d.Harvest(0)))
	assert.Equal(t, 6, drops(d, cost.NICRxNoDesc))
	assert.EqualValues(t, 6, d.Read(nic.RQDPC(0)))
	assert.EqualValues(t, 0, d.Read(nic.RQDPC(0)), "reading clears")
	assert.EqualValues(t, 0, d.Read(nic.RNBC))
	assert.EqualValues(t, 10, d.Read(nic.GPRC), "they were good")
	clean(t, d)
}

func TestDropENWantsRoomForTheWholeFrame(t *testing.T) {
	o := nictest.Options{Descs: 8, Given: 2, Buffer: 1024, DropEN: true, Polling: true, Rctl: nic.RctlLPE}
	d := up(t, nic.Config{}, o)
	d.Wire.Play(frame(1, hostMAC, 3000), frame(2, hostMAC, 2000))
	d.Now = 10 * us
	assert.Equal(t, count(2, 2), ids(d.Harvest(0)))
	assert.Equal(t, 1, drops(d, cost.NICRxNoDesc))
	clean(t, d)
}

func TestWithoutDropENTheFrameWaits(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Given: 4, Polling: true})
	d.Wire.Play(frames(10, 60)...)
	d.Now = 10 * us
	assert.Equal(t, count(1, 4), ids(d.Harvest(0)))
	assert.Zero(t, d.Drops.Total())
	assert.EqualValues(t, 6, d.NIC.InFlight())
	assert.EqualValues(t, 1, d.Read(nic.RNBC), "one came to the head and found nothing")
	d.Post(0, 4)
	d.Now += 4*dma60 - 1 // the doorbell at 10 us lets the engine go on
	assert.Equal(t, count(5, 7), ids(d.Harvest(0)))
	d.Now++
	assert.Equal(t, count(8, 8), ids(d.Harvest(0)))
	assert.EqualValues(t, 1, d.Read(nic.RNBC), "and another")
	d.Post(0, 4)
	d.Now += us
	assert.Equal(t, count(9, 10), ids(d.Harvest(0)))
	clean(t, d)
}

func TestAFullPacketBufferDropsWhatArrives(t *testing.T) {
	d := up(t, nic.Config{FIFO: 1024}, nictest.Options{Descs: 8, Given: 2, Polling: true})
	d.Wire.Play(frames(30, 100)...)
	d.Now = 30 * us
	assert.Equal(t, count(1, 2), ids(d.Harvest(0)))
	assert.Equal(t, 30-2-10, drops(d, cost.NICRxFIFO), "ten of 100 bytes fit in 1024")
	assert.EqualValues(t, 18, d.Read(nic.MPC))
	assert.EqualValues(t, 0, d.Read(nic.MPC), "reading clears")
	assert.EqualValues(t, 12, d.Read(nic.GPRC), "what was missed was not received")
	assert.EqualValues(t, 30, d.Read(nic.TPR))
	var rest []uint64
	for range 4 {
		d.Post(0, 3)
		d.Now += us
		rest = append(rest, ids(d.Harvest(0))...)
	}
	assert.Equal(t, count(3, 12), rest, "the oldest stay")
	clean(t, d)
}

// TestAFrameThatJustFits says that the packet buffer is exactly as large as it
// says, and goes round.
func TestAFrameThatJustFits(t *testing.T) {
	d := up(t, nic.Config{FIFO: 1024}, nictest.Options{Descs: 8, Given: -1, Polling: true})
	var id uint64
	for round := range 50 {
		sizes := []int{500, 100 + round, 424 - round}
		for _, s := range sizes {
			id++
			d.Wire.Play(frame(id, hostMAC, s))
		}
		id++
		d.Wire.Play(frame(id, hostMAC, 60))
		d.Now += 10 * us
		require.Empty(t, d.Harvest(0))
		require.Equal(t, round+1, drops(d, cost.NICRxFIFO))
		d.Post(0, 3)
		d.Now += us
		got := d.Harvest(0)
		require.Len(t, got, 3)
		for i, f := range got {
			require.Equal(t, frame(f.Tag.ID, hostMAC, sizes[i]).Data, f.Data)
		}
		clean(t, d)
	}
}

func TestTheHeadOfTheLineBlocksEveryQueue(t *testing.T) {
	d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Descs: 8, Given: 7, Polling: true})
	r := route(t, d)
	a, b := r[0], r[1]
	play := func(list ...[]byte) {
		for _, f := range list {
			d.Wire.Play(nic.WireFrame{ID: uint64(len(d.Wire.Frames) + 1), Data: f})
		}
	}
	play(a, a, a, a, a, a, a, a, b, b) // one more for queue 0 than it has room for
	d.Now = 10 * us
	assert.Equal(t, count(1, 7), ids(d.Harvest(0)))
	assert.Empty(t, d.Harvest(1), "queue 1 has descriptors and waits all the same")
	d.Post(0, 1)
	d.Now += us
	assert.Equal(t, count(8, 8), ids(d.Harvest(0)))
	assert.Equal(t, count(9, 10), ids(d.Harvest(1)))
	clean(t, d)
}

func TestDropENFreesTheLine(t *testing.T) {
	d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Descs: 8, Given: 7, Polling: true})
	r := route(t, d)
	for i, q := range []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 1} {
		d.Wire.Play(nic.WireFrame{ID: uint64(i + 1), Data: r[q]})
	}
	d.Now = 10 * us
	assert.Empty(t, d.Harvest(1))
	d.Write(nic.SRRCTL(0), d.Read(nic.SRRCTL(0))|uint32(nic.SrrctlDropEN))
	d.Now += us
	assert.Equal(t, count(10, 10), ids(d.Harvest(1)))
	assert.Equal(t, 2, drops(d, cost.NICRxNoDesc))
	clean(t, d)
}

func TestAFrameThatWaitsForADisabledQueueIsDropped(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Given: 1, Polling: true})
	d.Wire.Play(frames(4, 60)...)
	d.Now = us
	require.Len(t, d.Harvest(0), 1)
	d.Write(nic.RXDCTL(0), 0)
	d.Now += us
	d.NIC.CatchUp(d.Now)
	assert.Equal(t, 3, drops(d, cost.NICRxDisabled))
	assert.Zero(t, d.NIC.InFlight())
	clean(t, d)
}

// TestDisablingDuringAWriteDropsTheFrame catches the DMA engine in the middle.
func TestDisablingDuringAWriteDropsTheFrame(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Polling: true})
	d.Wire.Play(frame(1, hostMAC, 60))
	d.Now = wire60 + 1
	d.Write(nic.RXDCTL(0), 0)
	assert.Equal(t, 1, drops(d, cost.NICRxDisabled))
	d.Now = us
	assert.Empty(t, d.Harvest(0))
	clean(t, d)
}

func TestJumbosTakeSeveralDescriptors(t *testing.T) {
	for _, tt := range []struct {
		size, buffer int
		descs        []int // bytes in each
	}{
		{9014, 2048, []int{2048, 2048, 2048, 2048, 822}},
		{9014, 16384, []int{9014}},
		{2048, 1024, []int{1024, 1024}},
		{2049, 1024, []int{1024, 1024, 1}},
		{1024, 1024, []int{1024}},
		{9724, 1024, []int{1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024, 508}},
	} {
		d := up(t, nic.Config{}, nictest.Options{Descs: 16, Buffer: tt.buffer, Polling: true, Rctl: nic.RctlLPE})
		f := frame(1, hostMAC, tt.size)
		d.Wire.Play(f)
		d.Now = 20 * us
		d.NIC.CatchUp(d.Now)
		for i, n := range tt.descs {
			desc := d.Rx[0].Rx(uint32(i))
			assert.True(t, desc.Done())
			assert.Equal(t, n, desc.Len())
			assert.Equal(t, i == len(tt.descs)-1, desc.Status()&nic.RxEOP != 0)
		}
		assert.Equal(t, f.Data, d.Harvest(0)[0].Data)
		clean(t, d)
	}
}

// TestAFrameLargerThanItsRing says that a frame goes on as the driver gives
// descriptors, when it does not have to be dropped.
func TestAFrameLargerThanItsRing(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Buffer: 1024, Rctl: nic.RctlLPE})
	f := frame(1, hostMAC, 9000)
	d.Wire.Play(f)
	var data []byte
	r := d.Rx[0]
	d.IRQ.Then = func(v int, at sim.Time) {
		d.Now = at
		d.NIC.CatchUp(d.Now)
		for r.Clean != r.Use && r.Rx(r.Clean).Done() {
			data = append(data, d.Memory.Bytes(r.Buffers[r.Clean], r.Rx(r.Clean).Len())...)
			r.Clean = (r.Clean + 1) % r.Len()
		}
		d.Post(0, r.Unused())
		d.Write(nic.EIMS, 1)
	}
	require.NoError(t, d.Engine.RunToIdle())
	assert.Equal(t, f.Data, data)
	assert.Equal(t, nic.Counts{In: 1, Written: 1, Messages: 2}, d.NIC.Counts())
	clean(t, d)
}

// TestABadBufferJamsItsQueue says that a descriptor that cannot be used stays
// where it is until the driver mends it.
func TestABadBufferJamsItsQueue(t *testing.T) {
	for _, tt := range []struct {
		name   string
		addr   uint64
		second uint64
		what   string
	}{
		{"address 0", 0, 0, "buffer address 0"},
		{"behind memory", 1 << 40, 0, "outside memory"},
		{"half behind memory", 16<<20 - 1024, 0, "outside memory"},
		{"wraps", 1<<64 - 10, 0, "outside memory"},
		{"not given", 4096, nic.RxDD, "DD set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{}, nictest.Options{Descs: 8, Polling: true})
			desc := d.Rx[0].Rx(1)
			desc.Give(tt.addr)
			desc[8] |= byte(tt.second)
			d.Wire.Play(frames(3, 60)...)
			d.Now = us
			assert.Equal(t, count(1, 1), ids(d.Harvest(0))[:1])
			assert.Equal(t, 2, drops(d, cost.NICRxDMA))
			list, _ := d.NIC.Misuses()
			require.Len(t, list, 2)
			assert.Equal(t, "RXD", list[0].Register)
			assert.Equal(t, 1, list[0].Index)
			assert.Contains(t, list[0].What, tt.what)
			require.NoError(t, d.NIC.Check())

			desc.Give(uint64(d.Rx[0].Buffers[1]))
			d.Rx[0].Clean = 1
			d.Wire.Play(frame(4, hostMAC, 60))
			d.Now += us
			assert.Equal(t, count(4, 4), ids(d.Harvest(0)))
		})
	}
}

// TestABadBufferInAChain says that a frame is written whole or not at all.
func TestABadBufferInAChain(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Buffer: 1024, Polling: true, Rctl: nic.RctlLPE})
	d.Rx[0].Rx(2).Give(0)
	d.Wire.Play(frame(1, hostMAC, 3000))
	d.Now = 10 * us
	assert.Empty(t, d.Harvest(0))
	assert.False(t, d.Rx[0].Rx(0).Done())
	assert.Equal(t, 1, drops(d, cost.NICRxDMA))
	require.NoError(t, d.NIC.Check())
}

func TestTheBufferAtTheEndOfMemory(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Polling: true})
	d.Rx[0].Buffers[0] = 16<<20 - 2048
	d.Rx[0].Rx(0).Give(16<<20 - 2048)
	f := frame(1, hostMAC, 1514)
	d.Wire.Play(f)
	d.Now = 10 * us
	assert.Equal(t, f.Data, d.Harvest(0)[0].Data)
	clean(t, d)
}

// TestADescriptorChangedDuringTheWrite takes a descriptor back while the DMA
// engine writes.
func TestADescriptorChangedDuringTheWrite(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Buffer: 1024, Polling: true, Rctl: nic.RctlLPE})
	d.Wire.Play(frame(1, hostMAC, 2000), frame(2, hostMAC, 60))
	d.Now = 2024*800 - 9600 + 1 // the last bit is in, the write begins
	d.NIC.CatchUp(d.Now)
	require.EqualValues(t, 1, d.NIC.Counts().In)
	d.Rx[0].Rx(0).Give(0)
	d.Now = 3 * us
	assert.Empty(t, d.Harvest(0))
	assert.Equal(t, 2, drops(d, cost.NICRxDMA), "and the next, at the same descriptor")
	require.NoError(t, d.NIC.Check())
}
