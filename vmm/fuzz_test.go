package vmm_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vmm"
)

// A hostile guest does what its list of calls says: it writes anywhere in its memory and
// rings doorbells, its own and those of queues that it does not have. Now and then it
// resets its device.
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
	switch op := h.next(); {
	case op == 255:
		h.dev.Reset()
	case op%4 < 2:
		at := (int(h.next()) | int(h.next())<<8) % (h.mem.Size() - 1)
		binary.LittleEndian.PutUint16(h.mem.Bytes(0, h.mem.Size())[at:], uint16(h.next())|uint16(h.next())<<8)
	case op%4 == 2:
		h.dev.Kick(int(op>>3)%3, op&4 != 0)
	default:
		h.Work(sim.Time(1+op) * 100 * sim.Nanosecond)
	}
	return true
}

// rings is where the guest's rings are, and where they end.
func rings() (l virtio.Pair, at mem.Addr) {
	l.Rx, at = virtio.Place(0, 8)
	l.Tx, at = virtio.Place(at, 8)
	return l, at
}

// filled is a guest's memory that do has written to.
func filled(do func(m *mem.Memory, l virtio.Pair, at mem.Addr)) []byte {
	m := mem.New(8 << 10)
	l, at := rings()
	do(m, l, at)
	return m.Bytes(0, 4096)
}

// serve starts a VMM's thread on the rig.
func serve(r *kerneltest.Rig) func(kernel.Served) error {
	return func(s kernel.Served) error {
		c := vmm.Config{
			Rx: s.Rx, Tx: s.Tx, Mergeable: s.Features.Has(virtio.FMrgRxbuf), Longest: s.Longest,
			Tag: s.Tag, Late: s.Late, Broken: s.Broken,
		}
		return r.Spawn(kernel.Process{Name: s.Name, ID: s.VM, CPU: s.CPU, Memory: s.Memory, Files: s.Files, Program: c.Main})
	}
}

// Whatever is in a guest's memory, and whatever it does: the VMM's thread goes on or
// stops the device, no frame is lost or made up, and every other guest has what is for
// it.
func FuzzHostileGuest(f *testing.F) {
	frame := kerneltest.Frame(kerneltest.Station(0), kerneltest.Station(100), 64, 9)
	sound := filled(func(m *mem.Memory, l virtio.Pair, at mem.Addr) {
		r, _ := virtio.NewRing(m, l.Tx, 0)
		copy(m.Bytes(at+12, 64), frame)
		for range 4 {
			r.Driver.Add(0, []virtio.Buffer{{Addr: at, Len: 76}}, nil)
		}
		r, _ = virtio.NewRing(m, l.Rx, 0)
		for range 4 {
			r.Driver.Add(0, nil, []virtio.Buffer{{Addr: at + 2048, Len: 100}})
		}
	})
	f.Add(sound, []byte{6, 3, 6, 2}, byte(15))
	f.Add(sound, []byte{3, 3, 255, 6, 2}, byte(1))
	f.Add([]byte{}, []byte{6, 2, 0, 2, 0, 255, 255, 6, 2, 2, 2}, byte(0))
	f.Fuzz(func(t *testing.T, blob, ops []byte, features byte) {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 3, TapQueue: 8})
		good, err := r.AddVirtual("vnet1", 1, kerneltest.Station(101), kerneltest.VirtualConfig{CPU: 0, Worker: 1, Features: virtio.FVersion1})
		require.NoError(t, err)
		v, err := r.AddVCPU(kernel.VCPUConfig{Name: "hostile", ID: 0, CPU: 2})
		require.NoError(t, err)
		dev, err := r.AddVirtio(v, kernel.VirtioConfig{
			At: kernel.Interface{Port: bridge.PortConfig{Name: "vnet0"}}, CPU: 1, Backend: kernel.VMM, Serve: serve(r),
		})
		require.NoError(t, err)
		_, port, _ := r.Kernel.Port("vnet0")
		require.NoError(t, r.Bridge.Add(bridge.Entry{MAC: kerneltest.Station(100), Port: port, Kind: bridge.Static, Sticky: true}))
		h := &hostile{VCPU: v, dev: dev, mem: mem.New(8 << 10), ops: ops[:min(len(ops), 400)]}
		l, _ := rings()
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
		require.Equal(t, n, fromWire, "the other guest's frames")
		if dev.Err() != nil { // what was for it has met its end
			require.Zero(t, r.Balance().InFlight)
		}
	})
}
