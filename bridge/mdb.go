package bridge

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/bridge/snoop"
	"ringside/sim"
)

// AddMDB enters a group by hand, bridge mdb add. With VLAN filtering VID 0 is every
// VLAN of the port.
func (b *Bridge) AddMDB(e snoop.Static) error {
	defer b.collect()
	vlans := b.mdbVLANs(Port(e.Port), e.VID)
	if len(vlans) == 0 {
		if err := b.snooper.Allows(e); err != nil {
			return fmt.Errorf("bridge: %w", err)
		}
		return fmt.Errorf("bridge: %w: the port %d is in no VLAN", ErrVLAN, e.Port)
	}
	for _, e.VID = range vlans {
		if err := b.snooper.Add(e, b.now); err != nil {
			return fmt.Errorf("bridge: %w", err)
		}
	}
	return nil
}

// DeleteMDB takes a group of a port out, bridge mdb del; with VLAN filtering and a vid
// of 0 from every VLAN of the port. Of several VLANs the error is that of the last.
func (b *Bridge) DeleteMDB(p Port, g snoop.Group, source netip.Addr, vid uint16) (err error) {
	defer b.collect()
	for _, vid := range b.mdbVLANs(p, vid) {
		if err = b.snooper.Delete(snoop.Port(p), g, source, vid, b.now); err != nil {
			err = fmt.Errorf("bridge: %w", err)
		}
	}
	return err
}

// mdbVLANs is the VLANs that are meant by vid: of the bridge's own interface all that
// any interface is in, as in Linux, where they stand in one list.
func (b *Bridge) mdbVLANs(p Port, vid uint16) (list []uint16) {
	if vid != 0 || !b.cfg.VLANFiltering || !b.has(p) {
		return []uint16{vid}
	}
	for q := range b.vlans {
		if Port(q) == p || p == Local {
			for _, v := range b.vlans[q].list {
				list = append(list, v.vid)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// FlushMDB takes out the groups that f says, bridge mdb flush.
func (b *Bridge) FlushMDB(f snoop.Filter) {
	b.snooper.Flush(f, b.now)
	b.collect()
}

// MDB is the groups as they are at the time now.
func (b *Bridge) MDB(now sim.Time) []snoop.Entry { return b.snooper.Entries(max(now, b.now)) }

// RouterPorts is the ports with a multicast router behind them.
func (b *Bridge) RouterPorts(now sim.Time) []snoop.RouterPort {
	return b.snooper.Routers(max(now, b.now))
}

// Querier is who asks for groups, of IPv6 or of IPv4.
func (b *Bridge) Querier(ipv6 bool, now sim.Time) snoop.QuerierState {
	return b.snooper.Querier(ipv6, max(now, b.now))
}

// Snooping says that multicast is snooped, which ends when the database is full.
func (b *Bridge) Snooping() bool { return b.snooper.Enabled() }

// SetMcastRouter is mcast_router of a port; setting snoop.RouterTemp again makes
// it last longer.
func (b *Bridge) SetMcastRouter(p Port, r snoop.Router) error {
	if p == Local || !b.has(p) {
		return fmt.Errorf("bridge: mcast_router: %w: %d", ErrNoPort, p)
	}
	defer b.collect()
	if err := b.snooper.SetRouter(snoop.Port(p), r, b.now); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	b.config[p].McastRouter = r
	return nil
}

// McastStats counts the membership messages of a port, or of the bridge's own
// interface, if Config.Multicast says so.
func (b *Bridge) McastStats(p Port) snoop.Stats {
	if !b.has(p) {
		return snoop.Stats{}
	}
	return b.snooper.Stats(snoop.Port(p))
}
