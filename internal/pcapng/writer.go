package pcapng

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Block types [pcapng 10.1].
const (
	blockInterface  = 0x00000001
	blockStatistics = 0x00000005
	blockPacket     = 0x00000006
	blockSection    = 0x0A0D0D0A
)

// Options of every block [pcapng 3.5].
const (
	optEnd     = 0
	optComment = 1
)

// Options of a section [pcapng 4.1].
const (
	shbHardware = 2
	shbOS       = 3
	shbUserAppl = 4
)

// Options of an interface [pcapng 4.2].
const (
	ifName        = 2
	ifDescription = 3
	ifSpeed       = 8
	ifTSResol     = 9
)

// Options of a packet [pcapng 4.3].
const (
	epbFlags     = 2
	epbDropCount = 4
	epbPacketID  = 5
	epbQueue     = 6
	epbVerdict   = 7
)

// Options of interface statistics [pcapng 4.6].
const (
	isbStartTime    = 2
	isbEndTime      = 3
	isbIfRecv       = 4
	isbIfDrop       = 5
	isbFilterAccept = 6
	isbOSDrop       = 7
	isbUsrDeliv     = 8
)

const (
	linkTypeEthernet = 1
	nanoseconds      = 9 // if_tsresol: 10^-9 s

	// The length of an option has 16 bits, and gopacket adds the padding to it
	// in 16 bits too: 65532 is the longest that survives.
	maxOption = 1<<16 - 4

	// libpcap takes a packet and 128 KiB of options for the largest block there
	// is. Options of fixed size and two words of a verdict need less than 1 KiB.
	maxTexts = 127 << 10

	// The file has 32 bits for it; a reader's int may be signed.
	maxOrigLen = math.MaxInt32

	// The buffer is handed on when it has this many bytes. The slack behind it
	// holds the block that crosses the line, unless that is a jumbo frame.
	flushAt = 64 << 10
	slack   = 4 << 10
)

var le = binary.LittleEndian

// A Writer writes one section. The first error, of the Writer's user or of the
// io.Writer below, sticks: every later call returns it and writes nothing.
//
// The zero value is not ready; see NewWriter. A Writer serves one goroutine.
type Writer struct {
	w          io.Writer
	buf        []byte // whole blocks that wait for w
	err        error
	base       uint64 // Unix time of virtual time 0, in nanoseconds
	snapLen    int
	interfaces int
}

// NewWriter returns a Writer that puts the section s on w. Nothing reaches w
// before some 64 KiB have gathered or Flush is called.
func NewWriter(w io.Writer, s Section) *Writer {
	pw := &Writer{w: w, buf: make([]byte, 0, flushAt+slack), snapLen: s.SnapLen}
	if s.SnapLen < 0 || s.SnapLen > MaxCaptured {
		pw.fail("snap length %d is out of range: choose 1 to %d, or 0 for %[2]d", s.SnapLen, MaxCaptured)
		return pw
	}
	if s.SnapLen == 0 {
		pw.snapLen = MaxCaptured
	}
	if !s.Base.IsZero() {
		if sec := s.Base.Unix(); sec < 0 || sec >= math.MaxInt64/1_000_000_000 {
			pw.fail("base time %v is out of range: choose one from 1970 to 2262", s.Base)
			return pw
		}
		pw.base = uint64(s.Base.UnixNano())
	}
	if !pw.texts("section", s.Hardware, s.OS, s.Application, s.Comment) {
		return pw
	}

	b := pw.begin(blockSection)
	b = le.AppendUint32(b, 0x1A2B3C4D)     // byte-order magic
	b = le.AppendUint32(b, 1)              // version 1.0
	b = le.AppendUint64(b, math.MaxUint64) // section length not known
	b = text(b, shbHardware, s.Hardware)
	b = text(b, shbOS, s.OS)
	b = text(b, shbUserAppl, s.Application)
	b = text(b, optComment, s.Comment)
	pw.end(option(b, optEnd, 0))
	return pw
}

// AddInterface describes one more interface and returns its id, which counts
// from 0. It can be called at any time. After an error it returns -1.
func (w *Writer) AddInterface(i Interface) int {
	if w.err != nil || !w.texts("interface", i.Name, i.Description, i.Comment) {
		return -1
	}
	b := w.begin(blockInterface)
	b = le.AppendUint32(b, linkTypeEthernet)
	b = le.AppendUint32(b, uint32(w.snapLen))
	b = text(b, ifName, i.Name)
	b = text(b, ifDescription, i.Description)
	if i.SpeedBPS != 0 {
		b = number(b, ifSpeed, Of(i.SpeedBPS))
	}
	b = option(b, ifTSResol, 1)
	b = le.AppendUint32(b, nanoseconds) // one byte and three of padding
	b = text(b, optComment, i.Comment)
	w.end(option(b, optEnd, 0))

	w.interfaces++
	return w.interfaces - 1
}

// WritePacket writes one Enhanced Packet Block.
func (w *Writer) WritePacket(p *Packet) error {
	if w.err != nil {
		return w.err
	}
	if !w.checkPacket(p) {
		return w.err
	}
	data, origLen := p.Data, p.OrigLen
	if origLen == 0 {
		origLen = len(data)
	}
	if len(data) > w.snapLen {
		data = data[:w.snapLen]
	}

	b := w.begin(blockPacket)
	b = le.AppendUint32(b, uint32(p.Interface))
	b = w.time(b, p.TimePS)
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, uint32(origLen))
	b = pad(append(b, data...), len(data))

	bare := len(b)
	if p.Direction != DirectionUnknown {
		b = option(b, epbFlags, 4)
		b = le.AppendUint32(b, uint32(p.Direction))
	}
	b = number(b, epbDropCount, p.DropCount)
	b = number(b, epbPacketID, p.ID)
	if p.Queue.known {
		b = option(b, epbQueue, 4)
		b = le.AppendUint32(b, uint32(p.Queue.n))
	}
	for i := range p.EPBVerdicts {
		b = verdictCode(b, &p.EPBVerdicts[i])
	}
	if p.Verdict != "" {
		b = verdictWords(b, p.Verdict, p.Reason)
	}
	for _, c := range p.Comments {
		b = text(b, optComment, c)
	}
	if len(b) > bare {
		b = option(b, optEnd, 0)
	}
	w.end(b)
	return w.err
}

// WriteStats writes one Interface Statistics Block. Readers expect it at the
// end of the file, and take the last one of an interface.
func (w *Writer) WriteStats(s *Stats) error {
	if w.err != nil {
		return w.err
	}
	if !w.checkInterface("statistics", s.Interface) || !w.texts("statistics", s.Comment) {
		return w.err
	}
	if s.StartPS < 0 || s.EndPS < s.StartPS {
		return w.fail("statistics from %d ps to %d ps: start at 0 or later, and end no earlier", s.StartPS, s.EndPS)
	}
	b := w.begin(blockStatistics)
	b = le.AppendUint32(b, uint32(s.Interface))
	b = w.time(b, s.EndPS)
	b = w.time(option(b, isbStartTime, 8), s.StartPS)
	b = w.time(option(b, isbEndTime, 8), s.EndPS)
	b = number(b, isbIfRecv, s.Received)
	b = number(b, isbIfDrop, s.Dropped)
	b = number(b, isbFilterAccept, s.Accepted)
	b = number(b, isbOSDrop, s.DroppedByOS)
	b = number(b, isbUsrDeliv, s.DeliveredToUser)
	b = text(b, optComment, s.Comment)
	w.end(option(b, optEnd, 0))
	return w.err
}

// Flush hands everything written so far to the io.Writer below and returns the
// first error there has been. A file without an interface is one: libpcap does
// not open it.
func (w *Writer) Flush() error {
	if w.err == nil && w.interfaces == 0 {
		w.fail("no interface: call AddInterface before Flush")
	}
	w.flush()
	return w.err
}

func (w *Writer) flush() {
	if w.err != nil || len(w.buf) == 0 {
		return
	}
	n, err := w.w.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("pcapng: %w", err)
	}
	w.buf = w.buf[:0]
}

// Checks come before the first byte of a block, so that a refused packet leaves
// no trace. They copy what they quote: were p to escape through an error, every
// caller's packet would live on the heap.

func (w *Writer) fail(format string, args ...any) error {
	w.err = fmt.Errorf("pcapng: "+format, args...)
	return w.err
}

func (w *Writer) checkPacket(p *Packet) bool {
	if !w.checkInterface("packet", p.Interface) {
		return false
	}
	switch {
	case p.TimePS < 0:
		w.fail("packet at %d ps: virtual time starts at 0", p.TimePS)
	case len(p.Data) == 0:
		w.fail("packet has no bytes: there is no frame to write")
	case p.OrigLen != 0 && p.OrigLen < len(p.Data):
		w.fail("packet of %d bytes has an original length of %d: it cannot have been shorter", len(p.Data), p.OrigLen)
	case p.OrigLen > maxOrigLen || len(p.Data) > maxOrigLen:
		w.fail("packet has an original length of %d: the most is %d", max(p.OrigLen, len(p.Data)), maxOrigLen)
	case p.Direction > Outbound:
		w.fail("packet has direction %d: choose DirectionUnknown, Inbound or Outbound", p.Direction)
	case p.Queue.n > math.MaxUint32:
		w.fail("packet has queue %d: a queue number has 32 bits", p.Queue.n)
	case !word(p.Verdict) || !word(p.Reason):
		w.fail("verdict %q, reason %q: use at most 255 visible ASCII characters and no space",
			strings.Clone(p.Verdict), strings.Clone(p.Reason))
	case p.Reason != "" && p.Verdict == "":
		w.fail("reason %q has no verdict: set Verdict too", strings.Clone(p.Reason))
	case len(p.EPBVerdicts) != 0 || len(p.Comments) != 0:
		return w.checkLists(p)
	}
	return w.err == nil
}

func (w *Writer) checkLists(p *Packet) bool {
	size := 0
	for i := range p.EPBVerdicts {
		v := &p.EPBVerdicts[i]
		switch {
		case v.Type > VerdictXDP:
			w.fail("epb_verdict has type %d: choose VerdictHardware, VerdictTC or VerdictXDP", v.Type)
		case v.Type == VerdictHardware && (v.Code != 0 || len(v.Bytes) == 0 || len(v.Bytes) > maxOption-1):
			w.fail("epb_verdict of hardware has code %d and %d bytes: give it 1 to %d bytes and no code",
				v.Code, len(v.Bytes), maxOption-1)
		case v.Type != VerdictHardware && len(v.Bytes) != 0:
			w.fail("epb_verdict of TC or XDP has %d bytes: give it a code only", len(v.Bytes))
		}
		if w.err != nil {
			return false
		}
		size += 4 + 9 + 3 + len(v.Bytes)
	}
	for _, c := range p.Comments {
		if !w.checkText("packet", c) {
			return false
		}
		size += 4 + len(c) + 3
	}
	if size > maxTexts {
		w.fail("packet has %d bytes of comments and verdicts: the most is %d", size, maxTexts)
		return false
	}
	return true
}

func (w *Writer) checkInterface(what string, id int) bool {
	if id >= 0 && id < w.interfaces {
		return true
	}
	w.fail("%s names interface %d of %d: use an id that AddInterface returned", what, id, w.interfaces)
	return false
}

func (w *Writer) texts(what string, texts ...string) bool {
	size := 0
	for _, t := range texts {
		if !w.checkText(what, t) {
			return false
		}
		size += len(t)
	}
	if size > maxTexts {
		w.fail("%s has %d bytes of text: the most is %d", what, size, maxTexts)
		return false
	}
	return true
}

// checkText refuses what a reader would cut or discard [pcapng 3.5, 3.6.3].
func (w *Writer) checkText(what, s string) bool {
	switch {
	case len(s) > maxOption:
		w.fail("%s has a text of %d bytes: the most is %d", what, len(s), maxOption)
	case strings.IndexByte(s, 0) >= 0:
		w.fail("%s has the text %.60q: a zero byte ends it for readers, so take it out", what, strings.Clone(s))
	case !utf8.ValidString(s):
		w.fail("%s has the text %.60q: it must be UTF-8", what, strings.Clone(s))
	}
	return w.err == nil
}

// word says whether s can stand in "verdict=… reason=…" and be found again.
func word(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 255
}

// A block is built in the room behind w.buf and becomes part of it at its end.

// begin opens a block whose length is not yet known [pcapng 3.1].
func (w *Writer) begin(blockType uint64) []byte {
	return le.AppendUint64(w.buf, blockType)
}

// end puts the length of the block at both its ends.
func (w *Writer) end(b []byte) {
	start := len(w.buf)
	length := uint32(len(b) - start + 4)
	le.PutUint32(b[start+4:], length)
	w.buf = le.AppendUint32(b, length)
	if len(w.buf) >= flushAt {
		w.flush()
	}
}

// time is the upper half first, each half little-endian [pcapng 4.3].
func (w *Writer) time(b []byte, ps int64) []byte {
	ns := w.base + uint64(ps)/1000
	return le.AppendUint64(b, ns>>32|ns<<32)
}

// option opens an option of that many bytes [pcapng 3.5].
func option(b []byte, code, length int) []byte {
	return le.AppendUint32(b, uint32(code|length<<16))
}

// pad fills up to the next multiple of four behind n bytes [pcapng 3.6.2].
func pad(b []byte, n int) []byte {
	return append(b, "\x00\x00\x00"[:-n&3]...)
}

func number(b []byte, code int, n Number) []byte {
	if !n.known {
		return b
	}
	return le.AppendUint64(option(b, code, 8), n.n)
}

func text(b []byte, code int, s string) []byte {
	if s == "" {
		return b
	}
	return pad(append(option(b, code, len(s)), s...), len(s))
}

func verdictWords(b []byte, verdict, reason string) []byte {
	const v, r = "verdict=", " reason="
	n := len(v) + len(verdict)
	if reason != "" {
		n += len(r) + len(reason)
	}
	b = option(b, optComment, n)
	b = append(append(b, v...), verdict...)
	if reason != "" {
		b = append(append(b, r...), reason...)
	}
	return pad(b, n)
}

func verdictCode(b []byte, v *EPBVerdict) []byte {
	if v.Type == VerdictHardware {
		n := 1 + len(v.Bytes)
		return pad(append(append(option(b, epbVerdict, n), byte(v.Type)), v.Bytes...), n)
	}
	// In the section's byte order, as Wireshark reads it.
	return pad(le.AppendUint64(append(option(b, epbVerdict, 9), byte(v.Type)), v.Code), 9)
}
