package ringside

import (
	"errors"
	"fmt"
	"slices"

	"ringside/bridge"
	"ringside/cost"
	"ringside/machine"
	"ringside/nic"
	"ringside/peer"
	"ringside/sim"
	"ringside/trace"
	"ringside/wire"
)

// A LabConfig describes machines that are joined by cables, and what stands at
// the wires of the others. The zero value is one machine as the zero Config is.
type LabConfig struct {
	Seed uint64     // of all; Seeds of Configs are not read
	Book *cost.Book // of hosts that have none; nil means the built-in linux-xeon
	// Machine is of hosts that have none, see Config.
	Machine *machine.Machine
	Sink    trace.Sink // of hosts that have none; nil means nobody watches

	Hosts  []LabHost // nil means one
	Cables []Cable
	Peers  []Peer

	// Log, if not nil, takes what processes log, those of VMs as HOST/VM. A host's own
	// Log comes first.
	Log func(at sim.Time, machine, process, line string)
}

// A LabHost is one machine of a lab.
type LabHost struct {
	Name string // "" means h0, h1, …
	Config
}

// An End is one NIC of a lab.
type End struct {
	Host string // "" means the first
	NIC  string // "" means the host's first
}

// String is HOST:NIC.
func (e End) String() string { return e.Host + ":" + e.NIC }

// A Cable joins two NICs of one speed: what one sends the other receives, 5 ns
// later for every metre.
type Cable struct {
	Name   string // "" means cable0, cable1, …
	A, B   End
	Metres int       // 0 means 2
	Link   wire.Spec // between A and the cable: Rx is what happens to frames from B to A, Tx to those from A to B
}

// A Lab is several machines in one virtual time, with one trace hash. It has one
// owner; no method may run beside another.
type Lab struct {
	Engine *sim.Engine
	Hash   *trace.Hash
	Hosts  []*Host // as the LabConfig has them

	cfg    LabConfig
	cables []*wire.Cable
	peers  []*peer.Peer
}

// Bounds of a LabConfig.
const (
	MaxHosts  = 256
	MaxCables = MaxHosts * MaxNICs / 2
)

// ErrNoSuch says that a lab has nothing of that name.
var ErrNoSuch = errors.New("the lab has none of that name")

// NewLab builds the machines, joins them and starts their guests: they run as soon
// as time does. Close it when it is done with.
func NewLab(cfg LabConfig) (*Lab, error) {
	l := &Lab{cfg: cfg, Engine: sim.NewEngine(cfg.Seed), Hash: &trace.Hash{}}
	l.Hash.Events(l.Engine)
	if err := l.build(); err != nil {
		l.Close()
		return nil, fmt.Errorf("ringside: %w", err)
	}
	return l, nil
}

// build puts the lab together: cables first, because a machine is built around its
// wires.
func (l *Lab) build() error {
	if err := l.cfg.defaults(); err != nil {
		return err
	}
	for i := range l.cfg.Cables {
		if err := l.layCable(i); err != nil {
			return err
		}
	}
	for i := range l.cfg.Peers {
		if err := l.addPeer(i); err != nil {
			return err
		}
	}
	for i := range l.cfg.Hosts {
		if err := l.addHost(i); err != nil {
			return err
		}
	}
	for i, c := range l.cfg.Cables {
		for side, e := range []End{c.A, c.B} {
			h, n := l.at(e)
			l.cables[i].End(side).Plug(h.NICs[n])
		}
	}
	for i, p := range l.peers {
		h, n := l.at(l.cfg.Peers[i].end())
		p.Plug(h.NICs[n])
	}
	return nil
}

// defaults names everything and finds what cannot be.
func (c *LabConfig) defaults() error {
	c.Hosts, c.Cables, c.Peers = slices.Clone(c.Hosts), slices.Clone(c.Cables), slices.Clone(c.Peers)
	if len(c.Hosts) == 0 {
		c.Hosts = make([]LabHost, 1)
	}
	if len(c.Hosts) > MaxHosts || len(c.Cables) > MaxCables {
		return fmt.Errorf("%d hosts and %d cables; up to %d and %d are possible", len(c.Hosts), len(c.Cables), MaxHosts, MaxCables)
	}
	is := map[string]bool{}
	for i := range c.Hosts {
		h := &c.Hosts[i]
		inherit(&h.Name, "", fmt.Sprintf("h%d", i))
		if is[h.Name] {
			return fmt.Errorf("two hosts are named %q", h.Name)
		}
		is[h.Name] = true
		h.Seed = c.Seed
		inherit(&h.Book, c.Book, nil)
		inherit(&h.Machine, c.Machine, nil)
		if h.Sink == nil {
			h.Sink = c.Sink
		}
		if log := c.Log; h.Log == nil && log != nil {
			h.Log = func(at sim.Time, vm, process, line string) { log(at, h.Name+"/"+vm, process, line) }
		}
		h.NICs = slices.Clone(h.NICs)
		if len(h.NICs) == 0 {
			h.NICs = make([]NIC, 1)
		}
		for n := range h.NICs {
			inherit(&h.NICs[n].Name, "", fmt.Sprintf("eth%d", n))
		}
	}
	return nil
}

// nic finds the NIC that an end names, and writes its names into the end.
func (c *LabConfig) nic(e *End) (*LabHost, *NIC, error) {
	inherit(&e.Host, "", c.Hosts[0].Name)
	for i := range c.Hosts {
		h := &c.Hosts[i]
		if h.Name != e.Host {
			continue
		}
		inherit(&e.NIC, "", h.NICs[0].Name)
		for n := range h.NICs {
			if h.NICs[n].Name == e.NIC {
				return h, &h.NICs[n], nil
			}
		}
		return nil, nil, fmt.Errorf("NIC %s: %w", *e, ErrNoSuch)
	}
	return nil, nil, fmt.Errorf("host %q: %w", e.Host, ErrNoSuch)
}

// plugIn makes w the wire of the NIC at e, with spec between them.
func (c *LabConfig) plugIn(e *End, w nic.Wire, spec wire.Spec) error {
	_, n, err := c.nic(e)
	switch {
	case err != nil:
		return err
	case n.Wire != nil:
		return fmt.Errorf("%s is plugged into something else already", *e)
	case spec != (wire.Spec{}) && n.Link != (wire.Spec{}):
		return fmt.Errorf("%s has a link of its own, and one more is given for what it is plugged into", *e)
	}
	n.Wire = w
	inherit(&n.Link, spec, wire.Spec{})
	return nil
}

// layCable makes cable i and plugs it into its NICs.
func (l *Lab) layCable(i int) error {
	c := &l.cfg.Cables[i]
	inherit(&c.Name, "", fmt.Sprintf("cable%d", i))
	if l.Cable(c.Name) != nil {
		return fmt.Errorf("two cables are named %q", c.Name)
	}
	var bps [2]uint64
	for side, e := range []*End{&c.A, &c.B} {
		h, n, err := l.cfg.nic(e)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		bps[side] = n.LinkBPS
		inherit(&bps[side], h.LinkBPS, 10e9)
	}
	switch {
	case c.A == c.B:
		return fmt.Errorf("%s: both of its ends are %v", c.Name, c.A)
	case bps[0] != bps[1]:
		return fmt.Errorf("%s: %v has %d bit/s and %v has %d: no link comes up between them", c.Name, c.A, bps[0], c.B, bps[1])
	}
	cable, err := wire.NewCable(wire.CableConfig{Name: c.Name, Engine: l.Engine, BPS: bps[0], Metres: c.Metres})
	if err != nil {
		return err
	}
	l.cables = append(l.cables, cable)
	if err := l.cfg.plugIn(&c.A, cable.End(0), c.Link); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if err := l.cfg.plugIn(&c.B, cable.End(1), wire.Spec{}); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

// addHost builds host i.
func (l *Lab) addHost(i int) error {
	c := &l.cfg.Hosts[i]
	eng := l.Engine
	if len(l.cfg.Hosts) > 1 {
		eng = eng.Under(c.Name + "/")
	}
	h, err := newHost(c.Config, &Host{Engine: eng, Hash: l.Hash, name: c.Name, number: i})
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	l.Hosts = append(l.Hosts, h)
	return nil
}

// Host is the machine of a name, nil if there is none.
func (l *Lab) Host(name string) *Host {
	for _, h := range l.Hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// Cable is the number of a name's cable in the LabConfig, as the wire it is; nil if
// there is none.
func (l *Lab) Cable(name string) *wire.Cable {
	for i, c := range l.cables {
		if l.cfg.Cables[i].Name == name {
			return c
		}
	}
	return nil
}

// at is the machine and the number of the NIC at an end that is there.
func (l *Lab) at(e End) (*Host, int) {
	h := l.Host(e.Host)
	return h, slices.IndexFunc(h.cfg.NICs, func(n NIC) bool { return n.Name == e.NIC })
}

// At has f called at a moment of virtual time, to change something: pull a cable, for
// instance. A time that has passed means now. A lab is not at rest before.
func (l *Lab) At(at sim.Time, f func() error) {
	t := l.Engine.NewTimer("lab", sim.HandlerFunc(func(sim.Time) {
		if err := f(); err != nil {
			l.Engine.Fail(err)
		}
	}))
	l.Engine.Arm(t, at)
}

// SetCable plugs a cable in or pulls it. The ports of bridges at which its NICs stand
// gain or lose their carrier.
func (l *Lab) SetCable(name string, up bool) error {
	cable := l.Cable(name)
	if cable == nil {
		return fmt.Errorf("ringside: cable %q: %w", name, ErrNoSuch)
	}
	cable.SetUp(up)
	c := &l.cfg.Cables[slices.Index(l.cables, cable)]
	for _, e := range []End{c.A, c.B} {
		h, _ := l.at(e)
		if err := h.setLink(e.NIC, up); err != nil {
			return fmt.Errorf("ringside: %s: %w", name, err)
		}
	}
	return nil
}

// setLink says that an interface has a carrier or has lost it, to the bridge that it
// is a port of.
func (h *Host) setLink(dev string, up bool) error {
	br, p, ok := h.Kernel.Port(dev)
	if !ok {
		return nil
	}
	return h.Kernel.Change(br, func(b *bridge.Bridge) error { return b.SetLink(p, up) })
}

// Run runs until the lab is at rest: nothing comes from a wire or is on a cable,
// every queue is empty, every guest waits, and all that At was told of has happened.
// Then the oracles are asked. Frames that go round for ever end it with
// kernel.ErrStorm or wire.ErrCircle.
func (l *Lab) Run() error {
	l.bound(stormBound, circleBound)
	if err := l.Engine.RunToIdle(); err != nil {
		return err
	}
	for _, h := range l.Hosts {
		if err := h.checkRest(); err != nil {
			return l.of(h, err)
		}
	}
	return l.checkRest()
}

// circleBound is how often one frame may go by a cable in a run that has no other
// end; without a circle it does so once or, copied on a link, a few times.
const circleBound = 64

// RunUntil runs up to the time end, which may leave frames in flight, and asks the
// oracles that hold at any time.
func (l *Lab) RunUntil(end sim.Time) error {
	l.bound(0, 0)
	if err := l.Engine.RunUntil(end); err != nil {
		return err
	}
	return l.Check()
}

func (l *Lab) bound(storms uint64, circles int) {
	for _, h := range l.Hosts {
		h.Kernel.BoundStorms(storms)
	}
	for _, c := range l.cables {
		c.BoundCircles(circles)
	}
}

// of says which host an error is of, where there are several.
func (l *Lab) of(h *Host, err error) error {
	if err == nil || len(l.Hosts) == 1 {
		return err
	}
	return fmt.Errorf("%s: %w", h.name, err)
}

// Check asks the oracles of every host and cable.
func (l *Lab) Check() error {
	for _, h := range l.Hosts {
		if err := h.Check(); err != nil {
			return l.of(h, err)
		}
	}
	for i := range l.cables {
		if err := l.checkCable(i); err != nil {
			return fmt.Errorf("%s: %w", l.cfg.Cables[i].Name, err)
		}
	}
	for i := range l.peers {
		if err := l.checkPeer(i); err != nil {
			return fmt.Errorf("%s: %w", l.cfg.Peers[i].Name, err)
		}
	}
	if c := l.conservation(); !c.Balanced {
		return fmt.Errorf("frames were lost between machines: sent %d + duplicated %d is not arrived %d + lost %d + under way %d",
			c.Sent, c.Duplicated, c.Arrived, c.Lost, c.UnderWay)
	}
	return nil
}

// checkRest asks whether cables are empty, after all hosts' oracles.
func (l *Lab) checkRest() error {
	for i, c := range l.cables {
		if n := c.End(0).Counts().Held + c.End(1).Counts().Held; n > 0 {
			return fmt.Errorf("%s: at rest with %d frames under way", l.cfg.Cables[i].Name, n)
		}
	}
	return l.Check()
}

// checkCable asks whether a cable took what its NICs sent and gave what they got.
func (l *Lab) checkCable(i int) error {
	c := &l.cfg.Cables[i]
	for side, e := range []End{c.A, c.B} {
		to, from := l.cables[i].End(side).Counts(), l.cables[i].End(1-side).Counts()
		h, n := l.at(e)
		in, out := h.passed(n)
		if to.In != to.Out+to.Lost+to.Held {
			return fmt.Errorf("towards %v: in %d is not out %d + lost %d + held %d", e, to.In, to.Out, to.Lost, to.Held)
		}
		if to.Out != in || from.In != out {
			return fmt.Errorf("%v took %d frames of the %d that came out, and sent %d of the %d that went in", e, in, to.Out, out, from.In)
		}
	}
	return nil
}

// passed is how many frames NIC n, with its link, took from its wire and gave to it.
func (h *Host) passed(n int) (in, out uint64) {
	if l := h.links[n]; l != nil {
		return l.Rx().In, l.Tx().Out
	}
	st := h.NICs[n].Counts()
	return st.In + h.NICs[n].UnderWay(), st.Sent
}

// Close ends the programs of guests and peers. A Lab that is closed can still report.
func (l *Lab) Close() {
	for _, h := range l.Hosts {
		h.Close()
	}
	for _, p := range l.peers {
		p.Close()
	}
}
