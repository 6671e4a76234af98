package labfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"ringside/bridge"
	"ringside/bridge/stp"
	"ringside/internal/form"
)

// readPort reads a port's flags, as bridge(8) names them.
func (l *lab) readPort(f field, link *linkAt) {
	p := link.port
	l.Mapping(f, "a port's flags, as {learning: off}", []known{
		{Name: "learning", Read: l.Off(&p.NoLearning)},
		{Name: "flood", Read: l.Off(&p.NoFlood)},
		{Name: "mcast_flood", Read: l.Off(&p.NoMcastFlood)},
		{Name: "bcast_flood", Read: l.Off(&p.NoBcastFlood)},
		{Name: "hairpin", Read: l.On(&p.Hairpin)},
		{Name: "isolated", Read: l.On(&p.Isolated)},
		{Name: "locked", Read: l.On(&p.Locked)},
		{Name: "mab", Read: l.On(&p.MAB)},
		{Name: "guard", Read: l.On(&p.Guard)},
		{Name: "root_block", Read: l.On(&p.RootBlock)},
		{Name: "fastleave", Read: l.On(&p.FastLeave)},
		{Name: "mcast_to_unicast", Read: l.On(&p.McastToUnicast)},
		{Name: "mcast_router", Read: func(f field) { l.router(f, &p.McastRouter, 3) }},
		{Name: "mcast_max_groups", Read: form.Whole(l.Reader, &p.McastMaxGroups, 0, 1<<20)},
		{Name: "neigh_suppress", Read: l.On(&p.NeighSuppress)},
		{Name: "neigh_vlan_suppress", Read: l.On(&p.NeighVLANSuppress)},
		{Name: "backup_port", Read: func(f field) {
			if s, ok := l.Ifname(f); ok {
				p.BackupPort = s
				link.backup = &reference{f, s}
			}
		}},
		{Name: "group_fwd_mask", Read: form.Whole(l.Reader, &p.GroupFwdMask, 0, 0xffff)},
		{Name: "state", Read: func(f field) { l.state(f, &p.State) }},
		{Name: "cost", Read: form.Whole(l.Reader, &p.Cost, 1, 65535)},
		{Name: "priority", Read: l.orZero(&p.Priority, bridge.ZeroPriority, 63)},
		{Name: "vlan", Read: func(f field) { p.VLANs = l.vlans(f, true) }},
		{Name: "default_pvid", Read: l.Off(&p.NoPVID)},
		{Name: "carrier", Read: l.Off(&p.LinkDown)},
	})
}

// states are those that can be set by hand, in bridge(8)'s order. A port that is to be
// disabled has no carrier.
var states = []string{"listening", "learning", "forwarding", "blocking"}

// state reads a state by name, or by its number as bridge(8) allows.
func (l *lab) state(f field, into *stp.State) {
	s, ok := l.Text(f)
	switch n, err := strconv.Atoi(s); {
	case !ok:
	case s == "disabled" || err == nil && n == int(stp.Disabled):
		l.Wrong(f, "a port that is to be disabled has no carrier: write carrier: off")
	case err == nil && n > 0 && n <= len(states):
		*into = stp.State(n)
	default:
		if i, ok := l.Word(f, states...); ok {
			*into = stp.State(i + 1)
		}
	}
}

// maxVID is the last VLAN there is: 4095 is reserved.
const maxVID = 4094

// vlans reads a list of VLANs: numbers, ranges and, as bridge(8) has it, words
// behind them; or mappings. Those of a port have a state, and neigh_suppress.
func (l *lab) vlans(f field, port bool) (list []bridge.VLAN) {
	var pvid *field
	for _, e := range l.List(f) {
		v, ok := l.vlan(e, port)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(list, func(o bridge.VLAN) bool { return v.VID <= last(o) && last(v) >= o.VID }); i >= 0 {
			l.Wrong(e, "VLAN %s is there twice: it is in %s", span(v), span(list[i]))
			continue
		}
		if v.PVID && pvid != nil {
			l.Wrong(e, "a second PVID: a port has one, and it is %s", pvid.Path)
			continue
		}
		if v.PVID {
			pvid = &e
		}
		list = append(list, v)
	}
	return list
}

func last(v bridge.VLAN) uint16 { return max(v.VID, v.End) }

func span(v bridge.VLAN) string {
	if v.End == 0 {
		return strconv.Itoa(int(v.VID))
	}
	return fmt.Sprintf("%d-%d", v.VID, v.End)
}

func (l *lab) vlan(f field, port bool) (v bridge.VLAN, ok bool) {
	if f.Node.Kind == yaml.MappingNode {
		given := false
		keys := []known{
			{Name: "vid", Read: func(f field) { given = true; ok = l.vids(f, &v) }},
			{Name: "pvid", Read: l.On(&v.PVID)},
			{Name: "untagged", Read: l.On(&v.Untagged)},
		}
		if port {
			keys = append(keys, known{Name: "neigh_suppress", Read: l.On(&v.NeighSuppress)}, known{Name: "state", Read: func(f field) {
				if i, ok := l.Word(f, states...); ok {
					v.State = stp.State(i + 1)
				}
			}})
		}
		l.Mapping(f, "a VLAN", keys)
		if !given {
			l.Wrong(f, "which VLAN? Give its vid, as {vid: 10, pvid: on, untagged: on}")
		}
	} else {
		ok = l.vids(f, &v)
	}
	if ok && v.PVID && v.End != 0 {
		l.Wrong(f, "a range cannot be a PVID: frames without a tag belong to one VLAN")
		ok = false
	}
	return v, ok
}

// vids reads "10", "20-30" or "10 pvid untagged".
func (l *lab) vids(f field, v *bridge.VLAN) bool {
	s, ok := l.Text(f)
	if !ok {
		return false
	}
	words := strings.Fields(s)
	if len(words) == 0 {
		words = []string{""}
	}
	from, to, isRange := strings.Cut(words[0], "-")
	lo, okLo := vid(from)
	hi, okHi := lo, true
	if isRange {
		hi, okHi = vid(to)
	}
	if !okLo || !okHi || isRange && hi <= lo {
		l.Wrong(f, "%s is not a VLAN from 1 to %d, as 10, or a range of them, as \"20-30\"", form.Quote(words[0]), maxVID)
		return false
	}
	if v.VID = lo; isRange {
		v.End = hi
	}
	for _, w := range words[1:] {
		switch w {
		case "pvid":
			v.PVID = true
		case "untagged":
			v.Untagged = true
		default:
			l.Wrong(f, "%s behind a VLAN: the words are pvid and untagged, as \"10 pvid untagged\"", form.Quote(w))
			return false
		}
	}
	return true
}

func vid(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n >= 1 && n <= maxVID && s[0] != '+'
}
