package raw

import (
	"ringside/cost"
	"ringside/sim"
	"ringside/virtio"
)

// A CPU is what a guest runs on: a virtual CPU of a host's kernel. All calls come from
// within Kernel's own.
type CPU interface {
	// Now is the CPU's own time: the end of everything charged to it so far.
	Now() sim.Time
	// Charge does the step s n times.
	Charge(s cost.Step, n uint64)
	// Work does a program's own work, beside the price of GuestRun that was charged
	// when it began, for at most the span d, and returns how much of d is left: the
	// CPU stops where others are to come first. It makes some progress.
	Work(d sim.Time) sim.Time
	// WakeAt sets the guest's timer: Timer is called at that time, or at once if it
	// has passed. Each call replaces the last; Never means not at all.
	WakeAt(at sim.Time)
	// Took says that the program has the frame of that tag: its latency ends here.
	Took(virtio.Tag)
	// Fail ends the run. The CPU puts the name of its machine in front.
	Fail(err error)
}

// A NIC is a network device's driver below a program. It charges its own steps.
type NIC interface {
	// Interrupt is the handler of the device's vector with that number, counted from
	// 0, and says whether the device is to be polled.
	Interrupt(vector int) bool
	// Receive begins a poll, or goes on with one: it appends at most budget frames
	// that have come, in the memory where the device has put them. They stay good
	// until Complete.
	Receive(budget int, to []Frame) []Frame
	// Complete gives the frames' buffers back to the device and says whether the poll
	// is over: fewer frames had come than were asked for, and interrupts are on again.
	Complete() bool
	// Transmit copies a whole frame into the device's queue. False says that there is
	// no room now; when there is, the device interrupts, and Interrupt says true.
	Transmit(frame []byte) bool
	// Flush tells the device of what was transmitted since it was last called.
	Flush()
	// Stop switches the device off for good: the program has ended.
	Stop()
}

// A Frame is one that has come: its bytes, which the program may change, and who it is.
type Frame struct {
	Data []byte
	Tag  virtio.Tag
}
