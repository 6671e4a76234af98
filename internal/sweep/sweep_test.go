package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/internal/sweep"
)

func TestRangesAreWhatTheySay(t *testing.T) {
	for text, want := range map[string]string{
		"0..200us/10":          "0 20us 40us 60us 80us 100us 120us 140us 160us 180us 200us",
		"1..256*2":             "1 2 4 8 16 32 64 128 256",
		"1..250*2":             "1 2 4 8 16 32 64 128",
		"8,1,32":               "8 1 32",
		"on, off":              "on off",
		"100kpps..1mpps/3":     "100kpps 400kpps 700kpps 1000kpps",
		"1us..2ms/1":           "1us 2000us",
		"0.5us..1us/2":         "0.5us 0.75us 1us",
		"1..2/4":               "1 2",
		"1..64/2":              "1 33 64",
		"10%..100%/3":          "10% 40% 70% 100%",
		"1ms..100ms*10":        "1ms 10ms 100ms",
		"1..3*1.5":             "1 2", // 1.5 is 2 as a whole number, and 2.25 is, too
		"imix":                 "imix",
		"64:7+594:4+1518,9000": "64:7+594:4+1518 9000",
	} {
		got, err := sweep.ParseValues(text)
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, strings.Join(got, " "), text)
		}
	}
}

func TestWrongRangesAreToldWhatIsPossible(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "one of them is empty",
		"1,,2":               "one of them is empty",
		"1,2,1":              "1 is there twice",
		"1..10":              "say how many steps",
		"10..1/2":            "must be the larger one",
		"1..1/2":             "must be the larger one",
		"1us..5pps/2":        "units of one kind",
		"1..5us/2":           "units of one kind",
		"a..b/2":             "units of one kind",
		"1parsec..2parsec/2": "units of one kind",
		"0..8*2":             "needs a beginning above 0",
		"1..8*1":             "a factor above 1",
		"1..8/0":             "steps",
		"1..8/2.5":           "steps",
		"1..8/10000":         "steps",
		"1..8/x":             "is a number",
		"1..8/2us":           "is a number",
		"1..99999*1.0001":    "up to 10000 values",
	} {
		_, err := sweep.ParseValues(text)
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), want, text)
		}
	}
}

func FuzzParseValues(f *testing.F) {
	for _, s := range []string{"0..200us/10", "1..256*2", "1,8,32", "100kpps..5mpps/20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := sweep.ParseValues(text)
		if err != nil {
			return
		}
		if len(list) == 0 || len(list) > sweep.MaxValues {
			t.Fatalf("%q: %d values", text, len(list))
		}
		if !strings.Contains(text, "..") {
			return
		}
		last := -1.0
		for _, v := range list {
			x, _, ok := sweep.Number(v)
			if !ok || x < last {
				t.Fatalf("%q: %q after %v", text, v, last)
			}
			last = x
		}
	})
}

func plan() *sweep.Plan {
	return &sweep.Plan{Version: "1", Knob: "itr", Values: []string{"1us", "2us", "3us", "4us", "5us"}, By: "batch", Series: []string{"1", "8"},
		Settings: []sweep.Setting{{"load", "64@1mpps"}}}
}

// square is a point whose row can be told.
func square(_ context.Context, p sweep.Point) (sweep.Row, error) {
	return sweep.Row{Sent: uint64(p.Index * p.Index), P50Ns: int64(len(p.Value)), CyclesPerFrame: 1.25}, nil
}

func bytesOf(t *testing.T, r *sweep.Result) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.WriteJSON(&b))
	require.NoError(t, r.WriteCSV(&b))
	require.NoError(t, r.WriteTable(&b))
	return b.String()
}

func run(t *testing.T, r sweep.Runner) *sweep.Result {
	t.Helper()
	if r.Do == nil {
		r.Do = square
	}
	rows, err := r.Run(context.Background(), plan())
	require.NoError(t, err)
	return sweep.New(*plan(), r.Shard, rows)
}

func TestRowsAreTheSameInAnyOrderAndByAnyNumber(t *testing.T) {
	want := bytesOf(t, run(t, sweep.Runner{}))
	for _, n := range []int{2, 3, 16} {
		assert.Equal(t, want, bytesOf(t, run(t, sweep.Runner{Workers: n})))
	}
}

func TestPartsMakeTheWhole(t *testing.T) {
	whole := run(t, sweep.Runner{})
	for of := 1; of <= 12; of++ {
		var parts []*sweep.Result
		for i := range of {
			part := run(t, sweep.Runner{Shard: &sweep.Shard{Index: of - 1 - i, Of: of}})
			var b bytes.Buffer
			require.NoError(t, part.WriteJSON(&b))
			read, err := sweep.ReadJSON(&b)
			require.NoError(t, err)
			parts = append(parts, read)
		}
		merged, err := sweep.Merge(parts)
		require.NoError(t, err)
		require.Equal(t, bytesOf(t, whole), bytesOf(t, merged), "%d parts", of)
	}
}

func TestPartsThatDoNotFit(t *testing.T) {
	part := func(i int) *sweep.Result { return run(t, sweep.Runner{Shard: &sweep.Shard{Index: i, Of: 2}}) }
	_, err := sweep.Merge([]*sweep.Result{part(0)})
	assert.ErrorContains(t, err, "5 of 10 points are in no part; the first is point 1, 2us")
	other := part(1)
	other.Plan.Version = "2"
	_, err = sweep.Merge([]*sweep.Result{part(0), other})
	assert.ErrorContains(t, err, "not a ringside.sweep/1 as it was written")
	other.ID = other.Plan.ID()
	_, err = sweep.Merge([]*sweep.Result{part(0), other})
	assert.ErrorContains(t, err, "another sweep")
	twice := part(0)
	twice.Rows[0].Sent = 7
	_, err = sweep.Merge([]*sweep.Result{part(0), twice, part(1)})
	assert.ErrorContains(t, err, "with another outcome")
	_, err = sweep.Merge([]*sweep.Result{part(0), part(0), part(1)})
	assert.NoError(t, err, "the same twice is no harm")
	_, err = sweep.Merge(nil)
	assert.Error(t, err)
}

// A sweep that breaks off goes on where it was, and a line that was cut in the
// writing is done again.
func TestWhatIsDoneIsNotDoneAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state")
	broken := errors.New("the power went")
	var ran atomic.Int32
	attempt := func(most int32) (*sweep.Result, error) {
		s, err := sweep.OpenState(name, plan())
		require.NoError(t, err)
		defer s.Close()
		ran.Store(0)
		rows, err := sweep.Runner{Done: s.Rows(), Finished: s.Add, Do: func(ctx context.Context, p sweep.Point) (sweep.Row, error) {
			if ran.Add(1) > most {
				return sweep.Row{}, broken
			}
			return square(ctx, p)
		}}.Run(context.Background(), plan())
		return sweep.New(*plan(), nil, rows), err
	}
	_, err := attempt(4)
	require.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "itr 5us: ")

	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, 5, bytes.Count(text, []byte("\n")))
	require.NoError(t, os.WriteFile(name, text[:len(text)-3], 0o666)) // killed in the midst of a line

	r, err := attempt(100)
	require.NoError(t, err)
	assert.EqualValues(t, 7, ran.Load())
	assert.Equal(t, bytesOf(t, run(t, sweep.Runner{})), bytesOf(t, r))
	_, err = attempt(0)
	require.NoError(t, err, "nothing is left to do")
}

func TestAStateBelongsToOneSweep(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state")
	s, err := sweep.OpenState(name, plan())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	other := plan()
	other.Settings = nil
	_, err = sweep.OpenState(name, other)
	assert.ErrorIs(t, err, sweep.ErrOtherSweep)
	for _, text := range []string{"what is this\n", "{}\n", `{"schema":"ringside.sweep-state/1","plan_id":"` + plan().ID() + "\"}\nno row\n",
		`{"schema":"ringside.sweep-state/1","plan_id":"` + plan().ID() + "\"}\n{\"point\":99}\n"} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
		_, err = sweep.OpenState(name, plan())
		assert.Error(t, err, text)
	}
}

func TestAnInterruptedSweepEndsWithItsCause(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := sweep.Runner{Do: func(ctx context.Context, p sweep.Point) (sweep.Row, error) {
		if n++; n == 3 {
			cancel()
			return sweep.Row{}, ctx.Err()
		}
		return square(ctx, p)
	}}.Run(ctx, plan())
	assert.ErrorIs(t, err, context.Canceled)
	assert.LessOrEqual(t, n, 4)
}

func TestWhatIsNoResultIsNotRead(t *testing.T) {
	for _, text := range []string{"", "{}", `{"schema":"other/1"}`, fmt.Sprintf(`{"schema":%q,"more":1}`, sweep.Schema)} {
		_, err := sweep.ReadJSON(strings.NewReader(text))
		assert.Error(t, err, text)
	}
}
