package capture

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bytesOf reads hexadecimal with spaces, and comments after a semicolon.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return b
}

func TestEveryFormatIsReadByteByByte(t *testing.T) {
	abc := func(time int64, offset int64) Record {
		return Record{Time: time, Data: []byte("abc"), OrigLen: 60, Number: 1, Offset: offset}
	}
	rows := []struct {
		format, bytes string
		want          Record
	}{
		{"pcap (µs, little-endian)", `
			d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000
			02000000 03000000 03000000 3c000000 616263`, abc(2_000_003_000, 24)},
		{"pcap (µs, big-endian)", `
			a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001
			00000002 00000003 00000003 0000003c 616263`, abc(2_000_003_000, 24)},
		{"pcap (ns, little-endian)", `
			4d3cb2a1 0200 0400 00000000 00000000 ffff0000 01000000
			02000000 03000000 03000000 3c000000 616263`, abc(2_000_000_003, 24)},
		{"pcap (ns, big-endian)", `
			a1b23c4d 0002 0004 00000000 00000000 0000ffff 00000001
			00000002 00000003 00000003 0000003c 616263`, abc(2_000_000_003, 24)},
		{"pcapng (little-endian)", `
			0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000
			01000000 14000000 0100 0000 00000000 14000000
			06000000 24000000 00000000 00000000 83841e00 03000000 3c000000 61626300 24000000`, abc(2_000_003_000, 48)},
		{"pcapng (big-endian)", `
			0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c
			00000001 00000014 0001 0000 00000000 00000014
			00000006 00000024 00000000 00000000 001e8483 00000003 0000003c 61626300 00000024`, abc(2_000_003_000, 48)},
	}
	for _, row := range rows {
		plain := bytesOf(t, row.bytes)
		for prefix, b := range map[string][]byte{"": plain, "gzip'd ": zip(plain)} {
			t.Run(prefix+row.format, func(t *testing.T) {
				r, err := NewReader(bytes.NewReader(b), "some.cap")
				require.NoError(t, err)
				assert.Equal(t, prefix+row.format, r.Format())
				rec, err := r.Next()
				require.NoError(t, err)
				assert.Equal(t, row.want, *rec)
				for range 2 {
					_, err = r.Next()
					assert.Equal(t, io.EOF, err, "at the end, and again")
				}
			})
		}
	}
}

// The seconds of a pcap are unsigned and so end in 2106; fractions of a second
// and more, which some writers leave, are carried.
func TestPcapTimes(t *testing.T) {
	rows := []struct {
		magic, sec, frac uint32
		want             int64
	}{
		{magicMicro, 0, 0, 0},
		{magicMicro, 1_700_000_000, 999_999, 1_700_000_000_999_999_000},
		{magicMicro, 5, 1_000_000, 6_000_000_000},
		{magicMicro, 0xffffffff, 0xffffffff, 4294967295_000_000_000 + 4294967295_000},
		{magicNano, 1_700_000_000, 999_999_999, 1_700_000_000_999_999_999},
		{magicNano, 0xffffffff, 0xffffffff, 4294967295_000_000_000 + 4294967295},
	}
	for name, p := range pens {
		for _, row := range rows {
			recs := mustRead(t, join(p.pcap(row.magic, 1), p.record(row.sec, row.frac, 1, "x")))
			require.Len(t, recs, 1)
			assert.Equal(t, row.want, recs[0].Time, "%s %x: %d s and %d", name, row.magic, row.sec, row.frac)
		}
	}
}

func TestPcapng(t *testing.T) {
	for name, p := range pens {
		eth := join(p.section(), p.iface(1, 0))
		rec := func(n, offset int, data string) Record {
			return Record{Data: []byte(data), OrigLen: len(data), Number: int64(n), Offset: int64(offset)}
		}
		with := func(r Record, change func(*Record)) Record { change(&r); return r }
		rows := []struct {
			name  string
			bytes []byte
			want  []Record
		}{
			{"a section without anything", p.section(), nil},
			{"an interface without packets", eth, nil},
			{"version 1.2 is 1.0", join(
				p.block(0x0a0d0d0a, p.words(0x1a2b3c4d), p.halves(1, 2), p.words(0, 0)), p.iface(1, 0), p.enhanced(0, 0, 1, "x")),
				[]Record{rec(1, 48, "x")}},
			{"every kind of packet block", join(eth, p.enhanced(0, 1, 3, "one"), p.obsolete(0, 2, 3, "two"), p.simple(5, "three")),
				[]Record{
					with(rec(1, 48, "one"), func(r *Record) { r.Time = 1000 }),
					with(rec(2, 84, "two"), func(r *Record) { r.Time = 2000 }),
					with(rec(3, 120, "three"), func(r *Record) { r.Time, r.Untimed = 2000, true }),
				}},
			{"a packet without a byte", join(eth, p.enhanced(0, 0, 0, "")), []Record{with(rec(1, 48, ""), func(r *Record) { r.Data = []byte{} })}},
			{"a cut packet", join(eth, p.enhanced(0, 0, 1514, "head")), []Record{with(rec(1, 48, "head"), func(r *Record) { r.OrigLen = 1514 })}},
			{"a simple packet is cut at the snap length", join(p.section(), p.iface(1, 4), p.simple(1514, "head")),
				[]Record{with(rec(1, 48, "head"), func(r *Record) { r.OrigLen, r.Untimed = 1514, true })}},
			{"what follows in a simple packet is no option", join(p.section(), p.iface(1, 4), p.simple(1514, "head\xff\xff\xff\xff")),
				[]Record{with(rec(1, 48, "head"), func(r *Record) { r.OrigLen, r.Untimed = 1514, true })}},
			{"the snap length is no bound otherwise", join(p.section(), p.iface(1, 2), p.enhanced(0, 0, 4, "head")), []Record{rec(1, 48, "head")}},
			{"unknown blocks are passed over", join(eth, p.block(0x40000bad, bytes.Repeat([]byte("?"), 3*windowSize)), p.enhanced(0, 0, 1, "x"), p.block(5), p.block(0xffffffff)),
				[]Record{rec(1, 48+12+3*windowSize, "x")}},
			{"options of a packet", join(eth, p.enhanced(0, 0, 3, "abc", p.option(1, []byte("a comment")...), p.flags(1), p.option(4, 0, 0, 0, 0, 0, 0, 0, 9))),
				[]Record{rec(1, 48, "abc")}},
			{"what follows the end of options is not read", join(eth, p.enhanced(0, 0, 3, "abc", p.option(0), []byte("\xff\xff\xff\xff"))),
				[]Record{rec(1, 48, "abc")}},
			{"another section has its own interfaces", join(p.section(), p.iface(105, 0), eth, p.enhanced(0, 0, 1, "x")), []Record{rec(1, 96, "x")}},
			{"a packet that is not Ethernet says so", join(eth, p.iface(113, 0), p.enhanced(1, 4, 9, "cooked"), p.enhanced(0, 5, 1, "x")),
				[]Record{
					{Time: 4000, OrigLen: 9, Interface: 1, Number: 1, Offset: 68, Skip: "link type 113 (Linux cooked, SLL)"},
					with(rec(2, 108, "x"), func(r *Record) { r.Time = 5000 }),
				}},
			{"and may be as long as it likes", join(eth, p.iface(249, 0), p.enhanced(1, 0, 2<<20, strings.Repeat("u", 2<<20)), p.enhanced(0, 0, 1, "x")),
				[]Record{
					{OrigLen: 2 << 20, Interface: 1, Number: 1, Offset: 68, Skip: "link type 249 (USBPcap)"},
					rec(2, 68+32+2<<20, "x"),
				}},
		}
		for _, row := range rows {
			t.Run(name+"/"+row.name, func(t *testing.T) {
				assert.Equal(t, row.want, mustRead(t, row.bytes))
			})
		}
	}

	t.Run("each section in its own byte order", func(t *testing.T) {
		recs := mustRead(t, join(
			le.section(), le.iface(1, 0), le.enhanced(0, 1, 1, "a"),
			be.section(), be.iface(1, 0), be.enhanced(0, 2, 1, "b"),
			le.section(), le.iface(1, 0), le.enhanced(0, 3, 1, "c")))
		require.Len(t, recs, 3)
		for i, r := range recs {
			assert.Equal(t, string(rune('a'+i)), string(r.Data))
			assert.EqualValues(t, (i+1)*1000, r.Time)
		}
	})
}

func TestFCSIsTakenOff(t *testing.T) {
	const words2 = 1<<26 | 2<<28
	frame := strings.Repeat("f", 60) + "fcs!"
	rows := []struct {
		name           string
		bytes          []byte
		data, original int
	}{
		{"a pcap that says nothing", join(le.pcap(magicNano, 1), le.record(0, 0, 64, frame)), 64, 64},
		{"a pcap that says 4 octets", join(le.pcap(magicNano, 1|words2), le.record(0, 0, 64, frame)), 60, 60},
		{"big-endian too", join(be.pcap(magicNano, 1|words2), be.record(0, 0, 64, frame)), 60, 60},
		{"a length without its flag is none", join(le.pcap(magicNano, 1|2<<28), le.record(0, 0, 64, frame)), 64, 64},
		{"a flag with length 0", join(le.pcap(magicNano, 1|1<<26), le.record(0, 0, 64, frame)), 64, 64},
		{"cut before the FCS", join(le.pcap(magicNano, 1|words2), le.record(0, 0, 64, frame[:50])), 50, 60},
		{"cut at the FCS: the frame is whole", join(le.pcap(magicNano, 1|words2), le.record(0, 0, 64, frame[:60])), 60, 60},
		{"cut inside the FCS", join(le.pcap(magicNano, 1|words2), le.record(0, 0, 64, frame[:62])), 60, 60},
		{"shorter than an FCS", join(le.pcap(magicNano, 1|words2), le.record(0, 0, 3, "fcs")), 0, 0},
		{"if_fcslen in bits", join(le.section(), le.iface(1, 0, le.option(13, 32)), le.enhanced(0, 0, 64, frame)), 60, 60},
		{"if_fcslen in octets", join(le.section(), le.iface(1, 0, le.option(13, 4)), le.enhanced(0, 0, 64, frame)), 60, 60},
		{"if_fcslen 0", join(le.section(), le.iface(1, 0, le.option(13, 0)), le.enhanced(0, 0, 64, frame)), 64, 64},
		{"a simple packet", join(le.section(), le.iface(1, 0, le.option(13, 32)), le.simple(64, frame)), 60, 60},
		{"epb_flags without a length", join(be.section(), be.iface(1, 0, be.option(13, 32)), be.enhanced(0, 0, 64, frame, be.flags(0xfffffe1f))), 60, 60},
		{"epb_flags over if_fcslen", join(be.section(), be.iface(1, 0, be.option(13, 32)), be.enhanced(0, 0, 64, frame, be.flags(2<<5))), 62, 62},
		{"epb_flags alone", join(le.section(), le.iface(1, 0), le.enhanced(0, 0, 64, frame, le.flags(4<<5))), 60, 60},
		{"pack_flags", join(le.section(), le.iface(1, 0), le.obsolete(0, 0, 64, frame, le.flags(4<<5))), 60, 60},
		{"a comment has no FCS length", join(le.section(), le.iface(1, 0), le.enhanced(0, 0, 64, frame, le.option(1, 0xff, 0xff))), 64, 64},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			recs := mustRead(t, row.bytes)
			require.Len(t, recs, 1)
			assert.Equal(t, row.data, len(recs[0].Data), "captured")
			assert.Equal(t, row.original, recs[0].OrigLen, "on the wire")
		})
	}
}

func TestErrorsSayWhatWhereAndWhatToDo(t *testing.T) {
	pcap := le.pcap(magicMicro, 1)
	one := le.record(0, 0, 1, "x")
	ng := join(le.section(), le.iface(1, 0)) // 48 bytes
	block := func(size uint32, body ...[]byte) []byte {
		return join(le.words(0x0bad, size), join(body...), le.words(size))
	}
	iface := func(opts ...[]byte) []byte { return join(le.section(), le.iface(1, 0, opts...)) }
	// A capture that the header of an enhanced packet block contradicts.
	enhanced := func(id, captured, wire uint32, room int) []byte {
		return join(ng, le.block(6, le.words(id, 0, 0, captured, wire), make([]byte, room)))
	}
	rows := []struct {
		name  string
		bytes []byte
		kind  error
		recs  int
		says  string
	}{
		{"empty", nil, ErrFormat, 0, "some.cap is not a pcap or pcapng file: it is empty"},
		{"two bytes", []byte("hi"), ErrFormat, 0, `it begins with 6869 ("hi"); name a capture`},
		{"text", []byte("<html>"), ErrFormat, 0, `some.cap is not a pcap or pcapng file: it begins with 3c68746d ("<htm"); name a capture made by tcpdump -w or Wireshark`},
		{"gzip'd text", zip([]byte("<html>")), ErrFormat, 0, `it begins with 3c68746d`},
		{"gzip'd nothing", zip(nil), ErrFormat, 0, `it is empty`},
		{"gzip'd twice", zip(zip(pcap)), ErrFormat, 0, `gzip -d it first`},
		{"zstd", []byte("\x28\xb5\x2f\xfd...."), ErrFormat, 0, "zstd -d it first"},
		{"changed pcap", []byte("\x34\xcd\xb2\xa1...."), ErrFormat, 0, "Kuznetzov: convert it with editcap"},
		{"pcap 2.3", join(le.words(magicMicro), le.halves(2, 3), make([]byte, 16)), ErrFormat, 0, "pcap file of version 2.3, and only 2.4 is known here; convert it with editcap"},
		{"pcapng 2.0", le.block(0x0a0d0d0a, le.words(0x1a2b3c4d), le.halves(2, 0), le.words(0, 0)), ErrFormat, 0, "version 2.0 at byte 0, and only 1.0"},
		{"pcap of 802.11", le.pcap(magicMicro, 105), ErrLinkType, 0, "some.cap has link type 105 (IEEE 802.11), and only Ethernet (1) can be replayed; capture on an Ethernet interface"},
		{"pcap of an unknown link type", be.pcap(magicNano, 4711), ErrLinkType, 0, "has link type 4711, and"},
		{"pcap for private use", be.pcap(magicNano, 160), ErrLinkType, 0, "has link type 160 (private use), and"},
		{"pcapng of 802.11", join(le.section(), le.iface(105, 0), le.enhanced(0, 0, 1, "x")), ErrLinkType, 1, "no Ethernet interface, its first has link type 105 (IEEE 802.11)"},
		{"pcapng of 802.11 without packets", join(le.section(), le.iface(105, 0)), ErrLinkType, 0, "no Ethernet interface"},

		{"pcap header cut", pcap[:23], ErrTruncatedFile, 0, "some.cap: file cut short: file header at byte 0: the file header needs 24 bytes and the file ends after 23; copy or capture the file again"},
		{"record header cut", join(pcap, one[:15]), ErrTruncatedFile, 0, "record 1 at byte 24: the record header needs 16 bytes and the file ends after 15"},
		{"record cut", join(pcap, one, one[:16]), ErrTruncatedFile, 1, "record 2 at byte 41: the record needs 17 bytes and the file ends after 16; copy or capture the file again, or do with the records before this, which are whole"},
		{"longer than on the wire", join(pcap, one, le.record(0, 0, 2, "abc")), ErrCorrupt, 1, "some.cap: corrupt file: record 2 at byte 41: its captured length is 3, more than its length of 2 on the wire"},
		{"longer than any frame", join(pcap, le.words(0, 0, MaxFrame+1, MaxFrame+1)), ErrCorrupt, 0, "record 1 at byte 24: its captured length is 262145, more than the 262144 bytes"},
		{"as long as can be said", join(pcap, le.words(0, 0, 0xffffffff, 0xffffffff)), ErrCorrupt, 0, "its captured length is 4294967295"},

		{"gzip magic alone", zip(pcap)[:2], ErrTruncatedFile, 0, "file header at byte 0: the input breaks off before the gzip header is whole"},
		{"gzip header cut", zip(pcap)[:5], ErrTruncatedFile, 0, "file header at byte 0: the input breaks off before the gzip header is whole"},
		{"gzip data cut", zip(join(pcap, one))[:30], ErrTruncatedFile, 0, "file header at byte 0: the input breaks off before the file header is whole"},
		{"gzip header damaged", []byte("\x1f\x8b\x07aaaaaaaaaaaaaaaa"), ErrCorrupt, 0, "its gzip data is damaged: gzip: invalid header"},
		{"gzip data damaged", join(zip(join(pcap, one))[:10], []byte("\xff\xff\xff\xff\xff\xff\xff\xff")), ErrCorrupt, 0, "its gzip data is damaged: flate: corrupt input"},
		{"gzip checksum damaged", damage(zip(join(pcap, one)), -8), ErrCorrupt, 1, "its gzip data is damaged: gzip: invalid checksum"},
		{"gzip with a tail", join(zip(join(pcap, one)), []byte("tail")), ErrTruncatedFile, 1, "record 2 at byte 41: the input breaks off before the record header is whole"},

		{"no byte order", join(ng, le.block(0x0a0d0d0a, []byte("OOPS"), make([]byte, 12))), ErrCorrupt, 0, "section header block after record 0 at byte 48: its byte-order magic is 4f4f5053, neither 1a2b3c4d nor 4d3c2b1a"},
		{"section header too short", join(le.words(0x0a0d0d0a, 24, 0x1a2b3c4d), make([]byte, 12)), ErrCorrupt, 0, "its length is 24 bytes; it must be a multiple of 4 and at least 28"},
		{"section header cut", ng[:20], ErrTruncatedFile, 0, "the section header needs 24 bytes and the file ends after 20"},
		{"section header cut later", ng[:26], ErrTruncatedFile, 0, "the block needs 28 bytes and the file ends after 26"},
		{"block header cut", join(ng, []byte("abcdefg")), ErrTruncatedFile, 0, "block after record 0 at byte 48: the block header needs 12 bytes and the file ends after 7"},
		{"block of 0 bytes", join(ng, block(0, make([]byte, 8))), ErrCorrupt, 0, "block after record 0 at byte 48: its length is 0 bytes; it must be a multiple of 4 and at least 12"},
		{"block of 8 bytes", join(ng, block(8)), ErrCorrupt, 0, "its length is 8 bytes"},
		{"block of 13 bytes", join(ng, block(13, []byte("x"))), ErrCorrupt, 0, "its length is 13 bytes"},
		{"block of 4 GiB", join(ng, block(0xfffffffc)), ErrTruncatedFile, 0, "the block needs 4294967292 bytes and the file ends after 12"},
		{"block whose lengths differ", join(ng, le.words(0xbad, 16, 0, 20)), ErrCorrupt, 0, "its length is 16 bytes at its begin and 20 at its end"},
		{"packet block whose lengths differ", join(ng, damage(le.enhanced(0, 0, 1, "x"), -1)), ErrCorrupt, 0, "record 1 (enhanced packet block) at byte 48: its length is 36 bytes at its begin and 1073741860 at its end"},

		{"interface too short", join(le.section(), le.block(1, le.words(1))), ErrCorrupt, 0, "interface description block after record 0 at byte 28: its length is 16 bytes; it must be a multiple of 4 and at least 20"},
		{"interface too long", join(le.section(), le.words(1, maxBlock+4, 1, 0), make([]byte, maxBlock)), ErrCorrupt, 0, "more than the 1048576 that are taken here"},
		{"interface cut", ng[:44], ErrTruncatedFile, 0, "the block needs 20 bytes and the file ends after 16"},
		{"if_tsresol of 0 bytes", iface(le.option(9)), ErrCorrupt, 0, "its option if_tsresol has 0 bytes, not 1"},
		{"if_tsoffset of 4 bytes", iface(le.option(14, 0, 0, 0, 1)), ErrCorrupt, 0, "its option if_tsoffset has 4 bytes, not 8"},
		{"if_fcslen of 2 bytes", iface(le.option(13, 0, 32)), ErrCorrupt, 0, "its option if_fcslen has 2 bytes, not 1"},
		{"if_fcslen of 31 bits", iface(le.option(13, 31)), ErrCorrupt, 0, "its option if_fcslen says 31 bits, which are no octets"},
		{"option longer than its block", iface(le.halves(2, 500), []byte("name")), ErrCorrupt, 0, "its option 2 says 500 bytes, and 4 are left in the block"},
		{"end of options with a value", iface(le.halves(0, 4), []byte("what")), ErrCorrupt, 0, "its end of options says 4 bytes, not 0"},
		{"too many interfaces", join(le.section(), bytes.Repeat(le.iface(1, 0), maxIfaces+1)), ErrCorrupt, 0, "its section has described 65536 interfaces already"},

		{"packet before an interface", join(le.section(), le.enhanced(0, 0, 1, "x")), ErrCorrupt, 0, "it is of interface 0, and its section has described 0"},
		{"simple packet before an interface", join(le.section(), le.simple(1, "x")), ErrCorrupt, 0, "record 1 (simple packet block) at byte 28: it is of interface 0"},
		{"obsolete packet of no interface", join(ng, le.obsolete(9, 0, 1, "x")), ErrCorrupt, 0, "record 1 (packet block) at byte 48: it is of interface 9, and its section has described 1"},
		{"packet of the last section's interface", join(ng, ng[:28], le.enhanced(0, 0, 1, "x")), ErrCorrupt, 0, "record 1 (enhanced packet block) at byte 76: it is of interface 0"},
		{"interface -1", enhanced(0xffffffff, 0, 0, 0), ErrCorrupt, 0, "it is of interface 4294967295"},
		{"packet block too short", join(ng, le.block(6, make([]byte, 16))), ErrCorrupt, 0, "its length is 28 bytes; it must be a multiple of 4 and at least 32"},
		{"packet longer than its block", enhanced(0, 5, 5, 4), ErrCorrupt, 0, "its captured length is 5, and its block of 36 bytes has room for 4"},
		{"packet without its padding", join(ng, block(33, make([]byte, 21))), ErrCorrupt, 0, "its length is 33 bytes"},
		{"packet of 4 GiB", enhanced(0, 0xffffffff, 0xffffffff, 4), ErrCorrupt, 0, "its captured length is 4294967295, and its block"},
		{"packet longer than on the wire", enhanced(0, 4, 3, 4), ErrCorrupt, 0, "its captured length is 4, more than its length of 3 on the wire"},
		{"packet longer than any frame", enhanced(0, MaxFrame+1, MaxFrame+1, MaxFrame+4), ErrCorrupt, 0, "its captured length is 262145, more than the 262144"},
		{"packet with too long a tail", enhanced(0, 0, 0, maxBlock), ErrCorrupt, 0, "record 1 (enhanced packet block) at byte 48: its length is 1048608 bytes, more than the 1048576"},
		{"packet header cut", enhanced(0, 4, 4, 4)[:60], ErrTruncatedFile, 0, "record 1 (enhanced packet block) at byte 48: the block needs 36 bytes and the file ends after 12"},
		{"packet cut", enhanced(0, 4, 4, 4)[:80], ErrTruncatedFile, 0, "the block needs 36 bytes and the file ends after 32"},
		{"simple packet longer than its block", join(ng, le.simple(9, "12345678")), ErrCorrupt, 0, "its captured length is 9, and its block of 24 bytes has room for 8"},
		{"packet of no Ethernet longer than its block", join(le.section(), le.iface(9, 0), le.block(6, le.words(0, 0, 0, 5, 5), make([]byte, 4))), ErrCorrupt, 0, "has room for 4"},
		{"time past 2262", join(ng, le.enhanced(0, 1<<63, 1, "x")), ErrCorrupt, 0, "its time, 9223372036854775808 units of 10^-6 s after 0 s, is not between the years 1678 and 2262"},
		{"time past 2262 in powers of two", join(le.section(), le.iface(1, 0, le.option(9, 0x83)), le.enhanced(0, 1<<63, 1, "x")), ErrCorrupt, 0, "units of 2^-3 s"},
		{"flags of 2 bytes", join(ng, le.enhanced(0, 0, 1, "x", le.option(2, 0, 0))), ErrCorrupt, 0, "its option flags has 2 bytes, not 4"},
		{"packet option longer than its block", join(ng, le.enhanced(0, 0, 1, "x", le.halves(1, 5))), ErrCorrupt, 0, "its option 1 says 5 bytes, and 0 are left in the block"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			recs, err := readAll(bytes.NewReader(row.bytes))
			require.ErrorIs(t, err, row.kind)
			assert.ErrorContains(t, err, "capture: some.cap")
			assert.ErrorContains(t, err, row.says)
			assert.Len(t, recs, row.recs, "records before the error")
		})
	}
}

// damage flips a bit of a byte, counted from the end if negative.
func damage(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[(at+len(b))%len(b)] ^= 0x40
	return b
}

// A caller may take a cut for the end; hence a cut must never pass for
// anything else, nor take a record with it that was whole.
func TestAFileCutAtAnyByteGivesItsWholeRecordsAndSaysSo(t *testing.T) {
	for name, whole := range samples() {
		t.Run(name, func(t *testing.T) {
			want := mustRead(t, whole)
			require.GreaterOrEqual(t, len(want), 3)
			ends := 0
			for n := range whole {
				got, err := readAll(bytes.NewReader(whole[:n]))
				again, errAgain := readAll(iotest.OneByteReader(bytes.NewReader(whole[:n])))
				assert.Equal(t, got, again, "cut at %d: in bytes as in one piece", n)
				assert.Equal(t, err.Error(), errAgain.Error())

				require.LessOrEqual(t, len(got), len(want), "cut at %d", n)
				for i, rec := range got {
					require.Equal(t, want[i], rec, "cut at %d", n)
				}
				switch {
				case err == io.EOF:
					ends++
				case n < 4:
					require.True(t, errors.Is(err, ErrFormat) || errors.Is(err, ErrTruncatedFile), "cut at %d: %v", n, err)
				default:
					require.ErrorIs(t, err, ErrTruncatedFile, "cut at %d", n)
				}
			}
			// Between two records or blocks, and only there, a cut cannot be seen.
			if strings.HasPrefix(name, "gzip'd") {
				assert.LessOrEqual(t, ends, 1, "cuts that pass for the end, of which there is one between gzip members at most")
			} else {
				assert.LessOrEqual(t, ends, len(want)+20, "cuts that pass for the end")
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	good := file("good", join(le.pcap(magicMicro, 1), le.record(0, 0, 1, "x")))

	r, err := Open(good)
	require.NoError(t, err)
	_, err = r.Next()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, err = r.Next()
	assert.ErrorIs(t, err, fs.ErrClosed)
	assert.NoError(t, r.Close(), "a second Close")

	_, err = Open(filepath.Join(dir, "missing.pcap"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, "missing.pcap")

	_, err = Open(dir)
	assert.ErrorIs(t, err, ErrFormat)
	assert.ErrorContains(t, err, "is a directory; name a capture file in it")

	_, err = Open(file("page.html", []byte("<html>")))
	assert.ErrorIs(t, err, ErrFormat)
	assert.ErrorContains(t, err, "page.html is not a pcap or pcapng file: it begins with 3c68746d")

	_, err = Open(file("empty.pcap", nil))
	assert.ErrorIs(t, err, ErrFormat)
	assert.ErrorContains(t, err, "empty.pcap is not a pcap or pcapng file: it is empty")
}

func TestNewReaderLeavesItsSourceOpen(t *testing.T) {
	src := &closing{Reader: bytes.NewReader(le.pcap(magicMicro, 1))}
	r, err := NewReader(src, "stdin")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	assert.False(t, src.closed)
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestAFailingSourceIsNotTakenForACut(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, whole := range samples() {
		for n := range whole {
			_, err := readAll(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken, "%s, failing at %d", name, n)
			require.ErrorContains(t, err, "some.cap")
		}
	}
	_, err := readAll(idle{})
	assert.ErrorIs(t, err, io.ErrNoProgress)
}

// idle is a source that neither gives anything nor ends.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// However the source cuts the stream, and wherever the window slides, the
// records are the same.
func TestRecordsAcrossTheWindow(t *testing.T) {
	for _, size := range []int{1, 60, 1514, 9018, windowSize - 16, windowSize, windowSize + 1, MaxFrame} {
		data := strings.Repeat("0123456789abcde", size/15+1)[:size]
		pcap, ng := le.pcap(magicNano, 1), join(be.section(), be.iface(1, 0))
		n := 4 + 3*windowSize/(size+16)
		for i := range n {
			pcap = append(pcap, le.record(0, uint32(i), uint32(size), data)...)
			ng = append(ng, be.enhanced(0, uint64(i), uint32(size), data, be.option(1, []byte("a comment")...))...)
		}
		for name, b := range map[string][]byte{"pcap": pcap, "pcapng": ng} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				r, err := NewReader(iotest.HalfReader(bytes.NewReader(b)), "some.cap")
				require.NoError(t, err)
				for i := range n {
					rec, err := r.Next()
					require.NoError(t, err)
					require.Equal(t, data, string(rec.Data), "record %d", i+1)
					require.EqualValues(t, i+1, rec.Number)
				}
				_, err = r.Next()
				require.Equal(t, io.EOF, err)
			})
		}
	}
}

func TestMemoryFollowsTheInputNotItsClaims(t *testing.T) {
	ng := join(le.section(), le.iface(1, 0))
	rows := []struct {
		name   string
		src    io.Reader
		window int
	}{
		{"a pcap record that claims 256 KiB", bytes.NewReader(join(le.pcap(magicMicro, 1), le.words(0, 0, MaxFrame, MaxFrame))), windowSize},
		{"a snap length of 4 GiB", bytes.NewReader(join(le.words(magicMicro), le.halves(2, 4), le.words(0, 0, 0xffffffff, 1), le.record(0, 0, 1, "x"))), windowSize},
		{"an interface block that claims 1 MiB", bytes.NewReader(join(le.section(), le.words(1, maxBlock, 1, 0))), windowSize},
		{"a packet block that claims 1 MiB", bytes.NewReader(join(ng, le.words(6, maxBlock, 0, 0, 0, 4, 4), []byte("data"))), windowSize},
		{"a block that claims 4 GiB", bytes.NewReader(join(ng, le.words(99, 0xfffffffc, 0, 0))), windowSize},
		{"a block that has 32 MiB", io.MultiReader(bytes.NewReader(join(ng, le.words(99, 32<<20+12))), io.LimitReader(zeros{}, 32<<20)), windowSize},
		{"a packet block that has 1 MiB", bytes.NewReader(join(ng, le.enhanced(0, 0, 4, "data", make([]byte, maxBlock-36)))), maxBlock},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r, err := NewReader(row.src, "some.cap")
			require.NoError(t, err)
			for err == nil {
				_, err = r.Next()
			}
			assert.True(t, isClear(err), "%v", err)
			assert.LessOrEqual(t, len(r.in.buf), row.window)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestNextDoesNotAllocate(t *testing.T) {
	p := le
	pcap, ng := p.pcap(magicNano, 1|1<<26|2<<28), join(p.section(), p.iface(1, 0, p.option(13, 32)), p.iface(105, 0))
	for i := range 20_000 {
		pcap = append(pcap, p.record(0, uint32(i), 64, strings.Repeat("x", 64))...)
		ng = append(ng, p.enhanced(uint32(i&1), uint64(i), 64, strings.Repeat("x", 64), p.flags(1))...)
	}
	for name, b := range map[string][]byte{"pcap": pcap, "pcapng": ng} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(b), "some.cap")
			require.NoError(t, err)
			got := testing.AllocsPerRun(180, func() {
				for range 100 {
					if _, err := r.Next(); err != nil {
						panic(err)
					}
				}
			})
			assert.Zero(t, got, "allocations in 100 records, refills included")
		})
	}
}
