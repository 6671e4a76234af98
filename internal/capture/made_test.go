package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A pen writes captures by hand in a byte order.
type pen struct{ binary.AppendByteOrder }

var (
	le   = pen{binary.LittleEndian}
	be   = pen{binary.BigEndian}
	pens = map[string]pen{"little-endian": le, "big-endian": be}
)

func (p pen) words(ws ...uint32) (b []byte) {
	for _, w := range ws {
		b = p.AppendUint32(b, w)
	}
	return b
}

func (p pen) halves(hs ...uint16) (b []byte) {
	for _, h := range hs {
		b = p.AppendUint16(b, h)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func pad(b []byte) []byte { return append(bytes.Clone(b), make([]byte, -len(b)&3)...) }

// pcap begins a pcap file.
func (p pen) pcap(magic, network uint32) []byte {
	return join(p.words(magic), p.halves(2, 4), p.words(0, 0, 65535, network))
}

func (p pen) record(sec, frac, wire uint32, data string) []byte {
	return join(p.words(sec, frac, uint32(len(data)), wire), []byte(data))
}

// block makes a pcapng block round a body, which it pads.
func (p pen) block(kind uint32, body ...[]byte) []byte {
	b := pad(join(body...))
	n := uint32(len(b) + 12)
	return join(p.words(kind, n), b, p.words(n))
}

func (p pen) section(opts ...[]byte) []byte {
	return p.block(0x0a0d0d0a, p.words(0x1a2b3c4d), p.halves(1, 0), p.words(0xffffffff, 0xffffffff), join(opts...))
}

func (p pen) iface(link uint16, snap uint32, opts ...[]byte) []byte {
	return p.block(1, p.halves(link, 0), p.words(snap), join(opts...))
}

func (p pen) enhanced(id uint32, units uint64, wire uint32, data string, opts ...[]byte) []byte {
	return p.block(6, p.words(id, uint32(units>>32), uint32(units), uint32(len(data)), wire), pad([]byte(data)), join(opts...))
}

func (p pen) obsolete(id uint16, units uint64, wire uint32, data string, opts ...[]byte) []byte {
	return p.block(2, p.halves(id, 0xffff), p.words(uint32(units>>32), uint32(units), uint32(len(data)), wire), pad([]byte(data)), join(opts...))
}

func (p pen) simple(wire uint32, data string) []byte {
	return p.block(3, p.words(wire), []byte(data))
}

func (p pen) option(code uint16, value ...byte) []byte {
	return join(p.halves(code, uint16(len(value))), pad(value))
}

func (p pen) tsOffset(seconds int64) []byte {
	return p.option(14, p.AppendUint64(nil, uint64(seconds))...)
}

func (p pen) flags(word uint32) []byte { return p.option(2, p.words(word)...) }

// zip compresses each part as a gzip member of its own.
func zip(parts ...[]byte) []byte {
	var out bytes.Buffer
	for _, p := range parts {
		z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		z.Write(p)
		z.Close()
	}
	return out.Bytes()
}

// readAll reads src to its end, which comes back as the error. What holds of
// every record and every end is checked on the way.
func readAll(src io.Reader) ([]Record, error) {
	r, err := NewReader(src, "some.cap")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var recs []Record
	for {
		rec, err := r.Next()
		if err != nil {
			if _, again := r.Next(); again != err {
				return recs, fmt.Errorf("Next after %w: %w", err, again)
			}
			return recs, err
		}
		if cap(rec.Data) != len(rec.Data) {
			return recs, fmt.Errorf("an append to the data of record %d would write on what follows", rec.Number)
		}
		keep := *rec
		keep.Data = bytes.Clone(rec.Data)
		recs = append(recs, keep)
	}
}

// mustRead reads a capture that is in order.
func mustRead(t *testing.T, b []byte) []Record {
	t.Helper()
	recs, err := readAll(bytes.NewReader(b))
	require.ErrorIs(t, err, io.EOF)
	return recs
}

// samples are small files of each kind, each with three packets at least.
func samples() map[string][]byte {
	s := map[string][]byte{}
	for name, p := range pens {
		s["pcap µs "+name] = join(p.pcap(magicMicro, 1),
			p.record(1, 5, 60, strings.Repeat("a", 60)), p.record(1, 6, 1500, "bc"), p.record(2, 0, 0, ""))
		s["pcap ns FCS "+name] = join(p.pcap(magicNano, 1|1<<26|2<<28),
			p.record(1, 5, 64, strings.Repeat("a", 64)), p.record(1, 6, 1500, "bc"), p.record(2, 0, 0, ""))
		s["pcapng "+name] = join(
			p.section(p.option(1, []byte("a comment")...), p.option(0)),
			p.iface(1, 0, p.option(9, 9), p.option(13, 32), p.tsOffset(-3), p.option(0)),
			p.iface(105, 96),
			p.enhanced(0, 7e9, 64, strings.Repeat("a", 64), p.flags(4<<5), p.option(0)),
			p.block(0x0bad, []byte("what nobody knows")),
			p.enhanced(1, 8e6, 10, "radio"),
			p.obsolete(0, 9e9, 64, "bcd", p.flags(0)),
			p.simple(5, "hello"),
			p.section(),
			p.iface(1, 3),
			p.simple(100, "cut"),
		)
	}
	other := le
	s["pcapng of both byte orders"] = join(s["pcapng big-endian"], other.section(), other.iface(1, 0), other.enhanced(0, 1, 2, "xy"))
	for name, b := range maps.Clone(s) {
		s["gzip'd "+name] = zip(b[:len(b)/2], b[len(b)/2:])
	}
	return s
}

// isClear says whether an error is one that a Reader may end with.
func isClear(err error) bool {
	for _, kind := range []error{io.EOF, ErrFormat, ErrLinkType, ErrTruncatedFile, ErrCorrupt} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
