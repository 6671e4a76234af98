package labfile

import (
	"fmt"
	"slices"
	"strings"

	"ringside"
	"ringside/bridge"
	"ringside/bridge/snoop"
	"ringside/internal/form"
)

// refer finds what each name stands for.
func (l *lab) refer() {
	l.adopt()
	bridges := make([]string, len(l.bridges))
	for i, b := range l.bridges {
		bridges[i] = b.Name
	}
	if len(bridges) == 0 {
		bridges = []string{"br0"}
	}
	ports := map[string][]string{}
	var all []string
	for _, k := range l.links {
		if k.bridge == "" {
			k.bridge = bridges[0]
		}
		all = append(all, k.name)
		ports[k.bridge] = append(ports[k.bridge], k.name)
		if k.bridge != ringside.NoBridge && !slices.Contains(bridges, k.bridge) {
			l.Wrong(k.to.field, "there is no bridge %s: %s", form.Quote(k.bridge), l.Hint(k.bridge, "there are ", bridges))
		}
	}
	for _, k := range l.links {
		for _, m := range k.mirrors {
			if m.to == k.name {
				l.Wrong(m.field, "%s is this interface itself: frames are mirrored to another", form.Quote(m.to))
				continue
			}
			l.there(m, "interface", without(all, k.name))
		}
		if k.backup != nil && k.bridge == ringside.NoBridge {
			l.Wrong(k.backup.field, "%s is on no bridge, where no port stands in for it", k.name)
		} else if k.backup != nil {
			l.there(*k.backup, "other port of "+k.bridge, without(ports[k.bridge], k.name))
		}
	}
	for _, b := range l.bridges {
		for _, d := range b.devs {
			l.there(d, "port of "+b.Name, append([]string{b.Name}, ports[b.Name]...))
		}
	}
	l.processors()
}

// adopt names what a file that says nothing of NICs or bridges has nevertheless, and
// finds who has such a name already.
func (l *lab) adopt() {
	if len(l.cfg.NICs) == 0 {
		l.links = slices.Insert(l.links, 0, &linkAt{name: "eth0", port: &bridge.PortConfig{}})
		l.adopted("eth0", "the NIC", "nics")
	}
	if len(l.cfg.Bridges) == 0 {
		l.adopted("br0", "the bridge", "bridges")
	}
}

func (l *lab) adopted(name, what, where string) {
	if p, ok := l.used[name]; ok {
		l.Fail(p, "the name %s is that of %s, which there is without %s: choose another", form.Quote(name), what, where)
	}
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}

func (l *lab) there(ref reference, what string, names []string) {
	if !slices.Contains(names, ref.to) {
		l.Wrong(ref.field, "there is no %s %s: %s", what, form.Quote(ref.to), l.Hint(ref.to, "there are ", names))
	}
}

// processors checks the CPUs of guests, which the machine counts as Config.CPUs
// says.
func (l *lab) processors() {
	n := l.cfg.CPUs
	if n == 0 {
		for _, c := range l.cfg.NICs {
			n += max(c.Queues, 1)
		}
		n = l.cfg.Topology.Fill(max(n, 1) + min(len(l.cfg.VMs), 4))
	}
	for _, c := range l.cpus {
		if k, ok := l.Number(c.field, 0, 1023); ok && int(k) >= n {
			l.Wrong(c.field, "there are CPUs 0 to %d; cpus: %d makes more", n-1, k+1)
		}
	}
	l.checkBatching(n)
	l.checkSched(n)
}

// build makes each bridge with its ports and entries, as the machine will, so
// that what a bridge refuses is told with its place.
func (l *lab) build() {
	if len(l.bridges) == 0 {
		l.bridges = []*bridgeAt{{field: field{Name: "br0"}, cfg: &ringside.Bridge{}}}
	}
	for _, b := range l.bridges {
		l.buildOne(b)
	}
	for _, v := range l.vteps {
		l.buildVTEP(v)
	}
}

func (l *lab) buildOne(at *bridgeAt) {
	at.cfg.Neighbours = l.table(at)
	b, err := bridge.New(at.cfg.Config)
	if err != nil {
		l.refused(at.field, err)
		return
	}
	ports, ok := l.addPorts(b, at)
	if !ok {
		return
	}
	for i, e := range at.cfg.FDB {
		e.Port = ports[e.Dev]
		if err := b.Add(e.Entry); err != nil {
			l.refused(at.fdb[i], err)
		}
	}
	for i, e := range at.cfg.MDB {
		e.Port = snoop.Port(ports[e.Dev])
		if err := b.AddMDB(e.Static); err != nil {
			l.refused(at.mdb[i], err)
		}
	}
}

// addPorts adds all first and then says which stands in for which, since a backup
// may be added later.
func (l *lab) addPorts(b *bridge.Bridge, at *bridgeAt) (ports map[string]bridge.Port, ok bool) {
	ports, ok = map[string]bridge.Port{at.Name: bridge.Local}, true
	for _, k := range l.links {
		if k.bridge != at.Name {
			continue
		}
		cfg := *k.port
		cfg.Name, cfg.BackupPort = k.name, ""
		p, err := b.AddPort(cfg)
		if err != nil {
			l.refused(k.field, err)
			ok = false
		}
		ports[k.name] = p
	}
	for _, k := range l.links {
		if k.backup == nil || k.bridge != at.Name || !ok {
			continue
		}
		cfg := *k.port
		cfg.Name = k.name
		if err := b.SetPort(ports[k.name], cfg); err != nil {
			l.refused(k.backup.field, err)
			ok = false
		}
	}
	return ports, ok
}

// refused tells what the bridge will not have.
func (l *lab) refused(f field, err error) {
	text := err.Error()
	for _, room := range []string{"bridge: ", "neigh: ", "snoop: ", "vxlan: "} {
		text = strings.ReplaceAll(strings.TrimPrefix(text, room), ": "+room, ": ")
	}
	if f.Path == "" {
		l.Fail(f.Key, "%s", text)
		return
	}
	l.Fail(f.Key, "%s", fmt.Sprintf("%s: %s", f.Path, text))
}
