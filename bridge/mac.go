package bridge

import (
	"encoding/binary"
	"fmt"
	"net"
)

// A MAC is an Ethernet address.
type MAC [6]byte

// ParseMAC reads an address as 02:00:00:00:00:01, and in the other forms that
// net.ParseMAC knows.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil {
		return MAC{}, fmt.Errorf("bridge: %w", err)
	}
	if len(hw) != 6 {
		return MAC{}, fmt.Errorf("bridge: address %s has %d bytes, an Ethernet address has 6", s, len(hw))
	}
	return MAC(hw), nil
}

// String is the address as 02:00:00:00:00:01.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Group says that the address is a multicast address, or broadcast.
func (m MAC) Group() bool { return m[0]&1 != 0 }

// Station says that the address can be that of a station: not a group, not zero.
func (m MAC) Station() bool { return !m.Group() && m != MAC{} }

// An addr is an address as a key of the table: the first byte lowest, as a
// frame's bytes are when they are loaded in one go, the VLAN from bit 48 up, and
// bit 63 set, so that none is zero.
type addr uint64

const (
	addrMask = 1<<48 - 1
	isKey    = 1 << 63
	groupBit = 1
	// reserved is 01:80:c2:00:00:00, from which the reserved addresses differ in
	// the low four bits of the last byte.
	reserved = isKey | 0xc28001
)

// addresses is the destination and the source of a frame, which must have both.
func addresses(frame []byte) (dst, src addr) {
	_ = frame[headerLen-1]
	dst = addr(binary.LittleEndian.Uint64(frame)&addrMask | isKey)
	src = addr(binary.LittleEndian.Uint64(frame[4:])>>16 | isKey)
	return dst, src
}

func (m MAC) addr() addr {
	return addr(binary.LittleEndian.Uint32(m[:])) | addr(binary.LittleEndian.Uint16(m[4:]))<<32 | isKey
}

func (a addr) mac() (m MAC) {
	binary.LittleEndian.PutUint32(m[:], uint32(a))
	binary.LittleEndian.PutUint16(m[4:], uint16(a>>32))
	return m
}

// in is a in the given VLAN.
func (a addr) in(vlan uint16) addr { return a | addr(vlan&0xfff)<<48 }

func (a addr) vlan() uint16 { return uint16(a>>48) & 0xfff }

// station is MAC.Station.
func station(a addr) bool { return a&groupBit == 0 && a&addrMask != 0 }

// isReserved says that a is 01:80:c2:00:00:0n, and n.
func isReserved(a addr) (n uint8, ok bool) {
	return uint8(a >> 40), a&^(0x0f<<40) == reserved
}
