package reference

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"ringside/bridge"
	"ringside/bridge/stp"
	"ringside/sim"
)

// A Bridge is the bridge. See New.
type Bridge struct {
	cfg   bridge.Config
	ports map[bridge.Port]*port // Local is one of them
	fdb   map[key]*entry
	snoop *snooper
	host  Host
	now   sim.Time
	due   sim.Time // when the database is walked next
	hold  sim.Time // in place of the ageing time while the topology changes, if not 0
}

type port struct {
	number bridge.Port
	cfg    bridge.PortConfig
	mac    bridge.MAC
	state  stp.State
	link   bool
	vlans  vlans
}

// New makes a bridge without ports.
func New(cfg bridge.Config) *Bridge {
	b := &Bridge{cfg: cfg, ports: map[bridge.Port]*port{}, fdb: map[key]*entry{}, due: sim.Never}
	b.snoop = newSnooper(b)
	b.ports[bridge.Local] = &port{mac: cfg.MAC, state: stp.Forwarding, link: true, vlans: newVLANs()}
	b.addLocal(key{cfg.MAC, 0}, bridge.Local)
	b.defaultVLAN(bridge.Local)
	for _, v := range cfg.VLANs {
		b.AddVLAN(bridge.Local, v)
	}
	return b
}

// defaultVLAN puts an interface into the default PVID's VLAN.
func (b *Bridge) defaultVLAN(n bridge.Port) {
	switch vid := b.cfg.DefaultPVID; vid {
	case bridge.NoPVID:
	case 0:
		b.AddVLAN(n, bridge.VLAN{VID: 1, PVID: true, Untagged: true})
	default:
		b.AddVLAN(n, bridge.VLAN{VID: vid, PVID: true, Untagged: true})
	}
}

// AddPort adds a port, with the lowest number that is free.
func (b *Bridge) AddPort(cfg bridge.PortConfig) bridge.Port {
	n := bridge.Port(1)
	for b.ports[n] != nil {
		n++
	}
	b.ports[n] = &port{number: n, cfg: cfg, mac: cfg.MAC, state: stp.Forwarding, link: true, vlans: newVLANs()}
	b.addLocal(key{cfg.MAC, 0}, n)
	if !cfg.NoPVID {
		b.defaultVLAN(n)
	}
	for _, v := range cfg.VLANs {
		b.AddVLAN(n, v)
	}
	b.snoop.addPort(n)
	return n
}

// RemovePort takes a port away, with all entries that point to it.
func (b *Bridge) RemovePort(n bridge.Port) {
	name := b.ports[n].cfg.Name
	delete(b.ports, n)
	for _, q := range b.Ports() {
		if p := b.ports[q]; p.cfg.BackupPort == name {
			p.cfg.BackupPort = ""
		}
	}
	for k, e := range b.fdb {
		if e.port == n {
			b.deleteOf(k, n)
		}
	}
	b.snoop.removePort(n)
}

// SetPort changes what a port does, and says whether that is allowed. Locked entries
// go with mab.
func (b *Bridge) SetPort(n bridge.Port, cfg bridge.PortConfig) bool {
	p := b.ports[n]
	if cfg.MAB && !cfg.Locked {
		return false
	}
	if p.cfg.MAB && !cfg.MAB {
		maps.DeleteFunc(b.fdb, func(_ key, e *entry) bool { return e.port == n && e.locked })
	}
	old := p.cfg.McastRouter
	p.cfg = cfg
	b.snoop.setPort(n, old)
	return true
}

// SetState is a port's state as the spanning tree, or whoever sets it, chose it.
func (b *Bridge) SetState(n bridge.Port, s stp.State) { b.ports[n].state = s }

// SetConfig changes those options that have no effect but on what comes later: masks,
// bounds, promiscuity, what is learned, and VLANs being looked at.
func (b *Bridge) SetConfig(cfg bridge.Config) {
	c := &b.cfg
	c.MaxLearned, c.GroupFwdMask, c.Promisc = cfg.MaxLearned, cfg.GroupFwdMask, cfg.Promisc
	c.NoLinkLocalLearn, c.VLANFiltering, c.VLANProtocol = cfg.NoLinkLocalLearn, cfg.VLANFiltering, cfg.VLANProtocol
}

// SetHold is how long entries last while the topology changes, 0 while it does not.
func (b *Bridge) SetHold(t sim.Time) { b.hold = t }

// SetLink is the carrier of a port. Without it what was learned there is forgotten,
// unless a backup stands in.
func (b *Bridge) SetLink(n bridge.Port, up bool) {
	p := b.ports[n]
	if p.link && !up && p.state != stp.Disabled {
		if p.cfg.BackupPort == "" {
			for k, e := range b.fdb {
				if e.port == n && !e.static && !e.extern {
					b.deleteOf(k, n)
				}
			}
		}
		b.snoop.disable(n)
	}
	p.link = up
}

// Ports is the ports without Local, ascending.
func (b *Bridge) Ports() []bridge.Port {
	list := slices.Sorted(maps.Keys(b.ports))
	return slices.DeleteFunc(list, func(n bridge.Port) bool { return n == bridge.Local })
}

func (b *Bridge) byName(name string) *port {
	for _, n := range b.Ports() {
		if b.ports[n].cfg.Name == name {
			return b.ports[n]
		}
	}
	return nil
}

// Tick does what is due by now, and says how many entries aged. Handle does all of
// it but the walk.
func (b *Bridge) Tick(now sim.Time) (aged int) {
	b.advance(now)
	return b.age()
}

// Due is when the database is walked next.
func (b *Bridge) Due() sim.Time { return b.due }

func (b *Bridge) advance(now sim.Time) {
	b.now = max(b.now, now)
	b.snoop.tick()
}

// Add enters an entry by hand (bridge fdb replace), in place of what is there; in VLAN
// 0 also in each VLAN of the port. It says whether that is allowed.
func (b *Bridge) Add(e bridge.Entry) bool {
	p := b.ports[e.Port]
	switch {
	case e.MAC == bridge.MAC{}, group(e.MAC), p == nil, e.Locked,
		e.Port == bridge.Local && e.Kind != bridge.Permanent,
		e.Sticky && e.Kind == bridge.Permanent,
		e.VLAN != 0 && !p.vlans.has(e.VLAN),
		e.Kind == bridge.Dynamic && !e.ExternLearned && !learns(p.state):
		return false
	}
	b.enter(key{e.MAC, e.VLAN}, e)
	if e.VLAN == 0 {
		for _, vid := range p.vlans.sorted() {
			b.enter(key{e.MAC, vid}, e)
		}
	}
	return true
}

func (b *Bridge) enter(k key, e bridge.Entry) {
	n := entry{port: e.Port, user: true, updated: b.now}
	old := b.fdb[k]
	switch {
	case e.ExternLearned: // br_fdb_external_learn_add leaves most of what is there
		n.extern, n.local = true, n.port == bridge.Local
		if old != nil {
			n.static, n.sticky, n.local = old.static, old.sticky, old.local || n.local
		}
	default:
		n.sticky, n.static, n.local = e.Sticky, e.Kind != bridge.Dynamic, e.Kind == bridge.Permanent
		if old == nil {
			break
		}
		n.extern = old.extern
		if old.port == n.port && b.kind(old) == e.Kind && !b.expired(old, b.now) && old.sticky == n.sticky && !old.locked {
			n.updated = old.updated // nothing changed
		}
	}
	delete(b.fdb, k)
	b.create(k, n)
}

// Flush takes entries out, and says how many.
func (b *Bridge) Flush(f bridge.Filter) (n int) {
	is := func(want bridge.Is, have bool) bool {
		return want == bridge.Any || have == (want == bridge.Yes)
	}
	for k, e := range b.fdb {
		if (f.VLAN == 0 || f.VLAN == k.vid) && (f.Self || f.Port == 0 || f.Port == e.port) && (!f.Self || e.port == bridge.Local) &&
			is(f.Permanent, e.local) && is(f.Static, e.static) && is(f.Sticky, e.sticky) && is(f.Extern, e.extern) && is(f.ByUser, e.user) {
			delete(b.fdb, k)
			n++
		}
	}
	return n
}

// Delete takes an entry out, of whatever kind, and says whether there was one. With
// VLAN 0 it goes from every VLAN of its port.
func (b *Bridge) Delete(mac bridge.MAC, vid uint16) bool {
	e := b.fdb[key{mac, vid}]
	if e == nil {
		return false
	}
	delete(b.fdb, key{mac, vid})
	if vid != 0 {
		return true
	}
	for _, vid := range b.ports[e.port].vlans.sorted() {
		if other := b.fdb[key{mac, vid}]; other != nil && other.port == e.port {
			delete(b.fdb, key{mac, vid})
		}
	}
	return true
}

// Entries is the forwarding database, by address and VLAN.
func (b *Bridge) Entries() (list []bridge.Entry) {
	for k, e := range b.fdb {
		list = append(list, bridge.Entry{
			MAC: k.mac, VLAN: k.vid, Port: e.port, Kind: b.kind(e),
			Sticky: e.sticky, ExternLearned: e.extern, Locked: e.locked, Stale: b.expired(e, b.now), Updated: e.updated,
		})
	}
	slices.SortFunc(list, func(x, y bridge.Entry) int {
		return cmp.Or(bytes.Compare(x.MAC[:], y.MAC[:]), cmp.Compare(x.VLAN, y.VLAN))
	})
	return list
}
