package bridge

import (
	"fmt"

	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

const (
	// DefaultAgeing is how long an entry lasts after its station's last frame.
	DefaultAgeing = 300 * sim.Second
	// DefaultMaxLearned is the bound on learned entries: a million and some room,
	// more stations than any one segment has, in a table of 33 MB.
	DefaultMaxLearned = 1 << 20
	// Hub as Config.Ageing makes a bridge that learns nothing and floods all
	// unicast, as ageing_time 0 does in Linux.
	Hub sim.Time = -1
	// Unlimited as Config.MaxLearned bounds the learned entries by the table's own
	// bound alone, as fdb_max_learned 0 does in Linux.
	Unlimited = -1
	// ZeroPriority as Config.Priority or PortConfig.Priority is the priority 0, which
	// wins over all others.
	ZeroPriority = -1
)

// Config describes a bridge, under the names that ip(8) has for its options. The
// zero value is what Linux gives a new bridge, but for an address and a bound of
// learned entries.
type Config struct {
	// Name is the bridge's interface name, for display.
	Name string
	// MAC is the address of the bridge's own interface. Zero is none.
	MAC MAC
	// Promisc has the bridge's own interface see every frame.
	Promisc bool
	// Seed is for the table's hash, and set once. Two bridges with one seed and one
	// history are equal; a seed that the wire cannot know keeps it from choosing
	// addresses that collide.
	Seed uint64

	// Ageing is how long an entry lasts after its station's last frame. 0 is
	// DefaultAgeing, sim.Never is for ever, Hub is to learn nothing.
	Ageing sim.Time
	// MaxLearned bounds the entries learned from traffic (fdb_max_learned): with as
	// many, frames from new stations are forwarded but the station is not learned,
	// which is counted in Stats.Refused. 0 is DefaultMaxLearned, Unlimited is as many as a
	// table can have.
	MaxLearned int
	// GroupFwdMask has bit n set when 01:80:c2:00:00:0n is to be forwarded like
	// any group address. Linux lets no one set the bits 0, 1 and 2.
	GroupFwdMask uint16
	// NoLinkLocalLearn keeps the bridge from learning the sources of frames to
	// reserved addresses that it does not forward (no_linklocal_learn).
	NoLinkLocalLearn bool

	// STP turns the spanning tree on: see package stp for it and its times, of which
	// zero is the default. Priority is 1 to 65535, or ZeroPriority; 0 is 32768.
	STP                             bool
	Priority                        int
	HelloTime, MaxAge, ForwardDelay sim.Time
	// GroupAddress is where BPDUs go to and are taken from: 01:80:c2:00:00:0n, but
	// for n from 1 to 3. Zero is n of 0, and of 8 with VLANFiltering and 802.1ad.
	GroupAddress MAC

	// VLANFiltering has frames stay in their VLANs. Without it tags are not looked
	// at, but VLANs can be set.
	VLANFiltering bool
	// VLANProtocol is the TPID of the tags that VLANs have: Dot1Q, which 0 is too, or
	// Dot1AD. A tag of the other kind is payload.
	VLANProtocol uint16
	// DefaultPVID is the VLAN that a new port and the bridge's own interface have as
	// PVID and untagged. 0 is 1, NoPVID is none.
	DefaultPVID uint16
	// VLANStats counts frames by VLAN, VLANStatsPerPort for each port of its own.
	VLANStats, VLANStatsPerPort bool
	// VLANs are those of the bridge's own interface, beside DefaultPVID. They are for
	// New alone: later it is AddVLAN and DeleteVLAN with Local.
	VLANs []VLAN

	// NoSnooping floods multicast as broadcast (mcast_snooping 0).
	NoSnooping bool
	// Multicast is the options of snooping, Addrs the host's addresses for its
	// queries.
	Multicast snoop.Config
	Addrs     snoop.Addrs

	// Neighbours is what the host knows of its neighbours, for ports with
	// NeighSuppress. It may change at any time. Nil is nothing.
	Neighbours *neigh.Table

	// Notify is told of changes, within the call that makes them. It must not call
	// the bridge. Nil is not to tell.
	Notify func(Event)
}

// complete fills the defaults in and looks for what cannot be.
func (c Config) complete() (Config, error) {
	if c.Ageing == 0 {
		c.Ageing = DefaultAgeing
	}
	switch c.MaxLearned {
	case 0:
		c.MaxLearned = DefaultMaxLearned
	case Unlimited:
		c.MaxLearned = maxEntries
	}
	if c.VLANProtocol == 0 {
		c.VLANProtocol = Dot1Q
	}
	if c.DefaultPVID == 0 {
		c.DefaultPVID = 1
	}
	n, group := isReserved(c.GroupAddress.addr())
	switch {
	case c.MAC != (MAC{}) && c.MAC.Group():
		return c, fmt.Errorf("bridge: %w: %v", ErrAddress, c.MAC)
	case c.Ageing < 0 && c.Ageing != Hub:
		return c, fmt.Errorf("bridge: %w: ageing %v is negative", ErrConfig, c.Ageing)
	case c.MaxLearned < 0 || c.MaxLearned > maxEntries:
		return c, fmt.Errorf("bridge: %w: %d learned entries, the most is %d", ErrConfig, c.MaxLearned, maxEntries)
	case c.Priority < ZeroPriority || c.Priority > maxPriority:
		return c, fmt.Errorf("bridge: %w: priority %d: the most is %d", ErrConfig, c.Priority, maxPriority)
	case c.GroupFwdMask&0b111 != 0:
		return c, fmt.Errorf("bridge: %w: group_fwd_mask %#x: addresses :00, :01 and :02 cannot be chosen", ErrConfig, c.GroupFwdMask)
	case c.VLANProtocol != Dot1Q && c.VLANProtocol != Dot1AD:
		return c, fmt.Errorf("bridge: %w: VLAN protocol %#x: want %#x or %#x", ErrConfig, c.VLANProtocol, Dot1Q, Dot1AD)
	case c.DefaultPVID > maxVLAN && c.DefaultPVID != NoPVID:
		return c, fmt.Errorf("bridge: %w: default PVID %d: want 1 to %d", ErrVLAN, c.DefaultPVID, maxVLAN)
	case c.GroupAddress != (MAC{}) && (!group || n >= 1 && n <= 3):
		return c, fmt.Errorf("bridge: %w: group address %v", ErrConfig, c.GroupAddress)
	}
	// The machines know what they cannot be: these are thrown away.
	if _, err := stp.New(c.stp(), nil); err != nil {
		return c, fmt.Errorf("bridge: %w: %w", ErrConfig, err)
	}
	if _, err := snoop.New(c.Multicast, c.addrs()); err != nil {
		return c, fmt.Errorf("bridge: %w: %w", ErrConfig, err)
	}
	return c, nil
}

// maxPriority is the greatest of a bridge.
const maxPriority = 1<<16 - 1

// stp is the part of it for the spanning tree, but for ZeroPriority.
func (c *Config) stp() stp.Config {
	return stp.Config{
		STP: c.STP, Priority: uint16(max(c.Priority, 0)), MAC: c.MAC, HelloTime: c.HelloTime, MaxAge: c.MaxAge,
		ForwardDelay: c.ForwardDelay, Group: c.groupAddress(),
	}
}

// groupAddress is where BPDUs go to.
func (c *Config) groupAddress() MAC {
	switch {
	case c.GroupAddress != (MAC{}):
		return c.GroupAddress
	case c.VLANFiltering && c.VLANProtocol == Dot1AD:
		return MAC{0x01, 0x80, 0xc2, 0, 0, 0x08}
	}
	return stp.Group
}

// forwardAD is the reserved addresses that a provider's bridge forwards, since they
// are for its customers' bridges: BR_GROUPFWD_8021AD.
const forwardAD = 0xb801

// requiredMask is group_fwd_mask_required.
func (c *Config) requiredMask() uint16 {
	if !c.VLANFiltering || c.VLANProtocol == Dot1Q {
		return 0
	}
	return forwardAD &^ (1 << (c.groupAddress()[5] & 0xf))
}

// begin makes the bridge's own interface and the machines beside the table.
func (b *Bridge) begin() (err error) {
	c := &b.cfg
	b.required = c.requiredMask()
	b.setLimits()
	b.lookup = b.station
	b.setHold()
	b.settle(Local)
	if b.tree, err = stp.New(c.stp(), treeEnv{b}); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if c.Priority == ZeroPriority {
		b.tree.SetPriority(0, 0)
	}
	b.spanning = c.STP
	b.tree.Up(0)
	if err = b.beginSnooping(); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if c.VLANStats {
		b.counts = make([]*VLANStats, maxVLAN+1)
	}
	if err = b.addLocal(c.MAC, Local, 0); err == nil {
		err = b.joinVLANs(Local, c.VLANs, false)
	}
	b.schedule()
	return err
}

// setLimits takes over the neighbours and the bound of learned entries. A bound that
// is lower than what is there takes nothing out.
func (b *Bridge) setLimits() {
	b.bound = max(b.bound, b.cfg.MaxLearned)
	if b.neighbours = b.cfg.Neighbours; b.neighbours == nil {
		b.neighbours = neigh.NewTable()
	}
}

// SetConfig changes the bridge to cfg, with the effects that setting the options
// that differ has in Linux. Seed and VLANs stay as they are. STP can be
// turned on with ports up to stp.MaxPort alone.
// A Priority or a time of zero is left as it is.
func (b *Bridge) SetConfig(cfg Config) error {
	old := b.cfg
	for _, f := range []struct{ set, was *sim.Time }{
		{&cfg.HelloTime, &old.HelloTime}, {&cfg.MaxAge, &old.MaxAge}, {&cfg.ForwardDelay, &old.ForwardDelay},
	} {
		if *f.set == 0 {
			*f.set = *f.was
		}
	}
	if cfg.Priority == 0 {
		cfg.Priority = old.Priority
	}
	cfg.Seed, cfg.VLANs = old.Seed, old.VLANs
	cfg, err := cfg.complete()
	switch {
	case err != nil:
		return err
	case cfg.STP && len(b.members) > 0 && b.members[len(b.members)-1] > stp.MaxPort:
		return fmt.Errorf("bridge: %w: a spanning tree has ports up to %d", ErrFull, stp.MaxPort)
	}
	if err := b.setTimes(&cfg); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if err := b.snooper.SetConfig(cfg.Multicast, b.now); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	b.cfg = cfg
	b.config[Local].Name, b.config[Local].MAC = cfg.Name, cfg.MAC
	b.apply(&old)
	b.settleAll()
	b.collect()
	return nil
}

// setTimes gives the spanning tree the times that differ.
func (b *Bridge) setTimes(c *Config) error {
	for _, f := range []struct {
		set     func(sim.Time) error
		to, was sim.Time
	}{
		{b.tree.SetHelloTime, c.HelloTime, b.cfg.HelloTime},
		{b.tree.SetMaxAge, c.MaxAge, b.cfg.MaxAge},
		{b.tree.SetForwardDelay, c.ForwardDelay, b.cfg.ForwardDelay},
	} {
		if f.to != f.was {
			if err := f.set(f.to); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply has the options that differ from old take effect.
func (b *Bridge) apply(old *Config) {
	c := &b.cfg
	b.required = c.requiredMask()
	b.setLimits()
	b.tree.SetGroup(c.groupAddress())
	if c.MAC != old.MAC {
		b.changeMAC(Local, old.MAC)
		b.tree.SetMAC(c.MAC, b.now)
	}
	if c.Priority != old.Priority {
		b.tree.SetPriority(uint16(max(c.Priority, 0)), b.now)
	}
	if c.STP != old.STP {
		b.spanning = b.spanning || c.STP
		b.tree.SetSTP(c.STP, b.now)
	}
	if c.Ageing != old.Ageing {
		b.tree.AgeingConfigured()
	}
	b.setHold()
	if c.Ageing != old.Ageing && b.walk != sim.Never {
		b.walk = b.now // br_set_ageing_time has the table walked
	}
	if c.VLANStats != old.VLANStats || c.VLANStatsPerPort != old.VLANStatsPerPort {
		b.recount()
	}
	if c.DefaultPVID != old.DefaultPVID {
		b.changePVID(old.DefaultPVID)
	}
	b.snooper.SetSnooping(!c.NoSnooping, b.now)
	b.snooper.SetAddrs(c.addrs())
}

// addrs is where queries come from.
func (c *Config) addrs() snoop.Addrs {
	a := c.Addrs
	if a.MAC == (snoop.MAC{}) {
		a.MAC = snoop.MAC(c.MAC)
	}
	return a
}

// changePVID gives those interfaces the new default PVID that have the old one as it
// was given them, and not the new VLAN.
func (b *Bridge) changePVID(old uint16) {
	pvid := b.cfg.DefaultPVID
	for _, p := range append(b.Ports(), Local) {
		g := &b.vlans[p]
		v := g.find(old)
		byDefault := v != nil && v.untagged && g.pvid == old
		if old != NoPVID && !byDefault || pvid != NoPVID && g.find(pvid) != nil {
			continue
		}
		if pvid != NoPVID {
			b.addVLAN(p, pvid, true, true) // for want of room an address is missing, no more
		}
		if byDefault {
			b.deleteVLAN(p, old)
		}
	}
}

// recount begins to count the frames of VLANs anew, or no longer does.
func (b *Bridge) recount() {
	b.counts = nil
	if b.cfg.VLANStats {
		b.counts = make([]*VLANStats, maxVLAN+1)
	}
	for _, g := range b.vlans {
		for _, v := range g.list {
			v.stats = b.vlanStats(v.vid)
		}
	}
}
