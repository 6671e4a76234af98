package guest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"ringside/sim"
	"ringside/syscall"
)

// A Proc is a process, as its program sees it. Its methods may be called by its
// program alone.
type Proc struct {
	k    *Kernel
	name string
	main Program
	rand *rand.Rand

	resume  func() (struct{}, bool) // nil until it first runs
	yield   func(struct{}) bool
	call    call
	killed  bool
	refused int // times the program recovered from being killed

	waiting bool
	alarm   timer
	want    syscall.Events
	on      *waiters // that it is one of

	next           *Proc // on the run queue
	nextWaiter     *Proc // of the same thing
	older, younger *Proc // on the list of all
}

// Name is the process's name.
func (p *Proc) Name() string { return p.name }

// Machine is the name of the guest.
func (p *Proc) Machine() string { return p.k.cfg.Name }

// Go starts a process beside this one. It first runs when this one waits.
func (p *Proc) Go(name string, main Program) { p.k.spawn(name, main, 0) }

// Now is the machine's time as a date; every run begins at the same one. Deadlines
// of connections are dates of this clock.
func (p *Proc) Now() time.Time { return date(p.k.cpu.Now()) }

// Time is the machine's time, from the beginning of the run.
func (p *Proc) Time() sim.Time { return p.k.cpu.Now() }

// Sleep gives the CPU away for the span d. It is a system call.
func (p *Proc) Sleep(d time.Duration) { p.SleepUntil(p.k.after(d)) }

// SleepUntil gives the CPU away until the time at.
func (p *Proc) SleepUntil(at sim.Time) {
	p.k.caller().call.until = at
	p.k.enter(doSleep)
}

// after is the time when the span d is over.
func (k *Kernel) after(d time.Duration) sim.Time {
	now, span := k.cpu.Now(), sim.FromDuration(max(d, 0))
	if span >= sim.Never-now {
		return sim.Never
	}
	return now + span
}

// Work says that the program works for the span d, on top of what beginning a
// piece of work costs. Interrupts come between, and other processes when the slice
// is over.
func (p *Proc) Work(d time.Duration) {
	c := &p.k.caller().call
	c.work, c.free = min(max(sim.FromDuration(d), 0), sim.Never/2), true
	p.k.enter(doWork)
}

// Rand is the process's chance, seeded by the names of machine and process.
func (p *Proc) Rand() *rand.Rand {
	if p.rand == nil {
		p.rand = rand.New(p.k.cfg.Chance(p.k.cfg.Name + "/" + p.name))
	}
	return p.rand
}

// Logf writes a line to the machine's log.
func (p *Proc) Logf(format string, args ...any) { p.k.logf(p.name, format, args...) }

// Dial connects to an address as package net writes it: "tcp", "tcp4", "tcp6",
// "udp", "udp4", "udp6" with "host:port", or "icmp", "icmp4", "icmp6" with "host".
// A host is an IP literal or a name for LookupHost; its addresses are tried in
// turn. The result is a *Conn.
func (p *Proc) Dial(network, address string) (net.Conn, error) {
	return p.dial(network, address, 0)
}

// DialTimeout is Dial that gives up after the span d.
func (p *Proc) DialTimeout(network, address string, d time.Duration) (net.Conn, error) {
	return p.dial(network, address, p.k.after(d))
}

func (p *Proc) dial(network, address string, by sim.Time) (net.Conn, error) {
	wrong := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	proto, f, err := parseNetwork(network)
	if err != nil {
		return wrong(err)
	}
	host, port, err := splitAddress(proto, address)
	if err != nil {
		return wrong(err)
	}
	addrs, err := p.lookup(host, f, by)
	if err != nil {
		return wrong(err)
	}
	err = net.UnknownNetworkError(network)
	for _, a := range addrs {
		c := &Conn{stream: proto == "tcp"}
		if err = c.dial(p.k, network, named(proto, a), netip.AddrPortFrom(a, port), by); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// dial makes c a connection to a.
func (c *Conn) dial(k *Kernel, network, kind string, a netip.AddrPort, by sim.Time) error {
	if err := c.make(k, "dial", network, kind); err != nil {
		return err
	}
	c.peer = a
	k.caller().call.until = by
	if _, err := c.enter("dial", doConnect, nil, a); err != nil {
		c.Close()
		return c.asked(err, a)
	}
	return nil
}

// make is socket(2).
func (s *socket) make(k *Kernel, op, network, kind string) error {
	c := &k.caller().call
	c.network = kind
	if err := k.enter(doSocket); err != nil {
		return &net.OpError{Op: op, Net: network, Err: err}
	}
	s.adopt(k, network, c.ns)
	return nil
}

// backlog is how many connections may wait for Accept (somaxconn).
const backlog = 4096

// Listen opens a TCP port on an address as package net writes it: "host:port", or
// ":port" for all addresses; port 0 is any that is free. Network "tcp" without a
// host takes IPv6 and IPv4. The result is a *Listener.
func (p *Proc) Listen(network, address string) (net.Listener, error) {
	l := &Listener{}
	if err := l.bind(p, network, address, "tcp"); err != nil {
		return nil, err
	}
	p.k.caller().call.number = backlog
	if _, err := l.enter("listen", doListen, nil, none); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// ListenPacket opens a socket for datagrams of any peer: "udp", "udp4", "udp6"
// with "host:port", or "icmp4", "icmp6" with "host", which sends ICMP echo requests
// and receives the replies to them. The result is a *PacketConn.
func (p *Proc) ListenPacket(network, address string) (net.PacketConn, error) {
	c := &PacketConn{}
	if err := c.bind(p, network, address, "udp", "icmp"); err != nil {
		return nil, err
	}
	return c, nil
}

// bind makes s a socket that is bound to an address.
func (s *socket) bind(p *Proc, network, address string, protos ...string) error {
	wrong := func(err error) error { return &net.OpError{Op: "listen", Net: network, Err: err} }
	proto, f, err := parseNetwork(network)
	if err != nil || !slices.Contains(protos, proto) {
		return wrong(net.UnknownNetworkError(network))
	}
	host, port, err := splitAddress(proto, address)
	if err != nil {
		return wrong(err)
	}
	a, kind := netip.Addr{}, network // all addresses, of the families of the network
	switch {
	case host != "":
		addrs, err := p.lookup(host, f, 0)
		if err != nil {
			return wrong(err)
		}
		a, kind = addrs[0], named(proto, addrs[0])
	case network == "icmp":
		kind = "icmp4"
	}
	if err := s.make(p.k, "listen", network, kind); err != nil {
		return err
	}
	to := netip.AddrPortFrom(a, port)
	if _, err := s.enter("listen", doBind, nil, to); err != nil {
		s.Close()
		return s.asked(err, to)
	}
	return nil
}
