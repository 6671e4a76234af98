package neigh

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// A NUD is the state of a neighbour, by Linux's numbers.
type NUD uint8

// The states of neighbours.
const (
	Incomplete NUD = 0x01
	Reachable  NUD = 0x02
	Stale      NUD = 0x04
	Delay      NUD = 0x08
	Probe      NUD = 0x10
	Failed     NUD = 0x20
	NoARP      NUD = 0x40
	Permanent  NUD = 0x80
)

// Valid says that a neighbour of this state has an address that can be used.
func (s NUD) Valid() bool { return s&(Permanent|NoARP|Reachable|Probe|Stale|Delay) != 0 }

// A Neighbour is what is known of an address.
type Neighbour struct {
	MAC    [6]byte
	State  NUD
	Router bool // it said so: NTF_ROUTER
}

// A Device is an interface of the host that has neighbours and addresses.
type Device struct {
	// TPID and VID are those of a VLAN interface on top of the bridge.
	TPID, VID uint16
}

// Bridge is the bridge's own interface, which is always there.
var Bridge = Device{}

// Elsewhere stands for all interfaces that have nothing to do with the bridge. They
// have addresses, and no neighbours that matter.
var Elsewhere = Device{VID: 0xfff}

// VLAN is the VLAN interface of an 802.1Q VLAN.
func VLAN(vid uint16) Device { return Device{TPID: dot1Q, VID: vid} }

// ErrDevice says that there is no such interface.
var ErrDevice = errors.New("neigh: no such interface")

// A device is what a Table keeps of an interface.
type device struct {
	neighbours map[netip.Addr]Neighbour
	local      map[netip.Addr]bool
}

func newDevice() *device {
	return &device{neighbours: map[netip.Addr]Neighbour{}, local: map[netip.Addr]bool{}}
}

// A Table is the neighbours and the addresses of the interfaces on a bridge. The
// zero value is not one: see NewTable.
type Table struct {
	devices map[Device]*device
	names   []Device // of the devices, in the order in which they were added
}

// NewTable is a table without neighbours, with the interface of the bridge.
func NewTable() *Table {
	t := &Table{devices: map[Device]*device{}}
	t.AddDevice(Bridge)
	t.AddDevice(Elsewhere)
	return t
}

// AddDevice adds a VLAN interface, unless it is there.
func (t *Table) AddDevice(d Device) {
	if t.devices[d] == nil {
		t.devices[d] = newDevice()
		t.names = append(t.names, d)
	}
}

// RemoveDevice takes a VLAN interface away, with its neighbours and addresses.
func (t *Table) RemoveDevice(d Device) {
	if d == Bridge || d == Elsewhere {
		return
	}
	delete(t.devices, d)
	t.names = slices.DeleteFunc(t.names, func(name Device) bool { return name == d })
}

// Set sets a neighbour of an interface, as ip neigh replace does.
func (t *Table) Set(d Device, addr netip.Addr, n Neighbour) error {
	dev := t.devices[d]
	if dev == nil {
		return fmt.Errorf("%w: %+v", ErrDevice, d)
	}
	dev.neighbours[addr.WithZone("")] = n
	return nil
}

// Delete removes a neighbour, if it is there.
func (t *Table) Delete(d Device, addr netip.Addr) {
	if dev := t.devices[d]; dev != nil {
		delete(dev.neighbours, addr.WithZone(""))
	}
}

// AddLocal gives an interface an address of its own.
func (t *Table) AddLocal(d Device, addr netip.Addr) error {
	dev := t.devices[d]
	if dev == nil {
		return fmt.Errorf("%w: %+v", ErrDevice, d)
	}
	dev.local[addr.WithZone("")] = true
	return nil
}

// DeleteLocal takes an address from an interface, if it is there.
func (t *Table) DeleteLocal(d Device, addr netip.Addr) {
	if dev := t.devices[d]; dev != nil {
		delete(dev.local, addr.WithZone(""))
	}
}

// isLocal says that an address is the host's own, seen from an interface.
func (t *Table) isLocal(d Device, addr netip.Addr) bool {
	anywhere := addr.Is6() && !addr.IsLinkLocalUnicast() && !addr.IsLoopback()
	for _, name := range t.names {
		if name == d || anywhere || d == Bridge && name != Elsewhere {
			if t.devices[name].local[addr] {
				return true
			}
		}
	}
	return false
}
