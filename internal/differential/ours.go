package differential

import (
	"fmt"
	"slices"
	"time"

	"ringside/bridge"
	"ringside/sim"
)

// Ours is the side of this project's bridge.
type Ours struct {
	b     *bridge.Bridge
	setup *Setup
	start time.Time
	port  [MaxPorts + 1]bridge.Port // number of a port here, by its number in the setup
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
	return nil
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

func (o *Ours) now() sim.Time { return sim.FromDuration(time.Since(o.start)) }

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
		out.Copies = o.frame(s)
	case Wait:
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
	out.sort()
	return out, nil
}

func (o *Ours) frame(s *Step) (all []Copy) {
	v := o.b.Handle(o.port[s.Port], s.Bytes, o.now())
	for _, c := range v.Out {
		if c.Port == bridge.Local {
			all = append(all, Copy{Place{ToHost, Host}, s.Bytes})
			continue
		}
		all = append(all, Copy{Place{Out, o.number(c.Port)}, s.Bytes})
	}
	if v.Action == bridge.PassPort {
		all = append(all, Copy{Place{ToPort, s.Port}, bare(s.Bytes)})
	}
	return all
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
