package vxlan

import (
	"encoding/binary"
	"fmt"
)

// HeaderLen is the length of a VXLAN header [RFC 7348, section 5]:
//
//	├ flags: R R R R I R R R ┤ reserved, 24 bits ├ VNI, 24 bits ┤ reserved, 8 bits ┤
const HeaderLen = 8

// DefaultPort is VXLAN's port [RFC 7348, section 8].
const DefaultPort = 4789

// MaxVNI is the greatest VXLAN network identifier.
const MaxVNI = 1<<24 - 1

const (
	flagVNI = 0x08000000 // the I flag, in the first word
	ethLen  = 14
)

// Overhead is by how much the packet of the underlay is longer than the one that it
// carries: 50 bytes over IPv4, 70 over IPv6. It is outer IP and UDP, VXLAN and the
// inner Ethernet header. A VLAN tag of the inner frame comes on top.
func Overhead(ipv6 bool) int {
	if ipv6 {
		return 40 + 8 + HeaderLen + ethLen
	}
	return 20 + 8 + HeaderLen + ethLen
}

// A Header is what a VXLAN header says.
type Header struct {
	VNI      uint32
	Valid    bool // the I flag
	Reserved bool // another bit is set
}

// ParseHeader reads the header that b begins with; ok is false if b is shorter.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < HeaderLen {
		return Header{}, false
	}
	flags, vni := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	return Header{
		VNI:      vni >> 8,
		Valid:    flags&flagVNI != 0,
		Reserved: flags&^flagVNI != 0 || vni&0xff != 0,
	}, true
}

// NewHeader is the header of a network, of which the low 24 bits count.
func NewHeader(vni uint32) (b [HeaderLen]byte) {
	binary.BigEndian.PutUint32(b[:], flagVNI)
	binary.BigEndian.PutUint32(b[4:], vni<<8)
	return b
}

// A MAC is an Ethernet address.
type MAC [6]byte

// String is the address as 02:00:00:00:00:01.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// Group says that the address is a multicast address, or broadcast.
func (m MAC) Group() bool { return m[0]&1 != 0 }

// Station says that the address can be that of a station: not a group, not zero.
func (m MAC) Station() bool { return !m.Group() && m != MAC{} }

// Default is the address of the entry that tells where to send what has none of its
// own.
var Default MAC

// errorf is an error of the VTEP, with its name if it has one.
func (v *VTEP) errorf(format string, args ...any) error {
	if v.cfg.Name == "" {
		return fmt.Errorf("vxlan: "+format, args...)
	}
	return fmt.Errorf("vxlan: %s: "+format, append([]any{v.cfg.Name}, args...)...)
}
