package labfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"ringside/bridge"
	"ringside/bridge/stp"
)

// readPort reads a port's flags, as bridge(8) names them.
func (l *lab) readPort(f field, link *linkAt) {
	p := link.port
	l.mapping(f, "a port's flags, as {learning: off}", []known{
		{"learning", l.off(&p.NoLearning)},
		{"flood", l.off(&p.NoFlood)},
		{"mcast_flood", l.off(&p.NoMcastFlood)},
		{"bcast_flood", l.off(&p.NoBcastFlood)},
		{"hairpin", l.on(&p.Hairpin)},
		{"isolated", l.on(&p.Isolated)},
		{"locked", l.on(&p.Locked)},
		{"mab", l.on(&p.MAB)},
		{"guard", l.on(&p.Guard)},
		{"root_block", l.on(&p.RootBlock)},
		{"fastleave", l.on(&p.FastLeave)},
		{"mcast_to_unicast", l.on(&p.McastToUnicast)},
		{"mcast_router", func(f field) { l.router(f, &p.McastRouter, 3) }},
		{"mcast_max_groups", whole(l.reader, &p.McastMaxGroups, 0, 1<<20)},
		{"neigh_suppress", l.on(&p.NeighSuppress)},
		{"neigh_vlan_suppress", l.on(&p.NeighVLANSuppress)},
		{"backup_port", func(f field) {
			if s, ok := l.ifname(f); ok {
				p.BackupPort = s
				link.backup = &reference{f, s}
			}
		}},
		{"group_fwd_mask", whole(l.reader, &p.GroupFwdMask, 0, 0xffff)},
		{"state", func(f field) { l.state(f, &p.State) }},
		{"cost", whole(l.reader, &p.Cost, 1, 65535)},
		{"priority", l.orZero(&p.Priority, bridge.ZeroPriority, 63)},
		{"vlan", func(f field) { p.VLANs = l.vlans(f, true) }},
		{"default_pvid", l.off(&p.NoPVID)},
		{"carrier", l.off(&p.LinkDown)},
	})
}

// states are those that can be set by hand, in bridge(8)'s order. A port that is to be
// disabled has no carrier.
var states = []string{"listening", "learning", "forwarding", "blocking"}

// state reads a state by name, or by its number as bridge(8) allows.
func (l *lab) state(f field, into *stp.State) {
	s, ok := l.text(f)
	switch n, err := strconv.Atoi(s); {
	case !ok:
	case s == "disabled" || err == nil && n == int(stp.Disabled):
		l.wrong(f, "a port that is to be disabled has no carrier: write carrier: off")
	case err == nil && n > 0 && n <= len(states):
		*into = stp.State(n)
	default:
		if i, ok := l.word(f, states...); ok {
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
	for _, e := range l.list(f) {
		v, ok := l.vlan(e, port)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(list, func(o bridge.VLAN) bool { return v.VID <= last(o) && last(v) >= o.VID }); i >= 0 {
			l.wrong(e, "VLAN %s is there twice: it is in %s", span(v), span(list[i]))
			continue
		}
		if v.PVID && pvid != nil {
			l.wrong(e, "a second PVID: a port has one, and it is %s", pvid.path)
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
	if f.node.Kind == yaml.MappingNode {
		given := false
		keys := []known{
			{"vid", func(f field) { given = true; ok = l.vids(f, &v) }},
			{"pvid", l.on(&v.PVID)},
			{"untagged", l.on(&v.Untagged)},
		}
		if port {
			keys = append(keys, known{"neigh_suppress", l.on(&v.NeighSuppress)}, known{"state", func(f field) {
				if i, ok := l.word(f, states...); ok {
					v.State = stp.State(i + 1)
				}
			}})
		}
		l.mapping(f, "a VLAN", keys)
		if !given {
			l.wrong(f, "which VLAN? Give its vid, as {vid: 10, pvid: on, untagged: on}")
		}
	} else {
		ok = l.vids(f, &v)
	}
	if ok && v.PVID && v.End != 0 {
		l.wrong(f, "a range cannot be a PVID: frames without a tag belong to one VLAN")
		ok = false
	}
	return v, ok
}

// vids reads "10", "20-30" or "10 pvid untagged".
func (l *lab) vids(f field, v *bridge.VLAN) bool {
	s, ok := l.text(f)
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
		l.wrong(f, "%s is not a VLAN from 1 to %d, as 10, or a range of them, as \"20-30\"", quote(words[0]), maxVID)
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
			l.wrong(f, "%s behind a VLAN: the words are pvid and untagged, as \"10 pvid untagged\"", quote(w))
			return false
		}
	}
	return true
}

func vid(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n >= 1 && n <= maxVID && s[0] != '+'
}
