package kernel

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"ringside/sim"
)

// Batching is how a kernel trades latency for throughput on the way in: how many
// frames it takes at a time, and when it looks for them. The zero value is what
// Linux does by default.
type Batching struct {
	Interrupts Interrupts `json:"interrupts,omitempty"` // how frames are taken off a NIC's ring

	Weight     int      `json:"napi_weight,omitempty"`      // frames of one poll of a NIC's queue; 0 means 64
	List       int      `json:"gro_normal_batch,omitempty"` // frames that go up as one list, 1 to 8; 0 means 8
	Budget     int      `json:"netdev_budget,omitempty"`    // frames of one net_rx_action; 0 means 300
	BudgetTime sim.Time `json:"netdev_budget_ps,omitempty"` // time likewise (netdev_budget_usecs); 0 means 2 ms
	Backlog    int      `json:"max_backlog,omitempty"`      // frames on a CPU's backlog (netdev_max_backlog); 0 means 1000

	// Threaded has every NAPI instance of a NIC polled by a thread of its own, on
	// the CPU of its vector, instead of in softirq.
	Threaded bool `json:"threaded,omitempty"`

	// DeferHardIRQs is how many polls in a row may come out empty before the vector
	// is unmasked (napi_defer_hard_irqs). Until then a timer of FlushTimeout
	// (gro_flush_timeout) polls. Either both are given or none.
	DeferHardIRQs int      `json:"defer_hard_irqs,omitempty"`
	FlushTimeout  sim.Time `json:"gro_flush_timeout_ps,omitempty"`

	// BusyPoll is how long a reader that finds nothing polls the queue that its last
	// frame came by, on its own CPU, before it sleeps (SO_BUSY_POLL); 0 means not at
	// all.
	BusyPoll sim.Time `json:"busy_poll_ps,omitempty"`

	// AdaptiveITR has the driver choose the gap between interrupts by what came
	// since the last one: igb's classes lowest, low and bulk.
	AdaptiveITR bool `json:"adaptive_itr,omitempty"`

	// RPS is the CPUs that frames are spread over by their flow, a bit for each
	// (rps_cpus); 0 means that they go up on the CPU that took them.
	RPS uint64 `json:"rps_cpus,omitempty"`

	// RFS is how many flows are remembered with the CPU on which they were last read
	// (rps_sock_flow_entries), a power of two; 0 means none. RFSFlows is how many each
	// receive queue remembers with the CPU that its frames go to (rps_flow_cnt); 0
	// means RFS shared out among the queues. A flow that is not remembered goes as RPS
	// has it.
	RFS      int `json:"rps_sock_flow_entries,omitempty"`
	RFSFlows int `json:"rps_flow_cnt,omitempty"`
}

// Interrupts is how frames are taken off a NIC's ring.
type Interrupts uint8

const (
	// ByNAPI: an interrupt masks its vector and schedules polls until the ring is
	// empty.
	ByNAPI Interrupts = iota
	// PerFrame is how it was before NAPI: the hard interrupt takes one frame and
	// puts it on the CPU's backlog, and comes again while there is another.
	PerFrame
)

var interruptWords = [...]string{ByNAPI: "napi", PerFrame: "per-frame"}

// MarshalText is the word for i.
func (i Interrupts) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the word.
func (i *Interrupts) UnmarshalText(text []byte) (err error) {
	*i, err = ParseInterrupts(string(text))
	return err
}

// String is the word for i that ParseInterrupts reads.
func (i Interrupts) String() string {
	if int(i) >= len(interruptWords) {
		return "interrupts?"
	}
	return interruptWords[i]
}

// ParseInterrupts reads "napi" or "per-frame".
func ParseInterrupts(s string) (Interrupts, error) {
	for i, word := range interruptWords {
		if s == word {
			return Interrupts(i), nil
		}
	}
	return 0, fmt.Errorf("interrupts %q: give napi or per-frame", s)
}

// Bounds of a Batching.
const (
	MaxWeight   = 65535
	MaxBudget   = 1 << 20
	MaxBacklog  = 1 << 20
	MaxDefer    = 1000
	MaxFlows    = 1 << 20
	maxKnobTime = sim.Second
)

// ErrBatching says of an error that a Batching cannot be.
var ErrBatching = errors.New("no such way of taking frames in")

// Check says what cannot be on a machine with so many CPUs. Its errors are
// ErrBatching.
func (b *Batching) Check(cpus int) error {
	if err := b.check(cpus); err != nil {
		return &batchingError{err}
	}
	return nil
}

type batchingError struct{ error }

func (e *batchingError) Is(target error) bool { return target == ErrBatching }

func (b *Batching) check(cpus int) error {
	bound := func(what string, n, most int) error {
		if n < 0 || n > most {
			return fmt.Errorf("kernel: Batching.%s is %d; up to %d are possible, and 0 for the default", what, n, most)
		}
		return nil
	}
	span := func(what string, t sim.Time) error {
		if t < 0 || t > maxKnobTime {
			return fmt.Errorf("kernel: Batching.%s is %v; up to %v is possible", what, t, maxKnobTime)
		}
		return nil
	}
	err := errors.Join(
		bound("Weight", b.Weight, MaxWeight), bound("List", b.List, groNormalBatch), bound("Budget", b.Budget, MaxBudget),
		bound("Backlog", b.Backlog, MaxBacklog), bound("DeferHardIRQs", b.DeferHardIRQs, MaxDefer),
		bound("RFS", b.RFS, MaxFlows), bound("RFSFlows", b.RFSFlows, MaxFlows),
		span("BudgetTime", b.BudgetTime), span("FlushTimeout", b.FlushTimeout), span("BusyPoll", b.BusyPoll),
	)
	switch {
	case err != nil:
		return err
	case b.Interrupts > PerFrame:
		return fmt.Errorf("kernel: Batching.Interrupts is %d; there are ByNAPI and PerFrame", b.Interrupts)
	case b.Interrupts == PerFrame && (b.Threaded || b.DeferHardIRQs > 0 || b.BusyPoll > 0 || b.AdaptiveITR || b.Weight > 0 || b.RPS > 0 || b.RFS > 0):
		return errors.New("kernel: an interrupt for every frame leaves nothing to poll: no weight, thread, deferral, busy polling, adaptive ITR, RPS or RFS goes with it")
	case b.RFS&(b.RFS-1) != 0 || b.RFSFlows&(b.RFSFlows-1) != 0:
		return fmt.Errorf("kernel: Batching.RFS is %d and RFSFlows %d; powers of two are possible, as flows are found by bits of their hash", b.RFS, b.RFSFlows)
	case b.RFSFlows > 0 && b.RFS == 0:
		return errors.New("kernel: Batching.RFSFlows without RFS: a queue has nothing to remember")
	case (b.DeferHardIRQs > 0) != (b.FlushTimeout > 0):
		return errors.New("kernel: Batching.DeferHardIRQs and FlushTimeout go together: what is deferred is polled by the timer")
	case bits.Len64(b.RPS) > cpus:
		return fmt.Errorf("kernel: Batching.RPS %#x names CPU %d, and there are %d", b.RPS, bits.Len64(b.RPS)-1, cpus)
	}
	return nil
}

// Or is b, and what o has where b says nothing.
func (b Batching) Or(o Batching) Batching {
	for _, f := range [...]struct{ to, from *int }{
		{&b.Weight, &o.Weight}, {&b.List, &o.List}, {&b.Budget, &o.Budget}, {&b.Backlog, &o.Backlog}, {&b.DeferHardIRQs, &o.DeferHardIRQs},
		{&b.RFS, &o.RFS}, {&b.RFSFlows, &o.RFSFlows},
	} {
		fill(f.to, *f.from)
	}
	for _, f := range [...]struct{ to, from *sim.Time }{
		{&b.BudgetTime, &o.BudgetTime}, {&b.FlushTimeout, &o.FlushTimeout}, {&b.BusyPoll, &o.BusyPoll},
	} {
		fill(f.to, *f.from)
	}
	fill(&b.Interrupts, o.Interrupts)
	fill(&b.Threaded, o.Threaded)
	fill(&b.AdaptiveITR, o.AdaptiveITR)
	fill(&b.RPS, o.RPS)
	return b
}

// String names what is not Linux's default, in the words of labs.
func (b Batching) String() string {
	var words []string
	if b.Interrupts != ByNAPI {
		words = append(words, "interrupts "+b.Interrupts.String())
	}
	for _, w := range [...]struct {
		name string
		n    int
	}{
		{"napi_weight", b.Weight}, {"gro_normal_batch", b.List}, {"netdev_budget", b.Budget},
		{"netdev_max_backlog", b.Backlog}, {"napi_defer_hard_irqs", b.DeferHardIRQs},
		{"rps_sock_flow_entries", b.RFS}, {"rps_flow_cnt", b.RFSFlows},
	} {
		if w.n != 0 {
			words = append(words, fmt.Sprint(w.name, " ", w.n))
		}
	}
	for _, w := range [...]struct {
		name string
		t    sim.Time
	}{{"netdev_budget_time", b.BudgetTime}, {"gro_flush_timeout", b.FlushTimeout}, {"busy_poll", b.BusyPoll}} {
		if w.t != 0 {
			words = append(words, fmt.Sprint(w.name, " ", w.t))
		}
	}
	if b.Threaded {
		words = append(words, "threaded")
	}
	if b.AdaptiveITR {
		words = append(words, "adaptive_itr")
	}
	if b.RPS != 0 {
		words = append(words, fmt.Sprintf("rps_cpus %#x", b.RPS))
	}
	return strings.Join(words, ", ")
}

// fill sets what is zero.
func fill[T comparable](to *T, v T) {
	var zero T
	if *to == zero {
		*to = v
	}
}

// defaults fills in what Linux does.
func (b *Batching) defaults() {
	*b = b.Or(Batching{Weight: napiWeight, List: groNormalBatch, Budget: netdevBudget, BudgetTime: netdevBudgetT, Backlog: maxBacklog})
}
