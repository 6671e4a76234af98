// Package reference is the bridge once more, for tests: slow and plain, as an
// oracle for the one in package bridge. It has maps where that has tables, sorts
// where that keeps order, compares bytes as bytes, and asks one rule after the
// other in the order in which Linux's bridge asks them. It shares nothing with
// package bridge but the types of configuration and answers, and it was written
// from Linux's behaviour (6.18), IEEE 802.1Q, RFC 2236, 3376, 2710 and 3810 and not
// from that package.
//
// Handle returns the frames that leave, each as its whole bytes, so that what a
// bridge does to a tag is compared as what is on the wire.
//
// # What it does not know
//
//   - The spanning tree: states of ports come from outside, by SetState and SetHold.
//   - Costs and counters.
//   - The bridge's own frames: it sends no queries and answers no ARP, it only knows
//     what they would change in the way of other frames.
//   - Of multicast: mcast_to_unicast, fastleave and reports of old versions where
//     sources are looked at, sources set by hand, and bounds of the database. Package
//     snoop has its own tests of these.
//   - Interfaces on top of the bridge, and so neighbours in VLANs.
package reference
