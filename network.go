package ringside

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"ringside/bridge"
	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/kernel"
	"ringside/netstack"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
	"ringside/vm/guest"
	"ringside/wire"
)

// A Bridge is one bridge with the host's stack on its own interface. The zero
// value is a bridge with Linux's defaults, the first named br0, the next br1.
type Bridge struct {
	bridge.Config // MAC is Host.MAC if that is set

	// Host is the host's stack at this bridge. The zero MAC means
	// 02:00:00:00:00:fe at the first bridge, 02:00:00:00:01:fe at the next.
	Host HostStack

	FDB   []FDBEntry // entries it has from the start
	MDB   []MDBEntry
	Neigh []Neighbour // what the host knows, for ports with NeighSuppress; added to Neighbours
}

// A Neighbour is an address that the host knows from the start, as `ip neigh add`
// makes it.
type Neighbour struct {
	Addr   netip.Addr
	MAC    bridge.MAC
	VID    uint16 // of the VLAN interface on top of the bridge; 0 means the bridge's own
	Router bool
}

// An FDBEntry is an address that a bridge knows from the start, as `bridge fdb
// add` makes it. Its Port is found by the interface's name.
type FDBEntry struct {
	Dev string // interface; "" or the bridge's name means the bridge's own
	bridge.Entry
}

// An MDBEntry is a group that a port wants from the start, as `bridge mdb add`
// makes it. Its Port is found by the interface's name.
type MDBEntry struct {
	Dev string // interface; "" or the bridge's name means the bridge's own
	snoop.Static
}

// NoBridge as an interface's Bridge leaves it alone: what comes in by it nobody
// wants, unless the host has an address there. Else all it can be is the far end of a
// mirror.
const NoBridge = "none"

// A NIC is one adapter, with a wire of its own. The zero value is what Config
// says for all, on the first bridge.
type NIC struct {
	Name string // "" means eth0, eth1, …

	Wire    nic.Wire  // nil means Config.Wire for the first that has none, and nothing for others; ids differ over all wires
	Link    wire.Spec // between the NIC and its wire; the zero value means the Config's
	LinkBPS uint64    // this and the next four: 0 means the Config's
	Queues  int
	Ring    int
	ITR     sim.Time // NoITR for none
	FIFO    int
	DropEn  bool // or Config.DropEn
	Node    *int // that its slot is on; nil means Config.NICNode

	IRQAffinity []CPUSet // nil means the Config's

	Offloads Offloads  // the zero value means the Config's
	XDP      XDPConfig // likewise

	Bridge    string            // the bridge it is a port of; "" means the first
	Port      bridge.PortConfig // of that port; its Name is the NIC's
	MTU       int               // 0 means as long a frame as the NIC carries
	Host      HostStack         // the host's stack at a NIC that is a port of no bridge; the zero MAC means 02:4e:00:00:00:00 and up
	MirrorIn  string            // interface that gets a copy of each frame that comes in; "" means none
	MirrorOut string            // likewise of each that leaves
}

// A Patch is a cable between two bridges, as a pair of veth interfaces is: what
// leaves by one end comes in by the other.
type Patch struct{ A, B PatchEnd }

// A PatchEnd is one interface of a Patch.
type PatchEnd struct {
	Name      string            // "" means patch0a and patch0b, patch1a, …
	Bridge    string            // the bridge it is a port of; "" means the first for A and the second for B
	Port      bridge.PortConfig // of that port; its Name is the end's
	MTU       int               // 0 means frames of any length
	MirrorIn  string            // as NIC has it
	MirrorOut string
}

// A VM is one guest. Either Program or Processes is required.
//
// A guest with a Program is one process of the host that reads and writes its tap. One
// with Processes runs a kernel of its own, with a TCP/IP stack, on a virtual CPU, behind
// virtio-net devices.
type VM struct {
	Name    string // "" means vm0, vm1, …
	Program vm.Program
	MAC     vm.MAC     // the zero MAC means 02:00:00:00:01:00 and up
	Addr    netip.Addr // what the program may answer for
	Batch   int        // frames that one Receive may fetch in one system call
	CPU     *int       // nil means in turn over the CPUs that serve no interrupts; with one it stays there
	Allowed CPUSet     // CPUs that it may run on if tasks move; 0 means CPU, or any that is not isolated
	Node    *int       // that its memory is on; nil means that of the CPU it begins on

	// Known are addresses that the bridge sends to this guest from the start,
	// as sticky entries: frames that come from one of them elsewhere do not move
	// it. Without any, the bridge learns the guest when it first speaks.
	Known []bridge.MAC

	Bridge    string            // the bridge its tap is a port of; "" means the first
	Port      bridge.PortConfig // of that port; its Name is the tap's, "" means tap0, tap1, …
	MTU       int               // of the tap; 0 means frames of any length
	MirrorIn  string            // as NIC has it; in is from the guest
	MirrorOut string

	// Of a guest with Processes; what is above describes its first interface. An MTU
	// of 0 is 1500 for the guest's own side.
	Processes  []guest.Process // run in this order when the guest starts
	Addresses  []netip.Prefix
	Gateway    netip.Addr // default route; the zero Addr is none
	Routes     []netstack.Route
	Resolver   netip.Addr // DNS server that names are asked of
	Forward    bool       // it passes packets on between its interfaces
	TCP        netstack.TCPConfig
	Virtio     VirtioConfig
	Interfaces []VMInterface // further ones
}

// network fills in the defaults of bridges, NICs and patches and finds what
// cannot be.
func (c *Config) network() error {
	if err := c.bridges(); err != nil {
		return err
	}
	if err := c.nics(); err != nil {
		return err
	}
	for i := range c.VMs {
		inherit(&c.VMs[i].Bridge, "", c.Bridges[0].Name)
		c.VMs[i].interfaces(c.Bridges[0].Name)
	}
	c.Patches = slices.Clone(c.Patches)
	for i := range c.Patches {
		p := &c.Patches[i]
		p.A.defaults(fmt.Sprintf("patch%da", i), 0, c.Bridges)
		p.B.defaults(fmt.Sprintf("patch%db", i), 1, c.Bridges)
	}
	if err := c.vteps(); err != nil {
		return err
	}
	c.addresses()
	return c.names()
}

func (c *Config) bridges() error {
	c.Bridges = slices.Clone(c.Bridges)
	if len(c.Bridges) == 0 {
		c.Bridges = make([]Bridge, 1)
	}
	if len(c.Bridges) > MaxBridges {
		return fmt.Errorf("%d bridges; up to %d are possible", len(c.Bridges), MaxBridges)
	}
	first := &c.Bridges[0]
	if first.Host.MAC == (bridge.MAC{}) && first.MAC == (bridge.MAC{}) {
		first.Host.MAC = c.Host.MAC
	}
	if first.Host.Addresses == nil {
		first.Host.Addresses = c.Host.Addresses
	}
	if first.Host.MTU == 0 {
		first.Host.MTU = c.Host.MTU
	}
	if first.Ageing == 0 {
		first.Ageing = c.Ageing
	}
	if first.MaxLearned == 0 {
		first.MaxLearned = c.MaxLearned
	}
	for i := range c.Bridges {
		if err := c.Bridges[i].defaults(c, i); err != nil {
			return err
		}
	}
	return nil
}

// MaxBridges is a bound on the memory that a machine takes before it runs.
const MaxBridges = 1024

func (b *Bridge) defaults(c *Config, i int) error {
	if b.Name == "" {
		b.Name = fmt.Sprintf("br%d", i)
	}
	if b.Host.MAC == (bridge.MAC{}) {
		b.Host.MAC = b.MAC
	}
	if b.Host.MAC == (bridge.MAC{}) {
		b.Host.MAC = c.distinct(bridge.MAC{0x02, 0, 0, byte(i >> 8), byte(i), 0xfe})
	}
	b.MAC = b.Host.MAC
	b.querier()
	if err := checkStack(b.Name, &b.Host); err != nil {
		return err
	}
	if err := b.neighbours(); err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	return nil
}

// checkStack finds what the host's stack cannot have at an interface.
func checkStack(name string, s *HostStack) error {
	if s.MTU != 0 && (s.MTU < 1280 || s.MTU > 9000) {
		return fmt.Errorf("%s: Host.MTU is %d; 1280 to 9000 are possible", name, s.MTU)
	}
	for _, p := range s.Addresses {
		if !p.IsValid() || p.Addr().IsUnspecified() || p.Addr().IsMulticast() {
			return fmt.Errorf("%s: Host.Addresses has %v, which is no host's address with its prefix, as 192.0.2.1/24 is", name, p)
		}
	}
	return nil
}

// neighbours makes the table that neigh_suppress reads: the host's own addresses
// and those it knows.
func (b *Bridge) neighbours() error {
	if len(b.Neigh)+len(b.Host.Addresses) == 0 {
		return nil
	}
	if b.Neighbours == nil {
		b.Neighbours = neigh.NewTable()
	}
	for _, p := range b.Host.Addresses {
		if err := b.Neighbours.AddLocal(neigh.Bridge, p.Addr()); err != nil {
			return err
		}
	}
	for _, n := range b.Neigh {
		dev := neigh.Bridge
		if n.VID != 0 {
			dev = neigh.Device{TPID: max(b.VLANProtocol, bridge.Dot1Q), VID: n.VID}
			b.Neighbours.AddDevice(dev)
		}
		if !n.MAC.Station() || !n.Addr.IsValid() || n.VID > 4094 {
			return fmt.Errorf("neighbour %v at %v in VLAN %d: give a host's address, a station's and 0 to 4094", n.Addr, n.MAC, n.VID)
		}
		err := b.Neighbours.Set(dev, n.Addr, neigh.Neighbour{MAC: n.MAC, State: neigh.Permanent, Router: n.Router})
		if err != nil {
			return err
		}
	}
	return nil
}

// querier gives the bridge the host's addresses for its queries, if it has none:
// the first of IPv4, and the link-local one that is made of the MAC as every
// interface has it [RFC 4291, appendix A].
func (b *Bridge) querier() {
	if !b.Addrs.IPv4.IsValid() {
		for _, p := range b.Host.Addresses {
			if p.Addr().Is4() {
				b.Addrs.IPv4 = p.Addr()
				break
			}
		}
	}
	if !b.Addrs.LinkLocal.IsValid() {
		m := b.MAC
		b.Addrs.LinkLocal = netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	}
}

func (c *Config) nics() error {
	c.NICs = slices.Clone(c.NICs)
	if len(c.NICs) == 0 {
		c.NICs = make([]NIC, 1)
	}
	if len(c.NICs) > MaxNICs {
		return fmt.Errorf("%d NICs; up to %d are possible", len(c.NICs), MaxNICs)
	}
	far := c.Wire
	for i := range c.NICs {
		n := &c.NICs[i]
		if n.Wire == nil {
			n.Wire, far = far, nil
		}
		if err := n.defaults(c, i); err != nil {
			return err
		}
	}
	return nil
}

// MaxNICs is as many as fit on one machine's buses with room to spare.
const MaxNICs = 64

func (n *NIC) defaults(c *Config, i int) error {
	if n.Name == "" {
		n.Name = fmt.Sprintf("eth%d", i)
	}
	if n.Wire == nil {
		n.Wire = unplugged{}
	}
	inherit(&n.Link, c.Link, wire.Spec{})
	inherit(&n.LinkBPS, c.LinkBPS, 10e9)
	inherit(&n.Queues, c.Queues, 1)
	inherit(&n.Ring, c.Ring, 256)
	inherit(&n.FIFO, c.FIFO, 0)
	inherit(&n.Offloads, c.Offloads, Offloads{})
	if n.XDP.Program == nil {
		n.XDP = c.XDP
	}
	if c.Batching.Interrupts == kernel.PerFrame {
		inherit(&n.ITR, c.ITR, NoITR) // such devices had no moderation
	}
	inherit(&n.ITR, c.ITR, DefaultITR)
	if n.ITR == NoITR {
		n.ITR = 0
	}
	n.DropEn = n.DropEn || c.DropEn
	inherit(&n.Node, nil, &c.NICNode)
	if n.IRQAffinity == nil {
		n.IRQAffinity = c.IRQAffinity
	}
	inherit(&n.Bridge, "", c.Bridges[0].Name)
	inherit(&n.Host.MAC, bridge.MAC{}, c.distinct(bridge.MAC{0x02, 0x4e, 0, 0, byte(i >> 8), byte(i)}))
	if n.Host.MTU == 0 && n.MTU >= 1280 {
		n.Host.MTU = min(n.MTU, 9000)
	}
	if n.Bridge != NoBridge && len(n.Host.Addresses) > 0 {
		return fmt.Errorf("%s: the host's addresses belong to the bridge that it is a port of", n.Name)
	}
	if err := checkStack(n.Name, &n.Host); err != nil {
		return err
	}
	switch {
	case n.Queues < 0 || n.Queues > nic.MaxQueues:
		return fmt.Errorf("%s: Queues is %d; 1 to %d are possible", n.Name, n.Queues, nic.MaxQueues)
	case n.Ring < 0 || n.Ring > maxRing || n.Ring%8 != 0:
		return fmt.Errorf("%s: Ring is %d; a multiple of 8 up to %d is possible", n.Name, n.Ring, maxRing)
	}
	return nil
}

// inherit gives a setting that says nothing the value of the Config, or the
// default.
func inherit[T comparable](to *T, all, otherwise T) {
	var zero T
	if *to == zero {
		*to = all
	}
	if *to == zero {
		*to = otherwise
	}
}

// queues is the number of all receive queues that have a vector, and so a CPU.
func (c *Config) queues() (n int) {
	if c.Path == DPDK {
		return 0
	}
	for i := range c.NICs {
		n += c.NICs[i].Queues
	}
	return n
}

func (e *PatchEnd) defaults(name string, side int, bridges []Bridge) {
	inherit(&e.Name, "", name)
	inherit(&e.Bridge, "", bridges[min(side, len(bridges)-1)].Name)
}

// names makes sure that no two interfaces have one name and that every name that
// is asked for is there.
func (c *Config) names() error {
	is := map[string]string{}
	take := func(name, what string) error {
		if was, ok := is[name]; ok || name == NoBridge {
			if !ok {
				was = "no bridge"
			}
			return fmt.Errorf("%s %q: the name is that of %s already", what, name, was)
		}
		is[name] = what
		return nil
	}
	var err error
	for i := range c.Bridges {
		err = errors.Join(err, take(c.Bridges[i].Name, "a bridge"))
	}
	links := c.links()
	for _, l := range links {
		err = errors.Join(err, take(l.name, "an interface"))
	}
	for _, l := range links {
		if l.bridge != NoBridge && is[l.bridge] != "a bridge" {
			err = errors.Join(err, fmt.Errorf("%s: there is no bridge %q", l.name, l.bridge))
		}
		for _, to := range []string{l.mirrorIn, l.mirrorOut} {
			if to != "" && (is[to] != "an interface" || to == l.name) {
				err = errors.Join(err, fmt.Errorf("%s: frames cannot be mirrored to %q: give another interface's name", l.name, to))
			}
		}
		if l.mtu != 0 && (l.mtu < 68 || l.mtu > 65535) {
			err = errors.Join(err, fmt.Errorf("%s: MTU is %d; 68 to 65535 are possible", l.name, l.mtu))
		}
	}
	return err
}

// addresses gives the ports of bridges with a spanning tree an address, which
// BPDUs come from.
func (c *Config) addresses() {
	tree := map[string]bool{}
	for i := range c.Bridges {
		tree[c.Bridges[i].Name] = c.Bridges[i].STP
	}
	n := 0
	give := func(br string, p *bridge.PortConfig) {
		n++
		if tree[br] && p.MAC == (bridge.MAC{}) {
			p.MAC = c.distinct(bridge.MAC{0x06, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)})
		}
	}
	for i := range c.NICs {
		give(c.NICs[i].Bridge, &c.NICs[i].Port)
	}
	for i := range c.VMs {
		v := &c.VMs[i]
		give(v.Bridge, &v.Port)
		for n := range v.Interfaces {
			give(v.Interfaces[n].Bridge, &v.Interfaces[n].Port)
		}
	}
	for i := range c.Patches {
		p := &c.Patches[i]
		give(p.A.Bridge, &p.A.Port)
		give(p.B.Bridge, &p.B.Port)
	}
	for i := range c.VTEPs {
		give(c.VTEPs[i].Bridge, &c.VTEPs[i].BridgePort)
	}
}

// A link is what all interfaces have in common.
type link struct {
	name, bridge        string
	port                bridge.PortConfig
	mtu                 int
	mirrorIn, mirrorOut string
}

// links lists the interfaces in the order in which they are made.
func (c *Config) links() (list []link) {
	for i := range c.NICs {
		n := &c.NICs[i]
		list = append(list, link{n.Name, n.Bridge, n.Port, n.MTU, n.MirrorIn, n.MirrorOut})
	}
	for i := range c.VMs {
		v := &c.VMs[i]
		for n := range 1 + len(v.Interfaces) {
			in := v.port(n)
			list = append(list, link{in.Port.Name, in.Bridge, in.Port, in.MTU, in.MirrorIn, in.MirrorOut})
		}
	}
	for i := range c.Patches {
		for _, e := range []*PatchEnd{&c.Patches[i].A, &c.Patches[i].B} {
			list = append(list, link{e.Name, e.Bridge, e.Port, e.MTU, e.MirrorIn, e.MirrorOut})
		}
	}
	for i := range c.VTEPs {
		v := &c.VTEPs[i]
		list = append(list, link{v.Name, v.Bridge, v.BridgePort, v.MTU, v.MirrorIn, v.MirrorOut})
	}
	return list
}

// distinct makes a default address that of the machine's own in its lab: the first
// machine's are as they are, the others' begin with a byte of their own and their number.
func (c *Config) distinct(mac [6]byte) [6]byte {
	if c.number > 0 {
		mac[0] |= 0x08
		mac[1] = byte(c.number)
	}
	return mac
}
