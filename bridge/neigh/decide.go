package neigh

import (
	"encoding/binary"
	"net/netip"
)

// EtherTypes.
const (
	EtherARP  = 0x0806
	EtherRARP = 0x8035
	EtherIPv6 = 0x86dd

	dot1Q = 0x8100
)

// A Verdict is what the bridge does beside forwarding the frame.
type Verdict uint8

// The verdicts.
const (
	Pass     Verdict = iota // nothing
	Suppress                // do not flood the frame to ports with neigh_suppress
	Reply                   // the same, and send the answer by the port that asked
)

// String is the verdict's name.
func (v Verdict) String() string { return [...]string{"pass", "suppress", "reply"}[v%3] }

// A Query is a frame as the bridge has it when it has decided on its VLAN.
type Query struct {
	Frame     []byte // the whole frame, from its destination on
	Network   int    // where its network header begins: 14, and 4 for each tag in Frame
	EtherType uint16 // of what begins there
	// VID is the VLAN the frame is in, 0 with VLAN filtering off.
	VID uint16
	// TPID and TCI are those of the frame's tag, or of the one that it was given by
	// the port's PVID. A TPID of 0 is 802.1Q. Of TCI only the priority is read.
	TPID, TCI uint16
	// PVID is that of the port by which the frame came in; 0 if it has none.
	PVID uint16
	// Suppressed says that this port has neigh_suppress, for the VLAN.
	Suppressed bool
	// Host says that the frame comes from the host: there is no port.
	Host bool
}

// A Station is what the bridge's table says of an address in a VLAN.
type Station struct {
	Known bool
	// Suppressed says that it is on a port that has neigh_suppress, for the VLAN. A
	// local address is on none.
	Suppressed bool
}

// A Lookup asks the bridge's table.
type Lookup func(mac [6]byte, vid uint16) Station

const etherLen = 14

// Decide decides on a frame. An answer, whole but for padding and check sequence, is
// appended to buf[:0]; if there is none, reply is nil.
func Decide(q *Query, t *Table, lookup Lookup, buf []byte) (v Verdict, reply []byte) {
	if q.Network < etherLen || q.Network > len(q.Frame) {
		return Pass, nil
	}
	switch q.EtherType {
	case EtherARP, EtherRARP:
		return q.arp(t, lookup, buf)
	case EtherIPv6:
		return q.nd(t, lookup, buf)
	}
	return Pass, nil
}

// toOne says that the frame is to one station.
func (q *Query) toOne() bool { return q.Frame[0]&1 == 0 }

// device is the interface whose neighbours are asked for; it need not be there.
func (q *Query) device() Device {
	if q.VID == 0 {
		return Bridge
	}
	return Device{q.tpid(), q.VID}
}

func (q *Query) tpid() uint16 {
	if q.TPID == 0 {
		return dot1Q
	}
	return q.TPID
}

// find looks for the one who has an address. The verdict is Reply if it is to be
// answered for.
func (q *Query) find(addr netip.Addr, t *Table, lookup Lookup) (Neighbour, Verdict) {
	name := q.device()
	dev := t.devices[name]
	if dev == nil {
		return Neighbour{}, Pass
	}
	if t.isLocal(name, addr) {
		return Neighbour{}, Suppress
	}
	n, ok := dev.neighbours[addr]
	if !ok || !n.State.Valid() {
		return Neighbour{}, Pass
	}
	switch s := lookup(n.MAC, q.VID); {
	case !s.Known:
		return Neighbour{}, Pass
	case !s.Suppressed:
		return Neighbour{}, Suppress
	}
	return n, Reply
}

// header begins an answer, with the tag that it has to have.
func (q *Query) header(buf []byte, to, from [6]byte, etherType uint16) []byte {
	buf = append(append(buf[:0], to[:]...), from[:]...)
	if q.VID != 0 && q.VID != q.PVID {
		buf = binary.BigEndian.AppendUint16(buf, q.tpid())
		buf = binary.BigEndian.AppendUint16(buf, q.TCI&0xf000|q.VID&0xfff)
	}
	return binary.BigEndian.AppendUint16(buf, etherType)
}
