package iproute

import (
	"fmt"
	"io"
	"strings"

	"ringside/bridge"
)

// A Link is a port.
type Link struct {
	IfIndex  int      `json:"ifindex"`
	IfName   string   `json:"ifname"`
	Flags    []string `json:"flags"`
	MTU      int      `json:"mtu"`
	Master   string   `json:"master"`
	State    string   `json:"state"`
	Priority int      `json:"priority"`
	Cost     uint32   `json:"cost"`
	*LinkDetails
}

// LinkDetails is what Options.Details shows.
type LinkDetails struct {
	Hairpin        bool   `json:"hairpin"`
	Guard          bool   `json:"guard"`
	RootBlock      bool   `json:"root_block"`
	FastLeave      bool   `json:"fastleave"`
	Learning       bool   `json:"learning"`
	Flood          bool   `json:"flood"`
	McastFlood     bool   `json:"mcast_flood"`
	BcastFlood     bool   `json:"bcast_flood"`
	McastRouter    int    `json:"mcast_router"`
	McastToUnicast bool   `json:"mcast_to_unicast"`
	NeighSuppress  bool   `json:"neigh_suppress"`
	NeighVLANSuppr bool   `json:"neigh_vlan_suppress"`
	VLANTunnel     bool   `json:"vlan_tunnel"` // always false: there are none
	BackupPort     string `json:"backup_port,omitempty"`
	Isolated       bool   `json:"isolated"`
	Locked         bool   `json:"locked"`
	MAB            bool   `json:"mab"`
}

// LinkRows is bridge link show.
func (b *Bridge) LinkRows(o Options) []Link {
	list := []Link{}
	for _, l := range b.br.Links(b.at) {
		if o.Dev == "" || o.Dev == l.Config.Name {
			list = append(list, b.link(l, o))
		}
	}
	return list
}

func (b *Bridge) link(l bridge.Link, o Options) Link {
	c := &l.Config
	row := Link{
		IfIndex: b.links[c.Name].Index, IfName: c.Name, Flags: []string{"BROADCAST", "MULTICAST", "UP", "LOWER_UP"},
		MTU: b.mtu(c.Name), Master: b.name, State: l.State.String(), Priority: int(l.STP.Priority), Cost: l.STP.Cost,
	}
	if c.LinkDown {
		row.Flags = []string{"NO-CARRIER", "BROADCAST", "MULTICAST", "UP"}
	}
	if !o.Details {
		return row
	}
	row.LinkDetails = &LinkDetails{
		Hairpin: c.Hairpin, Guard: c.Guard, RootBlock: c.RootBlock, FastLeave: c.FastLeave, Learning: !c.NoLearning,
		Flood: !c.NoFlood, McastFlood: !c.NoMcastFlood, BcastFlood: !c.NoBcastFlood, McastRouter: c.McastRouter.Number(),
		McastToUnicast: c.McastToUnicast, NeighSuppress: c.NeighSuppress, NeighVLANSuppr: c.NeighVLANSuppress,
		BackupPort: c.BackupPort, Isolated: c.Isolated, Locked: c.Locked, MAB: c.MAB,
	}
	return row
}

// String is the lines that bridge(8) prints.
func (r Link) String() string {
	s := fmt.Sprintf("%d: %s: <%s> mtu %d master %s state %s priority %d cost %d ",
		r.IfIndex, r.IfName, strings.Join(r.Flags, ","), r.MTU, r.Master, r.State, r.Priority, r.Cost)
	if r.LinkDetails != nil {
		s += "\n    " + r.LinkDetails.String()
	}
	return s
}

// String is the flags with their names.
func (d *LinkDetails) String() string {
	var s strings.Builder
	on := func(name string, v bool) {
		word := "off"
		if v {
			word = "on"
		}
		s.WriteString(name + " " + word + " ")
	}
	on("hairpin", d.Hairpin)
	on("guard", d.Guard)
	on("root_block", d.RootBlock)
	on("fastleave", d.FastLeave)
	on("learning", d.Learning)
	on("flood", d.Flood)
	on("mcast_flood", d.McastFlood)
	on("bcast_flood", d.BcastFlood)
	fmt.Fprintf(&s, "mcast_router %d ", d.McastRouter)
	on("mcast_to_unicast", d.McastToUnicast)
	on("neigh_suppress", d.NeighSuppress)
	on("neigh_vlan_suppress", d.NeighVLANSuppr)
	on("vlan_tunnel", d.VLANTunnel)
	if d.BackupPort != "" {
		s.WriteString("backup_port " + d.BackupPort + " ")
	}
	on("isolated", d.Isolated)
	on("locked", d.Locked)
	on("mab", d.MAB)
	return s.String()
}

// WriteLinks prints rows as bridge link show does.
func WriteLinks(w io.Writer, rows []Link) error { return lines(w, rows) }
