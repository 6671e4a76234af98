package bridge

import (
	"fmt"
	"slices"

	"ringside/cost"
)

// A Port is the number of a port. Numbers of removed ports are given out again,
// the lowest first.
type Port int32

// Local is the bridge's own interface, by which the host's stack sends and
// receives. It is always there.
const Local Port = 0

// MaxPorts is how many ports a bridge can have beside Local.
const MaxPorts = 1<<16 - 1

// A PortConfig describes a port. The zero value is a port that learns and has no
// address of its own.
type PortConfig struct {
	// Name is the interface's name, for display.
	Name string
	// MAC is the interface's address, which becomes a local entry. Zero is none.
	MAC MAC
	// NoLearning keeps the port from learning sources.
	NoLearning bool
}

// PortStats counts the frames of one port, from the bridge's side: Rx came in by
// it, Tx were sent out by it, Drops came in by it and died in the bridge. At
// Local, Rx are the frames the host sent and Tx those that went up to it.
type PortStats struct {
	Rx, Tx, Drops uint64
}

// A port is what Handle needs of a port, in a cache line.
type port struct {
	PortStats
	self [1]Copy // the Out of a frame that leaves by it as it came; to none if it is gone
	tag  what    // what the entry of a station that stays on this port compares to
}

const (
	none  Port = -1
	noTag      = ^what(0) // like no entry: every frame goes the whole way
)

var gone = port{self: [1]Copy{{Port: none}}, tag: noTag}

func (p *port) drop(why cost.DropReason) Verdict {
	p.Drops++
	return Verdict{Reason: why}
}

// AddPort adds a port and returns its number, the lowest that is free.
func (b *Bridge) AddPort(cfg PortConfig) (Port, error) {
	if cfg.MAC != (MAC{}) && cfg.MAC.Group() {
		return 0, fmt.Errorf("bridge: port %s: %w: %v", cfg.Name, ErrAddress, cfg.MAC)
	}
	p := Port(len(b.ports))
	if len(b.members) < len(b.ports)-1 {
		p = 1
		for b.has(p) {
			p++
		}
	}
	if p > MaxPorts {
		return 0, fmt.Errorf("bridge: port %s: %w: %d ports is the most", cfg.Name, ErrFull, MaxPorts)
	}
	if int(p) == len(b.ports) {
		b.ports = append(b.ports, gone)
		b.names = append(b.names, PortConfig{})
		b.scratch = append(b.scratch, Copy{})
	}
	if cfg.MAC != (MAC{}) {
		if err := b.addLocal(cfg.MAC.addr(), p); err != nil {
			return 0, fmt.Errorf("bridge: port %s: %w", cfg.Name, err)
		}
	}
	b.names[p] = cfg
	b.ports[p] = port{self: [1]Copy{{Port: p}}, tag: p.with(0)}
	if b.deaf(p) || b.cfg.Promisc {
		b.ports[p].tag = noTag
	}
	i, _ := slices.BinarySearch(b.members, p)
	b.members = slices.Insert(b.members, i, p)
	return p, nil
}

// RemovePort takes a port away, and with it every entry that points to it. A
// local address that another interface has too stays, as that one's.
func (b *Bridge) RemovePort(p Port) error {
	if p == Local || !b.has(p) {
		return fmt.Errorf("bridge: %w: %d", ErrNoPort, p)
	}
	b.ports[p] = gone
	b.names[p] = PortConfig{}
	i, _ := slices.BinarySearch(b.members, p)
	b.members = slices.Delete(b.members, i, i+1)
	b.forget(p)
	return nil
}

// Ports is the numbers of the ports, ascending, without Local.
func (b *Bridge) Ports() []Port { return slices.Clone(b.members) }

// PortConfig is how the port p was added; the zero value if there is none.
func (b *Bridge) PortConfig(p Port) PortConfig {
	if !b.has(p) {
		return PortConfig{}
	}
	return b.names[p]
}

// PortStats is the counters of the port p since it was added.
func (b *Bridge) PortStats(p Port) PortStats {
	if !b.has(p) {
		return PortStats{}
	}
	return b.ports[p].PortStats
}

func (b *Bridge) has(p Port) bool {
	return uint(p) < uint(len(b.ports)) && b.ports[p].self[0].Port != none
}

// deaf says that the port p learns nothing.
func (b *Bridge) deaf(p Port) bool { return b.names[p].NoLearning || b.cfg.Ageing == Hub }
