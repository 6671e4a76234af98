package cost

import (
	"math/big"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var entryKeys = []string{"value", "unit", "time", "source", "status", "note"}

// entry reads the price of one operation.
func (r *reader) entry(o Op, f field) {
	name := o.String()
	if f.value.Kind != yaml.MappingNode {
		hint := "write {value: 350, unit: ns, source: S1, status: READ}"
		if f.value.Kind == yaml.AliasNode {
			hint = noMixing
		}
		r.fail(f.line, "%s: the price is %s: %s", name, kind(f.value), hint)
		return
	}
	fields := r.fields(f.value, name+": ", entryKeys)
	e, line := Entry{Op: o}, map[string]int{}
	complete := true
	for _, need := range []struct {
		key  string
		into *string
		hint string
	}{
		{"value", &e.Value, "give the price as decimal text above zero"},
		{"unit", &e.Unit, "use " + unitsFor(o)},
		{"source", &e.Source, "name one of the book's sources, or none for a guess"},
		{"status", (*string)(&e.Status), "one of " + statusNames()},
	} {
		g, ok := find(fields, need.key)
		if !ok {
			r.fail(f.line, "%s: no %s: %s", name, need.key, need.hint)
		} else {
			line[need.key] = g.line
			*need.into, ok = r.text(g, name+": "+need.key)
		}
		complete = complete && ok
	}
	if g, ok := find(fields, "note"); ok {
		e.Note, _ = r.text(g, name+": note")
	}
	if !complete {
		return
	}
	okStatus := r.status(&e, f.line, line["status"])
	r.source(e, line["source"])
	value := r.value(line["value"], name, e.Value)
	if g, ok := find(fields, "time"); ok {
		r.times(&e, g, value)
	}
	if okStatus && value != nil && r.book.Hz != 0 {
		r.book.prices[o] = r.price(e, value, line["value"], line["unit"])
	}
	r.book.Entries[o] = e
}

// status checks how far the entry says it can be trusted, and that its note says
// what that status asks for.
func (r *reader) status(e *Entry, line, statusLine int) bool {
	i := slices.IndexFunc(statuses[:], func(s statusInfo) bool { return s.status == e.Status })
	if i < 0 {
		r.fail(statusLine, "%s: unknown status %s: one of %s", e.Op, quote(string(e.Status)), statusNames())
		e.Status = ""
		return false
	}
	if s := statuses[i]; s.note != "" && e.Note == "" {
		r.fail(line, "%s: no note: a price that is %s needs one that gives %s", e.Op, s.status, s.note)
	}
	return true
}

// source checks that the entry's source is listed, and that a measured price has
// one. Without a list, which is an error of its own, no source is looked up.
func (r *reader) source(e Entry, line int) {
	_, known := r.book.Sources[e.Source]
	switch {
	case e.Source == noSource && e.Status.Calibrated():
		r.fail(line, "%s: source %s: a price that is %s has one; name it, or call the price %s", e.Op, noSource, e.Status, Assumed)
	case e.Source != noSource && !known && r.book.Sources != nil:
		r.fail(line, "%s: source %s is not in this book's list of sources: add it there", e.Op, quote(e.Source))
	}
}

// value is the number that a price's text says, exactly.
func (r *reader) value(line int, name, s string) *big.Rat {
	abs := strings.TrimPrefix(s, "-")
	whole, frac, point := strings.Cut(abs, ".")
	isNumber := len(s) <= maxValueChars && whole != "" && (frac != "") == point &&
		strings.Trim(whole+frac, "0123456789") == ""
	v, ok := new(big.Rat), false
	if isNumber {
		v, ok = v.SetString(s)
	}
	switch {
	case !ok:
		r.fail(line, "%s: value %s is not a number: write decimal text of at most %d characters, like 350 or 0.026", name, quote(s), maxValueChars)
	case v.Sign() < 0:
		r.fail(line, "%s: value %s is negative: a price is above zero", name, s)
	case v.Sign() == 0:
		r.fail(line, "%s: value %s: nothing is free; give a price above zero, and status %s if it is a guess", name, s, Assumed)
	default:
		return v
	}
	return nil
}

// A priceUnit is one of the units that a price can have.
type priceUnit struct {
	name    string
	time    bool // in ns, else in cycles
	perByte bool
}

var priceUnits = [...]priceUnit{
	{"cyc", false, false},
	{"ns", true, false},
	{"cyc/B", false, true},
	{"ns/B", true, true},
}

// unitsFor lists the units that a price of o can have.
func unitsFor(o Op) string {
	switch {
	case o.Device() && o.Bytes():
		return "ns/B"
	case o.Device():
		return "ns"
	case o.Bytes():
		return "cyc/B or ns/B"
	}
	return "cyc or ns"
}

func statusNames() string {
	var names []string
	for _, s := range statuses {
		names = append(names, string(s.status))
	}
	return strings.Join(names, ", ")
}

// unit finds the entry's unit and checks that the operation can be priced in it.
func (r *reader) unit(e Entry, line int) (u priceUnit, ok bool) {
	o := e.Op
	i := slices.IndexFunc(priceUnits[:], func(u priceUnit) bool { return u.name == e.Unit })
	if i < 0 {
		r.fail(line, "%s: unknown unit %s: use %s", o, quote(e.Unit), unitsFor(o))
		return u, false
	}
	u = priceUnits[i]
	switch {
	case o.Device() && !u.time:
		r.fail(line, "%s: unit %s: the device does this, not the CPU, so it is priced in time: use %s", o, u.name, unitsFor(o))
	case u.perByte && !o.Bytes():
		r.fail(line, "%s: unit %s: this operation moves no bytes: use %s", o, u.name, unitsFor(o))
	case !u.perByte && o.Bytes():
		r.fail(line, "%s: unit %s: this operation moves bytes and is priced by the byte: use %s", o, u.name, unitsFor(o))
	default:
		return u, true
	}
	return u, false
}

// count is the price of an operation in a book that only counts.
func (r *reader) count(e Entry, value *big.Rat, line int) price {
	if e.Unit != "cyc" || value.Cmp(big.NewRat(1, 1)) != 0 {
		r.fail(line, "%s: %s %s: an entry that is %s has the value 1 and the unit cyc", e.Op, e.Value, quote(e.Unit), Counting)
		return price{}
	}
	p := price{milliEach: 1000}
	if e.Op.Device() {
		p.psEach = round(big.NewRat(1e12, int64(r.book.Hz)))
	}
	return p
}

// price turns an entry into the coins of the two kinds of accounts.
func (r *reader) price(e Entry, value *big.Rat, valueLine, unitLine int) price {
	if e.Status == Counting {
		return r.count(e, value, valueLine)
	}
	u, ok := r.unit(e, unitLine)
	if !ok {
		return price{}
	}
	o := e.Op

	// One unit in ps, and the price in the payer's ticks.
	ps := big.NewRat(1000, 1)
	if !u.time {
		ps = big.NewRat(1e12, int64(r.book.Hz))
	}
	ps.Mul(ps, value)
	ticks, coin := new(big.Rat).Set(ps), "picosecond"
	if !o.Device() {
		ticks.Mul(ticks, big.NewRat(int64(r.book.Hz), 1e9))
		coin = "thousandth of a cycle"
	}
	most, limit := int64(maxEachPs), "1 ms"
	if u.perByte {
		most, limit = maxPerBytePs, "1 us a byte"
	}
	if ps.Cmp(big.NewRat(most, 1)) > 0 {
		r.fail(valueLine, "%s: value %s %s is more than %s, and no operation takes so long: check the unit", o, e.Value, e.Unit, limit)
		return price{}
	}
	if round(ticks) == 0 {
		r.fail(valueLine, "%s: value %s %s rounds to zero: prices are kept to the nearest %s", o, e.Value, e.Unit, coin)
		return price{}
	}
	return priceOf(o, u.perByte, ticks)
}

// round is x to the nearest whole number, halves up. x is not negative and small.
func round(x *big.Rat) uint64 {
	twice := new(big.Int).Lsh(x.Num(), 1)
	twice.Add(twice, x.Denom())
	return twice.Quo(twice, new(big.Int).Lsh(x.Denom(), 1)).Uint64()
}
