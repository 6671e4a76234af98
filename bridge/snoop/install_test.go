package snoop

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Frames from the sources A and C to the group, where sources are looked at.
func TestSourcesAreForwardedOrNot(t *testing.T) {
	a, b := src4("A"), src4("B")
	for _, tt := range []struct {
		name         string
		do           func(l *lab)
		fromA, fromC string
	}{
		{"include A", func(l *lab) { l.good(2, report3(2, rec{allowNewSources, g1, a})) }, "2", ""},
		{"exclude A", func(l *lab) { l.good(2, report3(2, rec{changeToExclude, g1, a})) }, "", "2"},
		{"exclude none", func(l *lab) { l.good(2, report3(2, rec{changeToExclude, g1, nil})) }, "2", "2"},
		{"include A here, exclude none there", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(3, report3(3, rec{changeToExclude, g1, nil}))
		}, "2 3", "3"},
		{"exclude none there, include A here", func(l *lab) {
			l.good(3, report3(3, rec{changeToExclude, g1, nil}))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
		}, "2 3", "3"},
		{"include A here, exclude A there", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(3, report3(3, rec{changeToExclude, g1, a}))
		}, "2", "3"},
		{"include A here, a report of version 2 there is not for A", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(3, join2(3, g1))
		}, "2", "3"},
		{"a report of version 2 there, include A here", func(l *lab) {
			l.good(3, join2(3, g1))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
		}, "2 3", "3"},
		{"include A here, the host wants all", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(Local, report3(9, rec{changeToExclude, g1, nil}))
		}, "up 2", "up"},
		{"the host wants all, include A here", func(l *lab) {
			l.good(Local, report3(9, rec{changeToExclude, g1, nil}))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
		}, "up 2", "up"},
		{"the host leaves what it wanted", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(Local, report3(9, rec{changeToExclude, g1, nil}))
			l.good(Local, report3(9, rec{changeToInclude, g1, nil}))
			l.at(l.now + 2*sec)
		}, "2", ""},
		{"exclude there ends: A is no more for it", func(l *lab) {
			l.good(3, report3(3, rec{changeToExclude, g1, nil}))
			l.at(l.now + 200*sec)
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.at(l.now + 60*sec)
		}, "2", ""},
		{"include ends: its entry goes, the other port has the group", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.at(l.now + 200*sec)
			l.good(3, report3(3, rec{changeToExclude, g1, nil}))
			l.at(l.now + 60*sec)
		}, "3", "3"},
		{"a source taken back goes after two seconds", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(2, report3(2, rec{blockOldSources, g1, a}))
			l.at(l.now + 2*sec)
		}, "", ""},
		{"with fast leave at once", func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{FastLeave: true}, l.now))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(2, report3(2, rec{blockOldSources, g1, a}))
		}, "", ""},
		{"with fast leave not while another host wants it", func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{FastLeave: true}, l.now))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(2, report3(4, rec{allowNewSources, g1, a}))
			l.good(2, report3(2, rec{blockOldSources, g1, a}))
		}, "2", ""},
		{"with fast leave the other host leaves too", func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{FastLeave: true}, l.now))
			l.good(2, report3(2, rec{allowNewSources, g1, a}))
			l.good(2, report3(4, rec{allowNewSources, g1, a}))
			l.good(2, report3(2, rec{blockOldSources, g1, a}))
			l.good(2, report3(4, rec{changeToInclude, g1, nil}))
		}, "", ""},
		{"a router's port has what it does not want", func(l *lab) {
			require.NoError(l.t, l.SetRouter(3, RouterAlways, l.now))
			l.good(3, report3(3, rec{changeToExclude, g1, a}))
		}, "3", "3"},
		{"a source that cannot be one", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, []string{"224.0.0.9", "0.1.2.3"}}))
		}, "", ""},
		{"records of one report", func(l *lab) {
			l.good(2, report3(2, rec{allowNewSources, g1, a}, rec{99, g1, b}, rec{allowNewSources, g1, src4("C")}))
		}, "2", "2"},
		{"to unicast, one entry of a source is for one host only", func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{ToUnicast: true}, l.now))
			l.good(2, report3(7, rec{allowNewSources, g1, a}))
			l.good(2, report3(8, rec{allowNewSources, g1, a}))
		}, "2/7", "2/7 2/8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true, IGMPVersion: 3})
			l.at(15 * sec)
			tt.do(l)
			require.NoError(t, l.Check())
			require.Equal(t, tt.fromA, l.way(udp("198.51.100.1", g1)), "from A")
			require.Equal(t, tt.fromC, l.way(udp("198.51.100.3", g1)), "from C")
		})
	}
}

func TestEntriesTellHowTheyCame(t *testing.T) {
	l := newLab(t, Config{Querier: true, IGMPVersion: 3})
	l.good(3, report3(3, rec{changeToExclude, g1, src4("B")}))
	l.good(2, report3(2, rec{allowNewSources, g1, src4("A")}))
	require.Equal(t, `2 239.1.1.1 include 198.51.100.1/260
3 239.1.1.1 exclude 198.51.100.2/0 260.000s
2 239.1.1.1 src 198.51.100.1 include
3 239.1.1.1 src 198.51.100.1 added_by_star_ex include
3 239.1.1.1 src 198.51.100.2 blocked include`, l.mdb())
}
