package scenario

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ringside"
	"ringside/bridge"
	"ringside/internal/form"
	"ringside/internal/labfile"
	"ringside/internal/programs"
	"ringside/sim"
	"ringside/wire"
)

type (
	field = form.Field
	known = form.Known
)

// maxDuration is the longest run, and the latest fault.
const maxDuration = 24 * 3600 * sim.Second

// A reader is what has been read so far, with the places that later errors name.
type reader struct {
	*form.Reader
	s *Scenario

	ended  bool // the file says how long it runs
	ends   []endAt
	faults []faultAt
	expect []field
	hosts  map[string]*labfile.Lab

	machines map[string]form.Place // hosts and peers by name
}

// An endAt is a NIC that something is plugged into, and where that is said.
type endAt struct {
	field
	ringside.End
}

func (r *reader) document(text []byte) {
	root := r.Document(text)
	if root == nil || !r.HasSchema(root) {
		return
	}
	r.hosts, r.machines = map[string]*labfile.Lab{}, map[string]form.Place{}
	r.Mapping(field{Node: root}, "a list of keys", []known{
		{Name: "schema", Read: func(field) {}},
		{Name: "about", Read: func(f field) { r.s.About, _ = r.Text(f) }},
		{Name: "seed", Read: form.Whole(r.Reader, &r.s.Seed, 0, 1<<64-1)},
		{Name: "duration", Read: r.duration},
		{Name: "until", Read: r.until},
		{Name: "hosts", Read: r.readHosts},
		{Name: "peers", Read: r.readPeers},
		{Name: "cables", Read: r.readCables},
		{Name: "faults", Read: r.readFaults},
		{Name: "expect", Read: func(f field) { r.expect = r.List(f) }},
	})
	if !r.ended && len(r.Problems()) == 0 {
		r.Fail(form.At(root), "how long? Give a duration, as duration: 2s, or until: rest")
	}
	if len(r.s.Lab.Hosts) == 0 && len(r.Problems()) == 0 {
		r.Fail(form.At(root), "hosts: missing: a scenario has at least one host, as hosts: {a: {}}")
	}
}

// end notes that the file has said how long it runs.
func (r *reader) end(f field) {
	if r.ended {
		r.Wrong(f, "the end is there twice: give duration or until")
	}
	r.ended = true
}

func (r *reader) duration(f field) {
	r.end(f)
	if t, ok := r.Span(f, sim.Microsecond, maxDuration); ok {
		r.s.Duration = t
	}
}

func (r *reader) until(f field) {
	r.end(f)
	r.Word(f, "rest")
}

// readHosts reads machines, each as a lab has one.
func (r *reader) readHosts(f field) {
	for _, f := range r.Fields(f, "names of hosts, each with what a lab has") {
		if !r.machine(f) {
			continue
		}
		lab := labfile.Read(r.Reader, f)
		r.s.Lab.Hosts = append(r.s.Lab.Hosts, ringside.LabHost{Name: f.Name, Config: lab.Config})
		r.hosts[f.Name] = lab
		for vm, list := range lab.Runs {
			r.s.run[f.Name+".vms."+vm] = list
		}
	}
}

// machine says that a name can be that of a host or a peer, of which no two have one
// name. Those of the scenario's own words would be mistaken for them in expectations.
func (r *reader) machine(f field) bool {
	if p, ok := r.machines[f.Name]; ok {
		r.Fail(f.Key, "%s: the name %s is taken on line %d: choose another", f.Path, form.Quote(f.Name), p.Line)
		return false
	}
	r.machines[f.Name] = f.Key
	if slices.Contains(totals, f.Name) {
		r.Fail(f.Key, "%s: the name %s has a meaning of its own in expectations: choose another", f.Path, form.Quote(f.Name))
		return false
	}
	if strings.TrimLeft(f.Name, nameRest) != "" || !strings.ContainsAny(f.Name[:1], nameStart) {
		r.Fail(f.Key, "%s: %s cannot be a name here: use letters, digits, dashes and underscores, a letter first", f.Path, form.Quote(f.Name))
		return false
	}
	return r.IsIfname(f, f.Name)
}

// readEnd reads HOST/NIC.
func (r *reader) readEnd(f field, into *ringside.End) {
	s, ok := r.Text(f)
	if !ok {
		return
	}
	host, nic, ok := strings.Cut(s, "/")
	if !ok || host == "" || nic == "" {
		r.Wrong(f, "%s: give a host and one of its NICs, as a/eth0", form.Quote(s))
		return
	}
	*into = ringside.End{Host: host, NIC: nic}
	r.ends = append(r.ends, endAt{f, *into})
}

// readCables reads the cables between hosts.
func (r *reader) readCables(f field) {
	for _, f := range r.List(f) {
		var c ringside.Cable
		var given int
		end := func(e *ringside.End) func(field) {
			return func(f field) { given++; r.readEnd(f, e) }
		}
		r.Mapping(f, "a cable, as {a: a/eth0, b: b/eth0}", []known{
			{Name: "name", Read: func(f field) { c.Name, _ = r.Ifname(f) }},
			{Name: "a", Read: end(&c.A)},
			{Name: "b", Read: end(&c.B)},
			{Name: "metres", Read: form.Whole(r.Reader, &c.Metres, 1, 1_000_000)},
			{Name: "link", Read: func(f field) { r.link(f, &c.Link) }},
		})
		if given != 2 {
			r.Wrong(f, "a cable has two ends, as {a: a/eth0, b: b/eth0}")
		}
		r.s.Lab.Cables = append(r.s.Lab.Cables, c)
	}
}

// link reads what happens to frames on a cable or before a peer. The speed is the
// NIC's.
func (r *reader) link(f field, into *wire.Spec) {
	s, ok := r.Text(f)
	if !ok {
		return
	}
	bps, spec, err := ringside.ParseLink(s)
	switch {
	case err != nil:
		r.Wrong(f, "%v", err)
	case bps != 0:
		r.Wrong(f, "%s: the speed is that of the NIC: give it there, as nics: {eth0: {link: 25G}}", form.Quote(s))
	default:
		*into = spec
	}
}

// refer finds the NICs that something is plugged into, each once, and what faults
// are for.
func (r *reader) refer() {
	used := map[ringside.End]field{}
	for _, e := range r.ends {
		lab := r.hosts[e.Host]
		if lab == nil {
			r.Wrong(e.field, "there is no host %s: %s", form.Quote(e.Host), r.Hint(e.Host, "there are ", r.hostNames()))
			continue
		}
		if nics := lab.NICs(); !slices.Contains(nics, e.NIC) {
			r.Wrong(e.field, "host %s has no NIC %s: %s", e.Host, form.Quote(e.NIC), r.Hint(e.NIC, "it has ", nics))
			continue
		}
		if o, ok := used[e.End]; ok {
			r.Wrong(e.field, "%s/%s is plugged in already, on line %d: a NIC has one wire", e.Host, e.NIC, o.Key.Line)
			continue
		}
		used[e.End] = e.field
	}
	r.referFaults()
}

func (r *reader) hostNames() []string {
	list := make([]string, len(r.s.Lab.Hosts))
	for i, h := range r.s.Lab.Hosts {
		list[i] = h.Name
	}
	return list
}

// build builds the lab once, and asks what can be expected of it.
func (r *reader) build() {
	lab, err := ringside.NewLab(r.s.Lab)
	if err != nil {
		r.Fail(form.Place{}, "%s", strings.TrimPrefix(err.Error(), "ringside: "))
		return
	}
	defer lab.Close()
	facts := gather(lab.Report(), r.s.run)
	for _, f := range r.expect {
		r.readExpect(f, facts)
	}
}

// readExpect reads one expectation and looks up its names.
func (r *reader) readExpect(f field, facts *facts) {
	e := Expectation{}
	text := f
	if f.Node.Kind == yaml.MappingNode {
		text = field{}
		r.Mapping(f, "an expectation, as {that: a.drops == 0, why: …}", []known{
			{Name: "that", Read: func(f field) { text = f }},
			{Name: "why", Read: func(f field) { e.Why, _ = r.Text(f) }},
		})
		if text.Node == nil {
			r.Wrong(f, "what is expected? Give it as {that: a.drops == 0, why: …}")
			return
		}
	}
	s, ok := r.Text(text)
	if !ok {
		return
	}
	e.Place = form.At(text.Node)
	if e.column = e.Place.Column; text.Node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		e.column++
	}
	var err error
	if e.comparison, err = parse(s); err == nil {
		_, _, err = e.comparison.judge(facts.probe)
	}
	if wrong, ok := err.(*syntaxError); ok {
		r.Fail(form.Place{Line: e.Line, Column: e.column + wrong.column}, "%s: %s", text.Path, wrong.text)
		return
	}
	e.Text = e.comparison.String()
	r.s.Expect = append(r.s.Expect, e)
}

// The peers.
func (r *reader) readPeers(f field) {
	for _, f := range r.Fields(f, "names of peers, each with where it is, as {client: {at: a/eth0}}") {
		if r.machine(f) {
			r.readPeer(f)
		}
	}
}

func (r *reader) readPeer(f field) {
	p := ringside.Peer{Name: f.Name}
	at, end := false, ringside.End{}
	r.Mapping(f, "what the peer is, as {at: a/eth0, addresses: 10.0.0.1/24}", []known{
		{Name: "at", Read: func(f field) { at = true; r.readEnd(f, &end) }},
		{Name: "link", Read: func(f field) { r.link(f, &p.Link) }},
		{Name: "mac", Read: r.StationInto((*bridge.MAC)(&p.MAC))},
		{Name: "mtu", Read: form.Whole(r.Reader, &p.MTU, 1280, 9000)},
		{Name: "addresses", Read: func(f field) { labfile.Addresses(r.Reader, f, &p.Addresses) }},
		{Name: "gateway", Read: func(f field) { p.Gateway, _ = r.Addr(f) }},
		{Name: "resolver", Read: func(f field) { p.Resolver, _ = r.Addr(f) }},
		{Name: "routes", Read: func(f field) { labfile.Routes(r.Reader, f, &p.Routes) }},
		{Name: "forward", Read: r.On(&p.Forward)},
		{Name: "congestion", Read: func(f field) { labfile.Congestion(r.Reader, f, &p.TCP) }},
		{Name: "tso", Read: r.On(&p.TSO)},
		{Name: "gro", Read: r.On(&p.GRO)},
		{Name: "run", Read: func(f field) {
			list := programs.Read(r.Reader, f)
			r.s.run["peers."+p.Name] = list
			p.Processes = programs.Processes(list)
		}},
	})
	if !at {
		r.Fail(f.Key, "%s: where is it plugged in? Give a host and one of its NICs, as {at: a/eth0}", f.Path)
	}
	p.Host, p.NIC, p.Forward = end.Host, end.NIC, p.Forward || programs.Forward(r.s.run["peers."+p.Name])
	r.s.Lab.Peers = append(r.s.Lab.Peers, p)
}
