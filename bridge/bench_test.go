package bridge

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"ringside/sim"
)

// Frames are made beforehand: what is measured is Handle, with a header that is
// read from memory and an address that the branch predictor cannot know.
func benchFrames(stations, count int) [][14]byte {
	r := rand.New(rand.NewPCG(1, 2))
	frames := make([][14]byte, count)
	for i := range frames {
		binary.BigEndian.PutUint64(frames[i][:], 0x0200<<48|uint64(r.IntN(stations))<<16)
		binary.BigEndian.PutUint32(frames[i][6:], 0x02000000)
		binary.BigEndian.PutUint32(frames[i][8:], uint32(r.IntN(stations)))
	}
	return frames
}

func benchBridge(b *testing.B, stations, ports int) *Bridge {
	br, err := New(Config{Name: "br0", Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	for range ports {
		if _, err := br.AddPort(PortConfig{}); err != nil {
			b.Fatal(err)
		}
	}
	var f [14]byte
	f[0] = 0xff
	for i := range stations {
		f[6] = 2
		binary.BigEndian.PutUint32(f[8:], uint32(i))
		br.Handle(benchPort(uint32(i), ports), f[:], 0)
	}
	if br.Len() != stations {
		b.Fatal(br.Len())
	}
	return br
}

// The last port has no station, so that no frame is at home.
func benchPort(station uint32, ports int) Port {
	return Port(station%uint32(ports) + 1)
}

func BenchmarkHandle(b *testing.B) {
	for _, c := range []struct{ stations, ports int }{{1000, 2}, {65536, 2}, {1000000, 2}, {1000, 1024}, {65536, 1024}} {
		b.Run(fmt.Sprintf("stations=%d/ports=%d", c.stations, c.ports), func(b *testing.B) {
			br := benchBridge(b, c.stations, c.ports)
			frames := benchFrames(c.stations, 1<<16)
			in := make([]Port, len(frames))
			for i := range frames {
				in[i] = benchPort(binary.BigEndian.Uint32(frames[i][8:]), c.ports)
			}
			b.ReportAllocs()
			now := sim.Time(0)
			out := 0
			for i := 0; b.Loop(); i++ {
				now += sim.Nanosecond
				k := i & (1<<16 - 1)
				v := br.Handle(in[k], frames[k][:], now)
				out += len(v.Out)
			}
			if s := br.Stats(); s.Moved != 0 || br.Len() != c.stations {
				b.Fatal(s)
			}
		})
	}
}
