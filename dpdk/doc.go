// Package dpdk is a poll-mode driver in user space for the igb device: the rings of the
// device are the process's own memory, and so are its registers.
//
//	rx ring ─► Receive, at most a burst ─► mbufs ─► Transmit ─► tx ring, doorbell
//	   ▲                                                            │
//	   └── another mbuf in each place, a doorbell for every 32 ◄── freed when its place
//	                                                               is wanted again
//
// It sets the device up by the same registers as the kernel's driver and leaves every
// interrupt masked: there is no handler, no system call and no sk_buff. That a process
// may name package nic at all is the hole in the wall that this path is: see
// internal/deptest.
//
// A frame is one descriptor. Longer ones than an mbuf holds the device drops (RLPML).
// Nothing is offloaded.
package dpdk
