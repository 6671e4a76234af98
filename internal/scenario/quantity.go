package scenario

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// A dim is what a number is a number of: powers of bits and of seconds. The zero
// value is a plain number: frames, cycles, shares. A text is no number.
type dim struct {
	bits, seconds int
	text          bool
}

func (d dim) plus(e dim) dim  { return dim{bits: d.bits + e.bits, seconds: d.seconds + e.seconds} }
func (d dim) minus(e dim) dim { return dim{bits: d.bits - e.bits, seconds: d.seconds - e.seconds} }

var (
	plain    = dim{}
	data     = dim{bits: 1}
	span     = dim{seconds: 1}
	rate     = dim{bits: 1, seconds: -1}
	perSpan  = dim{seconds: -1}
	text     = dim{text: true}
	dimWords = map[dim]string{plain: "a plain number", data: "an amount of data", span: "a span of time", rate: "a rate of data", perSpan: "a number per second", text: "a text"}
)

func (d dim) String() string {
	if w, ok := dimWords[d]; ok {
		return w
	}
	return fmt.Sprintf("bits^%d seconds^%d", d.bits, d.seconds)
}

// A quantity is an exact number, of bits and seconds where it has a dimension, or a
// text, a hash for instance.
type quantity struct {
	n    *big.Rat
	dim  dim
	text string
}

func number(n uint64) quantity { return quantity{n: new(big.Rat).SetUint64(n)} }

// bytes is an amount of data.
func bytes(n uint64) quantity {
	q := number(n)
	return quantity{n: q.n.Mul(q.n, big.NewRat(8, 1)), dim: data}
}

func nanoseconds(n int64) quantity { return quantity{n: big.NewRat(n, 1e9), dim: span} }

// A unit is what stands behind a number.
type unit struct {
	name string
	n    *big.Rat // of the base units
	dim  dim
}

func u(name string, num, denom int64, d dim) unit { return unit{name, big.NewRat(num, denom), d} }

// units are all that a number can have, of each dimension the smallest first.
var units = []unit{
	u("%", 1, 100, plain),
	u("ns", 1, 1e9, span), u("us", 1, 1e6, span), u("µs", 1, 1e6, span), u("ms", 1, 1e3, span), u("s", 1, 1, span),
	u("bit", 1, 1, data), u("kbit", 1e3, 1, data), u("Mbit", 1e6, 1, data), u("Gbit", 1e9, 1, data),
	u("B", 8, 1, data), u("bytes", 8, 1, data), u("kB", 8e3, 1, data), u("KiB", 8<<10, 1, data), u("MB", 8e6, 1, data), u("MiB", 8<<20, 1, data), u("GB", 8e9, 1, data), u("GiB", 8<<30, 1, data),
	u("/s", 1, 1, perSpan),
	u("bit/s", 1, 1, rate), u("kbit/s", 1e3, 1, rate), u("Mbit/s", 1e6, 1, rate), u("Gbit/s", 1e9, 1, rate),
	u("B/s", 8, 1, rate), u("kB/s", 8e3, 1, rate), u("MB/s", 8e6, 1, rate), u("GB/s", 8e9, 1, rate),
}

func unitNamed(name string) (unit, bool) {
	i := slices.IndexFunc(units, func(u unit) bool { return u.name == name })
	if i < 0 {
		return unit{}, false
	}
	return units[i], true
}

func unitNames() []string {
	list := make([]string, len(units))
	for i, u := range units {
		list[i] = u.name
	}
	return list
}

// shown are the units in which a value is shown that nobody asked for another.
var shown = map[dim][]string{
	span: {"ns", "us", "ms", "s"}, data: {"B", "kB", "MB", "GB"},
	rate: {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"}, perSpan: {"/s"},
}

// in is the quantity in a unit, or in the one that suits it if that has another
// dimension: to three decimals, its thousands set apart.
func (q quantity) in(u unit) string { return q.to(u, 3) }

// to is in, to as many decimals as are asked for.
func (q quantity) to(u unit, places int) string {
	if q.dim == text {
		return clip(q.text)
	}
	if q.n == nil {
		return "-"
	}
	if u.n == nil || u.dim != q.dim {
		u = q.suits()
	}
	n := new(big.Rat).Set(q.n)
	if u.n != nil {
		n.Quo(n, u.n)
	}
	s := decimals(n, places)
	switch u.name {
	case "":
		return s
	case "%", "/s":
		return s + u.name
	}
	return s + " " + u.name
}

// suits is the largest unit that leaves a whole part, the zero unit for numbers.
func (q quantity) suits() (best unit) {
	abs := new(big.Rat).Abs(q.n)
	for _, name := range shown[q.dim] {
		u, _ := unitNamed(name)
		if best.n == nil || abs.Cmp(u.n) >= 0 {
			best = u
		}
	}
	return best
}

// decimals writes n to so many decimals, without zeros at its end.
func decimals(n *big.Rat, places int) string {
	s := n.FloatString(places)
	whole, frac, _ := strings.Cut(s, ".")
	frac = strings.TrimRight(frac, "0")
	sign := ""
	if whole[0] == '-' {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if frac != "" {
		whole += "." + frac
	}
	return sign + whole
}

// clip is as much of a text as tells one hash from another.
func clip(s string) string {
	const most = 20
	if r := []rune(s); len(r) > most {
		return string(r[:most-8]) + "…"
	}
	return s
}
