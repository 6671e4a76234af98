package nic

import "encoding/binary"

// DescSize is the size of every descriptor in bytes.
const DescSize = 16

// An RxDesc is one advanced receive descriptor: sixteen little-endian bytes of
// host memory in one of two formats [7.1]. The driver writes the read format,
// the device overwrites it with the write-back format.
//
//	read        0: address of the packet buffer
//	            8: address of the header buffer; bit 0 is DD and must be 0
//	write-back  0: RSS type 3:0, packet type 16:4, header length
//	            4: RSS hash
//	            8: status 19:0, errors 31:20
//	           12: length
//	           14: VLAN tag, when it was stripped
type RxDesc []byte

// Status bits of a written-back receive descriptor [7.1].
const (
	RxDD    = 1 << 0  // descriptor done
	RxEOP   = 1 << 1  // end of packet
	RxVP    = 1 << 3  // VLAN tag stripped: it stands in the descriptor
	RxUDPCS = 1 << 4  // UDP's checksum was verified
	RxTCPCS = 1 << 5  // TCP's or UDP's was
	RxIPCS  = 1 << 6  // that of the IPv4 header was
	RxPIF   = 1 << 7  // passed an inexact filter only: the MTA, or promiscuity
	RxTCPE  = 1 << 29 // what RxTCPCS tells of is wrong
	RxIPE   = 1 << 30 // what RxIPCS tells of is wrong
)

// Packet types of a written-back receive descriptor, as bits of its first word
// [7.1].
const (
	PktIPv4   = 1 << 4
	PktIPv4Ex = 1 << 5 // IPv4 with options
	PktIPv6   = 1 << 6
	PktIPv6Ex = 1 << 7 // IPv6 with extension headers
	PktTCP    = 1 << 8
	PktUDP    = 1 << 9
	PktSCTP   = 1 << 10
)

// rxRSCShift is where RSCCNT begins, how many segments the descriptor of a merged
// frame holds: one. It is the 82599's; the 82576 has the four bits reserved.
const rxRSCShift = 17

// An RSSType says which hash a received frame was given [7.1].
type RSSType uint8

// The types, as they stand in the write-back format.
const (
	RSSNone      RSSType = 0
	RSSTCPIPv4   RSSType = 1
	RSSIPv4      RSSType = 2
	RSSTCPIPv6   RSSType = 3
	RSSIPv6Ex    RSSType = 4
	RSSIPv6      RSSType = 5
	RSSTCPIPv6Ex RSSType = 6
	RSSUDPIPv4   RSSType = 7
	RSSUDPIPv6   RSSType = 8
	RSSUDPIPv6Ex RSSType = 9
)

// Give writes the read format: a buffer for the device.
func (d RxDesc) Give(buffer uint64) {
	binary.LittleEndian.PutUint64(d, buffer)
	binary.LittleEndian.PutUint64(d[8:], 0)
}

// Done says that the device has written the descriptor back.
func (d RxDesc) Done() bool { return d[8]&RxDD != 0 }

// Status is the status bits, the error bits above them.
func (d RxDesc) Status() uint32 { return binary.LittleEndian.Uint32(d[8:]) }

// Len is the number of bytes in the descriptor's buffer.
func (d RxDesc) Len() int { return int(binary.LittleEndian.Uint16(d[12:])) }

// VLAN is the tag that was stripped, when RxVP is set.
func (d RxDesc) VLAN() uint16 { return binary.LittleEndian.Uint16(d[14:]) }

// Hash is the RSS hash and what it covers, of the last descriptor of a frame.
func (d RxDesc) Hash() (uint32, RSSType) {
	return binary.LittleEndian.Uint32(d[4:]), RSSType(d[0] & 0xF)
}

// Merged says that the frame was merged: each of its descriptors has the payload of
// one segment, the first has headers before it.
func (d RxDesc) Merged() bool { return binary.LittleEndian.Uint32(d)>>rxRSCShift&0xF != 0 }

// PacketType is the Pkt bits, of the last descriptor of a frame.
func (d RxDesc) PacketType() uint32 { return uint32(binary.LittleEndian.Uint16(d)) &^ 0xF }

// A TxDesc is one advanced transmit descriptor [7.2].
//
//	read        0: address of the data
//	            8: length 15:0, type 23:20, command 31:24
//	           12: status 3:0, context 7:4, options 13:8, payload length 31:14
//	write-back 12: DD
type TxDesc []byte

// Fields of a transmit descriptor's third word [7.2].
const (
	TxTypeMask    = 0xF << 20
	TxTypeContext = 0x2 << 20
	TxTypeData    = 0x3 << 20
	TxEOP         = 1 << 24 // end of packet
	TxIFCS        = 1 << 25 // insert FCS
	TxRS          = 1 << 27 // report status: write DD back
	TxDEXT        = 1 << 29 // advanced descriptor
	TxVLE         = 1 << 30 // insert the context's VLAN tag; of a frame's first descriptor
	TxTSE         = 1 << 31 // TCP segmentation; likewise
)

// Fields of a transmit descriptor's fourth word [7.2].
const (
	TxDD          = 1 << 0
	TxIDXShift    = 4      // which of the queue's two contexts
	TxIXSM        = 1 << 8 // insert the sum of the IPv4 header; of a frame's first descriptor
	TxTXSM        = 1 << 9 // insert the sum of TCP or UDP; likewise
	TxPaylenShift = 14
	txPoptsIPsec  = 1 << 10
)

// Give writes the read format of a data descriptor: n bytes at buffer, the
// command bits cmd, and the length of the whole frame.
func (d TxDesc) Give(buffer uint64, n int, cmd uint32, frame int) {
	binary.LittleEndian.PutUint64(d, buffer)
	binary.LittleEndian.PutUint32(d[8:], uint32(n)&0xFFFF|TxTypeData|TxDEXT|cmd)
	binary.LittleEndian.PutUint32(d[12:], uint32(frame)<<TxPaylenShift)
}

// Ask adds option bits to a data descriptor: TxIXSM, TxTXSM, and the index of a
// context. Those of command, TxVLE and TxTSE, are given with Give.
func (d TxDesc) Ask(opts uint32) {
	binary.LittleEndian.PutUint32(d[12:], binary.LittleEndian.Uint32(d[12:])|opts)
}

// Done says that the device has written the descriptor back.
func (d TxDesc) Done() bool { return d[12]&TxDD != 0 }
