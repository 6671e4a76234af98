package labfile

import (
	"net/netip"
	"slices"

	"ringside"
	"ringside/bridge"
	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/internal/form"
)

// readFDB reads entries of the forwarding database, as bridge fdb add takes them.
func (l *lab) readFDB(f field, b *bridgeAt) {
	for _, f := range l.List(f) {
		e := ringside.FDBEntry{}
		e.Kind = bridge.Permanent // as bridge fdb add has it
		dev := reference{field: f}
		l.Mapping(f, "an entry, as {mac: 02:00:00:00:00:01, dev: eth0, state: static}", []known{
			{Name: "mac", Read: func(f field) { e.MAC, _ = l.Station(f) }},
			{Name: "dev", Read: l.dev(&dev)},
			{Name: "vlan", Read: form.Whole(l.Reader, &e.VLAN, 1, maxVID)},
			{Name: "state", Read: func(f field) {
				if i, ok := l.Word(f, "dynamic", "static", "permanent", "local"); ok {
					e.Kind = []bridge.Kind{bridge.Dynamic, bridge.Static, bridge.Permanent, bridge.Permanent}[i]
				}
			}},
			{Name: "sticky", Read: l.On(&e.Sticky)},
			{Name: "extern_learn", Read: l.On(&e.ExternLearned)},
		})
		if !e.MAC.Station() || dev.to == "" {
			l.Need(f, "an entry needs its mac and its dev, as {mac: 02:00:00:00:00:01, dev: eth0, state: static}")
			continue
		}
		e.Dev = dev.to
		if i := slices.IndexFunc(b.cfg.FDB, func(o ringside.FDBEntry) bool { return o.MAC == e.MAC && o.VLAN == e.VLAN }); i >= 0 {
			l.twice(f, b.fdb[i], e.MAC.String())
			continue
		}
		b.cfg.FDB, b.fdb, b.devs = append(b.cfg.FDB, e), append(b.fdb, f), append(b.devs, dev)
	}
}

// dev reads the interface that an entry is for.
func (l *lab) dev(to *reference) func(field) {
	return func(f field) {
		if s, ok := l.Ifname(f); ok {
			*to = reference{f, s}
		}
	}
}

// twice is the error for an entry that is there already.
func (l *lab) twice(f, first field, what string) {
	l.Wrong(f, "%s is there twice, first on line %d: leave one out", what, first.Key.Line)
}

// readMDB reads groups, as bridge mdb add takes them.
func (l *lab) readMDB(f field, b *bridgeAt) {
	for _, f := range l.List(f) {
		var e ringside.MDBEntry
		dev := reference{field: f}
		l.Mapping(f, "an entry, as {grp: 239.1.1.1, port: eth0, state: permanent}", []known{
			{Name: "grp", Read: func(f field) { l.group(f, &e.Group) }},
			{Name: "port", Read: l.dev(&dev)},
			{Name: "vid", Read: form.Whole(l.Reader, &e.VID, 1, maxVID)},
			{Name: "src", Read: func(f field) { e.Source, _ = l.Addr(f) }},
			{Name: "state", Read: func(f field) {
				i, ok := l.Word(f, "temp", "permanent")
				e.Permanent = ok && i == 1
			}},
			{Name: "filter_mode", Read: func(f field) {
				i, ok := l.Word(f, "exclude", "include")
				e.Include = ok && i == 1
			}},
			{Name: "source_list", Read: func(f field) {
				for _, s := range l.List(f) {
					if a, ok := l.Addr(s); ok {
						e.Sources = append(e.Sources, a)
					}
				}
			}},
		})
		if e.Group == (snoop.Group{}) || dev.to == "" {
			l.Need(f, "an entry needs its grp and its port, as {grp: 239.1.1.1, port: eth0, state: permanent}")
			continue
		}
		e.Dev = dev.to
		if i := slices.IndexFunc(b.cfg.MDB, func(o ringside.MDBEntry) bool {
			return o.Group == e.Group && o.Source == e.Source && o.VID == e.VID && o.Dev == e.Dev
		}); i >= 0 {
			l.twice(f, b.mdb[i], e.Group.String())
			continue
		}
		b.cfg.MDB, b.mdb, b.devs = append(b.cfg.MDB, e), append(b.mdb, f), append(b.devs, dev)
	}
}

// group reads a group's address, of IP or of Ethernet.
func (l *lab) group(f field, into *snoop.Group) {
	s, ok := l.Text(f)
	if !ok {
		return
	}
	if m, err := bridge.ParseMAC(s); err == nil {
		if !m.Group() {
			l.Wrong(f, "%v is not the address of a group", m)
			return
		}
		into.MAC = snoop.MAC(m)
		return
	}
	a, ok := l.Addr(f)
	if ok && !a.IsMulticast() {
		l.Wrong(f, "%v is not the address of a group, as 239.1.1.1 and ff1e::1 are", a)
		return
	}
	into.IP = a
}

// A neighbour is one that the host knows, on the bridge's interface or on that of
// a VLAN.
type neighbour struct {
	field
	vid  uint16
	addr netip.Addr
	neigh.Neighbour
}

// table is the neighbours as the bridge wants them, nil for none.
func (l *lab) table(b *bridgeAt) *neigh.Table {
	if len(b.neigh) == 0 {
		return nil
	}
	t := neigh.NewTable()
	for _, n := range b.neigh {
		d := neigh.Bridge
		if n.vid != 0 {
			d = neigh.VLAN(n.vid)
			if b.cfg.VLANProtocol != 0 {
				d.TPID = b.cfg.VLANProtocol
			}
			t.AddDevice(d)
		}
		if err := t.Set(d, n.addr, n.Neighbour); err != nil {
			l.refused(n.field, err)
		}
	}
	return t
}

// nuds are the states of neighbours, as ip neigh names them.
var nuds = []struct {
	name string
	nud  neigh.NUD
}{
	{"permanent", neigh.Permanent}, {"noarp", neigh.NoARP}, {"reachable", neigh.Reachable}, {"stale", neigh.Stale},
	{"delay", neigh.Delay}, {"probe", neigh.Probe}, {"failed", neigh.Failed}, {"incomplete", neigh.Incomplete},
}

// readNeigh reads what the host knows of its neighbours, as ip neigh add takes it.
func (l *lab) readNeigh(f field, b *bridgeAt) {
	names := make([]string, len(nuds))
	for i, n := range nuds {
		names[i] = n.name
	}
	for _, f := range l.List(f) {
		n := neighbour{}
		n.State = neigh.Permanent
		l.Mapping(f, "a neighbour, as {addr: 192.0.2.7, lladdr: 02:00:00:00:00:07}", []known{
			{Name: "addr", Read: func(f field) { n.addr, _ = l.Addr(f) }},
			{Name: "lladdr", Read: func(f field) { m, _ := l.Station(f); n.MAC = m }},
			{Name: "vlan", Read: form.Whole(l.Reader, &n.vid, 1, maxVID)},
			{Name: "nud", Read: func(f field) {
				if i, ok := l.Word(f, names...); ok {
					n.State = nuds[i].nud
				}
			}},
			{Name: "router", Read: l.On(&n.Router)},
		})
		if !n.addr.IsValid() || n.MAC == (bridge.MAC{}) {
			l.Need(f, "a neighbour needs its addr and its lladdr, as {addr: 192.0.2.7, lladdr: 02:00:00:00:00:07}")
			continue
		}
		n.field = f
		if i := slices.IndexFunc(b.neigh, func(o neighbour) bool { return o.addr == n.addr && o.vid == n.vid }); i >= 0 {
			l.twice(f, b.neigh[i].field, n.addr.String())
			continue
		}
		b.neigh = append(b.neigh, n)
	}
}
