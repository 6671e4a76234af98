package pcapng

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every row is one block as the draft's figures and tables give it, put down by
// hand: a line per field, hexadecimal, what it is behind the semicolon.
var golden = []struct {
	name  string
	write func(t *testing.T) []byte
	want  string
}{
	{"a section without words [4.1]", func(t *testing.T) []byte {
		return sectionOf(t, Section{})
	}, `
		0A 0D 0D 0A ; block type
		20 00 00 00 ; total length 32
		4D 3C 2B 1A ; byte-order magic, little-endian
		01 00 00 00 ; version 1.0
		FF FF FF FF FF FF FF FF ; section length not given
		00 00 00 00 ; end of options
		20 00 00 00 ; total length again
	`},
	{"a section with all its words, each padded by 0 to 3 bytes [4.1, 3.5, 3.6.2]", func(t *testing.T) []byte {
		return sectionOf(t, Section{Hardware: "none", OS: "vmm", Application: "ringside 1", Comment: "über"})
	}, `
		0A 0D 0D 0A
		4C 00 00 00 ; 24 + 8 + 8 + 16 + 12 + 4 + 4 = 76
		4D 3C 2B 1A
		01 00 00 00
		FF FF FF FF FF FF FF FF
		02 00 04 00 6E 6F 6E 65             ; shb_hardware
		03 00 03 00 76 6D 6D 00             ; shb_os
		04 00 0A 00 72 69 6E 67 73 69 64 65 20 31 00 00 ; shb_userappl
		01 00 05 00 C3 BC 62 65 72 00 00 00 ; opt_comment
		00 00 00 00
		4C 00 00 00
	`},
	{"an interface without words [4.2]", func(t *testing.T) []byte {
		return interfaceOf(t, Section{}, Interface{})
	}, `
		01 00 00 00 ; block type
		20 00 00 00 ; total length 32
		01 00 00 00 ; link type Ethernet, reserved
		00 00 04 00 ; snap length 262144
		09 00 01 00 09 00 00 00 ; if_tsresol 10^-9
		00 00 00 00
		20 00 00 00
	`},
	{"an interface with all its words [4.2]", func(t *testing.T) []byte {
		return interfaceOf(t, Section{SnapLen: 96},
			Interface{Name: "wire0", Description: "to the world", SpeedBPS: 10e9, Comment: "c"})
	}, `
		01 00 00 00
		50 00 00 00 ; 32 + 12 + 16 + 12 + 8 = 80
		01 00 00 00
		60 00 00 00 ; snap length 96
		02 00 05 00 77 69 72 65 30 00 00 00 ; if_name
		03 00 0C 00 74 6F 20 74 68 65 20 77 6F 72 6C 64 ; if_description
		08 00 08 00 00 E4 0B 54 02 00 00 00 ; if_speed 10^10
		09 00 01 00 09 00 00 00
		01 00 01 00 63 00 00 00
		00 00 00 00
		50 00 00 00
	`},
	{"a packet with nothing but its bytes has no options [4.3, 3.5]", func(t *testing.T) []byte {
		return packetOf(t, Section{}, Packet{TimePS: 2_999, Data: []byte{0xAA, 0xBB, 0xCC, 0xDD, 0xEE}})
	}, `
		06 00 00 00 ; block type
		28 00 00 00 ; total length 40
		00 00 00 00 ; interface 0
		00 00 00 00 ; time, upper half
		02 00 00 00 ; time, lower half: 2.999 ns, rounded down
		05 00 00 00 ; captured length
		05 00 00 00 ; original length
		AA BB CC DD EE 00 00 00
		28 00 00 00
	`},
	{"a packet with every option [4.3, 4.3.1]", func(t *testing.T) []byte {
		return packetOf(t, Section{Base: time.Unix(1, 5)}, Packet{
			TimePS: 4_000_000_000_000, Data: []byte{1, 2, 3, 4}, OrigLen: 1514,
			Direction: Outbound, ID: Of(0x0102030405060708), Queue: Of(0), DropCount: Of(3),
			Verdict: "drop", Reason: "FULL_RING",
			EPBVerdicts: []EPBVerdict{
				{Type: VerdictHardware, Bytes: []byte{0xEC, 0x1D}},
				{Type: VerdictTC, Code: 2},
				{Type: VerdictXDP, Code: 1},
			},
			Comments: []string{"one", "", "three"},
		})
	}, `
		06 00 00 00
		B0 00 00 00 ; 176, summed up below
		00 00 00 00
		01 00 00 00 ; 5 000 000 005 ns = 1 × 2^32
		05 F2 05 2A ;                 + 705 032 709
		04 00 00 00 ; captured length
		EA 05 00 00 ; original length 1514
		01 02 03 04 ; 32 bytes so far
		02 00 04 00 02 00 00 00             ; epb_flags, outbound: 40
		04 00 08 00 03 00 00 00 00 00 00 00 ; epb_dropcount: 52
		05 00 08 00 08 07 06 05 04 03 02 01 ; epb_packetid: 64
		06 00 04 00 00 00 00 00             ; epb_queue: 72
		07 00 03 00 00 EC 1D 00             ; epb_verdict, hardware: 80
		07 00 09 00 01 02 00 00 00 00 00 00 00 00 00 00 ; TC, TC_ACT_SHOT: 96
		07 00 09 00 02 01 00 00 00 00 00 00 00 00 00 00 ; XDP, XDP_DROP: 112
		01 00 1D 00 76 65 72 64 69 63 74 3D 64 72 6F 70 ; verdict=drop
		20 72 65 61 73 6F 6E 3D 46 55 4C 4C 5F 52 49 4E 47 00 00 00 ; reason=FULL_RING: 148
		01 00 03 00 6F 6E 65 00             ; one: 156
		01 00 05 00 74 68 72 65 65 00 00 00 ; three: 168
		00 00 00 00 ; 172
		B0 00 00 00 ; 176
	`},
	{"a packet longer than the snap length is cut, its length kept [4.3]", func(t *testing.T) []byte {
		return packetOf(t, Section{SnapLen: 3}, Packet{Data: []byte{1, 2, 3, 4, 5}, Verdict: "forward"})
	}, `
		06 00 00 00
		3C 00 00 00 ; 28 + 4 + 20 + 4 + 4 = 60
		00 00 00 00
		00 00 00 00
		00 00 00 00
		03 00 00 00 ; captured length
		05 00 00 00 ; original length
		01 02 03 00
		01 00 0F 00 76 65 72 64 69 63 74 3D 66 6F 72 77 61 72 64 00 ; verdict=forward
		00 00 00 00
		3C 00 00 00
	`},
	{"statistics with no count known [4.6]", func(t *testing.T) []byte {
		return statsOf(t, Section{}, Stats{StartPS: 1_000, EndPS: 5_000_000_005_000})
	}, `
		05 00 00 00 ; block type
		34 00 00 00 ; total length 52
		00 00 00 00 ; interface 0
		01 00 00 00 05 F2 05 2A ; time: 5 000 000 005 ns
		02 00 08 00 00 00 00 00 01 00 00 00 ; isb_starttime: 1 ns
		03 00 08 00 01 00 00 00 05 F2 05 2A ; isb_endtime
		00 00 00 00
		34 00 00 00
	`},
	{"statistics with every count [4.6]", func(t *testing.T) []byte {
		return statsOf(t, Section{}, Stats{
			Received: Of(5), Dropped: Of(0), Accepted: Of(4), DroppedByOS: Of(1), DeliveredToUser: Of(1 << 63), Comment: "end",
		})
	}, `
		05 00 00 00
		78 00 00 00 ; 52 + 5 × 12 + 8 = 120
		00 00 00 00
		00 00 00 00 00 00 00 00
		02 00 08 00 00 00 00 00 00 00 00 00
		03 00 08 00 00 00 00 00 00 00 00 00
		04 00 08 00 05 00 00 00 00 00 00 00 ; isb_ifrecv
		05 00 08 00 00 00 00 00 00 00 00 00 ; isb_ifdrop
		06 00 08 00 04 00 00 00 00 00 00 00 ; isb_filteraccept
		07 00 08 00 01 00 00 00 00 00 00 00 ; isb_osdrop
		08 00 08 00 00 00 00 00 00 00 00 80 ; isb_usrdeliv
		01 00 03 00 65 6E 64 00
		00 00 00 00
		78 00 00 00
	`},
}

func TestBlocksHaveTheBytesOfTheDraft(t *testing.T) {
	for _, row := range golden {
		t.Run(row.name, func(t *testing.T) {
			var digits strings.Builder
			for line := range strings.Lines(row.want) {
				line, _, _ = strings.Cut(line, ";")
				for _, d := range strings.Fields(line) {
					digits.WriteString(d)
				}
			}
			want, err := hex.DecodeString(digits.String())
			require.NoError(t, err)
			require.Equal(t, hex.Dump(want), hex.Dump(row.write(t)))
		})
	}
}

// The file up to a block is written once without it and once with it; the block
// is the difference.

func sectionOf(t *testing.T, s Section) []byte {
	return written(t, s, nil)[:len(written(t, s, nil))-len(interfaceOf(t, s, Interface{}))]
}

func interfaceOf(t *testing.T, s Section, i Interface) []byte {
	one := written(t, s, nil)
	two := written(t, s, func(w *Writer) { w.AddInterface(i) })
	require.True(t, bytes.HasPrefix(two, one))
	return two[len(one):]
}

func packetOf(t *testing.T, s Section, p Packet) []byte {
	return written(t, s, func(w *Writer) { w.WritePacket(&p) })[len(written(t, s, nil)):]
}

func statsOf(t *testing.T, s Section, st Stats) []byte {
	return written(t, s, func(w *Writer) { w.WriteStats(&st) })[len(written(t, s, nil)):]
}

// written is a file of one nameless interface and what more writes.
func written(t *testing.T, s Section, more func(*Writer)) []byte {
	t.Helper()
	var file bytes.Buffer
	w := NewWriter(&file, s)
	w.AddInterface(Interface{})
	if more != nil {
		more(w)
	}
	require.NoError(t, w.Flush())
	return file.Bytes()
}
