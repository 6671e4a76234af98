package labfile

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ringside"
	"ringside/bridge"
)

// Schema is the first line of every lab.
const Schema = "ringside.lab/1"

// A Lab is what a file describes.
type Lab struct {
	Config ringside.Config
	// Guest is what the guests run, for a report: the programs that the file
	// names, each once. "" if it names no guest.
	Guest string

	file string
	used map[string]place // interfaces and bridges by name
}

// Where is the place in the file, as FILE:LINE:COLUMN, that gives a name to an
// interface or a bridge; "" if none does.
func (l *Lab) Where(name string) string {
	p, ok := l.used[name]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", l.file, p.line, p.column)
}

// Open reads the lab in a file.
func Open(name string) (*Lab, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	defer f.Close()
	return Load(f, name)
}

// Load reads a lab. File is what errors call it. The error names everything that
// is wrong, a line each: file, line and column, key, what is wrong and what is
// possible.
func Load(from io.Reader, file string) (*Lab, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", file, err)
	}
	r := &reader{file: file}
	if len(text) > maxBytes {
		r.fail(place{1, 1}, "larger than %d bytes, so this is no lab", maxBytes)
		return nil, r.err()
	}
	l := &lab{reader: r, used: map[string]place{}}
	if root := r.document(text); root != nil {
		l.top(root)
	}
	if len(r.problems) == 0 {
		l.refer()
	}
	if len(r.problems) == 0 {
		l.build()
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return &Lab{l.cfg, strings.Join(l.programs, ", "), file, l.used}, nil
}

// A lab is what has been read so far, with the places that later errors name.
type lab struct {
	*reader
	cfg      ringside.Config
	bridges  []*bridgeAt
	links    []*linkAt
	programs []string
	cpus     []reference // that guests are to run on
	used     map[string]place
}

// A reference is a name that must be there, or a number.
type reference struct {
	field
	to string
}

// bridgeAt is a bridge and where its parts stand.
type bridgeAt struct {
	field
	cfg   *ringside.Bridge
	fdb   []field
	mdb   []field
	neigh []neighbour
	devs  []reference // in fdb and mdb
}

// linkAt is an interface and where its parts stand.
type linkAt struct {
	field
	name    string
	bridge  string
	port    *bridge.PortConfig
	to      reference   // the bridge, if the file names it
	mirrors []reference // interfaces that get copies
	backup  *reference
}

// top reads the whole file.
func (l *lab) top(root *yaml.Node) {
	// Another schema may have other keys, so nothing else is looked at then.
	if !l.schema(root) {
		return
	}
	var patches field
	l.mapping(field{node: root}, "a list of keys", []known{
		{"schema", func(field) {}},
		{"cpus", whole(l.reader, &l.cfg.CPUs, 1, 1024)},
		{"tap_queue", whole(l.reader, &l.cfg.TapQueue, 1, 1<<20)},
		{"bridges", l.readBridges},
		{"nics", l.readNICs},
		{"vms", l.readVMs},
		{"patches", func(f field) { patches = f }},
	})
	if patches.node != nil { // their defaults need the bridges
		l.readPatches(patches)
	}
}

func (l *lab) schema(root *yaml.Node) bool {
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if k.Value != "schema" {
			continue
		}
		if v.Kind != yaml.ScalarNode || v.Value != Schema {
			l.fail(at(v), "schema: %s is not one this program reads: it reads %s", kind(v), Schema)
			return false
		}
		return true
	}
	l.fail(at(root), "schema: missing: a lab begins with schema: %s", Schema)
	return false
}

// take makes sure that no two interfaces have one name.
func (l *lab) take(f field, name string) bool {
	if name == ringside.NoBridge {
		l.fail(f.key, "%s: the name %q stands for no bridge: choose another", f.path, name)
		return false
	}
	if p, ok := l.used[name]; ok {
		l.fail(f.key, "%s: the name %s is taken on line %d: choose another", f.path, quote(name), p.line)
		return false
	}
	l.used[name] = f.key
	return true
}

// atMost is an error at the first of too many.
func (l *lab) atMost(list []field, most int, what string) {
	if len(list) > most {
		l.fail(list[most].key, "%s: %d %s; up to %d are possible", list[most].path, len(list), what, most)
	}
}

// named reads what names stand for.
func (l *lab) named(list []field, read func(field)) {
	for _, e := range list {
		if l.isIfname(e, e.name) {
			read(e)
		}
	}
}

// readNICs reads the adapters.
func (l *lab) readNICs(f field) {
	list := l.fields(f, "names of NICs, each with what it is")
	l.cfg.NICs = make([]ringside.NIC, 0, len(list))
	l.atMost(list, ringside.MaxNICs, "NICs")
	l.named(list, func(f field) {
		if l.take(f, f.name) {
			l.cfg.NICs = append(l.cfg.NICs, ringside.NIC{Name: f.name})
			l.readNIC(f, &l.cfg.NICs[len(l.cfg.NICs)-1])
		}
	})
}

func (l *lab) readNIC(f field, n *ringside.NIC) {
	link := &linkAt{field: f, name: f.name, port: &n.Port}
	l.mapping(f, "what the NIC is, as {bridge: br0, queues: 4}", append(l.link(link, &n.Bridge, &n.MTU, &n.MirrorIn, &n.MirrorOut),
		known{"link", func(f field) { l.wire(f, n) }},
		known{"queues", whole(l.reader, &n.Queues, 1, 16)},
		known{"ring", func(f field) { l.ring(f, &n.Ring) }},
		known{"itr", func(f field) { l.itr(f, n) }},
		known{"drop_en", l.on(&n.DropEn)},
	))
	l.links = append(l.links, link)
}

// link is the keys that every interface has.
func (l *lab) link(at *linkAt, bridge *string, mtu *int, in, out *string) []known {
	mirror := func(to *string) func(field) {
		return func(f field) {
			if s, ok := l.ifname(f); ok {
				*to = s
				at.mirrors = append(at.mirrors, reference{f, s})
			}
		}
	}
	return []known{
		{"bridge", func(f field) {
			if s, ok := l.ifname(f); ok {
				*bridge, at.bridge, at.to = s, s, reference{f, s}
			}
		}},
		{"mtu", whole(l.reader, mtu, 68, 65535)},
		{"mirror_in", mirror(in)},
		{"mirror_out", mirror(out)},
		{"port", func(f field) { l.readPort(f, at) }},
	}
}

// wire reads a link as --link does: its speed, and what happens to frames on it.
func (l *lab) wire(f field, n *ringside.NIC) {
	s, ok := l.text(f)
	if !ok {
		return
	}
	bps, spec, err := ringside.ParseLink(s)
	if err != nil {
		l.wrong(f, "%v", err)
		return
	}
	n.LinkBPS, n.Link = bps, spec
}

func (l *lab) ring(f field, into *int) {
	n, ok := l.number(f, 8, 4096)
	if ok && n%8 != 0 {
		l.wrong(f, "%d: give a multiple of 8", n)
		return
	}
	*into = int(n)
}

func (l *lab) itr(f field, n *ringside.NIC) {
	if s, _ := l.text(f); s == "off" {
		n.ITR = ringside.NoITR
		return
	}
	t, ok := l.span(f, ITRUnit, 8191*ITRUnit)
	if ok && t%ITRUnit != 0 {
		l.wrong(f, "%s: give whole microseconds, or off", short(t))
		return
	}
	n.ITR = t
}

// readVMs reads the guests.
func (l *lab) readVMs(f field) {
	list := l.fields(f, "names of guests, each with what it is")
	l.cfg.VMs = make([]ringside.VM, 0, len(list))
	l.named(list, func(f field) {
		l.cfg.VMs = append(l.cfg.VMs, ringside.VM{Name: f.name})
		l.readVM(f, len(l.cfg.VMs)-1)
	})
}

func (l *lab) readVM(f field, i int) {
	v := &l.cfg.VMs[i]
	link := &linkAt{field: f, name: fmt.Sprintf("tap%d", i), port: &v.Port}
	name, program := f, "sink"
	v.Program, _ = Program(program)
	l.mapping(f, "what the guest is, as {program: echo, addr: 192.0.2.7}", append(l.link(link, &v.Bridge, &v.MTU, &v.MirrorIn, &v.MirrorOut),
		known{"program", func(f field) { l.program(f, v, &program) }},
		known{"mac", l.stationInto((*bridge.MAC)(&v.MAC))},
		known{"addr", func(f field) { v.Addr, _ = l.addr(f) }},
		known{"batch", whole(l.reader, &v.Batch, 1, 1024)},
		known{"cpu", func(f field) { l.cpu(f, v) }},
		known{"tap", func(f field) {
			if s, ok := l.ifname(f); ok {
				name, link.name = f, s
			}
		}},
		known{"known", func(f field) {
			for _, e := range l.list(f) {
				if m, ok := l.station(e); ok {
					v.Known = append(v.Known, m)
				}
			}
		}},
	))
	v.Port.Name = link.name
	if l.take(name, link.name) {
		l.links = append(l.links, link)
	}
	if !slices.Contains(l.programs, program) {
		l.programs = append(l.programs, program)
	}
}

func (l *lab) program(f field, v *ringside.VM, name *string) {
	s, ok := l.text(f)
	if !ok {
		return
	}
	p, err := Program(s)
	if err != nil {
		l.wrong(f, "%s: %v", quote(s), err)
		return
	}
	v.Program, *name = p, s
}

func (l *lab) cpu(f field, v *ringside.VM) {
	if n, ok := l.number(f, 0, 1023); ok {
		cpu := int(n)
		v.CPU = &cpu
		l.cpus = append(l.cpus, reference{field: f})
	}
}

// readPatches reads the cables between bridges.
func (l *lab) readPatches(f field) {
	list := l.list(f)
	l.cfg.Patches = make([]ringside.Patch, len(list))
	for i, f := range list {
		p := &l.cfg.Patches[i]
		var given [2]bool
		end := func(k int, e *ringside.PatchEnd) func(field) {
			return func(f field) { given[k] = true; l.readEnd(f, e) }
		}
		l.mapping(f, "two ends, as {a: {name: p0, bridge: br0}, b: {name: p1, bridge: br1}}", []known{{"a", end(0, &p.A)}, {"b", end(1, &p.B)}})
		if given != [2]bool{true, true} {
			l.wrong(f, "a patch has two ends, a and b, each with its name and bridge")
		}
	}
}

func (l *lab) readEnd(f field, e *ringside.PatchEnd) {
	link := &linkAt{field: f, port: &e.Port}
	name := f
	l.mapping(f, "an end of the patch, as {name: p0, bridge: br0}", append(l.link(link, &e.Bridge, &e.MTU, &e.MirrorIn, &e.MirrorOut),
		known{"name", func(f field) {
			if s, ok := l.ifname(f); ok {
				name, e.Name, link.name = f, s, s
			}
		}},
	))
	switch {
	case e.Name == "":
		l.wrong(f, "the end of a patch needs a name, as {name: p0, bridge: br0}")
	case e.Bridge == "":
		l.wrong(f, "the end of a patch needs a bridge, as {name: p0, bridge: br0}")
	case l.take(name, e.Name):
		l.links = append(l.links, link)
	}
}
