package reference

import (
	"bytes"
	"encoding/binary"

	"ringside/bridge"
)

// EtherTypes.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherRARP = 0x8035
	etherIPv6 = 0x86dd
	tpidC     = 0x8100
	tpidS     = 0x88a8
)

// A frame is a frame taken apart. The tag is the outermost one, as the kernel takes
// it off what a device hands up; tags behind it are in rest.
type frame struct {
	dst, src bridge.MAC
	tagged   bool
	tpid     uint16
	tci      uint16
	rest     []byte // from the EtherType that follows on
}

// take takes a frame apart. A tag without two bytes of data behind the EtherType
// that follows it is no whole tag.
func take(data []byte) (f frame, whole bool) {
	f = frame{dst: bridge.MAC(data[0:6]), src: bridge.MAC(data[6:12]), rest: data[12:]}
	if t := f.etherType(); t != tpidC && t != tpidS {
		return f, true
	}
	if len(data) < 20 {
		return f, false
	}
	f.tagged, f.tpid, f.tci = true, f.etherType(), binary.BigEndian.Uint16(f.rest[2:])
	f.rest = f.rest[4:]
	return f, true
}

func (f frame) etherType() uint16 { return binary.BigEndian.Uint16(f.rest) }

func (f frame) vid() uint16 { return f.tci & 0xfff }

// untag has the tag be part of the data again.
func (f frame) untag() frame {
	if f.tagged {
		f.rest = f.bytes()[12:]
		f.tagged, f.tpid, f.tci = false, 0, 0
	}
	return f
}

// bytes puts the frame together again.
func (f frame) bytes() []byte {
	out := append(append([]byte{}, f.dst[:]...), f.src[:]...)
	if f.tagged {
		out = binary.BigEndian.AppendUint16(out, f.tpid)
		out = binary.BigEndian.AppendUint16(out, f.tci)
	}
	return append(out, f.rest...)
}

func group(m bridge.MAC) bool     { return m[0]&1 == 1 }
func broadcast(m bridge.MAC) bool { return m == bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// reserved says that the address is one of 01:80:c2:00:00:00 to :0f, and which.
func reserved(m bridge.MAC) (n byte, ok bool) {
	return m[5], bytes.Equal(m[:5], []byte{0x01, 0x80, 0xc2, 0, 0}) && m[5] < 16
}
