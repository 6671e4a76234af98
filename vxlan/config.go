package vxlan

import (
	"errors"
	"net/netip"

	"ringside/sim"
)

// Errors that a caller decides on. They come wrapped, with what was refused.
var (
	ErrConfig  = errors.New("bad configuration")
	ErrAddress = errors.New("not the address of a host")
	ErrFull    = errors.New("no room")
	ErrExists  = errors.New("there is one already")
)

// Config configures a VTEP; the words are ip-link's. The zero value is VNI 0 over
// IPv4 with Linux's defaults, and no remote but those that it learns.
type Config struct {
	Name string // of its interface, for errors
	VNI  uint32 // id: up to MaxVNI
	MAC  MAC    // of its interface: frames that come in from it are dropped; the zero MAC is none

	Local   netip.Addr   // address of the host that it sends from; not valid means that the host's stack chooses
	Remotes []netip.Addr // of the entry Default: who gets broadcasts and what is not known
	Port    uint16       // dstport, on both sides; 0 means DefaultPort

	// SrcPortMin and SrcPortMax bound the source ports that flows are spread over, the
	// upper one exclusive (srcport). Both 0 means 32768 and 61000, Linux's
	// ip_local_port_range; RFC 7348 advises 49152 and 65535.
	SrcPortMin, SrcPortMax uint16

	TTL        uint8 // of the outer packet; 0 means the host stack's, 64
	TTLInherit bool  // that of the inner packet, if it is IP
	TOS        uint8 // of the outer packet, whose ECN field is always derived from the inner packet's
	TOSInherit bool  // that of the inner packet, 0 if it is not IP
	DF         DF    // over IPv4

	// The outer UDP checksum. By default it is sent and checked, as Linux has it; RFC 7348
	// advises zero over IPv4.
	NoUDPChecksum  bool // noudpcsum: none is sent over IPv4
	ZeroChecksumTx bool // udp6zerocsumtx: none is sent over IPv6
	ZeroChecksumRx bool // udp6zerocsumrx: packets without one are taken over IPv6, as always over IPv4

	NoLearning   bool
	Ageing       sim.Time // of learned entries; 0 means 300 s, sim.Never for ever
	MaxAddresses int      // maxaddress: bound on entries of all kinds; 0 means DefaultMaxAddresses
	FDB          []Entry  // entries it has from the start

	Seed uint64 // for the source ports
}

// DefaultMaxAddresses bounds the entries of a VTEP. Linux has no bound by default.
const DefaultMaxAddresses = 1 << 20

// DefaultAgeing is how long a learned entry lasts.
const DefaultAgeing = 300 * sim.Second

// Linux's ip_local_port_range.
const (
	localPortMin = 32768
	localPortMax = 61000
)

// A DF says when the outer IPv4 packet may not be fragmented.
type DF uint8

// The ways, in ip-link's words.
const (
	DFUnset   DF = iota // never
	DFSet               // always
	DFInherit           // if the inner packet may not be, or is IPv6
)

// String is the way in ip-link's word.
func (d DF) String() string {
	if int(d) < len(dfNames) {
		return dfNames[d]
	}
	return "df?"
}

var dfNames = [...]string{"unset", "set", "inherit"}

// complete fills in the defaults and finds what cannot be.
func (c Config) complete() (Config, error) {
	v := VTEP{cfg: c}
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if c.SrcPortMin == 0 && c.SrcPortMax == 0 {
		c.SrcPortMin, c.SrcPortMax = localPortMin, localPortMax
	}
	if c.Ageing == 0 {
		c.Ageing = DefaultAgeing
	}
	if c.MaxAddresses == 0 {
		c.MaxAddresses = DefaultMaxAddresses
	}
	switch {
	case c.VNI > MaxVNI:
		return c, v.errorf("%w: VNI %d; up to %d are possible", ErrConfig, c.VNI, MaxVNI)
	case c.MAC.Group():
		return c, v.errorf("%w: %v is a group's address", ErrConfig, c.MAC)
	case c.Local.IsValid() && !host(c.Local):
		return c, v.errorf("local %v: %w", c.Local, ErrAddress)
	case c.SrcPortMin == 0 || c.SrcPortMin >= c.SrcPortMax:
		return c, v.errorf("%w: source ports from %d up to before %d; give a lower and a higher one", ErrConfig, c.SrcPortMin, c.SrcPortMax)
	case c.DF > DFInherit:
		return c, v.errorf("%w: DF %d; there is unset, set and inherit", ErrConfig, c.DF)
	case c.Ageing < 0 || c.MaxAddresses < 0:
		return c, v.errorf("%w: ageing %v and up to %d addresses; none can be negative", ErrConfig, c.Ageing, c.MaxAddresses)
	}
	return c, nil
}

// IPv6 says that the underlay is IPv6: Local is, or the first remote.
func (c *Config) IPv6() bool {
	switch {
	case c.Local.IsValid():
		return c.Local.Is6()
	case len(c.Remotes) > 0:
		return c.Remotes[0].Is6()
	}
	for _, e := range c.FDB {
		for _, r := range e.Remotes {
			return r.Addr.Is6()
		}
	}
	return false
}

// host says that a can be a host's address.
func host(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
