package netstack

import (
	"errors"
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringside/offload"
)

// A Packet is one Ethernet frame and what travels beside it. Its bytes are good
// for the length of a call only.
type Packet struct {
	Parts [][]byte // that the frame is made of, in order
	Len   int      // of all parts
	Meta  offload.Meta

	Forwarded bool // of what is sent: it came from elsewhere
}

// A Link takes what an interface sends.
type Link interface {
	// Send takes one frame; false means that there is no room, and the frame is
	// dropped and counted. It may write to the headers; what lies behind them may
	// be sent again. Of the stack it may call SendUDP and nothing else, when it is
	// done with the packet.
	Send(p *Packet) bool
}

// An InterfaceConfig describes an interface. MAC and Link are required.
type InterfaceConfig struct {
	Name string  // unique on the stack
	MAC  [6]byte // a station's own
	MTU  int     // of IP packets; 0 means 1500
	Link Link    // takes what is sent
	// TxChecksum leaves the checksums of TCP and UDP to the link: it gets frames
	// with Meta.NeedsCsum.
	TxChecksum bool
	// RxChecksum believes Meta.Valid and Meta.NeedsCsum of what is delivered.
	RxChecksum bool
	// GSOMax is the longest IP packet of TCP that the link cuts into segments,
	// at most 65535. 0: the stack cuts itself.
	GSOMax int
}

// minMTU is IPv6's [RFC 8200, 5].
const minMTU = header.IPv6MinimumMTU

const maxPacket = 65535

// An Interface is a network interface of a stack.
type Interface struct {
	s     *Stack
	cfg   InterfaceConfig
	id    tcpip.NICID
	end   endpoint
	addrs []netip.Prefix
	stat  InterfaceStats

	neighbours []*neighbour // in the order in which they were met
	byAddr     map[tcpip.Address]*neighbour
	lastHop    *neighbour      // that was looked up last
	own        []tcpip.Address // its addresses
	broadcasts []tcpip.Address // of their networks

	made      [header.EthernetMinimumSize + header.IPv6MinimumSize + ndSize]byte // a frame of ARP or ND
	madeParts [1][]byte
}

// AddInterface makes an interface. It is up from then on and has no address.
func (s *Stack) AddInterface(cfg InterfaceConfig) (*Interface, error) {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	i := &Interface{s: s, cfg: cfg, id: tcpip.NICID(len(s.ifaces) + 1)}
	switch {
	case s.closed:
		return nil, errors.New("netstack: the stack is closed")
	case cfg.Link == nil:
		return nil, fmt.Errorf("netstack: interface %q has no link", cfg.Name)
	case s.iface(cfg.Name) != nil:
		return nil, fmt.Errorf("netstack: there are two interfaces %q", cfg.Name)
	case cfg.MAC == [6]byte{} || cfg.MAC[0]&1 != 0:
		return nil, fmt.Errorf("netstack: interface %q: %x is not the address of a station", cfg.Name, cfg.MAC)
	case cfg.MTU < minMTU || cfg.MTU > maxPacket:
		return nil, fmt.Errorf("netstack: interface %q: MTU %d; %d to %d are possible", cfg.Name, cfg.MTU, minMTU, maxPacket)
	case cfg.GSOMax < 0 || cfg.GSOMax > maxPacket:
		return nil, fmt.Errorf("netstack: interface %q: packets of %d bytes to be cut; %d are possible", cfg.Name, cfg.GSOMax, maxPacket)
	}
	i.end = endpoint{i: i, mac: tcpip.LinkAddress(cfg.MAC[:])}
	if err := s.gv.CreateNICWithOptions(i.id, &i.end, stack.NICOptions{Name: cfg.Name, QDisc: &i.end}); err != nil {
		return nil, fmt.Errorf("netstack: interface %q: %v", cfg.Name, err)
	}
	s.ifaces = append(s.ifaces, i)
	return i, nil
}

// Interfaces is the interfaces in the order in which they were added.
func (s *Stack) Interfaces() []*Interface { return s.ifaces }

func (s *Stack) iface(name string) *Interface {
	for _, i := range s.ifaces {
		if i.cfg.Name == name {
			return i
		}
	}
	return nil
}

// Name is the interface's name.
func (i *Interface) Name() string { return i.cfg.Name }

// MAC is its station address.
func (i *Interface) MAC() [6]byte { return i.cfg.MAC }

// MTU is the longest IP packet that it sends uncut.
func (i *Interface) MTU() int { return i.cfg.MTU }

// Addresses is its addresses, in the order in which they were added.
func (i *Interface) Addresses() []netip.Prefix { return i.addrs }

// AddAddress gives the interface an address, and the stack a route to the network
// that it is in.
func (i *Interface) AddAddress(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !p.IsValid() || a.Is4In6() || a.Zone() != "":
		return fmt.Errorf("netstack: %s: %v is not an address with its network", i.cfg.Name, p)
	case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == broadcast:
		return fmt.Errorf("netstack: %s: %v is not the address of one machine", i.cfg.Name, p)
	case i.s.owner(a) != nil:
		return fmt.Errorf("netstack: %s: %v is an address of %s already", i.cfg.Name, a, i.s.owner(a).cfg.Name)
	}
	proto, addr := protocolOf(a), tcpip.AddressWithPrefix{Address: addressOf(a), PrefixLen: p.Bits()}
	i.s.enter()
	defer i.s.leave()
	if err := i.s.gv.AddProtocolAddress(i.id, tcpip.ProtocolAddress{Protocol: proto, AddressWithPrefix: addr}, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("netstack: %s: address %v: %v", i.cfg.Name, p, err)
	}
	i.addrs = append(i.addrs, p)
	i.setOwn()
	i.s.route()
	return nil
}

// RemoveAddress takes an address away again, and the route that came with it.
func (i *Interface) RemoveAddress(a netip.Addr) error {
	for n, p := range i.addrs {
		if p.Addr() != a {
			continue
		}
		i.s.enter()
		defer i.s.leave()
		if err := i.s.gv.RemoveAddress(i.id, addressOf(a)); err != nil {
			return fmt.Errorf("netstack: %s: address %v: %v", i.cfg.Name, a, err)
		}
		i.addrs = append(i.addrs[:n:n], i.addrs[n+1:]...)
		i.setOwn()
		i.s.route()
		return nil
	}
	return fmt.Errorf("netstack: %s has no address %v", i.cfg.Name, a)
}

// setOwn keeps the addresses as packets have them, and those that mean all
// stations of a network.
func (i *Interface) setOwn() {
	i.own, i.broadcasts = nil, nil
	for _, p := range i.addrs {
		i.own = append(i.own, addressOf(p.Addr()))
		if p.Addr().Is4() && p.Bits() < 31 {
			subnet := (&tcpip.AddressWithPrefix{Address: addressOf(p.Addr()), PrefixLen: p.Bits()}).Subnet()
			i.broadcasts = append(i.broadcasts, subnet.Broadcast())
		}
	}
}

// owner is the interface that has an address, nil if none has.
func (s *Stack) owner(a netip.Addr) *Interface {
	for _, i := range s.ifaces {
		for _, p := range i.addrs {
			if p.Addr() == a {
				return i
			}
		}
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Deliver hands in one frame, which may be longer than the MTU if somebody has
// merged it. What UDP, ICMP, ARP and ND have to say to it is said within the call;
// TCP waits for Poll.
func (i *Interface) Deliver(p *Packet) {
	s := i.s
	if s.closed {
		return
	}
	i.stat.RxFrames++
	i.stat.RxBytes += uint64(p.Len)
	var eth [header.EthernetMinimumSize]byte
	if gather(eth[:], p.Parts) < len(eth) || p.Len > len(eth)+maxPacket {
		i.stat.RxLength++
		return
	}
	if !i.forUs(eth[:6]) {
		i.stat.RxOtherHost++
		return
	}
	view := buffer.NewView(p.Len - len(eth))
	skip := len(eth)
	for _, part := range p.Parts {
		n := min(skip, len(part))
		skip -= n
		view.Write(part[n:])
	}
	proto := tcpip.NetworkProtocolNumber(uint16(eth[12])<<8 | uint16(eth[13]))
	s.enter()
	i.take(proto, view, &p.Meta, eth[:6])
	s.leave()
}

// take hands a packet to whom it is for, and the view over.
func (i *Interface) take(proto tcpip.NetworkProtocolNumber, view *buffer.View, m *offload.Meta, dst []byte) {
	b := view.AsSlice()
	valid := i.cfg.RxChecksum && (m.Valid || m.NeedsCsum)
	switch {
	case proto == header.ARPProtocolNumber:
		i.arp(b, dst[0]&1 == 0)
	case proto == header.IPv6ProtocolNumber && i.nd(b, valid):
	case i.s.cfg.Forward && !i.passes(proto, b):
	default:
		if isTCP(proto, b) {
			i.s.waiting++
		}
		beside := i.completed(b, *m)
		i.end.deliver(proto, view, &beside, dst)
		return
	}
	view.Release()
}

// forUs says whether ip_rcv would take a frame to that station: PACKET_OTHERHOST
// it would not.
func (i *Interface) forUs(dst []byte) bool {
	return dst[0]&1 != 0 || [6]byte(dst) == i.cfg.MAC
}

// gather fills b with the first bytes of a frame and says how many there are.
func gather(b []byte, parts [][]byte) (n int) {
	for _, p := range parts {
		if n += copy(b[n:], p); n == len(b) {
			break
		}
	}
	return n
}

// isTCP says whether a packet may be one that TCP will queue. With an extension
// header in front it may be.
func isTCP(proto tcpip.NetworkProtocolNumber, b []byte) bool {
	switch {
	case proto == header.IPv4ProtocolNumber && len(b) >= header.IPv4MinimumSize:
		return b[9] == uint8(header.TCPProtocolNumber)
	case proto == header.IPv6ProtocolNumber && len(b) >= header.IPv6MinimumSize:
		return b[6] != uint8(header.UDPProtocolNumber) && b[6] != uint8(header.ICMPv6ProtocolNumber)
	}
	return false
}

// Addresses in gVisor's words.

func addressOf(a netip.Addr) tcpip.Address {
	if !a.IsValid() {
		return tcpip.Address{}
	}
	return tcpip.AddrFromSlice(a.AsSlice())
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func addrOf(a tcpip.Address) netip.Addr {
	out, _ := netip.AddrFromSlice(a.AsSlice())
	return out
}
