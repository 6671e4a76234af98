package dpdk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/vswitch"
)

// Config describes the driver of one device. NIC, Memory and Pool are required.
type Config struct {
	NIC    *nic.NIC
	Memory *mem.Memory   // of the host, that the device reaches
	Pool   *vswitch.Pool // in Memory
	Queues int           // pairs of them, spread over by RSS; 0 means 1
	RxRing int           // descriptors; 0 means 512, a multiple of 8 up to 4096 is possible
	TxRing int           // likewise
	// FreeThresh is how many descriptors are refilled before the device is told
	// (rx_free_thresh); 0 means 32, 1 is a doorbell for every burst.
	FreeThresh int
	DropEn     bool // SRRCTL.DROP_EN: a queue without descriptors drops at once
	// Scalar is the driver's plain code, which takes and frees mbufs one at a time; the
	// default is its vector code.
	Scalar bool
}

// A Device is a NIC in the hands of a process. See Open.
type Device struct {
	cfg Config
	nic *nic.NIC
	err error // the first register that could not be written
	rx  []rxQueue
	tx  []txQueue

	ports []*Port
}

// The least and the most descriptors of a ring.
const (
	minRing = 8
	maxRing = 4096
)

// Open takes a NIC over: reset, rings, every receive buffer given, then the receiver is
// let go. It is on no bill: it happens before time begins to cost.
func Open(c Config) (*Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	d := &Device{cfg: c, nic: c.NIC, rx: make([]rxQueue, c.Queues), tx: make([]txQueue, c.Queues)}
	d.poke(nic.EIMC, 0xffffffff)
	d.poke(nic.CTRL, uint32(nic.CtrlRST))
	d.poke(nic.CTRL, uint32(nic.CtrlSLU|nic.CtrlFD))
	for q := range c.Queues {
		if err := d.setUpRx(q); err != nil {
			return nil, fmt.Errorf("dpdk: %s: %w", c.NIC.Name(), err)
		}
		if err := d.setUpTx(q); err != nil {
			return nil, fmt.Errorf("dpdk: %s: %w", c.NIC.Name(), err)
		}
	}
	d.setUpRSS()
	d.poke(nic.RLPML, vswitch.DataRoom)
	d.poke(nic.TCTL, uint32(nic.TctlEN|nic.TctlPSP))
	d.poke(nic.RCTL, uint32(nic.RctlEN|nic.RctlUPE|nic.RctlMPE|nic.RctlBAM|nic.RctlLPE|nic.RctlSECRC))
	if d.err != nil {
		return nil, fmt.Errorf("dpdk: %s: %w", c.NIC.Name(), d.err)
	}
	return d, nil
}

func (c *Config) check() error {
	if c.NIC == nil || c.Memory == nil || c.Pool == nil {
		return errors.New("dpdk: Config.NIC, Memory and Pool are required")
	}
	c.defaults()
	name := c.NIC.Name()
	switch {
	case c.Queues < 1 || c.Queues > nic.MaxQueues:
		return fmt.Errorf("dpdk: %s: %d queues; 1 to %d are possible", name, c.Queues, nic.MaxQueues)
	case !goodRing(c.RxRing) || !goodRing(c.TxRing):
		return fmt.Errorf("dpdk: %s: rings of %d and %d descriptors; %d to %d are possible, a multiple of 8", name, c.RxRing, c.TxRing, minRing, maxRing)
	case c.FreeThresh < 1 || c.FreeThresh >= c.RxRing:
		return fmt.Errorf("dpdk: %s: FreeThresh of %d; less than the receive ring is possible", name, c.FreeThresh)
	}
	return nil
}

func (c *Config) defaults() {
	for _, f := range []struct {
		v  *int
		is int
	}{{&c.Queues, 1}, {&c.RxRing, 512}, {&c.TxRing, 512}, {&c.FreeThresh, 32}} {
		if *f.v == 0 {
			*f.v = f.is
		}
	}
}

func goodRing(n int) bool { return n >= minRing && n <= maxRing && n%8 == 0 }

// Buffers is how many mbufs the device's rings can hold. A pool must have more, for
// bursts: while it is empty nothing is received.
func (c Config) Buffers() int {
	c.defaults()
	return c.Queues * (c.RxRing + c.TxRing)
}

// poke writes a register at the beginning of time.
func (d *Device) poke(reg, v uint32) {
	if err := d.nic.Write(reg, v, 0); err != nil && d.err == nil {
		d.err = err
	}
}

// ring takes memory for a ring of n descriptors, all zero.
func (d *Device) ring(n int) (mem.Addr, []byte, error) {
	base, err := d.cfg.Memory.Alloc(mem.Order(n * nic.DescSize))
	if err != nil {
		return 0, nil, fmt.Errorf("a ring of %d descriptors: %w", n, err)
	}
	b := d.cfg.Memory.Bytes(base, n*nic.DescSize)
	clear(b)
	return base, b, nil
}

// key is the key of the published verification suite for RSS.
var key = [40]byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}

// setUpRSS spreads flows over the queues; one queue needs no hash.
func (d *Device) setUpRSS() {
	if d.cfg.Queues == 1 {
		return
	}
	for i := range nic.RSSRKWords {
		d.poke(nic.RSSRK(i), binary.LittleEndian.Uint32(key[4*i:]))
	}
	for i := range nic.RETAWords {
		var w uint32
		for j := range 4 {
			w |= uint32((4*i+j)%d.cfg.Queues) << (8 * j)
		}
		d.poke(nic.RETA(i), w)
	}
	d.poke(nic.MRQC, uint32(nic.MrqcRSS|nic.MrqcTCPIPv4|nic.MrqcIPv4|nic.MrqcTCPIPv6|nic.MrqcIPv6|nic.MrqcUDPIPv4|nic.MrqcUDPIPv6))
}

// A Port is a pair of queues of a device, polled by one core. It is vswitch.Port.
type Port struct {
	dev   *Device
	core  vswitch.Core
	touch vswitch.Toucher // nil: nobody wants to know
	q     int
	i     int32 // the interface, in traces
	rx    *rxQueue
	tx    *txQueue

	// quiet is a moment before which no further descriptor is written: the device need
	// not be asked. It is what Next has said, until the wire says otherwise.
	quiet sim.Time
}

// Port gives a pair of queues to the core that polls it. Index is the interface, in
// traces.
func (d *Device) Port(core vswitch.Core, queue int, index int32) (*Port, error) {
	switch {
	case core == nil:
		return nil, errors.New("dpdk: a port has a Core")
	case queue < 0 || queue >= d.cfg.Queues:
		return nil, fmt.Errorf("dpdk: %s: queue %d; it has %d", d.nic.Name(), queue, d.cfg.Queues)
	}
	p := &Port{dev: d, core: core, touch: vswitch.TouchOn(core), q: queue, i: index, rx: &d.rx[queue], tx: &d.tx[queue]}
	d.nic.Watch(p.arrived)
	d.ports = append(d.ports, p)
	return p, nil
}

// arrived is called when the wire has something after it had nothing.
func (p *Port) arrived() {
	p.quiet = 0
	p.core.Wake(p.Next())
}

// Next is the earliest time at which Receive could find something.
func (p *Port) Next() sim.Time {
	if at := p.rx.due(); at != sim.Never {
		return at
	}
	if p.quiet <= p.core.Now() {
		p.quiet = p.dev.nic.Next()
	}
	return p.quiet
}

// InFlight counts the frames that the device has put into memory and that Receive has
// not handed out.
func (p *Port) InFlight() (n uint64) {
	for i := p.rx.next; p.rx.desc(i).Done(); i = p.rx.after(i) {
		n++
	}
	return n
}

// Held is the mbufs on the rings.
func (p *Port) Held() int { return p.rx.size + p.tx.pending }

// Stalled says that frames are on the ring, though nothing runs any more.
func (p *Port) Stalled() []string {
	if n := p.InFlight(); n > 0 {
		return []string{fmt.Sprintf("%s: %d frames are on receive ring %d and nobody polls it", p.dev.nic.Name(), n, p.q)}
	}
	return nil
}

var _ vswitch.Port = (*Port)(nil)
