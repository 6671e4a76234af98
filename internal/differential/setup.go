package differential

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ringside/bridge"
)

// MaxPorts is how many ports a setup can have.
const MaxPorts = 8

// Host as a port in a step is the bridge's own interface.
const Host = 0

// A Setup is one configuration and what is done with it.
type Setup struct {
	Name   string
	Seed   uint64 // that Generate made it of; 0 for a named row
	Bridge Settings
	// Promisc has the bridge's interface see every frame.
	Promisc bool
	// Ports are the ports 1 to n, in the order in which they are added.
	Ports []Settings
	Steps []Step
	// Needs are features of a kernel without which the setup says nothing.
	Needs []string
	// NoVLANs says that the kernel was built without VLAN filtering: then a new
	// bridge has no default VLAN 1. Pair.Run sets it.
	NoVLANs bool
	// IPv6 has the host's interfaces speak IPv6, without an address of their own.
	// With snooping they would report groups, whenever they like.
	IPv6 bool
	// Deep has the tables compared after each step; else the forwarding
	// database only, and the others at the end.
	Deep bool
	// Timed setups are about timers: what happens is compared as the order of
	// events, and the tables at the end.
	Timed bool
	// Cables join two ports each: what leaves by one comes in by the other.
	Cables [][2]int
}

// across is the port at the other end of the cable of port p, 0 for none.
func (s *Setup) across(p int) int {
	for _, c := range s.Cables {
		switch p {
		case c[0]:
			return c[1]
		case c[1]:
			return c[0]
		}
	}
	return 0
}

// MAC is the address of the bridge for port 0, and of a port.
func (s *Setup) MAC(port int) bridge.MAC { return bridge.MAC{2, 0, 0, 0, 0xbb, byte(port)} }

// String is the configuration without the steps.
func (s *Setup) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: bridge %s", s.Name, s.Bridge)
	if s.Promisc {
		b.WriteString(" promisc")
	}
	for i, p := range s.Ports {
		fmt.Fprintf(&b, "\n    port %d %s", i+1, p)
	}
	return b.String()
}

// A Kind is what a step does.
type Kind uint8

// The kinds of steps, with the fields of Step that each uses.
const (
	Frame     Kind = iota // Port, Bytes: a frame comes in by Port, or the host sends it
	Wait                  // For
	SetBridge             // Setting
	SetPort               // Port, Setting
	AddFDB                // Port, MAC, VLAN, State, Flags
	DelFDB                // Port, MAC, VLAN
	FlushFDB              // Port, 0 for all
	AddVLAN               // Port, VLAN, End, Flags
	DelVLAN               // Port, VLAN, End
	SetVLAN               // Port, VLAN, Setting
	AddMDB                // Port, Group, Source, VLAN, State
	DelMDB                // Port, Group, Source, VLAN
	AddNeigh              // IP, MAC, VLAN
	DelNeigh              // IP, VLAN
	Attach                // Port
	Detach                // Port
	Up                    // Port: ip link set up
	Down                  // Port: ip link set down
	Carrier               // Port, Setting.Value 0 or 1
	SetMTU                // Port, Setting.Value
)

// Flags of AddFDB and AddVLAN.
const (
	Sticky uint8 = 1 << iota
	ExtLearned
	Replace
	PVID
	Untagged
	Blackhole
)

// The states of an entry, as bridge(8) names them.
const (
	FDBDynamic = iota
	FDBStatic
	FDBPermanent
)

// A Step is one thing done to both bridges.
type Step struct {
	Kind    Kind
	Port    int
	Bytes   []byte
	For     time.Duration
	Setting Setting
	MAC     bridge.MAC
	VLAN    uint16
	End     uint16 // last of a range of VLANs; 0 is VLAN alone
	State   uint8
	Flags   uint8
	Group   netip.Addr
	GroupL2 bridge.MAC // a group without IP
	Source  netip.Addr
	IP      netip.Addr
}

// String is the step as a line that can be read, and a frame's bytes in hex.
func (s Step) String() string {
	on := fmt.Sprintf("port %d", s.Port)
	if s.Port == Host {
		on = "the bridge"
	}
	switch s.Kind {
	case Frame:
		return fmt.Sprintf("frame on %s: %s", on, Describe(s.Bytes))
	case Wait:
		return fmt.Sprintf("wait %v", s.For)
	case SetBridge:
		return fmt.Sprintf("set bridge %s %d", s.Setting.Name, s.Setting.Value)
	case SetPort:
		return fmt.Sprintf("set %s %s %d", on, s.Setting.Name, s.Setting.Value)
	case AddFDB:
		return fmt.Sprintf("fdb add %v on %s vlan %d %s%s", s.MAC, on, s.VLAN, stateNames[s.State], flagNames(s.Flags))
	case DelFDB:
		return fmt.Sprintf("fdb del %v on %s vlan %d", s.MAC, on, s.VLAN)
	case FlushFDB:
		return fmt.Sprintf("fdb flush on %s", on)
	case AddVLAN:
		return fmt.Sprintf("vlan add %d-%d on %s%s", s.VLAN, max(s.End, s.VLAN), on, flagNames(s.Flags))
	case DelVLAN:
		return fmt.Sprintf("vlan del %d-%d on %s", s.VLAN, max(s.End, s.VLAN), on)
	case SetVLAN:
		return fmt.Sprintf("vlan set %d on %s %s %d", s.VLAN, on, s.Setting.Name, s.Setting.Value)
	case AddMDB, DelMDB:
		verb := map[Kind]string{AddMDB: "add", DelMDB: "del"}[s.Kind]
		return fmt.Sprintf("mdb %s %s %s on %s vlan %d state %d", verb, s.group(), s.source(), on, s.VLAN, s.State)
	case AddNeigh:
		return fmt.Sprintf("neigh add %v %v vlan %d", s.IP, s.MAC, s.VLAN)
	case DelNeigh:
		return fmt.Sprintf("neigh del %v vlan %d", s.IP, s.VLAN)
	case Carrier, SetMTU:
		return fmt.Sprintf("%s of %s %d", kindNames[s.Kind], on, s.Setting.Value)
	}
	return fmt.Sprintf("%s %s", kindNames[s.Kind], on)
}

var kindNames = map[Kind]string{Attach: "attach", Detach: "detach", Up: "up", Down: "down", Carrier: "carrier", SetMTU: "mtu"}

var stateNames = []string{"dynamic", "static", "permanent"}

func flagNames(f uint8) (s string) {
	for i, n := range []string{" sticky", " extern_learn", " replace", " pvid", " untagged", " blackhole"} {
		if f>>i&1 != 0 {
			s += n
		}
	}
	return s
}

func (s *Step) group() string {
	if s.Group.IsValid() {
		return s.Group.String()
	}
	return s.GroupL2.String()
}

func (s *Step) source() string {
	if s.Source.IsValid() {
		return "src " + s.Source.String()
	}
	return ""
}
