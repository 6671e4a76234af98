// Package kerneltest is a host for tests: a kernel whose NIC hangs on a scripted
// wire, taps with a station behind each, and processes as a test wants them. It
// is the machine of package ringside without its defaults, so that a test can
// hold every part in its hand, and it asks the oracles after every run.
package kerneltest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/mem"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// Config describes a host. The zero value has one CPU, a NIC of 10 Gbit/s with
// one queue of 256 descriptors, no taps, and counts instead of pricing.
type Config struct {
	Seed     uint64
	Book     *cost.Book // nil means cost.Unit: every operation is a cycle, a cycle is a nanosecond
	CPUs     int
	Taps     int // tap0, tap1, …; the bridge knows Station(i) behind tap i
	TapQueue int
	Host     kernel.HostStack
	NIC      kernel.NICConfig
	LinkBPS  uint64
	FIFO     int
	RAM      int // bytes; 0 means 8 MiB
	Sink     trace.Sink
	VLANs    bool // the bridge filters
	Topology kernel.Topology
	Sched    kernel.Sched
	Batching kernel.Batching
}

// A Rig is a host with everything it is made of.
type Rig struct {
	*kernel.Kernel
	Engine *sim.Engine
	Memory *mem.Memory
	Bridge *bridge.Bridge
	NIC    *nic.NIC
	Wire   *nictest.Wire
	Device *cost.Account // the NIC's
	Book   *cost.Book
	Hash   *trace.Hash
	Drops  cost.Drops
	Port   bridge.Port   // of the NIC
	Taps   []bridge.Port // of the taps

	in, out uint64
	nextID  uint64
}

// Station is the address behind tap i.
func Station(i int) bridge.MAC { return bridge.MAC{0x02, 0, 0, 0, 1, byte(i)} }

// Remote is the address of station i at the far end of the wire.
func Remote(i int) bridge.MAC { return bridge.MAC{0x02, 0, 0, 0, 2, byte(i)} }

// HostMAC is the address of the host's own stack where Config.Host has none.
var HostMAC = bridge.MAC{0x02, 0, 0, 0, 0, 0xfe}

// New boots a host that is closed when the test ends.
func New(tb testing.TB, c Config) *Rig {
	tb.Helper()
	r, err := Boot(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// Boot is New for those who close the host themselves.
func Boot(c Config) (*Rig, error) {
	if c.Book == nil {
		c.Book = cost.Unit()
	}
	if c.RAM == 0 {
		c.RAM = 8 << 20
	}
	if c.Host.MAC == (bridge.MAC{}) {
		c.Host.MAC = HostMAC
	}
	if c.NIC.Name == "" {
		c.NIC.Name = "eth0"
	}
	r := &Rig{
		Engine: sim.NewEngine(c.Seed), Memory: mem.New(c.RAM), Wire: &nictest.Wire{},
		Device: cost.NewAccount(c.NIC.Name, c.Book, true), Book: c.Book, Hash: &trace.Hash{},
	}
	r.Engine.OnFire(func(at sim.Time, seq uint64, id uint32) {
		r.Hash.Add(trace.Record{At: at, Kind: trace.Event, Who: id, A: seq})
	})
	var err error
	if r.Bridge, err = bridge.New(bridge.Config{Name: "br0", MAC: c.Host.MAC, VLANFiltering: c.VLANs}); err != nil {
		return nil, err
	}
	r.Kernel, err = kernel.Boot(kernel.Config{
		Engine: r.Engine, Memory: r.Memory, Book: c.Book, Hash: r.Hash, Drops: &r.Drops, Bridge: r.Bridge,
		Sink: c.Sink, CPUs: c.CPUs, Host: c.Host, TapQueue: c.TapQueue,
		Topology: c.Topology, Sched: c.Sched, Batching: c.Batching,
	})
	if err != nil {
		return nil, err
	}
	r.Port, err = r.AddNIC(c.NIC, func(irq nic.IRQ) (*nic.NIC, error) {
		var err error
		r.NIC, err = nic.New(nic.Config{
			Name: c.NIC.Name, Engine: r.Engine, Memory: r.Memory, Account: r.Device, Drops: &r.Drops, Hash: r.Hash,
			Sink: c.Sink, Wire: (*plug)(r), IRQ: irq, MAC: c.Host.MAC, LinkBPS: c.LinkBPS, Queues: c.NIC.Queues, FIFO: c.FIFO,
		})
		return r.NIC, err
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	r.Wire.NIC = r.NIC
	for i := range c.Taps {
		p, err := r.AddTap(fmt.Sprintf("tap%d", i), int32(i))
		if err == nil {
			err = r.Bridge.Add(bridge.Entry{MAC: Station(i), Port: p, Kind: bridge.Static, Sticky: true})
		}
		if err != nil {
			r.Close()
			return nil, err
		}
		r.Taps = append(r.Taps, p)
	}
	return r, nil
}

// plug is the socket between NIC and wire: it counts what goes through.
type plug Rig

func (p *plug) Receive(f *nic.WireFrame) bool {
	if !p.Wire.Receive(f) {
		return false
	}
	p.in++
	return true
}

func (p *plug) Transmit(f *nic.WireFrame) {
	p.out++
	p.Wire.Transmit(f)
}

// Play puts frames on the wire, the first bit of each not before at. Their ids
// count from 1.
func (r *Rig) Play(at sim.Time, frames ...[]byte) {
	for _, f := range frames {
		r.nextID++
		r.Wire.Play(nic.WireFrame{ID: r.nextID, At: at, Data: f})
	}
}

// Start spawns a process with 64 KiB of memory that finds the taps open as its
// descriptors 0, 1, ….
func (r *Rig) Start(cpu int, program func(*syscall.Task) error, taps ...string) (*mem.Memory, error) {
	m := mem.New(64 << 10)
	for i := range taps {
		taps[i] = "/dev/" + taps[i]
	}
	return m, r.Spawn(kernel.Process{Name: fmt.Sprintf("guest on cpu%d", cpu), CPU: cpu, Memory: m, Inherit: taps, Program: program})
}

// Read returns a program that reads frames from descriptor 0 into the beginning
// of its memory and hands them to each, for ever.
func Read(each func(t *syscall.Task, frame []byte)) func(*syscall.Task) error {
	return func(t *syscall.Task) error {
		for {
			n, errno := t.Read(0, 0, 32<<10)
			if errno != syscall.OK {
				return errno
			}
			each(t, t.Memory().Bytes(0, n))
		}
	}
}

// Run runs the host until it is at rest and asks every oracle.
func (r *Rig) Run() error {
	if err := r.Engine.RunToIdle(); err != nil {
		return err
	}
	if err := r.CheckRest(); err != nil {
		return err
	}
	return r.Check()
}

// Check asks the oracles that hold whenever no event runs.
func (r *Rig) Check() error {
	if err := r.Kernel.Check(); err != nil {
		return err
	}
	if m, _ := r.NIC.Misuses(); len(m) > 0 {
		return fmt.Errorf("driver misused the NIC: %v", m[0])
	}
	b := r.Balance()
	if b.In+b.Own+b.Cloned+b.Segmented != b.ToVMs+b.ToHost+b.Sent+b.Dropped+b.Merged+b.InFlight {
		return fmt.Errorf("frames were lost or made up: %+v", b)
	}
	return nil
}

// A Balance is where all frames are: the first four are the last six.
type Balance struct {
	In, Own, Cloned, Segmented                     uint64
	ToVMs, ToHost, Sent, Dropped, Merged, InFlight uint64
}

// Balance counts frames.
func (r *Rig) Balance() Balance {
	f, dev := r.Flow(), r.NIC.Counts()
	return Balance{
		In: r.in, Own: f.Own, Cloned: f.Cloned, Segmented: f.Segmented + dev.Segmented, Merged: f.Merged + dev.Merged, ToVMs: f.ToVMs, ToHost: f.ToHost, Sent: r.out,
		Dropped: r.Drops.Total(), InFlight: r.NIC.InFlight() + r.Kernel.InFlight(),
	}
}

// Bill is the ledger so far.
func (r *Rig) Bill() *cost.Bill {
	return cost.Sum(r.Book, append([]*cost.Account{r.Device}, r.Accounts()...)...)
}

// Frame is a frame of n bytes between two stations, n at least 14. Its bytes
// behind the header count up from fill.
func Frame(dst, src bridge.MAC, n int, fill byte) []byte {
	f := make([]byte, n)
	copy(f, dst[:])
	copy(f[6:], src[:])
	f[12], f[13] = 0x88, 0xb5 // local experimental
	for i := range f[14:] {
		f[14+i] = fill + byte(i)
	}
	return f
}

// UDP is a datagram of a flow, by its source port, in a frame of n bytes, at
// least 43. Its payload counts up from fill; its checksums are not computed.
func UDP(dst, src bridge.MAC, flow uint16, n int, fill byte) []byte {
	f := Frame(dst, src, n, 0)
	clear(f[14:42])
	f[12], f[13] = 0x08, 0x00
	f[14], f[22], f[23] = 0x45, 64, 17
	binary.BigEndian.PutUint16(f[16:], uint16(n-14))
	copy(f[26:], []byte{192, 0, 2, src[5], 192, 0, 2, 100 + dst[5]%100})
	binary.BigEndian.PutUint16(f[34:], flow)
	binary.BigEndian.PutUint16(f[36:], 9)
	binary.BigEndian.PutUint16(f[38:], uint16(n-34))
	for i := range f[42:] {
		f[42+i] = fill + byte(i)
	}
	return f
}
