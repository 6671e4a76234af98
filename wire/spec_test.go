package wire

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

const ms = sim.Millisecond

func both(w Way) Spec { return Spec{w, w} }

func TestParseReadsTheWordsOfNetem(t *testing.T) {
	percent := func(n uint64) Prob { return Share(n, 100) }
	for _, tt := range []struct {
		text string
		want Spec
		says string // "" means text
	}{
		{"", Spec{}, ""},
		{"delay 10ms", both(Way{Delay: Delay{Fixed: 10 * ms}}), ""},
		{"delay 10ms 2ms", both(Way{Delay: Delay{Fixed: 10 * ms, Jitter: 2 * ms}}), ""},
		{"delay 0s 2ms overtake", both(Way{Delay: Delay{Jitter: 2 * ms, Overtake: true}}), ""},
		{"delay 1.5s 7ps distribution normal overtake", both(Way{Delay: Delay{1500 * ms, 7, true, true}}), ""},
		{"delay 10ms 2ms distribution uniform", both(Way{Delay: Delay{Fixed: 10 * ms, Jitter: 2 * ms}}), "delay 10ms 2ms"},
		{"DELAY 1000US", both(Way{Delay: Delay{Fixed: ms}}), "delay 1ms"},
		{"delay 0.000001s", both(Way{Delay: Delay{Fixed: sim.Microsecond}}), "delay 1us"},
		{"delay 0ms", Spec{}, ""},
		{"delay 3600s", both(Way{Delay: Delay{Fixed: MaxDelay}}), ""},
		{"loss 1%", both(Way{Loss: percent(1)}), ""},
		{"loss random 50%", both(Way{Loss: Always / 2}), "loss 50%"},
		{"loss 100%", both(Way{Loss: Always}), ""},
		{"loss 0%", Spec{}, ""},
		{"loss 0.00000002%", both(Way{Loss: 1}), ""},
		{"loss gemodel 1% 10%", both(Way{Bursts: Bursts{percent(1), percent(10), Always, 0}}), ""},
		{"loss gemodel 25%", both(Way{Bursts: Bursts{Always / 4, Always / 4 * 3, Always, 0}}), "loss gemodel 25% 75%"},
		{"loss gemodel 1% 10% 100% 0.1%", both(Way{Bursts: Bursts{percent(1), percent(10), Always, Share(1, 1000)}}), ""},
		{"loss gemodel 0% 10% 0%", both(Way{Bursts: Bursts{ToGood: percent(10)}}), ""},
		{"loss gemodel 1% 10% 70% 0.1%", both(Way{Bursts: Bursts{percent(1), percent(10), percent(70), Share(1, 1000)}}), ""},
		{"loss 1% loss gemodel 1% 10% 70%", both(Way{Loss: percent(1), Bursts: Bursts{percent(1), percent(10), percent(70), 0}}), ""},
		{"duplicate 0.1% corrupt 12.5%", both(Way{Duplicate: Share(1, 1000), Corrupt: Always / 8}), ""},
		{"reorder 25% gap 5 delay 10ms", both(Way{Delay: Delay{Fixed: 10 * ms}, Reorder: Reorder{Always / 4, 5}}), "delay 10ms reorder 25% gap 5"},
		{"delay 10ms reorder 25%", both(Way{Delay: Delay{Fixed: 10 * ms}, Reorder: Reorder{P: Always / 4}}), ""},
		{"rate 100mbit", both(Way{Rate: Rate{BPS: 100e6}}), ""},
		{"rate 2.5gbit queue 30", both(Way{Rate: Rate{2.5e9, Queue{Frames: 30}}}), "rate 2500mbit queue 30"},
		{"rate 64kbit queue 1.5kb limit 9", both(Way{Rate: Rate{64e3, Queue{Bytes: 1536}}, Limit: 9}), "rate 64kbit queue 1536b limit 9"},
		{"rate 1tbit queue 1gb", both(Way{Rate: Rate{1e12, Queue{Bytes: 1 << 30}}}), ""},
		{"rx loss 1%", Spec{Rx: Way{Loss: percent(1)}}, ""},
		{"tx loss 1%", Spec{Tx: Way{Loss: percent(1)}}, ""},
		{"rx loss 1% tx loss 2%", Spec{Way{Loss: percent(1)}, Way{Loss: percent(2)}}, ""},
		{"rx loss 1% tx loss 1%", both(Way{Loss: percent(1)}), "loss 1%"},
		{"delay 1ms rx loss 1% tx", Spec{Way{Delay: Delay{Fixed: ms}, Loss: percent(1)}, Way{Delay: Delay{Fixed: ms}}}, "rx delay 1ms loss 1% tx delay 1ms"},
		{"rx tx rx", Spec{}, ""},
	} {
		got, err := Parse(tt.text)
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.want, got, tt.text)
		says := tt.says
		if says == "" && tt.want != (Spec{}) {
			says = tt.text
		}
		require.Equal(t, says, got.String())
		again, err := Parse(got.String())
		require.NoError(t, err, tt.text)
		require.Equal(t, got, again, tt.text)
	}
}

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	const words = "the words are delay, reorder, loss, duplicate, corrupt, rate and limit, and rx and tx for one direction"
	const delays = "give a span in ps, ns, us, ms or s, whole ps up to 3600s, as in delay 10ms or delay 10ms 2ms"
	const losses = "give a share from 0% to 100%, as in loss 1%, or loss gemodel 1% 10%"
	const rateWords = "give a rate in bit, kbit, mbit, gbit or tbit a second, whole bit from 1kbit to 1tbit, as in rate 100mbit"
	for _, tt := range []struct{ text, want string }{
		{"los 1%", `"los": ` + words},
		{"delay 10ms los 1%", `"los" behind "10ms": ` + words},
		{"10ms", `"10ms": ` + words},
		{"delay", `behind "delay": ` + delays},
		{"delay 10", `"10" behind "delay": ` + delays},
		{"delay -1ms", `"-1ms" behind "delay": ` + delays},
		{"delay 1e3ms", `"1e3ms" behind "delay": ` + delays},
		{"delay 0.5ps", `"0.5ps" behind "delay": ` + delays},
		{"delay 3601s", `"3601s" behind "delay": ` + delays},
		{"delay 99999999999999999999999999999s", `"99999999999999999999999999999s" behind "delay": ` + delays},
		{"delay 10ms 2", `"2" behind "10ms": ` + delays},
		{"delay 10ms 2ms distribution pareto", `"pareto" behind "distribution": the distributions are uniform and normal, as in delay 10ms 2ms distribution normal`},
		{"delay 10ms overtake", "delay: a distribution, or frames that overtake, need jitter: a second span, as in delay 10ms 2ms"},
		{"delay 10ms distribution normal", "delay: a distribution, or frames that overtake, need jitter: a second span, as in delay 10ms 2ms"},
		{"loss 1", `"1" behind "loss": ` + losses},
		{"loss 101%", `"101%" behind "loss": ` + losses},
		{"loss .%", `".%" behind "loss": ` + losses},
		{"loss 1.2.3%", `"1.2.3%" behind "loss": ` + losses},
		{"loss gemodel", `behind "gemodel": give a share from 0% to 100%, as in loss gemodel 1% 10% 70% 0.1%`},
		{"loss gemodel 1% 2% 3% 4% 5%", `"5%" behind "4%": ` + words},
		{"loss 1% loss 2%", `"loss" behind "1%": loss is given twice for one direction`},
		{"loss gemodel 1% loss gemodel 2%", `"loss" behind "1%": loss gemodel is given twice for one direction`},
		{"loss 1% rx loss 2%", `"loss" behind "rx": loss is given twice for one direction`},
		{"reorder 25%", "reorder needs a delay: a frame overtakes those that are delayed, as in delay 10ms reorder 25%"},
		{"rx reorder 25%", "rx: reorder needs a delay: a frame overtakes those that are delayed, as in delay 10ms reorder 25%"},
		{"delay 1ms reorder 0% gap 3", "reorder: a gap needs a share above 0%"},
		{"delay 1ms reorder 25% gap 0", `"0" behind "gap": give a number from 1 to 1048576, as in reorder 25% gap 5`},
		{"rate 999bit", `"999bit" behind "rate": ` + rateWords},
		{"rate 10mb", `"10mb" behind "rate": ` + rateWords},
		{"rate 1mbit queue", `behind "queue": give a number of frames, or a size in b, kb, mb or gb, whole b from 1b to 1gb, as in rate 100mbit queue 64kb`},
		{"rate 1mbit queue 2gb", `"2gb" behind "queue": give a number of frames, or a size in b, kb, mb or gb, whole b from 1b to 1gb, as in rate 100mbit queue 64kb`},
		{"queue 3", `"queue": ` + words},
		{"limit 0", `"0" behind "limit": give a number from 1 to 1048576, as in limit 1000`},
		{"limit 99999999999", `"99999999999" behind "limit": give a number from 1 to 1048576, as in limit 1000`},
	} {
		got, err := Parse(tt.text)
		require.EqualError(t, err, fmt.Sprintf("link %q: %s", tt.text, tt.want))
		require.Zero(t, got, tt.text)
	}
}

// A Spec that did not come from text is checked as well.
func TestCheckFindsWhatTextCannotSay(t *testing.T) {
	for _, w := range []Way{
		{Loss: Always + 1}, {Bursts: Bursts{Good: 1 << 40}}, {Delay: Delay{Fixed: -1}}, {Delay: Delay{Jitter: MaxDelay + 1}},
		{Limit: -1}, {Limit: MaxFrames + 1}, {Rate: Rate{BPS: 999}}, {Rate: Rate{Queue: Queue{Frames: 3}}},
		{Rate: Rate{1e6, Queue{3, 3}}}, {Rate: Rate{1e6, Queue{Frames: -1}}}, {Reorder: Reorder{Gap: 3}},
		{Delay: Delay{Fixed: 1}, Reorder: Reorder{1, -1}},
	} {
		for _, s := range []Spec{{Rx: w}, {Tx: w}} {
			require.Error(t, s.Check(), "%+v", s)
			_, err := New(Config{Engine: sim.NewEngine(1), Spec: s}, &script{})
			require.Error(t, err, "%+v", s)
		}
	}
}

func TestEveryProbabilityReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	check := func(p Prob) {
		got, ok := parseProb(p.String())
		require.True(t, ok, p.String())
		require.Equal(t, p, got, p.String())
	}
	for p := range Prob(3000) {
		check(p)
		check(Always - p)
		check(Always/3 + p)
	}
	for range 20_000 {
		check(Prob(r.Uint64N(uint64(Always) + 1)))
	}
}

// Of 2^32 draws exactly P hit.
func TestProbabilityIsExact(t *testing.T) {
	e := sim.NewEngine(1)
	for i := range 100 {
		draw := Prob(e.Source(fmt.Sprint(i)).Uint64() >> 32)
		require.False(t, draw.hits(e.Source(fmt.Sprint(i))))
		require.True(t, (draw + 1).hits(e.Source(fmt.Sprint(i))))
	}
}

func TestShareIsRoundedToTheNearest(t *testing.T) {
	require.Equal(t, Prob(0), Share(0, 100))
	require.Equal(t, Always, Share(100, 100))
	require.Equal(t, Always, Share(1, 0))
	require.Equal(t, Prob(42949673), Share(1, 100)) // 42949672.96
	require.Equal(t, Prob(1), Share(1, 1<<33))      // a half
	require.Equal(t, Always, Share(1<<63, 1<<63))
	require.Equal(t, Always/2, Share(1<<62, 1<<63))
}

func TestSpecInFiles(t *testing.T) {
	var v struct{ Link Spec }
	require.NoError(t, json.Unmarshal([]byte(`{"Link":"loss 1% delay 5ms"}`), &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.Equal(t, `{"Link":"delay 5ms loss 1%"}`, string(b))
	before := v
	require.Error(t, json.Unmarshal([]byte(`{"Link":"loss"}`), &v))
	require.Equal(t, before, v)
}

// Parse, String and Parse again are Parse; what Parse takes, New takes.
func FuzzSpec(f *testing.F) {
	for _, s := range []string{
		"delay 10ms 2ms loss 1% reorder 25% gap 5 duplicate 0.1% corrupt 0.1% rate 100mbit limit 1000",
		"rx delay 1.5us 3ns distribution normal overtake tx loss gemodel 1% 10% 70% 0.1%",
		"rate 3kbit queue 1.5kb", "rate 1tbit queue 7", "loss random 33.333333333%", "", "rx tx", "delay 00001.0s", "loss .5%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s)
		if err != nil {
			require.Zero(t, got)
			return
		}
		text := got.String()
		again, err := Parse(text)
		require.NoError(t, err, "%q of %q", text, s)
		require.Equal(t, got, again, "%q of %q", text, s)
		require.Equal(t, text, again.String())
		_, err = New(Config{Engine: sim.NewEngine(1), Spec: got}, &script{})
		require.NoError(t, err)
	})
}
