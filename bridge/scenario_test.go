package bridge_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/sim"
)

// A lab is a bridge with what is tested of it.
type lab struct {
	t   *testing.T
	b   *bridge.Bridge
	now sim.Time
}

// A scenario is a bridge, its ports 1 to n, and what is done and seen.
type scenario struct {
	name  string
	cfg   bridge.Config
	ports []bridge.PortConfig // without names they are swp1, swp2 …
	steps []step
}

// A step does something, or looks.
type step func(l *lab)

// run plays scenarios.
func run(t *testing.T, list []scenario) {
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			b, err := bridge.New(s.cfg)
			require.NoError(t, err)
			l := &lab{t: t, b: b}
			for i, p := range s.ports {
				if p.Name == "" {
					p.Name = fmt.Sprint("swp", i+1)
				}
				n, err := b.AddPort(p)
				require.NoError(t, err)
				require.EqualValues(t, i+1, n)
			}
			for i, do := range s.steps {
				do(l)
				require.NoErrorf(t, b.Check(), "after step %d", i+1)
			}
		})
	}
}

// sends has a frame come in, and looks where it goes: ports with blanks between them,
// "up" for the bridge's own interface, "pass" for the port's own stack and "" if it
// is dropped.
func sends(in bridge.Port, frame []byte, to string) step {
	return func(l *lab) {
		l.t.Helper()
		v := l.b.Handle(in, frame, l.now)
		require.Equalf(l.t, to, reaches(v), "frame %x on port %d: %v", frame, in, v.Reason)
	}
}

// reaches is where a verdict sends a frame.
func reaches(v bridge.Verdict) string {
	if v.Action == bridge.PassPort {
		return "pass"
	}
	var words []string
	for _, c := range v.Out {
		if c.Port == bridge.Local {
			words = append(words, "up")
		} else {
			words = append(words, fmt.Sprint(c.Port))
		}
	}
	return strings.Join(words, " ")
}

// arrives has a frame come in, and looks as what it leaves by one port.
func arrives(in bridge.Port, frame []byte, out bridge.Port, as []byte) step {
	return func(l *lab) {
		l.t.Helper()
		v := l.b.Handle(in, frame, l.now)
		for _, c := range v.Out {
			if c.Port == out {
				require.Equal(l.t, as, c.Apply(nil, frame))
				return
			}
		}
		l.t.Fatalf("frame %x on port %d does not reach %d: %v", frame, in, out, v)
	}
}

// after lets time go by.
func after(d sim.Time) step {
	return func(l *lab) {
		l.now += d
		l.b.Tick(l.now)
	}
}

// on is where the database has a station; in VLAN 0 without filtering.
func on(mac bridge.MAC, vid uint16, p bridge.Port) step {
	return func(l *lab) {
		l.t.Helper()
		e, ok := l.b.Lookup(mac, vid, l.now)
		require.Truef(l.t, ok, "%v of VLAN %d is not there", mac, vid)
		require.Equal(l.t, p, e.Port)
	}
}

// unknown says that the database has not got a station.
func unknown(mac bridge.MAC, vid uint16) step {
	return func(l *lab) {
		l.t.Helper()
		e, ok := l.b.Lookup(mac, vid, l.now)
		require.Falsef(l.t, ok, "%+v", e)
	}
}

// entry looks at an entry.
func entry(mac bridge.MAC, vid uint16, what string, is func(bridge.Entry) bool) step {
	return func(l *lab) {
		l.t.Helper()
		e, ok := l.b.Lookup(mac, vid, l.now)
		require.True(l.t, ok && is(e), "%+v: want %s", e, what)
	}
}

// learned is how many entries count as learned.
func learned(n int) step {
	return func(l *lab) {
		l.t.Helper()
		require.Equal(l.t, n, l.b.Learned())
	}
}

// add enters an entry by hand.
func add(e bridge.Entry) step {
	return func(l *lab) {
		l.t.Helper()
		require.NoError(l.t, l.b.Add(e))
	}
}

// del takes an entry out.
func del(mac bridge.MAC, vid uint16) step {
	return func(l *lab) {
		l.t.Helper()
		require.True(l.t, l.b.Delete(mac, vid))
	}
}

// set changes a port's settings.
func set(p bridge.Port, change func(c *bridge.PortConfig)) step {
	return func(l *lab) {
		l.t.Helper()
		c := l.b.PortConfig(p)
		change(&c)
		require.NoError(l.t, l.b.SetPort(p, c))
	}
}

// refused is a change of a port that is not taken.
func refused(p bridge.Port, change func(c *bridge.PortConfig)) step {
	return func(l *lab) {
		l.t.Helper()
		c := l.b.PortConfig(p)
		change(&c)
		require.ErrorIs(l.t, l.b.SetPort(p, c), bridge.ErrConfig)
	}
}

// configure changes the bridge's settings.
func configure(change func(c *bridge.Config)) step {
	return func(l *lab) {
		l.t.Helper()
		c := l.b.Config()
		change(&c)
		require.NoError(l.t, l.b.SetConfig(c))
	}
}

func addVLAN(p bridge.Port, v bridge.VLAN) step {
	return func(l *lab) {
		l.t.Helper()
		require.NoError(l.t, l.b.AddVLAN(p, v))
	}
}

func deleteVLAN(p bridge.Port, vid uint16) step {
	return func(l *lab) {
		l.t.Helper()
		require.NoError(l.t, l.b.DeleteVLAN(p, bridge.VLAN{VID: vid}))
	}
}

// addMDB enters a group by hand.
func addMDB(e snoop.Static) step {
	return func(l *lab) {
		l.t.Helper()
		require.NoError(l.t, l.b.AddMDB(e))
	}
}

// deleteMDB takes a group of a port out.
func deleteMDB(p bridge.Port, g snoop.Group, vid uint16) step {
	return func(l *lab) {
		l.t.Helper()
		require.NoError(l.t, l.b.DeleteMDB(p, g, netip.Addr{}, vid))
	}
}

// link is a port's carrier.
func link(p bridge.Port, up bool) step {
	return func(l *lab) {
		l.t.Helper()
		l.b.SetLink(p, up)
	}
}

// both puts lists of steps together.
func both(lists ...[]step) (all []step) {
	for _, s := range lists {
		all = append(all, s...)
	}
	return all
}
