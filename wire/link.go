package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"ringside/nic"
	"ringside/sim"
)

// A Config says what a Link is. Engine is required.
type Config struct {
	Name   string      // of the NIC at its end, for its chance and its timers; "" means "link"
	Engine *sim.Engine // required
	Spec   Spec
	// BPS is the rate, in bits a second, at which frames from the far end come in at
	// most. 0 means that any number can come in at once.
	BPS uint64
	// Lost, if not nil, is called for every frame that the link loses.
	Lost func(Lost)
}

// A Lost is one frame that a link lost. Data is only good during the call.
type Lost struct {
	ID   uint64
	At   sim.Time // when it set off, or came to the queue that had no room
	Tx   bool     // it came from the NIC
	Why  Reason
	Data []byte
}

// A Link is a wire with something in the middle. It is called by one event loop, as
// the NIC is. See New.
type Link struct {
	far    nic.Wire
	near   interface{ Arrive() }
	engine *sim.Engine
	rx, tx way
	lost   func(Lost)
	arrive *sim.Timer // for what is held towards the NIC, if anything can be
	send   *sim.Timer // likewise from it
	out    nic.WireFrame
}

// New lays a link between a NIC and the wire far. The NIC is given by Plug as soon
// as there is one.
func New(c Config, far nic.Wire) (*Link, error) {
	switch {
	case c.Engine == nil:
		return nil, errors.New("wire: Config.Engine is required")
	case far == nil:
		return nil, errors.New("wire: a link needs a wire at its far end")
	case c.BPS != 0 && (c.BPS < MinRate || c.BPS > MaxRate):
		return nil, fmt.Errorf("wire: Config.BPS is %d; %d to %d are possible, and 0", c.BPS, uint64(MinRate), uint64(MaxRate))
	}
	if err := c.Spec.Check(); err != nil {
		return nil, fmt.Errorf("wire: Config.Spec: %w", err)
	}
	if c.Name == "" {
		c.Name = "link"
	}
	l := &Link{far: far, engine: c.Engine, lost: c.Lost}
	chance := func(way string) func(string) *rand.ChaCha8 {
		return func(effect string) *rand.ChaCha8 { return c.Engine.Source("wire/" + c.Name + "/" + way + "/" + effect) }
	}
	l.rx, l.tx = newWay(c.Spec.Rx, c.BPS, chance("rx")), newWay(c.Spec.Tx, 0, chance("tx"))
	if l.rx.held != nil {
		l.arrive = c.Engine.NewTimer(c.Name+"/rx", sim.HandlerFunc(l.due))
	}
	if l.tx.held != nil {
		l.send = c.Engine.NewTimer(c.Name+"/tx", sim.HandlerFunc(l.drain))
	}
	return l, nil
}

// Plug says which NIC is at the near end: it is told of frames that come out while
// nothing follows them. Without one they wait until Receive is called.
func (l *Link) Plug(n interface{ Arrive() }) { l.near = n }

// Receive hands out the next frame for the NIC.
func (l *Link) Receive(f *nic.WireFrame) bool {
	w := &l.rx
	for {
		// What sets off from now on comes out later than what is due by now.
		if w.next() <= w.now {
			w.release(f)
			return true
		}
		if !w.begin(f) {
			if !l.far.Receive(f) {
				return l.wait(f)
			}
			w.enter(f)
			if w.held != nil {
				w.stop(f)
				continue
			}
		}
		if why := w.pass(f); why != NotLost {
			l.lose(f, why, false)
		} else if w.held == nil {
			w.leave(f)
			return true
		}
	}
}

// wait is Receive when nothing more is on its way at the far end: what is held comes
// out when its time has come.
func (l *Link) wait(f *nic.WireFrame) bool {
	if l.rx.held == nil {
		return false
	}
	at := l.rx.next()
	if at <= l.engine.Now() {
		l.rx.release(f)
		return true
	}
	l.engine.Arm(l.arrive, at) // Never disarms it
	return false
}

// due wakes the NIC for a frame that waits for it.
func (l *Link) due(sim.Time) {
	if l.near != nil {
		l.near.Arrive()
	}
}

// Transmit takes a frame from the NIC.
func (l *Link) Transmit(f *nic.WireFrame) {
	w := &l.tx
	sent := *f
	w.enter(&sent)
	if w.held != nil {
		l.drain(w.now)
	}
	l.transmit(sent)
	for w.begin(&sent) {
		if w.held != nil {
			l.drain(w.now)
		}
		l.transmit(sent)
	}
	if w.held != nil {
		l.rearm()
	}
}

// transmit takes a frame through the link.
func (l *Link) transmit(f nic.WireFrame) {
	w := &l.tx
	l.out = f
	if why := w.pass(&l.out); why != NotLost {
		l.lose(&l.out, why, true)
	} else if w.held == nil {
		w.leave(&l.out)
		l.far.Transmit(&l.out)
	}
}

// drain hands out what is due at the far end.
func (l *Link) drain(now sim.Time) {
	for l.tx.next() <= now {
		l.tx.release(&l.out)
		l.far.Transmit(&l.out)
	}
	l.rearm()
}

// rearm sets the timer for the next frame that is held from the NIC.
func (l *Link) rearm() {
	if at := l.tx.next(); l.send.At() != at {
		l.engine.Arm(l.send, at)
	}
}

func (l *Link) lose(f *nic.WireFrame, why Reason, tx bool) {
	if l.lost != nil {
		l.lost(Lost{f.ID, f.At, tx, why, f.Data})
	}
}

// Spec is what the link was made for.
func (l *Link) Spec() Spec { return Spec{l.rx.spec, l.tx.spec} }

// Rx is what the link did to frames towards the NIC so far.
func (l *Link) Rx() Counts { return l.rx.tally() }

// Tx is what the link did to frames from the NIC so far.
func (l *Link) Tx() Counts { return l.tx.tally() }

// Latest is when the last frame that the NIC was given came out.
func (l *Link) Latest() sim.Time { return l.rx.last }
