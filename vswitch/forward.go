package vswitch

import (
	"ringside/bridge"
	"ringside/cost"
	"ringside/trace"
)

// bridge asks the bridge about a burst that has come in by p. What it decides is carried
// out at the round's end.
func (s *Switch) bridge(p *port, burst []*Mbuf) {
	now := s.core.Now()
	if s.br.Due() <= now {
		s.tick()
	}
	if s.br.Large() {
		for _, m := range burst {
			s.br.Ahead(m.Data)
		}
	}
	Each(s.core, cost.PktBurstForward, burst)
	Each(s.core, cost.SwitchLookup, burst)
	for _, m := range burst {
		v := s.br.Handle(p.in, m.Data, now)
		if l := v.Work.Learned(); l == bridge.Created || l == bridge.Moved {
			s.core.ChargeFrame(m.ID, cost.SwitchInsert, 1, 0)
		}
		if s.core.Watched() {
			s.show(p, m, &v)
		}
		if v.Action == bridge.Forward && v.Work == bridge.Usual {
			s.leave(s.byPort[v.Out[0].Port], m)
			continue
		}
		s.carryOut(p, m, &v)
	}
}

// tick has the bridge's table age. Nothing can be seen of it but by a frame, so the
// first one after it is due is soon enough.
func (s *Switch) tick() {
	if did := s.br.Tick(s.core.Now()); did.Walked > 0 {
		s.core.Charge(cost.BrFdbCleanup, uint64(did.Walked))
	}
}

// carryOut does what the bridge decided on a frame.
func (s *Switch) carryOut(p *port, m *Mbuf, v *bridge.Verdict) {
	switch v.Action {
	case bridge.Drop, bridge.PassPort: // nobody listens on a port itself
		s.drop(m, p.index, v.Reason)
		return
	}
	out := v.Out
	if n := len(out); n > 0 && out[n-1].Port == bridge.Local { // nobody stands there
		out = out[:n-1]
	}
	if len(out) == 0 {
		s.drop(m, p.index, cost.NoTxTarget)
		return
	}
	if more := len(out) - 1; more > 0 {
		m.Hold(more)
		s.core.Cloned(uint64(more))
		s.core.ChargeFrame(m.ID, cost.RteMbufRefcnt, uint64(more), 0)
	}
	for i := range out {
		s.leave(s.byPort[out[i].Port], m)
	}
}

// leave puts a frame into the burst of a port, if it is not too long for it. A tag that
// the frame begins with comes on top of the port's MTU.
func (s *Switch) leave(p *port, m *Mbuf) {
	if len(m.Data) > p.mtu && !(len(m.Data) <= p.mtu+tagLen && tagged(m.Data)) {
		s.drop(m, p.index, cost.PktTooBig)
		return
	}
	s.queue(p, m)
}

const tagLen = 4

// tagged says whether a frame begins with a VLAN tag.
func tagged(frame []byte) bool {
	return len(frame) > 14 && (frame[12] == 0x81 && frame[13] == 0 || frame[12] == 0x88 && frame[13] == 0xa8)
}

// show shows the decision on one frame, for a run that is watched.
func (s *Switch) show(p *port, m *Mbuf, v *bridge.Verdict) {
	f := trace.Frame{ID: m.ID, Point: trace.Bridge, Queue: -1, Port: p.index, VM: -1, Len: len(m.Data), Data: m.Data}
	switch v.Action {
	case bridge.Drop, bridge.PassPort, bridge.Up:
		return // shown by the drop
	case bridge.Flood:
		f.Verdict = trace.Flood
	case bridge.Forward:
		to := s.byPort[v.Out[0].Port]
		f.Port, f.Tx = to.index, to.wire
	}
	s.core.Show(&f)
}
