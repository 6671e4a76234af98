package bench

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"ringside/netstack"
	"ringside/sim"
	"ringside/syscall"
)

// A bare is the TCP cases' yardstick: two stacks joined without NIC, bridge or VM.
// What one sends is copied once into a queue of the other, because its bytes are
// good during the call alone, and is handed in from there in batches of 64, as a
// NAPI poll would do it. One writes whenever it can, the other reads. There is no
// bill, no ring, no second copy, and time goes on by a fixed step in each round.
type bare struct {
	now      sim.Time
	ends     [2]bareEnd
	from, to *netstack.Socket
	buf      []byte
	payload  uint64
	frames   uint64 // that came to the reader
}

// A bareEnd is one of the two stacks.
type bareEnd struct {
	b     *bare
	stack *netstack.Stack
	in    *netstack.Interface
	far   *bareEnd
	queue [][]byte // frames that came in, from first on
	first int
	idle  [][]byte
	timer bareTimer
}

const (
	bareBatch = 64
	bareRoom  = 1024                 // frames in a queue
	bareRound = 20 * sim.Microsecond // of virtual time
)

// Send copies a frame into the other end's queue.
func (e *bareEnd) Send(p *netstack.Packet) bool {
	to := e.far
	if len(to.queue)-to.first >= bareRoom {
		return false
	}
	var data []byte
	if n := len(to.idle); n > 0 {
		data, to.idle = to.idle[n-1][:0], to.idle[:n-1]
	}
	for _, part := range p.Parts {
		data = append(data, part...)
	}
	to.queue = append(to.queue, data)
	return true
}

// poll hands in a batch.
func (e *bareEnd) poll() (n int) {
	var p netstack.Packet
	var parts [1][]byte
	p.Parts = parts[:]
	for ; n < bareBatch && e.first < len(e.queue); n++ {
		data := e.queue[e.first]
		e.first++
		parts[0], p.Len = data, len(data)
		e.in.Deliver(&p)
		e.idle = append(e.idle, data)
	}
	if e.first == len(e.queue) {
		e.queue, e.first = e.queue[:0], 0
	}
	e.stack.Poll()
	return n
}

// Now is the time of both.
func (e *bareEnd) Now() sim.Time { return e.b.now }

// NewTimer gives the stack its timer.
func (e *bareEnd) NewTimer(_ string, f func()) netstack.Timer {
	e.timer = bareTimer{f: f, at: sim.Never}
	return &e.timer
}

// A bareTimer is looked at in each round.
type bareTimer struct {
	f  func()
	at sim.Time
}

func (t *bareTimer) Arm(at sim.Time) { t.at = at }

func (t *bareTimer) Disarm() bool {
	was := t.at != sim.Never
	t.at = sim.Never
	return was
}

func (t *bareTimer) look(now sim.Time) {
	if t.f != nil && t.at <= now {
		t.at = sim.Never
		t.f()
	}
}

// newBare joins two stacks and connects them.
func newBare() (*bare, error) {
	b := &bare{buf: make([]byte, chunk)}
	for i := range b.ends {
		e := &b.ends[i]
		e.b, e.far, e.timer.at = b, &b.ends[1-i], sim.Never
		s, err := netstack.New(netstack.Config{
			Name: fmt.Sprint("bare", i), Clock: e,
			Chance: func(what string) netstack.Source { return rand.NewChaCha8([32]byte{byte(i), byte(len(what))}) },
		})
		if err != nil {
			return b, err
		}
		e.stack = s
		if e.in, err = s.AddInterface(netstack.InterfaceConfig{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, byte(i + 1)}, Link: e}); err != nil {
			return b, err
		}
		if err := e.in.AddAddress(netip.PrefixFrom(bareAddr(i), 24)); err != nil {
			return b, err
		}
	}
	return b, b.connect()
}

func bareAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }

// chunk is what programs write and read at a time.
const chunk = 64 << 10

func (b *bare) connect() error {
	l, errno := b.ends[1].stack.Socket("tcp4")
	if errno == syscall.OK {
		errno = l.Bind(netip.AddrPortFrom(bareAddr(1), 5001))
	}
	if errno == syscall.OK {
		errno = l.Listen(1)
	}
	if errno == syscall.OK {
		b.from, errno = b.ends[0].stack.Socket("tcp4")
	}
	if errno == syscall.OK {
		errno = b.from.Connect(netip.AddrPortFrom(bareAddr(1), 5001))
	}
	if errno != syscall.OK && errno != syscall.EINPROGRESS {
		return fmt.Errorf("bench: %w", errno)
	}
	for range 1000 {
		b.round()
		if b.to, errno = l.Accept(); errno == syscall.OK {
			return nil
		}
	}
	return fmt.Errorf("bench: two bare stacks do not connect: %w", errno)
}

// round lets both ends do what they can.
func (b *bare) round() {
	b.now += bareRound
	for i := range b.ends {
		b.ends[i].timer.look(b.now)
		n := b.ends[i].poll()
		if i == 1 {
			b.frames += uint64(n)
		}
	}
	if b.to == nil {
		return
	}
	for {
		if _, errno := b.from.Write(b.buf); errno != syscall.OK {
			break
		}
	}
	for {
		n, errno := b.to.Read(b.buf)
		if errno != syscall.OK {
			break
		}
		b.payload += uint64(n)
	}
}

// run goes on until n more frames came to the reader.
func (b *bare) run(n int) error {
	for end, rounds := b.frames+uint64(n), 0; b.frames < end; rounds++ {
		if b.round(); rounds > 1000*n {
			return fmt.Errorf("bench: two bare stacks stand still")
		}
	}
	return nil
}

func (b *bare) close() {
	for i := range b.ends {
		if s := b.ends[i].stack; s != nil {
			s.Close()
		}
	}
}

// bareMachine is newBare as a case.
func bareMachine() (*machine, error) {
	b, err := newBare()
	if err != nil {
		b.close()
		return nil, err
	}
	return &machine{
		run: b.run, count: func() uint64 { return b.frames }, payload: func() uint64 { return b.payload },
		check: func() error { return nil }, close: b.close,
	}, nil
}
