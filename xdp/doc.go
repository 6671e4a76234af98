// Package xdp is what a program at a NIC's driver sees of a frame, what it may say,
// and the programs that come with Ringside.
//
// A program is a Go function. It is called for each frame before an sk_buff is built,
// with a [Context] that is Linux's struct xdp_md: the bytes, room in front of them and
// behind, the queue and the interface. It answers with one of Linux's verdicts.
//
//	                  ┌─► Drop, Aborted   the buffer stays on the ring
//	driver ─► program ┼─► Pass            an sk_buff, GRO, the bridge: as without
//	                  ├─► Tx              out by the NIC it came from
//	                  └─► Redirect        to an interface, or to an AF_XDP socket
//
// A program knows nothing of the host but what its Context offers; what a verdict does
// and costs is the kernel's. The rings of AF_XDP sockets are here as well, since both
// of their sides must agree on them: see [Ring] and [Socket].
package xdp
