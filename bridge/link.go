package bridge

import (
	"ringside/bridge/stp"
	"ringside/sim"
)

// A Link is a port as bridge -d link show has it.
type Link struct {
	Port   Port
	Config PortConfig // its flags, as they are
	State  stp.State
	Backup Port // 0 is none
	STP    stp.PortInfo
	Stats  PortStats
}

// Links is all ports but Local, ascending, as they are at the time now.
func (b *Bridge) Links(now sim.Time) []Link {
	list := make([]Link, 0, len(b.members))
	for _, p := range b.members {
		list = append(list, b.link(p, now))
	}
	return list
}

func (b *Bridge) link(p Port, now sim.Time) Link {
	l := Link{Port: p, Config: b.config[p], State: b.ports[p].state, Backup: b.backup[p], Stats: b.ports[p].PortStats}
	if p <= stp.MaxPort {
		l.STP, _ = b.tree.ShowPort(uint16(p), max(now, b.now))
	}
	return l
}
