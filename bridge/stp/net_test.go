package stp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ringside/sim"
)

const flight = 5 * sim.Microsecond

// A network is trees joined by wires, in virtual time.
type network struct {
	t     *testing.T
	now   sim.Time
	nodes []*node
	links []*link
	air   []arrival // in the order of their times
	log   []string  // states and changes, with their times
	mute  bool      // do not keep the log
}

// A node is one bridge.
type node struct {
	*Tree
	net   *network
	index int
	ends  map[uint16]*end
	sent  []sentBPDU
}

type sentBPDU struct {
	at   sim.Time
	port uint16
	BPDU
}

type end struct {
	node *node
	port uint16
	cost uint32
	link *link
}

// A link has two ends. A cut one loses what it carries; one that is down has no
// carrier either.
type link struct {
	ends      [2]*end
	cut, down bool
}

type arrival struct {
	at    sim.Time
	to    *end
	frame []byte
}

func (n *node) logf(format string, args ...any) {
	if !n.net.mute {
		n.net.log = append(n.net.log, fmt.Sprintf("%v b%d ", n.Tree.now, n.index)+fmt.Sprintf(format, args...))
	}
}

func (n *node) SetState(port uint16, s State) {
	if n.Tree != nil {
		n.logf("port %d %v", port, s)
	}
}

func (n *node) TopologyChange(active bool) { n.logf("topology change %v", active) }
func (n *node) Selected(uint16)            {}
func (n *node) Flush(port uint16)          { n.logf("flush %d", port) }

func (n *node) Send(port uint16, frame []byte) {
	data, err := Payload(frame)
	if err != nil {
		n.net.t.Fatalf("b%d sent %x: %v", n.index, frame, err)
	}
	b, err := Decode(data)
	if err != nil {
		n.net.t.Fatalf("b%d sent %x: %v", n.index, frame, err)
	}
	if !n.net.mute {
		n.sent = append(n.sent, sentBPDU{n.Tree.now, port, b})
	}
	e := n.ends[port]
	if e == nil || e.link.cut {
		return
	}
	other := e.link.ends[0]
	if other == e {
		other = e.link.ends[1]
	}
	n.net.air = append(n.net.air, arrival{n.Tree.now + flight, other, slices.Clone(frame)})
	slices.SortStableFunc(n.net.air, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
}

func mac(n int) [6]byte { return [6]byte{2, 0, 0, 0, 0, byte(n)} }

// newNetwork makes bridges of the given priorities, with the protocol on.
func newNetwork(t *testing.T, priorities ...uint16) *network {
	net := &network{t: t}
	for i, priority := range priorities {
		n := &node{net: net, index: i, ends: map[uint16]*end{}}
		tree, err := New(Config{STP: true, Priority: priority, MAC: mac(i + 1)}, n)
		if err != nil {
			t.Fatal(err)
		}
		n.Tree = tree
		n.Up(0)
		net.nodes = append(net.nodes, n)
	}
	return net
}

// join lays a link between two bridges, by the lowest port numbers that are free.
func (net *network) join(a, b int, costA, costB uint32) *link {
	l := &link{}
	for i, at := range []int{a, b} {
		n := net.nodes[at]
		cost := []uint32{costA, costB}[i]
		e := &end{n, uint16(len(n.ends) + 1), cost, l}
		if err := n.AddPort(e.port, PortConfig{MAC: mac(0x10*(at+1) + int(e.port)), Cost: cost}); err != nil {
			net.t.Fatal(err)
		}
		n.ends[e.port] = e
		l.ends[i] = e
	}
	net.links = append(net.links, l)
	for _, e := range l.ends {
		net.must(e.node.Enable(e.port, net.now))
	}
	return l
}

func (net *network) must(err error) {
	net.t.Helper()
	if err != nil {
		net.t.Fatal(err)
	}
}

// unplug takes the carrier from both ends of a link.
func (net *network) unplug(l *link) {
	l.cut, l.down = true, true
	for _, e := range l.ends {
		net.must(e.node.Disable(e.port, net.now))
	}
}

func (net *network) plug(l *link) {
	l.cut, l.down = false, false
	for _, e := range l.ends {
		net.must(e.node.Enable(e.port, net.now))
	}
}

// kill takes a bridge from the network without a word to its neighbours.
func (net *network) kill(b int) {
	net.nodes[b].Down(net.now)
	for _, e := range net.nodes[b].ends {
		e.link.cut = true
	}
}

// step is the next thing that happens; false if it is later than end.
func (net *network) step(end sim.Time) bool {
	at, who := sim.Never, -1
	for i, n := range net.nodes {
		if d := n.Due(); d < at {
			at, who = d, i
		}
	}
	if len(net.air) > 0 && net.air[0].at < at {
		at, who = net.air[0].at, -1
	}
	if at > end {
		return false
	}
	net.now = max(net.now, at)
	if who >= 0 {
		net.nodes[who].Tick(at)
		return true
	}
	a := net.air[0]
	net.air = net.air[1:]
	if !a.to.link.cut {
		if err := a.to.node.ReceiveFrame(a.to.port, a.frame, at); err != nil && err != ErrOff {
			net.t.Fatalf("b%d port %d: %v", a.to.node.index, a.to.port, err)
		}
	}
	return true
}

// run lets time pass. At no moment may frames go in circles.
func (net *network) run(d sim.Time) {
	net.t.Helper()
	end := net.now + d
	for net.step(end) {
		if loop := net.loop(); loop != "" {
			net.t.Fatalf("at %v a loop over %s\n%s", net.now, loop, net)
		}
	}
	for _, n := range net.nodes {
		n.Tick(end)
	}
	net.now = end
}

// runUntil lets time pass until ok, and says how long it took.
func (net *network) runUntil(limit sim.Time, ok func() bool) sim.Time {
	net.t.Helper()
	begin := net.now
	for !ok() {
		if !net.step(begin + limit) {
			net.t.Fatalf("not within %v\n%s", limit, net)
		}
	}
	return net.now - begin
}

// loop names a link that closes a circle of links which forward at both ends.
func (net *network) loop() string {
	group := make([]int, len(net.nodes))
	for i := range group {
		group[i] = i
	}
	for _, l := range net.links {
		a, b := l.ends[0], l.ends[1]
		if l.cut || a.state() != Forwarding || b.state() != Forwarding {
			continue
		}
		from, to := group[a.node.index], group[b.node.index]
		if from == to {
			return l.String()
		}
		for i := range group {
			if group[i] == from {
				group[i] = to
			}
		}
	}
	return ""
}

func (e *end) state() State { return e.node.Tree.State(e.port) }

func (l *link) String() string {
	return fmt.Sprintf("b%d.%d-b%d.%d", l.ends[0].node.index, l.ends[0].port, l.ends[1].node.index, l.ends[1].port)
}

// String is every bridge in a line.
func (net *network) String() string {
	var s strings.Builder
	for i, n := range net.nodes {
		info := n.Show(net.now)
		fmt.Fprintf(&s, "b%d %v root %v port %d cost %d:", i, info.BridgeID, info.RootID, info.RootPort, info.RootPathCost)
		for _, p := range n.Ports() {
			fmt.Fprintf(&s, " %d %v", p, n.State(p))
		}
		s.WriteByte('\n')
	}
	return s.String()
}

// The oracle says from the definition what a tree has come to when nothing changes
// any more: the least identifier is the root, every bridge has its least distance
// to it, on each link the best end is designated, and of the other ends of a bridge
// the one that gives the least distance is its root port.
func (net *network) wrong() string {
	root := make([]BridgeID, len(net.nodes)) // of the part a bridge is in
	dist := make([]uint32, len(net.nodes))
	for i, n := range net.nodes {
		root[i] = n.id
	}
	for range net.nodes { // as many rounds as a path has bridges
		for _, l := range net.links {
			for i, e := range l.ends {
				here, there := e.node.index, l.ends[1-i].node.index
				if !l.cut && (root[there] < root[here] || root[there] == root[here] && dist[there]+e.cost < dist[here]) {
					root[here], dist[here] = root[there], dist[there]+e.cost
				}
			}
		}
	}
	claim := func(e *end) vector {
		p := e.node.find(e.port)
		return vector{root[e.node.index], dist[e.node.index], e.node.id, p.id}
	}
	best := make([]*end, len(net.nodes))
	key := func(e, from *end) (v vector, id PortID) {
		v = claim(from)
		v.cost += e.cost
		return v, e.node.find(e.port).id
	}
	bestFrom := make([]*end, len(net.nodes))
	for _, l := range net.links {
		if l.cut {
			continue
		}
		for i, e := range l.ends {
			from, b := l.ends[1-i], e.node.index
			if root[b] == e.node.id || claim(e).compare(claim(from)) < 0 {
				continue
			}
			v, id := key(e, from)
			if best[b] != nil {
				w, other := key(best[b], bestFrom[b])
				if cmp.Or(v.compare(w), cmp.Compare(id, other)) >= 0 {
					continue
				}
			}
			best[b], bestFrom[b] = e, from
		}
	}
	for i, n := range net.nodes {
		info := n.Show(net.now)
		port := uint16(0)
		if best[i] != nil {
			port = best[i].port
		}
		if info.RootID != root[i] || info.RootPathCost != dist[i] || info.RootPort != port {
			return fmt.Sprintf("b%d has root %v port %d cost %d, want %v port %d cost %d",
				i, info.RootID, info.RootPort, info.RootPathCost, root[i], port, dist[i])
		}
	}
	for _, l := range net.links {
		for i, e := range l.ends {
			want := Blocking
			switch {
			case l.down || !e.node.up:
				want = Disabled
			case l.cut, e == best[e.node.index], claim(e).compare(claim(l.ends[1-i])) < 0:
				want = Forwarding
			}
			if e.state() != want {
				return fmt.Sprintf("%v: b%d.%d is %v, want %v", l, e.node.index, e.port, e.state(), want)
			}
		}
	}
	return ""
}

func (net *network) agree() {
	net.t.Helper()
	if diff := net.wrong(); diff != "" {
		net.t.Fatalf("at %v %s\n%s", net.now, diff, net)
	}
}
