package bridge

import (
	"fmt"

	"ringside/cost"
)

// An Action is what becomes of a frame.
type Action uint8

// The actions. The zero value is Drop, so that a forgotten verdict loses a frame
// visibly instead of sending it somewhere.
const (
	Drop     Action = iota // dies; Verdict.Reason says why
	Forward                // to one port
	Flood                  // to the ports of a list, be it empty
	Up                     // to the bridge's own interface only
	PassPort               // to the port's own stack: reserved, not for the bridge
)

// String is the action's name in journeys.
func (a Action) String() string { return name(actionNames[:], a) }

var actionNames = [...]string{"drop", "forward", "flood", "up", "pass port"}

// A Verdict is what the bridge decides about one frame, and the work it took. It
// has four fields, since the compiler keeps no larger struct in registers.
type Verdict struct {
	// Out is every copy of the frame, in the order in which they are made. A copy
	// for Local, which goes up into the bridge's own interface, is the last. It is
	// the bridge's own memory, must not be written, and is good until the next
	// Handle. It is empty with Drop and PassPort.
	Out []Copy
	// Action is what becomes of the frame.
	Action Action
	// Reason is why it is dropped. Beside PassPort it is the reason to give when
	// the port's own stack does not want the frame.
	Reason cost.DropReason
	// Work is what was done on the way to the verdict.
	Work Work
}

// A Copy is a frame as it leaves the bridge. With all but Port zero its bytes
// leave as they came.
type Copy struct {
	// Port is where it leaves: Local is up into the bridge's own interface.
	Port Port
	// Tag is a VLAN tag that is put in front, after Strip: the TPID in the upper
	// half and the TCI in the lower. 0 is none.
	Tag uint32
	// To takes the place of the destination, unless it is zero.
	To MAC
	// Strip has the frame's outermost VLAN tag taken off first.
	Strip bool
}

// String is the copy in a few words: "port 2", "up", "port 3 strip tag 0x8100:0007".
func (c Copy) String() string {
	s := fmt.Sprint("port ", c.Port)
	if c.Port == Local {
		s = "up"
	}
	if c.Strip {
		s += " strip"
	}
	if c.Tag != 0 {
		s += fmt.Sprintf(" tag %#x:%04x", c.Tag>>16, c.Tag&0xffff)
	}
	if c.To != (MAC{}) {
		s += fmt.Sprint(" to ", c.To)
	}
	return s
}

// Copies is the number of frames that one becomes: 0 when it is dropped.
func (v *Verdict) Copies() int {
	if v.Action == PassPort {
		return 1
	}
	return len(v.Out)
}

// Clones is how many of the copies need an sk_buff of their own: all but one,
// which is the frame itself. It goes up when the frame goes up, and else to the
// last port.
func (v *Verdict) Clones() int { return max(v.Copies()-1, 0) }

// Work is what was done on the way to a verdict: in the lowest three bits what
// became of the source, and above them a bit for each step. The caller charges it;
// see the package comment.
type Work uint32

// The steps.
const (
	Finished    Work = 1 << (iota + learnedBits) // br_handle_frame_finish: past br_handle_frame
	Looked                                       // br_fdb_find_rcu, for the destination
	Looked2                                      // br_fdb_find_rcu, for the source by a locked port
	VLANIngress                                  // br_allowed_ingress, with filtering on
	VLANEgress                                   // br_handle_vlan for each copy, with filtering on
	Snooped                                      // br_multicast_rcv met a membership message
	MDBLooked                                    // br_mdb_entry_skb_get
	Suppressed                                   // br_do_suppress_arp or _nd looked into it
	Flooded                                      // br_flood: all ports gone through, even if none is left
	Redirected                                   // to the backup port
	PassedUp                                     // br_pass_frame_up: Local is the last of Out
	Emitted                                      // the bridge has frames of its own to send: see Sent

	learnedBits = 3
)

// Usual is the work of a frame from a known station on its port to a known
// station on another: what most frames take.
const Usual = Work(Refreshed) | Finished | Looked

// Learned is what became of the source.
func (w Work) Learned() Learned { return Learned(w & (1<<learnedBits - 1)) }

// Has says that all of steps were done.
func (w Work) Has(steps Work) bool { return w&steps == steps }

// A Learned is what the source address of a frame did to the table.
type Learned uint8

// What can happen to a source.
const (
	LearnedNothing Learned = iota // the table was not asked
	Refreshed                     // known on this port, or sticky elsewhere
	Created                       // new
	Moved                         // known on another port
	Refused                       // new, and the table is full
	OwnAddress                    // it is a local address: nothing is written
)

// String is the name in journeys.
func (l Learned) String() string { return name(learnedNames[:], l) }

var learnedNames = [...]string{"nothing", "refreshed", "created", "moved", "refused", "own address"}

func name[T ~uint8](names []string, i T) string {
	if int(i) >= len(names) {
		return "?"
	}
	return names[i]
}
