package xdp

// An Action is a program's verdict: Linux's enum xdp_action, by value.
type Action uint8

// The verdicts. The zero value is Aborted, so that a program that forgets to answer
// shows.
const (
	Aborted  Action = iota // the program failed: dropped, and counted as a fault
	Drop                   // dropped
	Pass                   // goes up to the kernel's stack
	Tx                     // out by the NIC it came from
	Redirect               // where the Context was told
	NumActions
)

var actionNames = [NumActions]string{"aborted", "drop", "pass", "tx", "redirect"}

// String is the verdict's name, in small letters.
func (a Action) String() string {
	if a >= NumActions {
		return "action?"
	}
	return actionNames[a]
}

// A Program decides about frames. The Context is good until it returns.
//
// A program that panics, or answers with what is none of the verdicts, has aborted: the
// frame is dropped, and the run goes on. It must be a function of the frame and of what
// the Context offers, or runs of one seed will differ.
type Program func(*Context) Action

// Room about a frame. What a program may put in front of a frame is Headroom less what
// the kernel keeps there for itself when the frame is redirected.
const (
	Headroom  = 256 // XDP_PACKET_HEADROOM
	frameSize = 40  // struct xdp_frame
	minFrame  = 14  // ETH_HLEN: a frame may not become shorter
)

// A Host is what the kernel lends to programs.
type Host interface {
	// Forward is where the bridge of an interface would forward a frame to, if that
	// is one interface that takes raw buffers and the bridge would have nothing else
	// to do with it.
	Forward(ifindex int, frame []byte) (to int, ok bool)
	// Map is the interface that an entry of the program's map of devices names.
	Map(key int) (ifindex int, ok bool)
	// Socket says that an AF_XDP socket is bound to the queue of the interface.
	Socket(ifindex, queue int) bool
}

// A Context is one frame as a program sees it: struct xdp_md. It is made by the kernel;
// see Reset.
type Context struct {
	Queue   int    // rx_queue_index
	Ifindex int    // ingress_ifindex: the interface it came in by
	VLAN    uint16 // tag that the device has taken off, if Tagged
	Tagged  bool   // bpf_xdp_metadata_rx_vlan_tag has one

	room     []byte // from data_hard_start to data_hard_end
	from, to int    // data and data_end, in room
	least    int    // data may not go below this
	host     Host

	touched bool
	asked   uint8 // what of the host was used
	target  Target
}

// A Target is where a frame is redirected to.
type Target struct {
	Socket  bool // to the AF_XDP socket of the frame's queue
	Ifindex int  // to that interface
}

// What a program asked of its Host, for the kernel's bill.
const (
	AskedForward = 1 << iota
	AskedMap
	AskedSocket
)

// Reset makes x the frame at room[from:to], which came in by a queue of an interface.
// The kernel calls it.
func (x *Context) Reset(h Host, room []byte, from, to int) {
	x.host, x.room, x.from, x.to = h, room, from, to
	x.least = max(from-Headroom, 0) + frameSize
	x.touched, x.asked, x.target = false, 0, Target{}
	x.VLAN, x.Tagged = 0, false
}

// Data is the frame's bytes, which may be written. Asking for them is what reads the
// frame from memory, and is charged.
func (x *Context) Data() []byte {
	x.touched = true
	return x.room[x.from:x.to:x.to]
}

// Len is the frame's length, which the descriptor tells.
func (x *Context) Len() int { return x.to - x.from }

// AdjustHead moves the frame's first byte by delta: below zero there are more bytes in
// front, whatever they hold. It does nothing and says false where there is no room, or
// the frame would be shorter than an Ethernet header (bpf_xdp_adjust_head).
func (x *Context) AdjustHead(delta int) bool {
	at := x.from + delta
	if delta < -len(x.room) || delta > len(x.room) || at < x.least || at > x.to-minFrame {
		return false
	}
	x.from = at
	return true
}

// AdjustTail moves the frame's end by delta; new bytes are zero. It does nothing and
// says false where there is no room, or the frame would be shorter than an Ethernet
// header (bpf_xdp_adjust_tail).
func (x *Context) AdjustTail(delta int) bool {
	at := x.to + delta
	if delta < -len(x.room) || delta > len(x.room) || at > len(x.room) || at < x.from+minFrame {
		return false
	}
	if delta > 0 {
		clear(x.room[x.to:at])
	}
	x.to = at
	return true
}

// Forward asks the bridge that the interface is a port of where it would forward the
// frame to. It is false where the bridge would do anything but forward it to one
// interface that takes raw buffers: learn, flood, change a tag, answer, mirror.
func (x *Context) Forward() (ifindex int, ok bool) {
	x.asked |= AskedForward
	if x.Tagged {
		return 0, false
	}
	return x.host.Forward(x.Ifindex, x.Data())
}

// Redirect sends the frame to an interface (bpf_redirect). One that takes no raw
// buffers has it dropped.
func (x *Context) Redirect(ifindex int) Action {
	x.target = Target{Ifindex: ifindex}
	return Redirect
}

// RedirectMap sends the frame to the interface in an entry of the program's map of
// devices, and answers with otherwise where the entry is empty (bpf_redirect_map).
func (x *Context) RedirectMap(key int, otherwise Action) Action {
	x.asked |= AskedMap
	to, ok := x.host.Map(key)
	if !ok {
		return otherwise
	}
	return x.Redirect(to)
}

// RedirectSocket sends the frame to the AF_XDP socket that is bound to its queue, and
// answers with otherwise if there is none (bpf_redirect_map of an XSKMAP).
func (x *Context) RedirectSocket(otherwise Action) Action {
	x.asked |= AskedSocket
	if !x.host.Socket(x.Ifindex, x.Queue) {
		return otherwise
	}
	x.target = Target{Socket: true}
	return Redirect
}

// Bounds is where the frame is now in the room it was reset to.
func (x *Context) Bounds() (from, to int) { return x.from, x.to }

// Touched says that the program has read the frame.
func (x *Context) Touched() bool { return x.touched }

// Asked is what the program asked of its Host.
func (x *Context) Asked() uint8 { return x.asked }

// Target is where Redirect leads.
func (x *Context) Target() Target { return x.target }

// Run runs a program on x. One that panics has aborted, and so has one whose answer is
// none.
func (x *Context) Run(p Program) (a Action) {
	a = Aborted
	defer x.caught()
	if a := p(x); a < NumActions {
		return a
	}
	return Aborted
}

// caught ends a panic of the program.
func (x *Context) caught() { _ = recover() }
