package ringside_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/sim"
)

// A network is a random machine whose bridges hang together, and what its guests
// and wires got.
type network struct {
	cfg   ringside.Config
	wires []*line
	got   [][][]byte // by VM
	sent  [][]byte   // the broadcasts, by the wire that they came in by
	loops bool
	vlans bool
}

// newNetwork makes one: a tree of bridges, which may have more patches than it
// needs and a spanning tree then, or VLAN filtering. The broadcasts begin when it
// has settled.
func newNetwork(seed uint64) *network {
	r := rand.New(rand.NewPCG(seed, 7))
	n := &network{loops: r.IntN(2) == 0, vlans: r.IntN(2) == 0}
	for i := range 1 + r.IntN(5) {
		n.cfg.Bridges = append(n.cfg.Bridges, ringside.Bridge{Config: bridge.Config{
			STP: n.loops, Priority: r.IntN(4) << 12, VLANFiltering: n.vlans,
		}})
		if i > 0 {
			n.patch(r.IntN(i), i)
		}
	}
	some := func() string { return fmt.Sprintf("br%d", r.IntN(len(n.cfg.Bridges))) }
	for range r.IntN(4) {
		if n.loops {
			n.patch(r.IntN(len(n.cfg.Bridges)), r.IntN(len(n.cfg.Bridges)))
		}
	}
	for range 1 + r.IntN(3) {
		w := &line{}
		n.wires = append(n.wires, w)
		n.cfg.NICs = append(n.cfg.NICs, ringside.NIC{Wire: w, Bridge: some(), Port: n.port(r), Queues: 1 + r.IntN(2)})
	}
	n.got = make([][][]byte, 1+r.IntN(6))
	for i := range n.got {
		n.cfg.VMs = append(n.cfg.VMs, ringside.VM{Program: collect(&n.got[i]), Bridge: some(), Port: n.port(r), Batch: r.IntN(3)})
	}
	n.cfg.CPUs = 1 + r.IntN(5)
	n.play(r)
	return n
}

func (n *network) patch(a, b int) {
	end := func(i int) ringside.PatchEnd { return ringside.PatchEnd{Bridge: fmt.Sprintf("br%d", i)} }
	n.cfg.Patches = append(n.cfg.Patches, ringside.Patch{A: end(a), B: end(b)})
}

// port is one that takes and gives the frames of VLAN 1 with a tag or without.
func (n *network) port(r *rand.Rand) bridge.PortConfig {
	if n.vlans && r.IntN(2) == 0 {
		return trunk(1)
	}
	return bridge.PortConfig{}
}

func (n *network) play(r *rand.Rand) {
	at := sim.Millisecond
	if n.loops {
		at = 60 * sim.Second
	}
	for i := range 40 {
		at += sim.Time(r.IntN(200)) * sim.Microsecond
		to := r.IntN(len(n.wires))
		f := append(frame(0xff, byte(1+to)), make([]byte, r.IntN(1400))...)
		binary.BigEndian.PutUint32(f[14:], uint32(0xbeef0000+i))
		n.sent = append(n.sent, f)
		if len(n.cfg.NICs[to].Port.VLANs) > 0 {
			f = tag(1, f)
		}
		w := n.wires[to]
		w.frames = append(w.frames, frameAt(i, at, f))
	}
}

// In every such network every guest and every other wire gets every broadcast
// once, with its bytes, tagged where the port says so.
func TestEveryBroadcastIsEverywhereOnce(t *testing.T) {
	for seed := range uint64(60) {
		n := newNetwork(seed)
		what := fmt.Sprintf("seed %d: %d bridges, %d patches, loops %v, VLANs %v", seed, len(n.cfg.Bridges), len(n.cfg.Patches), n.loops, n.vlans)
		h, err := ringside.New(n.cfg)
		require.NoError(t, err, what)
		require.NoError(t, h.Run(), what)
		hash := h.Hash.String()
		h.Close()
		for i, got := range n.got {
			require.Equal(t, 40, n.once(got, n.cfg.VMs[i].Port), "%s, vm%d", what, i)
		}
		total := 0
		for i, w := range n.wires {
			total += n.once(w.sent, n.cfg.NICs[i].Port)
		}
		require.Equal(t, 40*(len(n.wires)-1), total, what)

		again := newNetwork(seed)
		h, err = ringside.New(again.cfg)
		require.NoError(t, err)
		require.NoError(t, h.Run())
		require.Equal(t, hash, h.Hash.String(), "%s: the second run", what)
		h.Close()
	}
}

// once counts the broadcasts that are among the frames of a port exactly once.
func (n *network) once(got [][]byte, port bridge.PortConfig) (count int) {
	for _, want := range n.sent {
		if len(port.VLANs) > 0 {
			want = tag(1, want)
		}
		times := 0
		for _, f := range got {
			if bytes.Equal(f, want) {
				times++
			}
		}
		if times == 1 {
			count++
		}
	}
	return count
}
