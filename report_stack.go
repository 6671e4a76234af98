package ringside

import (
	"net"

	"ringside/netstack"
)

// A NeighbourReport is an entry of the host's neighbour table, as ip neigh shows it.
type NeighbourReport struct {
	Dev    string `json:"dev"`
	Addr   string `json:"addr"`
	MAC    string `json:"lladdr,omitempty"` // "" if it is not known
	State  string `json:"state"`
	Router bool   `json:"router,omitempty"`
}

func (h *Host) neighbourReports() (list []NeighbourReport) {
	for _, n := range h.Kernel.Neighbours() {
		r := NeighbourReport{Dev: n.Interface, Addr: n.Addr.String(), State: n.State, Router: n.Router}
		if n.MAC != ([6]byte{}) {
			r.MAC = net.HardwareAddr(n.MAC[:]).String()
		}
		list = append(list, r)
	}
	return list
}

// hostStackReport is what the host's own stack has counted, nil if it has none.
func (h *Host) hostStackReport() *StackReport {
	s, ok := h.Kernel.HostStats()
	if !ok {
		return nil
	}
	return countsOf(s)
}

func countsOf(s netstack.Stats) *StackReport {
	r := &StackReport{
		IPReceived: s.IPReceived, IPSent: s.IPSent, IPForwarded: s.IPForwarded,
		TCPReceived: s.TCPReceived, TCPSent: s.TCPSent, TCPRetransmits: s.TCPRetransmits, TCPTimeouts: s.TCPTimeouts,
		TCPConnects: s.TCPActiveOpens, TCPAccepts: s.TCPPassiveOpens, TCPResets: s.TCPResetsSent + s.TCPResetsReceived,
		UDPReceived: s.UDPReceived, UDPSent: s.UDPSent, Dropped: map[string]uint64{},
	}
	for _, d := range s.Drops {
		r.Dropped[d.Reason] += d.Count
	}
	return r
}
