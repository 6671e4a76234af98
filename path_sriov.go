package ringside

import (
	"fmt"
	"slices"

	"ringside/bridge"
	"ringside/kernel"
	"ringside/mmu"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
	"ringside/vm/guest"
	"ringside/vm/igbvf"
	"ringside/vm/raw"
)

// The path sriov: a guest has a virtual CPU and a virtual function of the NIC, whose rings
// lie in its memory. The host's kernel has no part in a frame's way.
var sriovWiring = wiring{
	givesUp: []string{
		"the bridge: no spanning tree, snooping, suppression, mirror or port options for guests",
		"frames to unknown addresses: they reach the host alone",
		fmt.Sprintf("guests: %d functions and %d addresses a NIC", nic.MaxVFs, nic.MaxAddrs),
		"guests that send by an address that is not theirs, unless the check is off",
		"live migration: the guest drives hardware",
		"memory of the guest's that can be swapped: the device may write to any of it",
	},
	check: checkSRIOV,
	vm:    (*Host).addRawVF,
}

// SRIOVConfig is how the virtual functions on the path sriov are. The zero value posts
// interrupts and checks what guests send.
type SRIOVConfig struct {
	Inject       bool         // the host takes the VFs' interrupts and injects them; else hardware posts them
	NoSpoofCheck bool         // guests may send by any address and in any VLAN
	Pages        mmu.PageSize // that guest memory is mapped with for the device, if Paging.User is not larger; the zero value is 4 KiB
}

// vfNIC is the NIC that the VM's interface n has a function of: the first on its bridge.
// Nil if there is none.
func (c *Config) vfNIC(v *VM, n int) *NIC {
	for i := range c.NICs {
		if c.NICs[i].Bridge == v.port(n).Bridge {
			return &c.NICs[i]
		}
	}
	return nil
}

// vfsOf is how many functions of a NIC guests have.
func (c *Config) vfsOf(nic *NIC) (vfs int) {
	if c.Path != SRIOV {
		return 0
	}
	for i := range c.VMs {
		for n := range 1 + len(c.VMs[i].Interfaces) {
			if c.vfNIC(&c.VMs[i], n) == nic {
				vfs++
			}
		}
	}
	return vfs
}

// checkSRIOV finds what virtual functions cannot do.
func checkSRIOV(c *Config) error {
	for i := range c.VMs {
		v := &c.VMs[i]
		if !v.stacked() && v.Batch > 1 {
			return c.cannot("%s: Batch is of a guest that reads its tap; a poll of the guest's driver takes up to 64 frames", v.Name)
		}
		for n := range 1 + len(v.Interfaces) {
			if err := c.checkVF(v, n); err != nil {
				return err
			}
		}
	}
	for i := range c.NICs {
		n := &c.NICs[i]
		vfs, addrs := c.vfsOf(n), 1
		for j := range c.VMs {
			if c.vfNIC(&c.VMs[j], 0) == n {
				addrs += len(c.macsOf(&c.VMs[j]))
			}
		}
		switch {
		case vfs == 0:
		case vfs > nic.MaxVFs:
			return c.cannot("%d functions of %s; it has %d", vfs, n.Name, nic.MaxVFs)
		case addrs > nic.MaxAddrs:
			return c.cannot("%d addresses at %s; it has %d, and one is its own: give guests fewer", addrs, n.Name, nic.MaxAddrs)
		case n.Queues != 1:
			return c.cannot("%d queues of %s; the physical function keeps one", n.Queues, n.Name)
		case n.Offloads != (Offloads{}):
			return c.cannot("offloads of %s: they are the physical function's alone and would show in its guests' frames", n.Name)
		}
	}
	return nil
}

// checkVF finds what the VM's interface n asks of a bridge.
func (c *Config) checkVF(v *VM, n int) error {
	in := v.port(n)
	plain := bridge.PortConfig{Name: in.Port.Name}
	i := slices.IndexFunc(c.Bridges, func(b Bridge) bool { return b.Name == in.Bridge })
	switch {
	case in.Bridge == NoBridge || i < 0:
		return c.cannot("%s: %s is on no bridge, and so at no NIC", v.Name, in.Port.Name)
	case c.vfNIC(v, n) == nil:
		return c.cannot("%s: bridge %s has no NIC", v.Name, in.Bridge)
	}
	switch b := &c.Bridges[i]; {
	case b.VLANFiltering:
		return c.cannot("%s: VLAN filtering of bridge %s", v.Name, b.Name)
	case b.STP:
		return c.cannot("%s: the spanning tree of bridge %s", v.Name, b.Name)
	}
	switch {
	case fmt.Sprintf("%+v", in.Port) != fmt.Sprintf("%+v", plain):
		return c.cannot("%s: options of the bridge's port %s: a virtual function is at none", v.Name, in.Port.Name)
	case in.MirrorIn != "" || in.MirrorOut != "":
		return c.cannot("%s: a mirror of %s", v.Name, in.Port.Name)
	}
	return nil
}

// macsOf is the addresses of a VM's first interface, its own the first.
func (c *Config) macsOf(v *VM) [][6]byte {
	list := [][6]byte{v.MAC}
	for _, m := range v.Known {
		if m != bridge.MAC(v.MAC) {
			list = append(list, m)
		}
	}
	return list
}

// vfPages is what the IOMMU maps guests' memory with: the pages that their VMM's process
// has, where those are modelled.
func (c *Config) vfPages() mmu.PageSize {
	if c.Paging.Model {
		return max(c.SRIOV.Pages, c.Paging.User)
	}
	return c.SRIOV.Pages
}

// addVF gives the VM's interface n a function and makes its driver.
func (h *Host) addVF(m *runningVM, i, n int, vcpu *kernel.VCPU) (*igbvf.Driver, error) {
	c, v := &h.cfg, &h.cfg.VMs[i]
	in, on := v.port(n), c.vfNIC(v, n)
	if err := h.setUpIOMMU(); err != nil {
		return nil, err
	}
	index := 0
	for _, r := range append(slices.Clone(h.vms), *m) {
		for _, f := range r.vfs {
			if f.NIC() == on.Name {
				index++
			}
		}
	}
	bus := slices.IndexFunc(c.NICs, func(n NIC) bool { return n.Name == on.Name })
	cfg := kernel.VFConfig{
		NIC: on.Name, VF: index, Name: in.Port.Name, VM: int32(i), MAC: in.MAC, Vector: n * guest.VectorsPerNIC,
		Inject: c.SRIOV.Inject, NoSpoofCheck: c.SRIOV.NoSpoofCheck, Pages: c.vfPages(), Raw: !v.stacked(),
		IOMMU: h.iommu, Source: requester(bus, index),
	}
	for _, x := range c.NICs[:bus] {
		cfg.CPU += x.Queues
	}
	if n == 0 {
		cfg.MACs = c.macsOf(v)[1:]
	}
	f, err := h.Kernel.AddVF(vcpu, cfg)
	if err != nil {
		return nil, err
	}
	m.vfs = append(m.vfs, f)
	itr := on.ITR
	if itr < 0 {
		itr = 0
	}
	d, err := igbvf.New(igbvf.Config{
		CPU: vcpu, Device: f, Ring: vfRing(on.Ring), ITR: itr / sim.Microsecond * sim.Microsecond, MTU: in.MTU, AllMulticast: true,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Name, err)
	}
	return d, nil
}

// vfRing is the rings of a VF: as long as the NIC's, up to what its driver has.
func vfRing(n int) int { return min(n, 4096) }

// requester is the requester ID of VF i of the NIC with a number: a bus for each, and
// behind its function 0 the VFs from 128 on in steps of two, as an 82576 has them.
func requester(bus, i int) mmu.Source { return mmu.Source((bus+1)<<8 | 0x80 + 2*i) }

// setUpIOMMU makes the host's IOMMU when it is first needed.
func (h *Host) setUpIOMMU() (err error) {
	if h.iommu == nil {
		h.iommu, err = mmu.NewIOMMU(h.cfg.iommu())
	}
	return err
}

// addRawVF makes VM i, whose program runs on a virtual CPU behind a virtual function.
func (h *Host) addRawVF(i int) error {
	v := &h.cfg.VMs[i]
	m := runningVM{name: v.Name, cpu: h.place(v.CPU)}
	vcpu, err := h.Kernel.AddVCPU(kernel.VCPUConfig{Name: v.Name, ID: int32(i), CPU: m.cpu})
	if err != nil {
		return err
	}
	drv, err := h.addVF(&m, i, 0, vcpu)
	if err != nil {
		return err
	}
	g := vm.Config{Name: v.Name, Program: v.Program, MAC: v.MAC, Addr: v.Addr}
	k, err := raw.New(raw.Config{CPU: vcpu, NIC: drv.Raw(), Guest: g})
	if err != nil {
		return fmt.Errorf("%s: %w", v.Name, err)
	}
	h.vms = append(h.vms, m)
	return vcpu.Start(k)
}

// addVFInterface is addInterface on this path.
func (h *Host) addVFInterface(m *runningVM, i, n int, vcpu *kernel.VCPU) (guest.Interface, error) {
	in := h.cfg.VMs[i].port(n)
	drv, err := h.addVF(m, i, n, vcpu)
	if err != nil {
		return guest.Interface{}, err
	}
	return guest.Interface{NIC: drv.Stack(), MAC: in.MAC, MTU: in.MTU, Addresses: in.Addresses}, nil
}

// A VFReport is what a virtual function has done, as ip -s link show dev NIC tells of it.
type VFReport struct {
	NIC       string `json:"nic"`
	VF        int    `json:"vf"`
	VM        string `json:"vm"`
	MAC       string `json:"mac"`
	RxFrames  uint64 `json:"rx_frames"`
	RxBytes   uint64 `json:"rx_bytes"`
	RxLooped  uint64 `json:"rx_looped"` // of them, from other functions
	TxFrames  uint64 `json:"tx_frames"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxLooped  uint64 `json:"tx_looped"` // of them, to other functions at least
	SpoofChk  bool   `json:"spoof_check"`
	Faults    uint64 `json:"iommu_faults"`
	Misuses   uint64 `json:"misuses"` // what its driver must not do
	Resets    uint64 `json:"resets"`
	Interrupt string `json:"interrupt"` // posted or injected
}

// An IOMMUReport is what the IOMMU has translated and refused.
type IOMMUReport struct {
	Hits   uint64      `json:"iotlb_hits"`
	Walks  uint64      `json:"walks"`
	Refs   uint64      `json:"entries_read"`
	Faults uint64      `json:"faults"`
	First  []mmu.Fault `json:"first_faults,omitempty"`
}

// vfReports is nil where there are no virtual functions.
func (h *Host) vfReports() (list []VFReport) {
	for _, m := range h.vms {
		for _, f := range m.vfs {
			st, mac := f.Device().Stat(), f.MAC()
			r := VFReport{
				NIC: f.NIC(), VF: f.Number(), VM: m.name, MAC: bridge.MAC(mac).String(),
				RxFrames: st.RxPackets, RxBytes: st.RxOctets, RxLooped: st.RxLooped,
				TxFrames: st.TxPackets, TxBytes: st.TxOctets, TxLooped: st.TxLooped,
				SpoofChk: !h.cfg.SRIOV.NoSpoofCheck, Faults: st.Faults, Misuses: st.Misuses, Resets: st.Resets, Interrupt: "posted",
			}
			if h.cfg.SRIOV.Inject {
				r.Interrupt = "injected"
			}
			list = append(list, r)
		}
	}
	return list
}

// iommuReport is nil where there is no IOMMU.
func (h *Host) iommuReport() *IOMMUReport {
	if h.iommu == nil {
		return nil
	}
	st := h.iommu.Stat()
	return &IOMMUReport{st.Hits, st.Walks, st.Refs, st.Faults, slices.Clone(h.iommu.Faults())}
}
