package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"ringside"
	"ringside/cost"
	"ringside/internal/programs"
	"ringside/internal/scenario"
	"ringside/sim"
	"ringside/vm/app"
	"ringside/wire"
)

// page is an empty page as wide as asked for.
func (at Page) page() *page {
	if at.Columns == 0 {
		at.Columns = MaxWidth
	}
	return &page{w: min(max(at.Columns, MinWidth), MaxWidth)}
}

func (p *page) flush(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

// WriteRun tells what came of a scenario: who did what, where frames were lost, what
// it cost, and which expectations are met.
func WriteRun(w io.Writer, r *scenario.Result, at Page) error {
	p := at.page()
	p.para("", r.File)
	if r.About != "" {
		p.para("  about    ", r.About)
	}
	p.para("  ran      ", fmt.Sprintf("%s of virtual time, seed %d", Span(sim.Time(r.Report.VirtualNs)*sim.Nanosecond), r.Seed))
	for _, f := range r.Faults {
		p.para("  at       ", Span(sim.Time(f.AtNs)*sim.Nanosecond)+": "+f.Fault)
	}
	p.programs(r)
	p.wires(r.Report)
	p.hosts(r.Report)
	p.losses(r.Report)
	p.expected(r.Expectations)
	p.blank()
	p.lines = append(p.lines, Hash(r.Report.TraceHash, p.w)...)
	return p.flush(w)
}

// programs is what programs recorded.
func (p *page) programs(r *scenario.Result) {
	list := r.Programs()
	if len(list) == 0 {
		return
	}
	p.title("WHO DID WHAT")
	var rows [][]string
	for _, l := range list {
		var words []string
		for _, v := range l.Results {
			words = append(words, v.Name+" "+v.Value)
		}
		if words == nil {
			words = []string{"(no result)"}
		}
		rows = append(rows, []string{l.Who, l.Process, strings.Join(words, ", ")})
	}
	p.table([]column{{"where", false, 0}, {"program", false, 0}, {"results", false, 0}}, rows)
}

// wires is what went over cables and the links of NICs.
func (p *page) wires(r *ringside.LabReport) {
	var rows [][]string
	row := func(name string, in, out, lost uint64, notes string) {
		if in > 0 {
			rows = append(rows, []string{name, Comma(in), Comma(out), Comma(lost), notes})
		}
	}
	for _, c := range r.Cables {
		row(fmt.Sprintf("%s to %s", c.Name, c.B), c.ToB.In, c.ToB.Out, c.ToB.Lost, heldWords(c.ToB.Held))
		row(fmt.Sprintf("%s to %s", c.Name, c.A), c.ToA.In, c.ToA.Out, c.ToA.Lost, heldWords(c.ToA.Held))
	}
	for _, h := range r.Hosts {
		for _, l := range h.Report.Links {
			row(fmt.Sprintf("link to %s/%s", h.Name, l.NIC), l.Rx.In, l.Rx.Out, lostOf(&l.Rx), wayWords(&l.Rx))
			row(fmt.Sprintf("link from %s/%s", h.Name, l.NIC), l.Tx.In, l.Tx.Out, lostOf(&l.Tx), wayWords(&l.Tx))
		}
	}
	if rows == nil {
		return
	}
	p.title("ON WIRES")
	p.table([]column{{"way", false, 0}, {"in", true, 0}, {"out", true, 0}, {"lost", true, 0}, {"", false, 1}}, rows)
}

func heldWords(held uint64) string {
	if held == 0 {
		return ""
	}
	return Comma(held) + " under way"
}

func lostOf(w *ringside.WayReport) (n uint64) {
	for _, k := range w.Lost {
		n += k
	}
	return n
}

// wayWords are the effects of a link that befell frames.
func wayWords(w *ringside.WayReport) string {
	var words []string
	for _, e := range []struct {
		n    uint64
		what string
	}{{w.Duplicated, "duplicated"}, {w.Corrupted, "corrupted"}, {w.Reordered, "reordered"}} {
		if e.n > 0 {
			words = append(words, Comma(e.n)+" "+e.what)
		}
	}
	for r := wire.NotLost + 1; r < wire.NumReasons; r++ {
		if n := w.Lost[r.String()]; n > 0 {
			words = append(words, r.String())
		}
	}
	if held := heldWords(w.Held); held != "" {
		words = append(words, held)
	}
	return strings.Join(words, ", ")
}

// hosts is the account of each host and its bill in a line.
func (p *page) hosts(r *ringside.LabReport) {
	p.title("THE HOSTS")
	var rows [][]string
	for _, h := range r.Hosts {
		c := &h.Report.Conservation
		var dropped uint64
		for _, n := range c.Dropped {
			dropped += n
		}
		rows = append(rows, []string{h.Name, Comma(c.In), Comma(c.Delivered), Comma(dropped), Comma(h.Report.Totals.Cycles),
			ratio(h.Report.Totals.Cycles, c.In), dearestStages(h.Report.Bill, h.Report.Totals.Cycles)})
	}
	p.table([]column{{"host", false, 0}, {"frames in", true, 0}, {"delivered", true, 0}, {"dropped", true, 0}, {"cycles", true, 2},
		{"per frame", true, 0}, {"went into", false, 0}}, rows)
}

// dearestStages are the three stages that took most.
func dearestStages(b *cost.Bill, total uint64) string {
	var words []string
	for _, s := range stagesByCycles(b)[:min(3, len(stagesByCycles(b)))] {
		words = append(words, fmt.Sprintf("%v %s", s, strings.ReplaceAll(percent(b.StageCycles(s), total), " ", "")))
	}
	return strings.Join(words, ", ")
}

// losses are the drops inside of hosts, by place and reason.
func (p *page) losses(r *ringside.LabReport) {
	var rows [][]string
	for _, h := range r.Hosts {
		for _, d := range h.Report.Drops {
			rows = append(rows, []string{h.Name, d.Stage, Comma(d.Frames), d.Reason, d.Says})
		}
	}
	if rows == nil {
		return
	}
	p.title("DROPPED INSIDE")
	p.table([]column{{"host", false, 0}, {"stage", false, 0}, {"frames", true, 0}, {"reason", false, 0}, {"", false, 0}}, rows)
}

// expected is each expectation: what was expected, what was found, met or not.
func (p *page) expected(list []scenario.Outcome) {
	if len(list) == 0 {
		return
	}
	p.title("AS EXPECTED?")
	for _, e := range list {
		p.outcome(e)
	}
}

func (p *page) outcome(e scenario.Outcome) {
	met := "  yes  "
	if !e.Met {
		met = "  NO   "
	}
	found := "found " + e.Found
	if gap := p.w - width(met) - width(e.Expect) - width(found); gap >= 2 {
		p.line(met + e.Expect + strings.Repeat(" ", gap) + found)
	} else {
		p.para(met, e.Expect)
		p.para("         ", found)
	}
	if !e.Met && e.Why != "" {
		p.para("         ", e.Why)
	}
}

// RunLine is a scenario in one line, and a line for each expectation that is not
// met.
func RunLine(r *scenario.Result, at Page) string {
	p := at.page()
	met, word := 0, "ok  "
	for _, e := range r.Expectations {
		if e.Met {
			met++
		}
	}
	if !r.Met {
		word = "NOT "
	}
	p.line(fmt.Sprintf("%s %-22s %2d of %-2d %s", word, strings.TrimSuffix(filepath.Base(r.File), ".yaml"), met, len(r.Expectations), r.About))
	for _, e := range r.Expectations {
		if !e.Met {
			p.outcome(e)
		}
	}
	return strings.Join(p.lines, "\n") + "\n"
}

// WriteFacts lists what expectations can name, with what the run made of it.
func WriteFacts(w io.Writer, r *scenario.Result, at Page) error {
	p := at.page()
	p.title("WHAT CAN BE EXPECTED")
	for _, f := range r.Facts() {
		line := "  " + pad(f.Name, 40, false) + " " + pad(f.Value, 14, true)
		p.para(line+"  ", f.Says)
		if f.Says == "" {
			p.line(line)
		}
	}
	return p.flush(w)
}

// WritePrograms lists the programs that files can name, with their arguments and
// results.
func WritePrograms(w io.Writer, at Page) error {
	p := at.page()
	for i, name := range app.Names() {
		if i > 0 {
			p.blank()
		}
		spec, _ := app.Lookup(name)
		p.para("", name+": "+spec.Does)
		for _, a := range spec.Args {
			p.para("    "+pad(a.Name, 12, false)+" ", fmt.Sprintf("%s: %s%s", a.Kind, a.Does, defaultWords(&a)))
		}
		var words []string
		for _, r := range programs.Results(name) {
			words = append(words, r.Name)
		}
		if words != nil {
			p.para("    records      ", strings.Join(words, ", "))
		}
	}
	return p.flush(w)
}

func defaultWords(a *app.Arg) string {
	switch {
	case a.Required:
		return " (required)"
	case a.Default == "":
		return ""
	}
	return " (default " + a.Default + ")"
}
