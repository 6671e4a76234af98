package raw

import (
	"fmt"
	"iter"
	"runtime"

	"ringside/sim"
)

// A state is why the program does not run.
type state uint8

const (
	ready   state = iota // it can
	waits                // for a frame
	blocked              // for room to send
	works                // on the CPU, for the time that is left
	sleeps               // until a time
	ended
)

// A program is the guest's program as a coroutine.
type program struct {
	main  func() error
	state state
	left  sim.Time // of its work
	until sim.Time // of its sleep

	next    func() (struct{}, bool)
	yield   func(struct{}) bool
	err     error
	killed  bool
	refused int // times it recovered from being killed
}

// roomMade lets a program that waits for room try again.
func (p *program) roomMade() {
	if p.state == blocked {
		p.state = ready
	}
}

// resume lets the program run until it pauses or ends, and returns the error that it
// ended with.
func (p *program) resume() error {
	if p.next == nil {
		p.next, _ = iter.Pull(p.life)
	}
	p.state = ready
	if _, alive := p.next(); alive {
		return nil
	}
	p.state = ended
	return p.err
}

// life is the coroutine.
func (p *program) life(yield func(struct{}) bool) {
	p.yield = yield
	done := false
	defer func() {
		r := recover()
		switch {
		case p.killed && !done: // Goexit passes here, and must not pass Pull
			panic(killed{})
		case r != nil:
			p.err = fmt.Errorf("program panicked: %v", r)
		}
	}()
	err := p.main()
	done = true
	if !p.killed {
		p.err = err
	}
}

// killed is what unwinds a program whose machine is switched off.
type killed struct{}

// maxRefused is how often a program may recover from being unwound before it is
// unwound in a way from which it cannot.
const maxRefused = 64

// pause stops the program and returns when it is resumed.
func (p *program) pause(why state) {
	if !p.killed {
		p.state = why
		if p.yield(struct{}{}); !p.killed {
			return
		}
	}
	if p.refused++; p.refused <= maxRefused {
		panic(killed{})
	}
	runtime.Goexit()
}

// kill unwinds the program; its deferred functions run.
func (p *program) kill() {
	if p.next == nil || p.state == ended {
		return
	}
	p.killed = true
	defer func() { recover() }() // of killed
	p.next()
}
