package ringside

import "ringside/bridge"

// A BridgeReport is one bridge: its ports and what its table came to.
type BridgeReport struct {
	Name  string       `json:"name"`
	MAC   string       `json:"mac"`
	Ports []PortReport `json:"ports"` // the bridge's own interface first
	FDB   FDBReport    `json:"fdb"`
	MDB   int          `json:"mdb,omitempty"` // groups, one for each port that wants them
	STP   *STPReport   `json:"stp,omitempty"` // of a bridge that has it on
}

// An STPReport is a bridge's place in the spanning tree at the end.
type STPReport struct {
	Root     string `json:"root"` // identifiers, as brctl has them
	Bridge   string `json:"bridge"`
	RootPort string `json:"root_port,omitempty"` // "" at the root
	RootCost uint32 `json:"root_cost"`
}

// A PortReport is what went through one port, from the bridge's side.
type PortReport struct {
	Name  string `json:"name"`
	State string `json:"state,omitempty"` // of the spanning tree; the bridge's own interface has none
	Rx    uint64 `json:"rx"`              // frames that came in by it
	Tx    uint64 `json:"tx"`              // frames that the bridge forwarded to it
	Drops uint64 `json:"drops"`           // of those that came in, dropped by the bridge
}

// An FDBReport is the state of a forwarding database at the end, and what it went
// through.
type FDBReport struct {
	Entries   int    `json:"entries"`
	Created   uint64 `json:"created"`
	Moved     uint64 `json:"moved"`
	Refused   uint64 `json:"refused"`
	OwnSource uint64 `json:"own_source"`
	Aged      uint64 `json:"aged"`
}

func (h *Host) bridgeReports() (list []BridgeReport) {
	for _, b := range h.Bridges {
		c, st := b.Config(), b.Stats()
		r := BridgeReport{
			Name: c.Name, MAC: c.MAC.String(), Ports: []PortReport{portReport(c.Name, b.PortStats(bridge.Local))},
			FDB: FDBReport{len(b.Entries(h.Kernel.Now())), st.Created, st.Moved, st.Refused, st.OwnSource, st.Aged},
		}
		r.MDB = len(b.MDB(h.Kernel.Now()))
		if t := b.STP(h.Kernel.Now()); t.STP {
			r.STP = &STPReport{Root: t.RootID.String(), Bridge: t.BridgeID.String(), RootCost: t.RootPathCost}
			if t.RootPort != 0 {
				r.STP.RootPort = b.PortConfig(bridge.Port(t.RootPort)).Name
			}
		}
		for _, p := range b.Ports() {
			port := portReport(b.PortConfig(p).Name, b.PortStats(p))
			port.State = b.State(p).String()
			r.Ports = append(r.Ports, port)
		}
		list = append(list, r)
	}
	return list
}

func portReport(name string, st bridge.PortStats) PortReport {
	return PortReport{Name: name, Rx: st.Rx, Tx: st.Tx, Drops: st.Drops}
}
