// Package bench measures real time: what a frame costs on this computer, not in
// the model. Every case is measured in turns with the yardstick, a bare ring
// with the same frames, and the figure to quote is their ratio, which survives a
// noisy machine and a move to another one.
//
// A native case is the whole path, nothing left out: a frame is offered on the
// wire, filtered, written by DMA into a descriptor's buffer, announced by an
// interrupt, polled, made an skb, looked up and learned by the bridge, put on a
// tap's ring, read by a guest through a system call, copied into its memory and
// hashed into the trace, with every step on the bill. The oracles that act as the
// path runs are on; those that look at whole tables are asked when the measuring
// is over. Frames are offered at a rate that the emulated machine can carry, one
// million a second, so that none is dropped: a drop would be cheap.
//
// A TCP case is one connection in virtual time, with the same oracles and the same
// bill. Its yardstick is two stacks that are joined by a queue and nothing else
// (tcp/bare), measured in turns with it on one processor. What they share is gVisor's
// stack, which is most of a frame's time at 1,500 bytes; so the ratio says what NIC,
// driver, bridge, vhost and virtio add, and what offloads save.
//
// The yardstick is part of the same binary, so a compile profile moves it, too.
package bench
