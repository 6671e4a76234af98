package kernel

import (
	"errors"
	"fmt"

	"ringside/bridge"
	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/xdp"
)

// Programs at the driver (XDP). A frame is shown to one before an sk_buff is built:
//
//	ring ─► igb_run_xdp ─┬─► aborted, drop   its buffer stays on the ring
//	                     ├─► pass            igb_build_skb, GRO, the stack
//	                     ├─► tx              the ring of this CPU, doorbell when the poll ends
//	                     └─► redirect        bulk queue of the target ═ 16, or the poll's end ═► ndo_xdp_xmit
//
// A frame that goes on without the stack is an xdp_frame: an skb here that is marked raw
// and has no offloads, no further buffers, no holder but one.
//
// In generic mode the program runs on the sk_buff instead, where the core takes it from
// the driver; see xdpgeneric.go.

// XDPConfig is a program at a NIC. The zero value is none.
type XDPConfig struct {
	Program xdp.Program // nil is none
	Name    string      // in reports; "" means "program"
	Generic bool        // on sk_buffs, behind the driver (xdpgeneric): dearer, and frames may be as long as ever
	Devices []string    // its map of devices: interface names by key, looked up when first used
}

// check finds what a NIC cannot have together with the program.
func (x *XDPConfig) check(cfg *NICConfig, b *Batching) error {
	switch {
	case x.Program == nil:
		return nil
	case b.Interrupts == PerFrame:
		return errors.New("an XDP program runs in a poll, and with an interrupt per frame there is none")
	case cfg.Offloads.LRO:
		return errors.New("an XDP program sees single frames: turn LRO off")
	case !x.Generic && cfg.At.MTU > xdpMTU:
		return fmt.Errorf("an MTU of %d with an XDP program, for which a frame must lie in one buffer: up to %d is possible, or a generic program", cfg.At.MTU, xdpMTU)
	}
	return nil
}

// Room of a receive buffer with a program: the page holds the headroom, a line more or
// less by its colour, the frame, and the skb_shared_info that an sk_buff around it needs.
const (
	xdpMore    = xdp.Headroom - rxHeadroom // of headroom
	xdpEnd     = mem.PageSize - 320        // SKB_DATA_ALIGN(sizeof(struct skb_shared_info))
	xdpMTU     = rxBufferSize - ethHeader - tagLen
	xdpBulk    = 16 // DEV_MAP_BULK_SIZE
	xdpTxSpare = 4  // descriptors that igb_xmit_xdp_ring wants to see free
)

// An xdpHook is a program at one NIC, with what the kernel lends it.
type xdpHook struct {
	k      *Kernel
	dev    *netdev
	cfg    XDPConfig
	byKey  []*netdev              // the map of devices, as far as it was looked up
	usable func(bridge.Port) bool // h.takes
	ctx    xdp.Context
	now    sim.Time // of the present piece
	length int32    // of the present frame
	socks  []*XSK   // by queue, nil without
	stat   XDPStat
	asker  *netbridge // whose ports takes is asked about

	ups    int
	asked  [groNormalBatch]uint8 // by the frames that a piece passes
	reused [groNormalBatch]bool
}

// An XDPStat is what a NIC's program has said so far.
type XDPStat struct {
	Interface string `json:"interface"`
	Program   string `json:"program"`
	Mode      string `json:"mode"` // xdpdrv or xdpgeneric
	Aborted   uint64 `json:"aborted"`
	Drop      uint64 `json:"drop"`
	Pass      uint64 `json:"pass"`
	Tx        uint64 `json:"tx"`
	Redirect  uint64 `json:"redirect"`
	Errors    uint64 `json:"errors"` // of tx and redirect: what could not be sent
}

// count counts a verdict.
func (s *XDPStat) count(a xdp.Action) {
	switch a {
	case xdp.Drop:
		s.Drop++
	case xdp.Pass:
		s.Pass++
	case xdp.Tx:
		s.Tx++
	case xdp.Redirect:
		s.Redirect++
	default:
		s.Aborted++
	}
}

// Runs is how many frames the program was asked about.
func (s XDPStat) Runs() uint64 { return s.Aborted + s.Drop + s.Pass + s.Tx + s.Redirect }

// newXDP is the hook of a NIC that has a program, nil of one that has none.
func (k *Kernel) newXDP(dev *netdev, cfg XDPConfig) *xdpHook {
	if cfg.Program == nil {
		return nil
	}
	h := &xdpHook{k: k, dev: dev, cfg: cfg, byKey: make([]*netdev, len(cfg.Devices))}
	h.usable = h.takes
	h.stat = XDPStat{Program: cfg.Name, Mode: "xdpdrv"}
	if cfg.Name == "" {
		h.stat.Program = "program"
	}
	if cfg.Generic {
		h.stat.Mode = "xdpgeneric"
	}
	k.hooks = append(k.hooks, h)
	return h
}

// XDPStats is what the programs of all NICs have said, in the order of the NICs.
func (k *Kernel) XDPStats() (list []XDPStat) {
	for _, h := range k.hooks {
		s := h.stat
		s.Interface = h.dev.name
		list = append(list, s)
	}
	return list
}

// harvest is igb_clean_rx_irq: it takes finished frames off the ring, at most as many as
// list holds, puts those that go up into list, and returns how many these are and how
// many there were.
func (d *driver) harvest(c *CPU, q *rxQueue, list []*skb) (up, done int) {
	if d.xdp == nil {
		n := d.cleanRx(c, q, list)
		return n, n
	}
	return d.xdp.clean(c, d, q, list)
}

// clean is harvest with a program. Frames are never longer than a buffer: RLPML says so.
func (h *xdpHook) clean(c *CPU, d *driver, q *rxQueue, list []*skb) (up, done int) {
	h.now = c.clock.Now()
	d.dev.CatchUp(h.now)
	if q.xsk != nil && q.cleaned > 0 && q.empty() {
		q.xsk.refill(c)
	}
	tags := d.dev.RxTags(q.index)
	for done < len(list) {
		at := q.nextToClean
		desc, tag := q.desc(at), &tags[at]
		if !desc.Done() || tag.Done > c.seen && tag.Done > c.look() {
			break
		}
		if q.nextToClean++; q.nextToClean == q.size {
			q.nextToClean = 0
		}
		done++
		s := h.shown(c, q, at, desc, tag)
		if s != nil {
			list[up] = s
			up++
		}
	}
	q.cleaned += done
	if q.xsk != nil {
		c.all(list[:up], cost.IgbProcessSkbFields, cost.NapiGroReceive)
	} else {
		h.passed(c, d, list[:up])
	}
	if q.cleaned >= rxRefill {
		d.refill(c, q)
	}
	return up, done
}

// shown is show, or what takes its place on a queue of a process.
func (h *xdpHook) shown(c *CPU, q *rxQueue, at int, desc nic.RxDesc, tag *nic.Tag) *skb {
	if q.xsk != nil {
		return q.xsk.receive(c, h, at, desc, tag)
	}
	return h.show(c, q, at, desc, tag)
}

// show shows the program the frame of a descriptor, and does what it says. It returns
// the frame if that goes up.
func (h *xdpHook) show(c *CPU, q *rxQueue, at int, desc nic.RxDesc, tag *nic.Tag) *skb {
	buf := &q.buffers[at]
	n := desc.Len()
	page := buf.addr &^ (mem.PageSize - 1)
	start := buf.addr - page - xdp.Headroom // data_hard_start
	x := &h.ctx
	x.Reset(h, h.k.mem.Bytes(page, mem.PageSize)[start:xdpEnd:xdpEnd], xdp.Headroom, xdp.Headroom+n)
	x.Queue, x.Ifindex = q.index, int(h.dev.index)
	if desc.Status()&nic.RxVP != 0 {
		x.VLAN, x.Tagged = desc.VLAN(), true
	}
	h.length = int32(n)
	a := x.Run(h.cfg.Program)
	h.stat.count(a)
	from, to := x.Bounds()
	f := rawFrame{tag.ID, tag.Arrived, page + start + mem.Addr(from), int32(to - from), int8(q.index)}
	if ad := h.dev.drv.napi[q.index].adaptive; ad != nil && a != xdp.Pass {
		ad.packets, ad.bytes = ad.packets+1, ad.bytes+uint64(n)
	}
	switch a {
	case xdp.Pass:
		return h.pass(c, buf, desc, f)
	case xdp.Tx, xdp.Redirect:
		h.ran(c, f.id)
		h.send(c, a, h.take(buf, f))
	case xdp.Drop:
		h.ran(c, f.id)
		h.lose(c, f, cost.XDPDropped)
	default:
		h.ran(c, f.id)
		h.lose(c, f, cost.RSXDPAborted)
	}
	return nil
}

// A rawFrame is a frame in its buffer before anything is built around it.
type rawFrame struct {
	id      uint64
	arrived sim.Time
	addr    mem.Addr
	length  int32
	queue   int8
}

// take makes an skb of a frame and takes its buffer for it.
func (h *xdpHook) take(buf *rxBuffer, f rawFrame) *skb {
	s := h.k.newSKB()
	s.id, s.arrived, s.addr, s.block, s.length, s.queue = f.id, f.arrived, f.addr, buf.block, f.length, f.queue
	s.data = h.k.mem.Bytes(f.addr, int(f.length))
	s.raw = true
	buf.reuse(h.k.mem)
	return s
}

// ran charges what a frame that does not go up has cost so far.
func (h *xdpHook) ran(c *CPU, id uint64) {
	s := c.ghost(id)
	c.one(cost.IgbCleanRxXdp, s)
	c.one(cost.IgbRunXdp, s)
	h.helped(c, s, h.ctx.Asked())
	if h.ctx.Touched() {
		c.one(cost.XdpTouch, s)
	}
}

// helped charges what the program asked of the kernel.
func (h *xdpHook) helped(c *CPU, s *skb, asked uint8) {
	if asked&xdp.AskedForward != 0 {
		c.one(cost.FdbHelper, s)
		c.one(cost.FdbHelperSrc, s)
	}
	if asked&(xdp.AskedMap|xdp.AskedSocket) != 0 {
		c.one(cost.XdpMapLookup, s)
	}
}

// ghost is an skb for steps of a frame that has none.
func (c *CPU) ghost(id uint64) *skb {
	c.phantom.id = id
	return &c.phantom
}

// lose drops a frame whose buffer stays on the ring.
func (h *xdpHook) lose(c *CPU, f rawFrame, why cost.DropReason) {
	k := h.k
	k.drops.Add(cost.XDP, why, 1)
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Dropped, Who: trace.WhoDropped(cost.XDP, why), A: f.id})
	if c.watched {
		s := c.ghost(f.id)
		s.data, s.length, s.queue = k.mem.Bytes(f.addr, int(f.length)), f.length, f.queue
		k.show(c, s, sight{point: trace.Driver, verdict: trace.Drop, reason: why, stage: cost.XDP, port: h.dev.index, vm: -1})
	}
}

// pass builds the sk_buff of a frame that goes up; passed charges it.
func (h *xdpHook) pass(c *CPU, buf *rxBuffer, desc nic.RxDesc, f rawFrame) *skb {
	s := h.k.newSKB()
	s.id, s.arrived, s.addr, s.block, s.length, s.queue = f.id, f.arrived, f.addr, buf.block, f.length, f.queue
	s.data = h.k.mem.Bytes(f.addr, int(f.length))
	if h.dev.drv.rxFields {
		h.k.rxFields(s, desc)
	}
	h.asked[h.ups], h.reused[h.ups] = h.ctx.Asked(), buf.reuse(h.k.mem)
	h.ups++
	return s
}

// passed charges the frames of a piece that go up, as harvested does those of a NIC
// without a program. The first touch is theirs in any case. Whatever was redirected
// before them goes first, so that it is not overtaken.
func (h *xdpHook) passed(c *CPU, d *driver, list []*skb) {
	h.ups = 0
	if len(list) == 0 {
		return
	}
	c.flushBulks()
	c.all(list, cost.IgbCleanRxIrq, cost.IgbGetRxBuffer, cost.IgbRunXdp)
	for i, s := range list {
		h.helped(c, s, h.asked[i])
	}
	c.all(list, cost.IgbBuildSkb)
	for i, s := range list {
		if h.reused[i] {
			c.one(cost.IgbPutRxBuffer, s)
		}
	}
	c.all(list, cost.IgbProcessSkbFields, cost.NapiGroReceive)
	if c.watched {
		for _, s := range list {
			c.k.show(c, s, sight{point: trace.Driver, port: d.net.index, vm: -1})
		}
	}
}

// send carries out Tx and Redirect.
func (h *xdpHook) send(c *CPU, a xdp.Action, s *skb) {
	if c.watched {
		h.k.show(c, s, sight{point: trace.Driver, port: h.dev.index, vm: -1})
	}
	if a == xdp.Tx {
		if !h.dev.drv.xdpTx(c, s) {
			h.stat.Errors++
		}
		return
	}
	if dev := h.target(c, s, (*netdev).takesRaw); dev != nil {
		dev.bulkOf(c).add(c, s)
	}
}

// target is where a redirected frame goes: an interface that can send it. It is nil if
// there is none, or if a socket is meant: then s is dealt with.
func (h *xdpHook) target(c *CPU, s *skb, can func(*netdev) bool) *netdev {
	c.one(cost.XdpDoRedirect, s)
	to := h.ctx.Target()
	if to.Socket {
		h.toSocket(c, s)
		return nil
	}
	dev, why := h.k.byIndex(to.Ifindex), cost.NotDropped
	switch {
	case dev == nil || !can(dev):
		why = cost.RSXDPNoTarget
	case s.length > dev.mtu:
		why = cost.PktTooBig
	}
	if why == cost.NotDropped {
		return dev
	}
	h.stat.Errors++
	c.drop(s, cost.XDP, why)
	return nil
}

// takesRaw says that the interface has an ndo_xdp_xmit. Igb has one while it has a
// program itself.
func (dev *netdev) takesRaw() bool {
	return dev.tap != nil || dev.virtio != nil || dev.drv != nil && dev.drv.xdp != nil
}

// Forward is the bridge's part of a program: see xdp.Host.
func (h *xdpHook) Forward(ifindex int, frame []byte) (int, bool) {
	in := h.dev
	if ifindex != int(in.index) {
		in = h.k.byIndex(ifindex)
	}
	if in == nil || in.br == nil || in.mirror.in != nil {
		return 0, false
	}
	h.asker = in.br
	p, ok := in.br.br.Shortcut(in.port, frame, h.now, h.usable)
	if !ok {
		return 0, false
	}
	return int(in.br.ports[p].index), true
}

// takes says that frames can go out by a port of the bridge just so.
func (h *xdpHook) takes(p bridge.Port) bool {
	dev := h.asker.ports[p]
	return dev != nil && dev.takesRaw() && dev.mirror.out == nil && h.length <= dev.mtu
}

// Map is the interface that an entry of the map of devices names: see xdp.Host.
func (h *xdpHook) Map(key int) (int, bool) {
	if key < 0 || key >= len(h.byKey) {
		return 0, false
	}
	if h.byKey[key] == nil {
		h.byKey[key] = h.k.netdev(h.cfg.Devices[key])
	}
	if h.byKey[key] == nil {
		return 0, false
	}
	return int(h.byKey[key].index), true
}

// byIndex is the interface that traces know by that number, nil if there is none.
func (k *Kernel) byIndex(i int) *netdev {
	if i < 0 || i >= len(k.indexed) {
		return nil
	}
	return k.indexed[i]
}

// A bulkQueue is the frames that one CPU has redirected to one interface and not sent
// yet (xdp_dev_bulk_queue).
type bulkQueue struct {
	dev  *netdev
	list [xdpBulk]*skb
	n    int
}

// bulkOf is the CPU's bulk queue for the interface.
func (dev *netdev) bulkOf(c *CPU) *bulkQueue {
	for len(dev.bulks) <= c.id {
		dev.bulks = append(dev.bulks, nil)
	}
	if dev.bulks[c.id] == nil {
		dev.bulks[c.id] = &bulkQueue{dev: dev}
	}
	return dev.bulks[c.id]
}

// add is bq_enqueue.
func (b *bulkQueue) add(c *CPU, s *skb) {
	if b.n == xdpBulk {
		b.flush(c)
	}
	if b.n == 0 && !c.queuedBulk(b) {
		c.bulks = append(c.bulks, b)
	}
	b.list[b.n] = s
	b.n++
}

// queuedBulk says that b is on the CPU's list of queues to be flushed.
func (c *CPU) queuedBulk(b *bulkQueue) bool {
	for _, o := range c.bulks {
		if o == b {
			return true
		}
	}
	return false
}

// flush is bq_xmit_all.
func (b *bulkQueue) flush(c *CPU) {
	list := b.list[:b.n]
	b.n = 0
	switch dev := b.dev; {
	case dev.tap != nil:
		dev.tap.xdpXmit(c, list)
	case dev.virtio != nil:
		dev.virtio.xdpXmit(c, list)
	default:
		dev.drv.xdpXmit(c, list)
	}
	clear(list)
}

// flushBulks is __dev_flush.
func (c *CPU) flushBulks() {
	if len(c.bulks) == 0 {
		return
	}
	for _, b := range c.bulks {
		b.flush(c)
	}
	c.bulks = c.bulks[:0]
}

// flushXDP is xdp_do_flush at the end of a poll, and the doorbell of what went out by
// Tx.
func (c *CPU) flushXDP() {
	c.flushBulks()
	c.flushSockets()
	if d := c.xdpRing.d; d != nil {
		d.doorbell(c, c.xdpRing.q)
		c.xdpRing.d, c.xdpRing.q, c.xdpRing.n = nil, nil, 0
	}
}

// xdpTx is igb_xdp_xmit_back: s goes out by the ring of this CPU, or is dropped where
// that is full. It says which.
func (d *driver) xdpTx(c *CPU, s *skb) bool {
	c.one(cost.IgbXdpTx, s)
	q := d.tx[c.id%len(d.tx)]
	if !d.postRaw(c, q, s) {
		c.drop(s, cost.XDP, cost.RSTxBusy)
		return false
	}
	c.xdpRing.d, c.xdpRing.q = d, q
	c.xdpRing.n++
	return true
}

// xdpXmit is igb_xdp_xmit: frames that were redirected here, in bulk.
func (d *driver) xdpXmit(c *CPU, list []*skb) {
	c.shared(cost.IgbXdpXmit, 1, fmt1(c, "%d frames", len(list)))
	q := d.tx[c.id%len(d.tx)]
	sent := 0
	for sent < len(list) && d.postRaw(c, q, list[sent]) {
		sent++
	}
	if sent > 0 {
		d.write(c, nic.TDT(q.index), uint32(q.nextToUse))
	}
	for _, s := range list[sent:] {
		c.drop(s, cost.XDP, cost.RSTxBusy)
	}
}

// postRaw is igb_xmit_xdp_ring: a descriptor for a frame in one buffer. It says whether
// there was room.
func (d *driver) postRaw(c *CPU, q *txQueue, s *skb) bool {
	free := q.nextToClean - q.nextToUse - 1
	if free < 0 {
		free += q.size
	}
	if free < xdpTxSpare {
		return false
	}
	if c.watched {
		c.k.show(c, s, sight{point: trace.Driver, tx: true, port: d.net.index, vm: -1})
	}
	at := q.nextToUse
	q.pending[at] = s
	d.dev.SetTxTag(q.index, uint32(at), nic.Tag{ID: s.id, Arrived: s.arrived})
	q.desc(at).Give(uint64(s.addr), int(s.length), nic.TxIFCS|nic.TxEOP|nic.TxRS, int(s.length))
	if q.nextToUse++; q.nextToUse == q.size {
		q.nextToUse = 0
	}
	c.one(cost.IgbXmitXdpRing, s)
	return true
}

// xdpXmit is tun_xdp_xmit: frames go on the ring while there is room, and the reader is
// told once.
func (t *tap) xdpXmit(c *CPU, list []*skb) {
	c.shared(cost.TunXdpXmit, 1, fmt1(c, "%d frames", len(list)))
	if !t.opened {
		for _, s := range list {
			c.drop(s, cost.Tap, cost.DevReady)
		}
		return
	}
	if t.ring == nil {
		t.ring = make([]slot, t.size)
	}
	put := 0
	for put < len(list) && t.produce(c, list[put]) {
		put++
	}
	for _, s := range list[put:] {
		c.drop(s, cost.Tap, cost.FullRing)
	}
	if put > 0 && t.waiting != nil && t.wants&pollIn != 0 {
		w := t.waiting
		t.waiting = nil
		c.wakeReader(w)
	}
}

// produce puts one frame on the ring and says whether there was room.
func (t *tap) produce(c *CPU, s *skb) bool {
	c.one(cost.TunXdpProduce, s)
	now := c.clock.Now()
	sl := &t.ring[t.tail]
	if sl.s != nil || sl.at > now {
		return false
	}
	*sl = slot{s, now}
	s.putBy = int16(c.id)
	if t.tail++; t.tail == t.size {
		t.tail = 0
	}
	if c.watched {
		c.k.show(c, s, sight{point: trace.Tap, port: t.net.index, vm: t.vm})
	}
	return true
}

// xdpXmit is tun_xdp_xmit of a tap with several queues: the CPU chooses.
func (d *VirtioNet) xdpXmit(c *CPU, list []*skb) {
	d.setUp()
	d.taps[c.id%max(d.width(), 1)].xdpXmit(c, list)
}

// eachRaw calls note for every frame that waits to be sent in bulk.
func (c *CPU) eachRaw(note func(*skb)) {
	for _, b := range c.bulks {
		for _, s := range b.list[:b.n] {
			note(s)
		}
	}
}

// consumed is the step by which a frame that arrived is freed.
func (s *skb) consumed() cost.Step {
	if s.raw {
		return cost.XdpReturnFrame
	}
	return cost.ConsumeSkb
}
