package kernel

import (
	"encoding/binary"
	"fmt"

	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// arm keeps the bridge's timer armed for when it has something to do: a walk over
// its table, a hello, a port that comes to forward, a query.
func (b *netbridge) arm() {
	if due := b.br.Due(); due < b.timer.At() && b.user == nil {
		b.k.eng.Arm(b.timer, due)
	}
}

// expired runs the bridge's timers, as the first CPU's worker and softirq do.
func (b *netbridge) expired(sim.Time) {
	b.k.cpus[0].later(func(c *CPU) {
		did := b.br.Tick(c.clock.Now())
		if did.Walked > 0 {
			c.shared(cost.BrFdbCleanup, uint64(did.Walked), "")
		} else {
			c.shared(cost.BrTimer, 1, "")
		}
		b.sent(c)
		b.arm()
	})
}

// Change has f change a bridge at the present time, from outside of the event loop
// or in a timer: link state, options, entries. What the bridge has to send about it
// is sent.
func (k *Kernel) Change(br *bridge.Bridge, f func(*bridge.Bridge) error) error {
	b, err := k.bridgeOf(br)
	if err != nil {
		return fmt.Errorf("kernel: %s: %w", br.Config().Name, err)
	}
	b.br.Tick(k.eng.Now())
	err = f(b.br)
	k.cpus[0].later(func(c *CPU) {
		b.sent(c)
		b.arm()
	})
	return err
}

// tookBPDU is br_stp_rcv: the host is who the frame was for.
func (b *netbridge) tookBPDU(c *CPU, in int32, s *skb) {
	k := b.k
	c.one(cost.BrStpRcv, s)
	k.flow.ToHost++
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Delivered, Who: uint32(b.index), A: s.id, B: s.fate()})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Host, verdict: trace.Deliver, port: in, vm: -1})
	}
	c.one(cost.HostConsumeSkb, s)
	k.release(s)
}

// An ownFrame is a frame that a bridge has made and not sent yet.
type ownFrame struct {
	port bridge.Port
	s    *skb
}

// sent sends what the bridge has made itself.
func (b *netbridge) sent(c *CPU) {
	list := b.br.Sent()
	if len(list) == 0 {
		return
	}
	frames := make([]ownFrame, 0, len(list)) // sending may ask the bridge again
	for _, f := range list {
		if s := b.make(c, f.Frame); s != nil {
			frames = append(frames, ownFrame{f.Port, s})
		}
	}
	for _, f := range frames {
		if f.port == bridge.Local {
			c.one(cost.NetifRx, f.s)
			b.host.input(c, f.s)
			continue
		}
		b.push(c, b.ports[f.port], f.s)
	}
}

// make is a frame of the bridge's own as an sk_buff; nil if there is no memory,
// and then it is as if it was never made.
func (b *netbridge) make(c *CPU, frame []byte) *skb {
	k, step := b.k, maker(frame)
	s, err := k.allocSKB(len(frame))
	if err != nil {
		c.shared(step, 1, "no memory")
		return nil
	}
	n := copy(s.data, frame)
	for i := range s.nfrags {
		n += copy(s.frags.buf[i].data, frame[n:])
	}
	s.id, s.arrived, s.queue = k.newID(), c.clock.Now(), -1
	c.one(step, s)
	k.begin(c, s)
	if k.sink != nil {
		k.show(c, s, sight{point: trace.Bridge, tx: true, port: b.index, vm: -1})
	}
	return s
}

// maker is the function that makes a frame of a bridge's own.
func maker(frame []byte) cost.Step {
	at := addresses
	for tagged(frame[at-addresses:]) {
		at += tagLen
	}
	if len(frame) < at+2 {
		return cost.BrSendBpdu
	}
	switch kind := binary.BigEndian.Uint16(frame[at:]); {
	case kind <= maxLength:
		return cost.BrSendBpdu
	case kind == 0x0806:
		return cost.BrArpSend
	case kind == 0x86dd && len(frame) > at+8 && frame[at+8] == 58: // next header: neighbour advertisement
		return cost.BrNdSend
	}
	return cost.BrSendQuery
}

// maxLength is the highest value of the length/type field that is a length
// [IEEE 802.3, 3.2.6].
const maxLength = 1500
