package bridge

import (
	"errors"

	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

// Errors that a caller decides on. They come wrapped, with what was refused.
var (
	ErrAddress = errors.New("not the address of a station")
	ErrNoPort  = errors.New("no such port")
	ErrFull    = errors.New("no room")
	ErrConfig  = errors.New("bad configuration")
	ErrVLAN    = errors.New("bad VLAN")
)

// Stats counts what happened to the table.
type Stats struct {
	Created   uint64 // stations learned
	Moved     uint64 // stations that changed their port
	Refused   uint64 // frames whose new station did not fit
	OwnSource uint64 // frames that came in with a local address as their source
	Aged      uint64 // entries taken out because they had aged
	Flaps     uint64 // stations that began to flap: see Bridge.Flaps
}

// A Bridge is a learning bridge. It has one owner; no method may run beside
// another. See New.
type Bridge struct {
	fdb     table
	ahead   addr   // what Ahead has read, so that it is read
	ports   []port // by number; ports[Local] is the bridge's own interface
	members []Port // those in use but Local, ascending
	scratch []Copy // where a flood is listed: room for all members and Local

	config []PortConfig // by number, as are
	backup []Port       // Local is none
	vlans  []vlanGroup
	counts []*VLANStats // by VLAN, with Config.VLANStats

	cfg      Config
	required uint16   // group_fwd_mask_required
	bound    int      // the greatest MaxLearned so far
	hold     sim.Time // how long an entry lasts; 0 is that nothing is learned
	stats    Stats
	flaps    flaps

	now  sim.Time // of the latest Handle that went the whole way, or Tick
	walk sim.Time // when the table is to be walked
	due  sim.Time

	tree     *stp.Tree
	spanning bool // its protocol is on or was on
	snooper  *snoop.Snooper

	neighbours  *neigh.Table
	lookup      neigh.Lookup // b.station
	suppressing bool         // a port has neigh_suppress
	reply       []byte

	sent    outbox
	changed []Port // whose state changed and was not told yet
	mdb     mdbView
	why     *recorder
}

// New returns a bridge without ports, whose own interface is up.
func New(cfg Config) (*Bridge, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	b := &Bridge{fdb: newTable(cfg.Seed), cfg: cfg, walk: sim.Never, due: sim.Never}
	b.ports = []port{{}}
	b.config = []PortConfig{{Name: cfg.Name, MAC: cfg.MAC}}
	b.backup = []Port{Local}
	b.vlans = make([]vlanGroup, 1)
	b.scratch = make([]Copy, 1)
	if err := b.begin(); err != nil {
		return nil, err
	}
	return b, nil
}

// Config is the configuration as it is, with its defaults filled in. NoSnooping is
// set, too, when a group too many has ended snooping.
func (b *Bridge) Config() Config {
	c := b.cfg
	c.NoSnooping = !b.snooper.Enabled()
	return c
}

// Stats is what happened to the table so far.
func (b *Bridge) Stats() Stats { return b.stats }

const (
	headerLen = 14
	// taggedLen is a header with a whole tag: one that has not two bytes behind the
	// EtherType that follows it is dropped, as skb_vlan_untag does.
	taggedLen = headerLen + tagLen + 2
)

// Handle decides about a frame that comes in by the port in at the time now.
// Frame is the frame with its tags, from its destination on, or the first buffer
// of it. Handle allocates nothing but when a new station makes the table grow,
// which happens log2(n) times on the way to n stations, for what snooping has to
// keep of a membership message, and for frames that the bridge sends itself.
//
// This is the short way, for the frame that most are: from a station that is
// known and has not moved to one that is known on another port. Since the table
// has none but the addresses of stations, both found means that neither is a
// group, reserved or zero. A port whose frames cannot go this way has a tag that
// no entry has, and one that they cannot leave by a flag that its peers avoid: see
// settle. Every other frame goes the whole way; see decide.
func (b *Bridge) Handle(in Port, frame []byte, now sim.Time) Verdict {
	n := uint(uint32(in))
	if n >= uint(len(b.ports)) || len(frame) < taggedLen {
		return b.longer(in, frame, now)
	}
	p := &b.ports[n]
	dst, src := addresses(frame)
	from := &b.fdb.lines[b.fdb.home(src)]
	i := from.match(src)
	if from.key[i] != src {
		if from, i = b.fdb.find(src); from == nil {
			return b.decide(in, frame, now)
		}
	}
	to := &b.fdb.lines[b.fdb.home(dst)]
	j := to.match(dst)
	if to.key[j] != dst {
		if to, j = b.fdb.find(dst); to == nil {
			return b.decide(in, frame, now)
		}
	}
	here, there := from.what[i], to.what[j]
	out := &b.ports[there.port()]
	if !here.refreshes(p.tag) || there.same(here) || there&local != 0 || out.flags&p.avoids != 0 {
		return b.longer(in, frame, now)
	}
	from.updated[i] = now
	p.Rx++
	out.Tx++
	return Verdict{Out: out.self[:], Action: Forward, Work: Usual}
}

// longer is the short way within a VLAN if there are VLANs, and the whole way else.
func (b *Bridge) longer(in Port, frame []byte, now sim.Time) Verdict {
	if b.cfg.VLANFiltering && len(frame) >= taggedLen && b.has(in) {
		if v := b.within(in, frame, now); v.Action == Forward {
			return v
		}
	}
	return b.decide(in, frame, now)
}

// within is the short way for a frame between known stations of one VLAN. It drops
// those that are to go the whole way, and changes nothing then.
func (b *Bridge) within(in Port, frame []byte, now sim.Time) (whole Verdict) {
	p, g := &b.ports[in], &b.vlans[in]
	f := pass{frame: frame}
	f.classify(b.cfg.VLANProtocol, g.pvid)
	v := g.find(f.vid)
	if p.tagVLAN == noTag || v == nil || v.stats != nil || v.state != stp.Forwarding {
		return whole
	}
	dst, src := addresses(frame)
	from, i := b.fdb.find(src.in(f.vid))
	to, j := b.fdb.find(dst.in(f.vid))
	if from == nil || to == nil {
		return whole
	}
	here, there := from.what[i], to.what[j]
	out := &b.ports[there.port()]
	if !here.refreshes(p.tagVLAN) || there.same(here) || there&local != 0 || out.flags&p.avoids != 0 {
		return whole
	}
	if v = b.vlans[there.port()].find(f.vid); v == nil || v.state != stp.Forwarding {
		return whole
	}
	from.updated[i] = now
	p.Rx++
	out.Tx++
	c := f.shape(v)
	c.Port = there.port()
	return Verdict{Out: append(b.scratch[:0], c), Action: Forward, Work: Usual | VLANIngress | VLANEgress}
}
