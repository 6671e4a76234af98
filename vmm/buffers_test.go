package vmm

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/syscall"
	"ringside/virtio"
)

// The chains that wait to be filled are those that were added and not dropped, in order,
// with the pieces that they came with, however they move about in what is allocated.
func TestBuffersAreAQueue(t *testing.T) {
	m := mem.New(1 << 20)
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var b buffers
		var want []virtio.Chain
		for range 2000 {
			if k := rnd.IntN(len(want) + 1); rnd.IntN(3) == 0 && k > 0 {
				if k > 1 {
					b.drop(k)
				} else {
					b.dropFirst()
				}
				want = want[k:]
			} else if len(want) < 100 {
				c := virtio.Chain{Head: uint16(rnd.Uint32())}
				for range 1 + rnd.IntN(4) {
					n := virtio.HdrLen + rnd.IntN(100)
					c.In, c.InLen = append(c.In, m.Bytes(mem.Addr(rnd.IntN(1<<19)), n)), c.InLen+uint64(n)
				}
				require.NoError(t, b.add(&c, m))
				want = append(want, c)
			}
			check(t, &b, want, m)
		}
	}
}

func check(t *testing.T, b *buffers, want []virtio.Chain, m *mem.Memory) {
	t.Helper()
	room, descs, segs := 0, 0, []syscall.Segment{}
	require.Len(t, b.heads, len(want))
	for i, c := range want {
		require.Equal(t, head{head: c.Head, segs: int32(len(c.In)), descs: int32(len(c.In)), room: int(c.InLen)}, b.heads[i])
		room, descs = room+int(c.InLen), descs+len(c.In)
		for _, p := range c.In {
			at, _ := m.AddrOf(p)
			segs = append(segs, syscall.Segment{Addr: at, Len: len(p)})
		}
	}
	require.Equal(t, []int{room, descs}, []int{b.room, b.descs})
	require.Equal(t, segs, append([]syscall.Segment{}, b.segs...))
}

// A thread that holds as many chains as it needs allocates for none that it takes.
func TestBuffersAllocateNothingForAChain(t *testing.T) {
	m := mem.New(1 << 16)
	c := virtio.Chain{In: [][]byte{m.Bytes(0, 1536)}, InLen: 1536}
	for _, held := range []int{1, 7, 43, 200} {
		var b buffers
		for range held {
			require.NoError(t, b.add(&c, m))
		}
		turn := func() {
			b.dropFirst()
			if b.add(&c, m) != nil {
				t.Fatal("a chain is refused")
			}
		}
		assert.Zero(t, testing.AllocsPerRun(5000, turn), "%d held", held)
	}
}
