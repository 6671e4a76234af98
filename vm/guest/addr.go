package guest

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ringside/sim"
)

// epoch is the date at which every machine's time begins.
var epoch = time.Unix(1_000_000_000, 0).UTC()

// date is a moment of virtual time as a date.
func date(t sim.Time) time.Time { return epoch.Add(time.Duration(t.Nanoseconds())) }

// moment is a date as virtual time.
func moment(t time.Time) sim.Time { return sim.FromDuration(t.Sub(epoch)) }

// address is an address as package net has it for a network.
func address(network string, a netip.AddrPort) net.Addr {
	switch {
	case strings.HasPrefix(network, "tcp"):
		return net.TCPAddrFromAddrPort(a)
	case strings.HasPrefix(network, "udp"):
		return net.UDPAddrFromAddrPort(a)
	}
	return &net.IPAddr{IP: a.Addr().AsSlice(), Zone: a.Addr().Zone()}
}

// addrPort is an address of package net as the stack has it.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmapped(a.AddrPort()), nil
	case *net.TCPAddr:
		return unmapped(a.AddrPort()), nil
	case *net.IPAddr:
		ip, ok := netip.AddrFromSlice(a.IP)
		if ok {
			return unmapped(netip.AddrPortFrom(ip, 0)), nil
		}
	}
	return netip.AddrPort{}, &net.AddrError{Err: "no address of this network", Addr: fmt.Sprint(a)}
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// A family says which addresses a network takes.
type family uint8

const (
	anyFamily family = iota
	ipv4
	ipv6
)

func (f family) takes(a netip.Addr) bool {
	return f == anyFamily || (f == ipv4) == a.Is4()
}

// parseNetwork takes a network's name apart: "tcp6" is tcp and ipv6.
func parseNetwork(network string) (proto string, f family, err error) {
	proto = network
	switch {
	case strings.HasSuffix(network, "4"):
		proto, f = network[:len(network)-1], ipv4
	case strings.HasSuffix(network, "6"):
		proto, f = network[:len(network)-1], ipv6
	}
	switch proto {
	case "tcp", "udp", "icmp":
		return proto, f, nil
	}
	return "", 0, net.UnknownNetworkError(network)
}

// named is a network of the stack: proto for a's family.
func named(proto string, a netip.Addr) string {
	if a.Is4() {
		return proto + "4"
	}
	return proto + "6"
}

// splitAddress takes "host:port" apart; ICMP has no ports.
func splitAddress(proto, address string) (host string, port uint16, err error) {
	if proto == "icmp" {
		return strings.Trim(address, "[]"), 0, nil
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		if n, ok := services[service]; ok {
			return host, n, nil
		}
		return "", 0, &net.AddrError{Err: "unknown port", Addr: address}
	}
	return host, uint16(n), nil
}

// services are the ports that have a name here (/etc/services).
var services = map[string]uint16{"echo": 7, "domain": 53, "http": 80}
