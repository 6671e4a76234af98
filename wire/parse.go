package wire

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"ringside/sim"
)

// Parse reads a Spec: effects one after another, in words of tc-netem(8).
//
//	delay SPAN [JITTER [distribution uniform|normal] [overtake]]
//	reorder SHARE [gap N]
//	loss [random] SHARE
//	loss gemodel TO-BAD [TO-GOOD [LOSS-IN-BAD [LOSS-IN-GOOD]]]
//	duplicate SHARE
//	corrupt SHARE
//	rate RATE [queue N|SIZE]
//	limit N
//
// A SPAN is a number with ps, ns, us, ms or s; a SHARE one with %; a RATE one with
// bit, kbit, mbit, gbit or tbit, a second; a SIZE one with b, kb, mb or gb, of 1024
// each; N a number of frames. Without more, gemodel is TO-GOOD 100% less TO-BAD,
// LOSS-IN-BAD 100%, LOSS-IN-GOOD 0%.
//
// What stands behind the word rx holds for frames towards the NIC, behind tx for
// those from it, in front of both for all. An effect can be given once for each
// direction. "" does nothing.
func Parse(s string) (Spec, error) {
	p := parser{text: s, words: strings.Fields(strings.ToLower(s))}
	var spec Spec
	p.ways = []*Way{&spec.Rx, &spec.Tx}
	given := [2]map[string]bool{{}, {}}
	which := []int{0, 1}
	for p.err == nil && p.at < len(p.words) {
		word := p.words[p.at]
		switch word {
		case "rx":
			which = []int{0}
		case "tx":
			which = []int{1}
		default:
			p.ways = p.ways[:0]
			for _, i := range which {
				p.ways = append(p.ways, [...]*Way{&spec.Rx, &spec.Tx}[i])
			}
			kind := word
			if word == "loss" && p.next() == "gemodel" {
				kind = "loss gemodel"
			}
			for _, i := range which {
				if given[i][kind] {
					p.wrong("%s is given twice for one direction", kind)
				}
				given[i][kind] = true
			}
			p.effect(word)
			continue
		}
		p.at++
	}
	if p.err == nil {
		if err := spec.Check(); err != nil {
			if spec.Rx == spec.Tx { // which of them does not matter
				_, text, _ := strings.Cut(err.Error(), ": ")
				return Spec{}, fmt.Errorf("link %q: %s", s, text)
			}
			return Spec{}, fmt.Errorf("link %q: %w", s, err)
		}
		return spec, nil
	}
	return Spec{}, p.err
}

// A parser walks over words. Its ways are the directions that the present word is
// about.
type parser struct {
	text  string
	words []string
	at    int
	ways  []*Way
	err   error
}

// next is the word behind the present one, "" at the end.
func (p *parser) next() string {
	if p.at+1 < len(p.words) {
		return p.words[p.at+1]
	}
	return ""
}

// wrong says what is wrong with the present word, or with there being none, once.
func (p *parser) wrong(format string, args ...any) {
	if p.err != nil {
		return
	}
	where := ""
	if p.at < len(p.words) {
		where = strconv.Quote(p.words[p.at])
	}
	if p.at > 0 && p.at <= len(p.words) {
		where = strings.TrimSpace(where + " behind " + strconv.Quote(p.words[p.at-1]))
	}
	p.err = fmt.Errorf("link %q: %s: %s", p.text, where, fmt.Sprintf(format, args...))
}

// effect reads one effect, whose first word is the present one.
func (p *parser) effect(word string) {
	read := map[string]func(){
		"delay": p.delay, "reorder": p.reorder, "loss": p.loss, "duplicate": p.duplicate,
		"corrupt": p.corrupt, "rate": p.rate, "limit": p.limit,
	}[word]
	if p.err != nil {
		return
	}
	if read == nil {
		p.wrong("the words are delay, reorder, loss, duplicate, corrupt, rate and limit, and rx and tx for one direction")
		return
	}
	p.at++
	read()
}

// set puts what was read into every direction that it is for.
func (p *parser) set(f func(*Way)) {
	if p.err == nil {
		for _, w := range p.ways {
			f(w)
		}
	}
}

func (p *parser) delay() {
	const example = "delay 10ms or delay 10ms 2ms"
	d := Delay{Fixed: p.span(example)}
	if p.digit() {
		d.Jitter = p.span(example)
	}
	if p.word("distribution") {
		switch {
		case p.word("normal"):
			d.Normal = true
		case p.word("uniform"):
		default:
			p.wrong("the distributions are uniform and normal, as in delay 10ms 2ms distribution normal")
		}
	}
	d.Overtake = p.word("overtake")
	p.set(func(w *Way) { w.Delay = d })
}

func (p *parser) reorder() {
	r := Reorder{P: p.share("reorder 25%")}
	if p.word("gap") {
		r.Gap = p.count("reorder 25% gap 5")
	}
	p.set(func(w *Way) { w.Reorder = r })
}

func (p *parser) loss() {
	if p.word("gemodel") {
		p.bursts()
		return
	}
	p.word("random")
	loss := p.share("loss 1%, or loss gemodel 1% 10%")
	p.set(func(w *Way) { w.Loss = loss })
}

func (p *parser) bursts() {
	const example = "loss gemodel 1% 10% 70% 0.1%"
	b := Bursts{ToBad: p.share(example), Bad: Always}
	b.ToGood = Always - b.ToBad
	for _, more := range []*Prob{&b.ToGood, &b.Bad, &b.Good} {
		if !p.digit() {
			break
		}
		*more = p.share(example)
	}
	p.set(func(w *Way) { w.Bursts = b })
}

func (p *parser) duplicate() {
	share := p.share("duplicate 0.1%")
	p.set(func(w *Way) { w.Duplicate = share })
}

func (p *parser) corrupt() {
	share := p.share("corrupt 0.1%")
	p.set(func(w *Way) { w.Corrupt = share })
}

func (p *parser) rate() {
	r := Rate{BPS: p.measured(rates, "a rate in bit, kbit, mbit, gbit or tbit a second", MinRate, MaxRate, "rate 100mbit")}
	if p.word("queue") {
		if p.at < len(p.words) && strings.Trim(p.words[p.at], "0123456789") == "" {
			r.Queue.Frames = p.count("rate 100mbit queue 1000")
		} else {
			r.Queue.Bytes = int(p.measured(sizes, "a number of frames, or a size in b, kb, mb or gb", 1, MaxBytes, "rate 100mbit queue 64kb"))
		}
	}
	p.set(func(w *Way) { w.Rate = r })
}

func (p *parser) limit() {
	n := p.count("limit 1000")
	p.set(func(w *Way) { w.Limit = n })
}

// word takes the present word if it is this one.
func (p *parser) word(s string) bool {
	if p.err != nil || p.at == len(p.words) || p.words[p.at] != s {
		return false
	}
	p.at++
	return true
}

// digit says that the present word is a number or begins as one.
func (p *parser) digit() bool {
	return p.at < len(p.words) && strings.ContainsRune("0123456789.+-", rune(p.words[p.at][0]))
}

// take is the present word, "" at the end or after a mistake.
func (p *parser) take() string {
	if p.err != nil || p.at == len(p.words) {
		return ""
	}
	return p.words[p.at]
}

func (p *parser) share(example string) Prob {
	share, ok := parseProb(p.take())
	if !ok {
		p.wrong("give a share from 0%% to 100%%, as in %s", example)
	}
	p.at++
	return share
}

func (p *parser) span(example string) sim.Time {
	return sim.Time(p.measured(spans, "a span in ps, ns, us, ms or s", 0, uint64(MaxDelay), example))
}

func (p *parser) count(example string) int {
	n, err := strconv.ParseUint(p.take(), 10, 32)
	if err != nil || n < 1 || n > MaxFrames {
		p.wrong("give a number from 1 to %d, as in %s", MaxFrames, example)
	}
	p.at++
	return int(n)
}

// measured reads a number with its unit, which must come to a whole number of the
// smallest.
func (p *parser) measured(units []measure, what string, lo, hi uint64, example string) uint64 {
	word := p.take()
	name := strings.TrimLeft(word, "0123456789.")
	var n uint64
	ok := false
	for _, u := range units {
		if u.name != name {
			continue
		}
		r, good := parseDecimal(strings.TrimSuffix(word, name))
		if !good {
			break
		}
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(u.n)))
		if r.IsInt() && r.Num().IsUint64() {
			n = r.Num().Uint64()
			ok = n >= lo && n <= hi
		}
	}
	if !ok {
		last := units[len(units)-1].name
		switch {
		case lo == 0:
			p.wrong("give %s, whole %s up to %s, as in %s", what, last, unit(hi, units), example)
		default:
			p.wrong("give %s, whole %s from %s to %s, as in %s", what, last, unit(lo, units), unit(hi, units), example)
		}
		n = 0
	}
	p.at++
	return n
}
