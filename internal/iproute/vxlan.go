package iproute

import (
	"slices"

	"ringside/sim"
	"ringside/vxlan"
)

// AddVTEP has FDBs show the table of a VTEP that is a port of the bridge, as entries of
// the device itself.
func (b *Bridge) AddVTEP(v *vxlan.VTEP) { b.vteps = append(b.vteps, v) }

// remotes is the entries of the VTEPs, one for each remote.
func (b *Bridge) remotes(o Options) (list []FDB) {
	for _, v := range b.vteps {
		name := v.Config().Name
		if o.Dev != "" && o.Dev != name || o.VLAN != 0 {
			continue
		}
		for _, e := range v.Entries() {
			if o.State != "" && o.State != e.Kind.String() {
				continue
			}
			for _, r := range e.Remotes {
				list = append(list, b.remote(name, e, r, o))
			}
		}
	}
	return list
}

func (b *Bridge) remote(name string, e vxlan.Entry, r vxlan.Remote, o Options) FDB {
	row := FDB{MAC: e.MAC.String(), IfName: name, Dst: r.Addr.String(), Port: r.Port, VNI: r.VNI, Flags: []string{"self"}}
	if o.Dev != "" {
		row.IfName = ""
	}
	if o.Stats {
		s := int64(max(b.at-e.Updated, 0) / sim.Second)
		row.Updated = &s
	}
	if e.ExternLearned {
		row.Flags = append(row.Flags, "extern_learn")
	}
	if e.Kind != vxlan.Dynamic {
		row.State = e.Kind.String()
	}
	return row
}

// self says that the entry is the device's own and not the bridge's.
func (r FDB) self() bool { return slices.Contains(r.Flags, "self") }
