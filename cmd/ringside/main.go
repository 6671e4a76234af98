// Ringside replays packet captures through a whole hypervisor's datapath, from
// the wire to the memory of guests, and prints one bill for every interrupt,
// copy and context switch on the way. It needs no root and no hardware.
//
//	ringside replay testdata/mix.pcap
//	ringside trace testdata/ping.pcap --frame 3
//	ringside bridge fdb show testdata/mix.pcap
//	ringside explain --port eth0 --dst ff:ff:ff:ff:ff:ff
//	ringside book linux-xeon
//
// See ringside help, and help of each verb.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
