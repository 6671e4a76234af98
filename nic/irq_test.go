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

// paced are frames of 60 bytes whose first bits can go at the given times.
func paced(at ...sim.Time) (list []nic.WireFrame) {
	for i, t := range at {
		f := frame(uint64(i+1), hostMAC, 60)
		f.At = t
		list = append(list, f)
	}
	return list
}

func times(log []nictest.Interrupt) (at []sim.Time) {
	for _, i := range log {
		at = append(at, i.At)
	}
	return at
}

// awake has the driver unmask its vector again after every interrupt, as soon as
// it has looked.
func awake(d *nictest.Driver, after sim.Time) {
	d.IRQ.Then = func(v int, at sim.Time) {
		d.Now = at + after
		n := len(d.Harvest(v))
		d.Post(v, n)
		d.Write(nic.EIMS, 1<<v)
	}
}

// TestModeration holds the messages' times against the throttle, to the
// picosecond.
func TestModeration(t *testing.T) {
	const late = dma60 + wire60 + msix // from first bit to interrupt
	for _, tt := range []struct {
		name   string
		itr    uint32 // microseconds
		frames []sim.Time
		want   []sim.Time
	}{
		{"no throttle: one for each frame", 0, []sim.Time{0, us, 2 * us}, []sim.Time{late, us + late, 2*us + late}},
		{"the first goes out at once", 100, []sim.Time{5 * us}, []sim.Time{5*us + late}},
		{"the second waits for the interval", 10, []sim.Time{0, us}, []sim.Time{late, 10*us + late}},
		{"many within the interval share one", 10, []sim.Time{0, us, 2 * us, 3 * us, 9 * us}, []sim.Time{late, 10*us + late}},
		{"one after the interval does not wait", 10, []sim.Time{0, 15 * us}, []sim.Time{late, 15*us + late}},
		{"the interval counts from the last message", 10, []sim.Time{0, 4 * us, 12 * us, 19 * us, 100 * us},
			[]sim.Time{late, 10*us + late, 20*us + late, 100*us + late}},
		{"in memory just as the interval ends", 10, []sim.Time{0, 10 * us}, []sim.Time{late, 10*us + late}},
		{"in memory just after the interval ends", 10, []sim.Time{0, 10*us + 1}, []sim.Time{late, 10*us + late + 1}},
		{"the longest interval", 8191, []sim.Time{0, us}, []sim.Time{late, 8191*us + late}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{}, nictest.Options{})
			d.Write(nic.EITR(0), tt.itr<<nic.EitrIntervalShift)
			awake(d, 100*ns)
			d.Wire.Play(paced(tt.frames...)...)
			require.NoError(t, d.Engine.RunToIdle())
			assert.Equal(t, tt.want, times(d.IRQ.Log))
			assert.EqualValues(t, len(tt.want), d.Account.Line(cost.DevMSIX).Count)
			clean(t, d)
		})
	}
}

// TestModerationSavesEvents says that an event is spent on a message, not on a
// frame.
func TestModerationSavesEvents(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 1024})
	d.Write(nic.EITR(0), 20<<nic.EitrIntervalShift)
	awake(d, us)
	d.Wire.Play(frames(3000, 60)...) // 201.6 us at line rate
	require.NoError(t, d.Engine.RunToIdle())
	assert.Len(t, d.IRQ.Log, 12, "one at once, ten within, one for the rest")
	assert.EqualValues(t, len(d.IRQ.Log), d.Engine.Fired())
	clean(t, d)
}

// TestNoEventBeforeTheThrottleEnds says that frames which could cause nothing
// before then cost no events, wanted or not.
func TestNoEventBeforeTheThrottleEnds(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	d.Write(nic.EITR(0), 100<<nic.EitrIntervalShift)
	awake(d, 100*ns)
	d.Wire.Play(paced(0)...)
	for i := range sim.Time(50) {
		f := frame(9, otherMAC, 60)
		f.At = us + i*us
		d.Wire.Play(f)
	}
	d.Wire.Play(paced(60 * us)...)
	require.NoError(t, d.Engine.RunToIdle())
	assert.Equal(t, []sim.Time{firstIRQ, 100*us + firstIRQ}, times(d.IRQ.Log))
	assert.EqualValues(t, 2, d.Engine.Fired())
	clean(t, d)
}

func TestEITRWritesTheCounter(t *testing.T) {
	after := func(v uint32) []sim.Time {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.EITR(0), 10<<nic.EitrIntervalShift)
		awake(d, 100*ns)
		d.Wire.Play(paced(0, 4*us)...)
		require.NoError(t, d.Engine.RunUntil(2*us))
		d.Now = 2 * us
		d.Write(nic.EITR(0), v)
		require.NoError(t, d.Engine.RunToIdle())
		clean(t, d)
		assert.Equal(t, v&^uint32(nic.EitrCntIgnr), d.Read(nic.EITR(0)), "it reads back")
		return times(d.IRQ.Log)
	}
	late := dma60 + wire60 + msix
	assert.Equal(t, []sim.Time{late, 10*us + late}, after(50<<nic.EitrIntervalShift|uint32(nic.EitrCntIgnr)), "the counter runs on")
	assert.Equal(t, []sim.Time{late, 4*us + late}, after(50<<nic.EitrIntervalShift), "the counter is written, with 0")
}

// TestMasks has what can happen between a cause and its message.
func TestMasks(t *testing.T) {
	t.Run("a cause while masked fires on unmask", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{Polling: true})
		d.Wire.Play(frame(1, hostMAC, 60))
		require.NoError(t, d.Engine.RunToIdle())
		assert.Empty(t, d.IRQ.Log)
		d.Now = 5 * us
		assert.EqualValues(t, 1, d.Read(nic.EICR))
		d.Write(nic.EIMS, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Equal(t, []sim.Time{5*us + msix}, times(d.IRQ.Log))
		assert.Zero(t, d.Read(nic.EICR), "EIAC")
		assert.Zero(t, d.Read(nic.EIMS), "EIAM")
		clean(t, d)
	})
	t.Run("a frame between the message and the interrupt is a new cause", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		a, b := frame(1, hostMAC, 60), frame(2, hostMAC, 60)
		d.Wire.Play(a, b)
		require.NoError(t, d.Engine.RunUntil(firstRx+1))
		d.Now = firstRx + 1
		assert.Zero(t, d.Read(nic.EICR), "the message is on its way")
		require.NoError(t, d.Engine.RunUntil(us))
		d.Now = us
		assert.Len(t, d.IRQ.Log, 1)
		assert.EqualValues(t, 1, d.Read(nic.EICR), "for the second")
		d.Write(nic.EIMS, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Equal(t, []sim.Time{firstIRQ, us + msix}, times(d.IRQ.Log))
		clean(t, d)
	})
	t.Run("the same for a CPU whose time is ahead", func(t *testing.T) {
		for _, gbit := range []sim.Time{10, 1000} { // straight to memory, and through the packet buffer
			d := up(t, nic.Config{LinkBPS: uint64(gbit) * 1e9}, nictest.Options{})
			d.Wire.Play(frames(3, 60)...)
			d.Now = us
			require.Len(t, d.Harvest(0), 3, "in one burst")
			assert.EqualValues(t, 1, d.Read(nic.EICR), "for the second and third")
			assert.Zero(t, d.Read(nic.EIMS))
			d.Write(nic.EIMS, 1)
			require.NoError(t, d.Engine.RunToIdle())
			assert.Equal(t, []sim.Time{wire60*10/gbit + dma60 + msix, us + msix}, times(d.IRQ.Log))
			clean(t, d)
		}
	})
	t.Run("a write-back just as the throttle ends joins the message", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.EITR(0), 10<<nic.EitrIntervalShift)
		awake(d, 100*ns)
		d.Wire.Play(paced(0, us)...)
		require.NoError(t, d.Engine.RunUntil(2*us))
		d.Now = firstRx + 10*us - 6*ns // it takes six until the write-back is done
		d.Send(0, nic.Tag{}, frame(1, otherMAC, 60).Data, 0)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Equal(t, []sim.Time{firstIRQ, 10*us + firstIRQ}, times(d.IRQ.Log))
		clean(t, d)
	})
	t.Run("two frames done at once share a message", func(t *testing.T) {
		d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Polling: true})
		for i := range 2 { // both queues on vector 0
			d.Write(nic.IVAR(i), nic.IvarValid)
		}
		r := route(t, d)
		d.Wire.Play(nic.WireFrame{ID: 1, Data: r[0]}, nic.WireFrame{ID: 2, Data: r[1]})
		d.Now = us
		d.Write(nic.EIMS, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 1)
		clean(t, d)
	})
	t.Run("masked before the message went out", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Wire.Play(frame(1, hostMAC, 60))
		d.Now = firstRx - 1
		d.Write(nic.EIMC, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Empty(t, d.IRQ.Log)
		clean(t, d)
	})
	t.Run("masked after the message went out", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Wire.Play(frame(1, hostMAC, 60))
		d.Now = firstRx + 1 // a CPU whose time is ahead
		d.Write(nic.EIMC, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Equal(t, []sim.Time{firstIRQ}, times(d.IRQ.Log), "it cannot be called back")
		clean(t, d)
	})
	t.Run("without EIAM the vector stays open", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.EIAM, 0)
		d.Wire.Play(paced(0, us, 2*us)...)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 3)
		clean(t, d)
	})
	t.Run("EIAM does nothing without GPIE.EIAME", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.GPIE, uint32(nic.GpieMultipleMSIX))
		d.Wire.Play(paced(0, us, 2*us)...)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 3)
		clean(t, d)
	})
	t.Run("without EIAC and EIAM a cause that is not cleared comes once", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.EIAC, 0)
		d.Write(nic.EIAM, 0)
		d.Wire.Play(paced(0, us, 2*us)...)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 1)
		d.Now = d.Engine.Now()
		d.Write(nic.EICR, 1)
		d.Wire.Play(paced(5 * us)...)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 2)
		clean(t, d)
	})
	t.Run("without EIAC every unmasking of a cause that is not cleared fires", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.EIAC, 0)
		d.Write(nic.EITR(0), 10<<nic.EitrIntervalShift)
		awake(d, 0)
		d.Wire.Play(paced(0)...)
		require.NoError(t, d.Engine.RunUntil(55*us))
		assert.Len(t, d.IRQ.Log, 6)
	})
	t.Run("a write to EICR clears, and calls back what was owed", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{Polling: true})
		d.Wire.Play(frame(1, hostMAC, 60))
		d.Now = us
		assert.EqualValues(t, 1, d.Read(nic.EICR))
		assert.EqualValues(t, 1, d.Read(nic.EICR), "reading does not clear with several vectors")
		d.Write(nic.EICR, 1)
		assert.Zero(t, d.Read(nic.EICR))
		d.Write(nic.EIMS, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Empty(t, d.IRQ.Log)
		clean(t, d)
	})
	t.Run("EICS makes an interrupt", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.EITR(0), 10<<nic.EitrIntervalShift)
		awake(d, 100*ns)
		d.Now = us
		d.Write(nic.EICS, 1)
		require.NoError(t, d.Engine.RunUntil(2*us))
		d.Now = 2 * us
		d.Write(nic.EICS, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Equal(t, []sim.Time{us + msix, 11*us + msix}, times(d.IRQ.Log), "the second waits for the throttle")
		clean(t, d)
	})
	t.Run("EICS and EICR use EIAM without GPIE.EIAME", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{Polling: true})
		d.Write(nic.GPIE, uint32(nic.GpieMultipleMSIX))
		d.Write(nic.EICS, 1)
		assert.EqualValues(t, 1, d.Read(nic.EIMS))
		d.Write(nic.EICR, 1)
		assert.Zero(t, d.Read(nic.EIMS))
	})
	t.Run("unmasking twice fires once", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{Polling: true})
		d.Wire.Play(frame(1, hostMAC, 60))
		d.Now = us
		d.Write(nic.EIMS, 1)
		d.Write(nic.EIMS, 1)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 1)
		clean(t, d)
	})
}

func TestVectorsOfQueues(t *testing.T) {
	d := up(t, nic.Config{Queues: 16}, nictest.Options{RSS: true, Descs: 8})
	d.Write(nic.EIAM, 0)
	vector := func(q int) int { return (q*7 + 3) % 25 }
	for i := range 8 {
		var v uint32
		v |= uint32(nic.IvarValid | vector(i))
		v |= uint32(nic.IvarValid|vector(i+8)) << 16
		d.Write(nic.IVAR(i), v)
	}
	d.Write(nic.EIMS, 1<<25-1)
	for q := range 16 {
		for i := range nic.RETAWords {
			d.Write(nic.RETA(i), uint32(q)*0x01010101)
		}
		data := flows(1, 60)[0]
		copy(data, hostMAC)
		d.Wire.Play(nic.WireFrame{ID: uint64(q), At: d.Engine.Now() + us, Data: data})
		require.NoError(t, d.Engine.RunToIdle())
		require.Len(t, d.IRQ.Log, q+1)
		assert.Equal(t, vector(q), d.IRQ.Log[q].Vector, "queue %d", q)
		d.Now = d.Engine.Now()
	}
	clean(t, d)
}

// TestTheOtherCause goes from a legacy cause to the vector of IVAR_MISC.
func TestTheOtherCause(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	d.Write(nic.IVAR_MISC, (nic.IvarValid|5)<<8)
	d.Write(nic.EIAC, 1<<5)
	d.Write(nic.EIMS, 1<<5)
	d.Write(nic.ICS, nic.IcrLSC)
	require.NoError(t, d.Engine.RunToIdle())
	assert.Empty(t, d.IRQ.Log, "IMS does not want it")
	d.Write(nic.IMS, nic.IcrLSC)
	require.NoError(t, d.Engine.RunToIdle())
	require.Len(t, d.IRQ.Log, 1)
	assert.Equal(t, 5, d.IRQ.Log[0].Vector)
	d.Now = d.Engine.Now()
	assert.EqualValues(t, nic.IcrLSC, d.Read(nic.ICR))
	assert.Zero(t, d.Read(nic.ICR), "reading clears")
	d.Write(nic.ICS, nic.IcrLSC)
	require.NoError(t, d.Engine.RunToIdle())
	assert.Len(t, d.IRQ.Log, 2)
	d.Now = d.Engine.Now()
	d.Write(nic.ICR, nic.IcrLSC)
	assert.Zero(t, d.Read(nic.ICR))
	d.Write(nic.IMC, nic.IcrLSC)
	d.Write(nic.ICS, nic.IcrLSC)
	require.NoError(t, d.Engine.RunToIdle())
	assert.Len(t, d.IRQ.Log, 2)
	clean(t, d)
}

func TestSingleVectorModesSendNothing(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true})
	d.Write(nic.GPIE, 0)
	d.Write(nic.EIMS, 1)
	d.Wire.Play(frame(1, hostMAC, 60))
	require.NoError(t, d.Engine.RunToIdle())
	assert.Empty(t, d.IRQ.Log)
	list, _ := d.NIC.Misuses()
	require.Len(t, list, 1)
	assert.Contains(t, list[0].What, "Multiple_MSIX")
}

// TestSeveralVectorsAtOnce says that messages of one moment reach the CPU in the
// order of their vectors.
func TestSeveralVectorsAtOnce(t *testing.T) {
	d := up(t, nic.Config{Queues: 4}, nictest.Options{})
	d.Now = us
	d.Write(nic.EICS, 0b1010)
	d.Write(nic.EICS, 0b0101)
	require.NoError(t, d.Engine.RunToIdle())
	at := us + msix
	assert.Equal(t, []nictest.Interrupt{{Vector: 0, At: at}, {Vector: 1, At: at}, {Vector: 2, At: at}, {Vector: 3, At: at}}, d.IRQ.Log)
	assert.EqualValues(t, 1, d.Engine.Fired())
	clean(t, d)
}

// TestACPUBehindAnother has two CPUs whose times overlap: what the one behind
// does is not lost, and the timer does not stand still.
func TestACPUBehindAnother(t *testing.T) {
	t.Run("unmasks", func(t *testing.T) {
		d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Polling: true})
		d.Wire.Play(nic.WireFrame{ID: 1, Data: route(t, d)[1]})
		d.NIC.CatchUp(20 * us) // the CPU ahead
		d.Now = 10 * us
		d.Write(nic.EIMS, 2)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Equal(t, []nictest.Interrupt{{Vector: 1, At: 10*us + msix}}, d.IRQ.Log)
		clean(t, d)
	})
	t.Run("gives descriptors to a frame that waits", func(t *testing.T) {
		d := up(t, nic.Config{}, nictest.Options{Given: -1})
		d.Wire.Play(frame(1, hostMAC, 60))
		d.NIC.CatchUp(20 * us)
		d.Now = 10 * us
		d.Post(0, 4)
		require.NoError(t, d.Engine.RunToIdle())
		assert.Len(t, d.IRQ.Log, 1)
		assert.Equal(t, count(1, 1), ids(d.Harvest(0)))
		clean(t, d)
	})
}
