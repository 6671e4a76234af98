package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"ringside/bridge"
	"ringside/cost"
	"ringside/netstack"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// A HostStack is what the host's own network stack has at one interface: at a
// bridge's own, or at a device that is a port of no bridge. The zero value has no
// addresses: there the host takes what comes up and answers nothing.
type HostStack struct {
	MAC       bridge.MAC
	Addresses []netip.Prefix
	MTU       int // 0 means 1500
}

// A HostConfig is what the host's stack has besides its interfaces. The zero value
// is a host that forwards nothing.
type HostConfig struct {
	Forward    bool // IPv4 and IPv6, between all its interfaces
	Routes     []netstack.Route
	Masquerade []Masquerade
}

// A Masquerade gives packets from a network that leave by an interface the address
// of that interface.
type Masquerade struct {
	Out  string
	From netip.Prefix
}

// A hostStack is the host's own network stack, one for all its interfaces. It is
// made when the first frame comes up. Every answer is given in the call that
// brings the question, on the CPU that took it; what its timers do is work of the
// first CPU.
type hostStack struct {
	k     *Kernel
	cfg   HostConfig
	net   *netstack.Stack // nil until it is needed
	ports []*hostPort
	cpu   *CPU // where the present call runs and is charged
	depth int  // datagrams of tunnels that are on their way, one in another
	socks []*hostSocket
	parts [][]byte
	zero6 []uint16 // UDP ports that take packets without a checksum over IPv6
}

// A hostPort is an interface of the host's stack.
type hostPort struct {
	h     *hostStack
	cfg   HostStack
	name  string
	index int32               // of the interface
	br    *netbridge          // the bridge whose own interface it is, or
	dev   *netdev             // the device
	net   *netstack.Interface // nil if it has no addresses, or the stack is not made
}

// newPort makes an interface of the host's.
func (h *hostStack) newPort(cfg HostStack, name string, index int32) *hostPort {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	if name == "" {
		name = fmt.Sprintf("if%d", index)
	}
	p := &hostPort{h: h, cfg: cfg, name: name, index: index}
	h.ports = append(h.ports, p)
	return p
}

// input is br_pass_frame_up's end, or ip_rcv at a device: the stack takes the
// frame, answers within the call, and the frame is delivered.
func (p *hostPort) input(c *CPU, s *skb) {
	k := p.h.k
	c.one(cost.IPRcv, s)
	k.flow.ToHost++
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Delivered, Who: uint32(p.index), A: s.id, B: s.fate()})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, verdict: trace.Deliver, port: p.index, vm: -1})
	}
	if p.h.start() && p.net != nil {
		p.h.deliver(c, p, s)
	}
	c.one(cost.HostConsumeSkb, s)
	k.release(s)
}

// deliver hands a frame to the stack, and what sockets have of it to their owners.
func (h *hostStack) deliver(c *CPU, p *hostPort, s *skb) {
	before := h.enter(c)
	h.parts = s.parts(h.parts[:0])
	m := s.meta()
	m.Valid = m.Valid || h.unsummed(s)
	p.net.Deliver(&netstack.Packet{Parts: h.parts, Len: int(s.length), Meta: m})
	h.net.Poll()
	h.cpu = before
	for _, sock := range h.socks {
		sock.drain(c, s)
	}
}

// enter has the stack run on a CPU and returns the one it ran on before.
func (h *hostStack) enter(c *CPU) *CPU {
	before := h.cpu
	h.cpu = c
	return before
}

// start makes the stack when it is first needed and says whether there is one.
func (h *hostStack) start() bool {
	if h.net != nil {
		return true
	}
	if !h.wanted() || h.k.eng.Err() != nil {
		return false
	}
	if err := h.configure(); err != nil {
		h.close()
		h.k.eng.Fail(err)
		return false
	}
	return true
}

// wanted says that the host has an address.
func (h *hostStack) wanted() bool {
	for _, p := range h.ports {
		if len(p.cfg.Addresses) > 0 {
			return true
		}
	}
	return false
}

// StartHost makes the host's stack, which is else made for the first frame that
// comes up, to see whether it can be.
func (k *Kernel) StartHost() error {
	h := &k.host
	switch {
	case h.net != nil:
		return nil
	case h.wanted():
		return h.configure()
	case len(h.cfg.Routes) > 0 || len(h.cfg.Masquerade) > 0 || h.cfg.Forward:
		return errors.New("kernel: the host is to route and has no address")
	}
	return nil
}

func (h *hostStack) configure() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("kernel: host stack: %w", err)
		}
	}()
	h.net, err = netstack.New(netstack.Config{Name: "netstack", Clock: hostClock{h}, Chance: h.k.eng.Source, Forward: h.cfg.Forward})
	if err != nil {
		return err
	}
	for _, p := range h.ports {
		if len(p.cfg.Addresses) == 0 {
			continue
		}
		p.net, err = h.net.AddInterface(netstack.InterfaceConfig{
			Name: p.name, MAC: p.cfg.MAC, MTU: p.cfg.MTU, Link: p, RxChecksum: true, GSOMax: 65535,
		})
		if err != nil {
			return err
		}
		for _, a := range p.cfg.Addresses {
			if err := p.net.AddAddress(a); err != nil {
				return err
			}
		}
	}
	for _, m := range h.cfg.Masquerade {
		if err := h.net.Masquerade(m.Out, m.From); err != nil {
			return err
		}
	}
	return h.net.SetRoutes(h.cfg.Routes)
}

// close ends the stack and its goroutine.
func (h *hostStack) close() {
	if h.net != nil {
		h.net.Close()
		h.net = nil
	}
}

// Send takes what the stack sends by the interface: one skb a packet.
func (p *hostPort) Send(pkt *netstack.Packet) bool {
	k, c := p.h.k, p.h.cpu
	if c == nil {
		return false // not in a call of ours
	}
	s, err := k.allocSKB(pkt.Len)
	if err != nil {
		return false
	}
	s.id, s.arrived, s.queue = k.newID(), c.clock.Now(), -1
	s.fill(pkt.Parts)
	k.setMeta(s, pkt.Meta)
	if pkt.Forwarded {
		c.one(cost.IPForward, s)
	}
	c.one(cost.IPOutput, s)
	if p.br != nil {
		p.br.xmit(c, s)
	} else {
		p.xmit(c, s)
	}
	return true
}

// fill copies a frame into the buffers of s, which are as long.
func (s *skb) fill(parts [][]byte) {
	into, next := s.data, int8(0)
	for _, part := range parts {
		for len(part) > 0 {
			m := copy(into, part)
			part, into = part[m:], into[m:]
			if len(into) == 0 && next < s.nfrags {
				into = s.frags.buf[next].data
				next++
			}
		}
	}
}

// xmit is dev_queue_xmit of a device that is a port of no bridge.
func (p *hostPort) xmit(c *CPU, s *skb) {
	k := p.h.k
	k.begin(c, s)
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, tx: true, port: p.index, vm: -1})
	}
	c.one(cost.DevQueueXmit, s)
	if p.dev.mirror.out != nil {
		p.dev.mirror.copy(c, p.dev.mirror.out, s)
	}
	p.dev.transmit(c, s)
}

// A udpHandler has the datagrams that come to a port of the host's, on the CPU
// that took them, when the stack is done with them: reassembled, sums verified. S is
// the frame that completed the datagram, freed after the call; to is the address
// it was sent to. The payload is good for the length of the call.
type udpHandler func(c *CPU, s *skb, from, to netip.AddrPort, payload []byte)

// A hostSocket is a UDP port of the host's that a part of the kernel listens to.
type hostSocket struct {
	sock  *netstack.Socket
	port  uint16
	take  udpHandler
	ready bool
	buf   []byte
}

// listenUDP has take called with the datagrams to a port of the host's, to one of
// its addresses or, with the unspecified one, to all of that family. The stack must
// have an address.
func (h *hostStack) listenUDP(at netip.AddrPort, take udpHandler) error {
	if !h.start() {
		return fmt.Errorf("kernel: UDP port %v: the host has no address", at)
	}
	network := "udp6"
	if at.Addr().Is4() {
		network = "udp4"
	}
	before := h.enter(h.k.cpus[0])
	defer func() { h.cpu = before }()
	sock, errno := h.net.Socket(network)
	if errno == syscall.OK {
		errno = sock.Bind(at)
	}
	if errno != syscall.OK {
		return fmt.Errorf("kernel: UDP port %v: %w", at, errno)
	}
	s := &hostSocket{sock: sock, port: at.Port(), take: take, buf: make([]byte, 1<<16)}
	sock.Notify(func() { s.ready = true })
	h.socks = append(h.socks, s)
	return nil
}

// drain hands on what the frame s has brought to a socket.
func (u *hostSocket) drain(c *CPU, s *skb) {
	if !u.ready {
		return
	}
	u.ready = false
	for {
		n, from, errno := u.sock.ReadFrom(u.buf)
		if errno != syscall.OK {
			return
		}
		u.take(c, s, from, netip.AddrPortFrom(s.destination(), u.port), u.buf[:n])
	}
}

// destination is the address that an IP packet is sent to, not valid of another.
func (s *skb) destination() netip.Addr {
	switch b := s.data; {
	case len(b) >= ethHeader+20 && b[12] == 0x08 && b[13] == 0x00:
		return netip.AddrFrom4([4]byte(b[ethHeader+16:]))
	case len(b) >= ethHeader+40 && b[12] == 0x86 && b[13] == 0xdd:
		return netip.AddrFrom16([16]byte(b[ethHeader+24:]))
	}
	return netip.Addr{}
}

// maxDepth is how many tunnels may send by one another (XMIT_RECURSION_LIMIT).
const maxDepth = 8

// sendUDP sends a datagram of a tunnel's on a CPU, from a port that need not be
// open: netstack.Stack.SendUDP. What it sends is charged as ip_output. A tunnel
// whose datagrams go into itself gets ENETDOWN when that has gone too deep.
func (h *hostStack) sendUDP(c *CPU, from, to netip.AddrPort, tos, ttl uint8, df, sum bool, payload [][]byte) syscall.Errno {
	if !h.start() || h.depth == maxDepth {
		return syscall.ENETDOWN
	}
	before := h.enter(c)
	h.depth++
	errno := h.net.SendUDP(from, to, tos, ttl, df, sum, payload)
	h.depth--
	h.cpu = before
	return errno
}

// hostClock is the time of the host as its stack sees it: that of the CPU it runs
// on. Its timers are housekeeping, for which a run does not wait.
type hostClock struct{ h *hostStack }

func (c hostClock) Now() sim.Time {
	if c.h.cpu != nil {
		return c.h.cpu.clock.Now()
	}
	return c.h.k.eng.Now()
}

func (c hostClock) NewTimer(what string, f func()) netstack.Timer {
	t := &hostTimer{h: c.h, f: f}
	t.timer = c.h.k.eng.NewBackgroundTimer(what, t)
	return t
}

// A hostTimer is the stack's timer. Its function runs as a softirq of the first CPU.
type hostTimer struct {
	h     *hostStack
	f     func()
	timer *sim.Timer
}

func (t *hostTimer) Arm(at sim.Time) { t.h.k.eng.Arm(t.timer, at) }

func (t *hostTimer) Disarm() bool {
	armed := t.timer.Armed()
	t.h.k.eng.Disarm(t.timer)
	return armed
}

func (t *hostTimer) Fire(sim.Time) {
	t.h.k.cpus[0].later(func(c *CPU) {
		before := t.h.enter(c)
		t.f()
		t.h.cpu = before
	})
}

// Neighbours is the neighbour table of the host's stack.
func (k *Kernel) Neighbours() []netstack.Neighbour {
	if k.host.net == nil {
		return nil
	}
	return k.host.net.Neighbours()
}

// Routes is the routing table of the host's stack.
func (k *Kernel) Routes() []netstack.Route {
	if !k.host.start() {
		return nil
	}
	return k.host.net.Routes()
}

// A HostInterface is an interface of the host's stack.
type HostInterface struct {
	Name string
	HostStack
}

// HostInterfaces is the interfaces of the host's stack, those without addresses too.
func (k *Kernel) HostInterfaces() (list []HostInterface) {
	for _, p := range k.host.ports {
		list = append(list, HostInterface{p.name, p.cfg})
	}
	return list
}

// HostStats is what the host's stack has counted; ok is false if none was made.
func (k *Kernel) HostStats() (st netstack.Stats, ok bool) {
	if k.host.net == nil {
		return st, false
	}
	return k.host.net.Stats(), true
}
