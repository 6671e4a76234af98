package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
)

const head = "schema: ringside.scenario/1\nduration: 1ms\n"

// two is two hosts with a cable, from line 3 on.
const two = head + "hosts: {a: {nics: {eth0: , eth1: }, vms: {web: }}, b: {vms: {web: }}}\ncables: [{name: trunk, a: a/eth0, b: b/eth0}]\n"

func load(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Load(strings.NewReader(text), "s.yaml")
	require.NoError(t, err)
	return s
}

func TestAScenarioIsRead(t *testing.T) {
	s := load(t, `schema: ringside.scenario/1
about: a story
seed: 0x10
duration: 2s
hosts:
  a: {nics: {eth0: {link: 25G}, eth1: }, vms: {web: {program: echo}}}
  b: {nics: {eth0: {link: 25G}}}
peers:
  client: {at: a/eth1, link: delay 10us loss 1%, mac: 02:00:00:00:99:01, mtu: 9000, addresses: [10.0.0.1/24, "2001:db8::1/64"], gateway: 10.0.0.254, resolver: 10.0.0.53, routes: {to: 10.1.0.0/16, via: 10.0.0.2}, forward: on, congestion: reno, tso: on, gro: on}
cables:
  - {name: trunk, a: a/eth0, b: b/eth0, metres: 100, link: loss 0.1%}
faults:
  - {at: 500ms, pull: trunk}
  - {at: 1s, plug: trunk}
expect:
  - a.vms.web.frames>=0
  - that: "50% < a.frames.in / (a.frames.in+1)"
    why: nothing came
`)
	assert.Equal(t, "a story", s.About)
	assert.Equal(t, uint64(16), s.Seed)
	assert.Equal(t, 2*sim.Second, s.Duration)
	require.Len(t, s.Lab.Hosts, 2)
	assert.Equal(t, []string{"a", "b"}, []string{s.Lab.Hosts[0].Name, s.Lab.Hosts[1].Name}, "in the order of the file")
	require.Len(t, s.Lab.Peers, 1)
	p := s.Lab.Peers[0]
	assert.Equal(t, "a/eth1", p.Host+"/"+p.NIC)
	assert.Equal(t, "delay 10us loss 1%", p.Link.String())
	assert.Equal(t, "[10.0.0.1/24 2001:db8::1/64] 10.0.0.254 10.0.0.53", fmt.Sprint(p.Addresses, p.Gateway, p.Resolver))
	assert.True(t, p.TSO && p.GRO && p.Forward && p.MTU == 9000 && len(p.Routes) == 1 && p.TCP.Congestion == "reno")
	require.Len(t, s.Lab.Cables, 1)
	assert.Equal(t, "loss 0.1%", s.Lab.Cables[0].Link.String())
	assert.Equal(t, 100, s.Lab.Cables[0].Metres)
	require.Len(t, s.Faults, 2)
	assert.Equal(t, "pull trunk", s.Faults[0].Says)
	assert.Equal(t, sim.Second, s.Faults[1].At)
	require.Len(t, s.Expect, 2)
	assert.Equal(t, "a.vms.web.frames >= 0", s.Expect[0].Text)
	assert.Equal(t, "50% < a.frames.in / (a.frames.in + 1)", s.Expect[1].Text)
	assert.Equal(t, "nothing came", s.Expect[1].Why)
}

func TestABadFileIsToldWithItsPlaces(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "s.yaml:1:1: the file is empty: a scenario begins with schema: ringside.scenario/1"},
		{"schema: ringside.lab/1\n", `s.yaml:1:9: schema: "ringside.lab/1" is not one this program reads: it reads ringside.scenario/1`},
		{head + "a: [", "s.yaml:3:1: not YAML"},
		{head + "host: {a: }\n", `s.yaml:3:1: unknown key "host": did you mean "hosts"?`},
		{"schema: ringside.scenario/1\nhosts: {a: }\n", "s.yaml:1:1: how long? Give a duration, as duration: 2s, or until: rest"},
		{head + "until: rest\n", "s.yaml:3:8: until: the end is there twice: give duration or until"},
		{"schema: ringside.scenario/1\nuntil: dawn\n", `s.yaml:2:8: until: "dawn" is not one: give rest`},
		{"schema: ringside.scenario/1\nduration: 2\n", `s.yaml:2:11: duration: "2" is not a span with its unit`},
		{head, "s.yaml:1:1: hosts: missing"},
		{head + "hosts: {a b: }\n", `s.yaml:3:9: hosts.a b: "a b" cannot be a name here`},
		{head + "hosts: {drops: }\n", `s.yaml:3:9: hosts.drops: the name "drops" has a meaning of its own in expectations`},
		{head + "hosts: {a: {bridges: {br0: {vlan_filter: on}}}}\n", `s.yaml:3:29: hosts.a.bridges.br0: unknown key "vlan_filter": did you mean "vlan_filtering"?`},
		{head + "hosts: {a: {nics: {eth0: {bridge: br7}}}}\n", `s.yaml:3:35: hosts.a.nics.eth0.bridge: there is no bridge "br7": did you mean "br0"?`},
		{two + "peers: {client: {}}\n", "s.yaml:5:9: peers.client: where is it plugged in? Give a host and one of its NICs, as {at: a/eth0}"},
		{two + "peers: {a: {at: a/eth1}}\n", `s.yaml:5:9: peers.a: the name "a" is taken on line 3: choose another`},
		{two + "peers: {client: {at: a}}\n", `s.yaml:5:22: peers.client.at: "a": give a host and one of its NICs, as a/eth0`},
		{two + "peers: {client: {at: c/eth1}}\n", `s.yaml:5:22: peers.client.at: there is no host "c": did you mean "a"?`},
		{two + "peers: {client: {at: a/eth7}}\n", `s.yaml:5:22: peers.client.at: host a has no NIC "eth7": did you mean "eth0"?`},
		{two + "peers: {client: {at: a/eth0}}\n", "s.yaml:5:22: peers.client.at: a/eth0 is plugged in already, on line 4: a NIC has one wire"},
		{two + "peers: {client: {at: a/eth1, link: 10G}}\n", `s.yaml:5:36: peers.client.link: "10G": the speed is that of the NIC`},
		{two + "peers: {client: {at: a/eth1, link: los 1%}}\n", `s.yaml:5:36: peers.client.link: `},
		{two + "peers: {client: {at: a/eth1, addresses: 10.0.0.1}}\n", `s.yaml:5:41: peers.client.addresses: "10.0.0.1" is not an address with its prefix`},
		{two + "peers: {client: {at: a/eth1, run: [nosuch]}}\n", `s.yaml:5:36: peers.client.run[0]: there is no program "nosuch": `},
		{head + "hosts: {a: , b: }\ncables: [{a: a/eth0}]\n", "s.yaml:4:10: cables[0]: a cable has two ends"},
		{head + "hosts: {a: {nics: {eth0: {link: 1G}}}, b: {nics: {eth0: {link: 10G}}}}\ncables: [{a: a/eth0, b: b/eth0}]\n", "s.yaml:1:1: cable0: a:eth0 has 1000000000 bit/s and b:eth0 has 10000000000"},
		{two + "faults: [{pull: trunk}]\n", "s.yaml:5:10: faults[0]: when? Give it a time, as {at: 500ms, pull: cable0}"},
		{two + "faults: [{at: 1us}]\n", "s.yaml:5:10: faults[0]: what happens? Give one of pull, plug, down, up, flush, migrate"},
		{two + "faults: [{at: 1us, pull: trunk, plug: trunk}]\n", "s.yaml:5:33: faults[0].plug: a second fault in one entry"},
		{two + "faults: [{at: 2ms, pull: trunk}]\n", "s.yaml:5:10: faults[0]: at 2ms the run is over: it ends at 1ms"},
		{two + "faults: [{at: 1us, pull: trunc}]\n", `s.yaml:5:26: faults[0].pull: there is no cable "trunc": did you mean "trunk"?`},
		{two + "faults: [{at: 1us, down: a/eth9}]\n", `s.yaml:5:26: faults[0].down: host a has no interface "eth9": did you mean "eth0"?`},
		{two + "faults: [{at: 1us, flush: a/br1}]\n", `s.yaml:5:27: faults[0].flush: host a has no bridge "br1": did you mean "br0"?`},
		{two + "faults: [{at: 1us, migrate: {vm: a/web}}]\n", "s.yaml:5:29: faults[0].migrate: give the guest and its twin"},
		{two + "faults: [{at: 1us, migrate: {vm: a/wob, to: b/web}}]\n", `s.yaml:5:34: faults[0].migrate.vm: host a has no guest "wob": did you mean "web"?`},
		{head + "hosts: {a: {vms: {web: {run: [http], mtu: 1279}}}}\n", "s.yaml:3:43: hosts.a.vms.web.mtu: 1279: a guest with a kernel of its own needs 1280 or more"},
		{two + "peers: {c: {at: b/eth0, mtu: 1279}}\n", `s.yaml:5:30: peers.c.mtu: "1279": give a whole number from 1280 to 9000`},
		{two + "expect: [a.vms.web.frams == 1]\n", `s.yaml:5:10: expect[0]: there is no "frams" in a.vms.web: did you mean "frames"?`},
		{two + "expect: [a.vms.wob.frames == 1]\n", `s.yaml:5:10: expect[0]: there is no "wob" in a.vms: did you mean "web"?`},
		{two + "expect: [c.vms.web.frames == 1]\n", `s.yaml:5:10: expect[0]: there is no "c": did you mean "a"?`},
		{two + "expect: [a.drops.full_ring == 1]\n", `s.yaml:5:10: expect[0]: there is no "full_ring" in a.drops: did you mean "FULL_RING"?`},
		{two + "expect:\n  - 0 < a.latency.p99 - 3\n", `s.yaml:6:23: expect[0]: a.latency.p99 is a span of time and 3 is a plain number`},
		{two + "expect:\n  - \"a.latency.p99 < 3\"\n", `s.yaml:6:20: expect[0]: a.latency.p99 is a span of time and 3 is a plain number: they cannot be compared`},
		{two + "expect: [a.drops]\n", "s.yaml:5:10: expect[0]: nothing to compare with"},
		{two + "expect: [{why: x}]\n", "s.yaml:5:10: expect[0]: what is expected?"},
	} {
		_, err := Load(strings.NewReader(c.text), "s.yaml")
		if assert.Error(t, err, c.text) {
			assert.Contains(t, err.Error(), c.says, c.text)
			checkPlaces(t, err)
		}
	}
}

var place = regexp.MustCompile(`^s\.yaml:[1-9]\d*:[1-9]\d*: `)

func checkPlaces(t *testing.T, err error) {
	t.Helper()
	for _, line := range strings.Split(err.Error(), "\n") {
		assert.Regexp(t, place, line)
	}
}

func TestAFileThatIsNotThereIsAnError(t *testing.T) {
	_, err := Open("none.yaml")
	assert.ErrorContains(t, err, "none.yaml")
}

// A lab can be pasted in: every lab of testdata is a host of a scenario.
func TestALabIsAHost(t *testing.T) {
	files, err := filepath.Glob("../../testdata/labs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		body := "    " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ")
		s := load(t, head+"hosts:\n  a:\n"+body+"\n")
		r, err := s.Run(Options{})
		require.NoError(t, err, file)
		assert.True(t, r.Met)
	}
}
