package netstack

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringside/sim"
)

// Neighbours are found here and not by gVisor: its table takes 84 KiB an interface,
// twice a stack without it, and with 65 of them unresolved it gives one up in a
// goroutine, which sends. The states are those of RFC 4861, 7.3.2, for ARP too, as
// Linux has them.
//
//	        sent to          no answer
//	NONE ──► INCOMPLETE ───────────────► FAILED ──► (sent to) INCOMPLETE
//	              │ answer
//	              ▼        30 s          sent to         5 s         no answer
//	          REACHABLE ────────► STALE ────────► DELAY ────► PROBE ──────────► FAILED
type neighbour struct {
	i       *Interface
	addr    tcpip.Address
	mac     [6]byte
	state   nudState
	router  bool
	probes  int
	updated sim.Time
	timer   timer
	waiting []held // frames, the oldest first
	bytes   int    // of them
}

type nudState uint8

const (
	nudNone nudState = iota
	nudIncomplete
	nudReachable
	nudStale
	nudDelay
	nudProbe
	nudFailed
	nudPermanent
)

var nudNames = [...]string{"NONE", "INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "PERMANENT"}

// The numbers are Linux's, those of RFC 4861, 10 where it has them.
const (
	baseReachable = 30 * sim.Second // REACHABLE_TIME
	delayFirst    = 5 * sim.Second  // DELAY_FIRST_PROBE_TIME
	retransTime   = sim.Second      // RETRANS_TIMER
	solicits      = 3               // MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT
	lockTime      = sim.Second      // a second answer to one question does not count (locktime)
	maxHeld       = 212992          // bytes that wait for one neighbour (unres_qlen_bytes)
	maxNeighbours = 1024            // of an interface (gc_thresh3)
)

// A held is a frame that waits for its neighbour.
type held struct {
	frame []byte
	p     Packet // what travels beside it
	proto tcpip.NetworkProtocolNumber
}

// A Neighbour is an entry of the neighbour table: who is behind an address, as
// ARP and ND have learned it.
type Neighbour struct {
	Interface string
	Addr      netip.Addr
	MAC       [6]byte // zero if it is not known
	State     string  // as ip(8) has it: INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, PERMANENT
	Router    bool    // it says so; IPv6 only
}

// Neighbours is the neighbour table, by interface and address.
func (s *Stack) Neighbours() []Neighbour {
	var all []Neighbour
	for _, i := range s.ifaces {
		from := len(all)
		for _, n := range i.neighbours {
			all = append(all, Neighbour{i.cfg.Name, addrOf(n.addr), n.mac, nudNames[n.state], n.router})
		}
		slices.SortFunc(all[from:], func(a, b Neighbour) int { return a.Addr.Compare(b.Addr) })
	}
	return all
}

// AddNeighbour sets an entry that is not learned and does not age.
func (i *Interface) AddNeighbour(a netip.Addr, mac [6]byte) {
	i.s.enter()
	defer i.s.leave()
	n := i.neighbour(addressOf(a))
	if n == nil {
		n = i.newNeighbour(addressOf(a))
	}
	n.timer.Stop()
	n.mac, n.state = mac, nudPermanent
	n.flush()
}

// neighbour is an entry of the table, nil if there is none.
func (i *Interface) neighbour(a tcpip.Address) *neighbour {
	if n := i.lastHop; n != nil && n.addr == a {
		return n
	}
	n := i.byAddr[a]
	if n != nil {
		i.lastHop = n
	}
	return n
}

// newNeighbour makes an entry. In a table that is full the entry that has not
// changed for longest makes room, but for those that were set.
func (i *Interface) newNeighbour(a tcpip.Address) *neighbour {
	if len(i.neighbours) >= maxNeighbours {
		i.evict()
	}
	n := &neighbour{i: i, addr: a, updated: i.s.now()}
	n.timer = timer{t: &i.s.timers, f: n.expired, pos: idle}
	if i.byAddr == nil {
		i.byAddr = map[tcpip.Address]*neighbour{}
	}
	i.byAddr[a] = n
	i.neighbours = append(i.neighbours, n)
	return n
}

func (i *Interface) evict() {
	oldest := -1
	for at, n := range i.neighbours {
		if n.state != nudPermanent && (oldest < 0 || n.updated < i.neighbours[oldest].updated) {
			oldest = at
		}
	}
	if oldest < 0 {
		return
	}
	n := i.neighbours[oldest]
	n.timer.Stop()
	i.stat.NeighbourDropped += uint64(len(n.waiting))
	i.neighbours = slices.Delete(i.neighbours, oldest, oldest+1)
	delete(i.byAddr, n.addr)
	if i.lastHop == n {
		i.lastHop = nil
	}
}

// set moves the entry to a state in which it stays for a while.
func (n *neighbour) set(state nudState, d sim.Time) {
	n.state, n.updated = state, n.i.s.now()
	if d == 0 {
		n.timer.Stop()
	} else {
		n.timer.after(d)
	}
}

// link is where a frame to the neighbour goes. If it is not known yet, the frame
// has to wait: ok is false.
func (n *neighbour) link() (mac [6]byte, ok bool) {
	switch n.state {
	case nudReachable, nudDelay, nudProbe, nudPermanent:
		return n.mac, true
	case nudStale:
		n.set(nudDelay, delayFirst)
		return n.mac, true
	}
	return mac, false
}

// hold keeps a frame until the neighbour answers, and asks it.
func (n *neighbour) hold(h held) {
	for len(n.waiting) > 0 && n.bytes+len(h.frame) > maxHeld {
		n.bytes -= len(n.waiting[0].frame)
		n.waiting = slices.Delete(n.waiting, 0, 1)
		n.i.stat.NeighbourDropped++
	}
	n.waiting, n.bytes = append(n.waiting, h), n.bytes+len(h.frame)
	if n.state != nudIncomplete {
		n.probes = 1
		n.set(nudIncomplete, retransTime)
		n.solicit()
	}
}

// expired is what happens to an entry when its time in a state is over.
func (n *neighbour) expired() {
	switch n.state {
	case nudReachable:
		n.set(nudStale, 0)
		return
	case nudDelay:
		n.probes = 0
		n.state = nudProbe
	}
	if n.probes == solicits {
		n.set(nudFailed, 0)
		n.fail()
		return
	}
	n.probes++
	n.set(n.state, retransTime)
	n.solicit()
}

// solicit asks for the neighbour, all stations or, to hear that it is still there,
// itself.
func (n *neighbour) solicit() {
	to := [6]byte{}
	if n.state == nudProbe {
		to = n.mac
	}
	if n.addr.Len() == header.IPv4AddressSize {
		n.i.askARP(n.addr, to)
	} else {
		n.i.askND(n.addr, to)
	}
}

// answered is a confirmation: the neighbour is at mac.
func (n *neighbour) answered(mac [6]byte, solicited bool) {
	if n.state == nudPermanent {
		return
	}
	n.mac = mac
	if solicited {
		n.set(nudReachable, n.i.s.reachableTime())
	} else {
		n.set(nudStale, 0)
	}
	n.flush()
}

// probed is what a question of the neighbour's says of itself.
func (n *neighbour) probed(mac [6]byte) {
	known := n.state != nudNone && n.state != nudIncomplete && n.state != nudFailed
	if n.state == nudPermanent || known && n.mac == mac {
		return
	}
	n.answered(mac, false)
}

// reachableTime is between half and one and a half of 30 s [RFC 4861, 6.3.2].
func (s *Stack) reachableTime() sim.Time {
	return baseReachable/2 + sim.Time(s.chance.Uint64()%uint64(baseReachable/sim.Millisecond))*sim.Millisecond
}

// flush sends what has waited.
func (n *neighbour) flush() {
	list := n.waiting
	n.waiting, n.bytes = nil, 0
	for _, h := range list {
		mac, _ := n.link()
		copy(h.frame, mac[:])
		h.p.Parts, h.p.Len = [][]byte{h.frame}, len(h.frame)
		n.i.send(&h.p)
	}
}

// fail tells who has sent what waited: a router sends an ICMP error, a socket gets
// EHOSTUNREACH.
func (n *neighbour) fail() {
	list := n.waiting
	n.waiting, n.bytes = nil, 0
	for _, h := range list {
		n.i.stat.NeighbourDropped++
		n.i.unreachable(&h)
	}
}

func (i *Interface) unreachable(h *held) {
	ep, err := i.s.gv.GetNetworkEndpoint(i.id, h.proto)
	resolvable, ok := ep.(stack.LinkResolvableNetworkEndpoint)
	if err != nil || !ok {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		Payload: buffer.MakeWithData(h.frame[header.EthernetMinimumSize:]), IsForwardedPacket: h.p.Forwarded,
	})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = h.proto
	if h.p.Forwarded {
		proto, hasTransport, ok := i.s.gv.NetworkProtocolInstance(h.proto).Parse(pkt)
		if !ok {
			return
		}
		switch {
		case !hasTransport:
		case proto == header.ICMPv4ProtocolNumber:
			parse.ICMPv4(pkt)
		case proto == header.ICMPv6ProtocolNumber:
			parse.ICMPv6(pkt) // the stack's own does not, and panics for want of a header
		default:
			i.s.gv.ParsePacketBufferTransport(proto, pkt)
		}
	}
	resolvable.HandleLinkResolutionFailure(pkt)
}

// nextHop is the station that a packet goes to, or a group of them: then all is
// said. Else the neighbour has to be asked.
func (i *Interface) nextHop(a tcpip.Address) (mac [6]byte, ok bool) {
	switch {
	case a == header.IPv4Broadcast || i.subnetBroadcast(a):
		return allStations, true
	case header.IsV4MulticastAddress(a):
		copy(mac[:], header.EthernetAddressFromMulticastIPv4Address(a))
		return mac, true
	case header.IsV6MulticastAddress(a):
		copy(mac[:], header.EthernetAddressFromMulticastIPv6Address(a))
		return mac, true
	}
	if n := i.neighbour(a); n != nil {
		return n.link()
	}
	return mac, false
}

var allStations = [6]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}

// subnetBroadcast says that an address means all stations of one of the
// interface's networks.
func (i *Interface) subnetBroadcast(a tcpip.Address) bool {
	if a.Len() != header.IPv4AddressSize {
		return false
	}
	for _, b := range i.broadcasts {
		if a == b {
			return true
		}
	}
	return false
}
