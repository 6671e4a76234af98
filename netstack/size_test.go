package netstack

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"ringside/sim"
)

type nolink struct{}

func (nolink) Send(*Packet) bool { return true }

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestSizeNow(t *testing.T) {
	const n = 1000
	stacks := make([]*Stack, n)
	eng := sim.NewEngine(1)
	before := heap()
	start := time.Now()
	for i := range stacks {
		s, _ := New(Config{Name: fmt.Sprint("s", i), Clock: simClock{eng}, Chance: eng.Source})
		stacks[i] = s
	}
	fmt.Println("made", time.Since(start), (heap()-before)/n)
	start = time.Now()
	for _, s := range stacks {
		i, _ := s.AddInterface(InterfaceConfig{Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Link: nolink{}})
		i.AddAddress(netip.MustParsePrefix("10.0.0.1/24"))
	}
	fmt.Println("configured", time.Since(start), (heap()-before)/n)
	for _, s := range stacks {
		s.Close()
	}
}
