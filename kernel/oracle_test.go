package kernel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/kernel/kerneltest"
	"ringside/nic"
)

// The oracles see what they are there for.

func TestCheckSeesALeak(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	require.NoError(t, r.Check())
	r.Leak()
	assert.ErrorContains(t, r.Check(), "1 leaked")
}

// A vector that somebody masked and nobody opens: the ring is not empty, and
// nobody will come.
func TestCheckRestSeesAStall(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	require.NoError(t, r.NIC.Write(nic.EIMC, 1, 0))
	r.Play(0, to(0, 3, 60)...)
	require.NoError(t, r.Engine.RunToIdle())
	r.NIC.CatchUp(1 << 40) // the device goes on, and tells nobody
	assert.NoError(t, r.Check(), "nothing is lost yet")
	assert.ErrorContains(t, r.CheckRest(), "stall: eth0: queue 0")
}

// A frame that is freed twice would be another's by then.
func TestFreeingTwicePanics(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	assert.PanicsWithValue(t, "kernel: an skb was freed twice", r.FreeTwice)
}
