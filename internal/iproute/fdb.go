package iproute

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"ringside/bridge"
	"ringside/sim"
)

// An FDB is an entry of the forwarding database.
type FDB struct {
	MAC     string   `json:"mac"`
	IfName  string   `json:"ifname,omitempty"` // left out where one was asked for
	Dst     string   `json:"dst,omitempty"`    // of a VTEP's entry, as are the next two: the remote
	VLAN    uint16   `json:"vlan,omitempty"`
	Port    uint16   `json:"port,omitempty"`    // of UDP, if it is not the VTEP's
	VNI     uint32   `json:"vni,omitempty"`     // likewise
	Updated *int64   `json:"updated,omitempty"` // seconds since then; with Options.Stats
	Flags   []string `json:"flags"`
	Master  string   `json:"master,omitempty"`
	State   string   `json:"state"` // permanent, static, stale or nothing
}

// FDBs is bridge fdb show.
func (b *Bridge) FDBs(o Options) []FDB {
	list := []FDB{}
	entries := b.br.Entries(b.at)
	slices.SortStableFunc(entries, func(a, c bridge.Entry) int { return cmp.Compare(a.Port, c.Port) })
	for _, e := range entries {
		row := b.fdb(e, o)
		if o.Dev != "" && b.ports[e.Port] != o.Dev || o.VLAN != 0 && o.VLAN != e.VLAN || o.State != "" && o.State != e.Kind.String() {
			continue
		}
		list = append(list, row)
	}
	return append(list, b.remotes(o)...)
}

func (b *Bridge) fdb(e bridge.Entry, o Options) FDB {
	row := FDB{MAC: e.MAC.String(), IfName: b.ports[e.Port], VLAN: e.VLAN, Flags: []string{}, Master: b.name}
	if o.Dev != "" {
		row.IfName = ""
	}
	if o.Stats {
		s := int64(max(b.at-e.Updated, 0) / sim.Second)
		row.Updated = &s
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{e.ExternLearned, "extern_learn"}, {e.Sticky, "sticky"}, {e.Locked, "locked"}} {
		if f.on {
			row.Flags = append(row.Flags, f.name)
		}
	}
	switch {
	case e.Kind == bridge.Permanent:
		row.State = "permanent"
	case e.Kind == bridge.Static:
		row.State = "static"
	case e.Stale:
		row.State = "stale"
	}
	return row
}

// String is the line that bridge(8) prints.
func (r FDB) String() string {
	var s strings.Builder
	s.WriteString(r.MAC + " ")
	if r.IfName != "" {
		s.WriteString("dev " + r.IfName + " ")
	}
	if r.Dst != "" {
		s.WriteString("dst " + r.Dst + " ")
	}
	for _, n := range []struct {
		name string
		n    uint32
	}{{"vlan", uint32(r.VLAN)}, {"port", uint32(r.Port)}, {"vni", r.VNI}} {
		if n.n != 0 {
			fmt.Fprintf(&s, "%s %d ", n.name, n.n)
		}
	}
	if r.Updated != nil {
		fmt.Fprintf(&s, "updated %d ", *r.Updated)
	}
	for _, f := range r.Flags {
		s.WriteString(f + " ")
	}
	if !r.self() {
		s.WriteString("master " + r.Master + " ")
	}
	s.WriteString(r.State)
	return s.String()
}

// WriteFDB prints rows as bridge fdb show does.
func WriteFDB(w io.Writer, rows []FDB) error { return lines(w, rows) }

// lines prints a line for each row.
func lines[T fmt.Stringer](w io.Writer, rows []T) error {
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, r); err != nil {
			return err
		}
	}
	return nil
}
