package kernel

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
)

// AddPatch plugs both ends of a patch in: a pair of veth interfaces. What a bridge
// sends by one comes in by the other, from the backlog of the same CPU:
//
//	br_forward ─► veth_xmit ─► netif_rx ─► process_backlog ─► br_handle_frame
func (k *Kernel) AddPatch(a, b Interface) (pa, pb bridge.Port, err error) {
	x, y := &netdev{features: featAll, gsoMax: gsoMaxSize}, &netdev{features: featAll, gsoMax: gsoMaxSize}
	x.peer, y.peer = y, x
	if err := k.plug(x, a, math.MaxInt32); err != nil {
		return 0, 0, err
	}
	if err := k.plug(y, b, math.MaxInt32); err != nil {
		return 0, 0, err
	}
	return x.port, y.port, nil
}

// A backlog is a CPU's queue of frames that came from no device of their own, with
// the NAPI instance that polls it (softnet_data).
type backlog struct {
	napi
	queue   []queued
	tail    uint64 // frames that were ever put there
	far     uint64 // of those last taken, from other CPUs
	farther uint64 // of them, on other nodes
}

type queued struct {
	s   *skb
	dev *netdev
	at  sim.Time // when it was put there
	by  *CPU     // by whom
}

// maxBacklog is net.core.netdev_max_backlog.
const maxBacklog = 1000

// patchXmit is veth_xmit and what it calls.
func (dev *netdev) patchXmit(c *CPU, s *skb) {
	k := c.k
	c.one(cost.VethXmit, s)
	if s.holders > 1 { // another copy of it goes another way, and counts its own steps
		t := k.clone(s)
		k.release(s)
		s = t
	}
	if s.headed && !k.settle(s, pulled) {
		c.drop(s, cost.Stack, cost.NoMem)
		return
	}
	if s.hops++; int(s.hops) >= 2*len(k.bridges) && !k.storm.note(k, dev, s, c.clock.Now()) {
		s.hops--
	}
	c.netifRx(dev.peer, s)
}

// pulled is how much of a frame lies in one piece when a bridge sees it: all the
// headers that it reads.
const pulled = 256

// netifRx is netif_rx.
func (c *CPU) netifRx(dev *netdev, s *skb) {
	c.one(cost.NetifRx, s)
	c.queue(dev, s)
}

// queue puts a frame on the backlog.
func (c *CPU) queue(dev *netdev, s *skb) {
	q := &c.backlog
	if len(q.queue) >= c.k.batching.Backlog {
		c.drop(s, cost.Stack, cost.CPUBacklog)
		return
	}
	q.tail++
	q.queue = append(q.queue, queued{s, dev, c.clock.Now(), c})
	if q.state == napiIdle {
		q.state = napiScheduled
		c.softirq.raise(c, &q.napi)
		c.contended = true // the task that sent it, if any, makes way for the softirq
	}
}

// take moves frames of one interface from the head of the queue into list.
func (q *backlog) take(list []*skb) (n int, dev *netdev) {
	q.far, q.farther = 0, 0
	now := q.cpu.clock.Now()
	for n < len(list) && n < len(q.queue) && (n == 0 || q.queue[n].dev == dev) && q.queue[n].at <= now {
		list[n], dev = q.queue[n].s, q.queue[n].dev
		if by := q.queue[n].by; by != q.cpu {
			q.far++
			if by.node != q.cpu.node {
				q.farther++
			}
		}
		n++
	}
	q.queue = slices.Delete(q.queue, 0, n)
	return n, dev
}

// A storm is what is known of frames that go round. Without a circle a frame comes
// over each bridge twice at the most: once more on its way back from a port with
// hairpin.
type storm struct {
	limit  uint64 // of frames; 0 means none
	frames uint64
	began  sim.Time
	passed []uint64 // frames by the end of a patch that they left by, by index
}

// BoundStorms ends the run with ErrStorm when so many frames, each time they pass
// a patch, went in circles. 0 means never: such a run does not come to rest.
func (k *Kernel) BoundStorms(frames uint64) { k.storm.limit = frames }

// A Storm is what was seen of frames that go in circles.
type Storm struct {
	Frames  uint64   `json:"frames"` // each time they passed a patch
	SinceNs int64    `json:"since_ns"`
	Bridges []string `json:"bridges"` // which the circle goes through
	Ends    []string `json:"ends"`    // of patches that they left by, each with their number
}

// Storm is what went in circles so far, nil for nothing.
func (k *Kernel) Storm() *Storm {
	if k.storm.frames == 0 {
		return nil
	}
	ends, bridges := k.storm.places(k)
	return &Storm{k.storm.frames, k.storm.began.Nanoseconds(), bridges, ends}
}

// note counts a frame that goes in a circle.
func (st *storm) note(k *Kernel, dev *netdev, s *skb, now sim.Time) bool {
	if st.frames == 0 {
		st.began = now
	}
	st.frames++
	for int(dev.index) >= len(st.passed) {
		st.passed = append(st.passed, 0)
	}
	st.passed[dev.index]++
	if st.limit > 0 && st.frames >= st.limit {
		k.eng.Fail(st.report(k, now))
	}
	return s.hops < math.MaxUint16
}

// places is where it is: the ends of patches, each with its frames, and the bridges.
func (st *storm) places(k *Kernel) (ends, bridges []string) {
	for i, n := range st.passed {
		if n == 0 {
			continue
		}
		ends = append(ends, fmt.Sprintf("%s %d", k.names[i], n))
		name := k.netdev(k.names[i]).br.br.Config().Name
		if !slices.Contains(bridges, name) {
			bridges = append(bridges, name)
		}
	}
	return ends, bridges
}

// report says where the storm is, in words.
func (st *storm) report(k *Kernel, now sim.Time) error {
	ends, bridges := st.places(k)
	span := now - st.began
	return fmt.Errorf("kernel: %w: %d in %v, %d a second, in a circle of %s; by the ends of patches: %s; turn on stp in these bridges or take a patch away",
		ErrStorm, st.frames, span, rate(st.frames, span), strings.Join(bridges, ", "), strings.Join(ends, ", "))
}

// rate is how many a second n in a span of time are.
func rate(n uint64, span sim.Time) uint64 {
	us := max(uint64(span/sim.Microsecond), 1)
	return n * 1_000_000 / us
}
