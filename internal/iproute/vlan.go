package iproute

import (
	"fmt"
	"io"
	"strings"

	"ringside/bridge"
	"ringside/bridge/snoop"
)

// A VLANPort is an interface and its VLANs.
type VLANPort struct {
	IfName string `json:"ifname"`
	VLANs  []VLAN `json:"vlans"`
}

// A VLAN is one of an interface, or with Options.Details a range that are alike.
type VLAN struct {
	VID   uint16   `json:"vlan"`
	End   uint16   `json:"vlanEnd,omitempty"`
	Flags []string `json:"flags,omitempty"` // PVID, Egress Untagged
	*VLANDetails
	*VLANStats
}

// VLANDetails is what Options.Details shows. Snooping has no settings by VLAN, so
// that mcast_router is what Linux has then.
type VLANDetails struct {
	State         string `json:"state"`
	McastRouter   int    `json:"mcast_router"`
	NeighSuppress bool   `json:"neigh_suppress,omitempty"` // iproute2 has it since 6.4
}

// VLANStats is what Options.Stats shows.
type VLANStats struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
}

// VLANPorts is bridge vlan show. An interface without VLANs is not there.
func (b *Bridge) VLANPorts(o Options) []VLANPort {
	list := []VLANPort{}
	for _, p := range b.all() {
		if o.Dev != "" && o.Dev != b.ports[p] {
			continue
		}
		row := VLANPort{IfName: b.ports[p]}
		for _, v := range b.br.VLANs(p) {
			if o.VLAN == 0 || o.VLAN == v.VID {
				row.add(vlan(v, o), o)
			}
		}
		if len(row.VLANs) > 0 {
			list = append(list, row)
		}
	}
	return list
}

// add appends a VLAN, or makes the last range longer. What is counted is shown one
// by one.
func (r *VLANPort) add(v VLAN, o Options) {
	if n := len(r.VLANs); n > 0 && o.Details && !o.Stats && v.Flags == nil {
		last := &r.VLANs[n-1]
		if max(last.VID, last.End)+1 == v.VID && last.Flags == nil && *last.VLANDetails == *v.VLANDetails {
			last.End = v.VID
			return
		}
	}
	r.VLANs = append(r.VLANs, v)
}

func vlan(v bridge.VLANState, o Options) VLAN {
	row := VLAN{VID: v.VID}
	if v.PVID {
		row.Flags = append(row.Flags, "PVID")
	}
	if v.Untagged {
		row.Flags = append(row.Flags, "Egress Untagged")
	}
	if o.Details {
		row.VLANDetails = &VLANDetails{v.State.String(), snoop.RouterAuto.Number(), v.NeighSuppress}
	}
	if o.Stats {
		row.VLANStats = &VLANStats{v.Stats.RxBytes, v.Stats.RxFrames, v.Stats.TxBytes, v.Stats.TxFrames}
	}
	return row
}

// String is the lines that bridge(8) prints.
func (r VLANPort) String() string {
	var s strings.Builder
	for i, v := range r.VLANs {
		name := r.IfName
		if i > 0 {
			name = "\n"
		}
		fmt.Fprintf(&s, "%-*s%s", 18+strings.Count(name, "\n"), name, v)
	}
	return s.String()
}

// String is a VLAN behind its interface.
func (v VLAN) String() string {
	var s strings.Builder
	fmt.Fprint(&s, v.VID)
	if v.End != 0 {
		fmt.Fprintf(&s, "-%d", v.End)
	}
	for _, f := range v.Flags {
		s.WriteString(" " + f)
	}
	const below = "\n                    "
	if d := v.VLANDetails; d != nil {
		fmt.Fprintf(&s, below+"state %s mcast_router %d ", d.State, d.McastRouter)
		if d.NeighSuppress {
			s.WriteString("neigh_suppress on ")
		}
	}
	if c := v.VLANStats; c != nil {
		fmt.Fprintf(&s, below+"RX: %d bytes %d packets"+below+"TX: %d bytes %d packets", c.RxBytes, c.RxPackets, c.TxBytes, c.TxPackets)
	}
	return s.String()
}

// WriteVLAN prints rows as bridge vlan show does.
func WriteVLAN(w io.Writer, rows []VLANPort) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "port              vlan-id  "); err != nil {
		return err
	}
	return lines(w, rows)
}
