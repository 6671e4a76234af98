package snoop_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"

	"ringside/bridge/snoop"
	"ringside/sim"
)

// A host on port 2 joins 239.1.1.1 with IGMPv2, and frames to the group then go
// to it alone.
func Example() {
	s, err := snoop.New(snoop.Config{Querier: true}, snoop.Addrs{MAC: snoop.MAC{2, 0, 0, 0, 0, 0xb0}})
	if err != nil {
		panic(err)
	}
	s.Open(0)
	for p := snoop.Port(1); p <= 3; p++ {
		if err := s.AddPort(p, snoop.PortConfig{}, 0); err != nil {
			panic(err)
		}
		s.SetState(p, snoop.Forwarding)
		s.EnablePort(p, 0)
	}
	s.Tick(0)
	fmt.Println(len(s.Queries()), "queries: to the host and by three ports")

	report, _ := hex.DecodeString("01005e010101" + "020000000002" + "0800" +
		"46c000200000400001023213c0000202ef01010194040000" + "1600f9fcef010101")
	r := s.Receive(2, 0, report, 14, sim.Second)
	fmt.Println("dropped:", r.Drop != 0, "routers only:", r.RoutersOnly)

	data, _ := hex.DecodeString("01005e010101" + "020000000001" + "0800" +
		"4500001c00000000011107cec0000201ef010101" + "0009000900080000")
	r = s.Receive(1, 0, data, 14, 2*sim.Second)
	fmt.Println("dropped:", r.Drop != 0, "routers only:", r.RoutersOnly)
	for _, e := range s.Lookup(r, 0, data, 14, 2*sim.Second).Ports {
		fmt.Println("to port", e.Port)
	}
	for _, e := range s.Entries(61 * sim.Second) {
		fmt.Println(e.Port, e.Group, e.Group == snoop.Group{IP: netip.MustParseAddr("239.1.1.1")}, e.Timer)
	}
	// Output:
	// 4 queries: to the host and by three ports
	// dropped: false routers only: true
	// dropped: false routers only: true
	// to port 2
	// 2 239.1.1.1 true 200.000s
}
