package kernel

import (
	"fmt"
	"math/rand"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// A hostStack is the host's own network stack, gVisor's, on the bridge's local
// port. It is the only file that speaks gVisor.
//
// What keeps it a function of its input: its clock is the event loop, its chance
// is seeded, and no socket is open on it, so gVisor's TCP processors have nothing
// to do: every answer is given in the call that brings the question. One goroutine
// more can start: with over 64 neighbours unresolved gVisor gives the oldest up in
// one; it sends nothing, and could not. IGMP and MLD are off, since gVisor walks a Go map to
// report groups; so is duplicate address detection, so a host that nobody talks
// to says nothing.
type hostStack struct {
	k     *Kernel
	b     *netbridge
	cfg   HostStack
	stack *stack.Stack // nil until the first frame comes up
	link  *hostLink
	cpu   *CPU // where the present call runs and is charged
}

// A HostStack configures the host's own stack. The zero value has no addresses:
// such a host takes what comes up and answers nothing.
type HostStack struct {
	MAC       bridge.MAC
	Addresses []netip.Prefix
	MTU       int // 0 means 1500
}

const hostNIC = 1

// input is br_pass_frame_up's end: the stack takes the frame, answers within the
// call, and the frame is delivered.
func (h *hostStack) input(c *CPU, s *skb) {
	k := h.k
	c.one(cost.IPRcv, s)
	k.flow.ToHost++
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Delivered, Who: uint32(h.b.index), A: s.id, B: s.fate()})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, verdict: trace.Deliver, port: h.b.index, vm: -1})
	}
	if h.start() {
		h.cpu = c
		h.link.deliver(s)
		h.cpu = nil
	}
	c.one(cost.HostConsumeSkb, s)
	k.release(s)
}

// start makes the stack when it is first needed and says whether there is one.
func (h *hostStack) start() bool {
	if h.stack != nil {
		return true
	}
	if len(h.cfg.Addresses) == 0 {
		return false
	}
	clock := &stackClock{h: h}
	h.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			arp.NewProtocol, ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{DADConfigs: stack.DADConfigurations{}}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
		Clock:      clock,
		SecureRNG:  &lockedSource{src: h.k.eng.Source(h.called("netstack/secure"))},
		RandSource: &lockedSource{src: h.k.eng.Source(h.called("netstack/rand"))},
	})
	h.link = &hostLink{h: h, mac: tcpip.LinkAddress(h.cfg.MAC[:]), mtu: uint32(h.cfg.MTU)}
	if err := h.configure(); err != nil {
		h.k.eng.Fail(err)
		return false
	}
	return true
}

// called is what a thing of this stack goes by: the first bridge's has the plain
// name.
func (h *hostStack) called(what string) string {
	if h.b.index == 0 {
		return what
	}
	return what + "/" + h.b.br.Config().Name
}

func (h *hostStack) configure() error {
	if err := h.stack.CreateNIC(hostNIC, h.link); err != nil {
		return fmt.Errorf("kernel: host stack: %v", err)
	}
	var routes []tcpip.Route
	for _, p := range h.cfg.Addresses {
		proto := header.IPv4ProtocolNumber
		if p.Addr().Is6() {
			proto = header.IPv6ProtocolNumber
		}
		addr := tcpip.AddrFromSlice(p.Addr().AsSlice()).WithPrefix()
		addr.PrefixLen = p.Bits()
		if err := h.stack.AddProtocolAddress(hostNIC, tcpip.ProtocolAddress{Protocol: proto, AddressWithPrefix: addr}, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("kernel: host address %v: %v", p, err)
		}
		routes = append(routes, tcpip.Route{Destination: addr.Subnet(), NIC: hostNIC})
	}
	h.stack.SetRouteTable(routes)
	return nil
}

// close ends the stack's goroutines.
func (h *hostStack) close() {
	if h.stack != nil {
		h.stack.Destroy()
		h.stack = nil
	}
}

// hostLink is the stack's Ethernet interface: the bridge's own, br0.
type hostLink struct {
	h          *hostStack
	dispatcher stack.NetworkDispatcher
	mac        tcpip.LinkAddress
	mtu        uint32
}

// deliver hands a frame to the stack; its answers come by WritePackets before
// deliver returns.
func (l *hostLink) deliver(s *skb) {
	payload := buffer.MakeWithData(s.data)
	for i := range s.nfrags {
		frag := buffer.MakeWithData(s.frags.buf[i].data)
		payload.Merge(&frag)
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
	defer pkt.DecRef()
	pkt.RXChecksumValidated = s.valid || s.unplain // half done is as good: it never was on a wire
	if !l.ParseHeader(pkt) {
		return
	}
	eth := header.Ethernet(pkt.LinkHeader().Slice())
	switch dst := eth.DestinationAddress(); {
	case dst == header.EthernetBroadcastAddress:
		pkt.PktType = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		pkt.PktType = tcpip.PacketMulticast
	case dst == l.mac:
		pkt.PktType = tcpip.PacketHost
	default:
		pkt.PktType = tcpip.PacketOtherHost
	}
	l.dispatcher.DeliverNetworkPacket(eth.Type(), pkt)
}

// WritePackets takes what the stack sends: one skb a packet.
func (l *hostLink) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	k, c := l.h.k, l.h.cpu
	if c == nil { // not in a call of ours: a goroutine of gVisor's may not send
		return 0, &tcpip.ErrAborted{}
	}
	n := 0
	for _, pkt := range pkts.AsSlice() {
		s, err := k.allocSKB(pkt.Size())
		if err != nil {
			return n, &tcpip.ErrNoBufferSpace{}
		}
		s.id, s.arrived, s.queue = k.newID(), c.clock.Now(), -1
		into := s.data
		next := int32(0)
		for _, part := range pkt.AsSlices() {
			for len(part) > 0 {
				m := copy(into, part)
				part, into = part[m:], into[m:]
				if len(into) == 0 && next < s.nfrags {
					into = s.frags.buf[next].data
					next++
				}
			}
		}
		c.one(cost.IPOutput, s)
		l.h.b.xmit(c, s)
		n++
	}
	return n, nil
}

// The rest of stack.LinkEndpoint.

func (l *hostLink) MTU() uint32                        { return l.mtu }
func (l *hostLink) SetMTU(mtu uint32)                  { l.mtu = mtu }
func (l *hostLink) MaxHeaderLength() uint16            { return header.EthernetMinimumSize }
func (l *hostLink) LinkAddress() tcpip.LinkAddress     { return l.mac }
func (l *hostLink) SetLinkAddress(a tcpip.LinkAddress) { l.mac = a }
func (l *hostLink) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}
func (l *hostLink) Attach(d stack.NetworkDispatcher)        { l.dispatcher = d }
func (l *hostLink) IsAttached() bool                        { return l.dispatcher != nil }
func (l *hostLink) Wait()                                   {}
func (l *hostLink) Close()                                  {}
func (l *hostLink) SetOnCloseAction(func())                 {}
func (l *hostLink) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (l *hostLink) GSOMaxSize() uint32                      { return 0 }
func (l *hostLink) SupportedGSO() stack.SupportedGSO        { return stack.GSONotSupported }

func (l *hostLink) AddHeader(pkt *stack.PacketBuffer) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: l.mac, DstAddr: pkt.EgressRoute.RemoteLinkAddress, Type: pkt.NetworkProtocolNumber,
	})
}

func (l *hostLink) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

var _ stack.LinkEndpoint = (*hostLink)(nil)

// stackClock is the event loop as gVisor's clock. It begins at a fixed date, so
// that timestamps on the wire do not depend on the day.
type stackClock struct{ h *hostStack }

var epoch = time.Unix(1_000_000_000, 0)

func (c *stackClock) now() sim.Time {
	if c.h.cpu != nil {
		return c.h.cpu.clock.Now()
	}
	return c.h.k.eng.Now()
}

func (c *stackClock) Now() time.Time {
	return epoch.Add(time.Duration(c.now().Nanoseconds()))
}

func (c *stackClock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(time.Duration(c.now().Nanoseconds()))
}

func (c *stackClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &stackTimer{c: c, f: f}
	t.timer = c.h.k.eng.NewBackgroundTimer(c.h.called("netstack"), t)
	t.Reset(d)
	return t
}

// A stackTimer is one of gVisor's timers on the event loop. Its function runs as
// a softirq of the first CPU.
type stackTimer struct {
	c     *stackClock
	f     func()
	timer *sim.Timer
}

func (t *stackTimer) Stop() bool {
	armed := t.timer.Armed()
	t.c.h.k.eng.Disarm(t.timer)
	return armed
}

func (t *stackTimer) Reset(d time.Duration) {
	at, now := sim.Never, t.c.now()
	if span := sim.FromDuration(max(d, 0)); span < sim.Never-now {
		at = now + span
	}
	t.c.h.k.eng.Arm(t.timer, at)
}

func (t *stackTimer) Fire(sim.Time) {
	h := t.c.h
	h.k.cpus[0].later(func(c *CPU) {
		h.cpu = c
		t.f()
		h.cpu = nil
	})
}

// lockedSource is seeded randomness that gVisor may share between goroutines.
type lockedSource struct {
	mu  sync.Mutex
	src interface {
		Uint64() uint64
		Read([]byte) (int, error)
	}
}

func (s *lockedSource) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Read(p)
}

func (s *lockedSource) Int63() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.src.Uint64() >> 1)
}

func (s *lockedSource) Seed(int64) {}

var _ rand.Source = (*lockedSource)(nil)
