package nic

import (
	"errors"
	"fmt"

	"ringside/cost"
	"ringside/mem"
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
	MAC     [6]byte       // what RAL[0] and RAH[0] hold after a reset
	LinkBPS uint64        // bits a second; 0 means 10e9
	Queues  int           // receive queues, and as many for transmit: 1 to 16; 0 means 1
	FIFO    int           // receive packet buffer in bytes; 0 means 64 KiB
}

// A NIC is the device. It is called by one event loop; see the package comment.
type NIC struct {
	name    string
	engine  *sim.Engine
	memory  *mem.Memory
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
	armed   sim.Time
	price   prices
	busy    bool // inside catchUp: calls from outside only leave a note
	misuses []Misuse
	misused uint64
	sight   trace.Frame // what the sink is shown

	registers
	irq   interrupts
	stats counters

	// Reception.
	rx      [MaxQueues]rxQueue // those from queues on are always off
	held    WireFrame          // the frame under way on the wire, if have
	have    bool
	idle    bool     // the wire has said that it has nothing
	arrives sim.Time // when the held frame's last bit is in
	link    link
	fifo    fifo
	dma     dma
	dmaFree sim.Time // when the receive DMA engine is done with what it has
	passing int      // bytes of the frame that keeps it busy, if that went straight to memory
	stalled bool     // the head of the packet buffer waits for a descriptor

	filters
	rss       *toeplitz  // tables of the key, once there is use for them
	keyed     bool       // the tables are the key's
	rssFields Mrqc       // the hashes that MRQC wants, 0 while RSS is off
	redirect  [128]uint8 // RETA, an entry a byte

	// Transmission.
	tx [MaxQueues]txQueue
	txState

	in, written, dropped, sentFrames, droppedTx, interrupts uint64
}

// registers are the plain ones: what was written is what is read.
type registers struct {
	ctrl    Ctrl
	ctrlExt CtrlExt
	vet     uint32
	rctl    Rctl
	tctl    Tctl
	tipg    uint32
	dtxctl  uint32
	rxcsum  Rxcsum
	rlpml   uint32
	rfctl   uint32
	mrqc    Mrqc
	mta     [MTAWords]uint32
	ral     [MaxAddrs]uint32
	rah     [MaxAddrs]uint32
	reta    [RETAWords]uint32
	rssrk   [RSSRKWords]uint32
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
}

// New checks the configuration and returns a NIC just out of reset.
func New(c Config) (*NIC, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	n := &NIC{
		name: c.Name, engine: c.Engine, memory: c.Memory, acct: c.Account, drops: c.Drops,
		hash: c.Hash, sink: c.Sink, wire: c.Wire, sendTo: c.IRQ, mac: c.MAC,
		armed: sim.Never, link: newLink(c.LinkBPS),
		queues: c.Queues, ram: c.Memory.Bytes(0, c.Memory.Size()),
		fifo: fifo{room: c.FIFO},
	}
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

// Read reads a register at the time now.
func (n *NIC) Read(reg uint32, now sim.Time) (uint32, error) {
	n.catchUp(now)
	v, err := n.read(reg, now)
	n.rearm()
	return v, err
}

// Write writes a register at the time now.
func (n *NIC) Write(reg, v uint32, now sim.Time) error {
	n.catchUp(now)
	err := n.write(reg, v, now)
	n.rearm()
	return err
}

func (n *NIC) read(reg uint32, now sim.Time) (uint32, error) {
	if q, off, ok := queueOf(reg, 0x2800, 0xC000); ok && q < n.queues && rxNames[off] != "" {
		return n.readRx(q, off), nil
	}
	if q, off, ok := queueOf(reg, 0x3800, 0xE000); ok && q < n.queues && txNames[off] != "" {
		return n.readTx(q, off), nil
	}
	if v, ok := n.stats.read(reg); ok {
		return v, nil
	}
	i := &n.irq
	switch reg {
	case CTRL:
		return uint32(n.ctrl), nil
	case STATUS:
		return uint32(n.status()), nil
	case CTRL_EXT:
		return uint32(n.ctrlExt), nil
	case VET:
		return n.vet, nil
	case RCTL:
		return uint32(n.rctl), nil
	case TCTL:
		return uint32(n.tctl), nil
	case TIPG:
		return n.tipg, nil
	case DTXCTL:
		return n.dtxctl, nil
	case RXPBS:
		return uint32(n.fifo.room >> 10), nil
	case TXPBS:
		return txFIFO >> 10, nil
	case RXCSUM:
		return uint32(n.rxcsum), nil
	case RLPML:
		return n.rlpml, nil
	case RFCTL:
		return n.rfctl, nil
	case MRQC:
		return uint32(n.mrqc), nil
	case VT_CTL:
		return 0, nil
	case ICR, ICR2:
		v := i.icr
		i.icr = 0
		return v, nil
	case IMS, IMS2:
		return i.ims, nil
	case IAM, IAM2:
		return i.iam, nil
	case GPIE:
		return uint32(i.gpie), nil
	case EIMS:
		return i.eims, nil
	case EIAC:
		return i.eiac, nil
	case EIAM:
		return i.eiam, nil
	case EICR:
		return i.eicr, nil
	case IVAR_MISC:
		return i.ivarMisc, nil
	case ICS, ICS2, IMC, IMC2, EICS, EIMC:
		n.wrong(now, reg, -1, -1, 0, "read of a write-only register")
		return 0, fmt.Errorf("nic: read of %s: %w", RegisterName(reg), ErrWriteOnly)
	}
	if p := n.word(reg); p != nil {
		return *p, nil
	}
	if v, ok := rowOf(reg, EITR(0), Vectors); ok {
		return uint32(i.vectors[v].eitr), nil
	}
	n.wrong(now, reg, -1, -1, 0, "read of an unknown register")
	return 0, fmt.Errorf("nic: read of %s: %w", RegisterName(reg), ErrNoRegister)
}

// word is the place of a register in a table of plain words, nil if reg is none.
func (n *NIC) word(reg uint32) *uint32 {
	if i, ok := rowOf(reg, MTA(0), MTAWords); ok {
		return &n.mta[i]
	}
	if i, high, ok := addrOf(reg); ok {
		if high {
			return &n.rah[i]
		}
		return &n.ral[i]
	}
	if i, ok := rowOf(reg, RETA(0), RETAWords); ok {
		return &n.reta[i]
	}
	if i, ok := rowOf(reg, RSSRK(0), RSSRKWords); ok {
		return &n.rssrk[i]
	}
	if i, ok := rowOf(reg, IVAR(0), 8); ok {
		return &n.irq.ivar[i]
	}
	return nil
}

func (n *NIC) write(reg, v uint32, now sim.Time) error {
	if q, off, ok := queueOf(reg, 0x2800, 0xC000); ok && q < n.queues && rxNames[off] != "" {
		return n.writeRx(reg, q, off, v, now)
	}
	if q, off, ok := queueOf(reg, 0x3800, 0xE000); ok && q < n.queues && txNames[off] != "" {
		return n.writeTx(reg, q, off, v, now)
	}
	i := &n.irq
	switch reg {
	case EIMS:
		if i.gpie&GpieMultipleMSIX == 0 {
			n.wrong(now, reg, -1, -1, v, "unmasked without GPIE.Multiple_MSIX: single-vector modes are not modelled, no message goes out")
		}
		i.unmask(v&vectorMask, now)
	case EIMC:
		i.mask(v)
	case EICS:
		i.raise(v&vectorMask, now)
		if i.gpie&GpieEIAME == 0 {
			i.unmask(v&i.eiam&vectorMask, now)
		}
	case EICR:
		i.clear(v)
		if i.gpie&GpieEIAME == 0 {
			i.mask(v & i.eiam)
		}
	case EIAC:
		i.eiac = v & vectorMask
	case EIAM:
		i.eiam = v & vectorMask
	case GPIE:
		i.gpie = Gpie(v)
		i.plan()
	case IVAR_MISC:
		i.ivarMisc = v
		n.checkIvar(reg, v, 2, now)
	case ICR, ICR2:
		i.icr &^= v
	case ICS, ICS2:
		n.legacy(v, now)
	case IMS, IMS2:
		i.ims |= v
		if i.icr&v != 0 {
			i.raise(ivarBit(i.ivarMisc>>8), now)
		}
	case IMC, IMC2:
		i.ims &^= v
	case IAM, IAM2:
		i.iam = v
	case CTRL:
		if Ctrl(v)&CtrlRST != 0 {
			n.abort(now)
			n.reset()
			break
		}
		n.ctrl = Ctrl(v)
	case CTRL_EXT:
		n.ctrlExt = CtrlExt(v)
	case VET:
		n.vet = v
	case RCTL:
		n.writeRctl(Rctl(v), now)
	case TCTL:
		n.tctl = Tctl(v)
		n.transmitAll(now)
	case TIPG:
		n.tipg = v
	case DTXCTL:
		n.dtxctl = v
	case RXCSUM:
		n.rxcsum = Rxcsum(v)
	case RLPML:
		n.rlpml = v & 0x3FFF
		n.limit()
	case RFCTL:
		n.rfctl = v
	case MRQC:
		n.mrqc, n.rssFields = Mrqc(v), 0
		if n.mrqc&MrqcModeMask == MrqcRSS {
			n.rssFields = n.mrqc &^ 0xFFFF
		}
		if m := n.mrqc & MrqcModeMask; m != 0 && m != MrqcRSS {
			n.wrong(now, reg, -1, -1, v, "virtualization modes are not modelled; one queue is used")
		}
	case VT_CTL:
		if v != 0 {
			n.wrong(now, reg, -1, -1, v, "virtualization is not modelled; ignored")
		}
	default:
		return n.writeRow(reg, v, now)
	}
	return nil
}

// writeRow writes a register of a table, or refuses.
func (n *NIC) writeRow(reg, v uint32, now sim.Time) error {
	if vec, ok := rowOf(reg, EITR(0), Vectors); ok {
		n.irq.throttle(vec, Eitr(v), now)
		return nil
	}
	if p := n.word(reg); p != nil {
		*p = v
		n.wroteRow(reg, v, now)
		return nil
	}
	if s := statNames[reg]; s != "" || reg == STATUS || reg == RXPBS || reg == TXPBS {
		n.wrong(now, reg, -1, -1, v, "write to a read-only register")
		return fmt.Errorf("nic: write to %s: %w", RegisterName(reg), ErrReadOnly)
	}
	what := "write to an unknown register"
	if _, ok := rowOf(reg, EITR(Vectors), 32-Vectors); ok {
		what = "throttle of a vector that does not exist"
	}
	n.wrong(now, reg, -1, -1, v, what)
	return fmt.Errorf("nic: write to %s: %w", RegisterName(reg), ErrNoRegister)
}

// wroteRow follows up on a table that has a meaning of its own.
func (n *NIC) wroteRow(reg, v uint32, now sim.Time) {
	if _, ok := rowOf(reg, IVAR(0), 8); ok {
		n.checkIvar(reg, v, 4, now)
		n.route()
		return
	}
	if i, ok := rowOf(reg, RETA(0), RETAWords); ok {
		for b := range 4 {
			n.redirect[4*i+b] = uint8(v >> (8 * b) & 0xF)
			if q := int(v >> (8 * b) & 0xF); q >= n.queues {
				n.wrong(now, reg, q, 4*i+b, v, "redirection to a queue that does not exist")
			}
		}
		return
	}
	if _, ok := rowOf(reg, RSSRK(0), RSSRKWords); ok {
		n.rekey()
		return
	}
	if _, _, ok := addrOf(reg); ok {
		n.readdress()
	}
}

// checkIvar notes fields that name a vector the device does not have.
func (n *NIC) checkIvar(reg, v uint32, fields int, now sim.Time) {
	for i := range fields {
		f := v >> (8 * i) & 0xFF
		if f&IvarValid != 0 && f&0x7F >= Vectors {
			n.wrong(now, reg, -1, i, v, "cause mapped to a vector that does not exist")
		}
	}
}

// status is the link, up whenever the driver has set it up, and full duplex.
func (n *NIC) status() Status {
	if n.ctrl&CtrlSLU != 0 {
		return StatusFD | StatusLU
	}
	return StatusFD
}

// reset puts every register to what it holds after CTRL.RST [4.2.1].
func (n *NIC) reset() {
	n.redirect, n.rssFields = [128]uint8{}, 0
	n.registers = registers{ctrl: CtrlFD, vet: 0x81008100, rlpml: MaxFrame}
	n.irq = interrupts{next: sim.Never, sent: sim.Never, soon: sim.Never}
	n.stats = counters{}
	for q := range n.queues {
		n.rx[q] = rxQueue{srrctl: srrctlReset, ring: ring{tags: n.rx[q].tags}}
		n.tx[q] = txQueue{ring: ring{tags: n.tx[q].tags}, epoch: n.tx[q].epoch}
	}
	m := n.mac
	n.ral[0] = uint32(m[0]) | uint32(m[1])<<8 | uint32(m[2])<<16 | uint32(m[3])<<24
	n.rah[0] = uint32(m[4]) | uint32(m[5])<<8 | RahAV
	n.readdress()
	n.rekey()
	n.limit()
	n.replan()
}

// abort ends what is under way in the device, before a reset.
func (n *NIC) abort(now sim.Time) {
	for n.fifo.count != 0 {
		n.dropHead(cost.NICRxDisabled, now)
	}
	for q := range n.queues {
		n.stopTx(q, now)
	}
}

// RxTag is what is known of the frame whose last descriptor is index, which has
// DD.
func (n *NIC) RxTag(queue int, index uint32) Tag { return n.rx[queue].tags[index] }

// RxTags is RxTag of every descriptor of the queue, by index; for reading only.
func (n *NIC) RxTags(queue int) []Tag { return n.rx[queue].tags }

// SetTxTag says what is known of the frame whose last descriptor, the one with
// EOP, is index. It is called before the doorbell, on a queue that is enabled.
func (n *NIC) SetTxTag(queue int, index uint32, t Tag) { n.tx[queue].tags[index] = t }

// InFlight is the number of frames that the wire has handed out and the device
// has neither dropped nor written to host memory: in the packet buffer, or on the
// wire with the last bit still to come. Of frames that go out there is none,
// because the device takes whole frames from a ring and gives them to the wire at
// once, with the time at which they leave.
func (n *NIC) InFlight() uint64 { return uint64(n.fifo.count) + n.UnderWay() }

// UnderWay is the number of frames on the wire whose last bit is still to come:
// at most one, since the wire is asked for one at a time.
func (n *NIC) UnderWay() uint64 {
	if n.have {
		return 1
	}
	return 0
}
