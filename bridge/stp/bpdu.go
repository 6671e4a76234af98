package stp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/sim"
)

// A BridgeID is a bridge's identifier: its priority in the upper 16 bits and its
// address in the lower 48. The least is the best.
type BridgeID uint64

// MakeBridgeID puts an identifier together.
func MakeBridgeID(priority uint16, mac [6]byte) BridgeID {
	return BridgeID(priority)<<48 |
		BridgeID(binary.BigEndian.Uint16(mac[:]))<<32 | BridgeID(binary.BigEndian.Uint32(mac[2:]))
}

// Priority is the identifier's priority.
func (id BridgeID) Priority() uint16 { return uint16(id >> 48) }

// MAC is the identifier's address.
func (id BridgeID) MAC() (mac [6]byte) {
	binary.BigEndian.PutUint16(mac[:], uint16(id>>32))
	binary.BigEndian.PutUint32(mac[2:], uint32(id))
	return mac
}

// String is the identifier as ip(8) and sysfs show it: "8000.020000000001".
func (id BridgeID) String() string {
	return fmt.Sprintf("%04x.%012x", uint16(id>>48), uint64(id)&(1<<48-1))
}

// A PortID is a port's identifier: six bits of priority and ten of its number.
type PortID uint16

const portBits = 10

// MakePortID puts an identifier together.
func MakePortID(priority uint8, number uint16) PortID {
	return PortID(priority)<<portBits | PortID(number&(1<<portBits-1))
}

// Tick is the unit of times in BPDUs, 1/256 s.
const Tick = sim.Second / 256

// Type is a BPDU's type.
type Type uint8

// The types there are in version 0.
const (
	TypeConfig Type = 0x00 // configuration
	TypeTCN    Type = 0x80 // topology change notification
)

// Lengths of BPDUs, from the protocol identifier on.
const (
	ConfigLen = 35
	TCNLen    = 4
)

// A BPDU is a bridge protocol data unit of version 0. A notification has no more
// than its type.
type BPDU struct {
	Type Type

	TopologyChange    bool
	TopologyChangeAck bool
	Root              BridgeID
	RootPathCost      uint32
	Bridge            BridgeID
	Port              PortID
	// Times go on the wire in whole ticks, rounded down, modulo 256 s.
	MessageAge, MaxAge, HelloTime, ForwardDelay sim.Time
}

// The flags of a configuration message.
const (
	flagTopologyChange    = 0x01
	flagTopologyChangeAck = 0x80
)

// Why a BPDU is not looked at.
var (
	ErrShort    = errors.New("stp: BPDU too short")
	ErrProtocol = errors.New("stp: not the spanning tree protocol, version 0")
	ErrType     = errors.New("stp: unknown type of BPDU")
	ErrStale    = errors.New("stp: message age beyond max age")
	ErrFrame    = errors.New("stp: not a BPDU's frame")
	ErrOff      = errors.New("stp: the protocol, the bridge or the port is off")
	ErrGuard    = errors.New("stp: BPDU on a guarded port")
)

// Append encodes b behind dst.
func (b *BPDU) Append(dst []byte) []byte {
	dst = append(dst, 0, 0, 0, byte(b.Type))
	if b.Type != TypeConfig {
		return dst
	}
	var flags byte
	if b.TopologyChange {
		flags |= flagTopologyChange
	}
	if b.TopologyChangeAck {
		flags |= flagTopologyChangeAck
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.Root))
	dst = binary.BigEndian.AppendUint32(dst, b.RootPathCost)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.Bridge))
	dst = binary.BigEndian.AppendUint16(dst, uint16(b.Port))
	for _, t := range [...]sim.Time{b.MessageAge, b.MaxAge, b.HelloTime, b.ForwardDelay} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(t/Tick))
	}
	return dst
}

// Decode reads a BPDU as it stands behind the LLC header. What follows it, which
// is padding, is ignored.
func Decode(data []byte) (BPDU, error) {
	if err := checkHeader(data); err != nil {
		return BPDU{}, err
	}
	b := BPDU{Type: Type(data[3])}
	switch b.Type {
	case TypeTCN:
		return b, nil
	case TypeConfig:
	default:
		return BPDU{}, ErrType
	}
	if len(data) < ConfigLen {
		return BPDU{}, ErrShort
	}
	b.TopologyChange = data[4]&flagTopologyChange != 0
	b.TopologyChangeAck = data[4]&flagTopologyChangeAck != 0
	b.Root = BridgeID(binary.BigEndian.Uint64(data[5:]))
	b.RootPathCost = binary.BigEndian.Uint32(data[13:])
	b.Bridge = BridgeID(binary.BigEndian.Uint64(data[17:]))
	b.Port = PortID(binary.BigEndian.Uint16(data[25:]))
	for i, t := range [...]*sim.Time{&b.MessageAge, &b.MaxAge, &b.HelloTime, &b.ForwardDelay} {
		*t = sim.Time(binary.BigEndian.Uint16(data[27+2*i:])) * Tick
	}
	if b.MessageAge > b.MaxAge {
		return BPDU{}, ErrStale
	}
	return b, nil
}

// checkHeader looks at what comes before a BPDU's type: the protocol identifier
// and the version, both 0.
func checkHeader(data []byte) error {
	if len(data) < TCNLen {
		return ErrShort
	}
	if data[0]|data[1]|data[2] != 0 {
		return ErrProtocol
	}
	return nil
}

// Group is the bridge group address, to which BPDUs go.
var Group = [6]byte{0x01, 0x80, 0xc2, 0, 0, 0}

// The frame around a BPDU: Ethernet with a length, and LLC with the spanning
// tree's SAP and an unnumbered information command.
const (
	etherLen  = 14
	llcLen    = 3
	headerLen = etherLen + llcLen
	maxLength = 1500 // a greater one is an EtherType
	sap       = 0x42
	ui        = 0x03
)

func appendHeader(dst []byte, to, from [6]byte, payload int) []byte {
	dst = append(dst, to[:]...)
	dst = append(dst, from[:]...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(llcLen+payload))
	return append(dst, sap, sap, ui)
}

// Payload is the BPDU in a whole frame, cut to the length that the frame says.
func Payload(frame []byte) ([]byte, error) {
	if len(frame) < headerLen {
		return nil, ErrFrame
	}
	n := int(binary.BigEndian.Uint16(frame[12:]))
	if n < llcLen || n > maxLength || etherLen+n > len(frame) {
		return nil, ErrFrame
	}
	if frame[14] != sap || frame[15] != sap || frame[16] != ui {
		return nil, ErrFrame
	}
	return frame[headerLen : etherLen+n], nil
}
