package vxlan

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/cost"
	"ringside/sim"
)

// A Socket is a UDP port of the host that VTEPs share (vxlan_sock), each with a VNI
// of its own. The zero value has none.
type Socket struct {
	vteps map[uint32]*VTEP
	list  []*VTEP
}

// Add gives a VTEP the socket; another one must not have its VNI.
func (s *Socket) Add(v *VTEP) error {
	if other := s.vteps[v.cfg.VNI]; other != nil {
		return v.errorf("VNI %d on port %d is that of %s: %w", v.cfg.VNI, v.cfg.Port, other.cfg.Name, ErrExists)
	}
	if len(s.list) > 0 && (s.list[0].cfg.Port != v.cfg.Port || s.list[0].ipv6 != v.ipv6 || s.list[0].cfg.ZeroChecksumRx != v.cfg.ZeroChecksumRx) {
		return v.errorf("%w: a socket has one port, one protocol and one rule for checksums", ErrConfig)
	}
	if s.vteps == nil {
		s.vteps = map[uint32]*VTEP{}
	}
	s.vteps[v.cfg.VNI] = v
	s.list = append(s.list, v)
	return nil
}

// Remove takes a VTEP off the socket.
func (s *Socket) Remove(v *VTEP) {
	if s.vteps[v.cfg.VNI] == v {
		delete(s.vteps, v.cfg.VNI)
		s.list = slices.DeleteFunc(s.list, func(w *VTEP) bool { return v == w })
	}
}

// VTEPs is who shares the socket, in the order in which they came.
func (s *Socket) VTEPs() []*VTEP { return s.list }

// A Learned is what the source of a frame did to the table.
type Learned uint8

// The outcomes.
const (
	NothingLearned Learned = iota
	Refreshed
	Created
	Moved
	Refused // no room for it
	Fixed   // set by hand behind another remote
)

// String is the outcome's name.
func (l Learned) String() string {
	if int(l) < len(learnedNames) {
		return learnedNames[l]
	}
	return fmt.Sprint("learned ", uint8(l))
}

var learnedNames = [...]string{"nothing", "refreshed", "created", "moved", "refused", "fixed"}

// A Decap is what becomes of a packet's payload. The frame is what stands behind the
// header.
type Decap struct {
	VTEP    *VTEP           // whose interface the frame comes in by; nil if it was not found
	Reason  cost.DropReason // why it is dropped; VTEP may be set
	Learned Learned
	// ECN is to be written into the inner packet with SetECN, unless it is NotECT.
	ECN ECN
}

// Decap decides about the payload of a UDP packet that came from the address from with
// the traffic class tos at the time now. Payload may be as much of it as the headers
// take; length is that of the whole.
func (s *Socket) Decap(payload []byte, length int, from netip.Addr, tos uint8, now sim.Time) Decap {
	h, ok := ParseHeader(payload)
	switch {
	case !host(from): // IP should have refused it, but for 0.0.0.0
		return Decap{Reason: cost.IPInvalidSource}
	case !ok:
		return Decap{Reason: cost.PktTooSmall}
	case !h.Valid:
		return Decap{Reason: cost.VXLANInvalidHdr}
	}
	v := s.vteps[h.VNI]
	if v == nil {
		return Decap{Reason: cost.VXLANVNINotFound}
	}
	d := v.receive(h, payload[HeaderLen:], from, ECN(tos&3), now)
	v.count(d.Reason, length-HeaderLen)
	return d
}

// receive is vxlan_rcv once it knows the device.
func (v *VTEP) receive(h Header, frame []byte, from netip.Addr, outer ECN, now sim.Time) Decap {
	d := Decap{VTEP: v}
	switch {
	case h.Reserved:
		d.Reason = cost.VXLANInvalidHdr
	case len(frame) < ethLen:
		d.Reason = cost.PktTooSmall
	case MAC(frame[6:]) == v.cfg.MAC && v.cfg.MAC != MAC{}:
		d.Reason = cost.LocalMAC
	case v.cfg.NoLearning:
		d.decapECN(frame, outer)
	case !MAC(frame[6:]).Station():
		d.Reason = cost.MACInvalidSource
	default:
		if d.Learned = v.snoop(MAC(frame[6:]), from, now); d.Learned == Fixed {
			d.Reason = cost.VXLANEntryExists
			break
		}
		d.decapECN(frame, outer)
	}
	return d
}

// snoop learns that a station is behind a remote.
func (v *VTEP) snoop(mac MAC, from netip.Addr, now sim.Time) Learned {
	e := v.fdb.find(mac)
	if e == nil {
		if v.Len() >= v.cfg.MaxAddresses {
			v.stats.Refused++
			return Refused
		}
		v.stats.Created++
		learned := entry{mac: mac, first: Remote{Addr: from}, updated: now}
		v.fdb.insert(learned)
		v.expect(&learned)
		return Created
	}
	e.updated = max(e.updated, now)
	switch {
	case e.first.Addr == from:
		return Refreshed
	case e.kind != Dynamic:
		return Fixed
	}
	e.first.Addr = from
	v.stats.Moved++
	return Moved
}

// decapECN is vxlan_ecn_decapsulate. What says that it is IP has to have an IP header.
func (d *Decap) decapECN(frame []byte, outer ECN) {
	typ, p := word(frame, ethLen-2), frame[ethLen:]
	if typ == typeIPv4 && len(p) < ipv4Len || typ == typeIPv6 && len(p) < ipv6Len {
		d.Reason = cost.PktTooSmall
		return
	}
	in, ok := innerECN(frame)
	if !ok {
		return
	}
	ecn, ok := decapECN(outer, in)
	switch {
	case !ok:
		d.Reason = cost.IPTunnelECN
	case ecn != in:
		d.ECN = ecn
	}
}

// count puts a frame into the counters.
func (v *VTEP) count(r cost.DropReason, length int) {
	switch r {
	case cost.NotDropped:
		v.stats.RxFrames++
		v.stats.RxBytes += uint64(length)
	case cost.VXLANInvalidHdr, cost.PktTooSmall, cost.IPTunnelECN:
		v.stats.RxErrors++
	default:
		v.stats.RxDropped++
	}
}
