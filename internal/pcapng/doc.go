// Package pcapng writes captures that Wireshark, tcpdump and gopacket open: one
// little-endian section, Ethernet interfaces, packets with everything the format
// can say about them, and a closing count per interface. It reads nothing, and
// it allocates nothing per packet.
//
// One frame may be written once per interface it passes, under the same packet
// id, so that a reader can follow it from the wire to its guest. Errors wait for
// Flush, as in bufio: see the example of Writer.
//
// # Time
//
// Virtual time is in picoseconds; the file is in nanoseconds (if_tsresol 9),
// rounded down, which keeps the order of packets and costs less than 1 ns each.
// The format knows 10^-12 too, but 64 bits of it reach only 213 days past 1970,
// and readers are not ready: Wireshark 4.0 multiplies the fraction of a second
// by 10^9 in 64 bits and so starts again from nought every 18.4 ms.
//
// # Verdicts
//
// What became of a packet goes into a comment, its first one:
//
//	verdict=drop reason=FULL_RING
//
// Wireshark shows it in the packet's own tree and filters on it, as in
// frame.comment contains "reason=FULL_RING". The epb_verdict option cannot hold
// these words: its three types are bytes from a hardware maker, a TC_ACT_ code
// of a Linux TC program and an xdp_action. It is there for exactly those, see
// EPBVerdict, and best left alone otherwise: Wireshark 4.0 shows it, but saves it
// under the code of epb_queue, and cannot open the copy any more.
//
// # References
//
// Section numbers in this package, such as [pcapng 4.3], are those of
// draft-ietf-opsawg-pcapng-06, "PCAP Now Generic (pcapng) Capture File Format",
// of March 2026.
package pcapng
