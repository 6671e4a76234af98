package bridge

import "encoding/binary"

// Where the parts of an Ethernet header begin.
const (
	offSource = 6
	offType   = 12
	tagLen    = 4
)

// Apply appends to dst the frame as the copy leaves, and returns the longer dst; the
// frame itself is not written. It needs the beginning of a frame only: the Ethernet
// header, and with Strip the tag behind it with the EtherType that follows. What
// stands after that leaves as it is. A frame without these bytes is not edited.
func (c Copy) Apply(dst, frame []byte) []byte {
	rest := offType
	if c.Strip {
		rest += tagLen
	}
	if len(frame) < rest+2 {
		return append(dst, frame...)
	}
	if c.To != (MAC{}) {
		dst = append(dst, c.To[:]...)
	} else {
		dst = append(dst, frame[:offSource]...)
	}
	dst = append(dst, frame[offSource:offType]...)
	if c.Tag != 0 {
		dst = binary.BigEndian.AppendUint32(dst, c.Tag)
	}
	return append(dst, frame[rest:]...)
}
