package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every "$ ringside …" of the README is run, and every line below it, up to the
// end of its block, is printed in that order; "…" stands for lines left out.
func TestReadmeShowsWhatTheCommandPrints(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	require.NotContains(t, string(text), "@@", "a placeholder is left")
	t.Chdir("../..")
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
			require.Less(t, i, len(printed), "README.md:%d is not what is printed: %q", n+1, line)
			printed = printed[i+1:]
		}
	}
	require.Equal(t, 2, shown, "runs in the README")
}
