package ringside

import (
	"fmt"

	"ringside/kernel"
	"ringside/vm"
	"ringside/vm/raw"
	"ringside/vm/virtnet"
)

// The path vhost: a guest has a virtual CPU and a virtio device, whose rings a thread
// of the kernel serves.
var vhostWiring = wiring{
	givesUp: []string{"a CPU for the vhost thread, or a share of one"},
	check:   checkVirtio,
	vm:      func(h *Host, i int) error { return h.addRaw(i, kernel.VhostNet) },
}

// checkVirtio finds what guests behind a virtio device cannot have.
func checkVirtio(c *Config) error {
	for i := range c.VMs {
		if v := &c.VMs[i]; !v.stacked() && v.Batch > 1 {
			return c.cannot("%s: Batch is of a guest that reads its tap; a poll of the guest's driver takes up to 64 frames", v.Name)
		}
	}
	return nil
}

// addRaw makes VM i, whose program runs on a virtual CPU behind a virtio device.
func (h *Host) addRaw(i int, by kernel.Backend) error {
	v := &h.cfg.VMs[i]
	m := runningVM{name: v.Name, cpu: h.place(v.CPU)}
	vcpu, err := h.Kernel.AddVCPU(h.vcpu(i, m.cpu))
	if err != nil {
		return err
	}
	dev, err := h.addDevice(i, 0, vcpu, by)
	if err != nil {
		return err
	}
	drv, err := virtnet.New(virtnet.Config{CPU: vcpu, Device: dev, Off: virtnet.RawOff})
	if err != nil {
		return fmt.Errorf("%s: %w", v.Name, err)
	}
	g := vm.Config{Name: v.Name, Program: v.Program, MAC: v.MAC, Addr: v.Addr}
	k, err := raw.New(raw.Config{CPU: vcpu, NIC: drv.Raw(), Guest: g})
	if err != nil {
		return fmt.Errorf("%s: %w", v.Name, err)
	}
	h.vms = append(h.vms, m)
	return vcpu.Start(k)
}
