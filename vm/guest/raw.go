package guest

import (
	"net"
	"time"

	"ringside/cost"
	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
)

// RawOptions says what a RawConn sees. The zero value gets a copy of every frame
// that comes in, as packet(7) has it.
type RawOptions struct {
	Take   bool                   // what the socket sees the stack does not: the interface is the program's
	Filter func(head []byte) bool // which frames, by their first bytes (at least 64, if it has them); nil: all
	Queue  int                    // frames that may wait for Read; 0 means 512
}

// A RawConn is a raw socket on one interface: whole Ethernet frames as they come
// from the device and go to it.
type RawConn struct {
	waiters
	in      *iface
	o       RawOptions
	queue   frameQueue
	next    *RawConn // of the same interface
	readBy  sim.Time
	closed  bool
	dropped uint64
}

// Packets opens a raw socket on the interface with that name.
func (p *Proc) Packets(name string, o RawOptions) (*RawConn, error) {
	in := p.k.iface(name)
	if in == nil {
		return nil, p.k.noInterface(name)
	}
	if o.Queue == 0 {
		o.Queue = 512
	}
	c := &RawConn{in: in, o: o}
	p.k.caller().call.raw = c
	return c, p.k.enter(doRawOpen)
}

// iface is the interface with that name, nil if there is none.
func (k *Kernel) iface(name string) *iface {
	for i := range k.ifaces {
		if k.ifaces[i].name == name {
			return &k.ifaces[i]
		}
	}
	return nil
}

func doRawOpen(k *Kernel, p *Proc) progress {
	c := p.call.raw
	at := &c.in.raw
	for *at != nil {
		at = &(*at).next
	}
	*at = c
	return done
}

// tap shows a frame to the raw sockets and says whether one of them keeps it.
func (in *iface) tap(p *netstack.Packet) (taken bool) {
	head := in.k.head(p)
	for c := in.raw; c != nil; c = c.next {
		if c.o.Filter != nil && !c.o.Filter(head) {
			continue
		}
		in.k.cpu.Charge(cost.GuestPacketRcv, 1)
		if !c.queue.push(p, c.o.Queue) {
			c.dropped++
		}
		taken = taken || c.o.Take
		c.wake(syscall.PollIn)
	}
	return taken
}

// ReadFrame reads one frame into b and says what travels beside it. A frame that
// does not fit is cut.
func (c *RawConn) ReadFrame(b []byte) (int, offload.Meta, error) {
	call, err := c.enter("read", doRawRead, b)
	return call.n, call.meta, err
}

// WriteFrame sends one frame. What the device cannot do of meta is done first.
func (c *RawConn) WriteFrame(b []byte, meta offload.Meta) error {
	if c.in.k.inside != nil {
		c.in.k.inside.call.meta = meta
	}
	_, err := c.enter("write", doRawWrite, b)
	return err
}

// SetReadDeadline sets the deadline of reading, a date of the machine's clock.
func (c *RawConn) SetReadDeadline(t time.Time) error {
	if c.readBy = 0; !t.IsZero() {
		c.readBy = max(moment(t), 1)
	}
	c.wakeAll()
	return nil
}

// Dropped counts the frames that found no room in the socket's queue.
func (c *RawConn) Dropped() uint64 { return c.dropped }

// Close closes the socket.
func (c *RawConn) Close() error {
	if c.in.k.closed {
		return nil
	}
	_, err := c.enter("close", doRawClose, nil)
	return err
}

// enter makes a system call on c.
func (c *RawConn) enter(op string, do attempt, b []byte) (*call, error) {
	k := c.in.k
	if k.inside == nil {
		return new(call), &net.OpError{Op: op, Net: "packet", Err: net.ErrClosed}
	}
	call := &k.inside.call
	call.raw, call.buf = c, b
	if err := k.enter(do); err != nil {
		return call, &net.OpError{Op: op, Net: "packet", Err: err}
	}
	return call, nil
}

func doRawRead(k *Kernel, p *Proc) progress {
	c := &p.call
	r := c.raw
	switch {
	case !c.usable(k, r.closed, r.readBy):
		return done
	case r.queue.n == 0:
		return r.sleep(p, syscall.PollIn, r.readBy)
	}
	f := r.queue.first()
	c.n, c.meta = copy(c.buf, f.Parts[0]), f.Meta
	r.queue.pop()
	k.cpu.ChargeBytes(cost.GuestCopyOut, 1, uint64(c.n))
	return done
}

func doRawWrite(k *Kernel, p *Proc) progress {
	c := &p.call
	in := c.raw.in
	if !c.usable(k, c.raw.closed, 0) {
		return done
	}
	if len(c.buf) < 14 || c.meta.GSO == offload.GSONone && len(c.buf) > in.mtu+18 || len(c.buf) > 65535+18 {
		return c.fail(syscall.EMSGSIZE)
	}
	k.cpu.ChargeBytes(cost.GuestCopyIn, 1, uint64(len(c.buf)))
	k.cpu.Charge(cost.GuestPacketSnd, 1)
	k.copied = append(k.copied[:0], c.buf...)
	k.frame = netstack.Packet{Parts: append(k.frame.Parts[:0], k.copied), Len: len(k.copied), Meta: c.meta}
	if !in.xmit(&k.frame) {
		return c.fail(syscall.ENOBUFS)
	}
	return done
}

func doRawClose(k *Kernel, p *Proc) progress {
	c := &p.call
	r := c.raw
	if r.closed {
		c.err = net.ErrClosed
		return done
	}
	r.closed, r.queue = true, frameQueue{}
	for at := &r.in.raw; *at != nil; at = &(*at).next {
		if *at == r {
			*at = r.next
			break
		}
	}
	r.wakeAll()
	return done
}
