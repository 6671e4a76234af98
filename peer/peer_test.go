package peer_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/internal/leaktest"
	"ringside/nic"
	"ringside/offload"
	"ringside/peer"
	"ringside/sim"
	"ringside/vm/app"
	"ringside/vm/guest"
)

// A rig is two peers, each in place of the other's NIC: a device takes frames from
// one, gives them the time that they take on a wire, and hands them to the other.
type rig struct {
	t     testing.TB
	e     *sim.Engine
	a, b  *peer.Peer
	seen  []nic.WireFrame // every frame, in the order in which they were taken
	keep  bool
	sum   [sha256.Size]byte
	count int
	last  [2][]byte // what a peer gave out last: its own until the next Receive
}

const bps = 10e9

func newRig(t testing.TB, a, b peer.Config) *rig {
	r := &rig{t: t, e: sim.NewEngine(7), keep: true}
	for i, c := range []*peer.Config{&a, &b} {
		c.Engine, c.FirstID = r.e, uint64(i+1)<<32
		c.MAC = [6]byte{2, 0, 0, 0, 0, byte(i + 1)}
		c.Name = fmt.Sprint("peer", i)
		c.Addresses = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/24", i+1)), netip.MustParsePrefix(fmt.Sprintf("2001:db8::%d/64", i+1))}
		c.Log = func(at sim.Time, process, line string) { t.Logf("%v %s %s", at, process, line) }
	}
	var err error
	r.a, err = peer.New(a)
	require.NoError(t, err)
	r.b, err = peer.New(b)
	require.NoError(t, err)
	t.Cleanup(func() { r.a.Close(); r.b.Close() })
	r.join(r.a, r.b, 0)
	r.join(r.b, r.a, 1)
	return r
}

// A device is one direction.
type device struct {
	r        *rig
	from, to *peer.Peer
	i        int
	timer    *sim.Timer
	free     sim.Time
}

func (r *rig) join(from, to *peer.Peer, i int) {
	d := &device{r: r, from: from, to: to, i: i}
	d.timer = r.e.NewTimer("device", d)
	from.Plug(d)
	d.Arrive()
}

func (d *device) Arrive() { d.r.e.Arm(d.timer, d.r.e.Now()) }

func (d *device) Fire(sim.Time) {
	var f nic.WireFrame
	for d.from.Receive(&f) {
		if d.r.last[d.i] != nil {
			clear(d.r.last[d.i])
		}
		d.free = max(d.free, f.At) + sim.Time((max(len(f.Data), 60)+24)*8)*sim.Second/bps
		g := nic.WireFrame{ID: f.ID, At: d.free, Data: append([]byte(nil), f.Data...)}
		d.r.saw(g)
		d.to.Transmit(&g)
		clear(g.Data) // good during the call only
	}
}

func (r *rig) saw(f nic.WireFrame) {
	r.count++
	if !r.keep {
		return
	}
	h := sha256.New()
	h.Write(r.sum[:])
	binary.Write(h, binary.LittleEndian, [2]uint64{f.ID, uint64(f.At)})
	h.Write(f.Data)
	h.Sum(r.sum[:0])
	f.Data = append([]byte(nil), f.Data...)
	r.seen = append(r.seen, f)
}

func program(t testing.TB, name string, args map[string]string) []guest.Process {
	main, err := app.New(name, args)
	require.NoError(t, err)
	return []guest.Process{{Name: name, Main: main}}
}

func result(t testing.TB, p *peer.Peer, name string) guest.Result {
	for _, r := range p.Results() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no result %s in %v", name, p.Results())
	return guest.Result{}
}

func bulk(t testing.TB, bytes string, a, b peer.Config) *rig {
	a.Processes = program(t, "bulk-send", map[string]string{"to": "10.0.0.2:5001", "bytes": bytes})
	b.Processes = program(t, "bulk-recv", nil)
	r := newRig(t, a, b)
	require.NoError(t, r.e.RunToIdle())
	require.Equal(t, result(t, r.a, "sha256").Text, result(t, r.b, "sha256").Text)
	return r
}

var offloads = map[string]peer.Config{"plain": {}, "TSO": {TSO: true}, "GRO": {GRO: true}, "TSO and GRO": {TSO: true, GRO: true}}

func TestFramesOnTheWireAreWholeAndWithinTheMTU(t *testing.T) {
	for name, c := range offloads {
		t.Run(name, func(t *testing.T) {
			r := bulk(t, "1m", c, c)
			ids := map[uint64]bool{}
			for _, f := range r.seen {
				require.LessOrEqual(t, len(f.Data), 1514)
				v := offload.Verify([][]byte{f.Data})
				require.NotEqual(t, offload.Bad, v.IP)
				require.NotEqual(t, offload.Bad, v.L4)
				require.False(t, ids[f.ID], "id %d twice", f.ID)
				ids[f.ID] = true
			}
			require.EqualValues(t, r.count, r.a.Counts().Out+r.b.Counts().Out)
			require.Equal(t, r.a.Counts().Out, r.b.Counts().In)
			require.Equal(t, r.a.Counts().Out, r.a.Counts().Queued)
		})
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	first := bulk(t, "1m", peer.Config{TSO: true}, peer.Config{GRO: true})
	runtime.GC()
	second := bulk(t, "1m", peer.Config{TSO: true}, peer.Config{GRO: true})
	require.Equal(t, first.sum, second.sum)
	require.NotZero(t, first.count)
}

// A request leaves after the delay of a packet, takes the wire, waits for the delay
// that the other side takes to receive and the one that it takes to answer, and so
// on: 4 delays and 2 wires in all.
func TestPingTakesFourDelaysAndTwoWires(t *testing.T) {
	const delay = 3 * sim.Microsecond
	r := newRig(t, peer.Config{Delay: delay, Processes: program(t, "ping", map[string]string{"to": "10.0.0.2", "count": "3"})}, peer.Config{Delay: delay})
	require.NoError(t, r.e.RunToIdle())
	wire := sim.Time((14+20+8+56+24)*8) * sim.Second / bps
	want := (4*delay + 2*wire).Nanoseconds()
	require.Equal(t, want, result(t, r.a, "rtt-min").Value)
	require.EqualValues(t, 3, result(t, r.a, "received").Value)
}

// With a link that is faster than the peers, the sender is busy all the time: a delay
// for each frame that it sends, and for each acknowledgement that it gets.
func TestBulkTakesTheSendersDelays(t *testing.T) {
	const delay = 20 * sim.Microsecond
	r := bulk(t, "4m", peer.Config{Delay: delay}, peer.Config{Delay: delay / 2})
	c := r.a.Counts()
	require.GreaterOrEqual(t, c.OutBytes, uint64(4<<20))
	want := (sim.Time(c.Out+c.In) * delay).Nanoseconds()
	require.InEpsilon(t, want, result(t, r.a, "span").Value, 0.02)
}

func TestPeersHaveSomethingInTheirWay(t *testing.T) {
	for name, c := range map[string]peer.Config{
		"Config.Engine": {Name: "x"},
		"Config.Name":   {Engine: sim.NewEngine(1)},
		"negative":      {Engine: sim.NewEngine(1), Name: "x", Delay: -1},
	} {
		_, err := peer.New(c)
		require.ErrorContains(t, err, name)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := leaktest.Goroutines()
	r := newRig(t, peer.Config{Processes: program(t, "echo", nil)}, peer.Config{Processes: program(t, "http", nil)})
	require.NoError(t, r.e.RunToIdle())
	r.a.Close()
	r.b.Close()
	require.Equal(t, before, leaktest.Goroutines())
}

func BenchmarkBulk(b *testing.B) {
	for _, name := range []string{"plain", "TSO and GRO"} {
		b.Run(name, func(b *testing.B) {
			c := offloads[name]
			n := 0
			for b.Loop() {
				x, y := c, c
				x.Processes = program(b, "bulk-send", map[string]string{"to": "10.0.0.2:5001", "bytes": "64m", "plain": "on"})
				y.Processes = program(b, "bulk-recv", map[string]string{"plain": "on"})
				r := newRig(b, x, y)
				r.keep = false
				require.NoError(b, r.e.RunToIdle())
				n += r.count
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "frames/s")
			b.SetBytes(64 << 20)
		})
	}
}
