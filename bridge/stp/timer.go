package stp

import "ringside/sim"

// A timers is the moments at which three timers fire; sim.Never is one that does
// not run.
type timers [3]sim.Time

var idle = timers{sim.Never, sim.Never, sim.Never}

// The bridge's timers.
const (
	timerHello = iota
	timerTCN
	timerTopologyChange
)

// A port's timers.
const (
	timerMessageAge = iota
	timerForwardDelay
	timerHold
)

const unknown sim.Time = -1

// arm starts a timer, or starts it again.
func (t *Tree) arm(ts *timers, which int, d sim.Time) {
	at := sim.Never
	if d < sim.Never-t.now {
		at = t.now + d
	}
	ts[which] = at
	t.due = unknown
}

// armWhole starts a timer that runs to a whole second: to the one before if less
// than a quarter of a second would be cut off, and that is still to come.
func (t *Tree) armWhole(ts *timers, which int, d sim.Time) {
	at := t.now + d
	whole := at - at%sim.Second
	if at%sim.Second >= sim.Second/4 {
		whole += sim.Second
	}
	if whole > t.now {
		at = whole
	}
	t.arm(ts, which, at-t.now)
}

func (t *Tree) disarm(ts *timers, which int) {
	ts[which] = sim.Never
	t.due = unknown
}

// Due is when the next timer fires; sim.Never if none runs.
func (t *Tree) Due() sim.Time {
	if t.due == unknown {
		t.due, _, _ = t.next()
	}
	return t.due
}

// Tick fires the timers that are due, the earliest first, each at its own time.
// Time does not go back: an earlier now is taken as the latest there was.
func (t *Tree) Tick(now sim.Time) {
	for t.Due() <= now && t.due != sim.Never {
		at, p, which := t.next()
		t.now = max(t.now, at)
		if p != nil {
			t.disarm(&p.timers, which)
			t.firePort(p, which)
			continue
		}
		t.disarm(&t.timers, which)
		t.fireBridge(which)
	}
	t.now = max(t.now, now)
}

// next is the timer that fires next; p is nil if it is the bridge's.
func (t *Tree) next() (at sim.Time, p *port, which int) {
	at = sim.Never
	for i, when := range t.timers {
		if when < at {
			at, which = when, i
		}
	}
	for _, q := range t.ports {
		for i, when := range q.timers {
			if when < at {
				at, p, which = when, q, i
			}
		}
	}
	return at, p, which
}

func (t *Tree) fireBridge(which int) {
	switch which {
	case timerHello:
		t.sendConfigs()
		if t.on {
			// A root can have said a hello time of 0 before the protocol was
			// turned off and on: a timer takes some time all the same.
			t.armWhole(&t.timers, timerHello, max(t.current.hello, ageIncrement))
		}
	case timerTCN:
		if !t.IsRoot() {
			t.sendTCN()
			t.arm(&t.timers, timerTCN, t.own.hello)
		}
	case timerTopologyChange:
		t.topologyChangeDetected = false
		t.setTopologyChange(false)
	}
}

func (t *Tree) firePort(p *port, which int) {
	switch which {
	case timerMessageAge:
		if p.state == Disabled { // by hand
			return
		}
		wasRoot := t.IsRoot()
		t.designate(p)
		t.reconfigure(wasRoot)
	case timerForwardDelay:
		t.advance(p)
	case timerHold:
		if p.pending {
			t.sendConfig(p)
		}
	}
}

// advance takes a port one state further on its way to forwarding.
func (t *Tree) advance(p *port) {
	switch p.state {
	case Listening:
		t.setState(p, Learning)
		t.arm(&p.timers, timerForwardDelay, t.current.forwardDelay)
	case Learning:
		t.setState(p, Forwarding)
		if t.designatedSomewhere() {
			t.detectTopologyChange()
		}
	}
}

func (t *Tree) designatedSomewhere() bool {
	for _, p := range t.ports {
		if p.state != Disabled && p.heard.bridge == t.id {
			return true
		}
	}
	return false
}
