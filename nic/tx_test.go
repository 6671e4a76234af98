package nic_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

func TestAFrameLeavesAtItsTime(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	f := frame(9, otherMAC, 60)
	d.Now = us
	d.Send(0, nic.Tag{ID: 9}, f.Data, 0)
	fetched := us + 4*ns // descriptor 2, data 1, transaction 1
	require.Len(t, d.Wire.Sent, 1)
	assert.Equal(t, nic.WireFrame{ID: 9, At: fetched + wire60, Data: f.Data}, d.Wire.Sent[0])
	done := fetched + 2*ns // the write-back does not wait for the wire
	d.Now = done - 1
	assert.Zero(t, d.Reap(0), "not before its time")
	assert.Zero(t, d.Read(nic.TDH(0)))
	d.Now = done
	assert.Equal(t, 1, d.Reap(0))
	assert.EqualValues(t, 1, d.Read(nic.TDH(0)))
	require.NoError(t, d.Engine.RunToIdle())
	assert.Equal(t, []nictest.Interrupt{{Vector: 0, At: done + msix}}, d.IRQ.Log)
	assert.Equal(t, cost.Line{Count: 1, Bytes: 16}, d.Account.Line(cost.DevDescFetch))
	assert.Equal(t, cost.Line{Count: 1, Bytes: 60}, d.Account.Line(cost.DevTxDMA))
	assert.Equal(t, cost.Line{Count: 1}, d.Account.Line(cost.DevTLP))
	assert.Equal(t, cost.Line{Count: 1, Bytes: 16}, d.Account.Line(cost.DevTxWriteback))
	assert.EqualValues(t, 1, d.Account.FramesAt(cost.NIC))
	clean(t, d)
}

func TestFramesLeaveAtLineRate(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true})
	for i := range 20 {
		d.Send(0, nic.Tag{ID: uint64(i)}, frame(1, otherMAC, 1514).Data, 0)
	}
	first := (2+1)*ns + 6*ns + 1526*800*sim.Picosecond
	for i, f := range d.Wire.Sent {
		assert.EqualValues(t, i, f.ID)
		assert.Equal(t, first+sim.Time(i)*1230400, f.At)
	}
	clean(t, d)
}

// TestTheTransmitBufferHoldsTheDriverBack says that the device fetches no more
// than it has room for, so that a driver sees how slow the wire is.
func TestTheTransmitBufferHoldsTheDriverBack(t *testing.T) {
	d := up(t, nic.Config{LinkBPS: 1e9}, nictest.Options{Polling: true})
	data := frame(1, otherMAC, 1514).Data
	for range 100 {
		d.Send(0, nic.Tag{}, data, 0)
	}
	d.Now = 2 * us
	fit := 40 << 10 / 1514
	assert.Equal(t, fit, d.Reap(0))
	d.Now += 10 * 12304 * ns
	assert.Equal(t, 10, d.Reap(0))
	d.Now = d.Wire.Sent[99].At
	d.Reap(0)
	assert.Equal(t, 100*12304*ns-96*ns+3*ns+6*ns, d.Wire.Sent[99].At)
	assert.Equal(t, int(d.Tx[0].Use), int(d.Tx[0].Clean))
	clean(t, d)
}

func TestTxFrames(t *testing.T) {
	for _, tt := range []struct {
		name  string
		size  int
		piece int
		want  int // bytes on the wire
	}{
		{"one descriptor", 100, 0, 100},
		{"two", 100, 50, 100},
		{"a byte each", 64, 1, 64},
		{"padded", 14, 0, 60},
		{"padded, of two", 14, 7, 60},
		{"59 bytes", 59, 0, 60},
		{"60 bytes", 60, 0, 60},
		{"the longest", nic.MaxFrame - 4, 1500, nic.MaxFrame - 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{}, nictest.Options{Polling: true})
			for round := range 10 { // and over the ring's end
				f := frame(uint64(round), otherMAC, tt.size)
				d.Send(0, nic.Tag{ID: uint64(round + 1)}, f.Data, tt.piece)
				require.Len(t, d.Wire.Sent, round+1)
				got := d.Wire.Sent[round]
				require.EqualValues(t, round+1, got.ID)
				require.Equal(t, append(f.Data, make([]byte, tt.want-tt.size)...), got.Data)
				d.Now += 20 * us
				require.Equal(t, 1, d.Reap(0))
			}
			clean(t, d)
		})
	}
}

func TestTxRing(t *testing.T) {
	o := nictest.Options{Descs: 8, Polling: true}
	data := frame(1, otherMAC, 100).Data
	t.Run("full, and round", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		for range 5 {
			r := d.Tx[0]
			for range 7 {
				copy(d.Memory.Bytes(r.Buffers[r.Use], 100), data)
				r.Tx(r.Use).Give(uint64(r.Buffers[r.Use]), 100, nic.TxEOP|nic.TxIFCS|nic.TxRS, 100)
				r.Use = (r.Use + 1) % 8
			}
			d.Write(nic.TDT(0), r.Use)
			d.Now += 10 * us
			require.Equal(t, 7, d.Reap(0))
		}
		assert.Len(t, d.Wire.Sent, 35)
		clean(t, d)
	})
	t.Run("chain over the ring's end", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		for range 9 {
			d.Send(0, nic.Tag{}, data, 21)
			d.Now += 10 * us
			require.Equal(t, 1, d.Reap(0))
		}
		assert.Len(t, d.Wire.Sent, 9)
		clean(t, d)
	})
	t.Run("a chain whose end has not been given waits", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		r := d.Tx[0]
		copy(d.Memory.Bytes(r.Buffers[0], 100), data)
		r.Tx(0).Give(uint64(r.Buffers[0]), 50, nic.TxIFCS, 100)
		d.Write(nic.TDT(0), 1)
		d.Now += us
		assert.Empty(t, d.Wire.Sent)
		r.Tx(1).Give(uint64(r.Buffers[0])+50, 50, nic.TxEOP|nic.TxIFCS|nic.TxRS, 100)
		d.Write(nic.TDT(0), 2)
		require.Len(t, d.Wire.Sent, 1)
		assert.Equal(t, data, d.Wire.Sent[0].Data)
		clean(t, d)
	})
	t.Run("without RS there is no DD and no cause, but the head moves", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{Descs: 8})
		r := d.Tx[0]
		r.Tx(0).Give(uint64(r.Buffers[0]), 100, nic.TxEOP|nic.TxIFCS, 100)
		d.Write(nic.TDT(0), 1)
		require.NoError(t, d.Engine.RunToIdle())
		d.Now = us
		assert.EqualValues(t, 1, d.Read(nic.TDH(0)))
		assert.False(t, r.Tx(0).Done())
		assert.Empty(t, d.IRQ.Log)
		assert.Zero(t, d.Account.Line(cost.DevTxWriteback).Count)
		clean(t, d)
	})
	t.Run("a context descriptor takes its place and sends nothing", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		r := d.Tx[0]
		ctx := r.Tx(0)
		binary.LittleEndian.PutUint32(ctx[8:], nic.TxTypeContext|nic.TxDEXT)
		r.Use = 1
		d.Send(0, nic.Tag{ID: 4}, data, 0)
		require.Len(t, d.Wire.Sent, 1)
		d.Now += us
		assert.EqualValues(t, 2, d.Read(nic.TDH(0)))
		assert.EqualValues(t, 2, d.Account.Line(cost.DevDescFetch).Count)
		clean(t, d)
	})
	t.Run("a transmitter that is off keeps its frames", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		d.Write(nic.TCTL, 0)
		d.Send(0, nic.Tag{}, data, 0)
		d.Send(0, nic.Tag{}, data, 0)
		d.Now = 5 * us
		d.NIC.CatchUp(d.Now)
		assert.Empty(t, d.Wire.Sent)
		d.Write(nic.TCTL, uint32(nic.TctlEN))
		require.Len(t, d.Wire.Sent, 2)
		assert.Greater(t, d.Wire.Sent[0].At, 5*us)
		clean(t, d)
	})
	t.Run("a queue that is switched off drops them", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		d.Write(nic.TCTL, 0)
		d.Send(0, nic.Tag{ID: 1}, data, 30)
		d.Send(0, nic.Tag{ID: 2}, data, 0)
		d.Write(nic.TXDCTL(0), 0)
		assert.Equal(t, 2, drops(d, cost.NICTxDisabled))
		d.Write(nic.TCTL, uint32(nic.TctlEN))
		d.Write(nic.TDH(0), 0)
		d.Write(nic.TDT(0), 0)
		d.Tx[0].Use, d.Tx[0].Clean = 0, 0
		d.Write(nic.TXDCTL(0), uint32(nic.DctlENABLE))
		d.Send(0, nic.Tag{ID: 3}, data, 0)
		require.Len(t, d.Wire.Sent, 1)
		assert.EqualValues(t, 3, d.Wire.Sent[0].ID)
		clean(t, d)
	})
	t.Run("a reset drops them", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		d.Write(nic.TCTL, 0)
		d.Send(0, nic.Tag{ID: 1}, data, 30)
		d.Write(nic.CTRL, uint32(nic.CtrlRST))
		assert.Equal(t, 1, drops(d, cost.NICTxDisabled))
		assert.EqualValues(t, 1, d.NIC.Counts().DroppedTx)
		clean(t, d)
	})
	t.Run("no write-back into a ring that is gone", func(t *testing.T) {
		d := up(t, nic.Config{}, o)
		d.Send(0, nic.Tag{}, data, 0)
		d.Write(nic.TXDCTL(0), 0)
		d.Write(nic.TXDCTL(0), uint32(nic.DctlENABLE))
		d.Now = us
		d.NIC.CatchUp(d.Now)
		assert.False(t, d.Tx[0].Tx(0).Done())
		clean(t, d)
	})
}

func TestTxTagsAreUsedOnce(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8, Polling: true})
	r := d.Tx[0]
	for i := range uint32(16) {
		if i < 7 {
			d.NIC.SetTxTag(0, i, nic.Tag{ID: uint64(i + 1)})
		}
		r.Tx(i%8).Give(uint64(r.Buffers[0]), 60, nic.TxEOP|nic.TxIFCS|nic.TxRS, 60)
		d.Write(nic.TDT(0), (i+1)%8)
		d.Now += us
		d.NIC.CatchUp(d.Now)
	}
	require.Len(t, d.Wire.Sent, 16)
	for i, f := range d.Wire.Sent {
		if i < 7 {
			assert.EqualValues(t, i+1, f.ID)
		} else {
			assert.Zero(t, f.ID)
		}
	}
	clean(t, d)
}

func TestTransmittingDoesNotAllocate(t *testing.T) {
	w := &loop{}
	r, err := nictest.NewRig(nic.Config{Wire: w})
	require.NoError(t, err)
	d, err := nictest.Up(r, 1, nictest.Options{})
	require.NoError(t, err)
	data := frame(1, otherMAC, 200).Data
	assert.Zero(t, testing.AllocsPerRun(300, func() {
		for range 10 {
			d.Send(0, nic.Tag{ID: 5}, data, 100)
		}
		d.Now += 10 * us
		_ = d.Engine.RunUntil(d.Now)
		d.Reap(0)
		d.Write(nic.EIMS, 1)
	}))
	clean(t, d)
}
