package snoop

import (
	"errors"
	"fmt"
	"net/netip"

	"ringside/sim"
)

// Errors that a caller decides on. They come wrapped, with what was refused.
var (
	ErrConfig   = errors.New("bad configuration")
	ErrNoPort   = errors.New("no such port")
	ErrDisabled = errors.New("multicast snooping is off or the bridge is down")
	ErrGroup    = errors.New("bad group")
	ErrSource   = errors.New("bad source")
	ErrExists   = errors.New("already there")
	ErrNotFound = errors.New("not there")
	ErrFull     = errors.New("no room")
)

// A Port is the number of a bridge's port.
type Port int32

const (
	// Local is the bridge's own interface.
	Local Port = 0
	// maxPort bounds the table of ports.
	maxPort Port = 1<<16 - 1
)

// A MAC is an Ethernet address.
type MAC [6]byte

// A Router says whether there is a multicast router behind an interface.
type Router uint8

// The values of mcast_router. The numbers are not Linux's, so that zero is the
// default; Number and RouterNumber convert.
const (
	RouterAuto   Router = iota // 1: while queries come in by it
	RouterNever                // 0
	RouterAlways               // 2
	RouterTemp                 // 3, of ports only: now, and as long as something refreshes it
)

// Number is the value as Linux has it.
func (r Router) Number() int { return [...]int{1, 0, 2, 3}[r&3] }

// RouterNumber is the Router for Linux's value, which is 0 to 3.
func RouterNumber(n int) (Router, error) {
	if n < 0 || n > 3 {
		return 0, fmt.Errorf("snoop: %w: mcast_router %d is not 0 to 3", ErrConfig, n)
	}
	return [...]Router{RouterNever, RouterAuto, RouterAlways, RouterTemp}[n], nil
}

// Config is a bridge's options, under the names that ip(8) has for them with
// mcast_ before. The zero value is Linux's defaults. Of numbers and times 0 is the
// default and None is zero.
type Config struct {
	// Router says whether the host itself is a multicast router.
	Router Router
	// QueryUseIfaddr has queries carry the address Addrs.IPv4 instead of 0.0.0.0.
	QueryUseIfaddr bool
	// Querier has the bridge send queries while there is no other querier.
	Querier bool
	// HashMax bounds the entries. The one after it ends snooping. Default 4096.
	HashMax int
	// LastMemberCount is how often a group is asked for after a leave. Default 2.
	LastMemberCount int
	// StartupQueryCount is how many queries come quickly at first. Default 2.
	StartupQueryCount int
	// LastMemberInterval is between two queries after a leave. Default 1 s.
	LastMemberInterval sim.Time
	// MembershipInterval is how long a report holds. Default 260 s.
	MembershipInterval sim.Time
	// QuerierInterval is how long a query tells of a querier. Default 255 s.
	QuerierInterval sim.Time
	// QueryInterval is between two general queries, at least 1 s. Default 125 s.
	QueryInterval sim.Time
	// QueryResponseInterval is the time hosts have to answer. Default 10 s.
	QueryResponseInterval sim.Time
	// StartupQueryInterval is between the first queries, at least 1 s. Default
	// 31.25 s.
	StartupQueryInterval sim.Time
	// IGMPVersion is 2, the default, or 3. In version 2 sources are not looked at.
	IGMPVersion int
	// MLDVersion is 1, the default, or 2.
	MLDVersion int
	// StatsEnabled has messages counted.
	StatsEnabled bool
}

// None stands for zero in numbers and times of a Config, where 0 is the default.
const None = -1

// The bounds that are constants in Linux.
const (
	maxSources        = 32  // of one port group, and of one host in it
	defaultHostsLimit = 512 // hosts followed on one port
	minInterval       = sim.Second
)

// resolved is the configuration with defaults put in, and checked.
func (c Config) resolved() (Config, error) {
	if c.Router > RouterAlways {
		return c, fmt.Errorf("snoop: %w: mcast_router of a bridge is 0, 1 or 2", ErrConfig)
	}
	numbers := []struct {
		at    *int
		value int
	}{{&c.HashMax, 4096}, {&c.LastMemberCount, 2}, {&c.StartupQueryCount, 2}}
	for _, n := range numbers {
		*n.at = orDefault(*n.at, n.value)
	}
	times := []struct {
		at    *sim.Time
		value sim.Time
	}{
		{&c.LastMemberInterval, sim.Second},
		{&c.MembershipInterval, 260 * sim.Second},
		{&c.QuerierInterval, 255 * sim.Second},
		{&c.QueryInterval, 125 * sim.Second},
		{&c.QueryResponseInterval, 10 * sim.Second},
		{&c.StartupQueryInterval, 125 * sim.Second / 4},
	}
	for _, t := range times {
		*t.at = orDefault(*t.at, t.value)
	}
	c.QueryInterval = max(c.QueryInterval, minInterval)
	c.StartupQueryInterval = max(c.StartupQueryInterval, minInterval)
	c.IGMPVersion = orDefault(c.IGMPVersion, 2)
	c.MLDVersion = orDefault(c.MLDVersion, 1)
	if c.IGMPVersion != 2 && c.IGMPVersion != 3 {
		return c, fmt.Errorf("snoop: %w: mcast_igmp_version %d is not 2 or 3", ErrConfig, c.IGMPVersion)
	}
	if c.MLDVersion != 1 && c.MLDVersion != 2 {
		return c, fmt.Errorf("snoop: %w: mcast_mld_version %d is not 1 or 2", ErrConfig, c.MLDVersion)
	}
	return c, nil
}

func orDefault[T ~int | ~int64](v, usual T) T {
	switch {
	case v == 0:
		return usual
	case v < 0:
		return 0
	}
	return v
}

// Addrs is the bridge's own interface, for the queries it sends.
type Addrs struct {
	MAC MAC
	// IPv4 is used if Config.QueryUseIfaddr; without one it is 0.0.0.0.
	IPv4 netip.Addr
	// LinkLocal is an IPv6 address of the interface for ff02::1. Without one there
	// are no MLD queries, and the bridge is no querier for IPv6.
	LinkLocal netip.Addr
}

// PortConfig is a port's options; the zero value is Linux's defaults.
type PortConfig struct {
	// FastLeave has a leave take effect at once. In versions 3 and 2 hosts are
	// followed one by one.
	FastLeave bool
	// ToUnicast is mcast_to_unicast: an entry for each host instead of one.
	ToUnicast bool
	// Router is the port's mcast_router.
	Router Router
	// MaxGroups bounds the port's entries; 0 is no bound.
	MaxGroups int
	// HostsLimit bounds the hosts followed for FastLeave. 0 is 512.
	HostsLimit int
}

func (c PortConfig) check() error {
	if c.Router > RouterTemp || c.MaxGroups < 0 || c.HostsLimit < 0 {
		return fmt.Errorf("snoop: %w: %+v", ErrConfig, c)
	}
	return nil
}
