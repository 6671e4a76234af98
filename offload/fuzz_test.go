package offload_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	. "ringside/offload"
)

// seedFrames are frames for a fuzzer to begin with.
func seedFrames(f *testing.F) (list [][]byte) {
	for _, c := range []func(*spec){
		func(*spec) {}, func(s *spec) { s.v6 = true }, func(s *spec) { s.tags = 2 },
		func(s *spec) { s.options = 40 }, func(s *spec) { s.udp = true }, func(s *spec) { s.flags = "ACEPF" },
	} {
		s := plain(2600)
		c(&s)
		list = append(list, s.build(f))
	}
	return list
}

// Whatever a guest says of a frame, a checksum is completed inside of it, sums up,
// and changes nothing else.
func FuzzComplete(f *testing.F) {
	for _, b := range seedFrames(f) {
		f.Add(b, uint16(34), uint16(16), uint64(1))
	}
	f.Add([]byte{1, 2, 3}, uint16(1), uint16(0), uint64(2))
	f.Fuzz(func(t *testing.T, frame []byte, start, offset uint16, seed uint64) {
		m := Meta{NeedsCsum: true, CsumStart: start, CsumOffset: offset}
		got := bytes.Clone(frame)
		ok := Complete(chop(rand.New(rand.NewPCG(seed, 0)), got, false), &m)
		at := int(start) + int(offset)
		if inside := int(start) < len(frame) && at+2 <= len(frame); ok != inside || m.NeedsCsum == ok {
			t.Fatalf("%d bytes, start %d, offset %d: %v, NeedsCsum %v", len(frame), start, offset, ok, m.NeedsCsum)
		}
		if !ok {
			at = len(frame)
		}
		for i := range frame {
			if i != at && i != at+1 && got[i] != frame[i] {
				t.Fatalf("byte %d was changed", i)
			}
		}
		if !ok {
			return
		}
		want := ^slowSum(frame[start:], 0)
		if want == 0 && offset == 6 {
			want = 0xFFFF
		}
		if v := uint16(got[at])<<8 | uint16(got[at+1]); v != want {
			t.Fatalf("wrote %#x, the sum is %#x", v, want)
		}
	})
}

// Whatever a frame is and its Meta says, segments have all of its payload, in
// order, and right sums; or it is refused.
func FuzzSegment(f *testing.F) {
	for i, b := range seedFrames(f) {
		kind := []GSO{GSOTCPv4, GSOTCPv6, GSOTCPv4, GSOTCPv4, GSOUDPL4, GSOTCPv4}[i]
		f.Add(b, uint8(kind), uint16(1000), uint64(1), false)
	}
	f.Fuzz(func(t *testing.T, frame []byte, kind uint8, size uint16, seed uint64, partial bool) {
		was := bytes.Clone(frame)
		s := &Segmenter{Partial: partial}
		err := s.Start(chop(rand.New(rand.NewPCG(seed, 0)), frame, false), Meta{GSO: GSO(kind), GSOSize: size, NeedsCsum: true})
		if err != nil {
			if _, _, _, ok := s.Next(); ok {
				t.Fatal("a segment of a frame that was refused")
			}
			return
		}
		var data []byte
		n, header := 0, 0
		for {
			hdr, payload, m, ok := s.Next()
			if !ok {
				break
			}
			n++
			whole := join(append([][]byte{hdr}, payload...)...)
			if len(whole)-len(hdr) > int(size) || n > 1 && len(hdr) != header {
				t.Fatalf("segment %d has %d bytes of payload behind %d", n, len(whole)-len(hdr), len(hdr))
			}
			header = len(hdr)
			if partial != m.NeedsCsum || m.NeedsCsum && !Complete([][]byte{whole}, &m) {
				t.Fatalf("segment %d: %+v", n, m)
			}
			if v := Verify([][]byte{whole}); v.IP == Bad || v.L4 != Good {
				t.Fatalf("segment %d: %+v: % x", n, v, whole[:min(len(whole), 80)])
			}
			data = append(data, whole[len(hdr):]...)
		}
		if n == 0 || !bytes.Equal(data, was[header:]) || n != s.Segments() {
			t.Fatalf("%d segments of %d: the payload is not what it was", n, s.Segments())
		}
		if !bytes.Equal(frame, was) {
			t.Fatal("the frame itself was changed")
		}
	})
}

// Whatever comes in, what is merged is cut into the same frames again, byte for
// byte and in order.
func FuzzMerge(f *testing.F) {
	for _, b := range seedFrames(f) {
		f.Add(b, uint16(700), []byte{0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, frame []byte, size uint16, edits []byte) {
		if len(frame) > 20000 {
			return
		}
		kind := GSOTCPv4
		if len(frame) > 14 && frame[12] == 0x86 {
			kind = GSOTCPv6
		}
		var frames [][]byte
		collect := func(hdr []byte, payload [][]byte, _ Meta) {
			if len(frames) < 64 {
				frames = append(frames, join(append([][]byte{hdr}, payload...)...))
			}
		}
		if Segment([][]byte{frame}, Meta{GSO: kind, GSOSize: size}, collect) != nil {
			frames = [][]byte{frame}
		}
		for i := 0; i+3 < len(edits); i += 4 { // spoil a byte here and there
			b := frames[int(edits[i])%len(frames)]
			if at := int(edits[i+1])<<8 | int(edits[i+2]); at < len(b) {
				b[at] ^= edits[i+3]
			}
		}
		var want [][]byte
		for _, b := range frames {
			if v := Verify([][]byte{b}); v.L4 == Good { // others are not merged
				want = append(want, b)
			}
		}
		up, metas := merge(t, want)
		var got [][]byte
		for i, m := range metas {
			if m.GSO == GSONone {
				got = append(got, up[i])
				continue
			}
			n := len(got)
			if err := Segment([][]byte{up[i]}, m, func(hdr []byte, payload [][]byte, _ Meta) {
				got = append(got, join(append([][]byte{hdr}, payload...)...))
			}); err != nil {
				t.Fatalf("a merged frame cannot be cut: %v", err)
			}
			if len(got)-n != int(m.Segs) {
				t.Fatalf("%d segments of %d", len(got)-n, m.Segs)
			}
		}
		same(t, want, got, "")
	})
}

// Any frame is looked at without harm, and a good verdict is that of the slow sum.
func FuzzVerify(f *testing.F) {
	for _, b := range seedFrames(f) {
		f.Add(b, uint64(1))
	}
	f.Fuzz(func(t *testing.T, frame []byte, seed uint64) {
		v := Verify([][]byte{frame})
		if cut := Verify(chop(rand.New(rand.NewPCG(seed, 0)), frame, false)); cut != v {
			t.Fatalf("%+v in one piece, %+v in several", v, cut)
		}
		Look(frame, len(frame))
		if v.IP == Unchecked {
			return
		}
		at := 14
		for frame[at-2] == 0x81 || frame[at-2] == 0x88 && frame[at-1] == 0xA8 {
			at += 4
		}
		if sum := slowSum(frame[at:at+int(frame[at]&0xF)*4], 0); (sum == 0xFFFF) != (v.IP == Good) {
			t.Fatalf("verdict %v, the sum is %#x", v.IP, sum)
		}
	})
}
