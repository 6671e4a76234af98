package vxlan

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/sim"
)

func newVTEP(t *testing.T, c Config) *VTEP {
	t.Helper()
	v, err := New(c)
	require.NoError(t, err)
	return v
}

// frameTo is a frame of an IPv4 flow from 192.0.2.n to 192.0.2.200.
func frameTo(dst, src MAC, n int, protocol uint8, sport, dport uint16) []byte {
	f := append(append(dst[:], src[:]...), 0x08, 0x00)
	ip := make([]byte, 20+8)
	ip[0], ip[8], ip[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], []byte{192, 0, 2, byte(n), 192, 0, 2, 200})
	binary.BigEndian.PutUint16(ip[20:], sport)
	binary.BigEndian.PutUint16(ip[22:], dport)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:20]))
	return append(f, ip...)
}

func plain(t *testing.T) *VTEP {
	return newVTEP(t, Config{VNI: 5, Local: remoteN(false, 1), Remotes: []netip.Addr{remoteN(false, 2)}})
}

func TestHeaderIsEightBytesWithTheNumberInThree(t *testing.T) {
	assert.Equal(t, [8]byte{8, 0, 0, 0, 0x12, 0x34, 0x56, 0}, NewHeader(0x123456))
	h := NewHeader(MaxVNI)
	got, ok := ParseHeader(h[:])
	assert.True(t, ok)
	assert.Equal(t, Header{VNI: MaxVNI, Valid: true}, got)
	_, ok = ParseHeader(h[:7])
	assert.False(t, ok)
}

func TestOverheadIsWhatAnMTUIsLessBy(t *testing.T) {
	assert.Equal(t, 50, Overhead(false)) // 1500 leaves 1450
	assert.Equal(t, 70, Overhead(true))
}

func TestPacketsOfAFlowHaveOneSourcePort(t *testing.T) {
	v := plain(t)
	first := v.Encap(frameTo(stations[0], stations[1], 1, 6, 1000, 80), 0).Out[0].From
	for range 10 {
		assert.Equal(t, first, v.Encap(frameTo(stations[0], stations[1], 1, 6, 1000, 80), 0).Out[0].From)
	}
	other := v.Encap(frameTo(stations[0], stations[1], 1, 6, 1001, 80), 0).Out[0].From
	assert.NotEqual(t, first, other, "another flow")
}

// Fragments of one packet stay together with each other: only the first has ports.
func TestFragmentsHaveOneSourcePort(t *testing.T) {
	v := plain(t)
	first, second := frameTo(stations[0], stations[1], 1, 17, 7, 7), frameTo(stations[0], stations[1], 1, 17, 0xabcd, 0x1234)
	first[20], second[21] = 0x20, 3 // more fragments; an offset
	assert.Equal(t, v.Encap(first, 0).Out[0].From, v.Encap(second, 0).Out[0].From)
}

func TestASeedChangesTheSourcePorts(t *testing.T) {
	f := frameTo(stations[0], stations[1], 1, 6, 1000, 80)
	seen := map[uint16]bool{}
	for seed := range uint64(20) {
		v := newVTEP(t, Config{Seed: seed, Remotes: []netip.Addr{remoteN(false, 2)}})
		seen[v.Encap(f, 0).Out[0].From.Port()] = true
	}
	assert.Greater(t, len(seen), 15)
}

// Flows spread evenly over the range that is asked for: by chi-squared over 64 parts,
// which is above 103 once in a thousand times by chance.
func TestSourcePortsSpreadOverTheRange(t *testing.T) {
	const flows, parts = 64000, 64
	for name, frame := range map[string]func(i int) []byte{
		"ports count up":     func(i int) []byte { return frameTo(stations[0], stations[1], 1, 6, uint16(i), 80) },
		"addresses count up": func(i int) []byte { return frameTo(stations[0], stations[1], i&0xff, 1, 0, 0)[: 14+20 : 14+20] },
		"stations count up": func(i int) []byte {
			return append(frameTo(MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, stations[1], 1, 0, 0, 0)[:12], 0x88, 0xb5)
		},
	} {
		n := flows
		if name == "addresses count up" {
			n = 256
		}
		v := newVTEP(t, Config{Seed: 3, SrcPortMin: 49152, SrcPortMax: 65535, Remotes: []netip.Addr{remoteN(false, 2)}})
		var in [parts]int
		for i := range n {
			port := v.Encap(frame(i), 0).Out[0].From.Port()
			require.True(t, port >= 49152 && port < 65535, "%s: port %d", name, port)
			in[int(port-49152)*parts/(65535-49152)]++
		}
		chi, want := 0.0, float64(n)/parts
		for _, k := range in {
			chi += (float64(k) - want) * (float64(k) - want) / want
		}
		assert.Less(t, chi, 103.4, name)
	}
}

func TestUnknownStationsGoToEveryRemote(t *testing.T) {
	v := newVTEP(t, Config{VNI: 5, Remotes: []netip.Addr{remoteN(false, 2), remoteN(false, 3), remoteN(false, 4)}})
	e := v.Encap(frameTo(stations[0], stations[1], 1, 6, 1, 2), 42)
	var to []netip.Addr
	for _, o := range e.Out {
		to = append(to, o.To.Addr())
		assert.Equal(t, uint16(DefaultPort), o.To.Port())
	}
	assert.Equal(t, []netip.Addr{remoteN(false, 3), remoteN(false, 4), remoteN(false, 2)}, to, "clones first")
	assert.Equal(t, 2, e.Lookups)
	assert.Equal(t, Stats{TxFrames: 3, TxBytes: 126, L2Miss: 1}, v.Stats())
	v.Encap(frameTo(groups[0], stations[1], 1, 6, 1, 2), 42)
	assert.EqualValues(t, 1, v.Stats().L2Miss, "a group is not missed")
}

func TestWithoutARemoteAFrameIsDropped(t *testing.T) {
	v := newVTEP(t, Config{})
	e := v.Encap(frameTo(stations[0], stations[1], 1, 6, 1, 2), 42)
	assert.Equal(t, cost.VXLANNoRemote, e.Reason)
	assert.Empty(t, e.Out)
	assert.EqualValues(t, 1, v.Stats().TxDropped)
}

// payload is a frame from src in the network vni.
func payload(vni uint32, src MAC) []byte {
	h := NewHeader(vni)
	return append(h[:], frameTo(stations[0], src, 1, 6, 1, 2)...)
}

func TestVTEPsOfOnePortAreToldApartByTheirNetwork(t *testing.T) {
	var s Socket
	a, b := newVTEP(t, Config{Name: "a", VNI: 5}), newVTEP(t, Config{Name: "b", VNI: 6})
	require.NoError(t, s.Add(a))
	require.NoError(t, s.Add(b))
	assert.ErrorIs(t, s.Add(newVTEP(t, Config{Name: "c", VNI: 6})), ErrExists)
	assert.ErrorIs(t, s.Add(newVTEP(t, Config{Name: "d", VNI: 7, Port: 8472})), ErrConfig)
	p := payload(6, stations[1])
	d := s.Decap(p, len(p), remoteN(false, 2), 0, 0)
	assert.Same(t, b, d.VTEP)
	assert.Equal(t, Created, d.Learned)
	assert.Zero(t, a.Len())
	s.Remove(b)
	assert.Equal(t, cost.VXLANVNINotFound, s.Decap(p, len(p), remoteN(false, 2), 0, 0).Reason)
	assert.Equal(t, []*VTEP{a}, s.VTEPs())
}

func TestASenderThatIsNoHostIsRefused(t *testing.T) {
	var s Socket
	v := plain(t)
	require.NoError(t, s.Add(v))
	p := payload(5, stations[1])
	for _, from := range []string{"0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1", "::"} {
		d := s.Decap(p, len(p), netip.MustParseAddr(from), 0, 0)
		assert.Equal(t, cost.IPInvalidSource, d.Reason, from)
	}
	assert.Equal(t, cost.IPInvalidSource, s.Decap(p, len(p), netip.Addr{}, 0, 0).Reason)
	assert.Equal(t, 1, v.Len(), "nothing was learned")
}

func TestEntriesAge(t *testing.T) {
	var s Socket
	v := plain(t)
	require.NoError(t, s.Add(v))
	assert.Equal(t, sim.Never, v.Due(), "nothing ages")
	p := payload(5, stations[1])
	s.Decap(p, len(p), remoteN(false, 2), 0, sim.Second)
	assert.Equal(t, 301*sim.Second, v.Due())
	s.Decap(p, len(p), remoteN(false, 2), 0, 100*sim.Second)
	v.Encap(frameTo(stations[1], stations[0], 1, 6, 1, 2), 0) // being sent to keeps nobody
	assert.Equal(t, 2, v.Tick(301*sim.Second))
	assert.Equal(t, 2, v.Len(), "heard of since")
	assert.Equal(t, 400*sim.Second, v.Due())
	v.Tick(400*sim.Second - 1)
	assert.Equal(t, 2, v.Len())
	v.Tick(400 * sim.Second)
	assert.Equal(t, 1, v.Len(), "the default stays")
	assert.EqualValues(t, 1, v.Stats().Aged)
	assert.Equal(t, sim.Never, v.Due())
}

func TestWithAgeingNeverEntriesStay(t *testing.T) {
	var s Socket
	v := newVTEP(t, Config{VNI: 5, Ageing: sim.Never})
	require.NoError(t, s.Add(v))
	p := payload(5, stations[1])
	s.Decap(p, len(p), remoteN(false, 2), 0, sim.Second)
	assert.Equal(t, sim.Never, v.Due())
	v.Tick(sim.Never - 1)
	assert.Equal(t, 1, v.Len())
}

// A source that was never seen, in a full table, is let through and not learned.
func TestAFullTableStillForwards(t *testing.T) {
	var s Socket
	v := newVTEP(t, Config{VNI: 5, MaxAddresses: 2})
	require.NoError(t, s.Add(v))
	for i := range 1000 {
		p := payload(5, MAC{2, 1, 0, 0, byte(i >> 8), byte(i)})
		d := s.Decap(p, len(p), remoteN(false, 2), 0, sim.Time(i))
		assert.Equal(t, cost.NotDropped, d.Reason)
	}
	assert.Equal(t, 2, v.Len())
	assert.EqualValues(t, 998, v.Stats().Refused)
	require.NoError(t, v.Check())
}

func TestTableIsEditedAsBridgeFdbDoes(t *testing.T) {
	v := plain(t)
	two, three := Remote{Addr: remoteN(false, 2)}, Remote{Addr: remoteN(false, 3), Port: 4790, VNI: 9}
	require.NoError(t, v.Add(Entry{MAC: stations[0], Kind: Static, Remotes: []Remote{two}}, 0))
	require.NoError(t, v.Add(Entry{MAC: stations[0], Kind: Permanent, Remotes: []Remote{three}}, 5), "replace")
	got, ok := v.Lookup(stations[0])
	assert.True(t, ok)
	assert.Equal(t, Entry{MAC: stations[0], Kind: Permanent, Remotes: []Remote{three}, Updated: 5}, got)
	require.NoError(t, v.Add(Entry{MAC: Default, Kind: Permanent, Remotes: []Remote{three}}, 0), "append")
	assert.ErrorIs(t, v.Add(Entry{MAC: Default, Remotes: []Remote{three}}, 0), ErrExists)
	assert.True(t, v.DeleteRemote(Default, two))
	assert.False(t, v.DeleteRemote(Default, two))
	got, _ = v.Lookup(Default)
	assert.Equal(t, []Remote{three}, got.Remotes)
	assert.True(t, v.DeleteRemote(Default, three))
	_, ok = v.Lookup(Default)
	assert.False(t, ok, "with its last remote the entry goes")
	assert.True(t, v.Delete(stations[0]))
	assert.False(t, v.Delete(stations[0]))
	require.NoError(t, v.Check())
}

func TestFlushLeavesTheDefault(t *testing.T) {
	v := plain(t)
	two := []Remote{{Addr: remoteN(false, 2)}}
	require.NoError(t, v.Add(Entry{MAC: stations[0], Kind: Static, Remotes: two}, 0))
	require.NoError(t, v.Add(Entry{MAC: stations[1], Kind: Dynamic, Remotes: two}, 0))
	assert.Equal(t, 1, v.Flush(true))
	assert.Equal(t, 1, v.Flush(false))
	assert.Equal(t, 1, v.Len())
	require.NoError(t, v.Check())
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	two, six := remoteN(false, 2), remoteN(true, 2)
	group := netip.MustParseAddr("239.1.1.1")
	for name, c := range map[string]Config{
		"a number too great":     {VNI: 1 << 24},
		"a group as its address": {MAC: groups[1]},
		"local is a group":       {Local: group},
		"local is no address":    {Local: netip.IPv4Unspecified()},
		"a group as remote":      {Remotes: []netip.Addr{group}},
		"itself as remote":       {Local: two, Remotes: []netip.Addr{two}},
		"both families":          {Local: two, Remotes: []netip.Addr{six}},
		"the same twice":         {Remotes: []netip.Addr{two, two}},
		"ports the wrong way":    {SrcPortMin: 100, SrcPortMax: 100},
		"no such DF":             {DF: 3},
		"ageing below zero":      {Ageing: -1},
		"a station in two places": {FDB: []Entry{
			{MAC: stations[0], Remotes: []Remote{{Addr: two}, {Addr: remoteN(false, 3)}}},
		}},
		"an entry for nowhere": {FDB: []Entry{{MAC: stations[0]}}},
		"no such kind":         {FDB: []Entry{{MAC: stations[0], Kind: 3, Remotes: []Remote{{Addr: two}}}}},
		"more than there may be": {MaxAddresses: 1, FDB: []Entry{
			{MAC: stations[0], Remotes: []Remote{{Addr: two}}}, {MAC: stations[1], Remotes: []Remote{{Addr: two}}},
		}},
	} {
		_, err := New(c)
		assert.Error(t, err, name)
	}
}

// Every cell of RFC 6040's table, section 4.2, on a packet whose checksum was right.
func TestMarksOfTheUnderlayAreCarriedOver(t *testing.T) {
	for in, row := range [4][4]string{
		NotECT: {"0", "0", "0", "drop"},
		ECT1:   {"1", "1", "1", "3"},
		ECT0:   {"2", "1", "2", "3"},
		CE:     {"3", "3", "3", "3"},
	} {
		for outer, want := range row {
			var s Socket
			require.NoError(t, s.Add(plain(t)))
			p := payload(5, stations[1])
			SetECN(p[HeaderLen:], ECN(in))
			require.Zero(t, checksum(p[HeaderLen+14:HeaderLen+34]), "the checksum after SetECN")
			d := s.Decap(p, len(p), remoteN(false, 2), uint8(0xb8|outer), 0)
			got := "drop"
			if d.Reason == cost.NotDropped {
				if d.ECN != NotECT {
					SetECN(p[HeaderLen:], d.ECN)
				}
				require.Zero(t, checksum(p[HeaderLen+14:HeaderLen+34]))
				got = string('0' + p[HeaderLen+15]&3)
			}
			assert.Equal(t, want, got, "inner %d outer %d", in, outer)
		}
	}
}

// A mark does not put right what was wrong: the receiver is to find it.
func TestAWrongChecksumStaysWrong(t *testing.T) {
	f := frameTo(stations[0], stations[1], 1, 6, 1, 2)
	f[15], f[24] = 0x02, f[24]^0x40
	wrong := checksum(f[14:34])
	require.NotZero(t, wrong)
	SetECN(f, CE)
	assert.Equal(t, uint8(0x03), f[15])
	assert.Equal(t, wrong, checksum(f[14:34]))
}

func TestNothingIsAllocatedForAFrame(t *testing.T) {
	var s Socket
	v := newVTEP(t, Config{VNI: 5, Remotes: []netip.Addr{remoteN(false, 2), remoteN(false, 3)}})
	require.NoError(t, s.Add(v))
	p, f := payload(5, stations[1]), frameTo(groups[0], stations[0], 1, 6, 1, 2)
	from := remoteN(false, 2)
	now := sim.Time(0)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		now++
		s.Decap(p, len(p), from, 0, now)
		v.Encap(f, len(f))
		v.Tick(now)
	}))
}

func BenchmarkEncap(b *testing.B) {
	v, _ := New(Config{VNI: 5, Remotes: []netip.Addr{remoteN(false, 2)}})
	f := frameTo(stations[0], stations[1], 1, 6, 1000, 80)
	for b.Loop() {
		v.Encap(f, len(f))
	}
}

func BenchmarkDecap(b *testing.B) {
	var s Socket
	v, _ := New(Config{VNI: 5})
	_ = s.Add(v)
	h := NewHeader(5)
	r := rand.New(rand.NewPCG(1, 1))
	payloads := make([][]byte, 1000)
	for i := range payloads {
		payloads[i] = append(h[:len(h):len(h)], frameTo(stations[0], MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, 1, 6, 1, 2)...)
	}
	from := remoteN(false, 2)
	for b.Loop() {
		p := payloads[r.IntN(len(payloads))]
		s.Decap(p, len(p), from, 0, 0)
	}
}
