package workload

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/machine"
)

func TestBill(t *testing.T) {
	name, mach, _ := strings.Cut(os.Getenv("CASE"), "@")
	c, err := Find(name)
	require.NoError(t, err)
	m, err := machine.Open(mach)
	require.NoError(t, err)
	r, err := c.Run(m, Knobs{})
	require.NoError(t, err)
	n := c.Make(m, Knobs{}).Count(r.Report)
	fmt.Printf("%.2f Mpps %v\n", r.PPS/1e6, r.Bound)
	for _, s := range r.Report.Stages {
		for op, o := range s.Ops {
			if o.Cycles > 0 || o.DeviceNs > 0 {
				fmt.Printf("%-8s %-16s %8.3f per frame %9.2f cyc %9.2f ns\n", s.Stage, op, float64(o.Count)/float64(n), float64(o.Cycles)/float64(n), float64(o.DeviceNs)/float64(n))
			}
		}
	}
	for _, d := range r.Report.Drops {
		fmt.Println(d.Stage, d.Reason, d.Frames)
	}
}
