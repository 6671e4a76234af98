package kernel

import (
	"errors"
	"fmt"
	"strings"

	"ringside/bridge"
	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/trace"
)

// A Poller is a user-space process that owns its CPU and never sleeps. Its methods are
// called by the event loop.
type Poller interface {
	// Poll is one round: every queue that the process has is asked once, and what is
	// there is worked on. It says whether there was anything. A round that finds
	// nothing charges cost.RteEthRxIdle, once for every queue, and nothing else.
	Poll(*Core) bool
	// Next is the earliest time at which a round could find something, sim.Never if
	// nothing is under way: whoever brings something later calls Core.Wake.
	Next() sim.Time
	// InFlight counts the frames that the process holds, or that wait on its queues and
	// were counted as having come in.
	InFlight() uint64
	// Check finds what must not be whenever no event runs, a buffer that leaked for
	// instance.
	Check() error
	// Stalled lists what waits for somebody who will not come, once a run is at rest.
	Stalled() []string
}

// PollerConfig describes a process that polls. The zero value is one called pmd.
type PollerConfig struct {
	Name string // in traces
}

// A Core is a CPU that a Poller has to itself: no interrupt, no scheduler and no other
// task comes there. Time passes in whole rounds.
//
// Rounds that find nothing are no events. They are charged in one lump, as many as
// have ended, when something comes or the account is read; so the account, and the
// moment at which a frame is found, are those of a loop that really turned.
type Core struct {
	k      *Kernel
	cpu    *CPU
	p      Poller
	timer  *sim.Timer
	name   string
	inside bool   // in Fire: what comes is asked for at the round's end
	round  uint64 // ticks of a round that finds nothing; 0 before the first
	asks   uint64 // queues that such a round asks
	ports  []*UserPort
}

// AddPoller starts p on a CPU of its own, which comes after the kernel's CPUs. Its
// first round is at the present time.
func (k *Kernel) AddPoller(cfg PollerConfig, p Poller) (*Core, error) {
	if p == nil {
		return nil, errors.New("kernel: AddPoller without a Poller")
	}
	c := &Core{k: k, p: p, name: cfg.Name, cpu: newCPU(k, len(k.cpus)+len(k.cores))}
	if c.name == "" {
		c.name = "pmd"
	}
	c.cpu.lone = true
	c.timer = k.eng.NewTimer(c.name, c)
	k.cores = append(k.cores, c)
	k.eng.Arm(c.timer, k.eng.Now())
	return c, nil
}

// Fire makes up for the rounds that found nothing and goes on: rounds follow each
// other while they find something, and everybody earlier has a turn between two.
func (c *Core) Fire(now sim.Time) {
	c.idle(now)
	c.inside = true
	for c.k.eng.Err() == nil {
		next := sim.Time(0)
		if !c.turn() {
			next = c.p.Next()
		}
		at := c.cpu.clock.Now()
		if next <= at && c.k.eng.Next() > at && at-now < slice {
			continue
		}
		c.k.eng.Arm(c.timer, max(next, at))
		break
	}
	c.inside = false
}

// Touches says whether there is a model of TLBs that wants to know what the process touches.
func (c *Core) Touches() bool { return c.cpu.tlb != nil }

// Touch is an access of the process to n bytes of host memory that it has mapped.
func (c *Core) Touch(a mem.Addr, n int) { c.cpu.touchAt(c.k.paging.poolRegion(), a, n) }

// turn is one round. It says whether anything was found; how long one without takes is
// kept.
func (c *Core) turn() bool {
	acct := c.cpu.acct
	ticks, asks := acct.Ticks(), acct.Count(cost.RteEthRxIdle)
	if c.p.Poll(c) {
		return true
	}
	c.round, c.asks = acct.Ticks()-ticks, acct.Count(cost.RteEthRxIdle)-asks
	if c.round == 0 || c.round != acct.Price(cost.RteEthRxIdle, c.asks, 0) {
		c.k.eng.Fail(fmt.Errorf("%s: a round that found nothing was charged %d ticks for %d polls", c.name, c.round, c.asks))
	}
	return false
}

// idle charges the rounds that have ended by the time at.
func (c *Core) idle(at sim.Time) {
	if c.round == 0 {
		c.cpu.clock.Begin(at)
		return
	}
	n := c.cpu.clock.Fits(c.round, at)
	if n == 0 {
		return
	}
	c.cpu.acct.Charge(cost.RteEthRxIdle, n*c.asks)
	if c.cpu.watched {
		c.k.sink.Step(trace.Step{At: c.cpu.clock.Now(), CPU: int32(c.cpu.id), Step: cost.RteEthRxIdle, N: n * c.asks, Note: c.name})
	}
}

// Wake says that a round from the time at on could find something.
func (c *Core) Wake(at sim.Time) {
	if c.inside {
		return
	}
	if at = max(at, c.cpu.clock.Now(), c.k.eng.Now()); at < c.timer.At() {
		c.k.eng.Arm(c.timer, at)
	}
}

// Now is the time of the CPU: the end of everything charged to it so far.
func (c *Core) Now() sim.Time { return c.cpu.clock.Now() }

// Charge does the step s n times.
func (c *Core) Charge(s cost.Step, n uint64) { c.cpu.shared(s, n, c.name) }

// ChargeBytes does the step s n times, over so many bytes in all.
func (c *Core) ChargeBytes(s cost.Step, n, bytes uint64) { c.ChargeFrame(0, s, n, bytes) }

// ChargeFrame is ChargeBytes for the frame with that id, so that its journey shows the
// step; 0 is none.
func (c *Core) ChargeFrame(id uint64, s cost.Step, n, bytes uint64) {
	c.cpu.acct.ChargeBytes(s, n, bytes)
	if c.cpu.watched && (id == 0 || c.k.sink.Watching(id)) {
		c.k.sink.Step(trace.Step{ID: id, At: c.cpu.clock.Now(), CPU: int32(c.cpu.id), Step: s, N: n, Bytes: bytes, Note: c.name})
	}
}

// Watched says whether somebody watches the run: then steps are charged frame by frame
// with ChargeFrame, and frames are shown.
func (c *Core) Watched() bool { return c.cpu.watched }

// Show lets the sink see a frame at the present time. The caller has asked Watched.
func (c *Core) Show(f *trace.Frame) {
	f.At = c.cpu.clock.Now()
	c.k.sink.Frame(f)
}

// Cloned counts n copies of frames beyond the first of each.
func (c *Core) Cloned(n uint64) { c.k.flow.Cloned += n }

// Drop counts a frame that dies in the process, on its way in or out by the interface
// with the index port, -1 if by none.
func (c *Core) Drop(id uint64, port int32, frame []byte, reason cost.DropReason) {
	k := c.k
	c.ChargeFrame(id, cost.RtePktmbufFree, 1, 0)
	k.drops.Add(cost.Pmd, reason, 1)
	k.hash.Add(trace.Record{At: c.cpu.clock.Now(), Kind: trace.Dropped, Who: trace.WhoDropped(cost.Pmd, reason), A: id})
	if c.cpu.watched {
		c.Show(&trace.Frame{
			ID: id, Point: trace.Bridge, Verdict: trace.Drop, Reason: reason, Stage: cost.Pmd,
			Queue: -1, Port: port, VM: -1, Len: len(frame), Data: frame,
		})
	}
}

// Fail ends the run with an error of the process.
func (c *Core) Fail(err error) { c.k.eng.Fail(fmt.Errorf("%s: %w", c.name, err)) }

// A UserPort is an interface that a Core's process serves: a port of a bridge that the
// kernel only knows by name, since nothing of it goes through the kernel.
type UserPort struct {
	c    *Core
	net  *netdev
	vm   int32
	stat *TapStat // of one that leads to a guest
	dev  *UserNet // likewise, once it is there
	raw  bool     // the guest's program says when it has a frame: see VCPU.Took
}

// AddUserPort plugs in an interface of the process, whose longest frame is mtu bytes
// with its header. Vm is the guest it leads to, in traces, -1 if it leads to none; raw
// says that the guest's program says itself when it has a frame, see VCPU.Took. The
// bridge at.Bridge is the process's from then on: the kernel neither asks it nor runs
// its timers, and it can have no interfaces of the kernel's own.
func (c *Core) AddUserPort(at Interface, vm int32, raw bool, mtu int) (*UserPort, error) {
	k := c.k
	if !at.Alone {
		b, err := k.bridgeOf(at.Bridge)
		if err != nil {
			return nil, fmt.Errorf("kernel: %s: %w", at.Port.Name, err)
		}
		if b.user == nil && len(b.br.Ports()) > 0 || b.user != nil && b.user != c {
			return nil, fmt.Errorf("kernel: %s: the bridge is not %s's alone", at.Port.Name, c.name)
		}
		b.user = c
	}
	p := &UserPort{c: c, net: &netdev{user: c}, vm: vm, raw: raw}
	if err := k.plug(p.net, at, mtu); err != nil {
		return nil, err
	}
	if vm >= 0 { // it has the place of a tap in what is told of guests, and nothing on it
		t := &tap{k: k, name: p.net.name, net: p.net, vm: vm}
		t.stat.Name = t.name
		k.tapList = append(k.tapList, t)
		p.stat = &t.stat
	}
	c.ports = append(c.ports, p)
	return p, nil
}

// Index is the interface's number in traces.
func (p *UserPort) Index() int32 { return p.net.index }

// Port is its number on its bridge.
func (p *UserPort) Port() bridge.Port { return p.net.port }

// MTU is the longest frame that leaves by it, header and tag included.
func (p *UserPort) MTU() int { return int(p.net.mtu) }

// Begin counts a frame that a guest has sent, and names it.
func (p *UserPort) Begin(frame []byte) (id uint64) {
	c, k := p.c, p.c.k
	id = k.newID()
	k.flow.Own++
	p.stat.TxFrames++
	p.stat.TxBytes += uint64(len(frame))
	k.hash.Add(trace.Record{At: c.cpu.clock.Now(), Kind: trace.FrameIn, A: id, B: uint64(len(frame))})
	if c.cpu.watched {
		c.Show(&trace.Frame{ID: id, Point: trace.VM, Tx: true, Queue: -1, Port: p.net.index, VM: p.vm, Len: len(frame), Data: frame})
	}
	return id
}

// Deliver counts a frame that the guest has in its memory since now.
func (p *UserPort) Deliver(id uint64, arrived sim.Time, frame []byte) {
	c, k, now := p.c, p.c.k, p.c.cpu.clock.Now()
	k.flow.ToVMs++
	p.stat.RxFrames++
	p.stat.RxBytes += uint64(len(frame))
	if now < arrived {
		c.Fail(fmt.Errorf("frame %d is in %s at %v and came in at %v", id, p.net.name, now, arrived))
	}
	if !p.raw {
		k.Latency.Record(now - arrived)
	}
	k.hash.Delivered(now, uint32(p.net.index), id, trace.Fate(trace.Bytes(frame), arrived))
	if c.cpu.watched {
		c.Show(&trace.Frame{ID: id, Point: trace.VM, Verdict: trace.Deliver, Queue: -1, Port: p.net.index, VM: p.vm, Len: len(frame), Data: frame})
	}
}

// userXmit is what becomes of frames that the kernel itself sends by such an interface:
// nobody takes them.
func (dev *netdev) userXmit(c *CPU, list []*skb) {
	for _, s := range list {
		c.drop(s, cost.Stack, cost.DevReady)
	}
}

// settleCores has the accounts of processes that poll reach the machine's time.
func (k *Kernel) settleCores() {
	now := k.Now()
	for _, c := range k.cores {
		c.idle(now)
	}
}

// stalledCores is CheckRest for processes that poll.
func (k *Kernel) stalledCores() error {
	for _, c := range k.cores {
		found := c.p.Stalled()
		for _, p := range c.ports {
			if p.dev != nil {
				found = append(found, p.dev.stalled()...)
			}
		}
		if len(found) > 0 {
			return fmt.Errorf("stall: %s: %s", c.name, strings.Join(found, "; "))
		}
	}
	return nil
}

// checkCores is Check for processes that poll.
func (k *Kernel) checkCores() error {
	for _, c := range k.cores {
		if err := c.p.Check(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}
