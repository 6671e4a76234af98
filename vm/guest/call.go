package guest

import (
	"net"
	"net/netip"
	"os"

	"ringside/cost"
	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
)

// A call is a system call of a process: what it asks for, and what came of it. The
// kernel carries it out on its own stack, so that a process needs little of one.
type call struct {
	do    attempt // nil: the process is in its program
	begun bool    // an attempt has been made
	asked bool    // and it was asked whether the next one can do more
	free  bool    // no system call at all: nothing is charged for the border

	sock    *socket
	raw     *RawConn
	network string
	buf     []byte
	addr    netip.AddrPort
	meta    offload.Meta
	number  int
	value   int
	until   sim.Time // a deadline
	work    sim.Time // what is left of it

	n   int
	ns  *netstack.Socket // by socket and accept
	err error
}

// An attempt works on a process's call and says how far it came. It is called
// again after waits and again.
type attempt func(k *Kernel, p *Proc) progress

// progress is what became of an attempt.
type progress uint8

const (
	done  progress = iota
	again          // there is more to do, but others may come first
	waits          // until the process is woken
)

// enter makes a system call of the process that is running and returns its error.
func (k *Kernel) enter(do attempt) error {
	p := k.inside
	p.call.do, p.call.begun, p.call.asked, p.call.n, p.call.ns, p.call.err = do, false, false, 0, nil, nil
	p.pause()
	return p.call.err
}

// caller is the process that is running. Its call is where arguments go before
// enter.
func (k *Kernel) caller() *Proc {
	if k.inside == nil {
		panic("guest: a call from outside of the machine's processes")
	}
	return k.inside
}

// serve carries on with the call of the current process.
func (k *Kernel) serve(p *Proc) {
	c := &p.call
	if !c.begun && !c.free {
		k.cpu.Charge(cost.GuestSysEnter, 1)
	}
	how := c.do(k, p)
	c.begun = true
	if how != done {
		return
	}
	if !c.free {
		k.cpu.Charge(cost.GuestSysExit, 1)
	}
	c.do, c.free, c.buf, c.sock, c.raw = nil, false, nil, nil, nil
}

// fail ends a call with an error number.
func (c *call) fail(errno syscall.Errno) progress {
	c.err = errno.Err()
	return done
}

// usable says whether a call on a socket can go on. If not, it has its error: the
// socket is closed, or the deadline by is over.
func (c *call) usable(k *Kernel, closed bool, by sim.Time) bool {
	switch {
	case closed:
		c.err = net.ErrClosed
	case by != 0 && by <= k.cpu.Now():
		c.err = os.ErrDeadlineExceeded
	default:
		return true
	}
	return false
}

// doSocket is socket(2).
func doSocket(k *Kernel, p *Proc) progress {
	c := &p.call
	ns, errno := k.stack.Socket(c.network)
	c.ns = ns
	return c.fail(errno)
}

// doBind is bind(2).
func doBind(k *Kernel, p *Proc) progress {
	return p.call.fail(p.call.sock.ns.Bind(p.call.addr))
}

// doListen is listen(2).
func doListen(k *Kernel, p *Proc) progress {
	return p.call.fail(p.call.sock.ns.Listen(p.call.number))
}

// doConnect is connect(2).
func doConnect(k *Kernel, p *Proc) progress {
	c := &p.call
	s := c.sock
	if !c.usable(k, s.closed, c.until) {
		return done
	}
	errno := syscall.OK
	if !c.begun {
		errno = s.ns.Connect(c.addr)
		k.settle()
	} else if errno = s.ns.Err(); errno == syscall.OK && s.ns.Ready()&syscall.PollOut == 0 {
		errno = syscall.EINPROGRESS
	}
	if errno == syscall.EINPROGRESS {
		return s.wait(p, syscall.PollOut, c.until)
	}
	return c.fail(errno)
}

// doAccept is accept(2).
func doAccept(k *Kernel, p *Proc) progress {
	c := &p.call
	s := c.sock
	if !c.usable(k, s.closed, s.readBy) {
		return done
	}
	ns, errno := s.ns.Accept()
	if errno == syscall.EAGAIN {
		return s.wait(p, syscall.PollIn, s.readBy)
	}
	c.ns = ns
	return c.fail(errno)
}

// doRead is read(2) of a stream or a connected socket.
func doRead(k *Kernel, p *Proc) progress {
	c := &p.call
	s := c.sock
	if !c.usable(k, s.closed, s.readBy) {
		return done
	}
	n, errno := s.ns.Read(c.buf)
	if errno == syscall.EAGAIN {
		return s.wait(p, syscall.PollIn, s.readBy)
	}
	return k.copiedOut(c, n, errno)
}

// doReadFrom is recvfrom(2).
func doReadFrom(k *Kernel, p *Proc) progress {
	c := &p.call
	s := c.sock
	if !c.usable(k, s.closed, s.readBy) {
		return done
	}
	n, from, errno := s.ns.ReadFrom(c.buf)
	if errno == syscall.EAGAIN {
		return s.wait(p, syscall.PollIn, s.readBy)
	}
	c.addr = from
	return k.copiedOut(c, n, errno)
}

// copiedOut ends a call that gave n bytes to its process.
func (k *Kernel) copiedOut(c *call, n int, errno syscall.Errno) progress {
	if n > 0 {
		k.cpu.ChargeBytes(cost.GuestCopyOut, 1, uint64(n))
	}
	c.n = n
	k.settle()
	return c.fail(errno)
}

// stretchMax is how many bytes a stream takes in one piece.
const stretchMax = 64 << 10

// doWrite is write(2) of a stream: it takes all of the buffer, and waits for room.
func doWrite(k *Kernel, p *Proc) progress {
	c := &p.call
	s := c.sock
	if !c.usable(k, s.closed, s.writeBy) {
		return done
	}
	n, errno := s.ns.Write(c.buf[:min(len(c.buf), stretchMax)])
	if errno == syscall.EAGAIN {
		return s.wait(p, syscall.PollOut, s.writeBy)
	}
	k.copiedIn(c, n)
	c.buf = c.buf[n:]
	if errno != syscall.OK || len(c.buf) == 0 {
		return c.fail(errno)
	}
	return again
}

// doSend is send(2) and sendto(2): one datagram.
func doSend(k *Kernel, p *Proc) progress {
	c := &p.call
	s := c.sock
	if !c.usable(k, s.closed, s.writeBy) {
		return done
	}
	var n int
	var errno syscall.Errno
	if c.addr.IsValid() {
		n, errno = s.ns.WriteTo(c.buf, c.addr)
	} else {
		n, errno = s.ns.Write(c.buf)
	}
	if errno == syscall.EAGAIN {
		return s.wait(p, syscall.PollOut, s.writeBy)
	}
	k.copiedIn(c, n)
	return c.fail(errno)
}

// copiedIn accounts for n bytes that came from the process.
func (k *Kernel) copiedIn(c *call, n int) {
	if n > 0 {
		k.cpu.ChargeBytes(cost.GuestCopyIn, 1, uint64(n))
	}
	c.n += n
	k.settle()
}

// doSetOption and doOption are setsockopt(2) and getsockopt(2).
func doSetOption(_ *Kernel, p *Proc) progress {
	c := &p.call
	return c.fail(c.sock.ns.SetOption(netstack.Option(c.number), c.value))
}

func doOption(_ *Kernel, p *Proc) progress {
	c := &p.call
	v, errno := c.sock.ns.GetOption(netstack.Option(c.number))
	c.n = v
	return c.fail(errno)
}

// doShutdown is shutdown(2).
func doShutdown(k *Kernel, p *Proc) progress {
	c := &p.call
	errno := c.sock.ns.Shutdown(c.number&shutRead != 0, c.number&shutWrite != 0)
	k.settle()
	return c.fail(errno)
}

const (
	shutRead = 1 << iota
	shutWrite
)

// doClose is close(2).
func doClose(k *Kernel, p *Proc) progress {
	s := p.call.sock
	s.closed = true
	s.wakeAll()
	s.ns.Close()
	k.settle()
	return done
}

// doSleep is nanosleep(2).
func doSleep(k *Kernel, p *Proc) progress {
	if p.call.until <= k.cpu.Now() {
		return done
	}
	p.wait(p.call.until)
	return waits
}

// doWork is no system call: the program works, for a slice or until the next timer.
func doWork(k *Kernel, p *Proc) progress {
	c := &p.call
	if !c.begun {
		k.cpu.Charge(cost.GuestRun, 1)
	}
	turn := min(c.work, slice, max(k.timers.next()-k.cpu.Now(), sim.Microsecond))
	if k.runq.head != nil {
		turn = min(turn, max(k.sliceEnd-k.cpu.Now(), sim.Microsecond))
	}
	if turn > 0 {
		c.work -= turn - k.cpu.Work(turn)
	}
	if c.work > 0 {
		return again
	}
	return done
}
