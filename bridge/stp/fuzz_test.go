package stp

import (
	"bytes"
	"fmt"
	"testing"

	"ringside/sim"
)

// check is what holds of a tree after every call; byHand says that states were set
// by hand, after which a port can have a state without what belongs to it, and noDelay
// that a root may have said a forward delay of 0.
func check(t *Tree, byHand, noDelay bool) error {
	vectors := map[*port]bool{}
	for _, p := range t.ports {
		vectors[p] = true
		if !byHand && p.state == Disabled && (p == t.rootPort || p.timers != idle) {
			return fmt.Errorf("port %d is disabled and has a role or a timer", p.number)
		}
		if p.rootBlock && p == t.rootPort {
			return fmt.Errorf("port %d is blocked from being the root port and is it", p.number)
		}
		if !byHand && t.on && t.up && p.state == Forwarding && p != t.rootPort && !t.designated(p) {
			return fmt.Errorf("port %d forwards and is neither root port nor designated", p.number)
		}
		heldBack := p.rootBlock && noDelay && p.state == Listening // in a tree without a forward delay; see holdBack
		if !byHand && !heldBack && (p.state == Listening || p.state == Learning) && t.on && p.timers[timerForwardDelay] == sim.Never && t.current.forwardDelay != 0 {
			return fmt.Errorf("port %d is %v for ever", p.number, p.state)
		}
		if !byHand && !t.designated(p) && p.state != Disabled && p.timers[timerMessageAge] == sim.Never {
			return fmt.Errorf("port %d keeps what it heard for ever", p.number)
		}
		for i, most := range [...]sim.Time{256 * sim.Second, 256 * sim.Second, 2 * sim.Second} {
			if at := p.timers[i]; at != sim.Never && (at < t.now || at > t.now+most) {
				return fmt.Errorf("port %d timer %d fires at %v, it is %v", p.number, i, at, t.now)
			}
		}
	}
	if t.rootPort != nil && !vectors[t.rootPort] {
		return fmt.Errorf("the root port is not there")
	}
	if t.IsRoot() != (t.rootPort == nil) || t.root > t.id {
		return fmt.Errorf("root %v, bridge %v, root port %v", t.root, t.id, t.rootPort)
	}
	if t.up && t.on && t.IsRoot() && t.timers[timerHello] == sim.Never {
		return fmt.Errorf("a root that says no hello")
	}
	for i, most := range [...]sim.Time{257 * sim.Second, 10 * sim.Second, 70 * sim.Second} {
		if at := t.timers[i]; at != sim.Never && (at < t.now || at > t.now+most) {
			return fmt.Errorf("timer %d fires at %v, it is %v", i, at, t.now)
		}
	}
	if due, _, _ := t.next(); due != t.Due() {
		return fmt.Errorf("due at %v, want %v", t.Due(), due)
	}
	return nil
}

// FuzzBPDU reads data as calls to a tree, with BPDUs among them.
func FuzzBPDU(f *testing.F) {
	f.Add([]byte{0, 35, 0, 1, 2}, example.Append(nil))
	f.Add([]byte{1, 9, 40, 80, 120, 160, 200, 240, 12, 33, 77}, (&BPDU{Type: TypeTCN}).Append(nil))
	zero := example
	zero.HelloTime, zero.ForwardDelay = 0, 0
	f.Add([]byte{0, 1, 5, 6, 6, 9, 5, 5}, zero.Append(nil))
	// A root without a forward delay, heard by a port that may be the root port and by
	// one that may not; then the first is disabled.
	f.Add([]byte("0AN"), []byte("\x00\x00\x00\x0000000000000000000000000 00000\x00\x00"))
	f.Fuzz(func(t *testing.T, calls, bpdu []byte) {
		roundTrip(t, bpdu)
		net := newNetwork(t, 0x8000)
		net.mute = true
		n := net.nodes[0]
		for p := uint16(1); p <= 3; p++ {
			net.must(n.AddPort(p, PortConfig{RootBlock: p == 3}))
			net.must(n.Enable(p, 0))
		}
		var now sim.Time
		byHand := false
		b, err := Decode(bpdu)
		noDelay := err == nil && b.ForwardDelay == 0
		for i, c := range calls[:min(len(calls), 200)] {
			byHand = play(n.Tree, c, bpdu, &now) || byHand
			if err := check(n.Tree, byHand, noDelay); err != nil {
				t.Fatalf("call %d, %d: %v", i, c, err)
			}
		}
	})
}

// play is one call: three bits say which, the others to what. It returns whether a
// state was set by hand.
func play(t *Tree, c byte, bpdu []byte, now *sim.Time) (byHand bool) {
	what, arg := c&7, c>>3
	p := uint16(arg%3) + 1
	switch what {
	case 0, 1:
		_ = t.Receive(p, bpdu, *now)
	case 2: // the same as if it came from elsewhere: better or worse
		twisted := bytes.Clone(bpdu)
		if len(twisted) > 20 {
			twisted[5] ^= arg
			twisted[17] ^= arg << 3
		}
		_ = t.Receive(p, twisted, *now)
	case 3:
		*now += sim.Time(arg) * sim.Second / 4
		t.Tick(*now)
	case 4:
		*now += sim.Time(arg) * 2 * sim.Second
		t.Tick(*now)
	case 5:
		t.SetSTP(arg&1 == 0, *now)
	case 6:
		if arg&8 == 0 {
			_ = t.Enable(p, *now)
		} else {
			_ = t.Disable(p, *now)
		}
	case 7:
		switch arg & 7 {
		case 0:
			t.SetPriority(uint16(arg)<<11, *now)
		case 1:
			t.SetMAC(mac(int(arg)), *now)
		case 2:
			_ = t.SetPathCost(p, uint32(arg), *now)
		case 3:
			_ = t.SetPortPriority(p, arg, *now)
		case 4:
			t.Down(*now)
		case 5:
			t.Up(*now)
		case 6:
			return t.SetState(p, State(arg>>3), *now) == nil
		case 7:
			_ = t.SetForwardDelay(sim.Time(arg>>3) * 2 * sim.Second)
		}
	}
	return false
}

func roundTrip(t *testing.T, data []byte) {
	b, err := Decode(data)
	if err != nil {
		return
	}
	again := b.Append(nil)
	want := bytes.Clone(data[:len(again)])
	if b.Type == TypeConfig {
		want[4] &= flagTopologyChange | flagTopologyChangeAck
	}
	if !bytes.Equal(again, want) {
		t.Fatalf("%x decodes to %+v, which is %x", data, b, again)
	}
}
