package ringside

import "ringside/wire"

// LabSchema names the shape of a LabReport as JSON.
const LabSchema = "ringside.lab-report/1"

// A LabReport is what a run of a lab has to say. Its JSON is as stable as that of a
// Report.
type LabReport struct {
	Schema       string          `json:"schema"`
	Seed         uint64          `json:"seed"`
	Hosts        []LabHostReport `json:"hosts"`
	Cables       []CableReport   `json:"cables"`
	Peers        []PeerReport    `json:"peers"`
	Conservation LabConservation `json:"conservation"`
	VirtualNs    int64           `json:"virtual_ns"`
	Events       uint64          `json:"events"`
	TraceHash    string          `json:"trace_hash"`
}

// A LabHostReport is one machine's report. Its events and its trace hash are those of
// the lab.
type LabHostReport struct {
	Name   string  `json:"name"`
	Report *Report `json:"report"`
}

// A CableReport is what went by one cable.
type CableReport struct {
	Name   string         `json:"name"`
	A      string         `json:"a"` // HOST:NIC
	B      string         `json:"b"`
	Metres int            `json:"metres"`
	Up     bool           `json:"up"`
	ToA    CableWayReport `json:"to_a"`
	ToB    CableWayReport `json:"to_b"`
}

// A CableWayReport is one direction of a cable: In = Out + Lost + Held.
type CableWayReport struct {
	In   uint64 `json:"in"`
	Out  uint64 `json:"out"`
	Lost uint64 `json:"lost"` // because it was pulled
	Held uint64 `json:"held"`
}

// A PeerReport is what went in and out of a machine at a wire.
type PeerReport struct {
	Name      string         `json:"name"`
	At        string         `json:"at"` // HOST:NIC
	Frames    uint64         `json:"frames"`
	Bytes     uint64         `json:"bytes"`
	Sent      uint64         `json:"sent"`
	SentBytes uint64         `json:"sent_bytes"`
	Stack     StackReport    `json:"stack"`
	Results   []ResultReport `json:"results"`
}

// A LabConservation is the account of frames between machines: Sent + Duplicated =
// Arrived + Lost + UnderWay. Each machine has its own for what happens inside.
type LabConservation struct {
	Sent       uint64 `json:"sent"` // by NICs and peers, of those that are joined
	Duplicated uint64 `json:"duplicated"`
	Arrived    uint64 `json:"arrived"`
	Lost       uint64 `json:"lost"` // on links and pulled cables
	UnderWay   uint64 `json:"under_way"`
	Balanced   bool   `json:"balanced"`
}

// Report sums the run up.
func (l *Lab) Report() *LabReport {
	r := &LabReport{
		Schema: LabSchema, Seed: l.cfg.Seed, Hosts: []LabHostReport{}, Cables: []CableReport{}, Peers: []PeerReport{},
		Conservation: l.conservation(), Events: l.Engine.Fired(), TraceHash: l.Hash.String(),
	}
	for _, h := range l.Hosts {
		rep := h.Report()
		r.VirtualNs = max(r.VirtualNs, rep.VirtualNs)
		r.Hosts = append(r.Hosts, LabHostReport{h.name, rep})
	}
	for i, c := range l.cables {
		cfg := &l.cfg.Cables[i]
		r.Cables = append(r.Cables, CableReport{
			Name: cfg.Name, A: cfg.A.String(), B: cfg.B.String(), Metres: c.Metres(), Up: c.Up(),
			ToA: CableWayReport(c.End(0).Counts()), ToB: CableWayReport(c.End(1).Counts()),
		})
	}
	for i, p := range l.peers {
		c, n := &l.cfg.Peers[i], p.Counts()
		r.Peers = append(r.Peers, PeerReport{
			Name: c.Name, At: c.end().String(), Frames: n.In, Bytes: n.InBytes, Sent: n.Out, SentBytes: n.OutBytes,
			Stack: *stackReport(p.Kernel), Results: results(p.Kernel),
		})
	}
	return r
}

// conservation adds up what went between machines.
func (l *Lab) conservation() (c LabConservation) {
	for i := range l.cables {
		for side, e := range []End{l.cfg.Cables[i].A, l.cfg.Cables[i].B} {
			sent, arrived := c.nic(l.at(e))
			c.Sent += sent
			c.Arrived += arrived
			k := l.cables[i].End(side).Counts()
			c.Lost += k.Lost
			c.UnderWay += k.Held
		}
	}
	for i, p := range l.peers {
		sent, arrived := c.nic(l.at(l.cfg.Peers[i].end()))
		n := p.Counts()
		c.Sent += sent + n.Out
		c.Arrived += arrived + n.In
	}
	c.Balanced = c.Sent+c.Duplicated == c.Arrived+c.Lost+c.UnderWay
	return c
}

// nic adds what the link of NIC n does, and says what the NIC sent and what came to it.
func (c *LabConservation) nic(h *Host, n int) (sent, arrived uint64) {
	if link := h.links[n]; link != nil {
		for _, w := range []wire.Counts{link.Rx(), link.Tx()} {
			c.Duplicated += w.Duplicated
			c.Lost += w.AllLost()
			c.UnderWay += w.Held
		}
	}
	st := h.NICs[n].Counts()
	return st.Sent, st.In + h.NICs[n].UnderWay()
}
