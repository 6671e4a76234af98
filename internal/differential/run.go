package differential

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say how much is compared.
type Options struct {
	Seed    uint64 // of the first random setup
	Configs int    // random setups
	Steps   int    // of each
	Row     string // only named rows whose name has this in it, and no random ones; "" for all
	Show    int    // differences that are printed in full
}

// A Summary is what came of a run on one kernel.
type Summary struct {
	Kernel      string
	Frames      int
	Configs     int
	Differences int
	Once        int // differences that did not come again, and are not counted
	Seconds     float64
	Have, Lack  []string       // features of the kernel
	Used        map[string]int // setups that used each feature
	Skipped     []string       // rows whose needs the kernel has not got
}

// String is the summary's line.
func (s *Summary) String() string {
	return fmt.Sprintf("%d frames, %d configurations, %d differences", s.Frames, s.Configs, s.Differences)
}

// Add counts another kernel's summary in.
func (s *Summary) Add(t *Summary) {
	s.Frames += t.Frames
	s.Configs += t.Configs
	s.Differences += t.Differences
}

// A Pair is the two sides and what the kernel's has.
type Pair struct {
	Linux, Ours Side
	Have, Lack  []string
	// Another makes a pair that can be used beside this one, for setups that
	// mostly wait, in the goroutine that will use it. Without it they are run one
	// by one.
	Another func() (*Pair, func() error, error)
}

// Run compares the named rows and random setups, and tells w of differences.
func (p *Pair) Run(w io.Writer, o Options) (*Summary, error) {
	sum := &Summary{Have: p.Have, Lack: p.Lack, Used: map[string]int{}}
	began := time.Now()
	has := func(name string) bool { return slices.Contains(p.Have, name) && Supports(name) }
	noVLANs := !slices.Contains(p.Have, "vlan_filtering")
	var timed []*Setup
	for _, s := range Rows() {
		s.NoVLANs = noVLANs
		if !strings.Contains(s.Name, o.Row) {
			continue
		}
		if lacks := s.lacks(has); lacks != "" {
			sum.Skipped = append(sum.Skipped, s.Name+": "+lacks)
			continue
		}
		if s.Timed && p.Another != nil {
			timed = append(timed, s)
			continue
		}
		if err := p.one(w, s, sum, o); err != nil {
			return sum, err
		}
	}
	again := []*Setup{}
	if err := p.beside(timed, func(s *Setup, r Result) {
		if r.Difference != nil {
			again = append(again, s)
			return
		}
		p.count(w, s, r, sum, o)
	}); err != nil {
		return sum, err
	}
	for _, s := range again {
		if err := p.one(w, s, sum, o); err != nil {
			return sum, err
		}
	}
	for c := range o.Configs {
		if o.Row != "" {
			break
		}
		s := Generate(o.Seed+uint64(c), o.Steps, has)
		s.NoVLANs = noVLANs
		if err := p.one(w, s, sum, o); err != nil {
			return sum, err
		}
	}
	sum.Seconds = time.Since(began).Seconds()
	return sum, nil
}

// besides is how many setups that wait a processor can look at in time.
const besides = 8

// beside runs setups at the same time, each on a pair of its own: they mostly
// wait. All pairs are made before the first begins, since making one holds the
// kernel up.
func (p *Pair) beside(list []*Setup, each func(*Setup, Result)) error {
	results, errs := make([]Result, len(list)), make([]error, len(list))
	if at := besides * runtime.NumCPU(); len(list) > at {
		if err := p.beside(list[:at], each); err != nil {
			return err
		}
		return p.beside(list[at:], each)
	}
	var made, running sync.WaitGroup
	var making sync.Mutex
	made.Add(len(list))
	for i, s := range list {
		running.Go(func() {
			making.Lock()
			pair, done, err := p.Another()
			making.Unlock()
			made.Done()
			made.Wait()
			if err != nil {
				errs[i] = err
				return
			}
			results[i], err = Compare(pair.Linux, pair.Ours, s)
			errs[i] = errors.Join(err, done())
		})
	}
	running.Wait()
	for i, s := range list {
		if errs[i] == nil {
			each(s, results[i])
		}
	}
	return errors.Join(errs...)
}

// tries is how often a difference has to show to be one. The kernel runs by a
// real clock on a machine with other work: what it does late, once, is no fact
// about its bridge.
const tries = 3

func (p *Pair) one(w io.Writer, s *Setup, sum *Summary, o Options) error {
	for try := 1; ; try++ {
		r, err := Compare(p.Linux, p.Ours, s)
		if err != nil {
			return err
		}
		if r.Difference == nil || try == tries {
			if try > 1 && r.Difference == nil {
				sum.Once++
				fmt.Fprintf(w, "%s, seed %d: a difference that did not come again\n", s.Name, s.Seed)
			}
			p.count(w, s, r, sum, o)
			return nil
		}
	}
}

// count adds a result to a summary, and tells of its difference.
func (p *Pair) count(w io.Writer, s *Setup, r Result, sum *Summary, o Options) {
	sum.Frames += r.Frames
	sum.Configs++
	for name := range s.features() {
		sum.Used[name]++
	}
	if r.Difference == nil {
		return
	}
	sum.Differences++
	if sum.Differences <= o.Show {
		fmt.Fprintln(w, r.Difference)
		if small := p.shrink(r.Difference); small != nil {
			fmt.Fprintf(w, "the same with fewer steps:\n%v\n", small)
		}
		if s.Seed != 0 {
			fmt.Fprintf(w, "again: -seed %d -config 1 -steps %d\n\n", s.Seed, o.Steps)
		}
	}
}

// shrink looks for a part of the steps that shows a difference, too: nil if
// there is none.
func (p *Pair) shrink(d *Difference) (best *Difference) {
	if d.Step < 0 || d.Setup.Timed {
		return nil
	}
	steps := d.Setup.Steps[:d.Step+1]
	for cut, tries := len(steps)/2, 0; cut > 0 && tries < 80; {
		shorter := false
		for at := 0; at+cut < len(steps) && tries < 80; {
			tries++
			try := *d.Setup
			try.Steps = without(steps, at, at+cut)
			if len(try.Steps) == len(steps) {
				at += cut
				continue
			}
			r, err := Compare(p.Linux, p.Ours, &try)
			if err != nil || r.Difference == nil || r.Difference.Step < 0 {
				at += cut
				continue
			}
			best, shorter = r.Difference, true
			steps = try.Steps[:r.Difference.Step+1]
		}
		if !shorter || cut > len(steps)/2 {
			cut /= 2
		}
	}
	return best
}

// without is steps but those from at to end; what others depend on stays.
func without(steps []Step, at, end int) []Step {
	list := slices.Clone(steps[:at])
	for _, s := range steps[at:end] {
		switch s.Kind {
		case Wait, Attach, Detach, Up, Down, Carrier:
			list = append(list, s)
		}
	}
	return append(list, steps[end:]...)
}

// lacks is the first feature a setup needs and has says is not there.
func (s *Setup) lacks(has func(string) bool) string {
	for name := range s.features() {
		if !has(name) {
			return name
		}
	}
	return ""
}

// features are the features a setup uses.
func (s *Setup) features() map[string]bool {
	used := map[string]bool{}
	for _, name := range s.Needs {
		used[name] = true
	}
	for _, o := range s.Bridge {
		used[o.Name] = true
	}
	for _, list := range s.Ports {
		for _, o := range list {
			used["port "+o.Name] = true
		}
	}
	for _, st := range s.Steps {
		switch st.Kind {
		case SetBridge:
			used["set bridge"], used[st.Setting.Name] = true, true
		case SetPort:
			used["set port"], used["port "+st.Setting.Name] = true, true
		case FlushFDB:
			used["fdb flush"] = true
		case AddFDB:
			if st.State != FDBStatic || st.Flags&Replace == 0 || st.Port == Host {
				used["fdb kinds"] = true
			}
		case AddVLAN, DelVLAN:
			used["vlan_filtering"] = true
		case AddMDB, DelMDB:
			used["mdb"] = true
		case AddNeigh, DelNeigh:
			used["neigh"] = true
			if st.IP.Is6() {
				used["neigh6"] = true
			}
		case Up, Down, Carrier:
			used["cable"] = true
		case SetMTU:
			used["mtu"] = true
		case SetVLAN:
			used["vlan "+st.Setting.Name] = true
		}
	}
	return used
}

// Coverage tells which features were tested on which kernel, and which on none.
func Coverage(w io.Writer, all ...*Summary) {
	names := map[string]bool{}
	for _, s := range all {
		for _, n := range slices.Concat(s.Have, s.Lack) {
			names[n] = true
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		var where []string
		for _, s := range all {
			if c := s.Used[n]; c > 0 {
				where = append(where, fmt.Sprintf("%d setups on %s", c, s.Kernel))
			}
		}
		text := strings.Join(where, ", ")
		switch {
		case text != "":
		case slices.ContainsFunc(all, func(s *Summary) bool { return slices.Contains(s.Have, n) }):
			text = "not compared"
		default:
			text = "in none of these kernels"
		}
		fmt.Fprintf(w, "  %-32s %s\n", n, text)
	}
}
