package netstack

import (
	"fmt"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

func TestBare(t *testing.T) {
	const n = 500
	for _, v := range []struct {
		name    string
		net     []stack.NetworkProtocolFactory
		resolve bool
		q       int
	}{
		{"v4", []stack.NetworkProtocolFactory{ipv4.NewProtocol}, false, 0},
		{"v4 q", []stack.NetworkProtocolFactory{ipv4.NewProtocol}, false, 512},
		{"v4+v6", []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol}, false, 0},
		{"v4+arp res", []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol}, true, 0},
		{"v4+v6+arp res", []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol}, true, 0},
	} {
		keep := make([]*stack.Stack, n)
		before := heap()
		for i := range keep {
			s := build(stack.Options{NetworkProtocols: v.net, TransportProtocols: []stack.TransportProtocolFactory{
				tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
			}})
			ep := channel.New(v.q, 1500, "\x02\x00\x00\x00\x00\x01")
			if v.resolve {
				ep.LinkEPCapabilities |= stack.CapabilityResolutionRequired
			}
			s.CreateNIC(1, ep)
			s.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: header.IPv4ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}).WithPrefix()}, stack.AddressProperties{})
			keep[i] = s
		}
		fmt.Println(v.name, (heap()-before)/n)
		for _, s := range keep {
			s.Destroy()
		}
	}
}
