package sweep

import (
	"fmt"
	"math/big"
	"strings"
)

// MaxValues bounds the values of one range.
const MaxValues = 10_000

// units are what may stand behind numbers, by family: a range may begin in one and
// end in another.
var units = []map[string]int64{
	{"ps": 1, "ns": 1e3, "us": 1e6, "ms": 1e9, "s": 1e12},
	{"pps": 1, "kpps": 1e3, "mpps": 1e6},
	{"bps": 1, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9},
	{"G": 1},
	{"%": 1},
}

// ParseValues reads the values of a knob: a list with commas, or a range.
//
//	1,8,32          these
//	0..200us/10     ten steps of the same size: 0, 20us, … 200us
//	1..256*2        each twice the one before: 1, 2, 4, … 256
//
// Numbers without a unit become whole ones, and none is there twice.
func ParseValues(text string) ([]string, error) {
	from, rest, isRange := strings.Cut(text, "..")
	if !isRange {
		return list(text)
	}
	wrong := func(what string) error {
		return fmt.Errorf("range %q: %s, as in 0..200us/10 (ten steps) or 1..256*2 (each twice the one before)", text, what)
	}
	at := strings.LastIndexAny(rest, "/*")
	if at < 0 {
		return nil, wrong("say how many steps there are")
	}
	to, by, geometric := rest[:at], rest[at+1:], rest[at] == '*'
	lo, hi, unit, ok := ends(from, to)
	step, _, okStep := number(by)
	switch {
	case !ok:
		return nil, wrong("give two numbers with units of one kind")
	case lo.Cmp(hi) >= 0:
		return nil, wrong("the second number must be the larger one")
	case !okStep || strings.Trim(by, "0123456789.") != "":
		return nil, wrong("what stands behind / or * is a number")
	}
	var values []*big.Rat
	if geometric {
		if lo.Sign() == 0 || step.Cmp(big.NewRat(1, 1)) <= 0 {
			return nil, wrong("a factor above 1 needs a beginning above 0")
		}
		for v := lo; v.Cmp(hi) <= 0 && len(values) <= MaxValues; {
			values = append(values, v)
			next := new(big.Rat).Mul(v, step).FloatString(9) // or its digits would be without end
			v, _ = new(big.Rat).SetString(next)
		}
	} else {
		if !step.IsInt() || step.Sign() <= 0 || step.Num().Cmp(big.NewInt(MaxValues)) >= 0 {
			return nil, wrong(fmt.Sprintf("there are 1 to %d steps", MaxValues-1))
		}
		n := step.Num().Int64()
		for i := range n + 1 {
			v := new(big.Rat).Sub(hi, lo)
			v.Mul(v, big.NewRat(i, n))
			values = append(values, v.Add(v, lo))
		}
	}
	if len(values) > MaxValues {
		return nil, wrong(fmt.Sprintf("up to %d values are possible", MaxValues))
	}
	return texts(values, unit), nil
}

// list reads values that are named one by one.
func list(text string) ([]string, error) {
	values := strings.Split(text, ",")
	if len(values) > MaxValues {
		return nil, fmt.Errorf("%d values; up to %d are possible", len(values), MaxValues)
	}
	seen := map[string]bool{}
	for i, v := range values {
		values[i] = strings.TrimSpace(v)
		if values[i] == "" {
			return nil, fmt.Errorf("values %q: one of them is empty; give them with commas between, as in 1,8,32, or a range, as in 0..200us/10", text)
		}
		if seen[values[i]] {
			return nil, fmt.Errorf("values %q: %s is there twice", text, values[i])
		}
		seen[values[i]] = true
	}
	return values, nil
}

// ends reads both ends of a range, in the smaller of their units.
func ends(from, to string) (lo, hi *big.Rat, unit string, ok bool) {
	lo, loUnit, ok1 := number(from)
	hi, hiUnit, ok2 := number(to)
	if !ok1 || !ok2 {
		return nil, nil, "", false
	}
	switch {
	case loUnit == hiUnit, lo.Sign() == 0 && loUnit == "":
		return lo, hi, hiUnit, known(hiUnit)
	case loUnit == "":
		return nil, nil, "", false
	}
	for _, family := range units {
		a, b := family[loUnit], family[hiUnit]
		if a == 0 || b == 0 {
			continue
		}
		small, name := a, loUnit
		if b < a {
			small, name = b, hiUnit
		}
		return lo.Mul(lo, big.NewRat(a, small)), hi.Mul(hi, big.NewRat(b, small)), name, true
	}
	return nil, nil, "", false
}

func known(unit string) bool {
	for _, family := range units {
		if family[unit] != 0 {
			return true
		}
	}
	return unit == ""
}

// number takes a decimal number and what stands behind it apart.
func number(s string) (n *big.Rat, unit string, ok bool) {
	unit = strings.TrimLeft(s, "0123456789.")
	num := strings.TrimSuffix(s, unit)
	if num == "" || len(num) > 24 || strings.Trim(num, ".") == "" {
		return nil, "", false
	}
	n, ok = new(big.Rat).SetString(num)
	return n, unit, ok
}

// texts are numbers as flags read them.
func texts(values []*big.Rat, unit string) (list []string) {
	for _, v := range values {
		decimals := 6
		if unit == "" {
			decimals = 0
		}
		s := v.FloatString(decimals)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		if s != "0" {
			s += unit
		}
		if len(list) == 0 || list[len(list)-1] != s {
			list = append(list, s)
		}
	}
	return list
}

// Number is a value as a number of the smallest unit of its kind, and that unit; ok
// is false if it is a word.
func Number(value string) (x float64, unit string, ok bool) {
	n, unit, ok := number(value)
	if !ok || !known(unit) {
		return 0, "", false
	}
	for _, family := range units {
		if m := family[unit]; m != 0 {
			n.Mul(n, big.NewRat(m, 1))
			for name, of := range family {
				if of == 1 {
					unit = name
				}
			}
		}
	}
	x, _ = n.Float64()
	return x, unit, true
}
