package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"strings"

	"ringside"
	"ringside/cost"
	"ringside/internal/staged"
	"ringside/sim"
	"ringside/trace"
)

// A Scenario is a run that is always the same. Its functions make everything
// anew: a wire and a program have a state.
type Scenario struct {
	Name    string
	Machine func() ringside.Config
	Lab     func() ringside.LabConfig              // instead of Machine, of several of them
	Faults  func(*ringside.Lab)                    // before time begins, of a Lab; may be nil
	Replay  *ringside.Replay                       // the captures that are played; nil plays the machine's own wire
	Start   func(*ringside.Host, *ringside.Config) // before time begins; may be nil
	Until   sim.Time                               // of a run without a Replay: when it ends; 0 is at rest
	Drops   []string                               // reasons that must be on the bill, or the scenario misses its point
	Err     string                                 // how the run ends, if not well
	Small   bool                                   // little enough for a slow place: WebAssembly, go test -short
}

// An Outcome is everything of a run that must be equal in the next one.
type Outcome struct {
	Label    string // which run this was
	Scenario string
	Hash     string
	Report   []byte // JSON
	Bill     []byte // JSON: every count of every account
	Captures string // hash of the staged capture; "" if nobody watched
	Sights   uint64 // frames in that capture
	Journeys string // hash of every step of every frame; "" if nobody watched
	Err      string
	Dropped  map[string]uint64
	InFlight uint64
	Records  []trace.Record
	Timers   []string // names by number minus one
}

// Run plays the scenario once. With watched, a staged capture is written and
// every frame followed, which must not change anything else.
func Run(s Scenario, label string, watched bool) *Outcome {
	o := &Outcome{Label: label, Scenario: s.Name}
	if s.Lab != nil {
		s.runLab(o, watched)
		return o
	}
	cfg := s.Machine()
	w := newWatcher(watched, cfg.LinkBPS)
	cfg.Sink = w.sink()
	rep, h, err := s.play(cfg, o)
	if h != nil {
		o.Hash = h.Hash.String()
		o.name(h.Engine)
		w.finish(h.Engine, o)
	}
	if err != nil {
		o.Err = err.Error()
		return o
	}
	o.Report, o.Bill = indented(rep), counts(rep.Bill)
	o.conserved(rep)
	return o
}

// runLab is Run of several machines.
func (s *Scenario) runLab(o *Outcome, watched bool) {
	cfg := s.Lab()
	w := newWatcher(watched, 0)
	cfg.Sink = w.sink()
	l, err := ringside.NewLab(cfg)
	if err != nil {
		o.Err = err.Error()
		return
	}
	defer l.Close()
	o.keep(l.Hash, l.Engine)
	if s.Faults != nil {
		s.Faults(l)
	}
	if s.Until > 0 {
		err = l.RunUntil(s.Until)
	} else {
		err = l.Run()
	}
	o.Hash = l.Hash.String()
	o.name(l.Engine)
	w.finish(l.Engine, o)
	if err != nil {
		o.Err = err.Error()
		return
	}
	rep := l.Report()
	o.Report = indented(rep)
	for _, h := range rep.Hosts {
		o.Bill = append(o.Bill, counts(h.Report.Bill)...)
		o.conserved(h.Report)
	}
}

// conserved adds what became of a machine's frames.
func (o *Outcome) conserved(rep *ringside.Report) {
	if o.Dropped == nil {
		o.Dropped = map[string]uint64{}
	}
	for why, n := range rep.Conservation.Dropped {
		o.Dropped[why] += n
	}
	o.InFlight += rep.Conservation.InFlight
}

// A watcher writes the staged capture and wants the journey of every frame.
type watcher struct {
	*staged.Writer
	digest hash.Hash // of the capture
	steps  hash.Hash
}

// newWatcher is nil if nobody is to watch.
func newWatcher(watched bool, bps uint64) *watcher {
	if !watched {
		return nil
	}
	digest := sha256.New()
	return &watcher{staged.New(digest, staged.Options{Application: "gate", LinkBPS: bps}), digest, sha256.New()}
}

// sink is the watcher as a machine has it.
func (w *watcher) sink() trace.Sink {
	if w == nil {
		return nil
	}
	return w
}

// finish puts into o what was seen.
func (w *watcher) finish(e *sim.Engine, o *Outcome) {
	if w == nil {
		return
	}
	if err := w.Finish(e.Now()); err != nil {
		o.Err = err.Error()
	}
	o.Captures, o.Sights = fmt.Sprintf("sha256:%x", w.digest.Sum(nil)), w.Packets()
	o.Journeys = fmt.Sprintf("sha256:%x", w.steps.Sum(nil))
}

func (w *watcher) Watching(uint64) bool { return true }

func (w *watcher) Step(s trace.Step) {
	var b [56]byte
	binary.LittleEndian.PutUint64(b[0:], s.ID)
	binary.LittleEndian.PutUint64(b[8:], uint64(s.At))
	binary.LittleEndian.PutUint64(b[16:], uint64(s.CPU)<<32|uint64(s.Step))
	binary.LittleEndian.PutUint64(b[24:], s.N)
	binary.LittleEndian.PutUint64(b[32:], s.Bytes)
	binary.LittleEndian.PutUint64(b[40:], uint64(len(s.Note)))
	binary.LittleEndian.PutUint64(b[48:], s.Extra)
	w.steps.Write(b[:])
	w.steps.Write([]byte(s.Note))
}

// counts is a bill without the book, which is the scenario's own.
func counts(b *cost.Bill) []byte {
	bare := *b
	bare.Book = nil
	return indented(&bare)
}

// mostRecords bounds a trace, so that a machine that never comes to rest is an
// error and not the end of the process.
const mostRecords = 1 << 20

var errEndless = errors.New("gate: a million records and no end")

// play runs the scenario on a machine made by cfg; records go to o.
func (s *Scenario) play(cfg ringside.Config, o *Outcome) (rep *ringside.Report, h *ringside.Host, err error) {
	start := func(made *ringside.Host) {
		h = made
		o.keep(h.Hash, h.Engine)
		if s.Start != nil {
			s.Start(h, &cfg)
		}
	}
	if s.Replay != nil {
		r := *s.Replay
		r.Start = start
		rep, err = r.Run(cfg, nil)
		return rep, h, err
	}
	made, err := ringside.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	defer made.Close()
	start(made)
	if s.Until > 0 {
		err = h.RunUntil(s.Until)
	} else {
		err = h.Run()
	}
	if err != nil {
		return nil, h, err
	}
	return h.Report(), h, nil
}

// keep has the records of a run go to o.
func (o *Outcome) keep(h *trace.Hash, e *sim.Engine) {
	h.Keep(func(r trace.Record) {
		if o.Records = append(o.Records, r); len(o.Records) == mostRecords {
			e.Fail(errEndless)
		}
	})
}

// name keeps the names of the timers that fired.
func (o *Outcome) name(e *sim.Engine) {
	var last uint32
	for _, r := range o.Records {
		if r.Kind == trace.Event {
			last = max(last, r.Who)
		}
	}
	for id := range last {
		o.Timers = append(o.Timers, e.TimerName(id+1))
	}
}

func indented(v any) []byte {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err)
	}
	return b
}

// Compare says in a few lines how two runs of a scenario differ, "" if they do
// not. Captures are compared if both runs were watched.
func Compare(a, b *Outcome) string {
	var d []string
	say := func(format string, args ...any) { d = append(d, fmt.Sprintf(format, args...)) }
	if a.Err != b.Err {
		say("errors differ:\n  %q\n  %q", a.Err, b.Err)
	}
	if a.Hash != b.Hash {
		say("trace hashes differ:\n  %s\n  %s", a.Hash, b.Hash)
	}
	if first := FirstDifference(a, b); first != "" {
		say("the first event that differs is %s", first)
	}
	if line := differentLine(a.Report, b.Report); line != "" {
		say("reports differ, %s", line)
	}
	if line := differentLine(a.Bill, b.Bill); line != "" {
		say("bills differ, %s", line)
	}
	if a.Captures != b.Captures && a.Captures != "" && b.Captures != "" {
		say("staged captures differ: %d and %d frames\n  %s\n  %s", a.Sights, b.Sights, a.Captures, b.Captures)
	}
	if a.Journeys != b.Journeys && a.Journeys != "" && b.Journeys != "" {
		say("journeys differ:\n  %s\n  %s", a.Journeys, b.Journeys)
	}
	if d == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s against %s: %s", a.Scenario, a.Label, b.Label, strings.Join(d, "\n"))
}

// context is how many equal records are shown in front of the first that is not.
const context = 3

// FirstDifference is the first record in which the traces part, with what came
// before it and the names of the timers.
func FirstDifference(a, b *Outcome) string {
	diff := trace.Diff(a.Records, b.Records)
	if diff == "" {
		return ""
	}
	i := 0
	for i < len(a.Records) && i < len(b.Records) && a.Records[i] == b.Records[i] {
		i++
	}
	var w strings.Builder
	w.WriteString(diff)
	for j := max(0, i-context); j < i; j++ {
		fmt.Fprintf(&w, "\n  both %d: %s", j, a.Say(j))
	}
	fmt.Fprintf(&w, "\n  here %d: %s\n  and  %d: %s", i, a.Say(i), i, b.Say(i))
	return w.String()
}

// Say is record i with the name of its timer.
func (o *Outcome) Say(i int) string {
	if i >= len(o.Records) {
		return "the end (" + o.Label + ")"
	}
	r := o.Records[i]
	if r.Kind == trace.Event && r.Who > 0 && int(r.Who) <= len(o.Timers) {
		return fmt.Sprintf("%v (%s)", r, o.Timers[r.Who-1])
	}
	return r.String()
}

// differentLine is the first line in which two texts differ.
func differentLine(a, b []byte) string {
	if bytes.Equal(a, b) {
		return ""
	}
	as, bs := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := 0; ; i++ {
		x, y := at(as, i), at(bs, i)
		if x != y {
			return fmt.Sprintf("line %d: %s against %s", i+1, strings.TrimSpace(x), strings.TrimSpace(y))
		}
	}
}

func at(lines []string, i int) string {
	if i >= len(lines) {
		return "the end"
	}
	return lines[i]
}

// Save writes the outcome for another process to Load.
func (o *Outcome) Save(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := gob.NewEncoder(f).Encode(o); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}

// Load reads what Save wrote.
func Load(name string) (*Outcome, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o := new(Outcome)
	if err := gob.NewDecoder(f).Decode(o); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

// FileName is what a scenario's outcome is called in a folder of them.
func FileName(scenario string) string { return strings.ReplaceAll(scenario, "/", "_") + ".outcome" }
