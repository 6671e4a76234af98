package differential

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"ringside/bridge"
)

// A generator makes random setups. Everything it makes is a function of its
// seed and of what it is told that both sides have.
type generator struct {
	*rand.Rand
	has func(string) bool
	s   *Setup

	vlan     bool // VLANs are set up
	filter   bool // and filtered by
	snooping bool
	neighs   bool // some port answers for neighbours
	hub      bool // nothing is learned
	later    []Step
	member   []bool
	stations []bridge.MAC
	vids     []uint16
	tagged   int // of a hundred frames
	serial   uint32
}

var (
	groups  = addrs("239.1.1.1", "239.1.1.2", "239.129.1.1", "224.0.0.5", "224.0.0.251", "232.1.1.1")
	groups6 = addrs("ff05::1:1", "ff05::1:2", "ff02::fb", "ff02::1", "ff3e::1", "ff01::7")
	hosts   = addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
	hosts6  = addrs("fe80::1", "fe80::2", "fe80::3", "2001:db8::4")
	zero4   = netip.IPv4Unspecified()
	zero6   = netip.IPv6Unspecified()
)

func addrs(list ...string) (all []netip.Addr) {
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// Generate makes a setup of n steps. Has says which features both sides have,
// by the names that Linux.Features gives them.
func Generate(seed uint64, n int, has func(string) bool) *Setup {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0xb51d6e)), has: has}
	g.s = &Setup{Name: fmt.Sprintf("random %d", seed), Seed: seed}
	for i := range 12 {
		g.stations = append(g.stations, bridge.MAC{2, 0, 0, 0, 0, byte(i + 1)})
	}
	g.vids = []uint16{1, 1, 1, 2, 2, 3, 10, 4094, 4095, 0}
	g.configure()
	// Whatever a new port makes the bridge send is sent a moment later.
	g.add(Step{Kind: Wait, For: 25 * time.Millisecond})
	for _, s := range g.later {
		g.add(s)
		g.add(Step{Kind: Wait, For: 10 * time.Millisecond})
	}
	for len(g.s.Steps) < n {
		g.step()
	}
	return g.s
}

func (g *generator) percent(n int) bool { return g.IntN(100) < n }

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (g *generator) add(s Step) { g.s.Steps = append(g.s.Steps, s) }

// configure draws the bridge and its ports.
func (g *generator) configure() {
	g.configureVLAN()
	g.configureMulticast()
	g.maybe(35, "group_fwd_mask", uint64(g.IntN(1<<16))&0xfff8)
	if g.hub = g.percent(6); g.hub {
		g.maybe(100, "ageing_time", 0)
	}
	g.maybe(10, "no_linklocal_learn", 1)
	g.maybe(8, "fdb_max_learned", uint64(g.IntN(8)))
	g.s.Promisc = g.percent(20)
	n := 2 + g.IntN(5)
	g.member = make([]bool, n+1)
	quiet := g.percent(30) // no flags at all
	for p := 1; p <= n; p++ {
		g.member[p] = true
		var list Settings
		if !quiet {
			list = g.port()
		}
		g.s.Ports = append(g.s.Ports, list)
	}
	if g.neighs && g.has("neigh") {
		for range g.IntN(6) {
			g.neigh()
		}
	}
	if g.vlan {
		for range g.IntN(3 * n) {
			g.vlanStep()
		}
	}
}

// maybe sets an option of the bridge, so many times of a hundred.
func (g *generator) maybe(percent int, name string, v uint64) {
	if g.percent(percent) && g.has(name) {
		g.s.Bridge = append(g.s.Bridge, Setting{name, v})
	}
}

func (g *generator) configureVLAN() {
	if !g.has("vlan_filtering") {
		g.tagged = pick(g, []int{0, 5, 20})
		return
	}
	g.vlan = g.percent(75)
	g.tagged = pick(g, []int{5, 20, 50, 70})
	if !g.vlan {
		g.maybe(50, "vlan_default_pvid", 0)
		return
	}
	g.maybe(30, "vlan_default_pvid", uint64(g.IntN(4)))
	g.maybe(12, "vlan_protocol", EtherSVLAN)
	g.maybe(30, "vlan_stats_enabled", 1)
	if g.filter = g.percent(90); g.filter {
		g.maybe(100, "vlan_filtering", 1)
	}
}

func (g *generator) configureMulticast() {
	g.snooping = g.percent(55) && g.has("mcast_querier")
	if g.has("mcast_snooping") {
		g.s.Bridge = append(g.s.Bridge, Setting{"mcast_snooping", flag(g.snooping)})
	}
	if !g.snooping {
		return
	}
	// Far more than a run takes, so that no timer decides. What a new querier
	// waits before it is believed is over before the first frame, or never.
	for _, name := range []string{"mcast_last_member_interval", "mcast_membership_interval", "mcast_querier_interval", "mcast_startup_query_interval", "mcast_query_interval"} {
		g.maybe(100, name, 90000)
	}
	g.maybe(100, "mcast_query_response_interval", pick(g, []uint64{1, 1, 90000}))
	g.maybe(30, "mcast_querier", 1)
	g.maybe(25, "mcast_router", uint64(g.IntN(3)))
	g.maybe(40, "mcast_igmp_version", 3)
	g.maybe(40, "mcast_mld_version", 2)
	g.maybe(10, "mcast_hash_max", 4)
}

// portFlags are the flags of a port that make it other than by default, and how
// many ports of a hundred have them.
var portFlags = []struct {
	name   string
	values []uint64
	often  int
}{
	{"learning", []uint64{0}, 10},
	{"hairpin", []uint64{1}, 10},
	{"flood", []uint64{0}, 12},
	{"mcast_flood", []uint64{0}, 12},
	{"bcast_flood", []uint64{0}, 12},
	{"isolated", []uint64{1}, 20},
	{"locked", []uint64{1}, 10},
	{"mab", []uint64{1}, 5},
	{"group_fwd_mask", []uint64{0x4000, 0x8, 0xfff8, 0xfff0}, 10},
	{"guard", []uint64{1}, 5},
	{"root_block", []uint64{1}, 3},
	{"fastleave", []uint64{1}, 15},
	{"mcast_router", []uint64{0, 2}, 12},
	{"mcast_to_unicast", []uint64{1}, 12},
	{"mcast_max_groups", []uint64{1, 2}, 5},
	{"neigh_suppress", []uint64{1}, 12},
	{"proxy_arp", []uint64{1}, 6},
	{"proxy_arp_wifi", []uint64{1}, 4},
	{"neigh_vlan_suppress", []uint64{1}, 4},
	{"state", []uint64{1, 2, 4}, 5}, // 0 is a named row: ip link set down treats it otherwise than a lost carrier
	{"backup_port", []uint64{1, 2}, 3},
}

func (g *generator) port() (list Settings) {
	for _, f := range portFlags {
		if !g.percent(f.often) || !g.has("port "+f.name) {
			continue
		}
		if len(g.s.Ports) == 0 && unsteady(f.name) {
			continue
		}
		if f.name == "mab" { // wants a locked port that learns
			list = append(list, Setting{"learning", 1}, Setting{"locked", 1})
		}
		if f.name == "backup_port" { // of a port that is there already
			if len(g.s.Ports) < 2 {
				continue
			}
		}
		g.neighs = g.neighs || slices.Contains([]string{"neigh_suppress", "proxy_arp", "proxy_arp_wifi"}, f.name)
		if f.name == "state" { // only after the port's first query
			g.later = append(g.later, Step{Kind: SetPort, Port: len(g.s.Ports) + 1, Setting: Setting{"state", pick(g, f.values)}})
			continue
		}
		list = append(list, Setting{f.name, pick(g, f.values)})
	}
	return list
}

func (g *generator) realPort() int { return 1 + g.IntN(len(g.s.Ports)) }

// memberPort is a port that is in the bridge.
func (g *generator) memberPort() int {
	for range 10 {
		if p := g.realPort(); g.member[p] {
			return p
		}
	}
	return 1
}

// unsteady says that a flag may end a port's forwarding. Port 1 is spared that,
// since a bridge none of whose ports forwards has no carrier, and the kernel says
// so, and stops the host's frames, when it likes.
func unsteady(name string) bool { return name == "state" || name == "guard" }

// anyPort is a port that is in the bridge, or the host so many times of a
// hundred.
func (g *generator) anyPort(host int) int {
	if g.percent(host) {
		return Host
	}
	return g.memberPort()
}

func (g *generator) step() {
	switch n := g.IntN(1000); {
	case n < 920:
		g.frame()
	case n < 940:
		g.addFDB()
	case n < 952:
		g.add(Step{Kind: DelFDB, Port: g.anyMember(5), MAC: g.station(), VLAN: g.vid(50)})
	case n < 954:
		if g.has("fdb flush") {
			g.add(Step{Kind: FlushFDB, Port: g.anyMember(30)})
		}
	case n < 960:
		g.plug()
	case n < 972:
		g.flip()
	case n < 976:
		g.flipBridge()
	case n < 984:
		if g.vlan {
			g.vlanStep()
		}
	case n < 992:
		if g.snooping && g.has("mdb") {
			g.mdbStep()
		}
	case n < 996:
		if g.neighs && g.has("neigh") {
			g.neigh()
		}
	case n < 998:
		g.cable()
	case n < 999:
		if p := g.memberPort(); p != Host && g.has("mtu") {
			g.add(Step{Kind: SetMTU, Port: p, Setting: Setting{"mtu", pick(g, []uint64{1500, 1400, 1504, 9000})}})
		}
	}
}

// anyMember is a port for a step that is about one: a port outside the bridge
// is not the bridge's to answer for.
func (g *generator) anyMember(host int) int { return g.anyPort(host) }

// vid is a VLAN for a step, if there are any.
func (g *generator) vid(percent int) uint16 {
	if !g.vlan || !g.percent(percent) {
		return 0
	}
	return pick(g, []uint16{1, 2, 3, 10, 4094})
}

func (g *generator) addFDB() {
	s := Step{Kind: AddFDB, Port: g.anyPort(5), MAC: g.station(), VLAN: g.vid(60), State: FDBStatic}
	if g.percent(2) {
		s.MAC = bridge.MAC{}
	}
	if g.has("fdb kinds") {
		s.State = pick(g, []uint8{FDBDynamic, FDBStatic, FDBStatic, FDBPermanent})
	}
	if g.percent(60) || !g.has("fdb kinds") {
		s.Flags |= Replace
	}
	if g.percent(30) {
		s.Flags |= Sticky
	}
	if g.percent(15) && g.has("fdb kinds") { // Linux looks at nothing else then
		s.State, s.Flags = FDBDynamic, ExtLearned|Replace
	}
	if g.vlan && s.VLAN == 0 { // in all VLANs of the port, as far as it gets
		s.Flags |= Replace
	}
	if g.hub && s.State == FDBDynamic { // it is gone at the next walk, be that when it may
		return
	}
	if s.Port == Host && !g.has("fdb kinds") {
		return
	}
	g.add(s)
}

// plug takes a port out of the bridge, or puts it back.
func (g *generator) plug() {
	p := g.realPort()
	if p == 1 {
		return
	}
	kind := Attach
	if g.member[p] {
		kind = Detach
	}
	g.member[p] = !g.member[p]
	g.add(Step{Kind: kind, Port: p})
	g.add(Step{Kind: Wait, For: 10 * time.Millisecond})
}

// flip sets a flag of a port to another value, or back to its default.
func (g *generator) flip() {
	p, f := g.memberPort(), pick(g, portFlags)
	if !g.has("port "+f.name) || !g.has("set port") || f.name == "backup_port" || p == 1 && unsteady(f.name) {
		return
	}
	s := Setting{f.name, pick(g, f.values)}
	if g.percent(50) {
		switch f.name {
		case "learning", "flood", "mcast_flood", "bcast_flood":
			s.Value = 1
		case "mcast_router":
			s.Value = 1
		case "state":
			s.Value = 3
		default:
			s.Value = 0
		}
	}
	g.neighs = g.neighs || s.Value != 0 && slices.Contains([]string{"neigh_suppress", "proxy_arp", "proxy_arp_wifi"}, f.name)
	g.add(Step{Kind: SetPort, Port: p, Setting: s})
	if f.name == "state" {
		g.add(Step{Kind: Wait, For: 10 * time.Millisecond})
	}
}

func (g *generator) flipBridge() {
	list := []Setting{
		{"group_fwd_mask", uint64(g.IntN(1<<16)) & 0xfff8}, {"no_linklocal_learn", uint64(g.IntN(2))}, {"fdb_max_learned", uint64(g.IntN(9))},
		{"group_fwd_mask", uint64(g.IntN(1 << 16))},
	}
	if g.vlan {
		list = append(list, Setting{"vlan_filtering", flag(g.percent(75))}, Setting{"vlan_default_pvid", uint64(g.IntN(4))},
			Setting{"vlan_protocol", pick(g, []uint64{EtherVLAN, EtherSVLAN})})
	}
	if g.snooping {
		list = append(list, Setting{"mcast_router", uint64(g.IntN(3))}, Setting{"mcast_snooping", flag(g.percent(70))}, Setting{"mcast_querier", uint64(g.IntN(2))},
			Setting{"mcast_igmp_version", uint64(2 + g.IntN(2))}, Setting{"mcast_mld_version", uint64(1 + g.IntN(2))})
	}
	if s := pick(g, list); g.has(s.Name) && g.has("set bridge") {
		g.add(Step{Kind: SetBridge, Setting: s})
		g.add(Step{Kind: Wait, For: 10 * time.Millisecond})
	}
}

// vlanStep adds, deletes or sets VLANs of a port or of the bridge.
func (g *generator) vlanStep() {
	p := g.anyPort(15)
	s := Step{Kind: AddVLAN, Port: p, VLAN: pick(g, []uint16{1, 2, 3, 10, 4094})}
	switch n := g.IntN(100); {
	case n < 60:
		if g.percent(40) {
			s.Flags |= PVID
		}
		if g.percent(50) {
			s.Flags |= Untagged
		}
		if g.percent(20) && s.Flags&PVID == 0 {
			s.End = min(4094, s.VLAN+uint16(g.IntN(4)))
		}
	case n < 85:
		s.Kind = DelVLAN
	default:
		if !g.has("vlan state") || p == Host {
			return
		}
		s.Kind, s.Setting = SetVLAN, Setting{"state", pick(g, []uint64{0, 1, 2, 3, 3, 3, 4})}
		if g.percent(30) && g.has("vlan neigh_suppress") {
			s.Setting = Setting{"neigh_suppress", uint64(g.IntN(2))}
		}
	}
	g.add(s)
}

func (g *generator) mdbStep() {
	s := Step{Kind: AddMDB, Port: g.anyPort(10), Group: pick(g, append(groups, groups6...)), VLAN: g.vid(50), State: uint8(g.IntN(2))}
	if g.percent(30) {
		s.Kind = DelMDB
	}
	switch {
	case g.percent(10):
		s.Group, s.GroupL2 = netip.Addr{}, bridge.MAC{1, 0, 0, 0, 0, 7}
		s.State = 1
	case g.percent(25):
		s.Source = pick(g, hosts)
		if s.Group.Is6() {
			s.Source = pick(g, hosts6)
		}
	}
	g.add(s)
}

// neigh adds or deletes a neighbour of the host.
func (g *generator) neigh() {
	i := g.IntN(len(hosts))
	s := Step{Kind: AddNeigh, IP: hosts[i], MAC: g.stations[i]}
	if g.percent(40) && g.has("neigh6") && !g.snooping {
		g.s.IPv6 = true
		s.IP = hosts6[i]
	}
	if g.percent(20) {
		s.MAC = pick(g, g.stations)
	}
	if g.has("vlan interface") && g.percent(50) {
		s.VLAN = g.vid(70)
	}
	if g.percent(15) {
		s.Kind = DelNeigh
	}
	g.add(s)
}

// cable has a port's link go down and up again.
func (g *generator) cable() {
	p := g.memberPort()
	if p == 1 || !g.has("cable") {
		return
	}
	down, up := Step{Kind: Down, Port: p}, Step{Kind: Up, Port: p}
	g.add(down)
	g.add(Step{Kind: Wait, For: 10 * time.Millisecond})
	for range g.IntN(30) {
		if q := g.memberPort(); q != p {
			g.frameOn(q)
		}
	}
	g.add(up)
	g.add(Step{Kind: Wait, For: 25 * time.Millisecond})
}
