package cost

// An OpLine is one operation within one stage of a bill.
type OpLine struct {
	Count       uint64
	Bytes       uint64
	MilliCycles uint64 // thousandths of a CPU cycle
	Picoseconds uint64 // device time; 0 for work of a CPU
}

// Cycles is the line's price in whole CPU cycles, rounded to the nearest.
func (l OpLine) Cycles() uint64 { return (l.MilliCycles + 500) / 1000 }

// A Bill is the ledger summed up: what every operation of every stage cost.
type Bill struct {
	Book   *Book
	Frames [NumStages]uint64
	Ops    [NumStages][NumOps]OpLine
	Steps  [NumSteps]Line // the same by function; Extra of CPUs only, in thousandths of a cycle
	CPUs   []CPUShare
}

// A CPUShare is one account's part of the bill. Its Cycles are the sum of its own
// lines as printed, so those of all CPUs together may differ from the bill's by
// half a cycle a line.
type CPUShare struct {
	Name   string
	Device bool
	Ops    [NumStages][NumOps]OpLine
	Cycles uint64
}

// Sum makes the bill of some accounts, all charged by book.
func Sum(book *Book, accounts ...*Account) *Bill {
	b := &Bill{Book: book}
	for _, a := range accounts {
		share := CPUShare{Name: a.name, Device: a.device}
		for st := range a.counts {
			l := a.Line(Step(st))
			b.Steps[st].Count += l.Count
			b.Steps[st].Bytes += l.Bytes
			if !a.device {
				b.Steps[st].Extra += l.Extra
			}
			if l == (Line{}) {
				continue
			}
			book.expand(Step(st), l, a.device, &share.Ops[steps[st].stage])
		}
		for s := range share.Ops {
			b.Frames[s] += a.frames[s] + a.entered(Stage(s))
			for o, l := range share.Ops[s] {
				sum := &b.Ops[s][o]
				sum.Count += l.Count
				sum.Bytes += l.Bytes
				sum.MilliCycles += l.MilliCycles
				sum.Picoseconds += l.Picoseconds
				share.Cycles += l.Cycles()
			}
		}
		b.CPUs = append(b.CPUs, share)
	}
	return b
}

// entries are the steps that a frame takes once on its way into a stage.
var entries = [NumStages][]Step{
	IRQ:     {NapiGroReceive},
	NAPI:    {NapiGroReceive, IgbCleanTxIrq},
	Stack:   {NetifReceiveSkbCore},
	Bridge:  {BrHandleFrame, IPOutput},
	Tap:     {TunNetXmit}, // and what guests write, as Syscall and VM have it, too
	Syscall: {TunRingRecv, TunDoRead},
	Tunnel:  {VxlanRcv, VxlanXmit},
	Pmd:     {EthIgbRecvPkts, RteVhostDequeue},
	Vhost:   {TunRecvmsg, TunSendmsg},
	Guest:   {VirtnetReceiveBuf, VirtnetXmit},
	VM:      {TunRingRecv},
}

// entered is how many frames came into a stage, by the steps they took.
func (a *Account) entered(s Stage) (n uint64) {
	for _, st := range entries[s] {
		n += a.counts[st]
	}
	return n
}

// expand turns a charged step into its operations.
func (b *Book) expand(s Step, l Line, device bool, into *[NumOps]OpLine) {
	for i, u := range steps[s].uses {
		p := b.prices[u.Op]
		n := l.Count * uint64(u.N)
		line := &into[u.Op]
		line.Count += n
		line.MilliCycles += n * p.milliEach
		line.Picoseconds += n * p.psEach
		if i == 0 { // as in NewAccount
			line.Bytes += l.Bytes
			line.MilliCycles += l.Bytes * p.milliPerByte
			line.Picoseconds += l.Bytes * p.psPerByte
			if device {
				line.Picoseconds += l.Extra
			} else {
				line.MilliCycles += l.Extra
			}
		}
	}
}

// StageCycles is the price of a stage: the sum of its lines as printed.
func (b *Bill) StageCycles(s Stage) uint64 {
	var n uint64
	for _, l := range b.Ops[s] {
		n += l.Cycles()
	}
	return n
}

// Cycles is the price of everything: the sum of all lines as printed.
func (b *Bill) Cycles() uint64 {
	var n uint64
	for s := Stage(0); s < NumStages; s++ {
		n += b.StageCycles(s)
	}
	return n
}

// Since is what was charged after the earlier bill of the same accounts. It has no
// CPUs of its own.
func (b *Bill) Since(earlier *Bill) *Bill {
	d := &Bill{Book: b.Book}
	for s := range b.Ops {
		d.Frames[s] = b.Frames[s] - earlier.Frames[s]
		for o, l := range b.Ops[s] {
			e := earlier.Ops[s][o]
			d.Ops[s][o] = OpLine{l.Count - e.Count, l.Bytes - e.Bytes, l.MilliCycles - e.MilliCycles, l.Picoseconds - e.Picoseconds}
		}
	}
	for i, l := range b.Steps {
		e := earlier.Steps[i]
		d.Steps[i] = Line{l.Count - e.Count, l.Bytes - e.Bytes, l.Extra - e.Extra}
	}
	return d
}

// Uncalibrated is the part of Cycles that rests on guesses: lines whose price has
// a status that is not Calibrated.
func (b *Bill) Uncalibrated() uint64 {
	var n uint64
	for s := range b.Ops {
		for o, l := range b.Ops[s] {
			if !b.Book.Entries[o].Status.Calibrated() {
				n += l.Cycles()
			}
		}
	}
	return n
}

// Count is how often an operation was done in all stages together.
func (b *Bill) Count(o Op) uint64 {
	var n uint64
	for s := range b.Ops {
		n += b.Ops[s][o].Count
	}
	return n
}

// Copied is how often the CPU copied payload, and how many bytes.
func (b *Bill) Copied() (copies, bytes uint64) {
	for o := Op(0); o < NumOps; o++ {
		if !o.Copies() {
			continue
		}
		for s := range b.Ops {
			copies += b.Ops[s][o].Count
			bytes += b.Ops[s][o].Bytes
		}
	}
	return copies, bytes
}
