package sim

import (
	"fmt"
	"math"
	"time"
)

// Time is a moment of virtual time, or a span of it, in picoseconds. The run
// begins at 0. A picosecond is fine enough for one bit at 100 Gbit/s (10 ps),
// and an int64 of them lasts 106 days.
type Time int64

// Spans of virtual time.
const (
	Picosecond  Time = 1
	Nanosecond       = 1000 * Picosecond
	Microsecond      = 1000 * Nanosecond
	Millisecond      = 1000 * Microsecond
	Second           = 1000 * Millisecond
)

// Never is later than every event: a timer armed for Never does not fire.
const Never Time = math.MaxInt64

// FromDuration converts a wall-clock span to virtual time. Spans beyond 106
// days give Never, or -Never before the beginning.
func FromDuration(d time.Duration) Time {
	switch {
	case d > time.Duration(Never/Nanosecond):
		return Never
	case d < -time.Duration(Never/Nanosecond):
		return -Never
	}
	return Time(d) * Nanosecond
}

// Nanoseconds is t in whole nanoseconds, rounded down.
func (t Time) Nanoseconds() int64 {
	n := int64(t / Nanosecond)
	if t < 0 && t%Nanosecond != 0 {
		n--
	}
	return n
}

// String prints t in the largest unit that leaves a whole part, with at most
// three decimals: "12.345us".
func (t Time) String() string {
	switch {
	case t == Never:
		return "never"
	case t <= -Never: // the earliest time has no opposite
		return "-never"
	case t < 0:
		return "-" + (-t).String()
	case t < Nanosecond:
		return fmt.Sprintf("%dps", int64(t))
	case t < Microsecond:
		return decimals(t, Nanosecond, "ns")
	case t < Millisecond:
		return decimals(t, Microsecond, "us")
	case t < Second:
		return decimals(t, Millisecond, "ms")
	}
	return decimals(t, Second, "s")
}

func decimals(t, unit Time, name string) string {
	whole, frac := t/unit, t%unit*1000/unit
	return fmt.Sprintf("%d.%03d%s", int64(whole), int64(frac), name)
}
