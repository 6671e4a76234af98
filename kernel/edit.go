package kernel

import (
	"encoding/binary"

	"ringside/bridge"
	"ringside/cost"
	"ringside/mem"
)

// Where the bytes of a frame stand that a bridge changes [IEEE 802.3, 3.1.1;
// IEEE 802.1Q, 9.5].
const (
	addresses = 12 // bytes of both
	tagLen    = 4
	headRoom  = addresses + 2*tagLen

	typeCTag = 0x8100
	typeSTag = 0x88a8
)

// tagged says that a frame begins with a VLAN tag.
func tagged(frame []byte) bool {
	if len(frame) < addresses+2 {
		return false
	}
	t := binary.BigEndian.Uint16(frame[addresses:])
	return t == typeCTag || t == typeSTag
}

// plainCopy says that a copy's bytes leave as they came.
func plainCopy(cp *bridge.Copy) bool {
	return cp.Tag == 0 && !cp.Strip && cp.To == bridge.MAC{}
}

// edited is the sk_buff of a copy that leaves with other bytes, in place of one
// holder of s. A frame that nobody else holds is changed where it lies, as the
// frames of most access ports are. Else the copy gets a head of its own and shares
// what lies behind:
//
//	s      dst src │ tag? │ type payload …
//	copy   dst src   tag?   ▲
//	       its own head     └ shared
//
// So a flood costs no copy of the payload; the bytes come together when a guest
// or a device fetches them.
func (k *Kernel) edited(s *skb, cp *bridge.Copy) *skb {
	var head [headRoom]byte
	h := append(head[:0], s.data[:addresses]...)
	if cp.To != (bridge.MAC{}) {
		copy(h, cp.To[:])
	}
	if cp.Tag != 0 {
		h = binary.BigEndian.AppendUint32(h, cp.Tag)
	}
	from := addresses
	if cp.Strip {
		from = min(from+tagLen, len(s.data))
	}
	if s.holders == 1 && !s.cloned && k.rewrite(s, from, h) {
		return s
	}
	t := k.share(s, from)
	t.setHead(h)
	t.length += int32(len(h))
	t.shift(len(h) - from)
	if cp.To == (bridge.MAC{}) && !s.headed {
		t.addr = s.addr // where the same addresses stand: see inserts
	}
	k.release(s)
	return t
}

// rewrite puts head in front of what begins at from, in the frame's own buffer,
// and says whether there was room.
func (k *Kernel) rewrite(s *skb, from int, head []byte) bool {
	grow := len(head) - from
	if grow > 0 {
		if uint64(s.addr-s.block)&(mem.PageSize-1) < uint64(grow) {
			return false
		}
		s.data = k.mem.Bytes(s.addr-mem.Addr(grow), len(s.data)+grow)
		s.addr -= mem.Addr(grow)
	} else {
		s.data = s.data[-grow:]
		s.addr += mem.Addr(-grow)
	}
	copy(s.data, head)
	s.length += int32(grow)
	s.shift(grow)
	return true
}

// share is an sk_buff without a head whose further buffers are those of s from
// the byte from on. It holds their blocks, the first of them twice: for the head,
// which has no block of its own.
func (k *Kernel) share(s *skb, from int) *skb {
	t := k.newSKB()
	t.id, t.arrived, t.queue, t.putBy, t.hops = s.id, s.arrived, s.queue, s.putBy, s.hops
	k.setMeta(t, s.meta())
	t.addr, t.block, t.length = 0, s.block, 0
	k.mem.Hold(s.block)
	if len(s.data) > from {
		k.mem.Hold(s.block)
		t.addFrag(frag{s.data[from:], s.addr + mem.Addr(from), s.block})
	}
	for i := range s.nfrags {
		k.mem.Hold(s.frags.buf[i].block)
		t.addFrag(s.frags.buf[i])
	}
	s.cloned, t.cloned = true, true
	return t
}

// shift moves what the frame's offsets count from: n bytes came in front of what
// they point to, or went.
func (s *skb) shift(n int) {
	if s.unplain {
		s.frags.meta.Shift(n)
	}
}

// setHead gives s a head that lies in no block.
func (s *skb) setHead(head []byte) {
	if s.frags == nil {
		s.frags = new(further)
	}
	s.data, s.headed = s.frags.head[:copy(s.frags.head[:], head)], true
}

// clone is an sk_buff of its own with the bytes of s, which it shares.
func (k *Kernel) clone(s *skb) *skb {
	t := k.share(s, len(s.data))
	t.data, t.addr = s.data, s.addr
	t.length += int32(len(s.data))
	if s.headed {
		t.setHead(s.data)
	}
	return t
}

// settle gives the head of an edited frame a place in memory, where a device can
// fetch it and a bridge can read on: what lies behind comes along as far as pull,
// and short pieces whole, lest a frame that is edited time and again fall to bits.
// It says whether there was memory, and room for one piece more.
func (k *Kernel) settle(s *skb, pull int) bool {
	block, err := k.mem.Alloc(0)
	if err != nil {
		return false
	}
	data := append(k.mem.Bytes(block, mem.PageSize)[:0], s.data...)
	taken := int8(0)
	for taken < s.nfrags {
		f := &s.frags.buf[taken]
		n := min(min(pull, mem.PageSize)-len(data), len(f.data))
		if short := len(f.data) <= 2*pull && len(data)+len(f.data) <= mem.PageSize; short {
			n = len(f.data)
		}
		if n <= 0 {
			break
		}
		data = append(data, f.data[:n]...)
		f.data, f.addr = f.data[n:], f.addr+mem.Addr(n)
		if len(f.data) > 0 {
			break
		}
		k.mem.Release(f.block)
		taken++
	}
	if taken > 0 {
		s.nfrags -= taken
		copy(s.frags.buf[:], s.frags.buf[taken:s.nfrags+taken])
	}
	k.mem.Release(s.block)
	s.data, s.addr, s.block, s.headed = data, block, block, false
	return s.nfrags <= maxHung
}

// pushInside is __vlan_hwaccel_push_inside: before a device fetches the frame, its
// tag has to be among its bytes.
func (c *CPU) pushInside(s *skb) bool {
	c.one(cost.VlanPushInside, s)
	return c.k.settle(s, 0)
}
