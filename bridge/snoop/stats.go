package snoop

// A Count is how many messages came in and went out.
type Count struct{ RX, TX uint64 }

// Stats is what ip -s -d calls the multicast statistics of a port.
type Stats struct {
	IGMPv1Queries, IGMPv2Queries, IGMPv3Queries Count
	IGMPLeaves                                  Count
	IGMPv1Reports, IGMPv2Reports, IGMPv3Reports Count
	IGMPParseErrors                             uint64

	MLDv1Queries, MLDv2Queries Count
	MLDLeaves                  Count
	MLDv1Reports, MLDv2Reports Count
	MLDParseErrors             uint64
}

// A kind is which of the counters a message belongs to.
type kind uint8

const (
	noMessage kind = iota
	v1Query4
	v2Query4
	v3Query4
	leave4
	v1Report4
	v2Report4
	v3Report4
	v1Query6
	v2Query6
	leave6
	v1Report6
	v2Report6
)

// kind of a message is told by its type, and of a query by its length.
func (m *message) kind() kind {
	switch m.body[0] {
	case igmpQuery:
		switch {
		case len(m.body) != 8:
			return v3Query4
		case m.body[1] == 0:
			return v1Query4
		}
		return v2Query4
	case mldQuery:
		if len(m.body) != 24 {
			return v2Query6
		}
		return v1Query6
	case igmpLeave:
		return leave4
	case igmpV1Report:
		return v1Report4
	case igmpV2Report:
		return v2Report4
	case igmpV3Report:
		return v3Report4
	case mldDone:
		return leave6
	case mldReport:
		return v1Report6
	case mldV2Report:
		return v2Report6
	}
	return noMessage
}

func (st *Stats) at(k kind) *Count {
	return [...]*Count{
		v1Query4: &st.IGMPv1Queries, v2Query4: &st.IGMPv2Queries, v3Query4: &st.IGMPv3Queries,
		leave4:    &st.IGMPLeaves,
		v1Report4: &st.IGMPv1Reports, v2Report4: &st.IGMPv2Reports, v3Report4: &st.IGMPv3Reports,
		v1Query6: &st.MLDv1Queries, v2Query6: &st.MLDv2Queries,
		leave6:    &st.MLDLeaves,
		v1Report6: &st.MLDv1Reports, v2Report6: &st.MLDv2Reports,
	}[k]
}

func (s *Snooper) statsOf(p *port) *Stats {
	if p == nil {
		return &s.stats
	}
	return &p.stats
}

func (s *Snooper) count(p *port, k kind, rx bool) {
	if !s.cfg.StatsEnabled || s.peeking || k == noMessage {
		return
	}
	c := s.statsOf(p).at(k)
	if rx {
		c.RX++
	} else {
		c.TX++
	}
}

// Sent counts a frame of which Receive said r as sent by the port p, or as gone up
// if that is Local. Queries that the bridge sends itself are counted already.
func (s *Snooper) Sent(p Port, r Result) {
	if it := s.port(p); r.kind != noMessage && (it != nil || p == Local) {
		s.count(it, r.kind, false)
	}
}

// Stats is the counters of a port, or of the bridge's own interface.
func (s *Snooper) Stats(p Port) Stats {
	it := s.port(p)
	if it == nil && p != Local {
		return Stats{}
	}
	return *s.statsOf(it)
}
