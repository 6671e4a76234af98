package capture

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// windowSize is what is read at once. A frame of 1514 bytes takes 150 ns with
// 32 KiB (more system calls), 113 with 128, and 153 with 1 MiB (the frames have
// left the second-level cache before they are used).
const windowSize = 128 << 10

// A window is the part of a stream that is in memory, and slides along it.
//
//	buf:  | used up | within reach |  room  |
//	      0        pos            end      len(buf)
//
// It grows only when it is full of bytes that are needed together, hence never
// beyond twice what the stream has delivered, whatever a length field claims.
type window struct {
	src  io.Reader
	buf  []byte
	pos  int   // moved by who takes bytes: the formats, and skip
	end  int   // moved by read
	base int64 // offset of buf[0] in the stream
	err  error // what src ended with; io.EOF if it simply ended
}

// peek returns the bytes within reach: at least n of them, unless the stream
// ends before, and then err says how.
func (w *window) peek(n int) []byte {
	if w.end-w.pos < n {
		w.fill(n)
	}
	return w.buf[w.pos:w.end]
}

// fill is kept apart so that peek, which is called for every frame, is inlined.
//
//go:noinline
func (w *window) fill(n int) {
	for w.end-w.pos < n && w.err == nil {
		w.read()
	}
}

// skip takes n bytes, however many are within reach, and returns how many
// there were before the stream ended.
func (w *window) skip(n int64) int64 {
	left := n
	for {
		step := min(left, int64(w.end-w.pos))
		w.pos += int(step)
		left -= step
		if left == 0 || w.err != nil {
			return n - left
		}
		w.read()
	}
}

// offset returns where in the stream pos stands.
func (w *window) offset() int64 { return w.base + int64(w.pos) }

// read makes room if there is none, and reads once.
func (w *window) read() {
	switch {
	case w.end < len(w.buf):
	case w.pos > 0:
		copy(w.buf, w.buf[w.pos:w.end])
		w.base += int64(w.pos)
		w.end -= w.pos
		w.pos = 0
	default:
		grown := make([]byte, max(windowSize, 2*len(w.buf)))
		copy(grown, w.buf)
		w.buf = grown
	}
	for range 100 { // as patient as bufio
		n, err := w.src.Read(w.buf[w.end:])
		w.end += n
		w.err = err
		if n > 0 || err != nil {
			return
		}
	}
	w.err = io.ErrNoProgress
}

// An order is a byte order: true is big-endian. The branch is foretold where a
// call through [binary.ByteOrder] is not.
type order bool

func (big order) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (big order) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (big order) u64(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b)
	if big {
		v = bits.ReverseBytes64(v)
	}
	return v
}

func (big order) String() string {
	if big {
		return "big-endian"
	}
	return "little-endian"
}
