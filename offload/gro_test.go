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

// merge puts frames together as one who merges does, and returns what goes up, in
// one piece each, with its Meta.
func merge(t testing.TB, frames [][]byte) (up [][]byte, metas []Meta) {
	var held Held
	var parts [][]byte
	flush := func() {
		if parts == nil {
			return
		}
		metas = append(metas, held.Finish())
		up = append(up, join(parts...))
		parts = nil
	}
	for _, f := range frames {
		f = bytes.Clone(f)
		p, ok := Look(f, len(f))
		if ok && parts != nil && held.Same(&p) {
			if held.Join(&p) {
				parts = append(parts, f[p.Header():])
				if held.Ended() {
					flush()
				}
				continue
			}
		}
		flush()
		if ok {
			held, ok = Hold(p)
		}
		if !ok {
			up, metas = append(up, f), append(metas, Meta{})
			continue
		}
		parts = [][]byte{f}
	}
	flush()
	return up, metas
}

// Cutting and merging are each other's undoing, in both orders, to the last bit.
func TestMergedFramesAreCutIntoWhatTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	merged := 0
	for range 300 {
		s := chance(r)
		mss := 200 + r.IntN(1300)
		fixed := s.df && r.IntN(2) == 0
		want := s.pieces(t, mss, fixed)
		up, metas := merge(t, want)
		var got [][]byte
		for i, m := range metas {
			if m.GSO == GSONone {
				got = append(got, up[i])
				continue
			}
			merged++
			require.NoError(t, Segment([][]byte{up[i]}, m, func(hdr []byte, payload [][]byte, _ Meta) {
				got = append(got, join(append([][]byte{hdr}, payload...)...))
			}))
		}
		same(t, want, got, "%+v", s.brief())
	}
	assert.Greater(t, merged, 150)
}

func TestSegmentsAreMergedIntoTheFrameTheyWereCutFrom(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, last := range []int{1, 999, 1000} {
			s := plain(9*1000 + last)
			s.v6, s.tags, s.options, s.flags = v6, 1, 12, "AP"
			want := s.build(t)
			up, metas := merge(t, s.pieces(t, 1000, false))
			require.Len(t, up, 1)
			m := metas[0]
			half := s.meta(1000)
			half.Segs, half.HdrLen = 10, half.CsumStart+32
			require.Equal(t, half, m)
			require.True(t, Complete(up, &m))
			same(t, [][]byte{want}, up, "v6 %v, last %d", v6, last)
		}
	}
}

// Linux's rules of who may join, a row each: what the second segment has that the
// first has not.
func TestWhoMayJoin(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(*spec) // also changes the second
		then  func(*spec)
		edit  func(second []byte)
		want  int // frames that go up
	}{
		{"the next bytes", nil, nil, nil, 1},
		{"PSH on the second", nil, func(s *spec) { s.flags = "AP" }, nil, 1},
		{"FIN on the second", nil, func(s *spec) { s.flags = "AF" }, nil, 1},
		{"a shorter one", nil, func(s *spec) { s.payload = s.payload[:1] }, nil, 1},
		{"CWR on the first", nil, func(s *spec) { s.flags = "A" }, nil, 1},
		{"a longer one", nil, func(s *spec) { s.payload = append(s.payload, 1) }, nil, 2},
		{"no payload", nil, func(s *spec) { s.payload = nil }, nil, 2},
		{"a hole", nil, func(s *spec) { s.seq++ }, nil, 2},
		{"bytes again", nil, func(s *spec) { s.seq-- }, nil, 2},
		{"another acknowledgement", nil, func(s *spec) { s.ack++ }, nil, 2},
		{"another window", nil, func(s *spec) { s.window++ }, nil, 2},
		{"a zero window", nil, func(s *spec) { s.window = 0 }, nil, 2},
		{"CWR", nil, func(s *spec) { s.flags = "AC" }, nil, 2},
		{"ECE", nil, func(s *spec) { s.flags = "AE" }, nil, 2},
		{"SYN", nil, func(s *spec) { s.flags = "SA" }, nil, 2},
		{"RST", nil, func(s *spec) { s.flags = "RA" }, nil, 2},
		{"URG", nil, func(s *spec) { s.flags = "UA" }, nil, 2},
		{"PSH on the first", func(s *spec) { s.flags = "AP" }, nil, nil, 2},
		{"options where there were none", nil, func(s *spec) { s.options = 4 }, nil, 2},
		{"the same options", func(s *spec) { s.options = 12 }, nil, nil, 1},
		{"other options", func(s *spec) { s.options = 12 }, nil, func(b []byte) { b[54]++; resum(b) }, 2},
		{"another flow", nil, func(s *spec) { s.src++ }, nil, 2},
		{"another traffic class", nil, func(s *spec) { s.tos++ }, nil, 2},
		{"another hop limit", nil, func(s *spec) { s.ttl-- }, nil, 2},
		{"another VLAN", func(s *spec) { s.tags = 1 }, nil, func(b []byte) { b[15]++ }, 2},
		{"another station", nil, nil, func(b []byte) { b[0] ^= 4 }, 2},
		{"an identification that jumps", nil, func(s *spec) { s.id++ }, nil, 2},
		{"the same one with DF", nil, func(s *spec) { s.id-- }, nil, 1},
		{"the same one without DF", func(s *spec) { s.df = false }, func(s *spec) { s.id-- }, nil, 2},
		{"DF on one of them", nil, func(s *spec) { s.df = false }, nil, 2},
		{"a fragment", nil, nil, func(b []byte) { b[20] = 0x20; b[24], b[25] = 0, 0; resum(b) }, 2},
		{"a bad IP header", nil, nil, func(b []byte) { b[24] ^= 1 }, 2},
		{"IPv6", func(s *spec) { s.v6 = true }, nil, nil, 1},
		{"IPv6, another traffic class", func(s *spec) { s.v6 = true }, func(s *spec) { s.tos = 9 }, nil, 2},
		{"IPv6, another hop limit", func(s *spec) { s.v6 = true }, func(s *spec) { s.ttl = 9 }, nil, 2},
		{"IPv6, another label", func(s *spec) { s.v6 = true }, nil, func(b []byte) { b[17]++ }, 2},
		{"a sum of all ones", nil, nil, func(b []byte) { b[50], b[51] = 0xFF, 0xFF }, 2},
	} {
		first := plain(500)
		if c.first != nil {
			c.first(&first)
		}
		second := first
		second.seq, second.id = second.seq+500, second.id+1
		if c.then != nil {
			c.then(&second)
		}
		a, b := first.build(t), second.build(t)
		if c.name == "CWR on the first" {
			a[47] |= 0x80
		}
		if c.edit != nil {
			c.edit(b)
		}
		up, _ := merge(t, [][]byte{a, b})
		assert.Len(t, up, c.want, c.name)
	}
}

// resum makes the sum of an IPv4 header right.
func resum(b []byte) {
	ip := b[14:34]
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^slowSum(ip, 0))
}

func TestIdentificationsCountUpOrStay(t *testing.T) {
	for _, c := range []struct {
		name string
		ids  []uint16
		want int
	}{
		{"up", []uint16{5, 6, 7, 8}, 1},
		{"over the end", []uint16{65534, 65535, 0, 1}, 1},
		{"the same", []uint16{5, 5, 5, 5}, 1},
		{"up, then the same", []uint16{5, 6, 6}, 2},
		{"the same, then up", []uint16{5, 5, 6}, 2},
		{"the same, then as if it had counted", []uint16{5, 5, 7}, 2},
		{"down", []uint16{5, 4, 3}, 3},
	} {
		var frames [][]byte
		for i, id := range c.ids {
			s := plain(100)
			s.id, s.seq = id, s.seq+uint32(100*i)
			frames = append(frames, s.build(t))
		}
		up, _ := merge(t, frames)
		assert.Len(t, up, c.want, c.name)
	}
}

func TestNothingJoinsBehindTheShortOneOrPSH(t *testing.T) {
	s := plain(2500)
	frames := s.pieces(t, 1000, false)
	next := plain(1000)
	next.seq, next.id = s.seq+2500, s.id+3
	up, _ := merge(t, append(frames, next.build(t)))
	assert.Len(t, up, 2)
}

func TestAMergedFrameStaysBelow64KiB(t *testing.T) {
	var frames [][]byte
	s := plain(1448)
	for range 100 {
		frames = append(frames, s.build(t))
		s.seq, s.id = s.seq+1448, s.id+1
	}
	up, metas := merge(t, frames)
	require.Len(t, up, 3)
	for _, f := range up {
		assert.Less(t, len(f), MaxMerged)
	}
	assert.Equal(t, uint16(45), metas[0].Segs)
}

// A padded frame says in its header that it is shorter: merged, the padding would
// be data.
func TestPaddedFramesAreNotMerged(t *testing.T) {
	long, short := plain(500), plain(1)
	short.seq, short.id = long.seq+500, long.id+1
	b := append(short.build(t), 0, 0, 0, 0, 0)
	p, ok := Look(b, len(b))
	require.True(t, ok, "so that those of its flow which are held go before it")
	assert.True(t, p.Padded)
	for _, frames := range [][][]byte{{long.build(t), b}, {b, b}} {
		up, metas := merge(t, frames)
		same(t, frames, up, "")
		assert.Zero(t, metas[1])
	}
}

func TestSequenceNumbersWrap(t *testing.T) {
	s := plain(3000)
	s.seq = 0xFFFFFF00
	up, metas := merge(t, s.pieces(t, 1000, false))
	require.Len(t, up, 1)
	m := metas[0]
	require.True(t, Complete(up, &m))
	same(t, [][]byte{s.build(t)}, up, "")
}

func TestMergingAllocatesNothing(t *testing.T) {
	s := plain(2000)
	frames := s.pieces(t, 1000, false)
	was := bytes.Clone(frames[0])
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		copy(frames[0], was)
		a, _ := Look(frames[0], len(frames[0]))
		b, _ := Look(frames[1], len(frames[1]))
		held, _ := Hold(a)
		if !held.Same(&b) || !held.Join(&b) || held.Finish().Segs != 2 {
			t.Fatal("not merged")
		}
	}))
}
