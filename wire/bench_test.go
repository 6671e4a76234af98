package wire

import (
	"testing"

	"ringside/nic"
	"ringside/sim"
)

// BenchmarkReceive is what a link costs for each frame that comes out of it towards
// the NIC, frames of 60 bytes at 10 Gbit/s, beside the wire alone.
func BenchmarkReceive(b *testing.B) {
	bench := func(name string, w nic.Wire) {
		b.Run(name, func(b *testing.B) {
			var f nic.WireFrame
			b.ReportAllocs()
			for b.Loop() {
				w.Receive(&f)
			}
		})
	}
	frames := func() *endless { return &endless{data: make([]byte, 60), step: 67200} }
	bench("bare", frames())
	for _, c := range []struct{ name, text string }{
		{"empty", ""}, {"delay", "delay 1ms"}, {"jitter", "delay 1ms 100us"}, {"normal", "delay 1ms 100us distribution normal"},
		{"loss", "loss 1%"}, {"bursts", "loss gemodel 1% 10%"}, {"corrupt", "corrupt 1%"}, {"duplicate", "duplicate 1%"},
		{"rate", "rate 9gbit queue 100"}, {"limit", "delay 10us limit 1000"}, {"reorder", "delay 10us reorder 25% gap 5"}, {"full", everything},
	} {
		l, err := New(Config{Engine: sim.NewEngine(1), BPS: 10e9, Spec: Spec{Rx: parsed(b, c.text)}}, frames())
		if err != nil {
			b.Fatal(err)
		}
		bench(c.name, l)
	}
}
