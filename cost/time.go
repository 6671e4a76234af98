package cost

import (
	"math/big"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Time is what an operation, or a part of it, waits for: what would have to be
// faster for it to take less.
type Time uint8

// What there is to wait for. The zero value is the core itself: instructions, and
// lines in its own two caches.
const (
	TimeCore   Time = iota // cycles of the core: goes by its clock
	TimeL3                 // a line in the last-level cache
	TimeDMA                // a line that a device has written: last-level cache or memory
	TimeDRAM               // a line of memory, of the own node
	TimeRemote             // a line that is dirty in another core's cache
	TimeBus                // bytes on PCIe
	TimeIO                 // the way to a device and its answer, which no clock of ours shortens
	NumTimes
)

var timeNames = [NumTimes]string{"core", "l3", "dma", "dram", "remote", "bus", "io"}

// String is the time's name in books.
func (t Time) String() string {
	if t >= NumTimes {
		return "time?"
	}
	return timeNames[t]
}

// Parts are the parts of a price by what they wait for, in the entry's unit; an empty
// text is none. If all are empty the price is of one kind: bus for a device's work,
// core for a CPU's.
type Parts [NumTimes]string

// parts are an entry's parts as numbers.
func (e *Entry) parts() (p [NumTimes]*big.Rat) {
	for t, s := range e.Time {
		if s != "" {
			p[t], _ = new(big.Rat).SetString(s)
		}
	}
	if e.Time == (Parts{}) {
		whole, _ := new(big.Rat).SetString(e.Value)
		p[e.plainTime()] = whole
	}
	return p
}

// plainTime is what an entry without parts waits for.
func (e *Entry) plainTime() Time {
	if e.Op.Device() {
		return TimeBus
	}
	return TimeCore
}

// times reads what an entry's time goes by: one word, or words with their parts of
// the value, which they must add up to.
func (r *reader) times(e *Entry, f field, value *big.Rat) {
	what := e.Op.String() + ": time"
	if f.value.Kind != yaml.MappingNode {
		s, ok := r.text(f, what)
		if t := slices.Index(timeNames[:], s); t >= 0 {
			e.Time[t] = e.Value
		} else if ok {
			r.fail(f.line, "%s: %s is nothing to wait for: %s", what, quote(s), r.hint(s, "use one of ", timeNames[:]))
		}
		return
	}
	sum := new(big.Rat)
	for _, part := range r.fields(f.value, what+": ", timeNames[:]) {
		s, ok := r.text(part, what+": "+part.name)
		if !ok {
			return
		}
		v := r.value(part.line, what+": "+part.name, s)
		if v == nil {
			return
		}
		e.Time[slices.Index(timeNames[:], part.name)] = s
		sum.Add(sum, v)
	}
	if value != nil && sum.Cmp(value) != 0 {
		r.fail(f.line, "%s: the parts make %s, and the value is %s: they must add up to it", what, trimmed(sum, 6), e.Value)
	}
}

// trimmed is x in decimal with at most so many places.
func trimmed(x *big.Rat, places int) string {
	s := x.FloatString(places)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
