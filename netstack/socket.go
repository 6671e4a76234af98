package netstack

import (
	"bytes"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"ringside/syscall"
)

// A Socket is an endpoint of a transport protocol. No call blocks: what would
// have to wait returns EAGAIN, or EINPROGRESS for Connect, and Notify says when
// to try again. Ping sockets are of Linux's kind: a program writes an ICMP echo
// request and reads the answer, and the identifier is the socket's port.
type Socket struct {
	s       *Stack
	ep      tcpip.Endpoint
	wait    *waiter.Queue
	own     waiter.Queue // that, unless the socket was accepted
	entry   waiter.Entry
	notify  func()
	network string
	mapped  bool // an IPv6 socket that takes IPv4 addresses
	stream  bool
	loop    bool // connected to this very machine
	closed  bool
	in      bytes.Reader
	out     tcpip.SliceWriter

	prev, next *Socket
}

// Networks are the kinds of sockets. Those without a number take both families.
var networks = map[string]struct {
	transport tcpip.TransportProtocolNumber
	network   tcpip.NetworkProtocolNumber
	mapped    bool
}{
	"tcp":   {tcp.ProtocolNumber, header.IPv6ProtocolNumber, true},
	"tcp4":  {tcp.ProtocolNumber, header.IPv4ProtocolNumber, false},
	"tcp6":  {tcp.ProtocolNumber, header.IPv6ProtocolNumber, false},
	"udp":   {udp.ProtocolNumber, header.IPv6ProtocolNumber, true},
	"udp4":  {udp.ProtocolNumber, header.IPv4ProtocolNumber, false},
	"udp6":  {udp.ProtocolNumber, header.IPv6ProtocolNumber, false},
	"icmp4": {icmp.ProtocolNumber4, header.IPv4ProtocolNumber, false},
	"icmp6": {icmp.ProtocolNumber6, header.IPv6ProtocolNumber, false},
}

// Socket opens a socket of a network: tcp4, tcp6, udp4, udp6, icmp4 or icmp6, or
// tcp or udp for one that takes both families.
func (s *Stack) Socket(network string) (*Socket, syscall.Errno) {
	kind, ok := networks[network]
	if !ok {
		return nil, syscall.EPROTONOSUPPORT
	}
	if s.closed {
		return nil, syscall.ENETDOWN
	}
	k := &Socket{s: s, network: network, mapped: kind.mapped, stream: kind.transport == tcp.ProtocolNumber}
	ep, err := s.gv.NewEndpoint(kind.transport, kind.network, &k.own)
	if err != nil {
		return nil, errnoOf(err)
	}
	if kind.network == header.IPv6ProtocolNumber {
		ep.SocketOptions().SetV6Only(!kind.mapped)
	}
	k.attach(ep, &k.own)
	return k, syscall.OK
}

// attach makes k the newest of the open sockets.
func (k *Socket) attach(ep tcpip.Endpoint, wait *waiter.Queue) {
	k.ep, k.wait = ep, wait
	k.entry.Init(listener{k}, waiter.AllEvents)
	k.wait.EventRegister(&k.entry)
	s := k.s
	if k.prev = s.last; k.prev == nil {
		s.first = k
	} else {
		k.prev.next = k
	}
	s.last = k
}

func (k *Socket) detach() {
	k.closed = true
	k.wait.EventUnregister(&k.entry)
	s := k.s
	if k.prev == nil {
		s.first = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		s.last = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.prev, k.next = nil, nil
	if k.loop {
		s.loops--
	}
}

// A listener is a socket as gVisor notifies it.
type listener struct{ *Socket }

func (l listener) NotifyEvent(waiter.EventMask) {
	if l.notify != nil && !l.s.closed {
		l.notify()
	}
}

// Notify has f called when the readiness may have changed, within whatever call
// into the stack changed it; nil ends that. F may not call back into the stack.
func (k *Socket) Notify(f func()) { k.notify = f }

// enter begins a call on the socket and leave ends it. What a connection to this
// very machine sends is worked on at once.
func (k *Socket) enter() { k.s.enter() }

func (k *Socket) leave() {
	if k.loop {
		k.s.again = true
	}
	k.s.leave()
}

// Bind gives the socket a local address and port. No address means all, port 0 any
// that is free.
func (k *Socket) Bind(a netip.AddrPort) syscall.Errno {
	full, errno := k.full(a)
	if errno != syscall.OK {
		return errno
	}
	k.enter()
	defer k.leave()
	return errnoOf(k.ep.Bind(full))
}

// Connect says who is at the other end. TCP returns EINPROGRESS; when the socket
// is writable, Err says how it went.
func (k *Socket) Connect(a netip.AddrPort) syscall.Errno {
	full, errno := k.full(a)
	if errno != syscall.OK {
		return errno
	}
	if k.stream && !k.loop && k.s.owner(a.Addr().Unmap()) != nil {
		k.loop = true
		k.s.loops++
	}
	k.enter()
	defer k.leave()
	return errnoOf(k.ep.Connect(full))
}

// Listen has the socket take connections, of which backlog may wait for Accept.
func (k *Socket) Listen(backlog int) syscall.Errno {
	k.enter()
	defer k.leave()
	return errnoOf(k.ep.Listen(backlog))
}

// Accept takes the oldest connection that was made, EAGAIN if there is none.
func (k *Socket) Accept() (*Socket, syscall.Errno) {
	k.enter()
	defer k.leave()
	ep, wait, err := k.ep.Accept(nil)
	if err != nil {
		return nil, errnoOf(err)
	}
	c := &Socket{s: k.s, network: k.network, mapped: k.mapped, stream: true}
	c.attach(ep, wait)
	if k.s.owner(c.Remote().Addr()) != nil {
		c.loop = true
		k.s.loops++
	}
	return c, syscall.OK
}

// Read reads from a stream, or one datagram, of which it cuts off what p has no
// room for. 0 and OK from a stream mean that the other side has closed it.
func (k *Socket) Read(p []byte) (int, syscall.Errno) {
	n, _, errno := k.read(p, tcpip.ReadOptions{})
	return n, errno
}

// ReadFrom is Read and says where it came from.
func (k *Socket) ReadFrom(p []byte) (int, netip.AddrPort, syscall.Errno) {
	return k.read(p, tcpip.ReadOptions{NeedRemoteAddr: true})
}

// Peek is Read, and what was read can be read again.
func (k *Socket) Peek(p []byte) (int, syscall.Errno) {
	n, _, errno := k.read(p, tcpip.ReadOptions{Peek: true})
	return n, errno
}

func (k *Socket) read(p []byte, opts tcpip.ReadOptions) (int, netip.AddrPort, syscall.Errno) {
	k.enter()
	defer k.leave()
	k.out = p
	res, err := k.ep.Read(&k.out, opts)
	k.out = nil
	switch err.(type) {
	case nil:
	case *tcpip.ErrClosedForReceive:
		return 0, netip.AddrPort{}, syscall.OK
	case *tcpip.ErrBadBuffer: // no byte of a datagram has room in p
		return 0, addrPortOf(res.RemoteAddr), syscall.OK
	default:
		return 0, netip.AddrPort{}, errnoOf(err)
	}
	if k.stream && !opts.Peek {
		k.ep.ModerateRecvBuf(res.Count)
	}
	return res.Count, addrPortOf(res.RemoteAddr), syscall.OK
}

// Write writes to a stream as much as it has room for, or one datagram to whom the
// socket is connected.
func (k *Socket) Write(p []byte) (int, syscall.Errno) { return k.write(p, nil) }

// WriteTo sends one datagram.
func (k *Socket) WriteTo(p []byte, to netip.AddrPort) (int, syscall.Errno) {
	full, errno := k.full(to)
	if errno != syscall.OK {
		return 0, errno
	}
	return k.write(p, &full)
}

func (k *Socket) write(p []byte, to *tcpip.FullAddress) (int, syscall.Errno) {
	k.enter()
	defer k.leave()
	k.in.Reset(p)
	s := k.s
	s.summing = !k.stream && s.cuts(len(p))
	n, err := k.ep.Write(&k.in, tcpip.WriteOptions{To: to})
	s.summing = false
	k.in.Reset(nil)
	return int(n), errnoOf(err)
}

// cuts says that a datagram of n bytes may have to leave in fragments.
func (s *Stack) cuts(n int) bool {
	for _, i := range s.ifaces {
		if n > i.cfg.MTU-header.IPv6MinimumSize-header.UDPMinimumSize {
			return true
		}
	}
	return false
}

// Shutdown ends one direction of a stream, or both.
func (k *Socket) Shutdown(rd, wr bool) syscall.Errno {
	var how tcpip.ShutdownFlags
	if rd {
		how |= tcpip.ShutdownRead
	}
	if wr {
		how |= tcpip.ShutdownWrite
	}
	k.enter()
	defer k.leave()
	return errnoOf(k.ep.Shutdown(how))
}

// Close closes the socket. A stream is ended properly after that, by the stack
// alone. Closing twice is allowed; any other call fails after it.
func (k *Socket) Close() { k.end(tcpip.Endpoint.Close) }

// Abort closes the socket at once: the other side of a stream gets a reset.
func (k *Socket) Abort() { k.end(tcpip.Endpoint.Abort) }

func (k *Socket) end(how func(tcpip.Endpoint)) {
	if k.closed {
		return
	}
	k.enter()
	how(k.ep)
	k.s.again = k.s.again || k.loop
	k.detach()
	k.s.leave()
}

// Local is the socket's own address, not valid before it has one.
func (k *Socket) Local() netip.AddrPort {
	a, err := k.ep.GetLocalAddress()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.whole(a)
}

// Remote is the address at the other end, not valid if it is not connected.
func (k *Socket) Remote() netip.AddrPort {
	a, err := k.ep.GetRemoteAddress()
	if err != nil {
		return netip.AddrPort{}
	}
	return k.whole(a)
}

// Ready is what the socket is ready for, of PollIn, PollOut, PollErr, PollHup and
// PollRdHup.
func (k *Socket) Ready() syscall.Events {
	const all = waiter.EventIn | waiter.EventOut | waiter.EventErr | waiter.EventHUp | waiter.EventRdHUp
	return syscall.Events(k.ep.Readiness(all) & all) // both have Linux's numbers
}

// Err is the error that waits on the socket, and takes it away.
func (k *Socket) Err() syscall.Errno {
	k.enter()
	defer k.leave()
	return errnoOf(k.ep.LastError())
}

// full is an address in gVisor's words.
func (k *Socket) full(a netip.AddrPort) (tcpip.FullAddress, syscall.Errno) {
	if k.closed || k.s.closed {
		return tcpip.FullAddress{}, syscall.EBADF
	}
	addr := a.Addr()
	switch six := k.network != "" && k.network[len(k.network)-1] == '6'; {
	case !addr.IsValid():
	case k.mapped && addr.Is4():
		addr = netip.AddrFrom16(addr.As16())
	case !k.mapped && addr.Is4() == six:
		return tcpip.FullAddress{}, syscall.EAFNOSUPPORT
	}
	full := tcpip.FullAddress{Port: a.Port()}
	if addr.IsValid() && !addr.IsUnspecified() {
		full.Addr = addressOf(addr)
	}
	if i := k.s.iface(addr.Zone()); i != nil {
		full.NIC = i.id
	}
	return full, syscall.OK
}

// whole is an address of the socket's in our words: the unspecified one is written
// out.
func (k *Socket) whole(a tcpip.FullAddress) netip.AddrPort {
	if a.Addr.Len() != 0 {
		return addrPortOf(a)
	}
	if k.network[len(k.network)-1] == '4' {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port)
}

func addrPortOf(a tcpip.FullAddress) netip.AddrPort {
	return netip.AddrPortFrom(addrOf(a.Addr).Unmap(), a.Port)
}
