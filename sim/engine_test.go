package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A queue is what the engine and its slow model have in common: timers are
// numbers.
type queue interface {
	arm(id int, at Time)
	disarm(id int)
	now() Time
	next() Time
}

// fired is one event as both write it down.
type fired struct {
	id int
	at Time
}

// A slowQueue is the engine as one would explain it: a list that is sorted by
// (time, sequence number) before every event.
type slowQueue struct {
	clock Time
	seq   uint64
	list  []slowEvent
}

type slowEvent struct {
	id  int
	at  Time
	seq uint64
}

func (q *slowQueue) now() Time { return q.clock }

func (q *slowQueue) arm(id int, at Time) {
	q.disarm(id)
	if at == Never {
		return
	}
	q.seq++
	q.list = append(q.list, slowEvent{id, max(at, q.clock), q.seq})
}

func (q *slowQueue) disarm(id int) {
	q.list = slices.DeleteFunc(q.list, func(e slowEvent) bool { return e.id == id })
}

func (q *slowQueue) next() Time {
	t := Never
	for _, e := range q.list {
		t = min(t, e.at)
	}
	return t
}

func (q *slowQueue) step() (e slowEvent, ok bool) {
	if len(q.list) == 0 {
		return e, false
	}
	slices.SortFunc(q.list, func(a, b slowEvent) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return int(a.seq) - int(b.seq)
	})
	e, q.list = q.list[0], q.list[1:]
	q.clock = e.at
	return e, true
}

// A fastQueue is the engine itself.
type fastQueue struct {
	e      *Engine
	timers []*Timer
}

func (q fastQueue) arm(id int, at Time) { q.e.Arm(q.timers[id], at) }
func (q fastQueue) disarm(id int)       { q.e.Disarm(q.timers[id]) }
func (q fastQueue) now() Time           { return q.e.Now() }
func (q fastQueue) next() Time          { return q.e.Next() }

// meddle arms, moves and disarms some timers, the one that fires included. Times
// collide often, and some have passed.
func meddle(q queue, r *rand.Rand, timers int) {
	for range r.IntN(4) {
		id := r.IntN(timers)
		switch r.IntN(8) {
		case 0:
			q.disarm(id)
		case 1:
			q.arm(id, Never)
		case 2:
			q.arm(id, q.now()-Time(r.IntN(5)))
		default:
			q.arm(id, q.now()+Time(r.IntN(6)))
		}
	}
}

func TestEngineFiresLikeASortedList(t *testing.T) {
	for seed := range uint64(400) {
		timers := 1 + int(seed%23)
		var slow slowQueue
		fast := fastQueue{e: NewEngine(seed)}
		fastRand, slowRand := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 1))
		var got, want []fired
		for id := range timers {
			fast.timers = append(fast.timers, fast.e.NewTimer(fmt.Sprint(id), HandlerFunc(func(now Time) {
				got = append(got, fired{id, now})
				meddle(fast, fastRand, timers)
			})))
		}
		for range 300 {
			meddle(fast, fastRand, timers)
			meddle(&slow, slowRand, timers)
			if slow.next() != fast.next() {
				t.Fatalf("seed %d: next at %v, want %v", seed, fast.next(), slow.next())
			}
			ok := fast.e.Step()
			e, due := slow.step()
			if due {
				want = append(want, fired{e.id, e.at})
				meddle(&slow, slowRand, timers)
			}
			if ok != due || len(got) != len(want) || ok && got[len(got)-1] != want[len(want)-1] || fast.now() != slow.now() {
				t.Fatalf("seed %d, at %v, want %v: fired %v, want %v", seed, fast.now(), slow.now(), got, want)
			}
			checkArmed(t, fast, &slow)
			checkHeap(t, fast.e)
		}
		require.Equal(t, uint64(len(got)), fast.e.Fired())
	}
}

// checkArmed compares what is armed, and for when.
func checkArmed(t *testing.T, fast fastQueue, slow *slowQueue) {
	t.Helper()
	at := make([]Time, len(fast.timers))
	for id := range at {
		at[id] = Never
	}
	for _, e := range slow.list {
		at[e.id] = e.at
	}
	for id, timer := range fast.timers {
		if timer.At() != at[id] || timer.Armed() != (at[id] != Never) {
			t.Fatalf("timer %d is armed for %v (%v), want %v", id, timer.At(), timer.Armed(), at[id])
		}
	}
}

// checkHeap looks at the heap itself: every timer knows its place, and none is
// earlier than its parent.
func checkHeap(t *testing.T, e *Engine) {
	t.Helper()
	for i, timer := range e.heap {
		if int(timer.pos) != i+1 {
			t.Fatalf("timer at %d believes to be at %d", i, timer.pos-1)
		}
		if i > 0 && before(timer, e.heap[(i-1)/4]) {
			t.Fatalf("timer at %d is earlier than its parent", i)
		}
	}
}

func TestEventsOfOneMomentFireInTheOrderOfArming(t *testing.T) {
	e := NewEngine(1)
	var got []int
	var timers []*Timer
	for i := range 10 {
		timers = append(timers, e.NewTimer("", HandlerFunc(func(Time) { got = append(got, i) })))
	}
	for i := range 10 {
		e.Arm(timers[9-i], 5)
	}
	e.Arm(timers[4], 5) // armed again: to the end of the queue
	require.NoError(t, e.RunToIdle())
	require.Equal(t, []int{9, 8, 7, 6, 5, 3, 2, 1, 0, 4}, got)
}

func TestTimerArmedInItsOwnFireFiresAgainAfterTheOthersOfThatMoment(t *testing.T) {
	e := NewEngine(1)
	var got []string
	var a *Timer
	a = e.NewTimer("a", HandlerFunc(func(now Time) {
		require.False(t, a.Armed(), "a timer that fires is not armed")
		got = append(got, "a")
		if len(got) < 3 {
			e.Arm(a, now)
		}
	}))
	b := e.NewTimer("b", HandlerFunc(func(Time) { got = append(got, "b") }))
	e.Arm(a, 7)
	e.Arm(b, 7)
	require.NoError(t, e.RunToIdle())
	require.Equal(t, []string{"a", "b", "a"}, got)
	require.Equal(t, Time(7), e.Now())
}

func TestClockNeverRunsBackwards(t *testing.T) {
	e := NewEngine(1)
	late := e.NewTimer("late", HandlerFunc(func(now Time) { require.Equal(t, Time(10), now) }))
	early := e.NewTimer("early", HandlerFunc(func(Time) { e.Arm(late, 3) }))
	e.Arm(early, 10)
	require.NoError(t, e.RunToIdle())
	require.Equal(t, uint64(2), e.Fired())
}

func TestFailStopsTheRunAndTheFirstFailureStays(t *testing.T) {
	e := NewEngine(1)
	first, second := errors.New("first"), errors.New("second")
	var got int
	count := e.NewTimer("count", HandlerFunc(func(Time) { got++ }))
	fail := e.NewTimer("fail", HandlerFunc(func(Time) {
		e.Fail(first)
		e.Fail(second)
		e.Arm(count, 6)
	}))
	e.Arm(count, 1)
	e.Arm(fail, 5)
	require.Same(t, first, e.RunToIdle())
	require.Same(t, first, e.Err())
	require.Equal(t, 1, got)
	require.True(t, count.Armed(), "what was armed stays armed")
	require.False(t, e.Step())
	require.Same(t, first, e.RunUntil(100))
	require.Equal(t, Time(5), e.Now(), "a failed run does not move its clock")
}

func TestRunUntilIncludesItsEndAndSetsTheClock(t *testing.T) {
	e := NewEngine(1)
	var got []Time
	var tick *Timer
	tick = e.NewTimer("tick", HandlerFunc(func(now Time) {
		got = append(got, now)
		e.Arm(tick, now+10)
	}))
	e.Arm(tick, 10)
	require.NoError(t, e.RunUntil(25))
	require.Equal(t, []Time{10, 20}, got)
	require.Equal(t, Time(25), e.Now())
	require.NoError(t, e.RunUntil(30))
	require.Equal(t, []Time{10, 20, 30}, got)
	require.NoError(t, e.RunUntil(5))
	require.Equal(t, Time(30), e.Now(), "an end that has passed changes nothing")

	e.Disarm(tick)
	require.NoError(t, e.RunUntil(Never))
	require.Equal(t, Time(30), e.Now(), "Never is no time for a clock")
}

func TestDisarmedTimerDoesNotFire(t *testing.T) {
	e := NewEngine(1)
	timer := e.NewTimer("x", HandlerFunc(func(Time) { t.Error("fired") }))
	e.Disarm(timer)
	e.Arm(timer, 3)
	e.Disarm(timer)
	e.Disarm(timer)
	e.Arm(timer, 4)
	e.Arm(timer, Never)
	require.Equal(t, Never, timer.At())
	require.Equal(t, Never, e.Next())
	require.NoError(t, e.RunToIdle())
	require.Equal(t, Time(0), e.Now())
}

func TestOnFireSeesEveryEventBeforeItHappens(t *testing.T) {
	e := NewEngine(1)
	var log []string
	e.OnFire(func(at Time, seq uint64, id uint32) {
		log = append(log, fmt.Sprintf("%v #%d %s", at, seq, e.TimerName(id)))
	})
	a := e.NewTimer("a", HandlerFunc(func(Time) { log = append(log, "a fires") }))
	b := e.NewTimer("b", HandlerFunc(func(Time) { log = append(log, "b fires") }))
	e.Arm(b, 2)
	e.Arm(a, 1)
	require.NoError(t, e.RunToIdle())
	require.Equal(t, []string{"1ps #2 a", "a fires", "2ps #1 b", "b fires"}, log)
	require.Equal(t, "a", a.Name())
	require.Equal(t, "timer 0", e.TimerName(0))
	require.Equal(t, "timer 3", e.TimerName(3))
}

// loop is a handler that is armed again and again.
type loop struct {
	e     *Engine
	t     *Timer
	every Time
}

func (l *loop) Fire(now Time) { l.e.Arm(l.t, now+l.every) }

func loops(e *Engine, n int) {
	for i := range n {
		l := &loop{e: e, every: Time(100 + 7*i)}
		l.t = e.NewTimer("loop", l)
		e.Arm(l.t, Time(i))
	}
}

func TestArmAndStepDoNotAllocate(t *testing.T) {
	e := NewEngine(1)
	loops(e, 64)
	if n := testing.AllocsPerRun(1000, func() { e.Step() }); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

// One event: the earliest timer fires and is armed again, among as many others.
func BenchmarkEngine(b *testing.B) {
	for _, n := range []int{1, 16, 1024} {
		b.Run(fmt.Sprintf("timers=%d", n), func(b *testing.B) {
			e := NewEngine(1)
			loops(e, n)
			b.ReportAllocs()
			for b.Loop() {
				e.Step()
			}
		})
	}
}
