package kernel

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
	"ringside/virtio"
)

// A Served is a pair of queues as the process gets it that serves it: a thread of the
// guest's VMM, whose memory is the guest's.
type Served struct {
	Name     string // of the thread
	VM       int32
	CPU      int
	Allowed  CPUSet
	Memory   *mem.Memory
	Features virtio.Features
	Rx, Tx   *virtio.Ring
	// Files are the tap, with a header in front of every frame, the doorbells of Rx and
	// Tx, and their interrupts.
	Files []syscall.File
	// Longest is how many bytes a frame and its header may have.
	Longest int
	// Tag is the frame that was last read from the tap, for traces.
	Tag func() virtio.Tag
	// Late says that the guest has published a chain for the later time at, before it
	// was asked to kick, and so would have kicked then.
	Late func(tx bool, at sim.Time)
	// Broken says that the guest breaks the rings' format: the device needs a reset.
	Broken func(error)
}

// A served is the kernel's side of that.
type served struct {
	d       *VirtioNet
	pair    int
	tap     *tap
	rx, tx  *virtio.Ring
	rxKick  ioeventfd
	txKick  ioeventfd
	calls   [2]irqfd // of rx and tx
	cpu     *CPU
	last    virtio.Tag
	hdr     [virtio.HdrLen]byte
	name    string
	stopped bool
}

// serve hands the rings to processes.
func (d *VirtioNet) serve(m *mem.Memory, rings []virtio.Pair) error {
	for i, p := range rings {
		s := &served{d: d, pair: i, tap: d.taps[i], name: "vmm-" + d.net.name}
		if i > 0 {
			s.name = fmt.Sprintf("%s.%d", s.name, i)
		}
		s.cpu = d.k.cpus[(d.cfg.CPU+i)%len(d.k.cpus)]
		s.calls = [2]irqfd{{d.vcpu, d.vector(i, false)}, {d.vcpu, d.vector(i, true)}}
		var err error
		if s.rx, err = d.newRing(m, p.Rx); err == nil {
			s.tx, err = d.newRing(m, p.Tx)
		}
		if err != nil {
			d.features, d.served = 0, nil
			return fmt.Errorf("kernel: %s: queue %d: %w", d.net.name, i, err)
		}
		d.served = append(d.served, s)
	}
	d.offload()
	for _, s := range d.served {
		s.tap.opened = true
		if err := d.cfg.Serve(s.offer(m)); err != nil {
			return err
		}
	}
	return nil
}

// newRing makes a ring of the size that the device has at most.
func (d *VirtioNet) newRing(m *mem.Memory, l virtio.Layout) (*virtio.Ring, error) {
	if l.Size > d.cfg.RingSize {
		return nil, fmt.Errorf("%w: %d entries; at most %d are possible", virtio.ErrLayout, l.Size, d.cfg.RingSize)
	}
	return virtio.NewRing(m, l, d.features)
}

// offer is what the process gets.
func (s *served) offer(m *mem.Memory) Served {
	d := s.d
	longest := longestFrame
	if d.features&(virtio.FGuestTSO4|virtio.FGuestTSO6) != 0 {
		longest = maxWrite
	} else if mtu := d.cfg.At.MTU; mtu != 0 {
		longest = mtu + maxHeader
	}
	return Served{
		Name: s.name, VM: d.cfg.VM, CPU: s.cpu.id, Allowed: d.cfg.Allowed, Memory: m, Features: d.features,
		Rx: s.rx, Tx: s.tx, Longest: longest + virtio.HdrLen,
		Files:  []syscall.File{(*vnetFile)(s), &s.rxKick, &s.txKick, &s.calls[0], &s.calls[1]},
		Tag:    func() virtio.Tag { return s.last },
		Late:   s.late,
		Broken: func(err error) { d.err = err },
	}
}

// The longest frame that a NIC takes, 9.5 KiB, and what is around an MTU: an Ethernet
// header with two tags.
const (
	maxHeader    = ethHeader + 8
	longestFrame = 9728 + 8
)

func (s *served) ring(tx bool) *virtio.Ring {
	if tx {
		return s.tx
	}
	return s.rx
}

func (s *served) kick(tx bool) *ioeventfd {
	if tx {
		return &s.txKick
	}
	return &s.rxKick
}

// late is a kick of the guest at the time at, which asked too early whether one is
// wanted.
func (s *served) late(tx bool, at sim.Time) {
	v := s.d.vcpu
	v.task.cpu.shared(cost.KvmNotify, 1, v.task.Name)
	s.kick(tx).signal(v.task.cpu, at)
}

// callAt is a call of the process at the time at, likewise.
func (s *served) callAt(tx bool, at sim.Time) {
	for _, step := range [...]cost.Step{cost.SysEnter, cost.EventfdWrite, cost.SysExit, cost.IrqfdInject} {
		s.cpu.shared(step, 1, s.name)
	}
	s.d.vcpu.injectAt(s.cpu, at, s.d.vector(s.pair, tx))
}

// stop takes the tap from the process, which finds its doorbells dead. What waits on
// the tap dies for that reason.
func (s *served) stop(c *CPU, reason cost.DropReason) {
	if s.stopped {
		return
	}
	s.stopped = true
	s.tap.opened, s.tap.waiting = false, nil
	for f, _ := s.tap.next(); f != nil; f, _ = s.tap.next() {
		s.tap.take(c.clock.Now())
		c.drop(f, cost.Tap, reason)
	}
	s.rxKick.hangUp(c, c.clock.Now())
	s.txKick.hangUp(c, c.clock.Now())
}

// stalled lists what waits for somebody who will not come.
func (s *served) stalled() (list []string) {
	if s.stopped {
		return nil
	}
	say := func(what string) { list = append(list, s.name+": "+what) }
	if more, _ := s.tx.Device.Pending(sim.Never, 0); more {
		say("the guest's frames wait and nobody looks")
	}
	for _, r := range [...]*virtio.Ring{s.rx, s.tx} {
		if r.Device.Overdue() {
			say("the guest has published chains and nobody kicks")
		}
		if r.Driver.Overdue() {
			say("the guest waits for what was used and nobody calls")
		}
	}
	if f, _ := s.tap.next(); f != nil && s.rx.Device.Silent() {
		say("frames wait on the tap and nobody looks")
	}
	if s.rxKick.count+s.txKick.count > 0 {
		say("a kick waits and nobody reads it")
	}
	if len(s.d.vcpu.irqs) > 0 {
		say("an interrupt is pending and the guest is halted")
	}
	return list
}

// A vnetFile is a tap with IFF_VNET_HDR as its process has it open: a header stands in
// front of every frame.
type vnetFile served

var _ syscall.File = (*vnetFile)(nil)

// Read is tun_do_read: the header and the frame at the ring's head.
func (f *vnetFile) Read(st *syscall.Task, segs []syscall.Segment) (int, syscall.Errno) {
	t, c := f.tap, taskOf(st).cpu
	if f.stopped {
		return 0, syscall.EIO
	}
	s := t.peek(c.clock.Now())
	if s == nil {
		return 0, syscall.EAGAIN
	}
	c.one(cost.TunDoRead, s)
	n, errno := f.putUser(st, segs, s)
	now := c.clock.Now()
	t.take(now)
	if errno != syscall.OK {
		c.drop(s, cost.Syscall, cost.SKBUcopyFault)
		return 0, errno
	}
	if c.watched {
		c.note(cost.TunPutUser, s, uint64(2+s.nfrags), uint64(n), "into "+st.Name)
	}
	c.acct.Once(cost.ConsumeSkb)
	t.stat.RxFrames++
	t.stat.RxBytes += uint64(max(n-virtio.HdrLen, 0))
	if n < int(s.length)+virtio.HdrLen {
		t.stat.Truncated++
	}
	f.last = virtio.Tag{ID: s.id, Arrived: s.arrived}
	t.k.deliverVM(c, t, s, now)
	return n, syscall.OK
}

// putUser is tun_put_user.
func (f *vnetFile) putUser(st *syscall.Task, segs []syscall.Segment, s *skb) (int, syscall.Errno) {
	f.d.putHdr(f.hdr[:], s, 1)
	if s.nfrags == 0 { // nearly every frame
		if n, ok := st.CopyOutBehind(segs[0], f.hdr[:], s.data); ok {
			return n, syscall.OK
		}
	}
	cur := syscall.Cursor{Segs: segs}
	n, errno := st.CopyOut(&cur, f.hdr[:])
	for i := int8(-1); i < s.nfrags && errno == syscall.OK; i++ {
		b := s.data
		if i >= 0 {
			b = s.frags.buf[i].data
		}
		var k int
		k, errno = st.CopyOut(&cur, b)
		n += k
	}
	return n, errno
}

// Write is tun_get_user: the header says what is left to do on the frame.
func (f *vnetFile) Write(st *syscall.Task, segs []syscall.Segment) (int, syscall.Errno) {
	t, c := f.tap, taskOf(st).cpu
	if f.stopped {
		return 0, syscall.EIO
	}
	cur := syscall.Cursor{Segs: segs}
	all := cur.Left()
	n := all - virtio.HdrLen
	if n < 0 {
		return 0, f.lost(c, 0, cost.DevHdr)
	}
	if _, errno := st.CopyIn(&cur, f.hdr[:]); errno != syscall.OK {
		return 0, errno
	}
	m, _, err := virtio.ParseHdr(f.hdr[:], n)
	switch {
	case err != nil || !f.d.features.FromDriver(m):
		return 0, f.lost(c, n, cost.DevHdr)
	case n < ethHeader:
		return 0, f.lost(c, n, cost.PktTooSmall)
	case n > maxWrite:
		return 0, f.lost(c, n, cost.PktTooBig)
	}
	s, err := t.k.allocSKB(n)
	if err != nil {
		f.lost(c, n, cost.NoMem)
		return 0, syscall.ENOMEM
	}
	s.id, s.arrived, s.queue = t.k.newID(), c.clock.Now(), -1
	c.one(cost.TunGetUser, s)
	c.one(cost.TunBuildSkb, s)
	if errno := t.copyIn(st, &cur, s); errno != syscall.OK {
		c.acct.Charge(cost.KfreeSkb, 1)
		t.k.release(s)
		return 0, errno
	}
	if !m.Plain() {
		t.k.setMeta(s, m)
	}
	for _, stage := range [...]cost.Stage{cost.Tap, cost.Syscall} {
		c.acct.Frames(stage, 1)
	}
	t.stat.TxFrames++
	t.stat.TxBytes += uint64(n)
	t.k.begin(c, s)
	if c.watched {
		t.k.show(c, s, sight{point: trace.VM, tx: true, port: t.net.index, vm: t.vm})
		c.note(cost.CopyIn, s, uint64(1+s.nfrags), uint64(n), "")
		t.k.show(c, s, sight{point: trace.Tap, tx: true, port: t.net.index, vm: t.vm})
	}
	c.list[0] = s
	t.k.receive(c, t.net, c.list[:1])
	return all, syscall.OK
}

// lost counts a frame of n bytes that did not come as far as into an sk_buff.
func (f *vnetFile) lost(c *CPU, n int, reason cost.DropReason) syscall.Errno {
	k := f.d.k
	s := &skb{id: k.newID(), arrived: c.clock.Now(), queue: -1, length: int32(min(n, 1<<30))}
	c.one(cost.TunGetUser, s)
	k.begin(c, s)
	k.drops.Add(cost.Tap, reason, 1)
	k.hash.Add(trace.Record{At: c.clock.Now(), Kind: trace.Dropped, Who: trace.WhoDropped(cost.Tap, reason), A: s.id})
	if k.sink != nil {
		k.show(c, s, sight{point: trace.VM, tx: true, port: f.d.net.index, vm: f.tap.vm})
		k.show(c, s, sight{point: trace.VM, verdict: trace.Drop, reason: reason, stage: cost.Tap, port: -1, vm: -1})
	}
	return syscall.EINVAL
}

// Ready is tun_chr_poll.
func (f *vnetFile) Ready(st *syscall.Task, want syscall.Events) syscall.Events {
	if f.stopped {
		return want & (syscall.PollErr | syscall.PollIn)
	}
	return f.tap.Ready(st, want)
}

// Wait and Forget are the tap's.
func (f *vnetFile) Wait(st *syscall.Task, want syscall.Events) {
	if !f.stopped {
		f.tap.Wait(st, want)
	}
}

// Forget takes Wait back.
func (f *vnetFile) Forget(st *syscall.Task) {
	if !f.stopped {
		f.tap.Forget(st)
	}
}

// Release is the end of the process: the device is dead until it is reset.
func (f *vnetFile) Release(st *syscall.Task) { (*served)(f).stop(taskOf(st).cpu, cost.RSClosed) }
