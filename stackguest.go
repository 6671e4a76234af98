package ringside

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/bridge"
	"ringside/kernel"
	"ringside/netstack"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm"
	"ringside/vm/guest"
	"ringside/vm/virtnet"
)

// A VirtioConfig is how the network devices of a VM with Processes are. The zero value
// is one pair of queues of 256 descriptors, and everything offered that there is.
type VirtioConfig struct {
	Queues int             // pairs, up to MaxPairs; 0 means 1. Each has a vhost worker
	Size   int             // descriptors of each queue, a power of two; 0 means 256
	Off    virtio.Features // not offered
	CPU    *int            // of the vhost workers; nil means in turn over the CPUs that serve no interrupts; with one they stay there

	Allowed CPUSet // CPUs that the workers may run on if tasks move; 0 means CPU, or any that is not isolated
}

// MaxPairs is as many pairs of queues as a device may have.
const MaxPairs = 16

// A VMInterface is one more network device of a VM with Processes.
type VMInterface struct {
	MAC       vm.MAC // the zero MAC means that of the VM with a third byte of 1, 2, …
	Addresses []netip.Prefix

	Bridge    string            // the bridge its tap is a port of; "" means the first
	Port      bridge.PortConfig // of that port; its Name is the tap's, "" means tap0.1, tap0.2, …
	MTU       int               // of the tap and the guest's interface; 0 means frames of any length, and 1500
	MirrorIn  string            // as NIC has it; in is from the guest
	MirrorOut string
}

// stacked says whether the guest has a kernel of its own.
func (v *VM) stacked() bool { return v.Processes != nil }

// port is the VM's interface number n, the first of which is in the VM itself.
func (v *VM) port(n int) *VMInterface {
	if n == 0 {
		return &VMInterface{v.MAC, v.Addresses, v.Bridge, v.Port, v.MTU, v.MirrorIn, v.MirrorOut}
	}
	return &v.Interfaces[n-1]
}

// interfaces fills in what the VM's further interfaces leave out.
func (v *VM) interfaces(first string) {
	v.Interfaces = slices.Clone(v.Interfaces)
	for i := range v.Interfaces {
		in := &v.Interfaces[i]
		inherit(&in.Bridge, "", first)
		inherit(&in.Port.Name, "", fmt.Sprintf("%s.%d", v.Port.Name, i+1))
		mac := v.MAC
		mac[2] += byte(i + 1)
		inherit(&in.MAC, mac, mac)
	}
}

// checkStack fills in how the devices are and finds what cannot be.
func (v *VM) checkStack() error {
	inherit(&v.Virtio.Queues, 0, 1)
	inherit(&v.Virtio.Size, 0, 256)
	switch q := v.Virtio; {
	case q.Queues < 0 || q.Queues > MaxPairs:
		return fmt.Errorf("Virtio.Queues is %d; 1 to %d are possible", q.Queues, MaxPairs)
	case q.Size < 2 || q.Size > virtio.MaxSize || q.Size&(q.Size-1) != 0:
		return fmt.Errorf("Virtio.Size is %d; a power of two from 2 to %d is possible", q.Size, virtio.MaxSize)
	case len(v.Interfaces) >= MaxNICs:
		return fmt.Errorf("%d further interfaces; up to %d are possible", len(v.Interfaces), MaxNICs-1)
	}
	return nil
}

// guestCPUs is how many CPUs guests get that do not say.
func (c *Config) guestCPUs() int {
	threads, most := len(c.VMs), 4
	for i := range c.VMs {
		if v := &c.VMs[i]; c.hasVCPU(v) {
			if c.Path != DPDK && c.Path != AFXDP && c.Path != SRIOV { // the workers
				threads += v.Virtio.Queues * (1 + len(v.Interfaces))
			}
			most = 8
		}
	}
	return min(threads, most)
}

// addStacked makes VM i, which has a kernel of its own: a virtual CPU, and a device
// with its driver for each interface.
func (h *Host) addStacked(i int) error {
	v := &h.cfg.VMs[i]
	m := runningVM{name: v.Name, cpu: h.place(v.CPU)}
	vcpu, err := h.Kernel.AddVCPU(h.vcpu(i, m.cpu))
	if err != nil {
		return err
	}
	c := guest.Config{
		Name: v.Name, CPU: vcpu, Chance: func(what string) netstack.Source { return h.Engine.Source(what) },
		Routes: v.Routes, Gateway: v.Gateway, Forward: v.Forward, TCP: v.TCP, Resolver: v.Resolver, Processes: v.Processes,
	}
	if log := h.cfg.Log; log != nil {
		c.Log = func(at sim.Time, process, line string) { log(at, v.Name, process, line) }
	}
	for n := range 1 + len(v.Interfaces) {
		in, err := h.addInterface(&m, i, n, vcpu)
		if err != nil {
			return err
		}
		c.Interfaces = append(c.Interfaces, in)
	}
	if m.kernel, err = guest.New(c); err != nil {
		return err
	}
	h.vms = append(h.vms, m)
	return vcpu.Start(m.kernel)
}

// addInterface plugs in the device of a VM's interface n and makes its driver.
func (h *Host) addInterface(m *runningVM, i, n int, vcpu *kernel.VCPU) (guest.Interface, error) {
	if h.cfg.Path == SRIOV {
		return h.addVFInterface(m, i, n, vcpu)
	}
	v := &h.cfg.VMs[i]
	in := v.port(n)
	dev, err := h.addDevice(i, n, vcpu, h.backend())
	if err != nil {
		return guest.Interface{}, err
	}
	drv, err := virtnet.New(virtnet.Config{CPU: vcpu, Device: dev})
	if err != nil {
		return guest.Interface{}, fmt.Errorf("%s: %w", v.Name, err)
	}
	return guest.Interface{NIC: drv, MAC: in.MAC, MTU: in.MTU, Addresses: in.Addresses}, nil
}

// addDevice plugs in the virtio device of a VM's interface n.
func (h *Host) addDevice(i, n int, vcpu *kernel.VCPU, by kernel.Backend) (virtnet.Device, error) {
	if by == kernel.VhostUser {
		return h.addUserDevice(i, n, vcpu)
	}
	v := &h.cfg.VMs[i]
	in := v.port(n)
	cpu := h.place(v.Virtio.CPU)
	h.placed += v.Virtio.Queues - 1
	c := kernel.VirtioConfig{
		VM: int32(i), At: h.at(in.Port.Name, in.Bridge, in.Port, in.MTU), MAC: in.MAC, CPU: cpu, Allowed: allowed(v.Virtio.CPU, v.Virtio.Allowed), Queues: v.Virtio.Queues,
		RingSize: uint16(v.Virtio.Size), Features: kernel.OfferedFeatures &^ v.Virtio.Off, Vector: n * guest.VectorsPerNIC,
		Backend: by, Raw: !v.stacked(),
	}
	if by == kernel.VMM {
		c.Serve = h.serve
	}
	dev, err := h.Kernel.AddVirtio(vcpu, c)
	if err != nil {
		return nil, err
	}
	if _, port, ok := h.Kernel.Port(in.Port.Name); ok && n == 0 {
		if err := h.known(v, port); err != nil {
			return nil, err
		}
	}
	return dev, nil
}
