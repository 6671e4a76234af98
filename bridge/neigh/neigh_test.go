package neigh

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// Stations: asker asks, and owner is behind a port with neigh_suppress.
var (
	asker  = [6]byte{2, 0, 0, 0, 0, 0x0a}
	owner  = [6]byte{2, 0, 0, 0, 0, 0x0b}
	near   = [6]byte{2, 0, 0, 0, 0, 0x0c} // on a port without it
	absent = [6]byte{2, 0, 0, 0, 0, 0x0d} // not in the bridge's table
	all    = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

func lookup(mac [6]byte, vid uint16) Station {
	return Station{Known: mac == owner || mac == near, Suppressed: mac == owner}
}

var ip = netip.MustParseAddr

// net10 is a table in which 10.0.0.n and fe80::n, 2001:db8::n are neighbours:
//
//	1 reachable, 2 incomplete, 3 failed, 4 on a port without neigh_suppress,
//	5 not in the bridge's table, 6 permanent, 7 stale, 8 a router; 9 is the host's.
//
// In VLAN 10 there is but 1, and the host's 9 is 19; VLAN 30 has no interface.
func net10() *Table {
	t := NewTable()
	t.AddDevice(VLAN(10))
	for i, n := range []Neighbour{
		{owner, Reachable, false}, {owner, Incomplete, false}, {owner, Failed, false}, {near, Reachable, false},
		{absent, Reachable, false}, {owner, Permanent, false}, {owner, Stale, false}, {owner, Reachable, true},
	} {
		for _, net := range []string{"10.0.0.%d", "fe80::%d", "2001:db8::%d"} {
			addr := ip(fmt.Sprintf(net, i+1))
			must(t.Set(Bridge, addr, n))
			if i == 0 {
				must(t.Set(VLAN(10), addr, n))
			}
		}
	}
	must(t.AddLocal(Elsewhere, ip("::1")))
	for _, addr := range []string{"127.0.0.1", "224.0.0.1", "::1"} { // whatever one says
		must(t.Set(Bridge, ip(addr), Neighbour{owner, Permanent, false}))
	}
	for _, net := range []string{"10.0.0.%d", "fe80::%d", "2001:db8::%d"} {
		must(t.AddLocal(Bridge, ip(fmt.Sprintf(net, 9))))
		must(t.AddLocal(VLAN(10), ip(fmt.Sprintf(net, 19))))
		must(t.AddLocal(Elsewhere, ip(fmt.Sprintf(net, 29))))
		for _, d := range []Device{Bridge, VLAN(10)} { // neighbours that have the host's addresses are not asked for
			for _, n := range []int{9, 19, 29} {
				must(t.Set(d, ip(fmt.Sprintf(net, n)), Neighbour{owner, Reachable, false}))
			}
		}
	}
	return t
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// An arpMsg is a request of the asker, with what a test changes.
type arpMsg struct {
	to             [6]byte
	op             uint16
	sender, target string
	edit           func(frame []byte)
}

func (m arpMsg) frame() []byte {
	sender, target := ip(m.sender).As4(), ip(m.target).As4()
	f := append(append(append([]byte{}, m.to[:]...), asker[:]...), 0x08, 0x06)
	f = append(f, 0, 1, 8, 0, 6, 4, byte(m.op>>8), byte(m.op))
	f = append(append(append(f, asker[:]...), sender[:]...), 0, 0, 0, 0, 0, 0)
	f = append(append(f, target[:]...), make([]byte, 18)...)
	if m.edit != nil {
		m.edit(f)
	}
	return f
}

func request(target string) arpMsg { return arpMsg{all, arpRequest, "10.0.0.100", target, nil} }

func TestARP(t *testing.T) {
	cut := func(n int) func(*Query) { return func(q *Query) { q.Frame = q.Frame[:n] } }
	for _, tt := range []struct {
		name string
		msg  arpMsg
		edit func(*Query)
		want Verdict
	}{
		{"request for a reachable neighbour", request("10.0.0.1"), nil, Reply},
		{"for a permanent one", request("10.0.0.6"), nil, Reply},
		{"for a stale one", request("10.0.0.7"), nil, Reply},
		{"for one that is not resolved", request("10.0.0.2"), nil, Pass},
		{"for one that failed", request("10.0.0.3"), nil, Pass},
		{"for one that is not known", request("10.0.0.77"), nil, Pass},
		{"for one on a port without neigh_suppress", request("10.0.0.4"), nil, Suppress},
		{"for one that the bridge does not know", request("10.0.0.5"), nil, Pass},
		{"for the host's own address", request("10.0.0.9"), nil, Suppress},
		{"for the host's address on a VLAN interface above", request("10.0.0.19"), nil, Suppress},
		{"for the host's address elsewhere is as any other", request("10.0.0.29"), nil, Reply},
		{"for a loopback address", request("127.0.0.1"), nil, Pass},
		{"for a multicast address", request("224.0.0.1"), nil, Pass},
		{"to one station", arpMsg{owner, arpRequest, "10.0.0.100", "10.0.0.1", nil}, nil, Pass},
		{"to a multicast address", arpMsg{[6]byte{1, 0, 0x5e}, arpRequest, "10.0.0.100", "10.0.0.1", nil}, nil, Reply},
		{"from a port that has neigh_suppress", request("10.0.0.1"), func(q *Query) { q.Suppressed = true }, Pass},
		{"from the host, without VLANs", request("10.0.0.1"), func(q *Query) { q.Host = true }, Suppress},
		{"from the host, in a VLAN", request("10.0.0.1"), func(q *Query) { q.Host, q.VID = true, 10 }, Reply},
		{"in a VLAN", request("10.0.0.1"), func(q *Query) { q.VID = 10 }, Reply},
		{"in a VLAN, for a neighbour of another", request("10.0.0.6"), func(q *Query) { q.VID = 10 }, Pass},
		{"in a VLAN without interface", request("10.0.0.1"), func(q *Query) { q.VID = 30 }, Pass},
		{"in a VLAN, with another TPID", request("10.0.0.1"), func(q *Query) { q.VID, q.TPID = 10, 0x88a8 }, Pass},
		{"in a VLAN, the interface's address", request("10.0.0.19"), func(q *Query) { q.VID = 10 }, Suppress},
		{"in a VLAN, the bridge's address is as any other", request("10.0.0.9"), func(q *Query) { q.VID = 10 }, Reply},
		{"reply", arpMsg{asker, arpReply, "10.0.0.100", "10.0.0.1", nil}, nil, Pass},
		{"probe", arpMsg{all, arpRequest, "0.0.0.0", "10.0.0.1", nil}, nil, Suppress},
		{"probe from 0.0.0.7", arpMsg{all, arpRequest, "0.0.0.7", "10.0.0.1", nil}, nil, Suppress},
		{"probe to one station", arpMsg{owner, arpRequest, "0.0.0.0", "10.0.0.1", nil}, nil, Pass},
		{"probe from a port that has neigh_suppress", arpMsg{all, arpRequest, "0.0.0.0", "10.0.0.1", nil}, func(q *Query) { q.Suppressed = true }, Pass},
		{"announcement by request", arpMsg{all, arpRequest, "10.0.0.1", "10.0.0.1", nil}, nil, Suppress},
		{"announcement by reply", arpMsg{all, arpReply, "10.0.0.1", "10.0.0.1", nil}, nil, Suppress},
		{"announcement by reply to one station", arpMsg{owner, arpReply, "10.0.0.1", "10.0.0.1", nil}, nil, Suppress},
		{"announcement in a VLAN without interface", arpMsg{all, arpReply, "10.0.0.1", "10.0.0.1", nil}, func(q *Query) { q.VID = 30 }, Suppress},
		{"RARP request", arpMsg{all, rarp, "0.0.0.0", "0.0.0.0", nil}, func(q *Query) { q.EtherType = EtherRARP }, Pass},
		{"RARP reply", arpMsg{all, rarpReply, "0.0.0.0", "10.0.0.1", nil}, func(q *Query) { q.EtherType = EtherRARP }, Pass},
		{"operation 9", arpMsg{all, 9, "10.0.0.100", "10.0.0.1", nil}, nil, Pass},
		{"another hardware type", arpMsg{all, 1, "10.0.0.100", "10.0.0.1", func(f []byte) { f[15] = 6 }}, nil, Reply},
		{"another protocol", arpMsg{all, 1, "10.0.0.100", "10.0.0.1", func(f []byte) { f[17] = 1 }}, nil, Pass},
		{"hardware addresses of 8 bytes", arpMsg{all, 1, "10.0.0.100", "10.0.0.1", func(f []byte) { f[18] = 8 }}, nil, Pass},
		{"protocol addresses of 16 bytes", arpMsg{all, 1, "10.0.0.100", "10.0.0.1", func(f []byte) { f[19] = 16 }}, nil, Pass},
		{"without padding", request("10.0.0.1"), cut(14 + 28), Reply},
		{"a byte short", request("10.0.0.1"), cut(14 + 27), Pass},
		{"no message", request("10.0.0.1"), cut(14), Pass},
		{"no header", request("10.0.0.1"), cut(13), Pass},
		{"another EtherType", request("10.0.0.1"), func(q *Query) { q.EtherType = 0x0800 }, Pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := Query{Frame: tt.msg.frame(), Network: etherLen, EtherType: EtherARP}
			if tt.edit != nil {
				tt.edit(&q)
			}
			v, reply := Decide(&q, net10(), lookup, nil)
			require.Equal(t, tt.want, v, "%v, want %v", v, tt.want)
			require.Equal(t, tt.want == Reply, reply != nil)
			if reply != nil {
				checkReply(t, &q, reply)
			}
		})
	}
}

func TestARPReplyBytes(t *testing.T) {
	q := Query{Frame: request("10.0.0.1").frame(), Network: etherLen, EtherType: EtherARP}
	_, reply := Decide(&q, net10(), lookup, make([]byte, 0, 64))
	require.Equal(t, unhex("02000000000a 02000000000b 0806 0001 0800 06 04 0002 02000000000b 0a000001 02000000000a 0a000064"), reply)
}

// An answer goes to the sender's hardware address, whatever the frame's source is.
func TestARPReplyGoesToTheSenderInTheMessage(t *testing.T) {
	m := request("10.0.0.1")
	m.edit = func(f []byte) { f[11] = 0x77 }
	q := Query{Frame: m.frame(), Network: etherLen, EtherType: EtherARP}
	_, reply := Decide(&q, net10(), lookup, nil)
	require.Equal(t, asker[:], reply[:6])
}

func TestReplyTag(t *testing.T) {
	for _, tt := range []struct {
		name string
		q    Query
		want string
	}{
		{"filtering off", Query{}, "0806"},
		{"filtering off, a tag in the frame", Query{TCI: 10}, "0806"},
		{"tagged", Query{VID: 10}, "8100 000a 0806"},
		{"the priority comes back", Query{VID: 10, TCI: 0xb00a}, "8100 b00a 0806"},
		{"the port's PVID", Query{VID: 10, PVID: 10, TCI: 0xb00a}, "0806"},
		{"another PVID", Query{VID: 10, PVID: 1}, "8100 000a 0806"},
		{"802.1ad", Query{VID: 10, TPID: 0x88a8}, "88a8 000a 0806"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := net10()
			ad := Device{0x88a8, 10}
			table.AddDevice(ad)
			require.NoError(t, table.Set(ad, ip("10.0.0.1"), Neighbour{MAC: owner, State: Permanent}))
			tt.q.Frame, tt.q.Network, tt.q.EtherType = request("10.0.0.1").frame(), etherLen, EtherARP
			v, reply := Decide(&tt.q, table, lookup, nil)
			require.Equal(t, Reply, v)
			want := unhex(tt.want)
			require.Equal(t, want, reply[12:12+len(want)])
			checkReply(t, &tt.q, reply)
		})
	}
}

// A ndMsg is a message of the asker, with what a test changes.
type ndMsg struct {
	to             [6]byte
	kind           byte
	source, target string
	options        string
	edit           func(frame []byte)
}

var solicited = [6]byte{0x33, 0x33, 0xff, 0, 0, 1}

const withSource = "01 01 02000000000a"

func (m ndMsg) frame() []byte {
	source, target := ip(m.source).As16(), ip(m.target).As16()
	options := unhex(m.options)
	f := append(append(append([]byte{}, m.to[:]...), asker[:]...), 0x86, 0xdd)
	f = append(f, 0x62, 0x34, 0x56, 0x78, 0, byte(ndLen+len(options)), nextICMPv6, 255)
	f = append(f, source[:]...)
	f = append(f, unhex("ff0200000000000000000001ff000001")...)
	f = append(f, m.kind, 0, 0, 0, 0, 0, 0, 0)
	f = append(append(f, target[:]...), options...)
	if m.edit != nil {
		m.edit(f)
	}
	return f
}

func solicit(target string) ndMsg {
	return ndMsg{solicited, solicitation, "fe80::100", target, withSource, nil}
}

func TestND(t *testing.T) {
	with := func(m ndMsg, options string) ndMsg { m.options = options; return m }
	edited := func(edit func(f []byte)) ndMsg { m := solicit("fe80::1"); m.edit = edit; return m }
	for _, tt := range []struct {
		name string
		msg  ndMsg
		edit func(*Query)
		want Verdict
	}{
		{"solicitation for a reachable neighbour", solicit("fe80::1"), nil, Reply},
		{"of global scope", solicit("2001:db8::1"), nil, Reply},
		{"permanent", solicit("fe80::6"), nil, Reply},
		{"stale", solicit("fe80::7"), nil, Reply},
		{"a router", solicit("fe80::8"), nil, Reply},
		{"not resolved", solicit("fe80::2"), nil, Pass},
		{"failed", solicit("fe80::3"), nil, Pass},
		{"not known", solicit("fe80::77"), nil, Pass},
		{"on a port without neigh_suppress", solicit("fe80::4"), nil, Suppress},
		{"not known to the bridge", solicit("fe80::5"), nil, Pass},
		{"the host's own", solicit("fe80::9"), nil, Suppress},
		{"the host's on a VLAN interface above", solicit("fe80::19"), nil, Suppress},
		{"the host's link-local address elsewhere", solicit("fe80::29"), nil, Reply},
		{"the host's global address elsewhere", solicit("2001:db8::29"), nil, Suppress},
		{"the loopback address, which is of no wider scope", solicit("::1"), nil, Reply},
		{"without source option", with(solicit("fe80::1"), ""), nil, Reply},
		{"with a nonce before it", with(solicit("fe80::1"), "0e01010203040506"+withSource), nil, Reply},
		{"an odd byte behind", with(solicit("fe80::1"), withSource+"00"), nil, Reply},
		{"an option without length", with(solicit("fe80::1"), "0e00010203040506"+withSource), nil, Suppress},
		{"an option that is cut off", with(solicit("fe80::1"), "0e02010203040506"), nil, Suppress},
		{"a source option that is cut off", with(solicit("fe80::1"), "01 01 0200"), nil, Suppress},
		{"a bad option behind the source option", with(solicit("fe80::1"), withSource+"0e00"), nil, Reply},
		{"duplicate address detection", ndMsg{solicited, solicitation, "::", "fe80::1", "", nil}, nil, Suppress},
		{"source and destination are the same", edited(func(f []byte) { copy(f[14+8:14+24], f[14+24:14+40]) }), nil, Suppress},
		{"to one station", ndMsg{owner, solicitation, "fe80::100", "fe80::1", withSource, nil}, nil, Pass},
		{"duplicate address detection to one station", ndMsg{owner, solicitation, "::", "fe80::1", "", nil}, nil, Pass},
		{"from a port that has neigh_suppress", solicit("fe80::1"), func(q *Query) { q.Suppressed = true }, Pass},
		{"from the host", solicit("fe80::1"), func(q *Query) { q.Host = true }, Reply},
		{"in a VLAN", solicit("fe80::1"), func(q *Query) { q.VID = 10 }, Reply},
		{"in a VLAN without interface", solicit("fe80::1"), func(q *Query) { q.VID = 30 }, Pass},
		{"in a VLAN, the bridge's link-local address is as any other", solicit("fe80::9"), func(q *Query) { q.VID = 10 }, Reply},
		{"in a VLAN, the bridge's global address", solicit("2001:db8::9"), func(q *Query) { q.VID = 10 }, Suppress},
		{"unsolicited advertisement", ndMsg{all, advertisement, "fe80::1", "fe80::1", "", nil}, nil, Suppress},
		{"unsolicited advertisement to one station", ndMsg{owner, advertisement, "fe80::1", "fe80::1", "", nil}, nil, Suppress},
		{"unsolicited advertisement from a port that has neigh_suppress", ndMsg{all, advertisement, "fe80::1", "fe80::1", "", nil}, func(q *Query) { q.Suppressed = true }, Pass},
		{"solicited advertisement", ndMsg{owner, advertisement, "fe80::1", "fe80::1", "", func(f []byte) { f[14+ndFlags] = flagSolicited }}, nil, Pass},
		{"router solicitation", ndMsg{solicited, 133, "fe80::100", "fe80::1", "", nil}, nil, Pass},
		{"router advertisement", ndMsg{solicited, 134, "fe80::100", "fe80::1", "", nil}, nil, Pass},
		{"code 1", edited(func(f []byte) { f[14+ndCode] = 1 }), nil, Pass},
		{"behind an extension header", edited(func(f []byte) { f[14+ipv6NextHeader] = 0 }), nil, Pass},
		{"hop limit 1 is not looked at", edited(func(f []byte) { f[14+7] = 1 }), nil, Reply},
		{"nor a wrong checksum", edited(func(f []byte) { f[14+ndCode+1] = 0xaa }), nil, Reply},
		{"a byte short", with(solicit("fe80::1"), ""), func(q *Query) { q.Frame = q.Frame[:len(q.Frame)-1] }, Pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := Query{Frame: tt.msg.frame(), Network: etherLen, EtherType: EtherIPv6}
			if tt.edit != nil {
				tt.edit(&q)
			}
			v, reply := Decide(&q, net10(), lookup, nil)
			require.Equal(t, tt.want, v, "%v, want %v", v, tt.want)
			require.Equal(t, tt.want == Reply, reply != nil)
			if reply != nil {
				checkReply(t, &q, reply)
			}
		})
	}
}

func TestAdvertisementBytes(t *testing.T) {
	for target, flags := range map[string]string{"fe80::1": "60", "fe80::8": "e0"} {
		q := Query{Frame: solicit(target).frame(), Network: etherLen, EtherType: EtherIPv6}
		_, reply := Decide(&q, net10(), lookup, nil)
		last := target[len(target)-1:]
		want := unhex("02000000000a 02000000000b 86dd 62000000 0020 3a ff fe80000000000000000000000000000" + last +
			"fe800000000000000000000000000100 88 00 0000" + flags + "000000 fe80000000000000000000000000000" + last + "02 01 02000000000b")
		copy(want[14+ndCode+1:], reply[14+ndCode+1:14+ndCode+3]) // the checksum, which checkReply looks at
		require.Equal(t, want, reply, target)
		checkReply(t, &q, reply)
	}
}

// The option of a solicitation says whom to answer; the frame's source does if
// there is none.
func TestAdvertisementGoesToTheOption(t *testing.T) {
	for options, want := range map[string]byte{"": 0x0a, "01 01 020000000077": 0x77, "02 01 020000000066 01 01 020000000077": 0x77} {
		m := solicit("fe80::1")
		m.options = options
		q := Query{Frame: m.frame(), Network: etherLen, EtherType: EtherIPv6}
		_, reply := Decide(&q, net10(), lookup, nil)
		require.Equal(t, want, reply[5], "options %q", options)
	}
}

func TestTable(t *testing.T) {
	table := NewTable()
	n := Neighbour{MAC: owner, State: Reachable}
	require.ErrorIs(t, table.Set(VLAN(10), ip("10.0.0.1"), n), ErrDevice)
	require.ErrorIs(t, table.AddLocal(VLAN(10), ip("10.0.0.1")), ErrDevice)
	table.AddDevice(VLAN(10))
	require.NoError(t, table.Set(VLAN(10), ip("fe80::1%eth0"), n), "a zone is the interface's, and goes")
	require.NoError(t, table.AddLocal(VLAN(10), ip("10.0.0.9")))
	table.AddDevice(VLAN(10)) // changes nothing
	require.True(t, table.isLocal(Bridge, ip("10.0.0.9")))
	require.NoError(t, table.AddLocal(Bridge, ip("10.0.0.8")))
	table.DeleteLocal(Bridge, ip("10.0.0.8"))
	require.False(t, table.isLocal(Bridge, ip("10.0.0.8")))
	q := Query{Frame: solicit("fe80::1").frame(), Network: etherLen, EtherType: EtherIPv6, VID: 10}
	v, _ := Decide(&q, table, lookup, nil)
	require.Equal(t, Reply, v)
	table.Delete(VLAN(10), ip("fe80::1"))
	v, _ = Decide(&q, table, lookup, nil)
	require.Equal(t, Pass, v)
	table.RemoveDevice(VLAN(10))
	require.False(t, table.isLocal(Bridge, ip("10.0.0.9")), "its addresses are gone with it")
	table.RemoveDevice(Bridge)
	require.NoError(t, table.AddLocal(Bridge, ip("10.0.0.9")), "the bridge's own stays")
	for s, want := range map[NUD]bool{Incomplete: false, Failed: false, 0: false, Reachable: true, Stale: true, Delay: true, Probe: true, NoARP: true, Permanent: true} {
		require.Equal(t, want, s.Valid(), "%#x", uint8(s))
	}
	require.Equal(t, []string{"pass", "suppress", "reply"}, []string{Pass.String(), Suppress.String(), Reply.String()})
}

// No allocation where the buffer is there.
func TestDecideDoesNotAllocate(t *testing.T) {
	table, buf := net10(), make([]byte, 0, 128)
	for _, q := range []Query{
		{Frame: request("10.0.0.1").frame(), Network: etherLen, EtherType: EtherARP},
		{Frame: solicit("fe80::1").frame(), Network: etherLen, EtherType: EtherIPv6},
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() { Decide(&q, table, lookup, buf) }))
	}
}

// checkReply reads an answer with a reader that is not ours, and compares it to its
// question.
func checkReply(t *testing.T, q *Query, reply []byte) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%x: the reader panics: %v", reply, r)
		}
	}()
	packet := gopacket.NewPacket(reply, layers.LayerTypeEthernet, gopacket.NoCopy)
	require.Nil(t, packet.ErrorLayer(), "%x", reply)
	eth := packet.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if q.VID != 0 && q.VID != q.PVID {
		tag := packet.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q)
		require.Equal(t, q.VID, tag.VLANIdentifier)
		require.EqualValues(t, q.TCI>>13, tag.Priority)
	} else {
		require.Nil(t, packet.Layer(layers.LayerTypeDot1Q))
	}
	m := q.Frame[q.Network:]
	require.NotEqual(t, EtherRARP, q.EtherType, "nobody answers RARP")
	if q.EtherType == EtherARP {
		a := packet.Layer(layers.LayerTypeARP).(*layers.ARP)
		require.EqualValues(t, layers.ARPReply, a.Operation)
		require.Equal(t, m[arpTarget:arpTarget+4], a.SourceProtAddress, "the target answers")
		require.Equal(t, m[arpSender:arpSender+4], a.DstProtAddress)
		require.Equal(t, m[arpSenderHardware:arpSender], a.DstHwAddress)
		require.Equal(t, a.DstHwAddress, []byte(eth.DstMAC))
		require.Equal(t, a.SourceHwAddress, []byte(eth.SrcMAC))
		require.Equal(t, owner[:], a.SourceHwAddress)
		require.EqualValues(t, 1, m[arpOperation+1], "only a request is answered")
		return
	}
	v6 := packet.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	require.EqualValues(t, 255, v6.HopLimit)
	require.Equal(t, m[ipv6Source:ipv6Source+16], []byte(v6.DstIP))
	require.Equal(t, m[ndTarget:ndTarget+16], []byte(v6.SrcIP), "the target answers")
	na := packet.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	require.Equal(t, v6.SrcIP, na.TargetAddress)
	require.True(t, na.Solicited() && na.Override())
	require.Len(t, na.Options, 1)
	require.Equal(t, layers.ICMPv6OptTargetAddress, na.Options[0].Type)
	require.Equal(t, owner[:], na.Options[0].Data)
	require.Equal(t, owner[:], []byte(eth.SrcMAC))
	require.EqualValues(t, solicitation, m[ndType], "only a solicitation is answered")

	icmp := packet.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	have := icmp.Checksum
	require.NoError(t, icmp.SetNetworkLayerForChecksum(v6))
	out := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(out, gopacket.SerializeOptions{ComputeChecksums: true}, icmp, gopacket.Payload(icmp.Payload)))
	require.Equal(t, binary.BigEndian.Uint16(out.Bytes()[2:]), have, "checksum")
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	must(err)
	return b
}

// FuzzNeigh asks for any frame, on any port: a question is answered only if it is
// whole, and an answer mirrors it.
func FuzzNeigh(f *testing.F) {
	for _, n := range []byte{1, 2, 4, 5, 9, 19, 29} {
		f.Add(request(fmt.Sprintf("10.0.0.%d", n)).frame(), n)
		f.Add(solicit(fmt.Sprintf("fe80::%d", n)).frame(), n<<3)
	}
	m := solicit("fe80::1")
	m.options = "0e01010203040506" + withSource
	f.Add(m.frame(), byte(2))
	f.Add(append(request("10.0.0.1").frame()[:12:12], append([]byte{0x81, 0, 0, 10}, request("10.0.0.1").frame()[12:]...)...), byte(0x41))
	table := net10()
	f.Fuzz(func(t *testing.T, frame []byte, how byte) {
		before := string(frame)
		q := Query{Frame: frame, Network: etherLen, Suppressed: how&4 != 0, Host: how&8 != 0, TCI: uint16(how) << 8, PVID: uint16(how>>4&1) * 10}
		q.VID = [...]uint16{0, 10, 30, 0}[how&3]
		if how&0x40 != 0 {
			q.Network += 4
		}
		if len(frame) >= q.Network {
			q.EtherType = binary.BigEndian.Uint16(frame[q.Network-2:])
		}
		v, reply := Decide(&q, table, lookup, nil)
		require.Equal(t, before, string(frame), "the question is left as it is")
		require.Equal(t, v == Reply, reply != nil)
		if v != Pass {
			require.False(t, q.Suppressed, "a port with neigh_suppress is nobody's client")
		}
		if reply == nil {
			return
		}
		require.NotZero(t, frame[0]&1, "a frame to one station is not answered")
		m := frame[q.Network:]
		switch q.EtherType {
		case EtherARP, EtherRARP:
			require.GreaterOrEqual(t, len(m), 28)
			require.Equal(t, []byte{8, 0, 6, 4, 0, 1}, m[2:8])
			q.EtherType = EtherARP // what asks like ARP is answered by ARP
		case EtherIPv6:
			require.GreaterOrEqual(t, len(m), 64)
			for options := m[64:]; len(options) > 1 && options[0] != 1; {
				n := int(options[1]) * 8
				require.True(t, n > 0 && n <= len(options), "an option is bad")
				options = options[n:]
			}
		default:
			t.Fatalf("EtherType %#x is answered", q.EtherType)
		}
		checkReply(t, &q, reply)
	})
}
