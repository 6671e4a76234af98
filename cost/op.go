package cost

// An Op is a kind of work that has a price. Every book prices every Op.
type Op uint8

// The operations, the device's first.
const (
	// DescFetch is a descriptor read by the device.
	DescFetch Op = iota
	// DMAWrite is frame bytes written by the device into host memory.
	DMAWrite
	// DMARead is frame bytes read by the device from host memory.
	DMARead
	// DescWriteback is a descriptor written back by the device.
	DescWriteback
	// TLP is the header of one PCIe transaction.
	TLP
	// MSIX is one interrupt message.
	MSIX

	// HardIRQ is one hard interrupt: entry, handler, exit.
	HardIRQ
	// MMIOWrite is one register written by the CPU, a doorbell for instance.
	MMIOWrite
	// MMIORead is one register read by the CPU, which waits for the answer.
	MMIORead
	// NAPIPoll is what one round of softirq and poll costs before any frame.
	NAPIPoll
	// RxDesc is a received descriptor handled by the driver.
	RxDesc
	// FirstTouch is the stall on the first read of a frame that DMA left in the
	// last-level cache.
	FirstTouch
	// BuildSKB is the making of an sk_buff around a buffer.
	BuildSKB
	// RxFrag is a further buffer hung on an sk_buff.
	RxFrag
	// PageRecycle is a receive buffer put back on the ring.
	PageRecycle
	// PageAlloc is a page taken from the allocator, its return included.
	PageAlloc
	// TxDesc is a descriptor filled for sending.
	TxDesc
	// GROReceive is napi_gro_receive and the receive core up to its first hook.
	GROReceive
	// Call is a function called by name.
	Call
	// IndirectCall is a function called through a pointer.
	IndirectCall
	// Lock is an uncontended spin lock taken and released.
	Lock
	// FDBLookup is one lookup of a destination in the forwarding database.
	FDBLookup
	// VLANLookup is one lookup of a VLAN in a port's table.
	VLANLookup
	// FDBLearn is one refresh of a source that is known already.
	FDBLearn
	// FDBInsert is one new entry, or one that moves.
	FDBInsert
	// FDBAge is one entry looked at by the ageing walk.
	FDBAge
	// SKBClone is an sk_buff that shares its data with another.
	SKBClone
	// KfreeSKB is an sk_buff and its buffer given back.
	KfreeSKB
	// RemoteLine is a cache line fetched dirty from another core.
	RemoteLine
	// LocalRx is a packet through the host's own IP layer, inwards.
	LocalRx
	// LocalTx is a packet through the host's own IP layer, outwards.
	LocalTx
	// Wakeup is a sleeping task made runnable on another CPU.
	Wakeup
	// ContextSwitch is a CPU going from one task, or from idle, to another.
	ContextSwitch
	// SyscallEnter is the way into the kernel.
	SyscallEnter
	// SyscallExit is the way back.
	SyscallExit
	// CopyToUser is bytes copied into a guest's memory.
	CopyToUser
	// CopyFromUser is bytes copied out of a guest's memory.
	CopyFromUser
	// Checksum is bytes summed by the CPU.
	Checksum
	// TunnelHeader is one tunnel header put on or taken off.
	TunnelHeader
	// VringGet is one descriptor chain taken off a virtqueue, guest memory checked.
	VringGet
	// VringPut is one used entry written to a virtqueue.
	VringPut
	// Eventfd is one eventfd signalled and its waiter called.
	Eventfd
	// VMExit is a guest leaving for the host's kernel and coming back.
	VMExit
	// IRQInject is an interrupt put into a guest.
	IRQInject
	// VirqEOI is a guest saying that it has handled an interrupt.
	VirqEOI
	// GuestIRQ is the handler of a virtio interrupt in the guest.
	GuestIRQ
	// TransportRx is a segment or datagram through TCP or UDP, inwards.
	TransportRx
	// TransportTx is a segment or datagram through TCP or UDP, outwards.
	TransportTx
	// GuestWork is one unit of work of a guest program; the guest says how many
	// cycles it took, the book's price is what it costs to begin one.
	GuestWork

	// Topology and scheduling.

	// ColdLine is a line that a moved task left in another core's private caches,
	// fetched again from the last-level cache.
	ColdLine
	// NUMALine is what a line costs more when it comes from another node.
	NUMALine
	// NUMACopy is what bytes cost more that are copied from or to another node.
	NUMACopy
	// SMTShare is one cycle of work done while the other thread of the core is busy;
	// its price is what is lost to that thread.
	SMTShare

	// Translation of addresses.

	// STLBHit is an access to a page that only the second-level TLB knows.
	STLBHit
	// PageWalkStep is an entry of a page table read for an access that no TLB knows.
	PageWalkStep
	// IOTLBWalk is an entry of an I/O page table read by the IOMMU.
	IOTLBWalk
	// DMAMap is a buffer mapped for a device and unmapped again, the IOTLB left alone.
	DMAMap
	// IOTLBFlush is an invalidation of the IOTLB that is waited for.
	IOTLBFlush

	// Virtual functions.

	// PostedIRQ is an interrupt that the hardware puts into a running guest.
	PostedIRQ

	// A user-space process that polls.

	// PMDIdle is one poll of a queue that has nothing.
	PMDIdle
	// PMDRx is a received descriptor made a packet buffer by a poll-mode driver, its
	// successor given to the device.
	PMDRx
	// PMDTx is a packet buffer put on a transmit ring by a poll-mode driver, and one that
	// was sent freed.
	PMDTx
	// FlowCache is what a flow switch does with a packet between its ports.
	FlowCache
	// GraphNodes is a packet's share of a graph of nodes that is walked in vectors.
	GraphNodes
	// PMDForward is a packet taken from one burst into another.
	PMDForward
	// PMDLookup is a source learned and a destination looked up, in bursts.
	PMDLookup
	// Mbuf is a packet buffer taken from the pool and given back one at a time.
	Mbuf

	// XDP and AF_XDP.

	// XDPDesc is a received descriptor handled by the driver whose frame stays a raw
	// buffer for a program; putting the buffer back is in it.
	XDPDesc
	// XDPRun is one run of a program.
	XDPRun
	// XDPMap is one lookup of a program in a map.
	XDPMap
	// XDPReturn is the buffer of a frame without an sk_buff given back.
	XDPReturn
	// XSKDesc is a descriptor that one side of an AF_XDP ring takes from the other.
	XSKDesc
	// XSKAddr is an address of a buffer likewise.
	XSKAddr
	NumOps
)

type opInfo struct {
	name   string
	device bool
	bytes  bool
	does   string
}

var ops = [NumOps]opInfo{
	DescFetch:     {"desc_fetch", true, true, "descriptor read by the device"},
	DMAWrite:      {"dma_write", true, true, "frame bytes written to host memory by the device"},
	DMARead:       {"dma_read", true, true, "frame bytes read from host memory by the device"},
	DescWriteback: {"desc_writeback", true, true, "descriptor written back by the device"},
	TLP:           {"tlp", true, false, "header of one PCIe transaction"},
	MSIX:          {"msix", true, false, "interrupt message"},
	HardIRQ:       {"hard_irq", false, false, "hard interrupt: entry, handler, exit"},
	MMIOWrite:     {"mmio_write", false, false, "register written by the CPU"},
	MMIORead:      {"mmio_read", false, false, "register read by the CPU"},
	NAPIPoll:      {"napi_poll", false, false, "fixed part of one softirq and poll round"},
	RxDesc:        {"rx_desc", false, false, "received descriptor handled by the driver"},
	FirstTouch:    {"first_touch", false, false, "stall on the first read of a frame in the last-level cache"},
	BuildSKB:      {"build_skb", false, false, "sk_buff made around a buffer"},
	RxFrag:        {"rx_frag", false, false, "further buffer hung on an sk_buff"},
	PageRecycle:   {"page_recycle", false, false, "receive buffer put back on the ring"},
	PageAlloc:     {"page_alloc", false, false, "page from the allocator, its return included"},
	TxDesc:        {"tx_desc", false, false, "descriptor filled for sending"},
	GROReceive:    {"gro_receive", false, false, "GRO and the receive core up to the first hook"},
	Call:          {"call", false, false, "function call"},
	IndirectCall:  {"indirect_call", false, false, "function call through a pointer"},
	Lock:          {"lock", false, false, "uncontended spin lock, taken and released"},
	FDBLookup:     {"fdb_lookup", false, false, "destination looked up"},
	VLANLookup:    {"vlan_lookup", false, false, "VLAN looked up in a port's table"},
	FDBLearn:      {"fdb_learn", false, false, "source refreshed"},
	FDBInsert:     {"fdb_insert", false, false, "source added or moved"},
	FDBAge:        {"fdb_age", false, false, "entry looked at by the ageing walk"},
	SKBClone:      {"skb_clone", false, false, "sk_buff sharing another's data"},
	KfreeSKB:      {"kfree_skb", false, false, "sk_buff and buffer given back"},
	RemoteLine:    {"remote_line", false, false, "cache line fetched dirty from another core"},
	LocalRx:       {"local_rx", false, false, "packet into the host's own IP layer"},
	LocalTx:       {"local_tx", false, false, "packet out of the host's own IP layer"},
	Wakeup:        {"wakeup", false, false, "task made runnable on another CPU"},
	ContextSwitch: {"context_switch", false, false, "CPU goes from one task to another"},
	SyscallEnter:  {"syscall_enter", false, false, "way into the kernel"},
	SyscallExit:   {"syscall_exit", false, false, "way back"},
	CopyToUser:    {"copy_to_user", false, true, "bytes copied into the guest"},
	CopyFromUser:  {"copy_from_user", false, true, "bytes copied out of the guest"},
	Checksum:      {"checksum", false, true, "bytes summed by the CPU"},
	TunnelHeader:  {"tunnel_header", false, false, "tunnel header put on or taken off"},
	VringGet:      {"vring_get", false, false, "descriptor chain taken off a virtqueue"},
	VringPut:      {"vring_put", false, false, "used entry written to a virtqueue"},
	Eventfd:       {"eventfd", false, false, "eventfd signalled, its waiter called"},
	VMExit:        {"vm_exit", false, false, "guest leaves for the host's kernel and comes back"},
	IRQInject:     {"irq_inject", false, false, "interrupt put into a guest"},
	VirqEOI:       {"virq_eoi", false, false, "guest has handled an interrupt"},
	GuestIRQ:      {"guest_irq", false, false, "virtio interrupt's handler in the guest"},
	TransportRx:   {"transport_rx", false, false, "segment or datagram through TCP or UDP, inwards"},
	TransportTx:   {"transport_tx", false, false, "segment or datagram through TCP or UDP, outwards"},
	GuestWork:     {"guest_work", false, false, "unit of work begun by a guest program"},

	ColdLine: {"cold_line", false, false, "line of a moved task's working set, fetched again"},
	NUMALine: {"numa_line", false, false, "what a line costs more from another node"},
	NUMACopy: {"numa_copy", false, true, "what copied bytes cost more from or to another node"},
	SMTShare: {"smt_share", false, false, "cycle of work beside a busy thread of the same core"},

	STLBHit:      {"stlb_hit", false, false, "page that only the second-level TLB knows"},
	PageWalkStep: {"page_walk_step", false, false, "entry of a page table read in a walk"},
	IOTLBWalk:    {"iotlb_walk", true, false, "entry of an I/O page table read by the IOMMU"},
	DMAMap:       {"dma_map", false, false, "buffer mapped for a device and unmapped again"},
	IOTLBFlush:   {"iotlb_flush", false, false, "invalidation of the IOTLB that is waited for"},

	PostedIRQ: {"posted_irq", false, false, "interrupt put into a running guest by the hardware"},

	PMDIdle:    {"pmd_idle", false, false, "poll of a queue that has nothing"},
	PMDRx:      {"pmd_rx", false, false, "received descriptor made a packet buffer in user space"},
	PMDTx:      {"pmd_tx", false, false, "packet buffer put on a transmit ring in user space"},
	FlowCache:  {"flow_cache", false, false, "packet's key extracted, looked up in a flow cache, actions done"},
	GraphNodes: {"graph_nodes", false, false, "packet's share of the nodes of a graph"},
	PMDForward: {"pmd_forward", false, false, "packet taken from one burst into another"},
	PMDLookup:  {"pmd_lookup", false, false, "source learned and destination looked up, in bursts"},
	Mbuf:       {"mbuf", false, false, "packet buffer taken and given back one at a time"},

	XDPDesc:   {"xdp_desc", false, false, "received descriptor whose frame stays a raw buffer"},
	XDPRun:    {"xdp_run", false, false, "XDP program run once"},
	XDPMap:    {"xdp_map", false, false, "lookup of an XDP program in a map"},
	XDPReturn: {"xdp_return", false, false, "buffer of a frame without an sk_buff given back"},
	XSKDesc:   {"xsk_desc", false, false, "descriptor taken off an AF_XDP ring that another core has filled"},
	XSKAddr:   {"xsk_addr", false, false, "buffer's address taken off such a ring"},
}

// String is the operation's name in books and on the bill.
func (o Op) String() string {
	if o >= NumOps {
		return "op?"
	}
	return ops[o].name
}

// Does says in a few words what the operation is.
func (o Op) Does() string { return ops[o].does }

// Device says that the device pays: the operation takes the device's time, and
// CPU cycles only in a book that prices it in them.
func (o Op) Device() bool { return ops[o].device }

// Bytes says that the operation moves bytes, so that a book prices it by the
// byte. The others cost the same every time.
func (o Op) Bytes() bool { return ops[o].bytes }

// Copies says that the operation moves payload bytes with the CPU.
func (o Op) Copies() bool { return ops[o].bytes && !ops[o].device && o != Checksum && o != NUMACopy }

// OpByName finds an operation by its name in books.
func OpByName(name string) (Op, bool) {
	for o := range ops {
		if ops[o].name == name {
			return Op(o), true
		}
	}
	return 0, false
}
