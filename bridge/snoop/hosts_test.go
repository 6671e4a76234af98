package snoop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A listener is a host's state for the group, which it tells as RFC 3376 5.1 has
// it when it changes.
type listener struct {
	exclude bool
	list    set
}

func (h *listener) wants(a string) bool { return h.list[a] != h.exclude }

func (h *listener) change(to listener) (records []rec) {
	say := func(typ byte, s set) {
		if len(s) > 0 || typ == changeToInclude || typ == changeToExclude {
			records = append(records, rec{typ, g1, sorted(s)})
		}
	}
	switch {
	case !h.exclude && !to.exclude:
		say(allowNewSources, to.list.not(h.list))
		say(blockOldSources, h.list.not(to.list))
	case h.exclude && to.exclude:
		say(allowNewSources, h.list.not(to.list))
		say(blockOldSources, to.list.not(h.list))
	case to.exclude:
		say(changeToExclude, to.list)
	default:
		say(changeToInclude, to.list)
	}
	*h = to
	return records
}

func sorted(s set) (list []string) {
	for a := range s {
		list = append(list, a)
	}
	slices.Sort(list)
	return list
}

// Three hosts on a port change what they want. What one of them wants is always
// forwarded, and with fast leave the port is out as soon as the last is.
func TestEveryHostIsServed(t *testing.T) {
	universe := src4("ABCD")
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		fast := seed%2 == 0
		l := newLab(t, Config{Querier: true, IGMPVersion: 3})
		require.NoError(t, l.SetPort(2, PortConfig{FastLeave: fast}, 0))
		hosts := make([]listener, 3)
		var steps []string
		for range 25 {
			i := r.IntN(3)
			to := listener{exclude: r.IntN(3) == 0, list: set{}}
			for _, a := range universe {
				if r.IntN(3) == 0 {
					to.list[a] = true
				}
			}
			if r.IntN(3) == 0 {
				to = listener{} // leaves
			}
			records := hosts[i].change(to)
			steps = append(steps, fmt.Sprintf("host %d: %v", i, records))
			if len(records) > 0 {
				l.good(2, report3(byte(i+1), records...))
			}
			served(t, l, hosts, universe, fast, strings.Join(steps, "\n"))
		}
	}
}

func served(t *testing.T, l *lab, hosts []listener, universe []string, fast bool, steps string) {
	t.Helper()
	left := true
	for _, h := range hosts {
		left = left && !h.exclude && len(h.list) == 0
	}
	if left && fast {
		require.Equal(t, "none", portState(l, 2, g1), "after\n%s", steps)
	}
	for _, a := range append(universe, "203.0.113.1") {
		wanted := slices.ContainsFunc(hosts, func(h listener) bool { return h.wants(a) })
		if way := l.way(udp(a, g1)); wanted {
			require.Equal(t, "2", way, "%s after\n%s", a, steps)
		}
	}
	l.Queries()
}

// What a host said is forgotten when it says it no more.
func TestHostsTimeOut(t *testing.T) {
	l := newLab(t, Config{Querier: true, IGMPVersion: 3})
	require.NoError(t, l.SetPort(2, PortConfig{FastLeave: true}, 0))
	l.good(2, report3(1, rec{changeToExclude, g1, src4("A")}))
	l.at(100 * sec)
	l.good(2, report3(2, rec{changeToExclude, g1, nil}))
	require.Len(t, l.groups[key{proto: ip4, dst: makeAddr(ip(g1).AsSlice())}].ports[0].hosts, 2)
	l.at(261 * sec)
	require.Len(t, l.groups[key{proto: ip4, dst: makeAddr(ip(g1).AsSlice())}].ports[0].hosts, 1)
	l.good(2, report3(2, rec{changeToInclude, g1, nil}))
	require.Equal(t, "none", portState(l, 2, g1))
}

// Check finds what is broken.
func TestCheckFinds(t *testing.T) {
	pg := func(l *lab) *portGroup { return l.port(2).groups[0] }
	for _, tt := range []struct {
		what  string
		spoil func(l *lab)
	}{
		{"hash_max", func(l *lab) { l.most = 0 }},
		{"in order", func(l *lab) { l.order = l.order[1:] }},
		{"is not found", func(l *lab) { l.order[0].vid = 0; delete(l.groups, l.order[0].key); l.groups[key{}] = l.order[0] }},
		{"ports of group", func(l *lab) {
			g := pg(l).group
			other := &portGroup{group: g, port: l.port(3)}
			g.ports = []*portGroup{other, g.ports[0]}
			l.port(3).groups = append(l.port(3).groups, other)
		}},
		{"has lost a group", func(l *lab) { pg(l).gone = true }},
		{"sources in a group", func(l *lab) { l.port(2).groups[1].sources = pg(l).sources }},
		{"is not in its place", func(l *lab) { pg(l).sources[0].group = nil }},
		{"hosts want", func(l *lab) { pg(l).hosts[0].wants = append(pg(l).hosts[0].wants, nil) }},
		{"have an owner", func(l *lab) { l.arm(&timer{}, l.now) }},
		{"timer 0 is out of order", func(l *lab) { l.timers.list[0].pos = 7 }},
		{"router port", func(l *lab) { l.of[ip4].routers = append(l.of[ip4].routers, l.port(1)) }},
		{"does not have it", func(l *lab) { l.port(3).groups = append(l.port(3).groups, pg(l)) }},
		{"and counts", func(l *lab) { l.port(2).hosts = 5 }},
		{"is a router or not", func(l *lab) { l.port(2).of[ip4].listed = true }},
	} {
		t.Run(tt.what, func(t *testing.T) {
			l := newLab(t, Config{Querier: true, IGMPVersion: 3})
			require.NoError(t, l.SetPort(2, PortConfig{FastLeave: true}, 0))
			l.good(2, report3(1, rec{allowNewSources, g1, src4("A")}))
			tt.spoil(l)
			require.ErrorContains(t, l.Check(), tt.what)
		})
	}
}

func TestWhatIsNoConfiguration(t *testing.T) {
	for _, cfg := range []Config{{Router: RouterTemp}, {IGMPVersion: 1}, {IGMPVersion: 4}, {MLDVersion: 3}, {MLDVersion: None}} {
		_, err := New(cfg, Addrs{})
		require.ErrorIs(t, err, ErrConfig, "%+v", cfg)
	}
	l := newLab(t, Config{})
	require.ErrorIs(t, l.SetConfig(Config{MLDVersion: 9}, 0), ErrConfig)
	require.Equal(t, 1, l.Config().MLDVersion)
	require.ErrorIs(t, l.AddPort(Local, PortConfig{}, 0), ErrNoPort)
	require.ErrorIs(t, l.AddPort(maxPort+1, PortConfig{}, 0), ErrNoPort)
	require.ErrorIs(t, l.AddPort(2, PortConfig{}, 0), ErrExists)
	require.ErrorIs(t, l.AddPort(7, PortConfig{MaxGroups: -1}, 0), ErrConfig)
	require.ErrorIs(t, l.SetPort(7, PortConfig{}, 0), ErrNoPort)
	require.ErrorIs(t, l.SetPort(2, PortConfig{Router: 9}, 0), ErrConfig)
	require.ErrorIs(t, l.DeletePort(7, 0), ErrNoPort)
	require.ErrorIs(t, l.SetRouter(7, RouterAlways, 0), ErrNoPort)
	_, err := RouterNumber(4)
	require.ErrorIs(t, err, ErrConfig)
	require.Equal(t, Result{}, l.Receive(7, 0, join2(1, g1), 14, 0), "a port that is not there")
	require.Equal(t, Result{}, l.Receive(2, 0, join2(1, g1), 99, 0), "a network header that is not there")
	require.Equal(t, Stats{}, l.Stats(7))
}

// With count and times of zero a leave takes effect at once.
func TestNoneIsZero(t *testing.T) {
	l := newLab(t, Config{Querier: true, LastMemberCount: None, LastMemberInterval: None, StartupQueryCount: None})
	l.good(2, join2(2, g1))
	l.good(2, leave2(2, g1))
	l.Tick(0)
	require.Empty(t, l.mdb())
}

func TestSnoopingComesBack(t *testing.T) {
	l := newLab(t, Config{Querier: true, HashMax: 1})
	l.SetAddrs(Addrs{MAC: mac(0xb0)})
	require.NoError(t, l.SetRouter(3, RouterAlways, 0))
	l.good(2, join2(2, "239.0.0.1"))
	l.rx(2, join2(2, "239.0.0.2"))
	require.Equal(t, "flood", l.way(udp("192.0.2.9", "239.0.0.1")))
	l.SetSnooping(true, 0)
	l.Tick(0)
	require.Len(t, l.Queries(), 4)
	require.Equal(t, "2 3", l.way(udp("192.0.2.9", "239.0.0.1")))
}

// A query that the host itself sends makes it a router for a while.
func TestTheHostIsARouter(t *testing.T) {
	l := newLab(t, Config{Querier: true})
	l.good(Local, query2(1, 1, ""))
	l.at(1 * sec)
	require.Equal(t, "up", l.way(udp("192.0.2.9", g1)))
	l.at(255 * sec)
	require.Equal(t, "", l.way(udp("192.0.2.9", g1)))
}
