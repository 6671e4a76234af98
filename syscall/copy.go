package syscall

import (
	"ringside/cost"
	"ringside/mem"
)

// A Cursor is a place in a guest's segments, from which a copy goes on. The zero
// value with Segs set is their beginning.
type Cursor struct {
	Segs []Segment
	seg  int
	off  int
}

// Left is how many bytes the segments have room for from the cursor on.
func (c *Cursor) Left() int {
	n := -c.off
	for _, s := range c.Segs[c.seg:] {
		n += s.Len
	}
	return n
}

// CopyOut copies b into the guest at the cursor and returns how many bytes had
// room. EFAULT means that a segment is not the guest's memory; what was copied
// before it stays.
func (t *Task) CopyOut(c *Cursor, b []byte) (int, Errno) {
	n, errno := t.move(c, b, false)
	t.host.Account.ChargeBytes(cost.TunPutUser, 1, uint64(n))
	return n, errno
}

// CopyOutOne is CopyOut of one piece into one segment.
func (t *Task) CopyOutOne(s Segment, b []byte) (int, Errno) {
	theirs := t.memory.Bytes(s.Addr, s.Len)
	if theirs == nil {
		t.host.Account.Charge(cost.TunPutUser, 1)
		return 0, EFAULT
	}
	n := min(len(theirs), len(b))
	if 32 <= n && n <= 64 {
		mem.Copy64(theirs, b, n)
	} else {
		copy(theirs, b)
	}
	t.host.Account.ChargeBytes(cost.TunPutUser, 1, uint64(n))
	return n, OK
}

// CopyOutBehind is CopyOut of a header and then b into one segment that has room for
// both; ok is false, and nothing is done, where it has not.
func (t *Task) CopyOutBehind(s Segment, header, b []byte) (n int, ok bool) {
	n = len(header) + len(b)
	theirs := t.memory.Bytes(s.Addr, s.Len)
	if len(theirs) < n {
		return 0, false
	}
	if len(header) == vnetHdrLen {
		*(*[vnetHdrLen]byte)(theirs) = *(*[vnetHdrLen]byte)(header)
	} else {
		copy(theirs, header)
	}
	if behind := theirs[len(header):]; 32 <= len(b) && len(b) <= 64 {
		mem.Copy64(behind, b, len(b))
	} else {
		copy(behind, b)
	}
	t.host.Account.ChargeBytes(cost.TunPutUser, 2, uint64(n))
	return n, true
}

// vnetHdrLen is the length of the header that a tap with IFF_VNET_HDR has.
const vnetHdrLen = 12

// CopyIn fills b from the guest at the cursor and returns how many bytes were
// there, with EFAULT as CopyOut.
func (t *Task) CopyIn(c *Cursor, b []byte) (int, Errno) {
	n, errno := t.move(c, b, true)
	t.host.Account.ChargeBytes(cost.CopyIn, 1, uint64(n))
	return n, errno
}

func (t *Task) move(c *Cursor, b []byte, in bool) (done int, errno Errno) {
	for done < len(b) && c.seg < len(c.Segs) {
		s := c.Segs[c.seg]
		if s.Len == 0 { // no byte, no fault
			c.seg++
			continue
		}
		n := min(s.Len-c.off, len(b)-done)
		theirs := t.memory.Bytes(s.Addr, s.Len)
		if theirs == nil {
			return done, EFAULT
		}
		if in {
			copy(b[done:done+n], theirs[c.off:])
		} else {
			copy(theirs[c.off:], b[done:done+n])
		}
		done += n
		if c.off += n; c.off == s.Len {
			c.seg, c.off = c.seg+1, 0
		}
	}
	return done, OK
}
