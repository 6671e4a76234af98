package ringside

import (
	"encoding/binary"
	"testing"

	"ringside/bridge"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

// load is a wire that offers n frames of one size at a constant rate, over so
// many destinations.
type load struct {
	n, sent uint64
	gap     sim.Time
	frame   []byte
	dests   uint64
}

func (l *load) Receive(f *nic.WireFrame) bool {
	if l.sent == l.n {
		return false
	}
	f.ID, f.At, f.Data = l.sent+1, sim.Time(l.sent)*l.gap, l.frame
	binary.BigEndian.PutUint32(l.frame[2:], uint32(l.sent%l.dests))
	l.sent++
	return true
}
func (l *load) Transmit(*nic.WireFrame) {}

func BenchmarkNative64(b *testing.B) {
	frame := make([]byte, 60)
	copy(frame[6:], []byte{2, 0, 0, 0, 9, 9, 8, 0})
	l := &load{n: uint64(b.N), gap: sim.Second / 1_000_000, frame: frame, dests: 1}
	frame[0] = 2
	h, err := New(Config{Seed: 1, Wire: l, VMs: []VM{{Program: vm.Sink, Known: []bridge.MAC{{2, 0}}}}})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	b.ReportAllocs()
	b.ResetTimer()
	if err := h.Run(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	r := h.Report()
	b.ReportMetric(float64(r.Conservation.ToVMs)/float64(b.N), "delivered/frame")
	b.ReportMetric(float64(b.N)/float64(r.Totals.Polls), "frames/poll")
	b.ReportMetric(float64(b.N)/float64(r.Totals.ContextSwitches), "frames/switch")
	b.ReportMetric(float64(r.Events)/float64(b.N), "events/frame")
}
