package kernel

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"ringside/bridge"
	"ringside/cost"
	"ringside/internal/histogram"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
	"ringside/vxlan"
)

// Config is what a kernel boots with. Engine, Memory, Book, Hash, Drops and
// Bridge are required; more bridges are added by AddBridge.
type Config struct {
	Engine   *sim.Engine
	Memory   *mem.Memory
	Book     *cost.Book
	Hash     *trace.Hash
	Drops    *cost.Drops
	Bridge   *bridge.Bridge
	Sink     trace.Sink // nil: nobody watches
	CPUs     int        // 0 means 1
	Topology Topology   // the zero value is one node, one thread a core
	Sched    Sched      // the zero value leaves tasks where they are put
	Host     HostStack  // at Bridge
	Stack    HostConfig // of the host, besides its interfaces
	TapQueue int        // frames a tap's ring holds; 0 means 1000, Linux's tx_queue_len
	Batching Batching   // the zero value is Linux's defaults
	Paging   Paging     // the zero value is no model of TLBs
	FirstID  uint64     // of frames that begin here; 0 means trace.FirstOwnID
}

// A Flow counts frames by what became of them. Dropped frames are in
// cost.Drops, frames from the wire are counted where the wire is.
type Flow struct {
	Own       uint64 // began here: written by guests, sent by the host's stack
	Cloned    uint64 // copies made by flooding, beyond the first
	Merged    uint64 // joined another frame, by GRO; those of LRO the device counts
	Segmented uint64 // made by cutting frames, beyond the first of each
	ToVMs     uint64 // delivered to guests
	ToHost    uint64 // delivered to the host's stack
}

// A Kernel is the software of one host: CPUs, the drivers of its NICs, taps, the
// host's own stack, and the processes of its guests. It is a state machine of
// the event loop. See Boot.
type Kernel struct {
	eng   *sim.Engine
	mem   *mem.Memory
	book  *cost.Book
	hash  *trace.Hash
	drops *cost.Drops
	sink  trace.Sink

	cpus      []*CPU
	drivers   []*driver
	bridges   []*netbridge
	netdevs   []*netdev
	names     []string        // of interfaces, by index
	named     map[string]bool // likewise
	indexed   []*netdev       // interfaces by index; nil for a bridge's own
	hooks     []*xdpHook      // programs at NICs
	xsks      []*XSK
	inSockets uint64 // frames that processes have which forward, not taken yet
	taps      map[string]*tap
	tapList   []*tap
	tasks     []*task
	vcpus     []*VCPU
	virtios   []*VirtioNet
	vfs       []*VirtualFunction
	cores     []*Core // of processes that poll
	vteps     []*vtep
	tunnels   []*vxlanPort
	outs      []vxlan.Out // of frames that tunnels are sending
	storm     storm

	host     hostStack
	batching Batching
	topology Topology
	sched    scheduling
	rps      []*CPU  // that frames are spread over; nil without
	paging   *paging // nil without a model
	rfs      *rfs    // the readers that they follow; nil without

	starved  []starving // receive queues without buffers
	watchdog *sim.Timer // made when first needed

	freeSKBs *skb
	skbs     int // in use
	ids      uint64
	flow     Flow
	tapQueue int

	offloading bool // there has been a frame that cannot go anywhere as it is
	segmenter  offload.Segmenter

	// Latency is how long frames took from the wire, or from the guest that sent
	// them, into the guest that got them.
	Latency histogram.Histogram
}

// Boot makes a kernel with its CPUs and its host stack; NICs, taps and processes
// are added to it.
func Boot(cfg Config) (*Kernel, error) {
	switch {
	case cfg.Engine == nil || cfg.Memory == nil || cfg.Book == nil || cfg.Hash == nil || cfg.Drops == nil || cfg.Bridge == nil:
		return nil, errors.New("kernel: Engine, Memory, Book, Hash, Drops and Bridge are all required")
	case cfg.CPUs < 0 || cfg.CPUs > 1024:
		return nil, fmt.Errorf("kernel: %d CPUs; 1 to 1024 are possible", cfg.CPUs)
	case cfg.TapQueue < 0 || cfg.TapQueue > 1<<20:
		return nil, fmt.Errorf("kernel: a tap queue of %d frames; 1 to %d are possible", cfg.TapQueue, 1<<20)
	}
	k := &Kernel{
		eng: cfg.Engine, mem: cfg.Memory, book: cfg.Book, hash: cfg.Hash, drops: cfg.Drops, sink: cfg.Sink,
		named: map[string]bool{}, taps: map[string]*tap{}, tapQueue: cfg.TapQueue, ids: cfg.FirstID,
	}
	k.batching = cfg.Batching
	if err := k.batching.Check(max(cfg.CPUs, 1)); err != nil {
		return nil, err
	}
	k.batching.defaults()
	if err := k.setUpSched(cfg.Topology, cfg.Sched, max(cfg.CPUs, 1)); err != nil {
		return nil, err
	}
	if k.ids == 0 {
		k.ids = trace.FirstOwnID
	}
	k.host = hostStack{k: k, cfg: cfg.Stack}
	if k.tapQueue == 0 {
		k.tapQueue = tapQueue
	}
	if err := k.setUpPaging(cfg.Paging); err != nil {
		return nil, err
	}
	for i := range max(cfg.CPUs, 1) {
		k.cpus = append(k.cpus, newCPU(k, i))
	}
	k.seatCPUs()
	k.rps, k.rfs = k.rpsCPUs(k.batching.RPS), newRFS(k.batching.RFS)
	return k, k.AddBridge(cfg.Bridge, cfg.Host)
}

// newID names a frame that begins here.
func (k *Kernel) newID() uint64 {
	k.ids++
	return k.ids - 1
}

// AddTap is AddTapAt with a plain port of the first bridge.
func (k *Kernel) AddTap(name string, vm int32) (bridge.Port, error) {
	return k.AddTapAt(vm, Interface{Port: bridge.PortConfig{Name: name}})
}

// AddTapAt makes a tap device and plugs it in; a task opens it by the name
// /dev/NAME. Vm is the guest it is for, in traces.
func (k *Kernel) AddTapAt(vm int32, at Interface) (bridge.Port, error) {
	t := &tap{k: k, name: at.Port.Name, net: &netdev{}, vm: vm, size: k.tapQueue}
	t.net.tap = t
	if err := k.plug(t.net, at, math.MaxInt32); err != nil {
		return 0, err
	}
	t.stat.Name = t.name
	k.taps[t.name] = t
	k.tapList = append(k.tapList, t)
	return t.net.port, nil
}

// Open opens /dev/NAME for a task.
func (k *Kernel) Open(t *syscall.Task, name string) (syscall.File, syscall.Errno) {
	tp := k.tapOf(name)
	switch {
	case tp == nil:
		return nil, syscall.ENOENT
	case tp.opened:
		return nil, syscall.EBUSY
	}
	tp.opened = true
	return tp, syscall.OK
}

// tapOf is the tap that a path names, nil if there is none.
func (k *Kernel) tapOf(path string) *tap {
	name, ok := strings.CutPrefix(path, "/dev/")
	if !ok {
		return nil
	}
	return k.taps[name]
}

// Flow is what became of the frames so far.
func (k *Kernel) Flow() Flow { return k.flow }

// Accounts is the accounts of the CPUs, behind them those of processes that poll.
func (k *Kernel) Accounts() []*cost.Account {
	var as []*cost.Account
	for _, c := range k.cpus {
		as = append(as, c.acct)
	}
	k.settleCores()
	for _, c := range k.cores {
		as = append(as, c.cpu.acct)
	}
	return as
}

// SoftnetStats is /proc/net/softnet_stat.
func (k *Kernel) SoftnetStats() []SoftnetStat {
	var st []SoftnetStat
	for _, c := range k.cpus {
		s := c.softirq.stat
		s.CPU = c.id
		st = append(st, s)
	}
	return st
}

// Now is how far the machine has come: a CPU may have worked on beyond the event
// that it was last given.
func (k *Kernel) Now() sim.Time {
	now := k.eng.Now()
	for _, c := range k.cpus {
		now = max(now, c.clock.Now())
	}
	for _, c := range k.cores {
		now = max(now, c.cpu.clock.Now())
	}
	return now
}

// TapStats is what went through every tap, those of virtio devices among them. The
// queues of one are taken together.
func (k *Kernel) TapStats() []TapStat {
	var st []TapStat
	for i, t := range k.tapList {
		if i > 0 && k.tapList[i-1].net == t.net {
			st[len(st)-1].add(&t.stat)
			continue
		}
		st = append(st, t.stat)
	}
	return st
}

// InFlight counts the frames that the kernel holds, one for every copy: on the
// devices' rings, in queues, on taps, in the hands of vhost. It looks at the places
// themselves.
func (k *Kernel) InFlight() (n uint64) {
	n = k.socketsInFlight()
	for _, d := range k.drivers {
		n += d.inFlight()
	}
	for _, t := range k.tapList {
		n += t.queued()
	}
	for _, d := range k.virtios {
		for _, w := range d.pairs {
			n += uint64(len(w.ready))
		}
	}
	for _, c := range k.cpus {
		n += uint64(len(c.backlog.queue))
		c.eachRaw(func(*skb) { n++ })
		n += c.xdpRing.n
	}
	for _, c := range k.cores {
		n += c.p.InFlight()
	}
	return n
}

// CheckRest runs the oracles of a machine that has come to rest: no ring waits
// for somebody who will not come.
func (k *Kernel) CheckRest() error {
	for _, d := range k.drivers {
		if found := d.stalled(); len(found) > 0 {
			return fmt.Errorf("stall: %s", strings.Join(found, "; "))
		}
	}
	for _, d := range k.virtios {
		if found := d.stalled(); len(found) > 0 {
			return fmt.Errorf("stall: %s", strings.Join(found, "; "))
		}
	}
	for _, v := range k.vfs {
		if found := v.stalled(); found != "" {
			return fmt.Errorf("stall: %s", found)
		}
	}
	for _, c := range k.cpus {
		if len(c.bulks) > 0 || c.xdpRing.d != nil {
			return fmt.Errorf("stall: %s: redirected frames wait and nobody flushes them", c.name)
		}
		if n := len(c.backlog.queue); n > 0 {
			return fmt.Errorf("stall: %s: %d frames are on the backlog and nobody polls it", c.name, n)
		}
	}
	return k.stalledCores()
}

// Check runs the oracles that hold whenever no event runs: the kernel has no
// frame that is in none of its places, and the bridge's tables are sound.
func (k *Kernel) Check() error {
	for _, b := range k.bridges {
		if err := b.br.Check(); err != nil {
			return err
		}
		if err := b.check(); err != nil {
			return err
		}
	}
	for _, t := range k.vteps {
		if err := t.v.Check(); err != nil {
			return err
		}
	}
	if err := k.checkTasks(); err != nil {
		return err
	}
	held := map[*skb]bool{} // one of a flooded frame may be in several places
	note := func(s *skb) {
		if s != nil {
			held[s] = true
		}
	}
	for _, d := range k.drivers {
		d.held(note)
	}
	for _, t := range k.tapList {
		for i := range t.ring {
			note(t.ring[i].s)
		}
	}
	for _, d := range k.virtios {
		for _, w := range d.pairs {
			for _, s := range w.ready {
				note(s)
			}
		}
	}
	for _, c := range k.cpus {
		for _, q := range c.backlog.queue {
			note(q.s)
		}
		c.eachRaw(note)
	}
	if len(held) != k.skbs {
		return fmt.Errorf("kernel: %d frames are allocated and %d are in a queue: %d leaked", k.skbs, len(held), k.skbs-len(held))
	}
	return k.checkCores()
}

// Close ends the guests' programs and the host stack's goroutines.
func (k *Kernel) Close() {
	for _, t := range k.tasks {
		if !t.done && !t.kill() {
			k.eng.Fail(fmt.Errorf("%s: program does not end: it recovers from whatever unwinds it", t.Name))
		}
	}
	k.tasks = nil
	for _, v := range k.vcpus {
		if v.guest != nil {
			v.guest.Close()
		}
	}
	k.vcpus = nil
	k.host.close()
}
