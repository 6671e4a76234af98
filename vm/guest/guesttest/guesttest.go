// Package guesttest joins guests' kernels by cables in memory, so that a program can
// be tested with both ends of its connections and without a host, a bridge or a
// device. Time is an engine's and every step is charged to an account of the
// machine's, so that costs and timing can be looked at, too.
//
//	lab := guesttest.New(t, 1)
//	a := lab.Machine(guest.Config{Name: "a", Processes: …}, "10.0.0.1/24")
//	b := lab.Machine(guest.Config{Name: "b", Processes: …}, "10.0.0.2/24")
//	lab.Join(a.NIC(0), b.NIC(0), guesttest.Cable{})
//	lab.Run()
package guesttest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ringside/cost"
	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
	"ringside/vm/guest"
)

// A Lab is machines on one engine.
type Lab struct {
	Engine   *sim.Engine
	Machines []*Machine
	Unhashed bool // for measuring: Hash is of nothing

	t      testing.TB
	hash   hash.Hash
	frames int
	begun  bool
}

// New returns a lab without machines. It is closed at the end of the test.
func New(t testing.TB, seed uint64) *Lab {
	l := &Lab{Engine: sim.NewEngine(seed), t: t, hash: sha256.New()}
	t.Cleanup(l.Close)
	return l
}

// A Machine is a guest's kernel on a CPU of its own.
type Machine struct {
	*guest.Kernel
	Account *cost.Account
	Err     error // of Fail

	lab    *Lab
	config guest.Config
	nics   []*NIC
	clock  sim.Clock
	timer  *sim.Timer
	wake   sim.Time
	busy   bool
}

// Machine adds a machine. It has one interface for each list of addresses, which are
// separated by blanks: "10.0.0.1/24 2001:db8::1/64". Its kernel is made by Run.
func (l *Lab) Machine(c guest.Config, addresses ...string) *Machine {
	m := &Machine{lab: l, Account: cost.NewAccount(c.Name, cost.Unit(), false), wake: sim.Never}
	m.clock = sim.NewClock(cost.Unit().Hz, m.Account.Meter())
	m.timer = l.Engine.NewTimer(c.Name, m)
	c.CPU = m
	c.Chance = func(what string) netstack.Source { return l.Engine.Source(what) }
	c.Interfaces = nil
	for i, list := range addresses {
		n := &NIC{m: m, index: i, cable: Cable{}.withDefaults()}
		m.nics = append(m.nics, n)
		c.Interfaces = append(c.Interfaces, guest.Interface{
			NIC: n, MAC: [6]byte{2, 0, 0, 0, byte(len(l.Machines)), byte(i + 1)}, Addresses: prefixes(l.t, list),
		})
	}
	m.config = c
	l.Machines = append(l.Machines, m)
	return m
}

func prefixes(t testing.TB, list string) (out []netip.Prefix) {
	for _, text := range strings.Fields(list) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// NIC is the machine's interface with that number.
func (m *Machine) NIC(i int) *NIC { return m.nics[i] }

// Begin makes the kernels of the machines, unless that was done.
func (l *Lab) Begin() {
	if l.begun {
		return
	}
	l.begun = true
	for _, m := range l.Machines {
		var err error
		if m.Kernel, err = guest.New(m.config); err != nil {
			l.t.Fatal(err)
		}
		l.Engine.Arm(m.timer, l.Engine.Now())
	}
}

// Run runs until nothing is left to do, or until a program fails, which fails the
// test.
func (l *Lab) Run() {
	l.t.Helper()
	if err := l.TryRun(sim.Never); err != nil {
		l.t.Fatal(err)
	}
}

// RunUntil is Run for a time.
func (l *Lab) RunUntil(end sim.Time) {
	l.t.Helper()
	if err := l.TryRun(end); err != nil {
		l.t.Fatal(err)
	}
}

// TryRun is RunUntil that returns what a program failed with.
func (l *Lab) TryRun(end sim.Time) error {
	l.Begin()
	if end == sim.Never {
		return l.Engine.RunToIdle()
	}
	return l.Engine.RunUntil(end)
}

// Close ends the machines.
func (l *Lab) Close() {
	for _, m := range l.Machines {
		if m.Kernel != nil {
			m.Kernel.Close()
		}
	}
}

// Hash is over every frame that arrived, where and when; frames counts them. Two runs
// of one seed have the same.
func (l *Lab) Hash() (sum string, frames int) {
	return fmt.Sprintf("%x", l.hash.Sum(nil)), l.frames
}

// Result is what a machine's process has recorded under a name; it fails the test if
// there is nothing.
func (m *Machine) Result(process, name string) guest.Result {
	m.lab.t.Helper()
	for _, r := range m.Results() {
		if r.Process == process && r.Name == name {
			return r
		}
	}
	m.lab.t.Fatalf("%s: %s recorded no %q; there are %v", m.Name(), process, name, m.Results())
	return guest.Result{}
}

// Now is the CPU's own time. What follows is guest.CPU.
func (m *Machine) Now() sim.Time { return m.clock.Now() }

// Charge charges the machine's account.
func (m *Machine) Charge(s cost.Step, n uint64) { m.Account.Charge(s, n) }

// ChargeBytes charges the machine's account.
func (m *Machine) ChargeBytes(s cost.Step, n, bytes uint64) { m.Account.ChargeBytes(s, n, bytes) }

// Work lets a program work until the next event.
func (m *Machine) Work(d sim.Time) sim.Time {
	turn := min(d, max(m.lab.Engine.Next()-m.Now(), sim.Microsecond))
	m.Account.Prolong(cost.GuestRun, m.clock.Cycles(turn))
	return d - turn
}

// WakeAt sets the kernel's timer.
func (m *Machine) WakeAt(at sim.Time) { m.wake = at }

// Fail ends the run.
func (m *Machine) Fail(err error) {
	err = fmt.Errorf("%s: %w", m.config.Name, err)
	if m.Err == nil {
		m.Err = err
	}
	m.lab.Engine.Fail(err)
}

// Fire lets the machine work until there is nothing left, or until others come first.
func (m *Machine) Fire(now sim.Time) {
	m.clock.Begin(now)
	m.busy = true
	m.interrupts()
	for m.Kernel.Run() {
		if m.lab.Engine.Next() <= m.Now() || m.lab.Engine.Err() != nil || m.Now() > now+longest {
			m.busy = false
			m.lab.Engine.Arm(m.timer, m.Now())
			return
		}
		m.interrupts()
	}
	m.busy = false
	at := m.wake
	for _, n := range m.nics {
		at = min(at, n.due())
	}
	m.lab.Engine.Arm(m.timer, at)
}

// longest is how long a machine works before the event loop may look at the time.
const longest = sim.Millisecond

// interrupts raises what is due.
func (m *Machine) interrupts() {
	if m.wake <= m.Now() {
		m.wake = sim.Never
		m.Timer()
	}
	for _, n := range m.nics {
		if n.due() <= m.Now() {
			n.masked = true
			m.Interrupt(n.index * guest.VectorsPerNIC)
		}
	}
}

// A Cable says what is between two NICs. The zero value is 10 Gbit/s and 5 us, loses
// nothing and carries checksums that are complete and frames of the MTU.
type Cable struct {
	Delay    sim.Time // 0 means 5 us
	BPS      uint64   // 0 means 10 Gbit/s
	Loss     int      // one frame in so many, by chance; 0 is none
	Reorder  int      // one frame in so many comes 20 us later, by chance; 0 is none
	Offloads bool     // half-done checksums and packets of 64 KiB may cross, as between two virtio devices
	Room     int      // frames that may be under way before the NIC is full; 0 means 256
}

func (c Cable) withDefaults() Cable {
	if c.Delay == 0 {
		c.Delay = 5 * sim.Microsecond
	}
	if c.BPS == 0 {
		c.BPS = 10e9
	}
	if c.Room == 0 {
		c.Room = 256
	}
	return c
}

// Join puts a cable between two NICs.
func (l *Lab) Join(a, b *NIC, c Cable) {
	c = c.withDefaults()
	for _, n := range []*NIC{a, b} {
		n.cable = c
		n.rand = l.Engine.Rand(fmt.Sprintf("cable/%s/%d", n.m.config.Name, n.index))
	}
	a.far, b.far = b, a
}

// A NIC is the end of a cable at a machine. What is sent on one without a cable is lost.
type NIC struct {
	m     *Machine
	index int
	far   *NIC
	cable Cable
	rand  *rand.Rand

	in     []arrival // under way to this NIC, by time
	free   sim.Time  // when the cable has sent what it was given
	full   bool      // the kernel waits for room
	masked bool      // the kernel is polling
	Sent   int       // frames
	Lost   int       // of them
	Full   int       // times Transmit had no room
	packet netstack.Packet
}

type arrival struct {
	at   sim.Time
	data []byte
	meta offload.Meta
}

// Features is what the cable can carry.
func (n *NIC) Features() guest.Features {
	if n.cable.Offloads {
		return guest.Features{TxChecksum: true, RxChecksum: true, GSOMax: 65535}
	}
	return guest.Features{}
}

// due is when the next interrupt is to be raised.
func (n *NIC) due() sim.Time {
	switch {
	case n.masked:
		return sim.Never
	case n.full:
		return n.free - n.span(n.cable.Room/2*1514)
	case len(n.in) == 0:
		return sim.Never
	}
	return n.in[0].at
}

// Interrupt has the NIC polled.
func (n *NIC) Interrupt(int) bool {
	n.m.Charge(cost.VringInterrupt, 1)
	return true
}

// Poll hands up what has arrived.
func (n *NIC) Poll(budget int, deliver func(*netstack.Packet)) (int, bool) {
	n.m.Charge(cost.VirtnetPoll, 1)
	n.full = false
	for i := range budget {
		if len(n.in) == 0 || n.in[0].at > n.m.Now() {
			n.masked = false
			return i, false
		}
		a := n.in[0]
		n.in = n.in[1:]
		n.m.lab.saw(n, a)
		n.packet = netstack.Packet{Parts: append(n.packet.Parts[:0], a.data), Len: len(a.data), Meta: a.meta}
		deliver(&n.packet)
	}
	return budget, true
}

// saw adds an arrival to the hash.
func (l *Lab) saw(n *NIC, a arrival) {
	if l.frames++; l.Unhashed {
		return
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(a.at))
	binary.LittleEndian.PutUint64(b[8:], uint64(n.index))
	l.hash.Write(append(b[:], n.m.config.Name...))
	l.hash.Write(a.data)
}

// span is how long n bytes take on the cable.
func (n *NIC) span(bytes int) sim.Time {
	return sim.Time(uint64(bytes) * 8 * uint64(sim.Second) / n.cable.BPS)
}

// Transmit puts a frame on the cable.
func (n *NIC) Transmit(p *netstack.Packet) bool {
	now := n.m.Now()
	if n.free-now > n.span(n.cable.Room*1514) {
		n.full = true
		n.Full++
		return false
	}
	n.Sent++
	n.free = max(n.free, now) + n.span(p.Len+24)
	if n.far == nil {
		return true
	}
	if n.cable.Loss > 0 && n.rand.IntN(n.cable.Loss) == 0 {
		n.Lost++
		return true
	}
	at := n.free + n.cable.Delay
	if n.cable.Reorder > 0 && n.rand.IntN(n.cable.Reorder) == 0 {
		at += 20 * sim.Microsecond
	}
	n.far.arrive(arrival{at, slices.Concat(p.Parts...), p.Meta})
	return true
}

// Inject has a frame arrive at the time at.
func (n *NIC) Inject(at sim.Time, frame []byte) { n.arrive(arrival{at: at, data: slices.Clone(frame)}) }

func (n *NIC) arrive(a arrival) {
	i := len(n.in)
	for i > 0 && n.in[i-1].at > a.at {
		i--
	}
	n.in = slices.Insert(n.in, i, a)
	if m := n.m; !m.busy {
		if at := max(n.due(), m.Now()); at < m.timer.At() {
			m.lab.Engine.Arm(m.timer, at)
		}
	}
}

var (
	_ guest.NIC = (*NIC)(nil)
	_ guest.CPU = (*Machine)(nil)
)
