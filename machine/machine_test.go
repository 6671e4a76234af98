package machine

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
)

func TestBuiltInMachinesCanBeReadAndSayWhereTheyComeFrom(t *testing.T) {
	for _, name := range Names() {
		m, err := Open(name)
		require.NoError(t, err)
		require.Equal(t, name, m.Name)
		require.NotEmpty(t, m.Title, name)
		require.NotEmpty(t, m.Source, name)
		_, err = m.Book(nil)
		require.NoError(t, err, name)
	}
}

func open(t *testing.T, name string) *Machine {
	t.Helper()
	m, err := Open(name)
	require.NoError(t, err)
	return m
}

func book(t *testing.T, m *Machine) *cost.Book {
	t.Helper()
	b, err := m.Book(nil)
	require.NoError(t, err)
	return b
}

func TestBookNamesMachinesThatAreThere(t *testing.T) {
	for _, name := range cost.Books() {
		b, err := cost.Open(name)
		require.NoError(t, err)
		for id, m := range b.Machines {
			require.NotEmpty(t, b.Sources[id])
			open(t, m)
		}
	}
}

// A wait that is none of the core's does not become shorter with a faster clock, and
// what is the core's becomes so in proportion.
func TestTwiceTheClockHalvesWhatTheCoreDoesAndNothingElse(t *testing.T) {
	slow := open(t, "e5-2620v3")
	fast := *slow
	fast.Name, fast.Hz = "fast", 2*slow.Hz
	a, b := book(t, slow), book(t, &fast)
	for o := range cost.NumOps {
		x, perByteX := a.Cycles(o)
		y, perByteY := b.Cycles(o)
		psX, bytesX := a.Picoseconds(o)
		psY, bytesY := b.Picoseconds(o)
		require.Equal(t, [2]uint64{psX, bytesX}, [2]uint64{psY, bytesY}, "%v: the bus is the same", o)
		x, y = x+perByteX, y+perByteY // one of them is 0
		plain, err := cost.Open("linux-xeon")
		require.NoError(t, err)
		switch time := plain.Entries[o].Time; {
		case time == cost.Parts{} || time[cost.TimeCore] == plain.Entries[o].Value:
			require.Equal(t, x, y, "%v is the core's: as many cycles", o)
		case time[cost.TimeCore] == "":
			require.InDelta(t, 2*x, y, 1, "%v is none of the core's: as long, so twice the cycles", o)
		default:
			require.Greater(t, y, x, "%v", o)
			require.Less(t, y, 2*x, "%v", o)
		}
	}
}

func TestOnTheMachineThatItWasMeasuredOnAPriceIsWhatWasRead(t *testing.T) {
	plain, err := cost.Open("linux-xeon")
	require.NoError(t, err)
	for id, name := range plain.Machines {
		m := open(t, name)
		moved, err := m.Book(plain)
		require.NoError(t, err)
		for o := range cost.NumOps {
			e := plain.Entries[o]
			if e.Source != id || e.Unit != "ns" || o.Device() {
				continue
			}
			ns, ok := new(big.Rat).SetString(e.Value)
			require.True(t, ok)
			want, _ := ns.Mul(ns, big.NewRat(int64(m.Hz), 1e6)).Float64()
			got, _ := moved.Cycles(o)
			require.InDelta(t, want, got, 0.51, "%v on %s", o, name)
		}
	}
}

// With sources that measured on its own machine, a book is moved nowhere: the same
// entries to the tick.
func TestTheSameMachineIsTheSameBook(t *testing.T) {
	plain, err := cost.Open("linux-xeon")
	require.NoError(t, err)
	own := cost.Place{Name: "own", Hz: plain.Hz}
	for t := range own.Wait {
		own.Wait[t] = uint64(1000 * (t + 1))
	}
	moved, err := plain.Moved(own, func(string) (cost.Place, bool) { return own, true })
	require.NoError(t, err)
	require.Equal(t, plain.Entries, moved.Entries)
	for o := range cost.NumOps {
		a, b := plain.Cycles(o)
		c, d := moved.Cycles(o)
		require.Equal(t, [2]uint64{a, b}, [2]uint64{c, d}, "%v", o)
	}
}

func TestABookIsMovedOnce(t *testing.T) {
	a, b := open(t, "e5-2620v3"), open(t, "e5-2690v3")
	moved := book(t, a)
	again, err := a.Book(moved)
	require.NoError(t, err)
	require.Same(t, moved, again)
	_, err = b.Book(moved)
	require.ErrorContains(t, err, "cannot be moved on")
	unit, err := a.Book(cost.Unit())
	require.NoError(t, err)
	require.Same(t, cost.Unit(), unit, "what only counts has no machine")
}

func TestAMovedPriceSaysThatItWasAndStaysAGuessIfItWasOne(t *testing.T) {
	plain, err := cost.Open("linux-xeon")
	require.NoError(t, err)
	moved := book(t, open(t, "e5-2620v3"))
	require.Equal(t, "linux-xeon@e5-2620v3", moved.Name)
	e := moved.Entries[cost.BuildSKB]
	require.Equal(t, cost.Derived, e.Status)
	require.Equal(t, "cyc", e.Unit)
	require.Equal(t, "95.2", e.Value, "23.8 ns at 4.0 GHz")
	require.Contains(t, e.Note, "23.8 ns on i7-6700k (READ)")
	for o := range cost.NumOps {
		if plain.Entries[o].Status == cost.Assumed {
			require.Equal(t, cost.Assumed, moved.Entries[o].Status, "%v", o)
		}
	}
}

func TestMitigationsChooseTheBook(t *testing.T) {
	m := *open(t, "e5-1650v4")
	for _, tt := range []struct {
		mitigations, retpoline bool
		call, syscall          string // books that the prices are from
	}{
		{false, false, plainBook, plainBook},
		{true, true, mitigationBook, mitigationBook},
		{true, false, plainBook, mitigationBook},
		{false, true, mitigationBook, plainBook},
	} {
		m.Mitigations, m.Retpoline = tt.mitigations, tt.retpoline
		b, err := m.base(nil)
		require.NoError(t, err)
		call, err := cost.Open(tt.call)
		require.NoError(t, err)
		sys, err := cost.Open(tt.syscall)
		require.NoError(t, err)
		require.Equal(t, call.Entries[cost.IndirectCall], b.Entries[cost.IndirectCall])
		require.Equal(t, sys.Entries[cost.SyscallEnter], b.Entries[cost.SyscallEnter])
	}
}
