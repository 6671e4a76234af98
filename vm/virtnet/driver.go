package virtnet

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm/guest"
)

// A Device is a virtio network device as its driver sees it: registers, configuration
// space and doorbells.
type Device interface {
	// Offered is the features that the device has, Config its configuration space.
	Offered() virtio.Features
	Config() virtio.NetConfig
	// ProbeLater keeps a function that the device calls when the first frame comes for
	// it, unless Activate was called before.
	ProbeLater(func() error)
	// Activate chooses features and says where the rings are, up to DRIVER_OK.
	Activate(*mem.Memory, virtio.Features, []virtio.Pair) error
	// Reset stops the device.
	Reset()
	// Ring is a queue after that.
	Ring(pair int, tx bool) *virtio.Ring
	// Kick is the doorbell of a queue.
	Kick(pair int, tx bool)
	// CallAt asks for the call of a used entry of the later time at, which the device
	// has written ahead of the driver's time while calls were off.
	CallAt(pair int, tx bool, at sim.Time)
	// ChargeFrame charges the guest's CPU n times the step s, over so many bytes, for
	// the frame that the tag names.
	ChargeFrame(t virtio.Tag, s cost.Step, n, bytes uint64)
}

// A Toucher is a Device behind a processor whose TLBs are modelled: if Touches says so, it
// is told which of its memory the driver touches.
type Toucher interface {
	Touches() bool
	Touch(a mem.Addr, n int)
}

// Config describes a driver. CPU and Device are required.
type Config struct {
	CPU      guest.CPU
	Device   Device
	Off      virtio.Features // not asked for, though they may be offered
	Pairs    int             // of queues; 0 means as many as the device has
	RingSize uint16          // 0 means as large as the device has
}

// wanted is what the driver knows how to use.
const wanted = virtio.Known &^ (virtio.FRingIndirect | virtio.FHostUSO | virtio.FGuestUSO4 | virtio.FGuestUSO6)

// A Driver is the driver of one device. It is guest.NIC.
type Driver struct {
	cpu       guest.CPU
	dev       Device
	features  virtio.Features
	pairs     []pair // none before the probe
	want      uint16 // how many there will be
	size      uint16 // of their rings
	buffer    uint32 // length of a receive buffer
	scheduled uint32 // pairs to poll, by bit
	first     int    // of them, in the next poll
	probed    bool
	mem       *mem.Memory
	touch     Toucher // nil: nobody wants to know
	work      *work
	stat      Stat
}

// work is what a call needs and none keeps.
type work struct {
	heads []uint16 // of one packet
	bufs  []virtio.Buffer
}

// A Stat counts what the driver threw away.
type Stat struct {
	RxErrors uint64 // frames whose header or length was wrong
	TxErrors uint64 // packets that the device cannot take
}

// The buffers that frames are received into: a page where they may be 64 KiB long, and
// else what holds a plain frame.
const (
	smallBuffer = 1536
	pageBuffer  = mem.PageSize
	tsoRing     = 64 // the smallest ring on which frames of 64 KiB always find room
)

// New makes the driver of a device. The device is set up when it is first used.
func New(c Config) (*Driver, error) {
	if c.CPU == nil || c.Device == nil {
		return nil, errors.New("virtnet: CPU and Device are required")
	}
	space := c.Device.Config()
	d := &Driver{cpu: c.CPU, dev: c.Device, size: c.RingSize, want: uint16(c.Pairs)}
	if d.size == 0 || d.size > space.RingSize {
		d.size = space.RingSize
	}
	f := c.Device.Offered() & wanted &^ c.Off
	if !f.Has(virtio.FMrgRxbuf) || d.size < tsoRing {
		f &^= virtio.FGuestTSO4 | virtio.FGuestTSO6
	}
	if d.size < tsoRing {
		f &^= virtio.FHostTSO4 | virtio.FHostTSO6
	}
	f = f.Closed()
	most := 1
	if f.Has(virtio.FMQ) {
		most = int(space.MaxPairs)
	}
	if c.Pairs < 0 || c.Pairs > most {
		return nil, fmt.Errorf("virtnet: %d pairs of queues wanted, and the device has %d", c.Pairs, most)
	}
	if c.Pairs == 0 {
		d.want = uint16(most)
	}
	if d.want == 1 {
		f &^= virtio.FMQ
	}
	if _, err := virtio.Negotiate(c.Device.Offered(), f); err != nil {
		return nil, fmt.Errorf("virtnet: %w", err)
	}
	d.features = f
	d.buffer = d.bufferLen(int(space.MTU))
	c.Device.ProbeLater(d.probe)
	return d, nil
}

// bufferLen is how long a receive buffer is. Without mergeable buffers it must hold
// the longest frame, with its header and a tag.
func (d *Driver) bufferLen(mtu int) uint32 {
	const around = virtio.HdrLen + 14 + 4
	switch {
	case d.features&(virtio.FGuestTSO4|virtio.FGuestTSO6) != 0:
		return pageBuffer
	case d.features.Has(virtio.FMrgRxbuf):
		return smallBuffer
	}
	return uint32(max(mtu+around+63, smallBuffer)) &^ 63
}

// Features says what the device does for the stack. It is guest.NIC.
func (d *Driver) Features() guest.Features {
	f := guest.Features{TxChecksum: d.features.Has(virtio.FCSUM), RxChecksum: d.features.Has(virtio.FGuestCSUM)}
	if d.features.Has(virtio.FHostTSO4 | virtio.FHostTSO6) {
		f.GSOMax = gsoMax
	}
	return f
}

// gsoMax is the longest packet that may be cut later: the longest of IP.
const gsoMax = 65535

// Negotiated is the features that the driver has chosen.
func (d *Driver) Negotiated() virtio.Features { return d.features }

// Stat is what was thrown away so far.
func (d *Driver) Stat() Stat { return d.stat }

// probe sets the device up: rings and buffers in the guest's memory, and every receive
// buffer with the device.
//
//	pair 0: rings │ receive buffers, one a descriptor │ pages to send from, likewise
//	pair 1: …
func (d *Driver) probe() error {
	d.probed = true
	n, size := int(d.want), int(d.size)
	_, first := virtio.Place(0, d.size)
	_, rings := virtio.Place(first, d.size)
	rings = pages(rings)
	rx, tx := pages(mem.Addr(size)*mem.Addr(d.buffer)), mem.Addr(size)*mem.PageSize
	each := rings + rx + tx
	d.mem = mem.New(n * int(each))
	layouts := make([]virtio.Pair, n)
	d.pairs = make([]pair, n)
	for i := range d.pairs {
		at := mem.Addr(i) * each
		var end mem.Addr
		layouts[i].Rx, end = virtio.Place(at, d.size)
		layouts[i].Tx, _ = virtio.Place(end, d.size)
		d.pairs[i] = pair{d: d, n: i, rxAt: at + rings, txAt: at + rings + rx}
	}
	d.work = &work{}
	if err := d.dev.Activate(d.mem, d.features, layouts); err != nil {
		d.pairs = nil
		return fmt.Errorf("virtnet: %w", err)
	}
	if t, ok := d.dev.(Toucher); ok && t.Touches() {
		d.touch = t
	}
	for i := range d.pairs {
		p := &d.pairs[i]
		p.rx, p.tx = d.dev.Ring(i, false), d.dev.Ring(i, true)
		p.rxLies, p.txLies = layouts[i].Rx, layouts[i].Tx
		p.fill(d.cpu.Now())
		p.rx.Driver.KickNeeded()
		p.tx.Driver.DisableCalls()
	}
	return nil
}

// pages is n rounded up to whole pages.
func pages(n mem.Addr) mem.Addr { return (n + mem.PageSize - 1) &^ (mem.PageSize - 1) }

// Interrupt is vring_interrupt: of receiving for an even vector, of sending for an odd
// one. It is guest.NIC.
func (d *Driver) Interrupt(vector int) bool {
	if vector/2 >= len(d.pairs) || vector < 0 {
		return false
	}
	d.cpu.Charge(cost.VringInterrupt, 1)
	p := &d.pairs[vector/2]
	if vector%2 != 0 {
		p.tx.Driver.DisableCalls()
		if !p.stopped {
			return false
		}
	} else {
		p.rx.Driver.DisableCalls()
	}
	d.scheduled |= 1 << p.n
	return true
}

// touched tells of a chain and its buffer: the descriptor, its entries in both rings, and
// n bytes at the address.
func (d *Driver) touched(l virtio.Layout, head uint16, at mem.Addr, n int) {
	desc, avail, used := l.At(head)
	d.touch.Touch(desc, 16)
	d.touch.Touch(avail, 2)
	d.touch.Touch(used, 8)
	d.touch.Touch(at, n)
}

// fail ends the run: the device has broken a ring.
func (d *Driver) fail(err error) { d.cpu.Fail(fmt.Errorf("virtnet: %w", err)) }

// allowed says whether the driver may send a frame with m.
func (d *Driver) allowed(m offload.Meta) bool { return m.Plain() || d.features.FromDriver(m) }

var _ guest.NIC = (*Driver)(nil)
