package kernel

import (
	"fmt"
	"math"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/virtio"
)

// VirtioConfig describes a virtio network device: what the guest sees, and the tap
// behind it. The zero value but for At has one pair of queues of 256 entries and
// offers everything.
type VirtioConfig struct {
	VM       int32     // the guest, in traces
	At       Interface // the tap; its MTU is offered to the guest
	MAC      [6]byte
	Queues   int                // pairs; 0 means 1, at most MaxPairs
	RingSize uint16             // largest ring; 0 means 256
	Features virtio.Features    // offered; 0 means OfferedFeatures
	CPU      int                // of the worker of the first pair; the others have the following ones
	Allowed  CPUSet             // that the workers may run on; see Process.Allowed
	Backend  Backend            // who serves the rings
	Serve    func(Served) error // starts the process that serves a pair; required with VMM
	Raw      bool               // the guest's program says itself when it has a frame: see VCPU.Took
	Vector   int                // first interrupt vector: pair p has Vector+2p for receiving and the next for sending
}

// A Backend is who serves the rings of a virtio device. The zero value is VhostNet.
type Backend uint8

// The backends.
const (
	VhostNet  Backend = iota // a worker thread of the kernel for each pair of queues
	VMM                      // a process of the host, the VMM's own, by system calls
	VhostUser                // a process of the host that got the rings by the vhost-user protocol: no tap
)

// MaxPairs bounds the pairs of queues of a device.
const MaxPairs = 16

// OfferedFeatures is what a device offers unless it is told otherwise.
const OfferedFeatures = virtio.Known &^ virtio.FRingIndirect

// A VirtioNet is a virtio network device as its guest's driver sees it, and the
// kernel's side of that: a tap with a header in front of every frame (IFF_VNET_HDR),
// whose reader is a vhost worker for each pair of queues.
type VirtioNet struct {
	k        *Kernel
	cfg      VirtioConfig
	vcpu     *VCPU
	net      *netdev
	taps     []*tap // one for each pair, all of the same interface
	features virtio.Features
	memory   *Region   // the guest's, in the process of its VMM; nil without a model of paging
	inside   *Region   // likewise, as the guest's kernel has it
	pairs    []*vhost  // of those that the guest uses; none before Activate
	served   []*served // likewise, if processes serve them
	probe    func() error
	head     []byte // of a frame whose flow is looked for
	err      error  // what broke it
}

// AddVirtio makes a virtio device for the guest on v and plugs its tap in.
func (k *Kernel) AddVirtio(v *VCPU, cfg VirtioConfig) (*VirtioNet, error) {
	if cfg.Queues == 0 {
		cfg.Queues = 1
	}
	if cfg.RingSize == 0 {
		cfg.RingSize = 256
	}
	if cfg.Features == 0 {
		cfg.Features = OfferedFeatures
	}
	name := cfg.At.Port.Name
	switch {
	case v == nil:
		return nil, fmt.Errorf("kernel: %s has no vCPU", name)
	case cfg.Queues < 1 || cfg.Queues > MaxPairs:
		return nil, fmt.Errorf("kernel: %s: %d pairs of queues; 1 to %d are possible", name, cfg.Queues, MaxPairs)
	case cfg.RingSize > virtio.MaxSize || cfg.RingSize&(cfg.RingSize-1) != 0:
		return nil, fmt.Errorf("kernel: %s: rings of %d entries; a power of two up to %d is possible", name, cfg.RingSize, virtio.MaxSize)
	case cfg.CPU < 0 || cfg.CPU >= len(k.cpus):
		return nil, fmt.Errorf("kernel: %s: its worker wants CPU %d, and there are %d", name, cfg.CPU, len(k.cpus))
	case cfg.Features&^virtio.Known != 0:
		return nil, fmt.Errorf("kernel: %s: cannot offer %v", name, cfg.Features&^virtio.Known)
	}
	if cfg.Backend > VMM || (cfg.Backend == VMM) != (cfg.Serve != nil) {
		return nil, fmt.Errorf("kernel: %s: nobody serves its rings, or two do", name)
	}
	if cfg.Queues == 1 {
		cfg.Features &^= virtio.FMQ
	}
	d := &VirtioNet{k: k, cfg: cfg, vcpu: v, net: &netdev{}}
	d.net.virtio = d
	if err := k.plug(d.net, cfg.At, math.MaxInt32); err != nil {
		return nil, err
	}
	for range cfg.Queues {
		t := &tap{k: k, name: d.net.name, net: d.net, vm: cfg.VM, size: k.tapQueue, raw: cfg.Raw}
		t.stat.Name = t.name
		d.taps = append(d.taps, t)
		k.tapList = append(k.tapList, t)
	}
	k.virtios = append(k.virtios, d)
	return d, nil
}

// Offered is the features that the device offers.
func (d *VirtioNet) Offered() virtio.Features { return d.cfg.Features.Closed() }

// Features is what was negotiated, 0 before Activate.
func (d *VirtioNet) Features() virtio.Features { return d.features }

// Config is the device's configuration space.
func (d *VirtioNet) Config() virtio.NetConfig {
	mtu := d.cfg.At.MTU
	if mtu == 0 {
		mtu = 1500
	}
	return virtio.NetConfig{
		MAC: d.cfg.MAC, LinkUp: true, MaxPairs: uint16(d.cfg.Queues), MTU: uint16(min(mtu, math.MaxUint16)), RingSize: d.cfg.RingSize,
	}
}

// ProbeLater says that the guest's driver will set the device up when the first frame
// comes for it or goes out. Setting up is on no bill and takes no time, so nobody can
// tell that from having done it at boot; but a guest that has no traffic then needs
// no rings. Probe ends with Activate.
func (d *VirtioNet) ProbeLater(probe func() error) { d.probe = probe }

// Activate is what a driver does with its device up to DRIVER_OK [3.1.1]: it chooses
// features and says where its rings are in its memory, a pair or more, which must be
// zero. With several, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET is part of it: the control queue
// is this call and no ring.
func (d *VirtioNet) Activate(m *mem.Memory, f virtio.Features, rings []virtio.Pair) error {
	name := d.net.name
	f, err := virtio.Negotiate(d.Offered(), f)
	switch {
	case err != nil:
		return fmt.Errorf("kernel: %s: %w", name, err)
	case d.width() > 0:
		return fmt.Errorf("kernel: %s is active: reset it first", name)
	case len(rings) == 0 || len(rings) > d.cfg.Queues || len(rings) > 1 && !f.Has(virtio.FMQ):
		return fmt.Errorf("kernel: %s: %d pairs of queues; it has %d", name, len(rings), d.cfg.Queues)
	}
	memory, inside, err := d.k.guestMemory(m.Size())
	if err != nil {
		return fmt.Errorf("kernel: %s: %w", name, err)
	}
	d.memory, d.inside = memory, inside
	d.features, d.probe = f, nil
	if d.cfg.Backend == VMM {
		return d.serve(m, rings)
	}
	pairs := make([]*vhost, 0, len(rings))
	for i, p := range rings {
		w, err := d.newVhost(i, m, f, p)
		if err != nil {
			return fmt.Errorf("kernel: %s: queue %d: %w", name, i, err)
		}
		pairs = append(pairs, w)
	}
	d.pairs = pairs
	d.offload()
	for i, w := range pairs {
		d.taps[i].opened = true
		w.task.asleep, d.taps[i].waiting, d.taps[i].wants = true, &w.task, pollIn
	}
	return nil
}

// width is how many pairs of queues the guest uses.
func (d *VirtioNet) width() int { return len(d.pairs) + len(d.served) }

// offload is TUNSETOFFLOAD.
func (d *VirtioNet) offload() { d.net.features, d.net.gsoMax = tunOffload(d.features), maxWrite }

// putHdr writes the header of a frame that fills so many buffers of the guest's.
func (d *VirtioNet) putHdr(b []byte, s *skb, buffers int) {
	verifies := d.features.Has(virtio.FGuestCSUM)
	if !s.unplain {
		virtio.PutPlain(b, s.valid && verifies, uint16(buffers))
		return
	}
	m := s.meta()
	m.Valid = m.Valid && verifies
	virtio.PutHdr(b, m, uint16(buffers))
}

// Reset stops the device, as a driver does that writes 0 to its status. What waits
// on its tap dies.
func (d *VirtioNet) Reset() {
	for _, w := range d.pairs {
		w.stop(d.vcpu.task.cpu, cost.RSClosed)
	}
	for _, s := range d.served {
		s.stop(d.vcpu.task.cpu, cost.RSClosed)
	}
	d.features, d.pairs, d.served, d.err, d.probe = 0, nil, nil, nil, nil
	d.net.features = 0
}

// tunOffload is TUNSETOFFLOAD: what the guest takes as it is need not be done before.
func tunOffload(f virtio.Features) (does features) {
	for _, o := range [...]struct {
		needs virtio.Features
		does  features
	}{
		{virtio.FGuestCSUM, featCsum},
		{virtio.FGuestTSO4 | virtio.FMrgRxbuf, featTSO4},
		{virtio.FGuestTSO6 | virtio.FMrgRxbuf, featTSO6},
		{virtio.FGuestUSO4 | virtio.FGuestUSO6 | virtio.FMrgRxbuf, featUDPL4},
	} {
		if f.Has(o.needs) {
			does |= o.does
		}
	}
	return does
}

// broken stops the device until it is reset, since its driver breaks the format
// (DEVICE_NEEDS_RESET).
func (d *VirtioNet) broken(c *CPU, err error) {
	d.err = err
	for _, w := range d.pairs {
		w.stop(c, cost.RSVringBad)
	}
}

// Err is why the device has stopped; nil while it works.
func (d *VirtioNet) Err() error { return d.err }

// Ring is the queue of a pair, for receiving or sending; nil if the driver has not
// set it up.
func (d *VirtioNet) Ring(pair int, tx bool) *virtio.Ring {
	if pair < 0 || pair >= d.width() {
		return nil
	}
	if d.served != nil {
		return d.served[pair].ring(tx)
	}
	if tx {
		return d.pairs[pair].tx.ring
	}
	return d.pairs[pair].rx.ring
}

// Kick is the doorbell of a queue: an exit, an eventfd, and the worker that waits on
// it is woken.
func (d *VirtioNet) Kick(pair int, tx bool) {
	if pair < 0 || pair >= d.width() {
		return
	}
	d.vcpu.Charge(cost.KvmNotify, 1)
	if d.served != nil {
		d.served[pair].kick(tx).signal(d.vcpu.task.cpu, d.vcpu.Now())
		return
	}
	w := d.pairs[pair]
	w.wake(d.vcpu.task.cpu, w.side(tx), d.vcpu.Now())
}

// CallAt is for a driver that has enabled calls and was told by its ring that there is
// an entry of the later time at: the device had put it there, ahead in time, while
// calls were off, and would have called.
func (d *VirtioNet) CallAt(pair int, tx bool, at sim.Time) {
	if pair < 0 || pair >= d.width() {
		return
	}
	if d.served != nil {
		d.served[pair].callAt(tx, at)
		return
	}
	w := d.pairs[pair]
	w.task.cpu.shared(cost.VhostSignal, 1, w.task.Name)
	w.task.cpu.shared(cost.IrqfdInject, 1, d.vcpu.task.Name)
	d.vcpu.injectAt(w.task.cpu, at, d.vector(pair, tx))
}

// ChargeFrame charges the guest a step for the frame that the tag names; see
// VCPU.ChargeFrame.
func (d *VirtioNet) ChargeFrame(t virtio.Tag, s cost.Step, n, bytes uint64) {
	d.vcpu.ChargeFrame(t.ID, s, n, bytes)
}

// Touches says whether there is a model of TLBs that wants to know what the guest touches.
func (d *VirtioNet) Touches() bool { return d.inside != nil }

// Touch is an access of the guest's kernel to n bytes of its memory.
func (d *VirtioNet) Touch(a mem.Addr, n int) { d.vcpu.task.cpu.touchAt(d.inside, a, n) }

func (d *VirtioNet) vector(pair int, tx bool) int {
	v := d.cfg.Vector + 2*pair
	if tx {
		v++
	}
	return v
}

// xmit is tun_net_xmit of a tap with several queues: each frame goes to the queue of
// its flow.
func (d *VirtioNet) xmit(c *CPU, list []*skb) {
	d.setUp()
	if d.width() <= 1 {
		d.taps[0].xmit(c, list)
		return
	}
	for i, s := range list {
		d.taps[d.selectQueue(s)].xmit(c, list[i:i+1])
	}
}

// setUp has the guest's driver do what it put off.
func (d *VirtioNet) setUp() {
	probe := d.probe
	if probe == nil {
		return
	}
	d.probe = nil
	if err := probe(); err != nil {
		d.vcpu.Fail(err)
	}
}

// selectQueue is tun_select_queue: by the flow's hash. Linux asks first on which queue
// the guest itself has sent of that flow; here the hash is the same both ways and the
// guest's driver uses it, too.
func (d *VirtioNet) selectQueue(s *skb) int {
	return int(uint64(virtio.FlowHash(s.headIn(&d.head))) * uint64(d.width()) >> 32)
}

// stalled lists what waits for somebody who will not come.
func (d *VirtioNet) stalled() (list []string) {
	for _, w := range d.pairs {
		list = append(list, w.stalled()...)
	}
	for _, s := range d.served {
		list = append(list, s.stalled()...)
	}
	return list
}
