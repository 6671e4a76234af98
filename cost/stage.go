package cost

// A Stage is a part of the path that has its own lines on the bill. The stages
// stand in the order in which a received frame meets them.
type Stage uint8

// The stages of the path.
const (
	NIC     Stage = iota // the device: descriptors, DMA, interrupt messages
	IRQ                  // hard interrupt
	NAPI                 // softirq and driver: poll, harvest, refill, transmit
	XDP                  // a program at the driver, what it redirects, and AF_XDP sockets
	Stack                // the kernel's core between driver and ports, and the host's own stack
	Bridge               // learning, lookup, forwarding, flooding
	Tunnel               // the overlay: VXLAN in and out of UDP
	Tap                  // the tap's ring, both sides
	Sched                // wake-ups and context switches
	Syscall              // the border of the guest: enter, copy, exit
	Pmd                  // a user-space process that polls: its driver, its switch, its vhost-user ports
	VMM                  // a process that serves a guest's device: its event loop, the guest's rings
	Vhost                // the back end of a virtio device: rings, copies, signals
	KVM                  // exits of a guest, interrupts put into it
	Guest                // a guest's own kernel: interrupt, driver, poll, stack, its system calls
	VM                   // what the guest's program does
	TLB                  // translation of addresses: misses of the TLBs, page walks
	NumStages
)

var stageNames = [NumStages]string{"nic", "irq", "napi", "xdp", "stack", "bridge", "tunnel", "tap", "sched", "syscall", "pmd", "vmm", "vhost", "kvm", "guest", "vm", "tlb"}

// String is the stage's name on the bill.
func (s Stage) String() string {
	if s >= NumStages {
		return "stage?"
	}
	return stageNames[s]
}
