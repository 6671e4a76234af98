// Hashes runs scenarios of the determinism gate and prints a line for each: its
// name and its trace hash. It is how the gate looks at a run in another process
// and in WebAssembly, and how a person finds out which scenario changed:
//
//	go run ./internal/gate/hashes                 all scenarios
//	go run ./internal/gate/hashes talk rss/4      these
//	go run ./internal/gate/hashes -save DIR talk  keep the whole trace for the gate
//
// It runs in the project's folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ringside/internal/gate"
)

func main() {
	save := flag.String("save", "", "a folder to keep outcomes in")
	label := flag.String("label", "another process", "what to call this run in differences")
	watched := flag.Bool("watched", false, "write the staged capture on the way, and print its hash as well")
	flag.Parse()
	if err := run(*save, *label, *watched, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "hashes:", err)
		os.Exit(1)
	}
}

func run(save, label string, watched bool, names []string) error {
	list, err := gate.Scenarios("testdata")
	if err != nil {
		return err
	}
	ran := 0
	for _, s := range list {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		ran++
		o := gate.Run(s, label, watched)
		fmt.Println(strings.TrimSpace(fmt.Sprintln(o.Scenario, o.Hash, o.Captures, o.Err)))
		if save == "" {
			continue
		}
		if err := o.Save(filepath.Join(save, gate.FileName(s.Name))); err != nil {
			return err
		}
	}
	if ran < len(names) {
		return fmt.Errorf("%d of %d scenarios of that name; all have a name of their own", ran, len(names))
	}
	return nil
}
