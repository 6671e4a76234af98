package load

import "fmt"

// A Receiver tells from the frames that arrive what became of a load. The zero
// value has seen nothing.
type Receiver struct {
	Frames    uint64 // of the load, the doubled ones included
	Doubled   uint64 // had arrived before
	Reordered uint64 // came behind a later one of their flow
	Foreign   uint64 // are of no load
	Future    uint64 // of the load, but with a number that it has not sent yet

	Sent func() uint64 // how many the load has sent; nil means that all numbers below 2^26 are believed

	seen  []uint64 // a bit for each number
	after []uint64 // by flow: one more than the highest number so far
}

// Take looks at a frame without its FCS.
func (r *Receiver) Take(frame []byte) {
	s, ok := ReadStamp(frame)
	if !ok || s.Flow >= MaxFlows {
		r.Foreign++
		return
	}
	most := uint64(1 << 26)
	if r.Sent != nil {
		most = r.Sent()
	}
	if s.Seq >= most {
		r.Future++
		return
	}
	r.Frames++
	word, bit := s.Seq/64, uint64(1)<<(s.Seq%64)
	for word >= uint64(len(r.seen)) {
		r.seen = append(r.seen, make([]uint64, len(r.seen)+64)...)
	}
	if r.seen[word]&bit != 0 {
		r.Doubled++
		return
	}
	r.seen[word] |= bit
	for int(s.Flow) >= len(r.after) {
		r.after = append(r.after, make([]uint64, len(r.after)+64)...)
	}
	if s.Seq < r.after[s.Flow] {
		r.Reordered++
		return
	}
	r.after[s.Flow] = s.Seq + 1
}

// Unique is how many different frames of the load arrived.
func (r *Receiver) Unique() uint64 { return r.Frames - r.Doubled }

// Lost is how many of so many frames have not arrived.
func (r *Receiver) Lost(sent uint64) uint64 { return sent - min(r.Unique(), sent) }

// String is the counts in one line.
func (r *Receiver) String() string {
	return fmt.Sprintf("%d arrived, %d doubled, %d out of order, %d foreign", r.Frames, r.Doubled, r.Reordered, r.Foreign+r.Future)
}
