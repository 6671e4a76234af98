// Package virtio is the two sides of split virtqueues in guest memory and of the
// header that virtio-net puts in front of a frame: a Driver, which is the guest's,
// and a Device, which is the host's. It is no network device: what is done with a
// chain of buffers is the caller's.
//
//	           descriptor table
//	Driver ──► avail ring ──────► Device      buffers for the device
//	       ◄── used ring  ◄──────             buffers it is done with
//	           used_event: call me after this one
//	           avail_event: kick me after this one
//
// A buffer's way: the driver describes it (Driver.Add), asks whether the device
// wants to be told (KickNeeded), the device takes the chain (Device.Next), uses
// it, gives it back (Push), asks whether the driver wants to be told (CallNeeded),
// and the driver takes it back (Get).
//
// Each side takes the other for hostile. The device checks every index, address,
// length, flag and link before it uses it; the driver every entry of the used
// ring. What breaks the format is an error that breaks that side of the ring for
// good, until the ring is made anew.
//
// Both sides live on CPUs with clocks of their own. Beside the memory a ring keeps
// when each entry was written, and a side that is earlier does not see it yet.
//
// Section numbers are those of Virtual I/O Device (VIRTIO) Version 1.2, Committee
// Specification 01. Legacy devices, packed rings and in-order rings are not there.
package virtio
