package igbvf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/virtio"
)

// A CPU is what the driver runs on. Both kinds of guests have one.
type CPU interface {
	Now() sim.Time
	Charge(s cost.Step, n uint64)
	Fail(err error)
}

// A Device is a virtual function as its driver sees it. Read, Write and CatchUp are the
// hardware's; the rest is for whoever counts frames.
type Device interface {
	// Map lets the device reach the guest's memory, and no other.
	Map(*mem.Memory) error
	// Read and Write are accesses to the VF's registers. They cost no exit.
	Read(reg uint32) uint32
	Write(reg, v uint32)
	// CatchUp is called before descriptors are looked at.
	CatchUp()
	// RxTags is what is known of frames by the index of their last descriptor.
	RxTags(queue int) []nic.Tag
	// Sending says that a frame will be sent whose last descriptor is index; it charges
	// what filling that costs. Received says that one was taken.
	Sending(queue int, index uint32, frame []byte)
	Received(t nic.Tag, frame []byte)
	// Note shows a step that was charged for many frames in the journey of one.
	Note(t virtio.Tag, s cost.Step)
}

// A Toucher is a Device behind a processor whose TLBs are modelled: if Touches says so, it
// is told which of its memory the driver touches.
type Toucher interface {
	Touches() bool
	Touch(a mem.Addr, n int)
}

// Config describes a driver. CPU and Device are required.
type Config struct {
	CPU    CPU
	Device Device
	Ring   int      // descriptors of either ring, a multiple of 8; 0 means 256
	ITR    sim.Time // least gap between two interrupts, whole microseconds
	MTU    int      // 0 means frames as long as the device takes
	// AllMulticast asks for every multicast frame, as a program wants that sees its
	// interface raw.
	AllMulticast bool
}

// A Driver is the driver of one VF, with one queue each way and a vector for both.
//
//	memory: rx ring │ tx ring │ rx buffers, one after another │ room for the end of a frame │ tx buffers
//
// A frame that is longer than a buffer goes on in the next, which lies behind it, so that
// every frame is in one piece. One that goes over the ring's end goes on in the room
// behind the last buffer.
type Driver struct {
	cpu CPU
	dev Device
	cfg Config
	mem *mem.Memory
	mac [6]byte

	rx, tx   []byte // descriptors
	size     int    // of a ring
	rxAt     mem.Addr
	txAt     mem.Addr
	rxUse    int // next_to_use: given up to here
	rxClean  int // next_to_clean
	txUse    int
	txClean  int
	rung     int // TDT, as the device knows it
	blocked  bool
	asked    bool // the last poll took as much as it was let
	stopped  bool
	mailbox  mailbox
	buffers  []byte // of reception, and the room behind
	stat     Stat
	noteTags []virtio.Tag
	touch    Toucher // nil: nobody wants to know
}

// A Stat counts what the driver has met.
type Stat struct {
	Refused  uint64 // messages that the PF refused
	TxErrors uint64 // frames that are too long to be sent
}

const (
	bufferSize = 2048
	txSlot     = nic.MaxFrame + nic.MaxFrame&31 // of a frame to send
	tail       = nic.MaxFrame                   // room behind the last receive buffer
	queueVec   = 0
	mailVec    = 1
	maxFrame   = nic.MaxFrame - 4 // without FCS
)

// What New wraps.
var (
	ErrRing = errors.New("no such ring")
	ErrPF   = errors.New("the PF does not let the VF go")
)

// New is igbvf_probe and igbvf_open: the VF is reset by its mailbox, rings are set up in
// memory of the guest's, and the receiver is let go.
func New(c Config) (*Driver, error) {
	if c.CPU == nil || c.Device == nil {
		return nil, errors.New("igbvf: CPU and Device are required")
	}
	if c.Ring == 0 {
		c.Ring = 256
	}
	if c.Ring < 8 || c.Ring > 4096 || c.Ring%8 != 0 {
		return nil, fmt.Errorf("igbvf: %w: %d descriptors; 8 to 4096 are possible, a multiple of 8", ErrRing, c.Ring)
	}
	if c.ITR < 0 || c.ITR > 8191*sim.Microsecond {
		return nil, fmt.Errorf("igbvf: an interrupt gap of %v; VTEITR takes 0 to 8191 us", c.ITR)
	}
	d := &Driver{cpu: c.CPU, dev: c.Device, cfg: c, size: c.Ring}
	d.layOut()
	if err := d.dev.Map(d.mem); err != nil {
		return nil, fmt.Errorf("igbvf: %w", err)
	}
	if t, ok := d.dev.(Toucher); ok && t.Touches() {
		d.touch = t
	}
	return d, d.probe()
}

// touched tells of the i-th descriptor of the ring at base, and of n bytes at the address.
func (d *Driver) touched(base mem.Addr, i int, at mem.Addr, n int) {
	d.touch.Touch(base+mem.Addr(i*nic.DescSize), nic.DescSize)
	d.touch.Touch(at, n)
}

// rxRing and txRing are where the descriptors lie.
func (d *Driver) rxRing() mem.Addr { return mem.PageSize }
func (d *Driver) txRing() mem.Addr { return mem.PageSize + page(mem.Addr(d.size*nic.DescSize)) }

// layOut makes the guest's memory.
func (d *Driver) layOut() {
	ring := page(mem.Addr(d.size * nic.DescSize))
	d.rxAt = 2*ring + mem.PageSize // the first page stays empty: no buffer is at 0
	d.txAt = page(d.rxAt + mem.Addr(d.size*bufferSize) + tail)
	d.mem = mem.New(int(page(d.txAt + mem.Addr(d.size*txSlot))))
	d.rx = d.mem.Bytes(mem.PageSize, d.size*nic.DescSize)
	d.tx = d.mem.Bytes(mem.PageSize+ring, d.size*nic.DescSize)
	d.buffers = d.mem.Bytes(d.rxAt, d.size*bufferSize+tail)
}

func page(a mem.Addr) mem.Addr { return (a + mem.PageSize - 1) &^ (mem.PageSize - 1) }

// probe is setting up. It is on no bill and takes no time.
func (d *Driver) probe() error {
	d.dev.Write(nic.VTCTRL, uint32(nic.CtrlRST))
	if !d.mailbox.reset(d) {
		return fmt.Errorf("igbvf: %w", ErrPF)
	}
	w := d.dev.Write
	ring := uint32(page(mem.Addr(d.size * nic.DescSize)))
	w(nic.VTIVAR, nic.IvarValid|queueVec|(nic.IvarValid|queueVec)<<8)
	w(nic.EIAC, 1<<queueVec|1<<mailVec)
	w(nic.EIAM, 1<<queueVec|1<<mailVec)
	w(nic.EITR(queueVec), uint32(d.cfg.ITR/sim.Microsecond)<<nic.EitrIntervalShift)
	w(nic.RDBAL(0), mem.PageSize)
	w(nic.RDBAH(0), 0)
	w(nic.RDLEN(0), uint32(len(d.rx)))
	w(nic.SRRCTL(0), uint32(nic.SrrctlAdvOneBuf|bufferSize>>nic.SrrctlBSizeShift))
	w(nic.TDBAL(0), mem.PageSize+ring)
	w(nic.TDBAH(0), 0)
	w(nic.TDLEN(0), uint32(len(d.tx)))
	w(nic.TXDCTL(0), uint32(nic.DctlENABLE))
	longest := uint32(nic.MaxFrame)
	if d.cfg.MTU > 0 {
		longest = uint32(min(d.cfg.MTU+14+4+4, nic.MaxFrame))
	}
	d.mailbox.ask(d, nic.MsgSetLPE, longest)
	if d.cfg.AllMulticast {
		d.mailbox.ask(d, nic.MsgSetPromisc|nic.MsgAllMulti)
	}
	w(nic.VTIVAR_MISC, nic.IvarValid|mailVec) // from now on answers interrupt
	w(nic.RXDCTL(0), uint32(nic.DctlENABLE))
	d.give(d.size - 1)
	w(nic.RDT(0), uint32(d.rxUse))
	w(nic.EIMS, 1<<queueVec|1<<mailVec)
	return nil
}

// MAC is the address that the PF has given the VF; the zero address before it has.
func (d *Driver) MAC() [6]byte { return d.mac }

// Stat is what the driver has met so far.
func (d *Driver) Stat() Stat { return d.stat }

// give writes n descriptors in the read format.
func (d *Driver) give(n int) {
	for range n {
		i := d.rxUse
		nic.RxDesc(d.rx[i*nic.DescSize : (i+1)*nic.DescSize]).Give(uint64(d.rxAt) + uint64(i*bufferSize))
		if d.rxUse++; d.rxUse == d.size {
			d.rxUse = 0
		}
	}
	// The one at the tail stays ours. It must not look done.
	i := d.rxUse
	nic.RxDesc(d.rx[i*nic.DescSize : (i+1)*nic.DescSize]).Give(0)
}

// Interrupt is the handler of a vector: igbvf_intr_msix_rx, or igbvf_msix_other.
func (d *Driver) Interrupt(vector int) bool {
	switch {
	case d.stopped:
		return false
	case vector == queueVec:
		d.cpu.Charge(cost.IgbvfMsixRing, 1)
		return true
	case vector == mailVec:
		d.cpu.Charge(cost.IgbvfMsixOther, 1)
		d.mailbox.interrupt(d)
		d.dev.Write(nic.EIMS, 1<<mailVec)
	}
	return false
}

// next is the frame that has come next: its bytes in one piece, its last descriptor and
// how many it has. False says that there is none yet.
func (d *Driver) next(tags []nic.Tag) (data []byte, t nic.Tag, descs int, ok bool) {
	first, size := d.rxClean, 0
	for i := first; i != d.rxUse; {
		desc := nic.RxDesc(d.rx[i*nic.DescSize : (i+1)*nic.DescSize])
		if !desc.Done() || tags[i].Done > d.cpu.Now() {
			return nil, t, 0, false
		}
		size, descs = size+desc.Len(), descs+1
		last := i
		if i++; i == d.size {
			i = 0
		}
		if desc.Status()&nic.RxEOP == 0 {
			continue
		}
		at := first * bufferSize
		if over := at + size - d.size*bufferSize; over > 0 {
			copy(d.buffers[d.size*bufferSize:], d.buffers[:over])
		}
		return d.buffers[at : at+size : at+size], tags[last], descs, true
	}
	return nil, t, 0, false
}

// cleanRx is igbvf_clean_rx_irq: it hands over at most budget frames that have come.
func (d *Driver) cleanRx(budget int, take func([]byte, nic.Tag)) (n int) {
	d.dev.CatchUp()
	tags := d.dev.RxTags(0)
	descs := 0
	for n < budget {
		data, t, k, ok := d.next(tags)
		if !ok {
			break
		}
		if d.touch != nil {
			d.touched(d.rxRing(), d.rxClean, d.rxAt+mem.Addr(d.rxClean*bufferSize), len(data))
		}
		n++
		descs += k
		d.rxClean = (d.rxClean + k) % d.size
		d.noteTags = append(d.noteTags, virtio.Tag{ID: t.ID, Arrived: t.Arrived})
		take(data, t)
	}
	if n > 0 {
		d.cpu.Charge(cost.IgbvfCleanRxIrq, uint64(descs))
		for _, t := range d.noteTags {
			d.dev.Note(t, cost.IgbvfCleanRxIrq)
		}
		d.noteTags = d.noteTags[:0]
	}
	d.asked = n == budget
	return n
}

// complete gives buffers back, and says whether the poll is over.
func (d *Driver) complete() bool {
	if n := (d.rxClean - d.rxUse - 1 + d.size) % d.size; n > 0 {
		d.give(n)
		d.cpu.Charge(cost.IgbvfPutRxBuffer, uint64(n))
		d.cpu.Charge(cost.IgbvfAllocRxBuffers, 1)
		d.dev.Write(nic.RDT(0), uint32(d.rxUse))
	}
	if d.asked {
		return false
	}
	d.cpu.Charge(cost.IgbvfCompleteDone, 1)
	d.dev.Write(nic.EIMS, 1<<queueVec)
	return true
}

// room says whether there is a descriptor to send by; what was sent is freed.
func (d *Driver) room() bool {
	if free := (d.txClean - d.txUse - 1 + d.size) % d.size; free > 0 {
		return true
	}
	d.cleanTx()
	d.blocked = (d.txClean-d.txUse-1+d.size)%d.size == 0
	return !d.blocked
}

// cleanTx is igbvf_clean_tx_irq.
func (d *Driver) cleanTx() {
	if d.txClean == d.txUse {
		return
	}
	d.dev.CatchUp()
	n := uint64(0)
	for d.txClean != d.rung && nic.TxDesc(d.tx[d.txClean*nic.DescSize:][:nic.DescSize]).Done() {
		n++
		if d.txClean++; d.txClean == d.size {
			d.txClean = 0
		}
	}
	if n > 0 {
		d.cpu.Charge(cost.IgbvfCleanTxIrq, n)
	}
}

// slot is where the next frame to be sent goes.
func (d *Driver) slot(n int) []byte {
	return d.mem.Bytes(d.txAt+mem.Addr(d.txUse*txSlot), n)
}

// post fills a descriptor for the frame in the slot.
func (d *Driver) post(n int) {
	i := d.txUse
	desc := nic.TxDesc(d.tx[i*nic.DescSize : (i+1)*nic.DescSize])
	desc.Give(uint64(d.txAt)+uint64(i*txSlot), n, nic.TxEOP|nic.TxIFCS|nic.TxRS, n)
	if d.touch != nil {
		d.touched(d.txRing(), i, d.txAt+mem.Addr(i*txSlot), n)
	}
	d.dev.Sending(0, uint32(i), d.slot(n))
	if d.txUse++; d.txUse == d.size {
		d.txUse = 0
	}
}

// flush is the doorbell, if something was posted.
func (d *Driver) flush() {
	if d.rung == d.txUse || d.stopped {
		return
	}
	d.cpu.Charge(cost.IgbvfTxDoorbell, 1)
	d.rung = d.txUse
	d.dev.Write(nic.TDT(0), uint32(d.rung))
}

// SetMulticast says which groups the guest is in, at most thirty; the PF's table passes
// others with the same hash.
func (d *Driver) SetMulticast(groups [][6]byte) {
	words := []uint32{nic.MsgMulticast | uint32(min(len(groups), 30))<<nic.MsgInfoShift}
	for i, g := range groups[:min(len(groups), 30)] {
		if i&1 == 0 {
			words = append(words, 0)
		}
		words[len(words)-1] |= uint32(hash(g)) << (16 * (i & 1))
	}
	d.mailbox.ask(d, words...)
}

// SetMAC asks for another address.
func (d *Driver) SetMAC(mac [6]byte) {
	d.mailbox.ask(d, nic.MsgSetMAC, binary.LittleEndian.Uint32(mac[:]), uint32(binary.LittleEndian.Uint16(mac[4:])))
}

// SetVLAN joins a VLAN or leaves it.
func (d *Driver) SetVLAN(vid uint16, join bool) {
	m := uint32(nic.MsgSetVLAN)
	if join {
		m |= 1 << nic.MsgInfoShift
	}
	d.mailbox.ask(d, m, uint32(vid))
}

// hash is the twelve bits of a group's address by which the PF's table goes.
func hash(mac [6]byte) uint16 { return (uint16(mac[4])>>4 | uint16(mac[5])<<4) & 0xFFF }
