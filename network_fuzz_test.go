package ringside_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/sim"
	"ringside/vm"
)

// An input is a fuzzer's bytes, read one after the other; zeros follow.
type input []byte

func (b *input) next() byte {
	if len(*b) == 0 {
		return 0
	}
	x := (*b)[0]
	*b = (*b)[1:]
	return x
}

func (b *input) upTo(n int) int { return int(b.next()) % n }
func (b *input) flip() bool     { return b.next()&1 != 0 }

// FuzzNetworks runs machines of any bridges, ports, patches and mirrors with any
// frames at all. Every oracle holds in each: no frame is lost or made up, none
// leaks, tables are sound; and the second run is the first again.
func FuzzNetworks(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 1, 1, 2, 0, 1, 3, 1, 1, 0, 1, 0, 0, 1, 1, 1, 7, 9, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	for i := range 24 {
		seed := make([]byte, 400)
		for j := range seed {
			seed[j] = byte(i*131 + j*j*7 + j*i)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first := runFuzzed(t, data)
		require.Equal(t, first, runFuzzed(t, data), "the second run")
	})
}

// runFuzzed is the hash of a run, or how it was refused.
func runFuzzed(t *testing.T, data []byte) string {
	in := input(data)
	cfg := in.machine()
	h, err := ringside.New(cfg)
	if err != nil {
		return err.Error()
	}
	defer h.Close()
	require.NoError(t, h.RunUntil(25*sim.Millisecond)) // a storm has to end somewhere
	require.True(t, h.Report().Conservation.Balanced)
	return h.Hash.String()
}

func (b *input) machine() (cfg ringside.Config) {
	cfg.Seed, cfg.TapQueue, cfg.RAM = uint64(b.next()), 32, 4<<20
	for range 1 + b.upTo(3) {
		c := bridge.Config{STP: b.flip(), VLANFiltering: b.flip(), NoSnooping: b.flip(), ForwardDelay: 2 * sim.Second}
		c.Multicast.Querier = b.flip()
		if b.flip() {
			c.VLANProtocol = bridge.Dot1AD
		}
		cfg.Bridges = append(cfg.Bridges, ringside.Bridge{Config: c})
	}
	some := func() string { return fmt.Sprintf("br%d", b.upTo(len(cfg.Bridges))) }
	mirror := func() string { return []string{"", "", "eth0", "tap0", "patch0a"}[b.upTo(5)] }
	for range 1 + b.upTo(2) {
		w := &line{}
		cfg.NICs = append(cfg.NICs, ringside.NIC{Wire: w, Bridge: some(), Port: b.port(), MTU: b.mtu(), MirrorIn: mirror(), MirrorOut: mirror()})
	}
	for range b.upTo(4) {
		v := ringside.VM{Program: vm.Sink, Bridge: some(), Port: b.port(), MTU: b.mtu(), MirrorIn: mirror(), Batch: b.upTo(4)}
		if b.flip() {
			v.Program = vm.Reflect
		}
		cfg.VMs = append(cfg.VMs, v)
	}
	for range b.upTo(3) {
		cfg.Patches = append(cfg.Patches, ringside.Patch{
			A: ringside.PatchEnd{Bridge: some(), Port: b.port(), MTU: b.mtu(), MirrorOut: mirror()},
			B: ringside.PatchEnd{Bridge: some(), Port: b.port()},
		})
	}
	b.frames(cfg.NICs)
	return cfg
}

func (b *input) mtu() int { return []int{0, 0, 68, 1500}[b.upTo(4)] }

func (b *input) port() (c bridge.PortConfig) {
	x := binary.LittleEndian.Uint16([]byte{b.next(), b.next()})
	bit := func(i int) bool { return x>>i&1 != 0 }
	c.NoLearning, c.NoFlood, c.Hairpin, c.Isolated = bit(0), bit(1), bit(2), bit(3)
	c.McastToUnicast, c.FastLeave, c.Locked, c.LinkDown = bit(4), bit(5), bit(6), bit(7) && bit(8)
	c.NeighSuppress, c.NoPVID, c.Guard = bit(9), bit(10), bit(11)
	if bit(12) {
		c.McastRouter = snoop.RouterNever
	}
	if bit(13) {
		c.VLANs = []bridge.VLAN{{VID: 2, PVID: bit(14), Untagged: bit(15)}, {VID: 3, End: 5}}
	}
	return c
}

// frames puts frames on the wires: a header of a few addresses, perhaps tags, and
// whatever bytes there are.
func (b *input) frames(nics []ringside.NIC) {
	at := sim.Millisecond
	for i := 0; len(*b) > 0 && i < 200; i++ {
		f := frame(byte(b.upTo(6)), byte(b.upTo(6)))
		switch b.upTo(6) {
		case 0:
			copy(f, frame(0xff, 0)[:6])
		case 1:
			copy(f, []byte{0x01, 0x00, 0x5e, 1, 2, byte(b.upTo(3))})
		case 2:
			copy(f, []byte{0x01, 0x80, 0xc2, 0, 0, byte(b.upTo(16))})
		}
		for range b.upTo(4) {
			tpid := []uint32{0x8100, 0x88a8}[b.upTo(2)]
			f = bridge.Copy{Tag: tpid<<16 | uint32(b.upTo(7))}.Apply(nil, f)
		}
		n, behind := b.upTo(40), 12+b.upTo(8)
		n = min(n, len(*b))
		copy(f[behind:], (*b)[:n])
		*b = (*b)[n:]
		f = append(f, make([]byte, []int{0, 0, 40, 1440, 1460, 3000, 9000}[b.upTo(7)])...)
		at += sim.Time(b.upTo(100)) * sim.Microsecond
		w := nics[i%len(nics)].Wire.(*line)
		w.frames = append(w.frames, frameAt(i, at, f[:max(14, len(f)-b.upTo(50))]))
	}
}
