package bridge

import (
	"errors"
	"testing"

	"ringside/bridge/stp"
)

// 0 is a value of its own in Linux where a Config's zero is the default.
func TestZeroIsNamed(t *testing.T) {
	b := mustNew(t, Config{MAC: own, STP: true, Priority: ZeroPriority})
	p := mustAdd(t, b, PortConfig{Name: "a", Priority: ZeroPriority})
	q := mustAdd(t, b, PortConfig{Name: "b"})
	id := func() stp.BridgeID { return b.STP(0).BridgeID }
	port := func(p Port) uint8 { return b.Links(0)[p-1].STP.Priority }
	if id().Priority() != 0 || port(p) != 0 || port(q) != 32 {
		t.Errorf("bridge %d, ports %d and %d", id().Priority(), port(p), port(q))
	}
	if id().MAC() != own {
		t.Errorf("address %v", id().MAC())
	}
	must(t, b.SetConfig(b.Config()))
	must(t, b.SetPort(p, b.PortConfig(p)))
	if id().Priority() != 0 || port(p) != 0 {
		t.Errorf("set again: bridge %d, port %d", id().Priority(), port(p))
	}
	must(t, b.SetConfig(Config{MAC: own, STP: true, Priority: 4096}))
	must(t, b.SetPort(p, PortConfig{Name: "a", Priority: 7}))
	if id().Priority() != 4096 || port(p) != 7 {
		t.Errorf("set to others: bridge %d, port %d", id().Priority(), port(p))
	}
	must(t, b.SetConfig(Config{MAC: own, STP: true}))
	must(t, b.SetPort(p, PortConfig{Name: "a"}))
	if id().Priority() != 4096 || port(p) != 7 {
		t.Errorf("zero leaves them: bridge %d, port %d", id().Priority(), port(p))
	}
	must(t, b.SetConfig(Config{MAC: own, STP: true, Priority: ZeroPriority}))
	must(t, b.SetPort(p, PortConfig{Name: "a", Priority: ZeroPriority}))
	if id().Priority() != 0 || port(p) != 0 {
		t.Errorf("set to zero: bridge %d, port %d", id().Priority(), port(p))
	}
}

func TestPriorityZeroIsTheRoot(t *testing.T) {
	b := mustNew(t, Config{MAC: MAC{0x02, 0xff}, STP: true, Priority: ZeroPriority})
	mustAdd(t, b, PortConfig{})
	other := stp.MakeBridgeID(1, own)
	b.Handle(1, bpdu(other, other, stp.BPDU{}), 0)
	if i := b.STP(0); i.RootID != i.BridgeID {
		t.Errorf("root is %v, the bridge %v", i.RootID, i.BridgeID)
	}
}

func TestPrioritiesThatCannotBe(t *testing.T) {
	for _, n := range []int{-2, 1 << 16} {
		if _, err := New(Config{Priority: n}); !errors.Is(err, ErrConfig) {
			t.Errorf("bridge priority %d: %v", n, err)
		}
	}
	b := mustNew(t, Config{})
	for _, n := range []int{-2, 64, 256 + 5} {
		if _, err := b.AddPort(PortConfig{Priority: n}); !errors.Is(err, ErrConfig) {
			t.Errorf("port priority %d: %v", n, err)
		}
	}
}

func TestUnlimitedHasNoBoundButTheTables(t *testing.T) {
	b := mustNew(t, Config{MaxLearned: Unlimited})
	if got := b.Config().MaxLearned; got != maxEntries {
		t.Errorf("%d", got)
	}
	must(t, b.SetConfig(Config{MaxLearned: 1}))
	must(t, b.SetConfig(Config{MaxLearned: Unlimited}))
	ports(t, b, 1)
	heard(alice, 1)(t, b)
	heard(bob, 1)(t, b)
	if b.Learned() != 2 {
		t.Errorf("%d learned", b.Learned())
	}
	must(t, b.Check())
}
