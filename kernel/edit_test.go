package kernel

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/mem"
	"ringside/syscall"
)

// bytesOf is a frame in one piece.
func bytesOf(s *skb) []byte {
	b := bytes.Clone(s.data)
	for i := range s.nfrags {
		b = append(b, s.frags.buf[i].data...)
	}
	return b
}

// make is an skb with that frame: with room in front of it, as the driver's have,
// or in fresh blocks, as those from a guest.
func (b *bare) make(frame []byte, room bool) *skb {
	if room && len(frame) <= 2048 {
		block, err := b.mem.Alloc(rxBlockOrder)
		require.NoError(b.t, err)
		s, at := b.newSKB(), block+mem.PageSize+rxHeadroom
		s.data, s.addr, s.block, s.length = b.mem.Bytes(at, len(frame)), at, block, int32(len(frame))
		copy(s.data, frame)
		return s
	}
	s, err := b.allocSKB(len(frame))
	require.NoError(b.t, err)
	n := copy(s.data, frame)
	for i := range s.nfrags {
		n += copy(s.frags.buf[i].data, frame[n:])
	}
	return s
}

// Whatever a copy changes and however the frame lies, its bytes are those that
// bridge.Copy.Apply makes; the frame keeps its own as long as somebody holds it;
// and at the end every block is free.
func TestEditedCopiesHaveTheBytesOfApply(t *testing.T) {
	b := newBare(t, 8, func(*syscall.Task) error { return nil })
	r := rand.New(rand.NewPCG(3, 4))
	inUse := b.mem.InUse()
	inPlace, shared := 0, 0
	for i := range 4000 {
		frame := make([]byte, 14+r.IntN([...]int{5, 60, 1500, 9000, 65000}[min(r.IntN(40), 4)]))
		for i := range frame {
			frame[i] = byte(r.Uint32())
		}
		if len(frame) >= 18 && r.IntN(3) > 0 {
			copy(frame[12:], [][]byte{{0x81, 0, 0x20, 5}, {0x88, 0xa8, 0, 7}}[r.IntN(2)])
		}
		s := b.make(frame, r.IntN(2) == 0)
		copies := make([]bridge.Copy, 1+r.IntN(3))
		for j := range copies {
			cp := &copies[j]
			cp.Port = bridge.Port(1 + j)
			cp.Strip = tagged(frame) && len(frame) >= 18 && r.IntN(2) == 0
			if r.IntN(2) == 0 {
				cp.Tag = 0x81000000 | r.Uint32N(4096)
			}
			if r.IntN(4) == 0 {
				cp.To = bridge.MAC{2, byte(r.Uint32())}
			}
		}
		s.holders += int32(len(copies) - 1)
		var made []*skb
		for j := range copies {
			e := s
			if !plainCopy(&copies[j]) {
				if e = b.edited(s, &copies[j]); e == s {
					inPlace++
				} else {
					shared++
				}
			}
			if r.IntN(4) == 0 && e.headed {
				require.True(t, b.settle(e, r.IntN(2)*pulled))
				require.False(t, e.headed)
			}
			if r.IntN(4) == 0 {
				x := b.clone(e)
				b.release(e)
				e = x
			}
			made = append(made, e)
		}
		for j, e := range made {
			want := copies[j].Apply(nil, frame)
			require.True(t, bytes.Equal(want, bytesOf(e)), "round %d, copy %d of %d, %+v: want %x got %x", i, j, len(copies), copies[j], want[:14], bytesOf(e)[:14])
			require.EqualValues(t, len(want), e.length)
		}
		for _, e := range made {
			b.release(e)
		}
		require.Equal(t, inUse, b.mem.InUse(), "round %d", i)
		require.Zero(t, b.skbs)
	}
	assert.NotZero(t, inPlace)
	assert.NotZero(t, shared)
	t.Logf("%d in place, %d with a head of their own", inPlace, shared)
}

// A head that is put in its place in memory can be fetched by a device: every
// piece lies where its address says.
func TestASettledFrameLiesWhereItsAddressesSay(t *testing.T) {
	b := newBare(t, 8, func(*syscall.Task) error { return nil })
	frame := make([]byte, 1000)
	for i := range frame {
		frame[i] = byte(i)
	}
	for _, pull := range []int{0, 20, pulled, 5000} {
		s := b.make(frame, true)
		s.holders++
		e := b.edited(s, &bridge.Copy{Port: 1, Tag: 0x81000005})
		require.True(t, e.headed)
		require.True(t, b.settle(e, pull))
		require.True(t, bytes.Equal(b.mem.Bytes(e.addr, len(e.data)), e.data))
		for _, f := range e.frags.buf[:e.nfrags] {
			require.True(t, bytes.Equal(b.mem.Bytes(f.addr, len(f.data)), f.data))
		}
		want := bridge.Copy{Tag: 0x81000005}.Apply(nil, frame)
		require.Equal(t, want, bytesOf(e))
		b.release(e)
		b.release(s)
	}
	require.Equal(t, 0, b.skbs)
}

// A frame that gets a tag from every bridge that it passes stays in few pieces, and
// one that falls to too many all the same, dies
// and breaks nothing.
func TestAFrameIsEditedAnyNumberOfTimes(t *testing.T) {
	b := newBare(t, 8, func(*syscall.Task) error { return nil })
	inUse := b.mem.InUse()
	for _, n := range []int{14, 60, 4000, 9000, 65549} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(i)
		}
		s, edits := b.make(want, false), 0
		for ; edits < 4000; edits++ {
			cp := bridge.Copy{Port: 1, Tag: [...]uint32{0x81000001, 0x88a80001}[edits%2]}
			want = cp.Apply(nil, want)
			if s = b.edited(s, &cp); s.headed && !b.settle(s, pulled) {
				break
			}
		}
		require.True(t, bytes.Equal(want, bytesOf(s)))
		assert.Greater(t, edits, map[bool]int{true: 1024, false: 60}[n <= 9000], "%d bytes", n)
		b.release(s)
		require.Equal(t, inUse, b.mem.InUse())
	}
}
