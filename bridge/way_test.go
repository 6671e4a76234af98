package bridge

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
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

// verdictDiffers says in words where two verdicts part, or "".
func verdictDiffers(got, want Verdict) string {
	if got.Action != want.Action || got.Reason != want.Reason || got.Work != want.Work || !slices.Equal(got.Out, want.Out) {
		return fmt.Sprintf("verdict %+v, want %+v", got, want)
	}
	return ""
}

// chance makes bridges, changes and frames of every kind.
type chance struct{ *rand.Rand }

func (c chance) one(percent int) bool { return c.IntN(100) < percent }

func (c chance) config() Config {
	cfg := Config{
		MAC: own, Promisc: c.one(10), NoLinkLocalLearn: c.one(20), STP: c.one(30),
		VLANFiltering: c.one(60), VLANStats: c.one(30), VLANStatsPerPort: c.one(30), NoSnooping: c.one(20),
		MaxLearned: 1 + c.IntN(30), GroupFwdMask: uint16(c.Uint32()) &^ 7, DefaultPVID: uint16(c.IntN(3)),
		ForwardDelay: 2 * sim.Second, Multicast: snoop.Config{Querier: c.one(50)},
	}
	if c.one(20) {
		cfg.VLANProtocol = Dot1AD
	}
	if c.one(10) {
		cfg.Ageing = Hub
	}
	return cfg
}

func (c chance) port() PortConfig {
	p := PortConfig{
		NoLearning: c.one(15), NoFlood: c.one(15), NoMcastFlood: c.one(15), NoBcastFlood: c.one(15),
		Hairpin: c.one(20), Isolated: c.one(30), Locked: c.one(20), LinkDown: c.one(10),
		FastLeave: c.one(20), McastToUnicast: c.one(30), NeighSuppress: c.one(20), GroupFwdMask: uint16(c.Uint32()) &^ 2,
		Guard: c.one(10), RootBlock: c.one(10), NoPVID: c.one(10), McastRouter: snoop.Router(c.IntN(3)),
	}
	p.MAB = p.Locked && c.one(50)
	if c.one(20) {
		p.MAC = portOwn
	}
	for c.one(50) {
		p.VLANs = append(p.VLANs, c.vlan())
	}
	return p
}

func (c chance) vlan() VLAN {
	return VLAN{VID: uint16(1 + c.IntN(4)), PVID: c.one(30), Untagged: c.one(50)}
}

func (c chance) frame() []byte {
	f := make([]byte, 12, 80)
	dst, src := pool[c.IntN(len(pool))], pool[c.IntN(len(pool))]
	if c.one(70) {
		src = stationMAC(c.IntN(6))
	}
	switch {
	case c.one(50):
		dst = stationMAC(c.IntN(6))
	case c.one(30):
		dst = MAC{0x01, 0, 0x5e, 1, 2, byte(c.IntN(3))}
	}
	copy(f, dst[:])
	copy(f[6:], src[:])
	for c.one(40) {
		tpid := uint16(Dot1Q)
		if c.one(30) {
			tpid = Dot1AD
		}
		f = binary.BigEndian.AppendUint16(f, tpid)
		f = binary.BigEndian.AppendUint16(f, uint16(c.IntN(8))<<13|uint16(c.IntN(6)))
	}
	switch {
	case dst[2] == 0x5e && c.one(70):
		f = append(f, igmpReport(byte(c.IntN(3)), dst[5])...)
	case dst == linkLocal(0) && c.one(80):
		b := stp.BPDU{Root: stp.BridgeID(c.IntN(3)) << 48, Bridge: stp.BridgeID(c.IntN(5)) << 48, Port: 0x8001,
			MaxAge: 20 * sim.Second, HelloTime: 2 * sim.Second, ForwardDelay: 2 * sim.Second}
		f = b.Append(append(f, 0, 38, 0x42, 0x42, 3))
	case c.one(20):
		f = append(f, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, byte(c.IntN(4)))
	default:
		f = append(f, 0x88, 0xb5, 1, 2, 3, 4)
	}
	if c.one(3) {
		f = f[:c.IntN(len(f))]
	}
	return f
}

// igmpReport is an IPv4 packet to 224.1.2.x, with its EtherType: a report of version
// 2, a query, or some data.
func igmpReport(kind, x byte) []byte {
	ip := []byte{0x46, 0, 0, 32, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 9, 224, 1, 2, x, 0x94, 4, 0, 0}
	body := []byte{0x16, 0, 0, 0, 224, 1, 2, x}
	if kind == 1 {
		body = []byte{0x11, 100, 0, 0, 0, 0, 0, 0}
		copy(ip[16:], []byte{224, 0, 0, 1})
	}
	if kind == 2 {
		ip[9] = 17
	}
	binary.BigEndian.PutUint16(ip[10:], ^sum16(ip))
	binary.BigEndian.PutUint16(body[2:], ^sum16(body))
	return append(append([]byte{8, 0}, ip...), body...)
}

func sum16(b []byte) uint16 {
	sum := 0
	for i := 0; i < len(b); i += 2 {
		sum += int(b[i])<<8 | int(b[i+1])
	}
	return uint16(sum + sum>>16)
}

func (v Verdict) own() Verdict {
	v.Out = slices.Clone(v.Out)
	return v
}

// twins are two bridges that are told the same, one of which has no short way.
type twins [2]*Bridge

func (w twins) do(f func(b *Bridge)) {
	for _, b := range w {
		f(b)
	}
}

// change makes one change to both.
func (c chance) change(w twins) {
	p := Port(1 + c.IntN(5))
	switch c.IntN(9) {
	case 0:
		cfg := c.port()
		w.do(func(b *Bridge) { b.AddPort(cfg) })
	case 1:
		if c.one(30) {
			w.do(func(b *Bridge) { b.RemovePort(p) })
		}
	case 2:
		cfg := c.port()
		w.do(func(b *Bridge) { b.SetPort(p, cfg) })
	case 3:
		up := c.one(70)
		w.do(func(b *Bridge) { b.SetLink(p, up) })
	case 4:
		p, v := Port(c.IntN(6)), c.vlan()
		if c.one(70) {
			w.do(func(b *Bridge) { b.AddVLAN(p, v) })
		} else {
			w.do(func(b *Bridge) { b.DeleteVLAN(p, v) })
		}
	case 5:
		e := Entry{MAC: stationMAC(c.IntN(6)), VLAN: uint16(c.IntN(3)), Port: Port(c.IntN(6)), Kind: Kind(c.IntN(3)), Sticky: c.one(30)}
		w.do(func(b *Bridge) { b.Add(e) })
	case 6:
		mac, vid := stationMAC(c.IntN(6)), uint16(c.IntN(3))
		w.do(func(b *Bridge) { b.Delete(mac, vid) })
	case 7:
		cfg := c.config()
		w.do(func(b *Bridge) { b.SetConfig(cfg) })
	case 8:
		s, vid := stp.State(c.IntN(5)), uint16(1+c.IntN(3))
		if c.one(50) {
			w.do(func(b *Bridge) { b.SetState(p, s) })
		} else {
			w.do(func(b *Bridge) { b.SetVLANState(p, vid, s) })
		}
	}
}

// Whatever a bridge is set to, Handle decides as the whole way does, Explain says
// what Handle does and changes nothing, and the bridge stays whole.
func TestEveryWayIsTheSameWay(t *testing.T) {
	runs := 400
	if testing.Short() {
		runs = 60
	}
	neighbours := neigh.NewTable()
	for seed := range uint64(runs) {
		c := chance{rand.New(rand.NewPCG(seed, 77))}
		cfg := c.config()
		cfg.Neighbours = neighbours
		quick, err := New(cfg)
		must(t, err)
		whole, err := New(cfg)
		must(t, err)
		w := twins{quick, whole}
		for range 4 {
			cfg := c.port()
			w.do(func(b *Bridge) { b.AddPort(cfg) })
		}
		now := sim.Time(0)
		for step := range 300 {
			now += sim.Time(c.IntN(1000)) * sim.Millisecond
			var ticked [2]Ticked
			for i, b := range w {
				ticked[i] = b.Tick(now)
			}
			if ticked[0] != ticked[1] {
				t.Fatalf("seed %d, step %d: ticked %+v and %+v", seed, step, ticked[0], ticked[1])
			}
			if c.one(15) {
				c.change(w)
			}
			in, frame := Port(c.IntN(6)), c.frame()
			before := quick.Entries(now)
			e := quick.Explain(in, frame, now)
			if !reflect.DeepEqual(before, quick.Entries(now)) {
				t.Fatalf("seed %d, step %d: Explain changed the table", seed, step)
			}
			got := quick.Handle(in, frame, now).own()
			want := whole.decide(in, frame, now).own()
			if diff := verdictDiffers(got, want); diff != "" {
				t.Fatalf("seed %d, step %d: frame %x on port %d: short %s", seed, step, frame, in, diff)
			}
			e.Verdict.Work &^= Emitted // it sends nothing
			want.Work &^= Emitted
			if diff := verdictDiffers(e.Verdict, want); diff != "" {
				t.Fatalf("seed %d, step %d: frame %x on port %d: Explain's %s\n%v", seed, step, frame, in, diff, &e)
			}
			if a, b := quick.Sent(), whole.Sent(); !reflect.DeepEqual(a, b) {
				t.Fatalf("seed %d, step %d: sent %v and %v", seed, step, a, b)
			}
			if step%20 == 0 {
				must(t, quick.Check())
				if !reflect.DeepEqual(quick.Entries(now), whole.Entries(now)) || !reflect.DeepEqual(quick.MDB(now), whole.MDB(now)) {
					t.Fatalf("seed %d, step %d: the tables differ", seed, step)
				}
			}
		}
	}
}
