package bridge

import (
	"fmt"

	"ringside/cost"
)

// A Check is one step on the way of a frame, as Explain tells it.
type Check struct {
	Step string // the function, as Linux calls it
	Says string // what was found there
}

type recorder struct{ checks []Check }

func (r *recorder) says(step, format string, args ...any) {
	r.checks = append(r.checks, Check{step, fmt.Sprintf(format, args...)})
}

func (r *recorder) found(e Entry) {
	r.says("br_fdb_find_rcu", "%v is %v on port %d", e.MAC, e.Kind, e.Port)
}

func (r *recorder) port(p Port, step string, why cost.DropReason) {
	r.says(step, "port %d: %v", p, why)
}

func (b *Bridge) say(step, says string) {
	if b.why != nil {
		b.why.checks = append(b.why.checks, Check{step, says})
	}
}
