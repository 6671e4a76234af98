package stp

import "ringside/sim"

// ReceiveFrame takes a whole frame from port n: one that is not to the bridge group
// address or not a BPDU's is ErrFrame.
func (t *Tree) ReceiveFrame(n uint16, frame []byte, now sim.Time) error {
	data, err := Payload(frame)
	if err != nil {
		return err
	}
	if [6]byte(frame[:6]) != t.group {
		return ErrFrame
	}
	return t.Receive(n, data, now)
}

// Receive takes a BPDU from port n, as it stands behind the LLC header. The error
// says why it was not looked at.
func (t *Tree) Receive(n uint16, bpdu []byte, now sim.Time) error {
	t.Tick(now)
	if err := checkHeader(bpdu); err != nil {
		return err
	}
	p := t.find(n)
	if p == nil || !t.on || !t.up || p.state == Disabled {
		return ErrOff
	}
	if p.guard {
		t.disable(p)
		return ErrGuard
	}
	b, err := Decode(bpdu)
	if err != nil {
		return err
	}
	if b.Type == TypeTCN {
		t.receiveTCN(p)
	} else {
		t.receiveConfig(p, &b)
	}
	return nil
}

func (t *Tree) receiveConfig(p *port, b *BPDU) {
	p.stats.RxBPDU++
	v := vector{b.Root, b.RootPathCost, b.Bridge, b.Port}
	if !t.supersedes(v, p) {
		if t.designated(p) {
			t.sendConfig(p)
		}
		return
	}
	wasRoot := t.IsRoot()
	t.record(p, v, b)
	t.elect()
	t.selectStates()
	if wasRoot && !t.IsRoot() {
		t.yieldRoot()
	}
	if p == t.rootPort {
		t.follow(b)
	}
}

// record keeps a message as the best on the port's link, for as long as it lives.
func (t *Tree) record(p *port, v vector, b *BPDU) {
	p.heard = v
	p.since = t.now - b.MessageAge
	t.arm(&p.timers, timerMessageAge, b.MaxAge-b.MessageAge)
}

// yieldRoot ends what only the root does; a change it knows of becomes a notice.
func (t *Tree) yieldRoot() {
	t.disarm(&t.timers, timerHello)
	if t.topologyChangeDetected {
		t.disarm(&t.timers, timerTopologyChange)
		t.sendTCN()
		t.arm(&t.timers, timerTCN, t.own.hello)
	}
}

// follow takes over what the root says, and passes it on.
func (t *Tree) follow(b *BPDU) {
	t.current = times{b.HelloTime, b.MaxAge, b.ForwardDelay}
	t.setTopologyChange(b.TopologyChange)
	t.sendConfigs()
	if b.TopologyChangeAck {
		t.topologyChangeDetected = false
		t.disarm(&t.timers, timerTCN)
	}
}

func (t *Tree) receiveTCN(p *port) {
	p.stats.RxTCN++
	if !t.designated(p) {
		return
	}
	t.detectTopologyChange()
	p.ack = true
	t.sendConfig(p)
}

// sendConfigs sends the bridge's message by every designated port.
func (t *Tree) sendConfigs() {
	for _, p := range t.ports {
		if p.state != Disabled && t.designated(p) {
			t.sendConfig(p)
		}
	}
}

// sendConfig sends the bridge's message by a port, or when the hold timer ends.
func (t *Tree) sendConfig(p *port) {
	if p.timers[timerHold] != sim.Never {
		p.pending = true
		return
	}
	b := BPDU{
		Type: TypeConfig, TopologyChange: t.topologyChange, TopologyChangeAck: p.ack,
		Root: t.root, RootPathCost: t.rootCost, Bridge: t.id, Port: p.id,
		MaxAge: t.current.maxAge, HelloTime: t.current.hello, ForwardDelay: t.current.forwardDelay,
	}
	if t.rootPort != nil {
		b.MessageAge = t.now - t.rootPort.since + ageIncrement
	}
	if b.MessageAge >= b.MaxAge {
		return
	}
	p.ack, p.pending = false, false
	if t.on {
		t.send(p, &b)
		p.stats.TxBPDU++
		t.armWhole(&p.timers, timerHold, holdTime)
	}
}

// sendTCN notifies the next bridge towards the root.
func (t *Tree) sendTCN() {
	if p := t.rootPort; p != nil && t.on {
		t.send(p, &BPDU{Type: TypeTCN})
		p.stats.TxTCN++
	}
}

func (t *Tree) send(p *port, b *BPDU) {
	n := TCNLen
	if b.Type == TypeConfig {
		n = ConfigLen
	}
	t.frame = b.Append(appendHeader(t.frame[:0], t.group, p.mac, n))
	t.env.Send(p.number, t.frame)
}
