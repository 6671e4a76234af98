package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Masquerade gives packets from a network that leave by the interface out the
// address of that interface, and turns the answers back: what
//
//	iptables -t nat -A POSTROUTING -s FROM -o OUT -j MASQUERADE
//
// does. Connections are forgotten by a timer of the stack's; there is no goroutine.
// What belongs to no connection, fragments among it, is dropped and not sent under
// its own address.
func (s *Stack) Masquerade(out string, from netip.Prefix) error {
	i := s.iface(out)
	switch {
	case !from.IsValid():
		return fmt.Errorf("netstack: masquerade by %s: %v is not a network", out, from)
	case i == nil:
		return fmt.Errorf("netstack: masquerade %v: there is no interface %q", from, out)
	}
	from = from.Masked()
	six, proto := from.Addr().Is6(), protocolOf(from.Addr())
	if !s.masqueraded {
		s.gv.SetIPTables(stack.DefaultTables(clock{s}, s.gv.InsecureRNG()))
	}
	tables := s.gv.IPTables()
	nat := tables.GetTable(stack.NATID, six)
	at := nat.BuiltinChains[stack.Postrouting]
	nat.Rules = slices.Insert(slices.Clone(nat.Rules), nat.Underflows[stack.Postrouting], stack.Rule{
		Filter: stack.IPHeaderFilter{
			Src: addressOf(from.Addr()), SrcMask: maskOf(from), OutputInterface: out, OutputInterfaceMask: fullMask(out),
		},
		Target: &stack.MasqueradeTarget{NetworkProtocol: proto},
	})
	nat.Underflows[stack.Postrouting]++
	nat.BuiltinChains[stack.Postrouting] = at

	mangle := tables.GetTable(stack.MangleID, six)
	mangle.Rules = slices.Insert(slices.Clone(mangle.Rules), len(mangle.Rules)-1, stack.Rule{
		Filter: emptyFilter(six), Target: guard{s},
	})
	mangle.BuiltinChains[stack.Postrouting] = len(mangle.Rules) - 2
	s.enter()
	tables.ReplaceTable(stack.MangleID, mangle, six)
	tables.ReplaceTable(stack.NATID, nat, six)
	s.masqueraded = true
	s.leave()
	return nil
}

func emptyFilter(six bool) stack.IPHeaderFilter {
	if six {
		return stack.EmptyFilter6()
	}
	return stack.EmptyFilter4()
}

func maskOf(p netip.Prefix) tcpip.Address {
	m := tcpip.AddressWithPrefix{Address: addressOf(p.Addr()), PrefixLen: p.Bits()}
	subnet := m.Subnet()
	mask := subnet.Mask()
	return tcpip.AddrFromSlice(mask.AsSlice())
}

// fullMask is the mask of an interface's name that has to be that name.
func fullMask(name string) string {
	return string(slices.Repeat([]byte{0xFF}, len(name)+1))
}

// guard is a target that stands in front of NAT on a packet's way out. It says
// that the packet's sums are complete, so that NAT changes them with the address;
// endpoint has why that is not said always. And it drops what has no ports where
// there should be some, for which gVisor's NAT panics: packets that are cut short,
// and fragments, which it does not put together as Linux does.
type guard struct{ s *Stack }

// Action implements stack.Target.
func (g guard) Action(pkt *stack.PacketBuffer, _ stack.Hook, _ *stack.Route, _ stack.AddressableEndpoint) (stack.RuleVerdict, int) {
	g.s.natting = pkt.NetworkPacketInfo.IsForwardedPacket
	n := len(pkt.TransportHeader().Slice())
	switch pkt.TransportProtocolNumber {
	case header.TCPProtocolNumber:
		if n < header.TCPMinimumSize {
			return stack.RuleDrop, 0
		}
	case header.UDPProtocolNumber:
		if n < header.UDPMinimumSize {
			return stack.RuleDrop, 0
		}
	}
	return stack.RuleAccept, 0
}
