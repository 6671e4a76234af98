package ringside

import (
	"ringside/mmu"
	"ringside/nic"
)

// iommu is the host's IOMMU as the drivers use it.
func (c *Config) iommu() (m mmu.IOMMUConfig) {
	if c.IOMMU == IOMMUStrict {
		m.Invalidation = mmu.Strict
	}
	return m
}

// hostDomain is the domain of the next NIC's physical function, nil where it has none.
func (h *Host) hostDomain(n *NIC) (*mmu.Domain, error) {
	if h.cfg.IOMMU == IOMMUOff {
		return nil, nil
	}
	if err := h.setUpIOMMU(); err != nil {
		return nil, err
	}
	d := h.iommu.NewDomain(n.Name, h.Memory)
	return d, h.iommu.Attach(physical(len(h.NICs)), d)
}

// remapped is what the next NIC's physical function reaches memory through.
func (h *Host) remapped() (nic.DMA, mmu.Source) {
	if h.cfg.IOMMU == IOMMUOff {
		return nil, 0
	}
	return h.iommu, physical(len(h.NICs))
}

// physical is the requester ID of the physical function of the NIC with a number.
func physical(bus int) mmu.Source { return mmu.Source((bus + 1) << 8) }
