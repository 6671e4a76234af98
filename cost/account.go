package cost

// A Line is what one step has been charged on one account.
type Line struct {
	Count uint64 // how often it was done
	Bytes uint64 // payload bytes it moved, for steps that move some
	Extra uint64 // ticks charged beside the book's price: a guest's own work
}

// An Account is what one payer owes, a CPU or a device. It is owned by one event
// loop: charging is plain additions. The zero value is not ready; see
// NewAccount.
//
// A CPU's account is kept in thousandths of a cycle, a device's in picoseconds;
// both are called ticks here.
type Account struct {
	meter   uint64 // ticks charged so far; sim.Clock reads it
	each    [NumSteps]uint64
	perByte [NumSteps]uint64
	counts  [NumSteps]uint64 // the parts of the lines
	bytes   [NumSteps]uint64
	extra   [NumSteps]uint64
	frames  [NumStages]uint64
	name    string
	device  bool
}

// NewAccount opens an account named name that is charged by book's prices.
// Device accounts are for the NIC's own work and kept in picoseconds.
func NewAccount(name string, book *Book, device bool) *Account {
	a := &Account{name: name, device: device}
	for s := range steps {
		for i, u := range steps[s].uses {
			p := book.tick(u.Op, device)
			a.each[s] += uint64(u.N) * p.each
			if i == 0 { // the bytes are those of the step's first operation
				a.perByte[s] = p.perByte
			}
		}
	}
	return a
}

// Blank is an account with the same prices and nothing on it.
func (a *Account) Blank() *Account {
	return &Account{each: a.each, perByte: a.perByte, name: a.name, device: a.device}
}

// Charge puts n times the step s on the account.
func (a *Account) Charge(s Step, n uint64) {
	a.counts[s] += n
	a.meter += n * a.each[s]
}

// ChargeEach is Charge of several steps, n times each of them.
func (a *Account) ChargeEach(n uint64, steps []Step) {
	var each uint64
	for _, s := range steps {
		a.counts[s] += n
		each += a.each[s]
	}
	a.meter += n * each
}

// Once is Charge of one step.
func (a *Account) Once(s Step) {
	a.counts[s]++
	a.meter += a.each[s]
}

// ChargeBytes puts n times the step s, which moved so many bytes in all, on the
// account.
func (a *Account) ChargeBytes(s Step, n, bytes uint64) {
	a.counts[s] += n
	a.bytes[s] += bytes
	a.meter += n*a.each[s] + bytes*a.perByte[s]
}

// ChargeTicks puts the step s on the account once, and ticks beside its price.
func (a *Account) ChargeTicks(s Step, ticks uint64) {
	a.counts[s]++
	a.extra[s] += ticks
	a.meter += a.each[s] + ticks
}

// Prolong puts ticks on the account for the step s, which was charged before and
// goes on.
func (a *Account) Prolong(s Step, ticks uint64) {
	a.extra[s] += ticks
	a.meter += ticks
}

// Frames says that n frames came through the stage s, where no step says so.
func (a *Account) Frames(s Stage, n uint64) { a.frames[s] += n }

// FramesAt is how many frames came through the stage s.
func (a *Account) FramesAt(s Stage) uint64 { return a.frames[s] + a.entered(s) }

// Price is what n times the step s with so many bytes costs, in ticks.
func (a *Account) Price(s Step, n, bytes uint64) uint64 {
	return n*a.each[s] + bytes*a.perByte[s]
}

// Meter is where the account counts its ticks. Only the account may write it.
func (a *Account) Meter() *uint64 { return &a.meter }

// Ticks is everything charged so far.
func (a *Account) Ticks() uint64 { return a.meter }

// Line is what the step s has been charged.
func (a *Account) Line(s Step) Line { return Line{a.counts[s], a.bytes[s], a.extra[s]} }

// Bytes is how many the step s has moved.
func (a *Account) Bytes(s Step) uint64 { return a.bytes[s] }

// Count is how often the step s was done.
func (a *Account) Count(s Step) uint64 { return a.counts[s] }

// Name is the payer's name: "cpu0", "nic".
func (a *Account) Name() string { return a.name }

// Device says that a device pays, in picoseconds.
func (a *Account) Device() bool { return a.device }
