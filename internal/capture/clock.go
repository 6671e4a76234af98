package capture

import (
	"fmt"
	"math"
	"math/bits"
)

// A clock turns the timestamps of an interface into nanoseconds since 1970: a
// count of units, each a power of ten or of two of a second, and an offset.
// Parts of a nanosecond are dropped.
type clock struct {
	resol  byte   // if_tsresol: the negative exponent, of 2 if the top bit is set, else of 10
	offset int64  // if_tsoffset, in seconds
	perSec uint64 // units in a second; 0 if they do not fit in 64 bits

	// The quick way, for units of whole nanoseconds and counts below limit.
	nano  uint64 // nanoseconds in a unit
	bias  int64  // offset in nanoseconds
	limit uint64 // 0 if there is no quick way
}

func newClock(resol byte, offset int64) clock {
	c := clock{resol: resol, offset: offset}
	exp := resol & 0x7f
	switch {
	case resol&0x80 == 0 && exp <= 19:
		c.perSec = pow10(exp)
	case resol&0x80 != 0 && exp <= 63:
		c.perSec = 1 << exp
	}
	// Four billion seconds are 127 years, more than an offset is used for, and
	// leave as much again for the count.
	if resol <= 9 && offset >= -4e9 && offset <= 4e9 {
		c.nano = pow10(9 - exp)
		c.bias = offset * 1e9
		c.limit = uint64(math.MaxInt64-max(c.bias, 0)) / c.nano
	}
	return c
}

// nanos returns the time of a timestamp, and whether it fits an int64.
func (c *clock) nanos(units uint64) (int64, bool) {
	if units < c.limit {
		return int64(units*c.nano) + c.bias, true
	}
	return c.exact(units)
}

func (c *clock) exact(units uint64) (int64, bool) {
	var sec, nano uint64
	exp := c.resol & 0x7f
	switch {
	case c.perSec != 0:
		sec = units / c.perSec
		hi, lo := bits.Mul64(units%c.perSec, 1e9)
		nano, _ = bits.Div64(hi, lo, c.perSec)
	case c.resol&0x80 != 0: // 2^64 units and more in a second: there is no whole one
		hi, _ := bits.Mul64(units, 1e9)
		nano = hi >> (exp - 64)
	case exp-9 <= 19: // the same, of 10^20 and more
		nano = units / pow10(exp-9)
	}
	// The nanoseconds since 1970 fit if the seconds lie short of the extremes.
	const far = math.MaxInt64/1_000_000_000 - 1
	if sec > math.MaxInt64 || (c.offset > 0 && int64(sec) > math.MaxInt64-c.offset) {
		return 0, false
	}
	s := int64(sec) + c.offset
	if s < -far || s > far {
		return 0, false
	}
	return s*1e9 + int64(nano), true
}

// unit returns the unit in words.
func (c *clock) unit() string {
	base := 10
	if c.resol&0x80 != 0 {
		base = 2
	}
	return fmt.Sprintf("%d^-%d s", base, c.resol&0x7f)
}

// pow10 returns 10^exp, for exp up to 19.
func pow10(exp byte) uint64 {
	p := uint64(1)
	for range exp {
		p *= 10
	}
	return p
}
