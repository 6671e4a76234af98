package cost

// A Step is a function of the real path: what the bill charges and what a
// frame's journey lists. The work of a step is a fixed set of operations, given
// in the table below and nowhere else, so the bill by operation and the journey
// by function are two readings of the same counts.
type Step uint8

// The steps, in the order in which a frame from the wire meets them; behind
// them those of the way back.
const (
	// The device.

	DevDescFetch Step = iota
	DevRxDMA
	DevTLP
	DevRxWriteback
	DevMSIX
	DevTxDMA
	DevTxWriteback

	// Hard interrupt.

	IgbMsixRing
	IgbWriteItr

	// Softirq and driver.

	NetRxAction
	IgbPoll
	IgbCleanTxIrq
	IgbCleanRxIrq
	IgbGetRxBuffer
	IgbBuildSkb
	IgbAddRxFrag
	IgbPutRxBuffer
	IgbAllocMappedPage
	IgbCleanupHeaders
	IgbProcessSkbFields
	IgbAllocRxBuffers
	NapiGroReceive
	SkbGroReceive
	NapiGroComplete
	NapiCompleteDone
	IgbRingIrqEnable
	IgbTso
	IgbTxCsum
	IgbXmitFrame
	IgbTxDoorbell
	IgbWatchdogTask
	VlanPushInside
	ProcessBacklog
	FarSkb
	NapiWatchdog
	BusyLoop
	WakeNAPIThread

	// The core.

	SkbSegment
	SkbChecksumHelp
	PskbExpandHead
	SkbGroChecksum
	NetifReceiveSkbCore
	DevQueueXmit
	TcfMirredAct
	VethXmit
	NetifRx
	GetRpsCpu
	EnqueueToBacklog
	RpsSendIPI
	RpsTriggerSoftirq
	IPRcv
	IPForward
	IPOutput

	// The bridge.

	BrHandleFrame
	BrStpRcv
	BrAllowedIngress
	BrHandleFrameFinish
	BrFdbUpdate
	BrFdbCreate
	BrFdbFindSrc
	BrMulticastRcv
	BrDoSuppress
	BrMdbEntryGet
	BrFdbFind
	BackupPort
	BrHandleVlan
	BrForward
	BrFlood
	BrMulticastFlood
	DeliverClone
	MaybeDeliverAddr
	BrPassFrameUp
	BrFdbCleanup
	BrTimer
	BrSendBpdu
	BrSendQuery
	BrArpSend
	BrNdSend

	// The overlay.

	VxlanRcv
	VxlanSnoop
	VxlanSnoopNew
	VxlanXmit
	VxlanFdbFind
	VxlanClone
	SkbTunnelCheckPmtu
	UDPTunnelXmit
	GroCellsReceive
	GroCellPoll
	VxlanCleanup

	// The tap.

	TunNetXmit
	TunRingRecv
	ConsumeSkb
	HostConsumeSkb
	KfreeSkb
	TunGetUser
	TunBuildSkb

	// Scheduler.

	SockDefReadable
	Schedule

	// The border.

	SysEnter
	TunChrReadIter
	TunPutUser
	TunChrWriteIter
	CopyIn
	SysPoll
	SysExit

	// A user-space process that polls: its driver, its switch, its vhost-user ports.

	RteEthRxIdle
	RteEthRxBurst
	EthIgbRecvPkts
	RteMbufRawAlloc
	EthIgbRxDoorbell
	DpNetdevInput
	VlibMain
	PktBurstForward
	SwitchLookup
	SwitchInsert
	RteMbufRefcnt
	RteEthTxBurst
	EthIgbXmitPkts
	EthIgbTxDoorbell
	RteVhostDequeue
	RteVhostDequeueCopy
	RteVhostEnqueue
	RteVhostMore
	RteVhostEnqueueCopy
	RteVhostVringCall
	RtePktmbufFree

	// The back end of a virtio device.

	// A VMM's thread, which serves its guest's rings by system calls.

	TunDoRead
	EventfdRead
	EventfdWrite
	VmmEventLoop
	VmmGetDesc
	VmmAddUsed

	VhostWorker
	VhostBufConsume
	VhostGetDesc
	TunRecvmsg
	VhostCopyOut
	TunSendmsg
	VhostCopyIn
	VhostAddUsed
	VhostSignal

	// In and out of the guest.

	IrqfdInject
	KvmWakeUp
	KvmEntry
	KvmEOI
	KvmHalt
	KvmInterrupted
	KvmTimer
	KvmNotify

	// The guest's kernel.

	VringInterrupt
	GuestTimer
	VirtnetPoll
	VirtnetReceiveBuf
	VirtnetAddFrag
	VirtnetRefill
	VirtnetCompleteDone
	GuestIPRcv
	GuestTransportRcv
	GuestPacketRcv
	GuestWakeUp
	GuestSchedule
	GuestSysEnter
	GuestCopyOut
	GuestCopyIn
	GuestSysExit
	GuestPacketSnd
	GuestTransportXmit
	GuestIPOutput
	GuestChecksum
	VirtnetXmit
	VirtnetFreeOld

	// The guest.

	GuestRun

	// Topology and scheduling.

	MigrateTask
	ColdLines
	ColdLinesFar
	SmtShare
	NumaFirstTouch
	NumaBacklog
	NumaRing
	NumaCopyUser
	NumaVhostRing
	NumaVhostCopy
	NumaGuestCopy
	SetRpsCpu
	SockRpsRecordFlow

	// Translation of addresses.

	StlbHit
	PageWalk
	EptWalk
	DevIotlbWalk
	DmaMapPage
	DmaUnmapSync

	// Virtual functions.

	IgbMsixOther
	IgbMsgTask
	IgbRcvMsgFromVf
	VfioMsihandler
	PiWakeupHandler
	VtdPostedIntr
	IgbvfMsixRing
	IgbvfMsixOther
	IgbvfPoll
	IgbvfCleanRxIrq
	IgbvfPutRxBuffer
	IgbvfAllocRxBuffers
	IgbvfCompleteDone
	IgbvfCleanTxIrq
	IgbvfXmitFrame
	IgbvfTxDoorbell
	IgbvfMailbox

	// XDP, at the driver or behind it.

	IgbCleanRxXdp
	IgbRunXdp
	XdpTouch
	DoXdpGeneric
	SkbLinearize
	FdbHelper
	FdbHelperSrc
	XdpMapLookup
	XdpDoRedirect
	IgbXdpXmit
	IgbXmitXdpRing
	IgbXdpTx
	IgbCleanTxXdp
	TunXdpXmit
	TunXdpProduce
	XdpReturnFrame
	XdpReturnBuff

	// AF_XDP, the kernel's side and that of the process.

	XskRcv
	XskBuffAlloc
	XskRcvZC
	XskFlush
	XskSendmsg
	XskGenericXmit
	XskTxPeekDesc
	XskTxCompleted
	IgbXskWakeup
	IgbConstructSkbZC
	XskPoll
	XskRingFill
	XskRingRx
	XskRingTx
	XskRingComp
	NumSteps
)

// A Use is one kind of operation within a step and how often it is done.
type Use struct {
	Op Op
	N  uint16
}

type stepInfo struct {
	name  string
	stage Stage
	uses  []Use
	does  string
}

var steps = [NumSteps]stepInfo{
	DevDescFetch:   {"nic: descriptor fetch", NIC, []Use{{DescFetch, 1}, {TLP, 1}}, "reads the descriptor at the ring's head"},
	DevRxDMA:       {"nic: DMA write", NIC, []Use{{DMAWrite, 1}}, "writes the frame into the receive buffer"},
	DevTLP:         {"nic: PCIe transactions", NIC, []Use{{TLP, 1}}, "one header for every 256 bytes"},
	DevRxWriteback: {"nic: descriptor write-back", NIC, []Use{{DescWriteback, 1}, {TLP, 1}}, "sets DD and EOP, length, RSS hash; latches the cause in EICR"},
	DevMSIX:        {"nic: MSI-X message", NIC, []Use{{MSIX, 1}, {TLP, 1}}, "EITR has expired: the interrupt goes out, EIAM masks its vector"},
	DevTxDMA:       {"nic: DMA read", NIC, []Use{{DMARead, 1}}, "reads the frame from its buffer"},
	DevTxWriteback: {"nic: descriptor write-back", NIC, []Use{{DescWriteback, 1}, {TLP, 1}}, "sets DD on a sent descriptor"},

	IgbMsixRing: {"igb_msix_ring", IRQ, []Use{{HardIRQ, 1}}, "hard interrupt: napi_schedule, nothing else"},
	IgbWriteItr: {"igb_write_itr", IRQ, []Use{{MMIOWrite, 1}}, "new interval into EITR"},

	NetRxAction:         {"net_rx_action", NAPI, []Use{{Call, 1}}, "softirq: takes the poll list"},
	IgbPoll:             {"igb_poll", NAPI, []Use{{NAPIPoll, 1}, {IndirectCall, 1}}, "one poll, at most 64 frames"},
	IgbCleanTxIrq:       {"igb_clean_tx_irq", NAPI, []Use{{KfreeSKB, 1}}, "frees a frame that was sent"},
	IgbCleanRxIrq:       {"igb_clean_rx_irq", NAPI, []Use{{RxDesc, 1}}, "a descriptor has DD: dma_rmb, length"},
	IgbGetRxBuffer:      {"igb_get_rx_buffer", NAPI, []Use{{FirstTouch, 1}}, "dma_sync for the CPU, first touch of the headers"},
	IgbBuildSkb:         {"igb_build_skb", NAPI, []Use{{BuildSKB, 1}}, "sk_buff around the buffer, no copy"},
	IgbAddRxFrag:        {"igb_add_rx_frag", NAPI, []Use{{RxFrag, 1}}, "a further buffer of the same frame"},
	IgbPutRxBuffer:      {"igb_put_rx_buffer", NAPI, []Use{{PageRecycle, 1}}, "page goes back on the ring, other half up"},
	IgbAllocMappedPage:  {"igb_alloc_mapped_page", NAPI, []Use{{PageAlloc, 1}}, "new page: both halves of the old one are in use"},
	IgbCleanupHeaders:   {"igb_cleanup_headers", NAPI, []Use{{Call, 1}}, "frame had receive errors: freed"},
	IgbProcessSkbFields: {"igb_process_skb_fields", NAPI, []Use{{Call, 4}}, "RSS hash, checksum state, queue, eth_type_trans"},
	IgbAllocRxBuffers:   {"igb_alloc_rx_buffers", NAPI, []Use{{MMIOWrite, 1}}, "refill, then the doorbell: RDT"},
	NapiGroReceive:      {"napi_gro_receive", NAPI, []Use{{GROReceive, 1}}, "no merge here; on to the receive core"},
	SkbGroReceive:       {"skb_gro_receive", NAPI, []Use{{RxFrag, 1}, {Call, 4}}, "joins a held packet of its flow"},
	NapiGroComplete:     {"napi_gro_complete", NAPI, []Use{{Call, 4}}, "a held packet goes up, its headers put right"},
	NapiCompleteDone:    {"napi_complete_done", NAPI, []Use{{Call, 1}}, "ring is empty: leave the poll list"},
	IgbRingIrqEnable:    {"igb_ring_irq_enable", NAPI, []Use{{MMIOWrite, 1}}, "unmask: EIMS"},
	IgbTso:              {"igb_tso", NAPI, []Use{{TxDesc, 1}, {Call, 2}}, "context descriptor: the device is to cut segments"},
	IgbTxCsum:           {"igb_tx_csum", NAPI, []Use{{TxDesc, 1}, {Call, 2}}, "context descriptor: the device is to sum"},
	IgbXmitFrame:        {"igb_xmit_frame", NAPI, []Use{{TxDesc, 1}, {Call, 1}}, "fills a transmit descriptor"},
	IgbTxDoorbell:       {"igb_tx_map", NAPI, []Use{{MMIOWrite, 1}}, "the doorbell: TDT"},
	IgbWatchdogTask:     {"igb_watchdog_task", NAPI, []Use{{MMIOWrite, 1}}, "sets a cause in EICS: a ring without buffers is polled again"},

	VlanPushInside: {"__vlan_hwaccel_push_inside", NAPI, []Use{{PageAlloc, 1}, {Call, 2}}, "the tag goes into a head of the frame's own, since the device does not insert it"},
	FarSkb:         {"process_backlog: sk_buff of another CPU", NAPI, []Use{{RemoteLine, 2}}, "sk_buff and headers are dirty in that CPU's cache"},
	NapiWatchdog:   {"napi_watchdog", IRQ, []Use{{HardIRQ, 1}}, "the timer of gro_flush_timeout: napi_schedule while interrupts are deferred"},
	BusyLoop:       {"napi_busy_loop", NAPI, []Use{{Call, 8}}, "a reader looks again: another polls the queue"},
	WakeNAPIThread: {"____napi_schedule", Sched, []Use{{Wakeup, 1}, {Call, 1}}, "wakes the thread that polls in place of softirq"},
	ProcessBacklog: {"process_backlog", NAPI, []Use{{Call, 2}}, "a frame from the CPU's own backlog"},

	SkbSegment:          {"skb_segment", Stack, []Use{{BuildSKB, 1}, {PageAlloc, 1}, {Call, 6}}, "software segmentation: one segment, headers copied"},
	SkbChecksumHelp:     {"skb_checksum_help", Stack, []Use{{Checksum, 1}}, "a checksum that was left half done is completed"},
	PskbExpandHead:      {"pskb_expand_head", Stack, []Use{{PageAlloc, 1}, {Call, 4}}, "others share the head of the frame: one of its own"},
	SkbGroChecksum:      {"__skb_gro_checksum_complete", NAPI, []Use{{Checksum, 1}}, "the device has not verified the checksum: summed before it may be merged"},
	NetifReceiveSkbCore: {"__netif_receive_skb_core", Stack, []Use{{Call, 1}, {IndirectCall, 1}}, "the port has an rx_handler: the bridge"},
	DevQueueXmit:        {"dev_queue_xmit", Stack, []Use{{Call, 2}, {IndirectCall, 1}}, "no queue: dev_hard_start_xmit, ndo_start_xmit"},
	TcfMirredAct:        {"tcf_mirred_act", Stack, []Use{{SKBClone, 1}, {Call, 4}, {IndirectCall, 2}}, "a clone for the interface that mirrors this one"},
	VethXmit:            {"veth_xmit", Stack, []Use{{Call, 4}}, "over the patch: skb_scrub_packet, eth_type_trans"},
	GetRpsCpu:           {"get_rps_cpu", Stack, []Use{{Call, 4}}, "the CPU for the frame's flow; hashes it"},
	EnqueueToBacklog:    {"enqueue_to_backlog", Stack, []Use{{Lock, 1}, {RemoteLine, 1}, {Call, 1}}, "onto that CPU's backlog, whose line comes from there"},
	RpsSendIPI:          {"net_rps_send_ipi", Stack, []Use{{MMIOWrite, 1}}, "interrupt to a CPU that has got frames"},
	RpsTriggerSoftirq:   {"rps_trigger_softirq", IRQ, []Use{{HardIRQ, 1}}, "interrupt from another CPU: raises softirq"},
	NetifRx:             {"netif_rx", Stack, []Use{{Lock, 1}, {Call, 2}}, "enqueue_to_backlog of this CPU"},
	IPRcv:               {"ip_rcv", Stack, []Use{{LocalRx, 1}}, "the host's own stack takes the packet"},
	IPForward:           {"ip_forward", Stack, []Use{{Call, 6}}, "route found, time to live counted down"},
	IPOutput:            {"ip_output", Stack, []Use{{LocalTx, 1}}, "the host's own stack sends a packet"},

	BrHandleFrame:       {"br_handle_frame", Bridge, []Use{{Call, 2}}, "source and group address checked, PRE_ROUTING hook"},
	BrStpRcv:            {"br_stp_rcv", Bridge, []Use{{Lock, 1}, {Call, 4}}, "a BPDU: roles and states are decided anew"},
	BrAllowedIngress:    {"br_allowed_ingress", Bridge, []Use{{VLANLookup, 1}, {Call, 1}}, "which VLAN, and is the port in it?"},
	BrHandleFrameFinish: {"br_handle_frame_finish", Bridge, []Use{{Call, 1}}, "port state, then learn and decide"},
	BrFdbUpdate:         {"br_fdb_update", Bridge, []Use{{FDBLearn, 1}}, "source is known: refresh it"},
	BrFdbCreate:         {"br_fdb_update", Bridge, []Use{{FDBInsert, 1}}, "source is new or has moved: write the entry"},
	BrFdbFindSrc:        {"br_fdb_find_rcu", Bridge, []Use{{FDBLookup, 1}}, "is the source known on a locked port?"},
	BrMulticastRcv:      {"br_multicast_rcv", Bridge, []Use{{FDBLookup, 1}, {Lock, 1}, {Call, 6}}, "a report, query or leave: the group and its timers are written"},
	BrDoSuppress:        {"br_do_proxy_suppress_arp", Bridge, []Use{{FDBLookup, 2}, {Call, 3}}, "ARP or neighbour discovery: the neighbour and its port looked up"},
	BrMdbEntryGet:       {"br_mdb_entry_skb_get", Bridge, []Use{{FDBLookup, 1}, {Call, 1}}, "who wants this group?"},
	BrFdbFind:           {"br_fdb_find_rcu", Bridge, []Use{{FDBLookup, 1}}, "where is the destination?"},
	BackupPort:          {"br_forward", Bridge, []Use{{Call, 1}}, "the port has no carrier: to its backup"},
	BrHandleVlan:        {"br_handle_vlan", Bridge, []Use{{VLANLookup, 1}, {Call, 1}}, "is the port in the VLAN, and does the frame leave with a tag?"},
	BrForward:           {"br_forward", Bridge, []Use{{Call, 4}}, "one port: __br_forward, br_forward_finish, br_dev_queue_push_xmit"},
	BrFlood:             {"br_flood", Bridge, []Use{{Call, 1}}, "unknown or group: to every port but its own"},
	BrMulticastFlood:    {"br_multicast_flood", Bridge, []Use{{Call, 2}}, "to the group's ports and those of routers"},
	DeliverClone:        {"deliver_clone", Bridge, []Use{{SKBClone, 1}, {Call, 4}}, "a clone for one more port"},
	MaybeDeliverAddr:    {"maybe_deliver_addr", Bridge, []Use{{SKBClone, 1}, {PageAlloc, 1}, {Call, 4}}, "a copy for one more port, to its station's own address"},
	BrPassFrameUp:       {"br_pass_frame_up", Bridge, []Use{{Call, 3}}, "to the bridge's own interface"},
	BrFdbCleanup:        {"br_fdb_cleanup", Bridge, []Use{{FDBAge, 1}}, "ageing walk"},
	BrTimer:             {"call_timer_fn", Bridge, []Use{{Lock, 1}, {Call, 2}, {IndirectCall, 1}}, "a timer of the spanning tree or of a group"},
	BrSendBpdu:          {"br_send_bpdu", Bridge, []Use{{BuildSKB, 1}, {PageAlloc, 1}, {Call, 3}}, "the bridge sends a BPDU"},
	BrSendQuery:         {"br_multicast_send_query", Bridge, []Use{{BuildSKB, 1}, {PageAlloc, 1}, {Lock, 1}, {Call, 4}}, "the bridge asks who wants a group"},
	BrArpSend:           {"br_arp_send", Bridge, []Use{{BuildSKB, 1}, {PageAlloc, 1}, {Call, 3}}, "the bridge answers for a station"},
	BrNdSend:            {"br_nd_send", Bridge, []Use{{BuildSKB, 1}, {PageAlloc, 1}, {Call, 4}}, "the bridge answers for a station"},

	VxlanRcv:           {"vxlan_rcv", Tunnel, []Use{{TunnelHeader, 1}, {Call, 3}}, "outer headers off, VNI looked up"},
	VxlanSnoop:         {"vxlan_snoop", Tunnel, []Use{{FDBLearn, 1}}, "the inner source is behind this VTEP: refreshed"},
	VxlanSnoopNew:      {"vxlan_snoop", Tunnel, []Use{{FDBInsert, 1}}, "the inner source is new or has moved: write the entry"},
	VxlanXmit:          {"vxlan_xmit", Tunnel, []Use{{TunnelHeader, 1}, {Call, 3}}, "header put in front, source port from the flow"},
	VxlanFdbFind:       {"vxlan_find_mac", Tunnel, []Use{{FDBLookup, 1}}, "behind which VTEP is the destination?"},
	VxlanClone:         {"vxlan_xmit_one", Tunnel, []Use{{SKBClone, 1}, {Call, 2}}, "a clone for one more remote"},
	SkbTunnelCheckPmtu: {"skb_tunnel_check_pmtu", Tunnel, []Use{{Call, 6}}, "too long for the underlay: an ICMP error made of it"},
	UDPTunnelXmit:      {"udp_tunnel_xmit_skb", Tunnel, []Use{{Call, 4}}, "outer UDP header; on to the host's IP"},
	GroCellsReceive:    {"gro_cells_receive", Tunnel, []Use{{Call, 3}}, "the inner frame on the device's queue of this CPU"},
	GroCellPoll:        {"gro_cell_poll", NAPI, []Use{{Call, 2}, {GROReceive, 1}}, "a frame from that queue: napi_gro_receive"},
	VxlanCleanup:       {"vxlan_cleanup", Tunnel, []Use{{FDBAge, 1}}, "ageing walk over the remotes"},

	TunNetXmit:     {"tun_net_xmit", Tap, []Use{{Lock, 1}, {Call, 1}}, "ptr_ring_produce"},
	TunRingRecv:    {"tun_ring_recv", Tap, []Use{{Lock, 1}, {RemoteLine, 1}}, "ptr_ring_consume; the line comes from the other core"},
	ConsumeSkb:     {"consume_skb", Tap, []Use{{KfreeSKB, 1}}, "the frame's buffer is free again"},
	HostConsumeSkb: {"consume_skb", Stack, []Use{{KfreeSKB, 1}}, "the host's stack is done with it"},
	KfreeSkb:       {"kfree_skb_reason", Stack, []Use{{KfreeSKB, 1}}, "dropped"},
	TunGetUser:     {"tun_get_user", Tap, []Use{{Call, 1}}, "a frame from the guest enters the kernel"},
	TunBuildSkb:    {"tun_build_skb", Tap, []Use{{BuildSKB, 1}, {PageAlloc, 1}}, "page and sk_buff for it"},

	SockDefReadable: {"sock_def_readable", Sched, []Use{{Wakeup, 1}, {IndirectCall, 1}}, "wakes the reader on its own CPU"},
	Schedule:        {"schedule", Sched, []Use{{ContextSwitch, 1}}, "context switch"},

	SysEnter:        {"entry_SYSCALL_64", Syscall, []Use{{SyscallEnter, 1}}, "system call"},
	TunChrReadIter:  {"tun_chr_read_iter", Syscall, []Use{{IndirectCall, 1}, {Call, 1}}, "read() reaches the tap"},
	TunPutUser:      {"tun_put_user", Syscall, []Use{{CopyToUser, 1}}, "the copy"},
	TunChrWriteIter: {"tun_chr_write_iter", Syscall, []Use{{IndirectCall, 1}, {Call, 1}}, "write() reaches the tap"},
	CopyIn:          {"copy_from_iter", Syscall, []Use{{CopyFromUser, 1}}, "the copy"},
	SysPoll:         {"tun_chr_poll", Syscall, []Use{{IndirectCall, 1}, {Call, 1}}, "poll() asks for readiness"},
	SysExit:         {"syscall_exit_to_user_mode", Syscall, []Use{{SyscallExit, 1}}, "back in the guest"},

	RteEthRxIdle:        {"rte_eth_rx_burst, nothing there", Pmd, []Use{{PMDIdle, 1}}, "a poll that finds nothing: the core is busy all the same"},
	RteEthRxBurst:       {"rte_eth_rx_burst", Pmd, []Use{{IndirectCall, 1}}, "a poll that finds a burst, at most 32 frames"},
	EthIgbRecvPkts:      {"eth_igb_recv_pkts", Pmd, []Use{{PMDRx, 1}}, "a descriptor has DD: its mbuf is the frame, another takes its place"},
	RteMbufRawAlloc:     {"rte_mbuf_raw_alloc", Pmd, []Use{{Mbuf, 1}}, "an mbuf from the pool and one back, singly: no vector code"},
	EthIgbRxDoorbell:    {"eth_igb_recv_pkts: RDT", Pmd, []Use{{MMIOWrite, 1}}, "enough descriptors were refilled: the doorbell"},
	DpNetdevInput:       {"dp_netdev_input", Pmd, []Use{{FlowCache, 1}}, "as Open vSwitch: key, flow cache, actions"},
	VlibMain:            {"vlib_main_loop", Pmd, []Use{{GraphNodes, 1}}, "as VPP: through the nodes of its graph"},
	PktBurstForward:     {"pkt_burst_io_forward", Pmd, []Use{{PMDForward, 1}}, "from the burst that came to the burst that leaves"},
	SwitchLookup:        {"bridge lookup in user space", Pmd, []Use{{PMDLookup, 1}}, "source refreshed, destination looked up, lines read ahead"},
	SwitchInsert:        {"bridge entry in user space", Pmd, []Use{{FDBInsert, 1}}, "source is new or has moved: write the entry"},
	RteMbufRefcnt:       {"rte_mbuf_refcnt_update", Pmd, []Use{{Call, 1}}, "one holder more: the frame leaves by several ports"},
	RteEthTxBurst:       {"rte_eth_tx_burst", Pmd, []Use{{IndirectCall, 1}}, "a burst is sent"},
	EthIgbXmitPkts:      {"eth_igb_xmit_pkts", Pmd, []Use{{PMDTx, 1}}, "fills a transmit descriptor, frees the mbuf that was there"},
	EthIgbTxDoorbell:    {"eth_igb_xmit_pkts: TDT", Pmd, []Use{{MMIOWrite, 1}}, "the doorbell, one a burst"},
	RteVhostDequeue:     {"rte_vhost_dequeue_burst", Pmd, []Use{{PMDRx, 1}, {VringGet, 1}, {VringPut, 1}}, "next chain of the guest's ring, checked, becomes an mbuf; used entry"},
	RteVhostDequeueCopy: {"rte_vhost_dequeue_burst: copy", Pmd, []Use{{CopyFromUser, 1}}, "the copy out of the guest's buffers"},
	RteVhostEnqueue:     {"rte_vhost_enqueue_burst", Pmd, []Use{{PMDTx, 1}, {VringGet, 1}, {VringPut, 1}}, "a chain of the guest's ring, checked, takes the frame; used entry"},
	RteVhostMore:        {"rte_vhost_enqueue_burst: further chain", Pmd, []Use{{VringGet, 1}, {VringPut, 1}}, "the frame goes on in one more chain of the guest's (mergeable buffers)"},
	RteVhostEnqueueCopy: {"rte_vhost_enqueue_burst: copy", Pmd, []Use{{CopyToUser, 1}}, "the copy into the guest's buffers"},
	RteVhostVringCall:   {"rte_vhost_vring_call", Pmd, []Use{{SyscallEnter, 1}, {Eventfd, 1}, {SyscallExit, 1}}, "the guest wants to be told: write() to its call eventfd"},
	RtePktmbufFree:      {"rte_pktmbuf_free", Pmd, []Use{{Call, 1}}, "dropped"},

	TunDoRead:    {"tun_do_read", Tap, []Use{{Lock, 1}, {RemoteLine, 1}}, "ptr_ring_consume, with a header in front of the frame; the line comes from the other core"},
	EventfdRead:  {"eventfd_read", Syscall, []Use{{IndirectCall, 1}, {Call, 2}}, "the VMM reads how often the guest has kicked"},
	EventfdWrite: {"eventfd_write", Syscall, []Use{{IndirectCall, 1}, {Call, 2}}, "the VMM has the guest called"},
	VmmEventLoop: {"epoll loop of the VMM", VMM, []Use{{IndirectCall, 1}, {Call, 2}}, "the thread finds whose event it is"},
	VmmGetDesc:   {"virtqueue pop", VMM, []Use{{VringGet, 1}}, "next chain of the guest's ring, checked, in user space"},
	VmmAddUsed:   {"virtqueue push", VMM, []Use{{VringPut, 1}}, "used entry: the guest may have its buffers back"},

	VhostWorker:     {"vhost_worker", Vhost, []Use{{Call, 2}, {IndirectCall, 1}}, "the back end's thread takes its work: handle_rx, handle_tx"},
	VhostBufConsume: {"vhost_net_buf_consume", Vhost, []Use{{RemoteLine, 1}, {Call, 1}}, "the next frame of those taken off the tap's ring in batches; the line comes from the other core"},
	VhostGetDesc:    {"vhost_get_vq_desc", Vhost, []Use{{VringGet, 1}}, "next chain of the guest's ring, checked"},
	TunRecvmsg:      {"tun_recvmsg", Vhost, []Use{{Call, 2}}, "the frame at the tap's head, no system call"},
	VhostCopyOut:    {"copy_to_iter", Vhost, []Use{{CopyToUser, 1}}, "the copy into the guest's buffers"},
	TunSendmsg:      {"tun_sendmsg", Vhost, []Use{{Call, 2}}, "the frame goes to the tap, no system call"},
	VhostCopyIn:     {"copy_from_iter", Vhost, []Use{{CopyFromUser, 1}}, "the copy out of the guest's buffers"},
	VhostAddUsed:    {"vhost_add_used", Vhost, []Use{{VringPut, 1}}, "used entry: the guest may have its buffers back"},
	VhostSignal:     {"vhost_signal", Vhost, []Use{{Eventfd, 1}}, "the guest wants to be told: call eventfd"},

	IrqfdInject:    {"irqfd_wakeup", KVM, []Use{{IRQInject, 1}}, "MSI-X message of the virtual device put into the guest"},
	KvmWakeUp:      {"kvm_vcpu_wake_up", KVM, []Use{{Wakeup, 1}}, "the vCPU's thread slept: made runnable"},
	KvmEntry:       {"vmx_vcpu_run", KVM, []Use{{Call, 4}}, "a vCPU thread that slept enters its guest"},
	KvmEOI:         {"kvm_apic_set_eoi", KVM, []Use{{VirqEOI, 1}}, "the guest has handled its interrupt"},
	KvmHalt:        {"kvm_vcpu_halt", KVM, []Use{{VMExit, 1}}, "the guest has nothing to do: exit, the thread sleeps"},
	KvmInterrupted: {"handle_external_interrupt", KVM, []Use{{VMExit, 1}}, "the host wants the CPU for an interrupt or another thread: exit"},
	KvmTimer:       {"kvm_set_lapic_tscdeadline_msr", KVM, []Use{{VMExit, 1}}, "the guest sets its timer: exit"},
	KvmNotify:      {"ioeventfd_write", KVM, []Use{{VMExit, 1}, {Eventfd, 1}}, "the guest's doorbell: exit, kick eventfd"},

	VringInterrupt:      {"vring_interrupt", Guest, []Use{{GuestIRQ, 1}}, "interrupt of the virtual device: napi_schedule"},
	GuestTimer:          {"hrtimer_interrupt", Guest, []Use{{GuestIRQ, 1}}, "a timer of the guest's kernel"},
	VirtnetPoll:         {"virtnet_poll", Guest, []Use{{NAPIPoll, 1}, {IndirectCall, 1}}, "the second poll, in the guest"},
	VirtnetReceiveBuf:   {"receive_buf", Guest, []Use{{RxDesc, 1}, {BuildSKB, 1}, {GROReceive, 1}}, "a used buffer becomes a packet"},
	VirtnetAddFrag:      {"virtnet_skb_append_frag", Guest, []Use{{RxFrag, 1}}, "a further buffer of the same packet"},
	VirtnetRefill:       {"try_fill_recv", Guest, []Use{{PageAlloc, 1}}, "an empty buffer for the ring"},
	VirtnetCompleteDone: {"virtqueue_napi_complete", Guest, []Use{{Call, 2}}, "ring is empty: interrupts wanted again"},
	GuestIPRcv:          {"ip_rcv", Guest, []Use{{LocalRx, 1}}, "the guest's own stack takes the packet"},
	GuestTransportRcv:   {"tcp_v4_rcv", Guest, []Use{{TransportRx, 1}}, "segment or datagram to its socket"},
	GuestPacketRcv:      {"packet_rcv", Guest, []Use{{SKBClone, 1}, {Lock, 1}, {Call, 4}}, "a raw socket of the guest takes the frame"},
	GuestWakeUp:         {"sock_def_readable", Guest, []Use{{Lock, 1}, {Call, 4}, {IndirectCall, 1}}, "a process of the guest can go on"},
	GuestSchedule:       {"schedule", Guest, []Use{{ContextSwitch, 1}}, "context switch in the guest"},
	GuestSysEnter:       {"entry_SYSCALL_64", Guest, []Use{{SyscallEnter, 1}}, "system call of a guest's process"},
	GuestCopyOut:        {"skb_copy_datagram_iter", Guest, []Use{{CopyToUser, 1}}, "the copy to the process"},
	GuestCopyIn:         {"skb_copy_to_page", Guest, []Use{{CopyFromUser, 1}}, "the copy from the process"},
	GuestSysExit:        {"syscall_exit_to_user_mode", Guest, []Use{{SyscallExit, 1}}, "back in the process"},
	GuestPacketSnd:      {"packet_sendmsg", Guest, []Use{{BuildSKB, 1}, {PageAlloc, 1}, {Call, 4}}, "a frame leaves a raw socket of the guest"},
	GuestTransportXmit:  {"tcp_transmit_skb", Guest, []Use{{TransportTx, 1}}, "segment or datagram leaves its socket"},
	GuestIPOutput:       {"ip_output", Guest, []Use{{LocalTx, 1}}, "the guest's own stack sends a packet"},
	GuestChecksum:       {"skb_checksum_help", Guest, []Use{{Checksum, 1}}, "the guest sums, since its device does not"},
	VirtnetXmit:         {"start_xmit", Guest, []Use{{TxDesc, 1}, {Call, 2}}, "descriptors for a packet, header in front"},
	VirtnetFreeOld:      {"free_old_xmit", Guest, []Use{{KfreeSKB, 1}}, "a packet that was sent is freed"},

	GuestRun: {"guest", VM, []Use{{GuestWork, 1}}, "the guest has its frame"},

	MigrateTask:       {"set_task_cpu", Sched, []Use{{Lock, 2}, {RemoteLine, 2}, {Call, 6}}, "from one run queue to another: both locks, the task and the other queue"},
	ColdLines:         {"cold cache", Sched, []Use{{ColdLine, 1}}, "a line that a moved task left with another core"},
	ColdLinesFar:      {"cold cache: other node", Sched, []Use{{RemoteLine, 1}, {NUMALine, 1}}, "a line that a moved task left on another node"},
	SmtShare:          {"busy sibling", Sched, []Use{{SMTShare, 1}}, "a cycle of work while the core's other thread is busy"},
	NumaFirstTouch:    {"igb_get_rx_buffer: other node", NAPI, []Use{{NUMALine, 1}}, "the NIC has put the headers into its own node's cache"},
	NumaBacklog:       {"process_backlog: other node", NAPI, []Use{{NUMALine, 1}}, "a line that is dirty in a cache of another node"},
	NumaRing:          {"tun_ring_recv: other node", Tap, []Use{{NUMALine, 1}}, "the ring's line is dirty in a cache of another node"},
	NumaCopyUser:      {"copy: other node", Syscall, []Use{{NUMACopy, 1}}, "bytes that are copied from or to another node"},
	NumaVhostRing:     {"vhost_net_buf_consume: other node", Vhost, []Use{{NUMALine, 1}}, "the ring's line is dirty in a cache of another node"},
	NumaVhostCopy:     {"copy: other node", Vhost, []Use{{NUMACopy, 1}}, "bytes that are copied from or to another node"},
	NumaGuestCopy:     {"copy: other node", Guest, []Use{{NUMACopy, 1}}, "bytes that are copied in a guest whose memory is on another node"},
	SockRpsRecordFlow: {"sock_rps_record_flow", Tap, []Use{{Call, 1}}, "the flow was read on this CPU"},
	SetRpsCpu:         {"set_rps_cpu", Stack, []Use{{Call, 2}}, "a flow follows its reader to another CPU"},

	StlbHit:      {"dTLB miss, STLB hit", TLB, []Use{{STLBHit, 1}}, "the page is known to the second level only"},
	PageWalk:     {"page walk", TLB, []Use{{PageWalkStep, 1}}, "an entry of a page table, for a page that no TLB knows"},
	EptWalk:      {"page walk: guest", TLB, []Use{{PageWalkStep, 1}}, "an entry of the guest's tables or of those below them (EPT)"},
	DevIotlbWalk: {"IOMMU page walk", NIC, []Use{{IOTLBWalk, 1}}, "an entry of the domain's table, for a page that the IOTLB does not know"},
	DmaMapPage:   {"iommu_dma_map_page", NAPI, []Use{{DMAMap, 1}}, "a buffer mapped for the device, and unmapped again"},
	DmaUnmapSync: {"iommu_iotlb_sync", NAPI, []Use{{IOTLBFlush, 1}}, "unmapped: the IOTLB has forgotten it when the call returns"},

	IgbMsixOther:        {"igb_msix_other", IRQ, []Use{{HardIRQ, 1}, {MMIORead, 1}, {MMIOWrite, 1}}, "other causes: ICR is read, a mailbox perhaps"},
	IgbMsgTask:          {"igb_msg_task", IRQ, []Use{{MMIORead, 2}, {Call, 4}}, "which VFs were reset, and which have written"},
	IgbRcvMsgFromVf:     {"igb_rcv_msg_from_vf", IRQ, []Use{{MMIORead, 4}, {MMIOWrite, 6}, {Call, 4}}, "a message of a VF read, done or refused, and answered"},
	VfioMsihandler:      {"vfio_msihandler", IRQ, []Use{{HardIRQ, 1}, {Eventfd, 1}}, "the host takes the VF's interrupt: its eventfd"},
	PiWakeupHandler:     {"pi_wakeup_handler", IRQ, []Use{{HardIRQ, 1}, {Lock, 1}}, "a posted interrupt for a vCPU that is halted: woken"},
	VtdPostedIntr:       {"posted interrupt", KVM, []Use{{PostedIRQ, 1}}, "the VF's interrupt is in the guest, which has not been left"},
	IgbvfMsixRing:       {"igbvf_intr_msix_rx", Guest, []Use{{GuestIRQ, 1}}, "interrupt of the virtual function: napi_schedule"},
	IgbvfMsixOther:      {"igbvf_msix_other", Guest, []Use{{GuestIRQ, 1}, {MMIORead, 1}, {MMIOWrite, 1}}, "the mailbox has something"},
	IgbvfPoll:           {"igbvf_poll", Guest, []Use{{NAPIPoll, 1}, {IndirectCall, 1}}, "the one poll, in the guest"},
	IgbvfCleanRxIrq:     {"igbvf_clean_rx_irq", Guest, []Use{{RxDesc, 1}, {FirstTouch, 1}, {BuildSKB, 1}, {GROReceive, 1}}, "a descriptor has DD: a packet around its buffer, no copy"},
	IgbvfPutRxBuffer:    {"igbvf_put_rx_buffer", Guest, []Use{{PageRecycle, 1}}, "buffer goes back on the ring"},
	IgbvfAllocRxBuffers: {"igbvf_alloc_rx_buffers", Guest, []Use{{MMIOWrite, 1}}, "refill, then the doorbell: RDT"},
	IgbvfCompleteDone:   {"napi_complete_done", Guest, []Use{{Call, 1}, {MMIOWrite, 1}}, "ring is empty: unmask, VTEIMS"},
	IgbvfCleanTxIrq:     {"igbvf_clean_tx_irq", Guest, []Use{{KfreeSKB, 1}}, "frees a frame that was sent"},
	IgbvfXmitFrame:      {"igbvf_xmit_frame", Guest, []Use{{TxDesc, 1}, {Call, 1}}, "fills a transmit descriptor"},
	IgbvfTxDoorbell:     {"igbvf_tx_queue_adv", Guest, []Use{{MMIOWrite, 1}}, "the doorbell: TDT"},
	IgbvfMailbox:        {"e1000_write_mbx_vf", Guest, []Use{{MMIORead, 2}, {MMIOWrite, 4}}, "a message to the PF"},

	IgbCleanRxXdp:  {"igb_clean_rx_irq", NAPI, []Use{{XDPDesc, 1}}, "a descriptor has DD: xdp_prepare_buff; the frame stays a raw buffer"},
	IgbRunXdp:      {"igb_run_xdp", XDP, []Use{{XDPRun, 1}, {IndirectCall, 1}, {XDPMap, 1}}, "the program runs and counts its verdict"},
	XdpTouch:       {"xdp program: data", XDP, []Use{{FirstTouch, 1}}, "the program reads the frame: first touch"},
	DoXdpGeneric:   {"do_xdp_generic", XDP, []Use{{XDPRun, 1}, {IndirectCall, 1}, {XDPMap, 1}, {Call, 3}}, "the program runs on the sk_buff and counts its verdict"},
	SkbLinearize:   {"skb_linearize", XDP, []Use{{CopyToUser, 1}, {PageAlloc, 1}, {Call, 2}}, "a frame of several buffers is put in one for the program"},
	FdbHelper:      {"bpf_fdb_lookup", XDP, []Use{{FDBLookup, 1}, {Call, 1}}, "the program asks the bridge's table for the destination"},
	FdbHelperSrc:   {"bpf_fdb_lookup", XDP, []Use{{FDBLearn, 1}}, "and for the source, which must be known where it is: refreshed"},
	XdpMapLookup:   {"bpf_redirect_map", XDP, []Use{{XDPMap, 1}, {Call, 1}}, "the program looks into a map of devices or sockets"},
	XdpDoRedirect:  {"xdp_do_redirect", XDP, []Use{{Call, 5}}, "xdp_frame made in the headroom, onto the bulk queue of its target"},
	IgbXdpXmit:     {"igb_xdp_xmit", XDP, []Use{{Lock, 1}, {IndirectCall, 1}, {Call, 2}, {MMIOWrite, 1}}, "a bulk of redirected frames: ring locked, doorbell"},
	IgbXmitXdpRing: {"igb_xmit_xdp_ring", XDP, []Use{{TxDesc, 1}, {Call, 1}}, "fills a transmit descriptor with a raw buffer"},
	IgbXdpTx:       {"igb_xdp_xmit_back", XDP, []Use{{Lock, 1}, {Call, 2}}, "out by the NIC it came from, by this CPU's ring"},
	IgbCleanTxXdp:  {"xdp_return_frame", XDP, []Use{{Call, 2}}, "a raw buffer that was sent is given back; tx_desc has the price"},
	TunXdpXmit:     {"tun_xdp_xmit", XDP, []Use{{Lock, 1}, {IndirectCall, 1}, {Call, 2}}, "a bulk of redirected frames: the tap's ring locked, its reader told"},
	TunXdpProduce:  {"__ptr_ring_produce", Tap, []Use{{Call, 2}}, "a raw buffer on the tap's ring"},
	XdpReturnFrame: {"xdp_return_frame", Tap, []Use{{XDPReturn, 1}}, "the frame's buffer is free again"},
	XdpReturnBuff:  {"xdp_return_frame", XDP, []Use{{XDPReturn, 1}}, "a redirected frame that nobody takes: its buffer is free again"},

	XskRcv:            {"xsk_rcv", XDP, []Use{{CopyToUser, 1}, {XSKAddr, 1}, {Call, 4}}, "copy mode: a buffer off the fill ring, the copy into it, a descriptor for the process"},
	XskBuffAlloc:      {"xsk_buff_alloc", XDP, []Use{{XSKAddr, 1}, {Call, 1}}, "zero-copy: a buffer off the fill ring for the NIC"},
	XskRcvZC:          {"xsk_rcv_zc", XDP, []Use{{Call, 3}}, "zero-copy: a descriptor for the process; the frame is in its memory"},
	XskFlush:          {"xsk_flush", XDP, []Use{{IndirectCall, 1}, {Call, 2}}, "the receive ring's producer index is written"},
	XskSendmsg:        {"xsk_sendmsg", XDP, []Use{{IndirectCall, 1}, {Call, 2}}, "the process has the kernel send, or look at the fill ring"},
	XskGenericXmit:    {"xsk_generic_xmit", XDP, []Use{{CopyFromUser, 1}, {XSKDesc, 1}, {BuildSKB, 1}, {PageAlloc, 1}, {Call, 6}}, "copy mode: an sk_buff with a copy of the process' frame"},
	XskTxPeekDesc:     {"xsk_tx_peek_desc", XDP, []Use{{XSKDesc, 1}, {Call, 1}}, "zero-copy: a descriptor off the send ring, checked"},
	XskTxCompleted:    {"xsk_tx_completed", XDP, []Use{{Call, 1}}, "the process may have its buffer back"},
	IgbXskWakeup:      {"igb_xsk_wakeup", XDP, []Use{{MMIOWrite, 1}, {Call, 2}}, "zero-copy: the queue's cause is set in EICS, so that it is polled"},
	IgbConstructSkbZC: {"igb_construct_skb_zc", XDP, []Use{{CopyToUser, 1}, {PageAlloc, 1}, {BuildSKB, 1}}, "zero-copy: a frame that the process does not get is copied out of its memory"},
	XskPoll:           {"xsk_poll", XDP, []Use{{IndirectCall, 1}, {Call, 1}}, "poll() asks for readiness"},
	XskRingFill:       {"xsk_ring_prod__fill_addr", XDP, []Use{{Call, 1}}, "the process gives the kernel a buffer"},
	XskRingRx:         {"xsk_ring_cons__rx_desc", XDP, []Use{{XSKDesc, 1}}, "the process takes a frame"},
	XskRingTx:         {"xsk_ring_prod__tx_desc", XDP, []Use{{Call, 1}}, "the process gives the kernel a frame to send"},
	XskRingComp:       {"xsk_ring_cons__comp_addr", XDP, []Use{{XSKAddr, 1}}, "the process has a buffer back that was sent"},
}

// String is the function's name in the real path.
func (s Step) String() string {
	if s >= NumSteps {
		return "step?"
	}
	return steps[s].name
}

// Stage is the part of the bill that the step stands in.
func (s Step) Stage() Stage { return steps[s].stage }

// Uses lists the operations of one such step. It must not be changed.
func (s Step) Uses() []Use { return steps[s].uses }

// Does says in a few words what the step does.
func (s Step) Does() string { return steps[s].does }
