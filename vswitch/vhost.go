package vswitch

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/sim"
	"ringside/vhostuser"
	"ringside/virtio"
)

// A Guest is what a port that leads to one tells of frames, and how the guest's driver
// is made to set its device up. kernel.UserPort is one.
type Guest interface {
	// Begin counts a frame that the guest has sent, and names it.
	Begin(frame []byte) (id uint64)
	// Deliver counts a frame that the guest has in its memory since now.
	Deliver(id uint64, arrived sim.Time, frame []byte)
	// Index is the interface, in traces.
	Index() int32
}

// VhostConfig describes a vhost-user port. Core, Guest and Pool are required.
type VhostConfig struct {
	Core  Core
	Guest Guest
	Pool  *Pool
	// SetUp, if not nil, is called when a frame comes for a guest whose rings are not
	// there yet: its driver may have put that off.
	SetUp    func()
	Features virtio.Features // offered; 0 means vhostuser.OfferedFeatures
}

// A Vhost is the port that leads to a guest: it serves the rings that a VMM hands over
// by the vhost-user protocol. See NewVhost.
//
//	guest's tx ring ─► Receive:  chain checked, header read, frame copied into an mbuf
//	guest's rx ring ◄─ Transmit: frame copied into chains, used entries, a call if wanted
//
// It asks never to be kicked. What a guest can write into a ring is checked before it is
// used; a guest that breaks the format loses the port.
type Vhost struct {
	core    Core
	guest   Guest
	pool    *Pool
	setUp   func()
	backend *vhostuser.Backend

	chain virtio.Chain
	used  []usedChain
	heads []rxHead
	hdr   [virtio.HdrLen]byte
	wake  func(sim.Time)
}

// A usedChain is a chain that is done with, and how many bytes were written into it.
type usedChain struct {
	head uint16
	n    uint32
}

// An rxHead is a chain that a frame is copied into, and how many bytes it takes.
type rxHead struct {
	head uint16
	room int
}

// The rings of a port's one pair of queues.
const (
	rxRing = 0 // frames to the guest
	txRing = 1 // frames from it
)

// NewVhost makes a port whose VMM has not called yet.
func NewVhost(c VhostConfig) (*Vhost, error) {
	if c.Core == nil || c.Guest == nil || c.Pool == nil {
		return nil, errors.New("vswitch: VhostConfig.Core, Guest and Pool are required")
	}
	v := &Vhost{core: c.Core, guest: c.Guest, pool: c.Pool, setUp: c.SetUp, wake: c.Core.Wake}
	var err error
	v.backend, err = vhostuser.NewBackend(vhostuser.Config{Features: c.Features, Changed: func() { v.core.Wake(v.core.Now()) }})
	return v, err
}

// Backend is the port's end of the socket.
func (v *Vhost) Backend() *vhostuser.Backend { return v.backend }

// Receive is rte_vhost_dequeue_burst: frames that the guest has sent.
func (v *Vhost) Receive(burst []*Mbuf) int {
	r := v.backend.Ring(txRing)
	n, took, bytes := 0, 0, uint64(0)
	var err error
	for r != nil && took < len(burst) && err == nil {
		v.chain.Reset()
		var ok bool
		if ok, err = r.Device.Next(v.core.Now(), &v.chain); !ok {
			break
		}
		if len(v.chain.In) > 0 || v.chain.OutLen < virtio.HdrLen {
			err = fmt.Errorf("%w: %d bytes readable and %d writable for sending", virtio.ErrOrder, v.chain.OutLen, v.chain.InLen)
			break
		}
		m := v.pool.Get()
		if m == nil {
			r.Device.Undo(1)
			break
		}
		took++
		v.used = append(v.used, usedChain{head: v.chain.Head})
		bytes += v.chain.OutLen
		if v.copyIn(m) {
			burst[n] = m
			n++
		}
	}
	if took == 0 && err == nil {
		v.core.Charge(cost.RteEthRxIdle, 1)
		return 0
	}
	v.dequeued(r, burst[:n], took, bytes)
	if err != nil {
		v.broken(err)
	}
	return n
}

// copyIn copies the chain into m as a frame. One that is none is counted and dropped,
// and m freed.
func (v *Vhost) copyIn(m *Mbuf) bool {
	from := virtio.PiecesOf(v.chain.Out)
	from.Read(v.hdr[:])
	n := int(v.chain.OutLen) - virtio.HdrLen
	meta, _, err := virtio.ParseHdr(v.hdr[:], n)
	m.Data = m.Data[:min(n, DataRoom)]
	from.Read(m.Data)
	m.ID, m.Arrived = v.guest.Begin(m.Data), v.core.Now()
	reason := cost.NotDropped
	switch {
	case err != nil || !v.backend.Features().FromDriver(meta):
		reason = cost.DevHdr
	case n < ethHeader:
		reason = cost.PktTooSmall
	case n > DataRoom:
		reason = cost.PktTooBig
	}
	if reason == cost.NotDropped {
		return true
	}
	v.core.Drop(m.ID, v.guest.Index(), m.Data, reason)
	m.Free()
	return false
}

const ethHeader = 14

// dequeued charges a burst of took chains, which good of are frames, and gives the
// chains back.
func (v *Vhost) dequeued(r *virtio.Ring, good []*Mbuf, took int, bytes uint64) {
	v.core.Charge(cost.RteEthRxBurst, 1)
	Each(v.core, cost.RteVhostDequeue, good)
	if bad := took - len(good); bad > 0 {
		v.core.Charge(cost.RteVhostDequeue, uint64(bad))
	}
	v.copied(cost.RteVhostDequeueCopy, good, uint64(took), bytes)
	v.push(r)
	v.call(r, txRing)
}

// copied charges the copies of a burst, frame by frame in a run that is watched.
func (v *Vhost) copied(s cost.Step, burst []*Mbuf, n, bytes uint64) {
	if v.core.Watched() {
		for _, m := range burst {
			size := uint64(len(m.Data) + virtio.HdrLen)
			v.core.ChargeFrame(m.ID, s, 1, size)
			n, bytes = n-1, bytes-size
		}
	}
	if n > 0 {
		v.core.ChargeBytes(s, n, bytes)
	}
}

// push gives back the chains that were used.
func (v *Vhost) push(r *virtio.Ring) {
	now := v.core.Now()
	for _, u := range v.used {
		r.Device.Push(now, u.head, u.n)
	}
	v.used = v.used[:0]
}

// call tells the guest, if it wants to be told.
func (v *Vhost) call(r *virtio.Ring, i int) {
	if r.Device.CallNeeded() {
		if e := v.backend.Call(i); e != nil {
			e.Signal()
		}
	}
}

// broken ends the port: its guest breaks the format.
func (v *Vhost) broken(err error) {
	v.used = v.used[:0]
	v.backend.Close(err)
}

// Transmit is rte_vhost_enqueue_burst: frames for the guest.
func (v *Vhost) Transmit(burst []*Mbuf) (int, cost.DropReason) {
	if v.backend.Ring(rxRing) == nil && v.setUp != nil {
		v.setUp()
	}
	v.core.Charge(cost.RteEthTxBurst, 1)
	r := v.backend.Ring(rxRing)
	if r == nil {
		return 0, cost.DevReady
	}
	n, more, bytes := 0, 0, uint64(0)
	var err error
	for n < len(burst) {
		var ok bool
		if ok, err = v.buffers(r, len(burst[n].Data)+virtio.HdrLen); !ok {
			break
		}
		more += len(v.heads) - 1
		bytes += uint64(len(burst[n].Data) + virtio.HdrLen)
		v.copyOut(r, burst[n])
		n++
	}
	if n > 0 {
		v.enqueued(r, burst[:n], uint64(more), bytes)
	}
	if err != nil {
		v.broken(err)
		return n, cost.RSVringBad
	}
	return n, cost.FullRing
}

// buffers takes chains with room for need bytes, and says whether there were enough; if
// not it takes none.
func (v *Vhost) buffers(r *virtio.Ring, need int) (bool, error) {
	v.chain.Reset()
	v.heads = v.heads[:0]
	mergeable := v.backend.Features().Has(virtio.FMrgRxbuf)
	for got := 0; got < need; {
		ok := len(v.heads) == 0 || mergeable
		var err error
		if ok {
			ok, err = r.Device.Next(v.core.Now(), &v.chain)
		}
		switch {
		case err != nil:
			return false, err
		case !ok:
			r.Device.Undo(len(v.heads))
			return false, nil
		case len(v.chain.Out) > 0:
			return false, fmt.Errorf("%w: a readable buffer for receiving", virtio.ErrOrder)
		}
		v.heads = append(v.heads, rxHead{v.chain.Head, int(v.chain.InLen) - got})
		got = int(v.chain.InLen)
	}
	return true, nil
}

// copyOut copies a frame and its header into the chains, which have room.
func (v *Vhost) copyOut(r *virtio.Ring, m *Mbuf) {
	virtio.PutPlain(v.hdr[:], false, uint16(len(v.heads)))
	to := virtio.PiecesOf(v.chain.In)
	to.Write(v.hdr[:])
	to.Write(m.Data)
	r.SetTag(v.heads[0].head, virtio.Tag{ID: m.ID, Arrived: m.Arrived})
	left := len(m.Data) + virtio.HdrLen
	for _, h := range v.heads {
		n := min(h.room, left)
		left -= n
		v.used = append(v.used, usedChain{h.head, uint32(n)})
	}
}

// enqueued charges a burst that was copied, gives the guest its chains, and frees the
// mbufs. More is the chains beyond the first of each frame.
func (v *Vhost) enqueued(r *virtio.Ring, burst []*Mbuf, more, bytes uint64) {
	Each(v.core, cost.RteVhostEnqueue, burst)
	if more > 0 {
		v.core.Charge(cost.RteVhostMore, more)
	}
	v.copied(cost.RteVhostEnqueueCopy, burst, uint64(len(burst)), bytes)
	v.push(r)
	for _, m := range burst {
		v.guest.Deliver(m.ID, m.Arrived, m.Data)
		m.Free()
	}
	v.call(r, rxRing)
}

// Next is when the guest has published a frame; whether it will, the ring tells.
func (v *Vhost) Next() sim.Time {
	r := v.backend.Ring(txRing)
	if r == nil {
		return sim.Never
	}
	more, at := r.Device.Pending(v.core.Now(), 0)
	if more {
		return v.core.Now()
	}
	if at == sim.Never {
		r.Device.Await(v.wake)
	}
	return at
}

// InFlight is none: a frame of the guest's counts from Receive on.
func (v *Vhost) InFlight() uint64 { return 0 }

// Held is none: a frame that was sent is in the guest's memory.
func (v *Vhost) Held() int { return 0 }

// Stalled says what the guest waits for in vain.
func (v *Vhost) Stalled() (list []string) {
	say := func(what string) { list = append(list, fmt.Sprintf("port %d: %s", v.guest.Index(), what)) }
	if r := v.backend.Ring(txRing); r != nil {
		if more, _ := r.Device.Pending(sim.Never, 0); more {
			say("the guest's frames wait and nobody polls")
		}
	}
	for i := rxRing; i <= txRing; i++ {
		if r := v.backend.Ring(i); r != nil && r.Driver.Overdue() {
			say(fmt.Sprintf("the guest waits for what was used on ring %d and nobody calls", i))
		}
	}
	return list
}

var _ Port = (*Vhost)(nil)
