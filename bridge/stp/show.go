package stp

import (
	"fmt"
	"slices"

	"ringside/sim"
)

// An Info is what ip -d link shows of a bridge's spanning tree. Timers are the
// time that is left; 0 if one does not run.
type Info struct {
	STP                                    bool
	RootID, BridgeID                       BridgeID
	RootPort                               uint16 // 0 at the root
	RootPathCost                           uint32
	HelloTime, MaxAge, ForwardDelay        sim.Time // the root's
	BridgeHelloTime, BridgeMaxAge          sim.Time // the bridge's own
	BridgeForwardDelay                     sim.Time
	TopologyChange, TopologyChangeDetected bool

	HelloTimer, TCNTimer, TopologyChangeTimer sim.Time
}

// A PortInfo is what ip -d link shows of a port of a bridge.
type PortInfo struct {
	Number           uint16
	ID               PortID
	State            State
	Cost             uint32
	Priority         uint8
	RootBlock, Guard bool

	DesignatedRoot, DesignatedBridge BridgeID
	DesignatedPort                   PortID
	DesignatedCost                   uint32

	TopologyChangeAck, ConfigPending              bool
	MessageAgeTimer, ForwardDelayTimer, HoldTimer sim.Time

	Stats Stats
}

// Show is the state of the tree at a time, which must not be before the last call.
func (t *Tree) Show(now sim.Time) Info {
	i := Info{
		STP: t.on, RootID: t.root, BridgeID: t.id, RootPathCost: t.rootCost,
		HelloTime: t.current.hello, MaxAge: t.current.maxAge, ForwardDelay: t.current.forwardDelay,
		BridgeHelloTime: t.own.hello, BridgeMaxAge: t.own.maxAge, BridgeForwardDelay: t.own.forwardDelay,
		TopologyChange: t.topologyChange, TopologyChangeDetected: t.topologyChangeDetected,
		HelloTimer: t.timers.left(timerHello, now), TCNTimer: t.timers.left(timerTCN, now),
		TopologyChangeTimer: t.timers.left(timerTopologyChange, now),
	}
	if t.rootPort != nil {
		i.RootPort = t.rootPort.number
	}
	return i
}

// ShowPort is the state of port n at a time.
func (t *Tree) ShowPort(n uint16, now sim.Time) (PortInfo, error) {
	p := t.find(n)
	if p == nil {
		return PortInfo{}, fmt.Errorf("stp: %w: %d", ErrPort, n)
	}
	return PortInfo{
		Number: n, ID: p.id, State: p.state, Cost: p.cost, Priority: uint8(p.id >> portBits),
		RootBlock: p.rootBlock, Guard: p.guard,
		DesignatedRoot: p.heard.root, DesignatedBridge: p.heard.bridge,
		DesignatedPort: p.heard.port, DesignatedCost: p.heard.cost,
		TopologyChangeAck: p.ack, ConfigPending: p.pending,
		MessageAgeTimer: p.timers.left(timerMessageAge, now), ForwardDelayTimer: p.timers.left(timerForwardDelay, now),
		HoldTimer: p.timers.left(timerHold, now),
		Stats:     p.stats,
	}, nil
}

// Ports is the numbers of the ports, ascending.
func (t *Tree) Ports() []uint16 {
	list := make([]uint16, 0, len(t.ports))
	for _, p := range t.ports {
		list = append(list, p.number)
	}
	slices.Sort(list)
	return list
}

func (ts *timers) left(which int, now sim.Time) sim.Time {
	if ts[which] == sim.Never {
		return 0
	}
	return max(ts[which]-now, 0)
}
