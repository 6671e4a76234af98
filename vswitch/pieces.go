package vswitch

import "ringside/offload"

// plainMeta is what travels beside a frame on which nothing is left to do.
var plainMeta offload.Meta

// pieces is a list of pieces of memory, read or written from the front.
type pieces struct {
	list [][]byte
	at   int // in the first
}

// write copies b there; there is room.
func (p *pieces) write(b []byte) {
	for len(b) > 0 {
		n := copy(p.list[0][p.at:], b)
		b = b[n:]
		p.step(n)
	}
}

// read fills b from there; there is as much.
func (p *pieces) read(b []byte) {
	for len(b) > 0 {
		n := copy(b, p.list[0][p.at:])
		b = b[n:]
		p.step(n)
	}
}

func (p *pieces) step(n int) {
	if p.at += n; p.at == len(p.list[0]) {
		p.list, p.at = p.list[1:], 0
	}
}
