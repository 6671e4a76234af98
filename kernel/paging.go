package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/mmu"
)

// Paging says with which pages memory is mapped, and how large TLBs are. With the zero
// value there is no model of them: no access costs more than its steps say.
type Paging struct {
	Model  bool          // count what the TLBs do not know, and charge it
	Kernel mmu.PageSize  // of the host's direct map: rings, buffers, sk_buffs
	User   mmu.PageSize  // of what processes have: programs, guests' memory, pools of user-space drivers
	Guest  mmu.PageSize  // of a guest's own direct map, inside of what User maps for it
	TLB    mmu.TLBConfig // the zero value is a Skylake server
	NoPCID bool          // a CPU that changes its process forgets what it knew of the last one
}

// PagesOf is the model with pages of one size everywhere.
func PagesOf(size mmu.PageSize) Paging {
	return Paging{Model: true, Kernel: size, User: size, Guest: size}
}

// Check says what is wrong with it.
func (p Paging) Check() error {
	if max(p.Kernel, p.User, p.Guest) >= mmu.NumPageSizes {
		return fmt.Errorf("kernel: pages of sizes %v, %v and %v: use 4k, 2m or 1g", p.Kernel, p.User, p.Guest)
	}
	if !p.Model && p != (Paging{}) {
		return fmt.Errorf("kernel: page sizes or TLBs are given, but Paging.Model is off")
	}
	_, err := mmu.NewTLB(p.TLB)
	return err
}

// String is the size, or the sizes of kernel, user and guest.
func (p Paging) String() string {
	switch {
	case !p.Model:
		return "off"
	case p.Kernel == p.User && p.User == p.Guest:
		return p.Kernel.String()
	}
	return fmt.Sprintf("%v/%v/%v", p.Kernel, p.User, p.Guest)
}

// Where things lie in virtual addresses, less the bits that are all alike.
const (
	directMap  = 0x8880_0000_0000 // of the kernel: all of memory, and behind it what has no bytes here
	userMemory = 0x7f00_0000_0000 // of a process
	guestTable = 0x40_0000_0000   // physical, of a guest: its page tables
	userPhys   = 0x1000_0000_0000 // physical: what processes have
)

// A paging is the address spaces of one host.
type paging struct {
	Paging
	k      *Kernel
	direct Region
	top    mem.Addr // of what is in use in the direct map
	mapped mem.Addr // of what is mapped there
	phys   mem.Addr // next that a process can have
	spaces uint16
	pools  *Region // the host's memory as user-space drivers map it; nil before the first
}

// A Region is memory that CPUs touch, in the address space of whoever it belongs to. Of a
// machine without a model it is nil.
type Region struct {
	space *mmu.Space
	base  mem.Addr
}

// setUpPaging maps the host's memory.
func (k *Kernel) setUpPaging(p Paging) error {
	if err := p.Check(); err != nil || !p.Model {
		return err
	}
	k.paging = &paging{Paging: p, k: k, phys: userPhys}
	k.paging.direct = Region{k.paging.newSpace(), directMap}
	_, err := k.paging.take(k.mem.Size())
	return err
}

// newSpace is a space of its own. More guests than there are numbers share some.
func (p *paging) newSpace() *mmu.Space {
	p.spaces++
	return mmu.NewSpace(p.spaces)
}

// take is n more bytes of the kernel's direct map, in lines of 256.
func (p *paging) take(n int) (mem.Addr, error) {
	at := p.top
	p.top += (mem.Addr(n) + slabObject - 1) &^ (slabObject - 1)
	if more := wholePages(p.top, p.Kernel); more > p.mapped {
		from := p.mapped
		p.mapped = more
		return at, p.direct.space.Map(directMap+from, from, int(more-from), p.Kernel, mmu.ReadWrite)
	}
	return at, nil
}

// slabObject is how far apart sk_buffs lie in their slab.
const slabObject = 256

func wholePages(n mem.Addr, size mmu.PageSize) mem.Addr {
	return (n + size.Bytes() - 1) &^ (size.Bytes() - 1)
}

// kernelMemory is n bytes of the kernel that are no part of Config.Memory: of an object
// that is a Go value here. It is an offset in the direct map, 0 without a model.
func (k *Kernel) kernelMemory(n int) mem.Addr {
	if k.paging == nil {
		return 0
	}
	at, err := k.paging.take(n)
	if err != nil {
		k.eng.Fail(err)
	}
	return at
}

// UserRegion is a process's memory of n bytes, mapped with User's pages. It is nil
// without a model.
func (k *Kernel) UserRegion(n int) (*Region, error) {
	if k.paging == nil {
		return nil, nil
	}
	p := k.paging
	r := &Region{space: p.newSpace()}
	// Two processes do not begin at the same set of a TLB.
	r.base = userMemory + mem.Addr(p.spaces)*37*p.User.Bytes()
	return r, p.back(r.space, r.base, n)
}

// back maps n bytes of a process with memory of the host.
func (p *paging) back(s *mmu.Space, va mem.Addr, n int) error {
	size := wholePages(mem.Addr(max(n, 1)), p.User)
	at := wholePages(p.phys, p.User)
	p.phys = at + size
	return s.Map(va, at, int(size), p.User, mmu.ReadWrite)
}

// poolRegion is the host's memory as the process of a user-space driver has it, which
// maps its pool and its rings from there with User's pages.
func (p *paging) poolRegion() *Region {
	if p.pools == nil {
		var err error
		if p.pools, err = p.k.UserRegion(p.k.mem.Size()); err != nil {
			p.k.eng.Fail(err)
		}
	}
	return p.pools
}

// guestMemory is the n bytes of a guest's memory as two see them: the process of its VMM,
// whose memory it is, and the guest's own kernel, through the tables that lie below.
func (k *Kernel) guestMemory(n int) (vmm, guest *Region, err error) {
	if k.paging == nil {
		return nil, nil, nil
	}
	p := k.paging
	if vmm, err = k.UserRegion(n); err != nil {
		return nil, nil, err
	}
	t, _ := vmm.space.Walk(vmm.base)
	below := p.newSpace()
	if err = below.Map(0, t.Addr, int(wholePages(mem.Addr(max(n, 1)), p.User)), p.User, mmu.ReadWrite); err != nil {
		return nil, nil, err
	}
	size := wholePages(mem.Addr(max(n, 1)), p.Guest)
	tables := (size>>mmu.Page2M.Shift() + size>>mmu.Page1G.Shift() + 5) * mem.PageSize
	if err = p.back(below, guestTable, int(tables)); err != nil {
		return nil, nil, err
	}
	p.spaces++
	guest = &Region{mmu.NewGuestSpace(p.spaces, below, guestTable), directMap}
	return vmm, guest, guest.space.Map(directMap, 0, int(size), p.Guest, mmu.ReadWrite)
}

// touchAt is an access to the n bytes at a of a region.
func (c *CPU) touchAt(r *Region, a mem.Addr, n int) {
	if c.tlb != nil {
		c.touched(r, a, n)
	}
}

func (c *CPU) touched(r *Region, a mem.Addr, n int) {
	if hits, refs := c.tlb.Touch(r.space, r.base+a, n); hits|refs != 0 {
		c.missed(r, hits, refs)
	}
}

// latest says that touching the n bytes at a would find nothing new: they are in one page,
// and that is the one of its set that was touched last.
func (c *CPU) latest(r *Region, a mem.Addr, n int) bool {
	va := r.base + a
	return r.space.SamePage(va, va+mem.Addr(n)-1) && c.tlb.Latest(r.space, va)
}

// missed charges what the first level of the TLB did not know.
func (c *CPU) missed(r *Region, hits, refs int) {
	if refs == 0 && !c.watched { // nearly always
		c.acct.Charge(cost.StlbHit, uint64(hits))
		return
	}
	if hits > 0 {
		c.shared(cost.StlbHit, uint64(hits), "")
	}
	switch {
	case refs == 0:
	case r.space.Under() != nil:
		c.shared(cost.EptWalk, uint64(refs), "")
	default:
		c.shared(cost.PageWalk, uint64(refs), "")
	}
}

// touchFrames is the first look at received frames, and the making of their sk_buffs: each
// in one page, a slab's object as it is aligned, and headers as buffers begin in the first
// half of theirs. What is missed is charged once for all of them.
func (c *CPU) touchFrames(list []*skb) {
	r, tlb := &c.k.paging.direct, c.tlb
	hits, refs := 0, 0
	var slab, head mem.Addr // in pages that Latest would find, or 0, where nothing is mapped
	for _, s := range list {
		if at := r.base + s.slabAddr(); !r.space.SamePage(at, slab) {
			if slab = at; !tlb.Latest(r.space, at) {
				h, f := tlb.TouchPage(r.space, at)
				hits, refs, head = hits+h, refs+f, 0
			}
		}
		if at := r.base + s.addr; !r.space.SamePage(at, head) {
			if head = at; !tlb.Latest(r.space, at) {
				h, f := tlb.TouchPage(r.space, at)
				hits, refs, slab = hits+h, refs+f, 0
			}
		}
	}
	if hits|refs != 0 {
		c.missed(r, hits, refs)
	}
}

// touchSKB is a look at an sk_buff, for the frame itself or its end.
func (c *CPU) touchSKB(s *skb) {
	if c.tlb == nil {
		return
	}
	if r, at := &c.k.paging.direct, s.slabAddr(); !c.tlb.Latest(r.space, r.base+at) {
		c.touched(r, at, slabObject)
	}
}

// touchAll is a look at an sk_buff and an access to all bytes of its frame.
func (c *CPU) touchAll(s *skb) {
	r, tlb := &c.k.paging.direct, c.tlb
	if at := s.slabAddr(); !tlb.Latest(r.space, r.base+at) {
		c.touched(r, at, slabObject)
	}
	if va := r.base + s.addr; s.nfrags == 0 && !s.headed && r.space.SamePage(va, va+mem.Addr(s.length)-1) { // nearly every frame
		if !tlb.Latest(r.space, va) {
			c.touchedPage(r, va)
		}
		return
	}
	c.touchBytes(s)
}

func (c *CPU) touchBytes(s *skb) {
	r := &c.k.paging.direct
	if !s.headed { // a head of its own is a part of further
		c.touched(r, s.addr, len(s.data))
	}
	for i := range s.nfrags {
		f := &s.frags.buf[i]
		c.touched(r, f.addr, len(f.data))
	}
}

// touchedPage is touched for what is in the page of an address of the space.
func (c *CPU) touchedPage(r *Region, va mem.Addr) {
	if hits, refs := c.tlb.TouchPage(r.space, va); hits|refs != 0 {
		c.missed(r, hits, refs)
	}
}

// touchRing is an access to the n descriptors from first on of a ring that has size.
func (c *CPU) touchRing(base mem.Addr, first, n, size, each int) {
	r, at := &c.k.paging.direct, base+mem.Addr(first*each)
	if n == 0 || first+n <= size && c.latest(r, at, n*each) { // nearly always
		return
	}
	upto := min(n, size-first)
	c.touched(r, at, upto*each)
	if n > upto {
		c.touched(r, base, (n-upto)*each)
	}
}

// slabAddr is where the sk_buff lies in the direct map.
func (s *skb) slabAddr() mem.Addr { return mem.Addr(s.slab) * slabObject }

// switched tells the TLB that the CPU goes from one process to another.
func (c *CPU) switched() {
	if c.tlb != nil && c.k.paging.NoPCID {
		c.tlb.FlushBut(c.k.paging.direct.space)
	}
}

// TLBStats is what each CPU's TLB has counted, nil without a model.
func (k *Kernel) TLBStats() (list []mmu.TLBStat) {
	if k.paging == nil {
		return nil
	}
	for _, c := range k.cpus {
		list = append(list, c.tlb.Stat)
	}
	for _, c := range k.cores {
		list = append(list, c.cpu.tlb.Stat)
	}
	return list
}

// Paging is how memory is mapped.
func (k *Kernel) Paging() Paging {
	if k.paging == nil {
		return Paging{}
	}
	return k.paging.Paging
}
