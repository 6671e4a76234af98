package nic

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/mmu"
	"ringside/sim"
	"ringside/trace"
)

// A Config says what a NIC is plugged into. Its required fields must be set.
type Config struct {
	Name    string        // "eth0"; "" means "nic"
	Engine  *sim.Engine   // required
	Memory  *mem.Memory   // required: host physical memory
	Account *cost.Account // required: a device's account
	Drops   *cost.Drops   // required
	Hash    *trace.Hash   // required
	Sink    trace.Sink    // nil: nobody watches
	Wire    Wire          // required
	IRQ     IRQ           // required: where MSI-X messages go
	DMA     DMA           // what the physical function reaches Memory through, at the addresses that Memory has; nil: directly
	Source  mmu.Source    // its requester ID there
	MAC     [6]byte       // what RAL[0] and RAH[0] hold after a reset
	LinkBPS uint64        // bits a second; 0 means 10e9
	Queues  int           // receive queues, and as many for transmit: 1 to 16; 0 means 1
	FIFO    int           // receive packet buffer in bytes; 0 means 64 KiB
	VFs     int           // virtual functions, up to MaxVFs. With one or more all 16 queues are there, two in a pool; 0 means none
}

// A NIC is the device. It is called by one event loop; see the package comment.
type NIC struct {
	name    string
	engine  *sim.Engine
	memory  *mem.Memory
	remap   remapper
	source  mmu.Source
	acct    *cost.Account
	drops   *cost.Drops
	hash    *trace.Hash
	sink    trace.Sink
	wire    Wire
	sendTo  IRQ
	mac     [6]byte
	timer   *sim.Timer
	ram     []byte // all of memory
	queues  int
	vt      *sriov // nil without virtual functions
	armed   sim.Time
	price   prices
	busy    bool // inside catchUp: calls from outside only leave a note
	misuses []Misuse
	watch   []func() // to be called when the wire has something again
	misused uint64
	sight   trace.Frame // what the sink is shown

	registers
	irq   interrupts
	stats counters

	// Reception.
	rx       [MaxQueues]rxQueue // those from queues on are always off
	held     WireFrame          // the frame under way on the wire, if have
	have     bool
	idle     bool     // the wire has said that it has nothing
	arrives  sim.Time // when the held frame's last bit is in
	link     link
	fifo     fifo
	dma      dma
	dmaFree  sim.Time // when the receive DMA engine is done with what it has
	passing  int      // bytes of the frame that keeps it busy, if that went straight to memory
	did      burst    // since the last charge
	stripped []byte   // the held frame without its tag,
	tag      uint16   // which is this
	stalled  bool     // the head of the packet buffer waits for a descriptor

	filters
	rss       *toeplitz  // tables of the key, once there is use for them
	keyed     bool       // the tables are the key's
	rssFields Mrqc       // the hashes that MRQC wants, 0 while RSS is off
	redirect  [128]uint8 // RETA, an entry a byte

	// Transmission.
	tx [MaxQueues]txQueue
	txState

	in, written, dropped, sentFrames, droppedTx, interrupts, merged, segmented uint64
}

// prices are what the account charges, taken apart for arithmetic on times.
type prices struct {
	rxDesc  uint64 // a descriptor fetched, its buffer written to, written back
	rxByte  uint64
	tlp     uint64
	txFetch uint64 // a descriptor fetched
	txEach  uint64 // its buffer read
	txByte  uint64
	txDone  sim.Time // a descriptor written back
	msix    sim.Time
	walk    uint64 // an entry of a table that the IOMMU reads
}

// New checks the configuration and returns a NIC just out of reset.
func New(c Config) (*NIC, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	n := &NIC{
		name: c.Name, engine: c.Engine, memory: c.Memory, acct: c.Account, drops: c.Drops,
		hash: c.Hash, sink: c.Sink, wire: c.Wire, remap: remapper{by: c.DMA}, source: c.Source, sendTo: c.IRQ, mac: c.MAC,
		armed: sim.Never, link: newLink(c.LinkBPS),
		queues: c.Queues, ram: c.Memory.Bytes(0, c.Memory.Size()),
		fifo: fifo{room: c.FIFO},
	}
	n.vt = newSRIOV(n, c.VFs)
	n.price = priceList(c.Account)
	if n.price.rxDesc == 0 || n.price.txFetch == 0 || n.price.msix == 0 {
		return nil, errors.New("nic: Config.Account: its book gives the device's work no time")
	}
	n.timer = c.Engine.NewTimer(c.Name, n)
	n.reset()
	return n, nil
}

// check fills in the defaults and names the first field that is wrong.
func (c *Config) check() error {
	if c.Name == "" {
		c.Name = "nic"
	}
	if c.LinkBPS == 0 {
		c.LinkBPS = 10e9
	}
	if c.Queues == 0 {
		c.Queues = 1
	}
	if c.VFs > 0 {
		c.Queues = MaxQueues
	}
	if c.FIFO == 0 {
		c.FIFO = 64 << 10
	}
	switch {
	case c.Engine == nil:
		return errors.New("nic: Config.Engine is required")
	case c.Memory == nil:
		return errors.New("nic: Config.Memory is required")
	case c.Account == nil:
		return errors.New("nic: Config.Account is required")
	case !c.Account.Device():
		return errors.New("nic: Config.Account is a CPU's; a device account is required")
	case c.Drops == nil:
		return errors.New("nic: Config.Drops is required")
	case c.Hash == nil:
		return errors.New("nic: Config.Hash is required")
	case c.Wire == nil:
		return errors.New("nic: Config.Wire is required")
	case c.IRQ == nil:
		return errors.New("nic: Config.IRQ is required")
	case c.MAC[0]&1 != 0:
		return fmt.Errorf("nic: Config.MAC %x is a group address", c.MAC)
	case c.LinkBPS < 1e6 || c.LinkBPS > 1e12:
		return fmt.Errorf("nic: Config.LinkBPS is %d, not from 1e6 to 1e12", c.LinkBPS)
	case c.Queues < 1 || c.Queues > MaxQueues:
		return fmt.Errorf("nic: Config.Queues is %d, not from 1 to %d", c.Queues, MaxQueues)
	case c.VFs < 0 || c.VFs > MaxVFs:
		return fmt.Errorf("nic: Config.VFs is %d, not from 0 to %d", c.VFs, MaxVFs)
	case c.FIFO < 1<<10 || c.FIFO > 16<<20:
		return fmt.Errorf("nic: Config.FIFO is %d, not from 1 KiB to 16 MiB", c.FIFO)
	}
	return nil
}

// priceList asks the account what things cost; no hop may take zero time.
func priceList(a *cost.Account) prices {
	p := prices{
		rxDesc:  a.Price(cost.DevDescFetch, 1, DescSize) + a.Price(cost.DevRxDMA, 1, 0) + a.Price(cost.DevRxWriteback, 1, DescSize),
		rxByte:  a.Price(cost.DevRxDMA, 0, 1),
		tlp:     a.Price(cost.DevTLP, 1, 0),
		txFetch: a.Price(cost.DevDescFetch, 1, DescSize),
		txEach:  a.Price(cost.DevTxDMA, 1, 0),
		txByte:  a.Price(cost.DevTxDMA, 0, 1),
		txDone:  sim.Time(a.Price(cost.DevTxWriteback, 1, DescSize)),
		msix:    sim.Time(a.Price(cost.DevMSIX, 1, 0)),
		walk:    a.Price(cost.DevIotlbWalk, 1, 0),
	}
	return p
}

// Name is the name in the configuration.
func (n *NIC) Name() string { return n.name }

// CatchUp lets the device do everything that it would have done up to now. The
// driver calls it before it looks at descriptors.
func (n *NIC) CatchUp(now sim.Time) {
	n.catchUp(now)
	n.rearm()
}

// catchUp moves the device on to the time now. A CPU's time may be behind that of
// one that has been here before: then the device is further already, and what the
// CPU behind changes takes effect at its time, or as soon after as it can.
func (n *NIC) catchUp(now sim.Time) {
	if n.busy {
		return
	}
	n.busy = true
	n.receive(now)
	n.settle(now + 1)
	n.busy = false
}

// abort ends what is under way in the device, before a reset.
func (n *NIC) abort(now sim.Time) {
	if n.vt != nil {
		n.abortVT(now)
	}
	for n.fifo.count != 0 {
		n.dropHead(cost.NICRxDisabled, now)
	}
	for q := range n.queues {
		n.release(&n.rx[q], now)
		n.stopTx(q, now)
	}
}

// RxTag is what is known of the frame whose last descriptor is index, which has
// DD.
func (n *NIC) RxTag(queue int, index uint32) Tag { return n.rx[queue].tags[index] }

// RxTags is RxTag of every descriptor of the queue, by index; for reading only. A
// CPU whose time is before a descriptor's Done cannot know that it has DD: another
// CPU, which is ahead, has let the device catch up.
func (n *NIC) RxTags(queue int) []Tag { return n.rx[queue].tags }

// SetTxTag says what is known of the frame whose last descriptor, the one with
// EOP, is index. It is called before the doorbell, on a queue that is enabled.
func (n *NIC) SetTxTag(queue int, index uint32, t Tag) { n.tx[queue].tags[index] = t }

// InFlight is the number of frames that the wire has handed out and the device
// has neither dropped nor written to host memory: in the packet buffer, or on the
// wire with the last bit still to come, or merged and not written back. Of frames that go out there is none,
// because the device takes whole frames from a ring and gives them to the wire at
// once, with the time at which they leave. Frames between pools count, and those in the
// memory of a VF whose driver has not taken them.
func (n *NIC) InFlight() uint64 {
	held := uint64(n.fifo.count) + n.holding() + n.UnderWay()
	if n.vt != nil {
		held += n.vt.held()
	}
	return held
}

// UnderWay is the number of frames on the wire whose last bit is still to come:
// at most one, since the wire is asked for one at a time, but with virtual functions a
// few more are looked at ahead.
func (n *NIC) UnderWay() (frames uint64) {
	if n.have {
		frames = 1
	}
	if n.vt != nil {
		frames += uint64(n.vt.ahead.count)
	}
	return frames
}
