package ringside

import (
	"ringside/kernel"
	"ringside/virtio"
	"ringside/vmm"
)

// The path virtio: a guest has a virtual CPU and a virtio device, whose rings a thread
// of its VMM serves by system calls.
var virtioWiring = wiring{
	givesUp: []string{"a CPU for the VMM's thread, or a share of one"},
	check:   checkVirtio,
	vm:      func(h *Host, i int) error { return h.addRaw(i, kernel.VMM) },
}

// serve starts the thread of a VMM that serves a pair of queues.
func (h *Host) serve(s kernel.Served) error {
	c := vmm.Config{
		Rx: s.Rx, Tx: s.Tx, Mergeable: s.Features.Has(virtio.FMrgRxbuf), Longest: s.Longest,
		Tag: s.Tag, Late: s.Late, Broken: s.Broken,
	}
	return h.Kernel.Spawn(kernel.Process{
		Name: s.Name, ID: s.VM, CPU: s.CPU, Allowed: s.Allowed, Memory: s.Memory, Files: s.Files, Program: c.Main,
	})
}
