package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringside"
	"ringside/sim"
	"ringside/wire"
)

// links say what happened between NICs and their wires.
func (p *page) links(list []ringside.LinkReport) {
	for _, l := range list {
		p.title("ON THE LINK OF " + strings.ToUpper(l.NIC) + ", BEFORE THE MACHINE'S OWN ACCOUNT")
		p.para("  ", l.Spec)
		p.way("rx", &l.Rx)
		p.way("tx", &l.Tx)
	}
}

// way is one direction of a link, if a frame came to it.
func (p *page) way(name string, w *ringside.WayReport) {
	if w.In == 0 {
		return
	}
	var lost uint64
	var why []string
	for _, reason := range slices.Sorted(maps.Keys(w.Lost)) {
		n := w.Lost[reason]
		lost += n
		why = append(why, fmt.Sprintf("%s %s (%s)", Comma(n), lossWords[reason], reason))
	}
	p.para("  "+name+"         ", fmt.Sprintf("in %s + duplicated %s = out %s + lost %s + on the link %s",
		Comma(w.In), Comma(w.Duplicated), Comma(w.Out), Comma(lost), Comma(w.Held)))
	if lost > 0 {
		p.para("  lost       ", strings.Join(why, ", "))
	}
	if w.Corrupted > 0 {
		p.para("  corrupted  ", Count(w.Corrupted, "frame has", "frames have")+" a bit turned over")
	}
	if w.Reordered > 0 {
		p.para("  reordered  ", Count(w.Reordered, "frame", "frames")+" came out after one that went in later")
	}
	if w.Out > 0 {
		p.para("  delay      ", fmt.Sprintf("%s at least, %s on average, %s at most", nanoseconds(w.DelayNs.Min), nanoseconds(w.DelayNs.Mean), nanoseconds(w.DelayNs.Max)))
	}
}

func nanoseconds(ns int64) string { return Span(sim.Time(ns) * sim.Nanosecond) }

// lossWords say why frames were lost.
var lossWords = func() map[string]string {
	words := map[string]string{}
	for r := wire.NotLost + 1; r < wire.NumReasons; r++ {
		words[r.String()] = r.Says()
	}
	return words
}()
