package trace

import (
	"ringside/cost"
	"ringside/sim"
)

// A Point is a place where a frame can be seen: one interface of a staged
// capture each. Rx is from the wire towards a guest, Tx from a guest or the host
// towards the wire; both words are used from the machine's side everywhere.
type Point uint8

// The points, in the order of a received frame.
const (
	Wire   Point = iota // the last bit is in, or the last bit is out
	NIC                 // in host memory, descriptor written back; or fetched from it
	Driver              // an sk_buff in the poll loop; or handed to the driver
	Bridge              // the bridge has decided
	Tap                 // on the tap's ring; or read from the guest
	Host                // at the host's own stack
	VM                  // in the guest's memory; or before it leaves
	NumPoints
)

var pointNames = [NumPoints]string{"wire", "nic", "driver", "bridge", "tap", "host", "vm"}

// String is the point's name as an interface of a capture.
func (p Point) String() string {
	if p >= NumPoints {
		return "point?"
	}
	return pointNames[p]
}

// A Verdict is what became of a frame at a point.
type Verdict uint8

// The verdicts.
const (
	Pass    Verdict = iota // goes on
	Deliver                // arrived: in a guest, in the host, or out on the wire
	Flood                  // goes on in several copies
	Drop                   // died; the reason says why
	Merge                  // joined another frame, and goes on as part of it
	NumVerdicts
)

var verdictNames = [NumVerdicts]string{"pass", "deliver", "flood", "drop", "merge"}

// String is the verdict's name in captures and journeys.
func (v Verdict) String() string {
	if v >= NumVerdicts {
		return "verdict?"
	}
	return verdictNames[v]
}

// A Frame is one sight of a frame. Data and Frags are only good during the
// call.
type Frame struct {
	ID      uint64 // the same at every point; see NewID
	At      sim.Time
	Point   Point
	Tx      bool // towards the wire
	Verdict Verdict
	Reason  cost.DropReason
	Stage   cost.Stage // where it was dropped
	Queue   int32      // of the NIC, -1 where there is none
	Port    int32      // bridge port it came from or goes to, -1 where there is none
	VM      int32      // guest, -1 where there is none
	Len     int        // bytes in the frame, Data and Frags together
	Data    []byte
	Frags   [][]byte
}

// A Step is one charged step. Of a shared step, an interrupt or a poll, ID is 0
// and N says for how many it was done.
type Step struct {
	ID    uint64
	At    sim.Time // when the step was over
	CPU   int32    // -1 for the device
	Step  cost.Step
	N     uint64
	Bytes uint64
	Extra uint64 // ticks of the account beside the price: a guest's own work
	Note  string // what this one did: an address, a port, an index; may be empty
}

// A Sink watches a run. Rooms hold a nil Sink when nobody watches, and ask
// before they build what they would show.
type Sink interface {
	// Frame sees a frame at a point.
	Frame(f *Frame)
	// Step sees a charged step. It is called only for frames that Watching
	// wants, and for shared steps.
	Step(s Step)
	// Watching says whether the steps of the frame id are wanted.
	Watching(id uint64) bool
}

// FirstOwnID is the first id of frames that begin inside the machine. Frames
// from the wire have smaller ones, given by whoever feeds the wire.
const FirstOwnID = 1 << 40

// OwnID is the first id of frames that begin in host i of several, which are as
// many as fit before those of the next. OwnID(0) is FirstOwnID.
func OwnID(i int) uint64 { return FirstOwnID + uint64(i)<<44 }
