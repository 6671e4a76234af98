package netstack

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"ringside/offload"
	"ringside/syscall"
)

// A tunnel keeps the routes of datagrams that no socket sends.
type tunnel struct {
	routes []tunnelRoute
	index  map[ends]int32
}

type ends struct{ from, to netip.Addr }

type tunnelRoute struct {
	ends
	r *stack.Route
}

// maxTunnelRoutes bounds what is kept; with more all are looked up anew.
const maxTunnelRoutes = 4096

// unsummed marks a packet whose checksums are to stay as they are.
const unsummed = 1

// SendUDP sends a datagram from a port that need not be open, as tunnels do:
// route, neighbour, header. TTL 0 is the stack's default. From may have the zero address, for that of the
// interface. While the neighbour is asked for, the datagram waits. With df one
// that does not fit returns EMSGSIZE; without, it leaves in fragments. Without
// sum the checksum is 0, over IPv6 too, as tunnels may have it [RFC 6935].
func (s *Stack) SendUDP(from, to netip.AddrPort, tos, ttl uint8, df, sum bool, payload [][]byte) syscall.Errno {
	if s.closed {
		return syscall.ENETDOWN
	}
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	if n > header.UDPMaximumPacketSize {
		return syscall.EMSGSIZE
	}
	defer s.leaveTunnel(s.enterTunnel())
	r, errno := s.tunnelRoute(from.Addr(), to.Addr())
	if errno != syscall.OK {
		return errno
	}
	size := header.UDPMinimumSize + n
	if df && size > int(r.MTU()) {
		return syscall.EMSGSIZE
	}
	view := buffer.NewView(n)
	for _, p := range payload {
		view.Write(p)
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.UDPMinimumSize + int(r.MaxHeaderLength()),
		Payload:            buffer.MakeWithView(view),
	})
	defer pkt.DecRef()
	h := header.UDP(pkt.TransportHeader().Push(header.UDPMinimumSize))
	pkt.TransportProtocolNumber = udp.ProtocolNumber
	h.Encode(&header.UDPFields{SrcPort: from.Port(), DstPort: to.Port(), Length: uint16(size)})
	switch {
	case !sum:
		pkt.Mark = unsummed
	case size > int(r.MTU()): // fragments are not summed on their way out
		sumUDP(h, r, pkt)
	}
	if ttl == 0 {
		ttl = r.DefaultTTL()
	}
	err := r.WritePacket(stack.NetworkHeaderParams{Protocol: udp.ProtocolNumber, TTL: ttl, TOS: tos, DF: df}, pkt)
	return errnoOf(err)
}

// enterTunnel is enter for a packet that is the stack's own, though another may be on its
// way through it at this moment: nothing travels beside it.
func (s *Stack) enterTunnel() (passing offload.Meta) {
	s.enter()
	passing, s.passing = s.passing, offload.Meta{}
	return passing
}

func (s *Stack) leaveTunnel(passing offload.Meta) {
	s.passing = passing
	s.leave()
}

// MTU is the longest IP packet that goes from an address, which may be the zero one,
// towards another without being cut.
func (s *Stack) MTU(from, to netip.Addr) (int, syscall.Errno) {
	if s.closed {
		return 0, syscall.ENETDOWN
	}
	defer s.leaveTunnel(s.enterTunnel())
	r, errno := s.tunnelRoute(from, to)
	if errno != syscall.OK {
		return 0, errno
	}
	if to.Unmap().Is4() {
		return int(r.MTU()) + header.IPv4MinimumSize, syscall.OK
	}
	return int(r.MTU()) + header.IPv6MinimumSize, syscall.OK
}

// sumUDP writes the checksum of a datagram; 0 is written as all ones [RFC 768].
func sumUDP(h header.UDP, r *stack.Route, pkt *stack.PacketBuffer) {
	sum := r.PseudoHeaderChecksum(udp.ProtocolNumber, uint16(pkt.Size()))
	sum = ^h.CalculateChecksum(checksum.Combine(sum, pkt.Data().Checksum()))
	if sum == 0 {
		sum = 0xFFFF
	}
	h.SetChecksum(sum)
}

// tunnelRoute looks a route up once.
func (s *Stack) tunnelRoute(from, to netip.Addr) (*stack.Route, syscall.Errno) {
	key := ends{from.Unmap(), to.Unmap()}
	if key.from.IsUnspecified() {
		key.from = netip.Addr{}
	}
	t := &s.tunnel
	if n, ok := t.index[key]; ok {
		return t.routes[n].r, syscall.OK
	}
	if !key.to.IsValid() {
		return nil, syscall.EDESTADDRREQ
	}
	r, err := s.gv.FindRoute(0, addressOf(key.from), addressOf(key.to), protocolOf(key.to), false)
	if err != nil {
		return nil, errnoOf(err)
	}
	if len(t.routes) == maxTunnelRoutes {
		t.forget()
	}
	if t.index == nil {
		t.index = map[ends]int32{}
	}
	t.index[key] = int32(len(t.routes))
	t.routes = append(t.routes, tunnelRoute{key, r})
	return r, syscall.OK
}

// forget lets the routes go, since addresses or routes have changed.
func (t *tunnel) forget() {
	for _, r := range t.routes {
		r.r.Release()
	}
	t.routes, t.index = nil, nil
}
