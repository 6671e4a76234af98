package scenario

import (
	"fmt"
	"strings"
	"testing"

	"ringside/sim"
)

// A grower writes scenarios of parts that mean something, as its bytes choose: most
// are nearly right.
type grower struct {
	choices []byte
	strings.Builder
}

func (g *grower) of(list ...string) string {
	if len(g.choices) == 0 {
		return list[0]
	}
	c := int(g.choices[0]) % len(list)
	g.choices = g.choices[1:]
	return list[c]
}

func (g *grower) some(list ...string) string {
	var parts []string
	for _, x := range list {
		if g.of("", "x") != "" {
			parts = append(parts, x)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (g *grower) guest(addr string) string {
	return fmt.Sprintf("{addresses: %s, mtu: %s, virtio: {queues: %s, size: %s, off: %s}, run: %s}", addr,
		g.of("1500", "9000", "1280"), g.of("1", "2"), g.of("256", "8", "1024"), g.some("csum", "guest_csum", "host_tso4", "mrg_rxbuf", "ring_event_idx", "mq"),
		g.some("http", "echo", "udp-sink", "bulk-recv", "{ping: {to: 10.0.0.9, count: 2, interval: 1us}, as: p}", "{dns: {hosts: a=10.0.0.1}}", "{http-get: {url: 'http://10.0.0.1/'}, start: 1us}"))
}

func (g *grower) host() string {
	return fmt.Sprintf("{nics: {eth0: {link: %s, queues: %s, offloads: %s}, eth1: {bridge: %s}}, bridges: {br0: {stp_state: %s}, br1: }, vms: {v: %s, w: {program: %s}}}",
		g.of("10G", "1G"), g.of("1", "4"), g.of("all", "none", "gro"), g.of("br0", "br1", "none"), g.of("off", "on"), g.guest(g.of("10.0.0.1/24", "'2001:db8::1/64'")), g.of("sink", "echo", "slow=1us"))
}

func (g *grower) scenario() string {
	fmt.Fprintf(g, "%shosts: {a: %s, b: %s}\n", head, g.host(), g.host())
	fmt.Fprintf(g, "peers: {p: {at: %s, link: %s, tso: %s, addresses: 10.0.0.9/24, run: %s}}\n", g.of("a/eth1", "b/eth1", "a/eth0"),
		g.of("loss 1%", "delay 1us reorder 50%", "duplicate 10%"), g.of("on", "off"), g.some("{ping: {to: 10.0.0.1, count: 3, interval: 10us}}", "{udp-blast: {to: '10.0.0.1:5001', count: 20}}", "{bulk-send: {to: '10.0.0.1:5001'}}"))
	fmt.Fprintf(g, "cables: [{name: t, a: a/eth0, b: %s, link: %s}]\n", g.of("b/eth0", "b/eth0", "a/eth1"), g.of("loss 1%", "duplicate 1%"))
	fmt.Fprintf(g, "faults: %s\n", g.some("{at: 10us, pull: t}", "{at: 20us, plug: t}", "{at: 30us, down: a/eth0}", "{at: 40us, migrate: {vm: a/v, to: b/v}}", "{at: 50us, flush: b/br0}"))
	fmt.Fprintf(g, "expect: %s\n", g.some("drops == 0", "a.vms.v.frames / b.vms.v.frames > 1", "a.latency.p99 < 5us", "cables.t.to_a.in >= 0", "peers.p.ping.received == 1"))
	return g.String()
}

// FuzzGrown is FuzzScenario with files that are nearly right, run for a moment: what
// is accepted runs with nothing lost, and twice the same.
func FuzzGrown(f *testing.F) {
	for i := range 20 {
		seed := make([]byte, 80)
		for j := range seed {
			seed[j] = byte(i*31 + j*j*7 + j*i)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		text := (&grower{choices: choices}).scenario()
		s, err := Load(strings.NewReader(text), "s.yaml")
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !place.MatchString(line) || strings.Contains(line, "not YAML") {
					t.Fatalf("%q of\n%s", line, text)
				}
			}
			return
		}
		var hash string
		for range 2 {
			r, err := s.Run(Options{Until: 200 * sim.Microsecond})
			if err != nil {
				if strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "unreachable") {
					return // a program that fails
				}
				t.Fatalf("%v\n%s", err, text)
			}
			if hash != "" && r.Report.TraceHash != hash {
				t.Fatalf("two runs differ\n%s", text)
			}
			hash = r.Report.TraceHash
			s, _ = Load(strings.NewReader(text), "s.yaml")
		}
	})
}
