package vxlan

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"ringside/cost"
	"ringside/sim"
)

// An event is one thing that happens to a VTEP: a frame that its interface sends, or
// the payload of a packet that comes to its port.
type event struct {
	out   bool
	frame []byte // or payload, with its header
	from  netip.Addr
	tos   uint8
	at    sim.Time
}

// A subject is something that events happen to: the VTEP, the model, a kernel. What
// comes of an event is told in words, so that any two can be compared.
type subject interface {
	happen(event) []string
	table() []string
}

// told is a packet of the underlay in words, but for its source port, which every host
// chooses by its own seed.
func told(o Out, payload []byte) string {
	return fmt.Sprintf("to %v tos %#02x ttl %d df %v sum %v payload %x", o.To, o.TOS, o.TTL, o.DF, o.Checksum, payload)
}

// ours is a VTEP on a socket.
type ours struct {
	v *VTEP
	s Socket
}

func newOurs(c Config) *ours {
	v, err := New(c)
	if err != nil {
		panic(err)
	}
	o := &ours{v: v}
	if err := o.s.Add(v); err != nil {
		panic(err)
	}
	return o
}

func (o *ours) happen(e event) (list []string) {
	o.v.Tick(e.at)
	if e.out {
		enc := o.v.Encap(e.frame, len(e.frame))
		for _, p := range enc.Out {
			if p.TTL == 0 {
				p.TTL = 64
			}
			list = append(list, told(p, append(p.Header[:], e.frame...)))
		}
		if enc.Reason != cost.NotDropped {
			return []string{"drop " + enc.Reason.String()}
		}
		return list
	}
	payload := slices.Clone(e.frame)
	d := o.s.Decap(payload, len(payload), e.from, e.tos, e.at)
	if d.Reason != cost.NotDropped {
		return []string{"drop " + d.Reason.String()}
	}
	if d.ECN != NotECT {
		SetECN(payload[HeaderLen:], d.ECN)
	}
	return []string{fmt.Sprintf("frame %x", payload[HeaderLen:])}
}

func (o *ours) table() (list []string) {
	for _, e := range o.v.Entries() {
		for _, r := range e.Remotes {
			list = append(list, fmt.Sprint(e.MAC, " ", r, " ", e.Kind))
		}
	}
	slices.Sort(list)
	return list
}

// A generator makes events from few addresses, so that they meet.
type generator struct {
	r    *rand.Rand
	ipv6 bool
	now  sim.Time
}

var (
	vtepMAC  = MAC{2, 0, 0, 0, 0, 0xfe}
	stations = []MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 0, 4}, {2, 0, 0, 0, 0, 5}}
	groups   = []MAC{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 0, 0x5e, 0, 0, 9}}
)

// remote is the address of one of the other hosts.
func (g *generator) remote() netip.Addr { return remoteN(g.ipv6, 2+g.r.IntN(4)) }

func remoteN(ipv6 bool, n int) netip.Addr {
	if ipv6 {
		return netip.MustParseAddr(fmt.Sprintf("fd09::%x", n))
	}
	return netip.AddrFrom4([4]byte{10, 9, 0, byte(n)})
}

func (g *generator) next() event {
	g.now += sim.Time(g.r.Int64N(int64(20 * sim.Second)))
	e := event{out: g.r.IntN(2) == 0, at: g.now}
	if e.out {
		e.frame = g.inner(pick(g.r, append(stations, groups...)), pick(g.r, stations))
		return e
	}
	src := pick(g.r, stations)
	switch g.r.IntN(12) {
	case 0:
		src = vtepMAC
	case 1:
		src = pick(g.r, []MAC{{}, groups[1]})
	}
	e.from, e.tos = g.remote(), uint8(g.r.IntN(256))
	e.frame = append(g.header(), g.inner(pick(g.r, append(stations, groups...)), src)...)
	if g.r.IntN(40) == 0 {
		e.frame = e.frame[:g.r.IntN(HeaderLen+ethLen+2)]
	}
	return e
}

// header is mostly a good one of VNI 5.
func (g *generator) header() []byte {
	h := NewHeader(5)
	switch g.r.IntN(16) {
	case 0:
		h[0] = 0
	case 1:
		h[g.r.IntN(4)] |= 1 << g.r.IntN(8)
	case 2:
		h[7] = uint8(g.r.IntN(256))
	case 3:
		h = NewHeader(uint32(g.r.IntN(8)))
	case 4:
		binary.BigEndian.PutUint64(h[:], g.r.Uint64())
	}
	return h[:]
}

// inner is a frame of any kind.
func (g *generator) inner(dst, src MAC) []byte {
	f := append(dst[:], src[:]...)
	f = slices.Clone(f)
	if g.r.IntN(8) == 0 {
		f = append(f, 0x81, 0, 0, uint8(g.r.IntN(4)))
	}
	switch g.r.IntN(5) {
	case 0:
		f = append(f, 0x08, 0x06)
		f = append(f, make([]byte, 46)...)
	case 1:
		f = append(f, 0x86, 0xdd)
		f = append(f, ipv6Packet(g.r)...)
	default:
		f = append(f, 0x08, 0)
		f = append(f, ipv4Packet(g.r)...)
	}
	return f
}

func ipv4Packet(r *rand.Rand) []byte {
	p := make([]byte, 20+8+20+r.IntN(60))
	p[0], p[1], p[8], p[9] = 0x45, uint8(r.IntN(256)), uint8(1+r.IntN(255)), pick(r, []uint8{1, 6, 17})
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[6] = pick(r, []uint8{0, 0x40, 0x20})
	copy(p[12:], []byte{192, 0, 2, uint8(r.IntN(4)), 198, 51, 100, uint8(r.IntN(4))})
	p[20], p[22] = uint8(r.IntN(3)), uint8(r.IntN(3))
	binary.BigEndian.PutUint16(p[10:], checksum(p[:20]))
	return p
}

func ipv6Packet(r *rand.Rand) []byte {
	p := make([]byte, 40+20+r.IntN(60))
	tc := uint8(r.IntN(256))
	p[0], p[1], p[6], p[7] = 0x60|tc>>4, tc<<4|uint8(r.IntN(2)), pick(r, []uint8{58, 6, 17}), uint8(1+r.IntN(255))
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	p[8], p[23], p[24], p[39] = 0xfd, uint8(r.IntN(4)), 0xfd, uint8(r.IntN(4))
	return p
}

// checksum is the Internet checksum of b [RFC 1071].
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 != 0 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// configs are the ways of a VTEP that events are tried on.
func configs(ipv6 bool) map[string]Config {
	base := Config{
		Name: "vxlan0", VNI: 5, MAC: vtepMAC, Local: remoteN(ipv6, 1),
		Remotes: []netip.Addr{remoteN(ipv6, 2), remoteN(ipv6, 3)},
		FDB: []Entry{
			{MAC: stations[0], Kind: Permanent, Remotes: []Remote{{Addr: remoteN(ipv6, 4)}}},
			{MAC: stations[1], Kind: Static, Remotes: []Remote{{Addr: remoteN(ipv6, 3), Port: 4790, VNI: 77}}},
			{MAC: stations[2], Kind: Dynamic, Remotes: []Remote{{Addr: remoteN(ipv6, 5)}}},
			{MAC: groups[1], Kind: Permanent, Remotes: []Remote{{Addr: remoteN(ipv6, 5)}, {Addr: remoteN(ipv6, 2)}}},
		},
	}
	with := func(f func(*Config)) Config {
		c := base
		f(&c)
		return c
	}
	return map[string]Config{
		"plain":   base,
		"silent":  with(func(c *Config) { c.Remotes = nil }),
		"inherit": with(func(c *Config) { c.TTLInherit, c.TOSInherit, c.DF = true, true, DFInherit }),
		"fixed":   with(func(c *Config) { c.TTL, c.TOS, c.DF, c.NoLearning = 9, 0xb8, DFSet, true }),
		"nosum":   with(func(c *Config) { c.NoUDPChecksum, c.ZeroChecksumTx, c.ZeroChecksumRx = true, true, true }),
		"small":   with(func(c *Config) { c.MaxAddresses = 6 }),
		"short":   with(func(c *Config) { c.Ageing = 40 * sim.Second }),
	}
}

// diff is the first difference of two lists of words.
func diff(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
}
