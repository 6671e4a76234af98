package netstack

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"

	"ringside/sim"
)

// The clock is the engine's: timers fire when they are due, stop, move, and one for
// the end of time does not fire now.
func TestTheStacksClock(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	c := clock{s}
	var fired []time.Duration
	note := func() { fired = append(fired, c.Now().Sub(epoch)) }
	s.enter()
	c.AfterFunc(3*time.Second, note)
	c.AfterFunc(time.Second, note)
	c.AfterFunc(-time.Second, note)
	stopped := c.AfterFunc(2*time.Second, note)
	moved := c.AfterFunc(2*time.Second, note)
	c.AfterFunc(math.MaxInt64, note)
	c.AfterFunc(math.MaxInt64-1, note)
	require.Empty(t, fired, "not within the call that asked for it")
	s.leave()
	require.Len(t, fired, 1, "but before it returns to the machine")
	w.run(1500 * sim.Millisecond)
	assert.True(t, stopped.Stop())
	assert.False(t, stopped.Stop())
	s.enter()
	moved.Reset(4 * time.Second)
	c.AfterFunc(math.MaxInt64, note)
	s.leave()
	w.run(10 * sim.Second)
	assert.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 5500 * time.Millisecond}, fired)
	assert.Equal(t, int64(11.5e9), c.NowMonotonic().Sub(tcpip.MonotonicTime{}).Nanoseconds())
}

func TestTimersOfOneMomentFireInTheOrderOfArming(t *testing.T) {
	for range 50 {
		w := newWorld(t, 1)
		s := w.stack("a")
		var got []int
		s.enter()
		for i := range 20 {
			clock{s}.AfterFunc(time.Second, func() { got = append(got, i) })
			clock{s}.AfterFunc(0, func() { got = append(got, 100+i) })
		}
		s.leave()
		w.run(2 * sim.Second)
		require.Len(t, got, 40)
		require.True(t, slices.IsSorted(got[:20]) && slices.IsSorted(got[20:]), got)
	}
}

func TestATimerForNowCanBeStoppedMovedAndArmAnother(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	var got []string
	s.enter()
	stopped := clock{s}.AfterFunc(0, func() { got = append(got, "stopped") })
	later := clock{s}.AfterFunc(0, func() { got = append(got, "later") })
	clock{s}.AfterFunc(0, func() {
		got = append(got, "first")
		clock{s}.AfterFunc(0, func() { got = append(got, "second") })
	})
	assert.True(t, stopped.Stop())
	later.Reset(time.Second)
	s.leave()
	assert.Equal(t, []string{"first", "second"}, got)
	w.run(2 * sim.Second)
	assert.Equal(t, []string{"first", "second", "later"}, got)
}

// The heap against a list that is sorted.
func TestTimersFireLikeASortedList(t *testing.T) {
	for seed := range uint64(60) {
		w := newWorld(t, 1)
		s := w.stack("a")
		r := rand.New(rand.NewPCG(seed, 1))
		type event struct{ at, seq, id int }
		var want []event
		var got []int
		timers := make([]tcpip.Timer, 30)
		for i := range timers {
			timers[i] = clock{s}.AfterFunc(math.MaxInt64, func() { got = append(got, i) })
		}
		s.enter()
		for seq := range 200 {
			id := r.IntN(len(timers))
			want = slices.DeleteFunc(want, func(e event) bool { return e.id == id })
			if r.IntN(4) == 0 {
				timers[id].Stop()
				continue
			}
			at := 1 + r.IntN(10)
			timers[id].Reset(time.Duration(at))
			want = append(want, event{at, seq, id})
		}
		s.leave()
		slices.SortFunc(want, func(a, b event) int {
			if a.at != b.at {
				return a.at - b.at
			}
			return a.seq - b.seq
		})
		w.run(sim.Second)
		require.Len(t, got, len(want))
		for i, e := range want {
			require.Equal(t, e.id, got[i], "seed %d, event %d", seed, i)
		}
		require.Equal(t, sim.Never, s.timers.armed)
	}
}
