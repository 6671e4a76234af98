package journey

import (
	"fmt"
	"strconv"
	"strings"

	"ringside/cost"
	"ringside/trace"
)

// A Watcher is a trace.Sink that follows one frame and everything that was done
// for it together with others. See Watch.
//
// A shared step belongs to a group: an interrupt, a poll, a system call. A group
// counts the frames that it served; when the watched frame is among them the
// group's steps are part of its journey, each with one frame's share. Groups that
// did not serve it are forgotten when the next one begins, so a Watcher's memory
// does not grow with the run.
//
//	interrupt ─ MSI-X, igb_msix_ring … napi_complete_done, unmask   frames of its queue till then
//	action ──── net_rx_action                                       frames of its polls
//	poll ────── igb_poll                                            frames it harvested
//	refill ──── new pages, doorbell RDT                             frames since the one before
//	send ────── doorbell TDT                                        frames since the one before
//	wake ────── sock_def_readable, context switch                   frames read until the next one
//	call ────── way in, tun_chr_read_iter, way out                  frames it carried
//	work ────── what the guest did                                  frames of the call before it
type Watcher struct {
	id     uint64
	seq    int // of events
	own    []event
	marks  []mark
	groups []*group // that served the frame

	msix   map[int]*group // by vector: messages whose interrupt has not begun
	queues map[int]*queue
	cpus   map[int32]*cpu
	send   *group
	vms    map[string]*guest
	ports  map[int32]string
	in     int32  // port the frame came in by
	bytes  []byte // of the frame
}

// A queue is one of the NIC's, as its CPU sees it.
type queue struct {
	irq, refill *group
	cpu         *cpu // that polls it
}

// cpu is what one CPU is in the middle of.
type cpu struct {
	action, poll *group
	queue        int     // of the poll
	thread       []event // steps that the next net_rx_action takes
}

// guest is what one guest is in the middle of.
type guest struct {
	wake, call, work *group
}

// A group is shared steps and how many frames shared them.
type group struct {
	frames uint64
	mine   bool
	steps  []event
}

// An event is a step in the order of being shown.
type event struct {
	trace.Step
	seq   int
	guest string
	where string // of an own step: the port that it is about
}

// A mark is a sight of the watched frame.
type mark struct {
	trace.Frame
	seq int
}

// Watch returns a Watcher of the frame id. The machine's guests have the names
// they get by themselves, vm0 and up.
func Watch(id uint64) *Watcher {
	return &Watcher{
		id: id, msix: map[int]*group{}, queues: map[int]*queue{}, cpus: map[int32]*cpu{}, vms: map[string]*guest{},
		ports: map[int32]string{0: "br0"}, in: -1,
	}
}

// Watching wants the steps of the one frame.
func (w *Watcher) Watching(id uint64) bool { return id == w.id }

func (w *Watcher) cpu(i int32) *cpu {
	c := w.cpus[i]
	if c == nil {
		c = &cpu{queue: -1}
		w.cpus[i] = c
	}
	return c
}

func (w *Watcher) queue(i int) *queue {
	q := w.queues[i]
	if q == nil {
		q = &queue{}
		w.queues[i] = q
	}
	return q
}

func (w *Watcher) vm(name string) *guest {
	g := w.vms[name]
	if g == nil {
		g = &guest{}
		w.vms[name] = g
	}
	return g
}

// serves counts a frame to groups, and keeps those of the watched one.
func (w *Watcher) serves(id uint64, groups ...*group) {
	for _, g := range groups {
		if g == nil {
			continue
		}
		g.frames++
		if id == w.id && !g.mine {
			g.mine = true
			w.groups = append(w.groups, g)
		}
	}
}

// to is the group at g, made if there is none.
func to(g **group) *group {
	if *g == nil {
		*g = &group{}
	}
	return *g
}

func (g *group) add(e event) { g.steps = append(g.steps, e) }

// number is the number at the end of a note such as "vector 3", -1 if there is
// none.
func number(note string) int {
	n, err := strconv.Atoi(note[strings.LastIndexByte(note, ' ')+1:])
	if err != nil {
		return -1
	}
	return n
}

// Step takes a charged step.
func (w *Watcher) Step(s trace.Step) {
	w.seq++
	e := event{Step: s, seq: w.seq}
	switch {
	case s.ID != 0:
		w.own = append(w.own, e)
	case s.Step == cost.DevMSIX:
		w.msix[number(s.Note)] = &group{steps: []event{e}}
	case s.Step == cost.IgbMsixRing:
		v := number(s.Note)
		q := w.queue(v)
		q.irq = w.msix[v]
		delete(w.msix, v)
		to(&q.irq).add(e)
	case s.Step.Stage() == cost.Sched, s.Step.Stage() == cost.Syscall, s.Step.Stage() == cost.VM:
		w.task(e)
	default:
		w.softirq(e)
	}
}

// softirq takes a shared step of the driver and of NAPI.
func (w *Watcher) softirq(e event) {
	c := w.cpu(e.CPU)
	switch e.Step.Step {
	case cost.NetRxAction:
		c.action = &group{steps: append(c.thread, e)}
		c.thread = nil
	case cost.IgbPoll:
		c.poll, c.queue = &group{steps: []event{e}}, number(e.Note)
		w.queue(c.queue).cpu = c
	case cost.NapiCompleteDone, cost.IgbWriteItr:
		to(&w.queue(c.queue).irq).add(e)
	case cost.IgbRingIrqEnable:
		q := w.queue(c.queue)
		to(&q.irq).add(e)
		q.irq = nil
	case cost.IgbAllocMappedPage, cost.IgbAllocRxBuffers:
		q := w.queue(c.queue)
		to(&q.refill).add(e)
		if e.Step.Step == cost.IgbAllocRxBuffers {
			q.refill = nil
		}
	case cost.IgbTxDoorbell:
		to(&w.send).add(e)
		w.send = nil
	}
}

// task takes a shared step of the scheduler, of a system call, or of a guest.
func (w *Watcher) task(e event) {
	if e.Note == "ksoftirqd" {
		c := w.cpu(e.CPU)
		c.thread = append(c.thread, e)
		return
	}
	e.guest = e.Note
	g := w.vm(e.guest)
	switch e.Step.Step {
	case cost.SockDefReadable:
		g.wake = &group{steps: []event{e}}
	case cost.Schedule:
		to(&g.wake).add(e)
	case cost.SysEnter:
		g.call = &group{steps: []event{e}}
	case cost.GuestRun:
		to(&g.work).add(e)
	default:
		to(&g.call).add(e)
	}
}

// Frame takes a sight of any frame.
func (w *Watcher) Frame(f *trace.Frame) {
	w.seq++
	switch pass := f.Verdict != trace.Drop && f.Verdict != trace.Merge; {
	case !pass:
	case f.Point == trace.Driver && f.Tx:
		w.ports[f.Port] = "eth0"
		w.serves(f.ID, to(&w.send))
	case f.Point == trace.Driver:
		w.ports[f.Port] = "eth0"
		w.harvested(f)
	case f.Point == trace.Tap && f.VM >= 0:
		w.ports[f.Port] = fmt.Sprintf("tap%d", f.VM)
	case f.Point == trace.VM && f.VM >= 0:
		w.crossed(f)
	}
	if f.ID == w.id {
		w.sight(f)
	}
}

// harvested counts a frame that came off a ring to what brought it up.
func (w *Watcher) harvested(f *trace.Frame) {
	q := w.queue(int(f.Queue))
	w.serves(f.ID, q.irq, to(&q.refill))
	if q.cpu != nil {
		w.serves(f.ID, q.cpu.action, q.cpu.poll)
	}
}

// crossed counts a frame that crossed a guest's border.
func (w *Watcher) crossed(f *trace.Frame) {
	g := w.vm(fmt.Sprintf("vm%d", f.VM))
	if f.Tx {
		w.serves(f.ID, to(&g.call))
		return
	}
	if g.work != nil && len(g.work.steps) > 0 && to(&g.call).frames == 0 {
		g.work = nil // that of the call before
	}
	w.serves(f.ID, to(&g.wake), to(&g.call), to(&g.work))
}

// sight takes a sight of the watched frame: it tells where the steps before it
// were.
func (w *Watcher) sight(f *trace.Frame) {
	if w.bytes == nil && len(f.Data) > 0 {
		w.bytes = append(w.bytes, f.Data...)
		for _, frag := range f.Frags {
			w.bytes = append(w.bytes, frag...)
		}
	}
	m := mark{*f, w.seq}
	m.Data, m.Frags = nil, nil
	w.marks = append(w.marks, m)
	switch {
	case f.Verdict == trace.Merge:
	case f.Verdict == trace.Drop:
		w.place(f.Reason.String(), cost.KfreeSkb)
	case f.Point == trace.Driver && !f.Tx, f.Point == trace.Tap && f.Tx:
		w.in = f.Port
	case f.Point == trace.Tap:
		w.place(fmt.Sprintf("tap%d", f.VM), cost.DeliverClone, cost.BrForward, cost.DevQueueXmit, cost.TunNetXmit)
	case f.Point == trace.VM && !f.Tx:
		w.place(fmt.Sprintf("vm%d", f.VM), cost.TunRingRecv, cost.TunPutUser, cost.ConsumeSkb)
	case f.Point == trace.Driver:
		w.place("eth0", cost.DeliverClone, cost.BrForward, cost.DevQueueXmit)
	}
}

// place says of the last own steps, if they are of these kinds, what they are
// about.
func (w *Watcher) place(where string, kinds ...cost.Step) {
	for i := len(w.own) - 1; i >= 0; i-- {
		e := &w.own[i]
		if e.where != "" {
			return
		}
		of := false
		for _, k := range kinds {
			of = of || e.Step.Step == k
		}
		if !of {
			return
		}
		e.where = where
	}
}

var _ trace.Sink = (*Watcher)(nil)
