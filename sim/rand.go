package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Rand returns the randomness of the component with that name: a ChaCha8 stream
// that depends on the engine's seed and the name alone, so that a component
// draws the same numbers whatever else is in the run and in whatever order it
// was built. Calling it twice with one name gives two equal streams.
func (e *Engine) Rand(name string) *rand.Rand { return rand.New(e.Source(name)) }

// Source is Rand as the bare generator, which is also an io.Reader.
func (e *Engine) Source(name string) *rand.ChaCha8 {
	h := sha256.New()
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], e.seed)
	h.Write(seed[:])
	h.Write([]byte(e.under + name))
	return rand.NewChaCha8([32]byte(h.Sum(nil)))
}
