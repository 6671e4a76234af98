package kernel

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
	"ringside/virtio"
)

// A pump is a guest that sends its one frame as often as it is told to and counts what
// comes. It reads no byte and allocates nothing.
type pump struct {
	*VCPU
	dev    *VirtioNet
	rx, tx *virtio.Ring
	buffer uint32
	rxAt   mem.Addr
	frame  [1]virtio.Buffer
	send   int
	asleep bool
}

// pumps is two guests on a bridge: the first sends to the second.
type pumps struct {
	*Kernel
	from, to *pump
}

func newPumps(tb testing.TB, frame []byte, m offload.Meta, book *cost.Book) *pumps {
	tb.Helper()
	br, err := bridge.New(bridge.Config{})
	require.NoError(tb, err)
	var drops cost.Drops
	k, err := Boot(Config{
		Engine: sim.NewEngine(1), Memory: mem.New(64 << 20), Book: book, Hash: &trace.Hash{}, Drops: &drops, Bridge: br, CPUs: 4,
	})
	require.NoError(tb, err)
	tb.Cleanup(k.Close)
	p := &pumps{Kernel: k}
	for i, g := range [...]**pump{&p.from, &p.to} {
		*g = addPump(tb, k, i)
		require.NoError(tb, br.Add(bridge.Entry{MAC: bridge.MAC{2, 0, 0, 0, 0, byte(i)}, Port: (*g).dev.net.port, Kind: bridge.Static}))
	}
	at := p.from.rxAt + 256*mem.Addr(p.from.buffer)
	b := p.from.dev.pairs[0].memory(at, virtio.HdrLen+len(frame))
	virtio.PutHdr(b, m, 0)
	copy(b[virtio.HdrLen:], frame)
	p.from.frame[0] = virtio.Buffer{Addr: at, Len: uint32(len(b))}
	return p
}

func addPump(tb testing.TB, k *Kernel, i int) *pump {
	name := [...]string{"from", "to"}[i]
	v, err := k.AddVCPU(VCPUConfig{Name: name, CPU: 2 * i})
	require.NoError(tb, err)
	d, err := k.AddVirtio(v, VirtioConfig{At: Interface{Port: bridge.PortConfig{Name: name}}, CPU: 2*i + 1})
	require.NoError(tb, err)
	g := &pump{VCPU: v, dev: d, buffer: 4096}
	var l virtio.Pair
	l.Rx, g.rxAt = virtio.Place(0, 256)
	l.Tx, g.rxAt = virtio.Place(g.rxAt, 256)
	require.NoError(tb, d.Activate(mem.New(int(g.rxAt)+256*4096+70000), OfferedFeatures&^(virtio.FMQ|virtio.FCtrlVQ), []virtio.Pair{l}))
	g.rx, g.tx = d.Ring(0, false), d.Ring(0, true)
	g.fill()
	g.rx.Driver.KickNeeded()
	g.tx.Driver.DisableCalls()
	require.NoError(tb, v.Start(g))
	return g
}

// memory is bytes of the guest's memory.
func (w *vhost) memory(at mem.Addr, n int) []byte { return w.mem.Bytes(at, n) }

func (g *pump) fill() {
	var in [1]virtio.Buffer
	for g.rx.Driver.Free() > 0 {
		in[0] = virtio.Buffer{Addr: g.rxAt + mem.Addr(g.rx.Driver.NextHead())*mem.Addr(g.buffer), Len: g.buffer}
		g.rx.Driver.Add(g.Now(), nil, in[:])
	}
}

func (g *pump) Interrupt(int) { g.asleep = false }
func (g *pump) Timer()        { g.asleep = false }
func (g *pump) Close()        {}

func (g *pump) Run() bool {
	if g.asleep {
		return false
	}
	now := g.Now()
	for {
		if _, _, ok := g.tx.Driver.Get(now); !ok {
			break
		}
	}
	for n := 0; g.send > 0 && n < 64; n++ {
		if _, ok := g.tx.Driver.Add(now, g.frame[:], nil); !ok {
			break
		}
		g.send--
		if g.tx.Driver.KickNeeded() {
			g.dev.Kick(0, true)
		}
	}
	g.rx.Driver.DisableCalls()
	for n := 0; n < 64; n++ {
		if _, _, ok := g.rx.Driver.Get(g.Now()); !ok {
			break
		}
	}
	if g.rx.Driver.Free() > 32 {
		g.fill()
		if g.rx.Driver.KickNeeded() {
			g.dev.Kick(0, false)
		}
	}
	more, at := g.rx.Driver.EnableCalls(g.Now())
	if at != sim.Never {
		g.dev.CallAt(0, false, at)
	}
	if more {
		return true
	}
	if g.send > 0 { // room comes by itself
		more, at := g.tx.Driver.EnableCalls(g.Now())
		if at != sim.Never {
			g.dev.CallAt(0, true, at)
		}
		if more {
			return true
		}
	}
	g.asleep = true
	return false
}

// pump lets the first guest send n frames, few enough for all to wait on the tap.
func (p *pumps) pump(tb testing.TB, n int) {
	before := p.flow.ToVMs
	p.from.send = n
	p.from.WakeAt(p.eng.Now() + 1)
	if err := p.eng.RunToIdle(); err != nil {
		tb.Fatal(err)
	}
	if got := p.flow.ToVMs - before; got != uint64(n) {
		tb.Fatalf("%d of %d frames: %+v", got, n, p.flow)
	}
}

// pumped is a frame of the benchmarks: plain, or one that the bridge carries whole.
func pumped(n int) ([]byte, offload.Meta) {
	f := make([]byte, n)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 8, 0, 0x45})
	if n <= 1514 {
		return f, offload.Meta{}
	}
	f[23] = 6
	return f, offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv4, GSOSize: 1448, HdrLen: 66}
}

// From one guest to another nothing is allocated for a frame.
func TestVirtioPathAllocatesNothing(t *testing.T) {
	for _, n := range []int{60, 1514, 65226} {
		frame, m := pumped(n)
		p := newPumps(t, frame, m, cost.Unit())
		for range 20 {
			p.pump(t, 200)
		}
		assert.Zero(t, testing.AllocsPerRun(20, func() { p.pump(t, 200) }), "%d bytes", n)
	}
}

// From one guest's ring to another's: driver, kick, worker, bridge, tap, worker, call,
// driver; no stack and no program. Two copies of each byte.
func BenchmarkVirtio(b *testing.B) {
	book, err := cost.Open("linux-xeon")
	require.NoError(b, err)
	for _, n := range []int{60, 1514, 65226} {
		b.Run([...]string{"60", "1514", "64KiB"}[min(n/1000, 2)], func(b *testing.B) {
			frame, m := pumped(n)
			p := newPumps(b, frame, m, book)
			p.pump(b, 500)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= 500 {
				p.pump(b, min(left, 500))
			}
		})
	}
}
