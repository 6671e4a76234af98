package chart

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"ringside/internal/compare"
)

// kindColours are of Tol's muted scheme: ten that most people can tell apart.
var kindColours = []color.RGBA{
	{0x88, 0x22, 0x55, 0xff}, {0x33, 0x22, 0x88, 0xff}, {0x44, 0xaa, 0x99, 0xff}, {0xdd, 0xcc, 0x77, 0xff}, {0xcc, 0x66, 0x77, 0xff},
	{0x88, 0xcc, 0xee, 0xff}, {0xaa, 0x44, 0x99, 0xff}, {0x99, 0x99, 0x33, 0xff}, {0x11, 0x77, 0x33, 0xff}, {0xbb, 0xbb, 0xbb, 0xff},
}

// CompareSVG draws a comparison: for each machine the cycles of a frame by kind, and
// beside them what one core would carry.
func CompareSVG(w io.Writer, r *compare.Result) error {
	c := vgsvg.New(width, comparisonHeight(r))
	if err := comparison(draw.New(c), r); err != nil {
		return err
	}
	_, err := c.WriteTo(w)
	return err
}

// ComparePNG draws the same as pixels.
func ComparePNG(w io.Writer, r *compare.Result) error {
	c := vgimg.New(width, comparisonHeight(r))
	if err := comparison(draw.New(c), r); err != nil {
		return err
	}
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

const barHeight = 0.36 * vg.Centimeter

// comparisonHeight has room for every bar, and for title, axis and legend.
func comparisonHeight(r *compare.Result) vg.Length {
	return vg.Length(len(shown(r)))*barHeight*1.6 + 4*vg.Centimeter
}

// shown are the rows that have numbers, the last first, since bars are drawn upwards.
func shown(r *compare.Result) (rows []*compare.Row) {
	for i := range r.Rows {
		if row := &r.Rows[len(r.Rows)-1-i]; row.Cannot == "" {
			rows = append(rows, row)
		}
	}
	return rows
}

func comparison(dc draw.Canvas, r *compare.Result) error {
	rows := shown(r)
	if len(rows) == 0 {
		return fmt.Errorf("chart: a comparison without a row that has numbers")
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = label(r, row)
	}
	cost, err := costBars(r, rows)
	if err != nil {
		return err
	}
	carried, err := plotter.NewBarChart(values(rows, func(row *compare.Row) float64 { return float64(row.CorePPS) / 1e6 }), barHeight)
	if err != nil {
		return fmt.Errorf("chart: %w", err)
	}
	carried.Horizontal, carried.Color, carried.LineStyle.Width = true, colours[0], 0
	rate := plot.New()
	rate.Title.Text, rate.X.Label.Text, rate.X.Min = "one core would carry", "million frames a second", 0
	rate.Add(carried)
	panels := [][]*plot.Plot{{cost, rate}}
	for _, p := range panels[0] {
		p.NominalY(names...)
		p.Y.Min, p.Y.Max = -0.7, float64(len(rows))-0.3
	}
	const pad = 0.4 * vg.Centimeter
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadTop: pad, PadBottom: pad, PadLeft: pad, PadRight: pad, PadX: 2 * pad}
	for x, at := range plot.Align(panels, tiles, dc)[0] {
		panels[0][x].Draw(at)
	}
	return nil
}

// costBars are stacks of the kinds.
func costBars(r *compare.Result, rows []*compare.Row) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.X.Min = "a frame's cycles", "cycles for a frame delivered", 0
	var below *plotter.BarChart
	for i, kind := range r.Kinds {
		v := values(rows, func(row *compare.Row) float64 { return row.Cycles[kind] })
		if empty(v) {
			continue
		}
		b, err := plotter.NewBarChart(v, barHeight)
		if err != nil {
			return nil, fmt.Errorf("chart: %w", err)
		}
		b.Horizontal, b.Color, b.LineStyle.Width = true, kindColours[i%len(kindColours)], 0
		if below != nil {
			b.StackOn(below)
		}
		p.Add(b)
		p.Legend.Add(kind, b)
		below = b
	}
	p.Legend.Top = true
	p.X.Max = 1.3 * most(rows)
	return p, nil
}

func most(rows []*compare.Row) float64 {
	m := 1.0
	for _, row := range rows {
		m = max(m, row.CyclesPerFrame)
	}
	return m
}

func values(rows []*compare.Row, of func(*compare.Row) float64) (v plotter.Values) {
	for _, row := range rows {
		v = append(v, of(row))
	}
	return v
}

func empty(v plotter.Values) bool {
	for _, x := range v {
		if x > 0 {
			return false
		}
	}
	return true
}

// label is a row's name: its path, and of the other knobs those that differ somewhere.
func label(r *compare.Result, row *compare.Row) string {
	words := []string{row.Path}
	differs := func(of func(*compare.Row) string) bool {
		for i := range r.Rows {
			if of(&r.Rows[i]) != of(&r.Rows[0]) {
				return true
			}
		}
		return false
	}
	if differs(func(r *compare.Row) string { return r.Pinning }) {
		words = append(words, map[string]string{"on": "pinned", "off": "unpinned"}[row.Pinning])
	}
	if differs(func(r *compare.Row) string { return r.Pages }) {
		words = append(words, row.Pages)
	}
	return strings.Join(words, " ")
}
