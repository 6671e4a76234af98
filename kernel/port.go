package kernel

import (
	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

const ethHeader = 14

// A netdev is what stands at a port of the bridge: one of the two.
type netdev struct {
	tap *tap
	drv *driver
}

// receive is netif_receive_skb_list for frames that came in by a port of the
// bridge: its rx_handler takes them all.
func (k *Kernel) receive(c *CPU, in bridge.Port, list []*skb) {
	n := uint64(len(list))
	c.acct.Frames(cost.Stack, n)
	c.acct.Frames(cost.Bridge, n)
	c.each(cost.NetifReceiveSkbCore, list)
	c.each(cost.BrHandleFrame, list)
	for _, s := range list {
		v := k.br.Handle(in, s.data, c.clock.Now())
		if v.Finished() {
			c.one(cost.BrHandleFrameFinish, s, 0, "")
		}
		k.learned(c, s, v.Learned)
		k.decided(c, in, s, &v)
	}
	k.armAgeing()
}

// learned charges what the source address did to the table.
func (k *Kernel) learned(c *CPU, s *skb, what bridge.Learned) {
	switch what {
	case bridge.Refreshed, bridge.OwnAddress, bridge.Refused:
		c.one(cost.BrFdbUpdate, s, 0, "")
	case bridge.Created, bridge.Moved:
		c.one(cost.BrFdbCreate, s, 0, "")
	}
}

// decided carries out the bridge's verdict on s.
func (k *Kernel) decided(c *CPU, in bridge.Port, s *skb, v *bridge.Verdict) {
	if v.Looked {
		c.one(cost.BrFdbFind, s, 0, "")
	}
	if v.Flooded() {
		c.one(cost.BrFlood, s, 0, "")
	}
	if k.sink != nil {
		k.showVerdict(c, in, s, v)
	}
	switch v.Action {
	case bridge.Drop:
		c.drop(s, cost.Bridge, v.Reason)
		return
	case bridge.PassPort:
		c.drop(s, cost.Stack, v.Reason) // nobody listens on a port itself
		return
	}
	if more := v.Copies() - 1; more > 0 {
		s.holders += int32(more)
		k.flow.Cloned += uint64(more)
	}
	for i, out := range v.Out {
		if i < len(v.Out)-1 || v.Up {
			c.one(cost.DeliverClone, s, 0, "")
		} else {
			c.one(cost.BrForward, s, 0, "")
		}
		k.transmit(c, out, s)
	}
	if v.Up {
		c.one(cost.BrPassFrameUp, s, 0, "")
		k.host.input(c, s)
	}
}

func (k *Kernel) showVerdict(c *CPU, in bridge.Port, s *skb, v *bridge.Verdict) {
	what := sight{point: trace.Bridge, port: int32(in), vm: -1}
	switch v.Action {
	case bridge.Drop, bridge.PassPort:
		return // shown by drop
	case bridge.Flood:
		what.verdict = trace.Flood
	case bridge.Forward:
		what.port = int32(v.Out[0])
	}
	what.tx = len(v.Out) == 1 && k.ports[v.Out[0]].drv != nil
	k.show(c, s, what)
}

// transmit is dev_queue_xmit on the device of a port.
func (k *Kernel) transmit(c *CPU, out bridge.Port, s *skb) {
	c.one(cost.DevQueueXmit, s, 0, "")
	dev := &k.ports[out]
	if dev.tap != nil {
		dev.tap.xmit(c, s)
		return
	}
	dev.drv.xmit(c, s)
}

// send is br_dev_xmit: a frame of the host's own stack goes to the bridge.
func (k *Kernel) send(c *CPU, s *skb) {
	c.acct.Frames(cost.Bridge, 1)
	k.begin(c, s)
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, tx: true, port: int32(bridge.Local), vm: -1})
	}
	v := k.br.Handle(bridge.Local, s.data, c.clock.Now())
	k.decided(c, bridge.Local, s, &v)
}

// begin counts a frame that begins inside the machine.
func (k *Kernel) begin(c *CPU, s *skb) {
	k.flow.Own++
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.FrameIn, A: s.id, B: s.hash()})
}

// deliverVM counts a frame that a guest has in its memory.
func (k *Kernel) deliverVM(c *CPU, t *tap, s *skb) {
	now := c.clock.Now()
	c.acct.Frames(cost.Syscall, 1)
	c.acct.Frames(cost.VM, 1)
	k.flow.ToVMs++
	k.Latency.Record(now - s.arrived)
	k.hash.Add(trace.Record{At: now, Kind: trace.Delivered, Who: uint32(t.port), A: s.id, B: s.hash()})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.VM, verdict: trace.Deliver, port: int32(t.port), vm: t.vm})
	}
}

// armAgeing keeps the ageing walk armed for when the table asks for it.
func (k *Kernel) armAgeing() {
	if due := k.br.Due(); due < k.ageing.At() {
		k.eng.Arm(k.ageing, due)
	}
}

// age is br_fdb_cleanup, run by the first CPU's worker.
func (k *Kernel) age(now sim.Time) {
	k.cpus[0].later(func(c *CPU) {
		looked, _, _ := k.br.Age(c.clock.Now())
		c.shared(cost.BrFdbCleanup, uint64(looked), "")
		k.armAgeing()
	})
}
