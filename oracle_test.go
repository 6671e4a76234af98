package ringside

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

// The oracles that are on in every run see what they are there for.
func TestOraclesSeeWhatIsWrong(t *testing.T) {
	run := func(spoil func(*Host)) error {
		h, err := New(Config{Seed: 1, VMs: []VM{{Program: vm.Sink}}})
		require.NoError(t, err)
		defer h.Close()
		require.NoError(t, h.Run())
		spoil(h)
		if err := h.RunUntil(h.Engine.Now() + sim.Second); err != nil {
			return err
		}
		return h.Run()
	}
	require.NoError(t, run(func(*Host) {}))
	require.EqualError(t, run(func(h *Host) { h.drops.Add(cost.Bridge, cost.NoMem, 2) }),
		"frames were lost: in 0 + cloned 0 + segmented 0 is not delivered 0 + dropped 2 + merged 0 + in flight 0")
	require.ErrorContains(t, run(func(h *Host) {
		require.NoError(t, h.NIC.Write(nic.RDLEN(0), 129, h.Engine.Now()))
	}), "driver misused the NIC")
	require.ErrorContains(t, run(func(h *Host) {
		timer := h.Engine.NewTimer("fault", sim.HandlerFunc(func(sim.Time) { h.Engine.Fail(ErrEndless) }))
		h.Engine.Arm(timer, h.Engine.Now()+1)
	}), ErrEndless.Error())
}
