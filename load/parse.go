package load

import (
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"

	"ringside/sim"
)

// Parse reads a Spec: SIZES[@RATE][,WORD…].
//
//	SIZES  a length in bytes with FCS; several with + between and weights behind
//	       a colon, as 64:7+594:4+1518; or imix
//	RATE   max, or a number with pps, kpps or mpps; bps, kbps, mbps or gbps (bits of
//	       frames with FCS); or % of what the line carries. Without one, max
//	WORD   flows=N, pick=robin|random|zipf, burst=N, gap=SPAN, poisson
//
// Each word can be given once. A SPAN is a number with ps, ns, us, ms or s.
func Parse(text string) (Spec, error) {
	words := strings.Split(strings.ToLower(text), ",")
	var s Spec
	err := s.parse(words)
	if err == nil {
		if err = s.Check(); err != nil {
			err = fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "load: "))
		}
	}
	if err != nil {
		return Spec{}, fmt.Errorf("load %q: %w", text, err)
	}
	return s, nil
}

// Example is what errors show.
const Example = "64@1mpps,flows=1000,burst=32"

func (s *Spec) parse(words []string) (err error) {
	sizes, rate, hasRate := strings.Cut(words[0], "@")
	if s.Sizes, err = parseSizes(sizes); err != nil {
		return err
	}
	if hasRate {
		if s.Rate, err = ParseRate(rate); err != nil {
			return err
		}
	}
	given := map[string]bool{}
	for _, w := range words[1:] {
		key, value, hasValue := strings.Cut(w, "=")
		if given[key] {
			return fmt.Errorf("%s is given twice", key)
		}
		given[key] = true
		if err := s.word(key, value, hasValue); err != nil {
			return err
		}
	}
	return nil
}

// word reads one word behind the rate.
func (s *Spec) word(key, value string, hasValue bool) (err error) {
	switch key {
	case "flows":
		s.Flows, err = count(value, MaxFlows, "flows=1000")
	case "burst":
		s.Burst, err = count(value, MaxBurst, "burst=32")
	case "gap":
		n, ok := measured(value, spanUnits, uint64(MaxGap))
		if !ok || n == 0 {
			return fmt.Errorf("gap %q: give a span in ps, ns, us, ms or s up to 1000s, as in gap=10us", value)
		}
		s.Gap = sim.Time(n)
	case "pick":
		for i, name := range picks {
			if name == value {
				s.Pick = Pick(i)
				return nil
			}
		}
		return fmt.Errorf("pick %q: flows are picked by robin, random or zipf, as in pick=zipf", value)
	case "poisson":
		if hasValue {
			return fmt.Errorf("poisson takes no value; the rate is its mean, as in 64@1mpps,poisson")
		}
		s.Poisson = true
	default:
		return fmt.Errorf("%q: the words behind sizes and rate are flows, pick, burst, gap and poisson, as in %s", key, Example)
	}
	return err
}

func parseSizes(s string) ([]Size, error) {
	if s == "imix" {
		return append([]Size(nil), IMIX...), nil
	}
	var list []Size
	for _, part := range strings.Split(s, "+") {
		bytes, weight, hasWeight := strings.Cut(part, ":")
		z := Size{Weight: 1}
		var ok bool
		if z.Bytes, ok = whole(bytes, MinSize, MaxSize); !ok {
			return nil, fmt.Errorf("size %q: give bytes with FCS from %d to %d, several with weights, or imix, as in 64, 64:7+594:4+1518 or imix", bytes, MinSize, MaxSize)
		}
		if hasWeight {
			if z.Weight, ok = whole(weight, 1, MaxWeight); !ok {
				return nil, fmt.Errorf("weight %q: give a whole number from 1 to %d, as in 64:7+594:4+1518", weight, MaxWeight)
			}
		}
		if list = append(list, z); len(list) > MaxSizes {
			return nil, fmt.Errorf("more than %d sizes", MaxSizes)
		}
	}
	return list, nil
}

// ParseRate reads a rate as Parse has it.
func ParseRate(s string) (Rate, error) {
	s = strings.ToLower(s)
	if s == "max" {
		return Rate{}, nil
	}
	if n, ok := measured(s, ppsUnits, MaxPPS); ok && n > 0 {
		return Rate{PPS: n}, nil
	}
	if n, ok := measured(s, bpsUnits, MaxBPS); ok && n > 0 {
		return Rate{BPS: n}, nil
	}
	if n, ok := measured(s, []unit{{"%", 1e4}}, 1e6); ok && n > 0 {
		return Rate{PPM: n}, nil
	}
	return Rate{}, fmt.Errorf("rate %q: give max, a number with pps, kpps or mpps up to 1000mpps, with bps, kbps, mbps or gbps up to 1000gbps, or with %% of the line, as in 64@1mpps, imix@5gbps or 64@50%%", s)
}

// A unit is a word behind a number and how many of the smallest it is.
type unit struct {
	name string
	n    uint64
}

var (
	ppsUnits  = []unit{{"mpps", 1e6}, {"kpps", 1e3}, {"pps", 1}}
	bpsUnits  = []unit{{"gbps", 1e9}, {"mbps", 1e6}, {"kbps", 1e3}, {"bps", 1}}
	spanUnits = []unit{{"ms", uint64(sim.Millisecond)}, {"us", uint64(sim.Microsecond)}, {"ns", uint64(sim.Nanosecond)}, {"ps", 1}, {"s", uint64(sim.Second)}}
)

// measured reads a decimal number with a unit that comes to a whole number of the
// smallest, up to most.
func measured(s string, units []unit, most uint64) (uint64, bool) {
	name := strings.TrimLeft(s, "0123456789.")
	num := strings.TrimSuffix(s, name)
	if num == "" || len(num) > 24 || strings.Trim(num, ".") == "" {
		return 0, false
	}
	for _, u := range units {
		if u.name != name {
			continue
		}
		r, ok := new(big.Rat).SetString(num)
		if !ok {
			return 0, false
		}
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(u.n)))
		ok = r.IsInt() && r.Num().IsUint64() && r.Num().Uint64() <= most
		return r.Num().Uint64(), ok
	}
	return 0, false
}

func count(s string, most int, example string) (int, error) {
	n, ok := whole(s, 1, most)
	if !ok {
		return 0, fmt.Errorf("%q: give a whole number from 1 to %d, as in %s", s, most, example)
	}
	return n, nil
}

// whole reads digits and nothing else.
func whole(s string, lo, hi int) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil && int(n) >= lo && int(n) <= hi
}

// unitText is n in the largest unit that leaves a whole part.
func unitText(n uint64, units []unit) string {
	for _, u := range units {
		if n >= u.n {
			return decimal(n, u.n) + u.name
		}
	}
	return fmt.Sprint(n)
}

// percent is millionths as a share in percent.
func percent(ppm uint64) string { return decimal(ppm, 1e4) + "%" }

func spanText(t sim.Time) string {
	for _, u := range []unit{{"s", uint64(sim.Second)}, {"ms", uint64(sim.Millisecond)}, {"us", uint64(sim.Microsecond)}, {"ns", uint64(sim.Nanosecond)}} {
		if uint64(t) >= u.n {
			return decimal(uint64(t), u.n) + u.name
		}
	}
	return fmt.Sprintf("%dps", int64(t))
}

// decimal is n/of, a power of ten, without trailing zeros.
func decimal(n, of uint64) string {
	if of == 1 {
		return fmt.Sprint(n)
	}
	s := fmt.Sprintf("%d.%0*d", n/of, len(fmt.Sprint(of))-1, n%of)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// muldiv is a*b/c with a product of 128 bits; too large a result is the largest.
func muldiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 1<<64 - 1
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}
