package journey_test

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/internal/journey"
	"ringside/sim"
	"ringside/trace"
	"ringside/vm"
)

const dir = "../../testdata/"

// everyone lets many watchers see one run, and counts the polls that found no
// frame: a cause that was latched while a poll went on interrupts again when that
// is over.
type everyone struct {
	w       map[uint64]*journey.Watcher
	found   map[int32]int // by queue: frames of its present poll
	queue   map[int32]int32
	forNone int64
}

func (e *everyone) Frame(f *trace.Frame) {
	if f.Point == trace.Driver && !f.Tx {
		e.found[f.Queue]++
	}
	for _, w := range e.w {
		w.Frame(f)
	}
}

func (e *everyone) Step(s trace.Step) {
	if s.ID != 0 {
		e.w[s.ID].Step(s)
		return
	}
	switch s.Step {
	case cost.IgbPoll:
		var q int32
		fmt.Sscanf(s.Note, "queue %d", &q)
		e.queue[s.CPU], e.found[q] = q, 0
	case cost.NapiCompleteDone:
		if e.found[e.queue[s.CPU]] == 0 {
			e.forNone++
		}
	}
	for _, w := range e.w {
		w.Step(s)
	}
}

func (e *everyone) Watching(id uint64) bool { return e.w[id] != nil }

func watch(t *testing.T, r ringside.Replay, cfg ringside.Config, ids ...uint64) (*everyone, *ringside.Report) {
	t.Helper()
	e := &everyone{w: map[uint64]*journey.Watcher{}, found: map[int32]int{}, queue: map[int32]int32{}}
	for _, id := range ids {
		e.w[id] = journey.Watch(id)
	}
	cfg.Sink = e
	cfg.Seed = 1
	rep, err := r.Run(cfg, nil)
	require.NoError(t, err)
	return e, rep
}

// The journey of the only frame of a run is the bill, but for what was done for
// no frame.
func TestOneFramesJourneyIsTheBill(t *testing.T) {
	for _, book := range cost.Books() {
		b, err := cost.Open(book)
		require.NoError(t, err)
		e, rep := watch(t, ringside.Replay{Files: []string{dir + "udp-flood.pcap"}, Limit: 1, VMs: 1}, ringside.Config{Book: b}, 1)
		j := e.w[1].Journey(b)
		require.NotNil(t, j)

		var got, want [cost.NumOps]uint64
		for _, s := range j.Steps {
			assert.LessOrEqual(t, s.Shared, uint64(1), "%v: nobody is there to share it", s.Step)
			for _, u := range s.Step.Uses() {
				got[u.Op] += s.Count * uint64(u.N)
			}
		}
		for o := range want {
			want[o] = rep.Bill.Count(cost.Op(o))
		}
		// Done for no frame: the guest was switched to when it began, and after
		// the frame it went back into a read that found nothing.
		// A guest that was still busy beginning when the frame came had one switch
		// for both.
		want[cost.ContextSwitch] -= rep.Bill.Count(cost.Wakeup)
		want[cost.SyscallEnter]--
		want[cost.Call]--
		want[cost.IndirectCall]--
		for o := range want {
			assert.Equal(t, want[o], got[o], "%s: %v", book, cost.Op(o))
		}
		_, copied := rep.Bill.Copied()
		assert.Equal(t, uint64(60), copied)
	}
}

// What no frame's journey has: guests that begin, and that wait when the run
// ends; and interrupts whose poll found nothing.
var (
	forNobody = map[cost.Step]bool{cost.Schedule: true, cost.SysEnter: true, cost.TunChrReadIter: true}
	idle      = map[cost.Step]bool{cost.DevMSIX: true, cost.IgbMsixRing: true, cost.NetRxAction: true, cost.IgbPoll: true, cost.NapiCompleteDone: true, cost.IgbRingIrqEnable: true}
)

// The journeys of all frames, shares and all, add up to the bill.
func TestAllJourneysAddUpToTheBill(t *testing.T) {
	for _, c := range []struct {
		name string
		r    ringside.Replay
		cfg  ringside.Config
		vms  uint64
	}{
		{"ping", ringside.Replay{Files: []string{dir + "ping.pcap"}, VMs: 3}, ringside.Config{}, 3},
		{"at top speed", ringside.Replay{Files: []string{dir + "udp-flood.pcap"}, Limit: 300, VMs: 1, Speed: ringside.TopSpeed}, ringside.Config{}, 1},
		{"batches", ringside.Replay{Files: []string{dir + "udp-flood.pcap"}, Limit: 200, VMs: 1, Speed: ringside.TopSpeed, Batch: 16, Program: vm.Slow(sim.Microsecond)}, ringside.Config{}, 1},
		{"jumbo", ringside.Replay{Files: []string{dir + "jumbo.pcap"}, VMs: 2}, ringside.Config{}, 2},
		{"queues", ringside.Replay{Files: []string{dir + "mix.pcap"}, Limit: 300, VMs: 6, Speed: ringside.TopSpeed}, ringside.Config{Queues: 4, CPUs: 2}, 6},
		{"full tap", ringside.Replay{Files: []string{dir + "udp-flood.pcap"}, Limit: 300, VMs: 1, Speed: ringside.TopSpeed, Program: vm.Slow(sim.Millisecond)}, ringside.Config{TapQueue: 4}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ids []uint64
			for id := range uint64(300) {
				ids = append(ids, id+1)
			}
			e, rep := watch(t, c.r, c.cfg, ids...)
			var sum [cost.NumSteps]big.Rat
			var work uint64
			for _, w := range e.w {
				j := w.Journey(rep.Bill.Book)
				if j == nil {
					continue
				}
				assert.Len(t, j.Ends, j.Copies, "every copy comes to an end")
				for _, s := range j.Steps {
					share := big.NewRat(int64(s.Count), int64(max(s.Shared, 1)))
					sum[s.Step].Add(&sum[s.Step], share)
					if s.Step == cost.GuestRun && s.Shared <= 1 {
						work += s.Extra
					}
				}
			}
			for s := cost.Step(0); s < cost.NumSteps; s++ {
				want := new(big.Rat).SetInt64(int64(rep.Bill.Steps[s].Count))
				left := new(big.Rat).Sub(want, &sum[s])
				if forNobody[s] {
					// The boot of a guest, and its last read.
					assert.True(t, left.Sign() >= 0 && left.Cmp(big.NewRat(int64(c.vms), 1)) <= 0, "%v: %s of %s for no frame", s, left.RatString(), want.RatString())
					continue
				}
				if idle[s] {
					assert.LessOrEqual(t, left.Cmp(big.NewRat(e.forNone, 1)), 0, "%v: %s for no frame, and %d polls found none", s, left.RatString(), e.forNone)
					assert.True(t, left.IsInt() && left.Sign() >= 0, "%v: %s for no frame", s, left.RatString())
					continue
				}
				assert.Zero(t, left.Sign(), "%v: the journeys have %s of %s", s, sum[s].FloatString(3), want.RatString())
			}
			if c.r.Batch == 0 {
				assert.Equal(t, rep.Bill.Steps[cost.GuestRun].Extra, work, "the guests' own work")
			}
		})
	}
}

// Guests that answer make frames of their own, whose journeys begin in the guest.
func TestAnswersHaveJourneysToo(t *testing.T) {
	first := uint64(trace.FirstOwnID)
	r := ringside.Replay{Files: []string{dir + "ping.pcap"}, VMs: 2, Program: vm.Reflect, Map: nil, Limit: 8}
	r.Until = sim.Second
	r.VMs = 1
	e, rep := watch(t, r, ringside.Config{}, first)
	j := e.w[first].Journey(rep.Bill.Book)
	require.NotNil(t, j)
	assert.False(t, j.OnWire)
	var names []string
	for _, s := range j.Steps {
		names = append(names, s.Step.String())
	}
	for _, want := range []string{"entry_SYSCALL_64", "tun_chr_write_iter", "tun_get_user", "copy_from_iter", "br_fdb_find_rcu"} {
		assert.Contains(t, names, want)
	}
	require.NotEmpty(t, j.Ends)
}

func TestDroppedFramesStoryEndsAtTheDrop(t *testing.T) {
	r := ringside.Replay{Files: []string{dir + "udp-flood.pcap"}, VMs: 1, Speed: ringside.TopSpeed, Program: vm.Slow(sim.Millisecond), Limit: 100}
	e, rep := watch(t, r, ringside.Config{TapQueue: 4}, 50)
	j := e.w[50].Journey(rep.Bill.Book)
	require.Len(t, j.Ends, 1)
	assert.Equal(t, trace.Drop, j.Ends[0].Verdict)
	assert.Equal(t, "FULL_RING", j.Ends[0].Reason.String())
	assert.Contains(t, j.Verdict(), "dropped at tap: FULL_RING")
	for _, s := range j.Steps {
		assert.NotEqual(t, cost.TunRingRecv, s.Step, "nobody read it")
	}
}

func TestPagesFitTheirColumns(t *testing.T) {
	for _, frame := range []uint64{1, 3, 40} {
		e, rep := watch(t, ringside.Replay{Files: []string{dir + "mix.pcap"}, VMs: 12, Limit: 60}, ringside.Config{}, frame)
		j := e.w[frame].Journey(rep.Bill.Book)
		for _, columns := range []int{0, 60, 72, 80, 95, 96, 100, 200} {
			var out bytes.Buffer
			require.NoError(t, j.Write(&out, columns))
			for _, l := range strings.Split(out.String(), "\n") {
				assert.LessOrEqual(t, utf8.RuneCountInString(l), min(max(columns, 60), 100)+100*b2i(columns == 0), "%q", l)
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestStrangersAreDecodedOrSaidNotToBe(t *testing.T) {
	assert.Equal(t, []string{"02:00:00:00:00:02 > 02:00:00:00:00:01", "ARP who has 192.0.2.7? tell 192.0.2.1"}, journey.Decode([]byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
		2, 0, 0, 0, 0, 2, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7,
	}))
	for _, b := range [][]byte{nil, {1}, make([]byte, 13), bytes.Repeat([]byte{0xff}, 60)} {
		assert.NotPanics(t, func() { fmt.Fprint(new(bytes.Buffer), journey.Decode(b)) })
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range journey.Decode(b) {
			for _, r := range s {
				if r < ' ' || r == 0x7f {
					t.Fatalf("a control character for the terminal: %q", s)
				}
			}
		}
	})
}
