package guest

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/cost"
	"ringside/netstack"
	"ringside/sim"
)

// A Kernel is a guest's kernel. It works when its owner calls Run, on the CPU and
// the NICs of its Config; it has no goroutine that runs by itself. New makes one.
type Kernel struct {
	cfg    Config
	cpu    CPU
	stack  *netstack.Stack
	ifaces []iface
	addrs  []netip.Addr // its own, of all interfaces
	raw    [][]byte     // likewise, as packets have them

	timers     timers
	programmed sim.Time // what the CPU's timer is set for
	expired    bool     // it has gone off

	pollList *iface // NICs to be polled
	pollEnd  **iface
	turn     turn

	runq     procQueue
	procs    *Proc // all that have not ended
	lastProc *Proc // the end of that list
	current  *Proc // has the CPU and wants to go on
	last     *Proc // had it last; nil after a wait
	inside   *Proc // whose program is running at this moment
	sliceEnd sim.Time

	notified    *socket // their readiness may have changed
	notifiedEnd **socket

	results []recorded
	scratch [headerRoom]byte
	copied  []byte          // the frame that a raw socket sends: who sends it may write to it
	frame   netstack.Packet // of that
	closed  bool
}

// New makes a guest's kernel, with its stack and interfaces. Nothing has run when
// it returns: the first Run starts the first process.
func New(c Config) (*Kernel, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	k := &Kernel{cfg: c, cpu: c.CPU, programmed: sim.Never}
	k.pollEnd, k.notifiedEnd = &k.pollList, &k.notified
	var err error
	k.stack, err = netstack.New(netstack.Config{
		Name: c.Name, Clock: (*clock)(k), Chance: c.Chance, Forward: c.Forward, TCP: c.TCP,
	})
	if err != nil {
		return nil, fmt.Errorf("guest %s: %w", c.Name, err)
	}
	if err := k.configure(); err != nil {
		k.stack.Close()
		return nil, fmt.Errorf("guest %s: %w", c.Name, err)
	}
	for _, p := range c.Processes {
		k.spawn(p.Name, p.Main, p.Start)
	}
	return k, nil
}

// configure makes the interfaces, and sets addresses and routes.
func (k *Kernel) configure() error {
	k.ifaces = make([]iface, len(k.cfg.Interfaces))
	for i := range k.ifaces {
		if err := k.ifaces[i].open(k, &k.cfg.Interfaces[i]); err != nil {
			return err
		}
	}
	return k.route()
}

// route sets the stack's routes: those given, and the gateway's.
func (k *Kernel) route() error {
	routes := k.cfg.Routes
	if gw := k.cfg.Gateway; gw.IsValid() {
		routes = append(slices.Clip(routes), netstack.Route{Dst: netip.PrefixFrom(unspecified(gw), 0), Via: gw})
	}
	return k.stack.SetRoutes(routes)
}

// unspecified is 0.0.0.0 or ::, as a is.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// Interrupt says that an interrupt is pending, of the vector that VectorsPerNIC
// explains. The next Run handles it.
func (k *Kernel) Interrupt(vector int) {
	if i := vector / VectorsPerNIC; vector >= 0 && i < len(k.ifaces) {
		k.ifaces[i].pending |= 1 << (vector % VectorsPerNIC)
	}
}

// Timer says that the time of the last WakeAt has come. The next Run handles it.
func (k *Kernel) Timer() { k.expired, k.programmed = true, sim.Never }

// Run does one piece of the most urgent work. False says that there is nothing to
// do until an interrupt comes or the time of WakeAt.
func (k *Kernel) Run() bool {
	switch {
	case k.closed:
		return false
	case k.interrupt():
	case !k.squeezed() && k.poll():
	case k.expire():
	case k.process():
	case k.poll():
	default:
		k.idle()
		return false
	}
	return true
}

// interrupt handles the first interrupt that is pending and says whether there was
// one.
func (k *Kernel) interrupt() bool {
	for i := range k.ifaces {
		if in := &k.ifaces[i]; in.pending != 0 {
			in.interrupt()
			return true
		}
	}
	return false
}

// A turn is how polling and processes share the CPU when both want it: polls have
// at most softirqRounds rounds or softirqTime, then processes have a slice.
type turn struct {
	rounds int      // polls of the present turn
	began  sim.Time // when it began
	until  sim.Time // end of the processes' turn, 0 while polls have theirs
}

// The limits of Linux's softirq, and the base slice of its fair scheduler.
const (
	softirqTime   = 2 * sim.Millisecond
	softirqRounds = 10
	slice         = 3 * sim.Millisecond
)

// squeezed says that polls have had their turn and that it is the processes', if
// one wants it, or the timers', if one is due.
func (k *Kernel) squeezed() bool {
	t := &k.turn
	if t.rounds == 0 {
		return false
	}
	now := k.cpu.Now()
	switch {
	case t.rounds < softirqRounds && now < t.began+softirqTime:
		return false
	case k.current == nil && k.runq.head == nil && k.timers.next() > now:
	case t.until == 0:
		t.until = now + slice
		return true
	case now < t.until:
		return true
	}
	*t = turn{}
	return false
}

// poll polls the NIC that has waited longest and says whether one was scheduled.
func (k *Kernel) poll() bool {
	in := k.pollList
	if in == nil {
		k.turn = turn{}
		return false
	}
	if k.pollList = in.next; k.pollList == nil {
		k.pollEnd = &k.pollList
	}
	if k.turn.rounds++; k.turn.rounds == 1 {
		k.turn.began = k.cpu.Now()
	}
	in.poll()
	return true
}

// expirations is how many timers one piece may run.
const expirations = 64

// expire runs timers that are due and says whether there was something to do.
func (k *Kernel) expire() bool {
	if !k.expired && k.timers.next() > k.cpu.Now() {
		return false
	}
	k.expired = false
	k.cpu.Charge(cost.GuestTimer, 1)
	for range expirations {
		t := k.timers.expire(k.cpu.Now())
		if t == nil {
			break
		}
		t.f()
	}
	k.settle()
	return true
}

// idle sets the CPU's timer for the earliest timer. One that is set for an earlier
// time stays: it costs an exit to move it, and at most one wake-up for nothing.
func (k *Kernel) idle() {
	if at := k.timers.next(); at < k.programmed {
		k.programmed = at
		k.cpu.WakeAt(at)
	}
}

// settle lets TCP work on what has come, and wakes the processes whose sockets
// are ready.
func (k *Kernel) settle() {
	k.stack.Poll()
	for k.notified != nil {
		s := k.notified
		if k.notified = s.nextNotified; k.notified == nil {
			k.notifiedEnd = &k.notified
		}
		s.isNotified, s.nextNotified = false, nil
		s.wakeReady()
	}
}

// Close ends the processes, deferred functions run, closes the sockets and then
// the stack. No goroutine is left.
func (k *Kernel) Close() {
	if k.closed {
		return
	}
	k.closed = true
	for k.procs != nil {
		k.procs.kill()
	}
	k.stack.Close()
}

// Stack is the guest's network stack, for its neighbours, routes and counters.
func (k *Kernel) Stack() *netstack.Stack { return k.stack }

// Name is the guest's name.
func (k *Kernel) Name() string { return k.cfg.Name }

// Running counts the processes that have not ended.
func (k *Kernel) Running() (n int) {
	for p := k.procs; p != nil; p = p.younger {
		n++
	}
	return n
}

func (k *Kernel) logf(process, format string, args ...any) {
	if k.cfg.Log != nil {
		k.cfg.Log(k.cpu.Now(), process, fmt.Sprintf(format, args...))
	}
}
