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

// An addr is an address in the low 48 bits, its first byte lowest, as a frame's
// bytes are when they are loaded in one go. The VLAN of a table key stands above.
type addr = uint64

const (
	addrMask  addr = 1<<48 - 1
	groupBit  addr = 1
	broadcast addr = addrMask
	// reserved is 01:80:c2:00:00:00; the reserved addresses differ from it in
	// the low four bits of the last byte.
	reserved     addr = 0xc28001
	reservedBits addr = 0x0f << 40
)

func (m MAC) addr() addr {
	return addr(binary.LittleEndian.Uint32(m[:])) | addr(binary.LittleEndian.Uint16(m[4:]))<<32
}

func macOf(a addr) (m MAC) {
	binary.LittleEndian.PutUint32(m[:], uint32(a))
	binary.LittleEndian.PutUint16(m[4:], uint16(a>>32))
	return m
}
