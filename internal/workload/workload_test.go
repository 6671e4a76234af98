package workload

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/machine"
)

// Each case runs, loses nothing on the way (Host.Check is asked where it is read), has
// frames that count, and is a function of its machine.
func TestEveryCaseCountsTheSameTwice(t *testing.T) {
	m, err := machine.Open("e5-2620v3")
	require.NoError(t, err)
	for _, c := range Cases() {
		require.NotEmpty(t, c.Does, c.Name)
		require.NotEmpty(t, c.Stands, c.Name)
		a, err := c.Run(m, Knobs{})
		require.NoError(t, err)
		require.Positive(t, a.Frames, c.Name)
		require.InDelta(t, 1, a.Busy, 0.1, "%s: the core is full", c.Name)
		b, err := c.Run(m, Knobs{})
		require.NoError(t, err)
		require.Equal(t, a.Report.TraceHash, b.Report.TraceHash, c.Name)
		require.Equal(t, a.PPS, b.PPS, c.Name)
	}
}

func TestLargerFramesAndSlowerClocksCarryFewer(t *testing.T) {
	fast, err := machine.Open("e5-2620v3")
	require.NoError(t, err)
	slow, err := machine.Open("e5-2620v3-1.2")
	require.NoError(t, err)
	c, err := Find("xdp-drop")
	require.NoError(t, err)
	a, err := c.Run(fast, Knobs{})
	require.NoError(t, err)
	b, err := c.Run(slow, Knobs{})
	require.NoError(t, err)
	require.InDelta(t, 2, a.PPS/b.PPS, 0.1, "a path that only the core makes: twice the clock, twice the frames")
	big, err := c.Run(fast, Knobs{Size: 1518})
	require.NoError(t, err)
	require.Equal(t, ByLink, big.Bound)
}

func TestTheAdaptersBoundHolds(t *testing.T) {
	m, err := machine.Open("e5-2620v3")
	require.NoError(t, err)
	c, err := Find("l2fwd")
	require.NoError(t, err)
	r, err := c.Run(m, Knobs{})
	require.NoError(t, err)
	require.Equal(t, ByNIC, r.Bound)
	require.Equal(t, float64(m.NIC.PPS), r.PPS)
}

// Nothing is shared between cores, so a path that only cores make is linear in them; what
// is the adapter's does not grow.
func TestCoresAddUpUntilTheAdapterIsFull(t *testing.T) {
	m, err := machine.Open("e5-1650v4")
	require.NoError(t, err)
	for _, name := range []string{"kernel-drop", "xdp-redirect", "udp-no-port", "l2fwd"} {
		c, err := Find(name)
		require.NoError(t, err)
		require.True(t, c.Scales(), name)
		one, err := c.Run(m, Knobs{Flows: 1024})
		require.NoError(t, err)
		two, err := c.Run(m, Knobs{Cores: 2})
		require.NoError(t, err)
		require.InEpsilon(t, 2, two.PPS/one.PPS, 0.03, name)
		require.InEpsilon(t, 2, two.CorePPS/one.CorePPS, 0.03, name)
		require.InEpsilon(t, one.Cycles, two.Cycles, 0.03, "%s: cycles are those of one core's frames", name)
	}
	c, err := Find("pmd-drop")
	require.NoError(t, err)
	two, err := c.Run(m, Knobs{Cores: 2})
	require.NoError(t, err)
	four, err := c.Run(m, Knobs{Cores: 4})
	require.NoError(t, err)
	require.Equal(t, ByDevice, four.Bound)
	require.InEpsilon(t, two.PPS, four.PPS, 0.01)
	require.Greater(t, four.CorePPS, 1.5*two.CorePPS, "cores that wait are not the bound")
}

func TestAnUnknownWorkloadIsToldWhatWasMeant(t *testing.T) {
	_, err := Find("xdp-dorp")
	require.ErrorContains(t, err, `did you mean "xdp-drop"?`)
}
