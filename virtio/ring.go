package virtio

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/sim"
)

// A Layout is where the three parts of a ring are in guest memory, and its size:
// a power of two up to MaxSize.
type Layout struct {
	Size              uint16
	Desc, Avail, Used mem.Addr
}

// At is where the descriptor of a number lies, and the entries of that number in the
// avail and the used ring.
func (l Layout) At(i uint16) (desc, avail, used mem.Addr) {
	n := mem.Addr(i) & (mem.Addr(l.Size) - 1)
	return l.Desc + descLen*n, l.Avail + ringHead + availLen*n, l.Used + ringHead + usedLen*n
}

// A Pair is where a pair of queues is: one for frames to the guest, one for frames
// from it.
type Pair struct{ Rx, Tx Layout }

// MaxSize is the largest ring there can be [2.7].
const MaxSize = 32768

// The parts of a ring [2.7]: their lengths less what depends on its size, what
// one entry takes, and how they are aligned.
const (
	descLen   = 16
	ringHead  = 4 // flags and idx
	availLen  = 2
	usedLen   = 8
	eventLen  = 2
	descAlign = 16
	availAlgn = 2
	usedAlign = 4
)

// Place lays a ring of that size out from the address at on, a multiple of 16, and
// says where it ends.
func Place(at mem.Addr, size uint16) (Layout, mem.Addr) {
	n := mem.Addr(size)
	l := Layout{Size: size, Desc: at}
	l.Avail = l.Desc + descLen*n
	l.Used = (l.Avail + ringHead + availLen*n + eventLen + usedAlign - 1) &^ (usedAlign - 1)
	return l, (l.Used + ringHead + usedLen*n + eventLen + descAlign - 1) &^ (descAlign - 1)
}

// A Tag is who a frame is, kept beside the memory for traces.
type Tag struct {
	ID      uint64
	Arrived sim.Time
}

// A Ring is one split virtqueue in guest memory [2.7], with what both sides keep
// beside it. It is made by NewRing.
type Ring struct {
	Driver Driver // the guest's side
	Device Device // the host's side

	mem               *mem.Memory
	size, mask        uint16
	eventIdx          bool
	indirect          bool
	desc, avail, used []byte

	availAt []sim.Time // by slot: when the entry was put there
	usedAt  []sim.Time // likewise
	tags    []Tag      // by head

	await func(sim.Time) // see Device.Await
}

// ErrLayout says that a ring cannot lie as it is said to.
var ErrLayout = errors.New("virtio: bad layout of a ring")

// NewRing makes a ring that both sides begin anew. Its memory must be zero where
// the rings' heads are, as after a reset; f is what was negotiated.
func NewRing(m *mem.Memory, l Layout, f Features) (*Ring, error) {
	n := int(l.Size)
	if n == 0 || n > MaxSize || n&(n-1) != 0 {
		return nil, fmt.Errorf("%w: %d entries; a power of two up to %d is possible", ErrLayout, n, MaxSize)
	}
	r := &Ring{mem: m, size: l.Size, mask: l.Size - 1, eventIdx: f.Has(FRingEventIdx), indirect: f.Has(FRingIndirect)}
	for _, p := range [...]struct {
		to    *[]byte
		at    mem.Addr
		len   int
		align mem.Addr
		name  string
	}{
		{&r.desc, l.Desc, descLen * n, descAlign, "descriptor table"},
		{&r.avail, l.Avail, ringHead + availLen*n + eventLen, availAlgn, "avail ring"},
		{&r.used, l.Used, ringHead + usedLen*n + eventLen, usedAlign, "used ring"},
	} {
		b, err := m.Check(p.at, p.len)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrLayout, p.name, err)
		}
		if p.at%p.align != 0 {
			return nil, fmt.Errorf("%w: %s at %#x, not a multiple of %d", ErrLayout, p.name, uint64(p.at), p.align)
		}
		*p.to = b
	}
	at := make([]sim.Time, 2*n)
	r.availAt, r.usedAt, r.tags = at[:n:n], at[n:], make([]Tag, n)
	r.Device.r = r
	r.Driver.init(r)
	return r, nil
}

// Size is the number of entries.
func (r *Ring) Size() int { return int(r.size) }

// Tag is who the frame in the chain that begins with head is.
func (r *Ring) Tag(head uint16) Tag { return r.tags[head&r.mask] }

// SetTag keeps it.
func (r *Ring) SetTag(head uint16, t Tag) { r.tags[head&r.mask] = t }

// The words that the sides share, by who writes them.

func (r *Ring) availFlags() uint16     { return binary.LittleEndian.Uint16(r.avail) }     // the driver
func (r *Ring) setAvailFlags(v uint16) { binary.LittleEndian.PutUint16(r.avail, v) }      // the driver
func (r *Ring) availIdx() uint16       { return binary.LittleEndian.Uint16(r.avail[2:]) } // the driver
func (r *Ring) setAvailIdx(v uint16)   { binary.LittleEndian.PutUint16(r.avail[2:], v) }  // the driver
func (r *Ring) usedFlags() uint16      { return binary.LittleEndian.Uint16(r.used) }      // the device
func (r *Ring) setUsedFlags(v uint16)  { binary.LittleEndian.PutUint16(r.used, v) }       // the device
func (r *Ring) usedIdx() uint16        { return binary.LittleEndian.Uint16(r.used[2:]) }  // the device
func (r *Ring) setUsedIdx(v uint16)    { binary.LittleEndian.PutUint16(r.used[2:], v) }   // the device

func (r *Ring) usedEventAt() []byte  { return r.avail[ringHead+availLen*int(r.size):] } // the driver's
func (r *Ring) availEventAt() []byte { return r.used[ringHead+usedLen*int(r.size):] }   // the device's

// The flags of the two rings [2.7.7, 2.7.10].
const (
	availNoInterrupt = 1
	usedNoNotify     = 1
)

// needEvent says whether an index that went from old to new has passed event, all
// of them modulo 2^16 [2.7.7.2].
func needEvent(event, new, old uint16) bool { return new-event-1 < new-old }
