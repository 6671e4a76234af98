package netstack

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/syscall"
)

// A net is some stacks on one engine, joined by a wire that takes a while.
type net struct {
	t   *testing.T
	eng *sim.Engine
}

type simClock struct{ eng *sim.Engine }

func (c simClock) Now() sim.Time { return c.eng.Now() }

func (c simClock) NewTimer(what string, f func()) Timer {
	t := &simTimer{eng: c.eng}
	t.t = c.eng.NewTimer(what, sim.HandlerFunc(func(sim.Time) { f() }))
	return t
}

type simTimer struct {
	eng *sim.Engine
	t   *sim.Timer
}

func (t *simTimer) Arm(at sim.Time) { t.eng.Arm(t.t, at) }
func (t *simTimer) Disarm() bool {
	armed := t.t.Armed()
	t.eng.Disarm(t.t)
	return armed
}

// A pipe carries frames to another interface.
type pipe struct {
	eng   *sim.Engine
	delay sim.Time
	to    *Interface
	drop  func(n int, frame []byte) bool
	n     int
	queue [][]byte
	at    []sim.Time
	timer *sim.Timer
	seen  func(frame []byte)
}

func newPipe(eng *sim.Engine, name string, delay sim.Time) *pipe {
	p := &pipe{eng: eng, delay: delay}
	p.timer = eng.NewTimer(name, p)
	return p
}

func (p *pipe) Send(pkt *Packet) bool {
	var b []byte
	for _, part := range pkt.Parts {
		b = append(b, part...)
	}
	if p.seen != nil {
		p.seen(b)
	}
	p.n++
	if p.drop != nil && p.drop(p.n, b) {
		return true
	}
	p.queue, p.at = append(p.queue, b), append(p.at, p.eng.Now()+p.delay)
	if !p.timer.Armed() {
		p.eng.Arm(p.timer, p.at[0])
	}
	return true
}

func (p *pipe) Fire(now sim.Time) {
	for len(p.queue) > 0 && p.at[0] <= now {
		b := p.queue[0]
		p.queue, p.at = p.queue[1:], p.at[1:]
		p.to.Deliver(&Packet{Parts: [][]byte{b}, Len: len(b)})
	}
	p.to.s.Poll()
	if len(p.queue) > 0 {
		p.eng.Arm(p.timer, p.at[0])
	}
}

func TestTCPGoesThrough(t *testing.T) {
	eng := sim.NewEngine(1)
	mk := func(name string, mac byte, addr string, link Link) (*Stack, *Interface) {
		s, err := New(Config{Name: name, Clock: simClock{eng}, Chance: eng.Source})
		require.NoError(t, err)
		i, err := s.AddInterface(InterfaceConfig{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, mac}, Link: link})
		require.NoError(t, err)
		require.NoError(t, i.AddAddress(netip.MustParsePrefix(addr)))
		return s, i
	}
	ab, ba := newPipe(eng, "ab", 10*sim.Microsecond), newPipe(eng, "ba", 10*sim.Microsecond)
	a, ai := mk("a", 1, "10.0.0.1/24", ab)
	b, bi := mk("b", 2, "10.0.0.2/24", ba)
	ab.to, ba.to = bi, ai
	defer a.Close()
	defer b.Close()
	l, errno := b.Socket("tcp4")
	require.Equal(t, syscall.OK, errno)
	require.Equal(t, syscall.OK, l.Bind(netip.MustParseAddrPort("0.0.0.0:80")))
	require.Equal(t, syscall.OK, l.Listen(8))
	c, _ := a.Socket("tcp4")
	require.Equal(t, syscall.EINPROGRESS, c.Connect(netip.MustParseAddrPort("10.0.0.2:80")))
	require.NoError(t, eng.RunUntil(sim.Second))
	require.Equal(t, syscall.OK, c.Err())
	require.Equal(t, syscall.PollOut, c.Ready())
	n, errno := c.Write([]byte("hello"))
	require.Equal(t, syscall.OK, errno)
	require.Equal(t, 5, n)
	require.NoError(t, eng.RunUntil(2*sim.Second))
	s, errno := l.Accept()
	require.Equal(t, syscall.OK, errno)
	buf := make([]byte, 10)
	n, errno = s.Read(buf)
	require.Equal(t, syscall.OK, errno)
	require.Equal(t, "hello", string(buf[:n]))
	require.Equal(t, c.Local(), s.Remote())
}
