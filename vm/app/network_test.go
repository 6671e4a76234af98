package app_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/vm/app"
	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

func TestDHCPGivesAddressRouteAndNameServer(t *testing.T) {
	lab := guesttest.New(t, 1)
	server := lab.Machine(guest.Config{Name: "server", Log: log(t), Processes: procs{
		{Name: "dhcp", Main: program(t, "dhcp-server", "range", "10.0.0.100-10.0.0.101", "router", "10.0.0.1", "dns", "10.0.0.1", "lease", "10m")},
		{Name: "dns", Main: program(t, "dns", "hosts", "www.example=10.0.0.1")},
		{Name: "http", Main: program(t, "http")},
	}}, "10.0.0.1/24")
	client := lab.Machine(guest.Config{Name: "client", Log: log(t), Processes: procs{
		{Name: "dhcp", Main: program(t, "dhcp-client")},
		{Name: "get", Start: sim.Second, Main: program(t, "http-get", "url", "http://www.example/1k", "requests", "3")},
	}}, "")
	lab.Join(server.NIC(0), client.NIC(0), guesttest.Cable{})
	lab.Run()
	require.Equal(t, "10.0.0.100/24", client.Result("dhcp", "address").Text)
	require.Equal(t, "10.0.0.1", client.Result("dhcp", "server").Text)
	require.EqualValues(t, 600, value(t, client, "dhcp", "lease"))
	require.EqualValues(t, 0, value(t, client, "get", "failed"))
	require.EqualValues(t, 3<<10, value(t, client, "get", "bytes"))
	for name, want := range map[string]int64{"discovers": 1, "offers": 1, "requests": 1, "acks": 1, "naks": 0, "leases": 1, "bad": 0} {
		require.Equal(t, want, value(t, server, "dhcp", name), name)
	}
	require.Positive(t, value(t, server, "dns", "answered"))
}

func TestDHCPTriesAgainAndGivesUp(t *testing.T) {
	lab := guesttest.New(t, 1)
	server := lab.Machine(guest.Config{Name: "server", Processes: procs{{Name: "dhcp", Start: 20 * sim.Second, Main: program(t, "dhcp-server", "range", "10.0.0.100-10.0.0.100")}}}, "10.0.0.1/24")
	client := lab.Machine(guest.Config{Name: "client", Processes: run(t, "dhcp-client")}, "")
	lab.Join(server.NIC(0), client.NIC(0), guesttest.Cable{})
	lab.Run()
	require.Greater(t, time.Duration(value(t, client, "dhcp-client", "span")), 20*time.Second)

	lab = guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "client", Processes: run(t, "dhcp-client", "tries", "2")}, "")
	require.ErrorContains(t, lab.TryRun(sim.Never), "client: dhcp-client: dhcp: eth0: no server answered in 2 tries")
}

func TestDNSSaysWhatItHas(t *testing.T) {
	lookups := map[string]struct {
		addrs string
		says  string
	}{
		"both.example": {"[2001:db8::7 10.0.0.7]", ""},
		"BOTH.Example": {"[2001:db8::7 10.0.0.7]", ""},
		"four.example": {"[10.0.0.8]", ""},
		"none.example": {"[]", "no such host"},
		"10.1.2.3":     {"[10.1.2.3]", ""},
		"2001:db8::9":  {"[2001:db8::9]", ""},
		"":             {"[]", "no such host"},
		"a..b":         {"[]", "no such host"},
	}
	server := run(t, "dns", "hosts", "both.example=10.0.0.7,both.example=2001:db8::7,four.example=10.0.0.8")
	got := map[string]string{}
	failed := map[string]error{}
	lab := guesttest.New(t, 1)
	s := lab.Machine(guest.Config{Name: "server", Processes: server}, "10.0.0.1/24")
	m := lab.Machine(guest.Config{Name: "client", Resolver: netip.MustParseAddr("10.0.0.1"), Processes: procs{{Name: "p", Main: func(p *guest.Proc) error {
		for _, name := range []string{"both.example", "BOTH.Example", "four.example", "none.example", "10.1.2.3", "2001:db8::9", "", "a..b"} {
			addrs, err := p.LookupHost(name)
			got[name], failed[name] = fmt.Sprint(addrs), err
		}
		return nil
	}}}}, "10.0.0.2/24 2001:db8::2/64")
	lab.Join(s.NIC(0), m.NIC(0), guesttest.Cable{})
	lab.Run()
	for name, want := range lookups {
		require.Equal(t, want.addrs, got[name], "%q", name)
		if want.says != "" {
			require.ErrorContains(t, failed[name], want.says)
		}
	}
	require.EqualValues(t, 8, value(t, s, "dns", "queries"), "two of each name that is one")
	require.EqualValues(t, 2, value(t, s, "dns", "nxdomain"))
}

func TestLookupGivesUpWithoutAServer(t *testing.T) {
	lab := guesttest.New(t, 1)
	var err error
	m := lab.Machine(guest.Config{Name: "client", Resolver: netip.MustParseAddr("10.0.0.1"), Processes: procs{{Name: "p", Main: func(p *guest.Proc) error {
		_, err = p.LookupHost("www.example")
		return nil
	}}}}, "10.0.0.2/24")
	lab.Join(m.NIC(0), lab.Machine(guest.Config{Name: "deaf"}, "").NIC(0), guesttest.Cable{})
	lab.Run()
	require.Error(t, err)
}

// chain is client, middle, server: the middle has two NICs.
func chain(t testing.TB, middle guest.Config, addresses [2]string, server, client procs, clientAddrs, serverAddrs string, gateways [2]string) (c, m, s *guesttest.Machine) {
	t.Helper()
	gateway := func(text string) (a netip.Addr) {
		if text != "" {
			a = netip.MustParseAddr(text)
		}
		return a
	}
	lab := guesttest.New(t, 1)
	c = lab.Machine(guest.Config{Name: "client", Processes: client, Gateway: gateway(gateways[0]), Log: log(t)}, clientAddrs)
	middle.Name, middle.Log = "middle", log(t)
	m = lab.Machine(middle, addresses[0], addresses[1])
	s = lab.Machine(guest.Config{Name: "server", Processes: server, Gateway: gateway(gateways[1]), Log: log(t)}, serverAddrs)
	lab.Join(c.NIC(0), m.NIC(0), guesttest.Cable{})
	lab.Join(m.NIC(1), s.NIC(0), guesttest.Cable{})
	lab.Run()
	return c, m, s
}

func TestRouterRoutes(t *testing.T) {
	for name, row := range map[string]struct {
		middle         [2]string
		client, server string
		gateways       [2]string
		to             string
	}{
		"IPv4": {[2]string{"10.0.1.1/24", "10.0.2.1/24"}, "10.0.1.2/24", "10.0.2.2/24", [2]string{"10.0.1.1", "10.0.2.1"}, "10.0.2.2"},
		"IPv6": {[2]string{"2001:db8:1::1/64", "2001:db8:2::1/64"}, "2001:db8:1::2/64", "2001:db8:2::2/64", [2]string{"2001:db8:1::1", "2001:db8:2::1"}, "2001:db8:2::2"},
	} {
		t.Run(name, func(t *testing.T) {
			get := procs{
				{Name: "get", Main: app.HTTPGet(app.HTTPGetConfig{URL: "http://" + netip.AddrPortFrom(netip.MustParseAddr(row.to), 80).String() + "/100k", Requests: 2})},
				{Name: "ping", Main: program(t, "ping", "to", row.to, "count", "2")},
			}
			c, m, _ := chain(t, guest.Config{Forward: true, Processes: run(t, "router")}, row.middle, run(t, "http"), get, row.client, row.server, row.gateways)
			require.EqualValues(t, 0, value(t, c, "get", "failed"))
			require.EqualValues(t, 200<<10, value(t, c, "get", "bytes"))
			require.EqualValues(t, 2, value(t, c, "ping", "received"))
			require.Greater(t, value(t, m, "router", "forwarded"), int64(200<<10/1448))
		})
	}
}

func TestRouterNeedsAMachineThatForwards(t *testing.T) {
	lab := guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "m", Processes: run(t, "router")})
	require.ErrorContains(t, lab.TryRun(sim.Never), "does not forward")
	spec, _ := app.Lookup("router")
	require.True(t, spec.Forward)
}

func TestFirewallPassesWhatItsRulesSay(t *testing.T) {
	rules := "pass out tcp to 10.0.0.2 port 80; pass in tcp from 10.0.0.2 sport 80; pass icmp; drop out udp"
	get := procs{
		{Name: "web", Main: program(t, "http-get", "url", "http://10.0.0.2/64k")},
		{Name: "other", Main: program(t, "http-get", "url", "http://10.0.0.2:8080/64k", "timeout", "2s")},
		{Name: "ping", Main: program(t, "ping", "to", "10.0.0.2", "count", "2")},
		{Name: "ping6", Main: program(t, "ping", "to", "2001:db8::2", "count", "2")},
		{Name: "udp", Main: program(t, "udp-blast", "to", "10.0.0.2:9", "count", "10")},
	}
	web := procs{{Name: "web", Main: program(t, "http")}, {Name: "other", Main: program(t, "http", "port", "8080")}}
	c, m, s := chain(t, guest.Config{Processes: run(t, "firewall", "rules", rules)}, [2]string{}, web, get, "10.0.0.1/24 2001:db8::1/64", "10.0.0.2/24 2001:db8::2/64", [2]string{})
	require.EqualValues(t, 64<<10, value(t, c, "web", "bytes"))
	require.EqualValues(t, 1, value(t, c, "other", "failed"))
	require.EqualValues(t, 0, value(t, s, "other", "connections"))
	require.EqualValues(t, 2, value(t, c, "ping", "received"))
	require.EqualValues(t, 0, value(t, c, "ping6", "received"), "icmp is not icmp6")
	require.EqualValues(t, 10, value(t, m, "firewall", "rule-4"))
	require.EqualValues(t, 4, value(t, m, "firewall", "rule-3"), "two requests and two replies")
	passed := value(t, m, "firewall", "passed")
	require.Equal(t, int64(c.NIC(0).Sent+s.NIC(0).Sent), passed+value(t, m, "firewall", "dropped")+value(t, m, "firewall", "full"))
	require.EqualValues(t, m.NIC(0).Sent+m.NIC(1).Sent, passed, "and it says nothing by itself")
}

func TestEchoOverUDPAndTCP(t *testing.T) {
	lab := guesttest.New(t, 1)
	s := lab.Machine(guest.Config{Name: "server", Processes: run(t, "echo")}, "10.0.0.1/24")
	m := lab.Machine(guest.Config{Name: "client", Processes: procs{{Name: "p", Main: func(p *guest.Proc) error {
		for _, network := range []string{"udp", "tcp"} {
			c, err := p.Dial(network, "10.0.0.1:7")
			if err != nil {
				return err
			}
			c.Write([]byte("hello"))
			b := make([]byte, 10)
			n, err := c.Read(b)
			if err != nil || string(b[:n]) != "hello" {
				return fmt.Errorf("%q, %w", b[:n], err)
			}
			c.Close()
		}
		return nil
	}}}}, "10.0.0.2/24")
	lab.Join(s.NIC(0), m.NIC(0), guesttest.Cable{})
	lab.Run()
	require.EqualValues(t, 1, value(t, s, "echo", "connections"))
	require.EqualValues(t, 1, value(t, s, "echo", "datagrams"))
	require.EqualValues(t, 5, value(t, s, "echo", "bytes"))
}
