package labfile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ringside/sim"
	"ringside/vm"
)

// ITRUnit is what the gap between interrupts is a multiple of.
const ITRUnit = sim.Microsecond

// Program is what a guest runs, by its name: sink, echo, reflect, slow=SPAN. The
// error says what is possible.
func Program(name string) (vm.Program, error) {
	switch name {
	case "sink":
		return vm.Sink, nil
	case "echo":
		return vm.Echo, nil
	case "reflect":
		return vm.Reflect, nil
	}
	span, ok := strings.CutPrefix(name, "slow=")
	if !ok {
		return nil, errors.New("the programs are sink, echo, reflect and slow=SPAN, as slow=20us")
	}
	if len(span) > 40 {
		span = span[:40]
	}
	d, err := time.ParseDuration(span)
	if err != nil || d <= 0 || sim.FromDuration(d) == sim.Never {
		return nil, fmt.Errorf("%s is not a span like 20us, as slow=20us", span)
	}
	return vm.Slow(sim.FromDuration(d)), nil
}
