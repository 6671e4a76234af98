package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/mmu"
)

// An IOMMU is how a NIC's driver of the host uses the IOMMU.
type IOMMU uint8

// The ways, as Linux's iommu= and iommu.strict= name the last three.
const (
	// IOMMUOff lets the device reach all memory (iommu=pt).
	IOMMUOff IOMMU = iota
	// IOMMUOn maps memory once and keeps it, as drivers with a page pool do.
	IOMMUOn
	// IOMMULazy maps every buffer for its packet; invalidation waits (iommu.strict=0).
	IOMMULazy
	// IOMMUStrict does so and waits for each invalidation (iommu.strict=1).
	IOMMUStrict
	numIOMMUs
)

var iommuNames = [numIOMMUs]string{"off", "on", "lazy", "strict"}

// String is the word for it.
func (i IOMMU) String() string {
	if i >= numIOMMUs {
		return "iommu?"
	}
	return iommuNames[i]
}

// ParseIOMMU reads the word.
func ParseIOMMU(s string) (IOMMU, error) {
	for i, name := range iommuNames {
		if s == name {
			return IOMMU(i), nil
		}
	}
	return 0, fmt.Errorf("kernel: an IOMMU that is %q: use off, on, lazy or strict", s)
}

// PerPacket says whether buffers are mapped one by one.
func (i IOMMU) PerPacket() bool { return i >= IOMMULazy }

// A remapping is what the driver keeps of the domain of its device. Pages are mapped at
// their own addresses; one that several frames lie in is mapped for the first of them and
// unmapped for the last.
type remapping struct {
	mode   IOMMU
	domain *mmu.Domain
	users  []uint16 // by page, where the mode maps by packets
}

// checkIOMMU finds what cannot go together.
func (c *NICConfig) checkIOMMU() error {
	switch {
	case c.IOMMU >= numIOMMUs:
		return fmt.Errorf("an IOMMU that is %d; up to %d is possible", c.IOMMU, numIOMMUs-1)
	case c.IOMMU != IOMMUOff && c.Domain == nil:
		return fmt.Errorf("IOMMU %v and no domain", c.IOMMU)
	case c.IOMMU.PerPacket() && c.XDP.Program != nil:
		return fmt.Errorf("IOMMU %v with a program at the driver: its buffers stay mapped, so use on", c.IOMMU)
	}
	return nil
}

// setUpDMA maps what the mode keeps mapped: all of memory.
func (d *driver) setUpDMA(mode IOMMU, domain *mmu.Domain) error {
	if mode == IOMMUOff {
		return nil
	}
	m := d.k.mem
	d.dma = remapping{mode: mode, domain: domain}
	if mode.PerPacket() {
		d.dma.users = make([]uint16, m.Size()/mem.PageSize)
		return nil
	}
	size := mmu.Page4K
	if p := d.k.paging; p != nil {
		size = p.Kernel
	}
	return mapAll(domain, m, size)
}

// mapAll lets a domain reach all of m at the addresses that it has, by pages of the size;
// the rest behind the last large page by smaller ones.
func mapAll(d *mmu.Domain, m *mem.Memory, size mmu.PageSize) error {
	for at := mem.Addr(0); at < mem.Addr(m.Size()); {
		for at+size.Bytes() > mem.Addr(m.Size()) {
			size--
		}
		n := (mem.Addr(m.Size()) - at) &^ (size.Bytes() - 1)
		if err := d.Map(at, at, int(n), size, mmu.ReadWrite); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// dmaMap lets the device reach n bytes at a, if it cannot reach everything. It does not
// charge that.
func (d *driver) dmaMap(a mem.Addr, n int) {
	if d.dma.users == nil {
		return
	}
	for p := a / mem.PageSize; p <= (a+mem.Addr(n)-1)/mem.PageSize; p++ {
		if d.dma.users[p]++; d.dma.users[p] == 1 {
			if err := d.dma.domain.Map(p*mem.PageSize, p*mem.PageSize, mem.PageSize, mmu.Page4K, mmu.ReadWrite); err != nil {
				d.k.eng.Fail(fmt.Errorf("%s: %w", d.name, err))
			}
		}
	}
}

// dmaUnmap takes that back.
func (d *driver) dmaUnmap(c *CPU, a mem.Addr, n int) {
	for p := a / mem.PageSize; p <= (a+mem.Addr(n)-1)/mem.PageSize; p++ {
		if d.dma.users[p]--; d.dma.users[p] == 0 {
			if _, err := d.dma.domain.Unmap(p*mem.PageSize, mem.PageSize, c.clock.Now()); err != nil {
				d.k.eng.Fail(fmt.Errorf("%s: %w", d.name, err))
			}
		}
	}
}

// unmapRx takes the buffers of n descriptors from first on away from the device.
func (d *driver) unmapRx(c *CPU, q *rxQueue, first, n int) {
	for i := range n {
		d.dmaUnmap(c, q.buffers[(first+i)%q.size].addr, rxBufferSize)
	}
	d.unmapped(c, n)
}

// mapTx lets the device read the buffers of s, and unmapTx takes them back.
func (d *driver) mapTx(c *CPU, s *skb) {
	d.dmaMap(s.addr, len(s.data))
	for i := range s.nfrags {
		d.dmaMap(s.frags.buf[i].addr, len(s.frags.buf[i].data))
	}
	c.many(cost.DmaMapPage, s, 1+uint64(s.nfrags), 0)
}

func (d *driver) unmapTx(c *CPU, s *skb) {
	d.dmaUnmap(c, s.addr, len(s.data))
	for i := range s.nfrags {
		d.dmaUnmap(c, s.frags.buf[i].addr, len(s.frags.buf[i].data))
	}
	d.unmapped(c, 1+int(s.nfrags))
}

// unmapped charges the wait for so many invalidations. What else unmapping costs is in the
// price of mapping.
func (d *driver) unmapped(c *CPU, n int) {
	if d.dma.mode == IOMMUStrict && n > 0 {
		c.shared(cost.DmaUnmapSync, uint64(n), "")
	}
}
