// Package bench measures real time: what a frame costs on this computer, not in
// the model. Every case is measured in turns with the yardstick, a bare ring
// with the same frames, and the figure to quote is their ratio, which survives a
// noisy machine and a move to another one.
//
// A native case is the whole path, nothing left out: a frame is offered on the
// wire, hashed, filtered, written by DMA into a descriptor's buffer, announced
// by an interrupt, polled, made an skb, looked up and learned by the bridge, put
// on a tap's ring, read by a guest through a system call and copied into its
// memory, hashed again, with every step on the bill and every oracle on. Frames
// are offered at a rate that the emulated machine can carry, one million a
// second, so that none is dropped: a drop would be cheap.
package bench
