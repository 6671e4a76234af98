package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
	"ringside/vxlan"
)

// A vtep is an interface of kind vxlan. What its bridge sends by it goes out in UDP
// packets of the host's own stack, and what comes in such packets comes in by it:
//
//	br_forward ─► vxlan_xmit ─► udp_tunnel_xmit_skb ─► ip_output ─► the underlay's port
//	br_handle_frame ◄─ gro_cell_poll ◄─ vxlan_rcv ◄─ the host's UDP ◄─ ip_rcv
//
// In the account of frames the one inside and the one outside are two: the inner frame
// is delivered to the host, and the outer one begins there; likewise on the way back.
type vtep struct {
	k     *Kernel
	net   *netdev
	v     *vxlan.VTEP
	timer *sim.Timer // for entries that age

	// Room to work in.
	head, reply []byte
	header      [vxlan.HeaderLen]byte
	parts       [][]byte
}

// A vxlanPort is a UDP port of the host that VTEPs of one family share.
type vxlanPort struct {
	k      *Kernel
	at     netip.AddrPort
	socket vxlan.Socket
}

// AddVTEP makes an interface of v, plugs it in, and opens its UDP port on the host's
// stack, whose interfaces must be there by then. MTU 0 means that of the underlay less
// vxlan.Overhead; a frame that is longer all the same is sent in fragments over IPv4.
func (k *Kernel) AddVTEP(v *vxlan.VTEP, at Interface) (bridge.Port, error) {
	t := &vtep{k: k, net: &netdev{}, v: v}
	t.net.vxlan = t
	for _, e := range v.Entries() {
		for _, r := range e.Remotes {
			if k.host.owns(r.Addr) {
				return 0, fmt.Errorf("kernel: %s: remote %v is an address of this very host; join two bridges of a host with a patch", at.Port.Name, r.Addr)
			}
		}
	}
	if at.MTU == 0 {
		at.MTU = k.host.mtuTowards(v) - vxlan.Overhead(v.IPv6())
	}
	if err := k.plug(t.net, at, math.MaxInt32); err != nil {
		return 0, err
	}
	t.timer = k.eng.NewBackgroundTimer("vxlan_cleanup", sim.HandlerFunc(t.expired))
	port, err := k.vxlanPort(v)
	if err == nil {
		err = port.socket.Add(v)
	}
	if err != nil {
		return 0, fmt.Errorf("kernel: %s: %w", at.Port.Name, err)
	}
	k.vteps = append(k.vteps, t)
	t.arm()
	return t.net.port, nil
}

// vxlanPort is the UDP port that v listens to, opened if it is the first.
func (k *Kernel) vxlanPort(v *vxlan.VTEP) (*vxlanPort, error) {
	any := netip.IPv4Unspecified()
	if v.IPv6() {
		any = netip.IPv6Unspecified()
	}
	at := netip.AddrPortFrom(any, v.Config().Port)
	for _, p := range k.tunnels {
		if p.at == at {
			return p, nil
		}
	}
	p := &vxlanPort{k: k, at: at}
	if err := k.host.listenUDP(at, p.receive); err != nil {
		return nil, err
	}
	if v.IPv6() && v.Config().ZeroChecksumRx {
		k.host.zero6 = append(k.host.zero6, at.Port())
	}
	k.tunnels = append(k.tunnels, p)
	return p, nil
}

// unsummed says that s is a UDP packet over IPv6 without a checksum, to a port that
// takes them (udp_set_no_check6_rx) [RFC 6935].
func (h *hostStack) unsummed(s *skb) bool {
	const ports = ethHeader + 40
	b := s.data
	return len(h.zero6) > 0 && len(b) >= ports+8 && b[12] == 0x86 && b[13] == 0xdd && b[ethHeader+6] == 17 &&
		b[ports+6] == 0 && b[ports+7] == 0 && slices.Contains(h.zero6, binary.BigEndian.Uint16(b[ports+2:]))
}

// VTEPs is those that were added, in their order.
func (k *Kernel) VTEPs() []*vxlan.VTEP {
	var list []*vxlan.VTEP
	for _, t := range k.vteps {
		list = append(list, t.v)
	}
	return list
}

// ChangeVTEP has f change a VTEP at the present time, from outside of the event loop or
// in a timer.
func (k *Kernel) ChangeVTEP(v *vxlan.VTEP, f func(*vxlan.VTEP) error) error {
	for _, t := range k.vteps {
		if t.v == v {
			v.Tick(k.eng.Now())
			err := f(v)
			t.arm()
			return err
		}
	}
	return fmt.Errorf("kernel: %s is no interface of this host", v.Config().Name)
}

// owns says that a is one of the host's addresses.
func (h *hostStack) owns(a netip.Addr) bool {
	for _, p := range h.ports {
		for _, own := range p.cfg.Addresses {
			if own.Addr() == a {
				return true
			}
		}
	}
	return false
}

// mtuTowards is the MTU of the interface that has a VTEP's address, or reaches its
// first remote; else the least of all.
func (h *hostStack) mtuTowards(v *vxlan.VTEP) int {
	c, least := v.Config(), 0
	for _, p := range h.ports {
		for _, own := range p.cfg.Addresses {
			if own.Addr() == c.Local || !c.Local.IsValid() && len(c.Remotes) > 0 && own.Contains(c.Remotes[0]) {
				return p.cfg.MTU
			}
			if least == 0 || p.cfg.MTU < least {
				least = p.cfg.MTU
			}
		}
	}
	if least == 0 {
		return 1500
	}
	return least
}

// arm keeps the timer armed for when an entry may have aged.
func (t *vtep) arm() {
	if due := t.v.Due(); due < t.timer.At() {
		t.k.eng.Arm(t.timer, max(due, t.k.eng.Now()))
	}
}

// expired is vxlan_cleanup, a timer of the first CPU's.
func (t *vtep) expired(sim.Time) {
	t.k.cpus[0].later(func(c *CPU) {
		if n := t.v.Tick(c.clock.Now()); n > 0 {
			c.shared(cost.VxlanCleanup, uint64(n), t.net.name)
		}
		t.arm()
	})
}

// xmit is vxlan_xmit: one packet for each remote, those before the last made of clones.
func (t *vtep) xmit(c *CPU, s *skb) {
	k := t.k
	e := t.v.Encap(s.headIn(&t.head), int(s.length))
	for range e.Lookups {
		c.one(cost.VxlanFdbFind, s)
	}
	if e.Reason != cost.NotDropped {
		c.drop(s, cost.Tunnel, e.Reason)
		return
	}
	// A tunnel may lead into a tunnel, down to this very one: what is still to be sent
	// stands on a stack.
	base := len(k.outs)
	k.outs = append(k.outs, e.Out...)
	n := len(e.Out)
	s.holders += int32(n - 1)
	k.flow.Cloned += uint64(n - 1)
	for i := range n {
		if i < n-1 {
			c.one(cost.VxlanClone, s)
		}
		o := k.outs[base+i]
		t.xmitOne(c, s, &o)
	}
	k.outs = k.outs[:base]
}

// xmitOne is vxlan_xmit_one for one holder of s.
func (t *vtep) xmitOne(c *CPU, s *skb, o *vxlan.Out) {
	if t.k.host.owns(o.To.Addr()) { // set so since it was plugged in: see encap_bypass_if_local
		c.drop(s, cost.Tunnel, cost.VXLANVNINotFound)
		return
	}
	if t.tooBig(c, s, o) {
		return
	}
	c.acct.Once(cost.VxlanXmit)
	if c.watched {
		c.note(cost.VxlanXmit, s, 1, 0, o.String())
	}
	c.one(cost.UDPTunnelXmit, s)
	t.header = o.Header
	t.parts = s.parts(append(t.parts[:0], t.header[:]))
	df := o.DF || t.v.IPv6() // IPv6's sender does not fragment for a tunnel
	switch errno := t.k.host.sendUDP(c, o.From, o.To, o.TOS, o.TTL, df, o.Checksum, t.parts); errno {
	case syscall.OK:
		t.taken(c, s)
	case syscall.EMSGSIZE:
		c.drop(s, cost.Tunnel, cost.PktTooBig)
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH:
		c.drop(s, cost.Tunnel, cost.IPOutNoRoutes)
	case syscall.ENOBUFS:
		c.drop(s, cost.Tunnel, cost.NoMem)
	default:
		c.drop(s, cost.Tunnel, cost.NotSpecified)
	}
}

// taken counts a frame that the host's stack has taken in a packet of its own.
func (t *vtep) taken(c *CPU, s *skb) {
	k := t.k
	k.flow.ToHost++
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Delivered, Who: uint32(t.net.index), A: s.id, B: s.fate()})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, verdict: trace.Deliver, port: t.net.index, vm: -1})
	}
	k.release(s)
}

// tooBig is skb_tunnel_check_pmtu: at a port of a bridge a packet that is too long for
// the way to the remote and may not be cut is answered for, and dropped.
func (t *vtep) tooBig(c *CPU, s *skb, o *vxlan.Out) bool {
	if t.net.br == nil || int(s.length) <= minUnderlay {
		return false
	}
	mtu, errno := t.k.host.mtu(c, o.From.Addr(), o.To.Addr())
	mtu -= vxlan.Overhead(t.v.IPv6())
	if errno != syscall.OK || vxlan.Fits(int(s.length), mtu) {
		return false
	}
	t.head = s.first(t.head[:0], ethHeader+1280)
	if t.reply = vxlan.TooBig(t.reply[:0], t.head, mtu); len(t.reply) == 0 {
		return false
	}
	c.one(cost.SkbTunnelCheckPmtu, s)
	c.drop(s, cost.Tunnel, cost.PktTooBig)
	if r := t.inner(c, t.reply, c.clock.Now()); r != nil {
		c.netifRx(t.net, r)
	}
	return true
}

// minUnderlay is a length that fits into the packets of any underlay.
const minUnderlay = 576 - 70 - 4

// mtu is the longest IP packet that goes from one address to another.
func (h *hostStack) mtu(c *CPU, from, to netip.Addr) (int, syscall.Errno) {
	if !h.start() {
		return 0, syscall.ENETDOWN
	}
	before := h.enter(c)
	defer func() { h.cpu = before }()
	return h.net.MTU(from, to)
}

// receive is vxlan_rcv: a datagram has come to the port in the frame s.
func (p *vxlanPort) receive(c *CPU, s *skb, from, _ netip.AddrPort, payload []byte) {
	c.one(cost.VxlanRcv, s)
	sender := from.Addr().Unmap().WithZone("")
	d := p.socket.Decap(payload, len(payload), sender, s.trafficClass(), c.clock.Now())
	frame := payload[min(vxlan.HeaderLen, len(payload)):]
	switch d.Learned {
	case vxlan.Refreshed, vxlan.Refused, vxlan.Fixed:
		c.snooped(cost.VxlanSnoop, s, frame, sender)
	case vxlan.Created, vxlan.Moved:
		c.snooped(cost.VxlanSnoopNew, s, frame, sender)
	}
	if d.ECN != vxlan.NotECT {
		vxlan.SetECN(frame, d.ECN)
	}
	t := p.vtep(d.VTEP)
	in := t.inner(c, frame, s.arrived)
	switch {
	case in == nil:
	case d.Reason != cost.NotDropped:
		c.drop(in, cost.Tunnel, d.Reason)
	default:
		c.one(cost.GroCellsReceive, in)
		c.queue(t.net, in)
	}
	t.arm()
}

// snooped charges that the source of the inner frame was looked up.
func (c *CPU) snooped(step cost.Step, s *skb, frame []byte, sender netip.Addr) {
	c.acct.Once(step)
	if c.watched {
		c.note(step, s, 1, 0, fmt.Sprintf("%v behind %v", vxlan.MAC(frame[6:]), sender))
	}
}

// vtep is the interface of v; of none that of the first who shares the port.
func (p *vxlanPort) vtep(v *vxlan.VTEP) *vtep {
	if v == nil {
		v = p.socket.VTEPs()[0]
	}
	for _, t := range p.k.vteps {
		if t.v == v {
			return t
		}
	}
	return nil
}

// inner makes a frame that comes in by the interface, which has been on its way since
// the time arrived. Without memory it is dropped and nil returned.
func (t *vtep) inner(c *CPU, frame []byte, arrived sim.Time) *skb {
	k := t.k
	s, err := k.allocSKB(len(frame))
	if err != nil {
		k.flow.Own++
		k.drops.Add(cost.Tunnel, cost.NoMem, 1)
		return nil
	}
	s.id, s.arrived, s.queue = k.newID(), arrived, -1
	s.fill([][]byte{frame})
	k.begin(c, s)
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, tx: true, port: t.net.index, vm: -1})
	}
	return s
}

// trafficClass is that of the IP packet in a frame, 0 if there is none.
func (s *skb) trafficClass() uint8 {
	switch b := s.data; {
	case len(b) >= ethHeader+20 && b[12] == 0x08 && b[13] == 0x00:
		return b[ethHeader+1]
	case len(b) >= ethHeader+40 && b[12] == 0x86 && b[13] == 0xdd:
		return b[ethHeader]<<4 | b[ethHeader+1]>>4
	}
	return 0
}
