package syscall_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/trace"
)

// A model is the border once more, slow and plain: descriptors as a map, guest
// memory as a second copy, taps as lists of frames that a sink has seen put there.
// It shares no code with the border but the types.
type model struct {
	t      *testing.T
	memory []byte // what the guest's memory must hold
	files  map[int]modelFile
	busy   map[string]bool
	queues [3][]queued // by tap
	faults int         // frames that died in a copy to the guest
	log    []string    // the calls so far
}

type modelFile struct {
	name  string
	block bool
}

type queued struct {
	at   sim.Time
	data []byte
}

// Frame is the model's view of the kernel: which frames are on which tap.
func (m *model) Frame(f *trace.Frame) {
	if f.Reason == cost.SKBUcopyFault {
		m.faults++
	}
	if f.Point == trace.Tap && !f.Tx && f.Verdict != trace.Drop && f.VM < 3 {
		data := bytes.Clone(f.Data)
		for _, frag := range f.Frags {
			data = append(data, frag...)
		}
		m.queues[f.VM] = append(m.queues[f.VM], queued{f.At, data})
	}
}

func (m *model) Step(trace.Step)      {}
func (m *model) Watching(uint64) bool { return false }

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\n%s", strings.Join(m.log, "\n"), fmt.Sprintf(format, args...))
}

func (m *model) queue(name string) *[]queued { return &m.queues[name[len(name)-1]-'0'] }

// room is what the segments hold; ok is false if readv refuses them.
func (m *model) room(segs []syscall.Segment) (n int, ok bool) {
	if len(segs) > 1024 {
		return 0, false
	}
	for _, s := range segs {
		if s.Len < 0 || n+s.Len < 0 {
			return 0, false
		}
		n += s.Len
	}
	return n, true
}

func (m *model) mine(s syscall.Segment) bool {
	size := uint64(len(m.memory))
	return uint64(s.Addr) <= size && uint64(s.Len) <= size-uint64(s.Addr)
}

// scatter puts data into the segments; false means a fault on the way.
func (m *model) scatter(segs []syscall.Segment, data []byte) (n int, ok bool) {
	for _, s := range segs {
		if s.Len == 0 || n == len(data) {
			continue
		}
		if !m.mine(s) {
			return n, false
		}
		n += copy(m.memory[s.Addr:][:s.Len], data[n:])
	}
	return n, true
}

// gather takes what the segments hold.
func (m *model) gather(segs []syscall.Segment) (data []byte, ok bool) {
	for _, s := range segs {
		if s.Len == 0 {
			continue
		}
		if !m.mine(s) {
			return nil, false
		}
		data = append(data, m.memory[s.Addr:][:s.Len]...)
	}
	return data, true
}

// read checks what a read of one frame returned.
func (m *model) read(fd int, segs []syscall.Segment, from, now sim.Time, have call) {
	f, open := m.files[fd]
	room, ok := m.room(segs)
	switch {
	case !open:
		m.want(have, call{0, syscall.EBADF})
	case !ok:
		m.want(have, call{0, syscall.EINVAL})
	case room == 0:
		m.want(have, call{0, syscall.OK})
	default:
		m.take(m.queue(f.name), segs, f.block, from, now, have)
	}
}

// take checks a read that got as far as the tap.
func (m *model) take(q *[]queued, segs []syscall.Segment, block bool, from, now sim.Time, have call) {
	if have.errno == syscall.EAGAIN {
		if block {
			m.fail("EAGAIN from a descriptor that blocks")
		}
		if len(*q) > 0 && (*q)[0].at <= from {
			m.fail("EAGAIN at %v, and a frame is there since %v", from, (*q)[0].at)
		}
		return
	}
	if len(*q) == 0 || (*q)[0].at > now {
		m.fail("read returned %v, and no frame was there by %v", have, now)
	}
	frame := (*q)[0].data
	*q = (*q)[1:]
	if n, ok := m.scatter(segs, frame); ok {
		m.want(have, call{n, syscall.OK})
	} else {
		m.want(have, call{0, syscall.EFAULT})
	}
}

func (m *model) want(have, want call) {
	m.t.Helper()
	if have != want {
		m.fail("returned %d %v, want %d %v", have.n, have.errno, want.n, want.errno)
	}
}

// A program is bytes that say what to call.
type bytecode struct{ data []byte }

func (b *bytecode) next() int {
	if len(b.data) == 0 {
		return 0
	}
	c := b.data[0]
	b.data = b.data[1:]
	return int(c)
}

func (b *bytecode) word() uint64 {
	var v uint64
	for range 8 {
		v = v<<8 | uint64(b.next())
	}
	return v
}

const fuzzMemory = 16 << 10

func (b *bytecode) addr() mem.Addr {
	switch c := b.next(); {
	case c < 128:
		return mem.Addr(c * 97)
	case c < 176:
		return mem.Addr(fuzzMemory - b.next())
	case c < 208:
		return mem.Addr(math.MaxUint64 - uint64(b.next()))
	case c < 240:
		return mem.Addr(fuzzMemory + b.next())
	}
	return mem.Addr(b.word())
}

var hostileLengths = []int{0, 1, 13, 14, 59, 60, 61, 1514, 4096, 9014, 9744, fuzzMemory, 65557, 65558, math.MaxInt, math.MaxInt - 1, -1, math.MinInt}

func (b *bytecode) length() int {
	c := b.next()
	if c < 160 {
		return []int{60, 64, 100, 1514, 9744}[c%5]
	}
	if c < 240 {
		return hostileLengths[c%len(hostileLengths)]
	}
	return int(b.word())
}

func (b *bytecode) segments() (segs []syscall.Segment) {
	n := b.next() % 6
	if b.next() == 255 {
		n = 1023 + b.next()%3
	}
	for range n {
		segs = append(segs, seg(b.addr(), b.length()))
	}
	return segs
}

func (b *bytecode) fd() int {
	if c := b.next(); c < 250 {
		return c % 5
	}
	return []int{-1, 15, 16, math.MaxInt, math.MinInt}[b.next()%5]
}

var fuzzNames = []string{"/dev/tap0", "/dev/tap1", "/dev/tap0", "/dev/tap1", "/dev/tap2", "/dev/tap3", "tap0", ""}

// playSyscalls reads data as a host, frames on its wire, and the system calls of a
// program, and fails where the border and the model part. It returns how many
// calls came back.
func playSyscalls(t *testing.T, data []byte) int {
	b := &bytecode{data}
	m := &model{t: t, memory: make([]byte, fuzzMemory), files: map[int]modelFile{}, busy: map[string]bool{"/dev/tap2": true}}
	shape := b.next()
	r, err := kerneltest.Boot(kerneltest.Config{
		CPUs: 2, Taps: 3, TapQueue: 1 + shape&7, RAM: 3 << 20, Sink: m,
		NIC: kernel.NICConfig{Ring: 64, ITR: sim.Time(shape>>3&1) * 10 * sim.Microsecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var at sim.Time
	for range b.next() % 64 {
		at += sim.Time(b.next()) * 100 * sim.Nanosecond
		dst := kerneltest.Station(b.next() % 4)
		if c := b.next(); c < 16 {
			dst = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}
		size := []int{60, 64, 1514, 9014}[b.next()%4]
		r.Play(at, kerneltest.Frame(dst, kerneltest.Remote(b.next()%4), size, byte(b.next())))
	}
	cpu := shape >> 4 & 1

	// A peer on the other side of the bridge that sends everything back.
	if _, err := r.Start(1, kerneltest.Read(func(task *syscall.Task, f []byte) {
		if f[0]&1 == 0 {
			copy(f, f[6:12])
			me := kerneltest.Station(2)
			copy(f[6:], me[:])
			task.Write(0, 0, len(f))
		}
	}), "tap2"); err != nil {
		t.Fatal(err)
	}
	guest := mem.New(fuzzMemory)
	calls := 0
	err = r.Spawn(kernel.Process{Name: "fuzz", CPU: cpu, Memory: guest, Program: func(task *syscall.Task) error {
		for len(b.data) > 0 {
			m.call(task, b)
			calls++
			if !bytes.Equal(guest.Bytes(0, fuzzMemory), m.memory) {
				m.fail("guest memory differs from byte %d on", firstDifference(guest.Bytes(0, fuzzMemory), m.memory))
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(); err != nil && !strings.Contains(err.Error(), "end of virtual time") {
		m.fail("%v", err)
	}
	if err := r.Check(); err != nil {
		m.fail("%v", err)
	}
	return calls
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// call makes one call and checks what it returned.
func (m *model) call(task *syscall.Task, b *bytecode) {
	from := task.Now()
	enters, exits := task.Account().Line(cost.SysEnter).Count, task.Account().Line(cost.SysExit).Count
	say := func(format string, args ...any) {
		m.log = append(m.log, fmt.Sprintf("%v  "+format, append([]any{from}, args...)...))
	}
	op := b.next()
	switch {
	case op < 70:
		fd, addr, n := b.fd(), b.addr(), b.length()
		say("read(%d, %#x, %d)", fd, addr, n)
		have := got(task.Read(fd, addr, n))
		m.read(fd, []syscall.Segment{seg(addr, n)}, from, task.Now(), have)
	case op < 100:
		fd, segs := b.fd(), b.segments()
		say("readv(%d, %v)", fd, segs)
		have := got(task.Readv(fd, segs))
		m.read(fd, segs, from, task.Now(), have)
	case op < 130:
		fd, segs := b.fd(), b.segments()
		say("batch(%d, %v)", fd, segs)
		m.batch(task, fd, segs, from)
	case op < 160:
		fd, addr, n := b.fd(), b.addr(), b.length()
		m.scribble(task, b, addr)
		say("write(%d, %#x, %d)", fd, addr, n)
		m.write(fd, []syscall.Segment{seg(addr, n)}, got(task.Write(fd, addr, n)))
	case op < 175:
		fd, segs := b.fd(), b.segments()
		say("writev(%d, %v)", fd, segs)
		m.write(fd, segs, got(task.Writev(fd, segs)))
	case op < 195:
		fd, want := b.fd(), syscall.Events(b.next())
		timeout := []sim.Time{0, 0, 1, 700 * sim.Nanosecond, 50 * sim.Microsecond, sim.Millisecond, sim.Never, -1}[b.next()%8]
		say("poll(%d, %#x, %v)", fd, want, timeout)
		have := poll(task.Poll(fd, want, timeout))
		m.poll(fd, want, timeout, from, task.Now(), have)
	case op < 225:
		name, flags := fuzzNames[b.next()%len(fuzzNames)], syscall.ReadWrite
		if b.next()&1 != 0 {
			flags = nonBlock
		}
		say("open(%q, %#x)", name, flags)
		m.open(name, flags, got(task.Open(name, flags)))
	case op < 235:
		fd := b.fd()
		say("close(%d)", fd)
		m.close(fd, task.Close(fd))
	case op < 248:
		d := []sim.Time{0, 1, 100 * sim.Nanosecond, 20 * sim.Microsecond, sim.Millisecond, -1, sim.Never, sim.Never / 2}[b.next()%8]
		say("nanosleep(%v)", d)
		if errno := task.Nanosleep(d); (errno == syscall.EINVAL) != (d < 0) || d > 0 && task.Now()-from < d {
			m.fail("returned %v at %v", errno, task.Now())
		}
	default:
		d := []sim.Time{0, 1, 100 * sim.Nanosecond, 20 * sim.Microsecond, 4 * sim.Millisecond, -1, -sim.Never, sim.Never}[b.next()%8]
		say("compute(%v)", d)
		if task.Compute(d); task.Now() <= from || task.Now()-from < d {
			m.fail("worked until %v", task.Now())
		}
		return
	}
	if a := task.Account(); a.Line(cost.SysEnter).Count != enters+1 && m.alone(task) || a.Line(cost.SysExit).Count-exits != a.Line(cost.SysEnter).Count-enters && m.alone(task) {
		m.fail("charged %d ways in and %d ways out", a.Line(cost.SysEnter).Count-enters, a.Line(cost.SysExit).Count-exits)
	}
}

// alone says that no other task is charged on the task's account: the peer is on
// the second CPU.
func (m *model) alone(task *syscall.Task) bool { return task.Account().Name() == "cpu0" }

// scribble writes a frame that goes somewhere into the guest's memory, so that
// writes are not all garbage.
func (m *model) scribble(task *syscall.Task, b *bytecode, addr mem.Addr) {
	f := kerneltest.Frame(kerneltest.Station(b.next()%4), kerneltest.Station(b.next()%2), 60, byte(b.next()))
	if to := task.Memory().Bytes(addr, len(f)); to != nil {
		copy(to, f)
		copy(m.memory[addr:], f)
	}
}

func (m *model) batch(task *syscall.Task, fd int, segs []syscall.Segment, from sim.Time) {
	msgs := make([]syscall.Message, len(segs))
	for i, s := range segs {
		msgs[i].Segment = s
	}
	faults := m.faults
	got, errno := task.ReadBatch(fd, msgs)
	now := task.Now()
	if _, open := m.files[fd]; !open {
		m.want(call{got, errno}, call{0, syscall.EBADF})
		return
	}
	if got > 0 && errno != syscall.OK || got < 0 || got > len(msgs) {
		m.fail("returned %d %v of %d", got, errno, len(msgs))
	}
	for i := range got {
		if segs[i].Len == 0 {
			m.fail("message %d has no room and was filled", i)
		}
		m.read(fd, segs[i:i+1], from, now, call{msgs[i].Got, syscall.OK})
	}
	if got == len(msgs) {
		return
	}
	// What stopped it is told only if it is the first message. Whether that was a
	// fault, the frame knows.
	s, f := segs[got], m.files[fd]
	want := syscall.EAGAIN
	switch {
	case s.Len < 0:
		want = syscall.EINVAL
	case s.Len == 0:
		want = syscall.OK
	case m.faults > faults:
		want = syscall.EFAULT
	}
	if got == 0 {
		m.want(call{0, errno}, call{0, want})
	}
	switch want {
	case syscall.EFAULT, syscall.EAGAIN:
		m.take(m.queue(f.name), segs[got:got+1], f.block && got == 0, from, now, call{0, want})
	}
}

func (m *model) write(fd int, segs []syscall.Segment, have call) {
	n, ok := m.room(segs)
	_, open := m.files[fd]
	switch {
	case !open:
		m.want(have, call{0, syscall.EBADF})
	case !ok || n < 14:
		m.want(have, call{0, syscall.EINVAL})
	case n > 65557:
		m.want(have, call{0, syscall.EMSGSIZE})
	case have.errno == syscall.ENOMEM: // may always be
		m.want(have, call{0, syscall.ENOMEM})
	default:
		if _, ok := m.gather(segs); ok {
			m.want(have, call{n, syscall.OK})
		} else {
			m.want(have, call{0, syscall.EFAULT})
		}
	}
}

func (m *model) poll(fd int, want syscall.Events, timeout, from, now sim.Time, have polled) {
	f, open := m.files[fd]
	if !open {
		if have != (polled{syscall.PollNval, 0}) {
			m.fail("returned %v", have)
		}
		return
	}
	q := *m.queue(f.name)
	switch {
	case have.errno != syscall.OK || have.have&^want != 0 || have.have&^(syscall.PollIn|syscall.PollOut) != 0:
		m.fail("returned %v", have)
	case want&syscall.PollOut != 0 && have.have&syscall.PollOut == 0:
		m.fail("a tap can always be written, returned %v", have)
	case have.have&syscall.PollIn != 0 && (len(q) == 0 || q[0].at > now):
		m.fail("returned %v, and no frame is there by %v", have, now)
	case have.have&syscall.PollIn == 0 && want&syscall.PollIn != 0 && len(q) > 0 && q[0].at <= from:
		m.fail("returned %v, and a frame is there since %v", have, q[0].at)
	case have.have == 0 && (timeout < 0 || now-from < timeout):
		m.fail("returned %v after %v", have, now-from)
	}
}

func (m *model) open(name string, flags syscall.Flags, have call) {
	free := 0
	for m.files[free] != (modelFile{}) {
		free++
	}
	switch {
	case !strings.HasPrefix(name, "/dev/tap") || name == "/dev/tap3":
		m.want(have, call{-1, syscall.ENOENT})
	case m.busy[name]:
		m.want(have, call{-1, syscall.EBUSY})
	default:
		m.want(have, call{free, syscall.OK})
		m.files[free] = modelFile{name, flags&syscall.NonBlock == 0}
		m.busy[name] = true
	}
}

func (m *model) close(fd int, errno syscall.Errno) {
	f, open := m.files[fd]
	if !open {
		m.want(failed(errno), failed(syscall.EBADF))
		return
	}
	m.want(failed(errno), failed(syscall.OK))
	delete(m.files, fd)
	delete(m.busy, f.name)
	*m.queue(f.name) = nil
}

// Hostile calls while frames arrive: every answer is the model's, guest memory
// changes where the guest said and nowhere else, no frame is lost, and nothing
// panics.
func FuzzSyscalls(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(randomBytes(seed, 400))
	}
	f.Fuzz(func(t *testing.T, data []byte) { playSyscalls(t, data) })
}

func randomBytes(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return data
}

func TestRandomCallsAgreeWithTheModel(t *testing.T) {
	calls := 0
	for seed := range uint64(400) {
		calls += playSyscalls(t, randomBytes(seed, 600))
	}
	t.Logf("%d calls", calls)
}
