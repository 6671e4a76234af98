package labfile

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"ringside"
	"ringside/bridge"
	"ringside/internal/form"
	"ringside/internal/programs"
)

// Schema is the first line of every lab.
const Schema = "ringside.lab/1"

// A Lab is what a file describes.
type Lab struct {
	Config ringside.Config
	// Guest is what the guests run, for a report: the programs that the file
	// names, each once. "" if it names no guest.
	Guest string
	// Runs are the programs of guests that have a stack, by the guest's name.
	Runs map[string][]programs.Entry

	file  string
	ports []string              // interfaces that stand at bridges
	used  map[string]form.Place // interfaces and bridges by name
}

// Where is the place in the file, as FILE:LINE:COLUMN, that gives a name to an
// interface or a bridge; "" if none does.
func (l *Lab) Where(name string) string {
	p, ok := l.used[name]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", l.file, p.Line, p.Column)
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
	text, err := io.ReadAll(io.LimitReader(from, form.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", file, err)
	}
	r := &form.Reader{File: file, Noun: "lab", Schema: Schema}
	lab := &Lab{}
	if root := r.Document(text); root != nil && r.HasSchema(root) {
		lab = Read(r, form.Field{Node: root})
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return lab, nil
}

// Read reads what a lab says of one machine, where it is a value in a larger file.
// Problems go to r; with any the Lab is of no use.
func Read(r *form.Reader, f form.Field) *Lab {
	before := len(r.Problems())
	l := &lab{Reader: r, used: map[string]form.Place{}, runs: map[string][]programs.Entry{}}
	for _, step := range []func(){func() { l.top(f) }, l.refer, l.build} {
		if len(r.Problems()) == before {
			step()
		}
	}
	lab := &Lab{Config: l.cfg, Guest: strings.Join(l.programs, ", "), Runs: l.runs, file: r.File, used: l.used}
	for _, k := range l.links {
		if k.bridge != ringside.NoBridge {
			lab.ports = append(lab.ports, k.name)
		}
	}
	return lab
}

// NICs are the names of the adapters.
func (l *Lab) NICs() (list []string) {
	for _, n := range l.Config.NICs {
		list = append(list, n.Name)
	}
	if list == nil {
		list = []string{"eth0"}
	}
	return list
}

// Bridges are the names of the bridges.
func (l *Lab) Bridges() (list []string) {
	for _, b := range l.Config.Bridges {
		list = append(list, b.Name)
	}
	if list == nil {
		list = []string{"br0"}
	}
	return list
}

// VMs are the names of the guests.
func (l *Lab) VMs() (list []string) {
	for _, v := range l.Config.VMs {
		list = append(list, v.Name)
	}
	return list
}

// Ports are the names of the interfaces that stand at bridges.
func (l *Lab) Ports() []string { return l.ports }

// Tap is the name of a guest's first interface on the host.
func (l *Lab) Tap(vm string) string { return l.Config.VMs[slices.Index(l.VMs(), vm)].Port.Name }

type (
	field = form.Field
	known = form.Known
)

// A lab is what has been read so far, with the places that later errors name.
type lab struct {
	*form.Reader
	cfg      ringside.Config
	bridges  []*bridgeAt
	links    []*linkAt
	vteps    []*vtepAt
	programs []string
	cpus     []reference // that guests are to run on
	batching field       // nothing if the file does not say
	topology field       // likewise
	sched    field       // likewise
	runs     map[string][]programs.Entry
	used     map[string]form.Place
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
	mtu     field
}

// top reads the whole machine.
func (l *lab) top(f field) {
	var patches, vteps field
	l.Mapping(f, "a list of keys", []known{
		{Name: "schema", Read: func(field) {}},
		{Name: "path", Read: l.path},
		{Name: "cpus", Read: form.Whole(l.Reader, &l.cfg.CPUs, 1, 1024)},
		{Name: "tap_queue", Read: form.Whole(l.Reader, &l.cfg.TapQueue, 1, 1<<20)},
		{Name: "batching", Read: l.readBatching},
		{Name: "topology", Read: l.readTopology},
		{Name: "sched", Read: l.readSched},
		{Name: "paging", Read: l.readPaging},
		{Name: "iommu", Read: l.iommu},
		{Name: "forward", Read: l.On(&l.cfg.Forward)},
		{Name: "routes", Read: func(f field) { Routes(l.Reader, f, &l.cfg.Routes) }},
		{Name: "masquerade", Read: l.masquerade},
		{Name: "bridges", Read: l.readBridges},
		{Name: "nics", Read: l.readNICs},
		{Name: "vms", Read: l.readVMs},
		{Name: "patches", Read: func(f field) { patches = f }},
		{Name: "vteps", Read: func(f field) { vteps = f }},
	})
	if patches.Node != nil { // their defaults need the bridges
		l.readPatches(patches)
	}
	if vteps.Node != nil {
		l.readVTEPs(vteps)
	}
}

// path reads the way between NICs and guests.
func (l *lab) path(f field) {
	s, ok := l.Text(f)
	if !ok {
		return
	}
	p, err := ringside.ParsePath(s)
	if err != nil {
		l.Wrong(f, "%v", err)
		return
	}
	l.cfg.Path = p
}

// take makes sure that no two interfaces have one name.
func (l *lab) take(f field, name string) bool {
	if name == ringside.NoBridge {
		l.Fail(f.Key, "%s: the name %q stands for no bridge: choose another", f.Path, name)
		return false
	}
	if p, ok := l.used[name]; ok {
		l.Fail(f.Key, "%s: the name %s is taken on line %d: choose another", f.Path, form.Quote(name), p.Line)
		return false
	}
	l.used[name] = f.Key
	return true
}

// atMost is an error at the first of too many.
func (l *lab) atMost(list []field, most int, what string) {
	if len(list) > most {
		l.Fail(list[most].Key, "%s: %d %s; up to %d are possible", list[most].Path, len(list), what, most)
	}
}

// named reads what names stand for.
func (l *lab) named(list []field, read func(field)) {
	for _, e := range list {
		if l.IsIfname(e, e.Name) {
			read(e)
		}
	}
}

// readNICs reads the adapters.
func (l *lab) readNICs(f field) {
	list := l.Fields(f, "names of NICs, each with what it is")
	l.cfg.NICs = make([]ringside.NIC, 0, len(list))
	l.atMost(list, ringside.MaxNICs, "NICs")
	l.named(list, func(f field) {
		if l.take(f, f.Name) {
			l.cfg.NICs = append(l.cfg.NICs, ringside.NIC{Name: f.Name})
			l.readNIC(f, &l.cfg.NICs[len(l.cfg.NICs)-1])
		}
	})
}

func (l *lab) readNIC(f field, n *ringside.NIC) {
	link := &linkAt{field: f, name: f.Name, port: &n.Port}
	l.Mapping(f, "what the NIC is, as {bridge: br0, queues: 4}", append(l.link(link, &n.Bridge, &n.MTU, &n.MirrorIn, &n.MirrorOut),
		known{Name: "link", Read: func(f field) { l.wire(f, n) }},
		known{Name: "queues", Read: form.Whole(l.Reader, &n.Queues, 1, 16)},
		known{Name: "ring", Read: func(f field) { l.ring(f, &n.Ring) }},
		known{Name: "itr", Read: func(f field) { l.itr(f, n) }},
		known{Name: "drop_en", Read: l.On(&n.DropEn)},
		known{Name: "addr", Read: func(f field) { Addresses(l.Reader, f, &n.Host.Addresses) }},
		known{Name: "address", Read: func(f field) { n.Host.MAC, _ = l.Station(f) }},
		known{Name: "offloads", Read: func(f field) { l.offloads(f, &n.Offloads) }},
		known{Name: "node", Read: l.node(&n.Node)},
		known{Name: "irq_affinity", Read: l.irqAffinity(&n.IRQAffinity)},
	))
	l.links = append(l.links, link)
}

// offloads reads the words for offloads, as one text or a list.
func (l *lab) offloads(f field, into *ringside.Offloads) {
	var words []string
	for _, e := range l.List(f) {
		if s, ok := l.Text(e); ok {
			words = append(words, s)
		}
	}
	o, err := ringside.ParseOffloads(strings.Join(words, ","))
	if err != nil {
		l.Wrong(f, "%v", err)
		return
	}
	*into = o
}

// link is the keys that every interface has.
func (l *lab) link(at *linkAt, bridge *string, mtu *int, in, out *string) []known {
	mirror := func(to *string) func(field) {
		return func(f field) {
			if s, ok := l.Ifname(f); ok {
				*to = s
				at.mirrors = append(at.mirrors, reference{f, s})
			}
		}
	}
	return []known{
		{Name: "bridge", Read: func(f field) {
			if s, ok := l.Ifname(f); ok {
				*bridge, at.bridge, at.to = s, s, reference{f, s}
			}
		}},
		{Name: "mtu", Read: func(f field) { at.mtu = f; form.Whole(l.Reader, mtu, 68, 65535)(f) }},
		{Name: "mirror_in", Read: mirror(in)},
		{Name: "mirror_out", Read: mirror(out)},
		{Name: "port", Read: func(f field) { l.readPort(f, at) }},
	}
}

// wire reads a link as --link does: its speed, and what happens to frames on it.
func (l *lab) wire(f field, n *ringside.NIC) {
	s, ok := l.Text(f)
	if !ok {
		return
	}
	bps, spec, err := ringside.ParseLink(s)
	if err != nil {
		l.Wrong(f, "%v", err)
		return
	}
	n.LinkBPS, n.Link = bps, spec
}

func (l *lab) ring(f field, into *int) {
	n, ok := l.Number(f, 8, 4096)
	if ok && n%8 != 0 {
		l.Wrong(f, "%d: give a multiple of 8", n)
		return
	}
	*into = int(n)
}

func (l *lab) itr(f field, n *ringside.NIC) {
	if s, _ := l.Text(f); s == "off" {
		n.ITR = ringside.NoITR
		return
	}
	t, ok := l.Span(f, ITRUnit, 8191*ITRUnit)
	if ok && t%ITRUnit != 0 {
		l.Wrong(f, "%s: give whole microseconds, or off", form.Short(t))
		return
	}
	n.ITR = t
}

// readVMs reads the guests.
func (l *lab) readVMs(f field) {
	list := l.Fields(f, "names of guests, each with what it is")
	l.cfg.VMs = make([]ringside.VM, 0, len(list))
	l.named(list, func(f field) {
		l.cfg.VMs = append(l.cfg.VMs, ringside.VM{Name: f.Name})
		l.readVM(f, len(l.cfg.VMs)-1)
	})
}

func (l *lab) readVM(f field, i int) {
	v := &l.cfg.VMs[i]
	link := &linkAt{field: f, name: fmt.Sprintf("tap%d", i), port: &v.Port}
	g, name, program, programAt := &guestAt{field: f, v: v}, f, "sink", field{}
	v.Program, _ = Program(program)
	l.Mapping(f, "what the guest is, as {program: echo, addr: 192.0.2.7}", slices.Concat(l.link(link, &v.Bridge, &v.MTU, &v.MirrorIn, &v.MirrorOut), []known{
		{Name: "program", Read: func(f field) { programAt = f; l.program(f, v, &program) }},
		{Name: "mac", Read: l.StationInto((*bridge.MAC)(&v.MAC))},
		{Name: "addr", Read: func(f field) { programAt = f; v.Addr, _ = l.Addr(f) }},
		{Name: "batch", Read: func(f field) { programAt = f; form.Whole(l.Reader, &v.Batch, 1, 1024)(f) }},
		{Name: "cpu", Read: func(f field) { l.cpu(f, &v.CPU) }},
		{Name: "cpus_allowed", Read: l.cpuSet(&v.Allowed)},
		{Name: "node", Read: l.node(&v.Node)},
		{Name: "tap", Read: func(f field) {
			if s, ok := l.Ifname(f); ok {
				name, link.name = f, s
			}
		}},
		{Name: "known", Read: func(f field) {
			for _, e := range l.List(f) {
				if m, ok := l.Station(e); ok {
					v.Known = append(v.Known, m)
				}
			}
		}},
	}, l.guestKeys(g)))
	v.Port.Name = link.name
	if l.take(name, link.name) {
		l.links = append(l.links, link)
	}
	if l.settle(g, link, programAt) {
		for _, e := range g.run {
			l.ran(e.Program)
		}
		return
	}
	l.ran(program)
}

// ran notes a program, once.
func (l *lab) ran(program string) {
	if !slices.Contains(l.programs, program) {
		l.programs = append(l.programs, program)
	}
}

func (l *lab) program(f field, v *ringside.VM, name *string) {
	s, ok := l.Text(f)
	if !ok {
		return
	}
	p, err := Program(s)
	if err != nil {
		l.Wrong(f, "%s: %v", form.Quote(s), err)
		return
	}
	v.Program, *name = p, s
}

func (l *lab) cpu(f field, into **int) {
	if n, ok := l.Number(f, 0, 1023); ok {
		cpu := int(n)
		*into = &cpu
		l.cpus = append(l.cpus, reference{field: f})
	}
}

// readPatches reads the cables between bridges.
func (l *lab) readPatches(f field) {
	list := l.List(f)
	l.cfg.Patches = make([]ringside.Patch, len(list))
	for i, f := range list {
		p := &l.cfg.Patches[i]
		var given [2]bool
		end := func(k int, e *ringside.PatchEnd) func(field) {
			return func(f field) { given[k] = true; l.readEnd(f, e) }
		}
		l.Mapping(f, "two ends, as {a: {name: p0, bridge: br0}, b: {name: p1, bridge: br1}}", []known{{Name: "a", Read: end(0, &p.A)}, {Name: "b", Read: end(1, &p.B)}})
		if given != [2]bool{true, true} {
			l.Wrong(f, "a patch has two ends, a and b, each with its name and bridge")
		}
	}
}

func (l *lab) readEnd(f field, e *ringside.PatchEnd) {
	link := &linkAt{field: f, port: &e.Port}
	name := f
	l.Mapping(f, "an end of the patch, as {name: p0, bridge: br0}", append(l.link(link, &e.Bridge, &e.MTU, &e.MirrorIn, &e.MirrorOut),
		known{Name: "name", Read: func(f field) {
			if s, ok := l.Ifname(f); ok {
				name, e.Name, link.name = f, s, s
			}
		}},
	))
	switch {
	case e.Name == "":
		l.Wrong(f, "the end of a patch needs a name, as {name: p0, bridge: br0}")
	case e.Bridge == "":
		l.Wrong(f, "the end of a patch needs a bridge, as {name: p0, bridge: br0}")
	case l.take(name, e.Name):
		l.links = append(l.links, link)
	}
}
