package wire

import (
	"ringside/nic"
	"ringside/sim"
)

// far is later than any run; times do not go beyond it.
const far = sim.Never / 2

// rate is a slow line and the frames that wait for it.
type rate struct {
	line
	frames int // that may wait, or no bound if 0
	bytes  int // likewise
	queue  fifo
	used   int // bytes in queue
}

func newRate(r Rate) *rate {
	q := r.Queue
	if q == (Queue{}) {
		q.Frames = DefaultQueue
	}
	return &rate{line: newLine(r.BPS), frames: q.Frames, bytes: q.Bytes}
}

// pass puts the frame behind those that wait. It comes out with its last bit.
func (r *rate) pass(f *nic.WireFrame) Reason {
	size := len(f.Data)
	for r.queue.n > 0 && r.queue.first().at <= f.At {
		r.used -= r.queue.first().size
		r.queue.pop()
	}
	if r.free > f.At { // it has to wait
		if r.frames > 0 && r.queue.n >= r.frames || r.bytes > 0 && r.used+size > r.bytes {
			return LinkQueue
		}
		r.queue.push(moment{r.free, size})
		r.used += size
	}
	_, last := r.carry(f.At, size)
	r.free = min(r.free, far)
	f.At = min(last, far)
	return NotLost
}
