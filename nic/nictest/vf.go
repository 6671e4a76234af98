package nictest

import (
	"fmt"

	"ringside/mem"
	"ringside/mmu"
	"ringside/nic"
	"ringside/sim"
)

// A Guest is the other side of a virtual function: memory behind an IOMMU, rings in it,
// and the least of a driver. Bus addresses of its memory begin at IOVA, so that one that
// is mixed up with a place in memory is found.
type Guest struct {
	*nic.VF
	Index  int
	Memory *mem.Memory
	Domain *mmu.Domain
	IRQ    *IRQ
	Now    sim.Time
	Rx, Tx *Ring // of queue 0
}

// IOVA is where a Guest's memory begins on the bus.
const IOVA mem.Addr = 1 << 30

// A Virtual is a NIC whose PF is up and has given every VF to a guest.
type Virtual struct {
	*Rig
	IOMMU  *mmu.IOMMU
	PF     *Ring // receive ring of the PF's pool
	PFTx   *Ring
	Guests []*Guest
}

// VFSource is the requester ID of VF i.
func VFSource(i int) mmu.Source { return 0x0200 + 0x80 + mmu.Source(2*i) }

// MACOf is the address of VF i, and PFMAC that of the PF.
func MACOf(i int) [6]byte { return [6]byte{0x02, 0xfa, 0, 0, 0, byte(i)} }

// PFMAC is the address of the PF.
var PFMAC = [6]byte{0x02, 0, 0, 0, 0, 1}

// UpVirtual brings a NIC with VFs up as igb and igbvf do, without a mailbox: every pool
// has its address, takes broadcasts and untagged frames, and may not send as another.
func UpVirtual(c nic.Config) (*Virtual, error) {
	r, err := NewRig(c)
	if err != nil {
		return nil, err
	}
	v := &Virtual{Rig: r}
	if v.IOMMU, err = mmu.NewIOMMU(mmu.IOMMUConfig{}); err != nil {
		return nil, err
	}
	vfs := r.NIC.VFs()
	pools := []uint32{nic.CTRL, uint32(nic.CtrlRST), nic.CTRL, uint32(nic.CtrlFD | nic.CtrlSLU),
		nic.GPIE, uint32(nic.GpieMultipleMSIX | nic.GpieEIAME | nic.GpieNSICR), nic.EIAC, 1, nic.EIAM, 1,
		nic.IVAR(vfs & 7), nic.IvarValid | nic.IvarValid<<8, nic.MRQC, uint32(nic.MrqcVMDq),
		nic.VT_CTL, uint32(nic.VtCtlReplEN) | uint32(vfs)<<nic.VtCtlDefPoolShift,
		nic.DTXSWC, uint32(nic.DtxswcLoopbackEN) | uint32(nic.DtxswcMACAS|nic.DtxswcVLANAS)&^(0x101<<vfs),
		nic.QDE, 0xFFFF &^ (1 << vfs), nic.VFRE, 0xFF, nic.VFTE, 0xFF, nic.CTRL_EXT, uint32(nic.CtrlExtPFRSTD), nic.MBVFIMR, 0xFF}
	for p := range vfs + 1 {
		mac := MACOf(p)
		if p == vfs {
			mac = PFMAC
		}
		pools = append(pools, nic.RAL(p), uint32(mac[0])|uint32(mac[1])<<8|uint32(mac[2])<<16|uint32(mac[3])<<24,
			nic.RAH(p), uint32(mac[4])|uint32(mac[5])<<8|nic.RahAV|1<<(nic.RahPoolShift+p),
			nic.VMOLR(p), uint32(nic.VmolrAUPE|nic.VmolrBAM|nic.VmolrROMPE|nic.VmolrLPE)|nic.MaxFrame)
	}
	for i := 0; i < len(pools); i += 2 {
		if err := r.NIC.Write(pools[i], pools[i+1], 0); err != nil {
			return nil, err
		}
	}
	if err := v.pf(vfs); err != nil {
		return nil, err
	}
	for i := range vfs {
		g, err := v.guest(i)
		if err != nil {
			return nil, err
		}
		v.Guests = append(v.Guests, g)
	}
	if list, total := r.NIC.Misuses(); total != 0 {
		return nil, fmt.Errorf("nictest: %d misuses, first %v", total, list[0])
	}
	return v, nil
}

// pf sets up the PF's rings and lets the receiver go.
func (v *Virtual) pf(q int) (err error) {
	if v.PF, err = NewRing(v.Memory, q, 64, 2048); err != nil {
		return err
	}
	if v.PFTx, err = NewRing(v.Memory, q, 64, 2048); err != nil {
		return err
	}
	d := &Driver{Rig: v.Rig}
	for i, r := range []*Ring{v.PF, v.PFTx} {
		off := uint32(i) * 0x1000
		d.Write(nic.RDBAL(q)+ofTx(q, off), uint32(r.Base))
		d.Write(nic.RDLEN(q)+ofTx(q, off), uint32(len(r.Desc)))
	}
	d.Write(nic.SRRCTL(q), uint32(nic.SrrctlAdvOneBuf)|2)
	d.Write(nic.RXDCTL(q), uint32(nic.DctlENABLE))
	d.Write(nic.TXDCTL(q), uint32(nic.DctlENABLE))
	for range 63 {
		v.PF.Rx(v.PF.Use).Give(uint64(v.PF.Buffers[v.PF.Use]))
		v.PF.Use = v.PF.after(v.PF.Use)
	}
	d.Write(nic.RDT(q), v.PF.Use)
	d.Write(nic.TCTL, uint32(nic.TctlEN))
	d.Write(nic.RCTL, uint32(nic.RctlEN|nic.RctlBAM|nic.RctlUPE|nic.RctlMPE|nic.RctlLPE|nic.RctlSECRC|nic.RctlVFE))
	return nil
}

// ofTx is how far the transmit registers of queue q are from those of reception.
func ofTx(q int, off uint32) uint32 {
	if off == 0 {
		return 0
	}
	return nic.TDBAL(q) - nic.RDBAL(q)
}

// guest gives VF i memory, and sets its rings up.
func (v *Virtual) guest(i int) (*Guest, error) {
	g := &Guest{VF: v.NIC.VF(i), Index: i, Memory: mem.New(1 << 20), IRQ: &IRQ{}}
	g.Domain = v.IOMMU.NewDomain(fmt.Sprintf("vf%d", i), g.Memory)
	if err := g.Domain.Map(IOVA, 0, 1<<20, mmu.Page4K, mmu.Read|mmu.Write); err != nil {
		return nil, err
	}
	if err := v.IOMMU.Attach(VFSource(i), g.Domain); err != nil {
		return nil, err
	}
	g.Assign(nic.Function{DMA: v.IOMMU, Source: VFSource(i), IRQ: g.IRQ})
	var err error
	if g.Rx, err = NewRing(g.Memory, 0, 32, 2048); err != nil {
		return nil, err
	}
	if g.Tx, err = NewRing(g.Memory, 0, 32, 2048); err != nil {
		return nil, err
	}
	return g, g.Up()
}

// Up sets the VF's registers, as after a reset. Its rings are empty then.
func (g *Guest) Up() error {
	for _, w := range [...][2]uint32{
		{nic.RDBAL(0), uint32(IOVA + g.Rx.Base)}, {nic.RDLEN(0), uint32(len(g.Rx.Desc))},
		{nic.SRRCTL(0), uint32(nic.SrrctlAdvOneBuf) | 2}, {nic.RXDCTL(0), uint32(nic.DctlENABLE)},
		{nic.TDBAL(0), uint32(IOVA + g.Tx.Base)}, {nic.TDLEN(0), uint32(len(g.Tx.Desc))},
		{nic.TXDCTL(0), uint32(nic.DctlENABLE)},
		{nic.VTIVAR, nic.IvarValid | nic.IvarValid<<8}, {nic.VTIVAR_MISC, nic.IvarValid | 1},
		{nic.EIAC, 7}, {nic.EIAM, 7}, {nic.EIMS, 7},
	} {
		if err := g.Write(w[0], w[1], g.Now); err != nil {
			return err
		}
	}
	g.Rx.Use, g.Rx.Clean, g.Tx.Use, g.Tx.Clean = 0, 0, 0, 0
	return g.Post(31)
}

// Post gives the VF n more receive descriptors.
func (g *Guest) Post(n int) error {
	r := g.Rx
	for range n {
		r.Rx(r.Use).Give(uint64(IOVA + r.Buffers[r.Use]))
		r.Use = r.after(r.Use)
	}
	return g.Write(nic.RDT(0), r.Use, g.Now)
}

// Harvest takes the frames that have come by Now, and gives as many buffers back.
func (g *Guest) Harvest() (frames []Frame, err error) {
	g.CatchUp(g.Now)
	frames = g.Rx.harvest(g.Memory, g.RxTags(0))
	g.Took(len(frames))
	n := 0
	for _, f := range frames {
		n += f.Descs
	}
	return frames, g.Post(n)
}

// HarvestPF is Harvest of the PF at the time now.
func (v *Virtual) HarvestPF(now sim.Time) []Frame {
	v.NIC.CatchUp(now)
	frames := v.PF.harvest(v.Memory, v.NIC.RxTags(v.PF.Queue))
	for range frames {
		v.PF.Rx(v.PF.Use).Give(uint64(v.PF.Buffers[v.PF.Use]))
		v.PF.Use = v.PF.after(v.PF.Use)
	}
	(&Driver{Rig: v.Rig, Now: now}).Write(nic.RDT(v.PF.Queue), v.PF.Use)
	return frames
}

// Send puts a frame on the VF's ring and rings the doorbell.
func (g *Guest) Send(tag nic.Tag, data []byte) error {
	r := g.Tx
	copy(g.Memory.Bytes(r.Buffers[r.Use], r.Size), data)
	r.Tx(r.Use).Give(uint64(IOVA+r.Buffers[r.Use]), len(data), nic.TxIFCS|nic.TxEOP|nic.TxRS, len(data))
	g.SetTxTag(0, r.Use, tag)
	r.Use = r.after(r.Use)
	return g.Write(nic.TDT(0), r.Use, g.Now)
}

// SendPF is Send of the PF.
func (v *Virtual) SendPF(tag nic.Tag, data []byte, now sim.Time) {
	r := v.PFTx
	copy(v.Memory.Bytes(r.Buffers[r.Use], r.Size), data)
	r.Tx(r.Use).Give(uint64(r.Buffers[r.Use]), len(data), nic.TxIFCS|nic.TxEOP|nic.TxRS, len(data))
	v.NIC.SetTxTag(r.Queue, r.Use, tag)
	r.Use = r.after(r.Use)
	(&Driver{Rig: v.Rig, Now: now}).Write(nic.TDT(r.Queue), r.Use)
}

// harvest takes the frames that are done.
func (r *Ring) harvest(m *mem.Memory, tags []nic.Tag) (frames []Frame) {
	var f Frame
	for i := r.Clean; i != r.Use && r.Rx(i).Done(); i = r.after(i) {
		desc := r.Rx(i)
		f.Data = append(f.Data, m.Bytes(r.Buffers[i], desc.Len())...)
		f.Descs++
		if desc.Status()&nic.RxEOP == 0 {
			continue
		}
		f.Tag, f.Status, f.Packet, f.VLAN = tags[i], desc.Status(), desc.PacketType(), desc.VLAN()
		frames = append(frames, f)
		f = Frame{}
		r.Clean = r.after(i)
	}
	return frames
}
