package workload

import (
	"fmt"
	"strconv"
	"strings"

	"ringside/load"
	"ringside/nic"
)

// A Task is a workload with its knobs.
type Task struct {
	*Case
	Knobs
}

// Example is a task as Parse reads it.
const Example = "l2fwd,batch=32"

// Bounds of the knobs.
const (
	maxFlows = 1 << 20
	maxBatch = 512
	maxRing  = 4096
	maxCores = nic.MaxQueues
)

// Parse reads a workload's name and its knobs, as in "l2fwd,batch=8,size=128".
func Parse(s string) (t Task, err error) {
	words := strings.Split(s, ",")
	if t.Case, err = Find(words[0]); err != nil {
		return t, err
	}
	for _, w := range words[1:] {
		if w == "plain" && !t.Plain {
			t.Plain = true
			continue
		}
		name, text, _ := strings.Cut(w, "=")
		at, lo, hi := t.knob(name)
		if at == nil {
			return t, fmt.Errorf("%s: there is no knob %q: size, flows, batch, ring, cores and plain are, as in %s", words[0], name, Example)
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < lo || n > hi {
			return t, fmt.Errorf("%s: %s is a whole number from %d to %d, as in %s=%d", words[0], name, lo, hi, name, lo)
		}
		if *at != 0 {
			return t, fmt.Errorf("%s: %s is there twice", words[0], name)
		}
		*at = n
	}
	if t.Ring%8 != 0 {
		return t, fmt.Errorf("%s: ring is a multiple of 8, and %d is none", words[0], t.Ring)
	}
	if t.Cores > 1 && !t.Scales() {
		return t, fmt.Errorf("%s: it runs on one core: a bridge in user space and guests are not shared out", words[0])
	}
	return t, nil
}

// knob is where a knob stands, and its bounds; nil if there is none of that name.
func (k *Knobs) knob(name string) (at *int, lo, hi int) {
	switch name {
	case "size":
		return &k.Size, load.MinSize, load.MaxSize
	case "flows":
		return &k.Flows, 1, maxFlows
	case "batch":
		return &k.Batch, 1, maxBatch
	case "ring":
		return &k.Ring, 8, maxRing
	case "cores":
		return &k.Cores, 1, maxCores
	}
	return nil, 0, 0
}

// String is the task as Parse reads it.
func (t Task) String() string {
	s := t.Name
	for _, name := range []string{"size", "flows", "batch", "ring", "cores"} {
		if at, _, _ := t.knob(name); *at != 0 {
			s += fmt.Sprintf(",%s=%d", name, *at)
		}
	}
	if t.Plain {
		s += ",plain"
	}
	return s
}
