package nic

import (
	"ringside/cost"
	"ringside/sim"
	"ringside/trace"
)

// show lets the sink see a frame. Only called when somebody watches.
func (n *NIC) show(f trace.Frame) {
	f.Stage, f.Port, f.VM, f.Len = cost.NIC, -1, -1, len(f.Data)
	n.sight = f
	n.sink.Frame(&n.sight)
	n.sight.Data = nil
}

// showWritten lets the sink see a frame that is in host memory now, and the
// steps that took it there.
func (n *NIC) showWritten(queue int, id uint64, at sim.Time, data []byte, descs uint64) {
	n.show(trace.Frame{ID: id, At: at, Point: trace.NIC, Queue: int32(queue), Data: data})
	n.showSteps(id, at, len(data), descs)
}

// showSteps lets the sink see what it took to bring a frame of that size to memory.
func (n *NIC) showSteps(id uint64, at sim.Time, size int, descs uint64) {
	if !n.sink.Watching(id) {
		return
	}
	for _, s := range [...]trace.Step{
		{Step: cost.DevDescFetch, N: descs, Bytes: descs * DescSize},
		{Step: cost.DevRxDMA, N: descs, Bytes: uint64(size)},
		{Step: cost.DevTLP, N: tlps(size)},
		{Step: cost.DevRxWriteback, N: descs, Bytes: descs * DescSize},
	} {
		s.ID, s.At, s.CPU = id, at, -1
		n.sink.Step(s)
	}
}

// showSent lets the sink see a frame that was fetched and has left. Of several that
// were one the first shows the steps that were done for all.
func (n *NIC) showSent(queue int, id uint64, fetched, out sim.Time, data []byte, c *chain, first bool) {
	n.show(trace.Frame{ID: id, At: fetched, Point: trace.NIC, Tx: true, Queue: int32(queue), Data: data})
	if first && n.sink.Watching(id) {
		n.showFetch(id, fetched, c)
	}
	n.show(trace.Frame{ID: id, At: out, Point: trace.Wire, Tx: true, Verdict: trace.Deliver, Queue: int32(queue), Data: data})
}

// showFetch lets the sink see the steps that it took to fetch a frame.
func (n *NIC) showFetch(id uint64, fetched sim.Time, c *chain) {
	for _, s := range [...]trace.Step{
		{Step: cost.DevDescFetch, N: uint64(c.descs), Bytes: uint64(c.descs) * DescSize},
		{Step: cost.DevTxDMA, N: uint64(c.descs), Bytes: uint64(c.size)},
		{Step: cost.DevTLP, N: c.tlps},
	} {
		s.ID, s.At, s.CPU = id, fetched, -1
		n.sink.Step(s)
	}
	if c.report >= 0 {
		n.sink.Step(trace.Step{ID: id, At: fetched + n.price.txDone, CPU: -1, Step: cost.DevTxWriteback, N: 1, Bytes: DescSize})
	}
}

// vectorNotes name the vectors in shared steps.
var vectorNotes = func() (notes [Vectors]string) {
	for v := range notes {
		notes[v] = "vector " + string(rune('0'+v/10)) + string(rune('0'+v%10))
		if v < 10 {
			notes[v] = "vector " + string(rune('0'+v))
		}
	}
	return notes
}()
