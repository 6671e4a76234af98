package guest

import (
	"ringside/cost"
	"ringside/netstack"
	"ringside/sim"
)

// A CPU is what a guest runs on: a virtual CPU of a host's kernel, or that of a
// machine that nobody charges. All calls come from within Kernel's own.
type CPU interface {
	// Now is the CPU's own time: the end of everything charged to it so far.
	Now() sim.Time
	// Charge does the step s n times.
	Charge(s cost.Step, n uint64)
	// ChargeBytes does the step s n times, over so many bytes in all.
	ChargeBytes(s cost.Step, n, bytes uint64)
	// Work does a program's own work, beside the price of GuestRun that was charged
	// when it began, for at most the span d, and returns how much of d is left: the
	// CPU stops where others are to come first. It makes some progress.
	Work(d sim.Time) sim.Time
	// WakeAt sets the guest's timer: Timer is called at that time, or at once if it
	// has passed. Each call replaces the last; Never means not at all.
	WakeAt(at sim.Time)
	// Fail ends the run. The CPU puts the name of its machine in front.
	Fail(err error)
}

// A NIC is a network device below the stack: its driver. It charges its own steps.
type NIC interface {
	// Features says what the device does for the stack. It is asked once, when the
	// kernel is made.
	Features() Features
	// Interrupt is the handler of the device's vector with that number, counted from
	// 0, and says whether the device is to be polled.
	Interrupt(vector int) bool
	// Poll hands at most budget packets to deliver, whose bytes are good during that
	// call, and cleans up behind packets that were sent. More says that there is
	// more and the device wants to be polled again; otherwise it has switched its
	// interrupts on.
	Poll(budget int, deliver func(*netstack.Packet)) (n int, more bool)
	// Transmit takes a whole frame, whose bytes are good during the call. False says
	// that there is no room: the kernel keeps the packet and tries again after the
	// next Poll, so the device must interrupt when it has room.
	Transmit(p *netstack.Packet) bool
}

// Features is what a NIC does for the stack above. The zero value is a device that
// does nothing: the stack sums and cuts by itself.
type Features struct {
	TxChecksum bool // completes a checksum that was left half done
	RxChecksum bool // says which checksums it has verified (Meta.Valid) or need none (Meta.NeedsCsum)
	GSOMax     int  // longest TCP packet in bytes that it cuts by itself; 0 is none
}

// VectorsPerNIC is how many interrupt vectors each interface of a guest has: vector
// v of interface i is number i*VectorsPerNIC + v to Kernel.Interrupt.
const VectorsPerNIC = 64
