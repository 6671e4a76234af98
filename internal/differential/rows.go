package differential

import "time"

// Rows are the setups that have a name: one for each difference that was found,
// and for what chance does not find.
func Rows() []*Setup {
	return append(timers(), []*Setup{
		{
			Name:  "a tag without a type behind it",
			Ports: make([]Settings, 3),
			Steps: []Step{
				{Kind: Frame, Port: 1, Bytes: Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1))},
				{Kind: Frame, Port: 1, Bytes: Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1, 2))},
				{Kind: Frame, Port: 1, Bytes: Ethernet(broadcast, station(1), EtherVLAN)},
				{Kind: Frame, Port: 1, Bytes: Ethernet(broadcast, station(1), EtherSVLAN, 0, 2)},
				{Kind: Frame, Port: Host, Bytes: Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1))},
			},
		},
		{
			Name: "a question for one neighbour alone", Bridge: Settings{{"mcast_snooping", 0}}, Ports: []Settings{nil, {{"neigh_suppress", 1}}, nil}, IPv6: true, Needs: []string{keepsProbes},
			Steps: []Step{
				wait(25 * time.Millisecond), hello(2, 4), {Kind: AddNeigh, IP: hosts6[3], MAC: station(4)}, {Kind: AddNeigh, IP: hosts[3], MAC: station(4)},
				in(1, Ethernet(station(4), station(1), EtherIPv6, ND(hosts6[0], hosts6[3], NDSolicit, 0, hosts6[3], station(1))...)),
				in(1, Pad(Ethernet(station(4), station(1), EtherARP, ARP(1, station(1), hosts[0], station(4), hosts[3])...), 60)),
			},
		},
		{
			Name: "a port disabled by hand", Bridge: Settings{{"mcast_snooping", 0}}, Ports: make([]Settings, 3), Deep: true,
			Steps: []Step{
				wait(25 * time.Millisecond), hello(2, 2), {Kind: SetPort, Port: 2, Setting: Setting{"state", 0}}, hello(2, 4), hello(1, 1),
				in(2, Ethernet(Reserved(14), station(5), EtherLLDP, 1)), {Kind: SetPort, Port: 2, Setting: Setting{"state", 3}}, hello(2, 4), hello(1, 1),
			},
		},
		{
			Name: "groups while snooping is off", Bridge: Settings{{"mcast_snooping", 1}}, Ports: make([]Settings, 3), Deep: true,
			Steps: []Step{
				wait(25 * time.Millisecond), in(1, report(1, groups[0])), {Kind: AddMDB, Port: 2, Group: groups[1], State: 1},
				{Kind: SetBridge, Setting: Setting{"mcast_snooping", 0}}, wait(20 * time.Millisecond), in(1, report(1, groups[2])), hello(1, 1),
				{Kind: SetBridge, Setting: Setting{"mcast_snooping", 1}}, wait(20 * time.Millisecond), hello(1, 1),
			},
		},
		{
			Name: "one group too many", Bridge: Settings{{"mcast_snooping", 1}, {"mcast_hash_max", 1}}, Ports: make([]Settings, 3), Deep: true,
			Steps: []Step{
				wait(25 * time.Millisecond), in(1, report(1, groups[0])), in(2, report(1, groups[1])), hello(1, 1),
				{Kind: SetBridge, Setting: Setting{"mcast_snooping", 1}}, wait(20 * time.Millisecond), hello(1, 1),
			},
		},
		{
			Name: "a broken tag within a tag, going up", Bridge: Settings{{"mcast_snooping", 0}, {"vlan_filtering", 1}}, Ports: make([]Settings, 2),
			Steps: []Step{
				wait(25 * time.Millisecond), in(1, Tagged(1, Tagged(2, Ethernet(broadcast, station(1), EtherTest)))),
				in(1, Tagged(1, Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1, 2)))),
			},
		},
		{
			Name: "the counters of a VLAN that all have left", Bridge: Settings{{"mcast_snooping", 0}, {"vlan_filtering", 1}, {"vlan_stats_enabled", 1}}, Ports: make([]Settings, 2), Deep: true,
			Steps: []Step{
				wait(25 * time.Millisecond), {Kind: AddVLAN, Port: 1, VLAN: 2, End: 2, Flags: PVID}, hello(1, 1),
				{Kind: DelVLAN, Port: 1, VLAN: 2, End: 2}, {Kind: AddVLAN, Port: 2, VLAN: 2, End: 2}, hello(2, 2),
			},
		},
		{
			Name: "the source of a reserved frame in a blocked VLAN", Bridge: Settings{{"mcast_snooping", 0}, {"vlan_filtering", 1}}, Ports: make([]Settings, 2),
			Steps: []Step{
				wait(25 * time.Millisecond), {Kind: SetVLAN, Port: 1, VLAN: 1, Setting: Setting{"state", 4}}, in(1, Ethernet(Reserved(14), station(1), EtherLLDP, 1)),
				{Kind: SetVLAN, Port: 1, VLAN: 1, Setting: Setting{"state", 2}}, in(1, Ethernet(Reserved(14), station(2), EtherLLDP, 1)),
			},
		},
		{
			Name: "groups in every VLAN", Bridge: Settings{{"mcast_snooping", 1}, {"vlan_filtering", 1}, {"vlan_default_pvid", 0}}, Ports: make([]Settings, 2), Deep: true,
			Steps: []Step{
				wait(25 * time.Millisecond), {Kind: AddMDB, Port: 1, Group: groups6[3], State: 1}, {Kind: AddVLAN, Port: 2, VLAN: 3, End: 3},
				{Kind: AddMDB, Port: Host, Group: groups[0]}, hello(2, 1),
			},
		},
	}...)
}

func station(i byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, i} }
