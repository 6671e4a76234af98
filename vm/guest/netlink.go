package guest

import (
	"fmt"
	"net/netip"

	"ringside/netstack"
)

// An InterfaceInfo is an interface, as its guest's programs see it.
type InterfaceInfo struct {
	Name      string
	MAC       [6]byte
	MTU       int
	Addresses []netip.Prefix
}

// Interfaces lists the machine's interfaces.
func (p *Proc) Interfaces() []InterfaceInfo {
	var list []InterfaceInfo
	for i := range p.k.ifaces {
		in := &p.k.ifaces[i]
		list = append(list, InterfaceInfo{in.name, in.mac, in.mtu, in.link.Addresses()})
	}
	return list
}

// Interface finds an interface by its name.
func (p *Proc) Interface(name string) (InterfaceInfo, error) {
	for _, in := range p.Interfaces() {
		if in.Name == name {
			return in, nil
		}
	}
	return InterfaceInfo{}, p.k.noInterface(name)
}

func (k *Kernel) noInterface(name string) error {
	return fmt.Errorf("guest %s: there is no interface %q", k.cfg.Name, name)
}

// change changes an interface.
func (p *Proc) change(name string, f func(*iface) error) error {
	return p.configure(func(k *Kernel) error {
		in := k.iface(name)
		if in == nil {
			return k.noInterface(name)
		}
		return f(in)
	})
}

// AddAddress gives an interface an address, as ip-address(8) does.
func (p *Proc) AddAddress(name string, a netip.Prefix) error {
	return p.change(name, func(in *iface) error { return in.addAddress(a) })
}

// RemoveAddress takes an address away from an interface.
func (p *Proc) RemoveAddress(name string, a netip.Addr) error {
	return p.change(name, func(in *iface) error { return in.removeAddress(a) })
}

// SetGateway replaces the machine's default route; the zero Addr takes it away.
func (p *Proc) SetGateway(a netip.Addr) error {
	return p.configure(func(k *Kernel) error {
		k.cfg.Gateway = a
		return k.route()
	})
}

// SetResolver says which DNS server LookupHost asks; the zero Addr is none.
func (p *Proc) SetResolver(a netip.Addr) { p.k.cfg.Resolver = a }

// configure is one message to the kernel and its answer (netlink(7)).
func (p *Proc) configure(f func(*Kernel) error) error {
	p.k.caller()
	return p.k.enter(func(k *Kernel, p *Proc) progress {
		p.call.err = f(k)
		k.settle()
		return done
	})
}

// Forwards says whether the machine's stack forwards packets.
func (p *Proc) Forwards() bool { return p.k.cfg.Forward }

// Stats are the counters of the machine's stack.
func (p *Proc) Stats() netstack.Stats { return p.k.stack.Stats() }

// Neighbours is the machine's neighbour table.
func (p *Proc) Neighbours() []netstack.Neighbour { return p.k.stack.Neighbours() }
