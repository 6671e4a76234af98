package validate

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/internal/workload"
	"ringside/machine"
)

func TestMedianIsTheMiddleOrTheMeanOfTheTwoThere(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	require.Equal(t, 7.0, median([]float64{7}))
}

func TestRatiosCountAlikeInBothDirectionsAndRowsWithoutPredictionDoNotCount(t *testing.T) {
	g := Group{Goal: 2, Rows: []Row{{Published: 10}, {Published: 10}, {Published: 10, Why: "not"}}}
	g.Rows[0].set(5)
	g.Rows[1].set(20)
	g.sum()
	require.InDelta(t, math.Log(2), *g.Median, 1e-4)
	require.True(t, g.Reached)
	require.Equal(t, 0.5, *g.Rows[0].Ratio)
	require.Nil(t, g.Rows[2].Ratio)

	empty := Group{Goal: 2, Rows: []Row{{Published: 1, Why: "not"}}}
	empty.sum()
	require.Nil(t, empty.Median)
	require.False(t, empty.Reached)
}

// Every row either names a machine and a workload that are there, or says why not.
func TestRowsCanBeRunOrSayWhyNot(t *testing.T) {
	for _, g := range groups() {
		for _, r := range g.Rows {
			require.Positive(t, r.Published, r.What)
			if r.Why != "" {
				require.Empty(t, r.Case, r.What)
				continue
			}
			_, err := machine.Open(r.Machine)
			require.NoError(t, err)
			_, err = workload.Find(r.Case)
			require.NoError(t, err)
		}
	}
}

// The goals, as far as they are reached. docs/validate.md says what is wrong with the
// others.
func TestGoalsAreReached(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every workload")
	}
	r, err := Run(t.Context())
	require.NoError(t, err)
	for _, g := range r.Groups {
		for _, row := range g.Rows {
			require.Equal(t, row.Predicted == nil, row.Why != "", row.What)
		}
		switch g.Name {
		case "xdp", "kernel", "polled", "switch", "virtio":
			require.LessOrEqual(t, *g.Median, math.Log(g.Goal), g.Name)
			require.True(t, g.Reached, g.Name)
		}
	}
	shape(t, r)
}

// shape holds the object that programs read.
func shape(t *testing.T, r *Report) {
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var top struct {
		Schema string
		Groups []map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &top))
	require.Equal(t, Schema, top.Schema)
	for _, g := range top.Groups {
		require.Contains(t, g, "median_abs_log_ratio")
		for _, row := range g["rows"].([]any) {
			for _, key := range []string{"what", "machine", "source", "status", "unit", "published", "predicted", "ratio"} {
				require.Contains(t, row, key)
			}
		}
	}
}
