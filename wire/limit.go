package wire

import (
	"ringside/nic"
	"ringside/sim"
)

// limit loses frames while as many as it allows are on the link. It is told of every
// frame that will come out.
type limit struct {
	most   int
	leaves []sim.Time // when those on the link are out, a heap with the earliest first
}

func (l *limit) pass(f *nic.WireFrame) Reason {
	for len(l.leaves) > 0 && l.leaves[0] <= f.At {
		l.pop()
	}
	if len(l.leaves) >= l.most {
		return LinkLimit
	}
	return NotLost
}

// add says that a frame that passed comes out at the time at.
func (l *limit) add(at sim.Time) {
	l.leaves = append(l.leaves, at)
	h, i := l.leaves, len(l.leaves)-1
	for i > 0 && at < h[(i-1)/2] {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = at
}

// pop takes the earliest off.
func (l *limit) pop() {
	n := len(l.leaves) - 1
	at := l.leaves[n]
	l.leaves = l.leaves[:n]
	h, i := l.leaves, 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h[c+1] < h[c] {
			c++
		}
		if at <= h[c] {
			break
		}
		h[i] = h[c]
		i = c
	}
	if n > 0 {
		h[i] = at
	}
}
