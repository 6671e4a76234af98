package cost

// An Entry is one price of a book as its file gives it.
type Entry struct {
	Op     Op
	Value  string // decimal, above zero
	Unit   string // "cyc", "ns", "cyc/B" or "ns/B"
	Time   Parts  // what it waits for; the zero value is the core, of a device the bus
	Source string // an id of the book's list of sources, or "none"
	Status Status
	Note   string
}

// A Status says how far a price can be trusted.
type Status string

// The statuses, from the most to the least trustworthy.
const (
	Read       Status = "READ"     // read in the source itself
	ReadSecond Status = "READ-2"   // another public text quotes the source
	Derived    Status = "DERIVED"  // arithmetic on read numbers; the note has the formula
	Figure     Status = "FIGURE"   // read off a plot
	Assumed    Status = "ASSUMED"  // no published number was found; a named guess
	Counting   Status = "COUNTING" // not a price: for counting only
)

// A statusInfo is what a status asks of its entry.
type statusInfo struct {
	status Status
	note   string // what the note must say; empty where it may be left out
	says   string
}

var statuses = [...]statusInfo{
	{Read, "", "the number was read in the source itself"},
	{ReadSecond, "which text quotes the source", "another public text quotes the source"},
	{Derived, "the formula", "arithmetic on numbers that were read"},
	{Figure, "the reading error", "read off a plot"},
	{Assumed, "the argument for the guess", "no published number was found: a guess"},
	{Counting, "", "not a price: every operation counts one cycle"},
}

// Calibrated says that a measurement stands behind the price. Reports print the
// others as what they are: uncalibrated.
func (s Status) Calibrated() bool {
	switch s {
	case Read, ReadSecond, Derived, Figure:
		return true
	}
	return false
}

// Says explains the status in a few words.
func (s Status) Says() string {
	for _, i := range statuses {
		if i.status == s {
			return i.says
		}
	}
	return ""
}

// A Book is a price list for every operation, all for one kind of machine. It
// is made by Load or Open; it does not change.
type Book struct {
	Name    string
	Title   string
	Hz      uint64 // cycles a second of the CPUs it prices
	Sources map[string]string
	// Machines are the names of the machines that sources measured on, by their ids, as
	// package machine knows them. A source that is not there is as the book's own clock.
	Machines map[string]string
	On       string // the machine it was moved to, "" for none
	Entries  [NumOps]Entry

	prices [NumOps]price
}

// A price in the two coins: thousandths of a cycle for a CPU's work, and
// picoseconds for the time it takes a device. A device's work priced in time
// costs no cycles; priced in cycles, as only a counting book does, it costs both.
type price struct {
	milliEach, milliPerByte uint64
	psEach, psPerByte       uint64
}

type tickPrice struct{ each, perByte uint64 }

// tick is an operation's price in an account's own coin.
func (b *Book) tick(o Op, device bool) tickPrice {
	p := b.prices[o]
	if device {
		return tickPrice{p.psEach, p.psPerByte}
	}
	return tickPrice{p.milliEach, p.milliPerByte}
}

// Cycles is the price of o in thousandths of a CPU cycle, as the bill reckons
// it: each time, and for each byte moved.
func (b *Book) Cycles(o Op) (each, perByte uint64) {
	return b.prices[o].milliEach, b.prices[o].milliPerByte
}

// Picoseconds is the price of o in device time, 0 for work of a CPU.
func (b *Book) Picoseconds(o Op) (each, perByte uint64) {
	return b.prices[o].psEach, b.prices[o].psPerByte
}

// Counts says that the book has no prices: every operation is one cycle.
func (b *Book) Counts() bool { return b.Entries[0].Status == Counting }
