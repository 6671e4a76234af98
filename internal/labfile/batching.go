package labfile

import (
	"strings"

	"ringside"
	"ringside/internal/form"
	"ringside/sim"
)

// readBatching reads how frames are taken in, by the names of Linux's sysctls and
// of its files under /sys/class/net.
func (l *lab) readBatching(f field) {
	b := &l.cfg.Batching
	l.batching = f
	span := func(into *sim.Time) func(field) { return l.SpanInto(into, 0, 0, sim.Second) }
	l.Mapping(f, "how frames are taken in, as {napi_weight: 32, threaded: on}", []known{
		{Name: "interrupts", Read: func(f field) {
			if i, ok := l.Word(f, "napi", "per-frame"); ok {
				b.Interrupts = []ringside.Interrupts{ringside.ByNAPI, ringside.PerFrame}[i]
			}
		}},
		{Name: "napi_weight", Read: form.Whole(l.Reader, &b.Weight, 1, ringside.MaxNAPIWeight)},
		{Name: "gro_normal_batch", Read: form.Whole(l.Reader, &b.List, 1, 8)},
		{Name: "netdev_budget", Read: form.Whole(l.Reader, &b.Budget, 1, 1<<20)},
		{Name: "netdev_budget_time", Read: span(&b.BudgetTime)},
		{Name: "netdev_max_backlog", Read: form.Whole(l.Reader, &b.Backlog, 1, 1<<20)},
		{Name: "threaded", Read: l.On(&b.Threaded)},
		{Name: "napi_defer_hard_irqs", Read: form.Whole(l.Reader, &b.DeferHardIRQs, 0, 1000)},
		{Name: "gro_flush_timeout", Read: span(&b.FlushTimeout)},
		{Name: "busy_poll", Read: span(&b.BusyPoll)},
		{Name: "adaptive_itr", Read: l.On(&b.AdaptiveITR)},
		{Name: "rps_sock_flow_entries", Read: form.Whole(l.Reader, &b.RFS, 1, 1<<20)},
		{Name: "rps_flow_cnt", Read: form.Whole(l.Reader, &b.RFSFlows, 1, 1<<20)},
		{Name: "rps_cpus", Read: func(f field) {
			for _, e := range l.List(f) {
				if k, ok := l.Number(e, 0, 63); ok {
					b.RPS |= 1 << k
				}
			}
		}},
	})
}

// checkBatching finds what cannot go together on a machine with so many CPUs.
func (l *lab) checkBatching(cpus int) {
	if l.batching.Node == nil {
		return
	}
	if err := l.cfg.Batching.Check(cpus); err != nil {
		l.Wrong(l.batching, "%s", strings.ReplaceAll(err.Error(), "kernel: ", ""))
	}
}
