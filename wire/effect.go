package wire

import "ringside/nic"

// An effect is one thing that happens to frames on their way.
type effect interface {
	// pass sees the next frame, in the order of time, and says whether it is lost.
	// It may put f.At later, and f.Data to bytes of its own that stay good until it
	// is called again; those that it was given it may not change.
	pass(f *nic.WireFrame) Reason
}

// A Reason says why a frame was lost on a link.
type Reason uint8

// The reasons. The zero value means that the frame was not lost.
const (
	NotLost Reason = iota
	LinkLoss
	LinkBurst
	LinkLimit
	LinkQueue
	NumReasons
)

var reasons = [NumReasons][2]string{
	NotLost:   {"NOT_LOST", "not lost"},
	LinkLoss:  {"LINK_LOSS", "lost at random"},
	LinkBurst: {"LINK_BURST", "lost in a burst"},
	LinkLimit: {"LINK_LIMIT", "too many on the link already"},
	LinkQueue: {"LINK_QUEUE", "no room in the queue before its rate"},
}

// String is the reason's name. None of them is Linux's.
func (r Reason) String() string {
	if r >= NumReasons {
		return "REASON?"
	}
	return reasons[r][0]
}

// Says explains the reason in a few words.
func (r Reason) Says() string {
	if r >= NumReasons {
		return ""
	}
	return reasons[r][1]
}
