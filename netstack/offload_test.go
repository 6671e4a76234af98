package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
)

// finish does to a frame what a link with all offloads does: it is cut into frames
// with complete checksums.
func finish(t testing.TB, b []byte, m offload.Meta) (frames [][]byte) {
	t.Helper()
	if m.GSO == offload.GSONone {
		b = bytes.Clone(b)
		require.True(t, offload.Complete([][]byte{b}, &m))
		return [][]byte{b}
	}
	require.NoError(t, offload.Segment([][]byte{b}, m, func(hdr []byte, payload [][]byte, left offload.Meta) {
		f := bytes.Join(append([][]byte{hdr}, payload...), nil)
		require.True(t, offload.Complete([][]byte{f}, &left))
		frames = append(frames, f)
	}))
	return frames
}

// With all offloads the stack sends packets of up to 64 KiB; cut and summed they are
// frames that fit, and the bytes arrive.
func TestTCPWithOffloads(t *testing.T) {
	for _, to := range []string{"10.0.0.2:80", "[fd00::2]:80"} {
		w := newWorld(t, 1)
		a, b, pa, pb := w.two(10*sim.Microsecond, func(c *InterfaceConfig) { c.TxChecksum, c.RxChecksum, c.GSOMax = true, true, 65535 })
		pa.keep, pb.keep = true, true
		x := w.transfer(a, b, to, 1_000_000)
		w.run(10 * sim.Second)
		x.check()
		longest, cut := 0, 0
		for n, f := range append(pa.gone, pb.gone...) {
			m := append(pa.metas, pb.metas...)[n]
			longest = max(longest, len(f))
			list := finish(t, f, m)
			for _, s := range list {
				decode(t, s)
				require.LessOrEqual(t, len(s), 1514)
			}
			if m.GSO != offload.GSONone {
				cut++
				assert.Len(t, list, int(m.Segs))
			}
		}
		assert.Greater(t, longest, 40_000)
		assert.LessOrEqual(t, longest, 65549)
		assert.Less(t, pa.n, 150, "packets for 1,000,000 bytes")
		assert.NotZero(t, cut)
		assert.Zero(t, a.Stats().TCPRetransmits)
	}
}

// A link that cuts nothing gets only what fits, whoever sums.
func TestTCPWithChecksumsLeftToTheLink(t *testing.T) {
	w := newWorld(t, 1)
	a, b, pa, _ := w.two(10*sim.Microsecond, func(c *InterfaceConfig) { c.TxChecksum, c.RxChecksum = true, true })
	pa.keep = true
	x := w.transfer(a, b, "10.0.0.2:80", 50_000)
	k := w.open(a, "udp6", "")
	k.WriteTo([]byte("x"), netip.MustParseAddrPort("[fd00::2]:9"))
	w.run(10 * sim.Second)
	x.check()
	half := 0
	for n, f := range pa.gone {
		require.LessOrEqual(t, len(f), 1514)
		if pa.metas[n].NeedsCsum {
			half++
		}
		decode(t, finish(t, f, pa.metas[n])[0])
	}
	assert.Greater(t, half, 30)
}

// Who does not believe what is said of a frame drops one that is half done, and
// one with the wrong sum; who does believes the link.
func TestOnlyALinkThatSumsIsBelieved(t *testing.T) {
	for _, row := range []struct {
		believes bool
		meta     offload.Meta
		spoil    int // byte
		arrives  bool
	}{
		{false, offload.Meta{}, -1, true},
		{false, offload.Meta{}, 45, false},
		{false, offload.Meta{Valid: true}, 45, false},
		{false, offload.Meta{NeedsCsum: true}, 45, false},
		{true, offload.Meta{}, 45, false},
		{true, offload.Meta{Valid: true}, 45, true},
		{true, offload.Meta{NeedsCsum: true}, 45, true},
		{true, offload.Meta{Valid: true}, 22, false}, // the IP header's sum is another matter
	} {
		w := newWorld(t, 1)
		s := w.stack("a")
		p := w.ifaceWith(s, InterfaceConfig{MAC: [6]byte{2, 0, 0, 0, 0, 1}, RxChecksum: row.believes}, 0, "10.0.0.1/24")
		k := w.open(s, "udp4", "10.0.0.1:7777")
		b := udpTo(p.i.MAC(), ip4("10.0.0.9", "10.0.0.1", 17), 1, 7777, "payload")
		if row.spoil >= 0 {
			b[row.spoil] ^= 0x10
		}
		p.i.Deliver(&Packet{Parts: [][]byte{b[:20], b[20:41], b[41:]}, Len: len(b), Meta: row.meta})
		_, errno := k.Read(make([]byte, 10))
		assert.Equal(t, row.arrives, errno == syscall.OK, "%+v", row)
	}
}

// A packet that others have merged is taken whole, however long.
func TestAMergedPacketIsTaken(t *testing.T) {
	w := newWorld(t, 1)
	a, b, pa, pb := w.two(10*sim.Microsecond, func(c *InterfaceConfig) { c.RxChecksum = true })
	pa.i.cfg.GSOMax, pa.i.cfg.TxChecksum = 65535, true
	x := w.transfer(a, b, "10.0.0.2:80", 1_000_000)
	w.run(10 * sim.Second)
	x.check()
	assert.Equal(t, 1500, pb.i.MTU())
	assert.Less(t, b.Stats().TCPReceived, uint64(150))
}

func TestALinkWithoutRoomIsCounted(t *testing.T) {
	w := newWorld(t, 1)
	a, _, pa, _ := w.two(0)
	pa.i.AddNeighbour(netip.MustParseAddr("10.0.0.2"), [6]byte{2, 0, 0, 0, 0, 2})
	k := w.open(a, "udp4", "")
	pa.full = true
	_, errno := k.WriteTo([]byte("x"), netip.MustParseAddrPort("10.0.0.2:9"))
	assert.Contains(t, []syscall.Errno{syscall.OK, syscall.ENOBUFS}, errno)
	assert.EqualValues(t, 1, pa.i.Stats().TxDropped)
	assert.Zero(t, pa.i.Stats().TxFrames)
}

// What Deliver and Send add to gVisor's own allocations is nothing.
func TestDeliverAllocatesNothingOfItsOwn(t *testing.T) {
	w := newWorld(t, 1)
	s := w.stack("a")
	p := w.iface(s, 1, 0, "10.0.0.1/24")
	other := ether([6]byte{2, 0, 0, 0, 0, 77}, 0x0800)
	b := frameOf(other, ip4("10.0.0.9", "10.0.0.1", 17))
	pkt := &Packet{Parts: [][]byte{b}, Len: len(b)}
	assert.Zero(t, testing.AllocsPerRun(100, func() { p.i.Deliver(pkt) }), "for another host")
	arp := arpFor("10.0.0.1")
	pkt = &Packet{Parts: [][]byte{arp}, Len: len(arp)}
	quiet := &deaf{}
	p.i.cfg.Link = quiet
	p.i.Deliver(pkt)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { p.i.Deliver(pkt) }), 1.0, "an ARP question")
	assert.NotZero(t, quiet.n)
}

// A deaf link takes everything and keeps nothing.
type deaf struct{ n int }

func (d *deaf) Send(*Packet) bool { d.n++; return true }
