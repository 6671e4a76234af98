package bridge

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"ringside/sim"
)

// The table against a Go map: random inserts, changes, deletions and sweeps over
// a few thousand keys, so that lines are full, probes are long, and gaps close.
func TestTableIsAMap(t *testing.T) {
	type entry struct {
		what    what
		updated sim.Time
	}
	steps := 4_000_000
	if testing.Short() {
		steps = 200_000
	}
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		tab := newTable(seed)
		want := map[addr]entry{}
		keys := make([]addr, 100<<(2*seed)) // 100 to 6,400
		for i := range keys {
			keys[i] = stationMAC(r.IntN(1 << 24)).addr()
		}
		for step := range steps / 4 {
			key := keys[r.IntN(len(keys))]
			_, known := want[key]
			l, i := tab.find(key)
			if (l != nil) != known {
				t.Fatalf("seed %d, step %d: found is %v, want %v", seed, step, l != nil, known)
			}
			switch op := r.IntN(16); {
			case known && op < 6:
				at, i := tab.locate(key)
				tab.remove(at, i)
				delete(want, key)
			case known:
				if got := (entry{l.what[i], l.updated[i]}); got != want[key] {
					t.Fatalf("seed %d, step %d: entry %+v, want %+v", seed, step, got, want[key])
				}
				e := entry{Port(r.IntN(9)).with(want[key].what & marks), sim.Time(step)}
				l.what[i], l.updated[i] = e.what, e.updated
				want[key] = e
			default:
				e := entry{Port(r.IntN(9)).with(what(r.IntN(16))), sim.Time(step)}
				if !tab.insert(key, e.what, e.updated) {
					t.Fatalf("seed %d, step %d: no room with %d entries", seed, step, tab.n)
				}
				want[key] = e
			}
			if step%50_000 != 0 {
				continue
			}
			if step%100_000 == 0 { // all that are older than half of the steps so far
				old := sim.Time(step / 2)
				tab.sweep(func(l *line, i int) bool { return l.updated[i] < old })
				for key, e := range want {
					if e.updated < old {
						delete(want, key)
					}
				}
			}
			must(t, tab.check())
			if tab.n != len(want) {
				t.Fatalf("seed %d, step %d: %d entries, want %d", seed, step, tab.n, len(want))
			}
			for key, e := range want {
				if l, i := tab.find(key); l == nil || l.what[i] != e.what || l.updated[i] != e.updated {
					t.Fatalf("seed %d, step %d: %v is missing or wrong", seed, step, key.mac())
				}
			}
		}
	}
}

// Addresses as machines have them, in runs and with strides, must spread like
// random ones, or maxProbe would be met by those who mean no harm.
func TestAddressesStayNearHome(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	sizes := []int{1024, 65536, 1 << 20}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, c := range []struct {
		name string
		mac  func(i uint32) MAC
	}{
		{"in a run", func(i uint32) MAC { return stationMAC(int(i)) }},
		{"a run of first bytes", func(i uint32) (m MAC) {
			m[0] = 2
			binary.LittleEndian.PutUint32(m[1:], i)
			return m
		}},
		{"every fourth", func(i uint32) MAC { return stationMAC(int(i << 2)) }},
		{"every 256th", func(i uint32) MAC { return stationMAC(int(i << 8)) }},
		{"every 4096th", func(i uint32) MAC { return stationMAC(int(i << 12)) }},
		{"random", func(uint32) MAC {
			m := macFrom(random.Uint64())
			m[0] = m[0]&^1 | 2
			return m
		}},
	} {
		for _, size := range sizes {
			for seed := range uint64(3 - size>>19) {
				tab := newTable(seed * 0x123456789)
				tab.resize(size / 2) // two thirds full at the end
				far, sum := 0, 0
				for i := range uint32(size) {
					key := c.mac(i).addr()
					if l, _ := tab.find(key); l != nil {
						continue // random ones may meet
					}
					if !tab.place(key, learned, 0) {
						t.Fatalf("%s, %d addresses, seed %d: the %dth has no room", c.name, size, seed, i)
					}
					at, _ := tab.locate(key)
					d := (at - tab.home(key)) & (len(tab.lines) - 1)
					far, sum = max(far, d), sum+d
				}
				if mean := float64(sum) / float64(size); mean > 0.8 || far > maxProbe*3/4 {
					t.Errorf("%s, %d addresses, seed %d: %.2f lines from home on average, %d at the most", c.name, size, seed, mean, far)
				}
			}
		}
	}
}

func macFrom(x uint64) MAC { return addr(x).mac() }

// collide returns addresses of stations whose home is the line home, modulo the
// table's size, in every table with that seed of up to 8,192 lines.
func collide(n int, seed uint64, home int) []MAC {
	large := table{seed: seed, lines: make([]line, 1<<13)}
	macs := make([]MAC, 0, n)
	for k := 1 << 24 * home; len(macs) < n; k++ {
		mac := macFrom(uint64(k)<<8 | 2)
		if large.home(mac.addr()) == home {
			macs = append(macs, mac)
		}
	}
	return macs
}

func TestCollidingAddressesCostABoundedSearch(t *testing.T) {
	b := mustNew(t, Config{Seed: 42})
	hostile, honest := mustAdd(t, b, PortConfig{}), mustAdd(t, b, PortConfig{})
	macs := collide(3*maxProbe+100, b.fdb.seed, 999)
	for _, mac := range macs {
		b.send(hostile, all, mac, 0)
	}
	if b.Len() != 3*maxProbe || b.Stats().Refused != 100 {
		t.Errorf("%d of %d colliding addresses learned, %d refused", b.Len(), len(macs), b.Stats().Refused)
	}
	if got := len(b.fdb.lines); got > 4*firstLines {
		t.Errorf("%d colliding addresses made a table of %d lines", len(macs), got)
	}
	must(t, b.Check())
	learned := 0
	for n := range 10_000 {
		if v := b.send(honest, all, stationMAC(n), 0); v.Work.Learned() == Created {
			learned++
		}
	}
	if learned < 9_800 { // the others belong into the heap while the table is small
		t.Errorf("%d of 10,000 honest stations learned", learned)
	}
	must(t, b.Check())
	if err := b.Add(Entry{MAC: macs[len(macs)-1], Port: honest, Kind: Static}); !errors.Is(err, ErrFull) {
		t.Errorf("a static entry where there is no room: %v", err)
	}
	for _, mac := range macs {
		b.Delete(mac, 0)
	}
	must(t, b.Check())
	if b.Len() != learned {
		t.Errorf("%d entries left", b.Len())
	}
}

// A heap of entries at its full reach, one that goes round the end of the table,
// and others in between: all must find room when the table grows.
func TestGrowingKeepsEverybodyWithinReach(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		tab := newTable(seed)
		tab.resize(256)
		var macs []MAC
		for range 5 {
			macs = append(macs, collide(1+r.IntN(3*maxProbe), tab.seed, 130+r.IntN(256))...)
		}
		for n := range 300 {
			macs = append(macs, stationMAC(n))
		}
		r.Shuffle(len(macs), func(i, j int) { macs[i], macs[j] = macs[j], macs[i] })
		entered := map[addr]sim.Time{}
		for i, mac := range macs {
			if l, _ := tab.find(mac.addr()); l == nil && tab.n < len(tab.lines)*perLine-1 && tab.place(mac.addr(), learned, sim.Time(i)) {
				entered[mac.addr()] = sim.Time(i)
			}
		}
		for range 4 {
			tab.grow()
			must(t, tab.check())
			if tab.n != len(entered) {
				t.Fatalf("seed %d: %d entries, want %d", seed, tab.n, len(entered))
			}
			for key, at := range entered {
				if l, i := tab.find(key); l == nil || l.updated[i] != at {
					t.Fatalf("seed %d: %v is lost", seed, key.mac())
				}
			}
		}
	}
}
