package guest

import (
	"ringside/netstack"
	"ringside/sim"
)

// A timer is one moment at which a function runs as a softirq of the guest.
type timer struct {
	heap *timers
	f    func()
	at   sim.Time
	seq  uint64
	pos  int32 // index in the heap plus one; 0 when not armed
}

// Arm lets t run at the time at, or moves it there. Never disarms.
func (t *timer) Arm(at sim.Time) {
	if at == sim.Never {
		t.Disarm()
		return
	}
	h := t.heap
	h.seq++
	t.at, t.seq = at, h.seq
	if t.pos == 0 {
		h.list = append(h.list, t)
		t.pos = int32(len(h.list))
	}
	h.down(h.up(int(t.pos) - 1))
}

// Disarm takes t off the heap and says whether it was armed.
func (t *timer) Disarm() bool {
	if t.pos == 0 {
		return false
	}
	h, i, last := t.heap, int(t.pos)-1, len(t.heap.list)-1
	h.swap(i, last)
	h.list[last] = nil
	h.list = h.list[:last]
	t.pos = 0
	if i < last {
		h.down(h.up(i))
	}
	return true
}

// timers is a guest's timers that are armed: a binary heap ordered by time, and by
// the order of arming for one time.
type timers struct {
	list []*timer
	seq  uint64
}

// next is when the earliest is due, Never if none is armed.
func (h *timers) next() sim.Time {
	if len(h.list) == 0 {
		return sim.Never
	}
	return h.list[0].at
}

// expire takes the earliest off the heap if it is due by now.
func (h *timers) expire(now sim.Time) *timer {
	if h.next() > now || len(h.list) == 0 {
		return nil
	}
	t := h.list[0]
	t.Disarm()
	return t
}

func (h *timers) before(i, j int) bool {
	a, b := h.list[i], h.list[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (h *timers) swap(i, j int) {
	l := h.list
	l[i], l[j] = l[j], l[i]
	l[i].pos, l[j].pos = int32(i+1), int32(j+1)
}

// up moves the timer at i towards the root and returns where it stands then.
func (h *timers) up(i int) int {
	for i > 0 && h.before(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

// down moves the timer at i away from the root.
func (h *timers) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.list) {
			return
		}
		if c+1 < len(h.list) && h.before(c+1, c) {
			c++
		}
		if !h.before(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}

// clock is the guest as its stack's clock.
type clock Kernel

// Now is the CPU's time.
func (c *clock) Now() sim.Time { return c.cpu.Now() }

// NewTimer makes a timer on the guest's heap.
func (c *clock) NewTimer(_ string, f func()) netstack.Timer {
	return &timer{heap: &c.timers, f: f}
}

var _ netstack.Clock = (*clock)(nil)
