package differential

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ringside/bridge"
)

// A Place is where a copy of a frame is seen.
type Place struct {
	How  Where
	Port int
}

// Where is a kind of place.
type Where uint8

// The places: out of a port, up to the bridge's interface, up to the port's own.
const (
	Out Where = iota
	ToHost
	ToPort
)

// String is the place's name.
func (p Place) String() string {
	switch p.How {
	case ToHost:
		return "up"
	case ToPort:
		return fmt.Sprintf("to the stack of port %d", p.Port)
	}
	return fmt.Sprintf("out of port %d", p.Port)
}

// A Copy is a frame seen somewhere, VLAN tags in their place.
type Copy struct {
	Place
	Bytes []byte
}

// An Outcome is what one step made: the copies seen and whether it was refused.
// In a timed setup all that happened is in Events, and Copies is empty.
type Outcome struct {
	Copies []Copy
	Events []Event
	Err    error
}

// sort puts copies in an order that does not depend on who was read first.
func (o *Outcome) sort() {
	slices.SortFunc(o.Copies, func(x, y Copy) int {
		return cmp.Or(cmp.Compare(x.How, y.How), cmp.Compare(x.Port, y.Port), slices.Compare(x.Bytes, y.Bytes))
	})
}

// A State is what the tables hold, each line as text, sorted: so that a
// difference can be read.
type State struct {
	FDB, VLAN, MDB, Ports []string
	// NoMDB says that the groups cannot be seen: kernels before 6.12 show none
	// while snooping is off.
	NoMDB bool
}

// Tables says which of the tables a Side is to show.
type Tables uint8

// The tables.
const (
	FDBTable Tables = 1 << iota
	VLANTable
	MDBTable
	PortTable
	AllTables = FDBTable | VLANTable | MDBTable | PortTable
)

// A Side is one of the two bridges that are told the same.
type Side interface {
	// Open makes the bridge of a setup.
	Open(*Setup) error
	// Do carries out a step. The error is the comparison's own trouble; what
	// the bridge refuses is in the Outcome.
	Do(*Step) (Outcome, error)
	// State shows the tables.
	State(Tables) (State, error)
	// Close takes the bridge away.
	Close() error
}

// ErrSkip is why a side cannot be asked: it has not got what a step wants.
var ErrSkip = errors.New("not there")

// entry is one line of the forwarding database, as both sides write it.
func entry(mac bridge.MAC, vlan uint16, port int, flags ...string) string {
	on := fmt.Sprint("port ", port)
	if port == Host {
		on = "bridge"
	}
	s := fmt.Sprintf("%v %s", mac, on)
	if vlan != 0 {
		s += fmt.Sprintf(" vlan %d", vlan)
	}
	for _, f := range flags {
		if f != "" {
			s += " " + f
		}
	}
	return s
}

// String is a line for each copy, or the refusal.
func (o *Outcome) String() string {
	var b strings.Builder
	if o.Err != nil {
		fmt.Fprintf(&b, "refused: %v\n", o.Err)
	}
	for _, c := range o.Copies {
		fmt.Fprintf(&b, "%v: %s\n", c.Place, Describe(c.Bytes))
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

// same compares two outcomes. Of errors it is compared that there is one.
func (o *Outcome) same(p *Outcome) bool {
	return (o.Err == nil) == (p.Err == nil) && slices.EqualFunc(o.Copies, p.Copies, Copy.equal)
}

func (c Copy) equal(d Copy) bool { return c.Place == d.Place && slices.Equal(c.Bytes, d.Bytes) }

// difference lists what only one of two tables has.
func difference(table string, linux, ours []string) string {
	if slices.Equal(linux, ours) {
		return ""
	}
	var b strings.Builder
	for _, l := range linux {
		if !slices.Contains(ours, l) {
			fmt.Fprintf(&b, "  %s, Linux only: %s\n", table, l)
		}
	}
	for _, l := range ours {
		if !slices.Contains(linux, l) {
			fmt.Fprintf(&b, "  %s, ours only:  %s\n", table, l)
		}
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "  %s, Linux: %q\n  %s, ours:  %q\n", table, linux, table, ours)
	}
	return b.String()
}

// difference is what two states differ in, "" for nothing.
func (s *State) difference(ours *State) string {
	text := difference("fdb", s.FDB, ours.FDB) + difference("vlan", s.VLAN, ours.VLAN) + difference("port", s.Ports, ours.Ports)
	if !s.NoMDB {
		text += difference("mdb", s.MDB, ours.MDB)
	}
	return text
}
