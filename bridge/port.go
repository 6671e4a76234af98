package bridge

import (
	"fmt"
	"slices"

	"ringside/bridge/snoop"
	"ringside/bridge/stp"
)

// A Port is the number of a port. Numbers of removed ports are given out again,
// the lowest first.
type Port int32

// Local is the bridge's own interface, by which the host's stack sends and
// receives. It is always there.
const Local Port = 0

// MaxPorts is how many ports a bridge can have beside Local; with the spanning
// tree, stp.MaxPort.
const MaxPorts = 1<<16 - 1

// A PortConfig describes a port, under the names that bridge(8) has for its
// options: those that are on unless said otherwise have a No before them. The zero
// value is what Linux gives a new port, but for an address of its own.
type PortConfig struct {
	// Name is the interface's name, for display and for BackupPort.
	Name string
	// MAC is the interface's address, which becomes a local entry. Zero is none.
	MAC MAC
	// LinkDown says that the port has no carrier: see SetLink.
	LinkDown bool

	// NoLearning keeps the port from learning sources.
	NoLearning bool
	// NoFlood, NoMcastFlood and NoBcastFlood keep frames to unknown stations, to
	// unknown groups and to all from being flooded to the port. The last two do not
	// hold for what the host sends.
	NoFlood, NoMcastFlood, NoBcastFlood bool
	// Hairpin lets a frame leave by the port it came from.
	Hairpin bool
	// Isolated ports exchange no frames with each other.
	Isolated bool
	// Locked ports take frames only from stations that are in the table, there, and
	// not locked themselves. MAB, which needs it, has new ones entered as locked.
	Locked, MAB bool
	// GroupFwdMask is Config.GroupFwdMask for what comes in by this port. Bit 1
	// cannot be set.
	GroupFwdMask uint16
	// BackupPort is the name of the port that gets the frames for this one while it
	// has no carrier. It must be there.
	BackupPort string

	// State is the port's state if it is set by hand; 0 is that it is not. The
	// spanning tree must be off.
	State stp.State
	// Cost is 1 to 65535, Priority 1 to 63, or ZeroPriority. Zero is 100 and 32.
	Cost     uint32
	Priority int
	// Guard disables the port when a BPDU comes in by it: bpdu_guard.
	Guard bool
	// RootBlock keeps the port from becoming the root port: root_block.
	RootBlock bool

	// FastLeave, McastToUnicast, McastRouter and McastMaxGroups are for snooping:
	// see snoop.PortConfig.
	FastLeave, McastToUnicast bool
	McastRouter               snoop.Router
	McastMaxGroups            int

	// NeighSuppress keeps questions for neighbours that the bridge can answer
	// from the port: see package neigh. With NeighVLANSuppress it does so in the
	// VLANs that SetVLANNeighSuppress names alone.
	NeighSuppress, NeighVLANSuppress bool

	// VLANs are those the port gets beside Config.DefaultPVID, or without it if
	// NoPVID is set. They are for AddPort alone: later it is AddVLAN and DeleteVLAN.
	VLANs  []VLAN
	NoPVID bool
}

// PortStats counts the frames of one port, from the bridge's side: Rx came in by
// it, Tx were sent out by it, Drops came in by it and died in the bridge. At
// Local, Rx are the frames the host sent and Tx those that went up to it.
type PortStats struct {
	Rx, Tx, Drops uint64
}

// A port is what Handle needs of a port, in a cache line.
type port struct {
	PortStats
	self    [1]Copy // the Out of a frame that leaves by it as it came; to NoPort if it is gone
	tag     what    // what the entry of a station that stays on this port compares to
	tagVLAN what    // the same with VLAN filtering on: see within
	flags   flags
	avoids  flags // a port with one of these is no target of the short way from here
	state   stp.State
	fwdMask uint16
}

// noTag is like no entry: every frame goes the whole way.
const noTag = ^what(0)

var gone = port{self: [1]Copy{{Port: NoPort}}, tag: noTag, tagVLAN: noTag, flags: aside}

func (c *PortConfig) check() error {
	switch {
	case c.MAC != (MAC{}) && c.MAC.Group():
		return fmt.Errorf("%w: %v", ErrAddress, c.MAC)
	case c.MAB && !c.Locked:
		return fmt.Errorf("%w: MAB needs Locked", ErrConfig)
	case c.Cost > 1<<16-1 || c.Priority < ZeroPriority || c.Priority > 63:
		return fmt.Errorf("%w: cost %d, priority %d: the most is 65535 and 63", ErrConfig, c.Cost, c.Priority)
	case c.GroupFwdMask&0b10 != 0:
		return fmt.Errorf("%w: group_fwd_mask %#x: address :01 cannot be chosen", ErrConfig, c.GroupFwdMask)
	}
	return nil
}

// AddPort adds a port and returns its number, the lowest that is free.
func (b *Bridge) AddPort(cfg PortConfig) (Port, error) {
	fail := func(err error) (Port, error) { return 0, fmt.Errorf("bridge: port %s: %w", cfg.Name, err) }
	if err := cfg.check(); err != nil {
		return fail(err)
	}
	backup, err := b.named(cfg.BackupPort)
	if err != nil {
		return fail(err)
	}
	p, err := b.freePort()
	if err != nil {
		return fail(err)
	}
	cfg.VLANs = slices.Clone(cfg.VLANs)
	b.config[p] = cfg
	b.backup[p] = backup
	b.vlans[p] = vlanGroup{}
	b.ports[p] = port{self: [1]Copy{{Port: p}}}
	i, _ := slices.BinarySearch(b.members, p)
	b.members = slices.Insert(b.members, i, p)
	b.settle(p)
	if err := b.setUp(p); err != nil {
		b.RemovePort(p)
		return fail(err)
	}
	if cfg.NeighSuppress || cfg.NeighVLANSuppress {
		b.watchNeighbours()
	}
	b.snooper.Tick(b.now)
	b.collect()
	return p, nil
}

// freePort is the lowest number that is free.
func (b *Bridge) freePort() (Port, error) {
	p := Port(len(b.ports))
	if len(b.members) < len(b.ports)-1 {
		p = 1
		for b.has(p) {
			p++
		}
	}
	most := Port(MaxPorts)
	if b.cfg.STP {
		most = stp.MaxPort
	}
	if p > most {
		return 0, fmt.Errorf("%w: %d ports is the most", ErrFull, most)
	}
	if int(p) == len(b.ports) {
		b.ports = append(b.ports, gone)
		b.config = append(b.config, PortConfig{})
		b.backup = append(b.backup, Local)
		b.vlans = append(b.vlans, vlanGroup{})
		b.scratch = append(b.scratch, Copy{})
	}
	return p, nil
}

// setUp is what br_add_if does with a port that is in its place.
func (b *Bridge) setUp(p Port) error {
	cfg := &b.config[p]
	if err := b.addLocal(cfg.MAC, p, 0); err != nil {
		return err
	}
	if err := b.joinVLANs(p, cfg.VLANs, cfg.NoPVID); err != nil {
		return err
	}
	if err := b.snoopAdd(p); err != nil {
		return err
	}
	return b.join(p)
}

// joinVLANs gives an interface the VLANs that it begins with.
func (b *Bridge) joinVLANs(p Port, list []VLAN, noPVID bool) error {
	if pvid := b.cfg.DefaultPVID; pvid != NoPVID && !noPVID {
		if err := b.addVLAN(p, pvid, true, true); err != nil {
			return err
		}
	}
	for _, v := range list {
		if err := b.AddVLAN(p, v); err != nil {
			return err
		}
	}
	return nil
}

// named is the port of a name, Local for none.
func (b *Bridge) named(name string) (Port, error) {
	if name == "" {
		return Local, nil
	}
	for _, p := range b.members {
		if b.config[p].Name == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("backup port %s: %w", name, ErrNoPort)
}

// RemovePort takes a port away, and with it every entry that points to it. A
// local address that another interface has too stays, as that one's.
func (b *Bridge) RemovePort(p Port) error {
	if p == Local || !b.has(p) {
		return fmt.Errorf("bridge: %w: %d", ErrNoPort, p)
	}
	b.backup[p] = Local
	if p <= stp.MaxPort {
		b.tree.RemovePort(uint16(p), b.now) // it may not have got so far
	}
	b.snoopRemove(p)
	b.notifyLink(p, true)
	left := b.vlans[p].list
	b.vlans[p] = vlanGroup{}
	for _, v := range left {
		b.uncount(v.vid)
	}
	b.forget(p, 0, true)
	b.ports[p] = gone
	b.config[p] = PortConfig{}
	i, _ := slices.BinarySearch(b.members, p)
	b.members = slices.Delete(b.members, i, i+1)
	for _, q := range b.members {
		if b.backup[q] == p {
			b.backup[q] = Local
			b.config[q].BackupPort = ""
			b.settle(q)
		}
	}
	b.watchNeighbours()
	b.collect()
	return nil
}

// SetPort changes a port to cfg. Its VLANs stay as they are. A Cost, a Priority or
// a State of zero is left as it is.
func (b *Bridge) SetPort(p Port, cfg PortConfig) error {
	fail := func(err error) error { return fmt.Errorf("bridge: port %s: %w", cfg.Name, err) }
	if p == Local || !b.has(p) {
		return fail(fmt.Errorf("%w: %d", ErrNoPort, p))
	}
	if err := cfg.check(); err != nil {
		return fail(err)
	}
	backup, err := b.named(cfg.BackupPort)
	if err == nil && backup == p {
		err = fmt.Errorf("%w: it is its own backup", ErrConfig)
	}
	if err != nil {
		return fail(err)
	}
	old := b.config[p]
	if err := b.snooper.SetPort(snoop.Port(p), cfg.snoop(), b.now); err != nil {
		return fail(err)
	}
	if err := b.setTree(p, &cfg); err != nil {
		b.snooper.SetPort(snoop.Port(p), old.snoop(), b.now)
		return fail(err)
	}
	down := cfg.LinkDown
	cfg.VLANs, cfg.NoPVID, cfg.LinkDown = old.VLANs, old.NoPVID, old.LinkDown
	b.config[p], b.backup[p] = cfg, backup
	if old.MAC != cfg.MAC {
		b.changeMAC(p, old.MAC)
	}
	if old.MAB && !cfg.MAB {
		b.sweep(func(l *line, i int) bool { return l.what[i].on(p) && l.what[i]&lockedOut != 0 })
	}
	b.settle(p)
	b.notifyLink(p, false)
	b.watchNeighbours()
	b.collect()
	if down != old.LinkDown {
		return b.SetLink(p, !down)
	}
	return nil
}

// setTree gives the spanning tree what changed in a port's configuration.
func (b *Bridge) setTree(n Port, cfg *PortConfig) error {
	old, t, p := &b.config[n], b.tree, uint16(n)
	if n > stp.MaxPort {
		return nil
	}
	if cfg.Cost == 0 {
		cfg.Cost = old.Cost
	}
	if cfg.Priority == 0 {
		cfg.Priority = old.Priority
	}
	if cfg.State == 0 {
		cfg.State = old.State
	}
	if cfg.State != old.State {
		if err := t.SetState(p, cfg.State, b.now); err != nil {
			return err
		}
	}
	if cfg.Cost != old.Cost {
		if err := t.SetPathCost(p, cfg.Cost, b.now); err != nil {
			return err
		}
	}
	if cfg.Priority != old.Priority {
		if err := t.SetPortPriority(p, uint8(max(cfg.Priority, 0)), b.now); err != nil {
			return err
		}
	}
	for _, err := range []error{t.SetPortMAC(p, cfg.MAC), t.SetGuard(p, cfg.Guard), t.SetRootBlock(p, cfg.RootBlock)} {
		if err != nil {
			return err
		}
	}
	return nil
}

// changeMAC is br_fdb_changeaddr: the own entries of an interface, whose address is
// a new one already, follow it.
func (b *Bridge) changeMAC(p Port, old MAC) {
	vids := []uint16{0}
	for _, v := range b.vlans[p].list {
		vids = append(vids, v.vid)
	}
	for _, vid := range vids {
		b.dropLocal(old, p, vid)
		b.addLocal(b.config[p].MAC, p, vid)
	}
}

// Ports is the numbers of the ports, ascending, without Local.
func (b *Bridge) Ports() []Port { return slices.Clone(b.members) }

// PortConfig is how the port p is set; the zero value if there is none.
func (b *Bridge) PortConfig(p Port) PortConfig {
	if !b.has(p) {
		return PortConfig{}
	}
	return b.config[p]
}

// PortStats is the counters of the port p since it was added.
func (b *Bridge) PortStats(p Port) PortStats {
	if !b.has(p) {
		return PortStats{}
	}
	return b.ports[p].PortStats
}

func (b *Bridge) has(p Port) bool {
	return uint(p) < uint(len(b.ports)) && b.ports[p].self[0].Port != NoPort
}
