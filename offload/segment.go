package offload

import "errors"

// ErrSegment says that a frame cannot be cut as its Meta says.
var ErrSegment = errors.New("offload: frame cannot be segmented as it says")

// Segment cuts a GSO frame and calls emit for each segment, in order. The headers
// of one are put right and stand in hdr; payload is parts of the frame. Both are
// good until emit returns. The Meta of a segment is a plain frame's.
func Segment(frame [][]byte, m Meta, emit func(hdr []byte, payload [][]byte, m Meta)) error {
	return ErrSegment
}
