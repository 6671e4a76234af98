package ringside

import (
	"fmt"
	"slices"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/cost"
	"ringside/kernel"
	"ringside/machine"
	"ringside/mem"
	"ringside/mmu"
	"ringside/netstack"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/vm"
	"ringside/vm/guest"
	"ringside/vxlan"
	"ringside/wire"
)

// Config describes a machine. The zero value is one NIC of 10 Gbit/s with one
// queue of 256 descriptors that is plugged into nothing, a bridge, and no guest,
// on the price book linux-xeon.
//
// Machines with one NIC and one bridge need no NICs and no Bridges: Wire and what
// follows it describe the NIC; Ageing, MaxLearned and Host the bridge. Where there
// are NICs and Bridges, these fill in what they leave out.
type Config struct {
	Seed uint64
	Book *cost.Book // nil means the built-in linux-xeon, or of a Machine the one that its mitigations ask for
	// Machine, if not nil, is what the prices of Book are moved to. Its NIC's link and
	// what its kernel cannot do fill in what this Config leaves out.
	Machine *machine.Machine
	Path    Path        // that frames take between NICs and guests; the zero value is Native
	SRIOV   SRIOVConfig // of the path sriov

	Bridges []Bridge // nil means one; the first is where everything is plugged in that names none
	NICs    []NIC    // nil means one
	Patches []Patch  // between bridges
	VTEPs   []VTEP   // tunnels to other hosts

	Wire    nic.Wire  // what the NIC is plugged into; nil means nothing
	LinkBPS uint64    // bits a second: 1e9, 10e9, 25e9, 40e9 or 100e9; 0 means 10e9
	Link    wire.Spec // what happens to frames between the NIC and its wire; the zero value is nothing
	Queues  int       // of the NIC, 1 to 16; 0 means 1
	Ring    int       // receive descriptors of each queue; 0 means 256
	ITR     sim.Time  // least gap between two interrupts of a vector, whole microseconds; NoITR for none; 0 means 50 us, and none with an interrupt per frame
	DropEn  bool      // a queue without descriptors drops at once instead of stalling all
	FIFO    int       // receive packet buffer of the NIC in bytes; 0 means 64 KiB

	Offloads Offloads // of the NIC; the zero value is none

	// XDP is a program at the driver of NICs that have none of their own; the zero value
	// is none, but on the path xdp, where it is fdb.
	XDP XDPConfig
	// XSKCopy has AF_XDP sockets of the path afxdp copy frames (XDP_COPY); else the NIC
	// writes them into the process' memory (XDP_ZEROCOPY).
	XSKCopy bool

	NICNode     int      // the node that the NIC's slot is on
	IRQAffinity []CPUSet // CPUs that each vector may interrupt, the last for all that follow; none means CPUs in turn from the first

	CPUs     int      // 0 means one for every queue and up to four for the guests, or eight with vhost workers among them
	Topology Topology // of the CPUs; the zero value is one node of cores with one thread each
	Sched    Sched    // the zero value leaves every task on its CPU
	VMs      []VM
	TapQueue int      // frames that wait for a guest; 0 means 1000
	Batching Batching // the zero value is Linux's defaults
	// UserSwitch is of the path dpdk.
	UserSwitch UserSwitch
	Paging     Paging // the zero value is no model of TLBs
	IOMMU      IOMMU  // between the NICs and the host's memory; the zero value is off

	Ageing     sim.Time  // of the first bridge's entries; 0 means 300 s
	MaxLearned int       // bound of the first bridge's forwarding database; 0 means the bridge's default
	Host       HostStack // at the first bridge

	// Of the host's stack, which has an interface wherever Host or a NIC gives it
	// addresses: at bridges, by their names, and at NICs on no bridge.
	Forward bool // IPv4 and IPv6 packets go from one to another
	Routes  []netstack.Route
	NAT     []Masquerade

	RAM  int        // bytes of host memory; 0 means enough for the rings and some queues
	Sink trace.Sink // watches the run; nil means nobody does
	// Log, if not nil, takes what guests' processes log.
	Log func(at sim.Time, vm, process, line string)
	// Lost, if not nil, is called with a NIC's name for every frame that its Link loses.
	Lost func(nic string, l wire.Lost)

	number int // of the machine in its lab
}

// NoITR as Config.ITR lets every vector interrupt as often as it can.
const NoITR sim.Time = -1

// DefaultITR is the gap between interrupts that a Config without one has: 20,000
// a second, the bulk class of the igb driver.
const DefaultITR = 50 * sim.Microsecond

// Batching is how the kernel trades latency for throughput on the way in.
type Batching = kernel.Batching

// Topology is how the CPUs of a machine sit together: nodes, cores, threads.
type Topology = kernel.Topology

// Sched is how the kernel's scheduler places tasks.
type Sched = kernel.Sched

// A CPUSet is some CPUs.
type CPUSet = kernel.CPUSet

// ParseCPUs reads a list of CPUs, as in 0-3,8.
func ParseCPUs(list string) (CPUSet, error) { return kernel.ParseCPUs(list) }

// Paging says with which pages memory is mapped, and how large TLBs are.
type Paging = kernel.Paging

// IOMMU is how the NICs' drivers use an IOMMU.
type IOMMU = kernel.IOMMU

// The ways to use an IOMMU.
const (
	IOMMUOff    = kernel.IOMMUOff
	IOMMUOn     = kernel.IOMMUOn
	IOMMULazy   = kernel.IOMMULazy
	IOMMUStrict = kernel.IOMMUStrict
)

// PagesOf is a Paging with pages of one size everywhere.
func PagesOf(size mmu.PageSize) Paging { return kernel.PagesOf(size) }

// Interrupts is how frames are taken off a NIC's ring.
type Interrupts = kernel.Interrupts

// The ways to take frames off a ring, and the bound of Batching.Weight.
const (
	// ByNAPI is polls after an interrupt.
	ByNAPI = kernel.ByNAPI
	// PerFrame is a hard interrupt for each, as before NAPI.
	PerFrame = kernel.PerFrame
	// MaxNAPIWeight is the most frames that one poll may take.
	MaxNAPIWeight = kernel.MaxWeight
)

// HostStack is the host's own network stack on the bridge's local port.
type HostStack = kernel.HostStack

// A Masquerade gives packets from a network that leave by an interface the address
// of that interface.
type Masquerade = kernel.Masquerade

// Offloads are what a NIC and its driver do beside moving frames.
type Offloads = kernel.Offloads

// ParseOffloads reads the words for offloads, as in "gro,tso,csum"; "all" and "none"
// stand alone.
func ParseOffloads(words string) (Offloads, error) { return kernel.ParseOffloads(words) }

// A Host is the whole machine. It has one owner; no method may run beside
// another.
type Host struct {
	Engine *sim.Engine
	Memory *mem.Memory
	NIC    *nic.NIC       // the first
	Bridge *bridge.Bridge // the first
	Kernel *kernel.Kernel
	Hash   *trace.Hash

	NICs    []*nic.NIC // as the Config has them
	Bridges []*bridge.Bridge
	VTEPs   []*vxlan.VTEP

	cfg     Config
	name    string // in a lab; else ""
	number  int    // likewise
	book    *cost.Book
	drops   cost.Drops
	devices []*cost.Account // of the NICs
	links   []*wire.Link    // likewise, nil where a NIC has none
	vms     []runningVM
	pmd     *pmd       // on the path dpdk
	placed  int        // threads of guests that have a CPU
	iommu   *mmu.IOMMU // nil without
}

// A runningVM is what a Host keeps of one VM.
type runningVM struct {
	name   string
	cpu    int
	kernel *guest.Kernel // of a guest with Processes
	vfs    []*kernel.VirtualFunction
}

// New builds a machine and starts its guests: they run as soon as time does.
// Close it when it is done with.
func New(cfg Config) (*Host, error) {
	h, err := newHost(cfg, &Host{Engine: sim.NewEngine(cfg.Seed), Hash: &trace.Hash{}})
	if err != nil {
		return nil, fmt.Errorf("ringside: %w", err)
	}
	h.Hash.Events(h.Engine)
	return h, nil
}

// newHost makes of h, which has an engine and a hash, the machine that cfg says.
func newHost(cfg Config, h *Host) (*Host, error) {
	cfg.number = h.number
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	h.cfg, h.book, h.Memory = cfg, cfg.Book, mem.New(cfg.RAM)
	if err := h.build(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Bounds of a Config.
const (
	maxRing  = 32768   // descriptors, what 19 bits of RDLEN hold
	maxRAM   = 1 << 40 // bytes
	maxBatch = 1024    // frames, as recvmmsg has it (UIO_MAXIOV)

	maxTapRAM = 1 << 30 // bytes for frames that wait for guests, unless Config.RAM says more
)

func (c *Config) defaults() error {
	if err := c.prices(); err != nil {
		return err
	}
	switch {
	case c.Queues < 0 || c.Queues > nic.MaxQueues:
		return fmt.Errorf("Config.Queues is %d; 1 to %d are possible", c.Queues, nic.MaxQueues)
	case c.Ring < 0 || c.Ring > maxRing || c.Ring%8 != 0:
		return fmt.Errorf("Config.Ring is %d; a multiple of 8 up to %d is possible", c.Ring, maxRing)
	case c.RAM < 0 || c.RAM > maxRAM:
		return fmt.Errorf("Config.RAM is %d bytes; up to %d are possible", c.RAM, maxRAM)
	case c.CPUs < 0 || len(c.VMs) > bridge.MaxPorts-1:
		return fmt.Errorf("%d CPUs and %d VMs; none can be negative and there is room for %d VMs", c.CPUs, len(c.VMs), bridge.MaxPorts-1)
	}
	c.VMs = slices.Clone(c.VMs)
	for i := range c.VMs {
		v := &c.VMs[i]
		inherit(&v.Name, "", fmt.Sprintf("vm%d", i))
		inherit(&v.Port.Name, "", fmt.Sprintf("tap%d", i))
		if v.MAC == (vm.MAC{}) {
			v.MAC = c.distinct(defaultMAC(i))
		}
		if err := v.checkStack(); err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
	}
	if err := c.network(); err != nil {
		return err
	}
	if c.CPUs == 0 {
		c.CPUs = c.Topology.Fill(c.queues() + c.guestCPUs())
	}
	if c.RAM == 0 {
		c.RAM = 64 << 20
		for _, n := range c.NICs {
			c.RAM += 3 * n.Queues * n.Ring * 2 * mem.PageSize
		}
		// Frames that wait for guests hold a block each, here where queues are long.
		c.RAM += min(max(c.TapQueue-1000, 0)*len(c.VMs)*2*mem.PageSize, maxTapRAM)
	}
	for i := range c.VMs {
		v := &c.VMs[i]
		if (v.Program == nil) == (v.Processes == nil) {
			return fmt.Errorf("VM %d has no program, or both a Program and Processes", i)
		}
		if v.Batch < 0 || v.Batch > maxBatch {
			return fmt.Errorf("VM %d fetches %d frames at once; up to %d are possible", i, v.Batch, maxBatch)
		}
		if v.CPU != nil && (*v.CPU < 0 || *v.CPU >= c.CPUs) {
			return fmt.Errorf("%s is to run on CPU %d, and there are %d", v.Name, *v.CPU, c.CPUs)
		}
		if cpu := v.Virtio.CPU; cpu != nil && (*cpu < 0 || *cpu >= c.CPUs) {
			return fmt.Errorf("the vhost workers of %s are to run on CPU %d, and there are %d", v.Name, *cpu, c.CPUs)
		}
	}
	return c.checkPath()
}

// prices chooses the book and moves it to the Machine.
func (c *Config) prices() (err error) {
	m := c.Machine
	if m == nil {
		if c.Book == nil {
			c.Book, err = cost.Open("linux-xeon")
		}
		return err
	}
	inherit(&c.LinkBPS, m.NIC.LinkBPS, 0)
	if m.Kernel.Before(5, 4) {
		inherit(&c.Batching.List, 1, 0) // no listified GRO_NORMAL yet
	}
	c.Book, err = m.Book(c.Book)
	return err
}

// defaultMAC is the address of VM i that has no other.
func defaultMAC(i int) vm.MAC {
	return vm.MAC{0x02, 0, 0, byte(i >> 16), byte(i>>8) + 1, byte(i)}
}

// build puts the house together from the wire inwards.
func (h *Host) build() error {
	c := &h.cfg
	for i := range c.Bridges {
		if err := h.addBridge(i); err != nil {
			return err
		}
	}
	cpu := 0
	for i := range c.NICs {
		if err := c.wiring().addNIC(h, &c.NICs[i], cpu); err != nil {
			return err
		}
		cpu += c.NICs[i].Queues
	}
	for i := range c.VMs {
		if err := h.addVM(i); err != nil {
			return err
		}
	}
	for i := range c.Patches {
		a, b := &c.Patches[i].A, &c.Patches[i].B
		_, _, err := h.Kernel.AddPatch(h.at(a.Name, a.Bridge, a.Port, a.MTU), h.at(b.Name, b.Bridge, b.Port, b.MTU))
		if err != nil {
			return err
		}
	}
	for i := range c.VTEPs {
		if err := h.addVTEP(i); err != nil {
			return err
		}
	}
	for _, l := range c.links() {
		if l.mirrorIn == "" && l.mirrorOut == "" {
			continue
		}
		if err := h.Kernel.Mirror(l.name, l.mirrorIn, l.mirrorOut); err != nil {
			return err
		}
	}
	if err := h.backups(); err != nil {
		return err
	}
	if finish := c.wiring().finish; finish != nil {
		if err := finish(h); err != nil {
			return err
		}
	}
	if c.Forward || len(c.Routes) > 0 || len(c.NAT) > 0 {
		if err := h.Kernel.StartHost(); err != nil { // routes may be wrong
			return err
		}
	}
	return h.entries()
}

// backups names ports' backups, now that all are there.
func (h *Host) backups() error {
	for _, l := range h.cfg.links() {
		if l.port.BackupPort == "" {
			continue
		}
		br, p, ok := h.Kernel.Port(l.name)
		if !ok {
			return fmt.Errorf("%s: on no bridge there is no backup port", l.name)
		}
		l.port.Name = l.name
		if err := br.SetPort(p, l.port); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// addBridge makes bridge i, and with the first the kernel.
func (h *Host) addBridge(i int) error {
	c, b := &h.cfg, &h.cfg.Bridges[i]
	if b.Seed == 0 {
		name := "bridge/hash"
		if i > 0 {
			name += "/" + b.Name
		}
		b.Seed = h.Engine.Rand(name).Uint64()
	}
	br, err := bridge.New(b.Config)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	h.Bridges = append(h.Bridges, br)
	if i > 0 {
		return h.Kernel.AddBridge(br, b.Host)
	}
	h.Bridge = br
	h.Kernel, err = kernel.Boot(kernel.Config{
		Engine: h.Engine, Memory: h.Memory, Book: h.book, Hash: h.Hash, Drops: &h.drops, Bridge: br,
		Sink: c.Sink, CPUs: c.CPUs, Topology: c.Topology, Sched: c.Sched, Host: b.Host, TapQueue: c.TapQueue, Batching: c.Batching, Paging: c.Paging,
		FirstID: trace.OwnID(h.number), Stack: kernel.HostConfig{Forward: c.Forward, Routes: c.Routes, Masquerade: c.NAT},
	})
	return err
}

// at is where an interface is plugged in.
func (h *Host) at(name, br string, port bridge.PortConfig, mtu int) kernel.Interface {
	port.Name, port.BackupPort = name, "" // it may not be there yet: see backups
	return kernel.Interface{Bridge: h.BridgeOf(br), Alone: br == NoBridge, Port: port, MTU: mtu}
}

// BridgeOf is the bridge of a name, nil if there is none.
func (h *Host) BridgeOf(name string) *bridge.Bridge {
	for _, b := range h.Bridges {
		if b.Config().Name == name {
			return b
		}
	}
	return nil
}

// addNIC makes a NIC whose first queue interrupts the CPU cpu.
func (h *Host) addNIC(n *NIC, cpu int) error {
	domain, err := h.hostDomain(n)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	mac := n.Host.MAC
	if br := h.BridgeOf(n.Bridge); br != nil {
		mac = br.Config().MAC
	}
	at := h.at(n.Name, n.Bridge, n.Port, n.MTU)
	at.Host = n.Host
	_, err = h.Kernel.AddNIC(kernel.NICConfig{
		Name: n.Name, IOMMU: h.cfg.IOMMU, Domain: domain, Queues: n.Queues, Ring: n.Ring, ITR: n.ITR, VFs: h.cfg.vfsOf(n), DropEn: n.DropEn, FirstCPU: cpu, Offloads: n.Offloads, XDP: n.XDP,
		At: at, Node: *n.Node, IRQAffinity: n.IRQAffinity,
	}, func(irq nic.IRQ) (*nic.NIC, error) { return h.newNIC(n, mac, irq) })
	return err
}

// newNIC makes the device of a NIC, with its link.
func (h *Host) newNIC(n *NIC, mac bridge.MAC, irq nic.IRQ) (*nic.NIC, error) {
	account := cost.NewAccount(n.Name, h.book, true)
	link, err := h.link(n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Name, err)
	}
	dma, source := h.remapped()
	dev, err := nic.New(nic.Config{
		Name: n.Name, Engine: h.Engine, Memory: h.Memory, Account: account, Drops: &h.drops, Hash: h.Hash,
		Sink: h.cfg.Sink, Wire: n.Wire, IRQ: irq, MAC: mac, LinkBPS: n.LinkBPS, Queues: n.Queues, FIFO: n.FIFO,
		VFs: h.cfg.vfsOf(n), DMA: dma, Source: source,
	})
	if err != nil {
		return nil, err
	}
	if h.NIC == nil {
		h.NIC = dev
	}
	if link != nil {
		link.Plug(dev)
	}
	h.NICs, h.devices, h.links = append(h.NICs, dev), append(h.devices, account), append(h.links, link)
	return dev, nil
}

func (h *Host) addVM(i int) error {
	if h.cfg.VMs[i].stacked() {
		return h.addStacked(i)
	}
	return h.cfg.wiring().vm(h, i)
}

// addProcess makes VM i, which is a process of the host that reads its tap.
func (h *Host) addProcess(i int) error {
	v := &h.cfg.VMs[i]
	tap := v.Port.Name
	port, err := h.Kernel.AddTapAt(int32(i), h.at(tap, v.Bridge, v.Port, v.MTU))
	if err != nil {
		return err
	}
	if err := h.known(v, port); err != nil {
		return err
	}
	cpu := h.place(v.CPU)
	g := vm.Config{Name: v.Name, Program: v.Program, MAC: v.MAC, Addr: v.Addr, Batch: v.Batch}
	h.vms = append(h.vms, runningVM{name: v.Name, cpu: cpu})
	return h.Kernel.Spawn(kernel.Process{
		Name: v.Name, ID: int32(i), CPU: cpu, Allowed: allowed(v.CPU, v.Allowed), Node: v.Node, Memory: mem.New(g.MemorySize()),
		Inherit: []string{"/dev/" + tap}, Program: g.Main,
	})
}

// known makes the entries that a VM's port has from the start.
func (h *Host) known(v *VM, port bridge.Port) error {
	br := h.BridgeOf(v.Bridge)
	if br == nil {
		return nil
	}
	for _, m := range v.Known {
		if err := br.Add(bridge.Entry{MAC: m, Port: port, Kind: bridge.Static, Sticky: true}); err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
	}
	return nil
}

// entries puts into the bridges' tables what the Config has for them.
func (h *Host) entries() error {
	for i := range h.cfg.Bridges {
		b := &h.cfg.Bridges[i]
		for _, e := range b.FDB {
			p, err := h.portOf(b, e.Dev)
			if err == nil {
				e.Port = p
				err = h.Bridges[i].Add(e.Entry)
			}
			if err != nil {
				return fmt.Errorf("%s: entry %v: %w", b.Name, e.MAC, err)
			}
		}
		for _, e := range b.MDB {
			p, err := h.portOf(b, e.Dev)
			if err == nil {
				e.Port = snoop.Port(p)
				err = h.Bridges[i].AddMDB(e.Static)
			}
			if err != nil {
				return fmt.Errorf("%s: group %v: %w", b.Name, e.Group, err)
			}
		}
	}
	return nil
}

// portOf is the port of a bridge by the name of the interface that stands at it.
func (h *Host) portOf(b *Bridge, dev string) (bridge.Port, error) {
	if dev == "" || dev == b.Name {
		return bridge.Local, nil
	}
	br, p, ok := h.Kernel.Port(dev)
	if !ok || br.Config().Name != b.Name {
		return 0, fmt.Errorf("it has no port %q", dev)
	}
	return p, nil
}

// Run runs until the machine is at rest: nothing more comes from the wire, every
// queue is empty, and every guest waits. Then the oracles are asked. Frames that go
// round among bridges for ever end it with kernel.ErrStorm.
func (h *Host) Run() error {
	h.Kernel.BoundStorms(stormBound)
	if err := h.Engine.RunToIdle(); err != nil {
		return err
	}
	return h.checkRest()
}

// checkRest asks the oracles of a machine at rest.
func (h *Host) checkRest() error {
	if err := h.Kernel.CheckRest(); err != nil {
		return err
	}
	if err := h.checkLinksRest(); err != nil {
		return err
	}
	return h.Check()
}

// stormBound is how many times frames that go in a circle may pass a patch before
// a run that has no other end is given up: a few milliseconds' worth.
const stormBound = 1 << 14

// RunUntil runs up to the time end, which may leave frames in flight, and asks
// the oracles that hold at any time.
func (h *Host) RunUntil(end sim.Time) error {
	h.Kernel.BoundStorms(0)
	if err := h.Engine.RunUntil(end); err != nil {
		return err
	}
	return h.Check()
}

// Check asks the oracles that are on in every run: nothing is lost, rings are
// owned by one side, tables keep their bounds. It may be called whenever no event
// runs, and looks at every queue and table.
func (h *Host) Check() error {
	if err := h.Kernel.Check(); err != nil {
		return err
	}
	for _, n := range h.NICs {
		if m, _ := n.Misuses(); len(m) > 0 {
			return fmt.Errorf("driver misused the NIC: %v", m[0])
		}
	}
	if err := h.checkLinks(); err != nil {
		return err
	}
	if c := h.conservation(); !c.Balanced {
		return fmt.Errorf("frames were lost: in %d + cloned %d + segmented %d is not delivered %d + dropped %d + merged %d + in flight %d",
			c.In, c.Cloned, c.Segmented, c.Delivered, c.dropped(), c.Merged, c.InFlight)
	}
	return nil
}

// Close ends the guests' programs. A Host that is closed can still report.
func (h *Host) Close() {
	if h.Kernel != nil {
		h.Kernel.Close()
	}
}

// unplugged is the wire of a NIC that has none: nothing comes, and what leaves is
// gone.
type unplugged struct{}

func (unplugged) Receive(*nic.WireFrame) bool { return false }
func (unplugged) Transmit(*nic.WireFrame)     {}
