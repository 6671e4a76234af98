package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"ringside"
	"ringside/bridge"
	"ringside/mmu"
	"ringside/sim"
	"ringside/vm"
)

// Schema names the shape of a Report as JSON.
const Schema = "ringside.bench/1"

// A Report is what was measured.
type Report struct {
	Schema string   `json:"schema"`
	Cases  []Result `json:"cases"`
}

// A Result is one case. Ratio is the yardstick's rate over the case's: how many
// times longer a frame takes than on the bare ring, or between the bare stacks. Rates
// and ratios are medians of the rounds.
type Result struct {
	Name              string  `json:"name"`
	FramesPerS        float64 `json:"frames_per_s"`
	NsPerFrame        float64 `json:"ns_per_frame"`
	AllocsPerFrame    float64 `json:"allocs_per_frame"`
	BytesPerFrame     float64 `json:"bytes_per_frame"` // allocated
	YardstickFramesPS float64 `json:"yardstick_frames_per_s"`
	Ratio             float64 `json:"ratio"`
	Note              string  `json:"note,omitempty"`

	TCP *TCPResult `json:"tcp,omitempty"` // of a case that carries TCP
}

// A TCPResult is what a case carried, beside the two bare stacks of tcp/bare in the
// same rounds. Frames are those that come to the stack that reads, merged ones counted
// as one; payload is what programs wrote and read.
type TCPResult struct {
	PayloadBPS     float64 `json:"payload_bps"`
	BarePayloadBPS float64 `json:"bare_payload_bps"`
	FramesToBare   float64 `json:"frames_to_bare"`  // frames a second over those of tcp/bare
	PayloadToBare  float64 `json:"payload_to_bare"` // likewise of payload
}

// A Case is one thing to measure.
type Case struct {
	Name  string
	Does  string
	size  int // bytes of a frame, and so of the yardstick's
	setUp func() (*machine, error)
	tcp   bool // measured in turns with two bare stacks, instead of the bare ring
}

// A machine is a case made ready: run moves n frames, or makes n of whatever
// the case counts.
type machine struct {
	run     func(n int) error
	count   func() uint64 // frames that came through so far
	payload func() uint64 // bytes of programs likewise; nil for none
	check   func() error  // the oracles, asked outside the measured time
	close   func()
}

// Cases are all cases.
func Cases() []Case {
	return append([]Case{
		path("native/64", "60-byte frames (64 with FCS), one flow, one guest", 60, 1, 1),
		paged("paging/4k", "native/64 with a model of TLBs, 4 KiB pages", mmu.Page4K),
		paged("paging/2m", "native/64 with a model of TLBs, 2 MiB pages", mmu.Page2M),
		pathOn("sched/balance", "native/64 with tasks that move and wake-up preemption", 60, 1, 1, ringside.Config{Sched: ringside.Sched{Balance: true, Preempt: true}}),
		path("native/512", "508-byte frames", 508, 1, 1),
		path("native/1514", "1514-byte frames", 1514, 1, 1),
		path("macs/1000", "64, random over 1,000 known addresses on one guest's port", 60, 1000, 1),
		path("macs/1000000", "64, random over a million known addresses", 60, 1_000_000, 1),
		path("ports/2", "64, one address on each of 2 guests' ports, in turn", 60, 2, 2),
		path("ports/1024", "64, one address on each of 1,024 guests' ports, in random order", 60, 1024, 1024),
		flood(),
		alone("bridge/macs/1000", "the bridge alone, random over 1,000 stations", 1000, 2),
		alone("bridge/macs/1000000", "the bridge alone, random over a million stations", 1_000_000, 2),
		alone("bridge/ports/2", "the bridge alone, 4,096 stations on 2 ports", 4096, 2),
		alone("bridge/ports/1024", "the bridge alone, 4,096 stations on 1,024 ports", 4096, 1024),
		floodAlone(2),
		floodAlone(1024),
		start(),
	}, slices.Concat(pathCases(), xdpCases(), tcpCases())...)
}

// pps is the offered rate of the native cases: what the emulated machine can
// carry on the price book linux-xeon with a core for interrupts and one for the
// guest.
const pps = 1_000_000

// path is a case of the whole native path.
func path(name, does string, size int, dests uint64, guests int) Case {
	return pathOn(name, does, size, dests, guests, ringside.Config{})
}

// pathCases are native/64 on every other path.
func pathCases() (list []Case) {
	for _, p := range ringside.Paths() {
		if p != ringside.Native {
			list = append(list, pathOn("path/"+p.String(), "native/64 on the path "+p.String(), 60, 1, 1, ringside.Config{Path: p}))
		}
	}
	return list
}

// pathOn is a case of a machine made by cfg.
func pathOn(name, does string, size int, dests uint64, guests int, cfg ringside.Config) Case {
	return Case{Name: name, Does: does, size: size, setUp: func() (*machine, error) {
		l := newLoad(size, pps, dests)
		vms := make([]ringside.VM, guests)
		for i := range vms {
			vms[i].Program = vm.Sink
		}
		for i := range dests {
			v := &vms[i%uint64(guests)]
			v.Known = append(v.Known, bridge.MAC(station(i)))
		}
		cfg := cfg
		cfg.Wire, cfg.VMs, cfg.MaxLearned, cfg.Bridges = l, vms, 2_000_000, make([]ringside.Bridge, 1)
		cfg.Bridges[0].DefaultPVID = bridge.NoPVID // else every address is known twice: in no VLAN, and in VLAN 1
		h, err := ringside.New(cfg)
		if err != nil {
			return nil, err
		}
		return hostMachine(h, l), nil
	}}
}

// paged is native/64 with a model of TLBs.
func paged(name, does string, size mmu.PageSize) Case {
	return pathOn(name, does, 60, 1, 1, ringside.Config{Paging: ringside.PagesOf(size)})
}

// hostMachine runs a host in slices of virtual time.
func hostMachine(h *ringside.Host, l *load) *machine {
	return &machine{
		run: func(n int) error {
			return h.Engine.RunUntil(h.Engine.Now() + sim.Time(n)*l.gap)
		},
		count: func() uint64 { return h.Kernel.Flow().ToVMs },
		check: h.Check,
		close: h.Close,
	}
}

// flood is broadcast to 64 guests: a frame counts once for each that gets it.
func flood() Case {
	const guests = 64
	return Case{Name: "flood/64", Does: "64, broadcast to 64 guests; a frame counts for each guest that gets it", size: 60, setUp: func() (*machine, error) {
		l := newLoad(60, 20_000, 1)
		copy(l.frame, "\xff\xff\xff\xff\xff\xff")
		l.gap = 50 * sim.Microsecond
		vms := make([]ringside.VM, guests)
		for i := range vms {
			vms[i].Program = vm.Sink
		}
		h, err := ringside.New(ringside.Config{Wire: l, VMs: vms, CPUs: 17})
		if err != nil {
			return nil, err
		}
		m := hostMachine(h, l)
		inner := m.run
		m.run = func(n int) error { return inner(n / guests) }
		return m, nil
	}}
}

// start makes machines of 1,000 guests and runs each until all of them wait for
// their first frame; a guest is what counts.
func start() Case {
	const guests = 1000
	var made uint64
	return Case{Name: "start/1000vms", Does: "guests made and run to their first wait; a guest counts as a frame", size: 60, setUp: func() (*machine, error) {
		return &machine{
			run: func(int) error {
				vms := make([]ringside.VM, guests)
				for i := range vms {
					vms[i].Program = vm.Sink
				}
				h, err := ringside.New(ringside.Config{VMs: vms})
				if err != nil {
					return err
				}
				defer h.Close()
				made += guests
				return h.Run()
			},
			count: func() uint64 { return made },
			check: func() error { return nil },
			close: func() {},
		}, nil
	}}
}

// Matches says whether some case has match in its name.
func Matches(match string) bool {
	return slices.ContainsFunc(Cases(), func(c Case) bool { return strings.Contains(c.Name, match) })
}

// Options say how long to measure. The zero value is what `ringside bench` does.
type Options struct {
	Rounds   int           // 0 means 11
	Round    time.Duration // of the case in each round; 0 means 100 ms
	Match    string        // only cases whose name holds this
	Progress io.Writer     // nil means none
}

// Run measures the cases, until ctx is done.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Rounds == 0 {
		o.Rounds = 11
	}
	if o.Round == 0 {
		o.Round = 100 * time.Millisecond
	}
	rep := &Report{Schema: Schema, Cases: []Result{}}
	for _, c := range Cases() {
		if !strings.Contains(c.Name, o.Match) {
			continue
		}
		if o.Progress != nil {
			fmt.Fprintf(o.Progress, "%-16s %s\n", c.Name, c.Does)
		}
		r, err := measure(ctx, c, o)
		if err != nil {
			return nil, fmt.Errorf("bench %s: %w", c.Name, err)
		}
		rep.Cases = append(rep.Cases, r)
	}
	if len(rep.Cases) == 0 {
		return nil, fmt.Errorf("bench: no case has %q in its name", o.Match)
	}
	return rep, nil
}

// measure runs one case and the yardstick in turns.
//
// TCP is measured on one processor: a stack's goroutine takes turns with the event
// loop, and where there are two processors each turn wakes the other one.
func measure(ctx context.Context, c Case, o Options) (Result, error) {
	if c.tcp {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	m, err := c.setUp()
	if err != nil {
		return Result{}, err
	}
	defer m.close()
	yard, err := c.yardstick()
	if err != nil {
		return Result{}, err
	}
	defer yard.close()
	n, err := calibrate(m, o.Round)
	if err != nil {
		return Result{}, err
	}
	yardN, err := calibrate(yard, o.Round/2)
	if err != nil {
		return Result{}, err
	}
	var ours, theirs []sample
	runtime.GC()
	for range o.Rounds {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		y, err := yard.sample(yardN)
		if err != nil {
			return Result{}, err
		}
		x, err := m.sample(n)
		if err != nil {
			return Result{}, err
		}
		ours, theirs = append(ours, x), append(theirs, y)
	}
	if err := m.check(); err != nil {
		return Result{}, err
	}
	return result(c, ours, theirs), nil
}

// yardstick is what a case is measured in turns with.
func (c *Case) yardstick() (*machine, error) {
	if c.tcp {
		return bareMachine()
	}
	r, frame, into, moved := new(ring), make([]byte, c.size), make([]byte, 2048), uint64(0)
	return &machine{
		run: func(n int) error {
			moved += uint64(r.run(frame, into, n))
			return nil
		},
		count: func() uint64 { return moved },
		close: func() {},
	}, nil
}

// A sample is one round.
type sample struct{ frames, payload, allocs, bytes float64 } // the first two a second, the others a frame

// sample measures one round of n frames.
func (m *machine) sample(n int) (s sample, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	frames, payload := m.count(), m.carried()
	t0 := time.Now()
	if err := m.run(n); err != nil {
		return s, err
	}
	span := time.Since(t0).Seconds()
	runtime.ReadMemStats(&after)
	moved := float64(m.count() - frames)
	if moved == 0 {
		return s, fmt.Errorf("no frame came through")
	}
	return sample{
		moved / span, float64(m.carried()-payload) / span,
		float64(after.Mallocs-before.Mallocs) / moved, float64(after.TotalAlloc-before.TotalAlloc) / moved,
	}, nil
}

func (m *machine) carried() uint64 {
	if m.payload == nil {
		return 0
	}
	return m.payload()
}

// result is the medians of all rounds.
func result(c Case, ours, theirs []sample) Result {
	each := func(f func(x, y sample) float64) float64 {
		v := make([]float64, len(ours))
		for i := range ours {
			v[i] = f(ours[i], theirs[i])
		}
		return median(v)
	}
	rate := each(func(x, _ sample) float64 { return x.frames })
	r := Result{
		Name: c.Name, FramesPerS: rate, NsPerFrame: 1e9 / rate, Note: c.Does,
		AllocsPerFrame:    each(func(x, _ sample) float64 { return x.allocs }),
		BytesPerFrame:     each(func(x, _ sample) float64 { return x.bytes }),
		YardstickFramesPS: each(func(_, y sample) float64 { return y.frames }),
		Ratio:             each(func(x, y sample) float64 { return y.frames / x.frames }),
	}
	if c.tcp {
		r.TCP = &TCPResult{
			PayloadBPS:     each(func(x, _ sample) float64 { return 8 * x.payload }),
			BarePayloadBPS: each(func(_, y sample) float64 { return 8 * y.payload }),
			FramesToBare:   each(func(x, y sample) float64 { return x.frames / y.frames }),
			PayloadToBare:  each(func(x, y sample) float64 { return x.payload / y.payload }),
		}
	}
	return r
}

// calibrate finds how many frames fill a round, and warms everything up.
func calibrate(m *machine, round time.Duration) (int, error) {
	for n := 1 << 12; ; n *= 2 {
		t0 := time.Now()
		if err := m.run(n); err != nil {
			return 0, err
		}
		if d := time.Since(t0); d > round/2 || n > 1<<26 {
			return n, nil
		}
	}
}

func median(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

// Write prints the report as tables of 80 columns.
func (r *Report) Write(w io.Writer) error {
	plain, tcp := r.Cases[:0:0], r.Cases[:0:0]
	for _, c := range r.Cases {
		if c.TCP == nil {
			plain = append(plain, c)
		} else {
			tcp = append(tcp, c)
		}
	}
	if len(plain) > 0 {
		if err := writeFrames(w, plain); err != nil {
			return err
		}
	}
	if len(tcp) == 0 {
		return nil
	}
	if len(plain) > 0 {
		fmt.Fprintln(w)
	}
	return writeTCP(w, tcp)
}

func writeFrames(w io.Writer, cases []Result) error {
	fmt.Fprintf(w, "%-19s %10s %8s %7s %7s %14s %7s\n", "case", "frames/s", "ns/frame", "allocs", "bytes", "bare ring, f/s", "ratio")
	for _, c := range cases {
		fmt.Fprintf(w, "%-19s %10.0f %8.1f %7.3f %7.1f %14.0f %6.1fx\n",
			c.Name, c.FramesPerS, c.NsPerFrame, c.AllocsPerFrame, c.BytesPerFrame, c.YardstickFramesPS, c.Ratio)
	}
	_, err := fmt.Fprint(w, `
ratio   how many times longer a frame takes than on a bare ring that copies it in
        and out, measured in turns with it
goal    8x and 67.2 ns for native/64: what 10-gigabit Ethernet leaves a frame
`)
	return err
}

func writeTCP(w io.Writer, cases []Result) error {
	fmt.Fprintf(w, "%-19s %10s %13s %10s %14s\n", "case", "frames/s", "payload bit/s", "frames", "payload")
	for _, c := range cases {
		fmt.Fprintf(w, "%-19s %10.0f %12.3fG %9.2fx %13.2fx\n",
			c.Name, c.FramesPerS, c.TCP.PayloadBPS/1e9, c.TCP.FramesToBare, c.TCP.PayloadToBare)
	}
	_, err := fmt.Fprint(w, `
x       times what two bare stacks do that are joined by a queue, without NIC, bridge
        or VM, measured in turns with them
goal    0.9x frames for tcp/1500; 2.5x payload for tcp/offloads and 6x for tcp/bare-gso
`)
	return err
}
