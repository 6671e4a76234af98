package cost

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A slowAccount remembers every charge and adds nothing up.
type slowAccount struct {
	device  bool
	charges []slowCharge
}

type slowCharge struct {
	step            Step
	n, bytes, extra uint64
}

// charge puts the same random charge on both accounts.
func charge(r *rand.Rand, fast *Account, slow *slowAccount) {
	c := slowCharge{step: Step(r.IntN(int(NumSteps))), n: r.Uint64N(5)}
	switch r.IntN(5) {
	case 0:
		fast.Charge(c.step, c.n)
	case 1:
		c.bytes = r.Uint64N(9217)
		fast.ChargeBytes(c.step, c.n, c.bytes)
	case 2:
		c.n, c.extra = 1, r.Uint64N(1_000_000)
		fast.ChargeTicks(c.step, c.extra)
	case 3:
		c.n = 1
		fast.Once(c.step)
	case 4:
		other := Step(r.IntN(int(NumSteps)))
		fast.ChargeEach(c.n, []Step{c.step, other})
		slow.charges = append(slow.charges, slowCharge{step: other, n: c.n})
	}
	slow.charges = append(slow.charges, c)
}

// slowLine is one operation of one stage, with exact prices.
type slowLine struct {
	count, bytes uint64
	milli, ps    *big.Int
}

// slowBill adds charges up one by one from the table of steps and the book's
// prices, in numbers without end.
func slowBill(book *Book, accounts ...*slowAccount) (lines [NumStages][NumOps]slowLine, ticks []*big.Int) {
	for s := range lines {
		for o := range lines[s] {
			lines[s][o].milli, lines[s][o].ps = new(big.Int), new(big.Int)
		}
	}
	add := func(to *big.Int, n, price uint64) *big.Int {
		p := new(big.Int).Mul(new(big.Int).SetUint64(n), new(big.Int).SetUint64(price))
		to.Add(to, p)
		return p
	}
	for _, a := range accounts {
		total := new(big.Int)
		for _, c := range a.charges {
			for i, u := range c.step.Uses() {
				l := &lines[c.step.Stage()][u.Op]
				milli, milliB := book.Cycles(u.Op)
				ps, psB := book.Picoseconds(u.Op)
				n := c.n * uint64(u.N)
				l.count += n
				cycles, time := add(l.milli, n, milli), add(l.ps, n, ps)
				if i == 0 {
					l.bytes += c.bytes
					cycles.Add(cycles, add(l.milli, c.bytes, milliB))
					time.Add(time, add(l.ps, c.bytes, psB))
					if a.device {
						time.Add(time, add(l.ps, c.extra, 1))
					} else {
						cycles.Add(cycles, add(l.milli, c.extra, 1))
					}
				}
				if a.device {
					total.Add(total, time)
				} else {
					total.Add(total, cycles)
				}
			}
		}
		ticks = append(ticks, total)
	}
	return lines, ticks
}

func TestTheBillAddsUp(t *testing.T) {
	for _, name := range Books() {
		book, err := Open(name)
		require.NoError(t, err)
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 0))
			fast := []*Account{NewAccount("nic", book, true)}
			slow := []*slowAccount{{device: true}}
			for i := range r.IntN(5) {
				fast = append(fast, NewAccount(fmt.Sprintf("cpu%d", i), book, false))
				slow = append(slow, &slowAccount{})
			}
			for range 500 {
				i := r.IntN(len(fast))
				charge(r, fast[i], slow[i])
			}
			checkBill(t, book, fast, slow)
		}
	}
}

func checkBill(t *testing.T, book *Book, fast []*Account, slow []*slowAccount) {
	t.Helper()
	lines, ticks := slowBill(book, slow...)
	for i, a := range fast {
		if a.Ticks() != ticks[i].Uint64() || *a.Meter() != a.Ticks() {
			t.Fatalf("%s, %s: the meter says %d, charge by charge %v", book.Name, a.Name(), a.Ticks(), ticks[i])
		}
		var bySteps uint64
		for s := range NumSteps {
			l := a.Line(s)
			bySteps += a.Price(s, l.Count, l.Bytes) + l.Extra
		}
		if bySteps != a.Ticks() {
			t.Fatalf("%s, %s: the meter says %d, step by step %d", book.Name, a.Name(), a.Ticks(), bySteps)
		}
	}

	b := Sum(book, fast...)
	var total, counts uint64
	for s := range NumStages {
		var stage uint64
		for o := range NumOps {
			got, want := b.Ops[s][o], lines[s][o]
			if got != (OpLine{want.count, want.bytes, want.milli.Uint64(), want.ps.Uint64()}) {
				t.Fatalf("%s, %v %v: got %+v, want %+v", book.Name, s, o, got, want)
			}
			stage += got.Cycles()
		}
		require.Equal(t, stage, b.StageCycles(s))
		total += stage
	}
	require.Equal(t, total, b.Cycles())
	for o := range NumOps {
		var n uint64
		for s := range NumStages {
			n += lines[s][o].count
		}
		require.Equal(t, n, b.Count(o))
		counts += n
	}
	require.NotZero(t, counts)

	// The shares hold the same lines, and their cycles add up to the bill's but
	// for what was rounded.
	require.Len(t, b.CPUs, len(fast))
	var shared [NumStages][NumOps]OpLine
	var cycles uint64
	for i, share := range b.CPUs {
		require.Equal(t, fast[i].Name(), share.Name)
		require.Equal(t, fast[i].Device(), share.Device)
		for s := range NumStages {
			for o := range NumOps {
				l := share.Ops[s][o]
				shared[s][o].Count += l.Count
				shared[s][o].Bytes += l.Bytes
				shared[s][o].MilliCycles += l.MilliCycles
				shared[s][o].Picoseconds += l.Picoseconds
			}
		}
		cycles += share.Cycles
	}
	require.Equal(t, b.Ops, shared)
	most := int64(NumStages) * int64(NumOps) * int64(len(fast)+1) / 2
	require.InDelta(t, float64(total), float64(cycles), float64(most))
}

func TestLineIsCountTimesPrice(t *testing.T) {
	book, err := Open("linux-xeon")
	require.NoError(t, err)
	a := NewAccount("cpu0", book, false)
	a.Charge(IgbMsixRing, 3)
	a.ChargeBytes(TunPutUser, 2, 3000)
	a.Charge(BrForward, 10)
	b := Sum(book, a)
	require.Equal(t, OpLine{Count: 3, MilliCycles: 3 * 1_260_000}, b.Ops[IRQ][HardIRQ])
	require.Equal(t, uint64(3780), b.Ops[IRQ][HardIRQ].Cycles())
	require.Equal(t, OpLine{Count: 2, Bytes: 3000, MilliCycles: 3000 * 94}, b.Ops[Syscall][CopyToUser])
	require.Equal(t, uint64(282), b.Ops[Syscall][CopyToUser].Cycles())
	require.Equal(t, uint64(40), b.Ops[Bridge][Call].Count, "four calls each")
	copies, bytes := b.Copied()
	require.Equal(t, uint64(2), copies)
	require.Equal(t, uint64(3000), bytes)
}

func TestGuessesOnTheBillAreKnown(t *testing.T) {
	book, err := Open("linux-xeon")
	require.NoError(t, err)
	a := NewAccount("cpu0", book, false)
	a.Charge(IgbMsixRing, 1) // DERIVED
	require.Zero(t, Sum(book, a).Uncalibrated())
	a.Charge(BrFdbFind, 10)    // ASSUMED, 56 cycles
	a.ChargeTicks(GuestRun, 0) // ASSUMED, 4.68
	require.Equal(t, uint64(565), Sum(book, a).Uncalibrated())

	u := NewAccount("cpu0", Unit(), false)
	u.Charge(BrForward, 3)
	require.Equal(t, Sum(Unit(), u).Cycles(), Sum(Unit(), u).Uncalibrated(), "counting is no price")
}

func TestUnitBookCounts(t *testing.T) {
	a, nic := NewAccount("cpu0", Unit(), false), NewAccount("nic", Unit(), true)
	for s := range NumSteps {
		if s.Stage() == NIC {
			nic.ChargeBytes(s, 7, 1500)
		} else {
			a.ChargeBytes(s, 7, 1500)
		}
	}
	b := Sum(Unit(), nic, a)
	var ops uint64
	for o := range NumOps {
		ops += b.Count(o)
	}
	require.Equal(t, ops, b.Cycles(), "a cycle an operation, and nothing for bytes")
}

func TestDeviceWorkCostsTimeAndNoCycles(t *testing.T) {
	book, err := Open("linux-xeon")
	require.NoError(t, err)
	nic := NewAccount("nic", book, true)
	nic.ChargeBytes(DevRxDMA, 1, 1500)
	nic.Charge(DevTLP, 6)
	nic.ChargeTicks(DevMSIX, 1000)
	b := Sum(book, nic)
	require.Zero(t, b.Cycles())
	require.Equal(t, uint64(1500*138), b.Ops[NIC][DMAWrite].Picoseconds)
	require.Equal(t, uint64(7*3300), b.Ops[NIC][TLP].Picoseconds)
	require.Equal(t, uint64(550+1000), b.Ops[NIC][MSIX].Picoseconds)
	require.Equal(t, nic.Ticks(), uint64(1500*138+7*3300+550+1000))
}

func TestFramesAreCountedByStage(t *testing.T) {
	a, b := NewAccount("cpu0", Unit(), false), NewAccount("cpu1", Unit(), false)
	a.Frames(Bridge, 3)
	b.Frames(Bridge, 4)
	b.Frames(VM, 1)
	require.Equal(t, uint64(3), a.FramesAt(Bridge))
	require.Equal(t, [NumStages]uint64{Bridge: 7, VM: 1}, Sum(Unit(), a, b).Frames)
}

func TestCyclesAreRoundedToTheNearest(t *testing.T) {
	for milli, want := range map[uint64]uint64{0: 0, 499: 0, 500: 1, 1499: 1, 1500: 2} {
		require.Equal(t, want, OpLine{MilliCycles: milli}.Cycles(), milli)
	}
}

func TestEveryStepSaysWhatItIs(t *testing.T) {
	var used [NumOps]bool
	for s := range NumSteps {
		if s.String() == "" || s.Does() == "" || len(s.Uses()) == 0 || s.Stage() >= NumStages {
			t.Errorf("step %d: name %q, does %q, uses %v, stage %v", s, s, s.Does(), s.Uses(), s.Stage())
		}
		seen := map[Op]bool{}
		for i, u := range s.Uses() {
			used[u.Op] = true
			if u.N == 0 || seen[u.Op] {
				t.Errorf("%v uses %v %d times, or lists it twice", s, u.Op, u.N)
			}
			if u.Op.Bytes() && i > 0 {
				t.Errorf("%v: the bytes of %v are not charged: only the first operation's are", s, u.Op)
			}
			if u.Op.Device() != (s.Stage() == NIC) {
				t.Errorf("%v of stage %v is paid by the wrong purse: %v", s, s.Stage(), u.Op)
			}
			seen[u.Op] = true
		}
	}
	var idle []Op
	for o := range NumOps {
		if !used[o] {
			idle = append(idle, o)
		}
	}
	require.Empty(t, idle, "operations that no step does")
	require.Equal(t, "step?", NumSteps.String())
}

func TestEveryOperationHasANameOfItsOwn(t *testing.T) {
	seen := map[string]Op{}
	for o := range NumOps {
		name := o.String()
		if other, ok := seen[name]; ok || name == "" || o.Does() == "" || !isID(name) {
			t.Errorf("operation %d: name %q, does %q, taken by %d (%v)", o, name, o.Does(), other, ok)
		}
		seen[name] = o
		got, ok := OpByName(name)
		require.True(t, ok)
		require.Equal(t, o, got)
		require.Equal(t, o.Copies(), o == CopyToUser || o == CopyFromUser, name)
		require.Equal(t, o.Device(), o <= MSIX || o == IOTLBWalk, name)
	}
	_, ok := OpByName("")
	require.False(t, ok)
	require.Equal(t, "op?", NumOps.String())
	require.Equal(t, "stage?", NumStages.String())
}

func TestEveryReasonHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumReasons {
		name := r.String()
		if name == "" || r.Says() == "" || seen[name] {
			t.Errorf("reason %d: name %q, says %q, seen %v", r, name, r.Says(), seen[name])
		}
		seen[name] = true
		ours := r == NotDropped || len(name) > 4 && name[:4] == "NIC_" || name[:3] == "RS_"
		if r.Linux() == ours {
			t.Errorf("%s: Linux's %v, by its prefix ours %v", name, r.Linux(), ours)
		}
	}
	require.Equal(t, "REASON?", NumReasons.String())
}

func TestDropsAddUp(t *testing.T) {
	var d Drops
	d.Add(NIC, NICRxNoDesc, 3)
	d.Add(Tap, FullRing, 4)
	d.Add(Bridge, FullRing, 5)
	require.Equal(t, uint64(12), d.Total())
	require.Equal(t, [NumReasons]uint64{NICRxNoDesc: 3, FullRing: 9}, d.ByReason())
}

func TestChargingDoesNotAllocate(t *testing.T) {
	a := NewAccount("cpu0", Unit(), false)
	for name, f := range map[string]func(){
		"Charge":      func() { a.Charge(BrForward, 1) },
		"ChargeBytes": func() { a.ChargeBytes(TunPutUser, 1, 64) },
		"ChargeTicks": func() { a.ChargeTicks(GuestRun, 64) },
		"Frames":      func() { a.Frames(VM, 1) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkCharge(b *testing.B) {
	a := NewAccount("cpu0", Unit(), false)
	for b.Loop() {
		a.Charge(BrForward, 1)
	}
}

func BenchmarkChargeBytes(b *testing.B) {
	a := NewAccount("cpu0", Unit(), false)
	for b.Loop() {
		a.ChargeBytes(TunPutUser, 1, 64)
	}
}

func BenchmarkSum(b *testing.B) {
	a := NewAccount("cpu0", Unit(), false)
	for s := range NumSteps {
		a.Charge(s, 1)
	}
	for b.Loop() {
		Sum(Unit(), a, a, a, a)
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if _, err := Open("linux-xeon"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestBillsOfTwoTimesDifferByWhatWasChargedBetween(t *testing.T) {
	book, err := Open("linux-xeon")
	require.NoError(t, err)
	both, second := NewAccount("cpu0", book, false), NewAccount("cpu0", book, false)
	both.Charge(IgbBuildSkb, 3)
	both.ChargeBytes(TunPutUser, 1, 60)
	both.ChargeTicks(GuestRun, 7)
	first := Sum(book, both)
	for _, a := range []*Account{both, second} {
		a.Charge(IgbBuildSkb, 2)
		a.ChargeBytes(TunPutUser, 2, 1500)
		a.ChargeTicks(GuestRun, 11)
		a.Charge(TunRingRecv, 1)
	}
	want := Sum(book, second)
	want.CPUs = nil
	require.Equal(t, want, Sum(book, both).Since(first))
}
