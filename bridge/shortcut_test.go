package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/bridge/stp"
	"ringside/sim"
)

// A bridge that is asked for the shortcut first, and for the whole way where there is
// none, decides and ends as one that is always asked for the whole way. Every shortcut
// is a frame that is simply forwarded.
func TestTheShortcutIsAWayOfTheBridge(t *testing.T) {
	taken := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		cfg := bridge.Config{Name: "br0", MAC: bridge.MAC{2, 0, 0, 0, 0, 0xfe}, Ageing: 3 * sim.Second, VLANFiltering: r.IntN(5) == 0}
		var two [2]*bridge.Bridge
		for i := range two {
			var err error
			two[i], err = bridge.New(cfg)
			require.NoError(t, err)
		}
		for i := range 4 {
			p := bridge.PortConfig{
				Name: fmt.Sprint("p", i), NoLearning: r.IntN(6) == 0, Isolated: r.IntN(3) == 0, Hairpin: r.IntN(4) == 0, Locked: r.IntN(8) == 0,
				LinkDown: r.IntN(10) == 0,
			}
			blocked := !p.LinkDown && r.IntN(10) == 0
			for _, b := range two {
				n, err := b.AddPort(p)
				require.NoError(t, err)
				if blocked {
					require.NoError(t, b.SetState(n, stp.Blocking))
				}
			}
		}
		now := sim.Time(0)
		for range 300 {
			now += sim.Time(r.IntN(40)) * sim.Millisecond
			f := make([]byte, 14+r.IntN(50))
			copy(f, []byte{2, 0, 0, 0, 1, byte(r.IntN(6)), 2, 0, 0, 0, 1, byte(r.IntN(6)), 8, 0})
			switch r.IntN(12) {
			case 0:
				f[0] |= 1
			case 1:
				f[6] |= 1
			case 2:
				copy(f, cfg.MAC[:])
			}
			in := bridge.Port(1 + r.IntN(5))
			for _, b := range two {
				if b.Due() <= now {
					b.Tick(now)
				}
			}
			may := func(bridge.Port) bool { return f[13] == 0 && len(f)%7 != 0 }
			to, short := two[0].Shortcut(in, f, now, may)
			v := two[1].Handle(in, f, now)
			if short {
				taken++
				require.Equal(t, bridge.Forward, v.Action)
				require.Equal(t, bridge.Usual, v.Work)
				require.Equal(t, []bridge.Copy{{Port: to}}, v.Out)
			} else {
				w := two[0].Handle(in, f, now)
				require.Equal(t, fmt.Sprint(w), fmt.Sprint(v))
			}
			require.Equal(t, two[1].Entries(now), two[0].Entries(now))
			require.Equal(t, two[1].Stats(), two[0].Stats())
		}
		for _, p := range two[0].Ports() {
			require.Equal(t, two[1].PortStats(p), two[0].PortStats(p))
		}
	}
	assert.Greater(t, taken, 1000)
}
