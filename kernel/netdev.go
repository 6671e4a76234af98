package kernel

import (
	"errors"
	"fmt"
	"math"

	"ringside/bridge"
	"ringside/sim"
)

// A netdev is an interface: what stands at a port of a bridge, one of the six.
type netdev struct {
	tap    *tap
	drv    *driver
	peer   *netdev // of a patch: the other end
	virtio *VirtioNet
	vxlan  *vtep
	user   *Core // of an interface that a process in user space serves

	br     *netbridge // nil if it is a port of none
	host   *hostPort  // of such a one: where the host's stack stands, if it does
	port   bridge.Port
	index  int32 // that traces know it by; see Kernel.Interfaces
	name   string
	mtu    int32 // longest frame that the bridge sends by it: MTU, header and a tag
	mirror mirror

	generic *xdpHook     // a program on its sk_buffs; nil without
	bulks   []*bulkQueue // what CPUs have redirected to it, by their number

	features features // what it does itself with frames that it is to send
	gsoMax   int32    // longest frame that it cuts, 0 if it cuts none
}

// A netbridge is a bridge as the kernel runs it: who stands at its ports, its own
// interface with the host's stack, and its timers.
type netbridge struct {
	k     *Kernel
	br    *bridge.Bridge
	index int32     // of its own interface
	ports []*netdev // by number; nil at Local and where there is none
	host  *hostPort
	timer *sim.Timer
	user  *Core // whose process runs the bridge, if it is not the kernel

	// plain is the longest frame that may leave by any port just so. Longer ones
	// are looked at, and so is everything while a port is mirrored.
	plain int32
}

// An Interface is how an interface is plugged in. Bridge nil means the first that
// the kernel has; Port.Name is the interface's name.
type Interface struct {
	Bridge *bridge.Bridge
	Alone  bool // is a port of no bridge
	Port   bridge.PortConfig
	MTU    int       // 0 means as long a frame as the device takes
	Host   HostStack // of an interface that is Alone: what the host's stack has there
}

// ErrName says that an interface has that name already.
var ErrName = errors.New("there is one of that name already")

// ErrStorm says that frames go round in a circle of bridges for ever.
var ErrStorm = errors.New("a storm of frames")

// AddBridge makes one more bridge with the host's stack on it.
func (k *Kernel) AddBridge(br *bridge.Bridge, host HostStack) error {
	name := br.Config().Name
	if name != "" && k.named[name] {
		return fmt.Errorf("kernel: bridge %s: %w", name, ErrName)
	}
	b := &netbridge{k: k, br: br, index: k.newIndex(name), plain: math.MaxInt32}
	b.host = k.host.newPort(host, name, b.index)
	b.host.br = b
	b.timer = k.eng.NewBackgroundTimer("br_fdb_cleanup", sim.HandlerFunc(b.expired))
	k.bridges = append(k.bridges, b)
	return nil
}

func (k *Kernel) newIndex(name string) int32 {
	k.named[name] = true
	k.names = append(k.names, name)
	return int32(len(k.names) - 1)
}

// Interfaces is the names of the interfaces by the number that traces know them
// by. A bridge's own interface counts as one.
func (k *Kernel) Interfaces() []string { return k.names }

// plug makes dev an interface, and a port of its bridge if it has one.
func (k *Kernel) plug(dev *netdev, at Interface, device int) error {
	dev.name = at.Port.Name
	if k.named[dev.name] {
		return fmt.Errorf("kernel: %s: %w", dev.name, ErrName)
	}
	dev.mtu = int32(device)
	if at.MTU != 0 {
		dev.mtu = int32(min(device, at.MTU+ethHeader+tagLen))
	}
	if !at.Alone {
		b, err := k.bridgeOf(at.Bridge)
		if err != nil {
			return fmt.Errorf("kernel: %s: %w", dev.name, err)
		}
		if dev.port, err = b.br.AddPort(at.Port); err != nil {
			return err
		}
		dev.br = b
		b.setPort(dev)
	}
	dev.index = k.newIndex(dev.name)
	if at.Alone && len(at.Host.Addresses) > 0 {
		dev.host = k.host.newPort(at.Host, dev.name, dev.index)
		dev.host.dev = dev
	}
	k.netdevs = append(k.netdevs, dev)
	for len(k.indexed) < len(k.names) {
		k.indexed = append(k.indexed, nil)
	}
	k.indexed[dev.index] = dev
	return nil
}

func (k *Kernel) bridgeOf(br *bridge.Bridge) (*netbridge, error) {
	for _, b := range k.bridges {
		if br == nil || b.br == br {
			return b, nil
		}
	}
	return nil, errors.New("the bridge was not added")
}

// check finds a port of the bridge without an interface, or one at which the
// wrong one stands.
func (b *netbridge) check() error {
	n := 0
	for i, dev := range b.ports {
		if dev == nil {
			continue
		}
		if n++; dev.br != b || int(dev.port) != i {
			return fmt.Errorf("kernel: %s stands at port %d of %s and is not there", dev.name, i, b.br.Config().Name)
		}
	}
	if ports := len(b.br.Ports()); ports != n {
		return fmt.Errorf("kernel: %s has %d ports and %d interfaces: plug them in by the kernel", b.br.Config().Name, ports, n)
	}
	return nil
}

func (b *netbridge) setPort(dev *netdev) {
	for int(dev.port) >= len(b.ports) {
		b.ports = append(b.ports, nil)
	}
	b.ports[dev.port] = dev
	b.plain = min(b.plain, dev.mtu)
	b.arm()
}

// Port is the number of an interface's port on its bridge; ok is false if there
// is no such interface, or it is a port of none.
func (k *Kernel) Port(name string) (br *bridge.Bridge, p bridge.Port, ok bool) {
	dev := k.netdev(name)
	if dev == nil || dev.br == nil {
		return nil, 0, false
	}
	return dev.br.br, dev.port, true
}

// MTU is that of an interface, math.MaxInt32 less its header of one that has none; 0 if
// there is no such interface.
func (k *Kernel) MTU(name string) int {
	dev := k.netdev(name)
	if dev == nil {
		return 0
	}
	return int(dev.mtu) - ethHeader - tagLen
}

func (k *Kernel) netdev(name string) *netdev {
	for _, dev := range k.netdevs {
		if dev.name == name {
			return dev
		}
	}
	return nil
}

// transmit is the ndo_start_xmit of a device; the caller has charged
// dev_queue_xmit.
func (dev *netdev) transmit(c *CPU, list ...*skb) {
	if c.k.offloading {
		if dev.virtio != nil {
			dev.virtio.setUp() // what it does itself depends on what its driver wants
		}
		dev.validate(c, list)
		return
	}
	dev.start(c, list)
}

// start hands frames to the device that it can deal with.
func (dev *netdev) start(c *CPU, list []*skb) {
	if dev.tap != nil {
		dev.tap.xmit(c, list)
		return
	}
	if dev.virtio != nil {
		dev.virtio.xmit(c, list)
		return
	}
	if dev.user != nil {
		dev.userXmit(c, list)
		return
	}
	for _, s := range list {
		switch {
		case dev.peer != nil:
			dev.patchXmit(c, s)
		case dev.vxlan != nil:
			dev.vxlan.xmit(c, s)
		default:
			dev.drv.xmit(c, s)
		}
	}
}

// forwardable is is_skb_forwardable: a frame may be as long as the MTU, its header
// and a tag. A tag that it begins with comes on top, since it is beside the bytes
// in Linux. A frame that is to be cut may have any length, and nobody looks at that
// of its segments.
func (dev *netdev) forwardable(s *skb) bool {
	return s.gso() || s.length <= dev.mtu || s.length-tagLen <= dev.mtu && tagged(s.data)
}
