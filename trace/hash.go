package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"ringside/cost"
	"ringside/sim"
)

// A Kind says what a record of the trace is about.
type Kind uint8

// The kinds of records.
const (
	Event     Kind = iota // a timer fired; A is its sequence number, Who the timer
	FrameIn               // a frame began inside the machine; A is its id, B its length
	Delivered             // a frame arrived; A is its id, B its Fate, Who is where
	Dropped               // a frame died; A is its id, Who is stage and reason
	Sent                  // a frame left on the wire; as Delivered
	Merged                // a frame joined another (GRO, LRO); as Delivered, Who is the interface
	Segmented             // a frame was cut; A is its id, B the number of segments
)

var kindNames = [...]string{"event", "in", "delivered", "dropped", "sent", "merged", "segmented"}

// String is the kind's name in differences.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "kind?"
	}
	return kindNames[k]
}

// A Record is one entry of the trace.
type Record struct {
	At   sim.Time
	Kind Kind
	Who  uint32
	A, B uint64
}

// A Hash is the fingerprint of a run: every event goes into it in order with its
// time, and so does every frame when its fate is decided, arrived, left or died:
// when that was, when it came in, and what it held. Equal runs have equal hashes.
// It folds into 64 bits, which finds differences; it does not resist someone who
// forges them.
// The zero value is an empty trace.
type Hash struct {
	a, n   uint64
	record func(Record)
}

// Keep has f called with every record from now on, to find where two runs part.
func (h *Hash) Keep(f func(Record)) { h.record = f }

// Events adds every event of e from now on. It takes the engine's OnFire.
func (h *Hash) Events(e *sim.Engine) {
	e.OnFire(func(at sim.Time, seq uint64, id uint32) {
		h.Add(Record{At: at, Kind: Event, Who: id, A: seq})
	})
}

// Constants without a pattern: the first 64 bits of the fractional parts of the
// square roots of 2, 3, 5 and 7, made odd.
const (
	root2 = 0x6a09e667f3bcc909
	root3 = 0xbb67ae8584caa73b
	root5 = 0x3c6ef372fe94f82b
	root7 = 0xa54ff53a5f1d36f1
)

// fold multiplies to 128 bits and adds the halves without carry.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Add appends one record.
func (h *Hash) Add(r Record) {
	a := fold(h.a^uint64(r.At)^root2, r.A^root3)
	h.a = fold(a^r.B, uint64(r.Who)<<8^uint64(r.Kind)^root5)
	h.n++
	if h.record != nil {
		h.record(r)
	}
}

// Delivered is Add of the record of a frame that arrived; see Fate. It is the one
// that is added for every frame.
func (h *Hash) Delivered(at sim.Time, who uint32, id, fate uint64) {
	a := fold(h.a^uint64(at)^root2, id^root3)
	h.a = fold(a^fate, uint64(who)<<8^uint64(Delivered)^root5)
	h.n++
	if h.record != nil {
		h.record(Record{At: at, Kind: Delivered, Who: who, A: id, B: fate})
	}
}

// Records is the number of records so far.
func (h *Hash) Records() uint64 { return h.n }

// String is the hash as reports print it.
func (h *Hash) String() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], h.a)
	binary.LittleEndian.PutUint64(b[8:], h.n)
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b[:]))
}

// Bytes hashes a frame's bytes, sixteen in one multiplication and four of those
// side by side: half the work of xxhash on a small frame, and every frame that
// arrives is hashed.
func Bytes(b []byte) uint64 {
	h, n := uint64(root7), uint64(len(b))
	if n-32 <= 32 { // most frames of a flood: two halves, which may overlap
		p, q := (*[32]byte)(b), (*[32]byte)(b[n-32:])
		h = fold(word(p[0:])^root2, word(p[8:])^root7)
		h1 := fold(word(p[16:])^root3, word(p[24:])^root2)
		h2 := fold(word(q[0:])^root5, word(q[8:])^root3)
		h3 := fold(word(q[16:])^root7, word(q[24:])^root5)
		return fold(h^h2^n*root3, h1^h3^root2)
	}
	if n > 64 {
		h1, h2, h3 := uint64(root2), uint64(root3), uint64(root5)
		for ; len(b) > 64; b = b[64:] {
			h = fold(word(b)^root2, word(b[8:])^h)
			h1 = fold(word(b[16:])^root3, word(b[24:])^h1)
			h2 = fold(word(b[32:])^root5, word(b[40:])^h2)
			h3 = fold(word(b[48:])^root7, word(b[56:])^h3)
		}
		h = fold(h^h1, h2^h3^root2)
	}
	for ; len(b) > 16; b = b[16:] {
		h = fold(word(b)^root3, word(b[8:])^h)
	}
	// At most sixteen are left. Eight and four at both ends may overlap.
	var x, y uint64
	switch {
	case len(b) >= 8:
		x, y = word(b), word(b[len(b)-8:])
	case len(b) >= 4:
		x, y = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	default:
		for _, c := range b {
			x = x<<8 | uint64(c)
		}
	}
	return fold(fold(x^root5, y^h), n^root7)
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// Fate is Record.B of a frame that arrived somewhere: the hash of its bytes and
// when it came in.
func Fate(bytes uint64, arrived sim.Time) uint64 { return bytes + uint64(arrived)*root7 }

// WhoDropped packs where and why a frame died for Record.Who.
func WhoDropped(s cost.Stage, r cost.DropReason) uint32 { return uint32(s)<<8 | uint32(r) }

// Diff says where two traces part, in words with the index, or "" if they do
// not.
func Diff(a, b []Record) string {
	for i := range a {
		if i >= len(b) {
			return fmt.Sprintf("record %d: %v against the end of the second trace", i, a[i])
		}
		if a[i] != b[i] {
			return fmt.Sprintf("record %d: %v against %v", i, a[i], b[i])
		}
	}
	if len(b) > len(a) {
		return fmt.Sprintf("record %d: the end of the first trace against %v", len(a), b[len(a)])
	}
	return ""
}

// String prints the record on one line.
func (r Record) String() string {
	switch r.Kind {
	case Event:
		return fmt.Sprintf("%v event timer=%d seq=%d", r.At, r.Who, r.A)
	case Dropped:
		return fmt.Sprintf("%v dropped frame=%d at=%v reason=%v", r.At, r.A, cost.Stage(r.Who>>8), cost.DropReason(r.Who&0xff))
	}
	return fmt.Sprintf("%v %v frame=%d who=%d bytes=%016x", r.At, r.Kind, r.A, r.Who, r.B)
}
