package kernel

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside/nic"
)

// A frame in flight is an skb, and each room reads it: 96 bytes are a line and a half of
// the cache.
func TestAnSKBIsSmall(t *testing.T) {
	assert.LessOrEqual(t, reflect.TypeFor[skb]().Size(), uintptr(96))
	assert.LessOrEqual(t, reflect.TypeFor[marks]().Size(), uintptr(8), "cleared by one store")
}

// The narrow fields hold what is put in them.
func TestAnSKBHasRoomForEachQueueAndFrag(t *testing.T) {
	var s skb
	s.frags = new(further)
	for range len(s.frags.buf) {
		s.addFrag(frag{data: []byte{0}})
	}
	assert.EqualValues(t, maxHung+1, s.nfrags)
	assert.Panics(t, func() { s.addFrag(frag{}) })
	s.queue = int8(nic.MaxQueues - 1)
	assert.EqualValues(t, nic.MaxQueues-1, s.queue)
}
