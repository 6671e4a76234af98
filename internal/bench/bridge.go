package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"ringside/bridge"
	"ringside/sim"
)

// burst is how many frames the kernel gives the bridge at a time.
const burst = 8

// alone is a case of the bridge by itself: no device, no kernel, no guest. Frames
// come from random stations behind port 1 to random ones behind the others, and
// are given to it in bursts, as the kernel gives them.
func alone(name, does string, stations, ports int) Case {
	return Case{Name: name, Does: does, size: 60, setUp: func() (*machine, error) {
		br, err := switched(stations, ports)
		if err != nil {
			return nil, err
		}
		r := rand.New(rand.NewPCG(1, 2))
		frames := make([][60]byte, 1<<14)
		for i := range frames {
			copy(frames[i][:], station(uint64(2*r.IntN(stations/2)+1)))
			copy(frames[i][6:], station(uint64(2*r.IntN(stations/2))))
		}
		return askingBridge(br, frames, func(v bridge.Verdict) bool { return v.Action == bridge.Forward }), nil
	}}
}

// floodAlone is a broadcast to so many ports, in time for each copy.
func floodAlone(ports int) Case {
	return Case{Name: fmt.Sprintf("bridge/flood/%d", ports), Does: "the bridge alone: a broadcast, in copies", size: 60, setUp: func() (*machine, error) {
		br, err := switched(2, ports+1)
		if err != nil {
			return nil, err
		}
		frames := make([][60]byte, burst)
		for i := range frames {
			copy(frames[i][:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			copy(frames[i][6:], station(0))
		}
		return askingBridge(br, frames, func(v bridge.Verdict) bool { return v.Action == bridge.Flood }), nil
	}}
}

// switched is a bridge that has learned stations, the even ones behind port 1 and
// the odd ones behind the others in turn.
func switched(stations, ports int) (*bridge.Bridge, error) {
	br, err := bridge.New(bridge.Config{Seed: 1, DefaultPVID: bridge.NoPVID})
	if err != nil {
		return nil, err
	}
	for range ports {
		if _, err := br.AddPort(bridge.PortConfig{}); err != nil {
			return nil, err
		}
	}
	for n := range stations {
		port := bridge.Port(1)
		if n%2 == 1 {
			port = bridge.Port(2 + n/2%(ports-1))
		}
		hello := make([]byte, 60)
		copy(hello, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		copy(hello[6:], station(uint64(n)))
		binary.BigEndian.PutUint16(hello[12:], 0x88b5)
		br.Handle(port, hello, 0)
	}
	return br, nil
}

func askingBridge(br *bridge.Bridge, frames [][60]byte, good func(bridge.Verdict) bool) *machine {
	var now sim.Time
	var copies, bad uint64
	at := 0
	return &machine{
		run: func(n int) error {
			for target := copies + uint64(n); copies < target; at = (at + burst) & (len(frames) - 1) {
				list := frames[at : at+burst]
				now += sim.Microsecond
				if br.Large() {
					for i := range list {
						br.Ahead(list[i][:])
					}
				}
				for i := range list {
					v := br.Handle(1, list[i][:], now)
					if !good(v) {
						bad++
					}
					copies += uint64(max(len(v.Out), 1))
				}
			}
			return nil
		},
		count: func() uint64 { return copies },
		check: func() error {
			if bad > 0 {
				return fmt.Errorf("%d frames did not go where they were to go", bad)
			}
			return br.Check()
		},
		close: func() {},
	}
}
