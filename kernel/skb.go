package kernel

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// maxFrags bounds the further buffers of a frame, as Linux's MAX_SKB_FRAGS does. One
// that was merged may have more, which Linux hangs on it as a frag_list: as many
// segments as go into 64 KiB at an MTU of 1500. A device does not take those.
const (
	maxFrags = 17
	maxHung  = 45
)

// An skb is a frame in host memory and who it is. The bytes are where DMA put
// them; nothing is copied until a guest asks.
//
//	data          frags[0]        frags[1]
//	├─────────┤   ├──────────┤   ├─────┤
//	first block   second block   third     one holder on each block
//
// Whoever is handed an skb must hand it on, free it, or drop it with a reason. A
// flooded frame is one skb with several holders; copies that leave with other
// bytes are skbs of their own that share what is alike.
type skb struct {
	id      uint64
	arrived sim.Time // last bit in from the wire, or the guest's write
	data    []byte
	addr    mem.Addr // of data
	block   mem.Addr // that holds it
	length  int32    // data and frags together
	holders int32
	slab    uint32   // where it lies: the number of its object; 0 without a model of paging
	putBy   int16    // CPU that put it on a tap's ring
	queue   int8     // receive queue, -1 for frames that begin here
	nfrags  int8     // at most maxHung+1
	marks            // none of them is on most frames
	frags   *further // nil until a frame needs it
	next    *skb     // free list
}

// marks are what few frames have; eight bytes, so that a store clears them all.
type marks struct {
	raw     bool   // an xdp_frame: it has seen no sk_buff, and has but one buffer
	umem    bool   // it lies in a process' memory and has no block: see XSK
	headed  bool   // data is the frame's own head, which lies in no block: see edited
	cloned  bool   // another skb shares the blocks
	valid   bool   // its checksum was verified (CHECKSUM_UNNECESSARY)
	unplain bool   // there is work left to do: see further.meta
	hops    uint16 // patches that it came over
}

// further is what few frames need: more buffers, a head that lies in none, and
// what is left to be done.
type further struct {
	buf  [maxHung + 1]frag // the last for what lies behind a new head
	head [headRoom]byte
	meta offload.Meta // if the frame is unplain
}

// A frag is a further buffer of a frame.
type frag struct {
	data  []byte
	addr  mem.Addr
	block mem.Addr
}

// newSKB takes an skb from the free list. One holder, no further buffers; the
// first is for the caller to put in.
func (k *Kernel) newSKB() *skb {
	if k.freeSKBs == nil {
		k.moreSKBs()
	}
	s := k.freeSKBs
	k.freeSKBs = s.next
	s.holders, s.nfrags, s.marks = 1, 0, marks{}
	k.skbs++
	return s
}

func (k *Kernel) moreSKBs() {
	chunk := make([]skb, 64)
	slab := uint32(k.kernelMemory(len(chunk)*slabObject) / slabObject)
	for i := range chunk {
		chunk[i].slab = slab + uint32(i)
		chunk[i].next = k.freeSKBs
		k.freeSKBs = &chunk[i]
	}
}

// release takes one holder away; the last one frees the buffers. What it costs
// is charged by the caller, who knows why.
func (k *Kernel) release(s *skb) {
	if s.holders--; s.holders != 0 {
		s.shared()
		return
	}
	k.mem.Release(s.block)
	if s.nfrags > 0 {
		k.releaseFrags(s)
	}
	s.next = k.freeSKBs
	k.freeSKBs = s
	k.skbs--
	if k.starved != nil {
		k.fed()
	}
}

// shared finds an skb with other holders after one of them was taken away. One
// without any was freed before.
func (s *skb) shared() {
	if s.holders < 0 {
		panic("kernel: an skb was freed twice")
	}
}

func (k *Kernel) releaseFrags(s *skb) {
	for _, f := range s.frags.buf[:s.nfrags] {
		k.mem.Release(f.block)
	}
}

// meta is what travels beside the frame. Nearly all frames have the zero value, or
// Valid.
func (s *skb) meta() offload.Meta {
	if s.unplain {
		return s.frags.meta
	}
	return offload.Meta{Valid: s.valid}
}

// setMeta says what travels beside s. Of a frame that can go anywhere as it is only
// Valid is kept.
func (k *Kernel) setMeta(s *skb, m offload.Meta) {
	s.valid, s.unplain = m.Valid, !m.Plain()
	if !s.unplain {
		return
	}
	if s.frags == nil {
		s.frags = new(further)
	}
	s.frags.meta = m
	k.offloading = true
}

// parts appends the buffers of s to to.
func (s *skb) parts(to [][]byte) [][]byte {
	to = append(to, s.data)
	for i := range s.nfrags {
		to = append(to, s.frags.buf[i].data)
	}
	return to
}

// headLen is as much of a frame as a flow is told by: Ethernet, two tags, the longest
// header of IPv4, ports.
const headLen = ethHeader + 2*tagLen + 60 + 4

// headIn is the first headLen bytes of a frame in one piece, which is in room if they
// are in several.
func (s *skb) headIn(room *[]byte) []byte {
	if len(s.data) >= headLen || s.nfrags == 0 {
		return s.data
	}
	*room = s.first((*room)[:0], headLen)
	return *room
}

// first appends the first n bytes of a frame, or all there are.
func (s *skb) first(to []byte, n int) []byte {
	to = append(to, s.data[:min(n, len(s.data))]...)
	for i := range s.nfrags {
		if left := n - len(to); left > 0 {
			f := s.frags.buf[i].data
			to = append(to, f[:min(left, len(f))]...)
		}
	}
	return to
}

// addFrag hangs a further buffer on s. The device bounds a frame to fewer
// buffers than an skb can hold (RLPML), so one too many is a bug and panics.
func (s *skb) addFrag(f frag) {
	if s.frags == nil {
		s.frags = new(further)
	}
	s.frags.buf[s.nfrags] = f
	s.nfrags++
	s.length += int32(len(f.data))
}

// fate is what the trace keeps of a frame that arrived: its bytes, and when it
// came in.
func (s *skb) fate() uint64 {
	h := trace.Bytes(s.data)
	if s.nfrags > 0 {
		h = s.hashFrags(h)
	}
	return trace.Fate(h, s.arrived)
}

func (s *skb) hashFrags(h uint64) uint64 {
	for _, f := range s.frags.buf[:s.nfrags] {
		h = h*31 + trace.Bytes(f.data)
	}
	return h
}

// drop frees one holder's share of s, counts it at stage and says why.
func (c *CPU) drop(s *skb, stage cost.Stage, reason cost.DropReason) {
	if s.raw {
		c.one(cost.XdpReturnBuff, s)
	} else {
		c.one(cost.KfreeSkb, s)
	}
	k := c.k
	k.drops.Add(stage, reason, 1)
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Dropped, Who: trace.WhoDropped(stage, reason), A: s.id})
	if k.sink != nil {
		k.show(c, s, sight{point: pointOf(stage), verdict: trace.Drop, reason: reason, stage: stage, port: -1, vm: -1})
	}
	k.release(s)
}

// pointOf is where a capture shows a frame that died at a stage.
func pointOf(stage cost.Stage) trace.Point {
	switch stage {
	case cost.NIC:
		return trace.NIC
	case cost.Bridge:
		return trace.Bridge
	case cost.Tap, cost.Syscall, cost.Sched:
		return trace.Tap
	case cost.VM:
		return trace.VM
	}
	return trace.Driver
}
