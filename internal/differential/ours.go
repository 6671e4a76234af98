package differential

import (
	"fmt"
	"slices"
	"time"

	"ringside/bridge"
	"ringside/sim"
)

// Ours is the side of this project's bridge. Its time is the wall clock's, since
// the kernel's is; in a timed setup it is what the steps wait for.
type Ours struct {
	b     *bridge.Bridge
	setup *Setup
	start time.Time
	port  [MaxPorts + 1]bridge.Port // number of a port here, by its number in the setup

	clock  sim.Time // of a timed setup
	last   State
	sent   []Copy
	events []Event
}

// Open makes the bridge of a setup.
func (o *Ours) Open(s *Setup) (err error) {
	*o = Ours{setup: s, start: time.Now()}
	cfg := bridge.Config{Name: bridgeName, MAC: s.MAC(Host), Promisc: s.Promisc}
	for _, v := range s.Bridge {
		switch v.Name {
		case "ageing_time":
			cfg.Ageing = sim.Time(v.Value) * 10 * sim.Millisecond
			if v.Value == 0 {
				cfg.Ageing = bridge.Hub
			}
		case "group_fwd_mask":
			cfg.GroupFwdMask = uint16(v.Value)
		case "mcast_snooping":
		default:
			return fmt.Errorf("bridge %s: %w", v.Name, ErrSkip)
		}
	}
	if o.b, err = bridge.New(cfg); err != nil {
		return err
	}
	for i, p := range s.Ports {
		if err := o.attach(i+1, p); err != nil {
			return err
		}
	}
	if o.last, err = o.State(watched); err == nil && s.Timed {
		o.sent = o.own()
		o.happened()
	}
	return err
}

const bridgeName = "br0"

func (o *Ours) attach(i int, settings Settings) (err error) {
	cfg := bridge.PortConfig{Name: fmt.Sprint("t", i), MAC: o.setup.MAC(i)}
	for _, v := range settings {
		switch v.Name {
		case "learning":
			cfg.NoLearning = v.Value == 0
		default:
			return fmt.Errorf("port %s: %w", v.Name, ErrSkip)
		}
	}
	o.port[i], err = o.b.AddPort(cfg)
	return err
}

func (o *Ours) now() sim.Time {
	if o.setup.Timed {
		return o.clock
	}
	return sim.FromDuration(time.Since(o.start))
}

// number is a port's number in the setup.
func (o *Ours) number(p bridge.Port) int {
	if p == bridge.Local {
		return Host
	}
	return slices.Index(o.port[:], p)
}

// Close forgets the bridge.
func (o *Ours) Close() error {
	o.b = nil
	return nil
}

// Do carries out a step.
func (o *Ours) Do(s *Step) (out Outcome, err error) {
	switch s.Kind {
	case Frame:
		out.Copies = o.frame(s.Port, s.Bytes)
	case Wait:
		if o.setup.Timed {
			o.advance(o.clock + sim.FromDuration(s.For))
		}
	case AddFDB:
		if s.Port == Host {
			out.Err = o.b.Add(bridge.Entry{MAC: s.MAC, Port: bridge.Local, Kind: bridge.Permanent})
			break
		}
		out.Err = o.b.Add(bridge.Entry{MAC: s.MAC, Port: o.port[s.Port], Kind: bridge.Static, Sticky: s.Flags&Sticky != 0})
	case DelFDB:
		e, ok := o.b.Lookup(s.MAC, 0, o.now())
		if !ok || e.Port != o.port[s.Port] {
			out.Err = bridge.ErrNoPort
		} else {
			o.b.Delete(s.MAC, 0)
		}
	case Attach:
		out.Err = o.attach(s.Port, o.setup.Ports[s.Port-1])
	case Detach:
		out.Err = o.b.RemovePort(o.port[s.Port])
		o.port[s.Port] = 0
	default:
		return out, fmt.Errorf("%v: %w", s, ErrSkip)
	}
	if o.setup.Timed {
		o.sent = append(o.sent, out.Copies...)
		o.happened()
		out.Copies, out.Events, o.events = nil, o.events, nil
		return out, nil
	}
	o.b.Tick(o.now())
	out.Copies = append(out.Copies, o.own()...)
	out.sort()
	return out, o.b.Check()
}

func (o *Ours) frame(port int, frame []byte) (all []Copy) {
	v := o.b.Handle(o.port[port], frame, o.now())
	for _, c := range v.Out {
		all = append(all, o.copy(c.Port, c.Apply(nil, frame)))
	}
	if v.Action == bridge.PassPort {
		all = append(all, Copy{Place{ToPort, port}, bare(frame)})
	}
	return append(all, o.own()...)
}

func (o *Ours) copy(p bridge.Port, frame []byte) Copy {
	if p == bridge.Local {
		return Copy{Place{ToHost, Host}, frame}
	}
	return Copy{Place{Out, o.number(p)}, frame}
}

// own is what the bridge sends itself.
func (o *Ours) own() (all []Copy) {
	for _, s := range o.b.Sent() {
		all = append(all, o.copy(s.Port, slices.Clone(s.Frame)))
	}
	return all
}

// advance lets time pass, from one timer to the next.
func (o *Ours) advance(to sim.Time) {
	for due := o.b.Due(); due <= to; due = o.b.Due() {
		o.clock = max(o.clock, due)
		o.b.Tick(o.clock)
		o.sent = append(o.sent, o.own()...)
		o.happened()
	}
	o.clock = to
}

// mostHops ends a loop over a cable that no tree has broken.
const mostHops = 200

// happened makes events of what was sent, carries it over the setup's cables,
// and makes events of what the tables changed in.
func (o *Ours) happened() {
	at := time.Duration(o.clock / sim.Nanosecond)
	for hops := 0; len(o.sent) > 0 && hops < mostHops; hops++ {
		list := o.sent
		o.sent = nil
		o.events = append(o.events, framesOf(at, list)...)
		for _, c := range list {
			if to := o.setup.across(c.Port); c.How == Out && to != 0 {
				o.sent = append(o.sent, o.frame(to, c.Bytes)...)
			}
		}
	}
	now, err := o.State(watched)
	if err == nil {
		o.events = append(o.events, changes(at, &o.last, &now)...)
		o.last = now
	}
}

// State shows the tables.
func (o *Ours) State(which Tables) (s State, err error) {
	if which&FDBTable != 0 {
		for _, e := range o.b.Entries(o.now()) {
			flags := []string{e.Kind.String()}
			if e.Sticky {
				flags = append(flags, "sticky")
			}
			s.FDB = append(s.FDB, entry(e.MAC, e.VLAN, o.number(e.Port), flags...))
		}
		slices.Sort(s.FDB)
	}
	if which&PortTable != 0 {
		for _, p := range o.b.Ports() {
			s.Ports = append(s.Ports, fmt.Sprintf("port %d %s", o.number(p), stateText(3)))
		}
		slices.Sort(s.Ports)
	}
	return s, nil
}

// supported are the features that this side can be asked for.
var supported = []string{"ageing_time", "group_fwd_mask", "mcast_snooping", "port learning"}

// Supports says that a feature can be asked for.
func Supports(name string) bool { return slices.Contains(supported, name) }
