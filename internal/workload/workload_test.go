package workload

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/machine"
)

func TestTry(t *testing.T) {
	for _, c := range Cases() {
		for _, name := range []string{"e5-1650v4", "e5-1650v4-xl710", "i7-6700k"} {
			m, err := machine.Open(name)
			require.NoError(t, err)
			r, err := c.Run(m, Knobs{})
			if err != nil {
				t.Error(c.Name, err)
				continue
			}
			t.Logf("%-16s %-16s %.2f Mpps core %.2f busy %.3f cyc %.0f %s", c.Name, name, r.PPS/1e6, r.CorePPS/1e6, r.Busy, r.Cycles, r.Bound)
		}
	}
}
