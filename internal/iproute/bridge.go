package iproute

import (
	"ringside/bridge"
	"ringside/sim"
	"ringside/vxlan"
)

// A Bridge is a bridge to show. See New.
type Bridge struct {
	br    *bridge.Bridge
	name  string
	ports map[bridge.Port]string
	links map[string]Interface
	at    sim.Time
	vteps []*vxlan.VTEP
}

// An Interface is what the kernel has of one beside the bridge.
type Interface struct {
	Index int
	MTU   int // 0 is 1500
}

// New is b as it is at the time at, with the interfaces that links tells of by
// name. Ports that come later have no name.
func New(b *bridge.Bridge, links map[string]Interface, at sim.Time) *Bridge {
	s := &Bridge{br: b, name: b.Config().Name, ports: map[bridge.Port]string{}, links: links, at: at}
	s.ports[bridge.Local] = s.name
	for _, p := range b.Ports() {
		s.ports[p] = b.PortConfig(p).Name
	}
	return s
}

// Options are what is shown. The zero value is everything, in short.
type Options struct {
	Details bool   // bridge -d
	Stats   bool   // bridge -s
	Dev     string // only this interface
	VLAN    uint16 // only this VLAN
	State   string // of the forwarding database: only permanent, static or dynamic
	Family  int    // of addresses: 4 or 6; 0 means both
}

// mtu is that of an interface.
func (b *Bridge) mtu(name string) int {
	if m := b.links[name].MTU; m != 0 {
		return m
	}
	return 1500
}

// all is the bridge's own interface and its ports.
func (b *Bridge) all() []bridge.Port { return append([]bridge.Port{bridge.Local}, b.br.Ports()...) }
