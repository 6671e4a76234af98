// Package virtnet is the driver of a virtio network device in a guest's kernel: the
// guest's side of the rings, interrupts and NAPI, below package guest.
//
//	vring_interrupt ─► virtnet_poll ─► receive_buf ─► the stack
//	                        └─► try_fill_recv ─► kick?
//	the stack ─► start_xmit ─► free_old_xmit, chain ─► kick?
//
// It is the second driver on a frame's way and works as the first does: an interrupt
// schedules a poll and is off until a poll finds the ring empty. Frames lie in the
// guest's memory, one buffer or several (mergeable buffers); the stack copies what it
// keeps. What is sent is copied into pages of that memory, a page to a descriptor.
//
// The device is probed when the first frame comes or goes, so a guest without traffic
// has no memory for rings and buffers. That takes no time and is on no bill, since a
// real guest has done it at boot.
//
// What was sent is freed when the next packet is sent, or by a call when the ring was
// full: that is Linux's driver without its NAPI for sending. It does not reset a device
// that broke, and has no buffers other than pages and MTU-sized ones.
package virtnet
