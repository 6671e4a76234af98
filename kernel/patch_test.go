package kernel

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/syscall"
)

// newPatched is a bare kernel with a second bridge and a patch to it.
func newPatched(t *testing.T) (b *bare, x, y *netdev) {
	b = newBare(t, 8, func(*syscall.Task) error { return nil })
	other, err := bridge.New(bridge.Config{Name: "other"})
	require.NoError(t, err)
	require.NoError(t, b.AddBridge(other, HostStack{}))
	_, _, err = b.AddPatch(Interface{Port: bridge.PortConfig{Name: "x"}}, Interface{Bridge: other, Port: bridge.PortConfig{Name: "y"}})
	require.NoError(t, err)
	return b, b.netdev("x"), b.netdev("y")
}

// The backlog is a place like any other: frames on it are in flight and accounted
// for, they have to be polled, and there is room for so many.
func TestTheBacklogIsAPlaceOfFrames(t *testing.T) {
	b, x, y := newPatched(t)
	c := b.cpus[0]
	for range maxBacklog + 3 {
		s, err := b.allocSKB(60)
		require.NoError(t, err)
		x.transmit(c, s)
	}
	assert.EqualValues(t, maxBacklog, b.InFlight())
	assert.EqualValues(t, 3, b.drops[cost.Stack][cost.CPUBacklog])
	require.NoError(t, b.Check())
	assert.ErrorContains(t, b.CheckRest(), "1000 frames are on the backlog")

	var list [groNormalBatch]*skb
	n, dev := c.backlog.take(list[:])
	assert.Equal(t, groNormalBatch, n)
	assert.Same(t, y, dev, "they come in at the other end")
	assert.ErrorContains(t, b.Check(), "8 leaked", "whoever takes them has to hand them on")
}

// Frames of one interface in a row are taken together, and no others.
func TestTheBacklogKeepsTheOrder(t *testing.T) {
	b, x, y := newPatched(t)
	c := b.cpus[0]
	for _, dev := range []*netdev{x, x, y, x} {
		s, err := b.allocSKB(60)
		require.NoError(t, err)
		dev.transmit(c, s)
	}
	var list [groNormalBatch]*skb
	for _, want := range []struct {
		n   int
		dev *netdev
	}{{2, y}, {1, x}, {1, y}} {
		n, dev := c.backlog.take(list[:])
		assert.Equal(t, want.n, n)
		assert.Same(t, want.dev, dev)
	}
}

// A frame that others hold goes over a patch as one of its own, which alone counts
// that hop.
func TestEveryCopyCountsItsOwnHops(t *testing.T) {
	b, x, _ := newPatched(t)
	c := b.cpus[0]
	s, err := b.allocSKB(5000)
	require.NoError(t, err)
	for i := range s.data {
		s.data[i] = byte(i)
	}
	s.holders++
	x.transmit(c, s)
	over := c.backlog.queue[0].s
	assert.NotSame(t, s, over)
	assert.EqualValues(t, 1, over.hops)
	assert.Zero(t, s.hops)
	assert.EqualValues(t, 1, s.holders)
	assert.Equal(t, bytesOf(s), bytesOf(over))
	assert.Same(t, &s.data[0], &over.data[0], "the bytes are shared")
}

func TestInterfacesOfOneNameAreRefused(t *testing.T) {
	b, _, _ := newPatched(t)
	_, err := b.AddTap("x", 1)
	assert.ErrorIs(t, err, ErrName)
	br, err := bridge.New(bridge.Config{Name: "other"})
	require.NoError(t, err)
	assert.ErrorIs(t, b.AddBridge(br, HostStack{}), ErrName)
	_, err = b.AddTapAt(1, Interface{Bridge: br, Port: bridge.PortConfig{Name: "z"}})
	assert.ErrorContains(t, err, "z: the bridge was not added")
	assert.Error(t, b.Mirror("x", "x", ""))
	assert.Error(t, b.Mirror("nobody", "x", ""))
}
