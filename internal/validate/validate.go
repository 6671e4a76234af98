package validate

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"

	"ringside/internal/workload"
	"ringside/machine"
)

// Schema is the first field of a Report.
const Schema = "ringside.validate/1"

// Fitted is how many parameters of the model were chosen to make a row fit.
const Fitted = 0

// A Report is all groups.
type Report struct {
	Schema string  `json:"schema"`
	Fitted int     `json:"fitted_parameters"`
	Groups []Group `json:"groups"`
}

// A Group is rows that have one goal.
type Group struct {
	Name    string   `json:"name"`
	About   string   `json:"about"`
	Rows    []Row    `json:"rows"`
	Goal    float64  `json:"goal"`                 // the factor within which the median row is to be
	Median  *float64 `json:"median_abs_log_ratio"` // nil if no row could be predicted
	Reached bool     `json:"goal_reached"`
}

// A Row is one published number.
type Row struct {
	What      string   `json:"what"`
	Machine   string   `json:"machine"`
	Source    string   `json:"source"`
	Status    string   `json:"status"`
	Unit      string   `json:"unit"`
	Published float64  `json:"published"`
	Predicted *float64 `json:"predicted"`
	Ratio     *float64 `json:"ratio"` // predicted to published
	Case      string   `json:"case,omitempty"`
	Bound     string   `json:"bound,omitempty"`
	Why       string   `json:"why,omitempty"`    // there is no prediction
	Priced    bool     `json:"priced,omitempty"` // a price of the books was worked out from this very row

	knobs     workload.Knobs
	retpoline bool
}

// Run predicts every row, on as many of this machine's processors as there are. A row's
// prediction is a function of the row.
func Run(ctx context.Context) (*Report, error) {
	r := &Report{Schema: Schema, Fitted: Fitted, Groups: groups()}
	var rows []*Row
	for i := range r.Groups {
		for j := range r.Groups[i].Rows {
			rows = append(rows, &r.Groups[i].Rows[j])
		}
	}
	errs := make([]error, len(rows))
	next, wait := make(chan int), sync.WaitGroup{}
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range next {
				errs[i] = rows[i].predict()
			}
		})
	}
	for i := range rows {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i := range errs {
		if errs[i] != nil {
			return nil, errs[i]
		}
	}
	for i := range r.Groups {
		r.Groups[i].sum()
	}
	return r, nil
}

// Predict is what every workload makes of a machine: a group of rows with nothing
// published beside them.
func Predict(ctx context.Context, m *machine.Machine) (*Group, error) {
	g := &Group{Name: m.Name, About: m.Title}
	for _, c := range workload.Cases() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		r := Row{What: c.Does, Machine: m.Name, Unit: "Mpps", Case: c.Name}
		got, err := c.Run(m, workload.Knobs{})
		if err != nil {
			return nil, err
		}
		mpps := math.Round(got.PPS/1e3) / 1e3
		r.Predicted, r.Bound = &mpps, string(got.Bound)
		g.Rows = append(g.Rows, r)
	}
	return g, nil
}

// predict puts the row's workload on its machine. A row that says why it cannot be
// predicted is left alone.
func (r *Row) predict() error {
	if r.Why != "" {
		return nil
	}
	m, err := machine.Open(r.Machine)
	if err != nil {
		return err
	}
	if r.retpoline {
		m.Retpoline = true
	}
	c, err := workload.Find(r.Case)
	if err != nil {
		return err
	}
	got, err := c.Run(m, r.knobs)
	if err != nil {
		return err
	}
	r.set(got.PPS / 1e6)
	r.Bound = string(got.Bound)
	return nil
}

// set fills in a prediction.
func (r *Row) set(mpps float64) {
	mpps = math.Round(mpps*1000) / 1000
	ratio := math.Round(mpps/r.Published*1000) / 1000
	r.Predicted, r.Ratio = &mpps, &ratio
}

// sum is the median of the group's rows and whether it is good enough. Goals are factors
// in either direction, as logarithms are symmetric.
func (g *Group) sum() {
	var logs []float64
	for _, r := range g.Rows {
		if r.Predicted != nil {
			logs = append(logs, math.Abs(math.Log(*r.Predicted/r.Published)))
		}
	}
	if len(logs) == 0 {
		return
	}
	m := math.Round(median(logs)*1e4) / 1e4
	g.Median, g.Reached = &m, m <= math.Log(g.Goal)
}

// median is the middle of a list that is not empty, or the mean of the two there.
func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}
