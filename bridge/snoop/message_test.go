package snoop

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// change has a byte of the packet, and its header's sum, be another.
func change(frame []byte, at int, b byte) []byte {
	frame = append([]byte(nil), frame...)
	frame[14+at] = b
	return frame
}

// head4 mends the sum of an IPv4 header.
func head4(frame []byte) []byte {
	h := frame[14 : 14+int(frame[14]&0xf)*4]
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], ^sum(0, h))
	return frame
}

func TestWhatIsMalformed(t *testing.T) {
	data, join := udp("192.0.2.9", g1), join2(2, g1)
	data6, join6 := udp("fe80::9", "ff05::1"), join6(2, "ff05::1")
	one := rec{changeToExclude, g1, []string{"198.51.100.1"}}
	for _, tt := range []struct {
		name  string
		frame []byte
		bad   bool
	}{
		{"an IPv4 header cut off", data[:14+19], true},
		{"version 5", head4(change(data, 0, 0x56)), true},
		{"a header of 16 bytes", change(data, 0, 0x44), true},
		{"a header beyond the end", change(data[:14+20], 0, 0x4f), true},
		{"a header's sum", change(data, 8, 9), true},
		{"a length beyond the frame", head4(change(data, 3, 200)), true},
		{"a length less than the header", head4(change(data, 3, 19)), true},
		{"a header and no more", head4(change(data, 3, 24)), false},
		{"a data packet is otherwise not looked at", data, false},
		{"padding does not count", append(append([]byte(nil), join...), make([]byte, 18)...), false},
		{"IGMP cut off", head4(change(join, 3, 24+7)), true},
		{"IGMP's sum", change(join, 24+4, 1), true},
		{"a general query to a group", igmp(2, igmpQuery, 100, g1, "0.0.0.0"), true},
		{"a query of 9 bytes", func() []byte {
			f := ethernet(mac(2), ip("224.0.0.1"), packet4(host4(2), ip("224.0.0.1"), protoIGMP,
				sum4([]byte{igmpQuery, 100, 0, 0, 0, 0, 0, 0, 1})))
			return f
		}(), true},
		{"a report of version 3 cut off in a record", head4(cut(report3(2, one), 2)), true},
		{"a report of version 3 with records missing", func() []byte {
			f := report3(2, one)
			f[14+24+7] = 2
			sum4(f[14+24:])
			return f
		}(), true},
		{"an IPv6 header cut off", data6[:14+39], true},
		{"version 4 in IPv6", change(data6, 0, 0x40), true},
		{"an IPv6 packet without payload", change(data6, 5, 0), true},
		{"an IPv6 length beyond the frame", change(data6, 5, 9), true},
		{"extension headers beyond the end", change(join6, 41, 9), true},
		{"no next header", change(join6, 40, noNext), true},
		{"ICMPv6's sum", change(join6, 48+8, 1), true},
		{"another protocol behind the options", change(join6, 40, 17), false},
		{"an MLD report of 23 bytes is none", mldFrame(2, "ff05::1", make([]byte, 23)), false},
		{"a query from a global address", func() []byte {
			src, dst := ip("2001:db8::1"), ip("ff02::1")
			return ethernet(mac(2), dst, packet6(src, dst, sum6(src, dst, append([]byte{mldQuery}, make([]byte, 23)...))))
		}(), true},
		{"a general MLD query to a group", mldFrame(2, "ff05::1", append([]byte{mldQuery}, make([]byte, 23)...)), true},
		{"an MLD query of 26 bytes", mldFrame(2, "ff02::1", append([]byte{mldQuery}, make([]byte, 25)...)), true},
		{"an MLDv2 report with records missing", mldFrame(2, "ff02::16",
			append([]byte{mldV2Report, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0}, make([]byte, 16)...)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true, StatsEnabled: true})
			r := l.rx(2, tt.frame)
			require.Equal(t, tt.bad, r.Drop == Malformed)
		})
	}
}

// cut shortens an IPv4 frame and mends its IGMP sum.
func cut(frame []byte, n int) []byte {
	frame = frame[:len(frame)-n]
	binary.BigEndian.PutUint16(frame[16:], uint16(len(frame)-14))
	sum4(frame[14+24:])
	return frame
}

// In MLD the rules are those of IGMP; what differs has a row.
func TestMLD(t *testing.T) {
	const g = "ff05::1"
	for _, tt := range []struct {
		name string
		do   func(l *lab)
		way  string
	}{
		{"a member", func(l *lab) { l.good(2, join6(2, g)) }, "2"},
		{"a membership ends", func(l *lab) { l.good(2, join6(2, g)); l.at(260 * sec) }, ""},
		{"done", func(l *lab) { l.good(2, join6(2, g)); l.good(2, done6(2, g)); l.at(2 * sec) }, ""},
		{"a member by MLDv2", func(l *lab) { l.good(2, mldReport2(2, rec{changeToExclude, g, nil})) }, "2"},
		{"no member by MLDv2 any more", func(l *lab) {
			l.good(2, join6(2, g))
			l.good(2, mldReport2(2, rec{changeToInclude, g, nil}))
			l.at(2 * sec)
		}, ""},
		{"a query of version 1 without time is none", func(l *lab) {
			l.good(3, mldQ(1, 0, "::"))
		}, ""},
		{"a router, by a query", func(l *lab) { l.good(3, mldQ(1, 1000, "::")); l.at(1 * sec) }, "3"},
		{"a router, by a query of version 2", func(l *lab) { l.good(3, mldQ2(1, 1000, "::", false)); l.at(1 * sec) }, "3"},
		{"a query for sources is none", func(l *lab) {
			l.good(2, join6(2, g))
			l.good(3, mldQ2(1, 1000, g, false, "2001:db8::1"))
			l.at(100 * sec)
		}, "2"},
		{"a query for the group", func(l *lab) {
			l.good(2, join6(2, g))
			l.good(3, mldQ2(1, 1000, g, false))
			l.at(2 * sec)
		}, ""},
		{"a router, by an advertisement", func(l *lab) {
			l.good(3, mldFrame(1, "ff02::6a", []byte{mldRouter, 20, 0, 0, 0, 0, 0, 0}))
		}, "3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true})
			tt.do(l)
			require.Equal(t, tt.way, l.way(udp("fe80::9", g)))
		})
	}
}

func TestRoutersAreHeard(t *testing.T) {
	pim := func(first byte) []byte {
		return ethernet(mac(1), ip("224.0.0.13"), packet4(host4(1), ip("224.0.0.13"), protoPIM, []byte{first, 0, 0, 0}))
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		way   string
	}{
		{"PIM's hello", pim(0x20), "3"},
		{"another PIM message", pim(0x23), ""},
		{"PIM version 1", pim(0x10), ""},
		{"a hello to another group", ethernet(mac(1), ip("224.0.0.14"),
			packet4(host4(1), ip("224.0.0.14"), protoPIM, []byte{0x20, 0, 0, 0})), ""},
		{"a router advertisement", igmp(1, igmpRouter, 20, "224.0.0.106", "0.0.0.0"), "3"},
		{"one to another group", igmp(1, igmpRouter, 20, "224.0.0.107", "0.0.0.0"), ""},
		{"a query", query2(1, 1, ""), "3"},
		{"a query for a group", query2(1, 1, g1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{Querier: true})
			l.good(3, tt.frame)
			l.at(1 * sec)
			require.Equal(t, tt.way, l.way(udp("192.0.2.9", g1)))
		})
	}
}

// The table of RFC 3376 4.1.1, and that of RFC 3810 5.1.3.
func TestCodesWithExponent(t *testing.T) {
	for _, tt := range []struct{ code, mantissa, value int }{
		{0, 4, 0}, {127, 4, 127}, {0x80, 4, 128}, {0x8f, 4, 31 << 3}, {0xff, 4, 31 << 10},
		{32767, 12, 32767}, {0x8000, 12, 32768}, {0xffff, 12, 8191 << 10},
	} {
		require.EqualValues(t, tt.value, floating(tt.code, tt.mantissa), "%#x", tt.code)
	}
}

func TestGroupsAreByVLAN(t *testing.T) {
	l := newLab(t, Config{Querier: true})
	r := l.rxVLAN(2, 10, join2(2, g1))
	require.Zero(t, r.Drop)
	require.Equal(t, "2", l.wayVLAN(10, udp("192.0.2.9", g1)))
	require.Equal(t, "", l.wayVLAN(20, udp("192.0.2.9", g1)))
	require.Equal(t, "2 239.1.1.1 vid 10 260.000s", l.mdb())
}

func TestBounds(t *testing.T) {
	t.Run("the entry after the last ends snooping", func(t *testing.T) {
		l := newLab(t, Config{Querier: true, HashMax: 2})
		l.good(2, join2(2, "239.0.0.1"))
		l.good(2, join2(2, "239.0.0.2"))
		require.True(t, l.Enabled())
		require.Equal(t, DatabaseFull, l.rx(2, join2(2, "239.0.0.3")).Drop)
		require.False(t, l.Enabled())
		require.Equal(t, "flood", l.way(udp("192.0.2.9", "239.0.0.1")))
	})
	t.Run("a port has its bound, and the report is dropped", func(t *testing.T) {
		l := newLab(t, Config{Querier: true})
		require.NoError(t, l.SetPort(2, PortConfig{MaxGroups: 1}, 0))
		l.good(2, join2(2, "239.0.0.1"))
		require.Equal(t, PortFull, l.rx(2, join2(2, "239.0.0.2")).Drop)
		require.Zero(t, l.rx(3, join2(3, "239.0.0.2")).Drop)
		require.Zero(t, l.rx(2, join2(2, "239.0.0.1")).Drop)
	})
	t.Run("a list has 32 sources", func(t *testing.T) {
		l := newLab(t, Config{Querier: true, IGMPVersion: 3})
		var list []string
		for i := range 40 {
			list = append(list, host4(byte(i+1)).String())
		}
		l.good(2, report3(2, rec{allowNewSources, g1, list}))
		require.Len(t, l.Entries(0)[0].Sources, maxSources)
	})
	t.Run("hosts are followed up to a limit", func(t *testing.T) {
		l := newLab(t, Config{Querier: true, IGMPVersion: 3})
		require.NoError(t, l.SetPort(2, PortConfig{FastLeave: true, HostsLimit: 2}, 0))
		for h := byte(1); h <= 4; h++ {
			l.good(2, report3(h, rec{allowNewSources, g1, src4("A")}))
		}
		require.Equal(t, 2, l.port(2).hosts)
	})
}

func TestMessagesAreCounted(t *testing.T) {
	l := newLab(t, Config{StatsEnabled: true, IGMPVersion: 3, MLDVersion: 2})
	for _, frame := range [][]byte{
		join1(1, g1), join2(1, g1), join2(1, g1), report3(1, rec{modeIsExclude, g1, nil}), leave2(1, g1),
		query2(1, 0, ""), query2(1, 1, ""), query3(1, 1, "0.0.0.0", false),
		join6(1, "ff05::1"), mldReport2(1, rec{modeIsExclude, "ff05::1", nil}), done6(1, "ff05::1"),
		mldQ(1, 1, "::"), mldQ2(1, 1, "::", false),
		change(join2(1, g1), 24+4, 0), change(join6(1, "ff05::1"), 48+8, 0), udp("192.0.2.9", g1),
	} {
		l.Sent(3, l.rx(2, frame))
	}
	rx := func(n uint64) Count { return Count{RX: n} }
	require.Equal(t, Stats{
		IGMPv1Queries: rx(1), IGMPv2Queries: rx(1), IGMPv3Queries: rx(1), IGMPLeaves: rx(1),
		IGMPv1Reports: rx(1), IGMPv2Reports: rx(2), IGMPv3Reports: rx(1), IGMPParseErrors: 1,
		MLDv1Queries: rx(1), MLDv2Queries: rx(1), MLDLeaves: rx(1),
		MLDv1Reports: rx(1), MLDv2Reports: rx(1), MLDParseErrors: 1,
	}, l.Stats(2))
	require.Equal(t, Count{TX: 2}, l.Stats(3).IGMPv2Reports)
}

// A data frame costs no allocation, wherever it goes.
func TestDataFramesAllocateNothing(t *testing.T) {
	l := newLab(t, Config{Querier: true, IGMPVersion: 3, MLDVersion: 2})
	require.NoError(t, l.SetRouter(3, RouterAlways, 0))
	l.good(2, report3(2, rec{changeToExclude, g1, src4("A")}))
	l.good(2, mldReport2(2, rec{changeToExclude, "ff05::1", nil}))
	for _, frame := range [][]byte{
		udp("198.51.100.1", g1), udp("198.51.100.2", g1), udp("198.51.100.2", "239.9.9.9"),
		udp("198.51.100.2", "224.0.0.251"), udp("fe80::9", "ff05::1"), udp("fe80::9", "ff02::1"),
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			r := l.Receive(1, 0, frame, 14, 0)
			if m := l.Lookup(r, 0, frame, 14, 0); len(m.Ports) > 3 {
				t.Fatal(m)
			}
		}))
	}
}

func BenchmarkDataFrame(b *testing.B) {
	s, _ := New(Config{Querier: true}, Addrs{})
	s.Open(0)
	for p := Port(1); p <= 3; p++ {
		_ = s.AddPort(p, PortConfig{}, 0)
		s.SetState(p, Forwarding)
	}
	s.Receive(2, 0, join2(2, g1), 14, 0)
	frame := udp("192.0.2.9", g1)
	for b.Loop() {
		r := s.Receive(1, 0, frame, 14, 0)
		if m := s.Lookup(r, 0, frame, 14, 0); len(m.Ports) != 1 {
			b.Fatal(m)
		}
	}
}
