package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/sim"
)

// FuzzLink takes a Spec as text, frames as a list of gaps and lengths, and a seed:
// what comes out is what the model says, and whatever the model says every frame is
// accounted for, is as it was but for one bit, and comes in the order of time.
func FuzzLink(f *testing.F) {
	gaps := func(n int) []byte {
		b := make([]byte, 3*n)
		r := rand.New(rand.NewPCG(uint64(n), 0))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for i, s := range []string{
		"delay 10us 2us loss 1% reorder 25% gap 5 duplicate 10% corrupt 10% rate 100mbit limit 10",
		"loss gemodel 10% 30% 90% 1% duplicate 50%", "rate 10mbit queue 2kb delay 0s 3us overtake", "rx reorder 5% delay 1ns", "",
	} {
		f.Add(s, gaps(20+10*i), uint64(i), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, text string, gaps []byte, seed uint64, live bool) {
		spec, err := Parse(text)
		if err != nil || len(gaps) > 600 {
			return
		}
		frames := unpack(gaps)
		var seen [NumReasons]uint64
		checkModel(t, spec.Rx, seed, 10e9, frames, &seen)
		l, far, n, e := newLink(t, seed, 10e9, spec, frames)
		if live {
			far.live = e
			for i := range frames {
				e.Arm(e.NewTimer("far", sim.HandlerFunc(func(sim.Time) { n.Arrive() })), frames[i].At)
			}
		}
		n.Arrive()
		require.NoError(t, e.RunToIdle())
		c := l.Rx()
		require.NoError(t, c.Check())
		require.Zero(t, c.Held)
		require.Equal(t, len(frames), int(c.In))
		require.True(t, slices.IsSorted(at(n.got)))
		spoilt := uint64(0)
		for _, g := range n.got {
			was := frames[g.ID&^Copy-1]
			require.GreaterOrEqual(t, g.At, was.At)
			spoilt += uint64(differ(t, was.Data, g.Data))
		}
		require.LessOrEqual(t, spoilt, c.Corrupted)
	})
}

// unpack makes frames of three bytes each: a gap, a length.
func unpack(b []byte) (list []nic.WireFrame) {
	at := sim.Time(0)
	for id := uint64(1); len(b) >= 3; id++ {
		if b[0] >= 64 { // else at once
			at += sim.Time(b[0]) * 77 * sim.Nanosecond
		}
		data := bytes.Repeat(b[:1], 14+int(binary.LittleEndian.Uint16(b[1:])%1501))
		list = append(list, nic.WireFrame{ID: id, At: at, Data: data})
		b = b[3:]
	}
	return list
}

// differ is in how many bits two frames differ, at most one.
func differ(t *testing.T, a, b []byte) (n int) {
	require.Len(t, b, len(a))
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	require.LessOrEqual(t, n, 1)
	return n
}
