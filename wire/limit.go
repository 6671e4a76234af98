package wire

import "ringside/nic"

// limit loses frames while as many as it allows are on the link.
type limit struct {
	most   int
	held   *held // those on the link, where they are held
	leaves fifo  // where they are not: when those on the link are out
}

func (l *limit) pass(f *nic.WireFrame) Reason {
	on := 0
	if l.held != nil {
		on = len(l.held.heap) // what is out by now is not held any more
	} else {
		for l.leaves.n > 0 && l.leaves.first().at <= f.At {
			l.leaves.pop()
		}
		on = l.leaves.n
	}
	if on >= l.most {
		return LinkLimit
	}
	return NotLost
}

// passed is told of a frame that will come out at f.At.
func (l *limit) passed(f *nic.WireFrame) {
	if l.held == nil {
		l.leaves.push(moment{at: f.At})
	}
}
