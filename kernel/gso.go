package kernel

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/offload"
	"ringside/trace"
)

// features are what a device does itself (netdev_features_t).
type features uint8

// The features of sending. What a device has not is done before it.
const (
	featCsum  features = 1 << iota // completes half-done checksums (NETIF_F_HW_CSUM)
	featTSO4                       // cuts TCP over IPv4
	featTSO6                       // and over IPv6
	featUDPL4                      // and UDP
	featVLAN                       // puts a tag in front (NETIF_F_HW_VLAN_CTAG_TX)

	featAll = featCsum | featTSO4 | featTSO6 | featUDPL4 // of a device that only hands frames on
)

// gsoMaxSize is the longest frame that may be cut later (GSO_LEGACY_MAX_SIZE).
const gsoMaxSize = 65536

// gso says that the frame is to be cut before it meets a wire.
func (s *skb) gso() bool { return s.unplain && s.frags.meta.GSO != offload.GSONone }

// cuts says that the device itself can cut a frame of that length.
func (dev *netdev) cuts(m *offload.Meta, length int32) bool {
	need := [...]features{offload.GSOTCPv4: featTSO4, offload.GSOTCPv6: featTSO6, offload.GSOUDPL4: featUDPL4}
	return m.NeedsCsum && dev.features&featCsum != 0 && length <= dev.gsoMax &&
		int(m.GSO) < len(need) && dev.features&need[m.GSO] != 0
}

// can is ndo_features_check: a device that has the feature may not have it for this
// frame.
func (dev *netdev) can(c *CPU, s *skb, m *offload.Meta) bool {
	return dev.drv == nil || dev.drv.check(c, s, m)
}

// validate is validate_xmit_skb: what the device cannot do with a frame is done
// before it has it. The frames then go to the device in their order.
func (dev *netdev) validate(c *CPU, list []*skb) {
	for i, s := range list {
		m := s.meta()
		switch {
		case m.Plain():
			dev.start(c, list[i:i+1])
		case m.GSO != offload.GSONone && !(dev.cuts(&m, s.length) && dev.can(c, s, &m)):
			dev.segment(c, s, m)
		case m.GSO == offload.GSONone && !(dev.features&featCsum != 0 && dev.can(c, s, &m)):
			if s = c.checksumHelp(s); s != nil {
				c.single[0] = s
				dev.start(c, c.single[:])
			}
		default:
			dev.start(c, list[i:i+1])
		}
	}
}

// checksumHelp is skb_checksum_help: it completes a half-done checksum, in bytes
// that nobody else sees. It returns the frame to go on with, nil if it was dropped
// because the sum lies outside of it or there was no memory.
func (c *CPU) checksumHelp(s *skb) *skb {
	m := s.meta()
	if !m.NeedsCsum {
		return s
	}
	at := int(m.CsumStart) + int(m.CsumOffset) + 2
	if s = c.writable(s, at); s == nil {
		return nil
	}
	c.parts = s.parts(c.parts[:0])
	summed := max(int(s.length)-int(m.CsumStart), 0)
	c.charge(cost.SkbChecksumHelp, s, uint64(summed))
	if !offload.Complete(c.parts, &m) {
		c.drop(s, cost.Stack, cost.SKBCsum)
		return nil
	}
	c.k.setMeta(s, m)
	return s
}

// writable is skb_ensure_writable: a frame whose first n bytes may be written to.
// If others share them, those bytes are copied, and what lies behind stays shared.
// It returns nil if the frame was dropped.
func (c *CPU) writable(s *skb, n int) *skb {
	if n > int(s.length) || s.holders == 1 && !s.cloned && !s.headed && len(s.data) >= n {
		return s // a sum outside of the frame is refused by who writes it
	}
	if s.holders > 1 {
		t := c.k.clone(s)
		c.k.release(s)
		s = t
	}
	c.one(cost.PskbExpandHead, s)
	if !c.k.settle(s, n) || len(s.data) < n {
		c.drop(s, cost.Stack, cost.NoMem)
		return nil
	}
	return s
}

// charge charges a step of one frame that has bytes.
func (c *CPU) charge(step cost.Step, s *skb, bytes uint64) {
	c.acct.ChargeBytes(step, 1, bytes)
	if c.watched {
		c.note(step, s, 1, bytes, "")
	}
}

// segment is skb_gso_segment: the frame is cut and its segments go to the device,
// with their sums half done if the device sums. They share the frame's payload.
func (dev *netdev) segment(c *CPU, s *skb, m offload.Meta) {
	k, g := c.k, &c.k.segmenter
	c.parts = s.parts(c.parts[:0])
	g.Partial = dev.features&featCsum != 0
	if err := g.Start(c.parts, m); err != nil {
		c.drop(s, cost.Stack, cost.SKBGSOSeg)
		return
	}
	list := c.segments[:0]
	c.segments = nil
	from := walk{s: s}
	for first := true; ; first = false {
		hdr, payload, left, ok := g.Next()
		if !ok {
			break
		}
		if first {
			from.skip(len(hdr))
		}
		n := 0
		for _, p := range payload {
			n += len(p)
		}
		t := k.segmentOf(s, hdr)
		if t == nil {
			for _, t := range list {
				k.release(t)
			}
			c.segments = list
			c.drop(s, cost.Stack, cost.NoMem)
			return
		}
		from.share(k, t, n)
		k.setMeta(t, left)
		list = append(list, t)
		c.one(cost.SkbSegment, t)
		if !g.Partial {
			c.charge(cost.SkbChecksumHelp, t, uint64(max(t.length-int32(m.CsumStart), 0)))
		}
	}
	k.flow.Segmented += uint64(len(list) - 1)
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Segmented, Who: uint32(dev.index), A: s.id, B: uint64(len(list))})
	k.release(s)
	dev.start(c, list)
	clear(list)
	c.segments = list
}

// segmentOf is an sk_buff with the header of a segment of s in a page of its own,
// nil if there is none.
func (k *Kernel) segmentOf(s *skb, hdr []byte) *skb {
	block, err := k.mem.Alloc(0)
	if err != nil {
		return nil
	}
	t := k.newSKB()
	t.id, t.arrived, t.queue, t.putBy, t.hops = s.id, s.arrived, s.queue, s.putBy, s.hops
	t.block, t.addr = block, block+rxHeadroom
	t.data = k.mem.Bytes(t.addr, len(hdr))
	t.length = int32(copy(t.data, hdr))
	return t
}

// A walk goes over the bytes of a frame, to share them piece by piece.
type walk struct {
	s   *skb
	at  int32 // buffer: 0 is the first
	off int   // in it
}

// buffer is the present buffer.
func (p *walk) buffer() frag {
	if p.at == 0 {
		return frag{p.s.data, p.s.addr, p.s.block}
	}
	return p.s.frags.buf[p.at-1]
}

// skip passes n bytes over.
func (p *walk) skip(n int) {
	for n > 0 {
		m := min(n, len(p.buffer().data)-p.off)
		p.off += m
		if n -= m; n > 0 {
			p.at, p.off = p.at+1, 0
		}
	}
}

// share hangs the next n bytes on t.
func (p *walk) share(k *Kernel, t *skb, n int) {
	for n > 0 {
		b := p.buffer()
		m := min(n, len(b.data)-p.off)
		if m == 0 {
			p.at, p.off = p.at+1, 0
			continue
		}
		k.mem.Hold(b.block)
		t.addFrag(frag{b.data[p.off : p.off+m], b.addr + mem.Addr(p.off), b.block})
		p.off += m
		n -= m
	}
	p.s.cloned, t.cloned = true, true
}
