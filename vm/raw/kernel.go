package raw

import (
	"errors"
	"fmt"
	"math/bits"

	"ringside/cost"
	"ringside/sim"
	"ringside/vm"
)

// Config describes a guest. All of it is required.
type Config struct {
	CPU   CPU
	NIC   NIC
	Guest vm.Config // its Batch means nothing here
}

// weight is how many frames one poll may take (NAPI_POLL_WEIGHT).
const weight = 64

// A Kernel is the guest. Its methods are called by the virtual CPU that it runs on.
type Kernel struct {
	cpu     CPU
	nic     NIC
	pending uint64 // vectors whose interrupt waits
	asked   bool   // the device is to be polled
	polling bool   // frames of a poll are with the program
	frames  []Frame
	next    int // of them, the next to hand out
	program program
	port    port
	closed  bool
}

// New makes a guest. Its program has not begun when it returns: the first Run begins
// it.
func New(c Config) (*Kernel, error) {
	switch {
	case c.CPU == nil || c.NIC == nil:
		return nil, errors.New("raw: CPU and NIC are required")
	case c.Guest.Program == nil:
		return nil, fmt.Errorf("raw: %s has no program", c.Guest.Name)
	}
	k := &Kernel{cpu: c.CPU, nic: c.NIC}
	k.port.k = k
	k.program.main = func() error { return c.Guest.On(&k.port) }
	return k, nil
}

// Interrupt says that an interrupt is pending. The next Run handles it.
func (k *Kernel) Interrupt(vector int) {
	if uint(vector) < 64 {
		k.pending |= 1 << vector
	}
}

// Timer says that the time of the program's sleep may have come.
func (k *Kernel) Timer() {}

// Run does one piece of the most urgent work: all interrupts that are pending, a
// stretch of the program, or a poll. False says that there is nothing to do until an
// interrupt comes or the program's sleep is over.
func (k *Kernel) Run() bool {
	switch {
	case k.closed:
		return false
	case k.pending != 0:
		k.interrupts()
	case k.goOn():
	case k.asked && k.program.state == waits:
		k.poll()
	default:
		return false
	}
	return true
}

// interrupts handles what is pending: a poll is asked for, and nothing else.
func (k *Kernel) interrupts() {
	for k.pending != 0 {
		v := bits.TrailingZeros64(k.pending)
		k.pending &^= 1 << v
		if k.nic.Interrupt(v) {
			k.asked = true
			k.program.roomMade()
		}
	}
}

// poll takes what has come and lets the program have it.
func (k *Kernel) poll() {
	k.frames, k.next, k.polling = k.nic.Receive(weight, k.frames[:0]), 0, true
	if len(k.frames) == 0 {
		k.endPoll()
		return
	}
	k.resume()
}

// goOn lets a program that can go on do so, and says whether it could.
func (k *Kernel) goOn() bool {
	p := &k.program
	switch {
	case p.state == works && p.left > 0:
		p.left = k.cpu.Work(p.left)
	case p.state == works || p.state == ready:
		k.resume()
	case p.state == sleeps && k.cpu.Now() >= p.until:
		k.resume()
	default:
		return false
	}
	return true
}

// resume lets the program run until it must wait, and ends the poll whose frames it
// has taken. What it has sent the device is told of.
func (k *Kernel) resume() {
	p := &k.program
	if err := p.resume(); err != nil {
		k.cpu.Fail(err)
	}
	k.nic.Flush()
	switch p.state {
	case sleeps:
		k.cpu.WakeAt(p.until)
	case ended:
		k.nic.Stop()
		k.asked, k.polling = false, false
	case waits:
		if k.polling {
			k.endPoll()
		}
	}
}

// endPoll gives the poll's buffers back, and asks for another if there is more.
func (k *Kernel) endPoll() {
	k.frames, k.next, k.polling = k.frames[:0], 0, false
	k.asked = !k.nic.Complete()
}

// Close ends the program; its deferred functions run. No goroutine is left.
func (k *Kernel) Close() {
	if !k.closed {
		k.closed = true
		k.program.kill()
	}
}

// port is the kernel as its program sees it. It is vm.Port.
type port struct {
	k       *Kernel
	scratch []byte // made when first asked for
	calls   uint   // of Work, of no length
}

var _ vm.Port = (*port)(nil)

// Receive is the next frame of the poll, or else of one to come.
func (p *port) Receive() ([]byte, error) {
	k := p.k
	for k.next == len(k.frames) || k.closed {
		k.program.pause(waits)
	}
	f := &k.frames[k.next]
	k.next++
	k.cpu.Took(f.Tag)
	return f.Data, nil
}

// Send gives the frame to the device, when that has room.
func (p *port) Send(frame []byte) error {
	k := p.k
	if !p.owns(frame) {
		return fmt.Errorf("send: %w: %d bytes", vm.ErrNotMine, len(frame))
	}
	for k.closed || !k.nic.Transmit(frame) {
		k.program.pause(blocked)
	}
	return nil
}

// owns says whether the program may send those bytes.
func (p *port) owns(b []byte) bool {
	k := p.k
	return within(p.scratch, b) || k.next > 0 && k.next <= len(k.frames) && within(k.frames[k.next-1].Data, b)
}

// within says whether b, which has some bytes, is a part of outer.
func within(outer, b []byte) bool {
	at := cap(outer) - cap(b)
	return len(b) > 0 && at >= 0 && at+len(b) <= len(outer) && &outer[at] == &b[0]
}

// patience is how often a program may work for no time at all before others have a
// look at the CPU.
const patience = 4096

// Work charges the beginning, and works for the span d.
func (p *port) Work(d sim.Time) {
	k := p.k
	if k.closed {
		k.program.pause(works)
	}
	k.cpu.Charge(cost.GuestRun, 1)
	if d <= 0 {
		if p.calls++; p.calls%patience != 0 {
			return
		}
	} else {
		d = k.cpu.Work(d)
	}
	if d > 0 || p.calls%patience == 0 {
		k.program.left = max(d, 0)
		k.program.pause(works)
	}
}

// Sleep gives the CPU away for the span d.
func (p *port) Sleep(d sim.Time) {
	if d <= 0 && !p.k.closed {
		return
	}
	p.k.program.until = p.k.cpu.Now() + d
	p.k.program.pause(sleeps)
}

// scratchSize is how many bytes of memory of its own a program has.
const scratchSize = 64 << 10

// Memory is room for frames that the program makes.
func (p *port) Memory() []byte {
	if p.scratch == nil {
		p.scratch = make([]byte, scratchSize)
	}
	return p.scratch
}
