package xdp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
)

func newRing(t testing.TB, n int, descs bool) *Ring {
	t.Helper()
	r, err := NewRing(make([]byte, RingBytes(n, descs)), n, descs)
	require.NoError(t, err)
	return r
}

func TestRingsAreOfPowersOfTwoAndInTheirMemory(t *testing.T) {
	for _, n := range []int{0, -1, 3, 12, MaxRing + 1, MaxRing * 2} {
		_, err := NewRing(make([]byte, 1<<22), n, true)
		assert.ErrorIs(t, err, ErrRing, "%d entries", n)
	}
	_, err := NewRing(make([]byte, RingBytes(8, true)-1), 8, true)
	assert.ErrorIs(t, err, ErrRing)
}

// What one side puts the other takes, in order and not before its time, over the end of
// the ring and of its indexes.
func TestEntriesGoRound(t *testing.T) {
	for _, begin := range []uint32{0, 5, 1<<32 - 3} {
		r := newRing(t, 4, true)
		r.prod, r.cons = begin, begin
		r.Publish()
		r.Release()
		for i := range uint64(20) {
			require.Equal(t, 4, r.Free())
			for k := range uint64(4) {
				r.PutDesc(Desc{Addr: 4*i + k, Len: uint32(k)}, Tag{ID: i}, sim.Time(i))
			}
			require.Zero(t, r.Free())
			require.Zero(t, r.Ready(), "not published")
			r.Publish()
			if i > 0 {
				_, _, ok := r.TakeDesc(sim.Time(i) - 1)
				require.False(t, ok, "not yet")
			}
			for k := range uint64(4) {
				d, tag, ok := r.TakeDesc(sim.Time(i))
				require.True(t, ok)
				require.Equal(t, Desc{Addr: 4*i + k, Len: uint32(k)}, d)
				require.Equal(t, i, tag.ID)
			}
			_, _, ok := r.TakeDesc(sim.Never)
			require.False(t, ok)
			require.Zero(t, r.Free(), "not released")
			r.Release()
		}
	}
}

// Whatever an index says that the other side has written, no more entries are looked at
// than there are, and none outside.
func TestIndexesThatJump(t *testing.T) {
	for _, wrong := range []uint32{1, 4, 5, 1000, 1 << 31, 1<<32 - 1} {
		r := newRing(t, 4, false)
		r.setWord(offProducer, wrong)
		assert.LessOrEqual(t, r.Ready(), 4)
		for range 100 {
			r.TakeAddr(0)
		}
		r = newRing(t, 4, false)
		r.setWord(offConsumer, wrong)
		free := r.Free()
		assert.True(t, free >= 0 && free <= 4)
		for range free {
			r.PutAddr(1, 0)
		}
	}
}
