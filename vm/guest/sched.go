package guest

import (
	"fmt"
	"iter"
	"runtime"

	"ringside/cost"
	"ringside/sim"
)

// A procQueue is processes that want the CPU, in order.
type procQueue struct{ head, tail *Proc }

func (q *procQueue) push(p *Proc) {
	p.next = nil
	if q.head == nil {
		q.head = p
	} else {
		q.tail.next = p
	}
	q.tail = p
}

func (q *procQueue) pop() *Proc {
	p := q.head
	if p != nil {
		q.head, p.next = p.next, nil
	}
	return p
}

// spawn makes a process that is ready to run at the time start. Its coroutine begins
// when it first does.
func (k *Kernel) spawn(name string, main Program, start sim.Time) {
	p := &Proc{k: k, name: name, main: main}
	p.alarm = timer{heap: &k.timers, f: p.ring}
	p.older = k.lastProc
	if k.lastProc == nil {
		k.procs = p
	} else {
		k.lastProc.younger = p
	}
	k.lastProc = p
	if start > k.cpu.Now() {
		p.waiting = true
		p.alarm.Arm(start)
		return
	}
	k.runq.push(p)
}

// reap takes p off the list of processes.
func (k *Kernel) reap(p *Proc) {
	if p.older == nil {
		k.procs = p.younger
	} else {
		p.older.younger = p.younger
	}
	if p.younger == nil {
		k.lastProc = p.older
	} else {
		p.younger.older = p.older
	}
}

// process lets the process whose turn it is run until the end of its next system
// call, and says whether there was one.
func (k *Kernel) process() bool {
	if k.current != nil && k.runq.head != nil && k.cpu.Now() >= k.sliceEnd {
		k.runq.push(k.current)
		k.current = nil
	}
	if k.current == nil && !k.pick() {
		return false
	}
	p := k.current
	if p.call.do == nil && !p.run() {
		k.reap(p)
		k.current, k.last = nil, nil
		k.settle()
		return true
	}
	k.serve(p)
	return true
}

// pick gives the CPU to the next process and says whether there was one.
func (k *Kernel) pick() bool {
	p := k.runq.pop()
	if p == nil {
		return false
	}
	if k.last != p {
		k.cpu.Charge(cost.GuestSchedule, 1)
		k.last = p
	}
	k.current, k.sliceEnd = p, k.cpu.Now()+slice
	return true
}

// run resumes the program and returns at its next call. False says that it has
// ended.
func (p *Proc) run() bool {
	if p.resume == nil {
		p.resume, _ = iter.Pull(p.life)
	}
	p.k.inside = p
	_, alive := p.resume()
	p.k.inside = nil
	return alive
}

// life is the coroutine.
func (p *Proc) life(yield func(struct{}) bool) {
	p.yield = yield
	ended := false
	defer func() {
		r := recover()
		switch {
		case p.killed && !ended: // Goexit passes here, and must not pass Pull
			panic(killed{})
		case r != nil:
			p.k.fail(p, fmt.Errorf("program panicked: %v", r))
		}
	}()
	err := p.main(p)
	ended = true
	if err != nil && !p.killed {
		p.k.fail(p, err)
	}
}

func (k *Kernel) fail(p *Proc, err error) {
	k.cpu.Fail(fmt.Errorf("%s: %w", p.name, err))
}

// ring is the process's alarm.
func (p *Proc) ring() {
	if p.on != nil {
		p.on.forget(p)
	}
	p.wake()
}

// wait takes the CPU away from p until wake, or until the time at.
func (p *Proc) wait(at sim.Time) {
	p.waiting = true
	p.alarm.Arm(at)
	p.k.current, p.k.last = nil, nil
}

// wake makes a process that waits ready to run.
func (p *Proc) wake() {
	if !p.waiting {
		return
	}
	p.waiting = false
	p.alarm.Disarm()
	p.k.cpu.Charge(cost.GuestWakeUp, 1)
	p.k.runq.push(p)
}

// killed is what unwinds a program whose machine is switched off.
type killed struct{}

// maxRefused is how often a program may recover from being unwound before it is
// unwound in a way from which it cannot.
const maxRefused = 64

// pause hands the process's call to the kernel and returns when it is done.
func (p *Proc) pause() {
	if !p.killed {
		if p.yield(struct{}{}); !p.killed {
			return
		}
	}
	if p.refused++; p.refused <= maxRefused {
		panic(killed{})
	}
	runtime.Goexit()
}

// kill unwinds the program, its deferred functions run, and takes p off the list.
func (p *Proc) kill() {
	p.killed = true
	p.k.reap(p)
	if p.resume == nil { // it has not begun
		return
	}
	defer func() { recover() }() // of killed
	p.k.inside = p
	defer func() { p.k.inside = nil }()
	p.resume()
}
