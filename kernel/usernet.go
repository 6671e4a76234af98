package kernel

import (
	"errors"
	"fmt"
	"math"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/vhostuser"
	"ringside/virtio"
)

// UserNetConfig describes a virtio network device whose rings are handed to a process in
// user space. VCPU, Port and Backend are required; the rest is as in VirtioConfig.
type UserNetConfig struct {
	VCPU     *VCPU
	Port     *UserPort
	Backend  *vhostuser.Backend // the process's end of the socket
	MAC      [6]byte
	MTU      int             // that the guest is told; 0 means 1500
	RingSize uint16          // largest ring; 0 means 256
	Off      virtio.Features // not offered
	Vector   int             // first interrupt vector
}

// A UserNet is a virtio network device as its guest's driver sees it, and its VMM's end
// of a vhost-user socket: once the driver is ready, the rings are the other end's.
type UserNet struct {
	cfg      UserNetConfig
	vcpu     *VCPU
	front    *vhostuser.Frontend
	features virtio.Features
	rings    [2]*virtio.Ring // to the guest, and from it; nil before Activate
	probe    func() error
}

// AddUserNet makes the device, and has the VMM connect.
func (k *Kernel) AddUserNet(c UserNetConfig) (*UserNet, error) {
	if c.VCPU == nil || c.Port == nil || c.Backend == nil {
		return nil, errors.New("kernel: AddUserNet: VCPU, Port and Backend are required")
	}
	if c.RingSize == 0 {
		c.RingSize = 256
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	name := c.Port.net.name
	if c.RingSize > virtio.MaxSize || c.RingSize&(c.RingSize-1) != 0 {
		return nil, fmt.Errorf("kernel: %s: rings of %d entries; a power of two up to %d is possible", name, c.RingSize, virtio.MaxSize)
	}
	front, err := vhostuser.Connect(c.Backend.Message)
	if err != nil {
		return nil, fmt.Errorf("kernel: %s: %w", name, err)
	}
	d := &UserNet{cfg: c, vcpu: c.VCPU, front: front}
	c.Port.dev = d
	return d, nil
}

// Offered is what the back end offers, and what the VMM does itself.
func (d *UserNet) Offered() virtio.Features {
	const own = virtio.FMAC | virtio.FStatus | virtio.FMTU
	return ((d.front.Offered() | own) &^ d.cfg.Off).Closed()
}

// Config is the device's configuration space.
func (d *UserNet) Config() virtio.NetConfig {
	return virtio.NetConfig{MAC: d.cfg.MAC, LinkUp: true, MaxPairs: 1, MTU: uint16(min(d.cfg.MTU, math.MaxUint16)), RingSize: d.cfg.RingSize}
}

// ProbeLater is VirtioNet's.
func (d *UserNet) ProbeLater(probe func() error) { d.probe = probe }

// SetUp has the guest's driver do what it put off. It is for the process, when a frame
// comes for the guest.
func (d *UserNet) SetUp() {
	probe := d.probe
	if probe == nil {
		return
	}
	d.probe = nil
	if err := probe(); err != nil {
		d.vcpu.Fail(err)
	}
}

// Activate hands the rings over.
func (d *UserNet) Activate(m *mem.Memory, f virtio.Features, rings []virtio.Pair) error {
	name := d.cfg.Port.net.name
	f, err := virtio.Negotiate(d.Offered(), f)
	switch {
	case err != nil:
		return fmt.Errorf("kernel: %s: %w", name, err)
	case d.rings[0] != nil:
		return fmt.Errorf("kernel: %s is active: reset it first", name)
	case len(rings) != 1 || rings[0].Rx.Size > d.cfg.RingSize || rings[0].Tx.Size > d.cfg.RingSize:
		return fmt.Errorf("kernel: %s: %w: one pair of rings of up to %d entries", name, virtio.ErrLayout, d.cfg.RingSize)
	}
	call := func(ring int) vhostuser.Event { return &callfd{d, d.cfg.Vector + ring} }
	if err := d.front.Start(m, f, rings, call); err != nil {
		return fmt.Errorf("kernel: %s: %w", name, err)
	}
	for i := range d.rings {
		d.rings[i] = d.cfg.Backend.Ring(i)
	}
	d.features, d.probe = f, nil
	return nil
}

// Reset takes the rings back, if the process has not closed the socket.
func (d *UserNet) Reset() {
	for i := range d.rings {
		if d.rings[i] != nil && d.cfg.Backend.Closed() == nil {
			if _, err := d.front.Stop(i); err != nil {
				d.vcpu.Fail(err)
			}
		}
	}
	d.rings, d.features = [2]*virtio.Ring{}, 0
}

// Features is what was negotiated, 0 before Activate.
func (d *UserNet) Features() virtio.Features { return d.features }

// Err is why the process has closed the socket, nil while it is open.
func (d *UserNet) Err() error { return d.cfg.Backend.Closed() }

// Ring is the queue of a pair; nil before Activate.
func (d *UserNet) Ring(pair int, tx bool) *virtio.Ring {
	switch {
	case pair != 0:
		return nil
	case tx:
		return d.rings[1]
	}
	return d.rings[0]
}

// Kick is the doorbell: an exit, and an eventfd that nobody reads. Who polls asks not to
// be kicked, so that a driver does it once, if ever.
func (d *UserNet) Kick(pair int, _ bool) {
	if pair == 0 {
		d.vcpu.Charge(cost.KvmNotify, 1)
	}
}

// CallAt is VirtioNet's.
func (d *UserNet) CallAt(pair int, tx bool, at sim.Time) {
	if pair != 0 || d.rings[0] == nil {
		return
	}
	c, vector := d.cfg.Port.c, d.cfg.Vector
	if tx {
		vector++
	}
	c.idle(d.vcpu.Now())
	c.Charge(cost.RteVhostVringCall, 1)
	c.Charge(cost.IrqfdInject, 1)
	d.vcpu.injectAt(c.cpu, at, vector)
}

// ChargeFrame is VirtioNet's.
func (d *UserNet) ChargeFrame(t virtio.Tag, s cost.Step, n, bytes uint64) {
	d.vcpu.ChargeFrame(t.ID, s, n, bytes)
}

// stalled says that the guest sleeps over an interrupt.
func (d *UserNet) stalled() (list []string) {
	if len(d.vcpu.irqs) > 0 {
		list = append(list, d.cfg.Port.net.name+": an interrupt is pending and the guest is halted")
	}
	return list
}

// A callfd is the eventfd that calls the guest: a write to it is a system call, and what
// it sets off in the kernel is done before the call returns.
type callfd struct {
	d      *UserNet
	vector int
}

// Signal is that write.
func (e *callfd) Signal() {
	c := e.d.cfg.Port.c
	c.Charge(cost.RteVhostVringCall, 1)
	e.d.vcpu.inject(c.cpu, e.vector)
}
