package virtnet_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// A guest that has nothing to say has no rings and no buffers, and nobody can tell.
func TestIdleGuestsHaveNoRings(t *testing.T) {
	r := newRig(t, rigConfig{})
	for range 8 {
		r.add()
	}
	require.NoError(t, r.engine.RunUntil(10*sim.Second))
	for i, m := range r.vms {
		assert.Nil(t, m.dev.Ring(0, false), "vm%d", i)
		assert.True(t, m.vcpu.Halted())
	}
	assert.Zero(t, r.Flow().Own)
	require.NoError(t, r.CheckRest())
}
