package iproute

import (
	"fmt"
	"io"

	"ringside/sim"
)

// A Flap is a station that moves to and fro: there is a loop, or two stations have
// one address. bridge(8) has nothing like it; Linux logs it.
type Flap struct {
	MAC    string    `json:"mac"`
	VLAN   uint16    `json:"vlan,omitempty"`
	Ports  [2]string `json:"ports"` // between which it moved last
	Moves  int       `json:"moves"`
	First  int64     `json:"first_ps"` // virtual time
	Last   int64     `json:"last_ps"`
	Master string    `json:"master"`
}

// Flaps is the stations that moved often of late.
func (b *Bridge) Flaps(o Options) []Flap {
	list := []Flap{}
	for _, f := range b.br.Flaps(b.at) {
		row := Flap{f.MAC.String(), f.VLAN, [2]string{b.ports[f.Ports[0]], b.ports[f.Ports[1]]}, f.Moves, int64(f.First), int64(f.Last), b.name}
		if o.Dev == "" || row.Ports[0] == o.Dev || row.Ports[1] == o.Dev {
			list = append(list, row)
		}
	}
	return list
}

// String is a line in the manner of bridge(8).
func (r Flap) String() string {
	s := r.MAC
	if r.VLAN != 0 {
		s += fmt.Sprintf(" vlan %d", r.VLAN)
	}
	return s + fmt.Sprintf(" between %s and %s moves %d first %s last %s master %s",
		r.Ports[0], r.Ports[1], r.Moves, seconds(sim.Time(r.First)), seconds(sim.Time(r.Last)), r.Master)
}

// WriteFlaps prints a line for each.
func WriteFlaps(w io.Writer, rows []Flap) error { return lines(w, rows) }
