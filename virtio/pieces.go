package virtio

// Pieces is a list of pieces of guest memory, as a Chain has them, that is read or written
// from the front. The zero value has none.
type Pieces struct {
	list [][]byte
	at   int // in the first
}

// PiecesOf is those of a list, which it does not keep beyond its use.
func PiecesOf(list [][]byte) Pieces { return Pieces{list: list} }

// Write copies b there; there must be room.
func (p *Pieces) Write(b []byte) {
	for len(b) > 0 {
		n := copy(p.list[0][p.at:], b)
		b = b[n:]
		p.step(n)
	}
}

// Read fills b from there; there must be as much.
func (p *Pieces) Read(b []byte) {
	for len(b) > 0 {
		n := copy(b, p.list[0][p.at:])
		b = b[n:]
		p.step(n)
	}
}

func (p *Pieces) step(n int) {
	if p.at += n; p.at == len(p.list[0]) {
		p.list, p.at = p.list[1:], 0
	}
}
