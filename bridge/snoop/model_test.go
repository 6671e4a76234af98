package snoop

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// A model is the state of one port for one group as RFC 3376 6.2 to 6.5 has it:
// sets of sources, each with the time at which its timer ends.
type model struct {
	exclude bool
	group   sim.Time // the end of the group timer
	sources map[string]sim.Time
}

const gmi, lmqt = 260 * sec, 2 * sec

type set map[string]bool

func setOf(list []string) set {
	s := set{}
	for _, a := range list {
		s[a] = true
	}
	return s
}

func (a set) and(b set) set { return a.keep(func(x string) bool { return b[x] }) }
func (a set) not(b set) set { return a.keep(func(x string) bool { return !b[x] }) }

func (a set) keep(f func(string) bool) set {
	s := set{}
	for x := range a {
		if f(x) {
			s[x] = true
		}
	}
	return s
}

// wanted is A in include mode, X in exclude mode; the others are Y.
func (m *model) wanted(now sim.Time) set {
	return setOf(slices.Collect(maps.Keys(m.sources))).keep(func(x string) bool { return m.sources[x] > now })
}

func (m *model) all() set { return setOf(slices.Collect(maps.Keys(m.sources))) }

func (m *model) time(s set, until sim.Time) {
	for x := range s {
		m.sources[x] = until
	}
}

func (m *model) drop(s set) {
	for x := range s {
		delete(m.sources, x)
	}
}

// query is "Send Q(G,S)": what runs longer then ends at the last member time.
func (m *model) query(s set, now sim.Time) {
	for x := range s {
		if m.sources[x] > now+lmqt {
			m.sources[x] = now + lmqt
		}
	}
}

// age is RFC 3376 6.3 and 6.5.
func (m *model) age(now sim.Time) {
	if m.exclude && m.group <= now {
		m.exclude = false
		m.drop(m.all().not(m.wanted(m.group)))
	}
	if !m.exclude {
		m.drop(m.all().not(m.wanted(now)))
	}
}

// record is the tables of 6.4.1 and 6.4.2, row by row.
func (m *model) record(typ byte, list []string, now sim.Time) {
	b, x := setOf(list), m.wanted(now)
	y := m.all().not(x)
	switch {
	case typ == allowNewSources || typ == modeIsInclude:
		m.time(b, now+gmi)
	case typ == modeIsExclude && !m.exclude:
		m.time(b.not(x), 0)
		m.drop(x.not(b))
	case typ == changeToExclude && !m.exclude:
		m.time(b.not(x), 0)
		m.drop(x.not(b))
		m.query(x.and(b), now)
	case typ == changeToInclude && !m.exclude:
		m.time(b, now+gmi)
		m.query(x.not(b), now)
	case typ == blockOldSources && !m.exclude:
		m.query(x.and(b), now)
	case typ == modeIsExclude:
		m.time(b.not(x).not(y), now+gmi)
		m.drop(x.not(b))
		m.drop(y.not(b))
	case typ == changeToExclude:
		m.time(b.not(x).not(y), m.group)
		m.drop(x.not(b))
		m.drop(y.not(b))
		m.query(b.not(y), now)
	case typ == changeToInclude:
		m.time(b, now+gmi)
		m.query(x.not(b), now)
		m.group = min(m.group, now+lmqt)
	case typ == blockOldSources:
		m.time(b.not(x).not(y), m.group)
		m.query(b.not(y), now)
	}
	if typ == modeIsExclude || typ == changeToExclude {
		m.exclude, m.group = true, now+gmi
	}
}

// state is the model in the words of portState.
func (m *model) state(now sim.Time) string {
	if !m.exclude && len(m.sources) == 0 {
		return "none"
	}
	s := "include"
	if m.exclude {
		s = fmt.Sprintf("exclude until %v", m.group)
	}
	for _, x := range slices.Sorted(maps.Keys(m.sources)) {
		s += fmt.Sprintf(" %s:%v", x, max(0, m.sources[x]-now))
	}
	return s
}

// portState is what the snooper has of a port in the group.
func portState(l *lab, p Port, g string) string {
	s := "none"
	for _, e := range l.Entries(l.now) {
		if e.Port != p || e.Source.IsValid() || e.Group.String() != g {
			continue
		}
		s = "include"
		if !e.Include {
			s = fmt.Sprintf("exclude until %v", l.now+e.Timer)
		}
		var list []string
		for _, src := range e.Sources {
			list = append(list, fmt.Sprintf(" %v:%v", src.Addr, src.Timer))
		}
		slices.Sort(list)
		s += strings.Join(list, "")
	}
	return s
}

// Chance is the sources and the moments; the moments are no multiple of a second,
// so that no two timers end at one.
func TestSourcesAgreeWithTheModel(t *testing.T) {
	for _, version := range []string{"IGMPv3", "MLDv2"} {
		t.Run(version, func(t *testing.T) {
			for seed := range uint64(60) {
				agree(t, version == "IGMPv3", rand.New(rand.NewPCG(seed, 7)))
			}
		})
	}
}

func agree(t *testing.T, v4 bool, r *rand.Rand) {
	l := newLab(t, Config{Querier: r.IntN(2) == 0, IGMPVersion: 3, MLDVersion: 2})
	m := model{sources: map[string]sim.Time{}}
	g, universe := g1, src4("ABCDEF")
	if !v4 {
		g = "ff05::1"
		universe = []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"}
	}
	var steps []string
	for range 60 {
		span := sim.Time(r.Int64N(int64(3 * sec)))
		if r.IntN(6) == 0 {
			span = sim.Time(r.Int64N(int64(300 * sec)))
		}
		l.at(l.now + span)
		m.ageTo(l.now, span)
		var list []string
		for _, a := range universe {
			if r.IntN(2) == 0 {
				list = append(list, a)
			}
		}
		x := rec{byte(1 + r.IntN(6)), g, list}
		steps = append(steps, fmt.Sprintf("%v: %v", l.now, x))
		if m.state(l.now) == "none" && len(list) == 0 && (x.typ == allowNewSources || x.typ == modeIsInclude) {
			continue // Linux then makes a port group of nothing, which lasts
		}
		if v4 {
			l.good(2, report3(4, x))
		} else {
			l.good(2, mldReport2(4, x))
		}
		m.record(x.typ, list, l.now)
		m.age(l.now)
		require.Equal(t, m.state(l.now), portState(l, 2, g), "after\n%s", strings.Join(steps, "\n"))
		l.Queries()
	}
}

// ageTo ages through every moment at which something ends.
func (m *model) ageTo(now, span sim.Time) {
	ends := []sim.Time{now}
	if m.exclude && m.group < now {
		ends = append(ends, m.group)
	}
	for _, end := range m.sources {
		if end > now-span && end < now {
			ends = append(ends, end)
		}
	}
	slices.Sort(ends)
	for _, end := range ends {
		m.age(end)
	}
}
