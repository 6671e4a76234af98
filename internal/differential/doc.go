// Package differential compares the bridge of this project with the one it is
// made after: the Linux kernel's. Both are set up alike, told the same steps and
// given the same frames; after each step it is compared where the frames went,
// byte for byte, and what the tables hold.
//
// A [Setup] is a configuration and a list of [Step]s: one of the named rows, or
// made by [Generate] from a seed. A [Side] carries steps out: the kernel's is a
// bridge in a network namespace with TAP interfaces as its ports, ours is a
// bridge.Bridge. [Compare] runs one setup on both and tells the first
// [Difference].
//
// Frames are read where Linux shows them: at the TAP for those that leave by a
// port, at the bridge's interface for those that go up, and at the port's own
// interface for reserved ones that the bridge leaves to it.
//
// The kernel's side needs Linux, root and /dev/net/tun. What the running kernel
// was built without (VLAN filtering, often) is tested by the same program as the
// init of a stock distribution kernel, which QEMU emulates; see [Machine].
package differential
