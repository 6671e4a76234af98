package ringside

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMixReplays(t *testing.T) {
	rep, err := Replay{Files: []string{"testdata/mix.pcap"}}.Run(Config{Seed: 1}, nil)
	require.NoError(t, err)
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	enc.Encode(rep)
}
