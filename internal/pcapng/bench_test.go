package pcapng

import (
	"fmt"
	"io"
	"testing"
)

// What one packet costs, its bytes copied once into the buffer and the buffer
// handed to a writer that throws it away: "bare" has no options, "full" has a
// direction, an id, a queue and a verdict with its reason.
func BenchmarkWritePacket(b *testing.B) {
	for _, size := range []int{64, 1514} {
		bare := Packet{TimePS: 67_200, Data: make([]byte, size)}
		full := bare
		full.Direction, full.ID, full.Queue = Inbound, Of(7), Of(3)
		full.Verdict, full.Reason = "drop", "FULL_RING"
		for _, row := range []struct {
			name string
			p    Packet
		}{{"bare", bare}, {"full", full}} {
			b.Run(fmt.Sprintf("%s/%dB", row.name, size), func(b *testing.B) {
				w := NewWriter(io.Discard, Section{})
				w.AddInterface(Interface{Name: "eth0"})
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					row.p.TimePS += 67_200
					if err := w.WritePacket(&row.p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
