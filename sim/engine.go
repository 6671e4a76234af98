package sim

import "fmt"

// A Handler is what happens when a timer fires. Fire runs at the engine's
// present time and may arm and disarm any timer, its own included.
type Handler interface{ Fire(now Time) }

// HandlerFunc makes a function a Handler.
type HandlerFunc func(now Time)

// Fire calls f.
func (f HandlerFunc) Fire(now Time) { f(now) }

// A Timer is one event that can be armed for a moment of virtual time. A timer
// that is armed again moves; it never fires twice for one arming. It is made by
// Engine.NewTimer; the zero value cannot be armed.
type Timer struct {
	h          Handler
	id         uint32
	pos        int32 // index in the engine's heap plus one; 0 when not armed
	at         Time
	seq        uint64
	name       string
	background bool
}

// Armed says whether t is waiting to fire.
func (t *Timer) Armed() bool { return t.pos != 0 }

// At is the moment t is armed for, Never when it is not.
func (t *Timer) At() Time {
	if t.pos == 0 {
		return Never
	}
	return t.at
}

// Name is the name given to NewTimer.
func (t *Timer) Name() string { return t.name }

// An Engine is the one event loop: it takes the earliest timer, moves the clock
// to it, and lets it fire. Two timers of the same moment fire in the order in
// which they were armed. It has no goroutines, no locks and no wall clock.
// The zero value is not ready; see NewEngine.
type Engine struct {
	*core
	under string // what the names of timers and of chance begin with
}

// A core is what an engine and all that Under made of it share.
type core struct {
	now    Time
	seq    uint64
	heap   []*Timer // 4-ary heap ordered by (at, seq)
	fore   int      // armed timers that are not in the background
	fired  uint64
	ids    uint32
	seed   uint64
	err    error
	onFire func(at Time, seq uint64, id uint32)
	names  []string
}

// NewEngine returns an engine at time 0 whose randomness derives from seed.
func NewEngine(seed uint64) *Engine { return &Engine{core: &core{seed: seed}} }

// Under is the same engine for a part of what runs on it, one host of several for
// instance: the names that it gives to timers and to randomness begin with prefix.
// So parts that are built alike have names and chance of their own.
func (e *Engine) Under(prefix string) *Engine { return &Engine{e.core, e.under + prefix} }

// Now is the time of the event that is running, or of the last one.
func (e *core) Now() Time { return e.now }

// Fired counts the events so far.
func (e *core) Fired() uint64 { return e.fired }

// Next is the time of the earliest armed timer, Never if there is none.
func (e *core) Next() Time {
	if len(e.heap) == 0 {
		return Never
	}
	return e.heap[0].at
}

// OnFire has f called before every event with its time, its sequence number and
// the number of its timer; see TimerName. The trace hash lives there.
func (e *core) OnFire(f func(at Time, seq uint64, id uint32)) { e.onFire = f }

// NewTimer makes a timer, not yet armed. Name tells it apart in traces.
func (e *Engine) NewTimer(name string, h Handler) *Timer {
	e.ids++
	name = e.under + name
	e.names = append(e.names, name)
	return &Timer{h: h, id: e.ids, name: name}
}

// NewBackgroundTimer is NewTimer for housekeeping, an ageing walk for instance:
// such a timer fires like any other, but RunToIdle does not wait for it.
func (e *Engine) NewBackgroundTimer(name string, h Handler) *Timer {
	t := e.NewTimer(name, h)
	t.background = true
	return t
}

// TimerName is the name of the timer with the number id, as OnFire gives it.
func (e *core) TimerName(id uint32) string {
	if id == 0 || int(id) > len(e.names) {
		return fmt.Sprintf("timer %d", id)
	}
	return e.names[id-1]
}

// Arm lets t fire at the time at, or moves it there if it was armed already. A
// time that has passed means now: the clock never runs backwards. Never disarms.
func (e *core) Arm(t *Timer, at Time) {
	if at == Never {
		e.Disarm(t)
		return
	}
	if at < e.now {
		at = e.now
	}
	e.seq++
	later := t.pos != 0 && at >= t.at
	t.at, t.seq = at, e.seq
	switch {
	case t.pos == 0:
		if !t.background {
			e.fore++
		}
		e.heap = append(e.heap, t)
		e.up(len(e.heap)-1, t)
	case later:
		e.down(int(t.pos)-1, t)
	default:
		e.up(int(t.pos)-1, t)
	}
}

// Disarm takes t off the queue; a timer that is not armed stays so.
func (e *core) Disarm(t *Timer) {
	if t.pos == 0 {
		return
	}
	if !t.background {
		e.fore--
	}
	i := int(t.pos) - 1
	t.pos = 0
	last := e.heap[len(e.heap)-1]
	e.heap[len(e.heap)-1] = nil
	e.heap = e.heap[:len(e.heap)-1]
	if last == t {
		return
	}
	if i > 0 && before(last, e.heap[(i-1)/4]) {
		e.up(i, last)
	} else {
		e.down(i, last)
	}
}

// Fail stops the run: Step returns false from here on and Run returns err, with what
// names begin with in front of it. The first failure is kept. Oracles report through it.
func (e *Engine) Fail(err error) {
	if e.err != nil {
		return
	}
	if e.err = err; e.under != "" {
		e.err = fmt.Errorf("%s%w", e.under, err)
	}
}

// Err is the failure that stopped the run, nil if none did.
func (e *core) Err() error { return e.err }

// Step runs the earliest event and says whether there was one.
func (e *core) Step() bool {
	if len(e.heap) == 0 || e.err != nil {
		return false
	}
	t := e.heap[0]
	e.Disarm(t)
	e.now = t.at
	e.fired++
	if e.onFire != nil {
		e.onFire(t.at, t.seq, t.id)
	}
	t.h.Fire(t.at)
	return true
}

// RunToIdle runs events until none is armed but in the background. It returns
// the failure, if any.
func (e *core) RunToIdle() error {
	for e.fore > 0 && e.Step() {
	}
	return e.err
}

// RunUntil runs every event of a time up to and including end, then sets the
// clock to end, unless that is Never. It returns the failure, if any.
func (e *core) RunUntil(end Time) error {
	for e.Next() <= end && e.Step() {
	}
	if e.err == nil && e.now < end && end != Never {
		e.now = end
	}
	return e.err
}

func before(a, b *Timer) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// up moves t from position i towards the root until its parent is earlier.
func (e *core) up(i int, t *Timer) {
	for i > 0 {
		parent := (i - 1) / 4
		p := e.heap[parent]
		if !before(t, p) {
			break
		}
		e.heap[i] = p
		p.pos = int32(i + 1)
		i = parent
	}
	e.heap[i] = t
	t.pos = int32(i + 1)
}

// down moves t from position i towards the leaves until its children are later.
func (e *core) down(i int, t *Timer) {
	for {
		first := 4*i + 1
		if first >= len(e.heap) {
			break
		}
		child := first
		for c := first + 1; c < first+4 && c < len(e.heap); c++ {
			if before(e.heap[c], e.heap[child]) {
				child = c
			}
		}
		c := e.heap[child]
		if !before(c, t) {
			break
		}
		e.heap[i] = c
		c.pos = int32(i + 1)
		i = child
	}
	e.heap[i] = t
	t.pos = int32(i + 1)
}
