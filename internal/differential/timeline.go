package differential

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ringside/bridge"
)

// An Event is something that happened while a side was watched: a frame it sent,
// a line that came into a table or went out of it.
type Event struct {
	At    time.Duration // since the setup was opened
	Track string        // what it happened to; events of one track are in order
	What  string
	// Periodic events are compared without their times, and several of one kind
	// in a row count as one: Linux rounds the timers behind them to whole seconds
	// of a clock that we do not see.
	Periodic bool
}

// slack is how far apart in time two events may be that are the same.
const slack = 900 * time.Millisecond

// watched are the tables whose changes are events.
const watched = FDBTable | MDBTable | PortTable

// framesOf makes events of frames. Spanning tree messages are periodic, and
// their age depends on the millisecond.
func framesOf(at time.Duration, list []Copy) (all []Event) {
	for _, c := range list {
		if c.How == ToHost && at < slack {
			continue // the socket there hears from just after the interface is up
		}
		e := Event{At: at, Track: c.Place.String(), What: Describe(c.Bytes)}
		if len(c.Bytes) >= headerLen && bridge.MAC(c.Bytes[:6]) == Reserved(0) {
			b := slices.Clone(c.Bytes)
			if len(b) >= 52 {
				b[44], b[45] = 0, 0 // message age
			}
			e.What, e.Periodic = Describe(b), true
			e.Track += ", BPDU"
		} else { // two frames of one moment have no order
			e.Track, e.What = e.Track+" "+e.What, "sent"
		}
		all = append(all, e)
	}
	return all
}

// changes makes events of what two states differ in.
func changes(at time.Duration, before, after *State) (all []Event) {
	for _, t := range []struct {
		name          string
		before, after []string
	}{{"fdb", before.FDB, after.FDB}, {"mdb", before.MDB, after.MDB}, {"vlan", before.VLAN, after.VLAN}, {"port", before.Ports, after.Ports}} {
		for _, l := range t.before {
			if !slices.Contains(t.after, l) {
				all = append(all, Event{At: at, Track: t.name + " " + l, What: "goes"})
			}
		}
		for _, l := range t.after {
			if !slices.Contains(t.before, l) {
				all = append(all, Event{At: at, Track: t.name + " " + l, What: "comes"})
			}
		}
	}
	return all
}

// sameEvents says what two timelines differ in, "" for nothing: on each track
// the same events in the same order, none of them off by more than the slack.
func sameEvents(linux, ours []Event) string {
	var b strings.Builder
	theirs, mine := tracks(linux), tracks(ours)
	names := maps.Clone(theirs)
	maps.Copy(names, mine)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, y := theirs[name], mine[name]
		if !slices.EqualFunc(x, y, sameEvent) {
			fmt.Fprintf(&b, "  %s\n    Linux: %s\n    ours:  %s\n", name, line(x), line(y))
		}
	}
	return b.String()
}

func sameEvent(x, y Event) bool {
	return x.What == y.What && x.Periodic == y.Periodic && (x.Periodic || (x.At-y.At).Abs() <= slack)
}

// tracks sorts events by their tracks. In the beginning, too, several of one kind
// count as one: each port that is added has the others begin again with what
// they send first.
func tracks(list []Event) map[string][]Event {
	all := map[string][]Event{}
	for _, e := range list {
		t := all[e.Track]
		if n := len(t); n > 0 && t[n-1].What == e.What && (e.Periodic || e.At < slack) {
			continue
		}
		all[e.Track] = append(t, e)
	}
	return all
}

func line(list []Event) string {
	var words []string
	for _, e := range list {
		words = append(words, fmt.Sprintf("%.2f s %s", e.At.Seconds(), e.What))
	}
	return strings.Join(words, "; ")
}
