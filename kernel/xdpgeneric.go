package kernel

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/xdp"
)

// Programs on sk_buffs (generic XDP): where the core takes frames from the driver, after
// RPS. All that building an sk_buff costs has been paid by then, and GRO does not merge
// for an interface that has one.

// generic shows the program the frames of a list and returns those that go on, in list.
func (h *xdpHook) generic(c *CPU, list []*skb) []*skb {
	h.now = c.clock.Now()
	up := list[:0]
	for _, s := range list {
		if h.one(c, s) {
			up = append(up, s)
		}
	}
	return up
}

// one is do_xdp_generic: it says whether s goes on.
func (h *xdpHook) one(c *CPU, s *skb) bool {
	room, at, ok := h.room(c, s)
	if !ok {
		c.drop(s, cost.XDP, cost.NoMem)
		return false
	}
	x := &h.ctx
	x.Reset(h, room, at, at+int(s.length))
	x.Queue, x.Ifindex = int(s.queue), int(h.dev.index)
	h.length = s.length
	a := x.Run(h.cfg.Program)
	h.stat.count(a)
	c.one(cost.DoXdpGeneric, s)
	h.helped(c, s, x.Asked())
	from, to := x.Bounds()
	if from != at || to != at+int(s.length) {
		s.addr += mem.Addr(from) - mem.Addr(at)
		s.length = int32(to - from)
		s.data = h.k.mem.Bytes(s.addr, int(s.length))
	}
	switch a {
	case xdp.Pass:
		return true
	case xdp.Tx:
		c.single[0] = s
		h.dev.start(c, c.single[:])
	case xdp.Redirect:
		h.redirect(c, s)
	case xdp.Drop:
		c.drop(s, cost.XDP, cost.XDPDropped)
	default:
		c.drop(s, cost.XDP, cost.RSXDPAborted)
	}
	return false
}

// redirect is xdp_do_generic_redirect: any interface can send an sk_buff.
func (h *xdpHook) redirect(c *CPU, s *skb) {
	if dev := h.target(c, s, func(*netdev) bool { return true }); dev != nil {
		c.single[0] = s
		dev.start(c, c.single[:])
	}
}

// room is the memory about a frame, from where a program may begin it to where it may
// end, and where it begins now. A frame in several buffers, or one that shares its bytes
// with another, is put into a buffer of its own first.
func (h *xdpHook) room(c *CPU, s *skb) (room []byte, at int, ok bool) {
	page := s.addr &^ (mem.PageSize - 1)
	off := int(s.addr - page)
	if s.nfrags > 0 || s.headed || s.cloned || off+int(s.length) > xdpEnd || off < xdp.Headroom {
		return h.linear(c, s)
	}
	return h.k.mem.Bytes(page, mem.PageSize)[off-xdp.Headroom : xdpEnd : xdpEnd], xdp.Headroom, true
}

// linear is skb_linearize, with room in front.
func (h *xdpHook) linear(c *CPU, s *skb) (room []byte, at int, ok bool) {
	m := h.k.mem
	n := xdp.Headroom + int(s.length) + mem.PageSize - xdpEnd
	order := mem.Order(n)
	block, err := m.Alloc(order)
	if err != nil {
		return nil, 0, false
	}
	c.many(cost.SkbLinearize, s, 1, uint64(s.length))
	room = m.Bytes(block, mem.PageSize<<order)
	to := room[xdp.Headroom:xdp.Headroom]
	for _, p := range s.parts(c.parts[:0]) {
		to = append(to, p...)
	}
	m.Release(s.block)
	if s.nfrags > 0 {
		h.k.releaseFrags(s)
	}
	s.nfrags, s.headed, s.cloned = 0, false, false
	s.block, s.addr = block, block+xdp.Headroom
	s.data = m.Bytes(s.addr, int(s.length))
	end := len(room) - (mem.PageSize - xdpEnd)
	return room[:end:end], xdp.Headroom, true
}
