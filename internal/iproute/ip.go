package iproute

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"ringside/netstack"
)

// A HostLink is an interface with what the host's stack has there.
type HostLink struct {
	Index     int
	Name      string
	MAC       [6]byte
	MTU       int
	Addresses []netip.Prefix
}

// An Addr is an interface with its addresses, of ip addr show.
type Addr struct {
	Index     int        `json:"ifindex"`
	Name      string     `json:"ifname"`
	Flags     []string   `json:"flags"`
	MTU       int        `json:"mtu"`
	State     string     `json:"operstate"`
	Type      string     `json:"link_type"`
	MAC       string     `json:"address"`
	Broadcast string     `json:"broadcast"`
	Info      []AddrInfo `json:"addr_info"`
}

// An AddrInfo is one address.
type AddrInfo struct {
	Family    string `json:"family"`
	Local     string `json:"local"`
	PrefixLen int    `json:"prefixlen"`
	Broadcast string `json:"broadcast,omitempty"`
	Scope     string `json:"scope"`
	Label     string `json:"label,omitempty"`
	Valid     uint32 `json:"valid_life_time"`
	Preferred uint32 `json:"preferred_life_time"`
}

const forever = 1<<32 - 1

// Addrs is ip addr show.
func Addrs(links []HostLink, o Options) []Addr {
	list := []Addr{}
	for _, l := range links {
		if o.Dev != "" && o.Dev != l.Name {
			continue
		}
		a := Addr{
			Index: l.Index, Name: l.Name, Flags: []string{"BROADCAST", "MULTICAST", "UP", "LOWER_UP"}, MTU: l.MTU, State: "UP",
			Type: "ether", MAC: net.HardwareAddr(l.MAC[:]).String(), Broadcast: "ff:ff:ff:ff:ff:ff", Info: []AddrInfo{},
		}
		for _, p := range l.Addresses {
			if o.of(p.Addr()) {
				a.Info = append(a.Info, addrInfo(l.Name, p))
			}
		}
		list = append(list, a)
	}
	return list
}

func addrInfo(dev string, p netip.Prefix) AddrInfo {
	i := AddrInfo{Family: "inet6", Local: p.Addr().String(), PrefixLen: p.Bits(), Scope: "global", Valid: forever, Preferred: forever}
	if p.Addr().IsLinkLocalUnicast() {
		i.Scope = "link"
	}
	if !p.Addr().Is4() {
		return i
	}
	i.Family, i.Label = "inet", dev
	if p.Bits() < 31 {
		b := p.Addr().As4()
		for bit := p.Bits(); bit < 32; bit++ {
			b[bit/8] |= 0x80 >> (bit % 8)
		}
		i.Broadcast = netip.AddrFrom4(b).String()
	}
	return i
}

// of says that rows of an address's family are wanted.
func (o Options) of(a netip.Addr) bool {
	return o.Family == 0 || o.Family == 4 && a.Is4() || o.Family == 6 && a.Is6()
}

// WriteAddrs writes rows as ip addr show does.
func WriteAddrs(w io.Writer, list []Addr) error {
	for _, a := range list {
		var b strings.Builder
		fmt.Fprintf(&b, "%d: %s: <%s> mtu %d state %s\n", a.Index, a.Name, strings.Join(a.Flags, ","), a.MTU, a.State)
		fmt.Fprintf(&b, "    link/%s %s brd %s\n", a.Type, a.MAC, a.Broadcast)
		for _, i := range a.Info {
			fmt.Fprintf(&b, "    %s %s/%d", i.Family, i.Local, i.PrefixLen)
			if i.Broadcast != "" {
				b.WriteString(" brd " + i.Broadcast)
			}
			b.WriteString(" scope " + i.Scope)
			if i.Label != "" {
				b.WriteString(" " + i.Label)
			}
			b.WriteString("\n       valid_lft forever preferred_lft forever\n")
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// A Route is an entry of the routing table, of ip route show.
type Route struct {
	Dst      string   `json:"dst"`
	Gateway  string   `json:"gateway,omitempty"`
	Dev      string   `json:"dev"`
	Protocol string   `json:"protocol,omitempty"`
	Scope    string   `json:"scope,omitempty"`
	PrefSrc  string   `json:"prefsrc,omitempty"`
	Flags    []string `json:"flags"`
}

// Routes is ip route show. The order is that in which the table is searched.
func Routes(routes []netstack.Route, links []HostLink, o Options) []Route {
	list := []Route{}
	for _, r := range routes {
		if o.Dev != "" && o.Dev != r.Interface || !o.of(r.Dst.Addr()) {
			continue
		}
		row := Route{Dst: r.Dst.String(), Dev: r.Interface, Flags: []string{}}
		if r.Dst.Bits() == 0 {
			row.Dst = "default"
		}
		switch src, kernel := connected(r, links); {
		case r.Via.IsValid():
			row.Gateway = r.Via.String()
		case kernel && src.Is4():
			row.Protocol, row.Scope, row.PrefSrc = "kernel", "link", src.String()
		case kernel:
			row.Protocol = "kernel"
		default:
			row.Scope = "link"
		}
		list = append(list, row)
	}
	return list
}

// connected is the address that a route came with.
func connected(r netstack.Route, links []HostLink) (netip.Addr, bool) {
	for _, l := range links {
		for _, p := range l.Addresses {
			if l.Name == r.Interface && p.Masked() == r.Dst {
				return p.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}

// WriteRoutes writes rows as ip route show does.
func WriteRoutes(w io.Writer, list []Route) error {
	for _, r := range list {
		line := r.Dst
		for _, part := range [][2]string{{" via ", r.Gateway}, {" dev ", r.Dev}, {" proto ", r.Protocol}, {" scope ", r.Scope}, {" src ", r.PrefSrc}} {
			if part[1] != "" {
				line += part[0] + part[1]
			}
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// A Neigh is an entry of the neighbour table, of ip neigh show.
type Neigh struct {
	Dst    string   `json:"dst"`
	Dev    string   `json:"dev"`
	MAC    string   `json:"lladdr,omitempty"`
	Router bool     `json:"router,omitempty"`
	State  []string `json:"state"`
}

// Neighs is ip neigh show.
func Neighs(table []netstack.Neighbour, o Options) []Neigh {
	list := []Neigh{}
	for _, n := range table {
		if o.Dev != "" && o.Dev != n.Interface || !o.of(n.Addr) {
			continue
		}
		row := Neigh{Dst: n.Addr.String(), Dev: n.Interface, Router: n.Router, State: []string{n.State}}
		if n.MAC != ([6]byte{}) && n.State != "FAILED" && n.State != "INCOMPLETE" {
			row.MAC = net.HardwareAddr(n.MAC[:]).String()
		}
		list = append(list, row)
	}
	return list
}

// WriteNeighs writes rows as ip neigh show does.
func WriteNeighs(w io.Writer, list []Neigh) error {
	for _, n := range list {
		line := n.Dst + " dev " + n.Dev
		if n.MAC != "" {
			line += " lladdr " + n.MAC
		}
		if n.Router {
			line += " router"
		}
		if _, err := fmt.Fprintln(w, line+" "+strings.Join(n.State, " ")); err != nil {
			return err
		}
	}
	return nil
}
