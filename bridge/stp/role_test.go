package stp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// pair is a bridge 8000.02…01 with ports 1 and 2 that have been enabled for a while.
func pair(t *testing.T, at sim.Time) *node {
	n := listening(t)
	require.NoError(t, n.AddPort(2, PortConfig{}))
	require.NoError(t, n.Enable(2, 10*sec))
	n.Tick(at)
	n.net.now, n.sent = at, nil
	return n
}

// from is what a bridge between us and a root of priority 0x1000 says.
func from(bridge uint16, port PortID, age sim.Time) []byte {
	return (&BPDU{Root: MakeBridgeID(0x1000, mac(1)), RootPathCost: 10, Bridge: MakeBridgeID(bridge, mac(2)), Port: port,
		MessageAge: age, MaxAge: 10 * sec, HelloTime: sec, ForwardDelay: 4 * sec}).Append(nil)
}

func (n *node) show(t *testing.T, p uint16) PortInfo {
	t.Helper()
	info, err := n.ShowPort(p, n.Tree.now)
	require.NoError(t, err)
	return info
}

func (n *node) tcns() (count int) {
	for _, s := range n.sent {
		if s.Type == TypeTCN {
			count++
		}
	}
	return count
}

// Two ports hear the same port of the same bridge: the own identifier decides.
func TestOwnPortIDDecidesLast(t *testing.T) {
	n := pair(t, 10*sec)
	for _, p := range []uint16{1, 2} {
		require.NoError(t, n.Receive(p, from(0x2000, 0x8001, 0), 10*sec))
	}
	require.EqualValues(t, 1, n.Show(10*sec).RootPort)
	require.Equal(t, Blocking, n.Tree.State(2))
	require.NoError(t, n.SetPortPriority(2, 1, 10*sec))
	require.NoError(t, n.Receive(2, from(0x2000, 0x8001, 0), 10*sec), "the priority counts from the next election")
	require.EqualValues(t, 2, n.Show(10*sec).RootPort)
}

func TestWhatSupersedes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bridge uint16
		port   PortID
		taken  bool
	}{
		{"a better bridge", 0x1fff, 0x8005, true},
		{"a worse bridge", 0x2001, 0x8005, false},
		{"the same bridge and port", 0x2000, 0x8005, true},
		{"the same bridge, by a better port", 0x2000, 0x8004, true},
		{"the same bridge, by a worse port", 0x2000, 0x8006, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := pair(t, 10*sec)
			require.NoError(t, n.Receive(1, from(0x2000, 0x8005, 0), 10*sec))
			require.NoError(t, n.Receive(1, from(tt.bridge, tt.port, 0), 11*sec))
			info := n.show(t, 1)
			want := 9 * sec
			if tt.taken {
				want = 10 * sec
				require.Equal(t, tt.port, info.DesignatedPort)
			}
			require.Equal(t, want, info.MessageAgeTimer)
		})
	}
}

// A port that learned and is blocked is a change of topology; one that listened is
// not. Its timer does not run on.
func TestBlockingIsAChange(t *testing.T) {
	for at, want := range map[sim.Time]int{12 * sec: 0, 26 * sec: 1, 41 * sec: 1} {
		n := pair(t, at)
		n.topologyChangeDetected = false // of the ports that came to forward
		require.NoError(t, n.Receive(1, from(0x2000, 0x8001, 0), at))
		require.NoError(t, n.Receive(2, from(0x2000, 0x8002, 0), at))
		require.Equal(t, Blocking, n.Tree.State(2))
		require.Equal(t, want, n.tcns(), "blocked at %v", at)
		require.Zero(t, n.show(t, 2).ForwardDelayTimer)
	}
}

// A bridge that has only its root port has nobody to tell of.
func TestALeafIsNoChange(t *testing.T) {
	net := newNetwork(t, 0x1000, 0x8000)
	net.join(0, 1, 4, 4)
	net.run(100 * sec)
	require.Equal(t, Forwarding, net.nodes[1].Tree.State(1))
	require.Zero(t, net.nodes[1].tcns())
}

// A root that hears of a better one makes a notice of the change it knows of.
func TestChangeOutlivesTheRoot(t *testing.T) {
	n := pair(t, 41*sec)
	require.NotZero(t, n.Show(41*sec).TopologyChangeTimer)
	require.NoError(t, n.Receive(1, from(0x2000, 0x8001, 0), 41*sec))
	info := n.Show(41 * sec)
	require.Equal(t, 1, n.tcns())
	require.Equal(t, 2*sec, info.TCNTimer, "the bridge's own hello time, not the root's second")
	require.Zero(t, info.TopologyChangeTimer)
	require.Zero(t, info.HelloTimer)
	require.Equal(t, []sim.Time{sec, 10 * sec, 4 * sec}, []sim.Time{info.HelloTime, info.MaxAge, info.ForwardDelay})

	n.Tick(51 * sec) // the root is lost
	info = n.Show(51 * sec)
	require.True(t, n.IsRoot())
	require.Zero(t, info.TCNTimer)
	require.Equal(t, 35*sec, info.TopologyChangeTimer)
	require.Equal(t, 2*sec, info.HelloTimer)
	require.Equal(t, []sim.Time{2 * sec, 20 * sec, 15 * sec}, []sim.Time{info.HelloTime, info.MaxAge, info.ForwardDelay})
}

// A designated port has nothing that could age.
func TestBecomingBetterStopsTheMessageAge(t *testing.T) {
	n := pair(t, 10*sec)
	require.NoError(t, n.Receive(1, from(0x2000, 0x8001, 0), 10*sec))
	require.NotZero(t, n.show(t, 1).MessageAgeTimer)
	n.SetPriority(0, 11*sec)
	require.True(t, n.IsRoot())
	require.Zero(t, n.show(t, 1).MessageAgeTimer)
}

// What would be too old where it arrives is not passed on.
func TestOldMessagesAreNotPassedOn(t *testing.T) {
	for age, want := range map[sim.Time]int{10*sec - 2*Tick: 1, 10*sec - Tick: 0} {
		n := pair(t, 10*sec)
		require.NoError(t, n.Receive(1, from(0x2000, 0x8001, age), 10*sec))
		require.Len(t, n.sent, want, "message age %v of 10 s", age)
	}
}
