// Package compare puts the same frames through machines that are wired differently and
// sets what came of it side by side: cycles for a frame by kind, what one core would
// carry, latency, cores, and what each wiring gives up.
package compare

import (
	"context"
	"errors"
	"math"
	"sync"

	"ringside"
	"ringside/cost"
)

// Schema names the shape of a Result as JSON.
const Schema = "ringside.compare/1"

// A Kind is a sort of work that cycles are spent on.
type Kind uint8

// The kinds, as a frame meets them.
const (
	IRQ     Kind = iota // hard interrupts
	Driver              // softirq and driver, a program at the driver, a poll-mode driver
	Switch              // the kernel's core, bridge, tunnel and tap
	Sched               // wake-ups, context switches, moves from CPU to CPU
	Syscall             // ways into the kernel and back
	Ring                // the back end of a virtio device
	Exits               // leaving a guest, interrupts put into it
	Guest               // the guest's kernel and program
	Copy                // bytes copied by a CPU, wherever
	TLB                 // addresses translated
	numKinds
)

var kindNames = [numKinds]string{"irq", "driver", "switch", "sched", "syscall", "ring", "exits", "guest", "copy", "tlb"}

// String is the kind's name.
func (k Kind) String() string { return kindNames[k] }

// Kinds lists the kinds.
func Kinds() (list []Kind) {
	for k := range numKinds {
		list = append(list, k)
	}
	return list
}

// stageKinds are the kinds of what a stage does beside copying. A stage that is not
// named is the device's, which costs no cycles.
var stageKinds = [cost.NumStages]Kind{
	cost.IRQ: IRQ, cost.NAPI: Driver, cost.XDP: Driver, cost.Pmd: Driver, cost.Stack: Switch, cost.Bridge: Switch, cost.Tunnel: Switch,
	cost.Tap: Switch, cost.Sched: Sched, cost.Syscall: Syscall, cost.VMM: Ring, cost.Vhost: Ring, cost.KVM: Exits, cost.Guest: Guest, cost.VM: Guest, cost.TLB: TLB,
}

// A Point is one machine of a comparison: the values of the knobs that differ.
type Point struct {
	Path    string `json:"path"`
	Pinning string `json:"pinning"`
	Pages   string `json:"pages"`
}

// A Row is what one machine made of the frames: in the time that was measured, or in a
// whole replay. Sent, Delivered and Lost are of the whole run.
type Row struct {
	Point
	Cannot string `json:"cannot,omitempty"` // why there is no such machine; then nothing else is said

	OfferedPPS   uint64 `json:"offered_pps"`
	DeliveredPPS uint64 `json:"delivered_pps"`
	Sent         uint64 `json:"sent"`
	Delivered    uint64 `json:"delivered"`
	Lost         uint64 `json:"lost"`
	P50Ns        int64  `json:"p50_ns"`
	P99Ns        int64  `json:"p99_ns"`

	// CyclesPerFrame is without IdleCycles: what a frame needs, of all CPUs together.
	CyclesPerFrame float64 `json:"cycles_per_frame"`
	// Cycles is CyclesPerFrame by kind.
	Cycles map[string]float64 `json:"cycles"`
	// CorePPS is how many frames a second one core would carry that did all of it.
	CorePPS uint64 `json:"core_pps"`
	// Cores is how many CPUs were busy, polling in vain included.
	Cores float64 `json:"cores"`
	// IdleCores is the part of Cores that polled and found nothing.
	IdleCores float64 `json:"idle_cores"`

	GivesUp   []string `json:"gives_up"`
	TraceHash string   `json:"trace_hash,omitempty"`
}

// A Result is a comparison.
type Result struct {
	Schema  string   `json:"schema"`
	Version string   `json:"version"`
	Machine string   `json:"machine,omitempty"`
	Book    string   `json:"book"`
	Hz      uint64   `json:"clock_hz"`
	Load    string   `json:"load,omitempty"`
	Files   []string `json:"files,omitempty"`
	Kinds   []string `json:"kinds"`
	Rows    []Row    `json:"rows"`
}

// OfTrial is the row of a trial of a load.
func OfTrial(t *ringside.Trial) Row {
	r := Row{
		OfferedPPS: t.OfferedPPS(), DeliveredPPS: t.DeliveredPPS(), Sent: t.Frames.Sent, Delivered: t.Frames.Arrived, Lost: t.Frames.Lost,
		P50Ns: t.Latency.P50, P99Ns: t.Latency.P99, TraceHash: t.Report.TraceHash,
	}
	r.spent(t.Bill, t.Delivered, t.BusyNs, t.ForNs)
	return r
}

// OfReplay is the row of a replay. A frame that was flooded counts for every guest
// that got it; lost is what was dropped.
func OfReplay(rep *ringside.Report) Row {
	c := &rep.Conservation
	r := Row{Sent: c.FromWire, Delivered: c.ToVMs, P50Ns: rep.Latency.P50, P99Ns: rep.Latency.P99, TraceHash: rep.TraceHash}
	for _, d := range rep.Drops {
		r.Lost += d.Frames
	}
	seconds := float64(max(rep.VirtualNs, 1)) / 1e9
	r.OfferedPPS, r.DeliveredPPS = uint64(float64(c.FromWire)/seconds), uint64(float64(c.ToVMs)/seconds)
	var busy int64
	for _, cpu := range rep.CPUs {
		busy += cpu.BusyNs
	}
	r.spent(rep.Bill, c.ToVMs, busy, rep.VirtualNs)
	return r
}

// spent is what a bill says of so many frames delivered, in a time of which CPUs were
// busy for so long.
func (r *Row) spent(b *cost.Bill, delivered uint64, busyNs, ns int64) {
	kinds, idle := Split(b)
	seconds := float64(max(ns, 1)) / 1e9
	r.Cores = round(float64(busyNs)/1e9/seconds, 100)
	r.IdleCores = round(float64(idle)/1000/float64(b.Book.Hz)/seconds, 100)
	r.Cycles = map[string]float64{}
	var sum uint64
	for k, milli := range kinds {
		sum += milli
		r.Cycles[Kind(k).String()] = perFrame(milli, delivered)
	}
	r.CyclesPerFrame = perFrame(sum, delivered)
	if sum > 0 {
		r.CorePPS = uint64(float64(b.Book.Hz) * float64(delivered) * 1000 / float64(sum))
	}
}

// Split is the thousandths of a cycle of each kind on a bill, and those of polls that
// found nothing, which are of no kind.
func Split(b *cost.Bill) (kinds [numKinds]uint64, idle uint64) {
	for s := range cost.NumStages {
		for o := range cost.NumOps {
			switch n := b.Ops[s][o].MilliCycles; {
			case o == cost.PMDIdle:
				idle += n
			case o.Copies():
				kinds[Copy] += n
			case s == cost.NIC: // a counting book alone prices the device in cycles
			default:
				kinds[stageKinds[s]] += n
			}
		}
	}
	return kinds, idle
}

func perFrame(milli, frames uint64) float64 {
	if frames == 0 {
		return 0
	}
	return round(float64(milli)/1000/float64(frames), 100)
}

// round keeps so many parts of one.
func round(x, parts float64) float64 { return math.Round(x*parts) / parts }

// Run does every point, so many at once, and returns the rows in the order of the
// points. A point whose machine the path cannot be is a row that says so; any other
// error ends the comparison, and that of the earliest point is returned.
func Run(ctx context.Context, points []Point, workers int, do func(context.Context, Point) (Row, error)) ([]Row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, errs := make([]Row, len(points)), make([]error, len(points))
	todo := make(chan int, len(points))
	for i := range points {
		todo <- i
	}
	close(todo)
	var wait sync.WaitGroup
	for range max(workers, 1) {
		wait.Go(func() {
			for i := range todo {
				if ctx.Err() != nil {
					return
				}
				rows[i], errs[i] = one(ctx, points[i], do)
				if errs[i] != nil {
					cancel()
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return rows, nil
}

func one(ctx context.Context, p Point, do func(context.Context, Point) (Row, error)) (Row, error) {
	row, err := do(ctx, p)
	if errors.Is(err, ringside.ErrNoPath) {
		row, err = Row{Cannot: err.Error()}, nil
	}
	row.Point = p
	return row, err
}
