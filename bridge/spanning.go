package bridge

import (
	"fmt"
	"slices"

	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

// treeEnv is the bridge as its spanning tree sees it.
type treeEnv struct{ b *Bridge }

// SetState is br_set_state.
func (e treeEnv) SetState(n uint16, s stp.State) { e.b.setState(Port(n), s) }

// Selected has a port begin its queries from the start, as br_port_state_selection
// does.
func (e treeEnv) Selected(n uint16) {
	if e.b.why == nil {
		e.b.snooper.EnablePort(snoop.Port(n), e.b.now)
	}
}

// Send is br_send_bpdu.
func (e treeEnv) Send(n uint16, frame []byte) { e.b.emit(Port(n), frame) }

// TopologyChange shortens the ageing time, or gives it back.
func (e treeEnv) TopologyChange(bool) { e.b.setHold() }

// Flush is of a port that is disabled.
func (e treeEnv) Flush(n uint16) { e.b.disabled(Port(n)) }

// disabled forgets what was learned on a port that is disabled from now on: its
// stations, unless it has a backup by which they are reached, and its groups. One that
// was disabled by hand before it lost its carrier keeps them.
func (b *Bridge) disabled(n Port) {
	if b.backup[n] == Local {
		b.forget(n, 0, false)
	}
	b.snoopDown(n)
}

// setState is br_set_state: the port, and what snooping knows of it.
func (b *Bridge) setState(n Port, s stp.State) {
	p := &b.ports[n]
	was := p.state
	p.state = s
	b.settle(n)
	if b.why == nil {
		b.snooper.SetState(snoop.Port(n), snoop.State(s))
	}
	if was != s && b.cfg.Notify != nil && !slices.Contains(b.changed, n) {
		b.changed = append(b.changed, n) // the tree that says so cannot be asked now
	}
}

// setHold finds how long an entry lasts: hold_time. 0 is that nothing is learned.
func (b *Bridge) setHold() {
	ageing := b.cfg.Ageing
	if ageing == Hub {
		ageing = 0
	}
	was := b.hold
	b.hold = ageing
	if b.tree != nil {
		b.hold = b.tree.Ageing(ageing)
	}
	if (was == 0) != (b.hold == 0) {
		b.settleAll()
	}
}

// join has a port take part in the spanning tree. Ports with numbers that an
// identifier has no room for forward as long as they have a carrier; there are none
// while the protocol is on.
func (b *Bridge) join(n Port) error {
	c := &b.config[n]
	if n > stp.MaxPort {
		b.carry(n, !c.LinkDown)
		return nil
	}
	err := b.tree.AddPort(uint16(n), stp.PortConfig{MAC: c.MAC, Cost: c.Cost, Priority: uint8(max(c.Priority, 0)), RootBlock: c.RootBlock, Guard: c.Guard})
	if err == nil && c.Priority == ZeroPriority {
		err = b.tree.SetPortPriority(uint16(n), 0, b.now)
	}
	if err == nil && !c.LinkDown {
		err = b.tree.Enable(uint16(n), b.now)
	}
	if err == nil && c.State != 0 {
		err = b.tree.SetState(uint16(n), c.State, b.now)
	}
	return err
}

// carry is a port outside of the spanning tree, with or without carrier.
func (b *Bridge) carry(n Port, up bool) {
	if up {
		b.setState(n, stp.Forwarding)
		b.snooper.EnablePort(snoop.Port(n), b.now)
	} else {
		b.setState(n, stp.Disabled)
		b.disabled(n)
	}
}

// SetLink says that a port has a carrier or has lost it. Without one it is disabled,
// and what was learned on it is forgotten, unless it has a backup port.
func (b *Bridge) SetLink(p Port, up bool) error {
	if p == Local || !b.has(p) {
		return fmt.Errorf("bridge: link: %w: %d", ErrNoPort, p)
	}
	if b.config[p].LinkDown == !up {
		return nil
	}
	b.config[p].LinkDown = !up
	b.settle(p)
	defer b.schedule()
	if p > stp.MaxPort {
		b.carry(p, up)
		return nil
	}
	if up {
		return b.tree.Enable(uint16(p), b.now)
	}
	return b.tree.Disable(uint16(p), b.now)
}

// SetState sets the state of a port by hand, which the spanning tree does not allow
// while it is on. A blocking port forwards at once, as in Linux.
func (b *Bridge) SetState(p Port, s stp.State) error {
	if p == Local || !b.has(p) || p > stp.MaxPort {
		return fmt.Errorf("bridge: state: %w: %d", ErrNoPort, p)
	}
	defer b.schedule()
	if err := b.tree.SetState(uint16(p), s, b.now); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	b.config[p].State = s
	return nil
}

// State is the state of a port; Disabled if there is none.
func (b *Bridge) State(p Port) stp.State {
	if !b.has(p) || p == Local {
		return stp.Disabled
	}
	return b.ports[p].state
}

// STP is the state of the spanning tree at a time.
func (b *Bridge) STP(now sim.Time) stp.Info { return b.tree.Show(max(now, b.now)) }
