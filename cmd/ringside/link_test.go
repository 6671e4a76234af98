package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page on links shows a run: the command, and what it prints of the link.
func TestLinksPageShowsWhatIsPrinted(t *testing.T) {
	page, err := os.ReadFile("../../docs/links.md")
	require.NoError(t, err)
	inTestdata(t)
	code, out, errs := call(t, "replay", "http.pcap", "--link", "delay 5ms 1ms loss 2% reorder 25% gap 5 duplicate 3%")
	require.Zero(t, code, errs)
	_, shown, ok := strings.Cut(out, "ON THE LINK")
	require.True(t, ok)
	shown, _, _ = strings.Cut(shown, "\n\n")
	require.Contains(t, string(page), "ON THE LINK"+shown)
}

// A frame that was lost on the link has a journey of one line, and that is an answer.
func TestTraceOfAFrameThatWasLostOnTheLink(t *testing.T) {
	inTestdata(t)
	args := []string{"trace", "http.pcap", "--frame", "6", "--link", "rate 1mbit queue 1", "--speed", "top"}
	code, out, errs := call(t, args...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "frame 6 of http.pcap, 134 bytes\n  02:00:00:00:00:11 > 02:00:00:00:00:12; IPv4")
	require.Contains(t, out, "It was lost on the link 363.2 ns after the run began: LINK_QUEUE, no room in the queue")
	code, out, errs = call(t, append(args, "--json")...)
	require.Zero(t, code, errs)
	var j journeyOf
	require.NoError(t, json.Unmarshal([]byte(out), &j))
	require.Equal(t, []string{"lost on the link", "LINK_QUEUE"}, []string{j.Verdict, j.Lost})
	require.Equal(t, int64(363_200), j.BeganPs)
	require.NotEmpty(t, j.TraceHash)

	// One that left and was lost behind the NIC has its journey, and a line more.
	args = []string{"trace", "udp-flood.pcap", "--frame", "1099511627776", "--guest", "reflect", "--link", "tx loss 100%"}
	code, out, errs = call(t, args...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "Behind the NIC it was lost on the link: LINK_LOSS, lost at random.")
	code, out, _ = call(t, append(args, "--json")...)
	require.Zero(t, code)
	require.Contains(t, out, `"lost": "LINK_LOSS"`)
}

func TestLinkIsOnThePage(t *testing.T) {
	inTestdata(t)
	for _, width := range []string{"60", "80", "100"} {
		code, out, errs := call(t, "replay", "udp-flood.pcap", "--speed", "top", "--guest", "reflect", "--width", width, "--link",
			"rate 700mbit queue 64kb delay 300us 50us distribution normal overtake loss gemodel 1% 20% duplicate 3% corrupt 1%")
		require.Zero(t, code, errs)
		for _, words := range []string{"ON THE LINK OF ETH0", "  rx ", "  tx ", "LINK_BURST", "LINK_QUEUE", "reordered", "corrupted", "delay "} {
			require.Contains(t, out, words)
		}
		for line := range strings.Lines(out) {
			require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), map[string]int{"60": 60, "80": 80, "100": 100}[width])
		}
	}
	code, out, _ := call(t, "replay", "udp-flood.pcap", "--link", "25G")
	require.Zero(t, code)
	require.NotContains(t, out, "ON THE LINK")
	require.Contains(t, out, "25 Gbit/s")
}
