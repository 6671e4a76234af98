package vxlan

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// seedEvents gives a fuzz target what the property test tries.
func seedEvents(f *testing.F, add func(event)) {
	g := generator{r: rand.New(rand.NewPCG(7, 7))}
	for range 60 {
		add(g.next())
	}
}

// What comes from the wire, whatever it is, is dealt with as the model has it: the
// header's fields one by one, the inner packet's mark, its checksum, the table.
func FuzzDecap(f *testing.F) {
	seedEvents(f, func(e event) { f.Add(e.frame, e.tos, host4(e)) })
	f.Fuzz(func(t *testing.T, payload []byte, tos, from uint8) {
		c := configs(false)["plain"]
		o, m := newOurs(c), newModel(c)
		e := event{frame: payload, tos: tos, from: remoteN(false, int(from))}
		compare(t, o, m, []event{e, e, {frame: payload, tos: tos, from: remoteN(false, int(from)+1), at: sim.Second}})
		require.NoError(t, o.v.Check())
	})
}

// host4 is the last byte of the address that an event comes from.
func host4(e event) uint8 {
	if b := e.from.AsSlice(); len(b) > 0 {
		return b[len(b)-1]
	}
	return 2
}

// What a guest sends, whatever it is, leaves as the model has it; its source port is in
// the range and the same each time.
func FuzzEncap(f *testing.F) {
	seedEvents(f, func(e event) { f.Add(e.frame, e.tos) })
	f.Fuzz(func(t *testing.T, frame []byte, which uint8) {
		for _, name := range []string{"plain", "inherit", "fixed"} {
			c := configs(which%2 != 0)[name]
			o, m := newOurs(c), newModel(c)
			compare(t, o, m, []event{{out: true, frame: frame}})
			a := o.v.Encap(frame, len(frame))
			for _, p := range a.Out {
				port := p.From.Port()
				require.True(t, port >= localPortMin && port < localPortMax, "source port %d", port)
				require.Equal(t, a.Out[0].From, p.From)
			}
		}
	})
}
