package load

import (
	"errors"
	"fmt"
	"strings"

	"ringside/nic"
	"ringside/sim"
)

// A Spec says what a load is like. The zero value is frames of 64 bytes as fast as
// the line carries them, one flow for each destination.
type Spec struct {
	Sizes   []Size   // in turn by weight; nil means 64 bytes
	Rate    Rate     // the zero Rate is as fast as the line carries them
	Flows   int      // 0 means one for each destination
	Pick    Pick     // which flow is next
	Burst   int      // frames that come back to back; 0 means 1
	Gap     sim.Time // between two bursts, beyond the least that the line has; only at line rate
	Poisson bool     // gaps are random with an exponential distribution, with the Rate as their mean
}

// A Size is a length of frames and how many of them there are beside the others.
type Size struct {
	Bytes  int // with FCS: MinSize to MaxSize
	Weight int // 1 to MaxWeight; 0 means 1
}

// A Rate is how fast frames come. At most one of its fields is not zero.
type Rate struct {
	PPS uint64 // frames a second
	BPS uint64 // bits of frames a second, with FCS, without preamble and gap
	PPM uint64 // millionths of what the line carries
}

// A Pick is how flows take turns.
type Pick uint8

const (
	RoundRobin Pick = iota // one after another
	Random                 // each as likely as every other
	Zipf                   // the nth has a share that goes with 1/n
)

// Bounds of a Spec.
const (
	MinSize   = 64
	MaxSize   = nic.MaxFrame
	MaxSizes  = 64
	MaxWeight = 1000
	MaxFlows  = 1 << 20
	MaxBurst  = 1 << 20
	MaxPPS    = 1e9
	MaxBPS    = 1e12
	MaxGap    = 1000 * sim.Second
)

// IMIX is the simple mix of Internet traffic, 7:4:1 of 64, 594 and 1518 bytes, as
// an IMIX is specified by RFC 6985 [RFC 6985, 5].
var IMIX = []Size{{64, 7}, {594, 4}, {1518, 1}}

var picks = [...]string{RoundRobin: "robin", Random: "random", Zipf: "zipf"}

// String is the word for p that Parse reads.
func (p Pick) String() string {
	if int(p) >= len(picks) {
		return "pick?"
	}
	return picks[p]
}

// Check says what of s cannot be.
func (s *Spec) Check() error {
	if len(s.Sizes) > MaxSizes {
		return fmt.Errorf("load: %d sizes; up to %d are possible", len(s.Sizes), MaxSizes)
	}
	for _, z := range s.Sizes {
		if z.Bytes < MinSize || z.Bytes > MaxSize {
			return fmt.Errorf("load: frames of %d bytes; %d to %d are possible, FCS included", z.Bytes, MinSize, MaxSize)
		}
		if z.Weight < 0 || z.Weight > MaxWeight {
			return fmt.Errorf("load: a weight of %d; 1 to %d are possible", z.Weight, MaxWeight)
		}
	}
	if err := s.Rate.check(); err != nil {
		return err
	}
	switch {
	case s.Flows < 0 || s.Flows > MaxFlows:
		return fmt.Errorf("load: %d flows; 1 to %d are possible", s.Flows, MaxFlows)
	case s.Pick > Zipf:
		return fmt.Errorf("load: flows take turns in way %d; there are RoundRobin, Random and Zipf", s.Pick)
	case s.Burst < 0 || s.Burst > MaxBurst:
		return fmt.Errorf("load: bursts of %d frames; 1 to %d are possible", s.Burst, MaxBurst)
	case s.Gap < 0 || s.Gap > MaxGap:
		return fmt.Errorf("load: a gap of %v; up to %v is possible", s.Gap, MaxGap)
	case s.Gap > 0 && s.Rate != Rate{}:
		return errors.New("load: a rate and a gap: the rate says already how far bursts are apart; give one of them")
	case s.Poisson && s.Rate == Rate{}:
		return errors.New("load: Poisson arrivals at line rate: random gaps need a rate below it")
	}
	return nil
}

func (r Rate) check() error {
	given := 0
	for _, n := range [...]uint64{r.PPS, r.BPS, r.PPM} {
		if n > 0 {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("load: a rate in frames, in bits and in shares of the line at once; give one")
	case r.PPS > MaxPPS:
		return fmt.Errorf("load: %d frames a second; up to %d are possible", r.PPS, uint64(MaxPPS))
	case r.BPS > MaxBPS:
		return fmt.Errorf("load: %d bits a second; up to %d are possible", r.BPS, uint64(MaxBPS))
	case r.PPM > 1e6:
		return fmt.Errorf("load: %s of the line; it carries 100%% at the most", percent(r.PPM))
	}
	return nil
}

// sizes are the Sizes with their defaults.
func (s *Spec) sizes() []Size {
	if len(s.Sizes) == 0 {
		return []Size{{MinSize, 1}}
	}
	list := make([]Size, len(s.Sizes))
	for i, z := range s.Sizes {
		list[i] = Size{z.Bytes, max(z.Weight, 1)}
	}
	return list
}

// LinePPS is how many of the load's frames a line of bps bits a second carries in a
// second, rounded down.
func (s *Spec) LinePPS(bps uint64) uint64 {
	var bits, frames uint64 // of one round of sizes
	for _, z := range s.sizes() {
		bits += uint64(z.Weight) * uint64(z.Bytes+overhead) * 8
		frames += uint64(z.Weight)
	}
	return muldiv(bps, frames, bits)
}

// PPS is the rate of s on a line of bps bits a second in frames a second, rounded
// down. Bursts with a gap have none, and give the line's.
func (s *Spec) PPS(bps uint64) uint64 {
	switch {
	case s.Rate.PPS > 0:
		return s.Rate.PPS
	case s.Rate.PPM > 0:
		return muldiv(s.LinePPS(bps), s.Rate.PPM, 1e6)
	case s.Rate.BPS > 0:
		var bits, frames uint64
		for _, z := range s.sizes() {
			bits += uint64(z.Weight*z.Bytes) * 8
			frames += uint64(z.Weight)
		}
		return muldiv(s.Rate.BPS, frames, bits)
	}
	return s.LinePPS(bps)
}

// String is s as Parse reads it.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(sizesText(s.Sizes))
	b.WriteByte('@')
	b.WriteString(s.Rate.String())
	if s.Flows > 0 {
		fmt.Fprintf(&b, ",flows=%d", s.Flows)
	}
	if s.Pick != RoundRobin {
		fmt.Fprintf(&b, ",pick=%v", s.Pick)
	}
	if s.Burst > 1 {
		fmt.Fprintf(&b, ",burst=%d", s.Burst)
	}
	if s.Gap > 0 {
		fmt.Fprintf(&b, ",gap=%s", spanText(s.Gap))
	}
	if s.Poisson {
		b.WriteString(",poisson")
	}
	return b.String()
}

func sizesText(list []Size) string {
	if len(list) == 0 {
		return fmt.Sprint(MinSize)
	}
	if len(list) == len(IMIX) && list[0] == IMIX[0] && list[1] == IMIX[1] && list[2] == IMIX[2] {
		return "imix"
	}
	parts := make([]string, len(list))
	for i, z := range list {
		parts[i] = fmt.Sprint(z.Bytes)
		if z.Weight > 1 {
			parts[i] += fmt.Sprintf(":%d", z.Weight)
		}
	}
	return strings.Join(parts, "+")
}

// String is r as Parse reads it.
func (r Rate) String() string {
	switch {
	case r.PPS > 0:
		return unitText(r.PPS, ppsUnits)
	case r.BPS > 0:
		return unitText(r.BPS, bpsUnits)
	case r.PPM > 0:
		return percent(r.PPM)
	}
	return "max"
}
