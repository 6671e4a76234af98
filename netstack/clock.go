package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"ringside/sim"
)

// A Clock is the time of the machine that a stack runs on.
type Clock interface {
	// Now is the machine's time. Within a call into the stack it may go on, as
	// work is charged.
	Now() sim.Time
	// NewTimer makes a timer that calls f as a softirq of the machine. A stack
	// makes one, which it is called by.
	NewTimer(what string, f func()) Timer
}

// A Timer calls its function once for each time it was armed.
type Timer interface {
	Arm(at sim.Time) // armed again, it moves
	Disarm() bool    // says whether it was armed
}

// timers are the timers of a stack: a heap ordered by (time, sequence number),
// with one timer of the machine below. What is to happen at once happens before
// the call that asked for it returns, as a kernel would do it.
type timers struct {
	s     *Stack
	below Timer    // nil until the first timer is armed
	armed sim.Time // what for; sim.Never if it is not
	seq   uint64
	heap  []*timer
	soon  []*timer // in the order in which they were armed
	end   sim.Time // when the stack was closed
}

func (t *timers) init(s *Stack) { t.s, t.armed = s, sim.Never }

// close forgets all timers, and none can be armed any more.
func (t *timers) close() {
	t.end = t.s.cfg.Clock.Now()
	if t.below != nil {
		t.below.Disarm()
	}
	t.heap, t.soon = nil, nil
}

// runSoon calls what is to happen at once and says whether there was anything.
func (t *timers) runSoon() bool {
	if len(t.soon) == 0 {
		return false
	}
	for i := 0; i < len(t.soon); i++ { // it may grow meanwhile
		if next := t.soon[i]; next != nil {
			next.pos = idle
			next.f()
		}
	}
	clear(t.soon)
	t.soon = t.soon[:0]
	return true
}

// arm sets the machine's timer for the earliest of the stack's.
func (t *timers) arm() {
	next := sim.Never
	if len(t.heap) > 0 {
		next = t.heap[0].at
	}
	if next == t.armed {
		return
	}
	if t.below == nil {
		t.below = t.s.cfg.Clock.NewTimer(t.s.cfg.Name, t.fire)
	}
	if t.armed = next; next == sim.Never {
		t.below.Disarm()
		return
	}
	t.below.Arm(next)
}

// fire calls every timer whose time has come.
func (t *timers) fire() {
	s := t.s
	if s.closed {
		return
	}
	t.armed = sim.Never
	s.enter()
	for now := s.now(); len(t.heap) > 0 && t.heap[0].at <= now; {
		first := t.heap[0]
		t.remove(first)
		first.f()
		t.runSoon()
	}
	s.again = s.again || s.loops > 0
	s.leave()
}

// A timer is one of gVisor's.
type timer struct {
	t   *timers
	f   func()
	at  sim.Time
	seq uint64
	pos int32 // place in the heap, or one of the two below
}

const (
	idle int32 = -1 - iota
	pending
)

// Stop implements tcpip.Timer.
func (t *timer) Stop() bool {
	if t.t.s.closed {
		return false
	}
	armed := t.pos != idle
	switch t.pos {
	case idle:
	case pending:
		for i, o := range t.t.soon {
			if o == t {
				t.t.soon[i] = nil
			}
		}
	default:
		t.t.remove(t)
	}
	t.pos = idle
	return armed
}

// Reset implements tcpip.Timer.
func (t *timer) Reset(d time.Duration) {
	if t.t.s.closed {
		return
	}
	if d <= 0 {
		t.Stop()
		t.pos = pending
		t.t.soon = append(t.t.soon, t)
		return
	}
	t.after(sim.FromDuration(d))
}

// after arms the timer for a span from now.
func (t *timer) after(span sim.Time) {
	t.Stop()
	now := t.t.s.now()
	if span >= sim.Never-now {
		return // beyond the end of time
	}
	t.t.seq++
	t.at, t.seq = now+span, t.t.seq
	t.t.heap = append(t.t.heap, t)
	t.t.up(len(t.t.heap) - 1)
}

// clock is the machine's time as gVisor wants it. It begins at a fixed date, so
// that timestamps on the wire do not depend on the day.
type clock struct{ s *Stack }

var epoch = time.Unix(1_000_000_000, 0)

func (c clock) Now() time.Time { return epoch.Add(time.Duration(c.s.now().Nanoseconds())) }

func (c clock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(time.Duration(c.s.now().Nanoseconds()))
}

func (c clock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &timer{t: &c.s.timers, f: f, pos: idle}
	t.Reset(d)
	return t
}

// The heap. A stack has a handful of timers for each connection.

func (t *timer) before(o *timer) bool { return t.at < o.at || t.at == o.at && t.seq < o.seq }

func (t *timers) remove(x *timer) {
	i, n := int(x.pos), len(t.heap)-1
	last := t.heap[n]
	t.heap[n] = nil
	t.heap = t.heap[:n]
	x.pos = idle
	if i == n {
		return
	}
	t.heap[i] = last
	last.pos = int32(i)
	if i > 0 && last.before(t.heap[(i-1)/2]) {
		t.up(i)
	} else {
		t.down(i)
	}
}

func (t *timers) up(i int) {
	x := t.heap[i]
	for i > 0 {
		p := t.heap[(i-1)/2]
		if !x.before(p) {
			break
		}
		t.heap[i] = p
		p.pos = int32(i)
		i = (i - 1) / 2
	}
	t.heap[i] = x
	x.pos = int32(i)
}

func (t *timers) down(i int) {
	x := t.heap[i]
	for {
		c := 2*i + 1
		if c >= len(t.heap) {
			break
		}
		if c+1 < len(t.heap) && t.heap[c+1].before(t.heap[c]) {
			c++
		}
		if !t.heap[c].before(x) {
			break
		}
		t.heap[i] = t.heap[c]
		t.heap[i].pos = int32(i)
		i = c
	}
	t.heap[i] = x
	x.pos = int32(i)
}
