package guest

import (
	"io"
	"net"
	"net/netip"
	"time"

	"ringside/netstack"
	"ringside/sim"
	"ringside/syscall"
)

// A socket is an open socket and who waits for it. It has what all kinds of
// connections share: deadlines, addresses, closing.
type socket struct {
	k       *Kernel
	ns      *netstack.Socket
	network string // as given to Dial or Listen
	peer    netip.AddrPort

	readBy, writeBy sim.Time // deadlines; 0 means none
	closed          bool

	waiters
	isNotified   bool // on the kernel's list of those to be looked at
	nextNotified *socket
}

// adopt makes s the face of ns.
func (s *socket) adopt(k *Kernel, network string, ns *netstack.Socket) {
	s.k, s.ns, s.network = k, ns, network
	ns.Notify(s.notify)
}

// notify is called from within the stack, which may not be asked anything then.
func (s *socket) notify() {
	if s.isNotified || s.waiters.first == nil {
		return
	}
	s.isNotified = true
	*s.k.notifiedEnd, s.k.notifiedEnd = s, &s.nextNotified
}

// wakeReady wakes those whose condition holds.
func (s *socket) wakeReady() {
	if s.waiters.first == nil || s.closed {
		return
	}
	ready := s.ns.Ready()
	if ready&(syscall.PollErr|syscall.PollHup) != 0 {
		s.wakeAll()
		return
	}
	s.wake(ready)
}

// wait has the process wait until one of the events may hold, or the deadline by.
// What it waits for may have come within the very call that would not go on, as on a
// connection to the machine itself: then it is tried again, once.
func (s *socket) wait(p *Proc, want syscall.Events, by sim.Time) progress {
	if c := &p.call; !c.asked && s.ns.Ready()&want != 0 {
		c.asked = true
		return again
	}
	p.call.asked = false
	return s.sleep(p, want, by)
}

// SetOption sets a socket option.
func (s *socket) SetOption(o netstack.Option, v int) error {
	if p := s.k.inside; p != nil {
		p.call.number, p.call.value = int(o), v
	}
	_, err := s.enter("set", doSetOption, nil, none)
	return err
}

// Option is what a socket option is set to.
func (s *socket) Option(o netstack.Option) (int, error) {
	if p := s.k.inside; p != nil {
		p.call.number = int(o)
	}
	c, err := s.enter("get", doOption, nil, none)
	return c.n, err
}

// enter makes a system call on s with buf. The error is wrapped as package net
// does it.
func (s *socket) enter(op string, do attempt, buf []byte, to netip.AddrPort) (*call, error) {
	if s.k.inside == nil { // the machine has been switched off
		return new(call), s.wrap(op, net.ErrClosed)
	}
	c := &s.k.inside.call
	c.sock, c.buf, c.addr = s, buf, to
	return c, s.wrap(op, s.k.enter(do))
}

// wrap makes an error one of package net.
func (s *socket) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &net.OpError{Op: op, Net: s.network, Addr: s.LocalAddr(), Err: err}
	if s.peer.IsValid() {
		e.Source, e.Addr = e.Addr, s.RemoteAddr()
	}
	return e
}

// asked has an error name the address that could not be had and no other, as package
// net's do: what the socket had of its own is gone, or was never there.
func (s *socket) asked(err error, a netip.AddrPort) error {
	if op, ok := err.(*net.OpError); ok {
		op.Source, op.Addr = nil, address(s.network, a)
	}
	return err
}

// Close closes the socket. Calls that wait for it return net.ErrClosed. A stream
// goes on sending what it was given, in the background.
func (s *socket) Close() error {
	switch {
	case s.k.closed: // the program is on its way out
		return nil
	case s.closed:
		return s.wrap("close", net.ErrClosed)
	}
	_, err := s.enter("close", doClose, nil, netip.AddrPort{})
	return err
}

// LocalAddr is the address on this side.
func (s *socket) LocalAddr() net.Addr { return address(s.network, s.ns.Local()) }

// RemoteAddr is the address on the other side, if the socket has one.
func (s *socket) RemoteAddr() net.Addr { return address(s.network, s.peer) }

// SetDeadline sets the deadlines of reading and of writing, as dates of the
// machine's clock (Proc.Now). The zero Time is none.
func (s *socket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reading and accepting.
func (s *socket) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.readBy, t) }

// SetWriteDeadline sets the deadline of writing.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.writeBy, t) }

func (s *socket) setDeadline(by *sim.Time, t time.Time) error {
	if s.closed {
		return s.wrap("set", net.ErrClosed)
	}
	if *by = 0; !t.IsZero() {
		*by = max(moment(t), 1)
	}
	if !s.k.closed {
		s.wakeAll()
	}
	return nil
}

var none netip.AddrPort

// A Conn is a connection, net.Conn in full: a stream, or a datagram socket with
// one peer. Deadlines are dates of the machine's clock.
type Conn struct {
	socket
	stream bool
}

// Read reads into b. A stream that the other side has closed gives io.EOF; a
// datagram that does not fit is cut.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 && c.stream {
		return 0, nil
	}
	call, err := c.enter("read", doRead, b, none)
	n := call.n
	if n == 0 && err == nil && c.stream {
		return 0, io.EOF
	}
	return n, err
}

// Write writes all of b: into the stream, or as one datagram.
func (c *Conn) Write(b []byte) (int, error) {
	do := attempt(doSend)
	if c.stream {
		if do = doWrite; len(b) == 0 {
			return 0, nil
		}
	}
	call, err := c.enter("write", do, b, none)
	return call.n, err
}

// CloseWrite says that nothing more will be sent: the other side reads io.EOF.
func (c *Conn) CloseWrite() error { return c.shutdown(shutWrite) }

// CloseRead says that nothing more will be read.
func (c *Conn) CloseRead() error { return c.shutdown(shutRead) }

func (c *Conn) shutdown(how int) error {
	if c.closed {
		return c.wrap("close", net.ErrClosed)
	}
	if c.k.inside != nil {
		c.k.inside.call.number = how
	}
	_, err := c.enter("close", doShutdown, nil, none)
	return err
}

// A Listener takes connections of a TCP port. It is net.Listener.
type Listener struct{ socket }

// Accept waits for the next connection. It is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	call, err := l.enter("accept", doAccept, nil, none)
	if err != nil {
		return nil, err
	}
	c := &Conn{stream: true}
	c.adopt(l.k, l.network, call.ns)
	c.peer = call.ns.Remote()
	return c, nil
}

// Addr is the address that the listener is bound to.
func (l *Listener) Addr() net.Addr { return l.LocalAddr() }

// A PacketConn is a socket for datagrams of any peer. It is net.PacketConn.
type PacketConn struct{ socket }

// ReadFrom reads one datagram and says who sent it. One that does not fit is cut.
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, address(c.network, from), nil
}

// ReadFromAddrPort is ReadFrom without an allocation.
func (c *PacketConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	call, err := c.enter("read", doReadFrom, b, none)
	return call.n, call.addr, err
}

// WriteTo sends one datagram.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	a, err := addrPort(to)
	if err != nil {
		return 0, c.wrap("write", err)
	}
	return c.WriteToAddrPort(b, a)
}

// WriteToAddrPort is WriteTo without an allocation.
func (c *PacketConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	call, err := c.enter("write", doSend, b, to)
	return call.n, err
}

var (
	_ net.Conn       = (*Conn)(nil)
	_ net.Listener   = (*Listener)(nil)
	_ net.PacketConn = (*PacketConn)(nil)
)
