package pcapng

import "time"

// MaxCaptured is the most bytes of one packet that a file holds: Wireshark and
// libpcap refuse an Ethernet packet that is longer.
const MaxCaptured = 256 << 10

// A Section says what the whole file has in common. The zero value is complete.
type Section struct {
	Hardware    string // shb_hardware: what the capture was made on
	OS          string // shb_os
	Application string // shb_userappl: the program and its version
	Comment     string // may have several lines

	// Base is the Unix time of virtual time 0, from 1970 to 2262; the zero Time
	// means 1970 itself. It counts to the nanosecond.
	Base time.Time

	// SnapLen is how many bytes of a packet are kept; a longer one is cut, and
	// its full length recorded. 0 means MaxCaptured. All interfaces share it,
	// because libpcap refuses a file whose interfaces differ.
	SnapLen int
}

// An Interface is a place where packets are seen. Empty fields are left out of
// the file.
type Interface struct {
	Name        string // if_name, as in "eth0"
	Description string // if_description
	SpeedBPS    uint64 // if_speed, in bits per second
	Comment     string
}

// A Number is a count or an id that may be unknown. The zero Number is unknown,
// and its option is left out of the file; Of(0) is a known nought.
type Number struct {
	n     uint64
	known bool
}

// Of returns the known number n.
func Of(n uint64) Number { return Number{n, true} }

// A Direction is which way a packet crosses its interface, as seen from the
// machine that owns the interface: inbound is received, outbound is sent.
type Direction uint8

// The values are those of the low two bits of epb_flags [pcapng 4.3.1].
const (
	DirectionUnknown Direction = iota // the option is left out
	Inbound
	Outbound
)

// A Packet is one sight of one frame. Its bytes and strings are read during
// WritePacket only, so a caller may use the same Packet again and again.
type Packet struct {
	Interface int    // what AddInterface returned
	TimePS    int64  // virtual time, from 0 on
	Data      []byte // the frame from its Ethernet header on
	OrigLen   int    // its length before anything was cut off Data; 0 means len(Data)

	Direction Direction
	ID        Number // epb_packetid: the same for every sight of one frame
	Queue     Number // epb_queue: 32 bits
	DropCount Number // epb_dropcount: packets lost on this interface since the one before

	// Verdict and Reason are words without spaces, such as "drop" and
	// "FULL_RING"; a Reason needs a Verdict. They make the first comment.
	Verdict string
	Reason  string

	EPBVerdicts []EPBVerdict
	Comments    []string // further comments; empty ones are left out
}

// A VerdictType is who spoke an EPBVerdict.
type VerdictType uint8

// The three types there are [pcapng 4.3, epb_verdict].
const (
	VerdictHardware VerdictType = iota // Bytes, in words of the hardware's maker
	VerdictTC                          // Code is a TC_ACT_ value of Linux
	VerdictXDP                         // Code is an xdp_action of Linux
)

// An EPBVerdict is one epb_verdict option: what a piece of hardware or an eBPF
// program decided about the packet, in its own code.
type EPBVerdict struct {
	Type  VerdictType
	Code  uint64 // VerdictTC and VerdictXDP
	Bytes []byte // VerdictHardware; at least one
}

// Stats is what an interface counted from StartPS to EndPS of virtual time,
// EndPS being the moment the counts were taken. Unknown counts are left out.
type Stats struct {
	Interface int
	StartPS   int64
	EndPS     int64

	Received        Number // isb_ifrecv: packets that came in on the interface
	Dropped         Number // isb_ifdrop: lost by the interface for lack of resources
	Accepted        Number // isb_filteraccept: passed the filter
	DroppedByOS     Number // isb_osdrop: lost by the operating system
	DeliveredToUser Number // isb_usrdeliv: reached the user

	Comment string
}
