package iproute

import (
	"fmt"
	"strings"

	"ringside/bridge"
	"ringside/sim"
)

// An Event is a change as bridge monitor prints it.
type Event struct {
	TimePs  int64  `json:"time_ps"` // virtual time
	Bridge  string `json:"bridge"`
	Label   string `json:"label"` // NEIGH, LINK, VLAN or MDB
	Deleted bool   `json:"deleted,omitempty"`

	// One of these, by Label: the row that bridge show has, in its short form. Of an
	// MDB event it may be a router port.
	FDB    *FDB         `json:"fdb,omitempty"`
	Link   *Link        `json:"link,omitempty"`
	VLAN   *VLANPort    `json:"vlan,omitempty"`
	MDB    *MDBEntry    `json:"mdb,omitempty"`
	Router *RouterEvent `json:"router,omitempty"`
}

// A RouterEvent is a port that gets or loses its multicast router.
type RouterEvent struct {
	Port   string `json:"port"`
	Master string `json:"master"`
}

// Event is the row for a change of the bridge.
func (b *Bridge) Event(e bridge.Event) Event {
	row := Event{TimePs: int64(e.At), Bridge: b.name, Deleted: e.Deleted}
	switch e.Kind {
	case bridge.FDBChange:
		f := b.fdb(e.Entry, Options{})
		row.Label, row.FDB = "NEIGH", &f
	case bridge.LinkChange:
		l := b.link(e.Link, Options{})
		row.Label, row.Link = "LINK", &l
	case bridge.VLANChange:
		row.Label, row.VLAN = "VLAN", &VLANPort{b.ports[e.Port], []VLAN{vlan(e.VLAN, Options{Details: true})}}
	case bridge.MDBChange:
		m := b.mdb(e.MDB, Options{})
		row.Label, row.MDB = "MDB", &m
	case bridge.RouterChange:
		row.Label, row.Router = "MDB", &RouterEvent{b.ports[e.Port], b.name}
	}
	return row
}

// Dev is the interface that it is about.
func (e Event) Dev() string {
	switch {
	case e.FDB != nil:
		return e.FDB.IfName
	case e.Link != nil:
		return e.Link.IfName
	case e.VLAN != nil:
		return e.VLAN.IfName
	case e.MDB != nil:
		return e.MDB.Port
	case e.Router != nil:
		return e.Router.Port
	}
	return ""
}

// Text is what bridge monitor prints: with its label if there may be others, and
// behind its time if that is wanted, in seconds of virtual time.
func (e Event) Text(label, time bool) string {
	var s strings.Builder
	if time {
		s.WriteString("[" + seconds(sim.Time(e.TimePs)) + "] ")
	}
	if label {
		s.WriteString("[" + e.Label + "]")
	}
	if e.Deleted {
		s.WriteString("Deleted ")
	}
	switch {
	case e.FDB != nil:
		s.WriteString(e.FDB.String())
	case e.Link != nil:
		s.WriteString(e.Link.String())
	case e.VLAN != nil:
		s.WriteString(e.VLAN.String())
	case e.MDB != nil:
		s.WriteString(e.MDB.String())
	case e.Router != nil:
		fmt.Fprintf(&s, "router port dev %s master %s", e.Router.Port, e.Router.Master)
	}
	return s.String()
}

// seconds is a time to the nanosecond: frames follow each other faster than
// microseconds could tell.
func seconds(t sim.Time) string {
	return fmt.Sprintf("%d.%09d", t/sim.Second, t%sim.Second/sim.Nanosecond)
}
