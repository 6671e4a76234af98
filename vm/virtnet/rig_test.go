package virtnet_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/mem"
	"ringside/netstack"
	"ringside/sim"
	"ringside/trace"
	"ringside/virtio"
	"ringside/vm/guest"
	"ringside/vm/virtnet"
)

// A rig is a host with a bridge and virtual machines on it, nothing else.
type rig struct {
	*kernel.Kernel
	t      testing.TB
	engine *sim.Engine
	memory *mem.Memory
	hash   *trace.Hash
	drops  cost.Drops
	vms    []*machine
	cfg    rigConfig
}

type rigConfig struct {
	seed   uint64
	cpus   int
	book   *cost.Book
	mtu    int
	off    virtio.Features // not offered
	queues int
	ring   uint16
	tap    int
}

type machine struct {
	vcpu   *kernel.VCPU
	dev    *kernel.VirtioNet
	driver *virtnet.Driver
	kernel *guest.Kernel
}

func newRig(t testing.TB, c rigConfig) *rig {
	t.Helper()
	if c.cpus == 0 {
		c.cpus = 4
	}
	if c.book == nil {
		c.book, _ = cost.Open("linux-xeon")
	}
	r := &rig{t: t, engine: sim.NewEngine(c.seed), memory: mem.New(64 << 20), hash: &trace.Hash{}, cfg: c}
	r.engine.OnFire(func(at sim.Time, seq uint64, id uint32) {
		r.hash.Add(trace.Record{At: at, Kind: trace.Event, Who: id, A: seq})
	})
	br, err := bridge.New(bridge.Config{Name: "br0"})
	require.NoError(t, err)
	r.Kernel, err = kernel.Boot(kernel.Config{
		Engine: r.engine, Memory: r.memory, Book: c.book, Hash: r.hash, Drops: &r.drops, Bridge: br, CPUs: c.cpus, TapQueue: c.tap,
	})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// address is that of machine i.
func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}) }

// add makes one more machine.
func (r *rig) add(processes ...guest.Process) *machine {
	r.t.Helper()
	i := len(r.vms)
	name := fmt.Sprintf("vm%d", i)
	m := &machine{}
	var err error
	m.vcpu, err = r.AddVCPU(kernel.VCPUConfig{Name: name, ID: int32(i), CPU: 2 * i % r.cfg.cpus})
	require.NoError(r.t, err)
	mac := [6]byte{2, 0, 0, 0, 0, byte(1 + i)}
	m.dev, err = r.AddVirtio(m.vcpu, kernel.VirtioConfig{
		VM: int32(i), At: kernel.Interface{Port: bridge.PortConfig{Name: fmt.Sprintf("tap%d", i)}, MTU: r.cfg.mtu}, MAC: mac,
		Queues: r.cfg.queues, RingSize: r.cfg.ring, CPU: (2*i + 1) % r.cfg.cpus, Features: kernel.OfferedFeatures &^ r.cfg.off,
	})
	require.NoError(r.t, err)
	m.driver, err = virtnet.New(virtnet.Config{CPU: m.vcpu, Device: m.dev})
	require.NoError(r.t, err)
	m.kernel, err = guest.New(guest.Config{
		Name: name, CPU: m.vcpu, Processes: processes,
		Chance: func(what string) netstack.Source { return r.engine.Source(what) },
		Interfaces: []guest.Interface{{
			NIC: m.driver, MAC: mac, MTU: r.cfg.mtu, Addresses: []netip.Prefix{netip.PrefixFrom(address(i), 24)},
		}},
	})
	require.NoError(r.t, err)
	require.NoError(r.t, m.vcpu.Start(m.kernel))
	r.vms = append(r.vms, m)
	return m
}

// run runs until every process has ended, and asks the oracles.
func (r *rig) run(limit sim.Time) {
	r.t.Helper()
	running := func() (n int) {
		for _, m := range r.vms {
			n += m.kernel.Running()
		}
		return n
	}
	for running() > 0 && r.engine.Now() < limit && r.engine.Step() {
	}
	require.NoError(r.t, r.engine.Err())
	require.Zero(r.t, running(), "processes run at %v", r.engine.Now())
	require.NoError(r.t, r.engine.RunUntil(r.Now()+sim.Second)) // what is on its way
	require.NoError(r.t, r.Check())
	require.NoError(r.t, r.CheckRest())
	f := r.Flow()
	require.Equal(r.t, f.Own+f.Cloned+f.Segmented, f.ToVMs+f.ToHost+f.Merged+r.drops.Total()+r.InFlight(), "%+v", f)
}
