package netstack

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A Neighbour is an entry of the neighbour table: who is behind an address, as
// ARP and ND have learned it.
type Neighbour struct {
	Interface string
	Addr      netip.Addr
	MAC       [6]byte // zero if it is not known
	State     string  // as ip(8) has it: INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, PERMANENT
}

// Neighbours is the neighbour table, by interface and address.
func (s *Stack) Neighbours() []Neighbour {
	var all []Neighbour
	if s.closed {
		return nil
	}
	for _, i := range s.ifaces {
		from := len(all)
		for _, proto := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
			entries, err := s.gv.Neighbors(i.id, proto)
			if err != nil {
				continue // the interface has no such protocol
			}
			for _, e := range entries {
				n := Neighbour{Interface: i.cfg.Name, Addr: addrOf(e.Addr), State: stateOf(e.State)}
				copy(n.MAC[:], e.LinkAddr)
				all = append(all, n)
			}
		}
		slices.SortFunc(all[from:], func(a, b Neighbour) int { return a.Addr.Compare(b.Addr) })
	}
	return all
}

// AddNeighbour sets an entry that is not learned and does not age.
func (i *Interface) AddNeighbour(a netip.Addr, mac [6]byte) {
	i.s.enter()
	i.s.gv.AddStaticNeighbor(i.id, protocolOf(a), addressOf(a), tcpip.LinkAddress(mac[:])) // the interface has both protocols
	i.s.leave()
}

func stateOf(s stack.NeighborState) string {
	switch s {
	case stack.Incomplete:
		return "INCOMPLETE"
	case stack.Reachable:
		return "REACHABLE"
	case stack.Stale:
		return "STALE"
	case stack.Delay:
		return "DELAY"
	case stack.Probe:
		return "PROBE"
	case stack.Static:
		return "PERMANENT"
	case stack.Unreachable:
		return "FAILED"
	}
	return "NONE"
}

// gVisor keeps packets for at most 64 unresolved neighbours of an interface; for
// one more it gives the oldest up in a goroutine of its own, and where packets are
// forwarded that goroutine sends. So the oldest is given up here before. Between
// two calls at most keepUnresolved are left; a call adds one for a packet that is
// delivered or sent, one for each segment that waits, and one for each ICMP error
// that giving up brings forth, of which a router sends forwardBurst at a time.
const (
	maxUnresolved  = 64
	keepUnresolved = 16
	forwardBurst   = 16
)

// watch hears of every change of a neighbour.
type watch struct{ s *Stack }

func (w watch) OnNeighborAdded(id tcpip.NICID, n stack.NeighborEntry) { w.changed(id, n.Addr, n.State) }
func (w watch) OnNeighborChanged(id tcpip.NICID, n stack.NeighborEntry) {
	w.changed(id, n.Addr, n.State)
}
func (w watch) OnNeighborRemoved(id tcpip.NICID, n stack.NeighborEntry) {
	w.changed(id, n.Addr, stack.Unknown)
}

func (w watch) changed(id tcpip.NICID, a tcpip.Address, state stack.NeighborState) {
	if !w.s.closed {
		w.s.ifaces[id-1].note(a, state)
	}
}

// note keeps the list of unresolved neighbours.
func (i *Interface) note(a tcpip.Address, state stack.NeighborState) {
	if state != stack.Incomplete {
		i.answered(a)
	} else if !slices.Contains(i.unresolved, a) {
		i.unresolved = append(i.unresolved, a)
	}
}

func (i *Interface) answered(a tcpip.Address) {
	if n := slices.Index(i.unresolved, a); n >= 0 {
		i.unresolved = slices.Delete(i.unresolved, n, n+1)
	}
}

// pendingNeighbours is how many neighbours of one interface are unresolved, at
// most.
func (s *Stack) pendingNeighbours() (n int) {
	for _, i := range s.ifaces {
		n = max(n, len(i.unresolved))
	}
	return n
}

// giveUp gives up one neighbour of an interface that waits for too many, and says
// whether there was one.
func (s *Stack) giveUp() bool {
	for _, i := range s.ifaces {
		if len(i.unresolved) <= keepUnresolved {
			continue
		}
		a := i.unresolved[0]
		i.answered(a)
		i.stat.NeighboursGivenUp++
		s.gv.RemoveNeighbor(i.id, protocolOf(addrOf(a)), a)
		return true
	}
	return false
}
