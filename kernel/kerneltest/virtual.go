package kerneltest

import (
	"fmt"
	"math/rand/v2"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/mem"
	"ringside/offload"
	"ringside/sim"
	"ringside/virtio"
)

// VirtualConfig describes a guest that is a driver of a virtio device and nothing
// else. The zero value takes every frame and throws it away.
type VirtualConfig struct {
	CPU, Worker int             // of the vCPU, of the vhost worker
	Queues      int             // 0 means 1
	Ring        uint16          // 0 means 16
	Buffer      int             // length of its receive buffers; 0 means 2048
	Features    virtio.Features // chosen, beside VERSION_1
	MTU         int             // of the tap; 0 means what it takes
	Work        sim.Time        // on each frame
	Echo        bool            // sends every frame back
	Deaf        bool            // never gives buffers back
	Send        [][]byte        // frames that it sends by itself
	SendMeta    []offload.Meta  // what travels beside them; nil: nothing
	Every       sim.Time        // one at every such time
	Chance      *rand.Rand      // when it does what it may put off; nil: at once
	SendBytes   int             // a page is used for each descriptor of sending; 0 means 2048 of it
}

// A Received is a frame that a virtual guest got.
type Received struct {
	Tag  virtio.Tag
	At   sim.Time
	Pair int
	Data []byte
	Meta offload.Meta
}

// A Virtual is a guest on a vCPU whose driver is as plain as can be. It is a
// kernel.Guest.
type Virtual struct {
	*kernel.VCPU
	Dev    *kernel.VirtioNet
	Memory *mem.Memory
	Got    []Received
	Sent   int
	Errors []string
	Port   bridge.Port

	cfg     VirtualConfig
	rxAt    []mem.Addr // of a pair's first receive buffer
	txAt    []mem.Addr
	timer   bool
	due     sim.Time
	pending [][]byte // to be sent, with their metas
	metas   []offload.Meta
	left    sim.Time // of work
	rested  bool     // calls are on, everywhere
}

// AddVirtual makes a guest behind an interface of that name. The bridge knows the
// station mac behind it.
func (r *Rig) AddVirtual(name string, id int32, mac bridge.MAC, c VirtualConfig) (*Virtual, error) {
	c.Queues = max(c.Queues, 1)
	if c.Ring == 0 {
		c.Ring = 16
	}
	if c.Buffer == 0 {
		c.Buffer = 2048
	}
	if c.SendBytes == 0 {
		c.SendBytes = 2048
	}
	if c.Queues > 1 {
		c.Features |= virtio.FMQ | virtio.FCtrlVQ
	}
	v := &Virtual{cfg: c}
	var err error
	if v.VCPU, err = r.AddVCPU(kernel.VCPUConfig{Name: name, ID: id, CPU: c.CPU}); err != nil {
		return nil, err
	}
	v.Dev, err = r.AddVirtio(v.VCPU, kernel.VirtioConfig{
		VM: id, At: kernel.Interface{Port: bridge.PortConfig{Name: name}, MTU: c.MTU}, MAC: mac, Queues: c.Queues, RingSize: c.Ring, CPU: c.Worker,
		Features: virtio.Known,
	})
	if err != nil {
		return nil, err
	}
	_, v.Port, _ = r.Kernel.Port(name)
	if err := r.Bridge.Add(bridge.Entry{MAC: mac, Port: v.Port, Kind: bridge.Static, Sticky: true}); err != nil {
		return nil, err
	}
	if err := v.probe(); err != nil {
		return nil, err
	}
	if len(c.Send) > 0 {
		v.due = max(c.Every, 1)
	}
	return v, v.Start(v)
}

// Reset resets the device and sets it up anew, with memory of its own.
func (v *Virtual) Reset() error {
	v.Dev.Reset()
	v.rxAt, v.txAt, v.rested = nil, nil, false
	return v.probe()
}

// probe lays the rings out and gives the device every receive buffer.
func (v *Virtual) probe() error {
	c := &v.cfg
	var at mem.Addr
	var rings []virtio.Pair
	n := mem.Addr(c.Ring)
	for range c.Queues {
		var p virtio.Pair
		p.Rx, at = virtio.Place(at, c.Ring)
		p.Tx, at = virtio.Place(at, c.Ring)
		rings = append(rings, p)
		v.rxAt = append(v.rxAt, at)
		v.txAt = append(v.txAt, at+n*mem.Addr(c.Buffer))
		at += n * mem.Addr(c.Buffer+c.SendBytes)
		at = (at + 15) &^ 15
	}
	v.Memory = mem.New(int(at))
	if err := v.Dev.Activate(v.Memory, c.Features|virtio.FVersion1, rings); err != nil {
		return err
	}
	for q := range c.Queues {
		v.fill(q)
		v.Dev.Ring(q, false).Driver.KickNeeded() // nobody waits yet
		v.Dev.Ring(q, true).Driver.DisableCalls()
	}
	return nil
}

// refill gives back every receive buffer that is free, and kicks for them.
func (v *Virtual) refill(q int) {
	v.fill(q)
	if v.Dev.Ring(q, false).Driver.KickNeeded() {
		v.Dev.Kick(q, false)
	}
}

func (v *Virtual) fill(q int) {
	d := &v.Dev.Ring(q, false).Driver
	for d.Free() > 0 {
		at := v.rxAt[q] + mem.Addr(d.NextHead())*mem.Addr(v.cfg.Buffer)
		if _, ok := d.Add(v.Now(), nil, []virtio.Buffer{{Addr: at, Len: uint32(v.cfg.Buffer)}}); !ok {
			break
		}
	}
}

// Interrupt switches calls off, as a handler does that schedules a poll.
func (v *Virtual) Interrupt(vector int) {
	v.Charge(cost.VringInterrupt, 1)
	v.rested = false
	if q := v.Dev.Ring(vector/2, vector%2 != 0); q != nil {
		q.Driver.DisableCalls()
	}
}

// Timer is the time to send.
func (v *Virtual) Timer() { v.timer = true }

// Close has nothing to end.
func (v *Virtual) Close() {}

// may says whether to do now what could be put off.
func (v *Virtual) may() bool { return v.cfg.Chance == nil || v.cfg.Chance.IntN(4) != 0 }

// Run does one piece: work, a frame that is due, a poll.
func (v *Virtual) Run() bool {
	switch {
	case v.Dev.Ring(0, false) == nil:
		return false
	case v.left > 0:
		v.left = v.Work(v.left)
		return true
	case v.send():
		return true
	}
	for q := range v.cfg.Queues {
		if v.receive(q) {
			return true
		}
	}
	return v.unfinished()
}

// unfinished wants calls everywhere before it sleeps and says whether something has
// come meanwhile.
func (v *Virtual) unfinished() bool {
	if v.rested {
		return false
	}
	for q := range v.cfg.Queues {
		if !v.cfg.Deaf {
			v.refill(q)
		}
		for _, tx := range [...]bool{false, true} {
			if tx && len(v.pending) == 0 {
				continue
			}
			d := &v.Dev.Ring(q, tx).Driver
			more, at := d.EnableCalls(v.Now())
			if more {
				d.DisableCalls()
				v.free(q)
				return true
			}
			if at != sim.Never {
				v.Dev.CallAt(q, tx, at)
			}
		}
	}
	v.rested = true
	if v.due > 0 {
		v.WakeAt(v.due)
	}
	return false
}

// receive takes the frames that are there and says whether there were any.
func (v *Virtual) receive(q int) bool {
	ring := v.Dev.Ring(q, false)
	n := 0
	for n < 8 {
		head, length, ok := ring.Driver.Get(v.Now())
		if !ok {
			break
		}
		n++
		v.take(q, ring, head, length)
		if !v.may() {
			break
		}
	}
	if n > 0 && !v.cfg.Deaf && v.may() {
		v.refill(q)
	}
	if err := ring.Driver.Err(); err != nil {
		v.Errors = append(v.Errors, err.Error())
	}
	return n > 0
}

// take puts one frame together.
func (v *Virtual) take(q int, ring *virtio.Ring, head uint16, length uint32) {
	r := Received{Tag: ring.Tag(head), At: v.Now(), Pair: q}
	part := func(head uint16, n uint32) []byte {
		return v.Memory.Bytes(v.rxAt[q]+mem.Addr(head)*mem.Addr(v.cfg.Buffer), int(n))
	}
	data := append([]byte{}, part(head, length)...)
	if len(data) < virtio.HdrLen {
		v.Errors = append(v.Errors, fmt.Sprintf("a frame of %d bytes with its header", len(data)))
		return
	}
	_, buffers, err := virtio.ParseHdr(data, 1<<20)
	for range int(buffers) - 1 {
		head, n, ok := ring.Driver.Get(v.Now())
		if !ok {
			v.Errors = append(v.Errors, "a buffer of a frame is missing")
			return
		}
		data = append(data, part(head, n)...)
	}
	v.ChargeFrame(r.Tag.ID, cost.VirtnetReceiveBuf, 1, 0)
	if err == nil {
		r.Meta, _, err = virtio.ParseHdr(data, len(data)-virtio.HdrLen)
	}
	if err != nil || !v.Dev.Features().FromDevice(r.Meta) {
		v.Errors = append(v.Errors, fmt.Sprintf("a header that was not negotiated: %x, %v", data[:virtio.HdrLen], err))
	}
	r.Data = data[virtio.HdrLen:]
	v.Got = append(v.Got, r)
	v.left += v.cfg.Work
	if v.cfg.Echo {
		back := append([]byte{}, r.Data...)
		copy(back, r.Data[6:12])
		copy(back[6:], r.Data[:6])
		v.pending, v.metas = append(v.pending, back), append(v.metas, r.Meta)
		v.rested = false
	}
}

// send sends what is due and says whether it did something.
func (v *Virtual) send() bool {
	if v.timer {
		v.timer, v.rested = false, false
		if v.Now() >= v.due && len(v.cfg.Send) > 0 {
			var m offload.Meta
			if v.cfg.SendMeta != nil {
				m, v.cfg.SendMeta = v.cfg.SendMeta[0], v.cfg.SendMeta[1:]
			}
			v.pending, v.metas, v.cfg.Send = append(v.pending, v.cfg.Send[0]), append(v.metas, m), v.cfg.Send[1:]
			if v.due += max(v.cfg.Every, 1); len(v.cfg.Send) == 0 {
				v.due = 0
			}
		}
	}
	if len(v.pending) == 0 {
		return false
	}
	frame, m := v.pending[0], v.metas[0]
	q := int(uint64(virtio.FlowHash(frame)) * uint64(v.cfg.Queues) >> 32)
	v.free(q)
	if !v.transmit(q, frame, m) {
		return false
	}
	v.pending, v.metas = v.pending[1:], v.metas[1:]
	v.Sent++
	return true
}

// transmit puts a frame on a ring, the header in a descriptor of its own or not.
func (v *Virtual) transmit(q int, frame []byte, m offload.Meta) bool {
	d := &v.Dev.Ring(q, true).Driver
	all := append(make([]byte, virtio.HdrLen), frame...)
	virtio.PutHdr(all, m, 0)
	first := len(all)
	if v.cfg.Chance != nil && v.cfg.Chance.IntN(2) == 0 {
		first = 1 + v.cfg.Chance.IntN(20)
	}
	var out []virtio.Buffer
	sizes := []int{min(first, v.cfg.SendBytes, len(all))}
	for left := len(all) - sizes[0]; left > 0; left -= sizes[len(sizes)-1] {
		sizes = append(sizes, min(left, v.cfg.SendBytes))
	}
	if d.Free() < len(sizes) {
		return false
	}
	for i, desc := range d.Ahead(nil, len(sizes)) {
		at := v.txAt[q] + mem.Addr(desc)*mem.Addr(v.cfg.SendBytes)
		all = all[copy(v.Memory.Bytes(at, sizes[i]), all):]
		out = append(out, virtio.Buffer{Addr: at, Len: uint32(sizes[i])})
	}
	d.Add(v.Now(), out, nil)
	v.Charge(cost.VirtnetXmit, 1)
	if d.KickNeeded() {
		v.Dev.Kick(q, true)
	}
	return true
}

// free takes back what was sent.
func (v *Virtual) free(q int) {
	d := &v.Dev.Ring(q, true).Driver
	for {
		if _, _, ok := d.Get(v.Now()); !ok {
			break
		}
	}
	if err := d.Err(); err != nil {
		v.Errors = append(v.Errors, err.Error())
	}
}
