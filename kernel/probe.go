package kernel

import (
	"encoding/binary"
	"fmt"

	"ringside/bridge"
	"ringside/mem"
	"ringside/mmu"
	"ringside/nic"
	"ringside/sim"
)

// NICConfig is what the driver wants from an adapter.
type NICConfig struct {
	Name     string
	Queues   int      // receive and transmit queues, a vector each; 0 means 1
	Ring     int      // receive descriptors of each queue, a multiple of 8; 0 means 256
	ITR      sim.Time // least gap between two interrupts of a vector, whole microseconds
	DropEn   bool     // SRRCTL.DROP_EN: a queue without descriptors drops at once
	FirstCPU int      // vector i interrupts CPU FirstCPU+i, wrapping round
	Offloads Offloads // the zero value is none
	XDP      XDPConfig
	Node     int         // that its slot and its rings are on
	IOMMU    IOMMU       // how its memory is mapped for it; the device goes through the IOMMU unless it is off
	Domain   *mmu.Domain // of the device; nil where IOMMU is off
	VFs      int         // virtual functions, up to nic.MaxVFs; the device has as many. Then Queues is 1

	// IRQAffinity is the CPUs that each vector may interrupt (smp_affinity), one after
	// another; the last holds for all that follow. The vector goes to the one of them
	// that has the fewest so far. None means as FirstCPU has it.
	IRQAffinity []CPUSet

	At Interface // where it is plugged in; Port.Name is Name
}

// maxRing is as long a ring as RDLEN can say and driver and device both know.
const maxRing = 4096

// rssKey is the key igb programs when nobody gives another: the one of the
// published verification suite.
var rssKey = [40]byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}

// AddNIC attaches an igb device and makes it a port of the bridge. Attach makes
// the device, which interrupts through the driver it is given. Probing is not on
// the bill: it happens before time begins to cost.
func (k *Kernel) AddNIC(cfg NICConfig, attach func(nic.IRQ) (*nic.NIC, error)) (bridge.Port, error) {
	if cfg.Queues == 0 {
		cfg.Queues = 1
	}
	if cfg.Ring == 0 {
		cfg.Ring = 256
	}
	switch {
	case cfg.Queues < 1 || cfg.Queues > nic.MaxQueues:
		return 0, fmt.Errorf("kernel: %s: %d queues; 1 to %d are possible", cfg.Name, cfg.Queues, nic.MaxQueues)
	case cfg.Ring < 8 || cfg.Ring > maxRing || cfg.Ring%8 != 0:
		return 0, fmt.Errorf("kernel: %s: a ring of %d descriptors; 8 to %d are possible, a multiple of 8", cfg.Name, cfg.Ring, maxRing)
	case cfg.VFs < 0 || cfg.VFs > nic.MaxVFs || cfg.VFs > 0 && cfg.Queues != 1:
		return 0, fmt.Errorf("kernel: %s: %d virtual functions beside %d queues; up to %d beside one are possible", cfg.Name, cfg.VFs, cfg.Queues, nic.MaxVFs)
	case cfg.FirstCPU < 0:
		return 0, fmt.Errorf("kernel: %s: interrupts from CPU %d on; the first is CPU 0", cfg.Name, cfg.FirstCPU)
	}
	if cfg.ITR < 0 || cfg.ITR > 8191*sim.Microsecond || cfg.ITR%sim.Microsecond != 0 {
		return 0, fmt.Errorf("kernel: %s: an interrupt gap of %v; EITR takes 0 to 8191 whole microseconds", cfg.Name, cfg.ITR)
	}
	if cfg.Node < 0 || cfg.Node >= k.topology.nodes() {
		return 0, fmt.Errorf("kernel: %s: on node %d, and there are %d", cfg.Name, cfg.Node, k.topology.nodes())
	}
	if err := cfg.checkAffinity(len(k.cpus)); err != nil {
		return 0, fmt.Errorf("kernel: %s: %w", cfg.Name, err)
	}
	if err := cfg.Offloads.check(); err != nil {
		return 0, fmt.Errorf("kernel: %s: %w", cfg.Name, err)
	}
	if err := cfg.checkIOMMU(); err != nil {
		return 0, fmt.Errorf("kernel: %s: %w", cfg.Name, err)
	}
	if err := cfg.XDP.check(&cfg, &k.batching); err != nil {
		return 0, fmt.Errorf("kernel: %s: %w", cfg.Name, err)
	}
	d := &driver{k: k, name: cfg.Name, net: &netdev{}, offloads: cfg.Offloads, node: cfg.Node}
	longest := maxTx
	if h := k.newXDP(d.net, cfg.XDP); h != nil && cfg.XDP.Generic {
		d.net.generic = h
		d.offloads.GRO = false // netif_elide_gro
	} else if h != nil {
		d.xdp, longest = h, rxBufferSize
	}
	if err := d.setUpDMA(cfg.IOMMU, cfg.Domain); err != nil {
		return 0, fmt.Errorf("kernel: %s: %w", cfg.Name, err)
	}
	d.net.features, d.net.gsoMax = cfg.Offloads.features(), gsoMaxSize
	dev, err := attach(d)
	if err != nil {
		return 0, err
	}
	d.dev = dev
	if dev.VFs() != cfg.VFs {
		return 0, fmt.Errorf("kernel: %s has %d virtual functions and not %d", cfg.Name, dev.VFs(), cfg.VFs)
	}
	if cfg.VFs > 0 {
		d.pf = newPF(d, cfg)
	}
	cfg.At.Port.Name, d.net.drv = cfg.Name, d
	if err := k.plug(d.net, cfg.At, longest); err != nil {
		return 0, err
	}
	k.drivers = append(k.drivers, d)
	if err := d.probe(cfg); err != nil {
		return 0, fmt.Errorf("kernel: %s: probe: %w", cfg.Name, err)
	}
	return d.net.port, k.eng.Err()
}

// Interrupt takes a vector's message to its CPU.
func (d *driver) Interrupt(vector int, at sim.Time) {
	c := d.k.cpus[0]
	if vector < len(d.napi) {
		c = d.napi[vector].cpu
	}
	if d.k.batching.Interrupts == PerFrame && c.pending(d, vector) {
		return // the line is asserted already
	}
	c.irqs = append(c.irqs, irq{d: d, vector: vector})
	c.kick(at)
}

// probe is igb_probe and igb_open: reset, rings, filters, vectors, then the
// receiver is let go.
func (d *driver) probe(cfg NICConfig) error {
	d.poke(nic.EIMC, 0xffffffff)
	d.poke(nic.CTRL, uint32(nic.CtrlRST))
	d.poke(nic.CTRL, uint32(nic.CtrlSLU|nic.CtrlFD))
	for i := range cfg.Queues {
		if err := d.setUpRx(i, cfg); err != nil {
			return err
		}
		if err := d.setUpTx(i); err != nil {
			return err
		}
		c := d.k.vectorCPU(cfg, i)
		c.irqHome = true
		c.vectors++
		c.setContended()
		d.napi = append(d.napi, d.newNAPI(i, c, cfg))
	}
	if d.pf != nil {
		d.pf.setUp(cfg)
	} else {
		d.setUpRSS(cfg.Queues)
	}
	d.setUpRxOffloads()
	d.setUpVectors(cfg)
	d.poke(nic.RLPML, d.longest())
	d.poke(nic.TCTL, uint32(nic.TctlEN|nic.TctlPSP))
	// A port of a bridge is promiscuous: the bridge decides, not the filter.
	d.poke(nic.RCTL, uint32(nic.RctlEN|nic.RctlUPE|nic.RctlMPE|nic.RctlBAM|nic.RctlLPE|nic.RctlSECRC))
	d.poke(nic.EIMS, 1<<cfg.Queues-1)
	if d.pf != nil {
		d.pf.begin()
	}
	return d.k.eng.Err()
}

// longest is RLPML: a frame and its FCS. A program wants it in one buffer.
func (d *driver) longest() uint32 {
	if d.xdp != nil {
		return rxBufferSize + 4
	}
	return nic.MaxFrame
}

// newNAPI makes the instance that polls queue i on the CPU c.
func (d *driver) newNAPI(i int, c *CPU, cfg NICConfig) *napi {
	b := &d.k.batching
	n := &napi{drv: d, index: i, cpu: c, weight: b.Weight, gro: d.newGRO()}
	if b.Threaded {
		n.thread = newNAPIThread(n)
	}
	if b.AdaptiveITR {
		n.adaptive = &adaptive{gap: cfg.ITR, written: cfg.ITR}
	}
	if b.DeferHardIRQs > 0 {
		n.timer = d.k.eng.NewTimer(fmt.Sprintf("%s/napi_watchdog%d", d.name, i), n)
	}
	return n
}

func (d *driver) setUpRx(i int, cfg NICConfig) error {
	q := &rxQueue{index: i, reg: d.register(i), size: cfg.Ring, buffers: make([]rxBuffer, cfg.Ring)}
	if cfg.XDP.Program != nil {
		q.headroom = xdpMore
	}
	var err error
	if q.base, q.ring, err = d.k.allocRing(cfg.Ring); err != nil {
		return err
	}
	d.dmaMap(q.base, len(q.ring))
	q.flows = d.k.batching.devFlows(cfg.Queues)
	d.rx = append(d.rx, q)
	d.poke(nic.RDBAL(q.reg), uint32(q.base))
	d.poke(nic.RDBAH(q.reg), uint32(q.base>>32))
	d.poke(nic.RDLEN(q.reg), uint32(cfg.Ring*nic.DescSize))
	srrctl := nic.Srrctl(rxBufferSize>>nic.SrrctlBSizeShift) | nic.SrrctlAdvOneBuf
	if cfg.DropEn {
		srrctl |= nic.SrrctlDropEN
	}
	d.poke(nic.SRRCTL(q.reg), uint32(srrctl))
	d.poke(nic.RXDCTL(q.reg), uint32(nic.DctlENABLE))
	q.cleaned = cfg.Ring - 1 // one stays empty: head = tail means none
	d.refill(nil, q)
	if q.empty() {
		return fmt.Errorf("receive buffers: %w", mem.ErrNoMemory)
	}
	return nil
}

func (d *driver) setUpTx(i int) error {
	q := &txQueue{index: i, reg: d.register(i), size: txRingSize, pending: make([]*skb, txRingSize)}
	var err error
	if q.base, q.ring, err = d.k.allocRing(txRingSize); err != nil {
		return err
	}
	d.dmaMap(q.base, len(q.ring))
	d.tx = append(d.tx, q)
	d.poke(nic.TDBAL(q.reg), uint32(q.base))
	d.poke(nic.TDBAH(q.reg), uint32(q.base>>32))
	d.poke(nic.TDLEN(q.reg), uint32(txRingSize*nic.DescSize))
	d.poke(nic.TXDCTL(q.reg), uint32(nic.DctlENABLE))
	return nil
}

// setUpRSS spreads flows over the queues; one queue needs no hash.
func (d *driver) setUpRSS(queues int) {
	if queues == 1 {
		return
	}
	for i := range nic.RSSRKWords {
		d.poke(nic.RSSRK(i), binary.LittleEndian.Uint32(rssKey[4*i:]))
	}
	for i := range nic.RETAWords {
		var w uint32
		for j := range 4 {
			w |= uint32((4*i+j)%queues) << (8 * j)
		}
		d.poke(nic.RETA(i), w)
	}
	d.poke(nic.MRQC, uint32(nic.MrqcRSS|nic.MrqcTCPIPv4|nic.MrqcIPv4|nic.MrqcTCPIPv6|nic.MrqcIPv6|nic.MrqcUDPIPv4|nic.MrqcUDPIPv6))
}

// setUpVectors gives every pair of queues the vector of its number. With NAPI it
// masks itself when it fires.
func (d *driver) setUpVectors(cfg NICConfig) {
	d.poke(nic.GPIE, uint32(nic.GpieNSICR|nic.GpieMultipleMSIX|nic.GpieEIAME|nic.GpiePBA))
	all := uint32(1)<<cfg.Queues - 1
	d.poke(nic.EIAC, all)
	if d.k.batching.Interrupts == ByNAPI {
		d.poke(nic.EIAM, all)
	}
	for i := 0; i < 8 && i < cfg.Queues; i++ {
		v := uint32(nic.IvarValid | i)
		w := v | v<<8
		if i+8 < cfg.Queues {
			v = uint32(nic.IvarValid | (i + 8))
			w |= v<<16 | v<<24
		}
		d.poke(nic.IVAR(i), w)
	}
	for i := range cfg.Queues {
		d.poke(nic.EITR(i), uint32(cfg.ITR/sim.Microsecond)<<nic.EitrIntervalShift)
	}
}

// allocRing takes memory for a ring of n descriptors, all zero.
func (k *Kernel) allocRing(n int) (mem.Addr, []byte, error) {
	base, err := k.mem.Alloc(mem.Order(n * nic.DescSize))
	if err != nil {
		return 0, nil, fmt.Errorf("ring of %d descriptors: %w", n, err)
	}
	ring := k.mem.Bytes(base, n*nic.DescSize)
	clear(ring)
	return base, ring, nil
}
