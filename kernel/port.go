package kernel

import (
	"fmt"

	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

const ethHeader = 14

// receive is netif_receive_skb_list for frames that came in by an interface: the
// rx_handler of its bridge takes them all. At most groNormalBatch frames.
//
// Frames in a row that the bridge simply forwards are charged and sent together;
// a frame with any other fate is dealt with alone, in its turn.
func (k *Kernel) receive(c *CPU, dev *netdev, list []*skb) {
	if dev.generic != nil {
		if list = dev.generic.generic(c, list); len(list) == 0 {
			return
		}
	}
	b := dev.br
	if b == nil || dev.mirror.in != nil {
		k.ingress(c, dev, list)
	}
	if b == nil {
		return
	}
	c.all(list, cost.NetifReceiveSkbCore, cost.BrHandleFrame)
	now := c.clock.Now()
	var out [groNormalBatch]bridge.Port
	for len(list) > 0 {
		n, v := b.decide(dev.port, list, now, &out)
		b.forward(c, list[:n], out[:n])
		if n == len(list) {
			break
		}
		b.carryOut(c, dev.index, list[n], &v)
		list = list[n+1:]
	}
	b.arm()
}

// decide asks the bridge about one frame after the other while it simply forwards
// them. It returns how many those are, each with its port in out, and the verdict
// on the one after them.
func (b *netbridge) decide(in bridge.Port, list []*skb, now sim.Time, out *[groNormalBatch]bridge.Port) (int, bridge.Verdict) {
	br, plain := b.br, b.plain
	if br.Large() {
		for _, s := range list {
			br.Ahead(s.data)
		}
	}
	for i, s := range list {
		v := br.Handle(in, s.data, now)
		if v.Action != bridge.Forward || v.Work != bridge.Usual || s.length > plain {
			return i, v
		}
		out[i] = v.Out[0].Port
	}
	return len(list), bridge.Verdict{}
}

// forward sends frames from known stations, each to its one port.
func (b *netbridge) forward(c *CPU, list []*skb, out []bridge.Port) {
	if len(list) == 0 {
		return
	}
	c.all(list, cost.BrHandleFrameFinish, cost.BrFdbUpdate, cost.BrFdbFind, cost.BrForward, cost.DevQueueXmit)
	for len(list) > 0 {
		n, dev := 1, b.ports[out[0]]
		if c.watched {
			b.k.show(c, list[0], sight{point: trace.Bridge, port: dev.index, vm: -1, tx: dev.drv != nil})
		} else {
			for n < len(list) && out[n] == out[0] {
				n++
			}
		}
		dev.transmit(c, list[:n]...)
		list, out = list[n:], out[n:]
	}
}

// carryOut does what the bridge decided on a frame from the interface with that
// index, and sends what the bridge has made itself since.
func (b *netbridge) carryOut(c *CPU, index int32, s *skb, v *bridge.Verdict) {
	b.bill(c, s, v)
	if b.k.sink != nil {
		b.showVerdict(c, index, s, v)
	}
	switch {
	case v.Action == bridge.PassPort && v.Reason == cost.RSBPDU:
		b.tookBPDU(c, index, s)
	case v.Action == bridge.PassPort:
		c.drop(s, cost.Stack, v.Reason) // nobody listens on a port itself
	case v.Action == bridge.Drop:
		c.drop(s, cost.Bridge, v.Reason)
	default:
		b.send(c, s, v)
	}
	b.sent(c)
}

// bill charges what the bridge did, in the order in which Linux does it.
func (b *netbridge) bill(c *CPU, s *skb, v *bridge.Verdict) {
	for _, w := range worksBefore {
		if v.Work.Has(w.did) {
			c.one(w.step, s)
		}
	}
	b.k.learned(c, s, v.Work.Learned())
	for _, w := range worksAfter {
		if v.Work.Has(w.did) {
			c.one(w.step, s)
		}
	}
	if v.Action == bridge.Flood && !v.Work.Has(bridge.Flooded) {
		c.one(cost.BrMulticastFlood, s)
	}
}

// A work is a bit of a verdict's work and the step that it is.
type work struct {
	did  bridge.Work
	step cost.Step
}

// The works of a verdict before the source is learned, and after. VLANEgress is
// charged for every copy, PassedUp with the copy that goes up, Emitted with the
// frames that the bridge sends.
var (
	worksBefore = [...]work{
		{bridge.Finished, cost.BrHandleFrameFinish},
		{bridge.VLANIngress, cost.BrAllowedIngress},
		{bridge.Looked2, cost.BrFdbFindSrc},
	}
	worksAfter = [...]work{
		{bridge.Snooped, cost.BrMulticastRcv},
		{bridge.Suppressed, cost.BrDoSuppress},
		{bridge.MDBLooked, cost.BrMdbEntryGet},
		{bridge.Looked, cost.BrFdbFind},
		{bridge.Flooded, cost.BrFlood},
		{bridge.Redirected, cost.BackupPort},
	}
)

// learned charges what the source address did to the table.
func (k *Kernel) learned(c *CPU, s *skb, what bridge.Learned) {
	switch what {
	case bridge.Refreshed, bridge.OwnAddress, bridge.Refused:
		c.one(cost.BrFdbUpdate, s)
	case bridge.Created, bridge.Moved:
		c.one(cost.BrFdbCreate, s)
	}
}

// send makes the copies of s and sends each its way.
func (b *netbridge) send(c *CPU, s *skb, v *bridge.Verdict) {
	out, vlans := v.Out, v.Work.Has(bridge.VLANEgress)
	if more := len(out) - 1; more > 0 {
		s.holders += int32(more)
		b.k.flow.Cloned += uint64(more)
	}
	for i := range out {
		cp := &out[i]
		switch {
		case cp.Port == bridge.Local:
			c.one(cost.BrPassFrameUp, s)
		case cp.To != bridge.MAC{}:
			c.one(cost.MaybeDeliverAddr, s)
		case i < len(out)-1:
			c.one(cost.DeliverClone, s)
		default:
			c.one(cost.BrForward, s)
		}
		if vlans {
			c.one(cost.BrHandleVlan, s)
		}
		t := s
		if !plainCopy(cp) {
			t = b.k.edited(s, cp)
		}
		if cp.Port == bridge.Local {
			b.host.input(c, t)
			return // answers may have used out
		}
		b.push(c, b.ports[cp.Port], t)
	}
}

// push is br_dev_queue_push_xmit.
func (b *netbridge) push(c *CPU, dev *netdev, s *skb) {
	if !dev.forwardable(s) {
		c.drop(s, cost.Bridge, cost.PktTooBig)
		return
	}
	c.one(cost.DevQueueXmit, s)
	if dev.mirror.out != nil {
		dev.mirror.copy(c, dev.mirror.out, s)
	}
	dev.transmit(c, s)
}

func (b *netbridge) showVerdict(c *CPU, in int32, s *skb, v *bridge.Verdict) {
	what := sight{point: trace.Bridge, port: in, vm: -1}
	switch v.Action {
	case bridge.Drop, bridge.PassPort:
		return // shown by drop
	case bridge.Flood:
		what.verdict = trace.Flood
	case bridge.Forward:
		what.port = b.ports[v.Out[0].Port].index
	}
	ports := len(v.Out)
	if ports > 0 && v.Out[ports-1].Port == bridge.Local {
		ports--
	}
	what.tx = ports == 1 && b.ports[v.Out[0].Port].drv != nil
	b.k.show(c, s, what)
}

// xmit is br_dev_xmit: a frame of the host's own stack goes to the bridge.
func (b *netbridge) xmit(c *CPU, s *skb) {
	b.k.begin(c, s)
	if b.k.sink != nil {
		b.k.show(c, s, sight{point: trace.Host, tx: true, port: b.index, vm: -1})
	}
	v := b.br.Handle(bridge.Local, s.data, c.clock.Now())
	b.carryOut(c, b.index, s, &v)
	b.arm()
}

// begin counts a frame that begins inside the machine.
func (k *Kernel) begin(c *CPU, s *skb) {
	k.flow.Own++
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.FrameIn, A: s.id, B: uint64(s.length)})
}

// deliverVM counts a frame that a guest has in its memory since now, and frees
// it. It stays a call, so that a compile profile inlines its parts.
//
//go:noinline
func (k *Kernel) deliverVM(c *CPU, t *tap, s *skb, now sim.Time) {
	k.flow.ToVMs++
	if now < s.arrived {
		k.eng.Fail(fmt.Errorf("frame %d is in %s at %v and came in at %v", s.id, t.name, now, s.arrived))
	}
	if !t.raw {
		k.Latency.Record(now - s.arrived)
	}
	bytes := trace.Bytes(s.data)
	if s.nfrags > 0 {
		bytes = s.hashFrags(bytes)
	}
	k.hash.Delivered(now, uint32(t.net.index), s.id, trace.Fate(bytes, s.arrived))
	if c.watched {
		c.noteOne(s.consumed(), s)
		k.show(c, s, sight{point: trace.VM, verdict: trace.Deliver, port: t.net.index, vm: t.vm})
	}
	k.release(s)
}
