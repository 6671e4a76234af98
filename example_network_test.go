package ringside_test

import (
	"fmt"

	"ringside"
	"ringside/bridge"
	"ringside/kernel"
	"ringside/sim"
	"ringside/vm"
)

// Two bridges with two patches between them are a loop. Without a spanning tree
// a broadcast goes round in it; with one, the loop is open after thirty seconds
// and everybody has it once.
func ExampleConfig() {
	run := func(stp bool) {
		br := ringside.Bridge{Config: bridge.Config{STP: stp}}
		h, err := ringside.New(ringside.Config{
			Bridges: []ringside.Bridge{br, br},
			NICs:    []ringside.NIC{{Wire: (&line{}).play(31*sim.Second, frame(0xff, 1))}},
			Patches: make([]ringside.Patch, 2),
			VMs:     []ringside.VM{{Program: vm.Sink, Bridge: "br1"}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer h.Close()
		if err := h.Run(); err != nil {
			fmt.Println("stp", stp, "ends with", kernel.ErrStorm)
			return
		}
		for _, p := range h.Report().Bridges[1].Ports[1:] {
			fmt.Println("stp", stp, p.Name, p.State)
		}
	}
	run(false)
	run(true)
	// Output:
	// stp false ends with a storm of frames
	// stp true tap0 forwarding
	// stp true patch0b forwarding
	// stp true patch1b blocking
}
