package snoop

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func ips(list []string) (all []netip.Addr) {
	for _, a := range list {
		all = append(all, ip(a))
	}
	return all
}

func grp(s string) Group { return Group{IP: ip(s)} }

var ptp = Group{MAC: MAC{0x01, 0x1b, 0x19, 0, 0, 0}}

// What bridge mdb add refuses, as bridge_mdb.sh has it.
func TestWhatCannotBeSet(t *testing.T) {
	g := grp(g1)
	for _, tt := range []struct {
		name string
		e    Static
		err  error
	}{
		{"a port that is not there", Static{Port: 9, Group: g}, ErrNoPort},
		{"an address of a host", Static{Port: 2, Group: grp("192.0.2.1")}, ErrGroup},
		{"224.0.0.0/24", Static{Port: 2, Group: grp("224.0.0.251")}, ErrGroup},
		{"ff02::1", Static{Port: 2, Group: grp("ff02::1")}, ErrGroup},
		{"an Ethernet address of a host", Static{Port: 2, Group: Group{MAC: mac(1)}, Permanent: true}, ErrGroup},
		{"an Ethernet group for a time", Static{Port: 2, Group: ptp}, ErrGroup},
		{"an Ethernet group with a source", Static{Port: 2, Group: ptp, Permanent: true, Source: ip("192.0.2.1")}, ErrGroup},
		{"VLAN 4095", Static{Port: 2, Group: g, VID: 4095}, ErrGroup},
		{"a group as source", Static{Port: 2, Group: g, Source: ip("224.0.0.9")}, ErrSource},
		{"a source of another family", Static{Port: 2, Group: g, Source: ip("2001:db8::1")}, ErrSource},
		{"the host for ever", Static{Group: g, Permanent: true}, ErrGroup},
		{"the host for a source", Static{Group: g, Source: ip("192.0.2.1")}, ErrGroup},
		{"the host with a list", Static{Group: g, Sources: ips(src4("A"))}, ErrSource},
		{"a source with a list", Static{Port: 2, Group: g, Source: ip("192.0.2.1"), Sources: ips(src4("A"))}, ErrSource},
		{"include of none", Static{Port: 2, Group: g, Include: true}, ErrSource},
		{"a group in a list", Static{Port: 2, Group: g, Sources: ips([]string{"224.0.0.9"})}, ErrSource},
		{"a list of 32", Static{Port: 2, Group: g, Sources: make([]netip.Addr, 32)}, ErrSource},
		{"nothing", Static{Port: 2}, ErrGroup},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{})
			err := l.Add(tt.e, 0)
			require.ErrorIs(t, err, tt.err)
			require.ErrorContains(t, err, "snoop: add ")
			require.Empty(t, l.Entries(0))
			require.NoError(t, l.Check())
		})
	}
	l := newLab(t, Config{})
	l.SetState(2, Disabled)
	require.ErrorIs(t, l.Add(Static{Port: 2, Group: g}, 0), ErrNoPort, "a disabled port, for a time")
	require.NoError(t, l.Add(Static{Port: 2, Group: g, Permanent: true}, 0), "a disabled port, for ever")
	require.ErrorIs(t, l.Add(Static{Port: 2, Group: g, Permanent: true}, 0), ErrExists)
	require.ErrorIs(t, l.Delete(3, g, netip.Addr{}, 0, 0), ErrNotFound)
	l.SetSnooping(false, 0)
	require.ErrorIs(t, l.Add(Static{Port: 2, Group: g}, 0), ErrDisabled)
	require.ErrorIs(t, l.Delete(2, g, netip.Addr{}, 0, 0), ErrDisabled)
}

func TestEntriesSetByHand(t *testing.T) {
	g := grp(g1)
	for _, tt := range []struct {
		name string
		add  []Static
		mdb  string
	}{
		{"for ever", []Static{{Port: 2, Group: g, Permanent: true}}, "2 239.1.1.1 permanent exclude"},
		{"for a time", []Static{{Port: 2, Group: g}}, "2 239.1.1.1 exclude 260.000s"},
		{"in a VLAN", []Static{{Port: 2, Group: g, VID: 10}}, "2 239.1.1.1 vid 10 exclude 260.000s"},
		{"the host", []Static{{Group: g}}, "0 239.1.1.1 260.000s"},
		{"for one source", []Static{{Port: 2, Group: g, Source: ip("192.0.2.1")}}, "2 239.1.1.1 src 192.0.2.1 include 260.000s"},
		{"an Ethernet group", []Static{{Port: 2, Group: ptp, Permanent: true}, {Group: ptp, Permanent: true}},
			"0 01:1b:19:00:00:00 permanent\n2 01:1b:19:00:00:00 permanent"},
		{"include of a list", []Static{{Port: 2, Group: g, Include: true, Sources: ips(src4("A"))}},
			"2 239.1.1.1 include 198.51.100.1/260\n2 239.1.1.1 src 198.51.100.1 include"},
		{"include of a list for ever", []Static{{Port: 2, Group: g, Permanent: true, Include: true, Sources: ips(src4("A"))}},
			"2 239.1.1.1 permanent include 198.51.100.1/0\n2 239.1.1.1 src 198.51.100.1 permanent include"},
		{"exclude of a list", []Static{{Port: 2, Group: g, Sources: ips(src4("A"))}},
			"2 239.1.1.1 exclude 198.51.100.1/0 260.000s\n2 239.1.1.1 src 198.51.100.1 blocked include"},
		{"a source is for ports that want all too", []Static{{Port: 3, Group: g}, {Port: 2, Group: g, Source: ip("192.0.2.1"), Permanent: true}},
			"3 239.1.1.1 exclude 260.000s\n2 239.1.1.1 src 192.0.2.1 permanent include\n3 239.1.1.1 src 192.0.2.1 added_by_star_ex include"},
		{"in its place", []Static{{Port: 2, Group: g, Sources: ips(src4("AB"))},
			{Port: 2, Group: g, Include: true, Sources: ips(src4("BC")), Replace: true}},
			"2 239.1.1.1 include 198.51.100.2/260 198.51.100.3/260\n" +
				"2 239.1.1.1 src 198.51.100.2 include\n2 239.1.1.1 src 198.51.100.3 include"},
		{"IPv6", []Static{{Port: 2, Group: grp("ff05::1"), Source: ip("2001:db8::1"), Permanent: true}},
			"2 ff05::1 src 2001:db8::1 permanent include"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{IGMPVersion: 3, MLDVersion: 2})
			for _, e := range tt.add {
				require.NoError(t, l.Add(e, 0))
				require.NoError(t, l.Check())
			}
			require.Equal(t, tt.mdb, l.mdb())
			for _, e := range l.Entries(0) {
				err := l.Delete(e.Port, e.Group, e.Source, e.VID, 0)
				require.True(t, err == nil || errors.Is(err, ErrNotFound), "%v", err)
				require.NoError(t, l.Check())
			}
			require.Empty(t, l.mdb())
			l.Tick(1)
			require.Empty(t, l.groups)
		})
	}
}

// Frames to groups set by hand, as bridge_mdb.sh sends them.
func TestFramesToWhatWasSet(t *testing.T) {
	g := grp(g1)
	event := append([]byte{0x01, 0x1b, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0x88, 0xf7}, make([]byte, 46)...)
	v3 := Config{Querier: true, IGMPVersion: 3}
	for _, tt := range []struct {
		name  string
		cfg   Config
		add   Static
		frame []byte
		way   string
	}{
		{"without a querier an entry is nothing", Config{}, Static{Port: 2, Group: g, Permanent: true}, udp("192.0.2.1", g1), "flood"},
		{"with one it is", Config{Querier: true}, Static{Port: 2, Group: g, Permanent: true}, udp("192.0.2.1", g1), "2"},
		{"an Ethernet group needs no querier", Config{}, Static{Port: 2, Group: ptp, Permanent: true}, event, "2"},
		{"an Ethernet group that the host joins", Config{}, Static{Group: ptp, Permanent: true}, event, "up"},
		{"the host", Config{Querier: true}, Static{Group: g}, udp("192.0.2.1", g1), "up"},
		{"a source in version 2 is not looked at", Config{Querier: true}, Static{Port: 2, Group: g, Source: ip("192.0.2.1")}, udp("192.0.2.1", g1), ""},
		{"a source", v3, Static{Port: 2, Group: g, Source: ip("192.0.2.1")}, udp("192.0.2.1", g1), "2"},
		{"another source", v3, Static{Port: 2, Group: g, Source: ip("192.0.2.1")}, udp("192.0.2.2", g1), ""},
		{"one of an include list", v3, Static{Port: 2, Group: g, Include: true, Sources: ips(src4("A"))}, udp("198.51.100.1", g1), "2"},
		{"one not of it", v3, Static{Port: 2, Group: g, Include: true, Sources: ips(src4("A"))}, udp("198.51.100.2", g1), ""},
		{"one of an exclude list", v3, Static{Port: 2, Group: g, Sources: ips(src4("A"))}, udp("198.51.100.1", g1), ""},
		{"one not of that", v3, Static{Port: 2, Group: g, Sources: ips(src4("A"))}, udp("198.51.100.2", g1), "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.cfg)
			require.NoError(t, l.Add(tt.add, 0))
			require.Equal(t, tt.way, l.way(tt.frame))
		})
	}
}

// bridge_mdb_max.sh: every port group counts, those of sources too, and one over
// the bound is refused.
func TestGroupsOfAPortAreBounded(t *testing.T) {
	l := newLab(t, Config{IGMPVersion: 3})
	require.NoError(t, l.SetPort(2, PortConfig{MaxGroups: 3}, 0))
	require.NoError(t, l.Add(Static{Port: 2, Group: grp("239.0.0.1"), Sources: ips(src4("A"))}, 0))
	require.Len(t, l.port(2).groups, 2)
	err := l.Add(Static{Port: 2, Group: grp("239.0.0.2"), Sources: ips(src4("A"))}, 0)
	require.ErrorIs(t, err, ErrFull)
	require.Len(t, l.port(2).groups, 2, "nothing of it is left")
	require.NoError(t, l.Check())
	require.NoError(t, l.Add(Static{Port: 2, Group: grp("239.0.0.2")}, 0))
	require.ErrorIs(t, l.Add(Static{Port: 2, Group: grp("239.0.0.3")}, 0), ErrFull)
	require.Equal(t, PortFull, l.rx(2, report3(2, rec{changeToExclude, "239.0.0.3", nil})).Drop)
	require.NoError(t, l.SetPort(2, PortConfig{MaxGroups: 1}, 0), "a bound below what is there takes nothing away")
	require.Len(t, l.port(2).groups, 3)
	require.NoError(t, l.SetPort(2, PortConfig{}, 0))
	require.NoError(t, l.Add(Static{Port: 2, Group: grp("239.0.0.3")}, 0))
}

// In Linux an Ethernet group is kept as one source of a group is: when a port goes
// and all that are left are permanent, the host goes too.
func TestAPortTakesTheHostWithIt(t *testing.T) {
	l := newLab(t, Config{})
	for _, p := range []Port{Local, 2, 3} {
		require.NoError(t, l.Add(Static{Port: p, Group: ptp, Permanent: true}, 0))
	}
	require.NoError(t, l.Delete(2, ptp, netip.Addr{}, 0, 0))
	require.Equal(t, "3 01:1b:19:00:00:00 permanent", l.mdb())
}

// bridge_mdb_port_down.sh: what is for ever stays when the port goes down.
func TestAPortGoesDown(t *testing.T) {
	l := newLab(t, Config{Querier: true})
	require.NoError(t, l.Add(Static{Port: 2, Group: grp("239.0.0.1"), Permanent: true}, 0))
	require.NoError(t, l.Add(Static{Port: 2, Group: grp("239.0.0.2")}, 0))
	l.good(2, join2(2, "239.0.0.3"))
	l.DisablePort(2, 0)
	require.NoError(t, l.Check())
	require.Equal(t, "2 239.0.0.1 permanent", l.mdb())
	require.NoError(t, l.Delete(2, grp("239.0.0.1"), netip.Addr{}, 0, 0))
	require.Empty(t, l.mdb())
}

// What is set for ever is not changed by reports.
func TestReportsDoNotTouchWhatStays(t *testing.T) {
	l := newLab(t, Config{Querier: true, IGMPVersion: 3})
	require.NoError(t, l.SetPort(2, PortConfig{FastLeave: true}, 0))
	require.NoError(t, l.Add(Static{Port: 2, Group: grp(g1), Permanent: true, Sources: ips(src4("A"))}, 0))
	before := l.mdb()
	l.good(2, report3(2, rec{allowNewSources, g1, src4("AB")}, rec{changeToInclude, g1, nil}))
	l.good(2, leave2(2, g1))
	l.at(1000 * sec)
	require.Equal(t, before, l.mdb())
}

func TestFlush(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Filter
		left string
	}{
		{"all", Filter{}, ""},
		{"a port", Filter{Port: 2}, "[0 3]"},
		{"the host", Filter{LocalOnly: true}, "[2 2 3]"},
		{"for ever", Filter{Permanent: true}, "[0 2 3]"},
		{"for a time", Filter{NotPermanent: true}, "[2]"},
		{"a VLAN", Filter{VID: 10}, "[0 2 2]"},
		{"a protocol", Filter{Protocol: 4}, "[0 2]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true})
			require.NoError(t, l.Add(Static{Port: 2, Group: grp("239.0.0.1"), Permanent: true}, 0))
			require.NoError(t, l.Add(Static{Port: 3, Group: grp("239.0.0.2"), VID: 10}, 0))
			require.NoError(t, l.Add(Static{Group: grp("239.0.0.3")}, 0))
			l.good(2, join2(2, "239.0.0.4"))
			l.Flush(tt.f, 0)
			require.NoError(t, l.Check())
			var left []Port
			for _, e := range l.Entries(0) {
				left = append(left, e.Port)
			}
			if tt.left == "" {
				require.Empty(t, left)
				return
			}
			require.ElementsMatch(t, portsOf(tt.left), left)
		})
	}
}

func portsOf(s string) (list []Port) {
	for _, c := range s {
		if c >= '0' && c <= '9' {
			list = append(list, Port(c-'0'))
		}
	}
	return list
}

// bridge_igmp.sh and bridge_mld.sh, v3inc_test to v3star_ex_auto_add_test: an
// include of three sources, each record after it, and the ports of a source.
func TestSelftestsOfVersion3(t *testing.T) {
	abc, cd := src4("ABC"), src4("CD")
	for _, tt := range []struct {
		name    string
		records []rec
		star    string
	}{
		{"inc", []rec{{allowNewSources, g1, abc}}, "include A/260 B/260 C/260"},
		{"inc_allow", []rec{{allowNewSources, g1, abc}, {allowNewSources, g1, src4("D")}}, "include A/260 B/260 C/260 D/260"},
		{"inc_is_include", []rec{{allowNewSources, g1, abc}, {modeIsInclude, g1, src4("D")}}, "include A/260 B/260 C/260 D/260"},
		{"inc_is_exclude", []rec{{allowNewSources, g1, abc}, {modeIsExclude, g1, cd}}, "exclude C/260 D/0"},
		{"inc_to_exclude", []rec{{allowNewSources, g1, abc}, {changeToExclude, g1, cd}}, "exclude C/2 D/0"},
		{"exc_allow", []rec{{allowNewSources, g1, abc}, {modeIsExclude, g1, cd}, {allowNewSources, g1, src4("DE")}}, "exclude C/260 D/260 E/260"},
		{"exc_is_include", []rec{{allowNewSources, g1, abc}, {modeIsExclude, g1, cd}, {modeIsInclude, g1, src4("DE")}}, "exclude C/260 D/260 E/260"},
		{"exc_is_exclude", []rec{{allowNewSources, g1, abc}, {modeIsExclude, g1, cd}, {modeIsExclude, g1, src4("DE")}}, "exclude D/0 E/260"},
		{"exc_to_exclude", []rec{{allowNewSources, g1, abc}, {modeIsExclude, g1, cd}, {changeToExclude, g1, src4("DE")}}, "exclude D/0 E/2"},
		{"inc_block", []rec{{allowNewSources, g1, abc}, {blockOldSources, g1, src4("A")}}, "include A/2 B/260 C/260"},
		{"exc_block", []rec{{allowNewSources, g1, abc}, {modeIsExclude, g1, cd}, {blockOldSources, g1, src4("CE")}}, "exclude C/2 D/0 E/2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true, IGMPVersion: 3})
			for _, r := range tt.records {
				l.good(2, report3(2, r))
			}
			require.Equal(t, tt.star, l.star())
		})
	}
	t.Run("exc_timeout", func(t *testing.T) {
		l := newLab(t, Config{Querier: true, IGMPVersion: 3})
		l.good(2, report3(2, rec{modeIsExclude, g1, src4("A")}, rec{allowNewSources, g1, src4("B")}))
		l.at(100 * sec)
		l.good(2, report3(2, rec{allowNewSources, g1, src4("C")}))
		l.at(260 * sec)
		require.Equal(t, "include C/100", l.star())
		require.Equal(t, "", l.way(udp("198.51.100.1", g1)), "A is an entry no more, and the mode is include")
	})
	t.Run("star_ex_auto_add", func(t *testing.T) {
		l := newLab(t, Config{Querier: true, IGMPVersion: 3})
		l.good(2, report3(2, rec{allowNewSources, g1, src4("A")}))
		l.good(3, report3(3, rec{changeToExclude, g1, nil}))
		require.Contains(t, l.mdb(), "3 239.1.1.1 src 198.51.100.1 added_by_star_ex include")
		l.good(3, report3(3, rec{changeToInclude, g1, nil}))
		l.at(2 * sec)
		require.NotContains(t, fmt.Sprint(l.mdb()), "3 239.1.1.1")
	})
}
