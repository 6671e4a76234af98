package kernel

import (
	"fmt"

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
// bridge: its rx_handler takes them all. At most groNormalBatch frames.
//
// Frames in a row that the bridge simply forwards are charged and sent together;
// a frame with any other fate is dealt with alone, in its turn.
func (k *Kernel) receive(c *CPU, in bridge.Port, list []*skb) {
	c.all(list, cost.NetifReceiveSkbCore, cost.BrHandleFrame)
	now := c.clock.Now()
	var out [groNormalBatch]bridge.Port
	for len(list) > 0 {
		n, v := k.decide(in, list, now, &out)
		k.forward(c, list[:n], out[:n])
		if n == len(list) {
			break
		}
		s := list[n]
		if v.Work.Has(bridge.Finished) {
			c.one(cost.BrHandleFrameFinish, s)
		}
		k.learned(c, s, v.Work.Learned())
		k.decided(c, in, s, &v)
		list = list[n+1:]
	}
	k.armAgeing()
}

// decide asks the bridge about one frame after the other while it simply forwards
// them. It returns how many those are, each with its port in out, and the verdict
// on the one after them.
func (k *Kernel) decide(in bridge.Port, list []*skb, now sim.Time, out *[groNormalBatch]bridge.Port) (int, bridge.Verdict) {
	br := k.br
	for i, s := range list {
		v := br.Handle(in, s.data, now)
		if v.Action != bridge.Forward || v.Work != bridge.Usual {
			return i, v
		}
		out[i] = v.Out[0].Port
	}
	return len(list), bridge.Verdict{}
}

// forward sends frames from known stations, each to its one port.
func (k *Kernel) forward(c *CPU, list []*skb, out []bridge.Port) {
	if len(list) == 0 {
		return
	}
	c.all(list, cost.BrHandleFrameFinish, cost.BrFdbUpdate, cost.BrFdbFind, cost.BrForward, cost.DevQueueXmit)
	for len(list) > 0 {
		n := 1
		if c.watched {
			k.show(c, list[0], sight{point: trace.Bridge, port: int32(out[0]), vm: -1, tx: k.ports[out[0]].drv != nil})
		} else {
			for n < len(list) && out[n] == out[0] {
				n++
			}
		}
		k.transmit(c, out[0], list[:n]...)
		list, out = list[n:], out[n:]
	}
}

// learned charges what the source address did to the table.
func (k *Kernel) learned(c *CPU, s *skb, what bridge.Learned) {
	switch what {
	case bridge.Refreshed, bridge.OwnAddress, bridge.Refused:
		c.one(cost.BrFdbUpdate, s)
	case bridge.Created, bridge.Moved:
		c.one(cost.BrFdbCreate, s)
	}
}

// decided carries out the bridge's verdict on s.
func (k *Kernel) decided(c *CPU, in bridge.Port, s *skb, v *bridge.Verdict) {
	if v.Work.Has(bridge.Looked) {
		c.one(cost.BrFdbFind, s)
	}
	if v.Work.Has(bridge.Flooded) {
		c.one(cost.BrFlood, s)
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
		if out.Port == bridge.Local {
			c.one(cost.BrPassFrameUp, s)
			k.host.input(c, s)
			break
		}
		if i < len(v.Out)-1 {
			c.one(cost.DeliverClone, s)
		} else {
			c.one(cost.BrForward, s)
		}
		c.one(cost.DevQueueXmit, s)
		k.transmit(c, out.Port, s)
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
		what.port = int32(v.Out[0].Port)
	}
	ports := len(v.Out)
	if v.Work.Has(bridge.PassedUp) {
		ports--
	}
	what.tx = ports == 1 && k.ports[v.Out[0].Port].drv != nil
	k.show(c, s, what)
}

// transmit is the ndo_start_xmit of a port's device; the caller has charged
// dev_queue_xmit.
func (k *Kernel) transmit(c *CPU, out bridge.Port, list ...*skb) {
	dev := &k.ports[out]
	if dev.tap != nil {
		dev.tap.xmit(c, list)
		return
	}
	for _, s := range list {
		dev.drv.xmit(c, s)
	}
}

// send is br_dev_xmit: a frame of the host's own stack goes to the bridge.
func (k *Kernel) send(c *CPU, s *skb) {
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
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.FrameIn, A: s.id, B: uint64(s.length)})
}

// deliverVM counts a frame that a guest has in its memory since now, and frees
// it.
func (k *Kernel) deliverVM(c *CPU, t *tap, s *skb, now sim.Time) {
	k.flow.ToVMs++
	if now < s.arrived {
		k.eng.Fail(fmt.Errorf("frame %d is in %s at %v and came in at %v", s.id, t.name, now, s.arrived))
	}
	k.Latency.Record(now - s.arrived)
	bytes := trace.Bytes(s.data)
	if s.nfrags > 0 {
		bytes = s.hashFrags(bytes)
	}
	k.hash.Delivered(now, uint32(t.port), s.id, trace.Fate(bytes, s.arrived))
	if c.watched {
		c.noteOne(cost.ConsumeSkb, s)
		k.show(c, s, sight{point: trace.VM, verdict: trace.Deliver, port: int32(t.port), vm: t.vm})
	}
	k.release(s)
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
		did := k.br.Tick(c.clock.Now())
		c.shared(cost.BrFdbCleanup, uint64(did.Walked), "")
		k.armAgeing()
	})
}
