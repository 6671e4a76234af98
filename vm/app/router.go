package app

import (
	"errors"

	"ringside/sim"
	"ringside/vm/guest"
)

// Router watches a machine that forwards IPv4 and IPv6 between its interfaces: the
// work is its stack's, which counts down the time to live, mends the checksum, and
// answers with ICMP what cannot go on. The machine must be one that forwards. It does
// not end. It records forwarded, and expired (whose time to live was over).
func Router(p *guest.Proc) error {
	if !p.Forwards() {
		return errors.New("the machine does not forward: say so in its configuration")
	}
	p.RecordFunc("forwarded", "", func() int64 { return int64(p.Stats().IPForwarded) })
	p.RecordFunc("expired", "", func() int64 {
		drops := p.Stats().Drops
		for i := range drops {
			if drops[i].Reason == "IP_TTL" {
				return int64(drops[i].Count)
			}
		}
		return 0
	})
	p.SleepUntil(sim.Never)
	return nil
}

var _ = register(&Spec{
	Name:    "router",
	Does:    "routes IPv4 and IPv6 between the interfaces of a machine that forwards",
	Forward: true,
	make:    func(values) guest.Program { return Router },
})
