package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadmeShowsWhatTheCommandPrints(t *testing.T) { shows(t, "README.md", 5) }

func TestBridgePageShowsWhatTheCommandPrints(t *testing.T) { shows(t, "docs/bridge.md", 6) }

func TestLoadPageShowsWhatTheCommandPrints(t *testing.T) { shows(t, "docs/load.md", 1) }

func TestComparePageShowsWhatTheCommandPrints(t *testing.T) { shows(t, "docs/compare.md", 2) }

func TestSweepPageShowsWhatTheCommandPrints(t *testing.T) { shows(t, "docs/sweep.md", 1) }

// shows runs every "$ ringside …" of a page and finds every line below it, up to the
// end of its block, in what is printed, in that order; "…" stands for lines left out.
func shows(t *testing.T, page string, runs int) {
	t.Helper()
	t.Chdir("../..")
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.NotContains(t, string(text), "@@", "a placeholder is left")
	var printed []string
	shown := 0
	for n, line := range strings.Split(string(text), "\n") {
		line, inBlock := strings.CutPrefix(line, "    ")
		args, isCall := strings.CutPrefix(line, "$ ringside ")
		switch {
		case inBlock && isCall:
			var out, errs bytes.Buffer
			require.Zero(t, run(context.Background(), strings.Fields(args), strings.NewReader(""), &out, &errs), errs.String())
			printed = strings.Split(out.String(), "\n")
			shown++
		case !inBlock && line != "":
			printed = nil
		case printed == nil || strings.TrimSpace(line) == "" || strings.TrimSpace(line) == "…":
		default:
			i := 0
			for i < len(printed) && strings.TrimRight(printed[i], " ") != strings.TrimRight(line, " ") {
				i++
			}
			require.Less(t, i, len(printed), "%s:%d is not what is printed: %q", page, n+1, line)
			printed = printed[i+1:]
		}
	}
	require.Equal(t, runs, shown, "runs on the page")
}
