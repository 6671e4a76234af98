package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringside/offload"
)

// An endpoint is an interface as gVisor sees it: its link endpoint, and the queue
// in front of it, which is none.
//
// Checksums of TCP and UDP are made here, for the link to finish or at once, so
// gVisor is told that they are no work of its own. If it believed they were, it
// would sum anew what it forwards: a broken segment would leave repaired, and the
// first fragment of a datagram broken.
type endpoint struct {
	i          *Interface
	mac        tcpip.LinkAddress
	valid      bool // the packet that is being delivered need not be verified
	dispatcher stack.NetworkDispatcher
	out        Packet // what is being sent
	datagram   uint16 // identification of the last one that was cut
}

var (
	_ stack.LinkEndpoint       = (*endpoint)(nil)
	_ stack.GSOEndpoint        = (*endpoint)(nil)
	_ stack.QueueingDiscipline = (*endpoint)(nil)
)

// deliver hands an IP or ARP packet to gVisor and takes the view over.
func (e *endpoint) deliver(proto tcpip.NetworkProtocolNumber, view *buffer.View, m *offload.Meta, dst []byte) {
	b := view.AsSlice()
	e.valid = e.i.cfg.RxChecksum && (m.Valid || m.NeedsCsum) && !badHeader(proto, b)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: apart(proto, view)})
	pkt.PktType = packetType(dst)
	e.i.s.passing = *m
	e.dispatcher.DeliverNetworkPacket(proto, pkt)
	e.i.s.passing = offload.Meta{}
	pkt.DecRef()
}

// apart is a packet with its IP header in a view of its own. gVisor shares the first
// view and then reads it again, for which it makes a copy of all that the view is a
// part of: of 64 KiB, if that is how long the packet is.
func apart(proto tcpip.NetworkProtocolNumber, view *buffer.View) buffer.Buffer {
	b, n := view.AsSlice(), 0
	switch {
	case proto == header.IPv4ProtocolNumber && len(b) >= header.IPv4MinimumSize:
		n = int(header.IPv4(b).HeaderLength())
	case proto == header.IPv6ProtocolNumber:
		n = header.IPv6MinimumSize
	}
	if n == 0 || n >= len(b) {
		return buffer.MakeWithView(view)
	}
	out := buffer.MakeWithView(buffer.NewViewWithData(b[:n]))
	view.TrimFront(n)
	if err := out.Append(view); err != nil {
		panic(err) // of a packet that is longer than any
	}
	return out
}

// badHeader says that an IPv4 header has the wrong sum. Whoever verified a packet
// has verified what is inside, and gVisor would skip both.
func badHeader(proto tcpip.NetworkProtocolNumber, b []byte) bool {
	if proto != header.IPv4ProtocolNumber || len(b) < header.IPv4MinimumSize {
		return false
	}
	n := int(b[0]&0x0F) * 4
	return n > len(b) || checksum.Checksum(b[:n], 0) != 0xFFFF
}

func packetType(dst []byte) tcpip.PacketType {
	switch {
	case dst[0]&1 == 0:
		return tcpip.PacketHost
	case [6]byte(dst) == [6]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}:
		return tcpip.PacketBroadcast
	}
	return tcpip.PacketMulticast
}

// WritePacket takes what the stack sends.
func (e *endpoint) WritePacket(pkt *stack.PacketBuffer) tcpip.Error {
	i := e.i
	if i.s.closed || i.s.depth == 0 { // not in a call of ours: nobody else may send
		return &tcpip.ErrAborted{}
	}
	i.s.natting = false
	p := &e.out
	p.Parts, p.Len = p.Parts[:0], pkt.Size()
	views, skip := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if n := min(skip, len(b)); n > 0 {
			b, skip = b[n:], skip-n
		}
		if len(b) > 0 {
			p.Parts = append(p.Parts, b)
		}
	}
	if err := e.describe(pkt, p); err != nil {
		return err
	}
	e.identify(pkt)
	to := pkt.EgressRoute.NextHop
	if to.Len() == 0 {
		to = pkt.EgressRoute.RemoteAddress
	}
	mac, ok := i.nextHop(to)
	if !ok {
		i.await(to, p, pkt.NetworkProtocolNumber)
		return nil
	}
	copy(pkt.LinkHeader().Slice(), mac[:])
	if !i.send(p) {
		return &tcpip.ErrNoBufferSpace{}
	}
	return nil
}

// identify gives the fragments of a datagram an identification and takes DF from them
// [RFC 6864, 4.1]. gVisor sends datagrams with DF and without an identification, and
// cuts those that do not fit all the same: the next one's fragments would be taken for
// those of one that was lost in part.
func (e *endpoint) identify(pkt *stack.PacketBuffer) {
	ip := header.IPv4(pkt.NetworkHeader().Slice())
	if pkt.NetworkProtocolNumber != header.IPv4ProtocolNumber || pkt.NetworkPacketInfo.IsForwardedPacket ||
		ip.Flags()&header.IPv4FlagDontFragment == 0 || !ip.More() && ip.FragmentOffset() == 0 {
		return
	}
	if ip.FragmentOffset() == 0 {
		e.datagram++
	}
	ip.SetID(e.datagram)
	ip.SetFlagsFragmentOffset(ip.Flags()&^header.IPv4FlagDontFragment, ip.FragmentOffset())
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
}

// await keeps a frame until the neighbour that it goes to has answered.
func (i *Interface) await(to tcpip.Address, p *Packet, proto tcpip.NetworkProtocolNumber) {
	n := i.neighbour(to)
	if n == nil {
		n = i.newNeighbour(to)
	}
	h := held{frame: make([]byte, 0, p.Len), p: Packet{Meta: p.Meta, Forwarded: p.Forwarded}, proto: proto}
	for _, part := range p.Parts {
		h.frame = append(h.frame, part...)
	}
	n.hold(h)
}

// WritePackets implements stack.LinkWriter. gVisor sends by WritePacket.
func (e *endpoint) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for n, pkt := range list.AsSlice() {
		if err := e.WritePacket(pkt); err != nil {
			return n, err
		}
	}
	return list.Len(), nil
}

// describe makes the checksum of what this stack sends, or has it made, and says
// what travels beside the frame.
func (e *endpoint) describe(pkt *stack.PacketBuffer, p *Packet) tcpip.Error {
	p.Meta = offload.Meta{}
	p.Forwarded = pkt.NetworkPacketInfo.IsForwardedPacket
	if pkt.Mark == unsummed {
		return nil
	}
	if p.Forwarded {
		return e.forwarded(pkt, p)
	}
	at := sumAt(pkt)
	if at == 0 {
		return nil
	}
	ip, transport := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	start := header.EthernetMinimumSize + len(ip)
	sum := pseudoSum(ip, uint8(pkt.TransportProtocolNumber), p.Len-start)
	g := &pkt.GSOOptions
	n := p.Len - start - len(transport)
	cut := g.Type != stack.GSONone && n > int(g.MSS)
	if !cut && !e.i.cfg.TxChecksum {
		complete(transport, at, sum, pkt.Data().Checksum())
		return nil
	}
	binary.BigEndian.PutUint16(transport[at:], sum)
	p.Meta.NeedsCsum = true
	p.Meta.CsumStart, p.Meta.CsumOffset = uint16(start), at
	if cut {
		p.Meta.GSO, p.Meta.GSOSize, p.Meta.HdrLen = gsoOf(g.Type), g.MSS, uint16(start+len(transport))
		p.Meta.Segs = uint16((n + int(g.MSS) - 1) / int(g.MSS))
	}
	return nil
}

// complete writes a checksum. A sum of 0 is written as all ones, which is the same to
// TCP, and to UDP means that there is one [RFC 768].
func complete(transport []byte, at, pseudo, data uint16) {
	transport[at], transport[at+1] = 0, 0
	sum := ^checksum.Combine(checksum.Checksum(transport, pseudo), data)
	if sum == 0 && at == udpSum {
		sum = 0xFFFF
	}
	binary.BigEndian.PutUint16(transport[at:], sum)
}

// sumAt is where the checksum stands in the transport header of a packet that is
// not summed yet, 0 if there is nothing to be done: of fragments gVisor has seen
// the whole, and ICMP it sums itself.
func sumAt(pkt *stack.PacketBuffer) uint16 {
	transport := len(pkt.TransportHeader().Slice())
	switch pkt.NetworkProtocolNumber {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(pkt.NetworkHeader().Slice())
		if h.More() || h.FragmentOffset() != 0 {
			return 0
		}
	case header.IPv6ProtocolNumber:
		h := header.IPv6(pkt.NetworkHeader().Slice())
		if h.NextHeader() == header.IPv6FragmentHeader {
			return 0
		}
	default:
		return 0
	}
	switch {
	case pkt.TransportProtocolNumber == header.TCPProtocolNumber && transport >= header.TCPMinimumSize:
		return header.TCPChecksumOffset
	case pkt.TransportProtocolNumber == header.UDPProtocolNumber && transport >= header.UDPMinimumSize:
		return udpSum
	}
	return 0
}

// udpSum is where the checksum stands in a UDP header.
const udpSum = 6

// pseudoSum is the sum of the pseudo-header of a packet whose IP header begins ip and
// whose payload is of a length.
func pseudoSum(ip []byte, proto uint8, length int) uint16 {
	addrs := ip[12:20]
	if ip[0]>>4 == 6 {
		addrs = ip[8:40]
	}
	sum := uint32(offload.Sum(addrs, uint16(proto))) + uint32(length)
	return uint16(sum>>16 + sum&0xFFFF)
}

func gsoOf(t stack.GSOType) offload.GSO {
	if t == stack.GSOTCPv6 {
		return offload.GSOTCPv6
	}
	return offload.GSOTCPv4
}

// send counts and hands a frame to the link, whole or, where the link does not cut
// and must not get it, in segments.
func (i *Interface) send(p *Packet) bool {
	if p.Meta.GSO != offload.GSONone && p.Len-header.EthernetMinimumSize > max(i.cfg.GSOMax, i.cfg.MTU) {
		return i.sendCut(p)
	}
	n := uint64(p.Len)
	if !i.cfg.Link.Send(p) {
		i.stat.TxDropped++
		return false
	}
	i.stat.TxFrames++
	i.stat.TxBytes += n
	return true
}

// sendCut sends a packet that was merged on its way to a link that does not cut.
func (i *Interface) sendCut(p *Packet) bool {
	ok := true
	err := offload.Segment(p.Parts, p.Meta, func(hdr []byte, payload [][]byte, m offload.Meta) {
		seg := Packet{Parts: append([][]byte{hdr}, payload...), Meta: m}
		for _, part := range seg.Parts {
			seg.Len += len(part)
		}
		ok = i.send(&seg) && ok
	})
	if err != nil {
		i.stat.TxDropped++
		return false
	}
	return ok
}

// What gVisor asks of a link.

func (e *endpoint) Capabilities() stack.LinkEndpointCapabilities {
	var c stack.LinkEndpointCapabilities
	if !e.i.s.summing && !e.i.s.natting {
		c |= stack.CapabilityTXChecksumOffload
	}
	if e.valid {
		c |= stack.CapabilityRXChecksumOffload
	}
	return c
}

func (e *endpoint) SupportedGSO() stack.SupportedGSO {
	if e.i.cfg.GSOMax > 0 {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

// MTU is the interface's, but for a merged packet that is passed on, which gVisor
// would cut or refuse.
func (e *endpoint) MTU() uint32 {
	if e.i.s.passing.GSO != offload.GSONone {
		return maxPacket
	}
	return uint32(e.i.cfg.MTU)
}

func (e *endpoint) AddHeader(pkt *stack.PacketBuffer) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: e.mac, Type: pkt.NetworkProtocolNumber, // WritePacket finds the destination
	})
}

func (e *endpoint) GSOMaxSize() uint32                      { return uint32(e.i.cfg.GSOMax) }
func (e *endpoint) SetMTU(mtu uint32)                       { e.i.cfg.MTU = int(mtu) }
func (e *endpoint) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (e *endpoint) LinkAddress() tcpip.LinkAddress          { return e.mac }
func (e *endpoint) SetLinkAddress(a tcpip.LinkAddress)      { e.mac = a }
func (e *endpoint) Attach(d stack.NetworkDispatcher)        { e.dispatcher = d }
func (e *endpoint) IsAttached() bool                        { return e.dispatcher != nil }
func (e *endpoint) ParseHeader(*stack.PacketBuffer) bool    { return true } // Deliver has
func (e *endpoint) Wait()                                   {}
func (e *endpoint) Close()                                  {}
func (e *endpoint) SetOnCloseAction(func())                 {}
func (e *endpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
