package vm_test

import (
	"fmt"

	"ringside/mem"
	"ringside/syscall/syscalltest"
	"ringside/vm"
)

// A program is a loop in plain Go. This one counts frames by their EtherType and
// stops after the fifth; a test hands it the frames.
func Example() {
	kinds := map[string]int{}
	count := func(g *vm.Guest) error {
		for range 5 {
			frame, err := g.Receive()
			if err != nil {
				return err
			}
			kinds[fmt.Sprintf("%x", frame[12:14])]++
			g.Work(0)
		}
		return nil
	}

	arp := append(make([]byte, 12), 0x08, 0x06, 0, 1)
	ip := append(make([]byte, 12), 0x08, 0x00, 0x45, 0)
	guest := vm.Config{Name: "counter", Program: count}
	host := syscalltest.Host{Frames: [][]byte{arp, ip, ip, arp, ip}, Memory: mem.New(guest.MemorySize())}
	fmt.Println(host.Run(guest.Main), kinds)
	// Output: <nil> map[0800:3 0806:2]
}

// A guest answers by changing the frame where it lies, in its own memory, and
// sending that.
func ExampleGuest_Send() {
	shout := func(g *vm.Guest) error {
		for {
			frame, err := g.Receive()
			if err != nil {
				return err
			}
			for i, c := range frame[14:] {
				if 'a' <= c && c <= 'z' {
					frame[14+i] = c - 'a' + 'A'
				}
			}
			if err := g.Send(frame); err != nil {
				return err
			}
		}
	}

	guest := vm.Config{Program: shout}
	host := syscalltest.Host{Frames: [][]byte{[]byte("  an Ethernet header, then this")}, Memory: mem.New(guest.MemorySize())}
	if err := host.Run(guest.Main); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s\n", host.Written[0][14:])
	// Output: HEADER, THEN THIS
}
