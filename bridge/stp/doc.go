// Package stp is the spanning tree of one bridge: IEEE 802.1D-1998, clause 8, as
// the Linux kernel's bridge runs it. It forwards nothing; it tells the bridge the
// state of each port, and sends and takes BPDUs. It is a state machine: a function
// of what it is called with and of virtual time, with no clock of its own.
//
// # How to drive it
//
// A Tree begins with its bridge down and its protocol as Config.STP says. Up and
// Down are the bridge's own interface; Enable and Disable are a port's carrier.
// Frames to the bridge group address go to ReceiveFrame. Due is the moment of the
// next timer; Tick fires every timer that is due, the earliest first, each at its
// own time, so that it does not matter how often Tick is called. Every other call
// does the same first: of a timer and a BPDU of one moment the timer is first, as
// the timers' softirq comes before the network's. Timers of one moment fire in a
// fixed order: hello, TCN, topology change, and then for each port, the one added
// last first, message age, forward delay, hold.
//
// What follows from a call comes out of Env, in the order in which it happens.
//
// # With the protocol off
//
// As with stp_state 0: a port forwards as soon as it is enabled, no BPDU is sent
// or looked at, and SetState is allowed. Turning it off at run time is not a reset:
// blocked ports stay blocked until something makes the bridge look at them again,
// which is at the latest the message age timer, as in Linux.
//
// # As Linux has it
//
//   - Only version 0 is taken: an RST BPDU (version 2) is ignored, not read as a
//     configuration message.
//   - A configuration message with a message age beyond its max age is ignored;
//     one that is equal is recorded, and its timer runs out at once.
//   - The message age grows by 4 ms and by the time the message was held, and goes
//     on the wire in whole 1/256 s, rounded down. Linux adds one tick of a kernel of
//     250 or 1000 Hz, which is 4 ms in both.
//   - The hold timer, and the hello timer when it repeats, run to whole seconds: to
//     the second before if less than a quarter is over (round_jiffies, on CPU 0).
//   - The hello timer runs as long as the bridge is the root; other bridges pass
//     on what their root port hears.
//   - A port with RootBlock that would become the root port goes to listening each
//     time, and is designated if nothing else leads to that root.
//   - Disabling a port that forwarded is no topology change unless another port's
//     state changes by it.
//
// # Where it is not Linux
//
//   - Times are not rounded to ticks of the kernel.
//   - There is no spanning tree in user space (BR_USER_STP), no MRP and no MSTP.
package stp
