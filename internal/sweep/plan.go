package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Schema names the shape of a Result as JSON.
const Schema = "ringside.sweep/1"

// A Plan is everything that a sweep's rows depend on.
type Plan struct {
	Version  string    `json:"version"` // of the program
	Knob     string    `json:"knob"`
	Values   []string  `json:"values"`
	By       string    `json:"by,omitempty"` // a second knob, with a curve for each of Series
	Series   []string  `json:"series,omitempty"`
	Settings []Setting `json:"settings"`        // of the machine, the same for all points
	Files    []File    `json:"files,omitempty"` // captures
}

// A Setting is a flag that was given.
type Setting struct {
	Flag  string `json:"flag"`
	Value string `json:"value"`
}

// A File is a capture and what is in it.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// A Point is one run.
type Point struct {
	Index  int
	Series string // "" without By
	Value  string
}

// Points are all runs of the plan in the order of their rows.
func (p *Plan) Points() (list []Point) {
	series := p.Series
	if len(series) == 0 {
		series = []string{""}
	}
	for _, s := range series {
		for _, v := range p.Values {
			list = append(list, Point{len(list), s, v})
		}
	}
	return list
}

// ID is the same for plans that are alike.
func (p *Plan) ID() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("sweep: a plan is text: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// A Row is what one point gave. Counts and times are of the time that was measured.
type Row struct {
	Point  int    `json:"point"`
	Series string `json:"series,omitempty"`
	Value  string `json:"value"`

	OfferedPPS     uint64  `json:"offered_pps"`
	DeliveredPPS   uint64  `json:"delivered_pps"`
	Sent           uint64  `json:"sent"` // frames, of the whole run
	Lost           uint64  `json:"lost"` // likewise
	LossPPM        uint64  `json:"loss_ppm"`
	P50Ns          int64   `json:"p50_ns"`
	P99Ns          int64   `json:"p99_ns"`
	CyclesPerFrame float64 `json:"cycles_per_frame"` // for every frame delivered; 0 if none was
	CoresBusy      float64 `json:"cores_busy"`
	Interrupts     uint64  `json:"interrupts"`
	Polls          uint64  `json:"polls"`
	ForNs          int64   `json:"for_ns"`
	TraceHash      string  `json:"trace_hash"`
}

// A Result is a sweep, or one machine's part of it.
type Result struct {
	Schema string `json:"schema"`
	ID     string `json:"plan_id"`
	Plan   Plan   `json:"plan"`
	Shard  *Shard `json:"shard,omitempty"` // nil when it is whole
	Rows   []Row  `json:"rows"`
}

// A Shard is part Index of Of, from 0.
type Shard struct {
	Index int `json:"index"`
	Of    int `json:"of"`
}

// Has says that a point is of the shard; all points are of none.
func (s *Shard) Has(p Point) bool { return s == nil || p.Index%s.Of == s.Index }

// New is a result with its plan and rows.
func New(p Plan, s *Shard, rows []Row) *Result { return &Result{Schema, p.ID(), p, s, rows} }

// Merge puts parts together. They must be of one plan, and have all its points.
func Merge(parts []*Result) (*Result, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("sweep: nothing to merge")
	}
	plan := parts[0].Plan
	points := plan.Points()
	rows, have := make([]Row, len(points)), make([]bool, len(points))
	for i, r := range parts {
		if r.Schema != Schema || r.ID != r.Plan.ID() {
			return nil, fmt.Errorf("sweep: part %d is not a %s as it was written", i+1, Schema)
		}
		if r.ID != parts[0].ID {
			return nil, fmt.Errorf("sweep: part %d is of another sweep than part 1: plan %.12s and plan %.12s", i+1, r.ID, parts[0].ID)
		}
		for _, row := range r.Rows {
			switch {
			case row.Point < 0 || row.Point >= len(points) || row.Value != points[row.Point].Value || row.Series != points[row.Point].Series:
				return nil, fmt.Errorf("sweep: part %d: point %d, %s, is none of the plan", i+1, row.Point, row.Value)
			case have[row.Point] && rows[row.Point] != row:
				return nil, fmt.Errorf("sweep: part %d: point %d is there already, with another outcome", i+1, row.Point)
			}
			rows[row.Point], have[row.Point] = row, true
		}
	}
	missing := 0
	first := -1
	for i, ok := range have {
		if !ok {
			if missing++; first < 0 {
				first = i
			}
		}
	}
	if missing > 0 {
		return nil, fmt.Errorf("sweep: %d of %d points are in no part; the first is point %d, %s", missing, len(points), first, points[first].Value)
	}
	return New(plan, nil, rows), nil
}
