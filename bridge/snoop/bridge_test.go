package snoop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// A lab is a bridge with three ports, up and forwarding, and what is seen of it.
type lab struct {
	*Snooper
	t   *testing.T
	now sim.Time
}

func newLab(t *testing.T, cfg Config) *lab {
	t.Helper()
	s, err := New(cfg, Addrs{MAC: mac(0xb0), IPv4: ip("192.0.2.254"), LinkLocal: ip("fe80::b0")})
	require.NoError(t, err)
	l := &lab{Snooper: s, t: t}
	l.Open(0)
	for p := Port(1); p <= 3; p++ {
		l.addPort(p, PortConfig{})
	}
	l.Snooper.Tick(0)
	l.Queries()
	return l
}

func (l *lab) addPort(p Port, cfg PortConfig) {
	l.t.Helper()
	require.NoError(l.t, l.AddPort(p, cfg, l.now))
	l.SetState(p, Forwarding)
	l.EnablePort(p, l.now)
}

// rx is a frame that comes in.
func (l *lab) rx(p Port, frame []byte) Result { return l.rxVLAN(p, 0, frame) }

func (l *lab) rxVLAN(p Port, vid uint16, frame []byte) Result {
	l.t.Helper()
	r := l.Receive(p, vid, frame, 14, l.now)
	require.NoError(l.t, l.Check())
	return r
}

// good is a frame that comes in and is not dropped.
func (l *lab) good(p Port, frame []byte) Result {
	l.t.Helper()
	r := l.rx(p, frame)
	require.Zero(l.t, r.Drop, "%v", r.Drop)
	return r
}

// at moves the time on, and ticks as often as is due.
func (l *lab) at(now sim.Time) {
	l.t.Helper()
	for l.Due() <= now {
		l.now = max(l.now, l.Due())
		l.Tick(l.now)
		require.NoError(l.t, l.Check())
	}
	l.now = now
	l.Tick(now)
}

// way is where a frame from the port 1 goes: "flood", or ports, with "up" if the
// host takes it and "/n" if a port has it for the host n only.
func (l *lab) way(frame []byte) string {
	l.t.Helper()
	return l.wayVLAN(0, frame)
}

func (l *lab) wayVLAN(vid uint16, frame []byte) string {
	l.t.Helper()
	r := l.rxVLAN(1, vid, frame)
	if r.Drop != 0 {
		return r.Drop.String()
	}
	m := l.Lookup(r, vid, frame, 14, l.now)
	if m.Flood {
		require.True(l.t, m.Up)
		return "flood"
	}
	var to []string
	if m.Up {
		to = append(to, "up")
	}
	for _, e := range m.Ports {
		s := fmt.Sprint(e.Port)
		if e.Unicast {
			s += fmt.Sprintf("/%d", e.To[5])
		}
		to = append(to, s)
	}
	return strings.Join(to, " ")
}

// mdb is the database in words.
func (l *lab) mdb() string {
	var lines []string
	for _, e := range l.Entries(l.now) {
		line := fmt.Sprintf("%d %v", e.Port, e.Group)
		if e.Source.IsValid() {
			line += " src " + e.Source.String()
		}
		if e.VID != 0 {
			line += fmt.Sprintf(" vid %d", e.VID)
		}
		for _, f := range []struct {
			on   bool
			name string
		}{{e.Permanent, "permanent"}, {e.StarExcl, "added_by_star_ex"}, {e.Blocked, "blocked"}, {e.FastLeave, "fast_leave"}} {
			if f.on {
				line += " " + f.name
			}
		}
		if e.Filtered {
			line += map[bool]string{true: " include", false: " exclude"}[e.Include]
			for _, src := range e.Sources {
				line += fmt.Sprintf(" %v/%d", src.Addr, src.Timer/sec)
			}
		}
		if e.Timer != 0 {
			line += fmt.Sprintf(" %v", e.Timer)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// asked is the queries sent since the last call, in words.
func (l *lab) asked() string {
	var lines []string
	for _, q := range l.Queries() {
		lines = append(lines, fmt.Sprintf("%d %s", q.Port, describe(l.t, q.Frame)))
	}
	return strings.Join(lines, "\n")
}

const g1 = "239.1.1.1"

func TestVersion2(t *testing.T) {
	querier := Config{Querier: true}
	for _, tt := range []struct {
		name string
		cfg  Config
		do   func(l *lab)
		way  string // of a frame to the group
	}{
		{"without a querier all is flooded", Config{}, func(l *lab) { l.good(2, join2(2, g1)) }, "flood"},
		{"a querier and no member: routers only, of which there are none", querier, func(l *lab) {}, ""},
		{"a member", querier, func(l *lab) { l.good(2, join2(2, g1)) }, "2"},
		{"a member of version 1", querier, func(l *lab) { l.good(2, join1(2, g1)) }, "2"},
		{"two members", querier, func(l *lab) { l.good(3, join2(3, g1)); l.good(2, join2(2, g1)) }, "2 3"},
		{"a port is in once", querier, func(l *lab) { l.good(2, join2(2, g1)); l.good(2, join2(4, g1)) }, "2"},
		{"a member by a report of version 3", querier, func(l *lab) {
			l.good(2, report3(2, rec{changeToExclude, g1, nil}))
		}, "2"},
		{"version 2 takes every record with sources for a join", querier, func(l *lab) {
			l.good(2, report3(2, rec{blockOldSources, g1, []string{"192.0.2.9"}}))
		}, "2"},
		{"a record of an unknown type is nothing", querier, func(l *lab) { l.good(2, report3(2, rec{9, g1, nil})) }, ""},
		{"the host is a member", querier, func(l *lab) { l.good(Local, join2(2, g1)) }, "up"},
		{"a membership ends", querier, func(l *lab) { l.good(2, join2(2, g1)); l.at(260 * sec) }, ""},
		{"and not before", querier, func(l *lab) { l.good(2, join2(2, g1)); l.at(260*sec - 1) }, "2"},
		{"the host's membership ends", querier, func(l *lab) { l.good(Local, join2(2, g1)); l.at(260 * sec) }, ""},
		{"a report renews it", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.at(200 * sec)
			l.good(2, join2(2, g1))
			l.at(459 * sec)
		}, "2"},
		{"a leave takes two seconds", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
			l.at(2*sec - 1)
		}, "2"},
		{"after them it is done", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
			l.at(2 * sec)
		}, ""},
		{"a report of another host on the port stops it", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
			l.at(1 * sec)
			l.good(2, join2(3, g1))
			l.at(3 * sec)
		}, "2"},
		{"a leave on another port is nothing", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.good(3, leave2(3, g1))
			l.at(3 * sec)
		}, "2"},
		{"the host leaves", querier, func(l *lab) {
			l.good(Local, join2(2, g1))
			l.good(Local, leave2(2, g1))
			l.at(2 * sec)
		}, ""},
		{"fast leave takes no time", querier, func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{FastLeave: true}, l.now))
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
		}, ""},
		{"with another querier a leave is nothing", Config{}, func(l *lab) {
			l.good(3, query2(1, 100, ""))
			l.at(11 * sec)
			l.good(2, join2(2, g1))
			l.good(2, leave2(2, g1))
			l.at(14 * sec)
		}, "2 3"},
		{"but its query for the group is", Config{}, func(l *lab) {
			l.good(3, query2(1, 100, ""))
			l.at(11 * sec)
			l.good(2, join2(2, g1))
			l.good(3, query2(1, 10, g1))
			l.at(13 * sec)
		}, "3"},
		{"for the response time of the first query all is flooded", Config{}, func(l *lab) {
			l.good(3, query2(1, 50, ""))
			l.at(5*sec - 1)
		}, "flood"},
		{"after it unknown groups go to the querier", Config{}, func(l *lab) {
			l.good(3, query2(1, 50, ""))
			l.at(5 * sec)
		}, "3"},
		{"a querier of version 1 is given 10 s", Config{}, func(l *lab) {
			l.good(3, query2(1, 0, ""))
			l.at(10*sec - 1)
		}, "flood"},
		{"a querier that is gone", Config{}, func(l *lab) {
			l.good(3, query2(1, 100, ""))
			l.at(255 * sec)
		}, "flood"},
		{"a router port ages with the querier", querier, func(l *lab) {
			l.good(3, query2(1, 100, ""))
			l.at(255 * sec)
		}, ""},
		{"the host is a router", Config{Querier: true, Router: RouterAlways}, func(l *lab) {}, "up"},
		{"a port with a router, always", querier, func(l *lab) {
			require.NoError(l.t, l.SetRouter(3, RouterAlways, l.now))
			l.good(2, join2(2, g1))
			l.good(3, join2(3, g1))
		}, "2 3"},
		{"a port with a router, never", Config{}, func(l *lab) {
			require.NoError(l.t, l.SetRouter(3, RouterNever, l.now))
			l.good(3, query2(1, 100, ""))
			l.at(11 * sec)
		}, ""},
		{"a port with a router for a while", querier, func(l *lab) {
			require.NoError(l.t, l.SetRouter(3, RouterTemp, l.now))
			l.at(255*sec - 1)
		}, "3"},
		{"which ends", querier, func(l *lab) {
			require.NoError(l.t, l.SetRouter(3, RouterTemp, l.now))
			l.at(255 * sec)
		}, ""},
		{"and which can be made longer", querier, func(l *lab) {
			require.NoError(l.t, l.SetRouter(3, RouterTemp, l.now))
			l.at(200 * sec)
			require.NoError(l.t, l.SetRouter(3, RouterTemp, l.now))
			l.at(300 * sec)
		}, "3"},
		{"to unicast, host by host", querier, func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{ToUnicast: true}, l.now))
			l.good(2, join2(7, g1))
			l.good(2, join2(8, g1))
		}, "2/7 2/8"},
		{"to unicast, one leaves fast", querier, func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{ToUnicast: true, FastLeave: true}, l.now))
			l.good(2, join2(7, g1))
			l.good(2, join2(8, g1))
			l.good(2, leave2(7, g1))
		}, "2/8"},
		{"to unicast, on a router's port the first host's copy is for all", querier, func(l *lab) {
			require.NoError(l.t, l.SetPort(2, PortConfig{ToUnicast: true, Router: RouterAlways}, l.now))
			l.good(2, join2(7, g1))
			l.good(2, join2(8, g1))
		}, "2 2/8"},
		{"a disabled port is not heard", querier, func(l *lab) {
			l.DisablePort(2, l.now)
			l.good(2, join2(2, g1))
		}, ""},
		{"a port that is disabled forgets", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.DisablePort(2, l.now)
		}, ""},
		{"a port that is gone", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			require.NoError(l.t, l.DeletePort(2, l.now))
		}, ""},
		{"snooping off", querier, func(l *lab) { l.SetSnooping(false, l.now) }, "flood"},
		{"made querier: 10 s are awaited", Config{}, func(l *lab) {
			require.NoError(l.t, l.SetConfig(querier, l.now))
			l.at(10*sec - 1)
		}, "flood"},
		{"made querier: then it counts", Config{}, func(l *lab) {
			require.NoError(l.t, l.SetConfig(querier, l.now))
			l.at(10 * sec)
		}, ""},
		{"a bridge that was down has no members", querier, func(l *lab) {
			l.good(2, join2(2, g1))
			l.Stop(l.now)
			l.Open(l.now)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.cfg)
			tt.do(l)
			require.NoError(t, l.Check())
			require.Equal(t, tt.way, l.way(udp("192.0.2.9", g1)))
		})
	}
}

// Which frames are for routers only when nobody is in their group.
func TestWhatIsNotSnoopedIsFlooded(t *testing.T) {
	l2Frame := append([]byte{0x01, 0x1b, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0x88, 0xf7}, make([]byte, 46)...)
	for _, tt := range []struct {
		name  string
		frame []byte
		way   string
	}{
		{"a group of IPv4", udp("192.0.2.9", "239.9.9.9"), "3"},
		{"224.0.0.0/24 is for all", udp("192.0.2.9", "224.0.0.251"), "flood"},
		{"224.0.1.0 is not", udp("192.0.2.9", "224.0.1.0"), "3"},
		{"a group of IPv6", udp("fe80::9", "ff05::9"), "3"},
		{"ff02::1 is for all", udp("fe80::9", "ff02::1"), "flood"},
		{"other groups of the link are not", udp("fe80::9", "ff02::fb"), "3"},
		{"what is not IP is for all", l2Frame, "flood"},
		{"reports of version 2", join2(2, g1), "3"},
		{"reports of version 1", join1(2, g1), "3"},
		{"reports of version 3", report3(2, rec{changeToExclude, g1, nil}), "flood"},
		{"leaves", leave2(2, g1), "flood"},
		{"queries", query2(2, 100, ""), "flood"},
		{"reports of MLD", join6(2, "ff05::9"), "3"},
		{"reports of MLDv2", mldReport2(2, rec{changeToExclude, "ff05::9", nil}), "flood"},
		{"MLD's done", done6(2, "ff05::9"), "flood"},
		{"MLD's queries", mldQ(2, 10000, "::"), "flood"},
		{"an IGMP type of someone else", igmp(2, 0x13, 0, "239.9.9.9", g1), "3"},
		{"a frame that is cut off", udp("192.0.2.9", "239.9.9.9")[:33], "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true})
			require.NoError(t, l.SetRouter(3, RouterAlways, 0))
			require.Equal(t, tt.way, l.way(tt.frame))
		})
	}
}
