package labfile

import (
	"ringside"
	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/internal/form"
	"ringside/sim"
)

// readBridges reads the bridges.
func (l *lab) readBridges(f field) {
	list := l.Fields(f, "names of bridges, each with its options")
	l.cfg.Bridges = make([]ringside.Bridge, 0, len(list))
	l.atMost(list, ringside.MaxBridges, "bridges")
	l.named(list, func(f field) {
		if !l.take(f, f.Name) {
			return
		}
		l.cfg.Bridges = append(l.cfg.Bridges, ringside.Bridge{})
		b := &bridgeAt{field: f, cfg: &l.cfg.Bridges[len(l.cfg.Bridges)-1]}
		b.cfg.Name = f.Name
		l.bridges = append(l.bridges, b)
		l.Mapping(f, "its options, as {vlan_filtering: on}", l.options(b))
	})
}

// options are what a bridge can be told, as ip(8) and bridge(8) name it.
func (l *lab) options(b *bridgeAt) []known {
	c := b.cfg
	keys := []known{
		{Name: "address", Read: func(f field) { c.Host.MAC, _ = l.Station(f) }},
		{Name: "addr", Read: func(f field) { Addresses(l.Reader, f, &c.Host.Addresses) }},
		{Name: "mtu", Read: form.Whole(l.Reader, &c.Host.MTU, 1280, 9000)},
		{Name: "promisc", Read: l.On(&c.Promisc)},
		{Name: "ageing_time", Read: l.SpanInto(&c.Ageing, bridge.Hub, 0, 100*24*3600*sim.Second)},
		{Name: "fdb_max_learned", Read: l.orZero(&c.MaxLearned, bridge.Unlimited, 1<<20)},
		{Name: "group_fwd_mask", Read: func(f field) { l.groupFwdMask(f, &c.GroupFwdMask) }},
		{Name: "group_address", Read: func(f field) { c.GroupAddress, _ = l.MAC(f) }},
		{Name: "no_linklocal_learn", Read: l.On(&c.NoLinkLocalLearn)},

		{Name: "stp_state", Read: l.On(&c.STP)},
		{Name: "priority", Read: l.orZero(&c.Priority, bridge.ZeroPriority, 65535)},
		{Name: "hello_time", Read: l.SpanInto(&c.HelloTime, 0, sim.Second, 10*sim.Second)},
		{Name: "max_age", Read: l.SpanInto(&c.MaxAge, 0, 6*sim.Second, 40*sim.Second)},
		{Name: "forward_delay", Read: l.SpanInto(&c.ForwardDelay, 0, 2*sim.Second, 30*sim.Second)},

		{Name: "vlan_filtering", Read: l.On(&c.VLANFiltering)},
		{Name: "vlan_protocol", Read: func(f field) { l.protocol(f, &c.VLANProtocol) }},
		{Name: "vlan_default_pvid", Read: func(f field) { l.defaultPVID(f, &c.DefaultPVID) }},
		{Name: "vlan_stats_enabled", Read: l.On(&c.VLANStats)},
		{Name: "vlan_stats_per_port", Read: l.On(&c.VLANStatsPerPort)},
		{Name: "vlan", Read: func(f field) { c.VLANs = l.vlans(f, false) }},

		{Name: "fdb", Read: func(f field) { l.readFDB(f, b) }},
		{Name: "mdb", Read: func(f field) { l.readMDB(f, b) }},
		{Name: "neigh", Read: func(f field) { l.readNeigh(f, b) }},
	}
	return append(keys, l.multicast(&c.NoSnooping, &c.Multicast)...)
}

// multicast are the options that begin with mcast_.
func (l *lab) multicast(off *bool, c *snoop.Config) []known {
	count := func(into *int) func(field) { return l.orZero(into, snoop.None, 1<<16) }
	span := func(into *sim.Time, lo sim.Time) func(field) {
		return l.SpanInto(into, snoop.None, lo, 24*3600*sim.Second)
	}
	return []known{
		{Name: "mcast_snooping", Read: l.Off(off)},
		{Name: "mcast_router", Read: func(f field) { l.router(f, &c.Router, 2) }},
		{Name: "mcast_query_use_ifaddr", Read: l.On(&c.QueryUseIfaddr)},
		{Name: "mcast_querier", Read: l.On(&c.Querier)},
		{Name: "mcast_hash_max", Read: form.Whole(l.Reader, &c.HashMax, 1, 1<<20)},
		{Name: "mcast_last_member_count", Read: count(&c.LastMemberCount)},
		{Name: "mcast_startup_query_count", Read: count(&c.StartupQueryCount)},
		{Name: "mcast_last_member_interval", Read: span(&c.LastMemberInterval, 0)},
		{Name: "mcast_membership_interval", Read: span(&c.MembershipInterval, 0)},
		{Name: "mcast_querier_interval", Read: span(&c.QuerierInterval, 0)},
		{Name: "mcast_query_interval", Read: span(&c.QueryInterval, sim.Second)},
		{Name: "mcast_query_response_interval", Read: span(&c.QueryResponseInterval, 0)},
		{Name: "mcast_startup_query_interval", Read: span(&c.StartupQueryInterval, sim.Second)},
		{Name: "mcast_stats_enabled", Read: l.On(&c.StatsEnabled)},
		{Name: "mcast_igmp_version", Read: form.Whole(l.Reader, &c.IGMPVersion, 2, 3)},
		{Name: "mcast_mld_version", Read: form.Whole(l.Reader, &c.MLDVersion, 1, 2)},
	}
}

// orZero reads a whole number up to hi into at, where 0 would be the default: zero
// stands for it.
func (l *lab) orZero(into *int, zero int, hi uint64) func(field) {
	return func(f field) {
		if n, ok := l.Number(f, 0, hi); ok {
			if *into = int(n); n == 0 {
				*into = zero
			}
		}
	}
}

func (l *lab) groupFwdMask(f field, into *uint16) {
	n, ok := l.Number(f, 0, 0xffff)
	if ok && n&0b111 != 0 {
		l.Wrong(f, "%#x: the bits 0, 1 and 2 cannot be set: a bridge keeps 01:80:c2:00:00:00 to :02 to itself", n)
		return
	}
	*into = uint16(n)
}

func (l *lab) protocol(f field, into *uint16) {
	if i, ok := l.Word(f, "802.1Q", "802.1ad"); ok {
		*into = []uint16{0x8100, 0x88a8}[i]
	}
}

func (l *lab) defaultPVID(f field, into *uint16) {
	n, ok := l.Number(f, 0, maxVID)
	if !ok {
		return
	}
	if *into = uint16(n); n == 0 {
		*into = bridge.NoPVID
	}
}

// router reads mcast_router, Linux's number from 0 to most.
func (l *lab) router(f field, into *snoop.Router, most uint64) {
	n, ok := l.Number(f, 0, most)
	if !ok {
		return
	}
	v, err := snoop.RouterNumber(int(n))
	if err != nil {
		l.Wrong(f, "%v", err)
		return
	}
	*into = v
}
