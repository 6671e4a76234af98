package kernel

import (
	"fmt"
	"math"

	"ringside/cost"
)

// A mirror is `tc filter … action mirred egress mirror` on an interface: where a
// copy of every frame goes that comes in by it, or leaves by it.
//
// A copy goes to the far device as it is, past the filters there, and is mirrored
// no further.
type mirror struct{ in, out *netdev }

// Mirror has an interface copy the frames that come in by it to one interface and
// those that leave by it to another; "" is none.
func (k *Kernel) Mirror(name, in, out string) error {
	dev := k.netdev(name)
	if dev == nil {
		return fmt.Errorf("kernel: there is no interface %s to mirror", name)
	}
	var m mirror
	for _, to := range []struct {
		name string
		dev  **netdev
	}{{in, &m.in}, {out, &m.out}} {
		if to.name == "" {
			continue
		}
		if *to.dev = k.netdev(to.name); *to.dev == nil || *to.dev == dev {
			return fmt.Errorf("kernel: %s: frames cannot be mirrored to %q: give another interface", name, to.name)
		}
	}
	dev.mirror = m
	if dev.br != nil {
		dev.br.replain()
	}
	return nil
}

// replain finds the longest frame that needs no look at the port it leaves by.
func (b *netbridge) replain() {
	b.plain = math.MaxInt32
	for _, dev := range b.ports {
		switch {
		case dev == nil:
		case dev.mirror.out != nil:
			b.plain = -1
		default:
			b.plain = min(b.plain, dev.mtu)
		}
	}
}

// ingress is what happens to frames before the rx_handler of the interface's
// bridge has them: they are mirrored. Without a bridge the host's stack has them, if
// it has an address there.
func (k *Kernel) ingress(c *CPU, dev *netdev, list []*skb) {
	for _, s := range list {
		if dev.mirror.in != nil {
			dev.mirror.copy(c, dev.mirror.in, s)
		}
		if dev.br != nil {
			continue
		}
		c.one(cost.NetifReceiveSkbCore, s)
		if dev.host != nil {
			dev.host.input(c, s)
		} else {
			c.drop(s, cost.Stack, cost.UnhandledProto)
		}
	}
}

// copy is tcf_mirred_act: s goes to one device more.
func (m *mirror) copy(c *CPU, to *netdev, s *skb) {
	s.holders++
	c.k.flow.Cloned++
	c.one(cost.TcfMirredAct, s)
	c.one(cost.DevQueueXmit, s)
	to.transmit(c, s)
}
