package ringside_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
	"ringside/vm"
	"ringside/wire"
)

func spec(t testing.TB, text string) wire.Spec {
	t.Helper()
	s, err := wire.Parse(text)
	require.NoError(t, err)
	return s
}

// linked plays a capture through a link and shows what came to the NIC.
func linked(t *testing.T, name, text string, r ringside.Replay, cfg ringside.Config) (*ringside.Report, *wireSink) {
	t.Helper()
	seen := &wireSink{}
	r.Files, cfg.Sink, cfg.Link = []string{name}, seen, spec(t, text)
	rep, err := r.Run(cfg, nil)
	require.NoError(t, err, text)
	return rep, seen
}

func TestParseLinkReadsSpeedAndWords(t *testing.T) {
	for _, tt := range []struct {
		text string
		bps  uint64
		want string
	}{
		{"10G", 10e9, ""}, {"25g", 25e9, ""}, {"100Gbit/s", 100e9, ""}, {"loss 1%", 0, "loss 1%"}, {"", 0, ""},
		{" 1G  delay 5ms loss 1% ", 1e9, "delay 5ms loss 1%"}, {"rx rate 1gbit", 0, "rx rate 1gbit"},
	} {
		bps, s, err := ringside.ParseLink(tt.text)
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.bps, bps, tt.text)
		require.Equal(t, tt.want, s.String())
	}
	for text, want := range map[string]string{
		"20G":         `link "20G": the speeds are 1G, 10G, 25G, 40G and 100G`,
		"1G 10G":      `"10g": the words are delay`,
		"los 1%":      `link "los 1%": "los": the words are delay`,
		"1 delay 5ms": `the speeds are`,
		"1G delay 5":  `"5" behind "delay": give a span in ps, ns, us, ms or s`,
	} {
		_, _, err := ringside.ParseLink(text)
		require.ErrorContains(t, err, want)
	}
}

// A link that does nothing to any frame is not there.
func TestALinkThatDoesNothingIsNotThere(t *testing.T) {
	for _, speed := range []ringside.Speed{ringside.OriginalSpeed, ringside.TopSpeed} {
		for _, name := range []string{"mix.pcap", "http.pcap", "jumbo.pcap"} {
			name = filepath.Join("testdata", name)
			none, want := linked(t, name, "", ringside.Replay{Speed: speed}, ringside.Config{Seed: 1})
			rep, got := linked(t, name, "limit 1000000", ringside.Replay{Speed: speed}, ringside.Config{Seed: 1})
			require.Equal(t, want, got)
			require.Equal(t, none.TraceHash, rep.TraceHash)
			require.Nil(t, none.Links)
			require.Len(t, rep.Links, 1)
			require.Equal(t, none.Input.Frames, rep.Links[0].Rx.Out)
		}
	}
}

func TestDelayShiftsEveryArrival(t *testing.T) {
	name := filepath.Join("testdata", "http.pcap")
	_, want := linked(t, name, "", ringside.Replay{}, ringside.Config{})
	_, got := linked(t, name, "delay 5ms", ringside.Replay{}, ringside.Config{})
	require.Equal(t, want.ids, got.ids)
	for i := range want.at {
		require.Equal(t, want.at[i]+5*sim.Millisecond, got.at[i])
	}
}

// What a link lost never came in; what it made came in like anything else; and both
// accounts balance.
func TestFramesOfALinkAreAccountedFor(t *testing.T) {
	captures, err := filepath.Glob("testdata/*.pcap*")
	require.NoError(t, err)
	texts := []string{
		"loss 10% duplicate 10% corrupt 10%", "loss gemodel 5% 30%", "rate 20mbit queue 5", "delay 2ms limit 3",
		"delay 1ms 1ms overtake reorder 25% gap 3 loss 5% duplicate 5%", "loss 100%", "duplicate 100%",
	}
	for i, name := range captures {
		for j, text := range texts {
			if testing.Short() && (i+j)%5 > 0 {
				continue
			}
			speed := []ringside.Speed{ringside.OriginalSpeed, ringside.TopSpeed}[(i+j)%2]
			lost, seed := uint64(0), uint64(i*100+j)
			cfg := ringside.Config{Seed: seed, Lost: func(nic string, l wire.Lost) {
				require.Equal(t, "eth0", nic)
				lost++
			}}
			rep, seen := linked(t, name, text, ringside.Replay{Speed: speed}, cfg)
			require.True(t, rep.Conservation.Balanced)
			l := rep.Links[0]
			require.Equal(t, "eth0", l.NIC)
			require.Equal(t, text, l.Spec)
			require.Equal(t, rep.Input.Frames, l.Rx.In)
			require.Equal(t, rep.Conservation.FromWire, l.Rx.Out)
			require.Equal(t, rep.Conservation.ToWire, l.Tx.In)
			var gone uint64
			for _, n := range l.Rx.Lost {
				gone += n
			}
			require.Equal(t, l.Rx.In+l.Rx.Duplicated, l.Rx.Out+gone)
			for _, n := range l.Tx.Lost {
				gone += n
			}
			require.Equal(t, gone, lost)
			require.Equal(t, int(l.Rx.Out), len(seen.ids))
			require.True(t, slices.IsSorted(seen.at), "%s %s", name, text)
			switch text {
			case "loss 100%":
				require.Zero(t, rep.Conservation.FromWire)
			case "duplicate 100%":
				require.Equal(t, 2*l.Rx.In, rep.Conservation.FromWire)
				require.Equal(t, seen.ids[0]|wire.Copy, seen.ids[1])
			}
		}
	}
}

// Frames that guests send meet the other direction.
func TestWhatLeavesMeetsTheLinkToo(t *testing.T) {
	name := filepath.Join("testdata", "udp-flood.pcap")
	r := ringside.Replay{Program: vm.Reflect, Limit: 200, Grace: sim.Second}
	rep, _ := linked(t, name, "tx delay 20ms 5ms overtake loss 20%", r, ringside.Config{Seed: 3})
	l := rep.Links[0]
	require.Equal(t, rep.Conservation.ToWire, l.Tx.In)
	require.NotZero(t, l.Tx.In)
	require.NotZero(t, l.Tx.Lost["LINK_LOSS"])
	require.Zero(t, l.Tx.Held)
	require.Greater(t, l.Tx.DelayNs.Mean, int64(15e6))
	require.Empty(t, l.Rx.Lost)
}

// Guests that answer each other are given their time after the last frame from the
// link, not from the capture.
func TestGraceBeginsBehindTheLink(t *testing.T) {
	name := filepath.Join("testdata", "udp-flood.pcap")
	r := ringside.Replay{Program: vm.Reflect, Limit: 200, Grace: 10 * sim.Millisecond}
	rep, _ := linked(t, name, "rx delay 1s 100ms overtake", r, ringside.Config{Seed: 1})
	require.Equal(t, uint64(200), rep.Conservation.FromWire)
}

func TestARunThatIsCutShortSaysWhatIsOnTheLink(t *testing.T) {
	name := filepath.Join("testdata", "udp-flood.pcap")
	for _, text := range []string{"delay 1ms 10us overtake", "delay 1ms", "duplicate 30% delay 1ms reorder 10%"} {
		rep, _ := linked(t, name, text, ringside.Replay{Speed: ringside.TopSpeed, Until: sim.Millisecond + 5*sim.Microsecond}, ringside.Config{})
		rx := rep.Links[0].Rx
		require.Equal(t, rep.Input.Frames+rx.Duplicated, rx.Out+rx.Held)
		require.Equal(t, rep.Conservation.FromWire, rx.Out)
		if strings.Contains(text, "overtake") {
			require.NotZero(t, rx.Held)
		}
	}
}

func TestSameSeedSameLink(t *testing.T) {
	name := filepath.Join("testdata", "mix.pcap")
	hash := func(seed uint64) string {
		rep, _ := linked(t, name, "loss 5% delay 1ms 500us reorder 10%", ringside.Replay{}, ringside.Config{Seed: seed})
		return rep.TraceHash
	}
	require.Equal(t, hash(1), hash(1))
	require.NotEqual(t, hash(1), hash(2))
}

// Every NIC has a link of its own, with chance of its own; one without takes the
// Config's.
func TestEveryNICHasItsOwnLink(t *testing.T) {
	frames := func() *nictest.Wire {
		w := &nictest.Wire{}
		for i := range 400 {
			w.Frames = append(w.Frames, nic.WireFrame{ID: uint64(i + 1), At: sim.Time(i) * sim.Microsecond, Data: to(9, 60)})
		}
		return w
	}
	h, err := ringside.New(ringside.Config{Seed: 1, Link: spec(t, "loss 50%"), NICs: []ringside.NIC{
		{Wire: frames()}, {Wire: frames()}, {Wire: frames(), Link: spec(t, "duplicate 100%")},
	}})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	rep := h.Report()
	require.Len(t, rep.Links, 3)
	a, b, c := rep.Links[0], rep.Links[1], rep.Links[2]
	require.Equal(t, []string{"eth0", "eth1", "eth2"}, []string{a.NIC, b.NIC, c.NIC})
	require.InDelta(t, 200, float64(a.Rx.Out), 50)
	require.InDelta(t, 200, float64(b.Rx.Out), 50)
	require.NotEqual(t, a.Rx.Out, b.Rx.Out)
	require.Equal(t, uint64(800), c.Rx.Out)
}

func TestALinkThatCannotBeIsRefused(t *testing.T) {
	_, err := ringside.New(ringside.Config{Link: wire.Spec{Rx: wire.Way{Limit: -1}}})
	require.EqualError(t, err, "ringside: eth0: wire: Config.Spec: rx: limit -1; up to 1048576 frames are possible")
}

func TestLinkInTheReportsJSON(t *testing.T) {
	rep, _ := linked(t, filepath.Join("testdata", "ping.pcap"), "delay 5ms loss 30%", ringside.Replay{}, ringside.Config{Seed: 1})
	b, err := json.Marshal(rep)
	require.NoError(t, err)
	rx := rep.Links[0].Rx
	require.NotZero(t, rx.Lost["LINK_LOSS"])
	want := fmt.Sprintf(`"links":[{"nic":"eth0","spec":"delay 5ms loss 30%%","rx":{"in":%d,"duplicated":0,"corrupted":0,"reordered":0,`+
		`"lost":{"LINK_LOSS":%d},"out":%d,"held":0,"delay_ns":{"min":5000000,"mean":5000000,"max":5000000}},`, rx.In, rx.Lost["LINK_LOSS"], rx.Out)
	require.Contains(t, string(b), want)
	none, _ := linked(t, filepath.Join("testdata", "ping.pcap"), "", ringside.Replay{}, ringside.Config{Seed: 1})
	b, err = json.Marshal(none)
	require.NoError(t, err)
	require.NotContains(t, string(b), `"links"`)
}

// What docs/links.md prints is what the command prints.
func TestLinksPageNamesEveryReason(t *testing.T) {
	page, err := os.ReadFile("docs/links.md")
	require.NoError(t, err)
	for why := wire.NotLost + 1; why < wire.NumReasons; why++ {
		require.Contains(t, string(page), why.String())
	}
}
