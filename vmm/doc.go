// Package vmm is the thread of a VMM that serves a guest's network device in user space:
// what a guest has without vhost. It is a process of the host like any other and
// reaches the tap, the guest's doorbells and its interrupts by system calls alone; its
// memory is the guest's, so a frame is copied once, from the tap into the guest's
// buffers.
//
//	poll ─┬─ tap readable ──► readv into chains of the rx ring ─► used entries ─► write to the call eventfd
//	      ├─ rx doorbell ───► read the eventfd: there are buffers again
//	      └─ tx doorbell ───► read the eventfd; writev of each chain of the tx ring ─► used entries ─► call
//
// What a guest can write into a ring is checked before it is used. A ring that breaks
// the format ends the thread, and the device is dead: frames for it die on the tap.
package vmm
