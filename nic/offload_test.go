package nic_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/offload"
	"ringside/sim"
)

// segmentTo is a TCP or UDP frame over IPv4 or IPv6 with n bytes of payload, sums
// right, to a station that is not here.
func segmentTo(v6, udp bool, n int) []byte {
	b := []byte(otherMAC + hostMAC + "\x08\x00")
	l4 := 20
	if udp {
		l4 = 8
	}
	proto := byte(6)
	if udp {
		proto = 17
	}
	if v6 {
		b[12], b[13] = 0x86, 0xDD
		b = append(b, 0x60, 0, 0, 0, byte((l4+n)>>8), byte(l4+n), proto, 64)
		b = append(append(b, make([]byte, 15)...), 1)
		b = append(append(b, make([]byte, 15)...), 2)
	} else {
		b = append(b, 0x45, 0, byte((20+l4+n)>>8), byte(20+l4+n), 0, 7, 0x40, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
		binary.BigEndian.PutUint16(b[24:], ^offload.Sum(b[14:34], 0))
	}
	at := len(b)
	if udp {
		b = append(b, 16, 1, 0, 80, byte((8+n)>>8), byte(8+n), 0, 0)
	} else {
		b = append(b, 16, 1, 0, 80, 0, 0, 1, 0, 0, 0, 0, 9, 0x50, 0x18, 1, 0xF5, 0, 0, 0, 0)
	}
	for i := range n {
		b = append(b, byte(i)^byte(i>>8)*3)
	}
	m := half(b, at, udp)
	offload.Complete([][]byte{b}, &m)
	return b
}

// half leaves the checksum of a frame half done.
func half(b []byte, l4 int, udp bool) offload.Meta {
	from, offset, proto := 26, 16, uint16(6)
	if l4 > 34 {
		from = 22
	}
	if udp {
		offset, proto = 6, 17
	}
	sum := offload.Sum(b[from:l4], offload.Sum([]byte{0, byte(proto), byte((len(b) - l4) >> 8), byte(len(b) - l4)}, 0))
	binary.BigEndian.PutUint16(b[l4+offset:], sum)
	return offload.Meta{NeedsCsum: true, CsumStart: uint16(l4), CsumOffset: uint16(offset)}
}

func context4(l4 int) nic.TxContext {
	return nic.TxContext{MACLen: 14, IPLen: 20, L4Len: l4, IPv4: true, TCP: true}
}

func context6(l4 int) nic.TxContext {
	return nic.TxContext{MACLen: 14, IPLen: 40, L4Len: l4, TCP: true}
}

// cutUp is what a frame is cut into.
func cutUp(t *testing.T, frame []byte, kind offload.GSO, mss int) (list [][]byte) {
	require.NoError(t, offload.Segment([][]byte{frame}, offload.Meta{GSO: kind, GSOSize: uint16(mss), NeedsCsum: true}, func(hdr []byte, payload [][]byte, _ offload.Meta) {
		list = append(list, bytes.Join(append([][]byte{hdr}, payload...), nil))
	}))
	return list
}

func sentBytes(d *nictest.Driver) (list [][]byte) {
	for _, f := range d.Wire.Sent {
		list = append(list, f.Data)
	}
	return list
}

func TestALongFrameIsCutOnItsWayOut(t *testing.T) {
	for _, piece := range []int{2000, 1460, 333} {
		d := up(t, nic.Config{}, nictest.Options{})
		data := segmentTo(false, false, 4000)
		x := context4(20)
		x.MSS = 1460
		d.Ask(0, nic.Tag{ID: 9}, data, piece, x, nic.TxTSE, nic.TxIXSM|nic.TxTXSM)
		want := cutUp(t, data, offload.GSOTCPv4, 1460)
		require.Equal(t, want, sentBytes(d))
		for _, f := range d.Wire.Sent {
			assert.LessOrEqual(t, len(f.Data), 1514)
			assert.EqualValues(t, 9, f.ID)
		}
		assert.Equal(t, uint64(2), d.NIC.Counts().Segmented)
		assert.EqualValues(t, 3, d.NIC.Counts().Sent)
		assert.EqualValues(t, 3, d.Read(nic.TPT))

		// Headers are fetched once, the payload in pieces of a segment.
		line := d.Account.Line(cost.DevTxDMA)
		assert.Equal(t, cost.Line{Count: 4, Bytes: 4054}, line)
		assert.Equal(t, uint64(1+6+6+5), d.Account.Line(cost.DevTLP).Count)
		d.Now += 100 * us
		clean(t, d)
	}
}

func TestIPv6IsCutWithoutIXSM(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	data := segmentTo(true, false, 3000)
	x := context6(20)
	x.MSS = 1440
	d.Ask(0, nic.Tag{}, data, 2000, x, nic.TxTSE, nic.TxTXSM)
	require.Equal(t, cutUp(t, data, offload.GSOTCPv6, 1440), sentBytes(d))
	clean(t, d)
}

// The device is busy with a frame that it cuts for as long as its account is
// charged, and puts the pieces on the wire one behind the other.
func TestCuttingTakesItsTime(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true})
	d.Now = us
	x := context4(20)
	x.MSS = 970
	before := d.Account.Ticks()
	d.Ask(0, nic.Tag{}, segmentTo(false, false, 1940), 0, x, nic.TxTSE, nic.TxIXSM|nic.TxTXSM)
	const head, piece = 1 + 1, 1 + 4 // DMA and transactions, one nanosecond each
	first := us + (2+2)*ns + head*ns + piece*ns
	span := func(n int) sim.Time { return sim.Time(n+12) * 800 * sim.Picosecond }
	require.Len(t, d.Wire.Sent, 2)
	assert.Equal(t, first+span(1024), d.Wire.Sent[0].At)
	assert.Equal(t, d.Wire.Sent[0].At+12*800*sim.Picosecond+span(1024), d.Wire.Sent[1].At, "the wire is the narrow place")
	done := first + piece*ns + 2*ns
	d.Now = done - 1
	assert.False(t, d.Tx[0].Tx(1).Done())
	d.NIC.CatchUp(done)
	d.Now = done
	assert.Equal(t, 1, reapAll(d))
	assert.EqualValues(t, done-us, d.Account.Ticks()-before, "charged for as long as it took")
}

// reapAll is Reap where context descriptors, which do not report, lie between.
func reapAll(d *nictest.Driver) (frames int) {
	d.NIC.CatchUp(d.Now)
	for i := range d.Tx[0].Len() {
		if d.Tx[0].Tx(i).Done() {
			frames++
		}
	}
	return frames
}

func TestSumsAndTagsOnTheWayOut(t *testing.T) {
	tcp4, udp4, tcp6 := segmentTo(false, false, 101), segmentTo(false, true, 1), segmentTo(true, false, 800)
	for _, c := range []struct {
		name      string
		whole     []byte
		l4        int
		udp       bool
		spoil     bool // the IPv4 sum
		x         nic.TxContext
		cmd, opts uint32
		tag       string
	}{
		{"TCP over IPv4", tcp4, 34, false, false, context4(0), 0, nic.TxTXSM, ""},
		{"UDP over IPv4, padded", udp4, 34, true, false, nic.TxContext{MACLen: 14, IPLen: 20, IPv4: true}, 0, nic.TxTXSM, ""},
		{"TCP over IPv6", tcp6, 54, false, false, context6(0), 0, nic.TxTXSM, ""},
		{"both sums", tcp4, 34, false, true, context4(0), 0, nic.TxTXSM | nic.TxIXSM, ""},
		{"a tag", tcp4, 0, false, false, nic.TxContext{MACLen: 14, VLAN: 0x2007}, nic.TxVLE, 0, "\x81\x00\x20\x07"},
		{"a tag and sums, by the other context", tcp4, 34, false, true, nic.TxContext{Index: 1, MACLen: 14, IPLen: 20, IPv4: true, TCP: true, VLAN: 5}, nic.TxVLE, nic.TxTXSM | nic.TxIXSM, "\x81\x00\x00\x05"},
	} {
		for _, piece := range []int{0, 40} {
			d := up(t, nic.Config{}, nictest.Options{})
			in := bytes.Clone(c.whole)
			if c.l4 > 0 {
				half(in, c.l4, c.udp)
			}
			if c.spoil {
				in[24] ^= 0x55
			}
			d.Ask(0, nic.Tag{}, in, piece, c.x, c.cmd, c.opts)
			want := append([]byte(c.tag), c.whole[12:]...)
			want = append(bytes.Clone(c.whole[:12]), want...)
			for len(want) < 60 {
				want = append(want, 0)
			}
			require.Len(t, d.Wire.Sent, 1, c.name)
			require.Equal(t, want, d.Wire.Sent[0].Data, c.name)
			clean(t, d)
		}
	}
}

func TestSegmentsAreTagged(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	data := segmentTo(false, false, 2000)
	x := context4(20)
	x.MSS, x.VLAN = 1460, 77
	d.Ask(0, nic.Tag{}, data, 2000, x, nic.TxTSE|nic.TxVLE, nic.TxIXSM|nic.TxTXSM)
	for i, f := range cutUp(t, data, offload.GSOTCPv4, 1460) {
		want := append(append(bytes.Clone(f[:12]), 0x81, 0, 0, 77), f[12:]...)
		require.Equal(t, want, d.Wire.Sent[i].Data)
	}
	clean(t, d)
}

// A context stays until another one of its number comes, and a frame says which of
// the two it means.
func TestTwoContextsAQueue(t *testing.T) {
	d := up(t, nic.Config{Queues: 2}, nictest.Options{})
	data := segmentTo(false, false, 100)
	d.Ask(0, nic.Tag{}, data, 0, nic.TxContext{Index: 0, MACLen: 14, VLAN: 10}, nic.TxVLE, 0)
	d.Ask(0, nic.Tag{}, data, 0, nic.TxContext{Index: 1, MACLen: 14, VLAN: 11}, nic.TxVLE, 0)
	r := d.Tx[0]
	for _, index := range []uint32{0, 1, 0} { // no context of their own
		copy(d.Memory.Bytes(r.Buffers[r.Use], len(data)), data)
		r.Tx(r.Use).Give(uint64(r.Buffers[r.Use]), len(data), nic.TxEOP|nic.TxIFCS|nic.TxRS|nic.TxVLE, len(data))
		r.Tx(r.Use).Ask(index << nic.TxIDXShift)
		r.Use++
	}
	d.Write(nic.TDT(0), r.Use)
	var tags []byte
	for _, f := range d.Wire.Sent {
		tags = append(tags, f.Data[15])
	}
	assert.Equal(t, []byte{10, 11, 10, 11, 10}, tags)
	clean(t, d)

	other := d.Tx[1] // the other queue has none
	copy(d.Memory.Bytes(other.Buffers[0], len(data)), data)
	other.Tx(0).Give(uint64(other.Buffers[0]), len(data), nic.TxEOP|nic.TxIFCS|nic.TxRS|nic.TxVLE, len(data))
	d.Write(nic.TDT(1), 1)
	assert.Equal(t, 1, drops(d, cost.NICTxBad))
}

func TestContextsThatLie(t *testing.T) {
	data := segmentTo(false, false, 3000)
	const tso, sums = nic.TxTSE, nic.TxIXSM | nic.TxTXSM
	with := func(change func(*nic.TxContext)) nic.TxContext {
		x := context4(20)
		x.MSS = 1000
		change(&x)
		return x
	}
	for _, c := range []struct {
		name      string
		x         nic.TxContext
		cmd, opts uint32
		what      string
	}{
		{"MSS 0", with(func(x *nic.TxContext) { x.MSS = 0 }), tso, sums, "MSS of 0"},
		{"UDP", with(func(x *nic.TxContext) { x.TCP = false }), tso, sums, "L4T that is not TCP"},
		{"no TXSM", with(func(*nic.TxContext) {}), tso, nic.TxIXSM, "without TXSM"},
		{"no IXSM", with(func(*nic.TxContext) {}), tso, nic.TxTXSM, "without TXSM, or without IXSM"},
		{"headers longer than the frame", with(func(x *nic.TxContext) { x.IPLen, x.L4Len = 511, 255; x.MACLen = 127 }), tso, sums, "the context has other headers"},
		{"headers that end elsewhere", with(func(x *nic.TxContext) { x.L4Len = 24 }), tso, sums, "the context has other headers"},
		{"IPv6 in the context", with(func(x *nic.TxContext) { x.IPv4 = false }), tso, sums, "IXSM, and the context does not have an IPv4 header"},
		{"IPv6 in the context, TXSM alone", with(func(x *nic.TxContext) { x.IPv4 = false }), tso, nic.TxTXSM, "cannot be segmented"},
		{"segments longer than a frame", with(func(x *nic.TxContext) { x.MSS = 9700 }), tso, sums, "segments longer"},
		{"MACLEN 13", with(func(x *nic.TxContext) { x.MACLen = 13 }), 0, nic.TxTXSM, "MACLEN shorter"},
		{"IPLEN 19", with(func(x *nic.TxContext) { x.IPLen = 19 }), 0, nic.TxIXSM, "IXSM"},
		{"a context index that is not there", with(func(x *nic.TxContext) {}), 0, nic.TxTXSM | 4<<nic.TxIDXShift, "no context"},
	} {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Ask(0, nic.Tag{ID: 3}, data, 700, c.x, c.cmd, c.opts)
		assert.Empty(t, d.Wire.Sent, c.name)
		assert.Equal(t, 1, drops(d, cost.NICTxBad), c.name)
		list, _ := d.NIC.Misuses()
		if assert.NotEmpty(t, list, c.name) {
			assert.Contains(t, list[0].String(), c.what, c.name)
		}
		require.NoError(t, d.NIC.Check())

		d.Now += 100 * us // and it goes on
		d.Send(0, nic.Tag{}, frame(1, otherMAC, 100).Data, 0)
		assert.Len(t, d.Wire.Sent, 1, c.name)
	}
}

func TestASumOutsideOfAShortFrame(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	d.Ask(0, nic.Tag{}, frame(1, otherMAC, 51).Data, 0, context4(0), 0, nic.TxTXSM)
	d.Ask(0, nic.Tag{}, frame(1, otherMAC, 33).Data, 0, context4(0), 0, nic.TxIXSM)
	assert.Equal(t, 2, drops(d, cost.NICTxBad))
	d.Ask(0, nic.Tag{}, frame(1, otherMAC, 52).Data, 0, context4(0), 0, nic.TxTXSM)
	assert.Len(t, d.Wire.Sent, 1)
}

// What the device says of sums, a row each, with all that RXCSUM has on.
func TestReceivedSumsAreVerified(t *testing.T) {
	const ip, l4 = nic.RxIPCS, nic.RxTCPCS
	spoil := func(b []byte, at int) []byte { b[at] ^= 0x10; return b }
	for _, c := range []struct {
		name string
		data []byte
		want uint32
	}{
		{"TCP", segmentTo(false, false, 100), ip | l4},
		{"UDP", segmentTo(false, true, 100), ip | l4 | nic.RxUDPCS},
		{"TCP over IPv6", segmentTo(true, false, 100), l4},
		{"payload spoilt", spoil(segmentTo(false, false, 100), 100), ip | l4 | nic.RxTCPE},
		{"UDP spoilt", spoil(segmentTo(false, true, 100), 100), ip | l4 | nic.RxUDPCS | nic.RxTCPE},
		{"IP header spoilt", spoil(segmentTo(false, false, 100), 22), ip | l4 | nic.RxIPE},
		{"not IP", frame(1, hostMAC, 100).Data, 0},
		{"a fragment", spoil(segmentTo(false, false, 100), 21), ip | nic.RxIPE},
	} {
		copy(c.data, hostMAC)
		for _, size := range []int{64 << 10, 1 << 10} { // straight, and by the packet buffer
			d := up(t, nic.Config{FIFO: size}, nictest.Options{})
			d.Write(nic.RXCSUM, uint32(nic.RxcsumIPOFLD|nic.RxcsumTUOFLD))
			d.Wire.Play(nic.WireFrame{ID: 1, Data: c.data})
			d.Now += 10 * us
			got := d.Harvest(0)
			require.Len(t, got, 1, c.name)
			assert.Equal(t, c.want|nic.RxDD|nic.RxEOP, got[0].Status, c.name)
			assert.Equal(t, c.data, got[0].Data)
			clean(t, d)
		}
	}
	for reg, want := range map[nic.Rxcsum]uint32{0: 0, nic.RxcsumIPOFLD: ip, nic.RxcsumTUOFLD: l4} {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.RXCSUM, uint32(reg))
		data := segmentTo(false, false, 100)
		copy(data, hostMAC)
		d.Wire.Play(nic.WireFrame{Data: data})
		d.Now += 10 * us
		assert.Equal(t, want|nic.RxDD|nic.RxEOP, d.Harvest(0)[0].Status)
	}
}

func TestTagsAreStripped(t *testing.T) {
	plain := segmentTo(false, false, 100)
	copy(plain, hostMAC)
	with := func(tag string) []byte { return append(append(bytes.Clone(plain[:12]), tag...), plain[12:]...) }
	for _, c := range []struct {
		name string
		ext  bool
		data []byte
		want []byte
		tag  uint16
	}{
		{"none", false, plain, plain, 0},
		{"one", false, with("\x81\x00\xA0\x07"), plain, 0xA007},
		{"the first of two", false, with("\x81\x00\x00\x07\x81\x00\x00\x08"), with("\x81\x00\x00\x08"), 7},
		{"behind an outer one", true, with("\x81\x00\x00\x07\x81\x00\x00\x08"), with("\x81\x00\x00\x07"), 8},
		{"of another type", false, with("\x88\xA8\x00\x07"), with("\x88\xA8\x00\x07"), 0},
	} {
		d := up(t, nic.Config{}, nictest.Options{})
		d.Write(nic.CTRL, uint32(nic.CtrlFD|nic.CtrlSLU|nic.CtrlVME))
		if c.ext {
			d.Write(nic.CTRL_EXT, uint32(nic.CtrlExtEXTVLAN))
		}
		d.Write(nic.RXCSUM, uint32(nic.RxcsumTUOFLD))
		d.Wire.Play(nic.WireFrame{ID: 1, Data: c.data}, nic.WireFrame{ID: 2, Data: plain})
		d.Now += 10 * us
		got := d.Harvest(0)
		require.Len(t, got, 2, c.name)
		assert.Equal(t, c.want, got[0].Data, c.name)
		assert.Equal(t, c.tag, got[0].VLAN, c.name)
		assert.Equal(t, c.tag != 0, got[0].Status&nic.RxVP != 0, c.name)
		assert.NotZero(t, got[0].Status&nic.RxTCPCS, "%s: the sum is found behind tags", c.name)
		assert.Equal(t, plain, got[1].Data, c.name)
		assert.EqualValues(t, len(c.data)+len(plain)+8, d.Read(nic.GORCL), "%s: octets of the wire", c.name)
		clean(t, d)
	}
}
