package cost

// An Entry is one price of a book as its file gives it.
type Entry struct {
	Op     Op
	Value  string // decimal, above zero
	Unit   string // "cyc", "ns", "cyc/B" or "ns/B"
	Source string // an id of the book's list of sources
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

// A Book is a price list for every operation, all for one kind of machine. It
// is made by Load or is one of Books; it does not change.
type Book struct {
	Name    string
	Title   string
	Hz      uint64 // cycles a second of the CPUs it prices
	Sources map[string]string
	Entries [NumOps]Entry

	prices [NumOps]price
}

// A price in the two coins: thousandths of a cycle for a CPU's work, and
// picoseconds for the time it takes a device. A device's work priced in time
// costs no cycles; priced in cycles it costs both.
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

// Unit returns the counting book: every operation costs one cycle, of 1 ns.
func Unit() *Book {
	b := &Book{Name: "unit", Title: "every operation one cycle, for counting", Hz: 1e9}
	for o := range b.prices {
		b.prices[o].milliEach = 1000
		b.Entries[o] = Entry{Op: Op(o), Value: "1", Unit: "cyc", Source: "none", Status: Counting}
		if Op(o).Device() {
			b.prices[o].psEach = 1000
		}
	}
	return b
}
