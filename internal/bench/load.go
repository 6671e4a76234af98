package bench

import (
	"encoding/binary"

	"ringside/bridge"
	"ringside/nic"
	"ringside/sim"
)

// A load is a wire that offers frames of one size without end at a constant
// rate. Frame i goes to the address i modulo dests, in an order without locality
// if there are many.
type load struct {
	frame  []byte
	gap    sim.Time
	dests  uint64
	stride uint64 // odd and large: neighbours in time are strangers in the table
	sent   uint64
	stop   uint64 // frames to send; 0 for no end
}

func newLoad(size int, pps uint64, dests uint64) *load {
	l := &load{frame: make([]byte, size), gap: sim.Second / sim.Time(pps), dests: dests, stride: 1}
	if dests > 1 {
		l.stride = 0x9e3779b1
	}
	copy(l.frame, station(0))
	copy(l.frame[6:], []byte{0x02, 0xff, 0, 0, 0, 1, 0x08, 0x00})
	udp(l.frame[14:])
	return l
}

// udp fills p with an IPv4 packet that holds a UDP datagram without checksum.
func udp(p []byte) {
	for i := range p {
		p[i] = byte(i)
	}
	copy(p, []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2})
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum+sum>>16))
	copy(p[20:], []byte{0x30, 0x39, 0xd4, 0x31})
	binary.BigEndian.PutUint16(p[24:], uint16(len(p)-20))
	copy(p[26:], []byte{0, 0})
}

// station is the address of destination i.
func station(i uint64) []byte {
	m := bridge.MAC{0x02, 0x00}
	binary.BigEndian.PutUint32(m[2:], uint32(i))
	return m[:]
}

// Receive offers the next frame.
func (l *load) Receive(f *nic.WireFrame) bool {
	if l.stop != 0 && l.sent == l.stop {
		return false
	}
	if l.dests > 1 {
		binary.BigEndian.PutUint32(l.frame[2:], uint32(l.sent*l.stride%l.dests))
	}
	f.ID, f.At, f.Data = l.sent+1, sim.Time(l.sent)*l.gap, l.frame
	l.sent++
	return true
}

// Transmit takes what leaves.
func (l *load) Transmit(*nic.WireFrame) {}
