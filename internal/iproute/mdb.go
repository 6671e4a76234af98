package iproute

import (
	"fmt"
	"io"
	"strings"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/sim"
)

// An MDB is the multicast database, and router ports by bridge. bridge -j shows it
// as a list of one.
type MDB struct {
	Entries []MDBEntry              `json:"mdb"`
	Routers map[string][]RouterPort `json:"router"`
	bridges []string                // in their order
	stats   bool
}

// An MDBEntry is a group that a port wants.
type MDBEntry struct {
	Index      int         `json:"index"`
	Dev        string      `json:"dev"`
	Port       string      `json:"port"`
	Group      string      `json:"grp"`
	Source     string      `json:"src,omitempty"`
	State      string      `json:"state"` // permanent or temp
	FilterMode string      `json:"filter_mode,omitempty"`
	SourceList []MDBSource `json:"source_list,omitempty"`
	Protocol   string      `json:"protocol,omitempty"`
	Flags      []string    `json:"flags"`
	VID        uint16      `json:"vid,omitempty"`
	Timer      string      `json:"timer,omitempty"` // "   0.00"; with Options.Stats
}

// An MDBSource is one of a group's sources.
type MDBSource struct {
	Address string `json:"address"`
	Timer   string `json:"timer"`
}

// A RouterPort is a port with a multicast router behind it.
type RouterPort struct {
	Port  string `json:"port"`
	Timer string `json:"timer,omitempty"` // with Options.Stats
	Type  string `json:"type,omitempty"`  // temp or permanent
}

// MDBs is bridge mdb show, of several bridges.
func MDBs(list []*Bridge, o Options) MDB {
	m := MDB{Entries: []MDBEntry{}, Routers: map[string][]RouterPort{}, stats: o.Stats}
	for _, b := range list {
		for _, e := range b.br.MDB(b.at) {
			if (o.VLAN == 0 || o.VLAN == e.VID) && b.of(o.Dev, e.Port) {
				m.Entries = append(m.Entries, b.mdb(e, o))
			}
		}
		m.routers(b, o)
	}
	return m
}

// of says that dev is the bridge, as for bridge mdb show dev, or the port.
func (b *Bridge) of(dev string, p snoop.Port) bool {
	return dev == "" || dev == b.name || dev == b.ports[bridge.Port(p)]
}

func (b *Bridge) mdb(e snoop.Entry, o Options) MDBEntry {
	row := MDBEntry{
		Index: b.links[b.name].Index, Dev: b.name, Port: b.ports[bridge.Port(e.Port)],
		Group: e.Group.String(), State: "temp", Flags: []string{}, VID: e.VID,
	}
	if e.Source.IsValid() {
		row.Source = e.Source.String()
	}
	if e.Permanent {
		row.State = "permanent"
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{e.FastLeave, "fast_leave"}, {e.StarExcl, "added_by_star_ex"}, {e.Blocked, "blocked"}} {
		if f.on {
			row.Flags = append(row.Flags, f.name)
		}
	}
	if o.Stats {
		row.Timer = timer(e.Timer)
	}
	if o.Details {
		row.details(e)
	}
	return row
}

// details are those of entries of ports: the host has none.
func (r *MDBEntry) details(e snoop.Entry) {
	if e.Port == snoop.Local {
		return
	}
	if e.Filtered {
		r.FilterMode = "exclude"
		if e.Include {
			r.FilterMode = "include"
		}
		for _, s := range e.Sources {
			r.SourceList = append(r.SourceList, MDBSource{s.Addr.String(), timer(s.Timer)})
		}
	}
	switch e.Protocol {
	case 2:
		r.Protocol = "kernel"
	case 4:
		r.Protocol = "static"
	}
}

// routers lists the router ports, which are a detail.
func (m *MDB) routers(b *Bridge, o Options) {
	if !o.Details {
		return
	}
	for _, r := range b.br.RouterPorts(b.at) {
		if !b.of(o.Dev, r.Port) {
			continue
		}
		row := RouterPort{Port: b.ports[bridge.Port(r.Port)]}
		if o.Stats {
			row.Timer, row.Type = timer(r.Timer), "permanent"
			if r.Router == snoop.RouterAuto || r.Router == snoop.RouterTemp {
				row.Type = "temp"
			}
		}
		m.Routers[b.name] = append(m.Routers[b.name], row)
	}
	if len(m.Routers[b.name]) > 0 {
		m.bridges = append(m.bridges, b.name)
	}
}

// timer is a span as bridge(8) prints it: seconds in four places and hundredths.
func timer(t sim.Time) string {
	return fmt.Sprintf("%4d.%02d", t/sim.Second, t%sim.Second/(10*sim.Millisecond))
}

// String is the line that bridge(8) prints.
func (r MDBEntry) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "dev %s port %s grp %s", r.Dev, r.Port, r.Group)
	if r.Source != "" {
		s.WriteString(" src " + r.Source)
	}
	s.WriteString(" " + r.State)
	if r.FilterMode != "" {
		s.WriteString(" filter_mode " + r.FilterMode)
	}
	for i, src := range r.SourceList {
		if i == 0 {
			s.WriteString(" source_list ")
		} else {
			s.WriteString(",")
		}
		s.WriteString(src.Address + "/" + strings.TrimSpace(src.Timer))
	}
	if r.Protocol != "" {
		s.WriteString(" proto " + r.Protocol + " ")
	}
	for _, f := range r.Flags {
		s.WriteString(" " + f)
	}
	if r.VID != 0 {
		fmt.Fprintf(&s, " vid %d", r.VID)
	}
	if r.Timer != "" {
		s.WriteString(" " + r.Timer)
	}
	return s.String()
}

// WriteMDB prints a database as bridge mdb show does.
func WriteMDB(w io.Writer, m MDB) error {
	if err := lines(w, m.Entries); err != nil {
		return err
	}
	for _, name := range m.bridges {
		if err := m.writeRouters(w, name); err != nil {
			return err
		}
	}
	return nil
}

func (m *MDB) writeRouters(w io.Writer, name string) error {
	var s strings.Builder
	if !m.stats {
		fmt.Fprintf(&s, "router ports on %s: ", name)
	}
	for _, r := range m.Routers[name] {
		if m.stats {
			fmt.Fprintf(&s, "router ports on %s: %s %s %s\n", name, r.Port, r.Timer, r.Type)
		} else {
			s.WriteString(r.Port + " ")
		}
	}
	_, err := io.WriteString(w, strings.TrimSuffix(s.String(), "\n")+"\n")
	return err
}
