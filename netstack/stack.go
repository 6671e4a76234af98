package netstack

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"ringside/offload"
	"ringside/sim"
)

// A Source is seeded randomness, as sim.Engine.Source gives it.
type Source = *rand.ChaCha8

// A Config is what a stack is made of. Clock and Chance are required.
type Config struct {
	Name    string                   // of the machine, for its timer and its chance; "" means "netstack"
	Clock   Clock                    // the machine's time
	Chance  func(what string) Source // called with Name/secure and Name/rand
	Forward bool                     // IPv4 and IPv6 packets go from interface to interface
	TCP     TCPConfig
}

// A TCPConfig is TCP's settings. The zero value is Linux's: CUBIC, selective
// acknowledgements, buffers that grow by themselves. RACK is always off.
type TCPConfig struct {
	Congestion    string // "cubic" or "reno"; "" means "cubic"
	NoSACK        bool
	SendBuffer    int // bytes to begin with; 0 means gVisor's default
	ReceiveBuffer int // likewise
}

// A Stack is the TCP/IP stack of one machine. See New.
type Stack struct {
	cfg Config
	gv  *stack.Stack
	tcp stack.TransportProtocol // the one that has a processor

	ifaces []*Interface
	routes []Route // as set, beside those that addresses bring
	timers timers
	chance Source
	tunnel tunnel

	depth       int  // calls into gVisor that run, one in another
	waiting     int  // TCP segments that Poll has not seen
	again       bool // a connection to oneself may have sent something
	loops       int  // sockets connected to this very machine
	summing     bool // gVisor is to sum, since the datagram will be cut
	natting     bool // likewise, since it changes what was summed
	masqueraded bool
	closed      bool

	passing   offload.Meta // what came with the packet that is being delivered
	forwarded uint64       // packets

	first, last *Socket // open, the oldest first
}

// New makes a stack without interfaces. It has one goroutine, which waits but
// within Poll; Close ends it.
func New(cfg Config) (*Stack, error) {
	if cfg.Clock == nil || cfg.Chance == nil {
		return nil, errors.New("netstack: Clock and Chance are required")
	}
	if cfg.Name == "" {
		cfg.Name = "netstack"
	}
	quiet()
	s := &Stack{cfg: cfg, chance: cfg.Chance(cfg.Name + "/rand")}
	s.timers.init(s)
	s.gv = build(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{DADConfigs: stack.DADConfigurations{}}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
		Clock:       clock{s},
		SecureRNG:   &chance{s: s, src: cfg.Chance(cfg.Name + "/secure")},
		RandSource:  &chance{s: s, src: s.chance},
		IPTables:    &stack.IPTables{}, // none, until Masquerade makes some: they take 8 KiB
		HandleLocal: true,
	})
	s.tcp = s.gv.TransportProtocolInstance(tcp.ProtocolNumber)
	s.tcp.Pause()
	if err := s.configure(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// quiet ends gVisor's log, which is the process's. It writes on standard error, with the
// date of the real day, what a peer can make it say: that a handshake has no route back.
var quiet = sync.OnceFunc(func() { log.SetTarget(&log.Writer{Next: io.Discard}) })

// building guards the number of processors that Go uses: two stacks that are made
// at the same time would put back each other's.
var building sync.Mutex

// build makes a stack with exactly one TCP processor. gVisor starts as many as Go
// uses, and there is no option for it.
func build(opts stack.Options) *stack.Stack {
	building.Lock()
	defer building.Unlock()
	procs := runtime.GOMAXPROCS(0)
	if procs == 1 {
		return stack.New(opts)
	}
	runtime.GOMAXPROCS(1)
	defer restoreProcs(procs)
	return stack.New(opts)
}

// restoreProcs makes Go use n processors again. If that is what it would choose
// itself, it is left to choose, so that it goes on following the machine's limits.
func restoreProcs(n int) {
	runtime.SetDefaultGOMAXPROCS()
	if runtime.GOMAXPROCS(0) != n {
		runtime.GOMAXPROCS(n)
	}
}

func (s *Stack) configure() error {
	c := s.cfg.TCP
	if c.Congestion == "" {
		c.Congestion = "cubic"
	}
	congestion := tcpip.CongestionControlOption(c.Congestion)
	recovery, sack := tcpip.TCPRecovery(0), tcpip.TCPSACKEnabled(!c.NoSACK)
	options := []tcpip.SettableTransportProtocolOption{&recovery, &sack, &congestion}
	if c.SendBuffer != 0 {
		options = append(options, &tcpip.TCPSendBufferSizeRangeOption{
			Min: min(tcp.MinBufferSize, c.SendBuffer), Default: c.SendBuffer, Max: max(tcp.MaxBufferSize, c.SendBuffer)})
	}
	if c.ReceiveBuffer != 0 {
		options = append(options, &tcpip.TCPReceiveBufferSizeRangeOption{
			Min: min(tcp.MinBufferSize, c.ReceiveBuffer), Default: c.ReceiveBuffer, Max: max(tcp.MaxBufferSize, c.ReceiveBuffer)})
	}
	for _, o := range options {
		if err := s.gv.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("netstack: %s: %+v: %v", s.cfg.Name, c, err)
		}
	}
	if !s.cfg.Forward {
		return nil
	}
	for _, p := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
		if err := s.gv.SetForwardingDefaultAndAllNICs(p, true); err != nil {
			return fmt.Errorf("netstack: %s: forwarding: %v", s.cfg.Name, err)
		}
	}
	return nil
}

// enter begins a call into gVisor, and leave ends it: what gVisor wants done as
// soon as possible is done before the outermost call returns, and the machine's
// timer is set.
func (s *Stack) enter() { s.depth++ }

func (s *Stack) leave() {
	if s.depth == 1 && !s.closed { // a processor that Close has let go stays so
		s.settle()
	}
	s.depth--
}

func (s *Stack) settle() {
	for {
		s.natting = false
		switch {
		case s.timers.runSoon():
		case s.again:
			s.again = false
			s.work()
		default:
			s.timers.arm()
			return
		}
	}
}

// Poll lets TCP work on the segments that were delivered, until it has nothing
// left to do. The machine calls it at the end of each batch of frames.
func (s *Stack) Poll() {
	if s.waiting == 0 || s.closed {
		return
	}
	s.enter()
	s.work()
	s.leave()
}

// work is the quiescence barrier: when Pause returns, the processor has nothing
// queued and waits. That of a closed stack is not stopped any more, or it would not
// end: what a machine tells itself asks for that while its sockets are aborted.
func (s *Stack) work() {
	s.waiting = 0
	if s.closed {
		return
	}
	s.tcp.Resume()
	s.tcp.Pause()
}

// Close closes the sockets and ends the stack and its goroutine. Nothing is sent
// any more: who wants the other side to know closes its sockets before. The stack
// may not be used again; closing it twice is allowed.
func (s *Stack) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.timers.close()
	s.tcp.Resume() // a paused processor does not end
	for s.first != nil {
		s.first.Abort()
	}
	s.tunnel.forget()
	s.gv.Destroy()
}

// now is the machine's time; it stands still when the stack is closed.
func (s *Stack) now() sim.Time {
	if s.closed {
		return s.timers.end
	}
	return s.cfg.Clock.Now()
}

// A chance is seeded randomness as gVisor wants it. It is never asked by two at
// once: the processor works only while a caller waits for it. A closed stack has
// none, since there the processor and the caller may meet.
type chance struct {
	s   *Stack
	src Source
}

func (c *chance) Read(p []byte) (int, error) {
	if c.s.closed {
		clear(p)
		return len(p), nil
	}
	return c.src.Read(p)
}

func (c *chance) Int63() int64 {
	if c.s.closed {
		return 0
	}
	return int64(c.src.Uint64() >> 1)
}

func (c *chance) Seed(int64) {}
