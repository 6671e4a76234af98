package bridge

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

// Each test here is a difference from the kernel's bridge that was found by
// internal/differential, as it is seen from this package.

// asked is the ports by which queries were sent since the last call.
func asked(b *Bridge) (ports []Port) {
	for _, s := range b.Sent() {
		ports = append(ports, s.Port)
	}
	return ports
}

func querier(t *testing.T) *Bridge {
	b, err := New(Config{MAC: MAC{2, 0, 0, 0, 0, 1}, Multicast: snoop.Config{Querier: true}})
	require.NoError(t, err)
	for range 3 {
		_, err = b.AddPort(PortConfig{})
		require.NoError(t, err)
	}
	b.Tick(0)
	b.Sent()
	return b
}

// Queries go out when their timer fires, not only with the next frame.
func TestTickSendsQueries(t *testing.T) {
	b := querier(t)
	b.Tick(31 * sim.Second)
	assert.Empty(t, asked(b))
	b.Tick(32 * sim.Second)
	assert.ElementsMatch(t, []Port{Local, 1, 2, 3}, asked(b))
}

// A port that goes, comes or is set has all that forward begin their queries anew.
func TestPortsAskAgainWhenOneChanges(t *testing.T) {
	for name, change := range map[string]func(*Bridge) error{
		"down":    func(b *Bridge) error { return b.SetLink(3, false) },
		"removed": func(b *Bridge) error { return b.RemovePort(3) },
	} {
		b := querier(t)
		b.Tick(sim.Second)
		require.NoError(t, change(b))
		b.Tick(sim.Second)
		assert.ElementsMatch(t, []Port{1, 2}, asked(b), name)
	}
}

// The counters of a VLAN that all ports share go with the last that is in it.
func TestCountersOfAVLANGoWithItsLastPort(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(b *Bridge)
		want  uint64
	}{
		{"the last leaves it", func(b *Bridge) { require.NoError(t, b.DeleteVLAN(1, VLAN{VID: 2})) }, 0},
		{"the last is removed", func(b *Bridge) { require.NoError(t, b.RemovePort(1)) }, 0},
		{"another stays in it", func(b *Bridge) {
			require.NoError(t, b.AddVLAN(Local, VLAN{VID: 2}))
			require.NoError(t, b.RemovePort(1))
		}, 1},
	} {
		b, err := New(Config{VLANFiltering: true, VLANStats: true})
		require.NoError(t, err)
		for range 2 {
			_, err := b.AddPort(PortConfig{})
			require.NoError(t, err)
		}
		require.NoError(t, b.AddVLAN(1, VLAN{VID: 2, PVID: true}))
		b.Handle(1, make([]byte, 60), 0) // no station sent it: not counted
		frame := make([]byte, 60)
		frame[6], frame[11] = 2, 1
		b.Handle(1, frame, 0)
		c.leave(b)
		require.NoError(t, b.AddVLAN(2, VLAN{VID: 2}))
		for _, v := range b.VLANs(2) {
			if v.VID == 2 {
				require.Equal(t, c.want, v.Stats.RxFrames, c.name)
			}
		}
	}
}

// A reserved frame's source is learned in a VLAN only if that is not blocked there.
func TestSourceOfAReservedFrameIsLearnedAsTheVLANsStateAllows(t *testing.T) {
	for state, want := range map[stp.State]int{stp.Forwarding: 1, stp.Learning: 1, stp.Listening: 0, stp.Blocking: 0} {
		b, err := New(Config{VLANFiltering: true})
		require.NoError(t, err)
		_, err = b.AddPort(PortConfig{})
		require.NoError(t, err)
		require.NoError(t, b.SetVLANState(1, 1, state))
		frame := make([]byte, 60)
		copy(frame, []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02, 0, 0, 0, 0, 1})
		require.Equal(t, PassPort, b.Handle(1, frame, 0).Action)
		require.Equal(t, want, b.Learned(), state)
	}
}

// A group that the host joins in no VLAN it joins in all that any interface is in.
func TestHostJoinsInEveryVLANOfTheBridge(t *testing.T) {
	b, err := New(Config{VLANFiltering: true})
	require.NoError(t, err)
	_, err = b.AddPort(PortConfig{VLANs: []VLAN{{VID: 3}}})
	require.NoError(t, err)
	require.NoError(t, b.AddMDB(snoop.Static{Group: snoop.Group{IP: netip.MustParseAddr("ff02::fb")}}))
	var vids []uint16
	for _, e := range b.MDB(0) {
		vids = append(vids, e.VID)
	}
	require.Equal(t, []uint16{1, 3}, vids)
}

// What is wrong with a group is told before that its port is in no VLAN.
func TestBadGroupOfAPortInNoVLANIsABadGroup(t *testing.T) {
	b, err := New(Config{VLANFiltering: true, DefaultPVID: NoPVID})
	require.NoError(t, err)
	_, err = b.AddPort(PortConfig{})
	require.NoError(t, err)
	require.ErrorIs(t, b.AddMDB(snoop.Static{Port: 1, Group: snoop.Group{IP: netip.MustParseAddr("ff02::1")}}), snoop.ErrGroup)
	require.ErrorIs(t, b.AddMDB(snoop.Static{Port: 1, Group: snoop.Group{IP: netip.MustParseAddr("ff02::2")}}), ErrVLAN)
}
