package ringside

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// A Speed is how fast a capture is played. The zero value keeps its own timing.
type Speed struct {
	mode speedMode
	n    uint64 // frames a second, bits a second, or thousandths of the original speed
}

type speedMode uint8

const (
	speedOriginal speedMode = iota
	speedTimes
	speedTop
	speedPPS
	speedMbps
)

// Ways to play a capture.
var (
	OriginalSpeed = Speed{}
	TopSpeed      = Speed{mode: speedTop} // back to back, as fast as the link carries them
)

// PPS plays at a constant rate of n frames a second.
func PPS(n uint64) Speed { return Speed{speedPPS, n} }

// String is the speed as ParseSpeed reads it.
func (s Speed) String() string {
	switch s.mode {
	case speedTimes:
		return "x" + decimal(s.n, 1000)
	case speedTop:
		return "top"
	case speedPPS:
		return fmt.Sprintf("pps=%d", s.n)
	case speedMbps:
		return "mbps=" + decimal(s.n, 1_000_000)
	}
	return "original"
}

// decimal is n/unit, a power of ten, without trailing zeros.
func decimal(n, unit uint64) string {
	s := fmt.Sprintf("%d.%0*d", n/unit, len(fmt.Sprint(unit))-1, n%unit)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// ParseSpeed reads "original", "top", "xN" (N times as fast, down to x0.001),
// "pps=N" (frames a second) or "mbps=N" (megabits of frame bytes a second,
// without preamble, FCS and gap).
func ParseSpeed(s string) (Speed, error) {
	switch {
	case s == "" || s == "original":
		return OriginalSpeed, nil
	case s == "top":
		return TopSpeed, nil
	case strings.HasPrefix(s, "x"):
		return scaled(s, s[1:], speedTimes, 1000)
	case strings.HasPrefix(s, "pps="):
		return scaled(s, s[4:], speedPPS, 1)
	case strings.HasPrefix(s, "mbps="):
		return scaled(s, s[5:], speedMbps, 1_000_000)
	}
	return Speed{}, fmt.Errorf("speed %q: use original, top, xN, pps=N or mbps=N, as in x10, pps=500000 or mbps=2.5", s)
}

// scaled reads a decimal number above zero, times a unit.
func scaled(whole, num string, mode speedMode, unit int64) (Speed, error) {
	r, ok := new(big.Rat).SetString(num)
	if !ok || strings.ContainsAny(num, "/eExXpP_") || len(num) > 24 {
		return Speed{}, fmt.Errorf("speed %q: %q is not a decimal number", whole, num)
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	n := new(big.Int).Div(r.Num(), r.Denom())
	if n.Sign() <= 0 || !n.IsUint64() || n.Uint64() > 1e15 {
		return Speed{}, fmt.Errorf("speed %q: give a number above zero, and not above what any wire carries, as in x10, pps=500000 or mbps=2.5", whole)
	}
	return Speed{mode, n.Uint64()}, nil
}

func (s Speed) check() error {
	if s.mode > speedTop && s.n == 0 {
		return errors.New("replay: a rate of zero frames or bits never ends; give one above zero")
	}
	return nil
}
