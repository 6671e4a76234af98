// Package nictest is the other side of a NIC's protocols, for tests: a tiny
// driver over real memory, a wire that plays a script and keeps what was sent,
// and a place where interrupts are written down. None of it charges anything.
package nictest

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
)

// A Wire plays Frames, in order, and keeps what the NIC sent.
type Wire struct {
	Frames []nic.WireFrame
	Sent   []nic.WireFrame
	NIC    *nic.NIC // told when Play adds frames; may be nil
	next   int
}

// Receive hands out the next frame of the script.
func (w *Wire) Receive(f *nic.WireFrame) bool {
	if w.next == len(w.Frames) {
		return false
	}
	*f = w.Frames[w.next]
	w.next++
	return true
}

// Left is how many frames of the script the NIC has not taken.
func (w *Wire) Left() int { return len(w.Frames) - w.next }

// Transmit keeps a copy.
func (w *Wire) Transmit(f *nic.WireFrame) {
	w.Sent = append(w.Sent, nic.WireFrame{ID: f.ID, At: f.At, Data: append([]byte(nil), f.Data...)})
}

// Play adds frames to the script.
func (w *Wire) Play(frames ...nic.WireFrame) {
	w.Frames = append(w.Frames, frames...)
	if w.NIC != nil {
		w.NIC.Arrive()
	}
}

// An Interrupt is one message that reached the CPU.
type Interrupt struct {
	Vector int
	At     sim.Time
}

// An IRQ writes interrupts down, and calls Then if there is one.
type IRQ struct {
	Log  []Interrupt
	Then func(vector int, at sim.Time)
}

// Interrupt is called by the NIC.
func (i *IRQ) Interrupt(vector int, at sim.Time) {
	i.Log = append(i.Log, Interrupt{vector, at})
	if i.Then != nil {
		i.Then(vector, at)
	}
}

// A Rig is a NIC with everything it is plugged into.
type Rig struct {
	Engine  *sim.Engine
	Memory  *mem.Memory
	Account *cost.Account
	Drops   *cost.Drops
	Hash    *trace.Hash
	Wire    *Wire
	IRQ     *IRQ
	NIC     *nic.NIC
}

// NewRig returns a NIC that is priced by cost.Unit unless c has an account, in
// 16 MiB of memory unless c has some. Fields of c that are set are used.
func NewRig(c nic.Config) (*Rig, error) {
	r := &Rig{Engine: c.Engine, Memory: c.Memory, Account: c.Account, Drops: c.Drops, Hash: c.Hash, Wire: &Wire{}, IRQ: &IRQ{}}
	if r.Engine == nil {
		r.Engine = sim.NewEngine(1)
	}
	if r.Memory == nil {
		r.Memory = mem.New(16 << 20)
	}
	if r.Account == nil {
		r.Account = cost.NewAccount("nic", cost.Unit(), true)
	}
	if r.Drops == nil {
		r.Drops = new(cost.Drops)
	}
	if r.Hash == nil {
		r.Hash = new(trace.Hash)
	}
	c.Engine, c.Memory, c.Account, c.Drops, c.Hash = r.Engine, r.Memory, r.Account, r.Drops, r.Hash
	if c.Wire == nil {
		c.Wire = r.Wire
	}
	if c.IRQ == nil {
		c.IRQ = r.IRQ
	}
	if c.MAC == ([6]byte{}) {
		c.MAC = [6]byte{0x02, 0, 0, 0, 0, 1}
	}
	n, err := nic.New(c)
	r.NIC, r.Wire.NIC = n, n
	return r, err
}

// A Driver is the least that makes a NIC work: its rings are in memory, its
// buffers stay where they are.
type Driver struct {
	*Rig
	Now sim.Time // the time of the next register access
	Rx  []*Ring
	Tx  []*Ring
}

// A Ring is the driver's view of a descriptor ring.
type Ring struct {
	Queue   int
	Base    mem.Addr
	Desc    []byte     // the ring's memory
	Buffers []mem.Addr // one for each descriptor
	Size    int        // of a buffer
	Use     uint32     // next descriptor to give: next_to_use
	Clean   uint32     // next descriptor to look at: next_to_clean
}

// Len is the number of descriptors.
func (r *Ring) Len() uint32 { return uint32(len(r.Buffers)) }

// Unused is how many more descriptors can be given.
func (r *Ring) Unused() int {
	return int((r.Clean + r.Len() - r.Use - 1) % r.Len())
}

// Given is how many have been given and not been looked at again.
func (r *Ring) Given() int { return int((r.Use + r.Len() - r.Clean) % r.Len()) }

func (r *Ring) after(i uint32) uint32 { return (i + 1) % r.Len() }

// NewRing makes a ring of n descriptors with buffers of size bytes.
func NewRing(m *mem.Memory, queue, n, size int) (*Ring, error) {
	base, err := alloc(m, n*nic.DescSize)
	if err != nil {
		return nil, err
	}
	r := &Ring{Queue: queue, Base: base, Desc: m.Bytes(base, n*nic.DescSize), Buffers: make([]mem.Addr, n), Size: size}
	per := max(1, mem.PageSize/size) // buffers in one block
	for i := range r.Buffers {
		if i%per != 0 {
			r.Buffers[i] = r.Buffers[i-1] + mem.Addr(size)
		} else if r.Buffers[i], err = alloc(m, per*size); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// alloc takes a block of memory, but not the one at address 0, which no
// descriptor may point to.
func alloc(m *mem.Memory, n int) (mem.Addr, error) {
	a, err := m.Alloc(mem.Order(n))
	if err == nil && a == 0 {
		return m.Alloc(mem.Order(n))
	}
	return a, err
}

// Rx is descriptor i as one of reception.
func (r *Ring) Rx(i uint32) nic.RxDesc { return nic.RxDesc(r.Desc[i*16 : i*16+16]) }

// Tx is descriptor i as one of transmission.
func (r *Ring) Tx(i uint32) nic.TxDesc { return nic.TxDesc(r.Desc[i*16 : i*16+16]) }

// Options are what a driver is brought up with.
type Options struct {
	Descs   int  // in each ring; 0 means 256
	Buffer  int  // bytes in each receive buffer, a multiple of 1024; 0 means 2048
	DropEN  bool // SRRCTL.DROP_EN
	Given   int  // receive descriptors given at the start; 0 means all but one, -1 none
	Polling bool // no vector is unmasked
	RSS     bool // over all queues, by the key of the Microsoft suite
	Rctl    nic.Rctl
}

// Key is the key of Microsoft's RSS verification suite.
var Key = [40]byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}

// Up brings a NIC up as a driver does: reset, rings, filters, vectors, and every
// receive descriptor but one given. Queue q interrupts on vector q.
func Up(r *Rig, queues int, o Options) (*Driver, error) {
	if o.Descs == 0 {
		o.Descs = 256
	}
	if o.Buffer == 0 {
		o.Buffer = 2048
	}
	d := &Driver{Rig: r}
	var errs []error
	w := func(reg, v uint32) { errs = append(errs, r.NIC.Write(reg, v, d.Now)) }
	w(nic.CTRL, uint32(nic.CtrlRST))
	w(nic.CTRL, uint32(nic.CtrlFD|nic.CtrlSLU))
	w(nic.GPIE, uint32(nic.GpieMultipleMSIX|nic.GpieEIAME|nic.GpieNSICR))
	vectors := uint32(1)<<queues - 1
	w(nic.EIAC, vectors)
	w(nic.EIAM, vectors)
	for q := range queues {
		old, err := r.NIC.Read(nic.IVAR(q&7), d.Now)
		errs = append(errs, err)
		field := uint32(nic.IvarValid|q) | uint32(nic.IvarValid|q)<<8
		w(nic.IVAR(q&7), old|field<<(q&8<<1))
	}
	if o.RSS {
		w(nic.RXCSUM, uint32(nic.RxcsumPCSD))
		for i := range nic.RSSRKWords {
			w(nic.RSSRK(i), uint32(Key[4*i])|uint32(Key[4*i+1])<<8|uint32(Key[4*i+2])<<16|uint32(Key[4*i+3])<<24)
		}
		for i := range nic.RETAWords {
			var v uint32
			for b := range 4 {
				v |= uint32((4*i+b)%queues) << (8 * b)
			}
			w(nic.RETA(i), v)
		}
		w(nic.MRQC, uint32(nic.MrqcRSS|nic.MrqcIPv4|nic.MrqcTCPIPv4|nic.MrqcUDPIPv4|nic.MrqcIPv6|nic.MrqcTCPIPv6|nic.MrqcUDPIPv6))
	}
	for q := range queues {
		rx, err := NewRing(r.Memory, q, o.Descs, o.Buffer)
		errs = append(errs, err)
		tx, err := NewRing(r.Memory, q, o.Descs, 2048)
		errs = append(errs, err)
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		d.Rx, d.Tx = append(d.Rx, rx), append(d.Tx, tx)
		srrctl := nic.SrrctlAdvOneBuf | nic.Srrctl(o.Buffer>>nic.SrrctlBSizeShift)
		if o.DropEN {
			srrctl |= nic.SrrctlDropEN
		}
		w(nic.RDBAL(q), uint32(rx.Base))
		w(nic.RDBAH(q), uint32(rx.Base>>32))
		w(nic.RDLEN(q), uint32(len(rx.Desc)))
		w(nic.SRRCTL(q), uint32(srrctl))
		w(nic.RXDCTL(q), uint32(nic.DctlENABLE))
		w(nic.TDBAL(q), uint32(tx.Base))
		w(nic.TDBAH(q), uint32(tx.Base>>32))
		w(nic.TDLEN(q), uint32(len(tx.Desc)))
		w(nic.TXDCTL(q), uint32(nic.DctlENABLE))
		switch o.Given {
		case 0:
			d.Post(q, o.Descs-1)
		case -1:
		default:
			d.Post(q, o.Given)
		}
	}
	w(nic.TCTL, uint32(nic.TctlEN))
	w(nic.RCTL, uint32(nic.RctlEN|nic.RctlBAM|nic.RctlSECRC|o.Rctl))
	if !o.Polling {
		w(nic.EIMS, vectors)
	}
	if list, total := r.NIC.Misuses(); total != 0 {
		errs = append(errs, fmt.Errorf("nictest: %d misuses, first %v", total, list[0]))
	}
	return d, errors.Join(errs...)
}

// Post gives the NIC n more receive descriptors of a queue, and rings the
// doorbell once.
func (d *Driver) Post(queue, n int) {
	r := d.Rx[queue]
	for range n {
		r.Rx(r.Use).Give(uint64(r.Buffers[r.Use]))
		r.Use = r.after(r.Use)
	}
	d.Write(nic.RDT(queue), r.Use)
}

// Write writes a register at d.Now; it panics if there is none.
func (d *Driver) Write(reg, v uint32) {
	if err := d.NIC.Write(reg, v, d.Now); err != nil {
		panic(err)
	}
}

// Read reads a register at d.Now; it panics if there is none.
func (d *Driver) Read(reg uint32) uint32 {
	v, err := d.NIC.Read(reg, d.Now)
	if err != nil {
		panic(err)
	}
	return v
}

// A Frame is a received frame.
type Frame struct {
	Tag    nic.Tag
	Data   []byte
	Status uint32
	Hash   uint32
	Type   nic.RSSType
	Packet uint32 // type bits
	VLAN   uint16 // that was stripped
	Descs  int
}

// Harvest takes the frames that a queue has at d.Now, and gives nothing back:
// see Post.
func (d *Driver) Harvest(queue int) (frames []Frame) {
	d.NIC.CatchUp(d.Now)
	r := d.Rx[queue]
	var f Frame
	for i := r.Clean; i != r.Use && r.Rx(i).Done(); i = r.after(i) {
		desc := r.Rx(i)
		f.Data = append(f.Data, d.Memory.Bytes(r.Buffers[i], desc.Len())...)
		f.Descs++
		if desc.Status()&nic.RxEOP == 0 {
			continue // the frame is taken when all of it is there
		}
		f.Tag, f.Status, f.Packet = d.NIC.RxTag(queue, i), desc.Status(), desc.PacketType()
		f.Hash, f.Type = desc.Hash()
		f.VLAN = desc.VLAN()
		frames = append(frames, f)
		f = Frame{}
		r.Clean = r.after(i)
	}
	return frames
}

// Send puts a frame on a transmit ring, in pieces of at most piece bytes (0: in
// one), and rings the doorbell.
func (d *Driver) Send(queue int, tag nic.Tag, data []byte, piece int) {
	d.put(queue, tag, data, piece, 0, 0, len(data))
	d.Write(nic.TDT(queue), d.Tx[queue].Use)
}

// Ask is Send with a context descriptor in front, and bits of command and option
// in the frame's first descriptor. Of a frame that is to be cut PAYLEN is what lies
// behind the headers of the context.
func (d *Driver) Ask(queue int, tag nic.Tag, data []byte, piece int, x nic.TxContext, cmd, opts uint32) {
	r := d.Tx[queue]
	r.Tx(r.Use).GiveContext(x)
	r.Use = r.after(r.Use)
	paylen := len(data)
	if cmd&nic.TxTSE != 0 {
		paylen -= x.MACLen + x.IPLen + x.L4Len
	}
	d.put(queue, tag, data, piece, cmd, opts|uint32(x.Index)<<nic.TxIDXShift, paylen)
	d.Write(nic.TDT(queue), r.Use)
}

// put fills descriptors with a frame.
func (d *Driver) put(queue int, tag nic.Tag, data []byte, piece int, first, opts uint32, paylen int) {
	r := d.Tx[queue]
	if piece == 0 {
		piece = len(data)
	}
	for at := 0; at < len(data); at += piece {
		part := data[at:min(at+piece, len(data))]
		cmd := uint32(nic.TxIFCS) | first
		if at+piece >= len(data) {
			cmd |= nic.TxEOP | nic.TxRS
			d.NIC.SetTxTag(queue, r.Use, tag)
		}
		copy(d.Memory.Bytes(r.Buffers[r.Use], r.Size), part)
		r.Tx(r.Use).Give(uint64(r.Buffers[r.Use]), len(part), cmd, paylen)
		r.Tx(r.Use).Ask(opts)
		r.Use = r.after(r.Use)
		first, opts = 0, 0
	}
}

// Reap looks for sent descriptors at d.Now and says how many frames they were.
func (d *Driver) Reap(queue int) (frames int) {
	d.NIC.CatchUp(d.Now)
	r := d.Tx[queue]
	for i := r.Clean; i != r.Use; i = r.after(i) {
		if r.Tx(i).Done() {
			frames++
			r.Clean = r.after(i)
		}
	}
	return frames
}
