package mmu

import (
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/sim"
)

// A Source is who sends a transaction on the bus: a requester ID, of a physical or a
// virtual function.
type Source uint16

// String is bus, device and function, as lspci writes them.
func (s Source) String() string {
	return fmt.Sprintf("%02x:%02x.%d", uint16(s)>>8, uint16(s)>>3&31, uint16(s)&7)
}

// An Invalidation is when an IOTLB forgets what was unmapped.
type Invalidation uint8

const (
	// Deferred invalidation waits until a queue is full or old, as Linux's default
	// (iommu.strict=0): until then a device may still reach what was taken from it.
	Deferred Invalidation = iota
	// Strict invalidation is over before Unmap is (iommu.strict=1).
	Strict
)

// An IOMMUConfig describes an IOMMU. The zero value has an IOTLB of 64 entries in 4 ways,
// remembers no tables, invalidates deferred and keeps 64 faults.
type IOMMUConfig struct {
	TLB          Geometry // 0 means 64 in 4 ways
	Invalidation Invalidation
	Faults       int // how many fault records are kept; 0 means 64
}

// The bounds of what waits for a deferred invalidation, as Linux has them.
const (
	flushEntries = 256
	flushAfter   = 10 * sim.Millisecond
)

// An IOMMU translates what devices put on the bus. Each source is in one domain or in
// none; one that is in none reaches nothing. It is called by one event loop.
type IOMMU struct {
	domains []*Domain
	by      []attached // sources that are in a domain, by number
	last    int        // of by: the one found last
	iotlb   iotlb
	cfg     IOMMUConfig
	queue   []span
	oldest  sim.Time // when the first of the queue was put there
	faults  []Fault
	stat    IOMMUStat
}

type attached struct {
	source Source
	domain *Domain
}

// A span is what was unmapped and not invalidated.
type span struct {
	d  *Domain
	va mem.Addr
	n  int
}

// An IOMMUStat counts.
type IOMMUStat struct {
	Hits   uint64 // translations of one page that the IOTLB knew
	Walks  uint64 // and those that it did not
	Refs   uint64 // entries of tables read in all walks
	Maps   uint64 // Domain.Map
	Unmaps uint64 // Domain.Unmap
	Flush  uint64 // invalidations of the IOTLB
	Faults uint64 // accesses that were refused
}

// A Domain is what its sources can reach: a table of I/O virtual addresses over one memory.
type Domain struct {
	Name  string
	u     *IOMMU
	space Space
	mem   *mem.Memory
	sizes [NumPageSizes]bool // of pages that were ever mapped
}

// NewIOMMU makes an IOMMU without domains.
func NewIOMMU(c IOMMUConfig) (*IOMMU, error) {
	if err := c.TLB.check("IOTLB", Geometry{64, 4}); err != nil {
		return nil, err
	}
	if c.Faults <= 0 {
		c.Faults = 64
	}
	return &IOMMU{cfg: c, iotlb: newIOTLB(c.TLB)}, nil
}

// What is wrong with an Attach.
var (
	ErrAttached = errors.New("mmu: the source is in a domain already")
	ErrDomain   = errors.New("mmu: the domain is of another IOMMU")
)

// NewDomain makes an empty domain over the memory: of a machine, or of one guest.
func (u *IOMMU) NewDomain(name string, m *mem.Memory) *Domain {
	d := &Domain{Name: name, u: u, mem: m, space: *NewSpace(uint16(len(u.domains) + 1))}
	u.domains = append(u.domains, d)
	return d
}

// Attach puts a source into a domain.
func (u *IOMMU) Attach(s Source, d *Domain) error {
	if d.u != u {
		return fmt.Errorf("%w: %s", ErrDomain, d.Name)
	}
	i, ok := u.find(s)
	if ok {
		return fmt.Errorf("%w: %v is in %s", ErrAttached, s, u.by[i].domain.Name)
	}
	u.by = append(u.by, attached{})
	copy(u.by[i+1:], u.by[i:])
	u.by[i] = attached{s, d}
	u.last = i
	return nil
}

// Detach takes a source out of its domain, if it is in one: it reaches nothing any more.
func (u *IOMMU) Detach(s Source) {
	if i, ok := u.find(s); ok {
		u.by = append(u.by[:i], u.by[i+1:]...)
		u.last = 0
	}
}

// find is where a source is in by, or would be.
func (u *IOMMU) find(s Source) (int, bool) {
	lo, hi := 0, len(u.by)
	for lo < hi {
		if mid := (lo + hi) / 2; u.by[mid].source < s {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(u.by) && u.by[lo].source == s
}

// DomainOf is the domain of a source, nil if it is in none.
func (u *IOMMU) DomainOf(s Source) *Domain {
	if u.last < len(u.by) && u.by[u.last].source == s {
		return u.by[u.last].domain
	}
	i, ok := u.find(s)
	if !ok {
		return nil
	}
	u.last = i
	return u.by[i].domain
}

// Stat is what was counted so far.
func (u *IOMMU) Stat() IOMMUStat { return u.stat }

// Map lets the domain's sources reach the n bytes of memory from pa on, at the I/O virtual
// addresses from iova on; the rules are those of Space.Map. What lies outside of the
// memory is refused.
func (d *Domain) Map(iova, pa mem.Addr, n int, size PageSize, p Perm) error {
	if d.mem.Bytes(pa, n) == nil {
		return fmt.Errorf("mmu: domain %s: %w: %d bytes at %#x", d.Name, mem.ErrFault, n, uint64(pa))
	}
	if err := d.space.Map(iova, pa, n, size, p); err != nil {
		return fmt.Errorf("domain %s: %w", d.Name, err)
	}
	d.sizes[size] = true
	d.u.stat.Maps++
	return nil
}

// Unmap takes the n bytes from iova on away from the domain, at the time now; the rules are
// those of Space.Unmap. With deferred invalidation the IOTLB may know them until Flush, or
// until the queue is full or old; whoever maps the same addresses anew before that, for
// something else, has to Flush first. It says whether the IOTLB was invalidated.
func (d *Domain) Unmap(iova mem.Addr, n int, now sim.Time) (flushed bool, err error) {
	if err := d.space.Unmap(iova, n); err != nil {
		return false, fmt.Errorf("domain %s: %w", d.Name, err)
	}
	u := d.u
	u.stat.Unmaps++
	if u.cfg.Invalidation == Strict {
		u.invalidate(span{d, iova, n})
		u.stat.Flush++
		return true, nil
	}
	if len(u.queue) == 0 {
		u.oldest = now
	}
	u.queue = append(u.queue, span{d, iova, n})
	if len(u.queue) < flushEntries && now-u.oldest < flushAfter {
		return false, nil
	}
	u.Flush()
	return true, nil
}

// Flush makes the IOTLB forget everything that waits to be forgotten.
func (u *IOMMU) Flush() {
	if len(u.queue) == 0 {
		return
	}
	for _, s := range u.queue {
		u.invalidate(s)
	}
	u.queue = u.queue[:0]
	u.stat.Flush++
}

// invalidate forgets the pages of a range, of whatever size they were.
func (u *IOMMU) invalidate(s span) {
	if u.iotlb.ways == 0 {
		return
	}
	end := s.va + mem.Addr(s.n)
	for size := range NumPageSizes {
		if !s.d.sizes[size] {
			continue
		}
		first, last := uint64(s.va>>size.Shift()), uint64((end-1)>>size.Shift())
		if last-first < uint64(u.iotlb.ways) {
			for page := first; page <= last; page++ {
				u.iotlb.remove(tagOf(page, s.d.space.id, size))
			}
			continue
		}
		u.iotlb.drop(func(t tag) bool {
			return t.space() == s.d.space.id && t.size() == size && t.page() >= first && t.page() <= last
		})
	}
}

// Waiting is the number of unmapped ranges that the IOTLB was not told of yet.
func (u *IOMMU) Waiting() int { return len(u.queue) }

// A Grant is what a device may do: the memory and where in it.
type Grant struct {
	Memory *mem.Memory
	Addr   mem.Addr
	N      int // bytes from there on, up to as many as were asked for
	Refs   int // entries of tables that were read; 0 if the IOTLB knew every page
}

// Translate is an access of a source to the n bytes from iova on, at the time now. It
// grants as many of them as lie in one piece in memory, at least one; n of 0 or less
// counts as 1. Otherwise ok is false, the access is to be aborted, and a fault was
// recorded; Refs tells what was read until that was known.
func (u *IOMMU) Translate(s Source, iova mem.Addr, n int, write bool, now sim.Time) (g Grant, ok bool) {
	d := u.DomainOf(s)
	if d == nil {
		u.fault(Fault{Source: s, Addr: iova, Write: write, Reason: NoDomain, At: now})
		return g, false
	}
	n = max(n, 1)
	g.Memory = d.mem
	for g.N < n {
		at := iova + mem.Addr(g.N)
		p, reason, refs := u.page(d, at, write)
		g.Refs += refs
		if reason != 0 {
			if g.N > 0 { // it is found again when the device comes to it
				return g, true
			}
			u.fault(Fault{Source: s, Domain: d.Name, Addr: at, Write: write, Reason: reason, At: now})
			return Grant{Refs: g.Refs}, false
		}
		switch {
		case g.N == 0:
			g.Addr = p.Addr
		case p.Addr != g.Addr+mem.Addr(g.N):
			return g, true
		}
		g.N += int(min(p.Size.Bytes()-at&(p.Size.Bytes()-1), mem.Addr(n-g.N)))
	}
	return g, true
}

// Bytes is Translate for an access that has to succeed as a whole, in one piece of memory:
// the bytes, or nil and a fault.
func (u *IOMMU) Bytes(s Source, iova mem.Addr, n int, write bool, now sim.Time) (b []byte, refs int) {
	g, ok := u.Translate(s, iova, n, write, now)
	if !ok {
		return nil, g.Refs
	}
	if g.N == max(n, 1) {
		if b = g.Memory.Bytes(g.Addr, n); b != nil {
			return b, g.Refs
		}
	}
	next, ok := u.Translate(s, iova+mem.Addr(g.N), n-g.N, write, now)
	if ok {
		u.fault(Fault{Source: s, Domain: u.DomainOf(s).Name, Addr: iova + mem.Addr(g.N), Write: write, Reason: Scattered, At: now})
	}
	return nil, g.Refs + next.Refs
}

// page translates the page at iova.
func (u *IOMMU) page(d *Domain, iova mem.Addr, write bool) (Translation, Reason, int) {
	if iova >= 1<<addressBits {
		return Translation{}, BeyondWidth, 0
	}
	need := Read
	if write {
		need = Write
	}
	if t, ok := u.known(d, iova); ok && t.Perm&need != 0 {
		u.stat.Hits++
		return t, 0, 0
	}
	t, ok := d.space.Walk(iova)
	u.stat.Walks++
	u.stat.Refs += uint64(t.Refs)
	switch {
	case !ok:
		return t, NotPresent, t.Refs
	case t.Perm&need == 0:
		return t, NotPermitted, t.Refs
	}
	off := iova & (t.Size.Bytes() - 1)
	u.iotlb.put(ioEntry{d.space.tag(iova, t.Size), t.Perm, t.Addr - off})
	return t, 0, t.Refs
}

// known is what the IOTLB has for iova.
func (u *IOMMU) known(d *Domain, iova mem.Addr) (t Translation, ok bool) {
	if u.iotlb.ways == 0 {
		return t, false
	}
	for size := range NumPageSizes {
		if !d.sizes[size] {
			continue
		}
		if e := u.iotlb.find(d.space.tag(iova, size)); e != nil {
			return Translation{Addr: e.addr | iova&(size.Bytes()-1), Size: size, Perm: e.perm}, true
		}
	}
	return t, false
}
