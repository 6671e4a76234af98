package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/mmu"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/virtio"
)

// VFConfig describes a virtual function that is given to a guest, as ip link set dev NIC
// vf N and VFIO do.
type VFConfig struct {
	NIC    string // whose it is
	VF     int
	Name   string // of the interface, in traces
	VM     int32  // the guest, likewise
	MAC    [6]byte
	MACs   [][6]byte // further addresses
	VLAN   uint16    // that it is in without knowing; 0 is none
	Vector int       // of the guest, for the VF's first
	// Inject has the host take the VF's interrupts and put them into the guest. Without
	// it they are posted: the guest is not left.
	Inject bool
	// NoSpoofCheck lets the VF send by any address and in any VLAN.
	NoSpoofCheck bool
	CPU          int // that takes interrupts of an injected VF, and wakes the guest of a posted one
	IOMMU        *mmu.IOMMU
	Source       mmu.Source   // its requester ID
	Pages        mmu.PageSize // that guest memory is mapped with
	Raw          bool         // a program takes the frames, and says when
}

// A VirtualFunction is a VF as its guest's driver sees it, and what the host knows of it.
type VirtualFunction struct {
	k      *Kernel
	cfg    VFConfig
	vf     *nic.VF
	pf     *pf
	vcpu   *VCPU
	index  int32
	irqs   uint64 // on their way to the host's CPU, by vector
	mem    *mem.Memory
	inside *Region // that memory as the guest's kernel has it; nil without a model of TLBs
	stat   TapStat
}

// AddVF gives a VF of a NIC to the guest on v.
func (k *Kernel) AddVF(v *VCPU, cfg VFConfig) (*VirtualFunction, error) {
	d := k.driver(cfg.NIC)
	switch {
	case v == nil || cfg.IOMMU == nil:
		return nil, fmt.Errorf("kernel: %s has no vCPU or no IOMMU", cfg.Name)
	case d == nil || d.pf == nil || cfg.VF < 0 || cfg.VF >= len(d.pf.vfs):
		return nil, fmt.Errorf("kernel: %s: %s has no virtual function %d", cfg.Name, cfg.NIC, cfg.VF)
	case cfg.CPU < 0 || cfg.CPU >= len(k.cpus):
		return nil, fmt.Errorf("kernel: %s: its interrupts are for CPU %d, and there are %d", cfg.Name, cfg.CPU, len(k.cpus))
	case k.named[cfg.Name]:
		return nil, fmt.Errorf("kernel: %s: %w", cfg.Name, ErrName)
	case cfg.VLAN > 4094:
		return nil, fmt.Errorf("kernel: %s: VLAN %d; 1 to 4094 are possible", cfg.Name, cfg.VLAN)
	}
	f := &VirtualFunction{k: k, cfg: cfg, vf: d.dev.VF(cfg.VF), pf: d.pf, vcpu: v, stat: TapStat{Name: cfg.Name}}
	if err := d.pf.give(cfg); err != nil {
		return nil, err
	}
	f.index = k.newIndex(cfg.Name)
	f.vf.Assign(nic.Function{DMA: cfg.IOMMU, Source: cfg.Source, IRQ: f})
	k.vfs = append(k.vfs, f)
	return f, k.eng.Err()
}

// driver is that of the NIC of a name, nil if there is none.
func (k *Kernel) driver(name string) *driver {
	for _, d := range k.drivers {
		if d.name == name {
			return d
		}
	}
	return nil
}

// give sets what the host has to say of a VF: addresses and VLAN.
func (p *pf) give(cfg VFConfig) error {
	v := &p.vfs[cfg.VF]
	if err := p.setMAC(nil, cfg.VF, cfg.MAC); err != nil {
		return err
	}
	v.fixed = v.mac != [6]byte{}
	for _, m := range cfg.MACs {
		if err := p.addMAC(nil, cfg.VF, m, false); err != nil {
			return err
		}
	}
	if v.vlan = cfg.VLAN; v.vlan != 0 {
		p.setVLAN(nil, cfg.VF, uint32(v.vlan), true)
		p.reg(nil, nic.VMVIR(cfg.VF), nic.VmvirDefault|uint32(v.vlan))
	}
	if cfg.NoSpoofCheck {
		bit := uint32(1) << cfg.VF
		p.reg(nil, nic.DTXSWC, p.read(nil, nic.DTXSWC)&^(bit|bit<<nic.DtxswcVLANASShift))
	}
	p.offloads(nil, cfg.VF)
	return nil
}

// Map is what VFIO does when the guest is made: its memory, and nothing else, is where
// the VF reaches it, at the addresses that the guest knows.
func (f *VirtualFunction) Map(m *mem.Memory) error {
	if f.mem != nil {
		return fmt.Errorf("kernel: %s has its memory already", f.cfg.Name)
	}
	d := f.cfg.IOMMU.NewDomain(f.cfg.Name, m)
	if err := mapAll(d, m, f.cfg.Pages); err != nil {
		return fmt.Errorf("kernel: %s: %w", f.cfg.Name, err)
	}
	if err := f.cfg.IOMMU.Attach(f.cfg.Source, d); err != nil {
		return fmt.Errorf("kernel: %s: %w", f.cfg.Name, err)
	}
	_, inside, err := f.k.guestMemory(m.Size())
	if err != nil {
		return fmt.Errorf("kernel: %s: %w", f.cfg.Name, err)
	}
	f.mem, f.inside = m, inside
	return nil
}

// Touches says whether there is a model of TLBs that wants to know what the guest touches.
func (f *VirtualFunction) Touches() bool { return f.inside != nil }

// Touch is an access of the guest's kernel to n bytes of its memory.
func (f *VirtualFunction) Touch(a mem.Addr, n int) { f.vcpu.task.cpu.touchAt(f.inside, a, n) }

// Interrupt takes a message of the VF to its guest, or to the CPU of the host that does.
// It is nic.IRQ.
func (f *VirtualFunction) Interrupt(vector int, at sim.Time) {
	if !f.cfg.Inject && !f.vcpu.task.asleep {
		f.vcpu.post(nil, at, f.cfg.Vector+vector)
		return
	}
	if f.irqs>>vector&1 != 0 {
		return
	}
	f.irqs |= 1 << vector
	c := f.k.cpus[f.cfg.CPU]
	c.irqs = append(c.irqs, irq{vf: f, vector: vector, kind: irqVF})
	c.kick(at)
}

// interrupt is the hard handler on the host: of VFIO, or the one that wakes a vCPU that
// a posted interrupt found halted.
func (f *VirtualFunction) interrupt(c *CPU, vector int) {
	f.irqs &^= 1 << vector
	if f.cfg.Inject {
		c.shared(cost.VfioMsihandler, 1, f.cfg.Name)
		f.vcpu.inject(c, f.cfg.Vector+vector)
		return
	}
	c.shared(cost.PiWakeupHandler, 1, f.cfg.Name)
	c.shared(cost.KvmWakeUp, 1, f.cfg.Name)
	f.vcpu.post(c, c.clock.Now(), f.cfg.Vector+vector)
}

// Read is a register of the VF's that the guest reads. A guest's wrong access is its own
// affair: it reads all ones.
func (f *VirtualFunction) Read(reg uint32) uint32 {
	v, err := f.vf.Read(reg, f.vcpu.Now())
	if err != nil {
		return 1<<32 - 1
	}
	return v
}

// Write is a register of the VF's that the guest writes.
func (f *VirtualFunction) Write(reg, v uint32) {
	f.vf.Write(reg, v, f.vcpu.Now()) // what is wrong with it the VF has counted
	if f.k.eng.Fired() == 0 && reg == nic.V2PMAILBOX && v&nic.V2PREQ != 0 {
		f.pf.msgTask(nil) // the guest boots before time begins
	}
}

// CatchUp lets the device do what it does up to the guest's time.
func (f *VirtualFunction) CatchUp() { f.vf.CatchUp(f.vcpu.Now()) }

// RxTags is nic.VF.RxTags.
func (f *VirtualFunction) RxTags(queue int) []nic.Tag { return f.vf.RxTags(queue) }

// Sending says that a frame begins its life on the transmit ring of a queue, with its
// last descriptor at that index.
func (f *VirtualFunction) Sending(queue int, index uint32, data []byte) {
	id, now := f.k.newID(), f.vcpu.Now()
	f.vf.SetTxTag(queue, index, nic.Tag{ID: id, Arrived: now})
	f.stat.TxFrames++
	f.stat.TxBytes += uint64(len(data))
	f.k.hash.Add(trace.Record{At: now, Kind: trace.FrameIn, A: id, B: uint64(len(data))})
	if f.vcpu.task.cpu.watched {
		f.vcpu.ChargeFrame(id, cost.IgbvfXmitFrame, 1, 0)
		f.show(id, now, data, true, trace.Pass)
		return
	}
	f.vcpu.Charge(cost.IgbvfXmitFrame, 1)
}

// Received says that the driver has taken a frame off a ring.
func (f *VirtualFunction) Received(t nic.Tag, data []byte) {
	k, now := f.k, f.vcpu.Now()
	f.vf.Took(1)
	f.stat.RxFrames++
	f.stat.RxBytes += uint64(len(data))
	k.flow.ToVMs++
	if !f.cfg.Raw {
		k.Latency.Record(now - t.Arrived)
	}
	k.hash.Delivered(now, uint32(f.index), t.ID, trace.Fate(trace.Bytes(data), t.Arrived))
	if f.vcpu.task.cpu.watched {
		f.show(t.ID, now, data, false, trace.Deliver)
	}
}

// Note shows a step that was charged for several frames at once in the journey of each.
func (f *VirtualFunction) Note(t virtio.Tag, s cost.Step) {
	c := f.vcpu.task.cpu
	if c.watched && c.k.sink.Watching(t.ID) {
		c.k.sink.Step(trace.Step{ID: t.ID, At: c.clock.Now(), CPU: int32(c.id), Step: s, N: 1, Note: f.vcpu.task.Name})
	}
}

func (f *VirtualFunction) show(id uint64, at sim.Time, data []byte, tx bool, v trace.Verdict) {
	f.k.sink.Frame(&trace.Frame{
		ID: id, At: at, Point: trace.VM, Tx: tx, Verdict: v, Queue: -1, Port: f.index, VM: f.cfg.VM, Len: len(data), Data: data,
	})
}

// Stat is what went through the VF, as a tap's.
func (f *VirtualFunction) Stat() TapStat { return f.stat }

// Device is the VF itself, and Name its interface's.
func (f *VirtualFunction) Device() *nic.VF { return f.vf }

// NIC is the name of the adapter whose VF it is, Number which of them.
func (f *VirtualFunction) NIC() string { return f.cfg.NIC }

// Number is that of the VF.
func (f *VirtualFunction) Number() int { return f.cfg.VF }

// MAC is the VF's address, as the PF's driver knows it.
func (f *VirtualFunction) MAC() [6]byte { return f.pf.vfs[f.cfg.VF].mac }

// Name is the interface's.
func (f *VirtualFunction) Name() string { return f.cfg.Name }

// stalled says what waits in the guest for somebody who will not come.
func (f *VirtualFunction) stalled() string {
	switch {
	case len(f.vcpu.irqs) > 0:
		return f.cfg.Name + ": an interrupt is pending and the guest is halted"
	case f.vf.Unread() > 0:
		return fmt.Sprintf("%s: %d frames are in the guest's memory and it does not look", f.cfg.Name, f.vf.Unread())
	}
	return ""
}
