package wire

import (
	"errors"
	"fmt"
	"strings"

	"ringside/sim"
)

// A Spec says what a link does to frames: Rx to those towards the NIC, Tx to those
// from it. The zero value does nothing. Specs can be compared.
type Spec struct{ Rx, Tx Way }

// A Way is what a link does to frames that go one way. The zero value does nothing,
// and so does each of its fields.
type Way struct {
	Duplicate Prob   // a frame comes twice
	Loss      Prob   // a frame is lost, by itself
	Bursts    Bursts // frames are lost, several in a row
	Corrupt   Prob   // one bit of a frame is turned over
	Limit     int    // frames that may be on the link at once; more are lost. 0 means DefaultLimit where frames can overtake, else no limit
	Rate      Rate   // how fast the link is
	Delay     Delay  // how long it is
	Reorder   Reorder
}

// Bursts is loss by the model of Gilbert and Elliott: a link that is good or bad,
// and turns from one to the other at random. The state in which a frame finds it
// decides about the frame, and then it may turn. It begins good.
type Bursts struct {
	ToBad, ToGood Prob // after each frame
	Bad, Good     Prob // of losing a frame in that state
}

// A Rate is a slower line in the middle of the link, which sends one frame after the
// other, whole ones, with preamble, FCS and gap.
type Rate struct {
	BPS   uint64 // bits a second, MinRate to MaxRate; 0 means that there is none
	Queue Queue  // of frames that wait for it
}

// A Queue is the room for frames that wait while another is being sent; those that
// find none are lost. At most one field is set; the zero value has room for
// DefaultQueue frames.
type Queue struct{ Frames, Bytes int }

// A Delay is how long frames are under way. With Jitter, each takes another time:
// for Uniform from Fixed-Jitter to Fixed+Jitter, for Normal around Fixed with the
// standard deviation Jitter; never less than nothing. A frame waits for those in
// front of it, unless frames may Overtake.
type Delay struct {
	Fixed, Jitter sim.Time // up to MaxDelay each
	Normal        bool     // the distribution; false is uniform
	Overtake      bool
}

// Reorder sends some frames without their delay, so that they come out before
// frames that went in before them: of Gap frames at least Gap-1 are delayed, and the
// next ones go at once with the probability P until one does. Gap 0 means 1.
type Reorder struct {
	P   Prob
	Gap int
}

// Bounds of a Spec.
const (
	MaxDelay     = 3600 * sim.Second
	MinRate      = 1_000
	MaxRate      = 1_000_000_000_000
	MaxFrames    = 1 << 20 // of a Limit, a Queue or a Gap
	MaxBytes     = 1 << 30 // of a Queue
	DefaultQueue = 1000    // frames, the limit that tc-netem(8) has by default
	DefaultLimit = 1 << 18 // frames, a bound on memory
)

// Check says what is wrong with the Spec, nil if nothing is.
func (s *Spec) Check() error {
	if err := s.Rx.check(); err != nil {
		return fmt.Errorf("rx: %w", err)
	}
	if err := s.Tx.check(); err != nil {
		return fmt.Errorf("tx: %w", err)
	}
	return nil
}

func (w *Way) check() error {
	d, b, q := &w.Delay, &w.Bursts, w.Rate.Queue
	switch {
	case max(w.Duplicate, w.Loss, w.Corrupt, b.ToBad, b.ToGood, b.Bad, b.Good, w.Reorder.P) > Always:
		return errors.New("a probability is above 100%")
	case min(d.Fixed, d.Jitter) < 0 || max(d.Fixed, d.Jitter) > MaxDelay:
		return fmt.Errorf("delay %v %v; each can be up to %v", d.Fixed, d.Jitter, MaxDelay)
	case d.Jitter == 0 && (d.Normal || d.Overtake):
		return errors.New("delay: a distribution, or frames that overtake, need jitter: a second span, as in delay 10ms 2ms")
	case w.Reorder.Gap < 0 || w.Reorder.Gap > MaxFrames:
		return fmt.Errorf("reorder: gap %d; 1 to %d are possible", w.Reorder.Gap, MaxFrames)
	case w.Reorder.P == 0 && w.Reorder.Gap > 0:
		return errors.New("reorder: a gap needs a share above 0%")
	case w.Reorder.P > 0 && d.Fixed|d.Jitter == 0:
		return errors.New("reorder needs a delay: a frame overtakes those that are delayed, as in delay 10ms reorder 25%")
	case w.Rate.BPS != 0 && (w.Rate.BPS < MinRate || w.Rate.BPS > MaxRate):
		return fmt.Errorf("rate %dbit; 1kbit to 1tbit are possible", w.Rate.BPS)
	case w.Rate.BPS == 0 && q != (Queue{}):
		return errors.New("queue needs a rate, for which frames wait, as in rate 100mbit queue 64kb")
	case q.Frames < 0 || q.Frames > MaxFrames || q.Bytes < 0 || q.Bytes > MaxBytes || q.Frames > 0 && q.Bytes > 0:
		return fmt.Errorf("queue of %d frames and %d bytes; up to %d frames, or up to %d bytes, are possible", q.Frames, q.Bytes, MaxFrames, MaxBytes)
	case w.Limit < 0 || w.Limit > MaxFrames:
		return fmt.Errorf("limit %d; up to %d frames are possible", w.Limit, MaxFrames)
	}
	return nil
}

// overtakes says that frames may come out in another order.
func (w *Way) overtakes() bool { return w.Delay.Overtake || w.Reorder.P > 0 }

// String is the Spec in the words that Parse reads, "" for one that does nothing.
func (s Spec) String() string {
	rx, tx := s.Rx.String(), s.Tx.String()
	switch {
	case rx == tx:
		return rx
	case tx == "":
		return "rx " + rx
	case rx == "":
		return "tx " + tx
	}
	return "rx " + rx + " tx " + tx
}

// String is the Way in the words that Parse reads.
func (w Way) String() string {
	var b []string
	say := func(format string, args ...any) { b = append(b, fmt.Sprintf(format, args...)) }
	if d := w.Delay; d != (Delay{}) {
		say("delay %s", span(d.Fixed))
		if d.Jitter > 0 {
			say("%s", span(d.Jitter))
		}
		if d.Normal {
			say("distribution normal")
		}
		if d.Overtake {
			say("overtake")
		}
	}
	if r := w.Reorder; r != (Reorder{}) {
		say("reorder %v", r.P)
		if r.Gap > 0 {
			say("gap %d", r.Gap)
		}
	}
	if w.Loss > 0 {
		say("loss %v", w.Loss)
	}
	if m := w.Bursts; m != (Bursts{}) {
		say("loss gemodel %v %v", m.ToBad, m.ToGood)
		if m.Bad != Always || m.Good > 0 {
			say("%v", m.Bad)
		}
		if m.Good > 0 {
			say("%v", m.Good)
		}
	}
	if w.Duplicate > 0 {
		say("duplicate %v", w.Duplicate)
	}
	if w.Corrupt > 0 {
		say("corrupt %v", w.Corrupt)
	}
	if w.Rate.BPS > 0 {
		say("rate %s", unit(w.Rate.BPS, rates))
	}
	if q := w.Rate.Queue; q.Bytes > 0 {
		say("queue %s", unit(uint64(q.Bytes), sizes))
	} else if q.Frames > 0 {
		say("queue %d", q.Frames)
	}
	if w.Limit > 0 {
		say("limit %d", w.Limit)
	}
	return strings.Join(b, " ")
}

// MarshalText is String, for files.
func (s Spec) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is Parse, for files.
func (s *Spec) UnmarshalText(b []byte) error {
	got, err := Parse(string(b))
	if err == nil {
		*s = got
	}
	return err
}

// A measure is a unit's name and how many of the smallest it is.
type measure struct {
	name string
	n    uint64
}

// Units, the largest first.
var (
	spans = []measure{{"s", 1e12}, {"ms", 1e9}, {"us", 1e6}, {"ns", 1e3}, {"ps", 1}}
	rates = []measure{{"tbit", 1e12}, {"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	sizes = []measure{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"b", 1}}
)

// span is a time in the largest unit that leaves a whole part.
func span(t sim.Time) string {
	for _, u := range spans {
		if uint64(t) >= u.n {
			return decimal(uint64(t), u.n) + u.name
		}
	}
	return "0s"
}

// unit is n in the largest of the units of which it is a whole number.
func unit(n uint64, units []measure) string {
	for _, u := range units {
		if n%u.n == 0 {
			return fmt.Sprintf("%d%s", n/u.n, u.name)
		}
	}
	return ""
}
