package wire_test

import (
	"fmt"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
	"ringside/wire"
)

// A link around a wire that plays eight frames, one every millisecond. A NIC would
// stand where this program asks for them.
func Example() {
	far := &nictest.Wire{}
	for i := range 8 {
		far.Play(nic.WireFrame{ID: uint64(i + 1), At: sim.Time(i) * sim.Millisecond, Data: make([]byte, 60)})
	}
	spec, err := wire.Parse("rx delay 2.5ms reorder 100% gap 4 loss 30%")
	if err != nil {
		fmt.Println(err)
		return
	}
	e := sim.NewEngine(7)
	link, err := wire.New(wire.Config{Engine: e, Spec: spec}, far)
	if err != nil {
		fmt.Println(err)
		return
	}
	var f nic.WireFrame
	for more := true; more; more = e.Step() { // the last frames come when their time does
		for link.Receive(&f) {
			fmt.Println(f.ID, f.At)
		}
	}
	c := link.Rx()
	fmt.Println(spec.Rx)
	fmt.Println(c.In, "in,", c.Out, "out,", c.AllLost(), "lost,", c.Held, "still on it")
	// Output:
	// 1 2.500ms
	// 5 4.000ms
	// 3 4.500ms
	// 4 5.500ms
	// 6 7.500ms
	// 7 8.500ms
	// 8 9.500ms
	// delay 2.5ms reorder 100% gap 4 loss 30%
	// 8 in, 7 out, 1 lost, 0 still on it
}
