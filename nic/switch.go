package nic

import (
	"encoding/binary"
	"math/bits"

	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// A destination is where the switch sends a frame.
type destination struct {
	pools  uint8
	inside bool            // an exact address in its VLAN has it: it does not leave
	tagged bool            // begins with a VLAN tag,
	tag    uint16          // which is this
	why    cost.DropReason // it is dropped, if it is for no pool and comes from the wire
}

// masks are the bits of VMOLR, each as a set of pools.
type masks struct {
	aupe, rompe, rope, bam, mpme, strip, lpe uint8
}

func (m *masks) read(vmolr *[Pools]Vmolr) {
	*m = masks{}
	for p, v := range vmolr {
		for _, f := range [...]struct {
			bit Vmolr
			set *uint8
		}{
			{VmolrAUPE, &m.aupe}, {VmolrROMPE, &m.rompe}, {VmolrROPE, &m.rope}, {VmolrBAM, &m.bam},
			{VmolrMPME, &m.mpme}, {VmolrSTRVLAN, &m.strip}, {VmolrLPE, &m.lpe},
		} {
			if v&f.bit != 0 {
				*f.set |= 1 << p
			}
		}
	}
}

// fromWire finds the pools of a frame from the wire. One that no pool has is for the
// default pool, if the PF is promiscuous for its kind.
func (n *NIC) fromWire(data []byte) (d destination) {
	s := n.vt
	if !s.on {
		return d
	}
	if uint(len(data)-header) >= n.lengths {
		if d.why = n.badLength(data); d.why != cost.NotDropped {
			return d
		}
	}
	dst := n.lookUp(&d, data)
	if d.why != cost.NotDropped {
		return d
	}
	if d.pools == 0 {
		lets := RctlUPE
		if dst == broadcast {
			lets = RctlBAM
		} else if dst&groupBit != 0 {
			lets = RctlMPE
		}
		d.why = cost.NICRxFilter
		if n.rctl&lets == 0 || s.vtCtl&VtCtlDisDefPool != 0 {
			return d
		}
		d.pools = 1 << (s.vtCtl >> VtCtlDefPoolShift & (Pools - 1))
	}
	if s.vtCtl&VtCtlReplEN == 0 {
		d.pools &= -d.pools // one of them
	}
	n.receivers(&d, len(data))
	return d
}

// lookUp finds the pools that have asked for a frame, by its address and its VLAN.
func (n *NIC) lookUp(d *destination, data []byte) (dst uint64) {
	s := n.vt
	dst = binary.LittleEndian.Uint64(data) & addrMask
	exact := s.owned(&n.filters, dst)
	d.pools = exact
	switch {
	case dst == broadcast:
		n.stats.bprc++
		d.pools |= s.accept.bam
	case dst&groupBit != 0:
		n.stats.mprc++
		if d.pools |= s.accept.mpme; exact == 0 && bit(n.mta[:], n.mtaHash(dst)) {
			d.pools |= s.accept.rompe
		}
	case exact == 0 && bit(s.uta[:], n.mtaHash(dst)):
		d.pools |= s.accept.rope
	}
	d.tagged, d.tag = n.tagOf(data)
	switch vid := d.tag & vidMask; {
	case !d.tagged || vid == 0:
		d.pools &= s.accept.aupe
	case n.rctl&RctlVFE != 0 && !bit(s.vfta[:], uint32(vid)):
		d.pools, d.why = 0, cost.NICRxVLAN
	case n.rctl&RctlVFE != 0:
		d.pools &= s.members(vid)
	}
	d.inside = exact&d.pools != 0 && dst&groupBit == 0
	return dst
}

// vidMask is the number of the VLAN in a tag.
const vidMask = 0xFFF

// bit is one of a table's.
func bit(table []uint32, i uint32) bool { return table[i>>5]>>(i&31)&1 != 0 }

// owned is the pools that have an exact address.
func (s *sriov) owned(f *filters, addr uint64) (pools uint8) {
	for i, a := range f.exact[:f.nExact] {
		if a == addr {
			pools |= s.owners[i]
		}
	}
	return pools
}

// members is the pools that are in a VLAN.
func (s *sriov) members(vid uint16) (pools uint8) {
	for _, v := range s.vlvf {
		if v&VlvfEN != 0 && uint16(v&vidMask) == vid {
			pools |= uint8(v >> VlvfPoolShift)
		}
	}
	return pools
}

// tagOf is the VLAN tag that a frame begins with.
func (n *NIC) tagOf(data []byte) (tagged bool, tag uint16) {
	if len(data) < header+tagSize || binary.BigEndian.Uint16(data[12:]) != uint16(n.vet) {
		return false, 0
	}
	return true, binary.BigEndian.Uint16(data[header:])
}

// receivers takes out the pools that cannot take a frame of that size, or none.
func (n *NIC) receivers(d *destination, size int) {
	s := n.vt
	vfs := uint8(1)<<len(s.vfs) - 1
	if d.pools &^= vfs &^ uint8(s.vfre); d.pools == 0 {
		d.why = cost.NICRxDisabled
		return
	}
	most := stdMax - fcs
	if d.tagged {
		most += tagSize
	}
	if size > most {
		for m := d.pools; m != 0; m &= m - 1 {
			p := bits.TrailingZeros8(m)
			if s.accept.lpe>>p&1 == 0 || size+fcs > int(s.vmolr[p]&VmolrRLPMLMask) {
				d.pools &^= 1 << p
			}
		}
		if d.pools == 0 {
			d.why = cost.NICRxOversize
			n.stats.roc++
			return
		}
	}
	d.why = cost.NotDropped
}

// describe is what the descriptors of a frame say of it, but for its tag.
func (n *NIC) describe(data []byte) (v verdict) {
	at, kind := header, binary.BigEndian.Uint16(data[12:])
	if kind == uint16(n.vet) || n.ctrlExt&CtrlExtEXTVLAN != 0 {
		at, kind = n.untag(data)
	}
	switch kind {
	case etherIPv4:
		v.info, _ = n.parseIPv4(data[at:])
	case etherIPv6:
		v.info, _ = n.parseIPv6(data[at:])
	}
	if n.rxcsum&(RxcsumIPOFLD|RxcsumTUOFLD) != 0 {
		v.status |= n.checked(data)
	}
	return v
}

// putOutVT is putOut of a NIC with virtual functions: the frame, which lies in n.frame,
// goes to the wire, to other pools, or both.
func (n *NIC) putOutVT(queue int, tag Tag, c *chain, data []byte, fetched sim.Time, first bool, b *txBurst) {
	s, p := n.vt, queue&(Pools-1)
	if s.vmvir[p]&VmvirDefault != 0 {
		if len(data)+tagSize > MaxFrame-fcs {
			n.dropTx(cost.NICTxBad, fetched, tag.ID, queue)
			return
		}
		data = n.insert(data, uint16(s.vmvir[p]))
	}
	if why := n.spoofed(p, data); why != cost.NotDropped {
		s.wvbr |= 1 << p
		n.dropTx(why, fetched, tag.ID, queue)
		return
	}
	d := n.fromPool(p, data)
	if d.inside && d.pools == 0 {
		n.dropTx(d.why, fetched, tag.ID, queue)
		return
	}
	f := n.function(queue)
	f.sent(data)
	copies := bits.OnesCount8(d.pools)
	if !d.inside {
		copies++
	}
	s.cloned += uint64(copies - 1)
	if d.pools != 0 {
		f.looped(data)
		n.loopBack(tag.ID, &d, data, fetched)
	}
	if !d.inside {
		n.putOnWire(queue, tag, c, data, fetched, first, b)
		return
	}
	b.local++
	if n.sink != nil {
		n.showFetched(queue, tag.ID, fetched, data, c, first)
	}
}

// spoofed says why a pool may not send a frame: the source address is not one of its
// own, or the VLAN.
func (n *NIC) spoofed(pool int, data []byte) cost.DropReason {
	s, mine := n.vt, uint8(1)<<pool
	if s.dtxswc&DtxswcMACAS&Dtxswc(mine) != 0 {
		src := binary.LittleEndian.Uint64(data[4:]) >> 16
		if s.owned(&n.filters, src)&mine == 0 {
			return cost.NICTxSpoofMAC
		}
	}
	if s.dtxswc>>DtxswcVLANASShift&Dtxswc(mine) != 0 {
		if tagged, tag := n.tagOf(data); tagged && tag&vidMask != 0 && s.members(tag&vidMask)&mine == 0 {
			return cost.NICTxSpoofVLAN
		}
	}
	return cost.NotDropped
}

// fromPool finds the other pools that a frame of a pool is for. There is no default
// pool for it: what nobody has asked for leaves.
func (n *NIC) fromPool(pool int, data []byte) (d destination) {
	s, mine := n.vt, uint8(1)<<pool
	if s.dtxswc&DtxswcLoopbackEN == 0 {
		return d
	}
	bprc, mprc := n.stats.bprc, n.stats.mprc // are the wire's
	n.lookUp(&d, data)
	n.stats.bprc, n.stats.mprc = bprc, mprc
	if s.vtCtl&VtCtlReplEN == 0 {
		d.pools &= -d.pools
	}
	if s.dtxswc>>DtxswcLLEShift&Dtxswc(mine) == 0 {
		d.pools &^= mine
	}
	if d.pools == 0 {
		d.why = cost.RSSamePort
		return d
	}
	n.receivers(&d, len(data))
	return d
}

// loopBack gives a frame to the other pools: it is with them when it has been fetched.
func (n *NIC) loopBack(id uint64, d *destination, data []byte, at sim.Time) {
	s := n.vt
	s.copies += uint64(bits.OnesCount8(d.pools))
	a := s.loop.add()
	a.id, a.at, a.dest, a.local = id, at, *d, true
	a.data = append(a.data[:0], data...)
	if s.loopBytes += len(data); s.loopBytes > loopbackBuffer {
		s.loopBytes -= len(data)
		n.dropCopies(cost.NICRxFIFO, a)
		s.loop.count--
	}
}

// showFetched lets the sink see a frame that was fetched and does not leave.
func (n *NIC) showFetched(queue int, id uint64, fetched sim.Time, data []byte, c *chain, first bool) {
	n.show(trace.Frame{ID: id, At: fetched, Point: trace.NIC, Tx: true, Queue: int32(queue), Data: data})
	if first && n.sink.Watching(id) {
		n.showFetch(id, fetched, c)
	}
}
