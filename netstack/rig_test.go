package netstack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
)

// A simClock is the time of a machine that does everything at once.
type simClock struct{ eng *sim.Engine }

func (c simClock) Now() sim.Time { return c.eng.Now() }

func (c simClock) NewTimer(what string, f func()) Timer {
	return simTimer{c.eng, c.eng.NewTimer(what, sim.HandlerFunc(func(sim.Time) { f() }))}
}

type simTimer struct {
	eng *sim.Engine
	t   *sim.Timer
}

func (t simTimer) Arm(at sim.Time) { t.eng.Arm(t.t, at) }

func (t simTimer) Disarm() bool {
	armed := t.t.Armed()
	t.eng.Disarm(t.t)
	return armed
}

// A world is machines on one engine, and a hash of every frame that was sent.
type world struct {
	t    testing.TB
	eng  *sim.Engine
	hash hash.Hash
	sent int
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{t: t, eng: sim.NewEngine(seed), hash: sha256.New()}
}

func (w *world) sum() string { return fmt.Sprintf("%x after %d", w.hash.Sum(nil)[:8], w.sent) }

func (w *world) run(d sim.Time) { require.NoError(w.t, w.eng.RunUntil(w.eng.Now()+d)) }

func (w *world) stack(name string, change ...func(*Config)) *Stack {
	cfg := Config{Name: name, Clock: simClock{w.eng}, Chance: w.eng.Source}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	require.NoError(w.t, err)
	w.t.Cleanup(s.Close)
	return s
}

// A port is an end of a wire: the link of an interface. What it sends comes out of
// the far end after a while, in batches.
type port struct {
	w     *world
	i     *Interface
	far   *port
	delay sim.Time
	space sim.Time                   // that a frame takes on the wire
	free  sim.Time                   // when the wire is free again
	batch sim.Time                   // frames are delivered at whole multiples of it
	lost  func(n int, b []byte) bool // nil loses none
	gone  [][]byte                   // copies of all that was sent, if keep
	metas []offload.Meta
	keep  bool
	full  bool // takes nothing

	n     int
	queue []arrival
	timer *sim.Timer
}

type arrival struct {
	at   sim.Time
	data []byte
	meta offload.Meta
}

func (w *world) iface(s *Stack, mac byte, delay sim.Time, addrs ...string) *port {
	return w.ifaceWith(s, InterfaceConfig{MAC: [6]byte{2, 0, 0, 0, 0, mac}}, delay, addrs...)
}

func (w *world) ifaceWith(s *Stack, cfg InterfaceConfig, delay sim.Time, addrs ...string) *port {
	p := &port{w: w, delay: delay}
	p.timer = w.eng.NewTimer("wire", p)
	cfg.Link = p
	if cfg.Name == "" {
		cfg.Name = fmt.Sprintf("eth%d", len(s.Interfaces()))
	}
	var err error
	p.i, err = s.AddInterface(cfg)
	require.NoError(w.t, err)
	for _, a := range addrs {
		require.NoError(w.t, p.i.AddAddress(netip.MustParsePrefix(a)))
	}
	return p
}

func join(a, b *port) { a.far, b.far = b, a }

// Send implements Link.
func (p *port) Send(pkt *Packet) bool {
	if p.full {
		return false
	}
	b := bytes.Join(pkt.Parts, nil)
	require.Len(p.w.t, b, pkt.Len)
	p.n++
	p.w.sent++
	var head [17]byte
	binary.BigEndian.PutUint64(head[:], uint64(p.w.eng.Now()))
	head[8] = p.i.cfg.MAC[5]
	fmt.Fprint(p.w.hash, pkt.Meta)
	p.w.hash.Write(head[:])
	p.w.hash.Write(b)
	if p.keep {
		p.gone, p.metas = append(p.gone, b), append(p.metas, pkt.Meta)
	}
	if p.far == nil || p.lost != nil && p.lost(p.n, b) {
		return true
	}
	p.free = max(p.free, p.w.eng.Now()) + p.space
	at := p.free + p.delay
	if p.batch > 0 {
		at = (at + p.batch - 1) / p.batch * p.batch
	}
	p.queue = append(p.queue, arrival{at, b, pkt.Meta})
	if !p.timer.Armed() {
		p.w.eng.Arm(p.timer, at)
	}
	return true
}

// Fire delivers what is due.
func (p *port) Fire(now sim.Time) {
	to := p.far.i
	for len(p.queue) > 0 && p.queue[0].at <= now {
		a := p.queue[0]
		p.queue = p.queue[1:]
		to.Deliver(&Packet{Parts: [][]byte{a.data}, Len: len(a.data), Meta: a.meta})
	}
	to.s.Poll()
	if len(p.queue) > 0 {
		p.w.eng.Arm(p.timer, p.queue[0].at)
	}
}

// deliver hands one frame to the interface at once.
func (p *port) deliver(b []byte) {
	p.i.Deliver(&Packet{Parts: [][]byte{b}, Len: len(b)})
	p.i.s.Poll()
}

// two are two machines on a wire: 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2.
func (w *world) two(delay sim.Time, change ...func(*InterfaceConfig)) (a, b *Stack, pa, pb *port) {
	a, b = w.stack("a"), w.stack("b")
	ca, cb := InterfaceConfig{MAC: [6]byte{2, 0, 0, 0, 0, 1}}, InterfaceConfig{MAC: [6]byte{2, 0, 0, 0, 0, 2}}
	for _, f := range change {
		f(&ca)
		f(&cb)
	}
	pa = w.ifaceWith(a, ca, delay, "10.0.0.1/24", "fd00::1/64")
	pb = w.ifaceWith(b, cb, delay, "10.0.0.2/24", "fd00::2/64")
	join(pa, pb)
	return a, b, pa, pb
}

// open opens a socket, bound if at is not "".
func (w *world) open(s *Stack, network, at string) *Socket {
	k, errno := s.Socket(network)
	require.Equal(w.t, syscall.OK, errno)
	if at != "" {
		require.Equal(w.t, syscall.OK, k.Bind(netip.MustParseAddrPort(at)))
	}
	return k
}

// A transfer is a program at each end: one sends so many bytes, the other hashes
// what comes and answers with a byte when all is there.
type transfer struct {
	w        *world
	size     int
	sent     int
	got      hash.Hash
	n        int
	started  sim.Time
	done     sim.Time
	out, in  *Socket
	listener *Socket
	chunk    []byte
	r        *rand.ChaCha8
	failed   syscall.Errno
	ended    bool
}

// transfer begins a transfer from a to to, a machine's address.
func (w *world) transfer(a, b *Stack, to string, size int) *transfer {
	t := &transfer{w: w, size: size, got: sha256.New(), r: rand.NewChaCha8([32]byte{byte(size)}), started: w.eng.Now()}
	at := netip.MustParseAddrPort(to)
	network := "tcp6"
	if at.Addr().Is4() {
		network = "tcp4"
	}
	t.listener = w.open(b, network, to)
	require.Equal(w.t, syscall.OK, t.listener.Listen(4))
	t.out = w.open(a, network, "")
	w.wake(t.listener, t.accept)
	w.wake(t.out, t.send)
	require.Equal(w.t, syscall.EINPROGRESS, t.out.Connect(at))
	return t
}

// wake has f run in an event of its own when a socket may be ready.
func (w *world) wake(k *Socket, f func()) {
	timer := w.eng.NewTimer("process", sim.HandlerFunc(func(sim.Time) { f() }))
	k.Notify(func() {
		if !timer.Armed() {
			w.eng.Arm(timer, w.eng.Now())
		}
	})
}

func (t *transfer) accept() {
	k, errno := t.listener.Accept()
	if errno != syscall.OK {
		return
	}
	t.in = k
	t.w.wake(k, t.receive)
	t.receive()
}

func (t *transfer) send() {
	if t.failed = t.out.Err(); t.failed != syscall.OK || t.out.Ready()&syscall.PollOut == 0 {
		return
	}
	for t.sent < t.size {
		if len(t.chunk) == 0 {
			t.chunk = make([]byte, min(t.size-t.sent, 10000))
			t.r.Read(t.chunk)
		}
		n, errno := t.out.Write(t.chunk)
		t.sent += n
		t.chunk = t.chunk[n:]
		if errno != syscall.OK {
			return
		}
	}
	if !t.ended {
		t.ended = true
		t.out.Shutdown(false, true)
	}
}

func (t *transfer) receive() {
	var buf [20000]byte
	for {
		n, errno := t.in.Read(buf[:])
		if errno != syscall.OK {
			return
		}
		if n == 0 {
			t.done = t.w.eng.Now()
			t.in.Close()
			return
		}
		t.got.Write(buf[:n])
		t.n += n
	}
}

// check finds bytes that are not those that were sent.
func (t *transfer) check() {
	t.w.t.Helper()
	want := sha256.New()
	r := rand.NewChaCha8([32]byte{byte(t.size)})
	for left := t.size; left > 0; {
		b := make([]byte, min(left, 10000))
		r.Read(b)
		want.Write(b)
		left -= len(b)
	}
	require.Equal(t.w.t, t.size, t.n, "bytes that arrived; %v", t.failed)
	require.Equal(t.w.t, want.Sum(nil), t.got.Sum(nil))
}
