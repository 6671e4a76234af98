// Package neigh decides what a bridge does with a question for a neighbour, ARP or
// IPv6 neighbour discovery, when some of its ports have neigh_suppress: it may
// answer in the neighbour's place, and it may keep the question from being flooded
// to those ports. Decide is a function of one frame, of a Table of neighbours and of
// where the bridge knows stations to be. It forwards nothing and remembers nothing.
//
// # When to ask
//
// For a frame of ARP, RARP or IPv6, as it was before the bridge looks its
// destination up, if any port of the bridge has neigh_suppress, be it for one VLAN.
// The way of the frame does not change but in this: what is Suppress or Reply is not
// flooded to ports that have neigh_suppress for its VLAN (proxyarp_replied). A known
// destination is not flooded, and so not kept from anything.
//
// # What is answered
//
// A request that is a broadcast or multicast, from a port without neigh_suppress,
// for an address that a valid neighbour of the bridge's interface has (in a VLAN: of
// the VLAN interface on top of the bridge, without which nothing is decided), whose
// address the bridge knows to be on a port that has neigh_suppress. The answer comes
// from the neighbour's address and leaves by the port that asked.
//
// What is not answered but kept from those ports: announcements and probes (the
// sender's address is in 0.0.0.0/8 or the target's; the sender of a solicitation is
// unspecified or its destination), advertisements that nobody solicited, questions
// for an address of the host, and those for a valid neighbour that the bridge knows
// elsewhere.
//
// # As Linux has it
//
//   - Of an ARP message the hardware type is not looked at; an answer goes to the
//     sender's hardware address in it, not to the frame's source.
//   - Of an IPv6 packet nothing is looked at but the next header, which must be
//     ICMPv6 at once, and the addresses: not its version, its lengths, its hop limit
//     or its checksum. Options reach to the end of the frame.
//   - An answer to a solicitation goes to its source link-layer address option, and
//     to the frame's source without one. One with a bad option is not answered, and
//     still kept from flooding.
//   - An answer has the tag of the question, with its priority, unless the VLAN is
//     the PVID of the port that asked; if the port sends that VLAN untagged is not
//     looked at. With VLAN filtering off there is one VLAN, 0, and an answer has no
//     tag, even if the question has one.
//   - An answer to an ARP request of the host itself, without VLANs, is put into the
//     bridge again, and ends there: so there is none. Answers in a VLAN go up.
//   - An IPv6 address that is not link-local is the host's on whichever interface it
//     is; one of another kind is if it is on the interface or on one above it.
//
// # What is left out
//
// proxy_arp and proxy_arp_wifi (BR_PROXYARP), and an interface with NOARP.
package neigh
