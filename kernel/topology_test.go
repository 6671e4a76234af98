package kernel_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/kernel"
	"ringside/kernel/kerneltest"
)

func TestCPUsAreNumberedAsLinuxDoes(t *testing.T) {
	for name, row := range map[string]struct {
		topology kernel.Topology
		cpus     int
		nodes    []int
		cores    []int
	}{
		"plain":                  {kernel.Topology{}, 4, []int{0, 0, 0, 0}, []int{0, 1, 2, 3}},
		"two nodes":              {kernel.Topology{Nodes: 2}, 4, []int{0, 0, 1, 1}, []int{0, 1, 2, 3}},
		"two threads":            {kernel.Topology{Threads: 2}, 4, []int{0, 0, 0, 0}, []int{0, 1, 0, 1}},
		"two nodes, two threads": {kernel.Topology{Nodes: 2, Threads: 2}, 8, []int{0, 0, 1, 1, 0, 0, 1, 1}, []int{0, 1, 2, 3, 0, 1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, row.topology.Check(row.cpus))
			for cpu := range row.cpus {
				assert.Equal(t, row.nodes[cpu], row.topology.Node(cpu, row.cpus), "node of %d", cpu)
				assert.Equal(t, row.cores[cpu], row.topology.Core(cpu, row.cpus), "core of %d", cpu)
				s, ok := row.topology.Sibling(cpu, row.cpus)
				require.Equal(t, row.topology.Threads == 2, ok)
				if ok {
					back, _ := row.topology.Sibling(s, row.cpus)
					assert.Equal(t, cpu, back)
					assert.NotEqual(t, cpu, s)
					assert.Equal(t, row.cores[cpu], row.cores[s], "siblings share a core")
				}
			}
		})
	}
}

func TestTopologiesThatCannotBe(t *testing.T) {
	for name, row := range map[string]struct {
		cfg  kerneltest.Config
		says string
	}{
		"three CPUs on two nodes":   {kerneltest.Config{CPUs: 3, Topology: kernel.Topology{Nodes: 2}}, "multiple of 2"},
		"four threads":              {kerneltest.Config{CPUs: 4, Topology: kernel.Topology{Threads: 4}}, "1 or 2"},
		"a negative node":           {kerneltest.Config{CPUs: 4, Topology: kernel.Topology{Nodes: -1}}, "Topology.Nodes is -1"},
		"a NIC on no node":          {kerneltest.Config{CPUs: 4, NIC: kernel.NICConfig{Node: 1}}, "on node 1"},
		"a vector to nobody":        {kerneltest.Config{CPUs: 4, NIC: kernel.NICConfig{IRQAffinity: []kernel.CPUSet{0}}}, "no CPU"},
		"a vector to CPU 4 of 4":    {kerneltest.Config{CPUs: 4, NIC: kernel.NICConfig{IRQAffinity: []kernel.CPUSet{1 << 4}}}, "CPU 4"},
		"all isolated":              {kerneltest.Config{CPUs: 2, Sched: kernel.Sched{Isolated: 3}}, "all 2 CPUs"},
		"isolated beyond":           {kerneltest.Config{CPUs: 2, Sched: kernel.Sched{Isolated: 4}}, "names CPU 2"},
		"tasks that move among 65":  {kerneltest.Config{CPUs: 65, Sched: kernel.Sched{Balance: true}}, "up to 64"},
		"a working set of a MiB":    {kerneltest.Config{CPUs: 2, Sched: kernel.Sched{WorkingSet: 1 << 20}}, "WorkingSet"},
		"RFS of three flows":        {kerneltest.Config{CPUs: 2, Batching: kernel.Batching{RFS: 3}}, "powers of two"},
		"queues' flows without RFS": {kerneltest.Config{CPUs: 2, Batching: kernel.Batching{RFSFlows: 4}}, "without RFS"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kerneltest.Boot(row.cfg)
			require.ErrorContains(t, err, row.says)
		})
	}
}

func FuzzCPUListsReadAsTheyAreWritten(f *testing.F) {
	for _, s := range []string{"", "0", "0-3,8", "63", "1,3,5-6", "0-63", "3-1", "64", "-", "1-", ",", "00", "+1", "1-2-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		s, err := kernel.ParseCPUs(list)
		if err != nil {
			return
		}
		again, err := kernel.ParseCPUs(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again, "%q is written %q", list, s)
		n := 0
		for cpu := range 64 {
			if s.Has(cpu) {
				n++
			}
		}
		require.Equal(t, s.Len(), n)
		require.False(t, s.Has(64) || s.Has(-1))
	})
}

// A vector goes to the CPU of its mask with the fewest vectors.
func TestVectorsGoWhereTheirMasksLetThem(t *testing.T) {
	for name, row := range map[string]struct {
		masks []kernel.CPUSet
		want  []int
	}{
		"no masks":              {nil, []int{0, 1, 2, 3}},
		"all to one":            {[]kernel.CPUSet{1 << 2}, []int{2, 2, 2, 2}},
		"spread over two":       {[]kernel.CPUSet{1<<1 | 1<<3}, []int{1, 3, 1, 3}},
		"one each":              {[]kernel.CPUSet{1 << 3, 1 << 2, 1 << 1, 1 << 0}, []int{3, 2, 1, 0}},
		"the last for the rest": {[]kernel.CPUSet{1 << 0, 1<<0 | 1<<1}, []int{0, 1, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 4, NIC: kernel.NICConfig{Queues: 4, IRQAffinity: row.masks}})
			for i, cpu := range row.want {
				assert.Equal(t, cpu, r.Napi(i).CPU(), "vector %d", i)
			}
		})
	}
}
