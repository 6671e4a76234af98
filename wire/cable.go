package wire

import (
	"errors"
	"fmt"

	"ringside/nic"
	"ringside/sim"
)

// A CableConfig says what a Cable is. Engine and BPS are required.
type CableConfig struct {
	Name   string      // for errors; "" means "cable"
	Engine *sim.Engine // required
	BPS    uint64      // required: of the links at both ends, MinRate to MaxRate
	Metres int         // 0 means DefaultMetres; up to MaxMetres
}

// Lengths of cables. Light takes about 5 ns for a metre of fibre or copper, and no
// cable has no length: what leaves a machine is never in another at the same time.
const (
	DefaultMetres = 2
	MaxMetres     = 1_000_000

	perMetre = 5 * sim.Nanosecond
)

// A Cable joins two NICs: what one sends the other receives, whole frames in order,
// as late as the cable is long. Each End is the nic.Wire of one of them. Frames are
// copied into buffers of the cable, which are used again.
//
// A cable can be pulled. What is on it then is lost, and so is what is sent into it
// until it is plugged in again; a frame whose last bit has come in was received.
type Cable struct {
	name   string
	engine *sim.Engine
	delay  sim.Time
	line   line // for the time that frames take
	down   bool
	ends   [2]CableEnd
	rounds *rounds
}

// A CableEnd is the wire of the NIC at one end of a Cable.
type CableEnd struct {
	cable *Cable
	far   *CableEnd
	near  interface{ Arrive() }
	quiet bool // the NIC was told that nothing is under way

	// Towards the NIC.
	queue  []nic.WireFrame // under way, from first on
	first  int
	out    []byte // of the frame that the NIC has last
	idle   [][]byte
	counts CableCounts
}

// CableCounts are the frames that went one way by a cable: In = Out + Lost + Held.
type CableCounts struct {
	In   uint64 // sent into it
	Out  uint64 // received from it
	Lost uint64 // because it was pulled
	Held uint64 // on it
}

// NewCable makes a cable. The NICs at its ends are given by Plug.
func NewCable(c CableConfig) (*Cable, error) {
	if c.Name == "" {
		c.Name = "cable"
	}
	switch {
	case c.Engine == nil:
		return nil, errors.New("wire: CableConfig.Engine is required")
	case c.BPS < MinRate || c.BPS > MaxRate:
		return nil, fmt.Errorf("wire: %s: CableConfig.BPS is %d; %d to %d are possible", c.Name, c.BPS, uint64(MinRate), uint64(MaxRate))
	case c.Metres < 0 || c.Metres > MaxMetres:
		return nil, fmt.Errorf("wire: %s: CableConfig.Metres is %d; up to %d are possible", c.Name, c.Metres, MaxMetres)
	}
	if c.Metres == 0 {
		c.Metres = DefaultMetres
	}
	l := &Cable{name: c.Name, engine: c.Engine, delay: sim.Time(c.Metres) * perMetre, line: newLine(c.BPS)}
	for i := range l.ends {
		l.ends[i] = CableEnd{cable: l, far: &l.ends[1-i], quiet: true}
	}
	return l, nil
}

// End is the wire of the NIC at end i, 0 or 1.
func (c *Cable) End(i int) *CableEnd { return &c.ends[i] }

// Metres is how long it is.
func (c *Cable) Metres() int { return int(c.delay / perMetre) }

// Up says whether the cable is plugged in, as it is from the start.
func (c *Cable) Up() bool { return !c.down }

// SetUp plugs the cable in or pulls it, at the engine's present time.
func (c *Cable) SetUp(up bool) {
	c.down = !up
	if up {
		return
	}
	for i := range c.ends {
		c.ends[i].cut(c.engine.Now())
	}
}

// cut loses the frames whose last bit has not come in.
func (e *CableEnd) cut(now sim.Time) {
	n := len(e.queue)
	for n > e.first && e.queue[n-1].At+e.cable.span(len(e.queue[n-1].Data)) > now {
		n--
		e.counts.Lost++
		e.idle = append(e.idle, e.queue[n].Data)
	}
	e.queue = e.queue[:n]
}

// span is how long a frame of size bytes takes to go out, from the first bit to the
// last.
func (c *Cable) span(size int) sim.Time { return c.line.span(onLine(size)) }

// onLine is the bytes of a frame from preamble to FCS.
func onLine(size int) uint64 { return preamble + uint64(max(size, minFrame)) + fcs }

// Plug says which NIC, or Link before a NIC, is at this end: it is told of frames that
// come in when it was told that there are none.
func (e *CableEnd) Plug(n interface{ Arrive() }) { e.near = n }

// Counts is what came this end's way so far.
func (e *CableEnd) Counts() CableCounts {
	c := e.counts
	c.Held = uint64(len(e.queue) - e.first)
	return c
}

// Transmit takes a frame from the NIC: f.At is when its last bit is out, so it began
// before that, and is at the other end as much later as the cable is long.
func (e *CableEnd) Transmit(f *nic.WireFrame) {
	to := e.far
	to.counts.In++
	if e.cable.down {
		to.counts.Lost++
		return
	}
	e.cable.goesRound(f.ID)
	to.put(f)
	if to.quiet && to.near != nil {
		to.quiet = false
		to.near.Arrive()
	}
}

// put lets a frame be under way to this end.
func (e *CableEnd) put(f *nic.WireFrame) {
	if e.first == len(e.queue) {
		e.queue, e.first = e.queue[:0], 0
	} else if e.first > 64 && 2*e.first > len(e.queue) {
		e.queue = e.queue[:copy(e.queue, e.queue[e.first:])]
		e.first = 0
	}
	var data []byte
	if n := len(e.idle); n > 0 {
		data, e.idle = e.idle[n-1], e.idle[:n-1]
	}
	at := f.At + e.cable.delay - e.cable.span(len(f.Data))
	e.queue = append(e.queue, nic.WireFrame{ID: f.ID, At: at, Data: append(data[:0], f.Data...)})
}

// Receive hands out the next frame for the NIC.
func (e *CableEnd) Receive(f *nic.WireFrame) bool {
	if e.out != nil {
		e.idle, e.out = append(e.idle, e.out), nil
	}
	if e.first == len(e.queue) {
		e.quiet = true
		return false
	}
	*f = e.queue[e.first]
	e.queue[e.first].Data = nil
	e.first++
	e.out = f.Data
	e.counts.Out++
	return true
}

// ErrCircle says that a frame goes round through cables for ever.
var ErrCircle = errors.New("a frame goes in a circle of cables")

// A rounds counts how often the latest frames went by a cable, by their ids, which
// they keep from host to host.
type rounds struct {
	limit uint32
	seen  [1024]struct {
		id uint64
		n  uint32
	}
}

// BoundCircles ends the run with ErrCircle when one frame went by the cable more than
// limit times. 0 means never.
func (c *Cable) BoundCircles(limit int) {
	if limit == 0 {
		c.rounds = nil
		return
	}
	c.rounds = &rounds{limit: uint32(limit)}
}

// goesRound notes that a frame goes by the cable.
func (c *Cable) goesRound(id uint64) {
	r := c.rounds
	if r == nil {
		return
	}
	s := &r.seen[id%uint64(len(r.seen))]
	if s.id != id {
		s.id, s.n = id, 0
	}
	if s.n++; s.n > r.limit {
		c.engine.Fail(fmt.Errorf("wire: %s: %w: frame %d went by it %d times; turn on stp in the bridges on its way or pull the cable", c.name, ErrCircle, id, s.n))
	}
}
