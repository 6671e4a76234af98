package scenario

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// values are what names stand for in these tests.
var values = map[string]quantity{
	"a.vms.web.frames": number(500), "drops.FULL_RING": number(0), "http-get.ok": number(99), "zero": number(0),
	"latency.p99": nanoseconds(212_345), "client.throughput": {n: big.NewRat(94_500_000, 1), dim: rate}, "bytes": bytes(1 << 20), "share": {n: big.NewRat(39, 100)},
	"time": nanoseconds(2e9), "sent.sha": {dim: text, text: "ab12"}, "got.sha": {dim: text, text: "ab12"}, "bad.sha": {dim: text, text: "cd"},
}

func lookUp(name string) (quantity, error) {
	if q, ok := values[name]; ok {
		return q, nil
	}
	return quantity{}, fmt.Errorf("there is no %q", name)
}

func TestExpectationsAreJudgedExactly(t *testing.T) {
	for _, c := range []struct {
		text  string
		met   bool
		found string
	}{
		{"a.vms.web.frames == 500", true, "500"},
		{"a.vms.web.frames >= 501", false, "500"},
		{"a.vms.web.frames != 500", false, "500"},
		{"drops.FULL_RING == 0", true, "0"},
		{"http-get.ok < 100", true, "99"},
		{"latency.p99 < 300us", true, "212.345 us"},
		{"latency.p99 < 0.2 ms", false, "0.212 ms"},
		{"latency.p99 == 212345ns", true, "212,345 ns"},
		{"client.throughput > 94 Mbit/s", true, "94.5 Mbit/s"},
		{"client.throughput > 94Mbit/s", true, "94.5 Mbit/s"},
		{"client.throughput == 11_812_500 B/s", true, "11,812,500 B/s"},
		{"bytes == 1 MiB", true, "1 MiB"},
		{"bytes == 8388608 bit", true, "8,388,608 bit"},
		{"latency.p99 == 212.345us + 1/3 * 1ns", false, "latency.p99 = 212.345 us, 212.345 us + 1 / 3 * 1 ns = 212.345333333333 us"},
		{"client.throughput < 94_500_000 bit/s", false, "94,500,000 bit/s"},
		{"time == 2.0000001s", false, "2 s"},
		{"time == 1.9999999s", false, "2 s"},
		{"time + 1ns == 2 s", false, "2.000000001 s"},
		{"share < 40%", true, "39%"},
		{"share < 40 %", true, "39%"},
		{"share == 0.39", true, "0.39"},
		{"98% < http-get.ok / (http-get.ok + 1) <= 1", true, "99%"},
		{"98% < http-get.ok / 100 < 99%", false, "99%"},
		{"bytes / time < 5 Mbit/s", true, "4.194 Mbit/s"},
		{"a.vms.web.frames / time == 250/s", true, "250/s"},
		{"2 * latency.p99 + 1us > 400us", true, "425.69 us"},
		{"http-get.ok - 100 < drops.FULL_RING", true, "http-get.ok - 100 = -1, drops.FULL_RING = 0"},
		{"sent.sha == got.sha", true, "sent.sha = ab12, got.sha = ab12"},
		{"sent.sha == bad.sha", false, "sent.sha = ab12, bad.sha = cd"},
		{"sent.sha != bad.sha", true, "sent.sha = ab12, bad.sha = cd"},
		{"10 - 4 - 3 == 3 + zero", true, "10 - 4 - 3 = 3, 3 + zero = 3"},
	} {
		e, err := parse(c.text)
		require.NoError(t, err, c.text)
		met, found, err := e.judge(lookUp)
		require.NoError(t, err, c.text)
		assert.Equal(t, c.met, met, c.text)
		assert.Equal(t, c.found, found, c.text)
	}
}

func TestABadExpectationIsToldWithItsColumn(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
		says   string
	}{
		{"", 0, "a name or a number is missing at the end"},
		{"zero", 0, "nothing to compare with"},
		{"zero = 1", 5, "to compare write =="},
		{"zero == ", 8, "a name or a number is missing at the end"},
		{"zero == 1 2", 10, `"2" is in the way`},
		{"zero == 1 usec", 10, `there is no unit "usec": did you mean "us"?`},
		{"zero == 5mbit/s", 9, `there is no unit "mbit/s": did you mean "Mbit/s"?`},
		{"zero == 1.2.3", 8, `"1.2.3" is not a number`},
		{"(zero == 1", 6, "a ) is missing for the ( at column 1"},
		{"zero == 1)", 9, `")" is in the way`},
		{"zero & 1", 5, `'&' is no part of an expectation`},
		{"* 2 == zero", 0, `"*" is in the way`},
		{"1 == 1", 0, "nothing that a run could change"},
		{strings.Repeat("zero + ", 40) + "1 == 2", 0, "longer than 200 bytes"},
	} {
		_, err := parse(c.text)
		var s *syntaxError
		require.True(t, errors.As(err, &s), "%q: %v", c.text, err)
		assert.Contains(t, s.text, c.says, c.text)
		assert.Equal(t, c.column, s.column, c.text)
	}
}

func TestWhatCannotBeJudgedIsTold(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
		says   string
	}{
		{"latency.p99 < 5", 12, "latency.p99 is a span of time and 5 is a plain number: they cannot be compared"},
		{"latency.p99 + bytes < 5us", 12, "latency.p99 is a span of time and bytes is an amount of data: they have no sum"},
		{"sent.sha < got.sha", 9, "a text is no number"},
		{"sent.sha + 1 == got.sha", 9, "a text is no number"},
		{"sent.sha == 1", 9, "sent.sha is a text and 1 is a plain number"},
		{"1 < nothing", 4, `there is no "nothing"`},
	} {
		e, err := parse(c.text)
		require.NoError(t, err)
		_, _, err = e.judge(lookUp)
		var s *syntaxError
		require.True(t, errors.As(err, &s), c.text)
		assert.Contains(t, s.text, c.says)
		assert.Equal(t, c.column, s.column, c.text)
	}
	e, err := parse("1 / zero == 1")
	require.NoError(t, err)
	_, _, err = e.judge(lookUp)
	var zero *zeroError
	assert.True(t, errors.As(err, &zero), "%v", err)
}

// randomExpr is a sum of products of what is there, n deep at most.
func randomExpr(r *rand.Rand, n int) string {
	if n == 0 || r.IntN(4) == 0 {
		return []string{"zero", "http-get.ok", "time", "bytes", "3", "1_000", "2.5 us", "40%", "7/s", "1.5 Mbit/s"}[r.IntN(10)]
	}
	s := randomExpr(r, n-1) + " " + []string{"+", "-", "*", "/"}[r.IntN(4)] + " " + randomExpr(r, n-1)
	if r.IntN(2) == 0 {
		s = "(" + s + ")"
	}
	return s
}

// What an expectation prints is itself: the same text again, and the same judgement.
func TestAnExpectationThatIsPrintedIsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		text := randomExpr(r, 3) + " < " + randomExpr(r, 2)
		same(t, text)
	}
}

func same(t *testing.T, text string) {
	t.Helper()
	e, err := parse(text)
	if err != nil {
		var s *syntaxError
		if !errors.As(err, &s) || s.column < 0 || s.column > len(text) {
			t.Fatalf("%q: %v", text, err)
		}
		return
	}
	printed := e.String()
	again, err := parse(printed)
	if err != nil {
		if len(printed) > maxExpr {
			return // it grew by blanks
		}
		t.Fatalf("%q prints %q: %v", text, printed, err)
	}
	if again.String() != printed {
		t.Fatalf("%q prints %q prints %q", text, printed, again)
	}
	met, found, err := e.judge(lookUp)
	met2, found2, err2 := again.judge(lookUp)
	if met != met2 || found != found2 || (err == nil) != (err2 == nil) {
		t.Fatalf("%q is %v %q %v, and printed %q is %v %q %v", text, met, found, err, printed, met2, found2, err2)
	}
}

// FuzzExpect: text is refused with a column in it, or printed and read again is the
// same.
func FuzzExpect(f *testing.F) {
	for _, s := range []string{"zero == 1", "98% < http-get.ok / (zero + 1) <= 1", "time*bytes/3 us>=2.5Mbit/s", "a-b - c == 1/s", "((zero)) < 0", "1µs != time"} {
		f.Add(s)
	}
	f.Fuzz(same)
}
