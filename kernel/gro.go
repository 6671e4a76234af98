package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// The limits of Linux's GRO.
const (
	groBuckets = 8 // GRO_HASH_BUCKETS
	maxHeld    = 8 // MAX_GRO_SKBS, frames held in a bucket
	jiffy      = sim.Millisecond
)

// A gro merges the segments of flows that one NAPI instance polls, before they go
// up. A merged frame is the first of them with the payload of the others as further
// buffers: nothing is copied. A frame waits for those that follow it as long as the
// poll goes on, and no longer than a jiffy.
//
//	frame ─► of a flow that is held? ─► joins it              (napi_gro_receive)
//	                │ no                    │ no: that goes up first
//	                └──────► held, or up alone ◄┘
type gro struct {
	k      *Kernel
	dev    *netdev
	bucket [groBuckets][]waiting
	n      int // frames held

	up  [groNormalBatch]*skb // go up together, with the piece
	ups int
}

// A waiting frame is held; age is the jiffy in which it came.
type waiting struct {
	offload.Held
	s   *skb
	age sim.Time
}

// newGRO is the gro of one NAPI instance, nil if the option is off.
func (d *driver) newGRO() *gro {
	if !d.offloads.GRO {
		return nil
	}
	return &gro{k: d.k, dev: d.net}
}

// receive is napi_gro_receive for the frames of a piece. What it does not hold has
// gone up when it returns.
func (g *gro) receive(c *CPU, list []*skb) {
	for _, s := range list {
		g.one(c, s)
	}
	g.pass(c)
}

// one is dev_gro_receive.
func (g *gro) one(c *CPU, s *skb) {
	p, ok := offload.Look(s.data, int(s.length))
	if !ok {
		g.normal(c, s)
		return
	}
	good := !p.Padded && !s.gso() && g.verified(c, s) // what the device has merged stays as it is
	b := &g.bucket[p.Hash%groBuckets]
	for i := range *b {
		w := &(*b)[i]
		if !w.Same(&p) {
			continue
		}
		if good && w.room(s) && w.Join(&p) {
			g.join(c, w, s, p.Header())
			if w.Ended() {
				g.complete(c, b, i)
			}
			return
		}
		g.complete(c, b, i)
		break
	}
	h, ok := offload.Hold(p)
	if !ok || !good {
		g.normal(c, s)
		return
	}
	if len(*b) == maxHeld {
		g.complete(c, b, 0) // gro_flush_oldest
	}
	*b = append(*b, waiting{h, s, c.clock.Now() / jiffy})
	g.n++
}

// verified says that the checksum of a TCP segment is right. Without the device's
// word for it the CPU sums.
func (g *gro) verified(c *CPU, s *skb) bool {
	if s.valid {
		return true
	}
	c.charge(cost.SkbGroChecksum, s, uint64(s.length-ethHeader))
	c.parts = s.parts(c.parts[:0])
	s.valid = offload.Verify(c.parts).L4 == offload.Good
	return s.valid
}

// room says that the buffers of s fit into the held frame.
func (w *waiting) room(s *skb) bool { return w.s.nfrags+1+s.nfrags <= maxHung }

// join is skb_gro_receive: the payload of s, behind its header, becomes further
// buffers of the held frame, and s is no more.
func (g *gro) join(c *CPU, w *waiting, s *skb, header int) {
	c.acct.Once(cost.SkbGroReceive)
	if c.watched {
		c.note(cost.SkbGroReceive, s, 1, 0, fmt.Sprintf("joins frame %d", w.s.id))
		g.k.show(c, s, sight{point: trace.Driver, verdict: trace.Merge, port: g.dev.index, vm: -1})
	}
	g.k.flow.Merged++
	g.k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Merged, Who: uint32(g.dev.index), A: s.id, B: s.fate()})
	g.k.absorb(w.s, s, header)
}

// absorb hangs what lies behind the first from bytes of s on t, and frees s but not
// its buffers. The header lies in the first.
func (k *Kernel) absorb(t, s *skb, from int) {
	if len(s.data) > from {
		t.addFrag(frag{s.data[from:], s.addr + mem.Addr(from), s.block})
	} else {
		k.mem.Release(s.block)
	}
	for i := range s.nfrags {
		t.addFrag(s.frags.buf[i])
	}
	s.next, k.freeSKBs = k.freeSKBs, s
	k.skbs--
}

// complete is napi_gro_complete for the held frame at i: it goes up.
func (g *gro) complete(c *CPU, b *[]waiting, i int) {
	w := (*b)[i]
	*b = append((*b)[:i], (*b)[i+1:]...)
	g.n--
	if w.Count > 1 {
		c.one(cost.NapiGroComplete, w.s)
	}
	g.k.setMeta(w.s, w.Finish())
	g.normal(c, w.s)
}

// normal is gro_normal_one.
func (g *gro) normal(c *CPU, s *skb) {
	g.up[g.ups] = s
	if g.ups++; g.ups == len(g.up) {
		g.pass(c)
	}
}

// pass is gro_normal_list.
func (g *gro) pass(c *CPU) {
	if n := g.ups; n > 0 {
		g.ups = 0
		c.goUp(g.dev, g.up[:n])
	}
}

// flush is napi_gro_flush at the end of a poll: everything goes up, or, if the poll
// goes on, what has waited since an earlier jiffy.
func (g *gro) flush(c *CPU, old bool) {
	if g.n == 0 {
		return
	}
	now := c.clock.Now() / jiffy
	for b := range g.bucket {
		for i := 0; i < len(g.bucket[b]); {
			if old && g.bucket[b][i].age == now {
				i++
				continue
			}
			g.complete(c, &g.bucket[b], i)
		}
	}
	g.pass(c)
}

// each calls note for every frame that is held.
func (g *gro) each(note func(*skb)) {
	if g == nil {
		return
	}
	for _, b := range g.bucket {
		for i := range b {
			note(b[i].s)
		}
	}
}
