package nic

import (
	"math/bits"

	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// A sriov is what a NIC with virtual functions has beside one without: pools of queues,
// a switch between them, and a mailbox for each VF.
//
//	      wire                         PF   VF0  VF1 …
//	       │                            ▲    ▲    ▲
//	       ▼                          queues of the pools
//	┌─► ahead ─┐                        ▲    ▲    ▲
//	│          ├─► pools of a frame ─► packet buffer ─► DMA, by each function's domain
//	│   loop ──┘
//	│    ▲
//	└── switch ◄── spoof check ◄── transmit rings of the pools
type sriov struct {
	vfs []*VF
	vtRegisters

	owners [MaxAddrs]uint8 // pools of the addresses in filters.exact
	accept masks
	epoch  uint32 // counts changes of what the pools of a frame depend on

	ahead, loop queue[arrival]
	passed      passed
	loopBytes   int
	targets     []target // of the write under way, if it is a VF's

	copies uint64 // packets for the packet buffer beside the first of each frame from the wire
	cloned uint64 // copies of frames, beyond the first of each
	fromVF uint64 // frames taken from the rings of VFs
}

// vtRegisters are those of virtualization.
type vtRegisters struct {
	on                    bool // MRQC has the queues go by pools
	vtCtl                 VtCtl
	dtxswc                Dtxswc
	vmolr                 [Pools]Vmolr
	vmvir                 [Pools]uint32
	vlvf                  [VLVFs]uint32
	vfta, uta             [MTAWords]uint32
	qde, vfre, vfte, wvbr uint32
	vflre                 uint32
	mbvficr, mbvfimr      uint32
	boxes                 [Pools]mailbox
}

// An arrival is a frame that is in at some moment: from the wire, where it was looked at
// before its last bit is in, or from the switch.
type arrival struct {
	id   uint64
	at   sim.Time
	data []byte // kept from frame to frame
	dest destination

	epoch uint32 // of dest; one of the switch is decided
	local bool
}

// passed is how many frames at the front of what was looked at ahead are for none of some
// queues.
type passed struct {
	queues, epoch uint32
	frames        int
}

// newSRIOV makes the virtual functions; nil if there are to be none.
func newSRIOV(n *NIC, vfs int) *sriov {
	if vfs == 0 {
		return nil
	}
	s := &sriov{}
	for i := range vfs {
		s.vfs = append(s.vfs, &VF{n: n, index: i})
	}
	return s
}

// reset puts the registers to what they hold after CTRL.RST. Frames that have come stay,
// and VFs have to wait until the PF says that it is back.
func (s *sriov) reset() {
	s.vtRegisters = vtRegisters{}
	s.changed()
	for _, v := range s.vfs {
		v.vtivar, v.misc = 0, 0
	}
}

// changed says that a frame may have other pools from now on.
func (s *sriov) changed() {
	s.epoch++
	s.accept.read(&s.vmolr)
}

// held is the number of frames between pools, and of those that lie in the memory of VFs.
func (s *sriov) held() (n uint64) {
	n = s.looping()
	for _, v := range s.vfs {
		n += v.unread
	}
	return n
}

// looping is the number of packets that the switch has still to give to pools.
func (s *sriov) looping() (n uint64) {
	for i := range s.loop.count {
		n += uint64(bits.OnesCount8(s.loop.at(i).dest.pools))
	}
	return n
}

// abortVT ends what is between pools.
func (n *NIC) abortVT(now sim.Time) {
	s := n.vt
	for ; s.loop.count != 0; s.loop.pop() {
		a := s.loop.at(0)
		s.loopBytes -= len(a.data)
		a.at = now
		n.dropCopies(cost.NICRxDisabled, a)
	}
	for _, v := range s.vfs {
		v.lose(now)
	}
}

// function is the VF that a queue belongs to, nil if it is the PF's.
func (n *NIC) function(queue int) *VF {
	if n.vt == nil || queue < 0 {
		return nil
	}
	if p := queue & (Pools - 1); p < len(n.vt.vfs) {
		return n.vt.vfs[p]
	}
	return nil
}

// vfVector is the first of the vectors of VF i: they are taken from the top, and what is
// left below is the PF's.
func vfVector(i int) int { return Vectors - VFVectors*(i+1) }

// pfVectors is how many vectors the PF has.
func (n *NIC) pfVectors() int {
	if n.vt == nil {
		return Vectors
	}
	return vfVector(len(n.vt.vfs) - 1)
}

// stepVT is step of a NIC with virtual functions, whose packet buffer may be empty.
func (n *NIC) stepVT(now sim.Time) bool {
	t := sim.Never
	if n.fifo.count != 0 {
		t = n.dmaNext()
	}
	if q := n.nextArrival(); q != nil && q.at(0).at < t {
		if q.at(0).at > now {
			return false
		}
		n.takeVT(q, now)
		return true
	}
	switch {
	case t > now || t == sim.Never:
		return false
	case n.dma.busy:
		n.finish()
	default:
		n.start(t)
	}
	return true
}

// nextArrival is the queue whose first frame is in first, that of the switch among
// equals; nil if nothing is under way.
func (n *NIC) nextArrival() *queue[arrival] {
	s := n.vt
	wire := s.ahead.count != 0 || n.lookAhead()
	switch {
	case s.loop.count != 0 && (!wire || s.loop.at(0).at <= s.ahead.at(0).at):
		return &s.loop
	case wire:
		return &s.ahead
	}
	return nil
}

// lookAhead takes one more frame from the wire, before it is in, and says whether there
// was one.
func (n *NIC) lookAhead() bool {
	if !n.have && !n.pull() {
		return false
	}
	n.have = false
	a := n.vt.ahead.add()
	a.id, a.at, a.local, a.epoch = n.held.ID, n.arrives, false, n.vt.epoch-1
	a.data = append(a.data[:0], n.held.Data...)
	return true
}

// takeVT takes the first frame of a queue in, which is due: a packet for each pool that
// it is for.
func (n *NIC) takeVT(q *queue[arrival], now sim.Time) {
	s, a := n.vt, q.at(0) // which stays as it is until something is added
	q.pop()
	if a.local {
		s.loopBytes -= len(a.data)
	} else {
		s.passed.frames = max(s.passed.frames-1, 0)
	}
	if n.sink != nil && !a.local {
		n.show(trace.Frame{ID: a.id, At: a.at, Point: trace.Wire, Queue: -1, Data: a.data})
	}
	switch {
	case !s.on && a.local:
		n.dropCopies(cost.NICRxDisabled, a)
	case !s.on:
		n.held = WireFrame{ID: a.id, At: a.at, Data: a.data}
		n.detour(n.classify(a.data), a.at)
	case a.local:
		n.admitAll(a, now)
	default:
		n.settleDest(a)
		n.in++
		n.did.seen++
		n.did.seenBytes += uint64(len(a.data))
		if a.dest.pools == 0 {
			n.drop(a.dest.why, a.at, a.id, -1, a.data)
			return
		}
		n.did.good++
		n.did.goodBytes += uint64(len(a.data))
		extra := uint64(bits.OnesCount8(a.dest.pools)) - 1
		s.copies += extra
		s.cloned += extra
		n.admitAll(a, now)
	}
}

// settleDest finds where a frame from the wire goes, if that is not known.
func (n *NIC) settleDest(a *arrival) {
	if a.epoch != n.vt.epoch {
		a.dest, a.epoch = n.fromWire(a.data), n.vt.epoch
	}
}

// admitAll puts a frame into the packet buffer for each of its pools.
func (n *NIC) admitAll(a *arrival, now sim.Time) {
	v := n.describe(a.data)
	if n.direct(a, v, now) {
		return
	}
	bare := uint8(0)
	if a.dest.tagged {
		bare = a.dest.pools & n.vt.accept.strip
	}
	n.admit(a, a.dest.pools&^bare, a.data, v)
	if bare == 0 {
		return
	}
	v.status |= RxVP
	n.tag = a.dest.tag
	n.stripped = append(append(n.stripped[:0], a.data[:header-2]...), a.data[header-2+tagSize:]...)
	n.admit(a, bare, n.stripped, v)
}

// admit puts a frame into the packet buffer for each of the pools, its bytes once.
func (n *NIC) admit(a *arrival, pools uint8, data []byte, v verdict) {
	passing := 0
	if a.at < n.dmaFree {
		passing = n.passing
	}
	shared := false
	for m := pools; m != 0; m &= m - 1 {
		v.queue = uint32(bits.TrailingZeros8(m))
		switch {
		case shared:
			n.fifo.share(v.queue)
		case n.fifo.put(a.id, a.at, v, n.tag, data, passing):
			n.fifo.at(n.fifo.count - 1).local = a.local
			shared = true
		default:
			n.stats.mpc++
			n.drop(cost.NICRxFIFO, a.at, a.id, int(v.queue), data)
		}
	}
}

// dropCopies drops a frame of the switch for each of its pools.
func (n *NIC) dropCopies(r cost.DropReason, a *arrival) {
	for m := a.dest.pools; m != 0; m &= m - 1 {
		n.drop(r, a.at, a.id, bits.TrailingZeros8(m), a.data)
	}
}

// lookahead is how many frames from the wire are looked at before they are in, to find
// the next for a queue that interrupts.
const lookahead = 32

// rxCouldVT is rxCould of a NIC with virtual functions. A VF that polls is no reason to
// look at the device for each of its frames, so what comes is looked at ahead.
func (n *NIC) rxCouldVT(quiet uint32) sim.Time {
	vecs, queues := uint32(0), uint32(0)
	for q := range n.queues {
		if r := &n.rx[q]; r.on() && r.head != r.tail && r.bit&quiet != 0 {
			vecs |= r.bit
			queues |= 1 << q
		}
	}
	if vecs == 0 {
		return sim.Never
	}
	return n.throttled(n.nextFor(queues), vecs)
}

// nextFor is a moment before which no further frame is in the memory of one of the
// queues.
func (n *NIC) nextFor(queues uint32) sim.Time {
	if n.stalled {
		return sim.Never
	}
	if n.fifo.count > lookahead {
		return n.nextDone()
	}
	for i := range n.fifo.count {
		if queues>>n.fifo.at(i).v.queue&1 != 0 {
			return n.nextDone()
		}
	}
	s, at := n.vt, sim.Never
	if !s.on {
		queues = 1<<n.queues - 1 // RSS may choose any
	}
	for i := range s.loop.count {
		if a := s.loop.at(i); uint32(a.dest.pools)&queues != 0 || i == lookahead {
			at = a.at
			break
		}
	}
	if s.passed.queues != queues || s.passed.epoch != s.epoch {
		s.passed = passed{queues: queues, epoch: s.epoch}
	}
	for i := s.passed.frames; i < s.ahead.count || n.lookAhead(); i++ {
		a := s.ahead.at(i)
		if a.at >= at {
			break
		}
		s.passed.frames = i
		if n.settleDest(a); !s.on || uint32(a.dest.pools)&queues != 0 || i == lookahead {
			at = a.at
			break
		}
	}
	if at == sim.Never {
		return at
	}
	return max(at, n.dmaFree) + n.rxTicks(1, header, 1)
}
