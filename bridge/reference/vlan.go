package reference

import (
	"maps"
	"slices"

	"ringside/bridge"
	"ringside/bridge/stp"
)

// vlans is the VLANs of a port or of the bridge's own interface.
type vlans struct {
	member map[uint16]bool      // by VLAN id: whether its frames leave untagged
	pvid   uint16               // 0 is none
	states map[uint16]stp.State // that are not forwarding
}

func newVLANs() vlans { return vlans{member: map[uint16]bool{}, states: map[uint16]stp.State{}} }

func (v *vlans) state(vid uint16) stp.State {
	if s, ok := v.states[vid]; ok {
		return s
	}
	return stp.Forwarding
}

func (v *vlans) set(vid uint16, pvid, untagged bool) {
	v.member[vid] = untagged
	if pvid {
		v.pvid = vid
	} else if v.pvid == vid {
		v.pvid = 0
	}
}

func (v *vlans) remove(vid uint16) {
	delete(v.member, vid)
	delete(v.states, vid)
	if v.pvid == vid {
		v.pvid = 0
	}
}

func (v *vlans) has(vid uint16) bool {
	_, ok := v.member[vid]
	return ok
}

func (v *vlans) sorted() []uint16 { return slices.Sorted(maps.Keys(v.member)) }

// allowedIngress is br_allowed_ingress: it says in which VLAN a frame is that came
// in by p, and gives it that VLAN's tag.
func (b *Bridge) allowedIngress(p *port, f frame) (frame, uint16, bool) {
	if !b.cfg.VLANFiltering {
		return f, 0, true
	}
	if f.tagged && f.tpid != b.protocol() {
		f = f.untag()
	}
	if f.vid() == 0 { // no tag, or one with a priority alone
		if p.vlans.pvid == 0 {
			return f, 0, false
		}
		f.tagged, f.tpid = true, b.protocol()
		f.tci |= p.vlans.pvid
	}
	return f, f.vid(), p.vlans.has(f.vid())
}

// allowedEgress is br_allowed_egress.
func (b *Bridge) allowedEgress(p *port, vid uint16) bool {
	return !b.cfg.VLANFiltering || p.vlans.has(vid) && p.vlans.state(vid) == stp.Forwarding
}

// handleVLAN is br_handle_vlan: the frame as it leaves by p.
func (b *Bridge) handleVLAN(p *port, f frame, vid uint16) frame {
	if b.cfg.VLANFiltering && p.vlans.member[vid] {
		f.tagged, f.tpid, f.tci = false, 0, 0
	}
	return f
}

func (b *Bridge) protocol() uint16 {
	if b.cfg.VLANProtocol == 0 {
		return tpidC
	}
	return b.cfg.VLANProtocol
}

// shouldLearn is br_should_learn, for frames that do not pass allowedIngress.
func (b *Bridge) shouldLearn(p *port, f frame) (vid uint16, ok bool) {
	if !b.cfg.VLANFiltering {
		return 0, true
	}
	if f.tagged && f.tpid == b.protocol() {
		vid = f.vid()
	}
	if vid == 0 {
		vid = p.vlans.pvid
	}
	return vid, vid != 0 && p.vlans.has(vid) && learns(p.vlans.state(vid))
}

// AddVLAN puts a port, or the bridge's own interface, into VLANs. An interface's
// address is local in each of its VLANs.
func (b *Bridge) AddVLAN(n bridge.Port, v bridge.VLAN) {
	p := b.ports[n]
	for vid := v.VID; vid <= max(v.VID, v.End); vid++ {
		if !p.vlans.has(vid) {
			b.addLocal(key{p.mac, vid}, n)
		}
		p.vlans.set(vid, v.PVID, v.Untagged)
	}
}

// DeleteVLAN takes a port out of VLANs. What was learned there is forgotten; what
// was set by hand stays.
func (b *Bridge) DeleteVLAN(n bridge.Port, v bridge.VLAN) {
	p := b.ports[n]
	for vid := v.VID; vid <= max(v.VID, v.End); vid++ {
		if !p.vlans.has(vid) {
			continue
		}
		if e := b.fdb[key{p.mac, vid}]; e != nil && e.local && !e.user && e.port == n {
			b.deleteLocal(key{p.mac, vid}, n)
		}
		for k, e := range b.fdb {
			if k.vid == vid && e.port == n && !e.static && !e.extern {
				b.deleteOf(k, n)
			}
		}
		p.vlans.remove(vid)
	}
}

// SetVLANState sets the state of a VLAN of a port, which holds beside the port's own.
func (b *Bridge) SetVLANState(n bridge.Port, vid uint16, s stp.State) {
	b.ports[n].vlans.states[vid] = s
}

// VLANs is the VLANs of an interface, without their counters.
func (b *Bridge) VLANs(n bridge.Port) (list []bridge.VLANState) {
	v := &b.ports[n].vlans
	for _, vid := range v.sorted() {
		list = append(list, bridge.VLANState{VID: vid, PVID: v.pvid == vid, Untagged: v.member[vid], State: v.state(vid)})
	}
	return list
}
