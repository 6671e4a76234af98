package labfile

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ringside"
	"ringside/internal/form"
	"ringside/sim"
	"ringside/vxlan"
)

// vtepAt is a VTEP and where its parts stand.
type vtepAt struct {
	field
	index  int
	local  field
	fdb    []field
	remote []reference // addresses of other hosts
}

// readVTEPs reads the tunnels, in ip-link's words.
func (l *lab) readVTEPs(f field) {
	list := l.Fields(f, "names of VTEPs, each with what it is")
	l.atMost(list, ringside.MaxVTEPs, "VTEPs")
	l.cfg.VTEPs = make([]ringside.VTEP, 0, len(list)) // what is read points into it
	l.named(list, func(f field) {
		if !l.take(f, f.Name) {
			return
		}
		l.cfg.VTEPs = append(l.cfg.VTEPs, ringside.VTEP{})
		at := &vtepAt{field: f, index: len(l.cfg.VTEPs) - 1}
		v := &l.cfg.VTEPs[at.index]
		v.Name = f.Name
		link := &linkAt{field: f, name: f.Name, port: &v.BridgePort}
		l.Mapping(f, "what the VTEP is, as {id: 42, local: 192.0.2.1, remote: 192.0.2.2}",
			append(l.link(link, &v.Bridge, &v.MTU, &v.MirrorIn, &v.MirrorOut), l.vtep(v, at)...))
		l.links = append(l.links, link)
		l.vteps = append(l.vteps, at)
	})
}

// vtep is what a VTEP can be told.
func (l *lab) vtep(v *ringside.VTEP, at *vtepAt) []known {
	return []known{
		{Name: "id", Read: form.Whole(l.Reader, &v.VNI, 0, vxlan.MaxVNI)},
		{Name: "address", Read: func(f field) {
			if m, ok := l.Station(f); ok {
				v.MAC = vxlan.MAC(m)
			}
		}},
		{Name: "local", Read: func(f field) { at.local = f; v.Local, _ = l.Addr(f) }},
		{Name: "remote", Read: func(f field) {
			for _, e := range l.List(f) {
				if a, ok := l.Addr(e); ok {
					v.Remotes = append(v.Remotes, a)
					at.remote = append(at.remote, reference{e, a.String()})
				}
			}
		}},
		{Name: "dstport", Read: form.Whole(l.Reader, &v.Port, 1, 65535)},
		{Name: "srcport", Read: func(f field) { l.srcport(f, v) }},
		{Name: "ttl", Read: inherit(l, &v.TTL, &v.TTLInherit, 1, "auto")},
		{Name: "tos", Read: inherit(l, &v.TOS, &v.TOSInherit, 0, "")},
		{Name: "df", Read: func(f field) {
			if i, ok := l.Word(f, "unset", "set", "inherit"); ok {
				v.DF = vxlan.DF(i)
			}
		}},
		{Name: "udpcsum", Read: l.Off(&v.NoUDPChecksum)},
		{Name: "udp6zerocsumtx", Read: l.On(&v.ZeroChecksumTx)},
		{Name: "udp6zerocsumrx", Read: l.On(&v.ZeroChecksumRx)},
		{Name: "learning", Read: l.Off(&v.NoLearning)},
		{Name: "ageing", Read: l.SpanInto(&v.Ageing, sim.Never, 0, 100*24*3600*sim.Second)},
		{Name: "maxaddress", Read: form.Whole(l.Reader, &v.MaxAddresses, 1, vxlan.DefaultMaxAddresses)},
		{Name: "fdb", Read: func(f field) { l.readRemotes(f, v, at) }},
	}
}

// srcport reads two ports, as [49152, 65535].
func (l *lab) srcport(f field, v *ringside.VTEP) {
	list := l.List(f)
	if len(list) != 2 {
		l.Wrong(f, "give the lowest source port and the one behind the highest, as [49152, 65535]")
		return
	}
	form.Whole(l.Reader, &v.SrcPortMin, 1, 65535)(list[0])
	form.Whole(l.Reader, &v.SrcPortMax, 1, 65535)(list[1])
}

// inherit reads a byte of the outer header, from lo on, or that it is the inner one's.
func inherit(l *lab, into *uint8, on *bool, lo uint64, none string) func(field) {
	return func(f field) {
		switch s, ok := l.Text(f); {
		case !ok:
		case s == "inherit":
			*on = true
		case none != "" && s == none:
		default:
			n, err := strconv.ParseUint(strings.ToLower(s), 0, 8)
			if err != nil || n < lo {
				l.Wrong(f, "%s: give %d to 255, or inherit", form.Quote(s), lo)
				return
			}
			*into = uint8(n)
		}
	}
}

// readRemotes reads entries of a VTEP's own table, as bridge fdb append takes them with
// dev vxlan0: several for one address are its remotes.
func (l *lab) readRemotes(f field, v *ringside.VTEP, at *vtepAt) {
	for _, f := range l.List(f) {
		e := vxlan.Entry{Kind: vxlan.Permanent} // as bridge fdb add has it
		var r vxlan.Remote
		mac := false
		l.Mapping(f, "an entry, as {mac: 02:00:00:00:00:01, dst: 192.0.2.2}", []known{
			{Name: "mac", Read: func(f field) {
				m, ok := l.MAC(f)
				e.MAC, mac = vxlan.MAC(m), ok
			}},
			{Name: "dst", Read: func(f field) {
				if a, ok := l.Addr(f); ok {
					r.Addr = a
					at.remote = append(at.remote, reference{f, a.String()})
				}
			}},
			{Name: "port", Read: form.Whole(l.Reader, &r.Port, 1, 65535)},
			{Name: "vni", Read: form.Whole(l.Reader, &r.VNI, 1, vxlan.MaxVNI)},
			{Name: "state", Read: func(f field) {
				if i, ok := l.Word(f, "dynamic", "static", "permanent"); ok {
					e.Kind = vxlan.Kind(i)
				}
			}},
			{Name: "extern_learn", Read: l.On(&e.ExternLearned)},
		})
		if !mac || !r.Addr.IsValid() {
			l.Need(f, "an entry needs its mac and its dst, as {mac: 02:00:00:00:00:01, dst: 192.0.2.2}")
			continue
		}
		e.Remotes = []vxlan.Remote{r}
		if i := slices.IndexFunc(v.FDB, func(o vxlan.Entry) bool { return o.MAC == e.MAC && (e.MAC.Station() || o.Remotes[0] == r) }); i >= 0 {
			l.twice(f, at.fdb[i], e.MAC.String())
			continue
		}
		v.FDB, at.fdb = append(v.FDB, e), append(at.fdb, f)
	}
}

// buildVTEP makes a VTEP as the machine will, so that what it refuses is told with its
// place.
func (l *lab) buildVTEP(at *vtepAt) {
	v := &l.cfg.VTEPs[at.index]
	own := l.cfg.HostAddresses()
	var texts []string
	for _, a := range own {
		texts = append(texts, a.String())
	}
	switch {
	case len(own) == 0:
		l.Fail(at.Key, "%s: the host has no address to send from: give addr to a bridge, or to a NIC on no bridge", at.Path)
		return
	case v.Local.IsValid() && !slices.Contains(own, v.Local):
		l.Wrong(at.local, "%v is not an address of this host: there are %s", v.Local, strings.Join(texts, ", "))
		return
	}
	for _, r := range at.remote {
		if a, err := netip.ParseAddr(r.to); err == nil && slices.Contains(own, a) {
			l.Wrong(r.field, "%v is this very host: a patch joins two bridges of one host", a)
			return
		}
	}
	cfg := v.Config
	cfg.Name, cfg.FDB = "", nil // the place has the name
	t, err := vxlan.New(cfg)
	if err != nil {
		l.refused(at.field, err)
		return
	}
	for i, e := range v.FDB {
		if err := t.Add(e, 0); err != nil {
			l.refused(at.fdb[i], err)
		}
	}
}
