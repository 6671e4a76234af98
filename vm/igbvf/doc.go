// Package igbvf is the driver of a virtual function of an igb device, in its guest: rings
// and buffers in the guest's memory, registers that the guest reaches without an exit, a
// mailbox to the driver of the physical function, and NAPI.
//
// It is the one package of a guest's that may name the device: that it can is what
// passthrough is. It knows registers and descriptors, and is handed a Device that has no
// others than the VF's.
//
// Not in it: a second queue, which the device has; checksums and segmentation by the
// device; moderation that adapts.
package igbvf
