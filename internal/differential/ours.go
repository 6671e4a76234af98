package differential

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"ringside/bridge"
	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

// Ours is the side of this project's bridge. Its time is the wall clock's, since
// the kernel's is; in a timed setup it is what the steps wait for.
type Ours struct {
	// Unreal has time pass with the steps, whatever the clock says, so that two
	// of this kind agree.
	Unreal bool

	b      *bridge.Bridge
	setup  *Setup
	start  time.Time
	port   [MaxPorts + 1]bridge.Port // number of a port here, by its number in the setup
	neighs *neigh.Table

	clock  sim.Time // of a timed setup
	last   State
	sent   []Copy
	events []Event
}

const bridgeName = "br0"

func portName(p int) string { return fmt.Sprint("t", p) }

// hundredths is a time as ip(8) takes it.
func hundredths(v uint64) sim.Time { return sim.Time(v) * 10 * sim.Millisecond }

// Open makes the bridge of a setup.
func (o *Ours) Open(s *Setup) (err error) {
	*o = Ours{Unreal: o.Unreal, setup: s, start: time.Now(), neighs: neigh.NewTable()}
	cfg := bridge.Config{Name: bridgeName, MAC: s.MAC(Host), Promisc: s.Promisc, Neighbours: o.neighs}
	if s.NoVLANs {
		cfg.DefaultPVID = bridge.NoPVID
	}
	for _, v := range s.Bridge {
		if err := setBridge(&cfg, v); err != nil {
			return fmt.Errorf("bridge %s: %w", v.Name, err)
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
		o.b.Tick(0)
		o.sent = o.own()
		o.happened()
	}
	return err
}

// setBridge sets an option of a bridge.
func setBridge(c *bridge.Config, s Setting) (err error) {
	v, t, on := s.Value, hundredths(s.Value), s.Value != 0
	m := &c.Multicast
	switch s.Name {
	case "ageing_time":
		c.Ageing = t
		if v == 0 {
			c.Ageing = bridge.Hub
		}
	case "group_fwd_mask":
		c.GroupFwdMask = uint16(v)
	case "no_linklocal_learn":
		c.NoLinkLocalLearn = on
	case "fdb_max_learned":
		c.MaxLearned = int(v)
	case "stp_state":
		c.STP = on
	case "priority":
		if c.Priority = int(v); v == 0 {
			c.Priority = bridge.ZeroPriority
		}
	case "hello_time":
		c.HelloTime = t
	case "max_age":
		c.MaxAge = t
	case "forward_delay":
		c.ForwardDelay = t
	case "vlan_filtering":
		c.VLANFiltering = on
	case "vlan_protocol":
		c.VLANProtocol = uint16(v)
	case "vlan_default_pvid":
		c.DefaultPVID = uint16(v)
		if v == 0 {
			c.DefaultPVID = bridge.NoPVID
		}
	case "vlan_stats_enabled":
		c.VLANStats = on
	case "vlan_stats_per_port":
		c.VLANStatsPerPort = on
	case "mcast_snooping":
		c.NoSnooping = !on
	case "mcast_router":
		m.Router, err = snoop.RouterNumber(int(v))
	case "mcast_querier":
		m.Querier = on
	case "mcast_query_use_ifaddr":
		m.QueryUseIfaddr = on
	case "mcast_stats_enabled":
		m.StatsEnabled = on
	case "mcast_hash_max":
		m.HashMax = orNone(v)
	case "mcast_last_member_count":
		m.LastMemberCount = orNone(v)
	case "mcast_startup_query_count":
		m.StartupQueryCount = orNone(v)
	case "mcast_igmp_version":
		m.IGMPVersion = int(v)
	case "mcast_mld_version":
		m.MLDVersion = int(v)
	case "mcast_last_member_interval":
		m.LastMemberInterval = t
	case "mcast_membership_interval":
		m.MembershipInterval = t
	case "mcast_querier_interval":
		m.QuerierInterval = t
	case "mcast_query_interval":
		m.QueryInterval = t
	case "mcast_query_response_interval":
		m.QueryResponseInterval = t
	case "mcast_startup_query_interval":
		m.StartupQueryInterval = t
	default:
		return ErrSkip
	}
	return err
}

func orNone(v uint64) int {
	if v == 0 {
		return snoop.None
	}
	return int(v)
}

// setPort sets an option of a port.
func setPort(c *bridge.PortConfig, s Setting) (err error) {
	v, on := s.Value, s.Value != 0
	switch s.Name {
	case "learning":
		c.NoLearning = !on
	case "flood":
		c.NoFlood = !on
	case "mcast_flood":
		c.NoMcastFlood = !on
	case "bcast_flood":
		c.NoBcastFlood = !on
	case "hairpin":
		c.Hairpin = on
	case "isolated":
		c.Isolated = on
	case "locked":
		c.Locked = on
	case "mab":
		c.MAB = on
	case "group_fwd_mask":
		c.GroupFwdMask = uint16(v)
	case "backup_port":
		c.BackupPort = ""
		if on {
			c.BackupPort = portName(int(v))
		}
	case "cost":
		c.Cost = uint32(v)
	case "priority":
		if c.Priority = int(v); v == 0 {
			c.Priority = bridge.ZeroPriority
		}
	case "guard":
		c.Guard = on
	case "root_block":
		c.RootBlock = on
	case "fastleave":
		c.FastLeave = on
	case "mcast_to_unicast":
		c.McastToUnicast = on
	case "mcast_max_groups":
		c.McastMaxGroups = int(v)
	case "mcast_router":
		c.McastRouter, err = snoop.RouterNumber(int(v))
	case "neigh_suppress":
		c.NeighSuppress = on
	case "neigh_vlan_suppress":
		c.NeighVLANSuppress = on
	default:
		return ErrSkip
	}
	return err
}

// supported are the features that this side can be asked for.
var supported = []string{
	"ageing_time", "group_fwd_mask", "no_linklocal_learn", "fdb_max_learned",
	"stp_state", "priority", "hello_time", "max_age", "forward_delay",
	"vlan_filtering", "vlan_protocol", "vlan_default_pvid", "vlan_stats_enabled", "vlan_stats_per_port", "vlan state",
	"mcast_snooping", "mcast_router", "mcast_querier", "mcast_query_use_ifaddr", "mcast_stats_enabled", "mcast_hash_max",
	"mcast_last_member_count", "mcast_startup_query_count", "mcast_igmp_version", "mcast_mld_version",
	"mcast_last_member_interval", "mcast_membership_interval", "mcast_querier_interval", "mcast_query_interval",
	"mcast_query_response_interval", "mcast_startup_query_interval",
	"port state", "port learning", "port flood", "port mcast_flood", "port bcast_flood", "port hairpin", "port isolated", "port locked", "port mab",
	"port group_fwd_mask", "port backup_port", "port cost", "port priority", "port guard", "port root_block", "port fastleave",
	"port mcast_to_unicast", "port mcast_max_groups", "port mcast_router",
	"port neigh_suppress", "port neigh_vlan_suppress", "vlan neigh_suppress", "vlan interface",
	keepsProbes, "set bridge", "set port", "fdb kinds", "fdb flush", "mdb", "cable", "neigh", "neigh6",
}

// Supports says that a feature can be asked for.
func Supports(name string) bool { return slices.Contains(supported, name) }

func (o *Ours) attach(i int, settings Settings) (err error) {
	cfg := bridge.PortConfig{Name: portName(i), MAC: o.setup.MAC(i)}
	var state *stp.State
	for _, v := range settings {
		if v.Name == "state" {
			s := stp.State(v.Value)
			state = &s
			continue
		}
		if err := setPort(&cfg, v); err != nil {
			return fmt.Errorf("port %s: %w", v.Name, err)
		}
	}
	if o.port[i], err = o.b.AddPort(cfg); err == nil && state != nil {
		err = o.b.SetState(o.port[i], *state)
	}
	return err
}

func (o *Ours) now() sim.Time {
	if o.setup.Timed || o.Unreal {
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
	if o.Unreal && !o.setup.Timed {
		o.clock += 100*sim.Microsecond + sim.FromDuration(s.For)
	}
	o.b.Tick(o.now())
	switch {
	case s.Kind == Frame:
		out.Copies = o.frame(s.Port, s.Bytes)
	case s.Kind != Wait:
		if out.Err = o.configure(s); errors.Is(out.Err, ErrSkip) {
			return out, fmt.Errorf("%v: %w", s, ErrSkip)
		}
	case o.setup.Timed:
		o.advance(o.clock + sim.FromDuration(s.For))
	}
	if o.setup.Timed {
		o.sent = append(append(o.sent, out.Copies...), o.own()...)
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
		if bytes := c.Apply(nil, frame); !deaf(c, bytes) {
			all = append(all, o.copy(c.Port, bytes))
		}
	}
	if v.Action == bridge.PassPort {
		all = append(all, Copy{Place{ToPort, port}, bare(frame)})
	}
	return append(all, o.own()...)
}

// deaf says that a frame which goes up dies behind the bridge, before a socket can
// see it: a tag that comes to light when the bridge takes its own off has to be
// whole (skb_vlan_untag), as one that a frame comes in with.
func deaf(c bridge.Copy, bytes []byte) bool {
	return c.Port == bridge.Local && c.Strip && c.Tag == 0 && len(bytes) < headerLen+6 &&
		slices.Contains([]uint16{bridge.Dot1Q, bridge.Dot1AD}, binary.BigEndian.Uint16(bytes[12:]))
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

// configure is every step but frames. What it returns is a refusal.
func (o *Ours) configure(s *Step) error {
	p := o.port[s.Port]
	switch s.Kind {
	case SetBridge:
		cfg := o.b.Config()
		if err := setBridge(&cfg, s.Setting); err != nil {
			return err
		}
		return o.b.SetConfig(cfg)
	case SetPort:
		return o.setPort(s)
	case SetVLAN:
		switch s.Setting.Name {
		case "state":
			return o.b.SetVLANState(p, s.VLAN, stp.State(s.Setting.Value))
		case "neigh_suppress":
			return o.b.SetVLANNeighSuppress(p, s.VLAN, s.Setting.Value != 0)
		}
	case AddMDB:
		err := o.b.AddMDB(snoop.Static{Port: snoop.Port(p), Group: group(s), Source: s.Source, VID: s.VLAN, Permanent: s.State != 0})
		if s.VLAN == 0 && errors.Is(err, bridge.ErrVLAN) {
			return nil // in all VLANs of a port that is in none: Linux does not tell
		}
		return err
	case DelMDB:
		return o.b.DeleteMDB(p, group(s), s.Source, s.VLAN)
	case AddNeigh, DelNeigh:
		return o.neigh(s)
	case AddFDB:
		return o.addFDB(s)
	case DelFDB:
		return o.delFDB(s)
	case FlushFDB:
		// What IFLA_BR_FDB_FLUSH and IFLA_BRPORT_FLUSH take: no static entries, and
		// on a port none of a control plane.
		f := bridge.Filter{Port: p, Static: bridge.No}
		if p != bridge.Local {
			f.Extern = bridge.No
		}
		o.b.Flush(f)
		return nil
	case AddVLAN:
		return o.b.AddVLAN(p, bridge.VLAN{VID: s.VLAN, End: s.End, PVID: s.Flags&PVID != 0, Untagged: s.Flags&Untagged != 0})
	case DelVLAN:
		err := o.b.DeleteVLAN(p, bridge.VLAN{VID: s.VLAN, End: s.End})
		if errors.Is(err, bridge.ErrVLAN) {
			return nil // Linux does not tell that there was none
		}
		return err
	case Attach:
		return o.attach(s.Port, o.setup.Ports[s.Port-1])
	case Detach:
		o.port[s.Port] = 0
		return o.b.RemovePort(p)
	case Up, Down:
		return o.b.SetLink(p, s.Kind == Up)
	}
	return ErrSkip
}

func group(s *Step) snoop.Group { return snoop.Group{IP: s.Group, MAC: snoop.MAC(s.GroupL2)} }

// neigh adds or deletes a neighbour of the bridge's interface, or of that of one
// of its VLANs.
func (o *Ours) neigh(s *Step) error {
	var d neigh.Device
	if s.VLAN != 0 {
		d = neigh.VLAN(s.VLAN)
		o.neighs.AddDevice(d)
	}
	if s.Kind == AddNeigh {
		return o.neighs.Set(d, s.IP, neigh.Neighbour{MAC: s.MAC, State: neigh.Permanent})
	}
	o.neighs.Delete(d, s.IP)
	return nil
}

func (o *Ours) setPort(s *Step) error {
	p := o.port[s.Port]
	switch s.Setting.Name {
	case "state":
		return o.b.SetState(p, stp.State(s.Setting.Value))
	case "mcast_router":
		r, err := snoop.RouterNumber(int(s.Setting.Value))
		if err != nil {
			return err
		}
		return o.b.SetMcastRouter(p, r)
	}
	cfg := o.b.PortConfig(p)
	if err := setPort(&cfg, s.Setting); err != nil {
		return err
	}
	return o.b.SetPort(p, cfg)
}

var errExists = errors.New("there is an entry")

func (o *Ours) addFDB(s *Step) error {
	e := bridge.Entry{
		MAC: s.MAC, VLAN: s.VLAN, Port: o.port[s.Port], Kind: bridge.Kind(s.State),
		Sticky: s.Flags&Sticky != 0, ExternLearned: s.Flags&ExtLearned != 0,
	}
	if _, ok := o.b.Lookup(s.MAC, s.VLAN, o.now()); ok && s.Flags&Replace == 0 {
		return errExists
	}
	return o.b.Add(e)
}

var errNoEntry = errors.New("no such entry")

// delFDB deletes as bridge fdb del does: an entry of this port alone, and
// without a VLAN those in all of the port's.
func (o *Ours) delFDB(s *Step) error {
	p := o.port[s.Port]
	vids := []uint16{s.VLAN}
	if s.VLAN == 0 {
		for _, v := range o.b.VLANs(p) {
			vids = append(vids, v.VID)
		}
	}
	err := errNoEntry
	for _, vid := range slices.Backward(vids) {
		if e, ok := o.b.Lookup(s.MAC, vid, o.now()); ok && e.Port == p {
			o.b.Delete(s.MAC, vid)
			err = nil
		}
	}
	return err
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
		s.FDB = o.showFDB()
	}
	if which&VLANTable != 0 && !o.setup.NoVLANs {
		s.VLAN = o.showVLANs()
	}
	if which&MDBTable != 0 {
		s.MDB = o.showMDB()
	}
	if which&PortTable != 0 {
		for _, l := range o.b.Links(o.now()) {
			s.Ports = append(s.Ports, fmt.Sprintf("port %d %s", o.number(l.Port), stateText(uint8(l.State))))
		}
		slices.Sort(s.Ports)
	}
	return s, nil
}

func (o *Ours) showFDB() (lines []string) {
	for _, e := range o.b.Entries(o.now()) {
		flags := []string{e.Kind.String()}
		if e.Sticky {
			flags = append(flags, "sticky")
		}
		if e.ExternLearned {
			flags = append(flags, "extern_learn")
		}
		if e.Locked {
			flags = append(flags, "locked")
		}
		lines = append(lines, entry(e.MAC, e.VLAN, o.number(e.Port), flags...))
	}
	slices.Sort(lines)
	return lines
}

func (o *Ours) showMDB() (lines []string) {
	for _, e := range o.b.MDB(o.now()) {
		var sources []string
		for _, s := range e.Sources {
			sources = append(sources, s.Addr.String())
		}
		mode, source := "", ""
		switch {
		case e.Filtered && e.Include:
			mode = "include"
		case e.Filtered:
			mode = "exclude"
		}
		if e.Source.IsValid() {
			source = e.Source.String()
		}
		lines = append(lines, mdbText(e.Group.String(), source, o.number(bridge.Port(e.Port)), e.VID, e.Permanent, mode, e.Blocked, sources))
	}
	for _, r := range o.b.RouterPorts(o.now()) {
		lines = append(lines, fmt.Sprint("router on port ", o.number(bridge.Port(r.Port))))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func (o *Ours) showVLANs() (lines []string) {
	for _, p := range append(o.b.Ports(), bridge.Local) {
		for _, v := range o.b.VLANs(p) {
			line := vlanText(o.number(p), v.VID, v.PVID, v.Untagged, uint8(v.State))
			if o.b.Config().VLANStats {
				line += fmt.Sprintf(" rx %d in %d tx %d in %d", v.Stats.RxBytes, v.Stats.RxFrames, v.Stats.TxBytes, v.Stats.TxFrames)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
