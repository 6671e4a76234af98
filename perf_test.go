package ringside_test

import (
	"bufio"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/internal/gate"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
	"ringside/xdp"
)

// These tests hold the promises of speed and memory. What a busy machine cannot
// disturb is always asked: allocations, bytes, goroutines. Rates are printed, and
// asked when RINGSIDE_PERF=1 says that the machine is free for it.

// timed says that rates are to be asked, not only printed.
func timed() bool { return os.Getenv("RINGSIDE_PERF") == "1" && !gate.Race }

// rate is a wire with a frame every microsecond, without end, for one station
// after another.
type rate struct {
	frame []byte
	to    []bridge.MAC
	sent  uint64
}

func newRate(size, stations int) *rate {
	r := &rate{frame: make([]byte, size)}
	copy(r.frame[6:], []byte{0x02, 0xfa, 0, 0, 0, 1, 0x08, 0x00})
	for i := range stations {
		r.to = append(r.to, bridge.MAC{0x02, 0, 0, 0, byte(i>>8) + 1, byte(i)})
	}
	return r
}

func (r *rate) Receive(f *nic.WireFrame) bool {
	copy(r.frame, r.to[r.sent%uint64(len(r.to))][:])
	f.ID, f.At, f.Data = r.sent+1, sim.Time(r.sent)*sim.Microsecond, r.frame
	r.sent++
	return true
}

func (r *rate) Transmit(*nic.WireFrame) {}

// A frame crosses the whole path, wire to guest and back where the guest answers,
// without one allocation.
func TestNoAllocationOnThePath(t *testing.T) {
	for _, tt := range []struct {
		name    string
		size    int
		guests  int
		program vm.Program
		change  func(*ringside.Config)
	}{
		{"small", 60, 1, vm.Sink, nil},
		{"large", 1514, 1, vm.Sink, nil},
		{"several descriptors", 9014, 1, vm.Sink, func(c *ringside.Config) { c.LinkBPS = 100e9 }},
		{"queues and guests", 60, 8, vm.Sink, func(c *ringside.Config) { c.Queues, c.ITR = 4, ringside.NoITR }},
		{"batches", 60, 2, vm.Sink, func(c *ringside.Config) {
			for i := range c.VMs {
				c.VMs[i].Batch = 32
			}
		}},
		{"reflected", 60, 2, vm.Reflect, nil},
		{"over a patch", 60, 2, vm.Reflect, func(c *ringside.Config) {
			c.Bridges, c.Patches = make([]ringside.Bridge, 2), make([]ringside.Patch, 1)
			for i := range c.VMs {
				c.VMs[i].Bridge = "br1"
			}
		}},
		{"a VLAN's tag put on", 60, 3, vm.Sink, func(c *ringside.Config) {
			c.Bridges = []ringside.Bridge{{Config: bridge.Config{VLANFiltering: true}}}
			for i := range c.VMs {
				c.VMs[i].Port, c.VMs[i].Known = trunk(1), nil // flooded, each copy with a head of its own
			}
		}},
		{"mirrored", 60, 1, vm.Sink, func(c *ringside.Config) {
			c.NICs = []ringside.NIC{{MirrorIn: "spy"}}
			c.VMs = append(c.VMs, ringside.VM{Program: vm.Sink, Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}})
		}},
		{"path xdp", 60, 4, vm.Sink, func(c *ringside.Config) { c.Path = ringside.XDP }},
		{"path afxdp", 60, 2, vm.Reflect, func(c *ringside.Config) { c.Path = ringside.AFXDP }},
		{"path afxdp, copy", 60, 2, vm.Reflect, func(c *ringside.Config) { c.Path, c.XSKCopy = ringside.AFXDP, true }},
		{"dropped by a program", 60, 1, vm.Sink, func(c *ringside.Config) { c.XDP.Program = passOne(xdp.DropTouch) }},
		{"sent back by a program", 60, 1, vm.Sink, func(c *ringside.Config) { c.XDP.Program = passOne(xdp.SwapTx) }},
		{"too slow", 60, 1, vm.Slow(10 * sim.Microsecond), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newRate(tt.size, tt.guests)
			cfg := ringside.Config{Seed: 1, Wire: w}
			for _, mac := range w.to {
				cfg.VMs = append(cfg.VMs, ringside.VM{Program: tt.program, MAC: mac, Known: []bridge.MAC{mac}})
			}
			if tt.change != nil {
				tt.change(&cfg)
			}
			h, err := ringside.New(cfg)
			require.NoError(t, err)
			defer h.Close()
			frames := sim.Time(200_000)
			if gate.Race {
				frames /= 10
			}
			require.NoError(t, h.RunUntil(20*sim.Millisecond)) // everything has its size
			before := h.Report().Conservation
			allocs, bytes := allocated(func() {
				require.NoError(t, h.Engine.RunUntil(h.Engine.Now()+frames*sim.Microsecond))
			})
			require.NoError(t, h.Check())
			after := h.Report().Conservation
			require.Greater(t, after.In-before.In, uint64(frames/2), "frames; a large one takes the link longer than a microsecond")
			require.Greater(t, after.ToVMs, before.ToVMs)
			t.Logf("%d allocations, %d bytes in %d frames", allocs, bytes, after.In-before.In)
			// The runtime has some of its own now and then.
			require.Less(t, allocs, uint64(50), "allocations in %d frames", frames)
			// A device's packet buffer of 64 KiB is made when it is first needed.
			require.Less(t, bytes, uint64(256<<10), "bytes in %d frames", frames)
		})
	}
}

// passOne is the program p, but that one frame in a thousand passes.
func passOne(p xdp.Program) xdp.Program {
	n := 0
	return func(x *xdp.Context) xdp.Action {
		if n++; n%1000 == 0 {
			return xdp.Pass
		}
		return p(x)
	}
}

// allocated counts what f allocates, with the collector off.
func allocated(f func()) (allocs, bytes uint64) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// writePcap writes a capture of n frames of 60 bytes, one every microsecond, for
// so many stations in turn.
func writePcap(t *testing.T, n, stations int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "big.pcap")
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	head := make([]byte, 24)
	binary.LittleEndian.PutUint32(head, 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(head[4:], 2)
	binary.LittleEndian.PutUint16(head[6:], 4)
	binary.LittleEndian.PutUint32(head[16:], 262144)
	binary.LittleEndian.PutUint32(head[20:], 1)
	w.Write(head)
	rec := make([]byte, 16+60)
	binary.LittleEndian.PutUint32(rec[8:], 60)
	binary.LittleEndian.PutUint32(rec[12:], 60)
	copy(rec[16:], []byte{2, 0, 0, 0, 1, 0, 2, 0xfa, 0, 0, 0, 1, 8, 0})
	for i := range n {
		binary.LittleEndian.PutUint32(rec, uint32(1_600_000_000+i/1_000_000))
		binary.LittleEndian.PutUint32(rec[4:], uint32(i%1_000_000))
		rec[16+5] = byte(i % stations)
		w.Write(rec)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
	return name
}

// A replay's memory does not depend on the length of the file, and a long file is
// read, played and billed at three million frames a second.
//
// How fast depends on what the machine has to do. With one station its guest
// finds a queue when it comes to look. With four in turn every second frame wakes
// a guest that sleeps, which is the most there can be for a frame to pay; that
// rate is printed only.
func TestLargeCapture(t *testing.T) {
	t.Run("one station", func(t *testing.T) {
		if perS := largeCapture(t, 1); timed() {
			require.Greater(t, perS, 3e6, "frames a second")
		}
	})
	t.Run("four in turn", func(t *testing.T) { largeCapture(t, 4) })
}

// largeCapture plays a million frames, and a tenth of them, and returns how many
// in a second.
func largeCapture(t *testing.T, stations int) float64 {
	million := 1_000_000
	if gate.Race {
		million /= 20
	}
	file := writePcap(t, million, stations)
	play := func(limit int) (rep *ringside.Report, inUse uint64) {
		var live runtime.MemStats
		rep, err := ringside.Replay{Files: []string{file}, Limit: uint64(limit)}.Run(ringside.Config{Seed: 1}, func(*ringside.Host) error {
			runtime.GC()
			runtime.ReadMemStats(&live)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, uint64(limit), rep.Conservation.ToVMs)
		return rep, live.HeapAlloc
	}
	play(million / 10) // what a process makes once is made
	var short, long uint64
	_, shortTotal := allocated(func() { _, short = play(million / 10) })
	best, work := time.Duration(1<<62), time.Duration(1<<62)
	var longTotal uint64
	for range 3 {
		start, cpu := time.Now(), cpuTime()
		_, longTotal = allocated(func() { _, long = play(million) })
		best, work = min(best, time.Since(start)), min(work, cpuTime()-cpu)
	}
	perS := float64(million) / best.Seconds()
	t.Logf("%.2f million frames a second, both readings included, %v of CPU time for them; %d KiB allocated for a tenth of the file and %d for all, %d and %d in use",
		perS/1e6, work, shortTotal>>10, longTotal>>10, short>>10, long>>10)
	require.Less(t, longTotal, shortTotal+1<<20, "bytes allocated: they grow with the file")
	require.Less(t, long, short+1<<20, "bytes in use at the end: they grow with the file")
	return perS
}

// A thousand guests start in a fifth of a second, and each takes less than 32 KiB
// beside its rings.
func TestThousandGuests(t *testing.T) {
	const guests, most = 1000, 32 << 10
	make1 := func(n int) *ringside.Host {
		cfg := ringside.Config{Seed: 1, CPUs: 5, RAM: 8 << 20}
		for range n {
			cfg.VMs = append(cfg.VMs, ringside.VM{Program: vm.Sink})
		}
		h, err := ringside.New(cfg)
		require.NoError(t, err)
		require.NoError(t, h.Run())
		return h
	}
	make1(1).Close()
	best := time.Duration(1 << 62)
	for range 5 {
		start := time.Now()
		h := make1(guests)
		best = min(best, time.Since(start))
		h.Close()
	}

	one := make1(1)
	defer one.Close()
	before := memoryInUse()
	h := make1(guests)
	each := (memoryInUse() - before) / guests
	rep := h.Report()
	h.Close()
	require.Len(t, rep.VMs, guests)
	require.GreaterOrEqual(t, rep.Totals.Syscalls, uint64(guests), "each waits for its first frame")
	t.Logf("started in %v, %d bytes each, stack included and the machine's own 8 MiB of memory shared out", best, each)
	if gate.Race {
		return // every stack and every allocation is larger
	}
	require.Less(t, each-8<<20/guests, uint64(most), "bytes a guest")
	limit := 200 * time.Millisecond
	if !timed() {
		limit *= 5 // others may be using the machine
	}
	require.Less(t, best, limit, "time to start")
}

// memoryInUse is the heap that is in use and the stacks of all goroutines.
func memoryInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// A machine that is closed leaves no goroutine behind, however far it has come.
func TestNoGoroutineIsLeft(t *testing.T) {
	list, err := gate.Scenarios("testdata")
	require.NoError(t, err)
	before := runtime.NumGoroutine()
	for _, s := range list {
		if s.Small {
			gate.Run(s, "", false)
		}
	}
	left := func(what string) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("%s: %d goroutines, %d before:\n%s", what, runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			}
			time.Sleep(time.Millisecond) // they end by themselves, but not at once
		}
	}
	left("machines that came to rest")

	w := newRate(60, 20)
	cfg := ringside.Config{Seed: 1, Wire: w}
	for _, mac := range w.to {
		cfg.VMs = append(cfg.VMs, ringside.VM{Program: vm.Slow(sim.Millisecond), Known: []bridge.MAC{mac}})
	}
	h, err := ringside.New(cfg)
	require.NoError(t, err)
	h.Close()
	left("a machine that never ran")
	h, err = ringside.New(cfg)
	require.NoError(t, err)
	require.NoError(t, h.RunUntil(3*sim.Millisecond))
	require.Greater(t, runtime.NumGoroutine(), before)
	h.Close()
	h.Close()
	left("a machine closed in the middle")

	cfg.Queues = 99
	_, err = ringside.New(cfg)
	require.Error(t, err)
	left("a machine that could not be made")

	both := func() ringside.LabConfig {
		return ringside.LabConfig{
			Hosts: []ringside.LabHost{{Config: ringside.Config{VMs: []ringside.VM{
				{Addresses: []netip.Prefix{addr(2)}, Processes: process("serve", bulkServer)},
				{Addresses: []netip.Prefix{addr(3)}, Processes: process("serve", bulkServer)},
			}}}},
			Peers: []ringside.Peer{{Addresses: []netip.Prefix{addr(1)}, Processes: append(
				process("send", bulkClient("192.0.2.2", 1<<20)), process("send too", bulkClient("192.0.2.3", 1<<30))...)}},
		}
	}
	for _, end := range []sim.Time{0, sim.Microsecond, 3 * sim.Millisecond} {
		l, err := ringside.NewLab(both())
		require.NoError(t, err)
		require.NoError(t, l.RunUntil(end))
		l.Close()
		l.Close()
		left("a lab with connections, closed in the middle")
	}
	wrong := both()
	wrong.Cables = []ringside.Cable{{A: ringside.End{NIC: "eth7"}}}
	_, err = ringside.NewLab(wrong)
	require.Error(t, err)
	wrong = both()
	wrong.Hosts[0].VMs[1].Addresses = append(wrong.Hosts[0].VMs[1].Addresses, netip.Prefix{})
	_, err = ringside.NewLab(wrong)
	require.Error(t, err)
	left("labs that could not be made")

	bad := func(g *vm.Guest) error {
		_, err := g.Receive()
		if err == nil {
			panic("a guest's mistake")
		}
		return err
	}
	cfg = ringside.Config{Seed: 1, Wire: newRate(60, 2), VMs: []ringside.VM{{Program: bad, Known: []bridge.MAC{w.to[0]}}, {Program: vm.Sink}}}
	h, err = ringside.New(cfg)
	require.NoError(t, err)
	require.ErrorContains(t, h.Run(), "vm0: program panicked: a guest's mistake")
	h.Close()
	left("a machine with a guest that panicked")
}
