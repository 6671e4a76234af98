package differential

import (
	"fmt"
	"slices"
	"strings"
)

// An option is one setting of a bridge or of a port, under the name ip(8) and
// bridge(8) give it.
type option struct {
	name string
	attr uint16 // netlink attribute
	size int    // bytes of its value; 0 for a bit of IFLA_BR_MULTI_BOOLOPT
	bit  uint   // that bit
}

const multiBoolopt = 46 // IFLA_BR_MULTI_BOOLOPT

// The settings of a bridge, IFLA_BR_*. Times are in hundredths of a second.
var bridgeOptions = []option{
	{"forward_delay", 1, 4, 0},
	{"hello_time", 2, 4, 0},
	{"max_age", 3, 4, 0},
	{"ageing_time", 4, 4, 0},
	{"stp_state", 5, 4, 0},
	{"priority", 6, 2, 0},
	{"vlan_filtering", 7, 1, 0},
	{"vlan_protocol", 8, -2, 0},
	{"group_fwd_mask", 9, 2, 0},
	{"mcast_router", 22, 1, 0},
	{"mcast_snooping", 23, 1, 0},
	{"mcast_query_use_ifaddr", 24, 1, 0},
	{"mcast_querier", 25, 1, 0},
	{"mcast_hash_max", 27, 4, 0},
	{"mcast_last_member_count", 28, 4, 0},
	{"mcast_startup_query_count", 29, 4, 0},
	{"mcast_last_member_interval", 30, 8, 0},
	{"mcast_membership_interval", 31, 8, 0},
	{"mcast_querier_interval", 32, 8, 0},
	{"mcast_query_interval", 33, 8, 0},
	{"mcast_query_response_interval", 34, 8, 0},
	{"mcast_startup_query_interval", 35, 8, 0},
	{"vlan_default_pvid", 39, 2, 0},
	{"vlan_stats_enabled", 41, 1, 0},
	{"mcast_stats_enabled", 42, 1, 0},
	{"mcast_igmp_version", 43, 1, 0},
	{"mcast_mld_version", 44, 1, 0},
	{"vlan_stats_per_port", 45, 1, 0},
	{"fdb_max_learned", 49, 4, 0},
	{"no_linklocal_learn", multiBoolopt, 0, 0},
	{"mcast_vlan_snooping", multiBoolopt, 0, 1},
	{"mst_enabled", multiBoolopt, 0, 2},
	{"fdb_local_vlan_0", multiBoolopt, 0, 4},
}

// The settings of a port, IFLA_BRPORT_*.
var portOptions = []option{
	{"state", 1, 1, 0},
	{"priority", 2, 2, 0},
	{"cost", 3, 4, 0},
	{"hairpin", 4, 1, 0},
	{"guard", 5, 1, 0},
	{"root_block", 6, 1, 0},
	{"fastleave", 7, 1, 0},
	{"learning", 8, 1, 0},
	{"flood", 9, 1, 0},
	{"proxy_arp", 10, 1, 0},
	{"proxy_arp_wifi", 12, 1, 0},
	{"mcast_router", 25, 1, 0},
	{"mcast_flood", 27, 1, 0},
	{"mcast_to_unicast", 28, 1, 0},
	{"vlan_tunnel", 29, 1, 0},
	{"bcast_flood", 30, 1, 0},
	{"group_fwd_mask", 31, 2, 0},
	{"neigh_suppress", 32, 1, 0},
	{"isolated", 33, 1, 0},
	{"backup_port", 34, 4, 0},
	{"locked", 39, 1, 0},
	{"mab", 40, 1, 0},
	{"mcast_max_groups", 42, 4, 0},
	{"neigh_vlan_suppress", 43, 1, 0},
}

// The settings of a VLAN of a port, BRIDGE_VLANDB_ENTRY_*.
var vlanOptions = []option{
	{"state", 3, 1, 0},
	{"mcast_router", 6, 1, 0},
	{"neigh_suppress", 9, 1, 0},
}

// keepsProbes is that probes and announcements for addresses are kept from ports
// with neigh_suppress, and questions to one station alone not answered: 6.18 does
// so, and 6.1 neither.
const keepsProbes = "neigh_suppress of probes"

// actions are features that are no options: steps that every kernel can do, and
// that our side may not be able to.
var actions = []string{"set bridge", "set port", "fdb kinds", "fdb flush", "mdb", "cable", "mtu", "neigh", "neigh6"}

func find(list []option, name string) (option, error) {
	i := slices.IndexFunc(list, func(o option) bool { return o.name == name })
	if i < 0 {
		return option{}, fmt.Errorf("no option %q", name)
	}
	return list[i], nil
}

// A Setting is an option and its value.
type Setting struct {
	Name  string
	Value uint64
}

// Settings are applied in their order.
type Settings []Setting

// Get is the value of the option name, and whether it is set.
func (s Settings) Get(name string) (uint64, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].Name == name {
			return s[i].Value, true
		}
	}
	return 0, false
}

// String is the settings as ip(8) takes them.
func (s Settings) String() string {
	var words []string
	for _, o := range s {
		words = append(words, fmt.Sprintf("%s %d", o.Name, o.Value))
	}
	return strings.Join(words, " ")
}
