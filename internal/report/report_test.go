package report

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/sim"
	"ringside/vm"
)

func replay(t *testing.T, r ringside.Replay, cfg ringside.Config) *ringside.Report {
	t.Helper()
	rep, err := r.Run(cfg, nil)
	require.NoError(t, err)
	return rep
}

func TestEveryOperationHasItsPlaceInTheEquation(t *testing.T) {
	prices, counts := map[string]cost.Op{}, map[string]cost.Op{}
	for o := cost.Op(0); o < cost.NumOps; o++ {
		s := symbols[o]
		require.NotEmpty(t, s.price, o)
		require.NotEmpty(t, s.count, o)
		assert.NotContains(t, prices, s.price, "two operations of one symbol: %v", o)
		assert.NotContains(t, counts, s.count, "two operations of one symbol: %v", o)
		prices[s.price], counts[s.count] = o, o
		assert.Equal(t, o.Device(), s.group == inDevice, "%v", o)
	}
}

// The equation's groups add up to the bill's total, and its terms to the exact
// price of the groups.
func TestEquationIsTheBill(t *testing.T) {
	for _, name := range cost.Books() {
		book, err := cost.Open(name)
		require.NoError(t, err)
		for _, r := range []ringside.Replay{
			{Files: []string{"../../testdata/mix.pcap"}},
			{Files: []string{"../../testdata/jumbo.pcap"}, Program: vm.Slow(3 * sim.Microsecond), Batch: 4},
			{Files: []string{"../../testdata/ping.pcap"}, Program: vm.Reflect, VMs: 1},
		} {
			rep := replay(t, r, ringside.Config{Book: book})
			for _, narrow := range []bool{false, true} {
				sums, exact := equation(rep.Bill, narrow)
				var printed, terms uint64
				for _, s := range sums {
					printed += s.cycles
					terms += s.extra
					for _, tm := range s.terms {
						for _, v := range tm.values {
							terms += tm.n * v
						}
					}
				}
				assert.Equal(t, rep.Totals.Cycles, printed, "%s %s", name, r.Files)
				assert.Equal(t, exact, terms, "%s %s", name, r.Files)
				assert.InDelta(t, float64(exact)/1000, float64(printed), 60, "rounding, half a cycle a line")
			}
		}
	}
}

func TestManyGuestsAndCPUsCollapse(t *testing.T) {
	rep := replay(t, ringside.Replay{Files: []string{"../../testdata/mix.pcap"}, VMs: 1000}, ringside.Config{CPUs: 64})
	var out bytes.Buffer
	require.NoError(t, Write(&out, rep, Page{}))
	assert.Contains(t, out.String(), "… and 990 more")
	assert.Contains(t, out.String(), "… and 54 more")
	assert.Less(t, strings.Count(out.String(), "\n"), 170)
	var received uint64
	for _, v := range rep.VMs {
		received += v.Frames
	}
	assert.Contains(t, out.String(), Comma(received))
}

// A report of a machine that somebody built, without a replay.
func TestMachineWithoutReplayIsReportedToo(t *testing.T) {
	h, err := ringside.New(ringside.Config{Seed: 1})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	var out bytes.Buffer
	require.NoError(t, Write(&out, h.Report(), Page{Columns: 80}))
	assert.Contains(t, out.String(), "Nothing cost a cycle.")
}

func TestLongNamesDoNotBreakThePage(t *testing.T) {
	rep := replay(t, ringside.Replay{Files: []string{"../../testdata/arp.pcap"}}, ringside.Config{})
	rep.Input.File = strings.Repeat("a-very-long-folder/", 40) + "file.pcap"
	rep.VMs[0].Name = strings.Repeat("guest", 30)
	for i := range rep.VMs {
		rep.VMs[i].Frames, rep.VMs[i].Bytes = 1<<63, 1<<63
	}
	for _, columns := range []int{-5, 1, 60, 80, 100, 5000} {
		var out bytes.Buffer
		require.NoError(t, Write(&out, rep, Page{Columns: columns, Bridges: true}))
		for _, l := range strings.Split(out.String(), "\n") {
			assert.LessOrEqual(t, utf8.RuneCountInString(l), max(60, min(columns, 100)), "%q", l)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Comma(0), "0"}, {Comma(999), "999"}, {Comma(1000), "1,000"}, {Comma(1<<64 - 1), "18,446,744,073,709,551,615"},
		{Milli(0), "0"}, {Milli(1), "0.001"}, {Milli(149760), "149.76"}, {Milli(1000000), "1,000"},
		{ratio(614, 822), "0.75"}, {ratio(1, 3), "0.33"}, {ratio(2, 3), "0.67"}, {ratio(5, 0), "-"}, {ratio(1999, 1000), "2.00"},
		{percent(0, 5), "0.0 %"}, {percent(1, 1_000_000), "<0.1 %"}, {percent(1, 3), "33.3 %"}, {percent(5, 5), "100.0 %"}, {percent(5, 0), "0.0 %"},
		{Span(0), "0 ps"}, {Span(1500), "1.5 ns"}, {Span(3 * sim.Second), "3 s"}, {Span(2500 * sim.Microsecond), "2.5 ms"},
		{Count(1, "frame", "frames"), "1 frame"}, {Count(2000, "frame", "frames"), "2,000 frames"},
		{bar(1, 2, 4), "██"}, {bar(0, 2, 4), ""}, {bar(1, 100000, 4), "▏"}, {bar(2, 2, 4), "████"},
		{Fit("abcdef", 4), "abc…"}, {Fit("äöü", 3), "äöü"}, {Fit("abc", 1), "a"}, {Fit("abc", 0), ""},
		{strings.Join(Wrap("one two  three", 7), "|"), "one two|three"}, {strings.Join(Wrap("abcdefgh", 3), "|"), "abc|def|gh"}, {strings.Join(Wrap("", 3), "|"), ""},
	} {
		assert.Equal(t, c.want, c.got)
	}
}

func TestWrappedTextIsTheText(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 500 {
		var words []string
		for range r.Intn(12) {
			words = append(words, strings.Repeat("é", 1+r.Intn(9)))
		}
		text, n := strings.Join(words, " "), 1+r.Intn(30)
		lines := Wrap(text, n)
		for _, l := range lines {
			require.LessOrEqual(t, utf8.RuneCountInString(l), n)
		}
		require.Equal(t, strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(strings.Join(lines, ""), " ", ""), fmt.Sprint(n))
	}
}
