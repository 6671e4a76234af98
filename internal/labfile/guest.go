package labfile

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"ringside"
	"ringside/bridge"
	"ringside/internal/form"
	"ringside/internal/programs"
	"ringside/netstack"
	"ringside/virtio"
	"ringside/vm/guest"
)

// A guestAt is what a file says of a guest that has a stack of its own.
type guestAt struct {
	field
	v    *ringside.VM
	said field // the first key that only such a guest has
	run  []programs.Entry
	more []moreAt
}

// moreAt is a further interface of a guest, and what gives it its name.
type moreAt struct {
	link *linkAt
	name field
}

// guestKeys are those of a guest that has a stack.
func (l *lab) guestKeys(g *guestAt) []known {
	v := g.v
	keys := []known{
		{Name: "run", Read: func(f field) { g.run = programs.Read(l.Reader, f) }},
		{Name: "addresses", Read: func(f field) { Addresses(l.Reader, f, &v.Addresses) }},
		{Name: "gateway", Read: func(f field) { v.Gateway, _ = l.Addr(f) }},
		{Name: "resolver", Read: func(f field) { v.Resolver, _ = l.Addr(f) }},
		{Name: "routes", Read: func(f field) { Routes(l.Reader, f, &v.Routes) }},
		{Name: "forward", Read: l.On(&v.Forward)},
		{Name: "congestion", Read: func(f field) { Congestion(l.Reader, f, &v.TCP) }},
		{Name: "virtio", Read: func(f field) { l.virtio(f, &v.Virtio) }},
		{Name: "interfaces", Read: func(f field) { l.interfaces(f, g) }},
	}
	for i := range keys {
		read := keys[i].Read
		keys[i].Read = func(f field) {
			if g.said.Node == nil {
				g.said = f
			}
			read(f)
		}
	}
	return keys
}

// settle makes a guest with a stack of what was said, if something was.
func (l *lab) settle(g *guestAt, link *linkAt, program field) bool {
	if g.said.Node == nil {
		return false
	}
	if program.Node != nil {
		l.Fail(program.Key, "%s: a guest with %s has a kernel of its own: its programs are under run", program.Path, g.said.Name)
	}
	g.v.Program, g.v.Processes = nil, programs.Processes(g.run)
	if g.v.Processes == nil {
		g.v.Processes = []guest.Process{}
	}
	g.v.Forward = g.v.Forward || programs.Forward(g.run)
	l.runs[g.Name] = g.run
	l.stackMTU(link, g.v.MTU)
	for i, m := range g.more {
		l.stackMTU(m.link, g.v.Interfaces[i].MTU)
		if m.link.name == "" {
			m.link.name = fmt.Sprintf("%s.%d", g.v.Port.Name, i+1)
		}
		g.v.Interfaces[i].Port.Name = m.link.name
		if l.IsIfname(m.name, m.link.name) && l.take(m.name, m.link.name) {
			l.links = append(l.links, m.link)
		}
	}
	return true
}

// minMTU is the least that a stack with IPv6 can do with [RFC 8200, 5].
const minMTU = 1280

// stackMTU finds an interface that is too narrow for a guest's stack.
func (l *lab) stackMTU(at *linkAt, mtu int) {
	if mtu != 0 && mtu < minMTU {
		l.Wrong(at.mtu, "%d: a guest with a kernel of its own needs %d or more, for IPv6", mtu, minMTU)
	}
}

// Addresses reads addresses with their prefixes, one or a list.
func Addresses(l *form.Reader, f field, into *[]netip.Prefix) {
	for _, e := range l.List(f) {
		p, ok := l.Prefix(e)
		switch {
		case !ok:
		case p.Addr().IsUnspecified() || p.Addr().IsMulticast():
			l.Wrong(e, "%v is not the address of a host", p)
		default:
			*into = append(*into, p)
		}
	}
}

// Routes reads routes, as ip route add takes them.
func Routes(l *form.Reader, f field, into *[]netstack.Route) {
	for _, f := range l.List(f) {
		var r netstack.Route
		l.Mapping(f, "a route, as {to: 10.1.0.0/16, via: 10.0.0.1}", []known{
			{Name: "to", Read: func(f field) {
				if p, ok := l.Prefix(f); ok {
					r.Dst = p.Masked()
				}
			}},
			{Name: "via", Read: func(f field) { r.Via, _ = l.Addr(f) }},
			{Name: "dev", Read: func(f field) { r.Interface, _ = l.Ifname(f) }},
		})
		if !r.Dst.IsValid() || !r.Via.IsValid() && r.Interface == "" {
			l.Need(f, "a route needs its to, and via or dev, as {to: 10.1.0.0/16, via: 10.0.0.1}")
			continue
		}
		*into = append(*into, r)
	}
}

// Congestion reads which congestion control TCP has.
func Congestion(l *form.Reader, f field, c *netstack.TCPConfig) {
	words := []string{"cubic", "reno"}
	if i, ok := l.Word(f, words...); ok {
		c.Congestion = words[i]
	}
}

// virtio reads how a guest's network devices are.
func (l *lab) virtio(f field, c *ringside.VirtioConfig) {
	l.Mapping(f, "its network devices, as {queues: 2, size: 512}", []known{
		{Name: "queues", Read: form.Whole(l.Reader, &c.Queues, 1, ringside.MaxPairs)},
		{Name: "size", Read: func(f field) {
			n, ok := l.Number(f, 2, virtio.MaxSize)
			if ok && bits.OnesCount64(n) != 1 {
				l.Wrong(f, "%d: give a power of two", n)
				return
			}
			c.Size = int(n)
		}},
		{Name: "off", Read: func(f field) { l.features(f, &c.Off) }},
		{Name: "cpu", Read: func(f field) { l.cpu(f, &c.CPU) }},
		{Name: "cpus_allowed", Read: l.cpuSet(&c.Allowed)},
	})
}

// features reads names of features, as the specification has them, in lower case
// and without VIRTIO_NET_F_.
func (l *lab) features(f field, into *virtio.Features) {
	names, byName := []string{}, map[string]virtio.Features{}
	for bit := range 64 {
		one := virtio.Known & (1 << bit)
		if one == 0 {
			continue
		}
		name := strings.ToLower(one.String())
		names, byName[name] = append(names, name), one
	}
	for _, e := range l.List(f) {
		if i, ok := l.Word(e, names...); ok {
			*into |= byName[names[i]]
		}
	}
}

// interfaces reads a guest's further interfaces. Their names are settled when that of
// the first is known.
func (l *lab) interfaces(f field, g *guestAt) {
	list := l.List(f)
	g.v.Interfaces, g.more = make([]ringside.VMInterface, len(list)), make([]moreAt, len(list))
	for i, f := range list {
		in, m := &g.v.Interfaces[i], &g.more[i]
		m.link, m.name = &linkAt{field: f, port: &in.Port}, f
		l.Mapping(f, "an interface, as {bridge: br1, addresses: 10.1.0.1/24}", append(l.link(m.link, &in.Bridge, &in.MTU, &in.MirrorIn, &in.MirrorOut),
			known{Name: "mac", Read: l.StationInto((*bridge.MAC)(&in.MAC))},
			known{Name: "addresses", Read: func(f field) { Addresses(l.Reader, f, &in.Addresses) }},
			known{Name: "tap", Read: func(f field) {
				if s, ok := l.Ifname(f); ok {
					m.name, m.link.name = f, s
				}
			}},
		))
	}
}

// masquerade reads the networks whose packets leave under the host's address.
func (l *lab) masquerade(f field) {
	for _, f := range l.List(f) {
		var m ringside.Masquerade
		l.Mapping(f, "a network and where it leaves, as {from: 10.1.0.0/16, out: br0}", []known{
			{Name: "from", Read: func(f field) {
				if p, ok := l.Prefix(f); ok {
					m.From = p.Masked()
				}
			}},
			{Name: "out", Read: func(f field) { m.Out, _ = l.Ifname(f) }},
		})
		if !m.From.IsValid() || m.Out == "" {
			l.Need(f, "to masquerade needs from and out, as {from: 10.1.0.0/16, out: br0}")
			continue
		}
		l.cfg.NAT = append(l.cfg.NAT, m)
	}
}
