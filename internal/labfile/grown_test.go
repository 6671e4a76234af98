package labfile

import (
	"fmt"
	"strings"
	"testing"

	"ringside"
)

// A grower writes labs of keys and values that mean something, as its bytes choose:
// most are nearly right.
type grower struct {
	choices []byte
	strings.Builder
}

func (g *grower) pick(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0]) % n
	g.choices = g.choices[1:]
	return c
}

func (g *grower) of(list ...string) string { return list[g.pick(len(list))] }

// some writes up to n keys of a list of "key value|value".
func (g *grower) some(n int, keys ...string) string {
	var parts []string
	used := map[string]bool{}
	for range g.pick(n + 1) {
		key, values, _ := strings.Cut(g.of(keys...), " ")
		if !used[key] {
			used[key] = true
			parts = append(parts, key+": "+g.of(strings.Split(values, "|")...))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

const onOff = "on|off"

var bridgeKeys = []string{
	"address 02:00:00:00:00:aa|02:00:00:00:00:bb", "addr 192.0.2.1/24|[192.0.2.2/24, '2001:db8::2/64']", "mtu 1280|9000|1500", "promisc on",
	"ageing_time 0s|10ms|300s|2400h", "fdb_max_learned 0|1|1000|1048576", "group_fwd_mask 0|8|0xfff8", "group_address 01:80:c2:00:00:00|01:80:c2:00:00:02|01:80:c2:00:00:0e",
	"no_linklocal_learn on", "stp_state " + onOff, "priority 0|1|4096|65535", "hello_time 1s|10s", "max_age 6s|40s", "forward_delay 2s|30s",
	"vlan_filtering " + onOff, "vlan_protocol 802.1Q|802.1ad", "vlan_default_pvid 0|1|10|4094", "vlan_stats_enabled on", "vlan_stats_per_port on",
	"vlan 10|[1, '2-30']|10 pvid untagged|'2-4094'", "mcast_snooping " + onOff, "mcast_router 0|1|2", "mcast_querier on", "mcast_query_use_ifaddr on",
	"mcast_hash_max 1|512|1048576", "mcast_last_member_count 0|9", "mcast_startup_query_count 0|9", "mcast_last_member_interval 0s|1h", "mcast_membership_interval 0s|1s",
	"mcast_querier_interval 0s|24h", "mcast_query_interval 1s|24h", "mcast_query_response_interval 0s|1s", "mcast_startup_query_interval 1s|24h",
	"mcast_stats_enabled on", "mcast_igmp_version 2|3", "mcast_mld_version 1|2",
	"fdb [{mac: 02:00:00:00:00:11, dev: e0, state: static}]|[{mac: 02:00:00:00:00:11, dev: br0}]|[{mac: 02:00:00:00:00:11, dev: t0, state: dynamic, vlan: 10}, {mac: 02:00:00:00:00:11, dev: e0, extern_learn: on}]",
	"mdb [{grp: 239.1.1.1, port: e0}]|[{grp: ff1e::1, port: t0, state: permanent, vid: 10}]|[{grp: 01:02:03:04:05:06, port: e0, state: permanent}, {grp: 239.1.1.1, port: br0}]",
	"neigh [{addr: 192.0.2.7, lladdr: 02:00:00:00:00:07}]|[{addr: '2001:db8::7', lladdr: 02:00:00:00:00:07, vlan: 10, nud: stale, router: on}]",
}

var portKeys = []string{
	"learning " + onOff, "flood off", "mcast_flood off", "bcast_flood off", "hairpin on", "isolated on", "locked " + onOff, "mab " + onOff, "guard on", "root_block on",
	"fastleave on", "mcast_to_unicast on", "mcast_router 0|1|2|3", "mcast_max_groups 0|1|1048576", "neigh_suppress on", "neigh_vlan_suppress on", "backup_port e0|t0|p0",
	"group_fwd_mask 0|1|2|8|0xffff", "state listening|forwarding|4", "cost 1|65535", "priority 0|1|63", "vlan 10|[1, '2-30']|10 pvid untagged|{vid: 1, untagged: on}|{vid: 2-9, neigh_suppress: on}|{vid: 7, state: blocking}", "default_pvid " + onOff, "carrier " + onOff,
}

func (g *grower) port() string {
	return fmt.Sprintf("bridge: %s, port: %s%s", g.of("br0", "br0", "br1", "none"), g.some(4, portKeys...),
		g.of("", "", ", mtu: 1500", ", mirror_in: e0", ", mirror_out: t0"))
}

func (g *grower) lab() string {
	fmt.Fprintf(g, "%sbridges: {br0: %s, br1: %s}\n", head, g.some(6, bridgeKeys...), g.some(3, bridgeKeys...))
	fmt.Fprintf(g, "nics: {e0: {%s, queues: %s, link: %s}}\n", g.port(), g.of("1", "4"), g.of("1G", "25G loss 1%"))
	fmt.Fprintf(g, "vms: {v0: {%s, tap: t0, program: %s, cpu: %s}}\n", g.port(), g.of("sink", "echo", "slow=1us"), g.of("0", "1", "2"))
	if g.pick(2) == 1 {
		fmt.Fprintf(g, "patches: [{a: {name: p0, %s}, b: {name: p1, %s}}]\n", g.port(), g.port())
	}
	return g.String()
}

// FuzzGrown is FuzzConfig with labs that are nearly right: what is accepted can be
// built and is sound, what is refused has its places.
func FuzzGrown(f *testing.F) {
	for i := range 40 {
		seed := make([]byte, 120)
		for j := range seed {
			seed[j] = byte(i*31 + j*j*7 + j*i)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		text := (&grower{choices: choices}).lab()
		l, err := Load(strings.NewReader(text), "lab.yaml")
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !place3.MatchString(line) || strings.Contains(line, "not YAML") {
					t.Fatalf("%q of\n%s", line, text)
				}
			}
			return
		}
		h, err := ringside.New(l.Config)
		if err != nil {
			t.Fatalf("accepted and cannot be built: %v\n%s", err, text)
		}
		defer h.Close()
		if err := h.Check(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
