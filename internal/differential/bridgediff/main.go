// Bridgediff compares this project's bridge with the Linux kernel's, frame for
// frame: with the one of the running kernel, and with the one of a stock kernel
// under QEMU, which has what the running one was built without. It needs Linux
// and root; elsewhere it says so and exits with 0.
//
//	bridgediff [-seed N] [-config N] [-steps N] [-row TEXT] [-on native|qemu] [-cache DIR]
//
// Its last line is "N frames, M configurations, K differences". It exits with 1
// if there was a difference, or if a comparison could not be finished.
package main

import (
	"flag"
	"os"

	"ringside/internal/differential"
)

// arguments are the command line.
type arguments struct {
	differential.Options
	on    string
	cache string
}

func main() {
	var a arguments
	flag.Uint64Var(&a.Seed, "seed", 1, "of the first random configuration")
	flag.IntVar(&a.Configs, "config", 300, "random configurations; a fifth as many under QEMU")
	flag.IntVar(&a.Steps, "steps", 400, "steps of each")
	flag.StringVar(&a.Row, "row", "", "only the named rows with this in their name")
	flag.IntVar(&a.Show, "show", 3, "differences printed in full")
	flag.StringVar(&a.on, "on", "", "only on this kernel: native or qemu")
	flag.StringVar(&a.cache, "cache", "", "where the stock kernel is kept (default: the user's cache directory)")
	flag.Parse()
	os.Exit(run(a))
}
