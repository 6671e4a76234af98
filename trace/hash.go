package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"ringside/cost"
	"ringside/sim"
)

// A Kind says what a record of the trace is about.
type Kind uint8

// The kinds of records.
const (
	Event     Kind = iota // a timer fired; A is its sequence number, Who the timer
	FrameIn               // a frame came in; A is its id, B the hash of its bytes
	Delivered             // a frame arrived; Who is where
	Dropped               // a frame died; Who is stage and reason
	Sent                  // a frame left on the wire
)

var kindNames = [...]string{"event", "in", "delivered", "dropped", "sent"}

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

// A Hash is the fingerprint of a run: every event and every frame that came in,
// arrived, left or died goes into it in order, with its time and, where bytes
// crossed a border, a hash of them. Equal runs have equal hashes. It folds 64-bit
// lanes and is made to find differences, not to resist someone who forges them.
// The zero value is an empty trace.
type Hash struct {
	a, b, n uint64
	record  func(Record)
}

// Keep has f called with every record from now on, to find where two runs part.
func (h *Hash) Keep(f func(Record)) { h.record = f }

// odd constants: the first 64 bits of the fractional parts of the square roots
// of 2, 3 and 5, made odd; any would do that have no pattern.
const (
	root2 = 0x6a09e667f3bcc909
	root3 = 0xbb67ae8584caa73b
	root5 = 0x3c6ef372fe94f82b
)

// Add appends one record.
func (h *Hash) Add(r Record) {
	hi, lo := bits.Mul64(h.a^uint64(r.At)^root2, r.A^root3)
	h.a = hi ^ lo
	hi, lo = bits.Mul64(h.b^h.a^r.B, uint64(r.Who)<<8^uint64(r.Kind)^root5)
	h.b = hi ^ lo
	h.n++
	if h.record != nil {
		h.record(r)
	}
}

// Records is the number of records so far.
func (h *Hash) Records() uint64 { return h.n }

// String is the hash as reports print it.
func (h *Hash) String() string {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], h.a)
	binary.LittleEndian.PutUint64(b[8:], h.b)
	binary.LittleEndian.PutUint64(b[16:], h.n)
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b[:]))
}

// Bytes hashes a frame's bytes.
func Bytes(b []byte) uint64 { return xxhash.Sum64(b) }

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
