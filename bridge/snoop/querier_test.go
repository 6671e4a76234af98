package snoop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// heard is the queries by the port 2 as they come, with their times.
func (l *lab) heard(until sim.Time) string {
	var lines []string
	take := func() {
		for line := range strings.SplitSeq(l.asked(), "\n") {
			if what, ok := strings.CutPrefix(line, "2 "); ok {
				lines = append(lines, fmt.Sprintf("%v %s", l.now, what))
			}
		}
	}
	take()
	for l.Due() <= until {
		l.at(l.Due())
		take()
	}
	l.at(until)
	return strings.Join(lines, "\n")
}

func TestGeneralQueries(t *testing.T) {
	const all4 = "0.0.0.0>224.0.0.1 v2 0.0.0.0 10s"
	const all6 = "fe80::b0>ff02::1 v1 :: 10000ms"
	for _, tt := range []struct {
		name  string
		cfg   Config
		do    func(l *lab)
		until sim.Time
		heard string
	}{
		{"none without a querier", Config{}, func(l *lab) {}, 300 * sec, ""},
		{"two quickly and then one every 125 s", Config{Querier: true, StartupQueryCount: 2},
			func(l *lab) {}, 160 * sec, "31.250s " + all4 + "\n31.250s " + all6 + "\n156.250s " + all4 + "\n156.250s " + all6},
		{"times of one's own", Config{Querier: true, StartupQueryInterval: 2 * sec, QueryInterval: 3 * sec, StartupQueryCount: 3},
			func(l *lab) { l.SetAddrs(Addrs{MAC: mac(0xb0)}) }, 8 * sec, "2.000s " + all4 + "\n4.000s " + all4 + "\n7.000s " + all4},
		{"an interval is at least a second", Config{Querier: true, StartupQueryInterval: 1, QueryInterval: 1},
			func(l *lab) { l.SetAddrs(Addrs{MAC: mac(0xb0)}) }, 2 * sec, "1.000s " + all4 + "\n2.000s " + all4},
		{"made querier", Config{}, func(l *lab) {
			l.at(7 * sec)
			require.NoError(l.t, l.SetConfig(Config{Querier: true}, l.now))
		}, 8 * sec, "7.000s " + all4 + "\n7.000s " + all6},
		{"no link-local address, no MLD query", Config{Querier: true},
			func(l *lab) { l.SetAddrs(Addrs{MAC: mac(0xb0)}) }, 32 * sec, "31.250s " + all4},
		{"the interface's address", Config{Querier: true, QueryUseIfaddr: true, MLDVersion: 2, IGMPVersion: 3}, func(l *lab) {},
			32 * sec, "31.250s 192.0.2.254>224.0.0.1 v3 0.0.0.0 10s qrv 2 qqic 125\n" +
				"31.250s fe80::b0>ff02::1 v2 :: 10000ms qrv 2 qqic 125"},
		{"another querier silences", Config{Querier: true, MLDVersion: 2}, func(l *lab) {
			l.good(3, query2(1, 100, ""))
			l.good(3, mldQ(1, 1000, "::"))
		}, 250 * sec, ""},
		{"one with a higher address does not", Config{Querier: true, QueryUseIfaddr: true, StartupQueryCount: 2}, func(l *lab) {
			l.good(3, change6(query2(1, 100, ""), "192.0.2.255"))
		}, 32 * sec, "31.250s 192.0.2.254>224.0.0.1 v2 0.0.0.0 10s\n31.250s " + all6},
		{"when the other is gone it begins again", Config{Querier: true}, func(l *lab) {
			l.SetAddrs(Addrs{MAC: mac(0xb0)})
			l.good(3, query2(1, 100, ""))
		}, 290 * sec, "255.000s " + all4 + "\n286.250s " + all4},
		{"a port that is blocking is not asked", Config{Querier: true}, func(l *lab) { l.SetState(2, Blocking) }, 300 * sec, ""},
		{"a disabled port is not asked", Config{Querier: true}, func(l *lab) { l.DisablePort(2, 0) }, 300 * sec, ""},
		{"a bridge that is down asks nobody", Config{Querier: true}, func(l *lab) { l.Stop(0) }, 300 * sec, ""},
		{"without snooping there are no queries", Config{Querier: true}, func(l *lab) { l.SetSnooping(false, 0) }, 300 * sec, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.cfg)
			tt.do(l)
			require.Equal(t, tt.heard, l.heard(tt.until))
		})
	}
}

// change6 has an IGMP query come from another address.
func change6(frame []byte, src string) []byte {
	copy(frame[14+12:], ip(src).AsSlice())
	return head4(frame)
}

// The queries after a leave. The bridge's own general query follows it, as in
// Linux, where both share a timer.
func TestQueriesForWhatWasLeft(t *testing.T) {
	l0 := Addrs{MAC: mac(0xb0)}
	v3 := Config{Querier: true, IGMPVersion: 3}
	a, ab := src4("A"), src4("AB")
	const qrv = " qrv 2 qqic 125"
	for _, tt := range []struct {
		name  string
		cfg   Config
		do    func(l *lab)
		heard string // in the four seconds after
	}{
		{"IGMPv2: one, to all hosts", Config{Querier: true}, func(l *lab) {
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
		}, "40.000s 0.0.0.0>224.0.0.1 v2 239.1.1.1 1s\n42.000s 0.0.0.0>224.0.0.1 v2 0.0.0.0 10s"},
		{"of a group that nobody is in", Config{Querier: true}, func(l *lab) { l.good(2, leave2(2, g1)) }, ""},
		{"by a bridge that is not the querier", Config{}, func(l *lab) {
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
		}, ""},
		{"with fast leave", Config{Querier: true}, func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{FastLeave: true}, l.now))
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
		}, ""},
		{"IGMPv3: to the group, and again", v3, func(l *lab) {
			l.good(2, report3(2, rec{changeToExclude, g1, nil}))
			l.good(2, report3(2, rec{changeToInclude, g1, nil}))
		}, "40.000s 0.0.0.0>239.1.1.1 v3 239.1.1.1 1s" + qrv + "\n41.000s 0.0.0.0>239.1.1.1 v3 239.1.1.1 1s" + qrv + " suppress"},
		{"IGMPv3: sources, by retransmission only", v3, func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, ab}))
			l.good(2, report3(2, rec{blockOldSources, g1, ab}))
		}, "41.000s 0.0.0.0>239.1.1.1 v3 239.1.1.1 1s" + qrv + " 198.51.100.2 198.51.100.1"},
		{"IGMPv3: a source renewed meanwhile is asked for with the S flag", v3, func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, ab}))
			l.good(2, report3(2, rec{blockOldSources, g1, ab}))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(2, report3(2, rec{blockOldSources, g1, ab[1:]}))
		}, "40.000s 0.0.0.0>239.1.1.1 v3 239.1.1.1 1s" + qrv + " suppress 198.51.100.1\n" +
			"40.000s 0.0.0.0>239.1.1.1 v3 239.1.1.1 1s" + qrv + " suppress 198.51.100.2\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.cfg)
			l.SetAddrs(l0)
			l.at(40 * sec)
			l.Queries()
			tt.do(l)
			got := l.heard(44 * sec)
			if tt.heard == "" {
				require.Empty(t, got)
			}
			require.Contains(t, got, tt.heard)
		})
	}
}

func TestQueriesGoUpToTheHostToo(t *testing.T) {
	l := newLab(t, Config{Querier: true, StatsEnabled: true})
	l.SetAddrs(Addrs{MAC: mac(0xb0)})
	l.at(31250 * sim.Millisecond)
	require.Equal(t, `0 0.0.0.0>224.0.0.1 v2 0.0.0.0 10s
1 0.0.0.0>224.0.0.1 v2 0.0.0.0 10s
2 0.0.0.0>224.0.0.1 v2 0.0.0.0 10s
3 0.0.0.0>224.0.0.1 v2 0.0.0.0 10s`, l.asked())
	require.Empty(t, l.asked())
	require.Equal(t, Count{TX: 2}, l.Stats(1).IGMPv2Queries)
	require.Equal(t, Count{RX: 2}, l.Stats(Local).IGMPv2Queries)
}

func TestQuerierIsTheLowestAddress(t *testing.T) {
	l := newLab(t, Config{})
	require.Equal(t, QuerierState{}, l.Querier(false, 0))
	l.good(2, query2(5, 100, ""))
	require.Equal(t, QuerierState{host4(5), 2, 255 * sec}, l.Querier(false, 0))
	l.at(1 * sec)
	l.good(3, query2(7, 100, ""))
	require.Equal(t, QuerierState{host4(5), 2, 254 * sec}, l.Querier(false, l.now), "a higher one")
	l.good(3, query2(4, 100, ""))
	require.Equal(t, QuerierState{host4(4), 3, 255 * sec}, l.Querier(false, l.now), "a lower one")
	l.good(2, mldQ(6, 100, "::"))
	require.Equal(t, QuerierState{host6(6), 2, 255 * sec}, l.Querier(true, l.now))
	l.at(l.now + 255*sec)
	l.good(2, query2(9, 100, ""))
	require.Equal(t, host4(9), l.Querier(false, l.now).Addr, "when the lowest is gone any will do")
	require.NoError(t, l.SetConfig(Config{Querier: true}, l.now))
	l.at(l.now + 255*sec)
	require.Equal(t, QuerierState{Addr: ip("0.0.0.0")}, l.Querier(false, l.now), "itself")
}

func TestRouterPortsAreListed(t *testing.T) {
	l := newLab(t, Config{Querier: true})
	require.NoError(t, l.SetRouter(3, RouterAlways, 0))
	l.good(2, query2(5, 100, ""))
	l.at(55 * sec)
	l.good(2, mldQ(6, 100, "::"))
	require.Equal(t, []RouterPort{
		{Port: 2, Router: RouterAuto, IPv4: true, IPv6: true, Timer4: 200 * sec, Timer6: 255 * sec, Timer: 255 * sec},
		{Port: 3, Router: RouterAlways, IPv4: true, IPv6: true},
	}, l.Routers(l.now))
	require.NoError(t, l.SetConfig(Config{Router: RouterNever}, l.now))
	require.Empty(t, l.Routers(l.now))
	for n := range 4 {
		r, err := RouterNumber(n)
		require.NoError(t, err)
		require.Equal(t, n, r.Number())
	}
}

// The frames that a Linux 6.18 bridge with this address sends, byte for byte.
func TestQueriesAreThoseOfLinux(t *testing.T) {
	for _, tt := range []struct {
		cfg        Config
		ipv4, ipv6 string
	}{
		{
			Config{QueryUseIfaddr: true},
			"01005e0000010200000000b0080046c000200000400001024118c00002fee0000001940400001164ee9b00000000",
			"3333000000010200000000b086dd6000000000200001fe8000000000000000000000000000b0ff020000000000000000000000000001" +
				"3a00050200000000820058682710000000000000000000000000000000000000",
		},
		{
			Config{QueryUseIfaddr: true, IGMPVersion: 3, MLDVersion: 2},
			"01005e0000010200000000b0080046c000240000400001024114c00002fee0000001940400001164ec1e00000000027d0000",
			"3333000000010200000000b086dd6000000000240001fe8000000000000000000000000000b0ff020000000000000000000000000001" +
				"3a00050200000000820055e72710000000000000000000000000000000000000027d0000",
		},
	} {
		l := newLab(t, tt.cfg)
		tt.cfg.Querier = true
		require.NoError(t, l.SetConfig(tt.cfg, 0))
		l.Tick(0)
		var frames []string
		for _, q := range l.Queries() {
			if q.Port == 1 {
				frames = append(frames, fmt.Sprintf("%x", q.Frame))
			}
		}
		require.Equal(t, []string{tt.ipv4, tt.ipv6}, frames)
	}
}
