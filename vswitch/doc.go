// Package vswitch is a switch in user space that runs to completion, and the ports of
// it that lead to guests. It polls: it has a CPU to itself, sleeps never, and makes no
// system call but to tell a guest that wants to be told.
//
//	for each port:  Receive ─► at most 32 frames ─► bridge decides ─► a burst for each port
//	then, for each port with a burst:  Transmit ─► what does not fit is dropped
//
// There is no sk_buff: a frame is an Mbuf of a pool that is made once. Nothing waits
// between two rounds but what a device or a guest has not been asked for yet.
//
// The bridge is package bridge, the same that the kernel has, with learning, ageing,
// flooding, groups and port flags. What needs frames of the bridge's own, or frames
// with other bytes, is refused: VLAN filtering, the spanning tree, neighbour
// suppression, a querier. Nobody stands at its local port. Without a bridge the switch
// is testpmd's io forwarding: what comes in by port 2i leaves by port 2i+1, and the
// other way round.
package vswitch
