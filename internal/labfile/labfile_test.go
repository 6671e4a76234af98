package labfile

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/internal/form"
	"ringside/sim"
)

func load(t *testing.T, text string) *Lab {
	t.Helper()
	l, err := Load(strings.NewReader(text), "lab.yaml")
	require.NoError(t, err)
	return l
}

const head = "schema: ringside.lab/1\n"

func TestEveryOptionOfABridgeIsRead(t *testing.T) {
	c := load(t, head+`
bridges:
  br0:
    address: 02:00:00:00:00:aa
    addr: [192.0.2.1/24, "2001:db8::1/64"]
    mtu: 9000
    promisc: on
    ageing_time: 0s
    fdb_max_learned: 1_000
    group_fwd_mask: 0x4008
    group_address: 01:80:c2:00:00:05
    no_linklocal_learn: yes
    stp_state: 1
    priority: 4096
    hello_time: 1s
    max_age: 6s
    forward_delay: 2.5s
    vlan_filtering: true
    vlan_protocol: 802.1ad
    vlan_default_pvid: 0
    vlan_stats_enabled: on
    vlan_stats_per_port: on
    vlan: [10, "20-30", 40 pvid untagged, {vid: 50, untagged: on}]
    mcast_snooping: off
    mcast_router: 2
    mcast_query_use_ifaddr: on
    mcast_querier: on
    mcast_hash_max: 512
    mcast_last_member_count: 0
    mcast_startup_query_count: 3
    mcast_last_member_interval: 500ms
    mcast_membership_interval: 100s
    mcast_querier_interval: 90s
    mcast_query_interval: 60s
    mcast_query_response_interval: 0s
    mcast_startup_query_interval: 15s
    mcast_stats_enabled: on
    mcast_igmp_version: 3
    mcast_mld_version: 2
`).Config
	require.Len(t, c.Bridges, 1)
	b := c.Bridges[0]
	assert.Equal(t, "[192.0.2.1/24 2001:db8::1/64]", fmt.Sprint(b.Host.Addresses))
	assert.Equal(t, bridge.MAC{2, 0, 0, 0, 0, 0xaa}, b.Host.MAC)
	assert.Equal(t, 9000, b.Host.MTU)
	assert.Equal(t, bridge.Config{
		Name: "br0", Promisc: true, Ageing: bridge.Hub, MaxLearned: 1000, GroupFwdMask: 0x4008,
		GroupAddress: bridge.MAC{1, 0x80, 0xc2, 0, 0, 5}, NoLinkLocalLearn: true,
		STP: true, Priority: 4096, HelloTime: sim.Second, MaxAge: 6 * sim.Second, ForwardDelay: 2500 * sim.Millisecond,
		VLANFiltering: true, VLANProtocol: 0x88a8, DefaultPVID: bridge.NoPVID, VLANStats: true, VLANStatsPerPort: true,
		VLANs:      []bridge.VLAN{{VID: 10}, {VID: 20, End: 30}, {VID: 40, PVID: true, Untagged: true}, {VID: 50, Untagged: true}},
		NoSnooping: true,
		Multicast: snoop.Config{
			Router: snoop.RouterAlways, QueryUseIfaddr: true, Querier: true, HashMax: 512, LastMemberCount: snoop.None, StartupQueryCount: 3,
			LastMemberInterval: 500 * sim.Millisecond, MembershipInterval: 100 * sim.Second, QuerierInterval: 90 * sim.Second,
			QueryInterval: 60 * sim.Second, QueryResponseInterval: snoop.None, StartupQueryInterval: 15 * sim.Second,
			StatsEnabled: true, IGMPVersion: 3, MLDVersion: 2,
		},
	}, b.Config)
}

func TestEveryFlagOfAPortIsRead(t *testing.T) {
	c := load(t, head+`
nics:
  eth0: {port: {cost: 4}}
  eth1:
    link: 25G loss 1%
    queues: 4
    ring: 512
    itr: off
    drop_en: on
    offloads: [gro, csum]
    mtu: 1500
    mirror_in: eth0
    mirror_out: eth0
    port:
      learning: off
      flood: off
      mcast_flood: off
      bcast_flood: off
      hairpin: on
      isolated: on
      locked: on
      guard: on
      root_block: on
      fastleave: on
      mcast_to_unicast: on
      mcast_router: 3
      mcast_max_groups: 7
      neigh_suppress: on
      backup_port: eth0
      cost: 5
      priority: 6
      vlan: 7
`).Config
	require.Len(t, c.NICs, 2)
	_, loss, err := ringside.ParseLink("loss 1%")
	require.NoError(t, err)
	assert.Equal(t, ringside.NIC{
		Name: "eth1", LinkBPS: 25e9, Link: loss, Queues: 4, Ring: 512, ITR: ringside.NoITR, DropEn: true, Offloads: ringside.Offloads{GRO: true, TxCsum: true, RxCsum: true}, MTU: 1500, MirrorIn: "eth0", MirrorOut: "eth0",
		Port: bridge.PortConfig{
			NoLearning: true, NoFlood: true, NoMcastFlood: true, NoBcastFlood: true, Hairpin: true, Isolated: true, Locked: true,
			Guard: true, RootBlock: true, FastLeave: true, McastToUnicast: true, McastRouter: snoop.RouterTemp, McastMaxGroups: 7,
			NeighSuppress: true, BackupPort: "eth0", Cost: 5, Priority: 6, VLANs: []bridge.VLAN{{VID: 7}},
		},
	}, c.NICs[1])
}

func TestGuestsPatchesAndEntriesAreRead(t *testing.T) {
	l := load(t, head+`
cpus: 6
path: vhost
tap_queue: 500
bridges:
  br0:
    fdb:
      - {mac: 02:00:00:00:00:11, dev: tap0, state: static, sticky: on}
      - {mac: 02:00:00:00:00:12, dev: br0}
      - {mac: 02:00:00:00:00:13, dev: p0, state: dynamic}
    mdb:
      - {grp: 239.1.1.1, port: tap0, state: permanent}
      - {grp: 239.1.1.2, port: eth0, vid: 10, filter_mode: include, source_list: [10.0.0.1]}
      - {grp: 239.1.1.3, port: eth0, src: 10.0.0.1}
      - {grp: 01:02:03:04:05:06, port: eth0, state: permanent}
    neigh:
      - {addr: 192.0.2.7, lladdr: 02:00:00:00:00:07, vlan: 10, nud: reachable, router: on}
  br1:
nics:
  eth0:
vms:
  web: {program: echo, addr: 192.0.2.7, mac: 02:00:00:00:00:07, batch: 32, cpu: 5}
  db: {program: slow=20us, tap: dbtap, bridge: br1, known: [02:00:00:00:00:08]}
  log: {bridge: none, port: {state: blocking}}
patches:
  - a: {name: p0, bridge: br0, port: {cost: 10}}
    b: {name: p1, bridge: br1, mtu: 1500}
`)
	c := l.Config
	assert.Equal(t, "echo, slow=20us, sink", l.Guest)
	assert.Equal(t, 6, c.CPUs)
	assert.Equal(t, ringside.Vhost, c.Path)
	assert.Equal(t, 500, c.TapQueue)
	b := c.Bridges[0]
	assert.Equal(t, []ringside.FDBEntry{
		{Dev: "tap0", Entry: bridge.Entry{MAC: bridge.MAC{2, 0, 0, 0, 0, 0x11}, Kind: bridge.Static, Sticky: true}},
		{Dev: "br0", Entry: bridge.Entry{MAC: bridge.MAC{2, 0, 0, 0, 0, 0x12}, Kind: bridge.Permanent}},
		{Dev: "p0", Entry: bridge.Entry{MAC: bridge.MAC{2, 0, 0, 0, 0, 0x13}}},
	}, b.FDB)
	require.Len(t, b.MDB, 4)
	assert.True(t, b.MDB[0].Permanent)
	assert.Equal(t, "tap0", b.MDB[0].Dev)
	assert.Equal(t, "[10.0.0.1]", fmt.Sprint(b.MDB[1].Sources))
	assert.Equal(t, "10.0.0.1", b.MDB[2].Source.String())
	assert.Equal(t, uint16(10), b.MDB[1].VID)
	assert.True(t, b.MDB[1].Include)
	assert.Equal(t, snoop.MAC{1, 2, 3, 4, 5, 6}, b.MDB[3].Group.MAC)
	want := neigh.NewTable()
	want.AddDevice(neigh.VLAN(10))
	require.NoError(t, want.Set(neigh.VLAN(10), netip.MustParseAddr("192.0.2.7"), neigh.Neighbour{MAC: [6]byte{2, 0, 0, 0, 0, 7}, State: neigh.Reachable, Router: true}))
	assert.Equal(t, want, b.Neighbours)
	require.Len(t, c.VMs, 3)
	assert.Equal(t, []string{"web", "db", "log"}, []string{c.VMs[0].Name, c.VMs[1].Name, c.VMs[2].Name}, "in the order of the file")
	assert.Equal(t, []string{"tap0", "dbtap", "tap2"}, []string{c.VMs[0].Port.Name, c.VMs[1].Port.Name, c.VMs[2].Port.Name})
	assert.Equal(t, 5, *c.VMs[0].CPU)
	assert.Equal(t, 32, c.VMs[0].Batch)
	assert.Equal(t, []bridge.MAC{{2, 0, 0, 0, 0, 8}}, c.VMs[1].Known)
	assert.Equal(t, stp.Blocking, c.VMs[2].Port.State)
	require.Len(t, c.Patches, 1)
	assert.Equal(t, ringside.PatchEnd{Name: "p0", Bridge: "br0", Port: bridge.PortConfig{Cost: 10}}, c.Patches[0].A)
	assert.Equal(t, ringside.PatchEnd{Name: "p1", Bridge: "br1", MTU: 1500}, c.Patches[0].B)
}

func TestAFileThatSaysNothingIsTheDefaultMachine(t *testing.T) {
	l := load(t, head)
	assert.Equal(t, ringside.Config{}, l.Config)
	assert.Empty(t, l.Guest)
}

func TestWhatIsWrongIsToldWithItsPlace(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "lab.yaml:1:1: the file is empty: a lab begins with schema: ringside.lab/1"},
		{"# nothing\n", "lab.yaml:1:1: the file is empty"},
		{"- 1\n", "lab.yaml:1:1: a lab is a list of keys, beginning with schema: ringside.lab/1, but this is a list"},
		{"cpus: 1\n", "lab.yaml:1:1: schema: missing: a lab begins with schema: ringside.lab/1"},
		{"schema: ringside.lab/9\n", `lab.yaml:1:9: schema: "ringside.lab/9" is not one this program reads: it reads ringside.lab/1`},
		{head + "a\x00b", "lab.yaml:2:2: not text"},
		{head + "a: [", "lab.yaml:2:1: not YAML: did not find expected node content in what begins on this line"},
		{head + "a: *x", "lab.yaml:2:1: not YAML: unknown anchor 'x' referenced"},
		{head + "---\n", "lab.yaml:2:1: a second document: one file holds one lab"},
		{head + "brigdes:\n", `lab.yaml:2:1: unknown key "brigdes": did you mean "bridges"?`},
		{head + "xyzzy: 1\n", `lab.yaml:2:1: unknown key "xyzzy": the keys are schema, path, cpus, tap_queue, batching, topology, sched, paging, iommu, forward, routes, masquerade, bridges, nics, vms, patches, vteps`},
		{head + "cpus: 2\ncpus: 3\n", `lab.yaml:3:1: "cpus" is there twice, first on line 2: leave one out`},
		{head + "path: vhosts\n", `lab.yaml:2:7: path: there is no path "vhosts": the paths are native, virtio, vhost, dpdk, sriov, afxdp, xdp`},
		{head + "cpus: many\n", `lab.yaml:2:7: cpus: "many": give a whole number from 1 to 1024`},
		{head + "cpus: 0\n", `lab.yaml:2:7: cpus: "0": give a whole number from 1 to 1024`},
		{head + "cpus:\n", `lab.yaml:2:1: cpus: empty: fill it in, or leave "cpus" out`},
		{head + "cpus: [1]\n", `lab.yaml:2:7: cpus: must be one value, but this is a list`},
		{head + "bridges: br0\n", `lab.yaml:2:10: bridges: must be names of bridges, each with its options, but this is "br0"`},
		{head + "bridges: {br0: {vlan_filter: on}}\n", `lab.yaml:2:17: bridges.br0: unknown key "vlan_filter": did you mean "vlan_filtering"?`},
		{head + "bridges: {br0: {vlan_filtering: maybe}}\n", `lab.yaml:2:33: bridges.br0.vlan_filtering: "maybe" is neither on nor off`},
		{head + "bridges: {br0: {ageing_time: 300}}\n", `lab.yaml:2:30: bridges.br0.ageing_time: "300" is not a span with its unit, as 300s, 2.5s and 50us are`},
		{head + "bridges: {br0: {ageing_time: -1s}}\n", `lab.yaml:2:30: bridges.br0.ageing_time: "-1s": a span cannot be negative`},
		{head + "bridges: {br0: {hello_time: 11s}}\n", `lab.yaml:2:29: bridges.br0.hello_time: "11s": give a span from 1s to 10s`},
		{head + "bridges: {br0: {group_fwd_mask: 7}}\n", `bridges.br0.group_fwd_mask: 0x7: the bits 0, 1 and 2 cannot be set`},
		{head + "bridges: {br0: {vlan_protocol: 802.1}}\n", `bridges.br0.vlan_protocol: "802.1" is not one: did you mean`},
		{head + "bridges: {br0: {address: ff:ff:ff:ff:ff:ff}}\n", `bridges.br0.address: ff:ff:ff:ff:ff:ff is not the address of one station`},
		{head + "bridges: {br0: {address: xx}}\n", `bridges.br0.address: "xx" is not a MAC address like 02:00:00:00:00:01`},
		{head + "bridges: {br0: {addr: 192.0.2.1}}\n", `bridges.br0.addr: "192.0.2.1" is not an address with its prefix like 192.0.2.1/24`},
		{head + "bridges: {br0: {addr: 224.0.0.1/4}}\n", `bridges.br0.addr: 224.0.0.1/4 is not the address of a host`},
		{head + "bridges: {a-name-that-is-long: {}}\n", `bridges.a-name-that-is-long: "a-name-that-is-long" is longer than the 15 bytes`},
		{head + "bridges: {a/b: {}}\n", `bridges.a/b: "a/b" cannot be the name of an interface`},
		{head + "bridges: {none: {}}\n", `bridges.none: the name "none" stands for no bridge: choose another`},
		{head + "bridges: {br0: {}}\nnics: {br0: {}}\n", `lab.yaml:3:8: nics.br0: the name "br0" is taken on line 2: choose another`},
		{head + "nics: {eth0: {bridge: br7}}\n", `lab.yaml:2:23: nics.eth0.bridge: there is no bridge "br7": did you mean "br0"?`},
		{head + "nics: {eth0: {link: 5G}}\n", `nics.eth0.link: link "5G": the speeds are 1G, 10G, 25G, 40G and 100G`},
		{head + "nics: {eth0: {ring: 100}}\n", `nics.eth0.ring: 100: give a multiple of 8`},
		{head + "nics: {eth0: {itr: 1.5us}}\n", `nics.eth0.itr: 1.5us: give whole microseconds, or off`},
		{head + "nics: {eth0: {mirror_in: eth0}}\n", `nics.eth0.mirror_in: "eth0" is this interface itself: frames are mirrored to another`},
		{head + "nics: {eth0: {port: {lerning: off}}}\n", `lab.yaml:2:22: nics.eth0.port: unknown key "lerning": did you mean "learning"?`},
		{head + "nics: {eth0: {port: {state: up}}}\n", `nics.eth0.port.state: "up" is not one: give listening, learning, forwarding, blocking`},
		{head + "nics: {eth0: {port: {state: 0}}}\n", `nics.eth0.port.state: a port that is to be disabled has no carrier: write carrier: off`},
		{head + "nics: {eth0: {port: {state: disabled}}}\n", `a port that is to be disabled has no carrier`},
		{head + "nics: {eth0: {port: {state: 9}}}\n", `nics.eth0.port.state: "9" is not one: give listening`},
		{head + "bridges: {br0: {stp_state: on}}\nnics: {eth0: {port: {state: 4}}}\n", `lab.yaml:3:8: nics.eth0: port eth0: `},
		{head + "nics: {eth0: {port: {mab: on}}}\n", `lab.yaml:2:8: nics.eth0: port eth0: `},
		{head + "bridges: {br0: {vlan_filtering: on, fdb: [{mac: 02:00:00:00:00:01, dev: eth0, vlan: 7, state: static}]}}\n", `bridges.br0.fdb[0]: static entry 02:00:00:00:00:01 vlan 7: `},
		{head + "bridges: {br0: {mdb: [{grp: 239.1.1.1, port: br0, state: permanent}]}}\n", `bridges.br0.mdb[0]: add `},
		{head + "bridges: {br0: {group_address: 02:00:00:00:00:01}}\n", `bridges.br0: `},
		{head + "bridges: {br0: {mdb: [{grp: 239.1.1.1, port: eth0}, {grp: 239.1.1.1, port: eth0}]}}\n", `bridges.br0.mdb[1]: 239.1.1.1 is there twice, first on line 2`},
		{head + "bridges: {br0: {neigh: [{addr: 192.0.2.1, lladdr: 02:00:00:00:00:01}, {addr: 192.0.2.1, lladdr: 02:00:00:00:00:02}]}}\n", `bridges.br0.neigh[1]: 192.0.2.1 is there twice, first on line 2`},
		{head + "nics: {eth0: {port: {mcast_router: 4}}}\n", `nics.eth0.port.mcast_router: "4": give a whole number from 0 to 3`},
		{head + "nics: {eth0: {port: {backup_port: eth0}}}\n", `nics.eth0.port.backup_port: there is no other port of br0 "eth0": there is none`},
		{head + "nics: {eth0: {bridge: none, port: {backup_port: tap0}}}\nvms: {a: {bridge: none}}\n", `nics.eth0.port.backup_port: eth0 is on no bridge, where no port stands in for it`},
		{head + "nics: {eth0: {port: {vlan: 4095}}}\n", `nics.eth0.port.vlan: "4095" is not a VLAN from 1 to 4094, as 10, or a range of them, as "20-30"`},
		{head + "nics: {eth0: {port: {vlan: [\"30-20\"]}}}\n", `nics.eth0.port.vlan[0]: "30-20" is not a VLAN`},
		{head + "nics: {eth0: {port: {vlan: [10 pvd]}}}\n", `nics.eth0.port.vlan[0]: "pvd" behind a VLAN: the words are pvid and untagged`},
		{head + "nics: {eth0: {port: {vlan: [{vid: \"1-5\", pvid: on}]}}}\n", `nics.eth0.port.vlan[0]: a range cannot be a PVID`},
		{head + "nics: {eth0: {port: {vlan: [{pvid: on}]}}}\n", `nics.eth0.port.vlan[0]: which VLAN? Give its vid`},
		{head + "nics: {eth0: {port: {vlan: [{vid: 5, state: up}]}}}\n", `nics.eth0.port.vlan[0].state: "up" is not one: give listening, learning, forwarding, blocking`},
		{head + "bridges: {br0: {vlan: [{vid: 5, state: learning}]}}\n", `bridges.br0.vlan[0]: unknown key "state"`},
		{head + "bridges: {br0: {stp_state: on}}\nnics: {eth0: {port: {vlan: [{vid: 5, state: learning}]}}}\n", `nics.eth0: port eth0: vlan 5 on port 1: `},
		{head + "nics: {eth0: {port: {vlan: [5, \"1-9\"]}}}\n", `nics.eth0.port.vlan[1]: VLAN 1-9 is there twice: it is in 5`},
		{head + "nics: {eth0: {port: {vlan: [5 pvid, 6 pvid]}}}\n", `nics.eth0.port.vlan[1]: a second PVID: a port has one, and it is nics.eth0.port.vlan[0]`},
		{head + "nics: {eth0: &a {queues: 2}, eth1: *a}\n", `lab.yaml:2:30: nics: "eth1": an alias: write the value out`},
		{head + "vms: {a: {program: ehco}}\n", `vms.a.program: "ehco": the programs are sink, echo, reflect and slow=SPAN, as slow=20us`},
		{head + "vms: {a: {program: slow=fast}}\n", `vms.a.program: "slow=fast": fast is not a span like 20us`},
		{head + "vms: {a: {addr: 192.0.2.300}}\n", `vms.a.addr: "192.0.2.300" is not an IP address like 192.0.2.7 or 2001:db8::7`},
		{head + "vms: {a: {cpu: 9}}\n", `vms.a.cpu: there are CPUs 0 to 1; cpus: 10 makes more`},
		{head + "vms: {a: {tap: eth0}}\n", `lab.yaml:2:11: the name "eth0" is that of the NIC, which there is without nics: choose another`},
		{head + "vms: {a: {tap: br0}}\n", `lab.yaml:2:11: the name "br0" is that of the bridge, which there is without bridges: choose another`},
		{head + "vms: {a: {tap: tap1}, b: {}}\n", `vms.b: the name "tap1" is taken on line 2: choose another`},
		{head + "patches: [{a: {name: x, bridge: br0}}]\n", `lab.yaml:2:11: patches[0]: a patch has two ends, a and b`},
		{head + "patches: [{a: {name: x, bridge: br0}, b: {bridge: br0}}]\n", `patches[0].b: the end of a patch needs a name`},
		{head + "bridges: {br0: {fdb: [{mac: 02:00:00:00:00:01}]}}\n", `bridges.br0.fdb[0]: an entry needs its mac and its dev`},
		{head + "bridges: {br0: {fdb: [{mac: 02:00:00:00:00:01, dev: tap7}]}}\n", `bridges.br0.fdb[0].dev: there is no port of br0 "tap7": there are br0, eth0`},
		{head + "bridges: {br0: {fdb: [{mac: 02:00:00:00:00:01, dev: eth0}, {mac: 02:00:00:00:00:01, dev: br0}]}}\n", `bridges.br0.fdb[1]: 02:00:00:00:00:01 is there twice, first on line 2`},
		{head + "bridges: {br0: {fdb: [{mac: 02:00:00:00:00:01, dev: br0, state: dynamic}]}}\n", `bridges.br0.fdb[0]: `},
		{head + "bridges: {br0: {mdb: [{grp: 192.0.2.1, port: eth0}]}}\n", `bridges.br0.mdb[0].grp: 192.0.2.1 is not the address of a group`},
		{head + "bridges: {br0: {mdb: [{grp: 02:00:00:00:00:01, port: eth0}]}}\n", `is not the address of a group`},
		{head + "bridges: {br0: {neigh: [{addr: 192.0.2.1}]}}\n", `bridges.br0.neigh[0]: a neighbour needs its addr and its lladdr`},
	} {
		t.Run(strings.TrimPrefix(c.text, head), func(t *testing.T) {
			_, err := Load(strings.NewReader(c.text), "lab.yaml")
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.says)
			assert.NotContains(t, err.Error(), "\n", "one mistake, one line")
		})
	}
}

func TestAllMistakesAreToldInTheOrderOfTheFile(t *testing.T) {
	_, err := Load(strings.NewReader(head+"vms: {a: {batch: 0}}\nnics: {eth0: {queues: 99}}\nbridges: {br0: {x: 1}}\n"), "lab.yaml")
	require.Error(t, err)
	assert.Equal(t, []string{"2", "3", "4"}, lines(err))
	_, err = Load(strings.NewReader(head+"vms:\n"+strings.Repeat("  - 1\n", 1)+"nics:\n"+many(40)), "lab.yaml")
	require.Error(t, err)
	assert.Len(t, lines(err), form.MaxErrors+1)
	assert.Contains(t, err.Error(), "and 29 more from here on")
}

// What there are too many of is told where the first of them stands.
func TestTooManyBridgesAndNICsAreToldWithTheirPlace(t *testing.T) {
	for _, c := range []struct {
		key  string
		most int
		says string
	}{
		{"bridges", ringside.MaxBridges, "lab.yaml:1027:3: bridges.e1024: 1025 bridges; up to 1024 are possible"},
		{"nics", ringside.MaxNICs, "lab.yaml:67:3: nics.e64: 65 NICs; up to 64 are possible"},
	} {
		text := head + c.key + ":\n" + strings.ReplaceAll(many(c.most+1), "{queues: x}", "{}")
		_, err := Load(strings.NewReader(text), "lab.yaml")
		require.Error(t, err)
		assert.Contains(t, err.Error(), c.says)
		assert.Len(t, lines(err), 1)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  e%d: {queues: x}\n", i)
	}
	return b.String()
}

var place3 = regexp.MustCompile(`(?m)^lab\.yaml:([1-9]\d*):[1-9]\d*: `)

func lines(err error) (list []string) {
	for _, m := range place3.FindAllStringSubmatch(err.Error(), -1) {
		list = append(list, m[1])
	}
	return list
}

func TestATooLargeFileIsRefused(t *testing.T) {
	_, err := Load(strings.NewReader(head+strings.Repeat("#", form.MaxBytes)), "lab.yaml")
	assert.ErrorContains(t, err, "lab.yaml:1:1: larger than 1048576 bytes")
}

// What a reader accepts can be built; what it refuses it refuses with a place.
func FuzzConfig(f *testing.F) {
	f.Add(head)
	f.Add(head + "bridges: {br0: {vlan_filtering: on, vlan: [10, \"20-30\"], stp_state: on, fdb: [{mac: 02:00:00:00:00:01, dev: eth0}]}}\nnics: {eth0: {port: {vlan: 5 pvid untagged}}}\n")
	f.Add(head + "bridges: {br0: , br1: }\npatches: [{a: {name: x, bridge: br0}, b: {name: y, bridge: br1}}]\nvms: {a: {program: echo, addr: 192.0.2.1, bridge: br1, mirror_in: x}}\n")
	f.Add(head + "bridges: {br0: {mdb: [{grp: 239.1.1.1, port: eth0, state: permanent}], neigh: [{addr: 192.0.2.1, lladdr: 02:00:00:00:00:01}]}}\n")
	f.Add(head + "nics: {eth0: {port: {backup_port: tap0, locked: on, mab: on, state: learning}}, eth1: {bridge: none}}\nvms: {a: {port: {vlan: [{vid: \"2-4000\"}], default_pvid: off}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Load(strings.NewReader(text), "lab.yaml")
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !place3.MatchString(line) {
					t.Fatalf("no place: %q", line)
				}
			}
			return
		}
		h, err := ringside.New(l.Config)
		if err != nil {
			t.Fatalf("accepted and cannot be built: %v\n%s", err, text)
		}
		h.Close()
	})
}

// 0 is a value where the configuration's zero is a default.
func TestZeroIsRead(t *testing.T) {
	c := load(t, head+`
bridges:
  br0: {priority: 0, fdb_max_learned: 0}
nics:
  eth0: {port: {priority: 0}}
`).Config
	assert.Equal(t, bridge.ZeroPriority, c.Bridges[0].Priority)
	assert.Equal(t, bridge.Unlimited, c.Bridges[0].MaxLearned)
	assert.Equal(t, bridge.ZeroPriority, c.NICs[0].Port.Priority)
}
