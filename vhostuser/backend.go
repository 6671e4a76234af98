package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/virtio"
)

// An FD is what comes beside a message: a *mem.Memory or an Event.
type FD any

// An Event is an eventfd of the VMM's: Signal is a write to it.
type Event interface{ Signal() }

// Config describes a back end. The zero value has one pair of queues and offers
// OfferedFeatures.
type Config struct {
	Features virtio.Features // 0 means OfferedFeatures
	Pairs    int             // of queues; 0 means 1
	// Changed is called when rings have started or stopped, or the connection was
	// closed. Nil is not to call.
	Changed func()
}

// MaxPairs bounds Config.Pairs.
const MaxPairs = 16

// OfferedFeatures is what a back end offers unless it is told otherwise: it does no
// checksums and cuts no segments.
const OfferedFeatures = virtio.FVersion1 | virtio.FMrgRxbuf | virtio.FRingEventIdx

// A Backend is the end of a connection at the process that serves the rings. See
// NewBackend.
type Backend struct {
	cfg      Config
	owned    bool
	features virtio.Features
	chosen   bool   // by SET_FEATURES
	plain    bool   // without protocol features: rings are enabled from the start
	protocol uint64 // features
	regions  []Region
	mem      *mem.Memory // what the table shares; nil without one
	vrings   []vring
	closed   error
}

// A vring is what is known of a ring. It runs from its SET_VRING_KICK to its
// GET_VRING_BASE, and is served while it is enabled.
type vring struct {
	num     uint32
	base    uint16
	layout  virtio.Layout
	placed  bool
	ring    *virtio.Ring // since it was first started with this layout
	running bool
	enabled bool
	call    Event
}

// NewBackend makes a back end to which nobody has said anything.
func NewBackend(c Config) (*Backend, error) {
	if c.Features == 0 {
		c.Features = OfferedFeatures
	}
	if c.Pairs == 0 {
		c.Pairs = 1
	}
	switch {
	case c.Pairs < 1 || c.Pairs > MaxPairs:
		return nil, fmt.Errorf("vhostuser: %d pairs of queues; 1 to %d are possible", c.Pairs, MaxPairs)
	case c.Features&^virtio.Known != 0 || !c.Features.Has(virtio.FVersion1):
		return nil, fmt.Errorf("vhostuser: cannot offer %v", c.Features)
	}
	return &Backend{cfg: c, plain: true, vrings: make([]vring, 2*c.Pairs)}, nil
}

// ErrClosed says that the connection was closed, as it is after a message that was wrong.
var ErrClosed = errors.New("vhostuser: connection closed")

// Closed is why the connection was closed, nil while it is open.
func (b *Backend) Closed() error { return b.closed }

// Features is what was negotiated of virtio's, 0 before.
func (b *Backend) Features() virtio.Features { return b.features }

// Ring is the ring that is served, nil while it is not: an even number for frames to
// the guest, an odd one for those from it.
func (b *Backend) Ring(i int) *virtio.Ring {
	if i < 0 || i >= len(b.vrings) {
		return nil
	}
	if v := &b.vrings[i]; v.running && v.enabled {
		return v.ring
	}
	return nil
}

// Call is how the guest is told of what was done on a ring; nil if it is not to be.
func (b *Backend) Call(i int) Event {
	if i < 0 || i >= len(b.vrings) {
		return nil
	}
	return b.vrings[i].call
}

// Close ends the connection, and with it every ring.
func (b *Backend) Close(why error) {
	if b.closed != nil {
		return
	}
	b.closed = fmt.Errorf("%w: %w", ErrClosed, why)
	for i := range b.vrings {
		b.vrings[i] = vring{}
	}
	b.mem, b.regions = nil, nil
	b.changed()
}

func (b *Backend) changed() {
	if b.cfg.Changed != nil {
		b.cfg.Changed()
	}
}

// Message takes one message with what comes beside it, and returns the answer, nil if
// there is none. A message that is wrong closes the connection.
func (b *Backend) Message(msg []byte, fds ...FD) (answer []byte, err error) {
	if b.closed != nil {
		return nil, b.closed
	}
	r, flags, payload, err := decode(msg)
	if err == nil {
		answer, err = b.handle(r, flags, payload, fds)
	}
	if err != nil {
		b.Close(err)
		return nil, b.closed
	}
	if answer == nil && flags&flagNeed != 0 && b.protocol&PReplyAck != 0 {
		answer = u64(0)
	}
	if answer == nil {
		return nil, nil
	}
	return encode(r, flagReply, answer), nil
}

// A rule is what a request must look like and what is done with it.
type rule struct {
	size int // of its payload, -1 for any
	fds  bool
	do   func(b *Backend, p []byte, fds []FD) ([]byte, error)
}

var rules = map[Request]rule{
	GetFeatures:         {0, false, (*Backend).getFeatures},
	SetFeatures:         {8, false, (*Backend).setFeatures},
	SetOwner:            {0, false, (*Backend).setOwner},
	ResetOwner:          {0, false, (*Backend).resetOwner},
	SetMemTable:         {-1, true, (*Backend).setMemTable},
	SetVringNum:         {8, false, (*Backend).setVringNum},
	SetVringAddr:        {vringAddrLen, false, (*Backend).setVringAddr},
	SetVringBase:        {8, false, (*Backend).setVringBase},
	GetVringBase:        {8, false, (*Backend).getVringBase},
	SetVringKick:        {8, true, (*Backend).setVringKick},
	SetVringCall:        {8, true, (*Backend).setVringCall},
	SetVringErr:         {8, true, (*Backend).setVringErr},
	GetProtocolFeatures: {0, false, (*Backend).getProtocolFeatures},
	SetProtocolFeatures: {8, false, (*Backend).setProtocolFeatures},
	GetQueueNum:         {0, false, (*Backend).getQueueNum},
	SetVringEnable:      {8, false, (*Backend).setVringEnable},
	NetSetMTU:           {8, false, (*Backend).netSetMTU},
}

func (b *Backend) handle(r Request, flags uint32, p []byte, fds []FD) ([]byte, error) {
	rule, ok := rules[r]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %v is not known", ErrMessage, r)
	case flags&flagReply != 0:
		return nil, fmt.Errorf("%w: %v answers, and nothing was asked", ErrMessage, r)
	case rule.size >= 0 && len(p) != rule.size:
		return nil, fmt.Errorf("%w: %v has %d bytes, not %d", ErrMessage, r, len(p), rule.size)
	case len(fds) > 0 && !rule.fds:
		return nil, fmt.Errorf("%w: %v comes with %d descriptors", ErrMessage, r, len(fds))
	case !b.owned && r != GetFeatures && r != SetOwner && r != GetProtocolFeatures && r != SetProtocolFeatures && r != GetQueueNum && r != SetFeatures:
		return nil, fmt.Errorf("%w: %v before SET_OWNER", ErrMessage, r)
	}
	answer, err := rule.do(b, p, fds)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", r, err)
	}
	return answer, nil
}

func (b *Backend) setOwner([]byte, []FD) ([]byte, error) {
	if b.owned {
		return nil, fmt.Errorf("%w: it has one", ErrMessage)
	}
	b.owned = true
	return nil, nil
}

// resetOwner stops every ring, as the deprecated message is taken today.
func (b *Backend) resetOwner([]byte, []FD) ([]byte, error) {
	for i := range b.vrings {
		b.vrings[i].running, b.vrings[i].enabled = false, false
	}
	b.changed()
	return nil, nil
}

func (b *Backend) getFeatures([]byte, []FD) ([]byte, error) {
	return u64(uint64(b.cfg.Features) | FProtocolFeatures), nil
}

func (b *Backend) setFeatures(p []byte, _ []FD) ([]byte, error) {
	v := binary.LittleEndian.Uint64(p)
	if b.running() {
		return nil, fmt.Errorf("%w: rings run", ErrMessage)
	}
	f, err := virtio.Negotiate(b.cfg.Features, virtio.Features(v&^FProtocolFeatures))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	b.features, b.chosen, b.plain = f, true, v&FProtocolFeatures == 0
	for i := range b.vrings { // rings of other features have to be made anew
		b.vrings[i].ring, b.vrings[i].base = nil, 0
		b.vrings[i].enabled = b.plain
	}
	return nil, nil
}

// protocols is the protocol features of a back end.
const protocols = PMQ | PReplyAck | PMTU

func (b *Backend) getProtocolFeatures([]byte, []FD) ([]byte, error) { return u64(protocols), nil }

func (b *Backend) setProtocolFeatures(p []byte, _ []FD) ([]byte, error) {
	v := binary.LittleEndian.Uint64(p)
	if more := v &^ protocols; more != 0 {
		return nil, fmt.Errorf("%w: %#x was not offered", ErrMessage, more)
	}
	b.protocol = v
	return nil, nil
}

func (b *Backend) getQueueNum([]byte, []FD) ([]byte, error) { return u64(uint64(b.cfg.Pairs)), nil }

func (b *Backend) netSetMTU(p []byte, _ []FD) ([]byte, error) {
	if v := binary.LittleEndian.Uint64(p); b.protocol&PMTU == 0 || v < 68 || v > 65535 {
		return nil, fmt.Errorf("%w: an MTU of %d; 68 to 65535 are possible, with the protocol feature", ErrMessage, v)
	}
	return nil, nil
}

// running says whether a ring has started.
func (b *Backend) running() bool {
	for i := range b.vrings {
		if b.vrings[i].running {
			return true
		}
	}
	return false
}

// setMemTable takes a table whose regions follow each other without a gap, in the guest
// and in one file, from the guest's address 0 on.
func (b *Backend) setMemTable(p []byte, fds []FD) ([]byte, error) {
	regions, err := parseMemTable(p)
	switch {
	case err != nil:
		return nil, err
	case len(fds) != len(regions):
		return nil, fmt.Errorf("%w: %d regions and %d descriptors", ErrMessage, len(regions), len(fds))
	case b.running():
		return nil, fmt.Errorf("%w: rings run", ErrMessage)
	}
	file, ok := fds[0].(*mem.Memory)
	if !ok || file == nil {
		return nil, fmt.Errorf("%w: descriptor 0 is no memory", ErrMessage)
	}
	size, first := uint64(0), regions[0].Offset
	for i, r := range regions {
		switch {
		case fds[i] != fds[0]:
			return nil, fmt.Errorf("%w: region %d is in a file of its own", ErrMessage, i)
		case r.Size == 0 || r.Size > uint64(file.Size()) || r.Guest != size || r.Offset != first+size:
			return nil, fmt.Errorf("%w: region %d, %d bytes at %#x in the guest and %#x in the file, does not follow", ErrMessage, i, r.Size, r.Guest, r.Offset)
		case r.User+r.Size < r.User:
			return nil, fmt.Errorf("%w: region %d wraps round", ErrMessage, i)
		}
		size += r.Size
	}
	part, err := file.Part(mem.Addr(first), int(size))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	b.mem, b.regions = part, regions
	for i := range b.vrings { // they have to be placed anew
		b.vrings[i] = vring{num: b.vrings[i].num, call: b.vrings[i].call, enabled: b.vrings[i].enabled}
	}
	return nil, nil
}

// guest is the address in the guest that one of the VMM's is, with n bytes behind it in
// the same region.
func (b *Backend) guest(user uint64, n uint64) (mem.Addr, error) {
	for _, r := range b.regions {
		if at := user - r.User; user >= r.User && at < r.Size && r.Size-at >= n {
			return mem.Addr(r.Guest + at), nil
		}
	}
	return 0, fmt.Errorf("%w: %d bytes at %#x are in no region", ErrMessage, n, user)
}

// vring is the ring that a message is for, and the number beside it.
func (b *Backend) vring(p []byte) (*vring, uint32, error) {
	i, num := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:])
	if i >= uint32(len(b.vrings)) {
		return nil, 0, fmt.Errorf("%w: ring %d of %d", ErrMessage, i, len(b.vrings))
	}
	return &b.vrings[i], num, nil
}

func (b *Backend) setVringNum(p []byte, _ []FD) ([]byte, error) {
	v, num, err := b.vring(p)
	switch {
	case err != nil:
		return nil, err
	case v.running:
		return nil, fmt.Errorf("%w: the ring runs", ErrMessage)
	case num == 0 || num > virtio.MaxSize || num&(num-1) != 0:
		return nil, fmt.Errorf("%w: %d entries; a power of two up to %d is possible", ErrMessage, num, virtio.MaxSize)
	}
	if v.num != num {
		v.num, v.placed, v.ring, v.base = num, false, nil, 0
	}
	return nil, nil
}

// setVringAddr finds where the parts of a ring are in the guest.
func (b *Backend) setVringAddr(p []byte, _ []FD) ([]byte, error) {
	v, _, err := b.vring(p)
	switch {
	case err != nil:
		return nil, err
	case v.running:
		return nil, fmt.Errorf("%w: the ring runs", ErrMessage)
	case v.num == 0 || b.mem == nil:
		return nil, fmt.Errorf("%w: before SET_VRING_NUM or SET_MEM_TABLE", ErrMessage)
	}
	a, n := parseVringAddr(p), uint64(v.num)
	if a.Flags != 0 {
		return nil, fmt.Errorf("%w: flags %#x; there is no log", ErrMessage, a.Flags)
	}
	l := virtio.Layout{Size: uint16(v.num)}
	for _, f := range [...]struct {
		to   *mem.Addr
		user uint64
		len  uint64
	}{{&l.Desc, a.Desc, 16 * n}, {&l.Avail, a.Avail, 6 + 2*n}, {&l.Used, a.Used, 6 + 8*n}} {
		if *f.to, err = b.guest(f.user, f.len); err != nil {
			return nil, err
		}
	}
	if v.layout != l {
		v.layout, v.ring, v.base = l, nil, 0
	}
	v.placed = true
	return nil, nil
}

// setVringBase says where a ring goes on: at its beginning, or where it was stopped.
func (b *Backend) setVringBase(p []byte, _ []FD) ([]byte, error) {
	v, num, err := b.vring(p)
	switch {
	case err != nil:
		return nil, err
	case v.running:
		return nil, fmt.Errorf("%w: the ring runs", ErrMessage)
	case num == 0 && (v.ring == nil || v.base != 0):
		v.ring, v.base = nil, 0 // from the beginning: it is made anew
	case v.ring == nil || num != uint32(v.base):
		return nil, fmt.Errorf("%w: from entry %d on; the ring stands at %d", ErrMessage, num, v.base)
	}
	return nil, nil
}

// getVringBase stops a ring.
func (b *Backend) getVringBase(p []byte, _ []FD) ([]byte, error) {
	v, _, err := b.vring(p)
	if err != nil {
		return nil, err
	}
	if v.running {
		v.running, v.base = false, v.ring.Device.Taken()
		b.changed()
	}
	return vringState(binary.LittleEndian.Uint32(p), uint32(v.base)), nil
}

// event is the ring and the eventfd of SET_VRING_KICK and its like; nil without one.
func (b *Backend) event(p []byte, fds []FD) (*vring, Event, error) {
	v := binary.LittleEndian.Uint64(p)
	i := v & vringIndex
	switch {
	case v&^(vringIndex|vringNoFD) != 0 || i >= uint64(len(b.vrings)):
		return nil, nil, fmt.Errorf("%w: ring %#x of %d", ErrMessage, v, len(b.vrings))
	case (v&vringNoFD == 0) != (len(fds) == 1):
		return nil, nil, fmt.Errorf("%w: %d descriptors", ErrMessage, len(fds))
	case len(fds) == 0:
		return &b.vrings[i], nil, nil
	}
	e, ok := fds[0].(Event)
	if !ok || e == nil {
		return nil, nil, fmt.Errorf("%w: the descriptor is no eventfd", ErrMessage)
	}
	return &b.vrings[i], e, nil
}

// setVringKick starts a ring. Its eventfd is not read: who polls asks not to be kicked.
func (b *Backend) setVringKick(p []byte, fds []FD) ([]byte, error) {
	v, _, err := b.event(p, fds)
	switch {
	case err != nil:
		return nil, err
	case v.running:
		return nil, nil // another eventfd
	case !v.placed || !b.chosen:
		return nil, fmt.Errorf("%w: before SET_VRING_ADDR or SET_FEATURES", ErrMessage)
	}
	if v.ring == nil {
		if v.ring, err = virtio.NewRing(b.mem, v.layout, b.features); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMessage, err)
		}
	}
	v.ring.Device.DisableKicks()
	v.running = true
	b.changed()
	return nil, nil
}

func (b *Backend) setVringCall(p []byte, fds []FD) ([]byte, error) {
	v, e, err := b.event(p, fds)
	if err == nil {
		v.call = e
	}
	return nil, err
}

func (b *Backend) setVringErr(p []byte, fds []FD) ([]byte, error) {
	_, _, err := b.event(p, fds)
	return nil, err
}

func (b *Backend) setVringEnable(p []byte, _ []FD) ([]byte, error) {
	v, num, err := b.vring(p)
	switch {
	case err != nil:
		return nil, err
	case b.plain || num > 1:
		return nil, fmt.Errorf("%w: enable %d, with protocol features %v", ErrMessage, num, !b.plain)
	}
	v.enabled = num == 1
	b.changed()
	return nil, nil
}
