package ringside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"ringside/bridge"
	"ringside/internal/capture"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/vm"
)

// A Replay is captures and how they are put on the wire. Only Files is required.
//
// What cannot go on a wire as it stands is either changed or left out, and
// counted either way in the report's input: see the constants below.
type Replay struct {
	Files []string // played one after another
	Speed Speed    // the zero Speed keeps the capture's own timing
	Loop  int      // times the files are played; 0 means once
	Limit uint64   // frames put on the wire in all; 0 means no limit

	// NIC is the adapter on whose wire the files are played; "" means the first.
	NIC string
	// Settle is when the files begin. Until then the machine has time for what it
	// does by itself, a spanning tree for instance, which by default takes 30 s.
	Settle sim.Time

	VMs     int        // guests; 0 means as many as the Config has, or 4
	Program vm.Program // of every guest whose VM in the Config has none; nil means vm.Sink
	Guest   string     // what reports call Program; "" means "sink", or "custom" for a Program
	Map     []Mapping  // addresses of guests; nil means the most talkative destinations get one each

	Batch int          // frames that a guest may fetch in one system call; 0 and 1 mean one
	Addrs []netip.Addr // Addrs[i] is what guest i may answer for

	PadTruncated bool // frames that the capture cut short are filled up with zeros instead of left out

	// Until, if not 0, ends the run at that time, with whatever is in flight then.
	Until sim.Time
	// Grace, if not 0, is how long guests may go on after the last frame from the
	// wire; a run that takes longer fails with ErrEndless. Two guests that send
	// every frame back never come to rest.
	Grace sim.Time

	// Context, if not nil, stops the run when it is done.
	Context context.Context
	// Open, if not nil, opens a file in place of os.Open. It is called once for
	// every reading.
	Open func(name string) (io.ReadCloser, error)
	// Progress, if not nil, is called now and then with the number of frames that
	// are on the wire so far.
	Progress func(frames uint64)
	// Start, if not nil, is called with the machine before it runs, to keep its
	// trace for instance.
	Start func(*Host)
}

// ErrEndless says that guests kept frames going after Replay.Grace.
var ErrEndless = errors.New("frames still go round")

// ErrNoFrames says that captures have nothing that can go on a wire.
var ErrNoFrames = errors.New("no frames")

// ErrAllCut says of ErrNoFrames what can be done when the capture cut frames short:
// Replay.PadTruncated fills them up.
var ErrAllCut = errors.New("capture with a larger snap length, or fill up what was cut")

// An InputError is a capture that cannot be read or has nothing to replay.
type InputError struct{ Err error }

// Error says what is wrong with the capture.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap is the reader's error, or ErrNoFrames.
func (e *InputError) Unwrap() error { return e.Err }

// A Mapping gives a destination address to a guest.
type Mapping struct {
	MAC bridge.MAC
	VM  int
}

// Reasons in Input.Skipped: frames of the file that do not go on the wire.
const (
	SkipTruncated = "TRUNCATED"      // the capture kept only a part of the frame
	SkipTooShort  = "TOO_SHORT"      // shorter than an Ethernet header
	SkipLinkType  = "LINK_TYPE"      // of an interface that is not Ethernet
	SkipFileCut   = "FILE_CUT_SHORT" // the file ends inside a record
)

// Reasons in Input.Adjusted: frames that go on the wire with a change.
const (
	AdjustPadded  = "PADDED"        // filled up to 60 bytes, as every sender on Ethernet does
	AdjustFilled  = "FILLED"        // cut by the capture, filled up with zeros (PadTruncated)
	AdjustTime    = "TIME_REVERSED" // stamped before the frame in front of it, or six days after the first: sent right behind that one
	AdjustUntimed = "UNTIMED"       // the file has no time for it
)

// minFrame is the shortest frame on Ethernet, without its FCS.
const minFrame = 60

// Run plays the captures into a machine made by cfg and returns the report. The
// wire of the replay's NIC is the captures; what the replay says of guests is
// added to cfg's VMs, of which there may be fewer or none. The files are read twice, first to
// see who is talked to; their size does not matter to memory. The Host that ran
// is handed to look, if that is not nil, before it is closed.
func (r Replay) Run(cfg Config, look func(*Host) error) (*Report, error) {
	if r.VMs == 0 {
		r.VMs = len(cfg.VMs)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	hosts, err := cfg.hosts()
	if err != nil {
		return nil, fmt.Errorf("ringside: %w", err)
	}
	found, err := r.survey()
	if err != nil {
		return nil, err
	}
	for _, m := range hosts {
		delete(found.to, key(m[:])) // frames to the host are the host's
	}
	w := &replayWire{r: &r, found: found}
	if err := r.plug(&cfg, w); err != nil {
		return nil, err
	}
	cfg.VMs = r.guests(w, cfg.VMs)
	h, err := New(cfg)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	defer w.close()
	r.watch(h, w)
	if r.Start != nil {
		r.Start(h)
	}
	if r.Until > 0 {
		err = h.RunUntil(r.Until)
	} else {
		err = h.Run()
	}
	if w.err != nil {
		err = w.err
	}
	if err != nil {
		return nil, err
	}
	rep := h.Report()
	rep.Input = w.input()
	for i, n := range h.NICs {
		in := n.Counts().In + n.UnderWay()
		if l := h.links[i]; l != nil {
			in = l.Rx().In // what it took of them is in the report
		}
		if h.cfg.NICs[i].Name == r.NIC && in != w.frames {
			return nil, fmt.Errorf("replay: %d frames were put on the wire and the NIC took %d", w.frames, in)
		}
	}
	if look != nil {
		if err := look(h); err != nil {
			return nil, err
		}
	}
	return rep, nil
}

// plug makes w the wire of the NIC that the replay is for.
func (r *Replay) plug(cfg *Config, w nic.Wire) error {
	cfg.NICs = slices.Clone(cfg.NICs)
	if len(cfg.NICs) == 0 {
		cfg.NICs = make([]NIC, 1)
	}
	for i := range cfg.NICs {
		n := &cfg.NICs[i]
		inherit(&n.Name, "", fmt.Sprintf("eth%d", i))
		if r.NIC == "" || n.Name == r.NIC {
			n.Wire, r.NIC = w, n.Name
			return nil
		}
	}
	return fmt.Errorf("replay: there is no NIC %q to play on", r.NIC)
}

// watch lets the run be stopped from outside, and stops one that has no end.
// It looks on: a run that is not stopped is the same with it and without.
func (r *Replay) watch(h *Host, w *replayWire) {
	if r.Context == nil && (r.Grace == 0 || r.Until > 0) {
		return
	}
	h.Engine.OnFire(func(at sim.Time, seq uint64, id uint32) {
		h.Hash.Add(trace.Record{At: at, Kind: trace.Event, Who: id, A: seq})
		if seq&0xfff != 0 {
			return
		}
		switch {
		case r.stopped() != nil:
			h.Engine.Fail(r.stopped())
		case r.Grace > 0 && r.Until == 0 && w.over && at-max(w.pace.latest+r.Settle, h.latest()) > r.Grace:
			h.Engine.Fail(fmt.Errorf("replay: %w %v after the last one from the wire: guests that answer each other never come to rest; end the run at a time, or map fewer of them",
				ErrEndless, r.Grace))
		}
	})
}

// stopped is why the run is to stop, nil if it is not.
func (r *Replay) stopped() error {
	if r.Context == nil || r.Context.Err() == nil {
		return nil
	}
	return context.Cause(r.Context)
}

func (r *Replay) check() error {
	if len(r.Files) == 0 {
		return errors.New("replay: no capture file was given")
	}
	if r.VMs == 0 {
		r.VMs = 4
	}
	if r.Loop == 0 {
		r.Loop = 1
	}
	if r.Settle < 0 || r.Settle > longest {
		return fmt.Errorf("replay: settles for %v; up to %v are possible", r.Settle, longest)
	}
	if r.VMs < 0 || r.VMs > bridge.MaxPorts-1 {
		return fmt.Errorf("replay: %d VMs; 1 to %d are possible", r.VMs, bridge.MaxPorts-1)
	}
	if r.Loop < 0 {
		return fmt.Errorf("replay: played %d times; at least once is possible", r.Loop)
	}
	seen := map[bridge.MAC]int{}
	for _, m := range r.Map {
		if m.VM < 0 || m.VM >= r.VMs {
			return fmt.Errorf("replay: %v is mapped to vm%d, and there are vm0 to vm%d", m.MAC, m.VM, r.VMs-1)
		}
		if m.MAC.Group() || m.MAC == (bridge.MAC{}) {
			return fmt.Errorf("replay: %v cannot be the address of a VM: it is not a station's", m.MAC)
		}
		if other, ok := seen[m.MAC]; ok && other != m.VM {
			return fmt.Errorf("replay: %v is mapped to vm%d and to vm%d", m.MAC, other, m.VM)
		}
		seen[m.MAC] = m.VM
	}
	if r.Guest == "" && r.Program != nil {
		r.Guest = "custom"
	}
	if r.Program == nil {
		r.Program, r.Guest = vm.Sink, "sink"
	}
	return r.Speed.check()
}

// guests makes the VMs and tells the wire which address went to which.
func (r *Replay) guests(w *replayWire, given []VM) []VM {
	vms := make([]VM, r.VMs)
	copy(vms, given)
	for i := range vms {
		v := &vms[i]
		v.Known = slices.Clone(v.Known)
		if v.Program == nil {
			v.Program = r.Program
		}
		inherit(&v.Batch, r.Batch, 0)
		if i < len(r.Addrs) {
			v.Addr = r.Addrs[i]
		}
	}
	mapping := r.Map
	if mapping == nil {
		mapping = w.found.talkative(r.VMs)
	}
	w.mapped = map[uint64]*Mapped{}
	for _, m := range mapping {
		v := &vms[m.VM]
		if len(v.Known) == 0 && v.MAC == (vm.MAC{}) {
			v.MAC = m.MAC
		}
		v.Known = append(v.Known, m.MAC)
		entry := &Mapped{MAC: m.MAC.String(), VM: fmt.Sprintf("vm%d", m.VM)}
		w.mapped[key(m.MAC[:])] = entry
		w.order = append(w.order, entry)
	}
	return vms
}

// key is a destination address as a number.
func key(b []byte) uint64 {
	return uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(b[2])<<24 | uint64(b[3])<<16 | uint64(b[4])<<8 | uint64(b[5])
}

// A survey is what the first pass over the files saw.
type survey struct {
	to     map[uint64]uint64 // frames by unicast destination
	frames uint64            // that can go on the wire, in one pass
	ids    uint64            // the highest frame id of one pass
}

// maxDestinations bounds the survey's memory. A file with more has no talkative
// ones among those that come later.
const maxDestinations = 1 << 20

// survey reads the files once.
func (r *Replay) survey() (*survey, error) {
	s := &survey{to: map[uint64]uint64{}}
	w := &replayWire{r: r, found: s, surveying: true}
	defer w.close()
	var f nic.WireFrame
	for w.Receive(&f) {
		s.frames++
		s.ids = f.ID
		dst := key(f.Data)
		if f.Data[0]&1 != 0 || dst == 0 { // no station's
			continue
		}
		if n, ok := s.to[dst]; ok || len(s.to) < maxDestinations {
			s.to[dst] = n + 1
		}
	}
	if w.err == nil && s.frames == 0 {
		w.err = r.nothing(w)
	}
	return s, w.err
}

// nothing is the error for captures of which no frame can go on the wire.
func (r *Replay) nothing(w *replayWire) error {
	var why []string
	for _, reason := range slices.Sorted(maps.Keys(w.skipped)) {
		why = append(why, fmt.Sprintf("%d %s", w.skipped[reason], reason))
	}
	what := "the capture is empty; capture again, with traffic"
	if len(why) > 0 {
		what = "all are left out: " + strings.Join(why, ", ")
	}
	err := fmt.Errorf("%s: %w to replay: %s", strings.Join(r.Files, " "), ErrNoFrames, what)
	if w.skipped[SkipTruncated] > 0 && !r.PadTruncated {
		err = fmt.Errorf("%w; %w", err, ErrAllCut)
	}
	return &InputError{err}
}

// talkative are the n destinations with the most frames, the lower address first
// among equals, a VM for each.
func (s *survey) talkative(n int) []Mapping {
	all := make([]uint64, 0, len(s.to))
	for k := range s.to {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b uint64) int {
		if s.to[a] != s.to[b] {
			if s.to[a] > s.to[b] {
				return -1
			}
			return 1
		}
		if a < b {
			return -1
		}
		return 1
	})
	var m []Mapping
	for i, k := range all[:min(n, len(all))] {
		m = append(m, Mapping{bridge.MAC{byte(k >> 40), byte(k >> 32), byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}, i})
	}
	return m
}

// replayWire is the captures as a wire: it reads a record when the NIC asks for
// a frame.
type replayWire struct {
	r         *Replay
	found     *survey
	surveying bool

	rd     *capture.Reader
	src    io.ReadCloser // beneath rd, if Replay.Open opened it
	file   int           // of r.Files, the one being read
	loop   int
	base   uint64 // added to record numbers for frame ids: files and loops before
	seen   uint64 // the last record number of this file
	pace   pacer
	padded [minFrame]byte
	filled []byte
	err    error
	over   bool // nothing more comes

	frames, bytes     uint64
	skipped, adjusted map[string]uint64
	mapped            map[uint64]*Mapped
	order             []*Mapped
	last              *Mapped // of the frame before: most frames are alike
	lastKey           uint64
	unmapped, groups  uint64
}

// Receive reads the next frame that can go on the wire.
func (w *replayWire) Receive(f *nic.WireFrame) bool {
	for w.err == nil && (w.r.Limit == 0 || w.frames < w.r.Limit) {
		if w.rd == nil && !w.open() {
			break
		}
		rec, err := w.rd.Next()
		if err != nil {
			w.end(err)
			continue
		}
		w.seen = uint64(rec.Number)
		if w.seen&0xfff == 0 && w.r.stopped() != nil {
			w.err = w.r.stopped()
			return false
		}
		data := w.shape(rec)
		if data == nil {
			continue
		}
		f.ID = w.base + w.seen
		f.Data = data
		w.frames++
		w.bytes += uint64(len(data))
		if w.surveying {
			return true
		}
		if f.At = w.at(rec, len(data)); w.err != nil {
			break
		}
		w.count(data)
		if w.r.Progress != nil && w.frames&0xffff == 0 {
			w.r.Progress(w.frames)
		}
		return true
	}
	w.over = true
	return false
}

// Transmit is the far side of the wire: frames that leave are gone.
func (w *replayWire) Transmit(*nic.WireFrame) {}

// open opens the next file, if there is one.
func (w *replayWire) open() bool {
	if w.file == len(w.r.Files) {
		if w.loop++; w.surveying || w.loop >= w.r.Loop {
			return false
		}
		w.file = 0
	}
	w.err = w.openFile(w.r.Files[w.file])
	w.file++
	w.pace.begin()
	return w.err == nil
}

func (w *replayWire) openFile(name string) (err error) {
	if w.r.Open == nil {
		w.rd, err = capture.Open(name)
	} else if w.src, err = w.r.Open(name); err == nil {
		w.rd, err = capture.NewReader(w.src, name)
	}
	if err != nil {
		w.close()
		return &InputError{err}
	}
	return nil
}

// end is the end of a file, or of the reading.
func (w *replayWire) end(err error) {
	w.close()
	w.base += w.seen
	w.seen = 0
	switch {
	case errors.Is(err, io.EOF):
	case errors.Is(err, capture.ErrTruncatedFile):
		w.skip(SkipFileCut)
	default:
		w.err = &InputError{err}
	}
}

// shape is the policy: what of a record goes on the wire, nil for nothing.
func (w *replayWire) shape(rec *capture.Record) []byte {
	switch {
	case rec.Skip != "":
		w.skip(SkipLinkType)
		return nil
	case rec.OrigLen < ethHeader:
		w.skip(SkipTooShort)
		return nil
	case len(rec.Data) < rec.OrigLen && !w.r.PadTruncated, len(rec.Data) < ethHeader:
		w.skip(SkipTruncated)
		return nil
	case len(rec.Data) < rec.OrigLen:
		w.adjust(AdjustFilled)
		n := min(rec.OrigLen, capture.MaxFrame)
		if cap(w.filled) < n {
			w.filled = make([]byte, n)
		}
		w.filled = w.filled[:n]
		clear(w.filled[copy(w.filled, rec.Data):])
		return w.filled
	case len(rec.Data) < minFrame:
		w.adjust(AdjustPadded)
		clear(w.padded[copy(w.padded[:], rec.Data):])
		return w.padded[:]
	}
	return rec.Data
}

const ethHeader = 14

func (w *replayWire) skip(reason string) {
	if w.skipped == nil {
		w.skipped = map[string]uint64{}
	}
	w.skipped[reason]++
}

func (w *replayWire) adjust(reason string) {
	if w.adjusted == nil {
		w.adjusted = map[string]uint64{}
	}
	w.adjusted[reason]++
}

// at is when the frame's first bit may be on the wire.
func (w *replayWire) at(rec *capture.Record, n int) sim.Time {
	at, reversed := w.pace.next(w.r.Speed, rec.Time, n)
	if rec.Untimed {
		w.adjust(AdjustUntimed)
	} else if reversed {
		w.adjust(AdjustTime)
	}
	if at > longest {
		w.err = &InputError{fmt.Errorf("replay: at the speed %v frame %d goes out after more than six days of virtual time, which is too long: play faster, fewer loops, or fewer frames",
			w.r.Speed, w.frames)}
	}
	return w.r.Settle + at
}

// longest is how long a replay may last, half of what a guest may work. A stamp that
// lies further from the first one of its file is no time that a capture could
// have: it counts as reversed.
const longest = sim.Never / 16

// count says where a frame goes.
func (w *replayWire) count(data []byte) {
	if data[0]&1 != 0 {
		w.groups++
		return
	}
	if k := key(data); w.last == nil || k != w.lastKey {
		w.last, w.lastKey = w.mapped[k], k
	}
	if w.last == nil {
		w.unmapped++
		return
	}
	w.last.Frames++
}

func (w *replayWire) input() *Input {
	in := &Input{
		File: strings.Join(w.r.Files, " "), Files: w.r.Files, Frames: w.frames, Bytes: w.bytes,
		Speed: w.r.Speed.String(), Loops: w.r.Loop, Guest: w.r.Guest,
		Skipped: w.skipped, Adjusted: w.adjusted, Unmapped: w.unmapped, Groups: w.groups, Mapping: []Mapped{},
	}
	if in.Skipped == nil {
		in.Skipped = map[string]uint64{}
	}
	for _, m := range w.order {
		in.Mapping = append(in.Mapping, *m)
	}
	return in
}

func (w *replayWire) close() {
	if w.rd != nil {
		w.rd.Close()
		w.rd = nil
	}
	if w.src != nil {
		w.src.Close()
		w.src = nil
	}
}

// A pacer turns a capture's times into the wire's, without drift: every time is
// reckoned from the beginning, never from the frame before.
type pacer struct {
	start  sim.Time // of the present file on the wire
	first  int64    // its first stamp, ns
	timed  bool     // first is set
	latest sim.Time // of the frames so far
	frames uint64   // at a constant rate: sent so far
	bits   uint64
}

// between is the pause before a file that follows another.
const between = sim.Microsecond

// begin starts a file.
func (p *pacer) begin() {
	p.timed = false
	p.start = p.latest
	if p.latest > 0 {
		p.start += between
	}
}

// next is when a frame of n bytes stamped ns goes out; reversed says that its
// stamp lies before that of the frame in front of it.
func (p *pacer) next(s Speed, ns int64, n int) (at sim.Time, reversed bool) {
	switch s.mode {
	case speedTop:
		return 0, false
	case speedPPS:
		at = muldiv(p.frames, uint64(sim.Second), s.n)
		p.frames++
	case speedMbps:
		at = muldiv(p.bits, uint64(sim.Second), s.n)
		p.bits += uint64(n) * 8
	default:
		if !p.timed {
			p.first, p.timed = ns, true
		}
		since := ns - p.first
		if since < 0 || since > longest.Nanoseconds() {
			since, reversed = 0, true
		}
		at = sim.Time(since) * sim.Nanosecond
		if s.mode == speedTimes {
			at = muldiv(uint64(at), 1000, s.n)
		}
		at += p.start
	}
	if at < p.latest {
		return p.latest, reversed || s.mode == speedOriginal || s.mode == speedTimes
	}
	p.latest = at
	return at, reversed
}

// muldiv is a*b/c with a product of 128 bits; too large a result is sim.Never/2,
// beyond any run.
func muldiv(a, b, c uint64) sim.Time {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return sim.Never / 2
	}
	q, _ := bits.Div64(hi, lo, c)
	return sim.Time(min(q, uint64(sim.Never/2)))
}
