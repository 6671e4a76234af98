package app

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"math/rand/v2"
)

// content is what bulk senders send: a stream that a number determines.
func content(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// A digest sums up streams, whose order does not matter: the hashes of all are added
// up bit by bit. That of one stream is its SHA-256.
type digest [sha256.Size]byte

func (d *digest) add(h hash.Hash) {
	for i, b := range h.Sum(nil) {
		d[i] ^= b
	}
}
