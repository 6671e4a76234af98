package bridge_test

import (
	"testing"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
)

// Where the bridge and the reference once differed, one row for each.
func TestDifferences(t *testing.T) {
	three := make([]bridge.PortConfig, 3)
	run(t, []scenario{
		{name: "half a tag is dropped between known stations, too", cfg: bridge.Config{}, ports: three, steps: []step{
			sends(1, data(host(2), host(1)), "2 3"),
			sends(2, data(host(1), host(2)), "1"),
			sends(1, ethernet(host(2), host(1), 0x88a8), ""),
			sends(1, ethernet(host(2), host(1), 0x8100, 0, 1, 8, 0, 0), ""),
			sends(1, ethernet(host(2), host(1), 0x8100, 0, 1, 8, 0, 0, 0), "2"),
		}},
		{name: "a new querier floods until hosts have had time to answer", cfg: querier, ports: three, steps: []step{
			after(9 * second),
			sends(1, udp4(1, "239.1.1.1"), "2 3 up"),
			after(2 * second),
			sends(1, udp4(1, "239.1.1.1"), ""),
		}},
		{name: "extern_learn leaves a local address local", cfg: bridge.Config{MAC: bridgeMAC}, ports: three, steps: []step{
			add(bridge.Entry{MAC: bridgeMAC, Port: 1, ExternLearned: true}),
			entry(bridgeMAC, 0, "local", func(e bridge.Entry) bool { return e.Kind == bridge.Permanent && e.ExternLearned }),
			sends(2, data(bridgeMAC, host(2)), "up"),
		}},
		{name: "an entry of a control plane stays its own when it is set by hand", cfg: bridge.Config{Ageing: ageing}, ports: three, steps: []step{
			add(bridge.Entry{MAC: host(1), Port: 1, ExternLearned: true}),
			add(bridge.Entry{MAC: host(1), Port: 2}),
			after(ageing + second),
			on(host(1), 0, 2),
		}},
		{name: "setting what is there already makes it no younger", cfg: bridge.Config{Ageing: ageing}, ports: three, steps: []step{
			add(bridge.Entry{MAC: host(1), Port: 1}),
			after(ageing - second),
			add(bridge.Entry{MAC: host(1), Port: 1}),
			after(2 * second),
			unknown(host(1), 0),
		}},
		{name: "stations outside of all VLANs are not reached while VLANs are looked at", cfg: bridge.Config{VLANFiltering: true, DefaultPVID: bridge.NoPVID}, ports: three, steps: []step{
			add(bridge.Entry{MAC: host(1), Port: 1, Kind: bridge.Static}),
			add(bridge.Entry{MAC: host(2), Port: 2, Kind: bridge.Static}),
			sends(1, data(host(2), host(1)), ""),
			configure(func(c *bridge.Config) { c.VLANFiltering = false }),
			sends(1, data(host(2), host(1)), "2"),
		}},
		{name: "a group set by hand in VLAN 0 is in every VLAN of the port", cfg: filteringQuerier, ports: three, steps: []step{
			settled,
			addVLAN(1, bridge.VLAN{VID: 10}), addVLAN(2, bridge.VLAN{VID: 10}),
			addMDB(snoop.Static{Port: 2, Group: snoop.Group{IP: ip("239.1.1.1")}, Permanent: true}),
			sends(1, vlan(10, udp4(1, "239.1.1.1")), "2"),
			sends(1, udp4(1, "239.1.1.1"), "2"),
			deleteMDB(2, snoop.Group{IP: ip("239.1.1.1")}, 0),
			sends(1, vlan(10, udp4(1, "239.1.1.1")), ""),
		}},
		{name: "a port disabled by hand keeps its groups and stations when its carrier goes", cfg: querier, ports: three, steps: []step{
			settled,
			sends(2, igmpJoin(2, "239.1.1.1"), ""),
			func(l *lab) { l.b.SetState(2, stp.Disabled) },
			link(2, false), link(2, true),
			on(host(2), 0, 2),
			sends(1, udp4(1, "239.1.1.1"), "2"),
			link(2, false), link(2, true),
			unknown(host(2), 0),
			sends(1, udp4(1, "239.1.1.1"), ""),
		}},
	})
}

// filteringQuerier is querier with VLANs.
var filteringQuerier = func() bridge.Config {
	c := querier
	c.VLANFiltering = true
	return c
}()
