package nic_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// A slowNIC is reception once more, as plainly as it can be said: one queue, one
// packet buffer, one DMA engine, one thing after another. It knows nothing of
// bursts and of ways around the buffer.
type slowNIC struct {
	link   sim.Time // for a byte
	room   int
	buffer int
	drop   bool // DROP_EN

	given   int
	free    sim.Time // DMA engine
	waiting []slowFrame
	begun   bool // the first of waiting is being written
	stuck   bool // the first of waiting lacks descriptors

	written []nic.Tag
	done    []sim.Time
	lost    map[cost.DropReason]int
	rnbc    int
}

type slowFrame struct {
	tag    nic.Tag
	size   int
	left   int
	done   sim.Time
	descs  int
	counts bool
}

func ceil(a, b int) int { return (a + b - 1) / b }

// next is when the DMA engine does the next thing.
func (s *slowNIC) next() sim.Time {
	switch {
	case len(s.waiting) == 0 || s.stuck:
		return sim.Never
	case s.begun:
		return s.waiting[0].done
	}
	return max(s.waiting[0].tag.Arrived, s.free)
}

func (s *slowNIC) act(at sim.Time) {
	f := &s.waiting[0]
	if s.begun {
		s.begun = false
		f.left -= min(f.left, f.descs*s.buffer)
		if f.left == 0 {
			s.written = append(s.written, f.tag)
			s.done = append(s.done, at)
			s.waiting = s.waiting[1:]
		}
		return
	}
	need := ceil(f.left, s.buffer)
	switch {
	case s.drop && s.given < need && f.left == f.size:
		s.lost[cost.NICRxNoDesc]++
		s.waiting = s.waiting[1:]
		return
	case s.given == 0:
		s.stuck = true
		if !f.counts {
			f.counts = true
			s.rnbc++
		}
		return
	}
	f.descs = min(need, s.given)
	s.given -= f.descs
	ticks := 0
	for i, left := 0, f.left; i < f.descs; i++ {
		ticks += 5 + ceil(min(left, s.buffer), 256)
		left -= s.buffer
	}
	f.done = at + sim.Time(ticks)*ns
	s.free, s.begun = f.done, true
}

// until does everything up to a moment, what lies in it included.
func (s *slowNIC) until(t sim.Time) {
	for s.next() <= t {
		s.act(s.next())
	}
}

func (s *slowNIC) arrive(f slowFrame) {
	s.until(f.tag.Arrived)
	used := 0
	for _, w := range s.waiting {
		used += w.size
	}
	if used+f.size > s.room {
		s.lost[cost.NICRxFIFO]++
		return
	}
	f.left = f.size
	s.waiting = append(s.waiting, f)
}

func (s *slowNIC) give(n int, at sim.Time) {
	s.until(at)
	s.given += n
	if s.stuck {
		s.stuck, s.free = false, max(s.free, at)
	}
}

// TestAgainstASlowNIC plays random frames into random rings and packet buffers,
// at speeds that the DMA engine keeps up with and that it does not, with random
// doorbells in between, and wants the same frames written at the same times and
// the same ones lost.
func TestAgainstASlowNIC(t *testing.T) {
	var waited, full, none, split int
	for seed := range uint64(300) {
		rng := sim.NewEngine(seed).Rand("slow")
		gbit := []uint64{10, 100, 500, 1000}[rng.IntN(4)]
		fifo := []int{1 << 10, 4 << 10, 64 << 10}[rng.IntN(3)]
		o := nictest.Options{Descs: []int{8, 16, 64}[rng.IntN(3)], Buffer: 1024 << rng.IntN(2), DropEN: rng.IntN(2) == 0,
			Polling: true, Given: -1, Rctl: nic.RctlLPE | nic.RctlUPE}
		d := up(t, nic.Config{LinkBPS: gbit * 1e9, FIFO: fifo}, o)
		d.Write(nic.RLPML, nic.MaxFrame)
		s := &slowNIC{link: 8 * sim.Second / sim.Time(gbit) / 1e9, room: fifo, buffer: o.Buffer, drop: o.DropEN, lost: map[cost.DropReason]int{}}

		var at, begin sim.Time
		sizes := []int{60, 200, 1514, 5000}[:1+rng.IntN(4)]
		var list []slowFrame
		for id := range uint64(200) {
			if rng.IntN(4) == 0 {
				at += sim.Time(rng.IntN(4000)) * ns
			}
			size := 14 + rng.IntN(sizes[rng.IntN(len(sizes))])
			data := flows(1, max(size, 60))[0][:size]
			d.Wire.Frames = append(d.Wire.Frames, nic.WireFrame{ID: id, At: at, Data: data})
			begin = max(begin, at)
			last := begin + sim.Time(max(size, 60)+12)*s.link
			list = append(list, slowFrame{tag: nic.Tag{ID: id, Arrived: last}, size: size})
			begin = last + 12*s.link
		}
		d.NIC.Arrive()

		var got []nic.Tag
		for i := 0; d.Now < begin+20*us; i++ {
			for len(list) > 0 && list[0].tag.Arrived <= d.Now {
				s.arrive(list[0])
				list = list[1:]
			}
			for _, f := range d.Harvest(0) {
				require.LessOrEqual(t, f.Tag.Done, d.Now, "seed %d: harvested before it was written", seed)
				f.Tag.Done = 0 // the slow NIC does not say
				got = append(got, f.Tag)
			}
			s.until(d.Now)
			require.Equal(t, s.written, got, "seed %d at %v", seed, d.Now)
			if n := min(d.Rx[0].Unused(), rng.IntN(12)); n > 0 {
				d.Post(0, n)
				s.give(n, d.Now)
			}
			require.EqualValues(t, len(s.waiting), d.NIC.Counts().In-d.NIC.Counts().Written-d.NIC.Counts().Dropped, "seed %d at %v", seed, d.Now)
			require.NoError(t, d.NIC.Check())
			d.Now += sim.Time(rng.IntN(1500)) * ns
		}
		require.Empty(t, list)
		require.Equal(t, s.lost[cost.NICRxFIFO], drops(d, cost.NICRxFIFO), "seed %d", seed)
		require.Equal(t, s.lost[cost.NICRxNoDesc], drops(d, cost.NICRxNoDesc), "seed %d", seed)
		require.EqualValues(t, s.rnbc, d.Read(nic.RNBC))
		clean(t, d)
		waited += s.rnbc
		full += s.lost[cost.NICRxFIFO]
		none += s.lost[cost.NICRxNoDesc]
		split += int(d.Account.Line(cost.DevRxDMA).Count) - len(s.written)
	}
	for name, n := range map[string]int{"waited": waited, "full": full, "no descriptor": none, "several descriptors": split} {
		require.Greater(t, n, 500, fmt.Sprint("the seeds reach: ", name))
	}
}
