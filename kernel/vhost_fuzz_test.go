package kernel_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/virtio"
)

// A hostile guest does what its list of calls says: it writes anywhere in its memory and
// rings doorbells, its own and those of queues that it does not have.
type hostile struct {
	*kernel.VCPU
	dev *kernel.VirtioNet
	mem *mem.Memory
	ops []byte
}

func (h *hostile) Interrupt(int) {}
func (h *hostile) Timer()        {}
func (h *hostile) Close()        {}

func (h *hostile) next() (b byte) {
	if len(h.ops) > 0 {
		b, h.ops = h.ops[0], h.ops[1:]
	}
	return b
}

func (h *hostile) Run() bool {
	if len(h.ops) == 0 {
		return false
	}
	switch op := h.next(); op % 4 {
	case 0, 1:
		at := (int(h.next()) | int(h.next())<<8) % (h.mem.Size() - 1)
		binary.LittleEndian.PutUint16(h.mem.Bytes(0, h.mem.Size())[at:], uint16(h.next())|uint16(h.next())<<8)
	case 2:
		h.dev.Kick(int(op>>3)%3, op&4 != 0)
	case 3:
		h.Work(sim.Time(1+op) * 100 * sim.Nanosecond)
	}
	return true
}

// Whatever is in a guest's memory, and whatever it does: the host goes on, no frame is
// lost or made up, every other guest has what is for it, and a broken ring is told.
func FuzzHostileGuest(f *testing.F) {
	fill := func(do func(m *mem.Memory, l virtio.Pair, at mem.Addr)) []byte {
		m := mem.New(8 << 10)
		l, at := hostileRings()
		do(m, l, at)
		return m.Bytes(0, 4096)
	}
	frame := kerneltest.Frame(kerneltest.Station(101), kerneltest.Station(100), 64, 9)
	f.Add(fill(func(m *mem.Memory, l virtio.Pair, at mem.Addr) {
		r, _ := virtio.NewRing(m, l.Tx, 0)
		copy(m.Bytes(at+12, 64), frame)
		for range 4 {
			r.Driver.Add(0, []virtio.Buffer{{Addr: at, Len: 76}}, nil)
		}
		r, _ = virtio.NewRing(m, l.Rx, 0)
		for range 4 {
			r.Driver.Add(0, nil, []virtio.Buffer{{Addr: at + 2048, Len: 100}})
		}
	}), []byte{6, 3, 6, 2}, byte(15))
	f.Add([]byte{}, []byte{6, 2, 0, 2, 0, 255, 255, 6, 2, 2, 2}, byte(0))
	f.Fuzz(func(t *testing.T, blob, ops []byte, features byte) {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 3, TapQueue: 8})
		good := virtual(t, r, 1, kerneltest.VirtualConfig{CPU: 0, Worker: 1, Features: allFeatures})
		v, err := r.AddVCPU(kernel.VCPUConfig{Name: "hostile", ID: 0, CPU: 2})
		require.NoError(t, err)
		dev, err := r.AddVirtio(v, kernel.VirtioConfig{At: kernel.Interface{Port: bridge.PortConfig{Name: "vnet0"}}, CPU: 1})
		require.NoError(t, err)
		_, port, _ := r.Kernel.Port("vnet0")
		require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Station(100), Port: port, Kind: bridge.Static, Sticky: true}))
		h := &hostile{VCPU: v, dev: dev, mem: mem.New(8 << 10), ops: ops[:min(len(ops), 400)]}
		l, _ := hostileRings()
		chosen := virtio.FVersion1
		for i, g := range []virtio.Features{virtio.FMrgRxbuf, virtio.FRingEventIdx, virtio.FCSUM | virtio.FHostTSO4 | virtio.FHostTSO6, virtio.FGuestCSUM | virtio.FGuestTSO4} {
			if features>>i&1 != 0 {
				chosen |= g
			}
		}
		copy(h.mem.Bytes(0, h.mem.Size()), blob)
		require.NoError(t, dev.Activate(h.mem, chosen, []virtio.Pair{l}))
		require.NoError(t, v.Start(h))
		const n = 12
		for i := range n {
			r.Play(sim.Time(i)*2*sim.Microsecond, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 60+i*40, byte(i)))
			r.Play(sim.Time(i)*2*sim.Microsecond, kerneltest.Frame(kerneltest.Station(101), kerneltest.Remote(0), 60, byte(i)))
		}
		require.NoError(t, r.Engine.RunUntil(10*sim.Millisecond))
		require.NoError(t, r.Check())
		require.Empty(t, good.Errors)
		fromWire := 0
		for _, g := range good.Got {
			if g.Tag.ID <= 2*n {
				fromWire++
			}
		}
		require.Equal(t, n, fromWire)
		if bad := r.Drops[cost.Vhost][cost.RSVringBad]; bad > 0 {
			require.Error(t, dev.Err())
			require.EqualValues(t, 1, bad)
			require.LessOrEqual(t, r.Balance().InFlight, uint64(0))
		}
	})
}

// hostileRings is where a hostile guest's rings are, and where they end.
func hostileRings() (l virtio.Pair, at mem.Addr) {
	l.Rx, at = virtio.Place(0, 8)
	l.Tx, at = virtio.Place(at, 8)
	return l, at
}
