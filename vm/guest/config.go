package guest

import (
	"fmt"
	"net/netip"

	"ringside/netstack"
	"ringside/sim"
)

// Config describes a guest. CPU, Chance and, to reach anything, Interfaces are
// required.
type Config struct {
	Name       string
	CPU        CPU
	Chance     func(what string) netstack.Source // seeded randomness by name, which already has the guest's in it
	Interfaces []Interface
	Routes     []netstack.Route // beside those of the interfaces' addresses
	Gateway    netip.Addr       // default route, on the interface whose network it is in; the zero Addr is none
	Forward    bool             // the stack forwards packets between interfaces
	TCP        netstack.TCPConfig
	Resolver   netip.Addr // DNS server that LookupHost asks; the zero Addr: only literals are known
	Processes  []Process  // in the order in which they begin, of those that begin at one time

	// Unbilled says that nobody pays for what the CPU does: the headers of packets are
	// not looked at for what the transport takes, and its steps are not charged.
	Unbilled bool

	// Log takes what processes say by Proc.Logf; nil drops it.
	Log func(at sim.Time, process, line string)
}

// An Interface is a network interface of a guest.
type Interface struct {
	Name      string // "" means eth0, eth1, … by its place
	NIC       NIC
	MAC       [6]byte
	MTU       int // 0 means 1500
	Addresses []netip.Prefix
}

// A Process is a program under a name, which stands in front of its errors and
// results.
type Process struct {
	Name  string
	Main  Program
	Start sim.Time // when it begins
}

// A Program is what a process runs. Its return ends the process; an error or a
// panic ends the run.
type Program func(*Proc) error

// withDefaults fills in what the zero values stand for.
func (c Config) withDefaults() Config {
	list := make([]Interface, len(c.Interfaces))
	for i, in := range c.Interfaces {
		if in.Name == "" {
			in.Name = fmt.Sprintf("eth%d", i)
		}
		if in.MTU == 0 {
			in.MTU = 1500
		}
		list[i] = in
	}
	c.Interfaces = list
	return c
}

// validate says what is wrong with c.
func (c *Config) validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("guest %s: %s", c.Name, fmt.Sprintf(format, args...))
	}
	if c.CPU == nil {
		return wrong("no CPU")
	}
	if c.Chance == nil {
		return wrong("no Chance")
	}
	names := map[string]bool{}
	for _, in := range c.Interfaces {
		if in.NIC == nil {
			return wrong("interface %s has no NIC", in.Name)
		}
		if names[in.Name] {
			return wrong("two interfaces are called %s", in.Name)
		}
		names[in.Name] = true
	}
	for _, p := range c.Processes {
		if p.Main == nil {
			return wrong("process %s has no program", p.Name)
		}
	}
	return nil
}
