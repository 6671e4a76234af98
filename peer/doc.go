// Package peer is a machine at the other end of a NIC's wire: a network stack and
// programs, so that a scenario has both ends. It is on nobody's bill. What it does
// takes time nevertheless, a fixed delay for each packet, since no hop takes none.
//
// A Peer is a nic.Wire on one side, with links around it if there are to be any,
// and a guest.Kernel on the other: the same programs run on it as in a VM.
package peer
