package vm

import (
	"errors"
	"fmt"
	"net/netip"

	"ringside/mem"
	"ringside/syscall"
)

// A MAC is an Ethernet address.
type MAC = [6]byte

// Time is virtual time.
type Time = syscall.Time

// Config describes a guest.
type Config struct {
	Name    string
	Program Program
	MAC     MAC
	Addr    netip.Addr // what Echo answers for; the zero Addr is none
	Batch   int        // frames one Receive may fetch in one system call; 0 and 1 mean read()
}

// A Program is what a guest runs. Its return ends the guest; an error fails the
// run.
type Program func(g *Guest) error

// bufferSize holds the longest frame that the NIC takes, 9.5 KiB, and a tag.
const bufferSize = 9728 + 16

// MemorySize is the private memory that a guest with that batch needs, in bytes:
// a buffer for every frame of a batch.
func (c Config) MemorySize() int { return max(c.Batch, 1) * bufferSize }

// A Guest is a program's view of its machine. Its methods may be called by the
// program alone.
type Guest struct {
	Config
	Task *syscall.Task // for the bare system calls; nil on a Port
	FD   int           // the open tap: what the VMM handed over

	port  Port // nil on a tap
	aside bool // Receive is more than one read of the tap

	msgs []syscall.Message
	got  int // messages filled by the last batch
	next int // of them, the next to hand out
}

// Main is a guest's life: it finds its tap open as descriptor 0 and runs its
// program. It is what a kernel is given to spawn.
func (c Config) Main(t *syscall.Task) error {
	g := &Guest{Config: c, Task: t, aside: c.Batch > 1}
	for i := range c.Batch {
		g.msgs = append(g.msgs, syscall.Message{Segment: syscall.Segment{Addr: mem.Addr(i * bufferSize), Len: bufferSize}})
	}
	return c.Program(g)
}

// Receive waits for a frame and returns it. The bytes are the guest's own memory
// and stay good until the next Receive. A guest with a batch fetches as many as
// are there and hands them out one at a time.
func (g *Guest) Receive() ([]byte, error) {
	if g.aside {
		return g.receiveAside()
	}
	n, errno := g.Task.Read(g.FD, 0, bufferSize)
	if errno != syscall.OK {
		return nil, fmt.Errorf("read: %w", errno)
	}
	return g.Task.Memory().Bytes(0, n), nil
}

// receiveAside is Receive of a batch or from a port.
func (g *Guest) receiveAside() ([]byte, error) {
	if g.port != nil {
		return g.port.Receive()
	}
	return g.receiveBatch()
}

func (g *Guest) receiveBatch() ([]byte, error) {
	if g.next == g.got {
		got, errno := g.Task.ReadBatch(g.FD, g.msgs)
		if errno != syscall.OK {
			return nil, fmt.Errorf("recvmmsg: %w", errno)
		}
		g.got, g.next = got, 0
	}
	m := &g.msgs[g.next]
	g.next++
	return g.Task.Memory().Bytes(m.Addr, m.Got), nil
}

// ErrNotMine says that a frame to be sent does not lie in the guest's memory.
var ErrNotMine = errors.New("frame is not in the guest's memory")

// Send sends a frame that lies in the guest's memory: one that Receive returned,
// changed in place perhaps, or a part of Memory.
func (g *Guest) Send(frame []byte) error {
	if g.port != nil {
		return g.port.Send(frame)
	}
	addr, ok := g.Task.Memory().AddrOf(frame)
	if !ok {
		return fmt.Errorf("send: %w: %d bytes", ErrNotMine, len(frame))
	}
	if _, errno := g.Task.Write(g.FD, addr, len(frame)); errno != syscall.OK {
		return fmt.Errorf("write: %w", errno)
	}
	return nil
}

// Memory is the guest's memory.
func (g *Guest) Memory() []byte {
	if g.port != nil {
		return g.port.Memory()
	}
	return g.Task.Memory().Bytes(0, g.Task.Memory().Size())
}

// Work says that the program worked for the span d, on top of what beginning a
// piece of work costs.
func (g *Guest) Work(d Time) {
	if g.port != nil {
		g.port.Work(d)
		return
	}
	g.Task.Compute(d)
}

// Sleep gives the CPU away for the span d.
func (g *Guest) Sleep(d Time) {
	if g.port != nil {
		g.port.Sleep(d)
		return
	}
	g.Task.Nanosleep(d)
}
