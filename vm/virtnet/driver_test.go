package virtnet_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/mem"
	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm/guest"
	"ringside/vm/virtnet"
)

// A fake is a device, and a CPU that nobody charges, in the hands of a test.
type fake struct {
	t       *testing.T
	offered virtio.Features
	space   virtio.NetConfig
	chosen  virtio.Features
	mem     *mem.Memory
	rx, tx  []*virtio.Ring
	kicks   map[bool]int // by tx
	steps   map[cost.Step]uint64
	now     sim.Time
	failed  error
	late    []sim.Time
	probe   func() error
}

func newFake(t *testing.T, f virtio.Features) *fake {
	return &fake{
		t: t, offered: f, space: virtio.NetConfig{MTU: 1500, RingSize: 64, MaxPairs: 4}, kicks: map[bool]int{}, steps: map[cost.Step]uint64{},
	}
}

func (f *fake) Offered() virtio.Features   { return f.offered }
func (f *fake) Config() virtio.NetConfig   { return f.space }
func (f *fake) ProbeLater(do func() error) { f.probe = do }
func (f *fake) Kick(_ int, tx bool)        { f.kicks[tx]++ }
func (f *fake) Ring(pair int, tx bool) *virtio.Ring {
	if tx {
		return f.tx[pair]
	}
	return f.rx[pair]
}
func (f *fake) CallAt(_ int, _ bool, at sim.Time) { f.late = append(f.late, at) }
func (f *fake) ChargeFrame(_ virtio.Tag, s cost.Step, n, _ uint64) {
	f.steps[s] += n
}
func (f *fake) Activate(m *mem.Memory, chosen virtio.Features, rings []virtio.Pair) error {
	var err error
	if f.chosen, err = virtio.Negotiate(f.offered, chosen); err != nil {
		return err
	}
	f.mem = m
	for _, p := range rings {
		rx, err := virtio.NewRing(m, p.Rx, chosen)
		require.NoError(f.t, err)
		tx, err := virtio.NewRing(m, p.Tx, chosen)
		require.NoError(f.t, err)
		f.rx, f.tx = append(f.rx, rx), append(f.tx, tx)
	}
	return nil
}
func (f *fake) Reset()                                   { f.rx, f.tx = nil, nil }
func (f *fake) Now() sim.Time                            { return f.now }
func (f *fake) Charge(s cost.Step, n uint64)             { f.steps[s] += n }
func (f *fake) ChargeBytes(s cost.Step, n, bytes uint64) { f.steps[s] += n }
func (f *fake) Work(sim.Time) sim.Time                   { return 0 }
func (f *fake) WakeAt(sim.Time)                          {}
func (f *fake) Fail(err error)                           { f.failed = err }
func (f *fake) driver(c virtnet.Config) *virtnet.Driver {
	f.t.Helper()
	c.CPU, c.Device = f, f
	d, err := virtnet.New(c)
	require.NoError(f.t, err)
	return d
}

// deliver puts bytes, a header among them, into as many of the guest's buffers as they
// take.
func (f *fake) deliver(b []byte) {
	f.t.Helper()
	dev := &f.rx[0].Device
	for first := true; first || len(b) > 0; first = false {
		var c virtio.Chain
		ok, err := dev.Next(f.now, &c)
		require.NoError(f.t, err)
		require.True(f.t, ok, "no buffer")
		n := copy(c.In[0], b)
		b = b[n:]
		dev.Push(f.now, c.Head, uint32(n))
	}
}

// frame is a header and a frame of n bytes that counts up.
func frame(m offload.Meta, buffers uint16, n int) []byte {
	b := make([]byte, virtio.HdrLen+n)
	virtio.PutHdr(b, m, buffers)
	for i := range n {
		b[virtio.HdrLen+i] = byte(i)
	}
	return b
}

const most = virtio.Known &^ (virtio.FMQ | virtio.FCtrlVQ)

// What the driver asks for follows from what is offered, and is always consistent.
func TestNegotiation(t *testing.T) {
	const tso = virtio.FGuestTSO4 | virtio.FGuestTSO6
	for _, tc := range []struct {
		name    string
		offered virtio.Features
		cfg     virtnet.Config
		has     virtio.Features
		not     virtio.Features
		feat    guest.Features
	}{
		{"everything", virtio.Known, virtnet.Config{}, tso | virtio.FMrgRxbuf | virtio.FMQ | virtio.FRingEventIdx, virtio.FRingIndirect, guest.Features{TxChecksum: true, RxChecksum: true, GSOMax: 65535}},
		{"one pair asked for", virtio.Known, virtnet.Config{Pairs: 1}, tso, virtio.FMQ, guest.Features{TxChecksum: true, RxChecksum: true, GSOMax: 65535}},
		{"no mergeable buffers: nothing long comes", virtio.Known &^ virtio.FMrgRxbuf, virtnet.Config{}, virtio.FGuestCSUM, tso, guest.Features{TxChecksum: true, RxChecksum: true, GSOMax: 65535}},
		{"a small ring: nothing long comes or goes", virtio.Known, virtnet.Config{RingSize: 16}, virtio.FGuestCSUM, tso | virtio.FHostTSO4, guest.Features{TxChecksum: true, RxChecksum: true}},
		{"no checksums: no TSO either", virtio.Known &^ (virtio.FCSUM | virtio.FGuestCSUM), virtnet.Config{}, virtio.FMrgRxbuf, tso | virtio.FHostTSO4 | virtio.FHostTSO6, guest.Features{}},
		{"TSO over one protocol only is not told the stack", virtio.Known &^ virtio.FHostTSO6, virtnet.Config{}, virtio.FHostTSO4, 0, guest.Features{TxChecksum: true, RxChecksum: true}},
		{"not asked for", virtio.Known, virtnet.Config{Off: virtio.FGuestCSUM}, virtio.FHostTSO4, tso, guest.Features{TxChecksum: true, GSOMax: 65535}},
		{"nothing", virtio.FVersion1, virtnet.Config{}, virtio.FVersion1, ^virtio.FVersion1, guest.Features{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t, tc.offered)
			d := f.driver(tc.cfg)
			assert.True(t, d.Negotiated().Has(tc.has), d.Negotiated())
			assert.Zero(t, d.Negotiated()&tc.not)
			assert.Equal(t, tc.feat, d.Features())
			require.NoError(t, f.probe())
			assert.Equal(t, d.Negotiated(), f.chosen)
			for _, r := range f.rx {
				assert.Zero(t, r.Driver.Free(), "every buffer is with the device")
			}
		})
	}
	_, err := virtnet.New(virtnet.Config{CPU: newFake(t, 0), Device: newFake(t, 0)})
	assert.ErrorIs(t, err, virtio.ErrFeatures, "a legacy device")
	_, err = virtnet.New(virtnet.Config{CPU: newFake(t, 0), Device: newFake(t, virtio.Known), Pairs: 5})
	assert.EqualError(t, err, "virtnet: 5 pairs of queues wanted, and the device has 4")
	_, err = virtnet.New(virtnet.Config{})
	assert.EqualError(t, err, "virtnet: CPU and Device are required")
}

// A packet is handed up as it is, whole, whatever buffers it came in.
func TestReceive(t *testing.T) {
	half := offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16}
	long := half
	long.GSO, long.GSOSize, long.HdrLen = offload.GSOTCPv4, 1448, 54
	for _, tc := range []struct {
		name    string
		f       virtio.Features
		m       offload.Meta
		n       int
		buffers int
	}{
		{"one buffer", most, offload.Meta{}, 1514, 1},
		{"a page to the byte", most, offload.Meta{Valid: true}, 4096 - 12, 1},
		{"a page and a byte", most, half, 4096 - 11, 2},
		{"64 KiB", most, long, 65549, 17},
		{"small buffers, a jumbo frame", virtio.FVersion1 | virtio.FMrgRxbuf, offload.Meta{}, 9014, 6},
		{"one buffer for each", virtio.FVersion1, offload.Meta{}, 1518, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t, tc.f)
			d := f.driver(virtnet.Config{})
			require.NoError(t, f.probe())
			want := frame(tc.m, uint16(tc.buffers), tc.n)
			f.deliver(want)
			assert.True(t, f.rx[0].Device.CallNeeded())
			assert.True(t, d.Interrupt(0))
			var got []byte
			n, more := d.Poll(64, func(p *netstack.Packet) {
				assert.Equal(t, tc.m, p.Meta)
				assert.Equal(t, tc.n, p.Len)
				for _, part := range p.Parts {
					got = append(got, part...)
				}
			})
			assert.Equal(t, 1, n)
			assert.False(t, more)
			assert.Equal(t, want[virtio.HdrLen:], got)
			assert.EqualValues(t, tc.buffers-1, f.steps[cost.VirtnetAddFrag])
			assert.NoError(t, f.failed)
		})
	}
}

// What a device says of a frame is not believed: such a frame is thrown away and counted,
// the next one comes.
func TestHostileFrames(t *testing.T) {
	num := func(b []byte, n uint16) []byte { binary.LittleEndian.PutUint16(b[10:], n); return b }
	bad := frame(offload.Meta{}, 1, 100)
	bad[1] = 77
	for _, tc := range []struct {
		name string
		f    virtio.Features
		b    []byte
	}{
		{"shorter than its header", most, make([]byte, 11)},
		{"no bytes", most, nil},
		{"no buffers", most, num(frame(offload.Meta{}, 1, 100), 0)},
		{"more buffers than there are", most, num(frame(offload.Meta{}, 1, 100), 2)},
		{"65,535 buffers", most, num(frame(offload.Meta{}, 1, 100), 65535)},
		{"an unknown kind", most, bad},
		{"a sum outside of the frame", most, frame(offload.Meta{NeedsCsum: true, CsumStart: 99}, 1, 100)},
		{"a sum that was not negotiated", virtio.FVersion1, frame(offload.Meta{NeedsCsum: true}, 1, 100)},
		{"segments that were not negotiated", most &^ virtio.FGuestTSO6, frame(offload.Meta{NeedsCsum: true, GSO: offload.GSOTCPv6, GSOSize: 1}, 1, 100)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t, tc.f)
			d := f.driver(virtnet.Config{})
			require.NoError(t, f.probe())
			f.deliver(tc.b)
			d.Interrupt(0)
			n, _ := d.Poll(64, func(*netstack.Packet) { t.Error("handed up") })
			assert.Equal(t, 1, n)
			assert.EqualValues(t, 1, d.Stat().RxErrors)
			f.deliver(frame(offload.Meta{}, 1, 60))
			d.Interrupt(0)
			got := 0
			d.Poll(64, func(*netstack.Packet) { got++ })
			assert.Equal(t, 1, got)
			assert.NoError(t, f.failed)
		})
	}
}

// A device that breaks a ring ends the run with an error, not a panic.
func TestBrokenRingFails(t *testing.T) {
	f := newFake(t, most)
	d := f.driver(virtnet.Config{})
	require.NoError(t, f.probe())
	f.rx[0].Device.Push(0, 9999, 0)
	d.Interrupt(0)
	d.Poll(64, func(*netstack.Packet) { t.Error("handed up") })
	assert.ErrorIs(t, f.failed, virtio.ErrUsed)

	f = newFake(t, most)
	d = f.driver(virtnet.Config{})
	require.NoError(t, f.probe())
	f.tx[0].Device.Push(0, 0, 0)
	d.Transmit(&netstack.Packet{Parts: [][]byte{make([]byte, 60)}, Len: 60})
	assert.ErrorIs(t, f.failed, virtio.ErrUsed)
}

// Polls end at their budget; calls come back on when the ring is empty; a buffer's way
// is: used, polled, and with the device again.
func TestPollAndRefill(t *testing.T) {
	f := newFake(t, most)
	d := f.driver(virtnet.Config{})
	require.NoError(t, f.probe())
	for range 40 {
		f.deliver(frame(offload.Meta{}, 1, 60))
	}
	assert.True(t, f.rx[0].Device.CallNeeded())
	d.Interrupt(0)
	seen := 0
	each := func(*netstack.Packet) { seen++ }
	n, more := d.Poll(16, each)
	assert.Equal(t, 16, n)
	assert.True(t, more)
	n, more = d.Poll(64, each)
	assert.Equal(t, 24, n)
	assert.False(t, more)
	assert.Equal(t, 40, seen)
	assert.EqualValues(t, 16, f.steps[cost.VirtnetRefill], "more than half of the first budget was free, not of the second")
	assert.Zero(t, f.kicks[false], "nobody waits for buffers")
	assert.EqualValues(t, 1, f.steps[cost.VringInterrupt])
	assert.EqualValues(t, 1, f.steps[cost.VirtnetCompleteDone])

	n, more = d.Poll(64, each)
	assert.Zero(t, n)
	assert.False(t, more, "nothing was scheduled")

	f.rx[0].Device.EnableKicks(0, 64) // the device is short of buffers
	for range 40 {
		f.deliver(frame(offload.Meta{}, 1, 60))
	}
	d.Interrupt(0)
	d.Poll(64, each)
	assert.Equal(t, 1, f.kicks[false])
}

// An entry that the device has written ahead of the guest's time is called for when its
// time comes.
func TestEntryOfALaterTime(t *testing.T) {
	f := newFake(t, most)
	d := f.driver(virtnet.Config{})
	require.NoError(t, f.probe())
	d.Interrupt(0)
	f.now = 100
	f.deliver(frame(offload.Meta{}, 1, 60))
	f.now = 50
	n, more := d.Poll(64, func(*netstack.Packet) {})
	assert.Zero(t, n)
	assert.False(t, more)
	assert.Equal(t, []sim.Time{100}, f.late)
}

// When the ring is full the stack keeps its packet, and the call for room comes when
// most of the ring is free.
func TestTransmitStopsAndGoesOn(t *testing.T) {
	f := newFake(t, most)
	d := f.driver(virtnet.Config{})
	pk := &netstack.Packet{Parts: [][]byte{make([]byte, 14), make([]byte, 1500)}, Len: 1514}
	sent := 0
	for d.Transmit(pk) {
		sent++
	}
	assert.Equal(t, 64, sent)
	assert.False(t, d.Transmit(pk))
	dev := &f.tx[0].Device
	calls := 0
	for i := range 64 {
		var c virtio.Chain
		ok, err := dev.Next(0, &c)
		require.True(t, ok)
		require.NoError(t, err)
		require.EqualValues(t, 1514+virtio.HdrLen, c.OutLen)
		dev.Push(0, c.Head, 0)
		if dev.CallNeeded() {
			calls++
			assert.Equal(t, 48, i, "three quarters, and one")
		}
	}
	assert.Equal(t, 1, calls)
	assert.True(t, d.Interrupt(1), "a poll, after which the stack tries again")
	d.Poll(64, nil)
	assert.EqualValues(t, 64, f.steps[cost.VirtnetFreeOld])
	assert.True(t, d.Transmit(pk))
	assert.False(t, d.Interrupt(1), "nobody waits for room")
	assert.False(t, d.Interrupt(2))
	assert.False(t, d.Interrupt(-1))
}

// Every length of packet, in whatever parts, is in the chain as it was.
func TestTransmitCopiesWhatItIsGiven(t *testing.T) {
	f := newFake(t, most)
	d := f.driver(virtnet.Config{})
	m := offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv4, GSOSize: 1448, HdrLen: 54}
	for _, n := range []int{14, 60, 1514, 4083, 4084, 4085, 8180, 65549} {
		for _, cut := range []int{1, 14, 54, 4084, 5000} {
			want := frame(m, 0, n)
			pk := &netstack.Packet{Len: n, Meta: m}
			for b := want[virtio.HdrLen:]; len(b) > 0; {
				k := min(cut, len(b))
				pk.Parts = append(pk.Parts, b[:k])
				b = b[k:]
			}
			require.True(t, d.Transmit(pk))
			var c virtio.Chain
			ok, err := f.tx[0].Device.Next(0, &c)
			require.True(t, ok)
			require.NoError(t, err)
			var got []byte
			for _, b := range c.Out {
				got = append(got, b...)
			}
			require.Equal(t, want, got, "%d bytes in parts of %d", n, cut)
			f.tx[0].Device.Push(0, c.Head, 0)
		}
	}
	assert.True(t, d.Transmit(&netstack.Packet{Parts: [][]byte{make([]byte, 70*4096)}, Len: 70 * 4096}), "thrown away: no ring has room for it")
	assert.EqualValues(t, 1, d.Stat().TxErrors)
}

// A device that cannot be set up ends the run.
func TestProbeFails(t *testing.T) {
	f := newFake(t, most)
	d, err := virtnet.New(virtnet.Config{CPU: f, Device: &refuser{f}})
	require.NoError(t, err)
	assert.True(t, d.Transmit(&netstack.Packet{Parts: [][]byte{make([]byte, 60)}, Len: 60}))
	assert.EqualError(t, f.failed, "virtnet: no rings today")
}

type refuser struct{ *fake }

func (r *refuser) Activate(*mem.Memory, virtio.Features, []virtio.Pair) error {
	return errors.New("no rings today")
}
