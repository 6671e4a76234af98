package ringside

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/bridge"
	"ringside/vxlan"
)

// A VTEP is an interface of kind vxlan: what its bridge sends by it goes in UDP packets
// of the host's own stack to other hosts, and what comes in such packets comes in by it.
// The host needs an address for it, at a bridge or at a NIC that is a port of none.
//
// The zero value is VNI 0 on the first bridge, which sends to those it has learned
// from alone. The zero MAC means 02:56:00:00:00:00 and up.
type VTEP struct {
	vxlan.Config // Name "" means vxlan0, vxlan1, …; Port is that of UDP

	Bridge     string            // the bridge it is a port of; "" means the first
	BridgePort bridge.PortConfig // of that port; its Name is the VTEP's
	MTU        int               // 0 means that of the underlay less vxlan.Overhead, 1450 over an IPv4 of 1500
	MirrorIn   string            // as NIC has it; in is from other hosts
	MirrorOut  string
}

// A VTEPReport is one VTEP, its table at the end and what went through it. Frames and
// bytes are those inside.
type VTEPReport struct {
	Name    string   `json:"name"`
	Bridge  string   `json:"bridge"`
	VNI     uint32   `json:"vni"`
	Local   string   `json:"local,omitempty"`
	Port    uint16   `json:"port"`
	MTU     int      `json:"mtu"`
	Remotes []string `json:"remotes"` // who gets what is not known
	Entries int      `json:"entries"`
	vxlan.Stats
}

// MaxVTEPs bounds what a machine has of them.
const MaxVTEPs = 1024

// vteps fills in the defaults.
func (c *Config) vteps() error {
	if len(c.VTEPs) > MaxVTEPs {
		return fmt.Errorf("%d VTEPs; up to %d are possible", len(c.VTEPs), MaxVTEPs)
	}
	c.VTEPs = append([]VTEP(nil), c.VTEPs...)
	for i := range c.VTEPs {
		v := &c.VTEPs[i]
		inherit(&v.Name, "", fmt.Sprintf("vxlan%d", i))
		inherit(&v.Bridge, "", c.Bridges[0].Name)
		own := c.HostAddresses()
		switch {
		case v.Bridge == NoBridge:
			return fmt.Errorf("%s: a VTEP is a port of a bridge", v.Name)
		case len(own) == 0:
			return fmt.Errorf("%s: the host has no address to send from: give one to a bridge, or to a NIC on no bridge", v.Name)
		case v.Local.IsValid() && !slices.Contains(own, v.Local):
			return fmt.Errorf("%s: Local is %v, which is not an address of this host: there are %v", v.Name, v.Local, own)
		}
	}
	return nil
}

// HostAddresses is the addresses of the host's own stack, at bridges and at NICs.
func (c *Config) HostAddresses() (list []netip.Addr) {
	add := func(s *HostStack) {
		for _, p := range s.Addresses {
			list = append(list, p.Addr())
		}
	}
	if len(c.Bridges) == 0 || c.Bridges[0].Host.Addresses == nil {
		add(&c.Host)
	}
	for i := range c.Bridges {
		add(&c.Bridges[i].Host)
	}
	for i := range c.NICs {
		add(&c.NICs[i].Host)
	}
	return list
}

// addVTEP makes VTEP i.
func (h *Host) addVTEP(i int) error {
	c := &h.cfg.VTEPs[i]
	if c.MAC == (vxlan.MAC{}) {
		c.MAC = h.cfg.distinct(vxlan.MAC{0x02, 0x56, 0, 0, byte(i >> 8), byte(i)})
	}
	if c.Seed == 0 {
		c.Seed = h.Engine.Rand("vxlan/" + c.Name).Uint64()
	}
	v, err := vxlan.New(c.Config)
	if err != nil {
		return err
	}
	h.VTEPs = append(h.VTEPs, v)
	_, err = h.Kernel.AddVTEP(v, h.at(c.Name, c.Bridge, c.BridgePort, c.MTU))
	return err
}

// VTEP is that of a name, nil if there is none.
func (h *Host) VTEP(name string) *vxlan.VTEP {
	for _, v := range h.VTEPs {
		if v.Config().Name == name {
			return v
		}
	}
	return nil
}

func (h *Host) vtepReports() (list []VTEPReport) {
	for i, v := range h.VTEPs {
		c := v.Config()
		r := VTEPReport{
			Name: c.Name, Bridge: h.cfg.VTEPs[i].Bridge, VNI: c.VNI, Port: c.Port, MTU: h.Kernel.MTU(c.Name),
			Remotes: []string{}, Entries: v.Len(), Stats: v.Stats(),
		}
		if c.Local.IsValid() {
			r.Local = c.Local.String()
		}
		if e, ok := v.Lookup(vxlan.Default); ok {
			for _, to := range e.Remotes {
				r.Remotes = append(r.Remotes, to.Addr.String())
			}
		}
		list = append(list, r)
	}
	return list
}
