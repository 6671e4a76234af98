package snoop

import (
	"container/heap"

	"ringside/sim"
)

// A timer fires once. Its time stays after it fired or was stopped, as Linux
// reads it then. Zero is a stopped timer that has yet to get its do.
type timer struct {
	at  sim.Time
	seq uint64 // order among those of one time
	pos int    // its place in the queue, from 1; 0 is stopped
	do  func()
}

func (t *timer) pending() bool { return t.pos != 0 }

// left is how long the timer still runs.
func (t *timer) left(now sim.Time) sim.Time {
	if !t.pending() {
		return 0
	}
	return max(0, t.at-now)
}

// A timerQueue is the running timers in the order in which they fire.
type timerQueue struct {
	list []*timer
	seq  uint64
}

func (q *timerQueue) due() sim.Time {
	if len(q.list) == 0 {
		return sim.Never
	}
	return q.list[0].at
}

// arm starts the timer, or moves it.
func (q *timerQueue) arm(t *timer, at sim.Time) {
	q.stop(t)
	q.seq++
	t.at, t.seq = at, q.seq
	heap.Push(q, t)
}

func (q *timerQueue) stop(t *timer) {
	if t.pending() {
		heap.Remove(q, t.pos-1)
	}
}

// The methods of heap.Interface.

func (q *timerQueue) Len() int { return len(q.list) }

func (q *timerQueue) Less(i, j int) bool {
	a, b := q.list[i], q.list[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (q *timerQueue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].pos, q.list[j].pos = i+1, j+1
}

func (q *timerQueue) Push(x any) {
	t := x.(*timer)
	t.pos = len(q.list) + 1
	q.list = append(q.list, t)
}

func (q *timerQueue) Pop() any {
	last := len(q.list) - 1
	t := q.list[last]
	q.list[last] = nil
	q.list = q.list[:last]
	t.pos = 0
	return t
}

// arm starts t at a moment, at the earliest one there is.
func (s *Snooper) arm(t *timer, at sim.Time) { s.timers.arm(t, at) }

// after is the moment a span from now, Never if that is beyond all time.
func (s *Snooper) after(span sim.Time) sim.Time {
	if span > sim.Never-s.now {
		return sim.Never
	}
	return s.now + span
}

// lower moves a timer to a moment if it would fire later or does not run.
func (s *Snooper) lower(t *timer, at sim.Time) {
	if !t.pending() || t.at > at {
		s.arm(t, at)
	}
}

// Due is when Tick has something to do, sim.Never if never.
func (s *Snooper) Due() sim.Time { return s.timers.due() }

// Tick does what is due by now.
func (s *Snooper) Tick(now sim.Time) {
	if s.peeking {
		return
	}
	for s.timers.due() <= now {
		t := heap.Pop(&s.timers).(*timer)
		s.now = max(s.now, t.at)
		t.do()
	}
	s.now = max(s.now, now)
}
