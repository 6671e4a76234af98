package guest

import "slices"

// A Result is what a process has recorded: a number with its unit, or a text.
type Result struct {
	Process string
	Name    string
	Value   int64
	Unit    string // "" of a plain number
	Text    string // of RecordText
}

// recorded is a result, and what to read it from when it is asked for.
type recorded struct {
	Result
	read func() int64
}

// Record writes down a result, which reports and expectations read. The last value
// of one name stands.
func (p *Proc) Record(name string, value int64, unit string) {
	p.k.record(recorded{Result: Result{Process: p.name, Name: name, Value: value, Unit: unit}})
}

// RecordText is Record of a text, a hash for instance.
func (p *Proc) RecordText(name, text string) {
	p.k.record(recorded{Result: Result{Process: p.name, Name: name, Text: text}})
}

// RecordFunc is Record of what read says when the results are looked at, for a
// program that does not end.
func (p *Proc) RecordFunc(name, unit string, read func() int64) {
	p.k.record(recorded{Result{Process: p.name, Name: name, Unit: unit}, read})
}

func (k *Kernel) record(r recorded) {
	i := slices.IndexFunc(k.results, func(o recorded) bool { return o.Process == r.Process && o.Name == r.Name })
	if i < 0 {
		k.results = append(k.results, r)
		return
	}
	k.results[i] = r
}

// Results is what the processes have recorded, in the order in which the names first
// were.
func (k *Kernel) Results() []Result {
	list := make([]Result, len(k.results))
	for i, r := range k.results {
		if list[i] = r.Result; r.read != nil {
			list[i].Value = r.read()
		}
	}
	return list
}
