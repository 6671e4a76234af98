package bridge

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"ringside/sim"
)

// The benchmarks measure Handle alone: learning, lookup, decision and counters,
// for frames whose headers were made beforehand and whose addresses are random,
// so that neither the branch predictor nor the prefetcher can know them.

// A benchFrame is a header and the port it comes in by.
type benchFrame struct {
	in     Port
	header [20]byte
}

func stationMAC(n int) (m MAC) {
	m[0] = 2
	binary.BigEndian.PutUint32(m[2:], uint32(n))
	return m
}

func header(dst, src MAC) (h [20]byte) {
	copy(h[0:], dst[:])
	copy(h[6:], src[:])
	h[12], h[13] = 0x88, 0xb5 // for experiments
	return h
}

// benchBridge has ports ports and stations stations. Of these the even ones are
// behind port 1, the wire, and the odd ones behind the other ports in turn.
func benchBridge(b *testing.B, stations, ports int) *Bridge {
	br, err := New(Config{Name: "br0", Seed: 1, DefaultPVID: NoPVID})
	if err != nil {
		b.Fatal(err)
	}
	for range ports {
		if _, err := br.AddPort(PortConfig{}); err != nil {
			b.Fatal(err)
		}
	}
	for n := range stations {
		h := header(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, stationMAC(n))
		br.Handle(portOf(n, ports), h[:], 0)
	}
	if br.Len() != stations {
		b.Fatalf("%d stations learned, want %d", br.Len(), stations)
	}
	return br
}

func portOf(station, ports int) Port {
	if station%2 == 0 {
		return 1
	}
	return Port(2 + station/2%(ports-1))
}

// fromWire is frames from random stations behind port 1 to random ones behind
// the others.
func fromWire(stations, ports int) []benchFrame {
	r := rand.New(rand.NewPCG(1, 2))
	frames := make([]benchFrame, 1<<16)
	for i := range frames {
		src, dst := 2*r.IntN(stations/2), 2*r.IntN(stations/2)+1
		frames[i] = benchFrame{1, header(stationMAC(dst), stationMAC(src))}
	}
	return frames
}

func run(b *testing.B, br *Bridge, frames []benchFrame) {
	b.ReportAllocs()
	now, out := sim.Time(0), 0
	for i := 0; b.Loop(); i++ {
		now += sim.Nanosecond
		f := &frames[i&(1<<16-1)]
		v := br.Handle(f.in, f.header[:], now)
		out += len(v.Out)
	}
	if out == 0 {
		b.Fatal("no frame was forwarded")
	}
}

// BenchmarkHandle forwards frames from the wire: a refresh and a lookup each.
func BenchmarkHandle(b *testing.B) {
	for _, c := range []struct{ stations, ports int }{
		{1000, 2}, {65536, 2}, {1000000, 2}, {1000, 1024}, {65536, 1024},
	} {
		b.Run(fmt.Sprintf("stations=%d/ports=%d", c.stations, c.ports), func(b *testing.B) {
			run(b, benchBridge(b, c.stations, c.ports), fromWire(c.stations, c.ports))
		})
	}
}

// BenchmarkMesh is BenchmarkHandle with frames that come in by all ports.
func BenchmarkMesh(b *testing.B) {
	for _, ports := range []int{2, 1024} {
		b.Run(fmt.Sprintf("stations=1000/ports=%d", ports), func(b *testing.B) {
			const stations = 1000
			r := rand.New(rand.NewPCG(1, 2))
			frames := make([]benchFrame, 1<<16)
			for i := range frames {
				src := r.IntN(stations)
				dst := 2*r.IntN(stations/2) + 1 - src%2
				frames[i] = benchFrame{portOf(src, ports), header(stationMAC(dst), stationMAC(src))}
			}
			run(b, benchBridge(b, stations, ports), frames)
		})
	}
}

// BenchmarkLearn is frames that change the table: a new station each, the growth
// of the table included, and a station that moves with each.
func BenchmarkLearn(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		br := benchBridge(b, 0, 2)
		for n := 0; b.Loop(); n++ {
			if n%DefaultMaxLearned == 0 {
				br = benchBridge(b, 0, 2)
			}
			h := header(stationMAC(1), stationMAC(n))
			br.Handle(1, h[:], sim.Time(n))
		}
	})
	b.Run("move", func(b *testing.B) {
		br := benchBridge(b, 1000, 3)
		for n := 0; b.Loop(); n++ {
			h := header(stationMAC(1), stationMAC(n%500*2))
			br.Handle(Port(n/500%2*2+1), h[:], sim.Time(n))
		}
		if br.Stats().Moved == 0 {
			b.Fatal("nobody moved")
		}
	})
}

// BenchmarkFlood is broadcasts from a known station, the list of ports and their
// counters included.
func BenchmarkFlood(b *testing.B) {
	for _, ports := range []int{2, 1024} {
		b.Run(fmt.Sprintf("ports=%d", ports), func(b *testing.B) {
			br := benchBridge(b, 2, ports)
			h := header(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, stationMAC(0))
			b.ReportAllocs()
			out := 0
			for b.Loop() {
				out += len(br.Handle(1, h[:], 0).Out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(out), "ns/copy")
		})
	}
}

// BenchmarkVLAN is a tagged and an untagged frame between known stations, and floods
// in a VLAN that all ports have, with filtering on.
func BenchmarkVLAN(b *testing.B) {
	for _, ports := range []int{2, 1024} {
		br, err := New(Config{VLANFiltering: true})
		must(b, err)
		for range ports {
			mustAdd(b, br, PortConfig{VLANs: []VLAN{{VID: 7}}})
		}
		br.Handle(2, plain(all, bob), 0)
		br.Handle(2, tagged(7, all, bob), 0)
		for _, c := range []struct {
			name  string
			frame []byte
		}{
			{"untagged", plain(bob, alice)}, {"tagged", tagged(7, bob, alice)}, {"flood", tagged(7, all, alice)},
		} {
			b.Run(fmt.Sprintf("%s/ports=%d", c.name, ports), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					br.Handle(1, c.frame, 0)
				}
			})
		}
	}
}

// BenchmarkMulticast is a frame to a group with one member, and one to a group that
// nobody is in.
func BenchmarkMulticast(b *testing.B) {
	br := benchBridge(b, 0, 64)
	br.Handle(4, igmpFrame(1, 0, carol), 0)
	br.Tick(20 * sim.Second)
	br.Handle(2, report(1, bob), 20*sim.Second)
	for x, name := range []string{1: "member", 2: "nobody"} {
		frame := igmpFrame(2, byte(x), alice)
		if name != "" {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					br.Handle(1, frame, 20*sim.Second)
				}
			})
		}
	}
}

// BenchmarkAge is a walk over a million entries that takes none of them out.
func BenchmarkAge(b *testing.B) {
	br := benchBridge(b, 1000000, 2)
	for b.Loop() {
		br.age(0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/entry")
}
