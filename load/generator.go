package load

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"ringside/nic"
	"ringside/sim"
)

// Config is what a Generator is made of. Dests is required.
type Config struct {
	Spec    Spec
	Seed    uint64
	LinkBPS uint64   // of the line it stands at, bits a second; 0 means 10e9
	Dests   []MAC    // flow i goes to number i modulo how many there are
	Start   sim.Time // of the first frame
	End     sim.Time // no frame begins at this time or later; 0 means no end
	Frames  uint64   // no more than this; 0 means no bound
	Mark    sim.Time // frames that begin at this time or later are counted by Marked
	FirstID uint64   // of the first frame; 0 means 1
}

// ErrRate says that a line does not carry a load.
var ErrRate = errors.New("the line does not carry it")

// A Generator offers a load to a NIC; what the NIC sends goes to Taken. It is a
// nic.Wire and allocates nothing once it is made. See New.
type Generator struct {
	// Taken, if not nil, is called with every frame that comes back.
	Taken func(f *nic.WireFrame)

	templates []template
	paces     []pace // by template
	genome    []uint8
	dests     []dest
	rnd       *rand.PCG
	zipf      *alias
	cfg       Config

	next   int    // in the genome
	turn   uint32 // the flow that is next
	turnTo uint32 // where it goes
	left   int    // frames of this burst that are still to come
	flows  uint32
	den    uint64 // of paces
	frac   uint64 // what due lacks, of den
	due    sim.Time
	free   sim.Time // when the line is
	gap    sim.Time // the least between two frames
	first  uint64   // id
	burst  int

	sent, bytes, marked uint64
}

// A pace is the time of one size: on the line, and between two frames.
type pace struct {
	line, whole sim.Time
	rest        uint64
}

// New makes a Generator. It fails with ErrRate if the line is too slow.
func New(cfg Config) (*Generator, error) {
	s := &cfg.Spec
	if err := s.Check(); err != nil {
		return nil, err
	}
	if cfg.LinkBPS == 0 {
		cfg.LinkBPS = 10e9
	}
	switch {
	case len(cfg.Dests) == 0:
		return nil, errors.New("load: Config.Dests is required: a frame goes to somebody")
	case len(cfg.Dests) > 1<<16:
		return nil, fmt.Errorf("load: %d destinations; up to %d are possible", len(cfg.Dests), 1<<16)
	case cfg.LinkBPS < 1e6 || cfg.LinkBPS > 1e12:
		return nil, fmt.Errorf("load: Config.LinkBPS is %d; 1e6 to 1e12 are possible", cfg.LinkBPS)
	case cfg.Start < 0 || cfg.End < 0:
		return nil, errors.New("load: Config.Start and Config.End cannot be before the beginning")
	}
	if want, can := s.PPS(cfg.LinkBPS), s.LinePPS(cfg.LinkBPS); want > can {
		return nil, fmt.Errorf("load: %v: %d frames a second, and a line of %s carries %d of these: %w", cfg.Spec, want, unitText(cfg.LinkBPS, bpsUnits), can, ErrRate)
	}
	g := &Generator{cfg: cfg, due: cfg.Start, free: cfg.Start, first: max(cfg.FirstID, 1), burst: max(s.Burst, 1)}
	g.gap = g.span(12)
	g.setFlows()
	g.setSizes()
	return g, nil
}

func (g *Generator) setFlows() {
	s := &g.cfg.Spec
	for i, m := range g.cfg.Dests {
		g.dests = append(g.dests, newDest(m, i))
	}
	if g.flows = uint32(s.Flows); s.Flows == 0 {
		g.flows = uint32(len(g.dests))
	}
	chance := sim.NewEngine(g.cfg.Seed).Source("load")
	g.rnd = rand.NewPCG(chance.Uint64(), chance.Uint64())
	if s.Pick == Zipf {
		g.zipf = newZipf(int(g.flows))
	}
}

// setSizes makes a frame of every size, and the order of sizes.
func (g *Generator) setSizes() {
	s := &g.cfg.Spec
	sizes := s.sizes()
	for _, z := range sizes {
		g.templates = append(g.templates, newTemplate(z.Bytes))
		p := pace{line: g.span(z.Bytes + 8)}
		var num uint64
		switch r := s.Rate; {
		case r.PPS > 0:
			num, g.den = 1e12, r.PPS
		case r.BPS > 0:
			num, g.den = uint64(z.Bytes)*8e12, r.BPS
		case r.PPM > 0:
			num, g.den = uint64(z.Bytes+overhead)*8e12, max(muldiv(g.cfg.LinkBPS, r.PPM, 1e6), 1)
		default:
			g.den = 1
		}
		p.whole, p.rest = sim.Time(num/g.den), num%g.den
		g.paces = append(g.paces, p)
	}
	g.genome = genome(sizes)
}

// genome is the order of sizes in one round, each spread over it as evenly as its
// weight allows.
func genome(sizes []Size) (order []uint8) {
	owed, total := make([]int, len(sizes)), 0
	for _, z := range sizes {
		total += z.Weight
	}
	for range total {
		best := 0
		for i, z := range sizes {
			if owed[i] += z.Weight; owed[i] > owed[best] {
				best = i
			}
		}
		owed[best] -= total
		order = append(order, uint8(best))
	}
	return order
}

// span is how long n bytes take on the line, rounded up.
func (g *Generator) span(n int) sim.Time {
	return sim.Time((uint64(n)*8e12 + g.cfg.LinkBPS - 1) / g.cfg.LinkBPS)
}

// Receive offers the next frame: At is when its first bit is on the line.
func (g *Generator) Receive(f *nic.WireFrame) bool {
	at := g.free
	if g.left == 0 {
		at = max(at, g.due)
	}
	if g.cfg.End != 0 && at >= g.cfg.End || g.cfg.Frames != 0 && g.sent == g.cfg.Frames {
		return false
	}
	size := g.genome[g.next]
	if g.next++; g.next == len(g.genome) {
		g.next = 0
	}
	g.pass(&g.paces[size], at)
	t := &g.templates[size]
	flow, to := g.flow()
	t.fill(&g.dests[to], flow, g.sent, at)
	f.ID, f.At, f.Data = g.sent+g.first, at, t.data
	g.sent++
	if at >= g.cfg.Mark {
		g.marked++
	}
	g.bytes += uint64(len(t.data))
	return true
}

// pass moves the time on by one frame that begins at the time at.
func (g *Generator) pass(p *pace, at sim.Time) {
	g.free = at + p.line + g.gap
	if g.left == 0 {
		g.left = g.burst
	}
	g.left--
	step := p.whole
	if g.frac += p.rest; g.frac >= g.den {
		g.frac -= g.den
		step++
	}
	if g.cfg.Spec.Poisson {
		step = stretched(step, exponential(g.rnd.Uint64()))
	}
	g.due += step
	if g.left == 0 && g.cfg.Spec.Gap > 0 {
		g.due = g.free + g.cfg.Spec.Gap
	}
}

// flow is the flow of the next frame, and where that goes.
func (g *Generator) flow() (flow, to uint32) {
	if g.cfg.Spec.Pick != RoundRobin {
		return g.drawn()
	}
	flow, to = g.turn, g.turnTo
	if g.turnTo++; g.turnTo == uint32(len(g.dests)) {
		g.turnTo = 0
	}
	if g.turn++; g.turn == g.flows {
		g.turn, g.turnTo = 0, 0
	}
	return flow, to
}

// drawn is flow where chance has it.
func (g *Generator) drawn() (flow, to uint32) {
	if g.cfg.Spec.Pick == Zipf {
		flow = g.zipf.draw(g.rnd)
	} else {
		flow = below(g.rnd.Uint64(), g.flows)
	}
	return flow, flow % uint32(len(g.dests))
}

// Transmit takes what the NIC sends.
func (g *Generator) Transmit(f *nic.WireFrame) {
	if g.Taken != nil {
		g.Taken(f)
	}
}

// Sent is how many frames the load has offered so far.
func (g *Generator) Sent() uint64 { return g.sent }

// Marked is how many of them began at Config.Mark or later.
func (g *Generator) Marked() uint64 { return g.marked }

// Bytes is how many bytes they had, without FCS.
func (g *Generator) Bytes() uint64 { return g.bytes }

var _ nic.Wire = (*Generator)(nil)
