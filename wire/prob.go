package wire

import (
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"strings"
)

// A Prob is a probability in parts per 2^32. The zero value is never.
type Prob uint64

// Always is the probability of what is certain.
const Always Prob = 1 << 32

// Share is the probability of n cases out of so many, rounded to the nearest. It is
// Always where n is more than that, and where there are none.
func Share(n, of uint64) Prob {
	if n >= of {
		return Always
	}
	hi, lo := bits.Mul64(n, uint64(Always))
	lo, carry := bits.Add64(lo, of/2, 0)
	q, _ := bits.Div64(hi+carry, lo, of)
	return Prob(q)
}

// hits draws once.
func (p Prob) hits(r *rand.ChaCha8) bool { return Prob(r.Uint64()>>32) < p }

// String is the probability in percent, with as many decimals as it takes for Parse
// to read the same.
func (p Prob) String() string {
	unit := uint64(1)
	for range 9 {
		n := roundDiv(uint64(p), 100*unit, uint64(Always))
		if Share(n, 100*unit) == p {
			return decimal(n, unit) + "%"
		}
		unit *= 10
	}
	return decimal(roundDiv(uint64(p), 100*unit, uint64(Always)), unit) + "%"
}

// roundDiv is a*b/c to the nearest.
func roundDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	lo, carry := bits.Add64(lo, c/2, 0)
	q, _ := bits.Div64(hi+carry, lo, c)
	return q
}

// decimal is n/unit, a power of ten, without trailing zeros.
func decimal(n, unit uint64) string {
	if unit == 1 {
		return fmt.Sprint(n)
	}
	s := fmt.Sprintf("%d.%0*d", n/unit, len(fmt.Sprint(unit))-1, n%unit)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// parseProb reads a share in percent.
func parseProb(s string) (Prob, bool) {
	num, ok := strings.CutSuffix(s, "%")
	if !ok {
		return 0, false
	}
	r, ok := parseDecimal(num)
	if !ok || r.Cmp(big.NewRat(100, 1)) > 0 {
		return 0, false
	}
	r.Mul(r, big.NewRat(int64(Always), 100))
	r.Add(r, big.NewRat(1, 2))
	return Prob(new(big.Int).Quo(r.Num(), r.Denom()).Uint64()), true
}

// parseDecimal reads digits with at most one point among them, as in 2.5.
func parseDecimal(s string) (*big.Rat, bool) {
	if len(s) > 24 || strings.Trim(s, "0123456789.") != "" || strings.Trim(s, ".") == "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
