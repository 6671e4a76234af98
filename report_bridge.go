package ringside

import "ringside/bridge"

// A BridgeReport is one bridge: its ports and what its table came to.
type BridgeReport struct {
	Name  string       `json:"name"`
	MAC   string       `json:"mac"`
	Ports []PortReport `json:"ports"` // the bridge's own interface first
	FDB   FDBReport    `json:"fdb"`
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
