package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/internal/chart"
	"ringside/internal/sweep"
)

func result(values, series []string) *sweep.Result {
	p := sweep.Plan{Version: "1", Knob: "rate", Values: values, Series: series}
	if series != nil {
		p.By = "interrupts"
	}
	var rows []sweep.Row
	for _, pt := range p.Points() {
		n := uint64(pt.Index + 1)
		rows = append(rows, sweep.Row{Point: pt.Index, Series: pt.Series, Value: pt.Value, OfferedPPS: n * 1e5, DeliveredPPS: n * 9e4, P50Ns: 5000, P99Ns: 9000, CyclesPerFrame: 1500, CoresBusy: 1})
	}
	return sweep.New(p, nil, rows)
}

func draw(t *testing.T, r *sweep.Result) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, chart.WriteSVG(&b, r))
	return b.String()
}

func TestAPictureIsWholeAndTheSameEveryTime(t *testing.T) {
	r := result([]string{"100kpps", "1mpps", "2mpps"}, []string{"napi", "per-frame"})
	svg := draw(t, r)
	require.Equal(t, svg, draw(t, r))
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, want := range []string{"delivered", "latency", "cycles for a frame delivered", "cores busy", "rate, million frames a second", "interrupts napi", "interrupts per-frame", "p99", "offered"} {
		assert.Contains(t, svg, want)
	}
}

func TestWordsStandOnTheAxisAsTheyAre(t *testing.T) {
	svg := draw(t, result([]string{"on", "off"}, nil))
	assert.Contains(t, svg, ">on<")
	assert.Contains(t, svg, ">off<")
}

// Where nothing is delivered there is no latency to draw, and one point is a picture.
func TestRowsWithoutADeliveredFrame(t *testing.T) {
	r := result([]string{"1", "2"}, nil)
	for i := range r.Rows {
		r.Rows[i].P50Ns, r.Rows[i].P99Ns, r.Rows[i].CyclesPerFrame, r.Rows[i].DeliveredPPS = 0, 0, 0, 0
	}
	assert.NotContains(t, draw(t, r), "NaN")
	draw(t, result([]string{"5us"}, nil))
	assert.Error(t, chart.WriteSVG(io.Discard, sweep.New(sweep.Plan{}, nil, nil)))
}

func TestPixelsToo(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, chart.WritePNG(&b, result([]string{"1", "2"}, nil)))
	assert.Equal(t, "\x89PNG", b.String()[:4])
}
