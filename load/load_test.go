package load_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/load"
	"ringside/nic"
	"ringside/sim"
)

var guests = []load.MAC{{2, 0, 0, 0, 1, 0}, {2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 1, 2}}

func parse(t testing.TB, text string) load.Spec {
	t.Helper()
	s, err := load.Parse(text)
	require.NoError(t, err)
	return s
}

func generator(t testing.TB, text string, dests int) *load.Generator {
	t.Helper()
	g, err := load.New(load.Config{Spec: parse(t, text), Seed: 1, Dests: guests[:dests]})
	require.NoError(t, err)
	return g
}

// A sent is a frame as it was on the wire.
type sent struct {
	at   sim.Time
	data []byte
}

func take(t testing.TB, g *load.Generator, n int) (list []sent) {
	t.Helper()
	for i := range n {
		var f nic.WireFrame
		require.True(t, g.Receive(&f))
		require.EqualValues(t, i+1, f.ID)
		list = append(list, sent{f.At, append([]byte(nil), f.Data...)})
	}
	return list
}

func TestTextIsReadAndWrittenAlike(t *testing.T) {
	for text, want := range map[string]string{
		"64":                            "64@max",
		"64@max":                        "64@max",
		"IMIX@5Mpps":                    "imix@5mpps",
		"imix@0.5gbps":                  "imix@500mbps",
		"64@1mpps,flows=1000,burst=32":  "64@1mpps,flows=1000,burst=32",
		"64:7+594:4+1518":               "imix@max",
		"64+1518":                       "64+1518@max",
		"64:1+1518:3@12.5%":             "64+1518:3@12.5%",
		"128@1500pps,poisson,pick=zipf": "128@1.5kpps,pick=zipf,poisson",
		"64,gap=1.5us,burst=4":          "64@max,burst=4,gap=1.5us",
		"64@1pps,flows=1,pick=random":   "64@1pps,flows=1,pick=random",
		"9728@100gbps,pick=robin":       "9728@100gbps",
		"64@0.000001mpps":               "64@1pps",
		"64,gap=1ps":                    "64@max,gap=1ps",
	} {
		s := parse(t, text)
		assert.Equal(t, want, s.String(), text)
		assert.Equal(t, s, parse(t, s.String()), text)
	}
}

func TestWrongTextIsToldWhatIsPossible(t *testing.T) {
	for text, want := range map[string]string{
		"":                   `size "": give bytes with FCS from 64 to 9728`,
		"63":                 `size "63"`,
		"9729":               `size "9729"`,
		"+64":                `size ""`,
		"-64":                `size "-64"`,
		"64:0":               `weight "0": give a whole number from 1 to 1000`,
		"64:1001":            `weight "1001"`,
		"64@":                `rate "": give max, a number with pps`,
		"64@0pps":            `rate "0pps"`,
		"64@1":               `rate "1"`,
		"64@1e6pps":          `rate "1e6pps"`,
		"64@0.5pps":          `rate "0.5pps"`,
		"64@101%":            `rate "101%"`,
		"64@2000mpps":        `rate "2000mpps"`,
		"64@-1pps":           `rate "-1pps"`,
		"64@.pps":            `rate ".pps"`,
		"64@1mpps,":          `"": the words behind sizes and rate are flows, pick, burst, gap and poisson`,
		"64@1mpps,flow=3":    `"flow": the words`,
		"64,flows":           `"": give a whole number from 1 to 1048576, as in flows=1000`,
		"64,flows=+3":        `"+3": give a whole number`,
		"64,flows=0":         `"0"`,
		"64,flows=2,flows=3": "flows is given twice",
		"64,pick=fair":       `pick "fair": flows are picked by robin, random or zipf`,
		"64,burst=9999999":   `"9999999"`,
		"64,gap=0us":         `gap "0us": give a span`,
		"64,gap=5":           `gap "5"`,
		"64@1mpps,poisson=2": "poisson takes no value",
		"64,poisson":         "Poisson arrivals at line rate",
		"64@1mpps,gap=3us":   "the rate says already how far bursts are apart",
	} {
		_, err := load.Parse(text)
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), want, text)
			assert.Contains(t, err.Error(), fmt.Sprintf("load %q: ", text))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{load.Example, "imix@5gbps,poisson", "64:7+594:4+1518@12.5%,pick=zipf", "64,gap=1.5us,burst=4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := load.Parse(text)
		if err != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Fatalf("%q was read, and %v", text, err)
		}
		again, err := load.Parse(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q is %q, which is %q, %v", text, s, again, err)
		}
		g, err := load.New(load.Config{Spec: s, Dests: guests, Frames: 8})
		if err != nil {
			if !errors.Is(err, load.ErrRate) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		last := sim.Time(-1)
		for range 8 {
			var fr nic.WireFrame
			if !g.Receive(&fr) || fr.At <= last || !valid(fr.Data) {
				t.Fatalf("%q: %v after %v, %x", text, fr.At, last, fr.Data)
			}
			last = fr.At
		}
	})
}

// valid checks the sums of a frame the slow way.
func valid(b []byte) bool {
	ip, udp := b[14:34], b[34:]
	pseudo := append(append([]byte{}, ip[12:20]...), 0, 17, byte(len(udp)>>8), byte(len(udp)))
	return sum(ip) == 0xffff && sum(append(pseudo, udp...)) == 0xffff &&
		int(binary.BigEndian.Uint16(ip[2:])) == len(b)-14 && int(binary.BigEndian.Uint16(udp[4:])) == len(udp)
}

func sum(b []byte) (s uint32) {
	for i, c := range b {
		s += uint32(c) << (8 * (1 - i%2))
		s = s>>16 + s&0xffff
	}
	return s
}

func TestFramesAreValidDatagramsThatTellWhoTheyAre(t *testing.T) {
	for _, text := range []string{"64@1mpps", "65@1mpps,flows=40000", "imix@10%,flows=7", "9728@1kpps,poisson", "64@1mpps,pick=random,flows=1048576"} {
		flows := map[uint32]string{}
		for i, f := range take(t, generator(t, text, 3), 2000) {
			require.True(t, valid(f.data), "%s: %x", text, f.data)
			s, ok := load.ReadStamp(f.data)
			require.True(t, ok)
			require.EqualValues(t, i, s.Seq)
			require.Equal(t, f.at, s.At)
			require.Equal(t, guests[s.Flow%3][:], f.data[:6])
			tuple := string(f.data[26:38])
			if was, ok := flows[s.Flow]; ok {
				require.Equal(t, was, tuple, "a flow has one tuple")
			}
			flows[s.Flow] = tuple
		}
		tuples := map[string]bool{}
		for _, tuple := range flows {
			tuples[tuple] = true
		}
		require.Len(t, tuples, len(flows), "and a tuple one flow")
	}
}

func TestForeignFramesHaveNoStamp(t *testing.T) {
	f := take(t, generator(t, "64", 1), 1)[0].data
	_, ok := load.ReadStamp(f)
	require.True(t, ok)
	for i := range f {
		_, ok := load.ReadStamp(f[:i])
		require.False(t, ok, "cut to %d bytes", i)
	}
	for name, at := range map[string]int{"type": 12, "header length": 14, "protocol": 23, "source": 26, "source port": 34, "port": 37, "magic": 42} {
		b := append([]byte(nil), f...)
		b[at] ^= 0x80
		_, ok := load.ReadStamp(b)
		require.False(t, ok, name)
	}
}

func TestConstantRateIsExactOverAnyTime(t *testing.T) {
	for text, pps := range map[string]uint64{"64@3pps": 3, "64@7kpps": 7000, "64@1.234567mpps": 1234567, "1518@812743pps": 812743} {
		list := take(t, generator(t, text, 1), int(min(pps, 100_000))+1)
		for i, f := range list {
			require.Equal(t, sim.Time(uint64(i)*1e12/pps), f.at, "%s: frame %d", text, i)
		}
	}
}

func TestLineRateIsWhatEthernetCarries(t *testing.T) {
	for _, tt := range []struct {
		size int
		gap  sim.Time // at 10 Gbit/s
	}{{64, 67_200}, {128, 118_400}, {512, 425_600}, {1518, 1_230_400}} {
		list := take(t, generator(t, fmt.Sprint(tt.size), 1), 100)
		for i, f := range list {
			require.Equal(t, sim.Time(i)*tt.gap, f.at, "%d bytes", tt.size)
		}
	}
	s := parse(t, "64")
	assert.EqualValues(t, 14_880_952, s.LinePPS(10e9), "the number that everybody knows")
}

func TestBitsCountFramesWithFCSAndSharesCountTheLine(t *testing.T) {
	half := take(t, generator(t, "1518@50%", 1), 3)
	assert.Equal(t, sim.Time(2*1_230_400), half[1].at)
	bits := take(t, generator(t, "1000@1gbps", 1), 3)
	assert.Equal(t, 8*sim.Microsecond, bits[1].at)
	// An IMIX keeps its rate in bits over each round, not its gaps.
	imix := take(t, generator(t, "imix@1gbps", 1), 25)
	round := sim.Time((7*64 + 4*594 + 1518) * 8)
	assert.Equal(t, round*sim.Nanosecond, imix[12].at)
	assert.Equal(t, 2*round*sim.Nanosecond, imix[24].at)
	s := parse(t, "imix@1gbps")
	assert.EqualValues(t, 12e9/uint64(round), s.PPS(10e9))
}

func TestSizesComeInTheirSharesAndSpreadOut(t *testing.T) {
	count := map[int]int{}
	for i, f := range take(t, generator(t, "imix", 1), 1200) {
		count[len(f.data)+4]++
		if (i+1)%12 == 0 {
			n := (i + 1) / 12
			require.Equal(t, map[int]int{64: 7 * n, 594: 4 * n, 1518: n}, count)
		}
	}
}

func TestBurstsComeBackToBackAndKeepTheRate(t *testing.T) {
	list := take(t, generator(t, "64@1mpps,burst=32", 1), 320)
	for i, f := range list {
		require.Equal(t, sim.Time(i/32)*32*sim.Microsecond+sim.Time(i%32)*67_200, f.at, "frame %d", i)
	}
	gap := take(t, generator(t, "64@max,burst=4,gap=10us", 1), 40)
	for i, f := range gap {
		require.Equal(t, sim.Time(i)*67_200+sim.Time(i/4)*10*sim.Microsecond, f.at, "frame %d", i)
	}
}

// Gaps of a Poisson process have its rate as their mean, a standard deviation
// equal to that, and a share of e^-x longer than x means.
func TestPoissonGapsAreExponential(t *testing.T) {
	const n = 200_000
	list := take(t, generator(t, "64@100kpps,poisson", 1), n+1)
	mean := float64(10 * sim.Microsecond)
	var sum, squares float64
	longer := map[float64]int{0.5: 0, 1: 0, 2: 0, 4: 0}
	for i := range n {
		d := float64(list[i+1].at-list[i].at) / mean
		sum, squares = sum+d, squares+d*d
		for x := range longer {
			if d > x {
				longer[x]++
			}
		}
	}
	assert.InDelta(t, 1, sum/n, 0.01)
	assert.InDelta(t, 1, math.Sqrt(squares/n-sum/n*sum/n), 0.015)
	for x, k := range longer {
		assert.InDelta(t, math.Exp(-x), float64(k)/n, 0.005, "longer than %v means", x)
	}
}

func TestFlowsArePickedAsTheySay(t *testing.T) {
	count := func(text string, n int) map[uint32]int {
		m := map[uint32]int{}
		for _, f := range take(t, generator(t, text, 1), n) {
			s, _ := load.ReadStamp(f.data)
			m[s.Flow]++
		}
		return m
	}
	robin := count("64,flows=10", 1000)
	require.Len(t, robin, 10)
	for flow, n := range robin {
		assert.Equal(t, 100, n, "flow %d", flow)
	}
	random := count("64,flows=10,pick=random", 100_000)
	for flow := range uint32(10) {
		assert.InDelta(t, 10_000, random[flow], 500, "flow %d", flow)
	}
	zipf := count("64,flows=1000,pick=zipf", 200_000)
	harmonic := 0.0
	for i := 1; i <= 1000; i++ {
		harmonic += 1 / float64(i)
	}
	for _, i := range []int{1, 2, 3, 10, 100} {
		want := 200_000 / harmonic / float64(i)
		assert.InDelta(t, want, zipf[uint32(i-1)], 5*math.Sqrt(want), "rank %d", i)
	}
}

func TestALoadIsAFunctionOfItsSeed(t *testing.T) {
	const text = "imix@1mpps,flows=100,pick=zipf,poisson"
	a, b := take(t, generator(t, text, 2), 500), take(t, generator(t, text, 2), 500)
	require.Equal(t, a, b)
	g, err := load.New(load.Config{Spec: parse(t, text), Seed: 2, Dests: guests[:2]})
	require.NoError(t, err)
	require.NotEqual(t, a, take(t, g, 500))
}

func TestALoadEndsWhereItIsTold(t *testing.T) {
	run := func(cfg load.Config) (n int, first, last sim.Time) {
		cfg.Dests, cfg.Spec = guests, parse(t, "64@1mpps")
		g, err := load.New(cfg)
		require.NoError(t, err)
		var f nic.WireFrame
		for g.Receive(&f) {
			if n == 0 {
				first = f.At
			}
			n, last = n+1, f.At
		}
		require.False(t, g.Receive(&f))
		require.EqualValues(t, n, g.Sent())
		require.EqualValues(t, 60*n, g.Bytes())
		return n, first, last
	}
	n, _, last := run(load.Config{Frames: 5})
	assert.Equal(t, 5, n)
	assert.Equal(t, 4*sim.Microsecond, last)
	n, first, last := run(load.Config{Start: sim.Millisecond, End: sim.Millisecond + 10*sim.Microsecond})
	assert.Equal(t, 10, n)
	assert.Equal(t, sim.Millisecond, first)
	assert.Equal(t, sim.Millisecond+9*sim.Microsecond, last)
}

func TestAConfigThatCannotBe(t *testing.T) {
	for want, cfg := range map[string]load.Config{
		"Dests is required":                 {},
		"LinkBPS":                           {Dests: guests, LinkBPS: 5},
		"before the beginning":              {Dests: guests, Start: -1},
		"frames of 5 bytes":                 {Dests: guests, Spec: load.Spec{Sizes: []load.Size{{Bytes: 5}}}},
		"a line of 10gbps carries 14880952": {Dests: guests, Spec: load.Spec{Rate: load.Rate{PPS: 15e6}}},
		"take turns in way 7":               {Dests: guests, Spec: load.Spec{Pick: 7}},
		"give one":                          {Dests: guests, Spec: load.Spec{Rate: load.Rate{PPS: 1, BPS: 1}}},
	} {
		_, err := load.New(cfg)
		if assert.Error(t, err, want) {
			assert.Contains(t, err.Error(), want)
		}
	}
}

func TestAReceiverTellsLossOrderAndDuplicates(t *testing.T) {
	list := take(t, generator(t, "64,flows=2", 1), 100)
	play := func(order ...int) *load.Receiver {
		r := &load.Receiver{Sent: func() uint64 { return 100 }}
		for _, i := range order {
			r.Take(list[i].data)
		}
		return r
	}
	r := play(0, 1, 2, 3)
	assert.Equal(t, []uint64{4, 0, 0, 0, 96}, []uint64{r.Unique(), r.Doubled, r.Reordered, r.Foreign, r.Lost(100)})
	r = play(0, 1, 1, 0, 3)
	assert.Equal(t, []uint64{3, 2, 0}, []uint64{r.Unique(), r.Doubled, r.Reordered})
	r = play(1, 0, 3, 2)
	assert.Zero(t, r.Reordered, "flows do not wait for each other")
	r = play(2, 0, 3, 1, 4)
	assert.EqualValues(t, 2, r.Reordered)

	r = &load.Receiver{Sent: func() uint64 { return 50 }}
	r.Take(list[50].data)
	r.Take([]byte("no frame of ours"))
	assert.Equal(t, []uint64{0, 1, 1}, []uint64{r.Frames, r.Future, r.Foreign})
}

// The search against machines whose answer is known.
func TestSearchFindsTheHighestRateWithoutLoss(t *testing.T) {
	for _, limit := range []uint64{1, 99, 1000, 123_456, 777_777, 999_999, 1_000_000, 2_000_000} {
		for _, resolution := range []uint64{1, 100, 5000} {
			found, err := load.Search{Max: 1_000_000, Resolution: resolution}.Run(func(pps uint64) (uint64, uint64, error) {
				return pps, pps - min(pps, limit), nil
			})
			require.NoError(t, err)
			want := min(limit, 1_000_000)
			if want >= resolution {
				assert.LessOrEqual(t, found.PPS, want)
				assert.Less(t, want-found.PPS, resolution, "limit %d, resolution %d: %+v", limit, resolution, found)
			}
			assert.LessOrEqual(t, len(found.Trials), 22)
			assert.EqualValues(t, 1_000_000, found.Trials[0].PPS, "the highest rate is tried first")
		}
	}
}

func TestSearchToleratesTheLossThatItIsTold(t *testing.T) {
	machine := func(pps uint64) (uint64, uint64, error) { return 1e6, pps, nil } // one in a million more for every frame a second
	for ppm, want := range map[uint64]uint64{0: 0, 1: 1, 5000: 5000, 9999: 9999} {
		found, err := load.Search{Max: 10_000, Resolution: 1, LossPPM: ppm}.Run(machine)
		require.NoError(t, err)
		assert.Equal(t, want, found.PPS, "%d ppm", ppm)
	}
}

func TestSearchThatCannotBe(t *testing.T) {
	for want, s := range map[string]load.Search{"Max is required": {}, "from 3 to 2": {Min: 3, Max: 2}, "finds nothing": {Max: 1, LossPPM: 1e6}} {
		_, err := s.Run(nil)
		assert.ErrorContains(t, err, want)
	}
	broken := errors.New("broken")
	_, err := load.Search{Max: 5}.Run(func(uint64) (uint64, uint64, error) { return 0, 0, broken })
	assert.ErrorIs(t, err, broken)
}

func TestReceiveDoesNotAllocate(t *testing.T) {
	for _, text := range []string{"64", "imix@1mpps,flows=1000,burst=32", "64@1mpps,poisson,pick=zipf,flows=1000"} {
		g := generator(t, text, 3)
		var f nic.WireFrame
		assert.Zero(t, testing.AllocsPerRun(1000, func() { g.Receive(&f) }), text)
	}
}

// One frame of a load.
func BenchmarkReceive(b *testing.B) {
	for _, text := range []string{"64", "64@1mpps,flows=1000,burst=32", "imix@1mpps,flows=1000", "64@1mpps,flows=1000,pick=random", "64@1mpps,flows=1000,pick=zipf", "64@1mpps,poisson"} {
		b.Run(text, func(b *testing.B) {
			g := generator(b, text, 3)
			var f nic.WireFrame
			b.ReportAllocs()
			for b.Loop() {
				g.Receive(&f)
			}
		})
	}
}
