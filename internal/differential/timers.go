package differential

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	second = time.Second
	half   = second / 2
)

// wait is a step that lets time pass.
func wait(d time.Duration) Step { return Step{Kind: Wait, For: d} }

func in(port int, frame []byte) Step { return Step{Kind: Frame, Port: port, Bytes: frame} }

func hello(port int, src byte) Step {
	return in(port, Pad(Ethernet(broadcast, station(src), EtherTest, src), 60))
}

// repeat is steps, n times.
func repeat(n int, steps ...Step) (list []Step) {
	for range n {
		list = append(list, steps...)
	}
	return list
}

// fastTree has the spanning tree decide as quickly as it may: hello 1 s, forward
// delay 2 s, max age 6 s.
var fastTree = Settings{{"mcast_snooping", 0}, {"forward_delay", 200}, {"hello_time", 100}, {"max_age", 600}, {"stp_state", 1}}

// better is a message of a root that is better than the bridge under test.
func better(cost uint32, flags uint8) []byte {
	return BPDU{Flags: flags, Root: [8]byte{0x10, 0, 2, 0, 0, 0, 0, 1}, Cost: cost, Bridge: [8]byte{0x20, 0, 2, 0, 0, 0, 0, 2}, Port: 0x8001,
		MaxAge: 6 << 8, Hello: 1 << 8, ForwardDelay: 2 << 8}.Frame(station(1))
}

func igmpFrom(src byte, from string, dst netip.Addr, m []byte) []byte {
	return Ethernet(GroupMAC(dst), station(src), EtherIPv4, IPv4(netip.MustParseAddr(from), dst, protoIGMP, m)...)
}

func report(src byte, group netip.Addr) []byte {
	return igmpFrom(src, "10.0.0.1", group, IGMP(IGMPv2Report, 0, group))
}

func leave(src byte, group netip.Addr) []byte {
	return igmpFrom(src, "10.0.0.1", netip.MustParseAddr("224.0.0.2"), IGMP(IGMPLeave, 0, group))
}

func query(src byte, from string) []byte {
	return igmpFrom(src, from, netip.MustParseAddr("224.0.0.1"), IGMP(IGMPQuery, 10, zero4))
}

// fastSnooping is snooping whose intervals are a second or two.
func fastSnooping(more ...Setting) Settings {
	return append(Settings{{"mcast_snooping", 1}, {"mcast_last_member_interval", 100}, {"mcast_membership_interval", 250}, {"mcast_querier_interval", 300},
		{"mcast_query_interval", 200}, {"mcast_query_response_interval", 30}, {"mcast_startup_query_interval", 100}}, more...)
}

// timers are the setups in which time decides.
func timers() []*Setup {
	g := groups[0]
	list := []*Setup{
		{
			Name: "ageing", Bridge: Settings{{"mcast_snooping", 0}, {"ageing_time", 150}}, Ports: make([]Settings, 3),
			Steps: slices.Concat([]Step{
				hello(1, 1), hello(2, 2), {Kind: AddFDB, Port: 3, MAC: station(3), State: FDBStatic, Flags: Replace}, wait(second),
				hello(1, 1), wait(second), hello(2, 4), wait(4 * second),
			}),
		},
		{
			Name: "ageing set shorter and longer", Bridge: Settings{{"mcast_snooping", 0}, {"ageing_time", 30000}}, Ports: make([]Settings, 2),
			Steps: []Step{
				hello(1, 1), wait(second), {Kind: SetBridge, Setting: Setting{"ageing_time", 200}}, hello(2, 2), wait(4 * second),
				{Kind: SetBridge, Setting: Setting{"ageing_time", 30000}}, hello(1, 1), wait(3 * second),
			},
		},
		{
			Name: "tree: alone", Bridge: fastTree, Ports: make([]Settings, 3),
			Steps: []Step{wait(second), hello(1, 1), wait(second + half), hello(1, 2), wait(2 * second), hello(1, 3), wait(3 * second)},
		},
		{
			Name: "tree: a cable from port to port", Bridge: fastTree, Ports: make([]Settings, 3), Cables: [][2]int{{1, 2}},
			Steps: []Step{wait(6 * second), hello(3, 3), wait(2 * second)},
		},
		{
			Name: "tree: a root comes and goes", Bridge: fastTree, Ports: make([]Settings, 3),
			Steps: slices.Concat([]Step{wait(5 * second)}, repeat(5, in(1, better(10, 0)), wait(second)), []Step{hello(2, 2), wait(8 * second)}),
		},
		{
			Name: "tree: two ways to the root", Bridge: fastTree, Ports: make([]Settings, 3),
			Steps: slices.Concat([]Step{wait(half)}, repeat(6, in(1, better(10, 0)), in(2, better(4, 0)), wait(9*second/10)),
				repeat(8, in(1, better(10, 0)), wait(9*second/10)), []Step{wait(second)}),
		},
		{
			Name: "tree: topology change", Bridge: append(slices.Clone(fastTree), Setting{"ageing_time", 30000}), Ports: make([]Settings, 3),
			Steps: []Step{wait(6 * second), hello(1, 1), hello(2, 2), in(3, TCN(station(3))), wait(4 * second), hello(1, 1), wait(8 * second), hello(2, 2), wait(second)},
		},
		{
			Name: "tree: the root tells of a change", Bridge: append(slices.Clone(fastTree), Setting{"ageing_time", 30000}), Ports: make([]Settings, 3),
			Steps: slices.Concat([]Step{wait(half)}, repeat(6, in(1, better(10, 0)), wait(second)), []Step{hello(2, 2), hello(1, 1)},
				repeat(5, in(1, better(10, 1)), wait(second)), repeat(3, in(1, better(10, 0)), wait(second)), []Step{in(2, TCN(station(3))), wait(second + half)},
				[]Step{in(1, better(10, 0x81)), wait(second)}),
		},
		{
			Name: "tree: a link goes down and up", Bridge: fastTree, Ports: make([]Settings, 3),
			Steps: []Step{wait(5 * second), hello(2, 2), {Kind: Down, Port: 2}, wait(2 * second), {Kind: Up, Port: 2}, wait(6 * second)},
		},
		{
			Name: "tree: guard and root block", Bridge: fastTree, Ports: []Settings{{{"guard", 1}}, {{"root_block", 1}}, nil},
			Steps: slices.Concat([]Step{wait(5 * second), in(1, better(10, 0))}, repeat(3, in(2, better(10, 0)), wait(second)), []Step{wait(4 * second)}),
		},
		{
			Name: "tree: turned off and on", Bridge: fastTree, Ports: make([]Settings, 2),
			Steps: []Step{wait(5 * second), {Kind: SetBridge, Setting: Setting{"stp_state", 0}}, wait(second), {Kind: SetBridge, Setting: Setting{"stp_state", 1}}, wait(5*second + half)},
		},
		{
			Name: "tree: costs and priorities", Bridge: fastTree, Ports: []Settings{nil, {{"cost", 3}}, {{"priority", 4}}},
			Steps: slices.Concat([]Step{wait(half)}, repeat(5, in(1, better(10, 0)), in(2, better(50, 0)), in(3, better(10, 0)), wait(9*second/10)),
				[]Step{{Kind: SetPort, Port: 1, Setting: Setting{"cost", 2}}}, repeat(5, in(1, better(10, 0)), in(2, better(50, 0)), in(3, better(10, 0)), wait(9*second/10)),
				[]Step{{Kind: SetBridge, Setting: Setting{"priority", 1}}, wait(5 * second)}),
		},
		{
			Name: "snooping: members go", Bridge: fastSnooping(), Ports: make([]Settings, 3),
			Steps: []Step{wait(second), in(1, report(1, g)), wait(second), in(2, report(2, g)), wait(5 * second)},
		},
		{
			Name: "snooping: the querier asks", Bridge: fastSnooping(Setting{"mcast_querier", 1}), Ports: make([]Settings, 2),
			Steps: []Step{wait(8 * second)},
		},
		{
			Name: "snooping: leaving", Bridge: fastSnooping(Setting{"mcast_querier", 1}, Setting{"mcast_membership_interval", 30000}), Ports: []Settings{nil, {{"fastleave", 1}}, nil},
			Steps: []Step{
				wait(7 * second / 10), in(1, report(1, g)), in(2, report(2, g)), in(3, report(3, g)), wait(7 * second / 10), in(1, leave(1, g)), in(2, leave(2, g)), wait(4 * second),
				in(3, leave(3, g)), wait(half), in(3, report(3, g)), wait(4 * second),
			},
		},
		{
			Name: "snooping: another querier", Bridge: fastSnooping(Setting{"mcast_querier", 1}), Ports: make([]Settings, 2),
			Steps: []Step{wait(half), in(1, query(9, "10.0.0.9")), wait(2 * second), in(1, query(9, "10.0.0.9")), wait(2 * second), in(2, query(8, "10.0.0.8")), wait(9 * second)},
		},
		{
			Name: "snooping: sources go", Bridge: fastSnooping(Setting{"mcast_igmp_version", 3}, Setting{"mcast_querier", 1}), Ports: make([]Settings, 2),
			Steps: []Step{
				wait(half), in(1, igmpFrom(1, "10.0.0.1", netip.MustParseAddr("224.0.0.22"), IGMPv3(Record{1, g, hosts[:2]}))), wait(second),
				in(1, igmpFrom(1, "10.0.0.1", netip.MustParseAddr("224.0.0.22"), IGMPv3(Record{6, g, hosts[:1]}))), wait(second),
				in(2, igmpFrom(2, "10.0.0.2", netip.MustParseAddr("224.0.0.22"), IGMPv3(Record{4, g, hosts[:1]}))), wait(6 * second),
			},
		},
		{
			Name: "snooping: members of IPv6 go", Bridge: fastSnooping(), Ports: make([]Settings, 2),
			Steps: []Step{wait(half), in(1, Ethernet(GroupMAC(groups6[0]), station(1), EtherIPv6, MLD(hosts6[0], groups6[0], MLDv1Report, 0, groups6[0])...)), wait(4 * second)},
		},
		{
			Name: "snooping: a router for a while", Bridge: fastSnooping(), Ports: make([]Settings, 2),
			Steps: []Step{wait(half), {Kind: SetPort, Port: 2, Setting: Setting{"mcast_router", 3}}, wait(5 * second)},
		},
	}
	for _, s := range list {
		s.Timed = true
		for i, p := range s.Ports {
			if _, ok := p.Get("cost"); !ok && strings.HasPrefix(s.Name, "tree") { // a TAP's default is 100 or 2, by the kernel's version
				s.Ports[i] = append(slices.Clone(p), Setting{"cost", 100})
			}
		}
	}
	return list
}
