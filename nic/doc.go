// Package nic is a network card of the igb kind, an Intel 82576, as its driver
// sees it: registers, descriptor rings in host memory, and MSI-X messages. It is
// not a driver and knows of none; whoever has a mem.Memory and something to plug
// it into can use it without a machine around it, as package nictest does.
//
// It has no goroutines, no locks and no wall clock. It is a function of what was
// written to it and of the time it is told: what it would have done up to a
// moment is done when somebody looks, in CatchUp, Read or Write, and carries the
// times at which it would have been done. There is no event for a frame. One
// timer of the engine stands for all vectors, and only while one of them is
// unmasked.
//
// # The life of a received frame
//
//  1. On the wire. The wire hands it out with the moment at which its first bit
//     can go; its last bit is in when the link has had the time for it, preamble
//     and FCS included.
//  2. Looked at. Too short, too long or for somebody else: dropped. Else it has a
//     queue, by RSS if MRQC says so, and a place in the packet buffer, or none
//     (MPC).
//  3. Written. The DMA engine takes frames from the packet buffer in the order of
//     arrival, one at a time, and is busy with each for as long as the device's
//     account is charged for it. Without a descriptor the frame is dropped
//     (DROP_EN, RQDPC) or waits, and all behind it wait too (RNBC).
//     With RSCCTL, the 82599's, a segment of TCP may join the one before it there.
//  4. Written back. The descriptors have DD, the last one EOP; the cause of the
//     queue's vector is set in EICR.
//  5. Told. If EIMS lets the cause through, and EITR's interval since the vector's
//     last message is over, a message goes out: EIAC clears the cause, EIAM masks
//     it, and the CPU hears of it when the message has crossed the bus.
//
// The other way, a frame is fetched whole when the driver rings the doorbell and
// the transmit packet buffer has room, leaves when the link is free, and gives
// its descriptors back as soon as it has been fetched.
//
// # Virtual functions
//
// With Config.VFs the sixteen queues are eight pools of two, by MRQC's VMDq: pool p has
// queues p and p+8. The first are VFs', each with registers of its own (see VF), three
// of the 25 vectors, counted from the top, and a mailbox; the PF has the pool behind
// them. A frame from the wire goes to the pools that have its address and VLAN, or have
// asked for its kind (VMOLR); one that nobody has asked for to the default pool. A frame
// that a pool sends is checked first (DTXSWC: MACAS, VLANAS), goes to other pools
// likewise, and leaves unless one of them has its very address. Memory is reached through
// the DMA that a VF was assigned, an IOMMU, for every descriptor and every buffer; the PF
// reaches host memory as it does without.
//
// What a VF's driver does wrong is counted at the VF and is nobody else's affair. Frames
// from the wire are looked at before their last bit is in, up to 32 of them, to know
// which of them an interrupt may depend on.
//
// # Words
//
// Rx is from the wire and tx towards it. The head of a ring is the device's index
// and the tail the driver's; names of registers, bits and counters are the
// datasheet's: Intel 82576EB Gigabit Ethernet Controller Datasheet, revision 2.63
// of December 2011. A tag such as [8.10] names the section that has the register
// or the rule; registers stand there under their names.
//
// # When a driver is wrong
//
// An access to a register that the model does not have, or a write to one that
// only reads, is an error. Everything else that a driver must not do is a Misuse,
// with the register, the index and the value; the device goes on as hardware
// would, or ignores the write, as the text of the misuse says. A receive
// descriptor that cannot be used jams its queue until it is mended, and a frame
// on a bad transmit chain is dropped while its descriptors come back. Stalls
// lists queues on which frames wait while nothing in the device will change that.
//
// # What is not modelled
//
// Speeds above 1 Gbit/s are the model's, not the 82576's. In it there is no
// error on the wire, no pause frame, no half duplex and no link that is down
// unless CTRL.SLU is clear, which only STATUS shows.
//
//   - Modes: legacy and MSI interrupts, several causes on one vector bit
//     (GPIE.Multiple_MSIX clear), low-latency interrupts, the TCP timer, the
//     cause of RDMTS and of a receive overrun. EITR's running counter reads as 0.
//   - Descriptors: legacy, header split and replication, SRRCTL.TIMESTAMP, a
//     buffer size from RCTL.BSIZE, head write-back, NSE. Prefetch, write-back and
//     host thresholds (RXDCTL, TXDCTL) are remembered and change nothing: a
//     descriptor is fetched when its frame needs it, and written back at once.
//   - Offloads: segmentation of UDP, SCTP's checksum, the packet checksum of
//     RXCSUM.PCSS, header split; without virtual functions filtering by VLAN (VFTA,
//     RCTL.VFE). Of a frame that
//     it cuts the device makes the pseudo-header's sum itself and does not ask what
//     the driver has put there. RXCSUM's bits are clear after a reset, where the
//     datasheet has IPOFLD and TUOFLD set. A context that does not fit its frame
//     drops it, where hardware sends what comes out.
//   - FCS: frames have none in memory, so RCTL.SECRC must be set. On the wire it
//     takes its time.
//   - RSS: extension headers of IPv6 are not followed, so home addresses and
//     routing headers are not looked for; such packets are hashed by the addresses
//     of their fixed header. RXCSUM.PCSD must be set to see the hash.
//   - Filters: without virtual functions the unicast table UTA, and everything that
//     chooses a queue other than by RSS or by pools (ETQF, FTQF, SYN filter, 2-tuple and
//     5-tuple filters).
//   - Virtualization: RSS within a pool (MRQC mode 5), mirror rules (VMRCTL), VEPA, storm
//     control, rate limits, VTFRTIMER, VTPSRTYPE, the registers of single VFs that the PF
//     has at 0x10000 and up, and eight VFs without a PF. Frames between pools take the
//     time of the two DMA engines and none in the switch; what waits there is bounded by
//     8 MiB, and what waits for a pool counts as one frame in the packet buffer for all
//     the pools it is for. There is one DMA engine each way for all functions, and a
//     doorbell is served to its end before the next: no share of the bus is a VF's own.
//     A DMA that the IOMMU refuses costs its frame and its descriptor, where hardware
//     may stop the function; a descriptor of a VF that is no good costs no more than that
//     either, where one of the PF's jams its queue.
//   - The rest: EEPROM and flash, PHY and MDIO, LEDs, semaphores, power
//     management and wake-up, management controller, PTP, IPsec, MACsec, DCA
//     (its registers are remembered), PCIe configuration and its MSI-X table.
//   - Arbitration: transmit rings are served in the order of their doorbells, not
//     in turn. The two directions have a DMA engine each and do not meet on the
//     bus.
package nic
