package bridge

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"ringside/bridge/stp"
)

// The tag protocol identifiers of VLAN tags.
const (
	Dot1Q  = 0x8100 // IEEE 802.1Q, a customer's
	Dot1AD = 0x88a8 // IEEE 802.1ad, a provider's
)

const maxVLAN = 4094

// NoPVID as Config.DefaultPVID gives new ports no VLAN.
const NoPVID = 0xffff

// A VLAN is one VLAN of an interface, or a range of them, as in bridge vlan add.
type VLAN struct {
	VID uint16 // 1 to 4094
	End uint16 // the last of a range; 0 is VID alone
	// PVID has untagged frames that come in be of this VLAN. It cannot be a range.
	PVID bool
	// Untagged has frames leave without a tag.
	Untagged bool
	// NeighSuppress is neigh_suppress of this VLAN alone, of a port that has
	// PortConfig.NeighVLANSuppress. False leaves it as it is.
	NeighSuppress bool
	// State is what SetVLANState sets. Zero leaves it as it is: a new VLAN forwards.
	State stp.State
}

// String is the VLAN as bridge(8) prints it.
func (v VLAN) String() string {
	s := fmt.Sprint(v.VID)
	if v.End > v.VID {
		s += fmt.Sprint("-", v.End)
	}
	if v.PVID {
		s += " PVID"
	}
	if v.Untagged {
		s += " Egress Untagged"
	}
	return s
}

// A VLANState is one VLAN of an interface, for display.
type VLANState struct {
	VID            uint16
	PVID, Untagged bool
	State          stp.State
	NeighSuppress  bool
	Stats          VLANStats // zero unless Config.VLANStats
}

// VLANStats counts the frames of one VLAN, from the bridge's side, and their bytes
// without the Ethernet header and the tag. Of a frame in several buffers only the
// first is seen.
type VLANStats struct {
	RxFrames, RxBytes, TxFrames, TxBytes uint64
}

// A vlan is one VLAN of one interface.
type vlan struct {
	vid      uint16
	untagged bool
	state    stp.State
	stats    *VLANStats // nil is not counted

	neighSuppress bool
}

// A vlanGroup is the VLANs of one interface. The zero value has none.
type vlanGroup struct {
	pvid uint16  // 0 is none
	list []*vlan // ascending
}

func (g *vlanGroup) place(vid uint16) (int, bool) {
	return slices.BinarySearchFunc(g.list, vid, func(v *vlan, vid uint16) int { return cmp.Compare(v.vid, vid) })
}

// find is the VLAN, or nil.
func (g *vlanGroup) find(vid uint16) *vlan {
	low, n := 0, len(g.list)
	for n > 0 {
		half := n / 2
		v := g.list[low+half]
		if v.vid == vid {
			return v
		}
		if v.vid < vid {
			low += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	return nil
}

func (g *vlanGroup) show(v *vlan) VLANState {
	s := VLANState{VID: v.vid, PVID: v.vid == g.pvid, Untagged: v.untagged, State: v.state, NeighSuppress: v.neighSuppress}
	if v.stats != nil {
		s.Stats = *v.stats
	}
	return s
}

func (v VLAN) check() (VLAN, error) {
	if v.End == 0 {
		v.End = v.VID
	}
	switch {
	case v.VID < 1 || v.End > maxVLAN || v.End < v.VID:
		return v, fmt.Errorf("%w: want 1 to %d", ErrVLAN, maxVLAN)
	case v.PVID && v.End != v.VID:
		return v, fmt.Errorf("%w: a range cannot be the PVID", ErrVLAN)
	}
	return v, nil
}

// AddVLAN adds VLANs to a port or to the bridge's own interface, Local, or changes
// their flags.
func (b *Bridge) AddVLAN(p Port, v VLAN) error {
	if !b.has(p) {
		return fmt.Errorf("bridge: vlan %v: %w: %d", v, ErrNoPort, p)
	}
	all, err := v.check()
	for vid := all.VID; err == nil && vid <= all.End; vid++ {
		if err = b.addVLAN(p, vid, v.PVID, v.Untagged); err == nil {
			err = b.setVLAN(p, vid, v)
		}
	}
	if err != nil {
		return fmt.Errorf("bridge: vlan %v on port %d: %w", v, p, err)
	}
	return nil
}

func (b *Bridge) addVLAN(p Port, vid uint16, pvid, untagged bool) error {
	g := &b.vlans[p]
	i, known := g.place(vid)
	if !known {
		if err := b.addLocal(b.config[p].MAC, p, vid); err != nil {
			return err
		}
		g.list = slices.Insert(g.list, i, &vlan{vid: vid, state: stp.Forwarding, stats: b.vlanStats(vid)})
	}
	was := g.show(g.list[i])
	g.list[i].untagged = untagged
	switch {
	case pvid:
		g.pvid = vid
	case g.pvid == vid:
		g.pvid = 0
	}
	if !known || was != g.show(g.list[i]) {
		b.notifyVLAN(p, g.list[i], false)
	}
	return nil
}

// setVLAN sets what else v says of one of its VLANs. A state by hand the spanning
// tree does not allow while it is on, as of a port.
func (b *Bridge) setVLAN(p Port, vid uint16, v VLAN) error {
	if v.State != 0 {
		if b.cfg.STP {
			return fmt.Errorf("%w: state %v: the spanning tree decides it", ErrVLAN, v.State)
		}
		if err := b.SetVLANState(p, vid, v.State); err != nil {
			return err
		}
	}
	if v.NeighSuppress {
		return b.SetVLANNeighSuppress(p, vid, true)
	}
	return nil
}

// vlanStats is where the frames of a VLAN are counted: one place for all ports, or
// one for each.
func (b *Bridge) vlanStats(vid uint16) *VLANStats {
	switch {
	case !b.cfg.VLANStats:
		return nil
	case b.cfg.VLANStatsPerPort:
		return new(VLANStats)
	case b.counts[vid] == nil:
		b.counts[vid] = new(VLANStats)
	}
	return b.counts[vid]
}

// DeleteVLAN takes VLANs from a port or from the bridge's own interface, with what
// was learned there. The flags of v are not looked at. VLANs that are not there are
// passed over, unless none is.
func (b *Bridge) DeleteVLAN(p Port, v VLAN) error {
	if !b.has(p) {
		return fmt.Errorf("bridge: vlan %v: %w: %d", v, ErrNoPort, p)
	}
	v.PVID = false
	v, err := v.check()
	found := 0
	for vid := v.VID; err == nil && vid <= v.End; vid++ {
		if b.vlans[p].find(vid) != nil {
			b.deleteVLAN(p, vid)
			found++
		}
	}
	if err == nil && found == 0 {
		err = fmt.Errorf("%w: it is not there", ErrVLAN)
	}
	if err != nil {
		return fmt.Errorf("bridge: vlan %v on port %d: %w", v, p, err)
	}
	return nil
}

func (b *Bridge) deleteVLAN(p Port, vid uint16) {
	g := &b.vlans[p]
	i, _ := g.place(vid)
	b.notifyVLAN(p, g.list[i], true)
	b.dropLocal(b.config[p].MAC, p, vid)
	b.forget(p, vid, false)
	g.list = slices.Delete(g.list, i, i+1)
	if g.pvid == vid {
		g.pvid = 0
	}
	b.uncount(vid)
}

// uncount ends the counting of a VLAN for all ports that no interface is in any
// more: in Linux the counters go with the last of them, and begin anew with the
// next.
func (b *Bridge) uncount(vid uint16) {
	if b.counts == nil || b.counts[vid] == nil {
		return
	}
	for p := range b.vlans {
		if b.vlans[p].find(vid) != nil {
			return
		}
	}
	b.counts[vid] = nil
}

// SetVLANState sets the state of one VLAN of a port, which holds beside the state
// of the port itself: bridge vlan set state.
func (b *Bridge) SetVLANState(p Port, vid uint16, s stp.State) error {
	if !b.has(p) {
		return fmt.Errorf("bridge: vlan %d: %w: %d", vid, ErrNoPort, p)
	}
	v := b.vlans[p].find(vid)
	if v == nil || s > stp.Blocking {
		return fmt.Errorf("bridge: vlan %d on port %d: %w: state %v", vid, p, ErrVLAN, s)
	}
	v.state = s
	b.notifyVLAN(p, v, false)
	return nil
}

// VLANs is the VLANs of a port, or of the bridge's own interface, ascending.
func (b *Bridge) VLANs(p Port) (list []VLANState) {
	if b.has(p) {
		g := &b.vlans[p]
		for _, v := range g.list {
			list = append(list, g.show(v))
		}
	}
	return list
}

// tag is the tag in front of the frame's payload: its protocol, 0 if there is
// none, and what it says, if it is whole.
func tag(frame []byte) (tpid, tci uint16) {
	tpid = binary.BigEndian.Uint16(frame[headerLen-2:])
	if tpid != Dot1Q && tpid != Dot1AD {
		return 0, 0
	}
	if len(frame) < headerLen+2 {
		return tpid, 0
	}
	return tpid, binary.BigEndian.Uint16(frame[headerLen:])
}

// admit is br_allowed_ingress: it finds the frame's VLAN and says whether the
// interface is in it. With filtering off there is one VLAN, 0.
func (b *Bridge) admit(f *pass) bool {
	f.network = headerLen
	if !b.cfg.VLANFiltering {
		if tpid, _ := tag(f.frame); tpid != 0 && f.in != Local {
			f.network += tagLen // skb_vlan_untag has taken it
		}
		return true
	}
	f.filtered = true
	f.work |= VLANIngress
	g := &b.vlans[f.in]
	f.classify(b.cfg.VLANProtocol, g.pvid)
	v := g.find(f.vid)
	switch {
	case f.vid == 0:
		b.say("br_allowed_ingress", "it has no tag, and the port has no PVID")
		return false
	case v == nil:
		if b.why != nil {
			b.why.says("br_allowed_ingress", "the port is not in VLAN %d", f.vid)
		}
		return false
	case f.in != Local && f.state == stp.Forwarding:
		f.state = v.state
	}
	if f.state != stp.Forwarding && f.state != stp.Learning && f.in != Local {
		if b.why != nil {
			b.why.says("br_allowed_ingress", "VLAN %d is %v on the port", f.vid, f.state)
		}
		return false
	}
	if v.stats != nil {
		v.stats.RxFrames++
		v.stats.RxBytes += uint64(f.size())
	}
	f.dst, f.src = f.dst.in(f.vid), f.src.in(f.vid)
	if b.why != nil {
		b.why.says("br_allowed_ingress", "it is in VLAN %d", f.vid)
	}
	return true
}

// classify finds the VLAN of a frame, and how it leaves with and without a tag. One
// that has no tag of the bridge's protocol is of the PVID. So is one whose tag has a
// priority alone, which it keeps.
func (f *pass) classify(proto, pvid uint16) {
	tpid, tci := tag(f.frame)
	f.network = headerLen
	if tpid != proto {
		f.vid, f.tci = pvid, pvid
		f.withTag.Tag = uint32(proto)<<16 | uint32(pvid)
		return
	}
	f.network += tagLen
	f.vid, f.tci = tci&0xfff, tci
	f.without.Strip = true
	if f.vid == 0 {
		f.vid, f.tci = pvid, tci|pvid
		f.withTag = Copy{Strip: true, Tag: uint32(proto)<<16 | uint32(f.tci)}
	}
}

// size is what a frame counts for in the statistics of a VLAN.
func (f *pass) size() int { return max(len(f.frame)-f.network, 0) }

// shape is br_handle_vlan: how the frame leaves by an interface that has its VLAN.
func (f *pass) shape(v *vlan) Copy {
	if v.stats != nil {
		v.stats.TxFrames++
		v.stats.TxBytes += uint64(f.size())
	}
	if v.untagged {
		return f.without
	}
	return f.withTag
}

// learnVLAN is br_should_learn: the VLAN in which the source of a frame for the
// port's own stack is learned, if the port is in it and its state there allows it.
func (b *Bridge) learnVLAN(f *pass) (vid uint16, ok bool) {
	if !b.cfg.VLANFiltering {
		return 0, true
	}
	g := &b.vlans[f.in]
	if tpid, tci := tag(f.frame); tpid == b.cfg.VLANProtocol {
		vid = tci & 0xfff
	}
	if vid == 0 {
		vid = g.pvid
	}
	v := g.find(vid)
	return vid, v != nil && (v.state == stp.Forwarding || v.state == stp.Learning)
}
