package kernel

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// tapQueue is a tap's tx_queue_len, and so the size of its ring, in Linux.
const tapQueue = 1000

// A tap is the one object seen from both sides: a port of the bridge below, a
// file of the guest above, and between them a ring of frames (tun's ptr_ring).
//
// Every slot carries a time. While it holds a frame that is when the frame was
// put there: a reader that is earlier does not see it yet. While it is empty it
// is when the frame was taken out: a writer that is earlier finds it still full.
// So both sides may be ahead of the event loop, each in its own time, and none
// sees the other's future.
type tap struct {
	k    *Kernel
	name string
	net  *netdev
	vm   int32

	ring []slot // made when the first frame comes
	size int
	at   mem.Addr // of the ring; 0 without a model of paging
	head int      // the reader's: next slot to take
	tail int      // the writer's: next slot to fill

	raw     bool // its guest says when it has a frame
	opened  bool
	waiting *task // sleeps until a frame comes
	busy    *napi // that its reader polls before it sleeps: of its last frame
	wants   syscall.Events

	stat TapStat
}

type slot struct {
	s  *skb
	at sim.Time
}

// A TapStat counts what went through a tap, seen from the guest.
type TapStat struct {
	Name      string
	RxFrames  uint64 // read by the guest
	RxBytes   uint64
	Truncated uint64 // of them, longer than the guest's buffer
	TxFrames  uint64 // written by the guest
	TxBytes   uint64
}

func (s *TapStat) add(t *TapStat) {
	s.RxFrames += t.RxFrames
	s.RxBytes += t.RxBytes
	s.Truncated += t.Truncated
	s.TxFrames += t.TxFrames
	s.TxBytes += t.TxBytes
}

// xmit is tun_net_xmit for one frame after the other: it goes on the ring, its
// reader is woken.
func (t *tap) xmit(c *CPU, list []*skb) {
	if !t.opened {
		for _, s := range list {
			c.one(cost.TunNetXmit, s)
			c.drop(s, cost.Tap, cost.DevReady)
		}
		return
	}
	if t.ring == nil {
		t.ring = make([]slot, t.size)
		t.at = t.k.kernelMemory(8 * t.size)
	}
	for _, s := range list {
		c.acct.Once(cost.TunNetXmit)
		if c.watched {
			c.noteOne(cost.TunNetXmit, s)
		}
		if c.tlb != nil && t.tail%slotsOfLine == 0 {
			c.touched(&t.k.paging.direct, t.at+8*mem.Addr(t.tail), 8)
		}
		now := c.clock.Now()
		sl := &t.ring[t.tail]
		if sl.s != nil || sl.at > now {
			c.drop(s, cost.Tap, cost.FullRing)
			continue
		}
		*sl = slot{s, now}
		s.putBy = int16(c.id)
		if t.tail++; t.tail == t.size {
			t.tail = 0
		}
		if c.watched {
			c.k.show(c, s, sight{point: trace.Tap, port: t.net.index, vm: t.vm})
		}
		if t.waiting != nil && t.wants&syscall.PollIn != 0 {
			w := t.waiting
			t.waiting = nil
			c.wakeReader(w)
		}
	}
}

// Read is tun_do_read: the frame at the ring's head, in one piece.
func (t *tap) Read(st *syscall.Task, segs []syscall.Segment) (int, syscall.Errno) {
	at := uint(t.head)
	if at >= uint(len(t.ring)) { // no ring yet
		return 0, syscall.EAGAIN
	}
	c, sl := taskOf(st).cpu, &t.ring[at]
	s := sl.s
	if s == nil {
		return 0, syscall.EAGAIN
	}
	if sl.at > c.seen && sl.at > c.look() {
		return 0, syscall.EAGAIN
	}
	if c.tlb != nil {
		if at%slotsOfLine == 0 {
			c.touched(&t.k.paging.direct, t.at+8*mem.Addr(at), 8)
		}
		c.touchAll(s)
		taskOf(st).touch(segs, int(s.length))
	}
	if at++; at == uint(t.size) {
		at = 0
	}
	t.head = int(at)
	c.acct.Once(cost.TunRingRecv)
	if c.watched {
		c.noteOne(cost.TunRingRecv, s)
	}
	var n int
	var errno syscall.Errno
	if s.nfrags == 0 && len(segs) == 1 { // nearly every frame
		n, errno = st.CopyOutOne(segs[0], s.data)
	} else {
		n, errno = t.putUser(st, segs, s)
	}
	if errno != syscall.OK {
		*sl = slot{nil, c.clock.Now()}
		c.drop(s, cost.Syscall, cost.SKBUcopyFault)
		return 0, errno
	}
	if c.watched {
		c.note(cost.TunPutUser, s, uint64(1+s.nfrags), uint64(n), "into "+st.Name)
	}
	if c.k.sched.far {
		c.farRead(s, n, taskOf(st).node, cost.NumaRing, cost.NumaCopyUser)
	}
	if c.k.rfs != nil && s.queue >= 0 {
		c.recordFlow(s)
	}
	c.acct.Once(s.consumed())
	now := c.clock.Now()
	*sl = slot{nil, now}
	t.stat.RxFrames++
	t.stat.RxBytes += uint64(n)
	if t.k.batching.BusyPoll > 0 {
		t.busy = t.k.napiOf(t.net, s)
	}
	if n < int(s.length) {
		t.stat.Truncated++
	}
	t.k.deliverVM(c, t, s, now)
	return n, syscall.OK
}

// slotsOfLine is how many slots lie in a line of the cache, which is what is touched.
const slotsOfLine = 8

// touchTake is what taking the frame out of a slot touches, and reading it.
func (t *tap) touchTake(c *CPU, slot int, s *skb) {
	if slot%slotsOfLine == 0 {
		c.touched(&t.k.paging.direct, t.at+8*mem.Addr(slot), 8)
	}
	c.touchAll(s)
}

// touch is an access to the first n bytes of the program's segments, as far as they are
// its memory.
func (t *task) touch(segs []syscall.Segment, n int) {
	if len(segs) == 1 && t.cpu.latest(t.region, segs[0].Addr, min(n, segs[0].Len)) {
		return
	}
	for _, g := range segs {
		if n <= 0 || t.Memory().Bytes(g.Addr, g.Len) == nil {
			return
		}
		t.cpu.touched(t.region, g.Addr, min(n, g.Len))
		n -= g.Len
	}
}

// putUser is tun_put_user for a frame of several buffers, or into several
// segments.
func (t *tap) putUser(st *syscall.Task, segs []syscall.Segment, s *skb) (int, syscall.Errno) {
	cur := syscall.Cursor{Segs: segs}
	n, errno := st.CopyOut(&cur, s.data)
	for i := int8(0); i < s.nfrags && errno == syscall.OK; i++ {
		var m int
		m, errno = st.CopyOut(&cur, s.frags.buf[i].data)
		n += m
	}
	return n, errno
}

// maxWrite bounds a frame that a guest may send: the largest IP packet and a
// double-tagged Ethernet header.
const maxWrite = 65535 + 22

// Write is tun_get_user: the segments become a frame that enters at the tap's
// port.
func (t *tap) Write(st *syscall.Task, segs []syscall.Segment) (int, syscall.Errno) {
	c := taskOf(st).cpu
	cur := syscall.Cursor{Segs: segs}
	n := cur.Left()
	switch {
	case n < ethHeader:
		return 0, syscall.EINVAL
	case n > maxWrite:
		return 0, syscall.EMSGSIZE
	}
	s, err := t.k.allocSKB(n)
	if err != nil {
		c.acct.Charge(cost.TunGetUser, 1)
		return 0, syscall.ENOMEM
	}
	s.id, s.arrived, s.queue = t.k.newID(), c.clock.Now(), -1
	c.one(cost.TunGetUser, s)
	c.one(cost.TunBuildSkb, s)
	if c.tlb != nil {
		taskOf(st).touch(segs, n)
		c.touchAll(s)
	}
	errno := t.copyIn(st, &cur, s)
	if errno != syscall.OK { // it was never a frame
		c.acct.Charge(cost.KfreeSkb, 1)
		t.k.release(s)
		return 0, errno
	}
	for _, stage := range [...]cost.Stage{cost.Tap, cost.Syscall, cost.VM} {
		c.acct.Frames(stage, 1)
	}
	t.stat.TxFrames++
	t.stat.TxBytes += uint64(n)
	t.k.begin(c, s)
	if c.watched {
		c.k.show(c, s, sight{point: trace.VM, tx: true, port: t.net.index, vm: t.vm})
		c.note(cost.CopyIn, s, uint64(1+s.nfrags), uint64(n), "")
		c.k.show(c, s, sight{point: trace.Tap, tx: true, port: t.net.index, vm: t.vm})
	}
	if c.k.sched.far {
		c.farMemory(s, n, taskOf(st).node, cost.NumaCopyUser)
	}
	c.list[0] = s
	t.k.receive(c, t.net, c.list[:1])
	return n, syscall.OK
}

func (t *tap) copyIn(st *syscall.Task, cur *syscall.Cursor, s *skb) syscall.Errno {
	_, errno := st.CopyIn(cur, s.data)
	for i := int8(0); i < s.nfrags && errno == syscall.OK; i++ {
		_, errno = st.CopyIn(cur, s.frags.buf[i].data)
	}
	return errno
}

// Ready is tun_chr_poll.
func (t *tap) Ready(st *syscall.Task, want syscall.Events) syscall.Events {
	have := syscall.PollOut
	if t.ring != nil {
		if sl := &t.ring[t.head]; sl.s != nil && sl.at <= st.Now() {
			have |= syscall.PollIn
		}
	}
	return have & want
}

// Wait has the task woken by the next frame. One that another CPU has put on the
// ring ahead of this one's time counts: that CPU would have found the reader
// asleep, so it pays for the wake-up.
func (t *tap) Wait(st *syscall.Task, want syscall.Events) {
	w := taskOf(st)
	if t.k.batching.BusyPoll > 0 && want&syscall.PollIn != 0 && t.busyPoll(w) {
		w.ready = true
		return
	}
	if t.ring != nil {
		if sl := &t.ring[t.head]; sl.s != nil && want&syscall.PollIn != 0 {
			w.wakeLater(t.k.cpus[sl.s.putBy], sl.at)
			return
		}
	}
	t.waiting, t.wants = w, want
}

// Forget takes Wait back.
func (t *tap) Forget(*syscall.Task) { t.waiting = nil }

// Release is the guest's close: what is on the ring dies.
func (t *tap) Release(st *syscall.Task) {
	c := taskOf(st).cpu
	t.opened = false
	if t.ring == nil {
		return
	}
	for t.ring[t.head].s != nil {
		c.drop(t.ring[t.head].s, cost.Tap, cost.RSClosed)
		t.ring[t.head] = slot{nil, c.clock.Now()}
		if t.head++; t.head == t.size {
			t.head = 0
		}
	}
}

// peek is the frame at the ring's head at the time now, nil if there is none.
func (t *tap) peek(now sim.Time) *skb {
	if t.ring == nil || t.ring[t.head].at > now {
		return nil
	}
	return t.ring[t.head].s
}

// next is the frame at the ring's head, though it may be of a later time, and that.
func (t *tap) next() (*skb, sim.Time) {
	if t.ring == nil {
		return nil, 0
	}
	return t.ring[t.head].s, t.ring[t.head].at
}

// take empties the slot at the ring's head at the time now.
func (t *tap) take(now sim.Time) {
	t.ring[t.head] = slot{nil, now}
	if t.head++; t.head == t.size {
		t.head = 0
	}
}

// queued counts the frames on the ring.
func (t *tap) queued() (n uint64) {
	for i := range t.ring {
		if t.ring[i].s != nil {
			n++
		}
	}
	return n
}

// taskOf is the kernel's side of a task at the border.
func taskOf(st *syscall.Task) *task { return (*task)(st.Scheduler().(*scheduler)) }

// allocSKB makes an skb of n bytes in fresh blocks, a page to a block.
func (k *Kernel) allocSKB(n int) (*skb, error) {
	s := k.newSKB()
	for first := true; n > 0 || first; first = false {
		block, err := k.mem.Alloc(0)
		if err != nil {
			if !first {
				k.release(s)
			} else {
				s.holders = 0
				s.next, k.freeSKBs = k.freeSKBs, s
				k.skbs--
			}
			return nil, err
		}
		m := min(n, mem.PageSize)
		data := k.mem.Bytes(block, m)
		if first {
			s.data, s.addr, s.block, s.length = data, block, block, int32(m)
		} else {
			s.addFrag(frag{data, block, block})
		}
		n -= m
	}
	return s, nil
}

var _ syscall.File = (*tap)(nil)
