package nic

import (
	"math/bits"

	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// IRQ is where MSI-X messages go.
type IRQ interface {
	// Interrupt is called from an engine event at the time at.
	Interrupt(vector int, at sim.Time)
}

// A vector is one MSI-X vector with its throttle [7.3]. Between a cause and
// the interrupt lie three moments:
//
//	cause    the bit in EICR was set, or unmasked if that was later
//	expiry   the interval since the last message is over
//	deliver  the message, sent at the later of the two, is at the CPU
type vector struct {
	cause, expiry, deliver sim.Time
	eitr                   Eitr
}

// interval is the least time between two messages.
func (v *vector) interval() sim.Time {
	return sim.Time(v.eitr&EitrIntervalMask>>EitrIntervalShift) * sim.Microsecond
}

// An interrupts is the interrupt controller: what is set, masked, owed and on
// its way, one bit a vector.
type interrupts struct {
	eicr, eims, eiac, eiam uint32
	owed                   uint32 // a cause was set for which no message has gone out
	flying                 uint32 // a message has gone out and is not there yet
	gpie                   Gpie
	vectors                [Vectors]vector
	next                   sim.Time // earliest moment at which an owed message goes out
	sent                   sim.Time // earliest transmit write-back that is still to come
	held                   sim.Time // earliest moment at which a merged frame has waited long enough
	soon                   sim.Time // the earliest of the three
	ivar                   [8]uint32
	ivarMisc               uint32
	icr, ims, iam          uint32 // legacy causes, which feed the vector of IVAR_MISC
}

const vectorMask = 1<<Vectors - 1

// raise sets causes at the time at. A bit that is set already is no new cause.
func (i *interrupts) raise(causes uint32, at sim.Time) {
	causes &^= i.eicr
	if causes == 0 {
		return
	}
	i.eicr |= causes
	i.owed |= causes
	for m := causes; m != 0; m &= m - 1 {
		i.vectors[bits.TrailingZeros32(m)].cause = at
	}
	i.plan()
}

// clear takes causes back, and the messages that they are owed.
func (i *interrupts) clear(causes uint32) {
	i.eicr &^= causes
	i.owed &^= causes
	i.plan()
}

// unmask sets bits of EIMS. A cause that was set while masked counts from now.
func (i *interrupts) unmask(set uint32, now sim.Time) {
	set &^= i.eims
	i.eims |= set
	i.owed |= set & i.eicr
	for m := set & i.owed; m != 0; m &= m - 1 {
		v := &i.vectors[bits.TrailingZeros32(m)]
		v.cause = max(v.cause, now)
	}
	i.plan()
}

// mask clears bits of EIMS.
func (i *interrupts) mask(clear uint32) {
	i.eims &^= clear
	i.plan()
}

// throttle writes an EITR. Without CNT_IGNR the running counter is written too.
func (i *interrupts) throttle(vec int, e Eitr, now sim.Time) {
	v := &i.vectors[vec]
	v.eitr = e &^ EitrCntIgnr
	if e&EitrCntIgnr == 0 {
		v.expiry = now
	}
	i.plan()
}

// able are the vectors that can send: unmasked, with none on its way.
func (i *interrupts) able() uint32 {
	if i.gpie&GpieMultipleMSIX == 0 {
		return 0
	}
	return i.eims &^ i.flying
}

// plan finds the moment at which the next owed message goes out.
func (i *interrupts) plan() {
	i.next = sim.Never
	for m := i.owed & i.able(); m != 0; m &= m - 1 {
		v := &i.vectors[bits.TrailingZeros32(m)]
		i.next = min(i.next, max(v.cause, v.expiry))
	}
	i.soon = min(i.next, i.sent, i.held)
}

// send lets the messages go out that are due at the time i.next, the lowest
// vector first, and applies EIAC and EIAM.
func (n *NIC) send() {
	i := &n.irq
	at := i.next
	for m := i.owed & i.able(); m != 0; m &= m - 1 {
		vec := bits.TrailingZeros32(m)
		v, bit := &i.vectors[vec], uint32(1)<<vec
		if max(v.cause, v.expiry) > at {
			continue
		}
		n.acct.Charge(cost.DevMSIX, 1)
		i.owed &^= bit
		i.flying |= bit
		i.eicr &^= i.eiac & bit
		if i.gpie&GpieEIAME != 0 {
			i.eims &^= i.eiam & bit
		}
		v.expiry = at + v.interval()
		v.deliver = at + n.price.msix
		if i.held != sim.Never {
			n.announce(vec, at)
		}
		n.told(vec)
	}
	i.plan()
}

// settle does what lies before the moment t beside reception: messages go out,
// sent descriptors are written back and merged frames end, in the order of their
// times. A cause of the moment t still joins a message of that moment.
func (n *NIC) settle(t sim.Time) {
	for n.irq.soon < t {
		switch n.irq.soon {
		case n.irq.sent:
			n.reclaim(t)
		case n.irq.next:
			n.send()
		default:
			n.expire()
		}
	}
}

// told says that a message of the vector is on its way: what is in memory now
// will be looked at.
func (n *NIC) told(vec int) {
	for q := range n.queues {
		if n.rx[q].bit == 1<<vec {
			n.rx[q].noticed = n.rx[q].written
		}
		if n.tx[q].bit == 1<<vec {
			n.tx[q].noticed = n.tx[q].reported
		}
	}
}

// Fire is the NIC's one timer: everything due is done, then messages that have
// reached the CPU are handed over, the lowest vector first.
func (n *NIC) Fire(now sim.Time) {
	n.catchUp(now)
	i := &n.irq
	var due uint32
	for m := i.flying; m != 0; m &= m - 1 {
		if i.vectors[bits.TrailingZeros32(m)].deliver <= now {
			due |= m & -m
		}
	}
	i.flying &^= due
	i.plan()
	for m := due; m != 0; m &= m - 1 {
		vec := bits.TrailingZeros32(m)
		n.interrupts++
		if n.sink != nil {
			n.sink.Step(trace.Step{At: now, CPU: -1, Step: cost.DevMSIX, N: 1, Note: vectorNotes[vec]})
		}
		n.deliver(vec, now)
	}
	n.rearm()
}

// deliver hands a message over: to the PF's CPU, or to whom the VF was given.
func (n *NIC) deliver(vec int, now sim.Time) {
	if vec >= n.pfVectors() {
		v := n.vt.vfs[(Vectors-1-vec)/VFVectors]
		if v.to.IRQ != nil {
			v.to.IRQ.Interrupt(vec-v.irqShift(), now)
		}
		return
	}
	n.sendTo.Interrupt(vec, now)
}

// rearm sets the timer to the earliest moment at which a message can reach the
// CPU: one on its way, one that waits for its throttle, or else one that the
// next frame or write-back under way could cause. When every vector is masked,
// as under a driver that polls, no timer is armed.
func (n *NIC) rearm() {
	i := &n.irq
	at := sim.Never
	for m := i.flying; m != 0; m &= m - 1 {
		at = min(at, i.vectors[bits.TrailingZeros32(m)].deliver)
	}
	if i.next != sim.Never {
		at = min(at, i.next+n.price.msix)
	}
	if quiet := i.eims &^ i.owed; quiet != 0 && i.gpie&GpieMultipleMSIX != 0 {
		at = min(at, n.rxCould(quiet), n.txCould(quiet))
	}
	if at == n.armed && n.timer.Armed() {
		return
	}
	if at == sim.Never && !n.timer.Armed() {
		return
	}
	n.armed = at
	n.engine.Arm(n.timer, at)
}

// throttled is the earliest moment from t on at which one of the vectors could
// have its message at the CPU.
func (n *NIC) throttled(t sim.Time, vecs uint32) sim.Time {
	if t == sim.Never {
		return t
	}
	expiry := sim.Never
	for m := vecs; m != 0; m &= m - 1 {
		expiry = min(expiry, n.irq.vectors[bits.TrailingZeros32(m)].expiry)
	}
	return max(t, expiry) + n.price.msix
}

// route reads IVAR: every queue learns the bit of its vector, 0 if it has none
// [7.3]. IVAR[i] has the vectors of receive queue i, transmit queue i,
// receive queue i+8 and transmit queue i+8 in its four bytes.
func (n *NIC) route() {
	for q := range n.queues {
		if v := n.function(q); v != nil {
			v.route()
			continue
		}
		field := n.irq.ivar[q&7] >> (q & 8 << 1)
		n.rx[q].bit = ivarBit(field)
		n.tx[q].bit = ivarBit(field >> 8)
	}
}

// ivarBit is the cause that an IVAR field names.
func ivarBit(field uint32) uint32 {
	if field&IvarValid == 0 || field&0x1F >= Vectors {
		return 0
	}
	return 1 << (field & 0x1F)
}

// legacy sets bits of ICR; those that IMS wants raise the other cause.
func (n *NIC) legacy(causes uint32, at sim.Time) {
	causes &^= n.irq.icr
	n.irq.icr |= causes
	if causes&n.irq.ims != 0 {
		n.irq.raise(ivarBit(n.irq.ivarMisc>>8), at)
	}
}
