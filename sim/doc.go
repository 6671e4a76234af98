// Package sim is virtual time: an event loop ordered by (time, sequence number),
// the clocks of emulated CPUs, and randomness split by component name. It knows
// nothing of networks.
//
// Everything in a run happens inside the Fire of some timer, one at a time, so a
// run is a function of its configuration, its input and its seed. The wall clock
// and free goroutines have no place here.
//
//	e := sim.NewEngine(1)
//	var t *sim.Timer
//	t = e.NewTimer("tick", sim.HandlerFunc(func(now sim.Time) {
//		if now < 3*sim.Second {
//			e.Arm(t, now+sim.Second)
//		}
//	}))
//	e.Arm(t, sim.Second)
//	err := e.RunToIdle() // three events, and the clock stands at 3 s
package sim
