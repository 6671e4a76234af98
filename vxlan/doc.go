// Package vxlan is a VXLAN tunnel end point, as Linux's vxlan device is one [RFC
// 7348]. It knows frames, addresses and times, nothing else: it moves no bytes, has
// no socket and no clock, and charges nothing. Whoever calls it sends what Encap
// says by the host's own stack, hands in what comes by Decap, and pays for the work.
//
// # The way of a frame
//
// Out, to other hosts (encap.go):
//
//	1 vxlan_find_mac       behind which remotes is the destination? An address that is
//	                       not known goes where the entry 00:00:00:00:00:00 says, to
//	                       every remote of it: head-end replication. Without one it is
//	                       dropped, VXLAN_NO_REMOTE
//	2 udp_flow_src_port    the source port comes from the inner flow (flow.go), so that
//	                       the underlay spreads flows and keeps each in order
//	3 vxlan_xmit_one       TTL, TOS, ECN mark and DF of the outer header; once for
//	                       each remote, the first of them last
//
// In (decap.go):
//
//	1 vxlan_rcv            the header: the I flag is set, no other bit is
//	                       (VXLAN_INVALID_HDR), and a VTEP of this port has the VNI
//	                       (VXLAN_VNI_NOT_FOUND)
//	2 vxlan_set_mac        the frame's source is not the VTEP's own address (LOCAL_MAC)
//	3 vxlan_snoop          the source is learned to be behind the sender. An entry set
//	                       by hand does not move: the frame is dropped,
//	                       VXLAN_ENTRY_EXISTS
//	4 IP_ECN_decapsulate   a mark that the underlay made is carried over into the inner
//	                       packet, or the frame is dropped (IP_TUNNEL_ECN)
//
// # What it is not
//
// There is no multicast underlay (every remote is one host), no extension (GBP, GPE,
// remote checksum), no metadata mode, no VNI filter, no nexthop group, no ARP proxy
// or route short-circuit: the bridge's neigh_suppress answers for neighbours.
package vxlan
