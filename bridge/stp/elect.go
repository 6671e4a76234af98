package stp

import "cmp"

// A vector is what a configuration message claims: where the root is, how far it
// is, and who says so. The least is the best.
type vector struct {
	root   BridgeID
	cost   uint32
	bridge BridgeID
	port   PortID
}

func (v vector) compare(w vector) int {
	return cmp.Or(cmp.Compare(v.root, w.root), cmp.Compare(v.cost, w.cost),
		cmp.Compare(v.bridge, w.bridge), cmp.Compare(v.port, w.port))
}

// claim is what the bridge itself says on a port.
func (t *Tree) claim(p *port) vector { return vector{t.root, t.rootCost, t.id, p.id} }

// designated says that the best message on the port's link is the port's own.
func (t *Tree) designated(p *port) bool { return p.heard.bridge == t.id && p.heard.port == p.id }

func (t *Tree) designate(p *port) { p.heard = t.claim(p) }

// supersedes says that a message is better than what the port knows, or as good and
// not worse by more than the number of the port that another bridge sent it by.
func (t *Tree) supersedes(v vector, p *port) bool {
	known := p.heard
	if v.bridge == known.bridge && v.bridge != t.id {
		v.port, known.port = 0, 0
	}
	return v.compare(known) <= 0
}

// reconfigure elects and sets states, and takes the root's place if it is free now.
func (t *Tree) reconfigure(wasRoot bool) {
	t.elect()
	t.selectStates()
	if t.IsRoot() && !wasRoot {
		t.becomeRoot()
	}
}

// elect finds the root and the root port, and after that the ports which are
// designated because nobody on their link says better.
func (t *Tree) elect() {
	t.rootPort = t.electRootPort()
	t.root, t.rootCost = t.id, 0
	if p := t.rootPort; p != nil {
		t.root, t.rootCost = p.heard.root, p.heard.cost+p.cost
	}
	for _, p := range t.ports {
		if p.state != Disabled && t.shouldBeDesignated(p) {
			t.designate(p)
		}
	}
}

func (t *Tree) electRootPort() *port {
	var best *port
	for _, p := range t.ports {
		if p.state == Disabled || t.designated(p) || p.heard.root >= t.id {
			continue
		}
		if best != nil && !nearer(p, best) {
			continue
		}
		if p.rootBlock {
			t.holdBack(p)
			continue
		}
		best = p
	}
	return best
}

// nearer says that the way to the root by p is better than that by q.
func nearer(p, q *port) bool {
	v, w := p.heard, q.heard
	v.cost += p.cost
	w.cost += q.cost
	return cmp.Or(v.compare(w), cmp.Compare(p.id, q.id)) < 0
}

// holdBack puts a port that may not become the root port to listening again. In a tree
// whose root has said a forward delay of 0 it has no timer, as in Linux: it listens
// until it hears the next BPDU in a tree with one.
func (t *Tree) holdBack(p *port) {
	t.setState(p, Listening)
	if t.current.forwardDelay > 0 {
		t.arm(&p.timers, timerForwardDelay, t.current.forwardDelay)
	}
}

func (t *Tree) shouldBeDesignated(p *port) bool {
	return t.designated(p) || p.heard.root != t.root || t.claim(p).compare(p.heard) < 0
}

// selectStates leads each port to the state that its role asks for.
func (t *Tree) selectStates() {
	for _, p := range t.ports {
		switch {
		case p.state == Disabled:
		case p == t.rootPort:
			p.pending, p.ack = false, false
			t.makeForwarding(p)
		case t.designated(p):
			t.disarm(&p.timers, timerMessageAge)
			t.makeForwarding(p)
		default:
			p.pending, p.ack = false, false
			t.makeBlocking(p)
		}
		if p.state != Disabled && p.state != Blocking {
			t.env.Selected(p.number)
		}
	}
}

// makeForwarding starts a blocked port on its way.
func (t *Tree) makeForwarding(p *port) {
	if p.state != Blocking {
		return
	}
	if t.on && t.current.forwardDelay != 0 {
		t.setState(p, Listening)
	} else {
		t.setState(p, Forwarding)
		t.detectTopologyChange()
		t.disarm(&p.timers, timerForwardDelay)
	}
	// With the protocol off the timer finds nothing to do. It is there, and shows.
	if t.current.forwardDelay != 0 {
		t.arm(&p.timers, timerForwardDelay, t.current.forwardDelay)
	}
}

func (t *Tree) makeBlocking(p *port) {
	if p.state == Blocking {
		return
	}
	if p.state == Forwarding || p.state == Learning {
		t.detectTopologyChange()
	}
	t.setState(p, Blocking)
	t.disarm(&p.timers, timerForwardDelay)
}

// becomeRoot makes the bridge speak as the root.
func (t *Tree) becomeRoot() {
	t.current = t.own
	t.detectTopologyChange()
	t.disarm(&t.timers, timerTCN)
	if t.up {
		t.sendConfigs()
		t.arm(&t.timers, timerHello, t.current.hello)
	}
}

// detectTopologyChange tells the tree of a change: the root marks its messages for
// a while, another bridge notifies the root until it is heard.
func (t *Tree) detectTopologyChange() {
	switch {
	case !t.on:
		return
	case t.IsRoot():
		t.setTopologyChange(true)
		t.arm(&t.timers, timerTopologyChange, t.own.forwardDelay+t.own.maxAge)
	case !t.topologyChangeDetected:
		t.sendTCN()
		t.arm(&t.timers, timerTCN, t.own.hello)
	}
	t.topologyChangeDetected = true
}

func (t *Tree) setTopologyChange(on bool) {
	if t.topologyChange == on {
		return
	}
	t.topologyChange = on
	if t.on {
		t.shortened = 0
		if on {
			t.shortened = 2 * t.current.forwardDelay
		}
	}
	t.env.TopologyChange(on)
}
