package nic_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
	"ringside/trace"
)

// Times at 10 Gbit/s and the prices of cost.Unit, one nanosecond an operation.
const (
	ns       = sim.Nanosecond
	us       = sim.Microsecond
	wire60   = 57600 * sim.Picosecond // preamble, 60 bytes, FCS
	slot60   = 67200 * sim.Picosecond // and the gap
	dma60    = 6 * ns                 // descriptor 2, data 1, transaction 1, write-back 2
	msix     = 2 * ns
	firstRx  = wire60 + dma60 // a 60-byte frame at time 0 is in memory
	firstIRQ = firstRx + msix // and its interrupt at the CPU
	hostMAC  = "\x02\x00\x00\x00\x00\x01"
	otherMAC = "\x02\x00\x00\x00\x00\x99"
)

// up brings a rig up; it fails the test if that goes wrong.
func up(t testing.TB, c nic.Config, o nictest.Options) *nictest.Driver {
	t.Helper()
	r, err := nictest.NewRig(c)
	require.NoError(t, err)
	d, err := nictest.Up(r, max(c.Queues, 1), o)
	require.NoError(t, err)
	return d
}

// frame is a frame of size bytes to dst, with bytes that depend on its id.
func frame(id uint64, dst string, size int) nic.WireFrame {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(id)*31 + byte(i)
	}
	copy(data, dst)
	if size >= 14 {
		copy(data[6:], "\x02\x00\x00\x00\x00\x02\x88\xb5")
	}
	return nic.WireFrame{ID: id, Data: data}
}

// frames are n frames to the host of size bytes, with ids from 1, all ready at
// time 0.
func frames(n, size int) (list []nic.WireFrame) {
	for i := range n {
		list = append(list, frame(uint64(i+1), hostMAC, size))
	}
	return list
}

// ids are the ids of received frames.
func ids(list []nictest.Frame) (ids []uint64) {
	for _, f := range list {
		ids = append(ids, f.Tag.ID)
	}
	return ids
}

// count is the ids from first to last.
func count(first, last uint64) (ids []uint64) {
	for i := first; i <= last; i++ {
		ids = append(ids, i)
	}
	return ids
}

// clean fails the test if the device found fault with itself or the driver.
func clean(t testing.TB, d *nictest.Driver) {
	t.Helper()
	require.NoError(t, d.NIC.Check())
	list, _ := d.NIC.Misuses()
	require.Empty(t, list)
}

func drops(d *nictest.Driver, r cost.DropReason) int { return int(d.Drops[cost.NIC][r]) }

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	good := func() nic.Config {
		return nic.Config{
			Engine: sim.NewEngine(1), Memory: mem.New(1 << 20), Account: cost.NewAccount("nic", cost.Unit(), true),
			Drops: new(cost.Drops), Hash: new(trace.Hash), Wire: &nictest.Wire{}, IRQ: &nictest.IRQ{},
		}
	}
	_, err := nic.New(good())
	require.NoError(t, err)
	for _, tt := range []struct {
		field  string
		breaks func(*nic.Config)
	}{
		{"Engine", func(c *nic.Config) { c.Engine = nil }},
		{"Memory", func(c *nic.Config) { c.Memory = nil }},
		{"Account", func(c *nic.Config) { c.Account = nil }},
		{"Account", func(c *nic.Config) { c.Account = cost.NewAccount("cpu0", cost.Unit(), false) }},
		{"Drops", func(c *nic.Config) { c.Drops = nil }},
		{"Hash", func(c *nic.Config) { c.Hash = nil }},
		{"Wire", func(c *nic.Config) { c.Wire = nil }},
		{"IRQ", func(c *nic.Config) { c.IRQ = nil }},
		{"MAC", func(c *nic.Config) { c.MAC[0] = 1 }},
		{"LinkBPS", func(c *nic.Config) { c.LinkBPS = 1 }},
		{"Queues", func(c *nic.Config) { c.Queues = 17 }},
		{"Queues", func(c *nic.Config) { c.Queues = -1 }},
		{"FIFO", func(c *nic.Config) { c.FIFO = 100 }},
	} {
		c := good()
		tt.breaks(&c)
		_, err := nic.New(c)
		assert.ErrorContains(t, err, "Config."+tt.field)
	}
}

func TestAFrameReachesMemoryAtItsTime(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	f := frame(7, hostMAC, 60)
	d.Wire.Play(f)
	d.NIC.CatchUp(firstRx - 1)
	assert.Empty(t, d.Harvest(0), "before the write-back")
	assert.EqualValues(t, 1, d.NIC.InFlight())
	d.Now = firstRx
	got := d.Harvest(0)
	require.Len(t, got, 1)
	assert.Equal(t, nic.Tag{ID: 7, Arrived: wire60, Done: firstRx}, got[0].Tag)
	assert.Equal(t, f.Data, got[0].Data)
	assert.EqualValues(t, nic.RxDD|nic.RxEOP, got[0].Status)
	assert.Zero(t, d.NIC.InFlight())
	require.NoError(t, d.Engine.RunToIdle())
	assert.Equal(t, []nictest.Interrupt{{Vector: 0, At: firstIRQ}}, d.IRQ.Log)
	clean(t, d)
}

// TestLineRate holds arrivals against the exact serialisation times of the
// standard speeds.
func TestLineRate(t *testing.T) {
	for _, tt := range []struct {
		gbit int
		size int
		slot sim.Time // from one arrival to the next at line rate
	}{
		{1, 60, 672 * ns}, {1, 1514, 12304 * ns},
		{10, 60, 67200}, {10, 1514, 1230400}, {10, 9000, 7219200},
		{25, 60, 26880}, {25, 1514, 492160},
		{40, 60, 16800}, {40, 1514, 307600},
		{100, 60, 6720}, {100, 1514, 123040},
		{10, 20, 67200}, {10, 59, 67200}, {10, 61, 68000}, // shorter ones are padded on the wire
	} {
		t.Run(fmt.Sprintf("%dG/%d", tt.gbit, tt.size), func(t *testing.T) {
			d := up(t, nic.Config{LinkBPS: uint64(tt.gbit) * 1e9}, nictest.Options{Polling: true, Buffer: 16384, Rctl: nic.RctlLPE, Descs: 64})
			d.Write(nic.RLPML, nic.MaxFrame)
			d.Wire.Play(frames(40, tt.size)...)
			d.Now = 40*tt.slot + 10*us
			got := d.Harvest(0)
			require.Len(t, got, 40)
			for i, f := range got {
				gap := 12 * 8 * sim.Second / sim.Time(tt.gbit) / 1e9
				require.Equal(t, sim.Time(i+1)*tt.slot-gap, f.Tag.Arrived, "frame %d", i)
			}
			clean(t, d)
		})
	}
}

func TestAnOddSpeedRoundsUp(t *testing.T) {
	d := up(t, nic.Config{LinkBPS: 7e9}, nictest.Options{Polling: true})
	d.Wire.Play(frame(1, hostMAC, 60))
	d.Now = us
	assert.Equal(t, sim.Time(82286), d.Harvest(0)[0].Tag.Arrived) // 72 bytes are 82285.71 ps
}

// TestAnIdleLinkWaitsForItsFrames says that a frame begins when it can, not
// before.
func TestAnIdleLinkWaitsForItsFrames(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true})
	late, next := frame(1, hostMAC, 60), frame(2, hostMAC, 60)
	late.At, next.At = 5*us, 5*us+10*ns
	d.Wire.Play(late, next)
	d.Now = 10 * us
	got := d.Harvest(0)
	assert.Equal(t, 5*us+wire60, got[0].Tag.Arrived)
	assert.Equal(t, 5*us+wire60+slot60, got[1].Tag.Arrived)
}

func TestTheWireCanGetSomethingLater(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	d.Wire.Play(frame(1, hostMAC, 60))
	require.NoError(t, d.Engine.RunToIdle())
	f := frame(2, hostMAC, 60)
	f.At = d.Engine.Now() + 100*ns
	d.Now = d.Engine.Now()
	d.Harvest(0)
	d.Write(nic.EIMS, 1)
	d.Wire.Play(f)
	require.NoError(t, d.Engine.RunToIdle())
	require.Len(t, d.IRQ.Log, 2)
	assert.Equal(t, f.At+firstIRQ, d.IRQ.Log[1].At)
	clean(t, d)
}

// TestNoTimerWhilePolling says that a driver that polls costs no events.
func TestNoTimerWhilePolling(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true})
	d.Wire.Play(frames(100, 60)...)
	assert.Equal(t, sim.Never, d.Engine.Next())
	d.Now = 10 * us
	assert.Len(t, d.Harvest(0), 100)
	assert.Equal(t, sim.Never, d.Engine.Next())
	assert.Zero(t, d.Engine.Fired())
}

// TestChargesAreExact holds the account against the frames: the charges of a
// burst are those of its frames one by one.
func TestChargesAreExact(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true, Buffer: 1024, Rctl: nic.RctlLPE})
	sizes := []int{60, 256, 257, 1024, 1025, 3000, 14}
	for i, s := range sizes {
		d.Wire.Play(frame(uint64(i), hostMAC, s))
	}
	d.Now = 100 * us
	require.Len(t, d.Harvest(0), len(sizes))
	a := d.Account
	// 1024 takes four transactions; 1025 a second descriptor; 3000 three.
	assert.Equal(t, cost.Line{Count: 10, Bytes: 160}, a.Line(cost.DevDescFetch))
	assert.Equal(t, cost.Line{Count: 10, Bytes: 60 + 256 + 257 + 1024 + 1025 + 3000 + 14}, a.Line(cost.DevRxDMA))
	assert.Equal(t, cost.Line{Count: 1 + 1 + 2 + 4 + 5 + 12 + 1}, a.Line(cost.DevTLP))
	assert.Equal(t, cost.Line{Count: 10, Bytes: 160}, a.Line(cost.DevRxWriteback))
	assert.EqualValues(t, len(sizes), a.FramesAt(cost.NIC))
	assert.EqualValues(t, 10*5*ns+26*ns, a.Ticks())
}

// scenario drives a NIC of four queues from a seed: frames of all kinds, polls,
// interrupts, transmissions. It returns the hash and everything that was seen.
func scenario(t testing.TB, seed uint64) (string, string) {
	e := sim.NewEngine(seed)
	d := up(t, nic.Config{Engine: e, Queues: 4, FIFO: 8 << 10}, nictest.Options{RSS: true, Descs: 32, Rctl: nic.RctlLPE | nic.RctlUPE})
	for v := range 4 {
		d.Write(nic.EITR(v), 20<<nic.EitrIntervalShift)
	}
	rng := e.Rand("scenario")
	flow := flows(64, 9000)
	at := sim.Time(0)
	for i := range 3000 {
		data := flow[rng.IntN(len(flow))][:14+rng.IntN(2000)]
		if rng.IntN(50) == 0 {
			data = data[:rng.IntN(20)]
		}
		at += sim.Time(rng.IntN(2000)) * ns
		d.Wire.Frames = append(d.Wire.Frames, nic.WireFrame{ID: uint64(i + 1), At: at, Data: data})
	}
	var seen bytes.Buffer
	d.IRQ.Then = func(v int, at sim.Time) {
		d.Now = at + sim.Time(rng.IntN(30))*us
		for _, f := range d.Harvest(v) {
			fmt.Fprintln(&seen, v, f.Tag, len(f.Data), f.Hash, trace.Bytes(f.Data))
			if rng.IntN(4) == 0 && d.Tx[v].Unused() > 8 {
				d.Send(v, f.Tag, f.Data, 1000)
			}
		}
		d.Reap(v)
		d.Post(v, d.Rx[v].Unused())
		d.Write(nic.EIMS, 1<<v)
	}
	d.NIC.Arrive()
	require.NoError(t, e.RunToIdle())
	require.NoError(t, d.NIC.Check())
	fmt.Fprintln(&seen, d.IRQ.Log, *d.Drops, d.NIC.Counts(), d.Account.Ticks())
	for _, f := range d.Wire.Sent {
		fmt.Fprintln(&seen, f.ID, f.At, trace.Bytes(f.Data))
	}
	return d.Hash.String(), seen.String()
}

func TestSameSeedSameHash(t *testing.T) {
	hash1, seen1 := scenario(t, 5)
	hash2, seen2 := scenario(t, 5)
	assert.Equal(t, hash1, hash2)
	assert.Equal(t, seen1, seen2)
	hash3, seen3 := scenario(t, 6)
	assert.NotEqual(t, hash1, hash3)
	assert.NotEqual(t, seen1, seen3)
}

// TestCallsInBetweenChangeNothing says that the device is a function of time:
// looking at it more often does not change what it does.
func TestCallsInBetweenChangeNothing(t *testing.T) {
	run := func(step sim.Time) (tags []nic.Tag, log []nictest.Interrupt, drops cost.Drops, hash string) {
		d := up(t, nic.Config{LinkBPS: 100e9, FIFO: 4 << 10}, nictest.Options{Descs: 64, DropEN: false, Given: 40})
		d.Write(nic.EITR(0), 1<<nic.EitrIntervalShift)
		d.Wire.Play(frames(200, 200)...)
		for now := step; now < 8*us; now += step {
			require.NoError(t, d.Engine.RunUntil(now))
			d.NIC.CatchUp(now)
			if now == 4*us { // every step divides this
				d.Now = now
				for _, f := range d.Harvest(0) {
					tags = append(tags, f.Tag)
				}
				d.Post(0, 30)
				d.Write(nic.EIMS, 1)
			}
		}
		require.NoError(t, d.Engine.RunUntil(8*us))
		d.Now = 8 * us
		for _, f := range d.Harvest(0) {
			tags = append(tags, f.Tag)
		}
		clean(t, d)
		return tags, d.IRQ.Log, *d.Drops, d.Hash.String()
	}
	tags, log, drops, hash := run(4 * us)
	require.NotEmpty(t, tags)
	require.NotZero(t, drops.Total())
	for _, step := range []sim.Time{2 * us, 100 * ns, 16 * ns, 4 * ns} {
		tags2, log2, drops2, hash2 := run(step)
		assert.Equal(t, tags, tags2, "step %v", step)
		assert.Equal(t, log, log2, "step %v", step)
		assert.Equal(t, drops, drops2, "step %v", step)
		assert.Equal(t, hash, hash2, "step %v", step)
	}
}

func TestTheFramePathDoesNotAllocate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		queues int
		size   int
		o      nictest.Options
	}{
		{"small", 1, 60, nictest.Options{}},
		{"large", 1, 1514, nictest.Options{}},
		{"RSS", 4, 60, nictest.Options{RSS: true}},
		{"over several descriptors", 1, 3000, nictest.Options{Buffer: 1024, Rctl: nic.RctlLPE}},
		{"dropped for want of descriptors", 1, 60, nictest.Options{DropEN: true, Given: 8}},
		{"waiting for descriptors", 1, 60, nictest.Options{Given: 8}},
		{"not wanted", 1, 60, nictest.Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &loop{frames: flows(16, tt.size), left: 1 << 30}
			r, err := nictest.NewRig(nic.Config{Wire: w, Queues: tt.queues})
			require.NoError(t, err)
			if tt.name != "not wanted" {
				tt.o.Rctl |= nic.RctlUPE
			}
			d, err := nictest.Up(r, tt.queues, tt.o)
			require.NoError(t, err)
			dst := make([]byte, 60)
			copy(dst, otherMAC)
			allocs := testing.AllocsPerRun(200, func() {
				if d.NIC.InFlight() == 0 {
					d.NIC.Arrive()
				}
				d.Now += 10 * us
				_ = d.Engine.RunUntil(d.Now)
				d.NIC.CatchUp(d.Now)
				for q := range d.Rx {
					recycle(d, q)
					d.Write(nic.EIMS, 1<<q)
				}
			})
			assert.Zero(t, allocs)
			require.NoError(t, d.NIC.Check())
		})
	}
}

// sink writes down what it is shown.
type sink struct {
	frames []trace.Frame
	steps  []trace.Step
	watch  uint64
}

func (s *sink) Frame(f *trace.Frame) {
	c := *f
	c.Data = bytes.Clone(f.Data)
	s.frames = append(s.frames, c)
}
func (s *sink) Step(t trace.Step)       { s.steps = append(s.steps, t) }
func (s *sink) Watching(id uint64) bool { return id == s.watch }

func TestASinkSeesFramesAndSteps(t *testing.T) {
	s := &sink{watch: 1}
	d := up(t, nic.Config{Sink: s}, nictest.Options{})
	a, b := frame(1, hostMAC, 60), frame(2, otherMAC, 60)
	d.Wire.Play(a, b)
	require.NoError(t, d.Engine.RunToIdle())
	type sight struct {
		id      uint64
		at      sim.Time
		point   trace.Point
		tx      bool
		verdict trace.Verdict
		reason  cost.DropReason
		queue   int32
		size    int
	}
	sights := func() (list []sight) {
		for _, f := range s.frames {
			assert.EqualValues(t, -1, f.Port)
			assert.EqualValues(t, -1, f.VM)
			assert.Equal(t, f.Len, len(f.Data))
			list = append(list, sight{f.ID, f.At, f.Point, f.Tx, f.Verdict, f.Reason, f.Queue, f.Len})
		}
		return list
	}
	d.Now = us
	d.NIC.CatchUp(d.Now)
	assert.Equal(t, []sight{
		{1, wire60, trace.Wire, false, trace.Pass, 0, -1, 60},
		{1, firstRx, trace.NIC, false, trace.Pass, 0, 0, 60},
		{2, wire60 + slot60, trace.Wire, false, trace.Pass, 0, -1, 60},
		{2, wire60 + slot60, trace.NIC, false, trace.Drop, cost.NICRxFilter, 0, 60},
	}, sights())
	assert.Equal(t, []trace.Step{
		{ID: 1, At: firstRx, CPU: -1, Step: cost.DevDescFetch, N: 1, Bytes: 16},
		{ID: 1, At: firstRx, CPU: -1, Step: cost.DevRxDMA, N: 1, Bytes: 60},
		{ID: 1, At: firstRx, CPU: -1, Step: cost.DevTLP, N: 1},
		{ID: 1, At: firstRx, CPU: -1, Step: cost.DevRxWriteback, N: 1, Bytes: 16},
		{At: firstIRQ, CPU: -1, Step: cost.DevMSIX, N: 1, Note: "vector 0"},
	}, s.steps)

	s.frames, s.steps, s.watch = nil, nil, 3
	d.Send(0, nic.Tag{ID: 3}, a.Data, 0)
	fetched := us + (2+1+1)*ns
	assert.Equal(t, []sight{
		{3, fetched, trace.NIC, true, trace.Pass, 0, 0, 60},
		{3, fetched + wire60, trace.Wire, true, trace.Deliver, 0, 0, 60},
	}, sights())
	assert.Equal(t, []trace.Step{
		{ID: 3, At: fetched, CPU: -1, Step: cost.DevDescFetch, N: 1, Bytes: 16},
		{ID: 3, At: fetched, CPU: -1, Step: cost.DevTxDMA, N: 1, Bytes: 60},
		{ID: 3, At: fetched, CPU: -1, Step: cost.DevTLP, N: 1},
		{ID: 3, At: fetched + 2*ns, CPU: -1, Step: cost.DevTxWriteback, N: 1, Bytes: 16},
	}, s.steps)
	clean(t, d)
}

// TestWatchingChangesNothing says that a run with a sink and one without have
// the same bill and the same hash.
func TestWatchingChangesNothing(t *testing.T) {
	run := func(s trace.Sink) (string, uint64) {
		d := up(t, nic.Config{Sink: s}, nictest.Options{Descs: 32, DropEN: true})
		d.Wire.Play(frames(100, 100)...)
		require.NoError(t, d.Engine.RunUntil(20*us))
		d.NIC.CatchUp(20 * us)
		return d.Hash.String(), d.Account.Ticks()
	}
	hash1, ticks1 := run(nil)
	hash2, ticks2 := run(&sink{watch: 3})
	assert.Equal(t, hash1, hash2)
	assert.Equal(t, ticks1, ticks2)
}

func TestRegistersAreErrorsWhenTheyDoNotExist(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reg   uint32
		write bool
		want  error
	}{
		{"unknown read", 0x0010, false, nic.ErrNoRegister},
		{"unknown write", 0x0010, true, nic.ErrNoRegister},
		{"odd address", nic.RCTL + 1, false, nic.ErrNoRegister},
		{"odd address in a table", nic.MTA(3) + 2, true, nic.ErrNoRegister},
		{"odd address in a queue", nic.RDT(0) + 1, true, nic.ErrNoRegister},
		{"hole in a queue's block", nic.RDBAL(0) + 0x1C, false, nic.ErrNoRegister},
		{"beyond a queue's block", nic.RDBAL(0) + 0x80, true, nic.ErrNoRegister},
		{"queue that does not exist", nic.RDT(2), true, nic.ErrNoRegister},
		{"queue that does not exist, transmit", nic.TDT(9), false, nic.ErrNoRegister},
		{"vector that does not exist", nic.EITR(nic.Vectors), true, nic.ErrNoRegister},
		{"past the address space", 0xFFFFFFFF, false, nic.ErrNoRegister},
		{"STATUS", nic.STATUS, true, nic.ErrReadOnly},
		{"statistics", nic.GPRC, true, nic.ErrReadOnly},
		{"RQDPC", nic.RQDPC(0), true, nic.ErrReadOnly},
		{"EICS", nic.EICS, false, nic.ErrWriteOnly},
		{"EIMC", nic.EIMC, false, nic.ErrWriteOnly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{Queues: 2}, nictest.Options{})
			var err error
			if tt.write {
				err = d.NIC.Write(tt.reg, 1, 5*ns)
			} else {
				_, err = d.NIC.Read(tt.reg, 5*ns)
			}
			require.ErrorIs(t, err, tt.want)
			list, n := d.NIC.Misuses()
			require.EqualValues(t, 1, n)
			assert.Equal(t, nic.RegisterName(tt.reg), list[0].Register)
			assert.Equal(t, 5*ns, list[0].At)
		})
	}
}

// TestPlainRegistersRemember writes every register that only remembers.
func TestPlainRegistersRemember(t *testing.T) {
	d := up(t, nic.Config{Queues: 16}, nictest.Options{Descs: 8})
	regs := []uint32{nic.CTRL_EXT, nic.VET, nic.TIPG, nic.DTXCTL, nic.RXCSUM, nic.RFCTL, nic.IAM, nic.IVAR_MISC,
		nic.EIAC, nic.EIAM, nic.MTA(0), nic.MTA(127), nic.RSSRK(0), nic.RSSRK(9), nic.RETA(0), nic.RETA(31),
		nic.RAL(0), nic.RAL(15), nic.RAL(16), nic.RAL(23), nic.RAH(23), nic.IVAR(7)}
	for i, reg := range regs {
		v := uint32(0x00010203) + uint32(i)<<8
		d.Write(reg, v)
		assert.Equal(t, v, d.Read(reg), nic.RegisterName(reg))
	}
	assert.Equal(t, []string{"RAL[16]", "RAH[23]", "MTA[127]", "RDT[7]", "TDBAL[15]", "GORCH", "EITR[24]", "IVAR[7]", "RETA[31]", "RSSRK[9]", "0x00010"},
		[]string{nic.RegisterName(nic.RAL(16)), nic.RegisterName(nic.RAH(23)), nic.RegisterName(nic.MTA(127)),
			nic.RegisterName(nic.RDT(7)), nic.RegisterName(nic.TDBAL(15)), nic.RegisterName(nic.GORCH), nic.RegisterName(nic.EITR(24)),
			nic.RegisterName(nic.IVAR(7)), nic.RegisterName(nic.RETA(31)), nic.RegisterName(nic.RSSRK(9)), nic.RegisterName(0x10)})
}

// TestQueueRegistersHaveTwoPlaces says that the first four queues answer at the
// addresses of older devices and at their own.
func TestQueueRegistersHaveTwoPlaces(t *testing.T) {
	d := up(t, nic.Config{Queues: 4}, nictest.Options{})
	for q := range uint32(4) {
		assert.Equal(t, d.Read(nic.RDLEN(int(q))), d.Read(0xC008+q*0x40))
		assert.Equal(t, d.Read(nic.TDBAL(int(q))), d.Read(0xE000+q*0x40))
	}
}

func TestResetStartsOver(t *testing.T) {
	d := up(t, nic.Config{MAC: [6]byte{2, 3, 4, 5, 6, 7}}, nictest.Options{Given: 2})
	d.Wire.Play(frames(5, 60)...)
	d.Now = us
	d.NIC.CatchUp(d.Now)
	require.EqualValues(t, 0, d.NIC.InFlight(), "they are for somebody else")
	d.Write(nic.RCTL, uint32(nic.RctlEN|nic.RctlUPE|nic.RctlSECRC))
	d.Wire.Play(frames(5, 60)...)
	d.Now = 2 * us
	d.NIC.CatchUp(d.Now)
	require.EqualValues(t, 3, d.NIC.InFlight())
	d.Write(nic.CTRL, uint32(nic.CtrlRST))
	assert.Zero(t, d.NIC.InFlight())
	assert.Equal(t, 3, drops(d, cost.NICRxDisabled))
	assert.Zero(t, d.Read(nic.CTRL)&uint32(nic.CtrlRST), "it clears itself")
	assert.Zero(t, d.Read(nic.RCTL))
	assert.Zero(t, d.Read(nic.RXDCTL(0)))
	assert.Zero(t, d.Read(nic.EIMS))
	assert.EqualValues(t, 0x05040302, d.Read(nic.RAL(0)))
	assert.EqualValues(t, nic.RahAV|0x0706, d.Read(nic.RAH(0)))
	assert.EqualValues(t, nic.StatusFD, d.Read(nic.STATUS))
	d.Write(nic.CTRL, uint32(nic.CtrlSLU))
	assert.EqualValues(t, nic.StatusFD|nic.StatusLU, d.Read(nic.STATUS))
	clean(t, d)
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	err := d.NIC.Write(0x12344, 0, 0)
	assert.EqualError(t, err, "nic: write to 0x12344: no such register")
	assert.True(t, errors.Is(err, nic.ErrNoRegister))
	_, err = d.NIC.Read(nic.EICS, 0)
	assert.EqualError(t, err, "nic: read of EICS: register is write-only")
	err = d.NIC.Write(nic.MPC, 0, 0)
	assert.EqualError(t, err, "nic: write to MPC: register is read-only")
}

// ofVirtualization says whether a NIC without virtual functions lacks a register.
func ofVirtualization(name string) bool {
	name, _, _ = strings.Cut(name, "[")
	return slices.Contains([]string{
		"MBVFICR", "MBVFIMR", "VFLRE", "VFRE", "VFTE", "QDE", "DTXSWC", "WVBR",
		"P2VMAILBOX", "VMBMEM", "VMVIR", "VMOLR", "VLVF", "VFTA", "UTA",
	}, name)
}

// TestEveryRegisterReads reads every register there is, by its name.
func TestEveryRegisterReads(t *testing.T) {
	d := up(t, nic.Config{Name: "eth7", Queues: 16}, nictest.Options{Descs: 8, Given: 3})
	assert.Equal(t, "eth7", d.NIC.Name())
	read := 0
	for reg := uint32(0); reg < 0x20000; reg += 4 {
		name := nic.RegisterName(reg)
		_, err := d.NIC.Read(reg, 0)
		switch {
		case strings.HasPrefix(name, "0x"), strings.HasPrefix(name, "EITR") && reg >= nic.EITR(nic.Vectors), ofVirtualization(name):
			require.ErrorIs(t, err, nic.ErrNoRegister, name)
		case name == "EICS", name == "EIMC", name == "ICS", name == "IMC":
			require.ErrorIs(t, err, nic.ErrWriteOnly, name)
		default:
			require.NoError(t, err, name)
			read++
		}
	}
	assert.Equal(t, 697, read)
	for _, tt := range []struct {
		reg  uint32
		want uint32
	}{
		{nic.RDBAL(3), uint32(d.Rx[3].Base)}, {nic.RDBAH(3), 0}, {nic.RDLEN(3), 128}, {nic.RDH(3), 0}, {nic.RDT(3), 3},
		{nic.RXDCTL(3), uint32(nic.DctlENABLE)}, {nic.SRRCTL(3), uint32(nic.SrrctlAdvOneBuf) | 2},
		{nic.TDBAL(9), uint32(d.Tx[9].Base)}, {nic.TDLEN(9), 128}, {nic.TXDCTL(9), uint32(nic.DctlENABLE)},
		{nic.RXPBS, 64}, {nic.TXPBS, 40},
	} {
		assert.Equal(t, tt.want, d.Read(tt.reg), nic.RegisterName(tt.reg))
	}
}

// mirror is a wire that hands back what is sent, at once, and calls the NIC
// while that is still busy.
type mirror struct{ nictest.Wire }

func (m *mirror) Transmit(f *nic.WireFrame) {
	m.Play(nic.WireFrame{ID: f.ID, At: f.At, Data: bytes.Clone(f.Data)})
}

func TestAWireCanCallBack(t *testing.T) {
	m := &mirror{}
	r, err := nictest.NewRig(nic.Config{Wire: m})
	require.NoError(t, err)
	m.NIC = r.NIC
	d, err := nictest.Up(r, 1, nictest.Options{})
	require.NoError(t, err)
	for i := range uint64(5) {
		d.Send(0, nic.Tag{ID: i + 1}, frame(i, hostMAC, 100).Data, 0)
	}
	d.IRQ.Then = func(v int, at sim.Time) {
		d.Now = at
		d.Reap(0)
		d.Write(nic.EIMS, 1)
	}
	require.NoError(t, d.Engine.RunToIdle())
	d.Now = d.Engine.Now()
	assert.Equal(t, count(1, 5), ids(d.Harvest(0)))
	clean(t, d)
}
