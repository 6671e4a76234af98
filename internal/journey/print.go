package journey

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ringside/cost"
	"ringside/internal/report"
	"ringside/sim"
	"ringside/trace"
)

// fewBranches is how many copies of a flooded frame are followed step by step.
const fewBranches = 3

// Write prints the journey on a page of so many columns; 0 means
// report.MaxWidth.
func (j *Journey) Write(w io.Writer, columns int) error {
	if columns == 0 {
		columns = report.MaxWidth
	}
	p := printer{w: min(max(columns, report.MinWidth), report.MaxWidth), j: j}
	p.print()
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

type printer struct {
	w         int
	j         *Journey
	timeWidth int
	lines     []string
	total     uint64 // thousandths of a cycle so far
	started   bool
}

// The widths of a page's columns, beside that of the times; what a step did gets
// the rest.
const (
	whereWidth = 4
	stepWidth  = 26
	costWidth  = 10
	totalWidth = 11
	gaps       = 5 * 2
)

// roomy says whether what a step did fits beside its name.
func (p *printer) roomy() bool { return p.w >= 96 }

func (p *printer) print() {
	p.timeWidth = 8
	for _, s := range p.j.Steps {
		p.timeWidth = max(p.timeWidth, len(p.since(s.At)))
	}
	what := "what it does"
	if !p.roomy() {
		what = ""
	}
	p.row("us", "", "step", what, "cycles", "total")
	hidden := p.hidden()
	ends := p.j.Ends
	var more, moreCycles uint64
	for _, s := range p.j.Steps {
		if s.At >= p.j.Began {
			p.begin()
		}
		for len(ends) > 0 && (ends[0].At < s.At || ends[0].At == s.At && ends[0].seq < s.seq) {
			p.end(ends[0], hidden)
			ends = ends[1:]
		}
		if hidden[s.branch()] {
			more++
			moreCycles += s.MilliCycles
			continue
		}
		p.step(s)
	}
	p.begin()
	for _, e := range ends {
		p.end(e, hidden)
	}
	if more > 0 {
		p.total += moreCycles
		p.row("", "", "…", fmt.Sprintf("%s more go the same way, in %s", report.Count(uint64(len(hidden)), "copy", "copies"), report.Count(more, "step", "steps")),
			cycles(moreCycles), cycles(p.total))
	}
	p.summary()
}

// begin prints the line on which the frame comes in, once.
func (p *printer) begin() {
	if p.started {
		return
	}
	p.started = true
	if p.j.OnWire {
		p.row(p.since(p.j.Began), "wire", "", "the last bit is in", "", "")
	} else {
		p.row(p.since(p.j.Began), "", "", "begins here", "", "")
	}
}

// since is a time as microseconds after the beginning.
func (p *printer) since(at sim.Time) string {
	ns := (at - p.j.Began).Nanoseconds()
	sign := ""
	if ns < 0 {
		sign, ns = "-", -ns
	}
	return fmt.Sprintf("%s%s.%03d", sign, report.Comma(uint64(ns/1000)), ns%1000)
}

// cycles is a number of thousandths of a cycle with two decimals.
func cycles(milli uint64) string {
	hundredths := (milli + 5) / 10
	return fmt.Sprintf("%s.%02d", report.Comma(hundredths/100), hundredths%100)
}

func (p *printer) step(s Step) {
	p.total += s.MilliCycles
	where := "eth0"
	if s.CPU >= 0 {
		where = fmt.Sprintf("cpu%d", s.CPU)
	}
	what := s.Step.Does()
	switch {
	case s.Note == "":
	case strings.HasSuffix(what, "?"):
		what += " " + s.Note
	default:
		what += "; " + s.Note
	}
	if s.Count > 1 {
		what += fmt.Sprintf(" (%s times)", report.Comma(s.Count))
	}
	if s.Shared > 1 {
		what += fmt.Sprintf(" [1/%s]", report.Comma(s.Shared))
	}
	cost, total := cycles(s.MilliCycles), cycles(p.total)
	if s.MilliCycles == 0 {
		cost, total = report.Span(sim.Time(s.Picoseconds)), ""
	}
	p.row(p.since(s.At), where, s.Step.String(), what, cost, total)
}

// row prints one step: on one line, broken where what it did is long, or on two
// where the page is narrow.
func (p *printer) row(time, where, step, what, cost, total string) {
	head := fmt.Sprintf("%*s  %-*s  ", p.timeWidth, time, whereWidth, report.Fit(where, whereWidth+2))
	if p.roomy() && step != "" {
		room := p.w - p.timeWidth - whereWidth - stepWidth - costWidth - totalWidth - gaps
		lines := report.Wrap(what, room)
		if len(lines) == 0 {
			lines = []string{""}
		}
		for i, l := range lines {
			if i == 0 {
				p.line(head + pad(report.Fit(step, stepWidth), stepWidth) + "  " + pad(l, room) + fmt.Sprintf("  %*s  %*s", costWidth, cost, totalWidth, total))
			} else {
				p.line(strings.Repeat(" ", p.timeWidth+whereWidth+4) + pad("", stepWidth) + "  " + l)
			}
		}
		return
	}
	indent := strings.Repeat(" ", p.timeWidth+whereWidth+4)
	if step != "" {
		room := p.w - len(indent) - costWidth - totalWidth - 4
		p.line(head + pad(report.Fit(step, room), room) + fmt.Sprintf("  %*s  %*s", costWidth, cost, totalWidth, total))
		head, indent = indent+"  ", indent+"  "
	}
	for i, l := range report.Wrap(what, p.w-len(indent)) {
		if i == 0 {
			p.line(head + l)
		} else {
			p.line(indent + l)
		}
	}
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-len([]rune(s))))
}

func (p *printer) line(s string) {
	p.lines = append(p.lines, strings.TrimRight(report.Fit(s, p.w), " "))
}

// branch is the guest that a step of a flooded frame is about, "" for those
// before the copies part.
func (s *Step) branch() string {
	if s.Guest != "" {
		return s.Guest
	}
	_, last, _ := strings.Cut(s.Note, " into ")
	if last == "" {
		last = s.Note
	}
	for _, kind := range []string{"vm", "tap"} {
		if n, ok := strings.CutPrefix(last, kind); ok {
			return "vm" + n
		}
	}
	return ""
}

// hidden are the branches that are not followed step by step.
func (p *printer) hidden() map[string]bool {
	var order []string
	for _, s := range p.j.Steps {
		if b := s.branch(); b != "" && !slices.Contains(order, b) {
			order = append(order, b)
		}
	}
	hide := map[string]bool{}
	if len(order) > fewBranches+1 {
		for _, b := range order[fewBranches:] {
			hide[b] = true
		}
	}
	return hide
}

func (p *printer) end(e End, hidden map[string]bool) {
	if hidden[fmt.Sprintf("vm%d", e.VM)] {
		return
	}
	p.row(p.since(e.At), "", "", "→ "+e.String(), "", "")
}

// String says what became of a copy.
func (e End) String() string {
	if e.Verdict == trace.Drop {
		s := fmt.Sprintf("dropped at %v: %v, %s", e.Stage, e.Reason, e.Reason.Says())
		if !e.Reason.Linux() {
			s += " (not a reason of Linux)"
		}
		return s
	}
	if e.Verdict == trace.Merge {
		return "merged: it goes on as part of another frame of its flow"
	}
	switch e.Point {
	case trace.VM:
		return fmt.Sprintf("delivered to vm%d", e.VM)
	case trace.Host:
		return "delivered to the host's own stack"
	}
	return "out on the wire, its last bit too"
}

// Verdict says in a few words what became of the frame.
func (j *Journey) Verdict() string {
	if len(j.Ends) == 0 {
		return "in flight when the run ended"
	}
	var dropped, delivered int
	for _, e := range j.Ends {
		if e.Verdict == trace.Drop {
			dropped++
		} else {
			delivered++
		}
	}
	switch {
	case j.Copies == 1 && len(j.Ends) == 1:
		return j.Ends[0].String()
	case dropped == 0 && delivered == j.Copies:
		return fmt.Sprintf("%d copies, all delivered", j.Copies)
	}
	return fmt.Sprintf("%d copies: %d delivered, %d dropped, %d in flight when the run ended",
		j.Copies, delivered, dropped, max(0, j.Copies-delivered-dropped))
}

func (p *printer) summary() {
	j, t := p.j, p.j.Totals()
	p.lines = append(p.lines, "")
	verdict := j.Verdict()
	if n := len(j.Ends); n > 0 && len(j.Steps) > 0 {
		verdict += fmt.Sprintf(", %s after it began", report.Span(j.Ends[n-1].At-j.Began))
	}
	p.text(verdict + ".")
	if len(j.Steps) == 0 {
		p.text("It cost nothing: nothing was done for it.")
		return
	}
	p.text(fmt.Sprintf("It cost %s cycles: %s of its own, and %s as its share of steps that it shared; and %s of the device.",
		cycles(t.Cycles()), cycles(t.Own), cycles(t.Shared), report.Span(t.Device)))
	var by [cost.NumStages]uint64
	for _, s := range j.Steps {
		by[s.Step.Stage()] += s.MilliCycles
	}
	var parts []string
	for s, n := range by {
		if n > 0 && t.Cycles() > 0 {
			parts = append(parts, fmt.Sprintf("%v %.1f %%", cost.Stage(s), float64(n)/float64(t.Cycles())*100))
		}
	}
	if len(parts) > 0 {
		p.text("By stage: " + strings.Join(parts, ", ") + ".")
	}
	if t.Shared > 0 {
		p.text("[1/N] marks a step that was done for N frames: the cycles beside it are one frame's share.")
	}
}

func (p *printer) text(s string) {
	for _, l := range report.Wrap(strings.ToUpper(s[:1])+s[1:], p.w) {
		p.line(l)
	}
}
