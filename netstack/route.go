package netstack

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A Route says where packets to a network go: by a router, or straight to the
// station if Via is not valid. Interface "" means that the router's address says
// which.
type Route struct {
	Dst       netip.Prefix
	Via       netip.Addr
	Interface string
}

// String is the route as ip(8) prints it.
func (r Route) String() string {
	dst := "default"
	if r.Dst.Bits() > 0 {
		dst = r.Dst.String()
	}
	if r.Via.IsValid() {
		dst += " via " + r.Via.String()
	}
	return dst + " dev " + r.Interface
}

// SetRoutes sets the routes beside those that the addresses bring. On the way to
// one destination the longest prefix counts, then the order in which they stand.
// If one of them is wrong none is changed.
func (s *Stack) SetRoutes(routes []Route) error {
	list := slices.Clone(routes)
	for n := range list {
		if err := s.checkRoute(&list[n]); err != nil {
			return fmt.Errorf("netstack: %s: route %v: %w", s.cfg.Name, list[n].Dst, err)
		}
	}
	s.routes = list
	s.enter()
	s.route()
	s.leave()
	return nil
}

// checkRoute finds the interface of a route. It must have an address of the same
// kind: with none, gVisor would look for one on the others, in random order.
func (s *Stack) checkRoute(r *Route) error {
	if !r.Dst.IsValid() {
		return fmt.Errorf("%v is not a network", r.Dst)
	}
	if r.Via.IsValid() && r.Via.Is4() != r.Dst.Addr().Is4() {
		return fmt.Errorf("router %v is of the other protocol", r.Via)
	}
	if r.Interface == "" {
		i := s.reaches(r.Via)
		if i == nil {
			return fmt.Errorf("no interface is in the network of the router %v: name one, or give an address first", r.Via)
		}
		r.Interface = i.cfg.Name
	}
	i := s.iface(r.Interface)
	if i == nil {
		return fmt.Errorf("there is no interface %q", r.Interface)
	}
	if !slices.ContainsFunc(i.addrs, func(p netip.Prefix) bool { return p.Addr().Is4() == r.Dst.Addr().Is4() }) {
		return fmt.Errorf("interface %s has no address of its protocol", r.Interface)
	}
	r.Dst = r.Dst.Masked()
	return nil
}

// reaches is the interface whose network a machine is in, nil if there is none.
func (s *Stack) reaches(a netip.Addr) *Interface {
	var best *Interface
	bits := -1
	for _, i := range s.ifaces {
		for _, p := range i.addrs {
			if p.Contains(a) && p.Bits() > bits {
				best, bits = i, p.Bits()
			}
		}
	}
	return best
}

// Routes is all routes, the longest prefix first, as they are tried.
func (s *Stack) Routes() []Route {
	var all []Route
	for _, i := range s.ifaces {
		for _, p := range i.addrs {
			r := Route{Dst: p.Masked(), Interface: i.cfg.Name}
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	for _, r := range s.routes {
		if s.checkRoute(&r) == nil { // its interface may have lost its address
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Route) int { return cmp.Compare(b.Dst.Bits(), a.Dst.Bits()) })
	return all
}

// route hands gVisor the routes.
func (s *Stack) route() {
	s.tunnel.forget()
	var table []tcpip.Route
	for _, r := range s.Routes() {
		dst := addressOf(r.Dst.Addr()).WithPrefix()
		dst.PrefixLen = r.Dst.Bits()
		table = append(table, tcpip.Route{Destination: dst.Subnet(), Gateway: addressOf(r.Via), NIC: s.iface(r.Interface).id})
	}
	s.gv.SetRouteTable(table)
}
