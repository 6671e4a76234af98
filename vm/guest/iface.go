package guest

import (
	"bytes"
	"net/netip"
	"slices"

	"ringside/cost"
	"ringside/netstack"
	"ringside/offload"
)

// An iface is a network interface: a NIC below, the stack and raw sockets above.
type iface struct {
	k    *Kernel
	name string
	mac  [6]byte
	mtu  int
	nic  NIC
	feat Features
	link *netstack.Interface

	pending   uint64 // vectors whose interrupt waits
	scheduled bool   // on the list of those to be polled
	next      *iface // on that list
	deliver   func(*netstack.Packet)

	queue frameQueue
	raw   *RawConn // sockets that see its frames
}

// open makes the interface of the stack.
func (in *iface) open(k *Kernel, c *Interface) error {
	*in = iface{k: k, name: c.Name, mac: c.MAC, mtu: c.MTU, nic: c.NIC, feat: c.NIC.Features()}
	in.deliver = in.receive
	var err error
	in.link, err = k.stack.AddInterface(netstack.InterfaceConfig{
		Name: in.name, MAC: in.mac, MTU: in.mtu, Link: in,
		TxChecksum: in.feat.TxChecksum, RxChecksum: in.feat.RxChecksum, GSOMax: in.feat.GSOMax,
	})
	if err != nil {
		return err
	}
	for _, p := range c.Addresses {
		if err := in.addAddress(p); err != nil {
			return err
		}
	}
	return nil
}

// addAddress gives the interface an address.
func (in *iface) addAddress(p netip.Prefix) error {
	if err := in.link.AddAddress(p); err != nil {
		return err
	}
	in.k.setAddrs(append(in.k.addrs, p.Addr()))
	return nil
}

// removeAddress takes it away again.
func (in *iface) removeAddress(a netip.Addr) error {
	if err := in.link.RemoveAddress(a); err != nil {
		return err
	}
	i := slices.Index(in.k.addrs, a)
	in.k.setAddrs(slices.Delete(in.k.addrs, i, i+1))
	return nil
}

// interrupt is the hard interrupt: napi_schedule, nothing else.
func (in *iface) interrupt() {
	for v := 0; in.pending != 0; v++ {
		bit := uint64(1) << v
		if in.pending&bit == 0 {
			continue
		}
		in.pending &^= bit
		if in.nic.Interrupt(v) {
			in.schedule()
		}
	}
}

// schedule puts the NIC at the end of the list of those to be polled.
func (in *iface) schedule() {
	if in.scheduled {
		return
	}
	k := in.k
	in.scheduled, in.next = true, nil
	*k.pollEnd, k.pollEnd = in, &in.next
}

// pollWeight is how many packets one poll may take.
const pollWeight = 64

// poll takes packets up the stack, which then works on them as a batch, and sends
// what waits for room.
func (in *iface) poll() {
	in.scheduled = false
	_, more := in.nic.Poll(pollWeight, in.deliver)
	if more {
		in.schedule()
	}
	in.drain()
	in.k.settle()
}

// receive takes one packet: to the raw sockets, and to the stack unless one of
// them keeps it.
func (in *iface) receive(p *netstack.Packet) {
	if in.raw != nil && in.tap(p) {
		return
	}
	in.k.cpu.Charge(cost.GuestIPRcv, 1)
	if !in.k.cfg.Unbilled {
		in.k.chargeRcv(p)
	}
	in.link.Deliver(p)
}

// chargeRcv charges what the transport does with a packet that came in, if it is for
// the guest.
func (k *Kernel) chargeRcv(p *netstack.Packet) {
	b, h := k.look(p)
	if h.transport == 0 || !multicast(h.dst(b)) && !k.own(h.dst(b)) {
		return
	}
	if !p.Meta.Valid && !p.Meta.NeedsCsum {
		k.cpu.ChargeBytes(cost.GuestChecksum, 1, uint64(p.Len-h.transport))
	}
	k.cpu.Charge(cost.GuestTransportRcv, 1)
}

// setAddrs sets the addresses of the guest, and keeps them as packets have them.
func (k *Kernel) setAddrs(list []netip.Addr) {
	k.addrs, k.raw = list, k.raw[:0]
	for _, a := range list {
		k.raw = append(k.raw, a.AsSlice())
	}
}

// own says whether a is an address of the guest, as a packet has it.
func (k *Kernel) own(a []byte) bool {
	for _, b := range k.raw {
		if bytes.Equal(a, b) {
			return true
		}
	}
	return false
}

// Send takes what the stack sends. It is netstack.Link.
func (in *iface) Send(p *netstack.Packet) bool {
	if !in.k.cfg.Unbilled {
		in.k.chargeXmit(p)
	}
	in.k.cpu.Charge(cost.GuestIPOutput, 1)
	return in.transmit(p)
}

// chargeXmit charges what the transport has done for a packet that goes out, if it
// began here.
func (k *Kernel) chargeXmit(p *netstack.Packet) {
	b, h := k.look(p)
	if h.transport == 0 || !k.own(h.src(b)) {
		return
	}
	k.cpu.Charge(cost.GuestTransportXmit, 1)
	if !p.Meta.NeedsCsum {
		k.cpu.ChargeBytes(cost.GuestChecksum, 1, uint64(p.Len-h.transport))
	}
}

// xmit sends a frame of a program's own: what the device cannot do for it is done
// first.
func (in *iface) xmit(p *netstack.Packet) bool {
	k, ok := in.k, true
	if g := p.Meta.GSO; g == offload.GSOUDPL4 || g != offload.GSONone && p.Len > in.feat.GSOMax {
		err := offload.Segment(p.Parts, p.Meta, func(hdr []byte, payload [][]byte, m offload.Meta) {
			parts := append([][]byte{hdr}, payload...)
			n := 0
			for _, b := range parts {
				n += len(b)
			}
			k.cpu.ChargeBytes(cost.GuestChecksum, 1, uint64(n-len(hdr)))
			ok = in.transmit(&netstack.Packet{Parts: parts, Len: n, Meta: m}) && ok
		})
		return ok && err == nil
	}
	if p.Meta.NeedsCsum && !in.feat.TxChecksum {
		k.cpu.ChargeBytes(cost.GuestChecksum, 1, uint64(max(p.Len-int(p.Meta.CsumStart), 0)))
		if !offload.Complete(p.Parts, &p.Meta) {
			return false
		}
	}
	return in.transmit(p)
}

// transmit gives a frame to the NIC, or keeps it until there is room.
func (in *iface) transmit(p *netstack.Packet) bool {
	if in.queue.n == 0 && in.nic.Transmit(p) {
		return true
	}
	return in.queue.push(p, txQueueLen)
}

// drain sends what waits, while there is room.
func (in *iface) drain() {
	for in.queue.n > 0 && in.nic.Transmit(in.queue.first()) {
		in.queue.pop()
	}
}

var _ netstack.Link = (*iface)(nil)

// txQueueLen is how many packets may wait for room in the NIC (txqueuelen).
const txQueueLen = 1000
