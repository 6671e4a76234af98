package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"ringside/kernel"
	"ringside/mmu"
	"ringside/sim"
)

// batching adds the flags that say how frames are taken in.
func (o *options) batching(fs *pflag.FlagSet) {
	b := &o.cfg.Batching
	flag(fs, "interrupts", "napi|per-frame", "napi", "how frames are taken off the ring: polled after an interrupt, or one hard interrupt for each as before NAPI", func(s string) (err error) {
		b.Interrupts, err = kernel.ParseInterrupts(s)
		return trimmed(err)
	})
	whole(fs, &b.Weight, "napi-weight", "64", "frames of one poll", 0, kernel.MaxWeight, "64")
	whole(fs, &b.List, "gro-normal-batch", "8", "frames that go up as one list", 0, 8, "8")
	whole(fs, &b.Budget, "netdev-budget", "300", "frames of one net_rx_action", 0, kernel.MaxBudget, "300")
	spanFlag(fs, &b.BudgetTime, "netdev-budget-time", "2ms", "time of one net_rx_action (netdev_budget_usecs)")
	whole(fs, &b.Backlog, "max-backlog", "1000", "frames on a CPU's backlog (netdev_max_backlog)", 0, kernel.MaxBacklog, "1000")
	fs.BoolVar(&b.Threaded, "threaded", false, "a thread polls in place of softirq (threaded NAPI)")
	whole(fs, &b.DeferHardIRQs, "defer-hard-irqs", "0", "empty polls before interrupts are wanted again (napi_defer_hard_irqs); a timer polls meanwhile", 0, kernel.MaxDefer, "2")
	spanFlag(fs, &b.FlushTimeout, "gro-flush-timeout", "0", "that timer's span")
	spanFlag(fs, &b.BusyPoll, "busy-poll", "0", "how long a guest's read polls the ring itself before it sleeps (SO_BUSY_POLL)")
	fs.BoolVar(&b.AdaptiveITR, "adaptive-itr", false, "the driver chooses the gap between interrupts by what comes: 14, 50 or 250 us")
	flag(fs, "rps", "CPUS", "", "CPUs that frames are spread over by flow (rps_cpus), as in 1-3 or 1,3; off for none", func(s string) (err error) {
		b.RPS, err = parseCPUs(s)
		return err
	})
	flag(fs, "pages", "SIZE", "off", "pages that memory is mapped with, and a model of TLBs whose misses are charged: 4k, 2m or 1g; off for none", func(s string) error {
		o.cfg.Paging = kernel.Paging{}
		if s == "off" {
			return nil
		}
		size, err := mmu.ParsePageSize(s)
		if err != nil {
			return errors.New("give 4k, 2m, 1g or off")
		}
		o.cfg.Paging = kernel.PagesOf(size)
		return nil
	})
	flag(fs, "iommu", "off|on|lazy|strict", "off", "what the NIC reaches memory through: on maps all of it once, lazy and strict each buffer for its packet, and strict waits for the IOTLB", func(s string) (err error) {
		o.cfg.IOMMU, err = kernel.ParseIOMMU(s)
		return trimmed(err)
	})
	flag(fs, "mitigations", "off|on", "off", "prices with mitigations of speculative execution: on stands for --book linux-xeon-mitigations", func(s string) error {
		switch s {
		case "on":
			o.book = "linux-xeon-mitigations"
		case "off":
			o.book = "linux-xeon"
		default:
			return errors.New("give on or off")
		}
		return nil
	})
}

// spanFlag adds a flag for a span of time up to a second, 0 for the default.
func spanFlag(fs *pflag.FlagSet, at *sim.Time, name, def, usage string) {
	flag(fs, name, "SPAN", def, usage, func(s string) error {
		if _, rest, _ := strings.Cut(s, "0"); strings.HasPrefix(s, "0") && strings.Trim(rest, "num s") == "" {
			*at = 0
			return nil
		}
		t, ok := duration(s)
		if !ok || t > sim.Second {
			return fmt.Errorf("give a span up to 1s, as in --%s 20us, or 0", name)
		}
		*at = t
		return nil
	})
}

// parseCPUs reads a list of CPUs, as in 1-3,5.
func parseCPUs(s string) (mask uint64, err error) {
	wrong := errors.New("give CPUs from 0 to 63, as in --rps 1-3 or --rps 1,3, or off")
	if s == "off" {
		return 0, nil
	}
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		lo, err := strconv.ParseUint(from, 10, 6)
		if err != nil {
			return 0, wrong
		}
		hi := lo
		if isRange {
			if hi, err = strconv.ParseUint(to, 10, 6); err != nil || hi < lo {
				return 0, wrong
			}
		}
		for c := lo; c <= hi; c++ {
			mask |= 1 << c
		}
	}
	return mask, nil
}
