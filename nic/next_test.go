package nic_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// A driver that asks the device only when Next says so finds every frame at the moment
// at which one does that asks all the time: nothing is written before, and who goes
// from one Next to the other misses nothing.
func TestNextIsNeverTooLate(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		rig, err := nictest.NewRig(nic.Config{FIFO: 4 << 10})
		require.NoError(t, err)
		d, err := nictest.Up(rig, 1, nictest.Options{Descs: 16, Polling: true, DropEN: seed%2 == 0, Rctl: nic.RctlUPE})
		require.NoError(t, err)
		woken := 0
		rig.NIC.Watch(func() { woken++ })
		require.Equal(t, sim.Never, rig.NIC.Next())
		n, at := 300, sim.Time(0)
		for i := range n {
			at += sim.Time(rnd.ExpFloat64() * float64(200*sim.Nanosecond))
			rig.Wire.Play(nic.WireFrame{ID: uint64(i), At: at, Data: make([]byte, 60+rnd.IntN(1400))})
		}
		require.Positive(t, woken, "the wire had nothing")

		ring := d.Rx[0]
		written := func() uint64 { return rig.NIC.Counts().Written }
		now := sim.Time(0)
		harvest := func() bool { // takes what is there, and gives as much back
			d.Now = now
			got := len(d.Harvest(0))
			if got > 0 {
				d.Post(0, ring.Unused())
			}
			return got > 0
		}
		for rounds := 0; ; rounds++ {
			require.Less(t, rounds, 100*n, "it comes to an end")
			next := rig.NIC.Next()
			if next == sim.Never { // the driver's turn
				if !harvest() {
					break
				}
				continue
			}
			require.GreaterOrEqual(t, next, now, "what lies before has been done")
			had := written()
			if next-1 > now {
				rig.NIC.CatchUp(next - 1)
				require.Equal(t, had, written(), "seed %d: a descriptor was written before %v", seed, next)
			}
			now = next
			rig.NIC.CatchUp(now)
			if rnd.IntN(4) == 0 {
				harvest()
			}
		}
		c := rig.NIC.Counts()
		require.EqualValues(t, n, c.In)
		require.Equal(t, c.In, c.Written+rig.Drops.Total()+rig.NIC.InFlight())
	}
}
