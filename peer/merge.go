package peer

import (
	"ringside/netstack"
	"ringside/offload"
)

// maxHeld is how many flows may wait for their next segment (MAX_GRO_SKBS).
const maxHeld = 8

// merge is the segments of one poll that may still be joined by others, GRO. At the
// end of the poll none is left.
type merge struct {
	d    *port
	held [maxHeld]flow
	n    int
}

// A flow is segments that follow each other.
type flow struct {
	offload.Held
	frames [][]byte // whole, as they came in
	parts  [][]byte // the first, and the payloads of the others
}

// take joins a frame to its flow, or begins one with it, or hands it up.
func (m *merge) take(b []byte, deliver func(*netstack.Packet)) {
	p, ok := offload.Look(b, len(b))
	good := offload.Verify([][]byte{b}).L4 == offload.Good
	if !ok {
		m.d.up(b, offload.Meta{Valid: good}, deliver)
		return
	}
	for i := range m.n {
		f := &m.held[i]
		if !f.Same(&p) {
			continue
		}
		if good && f.Join(&p) {
			f.frames, f.parts = append(f.frames, b), append(f.parts, b[p.Header():])
			if f.Ended() {
				m.finish(i, deliver)
			}
			return
		}
		m.finish(i, deliver)
		break
	}
	h, more := offload.Hold(p)
	if !more || !good {
		m.d.up(b, offload.Meta{Valid: good}, deliver)
		return
	}
	if m.n == maxHeld {
		m.finish(0, deliver)
	}
	f := &m.held[m.n]
	m.n++
	f.Held, f.frames, f.parts = h, append(f.frames[:0], b), append(f.parts[:0], b)
}

// finish hands flow i up.
func (m *merge) finish(i int, deliver func(*netstack.Packet)) {
	f := m.held[i]
	m.n--
	copy(m.held[i:], m.held[i+1:m.n+1])
	m.held[m.n] = f // for its slices
	d := m.d
	d.packet = netstack.Packet{Parts: append(d.packet.Parts[:0], f.parts...), Len: f.Bytes(), Meta: f.Finish()}
	deliver(&d.packet)
	d.idle = append(d.idle, f.frames...)
}

// flush hands all flows up, the oldest first.
func (m *merge) flush(deliver func(*netstack.Packet)) {
	for m.n > 0 {
		m.finish(0, deliver)
	}
}
