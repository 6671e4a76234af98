package dpdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/dpdk"
	"ringside/kernel"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/vswitch"
)

// A wire plays frames at given times, and keeps when and what came back.
type wire struct {
	at   []sim.Time
	size func(i int) int
	next int
	dst  byte // last byte of the destination
	out  []nic.WireFrame
	keep bool
	sent int
	last sim.Time
	buf  [2048]byte
}

func (w *wire) Receive(f *nic.WireFrame) bool {
	if w.next == len(w.at) {
		return false
	}
	n := 60
	if w.size != nil {
		n = w.size(w.next)
	}
	b := w.buf[:n]
	copy(b, []byte{2, 0, 0, 0, 0, w.dst, 2, 1, 1, 1, 1, 1, 0x88, 0xb5, byte(w.next >> 8), byte(w.next)})
	*f = nic.WireFrame{ID: uint64(w.next), At: w.at[w.next], Data: b}
	w.next++
	return true
}

func (w *wire) Transmit(f *nic.WireFrame) {
	w.sent++
	w.last = f.At
	if w.keep {
		w.out = append(w.out, nic.WireFrame{ID: f.ID, At: f.At, Data: append([]byte(nil), f.Data...)})
	}
}

// everyGap is n moments with a gap between.
func everyGap(n int, gap sim.Time) (at []sim.Time) {
	for i := range n {
		at = append(at, sim.Time(i)*gap)
	}
	return at
}

// A rig is a core that forwards between NICs.
type rig struct {
	*testing.T
	eng   *sim.Engine
	k     *kernel.Kernel
	core  *kernel.Core
	sw    *vswitch.Switch
	pool  *vswitch.Pool
	nics  []*nic.NIC
	drops cost.Drops
	hash  trace.Hash
	every bool // every round is run
	polls int
}

func (r *rig) Poll(*kernel.Core) bool {
	r.polls++
	return r.sw.Poll()
}

func (r *rig) Next() sim.Time {
	at := r.sw.Next()
	if r.every && at != sim.Never {
		return 0 // the next round may find something: it is run
	}
	return at
}
func (r *rig) InFlight() uint64  { return r.sw.InFlight() }
func (r *rig) Check() error      { return r.sw.Check() }
func (r *rig) Stalled() []string { return r.sw.Stalled() }

type silent struct{ t *testing.T }

func (s silent) Interrupt(int, sim.Time) { s.t.Error("an interrupt") }

type config struct {
	book   string
	drv    dpdk.Config
	burst  int
	bridge bool
	every  bool
	bps    uint64
	wires  []*wire
}

func newRig(t *testing.T, c config) *rig {
	t.Helper()
	if c.book == "" {
		c.book = "linux-xeon"
	}
	if c.bps == 0 {
		c.bps = 10e9
	}
	book, err := cost.Open(c.book)
	require.NoError(t, err)
	r := &rig{T: t, eng: sim.NewEngine(1), every: c.every}
	ram := mem.New(64 << 20)
	br, err := bridge.New(bridge.Config{Name: "br0", MAC: bridge.MAC{2, 0, 0, 0, 0, 0xfe}})
	require.NoError(t, err)
	r.k, err = kernel.Boot(kernel.Config{Engine: r.eng, Memory: ram, Book: book, Hash: &r.hash, Drops: &r.drops, Bridge: br})
	require.NoError(t, err)
	r.core, err = r.k.AddPoller(kernel.PollerConfig{}, r)
	require.NoError(t, err)
	r.pool, err = vswitch.NewPool(ram, len(c.wires)*c.drv.Buffers()+1024)
	require.NoError(t, err)
	sc := vswitch.Config{Core: r.core, Burst: c.burst, Pool: r.pool}
	if c.bridge {
		sc.Bridge = br
	}
	r.sw, err = vswitch.New(sc)
	require.NoError(t, err)
	for i, w := range c.wires {
		name := string(rune('a' + i))
		dev, err := nic.New(nic.Config{
			Name: name, Engine: r.eng, Memory: ram, Account: cost.NewAccount(name, book, true), Drops: &r.drops,
			Hash: &r.hash, Wire: w, IRQ: silent{t}, MAC: [6]byte{2, 0, 0, 0, 0, 0xf0 + byte(i)}, LinkBPS: c.bps,
		})
		require.NoError(t, err)
		r.nics = append(r.nics, dev)
		drv := c.drv
		drv.NIC, drv.Memory, drv.Pool = dev, ram, r.pool
		d, err := dpdk.Open(drv)
		require.NoError(t, err)
		at := kernel.Interface{Alone: !c.bridge, Port: bridge.PortConfig{Name: name}}
		u, err := r.core.AddUserPort(at, -1, false, vswitch.DataRoom)
		require.NoError(t, err)
		p, err := d.Port(r.core, 0, u.Index())
		require.NoError(t, err)
		require.NoError(t, r.sw.AddPort(p, vswitch.At{Index: u.Index(), Port: u.Port(), Wire: true}))
	}
	return r
}

// run runs to the end, after which everything is accounted for.
func (r *rig) run() {
	r.Helper()
	require.NoError(r, r.eng.RunToIdle())
	require.NoError(r, r.k.CheckRest())
	require.NoError(r, r.k.Check())
	in, sent := uint64(0), uint64(0)
	for _, n := range r.nics {
		st := n.Counts()
		in, sent = in+st.In, sent+st.Sent
	}
	require.Equal(r, in+r.k.Flow().Cloned, sent+r.drops.Total()+r.k.InFlight())
}
