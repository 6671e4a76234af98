package kernel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// bare is a kernel without a NIC, with one tap that is open: a writer on CPU 0, a
// reader on CPU 1, each with a clock of its own.
type bare struct {
	*Kernel
	t      *testing.T
	drops  cost.Drops
	tap    *tap
	reader *task
}

// newBare makes one with a ring of that size. The reader runs program when the
// engine is let go; a test that does not do that acts for it.
func newBare(t *testing.T, size int, program func(*syscall.Task) error) *bare {
	t.Helper()
	b := &bare{t: t}
	br, err := bridge.New(bridge.Config{})
	require.NoError(t, err)
	b.Kernel, err = Boot(Config{
		Engine: sim.NewEngine(1), Memory: mem.New(4 << 20), Book: cost.Unit(), Hash: &trace.Hash{},
		Drops: &b.drops, Bridge: br, CPUs: 3, TapQueue: size,
	})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	_, err = b.AddTap("tap0", 0)
	require.NoError(t, err)
	b.tap = b.taps["tap0"]
	require.NoError(t, b.Spawn(Process{Name: "reader", CPU: 1, Memory: mem.New(mem.PageSize), Inherit: []string{"/dev/tap0"}, Program: program}))
	b.reader = b.tasks[0]
	return b
}

// put has CPU c put a frame on the tap at the time at and says what became of it:
// "ok" or why it was dropped.
func (b *bare) put(c int, at sim.Time, id uint64) string {
	before := b.drops
	cpu := b.cpus[c]
	cpu.clock.Begin(at)
	s, err := b.allocSKB(60)
	require.NoError(b.t, err)
	s.id, s.data[0] = id, byte(id)
	b.tap.xmit(cpu, []*skb{s})
	for r, n := range b.drops[cost.Tap] {
		if n != before[cost.Tap][r] {
			return cost.DropReason(r).String()
		}
	}
	return "ok"
}

// get has the reader look at the time at and returns the id of what it got, or
// "none".
func (b *bare) get(at sim.Time) string {
	b.cpus[1].clock.Begin(at)
	n, errno := b.tap.Read(b.reader.Task, []syscall.Segment{{Addr: 0, Len: 60}})
	if errno == syscall.EAGAIN {
		return "none"
	}
	require.Equal(b.t, syscall.OK, errno)
	require.Equal(b.t, 60, n)
	return fmt.Sprint(b.reader.Memory().Bytes(0, 1)[0])
}

// at has f called by the engine at that time.
func (b *bare) at(at sim.Time, f func(now sim.Time)) {
	b.eng.Arm(b.eng.NewTimer("test", sim.HandlerFunc(f)), at)
}

// A row is what two sides do, each in the order of its own time: "put T" and "get
// T" at T microseconds, "put2 T" by another CPU, and behind the "=" what comes of
// it. Frames are numbered as they are put, from 1. An operation takes some
// nanoseconds.
func TestTapRing(t *testing.T) {
	for name, row := range map[string]struct {
		size int
		does string
	}{
		"empty":                  {4, "get 0=none, get 10=none"},
		"one frame":              {4, "put 1=ok, get 2=1, get 3=none"},
		"in order":               {4, "put 1=ok, put 2=ok, put 3=ok, get 9=1, get 9=2, get 9=3, get 9=none"},
		"as many as it has room": {2, "put 1=ok, put 2=ok, get 3=1, get 3=2"},
		"full":                   {2, "put 1=ok, put 2=ok, put 3=FULL_RING, put 4=FULL_RING, get 5=1, get 5=2, get 5=none"},
		"one free again":         {2, "put 1=ok, put 2=ok, get 3=1, put 4=ok, put 4=FULL_RING, get 5=2, get 5=3, get 5=none"},
		"a ring of one":          {1, "put 1=ok, put 2=FULL_RING, get 3=1, put 4=ok, put 4=FULL_RING, get 5=3"},
		"round and round": {3, "put 1=ok, put 1=ok, get 2=1, put 3=ok, get 4=2, put 5=ok, get 6=3, put 7=ok, get 8=4, put 9=ok, get 10=5, " +
			"put 11=ok, put 11=ok, put 11=FULL_RING, get 12=6, get 12=7, get 12=8, get 12=none"},

		"a reader that is earlier does not see the frame": {4, "put 100=ok, get 50=none, get 99=none, get 101=1"},
		"nor the second": {4, "put 10=ok, put 20=ok, get 15=1, get 16=none, get 21=2"},
		"a writer that is earlier finds the slot still full":       {1, "put 1=ok, get 100=1, put 50=FULL_RING, put 99=FULL_RING, put 101=ok, get 102=4"},
		"but not the slots that were free before":                  {2, "put 1=ok, get 100=1, put 50=ok, put 51=FULL_RING, get 101=2"},
		"slots are free from the time they were emptied":           {2, "put 1=ok, put 1=ok, get 10=1, get 20=2, put 11=ok, put 12=FULL_RING, put 21=ok, get 30=3, get 30=5"},
		"a later frame does not hide an earlier one behind":        {4, "put 1=ok, put2 2=ok, get 3=1, get 3=2"},
		"an earlier frame behind a later one waits: it is a queue": {4, "put 100=ok, put2 10=ok, get 50=none, get 101=1, get 101=2"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBare(t, row.size, func(*syscall.Task) error { return nil })
			id := uint64(0)
			for i, op := range strings.Split(row.does, ", ") {
				call, want, _ := strings.Cut(op, "=")
				verb, when, _ := strings.Cut(call, " ")
				var us int
				fmt.Sscan(when, &us)
				var have string
				switch at := sim.Time(us) * sim.Microsecond; verb {
				case "get":
					have = b.get(at)
				case "put":
					id++
					have = b.put(0, at, id)
				case "put2":
					id++
					have = b.put(2, at, id)
				}
				require.Equal(t, want, have, "step %d of %q: %s", i+1, row.does, call)
				require.NoError(t, b.Check())
			}
		})
	}
}

// Every ring, whatever its size, holds exactly that many, from any slot on.
func TestTapRingHoldsItsSizeFromAnySlot(t *testing.T) {
	for size := 1; size <= 5; size++ {
		for first := range size {
			b := newBare(t, size, func(*syscall.Task) error { return nil })
			at := sim.Microsecond
			for range first {
				b.put(0, at, 1)
				b.get(at + sim.Microsecond)
				at += 2 * sim.Microsecond
			}
			for i := range size {
				require.Equal(t, "ok", b.put(0, at, uint64(i+1)))
			}
			require.Equal(t, "FULL_RING", b.put(0, at, 99))
			for i := range size {
				require.Equal(t, fmt.Sprint(i+1), b.get(at+sim.Microsecond))
			}
			require.Equal(t, "none", b.get(at+sim.Microsecond))
		}
	}
}

func TestTheDefaultRingIsLinuxs(t *testing.T) {
	b := newBare(t, 0, func(*syscall.Task) error { return nil })
	for i := range 1000 {
		require.Equal(t, "ok", b.put(0, sim.Microsecond, uint64(i)))
	}
	require.Equal(t, "FULL_RING", b.put(0, sim.Microsecond, 1))
}

// A tap costs nothing until a frame comes: a thousand of them are cheap.
func TestATapHasNoRingUntilItIsNeeded(t *testing.T) {
	b := newBare(t, 0, func(*syscall.Task) error { return nil })
	assert.Equal(t, "none", b.get(sim.Microsecond))
	assert.Zero(t, b.tap.Ready(b.reader.Task, syscall.PollIn))
	assert.Nil(t, b.tap.ring)
	assert.Zero(t, b.tap.queued())
	b.tap.Release(b.reader.Task)
	assert.Nil(t, b.tap.ring)
}

// Who reads is woken once by whoever finds it asleep, and by nobody else.
func TestAReaderIsWokenOnlyWhenItSleeps(t *testing.T) {
	var got []sim.Time
	b := newBare(t, 8, func(t *syscall.Task) error {
		for {
			if _, errno := t.Read(0, 0, 60); errno != syscall.OK {
				return errno
			}
			got = append(got, t.Now())
			t.Compute(10 * sim.Microsecond)
		}
	})
	var wakes []uint64                                         // after each
	for i, at := range []sim.Time{0, 1000, 1000, 1005, 1500} { // asleep for the second and the last
		b.at(at*sim.Microsecond, func(now sim.Time) {
			b.put(0, now, uint64(i))
			wakes = append(wakes, b.cpus[0].acct.Line(cost.SockDefReadable).Count)
		})
	}
	require.NoError(t, b.eng.RunToIdle())
	assert.Equal(t, []uint64{0, 1, 1, 1, 2}, wakes)
	assert.Len(t, got, 5)
}

// A CPU that was ahead when the reader fell asleep would have found it sleeping:
// it pays, and the reader wakes at the frame's time, not before.
func TestAReaderSleepsUntilTheTimeOfAFrameThatIsAhead(t *testing.T) {
	var at sim.Time
	b := newBare(t, 8, func(t *syscall.Task) error {
		_, errno := t.Read(0, 0, 60)
		at = t.Now()
		return errno.Err()
	})
	b.put(0, 50*sim.Microsecond, 1)
	require.NoError(t, b.eng.RunToIdle())
	assert.EqualValues(t, 1, b.cpus[0].acct.Line(cost.SockDefReadable).Count)
	assert.Greater(t, at, 50*sim.Microsecond)
	assert.Less(t, at, 51*sim.Microsecond)
}

func TestPollTimesOutBeforeAFrameThatIsAhead(t *testing.T) {
	b := newBare(t, 8, func(t *syscall.Task) error {
		for range 3 {
			from := t.Now()
			if have, _ := t.Poll(0, syscall.PollIn, 10*sim.Microsecond); have != 0 {
				return fmt.Errorf("events %#x after %v", have, t.Now()-from)
			}
			if took := t.Now() - from; took > 11*sim.Microsecond {
				return fmt.Errorf("timed out after %v", took)
			}
		}
		if have, _ := t.Poll(0, syscall.PollIn, 100*sim.Microsecond); have != syscall.PollIn {
			return fmt.Errorf("events %#x at %v", have, t.Now())
		}
		if t.Now() > 51*sim.Microsecond {
			return fmt.Errorf("woke up at %v", t.Now())
		}
		return nil
	})
	b.put(0, 50*sim.Microsecond, 1)
	require.NoError(t, b.eng.RunToIdle())
	assert.EqualValues(t, 1, b.cpus[0].acct.Line(cost.SockDefReadable).Count, "found asleep once")
}

// Nor does a CPU that is ahead pay for waking one whose timeout comes first.
func TestNobodyIsWokenAfterATimeout(t *testing.T) {
	var took sim.Time
	b := newBare(t, 8, func(t *syscall.Task) error {
		from := t.Now()
		if have, _ := t.Poll(0, syscall.PollIn, 10*sim.Microsecond); have != 0 {
			return fmt.Errorf("events %#x at %v", have, t.Now())
		}
		took = t.Now() - from
		return nil
	})
	b.at(5*sim.Microsecond, func(sim.Time) { b.put(0, 15*sim.Microsecond, 1) })
	require.NoError(t, b.eng.RunToIdle())
	assert.Less(t, took, 11*sim.Microsecond)
	assert.Zero(t, b.cpus[0].acct.Line(cost.SockDefReadable).Count)
}
