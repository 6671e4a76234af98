// Package netstack is gVisor's TCP/IP stack as a function of its input: frames
// and calls go in, frames and readiness come out, and nothing happens in between.
// It is the only room that imports gVisor, and no type of gVisor's is in its face.
//
// A machine owns a Stack and calls it. It hands frames in by Interface.Deliver,
// lets TCP work on them by Poll at the end of a batch, and takes what is sent by
// its Link, within those calls. Time is the machine's Clock. A Stack may be used
// by one caller at a time, and a Link or a Notify function may not call back into
// it, but that a Link may send a tunnel's datagrams by SendUDP.
//
//	Deliver ─► IP ─┬─► UDP, ICMP, ARP, ND: done within the call
//	               └─► TCP: waits for ──► Poll ─► one processor ─► Link.Send
//
// What makes it a function, and what would not (docs/determinism.md has the
// evidence): the stack is paused from birth and has exactly one TCP processor;
// chance and clock are the owner's; timers of one moment fire in the order in
// which they were armed; RACK is off, since it retransmits what was acknowledged
// when a round trip takes next to no time; IGMP, MLD and duplicate address
// detection are off, since gVisor walks a Go map to report groups; neighbours are
// found here, since gVisor gives some up in a goroutine.
package netstack
