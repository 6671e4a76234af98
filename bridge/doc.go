// Package bridge decides where a frame goes, as the Linux bridge does. It knows
// frames and port numbers, nothing else: it moves no bytes, has no clock, and
// charges nothing. Handle is a function of the bridge's state, a frame and the
// time; whoever calls it delivers the copies and pays for the work, which the
// Verdict tells.
//
// # The way of a frame
//
// Beside each step stands the function of the real path that does it, and the file
// where it is done here. Explain tells the same for one frame, check by check.
//
//	A frame that comes in by a port (ingress.go):
//
//	 1 skb_vlan_untag           a tag, and what follows it, has to be whole
//	 2 br_handle_frame          a source that is zero or a group is dropped
//	 3                          01:80:c2:00:00:01 is dropped; the other reserved
//	                            addresses go to the port's own stack, PassPort, but
//	                            for those that a group_fwd_mask names, and :00 while
//	                            the spanning tree is off; the source is learned
//	                            (br_handle_local_finish)
//	   br_stp_rcv               there the spanning tree takes its BPDUs (spanning.go)
//	 4 br_handle_frame          a port that is neither forwarding nor learning takes
//	                            nothing else
//	 5 br_allowed_ingress       the frame's VLAN, by its tag or the port's PVID, is
//	                            one of the port (vlan.go)
//	 6 br_handle_frame_finish   a locked port has to know the source
//	 7 br_fdb_update            the source is learned: created, refreshed, or moved at
//	                            once when it was known elsewhere (learn.go)
//	 8 br_multicast_rcv         a membership message is learned from (group.go)
//	 9 br_handle_frame_finish   a port that is learning goes no further
//	10 br_do_suppress_arp, _nd  a question for a neighbour is answered, or kept from
//	                            some ports (suppress.go)
//
//	A frame of the host itself, which comes in by the port Local (br_dev_xmit), does
//	steps 5, 10 and 8. It is not learned from, and never goes up again.
//
//	Then, for both (egress.go):
//
//	11 br_fdb_find_rcu          a local address goes up alone, a known station to its
//	                            port (br_forward) or to the backup of that
//	   br_mdb_entry_skb_get     a group goes to its members and to routers
//	                            (br_multicast_flood, group.go)
//	   br_flood                 broadcasts, and what is not known, go to every port
//	                            that has the flag for it; all but unicast goes up
//	12 should_deliver           for each port: not back but by a hairpin, only if it
//	                            forwards, is in the VLAN, and not from isolated to
//	                            isolated
//	13 br_handle_vlan           the copy's tag: kept, taken off, put on
//	14 br_pass_frame_up         the bridge's own interface, if it is in the VLAN
//
// Most frames do none of this one by one: see Handle for the short way.
//
// # Beside the table
//
// The spanning tree (package stp), multicast snooping (snoop) and the suppression of
// questions for neighbours (neigh) are machines of their own. What they want to send
// is in Sent, and Verdict.Work or Ticked says that there is something. Due says when
// Tick has to be called. What is configured takes effect at the time of the last
// Tick or Handle.
//
// # What a verdict costs
//
// The steps of package cost that the caller owes for a Verdict v:
//
//	BrHandleFrame        every frame that did not come from Local
//	BrHandleFrameFinish  v.Work has Finished
//	BrFdbUpdate          v.Work.Learned() is Refreshed, OwnAddress or Refused
//	BrFdbCreate          v.Work.Learned() is Created or Moved
//	BrFdbFind            v.Work has Looked; BrFdbFindSrc if it has Looked2
//	BrAllowedIngress     v.Work has VLANIngress
//	BrHandleVlan         for each of v.Out if v.Work has VLANEgress
//	BrMulticastRcv       v.Work has Snooped
//	BrMdbEntryGet        v.Work has MDBLooked
//	BrDoSuppress         v.Work has Suppressed
//	BackupPort           v.Work has Redirected
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
// Groups are bounded by snooping's HashMax and PortConfig.McastMaxGroups. A station
// that jumps from port to port is told by Flaps.
//
// # Where it is not Linux
//
//   - Time is not rounded to jiffies.
//   - An empty table is not walked: Due is sim.Never, until there is a station to
//     wait for. Linux walks it every 300 s.
//   - Learned entries have a bound from the start, Config.MaxLearned; Linux's
//     fdb_max_learned is off unless set.
//   - Ports are flooded in ascending order of their numbers, Linux goes from the
//     one added last to the first; and there may be 65,535 of them, not 1,023,
//     though a spanning tree has no more than that.
//   - Reasons with RS_ in front are ours where Linux frees a frame without one. A
//     frame whose tag is not whole is HDR_TRUNC.
//   - The bridge's own interface is up, and its address does not follow those of its
//     ports.
//   - There is no netfilter, no switchdev, no MRP, no CFM, no MSTP (mst_enabled), no
//     snooping by VLAN (mcast_vlan_snooping), no VLAN tunnel, no proxy_arp, no
//     fdb_local_vlan_0 and no backup_nhid.
package bridge
