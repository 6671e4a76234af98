package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// draw is the beginning of a component's stream.
func draw(e *Engine, name string) [8]uint64 {
	var out [8]uint64
	r := e.Rand(name)
	for i := range out {
		out[i] = r.Uint64()
	}
	return out
}

func TestStreamDependsOnSeedAndNameAlone(t *testing.T) {
	a, b := NewEngine(7), NewEngine(7)
	// b is built in another order, draws in between, and holds more components.
	b.NewTimer("timer", HandlerFunc(func(Time) {}))
	draw(b, "other")
	wantSecond := draw(a, "second")
	require.Equal(t, draw(a, "first"), draw(b, "first"))
	require.Equal(t, wantSecond, draw(b, "second"))
	require.Equal(t, wantSecond, draw(b, "second"), "calling twice gives equal streams")
}

func TestStreamsDifferByNameAndBySeed(t *testing.T) {
	seen := map[[8]uint64]string{}
	for _, seed := range []uint64{0, 1, 2, 1 << 63} {
		for _, name := range []string{"", "a", "b", "ab", "nic", "nic0", "nic\x00", "\x00nic", "\x01"} {
			got := draw(NewEngine(seed), name)
			if other, ok := seen[got]; ok {
				t.Errorf("seed %d name %q draws what %s drew", seed, name, other)
			}
			seen[got] = name
		}
	}
}

func TestSourceIsRandsOwn(t *testing.T) {
	e := NewEngine(3)
	require.Equal(t, e.Rand("x").Uint64(), e.Source("x").Uint64())
	var buf [16]byte
	n, err := e.Source("x").Read(buf[:])
	require.NoError(t, err)
	require.Equal(t, len(buf), n)
}

// Streams are part of what the same seed promises, on every platform and in
// every version: these are fixed numbers.
func TestStreamIsFixedForever(t *testing.T) {
	require.Equal(t, uint64(0x1fd0bce210843da5), NewEngine(1).Rand("nic").Uint64())
}

// Two hosts that are built alike have chance and timers of their own on one clock.
func TestUnderIsTheSameEngineByOtherNames(t *testing.T) {
	e := NewEngine(1)
	a, b := e.Under("a/"), e.Under("b/")
	require.Equal(t, e.Rand("a/nic").Uint64(), a.Rand("nic").Uint64())
	require.NotEqual(t, a.Rand("nic").Uint64(), b.Rand("nic").Uint64())
	require.Equal(t, e.Rand("a/x/nic").Uint64(), a.Under("x/").Rand("nic").Uint64())

	var order []string
	note := func(what string) Handler { return HandlerFunc(func(Time) { order = append(order, what) }) }
	ta, tb := a.NewTimer("nic", note("a")), b.NewTimer("nic", note("b"))
	require.Equal(t, "a/nic", ta.Name())
	require.Equal(t, "b/nic", e.TimerName(2))
	b.Arm(tb, 10)
	a.Arm(ta, 5)
	require.NoError(t, e.RunToIdle())
	require.Equal(t, []string{"a", "b"}, order)
	require.Equal(t, Time(10), a.Now())
}
