package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A Runner works through the points of a plan.
type Runner struct {
	Workers int    // 0 means 1
	Shard   *Shard // nil means all points
	Done    []Row  // of points that need not be run again
	// Do runs a point. Several run at once.
	Do func(context.Context, Point) (Row, error)
	// Finished, if not nil, is called with each row as it comes, one at a time. An
	// error ends the sweep.
	Finished func(Row) error
}

// Run returns the rows in the order of the plan. After an error no new point is
// begun; of several errors that of the first point is returned.
func (r Runner) Run(ctx context.Context, p *Plan) ([]Row, error) {
	points := p.Points()
	rows, have := make([]Row, len(points)), make([]bool, len(points))
	for _, row := range r.Done {
		if row.Point < 0 || row.Point >= len(points) {
			return nil, fmt.Errorf("sweep: point %d is none of the plan's %d", row.Point, len(points))
		}
		rows[row.Point], have[row.Point] = row, true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := make(chan Point)
	go func() {
		defer close(todo)
		for _, pt := range points {
			if have[pt.Index] || !r.Shard.Has(pt) {
				continue
			}
			select {
			case todo <- pt:
			case <-ctx.Done():
				return
			}
		}
	}()
	var (
		lock  sync.Mutex
		wait  sync.WaitGroup
		err   error
		errAt = len(points)
		got   = make([]bool, len(points))
	)
	fail := func(at int, e error) {
		if err == nil || at < errAt && !errors.Is(e, context.Canceled) {
			err, errAt = e, at
		}
		cancel()
	}
	for range max(r.Workers, 1) {
		wait.Go(func() {
			for pt := range todo {
				row, e := r.Do(ctx, pt)
				lock.Lock()
				row.Point, row.Series, row.Value = pt.Index, pt.Series, pt.Value
				if e == nil && r.Finished != nil {
					e = r.Finished(row)
				}
				if e != nil {
					fail(pt.Index, fmt.Errorf("%s %s: %w", p.Knob, pt.Value, e))
				} else {
					rows[pt.Index], got[pt.Index] = row, true
				}
				lock.Unlock()
			}
		})
	}
	wait.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	var out []Row
	for _, pt := range points {
		if r.Shard.Has(pt) && (have[pt.Index] || got[pt.Index]) {
			out = append(out, rows[pt.Index])
		}
	}
	return out, nil
}
