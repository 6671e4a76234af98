package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
)

// wantPacket is what a reader must find of p.
func wantPacket(s Section, p Packet) packetBlock {
	snap := s.SnapLen
	if snap == 0 {
		snap = 262144
	}
	want := packetBlock{
		iface:   uint32(p.Interface),
		ts:      wantTime(s, p.TimePS),
		origLen: uint32(max(p.OrigLen, len(p.Data))),
		data:    string(p.Data[:min(snap, len(p.Data))]),
	}
	add := func(code uint16, value string) { want.options = append(want.options, tlv{code, value}) }
	if p.Direction != DirectionUnknown {
		add(2, string([]byte{byte(p.Direction), 0, 0, 0}))
	}
	if p.DropCount.known {
		add(4, eight(p.DropCount.n))
	}
	if p.ID.known {
		add(5, eight(p.ID.n))
	}
	if p.Queue.known {
		add(6, eight(p.Queue.n)[:4])
	}
	for _, v := range p.EPBVerdicts {
		if v.Type == VerdictHardware {
			add(7, "\x00"+string(v.Bytes))
		} else {
			add(7, string([]byte{byte(v.Type)})+eight(v.Code))
		}
	}
	switch {
	case p.Reason != "":
		add(1, fmt.Sprintf("verdict=%s reason=%s", p.Verdict, p.Reason))
	case p.Verdict != "":
		add(1, fmt.Sprintf("verdict=%s", p.Verdict))
	}
	for _, c := range p.Comments {
		if c != "" {
			add(1, c)
		}
	}
	return want
}

func wantTime(s Section, ps int64) uint64 {
	base := s.Base
	if base.IsZero() {
		base = time.Unix(0, 0)
	}
	return uint64(base.UnixNano()) + uint64(ps/1000)
}

func eight(n uint64) string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return string(b[:])
}

func TestRandomPacketsAreReadBackAsTheyWereWritten(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := Section{SnapLen: r.IntN(2000), Base: time.Unix(r.Int64N(4e9), r.Int64N(1e9)), Comment: words(r, 30)}
		var file bytes.Buffer
		w := NewWriter(&file, s)
		var want capture
		if s.Comment != "" {
			want.section = []tlv{{1, s.Comment}}
		}
		for n := 0; n < 400; n++ {
			switch k := r.IntN(20); {
			case len(want.interfaces) == 0 || k == 0:
				i := Interface{Name: words(r, 10)}
				snap := s.SnapLen
				if snap == 0 {
					snap = 262144
				}
				block := ifaceBlock{snapLen: uint32(snap)}
				if i.Name != "" {
					block.options = append(block.options, tlv{2, i.Name})
				}
				block.options = append(block.options, tlv{9, "\x09"})
				require.Equal(t, len(want.interfaces), w.AddInterface(i))
				want.interfaces = append(want.interfaces, block)
			case k == 1:
				st := Stats{Interface: r.IntN(len(want.interfaces)), StartPS: r.Int64N(1e15), Received: Of(r.Uint64())}
				st.EndPS = st.StartPS + r.Int64N(1e15)
				require.NoError(t, w.WriteStats(&st))
				want.stats = append(want.stats, statsBlock{uint32(st.Interface), wantTime(s, st.EndPS), []tlv{
					{2, halves(wantTime(s, st.StartPS))}, {3, halves(wantTime(s, st.EndPS))}, {4, eight(st.Received.n)}}})
			default:
				p := somePacket(r, len(want.interfaces))
				require.NoError(t, w.WritePacket(&p))
				want.packets = append(want.packets, wantPacket(s, p))
			}
		}
		require.NoError(t, w.Flush())
		got, err := parse(file.Bytes())
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func halves(ns uint64) string { return eight(ns >> 32)[:4] + eight(ns)[:4] }

// somePacket draws from everything a packet may be; short values are the likely ones.
func somePacket(r *rand.Rand, interfaces int) Packet {
	number := func() Number {
		if r.IntN(2) == 0 {
			return Number{}
		}
		return Of(r.Uint64() >> r.IntN(64))
	}
	p := Packet{
		Interface: r.IntN(interfaces),
		TimePS:    r.Int64() >> r.IntN(63),
		Data:      make([]byte, 1+r.IntN(1+r.IntN(3000))),
		Direction: Direction(r.IntN(3)),
		ID:        number(),
		Queue:     number(),
		DropCount: number(),
	}
	p.Queue.n &= math.MaxUint32
	for i := range p.Data {
		p.Data[i] = byte(r.Uint32())
	}
	if r.IntN(4) == 0 {
		p.OrigLen = len(p.Data) + r.IntN(70000)
	}
	if r.IntN(2) == 0 {
		p.Verdict = "v" + strings.Repeat("x", r.IntN(8))
		p.Reason = strings.Repeat("R", r.IntN(5))
	}
	for range r.IntN(3) {
		v := EPBVerdict{Type: VerdictType(r.IntN(3))}
		if v.Type == VerdictHardware {
			v.Bytes = p.Data[:1+r.IntN(min(9, len(p.Data)))]
		} else {
			v.Code = r.Uint64()
		}
		p.EPBVerdicts = append(p.EPBVerdicts, v)
	}
	for range r.IntN(3) {
		p.Comments = append(p.Comments, words(r, 40))
	}
	return p
}

// words is up to n characters of one to four bytes each.
func words(r *rand.Rand, n int) string {
	var b strings.Builder
	for range r.IntN(n + 1) {
		b.WriteRune([]rune("aZ 9=\n\r\tüß→𝄞")[r.IntN(12)])
	}
	return b.String()
}

func TestTheStrictReaderSeesEveryByte(t *testing.T) {
	file := written(t, Section{Comment: "abc"}, func(w *Writer) {
		w.WritePacket(&Packet{Data: []byte{1}, ID: Of(1), Verdict: "drop"})
		w.WriteStats(&Stats{})
	})
	intact, err := parse(file)
	require.NoError(t, err)
	ends := map[int]bool{0: true, 40: true, 72: true, 140: true} // of blocks
	for at := range file {
		_, err := parse(file[:at])
		require.Equal(t, ends[at], err == nil, "cut at byte %d", at)

		damaged := bytes.Clone(file)
		damaged[at] ^= 0x80
		if got, err := parse(damaged); err == nil {
			require.NotEqual(t, intact, got, "byte %d changed", at)
		}
	}
}

func TestGopacketReadsEverythingItKnows(t *testing.T) {
	base := time.Unix(1_700_000_000, 123_456_789).UTC()
	s := Section{Hardware: "none", OS: "virtual", Application: "ringside test", Comment: "a\nb", Base: base, SnapLen: 1000}
	var file bytes.Buffer
	w := NewWriter(&file, s)
	wire := w.AddInterface(Interface{Name: "wire0", Description: "10 Gbit/s", SpeedBPS: 10e9, Comment: "first"})
	w.AddInterface(Interface{Name: "tap0"})
	r := rand.New(rand.NewPCG(1, 2))
	var sent []Packet
	for range 500 {
		p := somePacket(r, 2)
		require.NoError(t, w.WritePacket(&p))
		sent = append(sent, p)
	}
	require.NoError(t, w.WriteStats(&Stats{Interface: wire, StartPS: 1_000, EndPS: 2e12, Received: Of(500), Dropped: Of(0), Comment: "done"}))
	require.NoError(t, w.Flush())

	ng, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	require.NoError(t, err)
	require.Equal(t, pcapgo.NgSectionInfo{Hardware: "none", OS: "virtual", Application: "ringside test", Comment: "a\nb"}, ng.SectionInfo())
	for i, p := range sent {
		data, ci, err := ng.ReadPacketData()
		require.NoError(t, err, "packet %d", i)
		want := wantPacket(s, p)
		require.Equal(t, want.data, string(data))
		require.Equal(t, int(want.origLen), ci.Length)
		require.Equal(t, p.Interface, ci.InterfaceIndex)
		require.Equal(t, base.Add(time.Duration(p.TimePS/1000)), ci.Timestamp)
	}
	_, _, err = ng.ReadPacketData()
	require.Equal(t, io.EOF, err)

	got, err := ng.Interface(wire)
	require.NoError(t, err)
	require.Equal(t, "wire0 | 10 Gbit/s | first | 1000", fmt.Sprintf("%s | %s | %s | %d", got.Name, got.Description, got.Comment, got.SnapLength))
	require.Equal(t, pcapgo.NgInterfaceStatistics{
		LastUpdate: base.Add(2 * time.Second), StartTime: base.Add(1), EndTime: base.Add(2 * time.Second),
		Comment: "done", PacketsReceived: 500, PacketsDropped: 0,
	}, got.Statistics)
}

// Each row is refused with words that say what and what to do, sticks, and
// leaves no byte behind.
func TestWhatAReaderWouldRefuseIsNotWritten(t *testing.T) {
	frame := []byte{1, 2, 3}
	long := strings.Repeat("x", maxOption+1)
	many := strings.Repeat("x", maxOption)
	rows := []struct {
		name string
		s    Section
		do   func(*Writer)
		want string
	}{
		{"snap length below 0", Section{SnapLen: -1}, nil, "snap length -1 is out of range: choose 1 to 262144, or 0 for 262144"},
		{"snap length above the most", Section{SnapLen: MaxCaptured + 1}, nil, "snap length 262145 is out of range"},
		{"base before 1970", Section{Base: time.Unix(-1, 0)}, nil, "choose one from 1970 to 2262"},
		{"base after 2262", Section{Base: time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC)}, nil, "choose one from 1970 to 2262"},
		{"section text not UTF-8", Section{OS: "\xff"}, nil, `section has the text "\xff": it must be UTF-8`},
		{"section text too long", Section{Comment: long}, nil, "section has a text of 65533 bytes: the most is 65532"},
		{"section texts too long together", Section{Comment: many, OS: many}, nil, "section has 131064 bytes of text: the most is 130048"},
		{"interface name with a zero byte", Section{}, func(w *Writer) { w.AddInterface(Interface{Name: "a\x00b"}) },
			`interface has the text "a\x00b": a zero byte ends it for readers, so take it out`},
		{"interface not there", Section{}, func(w *Writer) { w.WritePacket(&Packet{Interface: 1, Data: frame}) },
			"packet names interface 1 of 1: use an id that AddInterface returned"},
		{"interface below 0", Section{}, func(w *Writer) { w.WritePacket(&Packet{Interface: -1, Data: frame}) },
			"packet names interface -1 of 1"},
		{"no bytes", Section{}, func(w *Writer) { w.WritePacket(&Packet{OrigLen: 60}) }, "packet has no bytes"},
		{"time below 0", Section{}, func(w *Writer) { w.WritePacket(&Packet{TimePS: -1, Data: frame}) },
			"packet at -1 ps: virtual time starts at 0"},
		{"original length below the captured", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, OrigLen: 2}) },
			"packet of 3 bytes has an original length of 2: it cannot have been shorter"},
		{"original length below 0", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, OrigLen: -1}) }, "original length of -1"},
		{"original length above 31 bits", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, OrigLen: 1 << 31}) },
			"original length of 2147483648: the most is 2147483647"},
		{"direction 3", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Direction: 3}) }, "direction 3"},
		{"queue above 32 bits", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Queue: Of(1 << 32)}) },
			"queue 4294967296: a queue number has 32 bits"},
		{"verdict with a space", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Verdict: "to drop"}) }, `verdict "to drop"`},
		{"reason with a line end", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Verdict: "drop", Reason: "A\n"}) }, `reason "A\n"`},
		{"verdict too long", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Verdict: strings.Repeat("x", 256)}) }, "at most 255"},
		{"reason alone", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Reason: "FULL_RING"}) },
			`reason "FULL_RING" has no verdict: set Verdict too`},
		{"epb_verdict of type 3", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, EPBVerdicts: []EPBVerdict{{Type: 3}}}) }, "type 3"},
		{"epb_verdict of hardware, empty", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, EPBVerdicts: []EPBVerdict{{}}}) }, "0 bytes"},
		{"epb_verdict of hardware, with a code", Section{}, func(w *Writer) {
			w.WritePacket(&Packet{Data: frame, EPBVerdicts: []EPBVerdict{{Code: 1, Bytes: frame}}})
		}, "code 1"},
		{"epb_verdict of hardware, too long", Section{}, func(w *Writer) {
			w.WritePacket(&Packet{Data: frame, EPBVerdicts: []EPBVerdict{{Bytes: make([]byte, maxOption)}}})
		}, "65532 bytes"},
		{"epb_verdict of XDP with bytes", Section{}, func(w *Writer) {
			w.WritePacket(&Packet{Data: frame, EPBVerdicts: []EPBVerdict{{Type: VerdictXDP, Bytes: frame}}})
		}, "3 bytes: give it a code only"},
		{"comment not UTF-8", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Comments: []string{"\xc3("}}) }, "must be UTF-8"},
		{"comment too long", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Comments: []string{long}}) }, "65533 bytes"},
		{"comments too long together", Section{}, func(w *Writer) { w.WritePacket(&Packet{Data: frame, Comments: []string{many, many}}) },
			"packet has 131078 bytes of comments and verdicts: the most is 130048"},
		{"statistics of no interface", Section{}, func(w *Writer) { w.WriteStats(&Stats{Interface: 7}) }, "statistics names interface 7 of 1"},
		{"statistics that end before they start", Section{}, func(w *Writer) { w.WriteStats(&Stats{StartPS: 2, EndPS: 1}) },
			"statistics from 2 ps to 1 ps: start at 0 or later, and end no earlier"},
		{"statistics that start below 0", Section{}, func(w *Writer) { w.WriteStats(&Stats{StartPS: -1}) }, "start at 0 or later"},
		{"statistics with a bad comment", Section{}, func(w *Writer) { w.WriteStats(&Stats{Comment: "\x00"}) }, "zero byte"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var file bytes.Buffer
			w := NewWriter(&file, row.s)
			if row.do != nil {
				w.AddInterface(Interface{})
				require.NoError(t, w.Flush())
				before := file.Len()
				row.do(w)
				defer func() { require.Equal(t, before, file.Len()) }()
			}
			err := w.Flush()
			require.ErrorContains(t, err, "pcapng: ")
			require.ErrorContains(t, err, row.want)

			require.Equal(t, -1, w.AddInterface(Interface{}))
			require.Equal(t, err, w.WritePacket(&Packet{Data: frame}))
			require.Equal(t, err, w.WriteStats(&Stats{}))
			require.Equal(t, err, w.Flush())
		})
	}
}

func TestAFileWithoutInterfaceIsAnError(t *testing.T) {
	var file bytes.Buffer
	require.EqualError(t, NewWriter(&file, Section{}).Flush(), "pcapng: no interface: call AddInterface before Flush")
	require.Zero(t, file.Len())
}

// The largest of everything passes, and gopacket, whose sums are of 16 bits, reads it.
func TestTheLargestBlockIsReadBack(t *testing.T) {
	s := Section{Hardware: strings.Repeat("h", maxOption), Base: time.Unix(math.MaxInt64/1_000_000_000-1, 999_999_999)}
	p := Packet{
		TimePS: math.MaxInt64, Data: bytes.Repeat([]byte{7}, MaxCaptured+5), OrigLen: math.MaxInt32,
		Verdict: strings.Repeat("v", 255), Reason: strings.Repeat("r", 255),
		EPBVerdicts: []EPBVerdict{{Bytes: make([]byte, maxTexts-maxOption-23)}}, Comments: []string{strings.Repeat("c", maxOption)},
		Direction: Inbound, ID: Of(math.MaxUint64), Queue: Of(math.MaxUint32), DropCount: Of(math.MaxUint64),
	}
	file := written(t, s, func(w *Writer) { w.WritePacket(&p) })
	got, err := parse(file)
	require.NoError(t, err)
	require.Equal(t, []packetBlock{wantPacket(s, p)}, got.packets)
	require.LessOrEqual(t, len(packetOf(t, s, p)), 12+20+262144+131072, "libpcap's largest block")

	ng, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	require.NoError(t, err)
	require.Equal(t, s.Hardware, ng.SectionInfo().Hardware)
	data, ci, err := ng.ReadPacketData()
	require.NoError(t, err)
	require.Equal(t, MaxCaptured, len(data))
	require.Equal(t, math.MaxInt32, ci.Length)
}

// A sink takes so many bytes and then fails as a full disk does.
type sink struct {
	room  int
	short bool // take less than was given, and say nothing
}

var errFull = errors.New("no space left on device")

func (s *sink) Write(b []byte) (int, error) {
	if len(b) <= s.room {
		s.room -= len(b)
		return len(b), nil
	}
	n := s.room
	s.room = 0
	if s.short {
		return n, nil
	}
	return n, errFull
}

func TestAWriteErrorSticks(t *testing.T) {
	for _, row := range []struct {
		sink sink
		want error
	}{{sink{room: 100_000}, errFull}, {sink{room: 100_000, short: true}, io.ErrShortWrite}} {
		w := NewWriter(&row.sink, Section{})
		w.AddInterface(Interface{})
		p := Packet{Data: make([]byte, 1514)}
		var err error
		for n := 0; err == nil; n++ {
			require.Less(t, n, 100, "100 packets of 1514 bytes are more than the sink holds")
			err = w.WritePacket(&p)
		}
		require.ErrorIs(t, err, row.want)
		row.sink.room = 1 << 30
		require.Equal(t, err, w.WritePacket(&p))
		require.Equal(t, err, w.Flush())
		require.Equal(t, 1<<30, row.sink.room, "nothing is written after an error")
	}
}

func TestAPacketAllocatesNothing(t *testing.T) {
	w := NewWriter(io.Discard, Section{})
	w.AddInterface(Interface{})
	frame := make([]byte, 64)
	jumbo := make([]byte, MaxCaptured)
	w.WritePacket(&Packet{Data: jumbo}) // the buffer grows once
	var n int64
	require.Zero(t, testing.AllocsPerRun(5000, func() {
		n++
		w.WritePacket(&Packet{Data: frame, TimePS: n, Direction: Inbound, ID: Of(uint64(n)), Queue: Of(1), DropCount: Of(0),
			Verdict: "drop", Reason: "FULL_RING", Comments: []string{"literal", "lists"},
			EPBVerdicts: []EPBVerdict{{Type: VerdictXDP, Code: 1}, {Bytes: frame}}})
		w.WritePacket(&Packet{Data: frame})
	}))
	require.Zero(t, testing.AllocsPerRun(50, func() { w.WritePacket(&Packet{Data: jumbo}) }))
	require.NoError(t, w.Flush())
}

// Whatever a packet holds, it is either what the draft allows, and read back as
// it was written between two packets that are intact, or refused.
func FuzzWriter(f *testing.F) {
	f.Add(0, int64(1_999), []byte("frame"), 0, 0, uint8(1), uint64(1), uint64(2), uint64(3), uint8(7), "drop", "FULL_RING", "a\nb", uint8(2), uint64(1), []byte(nil))
	f.Add(3, int64(math.MaxInt64), []byte{0}, 1514, 9, uint8(2), uint64(1<<63), uint64(1<<32-1), uint64(0), uint8(0), "forward", "", "", uint8(0), uint64(0), []byte{1, 2})
	f.Add(-1, int64(-1), []byte{}, -1, -1, uint8(3), uint64(0), uint64(1<<32), uint64(0), uint8(2), " ", "\x7f", "\xff", uint8(3), uint64(9), []byte{})
	f.Fuzz(func(t *testing.T, iface int, ps int64, data []byte, origLen, snapLen int, direction uint8,
		id, queue, drops uint64, known uint8, verdict, reason, comment string, vType uint8, vCode uint64, vBytes []byte) {
		number := func(n uint64, bit int) Number {
			if known>>bit&1 == 0 {
				return Number{}
			}
			return Of(n)
		}
		s := Section{SnapLen: snapLen}
		p := Packet{
			Interface: iface, TimePS: ps, Data: data, OrigLen: origLen, Direction: Direction(direction),
			ID: number(id, 0), Queue: number(queue, 1), DropCount: number(drops, 2),
			Verdict: verdict, Reason: reason, Comments: []string{comment, comment},
		}
		if known>>3&1 == 1 {
			p.EPBVerdicts = []EPBVerdict{{VerdictType(vType), vCode, vBytes}}
		}
		good := Packet{Interface: 1, Data: []byte("good"), ID: Of(1)}

		var file bytes.Buffer
		w := NewWriter(&file, s)
		w.AddInterface(Interface{Name: "a"})
		w.AddInterface(Interface{Name: "b"})
		w.WritePacket(&good)
		w.WritePacket(&p)
		w.WritePacket(&good)
		err := w.Flush()
		if want := snapLen >= 0 && snapLen <= 262144 && allowed(p, 2); want != (err == nil) {
			t.Fatalf("allowed: %v, error: %v", want, err)
		}
		if err != nil {
			require.Zero(t, file.Len())
			return
		}
		got, err := parse(file.Bytes())
		require.NoError(t, err)
		require.Equal(t, []packetBlock{wantPacket(s, good), wantPacket(s, p), wantPacket(s, good)}, got.packets)
		ng, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
		require.NoError(t, err)
		for _, want := range got.packets {
			data, _, err := ng.ReadPacketData()
			require.NoError(t, err)
			require.Equal(t, want.data, string(data))
		}
	})
}

// allowed says in its own words what WritePacket promises to accept.
func allowed(p Packet, interfaces int) bool {
	visible := func(s string) bool {
		return len(s) < 256 && strings.Trim(s, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") == "" &&
			!strings.ContainsAny(s, " \x7f") && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > 126 }) < 0
	}
	ok := p.Interface >= 0 && p.Interface < interfaces && p.TimePS >= 0 && len(p.Data) > 0 &&
		(p.OrigLen == 0 || p.OrigLen >= len(p.Data) && p.OrigLen < 1<<31) && p.Direction < 3 &&
		(!p.Queue.known || p.Queue.n < 1<<32) && visible(p.Verdict) && visible(p.Reason) && (p.Reason == "" || p.Verdict != "")
	texts := 0
	for _, c := range p.Comments {
		ok = ok && utf8.ValidString(c) && !strings.Contains(c, "\x00") && len(c) <= 65532
		texts += len(c) + 7
	}
	for _, v := range p.EPBVerdicts {
		switch v.Type {
		case 0:
			ok = ok && v.Code == 0 && len(v.Bytes) > 0 && len(v.Bytes) < 65532
		case 1, 2:
			ok = ok && len(v.Bytes) == 0
		default:
			ok = false
		}
		texts += len(v.Bytes) + 16
	}
	return ok && texts <= 127<<10
}
