package bridge

import (
	"ringside/bridge/snoop"
	"ringside/sim"
)

// An Event is a change that bridge monitor would print. Of the fields behind
// Deleted only those of its Kind are set.
type Event struct {
	At      sim.Time
	Kind    EventKind
	Deleted bool

	Entry Entry       // FDB
	Link  Link        // LinkChange
	VLAN  VLANState   // VLANChange
	Port  Port        // VLANChange, Router: whose
	MDB   snoop.Entry // MDBChange
}

// An EventKind says what changed.
type EventKind uint8

// The kinds.
const (
	FDBChange    EventKind = iota // RTM_NEWNEIGH, RTM_DELNEIGH
	LinkChange                    // RTM_NEWLINK, RTM_DELLINK: a port's state or flags
	VLANChange                    // RTM_NEWVLAN, RTM_DELVLAN
	MDBChange                     // RTM_NEWMDB, RTM_DELMDB
	RouterChange                  // RTM_NEWMDB with a router port
)

// String is the kind as bridge monitor labels it.
func (k EventKind) String() string { return name(eventNames[:], k) }

var eventNames = [...]string{"NEIGH", "LINK", "VLAN", "MDB", "ROUTER"}

func (b *Bridge) notifyFDB(l *line, i int, deleted bool) {
	if b.cfg.Notify != nil {
		b.cfg.Notify(Event{At: b.now, Kind: FDBChange, Deleted: deleted, Entry: b.entry(l, i, b.now)})
	}
}

func (b *Bridge) notifyLink(p Port, deleted bool) {
	if b.cfg.Notify != nil && b.has(p) && p != Local {
		b.cfg.Notify(Event{At: b.now, Kind: LinkChange, Deleted: deleted, Port: p, Link: b.link(p, b.now)})
	}
}

func (b *Bridge) notifyVLAN(p Port, v *vlan, deleted bool) {
	if b.cfg.Notify != nil {
		b.cfg.Notify(Event{At: b.now, Kind: VLANChange, Deleted: deleted, Port: p, VLAN: b.vlans[p].show(v, b)})
	}
}
