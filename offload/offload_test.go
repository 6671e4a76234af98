package offload_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	. "ringside/offload"
)

func TestSumIsTheSlowSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(2) == 0 {
				b[i] = 0xFF
			}
		}
		initial := uint16(r.Uint32())
		require.Equal(t, slowSum(b, initial), Sum(b, initial), "%x on %#x", b, initial)
	}
	assert.Equal(t, slowSum(bytes.Repeat([]byte{0xFF}, 65536), 0xFFFF), Sum(bytes.Repeat([]byte{0xFF}, 65536), 0xFFFF))
}

// offsets are those of the checksum of a spec's frame.
func (s spec) half() Meta {
	m := Meta{NeedsCsum: true, CsumStart: uint16(34 + 4*s.tags), CsumOffset: 16}
	if s.v6 {
		m.CsumStart += 20
	}
	if s.udp {
		m.CsumOffset = 6
	}
	return m
}

// undo leaves the checksum of a whole frame half done.
func (s spec) undo(frame []byte) Meta {
	m := s.half()
	at := int(m.CsumStart + m.CsumOffset)
	was := binary.BigEndian.Uint16(frame[at:])
	// What stands there is the complement of all: take out what Complete will add.
	binary.BigEndian.PutUint16(frame[at:], 0)
	rest := slowSum(frame[m.CsumStart:], 0)
	sum := uint32(^was) + uint32(^rest)
	binary.BigEndian.PutUint16(frame[at:], uint16(sum+sum>>16))
	return m
}

func TestHalfDoneChecksumIsCompletedWhereverPartsAreCut(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		s := chance(r)
		s.udp = r.IntN(3) == 0
		if s.udp {
			s.payload = s.payload[:min(len(s.payload), 1400)]
		}
		want := s.build(t)
		got := bytes.Clone(want)
		m := s.undo(got)
		require.True(t, Complete(chop(r, got, false), &m))
		assert.False(t, m.NeedsCsum)
		same(t, [][]byte{want}, [][]byte{got}, "")
	}
}

func TestChecksumOutsideOfTheFrameIsRefused(t *testing.T) {
	frame := plain(100).build(t)
	for name, m := range map[string]Meta{
		"start at the end":  {NeedsCsum: true, CsumStart: uint16(len(frame))},
		"start behind":      {NeedsCsum: true, CsumStart: 65535},
		"sum over the end":  {NeedsCsum: true, CsumStart: 34, CsumOffset: uint16(len(frame) - 35)},
		"offset far behind": {NeedsCsum: true, CsumStart: 34, CsumOffset: 65535},
	} {
		got := bytes.Clone(frame)
		assert.False(t, Complete([][]byte{got}, &m), name)
		assert.True(t, m.NeedsCsum, name)
		assert.Equal(t, frame, got, name)
	}
	m := Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: uint16(len(frame) - 36)}
	assert.True(t, Complete([][]byte{frame}, &m), "the last two bytes")
}

func TestSumOfZeroIsAllOnesForUDPAlone(t *testing.T) {
	for offset, want := range map[uint16][]byte{6: {0xFF, 0xFF}, 16: {0, 0}} {
		frame := bytes.Repeat([]byte{0xFF}, 40)
		frame[offset], frame[offset+1] = 0, 0
		m := Meta{NeedsCsum: true, CsumOffset: offset}
		require.True(t, Complete([][]byte{frame}, &m))
		assert.Equal(t, want, frame[offset:offset+2])
	}
}

// pieces are the segments that s is cut into, as gopacket builds each.
func (s spec) pieces(t *testing.T, mss int, fixed bool) (list [][]byte) {
	for i := 0; i == 0 || i*mss < len(s.payload); i++ {
		one := s
		one.payload = s.payload[i*mss : min(len(s.payload), (i+1)*mss)]
		one.seq += uint32(i * mss)
		if !fixed {
			one.id += uint16(i)
		}
		flags := ""
		for _, f := range s.flags {
			last := (i+1)*mss >= len(s.payload)
			if (f == 'F' || f == 'P') && !last || f == 'C' && i > 0 {
				continue
			}
			flags += string(f)
		}
		one.flags = flags
		list = append(list, one.build(t))
	}
	return list
}

func (s spec) meta(mss int) Meta {
	m := s.half()
	m.GSO, m.GSOSize = GSOTCPv4, uint16(mss)
	if s.v6 {
		m.GSO = GSOTCPv6
	}
	if s.udp {
		m.GSO = GSOUDPL4
	}
	return m
}

func TestSegmentsAreTheFramesThatWereNeverOne(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		s := chance(r)
		s.udp = r.IntN(4) == 0
		mss := 100 + r.IntN(1400)
		m := s.meta(mss)
		m.FixedID = r.IntN(3) == 0
		want := s.pieces(t, mss, m.FixedID)
		var got [][]byte
		parts := chop(r, s.build(t), r.IntN(2) == 0)
		require.NoError(t, Segment(parts, m, func(hdr []byte, payload [][]byte, m Meta) {
			assert.Equal(t, Meta{Valid: true}, m)
			got = append(got, join(append([][]byte{hdr}, payload...)...))
		}))
		same(t, want, got, "%+v, mss %d", s.brief(), mss)
	}
}

func TestPartialSegmentsAreCompletedToTheSame(t *testing.T) {
	s := plain(5000)
	s.tags = 1
	frame := s.build(t)
	seg := &Segmenter{Partial: true}
	require.NoError(t, seg.Start([][]byte{frame}, s.meta(1000)))
	assert.Equal(t, 5, seg.Segments())
	for _, want := range s.pieces(t, 1000, false) {
		hdr, payload, m, ok := seg.Next()
		require.True(t, ok)
		require.True(t, m.NeedsCsum)
		got := join(append([][]byte{hdr}, payload...)...)
		require.True(t, Complete([][]byte{got}, &m))
		same(t, [][]byte{want}, [][]byte{got}, "")
		assert.Equal(t, 5, seg.Segments())
	}
	_, _, _, ok := seg.Next()
	assert.False(t, ok)
}

func TestLengthOfALongFrameIsThatOfItsParts(t *testing.T) {
	s := plain(65000)
	s.v6 = true
	frame := s.build(t)
	s.v6 = false
	for _, length := range []uint16{0, 40, 65535} {
		frame := s.build(t)
		binary.BigEndian.PutUint16(frame[16:], length)
		n := 0
		require.NoError(t, Segment([][]byte{frame}, s.meta(1448), func(hdr []byte, payload [][]byte, _ Meta) {
			assert.Equal(t, Sums{IP: Good, L4: Good, Proto: 6}, Verify(append([][]byte{hdr}, payload...)))
			n++
		}), "an IPv4 length of %d", length)
		assert.Equal(t, 45, n)
	}
	s.v6 = true
	frame = append(frame, make([]byte, 600)...)
	n := 0
	require.NoError(t, Segment([][]byte{frame}, s.meta(1448), func([]byte, [][]byte, Meta) { n++ }))
	assert.Equal(t, 46, n, "longer than IPv6 can say")
}

func TestFramesThatLieAreNotSegmented(t *testing.T) {
	good, six := plain(3000), plain(3000)
	six.v6 = true
	fragment := good.build(t)
	fragment[20] |= 0x20 // more fragments
	offset := good.build(t)
	offset[46] = 0x40 // TCP header of 16 bytes
	long := good.build(t)
	long[46] = 0xF0
	ihl := good.build(t)
	ihl[14] = 0x44
	tags := good
	tags.tags = 3
	for _, c := range []struct {
		name  string
		frame []byte
		m     Meta
	}{
		{"no GSO", good.build(t), Meta{GSOSize: 1000}},
		{"reserved GSO", good.build(t), Meta{GSO: 9, GSOSize: 1000}},
		{"segments of no bytes", good.build(t), Meta{GSO: GSOTCPv4}},
		{"empty", nil, good.meta(1000)},
		{"an Ethernet header", good.build(t)[:14], good.meta(1000)},
		{"half an IP header", good.build(t)[:30], good.meta(1000)},
		{"half a TCP header", good.build(t)[:50], good.meta(1000)},
		{"half its options", long[:60], good.meta(1000)},
		{"another version of IP", six.build(t), good.meta(1000)},
		{"another protocol", good.build(t), Meta{GSO: GSOUDPL4, GSOSize: 1000}},
		{"a fragment", fragment, good.meta(1000)},
		{"a TCP header too short", offset, good.meta(1000)},
		{"an IP header too short", ihl, good.meta(1000)},
		{"three tags", tags.build(t), good.meta(1000)},
		{"longer than 64 KiB and headers", make([]byte, 70000), good.meta(1000)},
	} {
		assert.ErrorIs(t, Segment([][]byte{c.frame}, c.m, func([]byte, [][]byte, Meta) { t.Error(c.name, "was cut") }), ErrSegment, c.name)
	}
}

func TestASegmentAllocatesNothing(t *testing.T) {
	s := plain(60000)
	parts := [][]byte{s.build(t)}
	seg := new(Segmenter)
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		if seg.Start(parts, s.meta(1448)) != nil {
			t.Fatal("not cut")
		}
		for {
			if _, _, _, ok := seg.Next(); !ok {
				return
			}
		}
	}))
}

func TestVerifyTellsGoodSumsFromBad(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		s := chance(r)
		s.udp = r.IntN(3) == 0
		frame := s.build(t)
		want := Sums{IP: Good, L4: Good, Proto: 6}
		if s.udp {
			want.Proto = 17
		}
		if s.v6 {
			want.IP = Unchecked
		}
		padded := append(bytes.Clone(frame), 1, 2, 3)
		require.Equal(t, want, Verify(chop(r, padded, false)), "whole and padded")
		m := s.half()
		at := int(m.CsumStart) + r.IntN(len(frame)-int(m.CsumStart))
		if l4 := int(m.CsumStart); s.udp && at < l4+8 || at == l4+12 {
			continue // a length that lies is another matter
		}
		frame[at] ^= 1 << r.IntN(8)
		want.L4 = Bad
		require.Equal(t, want, Verify(chop(r, frame, false)), "byte %d of %+v", at, s.brief())
	}
}

func TestVerifyLeavesAloneWhatHasNoSum(t *testing.T) {
	udp := plain(100)
	udp.udp = true
	none := udp.build(t)
	none[40], none[41] = 0, 0
	bad := plain(100).build(t)
	bad[24] ^= 1
	fragment := plain(100).build(t)
	fragment[20], fragment[21] = 0x20, 0
	short := plain(100).build(t)
	short = short[:len(short)-1]
	arp := bytes.Clone(bad)
	arp[12], arp[13] = 8, 6
	for _, c := range []struct {
		name  string
		frame []byte
		want  Sums
	}{
		{"UDP without a sum", none, Sums{IP: Good}},
		{"a bad IP header", bad, Sums{IP: Bad, L4: Good, Proto: 6}},
		{"a fragment", fragment, Sums{IP: Bad}},
		{"longer in its header than it is", short, Sums{IP: Good}},
		{"not IP", arp, Sums{}},
		{"nothing", nil, Sums{}},
	} {
		assert.Equal(t, c.want, Verify([][]byte{c.frame}), c.name)
	}
}

// An offset that a tag would move beyond what 16 bits say does not come round to the
// frame's addresses.
func TestShiftDoesNotWrap(t *testing.T) {
	m := Meta{NeedsCsum: true, CsumStart: 65534, HdrLen: 65533}
	m.Shift(4)
	assert.Equal(t, Meta{NeedsCsum: true, CsumStart: 65535, HdrLen: 65535}, m)
	m = Meta{NeedsCsum: true, CsumStart: 3, HdrLen: 1}
	m.Shift(-4)
	assert.Equal(t, Meta{NeedsCsum: true}, m)
}
