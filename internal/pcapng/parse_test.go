package pcapng

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A capture is what a strict reader finds in a file. The reader shares no code
// with the Writer and takes nothing that the draft forbids a writer to write.
type capture struct {
	section    []tlv
	interfaces []ifaceBlock
	packets    []packetBlock
	stats      []statsBlock
}

type tlv struct {
	code  uint16
	value string
}

type ifaceBlock struct {
	snapLen uint32
	options []tlv
}

type packetBlock struct {
	iface   uint32
	ts      uint64
	origLen uint32
	data    string
	options []tlv
}

type statsBlock struct {
	iface   uint32
	ts      uint64
	options []tlv
}

// size is the length of an option's value where the draft fixes one, the key
// being block type and option code; isText marks UTF-8 without a zero byte.
const isText = -1

var size = map[[2]int]int{
	{0x0A0D0D0A, 2}: isText, {0x0A0D0D0A, 3}: isText, {0x0A0D0D0A, 4}: isText, // Table 2
	{1, 2}: isText, {1, 3}: isText, {1, 8}: 8, {1, 9}: 1, // Table 3
	{6, 2}: 4, {6, 4}: 8, {6, 5}: 8, {6, 6}: 4, // Table 4, epb_verdict apart
	{5, 2}: 8, {5, 3}: 8, {5, 4}: 8, {5, 5}: 8, {5, 6}: 8, {5, 7}: 8, {5, 8}: 8, // Table 8
}

func parse(file []byte) (c capture, err error) {
	at := 0
	bad := func(format string, args ...any) (capture, error) {
		return capture{}, fmt.Errorf("block at byte %d: %s", at, fmt.Sprintf(format, args...))
	}
	for at < len(file) {
		rest := file[at:]
		if len(rest) < 12 {
			return bad("%d bytes left", len(rest))
		}
		kind, length := int(word32(rest)), int(word32(rest[4:]))
		if length < 12 || length%4 != 0 || length > len(rest) {
			return bad("total length %d of %d left", length, len(rest))
		}
		if again := int(word32(rest[length-4:])); again != length {
			return bad("total length %d in front, %d behind", length, again)
		}
		body := rest[8 : length-4]
		if fixed := map[int]int{0x0A0D0D0A: 16, 1: 8, 5: 12, 6: 20}[kind]; len(body) < fixed {
			return bad("type %#x with a body of %d bytes", kind, len(body))
		}
		if (at == 0) != (kind == 0x0A0D0D0A) {
			return bad("type %#x", kind)
		}
		switch kind {
		case 0x0A0D0D0A:
			want := []byte{0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}
			if !bytes.HasPrefix(body, want) {
				return bad("section starts with % x", body[:min(16, len(body))])
			}
			c.section, err = options(kind, body[16:])
		case 1:
			if link, reserved := body[0], word32(body)>>8; link != 1 || reserved != 0 {
				return bad("link type %d, above it %#x", link, reserved)
			}
			i := ifaceBlock{snapLen: word32(body[4:])}
			i.options, err = options(kind, body[8:])
			c.interfaces = append(c.interfaces, i)
		case 6:
			p := packetBlock{iface: word32(body), ts: stamp(body[4:]), origLen: word32(body[16:])}
			n := int(word32(body[12:]))
			padded := (n + 3) / 4 * 4
			if 20+padded > len(body) {
				return bad("%d captured bytes in a body of %d", n, len(body))
			}
			p.data = string(body[20 : 20+n])
			if !zero(body[20+n : 20+padded]) {
				return bad("padding of data % x", body[20+n:20+padded])
			}
			if int(p.iface) >= len(c.interfaces) {
				return bad("interface %d of %d", p.iface, len(c.interfaces))
			}
			if most := min(p.origLen, c.interfaces[p.iface].snapLen, 262144); uint32(n) > most {
				return bad("%d captured bytes, at most %d can be right", n, most)
			}
			p.options, err = options(kind, body[20+padded:])
			c.packets = append(c.packets, p)
		case 5:
			s := statsBlock{iface: word32(body), ts: stamp(body[4:])}
			if int(s.iface) >= len(c.interfaces) {
				return bad("interface %d of %d", s.iface, len(c.interfaces))
			}
			s.options, err = options(kind, body[12:])
			c.stats = append(c.stats, s)
		default:
			return bad("type %#x", kind)
		}
		if err != nil {
			return bad("%v", err)
		}
		at += length
	}
	return c, nil
}

// options reads a list that must end with opt_endofopt exactly at the end of
// the block, or not be there at all.
func options(kind int, b []byte) ([]tlv, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var list []tlv
	for len(b) >= 4 {
		code, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		padded := (n + 3) / 4 * 4
		if code == 0 {
			if n != 0 || len(b) != 4 {
				return nil, fmt.Errorf("end of options has length %d and %d bytes behind it", n, len(b)-4)
			}
			return list, nil
		}
		if 4+padded > len(b) {
			return nil, fmt.Errorf("option %d of %d bytes in %d", code, n, len(b)-4)
		}
		value := b[4 : 4+n]
		if !zero(b[4+n : 4+padded]) {
			return nil, fmt.Errorf("padding of option %d % x", code, b[4+n:4+padded])
		}
		want, known := size[[2]int{kind, int(code)}]
		switch {
		case code == 1:
			want = isText
		case kind == 6 && code == 7:
			if n < 1 || value[0] > 2 || value[0] != 0 && n != 9 {
				return nil, fmt.Errorf("epb_verdict % x", value)
			}
			want = n
		case !known:
			return nil, fmt.Errorf("option %d is unknown", code)
		}
		if want == isText && (n == 0 || !utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0) {
			return nil, fmt.Errorf("option %d has the text %q", code, value)
		}
		if want != isText && want != n {
			return nil, fmt.Errorf("option %d has %d bytes, not %d", code, n, want)
		}
		repeats := code == 1 || kind == 6 && code == 7
		if !repeats && slices.ContainsFunc(list, func(o tlv) bool { return o.code == code }) {
			return nil, fmt.Errorf("option %d stands twice", code)
		}
		list = append(list, tlv{code, string(value)})
		b = b[4+padded:]
	}
	return nil, fmt.Errorf("no end of options")
}

func word32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func stamp(b []byte) uint64 { return uint64(word32(b))<<32 | uint64(word32(b[4:])) }

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
