// Package snoop watches the group membership that hosts and routers speak about,
// IGMP versions 1 to 3 and MLD versions 1 and 2, and keeps from it the multicast
// database of one bridge: which port wants which group from which source, and
// behind which ports multicast routers are. It also sends the queries of a bridge
// that is the querier. It decides as the Linux bridge does, it moves no frame,
// and it has no clock: everything is a function of the calls and their times.
//
// # The life of a group-addressed frame
//
//  1. Receive looks whether the frame is a membership message, learns from it,
//     and says whether it is to be dropped and whether it may go to routers only.
//     Broadcast frames are not shown to it.
//  2. Lookup says where the frame goes: to all ports, as an unknown address does,
//     or to the ports of a database entry and those of routers. The caller leaves
//     out the port the frame came from and those that do not forward.
//  3. Queries is what the bridge has to send because of it.
//
// Due says when Tick has to be called at the latest; every call with a time does
// the work of Tick first. Times do not go back: an earlier one counts as the last.
//
// # What is known to be so in Linux, and is so here
//
//   - A bridge floods multicast until a querier is known, itself or another, and
//     for the first querier's response time after that.
//   - Reports of versions 1 and 2 go to routers only. Those of IGMPv3 and MLDv2
//     and all queries and leaves go everywhere.
//   - A frame with a broken IP header or membership message is dropped. So is a
//     report for which there is no room.
//   - With HashMax entries the next one ends snooping altogether.
//   - A leave has the bridge, if it is the querier, ask the port to the address
//     224.0.0.1 and not to the group's.
//   - Sources that a report takes back are asked for only by the retransmission,
//     one last member interval later.
//
// Snooping by VLAN with settings of its own (mcast_vlan_snooping) is not here;
// the entries are kept by VLAN nevertheless.
//
// Documents: RFC 2236 (IGMPv2), RFC 3376 (IGMPv3), RFC 2710 (MLD), RFC 3810
// (MLDv2), RFC 4541 (snooping), RFC 4286 (multicast router discovery).
package snoop
