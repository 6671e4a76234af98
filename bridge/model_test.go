package bridge

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"ringside/cost"
	"ringside/sim"
)

// A model is the bridge once more, slow and plain: maps and sorting, bytes
// compared as bytes, one rule after the other as the package comment tells them.
// It shares no code with the bridge but the types of the answers.
type model struct {
	cfg     Config
	ports   map[Port]*modelPort
	entries map[MAC]*modelEntry
	stats   Stats
	due     sim.Time
}

type modelPort struct {
	cfg   PortConfig
	stats PortStats
}

type modelEntry struct {
	port    Port
	kind    Kind
	sticky  bool
	counted bool // against MaxLearned
	updated sim.Time
}

func newModel(cfg Config) *model {
	m := &model{cfg: cfg, ports: map[Port]*modelPort{}, entries: map[MAC]*modelEntry{}, due: sim.Never}
	m.ports[Local] = &modelPort{cfg: PortConfig{Name: cfg.Name, MAC: cfg.MAC}}
	if cfg.MAC != (MAC{}) {
		m.addLocal(cfg.MAC, Local)
	}
	return m
}

func (m *model) addPort(cfg PortConfig) Port {
	p := Port(1)
	for m.ports[p] != nil {
		p++
	}
	m.ports[p] = &modelPort{cfg: cfg}
	if cfg.MAC != (MAC{}) {
		m.addLocal(cfg.MAC, p)
	}
	return p
}

func (m *model) removePort(p Port) {
	delete(m.ports, p)
	for mac, e := range m.entries {
		if e.port != p {
			continue
		}
		delete(m.entries, mac)
		if e.kind != Permanent {
			continue
		}
		for _, q := range append(m.others(Local), Local) {
			if m.ports[q].cfg.MAC == mac {
				e.port = q
				m.entries[mac] = e
				break
			}
		}
	}
}

func (m *model) addLocal(mac MAC, p Port) {
	if e := m.entries[mac]; e == nil || e.kind != Permanent {
		m.replace(mac, &modelEntry{port: p, kind: Permanent})
	}
}

func (m *model) addStatic(mac MAC, p Port, sticky bool) {
	m.replace(mac, &modelEntry{port: p, kind: Static, sticky: sticky})
}

func (m *model) setLocal(mac MAC, p Port) { m.replace(mac, &modelEntry{port: p, kind: Permanent}) }

func (m *model) replace(mac MAC, e *modelEntry) {
	if old := m.entries[mac]; old != nil {
		e.updated = old.updated
	}
	m.entries[mac] = e
}

func (m *model) counted() int {
	n := 0
	for _, e := range m.entries {
		if e.counted {
			n++
		}
	}
	return n
}

func (m *model) expired(e *modelEntry, now sim.Time) bool {
	return e.kind == Dynamic && m.cfg.Ageing != sim.Never && e.updated+m.cfg.Ageing <= now
}

func (m *model) age(now sim.Time) (looked, removed int, next sim.Time) {
	if m.cfg.Ageing == sim.Never || m.cfg.Ageing == Hub {
		return 0, 0, sim.Never
	}
	looked = len(m.entries)
	m.due = sim.Never
	for mac, e := range m.entries {
		if m.expired(e, now) {
			delete(m.entries, mac)
			removed++
			m.stats.Aged++
		} else if e.kind == Dynamic && m.cfg.Ageing != sim.Never {
			m.due = min(m.due, max(e.updated+m.cfg.Ageing, now+10*sim.Millisecond))
		}
	}
	return looked, removed, m.due
}

// others is the ports without Local and without p.
func (m *model) others(p Port) []Port {
	var out []Port
	for _, q := range slices.Sorted(maps.Keys(m.ports)) {
		if q != Local && q != p {
			out = append(out, q)
		}
	}
	return out
}

func (m *model) handle(in Port, frame []byte, now sim.Time) Verdict {
	p := m.ports[in]
	if p == nil {
		return Verdict{Action: Drop, Reason: cost.NotSpecified}
	}
	p.stats.Rx++
	v := m.decide(in, frame, now)
	if v.Work.Has(PassedUp) {
		v.Out = append(v.Out, Copy{Port: Local})
	}
	for _, c := range v.Out {
		m.ports[c.Port].stats.Tx++
	}
	if v.Action == Drop {
		p.stats.Drops++
	}
	return v
}

func (m *model) decide(in Port, frame []byte, now sim.Time) (v Verdict) {
	if len(frame) < 14 {
		v.Reason = cost.PktTooSmall
		return v
	}
	dst, src := MAC(frame[0:6]), MAC(frame[6:12])
	if in != Local {
		if src == (MAC{}) || src[0]&1 == 1 {
			v.Reason = cost.MACInvalidSource
			return v
		}
		if bytes.Equal(dst[:5], []byte{0x01, 0x80, 0xc2, 0x00, 0x00}) && dst[5] < 16 {
			pass := m.cfg.GroupFwdMask&(1<<dst[5]) == 0
			switch {
			case dst[5] == 0:
			case dst[5] == 1:
				v.Reason = cost.MACIEEEMACControl
				return v
			case pass:
				v.Action, v.Reason = PassPort, cost.RSLinkLocal
				v.Work = Work(m.learn(in, src, now))
				return v
			}
		}
		v.Work = Work(m.learn(in, src, now)) | Finished
		if m.cfg.Promisc || dst[0]&1 == 1 {
			v.Work |= PassedUp
		}
	}
	if dst[0]&1 == 1 {
		if dst != all {
			v.Work |= MDBLooked
		}
		return m.flood(in, v)
	}
	v.Work |= Looked
	e := m.entries[dst]
	switch {
	case e == nil:
		return m.flood(in, v)
	case e.kind == Permanent && in != Local:
		v.Action, v.Work = Up, v.Work|PassedUp
	case e.port == Local || e.port == in:
		if v.Action = Drop; v.Work.Has(PassedUp) {
			v.Action = Up
		} else {
			v.Reason = cost.RSSamePort
		}
	default:
		v.Action, v.Out = Forward, to(e.port)
	}
	return v
}

func (m *model) flood(in Port, v Verdict) Verdict {
	v.Out = to(m.others(in)...)
	v.Action = Flood
	v.Work |= Flooded
	if len(v.Out) == 0 && !v.Work.Has(PassedUp) {
		v.Action, v.Reason = Drop, cost.NoTxTarget
	}
	return v
}

func (m *model) learn(in Port, src MAC, now sim.Time) Learned {
	if m.ports[in].cfg.NoLearning || m.cfg.Ageing == Hub {
		return LearnedNothing
	}
	e := m.entries[src]
	switch {
	case e == nil && m.counted() >= m.cfg.MaxLearned:
		m.stats.Refused++
		return Refused
	case e == nil:
		m.entries[src] = &modelEntry{port: in, counted: true, updated: now}
		m.stats.Created++
		if m.due == sim.Never && m.cfg.Ageing != sim.Never {
			m.due = now + m.cfg.Ageing
		}
		return Created
	case e.kind == Permanent:
		m.stats.OwnSource++
		return OwnAddress
	}
	e.updated = now
	if e.port == in || e.sticky {
		return Refreshed
	}
	e.port = in
	m.stats.Moved++
	return Moved
}

// differs says in words where the bridge and the model part, or "".
func (m *model) differs(b *Bridge, now sim.Time) string {
	got := b.Stats()
	got.Flaps = 0 // which the model does not follow
	if got != m.stats {
		return fmt.Sprintf("stats %+v, want %+v", got, m.stats)
	}
	if b.Due() != m.due {
		return fmt.Sprintf("due %v, want %v", b.Due(), m.due)
	}
	if got := b.Ports(); !slices.Equal(got, m.others(Local)) {
		return fmt.Sprintf("ports %v, want %v", got, m.others(Local))
	}
	for p, want := range m.ports {
		if got := b.PortStats(p); got != want.stats {
			return fmt.Sprintf("port %d counts %+v, want %+v", p, got, want.stats)
		}
		if got := b.PortConfig(p); !reflect.DeepEqual(got, want.cfg) {
			return fmt.Sprintf("port %d is %+v, want %+v", p, got, want.cfg)
		}
	}
	entries := b.Entries(now)
	macs := slices.SortedFunc(maps.Keys(m.entries), func(x, y MAC) int { return bytes.Compare(x[:], y[:]) })
	if len(entries) != len(macs) || b.Len() != len(macs) {
		return fmt.Sprintf("%d entries and Len %d, want %d", len(entries), b.Len(), len(macs))
	}
	for i, mac := range macs {
		e := m.entries[mac]
		want := Entry{MAC: mac, Port: e.port, Kind: e.kind, Sticky: e.sticky, Updated: e.updated, Stale: m.expired(e, now)}
		if e.kind != Dynamic {
			entries[i].Updated, want.Updated = 0, 0 // when it was set, which the model does not follow
		}
		if entries[i] != want {
			return fmt.Sprintf("entry %+v, want %+v", entries[i], want)
		}
		if one, ok := b.Lookup(mac, 0, now); !ok || one.Port != want.Port || one.Kind != want.Kind {
			return fmt.Sprintf("lookup of %v gives %+v %v, want %+v", mac, one, ok, want)
		}
	}
	return ""
}

// verdictDiffers says in words where two verdicts part, or "".
func verdictDiffers(got, want Verdict) string {
	if got.Action != want.Action || got.Reason != want.Reason || got.Work != want.Work || !slices.Equal(got.Out, want.Out) {
		return fmt.Sprintf("verdict %+v, want %+v", got, want)
	}
	return ""
}
