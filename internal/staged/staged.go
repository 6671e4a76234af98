// Package staged writes what can be seen of a run into one capture: an interface
// for every point of the path, and each frame once at every point it passes, under
// the same packet id. Wireshark shows a frame's way with frame.packet_id, a place
// with frame.interface_name, and a fate with frame.comment.
//
//	wire ── nic ── driver ── bridge ─┬─ tap ── vm
//	                                 └─ host
//
// Frames stand in the order in which the engine shows them: of one frame, and of
// one place, that is the order of time; between places it may run back by the
// length of a batch, so a reader who wants one clock sorts by time.
//
// # Times
//
// Virtual time 0 is the time of the capture's first frame, or 1970. At every point
// but the wire a frame's time is when it was there: in host memory, in the poll
// loop, on the tap's ring, in the guest. On the wire it is when its first bit was
// there, so that a capture that was played with its own timing, over a link that
// keeps up, shows its own times again, to the nanosecond.
package staged

import (
	"io"
	"strconv"
	"time"

	"ringside/internal/pcapng"
	"ringside/sim"
	"ringside/trace"
)

// Options say what a capture cannot know by itself.
type Options struct {
	Application string    // program and version
	Comment     string    // of the file
	Base        time.Time // of virtual time 0; the zero Time means 1970
	LinkBPS     uint64    // of the wire
	Hosts       []string  // of a lab with several: their interfaces are NAME/wire and so on; see Of
}

// A Writer is a trace.Sink that writes what it sees. Its error waits for Finish.
type Writer struct {
	w      *pcapng.Writer
	o      Options
	p      pcapng.Packet
	joined []byte
	ports  []string // comments by port plus one, made when first needed
	vms    []string
	notes  [1]string
	seen   [][trace.NumPoints]counts // by host
	last   sim.Time
}

// counts is what passed a point.
type counts struct {
	in, out, dropped, delivered uint64
	unshown                     uint64 // dropped without a byte that could be shown
}

// points describe the interfaces.
var points = [trace.NumPoints]string{
	trace.Wire:   "the wire, first bit",
	trace.NIC:    "host memory, after DMA; towards the wire: fetched by the device",
	trace.Driver: "the driver: an sk_buff in the poll loop; towards the wire: handed to ndo_start_xmit",
	trace.Bridge: "the bridge has decided",
	trace.Tap:    "the tap's ring; towards the wire: written by the guest",
	trace.Host:   "the host's own stack",
	trace.VM:     "the guest's memory",
}

// New returns a Writer that writes to w. Nothing else may write there before
// Finish.
func New(w io.Writer, o Options) *Writer {
	s := &Writer{o: o}
	s.w = pcapng.NewWriter(w, pcapng.Section{
		Hardware: "emulated", OS: "emulated", Application: o.Application, Comment: o.Comment, Base: o.Base,
	})
	if len(o.Hosts) < 2 {
		s.o.Hosts = []string{""}
	}
	s.seen = make([][trace.NumPoints]counts, len(s.o.Hosts))
	for _, host := range s.o.Hosts {
		s.interfaces(host)
	}
	return s
}

// interfaces adds those of one host.
func (s *Writer) interfaces(host string) {
	if host != "" {
		host += "/"
	}
	for p := trace.Point(0); p < trace.NumPoints; p++ {
		i := pcapng.Interface{Name: host + p.String(), Description: points[p]}
		if p == trace.Wire {
			i.SpeedBPS = s.o.LinkBPS
		}
		s.w.AddInterface(i)
	}
}

// Of is the sink of the host with that number in Options.Hosts.
func (s *Writer) Of(host int) trace.Sink { return &view{s, host} }

// A view is one host's sink.
type view struct {
	*Writer
	host int
}

func (v *view) Frame(f *trace.Frame) { v.frame(v.host, f) }

// Frame writes one sight of a frame, of the first host.
func (s *Writer) Frame(f *trace.Frame) { s.frame(0, f) }

func (s *Writer) frame(host int, f *trace.Frame) {
	if f.Point >= trace.NumPoints {
		return
	}
	c := &s.seen[host][f.Point]
	if f.Tx {
		c.out++
	} else {
		c.in++
	}
	switch f.Verdict {
	case trace.Drop:
		c.dropped++
	case trace.Deliver:
		c.delivered++
	}
	s.last = max(s.last, f.At)
	data := s.join(f)
	if len(data) == 0 { // the format has no frame without bytes
		c.unshown++
		return
	}
	p := &s.p
	*p = pcapng.Packet{Interface: host*int(trace.NumPoints) + int(f.Point), TimePS: int64(s.at(f, len(data))), Data: data, ID: pcapng.Of(f.ID), Verdict: f.Verdict.String()}
	p.Direction = pcapng.Inbound
	if f.Tx {
		p.Direction = pcapng.Outbound
	}
	if f.Queue >= 0 {
		p.Queue = pcapng.Of(uint64(f.Queue))
	}
	if f.Verdict == trace.Drop {
		p.Reason = f.Reason.String()
	}
	if note := s.where(f); note != "" {
		s.notes[0] = note
		p.Comments = s.notes[:]
	}
	s.w.WritePacket(p)
}

// join is the frame's bytes in one piece.
func (s *Writer) join(f *trace.Frame) []byte {
	if len(f.Frags) == 0 {
		return f.Data
	}
	s.joined = append(s.joined[:0], f.Data...)
	for _, frag := range f.Frags {
		s.joined = append(s.joined, frag...)
	}
	return s.joined
}

// at is the frame's time in the file.
func (s *Writer) at(f *trace.Frame, n int) sim.Time {
	if f.Point != trace.Wire || s.o.LinkBPS == 0 {
		return f.At
	}
	return max(0, f.At-onWire(n, s.o.LinkBPS))
}

// onWire is how long the frame is on the wire, from the preamble's first bit to
// the last of the FCS [IEEE 802.3, 3.1.1].
func onWire(n int, bps uint64) sim.Time {
	const shortest, preamble, fcs = 60, 8, 4
	octets := uint64(max(n, shortest) + preamble + fcs)
	return sim.Time((octets*8*uint64(sim.Second) + bps - 1) / bps)
}

// where is the port and the guest in words.
func (s *Writer) where(f *trace.Frame) string {
	switch {
	case f.VM >= 0:
		return cached(&s.vms, int(f.VM), "vm=vm")
	case f.Port >= 0:
		return cached(&s.ports, int(f.Port), "port=")
	}
	return ""
}

func cached(list *[]string, i int, what string) string {
	for i >= len(*list) {
		*list = append(*list, what+strconv.Itoa(len(*list)))
	}
	return (*list)[i]
}

// Step is not written.
func (s *Writer) Step(trace.Step) {}

// Watching wants no steps.
func (s *Writer) Watching(uint64) bool { return false }

// Packets is how many packets are in the file.
func (s *Writer) Packets() (n uint64) {
	for _, host := range s.seen {
		for _, c := range host {
			n += c.in + c.out - c.unshown
		}
	}
	return n
}

// Interfaces is how many interfaces the file has.
func (s *Writer) Interfaces() int { return len(s.seen) * int(trace.NumPoints) }

// Finish ends the file with what every interface counted up to the time end, and
// returns the first error there has been.
func (s *Writer) Finish(end sim.Time) error {
	for host := range s.seen {
		for p, c := range s.seen[host] {
			s.stats(host*int(trace.NumPoints)+p, c, max(end, s.last))
		}
	}
	return s.w.Flush()
}

// stats ends one interface.
func (s *Writer) stats(i int, c counts, end sim.Time) {
	st := pcapng.Stats{
		Interface: i, EndPS: int64(end),
		Received: pcapng.Of(c.in), Dropped: pcapng.Of(c.dropped), DeliveredToUser: pcapng.Of(c.delivered),
	}
	if c.out > 0 {
		st.Comment = strconv.FormatUint(c.out, 10) + " towards the wire"
	}
	if c.unshown > 0 {
		st.Comment += ", " + strconv.FormatUint(c.unshown, 10) + " dropped without bytes to show"
	}
	s.w.WriteStats(&st)
}

var _ trace.Sink = (*Writer)(nil)
