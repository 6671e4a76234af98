package ringside_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/internal/gate"
	"ringside/load"
	"ringside/sim"
	"ringside/vm"
)

// crowded is a machine whose guests have fewer CPUs than they would like.
func crowded(path ringside.Path) ringside.Config {
	return ringside.Config{
		Seed: 7, CPUs: 4, Path: path, Queues: 2, NICNode: 1,
		Topology: ringside.Topology{Nodes: 2, Threads: 2},
		Sched:    ringside.Sched{Balance: true, Preempt: true},
		Batching: ringside.Batching{RFS: 1024},
	}
}

// flood runs 6 guests of which each takes 3 us for a frame, under a bursty load of
// many flows.
func flood(t *testing.T, cfg ringside.Config) *ringside.Trial {
	t.Helper()
	spec, err := load.Parse("64@900kpps,flows=60,burst=40")
	require.NoError(t, err)
	tr, err := ringside.Load{Spec: spec, VMs: 6, Work: 3 * sim.Microsecond, For: 10 * sim.Millisecond}.Run(cfg, (*ringside.Host).Check)
	require.NoError(t, err)
	return tr
}

// Tasks that move between threads, cores and nodes are a function of the Config, lose
// no frame without a reason and keep every flow in order.
func TestMovingTasksAreTheSameBytesAndKeepOrder(t *testing.T) {
	for _, path := range []ringside.Path{ringside.Native, ringside.Vhost} {
		t.Run(path.String(), func(t *testing.T) {
			quiet := flood(t, crowded(path))
			stop := gate.Disturb()
			noisy := flood(t, crowded(path))
			stop()
			assert.Equal(t, quiet.Report.TraceHash, noisy.Report.TraceHash)
			assert.Equal(t, quiet.Report.Sched, noisy.Report.Sched)
			assert.Zero(t, quiet.Frames.Reordered)
			assert.Zero(t, quiet.Frames.Doubled)
			assert.True(t, quiet.Report.Conservation.Balanced)

			s := quiet.Report.Sched
			require.NotNil(t, s)
			assert.Positive(t, s.Migrations)
			assert.Positive(t, s.ColdLines)
			assert.Positive(t, s.FarLines)
			assert.Positive(t, s.FarBytes)
			assert.Positive(t, s.Shared)
			require.Len(t, s.CPUs, 4)
			assert.Equal(t, 1, s.CPUs[3].Node)
			moves := uint64(0)
			for _, task := range s.Tasks {
				moves += task.Migrations
			}
			assert.Equal(t, s.Migrations, moves, "each is some task's")
		})
	}
}

// What pins a guest keeps it there while others move; isolated CPUs stay free.
func TestPinsAndIsolatedCPUsHold(t *testing.T) {
	cfg := ringside.Config{CPUs: 6, VMs: make([]ringside.VM, 6), Sched: ringside.Sched{Balance: true, Isolated: 1<<4 | 1<<5}}
	pin := 5
	cfg.VMs[0].CPU = &pin
	cfg.VMs[1].Allowed = 1<<1 | 1<<2
	s := flood(t, cfg).Report.Sched
	require.NotNil(t, s)
	for _, task := range s.Tasks {
		switch task.Name {
		case "vm0":
			assert.Equal(t, 5, task.CPU)
			assert.Zero(t, task.Migrations)
		case "vm1":
			assert.Contains(t, []int{1, 2}, task.CPU)
			assert.Equal(t, "1-2", task.Allowed.String())
		default:
			assert.Equal(t, "0-3", task.Allowed.String())
			assert.Less(t, task.CPU, 4)
		}
	}
	assert.Zero(t, s.CPUs[4].Utilization, "nobody is pinned to CPU 4")
}

// A machine that asks for nothing of it says nothing of it.
func TestPinnedMachinesHaveNoSchedReport(t *testing.T) {
	assert.Nil(t, flood(t, ringside.Config{}).Report.Sched)
}

func TestSchedulersThatCannotBe(t *testing.T) {
	node := 3
	for says, cfg := range map[string]ringside.Config{
		"multiple of 4":  {CPUs: 6, Topology: ringside.Topology{Nodes: 2, Threads: 2}},
		"on node 1":      {NICNode: 1},
		"may run on CPU": {CPUs: 2, VMs: []ringside.VM{{Program: vm.Sink, Allowed: 1 << 9}}, Sched: ringside.Sched{Balance: true}},
		"on node 3":      {CPUs: 2, VMs: []ringside.VM{{Program: vm.Sink, Node: &node}}},
		"names CPU 9":    {CPUs: 2, Sched: ringside.Sched{Isolated: 1 << 9}},
	} {
		_, err := ringside.New(cfg)
		assert.ErrorContains(t, err, says, fmt.Sprint(cfg.Topology))
	}
}
