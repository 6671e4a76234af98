package ringside

import (
	"fmt"
	"strings"

	"ringside/sim"
	"ringside/wire"
)

// Link words that are the speeds of a link.
var linkSpeeds = map[string]uint64{"1g": 1e9, "10g": 10e9, "25g": 25e9, "40g": 40e9, "100g": 100e9}

// ParseLink reads what a link is: its speed, 1G, 10G, 25G, 40G or 100G, then what
// happens on it, as wire.Parse reads it. Either may be left out; the speed is 0 then.
// "25G delay 5ms loss 1%" has both.
func ParseLink(s string) (bps uint64, spec wire.Spec, err error) {
	first, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	if bps = linkSpeeds[strings.TrimSuffix(strings.ToLower(first), "bit/s")]; bps == 0 {
		rest = s
		if first != "" && '0' <= first[0] && first[0] <= '9' {
			return 0, spec, fmt.Errorf("link %q: the speeds are 1G, 10G, 25G, 40G and 100G, and what can happen on it delay, loss and more, as in 25G or 10G delay 5ms loss 1%%", s)
		}
	}
	spec, err = wire.Parse(rest)
	return bps, spec, err
}

// link lays the link between a NIC and its wire, nil if there is none.
func (h *Host) link(n *NIC) (*wire.Link, error) {
	if n.Link == (wire.Spec{}) {
		return nil, nil
	}
	c := wire.Config{Name: n.Name, Engine: h.Engine, Spec: n.Link, BPS: n.LinkBPS}
	if lost := h.cfg.Lost; lost != nil {
		c.Lost = func(l wire.Lost) { lost(n.Name, l) }
	}
	link, err := wire.New(c, n.Wire)
	if err != nil {
		return nil, err
	}
	n.Wire = link
	return link, nil
}

// checkLinks asks whether every frame that a link took is accounted for, there and in
// the NIC.
func (h *Host) checkLinks() error {
	for i, l := range h.links {
		if l == nil {
			continue
		}
		name, st := h.cfg.NICs[i].Name, h.NICs[i].Counts()
		rx, tx := l.Rx(), l.Tx()
		if err := rx.Check(); err != nil {
			return fmt.Errorf("link of %s, rx: %w", name, err)
		}
		if err := tx.Check(); err != nil {
			return fmt.Errorf("link of %s, tx: %w", name, err)
		}
		if in := st.In + h.NICs[i].UnderWay(); in != rx.Out || st.Sent != tx.In {
			return fmt.Errorf("link of %s: handed out %d frames and the NIC took %d; took %d and the NIC sent %d", name, rx.Out, in, tx.In, st.Sent)
		}
	}
	return nil
}

// checkLinksRest asks whether links are empty when the machine is at rest.
func (h *Host) checkLinksRest() error {
	for i, l := range h.links {
		if l == nil {
			continue
		}
		if rx, tx := l.Rx(), l.Tx(); rx.Held+tx.Held > 0 {
			return fmt.Errorf("link of %s: at rest with %d frames on their way in and %d on their way out", h.cfg.NICs[i].Name, rx.Held, tx.Held)
		}
	}
	return nil
}

// latest is when the last frame came out of a link.
func (h *Host) latest() (t sim.Time) {
	for _, l := range h.links {
		if l != nil {
			t = max(t, l.Latest())
		}
	}
	return t
}

// A LinkReport is what the link of one NIC did to frames.
type LinkReport struct {
	NIC  string    `json:"nic"`
	Spec string    `json:"spec"` // as wire.Parse reads it
	Rx   WayReport `json:"rx"`   // towards the NIC
	Tx   WayReport `json:"tx"`   // from it
}

// A WayReport is one direction of a link: In + Duplicated = Out + lost + Held. The
// machine's own account begins behind the link: frames that are lost on it never came
// in, and a duplicate came in like any other.
type WayReport struct {
	In         uint64            `json:"in"`
	Duplicated uint64            `json:"duplicated"`
	Corrupted  uint64            `json:"corrupted"`
	Reordered  uint64            `json:"reordered"`
	Lost       map[string]uint64 `json:"lost"` // by reason; see wire.Reason
	Out        uint64            `json:"out"`
	Held       uint64            `json:"held"` // on the link when the run ended
	DelayNs    DelayReport       `json:"delay_ns"`
}

// A DelayReport is how long frames that came out were on a link, in nanoseconds.
type DelayReport struct {
	Min  int64 `json:"min"`
	Mean int64 `json:"mean"`
	Max  int64 `json:"max"`
}

func (h *Host) linkReports() (list []LinkReport) {
	for i, l := range h.links {
		if l != nil {
			list = append(list, LinkReport{h.cfg.NICs[i].Name, l.Spec().String(), wayReport(l.Rx()), wayReport(l.Tx())})
		}
	}
	return list
}

func wayReport(c wire.Counts) WayReport {
	r := WayReport{
		In: c.In, Duplicated: c.Duplicated, Corrupted: c.Corrupted, Reordered: c.Reordered, Out: c.Out, Held: c.Held,
		Lost:    map[string]uint64{},
		DelayNs: DelayReport{c.Min.Nanoseconds(), c.Mean().Nanoseconds(), c.Max.Nanoseconds()},
	}
	for why, n := range c.Lost {
		if n > 0 {
			r.Lost[wire.Reason(why).String()] = n
		}
	}
	return r
}
