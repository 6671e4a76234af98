package scenario_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/internal/golden"
	"ringside/internal/report"
	"ringside/internal/scenario"
)

const dir = "../../testdata/scenarios"

// names are the stories of testdata.
func names(t *testing.T) (list []string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.yaml")
	require.NoError(t, err)
	for _, f := range files {
		list = append(list, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return list
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
	require.NoError(t, err)
	return string(b)
}

func run(t *testing.T, name, text string) (*scenario.Result, error) {
	t.Helper()
	s, err := scenario.Load(strings.NewReader(text), "testdata/scenarios/"+name+".yaml")
	require.NoError(t, err)
	return s.Run(scenario.Options{})
}

func TestEveryStoryComesTrue(t *testing.T) {
	list := names(t)
	require.GreaterOrEqual(t, len(list), 12)
	for _, name := range list {
		t.Run(name, func(t *testing.T) {
			r, err := run(t, name, text(t, name))
			require.NoError(t, err)
			for _, e := range r.Expectations {
				assert.True(t, e.Met, "line %d: %s: found %s", e.Line, e.Expect, e.Found)
			}
			assert.GreaterOrEqual(t, len(r.Expectations), 4)
			var page bytes.Buffer
			require.NoError(t, report.WriteRun(&page, r, report.Page{Columns: 80}))
			for _, line := range strings.Split(page.String(), "\n") {
				assert.LessOrEqual(t, len([]rune(line)), 80, line)
			}
			golden.Check(t, "scenarios/"+name+".txt", page.Bytes())
		})
	}
}

// broken are stories with one thing changed, and an expectation that then is not met.
var broken = []struct{ story, old, new, fails string }{
	{"broadcast-storm", "a: {nics: {", "a: {bridges: {br0: {stp_state: on}}, nics: {", "cables.trunk.to_b.in"},
	{"dhcp-dns", "web.lab=10.0.0.2", "web.lab=10.0.0.9", "a.vms.web.http.requests"},
	{"dhcp-dns", "lease: 10m", "lease: 20m", "a.vms.red.dhcp-client.lease"},
	{"http", "run: [http]", "run: [{http: {port: 8080}}]", "peers.client.http-get.failed"},
	{"http", "delay 50us", "delay 2ms", "http-get.p50"},
	{"interrupt-storm", "itr: off", "itr: 200us", "storm.bill.interrupts > 20"},
	{"ipv6", `url: "http://[2001:db8::2]/64k"`, `url: "http://[2001:db8::3]/64k"`, "http-get.failed"},
	{"migration", "start: 600ms", "start: 800ms", "peers.client.ping.received"},
	{"migration", "- {at: 500ms, migrate", "- {at: 1095ms, migrate", "sw.bridges.br0.fdb.moved"},
	{"multi-queue", "link: 10G, queues: 4", "link: 10G, queues: 1", "four.cpus.cpu0.load"},
	{"nat", "from: 10.0.0.0/24, out: out", "from: 10.9.0.0/24, out: out", "peers.world.http.requests"},
	{"nat", "forward: on", "forward: off", "a.vms.green.ping.received"},
	{"nfv-chain", "pass in tcp", "drop in tcp", "a.vms.server.http.requests"},
	{"nfv-chain", "inside: eth0", "pass: on\n              inside: eth0", "peers.client.ping.received"},
	{"offloads", "link: 10G, offloads: all", "link: 10G", "offload.frames.merged"},
	{"ping", "count: 10, interval: 100ms", "count: 10, interval: 100ms, size: 60k", "rtt-min"},
	{"ping", "a:\n    vms:", "a:\n    nics: {eth0: {port: {learning: off, flood: off}}}\n    vms:", "peers.client.ping.received"},
	{"reorder", "reorder 5% duplicate 2%", "reorder 5% loss 2%", "udp-sink.duplicates"},
	{"slow-guest", "tap_queue: 500\n    vms", "tap_queue: 5000\n    vms", "a.drops.FULL_RING > 500"},
	{"slow-guest", "slow=100us", "slow=1us", "a.latency.p99"},
	{"stp-heal", "at: 40500ms, pull: trunk", "at: 40500ms, pull: spare", "peers.client.ping.received"},
	{"tcp-loss", "loss 0.1%", "loss 1%", "peers.good.bulk-send.rate"},
	{"tcp-loss", "rx delay 5ms loss 1% tx", "rx delay 5ms loss 3% tx", "a.links.eth0.rx.lost"},
	{"udp-blast", "rate: 288mbit", "rate: 28mbit", "a.drops.FULL_RING"},
	{"vm-to-vm", "virtio: {off: [host_tso4, host_tso6]}", "virtio: {}", "small.bill.cycles"},
	{"vxlan", "id: 42, local: 198.51.100.2", "id: 43, local: 198.51.100.2", "b.vms.shop.ping.received"},
	{"vxlan", "remote: 198.51.100.1", "remote: 198.51.100.7", "b.vms.shop.ping.received"},
	{"vxlan-mtu", "10.0.0.1/24\n        mtu: 1500", "10.0.0.1/24\n        mtu: 1450", "a.drops.PKT_TOO_BIG"},
	{"vxlan-mtu", "10.0.0.2/24\n        mtu: 1450", "10.0.0.2/24\n        mtu: 1500", "a.vms.fits.from-plain.failed"},
	{"vxlan-mtu", "virtio: {off: [host_tso4, host_tso6]}", "virtio: {}", "a.vms.hole.from-plain.failed"},
}

// A story whose one value is changed does not come true: its expectations decide.
func TestABrokenStoryIsFound(t *testing.T) {
	told := map[string]bool{}
	for _, c := range broken {
		told[c.story] = true
		t.Run(c.story, func(t *testing.T) {
			whole := text(t, c.story)
			require.Equal(t, 1, strings.Count(whole, c.old), "%q is there once", c.old)
			r, err := run(t, c.story, strings.Replace(whole, c.old, c.new, 1))
			require.NoError(t, err)
			assert.False(t, r.Met)
			for _, e := range r.Expectations {
				if strings.Contains(e.Expect, c.fails) {
					assert.False(t, e.Met, "%s: found %s", e.Expect, e.Found)
					return
				}
			}
			t.Errorf("there is no expectation %q", c.fails)
		})
	}
	for _, name := range names(t) {
		assert.True(t, told[name], "nobody breaks %s", name)
	}
}

// What a program records is what the table of programs says, so that it can be
// expected.
func TestWhatProgramsRecordIsInTheTable(t *testing.T) {
	for _, name := range names(t) {
		s, err := scenario.Open(filepath.Join(dir, name+".yaml"))
		require.NoError(t, err)
		r, err := s.Run(scenario.Options{})
		require.NoError(t, err)
		assert.Empty(t, r.Untold(), name)
	}
}

func TestARunIsAFunctionOfItsSeed(t *testing.T) {
	for _, name := range []string{"reorder", "dhcp-dns"} {
		a, err := run(t, name, text(t, name))
		require.NoError(t, err)
		b, err := run(t, name, text(t, name))
		require.NoError(t, err)
		assert.Equal(t, a.Report.TraceHash, b.Report.TraceHash)
		c, err := run(t, name, "seed: 99\n"+text(t, name))
		require.NoError(t, err)
		assert.NotEqual(t, a.Report.TraceHash, c.Report.TraceHash)
	}
}
