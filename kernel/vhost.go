package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
	"ringside/virtio"
)

// The way of a frame through a vhost worker.
//
//	tap's ring ─► handleRx ─► chains of the guest's buffers ─► used ring ─► call
//	             tun_sendmsg ◄─ handleTx ◄─ chain of the guest's ◄─ kick
//
// The two handlers take turns. Each has the worker until its work is done or its
// weight is used up. Between two turns nothing is held: a frame is on the tap's
// ring, or in the guest's memory with a used entry. Within a turn of handleRx up to
// vhostBatch frames are copied before the guest is told of them.

// The bounds of one handler's turn, as vhost_net has them.
const (
	vhostWeight  = 0x80000 // bytes (VHOST_NET_WEIGHT)
	vhostPackets = 256     // VHOST_NET_PKT_WEIGHT
)

// The bounds of one piece of a turn.
const (
	vhostFrames = 8
	vhostBytes  = 64 << 10
)

// vhostBatch is how many frames are copied before the guest is told of them, if there
// are so many (VHOST_NET_BATCH).
const vhostBatch = 64

const pollIn = syscall.PollIn

// A vhost is the worker of one pair of queues.
type vhost struct {
	d      *VirtioNet
	pair   int
	tap    *tap
	task   task
	mem    *mem.Memory // the guest's
	rx, tx side
	turn   *side // whose handler is at work
	last   *side // whose was before
	bytes  int   // of the turn
	frames int   // likewise

	stopped bool // the device was reset, or broken
	starved bool // rx waits for buffers, not for frames
	known   int  // chains that were too few

	chain virtio.Chain
	heads []rxHead
	ready []*skb      // copied, and about to be told
	used  []usedChain // likewise
	hdr   [virtio.HdrLen]byte
}

// A side is one queue of a pair as its worker sees it.
type side struct {
	ring *virtio.Ring
	tx   bool
	work bool          // its handler is to run
	at   sim.Time      // or from then on; Never
	lies virtio.Layout // where
}

// An rxHead is a chain that a frame is copied into, and how many bytes it takes.
type rxHead struct {
	head uint16
	room int
}

// A usedChain is a chain that is done with, and how many bytes were written into it.
type usedChain struct {
	head uint16
	n    uint32
}

func (d *VirtioNet) newVhost(pair int, m *mem.Memory, f virtio.Features, p virtio.Pair) (*vhost, error) {
	w := &vhost{d: d, pair: pair, mem: m, tap: d.taps[pair], rx: side{at: sim.Never}, tx: side{tx: true, at: sim.Never}}
	for _, q := range [...]struct {
		s *side
		l virtio.Layout
	}{{&w.rx, p.Rx}, {&w.tx, p.Tx}} {
		if q.l.Size > d.cfg.RingSize {
			return nil, fmt.Errorf("%w: %d entries; at most %d are possible", virtio.ErrLayout, q.l.Size, d.cfg.RingSize)
		}
		var err error
		q.s.lies = q.l
		if q.s.ring, err = virtio.NewRing(m, q.l, f); err != nil {
			return nil, err
		}
	}
	name := "vhost-" + d.net.name
	if pair > 0 {
		name = fmt.Sprintf("%s.%d", name, pair)
	}
	w.task = task{body: w, Task: &syscall.Task{Name: name, ID: d.cfg.VM}}
	return w, d.k.admit(&w.task, (d.cfg.CPU+pair)%len(d.k.cpus), d.cfg.Allowed, nil)
}

func (w *vhost) side(tx bool) *side {
	if tx {
		return &w.tx
	}
	return &w.rx
}

// wake queues the work of a side for the time at, which may be after the worker's.
func (w *vhost) wake(by *CPU, s *side, at sim.Time) {
	if w.stopped {
		return
	}
	s.at = min(s.at, at)
	w.task.wakeThread(by, at)
}

// piece takes up the work that is due, or goes on with it.
func (w *vhost) piece(c *CPU) bool {
	if w.stopped { // the tap may be another worker's by now
		return false
	}
	w.tap.waiting = nil
	if w.turn == nil && !w.begin(c) {
		return false
	}
	var more bool
	if w.turn.tx {
		more = w.handleTx(c)
	} else {
		more = w.handleRx(c)
	}
	over := !more || w.bytes >= vhostWeight || w.frames >= vhostPackets
	if over || len(w.ready) >= vhostBatch {
		w.told()
	}
	if !over {
		return true
	}
	w.turn.work = more && !w.stopped
	w.turn, w.last = nil, w.turn
	return true
}

// begin gives the worker to a side that has work, not to the last one if both have.
func (w *vhost) begin(c *CPU) bool {
	now := c.clock.Now()
	w.look(now)
	s, other := &w.rx, &w.tx
	if s == w.last {
		s, other = other, s
	}
	switch {
	case s.work:
		w.turn = s
	case other.work:
		w.turn = other
	default:
		return false
	}
	c.shared(cost.VhostWorker, 1, w.task.Name)
	w.turn.ring.Device.DisableKicks()
	w.bytes, w.frames = 0, 0
	return true
}

// look finds the work that is due at the time now.
func (w *vhost) look(now sim.Time) {
	for _, s := range [...]*side{&w.rx, &w.tx} {
		if s.at <= now {
			s.work, s.at = true, sim.Never
		}
	}
	if !w.starved && w.tap.peek(now) != nil {
		w.rx.work = true
	}
}

// rest waits for frames and kicks. A frame that another CPU, ahead in time, has put on
// the tap counts as one that found the worker asleep.
func (w *vhost) rest(*CPU) sim.Time {
	until := min(w.rx.at, w.tx.at)
	if w.starved || w.stopped {
		return until
	}
	if s, at := w.tap.next(); s != nil && at < until {
		w.d.k.cpus[s.putBy].shared(cost.SockDefReadable, 1, w.task.Name)
		return at
	}
	w.tap.waiting, w.tap.wants = &w.task, pollIn
	return until
}

func (w *vhost) interrupted(*CPU) {}

// enough says that a piece of a turn is over.
func enough(frames, bytes int) bool { return frames == vhostFrames || bytes >= vhostBytes }

// handleRx copies frames from the tap to the guest. It says whether there is more:
// that there is not it finds only at the beginning of a piece, when everybody earlier
// has had a turn.
func (w *vhost) handleRx(c *CPU) bool {
	w.starved = false
	n, bytes := 0, 0
	var s *skb
	var err error
	for !enough(n, bytes) {
		if s = w.tap.peek(c.clock.Now()); s == nil {
			break
		}
		var r room
		if r, err = w.room(c, s); err != nil || r == short {
			break
		}
		w.take(c, s)
		if r == never {
			c.drop(s, cost.Vhost, cost.PktTooBig)
			continue
		}
		bytes += w.copyOut(c, s)
		w.ready = append(w.ready, s)
		n++
	}
	w.frames, w.bytes = w.frames+n, w.bytes+bytes
	switch {
	case err != nil:
		w.take(c, s)
		c.drop(s, cost.Vhost, cost.RSVringBad)
		w.d.broken(c, err)
		return false
	case n > 0:
		return true
	case s == nil:
		return false
	}
	return w.refilled(c)
}

// A room is what the guest's buffers have for a frame.
type room uint8

const (
	enoughRoom room = iota
	short           // until the guest adds more
	never           // it may have one chain, and that is too short
)

// room takes the chains that s is to be copied into, or none.
func (w *vhost) room(c *CPU, s *skb) (room, error) {
	need := int(s.length) + virtio.HdrLen
	got, err := w.buffers(c, s, need)
	if err != nil || got >= need {
		return enoughRoom, err
	}
	w.rx.ring.Device.Undo(len(w.heads))
	if !w.mergeable() && len(w.heads) > 0 {
		return never, nil
	}
	return short, nil
}

func (w *vhost) mergeable() bool { return w.d.features.Has(virtio.FMrgRxbuf) }

// buffers is get_rx_bufs: it takes chains with room for need bytes, or what there is.
func (w *vhost) buffers(c *CPU, s *skb, need int) (got int, err error) {
	w.chain.Reset()
	w.heads = w.heads[:0]
	for got < need {
		ok, err := w.rx.ring.Device.Next(c.clock.Now(), &w.chain)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if len(w.chain.Out) > 0 {
			return 0, fmt.Errorf("%w: a readable buffer for receiving", virtio.ErrOrder)
		}
		w.heads = append(w.heads, rxHead{w.chain.Head, int(w.chain.InLen) - got})
		got = int(w.chain.InLen)
		if !w.mergeable() {
			break
		}
	}
	if c.tlb != nil {
		w.touchHeads(c)
	}
	c.many(cost.VhostGetDesc, s, uint64(len(w.heads)), 0)
	return got, nil
}

// take takes the frame at the tap's head off its ring.
func (w *vhost) take(c *CPU, s *skb) {
	if c.tlb != nil {
		w.tap.touchTake(c, w.tap.head, s)
	}
	c.one(cost.VhostBufConsume, s)
	c.one(cost.TunRecvmsg, s)
	w.tap.take(c.clock.Now())
}

// copyOut copies a frame and its header into the buffers, which have room, and returns
// how many bytes that were.
func (w *vhost) copyOut(c *CPU, s *skb) int {
	need := int(s.length) + virtio.HdrLen
	if first := w.chain.In[0]; len(first) >= need && s.nfrags == 0 { // nearly every frame
		w.d.putHdr(first, s, len(w.heads))
		copyFrame(first[virtio.HdrLen:], s.data)
	} else {
		w.writePieces(s)
	}
	if c.tlb != nil {
		w.touchPieces(c, w.chain.In, need)
	}
	c.many(cost.VhostCopyOut, s, 1, uint64(need))
	if c.k.rfs != nil && s.queue >= 0 {
		c.recordFlow(s)
	}
	if c.k.sched.far {
		c.farRead(s, need, w.d.vcpu.task.node, cost.NumaVhostRing, cost.NumaVhostCopy)
	}
	w.rx.ring.SetTag(w.heads[0].head, virtio.Tag{ID: s.id, Arrived: s.arrived})
	left := need
	for i := range w.heads {
		h := &w.heads[i]
		n := min(h.room, left)
		left -= n
		w.used = append(w.used, usedChain{h.head, uint32(n)})
	}
	c.many(cost.VhostAddUsed, s, uint64(len(w.heads)), 0)
	c.acct.Once(s.consumed())
	w.tap.stat.RxFrames++
	w.tap.stat.RxBytes += uint64(s.length)
	return need
}

// writePieces writes a frame and its header into buffers of any shape.
func (w *vhost) writePieces(s *skb) {
	to := virtio.PiecesOf(w.chain.In)
	w.d.putHdr(w.hdr[:], s, len(w.heads))
	to.Write(w.hdr[:])
	to.Write(s.data)
	for i := range s.nfrags {
		to.Write(s.frags.buf[i].data)
	}
}

// copyFrame copies a frame to where there is room for it.
func copyFrame(to, from []byte) {
	if n := len(from); 32 <= n && n <= 64 {
		mem.Copy64(to, from, n)
	} else {
		copy(to, from)
	}
}

// told gives the guest the frames that are in its memory, and calls it.
func (w *vhost) told() {
	if len(w.ready) == 0 {
		return
	}
	c := w.task.cpu
	now := c.clock.Now()
	w.push(now, &w.rx)
	for _, s := range w.ready {
		w.d.k.deliverVM(c, w.tap, s, now)
	}
	clear(w.ready)
	w.ready = w.ready[:0]
	if !w.stopped {
		w.signal(c, &w.rx)
	}
}

// touchHeads is what taking chains for a frame touches, and giving them back.
func (w *vhost) touchHeads(c *CPU) {
	for _, h := range w.heads {
		w.touchChain(c, &w.rx, h.head)
	}
}

// touchChain is an access to the descriptors of a chain and its slots in both rings. The
// worker has the guest's memory where the VMM's process has it (kthread_use_mm).
func (w *vhost) touchChain(c *CPU, s *side, head uint16) {
	desc, avail, used := s.lies.At(head)
	c.touched(w.d.memory, desc, 16)
	c.touched(w.d.memory, avail, 2)
	c.touched(w.d.memory, used, 8)
}

// touchPieces is an access to the first n bytes of pieces of the guest's memory.
func (w *vhost) touchPieces(c *CPU, list [][]byte, n int) {
	for _, b := range list {
		if n <= 0 {
			return
		}
		if at, ok := w.mem.AddrOf(b); ok {
			c.touched(w.d.memory, at, min(n, len(b)))
		}
		n -= len(b)
	}
}

// push gives back the chains that were used, at the time now.
func (w *vhost) push(now sim.Time, s *side) {
	for _, u := range w.used {
		s.ring.Device.Push(now, u.head, u.n)
	}
	w.used = w.used[:0]
}

// signal is vhost_signal: the guest is called if it wants to be.
func (w *vhost) signal(c *CPU, s *side) {
	if s.ring.Device.CallNeeded() {
		c.shared(cost.VhostSignal, 1, w.task.Name)
		w.d.vcpu.inject(c, w.d.vector(w.pair, s.tx))
	}
}

// refilled waits for more buffers than there were, and says whether there are some
// already.
func (w *vhost) refilled(c *CPU) bool {
	w.known = len(w.heads)
	w.starved = !w.kicked(c, &w.rx, w.known)
	return !w.starved
}

// kicked asks the guest to kick for the next chain beyond the known ones, and says
// whether that came before. One that the guest, ahead in time, has published for later
// counts as one that it has kicked for.
func (w *vhost) kicked(c *CPU, s *side, known int) bool {
	more, at := s.ring.Device.EnableKicks(c.clock.Now(), known)
	if more {
		s.ring.Device.DisableKicks()
	} else if at != sim.Never {
		w.d.vcpu.task.cpu.shared(cost.KvmNotify, 1, w.d.vcpu.task.Name)
		s.at = min(s.at, at)
	}
	return more
}

// handleTx takes the guest's frames into the host. It says whether there is more, as
// handleRx does.
func (w *vhost) handleTx(c *CPU) bool {
	n, sent, bytes, out := 0, 0, 0, false
	var bad error
	for !enough(n, bytes) && !out && bad == nil {
		w.chain.Reset()
		ok, err := w.tx.ring.Device.Next(c.clock.Now(), &w.chain)
		switch {
		case err != nil:
			bad = err
		case !ok:
			out = true
		case len(w.chain.In) > 0 || w.chain.OutLen < virtio.HdrLen:
			bad = fmt.Errorf("%w: %d bytes readable and %d writable for sending", virtio.ErrOrder, w.chain.OutLen, w.chain.InLen)
		default:
			if s := w.copyIn(c); s != nil {
				c.list[sent] = s
				sent++
			}
			n, bytes = n+1, bytes+int(w.chain.OutLen)
			w.used = append(w.used, usedChain{head: w.chain.Head})
		}
	}
	if sent > 0 {
		w.d.k.receive(c, w.d.net, c.list[:sent])
	}
	if n > 0 {
		c.acct.Charge(cost.VhostAddUsed, uint64(n))
		w.push(c.clock.Now(), &w.tx)
		w.signal(c, &w.tx)
	}
	if bad != nil {
		w.lost(c, 0, cost.RSVringBad)
		w.d.broken(c, bad)
		return false
	}
	w.frames, w.bytes = w.frames+n, w.bytes+bytes
	return !out || n > 0 || w.kicked(c, &w.tx, 0)
}

// copyIn makes a frame of the chain, nil if it is none: then it is counted as lost.
func (w *vhost) copyIn(c *CPU) *skb {
	k, n := w.d.k, int(w.chain.OutLen)-virtio.HdrLen
	from := virtio.PiecesOf(w.chain.Out)
	from.Read(w.hdr[:])
	m, _, err := virtio.ParseHdr(w.hdr[:], n)
	switch {
	case err != nil || !w.d.features.FromDriver(m):
		return w.lost(c, n, cost.DevHdr)
	case n < ethHeader:
		return w.lost(c, n, cost.PktTooSmall)
	case n > maxWrite:
		return w.lost(c, n, cost.PktTooBig)
	}
	s, err := k.allocSKB(n)
	if err != nil {
		return w.lost(c, n, cost.NoMem)
	}
	s.id, s.arrived, s.queue = k.newID(), c.clock.Now(), -1
	if !m.Plain() {
		k.setMeta(s, m)
	}
	for _, step := range [...]cost.Step{cost.VhostGetDesc, cost.TunSendmsg, cost.TunGetUser, cost.TunBuildSkb} {
		c.one(step, s)
	}
	if c.tlb != nil {
		w.touchChain(c, &w.tx, w.chain.Head)
		w.touchPieces(c, w.chain.Out, int(w.chain.OutLen))
		c.touchAll(s)
	}
	from.Read(s.data)
	for i := range s.nfrags {
		from.Read(s.frags.buf[i].data)
	}
	c.many(cost.VhostCopyIn, s, 1, uint64(n+virtio.HdrLen))
	if c.k.sched.far {
		c.farMemory(s, n+virtio.HdrLen, w.d.vcpu.task.node, cost.NumaVhostCopy)
	}
	c.acct.Frames(cost.Tap, 1)
	w.tap.stat.TxFrames++
	w.tap.stat.TxBytes += uint64(n)
	k.begin(c, s)
	if c.watched {
		k.show(c, s, sight{point: trace.VM, tx: true, port: w.d.net.index, vm: w.tap.vm})
		k.show(c, s, sight{point: trace.Tap, tx: true, port: w.d.net.index, vm: w.tap.vm})
	}
	return s
}

// lost counts a frame of n bytes that did not come as far as into an sk_buff.
func (w *vhost) lost(c *CPU, n int, reason cost.DropReason) *skb {
	k := w.d.k
	s := &skb{id: k.newID(), arrived: c.clock.Now(), queue: -1, length: int32(min(n, 1<<30))}
	c.one(cost.VhostGetDesc, s)
	c.one(cost.TunSendmsg, s)
	k.begin(c, s)
	k.drops.Add(cost.Vhost, reason, 1)
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Dropped, Who: trace.WhoDropped(cost.Vhost, reason), A: s.id})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.VM, tx: true, port: w.d.net.index, vm: w.tap.vm})
		k.show(c, s, sight{point: trace.VM, verdict: trace.Drop, reason: reason, stage: cost.Vhost, port: -1, vm: -1})
	}
	return nil
}

// stop ends the worker for good; what waits on its tap dies for that reason. What was
// copied has come through, though nobody calls for it any more.
func (w *vhost) stop(c *CPU, reason cost.DropReason) {
	w.stopped, w.task.gone = true, true
	w.told()
	w.tap.opened, w.tap.waiting = false, nil
	for s, _ := w.tap.next(); s != nil; s, _ = w.tap.next() {
		w.tap.take(c.clock.Now())
		c.drop(s, cost.Tap, reason)
	}
	w.rx.work, w.tx.work = false, false
	w.rx.at, w.tx.at = sim.Never, sim.Never
}

// stalled lists what waits on the worker's queues for somebody who will not come.
func (w *vhost) stalled() (list []string) {
	if w.stopped {
		return nil
	}
	say := func(what string) { list = append(list, w.task.Name+": "+what) }
	if more, _ := w.tx.ring.Device.Pending(sim.Never, 0); more {
		say("the guest's frames wait and nobody kicks")
	}
	if s, _ := w.tap.next(); s != nil {
		if more, _ := w.rx.ring.Device.Pending(sim.Never, w.known); more || !w.starved {
			say("frames wait on the tap and nobody looks")
		}
	}
	if len(w.d.vcpu.irqs) > 0 {
		say("an interrupt is pending and the guest is halted")
	}
	for _, s := range [...]*side{&w.rx, &w.tx} {
		if s.ring.Driver.Overdue() {
			say(fmt.Sprintf("the guest waits for what was used (tx %v) and nobody calls", s.tx))
		}
	}
	return list
}
