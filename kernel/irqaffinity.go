package kernel

import (
	"errors"
	"fmt"
)

// checkAffinity finds vectors that no CPU could take.
func (cfg *NICConfig) checkAffinity(cpus int) error {
	for i, set := range cfg.IRQAffinity {
		switch {
		case set == 0:
			return errors.New("a vector that may interrupt no CPU")
		case set.last() >= cpus:
			return fmt.Errorf("vector %d may interrupt CPU %d, and there are %d", i, set.last(), cpus)
		}
	}
	return nil
}

// vectorCPU is the CPU that vector i interrupts. Of a mask it is one, since a message
// has one destination: that with the fewest vectors so far, as Linux's vector matrix
// has it, and of several the first.
func (k *Kernel) vectorCPU(cfg NICConfig, i int) *CPU {
	if len(cfg.IRQAffinity) == 0 {
		return k.cpus[(cfg.FirstCPU+i)%len(k.cpus)]
	}
	var best *CPU
	set := cfg.IRQAffinity[min(i, len(cfg.IRQAffinity)-1)]
	for _, c := range k.cpus {
		if set.Has(c.id) && (best == nil || c.vectors < best.vectors) {
			best = c
		}
	}
	return best
}
