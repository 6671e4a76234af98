package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ringside/cost"
	"ringside/nic"
	"ringside/offload"
)

// Offloads say what an adapter does with frames beside moving them, and whether its
// driver merges what it receives. The zero value is nothing: every frame is handled
// by itself, and nobody looks at checksums.
type Offloads struct {
	GRO        bool // segments of a flow that come in together go on as one frame
	LRO        bool // the device merges them before the driver sees them; needs RxCsum
	TSO        bool // long frames are cut by the device; needs TxCsum
	TxCsum     bool // checksums are written by the device
	RxCsum     bool // checksums are verified by the device
	VLANInsert bool // tags are put on by the device
	VLANStrip  bool // and taken off
}

// offloadNames are the words by which people know them (ethtool -K).
var offloadNames = []struct {
	name string
	set  func(*Offloads)
	has  func(Offloads) bool
}{
	{"gro", func(o *Offloads) { o.GRO = true }, func(o Offloads) bool { return o.GRO }},
	{"lro", func(o *Offloads) { o.LRO, o.RxCsum = true, true }, func(o Offloads) bool { return o.LRO }},
	{"tso", func(o *Offloads) { o.TSO, o.TxCsum = true, true }, func(o Offloads) bool { return o.TSO }},
	{"tx", func(o *Offloads) { o.TxCsum = true }, func(o Offloads) bool { return o.TxCsum }},
	{"rx", func(o *Offloads) { o.RxCsum = true }, func(o Offloads) bool { return o.RxCsum }},
	{"txvlan", func(o *Offloads) { o.VLANInsert = true }, func(o Offloads) bool { return o.VLANInsert }},
	{"rxvlan", func(o *Offloads) { o.VLANStrip = true }, func(o Offloads) bool { return o.VLANStrip }},
}

// AllOffloads is everything on that can be undone to the last bit: all but LRO, which
// Linux does not have on a bridge's port either (dev_disable_lro).
func AllOffloads() (o Offloads) {
	for _, n := range offloadNames {
		n.set(&o)
	}
	o.LRO = false
	return o
}

// OffloadNames are the words that ParseOffloads knows.
func OffloadNames() (names []string) {
	for _, n := range offloadNames {
		names = append(names, n.name)
	}
	return append(names, "csum", "all", "none")
}

// ParseOffloads reads words with commas between them: gro, lro, tso, tx, rx, txvlan
// and rxvlan as ethtool has them; csum is tx and rx, tso brings tx along and lro rx,
// and all and none stand alone. All leaves lro out; see AllOffloads.
func ParseOffloads(words string) (o Offloads, err error) {
	switch words {
	case "all":
		return AllOffloads(), nil
	case "none", "":
		return o, nil
	}
	for _, w := range strings.Split(words, ",") {
		w = strings.TrimSpace(w)
		if w == "csum" {
			o.TxCsum, o.RxCsum = true, true
			continue
		}
		i := slices.IndexFunc(offloadNames, func(n struct {
			name string
			set  func(*Offloads)
			has  func(Offloads) bool
		}) bool {
			return n.name == w
		})
		if i < 0 {
			return Offloads{}, fmt.Errorf("%q is no offload: %s are, with commas between them", w, strings.Join(OffloadNames(), ", "))
		}
		offloadNames[i].set(&o)
	}
	return o, nil
}

// String is the words for what is on, "none" if nothing is.
func (o Offloads) String() string {
	var on []string
	for _, n := range offloadNames {
		if n.has(o) {
			on = append(on, n.name)
		}
	}
	if len(on) == 0 {
		return "none"
	}
	return strings.Join(on, ",")
}

// check finds offloads that cannot be had together.
func (o Offloads) check() error {
	if o.TSO && !o.TxCsum {
		return errors.New("TSO without TxCsum: segments need a checksum each, so turn both on")
	}
	if o.LRO && !o.RxCsum {
		return errors.New("LRO without RxCsum: only segments that the device has verified are merged, so turn both on")
	}
	return nil
}

// features are those of the adapter as a device that sends.
func (o Offloads) features() (f features) {
	if o.TxCsum {
		f |= featCsum
	}
	if o.TSO {
		f |= featTSO4 | featTSO6
	}
	if o.VLANInsert {
		f |= featVLAN
	}
	return f
}

// setUpRxOffloads tells the device what to do with received frames.
func (d *driver) setUpRxOffloads() {
	if d.offloads.RxCsum {
		d.poke(nic.RXCSUM, uint32(nic.RxcsumIPOFLD|nic.RxcsumTUOFLD))
	}
	if d.offloads.VLANStrip {
		d.poke(nic.CTRL, uint32(nic.CtrlSLU|nic.CtrlFD|nic.CtrlVME))
	}
	if d.offloads.LRO {
		for i := range d.rx {
			d.poke(nic.RSCCTL(i), uint32(nic.RscctlRSCEN|nic.RscctlMaxDesc16))
		}
	}
	d.rxFields = d.offloads.RxCsum || d.offloads.VLANStrip
}

// readFields reads the last descriptor of each of the frames that were taken off
// the ring, which begin at its nextToClean.
func (d *driver) readFields(q *rxQueue, done []*skb) {
	at := q.nextToClean
	for _, s := range done {
		for q.desc(at).Status()&nic.RxEOP == 0 {
			at = (at + 1) % q.size
		}
		d.k.rxFields(s, q.desc(at))
		at = (at + 1) % q.size
	}
}

// rxFields is igb_process_skb_fields: what the last descriptor says of a frame. A
// checksum that the device found wrong is left to whoever the frame is for. A tag
// that it took off goes back in front: here a frame's tag is among its bytes, where
// Linux has it beside them.
func (k *Kernel) rxFields(s *skb, desc nic.RxDesc) {
	status := desc.Status()
	s.valid = status&nic.RxTCPCS != 0 && status&(nic.RxTCPE|nic.RxIPE) == 0
	if status&nic.RxVP != 0 {
		head := append(make([]byte, 0, headRoom), s.data[:addresses]...)
		head = binary.BigEndian.AppendUint16(head, typeCTag)
		k.rewrite(s, addresses, binary.BigEndian.AppendUint16(head, desc.VLAN()))
	}
	if desc.Merged() {
		k.coalesced(s)
	}
}

// coalesced says how a frame that the device has merged is to be cut: ixgbe divides
// its length by the number of segments (ixgbe_set_rsc_gso_size), which is wrong for
// all of them if the last is shorter. Here the first descriptor has the first segment.
func (k *Kernel) coalesced(s *skb) {
	if m, ok := offload.Merged(s.data, int(s.length), len(s.data), 1+int(s.nfrags)); ok {
		k.setMeta(s, m)
	}
}

// An order is what a frame's descriptors ask of the device.
type order struct {
	descs     int // context descriptors: one or none
	context   nic.TxContext
	cmd, opts uint32
	paylen    int
	untag     bool
}

// orders is igb_tso, igb_tx_csum and the VLAN flags of igb_xmit_frame.
func (d *driver) orders(s *skb) order {
	o := order{paylen: int(s.length), untag: d.inserts(s)}
	m := s.meta()
	if m.Plain() && !o.untag {
		return o
	}
	o.descs, o.context.MACLen = 1, macLen(s.data)
	if !m.Plain() {
		o.context.TCP = m.CsumOffset == tcpSum
		o.context.IPLen = int(m.CsumStart) - o.context.MACLen
		o.opts |= nic.TxTXSM
	}
	if m.GSO != offload.GSONone {
		o.context.MSS, o.context.IPv4 = int(m.GSOSize), m.GSO == offload.GSOTCPv4
		o.context.L4Len = int(m.HdrLen) - int(m.CsumStart)
		o.cmd |= nic.TxTSE
		if o.context.IPv4 {
			o.opts |= nic.TxIXSM
		}
		o.paylen -= int(m.HdrLen)
	}
	if o.untag {
		o.cmd |= nic.TxVLE
		o.context.VLAN = binary.BigEndian.Uint16(s.data[addresses+2:])
		o.context.MACLen -= tagLen
		if m.GSO == offload.GSONone {
			o.paylen -= tagLen
		}
	}
	return o
}

// tcpSum and udpSum are where checksums stand that the device can write.
const (
	tcpSum = 16
	udpSum = 6
)

// macLen is the length of an Ethernet header with its tags.
func macLen(frame []byte) int {
	n := ethHeader
	for tagged(frame[n-ethHeader:]) {
		n += tagLen
	}
	return n
}

// check is igb_features_check, netif_skb_features for a frame with a frag_list and, for frames whose headers only a guest vouches
// for, what Linux does with SKB_GSO_DODGY: it says whether the device can do with s
// what m asks, and puts into m where the headers of a frame to be cut really are.
func (d *driver) check(c *CPU, s *skb, m *offload.Meta) bool {
	if m.CsumOffset != tcpSum && m.CsumOffset != udpSum {
		return false
	}
	l3 := macLen(s.data)
	ctx := nic.TxContext{MACLen: l3, IPLen: int(m.CsumStart) - l3}
	if m.GSO == offload.GSONone {
		return ctx.IPLen >= 0 && ctx.Fits() && int(m.CsumStart)+int(m.CsumOffset)+2 <= int(s.length)
	}
	c.parts = s.parts(c.parts[:0])
	g := &c.k.segmenter
	if m.FixedID || s.nfrags > maxFrags || int(m.GSOSize)+offload.MaxHeader > maxTx || g.Start(c.parts, *m) != nil {
		return false
	}
	at, l4 := g.Layout()
	if at != l3 || l4 != int(m.CsumStart) || m.CsumOffset != tcpSum {
		return false
	}
	m.HdrLen = uint16(g.HeaderLen())
	ctx.L4Len = g.HeaderLen() - l4
	c.k.setMeta(s, *m)
	return ctx.Fits()
}

// inserts says that the device is to put the frame's tag on: its bytes are then
// sent without it. The addresses in front of it must lie in memory: where they are
// this frame's own, or, if it has a head that shares what is behind with others,
// where that came from.
func (d *driver) inserts(s *skb) bool {
	switch {
	case d.net.features&featVLAN == 0 || len(s.data) < addresses+tagLen || binary.BigEndian.Uint16(s.data[addresses:]) != typeCTag:
		return false
	case s.headed:
		return len(s.data) == addresses+tagLen && s.addr != 0
	}
	return s.holders == 1 && !s.cloned
}

// postContext fills the context descriptor of a frame, and takes its tag from its
// bytes if it stands there now. There is room.
func (d *driver) postContext(c *CPU, q *txQueue, s *skb, ask *order) {
	step := cost.IgbTxCsum
	if ask.cmd&nic.TxTSE != 0 {
		step = cost.IgbTso
	}
	c.one(step, s)
	q.desc(q.nextToUse).GiveContext(ask.context)
	if q.nextToUse++; q.nextToUse == q.size {
		q.nextToUse = 0
	}
	if ask.untag {
		d.k.untag(s)
	}
}

// untag takes a frame's tag out of its bytes.
func (k *Kernel) untag(s *skb) {
	if s.headed {
		s.data, s.headed = k.mem.Bytes(s.addr, addresses), false
		s.length -= tagLen
		s.shift(-tagLen)
		return
	}
	var head [addresses]byte
	copy(head[:], s.data)
	k.rewrite(s, addresses+tagLen, head[:])
}
