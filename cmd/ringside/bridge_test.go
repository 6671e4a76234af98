package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/internal/golden"
	"ringside/internal/iproute"
)

func TestGoldenBridges(t *testing.T) {
	inTestdata(t)
	for _, c := range []struct{ name, args string }{
		{"bridge.fdb.mix.txt", "bridge fdb show mix.pcap"},
		{"bridge.fdb.trunk.txt", "bridge fdb show vlan.pcap --config labs/trunk.yaml -s"},
		{"bridge.fdb.trunk.json", "bridge fdb show vlan.pcap --config labs/trunk.yaml --dev eth0 --vlan 10 --json"},
		{"bridge.vlan.trunk.txt", "bridge vlan show vlan.pcap --config labs/trunk.yaml -d -s"},
		{"bridge.vlan.trunk.json", "bridge vlan show vlan.pcap --config labs/trunk.yaml -d --json"},
		{"bridge.mdb.igmp.txt", "bridge mdb show mix.pcap --config labs/igmp.yaml -d -s"},
		{"bridge.mdb.igmp.json", "bridge mdb show ipv6-nd.pcap --config labs/igmp.yaml -d --json"},
		{"bridge.link.stp.txt", "bridge link show arp.pcap --config labs/stp.yaml"},
		{"bridge.link.stp.json", "bridge link show arp.pcap --config labs/stp.yaml --br br1 -d --json"},
		{"bridge.monitor.stp.txt", "bridge monitor link arp.pcap --config labs/stp.yaml -t"},
		{"bridge.monitor.trunk.txt", "bridge monitor vlan.pcap --config labs/trunk.yaml -t"},
		{"bridge.monitor.igmp.json", "bridge monitor mdb mix.pcap --config labs/igmp.yaml --json"},
		{"explain.flood.txt", "explain --port eth0 --config labs/trunk.yaml --dst ff:ff:ff:ff:ff:ff --vlan 20"},
		{"explain.flood.60.txt", "explain --port eth0 --config labs/trunk.yaml --dst ff:ff:ff:ff:ff:ff --vlan 20 --width 60"},
		{"explain.filtered.txt", "explain --port blue --config labs/trunk.yaml --frame 5 vlan.pcap"},
		{"explain.after.txt", "explain --port blue --config labs/trunk.yaml --dst 02:00:00:00:00:22 --after vlan.pcap"},
		{"explain.after.json", "explain --port blue --config labs/trunk.yaml --dst 02:00:00:00:00:22 --after vlan.pcap --json"},
		{"explain.stp.txt", "explain --port q1 --config labs/stp.yaml --dst 02:00:00:00:00:22 --until 30s"},
		{"explain.group.txt", "explain --port other --config labs/igmp.yaml --frame 74 --after mix.pcap"},
		{"explain.isolated.txt", "explain --port blue --config labs/trunk.yaml --dst ff:ff:ff:ff:ff:ff"},
		{"explain.host.txt", "explain --port br0 --config labs/trunk.yaml --dst 02:00:00:00:00:33 --after vlan.pcap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := call(t, strings.Fields(c.args)...)
			require.Equal(t, exitOK, code, errs)
			golden.Check(t, c.name, []byte(out))
		})
	}
}

func TestWrongUsageOfBridgesIsToldWhatIsRight(t *testing.T) {
	inTestdata(t)
	for _, c := range []struct{ args, says string }{
		{"bridge fbd show mix.pcap", `bridge has no object fbd; did you mean "fdb"?`},
		{"bridge xyzzy", "bridge has no object xyzzy; the objects are fdb, flap, link, mdb, monitor, vlan"},
		{"bridge fdb", "bridge fdb show: name a capture to play, as in ringside bridge fdb show testdata/mix.pcap"},
		{"bridge fdb show none.pcap", "no such file"},
		{"bridge fdb show mix.pcap --vlan 4095", "--vlan 4095: give a VLAN from 1 to 4094, as in --vlan 10"},
		{"bridge vlan show mix.pcap --vid x", "--vid x: give a VLAN from 1 to 4094, as in --vid 10"},
		{"bridge fdb show mix.pcap --state old", "--state old: give permanent, static or dynamic"},
		{"bridge fdb show mix.pcap --dev tpa0", "--dev tpa0: there is no such interface; did you mean tap0?"},
		{"bridge fdb show mix.pcap --br bridge9", "--br bridge9: there is no such bridge; there are br0"},
		{"bridge link show mix.pcap --staet x", "there is no flag --staet"},
		{"bridge monitor", "bridge monitor: name a capture to play"},
		{"bridge monitor mix.pcap --dev tap9", "--dev tap9: there is no such interface; did you mean tap0?"},
		{"replay mix.pcap --config none.yaml", "none.yaml"},
		{"replay mix.pcap --nic eht0", "--nic eht0: there is no such NIC; did you mean eth0?"},
		{"replay mix.pcap --config labs/trunk.yaml --guest echo", "--guest echo: labs/trunk.yaml says what its guests run"},
		{"replay mix.pcap --config labs/trunk.yaml --vms 1", "--vms 1: labs/trunk.yaml has 3 guests"},
		{"replay mix.pcap --config labs/trunk.yaml --map 02:00:00:00:00:80=vm7", "there are vm0 to vm2"},
		{"explain", "explain: by which port? Name it, as in --port eth0"},
		{"explain --port eth0", "explain: which frame? Give it in hex, or words"},
		{"explain --port eth0 xyz", "explain: xyz is no frame in hex"},
		{"explain --port eth0 abc", "explain: abc is no frame in hex: two digits for each byte"},
		{"explain --port eht0 ffff", "--port eht0: there is no such port; did you mean eth0?"},
		{"explain --port elsewhere ffff", "there are br0, eth0, tap0, tap1, tap2, tap3"},
		{"explain --port eth0 --src 02:00:00:00:00:01", "explain: where does the frame go? Give --dst"},
		{"explain --port eth0 --dst 02", "--dst 02: give a MAC address, as in --dst 02:00:00:00:00:01"},
		{"explain --port eth0 --dst 02:00:00:00:00:01 --vlan 5000", "--vlan 5000: give a VLAN from 0 to 4095"},
		{"explain --port eth0 --dst 02:00:00:00:00:01 --vlan 5/8", "--vlan 5/8: give a VLAN from 0 to 4095 and, if not 0, a priority up to 7"},
		{"explain --port eth0 --dst 02:00:00:00:00:01 --type 5", "--type 5: give ip, arp, ipv6, lldp, test or a number from 0x600"},
		{"explain --port eth0 --dst 02:00:00:00:00:01 ffff", "the frame is given in hex and in words"},
		{"explain --port eth0 --frame 3", "--frame 3 of which capture? Name it"},
		{"explain --port eth0 --frame 3 --dst 02:00:00:00:00:01 ping.pcap", "leave --src, --dst, --vlan and --type out"},
		{"explain --port eth0 --frame 75 ping.pcap", "no such frame 75: the file has 74"},
		{"explain --port eth0 --frame 3 ping.pcap arp.pcap", "is of one capture, and 2 were named"},
		{"explain --port eth0 --frame 3 -", "cannot be standard input"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := call(t, strings.Fields(c.args)...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, out, "nothing on standard output")
			assert.True(t, strings.HasPrefix(errs, "ringside: "), errs)
			assert.Contains(t, errs, c.says)
		})
	}
}

func TestALabThatIsWrongIsRefusedWithItsPlaces(t *testing.T) {
	dir := t.TempDir()
	inTestdata(t)
	name := dir + "/wrong.yaml"
	require.NoError(t, os.WriteFile(name, []byte("schema: ringside.lab/1\nbridges: {br0: {vlan_filtring: on}}\nnics: {eth0: {bridge: br1}}\n"), 0o666))
	for _, args := range []string{"replay mix.pcap", "trace mix.pcap --frame 1", "bridge fdb show mix.pcap", "bridge monitor mix.pcap", "explain --port eth0 ffff"} {
		code, out, errs := call(t, strings.Fields(args+" --config "+name)...)
		assert.Equal(t, exitUsage, code)
		assert.Empty(t, out)
		assert.Contains(t, errs, name+`:2:17: bridges.br0: unknown key "vlan_filtring": did you mean "vlan_filtering"?`)
	}
}

// The JSON and the text are made of the same rows.
func TestJSONOfBridgesAgreesWithTheText(t *testing.T) {
	inTestdata(t)
	both := func(args string, into any) string {
		code, text, errs := call(t, strings.Fields(args)...)
		require.Equal(t, exitOK, code, errs)
		_, out, _ := call(t, strings.Fields(args+" --json")...)
		dec := json.NewDecoder(strings.NewReader(out))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(into), args)
		require.False(t, dec.More(), "one value")
		return text
	}
	var fdb []iproute.FDB
	text := both("bridge fdb show vlan.pcap --config labs/trunk.yaml -s", &fdb)
	assert.Equal(t, text, printed(fdb))
	var links []iproute.Link
	text = both("bridge link show arp.pcap --config labs/stp.yaml -d", &links)
	assert.Equal(t, text, printed(links))
	var vlans []iproute.VLANPort
	text = both("bridge vlan show vlan.pcap --config labs/trunk.yaml -d -s", &vlans)
	assert.Equal(t, text, "port              vlan-id  \n"+printed(vlans))
	var mdb []iproute.MDB
	text = both("bridge mdb show mix.pcap --config labs/igmp.yaml -s", &mdb)
	require.Len(t, mdb, 1)
	assert.Equal(t, text, printed(mdb[0].Entries))

	_, text, _ = call(t, strings.Fields("bridge monitor mix.pcap --config labs/igmp.yaml -t")...)
	_, out, _ := call(t, strings.Fields("bridge monitor mix.pcap --config labs/igmp.yaml --json")...)
	var again strings.Builder
	var last int64
	for _, line := range strings.Split(strings.TrimRight(out, "\n"), "\n") {
		var e iproute.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		fmt.Fprintln(&again, e.Text(true, true))
		assert.GreaterOrEqual(t, e.TimePs, last, "in order")
		last = e.TimePs
	}
	assert.Equal(t, text, again.String())
	assert.NotZero(t, last)
}

func printed[T fmt.Stringer](rows []T) string {
	var s strings.Builder
	for _, r := range rows {
		fmt.Fprintln(&s, r)
	}
	return s.String()
}

func TestExplanationsInJSONAgreeWithTheText(t *testing.T) {
	inTestdata(t)
	args := strings.Fields("explain --port eth0 --config labs/trunk.yaml --dst ff:ff:ff:ff:ff:ff --vlan 20/3")
	_, text, _ := call(t, args...)
	_, out, _ := call(t, append(args, "--json")...)
	var x explanationJSON
	require.NoError(t, json.Unmarshal([]byte(out), &x))
	assert.Equal(t, explanationSchema, x.Schema)
	assert.Equal(t, "flood", x.Action)
	for _, c := range x.Checks {
		assert.Contains(t, text, c.Step)
		assert.Contains(t, text, c.Says)
	}
	require.NotEmpty(t, x.Egress)
	for _, e := range x.Egress {
		assert.Contains(t, text, "\n  "+e.Port+" ")
		if e.Port == "blue" {
			assert.True(t, e.Strip)
			assert.Equal(t, x.Frame[:24]+x.Frame[32:], e.Frame, "without its tag")
		}
	}
}

// A capture that is shorter than a tree takes to converge passes it with --settle.
func TestACaptureWaitsForTheTree(t *testing.T) {
	inTestdata(t)
	lab := filepath.Join(t.TempDir(), "tree.yaml")
	require.NoError(t, os.WriteFile(lab, []byte("schema: ringside.lab/1\nbridges: {br0: {stp_state: on}}\n"), 0o600))
	for settle, passes := range map[string]bool{"1ms": false, "29s": false, "31s": true} {
		code, out, errs := call(t, "replay", "arp.pcap", "--limit", "1", "--config", lab, "--settle", settle, "--json")
		require.Equal(t, exitOK, code, errs)
		assert.Equal(t, passes, !strings.Contains(out, "BRIDGE_INGRESS_STP_STATE"), settle)
	}
	code, _, errs := call(t, "replay", "arp.pcap", "--settle", "soon")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "--settle soon: give a span")
	code, _, _ = call(t, "replay", "arp.pcap", "--settle", "2000h")
	assert.Equal(t, exitUsage, code)
}

// What dies by the MTU of its port in a replay is no frame forwarded to explain.
func TestExplainKnowsTheMTU(t *testing.T) {
	inTestdata(t)
	lab := filepath.Join(t.TempDir(), "mtu.yaml")
	require.NoError(t, os.WriteFile(lab, []byte("schema: ringside.lab/1\nvms: {a: {mtu: 100}, b: }\n"), 0o600))
	for n, dies := range map[int]bool{118: false, 119: true} {
		frame := "ffffffffffff02000000001188b5" + strings.Repeat("00", n-14)
		code, out, errs := call(t, "explain", "--port", "eth0", "--config", lab, frame)
		require.Equal(t, exitOK, code, errs)
		assert.Equal(t, dies, strings.Contains(out, "longer than its MTU 100: PKT_TOO_BIG"), out)
		_, out, _ = call(t, "explain", "--port", "eth0", "--config", lab, frame, "--json")
		assert.Equal(t, dies, strings.Contains(out, `"drop": "PKT_TOO_BIG"`), out)
	}
}

func TestPagesOfBridgesFitTheTerminal(t *testing.T) {
	inTestdata(t)
	for _, columns := range []int{60, 80, 100} {
		t.Setenv("COLUMNS", fmt.Sprint(columns))
		for _, args := range []string{
			"explain --port eth0 --config labs/trunk.yaml --dst ff:ff:ff:ff:ff:ff --vlan 20",
			"explain --port eth0 --frame 9 ipv6-nd.pcap --after ipv6-nd.pcap --config labs/igmp.yaml",
			"explain --port p0 --config labs/stp.yaml --dst 01:80:c2:00:00:00",
		} {
			code, out, errs := call(t, strings.Fields(args)...)
			require.Equal(t, exitOK, code, errs)
			fits(t, out, columns)
		}
	}
	for _, columns := range []string{"1", "20", "40"} { // narrower than any page is
		t.Setenv("COLUMNS", columns)
		code, out, errs := call(t, strings.Fields("explain --port eth0 --config labs/trunk.yaml --dst ff:ff:ff:ff:ff:ff --vlan 20")...)
		require.Equal(t, exitOK, code, errs)
		fits(t, out, 60)
	}
	for _, verb := range []string{"bridge", "bridge fdb", "bridge vlan", "bridge mdb", "bridge link", "bridge flap", "bridge monitor", "explain"} {
		code, out, _ := call(t, strings.Fields(verb+" --help")...)
		assert.Equal(t, exitOK, code)
		fits(t, out, 88)
		assert.Contains(t, out, "  ringside "+strings.Fields(verb)[0], "an example")
	}
}

// The bridge(8) that is installed prints a bridge of the running kernel with the
// fields that ours has.
func TestFieldsAreThoseOfTheInstalledBridge(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a network namespace wants root")
	}
	if _, err := exec.LookPath("bridge"); err != nil {
		t.Skip("iproute2 is not installed")
	}
	script := `ip link add br0 type bridge && ip tuntap add t0 mode tap && ip link set t0 master br0 && ip link set br0 up && ip link set t0 up || exit 7
bridge -j -d link show; echo; bridge -j -d -s fdb show brport t0; echo`
	out, err := exec.Command("unshare", "-n", "sh", "-c", script).Output()
	if err != nil {
		t.Skipf("no bridge can be made here: %v", err)
	}
	lines := strings.Fields(string(out)) // JSON without blanks
	require.Len(t, lines, 2)
	inTestdata(t)
	_, ours, _ := call(t, strings.Fields("bridge link show arp.pcap -d --json")...)
	missing(t, lines[0], ours)
	_, ours, _ = call(t, strings.Fields("bridge fdb show arp.pcap -d -s --dev br0 --json")...)
	missing(t, strings.ReplaceAll(lines[1], `"used":0,`, ""), ours) // the bridge does not note it
}

// missing looks for fields of the first object of theirs that ours has not.
func missing(t *testing.T, theirs, ours string) {
	t.Helper()
	var a, b []map[string]any
	require.NoError(t, json.Unmarshal([]byte(theirs), &a))
	require.NoError(t, json.Unmarshal([]byte(ours), &b))
	require.NotEmpty(t, a)
	require.NotEmpty(t, b)
	for field, v := range a[0] {
		if assert.Contains(t, b[0], field) {
			assert.IsType(t, v, b[0][field], field)
		}
	}
}

func TestLabsOfTestdataAreReplayed(t *testing.T) {
	inTestdata(t)
	for _, c := range []struct{ lab, capture string }{
		{"trunk", "vlan.pcap"}, {"stp", "arp.pcap"}, {"stp", "mix.pcap"}, {"igmp", "mix.pcap"}, {"igmp", "ipv6-nd.pcap"},
	} {
		t.Run(c.lab+" "+c.capture, func(t *testing.T) {
			args := []string{"replay", c.capture, "--config", "labs/" + c.lab + ".yaml", "--json"}
			code, out, errs := call(t, args...)
			require.Equal(t, exitOK, code, errs)
			var rep ringside.Report
			require.NoError(t, json.Unmarshal([]byte(out), &rep))
			assert.True(t, rep.Conservation.Balanced)
			assert.Empty(t, rep.Input.Mapping, "a lab's bridges learn: no guest is given an address")
			_, again, _ := call(t, args...)
			assert.Equal(t, out, again, "the same bytes")
			code, _, errs = call(t, "trace", c.capture, "--config", "labs/"+c.lab+".yaml", "--frame", "1")
			assert.Equal(t, exitOK, code, errs)
		})
	}
}

// In the lab with two cables one port blocks, and no broadcast goes round.
func TestTheLabWithTwoCablesHasNoLoop(t *testing.T) {
	inTestdata(t)
	_, out, _ := call(t, strings.Fields("bridge link show arp.pcap --config labs/stp.yaml --json")...)
	var links []iproute.Link
	require.NoError(t, json.Unmarshal([]byte(out), &links))
	states := map[string][]string{}
	for _, l := range links {
		states[l.State] = append(states[l.State], l.IfName)
	}
	assert.Equal(t, map[string][]string{"forwarding": {"eth0", "tap0", "p0", "q0", "tap1", "p1"}, "blocking": {"q1"}}, states)
}

func TestExplanationsSayWhatHappensToAFrame(t *testing.T) {
	inTestdata(t)
	const trunk, igmp = " --config labs/trunk.yaml", " --config labs/igmp.yaml"
	for _, c := range []struct{ args, says string }{
		{"--port blue --dst ff:ff:ff:ff:ff:ff --vlan 0/5" + trunk, "eth0             its tag replaced by a tag of VLAN 20, priority 5"},
		{"--port eth0 --dst ff:ff:ff:ff:ff:ff --vlan 20" + trunk, "blue             without its tag"},
		{"--port eth0 --dst 02:00:00:00:00:fe" + trunk, "UP, into the bridge's own interface, and nowhere else"},
		{"--port eth0 --dst 02:00:00:00:00:fe" + trunk, "br0              as it came, up to the host"},
		{"--port eth0 --dst 01:80:c2:00:00:0e --type lldp", "NOT FORWARDED: it is for eth0's own stack"},
		{"--port eth0 --dst 01:80:c2:00:00:01", "DROPPED: "},
		{"--port eth0 --src 01:00:00:00:00:01 --dst 02:00:00:00:00:12", "DROPPED: MAC_INVALID_SOURCE"},
		{"--port eth0 --dst 02:00:00:00:00:12 --vms 2 --map 02:00:00:00:00:12=vm1", "FORWARDED by one port"},
		{"--port eth0 --dst 02:00:00:00:00:12 --vms 2 --map 02:00:00:00:00:12=vm1", "* br_fdb_find_rcu          02:00:00:00:00:12 on tap1 static sticky"},
		{"--port tap0 --dst 02:00:00:00:00:12 --until 1s", "at 1 s of virtual time"},
		{"--port eth0 ff:ff:ff:ff:ff:ff 02-00-00-00-00-11 0806 00", "given in hex, 15 bytes"},
		{"--port eth0 --frame 3 --after ping.pcap", "frame 3 of ping.pcap"},
		{"--port other --frame 74 --after mix.pcap" + igmp, "br_mdb_entry_skb_get"},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := append([]string{"explain"}, strings.Fields(c.args)...)
			code, out, errs := call(t, args...)
			require.Equal(t, exitOK, code, errs)
			assert.Contains(t, out, c.says)
			_, again, _ := call(t, append(args, "--json")...)
			var x explanationJSON
			require.NoError(t, json.Unmarshal([]byte(again), &x))
			assert.NotEmpty(t, x.Checks)
			assert.NotNil(t, x.Egress)
		})
	}
}
