package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringside/offload"
	"ringside/sim"
)

// A scribe makes packets from bytes: sound where the bytes do not say otherwise, so
// that they reach the code behind the first check.
type scribe struct{ b []byte }

func (s *scribe) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *scribe) take(n int) []byte {
	n = min(n, len(s.b))
	p := s.b[:n]
	s.b = s.b[n:]
	return p
}

// addresses that mean something to the stack under test.
var (
	fuzz4 = []string{"10.0.0.9", "10.0.0.254", "10.0.1.9", "10.0.1.254", "10.0.1.77", "224.0.0.1", "255.255.255.255", "10.0.0.255", "127.0.0.1", "0.0.0.0"}
	fuzz6 = []string{"fd00::9", "fd00::fe", "fd01::9", "fd01::fe", "fd01::77", "ff02::1", "ff02::1:ff00:fe", "fe80::9", "::1", "::"}
)

// frame is the next frame, and what travels beside it.
func (s *scribe) frame() ([]byte, offload.Meta) {
	kind := s.byte()
	eth := make([]byte, 14)
	copy(eth, [][]byte{{2, 0, 0, 0, 0, 3}, allStations[:], {0x33, 0x33, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 99}}[kind>>6])
	copy(eth[6:], peerMAC[:])
	var m offload.Meta
	if kind&0x20 != 0 {
		m.Valid = true
	}
	var body []byte
	var proto uint16
	switch kind % 5 {
	case 0, 1:
		proto, body = 0x0800, s.ip4()
	case 2, 3:
		proto, body = 0x86dd, s.ip6()
	default:
		proto, body = 0x0806, s.arp()
	}
	if kind&0x10 != 0 { // spoilt, or cut off
		if n := int(s.byte()); n < len(body) {
			body[n] ^= s.byte()
		}
		body = body[:max(0, len(body)-int(s.byte()%64))]
	}
	binary.BigEndian.PutUint16(eth[12:], proto)
	return append(eth, body...), m
}

func (s *scribe) ip4() []byte {
	options := s.take(int(s.byte()%11) * 4)
	options = append([]byte(nil), options[:len(options)/4*4]...)
	frag, proto := s.byte(), []byte{1, 6, 17, 2, 253}[s.byte()%5]
	src, dst := netip.MustParseAddr(fuzz4[int(s.byte())%len(fuzz4)]).As4(), netip.MustParseAddr(fuzz4[int(s.byte())%len(fuzz4)]).As4()
	h := make([]byte, 20+len(options))
	payload := s.transport(proto, src[:], dst[:])
	h[0], h[1], h[8], h[9] = 0x40|byte(len(h)/4), s.byte(), 1+s.byte(), proto
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(payload)))
	h[5] = s.byte() % 3 // few identifications, so that fragments meet
	if frag&0x80 != 0 {
		binary.BigEndian.PutUint16(h[6:], uint16(frag&0x60)<<8|uint16(frag&0x1f))
	}
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	copy(h[20:], options)
	binary.BigEndian.PutUint16(h[10:], ^checksum.Checksum(h, 0))
	return append(h, payload...)
}

func (s *scribe) ip6() []byte {
	src, dst := netip.MustParseAddr(fuzz6[int(s.byte())%len(fuzz6)]).As16(), netip.MustParseAddr(fuzz6[int(s.byte())%len(fuzz6)]).As16()
	proto := []byte{58, 6, 17, 59, 253}[s.byte()%5]
	var chain []byte
	next := proto
	for n := s.byte() % 4; n > 0; n-- { // extension headers, the last first
		kind := []byte{0, 43, 44, 60}[s.byte()%4]
		ext := append(make([]byte, 2), s.take(6)...)
		ext = append(ext, make([]byte, 8-len(ext))...)
		ext[0] = next
		if kind == 44 {
			ext[1], ext[2], ext[4], ext[5], ext[6] = 0, 0, 0, 0, 0
		}
		chain, next = append(ext, chain...), kind
	}
	payload := s.transport(proto, src[:], dst[:])
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, []byte{255, 1, 64, 0}[s.byte()%4]
	binary.BigEndian.PutUint16(h[4:], uint16(len(chain)+len(payload)))
	copy(h[8:], src[:])
	copy(h[24:], dst[:])
	return append(append(h, chain...), payload...)
}

// transport is a payload of a protocol with the sum put right.
func (s *scribe) transport(proto byte, src, dst []byte) []byte {
	p := append(make([]byte, 8), s.take(int(s.byte()))...)
	at := 0
	switch proto {
	case 17:
		copy(p, []byte{0, 7, 0x1e, 0x61 + s.byte()%2}) // port 7777, where somebody listens, or 7778
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)))
		at = 6
	case 6:
		p = append(p, make([]byte, 12)...)
		copy(p, []byte{0, 7, 0, 80 + s.byte()%2})
		p[12], p[13], at = 0x50, s.byte(), 16
	case 1:
		if s.byte()&1 != 0 { // an error that quotes a packet
			p = append(p[:8:8], s.ip4()...)
		}
		p[0], p[1], at = s.byte()%20, s.byte()%6, 2
	case 58:
		if s.byte()&1 != 0 {
			p = append(p[:8:8], s.ip6()...)
		}
		p[0], p[1], at = []byte{1, 2, 3, 4, 128, 129, 133, 134, 135, 136, 137, 130}[s.byte()%12], s.byte()%3, 2
	default:
		return p
	}
	p[at], p[at+1] = 0, 0
	sum := uint16(0)
	if proto != 1 {
		sum = checksum.Combine(checksum.Checksum(src, 0), checksum.Checksum(dst, 0))
		sum = checksum.Combine(sum, checksum.Combine(uint16(proto), uint16(len(p))))
	}
	binary.BigEndian.PutUint16(p[at:], ^checksum.Checksum(p, sum))
	return p
}

func (s *scribe) arp() []byte {
	b := append([]byte(nil), arpKind[:]...)
	b = append(b, 0, 1+s.byte()%2)
	b = append(b, peerMAC[:]...)
	for range 2 {
		a := netip.MustParseAddr(fuzz4[int(s.byte())%len(fuzz4)]).As4()
		b = append(append(b, a[:]...), make([]byte, 6)...)
	}
	return append(b[:24], b[24:28]...)
}

// played is what a router with sockets does with frames that are made of bytes.
func played(t testing.TB, data []byte, masquerade bool) (sum string, out [][]byte, metas []offload.Meta) {
	w := newWorld(t, 1)
	r := w.stack("router", func(c *Config) { c.Forward = true })
	in := w.ifaceWith(r, InterfaceConfig{MAC: [6]byte{2, 0, 0, 0, 0, 3}, RxChecksum: true}, 0, "10.0.0.254/24", "fd00::fe/64")
	far := w.iface(r, 4, 0, "10.0.1.254/24", "fd01::fe/64")
	in.keep, far.keep = true, true
	if masquerade {
		require.NoError(t, r.Masquerade("eth1", netip.MustParsePrefix("10.0.0.0/24")))
	}
	for _, network := range []string{"udp4", "udp6"} {
		k := w.open(r, network, map[string]string{"udp4": "0.0.0.0:7777", "udp6": "[::]:7777"}[network])
		var buf [70000]byte
		w.wake(k, func() {
			for {
				n, from, errno := k.ReadFrom(buf[:])
				if errno != 0 {
					return
				}
				k.WriteTo(buf[:n], from)
			}
		})
	}
	l := w.open(r, "tcp4", "0.0.0.0:80")
	l.Listen(4)
	delivered := uint64(0)
	for s := (&scribe{data}); len(s.b) > 0 && delivered < 40; delivered++ {
		b, m := s.frame()
		cut := min(len(b), int(s.byte()))
		in.i.Deliver(&Packet{Parts: [][]byte{b[:cut], b[cut:]}, Len: len(b), Meta: m})
		r.Poll()
		w.run(sim.Time(s.byte()) * 40 * sim.Millisecond)
	}
	w.run(200 * sim.Second)
	st := in.i.Stats()
	require.Equal(t, delivered, st.RxFrames)
	require.Equal(t, uint64(len(in.gone)+len(far.gone)), in.i.Stats().TxFrames+far.i.Stats().TxFrames, "what was sent was counted")
	for _, i := range r.ifaces {
		for _, n := range i.neighbours {
			require.NotEqual(t, nudIncomplete, n.state, "asked for for ever")
			require.Empty(t, n.waiting)
		}
	}
	return w.sum(), append(in.gone, far.gone...), append(in.metas, far.metas...)
}

// wellFormed finds what no stack may send: lengths that do not agree, sums that are
// wrong, a time to live of 0.
func wellFormed(t testing.TB, b []byte) {
	t.Helper()
	require.GreaterOrEqual(t, len(b), 14+28, "%x", b)
	require.LessOrEqual(t, len(b), 1514)
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0806:
		require.Len(t, b, 42)
	case 0x0800:
		ip := header.IPv4(b[14:])
		require.True(t, ip.IsValid(len(ip)), "%x", b)
		require.True(t, ip.IsChecksumValid(), "%x", b)
		require.EqualValues(t, len(ip), ip.TotalLength(), "%x", b)
		require.NotZero(t, ip.TTL(), "%x", b)
		if ip.Protocol() == 1 && !ip.More() && ip.FragmentOffset() == 0 && !bytes.Equal(b[6:12], nil) && ip.SourceAddress().As4()[3] == 254 {
			require.EqualValues(t, 0xffff, checksum.Checksum(ip.Payload(), 0), "%x", b)
		}
	case 0x86dd:
		ip := header.IPv6(b[14:])
		require.True(t, ip.IsValid(len(ip)), "%x", b)
		require.EqualValues(t, len(ip)-40, ip.PayloadLength(), "%x", b)
		require.NotZero(t, ip.HopLimit(), "%x", b)
		if ip.NextHeader() == 58 && ip.SourceAddress().As16()[15] == 0xfe {
			sum := header.PseudoHeaderChecksum(58, ip.SourceAddress(), ip.DestinationAddress(), ip.PayloadLength())
			require.EqualValues(t, 0xffff, checksum.Checksum(ip.Payload(), sum), "%x", b)
		}
	default:
		t.Fatalf("a frame of no protocol: %x", b)
	}
	gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
}

// Options and fragments of IPv4, extension headers of IPv6, ARP, ND and ICMP of a
// hostile neighbour: nothing panics, what is sent is well-formed, what is asked for
// is given up, and the same input gives the same output.
func FuzzDeliver(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\x00\x01\x05hello\x00\x00\x00\x00"), false)
	f.Add(bytes.Repeat([]byte{0, 1, 7, 4, 4, 1, 0x80, 2, 0, 2, 9}, 12), true)
	f.Add(bytes.Repeat([]byte{2, 0, 1, 0, 3, 2, 1, 2, 3, 4, 5, 6}, 20), false)
	f.Add(bytes.Repeat([]byte{4, 0, 0, 1, 9, 9}, 20), false)
	f.Add(bytes.Repeat([]byte{0x40, 0xa3, 5, 0, 0x81, 0, 3}, 60), true)
	f.Fuzz(func(t *testing.T, data []byte, masquerade bool) {
		if len(data) > 2000 {
			return
		}
		sum, out, _ := played(t, data, masquerade)
		for _, b := range out {
			wellFormed(t, b)
		}
		again, _, _ := played(t, data, masquerade)
		require.Equal(t, sum, again)
	})
}
