// Package capture reads packet captures, one frame at a time and as a stream:
// pcap (microseconds and nanoseconds, both byte orders) and pcapng (both byte
// orders, many sections, any clock), each also gzip'd. It decodes no protocol,
// writes nothing and hands out only what a replay needs: when, what, how long.
//
// A frame's way: file, inflater if the file is gzip'd, window (the one buffer,
// which is slid and refilled), then [Reader.Next] cuts a [Record] out of the
// window without copying it. Every number a file says is checked before it is
// used; what the file cannot keep is an error that wraps one of the Err values
// below, and the frames before it have been handed out by then.
//
// The layouts are those of draft-ietf-opsawg-pcap [pcap] and
// draft-ietf-opsawg-pcapng [pcapng], as of May 2026.
//
// Why not gopacket/pcapgo, which the tests use as their oracle: v1.1.19 believes
// the file. It allocates what a snap length says (4 GiB for a file of 41 bytes),
// divides by a clock unit that has overflowed to zero, takes a block length
// below 8 for 4 GiB, and knows neither offsets nor FCS lengths nor the length
// that ends a block. A recover around it would cure the panics only.
package capture

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// What a caller may want to decide on, with [errors.Is].
var (
	// ErrFormat: the input is no pcap or pcapng file, or not of a version known here.
	ErrFormat = errors.New("not a pcap or pcapng file")

	// ErrLinkType: the capture holds no Ethernet. A pcap is refused when it is
	// opened; of a pcapng it is known, and said in place of io.EOF, at the end.
	ErrLinkType = errors.New("not Ethernet")

	// ErrTruncatedFile: the file ends inside a record or block, because it was
	// cut or because a damaged length points past its end. What was handed out
	// before is whole, so a caller may take this for the end of the capture, and
	// should then say so.
	ErrTruncatedFile = errors.New("file cut short")

	// ErrCorrupt: the file contradicts itself. Where the next record begins is
	// no longer known.
	ErrCorrupt = errors.New("corrupt file")
)

// MaxFrame is the longest captured frame that is taken, 256 KiB: what tcpdump
// and Wireshark take too. The snap length in the file's header is no bound,
// because there are writers that set it too low.
const MaxFrame = 256 << 10

// A Record is one packet of a capture.
type Record struct {
	Time      int64  // nanoseconds since 1970, see Untimed
	Data      []byte // what was captured of the frame, without its FCS; nil if Skip says why
	OrigLen   int    // length of the frame on the wire, without its FCS; more than len(Data) if it was cut
	Interface int    // number of the interface in its section of a pcapng, as Wireshark counts; 0 in a pcap
	Number    int64  // 1, 2, 3, …: the packet's number, as Wireshark counts
	Offset    int64  // byte in the (inflated) file at which the record or block begins
	Untimed   bool   // the file has no time for it (simple packet block): Time is that of the record before
	Skip      string // why this packet cannot be replayed, as in "link type 105 (IEEE 802.11)"; empty if it can
}

// A Reader reads the records of one capture. It is made by [Open] or
// [NewReader]; its zero value is of no use. Its memory does not grow with the
// file: a window of 128 KiB, doubled at most until the longest packet block
// fits, and some hundred bytes for each interface of the current section.
type Reader struct {
	in    window
	order order // byte order of the file, in a pcapng of the section
	next  func(*Reader) (*Record, error)

	rec   Record
	count int64 // records handed out
	at    int64 // offset of the part being read
	part  part  // what that is, for messages
	err   error // the error, or io.EOF, that ended the reading

	tick int64 // pcap: nanoseconds in a unit of the second timestamp word
	fcs  int   // pcap: octets of FCS at the end of each frame

	ifaces    []iface // pcapng: interfaces of the section
	firstLink uint16  // pcapng: link type of the file's first interface
	described bool    // pcapng: some interface was described
	ethernet  bool    // pcapng: one of them was Ethernet

	name   string
	format string
	file   *os.File // nil unless Open opened it
}

// Open opens the capture at path. Close it after use.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return nil, &fault{fmt.Sprintf("capture: %s is a directory; name a capture file in it", path), ErrFormat}
	}
	r, err := NewReader(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	return r, nil
}

// NewReader returns a Reader of the capture that src streams. The name stands
// for it in messages. Closing the Reader does not close src.
func NewReader(src io.Reader, name string) (*Reader, error) {
	// A bufio.Reader whose buffer is empty reads straight into a larger one,
	// so that after its first 4 KiB it costs a plain file no further copy.
	br := bufio.NewReader(src)
	r := &Reader{in: window{src: br}, name: name}
	if head, _ := br.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		r.format = "gzip'd "
		z, err := gzip.NewReader(br)
		if err != nil {
			r.in.err = err
			return nil, r.cut(0, 10, "gzip header")
		}
		r.in.src = z
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// open reads the file header of a pcap or the first section header of a pcapng.
func (r *Reader) open() error {
	head := r.in.peek(4)
	if len(head) < 4 && r.in.err != io.EOF {
		return r.cut(int64(len(head)), 4, "file header")
	}
	switch {
	case len(head) < 4:
		return r.stranger(head)
	case order(false).u32(head) == blockSection:
		return r.openPcapng()
	default:
		return r.openPcap(head)
	}
}

// Format says what the capture is, as in "gzip'd pcap (ns, big-endian)".
func (r *Reader) Format() string { return r.format }

// Next returns the next packet. The Record and its Data are valid until Next is
// called again. At the end of the capture the error is io.EOF, or says why this
// is not the end that the capture should have; from then on it stays the same.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.next(r)
}

// Close ends the reading, and closes the file if Open opened it.
func (r *Reader) Close() error {
	r.err = &fault{fmt.Sprintf("capture: %s: it was closed", r.name), fs.ErrClosed}
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

// trimFCS takes the n octets of FCS off a frame. Of a frame that was cut when
// it was captured, only those that are there can go from Data.
func (rec *Record) trimFCS(n int) {
	rec.OrigLen -= min(n, rec.OrigLen)
	n = min(len(rec.Data), rec.OrigLen)
	rec.Data = rec.Data[:n:n]
}

// A fault is an error in its own words that is one of the Err values.
type fault struct {
	text string
	kind error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

// A part is what a Reader is reading, for messages.
type part uint8

const (
	partHeader part = iota
	partRecord
	partEnhanced
	partPacket
	partSimple
	partSection
	partInterface
	partBlock
)

// where says what is being read: a packet by its number, another part by the
// packet before it.
func (r *Reader) where() string {
	switch r.part {
	case partHeader:
		return "file header"
	case partRecord:
		return fmt.Sprintf("record %d", r.count+1)
	case partEnhanced:
		return fmt.Sprintf("record %d (enhanced packet block)", r.count+1)
	case partPacket:
		return fmt.Sprintf("record %d (packet block)", r.count+1)
	case partSimple:
		return fmt.Sprintf("record %d (simple packet block)", r.count+1)
	case partSection:
		return fmt.Sprintf("section header block after record %d", r.count)
	case partInterface:
		return fmt.Sprintf("interface description block after record %d", r.count)
	default:
		return fmt.Sprintf("block after record %d", r.count)
	}
}

// fail ends the reading with an error of the given kind: which file, which
// record, where, what was found and expected, and what can be done.
func (r *Reader) fail(kind error, format string, args ...any) error {
	hint := "copy or capture the file again"
	if r.count > 0 {
		hint += ", or do with the records before this, which are whole"
	}
	r.err = &fault{
		fmt.Sprintf("capture: %s: %v: %s at byte %d: %s; %s", r.name, kind, r.where(), r.at, fmt.Sprintf(format, args...), hint),
		kind,
	}
	return r.err
}

// cut is fail for an input that has ended with have bytes of something that
// needs more: the file was cut, or does not inflate, or cannot be read.
func (r *Reader) cut(have, need int64, of string) error {
	err := r.in.err
	var flaw flate.CorruptInputError
	switch {
	case err == io.EOF:
		return r.fail(ErrTruncatedFile, "the %s needs %d bytes and the file ends after %d", of, need, have)
	case errors.Is(err, io.ErrUnexpectedEOF): // the inflater's word
		return r.fail(ErrTruncatedFile, "the input breaks off before the %s is whole", of)
	case errors.As(err, &flaw), errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return r.fail(ErrCorrupt, "its gzip data is damaged: %v", err)
	default:
		r.err = fmt.Errorf("capture: %s: reading at byte %d: %w", r.name, r.in.offset()+have, err)
		return r.err
	}
}

// stranger is the error for a file that begins like no capture known here.
func (r *Reader) stranger(head []byte) error {
	if len(head) == 0 {
		return &fault{fmt.Sprintf("capture: %s is not a pcap or pcapng file: it is empty; capture again", r.name), ErrFormat}
	}
	hint := "name a capture made by tcpdump -w or Wireshark, or convert it with editcap -F pcapng"
	for _, s := range strangers {
		if len(head) >= len(s.magic) && string(head[:len(s.magic)]) == s.magic {
			hint = s.hint
			break
		}
	}
	return &fault{fmt.Sprintf("capture: %s is not a pcap or pcapng file: it begins with %x (%q); %s", r.name, head, head, hint), ErrFormat}
}

// strangers are files that people take for captures, by their first bytes.
var strangers = []struct{ magic, hint string }{
	{"\x28\xb5\x2f\xfd", "it is compressed: zstd -d it first"},
	{"\xfd7zX", "it is compressed: xz -d it first"},
	{"BZh", "it is compressed: bzip2 -d it first"},
	{"\x04\x22\x4d\x18", "it is compressed: lz4 -d it first"},
	{"PK\x03\x04", "it is an archive: unzip it first"},
	{"\x1f\x8b", "it is gzip'd twice: gzip -d it first"},
	{"snoo", "it is a snoop capture: convert it with editcap -F pcapng"},
	{"\x34\xcd\xb2\xa1", "it is a pcap as changed by Kuznetzov: convert it with editcap -F pcapng"},
	{"\xa1\xb2\xcd\x34", "it is a pcap as changed by Kuznetzov: convert it with editcap -F pcapng"},
}
