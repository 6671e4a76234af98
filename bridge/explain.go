package bridge

import (
	"fmt"
	"slices"

	"ringside/cost"
	"ringside/sim"
)

// NoPort is the Port of a Check that is of the frame as a whole.
const NoPort Port = -1

// A Check is one step of a decision.
type Check struct {
	// Step is the function of the real path, as Linux calls it.
	Step string
	// Port is the port that was asked, Local for the bridge's own interface, or
	// NoPort.
	Port Port
	// Says is what was found, with the entry or the option that it hung on.
	Says string
	// Decisive says that the fate of the frame hung on it.
	Decisive bool
}

// An Explanation is a verdict and how it came about.
type Explanation struct {
	Verdict Verdict // with an Out of its own
	Checks  []Check // in the order in which they are made
}

// String is a line for each check and one for the verdict.
func (e *Explanation) String() string {
	var s []byte
	for _, c := range e.Checks {
		mark := "  "
		if c.Decisive {
			mark = "* "
		}
		s = fmt.Appendf(s, "%s%-24s", mark, c.Step)
		if c.Port != NoPort {
			s = fmt.Appendf(s, "port %d: ", c.Port)
		}
		s = append(append(s, c.Says...), '\n')
	}
	s = fmt.Appendf(s, "= %v", e.Verdict.Action)
	if e.Verdict.Reason != cost.NotDropped {
		s = fmt.Appendf(s, " %v", e.Verdict.Reason)
	}
	for _, c := range e.Verdict.Out {
		s = fmt.Appendf(s, " %v", c)
	}
	return string(append(s, '\n'))
}

// Explain says what Handle would do with a frame at a time, and why. Nothing
// changes by it. It is the bridge's own decision that tells each of its checks as it
// makes it, on a copy of the bridge: so Explain says what Handle does, if nothing is
// due before now. That a membership report finds no room is seen by Handle alone.
func (b *Bridge) Explain(in Port, frame []byte, now sim.Time) (e Explanation) {
	c := b.clone()
	c.why = &recorder{}
	b.snooper.Peek(func() { e.Verdict = c.decide(in, frame, now) })
	e.Verdict.Out = slices.Clone(e.Verdict.Out)
	e.Checks = c.why.checks
	if a := e.Verdict.Action; (a == Drop || a == PassPort) && len(e.Checks) > 0 {
		e.Checks[len(e.Checks)-1].Decisive = true
	}
	return e
}

// clone is a bridge of the same state that tells nobody. It shares the snooper,
// into which it may peek.
func (b *Bridge) clone() *Bridge {
	c := *b
	c.cfg.Notify = nil
	c.fdb.lines = slices.Clone(b.fdb.lines)
	c.ports = slices.Clone(b.ports)
	c.members = slices.Clone(b.members)
	c.scratch = make([]Copy, len(b.scratch))
	c.config = slices.Clone(b.config)
	c.backup = slices.Clone(b.backup)
	c.sent, c.changed, c.reply, c.mdb = outbox{}, nil, nil, mdbView{}
	c.vlans = make([]vlanGroup, len(b.vlans))
	for i, g := range b.vlans {
		c.vlans[i].pvid = g.pvid
		for _, v := range g.list {
			w := *v
			w.stats = nil
			c.vlans[i].list = append(c.vlans[i].list, &w)
		}
	}
	c.lookup = c.station
	c.tree = b.tree.Clone(treeEnv{&c})
	return &c
}

// A recorder keeps the checks of one decision. Nil keeps none.
type recorder struct{ checks []Check }

func (r *recorder) says(step, format string, args ...any) {
	r.checks = append(r.checks, Check{step, NoPort, fmt.Sprintf(format, args...), false})
}

// decides is says for what the fate of the frame hangs on.
func (r *recorder) decides(step, format string, args ...any) {
	r.checks = append(r.checks, Check{step, NoPort, fmt.Sprintf(format, args...), true})
}

// sayDelivers tells of a port that was asked to take the frame; why is 0 if it does.
func (b *Bridge) sayDelivers(f *pass, q Port, why cost.DropReason) {
	says := "yes"
	switch {
	case why == cost.RSPortState:
		says = fmt.Sprintf("no: the port is %v", b.ports[q].state)
	case why == cost.RSVLANFiltered && b.vlans[q].find(f.vid) != nil:
		says = fmt.Sprintf("no: VLAN %d is %v on the port", f.vid, b.vlans[q].find(f.vid).state)
	case why != 0:
		says = "no: " + why.Says()
	case q == f.in:
		says = "yes: hairpin is on, it may go back"
	}
	b.why.checks = append(b.why.checks, Check{"should_deliver", q, says, false})
}

// sayLearned tells what became of the source.
func (b *Bridge) sayLearned(f *pass) {
	switch did := f.work.Learned(); {
	case did != LearnedNothing:
		b.why.says("br_fdb_update", "%v: %v", f.src.mac(), did)
	case f.p.flags&learning == 0:
		b.why.says("br_fdb_update", "%v: learning is off on the port", f.src.mac())
	default:
		b.why.says("br_fdb_update", "%v: ageing_time is 0, nothing is learned", f.src.mac())
	}
}

// say keeps a check whose words are always the same. Words with something in them
// are made only if somebody listens: see says.
func (b *Bridge) say(step, says string) {
	if b.why != nil {
		b.why.checks = append(b.why.checks, Check{step, NoPort, says, false})
	}
}

// words is an entry as bridge fdb show prints it.
func (e Entry) words() string {
	s := fmt.Sprintf("%v on port %d", e.MAC, e.Port)
	if e.Port == Local {
		s = fmt.Sprintf("%v of the bridge itself", e.MAC)
	}
	if e.VLAN != 0 {
		s += fmt.Sprintf(" vlan %d", e.VLAN)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{true, e.Kind.String()}, {e.Sticky, "sticky"}, {e.ExternLearned, "extern_learn"}, {e.Locked, "locked"}, {e.Stale, "stale"}} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}
