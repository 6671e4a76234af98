package kernel

import (
	"encoding/binary"
	"fmt"

	"ringside/cost"
	"ringside/nic"
)

// A pf is what igb does for virtual functions: it owns the filters, and grants of them
// what VFs ask for by their mailboxes.
type pf struct {
	d   *driver
	vfs []vfData
	rar [nic.MaxAddrs]rarEntry
}

// A vfData is what the driver knows of a VF (vf_data_storage).
type vfData struct {
	mac    [6]byte
	fixed  bool     // the host has set the address (IGB_VF_FLAG_PF_SET_MAC)
	cts    bool     // it has reset since it was given away: it may ask for things
	all    bool     // wants all multicasts
	groups []uint16 // hashes of its multicast addresses
	vlan   uint16   // the host has put it into that VLAN; 0 is none
	maxLen uint32   // longest frame that it takes, FCS included
}

// A rarEntry is an exact address and the pool that has it.
type rarEntry struct {
	used bool
	pool uint8
	mac  [6]byte
	own  bool // asked for by its VF
}

// otherVector is that of other causes than queues: there is one pair of those.
const otherVector = 1

const (
	maxGroups = 30 // hashes of addresses in one message
	minLen    = 64 // frames with their FCS
)

func newPF(d *driver, cfg NICConfig) *pf {
	p := &pf{d: d, vfs: make([]vfData, cfg.VFs)}
	for i := range p.vfs {
		p.vfs[i].maxLen = 1522
	}
	return p
}

// pool is the PF's own, behind those of the VFs.
func (p *pf) pool() int { return len(p.vfs) }

// setUp is igb_vmm_control and what igb_configure does with it: queues go by pools, and
// frames between them through the switch.
func (p *pf) setUp(cfg NICConfig) {
	d, own := p.d, p.pool()
	spoof := uint32(1)<<own - 1
	d.poke(nic.MRQC, uint32(nic.MrqcVMDq))
	d.poke(nic.VT_CTL, uint32(nic.VtCtlReplEN)|uint32(own)<<nic.VtCtlDefPoolShift)
	d.poke(nic.DTXSWC, uint32(nic.DtxswcLoopbackEN)|spoof|spoof<<nic.DtxswcVLANASShift)
	d.poke(nic.QDE, 0xFFFF&^(1<<own))
	for i := range nic.MTAWords {
		d.poke(nic.VFTA(i), 1<<32-1)
	}
	// As a port of a bridge the PF takes what it can get from the wire, as the default pool.
	// Not what VFs send to unknown addresses (ROPE): that would cost the host a frame for
	// each that a guest sends to the wire.
	d.poke(nic.VMOLR(own), uint32(nic.VmolrAUPE|nic.VmolrBAM|nic.VmolrROMPE|nic.VmolrMPME|nic.VmolrLPE)|nic.MaxFrame)
	p.rar[0] = rarEntry{used: true, pool: uint8(own), mac: p.ownMAC()}
	p.writeRAR(nil, 0)
	for i := range p.vfs {
		p.offloads(nil, i)
	}
}

// ownMAC is the PF's address, which the device has from its reset on.
func (p *pf) ownMAC() (mac [6]byte) {
	lo, _ := p.d.dev.Read(nic.RAL(0), p.d.k.eng.Now())
	hi, _ := p.d.dev.Read(nic.RAH(0), p.d.k.eng.Now())
	binary.LittleEndian.PutUint32(mac[:], lo)
	binary.LittleEndian.PutUint16(mac[4:], uint16(hi))
	return mac
}

// begin lets VFs write: their mailboxes interrupt from now on.
func (p *pf) begin() {
	d := p.d
	d.poke(nic.IVAR_MISC, (nic.IvarValid|otherVector)<<8)
	d.poke(nic.EIAC, 1|1<<otherVector)
	if d.k.batching.Interrupts == ByNAPI {
		d.poke(nic.EIAM, 1|1<<otherVector)
	} else {
		d.poke(nic.EIAM, 1<<otherVector)
	}
	own := uint32(p.pool())
	v := uint32(nic.IvarValid)
	d.poke(nic.IVAR(int(own&7)), (v|v<<8)<<(own&8<<1))
	d.poke(nic.IMS, nic.IcrVMMB)
	d.poke(nic.MBVFIMR, 1<<own-1)
	d.poke(nic.CTRL_EXT, uint32(nic.CtrlExtDRVLOAD|nic.CtrlExtPFRSTD))
	d.poke(nic.EIMS, 1<<otherVector)
}

// reg writes a register, before the machine runs if c is nil.
func (p *pf) reg(c *CPU, reg, v uint32) {
	if c == nil {
		p.d.poke(reg, v)
		return
	}
	p.d.write(c, reg, v)
}

// read reads a register likewise.
func (p *pf) read(c *CPU, reg uint32) uint32 {
	now := p.d.k.eng.Now()
	if c != nil {
		now = c.clock.Now()
	}
	v, err := p.d.dev.Read(reg, now)
	if err != nil {
		p.d.k.eng.Fail(fmt.Errorf("%s: %w", p.d.name, err))
	}
	return v
}

// msixOther is igb_msix_other.
func (p *pf) msixOther(c *CPU) {
	c.shared(cost.IgbMsixOther, 1, p.d.name)
	if p.read(c, nic.ICR)&nic.IcrVMMB != 0 {
		p.msgTask(c)
	}
	p.d.write(c, nic.EIMS, 1<<otherVector)
}

// msgTask is igb_msg_task: VFs that were reset, and what VFs have written.
func (p *pf) msgTask(c *CPU) {
	if c != nil {
		c.shared(cost.IgbMsgTask, 1, p.d.name)
	} else { // nobody has to be interrupted for it
		p.read(nil, nic.ICR)
		p.reg(nil, nic.EICR, 1<<otherVector)
	}
	reset, wrote := p.read(c, nic.VFLRE), p.read(c, nic.MBVFICR)
	p.reg(c, nic.VFLRE, reset)
	p.reg(c, nic.MBVFICR, wrote)
	for i := range p.vfs {
		if reset>>i&1 != 0 {
			p.resetEvent(c, i)
		}
		if wrote>>i&1 != 0 {
			p.receive(c, i)
		}
	}
}

// resetEvent is igb_vf_reset_event: a VF that was reset has nothing but what the host
// gave it.
func (p *pf) resetEvent(c *CPU, vf int) {
	v := &p.vfs[vf]
	v.cts, v.all, v.groups, v.maxLen = false, false, nil, 1522
	for i := range p.rar {
		if e := &p.rar[i]; e.used && int(e.pool) == vf && e.own {
			p.clearRAR(c, i)
		}
	}
	if !v.fixed {
		p.setMAC(c, vf, [6]byte{})
	}
	p.leaveVLANs(c, vf)
	p.groups(c)
	p.offloads(c, vf)
}

// receive is igb_rcv_msg_from_vf: a message is read, done or refused, and answered.
func (p *pf) receive(c *CPU, vf int) {
	if c != nil {
		c.shared(cost.IgbRcvMsgFromVf, 1, p.d.name)
	}
	var m [nic.MailboxLen]uint32
	for i := range m {
		m[i] = p.read(c, nic.VMBMEM(vf, i))
	}
	p.reg(c, nic.P2VMAILBOX(vf), nic.P2VACK)
	if m[0]&(nic.MsgACK|nic.MsgNACK) != 0 {
		return // an answer, to nothing that was asked
	}
	answer := []uint32{m[0] | nic.MsgNACK}
	switch v := &p.vfs[vf]; {
	case m[0]&0xFFFF == nic.MsgReset:
		answer = p.vfReset(c, vf)
	case !v.cts: // it has to reset first
	case p.does(c, vf, &m):
		answer[0] = m[0] | nic.MsgACK | nic.MsgCTS
	}
	p.send(c, vf, answer)
}

// send is igb_write_mbx: words to a VF. Its own are overwritten if it still has the
// buffer.
func (p *pf) send(c *CPU, vf int, words []uint32) {
	p.reg(c, nic.P2VMAILBOX(vf), nic.P2VRVFU)
	p.reg(c, nic.P2VMAILBOX(vf), nic.P2VPFU)
	for i, w := range words {
		p.reg(c, nic.VMBMEM(vf, i), w)
	}
	p.reg(c, nic.P2VMAILBOX(vf), nic.P2VSTS) // and gives the buffer back
}

// vfReset is igb_vf_reset_msg: the VF is let go, and told its address.
func (p *pf) vfReset(c *CPU, vf int) []uint32 {
	v := &p.vfs[vf]
	p.resetEvent(c, vf)
	bit := uint32(1) << vf
	p.reg(c, nic.VFTE, p.read(c, nic.VFTE)|bit)
	p.reg(c, nic.VFRE, p.read(c, nic.VFRE)|bit)
	v.cts = true
	if v.mac == ([6]byte{}) {
		return []uint32{nic.MsgReset | nic.MsgNACK}
	}
	return []uint32{nic.MsgReset | nic.MsgACK | nic.MsgCTS, binary.LittleEndian.Uint32(v.mac[:]), uint32(binary.LittleEndian.Uint16(v.mac[4:]))}
}

// does carries out what a VF asks for, and says whether it may have it.
func (p *pf) does(c *CPU, vf int, m *[nic.MailboxLen]uint32) bool {
	v := &p.vfs[vf]
	switch m[0] & 0xFFFF {
	case nic.MsgSetMAC:
		return p.askMAC(c, vf, m)
	case nic.MsgMulticast:
		n := min(int(m[0]&nic.MsgInfoMask>>nic.MsgInfoShift), maxGroups)
		v.groups = v.groups[:0]
		for i := range n {
			v.groups = append(v.groups, uint16(m[1+i/2]>>(16*(i&1)))&0xFFF)
		}
		p.groups(c)
		p.offloads(c, vf)
	case nic.MsgSetVLAN:
		return v.vlan == 0 && p.setVLAN(c, vf, m[1]&0xFFF, m[0]&nic.MsgInfoMask != 0)
	case nic.MsgSetLPE:
		if m[1] < minLen || m[1] > nic.MaxFrame {
			return false
		}
		v.maxLen = m[1]
		p.offloads(c, vf)
	case nic.MsgSetPromisc:
		if m[0]&nic.MsgInfoMask&^nic.MsgAllMulti != 0 {
			return false
		}
		v.all = m[0]&nic.MsgAllMulti != 0
		p.offloads(c, vf)
	default:
		return false
	}
	return true
}

// askMAC is igb_set_vf_mac_addr: a VF whose address the host has set keeps it.
func (p *pf) askMAC(c *CPU, vf int, m *[nic.MailboxLen]uint32) bool {
	var mac [6]byte
	binary.LittleEndian.PutUint32(mac[:], m[1])
	binary.LittleEndian.PutUint16(mac[4:], uint16(m[2]))
	v := &p.vfs[vf]
	switch m[0] & nic.MsgInfoMask {
	case nic.MsgMACClear:
		for i := range p.rar {
			if e := &p.rar[i]; e.used && e.own && int(e.pool) == vf {
				p.clearRAR(c, i)
			}
		}
		return true
	case nic.MsgMACAdd:
		return !v.fixed && p.addMAC(c, vf, mac, true) == nil
	case 0:
		return station(mac) && (!v.fixed || v.mac == mac) && p.setMAC(c, vf, mac) == nil
	}
	return false
}

// station says that an address can be one station's.
func station(mac [6]byte) bool { return mac[0]&1 == 0 && mac != [6]byte{} }

// setMAC gives a VF its address; the zero address takes it away.
func (p *pf) setMAC(c *CPU, vf int, mac [6]byte) error {
	v := &p.vfs[vf]
	for i := range p.rar {
		if e := &p.rar[i]; e.used && int(e.pool) == vf && e.mac == v.mac && v.mac != [6]byte{} {
			p.clearRAR(c, i)
			break
		}
	}
	v.mac = [6]byte{}
	if mac == ([6]byte{}) {
		return nil
	}
	if err := p.addMAC(c, vf, mac, false); err != nil {
		return err
	}
	v.mac = mac
	return nil
}

// addMAC gives a VF one more address. Own says that it has asked for it.
func (p *pf) addMAC(c *CPU, vf int, mac [6]byte, own bool) error {
	if !station(mac) {
		return fmt.Errorf("kernel: %s: VF %d: %x is no station's address", p.d.name, vf, mac)
	}
	free := -1
	for i := range p.rar {
		switch e := &p.rar[i]; {
		case !e.used && free < 0:
			free = i
		case e.used && e.mac == mac && int(e.pool) == vf:
			return nil
		case e.used && e.mac == mac:
			return fmt.Errorf("kernel: %s: VF %d: %x is the address of another function", p.d.name, vf, mac)
		}
	}
	if free < 0 {
		return fmt.Errorf("kernel: %s: VF %d: all %d addresses of the device are in use", p.d.name, vf, len(p.rar))
	}
	p.rar[free] = rarEntry{true, uint8(vf), mac, own}
	p.writeRAR(c, free)
	return nil
}

func (p *pf) clearRAR(c *CPU, i int) {
	p.rar[i] = rarEntry{}
	p.writeRAR(c, i)
}

// writeRAR is igb_rar_set_index.
func (p *pf) writeRAR(c *CPU, i int) {
	e := &p.rar[i]
	hi := uint32(0)
	if e.used {
		hi = uint32(binary.LittleEndian.Uint16(e.mac[4:])) | nic.RahAV | 1<<(nic.RahPoolShift+uint32(e.pool))
	}
	p.reg(c, nic.RAL(i), binary.LittleEndian.Uint32(e.mac[:]))
	p.reg(c, nic.RAH(i), hi)
}

// groups writes the multicast table anew: it is the VFs' together.
func (p *pf) groups(c *CPU) {
	var mta [nic.MTAWords]uint32
	for i := range p.vfs {
		for _, h := range p.vfs[i].groups {
			mta[h>>5] |= 1 << (h & 31)
		}
	}
	for i, w := range mta {
		if p.read(c, nic.MTA(i)) != w {
			p.reg(c, nic.MTA(i), w)
		}
	}
}

// offloads is igb_set_vmolr: what a VF's pool accepts.
func (p *pf) offloads(c *CPU, vf int) {
	v := &p.vfs[vf]
	r := nic.VmolrBAM | nic.VmolrLPE | nic.Vmolr(v.maxLen)
	if v.vlan == 0 {
		r |= nic.VmolrAUPE
	} else {
		r |= nic.VmolrSTRVLAN
	}
	if v.all {
		r |= nic.VmolrMPME
	}
	if len(v.groups) > 0 {
		r |= nic.VmolrROMPE
	}
	p.reg(c, nic.VMOLR(vf), uint32(r))
}

// setVLAN is igb_vlvf_set: a VF joins a VLAN or leaves it. With the first VLAN the filter
// is switched on.
func (p *pf) setVLAN(c *CPU, vf int, vid uint32, join bool) bool {
	bit := uint32(1) << (nic.VlvfPoolShift + vf)
	free := -1
	for i := range nic.VLVFs {
		e := p.read(c, nic.VLVF(i))
		if e&nic.VlvfEN == 0 {
			if free < 0 {
				free = i
			}
			continue
		}
		if e&0xFFF != vid {
			continue
		}
		if join {
			e |= bit
		} else if e &^= bit; e>>nic.VlvfPoolShift&0xFF == 0 {
			e = 0
		}
		p.reg(c, nic.VLVF(i), e)
		return true
	}
	if !join || vid == 0 {
		return true
	}
	if free < 0 {
		return false
	}
	p.reg(c, nic.VLVF(free), nic.VlvfEN|vid|bit)
	p.reg(c, nic.RCTL, p.read(c, nic.RCTL)|uint32(nic.RctlVFE))
	return true
}

// leaveVLANs takes a VF out of all VLANs but the one that the host has put it into.
func (p *pf) leaveVLANs(c *CPU, vf int) {
	bit := uint32(1) << (nic.VlvfPoolShift + vf)
	for i := range nic.VLVFs {
		if e := p.read(c, nic.VLVF(i)); e&nic.VlvfEN != 0 && e&bit != 0 && e&0xFFF != uint32(p.vfs[vf].vlan) {
			p.setVLAN(c, vf, e&0xFFF, false)
		}
	}
}
