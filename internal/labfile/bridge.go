package labfile

import (
	"ringside"
	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/sim"
)

// readBridges reads the bridges.
func (l *lab) readBridges(f field) {
	list := l.fields(f, "names of bridges, each with its options")
	l.cfg.Bridges = make([]ringside.Bridge, 0, len(list))
	l.atMost(list, ringside.MaxBridges, "bridges")
	l.named(list, func(f field) {
		if !l.take(f, f.name) {
			return
		}
		l.cfg.Bridges = append(l.cfg.Bridges, ringside.Bridge{})
		b := &bridgeAt{field: f, cfg: &l.cfg.Bridges[len(l.cfg.Bridges)-1]}
		b.cfg.Name = f.name
		l.bridges = append(l.bridges, b)
		l.mapping(f, "its options, as {vlan_filtering: on}", l.options(b))
	})
}

// options are what a bridge can be told, as ip(8) and bridge(8) name it.
func (l *lab) options(b *bridgeAt) []known {
	c := b.cfg
	keys := []known{
		{"address", func(f field) { c.Host.MAC, _ = l.station(f) }},
		{"addr", func(f field) { l.prefixes(f, c) }},
		{"mtu", whole(l.reader, &c.Host.MTU, 1280, 9000)},
		{"promisc", l.on(&c.Promisc)},
		{"ageing_time", l.spanInto(&c.Ageing, bridge.Hub, 0, 100*24*3600*sim.Second)},
		{"fdb_max_learned", l.orZero(&c.MaxLearned, bridge.Unlimited, 1<<20)},
		{"group_fwd_mask", func(f field) { l.groupFwdMask(f, &c.GroupFwdMask) }},
		{"group_address", func(f field) { c.GroupAddress, _ = l.mac(f) }},
		{"no_linklocal_learn", l.on(&c.NoLinkLocalLearn)},

		{"stp_state", l.on(&c.STP)},
		{"priority", l.orZero(&c.Priority, bridge.ZeroPriority, 65535)},
		{"hello_time", l.spanInto(&c.HelloTime, 0, sim.Second, 10*sim.Second)},
		{"max_age", l.spanInto(&c.MaxAge, 0, 6*sim.Second, 40*sim.Second)},
		{"forward_delay", l.spanInto(&c.ForwardDelay, 0, 2*sim.Second, 30*sim.Second)},

		{"vlan_filtering", l.on(&c.VLANFiltering)},
		{"vlan_protocol", func(f field) { l.protocol(f, &c.VLANProtocol) }},
		{"vlan_default_pvid", func(f field) { l.defaultPVID(f, &c.DefaultPVID) }},
		{"vlan_stats_enabled", l.on(&c.VLANStats)},
		{"vlan_stats_per_port", l.on(&c.VLANStatsPerPort)},
		{"vlan", func(f field) { c.VLANs = l.vlans(f, false) }},

		{"fdb", func(f field) { l.readFDB(f, b) }},
		{"mdb", func(f field) { l.readMDB(f, b) }},
		{"neigh", func(f field) { l.readNeigh(f, b) }},
	}
	return append(keys, l.multicast(&c.NoSnooping, &c.Multicast)...)
}

// multicast are the options that begin with mcast_.
func (l *lab) multicast(off *bool, c *snoop.Config) []known {
	count := func(into *int) func(field) { return l.orZero(into, snoop.None, 1<<16) }
	span := func(into *sim.Time, lo sim.Time) func(field) {
		return l.spanInto(into, snoop.None, lo, 24*3600*sim.Second)
	}
	return []known{
		{"mcast_snooping", l.off(off)},
		{"mcast_router", func(f field) { l.router(f, &c.Router, 2) }},
		{"mcast_query_use_ifaddr", l.on(&c.QueryUseIfaddr)},
		{"mcast_querier", l.on(&c.Querier)},
		{"mcast_hash_max", whole(l.reader, &c.HashMax, 1, 1<<20)},
		{"mcast_last_member_count", count(&c.LastMemberCount)},
		{"mcast_startup_query_count", count(&c.StartupQueryCount)},
		{"mcast_last_member_interval", span(&c.LastMemberInterval, 0)},
		{"mcast_membership_interval", span(&c.MembershipInterval, 0)},
		{"mcast_querier_interval", span(&c.QuerierInterval, 0)},
		{"mcast_query_interval", span(&c.QueryInterval, sim.Second)},
		{"mcast_query_response_interval", span(&c.QueryResponseInterval, 0)},
		{"mcast_startup_query_interval", span(&c.StartupQueryInterval, sim.Second)},
		{"mcast_stats_enabled", l.on(&c.StatsEnabled)},
		{"mcast_igmp_version", whole(l.reader, &c.IGMPVersion, 2, 3)},
		{"mcast_mld_version", whole(l.reader, &c.MLDVersion, 1, 2)},
	}
}

// orZero reads a whole number up to hi into at, where 0 would be the default: zero
// stands for it.
func (l *lab) orZero(into *int, zero int, hi uint64) func(field) {
	return func(f field) {
		if n, ok := l.number(f, 0, hi); ok {
			if *into = int(n); n == 0 {
				*into = zero
			}
		}
	}
}

func (l *lab) prefixes(f field, c *ringside.Bridge) {
	for _, e := range l.list(f) {
		p, ok := l.prefix(e)
		switch {
		case !ok:
		case p.Addr().IsUnspecified() || p.Addr().IsMulticast():
			l.wrong(e, "%v is not the address of a host", p)
		default:
			c.Host.Addresses = append(c.Host.Addresses, p)
		}
	}
}

func (l *lab) groupFwdMask(f field, into *uint16) {
	n, ok := l.number(f, 0, 0xffff)
	if ok && n&0b111 != 0 {
		l.wrong(f, "%#x: the bits 0, 1 and 2 cannot be set: a bridge keeps 01:80:c2:00:00:00 to :02 to itself", n)
		return
	}
	*into = uint16(n)
}

func (l *lab) protocol(f field, into *uint16) {
	if i, ok := l.word(f, "802.1Q", "802.1ad"); ok {
		*into = []uint16{0x8100, 0x88a8}[i]
	}
}

func (l *lab) defaultPVID(f field, into *uint16) {
	n, ok := l.number(f, 0, maxVID)
	if !ok {
		return
	}
	if *into = uint16(n); n == 0 {
		*into = bridge.NoPVID
	}
}

// router reads mcast_router, Linux's number from 0 to most.
func (l *lab) router(f field, into *snoop.Router, most uint64) {
	n, ok := l.number(f, 0, most)
	if !ok {
		return
	}
	v, err := snoop.RouterNumber(int(n))
	if err != nil {
		l.wrong(f, "%v", err)
		return
	}
	*into = v
}
