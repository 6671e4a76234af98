package snoop

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// A script is bytes that say what comes to a bridge.
type script []byte

func (s *script) byte() (b byte) {
	if len(*s) > 0 {
		b, *s = (*s)[0], (*s)[1:]
	}
	return b
}

func (s *script) bytes(n int) []byte {
	n = min(n, len(*s))
	b := (*s)[:n:n]
	*s = (*s)[n:]
	return append([]byte(nil), b...)
}

func FuzzIGMP(f *testing.F) {
	for _, frame := range [][]byte{
		join2(2, g1), join1(2, g1), leave2(2, g1), query2(1, 100, ""), query2(1, 10, g1),
		query3(1, 100, g1, true), query3(1, 100, g1, false, "198.51.100.1"),
		report3(2, rec{allowNewSources, g1, src4("ABC")}), report3(2, rec{changeToExclude, g1, src4("AB")}),
		report3(2, rec{blockOldSources, g1, src4("B")}), report3(2, rec{changeToInclude, g1, nil}),
		udp("198.51.100.1", g1),
	} {
		f.Add(seed(frame, 24))
	}
	f.Add(slices.Concat(seed(report3(2, rec{changeToExclude, g1, src4("AB")}), 24),
		seed(report3(3, rec{allowNewSources, g1, src4("AC")}), 24)[2:],
		seed(report3(2, rec{blockOldSources, g1, src4("AD")}), 24)[2:]))
	f.Fuzz(func(t *testing.T, data []byte) {
		play(t, data, func(s *script, host byte, body []byte) []byte {
			if len(body) >= 4 {
				sum4(body)
			}
			dst := netip.AddrFrom4([4]byte{224, 0, 0, s.byte()})
			if len(body) >= 8 && body[0] == igmpQuery && [4]byte(body[4:8]) == [4]byte{} {
				dst = netip.AddrFrom4(allHosts)
			}
			protocol := byte(protoIGMP)
			if b := s.byte(); b&0xf == 0 {
				protocol = b
			}
			return ethernet(mac(host), dst, packet4(host4(host), dst, protocol, body))
		})
	})
}

func FuzzMLD(f *testing.F) {
	const g = "ff05::1"
	sources := []string{"2001:db8::1", "2001:db8::2"}
	for _, frame := range [][]byte{
		join6(2, g), done6(2, g), mldQ(1, 1000, "::"), mldQ(1, 1000, g),
		mldQ2(1, 1000, g, true), mldQ2(1, 0x9000, g, false, sources...),
		mldReport2(2, rec{allowNewSources, g, sources}), mldReport2(2, rec{changeToExclude, g, sources[:1]}),
		mldReport2(2, rec{blockOldSources, g, sources}), mldReport2(2, rec{changeToInclude, g, nil}),
		udp("fe80::9", g),
	} {
		f.Add(seed(frame, 48))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		play(t, data, func(s *script, host byte, body []byte) []byte {
			dst := netip.AddrFrom16(allNodes)
			if b := s.byte(); b&1 == 0 {
				dst = netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 15: b})
			}
			if len(body) >= 4 {
				sum6(host6(host), dst, body)
			}
			return ethernet(mac(host), dst, packet6(host6(host), dst, body))
		})
	})
}

// seed is a script in which the message of a frame comes once, whole or, of a frame
// that is none, as it is.
func seed(frame []byte, head int) []byte {
	body := frame[14:]
	kind := byte(0)
	if len(body) > head && (body[head] == 0x11 || body[head] >= 0x12 && body[head] < 0x23 || body[head] >= 130 && body[head] < 150) {
		kind, body = 1, body[head:]
	} else {
		body = frame
	}
	s := []byte{0x17, 0, kind, 2, 2, 1, byte(len(body) >> 8), byte(len(body))}
	return append(append(s, body...), 0, 1)
}

// play runs a script and asks the oracles after each step: invariants hold, queries
// are well formed and few, and frames go to ports that are there, ascending.
func play(t *testing.T, data []byte, frameOf func(s *script, host byte, body []byte) []byte) {
	s := script(data)
	options := s.byte()
	cfg := Config{
		Querier: options&1 != 0, IGMPVersion: 2 + int(options>>1&1), MLDVersion: 1 + int(options>>2&1),
		HashMax: 64, StatsEnabled: true, QueryUseIfaddr: options&8 != 0,
	}
	l := newLab(t, cfg)
	ports := s.byte()
	for p := Port(1); p <= 3; p++ {
		bits := ports >> (p - 1)
		require.NoError(t, l.SetPort(p, PortConfig{
			FastLeave: bits&1 != 0, ToUnicast: bits&8 != 0, HostsLimit: 4, MaxGroups: 20,
		}, 0))
	}
	for len(s) > 0 {
		kind, p, host, wait := s.byte(), Port(s.byte()&3), s.byte()&7, s.byte()
		l.at(l.now + sim.Time(wait)*sim.Time(wait)*sim.Millisecond)
		l.checkQueries(8)
		switch kind & 7 {
		case 0:
			l.playFrame(p, s.bytes(int(s.byte())<<8|int(s.byte())))
		case 6:
			l.playStatic(p, &s)
		case 7:
			l.DisablePort(max(p, 1), l.now)
			l.SetState(max(p, 1), State(host))
			l.EnablePort(max(p, 1), l.now)
		default:
			n := int(s.byte())<<8 | int(s.byte())
			body := s.bytes(n & 0x3ff)
			l.playFrame(p, frameOf(&s, host, body))
		}
		require.NoError(t, l.Check())
	}
	l.settles()
}

func (l *lab) playFrame(p Port, frame []byte) {
	r := l.Receive(p, 0, frame, 14, l.now)
	require.NoError(l.t, l.Check())
	l.checkQueries(8 + len(frame))
	if r.Drop != 0 {
		return
	}
	last := Port(0)
	for _, e := range l.Lookup(r, 0, frame, 14, l.now).Ports {
		require.True(l.t, e.Port >= last && e.Port <= 3 && e.Port > 0, "%v", e)
		last = e.Port
	}
}

func (l *lab) playStatic(p Port, s *script) {
	options := s.byte()
	e := Static{Port: p, Group: grp(g1), Permanent: options&1 != 0, Include: options&2 != 0, Replace: options&4 != 0}
	if options&8 != 0 {
		e.Source = ip(src4("A")[0])
	}
	e.Sources = ips(src4("ABC"))[:options>>4&3]
	if options&64 != 0 {
		_ = l.Delete(p, e.Group, e.Source, 0, l.now)
	} else {
		_ = l.Add(e, l.now)
	}
}

// checkQueries decodes what is to be sent.
func (l *lab) checkQueries(most int) {
	all := l.Queries()
	require.LessOrEqual(l.t, len(all), most*(1+len(l.ports)))
	for _, q := range all {
		require.True(l.t, q.Port >= 0 && q.Port <= 3)
		describe(l.t, q.Frame)
		// What it sends it takes for good.
		other, err := New(Config{}, Addrs{})
		require.NoError(l.t, err)
		other.Open(0)
		r := other.Receive(Local, 0, q.Frame, 14, 0)
		require.Zero(l.t, r.Drop)
		require.NotZero(l.t, r.Type)
	}
}

// settles says that a bridge that hears nothing forgets everybody.
func (l *lab) settles() {
	for p := Port(1); p <= 3; p++ {
		l.SetState(p, Forwarding)
	}
	l.at(l.now + 3*260*sec)
	for _, g := range l.order {
		for _, pg := range g.ports {
			require.True(l.t, pg.flags&(permanent|addedByStar|blocked) != 0 || g.src != addr{} || len(pg.sources) == 0 && !pg.timer.pending())
			require.Empty(l.t, pg.hosts)
		}
	}
}

// The scripts that a fuzzer makes repeat: the same calls, the same frames.
func TestTheSameCallsGiveTheSame(t *testing.T) {
	run := func() (out []byte) {
		l := newLab(t, Config{Querier: true, IGMPVersion: 3})
		for i := range 40 {
			at := binary.BigEndian.AppendUint16(nil, uint16(i*37))
			l.good(2, report3(byte(i), rec{byte(i%6 + 1), "239.0.0." + string(rune('1'+i%7)), []string{host4(at[1]).String()}}))
			l.at(l.now + sec/2)
			for _, q := range l.Queries() {
				out = append(append(out, byte(q.Port)), q.Frame...)
			}
			out = append(out, l.mdb()...)
		}
		return out
	}
	require.Equal(t, run(), run())
}
