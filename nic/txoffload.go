package nic

import (
	"encoding/binary"
	"errors"

	"ringside/cost"
	"ringside/offload"
	"ringside/sim"
	"ringside/trace"
)

// What the descriptors of a frame may ask the device to do with it, as bits of
// asks: of the first descriptor alone they count.
const (
	askTSE  = 1 << iota // cut it into segments of the context's MSS
	askVLE              // put the context's tag in front
	askIXSM             // write the sum of the IPv4 header
	askTXSM             // complete the sum of TCP or UDP
)

// asked reads the bits.
func asked(cmd, opts uint32) (asks uint32) {
	if cmd&TxTSE != 0 {
		asks |= askTSE
	}
	if cmd&TxVLE != 0 {
		asks |= askVLE
	}
	if opts&TxIXSM != 0 {
		asks |= askIXSM
	}
	if opts&TxTXSM != 0 {
		asks |= askTXSM
	}
	return asks
}

// A TxContext is what an advanced context descriptor says [7.2]: where the headers
// of the frames behind it are, how they are cut, and their tag.
//
//	 0: IPLEN 8:0, MACLEN 15:9, VLAN 31:16
//	 8: IPV4 10, L4T 12:11, type 23:20, DEXT 29
//	12: index 6:4, L4LEN 15:8, MSS 31:16
type TxContext struct {
	Index  int    // 0 or 1: which of the queue's two contexts
	MACLen int    // Ethernet header, tags in the frame included; at most 127
	IPLen  int    // at most 511
	L4Len  int    // TCP header, for segmentation; at most 255
	MSS    int    // payload bytes of a segment
	VLAN   uint16 // priority and number of the tag to insert
	IPv4   bool
	TCP    bool // else UDP
}

// Fields of a context descriptor.
const (
	ctxIPv4 = 1 << 10
	ctxL4T  = 3 << 11
	ctxTCP  = 1 << 11
	ctxSCTP = 2 << 11

	maxMACLen, maxIPLen, maxL4Len = 1<<7 - 1, 1<<9 - 1, 1<<8 - 1
)

// Fits says that the fields have room in a descriptor.
func (x TxContext) Fits() bool {
	return uint(x.MACLen) <= maxMACLen && uint(x.IPLen) <= maxIPLen && uint(x.L4Len) <= maxL4Len && uint(x.MSS) <= 0xFFFF && uint(x.Index) <= 1
}

// GiveContext writes a context descriptor. Fields that do not fit are cut short.
func (d TxDesc) GiveContext(x TxContext) {
	binary.LittleEndian.PutUint32(d, uint32(x.IPLen)&maxIPLen|uint32(x.MACLen)&maxMACLen<<9|uint32(x.VLAN)<<16)
	binary.LittleEndian.PutUint32(d[4:], 0)
	kind := uint32(TxTypeContext | TxDEXT)
	if x.IPv4 {
		kind |= ctxIPv4
	}
	if x.TCP {
		kind |= ctxTCP
	}
	binary.LittleEndian.PutUint32(d[8:], kind)
	binary.LittleEndian.PutUint32(d[12:], uint32(x.Index)&1<<4|uint32(x.L4Len)&maxL4Len<<8|uint32(x.MSS)<<16)
}

// contextOf reads a context descriptor.
func contextOf(d *[DescSize]byte) (x TxContext, known bool) {
	lens, kind, last := binary.LittleEndian.Uint32(d[:]), binary.LittleEndian.Uint32(d[8:]), binary.LittleEndian.Uint32(d[12:])
	x = TxContext{
		Index: int(last >> 4 & 1), MACLen: int(lens >> 9 & maxMACLen), IPLen: int(lens & maxIPLen), VLAN: uint16(lens >> 16),
		L4Len: int(last >> 8 & maxL4Len), MSS: int(last >> 16), IPv4: kind&ctxIPv4 != 0, TCP: kind&ctxL4T == ctxTCP,
	}
	return x, kind&ctxL4T <= ctxTCP
}

// csumOffset is where the sum stands in the header of what is summed.
func (x *TxContext) csumOffset() int {
	if x.TCP {
		return 16
	}
	return 6
}

// maxTSO is as much payload as a frame to be cut may have here; PAYLEN could say
// more.
const maxTSO = 1 << 16

// orders checks what a frame asks for against its context and itself; what is
// wrong is said in words, "" if nothing is.
func (c *chain) orders(q *txQueue) string {
	index := binary.LittleEndian.Uint32(c.first[12:]) >> 4 & 7
	if index > 1 || q.contextSet>>index&1 == 0 {
		return "offload asked for and no context descriptor was given"
	}
	x, known := contextOf(&q.contexts[index])
	c.context = x
	l4 := x.MACLen + x.IPLen
	switch {
	case x.MACLen < header:
		return "context with a MACLEN shorter than an Ethernet header"
	case c.asks&(askTXSM|askTSE) != 0 && !known:
		return "context with an L4T that is not modelled: only UDP and TCP"
	case c.asks&askIXSM != 0 && (!x.IPv4 || x.IPLen < ipv4Header || l4 > c.size):
		return "IXSM, and the context does not have an IPv4 header inside the frame"
	case c.asks&askTXSM != 0 && l4+x.csumOffset()+2 > c.size:
		return "TXSM, and the checksum of the context lies outside of the frame"
	case c.asks&askVLE != 0 && c.asks&askTSE == 0 && c.size+tagSize > MaxFrame-fcs:
		return "VLE, and the frame is too long with its tag"
	case c.asks&askTSE != 0:
		return c.tsoOrders(l4 + x.L4Len)
	}
	return ""
}

// tsoOrders is orders of a frame that is to be cut behind size bytes of headers.
func (c *chain) tsoOrders(size int) string {
	x := &c.context
	switch {
	case x.MSS == 0:
		return "TSE with an MSS of 0"
	case !x.TCP:
		return "TSE with an L4T that is not TCP"
	case c.asks&askTXSM == 0 || x.IPv4 && c.asks&askIXSM == 0:
		return "TSE without TXSM, or without IXSM for IPv4: segments would have wrong sums"
	case size >= c.size:
		return "TSE with headers that are longer than the frame"
	case c.size-size > maxTSO:
		return "TSE with more than 64 KiB of payload"
	case size+x.MSS+fcs+tagSize > MaxFrame:
		return "TSE with segments longer than 9.5 KiB"
	}
	return ""
}

// errContext says that a context has other headers than its frame.
var errContext = errors.New("nic: the context has other headers than the frame")

// startTSO looks at a frame that is to be cut, and leaves the segmenter at its
// first segment.
func (n *NIC) startTSO(c *chain) error {
	x := &c.context
	m := offload.Meta{GSO: offload.GSOTCPv6, GSOSize: uint16(x.MSS), NeedsCsum: true}
	if x.IPv4 {
		m.GSO = offload.GSOTCPv4
	}
	if err := n.segmenter.Start(n.parts, m); err != nil {
		return err
	}
	if n.segmenter.HeaderLen() != x.MACLen+x.IPLen+x.L4Len {
		return errContext
	}
	return nil
}

// leaveCut is leave for a frame that is cut on its way: its headers are fetched
// once, its payload in pieces as long as a segment, each when the transmit packet
// buffer has room for it, and each is a frame on the wire.
func (n *NIC) leaveCut(queue int, c *chain, tag Tag, b *txBurst) {
	hdr := n.segmenter.HeaderLen()
	c.tlps = tlps(hdr)
	spent := sim.Time(uint64(c.descs)*n.price.txFetch + n.price.txEach + uint64(hdr)*n.price.txByte + c.tlps*n.price.tlp)
	at, frames := n.txFree, uint64(0)
	for {
		hdr, payload, _, ok := n.segmenter.Next()
		if !ok {
			break
		}
		size := copy(n.frame[:], hdr)
		for _, p := range payload {
			size += copy(n.frame[size:], p)
		}
		piece := size - len(hdr)
		t := tlps(piece)
		c.tlps += t
		spent += sim.Time(n.price.txEach + uint64(piece)*n.price.txByte + t*n.price.tlp)
		data := n.pad(n.tagged(c, n.frame[:size]))
		fetched := n.room(at, len(data)) + spent
		n.putOut(queue, tag, c, data, fetched, frames == 0, b)
		at, spent = fetched, 0
		frames++
	}
	n.txFree = at
	if c.report >= 0 {
		n.txFree += n.price.txDone
		b.done++
	}
	n.segmented += frames - 1
	n.hash.Add(trace.Record{At: at, Kind: trace.Segmented, Who: uint32(queue), A: tag.ID, B: frames})
	b.parts += 1 + frames
	b.bytes += uint64(c.size)
	b.tlps += c.tlps
}

// leaveDone is leave for a frame that asks the device to do something with it.
func (n *NIC) leaveDone(queue int, c *chain, tag Tag, b *txBurst) {
	if c.asks&askTSE != 0 {
		n.leaveCut(queue, c, tag, b)
		return
	}
	data := n.finished(c, n.gather(c)[:c.size])
	start := n.room(n.txFree, len(data))
	descs := uint64(c.descs)
	fetched := start + sim.Time(descs*(n.price.txFetch+n.price.txEach)+uint64(c.size)*n.price.txByte+c.tlps*n.price.tlp)
	n.putOut(queue, tag, c, data, fetched, true, b)
	n.txFree = fetched
	if c.report >= 0 {
		n.txFree += n.price.txDone
		b.done++
	}
	b.parts += descs
	b.bytes += uint64(c.size)
	b.tlps += c.tlps
}

// finished is a frame as it goes out: summed and tagged as it asked.
func (n *NIC) finished(c *chain, data []byte) []byte {
	x := &c.context
	if c.asks&askIXSM != 0 {
		ip := data[x.MACLen : x.MACLen+x.IPLen]
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^offload.Sum(ip, 0))
	}
	if c.asks&askTXSM != 0 {
		m := offload.Meta{NeedsCsum: true, CsumStart: uint16(x.MACLen + x.IPLen), CsumOffset: uint16(x.csumOffset())}
		offload.Complete([][]byte{data}, &m)
	}
	return n.pad(n.tagged(c, data))
}

// tagged puts the tag in front of a frame in n.frame, if that was asked for.
func (n *NIC) tagged(c *chain, data []byte) []byte {
	if c.asks&askVLE == 0 {
		return data
	}
	return n.insert(data, c.context.VLAN)
}

// pad makes a frame in n.frame as long as frames are at least.
func (n *NIC) pad(data []byte) []byte {
	size := len(data)
	for size < minFrame {
		n.frame[size] = 0
		size++
	}
	return n.frame[:size]
}

// putOut gives a frame that was fetched to the wire, where it is when the link is
// free.
func (n *NIC) putOut(queue int, tag Tag, c *chain, data []byte, fetched sim.Time, first bool, b *txBurst) {
	if n.vt != nil && n.vt.on {
		n.putOutVT(queue, tag, c, data, fetched, first, b)
		return
	}
	n.putOnWire(queue, tag, c, data, fetched, first, b)
}

// insert puts a tag into a frame in n.frame, behind the addresses.
func (n *NIC) insert(data []byte, tag uint16) []byte {
	const at = 12
	out := n.frame[:len(data)+tagSize]
	copy(out[at+tagSize:], data[at:])
	binary.BigEndian.PutUint16(out[at:], uint16(n.vet))
	binary.BigEndian.PutUint16(out[at+2:], tag)
	return out
}

// putOnWire is putOut where there is no switch, or behind it.
func (n *NIC) putOnWire(queue int, tag Tag, c *chain, data []byte, fetched sim.Time, first bool, b *txBurst) {
	size := len(data)
	out := max(fetched, n.link.txOut) + n.link.span(onWire(size))
	n.link.txOut = out + n.link.gap
	*n.leaving.add() = leaving{out, size}
	n.leavingN += size
	b.frames++
	b.frameBytes += uint64(size)
	n.countGroup(data)
	n.hash.Add(trace.Record{At: out, Kind: trace.Sent, A: tag.ID, B: trace.Bytes(data)})
	if n.sink != nil {
		n.showSent(queue, tag.ID, fetched, out, data, c, first)
	}
	n.out = WireFrame{ID: tag.ID, At: out, Data: data}
	n.wire.Transmit(&n.out)
}

// countGroup counts frames to groups.
func (n *NIC) countGroup(data []byte) {
	if data[0]&groupBit == 0 {
		return
	}
	if binary.LittleEndian.Uint64(data)&addrMask == broadcast {
		n.stats.bptc++
	} else {
		n.stats.mptc++
	}
}

// badOrders drops a frame whose offload cannot be done.
func (n *NIC) badOrders(c *chain, queue int, now sim.Time, what string) {
	v := uint64(binary.LittleEndian.Uint32(c.first[12:]))<<32 | uint64(binary.LittleEndian.Uint32(c.first[8:]))
	n.badChain(c, queue, n.tx[queue].fetch, now, cost.NICTxBad, v, what)
}
