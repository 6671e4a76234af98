package kernel

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/syscall"
)

// gVisor's clock is the event loop: timers fire when they are due, stop, move,
// and one for the end of time does not fire now.
func TestTheStacksClock(t *testing.T) {
	b := newBare(t, 1, func(*syscall.Task) error { return nil })
	clock := &stackClock{h: &b.bridges[0].host}
	var fired []time.Duration
	note := func() { fired = append(fired, clock.Now().Sub(epoch)) }
	clock.AfterFunc(3*time.Second, note)
	clock.AfterFunc(time.Second, note)
	clock.AfterFunc(-time.Second, note)
	stopped := clock.AfterFunc(2*time.Second, note)
	moved := clock.AfterFunc(2*time.Second, note)
	clock.AfterFunc(math.MaxInt64, note)
	clock.AfterFunc(math.MaxInt64-1, note)
	require.NoError(t, b.eng.RunUntil(1500*sim.Millisecond))
	assert.True(t, stopped.Stop())
	assert.False(t, stopped.Stop())
	moved.Reset(4 * time.Second)
	clock.AfterFunc(math.MaxInt64, note)
	require.NoError(t, b.eng.RunUntil(10*sim.Second))
	require.Len(t, fired, 4)
	for i, want := range []time.Duration{0, time.Second, 3 * time.Second, 5500 * time.Millisecond} {
		assert.InDelta(t, float64(want), float64(fired[i]), float64(time.Microsecond))
	}
}
