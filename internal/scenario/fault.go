package scenario

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ringside"
	"ringside/bridge"
	"ringside/internal/form"
	"ringside/internal/labfile"
	"ringside/sim"
)

// A Fault is something that changes in the middle of a run.
type Fault struct {
	At   sim.Time
	Says string // as the file has it: "pull trunk"
	do   func(*ringside.Lab) error
}

// A faultAt is a fault that has been read, and what it is for.
type faultAt struct {
	field
	at   sim.Time
	kind *faultKind
	what field
}

// A faultKind is one of the keys that a fault may have beside at.
type faultKind struct {
	name, example string
	// find makes the fault, or fails with the place.
	find func(*reader, field) (says string, do func(*ringside.Lab) error)
}

var faultKinds = []*faultKind{
	{"pull", "{at: 500ms, pull: cable0}", (*reader).pull},
	{"plug", "{at: 1s, plug: cable0}", (*reader).plug},
	{"down", "{at: 500ms, down: a/eth0}", (*reader).down},
	{"up", "{at: 1s, up: a/eth0}", (*reader).up},
	{"flush", "{at: 500ms, flush: a/br0}", (*reader).flush},
	{"migrate", "{at: 500ms, migrate: {vm: a/web, to: b/web}}", (*reader).migrate},
}

// readFaults reads what is to happen; what it happens to is looked up later.
func (r *reader) readFaults(f field) {
	for _, f := range r.List(f) {
		x := faultAt{field: f, at: -1}
		keys := []known{{Name: "at", Read: func(f field) { x.at, _ = r.Span(f, 0, maxDuration) }}}
		for _, k := range faultKinds {
			keys = append(keys, known{Name: k.name, Read: func(f field) {
				if x.kind != nil {
					r.Fail(f.Key, "%s: a second fault in one entry: give each an entry of its own", f.Path)
				}
				x.kind, x.what = k, f
			}})
		}
		before := len(r.Problems())
		r.Mapping(f, "a fault, as "+faultKinds[0].example, keys)
		switch {
		case len(r.Problems()) > before:
		case x.at < 0:
			r.Wrong(f, "when? Give it a time, as %s", faultKinds[0].example)
		case x.kind == nil:
			r.Wrong(f, "what happens? Give one of %s, as %s", strings.Join(faultNames(), ", "), faultKinds[0].example)
		default:
			r.faults = append(r.faults, x)
		}
	}
}

func faultNames() []string {
	list := make([]string, len(faultKinds))
	for i, k := range faultKinds {
		list[i] = k.name
	}
	return list
}

// referFaults finds what faults are for.
func (r *reader) referFaults() {
	for _, x := range r.faults {
		if r.s.Duration > 0 && x.at > r.s.Duration {
			r.Wrong(x.field, "at %s the run is over: it ends at %s", form.Short(x.at), form.Short(r.s.Duration))
			continue
		}
		if says, do := x.kind.find(r, x.what); do != nil {
			r.s.Faults = append(r.s.Faults, Fault{x.at, x.kind.name + " " + says, do})
		}
	}
}

func (r *reader) pull(f field) (string, func(*ringside.Lab) error) { return r.setCable(f, false) }
func (r *reader) plug(f field) (string, func(*ringside.Lab) error) { return r.setCable(f, true) }

func (r *reader) setCable(f field, up bool) (string, func(*ringside.Lab) error) {
	name, ok := r.Text(f)
	if !ok {
		return "", nil
	}
	var all []string
	for i, c := range r.s.Lab.Cables {
		if c.Name == "" {
			c.Name = fmt.Sprintf("cable%d", i)
		}
		all = append(all, c.Name)
	}
	if !slices.Contains(all, name) {
		r.Wrong(f, "there is no cable %s: %s", form.Quote(name), r.Hint(name, "there are ", all))
		return "", nil
	}
	return name, func(l *ringside.Lab) error { return l.SetCable(name, up) }
}

func (r *reader) down(f field) (string, func(*ringside.Lab) error) { return r.setPort(f, false) }
func (r *reader) up(f field) (string, func(*ringside.Lab) error)   { return r.setPort(f, true) }

// setPort takes the carrier of a bridge's port, or gives it back.
func (r *reader) setPort(f field, up bool) (string, func(*ringside.Lab) error) {
	host, lab, dev := r.of(f, "interface", "a/eth0", (*labfile.Lab).Ports)
	if lab == nil {
		return "", nil
	}
	return host + "/" + dev, func(l *ringside.Lab) error { return setLink(l.Host(host), dev, up) }
}

func setLink(h *ringside.Host, dev string, up bool) error {
	br, p, ok := h.Kernel.Port(dev)
	if !ok {
		return fmt.Errorf("%s is no port of a bridge", dev)
	}
	return h.Kernel.Change(br, func(b *bridge.Bridge) error { return b.SetLink(p, up) })
}

// flush has a bridge forget what it has learned.
func (r *reader) flush(f field) (string, func(*ringside.Lab) error) {
	host, lab, br := r.of(f, "bridge", "a/br0", (*labfile.Lab).Bridges)
	if lab == nil {
		return "", nil
	}
	return host + "/" + br, func(l *ringside.Lab) error {
		h := l.Host(host)
		return h.Kernel.Change(h.BridgeOf(br), func(b *bridge.Bridge) error {
			b.Flush(bridge.Filter{Static: bridge.No, ByUser: bridge.No, Extern: bridge.No})
			return nil
		})
	}
}

// migrate takes a guest's tap from its bridge's carrier and gives it to its twin on
// another host.
func (r *reader) migrate(f field) (string, func(*ringside.Lab) error) {
	var from, to field
	r.Mapping(f, "a guest and its twin, as {vm: a/web, to: b/web}", []known{
		{Name: "vm", Read: func(f field) { from = f }},
		{Name: "to", Read: func(f field) { to = f }},
	})
	if from.Node == nil || to.Node == nil {
		r.Wrong(f, "give the guest and its twin, as {vm: a/web, to: b/web}")
		return "", nil
	}
	hostA, labA, vmA := r.of(from, "guest", "a/web", (*labfile.Lab).VMs)
	hostB, labB, vmB := r.of(to, "guest", "b/web", (*labfile.Lab).VMs)
	if labA == nil || labB == nil {
		return "", nil
	}
	tapA, tapB := labA.Tap(vmA), labB.Tap(vmB)
	return fmt.Sprintf("%s/%s to %s/%s", hostA, vmA, hostB, vmB), func(l *ringside.Lab) error {
		if err := setLink(l.Host(hostA), tapA, false); err != nil {
			return err
		}
		return setLink(l.Host(hostB), tapB, true)
	}
}

// of reads HOST/NAME and finds the host and the name among what list says it has.
func (r *reader) of(f field, what, example string, list func(*labfile.Lab) []string) (host string, lab *labfile.Lab, name string) {
	if f.Node.Kind != yaml.ScalarNode {
		r.Wrong(f, "must be a host and one of its %ss, as %s, but this is %s", what, example, form.Kind(f.Node))
		return "", nil, ""
	}
	host, name, ok := strings.Cut(f.Node.Value, "/")
	if !ok {
		r.Wrong(f, "%s: give a host and one of its %ss, as %s", form.Quote(f.Node.Value), what, example)
		return "", nil, ""
	}
	if lab = r.hosts[host]; lab == nil {
		r.Wrong(f, "there is no host %s: %s", form.Quote(host), r.Hint(host, "there are ", r.hostNames()))
		return "", nil, ""
	}
	if all := list(lab); !slices.Contains(all, name) {
		r.Wrong(f, "host %s has no %s %s: %s", host, what, form.Quote(name), r.Hint(name, "it has ", all))
		return "", nil, ""
	}
	return host, lab, name
}
