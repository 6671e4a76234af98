package virtnet_test

import (
	"testing"

	"ringside/sim"
	"ringside/virtio"
)

// What it takes in real time to carry TCP from one machine to another: both stacks,
// both drivers, both workers and the bridge. Bytes are payload.
func BenchmarkTCP(b *testing.B) {
	for _, bc := range []struct {
		name string
		off  virtio.Features
	}{
		{"1500", virtio.FGuestTSO4 | virtio.FGuestTSO6 | virtio.FHostTSO4 | virtio.FHostTSO6},
		{"64KiB", 0},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			const n = 32 << 20
			b.SetBytes(n)
			var frames uint64
			for range b.N {
				r := newRig(b, rigConfig{off: bc.off})
				x := newBulk(n, 5001)
				x.quick = true
				r.add(x.receiver())
				r.add(x.sender(0))
				r.run(30 * sim.Second)
				frames += r.Flow().ToVMs
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
		})
	}
}
