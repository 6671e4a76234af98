package virtnet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/netstack"
	"ringside/offload"
	"ringside/virtio"
	"ringside/vm/virtnet"
)

// A pair that never runs dry does not keep the others from being polled: each pair is a
// NAPI instance of its own.
func TestPairsArePolledInTurn(t *testing.T) {
	f := newFake(t, virtio.Known)
	d := f.driver(virtnet.Config{Pairs: 3})
	require.NoError(t, f.probe())
	var got [3]int
	put := func(pair int) {
		dev := &f.rx[pair].Device
		var c virtio.Chain
		ok, err := dev.Next(f.now, &c)
		require.NoError(t, err)
		require.True(t, ok)
		n := copy(c.In[0], frame(offload.Meta{}, 1, 60+pair))
		dev.Push(f.now, c.Head, uint32(n))
	}
	put(1)
	put(2)
	for v := range 3 {
		d.Interrupt(2 * v)
	}
	for range 10 {
		for range 16 {
			put(0)
		}
		n, more := d.Poll(8, func(p *netstack.Packet) { got[p.Len-60]++ })
		require.True(t, more)
		require.LessOrEqual(t, n, 8)
		if got[1] > 0 && got[2] > 0 {
			return
		}
		d.Poll(8, func(p *netstack.Packet) { got[p.Len-60]++ })
	}
	t.Fatalf("packets of pairs 0, 1, 2: %v", got)
}
