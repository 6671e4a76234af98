package bridge

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/sim"
)

// Errors that a caller decides on. They come wrapped, with what was refused.
var (
	ErrAddress = errors.New("not the address of a station")
	ErrNoPort  = errors.New("no such port")
	ErrFull    = errors.New("no room")
	ErrConfig  = errors.New("bad configuration")
)

const (
	// DefaultAgeing is how long an entry lasts after its station's last frame.
	DefaultAgeing = 300 * sim.Second
	// DefaultMaxLearned is the bound on learned entries: a million and some room,
	// more stations than any one segment has, in a table of 33 MB.
	DefaultMaxLearned = 1 << 20
	// Hub as Config.Ageing makes a bridge that learns nothing and floods all
	// unicast, as ageing_time 0 does in Linux.
	Hub sim.Time = -1
)

// Config describes a bridge. The zero value is a bridge without a name or an
// address of its own, with the defaults given at each field.
type Config struct {
	// Name is the bridge's interface name, for display.
	Name string
	// MAC is the address of the bridge's own interface. Zero is none.
	MAC MAC
	// Ageing is how long an entry lasts after its station's last frame. 0 is
	// DefaultAgeing, sim.Never is for ever, Hub is to learn nothing.
	Ageing sim.Time
	// MaxLearned bounds the entries learned from traffic: with as many, frames
	// from new stations are forwarded but the station is not learned, which is
	// counted in Stats.Refused. 0 is DefaultMaxLearned.
	MaxLearned int
	// GroupFwdMask has bit n set when 01:80:c2:00:00:0n is to be forwarded like
	// any group address. Linux lets no one set the bits 0, 1 and 2.
	GroupFwdMask uint16
	// Promisc has the bridge's own interface see every frame.
	Promisc bool
	// Seed is for the table's hash. Two bridges with one seed and one history
	// are equal; a seed that the wire cannot know keeps it from choosing
	// addresses that collide.
	Seed uint64
}

// Stats counts what happened to the table.
type Stats struct {
	Created   uint64 // stations learned
	Moved     uint64 // stations that changed their port
	Refused   uint64 // frames whose new station did not fit
	OwnSource uint64 // frames that came in with a local address as their source
	Aged      uint64 // entries taken out because they had aged
}

// A Bridge is a learning bridge. It has one owner; no method may run beside
// another. See New.
type Bridge struct {
	fdb     table
	ports   []port       // by number; ports[Local] is the bridge's own interface
	members []Port       // those in use but Local, ascending
	scratch []Copy       // where a flood is listed: room for all members and Local
	names   []PortConfig // by number
	cfg     Config
	stats   Stats
	now     sim.Time // of the latest Handle that went the whole way, or Tick
	walk    sim.Time // when the table is to be walked
	sent    []Sent
}

// New returns a bridge without ports.
func New(cfg Config) (*Bridge, error) {
	if cfg.Ageing == 0 {
		cfg.Ageing = DefaultAgeing
	}
	if cfg.MaxLearned == 0 {
		cfg.MaxLearned = DefaultMaxLearned
	}
	switch {
	case cfg.Ageing < 0 && cfg.Ageing != Hub:
		return nil, fmt.Errorf("bridge: %w: ageing %v is negative", ErrConfig, cfg.Ageing)
	case cfg.MaxLearned < 0 || cfg.MaxLearned > maxEntries:
		return nil, fmt.Errorf("bridge: %w: %d learned entries, the most is %d", ErrConfig, cfg.MaxLearned, maxEntries)
	case cfg.GroupFwdMask&0b111 != 0:
		return nil, fmt.Errorf("bridge: %w: group_fwd_mask %#x: addresses :00, :01 and :02 cannot be chosen", ErrConfig, cfg.GroupFwdMask)
	}
	b := &Bridge{fdb: newTable(cfg.Seed), cfg: cfg, walk: sim.Never}
	b.ports = []port{{tag: noTag}}
	b.names = []PortConfig{{Name: cfg.Name, MAC: cfg.MAC}}
	b.scratch = make([]Copy, 1)
	if cfg.MAC != (MAC{}) {
		if err := b.Add(Entry{MAC: cfg.MAC, Port: Local, Kind: Permanent}); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Config is the configuration with its defaults filled in.
func (b *Bridge) Config() Config { return b.cfg }

// Stats is what happened to the table so far.
func (b *Bridge) Stats() Stats { return b.stats }

const headerLen = 14

// Handle decides about a frame that comes in by the port in at the time now.
// Frame holds at least the frame's Ethernet header; nothing behind it is looked
// at. It allocates nothing but when a new station makes the table grow, which
// happens log2(n) times on the way to n stations.
//
// This is the short way, for the frame that most are: from a station that is
// known and has not moved to one that is known on another port. Since the table
// has none but the addresses of stations, both found means that neither is a
// group, reserved or zero. Every other frame goes the whole way; see decide.
func (b *Bridge) Handle(in Port, frame []byte, now sim.Time) Verdict {
	n := uint(uint32(in))
	if n >= uint(len(b.ports)) || len(frame) < headerLen {
		return b.decide(in, frame, now)
	}
	p := &b.ports[n]
	dst, src := addresses(frame)
	at := b.fdb.home(src)
	from := &b.fdb.lines[at]
	i := from.match(src)
	if from.key[i] != src {
		from = b.fdb.next(at)
		if i = from.match(src); from.key[i] != src {
			return b.decide(in, frame, now)
		}
	}
	at = b.fdb.home(dst)
	to := &b.fdb.lines[at]
	j := to.match(dst)
	if to.key[j] != dst {
		to = b.fdb.next(at)
		if j = to.match(dst); to.key[j] != dst {
			return b.decide(in, frame, now)
		}
	}
	here, there := from.what[i], to.what[j]
	if !here.refreshes(p.tag) || there.same(here) || there&local != 0 {
		return b.decide(in, frame, now)
	}
	from.updated[i] = now
	p.Rx++
	out := &b.ports[there.port()]
	out.Tx++
	return Verdict{Out: out.self[:], Action: Forward, Work: Usual}
}

// decide is Handle without a short way.
func (b *Bridge) decide(in Port, frame []byte, now sim.Time) Verdict {
	if !b.has(in) {
		return Verdict{Reason: cost.NotSpecified}
	}
	b.now = max(b.now, now)
	p := &b.ports[in]
	p.Rx++
	if len(frame) < headerLen {
		return p.drop(cost.PktTooSmall)
	}
	dst, src := addresses(frame)
	if in == Local {
		return b.forward(p, in, dst, 0)
	}
	if !station(src) {
		return p.drop(cost.MACInvalidSource)
	}
	if n, ok := isReserved(dst); ok && n != 0 && b.cfg.GroupFwdMask>>n&1 == 0 {
		if n == 1 {
			return p.drop(cost.MACIEEEMACControl)
		}
		return Verdict{Action: PassPort, Reason: cost.RSLinkLocal, Work: Work(b.learn(in, src, now))}
	}
	did := Finished | Work(b.learn(in, src, now))
	if b.cfg.Promisc {
		did |= PassedUp
	}
	return b.forward(p, in, dst, did)
}
