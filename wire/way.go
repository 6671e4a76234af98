package wire

import (
	"math/rand/v2"

	"ringside/nic"
	"ringside/sim"
)

// A way is one direction of a link at work.
type way struct {
	spec      Way
	line      line // that frames come in by; bps 0 for none
	duplicate *duplicate
	effects   []effect
	corrupt   *corrupt // of the effects, nil if it is not among them
	limit     *limit   // likewise
	held      *held    // nil where frames keep their order
	first     nic.WireFrame
	waits     bool     // first has entered and met no effect yet
	now       sim.Time // when the last frame set off: none sets off before it
	began     sim.Time // when the frame at hand set off
	last      sim.Time // when the last frame came out
	newest    uint64   // of those that are out, the one that came in last
	counts    Counts
}

// newWay makes one direction. Chance comes by the effect's name.
func newWay(w Way, bps uint64, chance func(effect string) *rand.ChaCha8) way {
	t := way{spec: w, line: newLine(bps)}
	if w.Duplicate > 0 {
		t.duplicate = &duplicate{p: w.Duplicate, rnd: chance("duplicate")}
	}
	if w.Loss > 0 {
		t.effects = append(t.effects, &loss{w.Loss, chance("loss")})
	}
	if w.Bursts != (Bursts{}) {
		t.effects = append(t.effects, &bursts{Bursts: w.Bursts, rnd: chance("bursts")})
	}
	if w.Corrupt > 0 {
		t.corrupt = &corrupt{p: w.Corrupt, rnd: chance("corrupt")}
		t.effects = append(t.effects, t.corrupt)
	}
	most := w.Limit
	if w.overtakes() {
		t.held = &held{}
		if most == 0 {
			most = DefaultLimit
		}
	}
	if most > 0 {
		t.limit = &limit{most: most, held: t.held}
		t.effects = append(t.effects, t.limit)
	}
	if w.Rate.BPS > 0 {
		t.effects = append(t.effects, newRate(w.Rate))
	}
	if w.Delay != (Delay{}) {
		t.effects = append(t.effects, newDelay(w, chance))
	}
	return t
}

// enter takes a frame from outside. What is due by then, at w.now, has to be out
// before the frame meets an effect.
func (w *way) enter(f *nic.WireFrame) {
	w.counts.In++
	if w.line.bps > 0 {
		f.At, _ = w.line.carry(f.At, len(f.Data))
	}
	f.At = max(f.At, w.now)
	w.now, w.began = f.At, f.At
	if w.duplicate != nil {
		w.duplicate.look(f)
	}
}

// stop lets a frame that has entered wait for begin.
func (w *way) stop(f *nic.WireFrame) { w.first, w.waits = *f, true }

// begin takes the next frame that has entered and not met an effect yet: the one that
// was stopped, then its copy.
func (w *way) begin(f *nic.WireFrame) bool {
	switch {
	case w.waits:
		*f, w.waits = w.first, false
	case w.duplicate != nil && w.duplicate.has:
		*f, w.duplicate.has = w.duplicate.copy, false
	default:
		return false
	}
	w.began = f.At
	return true
}

// pass takes the frame through the effects, up to where it is held.
func (w *way) pass(f *nic.WireFrame) Reason {
	for _, e := range w.effects {
		if why := e.pass(f); why != NotLost {
			w.counts.Lost[why]++
			return why
		}
	}
	if w.limit != nil {
		w.limit.passed(f)
	}
	if w.held != nil {
		w.counts.passed++
		w.held.put(f, w.counts.passed, w.began)
	}
	return NotLost
}

// next is when the earliest frame that is held comes out, Never if there is none.
func (w *way) next() sim.Time {
	if w.held == nil || len(w.held.heap) == 0 {
		return sim.Never
	}
	return w.held.next().at
}

// release hands out the earliest frame that is held.
func (w *way) release(f *nic.WireFrame) {
	if seq := w.held.next().seq; seq < w.newest {
		w.counts.Reordered++
	} else {
		w.newest = seq
	}
	w.began = w.held.take(f)
	w.leave(f)
}

// leave counts a frame that comes out.
func (w *way) leave(f *nic.WireFrame) {
	f.At = max(f.At, w.last)
	w.last = f.At
	w.counts.left(f.At - w.began)
}

// tally is the counts as they are now.
func (w *way) tally() Counts {
	c := w.counts
	if w.waits {
		c.Held++
	}
	if w.duplicate != nil {
		c.Duplicated = w.duplicate.n
		if w.duplicate.has {
			c.Held++
		}
	}
	if w.corrupt != nil {
		c.Corrupted = w.corrupt.n
	}
	if w.held != nil {
		c.Held += uint64(len(w.held.heap))
	}
	return c
}
