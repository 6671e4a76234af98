package nic_test

import (
	"fmt"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// A frame of 60 bytes is on a 10 Gbit/s wire for 57.6 ns; the DMA engine takes
// 6 ns and the message 2, at one nanosecond an operation.
func Example() {
	rig, err := nictest.NewRig(nic.Config{MAC: [6]byte{2, 0, 0, 0, 0, 1}})
	if err != nil {
		panic(err)
	}
	driver, err := nictest.Up(rig, 1, nictest.Options{})
	if err != nil {
		panic(err)
	}
	rig.IRQ.Then = func(vector int, at sim.Time) {
		driver.Now = at
		for _, f := range driver.Harvest(vector) {
			fmt.Printf("frame %d, %d bytes: in at %v, interrupt %d at %v\n", f.Tag.ID, len(f.Data), f.Tag.Arrived, vector, at)
		}
	}
	rig.Wire.Play(nic.WireFrame{ID: 1, Data: append([]byte{2, 0, 0, 0, 0, 1}, make([]byte, 54)...)})
	if err := rig.Engine.RunToIdle(); err != nil {
		panic(err)
	}
	// Output:
	// frame 1, 60 bytes: in at 57.600ns, interrupt 0 at 65.600ns
}
