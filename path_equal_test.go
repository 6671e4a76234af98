package ringside_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/sim"
	"ringside/vm"
)

// A kind is whom a frame is for.
type kind byte

const (
	toGuest   kind = iota // whose address is known from the start
	toAll                 // broadcast
	toGroup               // multicast that nobody has asked for
	toNobody              // an address that no bridge knows: flooded
	toNext                // to a guest that sends it to the next guest
	toWire                // to a guest that sends it back
	tooSlight             // to a known guest, as short as Ethernet has it
	numKinds
)

var kindNames = [numKinds]string{"unicast", "broadcast", "multicast", "unknown unicast", "guest to guest", "guest to wire", "short"}

// cannot says what a path does not do as the bridge does it. Each has a word in
// Path.GivesUp.
var cannot = map[ringside.Path][]kind{
	ringside.SRIOV: {toNobody},
}

// The parts of a frame of these tests behind its Ethernet header.
const (
	atKind = 14 + iota
	atFlow
	atSeq // two bytes
	_
	atHop // has been sent on by a guest
	slight
)

// mixed is random traffic for so many guests: kinds, sizes and flows in any order.
func mixed(r *rand.Rand, guests, n int, not []kind) (list [][]byte) {
	var seq [numKinds][4]uint16
	for len(list) < n {
		k, flow := kind(r.IntN(int(numKinds))), r.IntN(4)
		if slices.Contains(not, k) {
			continue
		}
		size := 60 + r.IntN(1455)
		switch {
		case k == tooSlight:
			size = 60
		case r.IntN(4) == 0:
			size = []int{60, 61, 63, 64, 65, 127, 128, 1513, 1514}[r.IntN(9)]
		}
		f := make([]byte, size)
		for i := slight; i < size; i++ {
			f[i] = byte(r.Uint32())
		}
		to := station(r.IntN(guests))
		switch k {
		case toAll:
			to = bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		case toGroup:
			to = bridge.MAC{1, 0, 0x5e, 1, 1, byte(flow)}
		case toNobody:
			to = bridge.MAC{2, 0x77, 0, 0, 0, byte(flow)}
		}
		copy(f, to[:])
		copy(f[6:], []byte{2, 9, 9, 9, 9, byte(flow)})
		copy(f[12:], []byte{0x88, 0xb5, byte(k), byte(flow)})
		binary.BigEndian.PutUint16(f[atSeq:], seq[k][flow])
		f[atHop] = 0
		seq[k][flow]++
		list = append(list, f)
	}
	return list
}

func station(i int) bridge.MAC { return bridge.MAC{2, 0, 0, 0, 1, byte(i)} }

// passer is a guest that keeps what it gets and sends on what asks for it.
func passer(i, guests int, got *[]string) vm.Program {
	return func(g *vm.Guest) error {
		for {
			f, err := g.Receive()
			if err != nil {
				return err
			}
			g.Work(0)
			*got = append(*got, string(f))
			k := kind(f[atKind])
			if f[atHop] != 0 || k != toNext && k != toWire {
				continue
			}
			f[atHop] = 1
			if k == toWire {
				copy(f, f[6:12])
			} else {
				to := station((i + 1) % guests)
				copy(f, to[:])
			}
			copy(f[6:], g.MAC[:])
			if err := g.Send(f); err != nil {
				return err
			}
		}
	}
}

// flowsOf sorts frames by kind, by who sends to whom, and by flow, each in its order.
func flowsOf(list []string) map[string][]string {
	by := map[string][]string{}
	for _, f := range list {
		name := fmt.Sprintf("%s, from %x to %x, flow %d, sent on %d", kindNames[f[atKind]], f[6:12], f[:6], f[atFlow], f[atHop])
		by[name] = append(by[name], f)
	}
	return by
}

// carried is what comes out of a machine on a path: what each guest got, and the wire.
func carried(t *testing.T, p ringside.Path, seed uint64, guests int, frames [][]byte, cfg ringside.Config) []map[string][]string {
	t.Helper()
	w := &offered{gap: 10 * sim.Microsecond, frames: frames}
	got := make([][]string, guests)
	cfg.Path, cfg.Seed, cfg.Wire, cfg.TapQueue = p, seed, w, 4096
	for i := range guests {
		cfg.VMs = append(cfg.VMs, ringside.VM{Program: passer(i, guests, &got[i]), MAC: station(i), Known: []bridge.MAC{station(i)}})
	}
	h, err := ringside.New(cfg)
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	c := h.Report().Conservation
	require.True(t, c.Balanced)
	require.Zero(t, c.InFlight)
	list := make([]map[string][]string, 0, guests+1)
	for _, g := range got {
		list = append(list, flowsOf(g))
	}
	var back []string
	for _, f := range w.back {
		back = append(back, string(f))
	}
	return append(list, flowsOf(back))
}

// Every path brings the same frames to the same guests, and back to the wire, in the
// same order within each flow.
func TestEveryPathCarriesTheSameFrames(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for _, p := range ringside.Paths()[1:] {
		t.Run(p.String(), func(t *testing.T) {
			not := cannot[p]
			if len(not) > 0 {
				assert.NotEmpty(t, p.GivesUp(), "what it cannot do it says")
			}
			for seed := range uint64(rounds) {
				r := rand.New(rand.NewPCG(seed, 5))
				guests := 1 + r.IntN(5)
				frames := mixed(r, guests, 400, not)
				want := carried(t, ringside.Native, seed, guests, frames, ringside.Config{})
				have := carried(t, p, seed, guests, frames, ringside.Config{})
				for i := range want {
					for flow, list := range want[i] {
						require.Equal(t, len(list), len(have[i][flow]), "seed %d: guest %d of %d: %s", seed, i, guests, flow)
						for n := range list {
							require.Equal(t, []byte(list[n]), []byte(have[i][flow][n]), "seed %d: guest %d of %d: %s: frame %d", seed, i, guests, flow, n)
						}
					}
					require.Len(t, have[i], len(want[i]), "seed %d: guest %d of %d has flows that are not its own", seed, i, guests)
				}
			}
		})
	}
}

// What the table says a path cannot do it does differently indeed: else the row would
// have to go.
func TestWhatAPathCannotDoItDoesNot(t *testing.T) {
	for p, kinds := range cannot {
		for _, k := range kinds {
			t.Run(p.String()+"/"+kindNames[k], func(t *testing.T) {
				var not []kind
				for other := range numKinds {
					if other != k {
						not = append(not, other)
					}
				}
				frames := mixed(rand.New(rand.NewPCG(1, 1)), 3, 100, not)
				want := carried(t, ringside.Native, 1, 3, frames, ringside.Config{})
				have := carried(t, p, 1, 3, frames, ringside.Config{})
				assert.NotEqual(t, want, have)
			})
		}
	}
}
