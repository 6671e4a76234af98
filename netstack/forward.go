package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringside/offload"
)

// What gVisor leaves undone where packets go from interface to interface.

// passes says whether a packet may go to gVisor. Two kinds it would pass on and
// must not: those that claim to come from this machine, and those of IPv4 whose
// time to live ends here (it sends them on with 0).
func (i *Interface) passes(proto tcpip.NetworkProtocolNumber, b []byte) bool {
	switch {
	case proto == header.IPv4ProtocolNumber && len(b) >= header.IPv4MinimumSize:
		ip := header.IPv4(b)
		if i.s.has(ip.SourceAddress()) {
			i.stat.RxMartian++
			return false
		}
		if ip.TTL() > 1 || !i.passedOn(ip) {
			return true
		}
		i.stat.RxTTL++
		i.timeExceeded(ip)
		return false
	case proto == header.IPv6ProtocolNumber && len(b) >= header.IPv6MinimumSize:
		if i.s.has(header.IPv6(b).SourceAddress()) {
			i.stat.RxMartian++
			return false
		}
	}
	return true
}

// has says that an address is one of this machine's.
func (s *Stack) has(a tcpip.Address) bool {
	for _, i := range s.ifaces {
		for _, own := range i.own {
			if own == a {
				return true
			}
		}
	}
	return false
}

// passedOn says that a packet is sound and for somebody else.
func (i *Interface) passedOn(ip header.IPv4) bool {
	dst := ip.DestinationAddress()
	return ip.IsValid(len(ip)) && !badHeader(header.IPv4ProtocolNumber, ip) && !i.s.has(dst) &&
		dst != header.IPv4Broadcast && !i.subnetBroadcast(dst) && !header.IsV4MulticastAddress(dst)
}

// maxQuote is how much of a packet an error message quotes, so that it has 576
// bytes at most [RFC 1812, 4.3.2.3].
const maxQuote = 576 - header.IPv4MinimumSize - header.ICMPv4MinimumSize

// timeExceeded tells the sender of a packet that it has come too far. Nobody is
// told of an ICMP error, nor of a fragment but the first [RFC 1812, 4.3.2.7].
func (i *Interface) timeExceeded(ip header.IPv4) {
	if ip.FragmentOffset() != 0 || isICMPError(ip) || ip.SourceAddress() == header.IPv4Any || !i.s.gv.AllowICMPMessage() {
		return
	}
	r, err := i.s.gv.FindRoute(0, tcpip.Address{}, ip.SourceAddress(), header.IPv4ProtocolNumber, false)
	if err != nil {
		return
	}
	defer r.Release()
	quote := ip[:min(int(ip.TotalLength()), maxQuote)]
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(r.MaxHeaderLength()) + header.ICMPv4MinimumSize, Payload: buffer.MakeWithData(quote),
	})
	defer pkt.DecRef()
	pkt.TransportProtocolNumber = header.ICMPv4ProtocolNumber
	icmp := header.ICMPv4(pkt.TransportHeader().Push(header.ICMPv4MinimumSize))
	icmp.SetType(header.ICMPv4TimeExceeded)
	icmp.SetChecksum(header.ICMPv4Checksum(icmp, pkt.Data().Checksum()))
	r.WritePacket(stack.NetworkHeaderParams{Protocol: header.ICMPv4ProtocolNumber, TTL: r.DefaultTTL()}, pkt) // a lost error is no error
}

func isICMPError(ip header.IPv4) bool {
	if ip.Protocol() != uint8(header.ICMPv4ProtocolNumber) {
		return false
	}
	body := ip[ip.HeaderLength():]
	if len(body) == 0 {
		return true // nobody can tell
	}
	switch header.ICMPv4Type(body[0]) {
	case header.ICMPv4DstUnreachable, header.ICMPv4SrcQuench, header.ICMPv4Redirect, header.ICMPv4TimeExceeded, header.ICMPv4ParamProblem:
		return true
	}
	return false
}

// completed is what travels beside a packet that a router may have to cut in fragments,
// none of which would hold all that a half-done checksum is of: it is done first.
func (i *Interface) completed(b []byte, m offload.Meta) offload.Meta {
	if !i.s.cfg.Forward || !m.NeedsCsum || m.GSO != offload.GSONone || int(m.CsumStart) < header.EthernetMinimumSize {
		return m
	}
	for _, to := range i.s.ifaces {
		if len(b) > to.cfg.MTU {
			m.CsumStart -= header.EthernetMinimumSize
			m.Valid = offload.Complete([][]byte{b}, &m)
			return offload.Meta{Valid: m.Valid}
		}
	}
	return m
}

// forwarded says what travels beside a packet that came from elsewhere: what came
// with it. Its sums are what they were. A packet that was merged is passed on as it
// is, if its segments fit.
func (e *endpoint) forwarded(pkt *stack.PacketBuffer, p *Packet) tcpip.Error {
	s := e.i.s
	s.forwarded++
	m := &p.Meta
	*m = s.passing
	m.Valid = false
	if m.GSO != offload.GSONone {
		n, err := offload.HeaderLen(p.Parts, *m) // what came beside it is a hint
		if err != nil {
			return &tcpip.ErrMalformedHeader{}
		}
		if n-header.EthernetMinimumSize+int(m.GSOSize) > e.i.cfg.MTU {
			s.passing.GSO = offload.GSONone // so that MTU is what it is for the error
			return &tcpip.ErrMessageTooLong{}
		}
		m.HdrLen = uint16(n)
	}
	if !m.NeedsCsum {
		return nil
	}
	ip := pkt.NetworkHeader().Slice()
	if s.masqueraded { // the sum of what was the pseudo-header
		sum := pseudoSum(ip, uint8(pkt.TransportProtocolNumber), p.Len-int(m.CsumStart))
		binary.BigEndian.PutUint16(p.at(int(m.CsumStart)+int(m.CsumOffset)), sum)
	}
	if m.GSO == offload.GSONone && !e.i.cfg.TxChecksum {
		offload.Complete(p.Parts, m)
	}
	return nil
}

// at is the two bytes at an offset of the frame, of no use if they are not in one
// part: headers are.
func (p *Packet) at(off int) []byte {
	for _, part := range p.Parts {
		if off+2 <= len(part) {
			return part[off:]
		}
		off -= len(part)
		if off < 0 {
			break
		}
	}
	return make([]byte, 2)
}
