package bridge

import (
	"net/netip"
	"slices"

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
		b.cfg.Notify(Event{At: b.now, Kind: VLANChange, Deleted: deleted, Port: p, VLAN: b.vlans[p].show(v)})
	}
}

// notifyMDB tells what changed in the multicast database since it was called last.
func (b *Bridge) notifyMDB() {
	if b.cfg.Notify == nil {
		return
	}
	was := b.mdb
	b.mdb = mdbView{entries: b.snooper.Entries(b.now), routers: b.snooper.Routers(b.now)}
	b.mdb.index()
	for i := range was.entries {
		if e := &was.entries[i]; !b.mdb.has(e) {
			b.cfg.Notify(Event{At: b.now, Kind: MDBChange, Deleted: true, Port: Port(e.Port), MDB: *e})
		}
	}
	for i := range b.mdb.entries {
		if e := &b.mdb.entries[i]; !was.has(e) {
			b.cfg.Notify(Event{At: b.now, Kind: MDBChange, Port: Port(e.Port), MDB: *e})
		}
	}
	for _, r := range was.routers {
		if !b.mdb.router(r.Port) {
			b.cfg.Notify(Event{At: b.now, Kind: RouterChange, Deleted: true, Port: Port(r.Port)})
		}
	}
	for _, r := range b.mdb.routers {
		if !was.router(r.Port) {
			b.cfg.Notify(Event{At: b.now, Kind: RouterChange, Port: Port(r.Port)})
		}
	}
}

// An mdbView is the multicast database as it was told last.
type mdbView struct {
	entries []snoop.Entry
	routers []snoop.RouterPort
	known   map[mdbKey]bool // the entries; only asked, never walked
}

type mdbKey struct {
	vid    uint16
	group  snoop.Group
	source netip.Addr
	port   snoop.Port
}

func keyOf(e *snoop.Entry) mdbKey { return mdbKey{e.VID, e.Group, e.Source, e.Port} }

func (v *mdbView) index() {
	v.known = make(map[mdbKey]bool, len(v.entries))
	for i := range v.entries {
		v.known[keyOf(&v.entries[i])] = true
	}
}

func (v *mdbView) has(e *snoop.Entry) bool { return v.known[keyOf(e)] }

func (v *mdbView) router(p snoop.Port) bool {
	return slices.ContainsFunc(v.routers, func(r snoop.RouterPort) bool { return r.Port == p })
}
