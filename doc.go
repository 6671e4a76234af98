// Package ringside is a whole hypervisor network path in one process: a NIC with
// DMA descriptor rings and an interrupt controller, a kernel with driver, NAPI
// and gVisor's netstack, a bridge, a system-call border, and guests that fetch
// their frames across it. Every step is on one bill, no frame is lost without a
// reason, and the same seed gives the same bytes.
//
// It is the face for programs that embed the machine: a [Config] makes a [Host],
// the Host runs until it is at rest, and its [Report] has the bill. A [Replay]
// does all that for capture files.
//
//	rep, err := ringside.Replay{Files: []string{"mix.pcap"}}.Run(ringside.Config{}, nil)
//
// What flows where, and which package may know which, is in ARCHITECTURE.md.
package ringside
