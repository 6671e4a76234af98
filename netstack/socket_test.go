package netstack

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/syscall"
)

// pair is a connection between two machines, made.
func (w *world) pair(a, b *Stack, at string) (client, server *Socket) {
	l := w.open(b, "tcp4", at)
	require.Equal(w.t, syscall.OK, l.Listen(4))
	client = w.open(a, "tcp4", "")
	require.Equal(w.t, syscall.EINPROGRESS, client.Connect(netip.MustParseAddrPort(at)))
	w.run(sim.Second)
	server, errno := l.Accept()
	require.Equal(w.t, syscall.OK, errno)
	l.Close()
	return client, server
}

// Every row is one call on a machine of two on a wire, with a connection between
// them.
func TestErrnosAreLinux(t *testing.T) {
	at := netip.MustParseAddrPort
	type end struct {
		w              *world
		s              *Stack
		client, server *Socket
	}
	for name, row := range map[string]struct {
		call func(e end) syscall.Errno
		want syscall.Errno
	}{
		"read: nothing there": {func(e end) syscall.Errno { _, errno := e.client.Read(make([]byte, 9)); return errno }, syscall.EAGAIN},
		"read: not connected": {func(e end) syscall.Errno { _, errno := e.w.open(e.s, "tcp4", "").Read(make([]byte, 9)); return errno }, syscall.ENOTCONN},
		"read: a listener": {func(e end) syscall.Errno {
			k := e.w.open(e.s, "tcp4", "")
			k.Listen(1)
			_, errno := k.Read(make([]byte, 9))
			return errno
		}, syscall.ENOTCONN},
		"write: not connected": {func(e end) syscall.Errno { _, errno := e.w.open(e.s, "tcp4", "").Write([]byte("x")); return errno }, syscall.EPIPE},
		"write: after shutdown": {func(e end) syscall.Errno {
			e.client.Shutdown(false, true)
			_, errno := e.client.Write([]byte("x"))
			return errno
		}, syscall.EPIPE},
		"write: UDP, to nobody": {func(e end) syscall.Errno { _, errno := e.w.open(e.s, "udp4", "").Write([]byte("x")); return errno }, syscall.EDESTADDRREQ},
		"write: UDP, no route": {func(e end) syscall.Errno {
			_, errno := e.w.open(e.s, "udp4", "").WriteTo([]byte("x"), at("192.0.2.1:1"))
			return errno
		}, syscall.ENETUNREACH},
		"write: UDP, other family": {func(e end) syscall.Errno {
			_, errno := e.w.open(e.s, "udp4", "").WriteTo([]byte("x"), at("[fd00::2]:1"))
			return errno
		}, syscall.EAFNOSUPPORT},
		"write: UDP, broadcast": {func(e end) syscall.Errno {
			_, errno := e.w.open(e.s, "udp4", "").WriteTo([]byte("x"), at("10.0.0.255:1"))
			return errno
		}, syscall.EACCES},
		"connect: again": {func(e end) syscall.Errno {
			e.client.Connect(at("10.0.0.2:80"))
			return e.client.Connect(at("10.0.0.2:80"))
		}, syscall.EISCONN},
		"connect: going on": {func(e end) syscall.Errno {
			k := e.w.open(e.s, "tcp4", "")
			k.Connect(at("10.0.0.2:9"))
			return k.Connect(at("10.0.0.2:9"))
		}, syscall.EALREADY},
		"connect: no route":     {func(e end) syscall.Errno { return e.w.open(e.s, "tcp4", "").Connect(at("192.0.2.1:1")) }, syscall.ENETUNREACH},
		"connect: other family": {func(e end) syscall.Errno { return e.w.open(e.s, "tcp6", "").Connect(at("10.0.0.2:1")) }, syscall.EAFNOSUPPORT},
		"connect: nobody listens": {func(e end) syscall.Errno {
			k := e.w.open(e.s, "tcp4", "")
			k.Connect(at("10.0.0.2:9"))
			e.w.run(sim.Second)
			return k.Err()
		}, syscall.ECONNREFUSED},
		"bind: somebody else's": {func(e end) syscall.Errno { return e.w.open(e.s, "tcp4", "").Bind(at("10.0.0.2:1")) }, syscall.EADDRNOTAVAIL},
		"bind: in use": {func(e end) syscall.Errno {
			e.w.open(e.s, "udp4", "10.0.0.1:5")
			return e.w.open(e.s, "udp4", "").Bind(at("10.0.0.1:5"))
		}, syscall.EADDRINUSE},
		"bind: other family": {func(e end) syscall.Errno { return e.w.open(e.s, "udp4", "").Bind(at("[fd00::1]:1")) }, syscall.EAFNOSUPPORT},
		"accept: nobody there": {func(e end) syscall.Errno {
			k := e.w.open(e.s, "tcp4", "")
			k.Listen(1)
			_, errno := k.Accept()
			return errno
		}, syscall.EAGAIN},
		"accept: not a listener":  {func(e end) syscall.Errno { _, errno := e.client.Accept(); return errno }, syscall.EINVAL},
		"listen: UDP":             {func(e end) syscall.Errno { return e.w.open(e.s, "udp4", "").Listen(1) }, syscall.EOPNOTSUPP},
		"shutdown: not connected": {func(e end) syscall.Errno { return e.w.open(e.s, "tcp4", "").Shutdown(true, true) }, syscall.ENOTCONN},
		"reset by the other side": {func(e end) syscall.Errno {
			e.server.Abort()
			e.w.run(sim.Second)
			_, errno := e.client.Read(make([]byte, 9))
			return errno
		}, syscall.ECONNRESET},
		"closed by the other side": {func(e end) syscall.Errno {
			e.server.Close()
			e.w.run(sim.Second)
			_, errno := e.client.Read(make([]byte, 9))
			return errno
		}, syscall.OK},
		"no error waits":       {func(e end) syscall.Errno { return e.client.Err() }, syscall.OK},
		"after close: connect": {func(e end) syscall.Errno { e.client.Close(); return e.client.Connect(at("10.0.0.2:9")) }, syscall.EBADF},
		"after close: write to": {func(e end) syscall.Errno {
			k := e.w.open(e.s, "udp4", "")
			k.Close()
			_, errno := k.WriteTo(nil, at("10.0.0.2:9"))
			return errno
		}, syscall.EBADF},
		"option: unknown":         {func(e end) syscall.Errno { return e.client.SetOption(200, 1) }, syscall.ENOPROTOOPT},
		"option: TTL of 0":        {func(e end) syscall.Errno { return e.client.SetOption(TTL, 0) }, syscall.EINVAL},
		"option: negative buffer": {func(e end) syscall.Errno { return e.client.SetOption(SendBuffer, -1) }, syscall.EINVAL},
		"socket: no such network": {func(e end) syscall.Errno { _, errno := e.s.Socket("sctp4"); return errno }, syscall.EPROTONOSUPPORT},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			a, b, _, _ := w.two(sim.Microsecond)
			c, s := w.pair(a, b, "10.0.0.2:80")
			assert.Equal(t, row.want, row.call(end{w, a, c, s}), "%v", row.want)
		})
	}
}

// The states of a connection as poll shows them.
func TestReadiness(t *testing.T) {
	const in, out, hup, rdhup = syscall.PollIn, syscall.PollOut, syscall.PollHup, syscall.PollRdHup
	w := newWorld(t, 1)
	a, b, _, _ := w.two(sim.Microsecond)
	c, s := w.pair(a, b, "10.0.0.2:80")
	assert.Equal(t, out, c.Ready())
	s.Write([]byte("x"))
	w.run(sim.Millisecond)
	assert.Equal(t, in|out, c.Ready())
	c.Read(make([]byte, 9))
	assert.Equal(t, out, c.Ready())
	s.Shutdown(false, true)
	w.run(sim.Millisecond)
	assert.Equal(t, in|out|rdhup, c.Ready())
	c.Shutdown(false, true)
	w.run(sim.Millisecond)
	assert.NotZero(t, c.Ready()&hup)
	l := w.open(b, "tcp4", "10.0.0.2:81")
	l.Listen(1)
	assert.Zero(t, l.Ready())
	k := w.open(a, "tcp4", "")
	k.Connect(netip.MustParseAddrPort("10.0.0.2:81"))
	assert.Zero(t, k.Ready()&out)
	w.run(sim.Millisecond)
	assert.Equal(t, in, l.Ready())
	assert.Equal(t, out, k.Ready())
}

// Notify is called when something has changed, within a call into the stack, and
// not after it was taken back.
func TestNotify(t *testing.T) {
	w := newWorld(t, 1)
	a, b, _, _ := w.two(sim.Microsecond)
	c, s := w.pair(a, b, "10.0.0.2:80")
	n := 0
	c.Notify(func() {
		n++
		assert.NotZero(t, a.depth)
	})
	s.Write([]byte("x"))
	w.run(sim.Millisecond)
	assert.NotZero(t, n)
	c.Notify(nil)
	before := n
	s.Write([]byte("y"))
	w.run(sim.Millisecond)
	assert.Equal(t, before, n)
}

func TestAStreamIsPeekedAndReadInPieces(t *testing.T) {
	w := newWorld(t, 1)
	a, b, _, _ := w.two(sim.Microsecond)
	c, s := w.pair(a, b, "10.0.0.2:80")
	c.Write([]byte("hello"))
	c.Write([]byte(", world"))
	c.Close()
	w.run(sim.Millisecond)
	p := make([]byte, 8)
	n, _ := s.Peek(p)
	assert.Equal(t, "hello, w", string(p[:n]))
	n, _ = s.Read(p)
	assert.Equal(t, "hello, w", string(p[:n]))
	n, _ = s.Read(p)
	assert.Equal(t, "orld", string(p[:n]))
	n, errno := s.Read(p)
	assert.Equal(t, []any{0, syscall.OK}, []any{n, errno})
}

// A machine that talks to itself needs no wire, and no call beside its own.
func TestAMachineTalksToItself(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	p := w.iface(s, 1, 0, "10.0.0.1/24", "fd00::1/64")
	for _, to := range []string{"10.0.0.1:80", "[fd00::1]:80"} {
		x := w.transfer(s, s, to, 300_000)
		w.run(sim.Second)
		x.check()
	}
	from, sink := w.open(s, "udp4", ""), w.open(s, "udp4", "10.0.0.1:7777")
	from.WriteTo([]byte("me"), netip.MustParseAddrPort("10.0.0.1:7777"))
	b := make([]byte, 9)
	n, _, errno := sink.ReadFrom(b)
	assert.Equal(t, syscall.OK, errno)
	assert.Equal(t, "me", string(b[:n]))
	assert.Zero(t, p.n)
}

// A socket without a number in its network takes both families, and says IPv4
// addresses as such.
func TestASocketForBothFamilies(t *testing.T) {
	w := newWorld(t, 1)
	a, b, _, _ := w.two(sim.Microsecond)
	l := w.open(b, "tcp", "[::]:80")
	require.Equal(t, syscall.OK, l.Listen(4))
	for network, to := range map[string]string{"tcp4": "10.0.0.2:80", "tcp6": "[fd00::2]:80"} {
		k := w.open(a, network, "")
		k.Connect(netip.MustParseAddrPort(to))
		w.run(sim.Second)
		s, errno := l.Accept()
		require.Equal(t, syscall.OK, errno)
		assert.Equal(t, k.Local(), s.Remote())
		assert.Equal(t, to, s.Local().String())
	}
	u := w.open(b, "udp", "[::]:7777")
	w.open(a, "udp4", "10.0.0.1:5").WriteTo([]byte("x"), netip.MustParseAddrPort("10.0.0.2:7777"))
	w.run(sim.Second)
	_, from, errno := u.ReadFrom(make([]byte, 9))
	require.Equal(t, syscall.OK, errno)
	assert.Equal(t, "10.0.0.1:5", from.String())
	_, errno = u.WriteTo([]byte("y"), from)
	assert.Equal(t, syscall.OK, errno)
}

func TestOptions(t *testing.T) {
	w := newWorld(t, 1)
	a, _, pa, _ := w.two(0)
	for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
		k := w.open(a, network, "")
		for o, v := range map[Option]int{NoDelay: 0, KeepAlive: 1, ReuseAddr: 1, ReusePort: 1, Broadcast: 1, TTL: 7, TOS: 0x20} {
			require.Equal(t, syscall.OK, k.SetOption(o, v), "%s %d", network, o)
			got, errno := k.GetOption(o)
			require.Equal(t, syscall.OK, errno)
			assert.Equal(t, v, got, "%s %d", network, o)
		}
		require.Equal(t, syscall.OK, k.SetOption(ReceiveBuffer, 100_000))
		got, _ := k.GetOption(ReceiveBuffer)
		assert.GreaterOrEqual(t, got, 100_000)
	}
	pa.keep = true
	k := w.open(a, "udp4", "")
	k.SetOption(Broadcast, 1)
	k.SetOption(TTL, 3)
	k.SetOption(TOS, 0xb8)
	_, errno := k.WriteTo([]byte("all"), netip.MustParseAddrPort("10.0.0.255:7"))
	require.Equal(t, syscall.OK, errno)
	require.Len(t, pa.gone, 1)
	assert.Equal(t, allStations[:], pa.gone[0][:6])
	assert.Equal(t, []byte{0xb8, 3}, []byte{pa.gone[0][15], pa.gone[0][22]})
}

// Sockets are closed once, in any order, and the list of open ones follows.
func TestTheListOfOpenSockets(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	w.iface(s, 1, 0, "10.0.0.1/24")
	var all []*Socket
	for range 5 {
		all = append(all, w.open(s, "udp4", ""))
	}
	count := func() (n int) {
		for k := s.first; k != nil; k = k.next {
			n++
		}
		return n
	}
	for n, i := range []int{2, 0, 4, 3, 1} {
		all[i].Close()
		all[i].Close()
		all[i].Abort()
		assert.Equal(t, 4-n, count())
	}
	assert.Nil(t, s.last)
}
