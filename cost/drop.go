package cost

// A DropReason says why a frame died. Reasons that Linux has carry Linux's name
// from enum skb_drop_reason; those it lacks are ours and are marked by a prefix:
// NIC_ inside the device, where Linux counts but has no reason, and RS_ elsewhere.
type DropReason uint8

// The reasons. The zero value means that the frame was not dropped.
const (
	NotDropped DropReason = iota

	// Inside the device.

	// NICRxNoDesc: the queue had no free descriptor and SRRCTL.DROP_EN is set (RQDPC).
	NICRxNoDesc
	// NICRxFIFO: the receive packet buffer was full (MPC).
	NICRxFIFO
	// NICRxFilter: no unicast, multicast or broadcast filter passed the frame.
	NICRxFilter
	// NICRxRunt: shorter than an Ethernet header.
	NICRxRunt
	// NICRxOversize: longer than RLPML allows (ROC).
	NICRxOversize
	// NICRxDisabled: reception, or the queue, is switched off.
	NICRxDisabled
	// NICRxDMA: a descriptor or buffer address that is not host memory.
	NICRxDMA
	// NICTxDMA: likewise while sending.
	NICTxDMA
	// NICTxBad: a transmit descriptor that breaks the format.
	NICTxBad
	// NICTxDisabled: the frame waited on a ring that was switched off or reset.
	NICTxDisabled

	// With virtual functions.

	// NICRxVLAN: RCTL.VFE is set and VFTA does not have the VLAN.
	NICRxVLAN
	// NICIOMMUFault: the IOMMU has refused the function's access to memory.
	NICIOMMUFault
	// NICTxSpoofMAC: a pool sent with an address that is not its own (DTXSWC.MACAS).
	NICTxSpoofMAC
	// NICTxSpoofVLAN: likewise in a VLAN (DTXSWC.VLANAS).
	NICTxSpoofVLAN
	// NICVFReset: in a VF's memory when that was reset, and not taken yet.
	NICVFReset

	// Linux's own.

	NotSpecified
	PktTooSmall
	PktTooBig
	NoMem
	FullRing
	DevReady
	DevHdr
	HdrTrunc
	SKBUcopyFault
	TapFilter
	CPUBacklog
	QdiscDrop
	NoTxTarget
	MACInvalidSource
	LocalMAC
	BridgeIngressSTPState
	MACIEEEMACControl
	OtherHost
	UnhandledProto
	IPInHdr
	IPCsum
	TCPCsum
	UDPCsum
	NoSocket
	NeighFailed
	IPOutNoRoutes
	IPInvalidSource
	SKBGSOSeg
	SKBCsum
	VXLANInvalidHdr
	VXLANVNINotFound
	VXLANEntryExists
	VXLANNoRemote
	IPTunnelECN
	TunnelTxInfo
	XDPDropped

	// Ours, where Linux frees the frame and gives no reason.

	// RSSamePort: the destination is on the port the frame came from.
	RSSamePort
	// RSLinkLocal: a reserved group address that the bridge does not forward.
	RSLinkLocal
	// RSRxError: the driver threw away a frame that the device marked bad.
	RSRxError
	// RSHostRefused: the host's own stack took no interest in the frame.
	RSHostRefused
	// RSTxBusy: the transmit ring was full and its queue too.
	RSTxBusy
	// RSClosed: the frame waited for a reader that closed its descriptor.
	RSClosed
	// RSVLANFiltered: VLAN filtering does not let the frame in, or out by its port.
	RSVLANFiltered
	// RSPortLocked: the bridge's port is locked and does not know the source.
	RSPortLocked
	// RSPortState: the one port the frame is for does not forward.
	RSPortState
	// RSIsolated: from an isolated port to an isolated port.
	RSIsolated
	// RSBPDU: not lost, but taken by the bridge's spanning tree.
	RSBPDU
	// RSMcastBad: a broken IGMP or MLD message, or what carries it.
	RSMcastBad
	// RSMcastFull: a membership report for which there is no room.
	RSMcastFull
	// RSVringBad: the guest's virtqueue, or what a chain of it says, breaks the format.
	RSVringBad
	// RSXDPAborted: an XDP program failed: it said so, broke off, or said nothing that there is.
	RSXDPAborted
	// RSXDPNoTarget: redirected to what is no interface, or one that takes no raw buffers.
	RSXDPNoTarget
	// RSXSKNoFill: the AF_XDP socket's fill ring was empty.
	RSXSKNoFill
	// RSXSKRxFull: the AF_XDP socket's receive ring was full.
	RSXSKRxFull
	// RSXSKClosed: the AF_XDP socket's owner closed it while the frame was with it.
	RSXSKClosed
	NumReasons
)

type reasonInfo struct {
	name  string
	linux bool
	says  string
}

var reasons = [NumReasons]reasonInfo{
	NotDropped:    {"NOT_DROPPED", false, "not dropped"},
	NICRxNoDesc:   {"NIC_RX_NO_DESC", false, "no free descriptor on the queue, DROP_EN set (RQDPC)"},
	NICRxFIFO:     {"NIC_RX_FIFO", false, "receive packet buffer full (MPC)"},
	NICRxFilter:   {"NIC_RX_FILTER", false, "no address filter passed the frame"},
	NICRxRunt:     {"NIC_RX_RUNT", false, "shorter than an Ethernet header"},
	NICRxOversize: {"NIC_RX_OVERSIZE", false, "longer than RLPML allows (ROC)"},
	NICRxDisabled: {"NIC_RX_DISABLED", false, "reception or queue switched off"},
	NICRxDMA:      {"NIC_RX_DMA", false, "descriptor or buffer outside host memory"},
	NICTxDMA:      {"NIC_TX_DMA", false, "descriptor or buffer outside host memory while sending"},
	NICTxBad:      {"NIC_TX_BAD", false, "malformed transmit descriptor"},
	NICTxDisabled: {"NIC_TX_DISABLED", false, "transmit ring switched off with frames on it"},

	NICRxVLAN:      {"NIC_RX_VLAN", false, "VLAN that no VLAN filter passes"},
	NICIOMMUFault:  {"NIC_IOMMU_FAULT", false, "access to memory that the IOMMU refused"},
	NICTxSpoofMAC:  {"NIC_TX_SPOOF_MAC", false, "source address that is not the virtual function's"},
	NICTxSpoofVLAN: {"NIC_TX_SPOOF_VLAN", false, "VLAN that is not the virtual function's"},
	NICVFReset:     {"NIC_VF_RESET", false, "in the memory of a virtual function that was reset"},

	NotSpecified:          {"NOT_SPECIFIED", true, "no reason given"},
	PktTooSmall:           {"PKT_TOO_SMALL", true, "shorter than its headers"},
	PktTooBig:             {"PKT_TOO_BIG", true, "longer than the MTU of its way"},
	NoMem:                 {"NOMEM", true, "no memory for a buffer"},
	FullRing:              {"FULL_RING", true, "the tap's ring was full"},
	DevReady:              {"DEV_READY", true, "device not ready: nobody has it open"},
	DevHdr:                {"DEV_HDR", true, "virtio_net_hdr in front of it is wrong"},
	HdrTrunc:              {"HDR_TRUNC", true, "header could not be pulled"},
	SKBUcopyFault:         {"SKB_UCOPY_FAULT", true, "copy across the guest's border faulted"},
	TapFilter:             {"TAP_FILTER", true, "filter on the tap"},
	CPUBacklog:            {"CPU_BACKLOG", true, "per-CPU backlog full"},
	QdiscDrop:             {"QDISC_DROP", true, "queue before the device full"},
	NoTxTarget:            {"NO_TX_TARGET", true, "no port to send it to"},
	MACInvalidSource:      {"MAC_INVALID_SOURCE", true, "source address is zero or a group"},
	LocalMAC:              {"LOCAL_MAC", true, "source address is the host's own"},
	BridgeIngressSTPState: {"BRIDGE_INGRESS_STP_STATE", true, "spanning tree has the port not forwarding"},
	MACIEEEMACControl:     {"MAC_IEEE_MAC_CONTROL", true, "MAC control frame (pause)"},
	OtherHost:             {"OTHERHOST", true, "not addressed to this host"},
	UnhandledProto:        {"UNHANDLED_PROTO", true, "no handler for its protocol"},
	IPInHdr:               {"IP_INHDR", true, "malformed IP header"},
	IPCsum:                {"IP_CSUM", true, "checksum of the IP header is wrong"},
	TCPCsum:               {"TCP_CSUM", true, "TCP checksum is wrong"},
	UDPCsum:               {"UDP_CSUM", true, "UDP checksum is wrong"},
	NoSocket:              {"NO_SOCKET", true, "no socket for it"},
	NeighFailed:           {"NEIGH_FAILED", true, "next hop does not answer"},
	IPInvalidSource:       {"IP_INVALID_SOURCE", true, "the sender's address is no host's"},
	IPOutNoRoutes:         {"IP_OUTNOROUTES", true, "no route to where it is to go"},
	SKBGSOSeg:             {"SKB_GSO_SEG", true, "segmentation failed"},
	SKBCsum:               {"SKB_CSUM", true, "half-done checksum could not be completed"},
	VXLANInvalidHdr:       {"VXLAN_INVALID_HDR", true, "VXLAN header is malformed or has unknown flags"},
	VXLANVNINotFound:      {"VXLAN_VNI_NOT_FOUND", true, "no VTEP has that VNI"},
	VXLANEntryExists:      {"VXLAN_ENTRY_EXISTS", true, "the inner source is a static entry behind another VTEP"},
	VXLANNoRemote:         {"VXLAN_NO_REMOTE", true, "no remote VTEP to send it to"},
	IPTunnelECN:           {"IP_TUNNEL_ECN", true, "outer congestion mark on an inner packet that has none"},
	TunnelTxInfo:          {"TUNNEL_TXINFO", true, "packet without the metadata the tunnel needs"},
	XDPDropped:            {"XDP", true, "an XDP program dropped it"},

	RSSamePort:    {"RS_SAME_PORT", false, "destination is on the port it came from"},
	RSLinkLocal:   {"RS_LINK_LOCAL", false, "reserved group address, not forwarded"},
	RSRxError:     {"RS_RX_ERROR", false, "marked bad by the device, freed by the driver"},
	RSHostRefused: {"RS_HOST_REFUSED", false, "the host's own stack did not want it"},
	RSTxBusy:      {"RS_TX_BUSY", false, "transmit ring and queue full"},
	RSClosed:      {"RS_CLOSED", false, "its reader closed the descriptor"},

	RSVLANFiltered: {"RS_VLAN_FILTERED", false, "its VLAN is not allowed on the port"},
	RSPortLocked:   {"RS_PORT_LOCKED", false, "locked port, and its source is not known there"},
	RSPortState:    {"RS_PORT_STATE", false, "the port it is for does not forward"},
	RSIsolated:     {"RS_ISOLATED", false, "from an isolated port to an isolated port"},
	RSBPDU:         {"RS_BPDU", false, "a BPDU, taken by the spanning tree"},
	RSMcastBad:     {"RS_MCAST_BAD", false, "broken IGMP or MLD message"},
	RSMcastFull:    {"RS_MCAST_FULL", false, "no room for a membership report"},
	RSVringBad:     {"RS_VRING_BAD", false, "the guest's virtqueue breaks the format"},
	RSXDPAborted:   {"RS_XDP_ABORTED", false, "an XDP program failed on it"},
	RSXDPNoTarget:  {"RS_XDP_NO_TARGET", false, "redirected to nothing that takes it"},
	RSXSKNoFill:    {"RS_XSK_NO_FILL", false, "the AF_XDP socket's fill ring was empty"},
	RSXSKRxFull:    {"RS_XSK_RX_FULL", false, "the AF_XDP socket's receive ring was full"},
	RSXSKClosed:    {"RS_XSK_CLOSED", false, "the AF_XDP socket it was with was closed"},
}

// String is the reason's name, as Linux has it where Linux has it.
func (r DropReason) String() string {
	if r >= NumReasons {
		return "REASON?"
	}
	return reasons[r].name
}

// Linux says that the name is one of Linux's enum skb_drop_reason.
func (r DropReason) Linux() bool { return reasons[r].linux }

// Says explains the reason in a few words.
func (r DropReason) Says() string { return reasons[r].says }

// Drops counts dropped frames by place and reason. The zero value has none.
type Drops [NumStages][NumReasons]uint64

// Add counts n frames that died at stage s for reason r.
func (d *Drops) Add(s Stage, r DropReason, n uint64) { d[s][r] += n }

// Total is the number of all dropped frames.
func (d *Drops) Total() uint64 {
	var n uint64
	for s := range d {
		for r := range d[s] {
			n += d[s][r]
		}
	}
	return n
}

// ByReason adds up the places.
func (d *Drops) ByReason() [NumReasons]uint64 {
	var sum [NumReasons]uint64
	for s := range d {
		for r, n := range d[s] {
			sum[r] += n
		}
	}
	return sum
}
