package cost

import (
	"fmt"
	"math/big"
)

// A Place is a machine as far as prices depend on it: its clock, and how long it
// waits for what is not its core.
type Place struct {
	Name string
	Hz   uint64           // cycles a second
	Wait [NumTimes]uint64 // picoseconds of one wait, of TimeBus for 1,000 bytes; 0 is not known
}

// Moved is the book for another machine. Every price is taken apart into what it waits
// for. What the core does keeps its cycles, and so takes time by the clock; a wait for
// a cache, memory or the bus keeps its time, scaled by how long the new machine waits
// for that and how long the one did on which it was measured. A wait that is not known
// of one of them is left as it is.
//
// Measured is the machine of a name that the book has for a source; of a source for
// which it has none, the machine is the book's own clock and no more.
//
// A price that changes is DERIVED from then on, unless it was a guess and so stays
// one; its note says where it came from. A book that only counts has no machine and
// stays as it is.
func (b *Book) Moved(to Place, measured func(machine string) (Place, bool)) (*Book, error) {
	switch {
	case b.Counts():
		return b, nil
	case b.On != "":
		return nil, fmt.Errorf("cost: book %s was moved to %s: it cannot be moved on to %s, since its prices do not say any more where they were measured", b.Name, b.On, to.Name)
	}
	if to.Hz < minHz || to.Hz > maxHz {
		return nil, fmt.Errorf("cost: book %s cannot be moved to %s: a clock of %d Hz is out of range, from 1 MHz to 10 GHz", b.Name, to.Name, to.Hz)
	}
	m := *b
	m.Name, m.On, m.Hz = b.Name+"@"+to.Name, to.Name, to.Hz
	m.Title = b.Title + "; moved to " + to.Name
	for o := range b.Entries {
		e := &b.Entries[o]
		from, ok := Place{Name: b.Name, Hz: b.Hz}, false
		if name := b.machineOf(e.Source); name != "" {
			if from, ok = measured(name); !ok {
				return nil, fmt.Errorf("cost: book %s: there is no machine %s, on which %s is said to have been measured", b.Name, quote(name), e.Source)
			}
		}
		m.Entries[o], m.prices[o] = b.move(e, from, to)
	}
	return &m, nil
}

// machineOf is the name of the machine of a source, "" if the book has none for it.
func (b *Book) machineOf(source string) string { return b.Machines[source] }

// move is one entry on another machine.
func (b *Book) move(e *Entry, from, to Place) (Entry, price) {
	u := unitOf(e.Unit)
	ps := new(big.Rat) // on the new machine
	moved := *e
	moved.Time = Parts{}
	for t, part := range e.parts() {
		if part == nil {
			continue
		}
		p := inPicoseconds(part, u, from.Hz)
		switch t := Time(t); {
		case t == TimeCore:
			p.Mul(p, ratio(from.Hz, to.Hz))
		case from.Wait[t] != 0 && to.Wait[t] != 0:
			p.Mul(p, ratio(to.Wait[t], from.Wait[t]))
		}
		ps.Add(ps, p)
		moved.Time[t] = inUnit(p, e.Op, to.Hz)
	}
	pr := priceOf(e.Op, u.perByte, ticksOf(ps, e.Op, to.Hz))
	if pr == b.prices[e.Op] && to.Hz == b.Hz {
		return *e, pr
	}
	moved.Value, moved.Unit = inUnit(ps, e.Op, to.Hz), unitIn(e.Op)
	moved.Note = fmt.Sprintf("%s %s on %s (%s)", e.Value, e.Unit, from.Name, e.Status)
	if e.Note != "" {
		moved.Note += ": " + e.Note
	}
	if e.Status.Calibrated() {
		moved.Status = Derived
	}
	return moved, pr
}

func ratio(a, b uint64) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
}

// unitOf is a unit by its name, which has been checked.
func unitOf(name string) (u priceUnit) {
	for _, u = range priceUnits {
		if u.name == name {
			break
		}
	}
	return u
}

// inPicoseconds is a value of a unit as time, at a clock.
func inPicoseconds(v *big.Rat, u priceUnit, hz uint64) *big.Rat {
	if u.time {
		return new(big.Rat).Mul(v, big.NewRat(1000, 1))
	}
	return new(big.Rat).Mul(v, ratio(1e12, hz))
}

// ticksOf is a time in the coin of who pays for the operation.
func ticksOf(ps *big.Rat, o Op, hz uint64) *big.Rat {
	if o.Device() {
		return ps
	}
	return new(big.Rat).Mul(ps, ratio(hz, 1e9))
}

// priceOf is a price of so many ticks, rounded, and never nothing.
func priceOf(o Op, perByte bool, ticks *big.Rat) price {
	n := max(round(ticks), 1)
	switch {
	case o.Device() && perByte:
		return price{psPerByte: n}
	case o.Device():
		return price{psEach: n}
	case perByte:
		return price{milliPerByte: n}
	}
	return price{milliEach: n}
}

// unitIn is the unit that moved prices of an operation have: ticks are thousandths of it.
func unitIn(o Op) string {
	unit := "cyc"
	if o.Device() {
		unit = "ns"
	}
	if o.Bytes() {
		unit += "/B"
	}
	return unit
}

// inUnit is a time as a value of that unit.
func inUnit(ps *big.Rat, o Op, hz uint64) string {
	return trimmed(new(big.Rat).Quo(ticksOf(ps, o, hz), big.NewRat(1000, 1)), 3)
}

// With is the book with one operation priced as another book of the same clock has
// it, for a machine that is between the two.
func (b *Book) With(o Op, from *Book) *Book {
	m := *b
	m.Entries[o], m.prices[o] = from.Entries[o], from.prices[o]
	return &m
}
