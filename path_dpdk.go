package ringside

import (
	"fmt"

	"ringside/bridge"
	"ringside/dpdk"
	"ringside/kernel"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm/guest"
	"ringside/vm/virtnet"
	"ringside/vswitch"
)

// The path dpdk: one process has a CPU to itself, a poll-mode driver for every NIC, the
// bridge, and the rings of every guest by vhost-user. The kernel sees no frame.
var dpdkWiring = wiring{
	givesUp: []string{
		"a CPU, which is busy though nothing comes",
		"the host's own stack at the bridge, taps, patches, tunnels and mirrors",
		"VLAN filtering, spanning tree, neighbour suppression and a querier of the bridge",
		"checksum and segmentation offloads, of NICs and of guests",
	},
	check:  checkDPDK,
	nic:    func(h *Host, n *NIC, _ int) error { return h.openNIC(n) },
	vm:     func(h *Host, i int) error { return h.addRaw(i, kernel.VhostUser) },
	finish: (*Host).startPolling,
}

// checkDPDK finds what a switch in user space has not got.
func checkDPDK(c *Config) error {
	switch b := &c.Bridges[0]; {
	case c.IOMMU != IOMMUOff && c.Path == DPDK:
		return c.cannot("an IOMMU that is %v: its driver maps nothing", c.IOMMU)
	case len(c.Bridges) > 1 || len(c.Patches) > 0 || len(c.VTEPs) > 0:
		return c.cannot("%d bridges, %d patches and %d tunnels; it has one bridge and ports", len(c.Bridges), len(c.Patches), len(c.VTEPs))
	case len(b.Host.Addresses) > 0 || c.Forward || len(c.Routes) > 0 || len(c.NAT) > 0:
		return c.cannot("a host's stack: nothing of the bridge goes through the kernel")
	}
	for i := range c.NICs {
		switch n := &c.NICs[i]; {
		case n.Bridge == NoBridge:
			return c.cannot("%s: a NIC on no bridge", n.Name)
		case n.Queues > 1 && (c.Path != DPDK || !c.UserSwitch.Pairs || len(c.VMs) > 0):
			return c.cannot("%s: %d queues; but for Pairs without guests one core polls one of each NIC", n.Name, n.Queues)
		case n.Queues != c.NICs[0].Queues:
			return c.cannot("%s: %d queues, and %s has %d; each core polls one of every NIC", n.Name, n.Queues, c.NICs[0].Name, c.NICs[0].Queues)
		case n.Offloads != Offloads{}:
			return c.cannot("%s: offloads", n.Name)
		}
	}
	for i := range c.VMs {
		if v := &c.VMs[i]; v.Virtio.Queues > 1 {
			return c.cannot("%s: %d pairs of queues; a vhost-user port has one", v.Name, v.Virtio.Queues)
		}
	}
	for _, l := range c.links() {
		switch {
		case l.mirrorIn != "" || l.mirrorOut != "":
			return c.cannot("%s: a mirror", l.name)
		case l.port.NeighSuppress || l.port.NeighVLANSuppress || l.port.McastToUnicast || l.port.BackupPort != "":
			return c.cannot("%s: NeighSuppress, McastToUnicast or BackupPort", l.name)
		}
	}
	return checkVirtio(c)
}

// UserSwitch is how the process of the path dpdk works. The zero value is a switch with
// vector drivers.
type UserSwitch struct {
	// Pairs joins ports two and two, as testpmd forwards: the first NIC with the second.
	// No bridge is asked. Without guests there may be several cores, as many as the NICs
	// have queues: each polls one of every NIC, and frames stay on their core.
	Pairs  bool
	Burst  int          // frames that a port is asked for at once; 0 means 32
	Scalar bool         // drivers of NICs without vector code
	Kind   vswitch.Kind // whose work between ports is charged; the zero value is drivers and bridge alone
	Eager  bool         // a device is told of empty buffers after every burst, not after 32 of them
}

// A pmd is the process that polls: it is kernel.Poller.
type pmd struct {
	*vswitch.Switch
	core *kernel.Core
	pool *vswitch.Pool // of all cores
	devs []*kernel.UserNet
	rest []*pmd // on further cores
}

// Poll is one round of the switch.
func (p *pmd) Poll(*kernel.Core) bool { return p.Switch.Poll() }

// Check finds packet buffers that nobody has: those of all cores are one pool.
func (p *pmd) Check() error {
	if p.pool == nil {
		return nil // the first core has counted
	}
	held := p.Held()
	for _, q := range p.rest {
		held += q.Held()
	}
	return p.pool.Check(held)
}

// slack is the mbufs beside those of rings: as many as a burst for every port, and more.
const slack = 1024

// poller is the machine's process that polls, made when first asked for.
func (h *Host) poller() (*pmd, error) {
	if h.pmd != nil {
		return h.pmd, nil
	}
	buffers := slack
	newPool := vswitch.NewPool
	for i := range h.cfg.NICs {
		if h.cfg.Path == AFXDP {
			newPool = vswitch.NewUMEM
			buffers += vswitch.XSKBuffers(xskRing)
			continue
		}
		buffers += pmdRings(&h.cfg.NICs[i]).Buffers()
	}
	pool, err := newPool(h.Memory, buffers)
	if err != nil {
		return nil, err
	}
	p, err := h.newPoller("")
	if err != nil {
		return nil, err
	}
	p.pool = pool
	for i := 1; len(h.cfg.NICs) > 0 && h.cfg.Path == DPDK && i < h.cfg.NICs[0].Queues; i++ {
		q, err := h.newPoller(fmt.Sprintf("pmd%d", i))
		if err != nil {
			return nil, err
		}
		p.rest = append(p.rest, q)
	}
	h.pmd = p
	return p, nil
}

// newPoller is a switch on a core of its own.
func (h *Host) newPoller(name string) (*pmd, error) {
	p := &pmd{}
	var err error
	if p.core, err = h.Kernel.AddPoller(kernel.PollerConfig{Name: name}, p); err != nil {
		return nil, err
	}
	c := vswitch.Config{Core: p.core, Bridge: h.Bridge, Burst: h.cfg.UserSwitch.Burst, Kind: h.cfg.UserSwitch.Kind}
	if h.cfg.UserSwitch.Pairs {
		c.Bridge = nil
	}
	if p.Switch, err = vswitch.New(c); err != nil {
		return nil, h.cfg.cannot("%v", err)
	}
	return p, nil
}

// pmdRings is how the driver in user space sets a NIC up.
func pmdRings(n *NIC) dpdk.Config {
	return dpdk.Config{Queues: n.Queues, RxRing: n.Ring, FreeThresh: max(min(32, n.Ring/4), 1), DropEn: n.DropEn}
}

// openNIC makes a NIC that the process polls.
func (h *Host) openNIC(n *NIC) error {
	p, err := h.poller()
	if err != nil {
		return err
	}
	dev, err := h.newNIC(n, h.Bridge.Config().MAC, masked{h.Engine, n.Name})
	if err != nil {
		return err
	}
	cfg := pmdRings(n)
	if h.cfg.UserSwitch.Eager {
		cfg.FreeThresh = 1
	}
	cfg.NIC, cfg.Memory, cfg.Pool, cfg.Scalar = dev, h.Memory, p.pool, h.cfg.UserSwitch.Scalar
	d, err := dpdk.Open(cfg)
	if err != nil {
		return err
	}
	u, err := p.core.AddUserPort(h.at(n.Name, n.Bridge, n.Port, n.MTU), -1, false, vswitch.DataRoom)
	if err != nil {
		return err
	}
	for i, q := range append([]*pmd{p}, p.rest...) {
		port, err := d.Port(q.core, i, u.Index())
		if err != nil {
			return err
		}
		if err := q.plug(port, u, n.Port, true); err != nil {
			return err
		}
	}
	return nil
}

// plug gives the switch a port.
func (p *pmd) plug(port vswitch.Port, u *kernel.UserPort, cfg bridge.PortConfig, wire bool) error {
	return p.AddPort(port, vswitch.At{Index: u.Index(), Port: u.Port(), Config: cfg, MTU: u.MTU(), Wire: wire})
}

// masked is where a NIC sends its interrupts whose driver polls: none may come.
type masked struct {
	eng  *sim.Engine
	name string
}

// Interrupt ends the run.
func (m masked) Interrupt(vector int, _ sim.Time) {
	m.eng.Fail(fmt.Errorf("%s: interrupt %d, and its driver polls", m.name, vector))
}

var _ nic.IRQ = masked{}

// addUserDevice plugs in the virtio device of a VM's interface n, whose rings the process
// serves.
func (h *Host) addUserDevice(i, n int, vcpu *kernel.VCPU) (virtnet.Device, error) {
	p, err := h.poller()
	if err != nil {
		return nil, err
	}
	v := &h.cfg.VMs[i]
	in := v.port(n)
	u, err := p.core.AddUserPort(h.at(in.Port.Name, in.Bridge, in.Port, in.MTU), int32(i), !v.stacked(), vswitch.DataRoom)
	if err != nil {
		return nil, err
	}
	var dev *kernel.UserNet
	port, err := vswitch.NewVhost(vswitch.VhostConfig{Core: p.core, Guest: u, Pool: p.pool, SetUp: func() { dev.SetUp() }})
	if err != nil {
		return nil, err
	}
	dev, err = h.Kernel.AddUserNet(kernel.UserNetConfig{
		VCPU: vcpu, Port: u, Backend: port.Backend(), MAC: in.MAC, MTU: in.MTU, RingSize: uint16(v.Virtio.Size),
		Off: v.Virtio.Off, Vector: n * guest.VectorsPerNIC,
	})
	if err != nil {
		return nil, err
	}
	if n == 0 {
		if err := h.known(v, u.Port()); err != nil {
			return nil, err
		}
	}
	p.devs = append(p.devs, dev)
	return dev, p.plug(port, u, in.Port, false)
}

// startPolling has the guests' drivers set their devices up at once: what comes for a
// guest without buffers is dropped, and does not wait as it does on a tap.
func (h *Host) startPolling() error {
	p, err := h.poller()
	if err != nil {
		return err
	}
	for _, dev := range p.devs {
		dev.SetUp()
	}
	return h.Engine.Err()
}
