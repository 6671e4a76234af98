// Package chart draws what a sweep found, as an SVG picture of four panels: frames
// delivered beside those offered, latency, cycles for a frame, and busy cores.
package chart

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"ringside/internal/sweep"
)

// The page.
const (
	width  = 24 * vg.Centimeter
	height = 17 * vg.Centimeter
)

// colours are of Okabe and Ito, which most people can tell apart.
var colours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x00, 0x00, 0x00, 0xff},
}

// WriteSVG draws a result.
func WriteSVG(w io.Writer, r *sweep.Result) error {
	c := vgsvg.New(width, height)
	if err := page(draw.New(c), r); err != nil {
		return err
	}
	_, err := c.WriteTo(w)
	return err
}

// WritePNG draws the same as pixels.
func WritePNG(w io.Writer, r *sweep.Result) error {
	c := vgimg.New(width, height)
	if err := page(draw.New(c), r); err != nil {
		return err
	}
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

// A curve is one line of a panel.
type curve struct {
	name   string
	of     func(*sweep.Row) float64
	dashed bool
}

func page(dc draw.Canvas, r *sweep.Result) error {
	if len(r.Rows) == 0 {
		return fmt.Errorf("chart: a sweep without a row")
	}
	a := newAxis(r)
	panels := [][]*plot.Plot{{
		a.panel("delivered", "frames a second, millions", curve{"", func(r *sweep.Row) float64 { return float64(r.DeliveredPPS) / 1e6 }, false},
			curve{"offered", func(r *sweep.Row) float64 { return float64(r.OfferedPPS) / 1e6 }, true}),
		a.panel("latency", "microseconds", curve{"p99", func(r *sweep.Row) float64 { return some(float64(r.P99Ns) / 1e3) }, false},
			curve{"p50", func(r *sweep.Row) float64 { return some(float64(r.P50Ns) / 1e3) }, true}),
	}, {
		a.panel("cost", "cycles for a frame delivered", curve{"", func(r *sweep.Row) float64 { return some(r.CyclesPerFrame) }, false}),
		a.panel("CPU", "cores busy", curve{"", func(r *sweep.Row) float64 { return r.CoresBusy }, false}),
	}}
	const pad = 0.4 * vg.Centimeter
	tiles := draw.Tiles{Rows: 2, Cols: 2, PadTop: pad, PadBottom: pad, PadLeft: pad, PadRight: pad, PadX: 2 * pad, PadY: 2 * pad}
	for y, row := range plot.Align(panels, tiles, dc) {
		for x, at := range row {
			panels[y][x].Draw(at)
		}
	}
	return a.err
}

// some is x, or no number where no frame was delivered: there the curve has nothing.
func some(x float64) float64 {
	if x == 0 {
		return math.NaN()
	}
	return x
}

// An axis is the knob's.
type axis struct {
	r     *sweep.Result
	label string
	words []string // where values are no numbers
	scale float64
	err   error

	legends int // of the panel
}

func newAxis(r *sweep.Result) *axis {
	a := &axis{r: r, label: r.Plan.Knob, scale: 1}
	unit, most := "", 0.0
	for _, v := range r.Plan.Values {
		x, u, ok := sweep.Number(v)
		if !ok {
			a.words = r.Plan.Values
			return a
		}
		unit, most = u, max(most, x)
	}
	switch unit {
	case "ps":
		a.scale, unit = 1e6, "us"
	case "pps":
		a.scale, unit = 1e6, "million frames a second"
	case "bps":
		a.scale, unit = 1e9, "Gbit/s"
	}
	if unit != "" {
		a.label += ", " + unit
	}
	return a
}

// x is where a value stands.
func (a *axis) x(value string) float64 {
	for i, w := range a.words {
		if w == value {
			return float64(i)
		}
	}
	x, _, _ := sweep.Number(value)
	return x / a.scale
}

func (a *axis) panel(title, y string, curves ...curve) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, a.label, y
	p.Y.Min = 0
	p.Legend.Top = true
	p.Legend.Left = true
	p.Add(plotter.NewGrid())
	if a.words != nil {
		p.NominalX(a.words...)
	}
	series := a.r.Plan.Series
	if len(series) == 0 {
		series = []string{""}
	}
	a.legends = 0
	for i, s := range series {
		for _, c := range curves {
			if c.name == "offered" && i > 0 {
				continue // all were offered the same
			}
			a.add(p, c, s, i)
		}
	}
	p.Y.Max = max(p.Y.Max*(1.05+0.1*float64(a.legends)), 1e-3) // room for the legend
	return p
}

// add draws one curve of one series.
func (a *axis) add(p *plot.Plot, c curve, series string, i int) {
	var pts plotter.XYs
	for k := range a.r.Rows {
		row := &a.r.Rows[k]
		if y := c.of(row); row.Series == series && !math.IsNaN(y) {
			pts = append(pts, plotter.XY{X: a.x(row.Value), Y: y})
		}
	}
	if len(pts) == 0 {
		return
	}
	line, marks, err := plotter.NewLinePoints(pts)
	if err != nil {
		a.err = fmt.Errorf("chart: %w", err)
		return
	}
	col := colours[i%len(colours)]
	line.Color, marks.Color = col, col
	line.Width = vg.Points(1.5)
	marks.Shape, marks.Radius = draw.CircleGlyph{}, vg.Points(1.8)
	if c.name == "offered" {
		line.Color = color.Gray{0x90}
	}
	if c.dashed {
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(line)
	} else {
		p.Add(line, marks)
	}
	name := c.name
	switch {
	case name == "" && series != "" && p.Title.Text == "delivered":
		name = a.r.Plan.By + " " + series // the colour holds for all panels
	case name != "" && i > 0:
		return // said with the first
	}
	if name != "" {
		p.Legend.Add(name, line)
		a.legends++
	}
}
