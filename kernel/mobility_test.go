package kernel_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// A soup is tasks with random masks that compute, sleep, poll and read.
type soup struct {
	*kerneltest.Rig
	allowed map[string]kernel.CPUSet // by name
	wrong   []string
	ended   int
	ran     map[string]sim.Time // what each task saw last
}

// schedules watches where tasks are switched to.
func (s *soup) schedules(st trace.Step) {
	if st.Step != cost.Schedule || s.allowed[st.Note] == 0 {
		return
	}
	if !s.allowed[st.Note].Has(int(st.CPU)) {
		s.wrong = append(s.wrong, fmt.Sprintf("%s runs on CPU %d, and may on %v", st.Note, st.CPU, s.allowed[st.Note]))
	}
}

// cook makes a soup of what a random source says.
func cook(t *testing.T, rnd *rand.Rand) *soup {
	t.Helper()
	topology := kernel.Topology{Nodes: 1 + rnd.IntN(2), Threads: 1 + rnd.IntN(2)}
	cpus := topology.Fill(1 + rnd.IntN(8))
	s := &soup{allowed: map[string]kernel.CPUSet{}, ran: map[string]sim.Time{}}
	tasks := 1 + rnd.IntN(8)
	s.Rig = kerneltest.New(t, kerneltest.Config{
		CPUs: cpus, Taps: tasks, Topology: topology,
		Sched:    kernel.Sched{Balance: rnd.IntN(4) > 0, Preempt: rnd.IntN(2) == 0},
		Batching: kernel.Batching{Threaded: rnd.IntN(4) == 0, RFS: 64 * rnd.IntN(2)},
		NIC:      kernel.NICConfig{Node: topology.Nodes - 1, Queues: 1 + rnd.IntN(2)},
		Sink:     watch{step: s.schedules},
	})
	for i := range tasks {
		name := fmt.Sprint("task", i)
		allowed := kernel.CPUSet(rnd.Uint64()) & kernel.FirstCPUs(cpus)
		if allowed == 0 {
			allowed = kernel.OneCPU(rnd.IntN(cpus))
		}
		s.allowed[name] = allowed
		require.NoError(t, s.Spawn(kernel.Process{
			Name: name, CPU: rnd.IntN(cpus), Allowed: allowed, Memory: mem.New(64 << 10),
			Inherit: []string{fmt.Sprint("/dev/tap", i)}, Program: s.program(name, rnd.Uint64(), 20+rnd.IntN(60)),
		}))
	}
	for range rnd.IntN(200) {
		s.Play(sim.Time(rnd.IntN(20_000))*sim.Microsecond/1000, to(rnd.IntN(tasks), 1, 60+rnd.IntN(1400))...)
	}
	return s
}

// program does so many random calls and ends; its time never goes back.
func (s *soup) program(name string, seed uint64, calls int) func(*syscall.Task) error {
	rnd := rand.New(rand.NewPCG(seed, 0))
	return func(t *syscall.Task) error {
		for range calls {
			switch rnd.IntN(5) {
			case 0:
				t.Compute(sim.Time(rnd.IntN(2000)) * sim.Microsecond)
			case 1:
				t.Nanosleep(sim.Time(rnd.IntN(500)) * sim.Microsecond)
			case 2:
				t.Poll(0, syscall.PollIn, sim.Time(rnd.IntN(100))*sim.Microsecond)
			case 3:
				if have, _ := t.Poll(0, syscall.PollIn, 0); have != 0 {
					t.Read(0, 0, 2048)
				}
			case 4:
				copy(t.Memory().Bytes(0, 60), kerneltest.Frame(kerneltest.Station(rnd.IntN(8)), kerneltest.Station(7), 60, 1))
				t.Write(0, 0, 60)
			}
			if now := t.Now(); now < s.ran[name] {
				s.wrong = append(s.wrong, fmt.Sprintf("%s: time goes from %v back to %v", name, s.ran[name], now))
			} else {
				s.ran[name] = now
			}
		}
		s.ended++
		return nil
	}
}

// eat runs the soup to its end and checks what must hold of any: a task is in one place
// at any time, runs where it may, its time goes on, and each comes to its end.
func (s *soup) eat(t *testing.T) {
	t.Helper()
	for s.Engine.Now() < 10*sim.Second && s.Engine.Step() {
		require.NoError(t, s.Check(), "at %v", s.Engine.Now())
	}
	require.NoError(t, s.Run())
	require.Empty(t, s.wrong)
	require.Equal(t, len(s.allowed), s.ended, "tasks that came to their end: a wake-up was lost")
}

func TestTasksRunWhereTheyMayAndAllOfThemEnd(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { cook(t, rand.New(rand.NewPCG(seed, 1))).eat(t) })
	}
}

func FuzzTasksThatMove(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, seed*7)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		cook(t, rand.New(rand.NewPCG(a, b))).eat(t)
	})
}

// The same soup has the same hash.
func TestASoupTastesTheSameTwice(t *testing.T) {
	for seed := range uint64(6) {
		var hash string
		for range 2 {
			s := cook(t, rand.New(rand.NewPCG(seed, 2)))
			s.eat(t)
			if hash == "" {
				hash = s.Hash.String()
			}
			assert.Equal(t, hash, s.Hash.String())
		}
	}
}

// crowd has so many tasks compute for 120 ms each, and says when each came to its end.
func crowd(t *testing.T, tasks int, c kerneltest.Config) (r *kerneltest.Rig, ends []sim.Time) {
	t.Helper()
	c.Taps = tasks
	r = kerneltest.New(t, c)
	for i := range tasks {
		require.NoError(t, r.Spawn(kernel.Process{
			Name: fmt.Sprint("task", i), CPU: 0, Memory: mem.New(64), Inherit: []string{fmt.Sprint("/dev/tap", i)},
			Program: func(t *syscall.Task) error {
				t.Compute(120 * sim.Millisecond)
				ends = append(ends, t.Now())
				return nil
			},
		}))
	}
	require.NoError(t, r.Run())
	return r, ends
}

// Tasks that all begin on one CPU spread over all that there are, and nobody starves.
func TestTasksThatMaySpreadOut(t *testing.T) {
	for _, preempt := range []bool{false, true} {
		for _, tasks := range []int{1, 2, 3, 4, 5, 7, 12} {
			_, ends := crowd(t, tasks, kerneltest.Config{CPUs: 4, Sched: kernel.Sched{Balance: true, Preempt: preempt}})
			require.Len(t, ends, tasks)
			whole := 120 * sim.Millisecond * sim.Time(max(tasks, 4)) / 4
			most := 120 * sim.Millisecond * sim.Time((tasks+3)/4)
			assert.GreaterOrEqual(t, ends[tasks-1], whole*99/100)
			assert.Less(t, ends[tasks-1], most+most/10+20*sim.Millisecond, "%d tasks on 4 CPUs", tasks)
		}
	}
}

func TestPinnedTasksStay(t *testing.T) {
	r, ends := crowd(t, 4, kerneltest.Config{CPUs: 4})
	assert.InDelta(t, float64(480*sim.Millisecond), float64(ends[3]), float64(5*sim.Millisecond), "all on CPU 0, one after the other")
	assert.Zero(t, r.Migrations())
}

// A woken task need not wait for a slice to end when the other has had its share.
func TestWakeUpPreemptionShortensTheWait(t *testing.T) {
	waits := func(preempt bool) (worst sim.Time) {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 2, Sched: kernel.Sched{Preempt: preempt}})
		start(t, r, 1, func(t *syscall.Task) error {
			t.Compute(100 * sim.Millisecond)
			return nil
		}, "tap0")
		start(t, r, 1, func(t *syscall.Task) error {
			for range 15 {
				due := t.Now() + 5*sim.Millisecond
				t.Nanosleep(5 * sim.Millisecond)
				worst = max(worst, t.Now()-due)
			}
			return nil
		}, "tap1")
		require.NoError(t, r.Run())
		return worst
	}
	off, on := waits(false), waits(true)
	assert.Greater(t, off, sim.Millisecond, "the other's slice is 3 ms")
	assert.Less(t, on, 10*sim.Microsecond)
}
