package ringside

import (
	"fmt"
	"net/netip"

	"ringside/netstack"
	"ringside/peer"
	"ringside/sim"
	"ringside/vm/guest"
	"ringside/wire"
)

// A Peer is a machine at the wire of a NIC: a TCP/IP stack and programs that are on
// no bill. Only Processes is needed to make use of it.
type Peer struct {
	Name string // "" means peer0, peer1, …
	Host string // whose NIC it is at; "" means the first
	NIC  string // "" means the host's first

	Processes []guest.Process
	MAC       [6]byte // the zero MAC means 0a:00:00:00:00:00 and up
	MTU       int     // 0 means 1500
	Addresses []netip.Prefix
	Gateway   netip.Addr // default route; the zero Addr is none
	Routes    []netstack.Route
	Resolver  netip.Addr // DNS server; the zero Addr is none
	Forward   bool       // it passes packets on
	TCP       netstack.TCPConfig
	TSO       bool     // its port cuts packets of 64 KiB: frames on the wire stay within the MTU
	GRO       bool     // its port merges segments that came in
	Delay     sim.Time // of each packet; 0 means 500 ns
	Coalesce  sim.Time // least time between two interrupts of its port; 0 means 10 us

	Link wire.Spec // between the NIC and the peer: Rx is towards the NIC
}

// MaxPeers is a bound on the memory that a lab takes before it runs.
const MaxPeers = 1024

func (p *Peer) end() End { return End{p.Host, p.NIC} }

// addPeer makes peer i and plugs it into its NIC's end.
func (l *Lab) addPeer(i int) error {
	c := &l.cfg.Peers[i]
	inherit(&c.Name, "", fmt.Sprintf("peer%d", i))
	inherit(&c.MAC, [6]byte{}, [6]byte{0x0a, 0, 0, 0, byte(i >> 8), byte(i)})
	if l.Peer(c.Name) != nil || l.hasHost(c.Name) {
		return fmt.Errorf("two machines are named %q", c.Name)
	}
	config := peer.Config{
		Engine: l.Engine, Name: c.Name, MAC: c.MAC, MTU: c.MTU, Addresses: c.Addresses, Routes: c.Routes, Gateway: c.Gateway,
		Resolver: c.Resolver, Forward: c.Forward, TCP: c.TCP, Processes: c.Processes, TSO: c.TSO, GRO: c.GRO,
		Delay: c.Delay, Coalesce: c.Coalesce, FirstID: 1 + uint64(i)<<28,
	}
	if log := l.cfg.Log; log != nil {
		config.Log = func(at sim.Time, process, line string) { log(at, c.Name, process, line) }
	}
	p, err := peer.New(config)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	l.peers = append(l.peers, p)
	e := c.end()
	if err := l.cfg.plugIn(&e, p, c.Link); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	c.Host, c.NIC = e.Host, e.NIC
	return nil
}

func (l *Lab) hasHost(name string) bool {
	for i := range l.cfg.Hosts {
		if l.cfg.Hosts[i].Name == name {
			return true
		}
	}
	return false
}

// Peer is the machine at a wire with that name, nil if there is none.
func (l *Lab) Peer(name string) *peer.Peer {
	for i, p := range l.peers {
		if l.cfg.Peers[i].Name == name {
			return p
		}
	}
	return nil
}

// checkPeer asks whether the NIC of a peer took what the peer gave out, and the other
// way round.
func (l *Lab) checkPeer(i int) error {
	h, n := l.at(l.cfg.Peers[i].end())
	in, out := h.passed(n)
	if c := l.peers[i].Counts(); c.Out != in || c.In != out {
		return fmt.Errorf("%v took %d frames of the %d that it gave out, and sent %d of the %d that it took in", l.cfg.Peers[i].end(), in, c.Out, out, c.In)
	}
	return nil
}
