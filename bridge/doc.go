// Package bridge decides where a frame goes, as the Linux bridge does. It knows
// frames and port numbers, nothing else: it moves no bytes, has no clock, and
// charges nothing. Handle is a function of the bridge's state, a frame's header
// and the time; whoever calls it delivers the frame and pays for the work, which
// the Verdict tells.
//
// # A frame's life
//
// Beside each step stands the function of the real path that does it.
//
//  1. A frame without a whole Ethernet header is dropped.
//  2. A source address that is zero or a group is dropped (br_handle_frame).
//  3. The reserved group addresses 01:80:c2:00:00:00 to :0f are not forwarded
//     but for those that Config.GroupFwdMask names: :01 is dropped, the others
//     go to the port's own stack, which is PassPort; their source is learned.
//     :00 is forwarded as any group address is, since there is no spanning tree.
//  4. The source is learned on the port the frame came in by (br_fdb_update):
//     created, refreshed, or moved at once when it was known elsewhere.
//  5. Broadcast and multicast go to all other ports and up to the bridge's own
//     interface (br_flood, br_pass_frame_up).
//  6. A unicast destination is looked up (br_fdb_find_rcu). A local one goes up
//     only; a known one to its port (br_forward), unless that is the port the
//     frame came from; an unknown one to all other ports, and not up.
//
// A frame that the host itself sends comes in by the port Local (br_dev_xmit):
// steps 2 to 4 do not apply to it, and it never goes up again.
//
// # What a verdict costs
//
// The steps of package cost that the caller owes for a Verdict v:
//
//	BrHandleFrame        every frame that did not come from Local
//	BrHandleFrameFinish  v.Work has Finished
//	BrFdbUpdate          v.Work.Learned() is Refreshed, OwnAddress or Refused
//	BrFdbCreate          v.Work.Learned() is Created or Moved
//	BrFdbFind            v.Work has Looked
//	BrFlood              v.Work has Flooded
//	DeliverClone         v.Clones() times
//	BrForward            once if the last of v.Out is not Local
//	BrPassFrameUp        v.Work has PassedUp
//	BrFdbCleanup         every entry that Tick walked over
//
// # What a wire can do to it
//
// A wire can choose its addresses. It fills the table up to Config.MaxLearned
// and no further; what does not fit is flooded, and makes room as it ages. If it
// knows Config.Seed it can choose addresses that collide: a lookup then reads at
// most 4 KiB, an address that finds no room within that reach is not learned,
// and the table takes at most 86 bytes for each entry that it held at its fullest.
//
// # Where it is not Linux
//
//   - Time is not rounded to jiffies.
//   - An empty table is not walked: Due is sim.Never, until
//     there is a station to wait for. Linux walks it every 300 s.
//   - Learned entries have a bound from the start, Config.MaxLearned; Linux's
//     fdb_max_learned is off unless set.
//   - Ports are flooded in ascending order of their numbers, Linux goes from the
//     one added last to the first; and there may be 65,535 of them, not 1,023.
//   - RS_SAME_PORT is our name for a reason that Linux does not tell.
//   - There are no VLANs, no spanning tree, no IGMP or MLD snooping and no port
//     flags but learning: a bridge as with vlan_filtering, stp_state and
//     mcast_snooping set to 0.
package bridge
