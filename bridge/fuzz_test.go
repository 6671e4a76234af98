package bridge

import (
	"math/rand/v2"
	"testing"

	"ringside/sim"
)

// pool is addresses that meet each other: stations, groups, reserved ones, zero,
// the bridge's own and a port's.
var pool = func() []MAC {
	macs := []MAC{all, group, {}, own, portOwn, linkLocal(0), linkLocal(1), linkLocal(2), linkLocal(0x0e), linkLocal(0x10)}
	for n := range 22 {
		macs = append(macs, stationMAC(n))
	}
	return macs
}()

// play reads data as a configuration and a list of calls, makes them to a bridge
// and to the model, and fails where the two part.
func play(t *testing.T, data []byte) {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		c := data[0]
		data = data[1:]
		return int(c)
	}
	mac := func() MAC { return pool[next()%len(pool)] }

	cfg := Config{Ageing: 100 * sim.Millisecond, MaxLearned: 12, Seed: uint64(next())}
	flags := next()
	if flags&1 != 0 {
		cfg.MAC = own
	}
	if flags&2 != 0 {
		cfg.GroupFwdMask = 1<<0x0e | 1<<3
	}
	cfg.Promisc = flags&12 == 12
	switch flags >> 4 {
	case 0:
		cfg.Ageing = Hub
	case 1:
		cfg.Ageing = sim.Never
	}
	b, m := mustNew(t, cfg), newModel(cfg)
	var now sim.Time
	for range 3 {
		if got, want := mustAdd(t, b, PortConfig{}), m.addPort(PortConfig{}); got != want {
			t.Fatalf("port %d, want %d", got, want)
		}
	}
	for step := 0; len(data) > 0; step++ {
		switch op := next(); {
		case op < 160:
			in := Port(op%8) - 1
			h := header(mac(), mac())
			n := len(h)
			if op >= 156 {
				n = next() % 15
			}
			got, want := b.Handle(in, h[:n:n], now), m.handle(in, h[:n], now)
			if diff := verdictDiffers(got, want); diff != "" {
				t.Fatalf("step %d: frame %x on port %d at %v: %s", step, h[:n], in, now, diff)
			}
		case op < 190:
			now += sim.Time(next()+1) * sim.Time(1+next()) * 2 * sim.Microsecond
		case op < 210:
			looked, removed, due := age(b, now)
			wantLooked, wantRemoved, wantDue := m.age(now)
			if looked != wantLooked || removed != wantRemoved || due != wantDue {
				t.Fatalf("step %d: Age(%v) = %d %d %v, want %d %d %v", step, now, looked, removed, due, wantLooked, wantRemoved, wantDue)
			}
		case op < 225:
			a, p, stick := mac(), Port(next()%6), op&1 == 1
			ok := m.ports[p] != nil && p != Local && a[0]&1 == 0 && a != MAC{}
			if err := b.Add(Entry{MAC: a, Port: p, Kind: Static, Sticky: stick}); (err == nil) != ok {
				t.Fatalf("step %d: static %v on port %d: %v", step, a, p, err)
			}
			if ok {
				m.addStatic(a, p, stick)
			}
		case op < 230:
			a, p := mac(), Port(next()%6)
			ok := m.ports[p] != nil && a[0]&1 == 0 && a != MAC{}
			if err := b.Add(Entry{MAC: a, Port: p, Kind: Permanent}); (err == nil) != ok {
				t.Fatalf("step %d: local %v on port %d: %v", step, a, p, err)
			}
			if ok {
				m.setLocal(a, p)
			}
		case op < 238:
			a := mac()
			_, ok := m.entries[a]
			if b.Delete(a, 0) != ok {
				t.Fatalf("step %d: deleting %v: want %v", step, a, ok)
			}
			delete(m.entries, a)
		case op < 248:
			if len(m.ports) > 6 {
				continue
			}
			cfg := PortConfig{NoLearning: op == 238}
			if op < 242 {
				cfg.MAC = portOwn
			}
			if got, want := mustAdd(t, b, cfg), m.addPort(cfg); got != want {
				t.Fatalf("step %d: port %d, want %d", step, got, want)
			}
		default:
			p := Port(next()%7) - 1
			ok := p != Local && m.ports[p] != nil
			if err := b.RemovePort(p); (err == nil) != ok {
				t.Fatalf("step %d: removing port %d: %v", step, p, err)
			}
			if ok {
				m.removePort(p)
			}
		}
		if step%32 != 0 && len(data) > 0 {
			continue
		}
		if diff := m.differs(b, now); diff != "" {
			t.Fatalf("step %d: %s", step, diff)
		}
		if err := b.Check(); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

func FuzzBridge(f *testing.F) {
	f.Add([]byte{1, 0xff, 2, 11, 12, 3, 12, 11})
	r := rand.New(rand.NewPCG(5, 5))
	for range 8 {
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(play)
}

// The bridge and the model agree over a million random calls.
func TestBridgeIsTheModel(t *testing.T) {
	runs := 1500
	if testing.Short() {
		runs = 150
	}
	r := rand.New(rand.NewPCG(1, 9))
	for range runs {
		data := make([]byte, 2000)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		play(t, data)
	}
}
